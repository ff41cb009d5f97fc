//! One run: a seed, a world, a user, crashes, and a verdict.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{CommitFault, MemoryStore};

use crate::dice::{Dice, PausedClock};
use crate::faults::{Fate, Faults, Rates};
use crate::invariants::{Watchdog, looks_settled, unsettled};
use crate::play;
use crate::sabotage::Sabotage;
use crate::script::{self, Action, Expected};
use crate::wires::LATEST_SECONDS;
use crate::world::{Hub, World};

/// Faults stop here, and the user is done before.
const FAULTS_END: Duration = Duration::from_secs(240);
/// The fleet must have converged by here.
const LIMIT: Duration = Duration::from_secs(6000);
/// With a broken rule nobody waits that long: what has not converged by here may never.
pub const BROKEN_LIMIT: Duration = Duration::from_secs(600);

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the trace.
    pub digest: String,
    /// Lines in the trace.
    pub events: u64,
    /// How often the hub crashed.
    pub crashes: u64,
    /// Simulated seconds until the fleet had converged.
    pub seconds: u64,
    /// What was wrong; empty when all held.
    pub wrong: Vec<String>,
}

/// What is decided before the dice.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Decides all the rest.
    pub seed: u64,
    /// A rule that is broken on purpose.
    pub sabotage: Sabotage,
    /// What the user does, by the second; `None`: the seed writes it.
    pub script: Option<Vec<(u64, Action)>>,
    /// What becomes of the first `CreateCluster`; with a script of one's own, nothing else goes wrong.
    pub first_create: Option<Fate>,
}

/// Runs one seed on a thread of its own clock. The trace lines come along for a report.
///
/// # Errors
/// When the world cannot be made; never for a broken invariant, which is in the outcome.
pub fn seed(seed: u64, sabotage: Sabotage) -> anyhow::Result<(Outcome, Vec<String>)> {
    scenario(Scenario { seed, sabotage, script: None, first_create: None })
}

/// Runs one scenario, as [`seed`] does.
///
/// # Errors
/// As [`seed`].
pub fn scenario(scenario: Scenario) -> anyhow::Result<(Outcome, Vec<String>)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
    runtime.block_on(live(scenario))
}

async fn live(scenario: Scenario) -> anyhow::Result<(Outcome, Vec<String>)> {
    let Scenario { seed, sabotage, script, first_create } = scenario;
    let clock = PausedClock::start();
    // Some runs are calm and some are rough, so that long and short ways are both walked.
    let weather = Dice::new(seed, 3);
    let calm = Rates { each_fault_permille: 0.0, each_crash_permille: 0.0 };
    let rates = Rates {
        each_fault_permille: [2.0, 8.0, 25.0, 60.0][weather.below(4)],
        each_crash_permille: [0.5, 3.0, 10.0][weather.below(3)],
    };
    let rates = if script.is_some() { calm } else { rates };
    let faults =
        Faults::new(Dice::new(seed, 1), rates, clock.clone()).with_first_create(first_create);
    let faults = Arc::new(faults);
    let world = World::new(seed, Arc::clone(&faults), clock).await?;
    let mut run = Run {
        world,
        sabotage,
        life: 0,
        disk: Dice::new(seed, 4),
        watchdog: Watchdog::default(),
        expected: Expected::default(),
        wrong: Vec::new(),
    };
    let mut hub = run.world.start(0, sabotage, None).await?;
    run.expected.level = "Restricted";
    script::prepare(&hub.user.0, run.expected.level).await?;
    let mut script = script.unwrap_or_else(|| script::write(&Dice::new(seed, 2)));
    script.reverse();
    let seconds = loop {
        tokio::select! {
            biased;
            () = faults.crashed() => hub = run.reborn(hub).await?,
            () = tokio::time::sleep(Duration::from_secs(1)) => {
                hub = run.tick(hub, &mut script).await?;
                let passed = run.world.clock.elapsed();
                if run.is_over(&hub, script.is_empty(), passed).await {
                    break passed.as_secs();
                }
            }
        }
    };
    hub.kill().await;
    let (digest, events) = faults.digest();
    let outcome =
        Outcome { seed, digest, events, crashes: faults.crashes(), seconds, wrong: run.wrong };
    Ok((outcome, faults.lines()))
}

struct Run {
    world: World,
    sabotage: Sabotage,
    life: u64,
    disk: Dice,
    watchdog: Watchdog,
    expected: Expected,
    wrong: Vec<String>,
}

