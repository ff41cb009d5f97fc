//! One request to stop, heard by everybody who waits for it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

/// What a shell reports for a process that SIGINT ended; also used when SIGTERM came twice.
pub const ABORTED_EXIT_CODE: i32 = 130;

/// Asked for once, by a signal or by the program itself; it cannot be taken back.
///
/// Clones share one state, and waiters wake in the order in which they began to wait, so a
/// simulation that calls [`Shutdown::request`] replays alike.
#[derive(Clone, Debug, Default)]
pub struct Shutdown {
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    requested: AtomicBool,
    waiters: Notify,
}

impl Shutdown {
    /// Without signals: for tests, simulations and parts of a program.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Listens for Ctrl-C (SIGINT) and SIGTERM until the runtime ends. The first asks to stop; the
    /// second ends the process at once with [`ABORTED_EXIT_CODE`], flushing nothing, which is safe
    /// because every program here takes a crash between any two steps as normal.
    ///
    /// Must be called inside a tokio runtime with I/O enabled.
    pub fn on_signals() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let shutdown = Self::new();
        let asked = shutdown.clone();
        // Detached on purpose: it lives as long as the runtime and holds nothing but two signals.
        let _listener = tokio::spawn(async move {
            let name = next(&mut interrupt, &mut terminate).await;
            tracing::info!(signal = name, "stopping; once more ends at once");
            asked.request();
            let name = next(&mut interrupt, &mut terminate).await;
            tracing::warn!(signal = name, "ending at once");
            std::process::exit(ABORTED_EXIT_CODE);
        });
        Ok(shutdown)
    }

    /// Asks everybody to stop. Asking twice changes nothing.
    pub fn request(&self) {
        self.state.requested.store(true, Ordering::Release);
        self.state.waiters.notify_waiters();
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.state.requested.load(Ordering::Acquire)
    }

    /// Returns when somebody asks, or at once if somebody has. Safe to cancel.
    pub async fn requested(&self) {
        // Created before the look: `notify_waiters` wakes every future that exists by then.
        let woken = self.state.waiters.notified();
        if self.is_requested() {
            return;
        }
        woken.await;
    }
}

async fn next(interrupt: &mut Signal, terminate: &mut Signal) -> &'static str {
    tokio::select! {
        biased;
        _ = interrupt.recv() => "SIGINT",
        _ = terminate.recv() => "SIGTERM",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_reaches_those_who_wait_and_those_who_come_later() {
        let shutdown = Shutdown::new();
        let waiting = shutdown.clone();
        let waiter = tokio::spawn(async move { waiting.requested().await });
        tokio::task::yield_now().await;
        assert!(!shutdown.is_requested());
        shutdown.request();
        shutdown.request();
        waiter.await.unwrap();
        shutdown.requested().await;
        assert!(shutdown.is_requested());
    }
}
