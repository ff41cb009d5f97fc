//! The one task that writes. It takes the commands that wait, checks each against the state that
//! the ones before it will leave, commits them as one batch, and only then lets anybody see them.

mod stage;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fleetwright_clock::Clock;
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use self::stage::Stage;
pub(crate) use self::stage::{Household, has_finalizers, is_deleting, mark_deleting};
use crate::garbage::Collector;
use crate::store::{Change, Store, StoreError};
use crate::tables::{Object, Place, Tables};

/// Commands in one commit, at most.
const BATCH: usize = 64;
/// Commands that may wait; callers beyond that wait for room.
const QUEUE: usize = 1024;

/// What must hold for a write to happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    Absent,
    Revision(u64),
}

/// One write. `new` is the whole object, without a current `resourceVersion`; `None` removes.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) tables: Arc<Tables>,
    pub(crate) resource: String,
    pub(crate) place: Place,
    /// Whether the kind is there by a definition, without which nothing of it may be made.
    pub(crate) custom: bool,
    pub(crate) expect: Expect,
    pub(crate) new: Option<Value>,
}

/// Why a write did not happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteError {
    /// Expected nothing there, found something.
    Exists,
    /// Expected something there, found nothing.
    Missing,
    /// Found another revision than expected.
    Stale,
    /// The namespace is not there.
    NamespaceMissing,
    /// The namespace is on its way out.
    NamespaceTerminating,
    /// The definition of the kind is gone.
    KindMissing,
    /// The definition of the kind is on its way out.
    KindTerminating,
    /// The store refused the batch; nothing has changed.
    NotStored,
    /// Unknown whether it is stored; or the server no longer writes because of such a case.
    Unknown,
    /// The server has stopped, or the cluster is gone.
    Stopped,
}

type Answer<T> = oneshot::Sender<Result<T, WriteError>>;

enum Command {
    Write(Box<Write>, Answer<Arc<Object>>),
    Birth(String, Answer<()>),
    Furnish(Arc<Tables>, Vec<String>, Answer<()>),
    Drop(Arc<Tables>, Answer<()>),
}

/// The way to the writer. The task ends with the last clone.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    commands: mpsc::Sender<Command>,
    health: Arc<Health>,
}

/// Whether writing goes on.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failed: AtomicBool,
    stopped: AtomicBool,
}

impl Writer {
    pub(crate) fn spawn(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        household: Arc<Household>,
        collector: Arc<Collector>,
    ) -> Self {
        let (commands, inbox) = mpsc::channel(QUEUE);
        let health = Arc::new(Health::default());
        let task = Task { store, clock, household, collector, health: Arc::clone(&health) };
        tokio::spawn(task.run(inbox));
        Self { commands, health }
    }

    pub(crate) async fn write(&self, write: Write) -> Result<Arc<Object>, WriteError> {
        self.ask(|answer| Command::Write(Box::new(write), answer)).await
    }

    /// Records a new, empty cluster at revision 1.
    pub(crate) async fn birth(&self, cluster: String) -> Result<(), WriteError> {
        self.ask(|answer| Command::Birth(cluster, answer)).await
    }

    /// Puts what every namespace has into those that lack it.
    pub(crate) async fn furnish(
        &self,
        tables: Arc<Tables>,
        namespaces: Vec<String>,
    ) -> Result<(), WriteError> {
        self.ask(|answer| Command::Furnish(tables, namespaces, answer)).await
    }

    pub(crate) async fn drop_cluster(&self, tables: Arc<Tables>) -> Result<(), WriteError> {
        self.ask(|answer| Command::Drop(tables, answer)).await
    }

    pub(crate) fn failed(&self) -> bool {
        self.health.failed.load(Ordering::SeqCst)
    }

    /// Writes nothing more, whatever waits.
    pub(crate) fn stop(&self) {
        self.health.stopped.store(true, Ordering::SeqCst);
    }

