//! A batch being made: what the commands so far will have done, before anything is done.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Expect, Write, WriteError};
use crate::store::{Change, Key};
use crate::tables::{Event, Object, Place, Tables};

/// The resource whose deletion takes others along.
const NAMESPACES: &str = "namespaces";

/// An event with where it belongs: cluster, resource, event.
pub(super) type Addressed = (Arc<Tables>, String, Arc<Event>);

type Address = (String, String, Place);

pub(super) struct Stage {
    now: Timestamp,
    objects: BTreeMap<Address, Option<Arc<Object>>>,
    revisions: BTreeMap<String, u64>,
    changes: Vec<Change>,
    events: Vec<Addressed>,
}

impl Stage {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            now,
            objects: BTreeMap::new(),
            revisions: BTreeMap::new(),
            changes: Vec::new(),
            events: Vec::new(),
        }
    }

    /// The batch, closed by the revisions, and the events to publish once it is stored.
    pub(super) fn finish(mut self) -> (Vec<Change>, Vec<Addressed>) {
        let revisions = std::mem::take(&mut self.revisions);
        self.changes.extend(
            revisions.into_iter().map(|(cluster, revision)| Change::Revision { cluster, revision }),
        );
        (self.changes, self.events)
    }

    pub(super) fn write(&mut self, write: Write) -> Result<Arc<Object>, WriteError> {
        let Write { tables, resource, place, expect, new } = write;
        if tables.is_closed() {
            return Err(WriteError::Stopped);
        }
        let current = self.current(&tables, &resource, &place);
        match (expect, &current) {
            (Expect::Absent, Some(_)) => return Err(WriteError::Exists),
            (Expect::Absent, None) => self.check_namespace(&tables, &place.0)?,
            (Expect::Revision(_), None) => return Err(WriteError::Missing),
            (Expect::Revision(wanted), Some(object)) if object.revision != wanted => {
                return Err(WriteError::Stale);
            }
            (Expect::Revision(_), Some(_)) => {}
        }
        let removed = new.is_none();
        let object = match (new, &current) {
            (Some(value), _) => self.put(&tables, &resource, place.clone(), value, current.clone()),
            (None, Some(old)) => self.remove(&tables, &resource, old),
            (None, None) => return Err(WriteError::Missing),
        };
        if resource == NAMESPACES {
            if !removed && is_deleting(&object.value) {
                self.empty_namespace(&tables, &place.1);
            }
        } else if removed && !place.0.is_empty() {
            self.finish_namespace(&tables, &place.0);
        }
        Ok(object)
    }

    fn current(&self, tables: &Tables, resource: &str, place: &Place) -> Option<Arc<Object>> {
        let address = (tables.cluster.clone(), resource.to_owned(), place.clone());
        match self.objects.get(&address) {
            Some(staged) => staged.clone(),
            None => tables.get(resource, place),
        }
    }

    fn next_revision(&mut self, tables: &Tables) -> u64 {
        let revision =
            self.revisions.entry(tables.cluster.clone()).or_insert_with(|| tables.revision());
        *revision += 1;
        *revision
    }

    fn put(
        &mut self,
        tables: &Arc<Tables>,
        resource: &str,
        place: Place,
        value: Value,
        old: Option<Arc<Object>>,
    ) -> Arc<Object> {
        let object = Arc::new(with_revision(place, value, self.next_revision(tables)));
        let key = key(tables, resource, &object.place);
        self.changes.push(Change::Put(key, object.bytes.clone()));
        self.record(
            tables,
            resource,
            Event { revision: object.revision, old, object: Arc::clone(&object), removed: false },
        );
        object
    }

    fn remove(&mut self, tables: &Arc<Tables>, resource: &str, old: &Arc<Object>) -> Arc<Object> {
        let last_state = (*old.value).clone();
        let last =
            Arc::new(with_revision(old.place.clone(), last_state, self.next_revision(tables)));
        self.changes.push(Change::Delete(key(tables, resource, &old.place)));
        self.record(
            tables,
            resource,
            Event {
                revision: last.revision,
                old: Some(Arc::clone(old)),
                object: Arc::clone(&last),
                removed: true,
            },
        );
        last
    }

    fn record(&mut self, tables: &Arc<Tables>, resource: &str, event: Event) {
        let address = (tables.cluster.clone(), resource.to_owned(), event.object.place.clone());
        let state = (!event.removed).then(|| Arc::clone(&event.object));
        self.objects.insert(address, state);
        self.events.push((Arc::clone(tables), resource.to_owned(), Arc::new(event)));
    }

    fn check_namespace(&self, tables: &Tables, namespace: &str) -> Result<(), WriteError> {
        if namespace.is_empty() {
            return Ok(());
        }
        match self.current(tables, NAMESPACES, &namespace_place(namespace)) {
            None => Err(WriteError::NamespaceMissing),
            Some(object) if is_deleting(&object.value) => Err(WriteError::NamespaceTerminating),
            Some(_) => Ok(()),
        }
    }

    /// Deletes what a namespace holds: at once, or by a mark where finalizers wait.
    fn empty_namespace(&mut self, tables: &Arc<Tables>, namespace: &str) {
        for (resource, object) in self.contents(tables, namespace) {
            if has_finalizers(&object.value) {
                if !is_deleting(&object.value) {
                    let marked = mark_deleting(&object.value, self.now);
                    let old = Some(Arc::clone(&object));
                    self.put(tables, &resource, object.place.clone(), marked, old);
                }
            } else {
                self.remove(tables, &resource, &object);
            }
        }
        self.finish_namespace(tables, namespace);
    }

    /// Removes a namespace that is deleting, empty and held by no finalizer.
    fn finish_namespace(&mut self, tables: &Arc<Tables>, namespace: &str) {
        let Some(object) = self.current(tables, NAMESPACES, &namespace_place(namespace)) else {
            return;
        };
        let finished = is_deleting(&object.value)
            && !has_finalizers(&object.value)
            && self.contents(tables, namespace).is_empty();
        if finished {
            self.remove(tables, NAMESPACES, &object);
        }
    }

    fn contents(&self, tables: &Tables, namespace: &str) -> Vec<(String, Arc<Object>)> {
        let mut found = BTreeMap::new();
        let resources: BTreeSet<String> = tables.resources().into_iter().collect();
        for resource in resources {
            let listed = tables.list(&resource, Some(namespace), None, None);
            for object in listed.map(|snapshot| snapshot.objects).unwrap_or_default() {
                found.insert((resource.clone(), object.place.clone()), object);
            }
        }
        for ((cluster, resource, place), staged) in &self.objects {
            if *cluster != tables.cluster || place.0 != namespace {
                continue;
            }
            let address = (resource.clone(), place.clone());
            match staged {
                Some(object) => found.insert(address, Arc::clone(object)),
                None => found.remove(&address),
            };
        }
        found.into_iter().map(|((resource, _), object)| (resource, object)).collect()
    }
}

