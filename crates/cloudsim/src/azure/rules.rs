//! What AKS refuses although every property by itself is fine: combinations, and changes that cannot be.

use serde_json::Value;

use super::answer::AzureError;
use super::{tags, versions};

/// Properties of a cluster that cannot become anything else.
const FIXED: [&str; 16] = [
    "dnsPrefix",
    "fqdnSubdomain",
    "nodeResourceGroup",
    "enableRBAC",
    "diskEncryptionSetID",
    "networkProfile.networkPlugin",
    "networkProfile.podCidr",
    "networkProfile.podCidrs",
    "networkProfile.serviceCidr",
    "networkProfile.serviceCidrs",
    "networkProfile.dnsServiceIP",
    "networkProfile.loadBalancerSku",
    "networkProfile.ipFamilies",
    "apiServerAccessProfile.enablePrivateCluster",
    "apiServerAccessProfile.privateDNSZone",
    "bootstrapProfile.artifactSource",
];
/// Of these, what may change when a network becomes an overlay.
const BECOME_OVERLAY: [&str; 3] =
    ["networkProfile.networkPlugin", "networkProfile.podCidr", "networkProfile.podCidrs"];
const LONG_TERM: &str = "AKSLongTermSupport";

pub(super) fn at<'a>(document: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(document, |value, name| &value[name])
}

/// Texts of Azure that name resources, and most words, have no case.
pub(super) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => {
            let holds = |list: &[Value], one: &Value| list.iter().any(|other| same(other, one));
            a.len() == b.len() && a.iter().all(|one| holds(b, one))
        }
        (a, b) => a == b,
    }
}

/// Whether a cluster can be. `document` is complete.
pub(super) fn cluster(document: &Value) -> Result<(), AzureError> {
    if let Some(wrong) = tags::wrong(&document["tags"]) {
        return Err(AzureError::bad("InvalidTagNameCharacters", wrong));
    }
    let properties = &document["properties"];
    identity(document)?;
    network(&properties["networkProfile"])?;
    access(properties)?;
    sign_in(properties)?;
    if properties["supportPlan"] == LONG_TERM && document["sku"]["tier"] != "Premium" {
        return Err(AzureError::parameter(
            "properties.supportPlan",
            "is AKSLongTermSupport, which needs the tier Premium",
        ));
    }
    let channel = &properties["autoUpgradeProfile"];
    if channel["upgradeChannel"] == "node-image" && channel["nodeOSUpgradeChannel"] != "NodeImage" {
        return Err(AzureError::parameter(
            "properties.autoUpgradeProfile.nodeOSUpgradeChannel",
            "must be NodeImage with the upgrade channel node-image",
        ));
    }
    let workload = properties["securityProfile"]["workloadIdentity"]["enabled"] == true;
    if workload && properties["oidcIssuerProfile"]["enabled"] != true {
        return Err(AzureError::parameter(
            "properties.securityProfile.workloadIdentity",
            "needs an OIDC issuer",
        ));
    }
    Ok(())
}

fn identity(document: &Value) -> Result<(), AzureError> {
    let identity = &document["identity"];
    let own = identity["userAssignedIdentities"].as_object().map_or(0, serde_json::Map::len);
    match identity["type"].as_str() {
        Some("UserAssigned") if own != 1 => Err(AzureError::parameter(
            "identity.userAssignedIdentities",
            "must have exactly one identity with the type UserAssigned",
        )),
        Some("SystemAssigned") if own > 0 => Err(AzureError::parameter(
            "identity.userAssignedIdentities",
            "goes with the type UserAssigned only",
        )),
        None if document["properties"]["servicePrincipalProfile"]["clientId"] == "msi" => {
            Err(AzureError::bad(
                "InvalidParameter",
                "Provisioning of resource(s) for container service failed: neither a managed identity nor a service \
                 principal is specified.",
            ))
        }
        _ => Ok(()),
    }
}

