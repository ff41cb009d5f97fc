//! Clusters: create or update, read, tag, list, delete.

use std::collections::{BTreeMap, BTreeSet};

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, AzureError};
use super::operations::{Wanted, page};
use super::pool::{Release, planned};
use super::shape::{checked, merged};
use super::state::{AksCluster, AksKey, AksPool, Doing, Operation, Outcome, Target};
use super::tables::{CLUSTER, TAGS};
use super::{Call, defaults, rules, tags, versions};
use crate::Shared;
use crate::faults::blocks_upgrade;

const PAGE: usize = 10;

impl Shared {
    pub(super) async fn put_cluster(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let body = checked(&call.json()?, &CLUSTER, "")?;
        let found = self.current_aks(&call.key()).await.map_err(AzureError::server)?;
        call.check_etag(found.as_ref().map(AksCluster::etag).as_deref())?;
        match found {
            None => self.create_aks(call, body).await,
            Some(cluster) => self.update_aks(call, cluster, body).await,
        }
    }

    async fn create_aks(&self, call: &Call<'_>, mut body: Value) -> Result<Answer, AzureError> {
        let (group, name) = (&call.route.group, &call.route.name);
        check_name(name)?;
        let location = take_text(&mut body, "location").ok_or_else(|| {
            AzureError::manager(
                StatusCode::BAD_REQUEST,
                "LocationRequired",
                "The location property is required for this definition.",
            )
        })?;
        let location = defaults::location(&location);
        let mut profiles = profiles(&mut body)?.unwrap_or_default();
        let missing = |field: &str| body["properties"][field].as_str().is_none_or(str::is_empty);
        if missing("dnsPrefix") && missing("fqdnSubdomain") {
            return Err(AzureError::bad(
                "InvalidParameter",
                "Required parameter dnsPrefix is missing (null).",
            ));
        }
        defaults::cluster(&mut body, (group, name, &location));
        rules::cluster(&body)?;
        let running = supported(&body, name)?;
        let mut cluster = AksCluster {
            key: AksKey::new(group, name),
            group: group.clone(),
            name: name.clone(),
            location,
            uid: self.ids.uid(),
            document: body,
            running: running.clone(),
            outcome: Outcome::Succeeded,
            made: false,
            pools: BTreeMap::new(),
            maintenance: BTreeMap::new(),
            operations: Vec::new(),
            revision: 0,
            created_at: self.clock.now(),
            outside: BTreeSet::new(),
        };
        self.put_profiles(&mut cluster, &mut profiles, &running).await?;
        let wanted = Wanted {
            doing: Doing::Creating,
            target: Target::Cluster,
            latency: self.settings.latencies.cluster_create,
            version: Some(running),
        };
        let operation = self.begin_aks(call, &mut cluster, wanted).await?;
        Ok(self.told(call, &cluster, &operation, StatusCode::CREATED))
    }

    async fn update_aks(
        &self,
        call: &Call<'_>,
        mut cluster: AksCluster,
        mut body: Value,
    ) -> Result<Answer, AzureError> {
        let name = cluster.name.clone();
        if let Some(location) = take_text(&mut body, "location")
            && defaults::location(&location) != cluster.location
        {
            let message = format!(
                "The resource '{name}' already exists in location '{}' in resource group '{}'. A resource with the \
                 same name cannot be created in location '{location}'. Please select a new resource name.",
                cluster.location, cluster.group
            );
            let status = StatusCode::CONFLICT;
            return Err(AzureError::manager(status, "InvalidResourceLocation", message));
        }
        cluster.refuse_while_busy(&Target::Cluster)?;
        let profiles = profiles(&mut body)?;
        let before = cluster.document.clone();
        let mut after = merged(&before, &body, &CLUSTER);
        if body["tags"].is_null() {
            after["tags"] = json!({});
        }
        defaults::cluster(&mut after, (&cluster.group, &name, &cluster.location));
        rules::cluster(&after)?;
        rules::cluster_change(&before, &after)?;
        supported(&after, &name)?;
        let said = after["properties"]["kubernetesVersion"].as_str().unwrap_or_default();
        let version = versions::goal(said, &cluster.running);
        self.check_upgrade(&cluster, &after, &version).await?;
        cluster.document = after;
        if let Some(mut profiles) = profiles {
            self.put_profiles(&mut cluster, &mut profiles, &version).await?;
        }
        let latencies = &self.settings.latencies;
        let behind = cluster.pools.values().any(AksPool::is_behind);
        let (doing, latency) = match () {
            () if !cluster.made => (Doing::Creating, latencies.cluster_create),
            () if version != cluster.running => (Doing::Upgrading, latencies.version_upgrade),
            () if behind => (Doing::Updating, latencies.cluster_update + latencies.pool_update),
            () => (Doing::Updating, latencies.cluster_update),
        };
        let wanted = Wanted { doing, target: Target::Cluster, latency, version: Some(version) };
        let operation = self.begin_aks(call, &mut cluster, wanted).await?;
        Ok(self.told(call, &cluster, &operation, StatusCode::OK))
    }

