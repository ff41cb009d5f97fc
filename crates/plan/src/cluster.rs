//! The plan for one cluster: create, wait, complete, delete, release.

use std::time::Duration;

use fleetwright_names::{Owner, Ownership, PoolName};

use crate::{
    Address, Change, ChangeKind, CloudAction, CloudStep, Phase, Plan, Problem, Resource, Seen,
    SeenCluster, SeenPool, Snapshot, Step, Waiting,
};

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

/// How often to look, as the provider says.
struct Pace {
    busy: Duration,
    idle: Duration,
}

/// Plans one cluster.
///
/// `changes` come from the provider's diff and are read only for [`Goal::Present`]. `busy` is the time between looks while
/// the cloud works, `idle` otherwise. On [`Seen::Unknown`] the plan never creates and never deletes.
#[must_use]
pub fn plan_cluster(
    goal: Goal,
    (owner, generation): (&Owner, i64),
    address: &Address,
    (snapshot, changes): (&Snapshot, &[Change]),
    (busy, idle): (Duration, Duration),
) -> Plan {
    let planner = Planner { owner, generation, address, pace: Pace { busy, idle } };
    if let Some(plan) = planner.unseen(snapshot) {
        return plan;
    }
    match goal {
        Goal::Present => planner.present(snapshot, changes),
        Goal::Absent => planner.absent(snapshot),
        Goal::Released => planner.released(snapshot),
    }
}

struct Planner<'a> {
    owner: &'a Owner,
    generation: i64,
    address: &'a Address,
    pace: Pace,
}

