//! The simulation's own controls, over HTTP for a second process: faults, drift, releases of images.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::drift::DriftError;
use crate::faults::Fault;
use crate::hosts::HostCall;
use crate::{SECRET_ACCESS_KEY, SettleError, Shared};

/// Below the mount; no path of a cloud begins so.
pub(crate) const PREFIX: &str = "/_simulation/";

/// The body of a drift.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Drift {
    region: String,
    name: String,
    path: String,
    value: Value,
}

/// Why a control has no effect.
struct Refused {
    status: StatusCode,
    message: String,
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }

    fn failed(error: &SettleError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// A script for a host; its payload and its outputs are base64.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OnHost {
    host: String,
    port: u16,
    script: String,
    payload: String,
    timeout_ms: u64,
}

impl Shared {
    /// Answers with `status`, `stdout` and `stderr`, or with `failed`: the word for why there are none.
    async fn run_on_host(&self, asked: OnHost) -> Result<Value, Refused> {
        let OnHost { host, port, script, payload, timeout_ms } = asked;
        let payload = STANDARD.decode(payload).map_err(|error| {
            Refused::new(StatusCode::BAD_REQUEST, format!("the payload is no base64: {error}"))
        })?;
        let timeout = Duration::from_millis(timeout_ms);
        let call = HostCall { host, port, script, payload: payload.into(), timeout };
        Ok(match self.on_host(&call).await {
            Ok(done) => json!({
                "status": done.status,
                "stdout": STANDARD.encode(done.stdout),
                "stderr": STANDARD.encode(done.stderr),
            }),
            Err(error) => json!({ "failed": error }),
        })
    }

    pub(crate) async fn control(&self, rest: &str, request: &Request<Bytes>) -> Response<Bytes> {
        let (status, body) = match self.controlled(rest, request).await {
            Ok(body) => (StatusCode::OK, body),
            Err(Refused { status, message }) => (status, json!({ "message": message })),
        };
        let mut response = Response::new(Bytes::from(body.to_string()));
        *response.status_mut() = status;
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert("content-type", kind);
        response
    }

    async fn controlled(&self, rest: &str, request: &Request<Bytes>) -> Result<Value, Refused> {
        let shown = request.headers().get("authorization");
        let wanted = format!("Bearer {SECRET_ACCESS_KEY}");
        if shown.is_none_or(|shown| shown.as_bytes() != wanted.as_bytes()) {
            let message = "the simulation is controlled with the bearer token that its hub knows";
            return Err(Refused::new(StatusCode::UNAUTHORIZED, message));
        }
        let failed = |error: SettleError| Refused::failed(&error);
        match (request.method(), rest) {
            (&Method::GET, "faults") => {
                Ok(json!({ "faults": self.faults().await.map_err(failed)? }))
            }
            (&Method::POST, "faults") => {
                let fault: Fault = body(request)?;
                self.add_fault(fault).await.map_err(failed)?;
                Ok(json!({}))
            }
            (&Method::DELETE, "faults") => {
                let query = request.uri().query().unwrap_or_default();
                let decode = |text| percent_encoding::percent_decode_str(text).decode_utf8_lossy();
                let cluster = query
                    .split('&')
                    .find_map(|pair| pair.strip_prefix("cluster="))
                    .map(|name| decode(name).into_owned());
                self.clear_faults(cluster.as_deref()).await.map_err(failed)?;
                Ok(json!({}))
            }
            (&Method::POST, "drift") => {
                let Drift { region, name, path, value } = body(request)?;
                self.drift(&region, &name, &path, value).await.map_err(|error| match error {
                    DriftError::Settle(error) => Refused::failed(&error),
                    DriftError::NoCluster { .. } => {
                        Refused::new(StatusCode::NOT_FOUND, error.to_string())
                    }
                    DriftError::Refused { .. } => {
                        Refused::new(StatusCode::BAD_REQUEST, error.to_string())
                    }
                })?;
                Ok(json!({}))
            }
            (&Method::POST, "releases") => {
                Ok(json!({ "releases": self.release_images().await.map_err(failed)? }))
            }
            (&Method::POST, "hosts") => self.run_on_host(body(request)?).await,
            (&Method::GET, "orphans") => {
                Ok(json!({ "orphans": self.orphans().await.map_err(failed)? }))
            }
            (method, _) => Err(Refused::new(
                StatusCode::NOT_FOUND,
                format!("{method} {PREFIX}{rest} is no control of the simulation"),
            )),
        }
    }
}

fn body<T: serde::de::DeserializeOwned>(request: &Request<Bytes>) -> Result<T, Refused> {
    serde_json::from_slice(request.body()).map_err(|error| {
        Refused::new(StatusCode::BAD_REQUEST, format!("the body cannot be read: {error}"))
    })
}
