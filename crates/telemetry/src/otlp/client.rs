//! The HTTP client of the exporter: hyper and rustls with ring, limits on everything.
//!
//! The SDK calls it from a thread of its own, outside tokio, so it brings a runtime with a single
//! worker; the program's runtime may then be blocked, paused or gone while the last spans leave.

use std::error::Error as StdError;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::{Client, connect::HttpConnector};
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError, ResponseBodyTooLarge};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
use tracing::instrument::WithSubscriber as _;
use tracing::subscriber::NoSubscriber;

use crate::metrics::{Counter, MetricError, Registry};

/// One request, from connecting to the last byte of the answer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// A collector's answer is a status and perhaps a sentence.
const RESPONSE_LIMIT_BYTES: usize = 64 * 1024;

type Connector = HttpsConnector<HttpConnector>;

/// Why there is no client.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The runtime's thread could not be started.
    #[error("starting the export thread")]
    Runtime(#[source] io::Error),
    /// The machine's root certificates could not be read.
    #[error("loading the root certificates")]
    Roots(#[source] io::Error),
    /// rustls refused its own defaults.
    #[error("choosing the TLS versions")]
    Tls(#[source] rustls::Error),
    /// The exporter's own metric clashes with one of the program's.
    #[error("registering the export metric")]
    Metric(#[source] MetricError),
}

/// Sends one batch at a time. Follows no redirect, so no header reaches a host that was not named.
#[derive(Debug)]
pub(crate) struct ExportClient {
    client: Client<Connector, Full<Bytes>>,
    /// Taken only by `drop`.
    runtime: Option<Runtime>,
    exports: Counter<1>,
    failing: AtomicBool,
}

impl ExportClient {
    pub(crate) fn new(endpoint: &str, registry: &Registry) -> Result<Self, ClientError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("otlp")
            .enable_all()
            .build()
            .map_err(ClientError::Runtime)?;
        let exports = registry
            .counter(
                "fleetwright_otlp_requests_total",
                "Requests with traces to the collector, by outcome.",
                ["outcome"],
            )
            .map_err(ClientError::Metric)?;
        let client = Client::builder(TokioExecutor::new()).build(connector(endpoint)?);
        Ok(Self { client, runtime: Some(runtime), exports, failing: AtomicBool::new(false) })
    }

    /// Counts every request; logs only when the collector is lost and when it is back.
    fn record(&self, outcome: &Result<Response<Bytes>, HttpError>) {
        let problem = match outcome {
            Ok(response) if response.status().is_success() => None,
            Ok(response) => Some(response.status().to_string()),
            Err(error) => Some(chain(error.as_ref())),
        };
        self.exports.add([if problem.is_none() { "success" } else { "failure" }], 1);
        let was_failing = self.failing.swap(problem.is_some(), Ordering::AcqRel);
        match (was_failing, problem) {
            (false, Some(problem)) => tracing::warn!(problem, "traces do not reach the collector"),
            (true, None) => tracing::info!("traces reach the collector again"),
            (true, Some(_)) | (false, None) => {}
        }
    }
}

#[async_trait]
impl HttpClient for ExportClient {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let Some(runtime) = &self.runtime else {
            return Err("the exporter was shut down".into());
        };
        let client = self.client.clone();
        // Without a subscriber: hyper's own spans would be exported in turn, without end.
        let sending = async move {
            match tokio::time::timeout(REQUEST_TIMEOUT, send(client, request)).await {
                Ok(outcome) => outcome,
                Err(elapsed) => Err(HttpError::from(elapsed)),
            }
        };
        let outcome = match runtime.spawn(sending.with_subscriber(NoSubscriber::new())).await {
            Ok(outcome) => outcome,
            Err(stopped) => Err(HttpError::from(stopped)),
        };
        self.record(&outcome);
        outcome
    }
}

impl Drop for ExportClient {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop would block, which panics on an async worker thread.
            runtime.shutdown_background();
        }
    }
}

async fn send(
    client: Client<Connector, Full<Bytes>>,
    request: Request<Bytes>,
) -> Result<Response<Bytes>, HttpError> {
    let (parts, body) = client.request(request.map(Full::new)).await?.into_parts();
    match Limited::new(body, RESPONSE_LIMIT_BYTES).collect().await {
        Ok(body) => Ok(Response::from_parts(parts, body.to_bytes())),
        // This type tells the SDK that the same request would fail the same way again.
        Err(error) if error.is::<LengthLimitError>() => Err(ResponseBodyTooLarge::new().into()),
        Err(error) => Err(error),
    }
}

fn connector(endpoint: &str) -> Result<Connector, ClientError> {
    let provider = Arc::new(ring::default_provider());
    if endpoint.starts_with("https:") {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(provider)
            .map_err(ClientError::Roots)?
            .https_only()
            .enable_http1()
            .build();
        return Ok(connector);
    }
    // Plain HTTP needs no roots: a machine without certificates can still reach its own collector.
    let tls = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(ClientError::Tls)?
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    let builder = HttpsConnectorBuilder::new().with_tls_config(tls);
    Ok(builder.https_or_http().enable_http1().build())
}

/// An error with its causes: hyper's own says only "client error (Connect)".
fn chain(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}
