//! Hosts that answer the scripts of deeds, and the K3s clusters that they make.

#[path = "hosts/way.rs"]
mod way;

use std::time::Duration;

use fleetwright_cloudsim::{Fault, FaultKind, HostError, SECRET_ACCESS_KEY};
use http::StatusCode;
use serde_json::json;
use tower::ServiceExt as _;

use self::way::{S1, S2, S3, Way, config, sum};
use crate::fixture::{World, pass};

#[tokio::test(start_paused = true)]
async fn an_address_that_nobody_touched_is_a_bare_machine_and_is_not_remembered() {
    let world = World::new().await;
    let facts = Way::to(&world, "10.0.0.7").say("read-facts", json!({})).await;
    for line in ["uid=0", "machine=x86_64", "hostname=host-10-0-0-7", "init=systemd", "tcp=0016"] {
        assert!(facts.iter().any(|found| found == line), "{line} in {facts:?}");
    }
    assert!(!facts.iter().any(|line| line.starts_with("marker=")));
    assert_eq!(world.sim.hosts().await, []);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_away_does_not_answer() {
    let world = World::new().await;
    let way = Way::to(&world, "till.away.example");
    let failed = way.run("read-facts", json!({}), "").await.expect_err("away");
    assert_eq!(failed, HostError::Away("till.away.example".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn who_is_not_named_by_the_marker_changes_nothing() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    let refused = way.refused("write-file", way::file("config.yaml", "a: 1\n")).await;
    assert_eq!(refused, "not-ours the host carries no marker");
    way.claim().await;
    let stranger = Way { uid: "8", ..Way::to(&world, S1) };
    let refused = stranger.refused("uninstall", json!({})).await;
    assert_eq!(refused, "not-ours fleetwright 1 hub ab object payments/edge uid 7");
    let refused = stranger.refused("change-marker", json!({"was": null, "now": "mine"})).await;
    assert!(refused.starts_with("not-ours fleetwright 1"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_binary_arrives_in_parts_and_is_put_in_place_when_it_is_whole() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.claim().await;
    let binary = way::binary("v1.34.2+k3s1");
    let digest = sum(&binary);
    let part = |offset: usize, length: usize| json!({"artifact": "binary", "digest": digest, "offset": offset, "length": length, "whole": 1024});
    let place = json!({"artifact": "binary", "digest": digest});
    assert_eq!(way.refused("place", place.clone()).await, "gap it has not arrived");
    way.with("put-part", part(0, 600), &binary[..600]).await.expect("sent");
    let gap = way.with("put-part", part(700, 324), &binary[700..]).await.expect_err("a gap");
    assert_eq!(gap, "gap 600 bytes are there, the part begins at 700");
    let cut = way.with("put-part", part(600, 424), &binary[600..800]).await.expect_err("cut");
    assert_eq!(cut, "cut 800 bytes are there");
    let wrong = way.with("put-part", part(600, 424), &"x".repeat(424)).await.expect_err("wrong");
    assert_eq!(wrong, "digest what arrived is not what was sent; it is removed");
    way.with("put-part", part(0, 600), &binary[..600]).await.expect("sent");
    // What lies beyond the offset is replaced.
    way.with("put-part", part(500, 524), &binary[500..]).await.expect("sent");
    let whole = format!("part=1024 /usr/local/bin/.k3s-{digest}.whole");
    assert!(way.facts().await.contains(&whole));
    assert_eq!(way.say("place", place.clone()).await, ["begin=ok", "changed=yes"]);
    assert_eq!(way.say("place", place).await, ["begin=ok", "changed=no"]);
    let facts = way.facts().await;
    assert!(facts.contains(&"version=v1.34.2+k3s1".to_owned()), "{facts:?}");
    assert!(facts.contains(&format!("file={digest}  /usr/local/bin/k3s")), "{facts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_makes_a_cluster_whose_api_lets_in_who_has_its_token() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.install("server", "v1.34.2+k3s1", "cluster-init: true\ntls-san:\n- vip.example\n").await;
    assert_eq!(way.cluster().await[1], "ready=no");
    assert!(world.sim.member_at("https://vip.example:6443").await.expect("read").is_none());
    pass(25).await;
    let seen = way.cluster().await;
    assert_eq!(seen[1], "ready=yes");
    let node: serde_json::Value =
        serde_json::from_str(seen[2].strip_prefix("node=").expect("a node")).expect("JSON");
    assert_eq!(node["name"], "s1");
    assert_eq!(node["version"], "v1.34.2+k3s1");
    assert_eq!((&node["ready"], &node["etcd"]), (&json!(true), &json!("voter")));
    assert_eq!(node["roles"], json!(["control-plane", "etcd"]));
    let refused = way.refused("mint-token", json!({"seconds": 3600})).await;
    assert!(refused.contains("serviceaccounts \"fleetwright\" not found"), "{refused}");
    way.write("/var/lib/rancher/k3s/server/manifests/fleetwright.yaml", "kind: List\n").await;
    let token = way.say("mint-token", json!({"seconds": 3600})).await[1].clone();
    let token = token.strip_prefix("token=").expect("a token");
    let member = world.sim.member_at("https://vip.example:6443").await.expect("read");
    let member = member.expect("it answers");
    let (status, nodes) = world.nodes_at(&member, token).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(nodes["items"][0]["metadata"]["name"], "s1");
    assert_eq!(world.nodes_at(&member, "guessed").await.0, StatusCode::UNAUTHORIZED);
    pass(3600).await;
    assert_eq!(world.nodes_at(&member, token).await.0, StatusCode::UNAUTHORIZED);
    // A life later, all is as it was.
    let world = world.restart().await;
    assert!(world.sim.member_at("https://vip.example:6443").await.expect("read").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_quorum_of_three_survives_one_server_and_not_two() {
    let world = World::new().await;
    way::three_servers(&world).await;
    let site = |world: &World| {
        let sim = world.sim.clone();
        async move { sim.sites().await.remove(0) }
    };
    let seen = site(&world).await;
    assert_eq!((seen.voters, seen.voters_up, seen.answers), (3, 3, true));
    let stop = json!({"role": "server", "action": "stop"});
    Way::to(&world, S3).say("service", stop.clone()).await;
    assert!(site(&world).await.answers);
    Way::to(&world, S2).say("service", stop).await;
    let seen = site(&world).await;
    assert_eq!((seen.voters, seen.voters_up, seen.answers), (3, 1, false));
    assert_eq!(Way::to(&world, S1).cluster().await[1], "ready=no");
    let refused = Way::to(&world, S1).refused("delete-node", json!({"node": "s3"})).await;
    assert!(refused.starts_with("cluster The connection to the server"), "{refused}");
    let start = json!({"role": "server", "action": "start"});
    Way::to(&world, S2).say("service", start).await;
    pass(25).await;
    assert!(site(&world).await.answers, "two of three are enough again");
}

#[tokio::test(start_paused = true)]
async fn who_joins_needs_the_token_and_a_server_that_answers() {
    let world = World::new().await;
    let (one, two) = (Way::to(&world, S1), Way::to(&world, S2));
    one.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    let join = format!("server: https://{S1}:6443\n");
    two.install("server", "v1.34.2+k3s1", &config(&join)).await;
    assert_eq!(two.state("k3s.service").await, "activating/start", "the founder is not up yet");
    pass(25).await;
    assert_eq!(two.state("k3s.service").await, "activating/auto-restart", "it has no token");
    two.write("/etc/rancher/k3s/token", "K10ab::server:guessed\n").await;
    assert_eq!(two.state("k3s.service").await, "activating/auto-restart", "it is another token");
    let token = one.token().await;
    two.write("/etc/rancher/k3s/token", &format!("{token}\n")).await;
    assert_eq!(two.state("k3s.service").await, "activating/start");
    pass(25).await;
    assert_eq!(two.state("k3s.service").await, "active/running");
    let facts = two.facts().await;
    let sum = sum(&format!("{token}\n"));
    assert!(facts.contains(&format!("server_token={sum}")), "{facts:?}");
}

#[tokio::test(start_paused = true)]
async fn a_node_is_cordoned_drained_and_deleted_and_its_server_is_out() {
    let world = World::new().await;
    way::three_servers(&world).await;
    let one = Way::to(&world, S1);
    let drain = json!({"node": "s3", "timeout_s": 20, "force": false});
    assert_eq!(one.refused("drain", drain.clone()).await, "open node s3 is not cordoned");
    let cordon = json!({"node": "s3", "what": "removal"});
    assert_eq!(one.say("cordon", cordon.clone()).await, ["begin=ok", "changed=yes"]);
    assert_eq!(one.say("cordon", cordon).await, ["begin=ok", "changed=no"]);
    world.sim.drift("hosts", S3, "pods", json!("stay")).await.expect("drifts");
    let said = one.say("drain", drain.clone()).await;
    assert_eq!(said[1..3], ["drained=no", "left=1"]);
    assert!(said[3].starts_with("blocked=error when evicting pods"), "{said:?}");
    world.sim.drift("hosts", S3, "pods", json!(null)).await.expect("drifts");
    assert_eq!(one.say("drain", drain).await, ["begin=ok", "drained=yes", "left=0"]);
    let delete = json!({"node": "s3"});
    assert_eq!(one.say("delete-node", delete.clone()).await, ["begin=ok", "changed=yes"]);
    assert_eq!(one.say("delete-node", delete).await, ["begin=ok", "changed=no"]);
    assert_eq!(world.sim.sites().await[0].voters, 2);
    let three = Way::to(&world, S3);
    assert_eq!(three.state("k3s.service").await, "activating/auto-restart", "it was removed");
    three.say("uninstall", json!({})).await;
    assert_eq!(world.sim.hosts().await.len(), 2, "nothing is left of it");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_goes_with_the_last_of_its_servers() {
    let world = World::new().await;
    way::three_servers(&world).await;
    let member = world.sim.sites().await[0].id.clone();
    assert!(world.sim.member("", &member).is_some());
    for host in [S1, S2, S3] {
        Way::to(&world, host).say("uninstall", json!({})).await;
    }
    assert_eq!((world.sim.sites().await.len(), world.sim.hosts().await.len()), (0, 0));
    assert!(world.sim.member("", &member).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reboot_takes_its_time_and_brings_back_what_is_enabled() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    pass(25).await;
    let boot = |facts: Vec<String>| facts.into_iter().find(|line| line.starts_with("boot="));
    let before = boot(way.facts().await);
    world.sim.drift("hosts", S1, "reboot", json!(30)).await.expect("drifts");
    let failed = way.run("read-facts", json!({}), "").await.expect_err("it is away");
    assert_eq!(failed, HostError::Away(S1.to_owned()));
    pass(60).await;
    assert_ne!(boot(way.facts().await), before);
    assert_eq!(way.state("k3s.service").await, "active/running");
    world.sim.drift("hosts", S1, "away", json!(true)).await.expect("drifts");
    assert!(way.run("read-facts", json!({}), "").await.is_err());
    world.sim.drift("hosts", S1, "away", json!(false)).await.expect("drifts");
    pass(25).await;
    assert_eq!(way.state("k3s.service").await, "active/running");
}

#[tokio::test(start_paused = true)]
async fn faults_of_hosts_hit_the_deeds_that_they_name() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.claim().await;
    let fault = |kind: FaultKind, operation: Option<&str>, times: Option<u32>| Fault {
        kind,
        cluster: Some("edge".to_owned()),
        pool: Some(S1.to_owned()),
        operation: operation.map(str::to_owned),
        times,
    };
    let (file, text) = (way::file("config.yaml", "a: 1\n"), "a: 1\n");
    let lost = HostError::Lost(S1.to_owned());
    let cut = fault(FaultKind::Cut { halfway: false }, Some("write-file"), Some(1));
    world.sim.add_fault(cut).await.expect("stored");
    way.facts().await;
    assert_eq!(way.run("write-file", file.clone(), text).await.expect_err("cut"), lost);
    assert!(!way.facts().await.iter().any(|line| line.contains("config.yaml")));
    let after = fault(FaultKind::LostAnswer, None, Some(1));
    world.sim.add_fault(after).await.expect("stored");
    assert_eq!(way.run("write-file", file.clone(), text).await.expect_err("lost"), lost);
    assert!(way.facts().await.iter().any(|line| line.contains("config.yaml")));
    world.sim.add_fault(fault(FaultKind::DiskFull, None, None)).await.expect("stored");
    let full = way.with("write-file", way::file("token", "x\n"), "x\n").await;
    assert_eq!(full.expect_err("full"), "write /etc/rancher/k3s/token");
    world.sim.add_fault(fault(FaultKind::Away, None, None)).await.expect("stored");
    assert!(way.run("read-facts", json!({}), "").await.is_err());
    assert!(!Way::to(&world, S2).facts().await.is_empty(), "others are there");
    world.sim.clear_faults(None).await.expect("stored");
    world.sim.drift("hosts", S1, "line", json!(1)).await.expect("drifts");
    let slow = Way { timeout: Duration::from_secs(3), ..Way::to(&world, S1) };
    let failed = slow.run("write-file", way::file("token", "x\n"), &"x".repeat(9)).await;
    assert_eq!(failed.expect_err("slow"), HostError::TimedOut(S1.to_owned()));
}

#[tokio::test(start_paused = true)]
async fn strangers_change_files_and_markers_and_take_k3s_away() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    pass(25).await;
    let drift = |path: &str, value: serde_json::Value| {
        let (sim, path) = (world.sim.clone(), path.to_owned());
        async move { sim.drift("hosts", S1, &path, value).await }
    };
    drift("service", json!("stopped")).await.expect("drifts");
    assert_eq!(way.state("k3s.service").await, "inactive/dead");
    drift("files./etc/rancher/k3s/config.yaml.d/99-mine.yaml", json!("a: 1"))
        .await
        .expect("drifts");
    assert!(way.facts().await.contains(&"dropin=99-mine.yaml".to_owned()));
    drift("uninstall", json!(true)).await.expect("drifts");
    let facts = way.facts().await;
    assert!(
        facts.iter().any(|line| line == "marker=uid 7") && !facts.contains(&"data=etcd".to_owned())
    );
    drift("marker", json!("somebody else's")).await.expect("drifts");
    assert!(way.refused("uninstall", json!({})).await.starts_with("not-ours somebody else's"));
    let refused = drift("moon", json!(1)).await.expect_err("no such path").to_string();
    assert!(refused.contains("what can: files.<path>, marker, service"), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn another_process_runs_scripts_and_reaches_members_over_http() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    way.write("/var/lib/rancher/k3s/server/manifests/fleetwright.yaml", "kind: List\n").await;
    pass(25).await;
    let token = way.say("mint-token", json!({"seconds": 600})).await[1].replace("token=", "");
    let send = |method: &str, path: &str, bearer: &str, body: serde_json::Value| {
        let request = http::Request::builder().method(method).uri(format!("/cloud/hosts{path}"));
        let request = request.header("authorization", format!("Bearer {bearer}"));
        let request = request.body(bytes::Bytes::from(body.to_string())).expect("a request");
        let mount = world.sim.hosts_mount();
        async move {
            let response = mount.oneshot(request).await.expect("infallible");
            let body = String::from_utf8_lossy(response.body()).into_owned();
            (response.status().as_u16(), body)
        }
    };
    let script = "# fleetwright deed: read-facts {}\n";
    let body = json!({"host": S1, "port": 22, "script": script, "payload": "", "timeout_ms": 1000});
    let (status, answer) =
        send("POST", "/_simulation/hosts", SECRET_ACCESS_KEY, body.clone()).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer.contains("\"status\":0"), "{answer}");
    assert_eq!(send("POST", "/_simulation/hosts", "guessed", body.clone()).await.0, 401);
    let mut away = body;
    away["host"] = json!("x.away.example");
    let (_, answer) = send("POST", "/_simulation/hosts", SECRET_ACCESS_KEY, away).await;
    assert_eq!(answer, r#"{"failed":{"Away":"x.away.example"}}"#);
    let path = format!("/members/{S1}/api/v1/nodes");
    assert_eq!(send("GET", &path, &token, json!(null)).await.0, 200);
    assert_eq!(send("GET", &path, "guessed", json!(null)).await.0, 401);
    assert_eq!(send("GET", "/members/nobody/api/v1/nodes", &token, json!(null)).await.0, 503);
    let path = "/releases/k3s-io/k3s/releases/download/v1.34.2%2Bk3s1/k3s";
    assert_eq!(send("GET", path, "", json!(null)).await.0, 200);
}

#[tokio::test(start_paused = true)]
async fn a_server_walks_minor_by_minor_and_never_back() {
    let world = World::new().await;
    let way = Way::to(&world, S1);
    way.install("server", "v1.34.2+k3s1", "cluster-init: true\n").await;
    pass(25).await;
    for (version, state) in [
        ("v1.35.2+k3s1", "active/running"),
        ("v1.36.2+k3s1", "active/running"),
        ("v1.35.2+k3s1", "activating/auto-restart"),
    ] {
        way.upgrade(version).await;
        pass(25).await;
        assert_eq!(way.state("k3s.service").await, state, "{version}");
    }
    way.upgrade("v1.36.2+k3s1").await;
    pass(25).await;
    assert_eq!(way.state("k3s.service").await, "active/running");
}
