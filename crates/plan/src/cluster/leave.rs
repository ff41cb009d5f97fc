//! The cluster shall be gone, or be let go.

use super::hold::busy;
use super::whose::{Standing, has_tags};
use super::{Draft, Face, Planner};
use crate::{CloudAction, MemberStep, Phase, Plan, Resource, Seen, Step, Waiting};

impl<'a> Planner<'a> {
    /// Everything of ours goes: first what the cluster made outside itself, then what holds the control plane, then that.
    pub(super) fn absent(self) -> Plan {
        if let Some(draft) = self.unseen() {
            return self.finish(draft);
        }
        let mut draft = Draft::default();
        if self.takes_over(&mut draft) {
            return self.finish(draft);
        }
        let cluster = self.our_cluster();
        match cluster.map(|face| face.phase) {
            Some(Phase::Deleting) => {
                draft.wait(self.wait("the control plane to go"));
                return self.finish(draft);
            }
            Some(Phase::Creating) if !self.at.rules.cloud.by_hand => {
                draft.wait(self.wait(
                    "the control plane to be made, since the cloud refuses to delete it before",
                ));
                return self.finish(draft);
            }
            // What is only being made has nothing outside yet, and nobody to ask.
            Some(Phase::Active | Phase::Updating) if self.cleans_up(&mut draft) => {
                return self.finish(draft);
            }
            Some(Phase::Active | Phase::Updating | Phase::Creating | Phase::Failed) | None => {}
        }
        // What ends with the control plane need not be seen for that to go: a list that is denied must not keep it.
        let needed = |resource: &Resource| cluster.is_none() || self.holds_control_plane(resource);
        self.tell_unknown(&mut draft, self.others().filter(needed));
        self.empty(&mut draft, cluster.is_some());
        let is_quiet = draft.steps.is_empty() && draft.held.is_empty() && draft.waiting.is_empty();
        if is_quiet && cluster.is_none() {
            return self.gone();
        }
        if is_quiet {
            let delete = self.step(&Resource::Cluster, CloudAction::Delete);
            match self.after_failed_deletion(&Resource::Cluster, &mut draft) {
                Some(hold) => draft.hold(delete, hold),
                None => self.put(&mut draft, delete),
            }
        }
        self.finish(draft)
    }

    /// A takeover that the deletion cut off is finished first: what a person named, under a control plane that is ours
    /// already, would otherwise be left to nobody. Whether there was any.
    fn takes_over(self, draft: &mut Draft) -> bool {
        if self.our_cluster().is_none() {
            return false;
        }
        for resource in self.others().filter(has_tags) {
            let Seen::Present(face) = self.face(&resource) else { continue };
            if face.phase == Phase::Deleting {
                continue;
            }
            if let Standing::Claimable(Some(from)) = self.standing(&resource, face.tags) {
                self.put_claim(draft, &resource, Some(from));
            }
        }
        !draft.steps.is_empty() || !draft.held.is_empty()
    }

    /// Whether the cloud keeps the control plane while this is there; the rest ends with it.
    fn holds_control_plane(self, resource: &Resource) -> bool {
        match resource {
            Resource::Cluster => false,
            Resource::Pool(_) => !self.at.rules.cloud.pools_end_with_control_plane,
            Resource::Part(key) => key.kind.holds_control_plane(),
        }
    }

    fn our_cluster(self) -> Option<Face<'a>> {
        match self.face(&Resource::Cluster) {
            Seen::Present(face) if self.is_ours(&face) => Some(face),
            Seen::Present(_) | Seen::Absent | Seen::Unknown { .. } => None,
        }
    }

    /// Removes pools and parts. Under a control plane of ours only what keeps it from going: the rest ends with it.
    fn empty(self, draft: &mut Draft, cluster_is_ours: bool) {
        let mut single = self.single_in_motion();
        for resource in self.others() {
            let Seen::Present(face) = self.face(&resource) else { continue };
            let holds = self.holds_control_plane(&resource);
            let is_ours = self.is_ours(&face);
            // A stranger's resource holds nothing up but a control plane of ours.
            let concerns_us = if cluster_is_ours { holds } else { is_ours };
            if !concerns_us {
                continue;
            }
            match face.phase {
                Phase::Deleting => draft.wait(self.wait(format!("{resource} to go"))),
                _ if !is_ours => draft.wait(Waiting::new(
                    format!("{resource} to be removed"),
                    "whoever made it: it does not carry our tags, and the cloud keeps the control plane while it lives",
                )),
                Phase::Creating if !self.at.rules.cloud.by_hand => draft.wait(self.wait(format!(
                    "{resource} to be made, since the cloud refuses to delete it before"
                ))),
                Phase::Active | Phase::Updating | Phase::Creating | Phase::Failed => {
                    let is_single = matches!(&resource, Resource::Part(key) if key.kind.one_at_a_time());
                    let delete = || self.step(&resource, CloudAction::Delete);
                    if let Some(hold) = self.after_failed_deletion(&resource, draft) {
                        draft.hold(delete(), hold);
                        continue;
                    }
                    match &single {
                        Some(first) if is_single => draft.hold(delete(), busy(first)),
                        _ => {
                            self.put_unlocked(draft, &resource, CloudAction::Delete);
                            if is_single {
                                single = Some(resource);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Everything of ours is let go, the control plane last: while it is ours, a release that was cut off is found and
    /// finished.
    pub(super) fn released(self) -> Plan {
        if let Some(draft) = self.unseen() {
            return self.finish(draft);
        }
        let mut draft = Draft::default();
        if self.takes_over(&mut draft) {
            return self.finish(draft);
        }
        self.tell_unknown(&mut draft, self.others());
        for (resource, _) in self.our_others().filter(|(resource, _)| has_tags(resource)) {
            self.put_unlocked(&mut draft, &resource, CloudAction::Release);
        }
        if self.our_cluster().is_some() && draft.waiting.is_empty() && draft.held.is_empty() {
            self.put_unlocked(&mut draft, &Resource::Cluster, CloudAction::Release);
        }
        if draft.steps.is_empty() && draft.waiting.is_empty() && draft.held.is_empty() {
            self.gone()
        } else {
            self.finish(draft)
        }
    }

    /// Removes what the cluster made outside itself, as long as there is time for it. Whether anything is left to do.
    fn cleans_up(self, draft: &mut Draft) -> bool {
        let Some(until) = self.at.rules.clean_up_until.filter(|until| *until > self.at.now) else {
            return false;
        };
        let Some(outside) = &self.snapshot().member.outside else {
            draft.wait(Waiting {
                until: Some(until),
                ..Waiting::new("a look at what the cluster made outside itself", "the cluster")
            });
            return true;
        };
        for thing in outside {
            if thing.going {
                draft.wait(Waiting {
                    until: Some(until),
                    ..Waiting::new(format!("{} to go", thing.what), "the cluster")
                });
            } else {
                let delete = MemberStep::DeleteOutside {
                    what: thing.what.clone(),
                    object: thing.object.clone(),
                };
                self.put(draft, Step::Member(delete));
            }
        }
        !outside.is_empty()
    }
}
