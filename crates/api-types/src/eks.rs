//! An Amazon EKS cluster, declared. Words that EKS owns (add-on names, AMI types, entry types) are open strings in its spelling.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::free::free_object;

/// An ARN as AWS writes it.
pub type AwsResourceName = String;

/// An Amazon EKS cluster.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.externalName) == has(oldSelf.externalName) && (!has(self.externalName) || self.externalName == oldSelf.externalName)").message("externalName is immutable"))]
#[x_kube(validation = Rule::new("!has(oldSelf.kmsKeyArn) || (has(self.kmsKeyArn) && self.kmsKeyArn == oldSelf.kmsKeyArn)").message("kmsKeyArn cannot change or go once it is set: EKS keeps the key for good"))]
pub struct EksSpec {
    /// The AWS region, for example `eu-west-1`. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("region is immutable"))]
    #[schemars(length(min = 1, max = 32), regex(pattern = "^[a-z]{2}(-[a-z]+)+-[0-9]+$"))]
    pub region: String,
    /// The name of the cluster in EKS. Absent: derived from namespace and name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 100), regex(pattern = "^[0-9A-Za-z][0-9A-Za-z_-]*$"))]
    pub external_name: Option<String>,
    /// The IAM role of the control plane. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("roleArn is immutable"))]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: AwsResourceName,
    /// What happens at the end of a version's standard support. Absent: EKS's default, `Extended`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<EksSupport>,
    /// Where the control plane is attached.
    pub network: EksNetwork,
    /// Who may use the cluster's API. Absent: mode `Api`, no entries of ours but the creator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access: Option<EksAccess>,
    /// EKS Auto Mode. Present: on. Absent: off, or on an adopted cluster whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_mode: Option<EksAutoMode>,
    /// The KMS key that encrypts Secrets. Once set it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:kms:.+$"))]
    pub kms_key_arn: Option<AwsResourceName>,
    /// Control plane logs that go to CloudWatch. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 5))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub logging: Option<Vec<EksLog>>,
    /// Add-ons that EKS manages.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub managed_add_ons: Vec<EksAddOn>,
    /// IAM roles for service accounts, by EKS Pod Identity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["namespace".to_string(), "serviceAccount".to_string()]))]
    pub pod_identities: Vec<EksPodIdentity>,
    /// Pods that run on Fargate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub fargate_profiles: Vec<EksFargateProfile>,
    /// Merged into the `CreateCluster` request (RFC 7396), in the API's own spelling, for what has no field here. Its own
    /// keys are drift-checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub payload_patch: Option<Map<String, Value>>,
}

/// What happens at the end of a version's standard support.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EksSupport {
    /// EKS upgrades the control plane by itself.
    Standard,
    /// Extended support begins, and costs more.
    Extended,
}

/// The network of an EKS control plane.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.serviceCidr) == has(oldSelf.serviceCidr) && (!has(self.serviceCidr) || self.serviceCidr == oldSelf.serviceCidr)").message("serviceCidr is immutable"))]
pub struct EksNetwork {
    /// At least two subnets in different zones.
    #[schemars(length(min = 2, max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub subnet_ids: Vec<String>,
    /// Security groups beside the one that EKS makes. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub security_group_ids: Vec<String>,
    /// IPv4 range of Services. Absent: EKS chooses. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 18))]
    pub service_cidr: Option<String>,
    /// From where the API is reached. Absent: EKS's default, public from everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<EksEndpoint>,
}

/// From where an EKS control plane's API is reached.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.access != 'Private' || !has(self.publicCidrs)").message("publicCidrs mean nothing with access Private"))]
pub struct EksEndpoint {
    /// From where.
    pub access: EksEndpointAccess,
    /// Ranges that may use the public endpoint. Absent: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 40))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub public_cidrs: Vec<String>,
}

/// From where an API is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EksEndpointAccess {
    /// From the internet.
    Public,
    /// From the internet, and from the VPC without leaving it.
    PublicAndPrivate,
    /// From the VPC only.
    Private,
}

/// Who may use the cluster's API.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct EksAccess {
    /// Where access is written down. Absent: `Api`. EKS only moves towards `Api`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<EksAccessMode>,
    /// Access entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["principalArn".to_string()]))]
    pub entries: Vec<EksAccessEntry>,
}

