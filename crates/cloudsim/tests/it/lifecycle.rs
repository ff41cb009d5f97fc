//! Clusters, node groups and tags through their lives, and over a restart.

use http::StatusCode;
use serde_json::json;

use crate::fixture::{CLUSTER_ARN, World, general, pass, shop};

#[tokio::test(start_paused = true)]
async fn a_cluster_becomes_active_in_its_time_and_then_has_an_endpoint() {
    let world = World::new().await;
    let created = world.ok("POST", "/clusters", Some(shop())).await;
    assert_eq!(created["cluster"]["status"], "CREATING");
    assert_eq!(created["cluster"]["createdAt"], 1_795_348_800.0);
    assert_eq!(created["cluster"]["endpoint"], json!(null));
    pass(4).await;
    let early = world.ok("GET", "/clusters/shop", None).await;
    assert_eq!(early["cluster"]["status"], "CREATING");
    assert!(world.sim.member("eu-central-1", "shop").is_none());
    pass(4).await;
    let described = world.ok("GET", "/clusters/shop", None).await;
    let cluster = &described["cluster"];
    assert_eq!(cluster["status"], "ACTIVE");
    assert_eq!(cluster["arn"], CLUSTER_ARN);
    assert_eq!(cluster["version"], "1.34");
    assert_eq!(cluster["endpoint"], "https://127.0.0.1:6443/clusters/eks-eu-central-1-shop");
    assert_eq!(cluster["certificateAuthority"]["data"], "c2ltdWxhdGVkIFBFTQ==");
    assert_eq!(cluster["tags"], json!({ "fleetwright.dev/uid": "abc" }));
    assert_eq!(cluster["resourcesVpcConfig"]["subnetIds"], json!(["subnet-0a", "subnet-0b"]));
}

