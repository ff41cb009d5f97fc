//! What the object, its account and its hub allow the planner to do.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_api_types::{Adoption, ManagementMode, OnDrainTimeout};
use fleetwright_names::{Owner, PoolName, Uid};
use jiff::Timestamp;

use crate::{Address, Change, DesiredCluster, Goal, Snapshot, Waiting, Windows};

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What is wanted.
    pub goal: Goal,
    /// For whom.
    pub owner: &'a Owner,
    /// The generation of the object that says so.
    pub generation: i64,
    /// Where.
    pub address: &'a Address,
    /// What was seen.
    pub snapshot: &'a Snapshot,
    /// What the provider's diff says; read only for [`Goal::Present`].
    pub changes: &'a [Change],
    /// Every tag that our resources bear, see [`DesiredCluster::tags`]; without a declaration those of the owner.
    pub tags: &'a BTreeMap<String, String>,
    /// How pools are emptied that go for a successor, see [`PoolWay::of`].
    pub pools: &'a BTreeMap<PoolName, PoolWay>,
    /// What is allowed.
    pub rules: &'a Rules,
    /// The instant of the decision.
    pub now: Timestamp,
    /// How often to look.
    pub pace: Pace,
}

/// How a pool is emptied when it goes for a successor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolWay {
    /// The label selector of its nodes on the member.
    pub selector: String,
    /// How long its pods are asked to leave.
    pub drain_timeout: Duration,
    /// What follows when they do not.
    pub on_drain_timeout: OnDrainTimeout,
}

impl PoolWay {
    /// The way of every pool that was seen, by its own name; how long to ask comes from the declared pool that it stands for.
    #[must_use]
    pub fn of(
        desired: &DesiredCluster,
        snapshot: &Snapshot,
        selector: impl Fn(&PoolName) -> String,
    ) -> BTreeMap<PoolName, Self> {
        let ways = snapshot.pools.iter().filter_map(|(name, seen)| {
            let stands_for = &seen.present()?.stands_for;
            let declared = desired.pools.iter().find(|pool| pool.name == *stands_for)?;
            let way = Self {
                selector: selector(name),
                drain_timeout: declared.drain_timeout,
                on_drain_timeout: declared.on_drain_timeout,
            };
            Some((name.clone(), way))
        });
        ways.collect()
    }
}

/// How often to look, as the provider says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// While the cloud works.
    pub busy: Duration,
    /// Otherwise.
    pub idle: Duration,
}

/// What the object, its account and its hub allow.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// How far we may go.
    pub mode: ManagementMode,
    /// Whether the cluster exists already.
    pub adoption: Adoption,
    /// The earlier object whose resources become ours, named by a person.
    pub take_over: Option<Uid>,
    /// When disruptive work may start; `None`: at any time.
    pub windows: Option<Windows>,
    /// Until then nothing is repaired.
    pub hands_off_until: Option<Timestamp>,
    /// Why nothing may be deleted now: the account's limits, or the fuse.
    pub deletes_held: Option<Waiting>,
    /// Until when a cluster on its way out may clean up what it made outside itself; `None`: it need not.
    pub clean_up_until: Option<Timestamp>,
    /// When the declaration last changed, as far as known. A change that the cloud took on before and gave up is not held
    /// against it.
    pub edited_at: Option<Timestamp>,
    /// What the cloud itself allows.
    pub cloud: CloudRules,
}

/// What a cloud's own rules mean for the order of work. The default is the order that always works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CloudRules {
    /// While the control plane changes, the cloud takes no change of its pools, and the other way round.
    pub serial: bool,
    /// Nothing goes on by itself: what is begun is finished by steps of ours. What is being made or changed takes steps all the
    /// same, and the provider sees to it that they fit.
    pub by_hand: bool,
    /// Pools go with their control plane. Otherwise they hold it, and each must be gone before.
    pub pools_end_with_control_plane: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            mode: ManagementMode::Manage,
            adoption: Adoption::Never,
            take_over: None,
            windows: None,
            hands_off_until: None,
            deletes_held: None,
            clean_up_until: None,
            edited_at: None,
            cloud: CloudRules::default(),
        }
    }
}
