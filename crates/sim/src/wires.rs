//! The wires between hub, cloud and members, where calls get lost.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{ApiBody, ApiServer, ApiService};
use fleetwright_cloudsim::CloudSim;
use fleetwright_controllers::members::{Connector, Member};
use fleetwright_provider::{HttpOut, HttpOutError, Secret};
use fleetwright_reconcile::Failure;
use http::{Request, Response, StatusCode, header};
use http_body::{Body, Frame};
use kube::Client;
use kube::client::Body as KubeBody;
use tokio::time::Sleep;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

use crate::faults::{Fate, Faults};

/// A lost request has had its effect by then, or never will.
pub const LATEST_SECONDS: usize = 50;

type Answer<B> = Pin<Box<dyn Future<Output = Result<Response<B>, tower::BoxError>> + Send>>;

/// Whose words a cloud speaks when it refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// AWS.
    Aws,
    /// Azure Resource Manager, and Entra ID.
    Azure,
}

type Cloud = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, Infallible>;

/// The wire from the hub to a cloud.
#[must_use]
pub fn to_cloud(cloud: Cloud, dialect: Dialect, faults: Arc<Faults>) -> HttpOut {
    let wire = tower::service_fn(move |request: Request<Bytes>| {
        let (cloud, faults) = (cloud.clone(), Arc::clone(&faults));
        async move { cloud_call(cloud, dialect, &faults, request).await }
    });
    BoxCloneSyncService::new(wire)
}

impl Dialect {
    /// Whether a request may be the one that makes a cluster; on AKS updates look the same.
    fn creates(self, request: &Request<Bytes>) -> bool {
        let path = request.uri().path();
        match self {
            Self::Aws => request.method() == http::Method::POST && path == "/clusters",
            Self::Azure => {
                let name = path.rsplit_once("/managedClusters/").map(|(_, name)| name);
                request.method() == http::Method::PUT
                    && name.is_some_and(|name| !name.contains('/'))
            }
        }
    }

    fn error(self, faults: &Faults, status: u16) -> Response<Bytes> {
        let throttled = status == 429;
        match self {
            Self::Aws if throttled => aws_error(faults, status, "ThrottlingException"),
            Self::Aws => aws_error(faults, status, "ServiceUnavailableException"),
            Self::Azure if throttled => azure_error(faults, status, "TooManyRequests"),
            Self::Azure => azure_error(faults, status, "ServerTimeout"),
        }
    }
}

