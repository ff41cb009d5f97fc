//! Argo CD's cluster Secret: whose it is, and what it lacks. Pure.
//!
//! Others write into these Secrets too: people add labels that steer their ApplicationSets, Argo CD adds annotations and
//! keys. What is theirs stays; an annotation says what is ours, so that it goes when it is no longer declared.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use fleetwright_api_types::MANAGED_BY;
use fleetwright_names::{Owner, TAG_OBJECT};
use fleetwright_render::{ANNOTATION_WRITTEN, LABEL_MANAGED_BY};
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What bears the Secret's name. Of a stranger's nothing is kept.
pub(super) enum Found {
    Nothing,
    Stranger,
    Ours(Box<Secret>),
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "Nothing",
            Self::Stranger => "Stranger",
            // Somebody may have put a credential into it.
            Self::Ours(_) => "Ours",
        })
    }
}

impl Found {
    pub(super) fn read(found: Option<Secret>, owner: &Owner) -> Self {
        match found {
            None => Self::Nothing,
            Some(secret) if is_ours(&secret, owner) => Self::Ours(Box::new(secret)),
            Some(_) => Self::Stranger,
        }
    }
}

/// Whether we wrote it for this object, or for an earlier life of it.
pub(super) fn is_ours(secret: &Secret, owner: &Owner) -> bool {
    secret.labels().get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY)
        && secret.annotations().get(TAG_OBJECT) == Some(&owner.object.to_string())
}

/// Labels and keys that we wrote.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Written {
    labels: BTreeSet<String>,
    data: BTreeSet<String>,
}

impl Written {
    fn of(annotations: Option<&String>) -> Self {
        annotations.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
    }
}

/// The merge patch that makes `found` as `wanted` says, under the resourceVersion that was read; `None`: it is.
pub(super) fn difference(wanted: &Value, found: &Secret) -> Option<Value> {
    let meta = &wanted["metadata"];
    let written = Written::of(found.annotations().get(ANNOTATION_WRITTEN));
    let has: BTreeMap<String, Value> = text(found.labels());
    let mut labels = missing(&meta["labels"], &has, PartialEq::eq);
    labels.extend(stale(&written.labels, &meta["labels"], &has));
    let annotations =
        missing(&meta["annotations"], &text(found.annotations()), |one, other| one == other);
    // As JSON writes them: in base64.
    let has: BTreeMap<String, Value> = match serde_json::to_value(&found.data) {
        Ok(Value::Object(data)) => data.into_iter().collect(),
        Ok(_) | Err(_) => BTreeMap::new(),
    };
    let mut data = missing(&wanted["data"], &has, same);
    data.extend(stale(&written.data, &wanted["data"], &has));
    if labels.is_empty() && annotations.is_empty() && data.is_empty() {
        return None;
    }
    Some(json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": found.metadata.uid,
            "resourceVersion": found.metadata.resource_version,
            "labels": labels,
            "annotations": annotations,
        },
        "data": data,
    }))
}

fn text(map: &BTreeMap<String, String>) -> BTreeMap<String, Value> {
    map.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect()
}

fn missing(
    wanted: &Value,
    found: &BTreeMap<String, Value>,
    same: impl Fn(&Value, &Value) -> bool,
) -> Map<String, Value> {
    let wanted = wanted.as_object().into_iter().flatten();
    let lacks =
        |(key, value): &(&String, &Value)| found.get(*key).is_none_or(|found| !same(found, value));
    wanted.filter(lacks).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What we wrote once, is there still and is declared no more: removed.
fn stale<'w>(
    written: &'w BTreeSet<String>,
    wanted: &'w Value,
    found: &'w BTreeMap<String, Value>,
) -> impl Iterator<Item = (String, Value)> + 'w {
    let gone = move |key: &&String| wanted.get(key.as_str()).is_none() && found.contains_key(*key);
    written.iter().filter(gone).map(|key| (key.clone(), Value::Null))
}

/// Equal as bytes, or as JSON: somebody may have written `config` with other spaces.
fn same(one: &Value, other: &Value) -> bool {
    one == other || parsed(one).is_some_and(|one| Some(one) == parsed(other))
}

fn parsed(base64: &Value) -> Option<Value> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(base64.clone()).ok()?;
    let json: Value = serde_json::from_slice(&bytes.0).ok()?;
    json.is_object().then_some(json)
}

#[cfg(test)]
mod tests {
    use fleetwright_names::{HubId, ObjectKey, Uid};

    use super::*;

    fn owner() -> Owner {
        Owner {
            hub: HubId::new("ab").expect("a hub"),
            object: ObjectKey::namespaced("shop", "one"),
            uid: Uid::new("1a").expect("a uid"),
        }
    }

    /// `{"a":1}` with and without spaces.
    const COMPACT: &str = "eyJhIjoxfQ==";
    const SPACED: &str = "eyAiYSI6IDEgfQ==";

    fn wanted(label: &str) -> Value {
        json!({
            "metadata": {
                "namespace": "argocd", "name": "cluster-shop-one",
                "labels": {"app.kubernetes.io/managed-by": "fleetwright", label: "x"},
                "annotations": {
                    "fleetwright.dev/object": "shop/one",
                    "fleetwright.dev/written":
                        json!({"labels": ["app.kubernetes.io/managed-by", label], "data": ["config"]}).to_string(),
                },
            },
            "data": {"config": COMPACT},
        })
    }

    fn found(change: impl Fn(&mut Value)) -> Secret {
        let mut secret = wanted("tier");
        secret["metadata"]["resourceVersion"] = "7".into();
        change(&mut secret);
        serde_json::from_value(secret).expect("a secret")
    }

    #[test]
    fn what_others_added_is_no_difference() {
        let theirs = found(|secret| {
            secret["metadata"]["labels"]["team"] = "a".into();
            secret["metadata"]["annotations"]["argocd.argoproj.io/refresh"] = "x".into();
            secret["data"]["shard"] = "MQ==".into();
            secret["data"]["config"] = SPACED.into();
        });
        assert_eq!(difference(&wanted("tier"), &theirs), None);
    }

    #[test]
    fn what_we_wrote_once_goes_when_it_is_no_longer_declared() {
        let patch = difference(&wanted("wave"), &found(|_| ())).expect("a difference");
        assert_eq!(patch["metadata"]["labels"], json!({"wave": "x", "tier": null}));
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(patch["data"], json!({}));
        let stripped = found(|secret| secret["data"] = json!({"config": "bmV3"}));
        let patch = difference(&wanted("tier"), &stripped).expect("a difference");
        assert_eq!(patch["data"], json!({"config": COMPACT}));
        assert_eq!(patch["metadata"]["labels"], json!({}));
    }

    #[test]
    fn only_what_bears_our_label_and_names_the_object_is_ours() {
        let is = |change: &dyn Fn(&mut Value)| is_ours(&found(change), &owner());
        assert!(is(&|_| ()));
        assert!(!is(&|secret| secret["metadata"]["labels"] = json!({})));
        assert!(!is(&|secret| {
            secret["metadata"]["annotations"]["fleetwright.dev/object"] = "shop/two".into();
        }));
        assert!(matches!(Found::read(None, &owner()), Found::Nothing));
    }
}
