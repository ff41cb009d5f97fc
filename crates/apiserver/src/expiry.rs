//! Events end an hour after they were last written, as upstream's do. What was written first ends
//! first, so a queue and one timer suffice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::garbage::until;
use crate::server::{ApiServer, Shared};
use crate::tables::{Event, Object, Place, Tables};
use crate::writer::{Expect, Write, WriteError};

/// How long an Event lives (kube-apiserver `--event-ttl`).
const LIFETIME: Duration = Duration::from_secs(60 * 60);
/// Events removed in one go.
const AT_ONCE: usize = 64;
/// Until it is tried again where the store refused.
const PAUSE: Duration = Duration::from_secs(1);

/// When which Event ends.
#[derive(Debug, Default)]
pub(crate) struct Expiry {
    queue: Mutex<Queue>,
    woken: Notify,
}

/// An Event: its cluster, resource and place.
type Name = (String, String, Place);

/// Each Event once, under its last state.
#[derive(Debug, Default)]
struct Queue {
    by_time: BTreeSet<(Instant, Name)>,
    by_name: BTreeMap<Name, (Instant, u64)>,
}

impl Queue {
    fn put(&mut self, name: Name, at: Instant, revision: u64) {
        if let Some((before, _)) = self.by_name.insert(name.clone(), (at, revision)) {
            self.by_time.remove(&(before, name.clone()));
        }
        self.by_time.insert((at, name));
    }

    fn forget(&mut self, name: &Name) {
        if let Some((at, _)) = self.by_name.remove(name) {
            self.by_time.remove(&(at, name.clone()));
        }
    }
}

fn is_event(resource: &str) -> bool {
    matches!(resource, "events" | "events.events.k8s.io")
}

impl Expiry {
    /// Takes note of a change that has been committed.
    pub(crate) fn notice(&self, tables: &Tables, resource: &str, event: &Event) {
        if !is_event(resource) {
            return;
        }
        if event.removed {
            self.queue().forget(&name_of(tables, resource, &event.object));
        } else {
            self.push(tables, resource, &event.object, Instant::now() + LIFETIME);
        }
    }

    /// Takes note of the Events of a cluster that has just been opened.
    pub(crate) fn look_through(&self, tables: &Tables, now: Timestamp) {
        let start = Instant::now();
        for resource in tables.resources().into_iter().filter(|resource| is_event(resource)) {
            let listed = tables.list(&resource, None, None, None);
            for object in listed.map(|snapshot| snapshot.objects).unwrap_or_default() {
                self.push(tables, &resource, &object, start + left(&object.value, now));
            }
        }
        // They may end before those of other clusters.
        self.wake();
    }

    fn push(&self, tables: &Tables, resource: &str, object: &Object, at: Instant) {
        let mut queue = self.queue();
        let sleeping = queue.by_time.is_empty();
        queue.put(name_of(tables, resource, object), at, object.revision);
        drop(queue);
        if sleeping {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        self.woken.notify_one();
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Instant> {
        self.queue().by_time.first().map(|(at, _)| *at)
    }

    /// What has ended, with the revision at which it has.
    fn due(&self) -> Vec<(Name, u64)> {
        let now = Instant::now();
        let queue = self.queue();
        let ended = queue.by_time.iter().take(AT_ONCE).take_while(|(at, _)| *at <= now);
        let known = |name: &Name| queue.by_name.get(name).map(|(_, revision)| *revision);
        ended.filter_map(|(_, name)| Some((name.clone(), known(name)?))).collect()
    }
}

fn name_of(tables: &Tables, resource: &str, object: &Object) -> Name {
    (tables.cluster.clone(), resource.to_owned(), object.place.clone())
}

/// What is left of an Event's hour.
fn left(event: &Value, now: Timestamp) -> Duration {
    let times = [
        &event["lastTimestamp"],
        &event["series"]["lastObservedTime"],
        &event["eventTime"],
        &event["metadata"]["creationTimestamp"],
    ];
    let times = times.into_iter().filter_map(|time| time.as_str()?.parse::<Timestamp>().ok());
    let age = times.max().map_or(0, |last| now.as_second().saturating_sub(last.as_second()));
    LIFETIME.saturating_sub(Duration::from_secs(u64::try_from(age).unwrap_or_default()))
}

/// Ends Events until the server is gone or stopped.
pub(crate) async fn run(server: Weak<Shared>) {
    loop {
        let Some(shared) = server.upgrade() else { return };
        if shared.writer.stopped() {
            return;
        }
        let collector = Arc::clone(&shared.collector);
        let expiry = &collector.expiry;
        let due = expiry.due();
        if due.is_empty() {
            // Waiting must not keep the server alive.
            drop(shared);
            tokio::select! {
                biased;
                () = expiry.woken.notified() => {}
                () = until(expiry.next()) => {}
            }
            continue;
        }
        let server = ApiServer(shared);
        let removals = due.iter().map(|(name, revision)| remove(&server, name, *revision));
        let done = futures::future::join_all(removals).await;
        for ((name, revision), done) in due.iter().zip(&done) {
            let mut queue = expiry.queue();
            // Unless it was written again meanwhile.
            let same = queue.by_name.get(name).is_some_and(|(_, known)| known == revision);
            if *done && same {
                queue.forget(name);
            }
        }
        if done.contains(&false) {
            drop(server);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Whether nothing is left to do.
async fn remove(server: &ApiServer, name: &Name, revision: u64) -> bool {
    let (cluster, resource, place) = name;
    let Some(cluster) = server.cluster(cluster) else { return true };
    let write = Write {
        tables: Arc::clone(&cluster.tables),
        resource: resource.clone(),
        place: place.clone(),
        custom: false,
        expect: Expect::Revision(revision),
        new: None,
    };
    match server.0.writer.write(write).await {
        Ok(_) => true,
        // Written again, or deleted: that is somebody else's entry, or nobody's.
        Err(error) => !matches!(error, WriteError::NotStored | WriteError::Unknown),
    }
}
