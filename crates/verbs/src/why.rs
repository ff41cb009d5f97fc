//! `fleetwright why`: from "not Ready" down to what causes it, and what a person can do.

mod text;

use fleetwright_api_types::{
    Condition, ConditionStatus as Is, ConditionType as Type, LastError, ManagedCluster, Operation,
};
use fleetwright_provider::Limits;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use serde::Serialize;

use crate::advice::{Words, behind};
use crate::next;
use crate::since::{between, rough};

/// Conditions that can be the cause of others, from the ground up.
const CAUSES: [Type; 7] = [
    Type::CredentialsValid,
    Type::ControlPlaneReady,
    Type::NodePoolsReady,
    Type::Reachable,
    Type::PoliciesCompliant,
    Type::DriftFree,
    Type::UpgradeReady,
];
/// Events that are told.
const EVENTS: usize = 3;

/// Why a cluster is not as declared.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Why {
    /// `namespace/name`.
    pub cluster: String,
    /// Since how many seconds it is being deleted, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaving_for_seconds: Option<u64>,
    /// `Ready` and `Synced`.
    pub head: Vec<Fact>,
    /// What of the rest does not hold, the ground first.
    pub causes: Vec<Fact>,
    /// What is under way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// The last failed call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<LastError>,
    /// The newest events, newest first.
    pub events: Vec<Told>,
    /// What a person can do, the ground first.
    pub you_can: Vec<String>,
    /// Whether something else than the first cause holds it up.
    pub more_than_one: bool,
    /// When the controllers look again at the latest, where that can be told and something is to be explained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_look_within_seconds: Option<u64>,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fact {
    /// What is asked.
    #[serde(rename = "type")]
    pub type_: Type,
    /// The answer.
    pub status: Is,
    /// Why.
    pub reason: String,
    /// For a person.
    pub message: String,
    /// Since how many seconds the answer is this one.
    pub for_seconds: u64,
    /// The answer is about an earlier generation of the object.
    pub is_stale: bool,
}

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Told {
    /// One word.
    pub reason: String,
    /// What happened.
    pub message: String,
    /// How many seconds ago.
    pub ago_seconds: u64,
    /// How often.
    pub count: i32,
}

/// Walks from `Ready` and `Synced` down. `events` are those of this object, in any order; `limits` those of its cloud, if
/// they are known.
#[must_use]
pub fn why(
    cluster: &ManagedCluster,
    events: &[Event],
    limits: Option<Limits>,
    now: Timestamp,
) -> Why {
    let status = cluster.status.as_ref();
    let conditions = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
    let generation = cluster.metadata.generation;
    let fact = |type_: Type| {
        let found = conditions.iter().find(|condition| condition.type_ == type_);
        found.map(|condition| Fact::of(condition, generation, now))
    };
    let leaving = cluster.metadata.deletion_timestamp.as_ref();
    let head =
        [Type::Ready, Type::Synced].map(|type_| fact(type_).unwrap_or_else(|| unasked(type_)));
    let causes: Vec<Fact> = CAUSES
        .into_iter()
        .filter_map(fact)
        .filter(|fact| fact.holds_up(leaving.is_some()))
        .collect();
    let last_error = status.and_then(|status| status.last_error.clone());
    let provider = status.and_then(|status| status.provider.as_deref());
    let words = Words::of(provider.or_else(|| cluster.spec.provider()).unwrap_or_default());
    let you_can = you_can((&head, &causes), last_error.as_ref(), words);
    let namespace = cluster.namespace().unwrap_or_default();
    Why {
        cluster: format!("{namespace}/{}", cluster.name_any()),
        leaving_for_seconds: leaving.map(|since| between(since.0, now).as_secs()),
        more_than_one: causes.len() > 1,
        causes,
        operation: status.and_then(|status| status.operation.clone()),
        last_error,
        events: newest(events, now),
        you_can,
        next_look_within_seconds: limits
            .and_then(|limits| next::within(cluster, limits))
            .map(|span| span.as_secs_f64().ceil() as u64),
        head: head.into(),
    }
}

impl Fact {
    fn of(condition: &Condition, generation: Option<i64>, now: Timestamp) -> Self {
        Self {
            type_: condition.type_,
            status: condition.status,
            reason: condition.reason.clone(),
            message: condition.message.clone(),
            for_seconds: between(condition.last_transition_time.0, now).as_secs(),
            is_stale: condition.observed_generation < generation,
        }
    }

    /// Whether it is a cause: a `False`, or an `Unknown` that somebody looked for.
    fn holds_up(&self, leaving: bool) -> bool {
        let asked = !matches!(self.reason.as_str(), "Pending" | "NotAsked" | "Applying");
        match self.status {
            Is::True => false,
            Is::Unknown => asked && self.reason != "Deleting",
            // On the way out nobody repairs, upgrades or applies policies.
            Is::False => {
                self.reason != "DriftRepaired"
                    && !(leaving
                        && matches!(
                            self.type_,
                            Type::DriftFree | Type::UpgradeReady | Type::PoliciesCompliant
                        ))
            }
        }
    }

