//! One HTTP request to one logical cluster, from headers to answer.

mod resources;
mod reviews;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver_core::discovery;
use fleetwright_apiserver_core::negotiate::{
    AGGREGATED_DISCOVERY_TYPE, wants_aggregated_discovery,
};
use fleetwright_apiserver_core::openapi::{V2_PROTOBUF, V2_PROTOBUF_TYPE, v2_json};
use fleetwright_apiserver_core::request::{Discovery, Route, route};
use fleetwright_apiserver_core::status::ApiError;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{
    ACCEPT, AUTHORIZATION, CACHE_CONTROL, CONTENT_TYPE, ETAG, HOST, HeaderName, IF_NONE_MATCH,
    RETRY_AFTER, WARNING,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::time::timeout;
use tower::BoxError;

use crate::accounts;
use crate::auth::{AuthError, Identity};
use crate::body::ApiBody;
use crate::cluster::LogicalCluster;
use crate::crds::Served;

/// Request bodies may have this many bytes (kubernetes/apiserver `MaxRequestBodyBytes`).
pub(crate) const BODY_LIMIT_BYTES: usize = 3 * 1024 * 1024;

/// From the first byte of a request body to the last.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Request extension: whom a client certificate names.
#[derive(Debug, Clone)]
pub(crate) struct Peer(pub(crate) Arc<Identity>);

/// The API of one logical cluster as a [`tower::Service`].
#[derive(Debug, Clone)]
pub struct ApiService {
    cluster: LogicalCluster,
    who: Who,
}

#[derive(Debug, Clone)]
pub(crate) enum Who {
    /// Whoever the bearer token says.
    Bearer,
    /// Our own code.
    Trusted(Identity),
}

impl ApiService {
    pub(crate) fn new(cluster: LogicalCluster, who: Who) -> Self {
        Self { cluster, who }
    }

    async fn answer<B>(self, request: Request<B>) -> Response<ApiBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        match self.dispatch(&parts, body).await {
            Ok(response) => response,
            Err(error) => error_response(&error),
        }
    }

    async fn dispatch<B>(&self, parts: &Parts, body: B) -> Result<Response<ApiBody>, ApiError>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        if self.cluster.shared().writer.stopped() || self.cluster.tables.is_closed() {
            return Err(ApiError::unavailable("the server has stopped"));
        }
        let query = parts.uri.query().unwrap_or_default();
        let routed = route(parts.method.as_str(), parts.uri.path(), query);
        if let Ok(Route::Health(name)) = routed {
            return Ok(self.health(name));
        }
        let who = self.authenticate(parts).await?;
        let routed = routed?;
        let who = self.permitted(who, parts, &routed)?;
        let accept = header(&parts.headers, &ACCEPT);
        match routed {
            Route::Resource(info) => {
                let bytes = read_body(body).await?;
                self.cluster.serve_resource(&who, parts, &info, &bytes).await
            }
            Route::Issuer => Ok(json(&accounts::configuration())),
            Route::IssuerKeys => {
                let keys = self.cluster.key_set().await.to_string();
                Ok(answer(
                    StatusCode::OK,
                    HeaderValue::from_static("application/jwk-set+json"),
                    keys,
                ))
            }
            Route::Discovery(what) => self.discover(&what, parts, accept),
            Route::OpenApiV2 if accept.is_some_and(|wanted| wanted.contains("protobuf")) => {
                let kind = HeaderValue::from_static(V2_PROTOBUF_TYPE);
                Ok(answer(StatusCode::OK, kind, V2_PROTOBUF))
            }
            Route::OpenApiV2 => Ok(cached(parts, v2_json().to_string(), JSON)),
            Route::OpenApiIndex => {
                Ok(cached(parts, self.served().openapi().index().to_string(), JSON))
            }
            Route::OpenApi { group, version } => Ok(self.openapi_document(parts, &group, &version)),
            Route::Version => Ok(json(&discovery::version(&self.cluster.attached.version))),
            Route::Root => Ok(json(&discovery::root_paths(&self.cluster.scheme()))),
            Route::Malformed => Ok(answer(StatusCode::BAD_REQUEST, TEXT, "400 Bad Request")),
            Route::Health(_) | Route::Unknown => Ok(page_not_found()),
        }
    }

    /// Who it is: our own code, the owner of a token or of a client certificate, or nobody.
    async fn authenticate(&self, parts: &Parts) -> Result<Identity, ApiError> {
        if let Who::Trusted(identity) = &self.who {
            return Ok(identity.clone());
        }
        let bearer = header(&parts.headers, &AUTHORIZATION)
            .and_then(|text| text.split_once(' '))
            .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
            .map(|(_, token)| token.trim());
        if let Some(Peer(identity)) = parts.extensions.get() {
            return Ok((**identity).clone().known());
        }
        if let Some(token) = bearer.filter(|token| token.starts_with("eyJ"))
            && let Some(account) = self.cluster.account(token, &[]).await
        {
            return Ok(account.identity.known());
        }
        match self.cluster.attached.authenticator.authenticate(bearer).await {
            Ok(identity) => Ok(identity.known()),
            // Whoever shows something that we cannot read is refused rather than nobody.
            Err(AuthError::Missing) if !parts.headers.contains_key(AUTHORIZATION) => {
                Ok(Identity::anonymous())
            }
            Err(_unknown) => Err(ApiError::unauthorized()),
        }
    }

    /// Whom the request is done for, if that is allowed.
    fn permitted(&self, who: Identity, parts: &Parts, route: &Route) -> Result<Identity, ApiError> {
        if let Who::Trusted(_) = self.who {
            return Ok(who);
        }
        let who = self.cluster.impersonated(who, &parts.headers, route)?;
        self.cluster.authorize(&who, parts, route)?;
        Ok(who)
    }

    fn health(&self, name: &str) -> Response<ApiBody> {
        let failed = self.cluster.shared().writer.failed();
        match (name, failed) {
            ("readyz" | "healthz", true) => {
                let body = "the store has failed: no more writes until a restart\n";
                answer(StatusCode::INTERNAL_SERVER_ERROR, TEXT, body)
            }
            _ => answer(StatusCode::OK, TEXT, "ok"),
        }
    }

    fn served(&self) -> Arc<Served> {
        self.cluster.attached.definitions.served()
    }

    fn openapi_document(&self, parts: &Parts, group: &str, version: &str) -> Response<ApiBody> {
        let served = self.served();
        let Some(document) = served.openapi().document(group, version) else {
            // Recorded: not even a Content-Type.
            let mut nothing = answer(StatusCode::NOT_FOUND, TEXT, "");
            nothing.headers_mut().remove(CONTENT_TYPE);
            return nothing;
        };
        // The index names documents by hash: what has one in its address never changes.
        let immutable = parts.uri.query().is_some_and(|query| query.contains("hash="));
        let etag = format!("\"{}\"", document.hash);
        let mut response = if_changed(parts, &etag, JSON, || document.body.clone().into());
        if immutable {
            let forever = HeaderValue::from_static("public, max-age=31536000, immutable");
            response.headers_mut().insert(CACHE_CONTROL, forever);
        }
        response
    }

    fn discover(
        &self,
        what: &Discovery,
        parts: &Parts,
        accept: Option<&str>,
    ) -> Result<Response<ApiBody>, ApiError> {
        let scheme = &self.cluster.scheme();
        let aggregated = wants_aggregated_discovery(accept);
        let found = match what {
            Discovery::CoreVersions if aggregated => Some(discovery::aggregated_core(scheme)),
            Discovery::CoreVersions => {
                let address = header(&parts.headers, &HOST)
                    .or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
                Some(discovery::core_versions(address.unwrap_or("localhost")))
            }
            Discovery::Groups if aggregated => Some(discovery::aggregated_groups(scheme)),
            Discovery::Groups => Some(discovery::groups(scheme)),
            Discovery::Group(name) => discovery::group(scheme, name),
            Discovery::Resources { group, version } => {
                if !scheme.has_group(group) {
                    return Ok(page_not_found());
                }
                let found = discovery::resources(scheme, group, version);
                Some(found.ok_or_else(ApiError::path_not_found)?)
            }
        };
        let Some(document) = found else {
            return Ok(page_not_found());
        };
        let both = matches!(what, Discovery::CoreVersions | Discovery::Groups);
        let content_type = if both && aggregated {
            HeaderValue::from_static(AGGREGATED_DISCOVERY_TYPE)
        } else {
            JSON
        };
        Ok(cached(parts, document.to_string(), content_type))
    }
}

