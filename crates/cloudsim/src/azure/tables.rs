//! The properties that Microsoft.ContainerService has at api-version 2026-03-01. What users and providers set here is
//! spelled out; what is rarer is kept as it is said.

use super::shape::Shape::{
    self, Any, Flag, List, Map, Named, Number, Object, ReadOnly, Text, Whole, Words,
};

const TEXTS: Shape = List(&Text);

/// The body of a `PUT` of a cluster.
pub(super) const CLUSTER: Shape = Object(&[
    ("id", ReadOnly),
    ("name", ReadOnly),
    ("type", ReadOnly),
    ("kind", Text),
    ("eTag", ReadOnly),
    ("systemData", ReadOnly),
    ("location", Text),
    ("tags", Map(&Text)),
    ("extendedLocation", Any),
    (
        "sku",
        Object(&[
            ("name", Words(&["Base", "Automatic"])),
            ("tier", Words(&["Free", "Standard", "Premium"])),
        ]),
    ),
    (
        "identity",
        Object(&[
            ("type", Words(&["SystemAssigned", "UserAssigned", "None"])),
            ("userAssignedIdentities", Map(&IDENTITY)),
            ("delegatedResources", Any),
            ("principalId", ReadOnly),
            ("tenantId", ReadOnly),
        ]),
    ),
    ("properties", PROPERTIES),
]);

const IDENTITY: Shape = Object(&[("principalId", ReadOnly), ("clientId", ReadOnly)]);

const PROPERTIES: Shape = Object(&[
    ("provisioningState", ReadOnly),
    ("powerState", ReadOnly),
    ("currentKubernetesVersion", ReadOnly),
    ("fqdn", ReadOnly),
    ("privateFQDN", ReadOnly),
    ("azurePortalFQDN", ReadOnly),
    ("maxAgentPools", ReadOnly),
    ("resourceUID", ReadOnly),
    ("status", ReadOnly),
    ("creationData", Any),
    ("kubernetesVersion", Text),
    ("dnsPrefix", Text),
    ("fqdnSubdomain", Text),
    ("agentPoolProfiles", List(&PROFILE)),
    ("linuxProfile", Any),
    ("windowsProfile", Any),
    ("servicePrincipalProfile", Any),
    ("addonProfiles", Named(&ADDON)),
    ("podIdentityProfile", Any),
    ("oidcIssuerProfile", Object(&[("enabled", Flag), ("issuerURL", ReadOnly)])),
    ("nodeResourceGroup", Text),
    ("nodeResourceGroupProfile", Any),
    ("enableRBAC", Flag),
    ("supportPlan", Words(&["KubernetesOfficial", "AKSLongTermSupport"])),
    ("networkProfile", NETWORK),
    ("aadProfile", ENTRA),
    (
        "autoUpgradeProfile",
        Object(&[
            ("upgradeChannel", Words(&["rapid", "stable", "patch", "node-image", "none"])),
            ("nodeOSUpgradeChannel", Words(&["None", "Unmanaged", "NodeImage", "SecurityPatch"])),
        ]),
    ),
    ("upgradeSettings", Any),
    ("autoScalerProfile", AUTOSCALER),
    ("apiServerAccessProfile", ACCESS),
    ("diskEncryptionSetID", Text),
    ("identityProfile", Named(&Any)),
    ("privateLinkResources", Any),
    ("disableLocalAccounts", Flag),
    ("httpProxyConfig", Any),
    ("securityProfile", Any),
    ("storageProfile", Any),
    ("ingressProfile", Any),
    ("publicNetworkAccess", Words(&["Enabled", "Disabled"])),
    ("workloadAutoScalerProfile", Any),
    ("azureMonitorProfile", Any),
    ("serviceMeshProfile", Any),
    ("metricsProfile", Any),
    ("nodeProvisioningProfile", Any),
    ("bootstrapProfile", Any),
    ("aiToolchainOperatorProfile", Any),
    ("hostedSystemProfile", Any),
]);

const ADDON: Shape = Object(&[("enabled", Flag), ("config", Map(&Text)), ("identity", ReadOnly)]);

