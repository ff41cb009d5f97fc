//! kube-rs as the client, in process.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::api::{
    DeleteParams, ListParams, Patch, PatchParams, PostParams, WatchEvent, WatchParams,
};
use kube::runtime::finalizer::{Event as FinalizerEvent, finalizer};
use kube::runtime::watcher;
use kube::{Api, ResourceExt};
use serde_json::json;

use crate::support::{
    CONFIG_MAPS, add, client, config_map, in_memory, object, open, widget, widgets,
};

fn code(error: &kube::Error) -> u16 {
    match error {
        kube::Error::Api(status) => status.code,
        other => panic!("not an answer of the server: {other}"),
    }
}

#[tokio::test]
async fn an_object_lives_from_create_to_delete() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    let made = widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    assert_eq!(made.metadata.generation, Some(1));
    assert!(made.uid().is_some() && made.resource_version().is_some());

    let again = widgets.create(&PostParams::default(), &object(widget("a", 3))).await;
    assert_eq!(code(&again.expect_err("exists")), 409);

    let patch = Patch::Merge(json!({"spec": {"size": 4}}));
    let patched = widgets.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    assert_eq!(patched.data["spec"]["size"], 4);
    assert_eq!(patched.metadata.generation, Some(2));

    let listed = widgets.list(&ListParams::default()).await.expect("listed");
    assert_eq!(listed.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["a"]);
    widgets.delete("a", &DeleteParams::default()).await.expect("deleted");
    assert_eq!(code(&widgets.get("a").await.expect_err("gone")), 404);
}

#[tokio::test]
async fn an_update_from_a_stale_read_is_a_conflict() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    let first =
        widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    let mut fresh = first.clone();
    fresh.data["spec"]["size"] = json!(4);
    widgets.replace("a", &PostParams::default(), &fresh).await.expect("replaced");
    let mut stale = first;
    stale.data["spec"]["size"] = json!(5);
    let refused = widgets.replace("a", &PostParams::default(), &stale).await;
    assert_eq!(code(&refused.expect_err("stale")), 409);
    assert_eq!(widgets.get("a").await.expect("there").data["spec"]["size"], 4);
}

#[tokio::test]
async fn writing_what_is_there_already_changes_nothing() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    let made = widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    let patch = Patch::Merge(json!({"spec": {"size": 3}}));
    let patched = widgets.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    assert_eq!(patched.resource_version(), made.resource_version());
    let replaced = widgets.replace("a", &PostParams::default(), &made).await.expect("replaced");
    assert_eq!(replaced.resource_version(), made.resource_version());
}

#[tokio::test]
async fn status_and_spec_are_written_apart() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    let both = Patch::Merge(json!({
        "spec": {"size": 9}, "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }));
    let through_status =
        widgets.patch_status("a", &PatchParams::default(), &both).await.expect("patched");
    assert_eq!(through_status.data["spec"]["size"], 3);
    assert_eq!(through_status.data["status"]["conditions"][0]["status"], "True");
    assert_eq!(through_status.metadata.generation, Some(1));

    let status = Patch::Merge(json!({"status": {"conditions": []}}));
    let through_main = widgets.patch("a", &PatchParams::default(), &status).await.expect("patched");
    assert_eq!(through_main.data["status"]["conditions"][0]["status"], "True");
}

#[tokio::test]
async fn kube_finalizer_adds_its_name_and_takes_it_away() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    let made = widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    let run = |seen, expect_cleanup: bool| {
        let widgets = widgets.clone();
        async move {
            finalizer(
                &widgets,
                "test.fleetwright.dev/f",
                std::sync::Arc::new(seen),
                |event| async move {
                    let cleanup = matches!(event, FinalizerEvent::Cleanup(_));
                    assert_eq!(cleanup, expect_cleanup);
                    Ok::<_, std::io::Error>(kube::runtime::controller::Action::await_change())
                },
            )
            .await
            .expect("reconciled");
        }
    };
    run(made, false).await;
    let held = widgets.get("a").await.expect("there");
    assert_eq!(held.finalizers(), ["test.fleetwright.dev/f"]);

    widgets.delete("a", &DeleteParams::default()).await.expect("marked");
    let dying = widgets.get("a").await.expect("still there");
    assert!(dying.metadata.deletion_timestamp.is_some());
    run(dying, true).await;
    assert_eq!(code(&widgets.get("a").await.expect_err("gone")), 404);
}

#[tokio::test]
async fn a_watch_from_a_list_sees_every_later_change_once() {
    let (_server, cluster) = in_memory().await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster), "default");
    cluster.put(&CONFIG_MAPS, config_map("default", "before")).await.expect("put");
    let list = maps.list(&ListParams::default()).await.expect("listed");
    let from = list.metadata.resource_version.expect("a revision");
    let mut watch =
        maps.watch(&WatchParams::default().timeout(20), &from).await.expect("watching").boxed();

    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let patch = Patch::Merge(json!({"data": {"k": "w"}}));
    maps.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    maps.delete("a", &DeleteParams::default()).await.expect("deleted");
    let mut seen = Vec::new();
    let mut revisions = Vec::new();
    for _ in 0..3 {
        let (kind, map) = match watch.try_next().await.expect("no error").expect("not ended") {
            WatchEvent::Added(map) => ("ADDED", map),
            WatchEvent::Modified(map) => ("MODIFIED", map),
            WatchEvent::Deleted(map) => ("DELETED", map),
            other => panic!("unexpected {other:?}"),
        };
        seen.push(format!("{kind} {}", map.name_any()));
        revisions
            .push(map.resource_version().and_then(|v| v.parse::<u64>().ok()).expect("a number"));
    }
    assert_eq!(seen, ["ADDED a", "MODIFIED a", "DELETED a"]);
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
}

