//! A whole life over the emulated Azure that exercises every call we know, held against Azure's schema and the guide's role at
//! the end; and what becomes of clusters that fail, drift, or were made by somebody else.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_api_types::Adoption;
use fleetwright_cloudsim::{Fault, FaultKind};
use fleetwright_names::{Owner, PoolName, Uid};
use fleetwright_plan::{
    CloudAction, CloudStep, Credentials, DesiredCluster, Goal, PartKey, Phase, Resource, Rules,
    Snapshot, UpdateState,
};
use fleetwright_provider::{HttpOut, HttpOutError, Provider as _};
use fleetwright_provider_aks::AksProvider;
use http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::conformance::{World, settle, settle_by, until};
use crate::judge::Judge;
use crate::role;
use crate::support::{access, account, cluster, desire, desired};

/// Method, path with query, and body of every request.
type Tape = Arc<Mutex<Vec<(String, String, Value)>>>;

fn taped(http: HttpOut, tape: &Tape) -> HttpOut {
    let tape = Arc::clone(tape);
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let path = path.strip_prefix("/cloud/azure").unwrap_or(path).to_owned();
        let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        tape.lock().expect("the tape").push((request.method().to_string(), path, body));
        let http = http.clone();
        async move { http.oneshot(request).await.map_err(|error: HttpOutError| error) }
    }))
}

/// Much of what a cluster can declare.
fn whole() -> Value {
    let mut cluster = cluster();
    let spec = &mut cluster["spec"];
    spec["version"] = json!("1.33");
    let aks = &mut spec["aks"];
    aks["apiServer"] = json!({"access": "Public", "authorizedCidrs": ["203.0.113.0/24"]});
    aks["autoUpgrade"] = json!({"kubernetes": "Patch", "nodeOs": "SecurityPatch"});
    aks["autoscaler"] = json!({"scan-interval": "20s", "expander": "least-waste"});
    aks["managedAddOns"] = json!([{"name": "azurepolicy", "state": "Enabled"}]);
    aks["maintenanceConfigurations"] = json!([
        {
            "name": "aksManagedAutoUpgradeSchedule", "utcOffset": "+01:00",
            "windows": [{"days": ["Tue"], "start": "02:00", "duration": "4h"}]
        },
        {
            "name": "default",
            "windows": [{"days": ["Sat", "Sun"], "start": "00:00", "duration": "6h"}]
        }
    ]);
    let web = &mut spec["nodePools"][1];
    web["taints"] = json!([{"key": "dedicated", "value": "web", "effect": "NoSchedule"}]);
    web["aks"]["maxSurge"] = json!("33%");
    web["aks"]["nodeSoak"] = json!("5m");
    cluster
}

fn whole_with(edit: impl FnOnce(&mut Value)) -> DesiredCluster {
    let mut cluster = whole();
    edit(&mut cluster["spec"]);
    desire(cluster, account()).expect("no problems")
}

async fn seen(provider: &AksProvider, desired: &DesiredCluster) -> Snapshot {
    provider.observe(&access(), &desired.address, Some(desired)).await
}

fn pool(name: &str) -> PoolName {
    PoolName::new(name).expect("a name")
}

/// Everything of every kind differs at once; the loop makes it right, one kind after the other.
fn changed(spec: &mut Value) {
    let aks = &mut spec["aks"];
    aks["tier"] = json!("Premium");
    aks["support"] = json!("LongTerm");
    aks["apiServer"]["authorizedCidrs"] = json!(["198.51.100.0/24", "203.0.113.0/24"]);
    aks["entra"]["adminGroupIds"] = json!(["44444444-4444-4444-8444-444444444444"]);
    aks["autoUpgrade"]["nodeOs"] = json!("None");
    aks["autoscaler"]["scan-interval"] = json!("30s");
    aks["managedAddOns"][0]["state"] = json!("Disabled");
    aks["maintenanceConfigurations"][0]["windows"][0]["duration"] = json!("8h");
    aks["maintenanceConfigurations"].as_array_mut().expect("a list").remove(1);
    aks["payloadPatch"] =
        json!({"properties": {"workloadAutoScalerProfile": {"keda": {"enabled": true}}}});
    spec["tags"] = json!({"cost-center": "4711"});
    let web = &mut spec["nodePools"][1];
    web["size"] = json!({"min": 1, "max": 5});
    web["labels"] = json!({"workload": "special"});
    web["taints"] = json!([{"key": "other", "effect": "PreferNoSchedule"}]);
    web["aks"]["maxSurge"] = json!(2);
}

