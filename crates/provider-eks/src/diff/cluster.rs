//! The control plane: which of its differences are made right by which call.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::Governed;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, Difference, KubernetesVersion, Resource, SeenCluster,
    Update, Upgrade,
};
use serde_json::{Map, Value, json};

use super::compare::{Leaf, leaves, show};
use super::{InPlace, tags};
use crate::config::{ADOPTED, field};

/// How EKS takes a change of a wire path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// `UpdateClusterConfig`, under this kind of change.
    Config(&'static str),
    /// `UpdateClusterConfig` with the whole top-level key.
    Patch,
    /// Not at all.
    Never(&'static str),
}

const ENDPOINT: &str = "endpoint";
const NETWORK: &str = "network";
const ACCESS: &str = "access";
const AUTO_MODE: &str = "auto-mode";

/// By the longest prefix, the first that fits (EKS API reference, `UpdateClusterConfig`; `CreateCluster` for the rest).
const WAYS: [(&str, Way); 26] = [
    ("roleArn", Way::Never("EKS keeps the role of a control plane for good")),
    ("resourcesVpcConfig.endpointPublicAccess", Way::Config(ENDPOINT)),
    ("resourcesVpcConfig.endpointPrivateAccess", Way::Config(ENDPOINT)),
    ("resourcesVpcConfig.publicAccessCidrs", Way::Config(ENDPOINT)),
    ("resourcesVpcConfig.subnetIds", Way::Config(NETWORK)),
    ("resourcesVpcConfig.securityGroupIds", Way::Config(NETWORK)),
    ("resourcesVpcConfig", Way::Patch),
    (
        "kubernetesNetworkConfig.serviceIpv4Cidr",
        Way::Never("EKS keeps the range of Services for good"),
    ),
    ("kubernetesNetworkConfig.ipFamily", Way::Never("EKS keeps the family of addresses for good")),
    ("kubernetesNetworkConfig.elasticLoadBalancing", Way::Config(AUTO_MODE)),
    ("kubernetesNetworkConfig", Way::Patch),
    ("computeConfig", Way::Config(AUTO_MODE)),
    ("storageConfig", Way::Config(AUTO_MODE)),
    ("accessConfig.authenticationMode", Way::Config(ACCESS)),
    ("accessConfig", Way::Never("EKS takes it at birth only")),
    ("upgradePolicy", Way::Config("support")),
    ("logging", Way::Config("logging")),
    ("encryptionConfig", Way::Config("encryption")),
    ("zonalShiftConfig", Way::Patch),
    ("deletionProtection", Way::Patch),
    ("controlPlaneScalingConfig", Way::Patch),
    ("remoteNetworkConfig", Way::Patch),
    ("kubeApiServerConfig", Way::Patch),
    ("kubeSchedulerConfig", Way::Patch),
    ("kubeControllerManagerConfig", Way::Patch),
    ("", Way::Never("EKS takes it at birth only")),
];

/// Towards access entries, and only so.
const MODES: [&str; 3] = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];

/// EKS never tells these, so they cannot differ.
const UNTOLD: [&str; 2] = ["bootstrapSelfManagedAddons", "clientRequestToken"];

