//! What must hold at every moment, and what must hold in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_api_types::{ClusterPolicy, ConditionStatus, ConditionType, ManagedCluster};
use fleetwright_apiserver::ResourceRef;
use fleetwright_cloudsim::{SimCluster, SimNodegroup, SimSite};
use fleetwright_names::{TAG_OBJECT, TAG_POOL, TAG_RELEASED, TAG_UID};
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::declared::{Cloud, Declared, ENTRIES, Eks};
use crate::play::{MANAGED_CLUSTERS, member};
use crate::script::{Expected, NAMESPACE};
use crate::world::{Hub, World};

/// The state of what is claimed and not yet there.
const CLAIMED: &str = "CLAIMED";
/// States of a pool that has nodes, as EKS and AKS write them.
const USABLE: [&str; 8] = [
    "ACTIVE",
    "UPDATING",
    "DEGRADED",
    "Succeeded",
    "Updating",
    "Upgrading",
    "Scaling",
    "UpgradingNodeImageVersion",
];

/// Watches the cloud from second to second.
#[derive(Debug, Default)]
pub struct Watchdog {
    /// Clusters and pools seen a second ago, with the object they belong to.
    before: BTreeMap<String, String>,
    /// Which object a cloud cluster was made for; a released one no longer says so.
    made_for: BTreeMap<String, String>,
}

impl Watchdog {
    /// Looks once. Gives what must not be.
    pub fn look(&mut self, inventory: &[SimCluster], expected: &Expected) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut by_object: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut now = BTreeMap::new();
        let mut usable = BTreeSet::new();
        for cluster in inventory {
            // Hosts that were claimed and carry nothing yet.
            if cluster.status == CLAIMED {
                continue;
            }
            if let Some(owner) = cluster.tags.get(TAG_OBJECT) {
                let object = owner.rsplit('/').next().unwrap_or_default();
                self.made_for.insert(cluster.name.clone(), object.to_owned());
                by_object.entry(owner).or_default().push(&cluster.name);
            }
            let object = self.made_for.get(&cluster.name).cloned().unwrap_or_default();
            now.insert(cluster.name.clone(), object.clone());
            for pool in &cluster.nodegroups {
                let who = format!("{object}/{}", stands_for(pool));
                if USABLE.contains(&pool.status.as_str()) {
                    usable.insert(who.clone());
                }
                // A host that is claimed and no node yet is told by its marker only: whoever lets it go takes that away.
                if cluster.cloud == "k3s" && pool.status == "CREATING" {
                    continue;
                }
                now.insert(format!("{}/{}", cluster.name, pool.name), who);
            }
        }
        for (object, names) in by_object.iter().filter(|(_, names)| names.len() > 1) {
            wrong.push(format!("{object} has {} cloud clusters: {names:?}", names.len()));
        }
        for (place, who) in self.before.iter().filter(|(place, _)| !now.contains_key(*place)) {
            let object = who.split('/').next().unwrap_or_default();
            // A pool may also go for a successor, once that one is usable.
            let meant = expected.deleted.contains(object)
                || expected.removable_pools.contains(who)
                || usable.contains(who);
            if !meant {
                wrong.push(format!("{place} of {who} vanished though nobody asked for it"));
            }
        }
        self.before = now;
        wrong
    }
}

impl Watchdog {
    /// Looks once at the K3s clusters of hosts: what we do takes one server at a time, and never the quorum.
    pub fn look_at_hosts(sites: &[SimSite], expected: &Expected, now: Duration) -> Vec<String> {
        let mut wrong = Vec::new();
        for site in sites {
            let object = site.founded_for.get(TAG_OBJECT).map(String::as_str).unwrap_or_default();
            let name = object.rsplit('/').next().unwrap_or_default();
            let troubled = expected.troubled.get(name).is_some_and(|until| now < *until);
            // Who is deleted loses its servers together.
            let leaves = expected.deleted.contains(name);
            if !troubled && !leaves {
                let quorum_lost = site.voters > 1 && site.voters_up <= site.voters / 2;
                if quorum_lost {
                    let (all, up) = (site.voters, site.voters_up);
                    wrong.push(format!("{object} lost its quorum: {up} of {all} voters are up"));
                }
                if site.servers_down.len() > 1 {
                    let servers = &site.servers_down;
                    wrong.push(format!("{object} has several servers down at once: {servers:?}"));
                }
            }
        }
        wrong
    }
}

