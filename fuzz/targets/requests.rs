//! Paths and queries.
#![no_main]

use fleetwright_apiserver_core::request::{Options, Verb, route};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, bytes)) = fuzz::split(data) else { return };
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (path, query) = text.split_once('?').unwrap_or((text, ""));
    let method = ["GET", "POST", "PUT", "PATCH", "DELETE"][usize::from(choice % 5)];
    let _ = route(method, path, query);
    let _ = Options::parse(query, [Verb::List, Verb::Create, Verb::Patch][usize::from(choice % 3)]);
});
