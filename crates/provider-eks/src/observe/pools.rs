//! Node groups, as EKS describes them.

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use fleetwright_names::{PoolName, TAG_POOL};
use fleetwright_plan::{Address, Phase, Resource, Seen, SeenPool};
use fleetwright_provider::CloudError;
use serde_json::{Value, json};

use super::{Look, tags, text, trouble, unreadable};
use crate::error::Call;
use crate::wire;

/// Every node group of the cluster.
pub(super) async fn look(look: Look<'_>) -> Result<BTreeMap<PoolName, Seen<SeenPool>>, CloudError> {
    let mut pools = BTreeMap::new();
    for name in names(look).await? {
        // A name outside our charset cannot be ours. If it stands in the way of a delete, EKS says so by name.
        let Ok(pool) = PoolName::new(&name) else {
            continue;
        };
        let found = match find_pool(look.client(), look.address, &pool).await {
            Ok(Some(group)) => seen(look.address, &pool, group),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        pools.insert(pool, look.seen(found));
    }
    Ok(pools)
}

/// The names of all node groups.
pub(super) async fn names(look: Look<'_>) -> Result<Vec<String>, CloudError> {
    let call = look.call("ListNodegroups", &Resource::Cluster);
    let input = json!({"clusterName": look.address.external_name});
    let found = wire::list(look.client(), &call, (&input, "nodegroups")).await?;
    Ok(found.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
}

/// `None`: EKS says that there is none.
pub(crate) async fn find_pool(
    client: &Client,
    address: &Address,
    name: &PoolName,
) -> Result<Option<Value>, CloudError> {
    let resource = Resource::Pool(name.clone());
    let call = Call { operation: "DescribeNodegroup", address, resource: &resource };
    let input = json!({"clusterName": address.external_name, "nodegroupName": name.as_str()});
    wire::find(client, &call, (&input, "nodegroup")).await
}

fn seen(address: &Address, name: &PoolName, group: Value) -> Result<SeenPool, CloudError> {
    let resource = Resource::Pool(name.clone());
    let call = Call { operation: "DescribeNodegroup", address, resource: &resource };
    let status = group["status"].as_str().unwrap_or("none");
    let phase = match status {
        "CREATING" => Phase::Creating,
        // Degraded means that it cannot be what was asked: mostly no capacity. It works on, and its health issues say
        // what a person must mend.
        "ACTIVE" | "DEGRADED" => Phase::Active,
        "UPDATING" => Phase::Updating,
        "DELETING" => Phase::Deleting,
        "CREATE_FAILED" | "DELETE_FAILED" => Phase::Failed,
        _ => return Err(unreadable(&call, &format!("status {status}, which we do not know"))),
    };
    let must_have = phase == Phase::Failed || status == "DEGRADED";
    let tags = tags(&group);
    // A tag that is no name says nothing.
    let stands_for = tags
        .get(TAG_POOL)
        .and_then(|pool| PoolName::new(pool).ok())
        .unwrap_or_else(|| name.clone());
    let size = group["scalingConfig"]["desiredSize"].as_i64().unwrap_or_default();
    Ok(SeenPool {
        tags,
        phase,
        trouble: trouble(&group, must_have.then_some(status)),
        size: i32::try_from(size).unwrap_or(i32::MAX),
        stands_for,
        version: text(&group["version"]).unwrap_or_default(),
        release: text(&group["releaseVersion"]),
        last_update: None,
        body: group,
    })
}
