//! Where objects outlive the process: one trait, two implementations.
//!
//! The server keeps everything in memory and reads a store only once, when it opens. After that
//! it only commits batches, and shows nothing to anybody before the commit has returned.

mod memory;
mod redb;
mod seal;

use std::fmt;

use async_trait::async_trait;
use bytes::Bytes;

pub use self::memory::{CommitFault, MemoryStore};
pub use self::redb::{RedbOpenError, RedbStore};

/// What an object is stored under.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// The logical cluster.
    pub cluster: String,
    /// `secrets`, or `managedclusters.fleetwright.dev`.
    pub group_resource: String,
    /// Empty for kinds that live in no namespace.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cluster, group_resource, namespace, name } = self;
        write!(f, "{cluster}/{group_resource}/{namespace}/{name}")
    }
}

/// One change of a batch. The changes of a batch take effect in order, and together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Writes an object: its JSON, `metadata.resourceVersion` included.
    Put(Key, Bytes),
    /// Removes an object.
    Delete(Key),
    /// Sets the revision of a cluster. This is also what brings a cluster into being.
    Revision {
        /// The logical cluster.
        cluster: String,
        /// The revision of the newest write in it; never lower than what is stored.
        revision: u64,
    },
    /// Removes a cluster with all it holds.
    DropCluster(String),
}

/// All that a store holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The clusters with their revisions, sorted by name.
    pub clusters: Vec<(String, u64)>,
    /// The objects, sorted by key.
    pub objects: Vec<(Key, Bytes)>,
}

/// A store could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The batch certainly left no trace: the caller may go on.
    #[error("the batch was not stored: {0}")]
    NotStored(String),
    /// Nobody knows whether the batch is stored: the caller must read everything again.
    #[error("it is unknown whether the batch was stored: {0}")]
    Unknown(String),
    /// What is stored cannot be read.
    #[error("the stored data cannot be read: {0}")]
    Unreadable(String),
}

/// Keeps objects when the process is gone.
///
/// Guarantees an implementation gives: a batch is stored whole or not at all; when `commit` has
/// returned `Ok`, a crash of the process or the machine does not lose it.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug {
    /// Everything there is. Called once, before the first commit.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] when the data is damaged or the medium fails.
    async fn load_all(&self) -> Result<Loaded, StoreError>;

    /// Stores a batch. Only one commit is under way at a time.
    ///
    /// # Errors
    /// [`StoreError::NotStored`] or [`StoreError::Unknown`], depending on how sure it is.
    async fn commit(&self, batch: Vec<Change>) -> Result<(), StoreError>;
}
