//! `fleetwright run`: the controllers, against any Kubernetes API server, as one of several processes of which one leads.

mod hub_api;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::hub::{ensure_namespace, hub_id};
use fleetwright_reconcile::{Context, LeaseSettings, Metrics, lead};
use fleetwright_telemetry::{Registry, Shutdown};
use fleetwright_verbs::hub_scheme;
use kube::Client;

use crate::cli::Run;
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::hub::Hub;
use crate::wiring::World;
use crate::{metrics_server, output, real};

/// The usual port of exporters that belong to OpenTelemetry programs.
const METRICS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// The lease that the leader holds, in our namespace.
const LEASE: &str = "fleetwright";
/// For an orderly end. Giving the lease back takes five seconds at most, and the kubelet kills after thirty.
const PATIENCE: Duration = Duration::from_secs(8);

/// Runs until somebody asks to stop, which is its orderly end.
pub(crate) async fn run(
    asked: &Run,
    registry: Registry,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    tokio::select! {
        biased;
        exit = work(asked, registry, shutdown) => exit,
        () = Box::pin(out_of_patience(shutdown)) => Ok(Exit::Done),
    }
}

/// Longer than giving back the lease may take; by then nobody waits for an answer.
async fn out_of_patience(shutdown: &Shutdown) {
    shutdown.requested().await;
    tokio::time::sleep(PATIENCE).await;
}

async fn work(asked: &Run, registry: Registry, shutdown: &Shutdown) -> anyhow::Result<Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::system()?);
    let config = hub_api::config(asked.kubeconfig.as_deref()).await?;
    let url = config.cluster_url.clone();
    let client = Client::try_from(config).with_context(|| format!("cannot reach {url}"))?;
    let listener = metrics_server::bind(asked.metrics_listen, METRICS).await?;
    let metrics_at = listener.local_addr()?;
    let ready = Arc::new(AtomicBool::new(false));
    let mut context = Context::new(client.clone(), Arc::clone(&clock), Arc::clone(&ids));
    context.metrics = Some(Metrics::new(&registry)?);
    let serving = metrics_server::serve(listener, registry, Arc::clone(&ready));
    let world = World::of(asked.simulate);
    let working = async {
        let asking = async {
            hub_api::check(&client, &url).await?;
            ensure_namespace(&client, SYSTEM_NAMESPACE).await?;
            hub_api::claim(&client, world).await
        };
        tokio::select! {
            biased;
            asked = asking => asked?,
            () = shutdown.requested() => return Ok(Exit::Done),
        }
        let mut clouds = Clouds::open(asked, world, ids.as_ref()).await?;
        let wiring = match &clouds.simulated {
            Some(simulated) => &simulated.hub.wiring,
            None => clouds.real.insert(real::real(&clock)?),
        };
        let fleet = Fleet {
            hub: hub_id(&client, ids.as_ref()).await.context("learning who this hub is")?,
            context: context.clone(),
            clouds: wiring.clouds.clone(),
            connector: Arc::clone(&wiring.connector),
            token_command: wiring.token_command.clone(),
        };
        let identity = identity(asked.identity.as_deref(), ids.as_ref());
        output::line(&format!(
            "fleetwright {}   {} · API server {url} · metrics http://{metrics_at}/metrics · {identity}",
            env!("CARGO_PKG_VERSION"),
            world.notice(),
        ));
        ready.store(true, Ordering::Release);
        let simulated = clouds.simulated.as_ref().map(|one| &one.hub.context.client);
        let ended = controllers(asked, &fleet, &identity, (shutdown, simulated)).await;
        ready.store(false, Ordering::Release);
        clouds.close().await?;
        ended
    };
    tokio::select! {
        biased;
        ended = working => ended,
        () = serving => Err(anyhow::anyhow!("metrics are not served any more")),
    }
}

/// Runs the controllers, while this process leads or at once, until somebody asks to stop.
async fn controllers(
    asked: &Run,
    fleet: &Fleet,
    identity: &str,
    (shutdown, simulated): (&Shutdown, Option<&Client>),
) -> anyhow::Result<Exit> {
    let run = || async {
        // Only who leads: the clouds of those who stand by are nobody's.
        if let Some(clouds) = simulated
            && let Err(error) = hub_api::publish(clouds, &fleet.context.client).await
        {
            tracing::warn!(error = format!("{error:#}"), "`fleetwright plan` will not find them");
        }
        fleetwright_controllers::run(fleet.clone()).await;
    };
    let ended = if asked.no_leader_election {
        tokio::select! {
            biased;
            () = shutdown.requested() => None,
            () = run() => Some(()),
        }
    } else {
        let settings = LeaseSettings::new(SYSTEM_NAMESPACE, LEASE);
        lead(&fleet.context, identity, &settings, shutdown.requested(), run).await
    };
    match ended {
        None => Ok(Exit::Done),
        Some(()) => Err(anyhow::anyhow!("the controllers ended by themselves")),
    }
}

/// This process's own name: that of the pod or machine, or the one that was given, and some random letters. Two processes
/// with one name would both believe to lead.
fn identity(asked: Option<&str>, ids: &dyn Ids) -> String {
    let host = || std::env::var("HOSTNAME").ok().filter(|name| !name.is_empty());
    let name = asked.map(str::to_owned).or_else(host).unwrap_or_else(|| "fleetwright".to_owned());
    let short: String = name.chars().filter(|c| c.is_ascii_graphic()).take(100).collect();
    format!("{short}_{}", &ids.uid()[..8])
}

/// The clouds of this process.
#[derive(Default)]
struct Clouds {
    simulated: Option<Simulated>,
    real: Option<crate::wiring::Wiring>,
}

/// Emulated clouds behind an API server of their own, of which only the members are used.
struct Simulated {
    hub: Hub,
    /// Removed at the end, when nobody named a folder.
    passing: Option<PathBuf>,
}

impl Clouds {
    async fn open(asked: &Run, world: World, ids: &dyn Ids) -> anyhow::Result<Self> {
        if world == World::Real {
            return Ok(Self::default());
        }
        let passing = std::env::temp_dir().join(format!("fleetwright-{}", ids.uid()));
        let (path, passing) = match &asked.data {
            Some(path) => (std::path::absolute(path)?, None),
            None => (passing.clone(), Some(passing)),
        };
        let dir = DataDir::open(&path, world)?;
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        // A folder keeps its port, which the kubeconfigs of members name.
        let listen = passing.is_some().then_some(any);
        let hub = Hub::start(&dir, world, listen, hub_scheme()?).await?;
        Ok(Self { simulated: Some(Simulated { hub, passing }), real: None })
    }

    async fn close(self) -> anyhow::Result<()> {
        let Some(Simulated { hub, passing }) = self.simulated else { return Ok(()) };
        hub.stop().await?;
        match passing {
            Some(path) => std::fs::remove_dir_all(&path)
                .with_context(|| format!("cannot remove {}", path.display())),
            None => Ok(()),
        }
    }
}