impl Planner<'_> {
    fn step(&self, resource: Resource, action: CloudAction) -> Step {
        Step::Cloud(CloudStep::new(
            self.address.clone(),
            resource,
            self.owner.clone(),
            self.generation,
            action,
        ))
    }

    fn busy(&self, steps: Vec<Step>, waiting: Vec<Waiting>) -> Plan {
        Plan { requeue: Some(self.pace.busy), ..self.idle(steps, waiting, Vec::new()) }
    }

    fn idle(&self, steps: Vec<Step>, waiting: Vec<Waiting>, refused: Vec<Problem>) -> Plan {
        let requeue = Some(if steps.is_empty() && waiting.is_empty() {
            self.pace.idle
        } else {
            self.pace.busy
        });
        Plan { generation: self.generation, steps, waiting, refused, requeue, gone: false }
    }

    fn gone(&self) -> Plan {
        Plan { generation: self.generation, gone: true, ..Plan::default() }
    }

    fn refuse(&self, problem: Problem) -> Plan {
        self.idle(Vec::new(), Vec::new(), vec![problem])
    }

    /// Looking again is the only step while anything is unknown.
    fn unseen(&self, snapshot: &Snapshot) -> Option<Plan> {
        let mut waiting = Vec::new();
        if let Seen::Unknown { why, .. } = &snapshot.cluster {
            waiting.push(Waiting::new("a look at the control plane", why));
        }
        for (name, pool) in &snapshot.pools {
            if let Seen::Unknown { why, .. } = pool {
                waiting.push(Waiting::new(format!("a look at pool {name}"), why));
            }
        }
        (!waiting.is_empty()).then(|| self.busy(Vec::new(), waiting))
    }

    fn present(&self, snapshot: &Snapshot, changes: &[Change]) -> Plan {
        let cluster = match &snapshot.cluster {
            Seen::Present(cluster) => cluster,
            Seen::Absent | Seen::Unknown { .. } => {
                return self.busy(self.creations(changes, &Resource::Cluster), Vec::new());
            }
        };
        if let Some(problem) = self.conflict(cluster) {
            return self.refuse(problem);
        }
        match cluster.phase {
            Phase::Creating => self.busy(Vec::new(), vec![self.wait("the control plane to be made")]),
            Phase::Deleting => {
                self.busy(Vec::new(), vec![self.wait("the control plane to go, so that it can be made again")])
            }
            Phase::Failed => self.refuse(Problem::new(
                "",
                format!(
                    "{} failed in the cloud: {}; delete it there or delete this object, then declare it again",
                    self.address, cluster.trouble
                ),
            )),
            Phase::Active | Phase::Updating => self.complete(snapshot, changes),
        }
    }

    /// The control plane answers: make, remove and await the pools.
    fn complete(&self, snapshot: &Snapshot, changes: &[Change]) -> Plan {
        let mut steps = Vec::new();
        let mut refused = Vec::new();
        for change in in_order(changes) {
            match &change.kind {
                ChangeKind::Create { body } => {
                    steps.push(
                        self.step(
                            change.resource.clone(),
                            CloudAction::Create { body: body.clone() },
                        ),
                    );
                }
                ChangeKind::Delete => {
                    steps.push(self.step(change.resource.clone(), CloudAction::Delete))
                }
                ChangeKind::Refused { field, declared, found, why } => refused.push(Problem::new(
                    field,
                    format!("declared {declared}, found {found}: {why}"),
                )),
            }
        }
        let mut waiting = Vec::new();
        for (name, pool) in self.our_pools(snapshot) {
            match pool.phase {
                Phase::Creating => waiting.push(self.wait(&format!("pool {name} to be made"))),
                Phase::Updating => waiting.push(self.wait(&format!("pool {name} to change"))),
                Phase::Deleting => waiting.push(self.wait(&format!("pool {name} to go"))),
                Phase::Failed => refused.push(Problem::new(
                    format!("spec.nodePools[{name}]"),
                    format!("failed in the cloud: {}", pool.trouble),
                )),
                Phase::Active => {}
            }
        }
        self.idle(steps, waiting, refused)
    }

    fn absent(&self, snapshot: &Snapshot) -> Plan {
        let cluster = self.ours(snapshot);
        match cluster.map(|cluster| cluster.phase) {
            Some(Phase::Deleting) => {
                return self.busy(Vec::new(), vec![self.wait("the control plane to go")]);
            }
            Some(Phase::Creating) => {
                return self.busy(
                    Vec::new(),
                    vec![self.wait(
                        "the control plane to be made, since the cloud refuses to delete it before",
                    )],
                );
            }
            Some(Phase::Active | Phase::Updating | Phase::Failed) | None => {}
        }
        let mut steps = Vec::new();
        let mut waiting = Vec::new();
        for (name, seen) in &snapshot.pools {
            let Some(pool) = seen.present() else { continue };
            let ours = self.owner.reads(&pool.tags) == Ownership::Ours;
            match pool.phase {
                // A stranger's pool holds nothing up but a control plane of ours.
                _ if !ours && cluster.is_none() => {}
                Phase::Deleting => waiting.push(self.wait(&format!("pool {name} to go"))),
                _ if !ours => waiting.push(Waiting::new(
                    format!("pool {name} to be removed"),
                    "whoever made it: it does not carry our tags, and the cloud keeps the control plane while it lives",
                )),
                Phase::Creating => {
                    waiting.push(self.wait(&format!("pool {name} to be made, since the cloud refuses to delete it before")));
                }
                Phase::Active | Phase::Updating | Phase::Failed => {
                    steps.push(self.step(Resource::Pool(name.clone()), CloudAction::Delete));
                }
            }
        }
        if steps.is_empty() && waiting.is_empty() {
            if cluster.is_none() {
                return self.gone();
            }
            steps.push(self.step(Resource::Cluster, CloudAction::Delete));
        }
        self.busy(steps, waiting)
    }

    fn released(&self, snapshot: &Snapshot) -> Plan {
        let mut steps: Vec<Step> = snapshot
            .pools
            .iter()
            .filter(|(_, seen)| {
                seen.present().is_some_and(|pool| self.owner.reads(&pool.tags) == Ownership::Ours)
            })
            .map(|(name, _)| self.step(Resource::Pool(name.clone()), CloudAction::Release))
            .collect();
        // The control plane last: while it is ours, a cut-off release is found and finished.
        if self.ours(snapshot).is_some() {
            steps.push(self.step(Resource::Cluster, CloudAction::Release));
        }
        if steps.is_empty() { self.gone() } else { self.busy(steps, Vec::new()) }
    }

    fn creations(&self, changes: &[Change], wanted: &Resource) -> Vec<Step> {
        changes
            .iter()
            .filter(|change| change.resource == *wanted)
            .filter_map(|change| match &change.kind {
                ChangeKind::Create { body } => Some(
                    self.step(change.resource.clone(), CloudAction::Create { body: body.clone() }),
                ),
                ChangeKind::Delete | ChangeKind::Refused { .. } => None,
            })
            .collect()
    }

    fn ours<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s SeenCluster> {
        snapshot.cluster.present().filter(|seen| self.owner.reads(&seen.tags) == Ownership::Ours)
    }

    fn our_pools<'s>(
        &self,
        snapshot: &'s Snapshot,
    ) -> impl Iterator<Item = (&'s PoolName, &'s SeenPool)> {
        snapshot.pools.iter().filter_map(|(name, seen)| {
            let pool = seen.present()?;
            (self.owner.reads(&pool.tags) == Ownership::Ours).then_some((name, pool))
        })
    }

    /// Why we may not touch what bears our name.
    fn conflict(&self, cluster: &SeenCluster) -> Option<Problem> {
        let address = self.address;
        let message = match self.owner.reads(&cluster.tags) {
            Ownership::Ours => return None,
            Ownership::Predecessor(uid) => format!(
                "{address} belongs to an earlier {} with uid {uid}; delete it, or choose another externalName",
                self.owner.object
            ),
            Ownership::Released => format!(
                "{address} was released by Fleetwright earlier; choose another externalName, or delete it first"
            ),
            Ownership::Other(who) => {
                format!("{address} belongs to {who}; choose another externalName")
            }
            Ownership::Untagged => {
                format!(
                    "{address} exists and was not made by Fleetwright; choose another externalName"
                )
            }
        };
        Some(Problem::new(format!("spec.{}.externalName", address.provider), message))
    }

    fn wait(&self, what: &str) -> Waiting {
        Waiting::new(what, self.address.provider)
    }
}

/// Sorted, so that the order in which a provider finds differences does not show.
fn in_order(changes: &[Change]) -> Vec<&Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| {
        let field = match &change.kind {
            ChangeKind::Refused { field, .. } => field.as_str(),
            ChangeKind::Create { .. } | ChangeKind::Delete => "",
        };
        (&change.resource, field)
    });
    sorted
}
