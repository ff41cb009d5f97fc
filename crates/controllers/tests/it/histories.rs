//! Old histories are removed, once an hour, and not those of clusters that are there.

use fleetwright_apiserver::ResourceRef;
use fleetwright_controllers::history::{LABEL_HISTORY, Line, append};
use fleetwright_controllers::safety::{freeze, thaw};
use fleetwright_names::ObjectKey;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::cloud::Cloud;
use super::world::World;

const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");

/// The histories that there are, by name.
async fn histories(world: &World) -> Vec<String> {
    let all = world.hub.list(&CONFIG_MAPS, Some("fleetwright-system")).await;
    let ours = all.iter().filter(|map| map["metadata"]["labels"][LABEL_HISTORY] == "cluster");
    ours.filter_map(|map| Some(map["metadata"]["name"].as_str()?.to_owned())).collect()
}

async fn line(world: &World, uid: &str, at: &str) {
    let at: Timestamp = at.parse().expect("an instant");
    let line = json!({
        "at": at, "actor": "ann", "object": "shop/gone", "generation": 1, "operation": "eks:DeleteCluster",
        "resource": "control plane", "plan": "", "result": "done",
    });
    let line: Line = serde_json::from_value(line).expect("a line");
    let object = ObjectKey::namespaced("shop", "gone");
    append(&world.client, &object, uid, &[line]).await.expect("written");
}

/// The clock of these tests begins at 2026-01-01.
#[tokio::test(start_paused = true)]
async fn the_history_of_a_gone_cluster_goes_after_a_month() {
    let world = World::new(Cloud::default()).await;
    world.declare("Retain", &[]).await;
    world.pass(30).await;
    let living = format!("history-{}", world.uid().await);
    line(&world, "0ld", "2025-11-30T00:00:00Z").await;
    line(&world, "again", "2025-11-30T00:00:00Z").await;
    line(&world, "again", "2025-12-10T00:00:00Z").await;
    freeze(&world.client, "ann", "audit", world.now()).await.expect("frozen");
    world.pass(3600).await;
    assert_eq!(histories(&world).await.len(), 3, "nothing is removed while writes are frozen");
    thaw(&world.client).await.expect("thawed");
    world.pass(3600).await;
    let mut kept = vec![living, "history-again".to_owned()];
    kept.sort();
    assert_eq!(histories(&world).await, kept);
}

/// As programs wrote them before they noted when the last line was.
#[tokio::test(start_paused = true)]
async fn a_history_that_does_not_say_when_its_last_line_was_is_read_before_it_is_judged() {
    let world = World::new(Cloud::default()).await;
    world.pass(5).await;
    for (uid, at) in [("busy", "2025-12-02T01:30:00Z"), ("idle", "2025-11-20T00:00:00Z")] {
        line(&world, uid, at).await;
        let name = format!("history-{uid}");
        let system = Some("fleetwright-system");
        let map = world.hub.get(&CONFIG_MAPS, system, &name).await.expect("the history");
        let mut map = Value::clone(&map);
        map["metadata"]["annotations"] = json!({"fleetwright.dev/object": "shop/gone"});
        world.put(&CONFIG_MAPS, map).await;
    }
    world.pass(3600).await;
    assert_eq!(histories(&world).await, ["history-busy"], "both were begun a moment ago");
    world.pass(3600).await;
    assert_eq!(histories(&world).await, [""; 0], "a month after its last line");
}
