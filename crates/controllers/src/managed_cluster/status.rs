//! What is told about a cluster: pure, and total on every path. `status/conditions.rs` has the conditions.

mod conditions;
mod hosts;
mod pools;

use fleetwright_api_types::{
    Drift, LastError, LocalRef, ManagedClusterStatus, Observed, Operation,
};
use fleetwright_errclass::Class;
use fleetwright_names::{Ownership, sha256_hex};
use fleetwright_plan::{
    CloudAction, CloudStep, Credentials, Goal, HubStep, MemberStep, Phase, Plan, Seen, SeenCluster,
    SeenUpdate, Snapshot, Step, UpdateState,
};
use fleetwright_reconcile::{Conditions, Progress as Of, clip};
use fleetwright_render::connection_secret_name;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::ResourceExt;
use serde_json::Value;

use super::{Declared, Desired, FoundSecret, asked, drift};

pub(super) use self::hosts::abandoned;
pub(super) use self::hosts::declared_hosts;
pub(crate) use self::hosts::is_host;

type Progress = Of<Desired, Snapshot>;

/// The status names no more things left behind than this.
const LEFTOVERS: usize = 20;

/// The status after one reconcile.
pub(super) fn status(
    declared: &Declared,
    progress: &Progress,
    conditions: &mut Conditions,
) -> Value {
    let cluster = declared.cluster.as_ref();
    let access = declared.access.as_ref();
    let snapshot = progress.desired.as_ref().zip(progress.snapshot.as_ref());
    let snapshot = snapshot.map(|(desired, snapshot)| ours(desired, snapshot));
    let snapshot = snapshot.as_ref();
    let mut status = cluster.status.clone().unwrap_or_default();
    status.drift = tell_drift(declared, progress, snapshot, conditions);
    status.observed_generation = cluster.metadata.generation;
    status.edited_at = Some(Time(asked::edited_at(cluster, access, declared.now)));
    if let Some(desired) = &progress.desired {
        status.provider = Some(desired.cloud.key().to_owned());
        status.observed = Some(observed(status.observed.take(), desired, snapshot));
    }
    if let (Some(observed), Some(access)) = (&mut status.observed, access) {
        observed.provider_config_revision = Some(asked::revision(access));
    }
    if let Some(snapshot) = snapshot {
        status.pools = pools::observed(&status.pools, snapshot);
    }
    // A declaration that was refused notes nothing: on the way out every noted host is spoken to.
    if let Some(desired) = &progress.desired {
        status.hosts =
            hosts::observed(cluster, |part| desired.knows(part), progress.snapshot.as_ref());
        count_hosts(&mut status);
    }
    status.leftovers = leftovers(declared, progress, std::mem::take(&mut status.leftovers));
    status.clean_up_since =
        status.clean_up_since.or_else(|| cleans_up(progress, snapshot, declared.now));
    status.operation = operation(progress, snapshot, &status);
    status.last_error = last_error(progress, status.last_error.take());
    status.kubeconfig_secret_ref = secret_ref(declared, progress);
    conditions::tell(declared, progress, (snapshot, status.observed.as_ref()), conditions);
    status.conditions = conditions.clone().into_list();
    serde_json::to_value(&status).unwrap_or_default()
}

/// What of the snapshot is ours: of a stranger's cluster nothing is told, least of all that it is ready. In mode
/// `Observe` it is the other way round: whose it is does not matter.
fn ours(desired: &Desired, snapshot: &Snapshot) -> Snapshot {
    if desired.observes_only() {
        return snapshot.clone();
    }
    let is_ours = |tags| desired.owner.reads(tags) == Ownership::Ours;
    let cluster = match &snapshot.cluster {
        Seen::Present(seen) if !is_ours(&seen.tags) => Seen::Absent,
        seen => seen.clone(),
    };
    let pools = snapshot.pools.iter().filter(|(_, seen)| match seen {
        Seen::Present(pool) => is_ours(&pool.tags),
        Seen::Absent | Seen::Unknown { .. } => true,
    });
    let pools = pools.map(|(name, seen)| (name.clone(), seen.clone())).collect();
    Snapshot { cluster, pools, ..snapshot.clone() }
}

