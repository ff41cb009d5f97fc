//! The store of a real server: one redb file, written by a thread of its own.
//!
//! Tables: `objects` (`cluster\0group-resource\0namespace\0name` → JSON), `clusters`
//! (name → revision), `meta` (`format` → version of this layout, `key` → id of the key). Nothing
//! else: the history that watches need lives in memory, because a restarted API server may forget
//! it. Secrets are sealed (`seal.rs`); all else is plain JSON.

use std::fmt;
use std::fs::OpenOptions;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use redb::backends::FileBackend;
use redb::{Database, DatabaseError, Durability, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::seal::{self, Seal, SealError, is_sealed};
use super::{Change, Key, Loaded, Store, StoreError};

const OBJECTS: TableDefinition<'static, &str, &[u8]> = TableDefinition::new("objects");
const CLUSTERS: TableDefinition<'static, &str, u64> = TableDefinition::new("clusters");
const META: TableDefinition<'static, &str, u64> = TableDefinition::new("meta");

const FORMAT_KEY: &str = "format";
/// 2: Secrets are sealed. A file of format 1 is brought forward when it is opened.
const FORMAT: u64 = 2;
const KEY_ID: &str = "key";
/// The resource whose objects are sealed.
const SECRETS: &str = "secrets";
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
    /// It was written by a newer version of the program.
    #[error(
        "{path} has format {found}, this program reads formats up to {FORMAT}; use the version \
         that wrote it, or move the file away to start empty"
    )]
    Format {
        /// The file.
        path: PathBuf,
        /// What it says of itself.
        found: u64,
    },
    /// The key that the Secrets in it are sealed with is not there, or is another one.
    #[error(
        "{path} holds Secrets sealed with a key that is not in {key}: {why}; put the key file that \
         belongs to the data back beside it, or restore both from a copy"
    )]
    Key {
        /// The file.
        path: PathBuf,
        /// Where its key should be.
        key: PathBuf,
        /// What is wrong with it.
        why: String,
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
    /// The key that Secrets are sealed with is made beside it, in a file that ends in `.key`, when
    /// the file is new or from before Secrets were sealed. A copy of the data needs both files.
    ///
    /// # Errors
    /// When another process has it, when its format is too new, when its key is not there, when it
    /// is damaged or cannot be opened.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, RedbOpenError> {
        let path = path.as_ref().to_owned();
        let file = open_file(&path)?;
        let (jobs, inbox) = mpsc::channel(4);
        std::thread::Builder::new()
            .name("fleetwright-redb".to_owned())
            .spawn(move || work(&file, inbox))
            .map_err(|source| RedbOpenError::Io { path: path.clone(), source })?;
        Ok(Self { path, jobs })
    }

    /// Makes a new file (and its key) of what another store held: how a copy is written and how it
    /// is read back.
    ///
    /// # Errors
    /// When there is a file already, or it cannot be written.
    pub async fn create(path: impl AsRef<Path>, held: Loaded) -> Result<Self, RedbOpenError> {
        let path = path.as_ref();
        let io = |source| RedbOpenError::Io { path: path.to_owned(), source };
        if path.exists() || seal::key_path(path).exists() {
            return Err(io(std::io::ErrorKind::AlreadyExists.into()));
        }
        let store = Self::open(path)?;
        let Loaded { clusters, objects } = held;
        let mut batch: Vec<Change> = clusters
            .into_iter()
            .map(|(cluster, revision)| Change::Revision { cluster, revision })
            .collect();
        batch.extend(objects.into_iter().map(|(key, bytes)| Change::Put(key, bytes)));
        let stored = store.commit(batch).await;
        stored.map_err(|error| io(std::io::Error::other(error.to_string())))?;
        Ok(store)
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("path", &self.path).finish_non_exhaustive()
    }
}

/// The open file, and what its Secrets are sealed with.
struct File {
    database: Database,
    seal: Seal,
}

fn open_file(path: &Path) -> Result<File, RedbOpenError> {
    let damaged = |source: redb::Error| RedbOpenError::Damaged {
        path: path.to_owned(),
        source: Box::new(source),
    };
    // A new file has no key yet: this one has lost everything.
    let emptied = std::fs::metadata(path).is_ok_and(|file| file.len() == 0);
    if emptied && seal::key_path(path).exists() {
        return Err(damaged(redb::Error::Corrupted("it is empty".to_owned())));
    }
    // redb checks much and asserts some: a file that makes it panic is a damaged one.
    let opened = catch_unwind(AssertUnwindSafe(|| open_database(path)));
    let database = opened.unwrap_or_else(|_panic| {
        Err(damaged(redb::Error::Corrupted("reading it made the database panic".to_owned())))
    })?;
    let (format, key_id) = settle_format(&database).map_err(damaged)?;
    if format > FORMAT {
        return Err(RedbOpenError::Format { path: path.to_owned(), found: format });
    }
    let key =
        |why: String| RedbOpenError::Key { path: path.to_owned(), key: seal::key_path(path), why };
    let seal = match Seal::of(path, key_id.is_none()) {
        Ok(seal) => seal,
        Err(SealError::File { path, source }) => return Err(RedbOpenError::Io { path, source }),
        Err(error) => return Err(key(error.to_string())),
    };
    match key_id {
        Some(known) if known != seal.id => {
            return Err(key("it holds another key".to_owned()));
        }
        Some(_) => {}
        None => bring_forward(&database, &seal).map_err(damaged)?,
    }
    Ok(File { database, seal })
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
    let mut database = FileBackend::new(file)
        .and_then(|backend| {
            Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(backend)
        })
        .map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => RedbOpenError::InUse { path: path.to_owned() },
            other => damaged(other.into()),
        })?;
    // Everything is read once at the start anyway; a flipped bit must not become an object.
    database.check_integrity().map_err(|error| damaged(error.into()))?;
    Ok(database)
}

