//! The conditions of a cluster. Pure; reasons are documented in `docs/conditions.md`.

use std::time::Duration;

use fleetwright_api_types::{
    ConditionStatus as Is, ConditionType as Type, ManagedCluster, Observed,
};
use fleetwright_errclass::Class;
use fleetwright_plan::{
    Credentials, Held, KubernetesVersion, Phase, Plan, Problem, Seen, SeenCluster, Snapshot,
};
use fleetwright_reconcile::{Conditions, Failure};
use jiff::{SignedDuration, Timestamp};

use super::{Declared, Progress, hosts, pools, unseen};
use crate::managed_cluster::certificates;

/// A cloud that does not answer for this long is told as Unknown.
const GRACE: Duration = Duration::from_secs(300);

/// Credentials that end within this time are told. Longer than the cloud is left alone, so that it is told in time.
const ENDS_SOON: SignedDuration = SignedDuration::from_mins(10);

/// Sets every condition but `DriftFree`.
pub(super) fn tell(
    declared: &Declared,
    progress: &Progress,
    (snapshot, observed): (Option<&Snapshot>, Option<&Observed>),
    conditions: &mut Conditions,
) {
    let cluster = declared.cluster.as_ref();
    synced(cluster, progress, snapshot, conditions);
    if !in_grace(snapshot, conditions) {
        control_plane(snapshot, observed, (progress, declared.now), conditions);
        node_pools(cluster, progress, snapshot, conditions);
    }
    credentials(progress, declared.now, conditions);
    upgrade_ready(snapshot, conditions);
    conditions.expect(Type::Reachable);
    conditions.expect(Type::PoliciesCompliant);
    ready(cluster, observed, conditions);
    markers(progress, conditions);
}

