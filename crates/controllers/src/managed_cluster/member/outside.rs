//! What a cluster made outside itself, and what would stay behind without it: load balancers, volumes, nodes. Reads only.

use std::collections::BTreeMap;

use fleetwright_plan::{ObjectRef, Outside};
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Service};
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::{Api, Client, Resource, ResourceExt};

use super::{all, every};

/// What would stay behind in the cloud without the cluster, sorted.
pub(super) async fn outside(client: &Client) -> Result<Vec<Outside>, kube::Error> {
    let params = ListParams::default();
    let services: Vec<Service> = every(Api::all(client.clone()), &params).await?;
    let ingresses: Vec<Ingress> = all(Api::all(client.clone()), &params).await?;
    let claims: Vec<PersistentVolumeClaim> = every(Api::all(client.clone()), &params).await?;
    let volumes: Vec<PersistentVolume> = every(Api::all(client.clone()), &params).await?;
    let mut found: Vec<Outside> = services.iter().filter_map(load_balancer).collect();
    found.extend(ingresses.iter().filter_map(ingress));
    let by_name: BTreeMap<String, &PersistentVolume> =
        volumes.iter().map(|volume| (volume.name_any(), volume)).collect();
    found.extend(claims.iter().filter_map(|claim| claimed(claim, &by_name)));
    found.extend(volumes.iter().filter_map(going_volume));
    for (kind, plural, words) in
        [("NodePool", "nodepools", "Karpenter NodePool"), ("NodeClaim", "nodeclaims", "Node")]
    {
        let resource = karpenter(kind, plural);
        let api = Api::<DynamicObject>::all_with(client.clone(), &resource);
        let listed = all(api, &params).await?;
        found.extend(listed.iter().filter_map(|object| karpenters(object, plural, words)));
    }
    found.sort();
    Ok(found)
}

fn seen<K: Resource<DynamicType = ()>>(object: &K, words: &str) -> Outside {
    let (namespace, name) = (object.namespace().unwrap_or_default(), object.name_any());
    let place = if namespace.is_empty() { name.clone() } else { format!("{namespace}/{name}") };
    Outside {
        what: format!("{words} {place}"),
        object: ObjectRef {
            group: K::group(&()).into_owned(),
            version: K::version(&()).into_owned(),
            plural: K::plural(&()).into_owned(),
            namespace,
            name,
        },
        going: object.meta().deletion_timestamp.is_some(),
    }
}

fn load_balancer(service: &Service) -> Option<Outside> {
    let type_ = service.spec.as_ref()?.type_.as_deref()?;
    (type_ == "LoadBalancer").then(|| seen(service, "LoadBalancer"))
}

/// An Ingress that some controller gave an address; others made nothing.
fn ingress(ingress: &Ingress) -> Option<Outside> {
    let addresses = ingress.status.as_ref()?.load_balancer.as_ref()?.ingress.as_ref()?;
    (!addresses.is_empty()).then(|| seen(ingress, "Ingress"))
}

/// A claim whose volume goes with it. One whose volume is to be retained is left alone, and so is one on a node's disk.
fn claimed(
    claim: &PersistentVolumeClaim,
    volumes: &BTreeMap<String, &PersistentVolume>,
) -> Option<Outside> {
    let phase = claim.status.as_ref()?.phase.as_deref()?;
    let named = claim.spec.as_ref().and_then(|spec| spec.volume_name.as_ref());
    let volume = named.and_then(|name| volumes.get(name));
    let goes = volume.is_none_or(|volume| goes_with_its_claim(volume));
    (phase == "Bound" && goes).then(|| seen(claim, "Volume"))
}

fn goes_with_its_claim(volume: &PersistentVolume) -> bool {
    volume.spec.as_ref().is_some_and(|spec| {
        spec.persistent_volume_reclaim_policy.as_deref() == Some("Delete")
            && spec.host_path.is_none()
            && spec.local.is_none()
    })
}

/// A volume whose claim is gone and whose disk is being removed.
fn going_volume(volume: &PersistentVolume) -> Option<Outside> {
    let released = volume.status.as_ref()?.phase.as_deref() == Some("Released");
    let found = Outside { going: true, ..seen(volume, "Volume") };
    (released && goes_with_its_claim(volume)).then_some(found)
}

