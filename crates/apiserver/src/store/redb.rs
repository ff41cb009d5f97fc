//! The store of a real server: one redb file, written by a thread of its own.
//!
//! Tables: `objects` (`cluster\0group-resource\0namespace\0name` → JSON), `clusters`
//! (name → revision), `meta` (`format` → version of this layout). Nothing else: the history that
//! watches need lives in memory, because a restarted API server may forget it.

use std::fmt;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::{Change, Key, Loaded, Store, StoreError};

const OBJECTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("objects");
const CLUSTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("clusters");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
const FORMAT: u64 = 1;
/// Memory that redb may use for pages; everything hot lives in the server's own maps.
const CACHE_BYTES: usize = 16 * 1024 * 1024;

/// A store in one file.
pub struct RedbStore {
    path: PathBuf,
    jobs: mpsc::Sender<Job>,
}

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RedbOpenError {
    /// Another process has it.
    #[error(
        "{path} is in use by another process; stop that one first, or choose another data folder"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// It was written by another version of the program.
    #[error(
        "{path} has format {found}, this program reads format {FORMAT}; use the version that wrote \
         it to export the objects, or move the file away to start empty"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: u64,
    },
    /// The operating system refused.
    #[error("cannot open {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no database, or damaged.
    #[error("{path} is not a readable database; restore it from a copy, or move it away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<redb::Error>,
    },
}

enum Job {
    Load(oneshot::Sender<Result<Loaded, StoreError>>),
    Commit(Vec<Change>, oneshot::Sender<Result<(), StoreError>>),
}

impl RedbStore {
    /// Opens the file, or makes it, readable by its owner only.
    ///
    /// # Errors
    /// When another process has it, when its format is unknown, when it is damaged or cannot be
    /// opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbOpenError> {
        let path = path.as_ref().to_owned();
        let database = open_database(&path)?;
        let (jobs, inbox) = mpsc::channel(4);
        std::thread::Builder::new()
            .name("fleetwright-redb".to_owned())
            .spawn(move || work(&database, inbox))
            .map_err(|source| RedbOpenError::Io { path: path.clone(), source })?;
        Ok(Self { path, jobs })
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

fn open_database(path: &Path) -> Result<Database, RedbOpenError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file =
        options.open(path).map_err(|source| RedbOpenError::Io { path: path.to_owned(), source })?;
    let damaged = |source: redb::Error| RedbOpenError::Damaged {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let database = FileBackend::new(file)
        .and_then(|backend| {
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)
        })
        .map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => RedbOpenError::InUse { path: path.to_owned() },
            other => damaged(other.into()),
        })?;
    let found = settle_format(&database).map_err(damaged)?;
    if found != FORMAT {
        return Err(RedbOpenError::Format { path: path.to_owned(), found });
    }
    Ok(database)
}

/// Reads the format, writing it first into a file that has none (a new one).
fn settle_format(database: &Database) -> Result<u64, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let found = {
        let mut meta = transaction.open_table(META)?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(CLUSTERS)?;
        let stored = meta.get(FORMAT_KEY)?.map(|value| value.value());
        if stored.is_none() {
            meta.insert(FORMAT_KEY, FORMAT)?;
        }
        stored.unwrap_or(FORMAT)
    };
    transaction.commit()?;
    Ok(found)
}

/// The thread's loop; ends when the store is dropped.
fn work(database: &Database, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.blocking_recv() {
        // A caller that has gone does not need its answer.
        match job {
            Job::Load(answer) => drop(answer.send(load(database))),
            Job::Commit(batch, answer) => drop(answer.send(commit(database, batch))),
        }
    }
}

fn load(database: &Database) -> Result<Loaded, StoreError> {
    let unreadable = |error: redb::Error| StoreError::Unreadable(error.to_string());
    let read = || -> Result<Loaded, redb::Error> {
        let transaction = database.begin_read()?;
        let mut loaded = Loaded::default();
        for entry in transaction.open_table(CLUSTERS)?.iter()? {
            let (name, revision) = entry?;
            loaded.clusters.push((name.value().to_owned(), revision.value()));
        }
        for entry in transaction.open_table(OBJECTS)?.iter()? {
            let (key, bytes) = entry?;
            let Some(key) = decode_key(key.value()) else {
                return Err(redb::Error::Corrupted(format!("key {:?}", key.value())));
            };
            loaded.objects.push((key, Bytes::copy_from_slice(bytes.value())));
        }
        loaded.objects.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(loaded)
    };
    read().map_err(unreadable)
}

fn commit(database: &Database, batch: Vec<Change>) -> Result<(), StoreError> {
    let failed = |error: redb::Error| match error {
        // redb refuses everything after an I/O error, so this process must not go on as if only this batch had failed.
        redb::Error::Io(_) | redb::Error::PreviousIo => StoreError::Unknown(error.to_string()),
        other => StoreError::NotStored(other.to_string()),
    };
    let transaction = stage(database, batch).map_err(failed)?;
    // From here on the disk may hold the batch whatever the answer says.
    transaction.commit().map_err(|error| StoreError::Unknown(error.to_string()))
}

fn stage(database: &Database, batch: Vec<Change>) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut clusters = transaction.open_table(CLUSTERS)?;
        for change in batch {
            match change {
                Change::Put(key, bytes) => {
                    objects.insert(encode_key(&key).as_str(), bytes.as_ref())?;
                }
                Change::Delete(key) => {
                    objects.remove(encode_key(&key).as_str())?;
                }
                Change::Revision { cluster, revision } => {
                    clusters.insert(cluster.as_str(), revision)?;
                }
                Change::DropCluster(cluster) => {
                    let (first, behind) = (format!("{cluster}\0"), format!("{cluster}\u{1}"));
                    objects.retain_in(first.as_str()..behind.as_str(), |_, _| false)?;
                    clusters.remove(cluster.as_str())?;
                }
            }
        }
    }
    Ok(transaction)
}

fn encode_key(key: &Key) -> String {
    let Key { cluster, group_resource, namespace, name } = key;
    format!("{cluster}\0{group_resource}\0{namespace}\0{name}")
}

fn decode_key(text: &str) -> Option<Key> {
    let mut parts = text.split('\0').map(str::to_owned);
    let key = Key {
        cluster: parts.next()?,
        group_resource: parts.next()?,
        namespace: parts.next()?,
        name: parts.next()?,
    };
    parts.next().is_none().then_some(key)
}

#[async_trait]
impl Store for RedbStore {
    async fn load_all(&self) -> Result<Loaded, StoreError> {
        let gone = || StoreError::Unreadable("the store's thread has ended".to_owned());
        let (answer, result) = oneshot::channel();
        self.jobs.send(Job::Load(answer)).await.map_err(|_gone| gone())?;
        result.await.map_err(|_gone| gone())?
    }

    async fn commit(&self, batch: Vec<Change>) -> Result<(), StoreError> {
        let gone = || StoreError::Unknown("the store's thread has ended".to_owned());
        let (answer, result) = oneshot::channel();
        self.jobs.send(Job::Commit(batch, answer)).await.map_err(|_gone| gone())?;
        result.await.map_err(|_gone| gone())?
    }
}
