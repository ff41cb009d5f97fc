//! The simulated cloud through Amazon's own Python SDK, over TLS: waiters, paginators, and every answer held against
//! the model of its service. What is called and expected is in `tests/python/drive.py`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fleetwright_apiserver::{ApiServer, Authority, MemoryStore, serve};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_cloudsim::{
    ACCESS_KEY_ID, CloudSim, Latencies, MOUNT_PATH, SECRET_ACCESS_KEY, Settings,
};
use jiff::Timestamp;

/// Some fifty looks at the clock.
const LATENCY: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(20);
/// Names a folder with botocore and boto3 to use instead of the pinned ones.
const PACKAGES_VARIABLE: &str = "FLEETWRIGHT_PYTHON_PACKAGES";

/// Moves on by being looked at: how busy the machine is makes no difference to what is seen in between, and nobody waits.
/// It begins now, since boto3 signs with the time of the machine; some minutes may lie between the two.
#[derive(Debug)]
struct SteppingClock {
    start: Timestamp,
    looks: AtomicU32,
}

impl Clock for SteppingClock {
    fn now(&self) -> Timestamp {
        self.start + STEP * self.looks.fetch_add(1, Ordering::Relaxed)
    }
}

/// Where `cargo xtask test` installs boto3.
fn packages() -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/python");
    let named = std::env::var_os(PACKAGES_VARIABLE).map(PathBuf::from);
    named
        .into_iter()
        .chain([pinned])
        .find(|folder| folder.join("boto3").is_dir())
        .expect("no boto3; `cargo xtask test` installs it")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn boto3_waits_pages_and_finds_every_answer_as_its_model_says() {
    let clock: Arc<dyn Clock> =
        Arc::new(SteppingClock { start: SystemClock.now(), looks: AtomicU32::new(0) });
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::seeded(7));
    let folder = tempfile::tempdir().expect("a folder");
    let authority = Authority::load_or_create(folder.path(), &*clock).expect("an authority");
    let disk = Arc::new(MemoryStore::new());
    let api = ApiServer::open(disk, Arc::clone(&clock), Arc::clone(&ids)).await.expect("opens");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let public_url = format!("https://{}", listener.local_addr().expect("an address"));
    let settings = Settings {
        latencies: Latencies {
            cluster_create: LATENCY,
            cluster_delete: LATENCY,
            pool_create: LATENCY,
            pool_delete: LATENCY,
            cluster_update: LATENCY,
            version_upgrade: LATENCY,
            pool_update: LATENCY,
            addon: LATENCY,
            small_parts: LATENCY,
        },
        public_url: public_url.clone(),
        ca_pem: authority.ca_pem().to_owned(),
    };
    let sim = CloudSim::open(api.clone(), Arc::clone(&clock), ids, settings).await.expect("opens");
    let router = api.router("simulated-aws").mount(MOUNT_PATH, sim.eks());
    let tls = authority.server_config(&[], &*clock).expect("TLS");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, tls, router, async {
        let _told_or_failed = stopped.await;
    }));

    let mut python = Command::new("python3");
    python
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/drive.py"))
        .arg(format!("{public_url}{MOUNT_PATH}"))
        .arg(folder.path().join("ca.crt"))
        .env("PYTHONPATH", packages())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID)
        .env("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY)
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_CONFIG_FILE", folder.path().join("none"))
        .env("AWS_SHARED_CREDENTIALS_FILE", folder.path().join("none"))
        .env_remove("AWS_PROFILE")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("HTTPS_PROXY")
        .env_remove("https_proxy");
    let ran = tokio::task::block_in_place(|| python.output()).expect("python3 runs");
    let told =
        format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{told}");
    assert!(told.trim_end().ends_with("everything is as the model says"), "{told}");
    stop.send(()).expect("running");
    server.await.expect("no panic").expect("served");
}