fn tell_drift(
    declared: &Declared,
    progress: &Progress,
    snapshot: Option<&Snapshot>,
    conditions: &mut Conditions,
) -> Option<Drift> {
    let cluster = declared.cluster.as_ref();
    let before = cluster.status.as_ref().and_then(|status| status.drift.clone());
    let leaving = cluster.metadata.deletion_timestamp.is_some();
    let edited = !leaving && asked::is_edit(cluster, declared.access.as_ref());
    let present = progress.desired.as_ref().is_some_and(|desired| desired.goal == Goal::Present);
    let (Some(plan), Some(snapshot), true) = (&progress.plan, snapshot, present) else {
        return drift::unseen(edited, before, conditions);
    };
    let (done, now) = (progress.done.as_slice(), declared.now);
    drift::tell(&drift::Seeing { cluster, snapshot, plan, done, now, edited }, conditions)
}

fn observed(old: Option<Observed>, desired: &Desired, snapshot: Option<&Snapshot>) -> Observed {
    let mut observed = old.unwrap_or_default();
    if let Some((address, _)) = &desired.place {
        observed.external_name = Some(address.external_name.clone());
        observed.region = Some(address.region.clone());
        observed.provider_config = Some(address.provider_config.clone());
    }
    let Some(snapshot) = snapshot else { return observed };
    match &snapshot.cluster {
        Seen::Present(seen) => {
            note_way(&mut observed, desired, seen);
            observed.external_id = Some(seen.external_id.clone());
            observed.version = Some(seen.version.clone());
            observed.platform_version.clone_from(&seen.platform_version);
            observed.oidc_issuer.clone_from(&seen.oidc_issuer);
            let sizes = snapshot.pools.values().filter_map(|pool| Some(pool.present()?.size));
            observed.nodes = Some(sizes.sum());
        }
        Seen::Absent => {
            // What is ours to know, and not the cloud's.
            observed = Observed {
                external_name: observed.external_name,
                region: observed.region,
                provider_config: observed.provider_config,
                account: observed.account,
                ..Observed::default()
            };
        }
        // What was known stays until somebody knows better.
        Seen::Unknown { .. } => {}
    }
    // Where it was made stays, as long as it is thought to be there, wherever the credentials lead now.
    let settled = observed.external_id.is_some() && observed.account.is_some();
    let seen = snapshot.cluster.present().is_some();
    if let Credentials::Valid { account, .. } = &snapshot.credentials
        && (seen || !settled)
    {
        observed.account = Some(account.clone());
    }
    observed
}

/// Notes how the API is reached. Endpoint and certificate authority belong together: a cloud that lets us see the cluster
/// but not, this time, its authority takes nothing away from what it said of the same cluster before.
fn note_way(observed: &mut Observed, desired: &Desired, seen: &SeenCluster) {
    observed.belongs_to = desired.belongs_to(&seen.tags);
    let is_ours_to_reach = observed.belongs_to.is_none();
    let digest = seen.certificate_authority.as_ref().map(sha256_hex);
    let same = observed.external_id.as_ref() == Some(&seen.external_id);
    let known = observed.certificate_authority_digest.is_some();
    if digest.is_none() && seen.endpoint.is_some() && same && known && is_ours_to_reach {
        return;
    }
    observed.endpoint.clone_from(&seen.endpoint);
    observed.certificate_authority_digest = digest.filter(|_| is_ours_to_reach);
}

/// Hosts are nodes of their own.
fn count_hosts(status: &mut ManagedClusterStatus) {
    let there = status.observed.as_mut().filter(|observed| observed.nodes.is_some());
    if let Some(observed) = there.filter(|_| !status.hosts.is_empty()) {
        observed.nodes = Some(hosts::nodes(&status.hosts));
    }
}

