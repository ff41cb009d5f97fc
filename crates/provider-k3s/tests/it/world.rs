//! A world of simulated hosts in paused time, and the loop over it: look, differ, plan, act, until nothing is left to do.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleetwright_api_types::{ManagedCluster, ObservedHost, ProviderConfig};
use fleetwright_apiserver::{ApiServer, MemoryStore};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_cloudsim::{
    CloudSim, HostCall, HostError, Latencies, SSH_AUTHORITY, SSH_PRIVATE_KEY, Settings, SimSite,
};
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_plan::{
    DesiredCluster, Goal, Pace, Plan, Problem, Rules, Seen, Situation, Snapshot, Step, lint,
    plan_cluster,
};
use fleetwright_provider::{Access, Asked, MemberStream, Provider as _, Secret};
use fleetwright_provider_k3s::hosts::{Ended, HostWire, Output, Request, WireError};
use fleetwright_provider_k3s::release::Releases;
use fleetwright_provider_k3s::ssh::{Hosts, SshError, Way};
use fleetwright_provider_k3s::{DEFAULT_LIMITS, K3sProvider, K3sSettings};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

/// Tokio's paused time, as a wall clock.
#[derive(Debug)]
struct Paused(tokio::time::Instant);

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        let birth: Timestamp = "2026-11-23T01:00:00Z".parse().expect("a time");
        birth + self.0.elapsed()
    }
}

/// Hosts of the simulation; whoever asks is let in.
#[derive(Clone)]
struct SimHosts(CloudSim);

impl std::fmt::Debug for SimHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SimHosts")
    }
}

struct OnHost(CloudSim, String, u16);

#[async_trait]
impl Hosts for SimHosts {
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError> {
        let target = way.route.target();
        let wire = OnHost(self.0.clone(), target.host().to_owned(), target.port());
        let knock = wire.call("# fleetwright deed: knock {}\n", Bytes::new(), 15);
        match self.0.on_host(knock).await {
            Ok(_) => Ok(Arc::new(wire)),
            Err(error) => Err(SshError::Unreachable {
                hop: target.to_string(),
                source: io::Error::other(error.to_string()),
            }),
        }
    }

    async fn dial(&self, way: &Way, _: &str, _: u16) -> Result<Box<dyn MemberStream>, SshError> {
        // Where nobody is, nobody answers; elsewhere something is connected.
        if self.reach(way).await.is_err() {
            return std::future::pending().await;
        }
        Ok(Box::new(tokio::io::duplex(64).0))
    }
}

impl OnHost {
    fn call(&self, script: &str, payload: Bytes, timeout_s: u64) -> HostCall {
        HostCall {
            host: self.1.clone(),
            port: self.2,
            script: script.to_owned(),
            payload,
            timeout: Duration::from_secs(timeout_s),
        }
    }
}

#[async_trait]
impl HostWire for OnHost {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        let host = self.1.clone();
        let call =
            self.call(&request.script, request.payload.bytes(), request.timeout.as_secs().max(1));
        match self.0.on_host(call).await {
            Ok(done) => Ok(Output::new(Ended::Exit(done.status), done.stdout, done.stderr)),
            Err(HostError::TimedOut(_)) => {
                Err(WireError::TimedOut { host, after: request.timeout })
            }
            Err(error) => Err(WireError::Lost { host, why: error.to_string() }),
        }
    }
}

/// Simulated hosts, and one cluster that is declared on them.
pub(crate) struct World {
    pub(crate) sim: CloudSim,
    pub(crate) provider: K3sProvider,
    pub(crate) cluster: Value,
    pub(crate) rules: Rules,
    clock: Arc<dyn Clock>,
    noted: Vec<ObservedHost>,
    /// What went wrong while acting.
    pub(crate) errors: Vec<String>,
}

pub(crate) fn owner() -> Owner {
    Owner {
        hub: HubId::new("ab12").expect("hub"),
        object: ObjectKey::parse("edge/store-17"),
        uid: Uid::new("7-a").expect("uid"),
    }
}