/// The declared pool that a node group stands for.
fn stands_for(pool: &SimNodegroup) -> &str {
    pool.tags.get(TAG_POOL).map_or(pool.name.as_str(), String::as_str)
}

/// The conditions that must be true in the end.
const WANTED: [ConditionType; 3] =
    [ConditionType::Ready, ConditionType::Synced, ConditionType::PoliciesCompliant];

/// Whether all objects that should be there are, and nothing else, and say of themselves that all is well. Cheap, and
/// implied by an empty [`unsettled`].
pub async fn looks_settled(hub: &Hub, expected: &Expected) -> bool {
    let objects = hub.cluster.list(&MANAGED_CLUSTERS, Some(NAMESPACE)).await;
    let is_well = |object: &Value| {
        let status = &object["status"];
        let conditions = status["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
        let holds = |wanted: &ConditionType| {
            conditions.iter().any(|one| one["type"] == wanted.as_str() && one["status"] == "True")
        };
        status["observedGeneration"] == object["metadata"]["generation"] && WANTED.iter().all(holds)
    };
    objects.len() == expected.live.len() && objects.iter().all(|object| is_well(object))
}

/// What is not yet as it must be in the end; empty when the fleet has converged.
pub async fn unsettled(world: &World, user: &Client, expected: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    let objects = match Api::<ManagedCluster>::namespaced(user.clone(), NAMESPACE)
        .list(&ListParams::default())
        .await
    {
        Ok(list) => list.items,
        Err(error) => return vec![format!("cannot list clusters: {error}")],
    };
    let names: BTreeSet<String> = objects.iter().map(ResourceExt::name_any).collect();
    for name in expected.live.keys().filter(|name| !names.contains(*name)) {
        wrong.push(format!("object {name} is gone"));
    }
    for name in names.iter().filter(|name| !expected.live.contains_key(*name)) {
        wrong.push(format!("object {name} is still there"));
    }
    for object in objects.iter().filter(|object| expected.live.contains_key(&object.name_any())) {
        wrong.extend(conditions(object));
    }
    match Api::<ClusterPolicy>::all(user.clone()).get("baseline").await {
        Ok(policy) => {
            let all = expected.live.len();
            let told = policy.status.and_then(|status| status.compliant).unwrap_or_default();
            if told != format!("{all}/{all}") {
                wrong.push(format!("policy says {told:?}, expected {all}/{all}"));
            }
        }
        Err(error) => wrong.push(format!("cannot get the policy: {error}")),
    }
    let inventory = world.cloud.inventory().await;
    wrong.extend(cloud(&inventory, &objects, expected));
    let told = serde_json::to_string(&objects).unwrap_or_default();
    if world.hosts.tells(&told) {
        wrong.push("an object on the hub tells a secret of hosts".to_owned());
    }
    for name in expected.live.keys() {
        wrong.extend(on_member(world, name, expected).await);
    }
    wrong
}

fn conditions(object: &ManagedCluster) -> Vec<String> {
    let name = object.name_any();
    let Some(status) = &object.status else {
        return vec![format!("{name} has no status")];
    };
    let mut wrong = Vec::new();
    if status.observed_generation != object.metadata.generation {
        wrong.push(format!("{name}: status is about an old generation"));
    }
    for type_ in WANTED {
        let found = status.conditions.iter().find(|condition| condition.type_ == type_);
        if found.is_none_or(|condition| condition.status != ConditionStatus::True) {
            wrong.push(format!(
                "{name}: {} is {:?}",
                type_.as_str(),
                found.map(|c| (&c.reason, &c.message))
            ));
        }
    }
    wrong
}

fn cloud(inventory: &[SimCluster], objects: &[ManagedCluster], expected: &Expected) -> Vec<String> {
    let mut wrong = Vec::new();
    for cluster in inventory {
        let uid = cluster.tags.get(TAG_UID);
        let owner = objects.iter().find(|object| uid.is_some() && object.uid().as_ref() == uid);
        match owner {
            Some(owner) => {
                let name = owner.name_any();
                if let Some(declared) = expected.live.get(&name) {
                    wrong.extend(as_declared(&name, cluster, declared));
                }
            }
            None if cluster.tags.contains_key(TAG_RELEASED) && uid.is_none() => {
                let held = cluster.nodegroups.iter().filter(|pool| pool.tags.contains_key(TAG_UID));
                wrong.extend(held.map(|pool| {
                    format!("{} was released, but its pool {} was not", cluster.name, pool.name)
                }));
            }
            None => wrong.push(format!("{} has no owner: {:?}", cluster.name, cluster.tags)),
        }
    }
    for object in objects.iter().filter(|object| expected.live.contains_key(&object.name_any())) {
        let count = inventory
            .iter()
            .filter(|cluster| cluster.tags.get(TAG_UID) == object.uid().as_ref())
            .count();
        if count != 1 {
            wrong.push(format!("{} has {count} cloud clusters", object.name_any()));
        }
    }
    wrong
}

/// Whether the cloud has exactly what is declared, as the cloud's own records say.
fn as_declared(name: &str, cluster: &SimCluster, declared: &Declared) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut pools: Vec<&str> = cluster.nodegroups.iter().map(stands_for).collect();
    pools.sort_unstable();
    let rests = |status: &str| ["ACTIVE", "Succeeded"].contains(&status);
    let active =
        rests(&cluster.status) && cluster.nodegroups.iter().all(|pool| rests(&pool.status));
    let owners = declared.node_owners();
    if !owners.iter().map(String::as_str).eq(pools.iter().copied()) || !active {
        wrong.push(format!("{name}: cloud has {} with pools {pools:?}", cluster.status));
    }
    if cluster.version != declared.version() {
        wrong.push(format!("{name}: runs {}, declared {}", cluster.version, declared.version()));
    }
    for group in &cluster.nodegroups {
        if group.version != declared.version() {
            wrong.push(format!("{name}: pool {} runs {}", group.name, group.version));
        }
        let Some(pool) = declared.pools.get(stands_for(group)) else { continue };
        if group.size.0 != 1 || group.size.2 != u32::from(pool.max) {
            wrong.push(format!("{name}: pool {} has size {:?}", group.name, group.size));
        }
    }
    match &declared.cloud {
        Cloud::Eks(eks) => wrong.extend(on_eks(name, cluster, eks)),
        Cloud::Aks(aks) if cluster.maintenance_configurations != aks.maintenance => {
            let found = &cluster.maintenance_configurations;
            wrong.push(format!("{name}: maintenance configurations are {found:?}"));
        }
        Cloud::Aks(_) => {}
        // Hosts bear no tags.
        Cloud::K3s(_) => return wrong,
    }
    if cluster.tags.get("team").map(String::as_str) != Some(declared.team) {
        wrong.push(format!("{name}: tag team is {:?}", cluster.tags.get("team")));
    }
    wrong
}

