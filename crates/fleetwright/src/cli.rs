//! The flags.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// The end of every help text.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed or invalid, 2 plan has changes, 3 not ready in time, 130 interrupted,
141 nobody reads the output any more.
Logs go to stderr; FLEETWRIGHT_LOG filters them (for example debug), FLEETWRIGHT_LOG_FORMAT=json makes them JSON.";

const EXAMPLES: &str = "\
Examples:
  fleetwright up --simulate -f docs/examples/fleet     try it: no account, no credentials, nothing to pay
  fleetwright plan --simulate -f docs/examples/fleet   what would change
  fleetwright up -f clusters/                          the real thing, with the AWS credentials of this environment";

/// Control plane for fleets of Kubernetes clusters.
#[derive(Debug, Parser)]
#[command(name = "fleetwright", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    /// Tokens of the simulated cloud; kubeconfigs of simulated clusters pass it.
    #[arg(long, hide = true)]
    pub(crate) simulated: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and all controllers on this machine, and make the clusters as declared
    #[command(after_help = format!("{UP_EXAMPLES}\n\n{EXIT_CODES}"))]
    Up(Up),
    /// Say what `up` would do with these files, and do nothing
    #[command(after_help = format!("{PLAN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Plan(Plan),
    /// Print a token for one cluster's API; kubeconfigs call this
    #[command(after_help = EXIT_CODES)]
    Token(Token),
}

const UP_EXAMPLES: &str = "\
Examples:
  fleetwright up --simulate -f docs/examples/fleet          keeps running; Ctrl-C stops, the next `up` resumes
  fleetwright up --simulate --once -f docs/examples/fleet   ends when all is Ready";

const PLAN_EXAMPLES: &str = "\
Examples:
  fleetwright plan -f next/                         against the running hub, or the cloud itself where there is none
  fleetwright plan --kubeconfig hub.yaml -f next/   against another hub";

#[derive(Debug, Args)]
pub(crate) struct Up {
    /// Emulate the clouds: read no credentials, call nobody
    #[arg(long)]
    pub(crate) simulate: bool,
    /// End as soon as everything is Ready
    #[arg(long)]
    pub(crate) once: bool,
    /// Where state lives [default: fleetwright/simulated or fleetwright/real in the user's data folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Address of the API [default: 127.0.0.1:7443, or a free port when that is taken]
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Manifests to apply first: files, or folders with .yaml, .yml and .json files; may be repeated
    #[arg(short = 'f', value_name = "DIR|FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// With --once: give up after this time, for example 90s, 10m, 1h
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// Output format
    #[arg(short, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Manifests: files, or folders with .yaml, .yml and .json files; may be repeated
    #[arg(short = 'f', value_name = "DIR|FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// The data folder of the hub to compare with [default: that of `up`]
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig")]
    pub(crate) data: Option<PathBuf>,
    /// The hub to compare with
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Compare with the simulated hub
    #[arg(long)]
    pub(crate) simulate: bool,
    /// Output format
    #[arg(short, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The cloud, for example eks
    #[arg(long)]
    pub(crate) provider: String,
    /// The cloud's region
    #[arg(long)]
    pub(crate) region: String,
    /// The cluster's name in the cloud
    #[arg(long)]
    pub(crate) cluster: String,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
}

impl Cli {
    /// What is logged unless the environment says otherwise. A person at a terminal reads the results; a service that is
    /// run by `up` leaves a full record.
    pub(crate) fn log_filter(&self) -> Option<String> {
        if std::env::var_os(fleetwright_telemetry::config::FILTER_VARIABLE).is_some() {
            return None;
        }
        let quiet = match &self.command {
            Command::Up(up) => up.once || std::io::stderr().is_terminal(),
            Command::Plan(_) | Command::Token(_) => true,
        };
        // What these libraries warn of comes back as an error, which we tell in our own words.
        quiet.then(|| "warn,kube_client=off,aws_config=off".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let hint = || "write it like 90s, 10m or 1h".to_owned();
    let unit = text.chars().last().ok_or_else(hint)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return Err(hint()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_invalid| hint())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(hint)
}