#[tokio::test(start_paused = true)]
async fn creating_twice_is_one_cluster_with_the_same_token_and_a_conflict_with_another() {
    let world = World::new().await;
    let first = world.ok("POST", "/clusters", Some(shop())).await;
    assert_eq!(world.ok("POST", "/clusters", Some(shop())).await, first);
    let mut other = shop();
    other["clientRequestToken"] = json!("second");
    let answer = world.call("POST", "/clusters", Some(other)).await;
    let expect = "409 ResourceInUseException: Cluster already exists with name: shop";
    assert_eq!(answer.line(), expect);
    assert_eq!(answer.body["clusterName"], "shop");
    assert_eq!(world.sim.calls()["CreateCluster"], 3);
    assert_eq!(world.sim.inventory().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_node_group_needs_an_active_cluster_and_is_listed_with_its_settings() {
    let world = World::new().await;
    let path = "/clusters/shop/node-groups";
    let answer = world.call("POST", path, Some(general())).await;
    assert_eq!(answer.line(), "404 ResourceNotFoundException: No cluster found for name: shop.");
    world.ok("POST", "/clusters", Some(shop())).await;
    let answer = world.call("POST", path, Some(general())).await;
    let expect = "400 InvalidRequestException: Cluster 'shop' is not in ACTIVE status";
    assert_eq!(answer.line(), expect);
    pass(8).await;
    let created = world.ok("POST", path, Some(general())).await;
    assert_eq!(created["nodegroup"]["status"], "CREATING");
    assert_eq!(world.ok("POST", path, Some(general())).await, created);
    pass(4).await;
    assert_eq!(world.ok("GET", path, None).await, json!({ "nodegroups": ["general"] }));
    let described = world.ok("GET", "/clusters/shop/node-groups/general", None).await;
    let group = &described["nodegroup"];
    assert_eq!(group["status"], "ACTIVE");
    assert_eq!(group["scalingConfig"], json!({ "minSize": 1, "maxSize": 3, "desiredSize": 2 }));
    assert_eq!(group["instanceTypes"], json!(["t3.medium"]));
    assert_eq!(group["taints"][0]["effect"], "NO_SCHEDULE");
    let answer = world.call("GET", "/clusters/shop/node-groups/other", None).await;
    assert_eq!(
        answer.line(),
        "404 ResourceNotFoundException: No node group found for name: other."
    );
}

#[tokio::test(start_paused = true)]
async fn deleting_goes_from_the_inside_out() {
    let world = World::new().await;
    world.ok("POST", "/clusters", Some(shop())).await;
    let answer = world.call("DELETE", "/clusters/shop", None).await;
    let expect = "409 ResourceInUseException: Cluster shop cannot be deleted while it is CREATING.";
    assert_eq!(answer.line(), expect);
    pass(8).await;
    world.ok("POST", "/clusters/shop/node-groups", Some(general())).await;
    pass(4).await;
    let answer = world.call("DELETE", "/clusters/shop", None).await;
    assert_eq!(answer.line(), "409 ResourceInUseException: Cluster has nodegroups attached");
    let group = "/clusters/shop/node-groups/general";
    assert_eq!(world.ok("DELETE", group, None).await["nodegroup"]["status"], "DELETING");
    assert_eq!(world.call("DELETE", group, None).await.status, StatusCode::CONFLICT);
    pass(4).await;
    assert_eq!(world.call("GET", group, None).await.status, StatusCode::NOT_FOUND);
    let deleted = world.ok("DELETE", "/clusters/shop", None).await;
    assert_eq!(deleted["cluster"]["status"], "DELETING");
    assert_eq!(world.call("DELETE", "/clusters/shop", None).await.status, StatusCode::CONFLICT);
    pass(5).await;
    // An observer sees it gone although nobody asked the cloud since.
    assert_eq!(world.sim.inventory().await, []);
    assert_eq!(world.call("GET", "/clusters/shop", None).await.status, StatusCode::NOT_FOUND);
    assert!(world.sim.member("eu-central-1", "shop").is_none());
    assert_eq!(world.api.stored_clusters(), ["simulated-aws"]);
}

#[tokio::test(start_paused = true)]
async fn clusters_are_listed_by_region_and_in_pages() {
    let mut world = World::new().await;
    for name in ["b", "a", "c_1"] {
        let mut cluster = shop();
        cluster["name"] = json!(name);
        world.ok("POST", "/clusters", Some(cluster)).await;
    }
    let page = world.ok("GET", "/clusters?maxResults=2", None).await;
    assert_eq!(page["clusters"], json!(["a", "b"]));
    let token = page["nextToken"].as_str().expect("more");
    let next = world.ok("GET", &format!("/clusters?maxResults=2&nextToken={token}"), None).await;
    assert_eq!(next, json!({ "clusters": ["c_1"] }));
    world.caller.region = "us-east-1".to_owned();
    assert_eq!(world.ok("GET", "/clusters", None).await, json!({ "clusters": [] }));
    assert_eq!(world.call("GET", "/clusters/a", None).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn tags_of_clusters_and_node_groups_come_and_go() {
    let world = World::new().await.with_shop().await;
    let described = world.ok("GET", "/clusters/shop/node-groups/general", None).await;
    let group_arn = described["nodegroup"]["nodegroupArn"].as_str().expect("an ARN").to_owned();
    for arn in [CLUSTER_ARN, &group_arn] {
        let path = format!("/tags/{}", arn.replace(':', "%3A").replace('/', "%2F"));
        let more = json!({ "tags": { "fleetwright.dev/released": "abc", "team": "x y" } });
        assert_eq!(world.ok("POST", &path, Some(more)).await, json!({}));
        let keys = format!("{path}?tagKeys=fleetwright.dev%2Fuid&tagKeys=team");
        assert_eq!(world.ok("DELETE", &keys, None).await, json!({}));
        let left = world.ok("GET", &path, None).await;
        assert_eq!(left, json!({ "tags": { "fleetwright.dev/released": "abc" } }));
    }
    let gone = "/tags/arn%3Aaws%3Aeks%3Aeu-central-1%3A111122223333%3Acluster%2Fother";
    let answer = world.call("GET", gone, None).await;
    assert_eq!(
        (answer.status, answer.error.as_str()),
        (StatusCode::NOT_FOUND, "NotFoundException")
    );
    let reserved = json!({ "tags": { "aws:x": "1" } });
    let path = format!("/tags/{}", CLUSTER_ARN.replace(':', "%3A").replace('/', "%2F"));
    assert_eq!(world.call("POST", &path, Some(reserved)).await.error, "BadRequestException");
}

#[tokio::test(start_paused = true)]
async fn a_restart_loses_nothing_and_time_goes_on() {
    let world = World::new().await.with_shop().await;
    let mut second = shop();
    second["name"] = json!("Second_1");
    world.ok("POST", "/clusters", Some(second)).await;
    let before = world.ok("GET", "/clusters/shop", None).await;
    let nodes = world.nodes_as(&world.caller.token("shop", jiff_now(&world))).await;

    let world = world.restart().await;
    assert_eq!(world.ok("GET", "/clusters/shop", None).await, before);
    assert_eq!(world.nodes_as(&world.caller.token("shop", jiff_now(&world))).await, nodes);
    let statuses = |world: &World| {
        let sim = world.sim.clone();
        async move {
            let all = sim.inventory().await;
            all.into_iter().map(|c| format!("{} {}", c.name, c.status)).collect::<Vec<_>>()
        }
    };
    assert_eq!(statuses(&world).await, ["Second_1 CREATING", "shop ACTIVE"]);

    // While the process is away, the second becomes due.
    pass(8).await;
    let world = world.restart().await;
    assert_eq!(statuses(&world).await, ["Second_1 ACTIVE", "shop ACTIVE"]);
    assert!(world.sim.member("eu-central-1", "Second_1").is_some());
}

fn jiff_now(world: &World) -> jiff::Timestamp {
    fleetwright_clock::Clock::now(&*world.clock)
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_fails_is_a_server_error_and_changes_nothing() {
    let world = World::new().await;
    world.store.fail_next_commit(fleetwright_apiserver::CommitFault::BeforeEffect);
    let answer = world.call("POST", "/clusters", Some(shop())).await;
    assert_eq!((answer.status.as_u16(), answer.error.as_str()), (500, "ServerException"));
    assert_eq!(world.sim.inventory().await, []);
}

#[tokio::test(start_paused = true)]
async fn settling_makes_what_is_due_without_any_request() {
    let world = World::new().await;
    world.ok("POST", "/clusters", Some(shop())).await;
    pass(8).await;
    assert!(world.sim.member("eu-central-1", "shop").is_none());
    world.sim.settle().await.expect("settles");
    assert!(world.sim.member("eu-central-1", "shop").is_some());
}
