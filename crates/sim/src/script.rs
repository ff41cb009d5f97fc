//! What the user does in one run: decided by the seed before anything starts, and what they may expect in the end.
//! `play.rs` does it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_api_types::{ClusterPolicy, ProviderConfig, SYSTEM_NAMESPACE};
use fleetwright_cloudsim::{FaultKind, SSH_AUTHORITY, SSH_PRIVATE_KEY};
use k8s_openapi::api::core::v1::Secret;
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::{Value, json};

use crate::declared::Declared;
use crate::dice::Dice;

/// The namespace of all clusters.
pub const NAMESPACE: &str = "payments";
/// The Secret with the key to hosts.
const SSH_SECRET: &str = "ssh";
/// The region of all EKS clusters.
pub const REGION: &str = "eu-west-1";

/// One deed of the user, or of a stranger; the first text is the cluster's name.
#[derive(Debug, Clone)]
pub enum Action {
    /// Declare a cluster.
    Create(String, Declared),
    /// Declare it otherwise.
    Edit(String, Declared),
    /// Confirm and delete, with the cloud.
    Delete(String),
    /// Delete the object, keep the cloud.
    Release(String),
    /// A stranger changes the cloud: path and value in the cloud's own words.
    Drift(String, &'static str, Value),
    /// Something happens to a host: its address, path and value as `CloudSim::drift` has them.
    OnHost(String, String, &'static str, Value),
    /// The cloud itself misbehaves for a number of calls.
    Misbehave(FaultKind),
    /// Remove our NetworkPolicies and labels from the member by hand.
    Vandalize(String),
    /// Make a namespace on the member.
    AddNamespace(String, String),
    /// Change the level of the policy.
    SetLevel(&'static str),
    /// A second leader starts, since the first is thought dead.
    SecondLeader,
    /// It goes.
    OneLeader,
    /// The hub's disk is lost; what Git holds is applied to a new one, with the same hub id.
    LoseTheHub,
}

/// What the user expects in the end.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Clusters that shall be there.
    pub live: BTreeMap<String, Declared>,
    /// Objects that were let go.
    pub released: BTreeSet<String>,
    /// Objects whose cloud was to be deleted.
    pub deleted: BTreeSet<String>,
    /// Pools that may go, as `cluster/pool`.
    pub removable_pools: BTreeSet<String>,
    /// Clusters of whose hosts something happened to one, and until when that may show.
    pub troubled: BTreeMap<String, Duration>,
    /// The level of the policy.
    pub level: &'static str,
}

/// Deeds by the second at which they happen.
#[must_use]
pub fn write(dice: &Dice) -> Vec<(u64, Action)> {
    let mut actions = Vec::new();
    let count = 2 + dice.below(3);
    for index in 0..count {
        let name = format!("c{index}");
        let born = second(dice, 0, 20);
        let mut declared = Declared::born(dice, &name);
        actions.push((born, Action::Create(name.clone(), declared.clone())));
        let mut at = born;
        for _ in 0..dice.below(5) {
            at = second(dice, at + 5, 40);
            let deed = deed(dice, &name, &mut declared);
            // Whoever is switched off is switched on again.
            if let Action::OnHost(name, host, "away", _) = &deed {
                let back = Action::OnHost(name.clone(), host.clone(), "away", json!(false));
                actions.push((second(dice, at + 20, 60), back));
            }
            actions.push((at, deed));
        }
        match dice.below(4) {
            0 => actions.push((second(dice, at + 1, 30), Action::Delete(name))),
            1 => actions.push((second(dice, at + 1, 30), Action::Release(name))),
            _ => {}
        }
    }
    let level = ["Baseline", "Restricted"][dice.below(2)];
    actions.push((second(dice, 30, 60), Action::SetLevel(level)));
    for _ in 0..dice.below(3) {
        let kind = match dice.below(3) {
            0 => FaultKind::UpdateFails,
            1 => FaultKind::Stale { seconds: 5 },
            _ => FaultKind::LostAnswer,
        };
        actions.push((second(dice, 5, 150), Action::Misbehave(kind)));
    }
    if dice.hit(0.3) {
        let from = second(dice, 10, 100);
        actions.push((from, Action::SecondLeader));
        actions.push((second(dice, from + 5, 60), Action::OneLeader));
    }
    if dice.hit(0.3) {
        actions.push((second(dice, 60, 150), Action::LoseTheHub));
    }
    actions.sort_by_key(|(at, _)| *at);
    actions
}

fn deed(dice: &Dice, name: &str, declared: &mut Declared) -> Action {
    let name = name.to_owned();
    match dice.below(6) {
        0..=2 => {
            *declared = declared.edited(dice);
            Action::Edit(name, declared.clone())
        }
        3 => match declared.misfortune(dice) {
            Some((host, path, value)) => Action::OnHost(name, host, path, value),
            None => {
                let (path, value) = declared.drift(dice);
                Action::Drift(name, path, value)
            }
        },
        4 => Action::Vandalize(name),
        _ => Action::AddNamespace(name, format!("team-{}", dice.below(5))),
    }
}

fn second(dice: &Dice, from: u64, within: usize) -> u64 {
    from + u64::try_from(dice.below(within)).unwrap_or_default()
}

/// What is there from the first second: a namespace, an account of each cloud, the key to hosts, a policy.
///
/// # Errors
/// When the hub refuses it.
pub async fn prepare(user: &Client, level: &str) -> anyhow::Result<()> {
    fleetwright_controllers::hub::ensure_namespace(user, NAMESPACE).await?;
    let accounts = [
        ("aws", json!({"identity": {"type": "Environment"}})),
        ("azure", json!({"identity": {"type": "Environment"}})),
        (
            "ssh",
            json!({
                "identity": {"secretRef": {"name": SSH_SECRET}},
                "hostKeys": {"authorities": [SSH_AUTHORITY]},
            }),
        ),
    ];
    let key: Secret = serde_json::from_value(json!({
        "metadata": {"namespace": SYSTEM_NAMESPACE, "name": SSH_SECRET},
        "stringData": {"ssh-privatekey": SSH_PRIVATE_KEY},
    }))?;
    create(Api::namespaced(user.clone(), SYSTEM_NAMESPACE), &key).await?;
    for (block, account) in accounts {
        let name = if block == "ssh" { "hosts" } else { block };
        let account: ProviderConfig = serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": name},
            "spec": {"allowedNamespaces": {"names": [NAMESPACE]}, block: account},
        }))?;
        create(Api::all(user.clone()), &account).await?;
    }
    baseline(user, level).await
}

/// The one policy.
async fn baseline(user: &Client, level: &str) -> anyhow::Result<()> {
    let policy: ClusterPolicy = serde_json::from_value(json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "baseline"},
        "spec": {
            "clusterSelector": {"matchLabels": {"tier": "prod"}},
            "podSecurity": {"mode": "Enforce", "level": level},
            "network": {"mode": "Enforce", "defaultDeny": ["Ingress", "Egress"]},
        },
    }))?;
    create(Api::all(user.clone()), &policy).await
}

pub(crate) async fn create<K>(api: Api<K>, object: &K) -> anyhow::Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}
