//! `fleetwright forget`: lets an object go whose deletion cannot end, and writes down what stays behind.

use fleetwright_api_types::ManagedCluster;
use fleetwright_controllers::history::{Line, append};
use fleetwright_names::{ObjectKey, TAG_OBJECT};
use fleetwright_reconcile::Failure;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, ResourceExt};
use serde::Serialize;
use serde_json::json;

/// Finalizers with this prefix are ours; those of others stay.
const OURS: &str = "fleetwright.dev/";

/// What was let go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Forgotten {
    /// `namespace/name`.
    pub cluster: String,
    /// What may stay behind in the cloud, as far as the object knew.
    pub stays_behind: Vec<String>,
    /// Our finalizers that were taken away.
    pub finalizers: Vec<String>,
    /// Those of others, which still hold the object.
    pub held_by_others: Vec<String>,
}

/// Why nothing was forgotten.
#[derive(Debug, thiserror::Error)]
pub enum ForgetError {
    /// There is no such object.
    #[error("there is no managedclusters.fleetwright.dev {0}")]
    NotFound(ObjectKey),
    /// It is not being deleted, so it is not stuck either.
    #[error(
        "{0} is not being deleted, so there is nothing to let go: kubectl delete managedclusters.fleetwright.dev -n {ns} {name} --wait=false, and forget it only if that never ends",
        ns = .0.namespace, name = .0.name
    )]
    NotLeaving(ObjectKey),
    /// None of our finalizers holds it.
    #[error("no finalizer of ours holds {key}; what does: {others}")]
    NotHeld {
        /// The object.
        key: ObjectKey,
        /// The finalizers of others.
        others: String,
    },
    /// The history could not be written, so the finalizers stay.
    #[error("{0}; nothing was let go")]
    History(Failure),
    /// The hub refused.
    #[error("cannot {deed} managedclusters.fleetwright.dev {key}")]
    Hub {
        /// What was tried.
        deed: &'static str,
        /// On which object.
        key: ObjectKey,
        /// Why not.
        #[source]
        source: Box<kube::Error>,
    },
}

/// Writes down what stays behind, then takes our finalizers away. `by` is who asks, `reason` why.
///
/// # Errors
/// When the object is not on its way out, or the hub refuses; then our finalizers are still there.
pub async fn forget(
    client: &Client,
    key: &ObjectKey,
    (by, reason): (&str, &str),
    now: Timestamp,
) -> Result<Forgotten, ForgetError> {
    let api: Api<ManagedCluster> = Api::namespaced(client.clone(), &key.namespace);
    let hub = |deed| {
        let key = key.clone();
        move |error| ForgetError::Hub { deed, key, source: Box::new(error) }
    };
    let found = api.get_opt(&key.name).await.map_err(hub("read"))?;
    let cluster = found.ok_or_else(|| ForgetError::NotFound(key.clone()))?;
    if cluster.metadata.deletion_timestamp.is_none() {
        return Err(ForgetError::NotLeaving(key.clone()));
    }
    let is_ours = |finalizer: &&String| finalizer.starts_with(OURS);
    let (ours, others): (Vec<&String>, Vec<&String>) =
        cluster.finalizers().iter().partition(is_ours);
    let owned = |names: &[&String]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    if ours.is_empty() {
        let others = owned(&others).join(", ");
        return Err(ForgetError::NotHeld { key: key.clone(), others });
    }
    let stays_behind = stays_behind(key, &cluster);
    let line = Line {
        at: now,
        actor: by.to_owned(),
        object: key.to_string(),
        generation: cluster.metadata.generation.unwrap_or_default(),
        operation: "forget".to_owned(),
        resource: owned(&ours).join(", "),
        plan: String::new(),
        request_id: None,
        result: format!("forgotten: {reason}; stays behind: {}", stays_behind.join(", ")),
    };
    let uid = cluster.uid().unwrap_or_default();
    append(client, key, &uid, &[line]).await.map_err(ForgetError::History)?;
    let patch = json!({"metadata": {
        "finalizers": others,
        // What somebody else changed meanwhile was not looked at.
        "resourceVersion": cluster.resource_version(),
    }});
    let patched = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.map_err(hub("take the finalizers off"))?;
    Ok(Forgotten {
        cluster: key.to_string(),
        stays_behind,
        finalizers: owned(&ours),
        held_by_others: owned(&others),
    })
}

/// What may be left in the cloud, as far as the object tells. Our finalizer was put on before the first write, so without
/// an address in the status there may still be something.
fn stays_behind(key: &ObjectKey, cluster: &ManagedCluster) -> Vec<String> {
    let status = cluster.status.clone().unwrap_or_default();
    let observed = status.observed.unwrap_or_default();
    let provider = status.provider.or_else(|| cluster.spec.provider().map(str::to_owned));
    let declared = declared_place(cluster);
    let mut left = Vec::new();
    match (observed.external_name, observed.region.or_else(|| declared.region.clone())) {
        // Hosts are listed one by one.
        _ if !status.hosts.is_empty() => {}
        (Some(name), Some(region)) => {
            let id = observed.external_id.map(|id| format!(" ({id})")).unwrap_or_default();
            left.push(format!("{}:{region}/{name}{id}", provider.unwrap_or_default()));
        }
        (_, region) => {
            let place = declared.inside.or(region);
            let place = place.unwrap_or_else(|| "every region of its account".to_owned());
            let tag = declared.tag;
            left.push(format!(
                "perhaps what was made for {key}: the status names no address; look in {place} for resources tagged {tag}={key}"
            ));
        }
    }
    left.extend(
        status.pools.iter().map(|pool| format!("pool {} ({} nodes)", pool.name, pool.size)),
    );
    left.extend(status.hosts.iter().filter(|host| host.phase != "Noted").map(|host| {
        format!(
            "K3s and the marker /etc/fleetwright/owner on {} {} ({})",
            host.role, host.name, host.host
        )
    }));
    left.extend(status.leftovers);
    let registered = status.registration.filter(|at| !at.name.is_empty());
    let registered = registered.map(|at| (at.namespace, at.name));
    left.extend(registered.map(|(namespace, name)| {
        format!("Secret {namespace}/{name}, by which Argo CD knows the cluster")
    }));
    left
}

