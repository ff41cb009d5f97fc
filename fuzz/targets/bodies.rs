//! Bodies of every form: read, and made into an object.
#![no_main]

use fleetwright_apiserver_core::document::decode;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = fuzz::split(data) else { return };
    if let Ok(document) = decode(fuzz::body_kind(choice), bytes) {
        let _ = fuzz::made(&fuzz::kind(choice / 8), document.value);
    }
});
