//! A small metrics registry in the Prometheus text form (version 0.0.4).
//!
//! Guarantees: the output is sorted by name and label values, so equal states give equal bytes;
//! each metric holds at most [`SERIES_LIMIT`] series, and what comes after is added up under the
//! label value [`OVERFLOW`], so no input can grow it without end. Labels are for closed
//! vocabularies (kind, outcome, error class), never for object names.

mod render;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use thiserror::Error;

/// The most label combinations that one metric keeps apart.
pub const SERIES_LIMIT: usize = 500;
/// The label value that stands for all combinations beyond [`SERIES_LIMIT`].
pub const OVERFLOW: &str = "overflow";
/// Upper bounds in seconds for the duration of calls and reconciles, 5 ms to 60 s.
pub const DURATION_BUCKETS_SECONDS: &[f64] =
    &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Why a metric cannot be registered; always a mistake in the program.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum MetricError {
    /// Names are `fleetwright_<noun>_<unit>`, lower case; counters end in `_total`, others do not.
    #[error("{0:?} is not a metric name of its kind")]
    Name(&'static str),
    /// Label names are lower case words; `le` belongs to histograms.
    #[error("metric {metric}: {label:?} is not a label name")]
    Label {
        /// The metric.
        metric: &'static str,
        /// The label refused.
        label: &'static str,
    },
    /// Bounds are finite and rise.
    #[error("metric {0}: the bucket bounds do not rise")]
    Buckets(&'static str),
    /// The name is taken by a metric of another kind, help text, label set or bucket list.
    #[error("metric {0} is registered already, and differently")]
    Taken(&'static str),
}

/// All metrics of one program. Clones share one set.
#[derive(Clone, Debug, Default)]
pub struct Registry {
    families: Arc<Mutex<BTreeMap<&'static str, Arc<Family>>>>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Debug)]
struct Family {
    kind: Kind,
    help: &'static str,
    labels: Vec<&'static str>,
    buckets: &'static [f64],
    series: Mutex<BTreeMap<Vec<String>, Value>>,
}

#[derive(Debug)]
enum Value {
    Count(u64),
    Level(f64),
    Spread(Spread),
}

/// `counts[i]` belongs to `buckets[i]` alone; rendering adds them up.
#[derive(Debug)]
struct Spread {
    counts: Vec<u64>,
    total: u64,
    sum: f64,
}

impl Registry {
    /// A number that only grows; its name ends in `_total`. Asking again gives the same counter.
    pub fn counter<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Result<Counter<N>, MetricError> {
        let family = self.register(name, Family::new(Kind::Counter, help, &labels, &[]))?;
        Ok(Counter { family })
    }

    /// A number that goes up and down.
    pub fn gauge<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
    ) -> Result<Gauge<N>, MetricError> {
        let family = self.register(name, Family::new(Kind::Gauge, help, &labels, &[]))?;
        Ok(Gauge { family })
    }

    /// A distribution over fixed buckets; `buckets` are upper bounds that include their value,
    /// without the last one, which is always infinite.
    pub fn histogram<const N: usize>(
        &self,
        name: &'static str,
        help: &'static str,
        labels: [&'static str; N],
        buckets: &'static [f64],
    ) -> Result<Histogram<N>, MetricError> {
        let rising = buckets.windows(2).all(|pair| pair[0] < pair[1]);
        if !rising || buckets.iter().any(|bound| !bound.is_finite()) {
            return Err(MetricError::Buckets(name));
        }
        let family = self.register(name, Family::new(Kind::Histogram, help, &labels, buckets))?;
        Ok(Histogram { family })
    }

    /// All metrics in the Prometheus text form, to be served as `text/plain; version=0.0.4`.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in lock(&self.families).iter() {
            render::family(&mut text, name, family);
        }
        text
    }

    fn register(&self, name: &'static str, new: Family) -> Result<Arc<Family>, MetricError> {
        let counts = new.kind == Kind::Counter;
        if !is_word(name) || !name.starts_with("fleetwright_") || name.ends_with("_total") != counts
        {
            return Err(MetricError::Name(name));
        }
        if let Some(&label) = new.labels.iter().find(|label| !is_word(label) || **label == "le") {
            return Err(MetricError::Label { metric: name, label });
        }
        let mut families = lock(&self.families);
        match families.get(name) {
            Some(known) if known.is_like(&new) => Ok(Arc::clone(known)),
            Some(_) => Err(MetricError::Taken(name)),
            None => {
                let family = Arc::new(new);
                families.insert(name, Arc::clone(&family));
                Ok(family)
            }
        }
    }
}

impl Family {
    fn new(
        kind: Kind,
        help: &'static str,
        labels: &[&'static str],
        buckets: &'static [f64],
    ) -> Self {
        Self { kind, help, labels: labels.to_vec(), buckets, series: Mutex::default() }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.kind, self.help, &self.labels, self.buckets)
            == (other.kind, other.help, &other.labels, other.buckets)
    }

    fn update(&self, labels: &[&str], change: impl FnOnce(&mut Value)) {
        let mut key: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
        let mut series = lock(&self.series);
        if series.len() >= SERIES_LIMIT && !series.contains_key(&key) {
            key.fill(OVERFLOW.to_owned());
        }
        change(series.entry(key).or_insert_with(|| self.zero()));
    }

    fn zero(&self) -> Value {
        match self.kind {
            Kind::Counter => Value::Count(0),
            Kind::Gauge => Value::Level(0.0),
            Kind::Histogram => {
                Value::Spread(Spread { counts: vec![0; self.buckets.len()], total: 0, sum: 0.0 })
            }
        }
    }
}

/// See [`Registry::counter`]; `N` is the number of labels.
#[derive(Clone, Debug)]
pub struct Counter<const N: usize> {
    family: Arc<Family>,
}

impl<const N: usize> Counter<N> {
    /// Adds to the series with these label values, in the order of registration.
    pub fn add(&self, labels: [&str; N], amount: u64) {
        self.family.update(&labels, |value| {
            if let Value::Count(count) = value {
                *count = count.saturating_add(amount);
            }
        });
    }
}

/// See [`Registry::gauge`]; `N` is the number of labels.
#[derive(Clone, Debug)]
pub struct Gauge<const N: usize> {
    family: Arc<Family>,
}

impl<const N: usize> Gauge<N> {
    /// Sets the series with these label values.
    pub fn set(&self, labels: [&str; N], level: f64) {
        self.family.update(&labels, |value| {
            if let Value::Level(current) = value {
                *current = level;
            }
        });
    }

    /// Adds to the series with these label values; a negative amount takes away.
    pub fn add(&self, labels: [&str; N], amount: f64) {
        self.family.update(&labels, |value| {
            if let Value::Level(current) = value {
                *current += amount;
            }
        });
    }
}

/// See [`Registry::histogram`]; `N` is the number of labels.
#[derive(Clone, Debug)]
pub struct Histogram<const N: usize> {
    family: Arc<Family>,
}

impl<const N: usize> Histogram<N> {
    /// Records one value in the metric's unit, as a rule seconds.
    pub fn observe(&self, labels: [&str; N], observed: f64) {
        let place = self.family.buckets.iter().position(|bound| observed <= *bound);
        self.family.update(&labels, |value| {
            if let Value::Spread(spread) = value {
                spread.total = spread.total.saturating_add(1);
                spread.sum += observed;
                if let Some(count) = place.and_then(|place| spread.counts.get_mut(place)) {
                    *count = count.saturating_add(1);
                }
            }
        });
    }
}

/// Lower case letters, digits and underscores, beginning with a letter.
fn is_word(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Numbers stay usable after a panic elsewhere: each update is a single step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_is_sorted_escaped_and_complete() {
        let registry = Registry::default();
        let seconds = registry
            .histogram("fleetwright_call_seconds", "Duration of a call.", ["api"], &[0.1, 1.0])
            .unwrap();
        let calls =
            registry.counter("fleetwright_calls_total", "Calls made.", ["api", "outcome"]).unwrap();
        let lanes = registry.gauge("fleetwright_active_lanes", "Lanes with work.", []).unwrap();
        for observed in [0.1, 0.5, 7.25] {
            seconds.observe(["eks"], observed);
        }
        calls.add(["eks", "ok"], 2);
        calls.add(["a\"b\\c\nd", "ok"], 1);
        lanes.set([], 3.0);
        lanes.add([], -0.5);
        assert_eq!(
            registry.render(),
            "# HELP fleetwright_active_lanes Lanes with work.\n\
             # TYPE fleetwright_active_lanes gauge\n\
             fleetwright_active_lanes 2.5\n\
             # HELP fleetwright_call_seconds Duration of a call.\n\
             # TYPE fleetwright_call_seconds histogram\n\
             fleetwright_call_seconds_bucket{api=\"eks\",le=\"0.1\"} 1\n\
             fleetwright_call_seconds_bucket{api=\"eks\",le=\"1\"} 2\n\
             fleetwright_call_seconds_bucket{api=\"eks\",le=\"+Inf\"} 3\n\
             fleetwright_call_seconds_sum{api=\"eks\"} 7.85\n\
             fleetwright_call_seconds_count{api=\"eks\"} 3\n\
             # HELP fleetwright_calls_total Calls made.\n\
             # TYPE fleetwright_calls_total counter\n\
             fleetwright_calls_total{api=\"a\\\"b\\\\c\\nd\",outcome=\"ok\"} 1\n\
             fleetwright_calls_total{api=\"eks\",outcome=\"ok\"} 2\n"
        );
    }

    #[test]
    fn series_beyond_the_limit_are_added_up_in_one() {
        let registry = Registry::default();
        let calls = registry.counter("fleetwright_calls_total", "Calls.", ["who"]).unwrap();
        for number in 0..SERIES_LIMIT + 7 {
            calls.add([&format!("caller-{number:04}")], 1);
        }
        let text = registry.render();
        assert!(text.contains("fleetwright_calls_total{who=\"overflow\"} 7\n"), "{text}");
        assert_eq!(text.lines().count(), 2 + SERIES_LIMIT + 1);
    }

    #[test]
    fn asking_again_shares_the_metric_and_asking_differently_is_refused() {
        let registry = Registry::default();
        registry.counter("fleetwright_calls_total", "Calls.", []).unwrap().add([], 1);
        registry.counter("fleetwright_calls_total", "Calls.", []).unwrap().add([], 1);
        assert!(registry.render().ends_with("fleetwright_calls_total 2\n"));
        let other = registry.counter("fleetwright_calls_total", "Calls.", ["api"]);
        assert_eq!(other.err(), Some(MetricError::Taken("fleetwright_calls_total")));
    }

    #[test]
    fn bad_names_labels_and_buckets_are_refused() {
        let registry = Registry::default();
        assert!(registry.counter("fleetwright_calls", "No suffix.", []).is_err());
        assert!(registry.gauge("fleetwright_lanes_total", "A counter's suffix.", []).is_err());
        assert!(registry.gauge("lanes", "No prefix.", []).is_err());
        assert!(registry.gauge("fleetwright_lanes", "Reserved.", ["le"]).is_err());
        assert!(registry.histogram("fleetwright_s", "Falls.", [], &[2.0, 1.0]).is_err());
    }
}
