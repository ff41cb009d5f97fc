//! A whole life over the emulated cloud that exercises every call we know, held against botocore's model at the end.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fleetwright_names::PoolName;
use fleetwright_plan::{Credentials, DesiredCluster, Goal, Phase, Snapshot};
use fleetwright_provider::{HttpOut, HttpOutError, Provider as _};
use fleetwright_provider_eks::EksProvider;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::conformance::{World, settle, settle_by};
use crate::support::{access_to, account, cluster, desire};

/// Names a folder with botocore to use instead of the pinned one.
const PACKAGES_VARIABLE: &str = "FLEETWRIGHT_PYTHON_PACKAGES";
const ROLE: &str = "arn:aws:iam::111122223333:role/";

/// What went over the wire, one JSON text per request.
type Tape = Arc<Mutex<Vec<String>>>;

fn taped(http: HttpOut, tape: &Tape) -> HttpOut {
    let tape = Arc::clone(tape);
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let header = request.headers().get("x-amz-target");
        let line = json!({
            "method": request.method().as_str(),
            "path": path.strip_prefix("/cloud/aws").unwrap_or(path),
            "target": header.and_then(|value| value.to_str().ok()),
            "body": String::from_utf8_lossy(request.body()),
        });
        tape.lock().expect("the tape").push(line.to_string());
        let http = http.clone();
        async move { http.oneshot(request).await.map_err(|error: HttpOutError| error) }
    }))
}

/// Everything that a cluster can declare.
fn whole() -> Value {
    let mut cluster = cluster();
    let spec = &mut cluster["spec"];
    spec["version"] = json!("1.33");
    let eks = &mut spec["eks"];
    eks["logging"] = json!(["Api"]);
    eks["support"] = json!("Extended");
    eks["network"]["endpoint"] =
        json!({"access": "PublicAndPrivate", "publicCidrs": ["203.0.113.0/24"]});
    eks["access"] = json!({"mode": "ApiAndConfigMap", "entries": [{
        "principalArn": format!("{ROLE}ops"), "groups": ["ops"],
        "policies": [
            {"name": "AmazonEKSClusterAdminPolicy", "scope": "Cluster"},
            {"name": "AmazonEKSViewPolicy", "scope": "Namespaces", "namespaces": ["shop"]}
        ]
    }]});
    eks["managedAddOns"] = json!([{"name": "vpc-cni", "onConflict": "Preserve", "configuration": {"enableNetworkPolicy": "true"}}]);
    eks["podIdentities"] = json!([{"namespace": "telemetry", "serviceAccount": "collector", "roleArn": format!("{ROLE}otel")}]);
    eks["fargateProfiles"] = json!([
        {"name": "batch", "roleArn": format!("{ROLE}fargate"), "selectors": [{"namespace": "batch", "labels": {"run": "fargate"}}]},
        {"name": "night", "roleArn": format!("{ROLE}fargate"), "selectors": [{"namespace": "night"}]}
    ]);
    spec["nodePools"][0]["taints"] =
        json!([{"key": "dedicated", "value": "general", "effect": "NoSchedule"}]);
    spec["nodePools"][0]["update"] = json!({"maxUnavailable": "25%", "onDrainTimeout": "Force"});
    cluster
}

fn whole_with(edit: impl FnOnce(&mut Value)) -> DesiredCluster {
    let mut cluster = whole();
    edit(&mut cluster["spec"]);
    desire(cluster, account()).expect("no problems")
}

async fn seen(provider: &EksProvider, desired: &DesiredCluster) -> Snapshot {
    provider.observe(&crate::support::access(), &desired.address, Some(desired)).await
}