/// Where access is written down.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum EksAccessMode {
    /// In the ConfigMap `aws-auth` only.
    ConfigMap,
    /// In both.
    ApiAndConfigMap,
    /// In access entries only.
    Api,
}

/// One principal's access.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct EksAccessEntry {
    /// The IAM user or role.
    #[schemars(
        length(min = 1, max = 2048),
        regex(pattern = "^arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:.+$")
    )]
    pub principal_arn: AwsResourceName,
    /// `STANDARD`, `EC2_LINUX`, `EC2_WINDOWS`, `FARGATE_LINUX`, … Absent: `STANDARD`. Immutable in EKS.
    #[serde(default, skip_serializing_if = "Option::is_none", rename = "type")]
    #[schemars(length(max = 64))]
    pub type_: Option<String>,
    /// Kubernetes groups. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 50))]
    pub groups: Option<Vec<String>>,
    /// The Kubernetes user name. Absent: EKS derives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512))]
    pub username: Option<String>,
    /// EKS access policies.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub policies: Vec<EksAccessPolicy>,
}

/// One access policy of a principal.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(has(self.scope) && self.scope == 'Namespaces') == has(self.namespaces)").message("namespaces go with scope Namespaces, and only with it"))]
pub struct EksAccessPolicy {
    /// Its name, for example `AmazonEKSClusterAdminPolicy`.
    #[schemars(length(min = 1, max = 128), regex(pattern = "^[A-Za-z0-9]+$"))]
    pub name: String,
    /// How far it reaches. Absent: `Cluster`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<EksAccessScope>,
    /// The namespaces it reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub namespaces: Vec<String>,
}

/// How far an access policy reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EksAccessScope {
    /// The whole cluster.
    Cluster,
    /// Some namespaces.
    Namespaces,
}

/// EKS Auto Mode: EKS makes the nodes, the volumes and the load balancers.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.nodePools) || has(self.nodeRoleArn)").message("nodeRoleArn is needed with nodePools"))]
pub struct EksAutoMode {
    /// EKS's built-in pools to switch on: `system`, `general-purpose`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 2))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub node_pools: Vec<String>,
    /// The IAM role of their nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub node_role_arn: Option<AwsResourceName>,
}

/// A control plane log.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs, reason = "EKS's own words, in PascalCase")]
pub enum EksLog {
    Api,
    Audit,
    Authenticator,
    ControllerManager,
    Scheduler,
}

/// An add-on that EKS manages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EksAddOn {
    /// Its name, for example `vpc-cni`.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// Its version, for example `v1.19.2-eksbuild.1`. Absent: EKS's default at birth, then whatever is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub version: Option<String>,
    /// What EKS does with fields that others changed. Absent: `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_conflict: Option<EksOnConflict>,
    /// Its configuration, as its schema in EKS says. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub configuration: Option<Map<String, Value>>,
    /// The IAM role of its service account (IRSA).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: Option<AwsResourceName>,
}

/// What EKS does with fields of an add-on that others changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum EksOnConflict {
    /// The change fails.
    None,
    /// EKS's value wins.
    Overwrite,
    /// The other's value stays.
    Preserve,
}

/// An IAM role for a service account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EksPodIdentity {
    /// The service account's namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// The service account.
    #[schemars(length(min = 1, max = 253))]
    pub service_account: String,
    /// The IAM role.
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: AwsResourceName,
    /// A role in another account to go on to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub target_role_arn: Option<AwsResourceName>,
}

/// Pods that run on Fargate. Immutable in EKS: a change replaces the profile.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct EksFargateProfile {
    /// Its name.
    #[schemars(length(min = 1, max = 100))]
    pub name: String,
    /// The IAM role that runs the pods.
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub role_arn: AwsResourceName,
    /// Private subnets. Absent: those of the control plane.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub subnet_ids: Vec<String>,
    /// Which pods.
    #[schemars(length(min = 1, max = 5))]
    pub selectors: Vec<EksFargateSelector>,
}

/// Which pods run on Fargate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EksFargateSelector {
    /// Their namespace.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Their labels. Absent: all of the namespace.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
}
