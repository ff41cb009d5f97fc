//! `fleetwright-sim`: runs seeds, and says which one fails and why.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::fmt::Write as _;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};

use anyhow::Context as _;
use clap::Parser;
use fleetwright_sim::run;
use fleetwright_sim::sabotage::Sabotage;

/// Runs the deterministic simulator over a range of seeds.
#[derive(Parser)]
struct Flags {
    /// How many seeds.
    #[arg(long, default_value_t = 50)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run each seed twice and compare the trace digests.
    #[arg(long)]
    twice: bool,
    /// Break a rule on purpose.
    #[arg(long, value_enum, default_value = "none")]
    sabotage: Sabotage,
    /// Print the trace of every failing seed, and of a seed that is run alone.
    #[arg(long)]
    trace: bool,
    /// How many seeds to run at once, each on a thread of its own; absent: as many as there are cores.
    #[arg(long)]
    jobs: Option<usize>,
}

/// What one seed came to, ready to be printed.
struct Report {
    text: String,
    failed: bool,
    crashes: u64,
    events: u64,
}

fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let cores = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let next = AtomicU64::new(flags.from);
    let (mut failed, mut crashes, mut events) = (0, 0, 0);
    std::thread::scope(|scope| {
        let (reports, inbox) = sync_channel(64);
        for job in 0..flags.jobs.unwrap_or_else(cores).max(1) {
            let (reports, next, flags) = (reports.clone(), &next, &flags);
            std::thread::Builder::new()
                .name(format!("seeds-{job}"))
                .spawn_scoped(scope, move || work(flags, next, &reports))
                .context("cannot start a thread")?;
        }
        drop(reports);
        for report in inbox {
            let Report { text, failed: it_failed, crashes: its_crashes, events: its_events } =
                report?;
            print!("{text}");
            failed += u64::from(it_failed);
            crashes += its_crashes;
            events += its_events;
        }
        anyhow::Ok(())
    })?;
    println!("{} seeds, {failed} failed, {crashes} crashes, {events} events", flags.seeds);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs seeds that no other thread has taken, until there are none or nobody listens.
fn work(flags: &Flags, next: &AtomicU64, reports: &SyncSender<anyhow::Result<Report>>) {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= flags.from + flags.seeds || reports.send(one(flags, seed)).is_err() {
            return;
        }
    }
}

fn one(flags: &Flags, seed: u64) -> anyhow::Result<Report> {
    let (outcome, lines) = run::seed(seed, flags.sabotage)?;
    let mut wrong = outcome.wrong.clone();
    if flags.twice {
        let (again, other) = run::seed(seed, flags.sabotage)?;
        if again.digest != outcome.digest {
            let at = lines.iter().zip(&other).position(|(a, b)| a != b);
            wrong.push(format!("two runs differ, first at trace line {at:?}"));
        }
    }
    let mut text = String::new();
    writeln!(
        text,
        "seed {seed}: {} · {} crashes · {} events · settled after {} s · {}",
        if wrong.is_empty() { "ok" } else { "FAILED" },
        outcome.crashes,
        outcome.events,
        outcome.seconds,
        &outcome.digest[..16],
    )?;
    for line in &wrong {
        writeln!(text, "  {line}")?;
    }
    if flags.trace && (!wrong.is_empty() || flags.seeds == 1) {
        for line in &lines {
            writeln!(text, "  | {line}")?;
        }
    }
    let failed = !wrong.is_empty();
    Ok(Report { text, failed, crashes: outcome.crashes, events: outcome.events })
}
