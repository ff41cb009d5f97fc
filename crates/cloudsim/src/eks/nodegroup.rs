//! Node groups: create, describe, list, delete.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::answer::{EksError, seconds, wire};
use super::shapes::{CapacityType, NodegroupRequest, Scaling, Taint, TaintEffect};
use super::{Call, check, page, releases};
use crate::Shared;
use crate::settle::NO_CAPACITY;
use crate::state::{Cluster, Nodegroup, Phase};

/// The default quota "Nodes per managed node group".
const MAX_NODES: u32 = 450;
/// The default quota "Managed node groups per cluster".
const MAX_NODEGROUPS: usize = 30;
/// "Taints per managed node group" in the user guide.
const MAX_TAINTS: usize = 50;
/// Architectures and variants of each family of images, as `AMITypes` of the API reference.
const AMI_TYPES: [&str; 23] = [
    "AL2_x86_64",
    "AL2_x86_64_GPU",
    "AL2_ARM_64",
    "CUSTOM",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_ARM_64_FIPS",
    "BOTTLEROCKET_x86_64_FIPS",
    "BOTTLEROCKET_ARM_64_NVIDIA",
    "BOTTLEROCKET_x86_64_NVIDIA",
    "BOTTLEROCKET_ARM_64_NVIDIA_FIPS",
    "BOTTLEROCKET_x86_64_NVIDIA_FIPS",
    "WINDOWS_CORE_2019_x86_64",
    "WINDOWS_FULL_2019_x86_64",
    "WINDOWS_CORE_2022_x86_64",
    "WINDOWS_FULL_2022_x86_64",
    "WINDOWS_CORE_2025_x86_64",
    "WINDOWS_FULL_2025_x86_64",
    "AL2023_x86_64_STANDARD",
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_NEURON",
    "AL2023_x86_64_NVIDIA",
    "AL2023_ARM_64_NVIDIA",
];

/// How many machines, with nothing left open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Size {
    pub(crate) min_size: u32,
    pub(crate) max_size: u32,
    pub(crate) desired_size: u32,
}

impl NodegroupRequest {
    pub(crate) fn scaling(&self) -> Size {
        let said = self.scaling_config.clone().unwrap_or(Scaling {
            min_size: None,
            max_size: None,
            desired_size: None,
        });
        let desired_size = said.desired_size.or(said.min_size).unwrap_or(2);
        Size {
            min_size: said.min_size.unwrap_or(desired_size),
            max_size: said.max_size.unwrap_or(desired_size),
            desired_size,
        }
    }

    /// Never empty.
    pub(crate) fn instance_types(&self) -> Vec<String> {
        let types = self.instance_types.clone().filter(|types| !types.is_empty());
        types.unwrap_or_else(|| vec!["t3.medium".to_owned()])
    }

    pub(crate) fn ami_type(&self) -> &str {
        self.ami_type.as_deref().unwrap_or("AL2023_x86_64_STANDARD")
    }

