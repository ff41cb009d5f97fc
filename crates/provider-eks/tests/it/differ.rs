//! Declared against seen, as text: one line per change, one more per difference of an update.

use fleetwright_plan::{Change, ChangeKind, DesiredCluster, Snapshot};
use fleetwright_provider::{HttpOutError, Provider as _};
use serde_json::{Value, json};

use crate::support::{
    access, account, answering, cluster, described_cluster, described_pool, desire, desired, ok,
    refusal,
};

const GROUPS: &str = "GET /clusters/payments-eu-01/node-groups";

/// A look at an EKS that has this control plane, these node groups, and nothing else.
async fn look(cluster: Value, pools: Vec<Value>) -> Snapshot {
    look_for(&desired(), cluster, pools).await
}

async fn look_for(desired: &DesiredCluster, cluster: Value, pools: Vec<Value>) -> Snapshot {
    let names: Vec<Value> =
        pools.iter().map(|pool| pool["nodegroup"]["nodegroupName"].clone()).collect();
    let (provider, _) = answering(move |line| match line {
        "GET /clusters/payments-eu-01" => ok(&cluster),
        GROUPS => ok(&json!({"nodegroups": names})),
        other if !other.starts_with(GROUPS) => ok(&json!({})),
        other => {
            let name = other.rsplit('/').next().expect("a name");
            let found = pools.iter().find(|pool| pool["nodegroup"]["nodegroupName"] == name);
            ok(found.expect("a known node group"))
        }
    });
    provider.observe(&access(), &desired.address, Some(desired)).await
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    lines_of(&desired(), snapshot)
}

