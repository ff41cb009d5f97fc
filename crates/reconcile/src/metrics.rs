//! What the loop counts. Labels are controllers, classes and kinds of steps, never names of clusters.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_plan::Step;
use fleetwright_telemetry::metrics::DURATION_BUCKETS_SECONDS;
use fleetwright_telemetry::{Counter, Gauge, Histogram, MetricError, Registry};

use jiff::Timestamp;

use crate::Verdict;
use crate::queue::Figures;

/// The metrics of the loop, of all controllers together. Clones count in the same place.
#[derive(Debug, Clone)]
pub struct Metrics {
    reconciles: Counter<2>,
    seconds: Histogram<1>,
    steps: Counter<2>,
    depth: Gauge<1>,
    open: Gauge<1>,
    delayed: Counter<1>,
    leader: Gauge<0>,
    certificates: Gauge<0>,
}

impl Metrics {
    /// Registers them.
    ///
    /// # Errors
    /// When a name is taken by something else: a mistake in the program.
    pub fn new(registry: &Registry) -> Result<Self, MetricError> {
        Ok(Self {
            reconciles: registry.counter(
                "fleetwright_reconcile_total",
                "Reconciles by how they ended: ok, or the class of what failed.",
                ["controller", "result"],
            )?,
            seconds: registry.histogram(
                "fleetwright_reconcile_duration_seconds",
                "Duration of reconciles, to their status patch.",
                ["controller"],
                DURATION_BUCKETS_SECONDS,
            )?,
            steps: registry.counter(
                "fleetwright_reconcile_steps_total",
                "Steps that were done, by the event they leave.",
                ["controller", "step"],
            )?,
            depth: registry.gauge(
                "fleetwright_reconcile_queue_depth",
                "Objects that are due and wait for a place.",
                ["controller"],
            )?,
            open: registry.gauge(
                "fleetwright_reconcile_lanes_open",
                "Objects whose circuit breaker is open after failures in a row.",
                ["controller"],
            )?,
            delayed: registry.counter(
                "fleetwright_reconcile_delayed_total",
                "Wakes that were put off because an object changes too often.",
                ["controller"],
            )?,
            leader: registry.gauge(
                "fleetwright_leader",
                "1 while this process holds the lease of the controllers.",
                [],
            )?,
            certificates: registry.gauge(
                "fleetwright_member_certificate_expiry_timestamp_seconds",
                "When the first certificate on a member's hosts ends, in seconds since 1970; 0 while none is known.",
                [],
            )?,
        })
    }

    pub(crate) fn ended(&self, controller: &str, verdict: &Verdict, took: Duration) {
        self.reconciles.add([controller, verdict.failed.map_or("ok", Class::as_str)], 1);
        self.seconds.observe([controller], took.as_secs_f64());
    }

    pub(crate) fn acted(&self, controller: &str, step: &Step) {
        self.steps.add([controller, step.event()], 1);
    }

    /// Tells when the first of all members' certificates ends.
    #[allow(clippy::cast_precision_loss, reason = "a metric; exact up to 2^52")]
    pub fn certificates_end(&self, first: Option<Timestamp>) {
        self.certificates.set([], first.map_or(0.0, |end| end.as_second() as f64));
    }

    pub(crate) fn leads(&self, leads: bool) {
        self.leader.set([], f64::from(leads));
    }

    /// Tells what the queue looks like; `before` is what was told last.
    pub(crate) fn queue(&self, controller: &str, before: Figures, now: Figures) {
        self.depth.set([controller], level(now.depth));
        self.open.set([controller], level(now.open));
        self.delayed.add([controller], now.delayed.saturating_sub(before.delayed));
    }
}

/// Exact for every number of objects that fits into memory.
#[allow(clippy::cast_precision_loss, reason = "a metric; exact up to 2^52")]
const fn level(count: usize) -> f64 {
    count as f64
}