    async fn check_upgrade(
        &self,
        cluster: &AksCluster,
        after: &Value,
        version: &str,
    ) -> Result<(), AzureError> {
        if !cluster.made || version == cluster.running {
            return Ok(());
        }
        let pools = cluster.pools.iter().map(|(name, pool)| (name.as_str(), pool.running.as_str()));
        rules::upgrade(&cluster.running, version, pools)?;
        let faults = self.ledger.simulation().await.map_err(AzureError::server)?.faults;
        let forced = &after["properties"]["upgradeSettings"]["overrideSettings"]["forceUpgrade"];
        if blocks_upgrade(&faults, &[&cluster.external_name(), &cluster.name]) && forced != true {
            return Err(AzureError::bad(
                "ValidationError",
                format!(
                    "Control Plane upgrade is blocked due to recent usage of a Kubernetes API deprecated in the \
                     specified version {version}. Please refer to https://kubernetes.io/docs/reference/using-api/\
                     deprecation-guide to migrate the usage. To bypass this error, set forceUpgrade in \
                     upgradeSettings.overrideSettings."
                ),
            ));
        }
        Ok(())
    }

    /// Takes the pools of a cluster's body into its record. All that are there must be named.
    async fn put_profiles(
        &self,
        cluster: &mut AksCluster,
        profiles: &mut [Value],
        version: &str,
    ) -> Result<(), AzureError> {
        let mut named = BTreeSet::new();
        let latest = self.latest_image().await?;
        for profile in profiles {
            let Some(name) = take_text(profile, "name") else {
                return Err(AzureError::bad(
                    "InvalidParameter",
                    "Required parameter agentPoolProfile.name is missing (null).",
                ));
            };
            let release = Release { latest, control_plane: version };
            let uid = self.ids.uid();
            let pool = planned(cluster, &name, profile, &release, uid)?;
            if !named.insert(name.clone()) {
                return Err(AzureError::parameter(&name, "is the name of two agent pools"));
            }
            cluster.pools.insert(name, pool);
        }
        if let Some(gone) = cluster.pools.keys().find(|name| !named.contains(*name)) {
            return Err(AzureError::parameter(
                "properties.agentPoolProfiles",
                format!(
                    "does not have the agent pool '{gone}', which is there; delete it by itself"
                ),
            ));
        }
        cluster.check_system_pool()
    }

    pub(super) async fn get_cluster(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        Ok(Answer::resource(StatusCode::OK, self.aks(call).await?.view()))
    }

    pub(super) async fn patch_cluster(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let body = checked(&call.json()?, &TAGS, "")?;
        let mut cluster = self.aks(call).await?;
        call.check_etag(Some(&cluster.etag()))?;
        cluster.refuse_while_busy(&Target::Cluster)?;
        if let Some(wrong) = tags::wrong(&body["tags"]) {
            return Err(AzureError::bad("InvalidTagNameCharacters", wrong));
        }
        cluster.document["tags"] = body.get("tags").cloned().unwrap_or_else(|| json!({}));
        let wanted = Wanted {
            doing: Doing::Updating,
            target: Target::Cluster,
            latency: self.settings.latencies.cluster_update,
            version: None,
        };
        let operation = self.begin_aks(call, &mut cluster, wanted).await?;
        Ok(self.told(call, &cluster, &operation, StatusCode::OK))
    }

    pub(super) async fn list_aks(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let mut seen = BTreeMap::new();
        for cluster in self.ledger.all::<AksKey>().await.map_err(AzureError::server)? {
            if let Some(cluster) = self.settle_aks(cluster).await.map_err(AzureError::server)? {
                seen.insert(cluster.key.clone(), cluster);
            }
        }
        let now = self.clock.now();
        for shadow in self.ledger.shadows::<AksKey>().await.map_err(AzureError::server)? {
            if shadow.until > now {
                match shadow.before {
                    Some(before) => drop(seen.insert(shadow.key, before)),
                    None => drop(seen.remove(&shadow.key)),
                }
            }
        }
        let group = &call.route.group;
        let wanted = seen.into_values().filter(|one| group.is_empty() || one.key.is_in(group));
        let mut items: Vec<(String, Value)> =
            wanted.map(|cluster| (cluster.id().to_lowercase(), cluster.view())).collect();
        items.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(Answer::ok(page(call, items, PAGE)))
    }

