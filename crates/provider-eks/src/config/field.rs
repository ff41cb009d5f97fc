//! Where in the object a wire path of a request was declared: for problems and differences.

use fleetwright_plan::PartKey;

use crate::kind;

const CLUSTER: [(&str, &str); 13] = [
    ("version", "spec.version"),
    ("roleArn", "spec.eks.roleArn"),
    ("resourcesVpcConfig.subnetIds", "spec.eks.network.subnetIds"),
    ("resourcesVpcConfig.securityGroupIds", "spec.eks.network.securityGroupIds"),
    ("resourcesVpcConfig.publicAccessCidrs", "spec.eks.network.endpoint.publicCidrs"),
    ("kubernetesNetworkConfig.serviceIpv4Cidr", "spec.eks.network.serviceCidr"),
    ("accessConfig.authenticationMode", "spec.eks.access.mode"),
    ("upgradePolicy.supportType", "spec.eks.support"),
    ("logging", "spec.eks.logging"),
    ("encryptionConfig", "spec.eks.kmsKeyArn"),
    ("computeConfig.nodePools", "spec.eks.autoMode.nodePools"),
    ("computeConfig.nodeRoleArn", "spec.eks.autoMode.nodeRoleArn"),
    ("computeConfig.enabled", "spec.eks.autoMode"),
];

const POOL: [(&str, &str); 15] = [
    ("nodegroupName", "name"),
    ("scalingConfig.minSize", "size.min"),
    ("scalingConfig.maxSize", "size.max"),
    ("scalingConfig.desiredSize", "size.initial"),
    ("subnets", "eks.subnetIds"),
    ("instanceTypes", "eks.instanceTypes"),
    ("amiType", "eks.amiType"),
    ("capacityType", "capacity"),
    ("diskSize", "eks.diskSizeGib"),
    ("nodeRole", "eks.roleArn"),
    ("launchTemplate.id", "eks.launchTemplate.id"),
    ("launchTemplate.version", "eks.launchTemplate.version"),
    ("taints", "taints"),
    ("updateConfig.maxUnavailable", "update.maxUnavailable"),
    ("updateConfig.maxUnavailablePercentage", "update.maxUnavailable"),
];

const PART: [(&str, &str); 12] = [
    ("addonVersion", "version"),
    ("serviceAccountRoleArn", "roleArn"),
    ("resolveConflicts", "onConflict"),
    ("configurationValues", "configuration"),
    ("kubernetesGroups", "groups"),
    ("username", "username"),
    ("type", "type"),
    ("_policies", "policies"),
    ("roleArn", "roleArn"),
    ("podExecutionRoleArn", "roleArn"),
    ("targetRoleArn", "targetRoleArn"),
    ("subnets", "subnetIds"),
];

fn find(table: &[(&str, &str)], path: &str) -> Option<String> {
    table.iter().find(|(wire, _)| *wire == path).map(|(_, field)| (*field).to_owned())
}

/// The field of a path in `CreateCluster`; what no field has came from the patch.
pub(crate) fn cluster(path: &str) -> String {
    match path.strip_prefix("tags.") {
        Some(key) => format!("spec.tags[{key}]"),
        None => find(&CLUSTER, path).unwrap_or_else(|| format!("spec.eks.payloadPatch.{path}")),
    }
}

/// The field of a path in `CreateNodegroup` of the declared pool `name`.
pub(crate) fn pool(name: &str, path: &str) -> String {
    if let Some(key) = path.strip_prefix("tags.") {
        return format!("spec.tags[{key}]");
    }
    let inner = match path.strip_prefix("labels.") {
        Some(key) => format!("labels[{key}]"),
        None => find(&POOL, path).unwrap_or_else(|| format!("eks.payloadPatch.{path}")),
    };
    format!("spec.nodePools[{name}].{inner}")
}

/// The field of a path in a part's request.
pub(crate) fn part(key: &PartKey, path: &str) -> String {
    let list = match key.kind {
        kind::ADD_ON => "spec.eks.managedAddOns",
        kind::ENTRY => "spec.eks.access.entries",
        kind::IDENTITY => "spec.eks.podIdentities",
        _ => "spec.eks.fargateProfiles",
    };
    match path.strip_prefix("tags.") {
        Some(tag) => format!("spec.tags[{tag}]"),
        None => {
            let inner = find(&PART, path).unwrap_or_else(|| path.to_owned());
            format!("{list}[{}].{inner}", key.name)
        }
    }
}
