//! Who signs in, how often, and what is said when nobody can.

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fleetwright_clock::Clock;
use fleetwright_plan::{Credentials, Snapshot};
use fleetwright_provider::{Access, HttpOut, HttpOutError, Provider as _, Secret};
use fleetwright_provider_aks::{
    AksProvider, AksSettings, DEFAULT_LIMITS, MemberTokenOptions, Source, member_token,
};
use http::Request;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

use crate::support::{
    Answer, CLIENT, Hand, SUBSCRIPTION, TENANT, access, access_to, account, address, azure, ok,
    refusal, secret, settings, token, with,
};

/// Every request for a token: line, headers and text.
pub(crate) type Asked = Arc<Mutex<Vec<(String, BTreeMap<String, String>, String)>>>;

/// A way out that gives tokens by `give`, and the example to whoever has one.
pub(crate) fn entra(
    give: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
) -> (HttpOut, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let http = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let line = format!("{} {}", request.method(), request.uri());
        if line.contains("management.azure.com/subscriptions") {
            let line = line.replace("https://management.azure.com", "");
            return std::future::ready(azure(&line));
        }
        let headers = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()));
        let body = String::from_utf8_lossy(request.body()).into_owned();
        log.lock().expect("the log").push((line.clone(), headers.collect(), body));
        std::future::ready(give(&line))
    }));
    (http, asked)
}

pub(crate) fn lines(asked: &Asked) -> Vec<String> {
    asked.lock().expect("the log").iter().map(|(line, _, _)| line.clone()).collect()
}

/// A provider of the real world over this way.
fn real(http: &HttpOut) -> AksProvider {
    let clock = Hand::new();
    let credentials = Source::Environment { http: http.clone() };
    AksProvider::new(AksSettings { credentials, ..settings(http.clone(), &clock) })
}

fn identity(of: Value) -> Access {
    let mut account = account();
    account["spec"]["azure"]["identity"] = of;
    access_to(account)
}

fn failed(snapshot: &Snapshot) -> (String, String) {
    match &snapshot.credentials {
        Credentials::Failed { code, why } => (code.clone(), why.clone()),
        other => unreachable!("{other:?}"),
    }
}

const FORM: &str = "client_id=1f3bd5e0-5a3b-4a52-8a2c-6d8a4f0e6a11&client_secret=hunter2&grant_type=client_credentials&scope=https%3A%2F%2Fmanagement.azure.com%2F.default";

#[tokio::test]
async fn a_token_is_asked_for_once_and_anew_five_minutes_before_it_ends() {
    let (http, asked) = entra(|_| Ok(token("s", 3600)));
    let clock = Hand::new();
    let provider = AksProvider::new(AksSettings {
        endpoint: None,
        limits: DEFAULT_LIMITS,
        ..settings(http, &clock)
    });
    for (seconds, times) in [(0, 1), (3299, 1), (1, 2), (1, 2)] {
        clock.forward(seconds);
        let snapshot = provider.observe(&access(), &address(), None).await;
        let Credentials::Valid { account, principal, expires_at } = snapshot.credentials else {
            unreachable!("{:?}", snapshot.credentials)
        };
        assert_eq!(account, SUBSCRIPTION);
        assert_eq!(principal, format!("application {CLIENT}, object 5f1c"));
        assert_eq!(expires_at, None);
        assert_eq!(asked.lock().expect("the log").len(), times, "after {seconds} s more");
    }
    let (line, headers, form) = asked.lock().expect("the log")[0].clone();
    assert_eq!(line, format!("POST https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(form, FORM);
}

#[tokio::test]
async fn a_held_token_that_azure_refuses_is_replaced_once() {
    let asked = Arc::new(Mutex::new(0));
    let count = Arc::clone(&asked);
    let http = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let line = format!("{} {}", request.method(), request.uri());
        let line = line.replace("https://management.azure.com", "");
        if line.contains("/oauth2/") {
            let mut count = count.lock().expect("the count");
            *count += 1;
            return std::future::ready(Ok(token(&format!("s{count}"), 3600)));
        }
        let bearer = request.headers()["authorization"].to_str().expect("text").to_owned();
        std::future::ready(if bearer.ends_with("s1") && line.contains("agentPools") {
            refusal(401, "InvalidAuthenticationToken", "revoked")
        } else {
            azure(&line)
        })
    }));
    let provider = AksProvider::new(settings(http, &Hand::new()));
    let snapshot = provider.observe(&access(), &address(), None).await;
    assert_eq!(snapshot.pools.len(), 2, "{snapshot:?}");
    assert_eq!(*asked.lock().expect("the count"), 2);
}

