//! Traces on their way to a collector: OTLP over HTTP with protobuf bodies.
//!
//! Follows the OpenTelemetry environment variables (specification, "OTLP Exporter" and "SDK
//! configuration"): `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is the whole URL,
//! `OTEL_EXPORTER_OTLP_ENDPOINT` gets `/v1/traces` appended; neither set means no export, so a
//! program that was not asked opens no connection. Headers, time limits, samplers and
//! `OTEL_RESOURCE_ATTRIBUTES` are read by the SDK itself.

mod client;

use opentelemetry::KeyValue;
use opentelemetry_otlp::{
    ExporterBuildError, Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;

use self::client::{ClientError, ExportClient};
use crate::config::{Config, Environment};
use crate::metrics::Registry;

/// The whole URL that takes traces.
pub(crate) const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_PROTOCOL: &str = "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL";
const PROTOCOL: &str = "OTEL_EXPORTER_OTLP_PROTOCOL";

/// Why the exporter cannot be built.
#[derive(Debug, Error)]
pub enum OtlpError {
    /// The collector is to be spoken to in a way that we do not have.
    #[error("{PROTOCOL}={0} is not supported; set it to http/protobuf (port 4318 as a rule)")]
    Protocol(String),
    /// No HTTP client, for example because the machine has no root certificates.
    #[error("building the HTTP client for {endpoint}")]
    Client {
        /// Where the traces were to go.
        endpoint: String,
        /// What failed.
        source: ClientError,
    },
    /// The SDK refused the settings, for example a URL that does not parse.
    #[error("building the exporter for {endpoint}")]
    Exporter {
        /// Where the traces were to go.
        endpoint: String,
        /// What failed.
        source: ExporterBuildError,
    },
}

/// A batching provider, or `None` when no collector is named or the SDK is switched off.
pub(crate) fn provider(
    config: &Config,
    env: Environment<'_>,
    registry: &Registry,
) -> Result<Option<SdkTracerProvider>, OtlpError> {
    let Some(endpoint) = endpoint(env) else {
        return Ok(None);
    };
    if let Some(protocol) = env(TRACES_PROTOCOL).or_else(|| env(PROTOCOL))
        && protocol != "http/protobuf"
    {
        return Err(OtlpError::Protocol(protocol));
    }
    let client = ExportClient::new(&endpoint, registry)
        .map_err(|source| OtlpError::Client { endpoint: endpoint.clone(), source })?;
    let exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(&endpoint)
        .with_http_client(client)
        .build()
        .map_err(|source| OtlpError::Exporter { endpoint, source })?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(config, env))
        .build();
    Ok(Some(provider))
}

fn endpoint(env: Environment<'_>) -> Option<String> {
    let disabled = env("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if disabled || env("OTEL_TRACES_EXPORTER").as_deref() == Some("none") {
        return None;
    }
    env(TRACES_ENDPOINT)
        .or_else(|| env(ENDPOINT).map(|base| format!("{}/v1/traces", base.trim_end_matches('/'))))
}

/// `Resource::builder` brings `OTEL_RESOURCE_ATTRIBUTES`; what the program says of itself is more
/// exact than those, except for the name, which `OTEL_SERVICE_NAME` may set.
fn resource(config: &Config, env: Environment<'_>) -> Resource {
    let name = env("OTEL_SERVICE_NAME").unwrap_or_else(|| config.service.to_owned());
    Resource::builder()
        .with_service_name(name)
        .with_attribute(KeyValue::new("service.version", config.version))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(variables: &[(&str, &str)]) -> Option<String> {
        endpoint(&|name| {
            let hit = variables.iter().find(|(key, _)| *key == name);
            hit.map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn the_endpoint_follows_the_opentelemetry_variables() {
        assert_eq!(found(&[]), None);
        let base = (ENDPOINT, "http://collector:4318/");
        assert_eq!(found(&[base]).as_deref(), Some("http://collector:4318/v1/traces"));
        let traces = (TRACES_ENDPOINT, "http://other:4318/t");
        assert_eq!(found(&[base, traces]).as_deref(), Some("http://other:4318/t"));
        assert_eq!(found(&[base, ("OTEL_SDK_DISABLED", "true")]), None);
        assert_eq!(found(&[base, ("OTEL_TRACES_EXPORTER", "none")]), None);
    }

    #[test]
    fn grpc_is_refused_with_what_to_set_instead() {
        let env = |name: &str| match name {
            ENDPOINT => Some("http://collector:4317".to_owned()),
            PROTOCOL => Some("grpc".to_owned()),
            _ => None,
        };
        let config = Config::new("fleetwright", "0.1.0");
        let error = provider(&config, &env, &Registry::default()).err();
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(
                "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported; \
                 set it to http/protobuf (port 4318 as a rule)"
            )
        );
    }
}
