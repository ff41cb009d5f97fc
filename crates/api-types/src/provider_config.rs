//! `ProviderConfig`: how to reach a cloud account, and who may use it.

use std::collections::BTreeMap;

use kube_derive::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::azure_config::AzureConfig;
use crate::ssh::SshConfig;
use crate::{Condition, LocalRef};

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
#[x_kube(validation = Rule::new("[has(self.aws), has(self.azure), has(self.ssh)].exists_one(given, given)").message("exactly one account block is needed: aws, azure or ssh"))]
pub struct ProviderConfigSpec {
    /// Namespaces whose clusters may use this account. Absent or empty: nobody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed_namespaces: Option<AllowedNamespaces>,
    /// Tags on everything made through this account.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    #[x_kube(validation = Rule::new("self.all(k, !k.startsWith('fleetwright.dev/'))").message("keys under fleetwright.dev/ are reserved"))]
    pub default_tags: BTreeMap<String, String>,
    /// An AWS account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aws: Option<AwsConfig>,
    /// An Azure account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub azure: Option<AzureConfig>,
    /// Hosts in reach of SSH.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshConfig>,
    /// What may be done there at most, checked on the final request. Absent: no limit but the account's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<ProviderLimits>,
}

impl ProviderConfigSpec {
    /// The Secret in Fleetwright's own namespace that the account's identity names, if it names one.
    #[must_use]
    pub fn secret_ref(&self) -> Option<&LocalRef> {
        let aws = self.aws.as_ref().and_then(|aws| aws.identity.secret_ref.as_ref());
        let azure = || self.azure.as_ref()?.identity.secret_ref.as_ref();
        let ssh = || Some(&self.ssh.as_ref()?.identity.as_ref()?.secret_ref);
        aws.or_else(azure).or_else(ssh)
    }
}

/// What may be done in an account at most.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ProviderLimits {
    /// Accounts that may be used: AWS accounts that the identity may turn out to be in, Azure subscriptions. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub account_ids: Vec<String>,
    /// Regions. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub regions: Vec<String>,
    /// Roles that any request may hand to the cloud, and that Argo CD may be told to assume, by ARN; `*` stands for any text.
    /// Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub role_arns: Vec<String>,
    /// Azure resource groups that may hold clusters; `*` stands for any text. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub resource_groups: Vec<String>,
    /// Azure managed identities that any request may hand to the cloud, by resource id; `*` stands for any text, and case
    /// does not count. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub identity_ids: Vec<String>,
    /// Hosts that clusters may be on, jump hosts that they may name, and hosts of their endpoints, as declared; `*` stands for
    /// any text, but a pattern that is written like addresses covers addresses only. Mirrors are not bounded by it. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub hosts: Vec<String>,
    /// Argo CD projects that clusters may be registered in. Present: one of them must be named, since a registration without a
    /// project is every project's. Absent: any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub argocd_projects: Vec<String>,
    /// Namespaces of the hub in which an Argo CD may be told of clusters. Absent: `argocd` only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub argocd_namespaces: Vec<String>,
    /// Whether clusters may use `payloadPatch`. Absent: `Allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload_patch: Option<Permission>,
    /// Whether anything may be deleted. Absent: `Allowed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete: Option<Permission>,
}

/// May, or may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Permission {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
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
#[serde(rename_all = "camelCase")]
pub struct AwsConfig {
    /// Who we are there.
    pub identity: AwsIdentity,
    /// The external id given when a role is assumed. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_id: Option<ExternalId>,
    /// The AWS partition: `aws`, `aws-cn`, `aws-us-gov`, … Absent: that of the region.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 32), regex(pattern = "^aws(-[a-z]+)*$"))]
    pub partition: Option<String>,
    /// Another endpoint of EKS than the region's public one, for example a VPC endpoint. `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^https://[^@?#]+$"))]
    pub endpoint: Option<String>,
}

/// An identity in AWS.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Profile') == has(self.profile)").message("profile goes with type Profile, and only with it"))]
#[x_kube(validation = Rule::new("(self.type == 'Secret') == has(self.secretRef)").message("secretRef goes with type Secret, and only with it"))]
#[x_kube(validation = Rule::new("self.type != 'WebIdentity' || has(self.roleArn)").message("roleArn is needed with type WebIdentity"))]
pub struct AwsIdentity {
    /// Where the credentials come from.
    #[serde(rename = "type")]
    pub type_: AwsIdentityType,
    /// The profile of the shared files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub profile: Option<String>,
    /// A role to assume; with `WebIdentity`, the role that the token is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: Option<String>,
    /// A Secret in Fleetwright's own namespace with keys `aws_access_key_id`, `aws_secret_access_key` and, for temporary
    /// ones, `aws_session_token`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

/// Where AWS credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AwsIdentityType {
    /// The chain of the AWS SDKs in Fleetwright's own environment: variables, shared files, web identity, instance role.
    Environment,
    /// A profile of the shared files of Fleetwright's own environment.
    Profile,
    /// The projected token of Fleetwright's own service account (`AWS_WEB_IDENTITY_TOKEN_FILE`).
    WebIdentity,
    /// Keys in a Secret.
    Secret,
}

/// The external id given when a role is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ExternalId {
    /// `fleetwright/<hub id>/<namespace>`: a role trusts the clusters of one namespace of one hub.
    PerNamespace,
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
