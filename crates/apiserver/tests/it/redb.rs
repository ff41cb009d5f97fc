//! The store in a file.

use fleetwright_apiserver::{Change, Key, RedbOpenError, RedbStore, ResourceRef, Store};

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

fn secret(name: &str) -> serde_json::Value {
    serde_json::json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": name, "namespace": "default"}, "stringData": {"k": "hunter2"}})
}

const SECRETS: ResourceRef = ResourceRef::new("", "v1", "secrets");
/// `hunter2`, as it stands in a Secret.
const ENCODED: &[u8] = b"aHVudGVyMg==";

fn holds(path: &std::path::Path, needle: &[u8]) -> bool {
    let bytes = std::fs::read(path).expect("readable");
    bytes.windows(needle.len()).any(|part| part == needle)
}

#[tokio::test]
async fn secrets_cannot_be_read_in_the_file_and_come_back_with_its_key_only() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let (path, key) = (dir.path().join("state.redb"), dir.path().join("state.key"));
    let server = open(RedbStore::open(&path).expect("opens")).await;
    let cluster = add(&server, "hub").await;
    let kept = cluster.put(&SECRETS, secret("s")).await.expect("put");
    cluster.put(&CONFIG_MAPS, config_map("default", "plain")).await.expect("put");
    drop((server, cluster));
    drop(reopen(&path).await);
    assert!(holds(&path, b"plain") && !holds(&path, ENCODED));

    let server = open(reopen(&path).await).await;
    let cluster = add(&server, "hub").await;
    assert_eq!(cluster.get(&SECRETS, Some("default"), "s").await, Some(kept));
    drop((server, cluster));
    drop(reopen(&path).await);

    let good = std::fs::read_to_string(&key).expect("a key");
    for (spoilt, wanted) in
        [(None, "is missing"), (Some("00".repeat(32)), "another key"), (Some("x".into()), "hexa")]
    {
        match spoilt {
            None => std::fs::remove_file(&key).expect("removed"),
            Some(text) => std::fs::write(&key, text).expect("written"),
        }
        let error = open_free(&path).await.expect_err("refused");
        assert!(matches!(error, RedbOpenError::Key { .. }), "{error}");
        assert!(error.to_string().contains(wanted), "{error}");
    }
    std::fs::write(&key, good).expect("written");
    open_free(&path).await.expect("the right key again");
}

/// Opens once the thread of an earlier store has let the file go, whatever comes of it.
async fn open_free(path: &std::path::Path) -> Result<RedbStore, RedbOpenError> {
    for _ in 0..200 {
        match RedbStore::open(path) {
            Err(RedbOpenError::InUse { .. }) => {
                tokio::time::sleep(std::time::Duration::from_millis(25)).await;
            }
            other => return other,
        }
    }
    RedbStore::open(path)
}

#[cfg(unix)]
#[tokio::test]
async fn the_key_is_readable_by_its_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().expect("temporary folder");
    let _store = RedbStore::open(dir.path().join("state.redb")).expect("opens");
    let mode = std::fs::metadata(dir.path().join("state.key")).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

/// A file as the first version of the store wrote it: everything plain, no key.
fn write_format_1(path: &std::path::Path, format: u64) {
    let database = redb::Database::create(path).expect("made");
    let transaction = database.begin_write().expect("begun");
    {
        let table = redb::TableDefinition::<&str, u64>::new("meta");
        transaction.open_table(table).expect("meta").insert("format", format).expect("put");
        let table = redb::TableDefinition::<&str, u64>::new("clusters");
        transaction.open_table(table).expect("clusters").insert("hub", 9).expect("put");
        let table = redb::TableDefinition::<&str, &[u8]>::new("objects");
        let mut objects = transaction.open_table(table).expect("objects");
        let record = br#"{"apiVersion":"v1","data":{"k":"aHVudGVyMg=="},"kind":"Secret","metadata":{"name":"s","namespace":"default","resourceVersion":"9","uid":"u"},"type":"Opaque"}"#;
        objects.insert("hub\0secrets\0default\0s", &record[..]).expect("put");
    }
    transaction.commit().expect("committed");
}

