//! CustomResourceDefinitions at work: which kinds a cluster serves beside those it was born with.
//!
//! Whatever is written about a definition is settled before the writer of it gets an answer: its
//! names and conditions, the kinds that are served, and the end of its instances when it goes. So
//! nothing here polls, and all is the same again after a restart.
//!
//! Definitions that are part of the program (those in the cluster's scheme) are shown like any
//! other, but live in memory: only what somebody writes about them (a label) is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};

use fleetwright_apiserver_core::crd;
use fleetwright_apiserver_core::openapi::OpenApi;
use fleetwright_apiserver_core::scheme::{CompiledCrd, ResourceType, Scheme, SchemeError};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::cluster::LogicalCluster;
use crate::operations::place_of;
use crate::server::Documents;
use crate::tables::Object;
use crate::writer::{Expect, Write, WriteError};

mod ending;

/// How often a status that was overtaken is tried again.
const ATTEMPTS: usize = 5;

type CrdDigest = [u8; 32];

/// The kinds that a cluster serves now.
#[derive(Debug)]
pub(crate) struct Served {
    pub(crate) scheme: Arc<Scheme>,
    base: Arc<Scheme>,
    digests: Vec<CrdDigest>,
    crds: BTreeMap<String, Arc<CompiledCrd>>,
    base_documents: Arc<Documents>,
    documents: Documents,
}

impl Served {
    /// Only what the cluster was born with.
    fn plain(base: &Arc<Scheme>, base_documents: &Arc<Documents>) -> Self {
        Self {
            scheme: Arc::clone(base),
            base: Arc::clone(base),
            digests: Vec::new(),
            crds: BTreeMap::new(),
            base_documents: Arc::clone(base_documents),
            documents: Documents::new(),
        }
    }

    /// The OpenAPI documents; those of built-in kinds are shared by all clusters.
    pub(crate) fn openapi(&self) -> &OpenApi {
        let base = self.base_documents.get_or_init(|| OpenApi::build(&self.base));
        if self.crds.is_empty() {
            return base;
        }
        self.documents.get_or_init(|| {
            let mine = |group: &str| {
                let mut types = self.crds.values().flat_map(|crd| &crd.served);
                types.any(|rt| rt.group == group)
            };
            base.extended(&self.scheme, mine)
        })
    }
}

/// Definitions compiled once for all clusters of a server that have them.
#[derive(Debug, Default)]
pub(crate) struct Library {
    compiled: Mutex<BTreeMap<CrdDigest, Weak<CompiledCrd>>>,
    served: Mutex<Vec<Weak<Served>>>,
}

impl Library {
    fn compile(
        &self,
        base: &Scheme,
        crd: &Value,
        digest: CrdDigest,
    ) -> Result<Arc<CompiledCrd>, SchemeError> {
        let mut all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = all.get(&digest).and_then(Weak::upgrade) {
            return Ok(known);
        }
        all.retain(|_, known| known.strong_count() > 0);
        let compiled = Arc::new(base.compile(&crd::as_accepted(crd))?);
        all.insert(digest, Arc::downgrade(&compiled));
        Ok(compiled)
    }

    /// The kinds of `base` and of all established definitions. `known` remembers the digest of a
    /// definition by its revision.
    fn serve(
        &self,
        base: &Served,
        crds: &[Arc<Object>],
        known: &mut BTreeMap<String, (u64, CrdDigest)>,
    ) -> Arc<Served> {
        let own = base.base.own_crds();
        let mut compiled = BTreeMap::new();
        let mut digests = Vec::new();
        for object in crds.iter().filter(|object| crd::is_established(&object.value)) {
            let name = &object.place.1;
            if own.contains_key(name) {
                continue;
            }
            let digest = match known.get(name) {
                Some((revision, digest)) if *revision == object.revision => *digest,
                _ => crd::digest(&object.value),
            };
            known.insert(name.clone(), (object.revision, digest));
            match self.compile(&base.base, &object.value, digest) {
                Ok(crd) => {
                    digests.push(digest);
                    compiled.insert(name.clone(), crd);
                }
                Err(error) => tracing::error!(%name, %error, "a stored definition is not served"),
            }
        }
        let mut all = self.served.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|known| known.strong_count() > 0);
        let same =
            |known: &Arc<Served>| Arc::ptr_eq(&known.base, &base.base) && known.digests == digests;
        if let Some(known) = all.iter().filter_map(Weak::upgrade).find(same) {
            return known;
        }
        let types = compiled.values().flat_map(|crd| &crd.served);
        let mut served = Served::plain(&base.base, &base.base_documents);
        if !compiled.is_empty() {
            served.scheme = Arc::new(base.base.extended(types));
        }
        served.digests = digests;
        served.crds = compiled;
        let served = Arc::new(served);
        all.push(Arc::downgrade(&served));
        served
    }
}

