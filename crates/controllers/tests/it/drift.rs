//! What somebody else changed: named, repaired, and left in peace for an hour when they insist.

use fleetwright_api_types::ConditionType as Type;
use fleetwright_controllers::history;
use fleetwright_names::ObjectKey;
use fleetwright_plan::{SeenUpdate, UpdateState};
use serde_json::json;

use super::cloud::Cloud;
use super::world::{ACCOUNTS, EVENTS, World};

async fn whole() -> World {
    let world = World::new(Cloud::default()).await;
    world.declare_with(json!({"tags": {"size": "big"}})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::DriftFree).await, "True/NoDrift");
    world
}

fn shrink(world: &World) {
    world.cloud.lock().expect("the sky").cluster.as_mut().expect("there").body["settings"]["size"] =
        json!("small");
}

async fn repairs(world: &World) -> usize {
    let status = world.cluster().await.and_then(|cluster| cluster.status);
    status.and_then(|status| status.drift).map_or(0, |drift| drift.repairs.len())
}

#[tokio::test(start_paused = true)]
async fn an_edit_is_work_and_no_drift() {
    let world = whole().await;
    world.edit(json!({"spec": {"tags": {"size": "huge"}}})).await;
    world.pass(30).await;
    assert_eq!(world.told(Type::DriftFree).await, "True/NoDrift");
    assert_eq!(repairs(&world).await, 0);
    assert_eq!(world.acts().last().map(String::as_str), Some("Update control plane"));
}

#[tokio::test(start_paused = true)]
async fn a_changed_field_is_named_repaired_and_written_down() {
    let world = whole().await;
    shrink(&world);
    world.annotate("touch", "1").await;
    world.pass(10).await;
    assert_eq!(world.told(Type::DriftFree).await, "True/NoDrift");
    assert_eq!(repairs(&world).await, 1);
    let events = world.hub.list(&EVENTS, Some("shop")).await;
    let told: Vec<&str> = events.iter().filter_map(|event| event["message"].as_str()).collect();
    let repaired = r#"DriftRepaired: set back: spec.tags[size]: declared "big", found "small""#;
    assert!(told.contains(&repaired), "{told:?}");
    let lines = history::read(&world.client, &ObjectKey::namespaced("shop", "one")).await;
    let lines = lines.expect("a history");
    let done: Vec<(&str, &str, Option<&str>)> = lines
        .iter()
        .map(|line| (line.operation.as_str(), line.result.as_str(), line.request_id.as_deref()))
        .collect();
    assert_eq!(
        done,
        [("eks:Create", "done", Some("request-1")), ("eks:Update", "done", Some("request-2"))]
    );
    assert_eq!(lines[1].object, "shop/one");
    assert_eq!(lines[1].plan.len(), 12);
}

#[tokio::test(start_paused = true)]
async fn a_field_that_somebody_changes_back_is_repaired_three_times_and_then_hourly() {
    let world = whole().await;
    for round in 0..3 {
        shrink(&world);
        world.annotate("touch", &round.to_string()).await;
        world.pass(20).await;
    }
    assert_eq!(repairs(&world).await, 3);
    let acts = world.acts().len();
    shrink(&world);
    world.annotate("touch", "again").await;
    world.pass(20).await;
    assert_eq!(world.told(Type::DriftFree).await, "False/Contested");
    assert_eq!(world.told(Type::Synced).await, "False/HandsOff");
    world.pass(3000).await;
    assert_eq!(world.acts().len(), acts, "not before an hour has passed");
    world.pass(900).await;
    assert_eq!(world.acts().len(), acts + 1, "then once");
    shrink(&world);
    world.annotate("touch", "still").await;
    world.pass(1200).await;
    assert_eq!(world.told(Type::DriftFree).await, "False/Contested", "the fight goes on");
    assert_eq!(world.acts().len(), acts + 1);
    world.edit(json!({"spec": {"tags": {"size": "small"}}})).await;
    world.pass(20).await;
    assert_eq!(world.told(Type::DriftFree).await, "True/NoDrift", "an edit ends it");
}

#[tokio::test(start_paused = true)]
async fn edited_default_tags_are_work_and_no_drift() {
    let world = whole().await;
    let account = |team: &str| {
        json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
            "spec": {
                "allowedNamespaces": {"names": ["shop"]}, "defaultTags": {"team": team},
                "aws": {"identity": {"type": "Environment"}},
            },
        })
    };
    world.put(&ACCOUNTS, account("a")).await;
    world.pass(20).await;
    assert_eq!(world.acts().last().map(String::as_str), Some("Update control plane"));
    // Edited while the cloud does not answer: that is not forgotten over it.
    world.cloud.lock().expect("the sky").unseen = Some("no answer".into());
    world.put(&ACCOUNTS, account("b")).await;
    world.pass(20).await;
    world.cloud.lock().expect("the sky").unseen = None;
    world.pass(120).await;
    assert_eq!(world.acts().len(), 3);
    assert_eq!(world.told(Type::DriftFree).await, "True/NoDrift");
    assert_eq!(repairs(&world).await, 0);
    let events = world.hub.list(&EVENTS, Some("shop")).await;
    let drifted = |message: &str| message.starts_with("Drift");
    let told = events.iter().filter_map(|event| event["message"].as_str()).filter(|m| drifted(m));
    assert_eq!(told.collect::<Vec<_>>(), Vec::<&str>::new());
    shrink(&world);
    world.annotate("touch", "1").await;
    world.pass(20).await;
    assert_eq!(repairs(&world).await, 1, "what a stranger changes is drift as before");
}

#[tokio::test(start_paused = true)]
async fn an_edit_ends_the_wait_after_an_update_that_failed() {
    let world = whole().await;
    world.pass(60).await;
    shrink(&world);
    let failed = SeenUpdate {
        id: "u1".into(),
        what: "settings".into(),
        state: UpdateState::Failed,
        trouble: "no such size".into(),
        at: world.now(),
    };
    world.cloud.lock().expect("the sky").cluster.as_mut().expect("there").last_update =
        Some(failed);
    world.annotate("touch", "1").await;
    world.pass(60).await;
    assert_eq!(world.acts(), ["Create control plane"], "not the same again at once");
    world.edit(json!({"spec": {"tags": {"size": "huge"}}})).await;
    world.pass(5).await;
    assert_eq!(world.acts().last().map(String::as_str), Some("Update control plane"));
    shrink(&world);
    world.annotate("touch", "2").await;
    world.pass(5).await;
    assert_eq!(world.acts().len(), 3, "nor does it hold what comes after the edit");
}
