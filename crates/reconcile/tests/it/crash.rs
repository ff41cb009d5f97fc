//! A crash at any touch of the world, before or after its effect: the next reconcile finds its way from there.

use serde_json::json;

use crate::world::{Crash, FINALIZER, Script, World, object};

/// More than any reconcile here touches the world.
const TOUCHES: usize = 12;

fn crashes() -> impl Iterator<Item = Crash> {
    (1..=TOUCHES).flat_map(|touch| [false, true].map(|after_effect| Crash { touch, after_effect }))
}

#[tokio::test]
async fn making_survives_a_crash_anywhere() {
    let script = Script { steps: vec!["a", "b", "c"], ..Script::default() };
    let mut crashed = 0;
    for crash in crashes() {
        let world = World::with(object(&[], false));
        world.crash_at(Some(crash));
        crashed += usize::from(world.reconcile(&script, None).await.is_none());

        let left = world.object().expect("the object");
        let held = left["metadata"]["finalizers"] == json!([FINALIZER]);
        assert!(
            held || world.made().is_empty(),
            "{crash:?}: a side effect that no finalizer undoes"
        );
        let told = left["status"]["conditions"][0]["reason"] == "Applied";
        assert!(!told || world.made().len() == 3, "{crash:?}: the status says more than was done");

        world.crash_at(None);
        world.take_log();
        world.reconcile(&script, None).await.expect("no crash");
        assert_eq!(world.made(), ["a", "b", "c"], "{crash:?}: each once and in order");
        let whole = world.object().expect("the object");
        assert_eq!(whole["metadata"]["finalizers"], json!([FINALIZER]), "{crash:?}");
        assert_eq!(whole["status"]["conditions"][0]["reason"], "Applied", "{crash:?}");
        world.take_log();
        world.reconcile(&script, None).await.expect("no crash");
        assert_eq!(world.take_log(), [""; 0], "{crash:?}: not at rest");
    }
    // Finalizer, three acts, status, four events: nine touches, each crashed before and after.
    assert_eq!(crashed, 18);
}

#[tokio::test]
async fn undoing_survives_a_crash_anywhere() {
    let script = Script { steps: vec!["undo-a", "undo-b"], gone: true, ..Script::default() };
    for crash in crashes() {
        let world = World::with(object(&[FINALIZER], true));
        world.crash_at(Some(crash));
        for _ in 0..3 {
            if world.object().is_none() || world.reconcile(&script, None).await.is_none() {
                break;
            }
        }
        assert!(
            world.object().is_some() || world.made().len() == 2,
            "{crash:?}: the object went before its things"
        );
        world.crash_at(None);
        for _ in 0..3 {
            if world.object().is_some() {
                world.reconcile(&script, None).await.expect("no crash");
            }
        }
        assert_eq!(world.made(), ["undo-a", "undo-b"], "{crash:?}");
        assert_eq!(world.object(), None, "{crash:?}");
    }
}
