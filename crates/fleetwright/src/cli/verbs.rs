//! The flags of the verbs that look at a hub, or ask it for something small.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use fleetwright_names::ObjectKey;

use super::Format;

pub(super) const GET_EXAMPLES: &str = "\
Examples:
  fleetwright get                                      every cluster, and what holds it back
  fleetwright get payments/payments-eu --effective     what absent fields mean, and where each value comes from";

pub(super) const WHY_EXAMPLES: &str = "\
Examples:
  fleetwright why payments/payments-eu      why it is not Ready, down to the cloud's request id, and what you can do";

pub(super) const RENDER_EXAMPLES: &str = "\
Examples:
  fleetwright render -f clusters/           the cloud requests and the objects on members that these files mean
  fleetwright render -f clusters/ -o json   for a program; neither a hub nor a cloud is asked";

pub(super) const SIM_EXAMPLES: &str = "\
Examples:
  fleetwright sim fault payments/payments-eu capacity --pool general
  fleetwright sim fault all throttle --operation DescribeCluster --times 5
  fleetwright sim drift payments/payments-eu eks.network.endpoint.publicCidrs=0.0.0.0/0
  fleetwright sim drift retail/retail-we 'nodePools[web].size.max=30'
  fleetwright sim faults; fleetwright sim clear";

pub(super) const SAFETY_EXAMPLES: &str = "\
Examples:
  fleetwright freeze --reason 'incident 4711'     no write to any cloud or member, within 5 seconds
  fleetwright thaw                                ends it, and resets the fuse for deletes";

/// Which hub.
#[derive(Debug, Args)]
pub(crate) struct WhichHub {
    /// The data folder of the hub [default: that of `up`]
    #[arg(long, value_name = "DIR", conflicts_with = "kubeconfig", global = true)]
    pub(crate) data: Option<PathBuf>,
    /// The hub's kubeconfig [default: that of the `up` that runs]
    #[arg(long, value_name = "FILE", global = true)]
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The simulated hub
    #[arg(long, global = true)]
    pub(crate) simulate: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Get {
    /// Clusters, as NAMESPACE/NAME or, with -n, as NAME [default: all]
    #[arg(value_name = "CLUSTER")]
    pub(crate) clusters: Vec<String>,
    /// Only this namespace
    #[arg(short = 'n', long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// The declarations, with the meaning of every absent field filled in
    #[arg(long)]
    pub(crate) effective: bool,
    #[command(flatten)]
    pub(crate) hub: WhichHub,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Shown::Text)]
    pub(crate) output: Shown,
}

/// One cluster of a hub.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The cluster, as NAMESPACE/NAME
    #[arg(value_name = "NAMESPACE/NAME", value_parser = object_key)]
    pub(crate) cluster: ObjectKey,
    #[command(flatten)]
    pub(crate) hub: WhichHub,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

#[derive(Debug, Args)]
pub(crate) struct Render {
    /// Manifests: files, or folders with .yaml, .yml and .json files; may be repeated
    #[arg(short = 'f', value_name = "DIR|FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Output format
    #[arg(short, long, value_enum, default_value_t = Document::Yaml)]
    pub(crate) output: Document,
}

#[derive(Debug, Args)]
pub(crate) struct Freeze {
    /// Why, for whoever wonders
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
    #[command(flatten)]
    pub(crate) hub: WhichHub,
}

#[derive(Debug, Args)]
pub(crate) struct Thaw {
    #[command(flatten)]
    pub(crate) hub: WhichHub,
}

#[derive(Debug, Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    pub(crate) one: One,
    /// Why, for the history
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: String,
}

#[derive(Debug, Args)]
pub(crate) struct Sim {
    #[command(subcommand)]
    pub(crate) control: Control,
    #[command(flatten)]
    pub(crate) hub: WhichHub,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Control {
    /// Let something go wrong, until it is cleared
    Fault(Fault),
    /// List what goes wrong
    Faults,
    /// Let nothing go wrong any more
    Clear {
        /// Only for this cluster, as NAMESPACE/NAME
        #[arg(value_name = "NAMESPACE/NAME", value_parser = object_key)]
        cluster: Option<ObjectKey>,
    },
    /// Change something in the cloud behind everybody's back
    Drift {
        /// The cluster, as NAMESPACE/NAME
        #[arg(value_name = "NAMESPACE/NAME", value_parser = object_key)]
        cluster: ObjectKey,
        /// What, in the words of its spec, and to what: JSON, a text, or texts between commas
        #[arg(value_name = "PATH=VALUE")]
        change: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Fault {
    /// The cluster, as NAMESPACE/NAME; `all` for every call
    #[arg(value_name = "NAMESPACE/NAME")]
    pub(crate) cluster: String,
    /// What goes wrong
    #[arg(value_enum)]
    pub(crate) kind: FaultName,
    /// Only for this node pool
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// Only for this operation, for example CreateNodegroup
    #[arg(long, value_name = "NAME")]
    pub(crate) operation: Option<String>,
    /// Only so many times
    #[arg(long, value_name = "N")]
    pub(crate) times: Option<u32>,
    /// For `slow`: how late answers come, for `stale`: how long they are old
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = super::duration)]
    pub(crate) by: std::time::Duration,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FaultName {
    /// Calls are throttled
    Throttle,
    /// Quotas are used up
    Quota,
    /// No machines can be had
    Capacity,
    /// Answers come late
    Slow,
    /// Calls have their effect, and their answers get lost
    LostAnswer,
    /// Access is denied
    Denied,
    /// Credentials have expired
    ExpiredCredentials,
    /// Reads show what was before the last change
    Stale,
    /// The next update fails
    UpdateFails,
    /// Something stands in the way of the next version
    UpgradeBlocked,
}

/// For people or for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Shown {
    /// Lines for people
    Text,
    /// One JSON document
    Json,
    /// YAML documents
    Yaml,
}

/// For programs, and for people who read documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Document {
    /// YAML documents
    Yaml,
    /// One JSON list
    Json,
}

/// Reads NAMESPACE/NAME.
pub(crate) fn object_key(text: &str) -> Result<ObjectKey, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok(ObjectKey::namespaced(namespace, name))
        }
        _ => Err("write it as NAMESPACE/NAME, for example payments/payments-eu".to_owned()),
    }
}
