//! Random histories against a model: what a list and the watch behind it show is the truth, for
//! every selector, at every revision.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use fleetwright_apiserver::LogicalCluster;
use fleetwright_clock::{Ids as _, RandomIds};
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::support::{CONFIG_MAPS, TOKEN, in_memory, send_json};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const ALL: &str = "/api/v1/configmaps";
const STEPS: usize = 60;
const SEEDS: u64 = 25;

/// Objects by name, as somebody sees them.
type Seen = BTreeMap<String, Value>;

/// Numbers that a seed decides.
struct Dice(RandomIds);

impl Dice {
    fn below(&self, sides: usize) -> usize {
        let sides = u32::try_from(sides).expect("few");
        // In `[0, sides)`, so whole numbers below it fit.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let thrown = (self.0.jitter() * f64::from(sides)) as usize;
        thrown
    }
}

fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str();
    text.and_then(|text| text.parse().ok()).expect("a revision")
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().expect("a name").to_owned()
}

/// One random write. The revision it got, if it wrote.
async fn step(cluster: &LogicalCluster, dice: &Dice) -> Option<u64> {
    let name = format!("m{}", dice.below(6));
    let there = cluster.get(&CONFIG_MAPS, Some("default"), &name).await;
    match (there, dice.below(4)) {
        (Some(_), 0) => {
            let (status, _) = send_json(cluster, "DELETE", &format!("{MAPS}/{name}"), None).await;
            assert_eq!(status, 200);
            let (_, list) = send_json(cluster, "GET", MAPS, None).await;
            Some(revision(&list))
        }
        (Some(old), 1) => {
            // Nothing new: nothing is written.
            let same = cluster.put(&CONFIG_MAPS, (*old).clone()).await.expect("put");
            assert_eq!(revision(&same), revision(&old));
            None
        }
        _ => {
            let tier = ["web", "db", ""][dice.below(3)];
            let labels = if tier.is_empty() { json!({}) } else { json!({"tier": tier}) };
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "namespace": "default", "labels": labels},
                "data": {"n": dice.below(1000).to_string()}});
            Some(revision(&cluster.put(&CONFIG_MAPS, object).await.expect("put")))
        }
    }
}

/// What a list shows, page by page, and the revision it is of. Writes happen between its pages.
async fn list(cluster: &LogicalCluster, dice: &Dice, selector: &str) -> (Seen, u64) {
    let (mut seen, mut token, mut at) = (Seen::new(), String::new(), None);
    loop {
        let limit = 1 + dice.below(3);
        let path = format!("{MAPS}?limit={limit}&labelSelector={selector}&continue={token}");
        let (status, page) = send_json(cluster, "GET", &path, None).await;
        assert_eq!(status, 200, "{page}");
        let first = *at.get_or_insert(revision(&page));
        assert_eq!(revision(&page), first, "all pages are of one revision");
        for item in page["items"].as_array().expect("items") {
            assert!(seen.insert(name(item), bare(item)).is_none(), "an object comes twice");
        }
        token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
        if token.is_empty() {
            return (seen, first);
        }
        step(cluster, dice).await;
    }
}

/// Items of lists do not say what they are.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    let fields = bare.as_object_mut().expect("an object");
    fields.remove("kind");
    fields.remove("apiVersion");
    bare
}

/// What a watch that began at `from` makes of `seen`.
async fn follow(cluster: &LogicalCluster, selector: &str, from: u64, mut seen: Seen) -> Seen {
    let path = format!(
        "{MAPS}?watch=true&resourceVersion={from}&labelSelector={selector}&timeoutSeconds=1"
    );
    let mut last = from;
    for event in events(cluster, &path).await {
        let object = bare(&event["object"]);
        assert!(revision(&object) > last, "revisions only go up");
        last = revision(&object);
        let known = seen.contains_key(&name(&object));
        match event["type"].as_str() {
            Some("ADDED") => assert!(!known, "added twice"),
            Some("MODIFIED") => assert!(known, "modified before it was added"),
            Some("DELETED") => {
                assert!(seen.remove(&name(&object)).is_some(), "deleted before it was added");
                continue;
            }
            other => panic!("{other:?}: {event}"),
        }
        seen.insert(name(&object), object);
    }
    seen
}

