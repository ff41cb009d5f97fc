//! Every call of Azure that we make, as the crate builds it: method, path and query. Nothing is sent here.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use azure_core::auth::{AccessToken, TokenCredential, TokenResponse};
use azure_core::date::parse_rfc3339;
use azure_core::headers::Headers;
use azure_core::{HttpClient, RetryOptions, StatusCode, TransportOptions};
use azure_mgmt_containerservice::models::{
    AgentPool, MaintenanceConfiguration, ManagedCluster, TagsObject, TrackedResource,
};
use azure_mgmt_containerservice::{
    Client, agent_pools, maintenance_configurations, managed_clusters,
};
use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_plan::Resource;
use fleetwright_provider::CloudError;
use futures::StreamExt as _;
use http::Method;

use super::{API_VERSION, Arm, Target};
use crate::error::Call;
use crate::place::{Place, segment};

/// What the crate reads in place of an answer: enough for each of its types that it insists on.
const NOTHING: &[u8] = br#"{"value":[]}"#;

/// Takes what the crate would send, and answers with nothing.
#[derive(Debug, Clone, Default)]
struct Taken(Arc<Mutex<Option<(String, azure_core::Url)>>>);

#[async_trait]
impl HttpClient for Taken {
    async fn execute_request(
        &self,
        request: &azure_core::Request,
    ) -> azure_core::Result<azure_core::Response> {
        let found = (request.method().to_string(), request.url().clone());
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        let body = futures::stream::once(async { Ok(Bytes::from_static(NOTHING)) });
        Ok(azure_core::Response::new(StatusCode::Ok, Headers::new(), Box::pin(body)))
    }
}

/// The crate wants a token for each request, and logs it. It gets none.
struct NoToken;

#[async_trait]
impl TokenCredential for NoToken {
    async fn get_token(&self, _: &str) -> azure_core::Result<TokenResponse> {
        let never = parse_rfc3339("9999-12-31T23:59:59Z")?;
        Ok(TokenResponse::new(AccessToken::new(""), never))
    }
}

/// The names in a path, each encoded so that it stays one segment.
struct Names {
    subscription: String,
    group: String,
    cluster: String,
    /// Of the pool or part.
    child: String,
}

/// Method and URL of a call, at our API version.
pub(super) async fn target(arm: &Arm, call: &Call<'_>) -> Result<Target, CloudError> {
    let names = names(call)?;
    let taken = Taken::default();
    let client = Client::builder(Arc::new(NoToken))
        .endpoint(&arm.endpoint)
        .scopes(&[&arm.scope])
        .retry(RetryOptions::none())
        .transport(TransportOptions::new(Arc::new(taken.clone())))
        .build();
    let broken = |words: &str| call.error(Class::Bug, "NotSent", &format!("{words}; report this"));
    build(&client, call.operation, &names).await.map_err(|source| broken(&source.to_string()))?;
    let Some((method, mut url)) = taken.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    else {
        return Err(broken("we do not know how to send this"));
    };
    let others: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(key, _)| key != "api-version")
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    url.query_pairs_mut().clear().append_pair("api-version", API_VERSION).extend_pairs(others);
    let method = Method::from_bytes(method.as_bytes()).map_err(|_odd| broken("an odd method"))?;
    Ok(Target { method, url: url.to_string() })
}

/// A list over all clusters needs the subscription only.
fn names(call: &Call<'_>) -> Result<Names, CloudError> {
    let external_name = &call.address.external_name;
    let bad = |source: &crate::place::BadPlace| {
        call.error(Class::Invalid, "InvalidAddress", &source.to_string())
    };
    let child = match call.resource {
        Resource::Cluster => String::new(),
        Resource::Pool(pool) => segment(pool.as_str()),
        Resource::Part(key) => segment(&key.name),
    };
    if call.operation == "ManagedClusters_List" {
        let subscription = Place::subscription_of(external_name).map_err(|source| bad(&source))?;
        let (group, cluster) = (String::new(), String::new());
        return Ok(Names { subscription: segment(subscription), group, cluster, child });
    }
    let place = Place::parse(external_name).map_err(|source| bad(&source))?;
    Ok(Names {
        subscription: segment(&place.subscription),
        group: segment(&place.group),
        cluster: segment(&place.name),
        child,
    })
}

