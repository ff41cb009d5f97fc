//! Values in the words of the object, where Azure has others.

use serde_json::Value;

use super::compare::show;

/// What `true`, and what `false` or nothing, mean at the end of a path.
const SWITCHES: [(&str, &str, &str); 11] = [
    ("disableLocalAccounts", "Disabled", "Enabled"),
    ("disableRunCommand", "Disabled", "Enabled"),
    ("workloadIdentity.enabled", "Enabled", "Disabled"),
    ("oidcIssuerProfile.enabled", "Enabled", "Disabled"),
    ("enablePrivateCluster", "Private", "Public"),
    ("enableVnetIntegration", "on", "off"),
    ("enableAzureRBAC", "Azure", "Kubernetes"),
    ("enableEncryptionAtHost", "Enabled", "Disabled"),
    ("enableFIPS", "Enabled", "Disabled"),
    ("aadProfile.managed", "on", "off"),
    ("enableAutoScaling", "on", "off"),
];

/// Words of Azure's and ours, by the end of the path.
const WORDS: [(&str, &str, &str); 33] = [
    ("sku.tier", "Free", "Free"),
    ("sku.tier", "Standard", "Standard"),
    ("sku.tier", "Premium", "Premium"),
    ("supportPlan", "KubernetesOfficial", "Standard"),
    ("supportPlan", "AKSLongTermSupport", "LongTerm"),
    ("networkPlugin", "azure", "Azure"),
    ("networkPlugin", "kubenet", "Kubenet"),
    ("networkPlugin", "none", "None"),
    ("networkPluginMode", "overlay", "Overlay"),
    ("networkDataplane", "azure", "Azure"),
    ("networkDataplane", "cilium", "Cilium"),
    ("networkPolicy", "azure", "Azure"),
    ("networkPolicy", "calico", "Calico"),
    ("networkPolicy", "cilium", "Cilium"),
    ("networkPolicy", "none", "None"),
    ("outboundType", "loadBalancer", "LoadBalancer"),
    ("outboundType", "managedNATGateway", "ManagedNatGateway"),
    ("outboundType", "userAssignedNATGateway", "UserAssignedNatGateway"),
    ("outboundType", "userDefinedRouting", "UserDefinedRouting"),
    ("outboundType", "none", "None"),
    ("upgradeChannel", "none", "None"),
    ("upgradeChannel", "patch", "Patch"),
    ("upgradeChannel", "stable", "Stable"),
    ("upgradeChannel", "rapid", "Rapid"),
    ("upgradeChannel", "node-image", "NodeImage"),
    ("privateDNSZone", "system", "System"),
    ("privateDNSZone", "none", "None"),
    ("scaleSetPriority", "Regular", "OnDemand"),
    ("scaleSetPriority", "Spot", "Spot"),
    ("mode", "System", "System"),
    ("mode", "User", "User"),
    ("osType", "Linux", "Linux"),
    ("osType", "Windows", "Windows"),
];

/// A value at a path, for a person.
pub(super) fn word(path: &str, value: &Value) -> String {
    let at = |end: &str| {
        path.strip_suffix(end).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    if let Some((_, on, off)) = SWITCHES.iter().find(|(end, _, _)| at(end)) {
        return if *value == true { *on } else { *off }.to_owned();
    }
    if path.contains("addonProfiles.") && at("enabled") {
        return if *value == true { "Enabled" } else { "Disabled" }.to_owned();
    }
    let minutes = at("drainTimeoutInMinutes") || at("nodeSoakDurationInMinutes");
    match value {
        Value::Number(number) if minutes => format!("{number}m"),
        Value::String(text) => {
            let known =
                WORDS.iter().find(|(end, theirs, _)| at(end) && theirs.eq_ignore_ascii_case(text));
            known.map_or_else(|| text.clone(), |(_, _, ours)| (*ours).to_owned())
        }
        other => show(other),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_told_in_the_words_of_the_object() {
        for (path, value, expected) in [
            ("properties.disableLocalAccounts", json!(true), "Disabled"),
            ("properties.disableLocalAccounts", Value::Null, "Enabled"),
            ("properties.addonProfiles.azurepolicy.enabled", json!(false), "Disabled"),
            (
                "properties.networkProfile.outboundType",
                json!("managednatgateway"),
                "ManagedNatGateway",
            ),
            ("properties.upgradeSettings.drainTimeoutInMinutes", json!(20), "20m"),
            ("properties.vmSize", json!("Standard_D4ds_v5"), "Standard_D4ds_v5"),
            ("properties.availabilityZones", json!(["1", "2"]), "1, 2"),
            ("properties.podCidr", Value::Null, "none"),
        ] {
            assert_eq!(word(path, &value), expected, "{path}");
        }
    }
}
