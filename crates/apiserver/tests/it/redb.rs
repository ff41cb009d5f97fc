//! The store in a file.

use fleetwright_apiserver::{Change, Key, RedbOpenError, RedbStore, Store};

use crate::support::{CONFIG_MAPS, add, config_map, open};

fn key(name: &str) -> Key {
    Key {
        cluster: "c".to_owned(),
        group_resource: "configmaps".to_owned(),
        namespace: "default".to_owned(),
        name: name.to_owned(),
    }
}

#[tokio::test]
async fn objects_and_revisions_survive_a_reopening() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    let server = open(RedbStore::open(&path).expect("opens")).await;
    let cluster = add(&server, "hub").await;
    let written = cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    cluster.delete(&CONFIG_MAPS, Some("default"), "a").await.expect("deleted");
    let kept = cluster.put(&CONFIG_MAPS, config_map("default", "b")).await.expect("put");
    drop((server, cluster));

    let server = open(reopen(&path).await).await;
    let cluster = add(&server, "hub").await;
    let listed = cluster.list(&CONFIG_MAPS, None).await;
    assert_eq!(listed, [kept]);
    let next = cluster.put(&CONFIG_MAPS, config_map("default", "c")).await.expect("put");
    let revision = |object: &serde_json::Value| {
        object["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse::<u64>().ok())
    };
    assert_eq!(revision(&next), revision(&written).map(|first| first + 3));
}

/// The thread of a dropped store lets the file go a moment later.
async fn reopen(path: &std::path::Path) -> RedbStore {
    for _ in 0..200 {
        match RedbStore::open(path) {
            Ok(store) => return store,
            Err(RedbOpenError::InUse { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            }
            Err(other) => panic!("{other}"),
        }
    }
    panic!("the file is still in use after five seconds");
}

#[tokio::test]
async fn a_second_opening_is_refused_in_words_for_the_user() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    let _first = RedbStore::open(&path).expect("opens");
    let error = RedbStore::open(&path).expect_err("in use");
    assert!(matches!(error, RedbOpenError::InUse { .. }));
    assert!(error.to_string().contains("in use by another process"), "{error}");
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    std::fs::write(&path, "not a database, but somebody's notes").expect("written");
    let error = RedbStore::open(&path).expect_err("refused");
    assert!(matches!(error, RedbOpenError::Damaged { .. }), "{error}");
    assert_eq!(std::fs::read(&path).expect("there"), b"not a database, but somebody's notes");
}

#[cfg(unix)]
#[tokio::test]
async fn the_file_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    let _store = RedbStore::open(&path).expect("opens");
    let mode = std::fs::metadata(&path).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn a_dropped_cluster_leaves_nothing_and_its_neighbours_everything() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let store = RedbStore::open(dir.path().join("state.redb")).expect("opens");
    let mut neighbour = key("a");
    neighbour.cluster = "c-2".to_owned();
    let revision = |cluster: &str| Change::Revision { cluster: cluster.to_owned(), revision: 7 };
    let batch = vec![
        Change::Put(key("a"), "1".into()),
        Change::Put(neighbour.clone(), "2".into()),
        revision("c"),
        revision("c-2"),
    ];
    store.commit(batch).await.expect("stored");
    store.commit(vec![Change::DropCluster("c".to_owned())]).await.expect("dropped");
    let loaded = store.load_all().await.expect("loaded");
    assert_eq!(loaded.clusters, [("c-2".to_owned(), 7)]);
    assert_eq!(loaded.objects, [(neighbour, "2".into())]);
}
