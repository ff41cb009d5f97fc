//! Doing what the script says.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use fleetwright_api_types::{
    ANNOTATION_TAKE_OVER, CONFIRM_DELETE, ClusterPolicy, ManagedCluster, SAFETY_CONFIG_MAP,
    SYSTEM_NAMESPACE,
};
use fleetwright_apiserver::{LogicalCluster, ResourceRef};
use fleetwright_cloudsim::{Fault, SimCluster};
use fleetwright_controllers::safety;
use fleetwright_names::{TAG_OBJECT, TAG_UID};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::declared::Declared;
use crate::script::{Action, Expected, NAMESPACE, create, prepare};
use crate::world::{Hub, World};

const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");
/// How long what happened to one of its hosts may show in a cluster: until it was noticed and mended.
const TROUBLED: Duration = Duration::from_secs(240);
/// Our own kind, as the hub stores it.
pub(crate) const MANAGED_CLUSTERS: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "managedclusters");
const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");
const NETWORK_POLICIES: ResourceRef =
    ResourceRef::new("networking.k8s.io", "v1", "networkpolicies");

/// Does one deed. May be called again after a crash half way: every deed is idempotent.
///
/// # Errors
/// When the hub did not take it; the caller tries again.
pub async fn play(
    world: &World,
    user: &Client,
    action: &Action,
    expected: &mut Expected,
) -> anyhow::Result<()> {
    let clusters: Api<ManagedCluster> = Api::namespaced(user.clone(), NAMESPACE);
    match action {
        Action::Create(name, declared) => {
            let object: ManagedCluster = serde_json::from_value(declared.manifest(name))?;
            create(clusters, &object).await?;
            expected.live.insert(name.clone(), declared.clone());
        }
        Action::Edit(name, declared) => {
            // The intent holds from the first try on: the server may have taken it though we saw an error.
            let old = expected.live.insert(name.clone(), declared.clone());
            let (before, now) =
                (old.map(|old| old.node_owners()).unwrap_or_default(), declared.node_owners());
            for gone in before.iter().filter(|owner| !now.contains(owner)) {
                expected.removable_pools.insert(format!("{name}/{gone}"));
            }
            let patch = json!({"spec": declared.spec()});
            clusters.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        }
        Action::Delete(name) | Action::Release(name)
            if !took_over(world, &clusters, name).await? =>
        {
            anyhow::bail!("what an earlier object made is not taken over yet");
        }
        Action::Delete(name) => {
            expected.deleted.insert(name.clone());
            expected.live.remove(name);
            if let Some(found) = clusters.get_opt(name).await? {
                let confirm = json!({
                    "metadata": {"annotations": {CONFIRM_DELETE: found.uid()}},
                    "spec": {"deletionPolicy": "Delete"},
                });
                clusters.patch(name, &PatchParams::default(), &Patch::Merge(&confirm)).await?;
                clusters.delete(name, &DeleteParams::default()).await?;
            }
        }
        Action::Release(name) => {
            expected.released.insert(name.clone());
            expected.live.remove(name);
            if clusters.get_opt(name).await?.is_some() {
                clusters.delete(name, &DeleteParams::default()).await?;
            }
        }
        Action::SetLevel(level) => {
            let policies: Api<ClusterPolicy> = Api::all(user.clone());
            let patch = json!({"spec": {"podSecurity": {"level": level}}});
            policies.patch("baseline", &PatchParams::default(), &Patch::Merge(&patch)).await?;
            expected.level = level;
        }
        Action::Drift(name, path, value) => {
            if let Some(found) = cloud_cluster(world, name).await {
                // A cluster in the making refuses, as its cloud would; then there was no drift.
                let drifted = world.cloud.drift(&found.region, &found.name, path, value.clone());
                drop(drifted.await);
            }
        }
        Action::OnHost(name, host, path, value) => {
            let until = world.clock.elapsed() + TROUBLED;
            expected.troubled.insert(name.clone(), until);
            // A host that holds nothing yet has nothing to lose.
            drop(world.cloud.drift("hosts", host, path, value.clone()).await);
        }
        Action::Misbehave(kind) => {
            let fault =
                Fault { kind: *kind, cluster: None, pool: None, operation: None, times: Some(1) };
            world.cloud.add_fault(fault).await?;
        }
        // `run.rs` does these: they are about the hub itself.
        Action::SecondLeader | Action::OneLeader | Action::LoseTheHub => {}
        Action::Vandalize(name) => vandalize(world, name).await?,
        Action::AddNamespace(name, namespace) => add_namespace(world, name, namespace).await?,
    }
    Ok(())
}

async fn add_namespace(world: &World, name: &str, namespace: &str) -> anyhow::Result<()> {
    let Some(member) = member(world, name).await else { return Ok(()) };
    let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
    member.put(&NAMESPACES, object).await.map(drop).map_err(|error| anyhow::anyhow!("{error:?}"))
}

