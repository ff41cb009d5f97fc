//! All controllers together: caches, watches, queues, and who wakes whom.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::{
    ClusterPolicy, Condition, ConditionType, ManagedCluster, ProviderConfig,
};
use fleetwright_names::{HubId, ObjectKey};
use fleetwright_reconcile::{Cache, Context, Queue, run as run_loop, watch};
use kube::{Api, ResourceExt};
use tokio::task::JoinSet;

use crate::Clouds;
use crate::accounts::Accounts;
use crate::cluster_policy::on_member::OnMember;
use crate::cluster_policy::summary::Summary;
use crate::history;
use crate::managed_cluster::{
    Expiries, ManagedClusterController, account_name, is_leaving, key_of,
};
use crate::members::{Connector, Members};
use crate::registration::{Registrations, concerns};
use crate::safety::SafetyGate;

/// How often histories that nobody will ask for are looked for.
const SWEEP: Duration = Duration::from_secs(3600);
/// A sweep takes no longer.
const SWEEP_PATIENCE: Duration = Duration::from_secs(300);

/// What the controllers need from the outside.
#[derive(Debug, Clone)]
pub struct Fleet {
    /// Hub client, clock, ids.
    pub context: Context,
    /// Who this hub is ([`crate::hub::hub_id`]).
    pub hub: HubId,
    /// The providers in use.
    pub clouds: Clouds,
    /// How members are reached.
    pub connector: Arc<dyn Connector>,
    /// The program that kubeconfigs call for a token, with its first arguments.
    pub token_command: Vec<String>,
}

#[derive(Debug, Default)]
struct Queues {
    clusters: Arc<Queue>,
    on_member: Arc<Queue>,
    policies: Arc<Queue>,
    registrations: Arc<Queue>,
}

#[derive(Debug)]
struct Caches {
    clusters: Arc<Cache<ManagedCluster>>,
    policies: Arc<Cache<ClusterPolicy>>,
    accounts: Arc<Cache<ProviderConfig>>,
    members: Arc<Members>,
    safety: Arc<SafetyGate>,
    expiries: Arc<Expiries>,
}

/// Runs all controllers, until the future is dropped. Nothing is decided before every cache is loaded, and before it is
/// known whether writes are frozen.
pub async fn run(mut fleet: Fleet) {
    let safety = SafetyGate::new(fleet.context.client.clone(), Arc::clone(&fleet.context.gate));
    fleet.context.gate = safety.clone();
    let queues = Arc::new(Queues::default());
    let Context { clock, ids, metrics, .. } = fleet.context.clone();
    let caches = Arc::new(Caches {
        clusters: Cache::new(),
        policies: Cache::new(),
        accounts: Cache::new(),
        members: Arc::new(Members::new(Arc::clone(&fleet.connector), clock, ids)),
        safety,
        expiries: Arc::new(Expiries::new(metrics)),
    });
    let mut tasks = JoinSet::new();
    start_watches(&fleet, &queues, &caches, &mut tasks);
    caches.accounts.loaded().await;
    caches.policies.loaded().await;
    caches.clusters.loaded().await;
    caches.safety.heard().await;
    start_controllers(&fleet, &queues, &caches, &mut tasks);
    tasks.spawn(sweep(fleet.context.clone(), Arc::clone(&caches)));
    while let Some(ended) = tasks.join_next().await {
        // Watches and loops never end by themselves, so whatever ended is a bug; the rest goes on.
        tracing::error!(?ended, "a part of the fleet ended");
    }
}

/// Removes old histories, for ever; not while writes are frozen.
async fn sweep(context: Context, caches: Arc<Caches>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        if context.gate.writes().is_err() {
            continue;
        }
        let living = caches.clusters.list().iter().filter_map(|cluster| cluster.uid()).collect();
        let pruning = history::prune(&context.client, &living, context.clock.now());
        match tokio::time::timeout(SWEEP_PATIENCE, pruning).await {
            Ok(Ok(0)) => {}
            Ok(Ok(count)) => tracing::info!(count, "old histories were removed"),
            Ok(Err(error)) => tracing::warn!(%error, "old histories were not removed"),
            Err(_elapsed) => tracing::warn!("old histories were not removed in time"),
        }
    }
}

