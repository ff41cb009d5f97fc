//! One recorded case against a fresh server in memory.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{
    ApiBody, ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, Scheme, StaticTokens,
};
use fleetwright_clock::{RandomIds, SystemClock};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::ServiceExt as _;

use super::alike::{Bindings, Verdict};

/// Recordings of the server's own size limits describe a body instead of holding it.
const GENERATED: &str = "$generated";

/// An answer, as far as it is compared.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) body: Value,
}

/// Sets the scene, sends the request, and holds the answer against the recorded one.
pub(super) async fn replay(case: &Value) -> Verdict {
    let (_server, cluster) = server().await;
    let mut names = Bindings::default();
    for step in case["given"].as_array().into_iter().flatten() {
        if step.get("pause").is_some() && step.get("method").is_none() {
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        }
        let Some(sent) = request(step, &names) else {
            return Verdict::Different("not replayed: its body is only described".into());
        };
        let answer = read(send(&cluster, sent).await).await;
        if Some(u64::from(answer.status)) != step["status"].as_u64() {
            let path = step["path"].as_str().unwrap_or_default();
            return Verdict::Different(format!(
                "scene: {} {} gave {}, not {}",
                step["method"].as_str().unwrap_or_default(),
                path.split('?').next().unwrap_or_default(),
                answer.status,
                step["status"]
            ));
        }
        for (placeholder, pointer) in step["binds"].as_object().into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| answer.body.pointer(pointer));
            if let Some(value) = value.and_then(Value::as_str) {
                names.bind(placeholder, value);
            }
        }
    }
    let Some(sent) = request(&case["request"], &names) else {
        return Verdict::Different("not replayed: its body is only described".into());
    };
    let watches = case["request"]["path"].as_str().is_some_and(|path| path.contains("watch=true"));
    let response = send(&cluster, sent).await;
    let (answer, ()) = tokio::join!(read(response), during(&cluster, case, &names));
    names.compare(&case["response"], &answer, watches)
}

/// What happens while a watch is open.
async fn during(cluster: &LogicalCluster, case: &Value, names: &Bindings) {
    tokio::time::sleep(Duration::from_millis(500)).await;
    for step in case["during"].as_array().into_iter().flatten() {
        if let Some(sent) = request(step, names) {
            drop(read(send(cluster, sent).await).await);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

async fn server() -> (ApiServer, LogicalCluster) {
    let ids = Arc::new(RandomIds::seeded(1));
    let store = Arc::new(MemoryStore::new());
    let server = ApiServer::open(store, Arc::new(SystemClock), ids).await.expect("opens");
    let user = |name: &str, group: &str| Identity {
        user: name.to_owned(),
        groups: vec![group.to_owned()],
    };
    let tokens = StaticTokens::new()
        .with("admin", user("admin", "system:masters"))
        .with("alice", user("alice", "dev"));
    let spec = ClusterSpec {
        name: "hub".to_owned(),
        scheme: Arc::new(Scheme::builtin()),
        authenticator: Arc::new(tokens),
        version: "v1.36.2".to_owned(),
    };
    let cluster = server.add_cluster(spec).await.expect("added");
    (server, cluster)
}

/// The request of a step; `None` when its body is only described.
fn request(step: &Value, names: &Bindings) -> Option<Request<Full<Bytes>>> {
    let path = names.fill(step["path"].as_str().unwrap_or_default());
    let mut builder = Request::builder().method(step["method"].as_str()?).uri(path);
    match step["as"].as_str().unwrap_or("admin") {
        "anonymous" => {}
        who => builder = builder.header("Authorization", format!("Bearer {who}")),
    }
    builder = builder.header("User-Agent", "recorder/1.0");
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        builder = builder.header(name, names.fill(value.as_str().unwrap_or_default()));
    }
    let body = match &step["body"] {
        Value::Null => Bytes::new(),
        Value::String(text) => Bytes::from(names.fill(text)),
        Value::Object(map) if map.contains_key(GENERATED) => return None,
        Value::Object(map) if map.contains_key("$base64") => {
            use base64::Engine as _;
            let text = map["$base64"].as_str()?;
            base64::engine::general_purpose::STANDARD.decode(text).ok()?.into()
        }
        other => Bytes::from(names.fill(&other.to_string())),
    };
    builder.body(Full::new(body)).ok()
}

async fn send(cluster: &LogicalCluster, request: Request<Full<Bytes>>) -> Response<ApiBody> {
    cluster.service().oneshot(request).await.expect("infallible")
}

async fn read(response: Response<ApiBody>) -> Answer {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let all = |name: &str| headers.get_all(name).into_iter();
    let text = |value: &http::HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let content_type = all("content-type").next().map(text).unwrap_or_default();
    let warnings = all("warning").map(text).collect();
    let bytes = response.into_body().collect().await.expect("infallible").to_bytes();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let whole = serde_json::from_slice(&bytes);
    let lines = || {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(serde_json::from_str).collect::<Result<Vec<Value>, _>>().map(Value::Array)
    };
    let body = whole.or_else(|_| lines()).unwrap_or(Value::String(text.clone()));
    Answer { status, content_type, warnings, body }
}
