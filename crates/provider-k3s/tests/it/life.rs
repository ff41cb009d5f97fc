//! Whole lives over simulated hosts: made, changed, upgraded, mended, grown, shrunk, taken over and taken away.

use fleetwright_api_types::Adoption;
use fleetwright_cloudsim::{Fault, FaultKind};
use fleetwright_names::HubId;
use fleetwright_plan::{Goal, Rules, Seen};
use fleetwright_provider::{Access, Provider as _};
use serde_json::json;

use super::world::{World, access, declared, hosts};

#[tokio::test(start_paused = true)]
async fn three_servers_and_two_agents_are_made_and_taken_away() {
    let mut world = World::new(declared(3, 2)).await;
    world.settle(Goal::Present).await;
    let all = ["a1", "a2", "s1", "s2", "s3"].map(|name| format!("{name} v1.34.2+k3s1"));
    assert_eq!(world.nodes().await, all);
    assert_eq!(world.site().await.voters, 3);
    assert_eq!(world.errors, Vec::<String>::new());
    let token = world.provider.token(&access(), &world.desired().address).await;
    assert!(token.is_ok(), "{token:?}");
    world.settle(Goal::Absent).await;
    assert_eq!(world.sim.sites().await, []);
    for host in world.sim.hosts().await {
        assert_eq!((host.files, host.version), (Vec::new(), None), "{}", host.address);
    }
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_takes_servers_first_and_skips_no_minor() {
    let mut world = World::new(declared(3, 2)).await;
    world.settle(Goal::Present).await;
    world.cluster["spec"]["version"] = json!("v1.36.1+k3s1");
    let (plan, _) = world.plan(Goal::Present).await;
    let text = plan.to_string();
    assert!(text.contains("name a release of 1.35 in spec.k3s.upgradePath"), "{text}");
    world.cluster["spec"]["version"] = json!("v1.35.4+k3s1");
    world.settle(Goal::Present).await;
    let all = ["a1", "a2", "s1", "s2", "s3"].map(|name| format!("{name} v1.35.4+k3s1"));
    assert_eq!(world.nodes().await, all);
    assert!(world.site().await.cordoned.is_empty());
    assert_eq!(world.errors, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_change_of_files_restarts_server_by_server() {
    let mut world = World::new(declared(3, 1)).await;
    world.settle(Goal::Present).await;
    world.k3s()["disable"] = json!(["traefik"]);
    world.k3s()["registriesSecretRef"] = json!({"name": "registries"});
    world.settle(Goal::Present).await;
    assert_eq!(world.errors, Vec::<String>::new());
    for host in world.sim.hosts().await {
        let has = host.files.iter().any(|file| file == "/etc/rancher/k3s/registries.yaml");
        assert!(has, "{} has {:?}", host.address, host.files);
    }
}

#[tokio::test(start_paused = true)]
async fn hosts_come_and_go() {
    let mut world = World::new(declared(1, 2)).await;
    world.settle(Goal::Present).await;
    world.k3s()["agents"] = hosts("a", 1);
    world.k3s()["servers"] = hosts("s", 3);
    world.k3s()["endpoint"] = json!({"host": "api.example"});
    world.settle(Goal::Present).await;
    assert_eq!(world.nodes().await.len(), 4);
    assert_eq!(world.site().await.voters, 3);
    // Another takes the place of the first, healthy one.
    let mut servers = hosts("s", 4);
    servers.as_array_mut().expect("a list").remove(0);
    world.k3s()["servers"] = servers;
    world.settle(Goal::Present).await;
    assert_eq!(world.site().await.voters, 3);
    let nodes: Vec<String> = world.site().await.nodes.into_keys().collect();
    assert_eq!(nodes, ["a1", "s2", "s3", "s4"]);
    assert_eq!(world.errors, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_strangers_change_is_mended() {
    let mut world = World::new(declared(3, 1)).await;
    world.settle(Goal::Present).await;
    world.drift("s2", "service", json!("stopped")).await;
    world.settle(Goal::Present).await;
    assert!(world.site().await.servers_down.is_empty());
    world
        .drift(
            "a1",
            "files./etc/rancher/k3s/config.yaml",
            json!("server: https://elsewhere:6443\n"),
        )
        .await;
    world.drift("s1", "files./etc/rancher/k3s/config.yaml", json!("disable:\n- traefik\n")).await;
    world.settle(Goal::Present).await;
    assert_eq!(world.errors, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_dead_server_that_was_given_up_makes_room_for_another() {
    let mut world = World::new(declared(3, 0)).await;
    world.settle(Goal::Present).await;
    world.drift("s3", "away", json!(true)).await;
    tokio::time::sleep(std::time::Duration::from_secs(120)).await;
    let mut servers = hosts("s", 4);
    servers.as_array_mut().expect("a list").remove(2);
    world.k3s()["servers"] = servers;
    for _ in 0..3 {
        world.turn(Goal::Present).await;
    }
    assert_eq!(world.site().await.nodes.len(), 3, "it is waited for");
    world.cluster["metadata"]["annotations"] = json!({"fleetwright.dev/abandon-hosts": "s3"});
    world.settle(Goal::Present).await;
    let nodes: Vec<String> = world.site().await.nodes.into_keys().collect();
    assert_eq!(nodes, ["s1", "s2", "s4"]);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_comes_and_goes_holds_nobody_up() {
    let mut world = World::new(declared(1, 2)).await;
    world.k3s()["agents"][1]["presence"] = json!("Intermittent");
    world.settle(Goal::Present).await;
    world.drift("a2", "away", json!(true)).await;
    world.cluster["spec"]["version"] = json!("v1.35.4+k3s1");
    world.settle(Goal::Present).await;
    let nodes = world.nodes().await;
    assert_eq!(nodes, ["a1 v1.35.4+k3s1", "a2 v1.34.2+k3s1", "s1 v1.35.4+k3s1"]);
    world.drift("a2", "away", json!(false)).await;
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    world.settle(Goal::Present).await;
    assert!(world.nodes().await.contains(&"a2 v1.35.4+k3s1".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_cut_after_every_deed_is_no_matter() {
    let mut world = World::new(declared(3, 1)).await;
    for (times, halfway) in [(40, false), (40, true)] {
        let fault = Fault {
            kind: FaultKind::Cut { halfway },
            cluster: None,
            pool: None,
            operation: None,
            times: Some(times),
        };
        world.sim.add_fault(fault).await.expect("a fault");
        world.settle(Goal::Present).await;
    }
    assert_eq!(world.nodes().await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_was_let_go_is_adopted() {
    let mut world = World::new(declared(3, 1)).await;
    world.settle(Goal::Present).await;
    world.settle(Goal::Released).await;
    let (plan, _) = world.plan(Goal::Present).await;
    assert!(plan.steps.is_empty() && !plan.refused.is_empty(), "{plan}");
    world.cluster["spec"]["adoption"] = json!("Existing");
    world.rules = Rules { adoption: Adoption::Existing, ..Rules::default() };
    world.settle(Goal::Present).await;
    assert_eq!(world.errors, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_declared_as_an_agent_lets_no_second_cluster_begin() {
    let mut world = World::new(declared(1, 0)).await;
    world.settle(Goal::Present).await;
    world.k3s()["agents"] = hosts("s", 1);
    world.k3s()["servers"] = json!([{"name": "s2", "host": "s2.example"}]);
    for _ in 0..5 {
        // Looks at how many clusters there are.
        world.turn(Goal::Present).await;
    }
    assert_eq!(world.nodes().await, ["s1 v1.34.2+k3s1"]);
    let (plan, _) = world.plan(Goal::Present).await;
    assert!(plan.to_string().contains("declare s1 in spec.k3s.servers again"), "{plan}");
    // Taken out of agents, as if it were one, its data stays.
    world.k3s()["agents"] = json!([]);
    for _ in 0..5 {
        world.turn(Goal::Present).await;
    }
    assert_eq!(world.nodes().await, ["s1 v1.34.2+k3s1"]);
}

#[tokio::test(start_paused = true)]
async fn a_strangers_cluster_is_not_asked() {
    let mut world = World::new(declared(1, 0)).await;
    world.settle(Goal::Present).await;
    let desired = world.desired();
    let stranger = Access { hub: HubId::new("cd34").expect("hub"), ..access() };
    for (access, asks) in [(access(), true), (stranger, false)] {
        let seen = world.provider.observe(&access, &desired.address, Some(&desired)).await;
        let Seen::Present(cluster) = seen.cluster else { unreachable!("it is there") };
        assert_eq!(cluster.body["cluster"].is_object(), asks, "{}", access.hub);
        assert_eq!(cluster.body["token"].is_string(), asks, "{}", access.hub);
    }
}

#[tokio::test(start_paused = true)]
async fn dark_servers_hold_nobody_up() {
    let mut world = World::new(declared(3, 0)).await;
    world.settle(Goal::Present).await;
    for name in ["s1", "s2"] {
        world.drift(name, "away", json!(true)).await;
    }
    let (before, address) = (tokio::time::Instant::now(), world.desired().address);
    let stream = world.provider.dial(&access(), &address).await;
    assert!(stream.is_ok());
    let took = before.elapsed();
    assert!(took < std::time::Duration::from_secs(15), "{took:?}");
}
