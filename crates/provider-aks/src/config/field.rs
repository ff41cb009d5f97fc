//! Where in the object a wire path of a request was declared: for problems and differences.

use fleetwright_plan::PartKey;

const CLUSTER: [(&str, &str); 36] = [
    ("location", "spec.aks.location"),
    ("sku.tier", "spec.aks.tier"),
    ("identity.type", "spec.aks.identity.type"),
    ("identity.userAssignedIdentities", "spec.aks.identity.resourceId"),
    ("properties.kubernetesVersion", "spec.version"),
    ("properties.dnsPrefix", "spec.aks.dnsPrefix"),
    ("properties.nodeResourceGroup", "spec.aks.nodeResourceGroup"),
    ("properties.supportPlan", "spec.aks.support"),
    ("properties.diskEncryptionSetID", "spec.aks.diskEncryptionSetId"),
    (
        "properties.identityProfile.kubeletidentity.resourceId",
        "spec.aks.identity.kubeletResourceId",
    ),
    ("properties.aadProfile.managed", "spec.aks.entra"),
    ("properties.aadProfile.adminGroupObjectIDs", "spec.aks.entra.adminGroupIds"),
    ("properties.aadProfile.enableAzureRBAC", "spec.aks.entra.authorization"),
    ("properties.aadProfile.tenantID", "spec.aks.entra.tenantId"),
    ("properties.disableLocalAccounts", "spec.aks.entra.localAccounts"),
    ("properties.securityProfile.workloadIdentity.enabled", "spec.aks.entra.workloadIdentity"),
    ("properties.oidcIssuerProfile.enabled", "spec.aks.entra.workloadIdentity"),
    ("properties.apiServerAccessProfile.enablePrivateCluster", "spec.aks.apiServer.access"),
    ("properties.apiServerAccessProfile.authorizedIPRanges", "spec.aks.apiServer.authorizedCidrs"),
    ("properties.apiServerAccessProfile.privateDNSZone", "spec.aks.apiServer.privateDnsZone"),
    ("properties.apiServerAccessProfile.disableRunCommand", "spec.aks.apiServer.runCommand"),
    ("properties.apiServerAccessProfile.enableVnetIntegration", "spec.aks.apiServer.vnetSubnetId"),
    ("properties.apiServerAccessProfile.subnetId", "spec.aks.apiServer.vnetSubnetId"),
    ("properties.networkProfile.networkPlugin", "spec.aks.network.plugin"),
    ("properties.networkProfile.networkPluginMode", "spec.aks.network.pluginMode"),
    ("properties.networkProfile.networkDataplane", "spec.aks.network.dataplane"),
    ("properties.networkProfile.networkPolicy", "spec.aks.network.policy"),
    ("properties.networkProfile.outboundType", "spec.aks.network.outbound"),
    ("properties.networkProfile.podCidr", "spec.aks.network.podCidr"),
    ("properties.networkProfile.serviceCidr", "spec.aks.network.serviceCidr"),
    ("properties.networkProfile.dnsServiceIP", "spec.aks.network.dnsServiceIp"),
    ("properties.autoUpgradeProfile.upgradeChannel", "spec.aks.autoUpgrade.kubernetes"),
    ("properties.autoUpgradeProfile.nodeOSUpgradeChannel", "spec.aks.autoUpgrade.nodeOs"),
    ("properties.agentPoolProfiles", "spec.nodePools"),
    ("sku", "spec.aks.tier"),
    ("identity", "spec.aks.identity"),
];

const POOL: [(&str, &str); 26] = [
    ("name", "name"),
    ("count", "size"),
    ("minCount", "size.min"),
    ("maxCount", "size.max"),
    ("enableAutoScaling", "size"),
    ("mode", "role"),
    ("scaleSetPriority", "capacity"),
    ("nodeTaints", "taints"),
    ("nodeLabels", "labels"),
    ("vmSize", "aks.vmSize"),
    ("availabilityZones", "aks.zones"),
    ("vnetSubnetID", "aks.vnetSubnetId"),
    ("podSubnetID", "aks.podSubnetId"),
    ("osType", "aks.os"),
    ("osSKU", "aks.osSku"),
    ("osDiskSizeGB", "aks.diskSizeGib"),
    ("osDiskType", "aks.diskType"),
    ("maxPods", "aks.maxPods"),
    ("spotMaxPrice", "aks.spotMaxPrice"),
    ("scaleSetEvictionPolicy", "aks.evictionPolicy"),
    ("enableEncryptionAtHost", "aks.encryptionAtHost"),
    ("enableFIPS", "aks.fips"),
    ("upgradeSettings.maxSurge", "aks.maxSurge"),
    ("upgradeSettings.maxUnavailable", "update.maxUnavailable"),
    ("upgradeSettings.drainTimeoutInMinutes", "update.drainTimeout"),
    ("upgradeSettings.nodeSoakDurationInMinutes", "aks.nodeSoak"),
];

fn find(table: &[(&str, &str)], path: &str) -> Option<String> {
    table.iter().find(|(wire, _)| *wire == path).map(|(_, field)| (*field).to_owned())
}

/// The field of a path in the `PUT` of a cluster; what no field has came from the patch.
pub(crate) fn cluster(path: &str) -> String {
    if let Some(name) = path.strip_prefix("tags.") {
        return format!("spec.tags[{name}]");
    }
    if let Some(key) = path.strip_prefix("properties.autoScalerProfile.") {
        return format!("spec.aks.autoscaler[{key}]");
    }
    if let Some(rest) = path.strip_prefix("properties.addonProfiles.") {
        let (name, inner) = rest.split_once('.').unwrap_or((rest, ""));
        let list = format!("spec.aks.managedAddOns[{name}]");
        return match inner.strip_prefix("config.") {
            Some(key) => format!("{list}.config[{key}]"),
            None => format!("{list}.state"),
        };
    }
    if path.starts_with("identity.userAssignedIdentities") {
        return "spec.aks.identity.resourceId".to_owned();
    }
    find(&CLUSTER, path).unwrap_or_else(|| format!("spec.aks.payloadPatch.{path}"))
}

/// The field of a path in the `PUT` of the declared pool `name`.
pub(crate) fn pool(name: &str, path: &str) -> String {
    let path = path.strip_prefix("properties.").unwrap_or(path);
    if let Some(tag) = path.strip_prefix("tags.") {
        return format!("spec.tags[{tag}]");
    }
    let inner = match path.strip_prefix("nodeLabels.") {
        Some(key) => format!("labels[{key}]"),
        None => find(&POOL, path).unwrap_or_else(|| format!("aks.payloadPatch.{path}")),
    };
    format!("spec.nodePools[{name}].{inner}")
}

/// The field of a path in a part's `PUT`.
pub(crate) fn part(key: &PartKey, path: &str) -> String {
    let path = path.strip_prefix("properties.").unwrap_or(path);
    let inner = match path.strip_prefix("maintenanceWindow.").unwrap_or(path) {
        "utcOffset" => "utcOffset",
        "schedule.weekly.intervalWeeks" => "intervalWeeks",
        _ => "windows",
    };
    format!("spec.aks.maintenanceConfigurations[{}].{inner}", key.name)
}
