//! Pools that are emptied by force, and what a cluster made outside itself: nodes of Karpenter, volumes.

use fleetwright_api_types::{CONFIRM_DELETE, ConditionType as Type};
use fleetwright_apiserver::ResourceRef;
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::members::{leftovers, node, pod, put};
use super::world::{CLUSTERS, NODES, PODS, World, node_pool};

const BUDGETS: ResourceRef = ResourceRef::new("policy", "v1", "poddisruptionbudgets");
const NODE_POOLS: ResourceRef = ResourceRef::new("karpenter.sh", "v1", "nodepools");
const NODE_CLAIMS: ResourceRef = ResourceRef::new("karpenter.sh", "v1", "nodeclaims");
const CLAIMS: ResourceRef = ResourceRef::new("", "v1", "persistentvolumeclaims");
const VOLUMES: ResourceRef = ResourceRef::new("", "v1", "persistentvolumes");
const SETS: ResourceRef = ResourceRef::new("apps", "v1", "statefulsets");

#[tokio::test(start_paused = true)]
async fn pods_that_do_not_leave_in_time_are_deleted_where_that_is_declared() {
    let world = World::new(Cloud::default()).await;
    let pool = |kind: &str| {
        let mut pool = node_pool("web", kind);
        pool["update"] = json!({"onDrainTimeout": "Force"});
        json!({"nodePools": [pool]})
    };
    world.declare_with(pool("small")).await;
    world.pass(30).await;
    put(&world, &NODES, node("n1", "web")).await;
    put(&world, &PODS, pod("shop", "n1", None)).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"namespace": "default", "name": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    put(&world, &BUDGETS, budget).await;
    world.edit(json!({"spec": pool("large")})).await;
    world.pass(840).await;
    assert!(world.member.get(&PODS, Some("default"), "shop").await.is_some(), "it is asked first");
    assert_eq!(world.acts().last().map(String::as_str), Some("Create pool web-2"));
    world.pass(90).await;
    assert!(world.member.get(&PODS, Some("default"), "shop").await.is_none(), "and then deleted");
    assert_eq!(world.acts().last().map(String::as_str), Some("Delete pool web"));
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
}

/// A cluster on its way out, confirmed, whose member holds these objects.
async fn leaving(objects: &[(&ResourceRef, Value)]) -> World {
    let world = World::new(Cloud::default()).await;
    world.declare("Delete", &[]).await;
    world.pass(30).await;
    for (kind, object) in objects {
        put(&world, kind, object.clone()).await;
    }
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world
}

fn karpenters(kind: &str, name: &str, group: &str) -> Value {
    let class = json!({"group": group, "kind": "NodeClass", "name": "default"});
    let (spec, finalizer) = match kind {
        "NodePool" => (json!({"template": {"spec": {"nodeClassRef": class}}}), json!([])),
        _ => (json!({"nodeClassRef": class}), json!(["karpenter.sh/termination"])),
    };
    json!({
        "apiVersion": "karpenter.sh/v1", "kind": kind,
        "metadata": {"name": name, "finalizers": finalizer}, "spec": spec,
    })
}

/// What holds an object goes, as its controller would have it.
async fn let_go(world: &World, kind: &ResourceRef, namespace: Option<&str>, name: &str) {
    let found = world.member.get(kind, namespace, name).await.expect("still there");
    let mut object = Value::clone(&found);
    object["metadata"]["finalizers"] = json!([]);
    // It is gone with that, and takes no status any more.
    object.as_object_mut().expect("an object").remove("status");
    put(world, kind, object).await;
}

fn going(object: Option<impl AsRef<Value>>) -> Option<bool> {
    Some(object?.as_ref()["metadata"]["deletionTimestamp"].is_string())
}