fn aadsts(code: &str, words: &str) -> Answer {
    let description =
        format!("{code}: {words} Trace ID: 11 Correlation ID: 22 Timestamp: 2026-11-23 01:00:00Z");
    let number: i64 = code.trim_start_matches("AADSTS").parse().expect("a number");
    let body = json!({
        "error": "invalid_client", "error_description": description, "error_codes": [number]
    });
    with(401, &[], &body)
}

#[tokio::test]
async fn what_entra_refuses_is_told_in_its_words_without_what_differs_each_time() {
    let table = [
        ("AADSTS7000215", "Invalid client secret provided.", "Unauthorized"),
        ("AADSTS7000222", "The provided client secret keys are expired.", "Expired"),
        ("AADSTS700016", "Application was not found in the directory.", "Unauthorized"),
    ];
    for (name, words, code) in table {
        let (http, _) = entra(move |_| aadsts(name, words));
        let by_grant = AksProvider::new(settings(http.clone(), &Hand::new()));
        let by_library = real(&http);
        let mut in_secret = identity(json!({"type": "Secret", "secretRef": {"name": "azure"}}));
        in_secret.secret = Some(data(true));
        for (provider, access) in [(by_grant, access()), (by_library, in_secret)] {
            let snapshot = provider.observe(&access, &address(), None).await;
            let (found, why) = failed(&snapshot);
            assert_eq!(found, code, "{why}");
            assert!(why.contains(name) && why.contains(words), "{why}");
            assert!(!why.contains("Trace ID") && !why.contains("hunter2"), "{why}");
        }
    }
}

#[tokio::test]
async fn an_entra_that_does_not_answer_says_nothing_about_the_credentials() {
    let table: [fn(&str) -> Answer; 3] = [
        |_| with(503, &[], &json!({"error": "temporarily_unavailable"})),
        |_| Err(HttpOutError::Connect("no route".into())),
        |_| Err(HttpOutError::Timeout("20 s".into())),
    ];
    for give in table {
        let (http, _) = entra(give);
        let mut in_secret = identity(json!({"type": "Secret", "secretRef": {"name": "azure"}}));
        in_secret.secret = Some(data(true));
        let by_grant = AksProvider::new(settings(http.clone(), &Hand::new()));
        for (provider, access) in [(by_grant, access()), (real(&http), in_secret)] {
            let snapshot = provider.observe(&access, &address(), None).await;
            assert_eq!(snapshot.credentials, Credentials::NotAsked, "{snapshot:?}");
            assert!(snapshot.cluster.present().is_none());
        }
    }
}

fn data(whole: bool) -> BTreeMap<String, Secret> {
    let text = |text: &str| Secret::new(text.to_owned());
    let mut data = BTreeMap::from([("client_secret".to_owned(), text("hunter2\n"))]);
    if whole {
        data.insert("tenant_id".into(), text(TENANT));
        data.insert("client_id".into(), text(CLIENT));
    }
    data
}

#[tokio::test]
async fn a_secret_is_used_with_what_the_account_gives_and_missed_when_it_is_not_there() {
    let (http, asked) = entra(|_| Ok(token("s", 3600)));
    let of = json!({"type": "Secret", "secretRef": {"name": "azure"}});
    let provider = real(&http);
    let mut access = identity(of.clone());
    let snapshot = provider.observe(&access, &address(), None).await;
    let (code, why) = failed(&snapshot);
    assert_eq!(code, "SecretMissing");
    assert!(why.contains("Secret azure in Fleetwright's own namespace is not there"), "{why}");
    access.secret = Some(data(false));
    let snapshot = provider.observe(&access, &address(), None).await;
    assert!(failed(&snapshot).1.contains("has no key tenant_id; add it"));
    let mut named = of;
    named["tenantId"] = json!(TENANT);
    named["clientId"] = json!(CLIENT);
    access = Access { secret: Some(data(false)), ..identity(named) };
    let snapshot = provider.observe(&access, &address(), None).await;
    assert!(matches!(snapshot.credentials, Credentials::Valid { .. }), "{snapshot:?}");
    let (line, _, form) = asked.lock().expect("the log")[0].clone();
    assert_eq!(line, format!("POST https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token"));
    assert_eq!(form, FORM);
}

