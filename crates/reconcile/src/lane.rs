//! One key's lane: what it may ask of the loop, by its budget and its circuit breaker. Pure: the time is an argument.

use std::time::Duration;

use fleetwright_errclass::Class;
use tokio::time::Instant;

/// How fast a queue gives its keys out. A lane is one key, which for the controllers of clusters is one cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Reconciles at a time.
    pub at_once: usize,
    /// Of these, for keys that failed the last time. Clusters that are dead or slow cost the others nothing.
    pub ailing_at_once: usize,
    /// Wakes of one key by changes, at most this often in the long run. Looks that a plan or a backoff asked for have their
    /// own pace and cost nothing.
    pub one_wake_every: Duration,
    /// Wakes of one key that may come at once after a quiet time.
    pub burst: u32,
    /// After this many failures in a row by which nobody can tell how the other side is (Transient, Unknown), the backoff
    /// holds for edits as well.
    pub breaks_after: u32,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            at_once: 32,
            ailing_at_once: 8,
            one_wake_every: Duration::from_secs(3),
            burst: 10,
            breaks_after: 5,
        }
    }
}

/// When a key is due, and at whose wish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) at: Instant,
    /// A change asked for it, so it counts against the budget.
    pub(crate) woken: bool,
}

/// What is known of one key.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    pub(crate) due: Option<Due>,
    pub(crate) running: Option<Run>,
    /// Nudged while it ran.
    nudged: bool,
    /// Failures in a row, of any class.
    failures: u32,
    /// Failures in a row that say nothing but that the other side is not there.
    troubles: u32,
    open_until: Option<Instant>,
    /// The other side asked not to be asked before.
    asked_until: Option<Instant>,
    ailing: bool,
    /// The generic cell rate algorithm (ITU-T I.371): when the budget would be whole again.
    budget_whole_at: Option<Instant>,
}

/// A reconcile under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    /// It occupies one of the places for keys that failed the last time.
    pub(crate) ailing: bool,
}

impl Lane {
    /// Whether the last reconcile failed in a way that may cost time again.
    pub(crate) const fn is_ailing(&self) -> bool {
        self.ailing
    }

    /// Whether the circuit breaker is open: only one try at the end of each backoff.
    pub(crate) const fn is_open(&self, pace: &Pace) -> bool {
        self.troubles >= pace.breaks_after
    }

    /// Nothing is known that would be missed.
    pub(crate) const fn is_blank(&self) -> bool {
        self.due.is_none() && self.failures == 0 && self.budget_whole_at.is_none()
    }

    /// A change wants a look at `at`. Returns whether the budget puts it off.
    pub(crate) fn wake(&mut self, pace: &Pace, at: Instant) -> bool {
        let at = at.max(self.open_until.unwrap_or(at)).max(self.asked_until.unwrap_or(at));
        let allowed = self.budget_allows_at(pace).map_or(at, |allowed| allowed.max(at));
        self.due_by(Due { at: allowed, woken: true });
        allowed > at
    }

    /// As [`Lane::wake`], unless the key is running or is backing off after a failure. `None`: nothing to do now.
    pub(crate) fn nudge(&mut self, pace: &Pace, now: Instant) -> Option<bool> {
        if self.running.is_some() {
            self.nudged = true;
            return None;
        }
        if self.failures > 0 && self.due.is_some() {
            return None;
        }
        Some(self.wake(pace, now))
    }

    /// Not before `until`, whatever asks for it.
    pub(crate) fn hold(&mut self, until: Instant) {
        self.asked_until = self.asked_until.max(Some(until));
    }

    /// A reconcile begins.
    pub(crate) fn start(&mut self, pace: &Pace, now: Instant) {
        if self.due.take().is_some_and(|due| due.woken) {
            let from = self.budget_whole_at.map_or(now, |at| at.max(now));
            self.budget_whole_at = Some(from + pace.one_wake_every);
        }
        self.running = Some(Run { ailing: self.ailing });
    }

