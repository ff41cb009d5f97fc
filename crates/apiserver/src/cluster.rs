//! One logical cluster, as the rest of the program holds it.

use std::fmt;
use std::sync::Arc;

use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_apiserver_core::status::ApiError;
use serde_json::Value;

use crate::auth::Identity;
use crate::operations::place_of;
use crate::server::{ApiServer, Attached, Shared};
use crate::service::{ApiService, Who};
use crate::tables::Tables;

/// A resource of the API, by the names in its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ResourceRef {
    /// The API group; empty for core.
    pub group: &'static str,
    /// The version, for example `v1`.
    pub version: &'static str,
    /// The plural name, for example `secrets`.
    pub plural: &'static str,
}

impl ResourceRef {
    /// Names a resource.
    #[must_use]
    pub const fn new(group: &'static str, version: &'static str, plural: &'static str) -> Self {
        Self { group, version, plural }
    }
}

/// A handle to one cluster of an [`ApiServer`].
#[derive(Clone)]
pub struct LogicalCluster {
    server: ApiServer,
    pub(crate) tables: Arc<Tables>,
    pub(crate) attached: Arc<Attached>,
}

impl fmt::Debug for LogicalCluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogicalCluster").field(&self.tables.cluster).finish()
    }
}

impl LogicalCluster {
    pub(crate) fn new(server: ApiServer, tables: Arc<Tables>, attached: Arc<Attached>) -> Self {
        Self { server, tables, attached }
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.server.0
    }

    /// The kinds that are served now.
    pub(crate) fn scheme(&self) -> Arc<Scheme> {
        Arc::clone(&self.attached.definitions.served().scheme)
    }

    pub(crate) fn server(&self) -> &ApiServer {
        &self.server
    }

    /// The cluster's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.tables.cluster
    }

    /// The API for callers that show a bearer token; without a good one they get a 401.
    #[must_use]
    pub fn service(&self) -> ApiService {
        ApiService::new(self.clone(), Who::Bearer)
    }

    /// The API for our own code in this process, which is trusted to be `user`. This is what
    /// `kube::Client::new` takes.
    #[must_use]
    pub fn service_as(&self, user: Identity) -> ApiService {
        ApiService::new(self.clone(), Who::Trusted(user))
    }

    /// One object, if it is there. `namespace` is `None` for kinds that live in none.
    pub async fn get(
        &self,
        resource: &ResourceRef,
        namespace: Option<&str>,
        name: &str,
    ) -> Option<Arc<Value>> {
        let rt = self.resource_type(resource).ok()?;
        let object = self.tables.get(&rt.stored_resource(), &place_of(namespace, name))?;
        Some(Arc::clone(&object.viewed(&rt).value))
    }

    /// All objects of a resource, in one namespace or everywhere, by namespace and name.
    pub async fn list(&self, resource: &ResourceRef, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let Ok(rt) = self.resource_type(resource) else {
            return Vec::new();
        };
        // A list of now is never too old.
        let listed = self.tables.list(&rt.stored_resource(), namespace, None, None);
        let objects = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
        objects.iter().map(|object| Arc::clone(&object.viewed(&rt).value)).collect()
    }

    /// Creates or replaces an object, its status included. Namespace and name are those in its
    /// metadata; a `resourceVersion` there is ignored. Writes nothing when nothing differs.
    ///
    /// # Errors
    /// What a client would get for the same object: invalid, its namespace missing, the store down.
    pub async fn put(&self, resource: &ResourceRef, object: Value) -> Result<Arc<Value>, ApiError> {
        let rt = self.resource_type(resource)?;
        self.create_or_replace(&rt, object).await
    }

    /// Deletes an object as a client would: at once, or once its finalizers are gone. That it is
    /// not there is fine.
    ///
    /// # Errors
    /// When the resource is unknown or the store is down.
    pub async fn delete(
        &self,
        resource: &ResourceRef,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<(), ApiError> {
        let rt = self.resource_type(resource)?;
        let options = Options::default();
        match self.remove(&rt, namespace, name, None, &options).await {
            Ok(_) => Ok(()),
            Err(error) if error.code() == 404 => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn resource_type(&self, resource: &ResourceRef) -> Result<Arc<ResourceType>, ApiError> {
        let ResourceRef { group, version, plural } = resource;
        let scheme = self.scheme();
        let found = scheme.find(group, version, plural);
        found.map(Arc::clone).ok_or_else(ApiError::path_not_found)
    }
}
