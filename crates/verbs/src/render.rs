//! `fleetwright render`: the requests and objects that files mean, without any hub and without any cloud.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, Mode, ProviderConfig};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::preview::Preview;
use fleetwright_names::{ObjectKey, Owner, Uid};
use fleetwright_plan::{DesiredCluster, Resource};
use fleetwright_provider::Asked;
use fleetwright_render::Rules;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::manifest::{Finding, Manifest};

/// Stands for the uid that a new object will get.
const NO_UID: &str = "00000000-0000-0000-0000-000000000000";
/// Stands for every namespace of a member.
const NAMESPACE: &str = "default";

/// What stands in the documents for what only a hub knows.
pub const PLACEHOLDERS: &str = "hub id and uid are zeros here; policies are those of namespace default and the same in every namespace that is not excluded";

/// One document for each request of a cloud and each object on a member, in the order of the files. `fleet` holds the
/// providers, and clients of a hub that is not there.
///
/// # Errors
/// What is wrong with the files.
pub async fn render(fleet: &Fleet, manifests: &[Manifest]) -> Result<Vec<Value>, Vec<Finding>> {
    let of_kind = |kind: &'static str| {
        manifests.iter().filter(move |manifest| manifest.text("/kind") == kind)
    };
    let accounts: BTreeMap<String, Arc<ProviderConfig>> = of_kind("ProviderConfig")
        .filter_map(|manifest| {
            Some((manifest.text("/metadata/name").to_owned(), Arc::new(read(manifest)?)))
        })
        .collect();
    let policies: Vec<Arc<ClusterPolicy>> =
        of_kind("ClusterPolicy").filter_map(read).map(Arc::new).collect();
    let preview = Preview::new(fleet, accounts.values().cloned(), policies.iter().cloned());
    let (mut documents, mut findings) = (Vec::new(), Vec::new());
    for manifest in of_kind("ManagedCluster") {
        let Some(mut cluster) = read::<ManagedCluster>(manifest) else { continue };
        cluster.metadata.uid = Some(NO_UID.to_owned());
        cluster.metadata.generation = Some(1);
        match preview.problems(Arc::new(cluster.clone())).await {
            Ok(problems) if problems.is_empty() => {}
            Ok(problems) => {
                let found = problems
                    .iter()
                    .map(|problem| manifest.finding(&problem.field, &problem.message));
                findings.extend(found);
                continue;
            }
            Err(failure) => {
                findings.push(manifest.finding("", failure.message));
                continue;
            }
        }
        let account = accounts.get(&cluster.spec.provider_config_ref.name);
        match account.map(|account| desire(fleet, &cluster, account)) {
            Some(Ok(desired)) => documents.extend(requests(&desired)),
            Some(Err(message)) => findings.push(manifest.finding("", message)),
            None => {}
        }
        documents.extend(objects(&cluster, &policies));
    }
    if findings.is_empty() { Ok(documents) } else { Err(findings) }
}

/// Checked manifests always fit their type.
fn read<K: DeserializeOwned>(manifest: &Manifest) -> Option<K> {
    serde_json::from_value(manifest.object.clone()).ok()
}

fn desire(
    fleet: &Fleet,
    cluster: &ManagedCluster,
    account: &ProviderConfig,
) -> Result<DesiredCluster, String> {
    let cloud = cluster.spec.provider().and_then(|key| fleet.clouds.get(key));
    let cloud = cloud.ok_or_else(|| "this program has no such provider".to_owned())?;
    let owner = Owner {
        hub: fleet.hub.clone(),
        object: key_of(cluster),
        uid: Uid::new(NO_UID).map_err(|error| error.to_string())?,
    };
    cloud.desire(Asked { cluster, account, owner: &owner }).map_err(|problems| {
        let texts: Vec<String> = problems.iter().map(ToString::to_string).collect();
        texts.join("; ")
    })
}

fn key_of(cluster: &ManagedCluster) -> ObjectKey {
    ObjectKey::namespaced(cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// Every create request, the control plane's first.
fn requests(desired: &DesiredCluster) -> Vec<Value> {
    let document = |resource: Resource, body: &Value| {
        let mut document = json!({
            "cluster": desired.owner.object.to_string(),
            "at": desired.address.to_string(),
            "create": resource.to_string(),
            "request": without_notes(body),
        });
        // Follow the request in calls of their own.
        if let Some(policies) = body.get("_policies") {
            document["policies"] = policies.clone();
        }
        document
    };
    let mut documents = vec![document(Resource::Cluster, &desired.body)];
    let pools = desired.pools.iter();
    documents.extend(pools.map(|pool| document(Resource::Pool(pool.name.clone()), &pool.body)));
    let parts = desired.parts.iter();
    documents.extend(parts.map(|part| document(Resource::Part(part.key.clone()), &part.body)));
    documents
}

/// A request as it is sent: keys that begin with `_` are a provider's own notes.
fn without_notes(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(map) = body.as_object_mut() {
        map.retain(|key, _| !key.starts_with('_'));
    }
    body
}

/// What the policies that select the cluster put on its member.
fn objects(cluster: &ManagedCluster, policies: &[Arc<ClusterPolicy>]) -> Vec<Value> {
    let selects =
        |policy: &&Arc<ClusterPolicy>| policy.spec.cluster_selector.matches(cluster.labels());
    let rules = Rules::merge(policies.iter().filter(selects).map(AsRef::as_ref));
    let desired = rules.desired(Mode::Enforce, &[NAMESPACE.to_owned()], 1);
    let of = key_of(cluster).to_string();
    let labels = desired.labels.iter().filter(|(_, labels)| !labels.is_empty());
    let mut documents: Vec<Value> = labels
        .map(|(namespace, labels)| {
            let object = json!({"apiVersion": "v1", "kind": "Namespace",
                "metadata": {"name": namespace, "labels": labels}});
            json!({"cluster": of, "apply": format!("namespace {namespace}"), "object": object})
        })
        .collect();
    documents.extend(desired.network_policies.iter().map(|((namespace, name), policy)| {
        let what = format!("networkpolicy {namespace}/{name}");
        json!({"cluster": of, "apply": what, "object": policy.object})
    }));
    documents
}
