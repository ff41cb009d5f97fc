//! `ProviderConfig`: how to reach a cloud account, and who may use it.

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Condition;

/// How to reach a cloud account, and who may use it.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[kube(
    group = "fleetwright.dev",
    version = "v1alpha1",
    kind = "ProviderConfig",
    plural = "providerconfigs",
    shortname = "fwpc",
    category = "fleet",
    status = "ProviderConfigStatus",
    derive = "PartialEq",
    crates(kube_core = "kube_core"),
    doc = "How to reach a cloud account, and who may use it.",
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.aws)").message("exactly one account block is needed: aws"))]
pub struct ProviderConfigSpec {
    /// Namespaces whose clusters may use this account. Absent or empty: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// Tags on everything made through this account.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('fleetwright.dev/'))").message("keys under fleetwright.dev/ are reserved"))]
    pub default_tags: BTreeMap<String, String>,
    /// An AWS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsConfig>,
}

/// Namespaces by name.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
pub struct AllowedNamespaces {
    /// Exact names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 500))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub names: Vec<String>,
}

/// An AWS account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsConfig {
    /// Who we are there.
    pub identity: AwsIdentity,
}

/// An identity in AWS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AwsIdentity {
    /// Where the credentials come from.
    #[serde(rename = "type")]
    pub type_: AwsIdentityType,
}

/// Where AWS credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsIdentityType {
    /// The chain of the AWS SDKs in Fleetwright's own environment: variables, shared files, web identity, instance role.
    Environment,
}

/// What is known of the account.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ProviderConfigStatus {
    /// Sorted by type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_string()]))]
    pub conditions: Vec<Condition>,
}
