//! Which operation a method and a path mean. Azure's paths have no case.

use http::StatusCode;
use percent_encoding::percent_decode_str;

use super::answer::AzureError;
use crate::AZURE_SUBSCRIPTION_ID;
use crate::faults::Nature;

const PROVIDER: &str = "microsoft.containerservice";
/// The api-versions of AKS that the simulation has the properties of.
const API_VERSIONS: [&str; 1] = ["2026-03-01"];

/// The operations that are simulated, by the names of the API's definition.
macro_rules! operations {
    ($($op:ident $name:literal $nature:ident $action:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Op { $($op,)* }

        impl Op {
            pub(super) fn name(self) -> &'static str {
                match self { $(Self::$op => $name,)* }
            }

            /// What it does, where that does not depend on what is there.
            pub(super) fn nature(self) -> Nature {
                match self { $(Self::$op => Nature::$nature,)* }
            }

            /// What one must be allowed.
            pub(super) fn action(self) -> &'static str {
                match self { $(Self::$op => $action,)* }
            }
        }
    };
}

operations! {
    GetGroup "ResourceGroups_Get" Reads "Microsoft.Resources/subscriptions/resourceGroups/read";
    PutCluster "ManagedClusters_CreateOrUpdate" Updates "Microsoft.ContainerService/managedClusters/write";
    GetCluster "ManagedClusters_Get" Reads "Microsoft.ContainerService/managedClusters/read";
    PatchCluster "ManagedClusters_UpdateTags" Updates "Microsoft.ContainerService/managedClusters/write";
    DeleteCluster "ManagedClusters_Delete" Removes "Microsoft.ContainerService/managedClusters/delete";
    ListClusters "ManagedClusters_List" Reads "Microsoft.ContainerService/managedClusters/read";
    ListGroup "ManagedClusters_ListByResourceGroup" Reads "Microsoft.ContainerService/managedClusters/read";
    UserCredentials "ManagedClusters_ListClusterUserCredentials" Reads
        "Microsoft.ContainerService/managedClusters/listClusterUserCredential/action";
    AdminCredentials "ManagedClusters_ListClusterAdminCredentials" Reads
        "Microsoft.ContainerService/managedClusters/listClusterAdminCredential/action";
    ClusterUpgrades "ManagedClusters_GetUpgradeProfile" Reads
        "Microsoft.ContainerService/managedClusters/upgradeProfiles/read";
    Versions "ManagedClusters_ListKubernetesVersions" Reads
        "Microsoft.ContainerService/locations/kubernetesVersions/read";
    PutPool "AgentPools_CreateOrUpdate" Updates "Microsoft.ContainerService/managedClusters/agentPools/write";
    GetPool "AgentPools_Get" Reads "Microsoft.ContainerService/managedClusters/agentPools/read";
    ListPools "AgentPools_List" Reads "Microsoft.ContainerService/managedClusters/agentPools/read";
    DeletePool "AgentPools_Delete" Removes "Microsoft.ContainerService/managedClusters/agentPools/delete";
    PoolUpgrades "AgentPools_GetUpgradeProfile" Reads
        "Microsoft.ContainerService/managedClusters/agentPools/upgradeProfiles/read";
    UpgradeImage "AgentPools_UpgradeNodeImageVersion" Updates
        "Microsoft.ContainerService/managedClusters/agentPools/upgradeNodeImageVersion/action";
    PutMaintenance "MaintenanceConfigurations_CreateOrUpdate" Updates
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations/write";
    GetMaintenance "MaintenanceConfigurations_Get" Reads
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations/read";
    ListMaintenance "MaintenanceConfigurations_ListByManagedCluster" Reads
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations/read";
    DeleteMaintenance "MaintenanceConfigurations_Delete" Removes
        "Microsoft.ContainerService/managedClusters/maintenanceConfigurations/delete";
    GetOperation "Operations_Get" Reads "Microsoft.ContainerService/locations/operations/read";
    GetResult "OperationResults_Get" Reads "Microsoft.ContainerService/locations/operationresults/read";
}

