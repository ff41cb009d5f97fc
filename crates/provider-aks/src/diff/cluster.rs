//! The control plane: which of its differences are made right together, and which AKS never changes.

use std::collections::BTreeMap;

use fleetwright_api_types::Governed;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, Difference, KubernetesVersion, Resource, SeenCluster,
    Update, Upgrade,
};
use serde_json::{Value, json};

use super::compare::{Leaf, leaves, plain_location};
use super::words::word;
use super::{CLUSTER, CLUSTER_TAGS, InPlace, merge_of, repair, tags};
use crate::config::{BIRTH, field};

/// How AKS takes a change of a wire path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// One `PUT`, under this kind of change.
    Put(&'static str),
    /// Not at all.
    Never(&'static str),
}

const ACCESS: &str = "access";
const API_SERVER: &str = "api-server";
const IDENTITY: &str = "identity";
const NETWORK: &str = "network";
const OUTBOUND: &str = "outbound";
const TIER: &str = "tier";
const VNET_INTEGRATION: &str = "vnet-integration";
const WORKLOAD_IDENTITY: &str = "workload-identity";
/// Kinds whose changes make every node anew.
const ROLLING: [&str; 3] = [NETWORK, VNET_INTEGRATION, "patch:httpProxyConfig"];

/// By prefix, the first that fits; what fits none came by a patch (AKS API reference, `ManagedClusters_CreateOrUpdate`; "Egress outbound type" and
/// "Update Azure CNI IPAM mode and data plane" for what a living cluster takes).
const WAYS: [(&str, Way); 29] = [
    ("location", Way::Never("Azure moves no cluster to another region")),
    ("sku", Way::Put(TIER)),
    ("properties.supportPlan", Way::Put(TIER)),
    ("properties.identityProfile", Way::Never("AKS keeps the identity of the kubelets for good")),
    ("properties.dnsPrefix", Way::Never("AKS keeps the DNS name of a cluster for good")),
    ("properties.fqdnSubdomain", Way::Never("AKS keeps the DNS name of a cluster for good")),
    ("properties.nodeResourceGroup", Way::Never("AKS keeps the resource group of nodes for good")),
    ("properties.enableRBAC", Way::Never("AKS takes it at birth only")),
    ("properties.diskEncryptionSetID", Way::Never("AKS keeps the encryption of disks for good")),
    ("properties.aadProfile", Way::Put(ACCESS)),
    ("properties.disableLocalAccounts", Way::Put(ACCESS)),
    ("properties.oidcIssuerProfile", Way::Put(WORKLOAD_IDENTITY)),
    ("properties.securityProfile.workloadIdentity", Way::Put(WORKLOAD_IDENTITY)),
    (
        "properties.apiServerAccessProfile.enablePrivateCluster",
        Way::Never("AKS cannot change it on a living cluster"),
    ),
    (
        "properties.apiServerAccessProfile.privateDNSZone",
        Way::Never("AKS keeps the private DNS zone for good"),
    ),
    ("properties.apiServerAccessProfile.enableVnetIntegration", Way::Put(VNET_INTEGRATION)),
    ("properties.apiServerAccessProfile.subnetId", Way::Put(VNET_INTEGRATION)),
    ("properties.apiServerAccessProfile", Way::Put(API_SERVER)),
    (
        "properties.networkProfile.serviceCidr",
        Way::Never("AKS keeps the range of Services for good"),
    ),
    (
        "properties.networkProfile.dnsServiceIP",
        Way::Never("AKS keeps the address of the DNS for good"),
    ),
    ("properties.networkProfile.outboundType", Way::Put(OUTBOUND)),
    ("properties.networkProfile.networkPlugin", Way::Put(NETWORK)),
    ("properties.networkProfile.networkPluginMode", Way::Put(NETWORK)),
    ("properties.networkProfile.networkDataplane", Way::Put(NETWORK)),
    ("properties.networkProfile.networkPolicy", Way::Put(NETWORK)),
    ("properties.networkProfile.podCidr", Way::Put(NETWORK)),
    ("properties.autoUpgradeProfile", Way::Put("auto-upgrade")),
    ("properties.autoScalerProfile", Way::Put("autoscaler")),
    ("properties.addonProfiles", Way::Put("add-ons")),
];

/// AKS never tells these, so they cannot differ; by their profile.
const UNTOLD: [(&str, &str); 3] = [
    ("windowsProfile", "adminPassword"),
    ("servicePrincipalProfile", "secret"),
    ("aadProfile", "serverAppSecret"),
];

/// Every difference of a control plane of ours.
pub(super) fn changes(desired: &DesiredCluster, seen: &SeenCluster) -> Vec<Change> {
    let mut found = Found { seen, changes: Vec::new() };
    let (declared, there) = normal(&desired.body, &seen.body);
    let mut kinds: BTreeMap<String, Vec<Leaf>> = BTreeMap::new();
    for leaf in leaves(&declared, &there) {
        match judged(&leaf, &declared, &there) {
            Way::Put(what) => {
                let what = if what.is_empty() { patched(&leaf.path) } else { what.to_owned() };
                kinds.entry(what).or_default().push(leaf);
            }
            Way::Never(why) => found.refuse(&leaf, why),
        }
    }
    found.identity(&desired.body);
    for (what, leaves) in kinds {
        found.put(&what, &leaves);
    }
    found.tags(&desired.body["tags"]);
    found.version(desired);
    if !found.changes.iter().any(|change| matches!(change.kind, ChangeKind::Update(_))) {
        let repair = repair(&seen.body, ("spec".to_owned(), CLUSTER), true);
        found.changes.extend(repair.map(|update| Change {
            resource: Resource::Cluster,
            kind: ChangeKind::Update(update),
        }));
    }
    found.changes
}

/// What came by the patch alone, by its top key.
fn patched(path: &str) -> String {
    let path = path.strip_prefix("properties.").unwrap_or(path);
    format!("patch:{}", path.split('.').next().unwrap_or_default())
}

/// Both sides without what is looked at elsewhere, and in one form.
fn normal(declared: &Value, seen: &Value) -> (Value, Value) {
    let (mut declared, mut seen) = (declared.clone(), seen.clone());
    for side in [&mut declared, &mut seen] {
        if let Some(location) = side["location"].as_str() {
            side["location"] = json!(plain_location(location));
        }
    }
    if let Value::Object(map) = &mut declared {
        map.remove("tags");
        map.remove("identity");
    }
    if let Value::Object(properties) = &mut declared["properties"] {
        properties.remove("kubernetesVersion");
        properties.remove("agentPoolProfiles");
        for (profile, key) in UNTOLD {
            let profile = properties.get_mut(profile).and_then(Value::as_object_mut);
            profile.and_then(|profile| profile.remove(key));
        }
    }
    // Of two families AKS tells the ranges in lists.
    for (one, list) in [("podCidr", "podCidrs"), ("serviceCidr", "serviceCidrs")] {
        let first = seen["properties"]["networkProfile"][list][0].clone();
        if first.is_string() && seen["properties"]["networkProfile"][one].is_null() {
            seen["properties"]["networkProfile"][one] = first;
        }
    }
    (declared, seen)
}

/// The way of a path, and of a step that goes in one direction only.
fn judged(leaf: &Leaf, declared: &Value, seen: &Value) -> Way {
    let path = leaf.path.as_str();
    let fits = |prefix: &str| path == prefix || path.starts_with(&format!("{prefix}."));
    let way = WAYS.iter().find(|(prefix, _)| fits(prefix)).map_or(Way::Put(""), |(_, way)| *way);
    let network = &declared["properties"]["networkProfile"];
    let there = &seen["properties"]["networkProfile"];
    let is = |value: &Value, word: &str| {
        value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(word))
    };
    let to_overlay =
        is(&network["networkPluginMode"], "overlay") && !is(&there["networkPluginMode"], "overlay");
    match path.strip_prefix("properties.networkProfile.") {
        Some("networkPlugin") if !(to_overlay && is(&there["networkPlugin"], "kubenet")) => {
            Way::Never(
                "AKS keeps the plugin for good, but for Kubenet that becomes Azure with Overlay",
            )
        }
        Some("podCidr") if !to_overlay => Way::Never("AKS keeps the range of pods for good"),
        Some("networkDataplane") if is(&leaf.found, "cilium") => {
            Way::Never("AKS knows no way back from dataplane Cilium")
        }
        _ if path == "properties.apiServerAccessProfile.subnetId"
            && seen["properties"]["apiServerAccessProfile"]["enableVnetIntegration"] == true =>
        {
            Way::Never("AKS keeps the subnet of an API server for good")
        }
        _ if path == "properties.oidcIssuerProfile.enabled" && leaf.declared == false => {
            Way::Never("AKS never takes an issuer away again")
        }
        _ => way,
    }
}

