//! What a user writes down for one cluster, as far as the simulator varies it, and how the seed varies it. `declared/` holds
//! what differs between the clouds.

mod aks;
mod eks;
pub mod k3s;

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub use self::aks::{Aks, SYSTEM_POOL};
pub use self::eks::{ENTRIES, Eks};
pub use self::k3s::K3s;
use crate::dice::Dice;
use crate::script::NAMESPACE;

/// One cluster's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declared {
    /// The minor of the Kubernetes version.
    pub minor: u16,
    /// Its pools, by name.
    pub pools: BTreeMap<String, Pool>,
    /// The value of tag `team`.
    pub team: &'static str,
    /// Who may use the public endpoint.
    pub cidr: &'static str,
    /// Whether a maintenance window governs disruptive work: one that opens ten minutes after the start.
    pub window: bool,
    /// Which cloud it is in, and what only that one knows.
    pub cloud: Cloud,
}

/// A cloud, and what is declared for it alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cloud {
    /// Amazon EKS.
    Eks(Eks),
    /// Azure AKS.
    Aks(Aks),
    /// K3s on hosts.
    K3s(K3s),
}

/// One pool's declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Most nodes.
    pub max: u8,
    /// What cannot be changed in place.
    pub instance_type: &'static str,
    /// The value of label `stage` on its nodes.
    pub stage: &'static str,
}

const TEAMS: [&str; 2] = ["red", "blue"];
const CIDRS: [&str; 2] = ["203.0.113.0/24", "198.51.100.0/24"];
const STAGES: [&str; 2] = ["old", "new"];

impl Cloud {
    /// Machines that a pool may have.
    const fn types(&self) -> [&'static str; 2] {
        match self {
            Self::Eks(_) => ["m5.large", "m7i.large"],
            Self::Aks(_) => ["Standard_D2s_v5", "Standard_D4s_v5"],
            Self::K3s(_) => ["none", "none"],
        }
    }

    /// Makes anew what its cloud alone knows, or a part of it.
    fn edit(&mut self, dice: &Dice) {
        match self {
            Self::Eks(eks) => eks.edit(dice),
            Self::Aks(aks) => aks.edit(dice),
            Self::K3s(k3s) => k3s.edit(dice),
        }
    }
}

impl Declared {
    /// A first declaration of the object with this name; one in four is on hosts, and one in four for AKS.
    #[must_use]
    pub fn born(dice: &Dice, name: &str) -> Self {
        let cloud = match dice.below(4) {
            0 => Cloud::Aks(Aks::born(dice)),
            1 => Cloud::K3s(K3s::born(dice, name)),
            _ => Cloud::Eks(Eks::born(dice)),
        };
        Self {
            minor: 33,
            pools: pools(dice, &cloud),
            team: TEAMS[dice.below(2)],
            cidr: CIDRS[dice.below(2)],
            window: dice.hit(0.2),
            cloud,
        }
    }

    /// A small cluster without parts, and with no more pools than its cloud wants.
    #[must_use]
    pub fn plain(cloud: Cloud) -> Self {
        let system = Pool { max: 3, instance_type: cloud.types()[0], stage: STAGES[0] };
        let needed = matches!(cloud, Cloud::Aks(_)).then(|| (SYSTEM_POOL.to_owned(), system));
        Self {
            minor: 34,
            pools: needed.into_iter().collect(),
            team: TEAMS[0],
            cidr: CIDRS[0],
            window: false,
            cloud,
        }
    }

    /// The same after an edit: one thing changes, or several at once.
    #[must_use]
    pub fn edited(&self, dice: &Dice) -> Self {
        let mut next = self.clone();
        for _ in 0..=dice.below(3) {
            match dice.below(9) {
                0 => next.minor = (self.minor + 1 + u16::from(dice.hit(0.3))).min(35),
                1 => next.pools = pools(dice, &next.cloud),
                2 => next.team = TEAMS[dice.below(2)],
                3 => next.cidr = CIDRS[dice.below(2)],
                4..=6 => next.cloud.edit(dice),
                edited => {
                    let types = next.cloud.types();
                    let which = dice.below(next.pools.len().max(1));
                    match next.pools.values_mut().nth(which) {
                        Some(pool) if edited == 7 => pool.instance_type = types[dice.below(2)],
                        Some(pool) => pool.stage = STAGES[dice.below(2)],
                        None => {}
                    }
                }
            }
        }
        next
    }

