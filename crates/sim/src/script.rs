//! What the user does in one run: decided by the seed before anything starts, and what they may expect in the end.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use fleetwright_api_types::{CONFIRM_DELETE, ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_apiserver::ResourceRef;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::dice::Dice;
use crate::world::World;

/// The namespace of all clusters.
pub const NAMESPACE: &str = "payments";
/// The region of all clusters.
pub const REGION: &str = "eu-west-1";
const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");
const NETWORK_POLICIES: ResourceRef =
    ResourceRef::new("networking.k8s.io", "v1", "networkpolicies");

/// One deed of the user; the first text is the cluster's name.
#[derive(Debug, Clone)]
pub enum Action {
    /// Declare a cluster with these pools.
    Create(String, Vec<String>),
    /// Declare other pools.
    SetPools(String, Vec<String>),
    /// Confirm and delete, with the cloud.
    Delete(String),
    /// Delete the object, keep the cloud.
    Release(String),
    /// Remove our NetworkPolicies and labels from the member by hand.
    Vandalize(String),
    /// Make a namespace on the member.
    AddNamespace(String, String),
    /// Change the level of the policy.
    SetLevel(&'static str),
}

/// What the user expects in the end.
#[derive(Debug, Clone, Default)]
pub struct Expected {
    /// Clusters that shall be there, with their pools.
    pub live: BTreeMap<String, BTreeSet<String>>,
    /// Objects that were let go.
    pub released: BTreeSet<String>,
    /// Objects whose cloud was to be deleted.
    pub deleted: BTreeSet<String>,
    /// Pools that may go, as `cluster/pool`.
    pub removable_pools: BTreeSet<String>,
    /// The level of the policy.
    pub level: &'static str,
}

/// Deeds by the second at which they happen.
#[must_use]
pub fn write(dice: &Dice) -> Vec<(u64, Action)> {
    let mut actions = Vec::new();
    let count = 2 + dice.below(3);
    for index in 0..count {
        let name = format!("c{index}");
        let born = second(dice, 0, 20);
        actions.push((born, Action::Create(name.clone(), pools(dice))));
        let mut at = born;
        for _ in 0..dice.below(4) {
            at = second(dice, at + 5, 40);
            actions.push((at, deed(dice, &name)));
        }
        match dice.below(4) {
            0 => actions.push((second(dice, at + 1, 30), Action::Delete(name))),
            1 => actions.push((second(dice, at + 1, 30), Action::Release(name))),
            _ => {}
        }
    }
    let level = ["Baseline", "Restricted"][dice.below(2)];
    actions.push((second(dice, 30, 60), Action::SetLevel(level)));
    actions.sort_by_key(|(at, _)| *at);
    actions
}

fn deed(dice: &Dice, name: &str) -> Action {
    let name = name.to_owned();
    match dice.below(3) {
        0 => Action::SetPools(name, pools(dice)),
        1 => Action::Vandalize(name),
        _ => Action::AddNamespace(name, format!("team-{}", dice.below(5))),
    }
}

fn second(dice: &Dice, from: u64, within: usize) -> u64 {
    from + u64::try_from(dice.below(within)).unwrap_or_default()
}

fn pools(dice: &Dice) -> Vec<String> {
    (0..dice.below(4)).map(|index| format!("p{index}")).filter(|_| dice.hit(0.7)).collect()
}

fn cluster(name: &str, pools: &[String]) -> Value {
    json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"namespace": NAMESPACE, "name": name, "labels": {"tier": "prod"}},
        "spec": {
            "version": "1.34", "providerConfigRef": {"name": "aws"},
            "eks": {
                "region": REGION, "roleArn": "arn:aws:iam::111122223333:role/cp",
                "network": {"subnetIds": ["subnet-0a", "subnet-0b"]},
            },
            "nodePools": node_pools(pools),
        },
    })
}

fn node_pools(pools: &[String]) -> Vec<Value> {
    pools
        .iter()
        .map(|pool| {
            json!({
                "name": pool, "size": {"min": 1, "max": 3},
                "eks": {"roleArn": "arn:aws:iam::111122223333:role/nodes"},
            })
        })
        .collect()
}

/// What is there from the first second: a namespace, an account, a policy.
///
/// # Errors
/// When the hub refuses it.
pub async fn prepare(user: &Client, expected: &mut Expected) -> anyhow::Result<()> {
    fleetwright_controllers::hub::ensure_namespace(user, NAMESPACE).await?;
    let account: ProviderConfig = serde_json::from_value(json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
        "spec": {"allowedNamespaces": {"names": [NAMESPACE]}, "aws": {"identity": {"type": "Environment"}}},
    }))?;
    create(Api::all(user.clone()), &account).await?;
    let policy: ClusterPolicy = serde_json::from_value(json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "baseline"},
        "spec": {
            "clusterSelector": {"matchLabels": {"tier": "prod"}},
            "podSecurity": {"mode": "Enforce", "level": "Restricted"},
            "network": {"mode": "Enforce", "defaultDeny": ["Ingress", "Egress"]},
        },
    }))?;
    create(Api::all(user.clone()), &policy).await?;
    expected.level = "Restricted";
    Ok(())
}

async fn create<K>(api: Api<K>, object: &K) -> anyhow::Result<()>
where
    K: kube::Resource + Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    match api.create(&PostParams::default(), object).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(()),
        Err(error) => Err(error.into()),
    }
}

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
        Action::Create(name, pools) => {
            let object: ManagedCluster = serde_json::from_value(cluster(name, pools))?;
            create(clusters, &object).await?;
            expected.live.insert(name.clone(), pools.iter().cloned().collect());
        }
        Action::SetPools(name, pools) => {
            // The intent holds from the first try on: the server may have taken it though we saw an error.
            let old = expected.live.insert(name.clone(), pools.iter().cloned().collect());
            for gone in old.into_iter().flatten().filter(|pool| !pools.contains(pool)) {
                expected.removable_pools.insert(format!("{name}/{gone}"));
            }
            let patch = json!({"spec": {"nodePools": node_pools(pools)}});
            clusters.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await?;
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
        Action::Vandalize(name) => vandalize(world, name).await?,
        Action::AddNamespace(name, namespace) => {
            if let Some(member) = member(world, name).await {
                let object = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}});
                member.put(&NAMESPACES, object).await.map_err(|e| anyhow::anyhow!("{e:?}"))?;
            }
        }
    }
    Ok(())
}

/// The member of a cluster object, once it has one.
pub async fn member(world: &World, name: &str) -> Option<fleetwright_apiserver::LogicalCluster> {
    let object = format!("{NAMESPACE}/{name}");
    let inventory = world.cloud.inventory().await;
    let found = inventory
        .iter()
        .find(|cluster| cluster.tags.get(fleetwright_names::TAG_OBJECT) == Some(&object))?;
    world.cloud.member(REGION, &found.name)
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
