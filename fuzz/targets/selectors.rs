//! Selectors of labels and fields.
#![no_main]

use fleetwright_apiserver_core::selector::{FieldSelector, LabelSelector};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let object = fuzz::object(0);
    if let Ok(selector) = LabelSelector::parse(text) {
        let _ = selector.matches(&object);
    }
    if let Ok(selector) = FieldSelector::parse(text, &fuzz::kind(0)) {
        let _ = selector.matches(&object);
    }
});
