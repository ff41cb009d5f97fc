//! The garbage collector, and what namespaces hold and wait for.

use fleetwright_apiserver::{LogicalCluster, MemoryStore, ResourceRef};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, NAMESPACES, add, config_map, in_memory, open, send_json};

const ACCOUNTS: ResourceRef = ResourceRef::new("", "v1", "serviceaccounts");
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A ConfigMap that names another as its owner.
fn owned(name: &str, owner: &Value, blocks: bool) -> Value {
    let mut object = config_map("default", name);
    object["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": blocks,
    }]);
    object
}

/// Waits until the collector has nothing to do: time is paused, so this takes none.
async fn settled() {
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
}

async fn there(cluster: &LogicalCluster, name: &str) -> bool {
    cluster.get(&CONFIG_MAPS, Some("default"), name).await.is_some()
}

async fn delete(cluster: &LogicalCluster, name: &str, policy: &str) -> Value {
    let path = format!("{MAPS}/{name}?propagationPolicy={policy}");
    send_json(cluster, "DELETE", &path, None).await.1
}

#[tokio::test(start_paused = true)]
async fn dependents_go_after_their_owner_all_the_way_down() {
    let (_server, cluster) = in_memory().await;
    let owner = cluster.put(&CONFIG_MAPS, config_map("default", "owner")).await.expect("put");
    let child = cluster.put(&CONFIG_MAPS, owned("child", &owner, false)).await.expect("put");
    cluster.put(&CONFIG_MAPS, owned("grandchild", &child, false)).await.expect("put");
    settled().await;
    assert!(there(&cluster, "grandchild").await, "its owner is there");
    let answer = delete(&cluster, "owner", "Background").await;
    assert_eq!((&answer["kind"], &answer["status"]), (&json!("Status"), &json!("Success")));
    settled().await;
    for name in ["owner", "child", "grandchild"] {
        assert!(!there(&cluster, name).await, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_owner_in_the_foreground_waits_for_those_that_block() {
    let (_server, cluster) = in_memory().await;
    let owner = cluster.put(&CONFIG_MAPS, config_map("default", "owner")).await.expect("put");
    let mut child = owned("child", &owner, true);
    child["metadata"]["finalizers"] = json!(["example.com/hold"]);
    cluster.put(&CONFIG_MAPS, child.clone()).await.expect("put");
    cluster.put(&CONFIG_MAPS, owned("loose", &owner, false)).await.expect("put");
    let answer = delete(&cluster, "owner", "Foreground").await;
    assert_eq!(answer["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    settled().await;
    let held = cluster.get(&CONFIG_MAPS, Some("default"), "child").await.expect("held");
    assert!(held["metadata"]["deletionTimestamp"].is_string());
    assert!(there(&cluster, "owner").await, "it waits");
    child["metadata"]["finalizers"] = json!([]);
    cluster.put(&CONFIG_MAPS, child).await.expect("freed");
    settled().await;
    for name in ["owner", "child", "loose"] {
        assert!(!there(&cluster, name).await, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn orphans_stay_and_forget_their_owner() {
    let (_server, cluster) = in_memory().await;
    let owner = cluster.put(&CONFIG_MAPS, config_map("default", "owner")).await.expect("put");
    cluster.put(&CONFIG_MAPS, owned("child", &owner, true)).await.expect("put");
    delete(&cluster, "owner", "Orphan").await;
    settled().await;
    assert!(!there(&cluster, "owner").await);
    let child = cluster.get(&CONFIG_MAPS, Some("default"), "child").await.expect("stays");
    assert_eq!(child["metadata"]["ownerReferences"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn one_of_two_owners_suffices_and_unknown_kinds_count_as_there() {
    let (_server, cluster) = in_memory().await;
    let put = |object| cluster.put(&CONFIG_MAPS, object);
    let one = put(config_map("default", "one")).await.expect("put");
    let two = put(config_map("default", "two")).await.expect("put");
    let mut both = owned("both", &one, false);
    let second = owned("x", &two, false)["metadata"]["ownerReferences"][0].clone();
    both["metadata"]["ownerReferences"].as_array_mut().expect("a list").push(second.clone());
    put(both).await.expect("put");
    let mut strange = config_map("default", "strange");
    strange["metadata"]["ownerReferences"] =
        json!([{"apiVersion": "no.such/v1", "kind": "Thing", "name": "t", "uid": "u"}]);
    put(strange).await.expect("put");
    let mut stray = owned("stray", &one, false);
    stray["metadata"]["ownerReferences"][0]["uid"] = json!("somebody-else");
    put(stray).await.expect("put");
    delete(&cluster, "one", "Background").await;
    settled().await;
    let both = cluster.get(&CONFIG_MAPS, Some("default"), "both").await.expect("stays");
    assert_eq!(both["metadata"]["ownerReferences"], json!([second]));
    assert!(there(&cluster, "strange").await);
    assert!(!there(&cluster, "stray").await, "an owner of the same name is another one");
}

#[tokio::test(start_paused = true)]
async fn what_was_to_be_collected_is_collected_after_a_restart() {
    let store = MemoryStore::new();
    let server = fleetwright_apiserver::ApiServer::open_bare(
        std::sync::Arc::new(store.clone()),
        std::sync::Arc::new(fleetwright_clock::SystemClock),
        std::sync::Arc::new(fleetwright_clock::RandomIds::seeded(1)),
    )
    .await
    .expect("opens");
    let cluster = add(&server, "hub").await;
    let owner = cluster.put(&CONFIG_MAPS, config_map("default", "owner")).await.expect("put");
    cluster.put(&CONFIG_MAPS, owned("child", &owner, false)).await.expect("put");
    delete(&cluster, "owner", "Background").await;
    let waiting = cluster.put(&CONFIG_MAPS, config_map("default", "waiting")).await.expect("put");
    cluster.put(&CONFIG_MAPS, owned("left", &waiting, true)).await.expect("put");
    delete(&cluster, "waiting", "Orphan").await;
    settled().await;
    assert!(there(&cluster, "child").await, "nobody collects on a bare server");
    assert!(cluster.get(&ACCOUNTS, Some("default"), "default").await.is_none());
    server.stop();

    let server = open(store).await;
    let cluster = add(&server, "hub").await;
    settled().await;
    assert!(!there(&cluster, "child").await && !there(&cluster, "waiting").await);
    assert!(there(&cluster, "left").await);
    let account = cluster.get(&ACCOUNTS, Some("kube-system"), "default").await;
    assert!(account.is_some(), "namespaces of an older store are furnished");
}

#[tokio::test]
async fn a_namespace_always_has_its_account_and_the_authority_of_the_cluster() {
    let server = open(MemoryStore::new()).await;
    server.set_certificate_authority("PEM of ours");
    let cluster = add(&server, "hub").await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"}});
    cluster.put(&NAMESPACES, namespace).await.expect("put");
    cluster.delete(&ACCOUNTS, Some("ns"), "default").await.expect("deleted");
    assert!(cluster.get(&ACCOUNTS, Some("ns"), "default").await.is_some(), "it comes back");
    let bundle = cluster.get(&CONFIG_MAPS, Some("ns"), "kube-root-ca.crt").await.expect("there");
    assert_eq!(bundle["data"]["ca.crt"], "PEM of ours");
    let mut spoilt = (*bundle).clone();
    spoilt["data"]["ca.crt"] = json!("PEM of a stranger");
    cluster.put(&CONFIG_MAPS, spoilt).await.expect("put");
    let bundle = cluster.get(&CONFIG_MAPS, Some("ns"), "kube-root-ca.crt").await.expect("there");
    assert_eq!(bundle["data"]["ca.crt"], "PEM of ours");
    cluster.delete(&NAMESPACES, None, "ns").await.expect("deleted");
    assert!(cluster.get(&NAMESPACES, None, "ns").await.is_none(), "nothing holds it");
    assert!(cluster.list(&ACCOUNTS, Some("ns")).await.is_empty());
}

#[tokio::test]
async fn a_namespace_says_what_it_waits_for_and_finalize_lets_it_go() {
    let (_server, cluster) = in_memory().await;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "ns"},
        "spec": {"finalizers": ["example.com/mine"]}});
    cluster.put(&NAMESPACES, namespace).await.expect("put");
    let mut held = config_map("ns", "held");
    held["metadata"]["finalizers"] = json!(["example.com/f"]);
    cluster.put(&CONFIG_MAPS, held).await.expect("put");
    cluster.delete(&NAMESPACES, None, "ns").await.expect("deleted");
    let told = |object: &Value, kind: &str| {
        let all = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|condition| condition["type"] == kind);
        found.map(|c| c["message"].as_str().unwrap_or_default().to_owned())
    };
    let dying = cluster.get(&NAMESPACES, None, "ns").await.expect("waits");
    let remaining = "Some resources are remaining: configmaps. has 1 resource instances";
    assert_eq!(told(&dying, "NamespaceContentRemaining").as_deref(), Some(remaining));
    cluster.put(&CONFIG_MAPS, config_map("ns", "held")).await.expect("freed");
    let dying = cluster.get(&NAMESPACES, None, "ns").await.expect("held by its own finalizer");
    let none = "All content successfully removed";
    assert_eq!(told(&dying, "NamespaceContentRemaining").as_deref(), Some(none));
    let mut freed = (*dying).clone();
    freed["spec"]["finalizers"] = json!(["kubernetes"]);
    let (status, _) =
        send_json(&cluster, "PUT", "/api/v1/namespaces/ns/finalize", Some(freed)).await;
    assert_eq!(status, 200);
    assert!(cluster.get(&NAMESPACES, None, "ns").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_ends_an_hour_after_its_last_word() {
    let (_server, cluster) = in_memory().await;
    let events = ResourceRef::new("", "v1", "events");
    let event = |count: u64| {
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e", "namespace": "default"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}, "count": count})
    };
    let minutes = |n: u64| tokio::time::sleep(std::time::Duration::from_secs(60 * n));
    cluster.put(&events, event(1)).await.expect("put");
    minutes(40).await;
    cluster.put(&events, event(2)).await.expect("put");
    minutes(59).await;
    assert!(cluster.get(&events, Some("default"), "e").await.is_some(), "it was seen again");
    minutes(2).await;
    assert!(cluster.get(&events, Some("default"), "e").await.is_none());
}

#[tokio::test(start_paused = true)]
async fn an_event_is_there_as_owner_under_both_its_groups() {
    let (_server, cluster) = in_memory().await;
    let events = ResourceRef::new("", "v1", "events");
    let event = json!({"apiVersion": "v1", "kind": "Event",
        "metadata": {"name": "e", "namespace": "default"},
        "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}});
    let owner = cluster.put(&events, event).await.expect("put");
    let mut child = owned("child", &owner, false);
    child["metadata"]["ownerReferences"][0]["kind"] = json!("Event");
    child["metadata"]["ownerReferences"][0]["apiVersion"] = json!("events.k8s.io/v1");
    cluster.put(&CONFIG_MAPS, child).await.expect("put");
    settled().await;
    assert!(there(&cluster, "child").await);
    cluster.delete(&events, Some("default"), "e").await.expect("deleted");
    settled().await;
    assert!(!there(&cluster, "child").await);
}
