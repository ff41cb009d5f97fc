//! A pool goes for its successor: drained, then deleted.

use fleetwright_api_types::OnDrainTimeout;
use fleetwright_names::PoolName;
use jiff::SignedDuration;

use super::{Draft, Planner};
use crate::{
    Change, ChangeKind, CloudAction, Drain, MemberStep, Phase, PoolWay, Resource, Seen, Step,
    Waiting,
};

impl Planner<'_> {
    /// A pool that loses its nodes to a successor which is there already.
    pub(super) fn begun(self) -> Option<Resource> {
        let mut begun: Vec<&Change> =
            self.at.changes.iter().filter(|c| self.has_begun(c)).collect();
        begun.sort_by_key(|change| &change.resource);
        begun.first().map(|change| change.resource.clone())
    }

    fn has_begun(self, change: &Change) -> bool {
        let ChangeKind::Retire { successor } = &change.kind else { return false };
        let ours = match self.face(&change.resource) {
            Seen::Present(face) => self.is_ours(&face),
            Seen::Absent | Seen::Unknown { .. } => false,
        };
        let successor = Resource::Pool(successor.clone());
        ours && !matches!(self.face(&successor), Seen::Absent)
    }

    /// Whether `successor` carries what runs on `old`.
    pub(super) fn succeeds(self, successor: &PoolName, old: &Resource) -> bool {
        let Resource::Pool(old) = old else { return false };
        let pool = |name| self.snapshot().pools.get(name).and_then(Seen::present);
        let (Some(new), Some(old)) = (pool(successor), pool(old)) else { return false };
        let is_ours = self.at.owner.reads(&new.tags) == fleetwright_names::Ownership::Ours;
        // A pool in trouble has fewer nodes than it wants: pods that leave the old one would have nowhere to go.
        let is_well = new.phase == Phase::Active && new.trouble.is_empty();
        is_ours && is_well && (new.size > 0 || old.size == 0)
    }

    /// The successor is ready: one pass of emptying, or the end.
    pub(super) fn retire(self, draft: &mut Draft, change: &Change, successor: &PoolName) {
        let Resource::Pool(pool) = &change.resource else { return };
        let drain = self.snapshot().member.drains.get(pool);
        if drain.is_some_and(is_empty) {
            let delete = self.step(&change.resource, CloudAction::Delete);
            return self.put(draft, delete);
        }
        let Some(way) = self.at.pools.get(pool) else {
            let what = format!("a way to empty pool {pool} for its successor {successor}");
            return draft.wait(Waiting::new(what, "a look at the declaration"));
        };
        let is_late = drain.is_some_and(|drain| self.is_late(drain, way));
        if is_late && way.on_drain_timeout == OnDrainTimeout::Wait {
            draft.wait(Waiting::new(blocked(pool, drain), "a person"));
        }
        draft.steps.push(Step::Member(MemberStep::Drain {
            pool: pool.clone(),
            selector: way.selector.clone(),
            onto: self.at.pools.get(successor).map(|way| way.selector.clone()).unwrap_or_default(),
            force: is_late && way.on_drain_timeout == OnDrainTimeout::Force,
        }));
    }

    fn is_late(self, drain: &Drain, way: &PoolWay) -> bool {
        let end = drain.since.and_then(|since| {
            since.checked_add(SignedDuration::try_from(way.drain_timeout).ok()?).ok()
        });
        end.is_some_and(|end| end <= self.at.now)
    }
}

const fn is_empty(drain: &Drain) -> bool {
    drain.pods_left == 0 && drain.cordoned == drain.nodes
}

fn blocked(pool: &PoolName, drain: Option<&Drain>) -> String {
    let left = drain.map_or(0, |drain| drain.pods_left);
    let why = drain.map(|drain| drain.blocked.join("; ")).unwrap_or_default();
    let why = if why.is_empty() { "nothing says why they stay".to_owned() } else { why };
    format!("{left} pods to leave pool {pool}: {why}")
}
