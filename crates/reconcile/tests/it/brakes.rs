//! What holds a reconcile back: a pause, a closed gate, a deadline. Each is told, and so is a request to reconcile now.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_reconcile::Verdict;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::world::{FINALIZER, IDLE, Script, World, failure, object};

fn annotated(mut object: Value, key: &str, value: &str) -> Value {
    object["metadata"]["annotations"] = json!({key: value});
    object
}

fn paused(object: Value) -> Value {
    annotated(object, "fleetwright.dev/paused", "")
}

fn acting() -> Script {
    Script { steps: vec!["a", "b", "c"], ..Script::default() }
}

const PAUSED: [&str; 2] = ["status False/Paused", "event Warning NotSynced: Paused: as scripted"];

#[tokio::test]
async fn a_paused_object_gets_no_finalizer_and_no_step_and_says_so() {
    let world = World::with(paused(object(&[], false)));
    let verdict = world.reconcile(&acting(), None).await;
    assert_eq!(verdict, Some(Verdict { requeue: Some(IDLE), failed: None }));
    assert_eq!(world.take_log(), PAUSED);
}

#[tokio::test]
async fn a_pause_that_says_false_is_none() {
    let object = annotated(object(&[FINALIZER], false), "fleetwright.dev/paused", "false");
    let world = World::with(object);
    world.reconcile(&acting(), None).await;
    assert_eq!(world.made(), ["a", "b", "c"]);
}

#[tokio::test]
async fn a_deletion_that_waits_for_the_end_of_a_pause_says_so_at_every_stage() {
    for gone in [false, true] {
        let world = World::with(paused(object(&[FINALIZER], true)));
        let steps = if gone { vec![] } else { vec!["undo"] };
        world.reconcile(&Script { steps, gone, ..Script::default() }, None).await;
        assert_eq!(world.take_log(), PAUSED);
        assert!(world.object().is_some());
    }
}

const SOON: Verdict = Verdict { requeue: Some(Duration::from_secs(60)), failed: None };

#[tokio::test]
async fn a_closed_gate_is_found_before_the_finalizer() {
    let world = World::with(object(&[], false));
    let script = Script { gate_closes_after: Some(0), ..acting() };
    assert_eq!(world.reconcile(&script, None).await, Some(SOON));
    assert_eq!(
        world.take_log(),
        ["status False/Frozen", "event Warning NotSynced: Frozen: as scripted"]
    );
}

#[tokio::test]
async fn a_gate_that_closes_between_two_steps_stops_the_second() {
    let world = World::with(object(&[FINALIZER], false));
    // One look before the finalizer, one before each step.
    let script = Script { gate_closes_after: Some(2), ..acting() };
    assert_eq!(world.reconcile(&script, None).await, Some(SOON));
    assert_eq!(
        world.take_log(),
        [
            "act a",
            "status False/Frozen",
            "event Normal ConnectionRemoved: - delete connection secret shop/a",
            "event Warning NotSynced: Frozen: as scripted",
        ]
    );
}

#[tokio::test]
async fn a_closed_gate_keeps_the_object_too() {
    let world = World::with(object(&[FINALIZER], true));
    let script = Script { gone: true, gate_closes_after: Some(0), ..Script::default() };
    assert_eq!(world.reconcile(&script, None).await, Some(SOON));
    assert!(world.object().is_some());
    world.reconcile(&Script { gone: true, ..Script::default() }, None).await;
    assert_eq!(world.object(), None);
}

#[tokio::test]
async fn a_gate_does_not_matter_where_nothing_is_to_be_done() {
    let world = World::with(object(&[], false));
    let script = Script { gate_closes_after: Some(0), ..Script::default() };
    let verdict = world.reconcile(&script, None).await;
    assert_eq!(verdict, Some(Verdict { requeue: Some(IDLE), failed: None }));
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_cut_off_and_told() {
    for (hangs, told) in [
        ("read", "Unknown/ReadFailed"),
        ("observe", "False/DeadlineExceeded"),
        ("b", "False/DeadlineExceeded"),
    ] {
        let world = World::with(object(&[FINALIZER], false));
        let start = Instant::now();
        let verdict = world.reconcile(&Script { hangs: Some(hangs), ..acting() }, None).await;
        assert_eq!(start.elapsed().as_secs(), 120, "{hangs}");
        let transient = Verdict { requeue: None, failed: Some(Class::Transient) };
        assert_eq!(verdict, Some(transient), "{hangs}");
        let log = world.take_log();
        assert!(log.contains(&format!("status {told}")), "{hangs}: {log:?}");
        assert_eq!(world.made().len(), usize::from(hangs == "b"), "{hangs}");
    }
}

#[tokio::test]
async fn a_request_to_reconcile_now_is_echoed_whatever_came_of_it() {
    let scripts = [
        Script::default(),
        acting(),
        Script { read: Some(failure(Class::Transient, "ApiError")), ..Script::default() },
        Script { observe: Some(failure(Class::Unknown, "NoAnswer")), ..Script::default() },
    ];
    for script in scripts {
        let token = "x".repeat(300);
        let asked = annotated(object(&[], false), "fleetwright.dev/reconcile-now", &token);
        let world = World::with(asked);
        world.reconcile(&script, None).await;
        let object = world.object().expect("the object");
        assert_eq!(object["status"]["handledReconcile"], token[..253], "{script:?}");
        let patches = world.take_log().iter().filter(|line| line.starts_with("status")).count();
        assert_eq!(patches, 1, "one patch tells both: {script:?}");
    }
}

#[tokio::test]
async fn reconciles_and_steps_are_counted() {
    let world = World::with(object(&[], false));
    let refused = Some(("b", failure(Class::Refused, "QuotaExceeded")));
    world.reconcile(&Script { act: refused, ..acting() }, None).await;
    world.reconcile(&Script::default(), None).await;
    let text = world.registry.render();
    for line in [
        "fleetwright_reconcile_total{controller=\"scripted\",result=\"Refused\"} 1",
        "fleetwright_reconcile_total{controller=\"scripted\",result=\"ok\"} 1",
        "fleetwright_reconcile_duration_seconds_count{controller=\"scripted\"} 2",
        "fleetwright_reconcile_steps_total{controller=\"scripted\",step=\"ConnectionRemoved\"} 2",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line} in\n{text}");
    }
}
