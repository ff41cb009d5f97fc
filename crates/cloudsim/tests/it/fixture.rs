//! A simulated cloud on paused time, and a caller with an independent signer.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4::SigningParams;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use fleetwright_apiserver::{ApiServer, LogicalCluster, MemoryStore};
use fleetwright_clock::{Clock, Ids, RandomIds};
use fleetwright_cloudsim::{ACCESS_KEY_ID, CloudSim, Latencies, SECRET_ACCESS_KEY, Settings};
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// All but the unreserved characters of RFC 3986.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

pub(crate) const REGION: &str = "eu-central-1";
pub(crate) const CLUSTER_ARN: &str = "arn:aws:eks:eu-central-1:111122223333:cluster/shop";

/// 2026-11-22T12:00:00Z plus tokio's time, which stands still unless a test moves it.
#[derive(Debug)]
pub(crate) struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_795_348_800).expect("in range") + self.0.elapsed()
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<PausedClock>,
    pub(crate) store: MemoryStore,
    pub(crate) api: ApiServer,
    pub(crate) sim: CloudSim,
    pub(crate) caller: Caller,
}

impl World {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(PausedClock(tokio::time::Instant::now()));
        Self::start(clock, MemoryStore::new(), 1).await
    }

    /// The same disk, another process.
    pub(crate) async fn restart(self) -> Self {
        self.api.stop();
        Self::start(self.clock, self.store, 2).await
    }

    async fn start(clock: Arc<PausedClock>, store: MemoryStore, seed: u64) -> Self {
        let ids: Arc<dyn Ids> = Arc::new(RandomIds::seeded(seed));
        let seam: Arc<dyn Clock> = clock.clone();
        let disk = Arc::new(store.clone());
        let api = ApiServer::open(disk, Arc::clone(&seam), Arc::clone(&ids)).await.expect("opens");
        let settings = Settings {
            latencies: Latencies::default(),
            public_url: "https://127.0.0.1:6443/".to_owned(),
            ca_pem: "simulated PEM".to_owned(),
        };
        let sim = CloudSim::open(api.clone(), seam, ids, settings).await.expect("opens");
        Self { caller: Caller::default(), clock, store, api, sim }
    }

    pub(crate) async fn send(&self, request: Request<Bytes>) -> Answer {
        let answered: Result<Response<Bytes>, Infallible> = self.sim.eks().oneshot(request).await;
        let (parts, body) = answered.expect("infallible").into_parts();
        let header = |name: &str| {
            parts.headers.get(name).map(|value| value.to_str().expect("text").to_owned())
        };
        assert!(header("x-amzn-requestid").is_some_and(|id| id.len() == 36), "no request id");
        Answer {
            status: parts.status,
            error: header("x-amzn-errortype").unwrap_or_default(),
            body: serde_json::from_slice(&body).expect("JSON"),
        }
    }

    /// What STS says to a form, as XML.
    pub(crate) async fn sts(&self, form: &str) -> (StatusCode, String) {
        let request = self.caller.form(form, self.clock.now());
        let answered = self.sim.eks().oneshot(request).await.expect("infallible");
        let (parts, body) = answered.into_parts();
        (parts.status, String::from_utf8(body.to_vec()).expect("text"))
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        self.send(self.caller.signed(method, path, body, self.clock.now())).await
    }

    pub(crate) async fn ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let answer = self.call(method, path, body).await;
        assert_eq!(answer.status, StatusCode::OK, "{method} {path}: {}", answer.body);
        answer.body
    }

    /// A cluster `shop` that is active and a group `general` with two nodes.
    pub(crate) async fn with_shop(self) -> Self {
        self.ok("POST", "/clusters", Some(shop())).await;
        pass(8).await;
        self.ok("POST", "/clusters/shop/node-groups", Some(general())).await;
        pass(4).await;
        self.ok("GET", "/clusters/shop/node-groups/general", None).await;
        self
    }

    /// Fails or succeeds, as EKS calls it: `409 ResourceInUseException: …`, or `200 : ` when all is well.
    pub(crate) async fn said(&self, method: &str, path: &str, body: Option<Value>) -> String {
        self.call(method, path, body).await.line()
    }

    /// An update of something of `shop`, followed to its end.
    pub(crate) async fn updated(&self, path: &str, body: Value) -> Value {
        let id = self.ok("POST", path, Some(body)).await["update"]["id"].clone();
        pass(10).await;
        let id = id.as_str().expect("an id");
        let group = if path.contains("/node-groups/") { "?nodegroupName=general" } else { "" };
        self.ok("GET", &format!("/clusters/shop/updates/{id}{group}"), None).await["update"].clone()
    }

    /// What the API of `shop` says to a bearer token.
    pub(crate) async fn nodes_as(&self, token: &str) -> (StatusCode, Value) {
        self.nodes_of("shop", token).await
    }

    pub(crate) async fn nodes_of(&self, cluster: &str, token: &str) -> (StatusCode, Value) {
        let member = self.sim.member(REGION, cluster).expect("a member");
        self.nodes_at(&member, token).await
    }

    /// What the API of a member says to a bearer token that asks for its nodes.
    pub(crate) async fn nodes_at(
        &self,
        member: &LogicalCluster,
        token: &str,
    ) -> (StatusCode, Value) {
        let request = Request::get("/api/v1/nodes")
            .header("authorization", format!("Bearer {token}"))
            .body(http_body_util::Full::new(Bytes::new()))
            .expect("a request");
        let response = member.service().oneshot(request).await.expect("infallible");
        let status = response.status();
        let body = http_body_util::BodyExt::collect(response.into_body()).await.expect("a body");
        (status, serde_json::from_slice(&body.to_bytes()).expect("JSON"))
    }
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) error: String,
    pub(crate) body: Value,
}

