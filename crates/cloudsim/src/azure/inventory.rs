//! AKS clusters as invariants see them.

use jiff::Timestamp;

use super::state::AksCluster;
use super::{tags, versions};
use crate::faults::Fault;
use crate::inventory::{SimCluster, SimNodegroup};

impl AksCluster {
    /// What it is after what is due at `now`; `None`: gone.
    pub(crate) fn seen_at(mut self, now: Timestamp, faults: &[Fault]) -> Option<SimCluster> {
        if self.advance(now, faults).gone.is_some() {
            return None;
        }
        let pools = self.pools.iter().map(|(name, pool)| {
            let count = pool.number("count");
            let scaled = pool.document["enableAutoScaling"] == true;
            let (min, max) = if scaled {
                (pool.number("minCount"), pool.number("maxCount"))
            } else {
                (count, count)
            };
            SimNodegroup {
                name: name.clone(),
                status: self.pool_state(name),
                version: versions::short(&pool.running),
                release: versions::image(&pool.document, pool.release),
                size: (min, count, max),
                machines: pool.machines,
                tags: tags::ours(&pool.document["tags"]),
            }
        });
        let addons = self.document["properties"]["addonProfiles"].as_object().into_iter().flatten();
        let addons = addons.map(|(name, addon)| {
            let state = if addon["enabled"] == true { "on" } else { "off" };
            (name.clone(), state.to_owned())
        });
        Some(SimCluster {
            cloud: "aks",
            nodegroups: pools.collect(),
            addons: addons.collect(),
            status: self.state(),
            version: versions::short(&self.running),
            name: self.external_name(),
            tags: tags::ours(&self.document["tags"]),
            created_at: self.created_at,
            region: self.location,
            access_entries: Vec::new(),
            pod_identities: Vec::new(),
            fargate_profiles: Vec::new(),
            maintenance_configurations: self.maintenance.into_keys().collect(),
            outside: self.outside.into_iter().collect(),
        })
    }
}