const NETWORK: Shape = Object(&[
    ("networkPlugin", Words(&["azure", "kubenet", "none"])),
    ("networkPluginMode", Words(&["overlay"])),
    ("networkPolicy", Words(&["none", "calico", "azure", "cilium"])),
    ("networkMode", Words(&["transparent", "bridge"])),
    ("networkDataplane", Words(&["azure", "cilium"])),
    ("advancedNetworking", Any),
    ("podCidr", Text),
    ("podCidrs", TEXTS),
    ("serviceCidr", Text),
    ("serviceCidrs", TEXTS),
    ("dnsServiceIP", Text),
    (
        "outboundType",
        Words(&[
            "loadBalancer",
            "userDefinedRouting",
            "managedNATGateway",
            "userAssignedNATGateway",
            "none",
        ]),
    ),
    ("loadBalancerSku", Words(&["standard", "basic"])),
    (
        "loadBalancerProfile",
        Object(&[
            ("managedOutboundIPs", Any),
            ("outboundIPPrefixes", Any),
            ("outboundIPs", Any),
            ("effectiveOutboundIPs", ReadOnly),
            ("allocatedOutboundPorts", Whole(0, 64_000)),
            ("idleTimeoutInMinutes", Whole(4, 120)),
            ("enableMultipleStandardLoadBalancers", Flag),
            ("backendPoolType", Words(&["NodeIPConfiguration", "NodeIP"])),
        ]),
    ),
    ("natGatewayProfile", Any),
    ("staticEgressGatewayProfile", Any),
    ("ipFamilies", List(&Words(&["IPv4", "IPv6"]))),
]);

const ENTRA: Shape = Object(&[
    ("managed", Flag),
    ("enableAzureRBAC", Flag),
    ("adminGroupObjectIDs", TEXTS),
    ("tenantID", Text),
    ("clientAppID", Text),
    ("serverAppID", Text),
    ("serverAppSecret", Text),
]);

const ACCESS: Shape = Object(&[
    ("authorizedIPRanges", TEXTS),
    ("enablePrivateCluster", Flag),
    ("privateDNSZone", Text),
    ("enablePrivateClusterPublicFQDN", Flag),
    ("disableRunCommand", Flag),
    ("enableVnetIntegration", Flag),
    ("subnetId", Text),
]);

const AUTOSCALER: Shape = Object(&[
    ("balance-similar-node-groups", Text),
    ("daemonset-eviction-for-empty-nodes", Flag),
    ("daemonset-eviction-for-occupied-nodes", Flag),
    ("ignore-daemonsets-utilization", Flag),
    ("expander", Words(&["least-waste", "most-pods", "priority", "random"])),
    ("max-empty-bulk-delete", Text),
    ("max-graceful-termination-sec", Text),
    ("max-node-provision-time", Text),
    ("max-total-unready-percentage", Text),
    ("new-pod-scale-up-delay", Text),
    ("ok-total-unready-count", Text),
    ("scan-interval", Text),
    ("scale-down-delay-after-add", Text),
    ("scale-down-delay-after-delete", Text),
    ("scale-down-delay-after-failure", Text),
    ("scale-down-unneeded-time", Text),
    ("scale-down-unready-time", Text),
    ("scale-down-utilization-threshold", Text),
    ("skip-nodes-with-local-storage", Text),
    ("skip-nodes-with-system-pods", Text),
]);

