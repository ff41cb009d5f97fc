//! What is read, how far links are followed, and how work that goes on is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_names::PoolName;
use fleetwright_plan::{CloudAction, Phase, Resource, Seen, UpdateState};
use fleetwright_provider::Provider as _;
use http::Response;
use serde_json::{Value, json};

use crate::support::{
    Answer, CLUSTER, SUBSCRIPTION, VERSION, access, account, address, answering, answering_by,
    azure, cluster, desire, desired, not_found, ok, owner, refusal, step, told_cluster, told_pool,
    with,
};
use crate::wire::{update, web};

#[tokio::test]
async fn a_look_reads_everything_that_status_needs() {
    let (provider, sent) = answering(|line| match line {
        line if line.contains("skiptoken=2") => {
            let mut pool = told_pool("web", 4);
            pool["properties"]["provisioningState"] = json!("Failed");
            pool["properties"]["status"] = json!({"provisioningError": {
                "code": "ZonalAllocationFailed", "message": "no Standard_D8ds_v5 in zone 2"
            }});
            ok(&json!({"value": [pool, {"name": "Not_one_of_ours"}]}))
        }
        line if line.contains("/agentPools?") => ok(&json!({
            "value": [told_pool("system", 3)],
            "nextLink": format!("https://management.azure.com{CLUSTER}/agentPools{VERSION}&skiptoken=2"),
        })),
        line => azure(line),
    });
    let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
    let cluster = snapshot.cluster.present().expect("present");
    assert_eq!((cluster.phase, cluster.trouble.as_str()), (Phase::Active, ""));
    assert_eq!(cluster.version, "1.34.2");
    assert_eq!(
        cluster.endpoint.as_deref(),
        Some("https://retail-we-x1.hcp.westeurope.azmk8s.io:443")
    );
    assert_eq!(cluster.certificate_authority.as_deref(), Some("-----BEGIN CERTIFICATE-----\n"));
    assert_eq!(
        cluster.oidc_issuer.as_deref(),
        Some("https://westeurope.oic.prod-aks.azure.com/x/y/")
    );
    assert_eq!(cluster.tags["fleetwright.dev/uid"], "0001");
    let names: Vec<&str> = snapshot.pools.keys().map(PoolName::as_str).collect();
    assert_eq!(names, ["system", "web"], "both pages, and no name that cannot be ours");
    let Seen::Present(pool) = &snapshot.pools[&PoolName::new("web").expect("a name")] else {
        unreachable!("the pool is there")
    };
    assert_eq!((pool.phase, pool.size), (Phase::Active, 4), "it works on");
    assert_eq!(pool.trouble, "ZonalAllocationFailed: no Standard_D8ds_v5 in zone 2");
    assert_eq!(pool.release.as_deref(), Some("AKSAzureLinux-V3gen2-202611.01.0"));
    assert_eq!(
        sent.lines(),
        [
            format!("GET {CLUSTER}{VERSION}"),
            format!("POST {CLUSTER}/listClusterUserCredential{VERSION}&format=exec"),
            format!("GET {CLUSTER}/agentPools{VERSION}"),
            format!("GET {CLUSTER}/agentPools{VERSION}&skiptoken=2"),
        ]
    );
    provider.observe(&access(), &address(), None).await;
    let again = sent.lines();
    let asked = again.iter().filter(|line| line.contains("listClusterUserCredential"));
    assert_eq!(asked.count(), 1, "the certificate authority is kept for a while");
}

#[tokio::test]
async fn a_next_page_elsewhere_is_not_followed() {
    let (provider, sent) = answering(|line| {
        if line.contains("/agentPools?") {
            return ok(&json!({"value": [], "nextLink": "https://evil.example/agentPools"}));
        }
        azure(line)
    });
    let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
    let Seen::Unknown { why, .. } = snapshot.cluster else { unreachable!("half a list is none") };
    assert!(why.contains("not at Azure Resource Manager"), "{why}");
    assert!(sent.lines().iter().all(|line| !line.contains("evil")), "{:?}", sent.lines());
}

