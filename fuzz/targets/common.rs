//! What the targets share: a scheme, a moment, and ways to cut an input into pieces.

use std::sync::{Arc, OnceLock};

use fleetwright_apiserver_core::crud::{Admitted, Birth, Context, Part, create, patch};
use fleetwright_apiserver_core::document::{Document, decode};
use fleetwright_apiserver_core::negotiate::BodyKind;
use fleetwright_apiserver_core::request::{Options, Verb};
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_apiserver_core::status::ApiError;
use serde_json::{Value, json};

/// The built-in kinds.
pub fn scheme() -> &'static Scheme {
    static SCHEME: OnceLock<Scheme> = OnceLock::new();
    SCHEME.get_or_init(Scheme::builtin)
}

/// One of three kinds with lists of every sort.
pub fn kind(number: u8) -> Arc<ResourceType> {
    let (group, plural) = [("", "pods"), ("apps", "deployments"), ("", "configmaps")][usize::from(number % 3)];
    scheme().find(group, "v1", plural).cloned().expect("a built-in kind")
}

/// An object of [`kind`] to begin with.
pub fn object(number: u8) -> Value {
    let container = json!({"name": "c", "image": "i", "ports": [{"containerPort": 80}], "env": [{"name": "A", "value": "1"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [container]}});
    match number % 3 {
        0 => json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": template["spec"]}),
        1 => json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "x"},
            "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}),
        _ => json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "b"}}),
    }
}

/// Bodies as they may come.
pub fn body_kind(number: u8) -> BodyKind {
    use BodyKind::{ApplyPatch, Json, JsonPatch, MergePatch, StrategicMergePatch, Yaml};
    [Json, Yaml, MergePatch, JsonPatch, StrategicMergePatch, ApplyPatch][usize::from(number % 6)]
}

/// Creates `body` as the server does.
pub fn made(rt: &ResourceType, body: Value) -> Result<Admitted, ApiError> {
    let options = Options::parse("fieldManager=one", Verb::Create)?;
    let birth = Birth { uid: "1".to_owned(), suffix: "aaaaa".to_owned() };
    create(&context(rt, &options), Document::from(body), birth)
}

/// Patches `old` as `manager` does.
pub fn patched(rt: &ResourceType, old: &Value, (kind, bytes): (BodyKind, &[u8]), manager: &str) -> Result<Admitted, ApiError> {
    let force = if kind == BodyKind::ApplyPatch { "&force=true" } else { "" };
    let options = Options::parse(&format!("fieldManager={manager}{force}"), Verb::Patch)?;
    let document = decode(kind, bytes)?;
    patch(&context(rt, &options), "x", Part::Main, old, (kind, &document))
}

fn context<'a>(rt: &'a ResourceType, options: &'a Options) -> Context<'a> {
    Context { rt, namespace: Some("default"), now: jiff::Timestamp::UNIX_EPOCH, options }
}

/// The first byte and the rest.
pub fn split(data: &[u8]) -> Option<(u8, &[u8])> {
    data.split_first().map(|(first, rest)| (*first, rest))
}

/// Two pieces, apart by a zero byte.
pub fn halves(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = data.iter().position(|byte| *byte == 0)?;
    Some((&data[..at], &data[at + 1..]))
}
