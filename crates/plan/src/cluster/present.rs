//! The cluster shall be there: create, claim, complete, change, or only watch.

use fleetwright_api_types::{Adoption, ManagementMode};
use fleetwright_names::Uid;
use jiff::Timestamp;

use super::hold::Scene;
use super::order::in_order;
use super::whose::Standing;
use super::{Draft, Face, Hold, Planner, the};
use crate::{
    Change, ChangeKind, CloudAction, CloudStep, Held, Phase, Problem, Replacement, Resource, Seen,
    Step,
};

impl Planner<'_> {
    pub(super) fn present(self) -> Draft {
        if let Some(draft) = self.unseen() {
            return draft;
        }
        let mut draft = Draft::default();
        let Seen::Present(face) = self.face(&Resource::Cluster) else {
            self.birth(&mut draft);
            return draft;
        };
        let Some(standing) = self.cluster_standing(&mut draft) else { return draft };
        match (face.phase, standing) {
            (Phase::Creating, _) if !self.at.rules.cloud.by_hand => self.hold_creations(&mut draft),
            (Phase::Deleting | Phase::Failed, _) | (_, Standing::Strange(_)) => {}
            (Phase::Active | Phase::Updating | Phase::Creating, Standing::Ours) => {
                self.complete(&mut draft, None);
            }
            (Phase::Active | Phase::Updating | Phase::Creating, Standing::Claimable(from)) => {
                self.complete(&mut draft, Some(from));
            }
        }
        draft
    }

    /// There is no control plane.
    fn birth(self, draft: &mut Draft) {
        if self.at.rules.adoption == Adoption::Existing {
            draft.refused.push(Problem::new(
                "spec.adoption",
                format!(
                    "{} does not exist, and adoption Existing never creates it",
                    self.at.address
                ),
            ));
            return;
        }
        for change in self.at.changes.iter().filter(|change| change.resource == Resource::Cluster) {
            if let ChangeKind::Create { body, .. } = &change.kind
                && !draft.touches(&Resource::Cluster)
            {
                let action = CloudAction::Create { body: body.clone() };
                self.put(draft, self.step(&Resource::Cluster, action));
            }
        }
        self.hold_creations(draft);
    }

    /// Pools and parts come after the control plane.
    fn hold_creations(self, draft: &mut Draft) {
        for change in in_order(self.at.changes) {
            if let ChangeKind::Create { body, replaces } = &change.kind
                && change.resource != Resource::Cluster
            {
                let step = self.creation(&change.resource, body, replaces.as_ref());
                draft.hold(step, Hold::on("control plane"));
            }
        }
    }

    fn creation(
        self,
        resource: &Resource,
        body: &serde_json::Value,
        replaces: Option<&Replacement>,
    ) -> Step {
        let step = self.cloud_step(resource, CloudAction::Create { body: body.clone() });
        Step::Cloud(CloudStep { replaces: replaces.cloned(), ..step })
    }

    /// The control plane answers. With `claiming` it becomes ours first, and everything else waits for that.
    fn complete(self, draft: &mut Draft, claiming: Option<Option<Uid>>) {
        let is_claimed = claiming.is_some();
        self.claim(draft, claiming);
        self.tell_unknown(draft, self.others());
        let mut scene = Scene::of(self);
        for change in in_order(self.at.changes) {
            self.consider(change, draft, (&mut scene, is_claimed));
        }
        self.tell_phases(draft, |planner, face| planner.is_ours(face));
    }

    fn consider(self, change: &Change, draft: &mut Draft, (scene, claiming): (&mut Scene, bool)) {
        if let (then, Some(why)) = change.in_time() {
            let then = Change { resource: change.resource.clone(), kind: then.clone() };
            if let Some(step) = self.decided(&then, draft) {
                draft.hold(step, Hold::on(why));
            }
            return;
        }
        let Some(step) = self.decided(change, draft) else { return };
        if claiming {
            return draft.hold(step, Hold::on("claim of control plane"));
        }
        match self.reason_to_wait(change, draft, scene) {
            Some(hold) => draft.hold(step, hold),
            None => {
                scene.note(change);
                match &change.kind {
                    ChangeKind::Retire { successor } => self.retire(draft, change, successor),
                    _ => self.put(draft, step),
                }
            }
        }
    }

    /// The step that `change` means, if it means one. A retirement is shown by its end.
    fn decided(self, change: &Change, draft: &mut Draft) -> Option<Step> {
        if self.at.rules.mode == ManagementMode::CreateOnly && !creates(change) {
            draft.ignored.extend(super::left_out::differences(change));
            return None;
        }
        let resource = &change.resource;
        let seen = self.face(resource);
        if let ChangeKind::Refused { field, declared, found, why } = &change.kind {
            let message = format!("declared {declared}, found {found}: {why}");
            draft.refused.push(Problem::new(field, message));
            return None;
        }
        match (&change.kind, seen) {
            // What is there, or may be there, is not made; what is going is made again once it is gone.
            (ChangeKind::Create { body, replaces }, Seen::Absent) => {
                Some(self.creation(resource, body, replaces.as_ref()))
            }
            (ChangeKind::Update(update), Seen::Present(face))
                if self.is_ours(&face) || draft.touches(resource) =>
            {
                Some(self.step(resource, CloudAction::Update(update.clone())))
            }
            // What bears the successor's name without being ours keeps the pool where it is.
            (ChangeKind::Retire { successor }, Seen::Present(face))
                if self.is_ours(&face) && self.is_taken(successor, draft) =>
            {
                None
            }
            (ChangeKind::Retire { .. } | ChangeKind::Delete, Seen::Present(face))
                if self.is_ours(&face)
                    && face.phase != Phase::Deleting
                    && *resource != Resource::Cluster =>
            {
                Some(self.step(resource, CloudAction::Delete))
            }
            _ => None,
        }
    }

    /// Tells what moves and what is broken. `told` says whose is news.
    pub(super) fn tell_phases(self, draft: &mut Draft, told: impl Fn(Self, &Face<'_>) -> bool) {
        for resource in std::iter::once(Resource::Cluster).chain(self.others()) {
            let Seen::Present(face) = self.face(&resource) else { continue };
            if resource != Resource::Cluster && !told(self, &face) {
                continue;
            }
            let name = the(&resource);
            match face.phase {
                // Told before, with what follows from it.
                Phase::Creating | Phase::Deleting | Phase::Failed
                    if resource == Resource::Cluster => {}
                Phase::Creating => draft.wait(self.wait(format!("{name} to be made"))),
                Phase::Deleting => draft.wait(self.wait(format!("{name} to go"))),
                Phase::Failed if self.is_leaving(&resource) => {}
                Phase::Failed => draft.refused.push(self.broken(&resource, face.trouble)),
                Phase::Updating | Phase::Active if face.is_busy() => {
                    draft.wait(self.wait(format!("{name} to change")));
                }
                Phase::Updating | Phase::Active => {}
            }
        }
    }

    pub(super) fn is_leaving(self, resource: &Resource) -> bool {
        self.at.changes.iter().any(|change| {
            change.resource == *resource
                && matches!(change.kind, ChangeKind::Delete | ChangeKind::Retire { .. })
        })
    }

    fn broken(self, resource: &Resource, trouble: &str) -> Problem {
        let Resource::Pool(name) = resource else {
            return Problem::new("", format!("{resource} failed in the cloud: {trouble}"));
        };
        let stands_for =
            self.snapshot().pools.get(name).and_then(Seen::present).map(|pool| &pool.stands_for);
        match stands_for {
            Some(declared) if declared != name => Problem::new(
                format!("spec.nodePools[{declared}]"),
                format!("{resource}, which stands for it, failed in the cloud: {trouble}"),
            ),
            _ => Problem::new(
                format!("spec.nodePools[{name}]"),
                format!("failed in the cloud: {trouble}"),
            ),
        }
    }

    /// Somebody asked for quiet: everything that was to be done now waits.
    pub(super) fn hands_off(self, mut draft: Draft) -> Draft {
        let Some(until) = self.at.rules.hands_off_until.filter(|until| *until > self.at.now) else {
            return draft;
        };
        let why = format!("hands off until {}", rfc3339(until));
        let steps = std::mem::take(&mut draft.steps);
        let held =
            steps.into_iter().map(|step| Held { step, why: why.clone(), until: Some(until) });
        draft.held = held.chain(std::mem::take(&mut draft.held)).collect();
        draft
    }
}

/// All that mode CreateOnly may do.
const fn creates(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Create { replaces: None, .. } | ChangeKind::Claim)
}

/// Whole seconds, as people write it.
fn rfc3339(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
