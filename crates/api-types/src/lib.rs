//! The kinds of `fleetwright.dev/v1alpha1`: data only, no behaviour beyond reading and writing themselves.
//!
//! Rules of every kind: `spec` is never written by us and has no `default:` (absent has one documented meaning), our closed
//! vocabularies are PascalCase enums, values that a cloud owns are open strings in its spelling, no booleans.
//! Start at [`ManagedCluster`]. [`crds`] gives the documents that `cargo xtask codegen` writes to `api/crds`.

#![allow(unreachable_pub, reason = "KubeSchema derives hidden public twins of our structs")]
#![allow(clippy::duplicated_attributes, reason = "each printcolumn has a type of its own")]

mod aks;
mod azure_config;
mod cluster;
mod condition;
mod eks;
mod free;
mod k3s;
mod maintenance;
mod node_pool;
mod policy;
mod provider_config;
mod registration;
mod ssh;
mod status;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube_core::CustomResourceExt;
use serde_json::{Value, json};

pub use aks::{
    AksAddOn, AksApiServer, AksApiServerAccess, AksAuthorization, AksAutoUpgrade, AksDataplane,
    AksDiskType, AksEntra, AksEvictionPolicy, AksIdentity, AksIdentityType,
    AksMaintenanceConfiguration, AksNetwork, AksNetworkPlugin, AksNetworkPolicy, AksNodeOsChannel,
    AksOs, AksOutbound, AksPluginMode, AksPool, AksSpec, AksSupport, AksTier, AksUpgradeChannel,
    AzureResourceId, Toggle,
};
pub use azure_config::{AzureCloud, AzureConfig, AzureIdentity, AzureIdentityType};
pub use cluster::{
    Adoption, ConnectionSpec, ConnectionType, DeletionPolicy, LocalRef, ManagedCluster,
    ManagedClusterSpec, ManagementMode,
};
pub use condition::{Condition, ConditionStatus, ConditionType};
pub use eks::{
    AwsResourceName, EksAccess, EksAccessEntry, EksAccessMode, EksAccessPolicy, EksAccessScope,
    EksAddOn, EksAutoMode, EksEndpoint, EksEndpointAccess, EksFargateProfile, EksFargateSelector,
    EksLog, EksNetwork, EksOnConflict, EksPodIdentity, EksSpec, EksSupport,
};
pub use k3s::{
    K3sBackup, K3sDatastore, K3sDatastoreType, K3sEndpoint, K3sHardening, K3sHost, K3sProfile,
    K3sSource, K3sSourceType, K3sSpec, Presence,
};
pub use maintenance::{Day, Governed, Maintenance, MaintenanceWindow, duration_seconds};
pub use node_pool::{
    Capacity, EksPool, ImageUpdates, IntOrString, LaunchTemplate, NodePool, OnDrainTimeout,
    PoolRole, PoolSize, PoolUpdate, Taint, TaintEffect,
};
pub use policy::{
    ClusterPolicy, ClusterPolicySpec, ClusterPolicyStatus, Direction, LabelSelector, Mode,
    NamespaceRules, NetworkRule, PodSecurityLevel, PodSecurityRule,
};
pub use provider_config::{
    AllowedNamespaces, AwsConfig, AwsIdentity, AwsIdentityType, ExternalId, Permission,
    ProviderConfig, ProviderConfigSpec, ProviderConfigStatus, ProviderLimits,
};
pub use registration::{ArgoCdRegistration, Registration};
pub use ssh::{JumpHost, PinnedHostKey, SshConfig, SshHostKeys, SshIdentity, SshSpec};
pub use status::{
    ClusterSummary, Connection, Drift, LastError, ManagedClusterStatus, Observed, ObservedHost,
    ObservedPool, ObservedRegistration, Operation,
};

