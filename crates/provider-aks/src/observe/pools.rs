//! Agent pools, as Azure describes them.

use std::collections::BTreeMap;

use fleetwright_names::{PoolName, TAG_POOL};
use fleetwright_plan::{Address, Phase, Resource, Seen, SeenPool};
use fleetwright_provider::CloudError;
use serde_json::Value;

use super::{Look, phase, text, trouble};
use crate::error::{Call, unreadable};
use crate::tags::from_azure;
use crate::wire::{self, Arm};

/// Every agent pool of the cluster.
pub(super) async fn look(look: Look<'_>) -> Result<BTreeMap<PoolName, Seen<SeenPool>>, CloudError> {
    let call = look.call("AgentPools_List", &Resource::Cluster);
    let mut pools = BTreeMap::new();
    for pool in wire::list(look.arm(), &call).await? {
        // A name outside our charset cannot be ours. If it stands in the way of a delete, Azure says so by name.
        let Ok(name) = PoolName::new(pool["name"].as_str().unwrap_or_default()) else {
            continue;
        };
        let found = seen(look.address, &name, pool);
        pools.insert(name, look.seen(found));
    }
    Ok(pools)
}

/// `None`: Azure says that there is none.
pub(crate) async fn find_pool(
    arm: &Arm,
    address: &Address,
    name: &PoolName,
) -> Result<Option<Value>, CloudError> {
    let resource = Resource::Pool(name.clone());
    let call = Call { operation: "AgentPools_Get", address, resource: &resource };
    wire::find(arm, &call).await
}

fn seen(address: &Address, name: &PoolName, pool: Value) -> Result<SeenPool, CloudError> {
    let resource = Resource::Pool(name.clone());
    let call = Call { operation: "AgentPools_List", address, resource: &resource };
    let properties = &pool["properties"];
    let state = properties["provisioningState"].as_str().unwrap_or_default();
    // Even a pool that never came to be is mended by the next change, once its reason is gone.
    let Some(phase) = phase(state, true) else {
        return Err(unreadable(&call, "an agent pool without provisioningState"));
    };
    let tags = from_azure(&properties["tags"]);
    // A tag that is no name says nothing.
    let stands_for = tags
        .get(TAG_POOL)
        .and_then(|pool| PoolName::new(pool).ok())
        .unwrap_or_else(|| name.clone());
    let version = text(&properties["currentOrchestratorVersion"])
        .or_else(|| text(&properties["orchestratorVersion"]));
    let size = properties["count"].as_i64().unwrap_or_default();
    Ok(SeenPool {
        tags,
        phase,
        trouble: trouble(properties, state, "the pool is stopped: az aks nodepool start"),
        size: i32::try_from(size).unwrap_or(i32::MAX),
        stands_for,
        version: version.unwrap_or_default(),
        release: text(&properties["nodeImageVersion"]),
        last_update: None,
        body: pool,
    })
}

impl Look<'_> {
    /// Whether nothing of the pool can be asked for more.
    pub(super) fn is_half(pool: &SeenPool) -> bool {
        matches!(pool.phase, Phase::Creating | Phase::Deleting | Phase::Failed)
    }
}