async fn cloud_call(
    cloud: Cloud,
    dialect: Dialect,
    faults: &Arc<Faults>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpOutError> {
    let what = format!("cloud {} {}", request.method(), request.uri().path());
    let create = dialect.creates(&request);
    let rolled = begin(faults, &what).await;
    let fate = if create { faults.decided_create().unwrap_or(rolled) } else { rolled };
    let lost = || HttpOutError::Timeout("simulated loss".into());
    match fate {
        Fate::NotSent => return Err(HttpOutError::Connect("simulated".into())),
        Fate::LostOnTheWay => {
            tokio::time::sleep(Duration::from_secs(15)).await;
            return Err(lost());
        }
        Fate::LateEffect => {
            tokio::spawn(arrive_late(cloud, request, Arc::clone(faults)));
            tokio::time::sleep(Duration::from_secs(15)).await;
            return Err(lost());
        }
        Fate::Throttled => return Ok(dialect.error(faults, 429)),
        Fate::Broken => return Ok(dialect.error(faults, 503)),
        Fate::CrashBefore | Fate::CrashAfter | Fate::LostAnswer | Fate::Works => {}
    }
    let answer = match cloud.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    faults.note(format!("  {what} -> {}", answer.status().as_u16()));
    if fate == Fate::CrashAfter || faults.is_dead() {
        faults.crash_here().await;
    }
    if fate == Fate::LostAnswer {
        tokio::time::sleep(Duration::from_secs(15)).await;
        return Err(lost());
    }
    Ok(answer)
}

/// A request that sat in some queue: its sender gave up long ago, and it has its effect all the same.
async fn arrive_late(cloud: Cloud, request: Request<Bytes>, faults: Arc<Faults>) {
    let what = format!("cloud {} {}", request.method(), request.uri().path());
    let seconds = u64::try_from(16 + faults.dice().below(LATEST_SECONDS - 16)).unwrap_or(30);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let answer = match cloud.oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    faults.note(format!("  {what} (late) -> {}", answer.status().as_u16()));
}

/// Rolls the dice, waits a little as wires do, and dies here if that is the fate.
pub(crate) async fn begin(faults: &Faults, what: &str) -> Fate {
    if faults.is_dead() {
        faults.crash_here().await;
    }
    let fate = faults.fate();
    faults.note(if fate == Fate::Works { what.to_owned() } else { format!("{what} {fate:?}") });
    let delay = 1 + faults.dice().below(20);
    tokio::time::sleep(Duration::from_millis(u64::try_from(delay).unwrap_or(1))).await;
    if fate == Fate::CrashBefore || faults.is_dead() {
        faults.crash_here().await;
    }
    fate
}

/// An error as AWS gives it: each with a request id of its own.
fn aws_error(faults: &Faults, status: u16, code: &str) -> Response<Bytes> {
    let body = Bytes::from_static(br#"{"message":"simulated"}"#);
    let headers = [("x-amzn-errortype", code.to_owned())];
    cloud_error(status, body, headers.into_iter().chain([("x-amzn-requestid", id(faults))]))
}

/// An error as Azure Resource Manager gives it.
fn azure_error(faults: &Faults, status: u16, code: &str) -> Response<Bytes> {
    let body = serde_json::json!({"error": {"code": code, "message": "simulated"}});
    cloud_error(status, body.to_string().into(), [("x-ms-request-id", id(faults))].into_iter())
}

fn id(faults: &Faults) -> String {
    faults.dice().share().to_string()
}

fn cloud_error(
    status: u16,
    body: Bytes,
    headers: impl Iterator<Item = (&'static str, String)>,
) -> Response<Bytes> {
    let mut answer = Response::new(body);
    *answer.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    for (name, value) in headers {
        if let Ok(value) = value.parse() {
            answer.headers_mut().insert(name, value);
        }
    }
    answer
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static("application/json"));
    answer
}

/// The wire from the controllers to a Kubernetes API: the hub's own, or a member's.
#[derive(Clone)]
pub struct ToApi {
    inner: Target,
    name: &'static str,
    bearer: Option<header::HeaderValue>,
    faults: Arc<Faults>,
}

/// Who answers.
#[derive(Clone)]
enum Target {
    Api(ApiService),
    /// Whichever cluster of hosts is at an address when somebody asks.
    At(CloudSim, String),
}

impl Target {
    async fn service(&self) -> Result<ApiService, tower::BoxError> {
        match self {
            Self::Api(service) => Ok(service.clone()),
            Self::At(cloud, endpoint) => {
                let member = cloud.member_at(endpoint).await?;
                let member = member.ok_or_else(|| format!("nobody answers at {endpoint}"))?;
                Ok(member.service())
            }
        }
    }
}

impl std::fmt::Debug for ToApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ToApi").field("name", &self.name).finish_non_exhaustive()
    }
}

impl ToApi {
    /// A wire called `name` in the trace.
    #[must_use]
    pub const fn new(inner: ApiService, name: &'static str, faults: Arc<Faults>) -> Self {
        Self { inner: Target::Api(inner), name, bearer: None, faults }
    }
}

impl Service<Request<KubeBody>> for ToApi {
    type Response = Response<CutBody>;
    type Error = tower::BoxError;
    type Future = Answer<CutBody>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<KubeBody>) -> Self::Future {
        let wire = self.clone();
        Box::pin(async move { wire.send(request).await })
    }
}