fn on_eks(name: &str, cluster: &SimCluster, declared: &Eks) -> Vec<String> {
    let mut wrong = Vec::new();
    let add_on = cluster.addons.contains_key("vpc-cni");
    if add_on != declared.add_on.is_some() {
        wrong.push(format!("{name}: add-on vpc-cni is {}there", if add_on { "" } else { "not " }));
    }
    for arn in ENTRIES {
        let there = cluster.access_entries.iter().any(|entry| entry == arn);
        if there != declared.entries.contains(&arn) {
            wrong.push(format!(
                "{name}: access entry {arn} is {}there",
                if there { "" } else { "not " }
            ));
        }
    }
    wrong
}

async fn on_member(world: &World, name: &str, expected: &Expected) -> Vec<String> {
    let Some(member) = member(world, name).await else {
        return vec![format!("{name} has no member")];
    };
    let mut wrong = Vec::new();
    let policies =
        member.list(&ResourceRef::new("networking.k8s.io", "v1", "networkpolicies"), None).await;
    for namespace in member.list(&ResourceRef::new("", "v1", "namespaces"), None).await {
        let text = |path: &str| namespace.pointer(path).and_then(Value::as_str).unwrap_or_default();
        let space = text("/metadata/name");
        if space.starts_with("kube-") {
            continue;
        }
        let level = text("/metadata/labels/pod-security.kubernetes.io~1enforce");
        if level != expected.level.to_lowercase() {
            wrong.push(format!(
                "{name}: namespace {space} has level {level:?}, expected {}",
                expected.level
            ));
        }
        let count = policies
            .iter()
            .filter(|policy| {
                policy.pointer("/metadata/namespace").and_then(Value::as_str) == Some(space)
            })
            .count();
        if count != 2 {
            wrong
                .push(format!("{name}: namespace {space} has {count} networkpolicies, expected 2"));
        }
    }
    wrong
}
