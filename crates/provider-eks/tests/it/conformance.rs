//! The suite that every provider passes, and a cluster's whole life, over the emulated EKS in this process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use fleetwright_apiserver::{ApiServer, MemoryStore};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_cloudsim::{ACCESS_KEY_ID, CloudSim, Latencies, SECRET_ACCESS_KEY, Settings};
use fleetwright_errclass::Class;
use fleetwright_names::PoolName;
use fleetwright_plan::{
    ChangeKind, CloudAction, CloudStep, Credentials as Known, DesiredCluster, Drain, Goal, Pace,
    Phase, PoolWay, Resource, Rules, Seen, Situation, Snapshot, Step, plan_cluster,
};
use fleetwright_provider::conformance::Trial;
use fleetwright_provider::{HttpOut, HttpOutError, Provider};
use fleetwright_provider_eks::{DEFAULT_LIMITS, EksProvider, EksSettings, Source};
use http::Request;
use jiff::Timestamp;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::support::{access, desired};

/// Tokio's paused time, as a wall clock.
#[derive(Debug)]
struct Paused {
    start: tokio::time::Instant,
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let birth: Timestamp = "2026-11-22T18:00:00Z".parse().expect("a time");
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

    /// A provider over this cloud, through `way`.
    pub(crate) fn provider(&self, way: impl FnOnce(HttpOut) -> HttpOut) -> EksProvider {
        provider_over(way(way_out(&self.sim)), SECRET_ACCESS_KEY, &self.clock)
    }
}

async fn cloud() -> (CloudSim, EksProvider) {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    (world.sim, provider)
}

fn provider_over(http: HttpOut, secret: &str, clock: &Arc<dyn Clock>) -> EksProvider {
    let keys = Credentials::new(ACCESS_KEY_ID, secret, None, None, "simulated");
    provider_with(http, keys, clock)
}

fn provider_with(http: HttpOut, keys: Credentials, clock: &Arc<dyn Clock>) -> EksProvider {
    EksProvider::new(EksSettings {
        http,
        credentials: Source::Fixed(SharedCredentialsProvider::new(keys)),
        clock: Arc::clone(clock),
        endpoint: Some("https://127.0.0.1:6443/cloud/aws".into()),
        limits: DEFAULT_LIMITS,
    })
}

fn way_out(sim: &CloudSim) -> HttpOut {
    BoxCloneSyncService::new(sim.eks().map_err(|never| -> HttpOutError { match never {} }))
}

fn step(resource: Resource, action: CloudAction) -> CloudStep {
    let desired = desired();
    CloudStep::new(desired.address, resource, (desired.owner, desired.generation), action, "")
}