/// Every difference of a control plane of ours.
pub(super) fn changes(desired: &DesiredCluster, seen: &SeenCluster) -> Vec<Change> {
    let mut found = Found { name: &desired.address.external_name, changes: Vec::new() };
    let mut kinds: BTreeMap<String, Vec<Leaf>> = BTreeMap::new();
    for leaf in compared(&desired.body, &seen.body) {
        match way(&leaf.path) {
            // Without Auto Mode its other two halves are plain fields of a patch.
            Way::Config(AUTO_MODE)
                if desired.body["computeConfig"].is_null()
                    && !leaf.path.starts_with("computeConfig") =>
            {
                let top = leaf.path.split('.').next().unwrap_or_default();
                kinds.entry(format!("patch:{top}")).or_default().push(leaf);
            }
            Way::Config(what) => kinds.entry(what.to_owned()).or_default().push(leaf),
            Way::Patch => {
                let top = leaf.path.split('.').next().unwrap_or_default();
                kinds.entry(format!("patch:{top}")).or_default().push(leaf);
            }
            Way::Never(why) => found.refuse(&leaf, why),
        }
    }
    for (what, leaves) in kinds {
        match what.as_str() {
            ACCESS => found.access(&leaves),
            "encryption" => found.encryption(&desired.body, &leaves),
            _ => found.config(&what, (desired, seen), &leaves),
        }
    }
    let arn = json!(seen.external_id);
    found.changes.extend(tags(&Resource::Cluster, (&desired.body["tags"], &seen.tags), &arn));
    found.version(desired, &seen.version);
    found.changes
}

fn way(path: &str) -> Way {
    let fits = |prefix: &str| {
        prefix.is_empty() || path == prefix || path.starts_with(&format!("{prefix}."))
    };
    WAYS.iter().find(|(prefix, _)| fits(prefix)).map_or(Way::Patch, |(_, way)| *way)
}

/// The differing leaves, where EKS's own forms of the same thing are one.
fn compared(declared: &Value, seen: &Value) -> Vec<Leaf> {
    let (declared, seen) = (normal(declared), normal(seen));
    let mut found = leaves(&declared, &seen);
    // Absent means off: Auto Mode is on where the block is, and nowhere else. Of a cluster that others made it means
    // whatever is set: switching it off would take all nodes of a cluster that was only to be adopted.
    let decided = declared[ADOPTED] != true;
    if decided && declared["computeConfig"].is_null() && seen["computeConfig"]["enabled"] == true {
        let path = "computeConfig.enabled".to_owned();
        found.push(Leaf { path, declared: json!(false), found: json!(true) });
    }
    found
}

fn normal(cluster: &Value) -> Value {
    let mut cluster = cluster.clone();
    if let Value::Object(map) = &mut cluster {
        for key in ["name", "version", "tags"].iter().chain(&UNTOLD) {
            map.remove(*key);
        }
        if let Some(logging) = map.get_mut("logging") {
            *logging = logs(logging);
        }
        if let Some(encryption) = map.get_mut("encryptionConfig") {
            let key = encryption.pointer("/0/provider/keyArn").cloned();
            *encryption = key.unwrap_or(Value::Null);
        }
    }
    cluster
}

/// The logs that are on, sorted. All five are declared together, since a list says which of all are wanted.
fn logs(logging: &Value) -> Value {
    let setups = logging["clusterLogging"].as_array().into_iter().flatten();
    let on = setups.filter(|setup| setup["enabled"] == true);
    let types: BTreeSet<&str> = on
        .flat_map(|setup| setup["types"].as_array().into_iter().flatten())
        .filter_map(Value::as_str)
        .collect();
    json!(types)
}

struct Found<'a> {
    name: &'a str,
    changes: Vec<Change>,
}

