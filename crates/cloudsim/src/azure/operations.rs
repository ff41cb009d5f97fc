//! Long-running operations: how they begin, and how one asks after them.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use super::answer::{Answer, AzureError};
use super::state::{AksCluster, AksKey, Doing, Operation, Progress, Target};
use super::{Call, is_missing};
use crate::state::Trouble;
use crate::{AZURE_SUBSCRIPTION_ID, Shared};

/// An operation that somebody asked for and that can be.
pub(super) struct Wanted {
    pub(super) doing: Doing,
    pub(super) target: Target,
    pub(super) latency: Duration,
    /// Of the control plane, afterwards.
    pub(super) version: Option<String>,
}

impl AksCluster {
    /// Nothing may be under way on the cluster, nor on its pools: on all, or on this one.
    pub(super) fn refuse_while_busy(&self, target: &Target) -> Result<(), AzureError> {
        if self.under_way(&Target::Cluster).is_some() {
            return Err(AzureError::busy(&self.state(), &format!("cluster {}", self.name)));
        }
        let concerned = |name: &&String| match target {
            Target::Cluster => true,
            Target::Pool(pool) => *name == pool,
        };
        for name in self.pools.keys().filter(concerned) {
            if self.under_way(&Target::Pool(name.clone())).is_some() {
                let state = self.pool_state(name);
                return Err(AzureError::busy(&state, &format!("node pool {name}")));
            }
        }
        Ok(())
    }
}

impl Shared {
    /// Begins an operation and stores the record.
    pub(super) async fn begin_aks(
        &self,
        call: &Call<'_>,
        cluster: &mut AksCluster,
        wanted: Wanted,
    ) -> Result<Operation, AzureError> {
        let Wanted { doing, target, latency, version } = wanted;
        // Its last digits say whose it is.
        let id: String = self.ids.uid().chars().take(24).collect();
        let doomed = call.doomed.then(|| trouble(doing, &target));
        let operation = Operation {
            id: format!("{id}{}", cluster.key.mark()),
            doing,
            target,
            started: self.clock.now(),
            version,
            progress: Progress::Open { due: self.due_in(latency), doomed },
        };
        cluster.begin(operation.clone());
        self.store_aks(cluster).await?;
        Ok(operation)
    }

    /// The headers by which a client asks after an operation.
    pub(super) fn with_operation(
        &self,
        call: &Call<'_>,
        cluster: &AksCluster,
        operation: &Operation,
        answer: Answer,
    ) -> Answer {
        let url = |kind: &str| {
            format!(
                "{}/subscriptions/{AZURE_SUBSCRIPTION_ID}/providers/Microsoft.ContainerService/locations/{}/{kind}/{}\
                 ?api-version=2017-08-31",
                call.base, cluster.location, operation.id
            )
        };
        let answer = answer
            .with("azure-asyncoperation", url("operations"))
            .with("retry-after", self.wait(operation));
        if answer.status == StatusCode::ACCEPTED {
            return answer.with("location", url("operationresults"));
        }
        answer
    }

    /// After how many seconds it is worth asking again.
    fn wait(&self, operation: &Operation) -> String {
        let Progress::Open { due, .. } = operation.progress else {
            return "0".to_owned();
        };
        due.duration_since(self.clock.now()).as_secs().clamp(0, 10).to_string()
    }

    /// The operation that a path names, and its cluster, if that is still there.
    async fn operation(
        &self,
        call: &Call<'_>,
    ) -> Result<(Operation, Option<AksCluster>), AzureError> {
        let id = &call.route.name;
        let mark = id.get(24..).unwrap_or_default();
        let clusters = self.ledger.all::<AksKey>().await.map_err(AzureError::server)?;
        if let Some(cluster) = clusters.into_iter().find(|cluster| cluster.key.mark() == mark) {
            let settled = self.settle_aks(cluster).await.map_err(AzureError::server)?;
            let found = |cluster: &AksCluster| {
                cluster.operations.iter().find(|operation| operation.id == *id).cloned()
            };
            if let Some(operation) = settled.as_ref().and_then(found) {
                return Ok((operation, settled));
            }
        }
        match self.tombstone(mark).await.map_err(AzureError::server)? {
            Some(stone) if stone.operation.id == *id => Ok((stone.operation, None)),
            _ => Err(AzureError::manager(
                StatusCode::NOT_FOUND,
                "NotFound",
                format!("The operation '{id}' could not be found."),
            )),
        }
    }