#[tokio::test]
async fn each_cloud_has_its_own_entra_and_resource_manager() {
    let table = [
        ("Public", "login.microsoftonline.com", "management.azure.com"),
        ("China", "login.partner.microsoftonline.cn", "management.chinacloudapi.cn"),
        ("UsGovernment", "login.microsoftonline.us", "management.usgovcloudapi.net"),
    ];
    for (cloud, login, manager) in table {
        let (http, asked) = entra(|line| {
            if line.contains("oauth2") {
                Ok(token("s", 3600))
            } else {
                refusal(404, "NotFound", "")
            }
        });
        let mut account = account();
        account["spec"]["azure"]["cloud"] = json!(cloud);
        account["spec"]["azure"]["identity"] =
            json!({"type": "Secret", "secretRef": {"name": "azure"}});
        let access = Access { secret: Some(data(true)), ..access_to(account) };
        real(&http).observe(&access, &address(), None).await;
        let asked = asked.lock().expect("the log").clone();
        assert_eq!(asked[0].0, format!("POST https://{login}/{TENANT}/oauth2/v2.0/token"));
        let scope = format!("scope=https%3A%2F%2F{manager}%2F.default");
        assert!(asked[0].2.ends_with(&scope), "{}", asked[0].2);
        if cloud != "Public" {
            assert!(asked[1].0.starts_with(&format!("GET https://{manager}/subscriptions/")));
        }
    }
}

#[tokio::test]
async fn a_managed_identity_asks_the_machine() {
    let (http, asked) = entra(|_| {
        let body = json!({
            "access_token": "e30.e30.s", "expires_on": "1795400000", "resource": "r",
            "token_type": "Bearer", "client_id": CLIENT
        });
        ok(&body)
    });
    let snapshot = real(&http)
        .observe(
            &identity(json!({"type": "ManagedIdentity", "clientId": CLIENT})),
            &address(),
            None,
        )
        .await;
    assert!(matches!(snapshot.credentials, Credentials::Valid { .. }), "{snapshot:?}");
    let (line, headers, _) = asked.lock().expect("the log")[0].clone();
    assert_eq!(
        line,
        format!(
            "GET http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01&resource=https%3A%2F%2Fmanagement.azure.com&client_id={CLIENT}"
        )
    );
    assert_eq!(headers["metadata"], "true");
}

#[tokio::test]
async fn nothing_of_a_secret_is_in_a_debug_print() {
    let (http, _) = entra(|_| Ok(token("hunter3", 3600)));
    let provider = AksProvider::new(settings(http, &Hand::new()));
    provider.observe(&access(), &address(), None).await;
    let told = format!("{provider:?}");
    assert!(!told.contains("hunter"), "{told}");
}

#[tokio::test]
async fn a_token_for_a_member_is_entras_or_without_it_the_kubeconfigs() {
    let (http, asked) = entra(|_| Ok(token("s", 3600)));
    let provider = AksProvider::new(settings(http, &Hand::new()));
    let found = provider.token(&access(), &address()).await.expect("a token");
    assert!(found.token.expose().ends_with(".s"));
    assert_eq!(found.expires_at.to_string(), "2026-11-23T02:00:00Z");
    let last = asked.lock().expect("the log").last().cloned().expect("asked");
    assert!(last.2.ends_with("scope=6dae42f8-4368-4678-94ff-3960e28e3630%2F.default"));

    let (provider, sent) = crate::support::answering(|line| {
        if line.contains("listClusterUserCredential") {
            return ok(&crate::support::kubeconfig(Some("local-1")));
        }
        let mut cluster = crate::support::told_cluster();
        cluster["properties"]["aadProfile"] = Value::Null;
        ok(&cluster)
    });
    for _ in 0..2 {
        let found = provider.token(&access(), &address()).await.expect("a token");
        assert_eq!(found.token.expose(), "local-1");
        assert_eq!(found.expires_at.to_string(), "2026-11-23T01:15:00Z");
    }
    assert_eq!(sent.lines().len(), 2, "read once: {:?}", sent.lines());
}

#[tokio::test]
async fn a_person_gets_a_token_without_a_provider_config() {
    let (http, asked) = entra(|_| Ok(token("s", 3600)));
    let clock: Arc<dyn Clock> = Hand::new();
    let options = MemberTokenOptions {
        endpoint: Some("https://127.0.0.1:6443/cloud/azure".into()),
        ..MemberTokenOptions::default()
    };
    member_token(http, Source::Fixed(secret()), clock, options).await.expect("a token");
    assert_eq!(
        lines(&asked),
        [format!("POST https://127.0.0.1:6443/cloud/azure/{TENANT}/oauth2/v2.0/token")]
    );
}

