//! The cluster Secret of an Argo CD: makes a cluster known there, without a credential.
//!
//! Its shape is Argo CD's contract (its documentation, "Declarative setup", "Clusters"): label
//! `argocd.argoproj.io/secret-type: cluster`, keys `name`, `server`, `config` and, where one is meant, `project`.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_api_types::{ArgoCdRegistration, Connection, MANAGED_BY};
use fleetwright_names::{ObjectKey, Owner, TAG_OBJECT, TAG_UID, sha256_hex};
use serde_json::{Map, Value, json};

use crate::LABEL_MANAGED_BY;

/// The label by which Argo CD finds its Secrets.
pub const LABEL_SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// Annotation with the labels and keys that we wrote, as JSON: others may add theirs, and keep them.
pub const ANNOTATION_WRITTEN: &str = "fleetwright.dev/written";
/// Argo CD's namespace where none is declared.
const NAMESPACE: &str = "argocd";
/// No name of an object is longer.
const NAME_CHARS: usize = 253;

/// What the cluster Secret of an Argo CD is made from.
#[derive(Debug, Clone, Copy)]
pub struct ArgoCdCluster<'a> {
    /// Whose cluster it is.
    pub owner: &'a Owner,
    /// What is declared.
    pub declared: &'a ArgoCdRegistration,
    /// The labels of the cluster's object.
    pub labels: &'a BTreeMap<String, String>,
    /// How the cluster's API is reached.
    pub connection: &'a Connection,
    /// How Argo CD signs in, in the words of its `config`, see `Provider::argocd`.
    pub sign_in: &'a Value,
}

/// The namespace of the Argo CD that is meant.
#[must_use]
pub fn argocd_namespace(declared: &ArgoCdRegistration) -> &str {
    declared.namespace.as_deref().unwrap_or(NAMESPACE)
}

/// The name of the Secret: `cluster-<namespace>-<name>-<hash>`, cut in the middle where it would be too long.
#[must_use]
pub fn argocd_secret_name(cluster: &ObjectKey) -> String {
    let hash = &sha256_hex(cluster.to_string())[..8];
    let readable = format!("cluster-{}-{}", cluster.namespace, cluster.name).replace('.', "-");
    let kept: String = readable.chars().take(NAME_CHARS - 1 - hash.len()).collect();
    format!("{kept}-{hash}")
}

/// Whether a label of the cluster's object may be copied to the Secret: not our own, not Argo CD's, and not those that say
/// whose the Secret is (by `app.kubernetes.io/instance` Argo CD would take it for a part of the application that made the
/// object, and prune it).
#[must_use]
pub fn may_be_copied(label: &str) -> bool {
    let prefix = label.split_once('/').map_or("", |(prefix, _)| prefix);
    let within = |domain: &str| {
        prefix == domain || prefix.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    };
    !within("fleetwright.dev")
        && !within("argoproj.io")
        && label != LABEL_MANAGED_BY
        && label != "app.kubernetes.io/instance"
}

/// The Secret. It holds no credential, so it may be shown in a plan.
#[must_use]
pub fn argocd_secret(of: ArgoCdCluster<'_>) -> Value {
    let ArgoCdCluster { owner, declared, labels, connection, sign_in } = of;
    let own = [(LABEL_SECRET_TYPE, "cluster"), (LABEL_MANAGED_BY, MANAGED_BY)];
    let mut all: BTreeMap<&str, &str> = own.into();
    let copied: BTreeSet<&String> =
        declared.copy_labels.iter().filter(|label| may_be_copied(label)).collect();
    for key in copied {
        if let Some(value) = labels.get(key) {
            all.insert(key, value);
        }
    }
    let cluster = &owner.object;
    let mut data = BTreeMap::from([
        // No namespace has a dot, so no two clusters share this, and it can be written down before the cluster is there.
        ("name", format!("{}.{}", cluster.namespace, cluster.name)),
        ("server", connection.endpoint.clone()),
        ("config", config(sign_in, connection).to_string()),
    ]);
    if let Some(project) = &declared.project {
        data.insert("project", project.clone());
    }
    let written = json!({
        "data": data.keys().collect::<Vec<_>>(),
        "labels": all.keys().collect::<Vec<_>>(),
    });
    let data: Map<String, Value> = data
        .into_iter()
        .map(|(key, text)| (key.to_owned(), STANDARD.encode(text).into()))
        .collect();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "namespace": argocd_namespace(declared),
            "name": argocd_secret_name(cluster),
            "labels": all,
            "annotations": {
                TAG_OBJECT: cluster.to_string(),
                TAG_UID: owner.uid.as_str(),
                ANNOTATION_WRITTEN: written.to_string(),
            },
        },
        "data": data,
    })
}

