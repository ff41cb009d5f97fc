//! What the controllers would do, without doing it: the same functions as in a reconcile, up to the plan.
//!
//! Guarantee: nothing is written. It takes no finalizer, runs no step, patches no status. A caller that wants to be sure
//! hands in a client that refuses to write.

use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_errclass::Class;
use fleetwright_plan::{Credentials, Plan, Problem, Snapshot, Waiting};
use fleetwright_reconcile::{Cache, Controller as _, Failure, Progress, Queue, preview};
use k8s_openapi::api::core::v1::Secret;

use crate::Fleet;
use crate::accounts::Accounts;
use crate::cluster_policy::on_member::OnMember;
use crate::managed_cluster::{ManagedClusterController, is_host, unseen};
use crate::members::Members;
use crate::registration::{Registrations, concerns};
use crate::safety::{Safety, SafetyGate};

/// The controllers over objects that were read once.
#[derive(Debug)]
pub struct Preview {
    clusters: ManagedClusterController,
    on_member: OnMember,
    registrations: Registrations,
}

/// What would be done for one object.
#[derive(Debug, Default)]
pub struct Foreseen {
    /// What is wrong with the declaration.
    pub problems: Vec<Problem>,
    /// The plan, if there is one; what follows later is in [`Plan::held`].
    pub plan: Option<Plan>,
    /// Why there is no plan.
    pub failure: Option<Failure>,
    /// The object's owner has paused it: nothing of the plan is done until the annotation goes.
    pub paused: bool,
    /// What the cloud says against the next Kubernetes version. `None`: not asked, or no answer.
    pub blockers: Option<Vec<String>>,
}

impl Foreseen {
    /// Nothing to do, nothing to wait for, nothing wrong.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.failure.is_none()
            && self.problems.is_empty()
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
        let members = Arc::new(Members::new(
            Arc::clone(&fleet.connector),
            Arc::clone(&context.clock),
            Arc::clone(&context.ids),
        ));
        let client = || context.client.clone();
        let accounts = Accounts::new(client(), fleet.hub.clone(), Cache::of(accounts));
        Self {
            clusters: ManagedClusterController {
                client: client(),
                clock: Arc::clone(&context.clock),
                clouds: fleet.clouds.clone(),
                accounts: accounts.clone(),
                members: Arc::clone(&members),
                safety: SafetyGate::new(client(), Arc::clone(&context.gate)),
                expiries: Arc::default(),
                token_command: fleet.token_command.clone(),
            },
            registrations: Registrations {
                client: client(),
                clouds: fleet.clouds.clone(),
                accounts: accounts.clone(),
            },
            on_member: OnMember {
                client: client(),
                clouds: fleet.clouds.clone(),
                clock: Arc::clone(&context.clock),
                accounts,
                policies: Cache::of(policies),
                members,
                queue: Arc::new(Queue::new()),
            },
        }
    }

    /// With what the hub says of freeze and fuse, so that deletes which the fuse holds show as held.
    #[must_use]
    pub fn with_safety(self, safety: Safety) -> Self {
        self.clusters.safety.hear(safety, tokio::time::Instant::now());
        self
    }

    /// With Secrets that are declared and not on the hub yet, or otherwise there, so that accounts that name them are found
    /// as they will be.
    #[must_use]
    pub fn with_secrets(mut self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        let accounts = self.clusters.accounts.clone().with_secrets(secrets);
        self.clusters.accounts = accounts.clone();
        self.registrations.accounts = accounts.clone();
        self.on_member.accounts = accounts;
        self
    }

    /// What is wrong with a declaration. Asks no cloud.
    ///
    /// # Errors
    /// When what it refers to cannot be read.
    pub async fn problems(&self, cluster: Arc<ManagedCluster>) -> Result<Vec<Problem>, Failure> {
        let declared = self.clusters.read(Arc::clone(&cluster)).await?;
        let mut problems = self.clusters.validate(&declared).err().unwrap_or_default();
        if concerns(&cluster) {
            let declared = self.registrations.read(cluster).await?;
            match self.registrations.validate(&declared) {
                Ok(desired) => problems.extend(desired.revoked().iter().cloned()),
                Err(wrong) => problems.extend(wrong),
            }
        }
        Ok(problems)
    }

    /// What would be done in the cloud and on the hub.
    pub async fn cluster(&self, cluster: Arc<ManagedCluster>) -> Foreseen {
        let progress = preview(&self.clusters, Arc::clone(&cluster)).await;
        match progress.snapshot.as_ref().and_then(unlooked) {
            Some(failure) => {
                Foreseen { failure: Some(failure), paused: progress.paused, ..Foreseen::default() }
            }
            None => {
                let seen = progress.snapshot.as_ref().and_then(|seen| seen.cluster.present());
                let blockers = seen.and_then(|cluster| cluster.blockers.clone());
                let foreseen = Foreseen { blockers, ..foreseen(progress) };
                self.with_registration(foreseen, cluster).await
            }
        }
    }

    /// Adds what would be done to make the cluster known to Argo CD. What is wrong there holds up nothing else.
    async fn with_registration(
        &self,
        mut cluster: Foreseen,
        object: Arc<ManagedCluster>,
    ) -> Foreseen {
        if !concerns(&object) {
            return cluster;
        }
        let Foreseen { problems, plan: registration, failure, .. } =
            foreseen(preview(&self.registrations, object).await);
        cluster.problems.extend(problems);
        let Some(plan) = &mut cluster.plan else { return cluster };
        if let Some(Plan { steps, held, waiting, refused, .. }) = registration {
            plan.steps.extend(steps);
            plan.held.extend(held);
            plan.waiting.extend(waiting);
            plan.refused.extend(refused);
        }
        plan.waiting.extend(failure.map(|failure| {
            Waiting::new("a look at Argo CD's cluster secret", failure.to_string())
        }));
        cluster
    }

    /// What would be done on the member for the policies that select it. Without a connection there is nothing yet.
    pub async fn policies(&self, cluster: Arc<ManagedCluster>) -> Foreseen {
        foreseen(preview(&self.on_member, cluster).await)
    }
}

/// A plan over what could not be seen only says to look again; for a preview that is a failure.
fn unlooked(snapshot: &Snapshot) -> Option<Failure> {
    if let Credentials::Failed { code, why } = &snapshot.credentials {
        return Some(Failure::new(Class::Refused, code.as_str(), why.as_str()));
    }
    // A host that does not answer holds up what depends on it, and the plan says so.
    let mut rest = snapshot.clone();
    rest.parts.retain(|key, _| !is_host(key));
    let why = unseen(&rest)?;
    Some(Failure::new(Class::Unknown, "NotSeen", format!("could not look: {why}")))
}

fn foreseen<D, S>(progress: Progress<D, S>) -> Foreseen {
    let Progress { problems, plan, failure, paused, desired: _, snapshot: _, done: _, held: _ } =
        progress;
    Foreseen { problems, plan, failure, paused, blockers: None }
}
