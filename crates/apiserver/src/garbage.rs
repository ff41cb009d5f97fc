//! The garbage collector: removes objects whose owners are gone, owners whose dependents are gone,
//! and references to owners that leave their dependents behind.
//!
//! Woken by commits, never by a clock: the writer tells it of every change that could matter. An
//! object is judged by what is stored at that moment; every deletion names the uid and revision judged.
//! As upstream, an owner is looked for in the namespace of its dependent, so one in another
//! namespace counts as gone; an owner of a kind that is not served counts as there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use fleetwright_apiserver_core::crud::{self, Part};
use fleetwright_apiserver_core::document::Document;
use fleetwright_apiserver_core::negotiate::BodyKind;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::status::ApiError;
use futures::StreamExt as _;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use crate::cluster::LogicalCluster;
use crate::expiry::{self, Expiry};
use crate::operations::{Target, place_of};
use crate::server::{ApiServer, Shared};
use crate::tables::{Event, Object, Place, Tables};

/// Objects looked at at a time.
const AT_ONCE: usize = 16;
/// Until an object is looked at again whose deletion did not work; twice as long each time.
const PAUSE: Duration = Duration::from_secs(1);
/// After which the pause grows no more: about four minutes.
const LONGEST_DOUBLING: u32 = 8;

/// What there is to look at.
#[derive(Debug)]
pub(crate) struct Collector {
    active: bool,
    hints: Mutex<BTreeSet<Hint>>,
    woken: Notify,
    pub(crate) expiry: Expiry,
}

/// An object worth a look: its cluster, resource and place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Hint {
    cluster: String,
    resource: String,
    place: Place,
}

impl Collector {
    pub(crate) fn new(active: bool) -> Self {
        Self { active, hints: Mutex::default(), woken: Notify::new(), expiry: Expiry::default() }
    }

    /// Takes note of a change that has been committed.
    pub(crate) fn notice(&self, tables: &Tables, resource: &str, event: &Event) {
        if !self.active {
            return;
        }
        self.expiry.notice(tables, resource, event);
        let object = &event.object;
        let mut found = Vec::new();
        if event.removed {
            found.extend(tables.dependents(object.uid()));
            found.extend(waiting_owners(tables, object));
        } else if concerns(event.old.as_deref(), object) {
            found.push((resource.to_owned(), object.place.clone()));
        }
        if let Some(old) = event.old.as_deref().filter(|old| old.owners() != object.owners()) {
            found.extend(waiting_owners(tables, old));
        }
        self.push(tables, found);
    }

    /// Looks at everything in a cluster that has just been opened.
    pub(crate) fn look_through(&self, tables: &Tables, now: Timestamp) {
        if !self.active {
            return;
        }
        self.expiry.look_through(tables, now);
        let mut found: Vec<_> = tables.owned().into_iter().collect();
        for resource in tables.resources() {
            let listed = tables.list(&resource, None, None, None);
            let objects = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
            let waiting = objects.iter().filter(|object| awaits_us(&object.value));
            found.extend(waiting.map(|object| (resource.clone(), object.place.clone())));
        }
        self.push(tables, found);
    }

    fn push(&self, tables: &Tables, found: Vec<(String, Place)>) {
        if found.is_empty() {
            return;
        }
        let cluster = || tables.cluster.clone();
        let hints =
            found.into_iter().map(|(resource, place)| Hint { cluster: cluster(), resource, place });
        self.hints.lock().unwrap_or_else(PoisonError::into_inner).extend(hints);
        self.woken.notify_one();
    }

    fn take(&self) -> Vec<Hint> {
        let mut hints = self.hints.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *hints).into_iter().collect()
    }

    /// Lets the task see that it is over, or that there is something to do.
    pub(crate) fn wake(&self) {
        self.woken.notify_one();
        self.expiry.wake();
    }
}

/// A new owner reference, or a deletion that waits for the collector.
fn concerns(old: Option<&Object>, new: &Object) -> bool {
    let owners = new.owners();
    let known = old.map_or(&[][..], Object::owners);
    (!owners.is_empty() && owners != known) || awaits_us(&new.value)
}

/// Whether the object is being deleted and the collector has a part in it.
pub(crate) fn awaits_us(value: &Value) -> bool {
    is_deleting(value)
        && (has_finalizer(value, crud::FOREGROUND_FINALIZER)
            || has_finalizer(value, crud::ORPHAN_FINALIZER))
}

fn has_finalizer(value: &Value, name: &str) -> bool {
    let all = value["metadata"]["finalizers"].as_array().into_iter().flatten();
    all.into_iter().any(|finalizer| finalizer == name)
}

