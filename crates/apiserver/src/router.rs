//! Which cluster, or which other service, a request is for.

use std::convert::Infallible;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver_core::status::ApiError;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, VARY};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt};

use crate::auth::Identity;
use crate::body::ApiBody;
use crate::server::ApiServer;
use crate::service::{Peer, error_response, read_body};

/// Requests answered at a time; further ones get a 429. Upstream allows 400 reads and 200 writes.
const REQUESTS: usize = 600;

/// From a request's header to its answer's (kube-apiserver `--request-timeout`), the body's arrival
/// included.
const PATIENCE: Duration = Duration::from_secs(60);

/// A service under a prefix of the server's paths.
pub type MountedService = BoxCloneSyncService<Request<Bytes>, Response<Bytes>, Infallible>;

/// Request extension: the prefix that was taken off the path before a [`MountedService`] saw it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountedAt(pub String);

/// Everything a server answers, by path: mounted services first, then `/clusters/NAME/…`, then
/// the root cluster. Clusters are looked up by each request, so they may come and go.
#[derive(Clone)]
pub struct Router {
    server: ApiServer,
    root: Arc<str>,
    mounts: Vec<(String, MountedService)>,
    room: Arc<Semaphore>,
    peer: Option<Peer>,
}

impl fmt::Debug for Router {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefixes: Vec<_> = self.mounts.iter().map(|(prefix, _)| prefix).collect();
        f.debug_struct("Router").field("root", &self.root).field("mounts", &prefixes).finish()
    }
}

impl Router {
    pub(crate) fn new(server: ApiServer, root: String) -> Self {
        let room = Arc::new(Semaphore::new(REQUESTS));
        Self { server, root: root.into(), mounts: Vec::new(), room, peer: None }
    }

    /// Hands every path below `prefix` (as `/cloud/aws`) to `service`, without that prefix. The
    /// service authenticates its callers itself; bodies are limited as everywhere.
    #[must_use]
    pub fn mount(mut self, prefix: &str, service: MountedService) -> Self {
        self.mounts.push((prefix.trim_end_matches('/').to_owned(), service));
        self
    }

    /// The router for a connection on which a client has shown a certificate. It counts for the
    /// cluster at the root only: the others stand for clusters with authorities of their own.
    pub(crate) fn with_peer(mut self, identity: Identity) -> Self {
        self.peer = Some(Peer(Arc::new(identity)));
        self
    }

    async fn route<B>(self, mut request: Request<B>) -> Response<ApiBody>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        // A watch counts until it begins: afterwards it costs next to nothing.
        let Ok(_place) = Arc::clone(&self.room).try_acquire_owned() else {
            return error_response(&ApiError::too_many_requests(1));
        };
        for (prefix, service) in &self.mounts {
            if let Some(uri) = without_prefix(request.uri(), prefix) {
                *request.uri_mut() = uri;
                request.extensions_mut().insert(MountedAt(prefix.clone()));
                return call_mounted(service.clone(), request).await;
            }
        }
        let path = request.uri().path();
        let name = path.strip_prefix("/clusters/").and_then(|rest| rest.split('/').next());
        let cluster = match name.map(str::to_owned) {
            None => {
                if let Some(peer) = self.peer {
                    request.extensions_mut().insert(peer);
                }
                self.server.cluster(&self.root)
            }
            Some(name) => {
                let prefix = format!("/clusters/{name}");
                if let Some(uri) = without_prefix(request.uri(), &prefix) {
                    *request.uri_mut() = uri;
                }
                self.server.cluster(&name)
            }
        };
        match cluster {
            Some(cluster) => {
                // A watch has answered once it begins.
                let gzip = takes_gzip(request.headers());
                let answered = timeout(PATIENCE, cluster.service().oneshot(request)).await;
                match answered {
                    Ok(Ok(response)) if gzip && response.body().is_large() => gzipped(response),
                    Ok(Ok(response)) => response,
                    Ok(Err(never)) => match never {},
                    Err(_elapsed) => error_response(&ApiError::took_too_long()),
                }
            }
            None => error_response(&ApiError::path_not_found()),
        }
    }
}

impl<B> tower::Service<Request<B>> for Router
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
        self.clone().route(request).map(Ok).boxed()
    }
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let wanted = headers.get(ACCEPT_ENCODING).and_then(|value| value.to_str().ok());
    let mut codings = wanted.unwrap_or_default().split(',').map(str::trim);
    codings
        .any(|coding| coding == "gzip" || (coding.starts_with("gzip;") && !coding.ends_with("q=0")))
}

fn gzipped(response: Response<ApiBody>) -> Response<ApiBody> {
    let mut response = response.map(ApiBody::gzipped);
    let headers = response.headers_mut();
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    response
}

async fn call_mounted<B>(service: MountedService, request: Request<B>) -> Response<ApiBody>
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let (parts, body) = request.into_parts();
    let body = match read_body(body).await {
        Ok(body) => body,
        Err(error) => return error_response(&error),
    };
    match service.oneshot(Request::from_parts(parts, body)).await {
        Ok(response) => response.map(ApiBody::full),
        Err(never) => match never {},
    }
}

/// The address below `prefix`, if it is below it: `/a/b?c` without `/a` is `/b?c`.
fn without_prefix(uri: &Uri, prefix: &str) -> Option<Uri> {
    let rest = uri.path().strip_prefix(prefix)?;
    if !rest.is_empty() && !rest.starts_with('/') {
        return None;
    }
    let path = if rest.is_empty() { "/" } else { rest };
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse::<PathAndQuery>().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_at_a_slash() {
        let cut = |uri: &'static str| {
            without_prefix(&Uri::from_static(uri), "/a").map(|uri| uri.to_string())
        };
        assert_eq!(cut("/a/b?c=d").as_deref(), Some("/b?c=d"));
        assert_eq!(cut("/a").as_deref(), Some("/"));
        assert_eq!(cut("/ab/c"), None);
        assert_eq!(cut("https://host/a/b").as_deref(), Some("https://host/b"));
    }
}
