//! `fleetwright run --simulate` against an API server of somebody else, over TLS.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{
    ApiServer, Authority, ClusterSpec, Identity, LogicalCluster, MemoryStore, ResourceRef, Scheme,
    StaticTokens, serve,
};
use fleetwright_clock::{Clock, RandomIds, SystemClock};
use fleetwright_verbs::{apply, hub_scheme, manifest};
use kube::Client;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::fixture::{User, example_text};

const LEASES: ResourceRef = ResourceRef::new("coordination.k8s.io", "v1", "leases");
const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");
const CLUSTERS: ResourceRef = ResourceRef::new("fleetwright.dev", "v1alpha1", "managedclusters");
const EXAMPLE: [&str; 7] = [
    "10-account.yaml",
    "11-azure-account.yaml",
    "12-hosts-account.yaml",
    "20-clusters.yaml",
    "21-aks-cluster.yaml",
    "22-k3s-cluster.yaml",
    "30-policy.yaml",
];
const TOKEN: &str = "the-administrators-token";
/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(90);

/// Somebody's API server.
struct Server {
    hub: LogicalCluster,
    kubeconfig: String,
}

impl Server {
    async fn start(user: &User, scheme: Scheme) -> Self {
        use base64::Engine as _;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids = Arc::new(RandomIds::seeded(1));
        let api = ApiServer::open(Arc::new(MemoryStore::new()), Arc::clone(&clock), ids).await;
        let api = api.expect("a server");
        let spec = ClusterSpec {
            name: "hub".into(),
            scheme: Arc::new(scheme),
            authenticator: Arc::new(StaticTokens::new().with(TOKEN, Identity::system("admin"))),
            version: "v1.34.0-test".into(),
        };
        let hub = api.add_cluster(spec).await.expect("a cluster");
        std::fs::create_dir(user.path("pki")).expect("a folder");
        let authority = Authority::load_or_create(&user.path("pki"), clock.as_ref()).expect("one");
        let tls = authority.server_config(&["127.0.0.1".into()], clock.as_ref()).expect("TLS");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(serve(listener, tls, api.router("hub"), std::future::pending()));
        let ca = base64::engine::general_purpose::STANDARD.encode(authority.ca_pem());
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "a",
            "clusters": [{"name": "a", "cluster": {
                "server": format!("https://{address}"), "certificate-authority-data": ca,
            }}],
            "users": [{"name": "a", "user": {"token": TOKEN}}],
            "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        });
        Self { hub, kubeconfig: user.file("hub.yaml", &kubeconfig.to_string()) }
    }

    async fn lease(&self) -> Option<Value> {
        let found = self.hub.get(&LEASES, Some("fleetwright-system"), "fleetwright").await;
        found.map(|lease| Value::clone(&lease))
    }

    async fn holder(&self) -> String {
        let lease = self.lease().await.unwrap_or_default();
        lease["spec"]["holderIdentity"].as_str().unwrap_or_default().to_owned()
    }

    async fn apply_example(&self) {
        let client = Client::new(self.hub.service_as(Identity::system("user")), "default");
        let mut manifests = Vec::new();
        for name in EXAMPLE {
            manifests.extend(manifest::parse(name, &example_text(name)).expect(name));
        }
        apply::apply(&client, &hub_scheme().expect("a scheme"), &manifests).await.expect("applied");
    }

    /// `True` once all clusters are Ready.
    async fn all_ready(&self) -> bool {
        let clusters = self.hub.list(&CLUSTERS, None).await;
        let is_ready = |cluster: &Arc<Value>| {
            let conditions =
                cluster["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
        };
        clusters.len() == 4 && clusters.iter().all(is_ready)
    }
}

/// A `run` that ends with this value.
struct Running {
    child: Child,
    metrics: SocketAddr,
}

impl Running {
    async fn start(user: &User, server: &Server, name: &str, more: &[&str]) -> Self {
        let mut args = vec!["run", "--kubeconfig", &server.kubeconfig, "--identity", name];
        args.extend(["--metrics-listen", "127.0.0.1:0"]);
        args.extend(more);
        let (stdout, stderr) = (user.path(name), user.path(&format!("{name}.err")));
        let file = |path| std::fs::File::create(path).expect("created");
        let mut command = user.command(&args);
        // Nobody is behind this proxy; a hub on this machine is excepted from it.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("NO_PROXY", "127.0.0.1");
        let child = command.stdout(file(&stdout)).stderr(file(&stderr)).spawn().expect("started");
        let said = || std::fs::read_to_string(&stdout).expect("readable");
        until("the first line", async || said().contains("metrics http://")).await;
        let metrics = said();
        let (_, metrics) = metrics.split_once("metrics http://").expect("an address");
        let (metrics, _) = metrics.split_once('/').expect("an address");
        Self { child, metrics: metrics.parse().expect("an address") }
    }

