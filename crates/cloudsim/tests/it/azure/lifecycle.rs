//! Clusters come, change and go.

use serde_json::{Value, json};

use super::{Ask, SHOP, SHOP_NAME, aks, arm_url, web};
use crate::fixture::{World, pass};

#[tokio::test(start_paused = true)]
async fn a_cluster_is_created_by_an_operation_and_completed_in_azures_own_way() {
    let world = World::new().await;
    let begun = world.arm("PUT", SHOP, Some(aks())).await;
    assert_eq!((begun.status, begun.header("retry-after").as_str()), (201, "5"));
    assert_eq!(begun.body["properties"]["provisioningState"], "Creating");
    assert_eq!(begun.body["properties"].get("fqdn"), None);
    let url = begun.header("azure-asyncoperation");
    let start = "https://azure.simulated/cloud/azure/subscriptions/33333333-3333-4333-8333-333333333333/providers/Microsoft.ContainerService/locations/westeurope/operations/";
    assert!(url.starts_with(start), "{url}");
    assert_eq!(world.operation(&begun).await["status"], "InProgress");
    assert!(world.sim.member("westeurope", SHOP_NAME).is_none());
    pass(8).await;
    assert_eq!(world.operation(&begun).await["status"], "Succeeded");

    let cluster = world.arm_ok("GET", SHOP, None).await;
    let properties = &cluster["properties"];
    assert_eq!(cluster["location"], "westeurope");
    assert_eq!(cluster["sku"], json!({ "name": "Base", "tier": "Free" }));
    let id = cluster["id"].as_str().expect("an id");
    assert!(id.contains("/resourcegroups/retail/"), "{id}");
    assert_eq!(properties["provisioningState"], "Succeeded");
    assert_eq!(properties["kubernetesVersion"], "1.33");
    assert_eq!(properties["currentKubernetesVersion"], "1.33.2");
    assert_eq!(properties["networkProfile"]["networkPlugin"], "azure");
    assert_eq!(properties["networkProfile"]["networkPluginMode"], "overlay");
    assert_eq!(properties["nodeResourceGroup"], "MC_retail_shop_westeurope");
    let fqdn = properties["fqdn"].as_str().expect("a name");
    assert!(fqdn.starts_with("shop-") && fqdn.ends_with(".hcp.westeurope.azmk8s.io"), "{fqdn}");
    let pool = &properties["agentPoolProfiles"][0];
    assert_eq!((&pool["name"], &pool["count"]), (&json!("sys"), &json!(2)));
    assert_eq!(pool["nodeImageVersion"], "AKSUbuntu-2204gen2containerd-202611.22.0");
    assert_eq!(
        pool["tags"],
        json!({ "fleetwright.dev_pool": "system", "aks-managed-poolName": "sys" })
    );
    let seen = world.sim.inventory().await.remove(0);
    assert_eq!(
        (seen.cloud, seen.name.as_str(), seen.region.as_str()),
        ("aks", SHOP_NAME, "westeurope")
    );
    assert_eq!(seen.tags["fleetwright.dev/uid"], "abc");
    assert_eq!(
        (seen.nodegroups[0].machines, seen.nodegroups[0].tags["fleetwright.dev/pool"].as_str()),
        (2, "system")
    );
    assert!(world.sim.member("westeurope", SHOP_NAME).is_some());
}

#[tokio::test(start_paused = true)]
async fn what_is_read_can_be_put_again_and_changes_nothing() {
    let world = World::new().await.with_aks().await;
    let mut before = world.arm_ok("GET", SHOP, None).await;
    let done = world.arm_done("PUT", SHOP, Some(before.clone())).await;
    assert_eq!(done["status"], "Succeeded", "{done}");
    let mut after = world.arm_ok("GET", SHOP, None).await;
    for cluster in [&mut before, &mut after] {
        cluster["eTag"] = Value::Null;
        cluster["properties"]["agentPoolProfiles"][0]["eTag"] = Value::Null;
    }
    assert_eq!(before, after);
}

#[tokio::test(start_paused = true)]
async fn unknown_profiles_are_kept_and_what_is_not_said_stays() {
    let world = World::new().await.with_aks().await;
    let change = json!({
        "location": "westeurope", "tags": { "a": "b" },
        "properties": {
            "httpProxyConfig": { "httpProxy": "http://proxy", "noProxy": ["x"] },
            "autoScalerProfile": { "scan-interval": "20s" },
        },
    });
    assert_eq!(world.arm_done("PUT", SHOP, Some(change)).await["status"], "Succeeded");
    let cluster = world.arm_ok("GET", SHOP, None).await;
    let properties = &cluster["properties"];
    assert_eq!(properties["httpProxyConfig"]["noProxy"], json!(["x"]));
    assert_eq!(properties["autoScalerProfile"]["scan-interval"], "20s");
    assert_eq!(properties["autoScalerProfile"]["expander"], "random");
    assert_eq!(properties["dnsPrefix"], "shop");
    assert_eq!(cluster["tags"], json!({ "a": "b" }));
}