#[tokio::test]
async fn what_is_not_there_is_absent_with_or_without_its_group() {
    let answers: [fn(&str) -> Answer; 2] = [
        |_| not_found(),
        |_| refusal(404, "ResourceGroupNotFound", "Resource group 'rg-retail' could not be found."),
    ];
    for answer in answers {
        let (provider, _) = answering(answer);
        let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
        assert_eq!(snapshot.cluster, Seen::Absent);
    }
    let (provider, _) =
        answering(|_| refusal(404, "SubscriptionNotFound", "The subscription was not found."));
    let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
    assert!(matches!(snapshot.cluster, Seen::Unknown { .. }), "another tenant's may be there");
}

#[tokio::test]
async fn only_azure_itself_says_that_nothing_is_there() {
    let of = |code: &str| json!({"error": {"code": code, "message": "see"}}).to_string();
    let answers = [
        ("nothing", 404, String::new()),
        ("a proxy", 404, "<html><body>404 Not Found</body></html>".to_owned()),
        ("no code", 404, r#"{"message": "no Route matched with those values"}"#.to_owned()),
        ("a list", 404, "[]".to_owned()),
        ("no such type", 404, of("InvalidResourceType")),
        ("a bad request", 400, of("ResourceNotFound")),
    ];
    for (what, status, body) in answers {
        let (provider, _) = answering(move |_| {
            let answer = Response::builder().status(status).body(Bytes::from(body.clone()));
            Ok(answer.expect("a response"))
        });
        let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
        assert!(matches!(snapshot.cluster, Seen::Unknown { .. }), "{what}: {snapshot:?}");
        for action in [CloudAction::Delete, CloudAction::Release] {
            for resource in [Resource::Cluster, web()] {
                let done = provider.act(&access(), &step(resource, action.clone())).await;
                let error = done.expect_err(what);
                assert!(matches!(error.code, "ApiNotThere" | "InvalidRequest"), "{what}: {error}");
            }
        }
    }
    let codes = ["ResourceNotFound", "NotFound", "ParentResourceNotFound", "ResourceGroupNotFound"];
    for code in codes {
        let (provider, _) = answering(move |_| refusal(404, code, "gone"));
        let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
        assert_eq!(snapshot.cluster, Seen::Absent, "{code}");
    }
}

#[tokio::test]
async fn without_the_list_of_maintenance_windows_the_rest_is_seen() {
    let mut declared = cluster();
    declared["spec"]["aks"]["maintenanceConfigurations"] = json!([{
        "name": "default", "windows": [{"days": ["Tue"], "start": "02:00", "duration": "4h"}],
    }]);
    let desired = desire(declared, account()).expect("no problems");
    let (provider, _) = answering(|line| {
        if line.contains("/maintenanceConfigurations") {
            return refusal(403, "AuthorizationFailed", "no role for maintenanceConfigurations");
        }
        azure(line)
    });
    let snapshot = provider.observe(&access(), &address(), Some(&desired)).await;
    assert_eq!(snapshot.cluster.present().map(|it| it.phase), Some(Phase::Active));
    assert_eq!(snapshot.pools.len(), 2);
    let names: Vec<&str> = snapshot.parts.keys().map(|key| key.name.as_str()).collect();
    assert_eq!(names, ["(list)", "default"]);
    for (key, seen) in &snapshot.parts {
        let Seen::Unknown { why, .. } = seen else { unreachable!("{key}: {seen:?}") };
        assert!(why.contains("no role for maintenanceConfigurations"), "{why}");
    }
    let changes = provider.diff(&desired, &snapshot);
    let parts = changes.iter().filter(|change| matches!(change.resource, Resource::Part(_)));
    assert_eq!(parts.count(), 0, "nothing is made that may be there: {changes:?}");
}

const OPERATION: &str = "https://management.azure.com/subscriptions/33333333-3333-4333-8333-333333333333/providers/Microsoft.ContainerService/locations/westeurope/operations/op-1?api-version=2016-03-30";

#[tokio::test]
async fn work_that_goes_on_is_followed_until_it_is_over() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let (provider, sent, clock) = answering_by(move |line| {
        if line.starts_with("PUT ") {
            let headers = [("azure-asyncoperation", OPERATION), ("retry-after", "20")];
            return with(201, &headers, &json!({}));
        }
        if !line.contains("/operations/op-1") {
            return azure(line);
        }
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => ok(&json!({"name": "op-1", "status": "InProgress"})),
            _ => ok(&json!({"name": "op-1", "status": "Failed", "error": {
                "code": "ReconcileError", "message": "it did not work",
                "details": [{"code": "SubnetIsFull", "message": "no address is left"}]
            }})),
        }
    });
    let body = json!({"operation": "AgentPools_CreateOrUpdate", "merge": {}});
    provider.act(&access(), &step(web(), update("scaling", body))).await.expect("begun");
    let mut last = Vec::new();
    for seconds in [5, 20, 20, 20] {
        clock.forward(seconds);
        let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
        let Seen::Present(pool) = &snapshot.pools[&PoolName::new("web").expect("a name")] else {
            unreachable!("the pool is there")
        };
        let update = pool.last_update.clone().expect("an update");
        assert_eq!((update.id.as_str(), update.what.as_str()), ("op-1", "scaling"));
        assert_eq!(update.at.to_string(), "2026-11-23T01:00:00Z");
        last.push((update.state, update.trouble, asked.load(Ordering::Relaxed)));
    }
    let words = "ReconcileError: it did not work; SubnetIsFull: no address is left".to_owned();
    assert_eq!(
        last,
        [
            (UpdateState::InProgress, String::new(), 0),
            (UpdateState::InProgress, String::new(), 1),
            (UpdateState::Failed, words.clone(), 2),
            (UpdateState::Failed, words, 2),
        ],
        "asked as rarely as Azure wants, and no more once it is over"
    );
    let line = OPERATION.replace("https://management.azure.com", "GET ");
    assert!(sent.lines().contains(&line), "{:?}", sent.lines());
}