/// What a cluster knows about its definitions.
#[derive(Debug)]
pub(crate) struct Definitions {
    served: RwLock<Arc<Served>>,
    /// One settles at a time.
    settling: tokio::sync::Mutex<()>,
    /// Those whose last instances are being waited for.
    awaited: Mutex<BTreeSet<String>>,
    /// The digests of the definitions, each with the revision at which it was taken.
    digests: Mutex<BTreeMap<String, (u64, CrdDigest)>>,
}

impl Definitions {
    pub(crate) fn new(base: &Arc<Scheme>, documents: &Arc<Documents>) -> Self {
        let served = RwLock::new(Arc::new(Served::plain(base, documents)));
        Self {
            served,
            settling: tokio::sync::Mutex::default(),
            awaited: Mutex::default(),
            digests: Mutex::default(),
        }
    }

    pub(crate) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Whether the resource is that of the definitions.
pub(crate) fn is_crd(rt: &ResourceType) -> bool {
    rt.is(crd::GROUP, crd::PLURAL)
}

impl LogicalCluster {
    fn crds(&self) -> Vec<Arc<Object>> {
        // A list of now is never too old.
        let listed = self.tables.list(crd::GROUP_RESOURCE, None, None, None);
        listed.map(|snapshot| snapshot.objects).unwrap_or_default()
    }

    /// Serves what is stored; for the moment before a cluster answers anybody.
    pub(crate) fn serve_stored_crds(&self) {
        let (definitions, library) = (&self.attached.definitions, &self.shared().crds);
        let now = definitions.served();
        let mut known = definitions.digests.lock().unwrap_or_else(PoisonError::into_inner);
        let next = library.serve(&now, &self.crds(), &mut known);
        drop(known);
        let same = next.digests == now.digests;
        let changed: Vec<_> = next
            .crds
            .iter()
            .filter(|(name, crd)| !now.crds.get(*name).is_some_and(|old| Arc::ptr_eq(old, crd)))
            .map(|(_, crd)| Arc::clone(&crd.storage))
            .collect();
        if !same {
            *definitions.served.write().unwrap_or_else(PoisonError::into_inner) = next;
        }
        changed.iter().for_each(|rt| self.tables.reread(rt));
    }

    /// Shows the definitions that are part of the program, as they are now.
    pub(crate) fn show_own_crds(&self) {
        let own = self.attached.scheme.own_crds();
        if own.is_empty() {
            return;
        }
        let born = self.tables.get("namespaces", &place_of(None, "default"));
        let born = born.map(|namespace| namespace.value["metadata"]["creationTimestamp"].clone());
        let born = born.unwrap_or_default();
        for (name, definition) in own {
            let place = place_of(None, name);
            let stored = self.tables.get(crd::GROUP_RESOURCE, &place);
            if stored.as_ref().is_some_and(|object| object.value["spec"] == definition["spec"]) {
                continue;
            }
            let mut object = (**definition).clone();
            let revision = stored.as_ref().map_or(1, |object| object.revision);
            match stored {
                // Of what an older program stored, the spec is the program's.
                Some(old) => {
                    object["metadata"] = old.value["metadata"].clone();
                    object["status"] = old.value["status"].clone();
                }
                None => {
                    object["metadata"]["uid"] = json!(steady_uid(&self.tables.cluster, name));
                    object["metadata"]["creationTimestamp"] = born.clone();
                    object["metadata"]["generation"] = json!(1);
                }
            }
            let now = born.as_str().and_then(|text| text.parse().ok());
            let now = now.unwrap_or_else(|| self.shared().clock.now());
            if let Some(status) = crd::settle(&object, &[], false, now) {
                object["status"] = status;
            }
            self.tables.restore(crd::GROUP_RESOURCE, Object::new(place, object, revision));
        }
    }

    /// Follows up on a change of the definitions. Goes on if whoever waits for it goes away.
    pub(crate) fn crds_changed(&self) -> BoxFuture<'static, ()> {
        let cluster = self.clone();
        let settled = tokio::spawn(async move { cluster.settle_crds().await });
        async move {
            if let Err(error) = settled.await {
                tracing::error!(%error, "definitions could not be settled");
            }
        }
        .boxed()
    }

    pub(crate) async fn settle_crds(&self) {
        let _one_at_a_time = self.attached.definitions.settling.lock().await;
        if let Err(error) = self.settle().await {
            // A store that fails is told of elsewhere; the next change or start settles again.
            tracing::warn!(?error, "definitions are not settled");
        }
    }

    async fn settle(&self) -> Result<(), WriteError> {
        for object in self.crds() {
            self.settle_status(&object.place.1).await?;
        }
        self.serve_stored_crds();
        let before = self.crds();
        for object in &before {
            if crd::is_terminating(&object.value) && cleans_up(&object.value) {
                self.end_instances(&object.place.1).await?;
            }
        }
        // Who waited for the names of one that is gone has them now.
        if self.crds().len() < before.len() {
            for object in self.crds() {
                self.settle_status(&object.place.1).await?;
            }
        }
        self.serve_stored_crds();
        Ok(())
    }

