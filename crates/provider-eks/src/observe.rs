//! Reads only: what EKS says about a cluster, its node groups, and all that carries our tags.

use std::collections::{BTreeMap, HashMap};

use aws_sdk_eks::Client;
use aws_sdk_eks::types::{Cluster, ClusterStatus, Nodegroup, NodegroupStatus};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Owner, PoolName};
use fleetwright_plan::{Address, Phase, Resource, Seen, SeenCluster, SeenPool, Snapshot};
use fleetwright_provider::{CloudError, Owned};

use crate::config::{ClusterBody, PoolBody, SubnetsFrom, json};
use crate::error::{Call, cloud_error};

/// Looks at the control plane and at every node group. Half a look is no look: it counts as `Unknown`.
pub(crate) async fn observe(client: &Client, address: &Address, clock: &dyn Clock) -> Snapshot {
    let since = clock.now();
    let nothing = |cluster| Snapshot { cluster, pools: BTreeMap::new() };
    let unknown = |error: CloudError| nothing(Seen::Unknown { since, why: error.to_string() });
    let cluster = match describe_cluster(client, address).await {
        Ok(Some(cluster)) => cluster,
        Ok(None) => return nothing(Seen::Absent),
        Err(error) => return unknown(error),
    };
    let cluster = match seen_cluster(address, &cluster) {
        Ok(cluster) => cluster,
        Err(error) => return unknown(error),
    };
    let names = match list_nodegroups(client, address).await {
        Ok(names) => names,
        Err(error) => return unknown(error),
    };
    let mut pools = BTreeMap::new();
    for name in names {
        // A name outside our charset cannot be ours. If it stands in the way of a delete, EKS says so by name.
        let Ok(pool) = PoolName::new(&name) else {
            continue;
        };
        let seen = match describe_nodegroup(client, address, &name).await {
            Ok(Some(nodegroup)) => seen_pool(address, &nodegroup),
            Ok(None) => continue,
            Err(error) => Err(error),
        };
        let unknown = |error: CloudError| Seen::Unknown { since, why: error.to_string() };
        pools.insert(pool, seen.map_or_else(unknown, Seen::Present));
    }
    Snapshot { cluster: Seen::Present(cluster), pools }
}

/// Everything in the region that carries the tags of `hub`, sorted.
pub(crate) async fn list_owned(
    client: &Client,
    address: &Address,
    hub: &HubId,
) -> Result<Vec<Owned>, CloudError> {
    let mut owned = Vec::new();
    for external_name in list_clusters(client, address).await? {
        let place = Address { external_name, ..address.clone() };
        let Some(cluster) = describe_cluster(client, &place).await? else {
            continue;
        };
        let mut keep = |resource, found: Option<&HashMap<String, String>>| {
            if let Some(owner) = Owner::from_tags(&tags(found)).filter(|owner| owner.hub == *hub) {
                owned.push(Owned { address: place.clone(), resource, owner });
            }
        };
        keep(Resource::Cluster, cluster.tags());
        for name in list_nodegroups(client, &place).await? {
            let Ok(pool) = PoolName::new(&name) else {
                continue;
            };
            if let Some(nodegroup) = describe_nodegroup(client, &place, &name).await? {
                keep(Resource::Pool(pool), nodegroup.tags());
            }
        }
    }
    owned.sort();
    Ok(owned)
}

/// `None`: EKS says that there is none.
pub(crate) async fn describe_cluster(
    client: &Client,
    address: &Address,
) -> Result<Option<Cluster>, CloudError> {
    let call = Call { operation: "DescribeCluster", address, pool: None };
    match client.describe_cluster().name(&address.external_name).send().await {
        Ok(answer) => match answer.cluster {
            Some(cluster) => Ok(Some(cluster)),
            None => Err(unreadable(&call, "an answer without a cluster")),
        },
        Err(error)
            if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(cloud_error(&call, &error)),
    }
}

/// `None`: EKS says that there is none.
pub(crate) async fn describe_nodegroup(
    client: &Client,
    address: &Address,
    name: &str,
) -> Result<Option<Nodegroup>, CloudError> {
    let call = Call { operation: "DescribeNodegroup", address, pool: Some(name) };
    let request =
        client.describe_nodegroup().cluster_name(&address.external_name).nodegroup_name(name);
    match request.send().await {
        Ok(answer) => match answer.nodegroup {
            Some(nodegroup) => Ok(Some(nodegroup)),
            None => Err(unreadable(&call, "an answer without a node group")),
        },
        Err(error)
            if error.as_service_error().is_some_and(|e| e.is_resource_not_found_exception()) =>
        {
            Ok(None)
        }
        Err(error) => Err(cloud_error(&call, &error)),
    }
}

async fn list_nodegroups(client: &Client, address: &Address) -> Result<Vec<String>, CloudError> {
    let call = Call { operation: "ListNodegroups", address, pool: None };
    let request = client.list_nodegroups().cluster_name(&address.external_name);
    let mut names = Vec::new();
    let mut pages = request.into_paginator().items().send();
    while let Some(name) = pages.next().await {
        names.push(name.map_err(|error| cloud_error(&call, &error))?);
    }
    Ok(names)
}

async fn list_clusters(client: &Client, address: &Address) -> Result<Vec<String>, CloudError> {
    let nowhere = Address { external_name: String::new(), ..address.clone() };
    let call = Call { operation: "ListClusters", address: &nowhere, pool: None };
    let mut names = Vec::new();
    let mut pages = client.list_clusters().into_paginator().items().send();
    while let Some(name) = pages.next().await {
        names.push(name.map_err(|error| cloud_error(&call, &error))?);
    }
    Ok(names)
}