#[tokio::test]
async fn work_that_may_not_be_asked_for_holds_nothing_up() {
    let (provider, _, clock) = answering_by(|line| {
        if line.starts_with("PUT ") {
            return with(201, &[("azure-asyncoperation", OPERATION)], &json!({}));
        }
        if line.contains("/operations/op-1") {
            return refusal(403, "AuthorizationFailed", "no role");
        }
        azure(line)
    });
    let body = json!({"operation": "AgentPools_CreateOrUpdate", "merge": {}});
    provider.act(&access(), &step(web(), update("scaling", body))).await.expect("begun");
    clock.forward(60);
    let snapshot = provider.observe(&access(), &address(), Some(&desired())).await;
    let web = snapshot.pools[&PoolName::new("web").expect("a name")].present().cloned();
    assert_eq!(web.expect("there").last_update, None, "the pool itself says that it is done");
}

#[tokio::test]
async fn work_is_not_followed_to_another_place() {
    let (provider, sent, clock) = answering_by(|line| {
        if line.starts_with("PUT ") {
            let headers = [("azure-asyncoperation", "https://evil.example/operations/op-1")];
            return with(201, &headers, &json!({}));
        }
        azure(line)
    });
    let body = json!({"operation": "AgentPools_CreateOrUpdate", "merge": {}});
    provider.act(&access(), &step(web(), update("scaling", body))).await.expect("begun");
    clock.forward(60);
    provider.observe(&access(), &address(), Some(&desired())).await;
    assert!(sent.lines().iter().all(|line| !line.contains("evil")), "{:?}", sent.lines());
}

