//! The way out through a CONNECT proxy of this very process, to a server that answers over TLS.

use std::path::Path;
use std::sync::{Arc, Mutex};

use fleetwright_apiserver::{
    ApiServer, Authority, ClusterSpec, MemoryStore, Scheme, StaticTokens, serve,
};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use tower::ServiceExt as _;

use super::*;

/// A cloud that is `cloud.example`, wherever it listens.
struct Cloud {
    port: u16,
    roots: RootCertStore,
}

async fn cloud(folder: &Path) -> Cloud {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::seeded(1));
    let api = ApiServer::open(Arc::new(MemoryStore::new()), Arc::clone(&clock), ids).await;
    let api = api.expect("a server");
    let spec = ClusterSpec {
        name: "cloud".into(),
        scheme: Arc::new(Scheme::builtin()),
        authenticator: Arc::new(StaticTokens::new()),
        version: "v1.34.0-test".into(),
    };
    api.add_cluster(spec).await.expect("a cluster");
    let authority = Authority::load_or_create(folder, clock.as_ref()).expect("an authority");
    let tls = authority.server_config(&["cloud.example".to_owned()], clock.as_ref()).expect("TLS");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(serve(listener, tls, api.router("cloud"), std::future::pending()));
    Cloud { port, roots: roots::only(authority.ca_pem()).expect("a root") }
}

/// A proxy that leads to `port`, whatever is asked for; it writes down what it hears before the tunnel stands.
async fn proxy(port: u16, answer: &'static str) -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let heard = Arc::new(Mutex::new(Vec::new()));
    let book = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(client.read_u8().await.expect("a head"));
            }
            book.lock().expect("the book").push(String::from_utf8_lossy(&head).into_owned());
            client.write_all(answer.as_bytes()).await.expect("an answer");
            if answer.contains(" 200 ") {
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.expect("a way");
                    tokio::io::copy_bidirectional(&mut client, &mut server).await
                });
            }
        }
    });
    (address.to_string(), heard)
}

const OPEN: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