impl Found<'_> {
    fn push(&mut self, kind: ChangeKind) {
        self.changes.push(Change { resource: Resource::Cluster, kind });
    }

    fn refuse(&mut self, leaf: &Leaf, why: &str) {
        self.push(ChangeKind::Refused {
            field: field::cluster(&leaf.path),
            declared: show(&leaf.declared),
            found: show(&leaf.found),
            why: why.to_owned(),
        });
    }

    /// One kind of `UpdateClusterConfig`, with all that belongs to it.
    fn config(
        &mut self,
        what: &str,
        (desired, seen): (&DesiredCluster, &SeenCluster),
        leaves: &[Leaf],
    ) {
        let mut input = json!({"name": self.name});
        let body = fleetwright_provider::wire_request(&desired.body);
        match what {
            ENDPOINT => {
                let keys = ["endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"];
                input["resourcesVpcConfig"] = some(&body["resourcesVpcConfig"], &keys);
            }
            NETWORK => {
                let keys = ["subnetIds", "securityGroupIds"];
                // EKS takes the two lists as one: what nobody declared is said again as it is.
                let mut both = some(&seen.body["resourcesVpcConfig"], &keys);
                for key in keys {
                    if !body["resourcesVpcConfig"][key].is_null() {
                        both[key].clone_from(&body["resourcesVpcConfig"][key]);
                    }
                }
                input["resourcesVpcConfig"] = both;
            }
            // EKS takes the three together only, also when a patch says no more than `enabled: false`.
            AUTO_MODE
                if body["computeConfig"].is_null() || body["computeConfig"]["enabled"] == false =>
            {
                input["computeConfig"] = json!({"enabled": false});
                input["kubernetesNetworkConfig"] =
                    json!({"elasticLoadBalancing": {"enabled": false}});
                input["storageConfig"] = json!({"blockStorage": {"enabled": false}});
            }
            AUTO_MODE => {
                input["computeConfig"].clone_from(&body["computeConfig"]);
                input["kubernetesNetworkConfig"] =
                    some(&body["kubernetesNetworkConfig"], &["elasticLoadBalancing"]);
                input["storageConfig"].clone_from(&body["storageConfig"]);
            }
            "support" => input["upgradePolicy"].clone_from(&body["upgradePolicy"]),
            _ => {
                let top = what.strip_prefix("patch:").unwrap_or(what);
                input[top] = match top {
                    "resourcesVpcConfig" => rest(&body[top], NETWORK_KEYS),
                    "kubernetesNetworkConfig" if body["computeConfig"].is_null() => {
                        rest(&body[top], &BORN)
                    }
                    "kubernetesNetworkConfig" => {
                        rest(&rest(&body[top], &BORN), &["elasticLoadBalancing"])
                    }
                    _ => body[top].clone(),
                };
            }
        }
        let differences = told(what, leaves, (&body, &seen.body));
        let made =
            InPlace { what: what.to_owned(), operation: "UpdateClusterConfig", input, differences };
        if let Some(mut update) = made.update() {
            // Auto Mode takes its nodes away with it.
            let off = what == AUTO_MODE && desired.body["computeConfig"]["enabled"] != true;
            update.governed = off.then_some(Governed::Roll);
            self.push(ChangeKind::Update(update));
        }
    }

    /// One step towards access entries; EKS knows no way back.
    fn access(&mut self, leaves: &[Leaf]) {
        for leaf in leaves {
            let place = |mode: &Value| MODES.iter().position(|known| mode == known);
            // A cluster of before access entries tells no mode.
            let found = if leaf.found.is_null() { Some(0) } else { place(&leaf.found) };
            let (Some(wanted), Some(found)) = (place(&leaf.declared), found) else {
                self.refuse(leaf, "we do not know this mode");
                continue;
            };
            if wanted <= found {
                self.refuse(leaf, "EKS only moves towards Api");
                continue;
            }
            let next = MODES[found + 1];
            let input = json!({"name": self.name, "accessConfig": {"authenticationMode": next}});
            let differences = vec![difference(leaf)];
            let operation = "UpdateClusterConfig";
            let made = InPlace { what: ACCESS.into(), operation, input, differences };
            if let Some(update) = made.update() {
                self.push(ChangeKind::Update(update));
            }
        }
    }

    /// A key can be given to a cluster that has none, once.
    fn encryption(&mut self, body: &Value, leaves: &[Leaf]) {
        for leaf in leaves {
            if !leaf.found.is_null() {
                self.refuse(leaf, "EKS keeps the key of a cluster for good");
                continue;
            }
            let input =
                json!({"clusterName": self.name, "encryptionConfig": body["encryptionConfig"]});
            let differences = vec![difference(leaf)];
            let operation = "AssociateEncryptionConfig";
            let made = InPlace { what: "encryption".into(), operation, input, differences };
            if let Some(update) = made.update() {
                self.push(ChangeKind::Update(update));
            }
        }
    }

    /// One minor at a time. A cloud that is ahead is no difference: EKS upgrades by itself at the end of support.
    fn version(&mut self, desired: &DesiredCluster, seen: &str) {
        let target = desired.version;
        let difference = Difference {
            field: "spec.version".to_owned(),
            declared: target.to_string(),
            found: seen.to_owned(),
        };
        let Ok(from) = KubernetesVersion::parse("", seen) else {
            let Difference { field, declared, found } = difference;
            let why = "what runs cannot be read as a version".to_owned();
            return self.push(ChangeKind::Refused { field, declared, found, why });
        };
        let Some(to) = from.next_towards(target) else { return };
        let input = json!({"name": self.name, "version": to.to_string()});
        self.push(ChangeKind::Update(Update {
            what: "version".to_owned(),
            differences: vec![difference],
            body: json!({"operation": "UpdateClusterVersion", "input": input}),
            governed: Some(Governed::Upgrade),
            upgrade: Some(Upgrade { from, to, target }),
        }));
    }
}