/// Everything of every kind differs at once; the loop makes it right, one kind after the other.
fn changed(spec: &mut Value) {
    let eks = &mut spec["eks"];
    eks["logging"] = json!(["Audit", "Authenticator"]);
    eks["support"] = json!("Standard");
    eks["kmsKeyArn"] = json!("arn:aws:kms:eu-west-1:111122223333:key/abc");
    eks["network"]["endpoint"] = json!({"access": "Public"});
    eks["network"]["subnetIds"] = json!(["subnet-0a", "subnet-0b", "subnet-0c"]);
    eks["network"]["securityGroupIds"] = json!(["sg-0a"]);
    eks["access"]["mode"] = json!("Api");
    eks["access"]["entries"][0]["groups"] = json!(["ops", "night-shift"]);
    eks["access"]["entries"][0]["policies"] = json!([{"name": "AmazonEKSViewPolicy"}]);
    eks["managedAddOns"][0]["configuration"] = json!({"enableNetworkPolicy": "false"});
    eks["podIdentities"][0]["roleArn"] = json!(format!("{ROLE}otel-2"));
    eks["fargateProfiles"][1]["selectors"] = json!([{"namespace": "late"}]);
    eks["payloadPatch"] = json!({"zonalShiftConfig": {"enabled": true}});
    spec["tags"] = json!({"cost-center": "4711"});
    let pool = &mut spec["nodePools"][0];
    pool["size"] = json!({"min": 2, "max": 5});
    pool["labels"] = json!({"workload": "special"});
    pool["taints"] = json!([{"key": "other", "effect": "PreferNoSchedule"}]);
    pool["update"] = json!({"maxUnavailable": 2});
}

#[tokio::test(start_paused = true)]
async fn everything_that_can_be_declared_is_made_changed_and_removed() {
    let tape = Tape::default();
    let world = World::new().await;
    let provider = world.provider(|http| taped(http, &tape));

    let born = whole_with(|_| {});
    settle(&provider, &born, Goal::Present).await;
    let snapshot = seen(&provider, &born).await;
    let Credentials::Valid { account, .. } = &snapshot.credentials else {
        unreachable!("the simulated STS knows us: {:?}", snapshot.credentials)
    };
    assert_eq!(account.len(), 12);
    assert!(born.parts.iter().all(|part| snapshot.parts.contains_key(&part.key)), "{snapshot:?}");

    let other = whole_with(changed);
    settle(&provider, &other, Goal::Present).await;
    assert_eq!(provider.diff(&other, &seen(&provider, &other).await), []);

    let newer = whole_with(|spec| {
        changed(spec);
        spec["version"] = json!("1.35");
        spec["eks"]["managedAddOns"] = json!([]);
        spec["eks"]["podIdentities"] = json!([]);
        spec["eks"]["access"]["entries"] = json!([]);
        spec["nodePools"][0]["imageUpdates"] = json!("InWindow");
    });
    settle(&provider, &newer, Goal::Present).await;
    world.sim.release_images().await.expect("a release");
    // The newest image is kept for an hour.
    tokio::time::sleep(std::time::Duration::from_secs(3601)).await;
    settle(&provider, &newer, Goal::Present).await;
    let snapshot = seen(&provider, &newer).await;
    assert_eq!(snapshot.cluster.present().expect("there").version, "1.35");
    let general = PoolName::new("general").expect("a name");
    let pool = snapshot.pools[&general].present().expect("there");
    assert_eq!((pool.phase, pool.version.as_str()), (Phase::Active, "1.35"));
    assert_eq!(pool.release.as_deref(), Some("1.35.1-20251108"), "the second release of the image");
    assert!(
        snapshot.parts.values().all(|part| part.present().is_some_and(
            |part| part.tags.is_empty() || part.body["fargateProfileName"].is_string()
        )),
        "only what is not ours and the profiles are left"
    );

    let replaced = whole_with(|spec| {
        changed(spec);
        spec["version"] = json!("1.35");
        spec["eks"]["managedAddOns"] = json!([]);
        spec["eks"]["podIdentities"] = json!([]);
        spec["eks"]["access"]["entries"] = json!([]);
        spec["nodePools"][0]["capacity"] = json!("Spot");
    });
    settle(&provider, &replaced, Goal::Present).await;
    let snapshot = seen(&provider, &replaced).await;
    let names: Vec<&str> = snapshot.pools.keys().map(PoolName::as_str).collect();
    assert!(matches!(names[..], [one] if one.starts_with("general-")), "{names:?}");

    settle(&provider, &replaced, Goal::Absent).await;
    assert!(world.sim.inventory().await.is_empty(), "nothing leaks");

    let accepted = judge(&tape);
    let expected: BTreeSet<&str> = EVERY_CALL.into_iter().collect();
    let sent: BTreeSet<&str> = accepted.split(' ').collect();
    let missing: Vec<&&str> = expected.difference(&sent).collect();
    assert!(missing.is_empty(), "the scenario never sent {missing:?}");
    let allowed = allowed_by_the_guide();
    // Asking who one is needs no permission.
    let refused: Vec<&&str> = sent
        .iter()
        .filter(|call| **call != "GetCallerIdentity" && !allowed.contains(**call))
        .collect();
    assert!(refused.is_empty(), "docs/guides/eks-iam-policy.json does not allow {refused:?}");
}

