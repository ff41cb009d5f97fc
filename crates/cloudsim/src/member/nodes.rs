//! The Node objects of a member: one per machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use fleetwright_apiserver::{ApiError, LogicalCluster, ResourceRef};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Members;
use crate::SettleError;

const NODES: ResourceRef = ResourceRef::new("", "v1", "nodes");

/// What a pool puts on its nodes.
#[derive(Debug, Default)]
pub(crate) struct Wear {
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Value>,
}

/// The machines of one pool.
#[derive(Debug)]
pub(crate) struct Machines {
    /// The label that says whose a node is, and its value.
    pub(crate) pool: (&'static str, String),
    /// Their Node objects as they are when they join.
    pub(crate) nodes: Vec<Value>,
    pub(crate) now: Wear,
    /// What the pool put on its nodes until now.
    pub(crate) before: Wear,
}

/// A machine, with what clouds say differently.
#[derive(Debug)]
pub(crate) struct Machine<'a> {
    /// At least 26 hexadecimal digits.
    pub(crate) id: &'a str,
    pub(crate) name: &'a str,
    pub(crate) provider_id: String,
    /// All its labels but those of hostname, system and architecture.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<Value>,
    pub(crate) system: &'static str,
    pub(crate) arch: &'static str,
    pub(crate) kubelet: String,
    pub(crate) ready_since: Timestamp,
}

impl Members {
    /// Lets the nodes of a pool be those of its machines: new ones appear, replaced ones go, and the others get the
    /// labels and taints of today. The answer is why a node cannot be, when the API refuses it: such a machine cannot
    /// join.
    pub(crate) async fn sync_nodes(
        &self,
        member: &str,
        machines: Machines,
    ) -> Result<Option<String>, SettleError> {
        let member = self.attached(member)?;
        let Machines { pool, nodes, now, before } = machines;
        let mut there = nodes_of(&member, (pool.0, &pool.1)).await;
        let mut puts = Vec::new();
        for new in nodes {
            there.remove(new["metadata"]["name"].as_str().unwrap_or_default());
            puts.push(put(&member, new, &now, &before));
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

    /// Lets the nodes of a member be these and no others. What others put on them stays, but for what is here.
    pub(crate) async fn show_nodes(
        &self,
        member: &str,
        nodes: Vec<Value>,
    ) -> Result<(), SettleError> {
        let member = self.attached(member)?;
        let failed = |source| SettleError::Nodes { member: member.name().to_owned(), source };
        let mut there: BTreeSet<String> = BTreeSet::new();
        for node in member.list(&NODES, None).await {
            there.insert(node["metadata"]["name"].as_str().unwrap_or_default().to_owned());
        }
        for mut node in nodes {
            let name = node["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            there.remove(&name);
            if let Some(old) = member.get(&NODES, None, &name).await {
                let mut labels = old["metadata"]["labels"].clone();
                let own = node["metadata"]["labels"].as_object().cloned().unwrap_or_default();
                if let Some(labels) = labels.as_object_mut() {
                    labels.extend(own);
                    node["metadata"]["labels"] = Value::Object(labels.clone());
                }
            }
            member.put(&NODES, node).await.map_err(failed)?;
        }
        remove(&member, there.iter()).await
    }

    /// Lets all nodes with a label go.
    pub(crate) async fn remove_nodes(
        &self,
        member: &str,
        pool: (&'static str, &str),
    ) -> Result<(), SettleError> {
        let member = self.attached(member)?;
        let there = nodes_of(&member, pool).await;
        remove(&member, there.keys()).await
    }
}

async fn nodes_of(
    member: &LogicalCluster,
    (label, value): (&'static str, &str),
) -> BTreeMap<String, Arc<Value>> {
    let nodes = member.list(&NODES, None).await.into_iter();
    let own = nodes.filter(|node| node["metadata"]["labels"][label] == value);
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
    now: &Wear,
    before: &Wear,
) -> Result<(), ApiError> {
    let name = new["metadata"]["name"].as_str().unwrap_or_default();
    let node = match member.get(&NODES, None, name).await {
        Some(old) => adapted((*old).clone(), now, before),
        None => new,
    };
    member.put(&NODES, node).await.map(|_| ())
}

/// A node that is there, with the labels and taints of its pool as they are now. What others put on it stays.
fn adapted(mut node: Value, now: &Wear, before: &Wear) -> Value {
    let gone: BTreeSet<&String> = before.labels.keys().collect();
    if let Some(labels) = node["metadata"]["labels"].as_object_mut() {
        labels.retain(|key, _| !gone.contains(key));
        for (key, value) in &now.labels {
            labels.insert(key.clone(), json!(value));
        }
    }
    let (old, new) = (&before.taints, &now.taints);
    let mut taints = node["spec"]["taints"].as_array().cloned().unwrap_or_default();
    taints.retain(|taint| !old.contains(taint) && !new.contains(taint));
    taints.extend(new.iter().cloned());
    if let Some(spec) = node["spec"].as_object_mut() {
        spec.remove("taints");
        if !taints.is_empty() {
            spec.insert("taints".to_owned(), Value::Array(taints));
        }
    }
    node
}

impl Machine<'_> {
    /// Its Node object.
    pub(crate) fn node(self) -> Value {
        let Self { id, name, provider_id, mut labels, taints, .. } = self;
        let Self { system, arch, kubelet, ready_since, .. } = self;
        for (key, value) in [("arch", arch), ("hostname", name), ("os", system)] {
            labels.insert(format!("kubernetes.io/{key}"), value.to_owned());
        }
        let ready_since = ready_since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let condition = |kind: &str, status: &str, reason: &str| {
            json!({ "type": kind, "status": status, "reason": reason, "message": "simulated",
                    "lastHeartbeatTime": ready_since, "lastTransitionTime": ready_since })
        };
        let room =
            json!({ "cpu": "2", "memory": "8Gi", "pods": "29", "ephemeral-storage": "20Gi" });
        let mut spec = json!({ "providerID": provider_id });
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
                    { "type": "InternalIP", "address": address(id) },
                    { "type": "Hostname", "address": name },
                ],
                "conditions": [
                    condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                    condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                    condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                    condition("Ready", "True", "KubeletReady"),
                ],
                "nodeInfo": {
                    "architecture": arch, "operatingSystem": system, "osImage": "Simulated Linux",
                    "bootID": id, "machineID": id, "systemUUID": id,
                    "containerRuntimeVersion": "containerd://2.0.0-sim", "kernelVersion": "6.12.0-sim",
                    "kubeProxyVersion": "", "kubeletVersion": kubelet,
                },
            },
        })
    }
}

/// An address in 10.0.0.0/8 out of a machine's digest.
fn address(machine: &str) -> String {
    let part = |at: usize| {
        machine.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok()).unwrap_or(0)
    };
    format!("10.{}.{}.{}", part(20), part(22), part(24))
}
