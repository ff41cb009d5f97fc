//! Agent pools: create or update, read, list, delete, newer images.

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, AzureError};
use super::cluster::offered;
use super::operations::{Wanted, page};
use super::shape::{checked, merged};
use super::state::{AksCluster, AksPool, Doing, Outcome, Target};
use super::tables::{POOL, POOL_BODY};
use super::{Call, defaults, pool_rules, rules, versions};
use crate::Shared;

/// AKS has no more in one cluster.
const MAX_POOLS: usize = 100;
const PAGE: usize = 10;

/// What new machines run.
pub(super) struct Release<'a> {
    /// Of node images.
    pub(super) latest: u32,
    /// What the control plane runs, or will.
    pub(super) control_plane: &'a str,
}

/// The pool that `said`, which is checked, makes of what is there; `uid` is for a new one.
pub(super) fn planned(
    cluster: &AksCluster,
    name: &str,
    said: &Value,
    release: &Release<'_>,
    uid: String,
) -> Result<AksPool, AzureError> {
    let existing = cluster.pools.get(name);
    let bounds = ["minCount", "maxCount"].iter().any(|field| !said[*field].is_null());
    if said["enableAutoScaling"] == false && bounds {
        return Err(AzureError::parameter(
            &format!("{name}.minCount"),
            "and maxCount cannot be set when enableAutoScaling is false",
        ));
    }
    let mut document = match existing {
        Some(pool) => merged(&pool.document, said, &POOL),
        None => said.clone(),
    };
    let goal = cluster.document["properties"]["kubernetesVersion"].as_str();
    let version =
        existing.map_or(goal.unwrap_or_default(), |pool| pool.text("orchestratorVersion"));
    let version = version.to_owned();
    defaults::pool(&mut document, &cluster.document, &version);
    if existing.is_some() && document["enableAutoScaling"] == true {
        let number = |field: &str| document[field].as_i64();
        if let (Some(count), Some(min), Some(max)) =
            (number("count"), number("minCount"), number("maxCount"))
        {
            // The autoscaler sees to it.
            document["count"] = json!(count.min(max).max(min));
        }
    }
    pool_rules::can_be(name, &document, &cluster.document["properties"]["networkProfile"])?;
    let asked = document["orchestratorVersion"].as_str().unwrap_or_default().to_owned();
    let resolved = versions::resolve(&asked).ok_or_else(|| {
        AzureError::bad(
            "AgentPoolK8sVersionNotSupported",
            format!("Version {asked} is not supported in this region."),
        )
    })?;
    let Some(pool) = existing else {
        let same_minor = versions::short(&resolved) == versions::short(release.control_plane);
        let running = if asked.split('.').count() == 2 && same_minor {
            release.control_plane.to_owned()
        } else {
            resolved
        };
        rules::skew(name, &running, release.control_plane)?;
        return Ok(AksPool {
            uid,
            document,
            goal_release: release.latest,
            outcome: Outcome::Succeeded,
            revision: 0,
            running,
            release: release.latest,
            made: false,
            machines: 0,
            roll: 0,
            labels: std::collections::BTreeMap::new(),
            taints: Vec::new(),
            modified_at: cluster.created_at,
        });
    };
    pool_rules::can_become(&pool.document, &document)?;
    let mut pool = pool.clone();
    pool.revision += u64::from(pool.document != document);
    pool.document = document;
    let goal = pool.goal_version();
    if goal != pool.running {
        if versions::is_later(&pool.running, &goal) {
            return Err(AzureError::bad(
                "OperationNotAllowed",
                format!(
                    "Downgrading agent pool {name} from {} to {goal} is not allowed.",
                    pool.running
                ),
            ));
        }
        rules::skew(name, &goal, release.control_plane)?;
        pool.goal_release = release.latest;
    }
    Ok(pool)
}

impl Shared {
    pub(super) async fn put_pool(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let body = checked(&call.json()?, &POOL_BODY, "")?;
        let mut cluster = self.aks(call).await?;
        let name = call.route.inner.clone();
        let existing = cluster.pools.get(&name);
        call.check_etag(existing.map(|pool| cluster.pool_etag(pool)).as_deref())?;
        cluster.refuse_while_busy(&Target::Pool(name.clone()))?;
        if !cluster.made {
            return Err(AzureError::busy(&cluster.state(), &format!("cluster {}", cluster.name)));
        }
        let is_new = existing.is_none();
        if is_new && cluster.pools.len() >= MAX_POOLS {
            return Err(AzureError::bad(
                "QuotaExceeded",
                format!("The cluster has {MAX_POOLS} agent pools already."),
            ));
        }
        let latest = self.latest_image().await?;
        let release = Release { latest, control_plane: &cluster.running };
        let pool = planned(&cluster, &name, &body["properties"], &release, self.ids.uid())?;
        let latencies = &self.settings.latencies;
        let (doing, latency) = match () {
            () if !pool.made => (Doing::Creating, latencies.pool_create),
            () if pool.goal_version() != pool.running => (Doing::Upgrading, latencies.pool_update),
            () if pool.number("count") != pool.machines => (Doing::Scaling, latencies.pool_update),
            () => (Doing::Updating, latencies.pool_update),
        };
        cluster.pools.insert(name.clone(), pool);
        cluster.check_system_pool()?;
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        self.pool_operation(call, &mut cluster, (doing, latency), status).await
    }