struct Found<'a> {
    seen: &'a SeenCluster,
    changes: Vec<Change>,
}

impl Found<'_> {
    fn push(&mut self, kind: ChangeKind) {
        self.changes.push(Change { resource: Resource::Cluster, kind });
    }

    fn refuse(&mut self, leaf: &Leaf, why: &str) {
        let Difference { field, declared, found } = difference(leaf);
        self.push(ChangeKind::Refused { field, declared, found, why: why.to_owned() });
    }

    /// One `PUT` with all that belongs to one kind.
    fn put(&mut self, what: &str, leaves: &[Leaf]) {
        let mut change = merge_of(leaves);
        let there = &self.seen.body["properties"]["networkProfile"];
        if what == OUTBOUND {
            // AKS refuses the settings of a way out that is no longer taken.
            let to = leaves.iter().find(|leaf| leaf.path.ends_with("outboundType"));
            let to = to.and_then(|leaf| leaf.declared.as_str()).unwrap_or_default();
            for (profile, of) in [
                ("loadBalancerProfile", "loadBalancer"),
                ("natGatewayProfile", "managedNATGateway"),
            ] {
                if to != of && there[profile].is_object() {
                    change["properties"]["networkProfile"][profile] = Value::Null;
                }
            }
        }
        let pods = change["properties"]["networkProfile"]["podCidr"].clone();
        if pods.is_string() && there["podCidrs"].is_array() {
            change["properties"]["networkProfile"]["podCidrs"] = json!([pods]);
        }
        let made = InPlace {
            what: what.to_owned(),
            operation: CLUSTER,
            merge: change,
            differences: differences(leaves),
        };
        if let Some(mut update) = made.update() {
            update.governed = ROLLING.contains(&what).then_some(Governed::Roll);
            self.push(ChangeKind::Update(update));
        }
    }

    /// Azure's identities are keys with nothing below that could differ.
    fn identity(&mut self, declared: &Value) {
        let at_birth = declared[BIRTH].as_array();
        if at_birth.is_some_and(|birth| birth.iter().any(|path| path == "identity")) {
            return;
        }
        let (wanted, there) = (&declared["identity"], &self.seen.body["identity"]);
        let ids = |identity: &Value| -> Vec<String> {
            let ids = identity["userAssignedIdentities"].as_object();
            ids.into_iter().flatten().map(|(id, _)| id.clone()).collect()
        };
        let (wanted_ids, there_ids) = (ids(wanted), ids(there));
        let has = |list: &[String], id: &str| list.iter().any(|one| one.eq_ignore_ascii_case(id));
        let kind = |identity: &Value| super::compare::show(&identity["type"]);
        let mut differences = Vec::new();
        if !kind(wanted).eq_ignore_ascii_case(&kind(there)) {
            differences.push(Difference {
                field: "spec.aks.identity.type".into(),
                declared: kind(wanted),
                found: kind(there),
            });
        }
        let same = wanted_ids.iter().all(|id| has(&there_ids, id));
        if !same {
            differences.push(Difference {
                field: "spec.aks.identity.resourceId".into(),
                declared: wanted_ids.join(", "),
                found: if there_ids.is_empty() { "none".into() } else { there_ids.join(", ") },
            });
        }
        let mut change = json!({"identity": {"type": wanted["type"]}});
        if wanted_ids.is_empty() {
            change["identity"]["userAssignedIdentities"] = Value::Null;
        } else {
            for id in there_ids.iter().filter(|id| !has(&wanted_ids, id)) {
                change["identity"]["userAssignedIdentities"][id.as_str()] = Value::Null;
            }
            for id in wanted_ids.iter().filter(|id| !has(&there_ids, id)) {
                change["identity"]["userAssignedIdentities"][id.as_str()] = json!({});
            }
        }
        let (what, operation) = (IDENTITY.to_owned(), CLUSTER);
        let made = InPlace { what, operation, merge: change, differences };
        self.changes.extend(made.change(&Resource::Cluster));
    }

    fn tags(&mut self, declared: &Value) {
        let found = tags(declared, &self.seen.tags);
        let made = InPlace {
            what: "tags".into(),
            operation: CLUSTER_TAGS,
            merge: json!({"tags": found.wanted}),
            differences: found.differences,
        };
        self.changes.extend(made.change(&Resource::Cluster));
    }

    /// One minor at a time. A cloud that is ahead is no difference: AKS upgrades by itself at the end of support.
    fn version(&mut self, desired: &DesiredCluster) {
        let (target, seen) = (desired.version, &self.seen.version);
        let difference = Difference {
            field: "spec.version".to_owned(),
            declared: target.to_string(),
            found: seen.clone(),
        };
        let Ok(from) = KubernetesVersion::parse("", seen) else {
            let Difference { field, declared, found } = difference;
            let why = "what runs cannot be read as a version".to_owned();
            return self.push(ChangeKind::Refused { field, declared, found, why });
        };
        let Some(to) = from.next_towards(target) else { return };
        let change = json!({"properties": {"kubernetesVersion": to.to_string()}});
        self.push(ChangeKind::Update(Update {
            what: "version".to_owned(),
            differences: vec![difference],
            body: json!({"operation": CLUSTER, "merge": change}),
            governed: Some(Governed::Upgrade),
            upgrade: Some(Upgrade { from, to, target }),
        }));
    }
}

fn difference(leaf: &Leaf) -> Difference {
    Difference {
        field: field::cluster(&leaf.path),
        declared: word(&leaf.path, &leaf.declared),
        found: word(&leaf.path, &leaf.found),
    }
}

/// Two wire paths that are one field of the object are told once.
fn differences(leaves: &[Leaf]) -> Vec<Difference> {
    let mut told: Vec<Difference> = Vec::new();
    for leaf in leaves {
        let one = difference(leaf);
        if !told.iter().any(|other| other.field == one.field) {
            told.push(one);
        }
    }
    told
}
