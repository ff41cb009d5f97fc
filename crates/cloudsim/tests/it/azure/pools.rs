//! Agent pools and their machines.

use fleetwright_apiserver::ResourceRef;
use serde_json::{Value, json};

use super::{SHOP, SHOP_NAME, web};
use crate::fixture::{World, pass};

const POOL: &str = "/resourceGroups/retail/providers/Microsoft.ContainerService/managedClusters/shop/agentPools/web";
const SYS: &str = "/resourceGroups/retail/providers/Microsoft.ContainerService/managedClusters/shop/agentPools/sys";

impl World {
    /// The Node objects of `shop` that belong to a pool.
    async fn machines(&self, pool: &str) -> Vec<Value> {
        let member = self.sim.member("westeurope", SHOP_NAME).expect("a member");
        let nodes = member.list(&ResourceRef::new("", "v1", "nodes"), None).await;
        let own = nodes
            .iter()
            .filter(|node| node["metadata"]["labels"]["kubernetes.azure.com/agentpool"] == pool);
        own.map(|node| (**node).clone()).collect()
    }

    async fn change(&self, path: &str, properties: Value) -> Value {
        let done = self.arm_done("PUT", path, Some(json!({ "properties": properties }))).await;
        assert_eq!(done["status"], "Succeeded", "{done}");
        self.arm_ok("GET", path, None).await["properties"].clone()
    }
}

#[tokio::test(start_paused = true)]
async fn a_pool_has_a_node_for_every_machine_with_its_labels_and_taints() {
    let world = World::new().await.with_aks().await;
    let begun = world.arm("PUT", POOL, Some(web())).await;
    assert_eq!(
        (begun.status, &begun.body["properties"]["provisioningState"]),
        (201, &json!("Creating"))
    );
    pass(4).await;
    let pool = world.change(POOL, json!({ "count": 3 })).await;
    assert_eq!((&pool["count"], &pool["orchestratorVersion"]), (&json!(3), &json!("1.33")));
    assert_eq!(pool["nodeLabels"], json!({ "team": "web" }), "what is not said stays");
    assert_eq!(pool["maxPods"], 250);
    let machines = world.machines("web").await;
    assert_eq!(machines.len(), 3);
    let labels = &machines[0]["metadata"]["labels"];
    assert_eq!((&labels["agentpool"], &labels["team"]), (&json!("web"), &json!("web")));
    assert_eq!(labels["kubernetes.azure.com/mode"], "user");
    let taints = &machines[0]["spec"]["taints"];
    assert_eq!(taints, &json!([{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }]));
    assert_eq!(machines[0]["status"]["nodeInfo"]["kubeletVersion"], "v1.33.2");

    world.change(POOL, json!({ "nodeLabels": {}, "nodeTaints": [], "count": 1 })).await;
    let machines = world.machines("web").await;
    assert_eq!((machines.len(), machines[0]["metadata"]["labels"].get("team")), (1, None));
    assert_eq!(machines[0]["spec"].get("taints"), None);
    world.arm_done("DELETE", POOL, None).await;
    assert_eq!(world.machines("web").await.len(), 0);
    assert_eq!(world.machines("sys").await.len(), 2);
    assert_eq!(world.arm("DELETE", POOL, None).await.status, 204);
}

#[tokio::test(start_paused = true)]
async fn an_autoscaled_pool_has_bounds_that_go_when_it_is_no_more() {
    let world = World::new().await.with_aks().await;
    let mut scaled = web();
    scaled["properties"]["enableAutoScaling"] = json!(true);
    let said = world.arm_said("PUT", POOL, Some(scaled.clone())).await;
    assert!(said.contains("web.minCount is invalid: it and maxCount are needed"), "{said}");
    for (field, value) in [("minCount", 1), ("maxCount", 5)] {
        scaled["properties"][field] = json!(value);
    }
    let pool = world.change(POOL, scaled["properties"].clone()).await;
    assert_eq!((&pool["minCount"], &pool["maxCount"]), (&json!(1), &json!(5)));
    assert_eq!(world.sim.inventory().await[0].nodegroups[1].size, (1, 1, 5));
    let pool = world.change(POOL, json!({ "minCount": 3 })).await;
    assert_eq!(pool["count"], 3, "the autoscaler sees to it");
    let both =
        json!({ "properties": { "enableAutoScaling": false, "minCount": 1, "maxCount": 5 } });
    let said = world.arm_said("PUT", POOL, Some(both)).await;
    assert!(said.contains("cannot be set when enableAutoScaling is false"), "{said}");
    let fixed =
        json!({ "enableAutoScaling": false, "minCount": null, "maxCount": null, "count": 2 });
    let pool = world.change(POOL, fixed).await;
    assert_eq!((pool.get("minCount"), &pool["count"]), (None, &json!(2)));
}

#[tokio::test(start_paused = true)]
async fn a_spot_pool_gets_the_label_and_taint_of_spot() {
    let world = World::new().await.with_aks().await;
    let mut spot = web();
    spot["properties"]["scaleSetPriority"] = json!("spot");
    let pool = world.change(POOL, spot["properties"].clone()).await;
    assert_eq!((&pool["scaleSetPriority"], &pool["spotMaxPrice"]), (&json!("Spot"), &json!(-1.0)));
    let priority = "kubernetes.azure.com/scalesetpriority";
    assert_eq!(pool["nodeLabels"], json!({ "team": "web", priority: "spot" }));
    let taints = json!(["gpu=yes:NoSchedule", format!("{priority}=spot:NoSchedule")]);
    assert_eq!(pool["nodeTaints"], taints);
}

#[tokio::test(start_paused = true)]
async fn a_newer_image_replaces_all_machines() {
    let world = World::new().await.with_aks().await;
    let before = world.machines("sys").await;
    world.sim.release_images().await.expect("stored");
    let profile = world.arm_ok("GET", &format!("{SYS}/upgradeProfiles/default"), None).await;
    let latest = "AKSUbuntu-2204gen2containerd-202611.23.0";
    assert_eq!(profile["properties"]["latestNodeImageVersion"], latest);
    let begun = world.arm("POST", &format!("{SYS}/upgradeNodeImageVersion"), None).await;
    assert_eq!(begun.status, 202);
    let state = world.arm_ok("GET", SYS, None).await["properties"]["provisioningState"].clone();
    assert_eq!(state, "UpgradingNodeImageVersion");
    pass(6).await;
    let pool = world.arm_ok("GET", SYS, None).await["properties"].clone();
    assert_eq!(pool["nodeImageVersion"], latest);
    let name = |node: &Value| node["metadata"]["name"].clone();
    let old: Vec<Value> = before.iter().map(name).collect();
    let now = world.machines("sys").await;
    assert!(now.len() == 2 && now.iter().all(|node| !old.contains(&name(node))));
}

#[tokio::test(start_paused = true)]
async fn pools_may_change_at_the_same_time() {
    let world = World::new().await.with_aks().await;
    world.arm_ok("PUT", POOL, Some(web())).await;
    let other = POOL.replace("web", "other");
    world.arm_ok("PUT", &other, Some(web())).await;
    let said = world.arm_said("PUT", POOL, Some(web())).await;
    assert!(said.starts_with("409 OperationNotAllowed: "), "{said}");
    let listed = world.arm_ok("GET", &format!("{SHOP}/agentPools"), None).await;
    assert_eq!(listed["value"].as_array().map(Vec::len), Some(3));
}
