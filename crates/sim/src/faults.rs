//! What goes wrong, and the trace of everything that happened.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tokio::sync::Notify;

use crate::dice::{Dice, PausedClock};

/// What happens to one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It works.
    Works,
    /// It never left.
    NotSent,
    /// It left and never arrived: no effect, no answer.
    LostOnTheWay,
    /// It had its effect, and the answer was lost.
    LostAnswer,
    /// It is answered by silence, and has its effect much later.
    LateEffect,
    /// The other side says: too many requests.
    Throttled,
    /// The other side says: I am broken.
    Broken,
    /// The hub crashes before it leaves.
    CrashBefore,
    /// The hub crashes after the effect, before the answer.
    CrashAfter,
}

/// How many of a thousand calls meet each fate.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Each of `NotSent`, `LostOnTheWay`, `LostAnswer`, `LateEffect`, `Throttled` and `Broken`.
    pub each_fault_permille: f64,
    /// Each of `CrashBefore` and `CrashAfter`.
    pub each_crash_permille: f64,
}

/// The source of all faults of one run.
#[derive(Debug)]
pub struct Faults {
    dice: Dice,
    rates: Rates,
    on: AtomicBool,
    crashed: AtomicBool,
    crash: Notify,
    crashes: AtomicU64,
    clock: PausedClock,
    trace: Mutex<Trace>,
    first_create: Mutex<Option<Fate>>,
}

#[derive(Debug, Default)]
struct Trace {
    hash: Sha256,
    lines: Vec<String>,
    count: u64,
}

/// Lines kept for a failure report.
const KEPT_LINES: usize = 20_000;

impl Faults {
    /// Faults from a stream of dice.
    #[must_use]
    pub fn new(dice: Dice, rates: Rates, clock: PausedClock) -> Self {
        Self {
            dice,
            rates,
            on: AtomicBool::new(true),
            crashed: AtomicBool::new(false),
            crash: Notify::new(),
            crashes: AtomicU64::new(0),
            clock,
            trace: Mutex::default(),
            first_create: Mutex::default(),
        }
    }

    /// Decides the fate of the first `CreateCluster`, whatever the dice say.
    #[must_use]
    pub fn with_first_create(self, fate: Option<Fate>) -> Self {
        Self { first_create: Mutex::new(fate), ..self }
    }

    /// The fate of this `CreateCluster`, if it was decided beforehand.
    pub fn decided_create(&self) -> Option<Fate> {
        self.first_create.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Decides what happens to the next call.
    #[must_use]
    pub fn fate(&self) -> Fate {
        if !self.on.load(Ordering::Relaxed) {
            return Fate::Works;
        }
        let (fault, crash) =
            (self.rates.each_fault_permille / 1000.0, self.rates.each_crash_permille / 1000.0);
        let fates = [
            (Fate::NotSent, fault),
            (Fate::LostOnTheWay, fault),
            (Fate::LostAnswer, fault),
            (Fate::LateEffect, fault),
            (Fate::Throttled, fault),
            (Fate::Broken, fault),
            (Fate::CrashBefore, crash),
            (Fate::CrashAfter, crash),
        ];
        let mut roll = self.dice.share();
        for (fate, chance) in fates {
            if roll < chance {
                return fate;
            }
            roll -= chance;
        }
        Fate::Works
    }

    /// A stream of dice for details of faults.
    #[must_use]
    pub const fn dice(&self) -> &Dice {
        &self.dice
    }

    /// Whether faults still happen.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// From now on everything works.
    pub fn stop(&self) {
        self.on.store(false, Ordering::Relaxed);
        self.note("faults stop");
    }

    /// The hub dies: every call of this life from now on never returns.
    pub fn crash(&self) {
        if !self.crashed.swap(true, Ordering::Relaxed) {
            self.crashes.fetch_add(1, Ordering::Relaxed);
            self.note("CRASH");
            self.crash.notify_one();
        }
    }

    /// The hub dies here: this call never returns.
    pub async fn crash_here(&self) {
        self.crash();
        std::future::pending::<()>().await;
    }

    /// Waits for the next crash.
    pub async fn crashed(&self) {
        self.crash.notified().await;
    }

    /// Whether the hub is dead; its calls must not have effects any more.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.crashed.load(Ordering::Relaxed)
    }

    /// The hub lives again.
    pub fn revive(&self) {
        self.crashed.store(false, Ordering::Relaxed);
        self.note("hub starts");
    }

    /// How often the hub crashed.
    #[must_use]
    pub fn crashes(&self) -> u64 {
        self.crashes.load(Ordering::Relaxed)
    }

    /// Adds a line to the trace.
    pub fn note(&self, line: impl AsRef<str>) {
        let line = format!("{:>9.3} {}", self.clock.elapsed().as_secs_f64(), line.as_ref());
        let mut trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        trace.hash.update(line.as_bytes());
        trace.hash.update(b"\n");
        trace.count += 1;
        if trace.lines.len() < KEPT_LINES {
            trace.lines.push(line);
        }
    }

    /// SHA-256 of the whole trace, and its number of lines.
    #[must_use]
    pub fn digest(&self) -> (String, u64) {
        let trace = self.trace.lock().unwrap_or_else(PoisonError::into_inner);
        let digest = trace.hash.clone().finalize();
        (digest.iter().map(|byte| format!("{byte:02x}")).collect(), trace.count)
    }

    /// The trace itself, up to a limit.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.trace.lock().unwrap_or_else(PoisonError::into_inner).lines.clone()
    }
}
