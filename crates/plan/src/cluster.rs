//! The plan for one cluster. This file holds the frame; the ideas have a file each below.

mod failure;
mod hold;
mod leave;
mod left_out;
mod order;
mod present;
mod retire;
mod whose;

use std::time::Duration;

use fleetwright_api_types::ManagementMode;
use fleetwright_errclass::RETRY_AFTER_LIMIT;
use fleetwright_names::Ownership;
use jiff::Timestamp;

use crate::{
    CloudAction, CloudStep, Difference, Held, Phase, Plan, Problem, Resource, Seen, SeenUpdate,
    Situation, Snapshot, Step, UpdateState, Waiting,
};

/// The token of a creation holds for so long; longer than any request may be on its way.
const MADE_AGAIN_AFTER_SECONDS: i64 = 600;

/// What the object's owner wants of the cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goal {
    /// The cluster shall be there, as declared.
    Present,
    /// It shall be gone: confirmed by a person.
    Absent,
    /// It shall be let go, untouched.
    Released,
}

/// Plans one cluster.
///
/// What is [`Seen::Unknown`] is only looked at again, and so is all that depends on it: everything on the control plane,
/// the control plane's end on the last of the others.
#[must_use]
pub fn plan_cluster(situation: &Situation<'_>) -> Plan {
    let planner = Planner { at: situation };
    let observed = situation.rules.mode == ManagementMode::Observe;
    match situation.goal {
        Goal::Absent | Goal::Released if observed => planner.gone(),
        Goal::Present if observed => planner.finish(planner.observed()),
        Goal::Present => {
            let draft = planner.hands_off(planner.present());
            planner.finish(draft)
        }
        Goal::Absent => planner.absent(),
        Goal::Released => planner.released(),
    }
}

/// A plan in the making.
#[derive(Debug, Default)]
struct Draft {
    steps: Vec<Step>,
    held: Vec<Held>,
    waiting: Vec<Waiting>,
    refused: Vec<Problem>,
    ignored: Vec<Difference>,
    /// Something moves in the cloud, or was not seen: it is worth looking soon.
    moving: bool,
}

impl Draft {
    /// Waits for something that moves.
    fn wait(&mut self, waiting: Waiting) {
        self.moving = true;
        self.waiting.push(waiting);
    }

    fn hold(&mut self, step: Step, hold: Hold) {
        self.held.push(Held { step, why: hold.why, until: hold.until });
    }

    fn touches(&self, resource: &Resource) -> bool {
        let on = |step: &Step| step.resource().as_ref() == Some(resource);
        let claims = |held: &Held| matches!(&held.step, Step::Cloud(step) if matches!(step.action, CloudAction::Claim { .. }));
        self.steps.iter().any(on) || self.held.iter().any(|held| claims(held) && on(&held.step))
    }
}

/// Why a step waits.
#[derive(Debug)]
struct Hold {
    why: String,
    until: Option<Timestamp>,
}

impl Hold {
    fn on(why: impl Into<String>) -> Self {
        Self { why: why.into(), until: None }
    }

    fn until(why: impl Into<String>, until: Timestamp) -> Self {
        Self { why: why.into(), until: Some(until) }
    }
}

/// What control planes, pools and parts have in common.
#[derive(Debug, Clone, Copy)]
struct Face<'a> {
    tags: &'a std::collections::BTreeMap<String, String>,
    phase: Phase,
    trouble: &'a str,
    last_update: Option<&'a SeenUpdate>,
}

impl Face<'_> {
    /// The cloud takes no further change of it now.
    fn is_busy(&self) -> bool {
        let changing = self.last_update.is_some_and(|last| last.state == UpdateState::InProgress);
        changing || matches!(self.phase, Phase::Creating | Phase::Updating | Phase::Deleting)
    }
}

#[derive(Clone, Copy)]
struct Planner<'a> {
    at: &'a Situation<'a>,
}