/// Set for a process of this test binary that is to sign in by its environment, to the type of the identity.
const AS: &str = "FLEETWRIGHT_TEST_SIGN_IN_AS";

/// Runs [`by_this_process`] in a process with these variables, and gives what it says.
fn in_a_process(kind: &str, variables: &[(&str, &str)]) -> String {
    let mut child = Command::new(std::env::current_exe().expect("this program"));
    child.args(["credentials::by_this_process", "--exact", "--nocapture"]).env(AS, kind);
    for name in ["AZURE_TENANT_ID", "AZURE_CLIENT_ID", "AZURE_CLIENT_SECRET"] {
        child.env_remove(name);
    }
    let ran = child.envs(variables.iter().copied()).output().expect("it runs");
    String::from_utf8_lossy(&ran.stdout).into_owned()
}

#[tokio::test]
async fn by_this_process() {
    let Some(kind) = std::env::var_os(AS) else { return };
    let (http, asked) = entra(|_| Ok(token("s", 3600)));
    let of = identity(json!({"type": kind.to_str().expect("text")}));
    let snapshot = real(&http).observe(&of, &address(), None).await;
    for (line, _, form) in asked.lock().expect("the log").iter() {
        #[allow(clippy::print_stdout, reason = "read by the test that started this process")]
        {
            println!("asked: {line} {form}");
        }
    }
    #[allow(clippy::print_stdout, reason = "read by the test that started this process")]
    {
        println!("found: {:?}", snapshot.credentials);
    }
}

#[test]
fn the_environment_signs_in_by_its_variables() {
    let told = in_a_process(
        "Environment",
        &[
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_CLIENT_SECRET", "hunter2"),
        ],
    );
    let expected =
        format!("asked: POST https://login.microsoftonline.com/{TENANT}/oauth2/v2.0/token {FORM}");
    assert!(told.contains(&expected), "{told}");
    assert!(told.contains("found: Valid"), "{told}");
    let told = in_a_process("Environment", &[("AZURE_TENANT_ID", TENANT)]);
    assert!(told.contains("AZURE_CLIENT_ID is not set in Fleetwright's own environment"), "{told}");
    assert!(told.contains("CredentialsMissing"), "{told}");
}

#[test]
fn a_workload_identity_signs_in_by_the_projected_token() {
    let folder = std::env::temp_dir().join(format!("fleetwright-aks-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let file = folder.join("token");
    std::fs::write(&file, "projected").expect("a file");
    let told = in_a_process(
        "WorkloadIdentity",
        &[
            ("AZURE_TENANT_ID", TENANT),
            ("AZURE_CLIENT_ID", CLIENT),
            ("AZURE_FEDERATED_TOKEN_FILE", file.to_str().expect("text")),
        ],
    );
    std::fs::remove_dir_all(&folder).expect("removed");
    assert!(told.contains("client_assertion=projected"), "{told}");
    assert!(told.contains(&format!("client_id={CLIENT}")), "{told}");
    assert!(told.contains("found: Valid"), "{told}");
    let told = in_a_process("WorkloadIdentity", &[("AZURE_TENANT_ID", TENANT)]);
    assert!(told.contains("CredentialsMissing"), "{told}");
}

#[cfg(unix)]
#[test]
fn whoever_is_signed_in_to_az_signs_in() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = std::env::temp_dir().join(format!("fleetwright-az-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let program = folder.join("az");
    let answer = json!({
        "accessToken": "e30.e30.s", "expires_on": 1_795_400_000, "tokenType": "Bearer",
        "expiresOn": "2026-11-23 03:00:00.000000", "subscription": SUBSCRIPTION, "tenant": TENANT
    });
    std::fs::write(&program, format!("#!/bin/sh\necho '{answer}'\n")).expect("a file");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("runs");
    let path = format!("{}:/usr/bin:/bin", folder.display());
    let told = in_a_process("Cli", &[("PATH", &path)]);
    std::fs::remove_dir_all(&folder).expect("removed");
    assert!(told.contains("found: Valid"), "{told}");
    let told = in_a_process("Cli", &[("PATH", "/nowhere")]);
    assert!(told.contains("CredentialsMissing"), "{told}");
}