impl ToApi {
    async fn send(
        self,
        mut request: Request<KubeBody>,
    ) -> Result<Response<CutBody>, tower::BoxError> {
        let faults = &self.faults;
        if let Some(bearer) = self.bearer.clone() {
            request.headers_mut().insert(header::AUTHORIZATION, bearer);
        }
        let watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let what = format!("{} {} {}", self.name, request.method(), request.uri());
        let fate = begin(faults, &what).await;
        match fate {
            Fate::NotSent => return Err("simulated: cannot connect".into()),
            Fate::LostOnTheWay | Fate::LateEffect => {
                tokio::time::sleep(Duration::from_secs(10)).await;
                return Err("simulated: lost on the way".into());
            }
            Fate::Throttled => return status_answer(429, "TooManyRequests"),
            Fate::Broken => return status_answer(500, "InternalError"),
            Fate::CrashBefore | Fate::CrashAfter | Fate::LostAnswer | Fate::Works => {}
        }
        let answer = match self.inner.service().await?.oneshot(request).await {
            Ok(answer) => answer,
            Err(never) => match never {},
        };
        faults.note(format!("  {what} -> {}", answer.status().as_u16()));
        if fate == Fate::CrashAfter || faults.is_dead() {
            faults.crash_here().await;
        }
        if fate == Fate::LostAnswer {
            tokio::time::sleep(Duration::from_secs(10)).await;
            return Err("simulated: the answer was lost".into());
        }
        // Watches are long; most of the time one is cut before its end.
        let cut = (watch && faults.are_on()).then(|| {
            let seconds = u64::try_from(5 + faults.dice().below(60)).unwrap_or(30);
            Box::pin(tokio::time::sleep(Duration::from_secs(seconds)))
        });
        Ok(answer.map(|inner| CutBody { inner: Inner::Api(inner), cut }))
    }
}

fn status_answer(code: u16, reason: &str) -> Result<Response<CutBody>, tower::BoxError> {
    let body = serde_json::json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "simulated", "reason": reason, "code": code,
    });
    let inner = Inner::Text(Some(Bytes::from(body.to_string())));
    Ok(Response::builder()
        .status(code)
        .header(header::CONTENT_TYPE, "application/json")
        .body(CutBody { inner, cut: None })?)
}

/// An answer that may end before its end.
#[derive(Debug)]
pub struct CutBody {
    inner: Inner,
    cut: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
enum Inner {
    Api(ApiBody),
    Text(Option<Bytes>),
}

impl Body for CutBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.cut.as_mut().is_some_and(|cut| cut.as_mut().poll(cx).is_ready()) {
            self.inner = Inner::Text(None);
            self.cut = None;
        }
        match &mut self.inner {
            Inner::Api(inner) => Pin::new(inner).poll_frame(cx),
            Inner::Text(text) => Poll::Ready(text.take().map(|text| Ok(Frame::data(text)))),
        }
    }
}

/// Reaches members in process, through wires.
#[derive(Debug)]
pub struct SimConnector {
    world: ApiServer,
    cloud: CloudSim,
    faults: Arc<Faults>,
}

impl SimConnector {
    /// Members live in `world`.
    #[must_use]
    pub const fn new(world: ApiServer, cloud: CloudSim, faults: Arc<Faults>) -> Self {
        Self { world, cloud, faults }
    }
}

impl Connector for SimConnector {
    fn connect(&self, member: &Member, token: &Secret) -> Result<Client, Failure> {
        let connection = &member.connection;
        let unreachable = |message: String| {
            Failure::new(fleetwright_errclass::Class::Transient, "Unreachable", message)
        };
        let target = match connection.endpoint.rsplit_once("/clusters/") {
            Some((_, name)) => {
                let member = self.world.cluster(name).ok_or_else(|| {
                    unreachable(format!("nobody answers at {}", connection.endpoint))
                })?;
                Target::Api(member.service())
            }
            None => Target::At(self.cloud.clone(), connection.endpoint.clone()),
        };
        let bearer = format!("Bearer {}", token.expose())
            .parse()
            .map_err(|error: header::InvalidHeaderValue| unreachable(error.to_string()))?;
        let faults = Arc::clone(&self.faults);
        let wire = ToApi { inner: target, name: "member", bearer: Some(bearer), faults };
        Ok(Client::new(wire, "default"))
    }
}