    pub(crate) fn capacity_type(&self) -> &'static str {
        match self.capacity_type.unwrap_or(CapacityType::OnDemand) {
            CapacityType::OnDemand => "ON_DEMAND",
            CapacityType::Spot => "SPOT",
            CapacityType::CapacityBlock => "CAPACITY_BLOCK",
        }
    }

    /// The taints as Kubernetes writes them.
    pub(crate) fn node_taints(&self) -> Vec<Value> {
        let effect = |effect| match effect {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::NoExecute => "NoExecute",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
        };
        let taint = |taint: &Taint| {
            let mut written = json!({ "key": taint.key, "effect": effect(taint.effect) });
            // As it is stored: an API server keeps no empty value.
            if let Some(value) = taint.value.as_deref().filter(|value| !value.is_empty()) {
                written["value"] = json!(value);
            }
            written
        };
        self.taints.iter().flatten().map(taint).collect()
    }

    pub(super) fn check(&self) -> Result<(), EksError> {
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
        if !AMI_TYPES.contains(&self.ami_type()) {
            let message = format!("The AMI type {} is not one of EKS.", self.ami_type());
            return Err(EksError::invalid_parameter(message));
        }
        self.check_template()?;
        self.check_pace()?;
        self.check_taints()?;
        let nothing = BTreeMap::new();
        check::labels(self.labels.as_ref().unwrap_or(&nothing))?;
        check::tags(self.tags.as_ref().unwrap_or(&nothing)).map_err(EksError::invalid_parameter)
    }

    fn check_scaling(&self) -> Result<(), EksError> {
        let Size { min_size, max_size, desired_size } = self.scaling();
        let refused = |message: String| Err(EksError::invalid_parameter(message));
        if max_size < 1 {
            return refused("maxSize must be at least 1".to_owned());
        }
        if min_size > desired_size {
            return refused(format!(
                "Minimum capacity {min_size} can't be greater than desired size {desired_size}"
            ));
        }
        if desired_size > max_size {
            return refused(format!(
                "desired capacity {desired_size} can't be greater than max size {max_size}"
            ));
        }
        if max_size > MAX_NODES {
            let message =
                format!("A node group can have at most {MAX_NODES} nodes, not {max_size}.");
            return Err(EksError::limit_exceeded(message));
        }
        Ok(())
    }

    /// A template says what the request then may not.
    fn check_template(&self) -> Result<(), EksError> {
        let refused = |message: &str| Err(EksError::invalid_parameter(message));
        let Some(template) = &self.launch_template else {
            return match self.ami_type() {
                "CUSTOM" => refused("The AMI type CUSTOM needs a launch template."),
                _ => Ok(()),
            };
        };
        if template.name.is_some() == template.id.is_some() {
            return refused(
                "You must specify either the launch template ID or the name, but not both.",
            );
        }
        if self.disk_size.is_some() {
            return refused("Disk size must be specified within the launch template.");
        }
        if self.remote_access.is_some() {
            return refused(
                "Remote access configuration cannot be specified with a launch template.",
            );
        }
        Ok(())
    }

    fn check_pace(&self) -> Result<(), EksError> {
        let Some(pace) = &self.update_config else {
            return Ok(());
        };
        let refused = |message: &str| Err(EksError::invalid_parameter(message));
        match (pace.max_unavailable, pace.max_unavailable_percentage) {
            (Some(_), Some(_)) => {
                refused("You can't specify both maxUnavailable and maxUnavailablePercentage.")
            }
            (Some(0), _) | (_, Some(0)) => refused("maxUnavailable must be at least 1."),
            (Some(101..), _) => refused("maxUnavailable must be at most 100."),
            (_, Some(101..)) => refused("maxUnavailablePercentage must be at most 100."),
            _ => Ok(()),
        }
    }

    fn check_taints(&self) -> Result<(), EksError> {
        let taints = self.taints.as_deref().unwrap_or_default();
        if taints.len() > MAX_TAINTS {
            let message = format!("A node group can have at most {MAX_TAINTS} taints.");
            return Err(EksError::invalid_parameter(message));
        }
        for (n, taint) in taints.iter().enumerate() {
            if taint.key.is_empty() || taint.key.len() > 63 {
                let message =
                    format!("The taint key '{}' must have 1 to 63 characters.", taint.key);
                return Err(EksError::invalid_parameter(message));
            }
            let twice = |other: &Taint| other.key == taint.key && other.effect == taint.effect;
            if taints[..n].iter().any(twice) {
                let message =
                    format!("The taint '{}' is given twice with the same effect.", taint.key);
                return Err(EksError::invalid_parameter(message));
            }
        }
        Ok(())
    }
}

