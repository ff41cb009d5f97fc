//! What goes over the wire, and in which order.

use std::collections::BTreeMap;

use fleetwright_errclass::Class;
use fleetwright_names::{HubId, PoolName, Uid};
use fleetwright_plan::{CloudAction, Resource, Update};
use fleetwright_provider::Provider as _;
use serde_json::{Value, json};

use crate::support::{
    Answer, CLUSTER, Recorded, VERSION, access, answering, azure, desired, not_found, ok, owner,
    pool_tags, step, tags, tags_of, told_cluster, told_pool, with,
};

pub(crate) fn web() -> Resource {
    Resource::Pool(PoolName::new("web").expect("a name"))
}

pub(crate) fn update(what: &str, body: Value) -> CloudAction {
    CloudAction::Update(Update {
        what: what.into(),
        differences: Vec::new(),
        body,
        governed: None,
        upgrade: None,
    })
}

/// Reads give the example, writes are taken.
fn taking(line: &str) -> Answer {
    if line.starts_with("GET ") { azure(line) } else { with(200, &[], &json!({})) }
}

fn headers(of: &Recorded, names: &[&str]) -> Vec<Option<String>> {
    names.iter().map(|name| of.headers.get(*name).cloned()).collect()
}

#[tokio::test]
async fn a_cluster_is_asked_for_only_if_there_is_none() {
    let (provider, sent) = answering(|_| with(201, &[("x-ms-request-id", "r-1")], &json!({})));
    let create = step(Resource::Cluster, CloudAction::Create { body: desired().body });
    let receipt = provider.act(&access(), &create).await.expect("made");
    assert_eq!(
        receipt.calls,
        [("aks:ManagedClusters_CreateOrUpdate".to_owned(), Some("r-1".to_owned()))]
    );
    let sent = sent.all();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].line, format!("PUT {CLUSTER}{VERSION}"));
    assert_eq!(
        sent[0].headers,
        BTreeMap::from([
            ("accept".to_owned(), "application/json".to_owned()),
            ("content-type".to_owned(), "application/json".to_owned()),
            ("if-none-match".to_owned(), "*".to_owned()),
            ("user-agent".to_owned(), "fleetwright/0.1.0".to_owned()),
        ])
    );
    assert!(sent[0].bearer.starts_with("Bearer e30."), "the token goes on at the very end");
    assert_eq!(sent[0].body["location"], "westeurope");
    assert_eq!(sent[0].body["tags"], tags());
    assert_eq!(sent[0].body["properties"]["agentPoolProfiles"][0]["name"], "system");
    let notes = sent[0].body.as_object().expect("a map").keys().filter(|key| key.starts_with('_'));
    assert_eq!(notes.count(), 0, "notes of ours stay here");
}

#[tokio::test]
async fn a_pool_is_asked_for_only_if_there_is_none() {
    let (provider, sent) = answering(|_| with(201, &[], &json!({})));
    let body =
        desired().pools.iter().find(|pool| pool.name.as_str() == "web").map(|p| p.body.clone());
    let create = step(web(), CloudAction::Create { body: body.expect("web is declared") });
    provider.act(&access(), &create).await.expect("made");
    let sent = sent.last();
    assert_eq!(sent.line, format!("PUT {CLUSTER}/agentPools/web{VERSION}"));
    assert_eq!(headers(&sent, &["if-none-match", "if-match"]), [Some("*".to_owned()), None]);
    assert_eq!(sent.body["properties"]["tags"], pool_tags());
    assert_eq!(sent.body["properties"]["vmSize"], "Standard_D8ds_v5");
}

#[tokio::test]
async fn a_change_of_a_cluster_brings_back_all_that_was_read() {
    let (provider, sent) = answering(taking);
    let body = json!({
        "operation": "ManagedClusters_CreateOrUpdate",
        "merge": {"properties": {"kubernetesVersion": "1.35"}}
    });
    provider.act(&access(), &step(Resource::Cluster, update("version", body))).await.expect("done");
    assert_eq!(
        sent.lines(),
        [format!("GET {CLUSTER}{VERSION}"), format!("PUT {CLUSTER}{VERSION}")]
    );
    let sent = sent.last();
    assert_eq!(headers(&sent, &["if-match", "if-none-match"]), [Some("\"c-1\"".to_owned()), None]);
    assert_eq!(sent.body["properties"]["kubernetesVersion"], "1.35");
    assert_eq!(sent.body["properties"]["fromTomorrow"], json!({"kept": true}));
    assert_eq!(sent.body["properties"]["agentPoolProfiles"][1]["count"], 4);
    assert_eq!(sent.body["properties"]["agentPoolProfiles"][1]["orchestratorVersion"], "1.34");
    assert_eq!(sent.body["tags"], tags());
    for read_only in ["id", "name", "type", "eTag"] {
        assert_eq!(sent.body[read_only], Value::Null, "{read_only} is Azure's to write");
    }
    assert_eq!(sent.body["properties"]["provisioningState"], Value::Null);
    assert_eq!(sent.body["identity"], json!({"type": "SystemAssigned"}));
}