/// The kstatus markers: present only when True.
fn markers(progress: &Progress, conditions: &mut Conditions) {
    let plan = progress.plan.as_ref();
    let stopped = progress.paused || progress.held.is_some();
    let works = |plan: &Plan| !plan.steps.is_empty() || !plan.waiting.is_empty();
    if !stopped && plan.is_some_and(works) {
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

/// Whether the cloud could not be seen, but not for long: what it said last is kept, since one lost answer is no news.
/// `Synced` tells at once, and so keeps the time since when.
fn in_grace(snapshot: Option<&Snapshot>, conditions: &Conditions) -> bool {
    let unseen = snapshot.is_some_and(|snapshot| unseen(snapshot).is_some());
    let known = conditions.get(Type::ControlPlaneReady).is_some();
    unseen && known && conditions.age(Type::Synced).is_some_and(|age| age < GRACE)
}

fn control_plane(
    snapshot: Option<&Snapshot>,
    observed: Option<&Observed>,
    (progress, now): (&Progress, Timestamp),
    conditions: &mut Conditions,
) {
    let by_hand = progress.desired.as_ref().is_some_and(|desired| desired.rules.cloud.by_hand);
    let Some(snapshot) = snapshot else {
        conditions.expect(Type::ControlPlaneReady);
        return;
    };
    let (is, reason, message) = match &snapshot.cluster {
        Seen::Unknown { why, .. } => (Is::Unknown, "NotSeen", why.clone()),
        Seen::Absent => (Is::False, "Absent", "there is no control plane yet".to_owned()),
        Seen::Present(seen) => {
            let (is, reason, mut message) = standing(seen, observed, by_hand);
            if let Some(words) = certificates::words(seen, now) {
                message.push_str("; ");
                message.push_str(&words);
            }
            (is, reason, message)
        }
    };
    conditions.set(Type::ControlPlaneReady, is, reason, message);
}

/// The control plane is there, but nobody told how its API is reached.
const NO_WAY_IN: &str = "NoWayIn";

/// How a control plane stands that is there, and what the cloud says is wrong with it.
fn standing(seen: &SeenCluster, observed: Option<&Observed>, by_hand: bool) -> Told {
    let (making, deleting, who) = if by_hand {
        (
            "its servers are being installed",
            "it is being removed from its servers",
            "no server gives",
        )
    } else {
        ("the cloud is making it", "the cloud is deleting it", "the cloud does not give")
    };
    let whose = observed.and_then(|observed| observed.belongs_to.as_deref());
    let (is, reason, mut message) = match (seen.phase, no_way_in(observed)) {
        (Phase::Failed, _) => return (Is::False, "Failed", seen.trouble.clone()),
        (Phase::Creating, _) => (Is::False, "Creating", making.to_owned()),
        (Phase::Deleting, _) => (Is::False, "Deleting", deleting.to_owned()),
        (Phase::Active | Phase::Updating, Some(missing)) if whose.is_none() => {
            let message = format!("the control plane runs, but {who} the {missing} of its API");
            (Is::False, NO_WAY_IN, message)
        }
        (Phase::Active, _) => (Is::True, "Available", "the control plane is active".to_owned()),
        (Phase::Updating, _) => (Is::True, "Updating", "usable; a change is under way".to_owned()),
    };
    if let Some(whose) = whose {
        message.push_str("; by its tags it belongs to ");
        message.push_str(whose);
        message.push_str(", so nothing here connects to it or registers it");
    }
    if !seen.trouble.is_empty() {
        message.push_str("; ");
        message.push_str(&seen.trouble);
    }
    (is, reason, message)
}

/// What is missing of the way to the API: now, and from when the cloud said it last.
fn no_way_in(observed: Option<&Observed>) -> Option<&'static str> {
    if observed.is_none_or(|observed| observed.endpoint.is_none()) {
        return Some("endpoint");
    }
    let digest = observed.and_then(|observed| observed.certificate_authority_digest.as_ref());
    digest.is_none().then_some("certificate authority")
}

fn node_pools(
    cluster: &ManagedCluster,
    progress: &Progress,
    snapshot: Option<&Snapshot>,
    conditions: &mut Conditions,
) {
    let Some(snapshot) = snapshot else {
        conditions.expect(Type::NodePoolsReady);
        return;
    };
    let (is, reason, message) = match &progress.desired {
        Some(desired) if cluster.spec.k3s.is_some() => {
            hosts::ready(cluster, snapshot, |part| desired.knows(part))
        }
        _ => pools::ready(cluster, snapshot, progress.plan.as_ref()),
    };
    conditions.set(Type::NodePoolsReady, is, reason, message);
}

fn credentials(progress: &Progress, now: Timestamp, conditions: &mut Conditions) {
    let type_ = Type::CredentialsValid;
    match progress.snapshot.as_ref().map(|snapshot| &snapshot.credentials) {
        Some(Credentials::Valid { account, principal, expires_at }) => {
            let who = format!("account {account}, as {principal}");
            match expires_at.filter(|end| end.duration_since(now) < ENDS_SOON) {
                Some(end) => {
                    let end = end.strftime("%Y-%m-%dT%H:%M:%SZ");
                    let message = format!(
                        "{who}, but only until {end}; nobody renews these credentials, so put new ones in their place"
                    );
                    conditions.set(type_, Is::False, "ExpiringSoon", message);
                }
                None => conditions.set(type_, Is::True, "Valid", who),
            }
        }
        Some(Credentials::Failed { code, why }) => conditions.set(type_, Is::False, code, why),
        Some(Credentials::NotAsked) | None => conditions.expect(type_),
    }
}

fn upgrade_ready(snapshot: Option<&Snapshot>, conditions: &mut Conditions) {
    let type_ = Type::UpgradeReady;
    let Some(seen) = snapshot.and_then(|snapshot| snapshot.cluster.present()) else {
        conditions.expect(type_);
        return;
    };
    match seen.blockers.as_deref() {
        None => conditions.set(type_, Is::Unknown, "NotAsked", "no newer version is declared"),
        Some([]) => conditions.set(type_, Is::True, "NothingBlocks", "nothing blocks the upgrade"),
        Some(blockers) => {
            conditions.set(type_, Is::False, blocker(blockers), blockers.join("; "));
        }
    }
}

/// What the first blocker is about, as far as its text tells.
fn blocker(blockers: &[String]) -> &'static str {
    let text = blockers.first().map(|text| text.to_lowercase()).unwrap_or_default();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["deprecated", "removed api"]) {
        "DeprecatedApisInUse"
    } else if says(&["poddisruptionbudget", "disruption budget", "pdb"]) {
        "PdbBlocks"
    } else if says(&["webhook"]) {
        "WebhookBlocks"
    } else if says(&["ip address", "free ip", "subnet"]) {
        "NoFreeIps"
    } else {
        "Blocked"
    }
}

