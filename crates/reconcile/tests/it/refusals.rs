//! The status tells on every path what stopped it; a lost race stops every side effect.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::Problem;
use fleetwright_reconcile::{Failure, Verdict};
use serde_json::json;

use crate::world::{FINALIZER, Script, World, failure, object, rejected};

#[tokio::test]
async fn a_wait_that_the_other_side_asks_for_reaches_the_loop_and_has_a_limit() {
    for (asked, told) in [(7, 7), (86_400, 900)] {
        let failure = Failure {
            retry_after: Some(Duration::from_secs(asked)),
            ..failure(Class::Transient, "Throttled")
        };
        let world = World::with(object(&[], false));
        let script = Script { observe: Some(failure), ..Script::default() };
        let verdict = world.reconcile(&script, None).await;
        let wait = Some(Duration::from_secs(told));
        assert_eq!(verdict, Some(Verdict { requeue: wait, failed: Some(Class::Transient) }));
    }
}

/// Reconciles a fresh object; compares the log and the class that the loop is told.
#[track_caller]
fn check(script: Script, log: &[impl AsRef<str>], class: Class) {
    let world = World::with(object(&[], false));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    let verdict = runtime.block_on(world.reconcile(&script, None));
    let log: Vec<&str> = log.iter().map(AsRef::as_ref).collect();
    assert_eq!(world.take_log(), log, "of {script:?}");
    assert_eq!(verdict, Some(Verdict { requeue: None, failed: Some(class) }));
}

/// One status and one warning, and nothing else.
fn told(reason: &str) -> [String; 2] {
    [format!("status False/{reason}"), format!("event Warning NotSynced: {reason}: as scripted")]
}

#[test]
fn an_invalid_declaration_is_told() {
    let problems = vec![Problem::new("spec.version", "no")];
    let script = Script { problems, steps: vec!["a"], ..Script::default() };
    check(script, &told("InvalidConfiguration"), Class::Invalid);
}

#[test]
fn a_world_that_does_not_answer_is_told_and_not_touched() {
    let observe = Some(failure(Class::Unknown, "NoAnswer"));
    let script = Script { observe, steps: vec!["a"], ..Script::default() };
    check(script, &told("NoAnswer"), Class::Unknown);
}

#[test]
fn a_plan_that_the_lint_refuses_is_told_and_not_acted_on() {
    let script = Script { lint: Some(rejected()), steps: vec!["a"], ..Script::default() };
    check(script, &told("PlanRejected"), Class::Bug);
}

#[test]
fn a_step_without_an_answer_is_told_and_stops_the_rest() {
    let act = Some(("b", failure(Class::Unknown, "Timeout")));
    let script = Script { act, steps: vec!["a", "b", "c"], ..Script::default() };
    let log = [
        r#"finalizers ["fleetwright.dev/test"]"#,
        "act a",
        "act b",
        "status False/Timeout",
        "event Normal ConnectionRemoved: - delete connection secret shop/a",
        "event Warning NotSynced: Timeout: as scripted",
    ];
    check(script, &log, Class::Unknown);
}

#[test]
fn a_refused_step_is_told_and_holds_up_only_itself() {
    let act = Some(("b", failure(Class::Refused, "QuotaExceeded")));
    let script = Script { act, steps: vec!["a", "b", "c"], ..Script::default() };
    let log = [
        r#"finalizers ["fleetwright.dev/test"]"#,
        "act a",
        "act b",
        "act c",
        "status False/QuotaExceeded",
        "event Normal ConnectionRemoved: - delete connection secret shop/a",
        "event Normal ConnectionRemoved: - delete connection secret shop/c",
        "event Warning NotSynced: QuotaExceeded: as scripted",
    ];
    check(script, &log, Class::Refused);
}

#[test]
fn a_step_that_a_cloud_finds_invalid_is_tried_again_slowly() {
    let act = Some(("a", failure(Class::Invalid, "InvalidRequest")));
    let script = Script { act, steps: vec!["a"], ..Script::default() };
    let log = [
        r#"finalizers ["fleetwright.dev/test"]"#,
        "act a",
        "status False/InvalidRequest",
        "event Warning NotSynced: InvalidRequest: as scripted",
    ];
    check(script, &log, Class::Refused);
}

