//! Time passing: what becomes of an AKS cluster when an operation is due.
//!
//! As for EKS, [`AksCluster::advance`] decides on the record alone, and the record is written last, so that a crash in
//! between leaves a record that still says the step is due.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::state::{AksCluster, AksKey, AksPool, Doing, Operation, Outcome, Progress, Target};
use crate::faults::{Fault, lacks_capacity};
use crate::member::{Surroundings, Wear};
use crate::state::{Trouble, digest_hex};
use crate::{SettleError, Shared};

/// The entry of the record that remembers how a deletion ended.
const GONE: &str = "gone.json";

/// What Azure's controllers do in a member.
static AZURE: Surroundings = Surroundings {
    driver: "disk.csi.azure.com",
    ingress: |uid, _| {
        let digits = digest_hex(uid, 4);
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_default();
        json!({ "ip": format!("203.0.{}.{}", part(0), part(2)) })
    },
    volume: "/subscriptions/simulated/disks/",
};

/// What must change in a member.
#[derive(Debug)]
pub(super) enum Effect {
    /// Its API appears, or shows another version.
    Attach,
    /// A pool's nodes become what the record says. Labels and taints of `before` that are no more go.
    Nodes { pool: String, before: Wear },
    /// A pool's nodes go.
    NoNodes { pool: String },
}

/// What time has done to a record.
#[derive(Debug, Default)]
pub(super) struct Advance {
    pub(super) changed: bool,
    pub(super) effects: Vec<Effect>,
    /// The cluster is no more, by this operation.
    pub(super) gone: Option<Operation>,
}

/// The last operation on a cluster that is gone.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tombstone {
    pub(super) operation: Operation,
}

impl AksCluster {
    /// Makes every transition that is due at `now`.
    pub(super) fn advance(&mut self, now: Timestamp, faults: &[Fault]) -> Advance {
        let mut advance = Advance::default();
        let mut operations = std::mem::take(&mut self.operations);
        for operation in &mut operations {
            let Progress::Open { due, doomed } = operation.progress.clone() else {
                continue;
            };
            if due > now {
                continue;
            }
            advance.changed = true;
            let result = match doomed {
                Some(trouble) => Err(trouble),
                None => self.finish(operation, now, faults, &mut advance),
            };
            let outcome = match result {
                Ok(()) => {
                    operation.progress = Progress::Succeeded { at: now };
                    Outcome::Succeeded
                }
                Err(trouble) => {
                    operation.progress = Progress::Failed { at: now, trouble: trouble.clone() };
                    Outcome::Failed(trouble)
                }
            };
            self.conclude(&operation.target, outcome);
            let gone = operation.doing == Doing::Deleting && operation.target == Target::Cluster;
            if gone && matches!(operation.progress, Progress::Succeeded { .. }) {
                advance.gone = Some(operation.clone());
            }
        }
        self.operations = operations;
        advance
    }

    fn conclude(&mut self, target: &Target, outcome: Outcome) {
        self.revision += 1;
        match target {
            Target::Cluster => self.outcome = outcome,
            Target::Pool(name) => {
                if let Some(pool) = self.pools.get_mut(name) {
                    pool.revision += 1;
                    pool.outcome = outcome;
                }
            }
        }
    }

    fn finish(
        &mut self,
        operation: &Operation,
        now: Timestamp,
        faults: &[Fault],
        advance: &mut Advance,
    ) -> Result<(), Trouble> {
        match (&operation.target, operation.doing) {
            (Target::Cluster, Doing::Deleting) => Ok(()),
            (Target::Pool(name), Doing::Deleting) => {
                if self.pools.remove(name).is_some_and(|pool| pool.made) {
                    advance.effects.push(Effect::NoNodes { pool: name.clone() });
                }
                Ok(())
            }
            (Target::Cluster, _) => self.finish_cluster(operation, now, faults, advance),
            (Target::Pool(name), _) => self.realise(name, now, faults, advance),
        }
    }

    fn finish_cluster(
        &mut self,
        operation: &Operation,
        now: Timestamp,
        faults: &[Fault],
        advance: &mut Advance,
    ) -> Result<(), Trouble> {
        if !self.made {
            // A control plane without its first machines never comes up.
            let short = self.pools.keys().find(|name| self.lacks_machines(name, faults)).cloned();
            if let Some(name) = short {
                let trouble = no_capacity(&name);
                for pool in self.pools.values_mut() {
                    pool.outcome = Outcome::Failed(trouble.clone());
                }
                return Err(trouble);
            }
        }
        let version = operation.version.clone();
        let changed = version
            .is_some_and(|version| std::mem::replace(&mut self.running, version) != self.running);
        if !self.made || changed {
            self.made = true;
            advance.effects.push(Effect::Attach);
        }
        let behind = self.pools.iter().filter(|(_, pool)| pool.is_behind());
        let behind: Vec<String> = behind.map(|(name, _)| name.clone()).collect();
        let mut result = Ok(());
        for name in behind {
            if let Err(trouble) = self.realise(&name, now, faults, advance) {
                self.conclude(&Target::Pool(name), Outcome::Failed(trouble.clone()));
                result = Err(trouble);
            }
        }
        result
    }

