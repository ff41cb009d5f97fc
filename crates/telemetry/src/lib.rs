//! Logs, traces, metrics and an orderly stop, the same way in every Fleetwright program.
//!
//! What it is for: [`init`] installs one `tracing` subscriber (text or JSON lines on stderr, and
//! OpenTelemetry traces over OTLP/HTTP when the environment names a collector); [`Registry`] keeps
//! metrics and renders them in the Prometheus text form; [`Shutdown`] turns Ctrl-C and SIGTERM into
//! one request to stop, and a second one into an immediate end.
//!
//! What it does not do: it serves no HTTP (the program owns `/metrics`), decides nothing about
//! Kubernetes or clouds, and knows no metric by name. It never hides values: whoever logs a secret
//! has logged a secret, so secrets travel as types whose `Debug` is redacted.
//!
//! Where to start: [`init`] in `init.rs`, then `otlp.rs` for what leaves the process.

pub mod config;
pub mod init;
pub mod metrics;
mod otlp;
pub mod shutdown;

pub use config::{Config, Format};
pub use init::{FlushError, Guard, InitError, detached, init};
pub use metrics::{Counter, Gauge, Histogram, MetricError, Registry};
pub use otlp::OtlpError;
pub use shutdown::Shutdown;
