//! The server inside the simulator: one seed, one history.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{ApiServer, Identity, Loaded, MemoryStore, Store};
use fleetwright_clock::{Clock, RandomIds};
use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::watcher;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use crate::support::add;

/// Paused time, as the simulator has it.
#[derive(Debug)]
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> jiff::Timestamp {
        let elapsed = jiff::SignedDuration::try_from(self.0.elapsed()).expect("short");
        jiff::Timestamp::UNIX_EPOCH + elapsed
    }
}

/// Writers that get into each other's way, and watchers that note what they see.
async fn history(seed: u64) -> (Loaded, Vec<Vec<String>>) {
    let store = MemoryStore::new();
    let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
    let ids = Arc::new(RandomIds::seeded(seed));
    let server = ApiServer::open(Arc::new(store.clone()), clock, ids).await.expect("opens");
    let cluster = add(&server, "hub").await;
    let client = Client::new(cluster.service_as(Identity::system("test")), "default");
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let watching = (0..3).map(|_| {
        let events = watcher::watcher(maps.clone(), watcher::Config::default());
        let note = events.map_ok(|event| match event {
            watcher::Event::Apply(map) => format!("{} {:?}", map.name_any(), map.data),
            watcher::Event::Delete(map) => format!("{} gone", map.name_any()),
            other => format!("{other:?}"),
        });
        let until = tokio::time::sleep(Duration::from_secs(1000));
        let noted = note.map(|noted| noted.expect("no error")).take_until(until);
        tokio::spawn(noted.collect::<Vec<String>>())
    });
    let watching: Vec<_> = watching.collect();
    let writing = (0..5).map(|n| {
        let maps = maps.clone();
        tokio::spawn(async move {
            let map = json!({"metadata": {"generateName": "m-"}, "data": {"n": n.to_string()}});
            let map: ConfigMap = serde_json::from_value(map).expect("a map");
            let made = maps.create(&PostParams::default(), &map).await.expect("made");
            for step in 0..10 {
                tokio::time::sleep(Duration::from_secs(step % 3)).await;
                let patch = Patch::Merge(json!({"data": {"step": step.to_string()}}));
                let name = made.name_any();
                maps.patch(&name, &PatchParams::default(), &patch).await.expect("patched");
            }
            if n % 2 == 0 {
                maps.delete(&made.name_any(), &DeleteParams::default()).await.expect("deleted");
            }
        })
    });
    for written in futures::future::join_all(writing).await {
        written.expect("no panic");
    }
    let mut seen = Vec::new();
    for watched in watching {
        seen.push(watched.await.expect("no panic"));
    }
    (store.load_all().await.expect("loaded"), seen)
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_history_down_to_the_byte() {
    let (first, again) = (history(7).await, history(7).await);
    assert_eq!(first, again);
    assert_ne!(first.0, history(8).await.0);
    let (stored, seen) = first;
    let maps = stored.objects.iter().filter(|(key, _)| key.group_resource == "configmaps");
    assert_eq!(maps.count(), 2);
    assert!(seen[0].len() > 50, "{}", seen[0].len());
    assert_eq!(seen[0], seen[1]);
}
