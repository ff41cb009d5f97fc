//! What Azure refuses, with its words.

use serde_json::{Value, json};

use super::{Ask, SHOP, aks, arm_url, web};
use crate::fixture::World;

const POOL: &str = "/resourceGroups/retail/providers/Microsoft.ContainerService/managedClusters/shop/agentPools/web";

fn with(path: &str, value: Value) -> Value {
    let mut body = aks();
    *body.pointer_mut(path).expect("a place") = value;
    body
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_of_the_wrong_place_is_refused() {
    let world = World::new().await;
    let other = arm_url(SHOP).replace("33333333-3333", "44444444-3333");
    let said = world.ask(Ask { method: "GET", path: other, body: None, headers: Vec::new() }).await;
    assert!(said.line().starts_with("404 SubscriptionNotFound: "), "{}", said.line());
    let old = arm_url(SHOP).replace("2026-03-01", "2023-01-02-preview");
    let said = world.ask(Ask { method: "GET", path: old, body: None, headers: Vec::new() }).await;
    let expect = "400 InvalidApiVersionParameter: The api-version '2023-01-02-preview' is invalid. The supported \
                  versions are '2026-03-01'.";
    assert_eq!(said.line(), expect);
    let missing = SHOP.replace("retail", "Missing-group");
    let said = world.arm_said("PUT", &missing, Some(aks())).await;
    assert_eq!(
        said,
        "404 ResourceGroupNotFound: Resource group 'Missing-group' could not be found."
    );
    let said = world.arm_said("POST", &format!("{SHOP}/rotateClusterCertificates"), None).await;
    assert!(said.starts_with("400 NoRegisteredProviderFound: "), "{said}");
}

#[tokio::test(start_paused = true)]
async fn clusters_that_cannot_be_are_refused_and_nothing_is_made() {
    let world = World::new().await;
    let mut no_place = aks();
    no_place.as_object_mut().expect("an object").remove("location");
    for (body, expect) in [
        (no_place, "400 LocationRequired"),
        (
            with("/properties/dnsPrefix", Value::Null),
            "400 InvalidParameter: Required parameter dnsPrefix",
        ),
        (with("/properties/kubernetesVersion", json!("1.20")), "400 K8sVersionNotSupported"),
        (with("/properties/agentPoolProfiles", json!([])), "400 MustDefineAtLeastOneSystemPool"),
        (
            with("/properties/agentPoolProfiles/0/mode", json!("User")),
            "400 MustDefineAtLeastOneSystemPool",
        ),
        (
            with("/properties/agentPoolProfiles/0/name", json!("Sys-1")),
            "400 InvalidParameter: The value of parameter Sys-1.name",
        ),
        (
            with("/properties/agentPoolProfiles/0/vmSize", json!("huge")),
            "400 BadRequest: The VM size of 'huge'",
        ),
        (with("/tags", json!({ "fleetwright.dev/uid": "a" })), "400 InvalidTagNameCharacters"),
        (
            with("/identity", json!({ "type": "UserAssigned" })),
            "400 InvalidParameter: The value of parameter identity.user",
        ),
        (
            with("/properties", json!({ "dnsPrefx": "x" })),
            "400 UnmarshalError: UnmarshalEntity encountered error: json: unknown field \"properties.dnsPrefx\".",
        ),
        (
            with("/properties/networkProfile", json!({ "networkPlugin": "azure", "colour": 1 })),
            "400 UnmarshalError: UnmarshalEntity encountered error: json: unknown field \"properties.networkProfile.colour\".",
        ),
    ] {
        let said = world.arm_said("PUT", SHOP, Some(body)).await;
        assert!(said.starts_with(expect), "{expect}: {said}");
    }
    let name = SHOP.replace("shop", "-shop");
    assert!(world.arm_said("PUT", &name, Some(aks())).await.starts_with("400 InvalidParameter"));
    assert_eq!(world.sim.inventory().await, []);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_become_anything_else_is_refused_by_its_name() {
    let world = World::new().await.with_aks().await;
    let change = |properties: Value| json!({ "location": "westeurope", "properties": properties });
    for (properties, path) in [
        (json!({ "dnsPrefix": "other" }), "properties.dnsPrefix"),
        (json!({ "nodeResourceGroup": "other" }), "properties.nodeResourceGroup"),
        (
            json!({ "networkProfile": { "serviceCidr": "10.0.0.0/20" } }),
            "properties.networkProfile.serviceCidr",
        ),
        (
            json!({ "networkProfile": { "podCidr": "10.245.0.0/16" } }),
            "properties.networkProfile.podCidr",
        ),
        (
            json!({ "apiServerAccessProfile": { "enablePrivateCluster": true } }),
            "properties.apiServerAccessProfile.enablePrivateCluster",
        ),
    ] {
        let said = world.arm_said("PUT", SHOP, Some(change(properties))).await;
        let expect =
            format!("400 PropertyChangeNotAllowed: Changing property '{path}' is not allowed.");
        assert_eq!(said, expect);
    }
    let mut moved = aks();
    moved["location"] = json!("northeurope");
    let said = world.arm_said("PUT", SHOP, Some(moved)).await;
    assert!(said.starts_with("409 InvalidResourceLocation: "), "{said}");
    let said = world.arm_said("PUT", SHOP, Some(change(json!({ "agentPoolProfiles": [] })))).await;
    assert!(said.contains("does not have the agent pool 'sys', which is there"), "{said}");
}

#[tokio::test(start_paused = true)]
async fn pools_that_cannot_be_are_refused() {
    let world = World::new().await.with_aks().await;
    let pool = |field: &str, value: Value| {
        let mut body = web();
        body["properties"][field] = value;
        Some(body)
    };
    for (body, expect) in [
        (pool("orchestratorVersion", json!("1.34")), "400 NodePoolMcVersionIncompatible"),
        (pool("orchestratorVersion", json!("1.20")), "400 AgentPoolK8sVersionNotSupported"),
        (
            pool("osType", json!("Windows")),
            "400 InvalidParameter: The value of parameter web.osSKU",
        ),
        (
            pool("nodeTaints", json!(["gpu"])),
            "400 InvalidParameter: The value of parameter web.nodeTaints",
        ),
        (
            pool("count", json!(1001)),
            "400 InvalidParameter: The value of parameter properties.count",
        ),
        (pool("colour", json!("red")), "400 UnmarshalError"),
        (
            pool("upgradeSettings", json!({ "maxSurge": "1", "maxUnavailable": "1" })),
            "400 InvalidParameter: The value of parameter web.upgradeSettings is invalid: it has both",
        ),
    ] {
        let body = body.map(|mut body| {
            if body["properties"]["osType"] == "Windows" {
                body["properties"]["osSKU"] = json!("Ubuntu");
            }
            body
        });
        let said = world.arm_said("PUT", POOL, body).await;
        assert!(said.starts_with(expect), "{expect}: {said}");
    }
    let long = POOL.replace("/web", "/averylongname");
    assert!(world.arm_said("PUT", &long, Some(web())).await.starts_with("400 InvalidParameter"));
    let sys = POOL.replace("/web", "/sys");
    let said = world.arm_said("DELETE", &sys, None).await;
    assert!(
        said.starts_with("400 OperationNotAllowed: Agent pool 'sys' cannot be deleted"),
        "{said}"
    );
    let user = json!({ "properties": { "mode": "User" } });
    assert!(world.arm_said("PUT", &sys, Some(user)).await.starts_with("400 MustDefineAtLeast"));
    let size = json!({ "properties": { "vmSize": "Standard_D8s_v5" } });
    let said = world.arm_said("PUT", &sys, Some(size)).await;
    assert_eq!(
        said,
        "400 PropertyChangeNotAllowed: Changing property 'properties.vmSize' is not allowed."
    );
}

#[tokio::test(start_paused = true)]
async fn maintenance_windows_that_cannot_be_are_refused() {
    let world = World::new().await.with_aks().await;
    let put = |name: &str, window: Value| {
        let path = format!("{SHOP}/maintenanceConfigurations/{name}");
        let (world, body) = (&world, json!({ "properties": { "maintenanceWindow": window } }));
        async move { world.arm_said("PUT", &path, Some(body)).await }
    };
    let weekly = json!({ "weekly": { "intervalWeeks": 1, "dayOfWeek": "sunday" } });
    let window =
        |hours: u32| json!({ "schedule": weekly, "durationHours": hours, "startTime": "02:00" });
    let name = "aksManagedNodeOSUpgradeSchedule";
    let said = put(name, window(3)).await;
    assert!(said.contains("durationHours is invalid: it must be between 4 and 24"), "{said}");
    assert!(put("weekly", window(4)).await.contains("configName"));
    let slots = json!({ "properties": { "timeInWeek": [{ "day": "Monday", "hourSlots": [1] }] } });
    let path = format!("{SHOP}/maintenanceConfigurations/{name}");
    let said = world.arm_said("PUT", &path, Some(slots.clone())).await;
    assert!(
        said.contains("timeInWeek is invalid: it goes with the configuration default only"),
        "{said}"
    );
    let default = format!("{SHOP}/maintenanceConfigurations/default");
    assert_eq!(world.arm("PUT", &default, Some(slots)).await.status, 201);
    assert_eq!(put(name, window(24)).await, "201 : ");
}
