//! One recorded case against a fresh server in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{
    ApiBody, ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, Scheme, StaticTokens,
};
use fleetwright_clock::{Clock, RandomIds, SystemClock};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::alike::{Bindings, Verdict};

/// Tokio's paused time from today on, at the full second: a case must not differ because a second
/// passed while it ran.
#[derive(Debug)]
struct PausedClock(jiff::Timestamp, tokio::time::Instant);

impl PausedClock {
    fn begin() -> Self {
        let second = SystemClock.now().as_second();
        let today = jiff::Timestamp::from_second(second).expect("a time");
        Self(today, tokio::time::Instant::now())
    }
}

impl Clock for PausedClock {
    fn now(&self) -> jiff::Timestamp {
        self.0.checked_add(self.1.elapsed()).expect("a time")
    }
}

/// An answer, as far as it is compared.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: String,
    pub(super) warnings: Vec<String>,
    pub(super) body: Value,
}

/// How often a request of the scene is repeated until what it waits for holds.
const TRIES: u32 = 40;

/// The server of a case; what it stores outlives it.
struct World {
    store: MemoryStore,
    /// Whether it was recorded with a controller manager.
    controlled: bool,
    running: Option<(ApiServer, LogicalCluster)>,
    tokens: BTreeMap<String, String>,
}

/// Sets the scene, sends the request, and holds the answer against the recorded one.
pub(super) async fn replay(group: &str, case: &Value) -> Verdict {
    let controlled = matches!(group, "deletion" | "admission") && !makes_default_account(case);
    let store = MemoryStore::new();
    let mut world = World { store, controlled, running: None, tokens: BTreeMap::new() };
    world.restart().await;
    let mut names = Bindings::default();
    for step in case["given"].as_array().into_iter().flatten() {
        if let Err(why) = world.set(step, &mut names).await {
            return Verdict::Different(format!("scene: {why}"));
        }
    }
    let Some(sent) = world.request(&case["request"], &names).await else {
        return Verdict::Different("not replayed: its body is only described".into());
    };
    let path = case["request"]["path"].as_str().unwrap_or_default();
    let watches = case["response"]["body"].is_array() && path.contains("watch");
    let head = case["request"]["method"] == "HEAD";
    let response = world.send(sent).await;
    let (mut answer, ()) = tokio::join!(read(response), world.during(case, &names));
    if head {
        // What the HTTP layer drops; here there is none.
        answer.body = Value::String(String::new());
    }
    names.compare(&case["response"], &answer, watches)
}

/// Some cases of groups that had a controller manager were recorded without: there the scene makes
/// what it would have made.
fn makes_default_account(case: &Value) -> bool {
    let all = case["given"].as_array().into_iter().flatten();
    let mut posts = all.filter(|step| step["method"] == "POST");
    posts.any(|step| {
        step["body"]["kind"] == "ServiceAccount" && step["body"]["metadata"]["name"] == "default"
    })
}