    /// `Synced=False CloudError (38 s)`; of what is True only that.
    fn short(&self) -> String {
        let Self { type_, status, reason, for_seconds, is_stale, .. } = self;
        let type_ = type_.as_str();
        let age = rough(std::time::Duration::from_secs(*for_seconds));
        let stale = if *is_stale { ", before the last edit" } else { "" };
        match status {
            Is::True if *is_stale => format!("{type_}=True (before the last edit)"),
            Is::True => format!("{type_}=True"),
            _ => format!("{type_}={status:?} {reason} ({age}{stale})"),
        }
    }

    pub(crate) fn long(&self) -> String {
        let Self { type_, status, reason, message, .. } = self;
        format!("{}={status:?} {reason}: {message}", type_.as_str())
    }
}

/// A condition that nobody has told yet.
fn unasked(type_: Type) -> Fact {
    Fact {
        type_,
        status: Is::Unknown,
        reason: "Pending".to_owned(),
        message: "nobody has looked yet".to_owned(),
        for_seconds: 0,
        is_stale: false,
    }
}

fn you_can(
    (head, causes): (&[Fact], &[Fact]),
    last_error: Option<&LastError>,
    words: Words,
) -> Vec<String> {
    let mut told: Vec<&'static str> = Vec::new();
    let mut tell = |text: Option<&'static str>| {
        told.extend(text.filter(|text| !told.contains(text)));
    };
    let head = head.iter().filter(|fact| fact.status != Is::True && fact.type_ != Type::Ready);
    let facts: Vec<&Fact> = causes.iter().chain(head).collect();
    // The error's code is nearer to the cause than the condition that sums it up, and the cloud's own word is nearer still.
    // Nothing that somebody could mend, and nothing that passes by itself: that is ours.
    let is_bug = last_error.is_some_and(|error| {
        error.retryable == false.into() && error.user_actionable == false.into()
    });
    if let Some(error) = last_error {
        let code = if is_bug { "Bug" } else { error.code.as_str() };
        tell(words.by_word(&error.message).or_else(|| words.by_reason(code)));
    }
    for fact in facts.into_iter().filter(|fact| !is_bug || fact.reason != "PlanRejected") {
        let reason = match fact.status {
            Is::Unknown => behind(&fact.message).unwrap_or(&fact.reason),
            Is::True | Is::False => &fact.reason,
        };
        tell(words.by_word(&fact.message).or_else(|| words.by_reason(reason)));
    }
    told.into_iter().map(str::to_owned).collect()
}

fn newest(events: &[Event], now: Timestamp) -> Vec<Told> {
    let at = |event: &Event| {
        let micro = event.event_time.as_ref().map(|time| time.0);
        event.last_timestamp.as_ref().map(|time| time.0).or(micro)
    };
    let mut sorted: Vec<&Event> = events.iter().collect();
    sorted.sort_by_key(|event| std::cmp::Reverse((at(event), event.metadata.name.clone())));
    let told = sorted.into_iter().take(EVENTS).map(|event| Told {
        reason: event.reason.clone().unwrap_or_default(),
        message: event.message.clone().unwrap_or_default(),
        ago_seconds: at(event).map(|at| between(at, now).as_secs()).unwrap_or_default(),
        count: event.count.unwrap_or(1),
    });
    told.collect()
}