    /// A reconcile ended; `next` says after what delay to look again by ourselves, given the failures in a row before.
    /// Returns whether the budget puts off what was asked for meanwhile.
    pub(crate) fn end(
        &mut self,
        pace: &Pace,
        now: Instant,
        failed: Option<Class>,
        next: impl FnOnce(u32) -> Option<Duration>,
    ) -> bool {
        self.running = None;
        let before = self.failures;
        self.failures = if failed.is_some() { before.saturating_add(1) } else { 0 };
        self.ailing = failed.is_some_and(|class| class != Class::Conflict);
        self.troubles = match failed {
            Some(Class::Transient | Class::Unknown) => self.troubles.saturating_add(1),
            // A lost race says nothing about the other side.
            Some(Class::Conflict) => self.troubles,
            Some(Class::Invalid | Class::Refused | Class::Bug) | None => 0,
        };
        self.asked_until = self.asked_until.filter(|until| *until > now);
        let next = next(before).map(|delay| now + delay);
        let next = next.map(|at| at.max(self.asked_until.unwrap_or(at)));
        self.open_until = if self.is_open(pace) { next } else { None };
        // What was asked for while it ran waits as well.
        if let Some(due) = &mut self.due {
            let held = self.open_until.max(self.asked_until);
            due.at = due.at.max(held.unwrap_or(due.at));
        }
        if let Some(at) = next {
            self.due_by(Due { at, woken: false });
        }
        // After a failure we look again soon enough.
        let nudged = std::mem::take(&mut self.nudged);
        let backs_off = failed.is_some() && next.is_some();
        nudged && !backs_off && self.wake(pace, now)
    }

    /// The object is gone; what was asked for meanwhile stays, since it may have been made anew.
    pub(crate) fn forget(&mut self) {
        *self = Self { due: self.due, ..Self::default() };
    }

    fn due_by(&mut self, new: Due) {
        if self.due.is_none_or(|due| new.at < due.at) {
            self.due = Some(new);
        }
    }

    /// From when on the budget lets another wake through; `None`: at once.
    fn budget_allows_at(&self, pace: &Pace) -> Option<Instant> {
        let ahead = pace.one_wake_every.saturating_mul(pace.burst.saturating_sub(1));
        self.budget_whole_at?.checked_sub(ahead)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        at_once: 32,
        ailing_at_once: 8,
        one_wake_every: Duration::from_secs(3),
        burst: 3,
        breaks_after: 2,
    };

    /// Wakes the lane, runs it at once when it is due, and returns after how many seconds that was.
    fn woken_and_run(lane: &mut Lane, at: Instant) -> u64 {
        lane.wake(&PACE, at);
        let due = lane.due.expect("due").at;
        lane.start(&PACE, due);
        lane.end(&PACE, due, None, |_| None);
        (due - at).as_secs()
    }

    #[tokio::test(start_paused = true)]
    async fn a_budget_lets_a_burst_through_and_then_one_wake_at_a_time() {
        let (mut lane, start) = (Lane::default(), Instant::now());
        let delays: Vec<u64> = (0..6).map(|_| woken_and_run(&mut lane, start)).collect();
        assert_eq!(delays, [0, 0, 0, 3, 6, 9]);
        let later = start + Duration::from_secs(100);
        let delays: Vec<u64> = (0..4).map(|_| woken_and_run(&mut lane, later)).collect();
        assert_eq!(
            delays,
            [0, 0, 0, 3],
            "a quiet time fills the budget, and no further than the burst"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn looks_that_a_plan_asked_for_cost_no_budget() {
        let (mut lane, start) = (Lane::default(), Instant::now());
        let mut at = start;
        for _ in 0..20 {
            lane.start(&PACE, at);
            lane.end(&PACE, at, None, |_| Some(Duration::from_millis(500)));
            at = lane.due.expect("due").at;
        }
        assert_eq!((at - start).as_secs(), 10);
        assert_eq!(woken_and_run(&mut lane, at), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_breaker_opens_for_edits_and_closes_with_the_first_answer() {
        let (mut lane, start) = (Lane::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let fail = |lane: &mut Lane, class| {
            lane.start(&PACE, start);
            lane.end(&PACE, start, Some(class), |_| Some(minute));
        };
        fail(&mut lane, Class::Transient);
        assert!(!lane.is_open(&PACE));
        fail(&mut lane, Class::Unknown);
        assert!(lane.is_open(&PACE));
        lane.wake(&PACE, start);
        assert_eq!(lane.due.expect("due").at, start + minute, "even an edit waits");
        fail(&mut lane, Class::Conflict);
        assert!(lane.is_open(&PACE), "a lost race proves nothing");
        fail(&mut lane, Class::Refused);
        assert!(!lane.is_open(&PACE), "who refuses is there");
        lane.wake(&PACE, start);
        assert_eq!(lane.due.expect("due").at, start);
    }
}
