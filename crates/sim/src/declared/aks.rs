//! What is declared of a cluster on AKS alone.

use fleetwright_cloudsim::AZURE_SUBSCRIPTION_ID;
use serde_json::{Value, json};

use super::Pool;
use crate::dice::Dice;

/// The pool of role System, which every AKS cluster has.
pub const SYSTEM_POOL: &str = "sys";

/// A cluster on AKS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Aks {
    /// Whether Azure promises an availability: tier `Standard`, else `Free`.
    pub promised: bool,
    /// Azure's own maintenance windows, by name; no others shall be there.
    pub maintenance: Vec<&'static str>,
}

const MAINTENANCE: [&str; 2] = ["aksManagedAutoUpgradeSchedule", "aksManagedNodeOSUpgradeSchedule"];

impl Aks {
    pub(super) fn born(dice: &Dice) -> Self {
        Self { promised: dice.hit(0.5), maintenance: maintenance(dice) }
    }

    pub(super) fn edit(&mut self, dice: &Dice) {
        match dice.below(2) {
            0 => self.promised = dice.hit(0.5),
            _ => self.maintenance = maintenance(dice),
        }
    }

    pub(super) fn block(&self, cidr: &str) -> Value {
        let window = json!({"days": ["Sun"], "start": "02:00", "duration": "4h"});
        let windows =
            self.maintenance.iter().map(|name| json!({"name": name, "windows": [window]}));
        json!({
            "subscriptionId": AZURE_SUBSCRIPTION_ID,
            "resourceGroup": "rg-payments",
            "location": "westeurope",
            "tier": if self.promised { "Standard" } else { "Free" },
            "apiServer": {"access": "Public", "authorizedCidrs": [cidr]},
            "maintenanceConfigurations": windows.collect::<Vec<_>>(),
        })
    }
}

pub(super) fn pool(name: &str, pool: &Pool) -> Value {
    let role = if name == SYSTEM_POOL { "System" } else { "User" };
    json!({"role": role, "aks": {"vmSize": pool.instance_type}})
}

fn maintenance(dice: &Dice) -> Vec<&'static str> {
    MAINTENANCE.into_iter().filter(|_| dice.hit(0.5)).collect()
}

pub(super) fn drift(dice: &Dice) -> (&'static str, Value) {
    match dice.below(5) {
        0 => ("properties.apiServerAccessProfile.authorizedIPRanges", json!(["0.0.0.0/0"])),
        1 => ("tags.team", json!("nobody")),
        2 => ("sku.tier", json!("Premium")),
        3 => ("agentPools.sys.properties.maxCount", json!(9)),
        _ => ("maintenanceConfigurations.aksManagedAutoUpgradeSchedule", Value::Null),
    }
}
