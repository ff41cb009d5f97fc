//! A server with one small kind of its own.

use std::sync::Arc;

use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, ResourceRef, Scheme,
    StaticTokens, Store,
};
use fleetwright_clock::{RandomIds, SystemClock};
use http_body_util::BodyExt as _;
use kube::core::{ApiResource, DynamicObject, GroupVersionKind};
use kube::{Api, Client};
use serde_json::{Value, json};
use tower::ServiceExt as _;

pub(crate) const TOKEN: &str = "a-token-for-tests";
pub(crate) const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");
pub(crate) const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");

/// A kind with what ours have: a status, columns, a pattern of conditions.
pub(crate) fn widget_crd() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.test.fleetwright.dev"},
        "spec": {
            "group": "test.fleetwright.dev", "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "singular": "widget",
                      "shortNames": ["wd"], "categories": ["test"], "listKind": "WidgetList"},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"status": {}},
                "additionalPrinterColumns": [
                    {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
                    {"name": "Ready", "type": "string",
                     "jsonPath": ".status.conditions[?(@.type==\"Ready\")].status"},
                    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
                ],
                "schema": {"openAPIV3Schema": {
                    "type": "object", "description": "A thing that tests make.",
                    "required": ["spec"],
                    "properties": {
                        "spec": {
                            "type": "object", "required": ["size"],
                            "properties": {
                                "size": {"type": "integer", "minimum": 1,
                                         "description": "How large it is, in centimetres."},
                                "colour": {"type": "string", "enum": ["red", "blue"]},
                            },
                        },
                        "status": {
                            "type": "object",
                            "properties": {"conditions": {
                                "type": "array",
                                "items": {
                                    "type": "object", "required": ["type", "status"],
                                    "properties": {
                                        "type": {"type": "string"},
                                        "status": {"type": "string"},
                                    },
                                },
                            }},
                        },
                    },
                }},
            }],
        },
    })
}

pub(crate) fn widget(name: &str, size: i64) -> Value {
    json!({
        "apiVersion": "test.fleetwright.dev/v1", "kind": "Widget",
        "metadata": {"name": name, "namespace": "default"}, "spec": {"size": size},
    })
}

pub(crate) fn config_map(namespace: &str, name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace}, "data": {"k": "v"},
    })
}

pub(crate) async fn open(store: impl Store + 'static) -> ApiServer {
    ApiServer::open(Arc::new(store), Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)))
        .await
        .expect("opens")
}

pub(crate) async fn add(server: &ApiServer, name: &str) -> LogicalCluster {
    let scheme = Scheme::builtin().with_crd(&widget_crd()).expect("a good CRD");
    let admin = Identity::system("admin");
    let spec = ClusterSpec {
        name: name.to_owned(),
        scheme: Arc::new(scheme),
        authenticator: Arc::new(StaticTokens::new().with(TOKEN, admin)),
        version: "v1.33.0-test".to_owned(),
    };
    server.add_cluster(spec).await.expect("added")
}

/// A server in memory with one cluster. Dropping the server ends the cluster's writer, so both
/// are handed out.
pub(crate) async fn in_memory() -> (ApiServer, LogicalCluster) {
    let server = open(MemoryStore::new()).await;
    let cluster = add(&server, "hub").await;
    (server, cluster)
}

pub(crate) fn client(cluster: &LogicalCluster) -> Client {
    Client::new(cluster.service_as(Identity::system("test")), "default")
}

pub(crate) fn widgets(cluster: &LogicalCluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("test.fleetwright.dev", "v1", "Widget");
    let resource = ApiResource::from_gvk_with_plural(&kind, "widgets");
    Api::namespaced_with(client(cluster), "default", &resource)
}

pub(crate) fn object(value: Value) -> DynamicObject {
    serde_json::from_value(value).expect("an object")
}

/// Sends a request as the administrator and reads the answer.
pub(crate) async fn send_json(
    cluster: &LogicalCluster,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    send_json_as(cluster, TOKEN, method, path, body).await
}

/// As [`send_json`], for the owner of `token`; of nobody where it is empty.
pub(crate) async fn send_json_as(
    cluster: &LogicalCluster,
    token: &str,
    method: &str,
    path: &str,
    body: Option<Value>,
) -> (u16, Value) {
    let mut builder = http::Request::builder().method(method).uri(path);
    if !token.is_empty() {
        builder = builder.header("Authorization", format!("Bearer {token}"));
    }
    let kind = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
    let bytes = body.map(|body| body.to_string()).unwrap_or_default();
    let request = builder
        .header("Content-Type", kind)
        .body(http_body_util::Full::new(bytes::Bytes::from(bytes)))
        .expect("a request");
    let response = cluster.service().oneshot(request).await.expect("infallible");
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap_or_default())
}
