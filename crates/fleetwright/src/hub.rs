//! The embedded hub of `up`: store, API server, simulated clouds if asked for, and the socket in front.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_apiserver::{
    ApiServer, Authority, ClusterSpec, Identity, RedbOpenError, RedbStore, Scheme, ServeError,
    StaticTokens, serve,
};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_cloudsim::{
    AZURE_MOUNT_PATH, CloudSim, HOSTS_MOUNT_PATH, Latencies, MOUNT_PATH, Settings,
};
use fleetwright_controllers::hub::ensure_namespace;
use fleetwright_reconcile::Context;
use fleetwright_telemetry::Shutdown;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::data_dir::DataDir;
use crate::wiring::{Wiring, World};
use crate::{real, simulated};

/// The logical cluster that holds our kinds.
const ROOT: &str = "hub";
/// The ConfigMap that tells other processes of this machine where the simulated clouds are.
pub(crate) const SIMULATION: &str = "simulation";
const STORE: &str = "store.redb";
/// How soon a lost write is noticed.
const LOOK_AT_STORE: Duration = Duration::from_secs(1);
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 7443);

/// A hub that answers.
pub(crate) struct Hub {
    /// In process, as the system itself, with clock and ids.
    pub(crate) context: Context,
    pub(crate) kubeconfig: PathBuf,
    pub(crate) wiring: Wiring,
    /// Says so when the API is not where one expects it.
    pub(crate) moved: Option<String>,
    api: ApiServer,
    server: JoinHandle<Result<(), ServeError>>,
    stop: Shutdown,
}

impl Hub {
    /// Opens what the folder holds and serves it.
    pub(crate) async fn start(
        dir: &DataDir,
        world: World,
        listen: Option<SocketAddr>,
        scheme: Scheme,
    ) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let ids: Arc<dyn Ids> = Arc::new(RandomIds::system()?);
        // The store first: its lock keeps a second hub off this folder.
        let store = open_store(dir)?;
        let (listener, moved) = bind(dir, listen).await?;
        let address = listener.local_addr()?;
        let public_url = public_url(address);
        let authority = Authority::load_or_create(dir.path(), clock.as_ref())?;
        let tls = authority.server_config(&[reached_as(address).to_string()], clock.as_ref())?;
        let token = dir.token(ids.as_ref())?;
        let api = ApiServer::open(Arc::new(store), Arc::clone(&clock), Arc::clone(&ids)).await?;
        api.set_certificate_authority(authority.ca_pem());
        let admin = StaticTokens::new().with(&token, Identity::system("fleetwright:admin"));
        let root = ClusterSpec {
            name: ROOT.to_owned(),
            scheme: Arc::new(scheme),
            authenticator: Arc::new(admin),
            version: format!("v1.33.0-fleetwright-{}", env!("CARGO_PKG_VERSION")),
        };
        let root = api.add_cluster(root).await?;
        let client = Client::new(root.service_as(Identity::system("fleetwright")), "default");
        let mut router = api.router(ROOT);
        let wiring = match world {
            World::Real => real::real(&clock)?,
            World::Simulated => {
                let settings = Settings {
                    latencies: Latencies::default(),
                    public_url: public_url.clone(),
                    ca_pem: authority.ca_pem().to_owned(),
                };
                let sim =
                    CloudSim::open(api.clone(), Arc::clone(&clock), Arc::clone(&ids), settings)
                        .await?;
                router = router.mount(MOUNT_PATH, sim.eks());
                router = router.mount(AZURE_MOUNT_PATH, sim.azure());
                router = router.mount(HOSTS_MOUNT_PATH, sim.hosts_mount());
                publish(&client, &public_url, authority.ca_pem()).await?;
                simulated::simulated(&api, &sim, &clock, (&public_url, dir.path()))
            }
        };
        let stop = Shutdown::new();
        let stopped = stop.clone();
        let server =
            tokio::spawn(serve(listener, tls, router, async move { stopped.requested().await }));
        dir.remember_listen(address)?;
        let kubeconfig = dir.write_kubeconfig(&public_url, authority.ca_pem(), &token)?;
        let context = Context::new(client, clock, ids);
        Ok(Self { context, kubeconfig, wiring, moved, api, server, stop })
    }

    /// Returns only if serving ends by itself or the store has lost a write; both are failures.
    pub(crate) async fn broken(&mut self) -> anyhow::Error {
        let lost = async {
            while !self.api.store_failed() {
                tokio::time::sleep(LOOK_AT_STORE).await;
            }
        };
        let ended = tokio::select! {
            biased;
            ended = &mut self.server => ended,
            () = lost => {
                let file = self.kubeconfig.with_file_name(STORE);
                return anyhow::anyhow!(
                    "{} did not take a write (is the disk full?), so nothing more may be written; start again: what was acknowledged is there",
                    file.display()
                );
            }
        };
        match ended {
            Ok(Ok(())) => anyhow::anyhow!("the API stopped serving"),
            Ok(Err(error)) => anyhow::Error::new(error).context("the API stopped serving"),
            Err(error) => anyhow::Error::new(error).context("the API stopped serving"),
        }
    }

    /// Finishes what is being answered, then closes.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.stop.request();
        // It ended by itself: `broken` has told.
        if !self.server.is_finished() {
            self.server.await.context("the API did not stop in order")??;
        }
        Ok(())
    }
}

