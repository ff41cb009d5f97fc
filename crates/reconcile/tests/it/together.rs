//! Steps that bear on nothing of each other run side by side; all others one after the other.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_reconcile::Verdict;

use crate::world::{FINALIZER, IDLE, Script, World, failure, object};

const SETTLED: Verdict = Verdict { requeue: Some(IDLE), failed: None };

/// What was done, in its order; of steps that end at the same instant any may be the first.
async fn acts(script: &Script) -> (Vec<String>, Option<Verdict>) {
    let world = World::with(object(&[FINALIZER], false));
    let verdict = world.reconcile(script, None).await;
    let log = world.take_log().into_iter();
    (log.filter_map(|line| line.strip_prefix("act ").map(str::to_owned)).collect(), verdict)
}

#[tokio::test(start_paused = true)]
async fn a_slow_step_holds_up_those_after_it_but_none_beside_it() {
    let slow = Some(("n1", Duration::from_secs(5)));
    let steps = vec!["first", "n1", "n2", "n3", "last"];
    let script = Script { steps, slow, together: Some("n"), ..Script::default() };
    let (log, verdict) = acts(&script).await;
    assert_eq!((log[0].as_str(), &log[3..]), ("first", &["n1".to_owned(), "last".to_owned()][..]));
    assert_eq!(verdict, Some(SETTLED));
    let (log, _) = acts(&Script { together: None, ..script }).await;
    assert_eq!(log, ["first", "n1", "n2", "n3", "last"]);
}

#[tokio::test(start_paused = true)]
async fn events_tell_of_steps_in_the_order_of_the_plan() {
    let world = World::with(object(&[FINALIZER], false));
    let slow = Some(("n1", Duration::from_secs(5)));
    let script = Script { steps: vec!["n1", "n2"], slow, together: Some("n"), ..Script::default() };
    world.reconcile(&script, None).await;
    assert_eq!(
        world.take_log(),
        [
            "act n2",
            "act n1",
            "status True/Applied",
            "event Normal ConnectionRemoved: - delete connection secret shop/n1",
            "event Normal ConnectionRemoved: - delete connection secret shop/n2",
            "event Normal Synced: Applied: as scripted",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn no_more_than_eight_run_at_once() {
    let steps = vec!["n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9"];
    let script = Script { steps, hangs: Some("n0"), together: Some("n"), ..Script::default() };
    let (mut log, verdict) = acts(&script).await;
    log.sort();
    assert_eq!(log, ["n1", "n2", "n3", "n4", "n5", "n6", "n7"]);
    assert_eq!(verdict.and_then(|verdict| verdict.failed), Some(Class::Transient), "cut off");
}

#[tokio::test(start_paused = true)]
async fn after_a_lost_answer_what_runs_beside_it_ends_and_nothing_more_begins() {
    let slow = Some(("n2", Duration::from_secs(5)));
    let act = Some(("n1", failure(Class::Unknown, "NoAnswer")));
    let script = Script {
        steps: vec!["n1", "n2", "last"],
        slow,
        act,
        together: Some("n"),
        ..Script::default()
    };
    let (log, verdict) = acts(&script).await;
    assert_eq!(log, ["n1", "n2"]);
    assert_eq!(verdict.and_then(|verdict| verdict.failed), Some(Class::Unknown));
}

#[tokio::test(start_paused = true)]
async fn a_refused_step_holds_up_neither_those_beside_it_nor_those_after() {
    let act = Some(("n1", failure(Class::Refused, "Unauthorized")));
    let script =
        Script { steps: vec!["n1", "n2", "last"], act, together: Some("n"), ..Script::default() };
    let (mut log, _) = acts(&script).await;
    assert_eq!(log.pop().as_deref(), Some("last"));
    log.sort();
    assert_eq!(log, ["n1", "n2"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_not_begun_after_a_minute_is_left_to_the_next_look() {
    let slow = Some(("a", Duration::from_secs(61)));
    let script = Script { steps: vec!["a", "b"], slow, ..Script::default() };
    let (log, verdict) = acts(&script).await;
    assert_eq!(log, ["a"]);
    assert_eq!(verdict, Some(SETTLED), "no failure, and looked at again as the plan says");
}