/// Reads the format, writing it first into a file that has none (a new one), and the key's id.
fn settle_format(database: &Database) -> Result<(u64, Option<u64>), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    let found = {
        let mut meta = transaction.open_table(META)?;
        let stored = meta.get(FORMAT_KEY)?.map(|value| value.value());
        if stored.is_none_or(|format| format <= FORMAT) {
            transaction.open_table(OBJECTS)?;
            transaction.open_table(CLUSTERS)?;
        }
        if stored.is_none() {
            meta.insert(FORMAT_KEY, FORMAT)?;
        }
        let key = meta.get(KEY_ID)?.map(|value| value.value());
        (stored.unwrap_or(FORMAT), key)
    };
    transaction.commit()?;
    Ok(found)
}

/// Seals what is still plain and notes format and key, all in one transaction.
fn bring_forward(database: &Database, seal: &Seal) -> Result<(), redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut plain = Vec::new();
        for entry in objects.iter()? {
            let (key, record) = entry?;
            if is_secret(key.value()) && !is_sealed(record.value()) {
                plain.push((key.value().to_owned(), record.value().to_vec()));
            }
        }
        for (key, record) in plain {
            let sealed = seal.seal(&key, &record).ok_or_else(no_randomness)?;
            objects.insert(key.as_str(), sealed.as_slice())?;
        }
        let mut meta = transaction.open_table(META)?;
        meta.insert(FORMAT_KEY, FORMAT)?;
        meta.insert(KEY_ID, seal.id)?;
    }
    Ok(transaction.commit()?)
}

fn no_randomness() -> redb::Error {
    redb::Error::Io(std::io::Error::other("no randomness to seal a Secret with"))
}

/// Whether a stored key is that of a Secret: `cluster\0secrets\0…`.
fn is_secret(key: &str) -> bool {
    key.split('\0').nth(1) == Some(SECRETS)
}

/// The thread's loop; ends when the store is dropped.
fn work(file: &File, mut inbox: mpsc::Receiver<Job>) {
    while let Some(job) = inbox.blocking_recv() {
        // A caller that has gone does not need its answer.
        match job {
            Job::Load(answer) => drop(answer.send(load(file))),
            Job::Commit(batch, answer) => drop(answer.send(commit(file, batch))),
        }
    }
}

fn load(file: &File) -> Result<Loaded, StoreError> {
    let unreadable = |error: redb::Error| StoreError::Unreadable(error.to_string());
    let read = || -> Result<Loaded, redb::Error> {
        let transaction = file.database.begin_read()?;
        let mut loaded = Loaded::default();
        for entry in transaction.open_table(CLUSTERS)?.iter()? {
            let (name, revision) = entry?;
            loaded.clusters.push((name.value().to_owned(), revision.value()));
        }
        for entry in transaction.open_table(OBJECTS)?.iter()? {
            let (key, record) = entry?;
            let corrupted = || redb::Error::Corrupted(format!("record {:?}", key.value()));
            let bytes = if is_sealed(record.value()) {
                let plain = file.seal.open(key.value(), record.value());
                Bytes::from(plain.ok_or_else(corrupted)?)
            } else {
                Bytes::copy_from_slice(record.value())
            };
            loaded.objects.push((decode_key(key.value()).ok_or_else(corrupted)?, bytes));
        }
        loaded.objects.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(loaded)
    };
    read().map_err(unreadable)
}

fn commit(file: &File, batch: Vec<Change>) -> Result<(), StoreError> {
    let failed = |error: redb::Error| match error {
        // redb refuses everything after an I/O error, so this process must not go on as if only this batch had failed.
        redb::Error::Io(_) | redb::Error::PreviousIo => StoreError::Unknown(error.to_string()),
        other => StoreError::NotStored(other.to_string()),
    };
    let transaction = stage(file, batch).map_err(failed)?;
    // From here on the disk may hold the batch whatever the answer says.
    transaction.commit().map_err(|error| StoreError::Unknown(error.to_string()))
}

fn stage(file: &File, batch: Vec<Change>) -> Result<redb::WriteTransaction, redb::Error> {
    let mut transaction = file.database.begin_write()?;
    transaction.set_quick_repair(true);
    transaction.set_durability(Durability::Immediate)?;
    {
        let mut objects = transaction.open_table(OBJECTS)?;
        let mut clusters = transaction.open_table(CLUSTERS)?;
        for change in batch {
            match change {
                Change::Put(key, bytes) if key.group_resource == SECRETS => {
                    let name = encode_key(&key);
                    let sealed = file.seal.seal(&name, &bytes).ok_or_else(no_randomness)?;
                    objects.insert(name.as_str(), sealed.as_slice())?;
                }
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
