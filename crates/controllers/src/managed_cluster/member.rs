//! A look at a member: how far pools are emptied, and what the cluster made outside itself (`member/outside.rs`). Reads only.

mod outside;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_names::PoolName;
use fleetwright_plan::{Drain, MemberView};
use fleetwright_reconcile::Failure;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use kube::api::ListParams;
use kube::core::{Selector, SelectorExt as _};
use kube::{Api, Client, ResourceExt};
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
            match outside::outside(&client).await {
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

/// A call to a member that failed. A list always exists: who answers 404 to it is no API server of a cluster, or not yet
/// one. Nobody wrote first, so looking again at once would go on for ever.
pub(super) fn failed(deed: &str, error: &kube::Error) -> Failure {
    let failure = Failure::kube(deed, error);
    let class = if failure.code == "NotFound" { Class::Transient } else { failure.class };
    Failure { class, ..failure }
}

/// All objects of a kind that every cluster serves: who does not is not believed that there are none.
async fn every<K>(api: Api<K>, params: &ListParams) -> Result<Vec<K>, kube::Error>
where
    K: Clone + DeserializeOwned + Debug,
{
    api.list(params).await.map(|list| list.items)
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
    every(Api::all(client.clone()), &ListParams::default().labels(selector)).await
}

/// The pods on these nodes that must leave, sorted by namespace and name.
pub(super) async fn pods_on(client: &Client, nodes: &[Node]) -> Result<Vec<Pod>, kube::Error> {
    let pods = |node: &Node| {
        let on_it = ListParams::default().fields(&format!("spec.nodeName={}", node.name_any()));
        let api: Api<Pod> = Api::all(client.clone());
        async move { every(api, &on_it).await }
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

    #[tokio::test]
    async fn who_serves_no_nodes_is_not_believed_to_have_none() {
        let nothing_here = |_: http::Request<kube::client::Body>| async {
            let body = kube::client::Body::from(b"404 page not found".to_vec());
            http::Response::builder().status(404).body(body)
        };
        let client = Client::new(tower::service_fn(nothing_here), "default");
        let error = drain(&client, "pool=web").await.expect_err("no empty pool");
        let failure = failed("look", &error);
        assert_eq!((failure.class, failure.code.as_str()), (Class::Transient, "NotFound"));
        assert!(outside::outside(&client).await.is_err(), "nor to have nothing outside itself");
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
}
