//! What AKS fills in, and how it writes what it is told.

use serde_json::{Value, json};

use super::shape::fill;
use super::versions;
use crate::AZURE_TENANT_ID;

/// The labels and taints that AKS puts on spot machines.
const SPOT: (&str, &str) = ("kubernetes.azure.com/scalesetpriority", "spot");

/// A location as AKS writes it: `West Europe` is `westeurope`.
pub(super) fn location(said: &str) -> String {
    said.chars().filter(|c| !c.is_whitespace()).flat_map(char::to_lowercase).collect()
}

/// Completes the body of a cluster, which is checked, in place.
pub(super) fn cluster(document: &mut Value, (group, name, location): (&str, &str, &str)) {
    fill(document, json!({ "sku": { "name": "Base", "tier": "Free" }, "kind": "Base" }));
    let properties = &mut document["properties"];
    let node_group: String = format!("MC_{group}_{name}_{location}").chars().take(80).collect();
    fill(
        properties,
        json!({
            "kubernetesVersion": versions::DEFAULT,
            "enableRBAC": true,
            "supportPlan": "KubernetesOfficial",
            "nodeResourceGroup": node_group,
            "disableLocalAccounts": false,
            "publicNetworkAccess": "Enabled",
            "autoUpgradeProfile": { "nodeOSUpgradeChannel": "NodeImage" },
            "securityProfile": {},
            "storageProfile": {
                "diskCSIDriver": { "enabled": true },
                "fileCSIDriver": { "enabled": true },
                "snapshotController": { "enabled": true },
            },
            "oidcIssuerProfile": { "enabled": false },
            "workloadAutoScalerProfile": {},
            "metricsProfile": { "costAnalysis": { "enabled": false } },
            "nodeProvisioningProfile": { "mode": "Manual", "defaultNodePools": "Auto" },
            "bootstrapProfile": { "artifactSource": "Direct" },
            "windowsProfile": { "adminUsername": "azureuser", "enableCSIProxy": true },
            "servicePrincipalProfile": { "clientId": "msi" },
        }),
    );
    network(properties);
    if properties["aadProfile"].is_object() {
        fill(
            &mut properties["aadProfile"],
            json!({ "managed": true, "enableAzureRBAC": false, "tenantID": AZURE_TENANT_ID }),
        );
    }
    if properties["autoScalerProfile"].is_object() {
        fill(&mut properties["autoScalerProfile"], autoscaler());
    }
    access(properties);
}

fn network(properties: &mut Value) {
    fill(properties, json!({ "networkProfile": { "networkPlugin": "azure" } }));
    let profile = &mut properties["networkProfile"];
    let own_pods =
        profile["networkPluginMode"] == "overlay" || profile["networkPlugin"] == "kubenet";
    let cilium = profile["networkDataplane"] == "cilium";
    fill(
        profile,
        json!({
            "networkPolicy": if cilium { "cilium" } else { "none" },
            "networkDataplane": "azure",
            "loadBalancerSku": "standard",
            "serviceCidr": "10.0.0.0/16",
            "dnsServiceIP": "10.0.0.10",
            "outboundType": "loadBalancer",
            "ipFamilies": ["IPv4"],
        }),
    );
    if own_pods {
        fill(profile, json!({ "podCidr": "10.244.0.0/16" }));
    }
    if profile["outboundType"] == "loadBalancer" {
        let balancer = json!({
            "managedOutboundIPs": { "count": 1 }, "backendPoolType": "NodeIPConfiguration",
        });
        fill(profile, json!({ "loadBalancerProfile": balancer }));
    }
    for (one, all) in [("podCidr", "podCidrs"), ("serviceCidr", "serviceCidrs")] {
        if let Some(cidr) = profile[one].as_str() {
            profile[all] = json!([cidr]);
        }
    }
}

fn access(properties: &mut Value) {
    let Some(profile) = properties["apiServerAccessProfile"].as_object_mut() else {
        return;
    };
    if let Some(ranges) = profile.get_mut("authorizedIPRanges").and_then(Value::as_array_mut) {
        for range in ranges {
            if let Some(address) = range.as_str().filter(|range| !range.contains('/')) {
                *range = json!(format!("{address}/32"));
            }
        }
    }
    if profile.get("enablePrivateCluster") == Some(&json!(true)) {
        let zone = profile.entry("privateDNSZone").or_insert_with(|| json!("system"));
        if let Some(word) = zone.as_str().filter(|zone| !zone.starts_with('/')) {
            *zone = json!(word.to_lowercase());
        }
        profile.entry("enablePrivateClusterPublicFQDN").or_insert_with(|| json!(true));
    }
}

