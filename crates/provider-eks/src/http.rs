//! The AWS SDK's HTTP client over the project's way out, and its clock over ours.

use std::sync::Arc;
use std::time::SystemTime;

use aws_smithy_async::time::TimeSource;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::Response;
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use fleetwright_clock::Clock;
use fleetwright_provider::{HttpOut, HttpOutError};
use tower::ServiceExt as _;

/// Sends the SDK's requests through [`HttpOut`]. Time and size are bounded there and by the SDK's attempt timeout.
#[derive(Debug, Clone)]
pub(crate) struct OverHttpOut(pub(crate) HttpOut);

impl HttpClient for OverHttpOut {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for OverHttpOut {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let http = self.0.clone();
        HttpConnectorFuture::new(async move {
            let request = in_memory(request)?;
            let response = http.oneshot(request).await.map_err(not_sent)?;
            Response::try_from(response.map(SdkBody::from))
                .map_err(|source| ConnectorError::other(source.into(), None))
        })
    }
}

fn in_memory(request: HttpRequest) -> Result<::http::Request<Bytes>, ConnectorError> {
    let request =
        request.try_into_http1x().map_err(|source| ConnectorError::user(source.into()))?;
    let (parts, body) = request.into_parts();
    // Every EKS request is a small JSON document in memory; a stream here would be a mistake of ours.
    let body = body.bytes().map(Bytes::copy_from_slice).ok_or_else(|| {
        ConnectorError::user("the request's body is a stream, which is not supported".into())
    })?;
    Ok(::http::Request::from_parts(parts, body))
}

/// Keeps the [`HttpOutError`] as source: `error.rs` reads it to tell what had no effect from what may have had one.
fn not_sent(error: HttpOutError) -> ConnectorError {
    match &error {
        HttpOutError::Connect(_) => ConnectorError::io(error.into()).never_connected(),
        HttpOutError::Timeout(_) => ConnectorError::timeout(error.into()),
        HttpOutError::TooLarge { .. } => ConnectorError::other(error.into(), None),
        HttpOutError::Forbidden(_) => ConnectorError::user(error.into()),
    }
}

/// The SDK's clock: signatures carry the time that our clock shows.
#[derive(Debug, Clone)]
pub(crate) struct ClockTime(pub(crate) Arc<dyn Clock>);

impl TimeSource for ClockTime {
    fn now(&self) -> SystemTime {
        self.0.now().into()
    }
}