#[tokio::test(start_paused = true)]
async fn etags_guard_changes() {
    let world = World::new().await.with_aks().await;
    let guarded = |name: &'static str, value: String| {
        let headers = vec![(name, value)];
        world.ask(Ask { method: "PUT", path: arm_url(SHOP), body: Some(aks()), headers })
    };
    let etag = world.arm_ok("GET", SHOP, None).await["eTag"].as_str().expect("an etag").to_owned();
    assert_eq!(guarded("if-none-match", "*".to_owned()).await.status, 412);
    assert_eq!(guarded("if-match", "\"other\"".to_owned()).await.status, 412);
    assert_eq!(guarded("if-match", format!("\"{etag}\"")).await.status, 200);
    let busy = guarded("if-match", etag).await;
    assert_eq!(busy.status, 412, "the operation has changed it");
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_goes_up_by_one_minor_and_its_pools_follow() {
    let world = World::new().await.with_aks().await;
    let upgrades = world.arm_ok("GET", &format!("{SHOP}/upgradeProfiles/default"), None).await;
    let offered = &upgrades["properties"]["controlPlaneProfile"]["upgrades"];
    assert_eq!(offered[0]["kubernetesVersion"], "1.34.1");
    let version = |version: &str| json!({ "location": "westeurope", "properties": { "kubernetesVersion": version } });
    let said = world.arm_said("PUT", SHOP, Some(version("1.35"))).await;
    assert!(
        said.starts_with("400 OperationNotAllowed: Upgrading Kubernetes version 1.33.2 to 1.35.2"),
        "{said}"
    );
    let begun = world.arm("PUT", SHOP, Some(version("1.34"))).await;
    let properties = &begun.body["properties"];
    assert_eq!(properties["provisioningState"], "Upgrading");
    assert_eq!(properties["kubernetesVersion"], "1.34");
    assert_eq!(properties["currentKubernetesVersion"], "1.33.2");
    pass(8).await;
    let properties = world.arm_ok("GET", SHOP, None).await["properties"].clone();
    assert_eq!(properties["currentKubernetesVersion"], "1.34.2");
    assert_eq!(properties["agentPoolProfiles"][0]["currentOrchestratorVersion"], "1.33.2");

    let pool = format!("{SHOP}/agentPools/sys");
    let upgrade = json!({ "properties": { "orchestratorVersion": "1.34" } });
    let begun = world.arm("PUT", &pool, Some(upgrade)).await;
    assert_eq!(begun.body["properties"]["provisioningState"], "Upgrading");
    pass(8).await;
    let properties = world.arm_ok("GET", &pool, None).await["properties"].clone();
    assert_eq!(properties["currentOrchestratorVersion"], "1.34.2");
}

