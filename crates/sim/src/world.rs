//! The world of one run: what survives a crash of the hub, and the hub itself, life after life.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleetwright_api_types::{SYSTEM_NAMESPACE, crds};
use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, Scheme, StaticTokens,
};
use fleetwright_clock::Clock;
use fleetwright_cloudsim::{
    ACCESS_KEY_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID, CloudSim, Latencies,
    SECRET_ACCESS_KEY, Settings,
};
use fleetwright_controllers::{Clouds, Fleet, hub::hub_id};
use fleetwright_names::HubId;
use fleetwright_provider::{Limits, Provider, Secret};
use fleetwright_provider_aks::{AksProvider, AksSettings, ClientSecret};
use fleetwright_provider_eks::{EksProvider, EksSettings, Source};
use fleetwright_provider_k3s::release::Releases;
use fleetwright_provider_k3s::{K3sProvider, K3sSettings};
use fleetwright_reconcile::Context;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::dice::{PausedClock, dyn_ids};
use crate::faults::Faults;
use crate::host_wires::HostWires;
use crate::sabotage::{Blind, Sabotage};
use crate::script::create;
use crate::wires::{Dialect, LATEST_SECONDS, SimConnector, ToApi, to_cloud};

/// Everything that a crash of the hub leaves alone.
#[derive(Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// Paused time.
    pub clock: PausedClock,
    /// What goes wrong.
    pub faults: Arc<Faults>,
    /// The emulated cloud.
    pub cloud: CloudSim,
    /// Where the cloud and the members live.
    pub api: ApiServer,
    /// The wires to hosts.
    pub hosts: HostWires,
    /// The hub's disk.
    pub disk: MemoryStore,
    scheme: Arc<Scheme>,
}

/// One life of the hub.
#[derive(Debug)]
pub struct Hub {
    api: ApiServer,
    /// What it holds, for looks at every second that are no deeds of anybody's.
    pub cluster: LogicalCluster,
    /// The user's own client: no faults, since users retry anyway.
    pub user: UserClient,
    /// Who it is: restored with what Git holds when the hub is lost.
    pub id: HubId,
    fleet: Fleet,
    controllers: JoinHandle<()>,
    second: Option<JoinHandle<()>>,
}

/// A client that prints as nothing.
#[derive(Clone)]
pub struct UserClient(pub Client);

impl std::fmt::Debug for UserClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserClient")
    }
}

impl World {
    /// A world in which nothing happened yet.
    ///
    /// # Errors
    /// When the emulated cloud cannot start.
    pub async fn new(seed: u64, faults: Arc<Faults>, clock: PausedClock) -> anyhow::Result<Self> {
        let dyn_clock: Arc<dyn Clock> = Arc::new(clock.clone());
        let api = ApiServer::open(
            Arc::new(MemoryStore::new()),
            Arc::clone(&dyn_clock),
            dyn_ids(seed, 10),
        )
        .await?;
        let settings = Settings {
            // As real hosts are: 3 to 20 seconds.
            latencies: Latencies { host_start: Duration::from_secs(11), ..Latencies::default() },
            public_url: "https://simulated.invalid".to_owned(),
            ca_pem: CA_PEM.to_owned(),
        };
        let cloud = CloudSim::open(api.clone(), dyn_clock, dyn_ids(seed, 11), settings).await?;
        let disk = MemoryStore::new();
        let hosts = HostWires::new(cloud.clone(), Arc::clone(&faults));
        Ok(Self { seed, clock, faults, cloud, api, hosts, disk, scheme: hub_scheme()? })
    }

    /// Starts the hub from its disk.
    ///
    /// # Errors
    /// When the disk holds what the server refuses.
    pub async fn start(
        &self,
        life: u64,
        sabotage: Sabotage,
        known: Option<&HubId>,
    ) -> anyhow::Result<Hub> {
        self.faults.revive();
        let clock: Arc<dyn Clock> = Arc::new(self.clock.clone());
        let ids = dyn_ids(self.seed, 1000 + life);
        let api =
            ApiServer::open(Arc::new(self.disk.clone()), Arc::clone(&clock), Arc::clone(&ids))
                .await?;
        let hub = api
            .add_cluster(ClusterSpec {
                name: "hub".to_owned(),
                scheme: Arc::clone(&self.scheme),
                authenticator: Arc::new(StaticTokens::new()),
                version: "v1.34.0-sim".to_owned(),
            })
            .await?;
        let user = Client::new(hub.service_as(Identity::system("user")), "default");
        if let Some(known) = known {
            restore_id(&user, known).await?;
        }
        let id = hub_id(&user, ids.as_ref()).await?;
        let wire = ToApi::new(
            hub.service_as(Identity::system("fleetwright")),
            "hub",
            Arc::clone(&self.faults),
        );
        let fleet = Fleet {
            context: Context::new(Client::new(wire, "default"), Arc::clone(&clock), ids),
            hub: id.clone(),
            clouds: self.clouds(clock, sabotage),
            connector: Arc::new(SimConnector::new(
                self.api.clone(),
                self.cloud.clone(),
                Arc::clone(&self.faults),
            )),
            token_command: vec!["fleetwright".to_owned()],
        };
        let controllers = tokio::spawn(fleetwright_controllers::run(fleet.clone()));
        Ok(Hub { api, cluster: hub, user: UserClient(user), id, fleet, controllers, second: None })
    }