fn synced(
    cluster: &ManagedCluster,
    progress: &Progress,
    snapshot: Option<&Snapshot>,
    conditions: &mut Conditions,
) {
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
    let (is, reason, message) = stopped(progress, plan)
        .or_else(|| unsure(progress))
        .or_else(|| under_way(progress, plan))
        .or_else(|| unregistered(cluster))
        .unwrap_or_else(|| applied(cluster, snapshot));
    conditions.set(type_, is, reason, message);
}

type Told = (Is, &'static str, String);

/// Somebody holds us back, or must do something first.
fn stopped(progress: &Progress, plan: &Plan) -> Option<Told> {
    let hold = progress.desired.as_ref().and_then(|desired| desired.hold.as_ref());
    if progress.paused {
        let message = match plan.steps.len() {
            0 => "paused by annotation fleetwright.dev/paused".to_owned(),
            steps => format!("paused by annotation fleetwright.dev/paused; {steps} writes wait"),
        };
        Some((Is::False, "Paused", message))
    } else if let Some(held) = &progress.held {
        Some((Is::False, "Frozen", format!("waits for {}, on {}", held.what, held.on)))
    } else if let Some(hold) = hold {
        let message = format!("waits for {}, on {}", hold.what, hold.on);
        Some((Is::False, "AwaitingConfirmation", message))
    } else if !plan.refused.is_empty() {
        Some((Is::False, "PlanRejected", lines(&plan.refused)))
    } else {
        None
    }
}

/// The cloud could not be asked, or does not know us.
fn unsure(progress: &Progress) -> Option<Told> {
    let snapshot = progress.snapshot.as_ref()?;
    if let Credentials::Failed { code, why } = &snapshot.credentials {
        return Some((Is::False, "Unauthorized", format!("{code}: {why}")));
    }
    unseen(snapshot).map(|why| (Is::Unknown, "NotSeen", why.to_owned()))
}

fn under_way(progress: &Progress, plan: &Plan) -> Option<Told> {
    if let Some((reason, held)) = plan.held.iter().find_map(|held| kept(progress, held)) {
        // What else goes on shows in the operation; this is what will not go on by itself, or not soon.
        if plan.steps.is_empty() {
            let message = format!("{} waits: {}", held.step, held.why);
            return Some((Is::False, reason, message));
        }
    }
    if let Some(waiting) = plan.waiting.first() {
        let message = format!("waits for {}, on {}", waiting.what, waiting.on);
        Some((Is::False, "Applying", message))
    } else if !plan.steps.is_empty() {
        let message = format!("did {} of {} steps", progress.done.len(), plan.steps.len());
        Some((Is::False, "Applying", message))
    } else {
        let held = plan.held.first()?;
        Some((Is::False, "Applying", format!("{} waits: {}", held.step, held.why)))
    }
}

/// The cloud is as declared, but the cluster could not be made known to Argo CD as it should.
fn unregistered(cluster: &ManagedCluster) -> Option<Told> {
    let trouble = cluster.status.as_ref()?.registration.as_ref()?.trouble.clone()?;
    Some((Is::False, "NotRegistered", trouble))
}

/// Why a step is kept back for longer than the cloud needs.
fn kept<'h>(progress: &Progress, held: &'h Held) -> Option<(&'static str, &'h Held)> {
    let rules = &progress.desired.as_ref()?.rules;
    if let Some(brake) = &rules.deletes_held
        && held.why.starts_with(&brake.what)
    {
        let fuse = brake.on.contains("thaw");
        return Some((if fuse { "FuseTripped" } else { "DeletesHeld" }, held));
    }
    if held.why.starts_with("window") {
        Some(("AwaitingWindow", held))
    } else if held.why.starts_with("hands off") {
        Some(("HandsOff", held))
    } else {
        None
    }
}