impl<'a> Planner<'a> {
    fn snapshot(self) -> &'a Snapshot {
        self.at.snapshot
    }

    /// A resource as it was seen.
    fn face(self, resource: &Resource) -> Seen<Face<'a>> {
        match resource {
            Resource::Cluster => face_of(Some(&self.snapshot().cluster), |seen| Face {
                tags: &seen.tags,
                phase: seen.phase,
                trouble: &seen.trouble,
                last_update: seen.last_update.as_ref(),
            }),
            Resource::Pool(name) => face_of(self.snapshot().pools.get(name), |seen| Face {
                tags: &seen.tags,
                phase: seen.phase,
                trouble: &seen.trouble,
                last_update: seen.last_update.as_ref(),
            }),
            Resource::Part(key) => face_of(self.snapshot().parts.get(key), |seen| Face {
                tags: &seen.tags,
                phase: seen.phase,
                trouble: &seen.trouble,
                last_update: seen.last_update.as_ref(),
            }),
        }
    }

    /// Every pool and part that the cloud lists, pools first.
    fn others(self) -> impl Iterator<Item = Resource> + 'a {
        let pools = self.snapshot().pools.keys().cloned().map(Resource::Pool);
        pools.chain(self.snapshot().parts.keys().cloned().map(Resource::Part))
    }

    /// The pools and parts that carry our tags.
    fn our_others(self) -> impl Iterator<Item = (Resource, Face<'a>)> + 'a {
        self.others().filter_map(move |resource| match self.face(&resource) {
            Seen::Present(face) if self.is_ours(&face) => Some((resource, face)),
            Seen::Present(_) | Seen::Absent | Seen::Unknown { .. } => None,
        })
    }

    fn is_ours(self, face: &Face<'_>) -> bool {
        self.at.owner.reads(face.tags) == Ownership::Ours
    }

    fn step(self, resource: &Resource, action: CloudAction) -> Step {
        Step::Cloud(self.cloud_step(resource, action))
    }

    /// The same change a second time in one generation gets another token once the cloud has taken on one since. What was
    /// made and deleted by somebody leaves nothing to tell a second making by, so the time does: a cloud that knows the
    /// token would do nothing. Where the two tokens of one making differ because the time turned between them, the name is
    /// taken, which is a lost race and no second thing.
    fn cloud_step(self, resource: &Resource, action: CloudAction) -> CloudStep {
        let attempt = match (&action, self.face(resource)) {
            (CloudAction::Update(_), Seen::Present(face)) => {
                face.last_update.map(|last| last.id.clone()).unwrap_or_default()
            }
            (CloudAction::Create { .. }, _) => {
                format!(" {}", self.at.now.as_second().div_euclid(MADE_AGAIN_AFTER_SECONDS))
            }
            _ => String::new(),
        };
        CloudStep::new(
            self.at.address.clone(),
            resource.clone(),
            (self.at.owner.clone(), self.at.generation),
            action,
            &attempt,
        )
    }

    /// Adds a step, unless it destroys something while nothing may be destroyed.
    fn put(self, draft: &mut Draft, step: Step) {
        match self.deletes_held() {
            Some(hold) if step.destroys() => draft.hold(step, hold),
            _ => draft.steps.push(step),
        }
    }

    fn deletes_held(self) -> Option<Hold> {
        let held = self.at.rules.deletes_held.as_ref()?;
        Some(Hold { why: format!("{}, on {}", held.what, held.on), until: held.until })
    }

    fn wait(self, what: impl Into<String>) -> Waiting {
        Waiting::new(what, self.at.address.provider)
    }

    /// Tells what of `resources` could not be seen.
    fn tell_unknown(self, draft: &mut Draft, resources: impl Iterator<Item = Resource>) {
        for resource in resources {
            if let Seen::Unknown { why, .. } = self.face(&resource) {
                draft.wait(Waiting::new(format!("a look at {}", the(&resource)), why));
            }
        }
    }

    /// Whether the control plane could not be seen: then only a look at everything unknown follows.
    fn unseen(self) -> Option<Draft> {
        let unknown = matches!(self.snapshot().cluster, Seen::Unknown { .. });
        unknown.then(|| {
            let mut draft = Draft::default();
            self.tell_unknown(&mut draft, std::iter::once(Resource::Cluster).chain(self.others()));
            draft
        })
    }

    fn gone(self) -> Plan {
        Plan { generation: self.at.generation, gone: true, ..Plan::default() }
    }

    fn finish(self, draft: Draft) -> Plan {
        let asked_for = self.snapshot().retry_after.unwrap_or_default().min(RETRY_AFTER_LIMIT);
        let requeue = Some(self.requeue(&draft).max(asked_for));
        let Draft { steps, held, waiting, refused, ignored, moving: _ } = draft;
        let generation = self.at.generation;
        Plan { generation, steps, held, waiting, refused, ignored, requeue, gone: false }
    }

    /// Soon while anything moves; else when the first wait with a known end is over, but never later than idly. A step that
    /// is held without an end waits for something that moves, for one of the others, or for a person.
    fn requeue(self, draft: &Draft) -> Duration {
        if draft.moving || !draft.steps.is_empty() {
            return self.at.pace.busy;
        }
        let held = draft.held.iter().filter_map(|held| held.until);
        let ends = held.chain(draft.waiting.iter().filter_map(|waiting| waiting.until));
        let Some(first) = ends.min() else { return self.at.pace.idle };
        let left = Duration::try_from(first.duration_since(self.at.now)).unwrap_or_default();
        left.max(Duration::from_secs(1)).min(self.at.pace.idle)
    }
}

fn face_of<'a, T>(seen: Option<&'a Seen<T>>, face: impl Fn(&'a T) -> Face<'a>) -> Seen<Face<'a>> {
    match seen {
        None | Some(Seen::Absent) => Seen::Absent,
        Some(Seen::Present(thing)) => Seen::Present(face(thing)),
        Some(Seen::Unknown { since, why }) => Seen::Unknown { since: *since, why: why.clone() },
    }
}

/// A resource in a sentence.
fn the(resource: &Resource) -> String {
    match resource {
        Resource::Cluster => "the control plane".to_owned(),
        Resource::Pool(_) | Resource::Part(_) => resource.to_string(),
    }
}
