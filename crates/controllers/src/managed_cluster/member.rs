//! A look at a member: how far pools are emptied, and what the cluster made outside itself. Reads only.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use fleetwright_names::PoolName;
use fleetwright_plan::{Drain, MemberView, ObjectRef, Outside};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, PersistentVolume, PersistentVolumeClaim, Pod, Service};
use k8s_openapi::api::networking::v1::Ingress;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::{ApiResource, DynamicObject, ListParams};
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::members::{Member, Members};

/// A member that takes longer is not seen; the cluster's own reconcile must not wait for it.
const PATIENCE: Duration = Duration::from_secs(15);
/// So many nodes are asked for their pods at once.
const AT_ONCE: usize = 8;
/// Annotation on nodes: since when they are to be emptied.
pub(super) const DRAINING_SINCE: &str = "fleetwright.dev/draining-since";
/// Mark of a static pod's mirror, which only its kubelet can end.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What is looked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Pools that are to be emptied, by the label selector of their nodes.
    pub(super) selectors: BTreeMap<String, PoolName>,
    /// Whether to look for what the cluster made outside itself.
    pub(super) outside: bool,
}

/// Looks. What could not be seen is left out, and says so in the log only: whoever needs it waits for it.
pub(super) async fn look(members: &Members, member: &Member, wanted: &Wanted) -> MemberView {
    let looked = tokio::time::timeout(PATIENCE, async {
        let client = match members.client(member).await {
            Ok(client) => client,
            Err(error) => {
                tracing::debug!(member = %member.key, %error, "cannot look at the member");
                return MemberView::default();
            }
        };
        let mut view = MemberView::default();
        for (selector, pool) in &wanted.selectors {
            match drain(&client, selector).await {
                Ok(drain) => {
                    view.drains.insert(pool.clone(), drain);
                }
                Err(error) => {
                    tracing::debug!(member = %member.key, %pool, %error, "cannot see its pods");
                }
            }
        }
        if wanted.outside {
            match outside(&client).await {
                Ok(found) => view.outside = Some(found),
                Err(error) => {
                    tracing::debug!(member = %member.key, %error, "cannot see what is outside");
                }
            }
        }
        view
    });
    looked.await.unwrap_or_else(|_elapsed| {
        tracing::debug!(member = %member.key, "the member does not answer");
        members.disconnect(&member.key);
        MemberView::default()
    })
}

