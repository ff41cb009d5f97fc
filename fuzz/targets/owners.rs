//! Two appliers: a configuration applied twice changes nothing the second time, and field sets survive their own spelling.
#![no_main]

use fleetwright_apiserver_apply::FieldSet;
use fleetwright_apiserver_core::crud::Effect;
use fleetwright_apiserver_core::negotiate::BodyKind;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(value) = serde_json::from_slice(data)
        && let Some(set) = FieldSet::decode(&value)
    {
        let paths = set.paths();
        let again = FieldSet::decode(&set.encode()).expect("its own spelling");
        assert_eq!(again.paths(), paths);
    }
    let Some((choice, bytes)) = fuzz::split(data) else { return };
    let Some((first, second)) = fuzz::halves(bytes) else { return };
    let rt = fuzz::kind(choice);
    let mut object = fuzz::made(&rt, fuzz::object(choice)).expect("a good object").object;
    for (config, manager) in [(first, "one"), (second, "two")] {
        let apply = (BodyKind::ApplyPatch, config);
        let Ok(applied) = fuzz::patched(&rt, &object, apply, manager) else { continue };
        object = applied.object;
        let again = fuzz::patched(&rt, &object, apply, manager).expect("what went once goes twice");
        assert_eq!(again.effect, Effect::Unchanged, "applied twice: {}", again.object);
    }
});
