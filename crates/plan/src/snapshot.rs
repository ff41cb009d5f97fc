//! What the world looks like, as far as we could see.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_names::PoolName;
use jiff::Timestamp;
use serde_json::Value;

use crate::PartKey;

/// A thing that is there, is not there, or could not be seen.
#[derive(Debug, Clone, PartialEq)]
pub enum Seen<T> {
    /// The cloud says: there is none.
    Absent,
    /// It is there.
    Present(T),
    /// We asked and do not know, for example after a timeout. The only right step is to look again.
    Unknown {
        /// When we asked.
        since: Timestamp,
        /// Why there is no answer, for a person.
        why: String,
    },
}

impl<T> Seen<T> {
    /// The thing, if it is there.
    pub const fn present(&self) -> Option<&T> {
        match self {
            Self::Present(thing) => Some(thing),
            Self::Absent | Self::Unknown { .. } => None,
        }
    }
}

/// What a cloud resource is busy with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub enum Phase {
    /// Being made; not usable yet.
    Creating,
    /// Usable.
    Active,
    /// Usable, and changing.
    Updating,
    /// Going away.
    Deleting,
    /// Broken, by the cloud's own account.
    Failed,
}

/// A cluster and all that belongs to it, as seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Who we are in that cloud.
    pub credentials: Credentials,
    /// The control plane.
    pub cluster: Seen<SeenCluster>,
    /// Every pool that the cloud lists, ours or not.
    pub pools: BTreeMap<PoolName, Seen<SeenPool>>,
    /// Every further part that the cloud lists, ours or not.
    pub parts: BTreeMap<PartKey, Seen<SeenPart>>,
    /// What was seen on the member's own API; the provider leaves it empty.
    pub member: MemberView,
    /// For how long the cloud asked not to be asked again, if it did; the longest of several.
    pub retry_after: Option<Duration>,
}

impl Snapshot {
    /// Nothing is there.
    #[must_use]
    pub fn absent() -> Self {
        Self::of(Seen::Absent)
    }

    /// A control plane and nothing else.
    #[must_use]
    pub fn of(cluster: Seen<SeenCluster>) -> Self {
        Self {
            credentials: Credentials::NotAsked,
            cluster,
            pools: BTreeMap::new(),
            parts: BTreeMap::new(),
            member: MemberView::default(),
            retry_after: None,
        }
    }
}

/// Who we are in a cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nobody asked.
    NotAsked,
    /// The cloud knows us.
    Valid {
        /// The account: twelve digits on AWS.
        account: String,
        /// Who we are there: an ARN on AWS.
        principal: String,
        /// When that ends for good: what will be renewed in time does not end.
        expires_at: Option<Timestamp>,
    },
    /// It does not, or there is nothing to show.
    Failed {
        /// One PascalCase word: `Expired`, `SecretMissing`, `AssumeRoleDenied`, `CredentialsMissing`, `Unauthorized`.
        code: String,
        /// For a person.
        why: String,
    },
}

/// The last change that the cloud took on for a resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenUpdate {
    /// The cloud's id of it.
    pub id: String,
    /// The kind of change, in the words of [`crate::Update::what`]; where the cloud's own record of it fits several, in
    /// that of the difference that was found. `create` and `delete` are beginning and end.
    pub what: String,
    /// How it stands.
    pub state: UpdateState,
    /// What went wrong, in the cloud's words; empty when nothing did.
    pub trouble: String,
    /// When it began.
    pub at: Timestamp,
}

/// How a change stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateState {
    /// Under way.
    InProgress,
    /// Done.
    Successful,
    /// Given up by the cloud.
    Failed,
    /// Given up on request.
    Cancelled,
}

/// A further part of a cluster, as seen in the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPart {
    /// All its tags.
    pub tags: BTreeMap<String, String>,
    /// What it is busy with.
    pub phase: Phase,
    /// What is broken, in the cloud's words; empty when nothing is.
    pub trouble: String,
    /// The last change, where the provider asked for it.
    pub last_update: Option<SeenUpdate>,
    /// The rest of what the cloud said, in the provider's own JSON; only the provider's diff reads it.
    pub body: Value,
}

/// What was seen on the member's own API.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MemberView {
    /// Pools that are to be emptied.
    pub drains: BTreeMap<PoolName, Drain>,
    /// What the cluster made outside itself. `None`: not looked for, or not to be seen.
    pub outside: Option<Vec<Outside>>,
}

/// How far a pool is emptied.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Drain {
    /// Its nodes.
    pub nodes: usize,
    /// Those that take no new pods.
    pub cordoned: usize,
    /// Pods that must leave still: not those of DaemonSets, not static ones.
    pub pods_left: usize,
    /// What keeps them, for a person, for example `PodDisruptionBudget shop/db allows no disruption`.
    pub blocked: Vec<String>,
    /// When the emptying began, as noted on the nodes.
    pub since: Option<Timestamp>,
}

/// A thing that a cluster made outside itself and that would stay behind without it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Outside {
    /// In words: `LoadBalancer shop/web`, `Volume shop/data-db-0`, `Node general-x2k4`.
    pub what: String,
    /// The member's object whose end is its end.
    pub object: ObjectRef,
    /// It is on its way out.
    pub going: bool,
}

/// An object of a member's API.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct ObjectRef {
    /// API group; empty for the core one.
    pub group: String,
    /// API version.
    pub version: String,
    /// Plural of the kind.
    pub plural: String,
    /// Empty for a cluster-scoped kind.
    pub namespace: String,
    /// The name.
    pub name: String,
}

/// A control plane, as seen in the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenCluster {
    /// The cloud's id: an ARN on AWS.
    pub external_id: String,
    /// All its tags.
    pub tags: BTreeMap<String, String>,
    /// What it is busy with.
    pub phase: Phase,
    /// What is broken, in the cloud's words; empty when nothing is.
    pub trouble: String,
    /// Version of the control plane, as the cloud writes it.
    pub version: String,
    /// Platform version, where the cloud has one.
    pub platform_version: Option<String>,
    /// URL of the Kubernetes API, once there is one.
    pub endpoint: Option<String>,
    /// Certificate authority of that API, as PEM.
    pub certificate_authority: Option<String>,
    /// Issuer of service account tokens.
    pub oidc_issuer: Option<String>,
    /// The last change, where the provider asked for it.
    pub last_update: Option<SeenUpdate>,
    /// What blocks the next Kubernetes version, in the cloud's words. `None`: not asked, or no answer.
    pub blockers: Option<Vec<String>>,
    /// The rest of what the cloud said, in the provider's own JSON; only the provider's diff reads it.
    pub body: Value,
}

/// A node pool, as seen in the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPool {
    /// All its tags.
    pub tags: BTreeMap<String, String>,
    /// What it is busy with.
    pub phase: Phase,
    /// What is broken, in the cloud's words; empty when nothing is.
    pub trouble: String,
    /// Nodes wanted now.
    pub size: i32,
    /// The declared pool that it stands for: its own name, or that of the pool it succeeded.
    pub stands_for: PoolName,
    /// Kubernetes version of its nodes, as the cloud writes it.
    pub version: String,
    /// Release of its node image, where the cloud has one.
    pub release: Option<String>,
    /// The last change, where the provider asked for it.
    pub last_update: Option<SeenUpdate>,
    /// The rest of what the cloud said, in the provider's own JSON; only the provider's diff reads it.
    pub body: Value,
}
