//! What is told about a cluster: pure, and total on every path.

use std::time::Duration;

use fleetwright_api_types::{
    ConditionStatus as Is, ConditionType as Type, LastError, LocalRef, ManagedCluster, Observed,
    Operation,
};
use fleetwright_errclass::Class;
use fleetwright_names::{Owner, Ownership};
use fleetwright_plan::{Goal, HubStep, Phase, Plan, Problem, Seen, Snapshot, Step};
use fleetwright_reconcile::{Conditions, Failure, Progress as Of, clip};
use fleetwright_render::connection_secret_name;
use kube::ResourceExt;
use serde_json::Value;

use super::{Declared, Desired, FoundSecret};

type Progress = Of<Desired, Snapshot>;

/// A cloud that does not answer for this long is told as Unknown.
const GRACE: Duration = Duration::from_secs(300);

/// The status after one reconcile.
pub(super) fn status(
    declared: &Declared,
    progress: &Progress,
    conditions: &mut Conditions,
) -> Value {
    let cluster = declared.cluster.as_ref();
    let snapshot = progress.desired.as_ref().zip(progress.snapshot.as_ref());
    let snapshot = snapshot.map(|(desired, snapshot)| ours(&desired.owner, snapshot));
    let snapshot = snapshot.as_ref();
    let mut status = cluster.status.clone().unwrap_or_default();
    status.observed_generation = cluster.metadata.generation;
    if let Some(desired) = &progress.desired {
        status.provider = Some(desired.cloud.key().to_owned());
        status.observed = Some(observed(status.observed.take(), desired, snapshot));
    }
    status.operation = progress.plan.as_ref().and_then(|plan| operation(plan, progress));
    status.last_error = last_error(progress, status.last_error.take());
    status.kubeconfig_secret_ref = secret_ref(declared, progress);
    tell(cluster, progress, snapshot, conditions);
    status.conditions = conditions.clone().into_list();
    serde_json::to_value(&status).unwrap_or_default()
}

fn observed(old: Option<Observed>, desired: &Desired, snapshot: Option<&Snapshot>) -> Observed {
    let mut observed = old.unwrap_or_default();
    if let Some(address) = &desired.address {
        observed.external_name = Some(address.external_name.clone());
        observed.region = Some(address.region.clone());
        observed.provider_config = Some(address.provider_config.clone());
    }
    match snapshot.map(|snapshot| &snapshot.cluster) {
        Some(Seen::Present(seen)) => {
            observed.external_id = Some(seen.external_id.clone());
            observed.endpoint.clone_from(&seen.endpoint);
            observed.version = Some(seen.version.clone());
            observed.platform_version.clone_from(&seen.platform_version);
            observed.oidc_issuer.clone_from(&seen.oidc_issuer);
            observed.nodes = snapshot.map(|snapshot| {
                snapshot.pools.values().filter_map(|pool| Some(pool.present()?.size)).sum()
            });
        }
        Some(Seen::Absent) => {
            let Observed { external_name, region, provider_config, .. } = observed;
            observed = Observed { external_name, region, provider_config, ..Observed::default() };
        }
        // What was known stays until somebody knows better.
        Some(Seen::Unknown { .. }) | None => {}
    }
    observed
}

fn operation(plan: &Plan, progress: &Progress) -> Option<Operation> {
    let action = match progress.desired.as_ref()?.goal {
        Goal::Present => "Provision",
        Goal::Absent => "Delete",
        Goal::Released => "Release",
    };
    let waits = || plan.waiting.first().map(|waiting| format!("waits for {}", waiting.what));
    let step = plan.steps.first().map(ToString::to_string).or_else(waits)?;
    Some(Operation { action: action.to_owned(), step })
}

fn last_error(progress: &Progress, before: Option<LastError>) -> Option<LastError> {
    match &progress.failure {
        Some(failure) if failure.class == Class::Conflict => before,
        // The same again: the first request id is as good as the last, and nothing is written.
        Some(failure)
            if before.as_ref().is_some_and(|before| {
                before.code == failure.code && before.message == clip(failure.message.as_str())
            }) =>
        {
            before
        }
        Some(failure) => Some(LastError {
            code: failure.code.clone(),
            message: clip(failure.message.as_str()),
            retryable: failure.class.retryable().into(),
            user_actionable: failure.class.user_actionable().into(),
            request_id: failure.request_id.clone(),
        }),
        None => None,
    }
}

