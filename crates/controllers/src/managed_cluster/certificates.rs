//! When the certificates end by which the hosts of a cluster know each other: told, and counted over all clusters.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleetwright_names::ObjectKey;
use fleetwright_plan::{SeenCluster, Snapshot};
use fleetwright_reconcile::Metrics;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

/// An end within this time is told. K3s renews at a start what ends within 90 days, and we restart it by then: what comes this
/// near is held up by something.
const SOON: SignedDuration = SignedDuration::from_hours(24 * 30);

/// The first certificate of a cluster that ends, from what its provider told: `certificates: {host, file, notAfter}` with
/// `notAfter` in seconds since 1970.
#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    host: String,
    file: String,
    ends: Timestamp,
}

fn first(seen: &SeenCluster) -> Option<First> {
    let told = seen.body.get("certificates")?;
    let text = |key: &str| told.get(key).and_then(Value::as_str).map(str::to_owned);
    let ends = Timestamp::from_second(told.get("notAfter")?.as_i64()?).ok()?;
    Some(First { host: text("host")?, file: text("file")?, ends })
}

/// What is to be said of it, if its end is near.
pub(super) fn words(seen: &SeenCluster, now: Timestamp) -> Option<String> {
    let First { host, file, ends } = first(seen)?;
    if ends.duration_since(now) >= SOON {
        return None;
    }
    let verb = if ends <= now { "ended" } else { "ends" };
    let day = ends.strftime("%Y-%m-%d");
    Some(format!(
        "certificate {file} of host {host} {verb} on {day}; K3s renews it when it is restarted"
    ))
}

/// The ends of all clusters' certificates, for the metric. Rebuilt by the looks after a start.
#[derive(Debug, Default)]
pub struct Expiries {
    metrics: Option<Metrics>,
    ends: Mutex<BTreeMap<ObjectKey, Timestamp>>,
}

impl Expiries {
    /// Nothing is known yet; told to `metrics`, if anywhere.
    #[must_use]
    pub fn new(metrics: Option<Metrics>) -> Self {
        Self { metrics, ends: Mutex::default() }
    }

    /// Takes note of what a look told; one that told nothing changes nothing.
    pub(super) fn note(&self, key: &ObjectKey, snapshot: &Snapshot) {
        let Some(first) = snapshot.cluster.present().and_then(first) else { return };
        self.change(|ends| ends.insert(key.clone(), first.ends));
    }

    /// Forgets a cluster that is gone.
    pub(crate) fn forget(&self, key: &ObjectKey) {
        self.change(|ends| ends.remove(key));
    }

    fn change<T>(&self, change: impl FnOnce(&mut BTreeMap<ObjectKey, Timestamp>) -> T) {
        let mut ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut ends);
        if let Some(metrics) = &self.metrics {
            metrics.certificates_end(ends.values().min().copied());
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_plan::{Phase, Seen};
    use serde_json::json;

    use super::*;

    fn seen(body: Value) -> SeenCluster {
        SeenCluster {
            external_id: "id".into(),
            tags: [].into(),
            phase: Phase::Active,
            trouble: String::new(),
            version: "v1.34.2+k3s1".into(),
            platform_version: None,
            endpoint: None,
            certificate_authority: None,
            oidc_issuer: None,
            last_update: None,
            blockers: None,
            body,
        }
    }

    #[test]
    fn an_end_within_thirty_days_is_told_with_host_and_file() {
        let now: Timestamp = "2026-11-01T00:00:00Z".parse().expect("an instant");
        let told = |end: &str| {
            let end: Timestamp = end.parse().expect("an instant");
            let certificate =
                json!({"host": "s1", "file": "client-admin.crt", "notAfter": end.as_second()});
            words(&seen(json!({"certificates": certificate})), now)
        };
        assert_eq!(told("2026-12-02T00:00:00Z"), None);
        assert_eq!(
            told("2026-11-20T00:00:00Z").as_deref(),
            Some(
                "certificate client-admin.crt of host s1 ends on 2026-11-20; K3s renews it when it is restarted"
            )
        );
        let over = told("2026-10-31T00:00:00Z").expect("words");
        assert!(over.contains("ended on 2026-10-31"), "{over}");
        assert_eq!(words(&seen(Value::Null), now), None, "clouds tell nothing of theirs");
        assert_eq!(words(&seen(json!({"certificates": {"host": "s1"}})), now), None);
    }

    #[test]
    fn the_metric_is_the_first_end_of_all_clusters() {
        let registry = fleetwright_telemetry::Registry::default();
        let metrics = Metrics::new(&registry).expect("names of metrics");
        let line = || {
            let text = registry.render();
            let mut lines = text.lines();
            lines
                .find_map(|line| {
                    line.strip_prefix("fleetwright_member_certificate_expiry_timestamp_seconds ")
                })
                .map(str::to_owned)
        };
        let expiries = Expiries::new(Some(metrics));
        let note = |name: &str, ends: i64| {
            let body = json!({"certificates": {"host": "s1", "file": "f", "notAfter": ends}});
            let snapshot = Snapshot::of(Seen::Present(seen(body)));
            expiries.note(&ObjectKey::namespaced("edge", name), &snapshot);
        };
        note("one", 2_000_000_000);
        note("two", 1_900_000_000);
        assert_eq!(line().as_deref(), Some("1900000000"));
        expiries.forget(&ObjectKey::namespaced("edge", "two"));
        assert_eq!(line().as_deref(), Some("2000000000"));
    }
}
