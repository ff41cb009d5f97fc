//! Who this hub is: an id, born once and kept in a ConfigMap, that every cloud tag carries.

use std::collections::BTreeMap;

use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_clock::Ids;
use fleetwright_errclass::Class;
use fleetwright_names::HubId;
use fleetwright_reconcile::Failure;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};

const NAME: &str = "hub";
const KEY: &str = "id";

/// The id of the hub behind `client`; made on the first call ever. Two processes that race get the same id.
///
/// # Errors
/// When the hub's API fails, or the ConfigMap holds no valid id.
pub async fn hub_id(client: &Client, ids: &dyn Ids) -> Result<HubId, Failure> {
    ensure_namespace(client, SYSTEM_NAMESPACE).await?;
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    if let Some(found) = read(&api).await? {
        return id_of(&found);
    }
    let born = ConfigMap {
        metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
        data: Some(BTreeMap::from([(KEY.to_owned(), ids.uid())])),
        ..ConfigMap::default()
    };
    match api.create(&PostParams::default(), &born).await {
        Ok(made) => id_of(&made),
        Err(kube::Error::Api(status)) if status.code == 409 => {
            let found = read(&api).await?.ok_or_else(|| {
                Failure::new(Class::Conflict, "Conflict", "the hub's ConfigMap comes and goes")
            })?;
            id_of(&found)
        }
        Err(error) => Err(Failure::kube("create configmap fleetwright-system/hub", &error)),
    }
}

/// Creates a namespace unless it is there.
///
/// # Errors
/// When the API fails.
pub async fn ensure_namespace(client: &Client, name: &str) -> Result<(), Failure> {
    let api: Api<Namespace> = Api::all(client.clone());
    let deed = |verb: &str| format!("{verb} namespace {name}");
    let found = api.get_opt(name).await.map_err(|error| Failure::kube(&deed("get"), &error))?;
    if found.is_some() {
        return Ok(());
    }
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    match api.create(&PostParams::default(), &namespace).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(Failure::kube(&deed("create"), &error)),
    }
}

async fn read(api: &Api<ConfigMap>) -> Result<Option<ConfigMap>, Failure> {
    api.get_opt(NAME)
        .await
        .map_err(|error| Failure::kube("get configmap fleetwright-system/hub", &error))
}

fn id_of(map: &ConfigMap) -> Result<HubId, Failure> {
    let text = map.data.as_ref().and_then(|data| data.get(KEY)).cloned().unwrap_or_default();
    HubId::new(text).map_err(|error| {
        Failure::new(
            Class::Invalid,
            "InvalidHubId",
            format!("configmap fleetwright-system/hub: {error}; restore it from a backup, since every cloud tag holds it"),
        )
    })
}
