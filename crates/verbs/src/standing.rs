//! Where a cluster or a policy stands, in one word and one line, as `fleetwright up` shows it.

use std::time::Duration;

use fleetwright_api_types::{
    ClusterPolicy, Condition, ConditionStatus as Is, ConditionType as Type, ManagedCluster,
};
use kube::ResourceExt;

use crate::next::{is_moving, told};
use crate::table;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum State {
    /// As declared, and usable.
    Ready,
    /// Under way.
    Working,
    /// Nothing will happen until somebody edits something.
    Stuck,
}

/// One object's line.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Standing {
    /// `namespace/name`, or the name of a policy.
    pub name: String,
    /// `eks`, …, or `policy`.
    pub kind: String,
    /// How far it is.
    pub state: State,
    /// What there is, or what it waits for; empty before the first look.
    pub text: String,
}

/// Where a cluster stands. What an older generation was told does not count.
#[must_use]
pub fn of_cluster(cluster: &ManagedCluster) -> Standing {
    let look = Look::at(cluster.metadata.generation, conditions(cluster));
    let done = [Type::Ready, Type::Synced, Type::PoliciesCompliant]
        .map(|type_| look.is(type_) == Is::True);
    let leaving = cluster.metadata.deletion_timestamp.is_some();
    let (state, text) = if !leaving && done == [true; 3] {
        (State::Ready, whole(cluster))
    } else if !leaving && look.is(Type::Stalled) == Is::True {
        (State::Stuck, look.message(Type::Synced))
    } else {
        (State::Working, under_way(cluster, &look))
    };
    let provider = cluster.status.as_ref().and_then(|status| status.provider.clone());
    let declared = || cluster.spec.provider().map(str::to_owned);
    Standing {
        name: format!("{}/{}", cluster.namespace().unwrap_or_default(), cluster.name_any()),
        kind: provider.or_else(declared).unwrap_or_default(),
        state,
        text,
    }
}

/// The same, and when the cloud is asked again while it is at work: every `busy`.
#[must_use]
pub fn with_next_look(cluster: &ManagedCluster, busy: Option<Duration>) -> Standing {
    let mut standing = of_cluster(cluster);
    let waits = standing.state == State::Working && !standing.text.is_empty() && is_moving(cluster);
    if let Some(busy) = busy.filter(|_| waits) {
        standing.text.push_str(&format!(", next look in {}", told(busy)));
    }
    standing
}

/// Where a policy stands.
#[must_use]
pub fn of_policy(policy: &ClusterPolicy) -> Standing {
    let listed =
        policy.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let look = Look::at(policy.metadata.generation, listed);
    let (state, text) = match look.is(Type::Ready) {
        Is::True => (State::Ready, look.message(Type::Ready)),
        Is::False => (State::Working, look.message(Type::Ready)),
        Is::Unknown => (State::Working, String::new()),
    };
    Standing { name: policy.name_any(), kind: "policy".to_owned(), state, text }
}

fn conditions(cluster: &ManagedCluster) -> &[Condition] {
    cluster.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default()
}

/// Conditions of the current generation.
struct Look<'a> {
    generation: Option<i64>,
    listed: &'a [Condition],
}

impl<'a> Look<'a> {
    const fn at(generation: Option<i64>, listed: &'a [Condition]) -> Self {
        Self { generation, listed }
    }

    fn find(&self, type_: Type) -> Option<&Condition> {
        let mut listed = self.listed.iter();
        listed.find(|one| one.type_ == type_ && one.observed_generation >= self.generation)
    }

    fn is(&self, type_: Type) -> Is {
        self.find(type_).map_or(Is::Unknown, |one| one.status)
    }

    fn reason(&self, type_: Type) -> &str {
        self.find(type_).map_or("", |one| one.reason.as_str())
    }

    fn message(&self, type_: Type) -> String {
        self.find(type_).map(|one| one.message.clone()).unwrap_or_default()
    }
}

