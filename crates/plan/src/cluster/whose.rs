//! Whose a resource is, and whether it may become ours.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::{ANNOTATION_TAKE_OVER, Adoption};
use fleetwright_names::{Ownership, PoolName, TAG_POOL, Uid};

use super::{Draft, Planner, the};
use crate::{ChangeKind, CloudAction, Phase, Problem, Resource, Seen};

/// Whether a resource is ours or may be made so.
#[derive(Debug)]
pub(super) enum Standing {
    Ours,
    /// It may: its tags name this uid now, or nobody.
    Claimable(Option<Uid>),
    /// It may not.
    Strange(Problem),
}

impl Planner<'_> {
    /// Reads the tags of `resource` under our rules.
    pub(super) fn standing(self, resource: &Resource, tags: &BTreeMap<String, String>) -> Standing {
        let rules = self.at.rules;
        match self.at.owner.reads(tags) {
            Ownership::Ours => Standing::Ours,
            Ownership::Untagged | Ownership::Released if rules.adoption == Adoption::Existing => {
                Standing::Claimable(None)
            }
            Ownership::Predecessor(uid) if rules.take_over.as_ref() == Some(&uid) => {
                Standing::Claimable(Some(uid))
            }
            strange => Standing::Strange(self.conflict(resource, &strange)),
        }
    }

    /// Why we may not touch what bears our name, and what to do.
    fn conflict(self, resource: &Resource, whose: &Ownership) -> Problem {
        let address = self.at.address;
        let (field, thing, other) = match resource {
            Resource::Cluster => (
                format!("spec.{}.externalName", address.provider),
                address.to_string(),
                "choose another externalName",
            ),
            Resource::Pool(name) => {
                (format!("spec.nodePools[{name}]"), resource.to_string(), "choose another name")
            }
            Resource::Part(_) => (String::new(), resource.to_string(), "no longer declare it"),
        };
        let message = match whose {
            // Only for completeness: what is ours is no conflict.
            Ownership::Ours => format!("{thing} is ours"),
            Ownership::Predecessor(uid) => format!(
                "{thing} belongs to an earlier {} with uid {uid}; take it over with the annotation {ANNOTATION_TAKE_OVER}: {uid}, \
                 delete it, or {other}",
                self.at.owner.object
            ),
            Ownership::Released => format!(
                "{thing} was released by Fleetwright earlier; set adoption: Existing to take it back, delete it, or {other}"
            ),
            Ownership::Other(who) => format!("{thing} belongs to {who}; {other}"),
            Ownership::Untagged => format!(
                "{thing} exists and was not made by Fleetwright; set adoption: Existing to adopt it, or {other}"
            ),
        };
        Problem::new(field, message)
    }

    /// Whether somebody else has a pool of this name, and is not about to give it to us; that is told.
    pub(super) fn is_taken(self, name: &PoolName, draft: &mut Draft) -> bool {
        let resource = Resource::Pool(name.clone());
        let Seen::Present(face) = self.face(&resource) else { return false };
        if self.is_ours(&face) || draft.touches(&resource) {
            return false;
        }
        let problem = self.conflict(&resource, &self.at.owner.reads(face.tags));
        if !draft.refused.contains(&problem) {
            draft.refused.push(problem);
        }
        true
    }

    /// Makes ours what may be: the control plane first, if `cluster` says so, then the declared pools and parts and all that
    /// the predecessor left.
    pub(super) fn claim(self, draft: &mut Draft, cluster: Option<Option<Uid>>) {
        if let Some(from) = cluster {
            self.put_claim(draft, &Resource::Cluster, from);
        }
        let declared = self.at.changes.iter().filter(|change| change.kind == ChangeKind::Claim);
        let declared: BTreeSet<&Resource> = declared.map(|change| &change.resource).collect();
        for resource in self.others().filter(has_tags) {
            let Seen::Present(face) = self.face(&resource) else { continue };
            if face.phase == Phase::Deleting {
                continue;
            }
            match self.standing(&resource, face.tags) {
                Standing::Claimable(from) if from.is_some() || declared.contains(&resource) => {
                    self.put_claim(draft, &resource, from);
                }
                Standing::Strange(problem) if declared.contains(&resource) => {
                    draft.refused.push(problem);
                }
                Standing::Ours | Standing::Claimable(_) | Standing::Strange(_) => {}
            }
        }
    }

    /// Claims now, or as soon as the cloud takes it.
    pub(super) fn put_claim(self, draft: &mut Draft, resource: &Resource, from: Option<Uid>) {
        let mut tags = self.at.tags.clone();
        if let Resource::Pool(name) = resource {
            // In the same write: which declared pool it is.
            let seen = self.at.snapshot.pools.get(name).and_then(Seen::present);
            let stands_for = seen.map_or(name, |seen| &seen.stands_for);
            tags.insert(TAG_POOL.to_owned(), stands_for.to_string());
        }
        self.put_unlocked(draft, resource, CloudAction::Claim { tags, from });
    }

    /// Does now what costs nobody anything, or as soon as the cloud takes it.
    pub(super) fn put_unlocked(self, draft: &mut Draft, on: &Resource, action: CloudAction) {
        let step = self.step(on, action);
        match self.locked(on, draft) {
            Some(hold) => {
                draft.moving = true;
                draft.hold(step, hold);
            }
            None => self.put(draft, step),
        }
    }

    /// Whether the control plane is ours; what is to be waited for or refused otherwise goes to `draft`.
    pub(super) fn cluster_standing(self, draft: &mut Draft) -> Option<Standing> {
        let Seen::Present(face) = self.face(&Resource::Cluster) else { return None };
        let standing = self.standing(&Resource::Cluster, face.tags);
        if let Standing::Strange(problem) = standing {
            draft.refused.push(problem);
            return None;
        }
        match face.phase {
            Phase::Creating => draft.wait(self.wait(format!("{} to be made", the(&Resource::Cluster)))),
            Phase::Deleting => {
                draft.wait(self.wait("the control plane to go, so that it can be made again"));
            }
            Phase::Failed => draft.refused.push(Problem::new(
                "",
                format!(
                    "{} failed in the cloud: {}; delete it there or delete this object, then declare it again",
                    self.at.address, face.trouble
                ),
            )),
            Phase::Active | Phase::Updating => {}
        }
        Some(standing)
    }
}

/// What has none belongs to whom its control plane belongs.
pub(super) const fn has_tags(resource: &Resource) -> bool {
    match resource {
        Resource::Part(key) => key.kind.has_tags(),
        Resource::Cluster | Resource::Pool(_) => true,
    }
}