/// Of `kubernetesNetworkConfig`, what EKS takes at birth only.
const BORN: [&str; 2] = ["serviceIpv4Cidr", "ipFamily"];

const NETWORK_KEYS: &[&str] = &[
    "subnetIds",
    "securityGroupIds",
    "endpointPublicAccess",
    "endpointPrivateAccess",
    "publicAccessCidrs",
];

/// Only these keys.
fn some(value: &Value, keys: &[&str]) -> Value {
    let kept = keys.iter().filter(|key| !value[**key].is_null());
    Value::Object(kept.map(|key| ((*key).to_owned(), value[*key].clone())).collect())
}

/// All but these keys.
fn rest(value: &Value, keys: &[&str]) -> Value {
    let map = value.as_object().cloned().unwrap_or_default();
    let kept: Map<String, Value> =
        map.into_iter().filter(|(key, _)| !keys.contains(&key.as_str())).collect();
    Value::Object(kept)
}

fn difference(leaf: &Leaf) -> Difference {
    Difference {
        field: field::cluster(&leaf.path),
        declared: show(&leaf.declared),
        found: show(&leaf.found),
    }
}

/// In the words of the object: the two switches of an endpoint are one field there.
fn told(what: &str, leaves: &[Leaf], (declared, seen): (&Value, &Value)) -> Vec<Difference> {
    let mut told: Vec<Difference> = Vec::new();
    for leaf in leaves {
        let switch = leaf.path.ends_with("endpointPublicAccess")
            || leaf.path.ends_with("endpointPrivateAccess");
        let one = if what == ENDPOINT && switch {
            Difference {
                field: "spec.eks.network.endpoint.access".to_owned(),
                declared: reach(&declared["resourcesVpcConfig"]).to_owned(),
                found: reach(&seen["resourcesVpcConfig"]).to_owned(),
            }
        } else if leaf.path == "upgradePolicy.supportType" {
            let (declared, found) = (word(&leaf.declared), word(&leaf.found));
            Difference { field: field::cluster(&leaf.path), declared, found }
        } else {
            difference(leaf)
        };
        if !told.contains(&one) {
            told.push(one);
        }
    }
    told
}

/// `STANDARD` as the object spells it.
fn word(value: &Value) -> String {
    let text = show(value);
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| {
        format!("{first}{}", letters.as_str().to_ascii_lowercase())
    })
}

fn reach(network: &Value) -> &'static str {
    let on = |key: &str| network[key] == true;
    match (on("endpointPublicAccess"), on("endpointPrivateAccess")) {
        (true, true) => "PublicAndPrivate",
        (true, false) => "Public",
        (false, true) => "Private",
        (false, false) => "none",
    }
}
