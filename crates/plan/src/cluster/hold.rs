//! Why a decided step must wait.

use super::order::{Rank, governed, is_birth};
use super::{Draft, Face, Hold, Planner};
use crate::{Change, ChangeKind, KubernetesVersion, Phase, Resource, Seen, Update, WindowState};

const TO_BE_MADE: &str = "to be made";
const TO_BE_WELL: &str = "to be well";

/// What is under way on pools, so that nodes are taken from one pool at a time.
#[derive(Debug)]
pub(super) struct Scene {
    /// The pool that loses nodes now.
    disrupted: Option<Resource>,
    /// The pool or part that is being made or removed one at a time.
    single: Option<Resource>,
    /// A pool that may have no nodes yet, and what is waited for.
    born: Option<(Resource, &'static str)>,
}

impl Scene {
    pub(super) fn of(planner: Planner<'_>) -> Self {
        let pools = |resource: &Resource| matches!(resource, Resource::Pool(_));
        let changing = planner
            .our_others()
            .find(|(resource, face)| {
                pools(resource) && face.is_busy() && face.phase != Phase::Creating
            })
            .map(|(resource, _)| resource);
        // One that failed has no nodes either. Where the cloud keeps it and tries again, it is in trouble, then it changes.
        let unborn = |resource: &Resource, face: &Face<'_>| match face.phase {
            Phase::Creating => Some(TO_BE_MADE),
            Phase::Deleting => None,
            _ if planner.is_leaving(resource) => None,
            Phase::Failed => Some(TO_BE_MADE),
            Phase::Updating => Some(TO_BE_WELL),
            Phase::Active => (!face.trouble.is_empty()).then_some(TO_BE_WELL),
        };
        let born = planner.our_others().filter(|(resource, _)| pools(resource)).find_map(
            |(resource, face)| {
                let what = unborn(&resource, &face)?;
                Some((resource, what))
            },
        );
        Self {
            disrupted: planner.begun().or(changing).or_else(|| planner.unknown_pool()),
            single: planner.single_in_motion(),
            born,
        }
    }

    /// Takes note of a step that is taken now.
    pub(super) fn note(&mut self, change: &Change) {
        let resource = || Some(change.resource.clone());
        if Rank::of(change).disrupts() && matches!(change.resource, Resource::Pool(_)) {
            self.disrupted = resource();
        }
        if is_single(change) {
            self.single = resource();
        }
        if is_birth(change) && matches!(change.resource, Resource::Pool(_)) {
            self.born = resource().map(|resource| (resource, TO_BE_MADE));
        }
    }
}