fn start_watches(
    fleet: &Fleet,
    queues: &Arc<Queues>,
    caches: &Arc<Caches>,
    tasks: &mut JoinSet<()>,
) {
    let Context { client, ids, .. } = &fleet.context;
    let (wake, known) = (Arc::clone(queues), Arc::clone(caches));
    tasks.spawn(watch(
        Api::all(client.clone()),
        Arc::clone(&caches.accounts),
        Arc::clone(ids),
        move |old: Option<&ProviderConfig>, new| {
            if old.map(|old| &old.spec) != new.map(|new| &new.spec) {
                let name = old.or(new).map(ResourceExt::name_any).unwrap_or_default();
                for cluster in known.clusters.list() {
                    if account_name(&cluster) == name {
                        wake.clusters.add(key_of(&cluster));
                        wake.on_member.add(key_of(&cluster));
                        if concerns(&cluster) {
                            wake.registrations.add(key_of(&cluster));
                        }
                    }
                }
            }
        },
    ));
    let (wake, known) = (Arc::clone(queues), Arc::clone(caches));
    tasks.spawn(watch(
        Api::all(client.clone()),
        Arc::clone(&caches.policies),
        Arc::clone(ids),
        move |old: Option<&ClusterPolicy>, new| {
            if old.map(|old| &old.spec) != new.map(|new| &new.spec) {
                known
                    .clusters
                    .list()
                    .iter()
                    .for_each(|cluster| wake.on_member.add(key_of(cluster)));
                wake_policies(&wake, &known);
            }
            let told =
                |policy: &ClusterPolicy| (policy.metadata.uid.clone(), policy.status.clone());
            if let (Some(before), Some(now)) = (old, new)
                && told(before) != told(now)
            {
                wake.policies.nudge(ObjectKey::cluster_scoped(now.name_any()));
            }
        },
    ));
    let (wake, known) = (Arc::clone(queues), Arc::clone(caches));
    tasks.spawn(watch(
        Api::all(client.clone()),
        Arc::clone(&caches.clusters),
        Arc::clone(ids),
        move |old, new| cluster_changed(&wake, &known, (old, new)),
    ));
    let (wake, known) = (Arc::clone(queues), Arc::clone(caches));
    tasks.spawn(Arc::clone(&caches.safety).poll(move || {
        for cluster in known.clusters.list() {
            wake.clusters.add(key_of(&cluster));
            wake.on_member.add(key_of(&cluster));
            if concerns(&cluster) {
                wake.registrations.add(key_of(&cluster));
            }
        }
    }));
}

fn wake_policies(queues: &Queues, caches: &Caches) {
    for policy in caches.policies.list() {
        queues.policies.add(ObjectKey::cluster_scoped(policy.name_any()));
    }
}

