//! An Azure AKS cluster, declared. Words that Azure owns (VM sizes, OS SKUs, add-on names, locations) are open strings in its spelling.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::free::{free_object, int_or_string};
use crate::maintenance::MaintenanceWindow;
use crate::node_pool::IntOrString;

/// The id of a resource as Azure Resource Manager writes it: `/subscriptions/…`. Compared without regard to case.
pub type AzureResourceId = String;

/// An Azure AKS cluster. Its resource group must exist; it is never created and never deleted.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.externalName) == has(oldSelf.externalName) && (!has(self.externalName) || self.externalName == oldSelf.externalName)").message("externalName is immutable"))]
#[x_kube(validation = Rule::new("has(self.nodeResourceGroup) == has(oldSelf.nodeResourceGroup) && (!has(self.nodeResourceGroup) || self.nodeResourceGroup == oldSelf.nodeResourceGroup)").message("nodeResourceGroup is immutable"))]
#[x_kube(validation = Rule::new("has(self.dnsPrefix) == has(oldSelf.dnsPrefix) && (!has(self.dnsPrefix) || self.dnsPrefix == oldSelf.dnsPrefix)").message("dnsPrefix is immutable"))]
pub struct AksSpec {
    /// The subscription. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("subscriptionId is immutable"))]
    #[schemars(regex(pattern = "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"))]
    pub subscription_id: String,
    /// The resource group that holds the cluster. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("resourceGroup is immutable"))]
    #[schemars(length(min = 1, max = 90), regex(pattern = r"^[-\w._()]*[-\w_()]$"))]
    pub resource_group: String,
    /// The Azure region, for example `westeurope`. Immutable.
    #[x_kube(validation = Rule::new("self == oldSelf").message("location is immutable"))]
    #[schemars(length(min = 1, max = 64), regex(pattern = "^[a-z0-9]+$"))]
    pub location: String,
    /// The name of the cluster in AKS. Absent: derived from namespace and name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[0-9A-Za-z]([0-9A-Za-z_-]*[0-9A-Za-z])?$")
    )]
    pub external_name: Option<String>,
    /// The first part of the API server's DNS name. Absent: the cluster's name in AKS. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 54),
        regex(pattern = "^[0-9A-Za-z]([0-9A-Za-z-]*[0-9A-Za-z])?$")
    )]
    pub dns_prefix: Option<String>,
    /// The resource group that AKS makes for the nodes. Absent: AKS derives it. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 80), regex(pattern = r"^[-\w._()]*[-\w_()]$"))]
    pub node_resource_group: Option<String>,
    /// What Azure promises of the control plane. Absent: `Free` at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<AksTier>,
    /// How long a version is supported. Absent: AKS's default, `Standard`, at birth, then whatever is set there. `LongTerm`
    /// needs tier `Premium`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support: Option<AksSupport>,
    /// Who the cluster is in Azure. Absent: an identity of its own, made by Azure (`SystemAssigned`), at birth,
    /// then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<AksIdentity>,
    /// Sign-in by Microsoft Entra ID. Absent: off at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entra: Option<AksEntra>,
    /// From where the API is reached. Absent: public from everywhere at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_server: Option<AksApiServer>,
    /// The cluster's network. Absent: AKS's defaults at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<AksNetwork>,
    /// What Azure upgrades by itself. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_upgrade: Option<AksAutoUpgrade>,
    /// Azure's own maintenance windows, all of them: one that is not in the list is deleted. Absent: left alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub maintenance_configurations: Option<Vec<AksMaintenanceConfiguration>>,
    /// Settings of the cluster autoscaler in AKS's dashed spelling, for example `scan-interval: 20s`. Only these keys are
    /// compared.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub autoscaler: BTreeMap<String, String>,
    /// Add-ons of AKS (`addonProfiles`). One that is not in the list is left alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub managed_add_ons: Vec<AksAddOn>,
    /// The disk encryption set of the nodes' disks. Absent: keys of Azure's at birth, then whatever is set there. Immutable in
    /// AKS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub disk_encryption_set_id: Option<AzureResourceId>,
    /// Merged into the body of the cluster's `PUT` (RFC 7396), in the API's own spelling (`properties: {…}`), for what has
    /// no field here. Its own keys are drift-checked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub payload_patch: Option<Map<String, Value>>,
}

/// What Azure promises of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksTier {
    /// Nothing.
    Free,
    /// An availability in numbers.
    Standard,
    /// That, and long-term support.
    Premium,
}

/// How long a version is supported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksSupport {
    /// As long as the Kubernetes project does (`KubernetesOfficial`).
    Standard,
    /// Two years (`AKSLongTermSupport`).
    LongTerm,
}