fn config(sign_in: &Value, connection: &Connection) -> Value {
    let mut config = sign_in.as_object().cloned().unwrap_or_default();
    let ca = STANDARD.encode(&connection.certificate_authority);
    config.insert("tlsClientConfig".to_owned(), json!({"insecure": false, "caData": ca}));
    if let Some(proxy) = &connection.proxy_url {
        config.insert("proxyUrl".to_owned(), proxy.as_str().into());
    }
    Value::Object(config)
}

#[cfg(test)]
mod tests {
    use fleetwright_names::{HubId, Uid};

    use super::*;

    fn secret(declared: Value, proxy: Option<&str>) -> Value {
        let owner = Owner {
            hub: HubId::new("ab").expect("a hub"),
            object: ObjectKey::namespaced("payments", "payments-eu"),
            uid: Uid::new("1a").expect("a uid"),
        };
        let declared: ArgoCdRegistration = serde_json::from_value(declared).expect("declared");
        let labels = [("tier", "prod"), ("wave", "2"), ("fleetwright.dev/class", "x")];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let connection = Connection {
            endpoint: "https://example".into(),
            certificate_authority: "PEM".into(),
            proxy_url: proxy.map(str::to_owned),
        };
        let sign_in = json!({"awsAuthConfig": {"clusterName": "payments-eu-01"}});
        argocd_secret(ArgoCdCluster {
            owner: &owner,
            declared: &declared,
            labels: &labels,
            connection: &connection,
            sign_in: &sign_in,
        })
    }

    fn text(secret: &Value, key: &str) -> String {
        let bytes = STANDARD.decode(secret["data"][key].as_str().expect(key)).expect("base64");
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn argo_cd_finds_it_by_its_label_and_signs_in_by_itself() {
        let secret = secret(json!({"project": "payments", "copyLabels": ["tier", "absent"]}), None);
        assert_eq!(
            secret["metadata"],
            json!({
                "namespace": "argocd",
                "name": "cluster-payments-payments-eu-92365253",
                "labels": {
                    "argocd.argoproj.io/secret-type": "cluster",
                    "app.kubernetes.io/managed-by": "fleetwright",
                    "tier": "prod",
                },
                "annotations": {
                    "fleetwright.dev/object": "payments/payments-eu",
                    "fleetwright.dev/uid": "1a",
                    "fleetwright.dev/written":
                        r#"{"data":["config","name","project","server"],"labels":["app.kubernetes.io/managed-by","argocd.argoproj.io/secret-type","tier"]}"#,
                },
            })
        );
        assert_eq!(text(&secret, "name"), "payments.payments-eu");
        assert_eq!(text(&secret, "server"), "https://example");
        assert_eq!(text(&secret, "project"), "payments");
        let config: Value = serde_json::from_str(&text(&secret, "config")).expect("JSON");
        assert_eq!(
            config,
            json!({
                "awsAuthConfig": {"clusterName": "payments-eu-01"},
                "tlsClientConfig": {"insecure": false, "caData": "UEVN"},
            })
        );
    }

    #[test]
    fn what_is_not_declared_is_not_there() {
        let secret = secret(json!({"namespace": "gitops"}), Some("http://proxy:3128"));
        assert_eq!(secret["metadata"]["namespace"], "gitops");
        let keys: Vec<&String> = secret["data"].as_object().expect("data").keys().collect();
        assert_eq!(keys, ["config", "name", "server"]);
        assert!(text(&secret, "config").contains(r#""proxyUrl":"http://proxy:3128""#));
    }

    #[test]
    fn labels_that_mean_something_to_argo_cd_or_to_us_are_not_copied() {
        for label in ["tier", "example.com/tier", "notfleetwright.dev/x", "app.kubernetes.io/name"]
        {
            assert!(may_be_copied(label), "{label}");
        }
        for label in [
            "fleetwright.dev/class",
            "edge.fleetwright.dev/class",
            "argocd.argoproj.io/secret-type",
            "argocd.argoproj.io/instance",
            "app.kubernetes.io/managed-by",
            "app.kubernetes.io/instance",
        ] {
            assert!(!may_be_copied(label), "{label}");
        }
    }

    #[test]
    fn names_that_look_alike_or_are_long_stay_apart_and_fit() {
        let name = |namespace: &str, name: &str| {
            argocd_secret_name(&ObjectKey::namespaced(namespace, name))
        };
        assert_ne!(name("a-b", "c"), name("a", "b-c"));
        assert_ne!(name("a", "b.c"), name("a", "b-c"));
        let long = name(&"n".repeat(63), &"c".repeat(253));
        assert_eq!(long.len(), 253);
    }
}
