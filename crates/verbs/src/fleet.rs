//! `fleetwright get`: one row for each cluster, and what holds it back.

use fleetwright_api_types::{ConditionStatus as Is, ConditionType as Type, ManagedCluster};
use jiff::Timestamp;
use serde::Serialize;

use crate::since::{age, between};
use crate::standing::{State, of_cluster};
use crate::table;
use crate::why::{Fact, why};

/// A cluster in short. Its JSON form is a contract: fields are added, never renamed or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Row {
    /// `namespace/name`.
    pub cluster: String,
    /// `eks`, …
    pub provider: String,
    /// The cloud's region; empty before the first look.
    pub region: String,
    /// The running version; empty before the first look.
    pub version: String,
    /// Usable now.
    pub ready: Is,
    /// The last generation is fully applied.
    pub synced: Is,
    /// Nodes wanted by all pools together.
    pub nodes: Option<i32>,
    /// Compliant policies of those that select it, for example `12/12`.
    pub policies: String,
    /// `None`, or the reason of condition `DriftFree`; empty before the first look.
    pub drift: String,
    /// Seconds since the object was made.
    pub age_seconds: Option<u64>,
    /// How far it is.
    pub state: State,
    /// Something holds it back; then `text` says what.
    pub is_held_back: bool,
    /// What there is, or what holds it back; empty before the first look.
    pub text: String,
}

/// The rows of some clusters, in their order.
#[must_use]
pub fn rows(clusters: &[ManagedCluster], now: Timestamp) -> Vec<Row> {
    clusters.iter().map(|cluster| row(cluster, now)).collect()
}

fn row(cluster: &ManagedCluster, now: Timestamp) -> Row {
    let mut standing = of_cluster(cluster);
    // Usable and as declared, and still something may be wrong with it.
    let trouble = why(cluster, &[], None, now).causes.first().map(Fact::long);
    let trouble = trouble.filter(|_| standing.state == State::Ready);
    if let Some(trouble) = &trouble {
        standing.text.clone_from(trouble);
    }
    let status = cluster.status.clone().unwrap_or_default();
    let observed = status.observed.unwrap_or_default();
    let find = |type_: Type| status.conditions.iter().find(|condition| condition.type_ == type_);
    let is = |type_: Type| find(type_).map_or(Is::Unknown, |condition| condition.status);
    let drift = find(Type::DriftFree).map(|condition| match condition.status {
        Is::True => "None".to_owned(),
        Is::False | Is::Unknown => condition.reason.clone(),
    });
    let born = cluster.metadata.creation_timestamp.as_ref();
    Row {
        cluster: standing.name,
        provider: standing.kind,
        region: observed.region.unwrap_or_default(),
        version: observed.version.unwrap_or_default(),
        ready: is(Type::Ready),
        synced: is(Type::Synced),
        nodes: observed.nodes,
        policies: status.summary.and_then(|summary| summary.policies).unwrap_or_default(),
        drift: drift.unwrap_or_default(),
        age_seconds: born.map(|born| between(born.0, now).as_secs()),
        state: standing.state,
        is_held_back: standing.state != State::Ready || trouble.is_some(),
        text: standing.text,
    }
}

/// The table, with a line below every cluster that something holds back.
#[must_use]
pub fn text(rows: &[Row]) -> Vec<String> {
    if rows.is_empty() {
        return vec!["no clusters".to_owned()];
    }
    let head = [
        "CLUSTER", "PROVIDER", "REGION", "VERSION", "READY", "SYNCED", "NODES", "POLICY", "DRIFT",
        "AGE",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    cells.extend(rows.iter().map(|row| {
        let age = row.age_seconds.map(|seconds| age(std::time::Duration::from_secs(seconds)));
        vec![
            row.cluster.clone(),
            row.provider.clone(),
            row.region.clone(),
            row.version.clone(),
            format!("{:?}", row.ready),
            format!("{:?}", row.synced),
            row.nodes.map(|nodes| nodes.to_string()).unwrap_or_default(),
            row.policies.clone(),
            row.drift.clone(),
            age.unwrap_or_default(),
        ]
    }));
    let mut aligned = table::align(&cells).into_iter();
    let mut lines: Vec<String> = aligned.next().into_iter().collect();
    for (row, line) in rows.iter().zip(aligned) {
        lines.push(line);
        if row.is_held_back && !row.text.is_empty() {
            lines.push(format!("  └ {}", row.text));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn cluster(name: &str, status: &Value) -> ManagedCluster {
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": name, "namespace": "shop", "generation": 1,
                "creationTimestamp": "2026-11-22T11:00:00Z"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}},
            "status": status,
        }))
        .expect("a cluster")
    }

    fn condition(type_: &str, status: &str, reason: &str, message: &str) -> Value {
        json!({"type": type_, "status": status, "reason": reason, "message": message,
            "observedGeneration": 1, "lastTransitionTime": "2026-11-22T11:00:00Z"})
    }

    #[test]
    fn the_table_says_below_a_cluster_what_holds_it_back() {
        let good = json!({"provider": "eks", "summary": {"policies": "2/2"},
            "observed": {"region": "eu-west-1", "version": "1.34", "nodes": 4},
            "conditions": [condition("Ready", "True", "Available", "usable"), condition("Synced", "True", "Applied", "all"),
                condition("PoliciesCompliant", "True", "Compliant", "all"),
                condition("DriftFree", "True", "NoDrift", "none")]});
        let bad = json!({"provider": "eks", "observed": {"region": "us-east-1"}, "conditions": [
            condition("Ready", "False", "Provisioning", "being made"),
            condition("Synced", "False", "Unauthorized", "no credentials"),
            condition("DriftFree", "False", "Contested", "logging")]});
        let mut short = good.clone();
        let pools = condition("NodePoolsReady", "False", "CapacityUnavailable", "p wants 4 nodes");
        short["conditions"].as_array_mut().expect("a list").push(pools);
        let clusters = [
            cluster("one", &good),
            cluster("short", &short),
            cluster("two", &bad),
            cluster("three", &json!({})),
        ];
        let now: Timestamp = "2026-11-22T13:05:00Z".parse().expect("a time");
        assert_eq!(
            text(&rows(&clusters, now)),
            [
                "CLUSTER     PROVIDER  REGION     VERSION  READY    SYNCED   NODES  POLICY  DRIFT      AGE",
                "shop/one    eks       eu-west-1  1.34     True     True     4      2/2     None       2h",
                "shop/short  eks       eu-west-1  1.34     True     True     4      2/2     None       2h",
                "  └ NodePoolsReady=False CapacityUnavailable: p wants 4 nodes",
                "shop/two    eks       us-east-1           False    False                   Contested  2h",
                "  └ Unauthorized: no credentials",
                "shop/three                                Unknown  Unknown                            2h",
            ]
        );
        assert_eq!(text(&[]), ["no clusters"]);
    }
}
