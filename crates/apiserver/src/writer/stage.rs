//! A batch being made: what the commands so far will have done, before anything is done.

mod household;
mod namespaces;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;

pub(crate) use self::household::Household;
use super::{Expect, Write, WriteError};
use crate::store::{Change, Key};
use crate::tables::{Event, Object, Place, Tables};

/// An event with where it belongs: cluster, resource, event.
pub(super) type Addressed = (Arc<Tables>, String, Arc<Event>);

type Address = (String, String, Place);

pub(super) struct Stage {
    now: Timestamp,
    household: Arc<Household>,
    objects: BTreeMap<Address, Option<Arc<Object>>>,
    revisions: BTreeMap<String, u64>,
    changes: Vec<Change>,
    events: Vec<Addressed>,
}

impl Stage {
    pub(super) fn new(now: Timestamp, household: Arc<Household>) -> Self {
        Self {
            now,
            household,
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
        let (removed, born) = (new.is_none(), expect == Expect::Absent);
        let object = match (new, &current) {
            (Some(value), _) => self.put(&tables, &resource, place.clone(), value, current.clone()),
            (None, Some(old)) => self.remove(&tables, &resource, old),
            (None, None) => return Err(WriteError::Missing),
        };
        self.follow(&tables, &resource, &object, (born, removed));
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
        let object = Arc::new(Object::new(place, value, self.next_revision(tables)));
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
        let last = Arc::new(Object::new(old.place.clone(), last_state, self.next_revision(tables)));
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
}

fn key(tables: &Tables, resource: &str, place: &Place) -> Key {
    Key {
        cluster: tables.cluster.clone(),
        group_resource: resource.to_owned(),
        namespace: place.0.clone(),
        name: place.1.clone(),
    }
}
