//! What is known of a `ManagedCluster`.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube_derive::KubeSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::{Condition, LocalRef};

fn moment(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "string", "format": "date-time"})
}

fn moments(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "array", "items": {"type": "string", "format": "date-time"}, "maxItems": 3})
}

/// What is known of the cluster. Everything here can be rebuilt from `spec` and the cloud.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ManagedClusterStatus {
    /// The generation that the rest of the status is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When what is declared was first seen as it is: since the last edit of `spec` or of the ProviderConfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub edited_at: Option<Time>,
    /// The provider block in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider: Option<String>,
    /// What the cloud chose. Deletion works from here and from the tags, even when `spec` no longer validates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<Observed>,
    /// The value of annotation `fleetwright.dev/reconcile-now` that was handled last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub handled_reconcile: Option<String>,
    /// The node pools as the cloud has them, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub pools: Vec<ObservedPool>,
    /// The hosts of the cluster, sorted by name: noted before anything is done there, until nothing of ours is left there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub hosts: Vec<ObservedHost>,
    /// What somebody else changed, while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
    /// Since when a cluster on its way out cleans up what it made outside itself: since nothing held the deletion back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "moment")]
    pub clean_up_since: Option<Time>,
    /// What a deletion left behind: load balancers, volumes, nodes that the cluster made outside itself. Capped at 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub leftovers: Vec<String>,
    /// What is under way. Absent: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The last failure, until the next success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The Secret that tells clients how to reach the cluster, once it can be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubeconfig_secret_ref: Option<LocalRef>,
    /// Where the cluster is made known beside the hub: noted before anything is written there, until it is gone again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registration: Option<ObservedRegistration>,
    /// Short texts for `kubectl get`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<ClusterSummary>,
    /// Sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}

/// What the cloud chose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Observed {
    /// The cloud's own id of the cluster: an ARN on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<String>,
    /// The cluster's name in the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_name: Option<String>,
    /// The region it lives in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The ProviderConfig through which it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_config: Option<String>,
    /// `uid/generation` of the ProviderConfig as it was last read: what differs since it was edited is our own change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub provider_config_revision: Option<String>,
    /// The cloud's account: twelve digits on AWS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// URL of the Kubernetes API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// SHA-256 of the certificate authority of that API, as the cloud gave it (PEM), in hexadecimal. A connection Secret that says
    /// otherwise is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub certificate_authority_digest: Option<String>,
    /// Whose the cluster is by its tags, where mode `Observe` found another object's: nothing connects to it or registers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub belongs_to: Option<String>,
    /// The running version of the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
    /// EKS platform version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform_version: Option<String>,
    /// Issuer of service account tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oidc_issuer: Option<String>,
    /// Nodes wanted by all pools together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nodes: Option<i32>,
}

/// The cluster Secret of an Argo CD; without namespace and name there is none, and `trouble` says why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedRegistration {
    /// Its namespace.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 63))]
    pub namespace: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub name: String,
    /// Why it is not as declared. Absent: it is, or soon will be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub trouble: Option<String>,
}

/// What is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Operation {
    /// For example `Create`, `Delete`.
    pub action: String,
    /// The part of it that runs now.
    pub step: String,
    /// How much of it is done, 0 to 100, where that can be told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 100))]
    pub percent: Option<i32>,
}

/// A node pool as the cloud has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObservedPool {
    /// The pool's name in the cloud; a successor's differs from the declared one.
    pub name: String,
    /// Its phase: `Creating`, `Active`, `Updating`, `Deleting` or `Failed`.
    pub phase: String,
    /// Nodes wanted now.
    pub size: i32,
    /// Kubernetes version of its nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Release of its node image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
}

/// A host as it was seen.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObservedHost {
    /// Its name.
    #[schemars(length(max = 63))]
    pub name: String,
    /// `server` or `agent`.
    #[schemars(length(max = 16))]
    pub role: String,
    /// Where it was reached last: DNS name or address.
    #[schemars(length(max = 253))]
    pub host: String,
    /// TCP port of its SSH server. Absent: 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Its phase: `Noted` (nothing is done there yet), `Creating`, `Active`, `Updating`, `Failed`, `Deleting`, `Away` (an
    /// intermittent one that does not answer) or `Unknown`.
    #[schemars(length(max = 16))]
    pub phase: String,
    /// The release of K3s that it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32))]
    pub version: Option<String>,
}

/// What somebody else changed.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Drift {
    /// Paths of the fields, sorted, at most 20. Empty: repaired.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    pub fields: Vec<String>,
    /// When we repaired it lately, newest last, at most 3.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3), schema_with = "moments")]
    pub repairs: Vec<Time>,
}

/// The last failure, coded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LastError {
    /// One PascalCase word from the documented list.
    pub code: String,
    /// What failed, for which input, and what to do next.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// `Yes` when the same call may succeed later without anybody changing anything.
    pub retryable: Answer,
    /// `Yes` when the user can do something about it.
    pub user_actionable: Answer,
    /// The provider's id of the failed request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

/// Short texts for `kubectl get`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterSummary {
    /// Compliant policies of those that select the cluster, for example `12/12`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policies: Option<String>,
    /// SHA-256 of the merged rules that were last applied whole, so that a policy can tell whether its own are among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied_rules: Option<String>,
}

/// How to reach a member's API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// URL of the API.
    pub endpoint: String,
    /// The certificate authority as PEM.
    pub certificate_authority: String,
    /// The HTTP proxy that takes CONNECT on the way there; `None`: straight.
    pub proxy_url: Option<String>,
}

/// Yes or no, in words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Answer {
    /// It is so.
    Yes,
    /// It is not.
    No,
}

impl From<bool> for Answer {
    fn from(value: bool) -> Self {
        if value { Self::Yes } else { Self::No }
    }
}
