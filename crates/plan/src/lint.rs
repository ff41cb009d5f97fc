//! The second reader of a plan: knows nothing of how it was made, and refuses nonsense.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::{Adoption, ManagementMode};
use fleetwright_names::{Ownership, PoolName, Uid};

use crate::{
    Change, ChangeKind, CloudAction, CloudStep, Goal, KubernetesVersion, MemberStep, Phase, Plan,
    Resource, Seen, Situation, Snapshot, Step, Upgrade,
};

/// A plan that must not be acted on. Always a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// Two writes to one resource: the second was planned without seeing the first.
    #[error("the plan holds two steps on {0}")]
    TwoSteps(Resource),
    /// Something would be made that is there, or may be there.
    #[error("the plan creates {0}, which is not known to be absent")]
    CreateOfSeen(Resource),
    /// Something would be changed, destroyed or let go that does not carry our tags.
    #[error("the plan would {verb} {resource}, which is not tagged as ours")]
    NotOurs {
        /// The deed.
        verb: &'static str,
        /// On what.
        resource: Resource,
    },
    /// Something would become ours that may not.
    #[error("the plan claims {0}, whose tags and rules do not allow that")]
    ClaimOfStranger(Resource),
    /// The control plane would go before its pools.
    #[error("the plan deletes the control plane while pools are left")]
    PoolsLeft,
    /// The control plane would go before a part that holds it.
    #[error("the plan deletes the control plane while {0} is left")]
    PartLeft(Resource),
    /// A version would be skipped, or go down, or pass the control plane.
    #[error("the plan upgrades {resource} from {from} to {to}: {why}")]
    Version {
        /// What is upgraded.
        resource: Resource,
        /// What is said to run.
        from: KubernetesVersion,
        /// What the step leads to.
        to: KubernetesVersion,
        /// Which rule that breaks.
        why: &'static str,
    },
    /// A pool would go before its successor is ready.
    #[error("the plan empties or deletes pool {pool} before its successor {successor} is ready")]
    SuccessorNotReady {
        /// The pool that would go.
        pool: PoolName,
        /// The pool that shall take its place.
        successor: PoolName,
    },
    /// Nobody asked for it, or a rule forbids it.
    #[error("the plan holds `{step}`, but {why}")]
    NotAllowed {
        /// The step, in words.
        step: String,
        /// What forbids it.
        why: &'static str,
    },
}

/// Refuses a plan that no reading of the situation can justify.
///
/// # Errors
/// The first nonsense found.
pub fn lint(plan: &Plan, situation: &Situation<'_>) -> Result<(), LintError> {
    let mut touched = BTreeSet::new();
    for step in &plan.steps {
        if let Some(resource) = step.resource()
            && !touched.insert(resource.clone())
        {
            return Err(LintError::TwoSteps(resource));
        }
        allowed(step, situation)?;
        match step {
            Step::Cloud(step) => lint_cloud(step, situation)?,
            Step::Member(MemberStep::Drain { pool, .. }) => lint_drain(pool, situation)?,
            Step::Hub(_) | Step::Member(_) => {}
        }
    }
    Ok(())
}

/// What the rules forbid whatever the world looks like.
fn allowed(step: &Step, situation: &Situation<'_>) -> Result<(), LintError> {
    let cluster_member =
        matches!(step, Step::Member(MemberStep::Drain { .. } | MemberStep::DeleteOutside { .. }));
    let cloud = match step {
        Step::Cloud(step) => Some(&step.action),
        Step::Hub(_) | Step::Member(_) => None,
    };
    if cloud.is_none() && !cluster_member {
        return Ok(());
    }
    let rules = situation.rules;
    let present = situation.goal == Goal::Present;
    let makes = matches!(cloud, Some(CloudAction::Create { .. } | CloudAction::Claim { .. }));
    // The rest of a takeover that a deletion cut off: never the control plane, and only from the predecessor.
    let finishes_takeover = matches!(cloud, Some(CloudAction::Claim { from: Some(_), .. }))
        && step.resource() != Some(Resource::Cluster);
    let why = if rules.mode == ManagementMode::Observe {
        "mode Observe only looks"
    } else if step.destroys() && rules.deletes_held.is_some() {
        "deletes are held"
    } else if present && rules.hands_off_until.is_some_and(|until| until > situation.now) {
        "hands are off"
    } else if present && rules.mode == ManagementMode::CreateOnly && !makes {
        "mode CreateOnly only creates"
    } else if !present
        && !finishes_takeover
        && (makes || matches!(cloud, Some(CloudAction::Update(_))))
    {
        "the cluster shall go"
    } else if step.destroys() && situation.goal == Goal::Released {
        "the cluster shall be let go untouched"
    } else {
        return Ok(());
    };
    Err(LintError::NotAllowed { step: step.to_string(), why })
}

