//! The server: its clusters, and how they come and go.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use fleetwright_apiserver_core::openapi::OpenApi;
use fleetwright_apiserver_core::scheme::Scheme;
use fleetwright_apiserver_core::status::ApiError;
use fleetwright_clock::{Clock, Ids};
use serde_json::{Value, json};

use crate::auth::Authenticator;
use crate::cluster::{LogicalCluster, ResourceRef};
use crate::crds::{Definitions, Library};
use crate::garbage::{self, Collector};
use crate::router::Router;
use crate::store::{Key, Store, StoreError};
use crate::tables::{Object, Tables};
use crate::writer::{Household, WriteError, Writer};

/// The namespaces every cluster is born with.
const BIRTH_NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");

/// A Kubernetes API server with any number of logical clusters. Clones are handles to the same
/// server; its writer ends with the last of them.
#[derive(Clone, Debug)]
pub struct ApiServer(pub(crate) Arc<Shared>);

pub(crate) struct Shared {
    pub(crate) writer: Writer,
    pub(crate) household: Arc<Household>,
    pub(crate) collector: Arc<Collector>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn Ids>,
    clusters: RwLock<BTreeMap<String, Hosted>>,
    /// OpenAPI documents cost milliseconds and megabytes: one per scheme, made when first asked.
    documents: Mutex<Vec<(Arc<Scheme>, Arc<Documents>)>>,
    /// CustomResourceDefinitions, compiled once for all clusters that have them.
    pub(crate) crds: Library,
    /// Clusters come and go one at a time.
    admission: tokio::sync::Mutex<()>,
}

pub(crate) type Documents = OnceLock<OpenApi>;

struct Hosted {
    tables: Arc<Tables>,
    attached: Option<Arc<Attached>>,
}

/// What a cluster has besides its objects.
#[derive(Debug)]
pub(crate) struct Attached {
    /// What it was born with; see [`LogicalCluster::scheme`] for what it serves.
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) version: String,
    /// What is served beside the scheme.
    pub(crate) definitions: Definitions,
}

/// What a logical cluster is.
#[derive(Debug, Clone)]
pub struct ClusterSpec {
    /// Its name: a DNS label, as it becomes part of paths.
    pub name: String,
    /// The kinds it serves. Share one between clusters that serve the same.
    pub scheme: Arc<Scheme>,
    /// Who may talk to it.
    pub authenticator: Arc<dyn Authenticator>,
    /// `gitVersion` of `/version`, for example `v1.33.0-fleetwright`.
    pub version: String,
}

/// The server cannot start on what the store holds.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store does not give its data.
    #[error("the store cannot be loaded")]
    Load(#[source] StoreError),
    /// An object in it is not one.
    #[error("stored object {key} is damaged: {detail}; restore the data from a copy")]
    Damaged {
        /// Which.
        key: Key,
        /// What is wrong with it.
        detail: String,
    },
}

/// A cluster could not be added or removed.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The name is no DNS label.
    #[error("{0:?} is not a cluster name: use 1 to 63 lower-case letters, digits and dashes")]
    Name(String),
    /// The store did not take it.
    #[error("cluster {0} could not be stored")]
    NotStored(String),
    /// One of the namespaces that each cluster has could not be made.
    #[error("a namespace of cluster {cluster} could not be made")]
    Namespace {
        /// The cluster.
        cluster: String,
        /// Why.
        #[source]
        source: ApiError,
    },
}

