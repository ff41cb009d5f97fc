//! What is different on Azure: reasons with advice of their own, and the words of Azure's own answers.

use super::Table;

const ROLE: &str = "give the identity the role of docs/guides/aks-role.json on the resource group; the message names the action that was refused";
const OTHER_MACHINES: &str = "choose another VM size or other zones for the pool (`az vm list-skus --location … --zone` tells what there is), or wait until Azure has machines";
const CREDENTIALS: &str = "give Fleetwright credentials that work, as spec.azure.identity of the ProviderConfig says; it looks again by itself";

/// Reasons of conditions and codes of errors whose advice names something of Azure's.
pub(super) const REASONS: Table = &[
    (&["Unauthorized", "AccessDenied"], ROLE),
    (&["Expired", "ExpiringSoon", "CredentialsMissing", "CredentialsFailed"], CREDENTIALS),
    (&["CapacityUnavailable"], OTHER_MACHINES),
    (
        &["AccountNotAllowed"],
        "use a subscription in spec.limits.accountIds, or have the ProviderConfig's owner add this one",
    ),
    (
        &["Conflict"],
        "the name is taken by something that is not this object's: choose another spec.aks.externalName, or adopt it with `adoption: Existing`",
    ),
    (
        &["Stopped"],
        "start the cluster or the pool with the command that the message names, or take the change back: AKS changes nothing of what is stopped",
    ),
    (&["SubscriptionDisabled"], "have the subscription enabled again: Azure takes no change in it"),
    (
        &["ApiNotThere"],
        "see whether spec.azure.cloud and spec.azure.endpoint of the ProviderConfig are right: what answered is no Azure Resource Manager that knows AKS at 2026-03-01",
    ),
    (
        &["Contested"],
        "find who else changes this field (Azure's activity log names them); until that stops it is repaired once an hour",
    ),
    (
        &["Unreachable", "ProbeFailed", "GracePeriod"],
        "let Fleetwright reach the cluster's endpoint: spec.aks.apiServer.authorizedCidrs, a network that a private cluster is joined to, firewalls, or spec.connection with a proxy",
    ),
];

/// Codes of Azure Resource Manager, AKS and Entra ID as they stand in messages; the first that is found counts.
pub(super) const WORDS: Table = &[
    (
        &["LinkedAuthorizationFailed", "LinkedInvalidPropertyId"],
        "give the identity the second role of docs/guides/aks.md on what the cluster joins: the subnet, the managed identity or the DNS zone that the message names",
    ),
    (&["AuthorizationFailed"], ROLE),
    (
        &["ResourceGroupNotFound"],
        "make the resource group, or declare another cluster with the right spec.aks.resourceGroup: Fleetwright never makes one",
    ),
    (
        &["SubscriptionNotFound", "InvalidSubscriptionId", "DisallowedOperation"],
        "see whether spec.aks.subscriptionId is right and enabled, and whether the identity may see it",
    ),
    (
        &["MissingSubscriptionRegistration", "SubscriptionNotRegistered"],
        "register what the message names once for the subscription: `az provider register --namespace Microsoft.ContainerService`",
    ),
    (
        &["RequestDisallowedByPolicy"],
        "an Azure Policy forbids this: declare what the assignment in the message asks for, or have its owner exempt the resource group",
    ),
    (
        &["ScopeLocked"],
        "have the lock on the resource group taken away that the message names, or leave the cluster as it is",
    ),
    (
        &["PropertyChangeNotAllowed", "InvalidAgentPoolPropertyChange"],
        "take the change back: Azure cannot make it on what lives; a new cluster or pool can have it",
    ),
    (
        &["QuotaExceeded", "InsufficientVCPUQuota"],
        "ask Azure for more cores of that family in that location (`az vm list-usage` shows what is used), or choose another VM size",
    ),
    (
        &[
            "SkuNotAvailable",
            "ZonalAllocationFailed",
            "AllocationFailed",
            "OverconstrainedAllocationRequest",
            "OverconstrainedZonalAllocationRequest",
            "VMSizeNotSupported",
        ],
        OTHER_MACHINES,
    ),
    (
        &["SubnetIsFull", "InsufficientSubnetSize"],
        "give the pool a larger subnet, fewer maxPods, or the cluster pluginMode Overlay",
    ),
    (
        &["K8sVersionNotSupported", "UnsupportedKubernetesVersion", "AgentPoolVersionMismatch"],
        "declare a version that `az aks get-versions --location …` lists",
    ),
    (
        &["PodDrainFailure", "UpgradeBlockedOnDeprecatedAPIUsage", "PDBBlocked"],
        "mend what the message names on the cluster: a PodDisruptionBudget that allows no eviction, or an API that the next version lacks",
    ),
    (
        &["AADSTS7000215", "AADSTS7000222"],
        "renew the client secret: Entra ID says that it is wrong or has expired",
    ),
    (
        &["AADSTS700016", "AADSTS90002"],
        "see whether tenant and client id of the ProviderConfig's identity are right: Entra ID does not know them",
    ),
    (
        &["AADSTS70021"],
        "let the identity's federated credential name this cluster's issuer and Fleetwright's service account",
    ),
    (&["InvalidAuthenticationToken", "ExpiredAuthenticationToken"], CREDENTIALS),
];
