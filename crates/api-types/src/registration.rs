//! Where else a cluster is made known.

use kube_derive::KubeSchema;
use serde::{Deserialize, Serialize};

/// Where else a cluster is made known.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct Registration {
    /// In an Argo CD on the hub, by a cluster Secret. Absent: not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub argocd: Option<ArgoCdRegistration>,
}

/// A cluster Secret of Argo CD. It holds no credential: Argo CD signs in to the cloud by itself.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct ArgoCdRegistration {
    /// Argo CD's namespace on the hub. Absent: `argocd`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub namespace: Option<String>,
    /// The AppProject that the cluster belongs to. Absent: any may use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub project: Option<String>,
    /// EKS: the IAM role that Argo CD assumes to sign in. Absent: its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^arn:aws[a-z-]*:iam::[0-9]{12}:role/.+$"))]
    pub aws_role_arn: Option<String>,
    /// AKS: the client id of Argo CD's workload identity. Absent: that of its environment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub azure_client_id: Option<String>,
    /// Labels of this object that the Secret bears too, for ApplicationSets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub copy_labels: Vec<String>,
}
