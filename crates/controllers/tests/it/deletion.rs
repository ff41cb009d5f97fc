//! Deleting asks two questions: what happens to the cloud, and who confirms.

use fleetwright_api_types::{CONFIRM_DELETE, ConditionType as Type};

use super::cloud::Cloud;
use super::world::{CLUSTERS, NETWORK_POLICIES, SECRETS, World};

async fn up(policy: &str) -> World {
    let world = World::new(Cloud::default()).await;
    world.declare(policy, &[]).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::Ready).await, "True/Available");
    world.hub.delete(&CLUSTERS, Some("shop"), "one").await.expect("deleted");
    world
}

#[tokio::test(start_paused = true)]
async fn an_unconfirmed_delete_waits_and_the_policies_stay_enforced() {
    let world = up("Delete").await;
    world.pass(10).await;
    assert_eq!(world.told(Type::Synced).await, "False/AwaitingConfirmation");
    let version = world.version().await;
    world.pass(300).await;
    assert_eq!(world.version().await, version, "waiting writes nothing");
    let name = "fleetwright-default-deny-ingress";
    world.member.delete(&NETWORK_POLICIES, Some("default"), name).await.expect("deleted by hand");
    world.pass(2).await;
    assert_eq!(world.network_policies().await, 1, "it comes back though the object waits to go");
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_confirmation_for_another_life_of_the_object_does_not_count() {
    let world = up("Delete").await;
    world.annotate(CONFIRM_DELETE, "0bad").await;
    world.pass(60).await;
    assert_eq!(world.told(Type::Synced).await, "False/AwaitingConfirmation");
    world.annotate(CONFIRM_DELETE, &world.uid().await).await;
    world.pass(5).await;
    let acts = world.cloud.lock().expect("the sky").acts.clone();
    assert_eq!(acts.last().map(String::as_str), Some("Delete control plane"));
}

#[tokio::test(start_paused = true)]
async fn a_released_object_goes_but_not_before_all_doubt() {
    let world = up("Retain").await;
    world.pass(5).await;
    let acts = world.cloud.lock().expect("the sky").acts.clone();
    assert_eq!(acts.last().map(String::as_str), Some("Release control plane"));
    assert!(world.hub.get(&SECRETS, Some("shop"), "one-kubeconfig").await.is_none());
    assert_eq!(world.told(Type::Synced).await, "False/Applying", "a create could still arrive");
    world.pass(40).await;
    assert!(world.cluster().await.is_none(), "then the object goes");
    assert!(world.cloud.lock().expect("the sky").cluster.is_some(), "and the cluster stays");
}