/// An operation with what its path says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) op: Op,
    /// The resource group; for `GetOperation` and its kind the location.
    pub(super) group: String,
    /// The cluster, or the id of an operation.
    pub(super) name: String,
    /// The pool or maintenance configuration.
    pub(super) inner: String,
}

impl Route {
    /// The cluster that the path names.
    pub(super) fn cluster(&self) -> Option<&str> {
        let none = [Op::GetOperation, Op::GetResult, Op::Versions];
        Some(&*self.name).filter(|name| !name.is_empty() && !none.contains(&self.op))
    }

    /// The pool that the path names.
    pub(super) fn pool(&self) -> Option<&str> {
        let pools = [Op::PutPool, Op::GetPool, Op::DeletePool, Op::PoolUpgrades, Op::UpgradeImage];
        Some(&*self.inner).filter(|_| pools.contains(&self.op))
    }
}

/// Finds the operation. `path` is still percent-encoded, without the mount's prefix.
///
/// # Errors
/// What Azure says of another subscription, an api-version that is not simulated, or an operation that is not.
pub(super) fn route(
    method: &str,
    path: &str,
    api_version: Option<&str>,
) -> Result<Route, AzureError> {
    let decode = |segment: &str| percent_decode_str(segment).decode_utf8_lossy().into_owned();
    let segments: Vec<String> = path.trim_matches('/').split('/').map(decode).collect();
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let Some(api_version) = api_version else {
        return Err(AzureError::manager(
            StatusCode::BAD_REQUEST,
            "MissingApiVersionParameter",
            "The api-version query parameter (?api-version=) is required for all requests.",
        ));
    };
    let ["subscriptions", subscription, rest @ ..] = lower.as_slice() else {
        return Err(unknown(method, path));
    };
    if *subscription != AZURE_SUBSCRIPTION_ID {
        let message = format!("The subscription '{subscription}' could not be found.");
        return Err(AzureError::manager(StatusCode::NOT_FOUND, "SubscriptionNotFound", message));
    }
    let found = |op: Op, group: usize, name: usize, inner: usize| {
        let at = |n: usize| if n == 0 { String::new() } else { segments[n + 1].clone() };
        Ok(Route { op, group: at(group), name: at(name), inner: at(inner) })
    };
    let result = match (method, rest) {
        ("GET" | "HEAD", ["resourcegroups", _]) => return found(Op::GetGroup, 2, 0, 0),
        ("GET", ["providers", PROVIDER, "managedclusters"]) => found(Op::ListClusters, 0, 0, 0),
        ("GET", ["providers", PROVIDER, "locations", _, "operations", _]) => {
            return found(Op::GetOperation, 4, 6, 0);
        }
        ("GET", ["providers", PROVIDER, "locations", _, "operationresults", _]) => {
            return found(Op::GetResult, 4, 6, 0);
        }
        ("GET", ["providers", PROVIDER, "locations", _, "kubernetesversions"]) => {
            found(Op::Versions, 4, 0, 0)
        }
        (_, ["resourcegroups", _, "providers", PROVIDER, "managedclusters", below @ ..]) => {
            match (method, below) {
                ("GET", []) => found(Op::ListGroup, 2, 0, 0),
                ("PUT", [_]) => found(Op::PutCluster, 2, 6, 0),
                ("GET", [_]) => found(Op::GetCluster, 2, 6, 0),
                ("PATCH", [_]) => found(Op::PatchCluster, 2, 6, 0),
                ("DELETE", [_]) => found(Op::DeleteCluster, 2, 6, 0),
                ("POST", [_, "listclusterusercredential"]) => found(Op::UserCredentials, 2, 6, 0),
                ("POST", [_, "listclusteradmincredential"]) => found(Op::AdminCredentials, 2, 6, 0),
                ("GET", [_, "upgradeprofiles", "default"]) => found(Op::ClusterUpgrades, 2, 6, 0),
                ("GET", [_, "agentpools"]) => found(Op::ListPools, 2, 6, 0),
                ("PUT", [_, "agentpools", _]) => found(Op::PutPool, 2, 6, 8),
                ("GET", [_, "agentpools", _]) => found(Op::GetPool, 2, 6, 8),
                ("DELETE", [_, "agentpools", _]) => found(Op::DeletePool, 2, 6, 8),
                ("GET", [_, "agentpools", _, "upgradeprofiles", "default"]) => {
                    found(Op::PoolUpgrades, 2, 6, 8)
                }
                ("POST", [_, "agentpools", _, "upgradenodeimageversion"]) => {
                    found(Op::UpgradeImage, 2, 6, 8)
                }
                ("GET", [_, "maintenanceconfigurations"]) => found(Op::ListMaintenance, 2, 6, 0),
                ("PUT", [_, "maintenanceconfigurations", _]) => found(Op::PutMaintenance, 2, 6, 8),
                ("GET", [_, "maintenanceconfigurations", _]) => found(Op::GetMaintenance, 2, 6, 8),
                ("DELETE", [_, "maintenanceconfigurations", _]) => {
                    found(Op::DeleteMaintenance, 2, 6, 8)
                }
                _ => Err(unknown(method, path)),
            }
        }
        _ => Err(unknown(method, path)),
    };
    if result.is_ok() && !API_VERSIONS.contains(&api_version) {
        return Err(AzureError::manager(
            StatusCode::BAD_REQUEST,
            "InvalidApiVersionParameter",
            format!(
                "The api-version '{api_version}' is invalid. The supported versions are '{}'.",
                API_VERSIONS.join(",")
            ),
        ));
    }
    result
}

