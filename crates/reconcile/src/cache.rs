//! What a watch has seen: a sorted map of objects, and a call for every change.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_clock::Ids;
use fleetwright_errclass::backoff;
use fleetwright_names::ObjectKey;
use futures::StreamExt;
use kube::runtime::watcher;
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use tokio::sync::Notify;

/// The objects of one kind, as the watch saw them last.
#[derive(Debug)]
pub struct Cache<K> {
    objects: Mutex<BTreeMap<ObjectKey, Arc<K>>>,
    loaded: AtomicBool,
    on_loaded: Notify,
}

impl<K> Default for Cache<K> {
    fn default() -> Self {
        Self {
            objects: Mutex::new(BTreeMap::new()),
            loaded: AtomicBool::new(false),
            on_loaded: Notify::new(),
        }
    }
}

impl<K: Resource> Cache<K> {
    /// An empty cache that is not loaded yet.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// A loaded cache of these objects, for a look at what was read once.
    pub fn of(objects: impl IntoIterator<Item = Arc<K>>) -> Arc<Self> {
        let cache = Self::default();
        cache.lock().extend(objects.into_iter().map(|object| (key_of(object.as_ref()), object)));
        cache.loaded.store(true, Ordering::Release);
        Arc::new(cache)
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &ObjectKey) -> Option<Arc<K>> {
        self.lock().get(key).cloned()
    }

    /// All objects, sorted by key.
    #[must_use]
    pub fn list(&self) -> Vec<Arc<K>> {
        self.lock().values().cloned().collect()
    }

    /// Waits until the first full list is in. Nothing may be decided before.
    pub async fn loaded(&self) {
        loop {
            let notified = self.on_loaded.notified();
            if self.loaded.load(Ordering::Acquire) {
                return;
            }
            notified.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ObjectKey, Arc<K>>> {
        self.objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The key of an object.
fn key_of<K: Resource>(object: &K) -> ObjectKey {
    ObjectKey {
        namespace: object.meta().namespace.clone().unwrap_or_default(),
        name: object.meta().name.clone().unwrap_or_default(),
    }
}

/// Fills `cache` from a watch, for ever, and calls `on_change(old, new)` for every change. Errors are logged and retried
/// with backoff; the watcher itself lists again after a 410.
pub async fn watch<K>(
    api: Api<K>,
    cache: Arc<Cache<K>>,
    ids: Arc<dyn Ids>,
    on_change: impl Fn(Option<&K>, Option<&K>) + Send,
) where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let kind = K::kind(&());
    let mut fresh: Option<BTreeMap<ObjectKey, Arc<K>>> = None;
    let mut failures = 0;
    let mut events = std::pin::pin!(watcher(api, watcher::Config::default()));
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                failures = 0;
                apply(&cache, &mut fresh, event, &on_change);
            }
            Err(error) => {
                tracing::debug!(%kind, %error, failures, "watch broke; looking again");
                let delay = backoff(
                    Duration::from_millis(200),
                    Duration::from_secs(20),
                    failures,
                    ids.jitter(),
                );
                failures = failures.saturating_add(1);
                tokio::time::sleep(delay).await;
            }
        }
    }
}

fn apply<K: Resource<DynamicType = ()>>(
    cache: &Cache<K>,
    fresh: &mut Option<BTreeMap<ObjectKey, Arc<K>>>,
    event: watcher::Event<K>,
    on_change: &impl Fn(Option<&K>, Option<&K>),
) {
    match event {
        watcher::Event::Init => *fresh = Some(BTreeMap::new()),
        watcher::Event::InitApply(object) => {
            fresh.get_or_insert_default().insert(key_of(&object), Arc::new(object));
        }
        watcher::Event::InitDone => {
            let new = fresh.take().unwrap_or_default();
            let old = std::mem::replace(&mut *cache.lock(), new.clone());
            for (key, object) in &new {
                on_change(old.get(key).map(AsRef::as_ref), Some(object));
            }
            for (_, gone) in old.iter().filter(|(key, _)| !new.contains_key(*key)) {
                on_change(Some(gone), None);
            }
            cache.loaded.store(true, Ordering::Release);
            cache.on_loaded.notify_waiters();
        }
        watcher::Event::Apply(object) => {
            let object = Arc::new(object);
            let old = cache.lock().insert(key_of(object.as_ref()), Arc::clone(&object));
            on_change(old.as_deref(), Some(&object));
        }
        watcher::Event::Delete(object) => {
            let old = cache.lock().remove(&key_of(&object));
            on_change(Some(old.as_deref().unwrap_or(&object)), None);
        }
    }
}
