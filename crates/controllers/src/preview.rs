//! What the controllers would do, without doing it: the same functions as in a reconcile, up to the plan.
//!
//! Guarantee: nothing is written. It takes no finalizer, runs no step, patches no status. A caller that wants to be sure
//! hands in a client that refuses to write.

use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_errclass::Class;
use fleetwright_plan::{Plan, Problem, Seen, Snapshot, Step};
use fleetwright_reconcile::{Cache, Controller as _, Failure, Progress, Queue, preview};

use crate::Fleet;
use crate::cluster_policy::on_member::OnMember;
use crate::managed_cluster::ManagedClusterController;
use crate::members::Members;

/// The controllers over objects that were read once.
#[derive(Debug)]
pub struct Preview {
    clusters: ManagedClusterController,
    on_member: OnMember,
}

/// What would be done for one object.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// What is wrong with the declaration.
    pub problems: Vec<Problem>,
    /// The plan, if there is one.
    pub plan: Option<Plan>,
    /// Steps that follow once what the plan makes is there.
    pub later: Vec<Step>,
    /// Why there is no plan.
    pub failure: Option<Failure>,
}

impl Foreseen {
    /// Nothing to do, nothing to wait for, nothing wrong.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.failure.is_none()
            && self.problems.is_empty()
            && self.later.is_empty()
            && self.plan.as_ref().is_some_and(Plan::is_settled)
    }

    /// Nothing will happen until somebody edits something.
    #[must_use]
    pub fn needs_an_edit(&self) -> bool {
        !self.problems.is_empty() || self.plan.as_ref().is_some_and(|plan| !plan.refused.is_empty())
    }
}

impl Preview {
    /// Controllers of `fleet`, with these accounts and policies.
    #[must_use]
    pub fn new(
        fleet: &Fleet,
        accounts: impl IntoIterator<Item = Arc<ProviderConfig>>,
        policies: impl IntoIterator<Item = Arc<ClusterPolicy>>,
    ) -> Self {
        let context = &fleet.context;
        let members = Members::new(
            Arc::clone(&fleet.connector),
            Arc::clone(&context.clock),
            Arc::clone(&context.ids),
        );
        Self {
            clusters: ManagedClusterController {
                client: context.client.clone(),
                hub: fleet.hub.clone(),
                clock: Arc::clone(&context.clock),
                clouds: fleet.clouds.clone(),
                accounts: Cache::of(accounts),
                token_command: fleet.token_command.clone(),
            },
            on_member: OnMember {
                client: context.client.clone(),
                clouds: fleet.clouds.clone(),
                policies: Cache::of(policies),
                members: Arc::new(members),
                queue: Arc::new(Queue::new()),
            },
        }
    }

    /// What is wrong with a declaration. Asks no cloud.
    ///
    /// # Errors
    /// When what it refers to cannot be read.
    pub async fn problems(&self, cluster: Arc<ManagedCluster>) -> Result<Vec<Problem>, Failure> {
        let declared = self.clusters.read(cluster).await?;
        Ok(self.clusters.validate(&declared).err().unwrap_or_default())
    }

    /// What would be done in the cloud and on the hub.
    pub async fn cluster(&self, cluster: Arc<ManagedCluster>) -> Foreseen {
        let progress = preview(&self.clusters, cluster).await;
        match progress.snapshot.as_ref().and_then(unseen) {
            Some(failure) => Foreseen { failure: Some(failure), ..Foreseen::default() },
            None => Foreseen { later: self.clusters.later(&progress), ..foreseen(progress) },
        }
    }

    /// What would be done on the member for the policies that select it. Without a connection there is nothing yet.
    pub async fn policies(&self, cluster: Arc<ManagedCluster>) -> Foreseen {
        foreseen(preview(&self.on_member, cluster).await)
    }
}

/// A plan over what could not be seen only says to look again; for a preview that is a failure.
fn unseen(snapshot: &Snapshot) -> Option<Failure> {
    let why = match &snapshot.cluster {
        Seen::Unknown { why, .. } => Some(why),
        Seen::Absent | Seen::Present(_) => snapshot.pools.values().find_map(|pool| match pool {
            Seen::Unknown { why, .. } => Some(why),
            Seen::Absent | Seen::Present(_) => None,
        }),
    };
    why.map(|why| Failure::new(Class::Unknown, "NotSeen", format!("could not look: {why}")))
}

fn foreseen<D, S>(progress: Progress<D, S>) -> Foreseen {
    let Progress { problems, plan, failure, desired: _, snapshot: _, done: _ } = progress;
    Foreseen { problems, plan, failure, later: Vec::new() }
}