/// Lets the crate build a request. The bodies that it insists on are never sent.
async fn build(client: &Client, operation: &str, names: &Names) -> azure_core::Result<()> {
    let (group, name) = operation.split_once('_').unwrap_or_default();
    match group {
        "ManagedClusters" => clusters(&client.managed_clusters_client(), name, names).await,
        "AgentPools" => pools(&client.agent_pools_client(), name, names).await,
        "MaintenanceConfigurations" => {
            maintenance(&client.maintenance_configurations_client(), name, names).await
        }
        _ => Ok(()),
    }
}

async fn clusters(
    client: &managed_clusters::Client,
    name: &str,
    names: &Names,
) -> azure_core::Result<()> {
    let Names { subscription, group, cluster, .. } = names;
    match name {
        "Get" => client.get(subscription, group, cluster).send().await.map(drop),
        "List" => client.list(subscription).into_stream().next().await.transpose().map(drop),
        "CreateOrUpdate" => {
            let body = ManagedCluster::new(TrackedResource::new(String::new()));
            client.create_or_update(subscription, group, cluster, body).send().await.map(drop)
        }
        "UpdateTags" => {
            let tags = TagsObject::new();
            client.update_tags(subscription, group, cluster, tags).send().await.map(drop)
        }
        "Delete" => client.delete(subscription, group, cluster).send().await.map(drop),
        "GetUpgradeProfile" => {
            client.get_upgrade_profile(subscription, group, cluster).send().await.map(drop)
        }
        "ListClusterUserCredentials" => client
            .list_cluster_user_credentials(subscription, group, cluster)
            .format("exec")
            .send()
            .await
            .map(drop),
        _ => Ok(()),
    }
}

async fn pools(client: &agent_pools::Client, name: &str, names: &Names) -> azure_core::Result<()> {
    let Names { subscription, group, cluster, child } = names;
    match name {
        "Get" => client.get(subscription, group, cluster, child).send().await.map(drop),
        "List" => {
            let pages = client.list(subscription, group, cluster).into_stream();
            futures::pin_mut!(pages);
            pages.next().await.transpose().map(drop)
        }
        "CreateOrUpdate" => client
            .create_or_update(subscription, group, cluster, child, AgentPool::new())
            .send()
            .await
            .map(drop),
        "Delete" => client.delete(subscription, group, cluster, child).send().await.map(drop),
        "GetUpgradeProfile" => {
            client.get_upgrade_profile(subscription, group, cluster, child).send().await.map(drop)
        }
        "UpgradeNodeImageVersion" => client
            .upgrade_node_image_version(subscription, group, cluster, child)
            .send()
            .await
            .map(drop),
        _ => Ok(()),
    }
}

async fn maintenance(
    client: &maintenance_configurations::Client,
    name: &str,
    names: &Names,
) -> azure_core::Result<()> {
    let Names { subscription, group, cluster, child } = names;
    match name {
        "Get" => client.get(subscription, group, cluster, child).send().await.map(drop),
        "ListByManagedCluster" => client
            .list_by_managed_cluster(subscription, group, cluster)
            .into_stream()
            .next()
            .await
            .transpose()
            .map(drop),
        "CreateOrUpdate" => {
            let body = MaintenanceConfiguration::new();
            client
                .create_or_update(subscription, group, cluster, child, body)
                .send()
                .await
                .map(drop)
        }
        "Delete" => client.delete(subscription, group, cluster, child).send().await.map(drop),
        _ => Ok(()),
    }
}