    /// Names and conditions, in the order of names: who has a name keeps it.
    async fn settle_status(&self, name: &str) -> Result<(), WriteError> {
        let own = self.attached.scheme.own_crds();
        if own.contains_key(name) {
            return Ok(());
        }
        let next = |object: &Value| {
            let all = self.crds();
            let others: Vec<&Value> = all.iter().map(|other| &*other.value).collect();
            let taken = self.is_taken(object);
            let status = crd::settle(object, &others, taken, self.shared().clock.now())?;
            let mut next = object.clone();
            next["status"] = status;
            Some(Some(next))
        };
        self.rewrite(name, next).await
    }

    /// Whether a kind of the server itself has the path of a definition.
    fn is_taken(&self, definition: &Value) -> bool {
        let spec = &definition["spec"];
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (group, plural) = (text(&spec["group"]), text(&spec["names"]["plural"]));
        let base = &self.attached.scheme;
        base.types().any(|rt| rt.group == group && rt.plural == plural)
    }

    /// Stores what `next` makes of a definition: None leaves it, Some(None) removes it.
    async fn rewrite(
        &self,
        name: &str,
        next: impl Fn(&Value) -> Option<Option<Value>>,
    ) -> Result<(), WriteError> {
        let place = place_of(None, name);
        for _ in 0..ATTEMPTS {
            let Some(object) = self.tables.get(crd::GROUP_RESOURCE, &place) else {
                return Ok(());
            };
            let Some(new) = next(&object.value) else { return Ok(()) };
            let write = Write {
                tables: Arc::clone(&self.tables),
                resource: crd::GROUP_RESOURCE.to_owned(),
                place: place.clone(),
                custom: false,
                expect: Expect::Revision(object.revision),
                new,
            };
            match self.shared().writer.write(write).await {
                Ok(_) | Err(WriteError::Missing) => return Ok(()),
                Err(WriteError::Stale) => {}
                Err(error) => return Err(error),
            }
        }
        Err(WriteError::Stale)
    }
}

fn cleans_up(definition: &Value) -> bool {
    let finalizers = definition["metadata"]["finalizers"].as_array();
    finalizers.is_some_and(|list| list.iter().any(|name| name == crd::CLEANUP_FINALIZER))
}

/// The uid of a definition that is never created: always the same in a cluster (RFC 9562, version
/// 8: of our own making).
fn steady_uid(cluster: &str, name: &str) -> String {
    let digest = Sha256::digest(format!("{cluster}/{name}").as_bytes());
    let hex: String = digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(kind: &str, revision: u64) -> Arc<Object> {
        let plural = format!("{}s", kind.to_lowercase());
        let name = format!("{plural}.sea.example.com");
        let mut object = json!({"apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {"group": "sea.example.com", "scope": "Namespaced",
                "names": {"plural": plural, "kind": kind},
                "versions": [{"name": "v1", "served": true, "storage": true,
                    "schema": {"openAPIV3Schema": {"type": "object"}}}]}});
        let now = "2026-01-01T00:00:00Z".parse().expect("a time");
        object["status"] = crd::settle(&object, &[], false, now).expect("a status");
        Arc::new(Object::new(place_of(None, &name), object, revision))
    }

    #[test]
    fn clusters_with_the_same_definitions_share_what_is_compiled() {
        let (library, base) = (Library::default(), Arc::new(Scheme::builtin()));
        let plain = Served::plain(&base, &Arc::default());
        let serve = |crds: &[Arc<Object>]| library.serve(&plain, crds, &mut BTreeMap::new());
        let one = serve(&[stored("Ship", 5)]);
        let other = serve(&[stored("Ship", 9)]);
        assert!(Arc::ptr_eq(&one, &other));
        let both = serve(&[stored("Port", 3), stored("Ship", 9)]);
        let ship = |served: &Served| served.scheme.find("sea.example.com", "v1", "ships").cloned();
        let (alone, among) = (ship(&one).expect("served"), ship(&both).expect("served"));
        assert!(Arc::ptr_eq(&alone, &among));
        assert!(Arc::ptr_eq(&serve(&[]).scheme, &base));
        // What no cluster has any more is forgotten.
        drop((one, other, both, alone, among));
        serve(&[]);
        assert_eq!(library.served.lock().expect("sane").len(), 1);
    }

    #[test]
    fn a_uid_that_is_made_up_is_one_and_stays() {
        let uid = steady_uid("hub", "a.example.com");
        assert_eq!(uid, steady_uid("hub", "a.example.com"));
        assert_ne!(uid, steady_uid("other", "a.example.com"));
        let groups: Vec<usize> = uid.split('-').map(str::len).collect();
        assert_eq!((groups.as_slice(), &uid[14..15]), (&[8, 4, 4, 4, 12][..], "8"));
    }
}
