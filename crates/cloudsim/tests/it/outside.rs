//! What a member makes in the cloud by itself, and what stays of it.

use fleetwright_apiserver::ResourceRef;
use serde_json::json;

use crate::azure::{SHOP, SHOP_NAME};
use crate::fixture::{World, pass};

const SERVICES: ResourceRef = ResourceRef::new("", "v1", "services");
const CLAIMS: ResourceRef = ResourceRef::new("", "v1", "persistentvolumeclaims");

impl World {
    /// A Service with a load balancer and a claim with a volume, in the member of `shop`.
    async fn with_things_outside(self) -> Self {
        self.with_things_outside_of("eu-central-1", "shop").await
    }

    async fn with_things_outside_of(self, region: &str, name: &str) -> Self {
        let member = self.sim.member(region, name).expect("a member");
        let service = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "namespace": "default", "name": "web" },
            "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }] },
        });
        member.put(&SERVICES, service).await.expect("a Service");
        let claim = json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim",
            "metadata": { "namespace": "default", "name": "data" },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "resources": { "requests": { "storage": "1Gi" } },
            },
        });
        member.put(&CLAIMS, claim).await.expect("a claim");
        self.sim.settle().await.expect("settles");
        self
    }

    async fn outside(&self) -> Vec<String> {
        self.sim.inventory().await.remove(0).outside
    }
}

#[tokio::test(start_paused = true)]
async fn services_and_claims_have_things_outside_as_long_as_they_live() {
    let world = World::new().await.with_shop().await.with_things_outside().await;
    assert_eq!(world.outside().await, ["LoadBalancer default/web", "Volume default/data"]);
    let member = world.sim.member("eu-central-1", "shop").expect("a member");
    let service = member.get(&SERVICES, Some("default"), "web").await.expect("there");
    let host = service["status"]["loadBalancer"]["ingress"][0]["hostname"].as_str();
    assert!(host.is_some_and(|host| host.ends_with(".elb.eu-central-1.amazonaws.com")));
    let claim = member.get(&CLAIMS, Some("default"), "data").await.expect("there");
    assert_eq!(claim["status"]["phase"], "Bound");

    member.delete(&SERVICES, Some("default"), "web").await.expect("deleted");
    assert!(member.get(&SERVICES, Some("default"), "web").await.is_some(), "held by a finalizer");
    member.delete(&CLAIMS, Some("default"), "data").await.expect("deleted");
    world.ok("GET", "/clusters/shop", None).await;
    assert!(member.get(&SERVICES, Some("default"), "web").await.is_none());
    world.sim.settle().await.expect("settles");
    assert_eq!(world.outside().await, [""; 0]);
    assert_eq!(world.sim.orphans().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_is_outside_stays_as_a_leak_when_its_cluster_goes_first() {
    let world = World::new().await.with_shop().await.with_things_outside().await;
    world.ok("DELETE", "/clusters/shop/node-groups/general", None).await;
    pass(5).await;
    world.ok("GET", "/clusters/shop", None).await;
    world.ok("DELETE", "/clusters/shop", None).await;
    pass(5).await;
    let leak = [
        "LoadBalancer default/web of eu-central-1/shop",
        "Volume default/data of eu-central-1/shop",
    ];
    assert_eq!(world.sim.orphans().await, leak, "due, though nobody looked");
    world.sim.settle().await.expect("settles");
    let world = world.restart().await;
    assert_eq!(world.sim.orphans().await, leak);
}

#[tokio::test(start_paused = true)]
async fn an_aks_cluster_takes_all_that_it_made_outside_along_with_the_group_of_its_nodes() {
    let world = World::new().await.with_aks().await;
    let world = world.with_things_outside_of("westeurope", SHOP_NAME).await;
    assert_eq!(world.outside().await, ["LoadBalancer default/web", "Volume default/data"]);
    let member = world.sim.member("westeurope", SHOP_NAME).expect("a member");
    let service = member.get(&SERVICES, Some("default"), "web").await.expect("there");
    let address = service["status"]["loadBalancer"]["ingress"][0]["ip"].as_str();
    assert!(address.is_some_and(|address| address.starts_with("203.0.")));
    assert_eq!(world.arm_done("DELETE", SHOP, None).await["status"], "Succeeded");
    assert_eq!(world.sim.orphans().await, [""; 0]);
}
