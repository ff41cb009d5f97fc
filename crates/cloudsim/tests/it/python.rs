//! A simulated cloud on a real socket with TLS, driven by clients of the clouds' own makers, in Python.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fleetwright_apiserver::{ApiServer, Authority, MemoryStore, serve};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_cloudsim::{AZURE_MOUNT_PATH, CloudSim, Latencies, MOUNT_PATH, Settings};
use jiff::Timestamp;

const STEP: Duration = Duration::from_millis(20);
/// Names a folder with Python packages to use instead of the pinned ones.
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

/// A script below `tests/python`, and what it needs.
pub(crate) struct Script {
    pub(crate) name: &'static str,
    /// A folder that the packages must have.
    pub(crate) package: &'static str,
    /// Where its cloud is mounted.
    pub(crate) mount: &'static str,
    pub(crate) environment: Vec<(&'static str, &'static str)>,
    /// How long everything takes that takes time.
    pub(crate) latency: Duration,
}

/// Where `cargo xtask test` installs packages.
fn packages(package: &str) -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/python");
    let named = std::env::var_os(PACKAGES_VARIABLE).map(PathBuf::from);
    let found = named.into_iter().chain([pinned]).find(|folder| folder.join(package).is_dir());
    found.ok_or_else(|| format!("no {package}")).expect("`cargo xtask test` has installed it")
}

impl Script {
    /// Runs it against a cloud of its own. It is given the cloud's address and the authority of that, and must say that
    /// everything is as the model says.
    pub(crate) async fn runs(self) {
        let clock: Arc<dyn Clock> =
            Arc::new(SteppingClock { start: SystemClock.now(), looks: AtomicU32::new(0) });
        let ids: Arc<dyn Ids> = Arc::new(RandomIds::seeded(7));
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::load_or_create(folder.path(), &*clock).expect("an authority");
        let disk = Arc::new(MemoryStore::new());
        let api = ApiServer::open(disk, Arc::clone(&clock), Arc::clone(&ids)).await.expect("opens");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let public_url = format!("https://{}", listener.local_addr().expect("an address"));
        let latency = self.latency;
        let settings = Settings {
            latencies: Latencies {
                cluster_create: latency,
                cluster_delete: latency,
                pool_create: latency,
                pool_delete: latency,
                cluster_update: latency,
                version_upgrade: latency,
                pool_update: latency,
                addon: latency,
                small_parts: latency,
                host_start: latency,
            },
            public_url: public_url.clone(),
            ca_pem: authority.ca_pem().to_owned(),
        };
        let sim =
            CloudSim::open(api.clone(), Arc::clone(&clock), ids, settings).await.expect("opens");
        let router = api.router("simulated-aws").mount(MOUNT_PATH, sim.eks());
        let router = router.mount(AZURE_MOUNT_PATH, sim.azure());
        let tls = authority.server_config(&[], &*clock).expect("TLS");
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let server = tokio::spawn(serve(listener, tls, router, async {
            let _told_or_failed = stopped.await;
        }));

        let mut python = Command::new("python3");
        python
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(self.name))
            .arg(format!("{public_url}{}", self.mount))
            .arg(folder.path().join("ca.crt"))
            .current_dir(folder.path())
            .env("PYTHONPATH", packages(self.package))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env_remove("AWS_PROFILE")
            .env_remove("AWS_SESSION_TOKEN")
            .envs(self.environment)
            .env_remove("HTTPS_PROXY")
            .env_remove("https_proxy");
        let ran = tokio::task::block_in_place(|| python.output()).expect("python3 runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let told = text(&ran.stdout) + &text(&ran.stderr);
        assert!(ran.status.success(), "{told}");
        assert!(told.trim_end().ends_with("everything is as the model says"), "{told}");
        stop.send(()).expect("running");
        server.await.expect("no panic").expect("served");
    }
}
