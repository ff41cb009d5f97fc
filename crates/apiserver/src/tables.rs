//! The objects in memory, and the recent past that watches read.
//!
//! Only the writer changes anything here, and only after the store has committed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use bytes::Bytes;
use fleetwright_apiserver_core::crd;
use fleetwright_apiserver_core::scheme::ResourceType;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::garbage::awaits_us;

/// Events kept for watches, per resource: by count and by size, whichever is reached first.
const RING_EVENTS: usize = 10_000;
const RING_BYTES: usize = 16 * 1024 * 1024;
/// An object in memory takes this many times its JSON: the text, and the tree of its values.
const WEIGHT: usize = 4;

/// Namespace (empty for none) and name.
pub(crate) type Place = (String, String);

/// An object as stored: never changed, only replaced.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) place: Place,
    pub(crate) revision: u64,
    pub(crate) value: Arc<Value>,
    /// JSON that begins with `kind` and `apiVersion`, as upstream writes built-in kinds.
    pub(crate) bytes: Bytes,
    /// Where in `bytes` the fields after those two begin.
    tail: usize,
}

impl Object {
    /// An object with its revision, which becomes its `metadata.resourceVersion`.
    pub(crate) fn new(place: Place, mut value: Value, revision: u64) -> Self {
        value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
        let (bytes, tail) = encode(&value);
        Self { place, revision, value: Arc::new(value), bytes, tail }
    }

    /// An object as a store gives it back; `None` when it has no revision.
    pub(crate) fn restored(place: Place, value: Value) -> Option<Self> {
        let revision = value["metadata"]["resourceVersion"].as_str()?.parse().ok()?;
        let (bytes, tail) = encode(&value);
        Some(Self { place, revision, value: Arc::new(value), bytes, tail })
    }

    /// The fields behind `kind` and `apiVersion`, with the closing brace.
    pub(crate) fn tail(&self) -> &[u8] {
        self.bytes.get(self.tail..).unwrap_or_default()
    }

    /// The object as the kind shows it: itself, unless the kind is a view of the stored one.
    pub(crate) fn viewed(self: &Arc<Self>, rt: &ResourceType) -> Arc<Self> {
        let Some(value) = crd::viewed(rt, &self.value) else {
            return Arc::clone(self);
        };
        let (bytes, tail) = encode(&value);
        let (place, value) = (self.place.clone(), Arc::new(value));
        Arc::new(Self { place, revision: self.revision, value, bytes, tail })
    }

    /// `metadata.uid`, or nothing.
    pub(crate) fn uid(&self) -> &str {
        self.value["metadata"]["uid"].as_str().unwrap_or_default()
    }

    /// `metadata.ownerReferences`.
    pub(crate) fn owners(&self) -> &[Value] {
        self.value["metadata"]["ownerReferences"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The object's JSON with `kind` and `apiVersion` first, and where the rest begins.
fn encode(value: &Value) -> (Bytes, usize) {
    let field = |key: &str| value.get(key).unwrap_or(&Value::Null);
    let head = format!(r#"{{"kind":{},"apiVersion":{}"#, field("kind"), field("apiVersion"));
    let tail = head.len() + 1;
    (Bytes::from(format!("{head}{}}}", Rest(value))), tail)
}

/// All fields but the first two, each behind a comma.
struct Rest<'a>(&'a Value);

impl fmt::Display for Rest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.as_object().into_iter().flatten();
        let mut rest = fields.filter(|(key, _)| !matches!(key.as_str(), "kind" | "apiVersion"));
        rest.try_for_each(|(key, field)| write!(f, ",{}:{field}", json!(key)))
    }
}

/// One change, as watches see it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    pub(crate) old: Option<Arc<Object>>,
    /// The state after the change; for a removal the last state, under the removal's revision.
    pub(crate) object: Arc<Object>,
    pub(crate) removed: bool,
}

/// A revision that memory no longer reaches back to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TooOld {
    /// The oldest revision that can still be asked for.
    pub(crate) oldest: u64,
}

#[derive(Debug)]
struct Table {
    objects: BTreeMap<Place, Arc<Object>>,
    ring: VecDeque<Arc<Event>>,
    ring_bytes: usize,
    /// Everything after this revision is still in the ring.
    floor: u64,
    changed: Arc<Notify>,
}

impl Table {
    fn new(floor: u64) -> Self {
        Self {
            objects: BTreeMap::new(),
            ring: VecDeque::new(),
            ring_bytes: 0,
            floor,
            changed: Arc::new(Notify::new()),
        }
    }

