//! Copies of what a server holds: whole, to be restored as it was, or as plain objects for another
//! cluster.

use serde_json::Value;

use crate::cluster::LogicalCluster;
use crate::server::ApiServer;
use crate::store::{Key, Loaded};
use crate::tables::Object;

/// Kinds that say nothing in another cluster.
const PASSING: [&str; 5] = [
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "endpoints",
    "endpointslices.discovery.k8s.io",
];
const CRDS: &str = "customresourcedefinitions.apiextensions.k8s.io";
/// What each cluster makes for itself.
const BIRTH_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// The objects of a cluster, at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct Export {
    /// The revision they were read at.
    pub revision: u64,
    /// Definitions and namespaces first, then by resource, namespace and name; without what a
    /// server sets.
    pub objects: Vec<Value>,
}

impl ApiServer {
    /// Everything, each cluster as it is at one revision. Objects of it are as they are stored:
    /// put into an empty store ([`crate::RedbStore::create`]) it is the same server again, uids,
    /// revisions and finalizers included. Secrets are plain in it.
    #[must_use]
    pub fn backup(&self) -> Loaded {
        let mut whole = Loaded::default();
        for tables in self.all_tables() {
            let (revision, objects) = tables.snapshot();
            whole.clusters.push((tables.cluster.clone(), revision));
            let served = self.cluster(&tables.cluster);
            // Definitions that are part of the program are shown without being stored.
            let is_ours = |resource: &str, name: &str| {
                resource == CRDS
                    && served.as_ref().is_some_and(|cluster| {
                        cluster.attached.scheme.own_crds().contains_key(name)
                    })
            };
            for (group_resource, object) in objects {
                let (namespace, name) = object.place.clone();
                if !is_ours(&group_resource, &name) {
                    let cluster = tables.cluster.clone();
                    let key = Key { cluster, group_resource, namespace, name };
                    whole.objects.push((key, object.bytes.clone()));
                }
            }
        }
        whole
    }
}

impl LogicalCluster {
    /// What somebody would apply to have the same objects in another cluster. Left out: what is
    /// being deleted, what a cluster makes for itself, Events and Leases, and all references to
    /// owners, whose uids will be others.
    #[must_use]
    pub fn export(&self) -> Export {
        let (revision, objects) = self.tables.snapshot();
        let mut kept: Vec<(u8, Value)> = objects
            .iter()
            .filter(|(resource, object)| is_wanted(resource, object))
            .map(|(resource, object)| (rank(resource), bare(&object.value)))
            .collect();
        kept.sort_by_key(|(rank, _)| *rank);
        Export { revision, objects: kept.into_iter().map(|(_, object)| object).collect() }
    }
}

fn rank(resource: &str) -> u8 {
    match resource {
        CRDS => 0,
        "namespaces" => 1,
        _ => 2,
    }
}

fn is_wanted(resource: &str, object: &Object) -> bool {
    let (_, name) = &object.place;
    let own = match resource {
        "namespaces" => BIRTH_NAMESPACES.contains(&name.as_str()),
        "serviceaccounts" => name == "default",
        "configmaps" => name == "kube-root-ca.crt",
        "secrets" => object.value["type"] == crate::accounts::KEY_TYPE,
        other => PASSING.contains(&other),
    };
    !own && object.value["metadata"]["deletionTimestamp"].is_null()
}

fn bare(object: &Value) -> Value {
    const SERVERS: [&str; 8] = [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "managedFields",
        "ownerReferences",
        "selfLink",
        "deletionGracePeriodSeconds",
    ];
    let mut bare = object.clone();
    if let Some(metadata) = bare["metadata"].as_object_mut() {
        SERVERS.iter().for_each(|key| drop(metadata.remove(*key)));
    }
    if let Some(fields) = bare.as_object_mut() {
        fields.remove("status");
    }
    bare
}
