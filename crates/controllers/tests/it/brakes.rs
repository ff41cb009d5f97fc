//! Freeze, fuse, hands off: what stops us, how soon, and how it is told.

use std::collections::BTreeMap;

use fleetwright_api_types::{ANNOTATION_HANDS_OFF_UNTIL, ConditionType as Type};
use fleetwright_controllers::safety::{freeze, state, thaw};
use jiff::SignedDuration;
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::world::{NAMESPACES, NETWORK_POLICIES, World, node_pool};

const DENY: &str = "fleetwright-default-deny-ingress";

#[tokio::test(start_paused = true)]
async fn a_freeze_stops_every_write_within_five_seconds_until_the_thaw() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    freeze(&world.client, "ann", "change of network", world.now()).await.expect("frozen");
    world.pass(5).await;
    let acts = world.acts();
    world.edit(json!({"spec": {"nodePools": [node_pool("web", "small")]}})).await;
    world.member.delete(&NETWORK_POLICIES, Some("default"), DENY).await.expect("deleted by hand");
    world.pass(120).await;
    assert_eq!(world.acts(), acts, "no write to the cloud");
    assert_eq!(world.network_policies().await, 0, "nor to a member");
    assert_eq!(world.told(Type::Synced).await, "False/Frozen");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "False/Pending");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("ann froze every write since 2026-01-01T00:00:3"), "{message}");
    assert!(message.contains("change of network"), "{message}");
    thaw(&world.client).await.expect("thawed");
    world.pass(20).await;
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
    assert_eq!(world.network_policies().await, 1);
    assert!(world.acts().contains(&"Create pool web".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn the_fuse_trips_at_the_third_delete_and_holds_the_rest_until_a_thaw() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &["a", "b", "c", "d", "e"]).await;
    world.pass(30).await;
    world.edit(json!({"spec": {"nodePools": [node_pool("e", "small")]}})).await;
    world.pass(60).await;
    let deleted = |acts: Vec<String>| acts.iter().filter(|act| act.starts_with("Delete")).count();
    assert_eq!(deleted(world.acts()), 3);
    assert_eq!(world.told(Type::Synced).await, "False/FuseTripped");
    let message = world.message(Type::Synced).await;
    assert!(message.contains("3 in 10 minutes (pool a of shop/one, pool b"), "{message}");
    assert!(message.contains("fleetwright thaw"), "{message}");
    world.pass(1800).await;
    assert_eq!(deleted(world.acts()), 3, "time alone does not end it");
    let ended = thaw(&world.client).await.expect("thawed");
    assert_eq!(ended.deletes.len(), 3);
    world.pass(20).await;
    assert_eq!(deleted(world.acts()), 4);
    assert_eq!(state(&world.client).await.expect("read").deletes.len(), 1, "the count began anew");
}

#[tokio::test(start_paused = true)]
async fn hands_off_suspends_repair_and_expires_by_itself() {
    let world = World::new(Cloud::default()).await;
    world.declare_with(json!({"tags": {"size": "big"}})).await;
    world.pass(30).await;
    let until = world.now() + SignedDuration::from_mins(30);
    world.annotate(ANNOTATION_HANDS_OFF_UNTIL, &until.to_string()).await;
    world.pass(5).await;
    let acts = world.acts();
    world.cloud.lock().expect("the sky").cluster.as_mut().expect("there").body["settings"]["size"] =
        json!("small");
    world.pass(600).await;
    assert_eq!(world.told(Type::Synced).await, "False/HandsOff");
    assert_eq!(world.told(Type::DriftFree).await, "False/DriftDetected");
    assert_eq!(world.acts(), acts);
    world.pass(1500).await;
    assert_eq!(world.acts().last().map(String::as_str), Some("Update control plane"));
    assert_eq!(world.told(Type::Synced).await, "True/Applied");
}

#[tokio::test(start_paused = true)]
async fn a_nonsense_instant_is_a_problem_of_the_object() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.annotate(ANNOTATION_HANDS_OFF_UNTIL, "soon").await;
    world.pass(20).await;
    assert_eq!(world.told(Type::Synced).await, "False/InvalidConfiguration");
    let message = world.message(Type::Synced).await;
    assert!(
        message.starts_with("metadata.annotations[fleetwright.dev/hands-off-until]: \"soon\""),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn hands_off_a_members_object_leaves_it_as_somebody_made_it() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(40).await;
    let until = world.now() + SignedDuration::from_mins(10);
    let found = world.member.get(&NETWORK_POLICIES, Some("default"), DENY).await.expect("there");
    let mut ours = Value::clone(&found);
    ours["metadata"]["annotations"] =
        json!(BTreeMap::from([(ANNOTATION_HANDS_OFF_UNTIL, until.to_string())]));
    ours["spec"]["policyTypes"] = json!(["Egress"]);
    ours["metadata"]["resourceVersion"] = Value::Null;
    world.member.put(&NETWORK_POLICIES, ours).await.expect("changed by hand");
    world.pass(120).await;
    let types = async || {
        let found = world.member.get(&NETWORK_POLICIES, Some("default"), DENY).await;
        found.expect("there")["spec"]["policyTypes"].clone()
    };
    assert_eq!(types().await, json!(["Egress"]), "left alone");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "False/HandsOff");
    assert!(world.member.get(&NAMESPACES, None, "default").await.is_some());
    world.pass(600).await;
    assert_eq!(types().await, json!(["Ingress"]), "and put back when the time is over");
    assert_eq!(world.told(Type::PoliciesCompliant).await, "True/Compliant");
}
