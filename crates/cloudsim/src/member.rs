//! The Kubernetes clusters behind the EKS clusters: how they come and go, who is let in, and their nodes.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_apiserver::{
    ApiServer, AuthError, Authenticator, ClusterSpec, Identity, LogicalCluster, ResourceRef, Scheme,
};
use fleetwright_clock::Clock;
use serde_json::{Value, json};

use crate::sigv4::{Presigned, verify_presigned};
use crate::state::{Cluster, ClusterKey, Nodegroup, Phase, digest_hex};
use crate::{ACCOUNT_ID, SettleError};

const NODES: ResourceRef = ResourceRef::new("", "v1", "nodes");
const NODEGROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";
/// `aws-iam-authenticator` refuses longer ones, too.
const MAX_TOKEN_BYTES: usize = 4096;
/// What may stand in a token's URL, as in `aws-iam-authenticator`.
const TOKEN_QUERY: [&str; 9] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

#[derive(Debug)]
pub(crate) struct Members {
    api: ApiServer,
    clock: Arc<dyn Clock>,
    scheme: Arc<Scheme>,
}

impl Members {
    pub(crate) fn new(api: ApiServer, clock: Arc<dyn Clock>, scheme: Arc<Scheme>) -> Self {
        Self { api, clock, scheme }
    }

    pub(crate) fn find(&self, key: &ClusterKey) -> Option<LogicalCluster> {
        self.api.cluster(&key.member_id())
    }

    pub(crate) async fn attach(&self, cluster: &Cluster) -> Result<(), SettleError> {
        let member = cluster.key.member_id();
        let spec = ClusterSpec {
            name: member.clone(),
            scheme: Arc::clone(&self.scheme),
            authenticator: Arc::new(EksTokens {
                key: cluster.key.clone(),
                creator_is_admin: cluster.request.creator_is_admin(),
                clock: Arc::clone(&self.clock),
            }),
            version: format!("v{}.1-eks-sim", cluster.version),
        };
        match self.api.add_cluster(spec).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    pub(crate) async fn detach(&self, key: &ClusterKey) -> Result<(), SettleError> {
        let member = key.member_id();
        match self.api.remove_cluster(&member).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    /// Lets the machines of a group appear. The answer is the phase the group is in then: a node that the API refuses
    /// means that the group failed, as when a machine cannot join.
    pub(crate) async fn add_nodes(
        &self,
        cluster: &Cluster,
        group: &Nodegroup,
    ) -> Result<Phase, SettleError> {
        let member = self.attached(&cluster.key)?;
        let wanted = (0..group.request.scaling().desired_size).map(|n| node(cluster, group, n));
        let puts = wanted.map(|node| member.put(&NODES, node));
        match futures::future::try_join_all(puts).await {
            Ok(_) => Ok(Phase::Active),
            Err(refused) if matches!(refused.code(), 400 | 422) => {
                Ok(Phase::CreateFailed { message: refused.to_string() })
            }
            Err(source) => Err(SettleError::Nodes { member: member.name().to_owned(), source }),
        }
    }

    pub(crate) async fn remove_nodes(
        &self,
        key: &ClusterKey,
        group: &str,
    ) -> Result<(), SettleError> {
        let member = self.attached(key)?;
        for node in member.list(&NODES, None).await {
            if node["metadata"]["labels"][NODEGROUP_LABEL] != group {
                continue;
            }
            let name = node["metadata"]["name"].as_str().unwrap_or_default();
            let removed = member.delete(&NODES, None, name).await;
            removed.map_err(|source| SettleError::Nodes { member: key.member_id(), source })?;
        }
        Ok(())
    }

    fn attached(&self, key: &ClusterKey) -> Result<LogicalCluster, SettleError> {
        self.find(key).ok_or_else(|| SettleError::Detached(key.member_id()))
    }
}

/// Lets in who shows an EKS token for this one cluster: `k8s-aws-v1.` and the base64url of a presigned STS request,
/// which names the cluster in a signed header. The rules are those of `aws-iam-authenticator`.
#[derive(Debug)]
struct EksTokens {
    key: ClusterKey,
    creator_is_admin: bool,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Authenticator for EksTokens {
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError> {
        let token = bearer.ok_or(AuthError::Missing)?;
        if let Err(reason) = self.verify(token) {
            tracing::debug!(cluster = %self.key.name, reason, "token refused");
            return Err(AuthError::Rejected);
        }
        Ok(Identity {
            user: format!("arn:aws:iam::{ACCOUNT_ID}:role/simulated"),
            groups: vec!["system:masters".to_owned()],
        })
    }
}

impl EksTokens {
    fn verify(&self, token: &str) -> Result<(), String> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("the token is too long".to_owned());
        }
        let encoded = token.strip_prefix("k8s-aws-v1.").ok_or("the prefix is wrong")?;
        let url = URL_SAFE_NO_PAD.decode(encoded).map_err(|error| error.to_string())?;
        let url = String::from_utf8(url).map_err(|error| error.to_string())?;
        let china = self.key.region.starts_with("cn-");
        let domain = if china { "amazonaws.com.cn" } else { "amazonaws.com" };
        let host = format!("sts.{}.{domain}", self.key.region);
        let query = url
            .strip_prefix(&format!("https://{host}/?"))
            .ok_or_else(|| format!("it is not a request to https://{host}/"))?;
        let allowed =
            |pair: &str| TOKEN_QUERY.contains(&pair.split('=').next().unwrap_or_default());
        if !query.split('&').all(allowed)
            || !query.split('&').any(|pair| pair == "Action=GetCallerIdentity")
        {
            return Err("it is not a request for the caller's identity".to_owned());
        }
        let header = ("x-k8s-aws-id", self.key.name.as_str());
        let scope = verify_presigned(&Presigned { host: &host, query, header }, self.clock.now())
            .map_err(|refusal| refusal.to_string())?;
        if scope.service != "sts" || scope.region != self.key.region {
            return Err(format!("the signature is for {} in {}", scope.service, scope.region));
        }
        if !self.creator_is_admin {
            return Err("the cluster was made without permissions for its creator".to_owned());
        }
        Ok(())
    }
}

/// The Node object of machine `n` of a group. Its names depend on nothing but the group and `n`, so that writing it
/// twice is writing it once.
fn node(cluster: &Cluster, group: &Nodegroup, n: u32) -> Value {
    let region = &cluster.key.region;
    let machine = digest_hex(&format!("{}/{n}", group.uid), 32);
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
    let ready_since = group.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
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