#[tokio::test]
async fn a_file_of_an_older_version_is_sealed_when_it_is_opened() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    write_format_1(&path, 1);
    let server = open(RedbStore::open(&path).expect("brought forward")).await;
    let cluster = add(&server, "hub").await;
    let found = cluster.get(&SECRETS, Some("default"), "s").await.expect("there");
    assert_eq!(found["data"]["k"], "aHVudGVyMg==");
    assert!(dir.path().join("state.key").exists());
    drop((server, cluster));
    let loaded = reopen(&path).await.load_all().await.expect("loaded");
    assert!(loaded.objects.iter().any(|(key, _)| key.group_resource == "secrets"));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    write_format_1(&path, 3);
    let error = RedbStore::open(&path).expect_err("refused");
    assert!(matches!(error, RedbOpenError::Format { found: 3, .. }), "{error}");
    assert!(!dir.path().join("state.key").exists());
}

#[tokio::test]
async fn a_copy_restores_the_same_server() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let server = open(RedbStore::open(dir.path().join("one.redb")).expect("opens")).await;
    let cluster = add(&server, "hub").await;
    let secret = cluster.put(&SECRETS, secret("s")).await.expect("put");
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let copy = server.backup();
    cluster.put(&CONFIG_MAPS, config_map("default", "later")).await.expect("put");
    let path = dir.path().join("two.redb");
    let restored = RedbStore::create(&path, copy.clone()).await.expect("made");
    assert!(!holds(&path, ENCODED));
    assert_eq!(restored.load_all().await.expect("loaded"), copy);
    let again = RedbStore::create(&path, copy).await.expect_err("nothing is overwritten");
    assert!(matches!(again, RedbOpenError::Io { .. }), "{again}");
    let server = open(restored).await;
    let cluster = add(&server, "hub").await;
    assert_eq!(cluster.get(&SECRETS, Some("default"), "s").await, Some(secret));
    assert!(cluster.get(&CONFIG_MAPS, Some("default"), "later").await.is_none());
    let export = cluster.export();
    let names: Vec<_> = export.objects.iter().map(|o| o["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["widgets.test.fleetwright.dev", "a", "s"], "only what somebody has made");
    assert_eq!(export.objects[1]["metadata"]["uid"], serde_json::Value::Null);
}

/// Every byte of a damaged file is either refused or makes no difference.
#[tokio::test]
async fn a_damaged_file_is_refused_or_reads_as_it_was() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let path = dir.path().join("state.redb");
    let server = open(RedbStore::open(&path).expect("opens")).await;
    let cluster = add(&server, "hub").await;
    for n in 0..40 {
        let name = format!("m{n}");
        cluster.put(&CONFIG_MAPS, config_map("default", &name)).await.expect("put");
    }
    drop((server, cluster));
    let truth = reopen(&path).await.load_all().await.expect("loaded");
    drop(open_free(&path).await);
    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    let good = std::fs::read(&path).expect("readable");
    let key = std::fs::read(dir.path().join("state.key")).expect("readable");
    let mut refused = 0;
    let length = good.len();
    let flips = (0..48).map(|n| (length, n * 7919 % 40_000));
    let cuts = [0, 1, length / 3, length / 2].map(|kept| (kept, usize::MAX));
    for (turn, (kept, at)) in flips.chain(cuts).enumerate() {
        let damaged = dir.path().join(format!("damaged-{turn}.redb"));
        std::fs::write(damaged.with_extension("key"), &key).expect("written");
        let mut bytes = good[..kept].to_vec();
        if let Some(byte) = bytes.get_mut(at) {
            *byte ^= 0x55;
        }
        std::fs::write(&damaged, bytes).expect("written");
        let read = match open_free(&damaged).await {
            Ok(store) => store.load_all().await.ok(),
            Err(_) => None,
        };
        match read {
            Some(read) => assert!(read == truth, "byte {at} of {kept} changed what is read"),
            None => refused += 1,
        }
    }
    assert!(refused >= 5, "only {refused} refused: the damage missed the data");
}
