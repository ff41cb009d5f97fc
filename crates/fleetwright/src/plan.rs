//! `fleetwright plan`: finds the hub, wires clouds and clients that cannot write, and prints what `verbs` foresees.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_apiserver::{ApiServer, MemoryStore};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_cloudsim::{CloudSim, Latencies, Settings};
use fleetwright_controllers::Fleet;
use fleetwright_names::HubId;
use fleetwright_provider_eks::{DEFAULT_LIMITS, EksSettings};
use fleetwright_providers::{Providers, Settings as ProviderSettings};
use fleetwright_reconcile::Context;
use fleetwright_verbs::preview::{Outcome, Overlay, foresee};
use fleetwright_verbs::{hub_scheme, read_only};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::cli::{Format, Plan};
use crate::data_dir::{self, DataDir, KUBECONFIG};
use crate::exit::Exit;
use crate::http_out::{self, Allowed};
use crate::hub::SIMULATION;
use crate::real::{self, Inward, OverTls};
use crate::wiring::{World, clouds, this_program};
use crate::{files, output, simulated};

/// A hub on this machine answers at once; one that does not is not there.
const ANSWER: Duration = Duration::from_secs(5);
/// Stands for the hub that there is not yet.
const NO_HUB: &str = "00000000-0000-0000-0000-000000000000";

/// Prints what applying the files would do.
pub(crate) async fn plan(asked: &Plan) -> anyhow::Result<Exit> {
    let scheme = hub_scheme()?;
    let manifests = match files::read(&asked.files, &scheme)? {
        Ok(manifests) => manifests,
        Err(findings) => return Ok(invalid(asked, &Outcome { entries: Vec::new(), findings })),
    };
    let hub = find_hub(asked).await?;
    let (fleet, world) = wire(asked, hub.as_ref()).await?;
    let overlay =
        Overlay::read(hub.as_ref().map(|(client, _)| client), &manifests, &scheme).await?;
    let outcome = foresee(&fleet, &overlay).await;
    if !outcome.findings.is_empty() {
        return Ok(invalid(asked, &outcome));
    }
    match asked.output {
        Format::Json => output::line(&serde_json::to_string(&outcome)?),
        Format::Text => {
            if world == World::Simulated {
                output::line(&format!(
                    "fleetwright {}   {}",
                    env!("CARGO_PKG_VERSION"),
                    world.notice()
                ));
            }
            if hub.is_none() {
                output::complain("no hub runs here, so every cluster of the files is new to it");
            }
            output::lines(outcome.text());
        }
    }
    Ok(match (outcome.has_refusals(), outcome.has_changes()) {
        (true, _) => Exit::Failed,
        (false, true) => Exit::Changes,
        (false, false) => Exit::Done,
    })
}

fn invalid(asked: &Plan, outcome: &Outcome) -> Exit {
    match asked.output {
        Format::Json => output::line(&serde_json::json!(outcome).to_string()),
        Format::Text => output::findings(&outcome.findings),
    }
    Exit::Failed
}

/// The hub to compare with: the one named, or the one of this user that runs.
async fn find_hub(asked: &Plan) -> anyhow::Result<Option<(Client, Option<ConfigMap>)>> {
    if let Some(file) = &asked.kubeconfig {
        let Some(hub) = answering(file).await? else {
            bail!("the hub of {} does not answer", file.display())
        };
        return Ok(Some(hub));
    }
    let usual = |world| DataDir::default_path(world);
    let folders = match (&asked.data, asked.simulate) {
        (Some(folder), _) => vec![folder.clone()],
        (None, true) => vec![usual(World::Simulated)],
        (None, false) => vec![usual(World::Real), usual(World::Simulated)],
    };
    let one = folders.len() == 1;
    for folder in folders {
        let Some(world) = data_dir::born(&folder)? else {
            if asked.data.is_some() && folder.exists() {
                bail!("{} is no data folder of `fleetwright up`", folder.display());
            }
            if asked.data.is_some() && !asked.simulate {
                bail!(
                    "there is no folder {}; leave --data out to plan without a hub",
                    folder.display()
                );
            }
            continue;
        };
        if let Some(hub) = answering(&folder.join(KUBECONFIG)).await? {
            if hub.1.is_some() != (world == World::Simulated) {
                bail!(
                    "{} was born {}, but configmap {SYSTEM_NAMESPACE}/{SIMULATION} of its hub says otherwise; start its `up` again",
                    folder.display(),
                    world.word()
                );
            }
            return Ok(Some(hub));
        }
        // Without its hub nobody knows which clusters of the cloud are its own.
        if one || world == World::Real {
            let flag = if world == World::Simulated { " --simulate" } else { "" };
            let shown = folder.display();
            bail!(
                "the hub of {shown} does not run; start it with `fleetwright up{flag} --data {shown}`"
            );
        }
    }
    Ok(None)
}