fn karpenter(kind: &str, plural: &str) -> ApiResource {
    ApiResource {
        group: "karpenter.sh".to_owned(),
        version: "v1".to_owned(),
        api_version: "karpenter.sh/v1".to_owned(),
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// Groups of node classes whose nodes go with the cluster: EKS Auto Mode, and on AKS both node auto-provisioning and a
/// Karpenter of one's own, since Azure's makes its machines in the cluster's node resource group.
const NODES_OF_THE_CLOUD: [&str; 2] = ["eks.amazonaws.com", "karpenter.azure.com"];

/// Nodes that Karpenter made, and the pools from which it would make them again.
fn karpenters(object: &DynamicObject, plural: &str, words: &str) -> Option<Outside> {
    let classes = ["/spec/nodeClassRef/group", "/spec/template/spec/nodeClassRef/group"];
    let managed = classes.iter().any(|path| {
        let group = object.data.pointer(path).and_then(|group| group.as_str());
        group.is_some_and(|group| NODES_OF_THE_CLOUD.contains(&group))
    });
    let name = object.name_any();
    (!managed).then(|| Outside {
        what: format!("{words} {name}"),
        object: ObjectRef {
            group: "karpenter.sh".to_owned(),
            version: "v1".to_owned(),
            plural: plural.to_owned(),
            namespace: String::new(),
            name,
        },
        going: object.metadata.deletion_timestamp.is_some(),
    })
}

#[cfg(test)]
mod tests {
    use serde::de::DeserializeOwned;
    use serde_json::{Value, json};

    use super::*;

    fn read<K: DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn retained_volumes_and_disks_of_nodes_are_nothing_outside() {
        let volume = |policy: &str, source: Value| {
            let mut spec = json!({"persistentVolumeReclaimPolicy": policy});
            if let (Some(all), Value::Object(source)) = (spec.as_object_mut(), source) {
                all.extend(source);
            }
            read::<PersistentVolume>(
                json!({"metadata": {"name": "v"}, "spec": spec, "status": {"phase": "Bound"}}),
            )
        };
        let claim: PersistentVolumeClaim = read(json!({
            "metadata": {"namespace": "shop", "name": "data-db-0"},
            "spec": {"volumeName": "v"}, "status": {"phase": "Bound"},
        }));
        let found = |volume: &PersistentVolume| {
            claimed(&claim, &BTreeMap::from([("v".to_owned(), volume)])).map(|found| found.what)
        };
        let csi = json!({"csi": {"driver": "ebs.csi.aws.com", "volumeHandle": "vol-1"}});
        assert_eq!(found(&volume("Delete", csi.clone())).as_deref(), Some("Volume shop/data-db-0"));
        assert_eq!(found(&volume("Retain", csi)), None);
        assert_eq!(found(&volume("Delete", json!({"hostPath": {"path": "/x"}}))), None);
    }

    #[test]
    fn only_load_balancers_and_ingresses_with_an_address_count() {
        let service = |type_: &str| {
            read::<Service>(
                json!({"metadata": {"namespace": "shop", "name": "web"}, "spec": {"type": type_}}),
            )
        };
        assert_eq!(load_balancer(&service("ClusterIP")), None);
        let found = load_balancer(&service("LoadBalancer")).expect("outside");
        assert_eq!(found.what, "LoadBalancer shop/web");
        assert_eq!(
            (found.object.version.as_str(), found.object.plural.as_str()),
            ("v1", "services")
        );
        let with = |addresses: Value| {
            read::<Ingress>(json!({
                "metadata": {"namespace": "shop", "name": "web"},
                "status": {"loadBalancer": {"ingress": addresses}},
            }))
        };
        assert_eq!(ingress(&with(json!([]))), None);
        assert_eq!(
            ingress(&with(json!([{"hostname": "x"}]))).expect("outside").object.group,
            "networking.k8s.io"
        );
    }

    #[test]
    fn nodes_of_auto_mode_and_of_node_auto_provisioning_go_with_the_cluster() {
        let claim = |group: &str| {
            read::<DynamicObject>(json!({
                "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": "general-x2k4"},
                "spec": {"nodeClassRef": {"group": group, "kind": "NodeClass", "name": "default"}},
            }))
        };
        assert_eq!(karpenters(&claim("eks.amazonaws.com"), "nodeclaims", "Node"), None);
        assert_eq!(karpenters(&claim("karpenter.azure.com"), "nodeclaims", "Node"), None);
        let found = karpenters(&claim("karpenter.k8s.aws"), "nodeclaims", "Node").expect("outside");
        assert_eq!(found.what, "Node general-x2k4");
    }
}
