//! What the cloud holds, for invariants.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::azure::AksKey;
use crate::state::{Cluster, ClusterKey};
use crate::{SettleError, Shared};

/// A cluster of a cloud, as the simulator's invariants see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimCluster {
    /// `eks`, `aks` or `k3s`.
    pub cloud: &'static str,
    /// For example `eu-central-1` or `westeurope`; empty for hosts.
    pub region: String,
    /// Its name, unique in its region; of an AKS cluster `<subscription>/<group>/<name>`; of a K3s cluster made up.
    pub name: String,
    /// As its cloud writes it: `CREATING`, `ACTIVE`, `UPDATING`, `DELETING`; or `Creating`, `Succeeded`, `Updating`,
    /// `Upgrading`, `Deleting`, `Failed`; `CLAIMED`: hosts that somebody claimed and that carry no cluster.
    pub status: String,
    /// Of its control plane, for example `1.34`; of a K3s cluster the oldest of its nodes' in full.
    pub version: String,
    /// Its tags; those of Fleetwright with a `/` in their names.
    pub tags: BTreeMap<String, String>,
    /// When its creation was asked for.
    pub created_at: Timestamp,
    /// Its node groups or agent pools, by name; of a K3s cluster its nodes.
    pub nodegroups: Vec<SimNodegroup>,
    /// Its add-ons with their versions; those of AKS have none but `on` and `off`.
    pub addons: BTreeMap<String, String>,
    /// The principals that have access entries, sorted.
    pub access_entries: Vec<String>,
    /// Its Pod Identity associations, as `namespace/service-account`, sorted.
    pub pod_identities: Vec<String>,
    /// The names of its Fargate profiles, sorted.
    pub fargate_profiles: Vec<String>,
    /// The names of its maintenance configurations, sorted.
    pub maintenance_configurations: Vec<String>,
    /// What it made in the cloud by itself, as far as anybody looked: `LoadBalancer ns/name`, `Volume ns/name`.
    pub outside: Vec<String>,
}

/// A node group or agent pool of a [`SimCluster`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimNodegroup {
    /// Its name, unique in its cluster.
    pub name: String,
    /// As its cloud writes it: `CREATING`, `ACTIVE`, `UPDATING`, `DEGRADED`, `DELETING`, `CREATE_FAILED`; or the words of
    /// the cluster.
    pub status: String,
    /// Of its kubelets, for example `1.34`.
    pub version: String,
    /// Of its machines' image: its name, or `nodeImageVersion`.
    pub release: String,
    /// Smallest, desired and largest number of machines; without an autoscaler all the same.
    pub size: (u32, u32, u32),
    /// How many machines there are.
    pub machines: u32,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

impl Shared {
    /// All clusters by cloud and name, after what is due.
    pub(crate) async fn inventory(&self) -> Result<Vec<SimCluster>, SettleError> {
        let now = self.clock.now();
        let faults = self.ledger.simulation().await?.faults;
        let mut seen = Vec::new();
        for mut cluster in self.ledger.all::<ClusterKey>().await? {
            if !cluster.advance(now, &faults).gone {
                seen.push(SimCluster::from(cluster));
            }
        }
        for cluster in self.ledger.all::<AksKey>().await? {
            seen.extend(cluster.seen_at(now, &faults));
        }
        seen.extend(self.site_clusters().await?);
        Ok(seen)
    }
}

impl From<Cluster> for SimCluster {
    fn from(cluster: Cluster) -> Self {
        let nodegroups = cluster.nodegroups.iter().map(|(name, group)| {
            let size = group.request.scaling();
            SimNodegroup {
                name: name.clone(),
                status: cluster.nodegroup_status(name).to_owned(),
                version: group.version.clone(),
                release: group.release.clone(),
                size: (size.min_size, size.desired_size, size.max_size),
                machines: group.machines,
                tags: group.tags.clone(),
            }
        });
        let mut pod_identities: Vec<String> = cluster
            .identities
            .values()
            .map(|one| format!("{}/{}", one.request.namespace, one.request.service_account))
            .collect();
        pod_identities.sort();
        Self {
            cloud: "eks",
            maintenance_configurations: Vec::new(),
            nodegroups: nodegroups.collect(),
            status: cluster.status().to_owned(),
            version: cluster.version,
            region: cluster.key.region,
            name: cluster.key.name,
            tags: cluster.tags,
            created_at: cluster.created_at,
            addons: cluster.addons.into_iter().map(|(name, one)| (name, one.version)).collect(),
            access_entries: cluster.entries.into_keys().collect(),
            pod_identities,
            fargate_profiles: cluster.fargate.into_keys().collect(),
            outside: cluster.outside.into_iter().collect(),
        }
    }
}