#[tokio::test]
async fn a_next_version_that_is_not_offered_blocks() {
    for (offered, blockers) in [
        (json!([{"kubernetesVersion": "1.35.0"}]), vec![]),
        (
            json!([{"kubernetesVersion": "1.34.4"}]),
            vec!["AKS does not offer 1.35 to this cluster; it offers 1.34.4".to_owned()],
        ),
        (
            Value::Null,
            vec!["AKS does not offer 1.35 to this cluster; it offers nothing".to_owned()],
        ),
    ] {
        let (provider, sent) = answering(move |line| {
            if line.contains("/upgradeProfiles/default") {
                let control = json!({"kubernetesVersion": "1.34.2", "upgrades": offered.clone()});
                return ok(&json!({"properties": {"controlPlaneProfile": control}}));
            }
            azure(line)
        });
        let mut desired = desired();
        desired.version.minor = 35;
        let snapshot = provider.observe(&access(), &address(), Some(&desired)).await;
        let cluster = snapshot.cluster.present().expect("present");
        assert_eq!(cluster.blockers, Some(blockers));
        let line = format!("GET {CLUSTER}/upgradeProfiles/default{VERSION}");
        assert!(sent.lines().contains(&line), "{:?}", sent.lines());
    }
}

#[tokio::test]
async fn what_carries_our_tags_is_listed_over_all_pages() {
    let (provider, sent) = answering(|line| {
        if line.contains("skiptoken") {
            let mut elsewhere = told_cluster();
            elsewhere["location"] = json!("eastus");
            let mut far = told_cluster();
            far["id"] = json!(CLUSTER.replace("retail-we", "second"));
            far["location"] = json!("West Europe");
            return ok(&json!({"value": [elsewhere, far]}));
        }
        let mut stranger = told_cluster();
        stranger["tags"] = json!({});
        stranger["properties"]["agentPoolProfiles"] = json!([]);
        let path = line.trim_start_matches("GET ");
        let next = format!("https://management.azure.com{path}&$skiptoken=2");
        ok(&json!({"value": [stranger, told_cluster()], "nextLink": next}))
    });
    let mut anywhere = address();
    anywhere.external_name = SUBSCRIPTION.into();
    let owned = provider.list_owned(&access(), &anywhere, &owner().hub).await.expect("a list");
    let found: Vec<String> = owned
        .iter()
        .map(|each| format!("{} {}", each.address.external_name, each.resource))
        .collect();
    let at = "33333333-3333-4333-8333-333333333333/rg-retail";
    assert_eq!(
        found,
        [
            format!("{at}/retail-we control plane"),
            format!("{at}/retail-we pool system"),
            format!("{at}/retail-we pool web"),
            format!("{at}/second control plane"),
            format!("{at}/second pool system"),
            format!("{at}/second pool web"),
        ]
    );
    assert_eq!(
        sent.lines()[0],
        format!(
            "GET /subscriptions/33333333-3333-4333-8333-333333333333/providers/Microsoft.ContainerService/managedClusters{VERSION}"
        )
    );
}

#[tokio::test]
async fn half_a_list_of_what_is_ours_is_an_error() {
    let (provider, _) = answering(|_| refusal(403, "AuthorizationFailed", "no role"));
    let error = provider.list_owned(&access(), &address(), &owner().hub).await.expect_err("denied");
    assert_eq!(
        error.to_string(),
        "aks:ManagedClusters_List: clusters of subscription 33333333-3333-4333-8333-333333333333 in westeurope: Azure answered \
         403 AuthorizationFailed: no role; check the identity of the ProviderConfig and its role assignments on the resource \
         group"
    );
    let mut nowhere = address();
    nowhere.external_name = "../../x".into();
    let error = provider.list_owned(&access(), &nowhere, &owner().hub).await.expect_err("no place");
    assert_eq!((error.class, error.code), (Class::Invalid, "InvalidAddress"));
    let error = provider.act(&access(), &step_at("sub/../x")).await.expect_err("no place");
    assert_eq!((error.class, error.code), (Class::Invalid, "InvalidAddress"));
}

fn step_at(external_name: &str) -> fleetwright_plan::CloudStep {
    let mut step = step(Resource::Cluster, CloudAction::Delete);
    step.address.external_name = external_name.into();
    step
}