#[tokio::test(start_paused = true)]
async fn everything_that_can_be_declared_is_made_changed_and_removed() {
    let tape = Tape::default();
    let world = World::new().await;
    let provider = world.provider(|http| taped(http, &tape));

    let born = whole_with(|_| {});
    settle(&provider, &born, Goal::Present).await;
    let snapshot = seen(&provider, &born).await;
    let Credentials::Valid { account, principal, .. } = &snapshot.credentials else {
        unreachable!("the simulated Entra ID knows us: {:?}", snapshot.credentials)
    };
    assert_eq!(account, "33333333-3333-4333-8333-333333333333");
    assert!(
        principal.starts_with("application 22222222-2222-4222-8222-222222222222"),
        "{principal}"
    );
    let parts: Vec<&str> = snapshot.parts.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(parts, ["aksManagedAutoUpgradeSchedule", "default"]);

    let other = whole_with(changed);
    settle(&provider, &other, Goal::Present).await;
    let snapshot = seen(&provider, &other).await;
    assert_eq!(provider.diff(&other, &snapshot), []);
    let parts: Vec<&PartKey> = snapshot.parts.keys().collect();
    assert!(matches!(parts[..], [one] if one.name == "aksManagedAutoUpgradeSchedule"), "{parts:?}");

    let newer = whole_with(|spec| {
        changed(spec);
        spec["version"] = json!("1.35");
        spec["nodePools"][1]["imageUpdates"] = json!("InWindow");
    });
    settle(&provider, &newer, Goal::Present).await;
    let before = seen(&provider, &newer).await.pools[&pool("web")].present().cloned();
    world.sim.release_images().await.expect("a release");
    settle(&provider, &newer, Goal::Present).await;
    let snapshot = seen(&provider, &newer).await;
    assert!(snapshot.cluster.present().expect("there").version.starts_with("1.35."));
    let web = snapshot.pools[&pool("web")].present().expect("there");
    assert_eq!(web.phase, Phase::Active);
    assert!(web.version.starts_with("1.35."), "{}", web.version);
    assert!(web.release > before.expect("there").release, "{:?}", web.release);

    let replaced = whole_with(|spec| {
        changed(spec);
        spec["version"] = json!("1.35");
        for pool in spec["nodePools"].as_array_mut().expect("pools") {
            pool["aks"]["vmSize"] = json!("Standard_D16ds_v5");
        }
    });
    settle(&provider, &replaced, Goal::Present).await;
    let snapshot = seen(&provider, &replaced).await;
    let names: Vec<&str> = snapshot.pools.keys().map(PoolName::as_str).collect();
    assert!(
        matches!(names[..], [one, two] if one.starts_with("system") && two.starts_with("web")
            && one.len() == 12 && two.len() == 9),
        "{names:?}"
    );

    settle(&provider, &replaced, Goal::Absent).await;
    assert!(world.sim.inventory().await.is_empty(), "nothing leaks");
    judge(&tape);
}

/// Every call that the scenario must make: method and path below the cluster, names as `*`.
const EVERY_CALL: [&str; 18] = [
    "DELETE ",
    "DELETE /agentPools/*",
    "DELETE /maintenanceConfigurations/*",
    "GET ",
    "GET /agentPools",
    "GET /agentPools/*",
    "GET /agentPools/*/upgradeProfiles/default",
    "GET /maintenanceConfigurations",
    "GET /maintenanceConfigurations/*",
    "GET /upgradeProfiles/default",
    "GET operations/*",
    "PATCH ",
    "POST /agentPools/*/upgradeNodeImageVersion",
    "POST /listClusterUserCredential",
    "POST token",
    "PUT ",
    "PUT /agentPools/*",
    "PUT /maintenanceConfigurations/*",
];