/// What stays behind: on hosts that were given up, and of what the cluster made outside itself.
fn leftovers(declared: &Declared, progress: &Progress, before: Vec<String>) -> Vec<String> {
    let mut left = hosts::abandoned(&declared.cluster);
    let outside = outside(declared, progress, before);
    left.extend(outside.into_iter().filter(|line| !line.starts_with(hosts::HOST)));
    left.truncate(LEFTOVERS);
    left
}

/// What is still there of what the cluster made outside itself, once the time to clean up is over.
fn outside(declared: &Declared, progress: &Progress, before: Vec<String>) -> Vec<String> {
    let until = progress.desired.as_ref().and_then(|desired| desired.rules.clean_up_until);
    let Some(until) = until else { return Vec::new() };
    let seen = progress.snapshot.as_ref().and_then(|snapshot| snapshot.member.outside.as_ref());
    match seen {
        Some(left) if declared.now >= until => {
            left.iter().map(|one| one.what.clone()).take(LEFTOVERS).collect()
        }
        Some(_) => Vec::new(),
        None => before,
    }
}

/// When the time to clean up begins: once a deletion that deletes is held back by nothing, and there is a control plane
/// that could answer.
fn cleans_up(progress: &Progress, snapshot: Option<&Snapshot>, now: Timestamp) -> Option<Time> {
    let desired = progress.desired.as_ref().filter(|desired| desired.goal == Goal::Absent)?;
    let held = desired.hold.is_some()
        || progress.paused
        || progress.held.is_some()
        || desired.rules.deletes_held.is_some();
    let seen = snapshot?.cluster.present()?;
    let answers = matches!(seen.phase, Phase::Active | Phase::Updating);
    (!held && answers).then_some(Time(now))
}

fn operation(
    progress: &Progress,
    snapshot: Option<&Snapshot>,
    status: &ManagedClusterStatus,
) -> Option<Operation> {
    let (desired, plan) = (progress.desired.as_ref()?, progress.plan.as_ref()?);
    if progress.paused || progress.held.is_some() {
        return None;
    }
    // One lost answer is no news: what was under way before is under way still.
    if snapshot.is_some_and(|snapshot| matches!(snapshot.cluster, Seen::Unknown { .. })) {
        return status.operation.clone();
    }
    let waits = || plan.waiting.first().map(|waiting| format!("waits for {}", waiting.what));
    let step = clip(plan.steps.first().map(ToString::to_string).or_else(waits)?);
    let action = match desired.goal {
        Goal::Absent => "Delete",
        Goal::Released => "Release",
        Goal::Present => action(plan, snapshot, status),
    };
    let percent = match action {
        "Upgrade" => upgraded(desired, snapshot),
        "Provision" => provisioned(desired, snapshot),
        _ => None,
    };
    Some(Operation { action: action.to_owned(), step, percent })
}

fn action(plan: &Plan, snapshot: Option<&Snapshot>, status: &ManagedClusterStatus) -> &'static str {
    let answers = |snapshot: &&Snapshot| {
        let seen = snapshot.cluster.present();
        seen.is_some_and(|seen| matches!(seen.phase, Phase::Active | Phase::Updating))
    };
    let Some(snapshot) = snapshot.filter(answers) else { return "Provision" };
    let cloud =
        |step: &Step, is: fn(&CloudStep) -> bool| matches!(step, Step::Cloud(step) if is(step));
    let any = |is: fn(&CloudStep) -> bool| plan.steps.iter().any(|step| cloud(step, is));
    let drains =
        plan.steps.iter().any(|step| matches!(step, Step::Member(MemberStep::Drain { .. })));
    let pools = || snapshot.pools.iter().filter_map(|(name, seen)| Some((name, seen.present()?)));
    let making = |phase| matches!(phase, Phase::Creating | Phase::Deleting);
    let replacing = pools().any(|(name, pool)| pool.stands_for != *name && making(pool.phase));
    let last = snapshot.cluster.present().and_then(|seen| seen.last_update.as_ref());
    let walking = last.is_some_and(upgrading)
        || pools().any(|(_, pool)| pool.last_update.as_ref().is_some_and(upgrading));
    if drains || replacing || any(|step| step.replaces.is_some()) {
        "Replace"
    } else if walking || any(upgrades) {
        "Upgrade"
    } else if status.drift.as_ref().is_some_and(|drift| !drift.fields.is_empty()) {
        "Repair"
    } else if pools().any(|(_, pool)| pool.phase == Phase::Creating)
        || any(|step| matches!(step.action, CloudAction::Create { .. }))
    {
        "Provision"
    } else {
        "Update"
    }
}

