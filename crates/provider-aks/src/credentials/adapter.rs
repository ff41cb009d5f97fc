//! The HTTP client of Azure's identity library over the project's way out.

use async_trait::async_trait;
use azure_core1::error::ErrorKind;
use azure_core1::http::headers::Headers;
use azure_core1::http::request::Body;
use azure_core1::http::{AsyncRawResponse, HttpClient, Request, StatusCode};
use azure_core1::{Error, Result};
use bytes::Bytes;
use fleetwright_provider::HttpOut;
use tower::ServiceExt as _;

/// Sends the library's requests through [`HttpOut`]; time and size are bounded there.
#[derive(Debug, Clone)]
pub(super) struct OverHttpOut(pub(super) HttpOut);

#[async_trait]
impl HttpClient for OverHttpOut {
    async fn execute_request(&self, request: &Request) -> Result<AsyncRawResponse> {
        let mut built = ::http::Request::builder()
            .method(request.method().to_string().as_str())
            .uri(request.url().as_str());
        for (name, value) in request.headers().iter() {
            built = built.header(name.as_str(), value.as_str());
        }
        let body = match request.body() {
            Body::Bytes(bytes) => bytes.clone(),
            // Every request for a token is a small form in memory.
            Body::SeekableStream(_) => {
                let words = "a request whose body is a stream is not supported";
                return Err(Error::with_message(ErrorKind::Io, words));
            }
        };
        let built = built.body(body).map_err(|source| {
            Error::with_error(ErrorKind::DataConversion, source, "the request is no HTTP request")
        })?;
        // Kept as source: `error.rs` reads it to tell a network that is down from a refusal.
        let answer = self.0.clone().oneshot(built).await.map_err(|source| {
            let words = source.to_string();
            Error::with_error(ErrorKind::Io, source, words)
        })?;
        let status = StatusCode::from(answer.status().as_u16());
        let mut headers = Headers::new();
        for (name, value) in answer.headers() {
            if let Ok(value) = value.to_str() {
                headers.insert(name.as_str().to_owned(), value.to_owned());
            }
        }
        let body: Bytes = answer.into_body();
        Ok(AsyncRawResponse::from_bytes(status, headers, body))
    }
}