fn network(profile: &Value) -> Result<(), AzureError> {
    let plugin = profile["networkPlugin"].as_str().unwrap_or_default();
    let wrong = |field: &str, reason: &str| {
        Err(AzureError::parameter(&format!("properties.networkProfile.{field}"), reason))
    };
    if profile["networkPluginMode"] == "overlay" && plugin != "azure" {
        return wrong("networkPluginMode", "is overlay, which needs the network plugin azure");
    }
    if profile["networkDataplane"] == "cilium" && plugin != "azure" {
        return wrong("networkDataplane", "is cilium, which needs the network plugin azure");
    }
    let policy = profile["networkPolicy"].as_str().unwrap_or_default();
    if (policy == "cilium") != (profile["networkDataplane"] == "cilium") && policy != "none" {
        return wrong("networkPolicy", "is cilium exactly with the network dataplane cilium");
    }
    if policy == "azure" && plugin != "azure" {
        return wrong("networkPolicy", "is azure, which needs the network plugin azure");
    }
    let own_pods = plugin == "kubenet" || profile["networkPluginMode"] == "overlay";
    if profile["podCidr"].is_string() && plugin == "azure" && !own_pods {
        return wrong("podCidr", "goes with kubenet or the plugin mode overlay only");
    }
    let dns = profile["dnsServiceIP"].as_str().and_then(number);
    let range = profile["serviceCidr"].as_str().and_then(|cidr| {
        let (first, bits) = cidr.split_once('/')?;
        let size = 1_u64.checked_shl(32_u32.checked_sub(bits.parse().ok()?)?)?;
        Some((number(first)?, size))
    });
    match (dns, range) {
        (Some(dns), Some((first, size))) if dns > first && dns < first + size => Ok(()),
        _ => wrong("dnsServiceIP", "must be in the service CIDR and not its first address"),
    }
}

/// An IPv4 address as a number.
fn number(address: &str) -> Option<u64> {
    address.parse::<std::net::Ipv4Addr>().ok().map(|address| u64::from(u32::from(address)))
}

fn access(properties: &Value) -> Result<(), AzureError> {
    let access = &properties["apiServerAccessProfile"];
    let private = access["enablePrivateCluster"] == true;
    let ranges = access["authorizedIPRanges"].as_array().map_or(0, Vec::len);
    if private && ranges > 0 {
        return Err(AzureError::parameter(
            "properties.apiServerAccessProfile.authorizedIPRanges",
            "cannot be set on a private cluster",
        ));
    }
    let zone = access["privateDNSZone"].as_str();
    if !private && zone.is_some() {
        return Err(AzureError::parameter(
            "properties.apiServerAccessProfile.privateDNSZone",
            "goes with a private cluster only",
        ));
    }
    let own = properties["servicePrincipalProfile"]["clientId"] == "msi";
    if zone.is_some_and(|zone| zone.starts_with('/')) && !own {
        return Err(AzureError::parameter(
            "properties.apiServerAccessProfile.privateDNSZone",
            "needs a managed identity",
        ));
    }
    Ok(())
}

fn sign_in(properties: &Value) -> Result<(), AzureError> {
    let entra = properties["aadProfile"]["managed"] == true;
    if properties["disableLocalAccounts"] == true && !entra {
        return Err(AzureError::bad(
            "BadRequest",
            "Disabling local accounts requires the cluster to be AAD enabled.",
        ));
    }
    if properties["aadProfile"]["enableAzureRBAC"] == true && !entra {
        return Err(AzureError::parameter(
            "properties.aadProfile.enableAzureRBAC",
            "needs managed AAD",
        ));
    }
    Ok(())
}

/// Whether a cluster can become another. Both are complete.
pub(super) fn cluster_change(before: &Value, after: &Value) -> Result<(), AzureError> {
    let (before, after) = (&before["properties"], &after["properties"]);
    let overlay = |document: &Value| document["networkProfile"]["networkPluginMode"] == "overlay";
    // The one change of network that AKS makes in place.
    let becomes_overlay = !overlay(before) && overlay(after);
    for path in FIXED {
        if becomes_overlay && BECOME_OVERLAY.contains(&path) {
            continue;
        }
        let (old, new) = (at(before, path), at(after, path));
        // False is as good as nothing.
        let nothing = |value: &Value| value.is_null() || value == &Value::Bool(false);
        if !(same(old, new) || nothing(old) && nothing(new)) {
            return Err(AzureError::immutable(&format!("properties.{path}")));
        }
    }
    for path in ["oidcIssuerProfile.enabled", "apiServerAccessProfile.enableVnetIntegration"] {
        if at(before, path) == true && at(after, path) != true {
            return Err(AzureError::immutable(&format!("properties.{path}")));
        }
    }
    if before["aadProfile"]["managed"] == true && after["aadProfile"]["managed"] != true {
        return Err(AzureError::immutable("properties.aadProfile.managed"));
    }
    if overlay(before) && !overlay(after) {
        return Err(AzureError::immutable("properties.networkProfile.networkPluginMode"));
    }
    let dataplane = |document: &Value| document["networkProfile"]["networkDataplane"].clone();
    if dataplane(before) == "cilium" && dataplane(after) != "cilium" {
        return Err(AzureError::immutable("properties.networkProfile.networkDataplane"));
    }
    Ok(())
}

