//! What the absence of a field means: from a table for closed lists, else from the CRD's own words.

use serde_json::Value;

/// What absence means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This value, or that of the field beside it that bears this name.
    Value(String),
    /// Something that is no value.
    Words(String),
}

/// What absence means, as constants.
#[derive(Debug, Clone, Copy)]
enum Means {
    Value(&'static str),
    Words(&'static str),
}

const AS_IT_IS: Means = Means::Words("whatever is set there");

/// What an absent word of a closed list means: there the CRD describes the list instead of the field. Besides, what means
/// something only beside another field.
const TABLE: &[(&str, Means)] = &[
    ("spec.adoption", Means::Value("Never")),
    ("spec.aks.apiServer.privateDnsZone", Means::Words("System, with access Private")),
    ("spec.aks.apiServer.runCommand", AS_IT_IS),
    ("spec.aks.autoUpgrade.kubernetes", AS_IT_IS),
    ("spec.aks.autoUpgrade.nodeOs", AS_IT_IS),
    ("spec.aks.entra.authorization", Means::Value("Kubernetes")),
    ("spec.aks.entra.localAccounts", AS_IT_IS),
    ("spec.aks.entra.workloadIdentity", AS_IT_IS),
    ("spec.aks.network.dataplane", Means::Value("Azure")),
    ("spec.aks.network.outbound", Means::Value("LoadBalancer")),
    ("spec.aks.network.plugin", Means::Value("Azure")),
    ("spec.aks.network.pluginMode", Means::Words("pods share the subnet's addresses")),
    ("spec.aks.network.policy", Means::Value("None")),
    ("spec.aks.support", Means::Value("Standard")),
    ("spec.aks.tier", Means::Value("Free")),
    ("spec.deletionPolicy", Means::Value("Retain")),
    ("spec.eks.access.entries[].policies[].scope", Means::Value("Cluster")),
    ("spec.eks.access.mode", Means::Value("Api")),
    ("spec.eks.managedAddOns[].onConflict", Means::Value("None")),
    ("spec.eks.support", Means::Value("Extended")),
    ("spec.k3s.agents[].presence", Means::Value("Always")),
    ("spec.k3s.hardening.auditLog", Means::Words("Enabled with profile Cis, else Disabled")),
    ("spec.k3s.hardening.profile", Means::Words("none beyond K3s's own")),
    ("spec.k3s.hardening.secretsEncryption", Means::Value("Disabled")),
    ("spec.k3s.servers[].presence", Means::Value("Always")),
    ("spec.k3s.update.onDrainTimeout", Means::Value("Wait")),
    ("spec.mode", Means::Value("Manage")),
    ("spec.nodePools[].aks.diskType", Means::Words("AKS chooses")),
    ("spec.nodePools[].aks.encryptionAtHost", Means::Value("Disabled")),
    ("spec.nodePools[].aks.evictionPolicy", Means::Words("Delete, with capacity Spot")),
    ("spec.nodePools[].aks.fips", Means::Value("Disabled")),
    ("spec.nodePools[].aks.os", Means::Value("Linux")),
    ("spec.nodePools[].aks.spotMaxPrice", Means::Words("the price on demand, with capacity Spot")),
    ("spec.nodePools[].capacity", Means::Value("OnDemand")),
    ("spec.nodePools[].imageUpdates", Means::Value("Never")),
    ("spec.nodePools[].role", Means::Value("User")),
    ("spec.nodePools[].update.onDrainTimeout", Means::Value("Wait")),
];

/// What the table says of a path.
pub(super) fn meant(path: &str) -> Option<Meaning> {
    let pattern = pattern_of(path);
    let (_, means) = TABLE.iter().find(|(known, _)| *known == pattern)?;
    Some(match means {
        Means::Value(word) => Meaning::Value((*word).to_owned()),
        Means::Words(words) => Meaning::Words((*words).to_owned()),
    })
}

/// `spec.nodePools[general].size` as `spec.nodePools[].size`.
pub(super) fn pattern_of(path: &str) -> String {
    let mut pattern = String::new();
    for (index, part) in path.split('[').enumerate() {
        if index == 0 {
            pattern.push_str(part);
        } else {
            pattern.push_str("[]");
            pattern.push_str(part.split_once(']').map_or("", |(_, rest)| rest));
        }
    }
    pattern
}

/// Reads "Absent: `Manage`." or "Absent: whatever is set there." out of a description.
pub(super) fn meaning(schema: &Value) -> Option<Meaning> {
    let text = schema.get("description")?.as_str()?;
    let (_, rest) = text.split_once("Absent: ")?;
    let sentence = rest.split(". ").next().unwrap_or(rest).trim().trim_end_matches('.');
    let sentence = sentence.replace('\n', " ");
    let word = sentence.strip_prefix('`').and_then(|rest| rest.strip_suffix('`'));
    match word.filter(|word| !word.contains('`')) {
        Some(word) => Some(Meaning::Value(word.to_owned())),
        None => Some(Meaning::Words(sentence.replace('`', ""))),
    }
}
