//! kubectl, over TLS: somebody else's client is the judge.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{Authority, LogicalCluster, Router, serve};
use fleetwright_clock::SystemClock;
use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::oneshot;

use crate::support::{TOKEN, add, in_memory};

/// Every command must end within this.
const PATIENCE: Duration = Duration::from_secs(60);

fn kubectl_path() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::var_os("FLEETWRIGHT_KUBECTL")
        .map(PathBuf::from)
        .into_iter()
        .chain([workspace.join(".tools/python/bin/kubectl")])
        .chain(std::env::split_paths(&on_path).map(|dir| dir.join("kubectl")))
        .find(|path| path.is_file());
    found.expect("no kubectl: run `cargo xtask test`, which installs one into .tools")
}

/// A server on a free port of this machine, with a kubeconfig for it.
pub(crate) struct Served {
    pub(crate) dir: TempDir,
    pub(crate) cluster: LogicalCluster,
    authority: Authority,
    address: std::net::SocketAddr,
    _stop: oneshot::Sender<()>,
}

impl Served {
    pub(crate) async fn start() -> Self {
        let (server, cluster) = in_memory().await;
        add(&server, "member").await;
        Self::with_router(server.router("hub"), cluster).await
    }

    async fn with_router(router: Router, cluster: LogicalCluster) -> Self {
        let dir = tempfile::tempdir().expect("temporary folder");
        let authority = Authority::load_or_create(dir.path(), &SystemClock).expect("authority");
        let tls = authority.server_config(&[], &SystemClock).expect("certificate");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        tokio::spawn(serve(listener, tls, router, async move {
            stopped.await.ok();
        }));
        for (file, path) in [("kubeconfig", ""), ("member", "/clusters/member")] {
            let config = json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "clusters": [{"name": "c", "cluster": {
                    "server": format!("https://{address}{path}"),
                    "certificate-authority": dir.path().join("ca.crt"),
                }}],
                "users": [{"name": "u", "user": {"token": TOKEN}}],
                "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            });
            std::fs::write(dir.path().join(file), config.to_string()).expect("written");
        }
        Self { dir, cluster, authority, address, _stop: stop }
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        // An underscore stands for a blank within one word.
        let words = line.split_whitespace().map(|word| word.replace("_*", " *"));
        let mut command = Command::new(kubectl_path());
        command
            .args(words)
            .env("KUBECONFIG", self.dir.path().join("kubeconfig"))
            .env("KUBECACHEDIR", self.dir.path().join("cache"))
            .env("HOME", self.dir.path())
            .current_dir(self.dir.path())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    /// What it prints, and whether it succeeded.
    pub(crate) async fn run(&self, line: &str) -> (bool, String) {
        let output = tokio::time::timeout(PATIENCE, self.command(line).output()).await;
        let output = output.expect("ends in time").expect("kubectl starts");
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    pub(crate) async fn ok(&self, line: &str) -> String {
        let (success, text) = self.run(line).await;
        assert!(success, "kubectl {line}\n{text}");
        text
    }

    pub(crate) fn write(&self, file: &str, size: i64) {
        let text = format!(
            "apiVersion: test.fleetwright.dev/v1\nkind: Widget\nmetadata:\n  name: a\n\
             spec:\n  size: {size}\n"
        );
        std::fs::write(self.dir.path().join(file), text).expect("written");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_widget_from_apply_to_delete() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    assert_eq!(served.ok("apply -f widget.yaml").await, "widget.test.fleetwright.dev/a created\n");
    assert_eq!(
        served.ok("apply -f widget.yaml").await,
        "widget.test.fleetwright.dev/a unchanged\n"
    );
    served.write("widget.yaml", 4);
    assert_eq!(
        served.ok("apply -f widget.yaml").await,
        "widget.test.fleetwright.dev/a configured\n"
    );

    let yaml = served.ok("get widget a -o yaml").await;
    assert!(yaml.contains("kind: Widget") && yaml.contains("size: 4"), "{yaml}");
    assert!(yaml.contains("generation: 2"), "{yaml}");

    served.ok("label wd a tier=web").await;
    served.ok("annotate wd a note=seen").await;
    assert_eq!(served.ok("get wd -l tier=web -o name").await, "widget.test.fleetwright.dev/a\n");
    assert_eq!(served.ok("get wd -l tier=db -o name").await, "");
    served
        .ok(r#"patch wd a --type=json -p [{"op":"replace","path":"/spec/size","value":5}]"#)
        .await;
    let status = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]}}"#;
    served.ok(&format!("patch wd a --subresource=status --type=merge -p {status}")).await;
    served.ok("wait --for=condition=Ready wd/a --timeout=20s").await;

    let table = served.ok("get test").await;
    let cells: Vec<Vec<&str>> =
        table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(cells[0], ["NAME", "SIZE", "READY", "AGE"], "{table}");
    assert_eq!(cells[1][..3], ["a", "5", "True"], "{table}");

    let described = served.ok("describe wd a").await;
    assert!(described.contains("Size:") && described.contains("Events:"), "{described}");

    served.ok("delete wd a --timeout=20s").await;
    let (success, text) = served.run("get wd a").await;
    assert!(!success);
    assert!(text.contains(r#"(NotFound): widgets.test.fleetwright.dev "a" not found"#), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_the_server_reach_the_user() {
    let served = Served::start().await;
    served.write("widget.yaml", 0);
    let (success, text) = served.run("apply -f widget.yaml").await;
    assert!(!success);
    assert!(text.contains("spec.size"), "{text}");

    let (success, text) = served.run("get widgets --token=wrong").await;
    assert!(!success);
    assert!(text.contains("must be logged in") || text.contains("Unauthorized"), "{text}");

    served.write("widget.yaml", 1);
    served.ok("apply -f widget.yaml").await;
    let (success, text) = served.run("patch wd a --type=strategic -p {}").await;
    assert!(!success);
    assert!(text.contains("media type"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kubectl_has_listed_it_can_apply_again() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    served.ok("apply -f widget.yaml").await;
    let listed = served.ok("get widgets -o json").await;
    std::fs::write(served.dir.path().join("list.json"), listed).expect("written");
    let again = served.ok("apply -f list.json").await;
    assert_eq!(again, "widget.test.fleetwright.dev/a configured\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watching_kubectl_sees_changes_as_rows() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    served.ok("apply -f widget.yaml").await;
    let mut watching = served.command("get wd -w").stdout(Stdio::piped()).spawn().expect("starts");
    let mut lines = BufReader::new(watching.stdout.take().expect("piped")).lines();
    let mut next = async || {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("in time");
        let line = line.expect("readable").expect("not ended");
        line.split_whitespace().take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(next().await, ["NAME", "SIZE"]);
    assert_eq!(next().await, ["a", "3"]);
    served.ok(r#"patch wd a --type=merge -p {"spec":{"size":8}}"#).await;
    assert_eq!(next().await, ["a", "8"]);
    served.ok("delete wd a").await;
    assert_eq!(next().await, ["a", "8"]);
    watching.kill().await.expect("killed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delete_waits_for_the_finalizer() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    served.ok("apply -f widget.yaml").await;
    let hold = r#"{"metadata":{"finalizers":["test.fleetwright.dev/f"]}}"#;
    served.ok(&format!("patch wd a --type=merge -p {hold}")).await;
    served.ok("delete wd a --wait=false").await;
    served.ok("get wd a").await;
    let release = r#"{"metadata":{"finalizers":null}}"#;
    let release_line = format!("patch wd a --type=merge -p {release}");
    let (gone, _) =
        tokio::join!(served.ok("wait --for=delete wd/a --timeout=30s"), served.ok(&release_line),);
    assert!(gone.is_empty() || gone.contains("condition met"), "{gone}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_finds_out_what_there_is() {
    let served = Served::start().await;
    let resources = served.ok("api-resources").await;
    let row = |name: &str| {
        let line = resources.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("widgets"), ["widgets", "wd", "test.fleetwright.dev/v1", "true", "Widget"]);
    assert_eq!(row("namespaces"), ["namespaces", "ns", "v1", "false", "Namespace"]);
    let explained = served.ok("explain widget.spec.size").await;
    assert!(explained.contains("How large it is, in centimetres."), "{explained}");
    assert!(served.ok("explain configmap.data").await.contains("FIELD: data"));
    assert!(served.ok("version").await.contains("v1.33.0-test"));
    assert!(served.ok("get namespaces").await.contains("kube-system"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_of_the_server_is_another_world() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    served.ok("--kubeconfig=member apply -f widget.yaml").await;
    assert_eq!(
        served.ok("--kubeconfig=member get wd -o name").await,
        "widget.test.fleetwright.dev/a\n"
    );
    assert_eq!(served.ok("get wd -o name").await, "");
    assert_eq!(served.cluster.name(), "hub");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutting_down_ends_watches_and_serving() {
    let (server, _cluster) = in_memory().await;
    let dir = tempfile::tempdir().expect("temporary folder");
    let authority = Authority::load_or_create(dir.path(), &SystemClock).expect("authority");
    let tls = authority.server_config(&[], &SystemClock).expect("certificate");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let stop = Arc::new(tokio::sync::Notify::new());
    let stopped = Arc::clone(&stop);
    let serving = tokio::spawn(serve(listener, tls, server.router("hub"), async move {
        stopped.notified().await;
    }));
    // A client that never says a word must not hold the server up.
    let _silent = tokio::net::TcpStream::connect(address).await.expect("connected");
    stop.notify_one();
    let ended = tokio::time::timeout(Duration::from_secs(10), serving).await.expect("in time");
    ended.expect("no panic").expect("no error");
}

/// The file of a kubeconfig whose user shows a certificate of the cluster's authority.
fn certified(served: &Served, file: &str, path: &str, group: &str) {
    let issued = served.authority.issue_client("carol", group, 1, &SystemClock).expect("issued");
    let encode = |pem: &str| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, pem);
    let config = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {
            "server": format!("https://{}{path}", served.address),
            "certificate-authority": served.dir.path().join("ca.crt"),
        }}],
        "users": [{"name": "u", "user": {
            "client-certificate-data": encode(&issued.certificate_pem),
            "client-key-data": encode(&issued.key_pem),
        }}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
    });
    std::fs::write(served.dir.path().join(file), config.to_string()).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_certificate_names_user_and_group_on_the_root_cluster_only() {
    let served = Served::start().await;
    certified(&served, "masters", "", "system:masters");
    certified(&served, "dev", "", "dev");
    certified(&served, "elsewhere", "/clusters/member", "system:masters");
    let who = served.ok("--kubeconfig=dev auth whoami").await;
    assert!(who.contains("carol") && who.contains("dev system:authenticated"), "{who}");
    assert!(served.ok("--kubeconfig=masters get ns default -o name").await.contains("default"));
    let (success, text) = served.run("--kubeconfig=dev get ns").await;
    assert!(!success);
    let wanted = r#"User "carol" cannot list resource "namespaces" in API group "" at the cluster"#;
    assert!(text.contains(wanted), "{text}");
    let (success, text) = served.run("--kubeconfig=elsewhere get ns").await;
    assert!(!success, "a member trusts another authority: {text}");
}