    /// Makes the goal of a pool real.
    pub(super) fn realise(
        &mut self,
        name: &str,
        now: Timestamp,
        faults: &[Fault],
        advance: &mut Advance,
    ) -> Result<(), Trouble> {
        if self.lacks_machines(name, faults) {
            return Err(no_capacity(name));
        }
        let Some(pool) = self.pools.get_mut(name) else {
            return Ok(());
        };
        let before =
            Wear { labels: std::mem::take(&mut pool.labels), taints: node_taints(&pool.taints) };
        pool.roll += u32::from(pool.must_roll());
        pool.running = pool.goal_version();
        pool.release = pool.goal_release;
        pool.machines = pool.number("count");
        (pool.labels, pool.taints) = (pool.goal_labels(), pool.goal_taints());
        (pool.made, pool.modified_at, pool.outcome) = (true, now, Outcome::Succeeded);
        pool.revision += 1;
        advance.effects.push(Effect::Nodes { pool: name.to_owned(), before });
        Ok(())
    }

    /// Whether a pool needs machines that cannot be had.
    fn lacks_machines(&self, name: &str, faults: &[Fault]) -> bool {
        let Some(pool) = self.pools.get(name) else {
            return false;
        };
        let declared = pool.declared_name();
        let clusters = [self.external_name(), self.name.clone()];
        let clusters = clusters.each_ref().map(String::as_str);
        let needs = pool.must_roll() || pool.number("count") > pool.machines;
        needs && lacks_capacity(faults, &clusters, &[name, declared.as_deref().unwrap_or(name)])
    }
}

impl AksPool {
    /// Whether the goal means other machines.
    fn must_roll(&self) -> bool {
        self.made && (self.running != self.goal_version() || self.release != self.goal_release)
    }
}

fn no_capacity(pool: &str) -> Trouble {
    Trouble {
        code: "AllocationFailed".to_owned(),
        message: format!(
            "Agent pool '{pool}': The VM allocation failed due to an internal error. We do not have sufficient capacity \
             for the requested VM size in this region. Please retry later or try deploying to a different Availability \
             Zone or different location."
        ),
    }
}

/// Taints of nodes out of `key=value:Effect`.
pub(super) fn node_taints(taints: &[String]) -> Vec<serde_json::Value> {
    let parsed = taints.iter().filter_map(|taint| {
        let (rest, effect) = taint.rsplit_once(':')?;
        let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
        let mut node = json!({ "key": key, "effect": effect });
        if !value.is_empty() {
            node["value"] = json!(value);
        }
        Some(node)
    });
    parsed.collect()
}

impl Shared {
    /// Makes the transitions of one cluster that are due. `None`: it is gone.
    pub(crate) async fn settle_aks(
        &self,
        mut cluster: AksCluster,
    ) -> Result<Option<AksCluster>, SettleError> {
        let faults = self.ledger.simulation().await?.faults;
        let had_member = cluster.made;
        let mut advance = cluster.advance(self.clock.now(), &faults);
        let id = cluster.key.member_id();
        if had_member {
            let AksCluster { location, outside, .. } = &mut cluster;
            let members = &self.members;
            advance.changed |= members.look_outside(&id, location, &AZURE, outside).await?;
        }
        if let Some(operation) = advance.gone {
            // The resource group of the nodes goes as a whole: nothing of the cluster is left.
            self.members.detach(id).await?;
            let record = format!("gone-{}", cluster.key.mark());
            self.ledger.save_note(record, GONE, &Tombstone { operation }).await?;
            self.ledger.forget(&cluster.key).await?;
            return Ok(None);
        }
        for effect in advance.effects {
            self.take_effect(&mut cluster, effect).await?;
        }
        if advance.changed {
            self.ledger.save(&cluster.key, &cluster).await?;
        }
        Ok(Some(cluster))
    }

    pub(super) async fn take_effect(
        &self,
        cluster: &mut AksCluster,
        effect: Effect,
    ) -> Result<(), SettleError> {
        let id = cluster.key.member_id();
        match effect {
            Effect::Attach => self.members.attach(cluster).await,
            Effect::NoNodes { pool } => {
                self.members.remove_nodes(&id, (super::nodes::POOL_LABEL, &pool)).await
            }
            Effect::Nodes { pool, before } => {
                let Some(machines) = cluster.machines(&pool, before) else {
                    return Ok(());
                };
                let refused = self.members.sync_nodes(&id, machines).await?;
                if let Some(message) = refused {
                    let code = "CreateVMSSAgentPoolFailed".to_owned();
                    let outcome = Outcome::Failed(Trouble { code, message });
                    cluster.conclude(&Target::Pool(pool), outcome);
                }
                Ok(())
            }
        }
    }

    /// An AKS cluster as it is now.
    pub(crate) async fn current_aks(
        &self,
        key: &AksKey,
    ) -> Result<Option<AksCluster>, SettleError> {
        match self.ledger.one(key).await? {
            Some(cluster) => self.settle_aks(cluster).await,
            None => Ok(None),
        }
    }

    /// The deletion of a cluster that is gone, by the mark of its operations.
    pub(super) async fn tombstone(&self, mark: &str) -> Result<Option<Tombstone>, SettleError> {
        self.ledger.note(&format!("gone-{mark}"), GONE).await
    }
}
