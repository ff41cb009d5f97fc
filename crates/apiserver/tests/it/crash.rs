//! What a crash of the process leaves behind.

use fleetwright_apiserver::{CommitFault, MemoryStore};

use crate::support::{CONFIG_MAPS, NAMESPACES, add, config_map, open};

fn revision(object: &serde_json::Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a number")
}

#[tokio::test]
async fn acknowledged_writes_are_there_after_a_crash_and_revisions_go_on() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    for name in ["a", "b"] {
        cluster.put(&CONFIG_MAPS, config_map("default", name)).await.expect("put");
    }
    cluster.delete(&CONFIG_MAPS, Some("default"), "b").await.expect("deleted");
    server.stop();
    let late = cluster.put(&CONFIG_MAPS, config_map("default", "late")).await;
    assert_eq!(late.expect_err("stopped").code(), 503);

    let server = open(store).await;
    let again = add(&server, "hub").await;
    let listed = again.list(&CONFIG_MAPS, Some("default")).await;
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0]["metadata"]["name"], "a");
    assert_eq!(again.list(&NAMESPACES, None).await.len(), 4);
    let next = again.put(&CONFIG_MAPS, config_map("default", "c")).await.expect("put");
    // Birth is 1, four namespaces with an account each, a, b, b's removal: the next is 13 although b
    // has left no trace.
    assert_eq!(revision(&next), 13);
}

#[tokio::test]
async fn a_refused_commit_is_visible_to_nobody_and_its_revision_is_free() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    let first = cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    store.fail_next_commit(CommitFault::BeforeEffect);
    let refused = cluster.put(&CONFIG_MAPS, config_map("default", "b")).await;
    assert_eq!(refused.expect_err("refused").code(), 500);
    assert!(cluster.get(&CONFIG_MAPS, Some("default"), "b").await.is_none());
    assert!(!server.store_failed());
    let next = cluster.put(&CONFIG_MAPS, config_map("default", "b")).await.expect("put");
    assert_eq!(revision(&next), revision(&first) + 1);
}

#[tokio::test]
async fn a_lost_commit_ends_writing_until_a_restart_shows_what_became_of_it() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    store.fail_next_commit(CommitFault::AfterEffect);
    let lost = cluster.put(&CONFIG_MAPS, config_map("default", "a")).await;
    assert_eq!(lost.expect_err("unknown").code(), 503);
    assert!(server.store_failed());
    assert!(cluster.get(&CONFIG_MAPS, Some("default"), "a").await.is_none(), "not acknowledged");
    let next = cluster.put(&CONFIG_MAPS, config_map("default", "b")).await;
    assert_eq!(next.expect_err("no more writes").code(), 503);
    server.stop();

    let server = open(store).await;
    let again = add(&server, "hub").await;
    assert!(again.get(&CONFIG_MAPS, Some("default"), "a").await.is_some(), "it was stored");
    assert!(again.get(&CONFIG_MAPS, Some("default"), "b").await.is_none());
}

#[tokio::test]
async fn writes_that_wait_together_are_committed_together() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    let before = store.commits();
    let puts = (0..20).map(|n| {
        let cluster = cluster.clone();
        async move { cluster.put(&CONFIG_MAPS, config_map("default", &format!("m{n}"))).await }
    });
    let results = futures::future::join_all(puts).await;
    assert!(results.iter().all(Result::is_ok));
    let commits = store.commits() - before;
    assert!(commits <= 2, "{commits} commits for 20 writes");
}
