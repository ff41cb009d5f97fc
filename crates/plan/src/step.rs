//! Steps: every detail filled in, nothing left to choose while acting.

use std::fmt;
use std::time::Duration;

use fleetwright_names::{Owner, PoolName, sha256_hex};
use serde_json::Value;

use crate::{Address, Problem};

/// A resource in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Resource {
    /// The control plane.
    Cluster,
    /// A node pool.
    Pool(PoolName),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("control plane"),
            Self::Pool(name) => write!(f, "pool {name}"),
        }
    }
}

/// A write to a cloud. Idempotent: its token is the same for the same object, generation and deed.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudStep {
    /// Where.
    pub address: Address,
    /// On what.
    pub resource: Resource,
    /// For whom: the act checks the tags again before it destroys anything.
    pub owner: Owner,
    /// The deed.
    pub action: CloudAction,
    /// The cloud's idempotency token: 64 hexadecimal digits.
    pub token: String,
}

/// What is done to a cloud resource.
#[derive(Debug, Clone, PartialEq)]
pub enum CloudAction {
    /// Make it. The cloud refuses when the name is taken, which is our precondition.
    Create {
        /// The cloud's request, in the provider's own JSON.
        body: Value,
    },
    /// Destroy it, if its tags still say it is ours.
    Delete,
    /// Let it go: our tags become `fleetwright.dev/released`.
    Release,
}

impl CloudAction {
    /// One word for logs, events and tokens.
    #[must_use]
    pub const fn verb(&self) -> &'static str {
        match self {
            Self::Create { .. } => "Create",
            Self::Delete => "Delete",
            Self::Release => "Release",
        }
    }
}

impl CloudStep {
    /// A step with its deterministic token.
    #[must_use]
    pub fn new(
        address: Address,
        resource: Resource,
        owner: Owner,
        generation: i64,
        action: CloudAction,
    ) -> Self {
        let token = sha256_hex(format!("{}/{generation}/{}/{resource}", owner.uid, action.verb()));
        Self { address, resource, owner, action, token }
    }
}

/// A write to a member's own API.
#[derive(Debug, Clone, PartialEq)]
pub enum MemberStep {
    /// Set (or with `None` remove) labels of a namespace.
    LabelNamespace {
        /// The namespace.
        namespace: String,
        /// The labels to set or remove, sorted.
        labels: Vec<(String, Option<String>)>,
    },
    /// Create or replace a NetworkPolicy of ours.
    PutNetworkPolicy {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
        /// The whole object.
        object: Value,
    },
    /// Remove a NetworkPolicy of ours that no policy asks for any more.
    DeleteNetworkPolicy {
        /// The namespace.
        namespace: String,
        /// The name.
        name: String,
    },
}

/// A write to the hub's own API, beside the status.
#[derive(Debug, Clone, PartialEq)]
pub enum HubStep {
    /// Create or replace the Secret that tells clients how to reach the cluster.
    PutConnection {
        /// The whole Secret.
        object: Value,
    },
    /// Remove that Secret.
    DeleteConnection {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// To a cloud.
    Cloud(CloudStep),
    /// To the hub's own API.
    Hub(HubStep),
    /// To a member's own API.
    Member(MemberStep),
}

impl Step {
    /// The reason of the Event that tells of this step once it is done.
    #[must_use]
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Cloud(step) => match step.action {
                CloudAction::Create { .. } => "CreateRequested",
                CloudAction::Delete => "DeleteRequested",
                CloudAction::Release => "Released",
            },
            Self::Hub(HubStep::PutConnection { .. }) => "ConnectionWritten",
            Self::Hub(HubStep::DeleteConnection { .. }) => "ConnectionRemoved",
            Self::Member(MemberStep::LabelNamespace { .. }) => "NamespaceLabelled",
            Self::Member(MemberStep::PutNetworkPolicy { .. }) => "NetworkPolicyWritten",
            Self::Member(MemberStep::DeleteNetworkPolicy { .. }) => "NetworkPolicyRemoved",
        }
    }
}

/// What holds us back, and on whom.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Waiting {
    /// What we wait for.
    pub what: String,
    /// Who can end the wait: a cloud, a person, a window.
    pub on: String,
}

impl Waiting {
    /// Waits for `what`, on `on`.
    #[must_use]
    pub fn new(what: impl Into<String>, on: impl Into<String>) -> Self {
        Self { what: what.into(), on: on.into() }
    }
}

/// What to do now, and what holds the rest back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The generation of the object this plan is for.
    pub generation: i64,
    /// Writes, in order.
    pub steps: Vec<Step>,
    /// What we wait for.
    pub waiting: Vec<Waiting>,
    /// What we will not do, and why.
    pub refused: Vec<Problem>,
    /// When to look again; `None`: when something changes.
    pub requeue: Option<Duration>,
    /// Nothing of ours is left, so the object may go. Only ever true for a deletion.
    pub gone: bool,
}

impl Plan {
    /// Nothing to do, nothing to wait for, nothing refused.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.steps.is_empty() && self.waiting.is_empty() && self.refused.is_empty()
    }
}
