//! A cloud small enough to check by eye, and a provider's diff for it.
//!
//! It refuses what a cloud refuses: a taken name, a pool without a control plane, a delete of what is being made, a
//! control plane that goes before its pools, and any deed on what is not the step's owner's. A refusal is a panic here.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::{Ownership, PoolName, TAG_RELEASED};
use fleetwright_plan::{
    Change, ChangeKind, CloudAction, CloudStep, Phase, Resource, Seen, SeenCluster, SeenPool,
    Snapshot, Step,
};
use serde_json::json;

use crate::check::{owner, seen_cluster, seen_pool};

/// The changes that a provider finds: what is missing, what is undeclared and ours, what is taken.
pub(crate) fn diff(declared: &BTreeSet<PoolName>, snapshot: &Snapshot) -> Vec<Change> {
    let me = owner("ours");
    let mut changes = Vec::new();
    if snapshot.cluster == Seen::Absent {
        changes.push((Resource::Cluster, ChangeKind::Create { body: json!({}) }));
    }
    for name in declared {
        let kind = match snapshot.pools.get(name) {
            None | Some(Seen::Absent) => ChangeKind::Create { body: json!({"name": name}) },
            Some(Seen::Present(pool)) if me.reads(&pool.tags) != Ownership::Ours => {
                ChangeKind::Refused {
                    field: format!("spec.nodePools[{name}].name"),
                    declared: "ours".into(),
                    found: "another's".into(),
                    why: "choose another name".into(),
                }
            }
            Some(Seen::Present(_) | Seen::Unknown { .. }) => continue,
        };
        changes.push((Resource::Pool(name.clone()), kind));
    }
    for (name, seen) in snapshot.pools.iter().filter(|(name, _)| !declared.contains(*name)) {
        let Some(pool) = seen.present() else { continue };
        if me.reads(&pool.tags) == Ownership::Ours
            && matches!(pool.phase, Phase::Active | Phase::Failed)
        {
            changes.push((Resource::Pool(name.clone()), ChangeKind::Delete));
        }
    }
    changes.into_iter().map(|(resource, kind)| Change { resource, kind }).collect()
}

/// The cloud.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub(crate) cluster: Option<SeenCluster>,
    pub(crate) pools: BTreeMap<PoolName, SeenPool>,
}

impl Toy {
    /// A cloud that looks like `snapshot`; what is unknown there is there.
    pub(crate) fn like(snapshot: &Snapshot) -> Self {
        let cluster = snapshot.cluster.present().cloned();
        let pools = snapshot
            .pools
            .iter()
            .filter_map(|(name, seen)| Some((name.clone(), seen.present()?.clone())));
        // No cloud has pools without a control plane.
        let pools = if cluster.is_some() { pools.collect() } else { BTreeMap::new() };
        Self { cluster, pools }
    }

    pub(crate) fn look(&self) -> Snapshot {
        Snapshot {
            cluster: self.cluster.clone().map_or(Seen::Absent, Seen::Present),
            pools: self
                .pools
                .iter()
                .map(|(name, pool)| (name.clone(), Seen::Present(pool.clone())))
                .collect(),
        }
    }

    /// Everything under way comes one phase further.
    pub(crate) fn tick(&mut self) {
        let next = |phase: Phase| match phase {
            Phase::Creating | Phase::Updating => Phase::Active,
            Phase::Active | Phase::Deleting | Phase::Failed => phase,
        };
        self.pools.retain(|_, pool| pool.phase != Phase::Deleting);
        self.pools.values_mut().for_each(|pool| pool.phase = next(pool.phase));
        match &mut self.cluster {
            Some(cluster) if cluster.phase == Phase::Deleting => {
                self.cluster = None;
                self.pools.clear();
            }
            Some(cluster) => cluster.phase = next(cluster.phase),
            None => {}
        }
    }

    pub(crate) fn act(&mut self, step: &Step) {
        let Step::Cloud(step) = step else { panic!("{step} is not for a cloud") };
        match &step.resource {
            Resource::Cluster => self.act_on_cluster(step),
            Resource::Pool(name) => self.act_on_pool(name, step),
        }
    }

    fn act_on_cluster(&mut self, step: &CloudStep) {
        match (&step.action, &mut self.cluster) {
            (CloudAction::Create { .. }, found) => {
                assert!(found.is_none(), "{step}: the name is taken");
                *found = Some(seen_cluster("ours", Phase::Creating, ""));
            }
            (CloudAction::Delete, Some(found)) => {
                assert!(self.pools.is_empty(), "{step}: pools are left");
                mark_deleting(step, &found.tags, &mut found.phase);
            }
            (CloudAction::Release, Some(found)) => release(step, &mut found.tags),
            (CloudAction::Delete | CloudAction::Release, None) => {}
        }
    }

    fn act_on_pool(&mut self, name: &PoolName, step: &CloudStep) {
        match (&step.action, self.pools.get_mut(name)) {
            (CloudAction::Create { .. }, found) => {
                assert!(found.is_none(), "{step}: the name is taken");
                let host = self.cluster.as_ref().expect("a pool needs a control plane");
                assert!(matches!(host.phase, Phase::Active | Phase::Updating), "{step}: too early");
                assert_eq!(
                    step.owner.reads(&host.tags),
                    Ownership::Ours,
                    "{step}: on another's cluster"
                );
                self.pools.insert(name.clone(), seen_pool("ours", Phase::Creating, ""));
            }
            (CloudAction::Delete, Some(found)) => {
                mark_deleting(step, &found.tags, &mut found.phase)
            }
            (CloudAction::Release, Some(found)) => release(step, &mut found.tags),
            (CloudAction::Delete | CloudAction::Release, None) => {}
        }
    }
}

fn mark_deleting(step: &CloudStep, tags: &BTreeMap<String, String>, phase: &mut Phase) {
    assert_eq!(step.owner.reads(tags), Ownership::Ours, "{step}: not ours");
    assert!(!matches!(phase, Phase::Creating | Phase::Deleting), "{step}: it is {phase:?}");
    *phase = Phase::Deleting;
}

fn release(step: &CloudStep, tags: &mut BTreeMap<String, String>) {
    assert_eq!(step.owner.reads(tags), Ownership::Ours, "{step}: not ours");
    *tags = BTreeMap::from([(TAG_RELEASED.to_owned(), step.owner.uid.to_string())]);
}