/// Whether a control plane may go from one full version to another, with pools of these.
pub(super) fn upgrade<'a>(
    from: &str,
    to: &str,
    pools: impl Iterator<Item = (&'a str, &'a str)>,
) -> Result<(), AzureError> {
    if from == to {
        return Ok(());
    }
    let allowed = versions::upgrades(from);
    if !allowed.iter().any(|version| version == to) {
        return Err(AzureError::bad(
            "OperationNotAllowed",
            format!(
                "Upgrading Kubernetes version {from} to {to} is not allowed. Available upgrades: [{}]. Please see \
                 https://aka.ms/aks-supported-k8s-ver for version details.",
                allowed.join(" ")
            ),
        ));
    }
    for (name, version) in pools {
        skew(name, version, to)?;
    }
    Ok(())
}

/// Whether kubelets of a version can be with a control plane of another.
pub(super) fn skew(pool: &str, version: &str, control_plane: &str) -> Result<(), AzureError> {
    let (kubelet, server) = (versions::minor(version), versions::minor(control_plane));
    let too_new = kubelet > server || versions::is_later(version, control_plane);
    if !too_new && kubelet + versions::MAX_SKEW >= server {
        return Ok(());
    }
    Err(AzureError::bad(
        "NodePoolMcVersionIncompatible",
        format!(
            "Node pool {pool} version {version} and control plane version {control_plane} are incompatible. For more \
             information, please check https://aka.ms/aks/UpgradeVersionRules"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn complete(properties: Value) -> Value {
        let mut document =
            json!({ "identity": { "type": "SystemAssigned" }, "properties": properties });
        crate::azure::defaults::cluster(&mut document, ("rg", "shop", "westeurope"));
        document
    }

    fn said(result: Result<(), AzureError>) -> String {
        result.map_or_else(
            |error| format!("{}: {}", error.code, error.message),
            |()| "fine".to_owned(),
        )
    }

    #[test]
    fn combinations_that_cannot_be_are_refused_with_the_property() {
        assert_eq!(said(cluster(&complete(json!({})))), "fine");
        for (properties, path) in [
            (json!({ "networkProfile": { "networkPolicy": "cilium" } }), "networkPolicy"),
            (
                json!({ "networkProfile": { "networkPlugin": "kubenet", "networkPluginMode": "overlay" } }),
                "networkPluginMode",
            ),
            (json!({ "networkProfile": { "dnsServiceIP": "10.1.0.10" } }), "dnsServiceIP"),
            (json!({ "networkProfile": { "dnsServiceIP": "10.0.0.0" } }), "dnsServiceIP"),
            (json!({ "networkProfile": { "podCidr": "10.244.0.0/16" } }), "podCidr"),
            (json!({ "supportPlan": "AKSLongTermSupport" }), "supportPlan"),
            (json!({ "disableLocalAccounts": true }), "local accounts"),
            (
                json!({ "securityProfile": { "workloadIdentity": { "enabled": true } } }),
                "workloadIdentity",
            ),
            (
                json!({ "apiServerAccessProfile": { "enablePrivateCluster": true, "authorizedIPRanges": ["203.0.113.0/24"] } }),
                "authorizedIPRanges",
            ),
        ] {
            let said = said(cluster(&complete(properties)));
            assert!(said.contains(path), "{path}: {said}");
        }
    }

    #[test]
    fn versions_go_up_by_one_minor_with_kubelets_at_most_three_behind() {
        let go = |from, to, pool| said(upgrade(from, to, [("web", pool)].into_iter()));
        assert_eq!(go("1.33.2", "1.34.2", "1.31.1"), "fine");
        assert_eq!(go("1.33.2", "1.33.2", "1.20.1"), "fine");
        assert!(go("1.33.2", "1.35.2", "1.33.1").starts_with("OperationNotAllowed"));
        assert!(go("1.33.2", "1.32.2", "1.32.1").starts_with("OperationNotAllowed"));
        assert!(go("1.33.2", "1.34.2", "1.30.1").starts_with("NodePoolMcVersionIncompatible"));
        assert!(said(skew("web", "1.34.2", "1.33.2")).starts_with("NodePoolMcVersion"));
    }
}