/// `count` hosts `s1`… at `s1.example`….
pub(crate) fn hosts(prefix: &str, count: usize) -> Value {
    (1..=count)
        .map(|n| json!({"name": format!("{prefix}{n}"), "host": format!("{prefix}{n}.example")}))
        .collect()
}

pub(crate) fn declared(servers: usize, agents: usize) -> Value {
    let mut k3s = json!({"servers": hosts("s", servers), "agents": hosts("a", agents)});
    if servers > 1 {
        k3s["endpoint"] = json!({"host": "api.example"});
    }
    json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": "store-17", "namespace": "edge", "uid": "7-a", "generation": 1},
        "spec": {
            "version": "v1.34.2+k3s1", "providerConfigRef": {"name": "stores"}, "k3s": k3s
        }
    })
}

pub(crate) fn account() -> ProviderConfig {
    let account = json!({"metadata": {"name": "stores"}, "spec": {"ssh": {
        "identity": {"secretRef": {"name": "key"}},
        "hostKeys": {"authorities": [SSH_AUTHORITY]}
    }}});
    serde_json::from_value(account).expect("an account")
}

pub(crate) fn access() -> Access {
    let key = Secret::new(SSH_PRIVATE_KEY.to_owned());
    let text = |text: &str| Secret::new(text.to_owned());
    let registries = BTreeMap::from([("registries.yaml".to_owned(), text("mirrors: {}\n"))]);
    Access {
        account: Arc::new(account()),
        hub: owner().hub,
        namespace: "edge".into(),
        secret: Some(BTreeMap::from([("ssh-privatekey".to_owned(), key)])),
        own_secrets: BTreeMap::from([("registries".to_owned(), registries)]),
    }
}

