//! Which writes, in which order, when all goes well.

use fleetwright_reconcile::Verdict;

use crate::world::{FINALIZER, IDLE, Script, World, object};

const SETTLED: Verdict = Verdict { requeue: Some(IDLE), failed: None };

#[tokio::test]
async fn the_finalizer_comes_before_the_first_side_effect_and_the_status_after_the_last() {
    let world = World::with(object(&["other/one"], false));
    let script = Script { steps: vec!["a", "b"], ..Script::default() };
    assert_eq!(world.reconcile(&script, None).await, Some(SETTLED));
    assert_eq!(
        world.take_log(),
        [
            r#"finalizers ["other/one","fleetwright.dev/test"]"#,
            "act a",
            "act b",
            "status True/Applied",
            "event Normal ConnectionRemoved: - delete connection secret shop/a",
            "event Normal ConnectionRemoved: - delete connection secret shop/b",
            "event Normal Synced: Applied: as scripted",
        ]
    );
}

#[tokio::test]
async fn a_held_finalizer_is_not_written_again() {
    let world = World::with(object(&[FINALIZER], false));
    let script = Script { steps: vec!["a"], ..Script::default() };
    world.reconcile(&script, None).await;
    assert_eq!(
        world.take_log(),
        [
            "act a",
            "status True/Applied",
            "event Normal ConnectionRemoved: - delete connection secret shop/a",
            "event Normal Synced: Applied: as scripted",
        ]
    );
}

#[tokio::test]
async fn nothing_is_written_when_nothing_changed() {
    let world = World::with(object(&[], false));
    let script = Script { steps: vec!["a"], ..Script::default() };
    world.reconcile(&script, None).await;
    let settled = world.object();
    world.take_log();
    for _ in 0..3 {
        assert_eq!(world.reconcile(&script, None).await, Some(SETTLED));
    }
    assert_eq!(world.take_log(), [""; 0]);
    assert_eq!(world.object(), settled);
}

#[tokio::test]
async fn a_plan_without_steps_takes_no_finalizer() {
    let world = World::with(object(&[], false));
    let script = Script { waiting: true, ..Script::default() };
    assert_eq!(world.reconcile(&script, None).await, Some(SETTLED));
    assert_eq!(world.take_log(), ["status False/Applying"]);
}

#[tokio::test]
async fn a_kind_without_a_finalizer_acts_without_one() {
    let world = World::with(object(&[], false));
    let script = Script { steps: vec!["a"], no_finalizer: true, ..Script::default() };
    world.reconcile(&script, None).await;
    assert_eq!(world.take_log()[..2], ["act a", "status True/Applied"]);
}

#[tokio::test]
async fn the_finalizer_goes_when_nothing_is_left_and_the_object_with_it() {
    let world = World::with(object(&[FINALIZER], true));
    let script = Script { steps: vec!["undo"], gone: true, ..Script::default() };
    world.reconcile(&script, None).await;
    assert_eq!(world.take_log()[..2], ["act undo", "status True/Applied"]);
    world.reconcile(&script, None).await;
    assert_eq!(world.take_log(), ["finalizers []"]);
    assert_eq!(world.object(), None);
}

#[tokio::test]
async fn finalizers_of_others_stay() {
    let world = World::with(object(&["other/one", FINALIZER], true));
    world.reconcile(&Script { gone: true, ..Script::default() }, None).await;
    assert_eq!(world.take_log(), [r#"finalizers ["other/one"]"#]);
    world.reconcile(&Script { gone: true, ..Script::default() }, None).await;
    assert_eq!(world.take_log(), [""; 0], "ours is gone; there is nothing more to do");
}