#[tokio::test(start_paused = true)]
async fn one_operation_at_a_time() {
    let world = World::new().await.with_aks().await;
    let tags = json!({ "tags": { "fleetwright.dev_uid": "abc", "team": "x" } });
    let begun = world.arm("PATCH", SHOP, Some(tags.clone())).await;
    assert_eq!((begun.status, &begun.body["tags"]["team"]), (200, &json!("x")));
    let busy = "409 OperationNotAllowed: Operation is not allowed: Another operation (Updating) is in progress on \
                cluster shop, please wait";
    for (method, path, body) in [
        ("PATCH", SHOP.to_owned(), Some(tags)),
        ("PUT", SHOP.to_owned(), Some(aks())),
        ("DELETE", SHOP.to_owned(), None),
        ("PUT", format!("{SHOP}/agentPools/web"), Some(web())),
        ("DELETE", format!("{SHOP}/agentPools/sys"), None),
    ] {
        let said = world.arm_said(method, &path, body).await;
        assert!(said.starts_with(busy), "{method} {path}: {said}");
    }
    pass(4).await;
    world.arm_ok("PUT", &format!("{SHOP}/agentPools/web"), Some(web())).await;
    let said = world.arm_said("PUT", SHOP, Some(aks())).await;
    assert!(said.starts_with("409 OperationNotAllowed"), "{said}");
    assert!(said.contains("(Creating) is in progress on node pool web"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn a_deleted_cluster_is_gone_with_its_member_and_its_operation_can_be_asked_after() {
    let world = World::new().await.with_aks().await;
    let node_group = "/resourceGroups/MC_retail_shop_westeurope";
    let group = world.arm_ok("GET", node_group, None).await;
    assert!(group["managedBy"].as_str().is_some_and(|id| id.ends_with("/managedClusters/shop")));
    let begun = world.arm("DELETE", SHOP, None).await;
    assert_eq!(begun.status, 202);
    let again = world.arm("DELETE", SHOP, None).await;
    assert_eq!(again.header("azure-asyncoperation"), begun.header("azure-asyncoperation"));
    let location = || {
        let path = begun.header("location");
        world.ask(Ask { method: "GET", path, body: None, headers: Vec::new() })
    };
    assert_eq!(location().await.status, 202);
    pass(6).await;
    assert_eq!(world.operation(&begun).await["status"], "Succeeded");
    assert_eq!(location().await.status, 204);
    let said = world.arm_said("GET", SHOP, None).await;
    assert!(
        said.starts_with(
            "404 ResourceNotFound: The Resource 'Microsoft.ContainerService/managedClusters/shop'"
        ),
        "{said}"
    );
    assert_eq!(world.arm("DELETE", SHOP, None).await.status, 204);
    assert!(world.sim.member("westeurope", SHOP_NAME).is_none());
    assert!(world.arm_said("GET", node_group, None).await.starts_with("404 ResourceGroupNotFound"));
    assert!(world.sim.inventory().await.is_empty());
    assert_eq!(world.sim.orphans().await, Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn lists_come_in_pages_by_group_and_by_subscription() {
    let world = World::new().await;
    for n in 0..12 {
        let group = if n < 2 { "retail" } else { "Other" };
        let path = format!(
            "/resourceGroups/{group}/providers/Microsoft.ContainerService/managedClusters/c{n:02}"
        );
        world.arm_ok("PUT", &path, Some(aks())).await;
    }
    let list = "/providers/Microsoft.ContainerService/managedClusters";
    let first = world.arm_ok("GET", list, None).await;
    assert_eq!(first["value"].as_array().map(Vec::len), Some(10));
    let next = first["nextLink"].as_str().expect("more").to_owned();
    let rest = world.ask(Ask { method: "GET", path: next, body: None, headers: Vec::new() }).await;
    assert_eq!(rest.body["value"].as_array().map(Vec::len), Some(2));
    assert_eq!(rest.body.get("nextLink"), None);
    let group = world.arm_ok("GET", &format!("/resourceGroups/RETAIL{list}"), None).await;
    assert_eq!(group["value"].as_array().map(Vec::len), Some(2));
}

#[tokio::test(start_paused = true)]
async fn everything_survives_a_restart_even_half_way() {
    let world = World::new().await.with_aks().await;
    let schedule = format!("{SHOP}/maintenanceConfigurations/aksManagedAutoUpgradeSchedule");
    let window = json!({ "properties": { "maintenanceWindow": {
        "schedule": { "weekly": { "intervalWeeks": 1, "dayOfWeek": "Sunday" } },
        "durationHours": 4, "startTime": "02:00",
    } } });
    assert_eq!(world.arm("PUT", &schedule, Some(window.clone())).await.status, 201);
    assert_eq!(world.arm("PUT", &schedule, Some(window)).await.status, 200);
    let begun = world.arm("PUT", &format!("{SHOP}/agentPools/web"), Some(web())).await;
    let world = world.restart().await;
    assert_eq!(world.operation(&begun).await["status"], "InProgress");
    pass(4).await;
    assert_eq!(world.operation(&begun).await["status"], "Succeeded");
    let kept = world.arm_ok("GET", &schedule, None).await;
    assert_eq!(kept["properties"]["maintenanceWindow"]["utcOffset"], "+00:00");
    assert_eq!(
        world.sim.inventory().await[0].maintenance_configurations,
        ["aksManagedAutoUpgradeSchedule"]
    );
    assert_eq!(world.arm("DELETE", &schedule, None).await.status, 200);
    assert_eq!(world.arm("DELETE", &schedule, None).await.status, 204);
    assert_eq!(world.sim.inventory().await[0].nodegroups.len(), 2);
    assert!(world.sim.member("westeurope", SHOP_NAME).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_network_may_become_an_overlay_with_cilium_and_nothing_else() {
    let world = World::new().await;
    let mut plain = aks();
    plain["properties"]["networkProfile"] = json!({ "networkPlugin": "azure" });
    assert_eq!(world.arm_done("PUT", SHOP, Some(plain)).await["status"], "Succeeded");
    let network = |network: Value| json!({ "location": "westeurope", "properties": { "networkProfile": network } });
    let overlay = network(json!({ "networkPluginMode": "overlay" }));
    assert_eq!(world.arm_done("PUT", SHOP, Some(overlay)).await["status"], "Succeeded");
    let cilium = json!({ "networkDataplane": "cilium", "networkPolicy": "cilium" });
    assert_eq!(world.arm_done("PUT", SHOP, Some(network(cilium))).await["status"], "Succeeded");
    let profile = world.arm_ok("GET", SHOP, None).await["properties"]["networkProfile"].clone();
    assert_eq!(profile["podCidr"], "10.244.0.0/16");
    let back = network(json!({ "networkDataplane": "azure", "networkPolicy": "none" }));
    let said = world.arm_said("PUT", SHOP, Some(back)).await;
    let path = "properties.networkProfile.networkDataplane";
    assert_eq!(
        said,
        format!("400 PropertyChangeNotAllowed: Changing property '{path}' is not allowed.")
    );
}
