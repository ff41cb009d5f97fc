//! Leader election over a `coordination.k8s.io/v1` Lease: of several processes at most one runs the controllers.
//!
//! Guarantee: while the monotonic clocks of two candidates run at about the same speed, never do both lead. Wall clocks do
//! not matter: `renewTime` is for people; a candidate takes a lease over only after *it* has seen the lease unchanged
//! for the time that the lease names, and a leader stops itself well before that, counted from when it sent its last
//! renewal that succeeded.
//!
//! Assumption: every process has an identity of its own, also a second one on the same machine.
//!
//! Caveat: a process that is frozen as a whole (a paused virtual machine) may send one request too late. Steps are made for
//! that: clouds get idempotency tokens, and the hub refuses what was decided on an old version.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::{Clock, Ids};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::Api;
use kube::api::PostParams;
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use crate::{Context, Metrics};

/// Which lease, and how long things may take. The times are those of Kubernetes' own controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseSettings {
    /// Where the Lease lives; the namespace must exist.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// How long others leave it alone after they saw it change, in whole seconds.
    pub duration: Duration,
    /// A leader that could not renew for this long stops; well below `duration`.
    pub renew_deadline: Duration,
    /// Between two tries; up to half as much again is added by chance.
    pub retry: Duration,
}

impl LeaseSettings {
    /// The lease of Fleetwright's controllers.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry: Duration::from_secs(2),
        }
    }
}

/// Bounds of what a record may make us wait for; beyond them somebody wrote nonsense.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(300);
/// For giving the lease back at the end.
const RELEASE: Duration = Duration::from_secs(5);

/// Waits for the lease, then runs what `run` makes for as long as it is held, and so on until `stop`. A lost lease drops
/// the running future at once. `identity` must be this process's own.
///
/// Returns what the future returned if it ended by itself; `None` after `stop`. In both cases the lease is given back, so
/// that the next leader need not wait.
pub async fn lead<R: Future>(
    context: &Context,
    identity: &str,
    settings: &LeaseSettings,
    stop: impl Future<Output = ()>,
    mut run: impl FnMut() -> R,
) -> Option<R::Output> {
    let mut candidate = Candidate {
        api: Api::namespaced(context.client.clone(), &settings.namespace),
        identity,
        settings,
        clock: Arc::clone(&context.clock),
        ids: Arc::clone(&context.ids),
        metrics: context.metrics.clone(),
        seen: None,
    };
    let mut stop = pin!(stop);
    candidate.tell(false);
    loop {
        let mut renewed = tokio::select! {
            biased;
            () = &mut stop => {
                // A try that was cut off may have succeeded.
                candidate.release().await;
                return None;
            }
            at = candidate.acquire() => at,
        };
        candidate.tell(true);
        // The future lives in this block only: when the lease is lost, it is dropped before anything else happens.
        let ended = {
            let mut running = pin!(run());
            loop {
                tokio::select! {
                    biased;
                    () = &mut stop => break Some(None),
                    kept = candidate.keep(renewed) => match kept {
                        Some(at) => renewed = at,
                        None => break None,
                    },
                    output = &mut running => break Some(Some(output)),
                }
            }
        };
        candidate.tell(false);
        if let Some(output) = ended {
            candidate.release().await;
            return output;
        }
    }
}

struct Candidate<'a> {
    api: Api<Lease>,
    identity: &'a str,
    settings: &'a LeaseSettings,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    metrics: Option<Metrics>,
    /// The record as it was seen last, and since when it is like that.
    seen: Option<(LeaseSpec, Instant)>,
}

/// How a try to get or renew the lease went.
enum Tried {
    Held,
    Other(String),
    /// Somebody wrote at the same time.
    Raced,
}