    pub(crate) fn stopped(&self) -> bool {
        self.health.stopped.load(Ordering::SeqCst)
    }

    async fn ask<T>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Result<T, WriteError> {
        let (answer, result) = oneshot::channel();
        self.commands.send(command(answer)).await.map_err(|_closed| WriteError::Stopped)?;
        result.await.map_err(|_closed| WriteError::Stopped)?
    }
}

struct Task {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    household: Arc<Household>,
    collector: Arc<Collector>,
    health: Arc<Health>,
}

impl Task {
    async fn run(self, mut inbox: mpsc::Receiver<Command>) {
        let mut waiting = Vec::with_capacity(BATCH);
        while inbox.recv_many(&mut waiting, BATCH).await > 0 {
            let mut writes = Vec::new();
            for command in waiting.drain(..) {
                match command {
                    Command::Write(write, answer) => writes.push((*write, answer)),
                    Command::Birth(cluster, answer) => {
                        self.commit_writes(std::mem::take(&mut writes)).await;
                        let birth = vec![Change::Revision { cluster, revision: 1 }];
                        reply(answer, self.commit(birth).await);
                    }
                    Command::Furnish(tables, namespaces, answer) => {
                        self.commit_writes(std::mem::take(&mut writes)).await;
                        let mut stage = self.stage();
                        stage.furnish_all(&tables, &namespaces);
                        reply(answer, self.commit_stage(stage).await);
                    }
                    Command::Drop(tables, answer) => {
                        self.commit_writes(std::mem::take(&mut writes)).await;
                        let gone = vec![Change::DropCluster(tables.cluster.clone())];
                        let result = self.commit(gone).await;
                        if result.is_ok() {
                            tables.close();
                        }
                        reply(answer, result);
                    }
                }
            }
            self.commit_writes(writes).await;
        }
    }

    async fn commit_writes(&self, writes: Vec<(Write, Answer<Arc<Object>>)>) {
        let mut stage = self.stage();
        let staged: Vec<_> =
            writes.into_iter().map(|(write, answer)| (answer, stage.write(write))).collect();
        // Verdicts rest on staged state, so none may leave before that state is real.
        let committed = self.commit_stage(stage).await;
        for (answer, verdict) in staged {
            reply(answer, committed.and(verdict));
        }
    }

    fn stage(&self) -> Stage {
        Stage::new(self.clock.now(), Arc::clone(&self.household))
    }

    /// Stores what is staged, then shows it.
    async fn commit_stage(&self, stage: Stage) -> Result<(), WriteError> {
        let (changes, events) = stage.finish();
        if changes.is_empty() {
            return Ok(());
        }
        self.commit(changes).await?;
        for (tables, resource, event) in events {
            tables.publish(&resource, Arc::clone(&event));
            self.collector.notice(&tables, &resource, &event);
        }
        Ok(())
    }

    async fn commit(&self, changes: Vec<Change>) -> Result<(), WriteError> {
        if self.health.stopped.load(Ordering::SeqCst) {
            return Err(WriteError::Stopped);
        }
        if self.health.failed.load(Ordering::SeqCst) {
            return Err(WriteError::Unknown);
        }
        let result = self.store.commit(changes).await;
        if self.health.stopped.load(Ordering::SeqCst) {
            return Err(WriteError::Stopped);
        }
        match result {
            Ok(()) => Ok(()),
            Err(error @ StoreError::NotStored(_)) => {
                tracing::error!(%error, "commit refused");
                Err(WriteError::NotStored)
            }
            Err(error) => {
                self.health.failed.store(true, Ordering::SeqCst);
                tracing::error!(%error, "commit lost: no more writes until a restart");
                Err(WriteError::Unknown)
            }
        }
    }
}

fn reply<T>(answer: Answer<T>, result: Result<T, WriteError>) {
    if answer.send(result).is_err() {
        tracing::trace!("the caller of a write has gone");
    }
}
