//! When the controllers look at a cluster again, as far as its status and the pace of its cloud tell.

use std::time::Duration;

use fleetwright_api_types::{
    ConditionStatus as Is, ConditionType as Type, LastError, ManagedCluster,
};
use fleetwright_errclass::{Class, Retry, backoff};
use fleetwright_provider::Limits;

use crate::since::rough;

/// Looks are spread by so much, so that a fleet does not look all at once.
const JITTER: f64 = 1.1;

/// Whether the cloud is at work on control plane or pools: then it is asked every `poll_busy`.
#[must_use]
pub fn is_moving(cluster: &ManagedCluster) -> bool {
    let moves = |phase: &str| matches!(phase, "Creating" | "Updating" | "Deleting");
    let Some(status) = &cluster.status else { return false };
    let find = |type_: Type| status.conditions.iter().find(|one| one.type_ == type_);
    let control_plane = find(Type::ControlPlaneReady);
    // A pool that was just asked for is not listed yet.
    let asked_for = control_plane.is_some_and(|one| one.status == Is::True)
        && find(Type::NodePoolsReady).is_some_and(|one| one.reason == "Creating");
    asked_for
        || control_plane.is_some_and(|one| moves(&one.reason))
        || status.pools.iter().any(|pool| moves(&pool.phase))
        || status.hosts.iter().any(|host| moves(&host.phase))
}

/// The longest time until the next look. `None`: nobody looks before something is edited, or it cannot be told.
#[must_use]
pub fn within(cluster: &ManagedCluster, limits: Limits) -> Option<Duration> {
    let status = cluster.status.as_ref()?;
    let synced = status.conditions.iter().find(|one| one.type_ == Type::Synced)?;
    // An edit is looked at at once, so the status is about to change.
    let is_stale = synced.observed_generation < cluster.metadata.generation;
    if is_stale || matches!(synced.reason.as_str(), "Paused" | "InvalidConfiguration") {
        return None;
    }
    if let Some(error) = &status.last_error {
        // How long a cloud asked us to wait is not kept.
        return if synced.reason == "Throttled" { None } else { longest(class_of(error)) };
    }
    let pace = if is_moving(cluster) { limits.poll_busy } else { limits.poll_idle };
    Some(pace.mul_f64(JITTER))
}

/// What kind of failure it was, by what the status kept of it; of two kinds with one answer the one that waits longer.
fn class_of(error: &LastError) -> Class {
    match (error.retryable == true.into(), error.user_actionable == true.into()) {
        (true, _) => Class::Transient,
        (false, true) => Class::Refused,
        (false, false) => Class::Bug,
    }
}

fn longest(class: Class) -> Option<Duration> {
    match class.retry() {
        Retry::OnChange => None,
        Retry::Now => Some(Duration::from_secs(1)),
        Retry::Backoff { first, most } => Some(backoff(first, most, u32::MAX, 1.0)),
    }
}

/// `0.5 s`, `15 s`, `5 m`.
#[must_use]
pub fn told(span: Duration) -> String {
    if span < Duration::from_secs(1) {
        return format!("{:.1} s", span.as_secs_f64());
    }
    rough(Duration::from_secs_f64(span.as_secs_f64().ceil()))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMITS: Limits = Limits {
        poll_busy: Duration::from_secs(15),
        poll_idle: Duration::from_secs(300),
        in_doubt: Duration::from_secs(240),
    };

    fn cluster(synced: &str, more: &Value) -> ManagedCluster {
        let mut status = json!({"conditions": [{"type": "Synced", "status": "False", "reason": synced,
            "message": "", "lastTransitionTime": "2026-11-22T11:59:22Z"}]});
        for (key, value) in more.as_object().into_iter().flatten() {
            status[key] = value.clone();
        }
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "one", "namespace": "shop"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}}, "status": status}))
        .expect("a cluster")
    }

    #[track_caller]
    fn check(synced: &str, more: &Value, expected: Option<&str>) {
        let found = within(&cluster(synced, more), LIMITS).map(told);
        assert_eq!(found.as_deref(), expected);
    }

    #[test]
    fn the_next_look_follows_from_what_goes_on_and_from_what_failed() {
        let error = |retryable: &str, actionable: &str| json!({"lastError": {"code": "X", "message": "m", "retryable": retryable, "userActionable": actionable}});
        let pool = |phase: &str| json!({"pools": [{"name": "web", "phase": phase, "size": 2}]});
        check("Applying", &pool("Creating"), Some("17 s"));
        check("Applying", &pool("Updating"), Some("17 s"));
        check("Applying", &pool("Failed"), Some("5 m"));
        let host = |phase: &str| json!({"hosts": [{"name": "s1", "role": "server", "host": "10.0.0.11", "phase": phase}]});
        check("Applying", &host("Updating"), Some("17 s"));
        check("Applied", &host("Away"), Some("5 m"));
        check("Applied", &json!({}), Some("5 m"));
        check("Throttled", &error("Yes", "No"), None);
        check("CloudError", &error("Yes", "No"), Some("75 s"));
        check("Unauthorized", &error("No", "Yes"), Some("12 m"));
        check("PlanRejected", &error("No", "No"), Some("12 m"));
        check("InvalidConfiguration", &error("No", "Yes"), None);
        check("Paused", &json!({}), None);
        let mut edited = cluster("Applied", &json!({}));
        edited.metadata.generation = Some(2);
        assert_eq!(within(&edited, LIMITS), None);
    }

    #[test]
    fn a_pool_that_was_asked_for_moves_and_one_without_a_control_plane_does_not() {
        let with = |control_plane: &str, reason: &str| {
            let one = |type_: &str, status: &str, reason: &str| {
                json!({"type": type_, "status": status, "reason": reason, "message": "",
                    "lastTransitionTime": "2026-11-22T11:59:22Z"})
            };
            let pools = one("NodePoolsReady", "False", "Creating");
            let conditions = [one("ControlPlaneReady", control_plane, reason), pools];
            cluster("Applying", &json!({"conditions": conditions}))
        };
        assert!(is_moving(&with("True", "Available")));
        assert!(is_moving(&with("False", "Creating")));
        assert!(!is_moving(&with("False", "Absent")));
        assert_eq!(told(Duration::from_millis(500)), "0.5 s");
    }
}
