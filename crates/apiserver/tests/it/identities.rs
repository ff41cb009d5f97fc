//! Who asks and what he may do, over the wire format: roles, tokens of ServiceAccounts,
//! impersonation.

use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, Scheme, StaticTokens,
};
use serde_json::{Value, json};

use crate::support::{CONFIG_MAPS, config_map, in_memory, open, send_json, send_json_as};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// A server whose only other user is `alice`, of the group `dev`.
async fn with_alice() -> (ApiServer, LogicalCluster) {
    let server = open(fleetwright_apiserver::MemoryStore::new()).await;
    let tokens = StaticTokens::new()
        .with(crate::support::TOKEN, Identity::system("admin"))
        .with("alice", Identity::new("alice", vec!["dev".to_owned()]));
    let spec = ClusterSpec {
        name: "hub".to_owned(),
        scheme: std::sync::Arc::new(Scheme::builtin()),
        authenticator: std::sync::Arc::new(tokens),
        version: "v1.36.2".to_owned(),
    };
    let cluster = server.add_cluster(spec).await.expect("added");
    (server, cluster)
}

async fn grant(cluster: &LogicalCluster, verbs: &Value, subject: &Value) {
    let role = json!({"metadata": {"name": "r"}, "rules": [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}]});
    let path = format!("{RBAC}/namespaces/default/roles");
    assert_eq!(send_json(cluster, "POST", &path, Some(role)).await.0, 201);
    let binding = json!({"metadata": {"name": "r"}, "subjects": [subject],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"}});
    let path = format!("{RBAC}/namespaces/default/rolebindings");
    let (status, answer) = send_json(cluster, "POST", &path, Some(binding)).await;
    assert_eq!(status, 201, "{answer}");
}

#[tokio::test]
async fn a_user_may_do_what_he_is_granted_and_nothing_else() {
    let (_server, cluster) = with_alice().await;
    let as_alice = |method, path: &str, body| {
        let path = path.to_owned();
        let cluster = cluster.clone();
        async move { send_json_as(&cluster, "alice", method, &path, body).await }
    };
    assert_eq!(as_alice("GET", MAPS, None).await.0, 403);
    assert_eq!(as_alice("GET", "/apis", None).await.0, 200);
    assert_eq!(as_alice("GET", "/metrics", None).await.0, 403);
    grant(
        &cluster,
        &json!(["get", "list", "create"]),
        &json!({"kind": "Group", "name": "dev",
        "apiGroup": "rbac.authorization.k8s.io"}),
    )
    .await;
    assert_eq!(as_alice("GET", MAPS, None).await.0, 200);
    let made = as_alice("POST", MAPS, Some(config_map("default", "a"))).await;
    assert_eq!(made.0, 201);
    assert_eq!(as_alice("DELETE", &format!("{MAPS}/a"), None).await.0, 403);
    assert_eq!(as_alice("GET", "/api/v1/configmaps", None).await.0, 403);
    assert!(cluster.get(&CONFIG_MAPS, Some("default"), "a").await.is_some());
    let review = json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": "delete",
        "resource": "configmaps"}}});
    let path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
    let (status, answer) = as_alice("POST", path, Some(review)).await;
    assert_eq!((status, &answer["status"]["allowed"]), (201, &json!(false)));
}

#[tokio::test]
async fn a_token_of_an_account_ends_with_its_time_and_with_its_account() {
    let (_server, cluster) = in_memory().await;
    let account = "/api/v1/namespaces/default/serviceaccounts/default";
    let (status, answer) =
        send_json(&cluster, "POST", &format!("{account}/token"), Some(json!({}))).await;
    assert_eq!(status, 201, "{answer}");
    let token = answer["status"]["token"].as_str().expect("a token").to_owned();
    assert_eq!(answer["spec"]["expirationSeconds"], 3600);
    let user = json!({"kind": "ServiceAccount", "name": "default", "namespace": "default"});
    assert_eq!(send_json_as(&cluster, &token, "GET", MAPS, None).await.0, 403);
    grant(&cluster, &json!(["list"]), &user).await;
    assert_eq!(send_json_as(&cluster, &token, "GET", MAPS, None).await.0, 200);
    let forged = format!("{}x", token);
    assert_eq!(send_json_as(&cluster, &forged, "GET", MAPS, None).await.0, 401);
    let review = json!({"spec": {"token": token, "audiences": ["somebody-else"]}});
    let path = "/apis/authentication.k8s.io/v1/tokenreviews";
    let (_, answer) = send_json(&cluster, "POST", path, Some(review)).await;
    assert_eq!(answer["status"]["authenticated"], Value::Null, "it is for another audience");
    // The account comes back at once, but as another one.
    assert_eq!(send_json(&cluster, "DELETE", account, None).await.0, 200);
    assert_eq!(send_json_as(&cluster, &token, "GET", MAPS, None).await.0, 401);
}