/// The calls that the guide's IAM policy allows.
fn allowed_by_the_guide() -> BTreeSet<String> {
    let policy = include_str!("../../../../docs/guides/eks-iam-policy.json");
    let policy: Value = serde_json::from_str(policy).expect("the guide's policy is JSON");
    let statements = policy["Statement"].as_array().expect("statements");
    let actions = statements.iter().flat_map(|statement| match &statement["Action"] {
        Value::Array(actions) => actions.clone(),
        one => vec![one.clone()],
    });
    let call = |action: Value| {
        let action = action.as_str().expect("an action").to_owned();
        action.split_once(':').expect("service:Call").1.to_owned()
    };
    actions.map(call).collect()
}

/// Every call that the scenario must make.
const EVERY_CALL: [&str; 36] = [
    "AssociateAccessPolicy",
    "AssociateEncryptionConfig",
    "CreateAccessEntry",
    "CreateAddon",
    "CreateCluster",
    "CreateFargateProfile",
    "CreateNodegroup",
    "CreatePodIdentityAssociation",
    "DeleteAccessEntry",
    "DeleteAddon",
    "DeleteCluster",
    "DeleteFargateProfile",
    "DeleteNodegroup",
    "DeletePodIdentityAssociation",
    "DescribeAccessEntry",
    "DescribeAddon",
    "DescribeCluster",
    "DescribeFargateProfile",
    "DescribeNodegroup",
    "DescribePodIdentityAssociation",
    "DescribeUpdate",
    "DisassociateAccessPolicy",
    "GetCallerIdentity",
    "GetParameter",
    "ListAccessEntries",
    "ListAddons",
    "ListInsights",
    "ListNodegroups",
    "ListUpdates",
    "TagResource",
    "UpdateAccessEntry",
    "UpdateAddon",
    "UpdateClusterConfig",
    "UpdateClusterVersion",
    "UpdateNodegroupConfig",
    "UpdateNodegroupVersion",
];

/// Where `cargo xtask test` installs botocore.
fn packages() -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/python");
    let named = std::env::var_os(PACKAGES_VARIABLE).map(PathBuf::from);
    let mut folders = named.into_iter().chain([pinned]);
    let found = folders.find(|folder| folder.join("botocore").is_dir());
    found.expect("no botocore; `cargo xtask test` installs it")
}

