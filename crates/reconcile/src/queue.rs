//! What is due, and when: each key at most once, never two reconciles of one key at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_names::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::lane::{Due, Lane, Pace};

/// A delay queue of keys. Bounded by the number of objects: a key that is added again only becomes due earlier.
///
/// Guarantees: the earliest due key first, ties by name; a key whose last reconcile failed never takes more than
/// [`Pace::ailing_at_once`] places; no operation looks at all keys.
#[derive(Debug, Default)]
pub struct Queue {
    pace: Pace,
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    lanes: BTreeMap<ObjectKey, Lane>,
    /// Lanes that are not due yet, in order.
    later: BTreeSet<(Instant, ObjectKey)>,
    /// Lanes that are due and wait for a place, in order.
    healthy: BTreeSet<(Instant, ObjectKey)>,
    /// The same for those that failed the last time.
    ailing: BTreeSet<(Instant, ObjectKey)>,
    /// How many of these run.
    ailing_running: usize,
    open: usize,
    delayed: u64,
}

/// What a queue looks like from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// Keys that are due and wait for a place.
    pub depth: usize,
    /// Lanes whose circuit breaker is open.
    pub open: usize,
    /// Wakes that the budget has put off, since the beginning.
    pub delayed: u64,
}

impl Queue {
    /// An empty queue with the usual pace.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty queue with this pace.
    #[must_use]
    pub fn with(pace: Pace) -> Self {
        Self { pace, ..Self::default() }
    }

    /// Its pace.
    #[must_use]
    pub const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// Makes a key due now, or as soon as its budget and its circuit breaker allow.
    pub fn add(&self, key: ObjectKey) {
        self.add_after(key, Duration::ZERO);
    }

    /// Makes a key due after `delay`, or earlier if it already is.
    pub fn add_after(&self, key: ObjectKey, delay: Duration) {
        self.lock().change(&key, |lane, now| Some(lane.wake(&self.pace, now + delay)));
        self.changed.notify_one();
    }

    /// Makes a key due now, unless it is backing off after a failure: then it looks again soon enough.
    ///
    /// For changes that we may have made ourselves, such as a status: one that tells of a failure must not undo the
    /// backoff of that failure.
    pub fn nudge(&self, key: ObjectKey) {
        self.lock().change(&key, |lane, now| lane.nudge(&self.pace, now));
        self.changed.notify_one();
    }

    /// Waits for a key that is due, not running and has a place, and marks it running.
    pub async fn next(&self) -> ObjectKey {
        loop {
            let changed = self.changed.notified();
            match self.take() {
                Ok(key) => return key,
                Err(Some(at)) => {
                    tokio::select! {
                        biased;
                        () = changed => {}
                        () = tokio::time::sleep_until(at) => {}
                    }
                }
                Err(None) => changed.await,
            }
        }
    }

    /// Ends a run that failed with this class or not at all, and makes the key due again after what `delay` says for the
    /// number of runs in a row that had failed before this one; `None`: when something changes.
    pub fn done(
        &self,
        key: &ObjectKey,
        failed: Option<Class>,
        delay: impl FnOnce(u32) -> Option<Duration>,
    ) {
        self.end(key, |lane, now| lane.end(&self.pace, now, failed, delay));
    }

    /// The other side asked a running key to stay away for `delay`: it is not due before, whatever happens.
    pub fn hold(&self, key: &ObjectKey, delay: Duration) {
        if let Some(lane) = self.lock().lanes.get_mut(key).filter(|lane| lane.running.is_some()) {
            lane.hold(Instant::now() + delay);
        }
    }

    /// Ends a run of a key whose object is gone. What was added meanwhile stays: the object may have been made anew.
    pub fn forget(&self, key: &ObjectKey) {
        self.end(key, |lane, _| {
            lane.forget();
            false
        });
    }

    /// What it looks like now.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut state = self.lock();
        state.ripen(Instant::now());
        let depth = state.healthy.len() + state.ailing.len();
        Figures { depth, open: state.open, delayed: state.delayed }
    }

    fn end(&self, key: &ObjectKey, end: impl FnOnce(&mut Lane, Instant) -> bool) {
        {
            let mut state = self.lock();
            let state = &mut *state;
            let Some(lane) = state.lanes.get_mut(key).filter(|lane| lane.running.is_some()) else {
                return;
            };
            if lane.running.is_some_and(|run| run.ailing) {
                state.ailing_running = state.ailing_running.saturating_sub(1);
            }
            let was_open = lane.is_open(&self.pace);
            state.delayed += u64::from(end(lane, Instant::now()));
            match (was_open, lane.is_open(&self.pace)) {
                (false, true) => state.open += 1,
                (true, false) => state.open = state.open.saturating_sub(1),
                _ => {}
            }
            if let Some(due) = lane.due {
                state.later.insert((due.at, key.clone()));
            } else if lane.is_blank() {
                state.lanes.remove(key);
            }
        }
        self.changed.notify_one();
    }

    fn take(&self) -> Result<ObjectKey, Option<Instant>> {
        let mut state = self.lock();
        let now = Instant::now();
        state.ripen(now);
        let has_place = state.ailing_running < self.pace.ailing_at_once;
        let ailing = state.ailing.first().filter(|_| has_place);
        let first = match (state.healthy.first(), ailing) {
            (Some(healthy), Some(ailing)) => Some(healthy.min(ailing)),
            (healthy, ailing) => healthy.or(ailing),
        };
        let Some(place) = first.cloned() else {
            return Err(state.later.first().map(|(at, _)| *at));
        };
        if !state.healthy.remove(&place) {
            state.ailing.remove(&place);
            state.ailing_running += 1;
        }
        let (_, key) = place;
        if let Some(lane) = state.lanes.get_mut(&key) {
            lane.start(&self.pace, now);
        }
        Ok(key)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Changes a lane and keeps its place in the order; `change` says whether the budget put a wake off.
    fn change(&mut self, key: &ObjectKey, change: impl FnOnce(&mut Lane, Instant) -> Option<bool>) {
        let lane = self.lanes.entry(key.clone()).or_default();
        let before = lane.due;
        let Some(put_off) = change(lane, Instant::now()) else { return };
        // One that was put off already is not put off again by a further wake.
        self.delayed += u64::from(put_off && !before.is_some_and(|due| due.woken));
        let after = lane.due;
        if lane.running.is_some() || before == after {
            return;
        }
        if let Some(Due { at, .. }) = before {
            let place = (at, key.clone());
            let _known = self.later.remove(&place)
                || self.healthy.remove(&place)
                || self.ailing.remove(&place);
        }
        if let Some(Due { at, .. }) = after {
            self.later.insert((at, key.clone()));
        }
    }

    /// Moves what has become due to those who wait for a place.
    fn ripen(&mut self, now: Instant) {
        while self.later.first().is_some_and(|(at, _)| *at <= now) {
            let Some(place) = self.later.pop_first() else { return };
            let ailing = self.lanes.get(&place.1).is_some_and(Lane::is_ailing);
            let waiting = if ailing { &mut self.ailing } else { &mut self.healthy };
            waiting.insert(place);
        }
    }
}

#[cfg(test)]
mod tests;