fn environment(pairs: &[(&'static str, &str)]) -> Proxies {
    let find = |name: &str| {
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    };
    Proxies::of(&find).expect("proxies")
}

async fn version(http: &HttpOut) -> Result<u16, HttpOutError> {
    let request = Request::get("https://cloud.example/version").body(Bytes::new()).expect("one");
    http.clone().oneshot(request).await.map(|answer| answer.status().as_u16())
}

#[tokio::test]
async fn a_cloud_is_reached_through_the_tunnel_with_the_proxys_credentials() {
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = cloud(folder.path()).await;
    let (address, heard) = proxy(cloud.port, OPEN).await;
    let named = format!("http://Aladdin:open%40sesame@{address}");
    let proxies = environment(&[("https_proxy", &named), ("NO_PROXY", "elsewhere.example")]);
    assert!(!format!("{proxies:?}").contains("sesame"));
    let http = through(Allowed::Clouds, cloud.roots, proxies);
    let answer = version(&http).await.expect("an answer");
    assert!([200, 401].contains(&answer), "{answer}");
    let heard = heard.lock().expect("the book");
    assert_eq!(heard.len(), 1);
    assert!(heard[0].starts_with("CONNECT cloud.example:443 HTTP/1.1\r\n"), "{heard:?}");
    // base64 of Aladdin:open@sesame
    assert!(heard[0].contains("Proxy-Authorization: Basic QWxhZGRpbjpvcGVuQHNlc2FtZQ==\r\n"));
}

#[tokio::test]
async fn who_is_excepted_is_reached_directly() {
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = cloud(folder.path()).await;
    let (address, heard) = proxy(cloud.port, OPEN).await;
    let named = format!("http://{address}");
    let proxies = environment(&[("HTTPS_PROXY", &named), ("no_proxy", ".example")]);
    let http = through(Allowed::Clouds, cloud.roots, proxies);
    // Nobody is called `cloud.example`, so the direct way ends here.
    assert!(matches!(version(&http).await, Err(HttpOutError::Connect(_))));
    assert!(heard.lock().expect("the book").is_empty());
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_without_its_password() {
    let folder = tempfile::tempdir().expect("a folder");
    let cloud = cloud(folder.path()).await;
    let refusal = "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n";
    let (address, _) = proxy(cloud.port, refusal).await;
    let proxies = environment(&[("ALL_PROXY", &format!("http://me:sesame@{address}"))]);
    let http = through(Allowed::Clouds, cloud.roots, proxies);
    let Err(HttpOutError::Connect(text)) = version(&http).await else {
        panic!("nothing was sent, so this is a failure to connect");
    };
    assert!(text.contains("through proxy 127.0.0.1"), "{text}");
    assert!(text.contains("proxy authorization required"), "{text}");
    assert!(!text.contains("sesame"), "{text}");
}

#[test]
fn a_value_that_names_no_proxy_is_refused_and_not_shown() {
    for value in ["socks5://me:sesame@proxy:1080", "http://me:sesame@ proxy", "://sesame"] {
        let found = Proxies::of(&|name| (name == "HTTPS_PROXY").then(|| value.to_owned()));
        let text = format!("{:#}", found.expect_err(value));
        assert_eq!(
            text,
            "HTTPS_PROXY names no proxy of ours; write it like http://proxy.example:3128"
        );
    }
}

#[test]
fn a_kubernetes_api_gets_the_same_proxy_and_plain_http_none() {
    let proxies = environment(&[
        ("HTTPS_PROXY", "http://me:a%3Ab@proxy.example:3128"),
        ("NO_PROXY", "10.0.0.0/8, inside.example"),
    ]);
    let for_kube =
        |to: &'static str| proxies.for_kube(&Uri::from_static(to)).map(|proxy| proxy.to_string());
    let expected = Some("http://me:a%3Ab@proxy.example:3128/".to_owned());
    assert_eq!(for_kube("https://api.example:6443"), expected);
    for direct in ["https://10.1.2.3:6443", "https://a.inside.example", "http://api.example"] {
        assert_eq!(for_kube(direct), None, "{direct}");
    }
}

#[test]
fn an_extra_bundle_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let (missing, empty) = (folder.path().join("missing.pem"), folder.path().join("empty.pem"));
    std::fs::write(&empty, "no certificate here\n").expect("written");
    let mut roots = RootCertStore::empty();
    let mut told = |path: &Path| {
        format!("{:#}", roots::add(&mut roots, "AWS_CA_BUNDLE", path).expect_err("unusable"))
    };
    let text = told(&missing);
    assert!(text.starts_with("AWS_CA_BUNDLE names ") && text.contains("missing.pem"), "{text}");
    let text = told(&empty);
    assert!(text.contains("empty.pem, which holds no certificate (PEM)"), "{text}");
}

#[test]
fn only_the_token_endpoint_of_a_managed_identity_is_reached_on_azures_link() {
    let may = |allowed, uri: &'static str| permit(allowed, &Uri::from_static(uri)).is_ok();
    let tokens = "http://169.254.169.254/metadata/identity/oauth2/token?api-version=2018-02-01";
    assert!(may(Allowed::AzureTokens, tokens));
    assert!(may(Allowed::AzureTokens, "https://login.microsoftonline.com/t/oauth2/v2.0/token"));
    assert!(!may(Allowed::Clouds, tokens));
    for refused in [
        "http://169.254.169.254/metadata/instance?api-version=2021-02-01",
        "http://169.254.170.2/metadata/identity/oauth2/token",
        "http://management.azure.com/subscriptions",
        "https://169.254.169.254/metadata/instance",
        "https://localhost/metadata/identity/oauth2/token",
    ] {
        assert!(!may(Allowed::AzureTokens, refused), "{refused}");
    }
}

#[tokio::test]
async fn reading_from_azure_gets_tokens_and_user_credentials_and_changes_nothing() {
    let answers = |_: Request<Bytes>| async { Ok::<_, HttpOutError>(Response::new(Bytes::new())) };
    let http = reading(BoxCloneSyncService::new(tower::service_fn(answers)));
    let sent = async |method: &str, path: &str| {
        let request = Request::builder().method(method).header("content-type", FORM);
        let request = request.uri(format!("https://management.azure.com{path}"));
        http.clone().oneshot(request.body(Bytes::new()).expect("a request")).await.is_ok()
    };
    const FORM: &str = "application/x-www-form-urlencoded";
    let cluster = "/subscriptions/0a/resourceGroups/rg-(1)/providers/Microsoft.ContainerService/managedClusters/one";
    let credentials =
        format!("{cluster}/listClusterUserCredential?api-version=2026-03-01&format=exec");
    assert!(sent("POST", &credentials).await);
    assert!(sent("POST", &format!("/cloud/azure{credentials}")).await);
    assert!(sent("POST", "/my-tenant/oauth2/v2.0/token").await);
    assert!(sent("GET", cluster).await);
    for path in [
        format!("{cluster}/listClusterAdminCredential"),
        format!("{cluster}/listClusterUserCredential/"),
        format!("{cluster}/stop"),
        format!("{cluster}/agentPools/web/upgradeNodeImageVersion"),
        "/subscriptions/0a/resourceGroups/../providers/Microsoft.ContainerService/managedClusters/one/listClusterUserCredential".to_owned(),
        "/a/b/oauth2/v2.0/token".to_owned(),
        "/my-tenant/oauth2/v2.0/devicecode".to_owned(),
    ] {
        assert!(!sent("POST", &path).await, "{path}");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        assert!(!sent(method, &credentials).await, "{method}");
    }
}

#[tokio::test]
async fn reading_asks_for_insights_by_post_and_sends_no_other_post_to_a_cluster() {
    let answers = |request: Request<Bytes>| async move {
        Ok::<_, HttpOutError>(Response::new(Bytes::from(request.uri().path().to_owned())))
    };
    let http = reading(BoxCloneSyncService::new(tower::service_fn(answers)));
    let sent = async |method: &str, path: &str| {
        let request = Request::builder().method(method);
        let request = request.uri(format!("https://eks.eu-west-1.amazonaws.com{path}"));
        http.clone().oneshot(request.body(Bytes::new()).expect("a request")).await
    };
    for path in ["/clusters/shop-one/insights", "/cloud/aws/clusters/Shop_1/insights"] {
        assert!(sent("POST", path).await.is_ok(), "{path}");
    }
    for path in [
        "/clusters",
        "/clusters/shop-one",
        "/clusters/shop-one/insights/",
        "/clusters/shop-one/insights/one",
        "/clusters/shop-one/insights-refresh",
        "/clusters/shop-one/node-groups",
        "/clusters//insights",
        "/clusters/../insights",
        "/clusters/a%2Fb/insights",
        "//clusters/shop-one/insights",
        "/elsewhere/clusters/shop-one/insights",
        "/cloud/aws/cloud/aws/clusters/shop-one/insights",
    ] {
        let refused = sent("POST", path).await;
        assert!(matches!(refused, Err(HttpOutError::Forbidden(_))), "{path}");
    }
    for method in ["PUT", "PATCH", "DELETE"] {
        let refused = sent(method, "/clusters/shop-one/insights").await;
        assert!(matches!(refused, Err(HttpOutError::Forbidden(_))), "{method}");
    }
}