fn whole(cluster: &ManagedCluster) -> String {
    let pools = cluster.spec.node_pools.len();
    let status = cluster.status.as_ref();
    let nodes = status.and_then(|status| status.observed.as_ref()?.nodes);
    let policies = status.and_then(|status| status.summary.as_ref()?.policies.clone());
    let mut parts = vec!["control plane".to_owned()];
    match &cluster.spec.k3s {
        None => parts.push(format!("pools {pools}/{pools}")),
        Some(k3s) if k3s.agents.is_empty() => {}
        Some(_) => {
            let told = Look::at(cluster.metadata.generation, conditions(cluster))
                .message(Type::NodePoolsReady);
            let share = told.split(';').next().filter(|share| !share.is_empty());
            parts.extend(share.map(str::to_owned));
        }
    }
    parts.extend(nodes.map(|nodes| format!("{nodes} nodes")));
    parts.extend(policies.map(|policies| format!("policies {policies}")));
    parts.join(", ")
}

fn under_way(cluster: &ManagedCluster, look: &Look<'_>) -> String {
    let synced = look.reason(Type::Synced);
    if cluster.metadata.deletion_timestamp.is_some() {
        let text = look.message(Type::Synced);
        return if text.is_empty() {
            "being deleted".to_owned()
        } else {
            format!("being deleted: {text}")
        };
    }
    if look.is(Type::Synced) == Is::False && synced != "Applying" {
        return format!("{synced}: {}", look.message(Type::Synced));
    }
    if look.is(Type::ControlPlaneReady) != Is::True {
        return match look.find(Type::ControlPlaneReady) {
            Some(one) => format!("control plane: {}", one.message),
            None => String::new(),
        };
    }
    for (type_, what) in [(Type::NodePoolsReady, ""), (Type::Reachable, "member: ")] {
        if look.is(type_) == Is::False {
            return format!("{what}{}", look.message(type_));
        }
    }
    match look.is(Type::PoliciesCompliant) {
        Is::False => format!("policies: {}", look.message(Type::PoliciesCompliant)),
        Is::Unknown => "policies: not applied yet".to_owned(),
        Is::True => look.message(Type::Synced),
    }
}

/// The table at the end of `up --once`.
#[must_use]
pub fn table(
    clusters: &[impl AsRef<ManagedCluster>],
    policies: &[impl AsRef<ClusterPolicy>],
) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut rows = vec![words(&[
        "CLUSTER", "PROVIDER", "REGION", "VERSION", "READY", "SYNCED", "NODES", "POLICY",
    ])];
    rows.extend(clusters.iter().map(|cluster| row(cluster.as_ref())));
    let mut lines = table::align(&rows);
    if policies.is_empty() {
        return lines;
    }
    let mut rows = vec![words(&["POLICY", "READY", "COMPLIANT"])];
    rows.extend(policies.iter().map(|policy| {
        let policy = policy.as_ref();
        let status = policy.status.as_ref();
        let listed = status.map(|status| status.conditions.as_slice()).unwrap_or_default();
        let ready = Look::at(policy.metadata.generation, listed).is(Type::Ready);
        let compliant = status.and_then(|status| status.compliant.clone()).unwrap_or_default();
        vec![policy.name_any(), format!("{ready:?}"), compliant]
    }));
    lines.push(String::new());
    lines.extend(table::align(&rows));
    lines
}

