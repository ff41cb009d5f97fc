//! The way out of the process: HTTP over TLS, bounded in time and size, without redirects and without retries.

use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use fleetwright_provider::{HttpOut, HttpOutError};
use fleetwright_verbs::hosts::is_inward;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

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

/// A way out that trusts the system's authorities, or only `ca_pem`.
pub(crate) fn over_tls(allowed: Allowed, ca_pem: Option<&str>) -> anyhow::Result<HttpOut> {
    let tls = ClientConfig::builder();
    let tls = match ca_pem {
        None => {
            tls.with_native_roots().context("cannot read the system's certificate authorities")?
        }
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            for found in CertificateDer::pem_slice_iter(pem.as_bytes()) {
                roots.add(found.context("reading a certificate authority")?)?;
            }
            tls.with_root_certificates(roots)
        }
    };
    let mut http = HttpConnector::new();
    http.enforce_http(false);
    http.set_connect_timeout(Some(CONNECT));
    http.set_nodelay(true);
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.with_no_client_auth())
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(http);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(Duration::from_secs(60))
        .build(https);
    Ok(BoxCloneSyncService::new(tower::service_fn(move |request| {
        send(client.clone(), allowed, request)
    })))
}

/// The same way out for reading only.
pub(crate) fn reading(http: HttpOut) -> HttpOut {
    BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let http = http.clone();
        async move {
            if request.method() == http::Method::GET {
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
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
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
