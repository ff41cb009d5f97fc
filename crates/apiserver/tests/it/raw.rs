//! Single requests, as a client with no library would send them.

use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{ApiBody, ApiServer, LogicalCluster, MountedAt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;
use tower::util::BoxCloneSyncService;

use crate::support::{CONFIG_MAPS, TOKEN, config_map, in_memory};

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

pub(crate) fn request(method: &str, uri: &str) -> http::request::Builder {
    let bearer = format!("Bearer {TOKEN}");
    Request::builder().method(method).uri(uri).header("Authorization", bearer)
}

pub(crate) async fn send(
    cluster: &LogicalCluster,
    request: Request<Full<Bytes>>,
) -> Response<ApiBody> {
    cluster.service().oneshot(request).await.expect("infallible")
}

async fn get(cluster: &LogicalCluster, uri: &str) -> (StatusCode, Value) {
    let sent = request("GET", uri).body(Full::default()).expect("a request");
    read(send(cluster, sent).await).await
}

pub(crate) async fn read(response: Response<ApiBody>) -> (StatusCode, Value) {
    let status = response.status();
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::String(text)))
}

async fn lines(response: Response<ApiBody>) -> Vec<Value> {
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn without_a_good_token_only_health_is_told() {
    let (_server, cluster) = in_memory().await;
    for (token, path, expected) in [
        (None, "/api", 403),
        (None, MAPS, 403),
        (None, "/version", 200),
        (Some("Bearer wrong"), "/version", 401),
        (Some("Basic a-token-for-tests"), "/version", 401),
        (None, "/readyz", 200),
        (None, "/healthz", 200),
        (Some("Bearer a-token-for-tests"), "/version", 200),
        (Some("bearer  a-token-for-tests "), "/version", 200),
    ] {
        let mut builder = Request::builder().uri(path);
        if let Some(token) = token {
            builder = builder.header("Authorization", token);
        }
        let sent = builder.body(Full::default()).expect("a request");
        let status = send(&cluster, sent).await.status();
        assert_eq!(status.as_u16(), expected, "{path} with {token:?}");
    }
}

#[tokio::test]
async fn bodies_that_are_not_understood_or_too_large_are_refused_with_a_status() {
    let (_server, cluster) = in_memory().await;
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let one = format!("{MAPS}/a");
    let large = vec![b'x'; 3 * 1024 * 1024 + 1];
    for (method, uri, content_type, body, expected) in [
        ("POST", MAPS, "application/vnd.kubernetes.protobuf", b"k8s\0".to_vec(), 400),
        ("POST", MAPS, "application/cbor", b"k8s\0".to_vec(), 415),
        ("PATCH", one.as_str(), "application/strategic-merge-patch+json", b"{}".to_vec(), 200),
        ("PATCH", one.as_str(), "application/apply-patch+yaml", b"{}".to_vec(), 422),
        ("PATCH", one.as_str(), "application/json-patch+json", b"[]".to_vec(), 200),
        ("POST", MAPS, "application/json", large, 413),
        ("POST", MAPS, "application/json", b"{".to_vec(), 400),
        ("POST", "/api/v1/configmaps", "application/json", b"{}".to_vec(), 405),
        ("POST", "/apis/nope/v1/things", "application/json", b"{}".to_vec(), 404),
    ] {
        let sent = request(method, uri)
            .header("Content-Type", content_type)
            .body(Full::from(body))
            .expect("a request");
        let (status, answer) = read(send(&cluster, sent).await).await;
        assert_eq!(status.as_u16(), expected, "{method} {uri} {content_type}: {answer}");
        // What no group serves is no path of the API at all, and told in plain text.
        if expected >= 400 && !uri.contains("nope") {
            assert_eq!((&answer["kind"], &answer["code"]), (&json!("Status"), &json!(expected)));
        }
    }
}

#[tokio::test]
async fn revisions_of_the_future_time_out_and_those_of_no_one_are_refused() {
    let (_server, cluster) = in_memory().await;
    for (query, expected) in [
        ("resourceVersion=999999", 504),
        ("resourceVersion=abc", 400),
        ("resourceVersion=0", 200),
        ("resourceVersion=1&resourceVersionMatch=Exact", 200),
        ("continue=e30", 400),
        ("?&limit=500", 200),
    ] {
        let (status, body) = get(&cluster, &format!("{MAPS}?{query}")).await;
        assert_eq!(status.as_u16(), expected, "{query}: {body}");
    }
}

#[tokio::test]
async fn a_dry_run_answers_as_the_real_thing_and_leaves_no_trace() {
    let (_server, cluster) = in_memory().await;
    let sent = request("POST", &format!("{MAPS}?dryRun=All"))
        .header("Content-Type", "application/json")
        .body(Full::from(config_map("default", "a").to_string()))
        .expect("a request");
    let (status, answer) = read(send(&cluster, sent).await).await;
    assert_eq!(status, StatusCode::CREATED);
    assert!(answer["metadata"]["uid"].is_string());
    assert!(answer["metadata"]["resourceVersion"].is_null());
    assert_eq!(get(&cluster, &format!("{MAPS}/a")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn a_watch_list_ends_its_beginning_with_a_bookmark_and_goes_on_with_more() {
    let (_server, cluster) = in_memory().await;
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan\
                 &allowWatchBookmarks=true&timeoutSeconds=150";
    let sent = request("GET", &format!("{MAPS}?{query}")).body(Full::default()).expect("a request");
    let watching = tokio::spawn(lines(send(&cluster, sent).await));
    tokio::time::sleep(Duration::from_secs(100)).await;
    cluster.put(&CONFIG_MAPS, config_map("default", "b")).await.expect("put");
    let events = watching.await.expect("no panic");
    let seen: Vec<(&str, &Value)> = events
        .iter()
        .map(|event| {
            let revision = &event["object"]["metadata"]["resourceVersion"];
            (event["type"].as_str().expect("a type"), revision)
        })
        .collect();
    // Birth is 1, then four namespaces with an account each: a is 10, b is 11. Bookmarks after 60, 120 and 148 seconds.
    let expected = [
        ("ADDED", "10"),
        ("BOOKMARK", "10"),
        ("BOOKMARK", "10"),
        ("ADDED", "11"),
        ("BOOKMARK", "11"),
        ("BOOKMARK", "11"),
    ]
    .map(|(kind, revision)| (kind, json!(revision)));
    assert_eq!(seen, expected.each_ref().map(|(kind, revision)| (*kind, revision)));
    let first = &events[1]["object"]["metadata"]["annotations"];
    assert_eq!(first, &json!({"k8s.io/initial-events-end": "true"}));
    assert_eq!(events[2]["object"]["metadata"]["annotations"], Value::Null);
}

#[tokio::test(start_paused = true)]
async fn only_the_first_table_of_a_watch_names_the_columns() {
    let (_server, cluster) = in_memory().await;
    for name in ["a", "b"] {
        cluster.put(&CONFIG_MAPS, config_map("default", name)).await.expect("put");
    }
    let sent = request("GET", &format!("{MAPS}?watch=true&timeoutSeconds=1"))
        .header("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Full::default())
        .expect("a request");
    let events = lines(send(&cluster, sent).await).await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0]["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(events[1]["object"]["columnDefinitions"], Value::Null);
    assert_eq!(events[1]["object"]["rows"][0]["cells"][0], "b");
    assert_eq!(events[1]["object"]["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn what_has_not_changed_is_not_sent_again() {
    let (_server, cluster) = in_memory().await;
    for path in ["/apis", "/openapi/v3", "/openapi/v3/api/v1"] {
        let first = request("GET", path).body(Full::default()).expect("a request");
        let first = send(&cluster, first).await;
        assert_eq!(first.status(), StatusCode::OK, "{path}");
        let etag = first.headers()["etag"].clone();
        let again = request("GET", path).header("If-None-Match", etag).body(Full::default());
        let again = send(&cluster, again.expect("a request")).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{path}");
    }
}

#[tokio::test]
async fn the_router_finds_mounts_clusters_and_the_root() {
    let (server, cluster) = in_memory().await;
    cluster.put(&CONFIG_MAPS, config_map("default", "a")).await.expect("put");
    let echo = tower::service_fn(|request: Request<Bytes>| async move {
        let MountedAt(prefix) = request.extensions().get().cloned().expect("the prefix");
        Ok(Response::new(Bytes::from(format!("{prefix} {}", request.uri()))))
    });
    let router = server.router("hub").mount("/cloud/aws", BoxCloneSyncService::new(echo));
    let ask = async |path: &str| {
        let sent = request("GET", path).body(Full::<Bytes>::default()).expect("a request");
        read(router.clone().oneshot(sent).await.expect("infallible")).await
    };
    assert_eq!(ask("/cloud/aws/clusters?x=1").await.1, "/cloud/aws /clusters?x=1");
    assert_eq!(ask(&format!("{MAPS}/a")).await.0, StatusCode::OK);
    assert_eq!(ask(&format!("/clusters/hub{MAPS}/a")).await.0, StatusCode::OK);
    assert_eq!(ask(&format!("/clusters/nope{MAPS}/a")).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn when_the_server_is_gone_so_are_its_watches() {
    let (server, cluster) = in_memory().await;
    let sent =
        request("GET", &format!("{MAPS}?watch=true")).body(Full::default()).expect("a request");
    let watching = tokio::spawn(lines(send(&cluster, sent).await));
    tokio::task::yield_now().await;
    ApiServer::stop(&server);
    let events = tokio::time::timeout(Duration::from_secs(5), watching).await.expect("it ends");
    assert!(events.expect("no panic").is_empty());
    let (status, answer) = get(&cluster, MAPS).await;
    assert_eq!((status.as_u16(), &answer["reason"]), (503, &json!("ServiceUnavailable")));
}
