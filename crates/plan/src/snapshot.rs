//! What the world looks like, as far as we could see.

use std::collections::BTreeMap;

use fleetwright_names::PoolName;
use jiff::Timestamp;
use serde_json::Value;

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

/// A cluster and its pools, as seen in the cloud.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The control plane.
    pub cluster: Seen<SeenCluster>,
    /// Every pool that the cloud lists, ours or not.
    pub pools: BTreeMap<PoolName, Seen<SeenPool>>,
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
    /// The rest of what the cloud said, in the provider's own JSON; only the provider's diff reads it.
    pub body: Value,
}
