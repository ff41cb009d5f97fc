//! Changes of what is there: begun, under way, done.

use fleetwright_clock::Clock as _;
use serde_json::{Value, json};

use crate::fixture::{World, pass};

const CONFIG: &str = "/clusters/shop/update-config";
const UPDATES: &str = "/clusters/shop/updates";
const GROUP: &str = "/clusters/shop/node-groups/general";

async fn nodes(world: &World) -> Vec<Value> {
    let (_, list) = world.nodes_as(&world.caller.token("shop", world.clock.now())).await;
    list["items"].as_array().expect("items").clone()
}

fn names(nodes: &[Value]) -> Vec<&str> {
    nodes.iter().map(|node| node["metadata"]["name"].as_str().expect("a name")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_change_takes_effect_when_its_update_is_done_and_not_before() {
    let world = World::new().await.with_shop().await;
    let change = json!({ "resourcesVpcConfig": { "publicAccessCidrs": ["203.0.113.0/24"] } });
    let update = world.ok("POST", CONFIG, Some(change)).await["update"].clone();
    assert_eq!(update["status"], "InProgress");
    assert_eq!(update["type"], "EndpointAccessUpdate");
    let params = json!([{ "type": "PublicAccessCidrs", "value": "[\"203.0.113.0/24\"]" }]);
    assert_eq!(update["params"], params);
    let cluster = world.ok("GET", "/clusters/shop", None).await["cluster"].clone();
    assert_eq!(cluster["status"], "UPDATING");
    assert_eq!(cluster["resourcesVpcConfig"]["publicAccessCidrs"], json!(["0.0.0.0/0"]));
    let id = update["id"].as_str().expect("an id");
    let busy = world.said("POST", CONFIG, Some(json!({ "deletionProtection": true }))).await;
    let expect = format!(
        "409 ResourceInUseException: Cannot DeletionProtectionUpdate because cluster shop currently has update {id} \
         in progress"
    );
    assert_eq!(busy, expect);
    pass(3).await;
    assert_eq!(world.sim.inventory().await[0].status, "ACTIVE", "due, though nobody asked");
    let update = world.ok("GET", &format!("{UPDATES}/{id}"), None).await;
    assert_eq!(update["update"]["status"], "Successful");
    let cluster = world.ok("GET", "/clusters/shop", None).await["cluster"].clone();
    assert_eq!(cluster["status"], "ACTIVE");
    assert_eq!(cluster["resourcesVpcConfig"]["publicAccessCidrs"], json!(["203.0.113.0/24"]));
    assert_eq!(cluster["resourcesVpcConfig"]["endpointPublicAccess"], true);
}

#[tokio::test(start_paused = true)]
async fn the_same_token_is_the_same_update_also_when_it_is_done() {
    let world = World::new().await.with_shop().await;
    let change = json!({ "deletionProtection": true, "clientRequestToken": "t" });
    let first = world.ok("POST", CONFIG, Some(change.clone())).await;
    assert_eq!(world.ok("POST", CONFIG, Some(change.clone())).await, first);
    pass(3).await;
    let again = world.ok("POST", CONFIG, Some(change)).await;
    assert_eq!(again["update"]["id"], first["update"]["id"]);
    assert_eq!(again["update"]["status"], "Successful");
    let upgrade = json!({ "version": "1.35", "clientRequestToken": "u" });
    let first = world.ok("POST", UPDATES, Some(upgrade.clone())).await;
    pass(7).await;
    let again = world.ok("POST", UPDATES, Some(upgrade)).await;
    assert_eq!(again["update"]["id"], first["update"]["id"], "not an update from 1.35 to 1.35");
}

#[tokio::test(start_paused = true)]
async fn changes_that_eks_does_not_take_are_refused() {
    let world = World::new().await.with_shop().await;
    let cases = [
        (json!({}), "InvalidParameterException: The type for cluster update was not provided."),
        (
            json!({ "deletionProtection": true, "upgradePolicy": { "supportType": "STANDARD" } }),
            "InvalidParameterException: Only one type of update can be allowed.",
        ),
        (
            json!({ "resourcesVpcConfig": { "endpointPublicAccess": true, "subnetIds": ["subnet-0a", "subnet-0c"] } }),
            "InvalidParameterException: Only one type of update can be allowed.",
        ),
        (
            json!({ "resourcesVpcConfig": { "endpointPublicAccess": true } }),
            "InvalidParameterException: Cluster is already at the desired configuration with endpointPrivateAccess: \
             false , endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]",
        ),
        (
            json!({ "logging": { "clusterLogging": [{ "types": ["api"], "enabled": false }] } }),
            "InvalidParameterException: No changes needed for the logging config provided",
        ),
        (
            json!({ "accessConfig": { "authenticationMode": "CONFIG_MAP" } }),
            "InvalidParameterException: Unsupported authentication mode update from API to CONFIG_MAP",
        ),
        (
            json!({ "computeConfig": { "enabled": true } }),
            "InvalidParameterException: For EKS Auto Mode, please ensure that all required configs",
        ),
        (
            json!({ "resourcesVpcConfig": { "publicAccessCidrs": ["everywhere"] } }),
            "InvalidParameterException: The following CIDRs are invalid in publicAccessCidrs: [everywhere]",
        ),
        (
            json!({ "resourcesVpcConfig": { "endpointPublicAccess": false } }),
            "InvalidParameterException: Private and public endpoint access cannot both be false.",
        ),
        (
            json!({ "roleArn": "arn:aws:iam::111122223333:role/other" }),
            "InvalidParameterException: The body cannot be read, or names what is not simulated: unknown field `roleArn`",
        ),
    ];
    for (change, expect) in cases {
        let said = world.said("POST", CONFIG, Some(change)).await;
        assert!(said.starts_with(&format!("400 {expect}")), "{said}");
    }
    assert_eq!(world.ok("GET", UPDATES, None).await, json!({ "updateIds": [] }));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_goes_up_one_minor_version_at_a_time_and_its_groups_may_be_three_behind() {
    let world = World::new().await.with_shop().await;
    for (version, expect) in [
        (
            "1.36",
            "400 InvalidParameterException: Unsupported Kubernetes minor version update from 1.34 to 1.36",
        ),
        (
            "1.33",
            "400 InvalidParameterException: Unsupported Kubernetes minor version update from 1.34 to 1.33",
        ),
        ("1.99", "400 InvalidParameterException: unsupported Kubernetes version: 1.99"),
    ] {
        assert_eq!(world.said("POST", UPDATES, Some(json!({ "version": version }))).await, expect);
    }
    let update = world.updated(UPDATES, json!({ "version": "1.35" })).await;
    assert_eq!(
        (&update["status"], &update["type"]),
        (&json!("Successful"), &json!("VersionUpdate"))
    );
    assert_eq!(world.sim.inventory().await[0].version, "1.35");
    assert_eq!(world.ok("GET", GROUP, None).await["nodegroup"]["version"], "1.34");
    world.updated(UPDATES, json!({ "version": "1.36" })).await;
    world
        .sim
        .drift("eu-central-1", "shop", "nodegroups.general.version", json!("1.32"))
        .await
        .expect("drifts");
    world.sim.drift("eu-central-1", "shop", "version", json!("1.35")).await.expect("drifts");
    let said = world.said("POST", UPDATES, Some(json!({ "version": "1.36" }))).await;
    let expect = "400 InvalidRequestException: Nodegroups general must be updated to match cluster version 1.35 \
                  before updating cluster version";
    assert_eq!(said, expect);
}

#[tokio::test(start_paused = true)]
async fn a_group_grows_and_shrinks_and_its_nodes_take_its_labels_and_taints() {
    let world = World::new().await.with_shop().await;
    let before = nodes(&world).await;
    let path = format!("{GROUP}/update-config");
    let change = json!({
        "scalingConfig": { "minSize": 1, "maxSize": 4, "desiredSize": 3 },
        "labels": { "addOrUpdateLabels": { "tier": "web" }, "removeLabels": ["team"] },
        "taints": {
            "addOrUpdateTaints": [{ "key": "spot", "value": "yes", "effect": "NO_EXECUTE" }],
            "removeTaints": [{ "key": "gpu", "effect": "NO_SCHEDULE" }],
        },
    });
    assert_eq!(world.updated(&path, change).await["status"], "Successful");
    let after = nodes(&world).await;
    assert_eq!(after.len(), 3);
    for name in names(&before) {
        assert!(names(&after).contains(&name), "{name} stays");
    }
    for node in &after {
        let labels = &node["metadata"]["labels"];
        assert_eq!((&labels["tier"], &labels["team"]), (&json!("web"), &Value::Null));
        let taint = json!([{ "key": "spot", "value": "yes", "effect": "NoExecute" }]);
        assert_eq!(node["spec"]["taints"], taint);
    }
    let group = world.ok("GET", GROUP, None).await["nodegroup"].clone();
    assert_eq!(group["labels"], json!({ "tier": "web" }));
    let down = json!({ "scalingConfig": { "minSize": 0, "maxSize": 4, "desiredSize": 1 } });
    world.updated(&path, down).await;
    assert_eq!(nodes(&world).await.len(), 1);
    let same = json!({ "scalingConfig": { "desiredSize": 1 } });
    let said = world.said("POST", &path, Some(same)).await;
    assert!(said.starts_with("400 InvalidParameterException: No changes needed"), "{said}");
    let bad = json!({ "scalingConfig": { "desiredSize": 9 } });
    let said = world.said("POST", &path, Some(bad)).await;
    let expect =
        "400 InvalidParameterException: desired capacity 9 can't be greater than max size 4";
    assert_eq!(said, expect);
}

#[tokio::test(start_paused = true)]
async fn another_version_or_image_replaces_all_machines() {
    let world = World::new().await.with_shop().await;
    let path = format!("{GROUP}/update-version");
    let said = world.said("POST", &path, Some(json!({ "version": "1.35" }))).await;
    let expect = "400 InvalidParameterException: Requested Nodegroup version 1.35 is newer than the cluster's 1.34";
    assert_eq!(said, expect);
    world.updated(UPDATES, json!({ "version": "1.35" })).await;
    let before = nodes(&world).await;
    let update = world.ok("POST", &path, Some(json!({ "version": "1.35" }))).await;
    assert_eq!(world.ok("GET", GROUP, None).await["nodegroup"]["status"], "UPDATING");
    assert_eq!(update["update"]["type"], "VersionUpdate");
    pass(6).await;
    let group = world.ok("GET", GROUP, None).await["nodegroup"].clone();
    assert_eq!((&group["version"], &group["status"]), (&json!("1.35"), &json!("ACTIVE")));
    let after = nodes(&world).await;
    assert_eq!(after.len(), 2);
    for node in &after {
        assert!(!names(&before).contains(&node["metadata"]["name"].as_str().expect("a name")));
        assert_eq!(node["status"]["nodeInfo"]["kubeletVersion"], "v1.35.1-eks-sim");
    }
    let release = group["releaseVersion"].as_str().expect("a release").to_owned();
    world.updated(&path, json!({})).await;
    assert_eq!(names(&nodes(&world).await), names(&after), "nothing newer came out");
    assert_eq!(world.sim.release_images().await.expect("stored"), 1);
    world.updated(&path, json!({})).await;
    assert_ne!(names(&nodes(&world).await), names(&after));
    assert_ne!(world.sim.inventory().await[0].nodegroups[0].release, release);
    let said = world.said("POST", &path, Some(json!({ "releaseVersion": release }))).await;
    assert!(said.contains("is older than the current one"), "{said}");
    let said = world.said("POST", &path, Some(json!({ "version": "1.34" }))).await;
    assert!(said.contains("is older than the current version 1.35"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_protected_cluster_is_not_deleted() {
    let world = World::new().await.with_shop().await;
    world.updated(CONFIG, json!({ "deletionProtection": true })).await;
    world.ok("DELETE", GROUP, None).await;
    pass(4).await;
    let said = world.said("DELETE", "/clusters/shop", None).await;
    let expect = "400 InvalidRequestException: Cluster shop cannot be deleted: deletion protection is enabled.";
    assert_eq!(said, expect);
    world.updated(CONFIG, json!({ "deletionProtection": false })).await;
    world.ok("DELETE", "/clusters/shop", None).await;
}

#[tokio::test(start_paused = true)]
async fn an_update_goes_on_over_a_restart() {
    let world = World::new().await.with_shop().await;
    world.ok("POST", UPDATES, Some(json!({ "version": "1.35" }))).await;
    let world = world.restart().await;
    assert_eq!(world.ok("GET", "/clusters/shop", None).await["cluster"]["status"], "UPDATING");
    pass(7).await;
    let world = world.restart().await;
    assert_eq!(world.ok("GET", "/clusters/shop", None).await["cluster"]["version"], "1.35");
}
