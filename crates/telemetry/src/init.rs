//! Building and installing the subscriber, and taking it down again.

use std::io::IsTerminal as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::error::OTelSdkError;
use opentelemetry_sdk::trace::SdkTracerProvider;
use thiserror::Error;
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{EnvFilter, ParseError, Targets};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::config::{Config, Environment, Format, UnknownFormat, process_environment};
use crate::metrics::Registry;
use crate::otlp::{self, OtlpError};

/// Set by the first successful [`init`] of this process.
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// Why telemetry could not start. All but `AlreadyInstalled` are the user's to correct.
#[derive(Debug, Error)]
pub enum InitError {
    /// The format asked for does not exist.
    #[error("choosing the log format")]
    Format(#[source] UnknownFormat),
    /// The filter does not parse.
    #[error("reading the log filter {filter:?}")]
    Filter {
        /// The directives as given.
        filter: String,
        /// Where they fail.
        source: ParseError,
    },
    /// The environment asks for an exporter that cannot be built.
    #[error("preparing the export of traces")]
    Traces(#[source] OtlpError),
    /// Somebody installed a subscriber before; a process has one.
    #[error("a tracing subscriber is already installed in this process")]
    AlreadyInstalled,
}

/// How long a dropped [`Guard`] may hold its thread.
const DROP_DEADLINE: Duration = Duration::from_secs(2);

/// Keeps the export of traces alive. Call [`Guard::shutdown`] last of all; dropping it instead
/// flushes too, for two seconds at most, and can only log a failure.
#[derive(Debug)]
#[must_use = "dropping the guard ends the export of traces"]
pub struct Guard {
    provider: Option<SdkTracerProvider>,
    registry: Registry,
}

/// The last spans may not have reached the collector.
#[derive(Debug, Error)]
#[error("the traces were not flushed (limit {deadline_ms} ms)")]
pub struct FlushError {
    /// The limit given to [`Guard::shutdown`].
    pub deadline_ms: u128,
    /// What the SDK says: out of time, or the exporter's own failure.
    pub source: OTelSdkError,
}

impl Drop for Guard {
    fn drop(&mut self) {
        // The installed subscriber holds the provider as well, so it would never drop by itself.
        if let Err(error) = self.flush(DROP_DEADLINE) {
            tracing::warn!(%error, "ending without the last traces");
        }
    }
}

impl Guard {
    /// The program's metrics. Clones share one set; the export of traces counts itself in it.
    #[must_use]
    pub fn registry(&self) -> Registry {
        self.registry.clone()
    }

    /// Sends what is still queued and stops exporting. Blocks the calling thread for at most
    /// `deadline`; the export runs on threads of its own, so calling it from async code is safe
    /// once there is nothing else left to do.
    pub fn shutdown(mut self, deadline: Duration) -> Result<(), FlushError> {
        self.flush(deadline)
    }

    /// Does nothing the second time.
    fn flush(&mut self, deadline: Duration) -> Result<(), FlushError> {
        let Some(provider) = self.provider.take() else {
            return Ok(());
        };
        provider
            .shutdown_with_timeout(deadline)
            .map_err(|source| FlushError { deadline_ms: deadline.as_millis(), source })
    }
}

/// Installs logs and traces for the whole process.
///
/// Guarantees: at most one success a process; a later call returns
/// [`InitError::AlreadyInstalled`] and changes nothing. Where tests share a process, use
/// [`detached`] instead.
pub fn init(config: Config) -> Result<Guard, InitError> {
    if INSTALLED.load(Ordering::Acquire) {
        return Err(InitError::AlreadyInstalled);
    }
    let (dispatch, guard) = build(&config, &process_environment)?;
    match dispatch.try_init() {
        Ok(()) => {
            INSTALLED.store(true, Ordering::Release);
            Ok(guard)
        }
        Err(_already_set) => Err(InitError::AlreadyInstalled),
    }
}

/// The same subscriber, not installed: for tests (`tracing::dispatcher::with_default`) and for
/// programs that bring their own. `traces_endpoint` is the whole URL, such as
/// `http://127.0.0.1:4318/v1/traces`; the environment is not read for it.
pub fn detached(
    config: &Config,
    traces_endpoint: Option<&str>,
) -> Result<(Dispatch, Guard), InitError> {
    let endpoint = traces_endpoint.map(str::to_owned);
    build(config, &move |name| (name == otlp::TRACES_ENDPOINT).then(|| endpoint.clone()).flatten())
}

fn build(config: &Config, env: Environment<'_>) -> Result<(Dispatch, Guard), InitError> {
    let format = config.resolve_format(env).map_err(InitError::Format)?;
    let directives = config.resolve_filter(env);
    let filter = EnvFilter::try_new(&directives)
        .map_err(|source| InitError::Filter { filter: directives, source })?;
    let registry = Registry::default();
    let provider = otlp::provider(config, env, &registry).map_err(InitError::Traces)?;
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        Format::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
        Format::Text => {
            let colour = std::io::stderr().is_terminal() && env("NO_COLOR").is_none();
            lines.compact().with_ansi(colour).boxed()
        }
    };
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer(config.service))
            .with_filter(trace_filter())
    });
    let subscriber = tracing_subscriber::registry().with(lines.with_filter(filter)).with(traces);
    Ok((Dispatch::new(subscriber), Guard { provider, registry }))
}

/// Traces do not follow the log filter: a quiet log must not empty the traces.
fn trace_filter() -> Targets {
    Targets::new().with_default(LevelFilter::WARN).with_target("fleetwright", LevelFilter::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_does_not_parse_is_refused_with_its_text() {
        let mut config = Config::new("fleetwright", "0.1.0");
        config.filter = Some("fleetwright=loud".to_owned());
        let error = detached(&config, None).err().map(|error| error.to_string());
        assert_eq!(error.as_deref(), Some("reading the log filter \"fleetwright=loud\""));
    }

    #[test]
    fn without_a_collector_nothing_is_exported_and_shutdown_is_immediate() {
        let (_dispatch, guard) = detached(&Config::new("fleetwright", "0.1.0"), None).unwrap();
        assert!(guard.provider.is_none());
        guard.shutdown(Duration::ZERO).unwrap();
    }
}