#[tokio::test]
async fn a_change_of_a_pool_brings_back_all_that_was_read() {
    let (provider, sent) = answering(taking);
    let body = json!({
        "operation": "AgentPools_CreateOrUpdate",
        "merge": {"properties": {"maxCount": 20, "nodeLabels": null}}
    });
    provider.act(&access(), &step(web(), update("scaling", body))).await.expect("done");
    let sent = sent.last();
    assert_eq!(sent.line, format!("PUT {CLUSTER}/agentPools/web{VERSION}"));
    assert_eq!(headers(&sent, &["if-match"]), [Some("\"web-1\"".to_owned())]);
    assert_eq!(
        sent.body,
        json!({"properties": {
            "powerState": {"code": "Running"},
            "count": 4,
            "maxCount": 20,
            "vmSize": "Standard_D8ds_v5",
            "mode": "User",
            "osType": "Linux",
            "osSKU": "AzureLinux",
            "orchestratorVersion": "1.34",
            "enableAutoScaling": true,
            "tags": pool_tags(),
            "fromTomorrow": 1
        }})
    );
}

#[tokio::test]
async fn tags_are_written_whole_and_by_a_patch() {
    let (provider, sent) = answering(taking);
    let body = json!({
        "operation": "ManagedClusters_UpdateTags",
        "merge": {"tags": {"Team": "shop", "cost": "7"}}
    });
    provider.act(&access(), &step(Resource::Cluster, update("tags", body))).await.expect("done");
    let sent = sent.last();
    assert_eq!(sent.line, format!("PATCH {CLUSTER}{VERSION}"));
    assert_eq!(headers(&sent, &["if-match"]), [Some("\"c-1\"".to_owned())]);
    let mut expected = tags_of(&owner());
    expected["Team"] = json!("shop");
    expected["cost"] = json!("7");
    assert_eq!(sent.body, json!({"tags": expected}));
}

#[tokio::test]
async fn a_newer_image_is_a_post_without_a_body() {
    let (provider, sent) = answering(|line| {
        if line.starts_with("GET ") { azure(line) } else { with(202, &[], &Value::Null) }
    });
    let body = json!({"operation": "AgentPools_UpgradeNodeImageVersion", "merge": {}});
    provider.act(&access(), &step(web(), update("image", body))).await.expect("done");
    let sent = sent.last();
    assert_eq!(
        sent.line,
        format!("POST {CLUSTER}/agentPools/web/upgradeNodeImageVersion{VERSION}")
    );
    assert_eq!(headers(&sent, &["content-length"]), [Some("0".to_owned())]);
    assert_eq!(sent.body, Value::Null);
}

#[tokio::test]
async fn what_is_ours_is_deleted_if_it_is_still_what_was_read() {
    for (resource, path, etag) in
        [(Resource::Cluster, "", "\"c-1\""), (web(), "/agentPools/web", "\"web-1\"")]
    {
        let (provider, sent) = answering(|line| {
            if line.starts_with("GET ") { azure(line) } else { with(202, &[], &Value::Null) }
        });
        provider.act(&access(), &step(resource, CloudAction::Delete)).await.expect("deleted");
        let sent = sent.last();
        assert_eq!(sent.line, format!("DELETE {CLUSTER}{path}{VERSION}"));
        assert_eq!(headers(&sent, &["if-match"]), [Some(etag.to_owned())]);
    }
}

#[tokio::test]
async fn what_is_gone_or_going_needs_no_delete() {
    let (provider, sent) = answering(|_| not_found());
    for action in [CloudAction::Delete, CloudAction::Release] {
        for resource in [Resource::Cluster, web(), schedule()] {
            let receipt = provider.act(&access(), &step(resource, action.clone())).await;
            assert_eq!(receipt.expect("nothing to do").calls, []);
        }
    }
    assert!(sent.lines().iter().all(|line| line.starts_with("GET ")), "{:?}", sent.lines());
    let (provider, sent) = answering(|_| {
        let mut cluster = told_cluster();
        cluster["properties"]["provisioningState"] = json!("Deleting");
        ok(&cluster)
    });
    provider.act(&access(), &step(Resource::Cluster, CloudAction::Delete)).await.expect("going");
    assert_eq!(sent.lines().len(), 1);
}

