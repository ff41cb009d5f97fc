//! `fleetwright plan`: wires clouds and clients that cannot write, and prints what `verbs` foresees.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_apiserver::{ApiServer, MemoryStore};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_cloudsim::{CloudSim, Latencies, Settings as SimSettings};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::members::Connector;
use fleetwright_names::HubId;
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Context;
use fleetwright_verbs::preview::{Outcome, Overlay, foresee};
use fleetwright_verbs::{hub_scheme, read_only};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client};

use crate::cli::{Plan, PlanFormat};
use crate::exit::Exit;
use crate::http_out::{self, Allowed};
use crate::reach::{Reached, Rights, find};
use crate::reading_hosts::ReadingHosts;
use crate::real::{Inward, OverTls};
use crate::simulated::{Elsewhere, Endpoints, Ways};
use crate::wiring::{World, clouds, this_program};
use crate::{files, output, real, simulated};

/// Stands for the hub that there is not yet.
pub(crate) const NO_HUB: &str = "00000000-0000-0000-0000-000000000000";

/// Prints what the controllers would do, for the hub as it is or with the files applied.
pub(crate) async fn plan(asked: &Plan) -> anyhow::Result<Exit> {
    let scheme = hub_scheme()?;
    let manifests = match files::read(&asked.files, &scheme)? {
        Ok(manifests) => manifests,
        Err(findings) => return Ok(invalid(asked, &Outcome::new(Vec::new(), findings))),
    };
    let hub = find(&asked.hub, Rights::Read).await?;
    if hub.is_none() && asked.files.is_empty() {
        bail!(
            "no hub runs here, so there is nothing to plan; name files with -f, or a hub with --kubeconfig FILE"
        );
    }
    let (fleet, world) = wire(asked, hub.as_ref()).await?;
    let overlay = Overlay::read(hub.as_ref().map(|hub| &hub.client), &manifests, &scheme).await?;
    let outcome = foresee(&fleet, &overlay).await?;
    if !outcome.findings.is_empty() {
        return Ok(invalid(asked, &outcome));
    }
    match asked.output {
        PlanFormat::Json => output::line(&serde_json::to_string(&outcome)?),
        PlanFormat::Markdown => output::lines(outcome.markdown()),
        PlanFormat::Text => {
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
        PlanFormat::Json => output::line(&serde_json::json!(outcome).to_string()),
        PlanFormat::Markdown => output::lines(outcome.markdown()),
        PlanFormat::Text => output::findings(&outcome.findings),
    }
    Exit::Failed
}

/// The controllers' surroundings, none of which can write.
async fn wire(asked: &Plan, hub: Option<&Reached>) -> anyhow::Result<(Fleet, World)> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::system()?);
    let world = match hub {
        Some(hub) => hub.world(),
        None => World::of(asked.hub.simulate),
    };
    let settings = match (hub, world) {
        (Some(hub), World::Simulated) => {
            let ca = hub.simulated("ca")?;
            let http = http_out::over_tls(Allowed::Simulation, Some(&ca))?;
            let ways = Ways::both(http).reading();
            simulated::settings(ways, &clock, &Endpoints::published(hub)?)
        }
        (None, World::Simulated) => {
            let ways = empty_clouds(&clock, &ids).await?.reading();
            simulated::settings(ways, &clock, &Endpoints::of("https://localhost"))
        }
        (_, World::Real) => {
            let Settings { mut aks, mut eks, mut k3s } = real::settings(&clock)?;
            aks.http = http_out::reading(aks.http);
            eks.http = http_out::reading(eks.http);
            k3s.hosts = Arc::new(ReadingHosts(k3s.hosts));
            Settings { aks, eks, k3s }
        }
    };
    let client = hub.map_or_else(read_only::nothing, |hub| hub.client.clone());
    let over_tls = |inward| OverTls { inward, read_only: true };
    let connector: Arc<dyn Connector> = match (hub, world) {
        (Some(hub), World::Simulated) => {
            let endpoints = Endpoints::published(hub)?;
            Arc::new(Elsewhere { inner: over_tls(Inward::Allowed), endpoints })
        }
        (None, World::Simulated) => Arc::new(over_tls(Inward::Allowed)),
        (_, World::Real) => Arc::new(over_tls(Inward::Refused)),
    };
    let fleet = Fleet {
        hub: match hub {
            Some(hub) => hub_id(&hub.client).await?,
            None => HubId::new(NO_HUB)?,
        },
        context: Context::new(client, clock, ids),
        clouds: clouds(&Providers::all(settings)),
        connector,
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

/// Simulated clouds that nobody has used, for a look before the first `up`.
async fn empty_clouds(clock: &Arc<dyn Clock>, ids: &Arc<dyn Ids>) -> anyhow::Result<Ways> {
    let store = Arc::new(MemoryStore::default());
    let api = ApiServer::open(store, Arc::clone(clock), Arc::clone(ids)).await?;
    let settings = SimSettings {
        latencies: Latencies::default(),
        public_url: "https://localhost".to_owned(),
        ca_pem: String::new(),
    };
    let sim = CloudSim::open(api, Arc::clone(clock), Arc::clone(ids), settings).await?;
    Ok(Ways::in_process(&sim))
}
