//! The words of a spec as the paths of AKS: below the managed cluster, and below `agentPools.NAME`.

use serde_json::Value;

use super::{As, Pairs, Table, below, known, of_pool, read};

/// Spec words of a cluster, without `spec.`.
const CLUSTER: Table = &[
    ("tags", "tags", As::Any),
    ("aks.tier", "sku.tier", As::Text),
    ("aks.entra.localAccounts", "properties.disableLocalAccounts", As::Flag("Disabled")),
    ("aks.entra.adminGroupIds", "properties.aadProfile.adminGroupObjectIDs", As::List),
    ("aks.entra.authorization", "properties.aadProfile.enableAzureRBAC", As::Flag("Azure")),
    (
        "aks.apiServer.authorizedCidrs",
        "properties.apiServerAccessProfile.authorizedIPRanges",
        As::List,
    ),
    (
        "aks.apiServer.runCommand",
        "properties.apiServerAccessProfile.disableRunCommand",
        As::Flag("Disabled"),
    ),
    ("aks.network.policy", "properties.networkProfile.networkPolicy", As::Small),
    ("aks.network.dataplane", "properties.networkProfile.networkDataplane", As::Small),
    ("aks.network.outbound", "properties.networkProfile.outboundType", As::Small),
    ("aks.autoUpgrade.nodeOs", "properties.autoUpgradeProfile.nodeOSUpgradeChannel", As::Text),
    ("aks.autoscaler", "properties.autoScalerProfile", As::Any),
];

/// Spec words of a node pool.
const POOL: Table = &[
    ("size.min", "minCount", As::Any),
    ("size.max", "maxCount", As::Any),
    ("size.desired", "count", As::Any),
    ("labels", "nodeLabels", As::Any),
    ("taints", "nodeTaints", As::List),
    ("tags", "tags", As::Any),
    ("role", "mode", As::Text),
    ("release", "nodeImageVersion", As::Text),
    ("aks.vmSize", "vmSize", As::Text),
    ("aks.maxSurge", "upgradeSettings.maxSurge", As::Text),
];

/// Words that Azure spells in another way.
const SUPPORT: [(&str, &str); 2] =
    [("Standard", "KubernetesOfficial"), ("LongTerm", "AKSLongTermSupport")];
const CHANNELS: [(&str, &str); 5] = [
    ("None", "none"),
    ("Patch", "patch"),
    ("Stable", "stable"),
    ("Rapid", "rapid"),
    ("NodeImage", "node-image"),
];

/// What can drift.
pub(super) fn words() -> String {
    let more = "version, aks.support, aks.autoUpgrade.kubernetes, aks.entra.workloadIdentity, aks.payloadPatch.KEY, nodePools[NAME].FIELD";
    format!("{}, {more}", known(CLUSTER))
}

pub(super) fn wire(path: &str, value: &str) -> Option<Result<Pairs, String>> {
    let one = |path: &str, value: Value| Some(Ok(vec![(path.to_owned(), value)]));
    match path {
        // What is wanted, and what runs: a stranger's upgrade that has ended.
        "version" => {
            return Some(Ok(both(
                "properties",
                ["kubernetesVersion", "currentKubernetesVersion"],
                value,
            )));
        }
        "aks.support" => {
            return Some(
                spelled(&SUPPORT, value)
                    .map(|word| vec![("properties.supportPlan".to_owned(), word)]),
            );
        }
        "aks.autoUpgrade.kubernetes" => {
            let at = "properties.autoUpgradeProfile.upgradeChannel".to_owned();
            return Some(spelled(&CHANNELS, value).map(|word| vec![(at, word)]));
        }
        "aks.entra.workloadIdentity" => {
            let on = read(value, As::Flag("Enabled"));
            return Some(Ok(vec![
                ("properties.oidcIssuerProfile.enabled".to_owned(), on.clone()),
                ("properties.securityProfile.workloadIdentity.enabled".to_owned(), on),
            ]));
        }
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("aks.payloadPatch.") {
        return one(rest, read(value, As::Any));
    }
    if let Some((pool, field)) = of_pool(path) {
        let at = format!("agentPools.{pool}");
        return match field {
            "" => one(&at, read(value, As::Any)),
            "version" => {
                let words = ["orchestratorVersion", "currentOrchestratorVersion"];
                Some(Ok(both(&format!("{at}.properties"), words, value)))
            }
            field => {
                let (path, how) = below(POOL, field)?;
                one(&format!("{at}.properties.{path}"), read(value, how))
            }
        };
    }
    let (path, how) = below(CLUSTER, path)?;
    one(&path, read(value, how))
}

fn both(at: &str, words: [&str; 2], value: &str) -> Pairs {
    words.map(|word| (format!("{at}.{word}"), Value::from(value))).into()
}

fn spelled(table: &[(&str, &str)], value: &str) -> Result<Value, String> {
    let found = table.iter().find(|(word, _)| *word == value);
    let known: Vec<&str> = table.iter().map(|(word, _)| *word).collect();
    found
        .map(|(_, spelled)| Value::from(*spelled))
        .ok_or_else(|| format!("{value:?} is none of {}", known.join(", ")))
}