#[tokio::test(start_paused = true)]
async fn nodes_of_karpenter_go_before_the_control_plane_and_its_pools_before_them() {
    let aws = "karpenter.k8s.aws";
    let world = leaving(&[
        (&NODE_POOLS, karpenters("NodePool", "general", aws)),
        (&NODE_CLAIMS, karpenters("NodeClaim", "general-x2k4", aws)),
        (&NODE_CLAIMS, karpenters("NodeClaim", "auto-8f3b", "eks.amazonaws.com")),
    ])
    .await;
    world.pass(60).await;
    assert!(world.member.get(&NODE_POOLS, None, "general").await.is_none());
    assert_eq!(going(world.member.get(&NODE_CLAIMS, None, "general-x2k4").await), Some(true));
    assert_eq!(world.acts(), ["Create control plane"], "the node is still there");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("Node general-x2k4 to go"), "{message}");
    let_go(&world, &NODE_CLAIMS, None, "general-x2k4").await;
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    let auto = world.member.get(&NODE_CLAIMS, None, "auto-8f3b").await;
    assert_eq!(going(auto), Some(false), "Auto Mode's nodes go with the cluster");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_go_in_time_is_left_behind_and_named() {
    let claim = karpenters("NodeClaim", "general-x2k4", "karpenter.k8s.aws");
    let world = leaving(&[(&NODE_CLAIMS, claim)]).await;
    world.pass(860).await;
    assert_eq!(world.acts(), ["Create control plane"]);
    world.pass(120).await;
    assert!(world.cluster().await.is_none());
    assert_eq!(
        leftovers(&world).await,
        ["the control plane goes and these stay behind in the cloud: Node general-x2k4"]
    );
}

/// A claim that is bound to its volume, with a disk behind it that goes (`Delete`) or stays (`Retain`).
fn claim_and_volume(name: &str, policy: &str) -> [(&'static ResourceRef, Value); 2] {
    let volume = format!("pv-{name}");
    let claim = json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim",
        "metadata": {"namespace": "default", "name": name, "finalizers": ["kubernetes.io/pvc-protection"]},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, "volumeName": volume},
        "status": {"phase": "Bound"},
    });
    let volume = json!({
        "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": volume},
        "spec": {
            "accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
            "persistentVolumeReclaimPolicy": policy,
            "csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"},
        },
        "status": {"phase": "Bound"},
    });
    [(&CLAIMS, claim), (&VOLUMES, volume)]
}

#[tokio::test(start_paused = true)]
async fn volumes_go_before_the_control_plane_with_what_would_make_or_keep_them() {
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"namespace": "default", "name": "db"},
        "spec": {
            "serviceName": "db", "selector": {"matchLabels": {"app": "db"}},
            "template": {"metadata": {"labels": {"app": "db"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}},
            "volumeClaimTemplates": [{
                "metadata": {"name": "data"},
                "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
            }],
        },
    });
    let mut user = pod("db-0", "n1", Some("StatefulSet"));
    user["spec"]["volumes"] =
        json!([{"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}}]);
    let mut objects = vec![(&SETS, set), (&PODS, user), (&PODS, pod("web", "n1", None))];
    objects.extend(claim_and_volume("data-db-0", "Delete"));
    objects.extend(claim_and_volume("ledger", "Retain"));
    let world = leaving(&objects).await;
    world.pass(30).await;
    let pod_of = |name: &'static str| world.member.get(&PODS, Some("default"), name);
    assert!(
        world.member.get(&SETS, Some("default"), "db").await.is_none(),
        "it would make it again"
    );
    assert!(pod_of("db-0").await.is_none(), "it keeps it");
    assert!(pod_of("web").await.is_some(), "and this one is nobody's business");
    let claim = |name: &'static str| world.member.get(&CLAIMS, Some("default"), name);
    assert_eq!(going(claim("data-db-0").await), Some(true));
    assert_eq!(going(claim("ledger").await), Some(false), "its disk is to be retained");
    let_go(&world, &CLAIMS, Some("default"), "data-db-0").await;
    let volume = world.member.get(&VOLUMES, None, "pv-data-db-0").await.expect("still there");
    let mut released = Value::clone(&volume);
    released["status"]["phase"] = "Released".into();
    put(&world, &VOLUMES, released).await;
    world.pass(30).await;
    assert_eq!(world.acts(), ["Create control plane"], "its disk is being removed");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("Volume pv-data-db-0 to go"), "{message}");
    world.member.delete(&VOLUMES, None, "pv-data-db-0").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert!(world.member.get(&VOLUMES, None, "pv-ledger").await.is_some());
}
