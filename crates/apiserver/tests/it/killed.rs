//! A server that is killed (SIGKILL) while it writes: what it has acknowledged is there afterwards,
//! nothing is there by half, and revisions go on.
//!
//! The child is this test program again, told by an environment variable what it is.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use fleetwright_apiserver::{LogicalCluster, RedbOpenError, RedbStore};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{CONFIG_MAPS, add, open, send_json};

const FOLDER: &str = "FLEETWRIGHT_TEST_KILLED_FOLDER";
/// Where each writer goes on: numbers with commas between.
const BEGIN: &str = "FLEETWRIGHT_TEST_KILLED_BEGIN";
const WRITERS: usize = 4;
const ROUNDS: usize = 20;

/// What a writer does as its `step`-th deed, and to which object.
enum Deed {
    Put(Value),
    Delete,
}

/// Each object is made, changed, and every second one deleted.
fn deed(writer: usize, step: usize) -> (String, Deed) {
    let name = format!("w{writer}-{}", step / 3);
    let object = |version: &str| {
        let text = format!("{name} {version} ").repeat(40);
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "namespace": "default"}, "data": {"text": text}})
    };
    let deed = match step % 3 {
        0 => Deed::Put(object("first")),
        2 if (step / 3).is_multiple_of(2) => Deed::Delete,
        _ => Deed::Put(object("second")),
    };
    (name, deed)
}

/// The texts of a writer's objects after its first `steps` deeds.
fn state(writer: usize, steps: usize) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for step in 0..steps {
        match deed(writer, step) {
            (name, Deed::Put(object)) => drop(objects.insert(name, object["data"].clone())),
            (name, Deed::Delete) => drop(objects.remove(&name)),
        }
    }
    objects
}

/// The child: writes until it is killed. Without its folder it is no child and nothing happens.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let begin = std::env::var(BEGIN).expect("where to begin");
    let begin: Vec<usize> = begin.split(',').map(|n| n.parse().expect("a number")).collect();
    let store = RedbStore::open(Path::new(&folder).join("state.redb")).expect("opens");
    let server = open(store).await;
    let cluster = add(&server, "hub").await;
    let writers = begin.iter().enumerate().map(|(writer, begin)| {
        let cluster = cluster.clone();
        async move {
            for step in *begin.. {
                let (name, deed) = deed(writer, step);
                let revision = match deed {
                    Deed::Put(object) => {
                        let put = cluster.put(&CONFIG_MAPS, object).await.expect("put");
                        put["metadata"]["resourceVersion"].as_str().unwrap_or("0").to_owned()
                    }
                    Deed::Delete => {
                        let gone = cluster.delete(&CONFIG_MAPS, Some("default"), &name).await;
                        gone.expect("deleted");
                        "0".to_owned()
                    }
                };
                let mut out = std::io::stdout().lock();
                writeln!(out, "ack {writer} {step} {revision}").expect("told");
                out.flush().expect("told");
            }
        }
    });
    futures::future::join_all(writers).await;
}

/// What the child has told: the deeds done of each writer, and the highest revision.
async fn run_and_kill(folder: &Path, begin: &[usize], acks: usize) -> (Vec<usize>, u64) {
    let text = begin.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "killed::child_that_writes_until_it_is_killed", "--nocapture"])
        .env(FOLDER, folder)
        .env(BEGIN, text)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let (mut done, mut highest) = (begin.to_vec(), 0);
    let mut seen = 0;
    let reading = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let words: Vec<&str> = line.split(' ').collect();
            // The test harness has words of its own.
            let Some(at) = words.iter().position(|word| *word == "ack") else { continue };
            let number = |n: usize| words.get(at + n).and_then(|word| word.parse::<u64>().ok());
            let (Some(writer), Some(step), Some(revision)) = (number(1), number(2), number(3))
            else {
                continue;
            };
            let writer = usize::try_from(writer).expect("small");
            done[writer] = usize::try_from(step).expect("small") + 1;
            highest = highest.max(revision);
            seen += 1;
            if seen == acks {
                child.start_kill().expect("killed");
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reading).await.expect("ends in time");
    child.wait().await.expect("ended");
    (done, highest)
}

/// Opens what is left; the file is free once the killed process is gone for good.
async fn reopened(folder: &Path) -> RedbStore {
    for _ in 0..200 {
        match RedbStore::open(folder.join("state.redb")) {
            Err(RedbOpenError::InUse { .. }) => tokio::time::sleep(Duration::from_millis(25)).await,
            other => return other.expect("a crash is no damage"),
        }
    }
    panic!("the file is still in use after five seconds");
}

/// Where the writer stands: where it said, or one deed further, whose answer was lost.
async fn standing(cluster: &LogicalCluster, writer: usize, told: usize) -> usize {
    let prefix = format!("w{writer}-");
    let all = cluster.list(&CONFIG_MAPS, Some("default")).await;
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let found: BTreeMap<String, Value> = all
        .iter()
        .filter(|object| name(object).starts_with(&prefix))
        .map(|object| (name(object), object["data"].clone()))
        .collect();
    // The later one first: a deed that changes nothing may have been done.
    let fits = [told + 1, told].into_iter().find(|steps| state(writer, *steps) == found);
    fits.unwrap_or_else(|| panic!("writer {writer} after {told} deeds: {:?}", found.keys()))
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_kill_and_nothing_by_half() {
    let dir = tempfile::tempdir().expect("temporary folder");
    let mut begin = vec![0; WRITERS];
    let mut newest = 0;
    for round in 0..ROUNDS {
        let acks = 3 + (round * 37) % 61;
        let (told, highest) = run_and_kill(dir.path(), &begin, acks).await;
        let server = open(reopened(dir.path()).await).await;
        let cluster = add(&server, "hub").await;
        for writer in 0..WRITERS {
            begin[writer] = standing(&cluster, writer, told[writer]).await;
        }
        let path = "/api/v1/namespaces/default/configmaps";
        let (_, list) = send_json(&cluster, "GET", path, None).await;
        let revision = list["metadata"]["resourceVersion"].as_str().and_then(|r| r.parse().ok());
        let revision: u64 = revision.expect("a revision");
        assert!(revision >= highest.max(newest), "{revision} went back behind {highest}");
        newest = revision;
        // A watch goes on from here, and from before it is told to start over.
        let watch = |from: u64| {
            let path = format!("{path}?watch=true&resourceVersion={from}&timeoutSeconds=1");
            let cluster = cluster.clone();
            async move { send_json(&cluster, "GET", &path, None).await.1 }
        };
        if round % 10 == 0 {
            assert_eq!(watch(revision).await, Value::Null, "nothing has happened since");
            assert_eq!(watch(revision - 1).await["object"]["code"], 410);
        }
    }
}