/// The `properties` of an agent pool, once as they are and once with the name that a profile has.
macro_rules! pool {
    ($($more:expr),*) => {
        Object(&[
            $($more,)*
            ("eTag", ReadOnly),
            ("provisioningState", ReadOnly),
            ("currentOrchestratorVersion", ReadOnly),
            ("nodeImageVersion", ReadOnly),
            ("status", ReadOnly),
            ("virtualMachineNodesStatus", ReadOnly),
            ("powerState", Object(&[("code", Words(&["Running", "Stopped"]))])),
            ("count", Whole(0, 1_000)),
            ("vmSize", Text),
            ("osDiskSizeGB", Whole(0, 2_048)),
            ("osDiskType", Words(&["Managed", "Ephemeral"])),
            ("kubeletDiskType", Words(&["OS", "Temporary"])),
            ("workloadRuntime", Words(&["OCIContainer", "WasmWasi", "KataVmIsolation"])),
            ("messageOfTheDay", Text),
            ("vnetSubnetID", Text),
            ("podSubnetID", Text),
            ("podIPAllocationMode", Words(&["DynamicIndividual", "StaticBlock"])),
            ("maxPods", Whole(10, 250)),
            ("osType", Words(&["Linux", "Windows"])),
            ("osSKU", Words(&SKUS)),
            ("minCount", Whole(0, 1_000)),
            ("maxCount", Whole(0, 1_000)),
            ("enableAutoScaling", Flag),
            ("scaleDownMode", Words(&["Delete", "Deallocate"])),
            ("type", Words(&["VirtualMachineScaleSets", "AvailabilitySet", "VirtualMachines"])),
            ("mode", Words(&["System", "User", "Gateway"])),
            ("orchestratorVersion", Text),
            ("upgradeSettings", UPGRADE),
            ("availabilityZones", TEXTS),
            ("enableNodePublicIP", Flag),
            ("nodePublicIPPrefixID", Text),
            ("scaleSetPriority", Words(&["Spot", "Regular"])),
            ("scaleSetEvictionPolicy", Words(&["Delete", "Deallocate"])),
            ("spotMaxPrice", Number),
            ("tags", Map(&Text)),
            ("nodeLabels", Map(&Text)),
            ("nodeTaints", TEXTS),
            ("proximityPlacementGroupID", Text),
            ("kubeletConfig", Any),
            ("linuxOSConfig", Any),
            ("enableEncryptionAtHost", Flag),
            ("enableUltraSSD", Flag),
            ("enableFIPS", Flag),
            ("gpuInstanceProfile", Text),
            ("creationData", Any),
            ("capacityReservationGroupID", Text),
            ("hostGroupID", Text),
            ("networkProfile", Any),
            ("windowsProfile", Any),
            ("securityProfile", Any),
            ("gpuProfile", Any),
            ("gatewayProfile", Any),
            ("virtualMachinesProfile", Any),
            ("localDNSProfile", Any),
            ("artifactStreamingProfile", Any),
        ])
    };
}

const SKUS: [&str; 10] = [
    "Ubuntu",
    "Ubuntu2204",
    "Ubuntu2404",
    "AzureLinux",
    "AzureLinux3",
    "AzureContainerLinux",
    "CBLMariner",
    "Windows2019",
    "Windows2022",
    "Windows2025",
];

const UPGRADE: Shape = Object(&[
    ("maxSurge", Text),
    ("maxUnavailable", Text),
    ("drainTimeoutInMinutes", Whole(1, 1_440)),
    ("nodeSoakDurationInMinutes", Whole(0, 30)),
    ("undrainableNodeBehavior", Words(&["Cordon", "Schedule"])),
]);

/// The `properties` of an agent pool.
pub(super) const POOL: Shape = pool!();
/// An agent pool inside a cluster.
pub(super) const PROFILE: Shape = pool!(("name", Text));

/// The body of a `PUT` of an agent pool.
pub(super) const POOL_BODY: Shape = Object(&[
    ("id", ReadOnly),
    ("name", ReadOnly),
    ("type", ReadOnly),
    ("systemData", ReadOnly),
    ("properties", POOL),
]);

const DAY: Shape =
    Words(&["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"]);
const SPAN: Shape = Object(&[("start", Text), ("end", Text)]);

/// The body of a `PUT` of a maintenance configuration.
pub(super) const MAINTENANCE: Shape = Object(&[
    ("id", ReadOnly),
    ("name", ReadOnly),
    ("type", ReadOnly),
    ("systemData", ReadOnly),
    (
        "properties",
        Object(&[
            ("timeInWeek", List(&Object(&[("day", DAY), ("hourSlots", List(&Whole(0, 23)))]))),
            ("notAllowedTime", List(&SPAN)),
            (
                "maintenanceWindow",
                Object(&[
                    (
                        "schedule",
                        Object(&[
                            ("daily", Object(&[("intervalDays", Whole(1, 7))])),
                            (
                                "weekly",
                                Object(&[("intervalWeeks", Whole(1, 4)), ("dayOfWeek", DAY)]),
                            ),
                            ("absoluteMonthly", Any),
                            ("relativeMonthly", Any),
                        ]),
                    ),
                    ("durationHours", Whole(4, 24)),
                    ("utcOffset", Text),
                    ("startDate", Text),
                    ("startTime", Text),
                    ("notAllowedDates", List(&SPAN)),
                ]),
            ),
        ]),
    ),
]);

/// The body of a `PATCH` of a cluster.
pub(super) const TAGS: Shape = Object(&[("tags", Map(&Text))]);