impl Candidate<'_> {
    /// Tries until the lease is ours; returns when the write that made it so was sent.
    async fn acquire(&mut self) -> Instant {
        let mut holder = String::new();
        loop {
            let sent = Instant::now();
            match timeout(self.patience(), self.attempt()).await {
                Ok(Ok(Tried::Held)) => return sent,
                Ok(Ok(Tried::Other(other))) if other != holder => {
                    tracing::info!(holder = %other, "another process leads; standing by");
                    holder = other;
                }
                Ok(Ok(Tried::Other(_) | Tried::Raced)) => {}
                Ok(Err(error)) => {
                    tracing::warn!(%error, lease = self.shown(), "cannot use the lease")
                }
                Err(_elapsed) => tracing::warn!(lease = self.shown(), "no answer about the lease"),
            }
            sleep(self.pause()).await;
        }
    }

    /// Renews once, in time; `None`: the lease is lost.
    async fn keep(&mut self, renewed: Instant) -> Option<Instant> {
        let deadline = renewed + self.settings.renew_deadline;
        sleep_until(deadline.min(renewed + self.pause())).await;
        loop {
            let sent = Instant::now();
            if sent >= deadline {
                tracing::warn!(lease = self.shown(), "could not renew in time; stopping");
                return None;
            }
            let limit = deadline.min(sent + self.patience());
            match timeout_at(limit, self.attempt()).await {
                Ok(Ok(Tried::Held)) => return Some(sent),
                Ok(Ok(Tried::Other(holder))) => {
                    tracing::warn!(%holder, "another process leads; stopping");
                    return None;
                }
                // Most likely somebody's label; the next look tells.
                Ok(Ok(Tried::Raced)) => continue,
                Ok(Err(error)) => tracing::warn!(%error, lease = self.shown(), "cannot renew"),
                Err(_elapsed) => tracing::warn!(lease = self.shown(), "no answer about the lease"),
            }
            sleep_until(deadline.min(Instant::now() + self.pause())).await;
        }
    }

    async fn attempt(&mut self) -> Result<Tried, kube::Error> {
        let Some(found) = self.api.get_opt(&self.settings.name).await? else {
            let metadata =
                ObjectMeta { name: Some(self.settings.name.clone()), ..ObjectMeta::default() };
            let born = Lease { metadata, spec: Some(self.record(&LeaseSpec::default())) };
            let made = self.api.create(&PostParams::default(), &born).await;
            return raced(made.map(drop));
        };
        let record = found.spec.unwrap_or_default();
        let holder = record.holder_identity.clone().unwrap_or_default();
        if !holder.is_empty() && holder != self.identity && !self.has_expired(&record) {
            return Ok(Tried::Other(holder));
        }
        let mine = Lease { metadata: found.metadata, spec: Some(self.record(&record)) };
        let name = &self.settings.name;
        raced(self.api.replace(name, &PostParams::default(), &mine).await.map(drop))
    }

    /// Whether we have seen this very record for as long as it asks for.
    fn has_expired(&mut self, record: &LeaseSpec) -> bool {
        let now = Instant::now();
        match &self.seen {
            Some((seen, since)) if seen == record => {
                let seconds = record.lease_duration_seconds.unwrap_or_default();
                let asked = Duration::from_secs(u64::try_from(seconds).unwrap_or_default());
                now.duration_since(*since) >= asked.clamp(SHORTEST, LONGEST)
            }
            _ => {
                self.seen = Some((record.clone(), now));
                false
            }
        }
    }

    /// The record that says that we hold the lease from now on.
    fn record(&self, before: &LeaseSpec) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        let mine = before.holder_identity.as_deref() == Some(self.identity);
        let seconds = i32::try_from(self.settings.duration.as_secs()).unwrap_or(i32::MAX);
        let transitions = before.lease_transitions.unwrap_or_default();
        let was_held = before.acquire_time.is_some();
        LeaseSpec {
            holder_identity: Some(self.identity.to_owned()),
            lease_duration_seconds: Some(seconds),
            acquire_time: before
                .acquire_time
                .clone()
                .filter(|_| mine)
                .or_else(|| Some(now.clone())),
            renew_time: Some(now),
            lease_transitions: Some(transitions.saturating_add(i32::from(!mine && was_held))),
            ..LeaseSpec::default()
        }
    }

    /// Gives the lease back, if it is ours: whoever waits need not wait for it to expire.
    async fn release(&mut self) {
        let give_back = async {
            let Some(found) = self.api.get_opt(&self.settings.name).await? else { return Ok(()) };
            let record = found.spec.unwrap_or_default();
            if record.holder_identity.as_deref() != Some(self.identity) {
                return Ok(());
            }
            let free =
                LeaseSpec { holder_identity: None, lease_duration_seconds: Some(1), ..record };
            let free = Lease { metadata: found.metadata, spec: Some(free) };
            self.api.replace(&self.settings.name, &PostParams::default(), &free).await.map(drop)
        };
        match timeout(RELEASE, give_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the lease was not given back; it expires"),
            Err(_elapsed) => tracing::warn!("the lease was not given back in time; it expires"),
        }
    }

    fn tell(&self, leads: bool) {
        tracing::info!(identity = self.identity, lease = self.shown(), leads, "leader election");
        if let Some(metrics) = &self.metrics {
            metrics.leads(leads);
        }
    }

    fn shown(&self) -> String {
        format!("{}/{}", self.settings.namespace, self.settings.name)
    }

    /// For one answer: a lost one must leave time for another try.
    fn patience(&self) -> Duration {
        self.settings.renew_deadline / 3
    }

    fn pause(&self) -> Duration {
        self.settings.retry.mul_f64(1.0 + self.ids.jitter() / 2.0)
    }
}

fn raced(written: Result<(), kube::Error>) -> Result<Tried, kube::Error> {
    match written {
        Ok(()) => Ok(Tried::Held),
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(Tried::Raced),
        Err(error) => Err(error),
    }
}
