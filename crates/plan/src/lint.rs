//! The second reader of a plan: knows nothing of how it was made, and refuses nonsense.

use std::collections::BTreeSet;

use fleetwright_names::Ownership;

use crate::{CloudAction, CloudStep, Plan, Resource, Seen, Snapshot, Step};

/// A plan that must not be acted on. Always a bug of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LintError {
    /// Two writes to one resource: the second was planned without seeing the first.
    #[error("the plan holds two steps on {0}")]
    TwoSteps(Resource),
    /// Something would be made that is there, or may be there.
    #[error("the plan creates {0}, which is not known to be absent")]
    CreateOfSeen(Resource),
    /// Something would be destroyed or let go that does not carry our tags.
    #[error("the plan would {verb} {resource}, which is not tagged as ours")]
    NotOurs {
        /// The deed.
        verb: &'static str,
        /// On what.
        resource: Resource,
    },
    /// The control plane would go before its pools.
    #[error("the plan deletes the control plane while pools are left")]
    PoolsLeft,
}

/// Refuses a plan that no reading of the snapshot can justify.
///
/// # Errors
/// The first nonsense found.
pub fn lint(plan: &Plan, snapshot: &Snapshot) -> Result<(), LintError> {
    let mut touched = BTreeSet::new();
    for step in &plan.steps {
        let Step::Cloud(step) = step else { continue };
        if !touched.insert(step.resource.clone()) {
            return Err(LintError::TwoSteps(step.resource.clone()));
        }
        lint_step(step, snapshot)?;
    }
    Ok(())
}

fn lint_step(step: &CloudStep, snapshot: &Snapshot) -> Result<(), LintError> {
    let tags = match &step.resource {
        Resource::Cluster => match &snapshot.cluster {
            Seen::Present(cluster) => Some(Some(&cluster.tags)),
            Seen::Absent => Some(None),
            Seen::Unknown { .. } => None,
        },
        Resource::Pool(name) => match snapshot.pools.get(name) {
            Some(Seen::Present(pool)) => Some(Some(&pool.tags)),
            Some(Seen::Absent) | None => Some(None),
            Some(Seen::Unknown { .. }) => None,
        },
    };
    match (&step.action, tags) {
        (CloudAction::Create { .. }, Some(None)) => Ok(()),
        (CloudAction::Create { .. }, _) => Err(LintError::CreateOfSeen(step.resource.clone())),
        (CloudAction::Delete | CloudAction::Release, tags) => {
            let ours = tags.flatten().is_some_and(|tags| step.owner.reads(tags) == Ownership::Ours);
            if !ours {
                return Err(LintError::NotOurs {
                    verb: step.action.verb(),
                    resource: step.resource.clone(),
                });
            }
            let pools_left = snapshot.pools.values().any(|pool| !matches!(pool, Seen::Absent));
            if step.resource == Resource::Cluster
                && matches!(step.action, CloudAction::Delete)
                && pools_left
            {
                return Err(LintError::PoolsLeft);
            }
            Ok(())
        }
    }
}