impl Answer {
    /// `409 ResourceInUseException: …` in one line.
    pub(crate) fn line(&self) -> String {
        let message = self.body["message"].as_str().unwrap_or_default();
        format!("{} {}: {message}", self.status.as_u16(), self.error)
    }
}

pub(crate) async fn pass(seconds: u64) {
    tokio::time::advance(Duration::from_secs(seconds)).await;
}

pub(crate) fn shop() -> Value {
    json!({
        "name": "shop", "version": "1.34", "roleArn": "arn:aws:iam::111122223333:role/cluster",
        "resourcesVpcConfig": { "subnetIds": ["subnet-0a", "subnet-0b"] },
        "accessConfig": { "authenticationMode": "API", "bootstrapClusterCreatorAdminPermissions": true },
        "tags": { "fleetwright.dev/uid": "abc" }, "clientRequestToken": "first",
    })
}

pub(crate) fn general() -> Value {
    json!({
        "nodegroupName": "general", "subnets": ["subnet-0a", "subnet-0b"],
        "nodeRole": "arn:aws:iam::111122223333:role/node",
        "scalingConfig": { "minSize": 1, "maxSize": 3, "desiredSize": 2 },
        "labels": { "team": "shop" }, "taints": [{ "key": "gpu", "effect": "NO_SCHEDULE" }],
        "tags": { "fleetwright.dev/uid": "abc" }, "clientRequestToken": "pool",
    })
}

/// Who signs, and for what.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) session: Option<String>,
    pub(crate) region: String,
    /// Of the STS that a token is for.
    pub(crate) sts_region: String,
    pub(crate) service: String,
    pub(crate) mount: String,
}

impl Default for Caller {
    fn default() -> Self {
        Self {
            key: ACCESS_KEY_ID.to_owned(),
            secret: SECRET_ACCESS_KEY.to_owned(),
            session: None,
            region: REGION.to_owned(),
            sts_region: REGION.to_owned(),
            service: "eks".to_owned(),
            mount: String::new(),
        }
    }
}

impl Caller {
    pub(crate) fn signed(
        &self,
        method: &str,
        path: &str,
        body: Option<Value>,
        now: Timestamp,
    ) -> Request<Bytes> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.signed_as("application/json", method, path, body, now)
    }

    /// A request to STS.
    pub(crate) fn form(&self, form: &str, now: Timestamp) -> Request<Bytes> {
        let caller = Self { service: "sts".to_owned(), ..self.clone() };
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        caller.signed_as(kind, "POST", "/", form.to_owned(), now)
    }

    fn signed_as(
        &self,
        kind: &str,
        method: &str,
        path: &str,
        body: String,
        now: Timestamp,
    ) -> Request<Bytes> {
        let url = format!("https://eks.simulated{}{path}", self.mount);
        let headers = [("content-type", kind)];
        let request = Request::builder().method(method).uri(&url).header("content-type", kind);
        let mut request = request.body(Bytes::from(body.clone())).expect("a request");
        let signable = SignableBody::Bytes(body.as_bytes());
        let signable = SignableRequest::new(method, &url, headers.into_iter(), signable);
        let signable = signable.expect("signable");
        let (instructions, _) =
            self.sign(signable, SigningSettings::default(), &self.service, now).into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request
    }

    /// An EKS token, as the AWS CLI makes it.
    pub(crate) fn token(&self, cluster: &str, now: Timestamp) -> String {
        let url = self.token_url(cluster, now);
        format!("k8s-aws-v1.{}", URL_SAFE_NO_PAD.encode(url))
    }

    pub(crate) fn token_url(&self, cluster: &str, now: Timestamp) -> String {
        let mut settings = SigningSettings::default();
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(Duration::from_secs(60));
        let mut url = format!(
            "https://sts.{}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
            self.sts_region
        );
        let headers = [("x-k8s-aws-id", cluster)];
        let signable =
            SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(&[]));
        let signed = self.sign(signable.expect("signable"), settings, "sts", now);
        let (_, pairs) = signed.into_parts().0.into_parts();
        for (name, value) in pairs {
            let value = percent_encoding::utf8_percent_encode(&value, RESERVED);
            url = format!("{url}&{name}={value}");
        }
        url
    }

    fn sign(
        &self,
        request: SignableRequest<'_>,
        settings: SigningSettings,
        service: &str,
        now: Timestamp,
    ) -> aws_sigv4::SigningOutput<aws_sigv4::http_request::SigningInstructions> {
        let credentials =
            Credentials::new(&self.key, &self.secret, self.session.clone(), None, "test");
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::from(now))
            .settings(settings)
            .build()
            .expect("complete");
        sign(request, &params.into()).expect("signs")
    }
}