#[tokio::test]
async fn letting_go_replaces_our_tags_in_one_write() {
    let (provider, sent) = answering(taking);
    provider
        .act(&access(), &step(Resource::Cluster, CloudAction::Release))
        .await
        .expect("released");
    assert_eq!(sent.last().line, format!("PATCH {CLUSTER}{VERSION}"));
    assert_eq!(
        sent.last().body,
        json!({"tags": {"team": "retail", "fleetwright.dev_released": "0001"}})
    );
    provider.act(&access(), &step(web(), CloudAction::Release)).await.expect("released");
    assert_eq!(sent.last().line, format!("PUT {CLUSTER}/agentPools/web{VERSION}"));
    assert_eq!(
        sent.last().body["properties"]["tags"],
        json!({"team": "retail", "fleetwright.dev_pool": "web", "fleetwright.dev_released": "0001"})
    );
}

#[tokio::test]
async fn what_was_released_may_be_claimed_and_loses_the_mark() {
    let (provider, sent) = answering(|line| {
        let mut cluster = told_cluster();
        cluster["tags"] = json!({"Team": "x", "fleetwright.dev_released": "0000"});
        if line.starts_with("GET ") { ok(&cluster) } else { with(200, &[], &json!({})) }
    });
    let mut all = owner().tags();
    all.insert("team".into(), "retail".into());
    let claim = CloudAction::Claim { tags: all, from: None };
    provider.act(&access(), &step(Resource::Cluster, claim)).await.expect("claimed");
    assert_eq!(sent.last().line, format!("PATCH {CLUSTER}{VERSION}"));
    assert_eq!(sent.last().body, json!({"tags": tags()}));
}

fn schedule() -> Resource {
    let parts = with_windows().parts;
    Resource::Part(parts.first().expect("a maintenance configuration").key.clone())
}

fn with_windows() -> fleetwright_plan::DesiredCluster {
    let mut cluster = crate::support::cluster();
    cluster["spec"]["aks"]["maintenanceConfigurations"] = json!([{
        "name": "aksManagedAutoUpgradeSchedule",
        "windows": [{"days": ["Tue"], "start": "02:00", "duration": "4h"}],
        "utcOffset": "+01:00"
    }]);
    crate::support::desire(cluster, crate::support::account()).expect("no problems")
}

#[tokio::test]
async fn a_maintenance_configuration_is_made_where_there_is_none_on_a_cluster_of_ours() {
    let (provider, sent) = answering(taking);
    let path = format!("{CLUSTER}/maintenanceConfigurations/aksManagedAutoUpgradeSchedule");
    let body = with_windows().parts[0].body.clone();
    let create = step(schedule(), CloudAction::Create { body: body.clone() });
    provider.act(&access(), &create).await.expect("made");
    assert_eq!(
        sent.lines(),
        [
            format!("GET {CLUSTER}{VERSION}"),
            format!("GET {path}{VERSION}"),
            format!("PUT {path}{VERSION}")
        ]
    );
    assert_eq!(sent.last().body, body);
    let (provider, _) = answering(|line| {
        if line.contains("/maintenanceConfigurations/") { ok(&json!({})) } else { azure(line) }
    });
    let error = provider.act(&access(), &create).await.expect_err("taken");
    assert_eq!((error.class, error.code), (Class::Conflict, "AlreadyExists"));
}

#[tokio::test]
async fn nothing_is_touched_whose_tags_do_not_say_ours() {
    let mut earlier = owner();
    earlier.uid = Uid::new("0000").expect("a uid");
    let mut other = owner();
    other.hub = HubId::new("cd34").expect("a hub id");
    // A claim of what the step does not name: it says that an earlier life of uid 0abc had it.
    let from = Some(Uid::new("0abc").expect("a uid"));
    let body = json!({"operation": "AgentPools_CreateOrUpdate", "merge": {}});
    for tags in [json!({}), tags_of(&earlier), tags_of(&other)] {
        for action in [
            CloudAction::Delete,
            CloudAction::Release,
            update("config", body.clone()),
            CloudAction::Claim { tags: owner().tags(), from: from.clone() },
        ] {
            for resource in [Resource::Cluster, web()] {
                let tags = tags.clone();
                let (provider, sent) = answering(move |line| {
                    let mut cluster = told_cluster();
                    cluster["tags"] = tags.clone();
                    let mut pool = told_pool("web", 4);
                    pool["properties"]["tags"] = tags.clone();
                    ok(if line.contains("/agentPools/") { &pool } else { &cluster })
                });
                let error = provider
                    .act(&access(), &step(resource.clone(), action.clone()))
                    .await
                    .expect_err("left alone");
                assert_eq!((error.class, error.code), (Class::Refused, "NotOurs"), "{action:?}");
                assert_eq!(sent.lines().len(), 1, "only read: {:?}", sent.lines());
            }
        }
    }
}
