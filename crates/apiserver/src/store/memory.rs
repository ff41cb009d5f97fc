//! The store of the simulator: memory that outlives the server, and that fails when told to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;

use super::{Change, Key, Loaded, Store, StoreError};

/// How the next commit of a [`MemoryStore`] fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitFault {
    /// The batch is refused and leaves no trace.
    BeforeEffect,
    /// The batch is stored, and its answer is lost.
    AfterEffect,
}

/// Keeps everything in memory. Clones share the data, so a clone plays the disk that is still
/// there when the server's process has died.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Mutex<Disk>>);

#[derive(Debug, Default)]
struct Disk {
    clusters: BTreeMap<String, u64>,
    objects: BTreeMap<Key, Bytes>,
    fault: Option<CommitFault>,
    commits: u64,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the next commit, and only that one, fail.
    pub fn fail_next_commit(&self, fault: CommitFault) {
        self.disk().fault = Some(fault);
    }

    /// How many commits succeeded, or failed after their effect, so far.
    #[must_use]
    pub fn commits(&self) -> u64 {
        self.disk().commits
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Disk {
    fn apply(&mut self, change: Change) {
        match change {
            Change::Put(key, bytes) => {
                self.objects.insert(key, bytes);
            }
            Change::Delete(key) => {
                self.objects.remove(&key);
            }
            Change::Revision { cluster, revision } => {
                self.clusters.insert(cluster, revision);
            }
            Change::DropCluster(cluster) => {
                self.objects.retain(|key, _| key.cluster != cluster);
                self.clusters.remove(&cluster);
            }
        }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn load_all(&self) -> Result<Loaded, StoreError> {
        let disk = self.disk();
        Ok(Loaded {
            clusters: disk.clusters.iter().map(|(name, rev)| (name.clone(), *rev)).collect(),
            objects: disk.objects.iter().map(|(key, bytes)| (key.clone(), bytes.clone())).collect(),
        })
    }

    async fn commit(&self, batch: Vec<Change>) -> Result<(), StoreError> {
        let mut disk = self.disk();
        let fault = disk.fault.take();
        if fault == Some(CommitFault::BeforeEffect) {
            return Err(StoreError::NotStored("injected before the effect".to_owned()));
        }
        batch.into_iter().for_each(|change| disk.apply(change));
        disk.commits += 1;
        match fault {
            Some(_) => Err(StoreError::Unknown("injected after the effect".to_owned())),
            None => Ok(()),
        }
    }
}
