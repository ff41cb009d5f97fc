//! Protobuf bodies: what is decoded is an object, and defaults can be laid over it.
#![no_main]

use fleetwright_apiserver_kinds::{defaults, kinds, protobuf};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut body = b"k8s\0".to_vec();
    body.extend_from_slice(data);
    let Ok(mut value) = protobuf::decode(&body) else { return };
    assert!(value.is_object());
    let (version, kind) = (value["apiVersion"].clone(), value["kind"].clone());
    let found = kinds::all().find(|one| version == one.api_version() && kind == one.kind);
    if let Some(found) = found {
        defaults::apply(found, &mut value);
    }
});