    async fn get(&self, path: &str) -> String {
        let mut stream = TcpStream::connect(self.metrics).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut text = String::new();
        stream.read_to_string(&mut text).await.expect("an answer");
        text
    }

    async fn end(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).stdin(Stdio::null()).status();
        assert!(sent.expect("kill").success());
        let mut code = None;
        until("the end of the program", async || {
            code = self.child.try_wait().expect("a child");
            code.is_some()
        })
        .await;
        code.and_then(|status| status.code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in the usual case; then there is nothing to kill.
        if self.child.kill().is_ok() {
            self.child.wait().expect("ended");
        }
    }
}

async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
    let looking = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let in_time = tokio::time::timeout(LIMIT, looking).await.is_ok();
    assert!(in_time, "not in {LIMIT:?}: {what}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_on_anybodys_api_server_gets_ready_and_the_next_process_takes_over() {
    let user = User::new();
    let server = Server::start(&user, hub_scheme().expect("a scheme")).await;
    let data = user.path("clouds").to_str().expect("UTF-8").to_owned();
    let clouds = ["--simulate", "--data", &data];
    let first = Running::start(&user, &server, "first", &clouds).await;
    until("first leads", async || server.holder().await.starts_with("first_")).await;
    server.apply_example().await;
    until("all are Ready", async || server.all_ready().await).await;
    assert!(first.get("/readyz").await.starts_with("HTTP/1.1 200 OK"));
    let metrics = first.get("/metrics").await;
    for line in [
        "fleetwright_leader 1",
        "fleetwright_reconcile_total{controller=\"managed-cluster\",result=\"ok\"} ",
        "fleetwright_reconcile_queue_depth{controller=\"managed-cluster\"} 0",
        "fleetwright_reconcile_steps_total{controller=\"managed-cluster\",step=\"CreateRequested\"} ",
    ] {
        assert!(metrics.contains(line), "no {line} in {metrics}");
    }

    let simulation = async || {
        let name = (Some("fleetwright-system"), "simulation");
        let map = server.hub.get(&CONFIG_MAPS, name.0, name.1).await;
        map.expect("`fleetwright plan` finds the simulated clouds")["data"].clone()
    };
    let told = simulation().await;
    assert_eq!(first.end("-TERM").await, Some(0));
    assert_eq!(server.holder().await, "", "the lease was given back");
    let second = Running::start(&user, &server, "second", &clouds).await;
    until("second leads", async || server.holder().await.starts_with("second_")).await;
    let third = Running::start(&user, &server, "third", &["--simulate"]).await;
    assert!(third.get("/metrics").await.contains("fleetwright_leader 0"));
    assert_eq!(third.end("-TERM").await, Some(0), "who stands by ends as well");
    assert_eq!(simulation().await, told, "and its clouds were never anybody's");
    assert!(server.holder().await.starts_with("second_"));
    assert_eq!(second.end("-TERM").await, Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_api_server_without_our_kinds_is_told_what_it_lacks() {
    let user = User::new();
    let server = Server::start(&user, Scheme::builtin()).await;
    let ran = user.run(&["run", "--simulate", "--kubeconfig", &server.kubeconfig]).expect(1);
    let expected = "does not serve clusterpolicies.fleetwright.dev, managedclusters.fleetwright.dev, \
        providerconfigs.fleetwright.dev (v1alpha1); install them: kubectl apply -f api/crds";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fleet_that_was_born_real_is_not_simulated() {
    let user = User::new();
    let server = Server::start(&user, hub_scheme().expect("a scheme")).await;
    let system = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "fleetwright-system"}});
    let namespaces = ResourceRef::new("", "v1", "namespaces");
    server.hub.put(&namespaces, system).await.expect("a namespace");
    let world = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "data": {"born": "real"},
        "metadata": {"namespace": "fleetwright-system", "name": "world"},
    });
    server.hub.put(&CONFIG_MAPS, world).await.expect("a mark");
    let ran = user.run(&["run", "--simulate", "--kubeconfig", &server.kubeconfig]).expect(1);
    let expected = "was born real (configmap fleetwright-system/world) and cannot become simulated; run without --simulate";
    assert!(ran.stderr().contains(expected), "{}", ran.stderr());
}

#[test]
fn without_an_api_server_it_says_how_to_name_one() {
    let ran = User::new().run(&["run", "--simulate"]).expect(1);
    assert!(
        ran.stderr().contains("no API server: name one with --kubeconfig FILE or KUBECONFIG"),
        "{}",
        ran.stderr()
    );
}
