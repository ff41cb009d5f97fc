//! The program: flags, wiring and output around crates that do the work.
//!
//! `up` runs the embedded API server and all controllers, `run` the controllers alone; `plan` says what they would do;
//! [`look`], [`safety`] and [`sim`] hold the verbs that find a running hub through [`reach`]; `token` is what kubeconfigs
//! of members call. Every decision is elsewhere: reading and judging manifests in `verbs`, clusters in `plan` and
//! `controllers`. [`simulated`] and [`real`] are the only two places that know which world this is. Start at [`up`].

mod cli;
mod data_dir;
mod exit;
mod files;
mod http_out;
mod hub;
mod look;
mod metrics_server;
mod output;
mod over_hosts;
mod plan;
mod reach;
mod reading_hosts;
mod real;
mod render;
mod run;
mod safety;
mod sim;
mod simulated;
mod token;
mod up;
mod wiring;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use fleetwright_telemetry::{Config, Shutdown};

use crate::cli::{Cli, Command};
use crate::exit::Exit;

/// Spans that are still on their way to a collector get this long at the end.
const FLUSH: Duration = Duration::from_secs(2);

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version go to stdout with code 0, mistakes to stderr; clap's own code for them would be 2, which is ours
        // for "there are changes".
        Err(error) => {
            let failed = error.use_stderr();
            return if error.print().is_err() || failed { Exit::Failed } else { Exit::Done }.into();
        }
    };
    match run(&cli) {
        Ok(exit) => exit.into(),
        Err(error) => {
            output::complain(&format!("error: {error:#}"));
            Exit::Failed.into()
        }
    }
}

fn run(cli: &Cli) -> anyhow::Result<Exit> {
    let mut config = Config::new("fleetwright", env!("CARGO_PKG_VERSION"));
    config.filter = cli.log_filter();
    let guard = fleetwright_telemetry::init(config)?;
    let registry = guard.registry();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let exit = runtime.block_on(async {
        let shutdown = Shutdown::on_signals()?;
        match &cli.command {
            Command::Up(asked) => up::up(asked, registry, &shutdown).await,
            Command::Run(asked) => run::run(asked, registry, &shutdown).await,
            Command::Plan(asked) => or_interrupted(&shutdown, plan::plan(asked)).await,
            Command::Get(asked) => or_interrupted(&shutdown, look::get(asked)).await,
            Command::Why(asked) => or_interrupted(&shutdown, look::explain(asked)).await,
            Command::Render(asked) => or_interrupted(&shutdown, render::render(asked)).await,
            Command::History(asked) => or_interrupted(&shutdown, look::history(asked)).await,
            Command::Freeze(asked) => or_interrupted(&shutdown, safety::freeze(asked)).await,
            Command::Thaw(asked) => or_interrupted(&shutdown, safety::thaw(asked)).await,
            Command::Forget(asked) => or_interrupted(&shutdown, safety::forget_one(asked)).await,
            Command::Sim(asked) => or_interrupted(&shutdown, sim::sim(asked)).await,
            Command::Token(asked) => {
                or_interrupted(&shutdown, token::token(asked, cli.simulated.as_ref())).await
            }
        }
    });
    runtime.shutdown_timeout(FLUSH);
    if let Err(error) = guard.shutdown(FLUSH) {
        tracing::warn!(%error, "ending without the last traces");
    }
    exit
}

/// A verb that ends at the first signal.
async fn or_interrupted(
    shutdown: &Shutdown,
    verb: impl Future<Output = anyhow::Result<Exit>>,
) -> anyhow::Result<Exit> {
    tokio::select! {
        biased;
        exit = verb => exit,
        () = shutdown.requested() => Ok(Exit::Interrupted),
    }
}