impl World {
    pub(crate) async fn new(cluster: Value) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(Paused(tokio::time::Instant::now()));
        let ids = Arc::new(RandomIds::seeded(7));
        let store = Arc::new(MemoryStore::default());
        let api = ApiServer::open(store, Arc::clone(&clock), ids.clone()).await.expect("a server");
        let settings = Settings {
            latencies: Latencies::default(),
            public_url: "https://127.0.0.1:6443".into(),
            ca_pem: "-----BEGIN CERTIFICATE-----\n".into(),
        };
        let sim = CloudSim::open(api, Arc::clone(&clock), ids, settings).await.expect("a cloud");
        let releases = sim.releases().map_err(|never| match never {});
        let provider = K3sProvider::new(K3sSettings {
            hosts: Arc::new(SimHosts(sim.clone())),
            releases: Arc::new(Releases::new(BoxCloneSyncService::new(releases), None)),
            clock: Arc::clone(&clock),
            limits: DEFAULT_LIMITS,
        });
        let (rules, noted, errors) = (Rules::default(), Vec::new(), Vec::new());
        Self { sim, provider, cluster, rules, clock, noted, errors }
    }

    fn object(&self) -> ManagedCluster {
        let mut cluster: ManagedCluster =
            serde_json::from_value(self.cluster.clone()).expect("a cluster");
        cluster.status.get_or_insert_default().hosts = self.noted.clone();
        cluster
    }

    pub(crate) fn try_desire(&self) -> Result<DesiredCluster, Vec<Problem>> {
        let (cluster, account, owner) = (self.object(), account(), owner());
        self.provider.desire(Asked { cluster: &cluster, account: &account, owner: &owner })
    }

    pub(crate) fn desired(&self) -> DesiredCluster {
        self.try_desire().expect("no problems")
    }

    /// As the controllers do: declared hosts are noted, and forgotten when nothing is left of those that are not.
    fn take_note(&mut self, desired: &DesiredCluster, snapshot: Option<&Snapshot>) {
        for part in &desired.parts {
            let text = |key: &str| part.body[key].as_str().unwrap_or_default().to_owned();
            let port = part.body["port"].as_u64().and_then(|port| u16::try_from(port).ok());
            let host = ObservedHost {
                name: text("name"),
                role: text("role"),
                host: text("host"),
                port,
                phase: "Noted".into(),
                version: None,
            };
            self.noted.retain(|noted| noted.name != host.name);
            self.noted.push(host);
        }
        let gone = |name: &str| {
            snapshot.is_some_and(|snapshot| {
                let mut parts = snapshot.parts.iter();
                parts.any(|(key, seen)| key.name == name && matches!(seen, Seen::Absent))
            })
        };
        self.noted.retain(|noted| {
            desired.parts.iter().any(|part| part.key.name == noted.name) || !gone(&noted.name)
        });
        self.noted.sort_by(|one, other| one.name.cmp(&other.name));
    }

    pub(crate) async fn look(&self) -> Snapshot {
        let desired = self.desired();
        self.provider.observe(&access(), &desired.address, Some(&desired)).await
    }

    /// What would be done now.
    pub(crate) async fn plan(&mut self, goal: Goal) -> (Plan, Snapshot) {
        let desired = self.desired();
        self.take_note(&desired, None);
        let desired = self.desired();
        let present = goal == Goal::Present;
        let wanted = present.then_some(&desired);
        let snapshot = self.provider.observe(&access(), &desired.address, wanted).await;
        let changes = if present { self.provider.diff(&desired, &snapshot) } else { Vec::new() };
        let rules = Rules { cloud: self.provider.rules(), ..self.rules.clone() };
        let situation = Situation {
            goal,
            owner: &desired.owner,
            generation: desired.generation,
            address: &desired.address,
            snapshot: &snapshot,
            changes: &changes,
            tags: &desired.tags,
            pools: &BTreeMap::new(),
            rules: &rules,
            now: self.clock.now(),
            pace: Pace { busy: Duration::from_secs(5), idle: Duration::from_secs(60) },
        };
        let plan = plan_cluster(&situation);
        lint(&plan, &situation).expect("a sane plan");
        self.take_note(&desired, Some(&snapshot));
        (plan, snapshot)
    }

    /// One turn of the loop. Whether nothing is left to do.
    pub(crate) async fn turn(&mut self, goal: Goal) -> bool {
        let (plan, _) = self.plan(goal).await;
        for step in &plan.steps {
            let Step::Cloud(step) = step else { continue };
            if let Err(error) = self.provider.act(&access(), step).await {
                self.errors.push(error.to_string());
            }
            self.unharmed().await;
        }
        if plan.gone || plan.is_settled() {
            return true;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        false
    }

    /// What never may be, whatever we do.
    pub(crate) async fn unharmed(&self) {
        for SimSite { voters, voters_up, servers_down, .. } in self.sim.sites().await {
            let quorum = voters <= 2 || voters_up > voters / 2;
            assert!(quorum, "quorum: {voters_up} of {voters} are up, down: {servers_down:?}");
            assert!(servers_down.len() <= 1, "two servers are down at once: {servers_down:?}");
        }
        assert!(self.sim.sites().await.len() <= 1, "a cluster is begun once");
    }

    /// Turns until nothing is left to do.
    pub(crate) async fn settle(&mut self, goal: Goal) {
        for _ in 0..200 {
            if self.turn(goal).await {
                return;
            }
        }
        let (plan, _) = self.plan(goal).await;
        unreachable!("200 turns are over:\n{plan}\n{:#?}", self.errors);
    }

    pub(crate) async fn site(&self) -> SimSite {
        let mut sites = self.sim.sites().await;
        assert_eq!(sites.len(), 1, "one cluster");
        sites.remove(0)
    }

    /// Names and versions of all nodes.
    pub(crate) async fn nodes(&self) -> Vec<String> {
        let nodes = self.site().await.nodes;
        nodes.into_iter().map(|(name, version)| format!("{name} {version}")).collect()
    }

    pub(crate) fn k3s(&mut self) -> &mut Value {
        &mut self.cluster["spec"]["k3s"]
    }

    pub(crate) async fn drift(&self, host: &str, path: &str, value: Value) {
        let done = self.sim.drift("hosts", &format!("{host}.example"), path, value).await;
        done.expect("a drift");
    }
}
