//! `fleetwright render`: what files mean, with nobody asked: the clients of hub and clouds that it wires answer nothing.

use std::sync::Arc;

use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_controllers::Fleet;
use fleetwright_names::HubId;
use fleetwright_provider::{HttpOut, HttpOutError};
use fleetwright_providers::Providers;
use fleetwright_reconcile::Context;
use fleetwright_verbs::render::{PLACEHOLDERS, render as rendered};
use fleetwright_verbs::{hub_scheme, read_only, yaml};
use http::{Request, Response};
use tower::util::BoxCloneSyncService;

use crate::cli::{Document, Render};
use crate::exit::Exit;
use crate::plan::NO_HUB;
use crate::real::{Inward, OverTls};
use crate::simulated::{Endpoints, Ways};
use crate::wiring::{clouds, this_program};
use crate::{files, output, simulated};

/// Prints every request and object that the files mean.
pub(crate) async fn render(asked: &Render) -> anyhow::Result<Exit> {
    let manifests = match files::read(&asked.files, &hub_scheme()?)? {
        Ok(manifests) => manifests,
        Err(findings) => {
            output::findings(&findings);
            return Ok(Exit::Failed);
        }
    };
    let documents = match rendered(&nobody()?, &manifests).await {
        Ok(documents) => documents,
        Err(findings) => {
            output::findings(&findings);
            return Ok(Exit::Failed);
        }
    };
    match asked.output {
        Document::Json => output::line(&serde_json::to_string(&documents)?),
        Document::Yaml => {
            output::line(&format!("# {PLACEHOLDERS}"));
            output::lines(yaml::documents(&documents));
        }
    }
    Ok(Exit::Done)
}

/// Surroundings in which nobody answers.
fn nobody() -> anyhow::Result<Fleet> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::system()?);
    let nowhere: HttpOut =
        BoxCloneSyncService::new(tower::service_fn(|_: Request<bytes::Bytes>| async {
            let why = "render asks no cloud".to_owned();
            Err::<Response<bytes::Bytes>, _>(HttpOutError::Connect(why))
        }));
    let settings =
        simulated::settings(Ways::both(nowhere), &clock, &Endpoints::of("https://nobody.invalid"));
    Ok(Fleet {
        hub: HubId::new(NO_HUB)?,
        context: Context::new(read_only::nothing(), clock, ids),
        clouds: clouds(&Providers::all(settings)),
        connector: Arc::new(OverTls { inward: Inward::Refused, read_only: true }),
        token_command: vec![this_program()],
    })
}