fn unknown(method: &str, path: &str) -> AzureError {
    AzureError::manager(
        StatusCode::BAD_REQUEST,
        "NoRegisteredProviderFound",
        format!("No registered resource provider found for {method} {path}: it is not simulated."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = "/subscriptions/33333333-3333-4333-8333-333333333333/resourcegroups/RG/providers/microsoft.containerservice/managedclusters/Shop";

    fn named(method: &str, path: &str, version: Option<&str>) -> String {
        match route(method, path, version) {
            Ok(Route { op, group, name, inner }) => format!("{} {group} {name} {inner}", op.name()),
            Err(error) => error.code.to_owned(),
        }
    }

    #[test]
    fn paths_have_no_case_but_names_keep_theirs() {
        let version = Some("2026-03-01");
        assert_eq!(named("GET", CLUSTER, version), "ManagedClusters_Get RG Shop ");
        let pool = format!("{CLUSTER}/agentPools/web/upgradeNodeImageVersion");
        let expect = "AgentPools_UpgradeNodeImageVersion RG Shop web";
        assert_eq!(named("POST", &pool, version), expect);
        let operation = "/subscriptions/33333333-3333-4333-8333-333333333333/providers/Microsoft.ContainerService/locations/westeurope/operations/abc";
        assert_eq!(named("GET", operation, Some("2017-08-31")), "Operations_Get westeurope abc ");
    }

    #[test]
    fn what_is_not_simulated_is_refused_by_name() {
        assert_eq!(named("GET", CLUSTER, None), "MissingApiVersionParameter");
        assert_eq!(named("GET", CLUSTER, Some("2023-01-02-preview")), "InvalidApiVersionParameter");
        let other = CLUSTER.replace("8333-333333333333", "8333-333333333334");
        assert_eq!(named("GET", &other, Some("2026-03-01")), "SubscriptionNotFound");
        let command = format!("{CLUSTER}/runCommand");
        assert_eq!(named("POST", &command, Some("2026-03-01")), "NoRegisteredProviderFound");
    }
}