fn namespace_place(namespace: &str) -> Place {
    (String::new(), namespace.to_owned())
}

fn key(tables: &Tables, resource: &str, place: &Place) -> Key {
    Key {
        cluster: tables.cluster.clone(),
        group_resource: resource.to_owned(),
        namespace: place.0.clone(),
        name: place.1.clone(),
    }
}

fn with_revision(place: Place, mut value: Value, revision: u64) -> Object {
    value["metadata"]["resourceVersion"] = Value::String(revision.to_string());
    let bytes = Bytes::from(value.to_string());
    Object { place, revision, value: Arc::new(value), bytes }
}

fn is_deleting(value: &Value) -> bool {
    !value["metadata"]["deletionTimestamp"].is_null()
}

fn has_finalizers(value: &Value) -> bool {
    value["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty())
}

/// What a deletion that must wait writes (k8s.io/apiserver `rest.BeforeDelete`).
fn mark_deleting(value: &Value, now: Timestamp) -> Value {
    let mut marked = value.clone();
    let metadata = &mut marked["metadata"];
    metadata["deletionTimestamp"] = json!(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string());
    metadata["deletionGracePeriodSeconds"] = json!(0);
    if let Some(generation) = metadata["generation"].as_u64() {
        metadata["generation"] = json!(generation + 1);
    }
    marked
}