async fn events(cluster: &LogicalCluster, path: &str) -> Vec<Value> {
    let request = Request::get(path)
        .header("Authorization", format!("Bearer {TOKEN}"))
        .body(Full::new(Bytes::new()))
        .expect("a request");
    let response = cluster.service().oneshot(request).await.expect("infallible");
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    let text = String::from_utf8_lossy(&bytes);
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test(start_paused = true)]
async fn a_list_and_the_watch_behind_it_show_the_truth_for_every_selector() {
    for seed in 0..SEEDS {
        let (_server, cluster) = in_memory().await;
        let dice = Dice(RandomIds::seeded(seed));
        let mut last = 0;
        for _ in 0..STEPS / 2 {
            let written = step(&cluster, &dice).await;
            assert!(written.is_none_or(|now| now > last), "seed {seed}: revisions go up");
            last = written.unwrap_or(last);
        }
        let mut views = Vec::new();
        for selector in ["", "tier", "tier=web", "tier!=db", "!tier"] {
            let (seen, at) = list(&cluster, &dice, selector).await;
            views.push((selector, at, seen));
        }
        for _ in 0..STEPS / 2 {
            step(&cluster, &dice).await;
        }
        for (selector, at, seen) in views {
            let followed = follow(&cluster, selector, at, seen).await;
            let path = format!("{MAPS}?labelSelector={selector}");
            let (_, now) = send_json(&cluster, "GET", &path, None).await;
            let items = now["items"].as_array().expect("items");
            let truth: Seen = items.iter().map(|item| (name(item), bare(item))).collect();
            assert_eq!(followed, truth, "seed {seed}, selector {selector:?} from {at}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_writers_that_read_the_same_state_one_wins() {
    let (_server, cluster) = in_memory().await;
    let object = crate::support::config_map("default", "a");
    let first = cluster.put(&CONFIG_MAPS, object).await.expect("put");
    let path = format!("{MAPS}/a");
    let attempts = (0..10).map(|n| {
        let (cluster, path) = (cluster.clone(), path.clone());
        let mut mine = (*first).clone();
        mine["data"] = json!({"winner": n.to_string()});
        async move { send_json(&cluster, "PUT", &path, Some(mine)).await.0 }
    });
    let mut answers = futures::future::join_all(attempts).await;
    answers.sort_unstable();
    assert_eq!(answers, [200, 409, 409, 409, 409, 409, 409, 409, 409, 409]);
    // A patch that names no revision is tried again instead.
    let patches = (0..10).map(|n| {
        let (cluster, path) = (cluster.clone(), path.clone());
        let mut data = serde_json::Map::new();
        data.insert(format!("k{n}"), json!("v"));
        async move { send_json(&cluster, "PATCH", &path, Some(json!({"data": data}))).await.0 }
    });
    assert!(futures::future::join_all(patches).await.iter().all(|status| *status == 200));
    let last = cluster.get(&CONFIG_MAPS, Some("default"), "a").await.expect("there");
    assert_eq!(last["data"].as_object().map(serde_json::Map::len), Some(11));
}

#[tokio::test(start_paused = true)]
async fn thousands_of_idle_watches_each_see_the_one_change() {
    const WATCHES: usize = 3000;
    let (_server, cluster) = in_memory().await;
    let cluster = Arc::new(cluster);
    let watching: Vec<_> = (0..WATCHES)
        .map(|_| {
            let cluster = Arc::clone(&cluster);
            let path = format!("{ALL}?watch=true&timeoutSeconds=30&labelSelector=seen%3Dyes");
            tokio::spawn(async move { events(&cluster, &path).await.len() })
        })
        .collect();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let mut object = crate::support::config_map("default", "a");
    cluster.put(&CONFIG_MAPS, object.clone()).await.expect("put");
    object["metadata"]["labels"] = json!({"seen": "yes"});
    cluster.put(&CONFIG_MAPS, object).await.expect("put");
    let counts = futures::future::join_all(watching).await;
    assert!(counts.into_iter().all(|count| count.expect("no panic") == 1));
}
