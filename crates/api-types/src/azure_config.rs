//! An Azure account in a `ProviderConfig`: which cloud, and who we are there.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LocalRef;

/// An Azure account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AzureConfig {
    /// Which of Azure's clouds. Absent: `Public`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<AzureCloud>,
    /// Who we are there.
    pub identity: AzureIdentity,
    /// Another endpoint of Azure Resource Manager than the cloud's own, for example of a private link. `https` only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^https://[^@?#]+$"))]
    pub endpoint: Option<String>,
}

/// One of Azure's clouds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureCloud {
    /// `management.azure.com`.
    Public,
    /// `management.chinacloudapi.cn`.
    China,
    /// `management.usgovcloudapi.net`.
    UsGovernment,
}

/// An identity in Microsoft Entra ID.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'Secret') == has(self.secretRef)").message("secretRef goes with type Secret, and only with it"))]
#[x_kube(validation = Rule::new("self.type != 'Cli' || !has(self.clientId)").message("clientId means nothing with type Cli"))]
pub struct AzureIdentity {
    /// Where the credentials come from.
    #[serde(rename = "type")]
    pub type_: AzureIdentityType,
    /// The Entra tenant. Absent: with `WorkloadIdentity` and `Environment` from `AZURE_TENANT_ID`, with `Secret` from the
    /// Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[0-9A-Za-z.-]+$"))]
    pub tenant_id: Option<String>,
    /// The application or managed identity. Absent: with `ManagedIdentity` that of the machine, else as for `tenantId`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub client_id: Option<String>,
    /// A Secret in Fleetwright's own namespace with keys `client_secret` and, unless given here, `tenant_id` and
    /// `client_id`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

/// Where Azure credentials come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AzureIdentityType {
    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET` of Fleetwright's own environment.
    Environment,
    /// The projected token of Fleetwright's own service account (`AZURE_FEDERATED_TOKEN_FILE`).
    WorkloadIdentity,
    /// The managed identity of the machine Fleetwright runs on.
    ManagedIdentity,
    /// A client secret in a Secret.
    Secret,
    /// Who is signed in to the `az` program: for trying things out.
    Cli,
}
