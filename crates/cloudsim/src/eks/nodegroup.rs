//! Node groups: create, describe, list, delete.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::EksError;
use super::cluster::seconds;
use super::{Call, check, page};
use crate::Shared;
use crate::state::{Cluster, ClusterKey, Nodegroup, Phase};

/// The default quota "Nodes per managed node group".
const MAX_NODES: u32 = 450;
/// The default quota "Managed node groups per cluster".
const MAX_NODEGROUPS: usize = 30;
/// `AMITypes` of the API reference begin with one of these, or are `CUSTOM`, which needs a launch template.
const AMI_FAMILIES: [&str; 4] = ["AL2_", "AL2023_", "BOTTLEROCKET_", "WINDOWS_"];

/// The body of `CreateNodegroup`, as far as it is simulated.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NodegroupRequest {
    pub(crate) nodegroup_name: String,
    pub(crate) subnets: Vec<String>,
    node_role: String,
    scaling_config: Option<Scaling>,
    disk_size: Option<u32>,
    instance_types: Option<Vec<String>>,
    ami_type: Option<String>,
    capacity_type: Option<String>,
    pub(crate) labels: Option<BTreeMap<String, String>>,
    taints: Option<Vec<Taint>>,
    update_config: Option<Value>,
    version: Option<String>,
    client_request_token: Option<String>,
    tags: Option<BTreeMap<String, String>>,
}

/// How many machines.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scaling {
    min_size: u32,
    max_size: u32,
    pub(crate) desired_size: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Taint {
    key: String,
    value: Option<String>,
    effect: TaintEffect,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum TaintEffect {
    NoSchedule,
    NoExecute,
    PreferNoSchedule,
}

impl NodegroupRequest {
    pub(crate) fn scaling(&self) -> Scaling {
        self.scaling_config.unwrap_or(Scaling { min_size: 2, max_size: 2, desired_size: 2 })
    }

    /// Never empty.
    pub(crate) fn instance_types(&self) -> Vec<String> {
        let types = self.instance_types.clone().filter(|types| !types.is_empty());
        types.unwrap_or_else(|| vec!["t3.medium".to_owned()])
    }

    pub(crate) fn ami_type(&self) -> &str {
        self.ami_type.as_deref().unwrap_or("AL2023_x86_64_STANDARD")
    }

    pub(crate) fn capacity_type(&self) -> &str {
        self.capacity_type.as_deref().unwrap_or("ON_DEMAND")
    }

    /// The taints as Kubernetes writes them.
    pub(crate) fn node_taints(&self) -> Vec<Value> {
        let effect = |effect| match effect {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::NoExecute => "NoExecute",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        };
        let taint = |taint: &Taint| {
            let value = taint.value.as_deref().unwrap_or_default();
            json!({ "key": taint.key, "value": value, "effect": effect(taint.effect) })
        };
        self.taints.iter().flatten().map(taint).collect()
    }

    fn check(&self) -> Result<(), EksError> {
        check::nodegroup_name(&self.nodegroup_name)?;
        check::subnets(&self.subnets, 1)?;
        check::role(&self.node_role)?;
        self.check_scaling()?;
        let formed = |kind: &String| {
            kind.split_once('.').is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
        };
        if let Some(kind) = self.instance_types().iter().find(|kind| !formed(kind)) {
            let message = format!("The following supplied instance types do not exist: [{kind}]");
            return Err(EksError::invalid_parameter(message));
        }
        if !AMI_FAMILIES.iter().any(|family| self.ami_type().starts_with(family)) {
            let message =
                format!("The AMI type {} is not one of EKS, or not simulated.", self.ami_type());
            return Err(EksError::invalid_parameter(message));
        }
        if !["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"].contains(&self.capacity_type()) {
            let message = format!("The capacity type {} does not exist.", self.capacity_type());
            return Err(EksError::invalid_parameter(message));
        }
        let nothing = BTreeMap::new();
        check::labels(self.labels.as_ref().unwrap_or(&nothing))?;
        check::tags(self.tags.as_ref().unwrap_or(&nothing)).map_err(EksError::invalid_parameter)
    }

    fn check_scaling(&self) -> Result<(), EksError> {
        let Scaling { min_size, max_size, desired_size } = self.scaling();
        if max_size < 1 {
            return Err(EksError::invalid_parameter("maxSize must be at least 1"));
        }
        if min_size > desired_size {
            let message = format!(
                "Minimum capacity {min_size} can't be greater than desired size {desired_size}"
            );
            return Err(EksError::invalid_parameter(message));
        }
        if desired_size > max_size {
            let message = format!(
                "desired capacity {desired_size} can't be greater than max size {max_size}"
            );
            return Err(EksError::invalid_parameter(message));
        }
        if max_size > MAX_NODES {
            let message =
                format!("A node group can have at most {MAX_NODES} nodes, not {max_size}.");
            return Err(EksError::limit_exceeded(message));
        }
        Ok(())
    }
}

impl Shared {
    pub(super) async fn create_nodegroup(
        &self,
        call: &Call<'_>,
        cluster: &str,
    ) -> Result<Value, EksError> {
        let mut request: NodegroupRequest = check::body(call.body)?;
        let name = request.nodegroup_name.clone();
        let about = |error: EksError| error.of_cluster(cluster).of_nodegroup(&name);
        request.check().map_err(about)?;
        let mut cluster = self.existing(&call.key(cluster)).await?;
        if let Some(group) = cluster.nodegroups.get(&name) {
            let same = request.client_request_token.is_some()
                && request.client_request_token == group.request.client_request_token;
            if same && !matches!(group.phase, Phase::Deleting { .. }) {
                return Ok(describe(&cluster.key, group));
            }
            let message = format!(
                "NodeGroup already exists with name {name} and cluster name {}",
                cluster.key.name
            );
            return Err(about(EksError::in_use(message)));
        }
        if cluster.phase != Phase::Active {
            let message = format!("Cluster '{}' is not in ACTIVE status", cluster.key.name);
            return Err(about(EksError::invalid_request(message)));
        }
        if cluster.nodegroups.len() >= MAX_NODEGROUPS {
            let message = format!("A cluster can have at most {MAX_NODEGROUPS} node groups.");
            return Err(about(EksError::limit_exceeded(message)));
        }
        let version = settle_version(&request, &cluster).map_err(about)?;
        let now = self.clock.now();
        let group = Nodegroup {
            uid: self.ids.uid(),
            version,
            created_at: now,
            modified_at: now,
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.pool_create) },
            tags: request.tags.take().unwrap_or_default(),
            request,
        };
        let described = describe(&cluster.key, &group);
        cluster.nodegroups.insert(name, group);
        self.store(&cluster).await?;
        Ok(described)
    }

    pub(super) async fn describe_nodegroup(
        &self,
        call: &Call<'_>,
        cluster: &str,
        name: &str,
    ) -> Result<Value, EksError> {
        let cluster = self.existing(&call.key(cluster)).await?;
        let group = cluster.nodegroups.get(name);
        let group = group.ok_or_else(|| EksError::no_nodegroup(&cluster.key.name, name))?;
        Ok(describe(&cluster.key, group))
    }

    pub(super) async fn list_nodegroups(
        &self,
        call: &Call<'_>,
        cluster: &str,
    ) -> Result<Value, EksError> {
        let cluster = self.existing(&call.key(cluster)).await?;
        page::page(call.query, "nodegroups", cluster.nodegroups.into_keys().collect())
    }

    pub(super) async fn delete_nodegroup(
        &self,
        call: &Call<'_>,
        cluster: &str,
        name: &str,
    ) -> Result<Value, EksError> {
        let mut cluster = self.existing(&call.key(cluster)).await?;
        let due = self.due_in(self.settings.latencies.pool_delete);
        let group = cluster.nodegroups.get_mut(name);
        let group = group.ok_or_else(|| EksError::no_nodegroup(&cluster.key.name, name))?;
        if matches!(group.phase, Phase::Creating { .. } | Phase::Deleting { .. }) {
            let message =
                format!("Nodegroup {name} cannot be deleted while it is {}.", group.phase.as_str());
            return Err(EksError::in_use(message).of_cluster(&cluster.key.name).of_nodegroup(name));
        }
        group.phase = Phase::Deleting { due };
        group.modified_at = self.clock.now();
        let described = describe(&cluster.key, group);
        self.store(&cluster).await?;
        Ok(described)
    }
}