fn upgrading(update: &SeenUpdate) -> bool {
    update.state == UpdateState::InProgress && update.what == "version"
}

fn upgrades(step: &CloudStep) -> bool {
    matches!(&step.action, CloudAction::Update(update) if update.upgrade.is_some())
}

/// The share of control plane and pools that are where they shall be.
fn share(ready: impl Iterator<Item = bool>) -> Option<i32> {
    let (mut done, mut all) = (0, 0);
    for one in ready {
        all += 1;
        done += i32::from(one);
    }
    (all > 0).then(|| done * 100 / all)
}

fn upgraded(desired: &Desired, snapshot: Option<&Snapshot>) -> Option<i32> {
    let (wanted, snapshot) = (desired.cluster.as_ref()?.version, snapshot?);
    let cluster = snapshot.cluster.present()?;
    let pools = snapshot.pools.values().filter_map(Seen::present).map(|pool| &pool.version);
    let there = |version: &String| {
        fleetwright_plan::KubernetesVersion::parse("", version).is_ok_and(|found| found >= wanted)
    };
    let hosts = hosts::there(snapshot, |part| hosts::runs(part, wanted));
    share(std::iter::once(&cluster.version).chain(pools).map(there).chain(hosts))
}

fn provisioned(desired: &Desired, snapshot: Option<&Snapshot>) -> Option<i32> {
    let (wanted, snapshot) = (desired.cluster.as_ref()?, snapshot?);
    let usable = |phase| matches!(phase, Phase::Active | Phase::Updating);
    let cluster = snapshot.cluster.present().is_some_and(|seen| usable(seen.phase));
    let pools = wanted.pools.iter().map(|pool| {
        snapshot
            .pools
            .values()
            .filter_map(Seen::present)
            .any(|seen| seen.stands_for == pool.name && usable(seen.phase))
    });
    let hosts = wanted.parts.iter().filter(|part| is_host(&part.key)).map(|part| {
        let seen = snapshot.parts.get(&part.key).and_then(Seen::present);
        seen.is_some_and(|seen| usable(seen.phase))
    });
    share(std::iter::once(cluster).chain(pools).chain(hosts))
}

fn last_error(progress: &Progress, before: Option<LastError>) -> Option<LastError> {
    let same = |before: &LastError, code: &str, message: &str| {
        before.code == code && before.message == clip(message)
    };
    match &progress.failure {
        Some(failure) if failure.class == Class::Conflict => before,
        // The same again: the first request id is as good as the last, and nothing is written.
        Some(failure)
            if before.as_ref().is_some_and(|old| same(old, &failure.code, &failure.message)) =>
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
        None => match progress.snapshot.as_ref().map(|snapshot| &snapshot.credentials) {
            Some(Credentials::Failed { code, why }) => Some(LastError {
                code: code.clone(),
                message: clip(why.as_str()),
                retryable: false.into(),
                user_actionable: true.into(),
                request_id: None,
            }),
            _ => None,
        },
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

/// Why something could not be seen, if anything.
pub(crate) fn unseen(snapshot: &Snapshot) -> Option<&str> {
    let of_pools = snapshot.pools.values().map(why);
    let of_parts = snapshot.parts.values().map(why);
    std::iter::once(why(&snapshot.cluster)).chain(of_pools).chain(of_parts).flatten().next()
}

fn why<T>(seen: &Seen<T>) -> Option<&str> {
    match seen {
        Seen::Unknown { why, .. } => Some(why.as_str()),
        Seen::Absent | Seen::Present(_) => None,
    }
}
