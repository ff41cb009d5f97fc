//! What a user writes down for one cluster, as far as the simulator varies it, and how the seed varies it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::script::{NAMESPACE, REGION};

/// One cluster's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The minor of the Kubernetes version.
    pub minor: u16,
    /// Its pools, by name.
    pub pools: BTreeMap<String, Pool>,
    /// The value of tag `team`.
    pub team: &'static str,
    /// Control plane logs.
    pub logging: Vec<&'static str>,
    /// Who may use the public endpoint.
    pub cidr: &'static str,
    /// The version of add-on `vpc-cni`, if EKS shall manage it.
    pub add_on: Option<&'static str>,
    /// Principals with access.
    pub entries: Vec<&'static str>,
    /// Whether a maintenance window governs disruptive work: one that opens ten minutes after the start.
    pub window: bool,
}

/// One pool's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Most nodes.
    pub max: u8,
    /// What cannot be changed in place.
    pub instance_type: &'static str,
}

const TEAMS: [&str; 2] = ["red", "blue"];
const TYPES: [&str; 2] = ["m5.large", "m7i.large"];
const CIDRS: [&str; 2] = ["203.0.113.0/24", "198.51.100.0/24"];
const ADD_ONS: [Option<&str>; 2] = [None, Some("v1.19.2-eksbuild.1")];
/// Principals that may be given access.
pub const ENTRIES: [&str; 2] =
    ["arn:aws:iam::111122223333:role/ops", "arn:aws:iam::111122223333:role/dev"];

impl Declared {
    /// A first declaration.
    #[must_use]
    pub fn born(dice: &Dice) -> Self {
        Self {
            minor: 33,
            pools: pools(dice),
            team: TEAMS[dice.below(2)],
            logging: logging(dice),
            cidr: CIDRS[dice.below(2)],
            add_on: ADD_ONS[dice.below(2)],
            entries: entries(dice),
            window: dice.hit(0.2),
        }
    }

    /// A small cluster without parts.
    #[must_use]
    pub fn plain() -> Self {
        Self {
            minor: 34,
            pools: BTreeMap::new(),
            team: TEAMS[0],
            logging: Vec::new(),
            cidr: CIDRS[0],
            add_on: None,
            entries: Vec::new(),
            window: false,
        }
    }

    /// The same after an edit: one thing changes, or several at once.
    #[must_use]
    pub fn edited(&self, dice: &Dice) -> Self {
        let mut next = self.clone();
        for _ in 0..=dice.below(3) {
            match dice.below(8) {
                0 => next.minor = (self.minor + 1 + u16::from(dice.hit(0.3))).min(35),
                1 => next.pools = pools(dice),
                2 => next.team = TEAMS[dice.below(2)],
                3 => next.logging = logging(dice),
                4 => next.cidr = CIDRS[dice.below(2)],
                5 => next.add_on = ADD_ONS[dice.below(2)],
                6 => next.entries = entries(dice),
                _ => {
                    let replaced = dice.below(next.pools.len().max(1));
                    if let Some(pool) = next.pools.values_mut().nth(replaced) {
                        pool.instance_type = TYPES[dice.below(2)];
                    }
                }
            }
        }
        next
    }

    /// `MAJOR.MINOR`.
    #[must_use]
    pub fn version(&self) -> String {
        format!("1.{}", self.minor)
    }

    /// The `spec`, with every list whole, so that a merge patch of it leaves nothing of an earlier one.
    #[must_use]
    pub fn spec(&self) -> Value {
        let add_ons =
            self.add_on.iter().map(|version| json!({"name": "vpc-cni", "version": version}));
        let entries = self
            .entries
            .iter()
            .map(|arn| json!({"principalArn": arn, "policies": [{"name": "AmazonEKSViewPolicy"}]}));
        json!({
            "version": self.version(),
            "providerConfigRef": {"name": "aws"},
            "tags": {"team": self.team},
            "maintenance": self.window.then(|| json!({"windows": [{"start": "00:10", "duration": "12h"}]})),
            "eks": {
                "region": REGION, "roleArn": "arn:aws:iam::111122223333:role/cp",
                "network": {
                    "subnetIds": ["subnet-0a", "subnet-0b"],
                    "endpoint": {"access": "PublicAndPrivate", "publicCidrs": [self.cidr]},
                },
                "logging": self.logging,
                "access": {"entries": entries.collect::<Vec<_>>()},
                "managedAddOns": add_ons.collect::<Vec<_>>(),
            },
            "nodePools": self.pools.iter().map(|(name, pool)| json!({
                "name": name, "size": {"min": 1, "max": pool.max},
                "eks": {
                    "roleArn": "arn:aws:iam::111122223333:role/nodes",
                    "instanceTypes": [pool.instance_type],
                },
            })).collect::<Vec<_>>(),
        })
    }

    /// The whole object.
    #[must_use]
    pub fn manifest(&self, name: &str) -> Value {
        let mut spec = self.spec();
        if let Some(spec) = spec.as_object_mut() {
            spec.retain(|_, value| !value.is_null());
        }
        json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": NAMESPACE, "name": name, "labels": {"tier": "prod"}},
            "spec": spec,
        })
    }
}

fn pools(dice: &Dice) -> BTreeMap<String, Pool> {
    let names = (0..dice.below(4)).map(|index| format!("p{index}")).filter(|_| dice.hit(0.7));
    let pool = |_: &String| Pool {
        max: if dice.hit(0.5) { 3 } else { 5 },
        instance_type: TYPES[dice.below(2)],
    };
    names
        .map(|name| {
            let pool = pool(&name);
            (name, pool)
        })
        .collect()
}

fn logging(dice: &Dice) -> Vec<&'static str> {
    ["Api", "Audit"].into_iter().filter(|_| dice.hit(0.5)).collect()
}

fn entries(dice: &Dice) -> Vec<&'static str> {
    ENTRIES.into_iter().filter(|_| dice.hit(0.4)).collect()
}

/// Changes behind everybody's back, as the cloud's own API writes them: only of what is always declared.
#[must_use]
pub fn drift(dice: &Dice) -> (&'static str, Value) {
    match dice.below(3) {
        0 => ("resourcesVpcConfig.publicAccessCidrs", json!(["0.0.0.0/0"])),
        1 => ("tags.team", json!("nobody")),
        _ => (
            "logging",
            json!({"clusterLogging": [
                {"types": ["scheduler"], "enabled": true},
                {"types": ["api", "audit", "authenticator", "controllerManager"], "enabled": false},
            ]}),
        ),
    }
}