impl Shared {
    pub(super) async fn create_nodegroup(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut request: NodegroupRequest = check::body(call.body)?;
        let name = request.nodegroup_name.clone();
        request.check()?;
        let mut cluster = self.existing(call).await?;
        if let Some(group) = cluster.nodegroups.get(&name) {
            let same = request.client_request_token.is_some()
                && request.client_request_token == group.request.client_request_token;
            if same && !group.phase.is_deleting() {
                return Ok(describe(&cluster, &name, group));
            }
            let message = format!(
                "NodeGroup already exists with name {name} and cluster name {}",
                cluster.key.name
            );
            return Err(EksError::in_use(message));
        }
        if cluster.phase != Phase::Active {
            let message = format!("Cluster '{}' is not in ACTIVE status", cluster.key.name);
            return Err(EksError::invalid_request(message));
        }
        if cluster.nodegroups.len() >= MAX_NODEGROUPS {
            let message = format!("A cluster can have at most {MAX_NODEGROUPS} node groups.");
            return Err(EksError::limit_exceeded(message));
        }
        let version = settle_version(&request, &cluster)?;
        let latest = self.latest_release().await?;
        let release = match request.release_version.take() {
            Some(release) => {
                releases::check(request.ami_type(), &version, &release, latest)?;
                release
            }
            None => releases::name(request.ami_type(), &version, latest),
        };
        let now = self.clock.now();
        request.version = None;
        let group = Nodegroup {
            uid: self.ids.uid(),
            version,
            release,
            created_at: now,
            modified_at: now,
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.pool_create) },
            tags: request.tags.take().unwrap_or_default(),
            request,
            machines: 0,
            roll: 0,
            short: false,
        };
        cluster.let_machines_in(&group.request.node_role, "EC2_LINUX", now);
        let described = describe(&cluster, &name, &group);
        cluster.nodegroups.insert(name, group);
        self.store(&cluster).await?;
        Ok(described)
    }

    /// How many releases of images have come out.
    pub(super) async fn latest_release(&self) -> Result<u32, EksError> {
        let simulation = self.ledger.simulation().await.map_err(EksError::server)?;
        Ok(simulation.releases)
    }

    pub(super) async fn describe_nodegroup(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let name = call.name(1);
        let group = cluster.nodegroups.get(name).ok_or_else(|| EksError::no_nodegroup(name))?;
        Ok(describe(&cluster, name, group))
    }

    pub(super) async fn list_nodegroups(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        page::page(call.query, "nodegroups", cluster.nodegroups.into_keys().collect())
    }

    pub(super) async fn delete_nodegroup(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.existing(call).await?;
        let name = call.name(1);
        let due = self.due_in(self.settings.latencies.pool_delete);
        let status = cluster.nodegroup_status(name);
        let group = cluster.nodegroups.get_mut(name);
        let group = group.ok_or_else(|| EksError::no_nodegroup(name))?;
        if group.phase.is_moving() || status == "UPDATING" {
            let message = format!("Nodegroup {name} cannot be deleted while it is {status}.");
            return Err(EksError::in_use(message));
        }
        group.phase = Phase::Deleting { due };
        group.modified_at = self.clock.now();
        self.store(&cluster).await?;
        let group = cluster.nodegroups.get(name).ok_or_else(|| EksError::no_nodegroup(name))?;
        Ok(describe(&cluster, name, group))
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
fn describe(cluster: &Cluster, name: &str, group: &Nodegroup) -> Value {
    let Nodegroup { uid, request, version, release, created_at, modified_at, tags, .. } = group;
    let group_name = format!("eks-{}-{uid}", request.nodegroup_name);
    let issue = |code: &str, message: &str| json!([{ "code": code, "message": message, "resourceIds": [group_name] }]);
    let issues = match &group.phase {
        _ if group.short => issue("AsgInstanceLaunchFailures", NO_CAPACITY),
        Phase::CreateFailed { message } => issue("NodeCreationFailure", message),
        Phase::Creating { .. } | Phase::Active | Phase::Deleting { .. } => json!([]),
    };
    // Not yet among the others while it is being made.
    let status = match cluster.nodegroup_status(name) {
        "" => group.phase.as_str(),
        status => status,
    };
    let mut described = json!({
        "nodegroupName": request.nodegroup_name,
        "nodegroupArn": group.arn(&cluster.key),
        "clusterName": cluster.key.name,
        "version": version,
        "releaseVersion": release,
        "createdAt": seconds(*created_at),
        "modifiedAt": seconds(*modified_at),
        "status": status,
        "capacityType": request.capacity_type(),
        "scalingConfig": request.scaling(),
        "subnets": request.subnets,
        "amiType": request.ami_type(),
        "nodeRole": request.node_role,
        "labels": request.labels.clone().unwrap_or_default(),
        "taints": wire(&request.taints.clone().unwrap_or_default()),
        "health": { "issues": issues },
        "updateConfig": { "maxUnavailable": 1 },
        "resources": { "autoScalingGroups": [{ "name": group_name }] },
        "tags": tags,
    });
    let said = wire(request);
    for field in ["updateConfig", "nodeRepairConfig", "launchTemplate", "remoteAccess"] {
        if let Some(value) = said.get(field) {
            described[field] = value.clone();
        }
    }
    if request.launch_template.is_none() {
        described["diskSize"] = json!(request.disk_size.unwrap_or(20));
        described["instanceTypes"] = json!(request.instance_types());
    } else if let Some(types) = &request.instance_types {
        described["instanceTypes"] = json!(types);
    }
    json!({ "nodegroup": described })
}
