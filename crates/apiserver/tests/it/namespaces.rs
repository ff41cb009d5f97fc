//! What comes and goes with a namespace and with a cluster.

use fleetwright_apiserver::MemoryStore;
use serde_json::json;

use crate::support::{CONFIG_MAPS, NAMESPACES, add, config_map, in_memory, open};

fn namespace(name: &str) -> serde_json::Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

#[tokio::test]
async fn a_cluster_is_born_with_its_namespaces() {
    let (_server, cluster) = in_memory().await;
    let all = cluster.list(&NAMESPACES, None).await;
    let names: Vec<_> =
        all.iter().map(|n| n["metadata"]["name"].as_str().expect("named")).collect();
    assert_eq!(names, ["default", "kube-node-lease", "kube-public", "kube-system"]);
    let refused = cluster.delete(&NAMESPACES, None, "default").await.expect_err("refused");
    assert_eq!(refused.code(), 403);
}

#[tokio::test]
async fn nothing_is_made_in_a_namespace_that_is_not_there() {
    let (_server, cluster) = in_memory().await;
    let refused = cluster.put(&CONFIG_MAPS, config_map("nope", "a")).await.expect_err("refused");
    assert_eq!(
        (refused.code(), refused.to_string().as_str()),
        (404, "namespaces \"nope\" not found")
    );
}

#[tokio::test]
async fn a_namespace_takes_its_contents_along_and_waits_for_finalizers() {
    let (_server, cluster) = in_memory().await;
    cluster.put(&NAMESPACES, namespace("ns")).await.expect("put");
    cluster.put(&CONFIG_MAPS, config_map("ns", "free")).await.expect("put");
    let mut held = config_map("ns", "held");
    held["metadata"]["finalizers"] = json!(["test.fleetwright.dev/f"]);
    cluster.put(&CONFIG_MAPS, held).await.expect("put");

    cluster.delete(&NAMESPACES, None, "ns").await.expect("deleted");
    let dying = cluster.get(&NAMESPACES, None, "ns").await.expect("still there");
    assert_eq!(dying["status"]["phase"], "Terminating");
    assert!(cluster.get(&CONFIG_MAPS, Some("ns"), "free").await.is_none());
    let waiting = cluster.get(&CONFIG_MAPS, Some("ns"), "held").await.expect("held");
    assert!(waiting["metadata"]["deletionTimestamp"].is_string());
    let late = cluster.put(&CONFIG_MAPS, config_map("ns", "late")).await.expect_err("refused");
    assert_eq!(late.code(), 403);
    assert_eq!(late.causes().len(), 1);

    // Without its finalizer the last object goes, and the namespace with it.
    cluster.put(&CONFIG_MAPS, config_map("ns", "held")).await.expect("freed");
    assert!(cluster.get(&CONFIG_MAPS, Some("ns"), "held").await.is_none());
    assert!(cluster.get(&NAMESPACES, None, "ns").await.is_none());
}

#[tokio::test]
async fn clusters_do_not_see_each_other_and_one_can_go_for_good() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let (one, two) = (add(&server, "one").await, add(&server, "two").await);
    one.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    assert!(two.get(&CONFIG_MAPS, Some("default"), "a").await.is_none());
    assert!(server.remove_cluster("one").await.expect("removed"));
    assert!(!server.remove_cluster("one").await.expect("nothing to remove"));
    assert!(one.put(&CONFIG_MAPS, config_map("default", "b")).await.is_err());
    server.stop();

    let server = open(store).await;
    assert_eq!(server.stored_clusters(), ["two"]);
    assert!(server.cluster("two").is_none(), "stored, but nobody has added it yet");
}

#[tokio::test]
async fn a_dry_run_looks_at_the_namespace_too() {
    let (_server, cluster) = in_memory().await;
    let maps = |namespace: &str| format!("/api/v1/namespaces/{namespace}/configmaps?dryRun=All");
    let send = async |namespace: &str| {
        let body = Some(crate::support::config_map(namespace, "a"));
        crate::support::send_json(&cluster, "POST", &maps(namespace), body).await.0
    };
    assert_eq!(send("default").await, 201);
    assert_eq!(send("nowhere").await, 404);
    let mut held = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}});
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.put(&crate::support::NAMESPACES, held).await.expect("put");
    assert_eq!(send("ns").await, 201);
    cluster.delete(&crate::support::NAMESPACES, None, "ns").await.expect("marked");
    assert_eq!(send("ns").await, 403);
}