#[tokio::test(start_paused = true)]
async fn the_watcher_follows_by_list_and_by_stream_across_relists() {
    let (_server, cluster) = in_memory().await;
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let secrets: Api<Secret> = Api::all(client(&cluster));
        let secret = |name: &str| {
            serde_json::from_value::<Secret>(json!({
                "metadata": {"name": name, "namespace": "default"}, "stringData": {"k": "v"},
            }))
            .expect("a secret")
        };
        let local: Api<Secret> = Api::namespaced(client(&cluster), "default");
        local.create(&PostParams::default(), &secret("one")).await.expect("made");
        let mut events = watcher::watcher(secrets, config).boxed();
        let mut seen = Vec::new();
        while seen.len() < 5 {
            match events.try_next().await.expect("no error").expect("never ends") {
                watcher::Event::Init => seen.push("init".to_owned()),
                watcher::Event::InitApply(s) => seen.push(format!("init {}", s.name_any())),
                watcher::Event::InitDone => {
                    seen.push("done".to_owned());
                    // Longer than the watch that follows lasts: it must go on without a gap.
                    tokio::time::sleep(Duration::from_secs(400)).await;
                    local.create(&PostParams::default(), &secret("two")).await.expect("made");
                }
                watcher::Event::Apply(s) => {
                    seen.push(format!("apply {}", s.name_any()));
                    local.delete("two", &DeleteParams::default()).await.expect("deleted");
                }
                watcher::Event::Delete(s) => seen.push(format!("delete {}", s.name_any())),
            }
        }
        assert_eq!(seen, ["init", "init one", "done", "apply two", "delete two"]);
        local.delete("one", &DeleteParams::default()).await.expect("deleted");
    }
}

#[tokio::test]
async fn a_watch_from_before_a_restart_is_told_to_start_over() {
    let store = fleetwright_apiserver::MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    let before = widgets(&cluster).list(&ListParams::default()).await.expect("listed");
    let before = before.metadata.resource_version.expect("a revision");
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    server.stop();

    let server = open(store).await;
    let cluster = add(&server, "hub").await;
    let widgets = widgets(&cluster);
    let mut watch = widgets.watch(&WatchParams::default(), &before).await.expect("200").boxed();
    match watch.try_next().await.expect("no transport error").expect("one event") {
        WatchEvent::Error(status) => {
            assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
        }
        other => panic!("unexpected {other:?}"),
    }
    assert!(watch.try_next().await.expect("no error").is_none(), "the watch ends");
}

#[tokio::test]
async fn pages_of_a_list_show_one_moment_whatever_happens_in_between() {
    let (_server, cluster) = in_memory().await;
    for name in ["a", "b", "c"] {
        cluster.put(&CONFIG_MAPS, config_map("default", name)).await.expect("put");
    }
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster), "default");
    let first = maps.list(&ListParams::default().limit(2)).await.expect("listed");
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    maps.delete("c", &DeleteParams::default()).await.expect("deleted");
    cluster.put(&CONFIG_MAPS, config_map("default", "d")).await.expect("put");
    let token = first.metadata.continue_.expect("more to come");
    let rest =
        maps.list(&ListParams::default().limit(2).continue_token(&token)).await.expect("listed");
    assert_eq!(rest.items.iter().map(ResourceExt::name_any).collect::<Vec<_>>(), ["c"]);
    assert_eq!(rest.metadata.resource_version, first.metadata.resource_version);
    assert_eq!(rest.metadata.continue_, None);
}

#[tokio::test]
async fn a_selector_turns_changes_into_coming_and_going() {
    let (_server, cluster) = in_memory().await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster), "default");
    let list = maps.list(&ListParams::default()).await.expect("listed");
    let from = list.metadata.resource_version.expect("a revision");
    let params = WatchParams::default().labels("x=1").timeout(20);
    let mut watch = maps.watch(&params, &from).await.expect("watching").boxed();
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    for labels in [json!({"x": "1"}), json!({"y": "2"}), json!({"x": "2"})] {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        maps.patch("a", &PatchParams::default(), &patch).await.expect("patched");
    }
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(match watch.try_next().await.expect("no error").expect("not ended") {
            WatchEvent::Added(map) => format!("ADDED {:?}", map.labels()),
            WatchEvent::Modified(map) => format!("MODIFIED {:?}", map.labels()),
            WatchEvent::Deleted(map) => format!("DELETED {:?}", map.labels()),
            other => panic!("unexpected {other:?}"),
        });
    }
    let expected = [
        r#"ADDED {"x": "1"}"#,
        r#"MODIFIED {"x": "1", "y": "2"}"#,
        r#"DELETED {"x": "1", "y": "2"}"#,
    ];
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn concurrent_patches_of_one_object_all_arrive() {
    let (_server, cluster) = in_memory().await;
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let maps: Api<ConfigMap> = Api::namespaced(client(&cluster), "default");
    let patches = (0..4).map(|n| {
        let maps = maps.clone();
        async move {
            let patch = Patch::Merge(json!({"data": {format!("k{n}"): "v"}}));
            maps.patch("a", &PatchParams::default(), &patch).await.expect("patched");
        }
    });
    futures::future::join_all(patches).await;
    let data = maps.get("a").await.expect("there").data.expect("data");
    assert_eq!(data.keys().collect::<Vec<_>>(), ["k", "k0", "k1", "k2", "k3"]);
}
