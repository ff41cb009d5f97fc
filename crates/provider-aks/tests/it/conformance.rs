//! The suite that every provider passes, and a cluster's whole life, over the emulated Azure in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{ApiServer, MemoryStore};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_cloudsim::{
    AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID, CloudSim, Latencies, Settings,
};
use fleetwright_errclass::Class;
use fleetwright_names::PoolName;
use fleetwright_plan::{
    ChangeKind, CloudAction, DesiredCluster, Drain, Goal, Pace, Phase, PoolWay, Resource, Rules,
    Seen, Situation, Snapshot, Step, plan_cluster,
};
use fleetwright_provider::conformance::Trial;
use fleetwright_provider::{HttpOut, HttpOutError, Provider, Secret};
use fleetwright_provider_aks::{AksProvider, AksSettings, ClientSecret, DEFAULT_LIMITS, Source};
use http::Request;
use jiff::Timestamp;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::support::{access, address, desired, step};

/// Where the emulated Azure is.
pub(crate) const ENDPOINT: &str = "https://127.0.0.1:6443/cloud/azure";

/// Tokio's paused time, as a wall clock.
#[derive(Debug)]
struct Paused {
    start: tokio::time::Instant,
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let birth: Timestamp = "2026-11-23T01:00:00Z".parse().expect("a time");
        birth + self.start.elapsed()
    }
}

/// An emulated cloud, in paused time.
pub(crate) struct World {
    pub(crate) sim: CloudSim,
    clock: Arc<dyn Clock>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Paused { start: tokio::time::Instant::now() });
        let ids = Arc::new(RandomIds::seeded(7));
        let store = Arc::new(MemoryStore::default());
        let api = ApiServer::open(store, Arc::clone(&clock), ids.clone()).await.expect("a server");
        let settings = Settings {
            latencies: Latencies::default(),
            public_url: "https://127.0.0.1:6443".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".into(),
        };
        let sim = CloudSim::open(api, Arc::clone(&clock), ids, settings).await.expect("a cloud");
        Self { sim, clock }
    }

    /// The instant.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// A provider over this cloud, through `way`.
    pub(crate) fn provider(&self, way: impl FnOnce(HttpOut) -> HttpOut) -> AksProvider {
        provider_over(way(way_out(&self.sim)), AZURE_CLIENT_SECRET, &self.clock)
    }
}

async fn cloud() -> (CloudSim, AksProvider) {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    (world.sim, provider)
}

fn provider_over(http: HttpOut, secret: &str, clock: &Arc<dyn Clock>) -> AksProvider {
    AksProvider::new(AksSettings {
        http,
        credentials: Source::Fixed(ClientSecret {
            tenant_id: AZURE_TENANT_ID.into(),
            client_id: AZURE_CLIENT_ID.into(),
            client_secret: Secret::new(secret.into()),
        }),
        clock: Arc::clone(clock),
        endpoint: Some(ENDPOINT.into()),
        limits: DEFAULT_LIMITS,
    })
}

fn way_out(sim: &CloudSim) -> HttpOut {
    BoxCloneSyncService::new(sim.azure().map_err(|never| -> HttpOutError { match never {} }))
}

