//! How far we may go: adoption, Observe, CreateOnly, pause.

use fleetwright_api_types::{
    ANNOTATION_PAUSED, ANNOTATION_TAKE_OVER, CONFIRM_DELETE, ConditionType as Type,
};
use fleetwright_controllers::hub::ensure_namespace;
use fleetwright_names::{TAG_OBJECT, TAG_UID};
use serde_json::json;

use super::cloud::{Cloud, active};
use super::world::{CLUSTERS, SECRETS, World, node_pool};

fn of_a_stranger() -> Cloud {
    let cloud = Cloud::default();
    cloud.lock().expect("the sky").cluster =
        Some(active([("team".into(), "theirs".into())].into()));
    cloud
}

#[tokio::test(start_paused = true)]
async fn an_existing_cluster_is_adopted_by_our_tags_and_then_completed() {
    let world = World::new(of_a_stranger()).await;
    world
        .declare_with(json!({"adoption": "Existing", "nodePools": [node_pool("web", "small")]}))
        .await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.acts(), ["Claim control plane", "Create pool web"]);
    let tags = world.cloud.lock().expect("the sky").cluster.clone().expect("there").tags;
    assert_eq!(tags.get(TAG_OBJECT).map(String::as_str), Some("shop/one"));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_must_exist_is_never_created() {
    let world = World::new(Cloud::default()).await;
    world.declare_with(json!({"adoption": "Existing"})).await;
    world.pass(60).await;
    assert_eq!(world.told(Type::Synced).await, "False/PlanRejected");
    assert_eq!(world.acts(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_predecessors_cluster_is_taken_over_once_a_person_names_its_uid() {
    let world = World::new(of_a_stranger()).await;
    world.declare("Retain", &[]).await;
    world.pass(5).await;
    let ids = fleetwright_clock::RandomIds::seeded(9);
    let hub = fleetwright_controllers::hub::hub_id(&world.client, &ids).await.expect("an id");
    let tags = [
        ("fleetwright.dev/hub".to_owned(), hub.to_string()),
        (TAG_OBJECT.to_owned(), "shop/one".to_owned()),
        (TAG_UID.to_owned(), "0bad".to_owned()),
    ];
    world.cloud.lock().expect("the sky").cluster = Some(active(tags.into()));
    world.annotate("touch", "1").await;
    world.pass(5).await;
    assert_eq!(world.told(Type::Synced).await, "False/PlanRejected");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("fleetwright.dev/take-over"), "{message}");
    world.annotate(ANNOTATION_TAKE_OVER, "0bad").await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    assert_eq!(world.acts(), ["Claim control plane"]);
}

#[tokio::test(start_paused = true)]
async fn an_observed_cluster_is_told_and_reached_but_never_written() {
    let world = World::new(of_a_stranger()).await;
    world.declare_with(json!({"mode": "Observe", "tags": {"size": "big"}})).await;
    world.pass(40).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    assert_eq!(world.told(Type::DriftFree).await, "False/DriftDetected");
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_some());
    assert_eq!(world.told(Type::PoliciesCompliant).await, "False/Violations", "policies audit");
    assert_eq!(world.network_policies().await, 0, "and enforce nothing");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_none());
    assert_eq!(world.acts(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn create_only_makes_what_is_missing_and_changes_nothing() {
    let world = World::new(Cloud::default()).await;
    world.declare_with(json!({"mode": "CreateOnly", "tags": {"size": "big"}, "nodePools": [node_pool("web", "small")]})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    world.cloud.lock().expect("the sky").cluster.as_mut().expect("there").body["settings"]["size"] =
        json!("small");
    world.pass(400).await;
    assert_eq!(world.told(Type::DriftFree).await, "False/DriftDetected");
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    assert_eq!(world.acts(), ["Create control plane", "Create pool web"]);
}

#[tokio::test(start_paused = true)]
async fn a_paused_object_is_looked_at_and_left_alone_until_it_goes_on() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.annotate(ANNOTATION_PAUSED, "").await;
    let before = world.acts().len();
    world.pass(60).await;
    assert_eq!(world.told(Type::Synced).await, "False/Paused");
    assert_eq!(world.acts().len(), before, "nothing was sent while paused");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    if world.cluster().await.is_some() {
        assert_eq!(world.told(Type::Synced).await, "False/Paused", "a deletion waits and says so");
        world.annotate(ANNOTATION_PAUSED, "false").await;
        world.pass(60).await;
    }
    assert!(world.cluster().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_cloud_with_other_habits_is_run_by_the_same_controllers() {
    let world = World::new(Cloud::default()).await;
    let pool = |name: &str, role: &str| {
        json!({
            "name": name, "role": role, "size": {"min": 1, "max": 1}, "labels": {"kind": "small"},
            "aks": {"vmSize": "Standard_D4ds_v5"},
        })
    };
    world.declare_with(json!({
        "eks": null, "deletionPolicy": "Delete", "registration": {"argocd": {}},
        "aks": {
            "subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "rg", "location": "westeurope",
            "network": {"plugin": "Azure", "pluginMode": "Overlay"},
        },
        "nodePools": [pool("sys", "System"), pool("web", "User")],
    })).await;
    world.pass(30).await;
    assert_eq!(world.acts(), ["Create control plane", "Create pool web"], "sys came with it");
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert_eq!(world.told(Type::NodePoolsReady).await, "True/Available");
    let message = world.message(Type::Synced).await;
    assert!(
        message.contains(r#"cannot sign in to a cluster of provider "aks" by itself"#),
        "{message}"
    );
    let status = world.cluster().await.and_then(|cluster| cluster.status).expect("a status");
    assert_eq!(status.provider.as_deref(), Some("aks"));
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world.pass(60).await;
    assert!(world.cluster().await.is_none());
    assert_eq!(world.acts()[2..], ["Delete control plane"], "its pools go with it");
}

/// Whoever may write objects in one namespace, of a cluster that another namespace made through the same account.
#[tokio::test(start_paused = true)]
async fn an_observed_cluster_of_another_object_is_told_but_neither_reached_nor_made_known() {
    let world = World::new(Cloud::default()).await;
    ensure_namespace(&world.client, "argocd").await.expect("a namespace");
    let of = |object: &str| {
        let hub = world.fleet.hub.to_string();
        let tags = [("fleetwright.dev/hub", &*hub), (TAG_OBJECT, object), (TAG_UID, "0bad")];
        active(tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into())
    };
    world.cloud.lock().expect("the sky").cluster = Some(of("payments/eu"));
    world.declare_with(json!({"mode": "Observe", "registration": {"argocd": {}}})).await;
    // As the controller would write it: endpoint and authority of a cluster are no secrets.
    let forged = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "fleetwright.dev/kubeconfig",
        "metadata": {
            "namespace": "shop", "name": "one-kubeconfig",
            "labels": {"app.kubernetes.io/managed-by": "fleetwright"},
        },
        "data": {"endpoint": "aHR0cHM6Ly9tZW1iZXIuaW52YWxpZA==", "certificate-authority": "UEVN"},
    });
    world.put(&SECRETS, forged).await;
    let registered = async || {
        let secrets = world.hub.list(&SECRETS, Some("argocd")).await;
        !secrets.is_empty()
    };
    let no_tokens: [String; 0] = [];
    for (tagged, whose) in [
        ("payments/eu", format!("payments/eu on hub {}", world.fleet.hub)),
        ("shop/one", "an earlier shop/one with uid 0bad".to_owned()),
    ] {
        world.cloud.lock().expect("the sky").cluster = Some(of(tagged));
        world.annotate("touch", tagged).await;
        world.pass(130).await;
        assert_eq!(world.told(Type::ControlPlaneReady).await, "True/Available");
        let told = "so nothing here connects to it or registers it";
        assert_eq!(
            world.message(Type::ControlPlaneReady).await,
            format!("the control plane is active; by its tags it belongs to {whose}, {told}")
        );
        assert_eq!(world.told(Type::Ready).await, "False/SomebodyElses");
        assert_eq!(world.told(Type::Synced).await, "False/NotRegistered");
        assert!(!registered().await);
        assert_eq!(world.cloud.lock().expect("the sky").trusted, no_tokens, "{tagged}");
    }
    world.cloud.lock().expect("the sky").cluster = Some(active([].into()));
    world.annotate("touch", "nobody's").await;
    world.pass(130).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    assert!(registered().await, "an untagged one is as good as ours to look at");
    world.cloud.lock().expect("the sky").cluster = Some(of("payments/eu"));
    world.annotate("touch", "theirs").await;
    world.pass(30).await;
    assert!(!registered().await, "taken back");
    let sent = world.cloud.lock().expect("the sky").trusted.len();
    world.pass(1200).await;
    let more = world.cloud.lock().expect("the sky").trusted.len() - sent;
    assert_eq!(more, 0, "nor does a watch go on");
}
