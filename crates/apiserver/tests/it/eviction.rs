//! Evictions, by kube-rs and as single requests.

use bytes::Bytes;
use fleetwright_apiserver::{LogicalCluster, ResourceRef};
use http_body_util::Full;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{EvictParams, PostParams};
use serde_json::{Value, json};

use crate::raw::{read, request, send};
use crate::support::{client, in_memory};

const PODS: ResourceRef = ResourceRef::new("", "v1", "pods");
const BUDGETS: ResourceRef = ResourceRef::new("policy", "v1", "poddisruptionbudgets");

async fn run_pod(cluster: &LogicalCluster, name: &str) {
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "labels": {"app": "db"}},
        "spec": {"containers": [{"name": "db", "image": "db"}]},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}});
    cluster.put(&PODS, pod).await.expect("a pod");
}

async fn allow(cluster: &LogicalCluster, disruptions: i64) {
    let budget = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
        "metadata": {"name": "db", "namespace": "default"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "db"}}},
        "status": {"observedGeneration": 1, "disruptionsAllowed": disruptions,
            "currentHealthy": 2, "desiredHealthy": 1, "expectedPods": 2}});
    cluster.put(&BUDGETS, budget).await.expect("a budget");
}

async fn evict_raw(cluster: &LogicalCluster, pod: &str, body: &Value) -> (u16, Value) {
    let uri = format!("/api/v1/namespaces/default/pods/{pod}/eviction");
    let body = Full::new(Bytes::from(body.to_string()));
    let sent = request("POST", &uri).header("Content-Type", "application/json").body(body);
    let (status, answer) = read(send(cluster, sent.expect("a request")).await).await;
    (status.as_u16(), answer)
}

fn eviction(pod: &str) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod}})
}

#[tokio::test]
async fn kube_evicts_until_the_budget_is_spent() {
    let (_server, cluster) = in_memory().await;
    for name in ["db-0", "db-1"] {
        run_pod(&cluster, name).await;
    }
    allow(&cluster, 1).await;
    let pods: Api<Pod> = Api::namespaced(client(&cluster), "default");
    pods.evict("db-0", &EvictParams::default()).await.expect("evicted");
    assert!(cluster.get(&PODS, Some("default"), "db-0").await.is_none());
    let budget = cluster.get(&BUDGETS, Some("default"), "db").await.expect("there");
    assert_eq!(budget["status"]["disruptionsAllowed"], 0);

    let refused = pods.evict("db-1", &EvictParams::default()).await.expect_err("no room left");
    let kube::Error::Api(status) = refused else { panic!("not an answer: {refused}") };
    assert_eq!((status.code, status.reason.as_str()), (429, "TooManyRequests"));
    let details = status.details.expect("details");
    assert_eq!(details.causes[0].reason, "DisruptionBudget");
    assert!(cluster.get(&PODS, Some("default"), "db-1").await.is_some());
}

#[tokio::test]
async fn a_dry_run_and_a_wrong_uid_delete_nothing() {
    let (_server, cluster) = in_memory().await;
    run_pod(&cluster, "db-0").await;
    allow(&cluster, 1).await;
    let pods: Api<Pod> = Api::namespaced(client(&cluster), "default");
    // kube writes `delete_options` where the API says `deleteOptions`, so only these arrive.
    let dry = EvictParams {
        post_options: PostParams { dry_run: true, ..PostParams::default() },
        ..EvictParams::default()
    };
    pods.evict("db-0", &dry).await.expect("it would do");
    let budget = cluster.get(&BUDGETS, Some("default"), "db").await.expect("there");
    assert_eq!(budget["status"]["disruptionsAllowed"], 1);

    let mut other = eviction("db-0");
    other["deleteOptions"] = json!({"preconditions": {"uid": "another"}});
    let (code, answer) = evict_raw(&cluster, "db-0", &other).await;
    assert_eq!((code, &answer["reason"]), (409, &json!("Conflict")));
    assert!(cluster.get(&PODS, Some("default"), "db-0").await.is_some());
}

#[tokio::test]
async fn answers_are_those_of_a_real_server() {
    let (_server, cluster) = in_memory().await;
    run_pod(&cluster, "db-0").await;
    let (code, answer) = evict_raw(&cluster, "db-0", &eviction("db-1")).await;
    let mismatch = json!("name in URL does not match name in Eviction object");
    assert_eq!((code, &answer["message"]), (400, &mismatch));
    assert_eq!(evict_raw(&cluster, "gone", &eviction("gone")).await.0, 404);
    let (code, answer) = evict_raw(&cluster, "db-0", &eviction("db-0")).await;
    let done = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "code": 201});
    assert_eq!((code, answer), (201, done));
    let uri = "/api/v1/namespaces/default/pods/db-0/eviction";
    let sent = request("GET", uri).body(Full::default()).expect("a request");
    assert_eq!(read(send(&cluster, sent).await).await.0.as_u16(), 405);
}