/// What `autoScalerProfile` has for keys that nobody sets.
fn autoscaler() -> Value {
    json!({
        "balance-similar-node-groups": "false", "daemonset-eviction-for-empty-nodes": false,
        "daemonset-eviction-for-occupied-nodes": true, "expander": "random",
        "ignore-daemonsets-utilization": false, "max-empty-bulk-delete": "10",
        "max-graceful-termination-sec": "600", "max-node-provision-time": "15m",
        "max-total-unready-percentage": "45", "new-pod-scale-up-delay": "0s",
        "ok-total-unready-count": "3", "scale-down-delay-after-add": "10m",
        "scale-down-delay-after-delete": "10s", "scale-down-delay-after-failure": "3m",
        "scale-down-unneeded-time": "10m", "scale-down-unready-time": "20m",
        "scale-down-utilization-threshold": "0.5", "scan-interval": "10s",
        "skip-nodes-with-local-storage": "false", "skip-nodes-with-system-pods": "true",
    })
}

/// Completes the properties of a pool, which are checked, in place. `cluster` is the cluster's document.
pub(super) fn pool(properties: &mut Value, cluster: &Value, version: &str) {
    let network = &cluster["properties"]["networkProfile"];
    let pods = match (network["networkPlugin"].as_str(), network["networkPluginMode"].as_str()) {
        (_, Some("overlay")) => 250,
        (Some("azure"), _) => 30,
        _ => 110,
    };
    let windows = properties["osType"] == "Windows";
    fill(
        properties,
        json!({
            "type": "VirtualMachineScaleSets",
            "mode": "User",
            "count": 1,
            "osType": "Linux",
            "osSKU": if windows { "Windows2022" } else { "Ubuntu" },
            "osDiskType": "Managed",
            "osDiskSizeGB": 128,
            "kubeletDiskType": "OS",
            "maxPods": pods,
            "enableAutoScaling": false,
            "scaleDownMode": "Delete",
            "powerState": { "code": "Running" },
            "orchestratorVersion": version,
            "enableNodePublicIP": false,
            "enableEncryptionAtHost": false,
            "enableUltraSSD": false,
            "enableFIPS": false,
            "securityProfile": { "enableVTPM": false, "enableSecureBoot": false },
            "networkProfile": {},
        }),
    );
    if properties["osSKU"] == "CBLMariner" {
        properties["osSKU"] = json!("AzureLinux");
    }
    if properties["scaleSetPriority"] == "Spot" {
        spot(properties);
    } else if properties["upgradeSettings"]["maxUnavailable"].as_str().is_none_or(|n| n == "0") {
        let pace = json!({ "maxSurge": "10%", "maxUnavailable": "0" });
        fill(properties, json!({ "upgradeSettings": pace }));
    }
    if properties["enableAutoScaling"] == false
        && let Some(fields) = properties.as_object_mut()
    {
        fields.remove("minCount");
        fields.remove("maxCount");
    }
    // Tags of AKS's own belong to no goal.
    if let Some(tags) = properties["tags"].as_object_mut() {
        tags.retain(|name, _| !name.to_lowercase().starts_with("aks-managed-"));
    }
}

fn spot(properties: &mut Value) {
    fill(properties, json!({ "scaleSetEvictionPolicy": "Delete", "spotMaxPrice": -1.0 }));
    let (label, value) = SPOT;
    fill(properties, json!({ "nodeLabels": {}, "nodeTaints": [] }));
    properties["nodeLabels"][label] = json!(value);
    let taint = json!(format!("{label}={value}:NoSchedule"));
    if let Some(taints) = properties["nodeTaints"].as_array_mut()
        && !taints.contains(&taint)
    {
        taints.push(taint);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_completed_and_written_in_azures_own_way() {
        let mut document = json!({ "properties": {
            "apiServerAccessProfile": { "authorizedIPRanges": ["198.51.100.1", "203.0.113.0/24"] },
            "networkProfile": { "networkPlugin": "azure", "networkPluginMode": "overlay" },
        } });
        cluster(&mut document, ("rg", "shop", "westeurope"));
        let properties = &document["properties"];
        assert_eq!(properties["nodeResourceGroup"], "MC_rg_shop_westeurope");
        let ranges = &properties["apiServerAccessProfile"]["authorizedIPRanges"];
        assert_eq!(ranges, &json!(["198.51.100.1/32", "203.0.113.0/24"]));
        assert_eq!(properties["networkProfile"]["podCidrs"], json!(["10.244.0.0/16"]));
        assert_eq!(location("West Europe"), "westeurope");
    }

    #[test]
    fn spot_pools_get_a_label_and_a_taint_once() {
        let mut properties = json!({ "scaleSetPriority": "Spot" });
        for _ in 0..2 {
            pool(&mut properties, &json!({}), "1.34");
        }
        assert_eq!(properties["spotMaxPrice"], -1.0);
        let taints = &properties["nodeTaints"];
        assert_eq!(taints, &json!(["kubernetes.azure.com/scalesetpriority=spot:NoSchedule"]));
        assert_eq!(
            properties["nodeLabels"],
            json!({ "kubernetes.azure.com/scalesetpriority": "spot" })
        );
    }
}
