//! What is due, and when: each key at most once, never two reconciles of one key at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fleetwright_names::ObjectKey;
use tokio::sync::Notify;
use tokio::time::Instant;

/// A delay queue of keys. Bounded by the number of objects: a key that is added again only becomes due earlier.
#[derive(Debug, Default)]
pub struct Queue {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    due: BTreeMap<ObjectKey, Instant>,
    running: BTreeSet<ObjectKey>,
    attempts: BTreeMap<ObjectKey, u32>,
    /// Keys that were nudged while they ran.
    nudged: BTreeSet<ObjectKey>,
}

impl Queue {
    /// An empty queue.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a key due now.
    pub fn add(&self, key: ObjectKey) {
        self.add_after(key, Duration::ZERO);
    }

    /// Makes a key due after `delay`, or earlier if it already is.
    pub fn add_after(&self, key: ObjectKey, delay: Duration) {
        let at = Instant::now() + delay;
        {
            let mut state = self.lock();
            let due = state.due.entry(key).or_insert(at);
            *due = at.min(*due);
        }
        self.changed.notify_one();
    }

    /// Makes a key due now, unless it is backing off after a failure: then it looks again soon enough.
    ///
    /// For changes that we may have made ourselves, such as a status: one that tells of a failure must not undo the
    /// backoff of that failure.
    pub fn nudge(&self, key: ObjectKey) {
        {
            let mut state = self.lock();
            if state.running.contains(&key) {
                state.nudged.insert(key);
                return;
            }
            if state.attempts.contains_key(&key) && state.due.contains_key(&key) {
                return;
            }
        }
        self.add(key);
    }

    /// Waits for a key that is due and not running, and marks it running. The earliest first; ties by name.
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

    /// Ends a run, and makes the key due again after what `delay` says for the number of runs in a row that had failed
    /// before this one; `None`: when something changes.
    pub fn done(&self, key: &ObjectKey, failed: bool, delay: impl FnOnce(u32) -> Option<Duration>) {
        {
            let mut state = self.lock();
            state.running.remove(key);
            let before = state.attempts.get(key).copied().unwrap_or(0);
            if failed {
                state.attempts.insert(key.clone(), before.saturating_add(1));
            } else {
                state.attempts.remove(key);
            }
            let nudged = state.nudged.remove(key);
            let delay = match delay(before) {
                Some(delay) if failed => Some(delay),
                _ if nudged => Some(Duration::ZERO),
                delay => delay,
            };
            if let Some(delay) = delay {
                let at = Instant::now() + delay;
                let due = state.due.entry(key.clone()).or_insert(at);
                *due = at.min(*due);
            }
        }
        self.changed.notify_one();
    }

    /// Ends a run of a key whose object is gone. What was added meanwhile stays: the object may have been made anew.
    pub fn forget(&self, key: &ObjectKey) {
        {
            let mut state = self.lock();
            state.running.remove(key);
            state.nudged.remove(key);
            state.attempts.remove(key);
        }
        self.changed.notify_one();
    }

    fn take(&self) -> Result<ObjectKey, Option<Instant>> {
        let mut state = self.lock();
        let waiting = state.due.iter().filter(|(key, _)| !state.running.contains(*key));
        let first = waiting.min_by(|(a, at), (b, bt)| at.cmp(bt).then_with(|| a.cmp(b)));
        let first = first.map(|(key, at)| (key.clone(), *at));
        match first {
            Some((key, at)) if at <= Instant::now() => {
                state.due.remove(&key);
                state.running.insert(key.clone());
                Ok(key)
            }
            Some((_, at)) => Err(Some(at)),
            None => Err(None),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> ObjectKey {
        ObjectKey::namespaced("ns", name)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_added_twice_is_due_once_and_at_the_earlier_time() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.add_after(key("a"), Duration::from_secs(9));
        queue.add_after(key("a"), Duration::from_secs(2));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 2);
        let nothing = tokio::time::timeout(Duration::from_secs(60), queue.next()).await;
        assert!(nothing.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_running_key_waits_for_its_own_end() {
        let queue = Queue::new();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.add(key("a"));
        queue.add(key("b"));
        assert_eq!(queue.next().await, key("b"));
        assert!(tokio::time::timeout(Duration::from_secs(1), queue.next()).await.is_err());
        queue.done(&running, false, |_| None);
        assert_eq!(queue.next().await, key("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_are_counted_until_a_success() {
        let queue = Queue::new();
        let done = |failed| {
            let mut seen = 0;
            queue.done(&key("a"), failed, |before| {
                seen = before;
                None
            });
            seen
        };
        assert_eq!([done(true), done(true), done(false), done(true)], [0, 1, 2, 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_nudge_does_not_shorten_a_backoff() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.nudge(key("a"));
        queue.done(&running, true, |_| Some(Duration::from_secs(30)));
        queue.nudge(key("a"));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 30);
        queue.nudge(key("a"));
        queue.done(&running, false, |_| Some(Duration::from_secs(60)));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 30, "after a success a nudge counts at once");
    }

    #[tokio::test(start_paused = true)]
    async fn an_edit_does_shorten_a_backoff() {
        let queue = Queue::new();
        let start = Instant::now();
        queue.add(key("a"));
        let running = queue.next().await;
        queue.done(&running, true, |_| Some(Duration::from_secs(30)));
        queue.add(key("a"));
        assert_eq!(queue.next().await, key("a"));
        assert_eq!(start.elapsed().as_secs(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_added_while_its_object_seemed_gone_is_kept() {
        let queue = Queue::new();
        queue.add(key("a"));
        let gone = queue.next().await;
        queue.add(key("a"));
        queue.forget(&gone);
        assert_eq!(queue.next().await, key("a"));
    }
}
