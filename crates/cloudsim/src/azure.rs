//! Azure: Microsoft Entra ID, the Resource Manager, and of its services Microsoft.ContainerService (AKS).
//!
//! A request goes from its token to its operation, meets the faults that wait for it, and is answered from the records.
//! What takes time is an operation that can be asked after; what it does, it does when it is due (`settle.rs`).

mod answer;
mod cluster;
mod credentials;
mod defaults;
mod drift;
mod entra;
mod inventory;
mod maintenance;
mod nodes;
mod operations;
mod pool;
mod pool_rules;
mod route;
mod rules;
mod settle;
mod shape;
mod state;
mod tables;
mod tags;
mod versions;
mod view;

use bytes::Bytes;
use fleetwright_apiserver::MountedAt;
use fleetwright_names::TAG_POOL;
use http::{Request, Response, StatusCode};
use serde_json::Value;

use self::answer::{Answer, AzureError, render};
use self::entra::Claims;
use self::route::{Op, Route};
pub(crate) use self::state::{AksCluster, AksKey};
use crate::faults::{Nature, Subject};
use crate::sts::form;
use crate::{AZURE_MOUNT_PATH, AZURE_SUBSCRIPTION_ID, Shared, control};

/// What an operation is called with.
struct Call<'a> {
    /// Where this service was reached: before the paths in its answers.
    base: String,
    /// The path, for messages.
    path: String,
    caller: Claims,
    route: Route,
    query: &'a str,
    body: &'a [u8],
    if_match: Option<String>,
    if_none_match: Option<String>,
    /// The operation that this begins will fail.
    doomed: bool,
}

impl Call<'_> {
    fn key(&self) -> AksKey {
        AksKey::new(&self.route.group, &self.route.name)
    }

    /// The body, or nothing.
    fn json(&self) -> Result<Value, AzureError> {
        serde_json::from_slice(self.body).map_err(|error| {
            AzureError::manager(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContent",
                format!(
                    "The request content was invalid and could not be deserialized: '{error}'."
                ),
            )
        })
    }

    /// A query parameter.
    fn parameter(&self, name: &str) -> Option<String> {
        form(self.query.as_bytes()).remove(name)
    }

    /// Whether what is there is what the caller thinks. `etag`: `None` when nothing is there.
    fn check_etag(&self, etag: Option<&str>) -> Result<(), AzureError> {
        let bare = |text: &str| text.trim_matches('"').to_owned();
        if let Some(wanted) = &self.if_match {
            let holds = etag.is_some_and(|etag| wanted == "*" || bare(wanted) == etag);
            if !holds {
                return Err(AzureError::precondition(format!(
                    "The etag {wanted} in the header If-Match is not that of the resource: it has been changed."
                )));
            }
        }
        match &self.if_none_match {
            Some(wanted) if etag.is_some_and(|etag| wanted == "*" || bare(wanted) == etag) => {
                Err(AzureError::precondition(
                    "The resource exists, which the header If-None-Match rules out.",
                ))
            }
            _ => Ok(()),
        }
    }
}

impl Shared {
    /// Answers any request; what goes wrong is an answer, too.
    pub(crate) async fn answer_azure(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let own = path.strip_prefix(AZURE_MOUNT_PATH).unwrap_or(path);
        if let Some(rest) = own.strip_prefix(control::PREFIX) {
            return self.control(rest, &request).await;
        }
        let request_id = self.ids.uid();
        let result = self.perform_azure(&request, own).await;
        if let Err(error) = &result
            && error.status == StatusCode::INTERNAL_SERVER_ERROR
        {
            let message = &error.message;
            tracing::warn!(request_id, code = error.code, message, "the simulated cloud failed");
        }
        render(result, &request_id)
    }

