//! `fleetwright up`: the hub, the controllers, and the lines in which one sees the fleet come up.

mod follow;

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use fleetwright_controllers::Fleet;
use fleetwright_controllers::hub::hub_id;
use fleetwright_reconcile::Metrics;
use fleetwright_telemetry::{Registry, Shutdown};
use fleetwright_verbs::apply::{Applied, apply};
use fleetwright_verbs::hub_scheme;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::cli::{Format, Up};
use crate::data_dir::DataDir;
use crate::exit::Exit;
use crate::hub::Hub;
use crate::up::follow::{End, Follower};
use crate::wiring::World;
use crate::{files, metrics_server, output};

/// Runs until everything is Ready (`--once`), or until somebody asks to stop.
pub(crate) async fn up(
    asked: &Up,
    registry: Registry,
    shutdown: &Shutdown,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let scheme = hub_scheme()?;
    let manifests = match files::read(&asked.files, &scheme)? {
        Ok(manifests) => manifests,
        Err(findings) => {
            output::findings(&findings);
            return Ok(Exit::Failed);
        }
    };
    let world = World::of(asked.simulate);
    let path = asked.data.clone().unwrap_or_else(|| DataDir::default_path(world));
    let path =
        std::path::absolute(&path).with_context(|| format!("{} is no path", path.display()))?;
    let dir = DataDir::open(&path, world)?;
    let listener = match asked.metrics_listen {
        Some(address) => Some(metrics_server::bind(Some(address), address).await?),
        None => None,
    };
    let metrics_at = listener.as_ref().map(TcpListener::local_addr).transpose()?;
    let mut hub = Hub::start(&dir, world, asked.listen, scheme.clone()).await?;
    if listener.is_some() {
        hub.context.metrics = Some(Metrics::new(&registry)?);
    }
    let serves = Arc::new(AtomicBool::new(false));
    let metrics = serve_metrics(listener, registry, Arc::clone(&serves));
    let served = began.elapsed();
    let ready = Cell::new(false);
    let ended = tokio::select! {
        biased;
        // Who stops a hub that was up has got what he asked for.
        () = shutdown.requested() => Ok(if ready.get() { Exit::Done } else { Exit::Interrupted }),
        ended = async {
            match apply(&hub.context.client, &scheme, &manifests).await {
                Ok(applied) => {
                    greet(asked, &dir, &hub, applied, served);
                    if let Some(at) = metrics_at.filter(|_| asked.output == Format::Text) {
                        output::line(&format!("  metrics at http://{at}/metrics"));
                    }
                    serves.store(true, Ordering::Release);
                    run(asked, &mut hub, &ready, began).await
                }
                Err(finding) => {
                    output::findings(&[finding]);
                    Ok(Exit::Failed)
                }
            }
        } => ended,
        () = metrics => Err(anyhow::anyhow!("metrics are not served any more")),
    };
    // Controllers have ended by now: their futures are dropped. What was being answered is finished.
    hub.stop().await?;
    ended
}

/// Serves for ever where somebody asked for it; else only never ends.
async fn serve_metrics(listener: Option<TcpListener>, registry: Registry, serves: Arc<AtomicBool>) {
    match listener {
        Some(listener) => metrics_server::serve(listener, registry, serves).await,
        None => std::future::pending().await,
    }
}

/// The first line: which world, and where everything is.
fn greet(asked: &Up, dir: &DataDir, hub: &Hub, applied: Applied, served: Duration) {
    if let Some(moved) = &hub.moved {
        output::complain(moved);
    }
    if asked.output == Format::Json {
        return;
    }
    let new = if dir.new { " (new)" } else { "" };
    let applied = match applied {
        Applied { created: 0, changed: 0, unchanged: 0 } => "no files to apply".to_owned(),
        Applied { created: 0, changed: 0, .. } => {
            format!("{} objects as declared", applied.total())
        }
        Applied { created, changed: 0, .. } => format!("applied {created} objects"),
        Applied { created: 0, changed, .. } => format!("changed {changed} objects"),
        Applied { created, changed, .. } => {
            format!("applied {created} new and {changed} changed objects")
        }
    };
    output::line(&format!(
        "fleetwright {}   {} · API ready in {:.2} s · {applied} · data {}{new}",
        env!("CARGO_PKG_VERSION"),
        World::of(asked.simulate).notice(),
        served.as_secs_f64(),
        dir.path().display(),
    ));
}

/// Runs the controllers and follows what they do.
async fn run(
    asked: &Up,
    hub: &mut Hub,
    ready: &Cell<bool>,
    began: Instant,
) -> anyhow::Result<Exit> {
    let context = hub.context.clone();
    let fleet = Fleet {
        hub: hub_id(&context.client, context.ids.as_ref())
            .await
            .context("learning who this hub is")?,
        context,
        clouds: hub.wiring.clouds.clone(),
        connector: Arc::clone(&hub.wiring.connector),
        token_command: hub.wiring.token_command.clone(),
    };
    let mut follower = Follower::new(asked, fleet.clone(), began);
    let kubeconfig = hub.kubeconfig.clone();
    let controllers = fleetwright_controllers::run(fleet);
    let following = async {
        let deadline = asked.once.then(|| began.checked_add(asked.timeout)).flatten();
        let end = follower.until_ready(deadline).await;
        follower.report(end, &kubeconfig);
        match end {
            End::Ready if !asked.once => {
                ready.set(true);
                follower.forever().await;
                Exit::Done
            }
            End::Ready => Exit::Done,
            End::Stuck => Exit::Failed,
            End::OutOfTime => Exit::NotReady,
        }
    };
    tokio::select! {
        biased;
        exit = following => Ok(exit),
        error = hub.broken() => Err(error),
        () = controllers => Err(anyhow::anyhow!("the controllers ended by themselves")),
    }
}
