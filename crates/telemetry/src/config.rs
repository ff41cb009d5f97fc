//! What a program says about itself, and what the environment adds to it.

use std::str::FromStr;

use thiserror::Error;

/// Read when [`Config::filter`] is `None`: directives in `tracing_subscriber::EnvFilter` syntax.
pub const FILTER_VARIABLE: &str = "FLEETWRIGHT_LOG";

/// Read when [`Config::format`] is `None`: `text` or `json`.
pub const FORMAT_VARIABLE: &str = "FLEETWRIGHT_LOG_FORMAT";

/// Our own crates at `info`, everybody else's at `warn`. The filter matches target prefixes, so
/// `fleetwright` covers every `fleetwright_*` crate.
pub const DEFAULT_FILTER: &str = "warn,fleetwright=info";

/// How one program wants to be observed.
#[derive(Clone, Debug)]
pub struct Config {
    /// The `service.name` of its traces, for example `fleetwright`. `OTEL_SERVICE_NAME` wins.
    pub service: &'static str,
    /// The `service.version` of its traces.
    pub version: &'static str,
    /// The shape of the log lines; `None` asks [`FORMAT_VARIABLE`], then takes [`Format::Text`].
    pub format: Option<Format>,
    /// What is logged; `None` asks [`FILTER_VARIABLE`], then takes [`DEFAULT_FILTER`]. It does not
    /// bound the exported traces, which always follow [`DEFAULT_FILTER`].
    pub filter: Option<String>,
}

impl Config {
    /// A program that leaves format and filter to the environment.
    #[must_use]
    pub fn new(service: &'static str, version: &'static str) -> Self {
        Self { service, version, format: None, filter: None }
    }
}

/// The shape of the log lines on stderr.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One compact line an event, for people; coloured on a terminal unless `NO_COLOR` is set.
    Text,
    /// One JSON object an event, for machines; fields at the top level, the current span beside.
    Json,
}

/// The value of `--log-format` or [`FORMAT_VARIABLE`] names no format.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
#[error("unknown log format {0:?}; known are text and json")]
pub struct UnknownFormat(String);

impl FromStr for Format {
    type Err = UnknownFormat;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            other => Err(UnknownFormat(other.to_owned())),
        }
    }
}

/// Looks a variable up; an empty value counts as unset, as the OpenTelemetry specification asks.
pub(crate) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The process environment.
pub(crate) fn process_environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Config {
    pub(crate) fn resolve_format(&self, env: Environment<'_>) -> Result<Format, UnknownFormat> {
        match self.format {
            Some(format) => Ok(format),
            None => env(FORMAT_VARIABLE).map_or(Ok(Format::Text), |text| text.parse()),
        }
    }

    pub(crate) fn resolve_filter(&self, env: Environment<'_>) -> String {
        self.filter
            .clone()
            .or_else(|| env(FILTER_VARIABLE))
            .unwrap_or_else(|| DEFAULT_FILTER.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_win_over_the_environment_and_the_environment_over_defaults() {
        let set = |name: &str| match name {
            FORMAT_VARIABLE => Some("json".to_owned()),
            FILTER_VARIABLE => Some("debug".to_owned()),
            _ => None,
        };
        let unset = |_: &str| None;
        let mut config = Config::new("fleetwright", "0.1.0");
        assert_eq!(config.resolve_format(&unset), Ok(Format::Text));
        assert_eq!(config.resolve_filter(&unset), "warn,fleetwright=info");
        assert_eq!(config.resolve_format(&set), Ok(Format::Json));
        assert_eq!(config.resolve_filter(&set), "debug");
        config.format = Some(Format::Text);
        config.filter = Some("error".to_owned());
        assert_eq!(config.resolve_format(&set), Ok(Format::Text));
        assert_eq!(config.resolve_filter(&set), "error");
    }

    #[test]
    fn an_unknown_format_is_named_in_the_error() {
        let config = Config::new("fleetwright", "0.1.0");
        let error = config.resolve_format(&|_| Some("xml".to_owned())).unwrap_err();
        assert_eq!(error.to_string(), "unknown log format \"xml\"; known are text and json");
    }
}
