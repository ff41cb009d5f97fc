//! Updates: begun by many operations, described and listed here.

use std::time::Duration;

use serde_json::Value;

use super::answer::EksError;
use super::{Call, page};
use crate::Shared;
use crate::state::{Change, Cluster, Progress, Target, Trouble, Update};

/// An update that somebody asked for and that can be.
pub(super) struct Wanted {
    /// An `UpdateType`.
    pub(super) kind: &'static str,
    pub(super) target: Target,
    /// `UpdateParamType`s with values.
    pub(super) params: Vec<(&'static str, String)>,
    pub(super) change: Change,
    pub(super) latency: Duration,
    pub(super) token: Option<String>,
}

impl Shared {
    /// Begins an update, unless another of the same target is under way.
    pub(super) async fn begin_update(
        &self,
        call: &Call<'_>,
        mut cluster: Cluster,
        wanted: Wanted,
    ) -> Result<Value, EksError> {
        let Wanted { kind, target, params, change, latency, token } = wanted;
        cluster.refuse_while_moving(kind, &target)?;
        let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let doomed = call.doomed.then(|| trouble(&target));
        let update = Update {
            id: self.ids.uid(),
            kind: kind.to_owned(),
            target,
            params,
            created_at: self.clock.now(),
            token,
            progress: Progress::Open { due: self.due_in(latency), change, doomed },
        };
        let described = update.describe();
        cluster.begin(update);
        self.store(&cluster).await?;
        Ok(described)
    }

    pub(super) async fn describe_update(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let target = target(&cluster, call)?;
        let id = call.name(1);
        let found = cluster.updates.iter().find(|one| one.id == id && one.target == target);
        found.map(Update::describe).ok_or_else(|| no_update(id))
    }

    pub(super) async fn list_updates(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let target = target(&cluster, call)?;
        let own = cluster.updates.into_iter().filter(|update| update.target == target);
        let mut ids: Vec<String> = own.map(|update| update.id).collect();
        ids.sort();
        page::page(call.query, "updateIds", ids)
    }

    /// EKS cancels rollbacks of Auto Mode clusters only, and there are none here.
    pub(super) async fn cancel_update(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let id = call.name(1);
        let found = cluster.updates.iter().find(|update| update.id == id);
        let kind = &found.ok_or_else(|| no_update(id))?.kind;
        Err(EksError::invalid_request(format!("Updates of type {kind} cannot be cancelled.")))
    }
}

impl Cluster {
    /// What is moving is not changed.
    fn refuse_while_moving(&self, kind: &str, target: &Target) -> Result<(), EksError> {
        let name = &self.key.name;
        match target {
            Target::Cluster => {
                if let Some(update) = self.under_way(target) {
                    let id = &update.id;
                    return Err(EksError::in_use(format!(
                        "Cannot {kind} because cluster {name} currently has update {id} in progress"
                    )));
                }
                match self.status() {
                    "ACTIVE" => Ok(()),
                    status => Err(EksError::in_use(format!(
                        "Cannot {kind} because cluster {name} is {status}"
                    ))),
                }
            }
            Target::Nodegroup(group) => match self.nodegroup_status(group) {
                "ACTIVE" | "DEGRADED" => Ok(()),
                _ => Err(EksError::in_use(
                    "Nodegroup cannot be updated as it is currently not in Active State",
                )),
            },
            Target::Addon(addon) => match self.addon_status(addon) {
                "ACTIVE" => Ok(()),
                status => Err(EksError::in_use(format!(
                    "Cannot update addon {addon} while it is {status}"
                ))),
            },
        }
    }
}

/// How an update goes wrong that is told to.
fn trouble(target: &Target) -> Trouble {
    let (code, message) = match target {
        Target::Cluster => (
            "InsufficientFreeAddresses",
            "One or more of the subnets associated with your cluster does not have enough available IP addresses",
        ),
        Target::Nodegroup(_) => (
            "PodEvictionFailure",
            "Reached max retries while trying to evict pods from nodes in node group",
        ),
        Target::Addon(_) => (
            "ConfigurationConflict",
            "Conflicts found when trying to apply. Will not continue due to resolve conflicts mode.",
        ),
    };
    Trouble { code: code.to_owned(), message: message.to_owned() }
}

/// Whose updates are asked for.
fn target(cluster: &Cluster, call: &Call<'_>) -> Result<Target, EksError> {
    let first = |name: &str| page::parameters(call.query, name).into_iter().next();
    match (first("nodegroupName"), first("addonName")) {
        (Some(group), _) if cluster.nodegroups.contains_key(&group) => Ok(Target::Nodegroup(group)),
        (Some(group), _) => Err(EksError::no_nodegroup(&group)),
        (None, Some(addon)) if cluster.addons.contains_key(&addon) => Ok(Target::Addon(addon)),
        (None, Some(addon)) => Err(super::addon::missing(&cluster.key.name, &addon)),
        (None, None) => Ok(Target::Cluster),
    }
}

fn no_update(id: &str) -> EksError {
    EksError::not_found(format!("No update found for ID: {id}"))
}
