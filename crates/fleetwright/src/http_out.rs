//! The way out of the process: HTTP over TLS, bounded in time and size, without redirects and without retries.

mod proxy;
mod reading;
mod roots;
#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;
use fleetwright_provider::{HttpOut, HttpOutError};
use fleetwright_verbs::hosts::is_inward;
use http::{Request, Response, Uri};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::{ClientConfig, RootCertStore};
use tower::util::BoxCloneSyncService;

use self::proxy::Way;

pub(crate) use self::proxy::Proxies;
pub(crate) use self::reading::reading;

/// For one request, from its first byte to the last of the answer.
const REQUEST: Duration = Duration::from_secs(30);
/// For a machine's own link: who is not there does not answer at all.
const ON_LINK: Duration = Duration::from_secs(2);
/// Azure's answers there take longer: it asks Entra ID first.
const ON_AZURES_LINK: Duration = Duration::from_secs(8);
/// For a part of a release, which may be as large as an answer may be, over a line that need not be fast.
const DOWNLOAD: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(10);
/// The largest answer of a cloud that we list is below 1 MiB.
const MOST_BYTES: usize = 8 * 1024 * 1024;
/// Where AWS gives machines, containers and pods their credentials, over plain HTTP on the link.
const CREDENTIAL_SOURCES: [&str; 5] =
    ["169.254.169.254", "169.254.170.2", "169.254.170.23", "[fd00:ec2::254]", "[fd00:ec2::23]"];
/// Where Azure gives a machine tokens of its managed identity, over plain HTTP on the link.
const AZURES_LINK: (&str, &str) = ("169.254.169.254", "/metadata/identity/oauth2/token");

/// What a way out may reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Clouds, over https, never this machine.
    Clouds,
    /// Besides, the addresses on the link that give AWS credentials.
    CredentialSources,
    /// Clouds, among them Entra ID, and the one place on the link that gives tokens of Azure's managed identities.
    AzureTokens,
    /// Releases of programs and mirrors of them, over https, never this machine.
    Releases,
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
        Allowed::Clouds | Allowed::CredentialSources | Allowed::AzureTokens | Allowed::Releases => {
            Proxies::of_environment()?
        }
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
    if allowed == Allowed::AzureTokens && (host, uri.path()) == AZURES_LINK {
        return Ok(ON_AZURES_LINK);
    }
    if uri.scheme_str() != Some("https") {
        return refuse("only https leaves this program");
    }
    if host.is_empty() || (allowed != Allowed::Simulation && is_inward(host)) {
        return refuse("a cloud is never on this machine");
    }
    Ok(if allowed == Allowed::Releases { DOWNLOAD } else { REQUEST })
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