/// Who a cluster is in Azure.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'UserAssigned') == has(self.resourceId)").message("resourceId goes with type UserAssigned, and only with it"))]
#[x_kube(validation = Rule::new("!has(self.kubeletResourceId) || self.type == 'UserAssigned'").message("kubeletResourceId goes with type UserAssigned only"))]
pub struct AksIdentity {
    /// Made by Azure, or yours.
    #[serde(rename = "type")]
    pub type_: AksIdentityType,
    /// The managed identity of the control plane.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub resource_id: Option<AzureResourceId>,
    /// The managed identity of the kubelets. Absent: AKS makes one. Immutable in AKS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub kubelet_resource_id: Option<AzureResourceId>,
}

/// Where a cluster's identity comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksIdentityType {
    /// Azure makes it with the cluster.
    SystemAssigned,
    /// It exists already.
    UserAssigned,
}

/// Sign-in by Microsoft Entra ID.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct AksEntra {
    /// Whether the cluster's own certificates let anybody in. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local_accounts: Option<Toggle>,
    /// Workload identity, with the OIDC issuer it needs. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_identity: Option<Toggle>,
    /// Entra groups whose members may do everything: the whole list. Absent: none; on an adopted cluster whatever is set there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub admin_group_ids: Vec<String>,
    /// Whether Azure's role assignments say what people may do (`Azure`), or RBAC objects alone. Absent: `Kubernetes`; on an
    /// adopted cluster whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<AksAuthorization>,
    /// The Entra tenant. Absent: that of the subscription at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 36))]
    pub tenant_id: Option<String>,
}

/// On, or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Toggle {
    /// On.
    Enabled,
    /// Off.
    Disabled,
}

/// What says what people may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksAuthorization {
    /// Azure role assignments too.
    Azure,
    /// RBAC objects of the cluster alone.
    Kubernetes,
}

/// From where an AKS API server is reached.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.access != 'Private' || !has(self.authorizedCidrs)").message("authorizedCidrs mean nothing with access Private"))]
#[x_kube(validation = Rule::new("self.access == 'Private' || !has(self.privateDnsZone)").message("privateDnsZone goes with access Private only"))]
#[x_kube(validation = Rule::new("self.access == oldSelf.access").message("access is immutable: AKS cannot change it on a living cluster"))]
pub struct AksApiServer {
    /// From where. Immutable.
    pub access: AksApiServerAccess,
    /// Ranges that may use the public endpoint: the whole list. Absent: all; on an adopted cluster whatever is set there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub authorized_cidrs: Vec<String>,
    /// The private DNS zone: `System`, `None`, or the id of one of yours. Absent: AKS's default, `System`, at birth, then
    /// whatever is set there. Immutable in AKS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^(System|None|/subscriptions/.+)$"))]
    pub private_dns_zone: Option<String>,
    /// Whether `az aks command invoke` works. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_command: Option<Toggle>,
    /// The subnet of the API server, with VNet integration. Present: on; it cannot be taken away again. Absent: off at birth,
    /// then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub vnet_subnet_id: Option<AzureResourceId>,
}

/// From where an API server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksApiServerAccess {
    /// From the internet.
    Public,
    /// From private networks only.
    Private,
}

/// The network of an AKS cluster. The ranges, the plugin and the DNS address are immutable in AKS, but for the way from plugin
/// `Kubenet` to `Azure` with mode `Overlay`.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct AksNetwork {
    /// Who gives pods their addresses. Absent: AKS's default: since Kubernetes 1.30 `Azure` with mode `Overlay`, at birth, then
    /// whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<AksNetworkPlugin>,
    /// `Overlay`: pods have a range of their own. Absent: with plugin `Azure` they share the subnet's, without a plugin it is
    /// AKS's default, `Overlay`: at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin_mode: Option<AksPluginMode>,
    /// What moves packets. Absent: AKS's default, `Azure`, at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataplane: Option<AksDataplane>,
    /// What enforces NetworkPolicies. Absent: AKS's default (`Cilium` with dataplane `Cilium`, else `None`) at birth, then
    /// whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<AksNetworkPolicy>,
    /// The way out of the cluster. Absent: AKS's default, `LoadBalancer`, at birth, then whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outbound: Option<AksOutbound>,
    /// Range of pods. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 43))]
    pub pod_cidr: Option<String>,
    /// Range of Services. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 43))]
    pub service_cidr: Option<String>,
    /// Address of the cluster's DNS, in `serviceCidr`. Absent: the tenth address of a `serviceCidr` that is given, else AKS
    /// chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 45))]
    pub dns_service_ip: Option<String>,
}

/// Who gives pods their addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksNetworkPlugin {
    /// Azure CNI.
    Azure,
    /// Kubenet, which Azure retires in 2028.
    Kubenet,
    /// Nobody: bring your own.
    None,
}

/// Where pods' addresses come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksPluginMode {
    /// A range of their own.
    Overlay,
}

/// What moves packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksDataplane {
    /// Azure's.
    Azure,
    /// Cilium's eBPF programs.
    Cilium,
}

/// What enforces NetworkPolicies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names of the engines")]
pub enum AksNetworkPolicy {
    Azure,
    Calico,
    Cilium,
    None,
}

