//! Steps: every detail filled in, nothing left to choose while acting.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fleetwright_names::{Owner, PoolName, Uid, sha256_hex};
use jiff::Timestamp;
use serde_json::Value;

use crate::{Address, Difference, ObjectRef, PartKey, Problem, Replacement, Update};

/// A resource in a cloud.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Resource {
    /// The control plane.
    Cluster,
    /// A node pool.
    Pool(PoolName),
    /// A further part: an add-on of the cloud's, an access entry, …
    Part(PartKey),
}

impl fmt::Display for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("control plane"),
            Self::Pool(name) => write!(f, "pool {name}"),
            Self::Part(key) => key.fmt(f),
        }
    }
}

/// A write to a cloud. Idempotent: its token is the same for the same object, generation, deed and attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct CloudStep {
    /// Where.
    pub address: Address,
    /// On what.
    pub resource: Resource,
    /// For whom: the act checks the tags again before it destroys anything.
    pub owner: Owner,
    /// The generation of the object that asks for it.
    pub generation: i64,
    /// The deed.
    pub action: CloudAction,
    /// The cloud's idempotency token: 64 hexadecimal digits.
    pub token: String,
    /// For the creation of a pool: the pool it succeeds, and why.
    pub replaces: Option<Replacement>,
}

/// What is done to a cloud resource.
#[derive(Debug, Clone, PartialEq)]
pub enum CloudAction {
    /// Make it. The cloud refuses when the name is taken, which is our precondition.
    Create {
        /// The cloud's request, in the provider's own JSON.
        body: Value,
    },
    /// Change it in place.
    Update(Update),
    /// Make it ours by these tags, if nobody else has claimed it meanwhile.
    Claim {
        /// All tags it shall bear.
        tags: BTreeMap<String, String>,
        /// The uid that its tags name now; `None`: no tag of ours.
        from: Option<Uid>,
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
            Self::Update(_) => "Update",
            Self::Claim { .. } => "Claim",
            Self::Delete => "Delete",
            Self::Release => "Release",
        }
    }
}

