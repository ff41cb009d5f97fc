//! Patches of every form on a good object: it stays an object of its kind with its name, or the patch is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = fuzz::split(data) else { return };
    let rt = fuzz::kind(choice / 8);
    let old = fuzz::made(&rt, fuzz::object(choice / 8)).expect("a good object").object;
    if let Ok(admitted) = fuzz::patched(&rt, &old, (fuzz::body_kind(choice), bytes), "two") {
        assert_eq!(admitted.object["metadata"]["name"], "x");
        assert_eq!(admitted.object["kind"], old["kind"]);
    }
});