fn call((method, path, _): &(String, String, Value)) -> String {
    let path = path.split('?').next().unwrap_or_default();
    if path.ends_with("/token") {
        return format!("{method} token");
    }
    if path.contains("/operations/") {
        return format!("{method} operations/*");
    }
    let below = path.split_once("/managedClusters/retail-we").map_or(path, |(_, below)| below);
    let mut parts: Vec<&str> = below.split('/').collect();
    let named =
        parts.get(1).is_some_and(|kind| ["agentPools", "maintenanceConfigurations"].contains(kind));
    if let (true, Some(name)) = (named, parts.get_mut(2)) {
        *name = "*";
    }
    format!("{method} {}", parts.join("/"))
}

/// Every call was made, the guide's role allows each, and every body is as Azure's contract has it.
fn judge(tape: &Tape) {
    let tape = tape.lock().expect("the tape");
    let sent: BTreeSet<String> = tape.iter().map(call).collect();
    let expected: BTreeSet<String> = EVERY_CALL.into_iter().map(str::to_owned).collect();
    assert_eq!(sent, expected);
    let sent: Vec<(String, String)> =
        tape.iter().map(|(method, path, _)| (method.clone(), path.clone())).collect();
    role::hold(&sent);
    let Some(judge) = Judge::there() else { return };
    for each in tape.iter().filter(|(method, _, _)| method == "PUT") {
        let resource = match call(each).as_str() {
            "PUT /agentPools/*" => Resource::Pool(pool("web")),
            "PUT /maintenanceConfigurations/*" => {
                let parts = whole_with(|_| {}).parts;
                Resource::Part(parts.first().expect("a part").key.clone())
            }
            _ => Resource::Cluster,
        };
        judge.hold(&resource, &each.2);
    }
}

#[tokio::test(start_paused = true)]
async fn an_existing_cluster_is_adopted_with_its_pools_and_then_kept() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let ours = desired();
    // Somebody made it by hand: the same requests without a tag of ours, with a property of tomorrow.
    let mut body = ours.body.clone();
    body["tags"] = json!({"Team": "retail"});
    for profile in body["properties"]["agentPoolProfiles"].as_array_mut().expect("profiles") {
        profile["tags"] = json!({});
    }
    let by = |action| {
        CloudStep::new(ours.address.clone(), Resource::Cluster, (ours.owner.clone(), 1), action, "")
    };
    provider.act(&access(), &by(CloudAction::Create { body })).await.expect("made");
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut body = ours.pools.iter().find(|p| p.name.as_str() == "web").expect("web").body.clone();
    body["properties"]["tags"] = json!({});
    let make =
        CloudStep { resource: Resource::Pool(pool("web")), ..by(CloudAction::Create { body }) };
    provider.act(&access(), &make).await.expect("made");
    tokio::time::sleep(Duration::from_secs(60)).await;

    let rules = Rules { adoption: Adoption::Existing, ..Rules::default() };
    settle_by(&provider, &ours, (Goal::Present, &rules)).await;
    let found = world.sim.inventory().await.remove(0);
    assert_eq!(found.tags["fleetwright.dev/uid"], "0001");
    assert!(found.nodegroups.iter().all(|pool| pool.tags["fleetwright.dev/uid"] == "0001"));

    // The object is made anew, with another uid: its predecessor's cluster is taken over when a person says so.
    let mut cluster = crate::support::parsed(cluster());
    cluster.metadata.uid = Some("0002".into());
    let owner = Owner { uid: Uid::new("0002").expect("a uid"), ..ours.owner.clone() };
    let account = serde_json::from_value(account()).expect("a ProviderConfig");
    let asked = fleetwright_provider::Asked { cluster: &cluster, account: &account, owner: &owner };
    let anew = provider.desire(asked).expect("no problems");
    let rules = Rules { take_over: Some(ours.owner.uid.clone()), ..Rules::default() };
    settle_by(&provider, &anew, (Goal::Present, &rules)).await;
    let found = world.sim.inventory().await.remove(0);
    assert_eq!(found.tags["fleetwright.dev/uid"], "0002");
    assert!(found.nodegroups.iter().all(|pool| pool.tags["fleetwright.dev/uid"] == "0002"));
}