    /// `MAJOR.MINOR`, or a release of K3s.
    #[must_use]
    pub fn version(&self) -> String {
        match self.cloud {
            Cloud::K3s(_) => k3s::release(self.minor),
            Cloud::Eks(_) | Cloud::Aks(_) => format!("1.{}", self.minor),
        }
    }

    /// What the nodes of its inventory are called: its pools, or its hosts. Sorted.
    #[must_use]
    pub fn node_owners(&self) -> Vec<String> {
        let mut names: Vec<String> = match &self.cloud {
            Cloud::K3s(k3s) => k3s.hosts().collect(),
            Cloud::Eks(_) | Cloud::Aks(_) => self.pools.keys().cloned().collect(),
        };
        names.sort();
        names
    }

    /// The `spec`, with every list whole, so that a merge patch of it leaves nothing of an earlier one.
    #[must_use]
    pub fn spec(&self) -> Value {
        let (account, block, body) = match &self.cloud {
            Cloud::Eks(eks) => ("aws", "eks", eks.block(self.cidr)),
            Cloud::Aks(aks) => ("azure", "aks", aks.block(self.cidr)),
            Cloud::K3s(k3s) => ("hosts", "k3s", k3s.block()),
        };
        let on_hosts = matches!(self.cloud, Cloud::K3s(_));
        let pools = self.pools.iter().map(|(name, pool)| {
            let mut declared = match self.cloud {
                Cloud::Eks(_) => eks::pool(pool),
                Cloud::Aks(_) => aks::pool(name, pool),
                Cloud::K3s(_) => k3s::pool(pool),
            };
            declared["name"] = json!(name);
            declared["size"] = json!({"min": 1, "max": pool.max});
            declared["labels"] = json!({"stage": pool.stage});
            declared
        });
        let windows = || json!({"windows": [{"start": "00:10", "duration": "12h"}]});
        json!({
            "version": self.version(),
            "providerConfigRef": {"name": account},
            "tags": (!on_hosts).then(|| json!({"team": self.team})),
            "maintenance": self.window.then(windows),
            block: body,
            "nodePools": (!on_hosts).then(|| pools.collect::<Vec<_>>()),
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

    /// A change behind everybody's back, as the cloud's own API writes it: path and value. Only of what is always declared.
    #[must_use]
    pub fn drift(&self, dice: &Dice) -> (&'static str, Value) {
        match &self.cloud {
            Cloud::Eks(_) => eks::drift(dice),
            Cloud::Aks(_) => aks::drift(dice),
            // Hosts meet misfortunes of their own.
            Cloud::K3s(_) => ("", Value::Null),
        }
    }

    /// What happens to one of its hosts, if it has any: address, path and value.
    #[must_use]
    pub fn misfortune(&self, dice: &Dice) -> Option<(String, &'static str, Value)> {
        match &self.cloud {
            Cloud::K3s(k3s) => Some(k3s.misfortune(dice)),
            Cloud::Eks(_) | Cloud::Aks(_) => None,
        }
    }
}

fn pools(dice: &Dice, cloud: &Cloud) -> BTreeMap<String, Pool> {
    if matches!(cloud, Cloud::K3s(_)) {
        return BTreeMap::new();
    }
    let system = matches!(cloud, Cloud::Aks(_)).then(|| SYSTEM_POOL.to_owned());
    let names = (0..dice.below(4)).map(|index| format!("p{index}")).filter(|_| dice.hit(0.7));
    let types = cloud.types();
    let pool = || Pool {
        max: if dice.hit(0.5) { 3 } else { 5 },
        instance_type: types[dice.below(2)],
        stage: STAGES[dice.below(2)],
    };
    system.into_iter().chain(names).map(|name| (name, pool())).collect()
}