    pub(super) async fn delete_aks(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let found = self.current_aks(&call.key()).await.map_err(AzureError::server)?;
        let Some(mut cluster) = found else {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        };
        call.check_etag(Some(&cluster.etag()))?;
        let under_way = cluster.under_way(&Target::Cluster).cloned();
        if let Some(deletion) = under_way.filter(|one| one.doing == Doing::Deleting) {
            let answer = Answer::empty(StatusCode::ACCEPTED);
            return Ok(self.with_operation(call, &cluster, &deletion, answer));
        }
        cluster.refuse_while_busy(&Target::Cluster)?;
        let wanted = Wanted {
            doing: Doing::Deleting,
            target: Target::Cluster,
            latency: self.settings.latencies.cluster_delete,
            version: None,
        };
        let operation = self.begin_aks(call, &mut cluster, wanted).await?;
        Ok(self.with_operation(call, &cluster, &operation, Answer::empty(StatusCode::ACCEPTED)))
    }

    pub(super) async fn cluster_upgrades(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let pools = cluster.pools.iter().map(|(name, pool)| {
            json!({
                "name": name, "osType": pool.text("osType"), "kubernetesVersion": pool.running,
                "upgrades": offered(&pool.running, Some(&cluster.running)),
            })
        });
        Ok(Answer::ok(json!({
            "id": format!("{}/upgradeprofiles/default", cluster.id()),
            "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/upgradeprofiles",
            "properties": {
                "controlPlaneProfile": {
                    "name": "control-plane", "osType": "Linux", "kubernetesVersion": cluster.running,
                    "upgrades": offered(&cluster.running, None),
                },
                "agentPoolProfiles": pools.collect::<Vec<_>>(),
            },
        })))
    }

    fn told(
        &self,
        call: &Call<'_>,
        cluster: &AksCluster,
        operation: &Operation,
        status: StatusCode,
    ) -> Answer {
        self.with_operation(call, cluster, operation, Answer::resource(status, cluster.view()))
    }
}

impl AksCluster {
    /// AKS's own pods need a place.
    pub(super) fn check_system_pool(&self) -> Result<(), AzureError> {
        if self.pools.values().any(AksPool::is_system) {
            return Ok(());
        }
        Err(AzureError::bad(
            "MustDefineAtLeastOneSystemPool",
            "Must define at least one system pool. For more information see https://aka.ms/aks/system-pool.",
        ))
    }
}

/// Where one may go from a version, as profiles write it.
pub(super) fn offered(from: &str, at_most: Option<&str>) -> Vec<Value> {
    let upgrades = versions::upgrades(from).into_iter();
    let allowed = upgrades.filter(|to| at_most.is_none_or(|most| !versions::is_later(to, most)));
    allowed.map(|to| json!({ "kubernetesVersion": to, "isPreview": false })).collect()
}

/// The full version that a cluster's body asks for.
fn supported(document: &Value, name: &str) -> Result<String, AzureError> {
    let said = document["properties"]["kubernetesVersion"].as_str().unwrap_or_default();
    versions::resolve(said).ok_or_else(|| {
        AzureError::bad(
            "K8sVersionNotSupported",
            format!(
                "Managed cluster {name} is on version {said}, which is not supported in this region. Please use \
                 [az aks get-versions] command to get the supported version list in this region. For more information, \
                 please check https://aka.ms/supported-version-list"
            ),
        )
    })
}

fn check_name(name: &str) -> Result<(), AzureError> {
    let outer = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let inner = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let ends = outer(name.chars().next()) && outer(name.chars().last());
    if ends && name.chars().all(inner) && name.len() <= 63 {
        return Ok(());
    }
    Err(AzureError::parameter(
        "resourceName",
        format!(
            "is '{name}'; it must have 1 to 63 letters, digits, '-' and '_', and begin and end with a letter or digit"
        ),
    ))
}

/// The pools of a body; `None`: it says nothing of them.
fn profiles(body: &mut Value) -> Result<Option<Vec<Value>>, AzureError> {
    let Some(properties) = body["properties"].as_object_mut() else {
        return Err(AzureError::bad(
            "InvalidParameter",
            "Required parameter properties is missing (null).",
        ));
    };
    match properties.remove("agentPoolProfiles") {
        Some(Value::Array(profiles)) => Ok(Some(profiles)),
        _ => Ok(None),
    }
}

/// Takes a text out of an object.
fn take_text(value: &mut Value, field: &str) -> Option<String> {
    match value.as_object_mut()?.remove(field)? {
        Value::String(text) => Some(text),
        _ => None,
    }
}
