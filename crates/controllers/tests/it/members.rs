//! What needs a look at the member: pools that are emptied, and what a cluster made outside itself. And windows.

use fleetwright_api_types::{CONFIRM_DELETE, ConditionType as Type};
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::world::{CLUSTERS, EVENTS, NODES, PODS, SECRETS, SERVICES, World, node_pool};

pub(super) async fn put(
    world: &World,
    kind: &fleetwright_apiserver::ResourceRef,
    mut object: Value,
) {
    if let Some(owner) = object.pointer_mut("/metadata/ownerReferences/0") {
        // What has no owner is collected.
        owner["uid"] = made_owner(world, owner).await;
    }
    world.member.put(kind, object).await.expect("the member takes it");
}

async fn made_owner(world: &World, reference: &Value) -> Value {
    let plural = match reference["kind"].as_str() {
        Some("DaemonSet") => "daemonsets",
        Some("StatefulSet") => "statefulsets",
        other => panic!("no owner of kind {other:?} here"),
    };
    let labels = json!({"app": "x"});
    let object = json!({
        "apiVersion": reference["apiVersion"], "kind": reference["kind"],
        "metadata": {"namespace": "default", "name": reference["name"]},
        "spec": {"selector": {"matchLabels": labels}, "serviceName": "x", "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [{"name": "c", "image": "i"}]},
        }},
    });
    let kind = fleetwright_apiserver::ResourceRef::new("apps", "v1", plural);
    let made = world.member.put(&kind, object).await.expect("the member takes it");
    made["metadata"]["uid"].clone()
}

pub(super) fn node(name: &str, pool: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"pool": pool}}})
}

pub(super) fn pod(name: &str, node: &str, owner: Option<&str>) -> Value {
    let owners: Vec<Value> = owner
        .map(|kind| json!({"apiVersion": "apps/v1", "kind": kind, "name": "x", "uid": "1"}))
        .into_iter()
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": name}, "ownerReferences": owners},
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    })
}

#[tokio::test(start_paused = true)]
async fn a_pool_that_cannot_be_changed_in_place_is_emptied_before_it_goes() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &["web"]).await;
    world.pass(30).await;
    put(&world, &NODES, node("n1", "web")).await;
    put(&world, &NODES, node("other", "batch")).await;
    put(&world, &PODS, pod("shop", "n1", None)).await;
    put(&world, &PODS, pod("agent", "n1", Some("DaemonSet"))).await;
    put(&world, &PODS, pod("elsewhere", "other", None)).await;
    let budget = json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"namespace": "default", "name": "shop"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "shop"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": 0, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
    });
    let budgets = fleetwright_apiserver::ResourceRef::new("policy", "v1", "poddisruptionbudgets");
    put(&world, &budgets, budget.clone()).await;
    world.edit(json!({"spec": {"nodePools": [node_pool("web", "large")]}})).await;
    world.pass(60).await;
    assert_eq!(world.acts().last().map(String::as_str), Some("Create pool web-2"), "kept so far");
    let n1 = world.member.get(&NODES, None, "n1").await.expect("the node");
    assert_eq!(n1["spec"]["unschedulable"], json!(true));
    assert!(n1["metadata"]["annotations"]["fleetwright.dev/draining-since"].is_string());
    let other = world.member.get(&NODES, None, "other").await.expect("the node");
    assert_eq!(other["spec"]["unschedulable"], Value::Null);
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    assert_eq!(status.operation.map(|operation| operation.action).as_deref(), Some("Replace"));
    world.pass(900).await;
    let message = world.message(Type::Synced).await;
    assert!(message.contains("PodDisruptionBudget default/shop allows no disruption"), "{message}");
    let mut roomy = budget;
    roomy["status"]["disruptionsAllowed"] = json!(1);
    put(&world, &budgets, roomy).await;
    world.pass(20).await;
    assert!(world.member.get(&PODS, Some("default"), "shop").await.is_none(), "evicted");
    assert!(world.member.get(&PODS, Some("default"), "agent").await.is_some());
    assert!(world.member.get(&PODS, Some("default"), "elsewhere").await.is_some());
    assert_eq!(world.acts().last().map(String::as_str), Some("Delete pool web"));
    assert_eq!(world.told(Type::NodePoolsReady).await, "True/Available");
}