    fn clouds(&self, clock: Arc<dyn Clock>, sabotage: Sabotage) -> Clouds {
        let eks: Arc<dyn Provider> = Arc::new(EksProvider::new(EksSettings {
            http: to_cloud(self.cloud.eks(), Dialect::Aws, Arc::clone(&self.faults)),
            credentials: Source::Fixed(SharedCredentialsProvider::new(Credentials::new(
                ACCESS_KEY_ID,
                SECRET_ACCESS_KEY,
                None,
                None,
                "simulated",
            ))),
            clock: Arc::clone(&clock),
            endpoint: Some("https://simulated.invalid".to_owned()),
            limits: LIMITS,
        }));
        let k3s_clock = Arc::clone(&clock);
        let aks: Arc<dyn Provider> = Arc::new(AksProvider::new(AksSettings {
            http: to_cloud(self.cloud.azure(), Dialect::Azure, Arc::clone(&self.faults)),
            credentials: fleetwright_provider_aks::Source::Fixed(ClientSecret {
                tenant_id: AZURE_TENANT_ID.to_owned(),
                client_id: AZURE_CLIENT_ID.to_owned(),
                client_secret: Secret::new(AZURE_CLIENT_SECRET.to_owned()),
            }),
            clock,
            endpoint: Some("https://azure.simulated.invalid".to_owned()),
            limits: LIMITS,
        }));
        let broken = |cloud: Arc<dyn Provider>| match sabotage {
            Sabotage::None => cloud,
            Sabotage::CreateWithoutLooking => Arc::new(Blind::new(cloud)) as Arc<dyn Provider>,
        };
        let releases = self.cloud.releases().map_err(|never| match never {});
        let k3s: Arc<dyn Provider> = Arc::new(K3sProvider::new(K3sSettings {
            hosts: Arc::new(self.hosts.clone()),
            releases: Arc::new(Releases::new(BoxCloneSyncService::new(releases), None)),
            clock: k3s_clock,
            limits: LIMITS,
        }));
        [aks, eks, k3s].map(broken).into_iter().map(|cloud| (cloud.key(), cloud)).collect()
    }
}

/// What stands for the authority of all members.
const CA_PEM: &str = "-----BEGIN CERTIFICATE-----\nc2ltdWxhdGVk\n-----END CERTIFICATE-----\n";

/// How often the clouds are asked, and how long what was sent to them may still arrive.
const LIMITS: Limits = Limits {
    poll_busy: Duration::from_secs(2),
    poll_idle: Duration::from_secs(30),
    in_doubt: Duration::from_secs(LATEST_SECONDS as u64 + 10),
};

/// The kinds that a hub serves; made once, since compiling their rules takes longer than many a seed.
fn hub_scheme() -> anyhow::Result<Arc<Scheme>> {
    static SCHEME: OnceLock<Arc<Scheme>> = OnceLock::new();
    if let Some(scheme) = SCHEME.get() {
        return Ok(Arc::clone(scheme));
    }
    let mut scheme = Scheme::builtin();
    for (file, crd) in crds() {
        scheme = scheme.with_crd(&crd).with_context(|| file)?;
    }
    Ok(Arc::clone(SCHEME.get_or_init(|| Arc::new(scheme))))
}

/// What a person does who restores a hub: its id comes first, or every tag in the cloud would name a stranger.
async fn restore_id(user: &Client, id: &HubId) -> anyhow::Result<()> {
    fleetwright_controllers::hub::ensure_namespace(user, SYSTEM_NAMESPACE).await?;
    let map: ConfigMap = serde_json::from_value(serde_json::json!({
        "metadata": {"name": "hub", "namespace": SYSTEM_NAMESPACE}, "data": {"id": id.to_string()},
    }))?;
    create(Api::namespaced(user.clone(), SYSTEM_NAMESPACE), &map).await
}

impl Hub {
    /// Whether the server lost a commit: it refuses every write until it is started again, and a program ends there.
    #[must_use]
    pub fn store_failed(&self) -> bool {
        self.api.store_failed()
    }

    /// Starts another leader beside the first, as when a lease was judged dead too early.
    pub fn start_second(&mut self) {
        if self.second.is_none() {
            self.second = Some(tokio::spawn(fleetwright_controllers::run(self.fleet.clone())));
        }
    }

    /// Ends the other leader, wherever it was.
    pub async fn stop_second(&mut self) {
        if let Some(second) = self.second.take() {
            second.abort();
            drop(second.await);
        }
    }

    /// Ends this life at once, wherever it was.
    pub async fn kill(mut self) {
        self.api.stop();
        self.stop_second().await;
        self.controllers.abort();
        // Cancelled is what we asked for; waiting makes sure that nothing of it runs on.
        drop(self.controllers.await);
    }
}