fn secret_ref(declared: &Declared, progress: &Progress) -> Option<LocalRef> {
    let steps = progress.plan.as_ref().map(|plan| plan.steps.as_slice()).unwrap_or_default();
    let done: Vec<&Step> = progress.done.iter().filter_map(|number| steps.get(*number)).collect();
    let put = done.iter().any(|step| matches!(step, Step::Hub(HubStep::PutConnection { .. })));
    let deleted =
        done.iter().any(|step| matches!(step, Step::Hub(HubStep::DeleteConnection { .. })));
    (put || (matches!(declared.secret, FoundSecret::Ours(_)) && !deleted))
        .then(|| LocalRef { name: connection_secret_name(&declared.cluster.name_any()) })
}

fn tell(
    cluster: &ManagedCluster,
    progress: &Progress,
    snapshot: Option<&Snapshot>,
    conditions: &mut Conditions,
) {
    synced(progress, conditions);
    if !in_grace(snapshot, conditions) {
        control_plane(snapshot, conditions);
        node_pools(cluster, snapshot, conditions);
    }
    conditions.expect(Type::Reachable);
    conditions.expect(Type::PoliciesCompliant);
    ready(cluster, conditions);
    let plan = progress.plan.as_ref();
    if plan.is_some_and(|plan| !plan.steps.is_empty() || !plan.waiting.is_empty()) {
        conditions.set(Type::Reconciling, Is::True, "InProgress", "work is under way");
    } else {
        conditions.remove(Type::Reconciling);
    }
    if plan.is_some_and(|plan| !plan.refused.is_empty()) || !progress.problems.is_empty() {
        conditions.set(Type::Stalled, Is::True, "NeedsAttention", "see Synced");
    } else {
        conditions.remove(Type::Stalled);
    }
}

/// What of the snapshot is ours: of a stranger's cluster nothing is told, least of all that it is ready.
fn ours(owner: &Owner, snapshot: &Snapshot) -> Snapshot {
    let is_ours = |tags| owner.reads(tags) == Ownership::Ours;
    let cluster = match &snapshot.cluster {
        Seen::Present(seen) if !is_ours(&seen.tags) => Seen::Absent,
        seen => seen.clone(),
    };
    let pools = snapshot.pools.iter().filter(|(_, seen)| match seen {
        Seen::Present(pool) => is_ours(&pool.tags),
        Seen::Absent | Seen::Unknown { .. } => true,
    });
    Snapshot { cluster, pools: pools.map(|(name, seen)| (name.clone(), seen.clone())).collect() }
}

/// Whether the cloud could not be seen, but not for long: what it said last is kept, since one lost answer is no news.
/// `Synced` tells at once, and so keeps the time since when.
fn in_grace(snapshot: Option<&Snapshot>, conditions: &Conditions) -> bool {
    let unseen = snapshot.is_some_and(|snapshot| unseen(snapshot).is_some());
    let known = conditions.get(Type::ControlPlaneReady).is_some();
    unseen && known && conditions.age(Type::Synced).is_some_and(|age| age < GRACE)
}

/// Why something could not be seen, if anything.
fn unseen(snapshot: &Snapshot) -> Option<&str> {
    match &snapshot.cluster {
        Seen::Unknown { why, .. } => Some(why),
        Seen::Absent | Seen::Present(_) => snapshot.pools.values().find_map(|pool| match pool {
            Seen::Unknown { why, .. } => Some(why.as_str()),
            Seen::Absent | Seen::Present(_) => None,
        }),
    }
}

fn control_plane(snapshot: Option<&Snapshot>, conditions: &mut Conditions) {
    let Some(snapshot) = snapshot else {
        conditions.expect(Type::ControlPlaneReady);
        return;
    };
    let (is, reason, message) = match &snapshot.cluster {
        Seen::Unknown { why, .. } => (Is::Unknown, "NotSeen", why.as_str()),
        Seen::Absent => (Is::False, "Absent", "there is no control plane yet"),
        Seen::Present(seen) => match seen.phase {
            Phase::Active => (Is::True, "Available", "the control plane is active"),
            Phase::Updating => (Is::True, "Updating", "usable; a change is under way"),
            Phase::Creating => (Is::False, "Creating", "the cloud is making it"),
            Phase::Deleting => (Is::False, "Deleting", "the cloud is deleting it"),
            Phase::Failed => (Is::False, "Failed", seen.trouble.as_str()),
        },
    };
    conditions.set(Type::ControlPlaneReady, is, reason, message);
}