/// Looks until `there` holds, at most two simulated minutes.
pub(crate) async fn until(
    provider: &AksProvider,
    desired: &DesiredCluster,
    there: impl Fn(&Snapshot) -> bool,
) -> Snapshot {
    for _ in 0..120 {
        let snapshot = provider.observe(&access(), &desired.address, Some(desired)).await;
        if there(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    unreachable!(
        "two minutes are over, and the cloud is {:?}",
        provider.observe(&access(), &desired.address, Some(desired)).await
    )
}

pub(crate) fn active(snapshot: &Snapshot) -> bool {
    snapshot.cluster.present().is_some_and(|cluster| cluster.phase == Phase::Active)
}

#[tokio::test(start_paused = true)]
async fn the_conformance_suite() {
    let (sim, provider) = cloud().await;
    let desired = desired();
    let access = access();
    let trial = Trial { provider: &provider, access: &access, desired: &desired };
    trial.nothing_is_absent().await;
    trial.delete_of_nothing_succeeds().await;
    trial.create_is_seen_and_exclusive().await;
    trial.what_was_made_shows_no_difference().await;
    until(&provider, &desired, active).await;
    trial.what_was_made_shows_no_difference().await;
    trial.a_stranger_can_do_nothing().await;
    let mut changed = desired.clone();
    changed.body["sku"] = serde_json::json!({"name": "Base", "tier": "Free"});
    let trial = Trial { desired: &changed, ..trial };
    trial
        .an_update_makes_right_what_differs(async || {
            until(&provider, &desired, active).await;
        })
        .await;
    assert_eq!(sim.inventory().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_is_unknown_and_then_found() {
    let world = World::new().await;
    let (sim, provider) = (&world.sim, world.provider(|http| http));
    let azure = sim.azure();
    let lossy = tower::service_fn(move |request: Request<Bytes>| {
        let signs_in = request.uri().path().ends_with("/token");
        let answer = azure.clone().oneshot(request);
        async move {
            let answer = answer.await.map_err(|never| -> HttpOutError { match never {} })?;
            if signs_in {
                return Ok(answer);
            }
            Err(HttpOutError::Timeout(format!("lost {:?}", answer.status())))
        }
    });
    let cut_off = world.provider(|_| BoxCloneSyncService::new(lossy));
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    let error = cut_off.act(&access(), &create).await.expect_err("no answer");
    assert_eq!((error.class, error.code), (Class::Unknown, "Timeout"), "{error}");
    assert!(matches!(
        cut_off.observe(&access(), &address(), Some(&desired())).await.cluster,
        Seen::Unknown { .. }
    ));
    let error = provider.act(&access(), &create).await.expect_err("taken by ourselves");
    assert_eq!((error.class, error.code), (Class::Conflict, "AlreadyExists"), "{error}");
    settle(&provider, &desired(), Goal::Present).await;
    assert_eq!(sim.inventory().await.len(), 1, "found, and not made again");
}

/// One turn of what the loop does: look, differ, plan, act. True when there is nothing left to do.
async fn turn(
    provider: &AksProvider,
    desired: &DesiredCluster,
    (goal, rules): (Goal, &Rules),
) -> bool {
    let wanted = (goal == Goal::Present).then_some(desired);
    let mut snapshot = provider.observe(&access(), &desired.address, wanted).await;
    let changes =
        if goal == Goal::Present { provider.diff(desired, &snapshot) } else { Vec::new() };
    // Whatever is to be emptied is empty.
    let names: Vec<PoolName> = snapshot.pools.keys().cloned().collect();
    for name in names {
        let nodes = Drain { nodes: 1, cordoned: 1, ..Drain::default() };
        snapshot.member.drains.insert(name, nodes);
    }
    let pools = PoolWay::of(desired, &snapshot, |pool| provider.node_selector(pool));
    let rules = Rules { cloud: provider.rules(), ..rules.clone() };
    let situation = Situation {
        goal,
        owner: &desired.owner,
        generation: desired.generation,
        address: &desired.address,
        snapshot: &snapshot,
        changes: &changes,
        rules: &rules,
        pools: &pools,
        tags: &desired.tags,
        now: Timestamp::UNIX_EPOCH,
        pace: Pace { busy: Duration::from_secs(1), idle: Duration::from_secs(60) },
    };
    let plan = plan_cluster(&situation);
    fleetwright_plan::lint(&plan, &situation).expect("a sane plan");
    assert_eq!(plan.refused, [], "nothing is refused");
    for step in &plan.steps {
        let Step::Cloud(step) = step else { continue };
        provider.act(&access(), step).await.expect("the step is done");
    }
    tokio::time::sleep(plan.requeue.unwrap_or_default().min(Duration::from_secs(1))).await;
    plan.gone || plan.is_settled()
}

pub(crate) async fn settle(provider: &AksProvider, desired: &DesiredCluster, goal: Goal) {
    settle_by(provider, desired, (goal, &Rules::default())).await;
}

pub(crate) async fn settle_by(
    provider: &AksProvider,
    desired: &DesiredCluster,
    (goal, rules): (Goal, &Rules),
) {
    for _ in 0..400 {
        if turn(provider, desired, (goal, rules)).await {
            return;
        }
    }
    let snapshot = provider.observe(&access(), &desired.address, Some(desired)).await;
    unreachable!("400 turns are over: {:#?} of {snapshot:#?}", provider.diff(desired, &snapshot));
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_made_used_and_removed() {
    let (sim, provider) = cloud().await;
    let desired = desired();
    settle(&provider, &desired, Goal::Present).await;

    let snapshot = provider.observe(&access(), &desired.address, Some(&desired)).await;
    let cluster = snapshot.cluster.present().expect("made");
    assert_eq!(cluster.phase, Phase::Active);
    assert!(
        cluster.endpoint.as_deref().is_some_and(|url| url.starts_with("https://127.0.0.1:6443/"))
    );
    assert_eq!(cluster.certificate_authority.as_deref(), Some("-----BEGIN CERTIFICATE-----\n"));
    let Seen::Present(pool) = &snapshot.pools[&PoolName::new("web").expect("a name")] else {
        unreachable!("the pool is there")
    };
    assert_eq!((pool.phase, pool.size), (Phase::Active, 3));
    assert_eq!(provider.diff(&desired, &snapshot), []);

    let owned =
        provider.list_owned(&access(), &desired.address, &desired.owner.hub).await.expect("a list");
    let owned: Vec<String> =
        owned.iter().map(|owned| format!("{} {}", owned.address, owned.resource)).collect();
    let at = "aks:westeurope/33333333-3333-4333-8333-333333333333/rg-retail/retail-we";
    assert_eq!(
        owned,
        [format!("{at} control plane"), format!("{at} pool system"), format!("{at} pool web")]
    );

    settle(&provider, &desired, Goal::Absent).await;
    assert_eq!(
        provider.observe(&access(), &desired.address, Some(&desired)).await.cluster,
        Seen::Absent
    );
    assert!(sim.inventory().await.is_empty(), "nothing leaks");
}

#[tokio::test(start_paused = true)]
async fn the_members_api_takes_our_token_and_no_other() {
    let (sim, provider) = cloud().await;
    settle(&provider, &desired(), Goal::Present).await;
    let member = sim.member("westeurope", &desired().address.external_name).expect("a member");
    let token = provider.token(&access(), &desired().address).await.expect("a token").token;
    let forged = format!("{}x", token.expose());
    let mut answers = Vec::new();
    for bearer in [token.expose(), &forged] {
        let request = Request::get("/api/v1/nodes")
            .header("authorization", format!("Bearer {bearer}"))
            .body(http_body_util::Full::new(Bytes::new()))
            .expect("a request");
        let answer = member.service().oneshot(request).await.expect("an answer");
        answers.push(answer.status().as_u16());
    }
    assert_eq!(answers, [200, 401]);
}

#[tokio::test(start_paused = true)]
async fn a_released_cluster_lives_on_without_our_tags() {
    let (sim, provider) = cloud().await;
    let desired = desired();
    settle(&provider, &desired, Goal::Present).await;
    settle(&provider, &desired, Goal::Released).await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    let cluster = sim.inventory().await.remove(0);
    let released = BTreeMap::from([
        ("fleetwright.dev/released".to_owned(), "0001".to_owned()),
        ("team".to_owned(), "retail".to_owned()),
    ]);
    assert_eq!((cluster.status.as_str(), cluster.tags), ("Succeeded", released.clone()));
    // Which pool a successor stands for is no claim; whoever adopts the cluster again goes by it.
    for pool in &cluster.nodegroups {
        let mut of_pool = released.clone();
        of_pool.insert("fleetwright.dev/pool".into(), pool.name.clone());
        let kept = pool.tags.iter().filter(|(name, _)| !name.starts_with("aks-managed-"));
        let kept: BTreeMap<_, _> = kept.map(|(k, v)| (k.clone(), v.clone())).collect();
        assert_eq!(kept, of_pool);
    }
    let again = step(Resource::Cluster, CloudAction::Release);
    provider.act(&access(), &again).await.expect("released before");
    let error = provider
        .act(&access(), &step(Resource::Cluster, CloudAction::Delete))
        .await
        .expect_err("let go");
    assert_eq!((error.class, error.code), (Class::Refused, "NotOurs"));
    let owned =
        provider.list_owned(&access(), &desired.address, &desired.owner.hub).await.expect("a list");
    assert_eq!(owned, []);
}

#[tokio::test(start_paused = true)]
async fn an_undeclared_pool_is_deleted() {
    let (sim, provider) = cloud().await;
    let mut desired = desired();
    settle(&provider, &desired, Goal::Present).await;
    desired.pools.retain(|pool| pool.name.as_str() != "web");
    let snapshot = provider.observe(&access(), &desired.address, Some(&desired)).await;
    let changes = provider.diff(&desired, &snapshot);
    assert!(matches!(changes[..], [ref one] if one.kind == ChangeKind::Delete), "{changes:?}");
    settle(&provider, &desired, Goal::Present).await;
    let names: Vec<String> =
        sim.inventory().await[0].nodegroups.iter().map(|pool| pool.name.clone()).collect();
    assert_eq!(names, ["system"]);
}

#[tokio::test(start_paused = true)]
async fn a_wrong_secret_is_told_as_unauthorized() {
    let world = World::new().await;
    let provider = provider_over(way_out(&world.sim), "not-the-secret", &world.clock);
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    let error = provider.act(&access(), &create).await.expect_err("a wrong secret");
    assert_eq!((error.class, error.code), (Class::Refused, "Unauthorized"), "{error}");
    assert!(error.message.contains("AADSTS7000215"), "{error}");
}