    fn push(&mut self, event: Arc<Event>) {
        if event.removed {
            self.objects.remove(&event.object.place);
        } else {
            self.objects.insert(event.object.place.clone(), Arc::clone(&event.object));
        }
        self.ring_bytes += event.object.bytes.len() * WEIGHT;
        self.ring.push_back(event);
        while self.ring.len() > RING_EVENTS || self.ring_bytes > RING_BYTES {
            let Some(dropped) = self.ring.pop_front() else {
                break;
            };
            self.ring_bytes -= dropped.object.bytes.len() * WEIGHT;
            self.floor = dropped.revision;
        }
    }

    fn after(&self, revision: u64) -> impl DoubleEndedIterator<Item = &Arc<Event>> {
        let first = self.ring.partition_point(|event| event.revision <= revision);
        self.ring.range(first..)
    }
}

#[derive(Debug)]
struct State {
    revision: u64,
    tables: BTreeMap<String, Table>,
    /// By the uid of an owner: who names it, by resource and place.
    dependents: BTreeMap<String, BTreeSet<(String, Place)>>,
    /// By uid: objects being deleted that the garbage collector has to let go.
    waiting: BTreeMap<String, (String, Place)>,
}

impl State {
    fn index(&mut self, resource: &str, old: Option<&Object>, new: Option<&Object>) {
        match (new, old) {
            (Some(new), _) if awaits_us(&new.value) => {
                let address = (resource.to_owned(), new.place.clone());
                self.waiting.insert(new.uid().to_owned(), address);
            }
            (_, Some(old)) => drop(self.waiting.remove(old.uid())),
            _ => {}
        }
        let uids = |object: Option<&Object>| -> BTreeSet<String> {
            let owners = object.map_or(&[][..], Object::owners);
            owners.iter().filter_map(|owner| owner["uid"].as_str().map(str::to_owned)).collect()
        };
        let (before, after) = (uids(old), uids(new));
        let Some(place) = new.or(old).map(|object| object.place.clone()) else { return };
        let entry = (resource.to_owned(), place);
        for uid in before.difference(&after) {
            if let Some(known) = self.dependents.get_mut(uid) {
                known.remove(&entry);
                if known.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
        for uid in after.difference(&before) {
            self.dependents.entry(uid.clone()).or_default().insert(entry.clone());
        }
    }
}

/// The objects of one logical cluster.
#[derive(Debug)]
pub(crate) struct Tables {
    pub(crate) cluster: String,
    /// The revision when this process began; nothing older can be watched.
    opened_at: u64,
    closed: AtomicBool,
    state: RwLock<State>,
}

/// What a list found, at one revision.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) revision: u64,
    pub(crate) objects: Vec<Arc<Object>>,
}

impl Tables {
    pub(crate) fn new(cluster: String, revision: u64) -> Self {
        let (tables, dependents, waiting) = Default::default();
        let state = RwLock::new(State { revision, tables, dependents, waiting });
        Self { cluster, opened_at: revision, closed: AtomicBool::new(false), state }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn with_table<T>(&self, resource: &str, change: impl FnOnce(&mut Table, &mut u64) -> T) -> T {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let State { revision, tables, .. } = &mut *state;
        let table = tables.entry(resource.to_owned()).or_insert_with(|| Table::new(self.opened_at));
        change(table, revision)
    }

    /// Keeps what the garbage collector looks up; costs nothing for objects it has no part in.
    fn index(&self, resource: &str, old: Option<&Object>, new: Option<&Object>) {
        let concerns = |object: Option<&Object>| {
            object.is_some_and(|o| !o.owners().is_empty() || awaits_us(&o.value))
        };
        if concerns(old) || concerns(new) {
            let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
            state.index(resource, old, new);
        }
    }

    /// Who names the object with this uid as an owner, by resource and place.
    pub(crate) fn dependents(&self, uid: &str) -> Vec<(String, Place)> {
        let state = self.read();
        state.dependents.get(uid).into_iter().flatten().cloned().collect()
    }

    /// The object with this uid, if its deletion waits for the garbage collector.
    pub(crate) fn waiting(&self, uid: &str) -> Option<(String, Place)> {
        self.read().waiting.get(uid).cloned()
    }

    /// Everybody who names an owner.
    pub(crate) fn owned(&self) -> BTreeSet<(String, Place)> {
        self.read().dependents.values().flatten().cloned().collect()
    }

    /// Puts a loaded object in place, without an event.
    pub(crate) fn restore(&self, resource: &str, object: Object) {
        self.index(resource, None, Some(&object));
        self.with_table(resource, |table, _| {
            table.objects.insert(object.place.clone(), Arc::new(object));
        });
    }

    /// Shows the stored objects of a kind through another schema than that by which they were
    /// written: in its version, with its defaults. Nothing is written, revisions stay.
    pub(crate) fn reread(&self, rt: &ResourceType) {
        let resource = rt.group_resource();
        self.with_table(&resource, |table, _| {
            for object in table.objects.values_mut() {
                if let Some(value) = crd::reread(rt, &object.value) {
                    let place = object.place.clone();
                    *object = Arc::new(Object::new(place, value, object.revision));
                }
            }
        });
    }

    /// Makes committed changes visible, in order, then wakes the watches of that resource.
    pub(crate) fn publish(&self, resource: &str, event: Arc<Event>) {
        let new = (!event.removed).then_some(&*event.object);
        self.index(resource, event.old.as_deref(), new);
        let changed = self.with_table(resource, |table, revision| {
            *revision = event.revision;
            table.push(event);
            Arc::clone(&table.changed)
        });
        changed.notify_waiters();
    }

    /// Ends every watch, now and later.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        let waiting: Vec<_> =
            self.read().tables.values().map(|table| Arc::clone(&table.changed)).collect();
        waiting.iter().for_each(|changed| changed.notify_waiters());
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn revision(&self) -> u64 {
        self.read().revision
    }

    pub(crate) fn get(&self, resource: &str, place: &Place) -> Option<Arc<Object>> {
        self.read().tables.get(resource)?.objects.get(place).cloned()
    }

    /// All objects with their resources, at one revision.
    pub(crate) fn snapshot(&self) -> (u64, Vec<(String, Arc<Object>)>) {
        let state = self.read();
        let all = state.tables.iter().flat_map(|(resource, table)| {
            table.objects.values().map(|object| (resource.clone(), Arc::clone(object)))
        });
        (state.revision, all.collect())
    }

    /// The resources that have, or had, objects.
    pub(crate) fn resources(&self) -> Vec<String> {
        self.read().tables.keys().cloned().collect()
    }

    /// Whether a namespace has more than so many objects.
    pub(crate) fn holds_more_than(&self, namespace: &str, limit: usize) -> bool {
        let state = self.read();
        let first = (namespace.to_owned(), String::new());
        let tables = state.tables.values();
        let objects = tables.flat_map(|table| {
            let from_first = table.objects.range(first.clone()..);
            from_first.take_while(|(place, _)| place.0 == namespace)
        });
        objects.take(limit + 1).count() > limit
    }

    /// Wakes whoever waits for changes of a resource.
    pub(crate) fn changed(&self, resource: &str) -> Arc<Notify> {
        self.with_table(resource, |table, _| Arc::clone(&table.changed))
    }

    /// Objects in order of namespace and name, in one namespace or all, at or after `start`.
    /// With `at`, as they were at that revision.
    pub(crate) fn list(
        &self,
        resource: &str,
        namespace: Option<&str>,
        start: Option<&Place>,
        at: Option<u64>,
    ) -> Result<Snapshot, TooOld> {
        let state = self.read();
        let revision = at.unwrap_or(state.revision);
        let Some(table) = state.tables.get(resource) else {
            return match at {
                Some(at) if at < self.opened_at => Err(TooOld { oldest: self.opened_at }),
                _ => Ok(Snapshot { revision, objects: Vec::new() }),
            };
        };
        if at.is_some_and(|at| at < table.floor) {
            return Err(TooOld { oldest: table.floor });
        }
        let within = |place: &Place| {
            namespace.is_none_or(|namespace| place.0 == namespace)
                && start.is_none_or(|start| place >= start)
        };
        // What has changed since, newest change first: the last insert holds the oldest state.
        let mut since: BTreeMap<&Place, Option<&Arc<Object>>> = BTreeMap::new();
        for event in table.after(revision).rev() {
            since.insert(&event.object.place, event.old.as_ref());
        }
        let lowest = match (start, namespace) {
            (Some(start), _) => Bound::Included(start.clone()),
            (None, Some(namespace)) => Bound::Included((namespace.to_owned(), String::new())),
            (None, None) => Bound::Unbounded,
        };
        let mut objects: Vec<Arc<Object>> = table
            .objects
            .range((lowest, Bound::Unbounded))
            .take_while(|(place, _)| namespace.is_none_or(|namespace| place.0 == namespace))
            .filter(|(place, _)| !since.contains_key(place))
            .map(|(_, object)| Arc::clone(object))
            .collect();
        if !since.is_empty() {
            let past = since.into_values().flatten().filter(|object| within(&object.place));
            objects.extend(past.cloned());
            objects.sort_by(|a, b| a.place.cmp(&b.place));
        }
        Ok(Snapshot { revision, objects })
    }

    /// The events after `revision`, at most `limit`, and the revision up to which they are
    /// complete.
    pub(crate) fn events_after(
        &self,
        resource: &str,
        revision: u64,
        limit: usize,
    ) -> Result<(Vec<Arc<Event>>, u64), TooOld> {
        let state = self.read();
        let floor = state.tables.get(resource).map_or(self.opened_at, |table| table.floor);
        if revision < floor {
            return Err(TooOld { oldest: floor });
        }
        let events: Vec<_> = state
            .tables
            .get(resource)
            .map(|table| table.after(revision).take(limit).cloned().collect())
            .unwrap_or_default();
        let complete_to = match events.last() {
            Some(last) if events.len() == limit => last.revision,
            _ => state.revision,
        };
        Ok((events, complete_to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str, revision: u64) -> Arc<Object> {
        let value = json!({"metadata": {}});
        Arc::new(Object::new(("ns".to_owned(), name.to_owned()), value, revision))
    }

    fn event(name: &str, revision: u64, old: Option<&Arc<Object>>, removed: bool) -> Arc<Event> {
        Arc::new(Event { revision, old: old.cloned(), object: object(name, revision), removed })
    }

    fn names(tables: &Tables, at: u64) -> Vec<(String, u64)> {
        let snapshot = tables.list("x", Some("ns"), None, Some(at)).expect("in reach");
        snapshot.objects.iter().map(|o| (o.place.1.clone(), o.revision)).collect()
    }

    #[test]
    fn a_list_at_an_old_revision_shows_what_was_there_then() {
        let tables = Tables::new("c".to_owned(), 4);
        tables.publish("x", event("b", 5, None, false));
        tables.publish("x", event("a", 6, None, false));
        tables.publish("x", event("b", 7, Some(&object("b", 5)), false));
        tables.publish("x", event("a", 8, Some(&object("a", 6)), true));
        let owned = |list: &[(&str, u64)]| -> Vec<(String, u64)> {
            list.iter().map(|(name, revision)| ((*name).to_owned(), *revision)).collect()
        };
        assert_eq!(names(&tables, 4), owned(&[]));
        assert_eq!(names(&tables, 5), owned(&[("b", 5)]));
        assert_eq!(names(&tables, 6), owned(&[("a", 6), ("b", 5)]));
        assert_eq!(names(&tables, 7), owned(&[("a", 6), ("b", 7)]));
        assert_eq!(names(&tables, 8), owned(&[("b", 7)]));
        assert!(tables.list("x", None, None, Some(3)).is_err());
    }

    #[test]
    fn a_full_ring_forgets_the_oldest_and_says_so() {
        let tables = Tables::new("c".to_owned(), 0);
        for revision in 1..=RING_EVENTS as u64 + 5 {
            tables.publish("x", event("a", revision, None, false));
        }
        assert_eq!(tables.events_after("x", 4, 1).map_err(|e| e.oldest).expect_err("gone"), 5);
        let (events, _) = tables.events_after("x", 5, 2).expect("in reach");
        assert_eq!(events.iter().map(|event| event.revision).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn owners_are_found_by_uid_until_nobody_names_them() {
        let child = |revision: u64, owners: Value| {
            let value = json!({"metadata": {"ownerReferences": owners}});
            Arc::new(Object::new(("ns".to_owned(), "c".to_owned()), value, revision))
        };
        let tables = Tables::new("c".to_owned(), 0);
        let one = child(1, json!([{"uid": "u1"}, {"uid": "u2"}]));
        let two = child(2, json!([{"uid": "u2"}]));
        let event = |revision, old: Option<&Arc<Object>>, object: &Arc<Object>, removed| {
            Arc::new(Event { revision, old: old.cloned(), object: Arc::clone(object), removed })
        };
        let entry = ("x".to_owned(), ("ns".to_owned(), "c".to_owned()));
        tables.publish("x", event(1, None, &one, false));
        assert_eq!(tables.dependents("u1"), std::slice::from_ref(&entry));
        tables.publish("x", event(2, Some(&one), &two, false));
        assert_eq!((tables.dependents("u1"), tables.dependents("u2")), (vec![], vec![entry]));
        tables.publish("x", event(3, Some(&two), &two, true));
        assert!(tables.owned().is_empty());
    }

    #[test]
    fn json_begins_with_kind_and_api_version_and_the_rest_can_be_cut_off() {
        let value = json!({"apiVersion": "v1", "data": {"k": "v"}, "kind": "X",
            "metadata": {}});
        let object = Object::new((String::new(), "a".to_owned()), value, 3);
        let wanted =
            r#"{"kind":"X","apiVersion":"v1","data":{"k":"v"},"metadata":{"resourceVersion":"3"}}"#;
        assert_eq!(object.bytes, wanted);
        assert_eq!(object.tail(), &wanted.as_bytes()[30..]);
        assert!(object.tail().starts_with(b"\"data\""));
    }
}