impl World {
    async fn set(&mut self, step: &Value, names: &mut Bindings) -> Result<(), String> {
        if step["method"].is_null() {
            match step["pause"].as_str() {
                Some(text) if text.contains("started anew") => self.restart().await,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
            return Ok(());
        }
        let (mut answer, mut held) = self.step(step, names).await?;
        for _ in 0..TRIES {
            if held {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            (answer, held) = self.step(step, names).await?;
        }
        if Some(u64::from(answer.status)) != step["status"].as_u64() {
            let path = step["path"].as_str().unwrap_or_default();
            return Err(format!(
                "{} {} gave {}, not {}",
                step["method"].as_str().unwrap_or_default(),
                path.split('?').next().unwrap_or_default(),
                answer.status,
                step["status"]
            ));
        }
        if !held {
            return Err(format!("waited in vain {}", step["wait"]));
        }
        if let Some(time) = answer.body["metadata"]["creationTimestamp"].as_str() {
            names.bind("<time>", time);
        }
        for (placeholder, pointer) in step["binds"].as_object().into_iter().flatten() {
            let value = pointer.as_str().and_then(|pointer| answer.body.pointer(pointer));
            if let Some(value) = value.and_then(Value::as_str) {
                names.bind(placeholder, value);
            }
        }
        Ok(())
    }

    /// The answer to a step, and whether what the step waits for holds.
    async fn step(&mut self, step: &Value, names: &Bindings) -> Result<(Answer, bool), String> {
        let sent = self.request(step, names).await;
        let answer = read(self.send(sent.ok_or("a body is only described")?).await).await;
        let body = &answer.body;
        let condition = |kind: &str| {
            let all = body["status"]["conditions"].as_array().into_iter().flatten();
            all.into_iter().any(|c| c["type"] == kind && c["status"] == "True")
        };
        let held = match step["wait"].as_str() {
            None => true,
            Some("until 200") => answer.status == 200,
            Some("until 404") => answer.status == 404,
            Some("until one item") => body["items"].as_array().is_some_and(|i| i.len() == 1),
            Some("until five conditions") => {
                body["status"]["conditions"].as_array().is_some_and(|c| c.len() == 5)
            }
            Some("until status.used is filled") => body["status"]["used"].is_object(),
            Some("until metadata.deletionTimestamp is set") => {
                body["metadata"]["deletionTimestamp"].is_string()
            }
            Some("until condition Established is True") => condition("Established"),
            Some(text) if text.contains("Available") => condition("Available"),
            Some(other) => return Err(format!("unknown wait {other:?}")),
        };
        Ok((answer, held))
    }

    /// What happens while a watch is open.
    async fn during(&self, case: &Value, names: &Bindings) {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for step in case["during"].as_array().into_iter().flatten() {
            if let Some(sent) = self.plain_request(step, names, "admin") {
                drop(read(self.send(sent).await).await);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    async fn restart(&mut self) {
        if let Some((server, _)) = self.running.take() {
            server.stop();
        }
        let ids = Arc::new(RandomIds::seeded(1));
        let store = Arc::new(self.store.clone());
        let clock = Arc::new(PausedClock::begin());
        let server = if self.controlled {
            ApiServer::open(store, clock, ids).await
        } else {
            ApiServer::open_bare(store, clock, ids).await
        };
        let server = server.expect("opens");
        let user = |name: &str, uid: &str, group: &str| {
            let mut identity = Identity::new(name, vec![group.to_owned()]);
            identity.uid = uid.to_owned();
            identity
        };
        let tokens = StaticTokens::new()
            .with("admin", user("admin", "1", "system:masters"))
            .with("alicetoken", user("alice", "2", "dev"));
        let spec = ClusterSpec {
            name: "hub".to_owned(),
            scheme: Arc::new(Scheme::builtin()),
            authenticator: Arc::new(tokens),
            version: "v1.36.2".to_owned(),
        };
        let cluster = server.add_cluster(spec).await.expect("added");
        self.running = Some((server, cluster));
    }

    /// The request of a step; `None` when its body is only described.
    async fn request(&mut self, step: &Value, names: &Bindings) -> Option<Request<Full<Bytes>>> {
        let token = match step["as"].as_str().unwrap_or("admin") {
            "alice" => "alicetoken".to_owned(),
            "bad" => "nobodys".to_owned(),
            account if account.starts_with("service account ") => self.account_token(account).await,
            other => other.to_owned(),
        };
        self.plain_request(step, names, &token)
    }

    fn plain_request(
        &self,
        step: &Value,
        names: &Bindings,
        token: &str,
    ) -> Option<Request<Full<Bytes>>> {
        let path = names.fill(step["path"].as_str().unwrap_or_default());
        let mut builder = Request::builder().method(step["method"].as_str()?).uri(path);
        if token != "anonymous" {
            builder = builder.header("Authorization", format!("Bearer {token}"));
        }
        builder = builder.header("User-Agent", "recorder/1.0");
        for (name, value) in step["headers"].as_object().into_iter().flatten() {
            builder = builder.header(name, names.fill(value.as_str().unwrap_or_default()));
        }
        builder.body(Full::new(body(&step["body"], names)?)).ok()
    }

    /// A token for `service account NAMESPACE/NAME`, asked for once.
    async fn account_token(&mut self, account: &str) -> String {
        if let Some(known) = self.tokens.get(account) {
            return known.clone();
        }
        let place = account.trim_start_matches("service account ");
        let (namespace, name) = place.split_once('/').expect("NAMESPACE/NAME");
        let asked =
            Request::post(format!("/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"))
                .header("Authorization", "Bearer admin")
                .header("Content-Type", "application/json")
                .body(Full::new(Bytes::from("{}")))
                .expect("a request");
        let answer = read(self.send(asked).await).await;
        let token = answer.body["status"]["token"].as_str().unwrap_or_default().to_owned();
        self.tokens.insert(account.to_owned(), token.clone());
        token
    }

    async fn send(&self, request: Request<Full<Bytes>>) -> Response<ApiBody> {
        let (_, cluster) = self.running.as_ref().expect("started");
        cluster.service().oneshot(request).await.expect("infallible")
    }
}

fn body(recorded: &Value, names: &Bindings) -> Option<Bytes> {
    match recorded {
        Value::Null => Some(Bytes::new()),
        Value::String(text) => Some(Bytes::from(names.fill(text))),
        Value::Object(map) if map.contains_key("$generated") => {
            let described = map["$generated"].as_str()?;
            let times = described.split(" of ").last()?.split(' ').next()?.parse().ok()?;
            let filled = "x".repeat(times);
            let object = if described.contains("patch") {
                json!({"data": {"k": filled}})
            } else {
                json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "big"},
                    "data": {"k": filled}})
            };
            Some(object.to_string().into())
        }
        Value::Object(map) if map.contains_key("$base64") => {
            use base64::Engine as _;
            let text = map["$base64"].as_str()?;
            base64::engine::general_purpose::STANDARD.decode(text).ok().map(Into::into)
        }
        other => Some(Bytes::from(names.fill(&other.to_string()))),
    }
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
    let body = if text.is_empty() {
        Value::String(text)
    } else {
        whole.or_else(|_| lines()).unwrap_or(Value::String(text.clone()))
    };
    Answer { status, content_type, warnings, body }
}