#[tokio::test(start_paused = true)]
async fn drift_is_repaired_as_often_as_it_comes_back() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let desired = whole_with(|_| {});
    settle(&provider, &desired, Goal::Present).await;
    let name = desired.address.external_name.clone();
    for _ in 0..3 {
        let drift = [
            ("properties.apiServerAccessProfile.authorizedIPRanges", json!(["0.0.0.0/0"])),
            ("tags.team", json!("lost")),
            ("agentPools.web.properties.maxCount", json!(20)),
        ];
        for (path, value) in drift {
            world.sim.drift("westeurope", &name, path, value).await.expect(path);
        }
        let changes = provider.diff(&desired, &seen(&provider, &desired).await);
        assert_eq!(changes.len(), 3, "{changes:?}");
        settle(&provider, &desired, Goal::Present).await;
        assert_eq!(provider.diff(&desired, &seen(&provider, &desired).await), []);
    }
}

fn fault(kind: FaultKind, operation: Option<&str>) -> Fault {
    let cluster = Some(desired().address.external_name);
    Fault { kind, cluster, pool: None, operation: operation.map(str::to_owned), times: None }
}

#[tokio::test(start_paused = true)]
async fn a_pool_without_machines_says_what_is_missing_and_how_its_change_ended() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let desired = desired();
    settle(&provider, &desired, Goal::Present).await;
    world.sim.add_fault(fault(FaultKind::Capacity, None)).await.expect("set");
    let mut cluster = cluster();
    cluster["spec"]["nodePools"][1]["size"] = json!({"min": 6, "max": 10});
    let wider = desire(cluster, account()).expect("no problems");
    let snapshot = seen(&provider, &wider).await;
    let changes = provider.diff(&wider, &snapshot);
    let [change] = &changes[..] else { unreachable!("{changes:?}") };
    let fleetwright_plan::ChangeKind::Update(update) = &change.kind else {
        unreachable!("{change:?}")
    };
    let step = crate::support::step(change.resource.clone(), CloudAction::Update(update.clone()));
    provider.act(&access(), &step).await.expect("begun");
    let web = pool("web");
    let ended = |snapshot: &Snapshot| {
        let last = snapshot.pools[&web].present().and_then(|pool| pool.last_update.clone());
        last.is_some_and(|last| last.state != UpdateState::InProgress)
    };
    let snapshot = until(&provider, &wider, ended).await;
    let found = snapshot.pools[&web].present().expect("there");
    assert_eq!(found.phase, Phase::Active, "it works on");
    assert!(!found.trouble.is_empty(), "and says what is missing: {found:?}");
    let last = found.last_update.clone().expect("an update");
    assert_eq!((last.what, last.state), (update.what.clone(), UpdateState::Failed));
    assert_eq!(last.trouble, found.trouble, "both in Azure's words");
}

#[tokio::test(start_paused = true)]
async fn what_azure_throttles_or_denies_is_told() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    let desired = desired();
    settle(&provider, &desired, Goal::Present).await;
    for (kind, word) in [(FaultKind::Throttle, "429"), (FaultKind::Denied, "403")] {
        let reads = fault(kind, Some("ManagedClusters_Get"));
        world.sim.add_fault(reads).await.expect("set");
        let snapshot = seen(&provider, &desired).await;
        let fleetwright_plan::Seen::Unknown { why, .. } = &snapshot.cluster else {
            unreachable!("{snapshot:?}")
        };
        assert!(why.contains(word), "{why}");
        assert_eq!(snapshot.retry_after.is_some(), word == "429", "{snapshot:?}");
        world.sim.clear_faults(None).await.expect("cleared");
    }
}
