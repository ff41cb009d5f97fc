//! What is declared of a cluster on EKS alone.

use serde_json::{Value, json};

use super::Pool;
use crate::dice::Dice;
use crate::script::REGION;

/// A cluster on EKS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Eks {
    /// Control plane logs.
    pub logging: Vec<&'static str>,
    /// The version of add-on `vpc-cni`, if EKS shall manage it.
    pub add_on: Option<&'static str>,
    /// Principals with access.
    pub entries: Vec<&'static str>,
}

const ADD_ONS: [Option<&str>; 2] = [None, Some("v1.19.2-eksbuild.1")];
/// Principals that may be given access.
pub const ENTRIES: [&str; 2] =
    ["arn:aws:iam::111122223333:role/ops", "arn:aws:iam::111122223333:role/dev"];

impl Eks {
    pub(super) fn born(dice: &Dice) -> Self {
        Self { logging: logging(dice), add_on: ADD_ONS[dice.below(2)], entries: entries(dice) }
    }

    pub(super) fn edit(&mut self, dice: &Dice) {
        match dice.below(3) {
            0 => self.logging = logging(dice),
            1 => self.add_on = ADD_ONS[dice.below(2)],
            _ => self.entries = entries(dice),
        }
    }

    pub(super) fn block(&self, cidr: &str) -> Value {
        let add_ons =
            self.add_on.iter().map(|version| json!({"name": "vpc-cni", "version": version}));
        let entries = self
            .entries
            .iter()
            .map(|arn| json!({"principalArn": arn, "policies": [{"name": "AmazonEKSViewPolicy"}]}));
        json!({
            "region": REGION, "roleArn": "arn:aws:iam::111122223333:role/cp",
            "network": {
                "subnetIds": ["subnet-0a", "subnet-0b"],
                "endpoint": {"access": "PublicAndPrivate", "publicCidrs": [cidr]},
            },
            "logging": self.logging,
            "access": {"entries": entries.collect::<Vec<_>>()},
            "managedAddOns": add_ons.collect::<Vec<_>>(),
        })
    }
}

pub(super) fn pool(pool: &Pool) -> Value {
    json!({"eks": {
        "roleArn": "arn:aws:iam::111122223333:role/nodes",
        "instanceTypes": [pool.instance_type],
    }})
}

fn logging(dice: &Dice) -> Vec<&'static str> {
    ["Api", "Audit"].into_iter().filter(|_| dice.hit(0.5)).collect()
}

fn entries(dice: &Dice) -> Vec<&'static str> {
    ENTRIES.into_iter().filter(|_| dice.hit(0.4)).collect()
}

pub(super) fn drift(dice: &Dice) -> (&'static str, Value) {
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
