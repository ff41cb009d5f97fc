//! A batch being made: what the commands so far will have done, before anything is done.

mod household;
mod namespaces;

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_apiserver_core::crd;
use jiff::Timestamp;
use serde_json::Value;

pub(crate) use self::household::Household;
pub(crate) use self::namespaces::{has_finalizers, is_deleting, mark_deleting};
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
    /// Namespaces that may be done, by cluster and name; true where all of it must be looked at.
    touched: BTreeMap<(String, String), (Arc<Tables>, bool)>,
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
            touched: BTreeMap::new(),
        }
    }

    /// The batch, closed by the revisions, and the events to publish once it is stored.
    pub(super) fn finish(mut self) -> (Vec<Change>, Vec<Addressed>) {
        self.finish_namespaces();
        let revisions = std::mem::take(&mut self.revisions);
        self.changes.extend(
            revisions.into_iter().map(|(cluster, revision)| Change::Revision { cluster, revision }),
        );
        (self.changes, self.events)
    }

    pub(super) fn write(&mut self, write: Write) -> Result<Arc<Object>, WriteError> {
        let Write { tables, resource, place, custom, expect, new } = write;
        if tables.is_closed() {
            return Err(WriteError::Stopped);
        }
        let current = self.current(&tables, &resource, &place);
        match (expect, &current) {
            (Expect::Absent, Some(_)) => return Err(WriteError::Exists),
            (Expect::Absent, None) => {
                self.check_namespace(&tables, &place.0)?;
                if custom {
                    self.check_kind(&tables, &resource)?;
                }
            }
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

    /// Whether the definition of a custom kind is there to stay. What asked before the definition
    /// was marked, and comes after it, would be left behind by its end.
    fn check_kind(&self, tables: &Tables, resource: &str) -> Result<(), WriteError> {
        let place = (String::new(), resource.to_owned());
        match self.current(tables, crd::GROUP_RESOURCE, &place) {
            None => Err(WriteError::KindMissing),
            Some(object) if crd::is_terminating(&object.value) => Err(WriteError::KindTerminating),
            Some(_) => Ok(()),
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

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use fleetwright_clock::RandomIds;
    use serde_json::json;

    use super::*;

    fn stage() -> Stage {
        let ids = Arc::new(RandomIds::seeded(1));
        let household = Household { ids, ca: OnceLock::new(), keeps: false };
        Stage::new("2026-01-01T00:00:00Z".parse().expect("a time"), Arc::new(household))
    }

    fn write(tables: &Arc<Tables>, resource: &str, name: &str, expect: Expect) -> Write {
        let (tables, place) = (Arc::clone(tables), (String::new(), name.to_owned()));
        let (resource, new) = (resource.to_owned(), Some(json!({"metadata": {"name": name}})));
        Write { tables, resource, place, custom: true, expect, new }
    }

    #[test]
    fn nothing_is_made_of_a_kind_whose_definition_goes_in_the_same_batch() {
        let tables = Arc::new(Tables::new("c".to_owned(), 1));
        let ships = "ships.sea.example.com";
        let mut stage = stage();
        let made = |stage: &mut Stage, name: &str| {
            stage.write(write(&tables, ships, name, Expect::Absent)).map(|_made| ())
        };
        assert_eq!(made(&mut stage, "a"), Err(WriteError::KindMissing));
        let mut definition = write(&tables, crd::GROUP_RESOURCE, ships, Expect::Absent);
        definition.custom = false;
        let stored = stage.write(definition).expect("stored");
        assert_eq!(made(&mut stage, "a"), Ok(()));
        let expect = Expect::Revision(stored.revision);
        let mut marked = write(&tables, crd::GROUP_RESOURCE, ships, expect);
        let time = json!("2026-01-01T00:00:00Z");
        marked.new = marked.new.map(|mut new| {
            new["metadata"]["deletionTimestamp"] = time;
            new
        });
        stage.write(marked).expect("marked");
        assert_eq!(made(&mut stage, "b"), Err(WriteError::KindTerminating));
    }
}