/// A client that only reads, and what the hub says about its simulated clouds, if somebody is there.
async fn answering(kubeconfig: &Path) -> anyhow::Result<Option<(Client, Option<ConfigMap>)>> {
    let shown = kubeconfig.display();
    if !kubeconfig.exists() {
        bail!("{shown} does not exist");
    }
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot read {shown}"))?;
    let named = read.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let through_proxy = named.into_iter().any(|cluster| cluster.proxy_url.is_some());
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use {shown}"))?;
    config.connect_timeout = Some(ANSWER);
    if !through_proxy {
        // kube takes HTTPS_PROXY and does not read NO_PROXY; a hub is reached as its kubeconfig says.
        config.proxy_url = None;
    }
    let client = read_only::client(config).with_context(|| format!("cannot use {shown}"))?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    match tokio::time::timeout(ANSWER, maps.get_opt(SIMULATION)).await {
        Ok(Ok(simulation)) => Ok(Some((client, simulation))),
        Ok(Err(error @ kube::Error::Api(_))) => {
            Err(error).with_context(|| format!("the hub of {shown}"))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "no hub answers");
            Ok(None)
        }
        Err(_elapsed) => Ok(None),
    }
}

/// The controllers' surroundings, none of which can write.
async fn wire(
    asked: &Plan,
    hub: Option<&(Client, Option<ConfigMap>)>,
) -> anyhow::Result<(Fleet, World)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::system()?);
    let simulation = hub.and_then(|(_, simulation)| simulation.as_ref());
    let world = World::of(simulation.is_some() || (hub.is_none() && asked.simulate));
    if asked.simulate && world == World::Real {
        bail!("that hub is real; leave --simulate out");
    }
    let eks = match simulation {
        Some(map) => {
            let text = |key: &str| map.data.as_ref().and_then(|data| data.get(key)).cloned();
            let (endpoint, ca) = (text("endpoint"), text("ca"));
            let ca = ca.context("configmap fleetwright-system/simulation holds no ca")?;
            let endpoint =
                endpoint.context("configmap fleetwright-system/simulation holds no endpoint")?;
            let http = http_out::over_tls(Allowed::Simulation, Some(&ca))?;
            simulated::settings(http_out::reading(http), &clock, Some(endpoint))
        }
        None if world == World::Simulated => {
            simulated::settings(http_out::reading(empty_cloud(&clock, &ids).await?), &clock, None)
        }
        None => EksSettings {
            http: http_out::reading(http_out::over_tls(Allowed::Clouds, None)?),
            credentials: real::credentials(&clock).await?,
            clock: Arc::clone(&clock),
            endpoint: None,
            limits: DEFAULT_LIMITS,
        },
    };
    let client = hub.map_or_else(read_only::nothing, |(client, _)| client.clone());
    let inward = if world == World::Simulated { Inward::Allowed } else { Inward::Refused };
    let fleet = Fleet {
        hub: match hub {
            Some((client, _)) => hub_id(client).await?,
            None => HubId::new(NO_HUB)?,
        },
        context: Context { client, clock, ids },
        clouds: clouds(&Providers::all(ProviderSettings { eks })),
        connector: Arc::new(OverTls { inward, read_only: true }),
        token_command: vec![this_program()],
    };
    Ok((fleet, world))
}

async fn hub_id(client: &Client) -> anyhow::Result<HubId> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let deed = "read configmap fleetwright-system/hub";
    let found =
        maps.get_opt("hub").await.context(deed)?.and_then(|map| map.data?.get("id").cloned());
    // A hub that never ran its controllers owns nothing yet.
    HubId::new(found.unwrap_or_else(|| NO_HUB.to_owned())).context(deed)
}

/// A simulated cloud that nobody has used, for a look before the first `up`.
async fn empty_cloud(
    clock: &Arc<dyn Clock>,
    ids: &Arc<dyn Ids>,
) -> anyhow::Result<fleetwright_provider::HttpOut> {
    let store = Arc::new(MemoryStore::default());
    let api = ApiServer::open(store, Arc::clone(clock), Arc::clone(ids)).await?;
    let settings = Settings {
        latencies: Latencies::default(),
        public_url: "https://localhost".to_owned(),
        ca_pem: String::new(),
    };
    let sim = CloudSim::open(api, Arc::clone(clock), Arc::clone(ids), settings).await?;
    Ok(simulated::in_process(&sim))
}