fn is_deleting(value: &Value) -> bool {
    !value["metadata"]["deletionTimestamp"].is_null()
}

/// The owners that may have waited for a dependent which is gone, or names them no more.
fn waiting_owners(tables: &Tables, dependent: &Object) -> Vec<(String, Place)> {
    let uids = dependent.owners().iter().filter_map(|owner| owner["uid"].as_str());
    uids.filter_map(|uid| tables.waiting(uid)).collect()
}

/// Runs the collector, and the end of Events, on the current tokio runtime until the server is
/// gone or stopped.
pub(crate) fn spawn(server: &ApiServer) {
    let collector = Arc::clone(&server.0.collector);
    let server = Arc::downgrade(&server.0);
    tokio::spawn(run(collector, Weak::clone(&server)));
    tokio::spawn(expiry::run(server));
}

async fn run(collector: Arc<Collector>, server: Weak<Shared>) {
    // What did not work, with when to try again and how often it has failed.
    let mut later = BTreeMap::<Hint, (Instant, u32)>::new();
    loop {
        let next = later.values().map(|(at, _)| *at).min();
        tokio::select! {
            biased;
            () = collector.woken.notified() => {}
            () = until(next) => {}
        }
        let Some(shared) = server.upgrade() else { return };
        if shared.writer.stopped() {
            return;
        }
        let mut hints = collector.take();
        let now = Instant::now();
        hints.extend(later.iter().filter(|(_, (at, _))| *at <= now).map(|(hint, _)| hint.clone()));
        hints.sort();
        hints.dedup();
        let server = ApiServer(shared);
        let looked: Vec<(Hint, bool)> = futures::stream::iter(hints)
            .map(|hint| look(&server, hint))
            .buffered(AT_ONCE)
            .collect()
            .await;
        for (hint, done) in looked {
            let failures = later.remove(&hint).map_or(0, |(_, failures)| failures);
            if !done {
                let pause = PAUSE * 2_u32.pow(failures.min(LONGEST_DOUBLING));
                later.insert(hint, (Instant::now() + pause, failures + 1));
            }
        }
    }
}

/// Never, where there is nothing to wait for.
pub(crate) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Whether nothing is left to do.
async fn look(server: &ApiServer, hint: Hint) -> (Hint, bool) {
    let Some(cluster) = server.cluster(&hint.cluster) else { return (hint, true) };
    match cluster.collect(&hint.resource, &hint.place).await {
        Ok(()) => (hint, true),
        Err(error) if error.code() == 404 => (hint, true),
        Err(error) => {
            let Hint { cluster, resource, place: (namespace, name) } = &hint;
            tracing::debug!(%error, cluster, resource, namespace, name, "not collected yet");
            (hint, false)
        }
    }
}

/// What an owner reference points to.
enum Owner {
    /// It is there, or nobody can say that it is not.
    Solid,
    /// It is being deleted and waits for its dependents.
    Waiting,
    Gone,
}

impl LogicalCluster {
    async fn collect(&self, resource: &str, place: &Place) -> Result<(), ApiError> {
        let Some(object) = self.tables.get(resource, place) else { return Ok(()) };
        let api_version = object.value["apiVersion"].as_str().unwrap_or_default();
        let kind = object.value["kind"].as_str().unwrap_or_default();
        let scheme = self.scheme();
        let Some(rt) = scheme.find_kind(api_version, kind) else { return Ok(()) };
        if is_deleting(&object.value) {
            if has_finalizer(&object.value, crud::ORPHAN_FINALIZER) {
                return self.orphan(rt, &object).await;
            }
            if has_finalizer(&object.value, crud::FOREGROUND_FINALIZER) {
                return self.wait_for_dependents(rt, &object).await;
            }
            return Ok(());
        }
        self.judge(rt, &object).await
    }

    /// Deletes an object all of whose owners are gone or going; else takes those off its list.
    async fn judge(&self, rt: &ResourceType, object: &Object) -> Result<(), ApiError> {
        let owners = object.owners();
        if owners.is_empty() {
            return Ok(());
        }
        let found: Vec<Owner> = owners.iter().map(|owner| self.owner(rt, object, owner)).collect();
        let waited_for = found.iter().any(|owner| matches!(owner, Owner::Waiting));
        if found.iter().any(|owner| matches!(owner, Owner::Solid)) {
            let keep = owners.iter().zip(&found);
            let keep = keep.filter(|(_, found)| matches!(found, Owner::Solid));
            let keep: Vec<&Value> = keep.map(|(owner, _)| owner).collect();
            if keep.len() == owners.len() {
                return Ok(());
            }
            return self.set(rt, object, "ownerReferences", json!(keep)).await;
        }
        let foreground = waited_for && !self.tables.dependents(object.uid()).is_empty();
        let mut how = json!({"preconditions": {
            "uid": object.uid(), "resourceVersion": object.revision.to_string()}});
        if foreground {
            how["propagationPolicy"] = json!("Foreground");
        }
        let (namespace, name) = &object.place;
        let namespace = Some(namespace.as_str()).filter(|_| rt.namespaced);
        self.remove(rt, namespace, name, Some(&how), &Options::default()).await?;
        Ok(())
    }