fn row(cluster: &ManagedCluster) -> Vec<String> {
    let standing = of_cluster(cluster);
    let status = cluster.status.clone().unwrap_or_default();
    let observed = status.observed.unwrap_or_default();
    let look = Look::at(cluster.metadata.generation, conditions(cluster));
    vec![
        standing.name,
        standing.kind,
        observed.region.unwrap_or_default(),
        observed.version.unwrap_or_default(),
        format!("{:?}", look.is(Type::Ready)),
        format!("{:?}", look.is(Type::Synced)),
        observed.nodes.map(|nodes| nodes.to_string()).unwrap_or_default(),
        status.summary.and_then(|summary| summary.policies).unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Conditions as type, status, reason, message, all of generation 2.
    fn cluster(generation: i64, conditions: &[[&str; 4]]) -> ManagedCluster {
        let conditions: Vec<Value> = conditions
            .iter()
            .map(|[type_, status, reason, message]| {
                json!({"type": type_, "status": status, "reason": reason, "message": message,
                    "observedGeneration": 2, "lastTransitionTime": "2026-01-01T00:00:00Z"})
            })
            .collect();
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "one", "namespace": "shop", "generation": generation},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}, "nodePools": [
                {"name": "p", "size": {"min": 1, "max": 2}}]},
            "status": {"provider": "eks", "conditions": conditions, "observed": {"nodes": 3},
                "summary": {"policies": "2/2"}},
        }))
        .expect("a cluster")
    }

    const GOOD: [[&str; 4]; 3] = [
        ["PoliciesCompliant", "True", "Compliant", "all rules hold"],
        ["Ready", "True", "Available", "usable"],
        ["Synced", "True", "Applied", "as declared"],
    ];

    #[track_caller]
    fn check(cluster: &ManagedCluster, state: State, text: &str) {
        let standing = of_cluster(cluster);
        assert_eq!((standing.state, standing.text.as_str()), (state, text));
    }

    #[test]
    fn ready_needs_three_conditions_of_the_current_generation() {
        check(&cluster(2, &GOOD), State::Ready, "control plane, pools 1/1, 3 nodes, policies 2/2");
        check(&cluster(3, &GOOD), State::Working, "");
        check(&cluster(2, &GOOD[1..]), State::Working, "");
    }

    #[test]
    fn what_is_under_way_is_told_from_the_ground_up() {
        let creating = ["ControlPlaneReady", "False", "Creating", "the cloud is making it"];
        check(&cluster(2, &[creating]), State::Working, "control plane: the cloud is making it");
        let active = ["ControlPlaneReady", "True", "Available", "active"];
        let mut hosts = cluster(2, &GOOD);
        let k3s = json!({"servers": [{"name": "s1", "host": "10.0.0.11"}]});
        hosts.spec.k3s = serde_json::from_value(k3s).ok();
        check(&hosts, State::Ready, "control plane, 3 nodes, policies 2/2");
        let agents = json!({"servers": [], "agents": [{"name": "a", "host": "10.0.0.21"}]});
        let away = ["NodePoolsReady", "True", "HostsAway", "agents 0/1; a is away"];
        let mut hosts = cluster(2, &[away, GOOD[0], GOOD[1], GOOD[2]]);
        hosts.spec.k3s = serde_json::from_value(agents).ok();
        check(&hosts, State::Ready, "control plane, agents 0/1, 3 nodes, policies 2/2");
        let pools = ["NodePoolsReady", "False", "Creating", "pools 0/1; pool p is not ready yet"];
        check(&cluster(2, &[active, pools]), State::Working, "pools 0/1; pool p is not ready yet");
        let waits = with_next_look(&cluster(2, &[active, pools]), Some(Duration::from_secs(15)));
        assert_eq!(waits.text, "pools 0/1; pool p is not ready yet, next look in 15 s");
        let away = ["Reachable", "False", "ProbeFailed", "no route"];
        check(&cluster(2, &[active, away]), State::Working, "member: no route");
        check(&cluster(2, &[active]), State::Working, "policies: not applied yet");
        let refused = ["Synced", "False", "Unauthorized", "no credentials"];
        check(&cluster(2, &[creating, refused]), State::Working, "Unauthorized: no credentials");
    }

    #[test]
    fn stalled_is_stuck_until_the_next_edit() {
        let synced = ["Synced", "False", "InvalidConfiguration", "spec.version: too old"];
        let stalled = ["Stalled", "True", "NeedsAttention", "see Synced"];
        check(&cluster(2, &[synced, stalled]), State::Stuck, "spec.version: too old");
        check(&cluster(3, &[synced, stalled]), State::Working, "");
    }
}
