//! The flags.

mod verbs;

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use self::verbs::{
    Control, Document, Fault, FaultName, Forget, Freeze, Get, One, Render, Shown, Sim, Thaw,
    WhichHub, object_key,
};

/// The end of every help text.
const EXIT_CODES: &str = "\
Exit codes: 0 done, 1 failed or invalid, 2 plan has changes, 3 not ready in time, 130 interrupted,
141 nobody reads the output any more.
Logs go to stderr; FLEETWRIGHT_LOG filters them (for example debug), FLEETWRIGHT_LOG_FORMAT=json makes them JSON.";

const EXAMPLES: &str = "\
Examples:
  fleetwright up --simulate -f docs/examples/fleet     try it: no account, no credentials, nothing to pay
  fleetwright plan --simulate -f docs/examples/fleet   what would change
  fleetwright up -f clusters/                          the real thing, with the cloud credentials of this environment";

/// Control plane for fleets of Kubernetes clusters.
#[derive(Debug, Parser)]
#[command(name = "fleetwright", version, after_help = format!("{EXAMPLES}\n\n{EXIT_CODES}"))]
pub(crate) struct Cli {
    /// Tokens of the simulated clouds; kubeconfigs of simulated clusters pass it, with the folder of their hub.
    #[arg(long, hide = true, value_name = "DIR", num_args = 0..=1, require_equals = true)]
    pub(crate) simulated: Option<Option<PathBuf>>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the API and all controllers on this machine, and make the clusters as declared
    #[command(after_help = format!("{UP_EXAMPLES}\n\n{EXIT_CODES}"))]
    Up(Up),
    /// Run the controllers against any Kubernetes API server; of several such processes one leads
    #[command(after_help = format!("{RUN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Run(Run),
    /// Say what the controllers would do, for the fleet as it is or with these files, and do nothing
    #[command(after_help = format!("{PLAN_EXAMPLES}\n\n{EXIT_CODES}"))]
    Plan(Plan),
    /// List the clusters, and what holds them back
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::GET_EXAMPLES))]
    Get(Get),
    /// Say why a cluster is not Ready, down to the cause, and what can be done
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::WHY_EXAMPLES))]
    Why(One),
    /// Print the cloud requests and member objects that files mean; asks nobody
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::RENDER_EXAMPLES))]
    Render(Render),
    /// List what was done for a cluster: every call that changed something, or failed to
    #[command(after_help = EXIT_CODES)]
    History(One),
    /// Stop every write to clouds and members, deletes included
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::SAFETY_EXAMPLES))]
    Freeze(Freeze),
    /// End a freeze, and let deletes go on after the fuse has tripped
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::SAFETY_EXAMPLES))]
    Thaw(Thaw),
    /// Let an object go whose deletion cannot end, and write down what stays behind
    #[command(after_help = EXIT_CODES)]
    Forget(Forget),
    /// Let things go wrong in a simulated cloud
    #[command(after_help = format!("{}\n\n{EXIT_CODES}", verbs::SIM_EXAMPLES))]
    Sim(Sim),
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
  fleetwright plan                                  what the running hub would do now
  fleetwright plan -f next/                         with these files over it, or against the cloud where there is no hub
  fleetwright plan --kubeconfig hub.yaml -f next/   against another hub
  fleetwright plan -f next/ -o markdown             for a pull request";

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
    /// Address of /metrics, /healthz and /readyz, over plain HTTP, for example 127.0.0.1:9464 [default: none]
    #[arg(long, value_name = "ADDR", alias = "metrics")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

const RUN_EXAMPLES: &str = "\
Examples:
  kubectl apply -f api/crds; fleetwright run --kubeconfig hub.yaml   with the cloud credentials of this environment
  fleetwright run --kubeconfig hub.yaml --simulate                   try it on a cluster of yours, with emulated clouds";

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// The API server that holds the declarations [default: the cluster this runs in, or KUBECONFIG]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// Emulate the clouds in this process: read no credentials, call nobody
    #[arg(long)]
    pub(crate) simulate: bool,
    /// With --simulate: where the emulated clouds live [default: a folder that is removed at the end]
    #[arg(long, value_name = "DIR", requires = "simulate")]
    pub(crate) data: Option<PathBuf>,
    /// Name of this process in the lease; some random letters are added [default: the host's name]
    #[arg(long, value_name = "NAME")]
    pub(crate) identity: Option<String>,
    /// Address of /metrics, /healthz and /readyz, over plain HTTP [default: 127.0.0.1:9464, or a free port]
    #[arg(long, value_name = "ADDR", alias = "metrics")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// Do not wait for a lease: this is the only process, and stays it
    #[arg(long)]
    pub(crate) no_leader_election: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Plan {
    /// Manifests: files, or folders with .yaml, .yml and .json files; may be repeated [default: the hub as it is]
    #[arg(short = 'f', value_name = "DIR|FILE")]
    pub(crate) files: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) hub: WhichHub,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = PlanFormat::Text)]
    pub(crate) output: PlanFormat,
}

#[derive(Debug, Args)]
pub(crate) struct Token {
    /// The cloud: eks, aks or k3s
    #[arg(long)]
    pub(crate) provider: String,
    /// eks, aks: the cloud's region
    #[arg(long, required_if_eq_any([("provider", "eks"), ("provider", "aks")]))]
    pub(crate) region: Option<String>,
    /// The cluster's name in the cloud; for aks SUBSCRIPTION/RESOURCE-GROUP/NAME, for k3s NAMESPACE/NAME on the hub
    #[arg(long)]
    pub(crate) cluster: String,
    /// k3s: a server of the cluster; several are tried in turn
    #[arg(long = "host", value_name = "[USER@]HOST[:PORT]")]
    pub(crate) hosts: Vec<String>,
    /// k3s: a jump host on the way, nearest first; may be repeated
    #[arg(long = "jump", value_name = "[USER@]HOST[:PORT]")]
    pub(crate) jumps: Vec<String>,
    /// k3s: a host key to trust, as a line of OpenSSH's known_hosts; may be repeated
    #[arg(long = "known-host", value_name = "LINE")]
    pub(crate) known_hosts: Vec<String>,
    /// k3s: the private key to sign in with [default: FLEETWRIGHT_SSH_KEY, or ~/.ssh/id_ed25519]
    #[arg(long, value_name = "FILE")]
    pub(crate) key: Option<PathBuf>,
    /// eks: the role to take on first
    #[arg(long, value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
    /// eks: what that role's trust policy asks for besides
    #[arg(long, value_name = "TEXT", requires = "role_arn")]
    pub(crate) external_id: Option<String>,
    /// aks: the Entra tenant [default: that of the environment]
    #[arg(long, value_name = "ID")]
    pub(crate) tenant_id: Option<String>,
}

/// For people, for programs, or for a pull request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
    /// Markdown for a pull request
    Markdown,
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
            Command::Run(_) => std::io::stderr().is_terminal(),
            Command::Plan(_)
            | Command::Get(_)
            | Command::Why(_)
            | Command::Render(_)
            | Command::History(_)
            | Command::Freeze(_)
            | Command::Thaw(_)
            | Command::Forget(_)
            | Command::Sim(_)
            | Command::Token(_) => true,
        };
        // What these libraries warn of comes back as an error, which we tell in our own words.
        quiet.then(|| "warn,kube_client=off,aws_config=off".to_owned())
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let seconds = fleetwright_api_types::duration_seconds(text);
    seconds.map(Duration::from_secs).ok_or_else(|| "write it like 90s, 10m or 1h".to_owned())
}
