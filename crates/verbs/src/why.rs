//! `fleetwright why`: from "not Ready" down to what causes it, and what a person can do.

use fleetwright_api_types::{
    Condition, ConditionStatus as Is, ConditionType as Type, LastError, ManagedCluster, Operation,
};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Event;
use kube::ResourceExt;
use serde::Serialize;

use crate::advice::{advice, behind};
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

/// Walks from `Ready` and `Synced` down. `events` are those of this object, in any order.
#[must_use]
pub fn why(cluster: &ManagedCluster, events: &[Event], now: Timestamp) -> Why {
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
    let you_can = you_can(&head, &causes, last_error.as_ref());
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

fn you_can(head: &[Fact], causes: &[Fact], last_error: Option<&LastError>) -> Vec<String> {
    let mut told: Vec<&'static str> = Vec::new();
    // The error's code is nearer to the cause than the condition that sums it up.
    let code = last_error.map(|error| error.code.as_str());
    let head = head.iter().filter(|fact| fact.status != Is::True && fact.type_ != Type::Ready);
    let reasons = causes.iter().chain(head).map(|fact| match fact.status {
        Is::Unknown => behind(&fact.message).unwrap_or(&fact.reason),
        Is::True | Is::False => &fact.reason,
    });
    for reason in code.into_iter().chain(reasons) {
        told.extend(advice(reason).filter(|text| !told.contains(text)));
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

    /// The chain, for people.
    #[must_use]
    pub fn text(&self) -> Vec<String> {
        let mut lines = vec![self.first_line()];
        lines.extend(self.causes.iter().skip(1).map(|fact| format!("  and {}", fact.long())));
        let said = |text: &str| lines.iter().any(|line| line.contains(text));
        let mut below = Vec::new();
        for fact in self.head.iter().filter(|fact| fact.status != Is::True) {
            if !fact.message.is_empty() && !said(&fact.message) && !below.contains(&fact.message) {
                below.push(fact.message.clone());
            }
        }
        if let Some(error) = &self.last_error {
            let request = error.request_id.as_ref().map(|id| format!(", request {id}"));
            let LastError { code, message, .. } = error;
            // The condition mostly holds the same message.
            below.retain(|text| text != message && !message.contains(text.as_str()));
            below.push(format!("{code} {message:?}{}", request.unwrap_or_default()));
        }
        if let Some(Operation { action, step, percent }) = &self.operation {
            let percent = percent.map(|percent| format!(", {percent} % done")).unwrap_or_default();
            below.push(format!("under way: {action}, {step}{percent}"));
        }
        lines.extend(below.into_iter().map(|text| format!("  └ {text}")));
        let text = lines.join("\n");
        let news = self.events.iter().filter(|told| !repeats(&text, told));
        lines.extend(news.map(event_line));
        match self.you_can.as_slice() {
            [] if self.is_well() => lines.push("  Nothing is held up.".to_owned()),
            [] => {}
            [one] => lines.push(format!("  you can: {one}.{}", self.end())),
            [first, rest @ ..] => {
                lines.push(format!("  you can: {first}."));
                lines.extend(rest.iter().map(|text| format!("      and: {text}.")));
                lines.extend((!self.more_than_one).then(|| format!(" {}", self.end())));
            }
        }
        lines
    }

    fn first_line(&self) -> String {
        let heads: Vec<String> = self.head.iter().map(Fact::short).collect();
        let mut line = heads.join(" · ");
        if let Some(seconds) = self.leaving_for_seconds {
            let since = rough(std::time::Duration::from_secs(seconds));
            line = format!("being deleted ({since}) · {line}");
        }
        if self.is_well() {
            line.push_str(": as declared, and usable");
        }
        if let Some(first) = self.causes.first() {
            line.push_str(" ← ");
            line.push_str(&first.long());
        }
        line
    }

    fn end(&self) -> &'static str {
        if self.more_than_one { "" } else { " Nothing else is held up." }
    }
}

/// Whether an event only tells what a condition above says: events of conditions are `Reason: message`.
fn repeats(text: &str, told: &Told) -> bool {
    let message = told.message.split_once(": ").map_or(told.message.as_str(), |(_, rest)| rest);
    !message.is_empty() && text.contains(message)
}

fn event_line(told: &Told) -> String {
    let Told { reason, message, ago_seconds, count } = told;
    let ago = rough(std::time::Duration::from_secs(*ago_seconds));
    let times = if *count > 1 { format!(" ({count} times)") } else { String::new() };
    format!("  · {ago} ago  {reason}  {message}{times}")
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
        assert_eq!(why(cluster, events, now).text(), expected);
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
                "  └ CapacityUnavailable \"eks:DescribeNodegroup: no m7g.xlarge in eu-west-1b\", request 7f1c",
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
                "  · 60 s ago  New  it happened (4 times)",
                "  · 3 h ago  Old  it happened",
                "  you can: give Fleetwright credentials that work, as spec.aws.identity of the ProviderConfig says; it looks again by itself.",
                "      and: wait for the next look; if it stays, see whether this machine reaches the cloud's API (proxy, firewall, region).",
                "      and: give the identity the permissions of docs/guides/eks-iam-policy.json; the message names the call that was refused.",
            ],
        );
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