fn lines_of(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<String> {
    let changes = crate::support::silent().diff(desired, snapshot);
    changes.iter().flat_map(told).collect()
}

fn told(change: &Change) -> Vec<String> {
    let mut lines = Vec::new();
    let differences = match &change.kind {
        ChangeKind::Create { replaces: None, .. } => {
            return vec![format!("+ {}", change.resource)];
        }
        ChangeKind::Create { replaces: Some(old), .. } => {
            lines.push(format!("+ {} in place of {}", change.resource, old.pool));
            &old.differences
        }
        ChangeKind::Update(update) => {
            let governed = update.governed.map(|kind| format!(" ({kind:?})")).unwrap_or_default();
            let operation = update.body["operation"].as_str().unwrap_or("several calls");
            lines.push(format!("~ {} {}: {operation}{governed}", change.resource, update.what));
            &update.differences
        }
        ChangeKind::Claim => return vec![format!("@ {}", change.resource)],
        ChangeKind::Retire { successor } => {
            return vec![format!("> {} for {successor}", change.resource)];
        }
        ChangeKind::Delete => return vec![format!("- {}", change.resource)],
        ChangeKind::Later { why, .. } => return vec![format!("? {} after {why}", change.resource)],
        ChangeKind::Refused { field, declared, found, why } => {
            return vec![format!("! {field}: {declared} <- {found} ({why})")];
        }
    };
    let one = |difference: &fleetwright_plan::Difference| {
        format!("    {}: {} <- {}", difference.field, difference.declared, difference.found)
    };
    lines.extend(differences.iter().map(one));
    lines
}

/// The example with an edit to its spec.
fn declared(edit: impl FnOnce(&mut Value)) -> DesiredCluster {
    let mut cluster = cluster();
    edit(&mut cluster["spec"]);
    desire(cluster, account()).expect("no problems")
}

async fn cluster_lines(
    edit: impl FnOnce(&mut Value),
    seen: impl FnOnce(&mut Value),
) -> Vec<String> {
    let desired = declared(edit);
    let mut cluster = described_cluster();
    seen(&mut cluster["cluster"]);
    lines_of(&desired, &look_for(&desired, cluster, vec![described_pool()]).await)
}

async fn pool_lines(edit: impl FnOnce(&mut Value), seen: impl FnOnce(&mut Value)) -> Vec<String> {
    let desired = declared(|spec| edit(&mut spec["nodePools"][0]));
    let mut pool = described_pool();
    seen(&mut pool["nodegroup"]);
    lines_of(&desired, &look_for(&desired, described_cluster(), vec![pool]).await)
}

const NONE: [&str; 0] = [];

/// The input of the only update.
fn update_input(desired: &DesiredCluster, snapshot: &Snapshot) -> Value {
    let changes = crate::support::silent().diff(desired, snapshot);
    let [Change { kind: ChangeKind::Update(update), .. }] = &changes[..] else {
        unreachable!("one update: {changes:?}")
    };
    update.body["input"].clone()
}

#[tokio::test]
async fn what_is_as_declared_differs_in_nothing() {
    let snapshot = look(described_cluster(), vec![described_pool()]).await;
    assert_eq!(lines(&snapshot), NONE);
}

#[tokio::test]
async fn what_is_absent_is_created() {
    let (provider, _) =
        answering(|_| refusal(404, "ResourceNotFoundException", "No cluster found"));
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    assert_eq!(lines(&snapshot), ["+ control plane", "+ pool general"]);
    assert_eq!(lines(&look(described_cluster(), vec![]).await), ["+ pool general"]);
}

#[tokio::test]
async fn what_is_unknown_changes_nothing() {
    let (provider, _) = answering(|_| Err(HttpOutError::Timeout("20 s".into())));
    let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
    assert_eq!(lines(&snapshot), NONE);
}

#[tokio::test]
async fn a_newer_version_is_walked_minor_by_minor_and_never_back() {
    let found = cluster_lines(|spec| spec["version"] = json!("1.36"), |_| {}).await;
    assert_eq!(
        found,
        [
            "~ control plane version: UpdateClusterVersion (Upgrade)",
            "    spec.version: 1.36 <- 1.34"
        ]
    );
    assert_eq!(
        cluster_lines(|_| {}, |seen| seen["version"] = json!("1.35")).await,
        [
            "~ pool general version: UpdateNodegroupVersion (Upgrade)",
            "    spec.version: 1.35 <- 1.34"
        ],
        "the cloud is ahead: no difference of the control plane, but its pools follow it"
    );
}

#[tokio::test]
async fn each_kind_of_change_of_a_control_plane_is_a_call_of_its_own() {
    let edit = |spec: &mut Value| {
        let eks = &mut spec["eks"];
        eks["support"] = json!("Standard");
        eks["logging"] = json!(["Api", "Audit"]);
        eks["kmsKeyArn"] = json!("arn:aws:kms:eu-west-1:111122223333:key/abc");
        eks["network"]["endpoint"] =
            json!({"access": "PublicAndPrivate", "publicCidrs": ["203.0.113.0/24"]});
        eks["network"]["securityGroupIds"] = json!(["sg-0a"]);
        eks["access"] = json!({"mode": "Api"});
        eks["payloadPatch"] =
            json!({"zonalShiftConfig": {"enabled": true}, "deletionProtection": true});
    };
    let found = cluster_lines(edit, |seen| {
        seen["accessConfig"]["authenticationMode"] = json!("CONFIG_MAP");
        seen["tags"]["team"] = json!("lost");
        seen["resourcesVpcConfig"]["subnetIds"] = json!(["subnet-0a", "subnet-0c"]);
    })
    .await;
    assert_eq!(
        found,
        [
            "~ control plane access: UpdateClusterConfig",
            "    spec.eks.access.mode: API <- CONFIG_MAP",
            "~ control plane encryption: AssociateEncryptionConfig",
            "    spec.eks.kmsKeyArn: arn:aws:kms:eu-west-1:111122223333:key/abc <- none",
            "~ control plane endpoint: UpdateClusterConfig",
            "    spec.eks.network.endpoint.access: PublicAndPrivate <- Public",
            "    spec.eks.network.endpoint.publicCidrs: 203.0.113.0/24 <- 0.0.0.0/0",
            "~ control plane logging: UpdateClusterConfig",
            "    spec.eks.logging: api, audit <- none",
            "~ control plane network: UpdateClusterConfig",
            "    spec.eks.network.securityGroupIds: sg-0a <- none",
            "    spec.eks.network.subnetIds: subnet-0a, subnet-0b <- subnet-0a, subnet-0c",
            "~ control plane patch:deletionProtection: UpdateClusterConfig",
            "    spec.eks.payloadPatch.deletionProtection: true <- none",
            "~ control plane patch:zonalShiftConfig: UpdateClusterConfig",
            "    spec.eks.payloadPatch.zonalShiftConfig.enabled: true <- none",
            "~ control plane support: UpdateClusterConfig",
            "    spec.eks.support: Standard <- Extended",
            "~ control plane tags: TagResource",
            "    spec.tags[team]: payments <- lost",
        ]
    );
}

#[tokio::test]
async fn what_eks_keeps_for_good_is_refused_with_the_reason() {
    let edit = |spec: &mut Value| {
        spec["eks"]["network"]["serviceCidr"] = json!("10.100.0.0/16");
        spec["eks"]["access"] = json!({"mode": "ApiAndConfigMap"});
        spec["eks"]["kmsKeyArn"] = json!("arn:aws:kms:eu-west-1:111122223333:key/abc");
        spec["eks"]["payloadPatch"] = json!({"outpostConfig": {"outpostArns": ["x"]}});
    };
    let found = cluster_lines(edit, |seen| {
        seen["roleArn"] = json!("arn:aws:iam::111122223333:role/other");
        seen["encryptionConfig"] = json!([{"resources": ["secrets"], "provider": {"keyArn": "k"}}]);
    })
    .await;
    assert_eq!(
        found,
        [
            "! spec.eks.network.serviceCidr: 10.100.0.0/16 <- 172.20.0.0/16 (EKS keeps the range of Services for good)",
            "! spec.eks.payloadPatch.outpostConfig.outpostArns: x <- none (EKS takes it at birth only)",
            "! spec.eks.roleArn: arn:aws:iam::111122223333:role/eks-control-plane <- arn:aws:iam::111122223333:role/other (EKS keeps the role of a control plane for good)",
            "! spec.eks.access.mode: API_AND_CONFIG_MAP <- API (EKS only moves towards Api)",
            "! spec.eks.kmsKeyArn: arn:aws:kms:eu-west-1:111122223333:key/abc <- k (EKS keeps the key of a cluster for good)",
        ]
    );
}

#[tokio::test]
async fn auto_mode_is_on_where_its_block_is_and_nowhere_else() {
    let auto = |spec: &mut Value| {
        spec["eks"]["autoMode"] = json!({
            "nodePools": ["system"], "nodeRoleArn": "arn:aws:iam::111122223333:role/auto"
        });
    };
    let on = cluster_lines(auto, |_| {}).await;
    assert_eq!(on[0], "~ control plane auto-mode: UpdateClusterConfig");
    let off = cluster_lines(|_| {}, |seen| seen["computeConfig"] = json!({"enabled": true})).await;
    assert_eq!(
        off,
        [
            "~ control plane auto-mode: UpdateClusterConfig (Roll)",
            "    spec.eks.autoMode: false <- true"
        ]
    );
    let adopt = |spec: &mut Value| spec["adoption"] = json!("Existing");
    let on = |seen: &mut Value| seen["computeConfig"] = json!({"enabled": true});
    assert_eq!(cluster_lines(adopt, on).await, NONE, "an adopted cluster keeps its nodes");
    let patched = declared(|spec| {
        adopt(spec);
        spec["eks"]["payloadPatch"] = json!({"computeConfig": {"enabled": false}});
    });
    let mut cluster = described_cluster();
    on(&mut cluster["cluster"]);
    let snapshot = look_for(&patched, cluster, vec![described_pool()]).await;
    assert_eq!(
        update_input(&patched, &snapshot),
        json!({
            "name": "payments-eu-01",
            "computeConfig": {"enabled": false},
            "kubernetesNetworkConfig": {"elasticLoadBalancing": {"enabled": false}},
            "storageConfig": {"blockStorage": {"enabled": false}}
        }),
        "EKS takes the three together only"
    );
}

#[tokio::test]
async fn what_nobody_declared_is_nobodys_difference() {
    let found = cluster_lines(
        |_| {},
        |seen| {
            seen["accessConfig"]["authenticationMode"] = json!("API_AND_CONFIG_MAP");
            seen["resourcesVpcConfig"]["publicAccessCidrs"] = json!(["198.51.100.0/24"]);
            seen["zonalShiftConfig"] = json!({"enabled": true});
            seen["tags"]["somebody"] = json!("else");
        },
    )
    .await;
    assert_eq!(found, NONE);
}

#[tokio::test]
async fn scaling_labels_and_taints_go_in_one_call() {
    let edit = |pool: &mut Value| {
        pool["taints"] = json!([{"key": "gpu", "value": "yes", "effect": "NoSchedule"}]);
        pool["update"] = json!({"maxUnavailable": "25%"});
    };
    let found = pool_lines(edit, |seen| {
        seen["scalingConfig"] = json!({"minSize": 2, "maxSize": 9, "desiredSize": 2});
        seen["labels"] = json!({});
        seen["taints"] = json!([{"key": "old", "effect": "NO_EXECUTE"}]);
        seen["updateConfig"] = json!({"maxUnavailable": 1});
    })
    .await;
    assert_eq!(
        found,
        [
            "~ pool general config: UpdateNodegroupConfig",
            "    spec.nodePools[general].size.max: 12 <- 9",
            "    spec.nodePools[general].size.min: 3 <- 2",
            "    spec.nodePools[general].labels[workload]: general <- none",
            "    spec.nodePools[general].taints: gpu=yes:NO_SCHEDULE <- old:NO_EXECUTE",
            "    spec.nodePools[general].update.maxUnavailable: 25 <- none",
        ]
    );
}

#[tokio::test]
async fn the_size_belongs_to_the_autoscaler_between_its_bounds() {
    let at = |size: i32| move |seen: &mut Value| seen["scalingConfig"]["desiredSize"] = json!(size);
    assert_eq!(pool_lines(|_| {}, at(12)).await, NONE);
    assert_eq!(
        pool_lines(|_| {}, at(13)).await,
        [
            "~ pool general config: UpdateNodegroupConfig",
            "    spec.nodePools[general].size: 3 to 12 <- 13"
        ]
    );
    for (max, size, sent) in [
        (9, 7, json!({"minSize": 3, "maxSize": 12})),
        (9, 2, json!({"minSize": 3, "maxSize": 12, "desiredSize": 3})),
        (20, 13, json!({"minSize": 3, "maxSize": 12, "desiredSize": 12})),
    ] {
        let mut pool = described_pool();
        pool["nodegroup"]["scalingConfig"] =
            json!({"minSize": 3, "maxSize": max, "desiredSize": size});
        let input = update_input(&desired(), &look(described_cluster(), vec![pool]).await);
        assert_eq!(input["scalingConfig"], sent, "{size} nodes");
    }
}

#[tokio::test]
async fn an_empty_value_of_a_taint_is_none() {
    let taint = json!([{"key": "gpu", "value": "", "effect": "NO_SCHEDULE"}]);
    let seen = |seen: &mut Value| seen["taints"] = taint.clone();
    let edit = |pool: &mut Value| pool["taints"] = json!([{"key": "gpu", "effect": "NoSchedule"}]);
    assert_eq!(pool_lines(edit, seen).await, NONE);
}

/// A group with a label and a taint that are not declared, or no longer.
fn with_more() -> Value {
    let mut pool = described_pool();
    let group = &mut pool["nodegroup"];
    group["labels"]["old"] = json!("yes");
    group["taints"] = json!([{"key": "gpu", "effect": "NO_SCHEDULE"}]);
    pool
}

#[tokio::test]
async fn labels_and_taints_that_are_declared_no_longer_go() {
    let snapshot = look(described_cluster(), vec![with_more()]).await;
    assert_eq!(
        lines(&snapshot),
        [
            "~ pool general config: UpdateNodegroupConfig",
            "    spec.nodePools[general].labels[old]: none <- yes",
            "    spec.nodePools[general].taints: none <- gpu:NO_SCHEDULE",
        ]
    );
    let none = declared(|spec| spec["nodePools"][0]["labels"] = json!({}));
    let input = update_input(&none, &snapshot);
    assert_eq!(input["labels"], json!({"removeLabels": ["old", "workload"]}), "the last ones too");
    assert_eq!(input["taints"], json!({"removeTaints": [{"key": "gpu", "effect": "NO_SCHEDULE"}]}));
    let other = declared(|spec| spec["nodePools"][0]["labels"] = json!({"old": "no"}));
    assert_eq!(
        update_input(&other, &snapshot)["labels"],
        json!({"addOrUpdateLabels": {"old": "no"}, "removeLabels": ["workload"]})
    );
}

#[tokio::test]
async fn an_adopted_cluster_keeps_what_is_not_declared_of_labels_and_taints() {
    let adopt = |spec: &mut Value| spec["adoption"] = json!("Existing");
    let look = |desired: DesiredCluster| async move {
        lines_of(&desired, &look_for(&desired, described_cluster(), vec![with_more()]).await)
    };
    assert_eq!(look(declared(adopt)).await, NONE);
    let relabelled = declared(|spec| {
        adopt(spec);
        spec["nodePools"][0]["labels"] = json!({"workload": "special"});
    });
    assert_eq!(
        look(relabelled).await[1..],
        ["    spec.nodePools[general].labels[workload]: special <- general"]
    );
    // There the last taint goes by patch.
    let untainted = declared(|spec| {
        adopt(spec);
        spec["nodePools"][0]["eks"]["payloadPatch"] = json!({"taints": []});
    });
    assert_eq!(
        look(untainted).await[1..],
        ["    spec.nodePools[general].taints: none <- gpu:NO_SCHEDULE"]
    );
}

#[tokio::test]
async fn an_add_on_without_declared_configuration_keeps_what_is_set() {
    let found = |edit: Value| async move {
        let desired = declared(|spec| spec["eks"]["managedAddOns"] = json!([edit]));
        let (provider, _) = answering(|line| match line {
            "GET /clusters/payments-eu-01" => ok(&described_cluster()),
            "GET /clusters/payments-eu-01/addons" => ok(&json!({"addons": ["coredns"]})),
            "GET /clusters/payments-eu-01/addons/coredns" => ok(&json!({"addon": {
                "addonName": "coredns",
                "addonArn": "arn:aws:eks:eu-west-1:111122223333:addon/payments-eu-01/coredns/1",
                "status": "ACTIVE",
                "configurationValues": "{\"replicaCount\": 4}",
                "tags": crate::support::tags()
            }})),
            _ => ok(&json!({})),
        });
        let snapshot = provider.observe(&access(), &desired.address, Some(&desired)).await;
        lines_of(&desired, &snapshot)
    };
    assert_eq!(found(json!({"name": "coredns"})).await, ["+ pool general"]);
    let declared = found(json!({"name": "coredns", "configuration": {"replicaCount": 3}})).await;
    assert_eq!(declared.len(), 3, "{declared:?}");
}

#[tokio::test]
async fn a_newer_launch_template_is_rolled() {
    let template = |version: &str| json!({"id": "lt-0a", "version": version});
    let edit = |pool: &mut Value| pool["eks"]["launchTemplate"] = template("3");
    let found = pool_lines(edit, |seen| seen["launchTemplate"] = template("2")).await;
    assert_eq!(
        found,
        [
            "~ pool general launch-template: UpdateNodegroupVersion (Roll)",
            "    spec.nodePools[general].eks.launchTemplate.version: 3 <- 2"
        ]
    );
}

#[tokio::test]
async fn what_cannot_change_in_place_is_replaced_by_a_successor() {
    let edit = |pool: &mut Value| {
        pool["eks"]["instanceTypes"] = json!(["m8g.xlarge"]);
        pool["capacity"] = json!("Spot");
    };
    let found = pool_lines(edit, |_| {}).await;
    let successor = "general-28ec3e";
    assert_eq!(
        found,
        [
            format!("+ pool {successor} in place of general"),
            "    spec.nodePools[general].capacity: SPOT <- ON_DEMAND".into(),
            "    spec.nodePools[general].eks.instanceTypes: m8g.xlarge <- m7g.xlarge, m6g.xlarge"
                .into(),
            format!("> pool general for {successor}"),
        ]
    );
}

fn named(name: &str, status: &str) -> Value {
    let mut pool = described_pool();
    pool["nodegroup"]["nodegroupName"] = json!(name);
    pool["nodegroup"]["status"] = json!(status);
    pool["nodegroup"]["tags"]["fleetwright.dev/pool"] = json!(name);
    pool
}

#[tokio::test]
async fn once_the_successor_is_there_the_old_one_retires_and_a_revert_retires_the_successor() {
    let mut successor = named("general-28ec3e", "ACTIVE");
    successor["nodegroup"]["tags"]["fleetwright.dev/pool"] = json!("general");
    successor["nodegroup"]["instanceTypes"] = json!(["m8g.xlarge"]);
    successor["nodegroup"]["capacityType"] = json!("SPOT");
    let changed = declared(|spec| {
        spec["nodePools"][0]["eks"]["instanceTypes"] = json!(["m8g.xlarge"]);
        spec["nodePools"][0]["capacity"] = json!("Spot");
    });
    let pools = || vec![described_pool(), successor.clone()];
    let snapshot = look_for(&changed, described_cluster(), pools()).await;
    assert_eq!(lines_of(&changed, &snapshot), ["> pool general for general-28ec3e"]);
    assert_eq!(lines(&snapshot), ["> pool general-28ec3e for general"], "the old spec again");
    let alone = look_for(&changed, described_cluster(), vec![successor.clone()]).await;
    assert_eq!(lines_of(&changed, &alone), NONE, "the successor is the pool");
}

#[tokio::test]
async fn a_successor_that_came_out_otherwise_is_told() {
    let mut successor = named("general-28ec3e", "ACTIVE");
    successor["nodegroup"]["tags"]["fleetwright.dev/pool"] = json!("general");
    successor["nodegroup"]["instanceTypes"] = json!(["m8g.large"]);
    successor["nodegroup"]["capacityType"] = json!("SPOT");
    let changed = declared(|spec| {
        spec["nodePools"][0]["eks"]["instanceTypes"] = json!(["m8g.xlarge"]);
        spec["nodePools"][0]["capacity"] = json!("Spot");
    });
    let told = [
        "! spec.nodePools[general].eks.instanceTypes: m8g.xlarge <- m8g.large (pool general-28ec3e was made for this and is \
         otherwise, which EKS never changes: declare what is there, or delete that pool)",
    ];
    for pools in [vec![described_pool(), successor.clone()], vec![successor.clone()]] {
        let snapshot = look_for(&changed, described_cluster(), pools).await;
        assert_eq!(lines_of(&changed, &snapshot), told);
    }
    successor["nodegroup"]["status"] = json!("CREATING");
    let pools = vec![described_pool(), successor];
    let snapshot = look_for(&changed, described_cluster(), pools).await;
    assert_eq!(lines_of(&changed, &snapshot), NONE, "not yet what it will be");
}

#[tokio::test]
async fn an_undeclared_pool_goes_only_if_it_is_ours_and_at_rest() {
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
async fn what_is_not_ours_is_claimed_before_it_is_changed() {
    let mut pool = described_pool();
    pool["nodegroup"]["tags"] = json!({});
    pool["nodegroup"]["scalingConfig"]["maxSize"] = json!(99);
    let snapshot = look(described_cluster(), vec![pool.clone()]).await;
    assert_eq!(lines(&snapshot), ["@ pool general"]);
    let mut other = described_cluster();
    other["cluster"]["tags"] = json!({});
    other["cluster"]["version"] = json!("1.30");
    let snapshot = look(other, vec![pool]).await;
    assert_eq!(
        lines(&snapshot),
        [
            "@ control plane",
            "@ pool general",
            "~ control plane version: UpdateClusterVersion (Upgrade)",
            "    spec.version: 1.34 <- 1.30",
            "~ pool general config: UpdateNodegroupConfig",
            "    spec.nodePools[general].size.max: 12 <- 99",
        ]
    );
}

#[tokio::test]
async fn a_group_that_never_came_to_be_is_left_as_it_is() {
    let failed = |seen: &mut Value| {
        seen["status"] = json!("CREATE_FAILED");
        seen["scalingConfig"]["maxSize"] = json!(99);
    };
    assert_eq!(pool_lines(|_| {}, failed).await, NONE);
}
