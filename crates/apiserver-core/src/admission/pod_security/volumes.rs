//! Which kinds of volumes a restricted pod may have.

use std::collections::BTreeSet;

use serde_json::Value;

use super::checks::Violation;
use super::{name, object, plural, quoted};

const ALLOWED: &[&str] = &[
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

fn volumes(spec: &Value) -> impl Iterator<Item = &Value> {
    spec["volumes"].as_array().into_iter().flatten()
}

pub(super) fn host_paths(spec: &Value) -> Option<Violation> {
    let bad: Vec<&str> =
        volumes(spec).filter(|volume| volume["hostPath"].is_object()).map(name).collect();
    let detail = || format!("{} {}", plural("volume", bad.len()), quoted(&bad));
    (!bad.is_empty()).then(|| Violation::new("hostPath volumes", detail()))
}

pub(super) fn restricted(spec: &Value) -> Option<Violation> {
    let (mut bad, mut kinds) = (Vec::new(), BTreeSet::new());
    for volume in volumes(spec) {
        let sources: Vec<&str> = object(volume)
            .into_iter()
            .flatten()
            .filter(|(key, value)| *key != "name" && value.is_object())
            .map(|(key, _)| key.as_str())
            .collect();
        if sources.iter().any(|kind| ALLOWED.contains(kind)) {
            continue;
        }
        bad.push(name(volume));
        kinds.insert(sources.first().copied().unwrap_or("unknown"));
    }
    let kinds: Vec<&str> = kinds.into_iter().collect();
    let detail = || {
        let verb = if bad.len() == 1 { "uses" } else { "use" };
        let kind = plural("type", kinds.len());
        let volumes = format!("{} {}", plural("volume", bad.len()), quoted(&bad));
        format!("{volumes} {verb} restricted volume {kind} {}", quoted(&kinds))
    };
    (!bad.is_empty()).then(|| Violation::new("restricted volume types", detail()))
}
