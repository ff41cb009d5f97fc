//! What is learned through one account stays with it, for another may not be allowed to know it; and all that goes through it
//! share one signing in.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_names::PoolName;
use fleetwright_provider::{Access, HttpOut, HttpOutError, Provider as _, Secret};
use fleetwright_provider_aks::AksProvider;
use http::Request;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

use crate::credentials::{entra, lines};
use crate::support::{
    Answer, CLUSTER, Hand, access, access_to, account, address, answering, answering_by, azure,
    kubeconfig, ok, refusal, settings, step, token, told_cluster, with,
};
use crate::wire::{update, web};

/// As another account of the same identity, or as another namespace.
fn others() -> [Access; 2] {
    let mut reader = account();
    reader["metadata"]["name"] = json!("azure-reader");
    let namespace = "elsewhere".to_owned();
    [access_to(reader), Access { namespace, ..access() }]
}

/// The example without Entra ID, whose kubeconfig nobody may read once `denied`.
fn local(line: &str, denied: &AtomicBool) -> Answer {
    if line.contains("listClusterUserCredential") {
        if denied.load(Ordering::Relaxed) {
            return refusal(403, "AuthorizationFailed", "a reader may not");
        }
        return ok(&kubeconfig(Some("local-1")));
    }
    let mut cluster = told_cluster();
    cluster["properties"]["aadProfile"] = Value::Null;
    if line.ends_with(&format!("{CLUSTER}{}", crate::support::VERSION)) {
        return ok(&cluster);
    }
    azure(line)
}

#[tokio::test]
async fn what_one_account_may_read_another_is_not_given() {
    let denied = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&denied);
    let (provider, _) = answering(move |line| local(line, &now));
    let authority = async |access: &Access| {
        let snapshot = provider.observe(access, &address(), None).await;
        snapshot.cluster.present().expect("there").certificate_authority.clone()
    };
    assert!(authority(&access()).await.is_some());
    provider.token(&access(), &address()).await.expect("a token");
    denied.store(true, Ordering::Relaxed);
    for other in others() {
        assert_eq!(authority(&other).await, None, "{other:?}");
        let error = provider.token(&other, &address()).await.expect_err("a reader");
        assert_eq!(error.code, "Unauthorized", "{error}");
    }
    assert!(authority(&access()).await.is_some(), "kept for whom it was read");
    provider.token(&access(), &address()).await.expect("kept for whom it was read");
}

#[tokio::test]
async fn a_secret_that_changes_forgets_what_was_read_with_it() {
    let denied = Arc::new(AtomicBool::new(false));
    let now = Arc::clone(&denied);
    let (provider, sent) = answering(move |line| local(line, &now));
    let mut account = account();
    account["spec"]["azure"]["identity"] =
        json!({"type": "Secret", "secretRef": {"name": "azure"}});
    let with_secret = |text: &str| {
        let secret = |text: &str| Secret::new(text.to_owned());
        let data = BTreeMap::from([
            ("tenant_id".to_owned(), secret(crate::support::TENANT)),
            ("client_id".to_owned(), secret(crate::support::CLIENT)),
            ("client_secret".to_owned(), secret(text)),
        ]);
        Access { secret: Some(data), ..access_to(account.clone()) }
    };
    let reads = || sent.lines().iter().filter(|line| line.contains("listClusterUser")).count();
    for (secret, expected) in [("one", 1), ("one", 1), ("two", 2), ("two", 2)] {
        provider.token(&with_secret(secret), &address()).await.expect("a token");
        assert_eq!(reads(), expected, "with secret {secret}");
    }
}

#[tokio::test]
async fn work_is_followed_by_the_account_that_began_it() {
    const OPERATION: &str = "https://management.azure.com/subscriptions/x/operations/op-1";
    let (provider, sent, clock) = answering_by(|line| {
        if line.starts_with("PUT ") {
            return with(201, &[("azure-asyncoperation", OPERATION)], &json!({}));
        }
        if line.contains("/operations/op-1") {
            return ok(&json!({"name": "op-1", "status": "InProgress"}));
        }
        azure(line)
    });
    let body = json!({"operation": "AgentPools_CreateOrUpdate", "merge": {}});
    provider.act(&access(), &step(web(), update("scaling", body))).await.expect("begun");
    clock.forward(60);
    let last = async |access: &Access| {
        let snapshot = provider.observe(access, &address(), None).await;
        let web = snapshot.pools[&PoolName::new("web").expect("a name")].present().cloned();
        web.expect("there").last_update.map(|update| update.id)
    };
    for other in others() {
        assert_eq!(last(&other).await, None, "{other:?}");
    }
    assert!(sent.lines().iter().all(|line| !line.contains("op-1")), "{:?}", sent.lines());
    assert_eq!(last(&access()).await.as_deref(), Some("op-1"));
}

#[tokio::test]
async fn a_failure_to_sign_in_is_shared_for_some_seconds() {
    let (http, asked) = entra(|_| with(503, &[], &json!({"error": "temporarily_unavailable"})));
    let clock = Hand::new();
    let provider = AksProvider::new(settings(http, &clock));
    for (seconds, times) in [(0, 1), (4, 1), (1, 2), (0, 2)] {
        clock.forward(seconds);
        let snapshot = provider.observe(&access(), &address(), None).await;
        assert!(snapshot.cluster.present().is_none());
        assert_eq!(lines(&asked).len(), times, "after {seconds} s more");
    }
}

/// A way out whose Entra ID gives tokens for Resource Manager, and lets who wants one for members wait.
fn slow_for_members(asked: &Arc<AtomicUsize>) -> HttpOut {
    let asked = Arc::clone(asked);
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let line = format!("{} {}", request.method(), request.uri());
        let for_member = String::from_utf8_lossy(request.body()).contains("6dae42f8");
        let asked = Arc::clone(&asked);
        async move {
            if !line.contains("/oauth2/") {
                return azure(&line.replace("https://management.azure.com", ""));
            }
            if for_member {
                asked.fetch_add(1, Ordering::Relaxed);
                tokio::time::sleep(Duration::from_secs(20)).await;
                return Err(HttpOutError::Timeout("20 s".into()));
            }
            Ok(token("s", 3600))
        }
    }))
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_one_token_holds_up_nobody_else_and_all_share_what_comes() {
    let asked = Arc::new(AtomicUsize::new(0));
    let provider = AksProvider::new(settings(slow_for_members(&asked), &Hand::new()));
    let (access, address) = (access(), address());
    provider.observe(&access, &address, None).await;
    let begin = tokio::time::Instant::now();
    let look = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        provider.observe(&access, &address, None).await;
        begin.elapsed()
    };
    let members = futures::future::join_all((0..20).map(|_| provider.token(&access, &address)));
    let (looked, tokens) = futures::join!(look, members);
    assert_eq!(looked, Duration::from_secs(1), "a held token is had at once");
    assert!(tokens.iter().all(Result::is_err));
    assert_eq!(begin.elapsed(), Duration::from_secs(20));
    assert_eq!(asked.load(Ordering::Relaxed), 1, "one fetch for all");
}