#[test]
fn what_cannot_be_read_is_told() {
    let read = Some(failure(Class::Transient, "ApiError"));
    let script = Script { read, steps: vec!["a"], ..Script::default() };
    check(script, &["status Unknown/ReadFailed"], Class::Transient);
}

const CONFLICT: Option<Verdict> = Some(Verdict { requeue: None, failed: Some(Class::Conflict) });

fn acting() -> Script {
    Script { steps: vec!["a"], ..Script::default() }
}

#[tokio::test]
async fn a_stale_object_is_not_acted_on() {
    let world = World::with(object(&[], false));
    let stale = world.object();
    world.meddle(|object| {
        object.as_mut().expect("one")["metadata"]["resourceVersion"] = json!("11")
    });
    assert_eq!(world.reconcile(&acting(), stale).await, CONFLICT);
    assert_eq!(
        world.take_log(),
        ["refused with 409: PATCH finalizers", "refused with 409: PATCH status"]
    );
}

#[tokio::test]
async fn an_object_that_is_gone_is_not_acted_on() {
    let world = World::with(object(&[], false));
    let stale = world.object();
    world.meddle(|object| *object = None);
    assert_eq!(world.reconcile(&acting(), stale).await, CONFLICT);
    assert_eq!(world.made(), [""; 0]);
}

#[tokio::test]
async fn the_same_name_made_anew_is_not_acted_on() {
    let world = World::with(object(&[], false));
    let stale = world.object();
    world.meddle(|object| object.as_mut().expect("one")["metadata"]["uid"] = json!("2b"));
    assert_eq!(world.reconcile(&acting(), stale).await, CONFLICT);
    assert_eq!(world.made(), [""; 0]);
}

#[tokio::test]
async fn nothing_new_is_made_for_an_object_on_its_way_out() {
    let world = World::with(object(&["other/one"], true));
    // Refused: somebody else holds it, for as long as they like, so a look at once would be one after another.
    let refused = Some(Verdict { requeue: None, failed: Some(Class::Refused) });
    assert_eq!(world.reconcile(&acting(), None).await, refused);
    assert_eq!(world.take_log(), ["status False/Deleting"]);
}

#[tokio::test]
async fn a_finalizer_that_the_hub_refuses_stops_the_act_and_is_told() {
    let world = World::with(object(&[], false));
    world.refuse("finalizers", 500);
    let verdict = world.reconcile(&acting(), None).await.expect("no crash");
    assert_eq!(verdict.failed, Some(Class::Transient));
    let log = world.take_log();
    assert_eq!(log[0], "refused with 500: PATCH finalizers");
    assert_eq!(log[1..], told("ApiError"));
}

#[tokio::test]
async fn a_status_that_is_refused_fails_the_reconcile_and_tells_only_what_was_done() {
    for (code, class) in [(500, Class::Transient), (403, Class::Refused), (422, Class::Bug)] {
        let world = World::with(object(&[FINALIZER], false));
        world.refuse("status", code);
        let verdict = world.reconcile(&acting(), None).await.expect("no crash");
        assert_eq!(verdict.failed, Some(class));
        assert_eq!(
            world.take_log(),
            [
                "act a".to_owned(),
                format!("refused with {code}: PATCH status"),
                "event Normal ConnectionRemoved: - delete connection secret shop/a".to_owned(),
            ]
        );
    }
}

#[tokio::test]
async fn a_finalizer_that_cannot_be_removed_is_tried_again() {
    let world = World::with(object(&[FINALIZER], true));
    world.refuse("finalizers", 500);
    let script = Script { gone: true, ..Script::default() };
    let verdict = world.reconcile(&script, None).await.expect("no crash");
    assert_eq!(verdict.failed, Some(Class::Transient));
    assert!(world.object().is_some());
}
