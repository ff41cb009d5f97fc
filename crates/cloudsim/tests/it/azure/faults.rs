//! What goes wrong on purpose, and what changes behind everybody's back.

use fleetwright_cloudsim::{Fault, FaultKind, SECRET_ACCESS_KEY};
use serde_json::{Value, json};

use super::{SHOP, SHOP_NAME, aks, web};
use crate::faults::{fault, once};
use crate::fixture::{World, pass};

const POOL: &str = "/resourceGroups/retail/providers/Microsoft.ContainerService/managedClusters/shop/agentPools/web";

#[tokio::test(start_paused = true)]
async fn calls_are_refused_in_azures_words_and_have_no_effect() {
    let world = World::new().await;
    for (kind, expect) in [
        (FaultKind::Throttle, "429 TooManyRequests: "),
        (FaultKind::Quota, "400 QuotaExceeded: "),
        (FaultKind::Denied, "403 AuthorizationFailed: The client '"),
        (FaultKind::ExpiredCredentials, "401 ExpiredAuthenticationToken: "),
    ] {
        let operation = Some("ManagedClusters_CreateOrUpdate".to_owned());
        world.suffers(Fault { operation, ..once(kind) }).await;
        let said = world.arm("PUT", SHOP, Some(aks())).await;
        assert!(said.line().starts_with(expect), "{expect}: {}", said.line());
        assert_eq!(said.header("retry-after"), if said.status == 429 { "1" } else { "" });
        assert_eq!(world.sim.inventory().await, []);
    }
    let scope =
        "over scope '/subscriptions/33333333-3333-4333-8333-333333333333/resourceGroups/retail/";
    world.suffers(Fault { cluster: Some("shop".to_owned()), ..once(FaultKind::Denied) }).await;
    let said = world.arm_said("GET", SHOP, None).await;
    assert!(
        said.contains("'Microsoft.ContainerService/managedClusters/read'") && said.contains(scope),
        "{said}"
    );
    let operation = Some("Entra_Token".to_owned());
    world.suffers(Fault { operation, ..once(FaultKind::ExpiredCredentials) }).await;
    let said = world.token_for("any", "any", "any").await;
    assert_eq!(said.body["error_codes"], json!([7_000_222]));
    assert_eq!(world.sim.faults().await, []);
    world.arm_ok("PUT", SHOP, Some(aks())).await;
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_has_had_its_effect() {
    let world = World::new().await;
    let cluster = Some(SHOP_NAME.to_owned());
    world.suffers(Fault { cluster, ..once(FaultKind::LostAnswer) }).await;
    assert_eq!(world.arm("PUT", SHOP, Some(aks())).await.status, 504);
    assert_eq!(world.sim.inventory().await.len(), 1);
    assert_eq!(
        world.arm_ok("GET", SHOP, None).await["properties"]["provisioningState"],
        "Creating"
    );
}

#[tokio::test(start_paused = true)]
async fn news_of_something_made_or_deleted_comes_late() {
    let world = World::new().await;
    world.suffers(fault(FaultKind::Stale { seconds: 3 })).await;
    world.arm_ok("PUT", SHOP, Some(aks())).await;
    assert_eq!(world.arm("GET", SHOP, None).await.status, 404);
    let list = "/providers/Microsoft.ContainerService/managedClusters";
    assert_eq!(world.arm_ok("GET", list, None).await, json!({ "value": [] }));
    pass(3).await;
    assert_eq!(world.arm("GET", SHOP, None).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn an_operation_that_fails_leaves_the_goal_and_is_repaired_by_putting_it_again() {
    let world = World::new().await.with_aks().await;
    world.suffers(once(FaultKind::UpdateFails)).await;
    let upgrade =
        json!({ "location": "westeurope", "properties": { "kubernetesVersion": "1.34" } });
    let failed = world.arm_done("PUT", SHOP, Some(upgrade)).await;
    assert_eq!(
        (&failed["status"], &failed["error"]["code"]),
        (&json!("Failed"), &json!("ControlPlaneAddOnsNotReady"))
    );
    let cluster = world.arm_ok("GET", SHOP, None).await;
    let properties = &cluster["properties"];
    assert_eq!(properties["provisioningState"], "Failed");
    assert_eq!(properties["status"]["provisioningError"]["code"], "ControlPlaneAddOnsNotReady");
    assert_eq!(properties["kubernetesVersion"], "1.34");
    assert_eq!(properties["currentKubernetesVersion"], "1.33.2");
    assert_eq!(world.arm_done("PUT", SHOP, Some(cluster.clone())).await["status"], "Succeeded");
    let properties = world.arm_ok("GET", SHOP, None).await["properties"].clone();
    assert_eq!(properties["currentKubernetesVersion"], "1.34.2");
    assert_eq!(properties.get("status"), None);
}

#[tokio::test(start_paused = true)]
async fn machines_that_cannot_be_had_fail_what_needs_them_until_it_is_put_again() {
    let world = World::new().await.with_aks().await;
    let capacity = Fault { pool: Some("front".to_owned()), ..fault(FaultKind::Capacity) };
    world.suffers(capacity).await;
    let failed = world.arm_done("PUT", POOL, Some(web())).await;
    assert_eq!(failed["error"]["code"], "AllocationFailed", "the declared name of web is front");
    let pool = world.arm_ok("GET", POOL, None).await["properties"].clone();
    assert_eq!(pool["provisioningState"], "Failed");
    assert_eq!(pool["status"]["provisioningError"]["code"], "AllocationFailed");
    assert_eq!(world.sim.inventory().await[0].nodegroups[1].machines, 0);
    let more = json!({ "properties": { "count": 4 } });
    let sys = POOL.replace("web", "sys");
    assert_eq!(
        world.arm_done("PUT", &sys, Some(more)).await["status"],
        "Succeeded",
        "others are not hit"
    );
    world.heals().await;
    pass(60).await;
    let state = world.arm_ok("GET", POOL, None).await["properties"]["provisioningState"].clone();
    assert_eq!(state, "Failed", "nothing repairs itself");
    assert_eq!(
        world.arm_done("PUT", POOL, Some(json!({ "properties": {} }))).await["status"],
        "Succeeded"
    );
    assert_eq!(world.sim.inventory().await[0].nodegroups[1].machines, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_machines_never_comes_up_but_can_be_put_again_or_deleted() {
    let world = World::new().await;
    world.suffers(fault(FaultKind::Capacity)).await;
    assert_eq!(world.arm_done("PUT", SHOP, Some(aks())).await["status"], "Failed");
    let cluster = world.arm_ok("GET", SHOP, None).await;
    assert_eq!(cluster["properties"].get("fqdn"), None);
    assert!(world.sim.member("westeurope", SHOP_NAME).is_none());
    world.heals().await;
    assert_eq!(world.arm_done("PUT", SHOP, Some(cluster)).await["status"], "Succeeded");
    assert!(world.sim.member("westeurope", SHOP_NAME).is_some());
    let operation = Some("ManagedClusters_Delete".to_owned());
    world.suffers(Fault { operation, ..once(FaultKind::UpdateFails) }).await;
    let failed = world.arm_done("DELETE", SHOP, None).await;
    assert_eq!(failed["error"]["code"], "DeleteResourceGroupError");
    let state = world.arm_ok("GET", SHOP, None).await["properties"]["provisioningState"].clone();
    assert_eq!(state, "Failed");
    assert_eq!(world.arm_done("DELETE", SHOP, None).await["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn a_blocked_upgrade_needs_force() {
    let world = World::new().await.with_aks().await;
    let cluster = Some("shop".to_owned());
    world.suffers(Fault { cluster, ..fault(FaultKind::UpgradeBlocked) }).await;
    let mut upgrade =
        json!({ "location": "westeurope", "properties": { "kubernetesVersion": "1.34" } });
    let said = world.arm_said("PUT", SHOP, Some(upgrade.clone())).await;
    assert!(said.starts_with("400 ValidationError: Control Plane upgrade is blocked"), "{said}");
    upgrade["properties"]["upgradeSettings"] =
        json!({ "overrideSettings": { "forceUpgrade": true } });
    assert_eq!(world.arm_done("PUT", SHOP, Some(upgrade)).await["status"], "Succeeded");
}

#[tokio::test(start_paused = true)]
async fn what_drifts_is_seen_at_once_and_only_what_aks_could_hold_drifts() {
    let world = World::new().await.with_aks().await;
    world.arm_done("PUT", POOL, Some(web())).await;
    let drift = |path: &'static str, value: Value| {
        let sim = world.sim.clone();
        async move {
            let drifted = sim.drift("westeurope", SHOP_NAME, path, value).await;
            drifted.map_err(|error| error.to_string())
        }
    };
    for (path, value) in [
        ("properties.apiServerAccessProfile.authorizedIPRanges", json!(["198.51.100.0/24"])),
        ("tags.fleetwright.dev/uid", Value::Null),
        ("tags.team", json!("web")),
        ("sku.tier", json!("standard")),
        ("properties.kubernetesVersion", json!("1.34")),
        ("agentPools.web.properties.nodeLabels.tier", json!("web")),
        ("agentPools.web.properties.count", json!(3)),
        ("agentPools.web.properties.tags.fleetwright.dev/pool", json!("other")),
    ] {
        assert_eq!(drift(path, value).await, Ok(()), "{path}");
    }
    let cluster = world.arm_ok("GET", SHOP, None).await;
    assert_eq!(cluster["tags"], json!({ "team": "web" }));
    assert_eq!(cluster["sku"]["tier"], "Standard");
    let properties = &cluster["properties"];
    let ranges = &properties["apiServerAccessProfile"]["authorizedIPRanges"];
    assert_eq!(ranges, &json!(["198.51.100.0/24"]));
    assert_eq!(properties["currentKubernetesVersion"], "1.34.2");
    let pool = world.arm_ok("GET", POOL, None).await["properties"].clone();
    assert_eq!(
        (&pool["count"], &pool["tags"]["fleetwright.dev_pool"]),
        (&json!(3), &json!("other"))
    );
    assert_eq!(world.sim.inventory().await[0].nodegroups[1].machines, 3);

    let refused = drift("properties.colour", json!("red")).await.expect_err("unknown");
    assert!(refused.contains("unknown field \"properties.colour\""), "{refused}");
    let name = SHOP_NAME.replace("shop", "other");
    let elsewhere = world.sim.drift("westeurope", &name, "tags.a", json!("b")).await;
    assert!(elsewhere.expect_err("missing").to_string().contains("no cluster 33333333"));
    assert_eq!(drift("agentPools.web", Value::Null).await, Ok(()));
    assert_eq!(world.sim.inventory().await[0].nodegroups.len(), 1);

    let body =
        json!({ "region": "westeurope", "name": SHOP_NAME, "path": "tags.team", "value": "x" });
    assert_eq!(world.control("POST", "drift", SECRET_ACCESS_KEY, body).await, (200, json!({})));
    assert_eq!(world.sim.inventory().await[0].tags["team"], "x");
}