    async fn perform_azure(
        &self,
        request: &Request<Bytes>,
        path: &str,
    ) -> Result<Answer, AzureError> {
        let base = self.base(request);
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        if let ("POST", [tenant, "oauth2", "v2.0", "token"]) =
            (request.method().as_str(), segments.as_slice())
        {
            return self.token(tenant, request.body(), &base).await;
        }
        let header = |name: &str| {
            request.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        let caller = entra::caller(header("authorization").as_deref(), self.clock.now())?;
        let query = request.uri().query().unwrap_or_default();
        let api_version = form(query.as_bytes()).remove("api-version");
        let route = route::route(request.method().as_str(), path, api_version.as_deref())?;
        let mut call = Call {
            base,
            path: path.to_owned(),
            caller,
            route,
            query,
            body: request.body(),
            if_match: header("if-match"),
            if_none_match: header("if-none-match"),
            doomed: false,
        };
        self.azure_under_faults(&mut call).await
    }

    /// Where a request reached this service, without a slash at the end.
    fn base(&self, request: &Request<Bytes>) -> String {
        let uri = request.uri();
        let host = || request.headers().get("host").and_then(|host| host.to_str().ok());
        let scheme = uri
            .scheme_str()
            .unwrap_or_else(|| self.settings.public_url.split(':').next().unwrap_or("https"));
        let prefix = match request.extensions().get::<MountedAt>() {
            Some(MountedAt(prefix)) => prefix.as_str(),
            None if uri.path().starts_with(AZURE_MOUNT_PATH) => AZURE_MOUNT_PATH,
            None => "",
        };
        match uri.authority().map(http::uri::Authority::as_str).or_else(host) {
            Some(authority) => format!("{scheme}://{authority}{prefix}"),
            None => format!("{}{AZURE_MOUNT_PATH}", self.settings.public_url.trim_end_matches('/')),
        }
    }

    async fn azure_under_faults(&self, call: &mut Call<'_>) -> Result<Answer, AzureError> {
        let op = call.route.op;
        let cluster = call.route.cluster().map(str::to_owned);
        let long = cluster
            .as_ref()
            .map(|name| format!("{AZURE_SUBSCRIPTION_ID}/{}/{name}", call.route.group));
        let pool = call.route.pool().map(str::to_owned);
        let there = match op.nature() {
            Nature::Updates => self.is_there(call).await?,
            _ => true,
        };
        let declared = self.declared_aks_pool(call).await?;
        let subject = Subject {
            operation: op.name(),
            nature: if there { op.nature() } else { Nature::Creates },
            cluster: long.as_deref(),
            short_cluster: cluster.as_deref(),
            pool: pool.as_deref(),
            declared_pool: declared.as_deref(),
            on_host: false,
        };
        let verdict = self.judged(&subject).await.map_err(AzureError::server)?;
        if let Some(kind) = verdict.refused {
            return Err(AzureError::faulty(kind, op.action(), &call.path, &call.caller.oid));
        }
        call.doomed = verdict.doomed;
        let _turn = self.turn.lock().await;
        let before = if cluster.is_some() && verdict.stale_seconds > 0 {
            Some(self.current_aks(&call.key()).await.map_err(AzureError::server)?)
        } else {
            None
        };
        let answer = self.run_azure(call).await?;
        if let Some(before) = before {
            let cast = self.cast_shadow(call.key(), before, verdict.stale_seconds).await;
            cast.map_err(AzureError::server)?;
        }
        if verdict.lost { Err(AzureError::lost()) } else { Ok(answer) }
    }

    /// Whether what a call writes is there already.
    async fn is_there(&self, call: &Call<'_>) -> Result<bool, AzureError> {
        let cluster = self.ledger.one(&call.key()).await.map_err(AzureError::server)?;
        Ok(cluster.is_some_and(|cluster| match call.route.op {
            Op::PutPool => cluster.pools.contains_key(&call.route.inner),
            Op::PutMaintenance => cluster.maintenance.contains_key(&call.route.inner),
            _ => true,
        }))
    }

    /// What the declaration calls the pool that a call is about.
    async fn declared_aks_pool(&self, call: &Call<'_>) -> Result<Option<String>, AzureError> {
        let Some(pool) = call.route.pool() else {
            return Ok(None);
        };
        if !self.faults_name_pools().await.map_err(AzureError::server)? {
            return Ok(None);
        }
        let body: Value = serde_json::from_slice(call.body).unwrap_or_default();
        if let Some(said) = tags::ours(&body["properties"]["tags"]).remove(TAG_POOL) {
            return Ok(Some(said));
        }
        let cluster = self.ledger.one(&call.key()).await.map_err(AzureError::server)?;
        Ok(cluster.and_then(|cluster| cluster.pools.get(pool)?.declared_name()))
    }

    async fn run_azure(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let needs_group = !matches!(
            call.route.op,
            Op::ListClusters | Op::GetOperation | Op::GetResult | Op::Versions | Op::GetGroup
        );
        if needs_group && is_missing(&call.route.group) {
            return Err(AzureError::no_group(&call.route.group));
        }
        match call.route.op {
            Op::GetGroup => self.get_group(call).await,
            Op::PutCluster => self.put_cluster(call).await,
            Op::GetCluster => self.get_cluster(call).await,
            Op::PatchCluster => self.patch_cluster(call).await,
            Op::DeleteCluster => self.delete_aks(call).await,
            Op::ListClusters | Op::ListGroup => self.list_aks(call).await,
            Op::UserCredentials | Op::AdminCredentials => self.aks_credentials(call).await,
            Op::ClusterUpgrades => self.cluster_upgrades(call).await,
            Op::Versions => Ok(Answer::ok(versions::list())),
            Op::PutPool => self.put_pool(call).await,
            Op::GetPool => self.get_pool(call).await,
            Op::ListPools => self.list_pools(call).await,
            Op::DeletePool => self.delete_pool(call).await,
            Op::PoolUpgrades => self.pool_upgrades(call).await,
            Op::UpgradeImage => self.upgrade_image(call).await,
            Op::PutMaintenance => self.put_maintenance(call).await,
            Op::GetMaintenance => self.get_maintenance(call).await,
            Op::ListMaintenance => self.list_maintenance(call).await,
            Op::DeleteMaintenance => self.delete_maintenance(call).await,
            Op::GetOperation => self.get_operation(call).await,
            Op::GetResult => self.get_result(call).await,
        }
    }

    /// The cluster that the path names: as it is for operations that change something, as far as word has got around
    /// for those that look.
    async fn aks(&self, call: &Call<'_>) -> Result<AksCluster, AzureError> {
        let key = call.key();
        let mut found = self.current_aks(&key).await.map_err(AzureError::server)?;
        if call.route.op.nature() == Nature::Reads
            && let Some(shadow) = self.shadow_of(&key).await.map_err(AzureError::server)?
        {
            found = shadow;
        }
        found.ok_or_else(|| AzureError::no_cluster(&call.route.group, &call.route.name))
    }

    async fn store_aks(&self, cluster: &AksCluster) -> Result<(), AzureError> {
        self.ledger.save(&cluster.key, cluster).await.map_err(AzureError::server)
    }
}

/// Every resource group exists, but for those whose names say that they do not, and those of nodes without a cluster.
fn is_missing(group: &str) -> bool {
    let group = group.to_lowercase();
    group.starts_with("missing") || group.starts_with("mc_")
}