fn lint_cloud(step: &CloudStep, situation: &Situation<'_>) -> Result<(), LintError> {
    let tags = tags(&step.resource, situation.snapshot);
    let whose = match &tags {
        Seen::Present(tags) => Some(step.owner.reads(tags)),
        Seen::Absent | Seen::Unknown { .. } => None,
    };
    match &step.action {
        CloudAction::Create { .. } if matches!(tags, Seen::Absent) => Ok(()),
        CloudAction::Create { .. } => Err(LintError::CreateOfSeen(step.resource.clone())),
        CloudAction::Claim { from, .. } => lint_claim(step, from.as_ref(), whose, situation),
        CloudAction::Update(_) | CloudAction::Delete | CloudAction::Release
            if whose != Some(Ownership::Ours) =>
        {
            let resource = step.resource.clone();
            Err(LintError::NotOurs { verb: step.action.verb(), resource })
        }
        CloudAction::Update(update) => match &update.upgrade {
            Some(upgrade) => lint_upgrade(&step.resource, *upgrade, situation.snapshot),
            None => Ok(()),
        },
        CloudAction::Delete => lint_delete(step, situation),
        CloudAction::Release => Ok(()),
    }
}

fn lint_claim(
    step: &CloudStep,
    from: Option<&Uid>,
    whose: Option<Ownership>,
    situation: &Situation<'_>,
) -> Result<(), LintError> {
    let rules = situation.rules;
    let fits = match whose {
        Some(Ownership::Untagged | Ownership::Released) => {
            from.is_none() && rules.adoption == Adoption::Existing
        }
        Some(Ownership::Predecessor(uid)) => {
            from == Some(&uid) && rules.take_over.as_ref() == Some(&uid)
        }
        Some(Ownership::Ours | Ownership::Other(_)) | None => false,
    };
    if fits { Ok(()) } else { Err(LintError::ClaimOfStranger(step.resource.clone())) }
}

fn lint_upgrade(
    resource: &Resource,
    Upgrade { from, to, .. }: Upgrade,
    snapshot: &Snapshot,
) -> Result<(), LintError> {
    let control_plane = snapshot
        .cluster
        .present()
        .and_then(|cluster| KubernetesVersion::parse("", &cluster.version).ok());
    let why = if to <= from {
        "that is not up"
    } else if *resource == Resource::Cluster && from.next_towards(to) != Some(to) {
        "that skips a minor"
    } else if *resource == Resource::Cluster && control_plane.is_some_and(|now| now != from) {
        "that is not what runs"
    } else if *resource != Resource::Cluster && control_plane.is_none_or(|now| to > now) {
        "that is above the control plane"
    } else {
        return Ok(());
    };
    Err(LintError::Version { resource: resource.clone(), from, to, why })
}