/// The cloud cluster that bears the name of an object.
async fn cloud_cluster(world: &World, name: &str) -> Option<SimCluster> {
    of_object(&world.cloud.inventory().await, name).cloned()
}

fn of_object<'a>(inventory: &'a [SimCluster], name: &str) -> Option<&'a SimCluster> {
    let object = format!("{NAMESPACE}/{name}");
    inventory.iter().find(|cluster| cluster.tags.get(TAG_OBJECT) == Some(&object))
}

/// The member of a cluster object, once it has one.
pub async fn member(world: &World, name: &str) -> Option<LogicalCluster> {
    let found = cloud_cluster(world, name).await?;
    world.cloud.member(&found.region, &found.name)
}

/// Whether the cloud cluster of an object, if there is one, is this very object's. A person who restored a hub deletes
/// nothing before; an object without any claim could not know what it leaves behind.
async fn took_over(
    world: &World,
    clusters: &Api<ManagedCluster>,
    name: &str,
) -> anyhow::Result<bool> {
    let Some(found) = cloud_cluster(world, name).await else { return Ok(true) };
    let Some(object) = clusters.get_opt(name).await? else { return Ok(true) };
    let ours = |tags: &BTreeMap<String, String>| tags.get(TAG_UID) == object.uid().as_ref();
    let pools = found.nodegroups.iter().map(|pool| &pool.tags);
    Ok(std::iter::once(&found.tags).chain(pools).all(ours))
}

/// What a person does when a message asks for it: after a hub was lost, say that the new objects take over what the old
/// ones made; after too many deletes, let them go on. `inventory` is what the cloud holds now.
///
/// # Errors
/// When the hub did not take it; the caller tries again.
pub async fn answer_requests(
    inventory: &[SimCluster],
    hub: &Hub,
    expected: &Expected,
) -> anyhow::Result<()> {
    let user = &hub.user.0;
    let brakes = hub.cluster.get(&CONFIG_MAPS, Some(SYSTEM_NAMESPACE), SAFETY_CONFIG_MAP).await;
    if brakes.is_some_and(|map| map["data"].is_object()) {
        let safety = safety::state(user).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        if safety.tripped.is_some() {
            safety::thaw(user).await.map_err(|failure| anyhow::anyhow!("{failure}"))?;
        }
    }
    for name in expected.live.keys() {
        let Some(found) = of_object(inventory, name) else { continue };
        let Some(object) = hub.cluster.get(&MANAGED_CLUSTERS, Some(NAMESPACE), name).await else {
            continue;
        };
        let old = found.tags.get(TAG_UID).map_or("", String::as_str);
        let metadata = &object["metadata"];
        if metadata["uid"] != old && metadata["annotations"][ANNOTATION_TAKE_OVER] != old {
            let clusters: Api<ManagedCluster> = Api::namespaced(user.clone(), NAMESPACE);
            let patch = json!({"metadata": {"annotations": {ANNOTATION_TAKE_OVER: old}}});
            clusters.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
        }
    }
    Ok(())
}

/// Whether any object or host is on its way out: then Git and hub do not agree, and a lost hub would leave what nobody can know
/// of. Where a host is that is no longer declared, only the hub's note tells.
pub async fn is_leaving(user: &Client, expected: &Expected) -> bool {
    let clusters: Api<ManagedCluster> = Api::namespaced(user.clone(), NAMESPACE);
    let leaves = |object: &ManagedCluster| {
        let declared = expected.live.get(&object.name_any()).map(Declared::node_owners);
        let hosts = object.status.iter().flat_map(|status| &status.hosts);
        object.metadata.deletion_timestamp.is_some()
            || declared
                .is_some_and(|declared| hosts.clone().any(|host| !declared.contains(&host.name)))
    };
    match clusters.list(&ListParams::default()).await {
        Ok(list) => list.iter().any(leaves),
        Err(_unreadable) => true,
    }
}

/// Applies all that Git holds to a new hub.
///
/// # Errors
/// When the hub refuses it.
pub async fn from_git(user: &Client, expected: &Expected) -> anyhow::Result<()> {
    prepare(user, expected.level).await?;
    for (name, declared) in &expected.live {
        let object: ManagedCluster = serde_json::from_value(declared.manifest(name))?;
        create(Api::namespaced(user.clone(), NAMESPACE), &object).await?;
    }
    Ok(())
}

async fn vandalize(world: &World, name: &str) -> anyhow::Result<()> {
    let Some(member) = member(world, name).await else {
        return Ok(());
    };
    for policy in member.list(&NETWORK_POLICIES, None).await {
        let text = |path: &str| {
            policy.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        member
            .delete(&NETWORK_POLICIES, Some(&namespace), &name)
            .await
            .map_err(|error| anyhow::anyhow!("{error:?}"))?;
    }
    let default = member.get(&NAMESPACES, None, "default").await.context("namespace default")?;
    let mut default = Value::clone(&default);
    if let Some(labels) = default.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.retain(|key, _| !key.starts_with("pod-security"));
    }
    member.put(&NAMESPACES, default).await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    Ok(())
}