fn unreadable(call: &Call<'_>, what: &str) -> CloudError {
    call.error(Class::Unknown, "Unreadable", &format!("EKS gave {what}; we look again"))
}

pub(crate) fn tags(found: Option<&HashMap<String, String>>) -> BTreeMap<String, String> {
    found.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn seen_cluster(address: &Address, cluster: &Cluster) -> Result<SeenCluster, CloudError> {
    let call = Call { operation: "DescribeCluster", address, pool: None };
    let status = cluster.status().map_or("none", ClusterStatus::as_str);
    let phase = match cluster.status() {
        Some(ClusterStatus::Creating | ClusterStatus::Pending) => Phase::Creating,
        Some(ClusterStatus::Active) => Phase::Active,
        Some(ClusterStatus::Updating) => Phase::Updating,
        Some(ClusterStatus::Deleting) => Phase::Deleting,
        Some(ClusterStatus::Failed) => Phase::Failed,
        _ => {
            return Err(unreadable(&call, &format!("status {status}, which we do not know")));
        }
    };
    let certificate_authority = cluster
        .certificate_authority()
        .and_then(|certificate| certificate.data())
        .map(|data| {
            STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(
                || unreadable(&call, "a certificate authority that is not PEM in base64"),
            )
        })
        .transpose()?;
    let tags = tags(cluster.tags());
    let version = cluster.version().unwrap_or_default().to_owned();
    let subnets = cluster.resources_vpc_config().map(|network| network.subnet_ids());
    let body = ClusterBody {
        name: address.external_name.clone(),
        version: version.clone(),
        role_arn: cluster.role_arn().unwrap_or_default().to_owned(),
        subnet_ids: subnets.unwrap_or_default().iter().cloned().collect(),
        tags: tags.clone(),
    };
    Ok(SeenCluster {
        external_id: cluster.arn().unwrap_or_default().to_owned(),
        tags,
        phase,
        trouble: cluster_trouble(cluster),
        version,
        platform_version: cluster.platform_version().map(str::to_owned),
        endpoint: cluster.endpoint().map(str::to_owned),
        certificate_authority,
        oidc_issuer: cluster
            .identity()
            .and_then(|identity| identity.oidc()?.issuer())
            .map(str::to_owned),
        body: json(&body),
    })
}

fn seen_pool(address: &Address, nodegroup: &Nodegroup) -> Result<SeenPool, CloudError> {
    let call = Call { operation: "DescribeNodegroup", address, pool: nodegroup.nodegroup_name() };
    let status = nodegroup.status().map_or("none", NodegroupStatus::as_str);
    let phase = match nodegroup.status() {
        Some(NodegroupStatus::Creating) => Phase::Creating,
        Some(NodegroupStatus::Active) => Phase::Active,
        Some(NodegroupStatus::Updating) => Phase::Updating,
        Some(NodegroupStatus::Deleting) => Phase::Deleting,
        // EKS calls a group degraded while it cannot be what was asked; its health issues say what a person must mend.
        Some(
            NodegroupStatus::CreateFailed
            | NodegroupStatus::DeleteFailed
            | NodegroupStatus::Degraded,
        ) => Phase::Failed,
        _ => {
            return Err(unreadable(&call, &format!("status {status}, which we do not know")));
        }
    };
    let scaling = nodegroup.scaling_config();
    let size = |part: Option<i32>| part.unwrap_or_default();
    let tags = tags(nodegroup.tags());
    let body = PoolBody {
        name: nodegroup.nodegroup_name().unwrap_or_default().to_owned(),
        min: size(scaling.and_then(|scaling| scaling.min_size())),
        max: size(scaling.and_then(|scaling| scaling.max_size())),
        desired: size(scaling.and_then(|scaling| scaling.desired_size())),
        subnet_ids: nodegroup.subnets().iter().cloned().collect(),
        subnets_from: SubnetsFrom::Pool,
        instance_types: nodegroup.instance_types().to_vec(),
        ami_type: nodegroup.ami_type().map(|kind| kind.as_str().to_owned()),
        role_arn: nodegroup.node_role().unwrap_or_default().to_owned(),
        labels: self::tags(nodegroup.labels()),
        tags: tags.clone(),
    };
    let trouble = pool_trouble(nodegroup, phase, status);
    Ok(SeenPool { tags, phase, trouble, size: body.desired, body: json(&body) })
}

fn cluster_trouble(cluster: &Cluster) -> String {
    let issues = cluster.health().map(|health| health.issues()).unwrap_or_default();
    let text = |issue: &aws_sdk_eks::types::ClusterIssue| {
        let code = issue.code().map_or("Other", |code| code.as_str());
        format!("{code}: {}", issue.message().unwrap_or("no message"))
    };
    let told: Vec<String> = issues.iter().map(text).collect();
    match (told.is_empty(), cluster.status()) {
        (true, Some(ClusterStatus::Failed)) => "FAILED, and EKS gives no reason".to_owned(),
        _ => told.join("; "),
    }
}

fn pool_trouble(nodegroup: &Nodegroup, phase: Phase, status: &str) -> String {
    let issues = nodegroup.health().map(|health| health.issues()).unwrap_or_default();
    let text = |issue: &aws_sdk_eks::types::Issue| {
        let code = issue.code().map_or("Other", |code| code.as_str());
        let on = issue.resource_ids().join(", ");
        let on = if on.is_empty() { String::new() } else { format!(" ({on})") };
        format!("{code}: {}{on}", issue.message().unwrap_or("no message"))
    };
    let told: Vec<String> = issues.iter().map(text).collect();
    match (told.is_empty(), phase) {
        (true, Phase::Failed) => format!("{status}, and EKS gives no reason"),
        _ => told.join("; "),
    }
}
