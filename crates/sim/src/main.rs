//! `fleetwright-sim`: runs seeds, and says which one fails and why.
#![allow(clippy::print_stdout, reason = "a command-line program")]

use std::process::ExitCode;

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
    /// Print the trace of every failing seed.
    #[arg(long)]
    trace: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let flags = Flags::parse();
    let (mut failed, mut crashes, mut events) = (0, 0, 0);
    for seed in flags.from..flags.from + flags.seeds {
        let (outcome, lines) = run::seed(seed, flags.sabotage)?;
        crashes += outcome.crashes;
        events += outcome.events;
        let mut wrong = outcome.wrong.clone();
        if flags.twice {
            let (again, other) = run::seed(seed, flags.sabotage)?;
            if again.digest != outcome.digest {
                let at = lines.iter().zip(&other).position(|(a, b)| a != b);
                wrong.push(format!("two runs differ, first at trace line {at:?}"));
            }
        }
        println!(
            "seed {seed}: {} · {} crashes · {} events · settled after {} s · {}",
            if wrong.is_empty() { "ok" } else { "FAILED" },
            outcome.crashes,
            outcome.events,
            outcome.seconds,
            &outcome.digest[..16],
        );
        if !wrong.is_empty() {
            failed += 1;
            for line in &wrong {
                println!("  {line}");
            }
            if flags.trace {
                lines.iter().for_each(|line| println!("  | {line}"));
            }
        }
    }
    println!("{} seeds, {failed} failed, {crashes} crashes, {events} events", flags.seeds);
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