/// The way out of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksOutbound {
    /// Through the cluster's load balancer.
    LoadBalancer,
    /// Through a NAT gateway that AKS makes.
    ManagedNatGateway,
    /// Through the NAT gateway of your subnet.
    UserAssignedNatGateway,
    /// As your route tables say.
    UserDefinedRouting,
    /// None.
    None,
}

/// What Azure upgrades by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct AksAutoUpgrade {
    /// The Kubernetes channel. Absent: whatever is set there. Beyond `Patch` it would fight with `spec.version`: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<AksUpgradeChannel>,
    /// The node image channel. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_os: Option<AksNodeOsChannel>,
}

/// A Kubernetes channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksUpgradeChannel {
    /// None.
    None,
    /// The newest patch of the minor that runs.
    Patch,
    /// The newest patch of the minor before the newest.
    Stable,
    /// The newest patch of the newest minor.
    Rapid,
    /// Newer node images of the version that runs.
    NodeImage,
}

/// A node image channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksNodeOsChannel {
    /// None.
    None,
    /// As the distribution does by itself.
    Unmanaged,
    /// Azure's tested security patches.
    SecurityPatch,
    /// A newer image every week.
    NodeImage,
}

/// One of Azure's own maintenance windows.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct AksMaintenanceConfiguration {
    /// Which: `default` (what AKS itself releases), `aksManagedAutoUpgradeSchedule`, `aksManagedNodeOSUpgradeSchedule`.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// The window: one, on one day of the week, of four to twenty-four hours; for `default`, any number of whole hours.
    #[schemars(length(min = 1, max = 7))]
    pub windows: Vec<MaintenanceWindow>,
    /// Offset from UTC that `start` is in, for example `+01:00`. Absent: `+00:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[+-](0[0-9]|1[0-4]):[0-5][0-9]$"))]
    pub utc_offset: Option<String>,
    /// Every so many weeks. Absent: every week.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4))]
    pub interval_weeks: Option<i32>,
}

/// An add-on of AKS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AksAddOn {
    /// Its name in `addonProfiles`, for example `azurepolicy`, `omsagent`, `azureKeyvaultSecretsProvider`.
    #[schemars(length(min = 1, max = 64))]
    pub name: String,
    /// On, or off.
    pub state: Toggle,
    /// Its settings, as its documentation says. Absent: whatever is set there.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub config: BTreeMap<String, String>,
}

/// An AKS agent pool.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
pub struct AksPool {
    /// The VM size, for example `Standard_D4ds_v5`.
    #[schemars(length(min = 1, max = 64))]
    pub vm_size: String,
    /// Availability zones, for example `"1"`. Absent: regional.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 3))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub zones: Vec<String>,
    /// The subnet of the nodes. Absent: in a network that AKS makes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub vnet_subnet_id: Option<AzureResourceId>,
    /// The subnet of the pods, without overlay. Absent: that of the nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^/subscriptions/.+$"))]
    pub pod_subnet_id: Option<AzureResourceId>,
    /// The operating system. Absent: `Linux`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<AksOs>,
    /// AKS's OS SKU, for example `AzureLinux`, `Ubuntu2204`, `Windows2022`. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub os_sku: Option<String>,
    /// Size of each node's OS disk in GiB. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 2048))]
    pub disk_size_gib: Option<i32>,
    /// Where the OS disk is. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_type: Option<AksDiskType>,
    /// Pods per node at most. Absent: AKS chooses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 10, max = 250))]
    pub max_pods: Option<i32>,
    /// Nodes added at once while the pool is upgraded: a number, or a share such as `33%`. Absent: AKS's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "int_or_string")]
    pub max_surge: Option<IntOrString>,
    /// How long a new node is left alone before the next one, in an upgrade, for example `5m`; at most `30m`. Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{1,5}(s|m|h)$"))]
    pub node_soak: Option<String>,
    /// With capacity `Spot`: what is paid at most per hour, in US dollars, for example `0.25`. Absent: the price on demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9]{1,6}([.][0-9]{1,5})?$"))]
    pub spot_max_price: Option<String>,
    /// With capacity `Spot`: what becomes of machines that are taken back. Absent: `Delete`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eviction_policy: Option<AksEvictionPolicy>,
    /// Encryption at the host of disks and caches. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encryption_at_host: Option<Toggle>,
    /// FIPS-approved cryptography on the nodes. Absent: off.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fips: Option<Toggle>,
    /// Merged into the `properties` of the pool's `PUT` (RFC 7396), in the API's own spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "free_object")]
    pub payload_patch: Option<Map<String, Value>>,
}

/// An operating system.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "their names")]
pub enum AksOs {
    Linux,
    Windows,
}

/// Where an OS disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksDiskType {
    /// In the host: fast, gone with the machine.
    Ephemeral,
    /// A managed disk.
    Managed,
}

/// What becomes of spot machines that are taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum AksEvictionPolicy {
    /// They are deleted.
    Delete,
    /// They are stopped, and still count against the quota.
    Deallocate,
}