/// All objects of a kind; none where the member does not serve it.
async fn all<K>(api: Api<K>, params: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    match api.list(params).await {
        Ok(list) => Ok(list.items),
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The nodes of a pool.
pub(super) async fn nodes(client: &Client, selector: &str) -> Result<Vec<Node>, kube::Error> {
    all(Api::all(client.clone()), &ListParams::default().labels(selector)).await
}

/// The pods on these nodes that must leave, sorted by namespace and name.
pub(super) async fn pods_on(client: &Client, nodes: &[Node]) -> Result<Vec<Pod>, kube::Error> {
    let pods = |node: &Node| {
        let on_it = ListParams::default().fields(&format!("spec.nodeName={}", node.name_any()));
        let api: Api<Pod> = Api::all(client.clone());
        async move { all(api, &on_it).await }
    };
    let asked: Vec<_> = nodes.iter().map(pods).collect();
    let found: Vec<Vec<Pod>> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
    let mut pods: Vec<Pod> = found.into_iter().flatten().filter(must_leave).collect();
    pods.sort_by_key(|pod| (pod.namespace(), pod.name_any()));
    Ok(pods)
}

/// Not those that belong to their node (of a DaemonSet, static ones) and not those that have finished.
fn must_leave(pod: &Pod) -> bool {
    let of_daemon_set = pod.owner_references().iter().any(|owner| owner.kind == "DaemonSet");
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    let finished = matches!(phase, Some("Succeeded" | "Failed"));
    !of_daemon_set && !finished && !pod.annotations().contains_key(MIRROR)
}

async fn drain(client: &Client, selector: &str) -> Result<Drain, kube::Error> {
    let nodes = nodes(client, selector).await?;
    let pods = pods_on(client, &nodes).await?;
    let budgets = if pods.is_empty() {
        Vec::new()
    } else {
        all(Api::all(client.clone()), &ListParams::default()).await?
    };
    let cordoned =
        |node: &&Node| node.spec.as_ref().and_then(|spec| spec.unschedulable) == Some(true);
    let since = |node: &Node| node.annotations().get(DRAINING_SINCE)?.parse::<Timestamp>().ok();
    Ok(Drain {
        nodes: nodes.len(),
        cordoned: nodes.iter().filter(cordoned).count(),
        pods_left: pods.len(),
        blocked: blocked(&pods, &budgets),
        since: nodes.iter().filter_map(since).min(),
    })
}

/// What keeps some of these pods, in words, sorted: budgets without room, budgets that were not counted since they were
/// changed, and more than one budget for a pod, which the eviction of Kubernetes refuses.
fn blocked(pods: &[Pod], budgets: &[PodDisruptionBudget]) -> Vec<String> {
    let mut found: BTreeSet<String> =
        budgets.iter().filter_map(|budget| keeps(budget, pods)).collect();
    for pod in pods {
        if budgets.iter().filter(|budget| selects(budget, pod)).count() > 1 {
            let (namespace, name) = (pod.namespace().unwrap_or_default(), pod.name_any());
            found.insert(format!("more than one PodDisruptionBudget for pod {namespace}/{name}"));
        }
    }
    found.into_iter().collect()
}

fn selects(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    let declared = budget.spec.as_ref().and_then(|spec| spec.selector.clone());
    let selector = declared.and_then(|found| Selector::try_from(found).ok());
    pod.namespace() == budget.namespace()
        && selector.is_some_and(|selector| selector.matches(pod.labels()))
}

fn keeps(budget: &PodDisruptionBudget, pods: &[Pod]) -> Option<String> {
    let status = budget.status.as_ref();
    let counted =
        status.and_then(|status| status.observed_generation) >= budget.metadata.generation;
    let why = if !counted {
        "was not counted since it was changed"
    } else if status.map_or(0, |status| status.disruptions_allowed) <= 0 {
        "allows no disruption"
    } else {
        return None;
    };
    let (namespace, name) = (budget.namespace().unwrap_or_default(), budget.name_any());
    let kept = pods.iter().any(|pod| selects(budget, pod));
    kept.then(|| format!("PodDisruptionBudget {namespace}/{name} {why}"))
}

/// What would stay behind in the cloud without the cluster, sorted.
async fn outside(client: &Client) -> Result<Vec<Outside>, kube::Error> {
    let every = ListParams::default();
    let services: Vec<Service> = all(Api::all(client.clone()), &every).await?;
    let ingresses: Vec<Ingress> = all(Api::all(client.clone()), &every).await?;
    let claims: Vec<PersistentVolumeClaim> = all(Api::all(client.clone()), &every).await?;
    let volumes: Vec<PersistentVolume> = all(Api::all(client.clone()), &every).await?;
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
        let listed = all(api, &every).await?;
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

/// Nodes that Karpenter made, and the pools from which it would make them again. Those of EKS Auto Mode go with the cluster.
fn karpenters(object: &DynamicObject, plural: &str, words: &str) -> Option<Outside> {
    let classes = ["/spec/nodeClassRef/group", "/spec/template/spec/nodeClassRef/group"];
    let managed = classes.iter().any(|path| {
        object.data.pointer(path).and_then(|group| group.as_str()) == Some("eks.amazonaws.com")
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
    use serde_json::{Value, json};

    use super::*;

    fn read<K: DeserializeOwned>(value: Value) -> K {
        serde_json::from_value(value).expect("an object")
    }

    fn pod(extra: Value, phase: &str) -> Pod {
        let mut metadata = json!({"namespace": "shop", "name": "db-0", "labels": {"app": "db"}});
        if let (Some(all), Value::Object(extra)) = (metadata.as_object_mut(), extra) {
            all.extend(extra);
        }
        read(json!({"metadata": metadata, "status": {"phase": phase}}))
    }

    #[test]
    fn pods_of_their_node_and_finished_ones_need_not_leave() {
        assert!(must_leave(&pod(json!({}), "Running")));
        assert!(!must_leave(&pod(json!({}), "Succeeded")));
        assert!(!must_leave(&pod(json!({"annotations": {MIRROR: "x"}}), "Running")));
        let owner =
            json!({"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "cni", "uid": "1"});
        assert!(!must_leave(&pod(json!({"ownerReferences": [owner]}), "Running")));
    }

    #[test]
    fn only_a_budget_that_selects_a_pod_and_allows_nothing_blocks() {
        let budget = |name: &str, namespace: &str, label: &str, allowed: i32| {
            read::<PodDisruptionBudget>(json!({
                "metadata": {"namespace": namespace, "name": name},
                "spec": {"selector": {"matchLabels": {"app": label}}},
                "status": {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1},
            }))
        };
        let budgets = [
            budget("db", "shop", "db", 0),
            budget("roomy", "shop", "db", 1),
            budget("web", "shop", "web", 0),
            budget("elsewhere", "bank", "db", 0),
        ];
        assert_eq!(
            blocked(&[pod(json!({}), "Running")], &budgets),
            [
                "PodDisruptionBudget shop/db allows no disruption",
                "more than one PodDisruptionBudget for pod shop/db-0",
            ]
        );
        let mut edited = budget("edited", "shop", "db", 3);
        edited.metadata.generation = Some(2);
        assert_eq!(
            blocked(&[pod(json!({}), "Running")], &[edited]),
            ["PodDisruptionBudget shop/edited was not counted since it was changed"]
        );
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
    fn nodes_of_auto_mode_go_with_the_cluster() {
        let claim = |group: &str| {
            read::<DynamicObject>(json!({
                "apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": {"name": "general-x2k4"},
                "spec": {"nodeClassRef": {"group": group, "kind": "NodeClass", "name": "default"}},
            }))
        };
        assert_eq!(karpenters(&claim("eks.amazonaws.com"), "nodeclaims", "Node"), None);
        let found = karpenters(&claim("karpenter.k8s.aws"), "nodeclaims", "Node").expect("outside");
        assert_eq!(found.what, "Node general-x2k4");
    }
}