impl CloudStep {
    /// A step with its deterministic token. `attempt` tells apart two equal deeds in one generation: for a second repair of
    /// the same field the id of the last change that the cloud took on, for a second making the time, or nothing.
    #[must_use]
    pub fn new(
        address: Address,
        resource: Resource,
        (owner, generation): (Owner, i64),
        action: CloudAction,
        attempt: &str,
    ) -> Self {
        let deed = match &action {
            CloudAction::Update(update) => {
                format!("Update {} {} {attempt}", update.what, sha256_hex(update.body.to_string()))
            }
            other => format!("{}{attempt}", other.verb()),
        };
        let token = sha256_hex(format!("{}/{generation}/{deed}/{resource}", owner.uid));
        Self { address, resource, owner, generation, action, token, replaces: None }
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
    /// Let a pool's nodes take no new pods and ask those that are there to leave; one pass, repeated until they have.
    Drain {
        /// The pool.
        pool: PoolName,
        /// The label selector of its nodes.
        selector: String,
        /// That of its successor's nodes, which must take the pods: if they were being drained themselves, because a
        /// replacement was taken back, they no longer are. Empty: there are none.
        onto: String,
        /// Delete pods that a disruption budget keeps.
        force: bool,
    },
    /// Remove an object whose end is the end of something outside the cluster.
    DeleteOutside {
        /// In words.
        what: String,
        /// The object.
        object: ObjectRef,
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
    /// Create or replace the cluster Secret of an Argo CD.
    PutRegistration {
        /// The whole Secret.
        object: Value,
    },
    /// Remove that Secret.
    DeleteRegistration {
        /// Its namespace.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// One write.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "a plan holds few steps, and nearly all are for a cloud"
)]
pub enum Step {
    /// To a cloud.
    Cloud(CloudStep),
    /// To the hub's own API.
    Hub(HubStep),
    /// To a member's own API.
    Member(MemberStep),
}

impl Step {
    /// The cloud resource that it works on, if it is one.
    #[must_use]
    pub fn resource(&self) -> Option<Resource> {
        match self {
            Self::Cloud(step) => Some(step.resource.clone()),
            Self::Member(MemberStep::Drain { pool, .. }) => Some(Resource::Pool(pool.clone())),
            Self::Hub(_) | Self::Member(_) => None,
        }
    }

    /// Whether something is gone for good after it.
    #[must_use]
    pub const fn destroys(&self) -> bool {
        matches!(
            self,
            Self::Cloud(CloudStep { action: CloudAction::Delete, .. })
                | Self::Member(MemberStep::DeleteOutside { .. })
        )
    }

    /// The fields that it makes right, for a change in place and for a pool that succeeds another.
    #[must_use]
    pub fn differences(&self) -> Option<&[Difference]> {
        match self {
            Self::Cloud(CloudStep { action: CloudAction::Update(update), .. }) => {
                Some(&update.differences)
            }
            Self::Cloud(CloudStep { replaces: Some(replaces), .. }) => Some(&replaces.differences),
            Self::Cloud(_) | Self::Hub(_) | Self::Member(_) => None,
        }
    }

    /// The reason of the Event that tells of this step once it is done.
    #[must_use]
    pub const fn event(&self) -> &'static str {
        match self {
            Self::Cloud(step) => match step.action {
                CloudAction::Create { .. } => "CreateRequested",
                CloudAction::Update(_) => "UpdateRequested",
                CloudAction::Claim { .. } => "Claimed",
                CloudAction::Delete => "DeleteRequested",
                CloudAction::Release => "Released",
            },
            Self::Hub(HubStep::PutConnection { .. }) => "ConnectionWritten",
            Self::Hub(HubStep::DeleteConnection { .. }) => "ConnectionRemoved",
            Self::Member(MemberStep::LabelNamespace { .. }) => "NamespaceLabelled",
            Self::Member(MemberStep::PutNetworkPolicy { .. }) => "NetworkPolicyWritten",
            Self::Member(MemberStep::DeleteNetworkPolicy { .. }) => "NetworkPolicyRemoved",
            Self::Member(MemberStep::Drain { .. }) => "Draining",
            Self::Member(MemberStep::DeleteOutside { .. }) => "CleanUpRequested",
            Self::Hub(HubStep::PutRegistration { .. }) => "Registered",
            Self::Hub(HubStep::DeleteRegistration { .. }) => "Deregistered",
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
    /// When it ends at the latest, where that is known.
    pub until: Option<Timestamp>,
}

impl Waiting {
    /// Waits for `what`, on `on`.
    #[must_use]
    pub fn new(what: impl Into<String>, on: impl Into<String>) -> Self {
        Self { what: what.into(), on: on.into(), until: None }
    }
}

/// A write that is decided but must wait.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// The write.
    pub step: Step,
    /// What it waits for, in a few words, for example `window Tue 02:00`, `control plane`.
    pub why: String,
    /// When the wait ends at the latest, where that is known.
    pub until: Option<Timestamp>,
}

/// What to do now, and what holds the rest back.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The generation of the object this plan is for.
    pub generation: i64,
    /// Writes, in order.
    pub steps: Vec<Step>,
    /// Writes that are decided but must wait, in order.
    pub held: Vec<Held>,
    /// What we wait for.
    pub waiting: Vec<Waiting>,
    /// What we will not do, and why.
    pub refused: Vec<Problem>,
    /// What differs and is left as it is because the mode says so. Does not keep a plan from being settled.
    pub ignored: Vec<Difference>,
    /// When to look again; `None`: when something changes.
    pub requeue: Option<Duration>,
    /// Nothing of ours is left, so the object may go. Only ever true for a deletion.
    pub gone: bool,
}

impl Plan {
    /// Nothing to do, nothing held, nothing to wait for, nothing refused.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.steps.is_empty()
            && self.held.is_empty()
            && self.waiting.is_empty()
            && self.refused.is_empty()
    }

    /// Every field that differs and will be made right, now or later, sorted.
    #[must_use]
    pub fn differences(&self) -> Vec<Difference> {
        let held = self.held.iter().map(|held| &held.step);
        let mut found: Vec<Difference> = self
            .steps
            .iter()
            .chain(held)
            .filter_map(Step::differences)
            .flatten()
            .cloned()
            .collect();
        found.sort();
        found.dedup();
        found
    }
}