fn lint_delete(step: &CloudStep, situation: &Situation<'_>) -> Result<(), LintError> {
    let snapshot = situation.snapshot;
    if situation.goal == Goal::Present && step.resource == Resource::Cluster {
        let why = "the cluster shall be there";
        return Err(LintError::NotAllowed { step: step.to_string(), why });
    }
    if situation.goal == Goal::Present {
        let mut asked = situation.changes.iter().filter(|c| c.resource == step.resource);
        return match asked.find_map(reason) {
            Some(Reason::Undeclared) => Ok(()),
            Some(Reason::Successor(pool, successor)) => ready(pool, successor, situation),
            None => Err(LintError::NotAllowed {
                step: step.to_string(),
                why: "no difference asks for that",
            }),
        };
    }
    if step.resource != Resource::Cluster {
        return Ok(());
    }
    let pools_hold = !situation.rules.cloud.pools_end_with_control_plane;
    if pools_hold && snapshot.pools.values().any(|pool| !matches!(pool, Seen::Absent)) {
        return Err(LintError::PoolsLeft);
    }
    let mut parts = snapshot.parts.iter();
    match parts.find(|(key, part)| key.kind.holds_control_plane() && !matches!(part, Seen::Absent))
    {
        Some((key, _)) => Err(LintError::PartLeft(Resource::Part(key.clone()))),
        None => Ok(()),
    }
}

/// Why something goes while its cluster stays.
enum Reason<'a> {
    Undeclared,
    Successor(&'a PoolName, &'a PoolName),
}

fn reason(change: &Change) -> Option<Reason<'_>> {
    match (&change.kind, &change.resource) {
        (ChangeKind::Delete, _) => Some(Reason::Undeclared),
        (ChangeKind::Retire { successor }, Resource::Pool(pool)) => {
            Some(Reason::Successor(pool, successor))
        }
        _ => None,
    }
}

fn lint_drain(pool: &PoolName, situation: &Situation<'_>) -> Result<(), LintError> {
    let resource = Resource::Pool(pool.clone());
    let is_ours = match tags(&resource, situation.snapshot) {
        Seen::Present(tags) => situation.owner.reads(tags) == Ownership::Ours,
        Seen::Absent | Seen::Unknown { .. } => false,
    };
    if !is_ours {
        return Err(LintError::NotOurs { verb: "Drain", resource });
    }
    let mut asked = situation.changes.iter().filter(|change| change.resource == resource);
    match asked.find_map(reason) {
        Some(Reason::Successor(pool, successor)) => ready(pool, successor, situation),
        Some(Reason::Undeclared) | None => Err(LintError::NotAllowed {
            step: format!("drain pool {pool}"),
            why: "no successor takes its place",
        }),
    }
}

fn ready(
    pool: &PoolName,
    successor: &PoolName,
    situation: &Situation<'_>,
) -> Result<(), LintError> {
    let seen = situation.snapshot.pools.get(successor).and_then(Seen::present);
    let is_ready = seen.is_some_and(|seen| {
        seen.phase == Phase::Active
            && seen.trouble.is_empty()
            && situation.owner.reads(&seen.tags) == Ownership::Ours
    });
    let (pool, successor) = (pool.clone(), successor.clone());
    if is_ready { Ok(()) } else { Err(LintError::SuccessorNotReady { pool, successor }) }
}

/// The tags that a resource bears, as far as it was seen.
fn tags<'a>(resource: &Resource, snapshot: &'a Snapshot) -> Seen<&'a BTreeMap<String, String>> {
    match resource {
        Resource::Cluster => tags_of(Some(&snapshot.cluster), |cluster| &cluster.tags),
        Resource::Pool(name) => tags_of(snapshot.pools.get(name), |pool| &pool.tags),
        Resource::Part(key) => tags_of(snapshot.parts.get(key), |part| &part.tags),
    }
}

fn tags_of<T>(
    seen: Option<&Seen<T>>,
    tags: impl Fn(&T) -> &BTreeMap<String, String>,
) -> Seen<&BTreeMap<String, String>> {
    match seen {
        None | Some(Seen::Absent) => Seen::Absent,
        Some(Seen::Present(thing)) => Seen::Present(tags(thing)),
        Some(Seen::Unknown { since, why }) => Seen::Unknown { since: *since, why: why.clone() },
    }
}