/// The API group of all our kinds.
pub const GROUP: &str = "fleetwright.dev";
/// The served and stored version.
pub const VERSION: &str = "v1alpha1";
/// Namespace on the hub for our own state.
pub const SYSTEM_NAMESPACE: &str = "fleetwright-system";
/// Annotation that must equal the object's uid before a cluster with `deletionPolicy: Delete` is deleted.
pub const CONFIRM_DELETE: &str = "fleetwright.dev/confirm-delete";
/// Annotation that stops all our writes for an object while it is there with any value but `false`.
pub const ANNOTATION_PAUSED: &str = "fleetwright.dev/paused";
/// Annotation with a token of the user's choice: a new value is a wish to look now; `status.handledReconcile` echoes it.
pub const ANNOTATION_RECONCILE_NOW: &str = "fleetwright.dev/reconcile-now";
/// Annotation with an RFC 3339 instant until which nothing is repaired; it expires by itself.
pub const ANNOTATION_HANDS_OFF_UNTIL: &str = "fleetwright.dev/hands-off-until";
/// Annotation with the uid of an earlier object of the same name, whose cloud resources this object takes over.
pub const ANNOTATION_TAKE_OVER: &str = "fleetwright.dev/take-over";
/// Annotation with names of hosts, separated by commas, that will not come back: what is left to do there is not waited for.
pub const ANNOTATION_ABANDON_HOSTS: &str = "fleetwright.dev/abandon-hosts";
/// ConfigMap in [`SYSTEM_NAMESPACE`] that says whether writes are frozen, and counts deletes for the fuse.
pub const SAFETY_CONFIG_MAP: &str = "safety";
/// Finalizer held while a cloud resource of ours may exist.
pub const FINALIZER_INFRASTRUCTURE: &str = "fleetwright.dev/infrastructure";
/// Finalizer held while the cluster may be made known elsewhere: in an Argo CD.
pub const FINALIZER_REGISTRATION: &str = "fleetwright.dev/registration";
/// Value of `app.kubernetes.io/managed-by` on everything we write into members.
pub const MANAGED_BY: &str = "fleetwright";

/// Every CustomResourceDefinition with the name of its file under `api/crds`.
#[must_use]
pub fn crds() -> Vec<(String, Value)> {
    [ClusterPolicy::crd(), ManagedCluster::crd(), ProviderConfig::crd()]
        .into_iter()
        .map(document)
        .collect()
}

fn document(crd: CustomResourceDefinition) -> (String, Value) {
    let file = format!("{}.{}.yaml", crd.spec.names.plural, crd.spec.group);
    // A CRD built from Rust types has string keys only, so it always has a JSON form.
    let mut value = serde_json::to_value(crd).unwrap_or(Value::Null);
    tidy(&mut value);
    if value["spec"]["names"]["kind"] == "ManagedCluster" {
        // The only rule over spec and status together; kube-derive finds no path to put it when the kube facade is absent.
        value["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["x-kubernetes-validations"] = json!([{"rule": NO_DOWNGRADE, "message": "spec.version cannot go below the running version", "fieldPath": ".spec.version"}]);
    }
    (file, value)
}

/// An edit may take back an upgrade that has not begun, but not ask for less than what runs.
const NO_DOWNGRADE: &str = "self.spec.version == oldSelf.spec.version || !has(oldSelf.status) || !has(oldSelf.status.observed) \
|| !has(oldSelf.status.observed.version) || int(self.spec.version.split('.')[1]) >= int(oldSelf.status.observed.version.split('.')[1])";

/// Drops what schemars adds and Kubernetes ignores or warns about (integer formats such as `uint32`).
fn tidy(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if map.get("format").and_then(Value::as_str).is_some_and(|f| f.starts_with("uint")) {
                map.remove("format");
            }
            map.values_mut().for_each(tidy);
        }
        Value::Array(items) => items.iter_mut().for_each(tidy),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find<'a>(value: &'a Value, wanted: &str, found: &mut Vec<&'a Value>) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    if key == wanted {
                        found.push(inner);
                    }
                    find(inner, wanted, found);
                }
            }
            Value::Array(items) => items.iter().for_each(|item| find(item, wanted, found)),
            _ => {}
        }
    }

    #[test]
    fn three_kinds_in_one_group_and_category() {
        let files: Vec<String> = crds().into_iter().map(|(file, _)| file).collect();
        assert_eq!(
            files,
            [
                "clusterpolicies.fleetwright.dev.yaml",
                "managedclusters.fleetwright.dev.yaml",
                "providerconfigs.fleetwright.dev.yaml"
            ]
        );
        for (file, crd) in crds() {
            assert_eq!(crd["spec"]["names"]["categories"], serde_json::json!(["fleet"]), "{file}");
        }
    }

    #[test]
    fn no_schema_holds_a_default_or_a_boolean() {
        for (file, crd) in crds() {
            let schema = &crd["spec"]["versions"][0]["schema"];
            let mut defaults = Vec::new();
            find(schema, "default", &mut defaults);
            assert!(defaults.is_empty(), "{file} has default: {defaults:?}");
            let mut types = Vec::new();
            find(schema, "type", &mut types);
            assert!(!types.contains(&&Value::from("boolean")), "{file} has a boolean");
            // Real API servers refuse a whole CRD whose messages may cost too much; 1.36 judged `string(self.min)` so.
            let mut costly = Vec::new();
            find(schema, "messageExpression", &mut costly);
            assert!(costly.is_empty(), "{file} has messageExpression: {costly:?}");
        }
    }
}
