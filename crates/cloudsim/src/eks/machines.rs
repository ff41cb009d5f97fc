//! The machines of a node group, as its cluster sees them.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::member::{Machine, Machines, Wear};
use crate::state::{Cluster, Nodegroup, digest_hex};

use super::NodegroupRequest;

/// The label of nodes that names their group.
pub(crate) const NODEGROUP_LABEL: &str = "eks.amazonaws.com/nodegroup";

impl NodegroupRequest {
    fn wear(&self) -> Wear {
        Wear { labels: self.labels.clone().unwrap_or_default(), taints: self.node_taints() }
    }
}

impl Cluster {
    /// The machines that a group has now; `None`: there is no such group.
    pub(crate) fn machines(&self, group: &str, before: &NodegroupRequest) -> Option<Machines> {
        let group = self.nodegroups.get(group)?;
        Some(Machines {
            pool: (NODEGROUP_LABEL, group.request.nodegroup_name.clone()),
            nodes: (0..group.machines).map(|n| node(self, group, n)).collect(),
            now: group.request.wear(),
            before: before.wear(),
        })
    }
}

/// The Node object of machine `n` of a group. Its names depend on nothing but the group, how often it was rolled and
/// `n`, so that writing it twice is writing it once.
fn node(cluster: &Cluster, group: &Nodegroup, n: u32) -> Value {
    let region = &cluster.key.region;
    let id = digest_hex(&format!("{}/{}/{n}", group.uid, group.roll), 32);
    let instance = format!("i-{}", &id[..17]);
    let name = format!("{instance}.{region}.compute.internal");
    // One subnet, one zone; machines are spread over them in turn.
    let subnets = group.request.subnets.len().clamp(1, 3);
    let zone = ["a", "b", "c"][n as usize % subnets];
    let zone = format!("{region}{zone}");
    let Wear { labels, taints } = group.request.wear();
    let mut own = BTreeMap::new();
    for (key, value) in [
        (NODEGROUP_LABEL, &*group.request.nodegroup_name),
        ("eks.amazonaws.com/capacityType", group.request.capacity_type()),
        ("node.kubernetes.io/instance-type", &*group.request.instance_types()[0]),
        ("topology.kubernetes.io/region", region),
        ("topology.kubernetes.io/zone", &zone),
    ] {
        own.insert(key.to_owned(), value.to_owned());
    }
    own.extend(labels);
    let machine = Machine {
        id: &id,
        name: &name,
        provider_id: format!("aws:///{zone}/{instance}"),
        labels: own,
        taints,
        system: "linux",
        arch: if group.request.ami_type().contains("ARM_64") { "arm64" } else { "amd64" },
        kubelet: format!("v{}.1-eks-sim", group.version),
        ready_since: group.modified_at,
    };
    machine.node()
}
