//! Declared against seen, as text: one line per change.

use fleetwright_plan::{Change, ChangeKind, Snapshot};
use fleetwright_provider::{HttpOutError, Provider as _};
use serde_json::{Value, json};

use crate::support::{answering, described_cluster, described_pool, desired, ok, refusal};

/// A look at an EKS that has the example's control plane and these node groups.
async fn look(cluster: Value, pools: Vec<Value>) -> Snapshot {
    let names: Vec<Value> =
        pools.iter().map(|pool| pool["nodegroup"]["nodegroupName"].clone()).collect();
    let (provider, _) = answering(move |line| match line {
        "GET /clusters/payments-eu-01" => ok(&cluster),
        "GET /clusters/payments-eu-01/node-groups" => ok(&json!({"nodegroups": names})),
        other => {
            let name = other.rsplit('/').next().expect("a name");
            let found = pools.iter().find(|pool| pool["nodegroup"]["nodegroupName"] == name);
            ok(found.expect("a known node group"))
        }
    });
    provider.observe(&desired().address).await
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    let changes = crate::support::silent().diff(&desired(), snapshot);
    changes.iter().map(line).collect()
}

fn line(change: &Change) -> String {
    match &change.kind {
        ChangeKind::Create { .. } => format!("+ {}", change.resource),
        ChangeKind::Delete => format!("- {}", change.resource),
        ChangeKind::Refused { field, declared, found, why } => {
            format!("! {field}: {declared} -> {found} ({why})")
        }
    }
}

#[tokio::test]
async fn what_is_as_declared_differs_in_nothing() {
    let snapshot = look(described_cluster(), vec![described_pool()]).await;
    assert_eq!(lines(&snapshot), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_absent_is_created() {
    let (provider, _) =
        answering(|_| refusal(404, "ResourceNotFoundException", "No cluster found"));
    let snapshot = provider.observe(&desired().address).await;
    assert_eq!(lines(&snapshot), ["+ control plane", "+ pool general"]);
    assert_eq!(lines(&look(described_cluster(), vec![]).await), ["+ pool general"]);
}

#[tokio::test]
async fn what_is_unknown_changes_nothing() {
    let (provider, _) = answering(|_| Err(HttpOutError::Timeout("20 s".into())));
    assert_eq!(lines(&provider.observe(&desired().address).await), Vec::<String>::new());
}

#[tokio::test]
async fn every_declared_field_is_compared() {
    let mut cluster = described_cluster();
    cluster["cluster"]["version"] = json!("1.33");
    cluster["cluster"]["resourcesVpcConfig"]["subnetIds"] = json!(["subnet-0a", "subnet-0c"]);
    cluster["cluster"]["tags"]["team"] = json!("lost");
    let mut pool = described_pool();
    pool["nodegroup"]["scalingConfig"] = json!({"minSize": 2, "maxSize": 9, "desiredSize": 2});
    pool["nodegroup"]["labels"] = json!({});
    pool["nodegroup"]["instanceTypes"] = json!(["m6g.xlarge", "m7g.xlarge"]);
    pool["nodegroup"]["amiType"] = json!("CUSTOM");
    pool["nodegroup"]["nodeRole"] = json!("arn:aws:iam::111122223333:role/other");
    let why = "(changing it in place is not built yet)";
    assert_eq!(
        lines(&look(cluster, vec![pool]).await),
        [
            format!("! spec.version: 1.34 -> 1.33 {why}"),
            format!(
                "! spec.eks.network.subnetIds: subnet-0a, subnet-0b -> subnet-0a, subnet-0c {why}"
            ),
            format!("! spec.tags[team]: payments -> lost {why}"),
            format!("! spec.nodePools[general].size.min: 3 -> 2 {why}"),
            format!("! spec.nodePools[general].size.max: 12 -> 9 {why}"),
            format!("! spec.nodePools[general].labels[workload]: general -> none {why}"),
            format!(
                "! spec.nodePools[general].eks.instanceTypes: m7g.xlarge, m6g.xlarge -> m6g.xlarge, m7g.xlarge {why}"
            ),
            format!(
                "! spec.nodePools[general].eks.amiType: AL2023_ARM_64_STANDARD -> CUSTOM {why}"
            ),
            format!(
                "! spec.nodePools[general].eks.roleArn: arn:aws:iam::111122223333:role/nodes -> arn:aws:iam::111122223333:role/other {why}"
            ),
        ]
    );
}

#[tokio::test]
async fn a_cloud_that_is_ahead_and_a_size_that_an_autoscaler_chose_are_no_differences() {
    let mut cluster = described_cluster();
    cluster["cluster"]["version"] = json!("1.35");
    let mut pool = described_pool();
    pool["nodegroup"]["scalingConfig"]["desiredSize"] = json!(12);
    assert_eq!(lines(&look(cluster, vec![pool]).await), Vec::<String>::new());
}

#[tokio::test]
async fn an_undeclared_pool_goes_only_if_it_is_ours_and_at_rest() {
    let named = |name: &str, status: &str| {
        let mut pool = described_pool();
        pool["nodegroup"]["nodegroupName"] = json!(name);
        pool["nodegroup"]["status"] = json!(status);
        pool
    };
    let mut foreign = named("foreign", "ACTIVE");
    foreign["nodegroup"]["tags"] = json!({});
    let pools = vec![
        described_pool(),
        named("old", "ACTIVE"),
        named("broken", "CREATE_FAILED"),
        named("busy", "CREATING"),
        named("leaving", "DELETING"),
        foreign,
    ];
    let snapshot = look(described_cluster(), pools).await;
    assert_eq!(lines(&snapshot), ["- pool broken", "- pool old"]);
}

#[tokio::test]
async fn a_pool_of_somebody_else_is_not_taken_over() {
    let mut pool = described_pool();
    pool["nodegroup"]["tags"] = json!({});
    assert_eq!(
        lines(&look(described_cluster(), vec![pool]).await),
        [
            "! spec.nodePools[general].name: general of ours -> a node group of that name with other tags (somebody else made it; choose another name)"
        ]
    );
}

#[tokio::test]
async fn a_control_plane_of_somebody_else_has_no_differences() {
    let mut other = described_cluster();
    other["cluster"]["tags"] = json!({});
    other["cluster"]["version"] = json!("1.30");
    assert_eq!(lines(&look(other, vec![]).await), Vec::<String>::new());
}