    fn owner(&self, rt: &ResourceType, dependent: &Object, reference: &Value) -> Owner {
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let scheme = self.scheme();
        let Some(kind) = scheme.find_kind(text("apiVersion"), text("kind")) else {
            return Owner::Solid;
        };
        // A reference that cannot be right from anywhere says nothing about its owner.
        if kind.namespaced && !rt.namespaced {
            return Owner::Solid;
        }
        let namespace = Some(dependent.place.0.as_str()).filter(|_| kind.namespaced);
        let place = place_of(namespace, text("name"));
        match self.tables.get(&kind.stored_resource(), &place) {
            Some(owner) if owner.uid() == text("uid") => {
                let foreground = has_finalizer(&owner.value, crud::FOREGROUND_FINALIZER);
                if is_deleting(&owner.value) && foreground { Owner::Waiting } else { Owner::Solid }
            }
            _ => Owner::Gone,
        }
    }

    /// Takes the object off its dependents' lists of owners, then lets it go.
    async fn orphan(&self, rt: &ResourceType, object: &Object) -> Result<(), ApiError> {
        let scheme = self.scheme();
        for (resource, place) in self.tables.dependents(object.uid()) {
            let Some(dependent) = self.tables.get(&resource, &place) else { continue };
            let text = |key: &str| dependent.value[key].as_str().unwrap_or_default();
            let Some(kind) = scheme.find_kind(text("apiVersion"), text("kind")) else { continue };
            let owners = dependent.owners().iter().filter(|owner| owner["uid"] != object.uid());
            let owners: Vec<&Value> = owners.collect();
            match self.set(kind, &dependent, "ownerReferences", json!(owners)).await {
                Err(error) if error.code() != 404 => return Err(error),
                _ => {}
            }
        }
        self.release(rt, object, crud::ORPHAN_FINALIZER).await
    }

    /// Lets the object go once nothing blocks it any more, and sees to it that this comes about.
    async fn wait_for_dependents(
        &self,
        rt: &ResourceType,
        object: &Object,
    ) -> Result<(), ApiError> {
        let mut blocked = false;
        let mut found = Vec::new();
        for (resource, place) in self.tables.dependents(object.uid()) {
            let Some(dependent) = self.tables.get(&resource, &place) else { continue };
            let mut owners = dependent.owners().iter();
            let blocks =
                |owner: &Value| owner["uid"] == object.uid() && owner["blockOwnerDeletion"] == true;
            if owners.any(blocks) {
                blocked = true;
                if !is_deleting(&dependent.value) {
                    found.push((resource, place));
                }
            }
        }
        if !blocked {
            return self.release(rt, object, crud::FOREGROUND_FINALIZER).await;
        }
        self.shared().collector.push(&self.tables, found);
        Ok(())
    }

    async fn release(
        &self,
        rt: &ResourceType,
        object: &Object,
        finalizer: &str,
    ) -> Result<(), ApiError> {
        let all = object.value["metadata"]["finalizers"].as_array().into_iter().flatten();
        let left: Vec<&Value> = all.filter(|name| *name != finalizer).collect();
        self.set(rt, object, "finalizers", json!(left)).await
    }

    /// Sets one field of the metadata of exactly this state of an object.
    async fn set(
        &self,
        rt: &ResourceType,
        object: &Object,
        field: &str,
        value: Value,
    ) -> Result<(), ApiError> {
        let (namespace, name) = (object.place.0.as_str(), object.place.1.as_str());
        let namespace = Some(namespace).filter(|_| rt.namespaced);
        let target = Target { rt, namespace, name };
        let metadata = json!({field: value, "uid": object.uid(),
            "resourceVersion": object.revision.to_string()});
        let patch = Document::from(json!({"metadata": metadata}));
        let options = Options::default();
        self.change(target, Part::Main, &options, |context, old| {
            crud::patch(context, name, Part::Main, old, (BodyKind::MergePatch, &patch))
        })
        .await?;
        Ok(())
    }
}
