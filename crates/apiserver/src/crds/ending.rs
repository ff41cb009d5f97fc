//! The end of a definition: first its instances go, then the definition itself.

use std::sync::{Arc, PoisonError, Weak};
use std::time::Duration;

use fleetwright_apiserver_core::crd;

use super::ATTEMPTS;
use crate::cluster::LogicalCluster;
use crate::server::{ApiServer, Shared};
use crate::tables::{Object, Tables};
use crate::writer::{Expect, Write, WriteError, has_finalizers, is_deleting, mark_deleting};

/// Until instances are tried again that could not be deleted.
const PAUSE: Duration = Duration::from_secs(5);

impl LogicalCluster {
    /// Deletes what is left of a kind, and then its definition.
    pub(super) async fn end_instances(&self, name: &str) -> Result<(), WriteError> {
        for object in instances(&self.tables, name) {
            match self.end_instance(name, object).await {
                Ok(()) => {}
                // Tried again after a pause.
                Err(error @ (WriteError::Stale | WriteError::NotStored)) => {
                    tracing::warn!(?error, %name, "an instance is not deleted yet");
                }
                Err(error) => return Err(error),
            }
        }
        if !instances(&self.tables, name).is_empty() {
            self.await_last_instance(name);
            return Ok(());
        }
        let now = self.shared().clock.now();
        self.rewrite(name, |object| {
            let cleaned = crd::cleaned_up(object, now);
            let finalizers = cleaned["metadata"]["finalizers"].as_array();
            Some(finalizers.is_some_and(|list| !list.is_empty()).then_some(cleaned))
        })
        .await
    }

    /// Deletes one instance, or marks it where finalizers wait. As for what goes along with a
    /// namespace, no policy is asked: the deletion of the kind was.
    async fn end_instance(&self, name: &str, object: Arc<Object>) -> Result<(), WriteError> {
        let place = &object.place;
        for _ in 0..ATTEMPTS {
            let Some(object) = self.tables.get(name, place) else { return Ok(()) };
            let waits = has_finalizers(&object.value);
            if waits && is_deleting(&object.value) {
                return Ok(());
            }
            let write = Write {
                tables: Arc::clone(&self.tables),
                resource: name.to_owned(),
                place: place.clone(),
                custom: true,
                expect: Expect::Revision(object.revision),
                new: waits.then(|| mark_deleting(&object.value, self.shared().clock.now())),
            };
            match self.shared().writer.write(write).await {
                Ok(_) | Err(WriteError::Missing) => return Ok(()),
                Err(WriteError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(WriteError::Stale)
    }

    /// Settles again once the kind has no instances. The task ends with the server.
    fn await_last_instance(&self, name: &str) {
        let mut awaited =
            self.attached.definitions.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        if !awaited.insert(name.to_owned()) {
            return;
        }
        let wait = Wait {
            shared: Arc::downgrade(&self.server().0),
            tables: Arc::clone(&self.tables),
            name: name.to_owned(),
        };
        tokio::spawn(wait.run());
    }
}

fn instances(tables: &Tables, name: &str) -> Vec<Arc<Object>> {
    let listed = tables.list(name, None, None, None);
    listed.map(|snapshot| snapshot.objects).unwrap_or_default()
}

/// Waiting for the last instance of a definition that is being deleted.
struct Wait {
    shared: Weak<Shared>,
    tables: Arc<Tables>,
    name: String,
}

impl Wait {
    async fn run(self) {
        let changed = self.tables.changed(&self.name);
        loop {
            let mut woken = std::pin::pin!(changed.notified());
            // Registered before looking, so that no change falls in between.
            woken.as_mut().enable();
            if self.tables.is_closed() {
                return;
            }
            let left = instances(&self.tables, &self.name);
            if left.is_empty() {
                break;
            }
            if !left.iter().all(|object| is_deleting(&object.value)) {
                tokio::time::sleep(PAUSE).await;
                break;
            }
            woken.await;
        }
        let server = self.shared.upgrade().map(ApiServer);
        let Some(cluster) = server.and_then(|server| server.cluster(&self.tables.cluster)) else {
            return;
        };
        let definitions = &cluster.attached.definitions;
        definitions.awaited.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        cluster.settle_crds().await;
    }
}