/// A group may be older than its control plane, never newer.
fn settle_version(request: &NodegroupRequest, cluster: &Cluster) -> Result<String, EksError> {
    let Some(version) = &request.version else {
        return Ok(cluster.version.clone());
    };
    if check::version(version)? > check::version(&cluster.version)? {
        let message = format!(
            "Requested Nodegroup version {version} is newer than the cluster's {}",
            cluster.version
        );
        return Err(EksError::invalid_parameter(message));
    }
    Ok(version.clone())
}

/// A node group as `DescribeNodegroup` gives it.
fn describe(cluster: &ClusterKey, group: &Nodegroup) -> Value {
    let Nodegroup { uid, request, version, created_at, modified_at, phase, tags } = group;
    let issues = match phase {
        Phase::CreateFailed { message } => {
            json!([{ "code": "NodeCreationFailure", "message": message, "resourceIds": [] }])
        }
        Phase::Creating { .. } | Phase::Active | Phase::Deleting { .. } => json!([]),
    };
    let group_name = format!("eks-{}-{uid}", request.nodegroup_name);
    json!({ "nodegroup": {
        "nodegroupName": request.nodegroup_name,
        "nodegroupArn": group.arn(cluster),
        "clusterName": cluster.name,
        "version": version,
        "releaseVersion": format!("{version}.1-simulated"),
        "createdAt": seconds(*created_at),
        "modifiedAt": seconds(*modified_at),
        "status": phase.as_str(),
        "capacityType": request.capacity_type(),
        "scalingConfig": request.scaling(),
        "instanceTypes": request.instance_types(),
        "subnets": request.subnets,
        "amiType": request.ami_type(),
        "nodeRole": request.node_role,
        "labels": request.labels.clone().unwrap_or_default(),
        "taints": request.taints.clone().unwrap_or_default(),
        "diskSize": request.disk_size.unwrap_or(20),
        "health": { "issues": issues },
        "updateConfig": request.update_config.clone().unwrap_or_else(|| json!({ "maxUnavailable": 1 })),
        "resources": { "autoScalingGroups": [{ "name": group_name }] },
        "tags": tags,
    } })
}
