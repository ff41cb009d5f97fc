//! The way out of the process: HTTP over TLS, bounded in time and size, without redirects and without retries.

mod proxy;
mod roots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use fleetwright_cloudsim::MOUNT_PATH;
use fleetwright_provider::{HttpOut, HttpOutError};
use fleetwright_verbs::hosts::is_inward;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use self::proxy::Way;

pub(crate) use self::proxy::Proxies;

/// For one request, from its first byte to the last of the answer.
const REQUEST: Duration = Duration::from_secs(30);
/// For a machine's own link: who is not there does not answer at all.
const ON_LINK: Duration = Duration::from_secs(2);
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer of a cloud that we list is below 1 MiB.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Where AWS gives machines, containers and pods their credentials, over plain HTTP on the link.
const CREDENTIAL_SOURCES: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"];

/// What a way out may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Clouds, over https, never this machine.
    Clouds,
    /// Besides, the addresses on the link that give credentials.
    CredentialSources,
    /// The simulated cloud of another process of this machine.
    Simulation,
}

/// A way out that trusts the authorities of this machine, or only `ca_pem`. Clouds are reached through the proxy that the
/// environment names; simulations and sources of credentials never.
pub(crate) fn over_tls(allowed: Allowed, ca_pem: Option<&str>) -> anyhow::Result<HttpOut> {
    let roots = match ca_pem {
        None => roots::of_this_machine()?,
        Some(pem) => roots::only(pem)?,
    };
    let proxies = match allowed {
        Allowed::Simulation => Proxies::none(),
        Allowed::Clouds | Allowed::CredentialSources => Proxies::of_environment()?,
    };
    Ok(through(allowed, roots, proxies))
}

fn through(allowed: Allowed, roots: RootCertStore, proxies: Proxies) -> HttpOut {
    let tls = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(Way::new(http, tls, proxies));
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .build(https);
    BoxCloneSyncService::new(tower::service_fn(move |request| {
        send(client.clone(), allowed, request)
    }))
}

/// Whether a POST changes nothing: AWS asks who somebody is, what a parameter says and what stands in the way of an
/// upgrade by POST.
fn only_asks(request: &Request<Bytes>) -> bool {
    let header = |name: &str| request.headers().get(name).map(http::HeaderValue::as_bytes);
    let form = header("content-type")
        .is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded"));
    let action =
        request.body().split(|byte| *byte == b'&').find_map(|pair| pair.strip_prefix(b"Action="));
    let identity: [&[u8]; 3] = [b"GetCallerIdentity", b"AssumeRole", b"AssumeRoleWithWebIdentity"];
    let who = form && action.is_some_and(|action| identity.contains(&action));
    request.method() == http::Method::POST
        && (who
            || header("x-amz-target") == Some(b"AmazonSSM.GetParameter")
            || lists_insights(request.uri().path()))
}

/// Whether this is the path of EKS `ListInsights`, to the letter; the simulated cloud has it below its mount.
fn lists_insights(path: &str) -> bool {
    let path = path.strip_prefix(MOUNT_PATH).unwrap_or(path);
    let segments: Vec<&str> = path.split('/').collect();
    // The characters of a cluster's name: nothing that is encoded could be read as another path.
    let is_name = |name: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !name.is_empty() && name.bytes().all(known)
    };
    matches!(segments.as_slice(), ["", "clusters", name, "insights"] if is_name(name))
}

/// The same way out for reading only.
pub(crate) fn reading(http: HttpOut) -> HttpOut {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let http = http.clone();
        async move {
            if request.method() == http::Method::GET || only_asks(&request) {
                return http.oneshot(request).await;
            }
            Err(HttpOutError::Forbidden(format!(
                "{} {}: this command only reads",
                request.method(),
                request.uri()
            )))
        }
    }))
}

async fn send(
    client: Client<HttpsConnector<Way>, Full<Bytes>>,
    allowed: Allowed,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpOutError> {
    let limit = permit(allowed, request.uri())?;
    let exchange = async {
        let response = client.request(request.map(Full::new)).await.map_err(|error| {
            let text = chain(&error);
            if error.is_connect() {
                HttpOutError::Connect(text)
            } else {
                HttpOutError::Timeout(text)
            }
        })?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MOST_BYTES).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() {
                HttpOutError::TooLarge { limit_bytes: MOST_BYTES }
            } else {
                HttpOutError::Timeout(chain(error.as_ref()))
            }
        })?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    };
    tokio::time::timeout(limit, exchange).await.unwrap_or_else(|_elapsed| {
        Err(HttpOutError::Timeout(format!("nothing for {} s", limit.as_secs())))
    })
}

/// How long the request may take, if it may be sent at all.
fn permit(allowed: Allowed, uri: &Uri) -> Result<Duration, HttpOutError> {
    let host = uri.host().unwrap_or_default();
    let refuse = |why: &str| Err(HttpOutError::Forbidden(format!("{host:?}: {why}")));
    if allowed == Allowed::CredentialSources && CREDENTIAL_SOURCES.contains(&host) {
        return Ok(ON_LINK);
    }
    if uri.scheme_str() != Some("https") {
        return refuse("only https leaves this program");
    }
    if host.is_empty() || (allowed != Allowed::Simulation && is_inward(host)) {
        return refuse("a cloud is never on this machine");
    }
    Ok(REQUEST)
}

/// An error with its causes: hyper's own text says only which part failed.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut at = error.source();
    while let Some(cause) = at {
        text = format!("{text}: {cause}");
        at = cause.source();
    }
    text
}