/// The operations on the tape, all of which botocore's model accepts.
fn judge(tape: &Tape) -> String {
    let mut judge = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/judge.py"))
        .env("PYTHONPATH", packages())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("python3 runs");
    let mut distinct: BTreeSet<String> = tape.lock().expect("the tape").drain(..).collect();
    let mut input = judge.stdin.take().expect("a pipe");
    while let Some(line) = distinct.pop_first() {
        writeln!(input, "{line}").expect("the judge reads");
    }
    drop(input);
    let ran = judge.wait_with_output().expect("the judge ends");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{told}{}", String::from_utf8_lossy(&ran.stderr));
    told.trim().strip_prefix("accepted: ").expect("the judge's last word").to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_role_is_assumed_with_the_external_id_of_hub_and_namespace() {
    let world = World::new().await;
    let role = format!("{ROLE}fleetwright");
    let mut trusted = account();
    trusted["spec"]["aws"] = json!({
        "identity": {"type": "Environment", "roleArn": role}, "externalId": "PerNamespace"
    });
    let provider = world.provider(|http| http);
    let desired = crate::support::desired();
    world.sim.require_external_id(&role, Some("fleetwright/ab12/payments")).await.expect("set");
    let snapshot = provider.observe(&access_to(trusted.clone()), &desired.address, None).await;
    let Credentials::Valid { principal, expires_at, .. } = snapshot.credentials else {
        unreachable!("the role trusts us: {:?}", snapshot.credentials)
    };
    assert_eq!(
        principal,
        "arn:aws:sts::111122223333:assumed-role/fleetwright/fleetwright-payments"
    );
    assert_eq!(expires_at, None, "it is renewed in time");

    world.sim.require_external_id(&role, Some("fleetwright/ab12/other")).await.expect("set");
    let provider = world.provider(|http| http);
    let snapshot = provider.observe(&access_to(trusted), &desired.address, None).await;
    let Credentials::Failed { code, .. } = snapshot.credentials else {
        unreachable!("another namespace's id")
    };
    assert_eq!(code, "AssumeRoleDenied");
}

#[tokio::test(start_paused = true)]
async fn an_account_outside_the_limits_is_neither_read_nor_written() {
    let world = World::new().await;
    let mut limited = account();
    limited["spec"]["limits"] = json!({"accountIds": ["999988887777"]});
    let access = access_to(limited);
    let provider = world.provider(|http| http);
    let desired = crate::support::desired();
    let snapshot = provider.observe(&access, &desired.address, Some(&desired)).await;
    let Credentials::Failed { code, why } = snapshot.credentials else {
        unreachable!("the account is not allowed")
    };
    assert_eq!(code, "AccountNotAllowed", "{why}");
    let create = fleetwright_plan::CloudStep::new(
        desired.address.clone(),
        fleetwright_plan::Resource::Cluster,
        (desired.owner.clone(), desired.generation),
        fleetwright_plan::CloudAction::Create { body: desired.body.clone() },
        "",
    );
    let error = provider.act(&access, &create).await.expect_err("not allowed");
    assert_eq!(error.code, "AccountNotAllowed");
    let calls: Vec<String> = world.sim.calls().into_keys().collect();
    assert_eq!(calls, ["GetCallerIdentity"]);
}

#[tokio::test(start_paused = true)]
async fn keys_in_a_secret_are_used_and_missed_when_they_are_not_there() {
    use fleetwright_cloudsim::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
    use fleetwright_provider::Secret;
    let world = World::new().await;
    let mut by_secret = account();
    by_secret["spec"]["aws"] =
        json!({"identity": {"type": "Secret", "secretRef": {"name": "aws-keys"}}});
    let provider = world.provider(|http| http);
    let desired = crate::support::desired();
    let mut access = access_to(by_secret);
    let code = |snapshot: Snapshot| match snapshot.credentials {
        Credentials::Failed { code, .. } => code,
        other => format!("{other:?}"),
    };
    let found = provider.observe(&access, &desired.address, None).await;
    assert_eq!(code(found), "SecretMissing");
    let data = |id: &str, secret: &str| {
        let text = |text: &str| Secret::new(text.to_owned());
        Some(std::collections::BTreeMap::from([
            ("aws_access_key_id".to_owned(), text(id)),
            ("aws_secret_access_key".to_owned(), text(secret)),
        ]))
    };
    access.secret = data(ACCESS_KEY_ID, "wrong");
    let found = provider.observe(&access, &desired.address, None).await;
    assert_eq!(code(found), "Unauthorized");
    access.secret = data(ACCESS_KEY_ID, SECRET_ACCESS_KEY);
    let found = provider.observe(&access, &desired.address, None).await;
    assert!(matches!(found.credentials, Credentials::Valid { .. }), "{:?}", found.credentials);
}

#[tokio::test(start_paused = true)]
async fn an_existing_cluster_is_adopted_with_its_pools_and_then_kept() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let ours = crate::support::desired();
    // Somebody made it by hand: the same requests without a tag of ours.
    let mut by_hand = ours.clone();
    by_hand.owner = fleetwright_names::Owner {
        uid: fleetwright_names::Uid::new("0099").expect("a uid"),
        ..ours.owner.clone()
    };
    let untag = |body: &mut Value| body["tags"] = json!({});
    untag(&mut by_hand.body);
    let make = |resource, body: &Value| {
        let action = fleetwright_plan::CloudAction::Create { body: body.clone() };
        let owner = (by_hand.owner.clone(), 1);
        fleetwright_plan::CloudStep::new(ours.address.clone(), resource, owner, action, "")
    };
    let access = crate::support::access();
    let cluster = make(fleetwright_plan::Resource::Cluster, &by_hand.body);
    provider.act(&access, &cluster).await.expect("made");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    let mut body = ours.pools[0].body.clone();
    untag(&mut body);
    let pool = make(fleetwright_plan::Resource::Pool(ours.pools[0].name.clone()), &body);
    provider.act(&access, &pool).await.expect("made");
    tokio::time::sleep(std::time::Duration::from_secs(60)).await;

    let rules = fleetwright_plan::Rules {
        adoption: fleetwright_api_types::Adoption::Existing,
        ..fleetwright_plan::Rules::default()
    };
    settle_by(&provider, &ours, (Goal::Present, &rules)).await;
    let found = world.sim.inventory().await.remove(0);
    assert_eq!(found.tags, crate::support::tags());
    assert_eq!(found.nodegroups[0].tags, crate::support::pool_tags());
    assert_eq!(world.sim.calls()["CreateCluster"], 1, "adopted, not made");

    // The object is made anew, with another uid: its predecessor's cluster is taken over when a person says so.
    let mut anew = crate::support::desired();
    anew.owner.uid = fleetwright_names::Uid::new("0002").expect("a uid");
    for tags in [&mut anew.body["tags"], &mut anew.pools[0].body["tags"]] {
        tags["fleetwright.dev/uid"] = json!("0002");
    }
    anew.tags.insert("fleetwright.dev/uid".into(), "0002".into());
    let rules = fleetwright_plan::Rules {
        take_over: Some(ours.owner.uid.clone()),
        ..fleetwright_plan::Rules::default()
    };
    settle_by(&provider, &anew, (Goal::Present, &rules)).await;
    let found = world.sim.inventory().await.remove(0);
    assert_eq!(found.tags["fleetwright.dev/uid"], "0002");
    assert_eq!(found.nodegroups[0].tags["fleetwright.dev/uid"], "0002");
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_machines_works_on_and_says_what_is_missing() {
    use fleetwright_cloudsim::{Fault, FaultKind};
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let desired = crate::support::desired();
    settle(&provider, &desired, Goal::Present).await;
    let fault = Fault {
        kind: FaultKind::Capacity,
        cluster: Some("payments-eu-01".into()),
        pool: None,
        operation: None,
        times: None,
    };
    world.sim.add_fault(fault).await.expect("set");
    let snapshot = seen(&provider, &desired).await;
    let pool = snapshot.pools.values().next().and_then(|pool| pool.present()).expect("there");
    assert_eq!(pool.phase, Phase::Active);
    assert!(pool.trouble.starts_with("AsgInstanceLaunchFailures: "), "{}", pool.trouble);
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_as_often_as_it_comes_back() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let desired = whole_with(|_| {});
    settle(&provider, &desired, Goal::Present).await;
    for _ in 0..3 {
        let drift = [
            ("resourcesVpcConfig.publicAccessCidrs", json!(["0.0.0.0/0"])),
            ("tags.team", json!("lost")),
            ("nodegroups.general.scalingConfig.maxSize", json!(20)),
        ];
        for (path, value) in drift {
            let sim = &world.sim;
            sim.drift("eu-west-1", "payments-eu-01", path, value).await.expect(path);
        }
        let changes = provider.diff(&desired, &seen(&provider, &desired).await);
        assert_eq!(changes.len(), 3, "{changes:?}");
        settle(&provider, &desired, Goal::Present).await;
        assert_eq!(provider.diff(&desired, &seen(&provider, &desired).await), []);
    }
}