impl Run {
    async fn reborn(&mut self, hub: Hub) -> anyhow::Result<Hub> {
        hub.kill().await;
        tokio::time::sleep(Duration::from_millis(700)).await;
        self.life += 1;
        self.world.start(self.life, self.sabotage, None).await
    }

    /// The hub's disk is lost while nothing is being deleted and no host leaves. Git brings back what it holds, with other uids.
    async fn rebuilt(&mut self, hub: Hub) -> anyhow::Result<Hub> {
        let id = hub.id.clone();
        hub.kill().await;
        // Restoring takes a person longer than a request can be on its way. What the lost hub sent has arrived or never
        // will, so an object that is deleted at once leaves nothing behind that only the old hub knew of (seed 2617).
        tokio::time::sleep(Duration::from_secs(LATEST_SECONDS as u64 + 10)).await;
        self.world.disk = MemoryStore::new();
        self.life += 1;
        let hub = self.world.start(self.life, self.sabotage, Some(&id)).await?;
        play::from_git(&hub.user.0, &self.expected).await?;
        Ok(hub)
    }

    /// The user acts, the disk fails, the watchdog looks.
    async fn tick(&mut self, mut hub: Hub, script: &mut Vec<(u64, Action)>) -> anyhow::Result<Hub> {
        let faults = Arc::clone(&self.world.faults);
        while let Some((at, action)) = script.last() {
            if *at > self.world.clock.elapsed().as_secs() {
                break;
            }
            let played = match action {
                Action::SecondLeader => {
                    hub.start_second();
                    Ok(())
                }
                Action::OneLeader => {
                    hub.stop_second().await;
                    Ok(())
                }
                Action::LoseTheHub if play::is_leaving(&hub.user.0, &self.expected).await => {
                    Err(anyhow::anyhow!("something is being deleted"))
                }
                Action::LoseTheHub => {
                    hub = self.rebuilt(hub).await?;
                    Ok(())
                }
                action => play::play(&self.world, &hub.user.0, action, &mut self.expected).await,
            };
            faults.note(format!(
                "user {action:?} {}",
                if played.is_ok() { "done" } else { "failed" }
            ));
            if played.is_err() {
                // Again in a second.
                break;
            }
            script.pop();
        }
        let inventory = self.world.cloud.inventory().await;
        if let Err(error) = play::answer_requests(&inventory, &hub, &self.expected).await {
            faults.note(format!("user cannot answer: {error}"));
        }
        if faults.are_on() && self.disk.hit(0.01) {
            let fault = [CommitFault::BeforeEffect, CommitFault::AfterEffect][self.disk.below(2)];
            faults.note(format!("disk {fault:?}"));
            self.world.disk.fail_next_commit(fault);
        }
        if hub.store_failed() {
            faults.crash();
        }
        self.wrong.extend(self.watchdog.look(&inventory, &self.expected));
        let (sites, passed) = (self.world.cloud.sites().await, self.world.clock.elapsed());
        self.wrong.extend(Watchdog::look_at_hosts(&sites, &self.expected, passed));
        self.wrong.extend(self.world.hosts.leaks());
        Ok(hub)
    }

    /// Whether the run can end: converged, broken, or out of time.
    async fn is_over(&mut self, hub: &Hub, all_played: bool, passed: Duration) -> bool {
        // A storm can keep the user from finishing: a hub is only lost while nothing is being deleted.
        if passed < FAULTS_END || (!all_played && passed < FAULTS_END * 2) {
            return !self.wrong.is_empty();
        }
        if self.world.faults.are_on() {
            self.world.faults.stop();
        }
        let limit = if self.sabotage == Sabotage::None { LIMIT } else { BROKEN_LIMIT };
        if !all_played {
            if passed > limit {
                self.wrong.push("the user could never finish".to_owned());
            }
            return !self.wrong.is_empty();
        }
        // Most seconds one look at the conditions tells that it is not over yet.
        if passed <= limit && !looks_settled(hub, &self.expected).await {
            return !self.wrong.is_empty();
        }
        let left = unsettled(&self.world, &hub.user.0, &self.expected).await;
        if left.is_empty() {
            return true;
        }
        if passed > limit {
            self.wrong.extend(left.into_iter().map(|what| format!("never settled: {what}")));
        }
        !self.wrong.is_empty()
    }
}