/// Wakes each controller for what it reads, and nudges it for what it writes.
///
/// The latter matters although we wrote it ourselves: a status computed from a stale cache may equal what the cache
/// holds, and so not be written, while the server holds something else (simulator, seed 113). The event that brings the
/// cache up to date must then wake us; a reconcile that finds all well writes nothing, so this ends. A nudge leaves the
/// backoff of a failure alone, since the status that told of the failure is a change as well.
fn cluster_changed(
    queues: &Queues,
    caches: &Caches,
    (old, new): (Option<&ManagedCluster>, Option<&ManagedCluster>),
) {
    let Some(key) = new.or(old).map(key_of) else {
        return;
    };
    if new.is_none() {
        caches.members.forget(&key);
        caches.expiries.forget(&key);
    }
    let asked = |cluster: &ManagedCluster| {
        let meta = &cluster.metadata;
        let deleting = meta.deletion_timestamp.is_some();
        (meta.uid.clone(), meta.generation, meta.annotations.clone(), deleting, meta.labels.clone())
    };
    let secret = |cluster: &ManagedCluster| cluster.status.as_ref()?.kubeconfig_secret_ref.clone();
    let status = |cluster: &ManagedCluster| cluster.status.clone();
    // Also when it no longer does: what was written must go.
    let registered = [old, new].into_iter().flatten().any(concerns);
    if registered && old.map(asked) != new.map(asked) {
        queues.registrations.add(key.clone());
    } else if registered && old.map(status) != new.map(status) {
        queues.registrations.nudge(key.clone());
    }
    // Of an object on its way out: who let it go, and whom it still waits for.
    let held = |cluster: &ManagedCluster| {
        let meta = &cluster.metadata;
        meta.deletion_timestamp.as_ref().and(meta.finalizers.clone())
    };
    if old.map(held) != new.map(held) {
        queues.clusters.nudge(key.clone());
    }
    if old.map(asked) != new.map(asked) {
        queues.clusters.add(key.clone());
        queues.on_member.add(key);
    } else if old.map(secret) != new.map(secret) {
        queues.clusters.nudge(key.clone());
        queues.on_member.add(key);
    } else if old.map(status) != new.map(status) {
        queues.clusters.nudge(key.clone());
        queues.on_member.nudge(key);
    }
    let counted = |cluster: &ManagedCluster| {
        let summary = cluster.status.as_ref().and_then(|status| status.summary.clone());
        let compliant = condition(cluster, ConditionType::PoliciesCompliant);
        (cluster.metadata.labels.clone(), summary, compliant, is_leaving(cluster))
    };
    if old.map(counted) != new.map(counted) {
        wake_policies(queues, caches);
    }
}

fn condition(cluster: &ManagedCluster, type_: ConditionType) -> Option<Condition> {
    let status = cluster.status.as_ref()?;
    status.conditions.iter().find(|one| one.type_ == type_).cloned()
}

fn start_controllers(
    fleet: &Fleet,
    queues: &Arc<Queues>,
    caches: &Arc<Caches>,
    tasks: &mut JoinSet<()>,
) {
    let context = &fleet.context;
    let accounts =
        Accounts::new(context.client.clone(), fleet.hub.clone(), Arc::clone(&caches.accounts));
    let clusters = ManagedClusterController {
        client: context.client.clone(),
        clock: Arc::clone(&context.clock),
        clouds: fleet.clouds.clone(),
        accounts: accounts.clone(),
        members: Arc::clone(&caches.members),
        safety: Arc::clone(&caches.safety),
        expiries: Arc::clone(&caches.expiries),
        token_command: fleet.token_command.clone(),
    };
    let registrations = Registrations {
        client: context.client.clone(),
        clouds: fleet.clouds.clone(),
        accounts: accounts.clone(),
    };
    let on_member = OnMember {
        client: context.client.clone(),
        clouds: fleet.clouds.clone(),
        clock: Arc::clone(&context.clock),
        accounts,
        policies: Arc::clone(&caches.policies),
        members: Arc::clone(&caches.members),
        queue: Arc::clone(&queues.on_member),
    };
    let summary =
        Summary { clusters: Arc::clone(&caches.clusters), policies: Arc::clone(&caches.policies) };
    tasks.spawn(run_loop(
        Arc::new(clusters),
        context.clone(),
        Arc::clone(&caches.clusters),
        Arc::clone(&queues.clusters),
    ));
    tasks.spawn(run_loop(
        Arc::new(registrations),
        context.clone(),
        Arc::clone(&caches.clusters),
        Arc::clone(&queues.registrations),
    ));
    tasks.spawn(run_loop(
        Arc::new(on_member),
        context.clone(),
        Arc::clone(&caches.clusters),
        Arc::clone(&queues.on_member),
    ));
    tasks.spawn(run_loop(
        Arc::new(summary),
        context.clone(),
        Arc::clone(&caches.policies),
        Arc::clone(&queues.policies),
    ));
}