fn node_pools(cluster: &ManagedCluster, snapshot: Option<&Snapshot>, conditions: &mut Conditions) {
    let type_ = Type::NodePoolsReady;
    let declared = &cluster.spec.node_pools;
    let Some(snapshot) = snapshot else {
        conditions.expect(type_);
        return;
    };
    if declared.is_empty() {
        conditions.set(type_, Is::True, "NoPools", "no node pool is declared");
        return;
    }
    if let Seen::Unknown { why, .. } = &snapshot.cluster {
        conditions.set(type_, Is::Unknown, "NotSeen", why);
        return;
    }
    let mut ready = 0;
    let mut worst = None;
    for pool in declared {
        let seen = snapshot.pools.iter().find(|(name, _)| name.as_str() == pool.name);
        match seen.map(|(_, seen)| seen) {
            Some(Seen::Present(seen)) if matches!(seen.phase, Phase::Active | Phase::Updating) => {
                ready += 1
            }
            Some(Seen::Present(seen)) if seen.phase == Phase::Failed => {
                worst =
                    Some((Is::False, "Failed", format!("pool {}: {}", pool.name, seen.trouble)));
            }
            Some(Seen::Unknown { why, .. }) => {
                worst = worst.or_else(|| {
                    Some((Is::Unknown, "NotSeen", format!("pool {}: {why}", pool.name)))
                });
            }
            Some(Seen::Present(_) | Seen::Absent) | None => {
                let text = format!("pool {} is not ready yet", pool.name);
                worst = worst.or(Some((Is::False, "Creating", text)));
            }
        }
    }
    let share = format!("pools {ready}/{}", declared.len());
    match worst {
        None => conditions.set(type_, Is::True, "Available", share),
        Some((is, reason, text)) => conditions.set(type_, is, reason, format!("{share}; {text}")),
    }
}

fn synced(progress: &Progress, conditions: &mut Conditions) {
    let type_ = Type::Synced;
    if !progress.problems.is_empty() {
        conditions.set(type_, Is::False, "InvalidConfiguration", lines(&progress.problems));
        return;
    }
    if let Some(failure) = &progress.failure {
        conditions.set(type_, Is::False, reason_of(failure), &failure.message);
        return;
    }
    let Some(plan) = &progress.plan else {
        conditions.expect(type_);
        return;
    };
    let held = progress.desired.as_ref().and_then(|desired| desired.hold.as_ref());
    if let Some(hold) = held {
        let message = format!("waits for {}, on {}", hold.what, hold.on);
        conditions.set(type_, Is::False, "AwaitingConfirmation", message);
    } else if !plan.refused.is_empty() {
        conditions.set(type_, Is::False, "PlanRejected", lines(&plan.refused));
    } else if let Some(why) = progress.snapshot.as_ref().and_then(unseen) {
        conditions.set(type_, Is::Unknown, "NotSeen", why);
    } else if let Some(waiting) = plan.waiting.first() {
        let message = format!("waits for {}, on {}", waiting.what, waiting.on);
        conditions.set(type_, Is::False, "Applying", message);
    } else if plan.steps.is_empty() {
        conditions.set(type_, Is::True, "Applied", "as declared");
    } else {
        let message = format!("did {} of {} steps", progress.done.len(), plan.steps.len());
        conditions.set(type_, Is::False, "Applying", message);
    }
}

fn reason_of(failure: &Failure) -> &'static str {
    match failure.code.as_str() {
        "Throttled" => "Throttled",
        "QuotaExceeded" => "QuotaExceeded",
        "Unauthorized" | "CredentialsMissing" => "Unauthorized",
        "PlanRejected" => "PlanRejected",
        _ if failure.class == Class::Conflict => "Conflict",
        _ => "CloudError",
    }
}

/// Usable now. Work on pools does not take it away; trouble of the control plane does.
fn ready(cluster: &ManagedCluster, conditions: &mut Conditions) {
    let status = |type_| conditions.get(type_).map_or(Is::Unknown, |condition| condition.status);
    let was_ready = status(Type::Ready) == Is::True;
    let (control_plane, pools) = (status(Type::ControlPlaneReady), status(Type::NodePoolsReady));
    let reachable = status(Type::Reachable);
    let (is, reason, message) = if cluster.metadata.deletion_timestamp.is_some() {
        (Is::False, "Deleting", "the object is being deleted")
    } else if control_plane == Is::Unknown {
        (Is::Unknown, "NotSeen", "the cloud has not answered; see ControlPlaneReady")
    } else if control_plane == Is::False {
        (Is::False, "Provisioning", "see ControlPlaneReady")
    } else if reachable == Is::False {
        (Is::False, "Unreachable", "see Reachable")
    } else if pools == Is::True || was_ready {
        (Is::True, "Available", "usable")
    } else {
        (Is::False, "Provisioning", "see NodePoolsReady")
    };
    conditions.set(Type::Ready, is, reason, message);
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
