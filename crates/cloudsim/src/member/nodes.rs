//! The Node objects of a member: one per machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright_apiserver::{ApiError, LogicalCluster, ResourceRef};
use serde_json::{Value, json};

use super::Members;
use crate::SettleError;
use crate::eks::NodegroupRequest;
use crate::state::{Cluster, ClusterKey, Nodegroup, digest_hex};

const NODES: ResourceRef = ResourceRef::new("", "v1", "nodes");
const NODEGROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";

impl Members {
    /// Lets the nodes of a group be those of its machines: new ones appear, replaced ones go, and the others get the
    /// labels and taints of today. The answer is why a node cannot be, when the API refuses it: such a machine cannot
    /// join.
    pub(crate) async fn sync_nodes(
        &self,
        cluster: &Cluster,
        group: &str,
        before: &NodegroupRequest,
    ) -> Result<Option<String>, SettleError> {
        let member = self.attached(&cluster.key)?;
        let Some(group) = cluster.nodegroups.get(group) else {
            return Ok(None);
        };
        let mut there = nodes_of(&member, &group.request.nodegroup_name).await;
        let mut puts = Vec::new();
        for n in 0..group.machines {
            let new = node(cluster, group, n);
            there.remove(new["metadata"]["name"].as_str().unwrap_or_default());
            puts.push(put(&member, new, &group.request, before));
        }
        match futures::future::try_join_all(puts).await {
            Ok(_) => {}
            Err(refused) if matches!(refused.code(), 400 | 422) => {
                return Ok(Some(refused.to_string()));
            }
            Err(source) => {
                return Err(SettleError::Nodes { member: member.name().to_owned(), source });
            }
        }
        remove(&member, there.keys()).await?;
        Ok(None)
    }

    pub(crate) async fn remove_nodes(
        &self,
        key: &ClusterKey,
        group: &str,
    ) -> Result<(), SettleError> {
        let member = self.attached(key)?;
        let there = nodes_of(&member, group).await;
        remove(&member, there.keys()).await
    }
}

async fn nodes_of(member: &LogicalCluster, group: &str) -> BTreeMap<String, Arc<Value>> {
    let nodes = member.list(&NODES, None).await.into_iter();
    let own = nodes.filter(|node| node["metadata"]["labels"][NODEGROUP_LABEL] == group);
    own.map(|node| (node["metadata"]["name"].as_str().unwrap_or_default().to_owned(), node))
        .collect()
}

async fn remove(
    member: &LogicalCluster,
    names: impl Iterator<Item = &String>,
) -> Result<(), SettleError> {
    for name in names {
        let removed = member.delete(&NODES, None, name).await;
        let failed = |source| SettleError::Nodes { member: member.name().to_owned(), source };
        removed.map_err(failed)?;
    }
    Ok(())
}

/// Writes a node over what it is at this moment.
async fn put(
    member: &LogicalCluster,
    new: Value,
    now: &NodegroupRequest,
    before: &NodegroupRequest,
) -> Result<(), ApiError> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let node = match member.get(&NODES, None, name).await {
        Some(old) => adapted((*old).clone(), now, before),
        None => new,
    };
    member.put(&NODES, node).await.map(|_| ())
}

/// A node that is there, with the labels and taints of its group as they are now. What others put on it stays.
fn adapted(mut node: Value, now: &NodegroupRequest, before: &NodegroupRequest) -> Value {
    let gone: BTreeSet<&String> = before.labels.iter().flatten().map(|(key, _)| key).collect();
    if let Some(labels) = node["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| !gone.contains(key));
        for (key, value) in now.labels.iter().flatten() {
            labels.insert(key.clone(), json!(value));
        }
    }
    let (old, new) = (before.node_taints(), now.node_taints());
    let mut taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.retain(|taint| !old.contains(taint) && !new.contains(taint));
    taints.extend(new);
    if let Some(spec) = node["spec"].as_object_mut() {
        spec.remove("taints");
        if !taints.is_empty() {
            spec.insert("taints".to_owned(), Value::Array(taints));
        }
    }
    node
}

/// The Node object of machine `n` of a group. Its names depend on nothing but the group, how often it was rolled and
/// `n`, so that writing it twice is writing it once.
fn node(cluster: &Cluster, group: &Nodegroup, n: u32) -> Value {
    let region = &cluster.key.region;
    let machine = digest_hex(&format!("{}/{}/{n}", group.uid, group.roll), 32);
    let instance = format!("i-{}", &machine[..17]);
    let name = format!("{instance}.{region}.compute.internal");
    // One subnet, one zone; machines are spread over them in turn.
    let subnets = group.request.subnets.len().clamp(1, 3);
    let zone = ["a", "b", "c"][n as usize % subnets];
    let zone = format!("{region}{zone}");
    let arch = if group.request.ami_type().contains("ARM_64") { "arm64" } else { "amd64" };
    let mut labels = json!({
        NODEGROUP_LABEL: group.request.nodegroup_name,
        "eks.amazonaws.com/capacityType": group.request.capacity_type(),
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "node.kubernetes.io/instance-type": group.request.instance_types()[0],
        "topology.kubernetes.io/region": region,
        "topology.kubernetes.io/zone": zone,
    });
    for (key, value) in group.request.labels.iter().flatten() {
        labels[key] = json!(value);
    }
    let ready_since = group.modified_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({ "type": kind, "status": status, "reason": reason, "message": "simulated",
                "lastHeartbeatTime": ready_since, "lastTransitionTime": ready_since })
    };
    let room = json!({ "cpu": "2", "memory": "8Gi", "pods": "29", "ephemeral-storage": "20Gi" });
    let mut spec = json!({ "providerID": format!("aws:///{zone}/{instance}") });
    let taints = group.request.node_taints();
    if !taints.is_empty() {
        spec["taints"] = Value::Array(taints);
    }
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": { "name": name, "labels": labels },
        "spec": spec,
        "status": {
            "capacity": room, "allocatable": room,
            "addresses": [
                { "type": "InternalIP", "address": address(&machine) },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "nodeInfo": {
                "architecture": arch, "operatingSystem": "linux", "osImage": "Simulated Linux",
                "bootID": machine, "machineID": machine, "systemUUID": machine,
                "containerRuntimeVersion": "containerd://2.0.0-sim", "kernelVersion": "6.12.0-sim",
                "kubeProxyVersion": "", "kubeletVersion": format!("v{}.1-eks-sim", group.version),
            },
        },
    })
}

/// An address in 10.0.0.0/8 out of a machine's digest.
fn address(machine: &str) -> String {
    let part = |at: usize| {
        machine.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0)
    };
    format!("10.{}.{}.{}", part(20), part(22), part(24))
}