impl ApiServer {
    /// Loads everything the store holds and starts the writer on the current tokio runtime.
    ///
    /// # Errors
    /// When the store cannot be read or holds something damaged; nothing is served then.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, OpenError> {
        Self::start(store, clock, ids, true).await
    }

    /// As [`ApiServer::open`], but the server does only what it is told, as upstream's without its
    /// controller manager: no default ServiceAccounts, and nobody collects what lost its owner.
    ///
    /// # Errors
    /// As [`ApiServer::open`].
    pub async fn open_bare(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Result<Self, OpenError> {
        Self::start(store, clock, ids, false).await
    }

    async fn start(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        keeps: bool,
    ) -> Result<Self, OpenError> {
        let loaded = store.load_all().await.map_err(OpenError::Load)?;
        let mut clusters = BTreeMap::new();
        for (name, revision) in loaded.clusters {
            let tables = Arc::new(Tables::new(name.clone(), revision));
            clusters.insert(name, Hosted { tables, attached: None });
        }
        for (key, bytes) in loaded.objects {
            let damaged = |detail: String| OpenError::Damaged { key: key.clone(), detail };
            let hosted = clusters
                .get(&key.cluster)
                .ok_or_else(|| damaged("its cluster has no revision".to_owned()))?;
            let object = restore(&key, &bytes).map_err(damaged)?;
            if object.revision > hosted.tables.revision() {
                return Err(damaged("it is newer than its cluster".to_owned()));
            }
            hosted.tables.restore(&key.group_resource, object);
        }
        let household = Arc::new(Household { ids: Arc::clone(&ids), ca: OnceLock::new(), keeps });
        let collector = Arc::new(Collector::new(keeps));
        let (kept, noticed) = (Arc::clone(&household), Arc::clone(&collector));
        let server = Self(Arc::new(Shared {
            writer: Writer::spawn(store, Arc::clone(&clock), kept, noticed),
            household,
            collector,
            clock,
            ids,
            clusters: RwLock::new(clusters),
            documents: Mutex::default(),
            crds: Library::default(),
            admission: tokio::sync::Mutex::default(),
        }));
        if keeps {
            garbage::spawn(&server);
        }
        Ok(server)
    }

    /// Names the authority whose certificate the clusters' pods trust. Namespaces get it as
    /// ConfigMap `kube-root-ca.crt`: those of clusters that are added afterwards, and new ones.
    /// Only the first call counts.
    pub fn set_certificate_authority(&self, pem: &str) {
        if self.0.household.ca.set(pem.to_owned()).is_err() {
            tracing::debug!("the certificate authority is known already");
        }
    }

    /// Serves a cluster: with the data it has, or as a new one. Adding one that is served already
    /// gives it the new spec.
    ///
    /// # Errors
    /// When the name is no DNS label or the store fails.
    pub async fn add_cluster(&self, spec: ClusterSpec) -> Result<LogicalCluster, ClusterError> {
        if !is_dns_label(&spec.name) {
            return Err(ClusterError::Name(spec.name));
        }
        let _one_at_a_time = self.0.admission.lock().await;
        let name = spec.name.clone();
        let known = self.with_clusters(|all| all.get(&name).map(|h| Arc::clone(&h.tables)));
        let tables = if let Some(tables) = known {
            tables
        } else {
            let stored = self.0.writer.birth(name.clone()).await;
            stored.map_err(|_unstored| ClusterError::NotStored(name.clone()))?;
            Arc::new(Tables::new(name.clone(), 1))
        };
        let attached = Arc::new(Attached {
            definitions: Definitions::new(&spec.scheme, &self.documents(&spec.scheme)),
            scheme: spec.scheme,
            authenticator: spec.authenticator,
            version: spec.version,
        });
        let cluster = LogicalCluster::new(self.clone(), Arc::clone(&tables), Arc::clone(&attached));
        cluster.serve_stored_crds();
        self.with_clusters(|all| {
            all.insert(name.clone(), Hosted { tables, attached: Some(attached) });
        });
        for namespace in BIRTH_NAMESPACES {
            if cluster.get(&NAMESPACES, None, namespace).await.is_none() {
                let object = json!({
                    "apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace},
                });
                cluster
                    .put(&NAMESPACES, object)
                    .await
                    .map_err(|source| ClusterError::Namespace { cluster: name.clone(), source })?;
            }
        }
        // Namespaces of a store that an older version wrote.
        let all = cluster.list(&NAMESPACES, None).await;
        let names = all.iter().filter_map(|n| n["metadata"]["name"].as_str().map(str::to_owned));
        let furnished = self.0.writer.furnish(Arc::clone(&cluster.tables), names.collect()).await;
        furnished.map_err(|_unstored| ClusterError::NotStored(name.clone()))?;
        cluster.show_own_crds();
        cluster.settle_crds().await;
        self.0.collector.look_through(&cluster.tables, self.0.clock.now());
        Ok(cluster)
    }

    /// Removes a cluster and, durably, all it holds. `false` when there is none of that name.
    ///
    /// # Errors
    /// When the store fails; the cluster is still there then.
    pub async fn remove_cluster(&self, name: &str) -> Result<bool, ClusterError> {
        let _one_at_a_time = self.0.admission.lock().await;
        let known = self.with_clusters(|all| all.get(name).map(|h| Arc::clone(&h.tables)));
        let Some(tables) = known else {
            return Ok(false);
        };
        let dropped = self.0.writer.drop_cluster(tables).await;
        dropped.map_err(|_unstored| ClusterError::NotStored(name.to_owned()))?;
        self.with_clusters(|all| all.remove(name));
        Ok(true)
    }

    /// A cluster that has been added.
    #[must_use]
    pub fn cluster(&self, name: &str) -> Option<LogicalCluster> {
        self.with_clusters(|all| {
            let hosted = all.get(name)?;
            let attached = Arc::clone(hosted.attached.as_ref()?);
            Some(LogicalCluster::new(self.clone(), Arc::clone(&hosted.tables), attached))
        })
    }

    /// The names of all clusters that have data, added or not, sorted.
    #[must_use]
    pub fn stored_clusters(&self) -> Vec<String> {
        self.with_clusters(|all| all.keys().cloned().collect())
    }

    /// Routes by path: `/clusters/NAME/…` to that cluster, everything else to the cluster `root`.
    #[must_use]
    pub fn router(&self, root: &str) -> Router {
        Router::new(self.clone(), root.to_owned())
    }

    /// Stops at once, as a killed process would: what waits is not written, watches end, every
    /// later request gets a 503.
    pub fn stop(&self) {
        self.0.writer.stop();
        self.0.collector.wake();
        self.all_tables().iter().for_each(|tables| tables.close());
    }

    pub(crate) fn all_tables(&self) -> Vec<Arc<Tables>> {
        self.with_clusters(|all| all.values().map(|hosted| Arc::clone(&hosted.tables)).collect())
    }

    /// Whether a commit was lost, so that this process must not write any more. Opening the store
    /// again (a restart) is the way out.
    #[must_use]
    pub fn store_failed(&self) -> bool {
        self.0.writer.failed()
    }

    fn with_clusters<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Hosted>) -> T) -> T {
        act(&mut self.0.clusters.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn documents(&self, scheme: &Arc<Scheme>) -> Arc<Documents> {
        let mut all = self.0.documents.lock().unwrap_or_else(PoisonError::into_inner);
        // Documents that no cluster uses any more go with their scheme.
        all.retain(|(_, documents)| Arc::strong_count(documents) > 1);
        if let Some((_, known)) = all.iter().find(|(known, _)| Arc::ptr_eq(known, scheme)) {
            return Arc::clone(known);
        }
        let documents = Arc::new(Documents::new());
        all.push((Arc::clone(scheme), Arc::clone(&documents)));
        documents
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiServer").field("writer", &self.writer).finish_non_exhaustive()
    }
}

impl Drop for Shared {
    /// Nobody can write any more, so nobody need wait for changes.
    fn drop(&mut self) {
        let clusters = self.clusters.get_mut().unwrap_or_else(PoisonError::into_inner);
        clusters.values().for_each(|hosted| hosted.tables.close());
        self.collector.wake();
    }
}

fn restore(key: &Key, bytes: &[u8]) -> Result<Object, String> {
    let value: Value = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let place = (key.namespace.clone(), key.name.clone());
    Object::restored(place, value).ok_or_else(|| "it has no resourceVersion".to_owned())
}

fn is_dns_label(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    bytes.len() <= 63
        && edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
}

impl From<WriteError> for ApiError {
    /// The errors that do not depend on the object.
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Unknown => ApiError::unavailable(
                "the store has failed and this server no longer writes; restart it",
            ),
            WriteError::Stopped => ApiError::unavailable("the server has stopped"),
            WriteError::NotStored => ApiError::internal("the store refused the write"),
            WriteError::Exists
            | WriteError::Missing
            | WriteError::Stale
            | WriteError::NamespaceMissing
            | WriteError::NamespaceTerminating
            | WriteError::KindMissing
            | WriteError::KindTerminating => ApiError::internal("unexpected write conflict"),
        }
    }
}