impl Planner<'_> {
    /// Why the step of `change` is not taken now; the reason that lasts longest first.
    pub(super) fn reason_to_wait(
        self,
        change: &Change,
        draft: &mut Draft,
        scene: &Scene,
    ) -> Option<Hold> {
        let face = match self.face(&change.resource) {
            Seen::Present(face) => Some(face),
            Seen::Absent | Seen::Unknown { .. } => None,
        };
        if let Some(hold) = face.and_then(|face| self.after_failure(change, &face, draft)) {
            return Some(hold);
        }
        if let Some(hold) = self.outside_window(change) {
            return Some(hold);
        }
        if face.is_some_and(|face| self.takes_no_step(&face)) || draft.touches(&change.resource) {
            return Some(busy(&change.resource));
        }
        if let Some(hold) = self.locked(&change.resource, draft) {
            return Some(hold);
        }
        match Rank::of(change) {
            Rank::ControlPlaneVersion => self.before_upgrade(draft),
            Rank::PoolVersion | Rank::Roll | Rank::Replace => {
                self.before_nodes(change, draft, scene)
            }
            Rank::Retire => self.before_retiring(change, scene),
            Rank::Delete => self.before_delete(change, scene),
            Rank::Complete => single(change, scene),
            Rank::Claim | Rank::Settings | Rank::Refused => None,
        }
    }

    /// What is on its way takes no further step, unless it is our steps that bring it on.
    fn takes_no_step(self, face: &Face<'_>) -> bool {
        face.is_busy() && !self.at.rules.cloud.by_hand
    }

    /// Where the cloud takes one change of a cluster at a time: what keeps it from taking one of `resource`.
    pub(super) fn locked(self, resource: &Resource, draft: &Draft) -> Option<Hold> {
        if !self.at.rules.cloud.serial {
            return None;
        }
        let is_pool = |other: &Resource| matches!(other, Resource::Pool(_));
        let moves = |other: &Resource| match self.face(other) {
            Seen::Present(face) => face.is_busy() || draft.touches(other),
            Seen::Absent | Seen::Unknown { .. } => draft.touches(other),
        };
        match resource {
            Resource::Cluster => {
                let begun = draft.steps.iter().filter_map(crate::Step::resource);
                let mut pools = self.others().chain(begun).filter(is_pool);
                pools.find(moves).map(|pool| busy(&pool))
            }
            Resource::Pool(_) => moves(&Resource::Cluster).then(|| busy(&Resource::Cluster)),
            Resource::Part(_) => None,
        }
    }

    /// What is being made or removed of that which the cloud moves one at a time, whosever it is.
    pub(super) fn single_in_motion(self) -> Option<Resource> {
        self.others().find(|resource| match (resource, self.face(resource)) {
            (Resource::Part(key), Seen::Present(face)) => {
                key.kind.one_at_a_time() && face.is_busy()
            }
            _ => false,
        })
    }

    fn outside_window(self, change: &Change) -> Option<Hold> {
        let work = governed(change)?;
        let windows = self.at.rules.windows.as_ref().filter(|windows| windows.governs(work))?;
        match windows.at(self.at.now) {
            WindowState::Open => None,
            WindowState::Closed { opens } => {
                Some(Hold::until(format!("window {}", windows.local(opens)), opens))
            }
        }
    }

    /// The control plane takes its next version only when all is quiet and no pool is behind.
    fn before_upgrade(self, draft: &Draft) -> Option<Hold> {
        if let Some(first) = draft.steps.iter().find_map(crate::Step::resource) {
            return Some(busy(&first));
        }
        if let Some(unseen) = self.others().find(|other| self.is_unknown(other)) {
            return Some(self.until_quiet(&unseen));
        }
        if let Some((moving, _)) = self.our_others().find(|(_, face)| face.is_busy()) {
            return Some(busy(&moving));
        }
        let now = self.control_plane_version()?;
        let behind = self
            .our_others()
            .any(|(resource, _)| self.pool_version(&resource).is_some_and(|version| version < now));
        behind.then(|| Hold::on("pools follow first"))
    }

    /// Nodes are taken from one pool at a time, and from none while the control plane changes.
    fn before_nodes(self, change: &Change, draft: &Draft, scene: &Scene) -> Option<Hold> {
        let Seen::Present(cluster) = self.face(&Resource::Cluster) else {
            return Some(Hold::on("control plane"));
        };
        if self.takes_no_step(&cluster) || draft.touches(&Resource::Cluster) {
            return Some(busy(&Resource::Cluster));
        }
        if let ChangeKind::Update(Update { upgrade: Some(upgrade), .. }) = &change.kind
            && self.control_plane_version().is_none_or(|version| upgrade.to > version)
        {
            return Some(Hold::on("control plane"));
        }
        if !matches!(change.resource, Resource::Pool(_)) {
            return None;
        }
        if let (Rank::Replace, Some(hold)) = (Rank::of(change), self.deletes_held()) {
            return Some(hold);
        }
        scene.disrupted.as_ref().map(|pool| self.until_quiet(pool))
    }

    fn before_retiring(self, change: &Change, scene: &Scene) -> Option<Hold> {
        let ChangeKind::Retire { successor } = &change.kind else { return None };
        if !self.succeeds(successor, &change.resource) {
            return Some(Hold::on(format!("successor {successor}")));
        }
        if let Some(hold) = self.deletes_held() {
            return Some(hold);
        }
        let other = scene.disrupted.as_ref().filter(|pool| **pool != change.resource);
        other.map(|pool| self.until_quiet(pool))
    }

    /// A pool that is no longer declared may be one under a new name: its nodes stay until the new ones are there.
    fn before_delete(self, change: &Change, scene: &Scene) -> Option<Hold> {
        let single = single(change, scene);
        let is_pool = matches!(change.resource, Resource::Pool(_));
        let born = scene.born.as_ref().filter(|_| is_pool);
        single.or_else(|| born.map(|(born, what)| Hold::on(format!("{born} {what}"))))
    }

    fn until_quiet(self, resource: &Resource) -> Hold {
        if self.is_unknown(resource) {
            return Hold::on(format!("a look at {resource}"));
        }
        busy(resource)
    }

    fn is_unknown(self, resource: &Resource) -> bool {
        matches!(self.face(resource), Seen::Unknown { .. })
    }

    fn unknown_pool(self) -> Option<Resource> {
        self.others().find(|other| matches!(other, Resource::Pool(_)) && self.is_unknown(other))
    }

    fn control_plane_version(self) -> Option<KubernetesVersion> {
        let cluster = self.snapshot().cluster.present()?;
        KubernetesVersion::parse("", &cluster.version).ok()
    }

    fn pool_version(self, resource: &Resource) -> Option<KubernetesVersion> {
        let Resource::Pool(name) = resource else { return None };
        let pool = self.snapshot().pools.get(name)?.present()?;
        KubernetesVersion::parse("", &pool.version).ok()
    }
}

pub(super) fn busy(resource: &Resource) -> Hold {
    Hold::on(format!("update of {resource}"))
}

/// Made and removed one at a time, by the cloud's own rule.
fn is_single(change: &Change) -> bool {
    let Resource::Part(key) = &change.resource else { return false };
    let moves = matches!(change.kind, ChangeKind::Create { .. } | ChangeKind::Delete);
    moves && key.kind.one_at_a_time()
}

fn single(change: &Change, scene: &Scene) -> Option<Hold> {
    scene.single.as_ref().filter(|_| is_single(change)).map(busy)
}