/// Looks until `there` holds, at most a simulated minute.
async fn until(provider: &EksProvider, there: impl Fn(&Snapshot) -> bool) -> Snapshot {
    for _ in 0..60 {
        let snapshot = provider.observe(&access(), &desired().address, Some(&desired())).await;
        if there(&snapshot) {
            return snapshot;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    unreachable!(
        "a minute is over, and the cloud is {:?}",
        provider.observe(&access(), &desired().address, Some(&desired())).await
    )
}

fn active(snapshot: &Snapshot) -> bool {
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
    until(&provider, active).await;
    trial.what_was_made_shows_no_difference().await;
    trial.a_stranger_can_do_nothing().await;
    let mut changed = desired.clone();
    changed.body["upgradePolicy"] = serde_json::json!({"supportType": "STANDARD"});
    let trial = Trial { desired: &changed, ..trial };
    trial
        .an_update_makes_right_what_differs(async || {
            until(&provider, active).await;
        })
        .await;
    assert_eq!(sim.inventory().await.len(), 1);
    let trial = Trial { desired: &desired, ..trial };
    trial.what_is_ours_is_listed().await;
    trial
        .what_is_let_go_may_be_claimed_again(async || {
            until(&provider, active).await;
        })
        .await;
    trial
        .what_is_deleted_goes(async || {
            until(&provider, |snapshot| snapshot.cluster == Seen::Absent).await;
        })
        .await;
    assert_eq!(sim.inventory().await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_same_step_twice_makes_one_cluster() {
    let (sim, provider) = cloud().await;
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    provider.act(&access(), &create).await.expect("made");
    provider.act(&access(), &create).await.expect("the same token gives the same cluster");
    assert_eq!(sim.inventory().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_create_whose_answer_is_lost_is_unknown_and_then_found() {
    let world = World::new().await;
    let (sim, provider) = (&world.sim, world.provider(|http| http));
    let eks = sim.eks();
    let lossy = tower::service_fn(move |request: Request<Bytes>| {
        let answer = eks.clone().oneshot(request);
        async move {
            let lost = answer.await.map(|answer| answer.status());
            Err(HttpOutError::Timeout(format!("lost {lost:?}")))
        }
    });
    let cut_off = world.provider(|_| BoxCloneSyncService::new(lossy));
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    let error = cut_off.act(&access(), &create).await.expect_err("no answer");
    assert_eq!((error.class, error.code), (Class::Unknown, "Timeout"), "{error}");
    assert!(matches!(
        cut_off.observe(&access(), &desired().address, Some(&desired())).await.cluster,
        Seen::Unknown { .. }
    ));
    settle(&provider, &desired(), Goal::Present).await;
    let creates = sim.calls()["CreateCluster"];
    assert_eq!((creates, sim.inventory().await.len()), (1, 1), "found, and not made again");
}

/// One turn of what the loop does: look, differ, plan, act. True when there is nothing left to do.
async fn turn(
    provider: &EksProvider,
    desired: &DesiredCluster,
    (goal, rules): (Goal, &Rules),
) -> bool {
    let mut snapshot = provider.observe(&access(), &desired.address, Some(desired)).await;
    let changes = provider.diff(desired, &snapshot);
    // Whatever is to be emptied is empty.
    let names: Vec<PoolName> = snapshot.pools.keys().cloned().collect();
    for name in names {
        let nodes = Drain { nodes: 1, cordoned: 1, ..Drain::default() };
        snapshot.member.drains.insert(name, nodes);
    }
    let pools = PoolWay::of(desired, &snapshot, |pool| provider.node_selector(pool));
    let situation = Situation {
        goal,
        owner: &desired.owner,
        generation: desired.generation,
        address: &desired.address,
        snapshot: &snapshot,
        changes: &changes,
        rules,
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

pub(crate) async fn settle(provider: &EksProvider, desired: &DesiredCluster, goal: Goal) {
    settle_by(provider, desired, (goal, &Rules::default())).await;
}

pub(crate) async fn settle_by(
    provider: &EksProvider,
    desired: &DesiredCluster,
    (goal, rules): (Goal, &Rules),
) {
    for _ in 0..400 {
        if turn(provider, desired, (goal, rules)).await {
            return;
        }
    }
    let snapshot = provider.observe(&access(), &desired.address, Some(desired)).await;
    unreachable!("400 turns are over: {:?}", provider.diff(desired, &snapshot));
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
    let Seen::Present(pool) = &snapshot.pools[&PoolName::new("general").expect("a name")] else {
        unreachable!("the pool is there")
    };
    assert_eq!((pool.phase, pool.size), (Phase::Active, 4));
    assert_eq!(provider.diff(&desired, &snapshot), []);

    let owned =
        provider.list_owned(&access(), &desired.address, &desired.owner.hub).await.expect("a list");
    let owned: Vec<String> =
        owned.iter().map(|owned| format!("{} {}", owned.address, owned.resource)).collect();
    assert_eq!(
        owned,
        ["eks:eu-west-1/payments-eu-01 control plane", "eks:eu-west-1/payments-eu-01 pool general"]
    );

    settle(&provider, &desired, Goal::Absent).await;
    assert_eq!(
        provider.observe(&access(), &desired.address, Some(&desired)).await.cluster,
        Seen::Absent
    );
    assert!(sim.inventory().await.is_empty(), "nothing leaks");
}

/// The same token, but that it says it was made a second later.
fn forged(token: &str) -> String {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let encoded = token.strip_prefix("k8s-aws-v1.").expect("the prefix");
    let url = URL_SAFE_NO_PAD.decode(encoded).expect("base64");
    let url = String::from_utf8(url).expect("text");
    let at = url.find("X-Amz-Expires=60").expect("what is signed");
    let other = format!("{}X-Amz-Expires=61{}", &url[..at], &url[at + "X-Amz-Expires=60".len()..]);
    format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(other))
}

#[tokio::test(start_paused = true)]
async fn the_members_api_takes_our_token_and_no_other() {
    let (sim, provider) = cloud().await;
    settle(&provider, &desired(), Goal::Present).await;
    let member = sim.member("eu-west-1", "payments-eu-01").expect("a member");
    let mut other = desired().address;
    other.external_name = "somebody-else".into();
    let mut answers = BTreeMap::new();
    for (whose, address) in [("ours", desired().address), ("another cluster's", other)] {
        let token = provider.token(&access(), &address).await.expect("a token").token;
        let request = Request::get("/api/v1/nodes")
            .header("authorization", format!("Bearer {}", token.expose()))
            .body(http_body_util::Full::new(Bytes::new()))
            .expect("a request");
        let answer = member.service().oneshot(request).await.expect("an answer");
        answers.insert(whose, answer.status().as_u16());
        let forged = forged(token.expose());
        let request = Request::get("/api/v1/nodes")
            .header("authorization", format!("Bearer {forged}"))
            .body(http_body_util::Full::new(Bytes::new()))
            .expect("a request");
        let answer = member.service().oneshot(request).await.expect("an answer");
        answers.insert("a forged one", answer.status().as_u16());
    }
    let expected = [("a forged one", 401), ("another cluster's", 401), ("ours", 200)];
    assert_eq!(answers, BTreeMap::from(expected));
}

#[tokio::test(start_paused = true)]
async fn a_released_cluster_lives_on_without_our_tags() {
    let (sim, provider) = cloud().await;
    let desired = desired();
    settle(&provider, &desired, Goal::Present).await;
    settle(&provider, &desired, Goal::Released).await;
    let cluster = sim.inventory().await.remove(0);
    let released = BTreeMap::from([
        ("fleetwright.dev/released".to_owned(), "0001".to_owned()),
        ("team".to_owned(), "payments".to_owned()),
    ]);
    assert_eq!((cluster.status.as_str(), cluster.tags), ("ACTIVE", released.clone()));
    // Which pool a successor stands for is no claim; whoever adopts the cluster again goes by it.
    let mut of_pool = released;
    of_pool.insert("fleetwright.dev/pool".into(), "general".into());
    assert_eq!(cluster.nodegroups[0].tags, of_pool);
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
    desired.pools.clear();
    let snapshot = provider.observe(&access(), &desired.address, Some(&desired)).await;
    let changes = provider.diff(&desired, &snapshot);
    assert!(matches!(changes[..], [ref one] if one.kind == ChangeKind::Delete), "{changes:?}");
    settle(&provider, &desired, Goal::Present).await;
    assert_eq!(sim.inventory().await[0].nodegroups, []);
}

#[tokio::test(start_paused = true)]
async fn wrong_keys_are_told_as_unauthorized() {
    let world = World::new().await;
    let provider = provider_over(way_out(&world.sim), "not-the-secret", &world.clock);
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    let error = provider.act(&access(), &create).await.expect_err("a bad signature");
    assert_eq!((error.class, error.code), (Class::Refused, "Unauthorized"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_nobody_renews_are_told_shortly_before_they_end() {
    let world = World::new().await;
    let end = world.clock.now() + Duration::from_secs(600);
    let end = Timestamp::from_second(end.as_second()).expect("whole seconds");
    let (id, secret, until) = (ACCESS_KEY_ID, SECRET_ACCESS_KEY, Some(end.into()));
    let keys = Credentials::new(id, secret, None, until, "simulated");
    let provider = provider_with(way_out(&world.sim), keys, &world.clock);
    let mut told = Vec::new();
    for _ in 0..3 {
        let snapshot = provider.observe(&access(), &desired().address, None).await;
        let Known::Valid { expires_at, .. } = snapshot.credentials else {
            unreachable!("they are good: {:?}", snapshot.credentials)
        };
        told.push(expires_at);
        tokio::time::sleep(Duration::from_secs(200)).await;
    }
    assert_eq!(told, [None, None, Some(end)], "at 0, 200 and 400 seconds of 600");
}