fn open_store(dir: &DataDir) -> anyhow::Result<RedbStore> {
    let file = dir.file(STORE);
    match RedbStore::open(&file) {
        Ok(store) => Ok(store),
        Err(RedbOpenError::InUse { .. }) => bail!(
            "{} is in use by another `fleetwright up`; talk to it with KUBECONFIG={}, or name another folder with --data",
            dir.path().display(),
            dir.file(crate::data_dir::KUBECONFIG).display()
        ),
        Err(error) => Err(error).with_context(|| format!("cannot open {}", file.display())),
    }
}

/// The address asked for and no other; else that of last time, the usual one, or any that is free.
async fn bind(
    dir: &DataDir,
    asked: Option<SocketAddr>,
) -> anyhow::Result<(TcpListener, Option<String>)> {
    if let Some(address) = asked {
        let listener = TcpListener::bind(address).await;
        return Ok((listener.with_context(|| format!("cannot listen on {address}"))?, None));
    }
    // Only the port is remembered: a door that was opened to the network once is not opened again unasked.
    let first = dir.last_listen()?.map_or(USUAL, |last| SocketAddr::new(USUAL.ip(), last.port()));
    let any = SocketAddr::new(USUAL.ip(), 0);
    let mut last = None;
    for address in [first, USUAL, any] {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let found = listener.local_addr()?;
                let moved =
                    (found != first).then(|| format!("{first} is taken, so the API is at {found}"));
                return Ok((listener, moved));
            }
            Err(error) => last = Some(error),
        }
    }
    let error = last.map_or_else(|| anyhow::anyhow!("no address"), anyhow::Error::new);
    Err(error.context("cannot listen on 127.0.0.1"))
}

/// Where clients of this machine reach a server that listens on `address`.
fn reached_as(address: SocketAddr) -> IpAddr {
    if address.ip().is_unspecified() { USUAL.ip() } else { address.ip() }
}

fn public_url(address: SocketAddr) -> String {
    format!("https://{}", SocketAddr::new(reached_as(address), address.port()))
}

async fn publish(client: &Client, public_url: &str, ca_pem: &str) -> anyhow::Result<()> {
    ensure_namespace(client, SYSTEM_NAMESPACE).await?;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let endpoints = simulated::Endpoints::of(public_url);
    let data = BTreeMap::from([
        ("endpoint".to_owned(), endpoints.aws),
        ("azure-endpoint".to_owned(), endpoints.azure),
        ("hosts-endpoint".to_owned(), endpoints.hosts),
        ("ca".to_owned(), ca_pem.to_owned()),
    ]);
    let deed = "write configmap fleetwright-system/simulation";
    let Some(found) = api.get_opt(SIMULATION).await.context(deed)? else {
        let mut map = ConfigMap { data: Some(data), ..ConfigMap::default() };
        map.metadata.name = Some(SIMULATION.to_owned());
        return api.create(&kube::api::PostParams::default(), &map).await.map(drop).context(deed);
    };
    if found.data.as_ref() == Some(&data) {
        return Ok(());
    }
    let patch = Patch::Merge(json!({"data": data}));
    api.patch(SIMULATION, &PatchParams::default(), &patch).await.map(drop).context(deed)
}
