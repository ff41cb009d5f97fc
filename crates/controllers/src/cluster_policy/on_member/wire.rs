//! What is read from a member and written to it, for the policies.

use std::collections::BTreeMap;

use fleetwright_api_types::{ANNOTATION_HANDS_OFF_UNTIL, MANAGED_BY};
use fleetwright_errclass::Class;
use fleetwright_plan::{MemberSnapshot, MemberStep, SeenNamespace};
use fleetwright_reconcile::Failure;
use fleetwright_render::{LABEL_MANAGED_BY, LABEL_MARK};
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::Looked;
use crate::managed_cluster::instant;

/// Lists the member's namespaces and our NetworkPolicies.
pub(super) async fn look(client: &Client) -> Result<Looked, Failure> {
    let ours = ListParams::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY}"));
    let namespaces = Api::<Namespace>::all(client.clone())
        .list(&ListParams::default())
        .await
        .map_err(|error| unseen("list the member's namespaces", &error))?;
    let policies = Api::<NetworkPolicy>::all(client.clone())
        .list(&ours)
        .await
        .map_err(|error| unseen("list the member's networkpolicies", &error))?;
    let asked = |annotations: &BTreeMap<String, String>| {
        instant(annotations.get(ANNOTATION_HANDS_OFF_UNTIL)?)
    };
    let of_namespaces = namespaces
        .iter()
        .filter_map(|found| Some(((found.name_any(), None), asked(found.annotations())?)));
    let of_policies = policies.iter().filter_map(|found| {
        let key = (found.namespace().unwrap_or_default(), Some(found.name_any()));
        Some((key, asked(found.annotations())?))
    });
    let hands_off = of_namespaces.chain(of_policies).collect();
    let namespaces = namespaces
        .into_iter()
        .map(|namespace| {
            let labels = namespace.labels().clone();
            let seen = SeenNamespace {
                marked: labels.contains_key(LABEL_MARK),
                terminating: namespace.metadata.deletion_timestamp.is_some(),
                labels,
            };
            (namespace.name_any(), seen)
        })
        .collect();
    let network_policies = policies
        .into_iter()
        .map(|policy| {
            let key = (policy.namespace().unwrap_or_default(), policy.name_any());
            let found = json!({"metadata": {"labels": policy.labels()}, "spec": policy.spec});
            (key, found)
        })
        .collect();
    Ok(Looked { member: MemberSnapshot { namespaces, network_policies }, hands_off })
}

/// A look that failed. A list always exists: who answers 404 to it is no API server of a cluster, or not yet one. Nobody
/// wrote first, so looking again at once would go on for ever.
fn unseen(deed: &str, error: &kube::Error) -> Failure {
    let failure = Failure::kube(deed, error);
    if failure.code == "NotFound" {
        return Failure { class: Class::Transient, ..failure };
    }
    failure
}

/// Does one step.
pub(super) async fn act(client: &Client, step: &MemberStep) -> Result<(), Failure> {
    match step {
        MemberStep::LabelNamespace { namespace, labels } => {
            let labels: Map<String, Value> = labels
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().map_or(Value::Null, Value::from)))
                .collect();
            let patch = json!({"metadata": {"labels": labels}});
            Api::<Namespace>::all(client.clone())
                .patch(namespace, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map(drop)
                .map_err(|error| Failure::kube(&format!("label namespace {namespace}"), &error))
        }
        MemberStep::PutNetworkPolicy { namespace, name, object } => {
            put_network_policy(client, namespace, name, object).await
        }
        MemberStep::DeleteNetworkPolicy { namespace, name } => {
            let api = Api::<NetworkPolicy>::namespaced(client.clone(), namespace);
            match api.delete(name, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => {
                    Err(Failure::kube(&format!("delete networkpolicy {namespace}/{name}"), &error))
                }
            }
        }
        MemberStep::Drain { .. } | MemberStep::DeleteOutside { .. } => {
            let message = format!("{step} is not for the policies on a member");
            Err(Failure::new(Class::Bug, "WrongController", message))
        }
    }
}

/// Creates, or replaces whole: a merge patch would leave rules that somebody added.
async fn put_network_policy(
    client: &Client,
    namespace: &str,
    name: &str,
    object: &Value,
) -> Result<(), Failure> {
    let deed = format!("put networkpolicy {namespace}/{name}");
    let api = Api::<NetworkPolicy>::namespaced(client.clone(), namespace);
    let mut wanted: NetworkPolicy = serde_json::from_value(object.clone())
        .map_err(|error| Failure::new(Class::Bug, "BadNetworkPolicy", error.to_string()))?;
    match api.create(&PostParams::default(), &wanted).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(Failure::kube(&deed, &error)),
    }
    let found = api.get(name).await.map_err(|error| Failure::kube(&deed, &error))?;
    wanted.metadata.resource_version = found.metadata.resource_version;
    api.replace(name, &PostParams::default(), &wanted)
        .await
        .map(drop)
        .map_err(|error| Failure::kube(&deed, &error))
}

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use kube::client::Body;

    use super::*;

    #[tokio::test]
    async fn a_look_that_finds_no_such_path_is_tried_again_later_and_not_at_once() {
        let nothing_here = |_: Request<Body>| async {
            Response::builder().status(404).body(Body::from(b"404 page not found".to_vec()))
        };
        let client = Client::new(tower::service_fn(nothing_here), "default");
        let failure = look(&client).await.expect_err("nothing is there");
        assert_eq!((failure.class, failure.code.as_str()), (Class::Transient, "NotFound"));
        assert!(failure.message.starts_with("cannot list the member's namespaces"), "{failure}");
    }
}
