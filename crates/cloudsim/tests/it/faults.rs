//! What goes wrong on purpose, and what changes behind everybody's back.

use std::time::Duration;

use bytes::Bytes;
use fleetwright_cloudsim::{Fault, FaultKind, SECRET_ACCESS_KEY};
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{World, general, pass, shop};

const GROUP: &str = "/clusters/shop/node-groups/general";

pub(crate) fn fault(kind: FaultKind) -> Fault {
    Fault { kind, cluster: None, pool: None, operation: None, times: None }
}

pub(crate) fn once(kind: FaultKind) -> Fault {
    Fault { times: Some(1), ..fault(kind) }
}

impl World {
    pub(crate) async fn suffers(&self, fault: Fault) {
        self.sim.add_fault(fault).await.expect("stored");
    }

    pub(crate) async fn heals(&self) {
        self.sim.clear_faults(None).await.expect("stored");
    }

    async fn group(&self) -> Value {
        self.ok("GET", GROUP, None).await["nodegroup"].clone()
    }

    /// The simulation's own control.
    pub(crate) async fn control(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: Value,
    ) -> (u16, Value) {
        let request = Request::builder()
            .method(method)
            .uri(format!("https://eks.simulated/cloud/aws/_simulation/{path}"))
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::from(body.to_string()))
            .expect("a request");
        let answer = self.sim.eks().oneshot(request).await.expect("infallible");
        (answer.status().as_u16(), serde_json::from_slice(answer.body()).expect("JSON"))
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_refused_as_often_as_the_fault_says_and_have_no_effect() {
    let world = World::new().await;
    let caller = "arn:aws:iam::111122223333:user/simulated";
    let cases = [
        (FaultKind::Throttle, "429 ThrottlingException: Rate exceeded".to_owned()),
        (
            FaultKind::Quota,
            "400 ResourceLimitExceededException: CreateCluster: the quota of this account is used up.".to_owned(),
        ),
        (
            FaultKind::Denied,
            format!(
                "403 AccessDeniedException: User: {caller} is not authorized to perform: CreateCluster because no \
                 identity-based policy allows the CreateCluster action"
            ),
        ),
        (
            FaultKind::ExpiredCredentials,
            "403 ExpiredTokenException: The security token included in the request is expired".to_owned(),
        ),
    ];
    for (kind, expect) in cases {
        world.suffers(once(kind)).await;
        assert_eq!(world.said("POST", "/clusters", Some(shop())).await, expect);
        assert_eq!(world.sim.inventory().await, []);
    }
    assert_eq!(world.sim.faults().await, []);
    world.ok("POST", "/clusters", Some(shop())).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_has_had_its_effect_and_the_token_finds_it() {
    let world = World::new().await;
    world.suffers(once(FaultKind::LostAnswer)).await;
    assert_eq!(world.call("POST", "/clusters", Some(shop())).await.status.as_u16(), 504);
    assert_eq!(world.sim.inventory().await.len(), 1);
    world.ok("POST", "/clusters", Some(shop())).await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_answer_takes_its_time() {
    let world = World::new().await;
    world.suffers(fault(FaultKind::Slow { millis: 5_000 })).await;
    let before = tokio::time::Instant::now();
    world.ok("GET", "/clusters", None).await;
    assert_eq!(before.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn news_of_something_made_or_deleted_comes_late() {
    let world = World::new().await.with_shop().await;
    world.suffers(fault(FaultKind::Stale { seconds: 3 })).await;
    let mut second = shop();
    second["name"] = json!("second");
    world.ok("POST", "/clusters", Some(second.clone())).await;
    let missing = "404 ResourceNotFoundException: No cluster found for name: second.";
    assert_eq!(world.said("GET", "/clusters/second", None).await, missing);
    assert_eq!(world.ok("GET", "/clusters", None).await, json!({ "clusters": ["shop"] }));
    second["clientRequestToken"] = json!("another");
    let taken = "409 ResourceInUseException: Cluster already exists with name: second";
    assert_eq!(world.said("POST", "/clusters", Some(second)).await, taken);
    world.ok("DELETE", GROUP, None).await;
    assert_eq!(world.group().await["status"], "ACTIVE");
    pass(4).await;
    assert_eq!(
        world.said("GET", GROUP, None).await.split(':').next(),
        Some("404 ResourceNotFoundException")
    );
    assert_eq!(world.ok("GET", "/clusters", None).await, json!({ "clusters": ["second", "shop"] }));
}

#[tokio::test(start_paused = true)]
async fn without_capacity_a_group_loses_a_machine_and_gets_it_back_in_the_end() {
    let world = World::new().await.with_shop().await;
    let capacity = Fault {
        cluster: Some("shop".to_owned()),
        pool: Some("general".to_owned()),
        ..fault(FaultKind::Capacity)
    };
    world.suffers(capacity).await;
    let world = world.restart().await;
    let group = world.group().await;
    assert_eq!(group["status"], "DEGRADED");
    assert_eq!(group["health"]["issues"][0]["code"], "AsgInstanceLaunchFailures");
    assert_eq!(world.sim.inventory().await[0].nodegroups[0].machines, 1);
    let more = json!({ "scalingConfig": { "minSize": 1, "maxSize": 5, "desiredSize": 4 } });
    let update = world.updated(&format!("{GROUP}/update-config"), more).await;
    assert_eq!(update["status"], "Successful", "the group says what it lacks, not the update");
    assert_eq!(world.sim.inventory().await[0].nodegroups[0].machines, 1);
    world.heals().await;
    assert_eq!(world.group().await["status"], "ACTIVE");
    assert_eq!(world.sim.inventory().await[0].nodegroups[0].machines, 4);
    assert_eq!(world.group().await["health"]["issues"], json!([]));
}

#[tokio::test(start_paused = true)]
async fn a_group_that_never_got_machines_has_failed_until_there_are_some() {
    let world = World::new().await.with_shop().await;
    world.suffers(Fault { pool: Some("big".to_owned()), ..fault(FaultKind::Capacity) }).await;
    let mut big = general();
    big["nodegroupName"] = json!("big");
    world.ok("POST", "/clusters/shop/node-groups", Some(big)).await;
    pass(4).await;
    let path = "/clusters/shop/node-groups/big";
    let group = world.ok("GET", path, None).await["nodegroup"].clone();
    assert_eq!(group["status"], "CREATE_FAILED");
    assert_eq!(group["health"]["issues"][0]["code"], "AsgInstanceLaunchFailures");
    assert_eq!(world.group().await["status"], "ACTIVE", "another pool");
    world.heals().await;
    assert_eq!(world.ok("GET", path, None).await["nodegroup"]["status"], "ACTIVE");
}

#[tokio::test(start_paused = true)]
async fn an_update_that_fails_changes_nothing_and_says_why() {
    let world = World::new().await.with_shop().await;
    world.suffers(once(FaultKind::UpdateFails)).await;
    let upgrade = json!({ "version": "1.35" });
    let update = world.updated("/clusters/shop/updates", upgrade.clone()).await;
    assert_eq!(update["status"], "Failed");
    assert_eq!(update["errors"][0]["errorCode"], "InsufficientFreeAddresses");
    let cluster = world.ok("GET", "/clusters/shop", None).await["cluster"].clone();
    assert_eq!((&cluster["version"], &cluster["status"]), (&json!("1.34"), &json!("ACTIVE")));
    let update = world.updated("/clusters/shop/updates", upgrade).await;
    assert_eq!(update["status"], "Successful");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_upgrade_shows_in_the_insights_and_needs_force() {
    let world = World::new().await.with_shop().await;
    world
        .suffers(Fault { cluster: Some("shop".to_owned()), ..fault(FaultKind::UpgradeBlocked) })
        .await;
    let filter =
        json!({ "filter": { "statuses": ["ERROR"], "categories": ["UPGRADE_READINESS"] } });
    let insights = world.ok("POST", "/clusters/shop/insights", Some(filter)).await;
    assert_eq!(insights["insights"].as_array().map(Vec::len), Some(1));
    let said =
        world.said("POST", "/clusters/shop/updates", Some(json!({ "version": "1.35" }))).await;
    assert!(said.starts_with("400 InvalidStateException: Amazon EKS detected"), "{said}");
    let forced = json!({ "version": "1.35", "force": true });
    let update = world.updated("/clusters/shop/updates", forced).await;
    assert_eq!(update["status"], "Successful");
}

#[tokio::test(start_paused = true)]
async fn what_drifts_is_seen_at_once_and_only_what_eks_could_hold_drifts() {
    let world = World::new().await.with_shop().await;
    let drift = |path: &'static str, value: Value| {
        let sim = world.sim.clone();
        async move {
            let drifted = sim.drift("eu-central-1", "shop", path, value).await;
            drifted.map_err(|error| error.to_string())
        }
    };
    for (path, value) in [
        ("resourcesVpcConfig.publicAccessCidrs", json!(["198.51.100.0/24"])),
        ("tags.fleetwright.dev/uid", Value::Null),
        ("tags.team", json!("web")),
        ("upgradePolicy.supportType", json!("STANDARD")),
        ("nodegroups.general.labels.tier", json!("web")),
        ("nodegroups.general.scalingConfig.desiredSize", json!(1)),
        ("nodegroups.general.tags.a.b", json!("c")),
    ] {
        assert_eq!(drift(path, value).await, Ok(()), "{path}");
    }
    let cluster = world.ok("GET", "/clusters/shop", None).await["cluster"].clone();
    assert_eq!(cluster["status"], "ACTIVE", "no update");
    let cidrs = &cluster["resourcesVpcConfig"]["publicAccessCidrs"];
    assert_eq!(cidrs, &json!(["198.51.100.0/24"]));
    assert_eq!(cluster["tags"], json!({ "team": "web" }));
    assert_eq!(cluster["upgradePolicy"]["supportType"], "STANDARD");
    let group = world.group().await;
    assert_eq!(group["labels"], json!({ "team": "shop", "tier": "web" }));
    assert_eq!(group["scalingConfig"], json!({ "minSize": 1, "maxSize": 3, "desiredSize": 1 }));
    assert_eq!(group["tags"]["a.b"], "c");
    assert_eq!(world.sim.inventory().await[0].nodegroups[0].machines, 1);

    let refused = drift("resourcesVpcConfig.colour", json!("red")).await.expect_err("unknown");
    assert!(refused.starts_with("resourcesVpcConfig.colour of shop cannot drift: unknown field"));
    let refused = drift("nodegroups.other.labels.a", json!("b")).await.expect_err("missing");
    assert!(refused.ends_with("there is no such node group"), "{refused}");
    let elsewhere = world.sim.drift("us-east-1", "shop", "version", json!("1.35")).await;
    let elsewhere = elsewhere.expect_err("missing").to_string();
    assert_eq!(elsewhere, "the simulated cloud has no cluster shop in us-east-1");

    assert_eq!(drift("nodegroups.general", Value::Null).await, Ok(()));
    assert_eq!(world.sim.inventory().await[0].nodegroups, []);
}

#[tokio::test(start_paused = true)]
async fn a_second_process_controls_the_simulation_over_http_if_it_knows_the_secret() {
    let world = World::new().await.with_shop().await;
    let capacity = json!({ "kind": "Capacity", "cluster": "shop" });
    let (status, said) = world.control("POST", "faults", "guess", capacity.clone()).await;
    assert_eq!((status, world.sim.faults().await.len()), (401, 0), "{said}");
    let key = SECRET_ACCESS_KEY;
    let control = |method: &'static str, path: &'static str, body: Value| {
        world.control(method, path, key, body)
    };
    assert_eq!(control("POST", "faults", capacity).await, (200, json!({})));
    let slow = json!({ "kind": { "Slow": { "millis": 1 } }, "times": 2 });
    assert_eq!(control("POST", "faults", slow).await, (200, json!({})));
    let (_, listed) = control("GET", "faults", json!(null)).await;
    assert_eq!(listed["faults"][0]["kind"], "Capacity");
    assert_eq!(listed["faults"][1]["kind"], json!({ "Slow": { "millis": 1 } }));
    assert_eq!(control("DELETE", "faults?cluster=shop", json!(null)).await.0, 200);
    assert_eq!(world.sim.faults().await.len(), 1);
    assert_eq!(control("DELETE", "faults", json!(null)).await.0, 200);
    assert_eq!(world.sim.faults().await, []);
    let (status, said) = control("POST", "faults", json!({ "kind": "Fire" })).await;
    assert_eq!(status, 400);
    assert!(said["message"].as_str().is_some_and(|said| said.contains("unknown variant `Fire`")));

    let drift = |name: &str, path: &str| json!({ "region": "eu-central-1", "name": name, "path": path, "value": "x" });
    assert_eq!(control("POST", "drift", drift("shop", "tags.team")).await, (200, json!({})));
    assert_eq!(world.sim.inventory().await[0].tags["team"], "x");
    assert_eq!(control("POST", "drift", drift("other", "tags.team")).await.0, 404);
    assert_eq!(control("POST", "drift", drift("shop", "colour")).await.0, 400);
    assert_eq!(control("GET", "other", json!(null)).await.0, 404);
}

#[tokio::test(start_paused = true)]
async fn a_fault_finds_a_node_group_by_the_name_that_its_declaration_has() {
    let world = World::new().await.with_shop().await;
    let front = |kind| Fault { pool: Some("front".to_owned()), ..fault(kind) };
    world.suffers(front(FaultKind::Throttle)).await;
    assert_eq!(world.call("GET", GROUP, None).await.status.as_u16(), 200, "it is another one");
    let mut successor = general();
    successor["nodegroupName"] = json!("front-0a1b2c");
    successor["clientRequestToken"] = json!("successor");
    successor["tags"] = json!({ "fleetwright.dev/pool": "front" });
    let (groups, path) = ("/clusters/shop/node-groups", "/clusters/shop/node-groups/front-0a1b2c");
    assert_eq!(world.call("POST", groups, Some(successor.clone())).await.status.as_u16(), 429);
    world.heals().await;
    world.ok("POST", groups, Some(successor)).await;
    world.suffers(front(FaultKind::Throttle)).await;
    assert_eq!(world.call("GET", path, None).await.status.as_u16(), 429);
    world.heals().await;
    world.suffers(front(FaultKind::Capacity)).await;
    pass(4).await;
    assert_eq!(world.ok("GET", path, None).await["nodegroup"]["status"], "CREATE_FAILED");
    assert_eq!(world.group().await["status"], "ACTIVE");
}