impl<B> tower::Service<Request<B>> for ApiService
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<ApiBody>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.clone().answer(request).map(Ok).boxed()
    }
}

/// The whole body, unless it is too large or too slow.
pub(crate) async fn read_body<B>(body: B) -> Result<Bytes, ApiError>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    match timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT_BYTES).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(ApiError::too_large(BODY_LIMIT_BYTES as u64))
        }
        Ok(Err(error)) => Err(ApiError::bad_request(format!("the body was cut off: {error}"))),
        Err(_elapsed) => Err(ApiError::bad_request("the body took too long to arrive")),
    }
}

pub(crate) fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

pub(crate) fn answer(
    status: StatusCode,
    content_type: HeaderValue,
    body: impl Into<Bytes>,
) -> Response<ApiBody> {
    let mut response = Response::new(ApiBody::full(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

pub(crate) fn json(value: &Value) -> Response<ApiBody> {
    answer(StatusCode::OK, JSON, value.to_string())
}

pub(crate) fn yaml(value: &Value) -> Response<ApiBody> {
    let kind = HeaderValue::from_static("application/yaml");
    answer(StatusCode::OK, kind, fleetwright_apiserver_core::yaml::write(value))
}

/// An answer of JSON that comes piece by piece.
pub(crate) fn streamed(body: ApiBody) -> Response<ApiBody> {
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

pub(crate) fn error_response(error: &ApiError) -> Response<ApiBody> {
    let status = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = answer(status, JSON, error.body().to_string());
    if let Some(seconds) = error.retry_after_seconds() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// Clients refuse an answer with too many headers (hyper: 100) or too long ones, and would take a write that was done for
/// one that failed.
const MOST_WARNINGS: usize = 50;
const MOST_WARNING_CHARS: usize = 4096;

/// `Warning: 299 - "TEXT"` for each, as RFC 7234 section 5.5 writes them; each once, as many as fit.
/// Only where they do not all fit are long ones cut, as upstream does.
pub(crate) fn add_warnings(response: &mut Response<ApiBody>, warnings: &[String]) {
    let mut seen = BTreeSet::new();
    let mut left = MOST_WARNING_CHARS;
    let fit = warnings.iter().map(String::len).sum::<usize>() <= MOST_WARNING_CHARS;
    let longest = if fit { MOST_WARNING_CHARS } else { 256 };
    for text in warnings.iter().filter(|text| seen.insert(text.as_str())).take(MOST_WARNINGS) {
        let text: String = text.chars().take(longest).collect();
        let Some(rest) = left.checked_sub(text.len()) else { return };
        left = rest;
        let quoted = text.replace('\\', "\\\\").replace('"', "\\\"").replace(['\r', '\n'], " ");
        if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
            response.headers_mut().append(WARNING, value);
        }
    }
}

pub(crate) fn page_not_found() -> Response<ApiBody> {
    answer(StatusCode::NOT_FOUND, TEXT, "404 page not found\n")
}

fn cached(parts: &Parts, body: String, content_type: HeaderValue) -> Response<ApiBody> {
    let digest = Sha256::digest(body.as_bytes());
    let etag: String = digest.iter().map(|byte| format!("{byte:02X}")).collect();
    if_changed(parts, &format!("\"{etag}\""), content_type, || body.into())
}

/// 304 when the caller has it already.
fn if_changed(
    parts: &Parts,
    etag: &str,
    content_type: HeaderValue,
    body: impl FnOnce() -> Bytes,
) -> Response<ApiBody> {
    let known = header(&parts.headers, &IF_NONE_MATCH).is_some_and(|known| known == etag);
    let mut response = if known {
        answer(StatusCode::NOT_MODIFIED, content_type, "")
    } else {
        answer(StatusCode::OK, content_type, body())
    };
    if let Ok(value) = HeaderValue::from_str(etag) {
        response.headers_mut().insert(ETAG, value);
    }
    response.headers_mut().insert(http::header::VARY, HeaderValue::from_static("Accept"));
    response
}
