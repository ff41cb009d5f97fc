//! A cluster's life on hosts with a real systemd and a real sshd, driven by the provider itself, in real time.
//!
//! `cargo xtask e2e --hosts nspawn` makes the hosts, names their folder in `FLEETWRIGHT_NSPAWN`, and runs this. K3s is the stand-in,
//! or, with `FLEETWRIGHT_NSPAWN_K3S=FILE`, a real binary, which is then not upgraded.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetwright_api_types::{ManagedCluster, ObservedHost, ProviderConfig};
use fleetwright_clock::{Clock as _, SystemClock};
use fleetwright_names::Owner;
use fleetwright_plan::{
    DesiredCluster, Goal, Pace, Rules, Seen, Situation, Snapshot, Step, lint, plan_cluster,
};
use fleetwright_provider::{Access, Asked, HttpOut, Provider as _, Secret};
use fleetwright_provider_k3s::hosts::{
    Answer, ClusterFacts, Digest, HostFacts, HostOp, Member, Payload, Request, perform,
};
use fleetwright_provider_k3s::release::Releases;
use fleetwright_provider_k3s::ssh::{
    Hop, HostKeys, Hosts as _, Identity, PoolLimits, Route, SshHosts, SshLimits, Way,
};
use fleetwright_provider_k3s::{DEFAULT_LIMITS, K3sProvider, K3sSettings};
use http::{Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::util::BoxCloneSyncService;

use super::support::{binary, owner};

const FIRST: &str = "v1.34.2+k3s1";
const NEXT: &str = "v1.35.0+k3s1";
/// For one phase; a machine with two processors that also compiles is slow.
const PATIENCE: Duration = Duration::from_secs(600);

/// One host, as the script that made it says.
#[derive(Debug, Clone)]
struct Host {
    address: String,
    key: String,
}

struct Site {
    provider: K3sProvider,
    pool: Arc<SshHosts>,
    hosts: BTreeMap<String, Host>,
    private: Secret,
    account: ProviderConfig,
    cluster: Value,
    noted: Vec<ObservedHost>,
    began: Instant,
}

/// A mirror with two releases: the stand-in, or a real binary as the first one.
fn mirror(real: Option<Vec<u8>>) -> HttpOut {
    BoxCloneSyncService::new(tower::service_fn(move |request: http::Request<Bytes>| {
        let path = request.uri().path().replace("%2B", "+");
        let version = path.split('/').rev().nth(1).unwrap_or_default().to_owned();
        let bytes = real.clone().unwrap_or_else(|| {
            binary(&version).stored().part(0, 1 << 24).expect("bytes").bytes().to_vec()
        });
        let range = request.headers().get("range").and_then(|range| range.to_str().ok());
        let answer = if path.contains("/sha256sum-") {
            Response::new(Bytes::from(format!("{}  k3s\n", Digest::of(&bytes))))
        } else if let Some((from, until)) =
            range.and_then(|range| range.trim_start_matches("bytes=").split_once('-'))
        {
            let from: usize = from.parse().expect("number");
            let until = until.parse::<usize>().expect("number").min(bytes.len() - 1);
            Response::builder()
                .status(StatusCode::PARTIAL_CONTENT)
                .header("content-range", format!("bytes {from}-{until}/{}", bytes.len()))
                .body(Bytes::from(bytes[from..=until].to_vec()))
                .expect("answer")
        } else {
            Response::new(Bytes::from(bytes))
        };
        async { Ok(answer) }
    }))
}

impl Site {
    fn open(folder: &std::path::Path, real: Option<Vec<u8>>) -> Self {
        let list = std::fs::read_to_string(folder.join("hosts")).expect("the list of hosts");
        let host = |line: &str| {
            let mut words = line.splitn(3, ' ').map(str::to_owned);
            let mut next = || words.next().expect("three words");
            (next(), Host { address: next(), key: next() })
        };
        let hosts: BTreeMap<String, Host> = list.lines().map(host).collect();
        let private = std::fs::read_to_string(folder.join("id")).expect("the key");
        let pinned: Vec<Value> =
            hosts.values().map(|host| json!({"host": host.address, "key": host.key})).collect();
        let account = json!({"metadata": {"name": "stores"}, "spec": {"ssh": {
            "identity": {"secretRef": {"name": "key"}}, "hostKeys": {"pinned": pinned}
        }}});
        let clock = Arc::new(SystemClock);
        let pool =
            Arc::new(SshHosts::new(clock.clone(), SshLimits::default(), PoolLimits::default()));
        let provider = K3sProvider::new(K3sSettings {
            hosts: pool.clone(),
            releases: Arc::new(Releases::new(mirror(real), None)),
            clock,
            limits: DEFAULT_LIMITS,
        });
        Self {
            provider,
            pool,
            hosts,
            private: Secret::new(private),
            account: serde_json::from_value(account).expect("an account"),
            cluster: json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
                "metadata": {"name": "store-17", "namespace": "edge", "uid": "7-a", "generation": 1},
                "spec": {"version": FIRST, "providerConfigRef": {"name": "stores"}, "k3s": {
                    "source": {"type": "Download", "mirrorUrl": "https://artifacts.example/k3s"}
                }}
            }),
            noted: Vec::new(),
            began: Instant::now(),
        }
    }

    fn say(&self, what: &str) {
        eprintln!("{:>4} s  {what}", self.began.elapsed().as_secs());
    }

    fn declare(&mut self, servers: &[&str], agents: &[&str]) {
        let list = |names: &[&str]| -> Value {
            let one = |name: &&str| {
                let address = &self.hosts[*name].address;
                json!({"name": name, "host": address, "nodeIp": address})
            };
            names.iter().map(one).collect()
        };
        let (first, servers, agents) =
            (self.hosts["s1"].address.clone(), list(servers), list(agents));
        let k3s = &mut self.cluster["spec"]["k3s"];
        k3s["endpoint"] = json!({"host": first});
        (k3s["servers"], k3s["agents"]) = (servers, agents);
        self.newer();
    }

    fn newer(&mut self) {
        let generation = &mut self.cluster["metadata"]["generation"];
        *generation = json!(generation.as_u64().expect("a number") + 1);
    }

    fn access(&self) -> Access {
        let key = BTreeMap::from([("ssh-privatekey".to_owned(), self.private.clone())]);
        Access {
            account: Arc::new(self.account.clone()),
            hub: owner("7-a").hub,
            namespace: "edge".into(),
            secret: Some(key),
            own_secrets: BTreeMap::new(),
        }
    }

    fn desired(&self) -> DesiredCluster {
        let mut cluster: ManagedCluster =
            serde_json::from_value(self.cluster.clone()).expect("a cluster");
        cluster.status.get_or_insert_default().hosts = self.noted.clone();
        let owner = owner("7-a");
        let asked = Asked { cluster: &cluster, account: &self.account, owner: &owner };
        self.provider.desire(asked).expect("no problems")
    }

    /// As the controllers do: hosts are noted before anything is done there, until nothing is left.
    fn take_note(&mut self, desired: &DesiredCluster, snapshot: Option<&Snapshot>) {
        let text = |body: &Value, key: &str| body[key].as_str().unwrap_or_default().to_owned();
        for part in &desired.parts {
            let name = text(&part.body, "name");
            self.noted.retain(|noted| noted.name != name);
            self.noted.push(ObservedHost {
                name,
                role: text(&part.body, "role"),
                host: text(&part.body, "host"),
                port: None,
                phase: "Noted".into(),
                version: None,
            });
        }
        let gone = |name: &str| {
            let parts = snapshot.map(|snapshot| &snapshot.parts);
            parts.is_some_and(|parts| {
                parts.iter().any(|(key, seen)| key.name == name && matches!(seen, Seen::Absent))
            })
        };
        let declared = |name: &str| desired.parts.iter().any(|part| part.key.name == name);
        self.noted.retain(|noted| declared(&noted.name) || !gone(&noted.name));
        self.noted.sort_by(|one, other| one.name.cmp(&other.name));
    }

    /// Looks, plans and acts until nothing is left to do; how many steps were done.
    async fn settle(&mut self, goal: Goal) -> usize {
        let until = Instant::now() + PATIENCE;
        let (mut done, mut said) = (0, String::new());
        while Instant::now() < until {
            let first = self.desired();
            self.take_note(&first, None);
            let desired = self.desired();
            let present = goal == Goal::Present;
            let wanted = present.then_some(&desired);
            let access = self.access();
            let snapshot = self.provider.observe(&access, &desired.address, wanted).await;
            let changes = if present { self.provider.diff(&desired, &snapshot) } else { vec![] };
            let rules = Rules { cloud: self.provider.rules(), ..Rules::default() };
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
                now: SystemClock.now(),
                pace: Pace { busy: Duration::from_secs(1), idle: Duration::from_secs(60) },
            };
            let plan = plan_cluster(&situation);
            lint(&plan, &situation).expect("a sane plan");
            self.take_note(&desired, Some(&snapshot));
            for step in &plan.steps {
                let Step::Cloud(step) = step else { continue };
                done += 1;
                let began = Instant::now();
                let ended = match self.provider.act(&access, step).await {
                    Ok(_) => "done".to_owned(),
                    Err(error) => error.to_string(),
                };
                let took = began.elapsed().as_secs_f32();
                self.say(&format!("{step}: {ended} ({took:.1} s)"));
            }
            if plan.gone || plan.is_settled() {
                return done;
            }
            let waits = plan.to_string().replace('\n', "; ");
            if plan.steps.is_empty() && waits != said {
                self.say(&format!("waiting: {waits}"));
                said = waits;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        unreachable!("it does not settle")
    }

    fn way(&self, name: &str) -> Way {
        let host = &self.hosts[name];
        let hop = Hop::new(&host.address, "root").expect("hop");
        let mut keys = HostKeys::default();
        keys.pin(&host.address, &host.key).expect("pinned");
        let route = Route::new(Vec::new(), hop).expect("route");
        Way { route, keys, identity: Identity::read(&self.private, None).expect("identity") }
    }

    async fn does(&self, name: &str, op: &HostOp) -> Answer {
        let wire = self.pool.reach(&self.way(name)).await.expect("reached");
        let owner: Owner = owner("7-a");
        perform(wire.as_ref(), op, &owner).await.expect("done")
    }

    async fn facts(&self, name: &str) -> HostFacts {
        match self.does(name, &HostOp::ReadFacts).await {
            Answer::Facts(facts) => *facts,
            other => panic!("{other:?}"),
        }
    }

    async fn cluster(&self, server: &str) -> ClusterFacts {
        match self.does(server, &HostOp::ReadCluster).await {
            Answer::Cluster(cluster) => *cluster,
            other => panic!("{other:?}"),
        }
    }

    /// A line of shell on a host, by somebody else than us.
    async fn stranger(&self, name: &str, line: &str) {
        let wire = self.pool.reach(&self.way(name)).await.expect("reached");
        let (what, script) = ("stranger".to_owned(), line.to_owned());
        let timeout = Duration::from_secs(120);
        // A reboot takes the connection with it.
        drop(wire.exec(&Request { what, script, payload: Payload::Nothing, timeout }).await);
    }

    /// Every node is ready, uncordoned and of this version; servers vote.
    async fn whole(&self, version: &str, names: &[&str]) {
        let cluster = self.cluster("s1").await;
        let seen: Vec<&str> = cluster.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(seen, names);
        for node in &cluster.nodes {
            let voter = node.etcd == Member::Voter;
            let right = node.ready && !node.unschedulable && node.in_turn.is_none();
            assert!(right && node.version == version, "{node:?}");
            assert_eq!(voter, node.name.starts_with('s'), "{node:?}");
        }
    }

    async fn clean(&self, name: &str) {
        let facts = self.facts(name).await;
        let nothing = facts.marker.is_none()
            && facts.binary.is_none()
            && facts.files.is_empty()
            && facts.data.is_empty()
            && facts.units.is_empty();
        assert!(nothing, "{name}: {facts:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs hosts: cargo xtask e2e --hosts nspawn"]
async fn a_cluster_lives_on_hosts_with_a_real_systemd() {
    let folder = PathBuf::from(std::env::var_os("FLEETWRIGHT_NSPAWN").expect("the hosts"));
    let real = std::env::var_os("FLEETWRIGHT_NSPAWN_K3S").map(PathBuf::from);
    let mut site = Site::open(&folder, real.as_ref().map(|path| std::fs::read(path).expect("k3s")));
    let mut version = FIRST.to_owned();
    if let Some(path) = &real {
        let said = Command::new(path).arg("--version").output().expect("it runs");
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        version = said.split_ascii_whitespace().nth(2).expect("a version").to_owned();
        site.cluster["spec"]["version"] = json!(version);
    }
    site.say("three servers and an agent are installed");
    site.declare(&["s1", "s2", "s3"], &["a1"]);
    site.settle(Goal::Present).await;
    site.whole(&version, &["a1", "s1", "s2", "s3"]).await;
    assert_eq!(site.settle(Goal::Present).await, 0, "what is whole stays as it is");
    if real.is_none() {
        site.say("they are upgraded in turn");
        site.cluster["spec"]["version"] = json!(NEXT);
        site.newer();
        site.settle(Goal::Present).await;
        NEXT.clone_into(&mut version);
        site.whole(&version, &["a1", "s1", "s2", "s3"]).await;
    }
    site.say("somebody stops one, changes another, and restarts a third");
    site.stranger("s2", "systemctl stop k3s").await;
    site.stranger("a1", "echo 'debug: true' >>/etc/rancher/k3s/config.yaml").await;
    site.stranger("s3", "systemctl reboot").await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(site.settle(Goal::Present).await > 0, "there was something to mend");
    site.whole(&version, &["a1", "s1", "s2", "s3"]).await;
    site.say("the agent goes");
    site.declare(&["s1", "s2", "s3"], &[]);
    site.settle(Goal::Present).await;
    site.whole(&version, &["s1", "s2", "s3"]).await;
    site.clean("a1").await;
    site.say("a server is replaced");
    site.declare(&["s1", "s2", "s4"], &[]);
    site.settle(Goal::Present).await;
    site.whole(&version, &["s1", "s2", "s4"]).await;
    site.clean("s3").await;
    site.say("everything goes");
    site.settle(Goal::Absent).await;
    for name in ["s1", "s2", "s3", "s4", "a1"] {
        site.clean(name).await;
    }
    site.say("nothing is left");
}