/// The messages of Events about what stays behind.
pub(super) async fn leftovers(world: &World) -> Vec<String> {
    let events = world.hub.list(&EVENTS, Some("shop")).await;
    let about = events.iter().filter(|event| event["reason"] == "Leftovers");
    about.filter_map(|event| Some(event["message"].as_str()?.to_owned())).collect()
}

fn load_balancer(finalizers: Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": "default", "name": "web", "finalizers": finalizers},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    })
}

async fn leaving(finalizers: Value) -> World {
    let world = World::new(Cloud::default()).await;
    world.declare("Delete", &["web"]).await;
    world.pass(30).await;
    put(&world, &SERVICES, load_balancer(finalizers)).await;
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world
}

#[tokio::test(start_paused = true)]
async fn what_a_cluster_made_outside_itself_goes_first() {
    let world = leaving(json!([])).await;
    world.pass(60).await;
    assert!(world.member.get(&SERVICES, Some("default"), "web").await.is_none());
    assert!(world.cluster().await.is_none(), "and then the rest");
    assert_eq!(world.acts()[2..], ["Delete pool web", "Delete control plane"]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_go_in_time_is_left_behind_and_told() {
    let world = leaving(json!(["service.kubernetes.io/load-balancer-cleanup"])).await;
    world.pass(600).await;
    assert_eq!(world.acts().len(), 2, "nothing is deleted while the load balancer is there");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("LoadBalancer default/web to go"), "{message}");
    world
        .cloud
        .lock()
        .expect("the sky")
        .refused
        .insert("control plane".into(), fleetwright_errclass::Class::Refused);
    world.pass(400).await;
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    assert_eq!(status.leftovers, ["LoadBalancer default/web"]);
    assert_eq!(
        leftovers(&world).await,
        ["the control plane goes and these stay behind in the cloud: LoadBalancer default/web"]
    );
    world.cloud.lock().expect("the sky").refused.clear();
    world.pass(700).await;
    assert!(world.cluster().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_member_that_does_not_answer_holds_its_deletion_up_for_a_quarter_of_an_hour_only() {
    let world = World::new(Cloud::default()).await;
    world.declare("Delete", &[]).await;
    world.pass(30).await;
    world.cloud.lock().expect("the sky").member_silent = true;
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(600).await;
    assert_eq!(world.acts(), ["Create control plane"]);
    world.pass(400).await;
    assert!(world.cluster().await.is_none());
    let told = leftovers(&world).await;
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("look for those by hand"), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn an_upgrade_waits_for_its_window_and_then_walks() {
    let world = World::new(Cloud::default()).await;
    // The clock of these tests begins on Thursday 2026-01-01 at midnight UTC.
    let windows = json!({"windows": [{"days": ["Thu"], "start": "02:00", "duration": "1h"}]});
    world.declare_with(json!({"maintenance": windows})).await;
    world.pass(30).await;
    world.edit(json!({"spec": {"version": "1.36"}})).await;
    world.pass(60).await;
    assert_eq!(world.told(Type::Synced).await, "False/AwaitingWindow");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("window Thu 02:00"), "{message}");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.acts(), ["Create control plane"]);
    world.pass(7200).await;
    assert_eq!(
        world.acts(),
        ["Create control plane", "Update control plane", "Update control plane"]
    );
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
}

/// Who may write Secrets in the cluster's namespace.
#[tokio::test(start_paused = true)]
async fn a_certificate_authority_that_the_cloud_did_not_give_gets_no_token() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    let secret = async || {
        let found = world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await;
        Value::clone(&found.expect("the secret"))
    };
    let mut theirs = secret().await;
    theirs["data"]["certificate-authority"] = "TUlURQ==".into();
    world.put(&SECRETS, theirs).await;
    world.pass(100).await;
    let trusted = world.cloud.lock().expect("the sky").trusted.clone();
    assert!(trusted.iter().all(|authority| authority == "PEM"), "{trusted:?}");
    assert_eq!(secret().await["data"]["certificate-authority"], "UEVN", "set back");
    world.pass(60).await;
    assert_eq!(world.told(Type::Reachable).await, "True/Answered");
}