    pub(super) async fn get_operation(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let (operation, _) = self.operation(call).await?;
        let answer = Answer::ok(operation.describe());
        if operation.is_open() {
            return Ok(answer.with("retry-after", self.wait(&operation)));
        }
        Ok(answer)
    }

    pub(super) async fn get_result(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let (operation, cluster) = self.operation(call).await?;
        match (&operation.progress, &operation.target, cluster) {
            (Progress::Open { .. }, _, _) => {
                let url = format!("{}{}?{}", call.base, call.path, call.query);
                let answer = Answer::empty(StatusCode::ACCEPTED).with("location", url);
                Ok(answer.with("retry-after", self.wait(&operation)))
            }
            (Progress::Failed { trouble, .. }, ..) => {
                let Trouble { message, .. } = trouble;
                let status = StatusCode::CONFLICT;
                Err(AzureError::aks(status, "ResourceOperationFailure", message.clone()))
            }
            (_, Target::Pool(name), Some(cluster)) => match cluster.pools.get(name) {
                Some(pool) => Ok(Answer::resource(StatusCode::OK, cluster.view_pool(name, pool))),
                None => Ok(Answer::empty(StatusCode::NO_CONTENT)),
            },
            (_, Target::Cluster, Some(cluster)) => {
                Ok(Answer::resource(StatusCode::OK, cluster.view()))
            }
            (_, _, None) => Ok(Answer::empty(StatusCode::NO_CONTENT)),
        }
    }

    pub(super) async fn get_group(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let name = &call.route.group;
        let clusters = self.ledger.all::<AksKey>().await.map_err(AzureError::server)?;
        let owner = clusters.iter().find(|one| one.node_group().eq_ignore_ascii_case(name));
        if owner.is_none() && is_missing(name) {
            return Err(AzureError::no_group(name));
        }
        let mut view = json!({
            "id": format!("/subscriptions/{AZURE_SUBSCRIPTION_ID}/resourceGroups/{name}"),
            "name": name,
            "type": "Microsoft.Resources/resourceGroups",
            "location": owner.map_or("westeurope", |cluster| &cluster.location),
            "tags": {},
            "properties": { "provisioningState": "Succeeded" },
        });
        if let Some(owner) = owner {
            view["managedBy"] = json!(owner.id());
            view["tags"] = json!({ "aks-managed-cluster-name": owner.name });
        }
        Ok(Answer::ok(view))
    }
}

/// How an operation goes wrong that is told to.
fn trouble(doing: Doing, target: &Target) -> Trouble {
    let (code, message) = match (doing, target) {
        (Doing::Deleting, Target::Cluster) => (
            "DeleteResourceGroupError",
            "Deletion of the node resource group did not finish: a resource in it is locked.",
        ),
        (_, Target::Cluster) => (
            "ControlPlaneAddOnsNotReady",
            "Pods are not in Running status: konnectivity-agent. Operation failed; please try again.",
        ),
        (_, Target::Pool(_)) => (
            "UpgradeFailed",
            "Drain of a node failed: Cannot evict pod as it would violate the pod's disruption budget. PDB debug info: \
             shop/web blocked by pdb web with 0 unready pods.",
        ),
    };
    Trouble { code: code.to_owned(), message: message.to_owned() }
}

/// One page of a list, and the address of the next. `items` are sorted by their names, the first of each pair.
pub(super) fn page(call: &Call<'_>, items: Vec<(String, Value)>, size: usize) -> Value {
    let after = call.parameter("$skiptoken");
    let rest: Vec<(String, Value)> = items
        .into_iter()
        .filter(|(name, _)| after.as_ref().is_none_or(|after| name > after))
        .collect();
    let last = rest.get(size - 1).map(|(name, _)| name.clone());
    let more = rest.len() > size;
    let values: Vec<Value> = rest.into_iter().take(size).map(|(_, value)| value).collect();
    let mut page = json!({ "value": values });
    if let Some(last) = last.filter(|_| more) {
        let pairs = call.query.split('&').filter(|pair| !pair.starts_with("%24skiptoken="));
        let query = pairs.collect::<Vec<_>>().join("&");
        let token =
            percent_encoding::utf8_percent_encode(&last, percent_encoding::NON_ALPHANUMERIC);
        page["nextLink"] =
            json!(format!("{}{}?{query}&%24skiptoken={token}", call.base, call.path));
    }
    page
}