#[tokio::test]
async fn the_administrator_may_be_somebody_else_and_a_user_may_not() {
    let (_server, cluster) = with_alice().await;
    let send = |token: &'static str, wanted: &'static str| {
        let cluster = cluster.clone();
        async move {
            use tower::ServiceExt as _;
            let request = http::Request::get(MAPS)
                .header("Authorization", format!("Bearer {token}"))
                .header("Impersonate-User", wanted)
                .body(http_body_util::Full::new(bytes::Bytes::new()))
                .expect("a request");
            cluster.service().oneshot(request).await.expect("infallible").status().as_u16()
        }
    };
    assert_eq!(send(crate::support::TOKEN, "alice").await, 403, "she may not list");
    let alice = json!({"kind": "User", "name": "alice"});
    grant(&cluster, &json!(["list"]), &alice).await;
    assert_eq!(send(crate::support::TOKEN, "alice").await, 200);
    assert_eq!(send("alice", "bob").await, 403);
}

async fn send_with(
    cluster: &LogicalCluster,
    token: &str,
    request: http::request::Builder,
    body: Option<Value>,
) -> u16 {
    use tower::ServiceExt as _;
    let bytes = bytes::Bytes::from(body.map(|body| body.to_string()).unwrap_or_default());
    let request = request
        .header("Authorization", format!("Bearer {token}"))
        .body(http_body_util::Full::new(bytes))
        .expect("a request");
    cluster.service().oneshot(request).await.expect("infallible").status().as_u16()
}

#[tokio::test]
async fn who_may_only_patch_makes_nothing_by_an_apply() {
    let (_server, cluster) = with_alice().await;
    let alice = json!({"kind": "User", "name": "alice"});
    grant(&cluster, &json!(["get", "patch"]), &alice).await;
    let apply = |name: &str| {
        http::Request::patch(format!("{MAPS}/{name}?fieldManager=m"))
            .header("Content-Type", "application/apply-patch+yaml")
    };
    let body = |name: &str| Some(config_map("default", name));
    assert_eq!(send_with(&cluster, "alice", apply("new"), body("new")).await, 403);
    assert!(cluster.get(&CONFIG_MAPS, Some("default"), "new").await.is_none());
    let admin = crate::support::TOKEN;
    assert_eq!(send_with(&cluster, admin, apply("old"), body("old")).await, 201);
    assert_eq!(send_with(&cluster, "alice", apply("old"), body("old")).await, 200);
}

#[tokio::test]
async fn a_name_to_impersonate_that_cannot_be_read_is_refused() {
    let (_server, cluster) = with_alice().await;
    let send = async |header: &str, value: &[u8]| {
        let value = http::HeaderValue::from_bytes(value).expect("a value");
        let request = http::Request::get(MAPS).header(header, value);
        send_with(&cluster, crate::support::TOKEN, request, None).await
    };
    assert_eq!(send("Impersonate-User", "jörg".as_bytes()).await, 403, "he may do nothing");
    assert_eq!(send("Impersonate-User", b"j\xf6rg").await, 400);
    assert_eq!(send("Impersonate-Group", b"\xff").await, 400);
    assert_eq!(send("Impersonate-User", b"").await, 500);
    grant(&cluster, &json!(["list"]), &json!({"kind": "User", "name": "jörg"})).await;
    assert_eq!(send("Impersonate-User", "jörg".as_bytes()).await, 200);
}