impl Why {
    /// Whether there is nothing to explain.
    #[must_use]
    pub fn is_well(&self) -> bool {
        self.leaving_for_seconds.is_none()
            && self.causes.is_empty()
            && self.head.iter().all(|fact| fact.status == Is::True && !fact.is_stale)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: &str = "2026-11-22T12:00:00Z";

    /// Conditions as type, status, reason, message; all since 38 seconds.
    fn cluster(conditions: &[[&str; 4]], more: &Value) -> ManagedCluster {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|[type_, status, reason, message]| {
                json!({"type": type_, "status": status, "reason": reason, "message": message,
                    "observedGeneration": 2, "lastTransitionTime": "2026-11-22T11:59:22Z"})
            })
            .collect();
        let mut object = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "payments-eu", "namespace": "payments", "generation": 2},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}},
            "status": {"conditions": conditions},
        });
        for (pointer, value) in more.as_object().into_iter().flatten() {
            let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
            object.pointer_mut(parent).expect("a place")[key] = value.clone();
        }
        serde_json::from_value(object).expect("a cluster")
    }

    #[track_caller]
    fn check(cluster: &ManagedCluster, events: &[Event], expected: &[&str]) {
        let now: Timestamp = NOW.parse().expect("a time");
        let limits = Limits {
            poll_busy: std::time::Duration::from_secs(15),
            poll_idle: std::time::Duration::from_secs(300),
            in_doubt: std::time::Duration::from_secs(240),
        };
        assert_eq!(why(cluster, events, Some(limits), now).text(), expected);
    }

    #[test]
    fn a_missing_machine_is_told_down_to_the_request() {
        let message = "general has 2, min is 3";
        let error = json!({"code": "CapacityUnavailable", "message": "eks:DescribeNodegroup: no m7g.xlarge in eu-west-1b",
            "retryable": "Yes", "userActionable": "Yes", "requestId": "7f1c"});
        let cluster = cluster(
            &[
                ["NodePoolsReady", "False", "CapacityUnavailable", message],
                ["Ready", "True", "Available", "usable"],
                ["Synced", "False", "CloudError", message],
            ],
            &json!({"/status/lastError": error}),
        );
        check(
            &cluster,
            &[],
            &[
                "Ready=True · Synced=False CloudError (38 s) ← NodePoolsReady=False CapacityUnavailable: general has 2, min is 3",
                "  └ CapacityUnavailable \"eks:DescribeNodegroup: no m7g.xlarge in eu-west-1b\", request 7f1c, next look within 75 s",
                "  you can: add an instance type or a subnet in another zone to the pool, or wait until the cloud has machines.",
                "      and: wait for the next look; if it stays, see whether this machine reaches the cloud's API (proxy, firewall, region).",
                "  Nothing else is held up.",
            ],
        );
    }

    #[test]
    fn what_is_well_is_told_in_two_lines() {
        let good = [
            ["Ready", "True", "Available", "usable"],
            ["Synced", "True", "Applied", "as declared"],
            ["UpgradeReady", "Unknown", "NotAsked", "no upgrade is asked for"],
        ];
        let expected =
            ["Ready=True · Synced=True: as declared, and usable", "  Nothing is held up."];
        check(&cluster(&good, &json!({})), &[], &expected);
        let edited = cluster(&good, &json!({"/metadata/generation": 3}));
        let expected = ["Ready=True (before the last edit) · Synced=True (before the last edit)"];
        check(&edited, &[], &expected);
    }

    #[test]
    fn several_causes_are_told_from_the_ground_up_and_the_newest_events_first() {
        let cluster = cluster(
            &[
                ["CredentialsValid", "False", "Expired", "the keys ended an hour ago"],
                ["ControlPlaneReady", "Unknown", "NotSeen", "no look succeeded"],
                ["Ready", "Unknown", "NotSeen", "no look succeeded"],
                ["Synced", "False", "Unauthorized", "the keys ended an hour ago"],
            ],
            &json!({"/metadata/deletionTimestamp": "2026-11-22T11:50:00Z"}),
        );
        let event = |name: &str, at: &str, count: i32| -> Event {
            serde_json::from_value(
                json!({"metadata": {"name": name}, "involvedObject": {}, "reason": name,
                "message": "it happened", "lastTimestamp": at, "count": count}),
            )
            .expect("an event")
        };
        let events =
            [event("Old", "2026-11-22T09:00:00Z", 1), event("New", "2026-11-22T11:59:00Z", 4)];
        check(
            &cluster,
            &events,
            &[
                "being deleted (10 m) · Ready=Unknown NotSeen (38 s) · Synced=False Unauthorized (38 s) ← CredentialsValid=False Expired: the keys ended an hour ago",
                "  and ControlPlaneReady=Unknown NotSeen: no look succeeded",
                "  └ next look within 5 m",
                "  · 60 s ago  New  it happened (4 times)",
                "  · 3 h ago  Old  it happened",
                "  you can: give Fleetwright credentials that work, as spec.aws.identity of the ProviderConfig says; it looks again by itself.",
                "      and: wait for the next look; if it stays, see whether this machine reaches the cloud's API (proxy, firewall, region).",
                "      and: give the identity the permissions of docs/guides/eks-iam-policy.json; the message names the call that was refused.",
            ],
        );
    }

    #[test]
    fn a_declaration_that_cannot_be_done_is_the_users_and_a_plan_that_contradicts_itself_is_ours() {
        let rejected = |more: &Value| {
            let conditions = [["Synced", "False", "PlanRejected", "spec.version goes down"]];
            let now: Timestamp = NOW.parse().expect("a time");
            why(&cluster(&conditions, more), &[], None, now).you_can
        };
        let found = rejected(&json!({}));
        assert!(found.iter().any(|text| text.starts_with("change what the message names")));
        assert!(found.iter().all(|text| !text.contains("a bug of Fleetwright")));
        let error = json!({"code": "PlanRejected", "message": "two deletes", "retryable": "No", "userActionable": "No"});
        let found = rejected(&json!({"/status/lastError": error}));
        assert!(found[0].contains("a bug of Fleetwright"), "{found:?}");
        assert!(found.iter().all(|text| !text.starts_with("change what the message names")));
    }

    #[test]
    fn before_the_first_look_that_is_what_is_said() {
        let expected = [
            "Ready=Unknown Pending (0 s) · Synced=Unknown Pending (0 s)",
            "  └ nobody has looked yet",
            "  you can: see that `fleetwright up` or `fleetwright run` is running: nobody has looked yet. Nothing else is held up.",
        ];
        check(&cluster(&[], &json!({})), &[], &expected);
    }
}