/// Where a declaration says that its cluster shall be.
struct Declared {
    region: Option<String>,
    /// Something smaller than a region that holds it.
    inside: Option<String>,
    /// Our tag with the object's name, as the cloud spells it.
    tag: String,
}

fn declared_place(cluster: &ManagedCluster) -> Declared {
    let spec = &cluster.spec;
    if let Some(aks) = &spec.aks {
        let group = &aks.resource_group;
        return Declared {
            region: Some(aks.location.clone()),
            inside: Some(format!("resource group {group} of subscription {}", aks.subscription_id)),
            // Azure takes no slash in the name of a tag.
            tag: TAG_OBJECT.replace('/', "_"),
        };
    }
    if let Some(k3s) = &spec.k3s {
        let hosts = k3s.servers.iter().chain(&k3s.agents).map(|host| host.host.as_str());
        let inside = format!("/etc/fleetwright/owner of {}", hosts.collect::<Vec<_>>().join(", "));
        return Declared { region: None, inside: Some(inside), tag: "object".to_owned() };
    }
    let region = spec.eks.as_ref().map(|eks| eks.region.clone());
    Declared { region, inside: None, tag: TAG_OBJECT.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stays_behind_is_told_from_the_status() {
        let key = ObjectKey::namespaced("shop", "one");
        let cluster = |status: serde_json::Value| -> ManagedCluster {
            serde_json::from_value(json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
                "metadata": {"name": "one", "namespace": "shop"},
                "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"},
                    "eks": {"region": "eu-central-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                        "network": {"subnetIds": ["subnet-a", "subnet-b"]}}}, "status": status}))
            .expect("a cluster")
        };
        let full = json!({"provider": "eks", "leftovers": ["LoadBalancer shop/web"],
            "registration": {"namespace": "argocd", "name": "cluster-shop-one-1a"},
            "observed": {"externalId": "arn:x", "externalName": "shop-one", "region": "eu-west-1"},
            "pools": [{"name": "general", "phase": "Active", "size": 3}]});
        assert_eq!(
            stays_behind(&key, &cluster(full)),
            [
                "eks:eu-west-1/shop-one (arn:x)",
                "pool general (3 nodes)",
                "LoadBalancer shop/web",
                "Secret argocd/cluster-shop-one-1a, by which Argo CD knows the cluster",
            ]
        );
        let unseen = [
            "perhaps what was made for shop/one: the status names no address; look in eu-central-1 for resources tagged fleetwright.dev/object=shop/one",
        ];
        assert_eq!(stays_behind(&key, &cluster(json!({}))), unseen);
        // The region alone is no address.
        let unnamed = json!({"observed": {"region": "eu-central-1"}});
        assert_eq!(stays_behind(&key, &cluster(unnamed)), unseen);
    }

    #[test]
    fn of_hosts_each_is_told_where_something_may_be() {
        let key = ObjectKey::namespaced("edge", "one");
        let cluster = |status: serde_json::Value| -> ManagedCluster {
            serde_json::from_value(json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
                "metadata": {"name": "one", "namespace": "edge"},
                "spec": {"version": "v1.34.2+k3s1", "providerConfigRef": {"name": "edge"},
                    "k3s": {"servers": [{"name": "s1", "host": "10.0.0.11"}]}}, "status": status}))
            .expect("a cluster")
        };
        let full = json!({"provider": "k3s", "observed": {"externalName": "edge-one"}, "hosts": [
            {"name": "s1", "role": "server", "host": "10.0.0.11", "phase": "Unknown"},
            {"name": "s2", "role": "server", "host": "10.0.0.12", "phase": "Noted"}]});
        assert_eq!(
            stays_behind(&key, &cluster(full)),
            ["K3s and the marker /etc/fleetwright/owner on server s1 (10.0.0.11)"]
        );
        assert_eq!(
            stays_behind(&key, &cluster(json!({}))),
            [
                "perhaps what was made for edge/one: the status names no address; look in /etc/fleetwright/owner of 10.0.0.11 \
                for resources tagged object=edge/one"
            ]
        );
    }

    #[test]
    fn on_azure_one_looks_in_the_resource_group_for_tags_in_azures_spelling() {
        let key = ObjectKey::namespaced("retail", "one");
        let cluster = |status: serde_json::Value| -> ManagedCluster {
            serde_json::from_value(json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
                "metadata": {"name": "one", "namespace": "retail"},
                "spec": {"version": "1.34", "providerConfigRef": {"name": "azure"},
                    "aks": {"subscriptionId": "0a", "resourceGroup": "rg", "location": "westeurope"}}, "status": status}))
            .expect("a cluster")
        };
        assert_eq!(
            stays_behind(&key, &cluster(json!({}))),
            [
                "perhaps what was made for retail/one: the status names no address; look in resource group rg of subscription 0a for resources tagged fleetwright.dev_object=retail/one"
            ]
        );
        let seen = json!({"observed": {"externalName": "0a/rg/one", "region": "westeurope"}});
        assert_eq!(stays_behind(&key, &cluster(seen)), ["aks:westeurope/0a/rg/one"]);
    }
}