fn applied(cluster: &ManagedCluster, snapshot: Option<&Snapshot>) -> Told {
    let version = |text: &str| KubernetesVersion::parse("spec.version", text).ok();
    let runs = snapshot.and_then(|snapshot| version(&snapshot.cluster.present()?.version));
    match (runs, version(&cluster.spec.version)) {
        (Some(runs), Some(declared)) if runs > declared => {
            let message =
                format!("as declared, but {runs} runs where spec.version says {declared}");
            (Is::True, "AheadOfSpec", message)
        }
        _ => (Is::True, "Applied", "as declared".to_owned()),
    }
}

fn reason_of(failure: &Failure) -> &'static str {
    match failure.code.as_str() {
        "Throttled" => "Throttled",
        "QuotaExceeded" => "QuotaExceeded",
        "CapacityUnavailable" => "CapacityUnavailable",
        "Unauthorized" | "CredentialsMissing" | "Expired" | "SecretMissing"
        | "AssumeRoleDenied" | "AccountNotAllowed" => "Unauthorized",
        "PlanRejected" => "PlanRejected",
        _ if failure.class == Class::Conflict => "Conflict",
        _ => "CloudError",
    }
}

/// Usable now. Work on pools does not take it away; trouble of the control plane does.
fn ready(cluster: &ManagedCluster, observed: Option<&Observed>, conditions: &mut Conditions) {
    let status = |type_| conditions.get(type_).map_or(Is::Unknown, |condition| condition.status);
    let was_ready = status(Type::Ready) == Is::True;
    let (control_plane, pools) = (status(Type::ControlPlaneReady), status(Type::NodePoolsReady));
    let reachable = status(Type::Reachable);
    let no_way_in =
        conditions.get(Type::ControlPlaneReady).is_some_and(|told| told.reason == NO_WAY_IN);
    let somebody_elses = observed.is_some_and(|observed| observed.belongs_to.is_some());
    let (is, reason, message) = if cluster.metadata.deletion_timestamp.is_some() {
        (Is::False, "Deleting", "the object is being deleted")
    } else if control_plane == Is::Unknown {
        (Is::Unknown, "NotSeen", "the cloud has not answered; see ControlPlaneReady")
    } else if no_way_in {
        (Is::False, NO_WAY_IN, "see ControlPlaneReady")
    } else if somebody_elses {
        (Is::False, "SomebodyElses", "it is another object's cluster; see ControlPlaneReady")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blockers_are_named_by_what_they_are_about() {
        let reason = |text: &str| blocker(&[text.to_owned()]);
        assert_eq!(reason("Deprecated APIs removed in Kubernetes v1.35"), "DeprecatedApisInUse");
        assert_eq!(reason("PodDisruptionBudget shop/db allows none"), "PdbBlocks");
        assert_eq!(reason("a failing webhook intercepts pods"), "WebhookBlocks");
        assert_eq!(reason("subnet-0a has 2 free IP addresses"), "NoFreeIps");
        assert_eq!(reason("kubelet version skew"), "Blocked");
    }

    #[test]
    fn failures_of_identity_have_one_reason_in_synced() {
        let reason = |code: &str| reason_of(&Failure::new(Class::Refused, code, "no"));
        assert_eq!(reason("Expired"), "Unauthorized");
        assert_eq!(reason("AssumeRoleDenied"), "Unauthorized");
        assert_eq!(reason("QuotaExceeded"), "QuotaExceeded");
        assert_eq!(reason("Odd"), "CloudError");
    }
}