    /// Begins an operation on the pool that the path names, and answers with the pool.
    async fn pool_operation(
        &self,
        call: &Call<'_>,
        cluster: &mut AksCluster,
        (doing, latency): (Doing, std::time::Duration),
        status: StatusCode,
    ) -> Result<Answer, AzureError> {
        let name = call.route.inner.clone();
        let target = Target::Pool(name.clone());
        let wanted = Wanted { doing, target, latency, version: None };
        let operation = self.begin_aks(call, cluster, wanted).await?;
        let answer = match cluster.pools.get(&name) {
            Some(pool) if doing != Doing::Deleting => {
                Answer::resource(status, cluster.view_pool(&name, pool))
            }
            _ => Answer::empty(status),
        };
        Ok(self.with_operation(call, cluster, &operation, answer))
    }

    pub(super) async fn get_pool(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let pool = cluster.pool(&call.route.inner)?;
        Ok(Answer::resource(StatusCode::OK, cluster.view_pool(&call.route.inner, pool)))
    }

    pub(super) async fn list_pools(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let pools = cluster.pools.iter();
        let items = pools.map(|(name, pool)| (name.clone(), cluster.view_pool(name, pool)));
        Ok(Answer::ok(page(call, items.collect(), PAGE)))
    }

    pub(super) async fn delete_pool(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let mut cluster = self.aks(call).await?;
        let name = call.route.inner.clone();
        let Some(pool) = cluster.pools.get(&name) else {
            return Ok(Answer::empty(StatusCode::NO_CONTENT));
        };
        call.check_etag(Some(&cluster.pool_etag(pool)))?;
        let target = Target::Pool(name.clone());
        let under_way = cluster.under_way(&target).cloned();
        if let Some(deletion) = under_way.filter(|one| one.doing == Doing::Deleting) {
            let answer = Answer::empty(StatusCode::ACCEPTED);
            return Ok(self.with_operation(call, &cluster, &deletion, answer));
        }
        cluster.refuse_while_busy(&target)?;
        let others = cluster.pools.iter().filter(|(other, _)| **other != name);
        let mut systems = others.filter(|(other, pool)| {
            let going = cluster.under_way(&Target::Pool((*other).clone()));
            pool.is_system() && going.is_none_or(|one| one.doing != Doing::Deleting)
        });
        if systems.next().is_none() {
            return Err(AzureError::bad(
                "OperationNotAllowed",
                format!(
                    "Agent pool '{name}' cannot be deleted: there has to be at least one system agent pool. For more \
                     information see https://aka.ms/aks/system-pool."
                ),
            ));
        }
        let what = (Doing::Deleting, self.settings.latencies.pool_delete);
        self.pool_operation(call, &mut cluster, what, StatusCode::ACCEPTED).await
    }

    pub(super) async fn upgrade_image(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let mut cluster = self.aks(call).await?;
        let name = call.route.inner.clone();
        let pool = cluster.pool(&name)?;
        call.check_etag(Some(&cluster.pool_etag(pool)))?;
        cluster.refuse_while_busy(&Target::Pool(name.clone()))?;
        let latest = self.latest_image().await?;
        if let Some(pool) = cluster.pools.get_mut(&name) {
            pool.goal_release = latest;
        }
        let what = (Doing::UpgradingNodeImageVersion, self.settings.latencies.pool_update);
        self.pool_operation(call, &mut cluster, what, StatusCode::ACCEPTED).await
    }

    pub(super) async fn pool_upgrades(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        let name = &call.route.inner;
        let pool = cluster.pool(name)?;
        let latest = self.latest_image().await?;
        Ok(Answer::ok(json!({
            "id": format!("{}/agentPools/{name}/upgradeProfiles/default", cluster.id()),
            "name": "default",
            "type": "Microsoft.ContainerService/managedClusters/agentPools/upgradeProfiles",
            "properties": {
                "kubernetesVersion": pool.running,
                "osType": pool.text("osType"),
                "upgrades": offered(&pool.running, Some(&cluster.running)),
                "latestNodeImageVersion": versions::image(&pool.document, latest),
            },
        })))
    }

    /// How many releases of node images came out.
    pub(super) async fn latest_image(&self) -> Result<u32, AzureError> {
        let simulation = self.ledger.simulation().await.map_err(AzureError::server)?;
        Ok(simulation.releases)
    }
}

impl AksCluster {
    fn pool(&self, name: &str) -> Result<&AksPool, AzureError> {
        self.pools.get(name).ok_or_else(|| {
            AzureError::not_found(format!(
                "Agent pool '{name}' of cluster '{}' was not found.",
                self.name
            ))
        })
    }
}
