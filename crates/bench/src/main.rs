//! `fleetwright-bench`: how fast and how large the program is, seen from outside. Run it by `cargo xtask bench`.
//!
//! It starts the real binary, talks to it as any client does, and prints tables for `docs/benchmarks.md`. Nothing here is a
//! test: figures are told, never judged. Beside each run stands the floor that the machine itself sets in that minute.
#![allow(clippy::print_stdout, reason = "a command-line tool talks")]

mod apiserver;
mod floor;
mod hub;
mod load;
mod samples;

use std::path::PathBuf;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "fleetwright-bench", about = "Measures fleetwright from outside")]
struct Arguments {
    /// The program to measure
    #[arg(long, value_name = "FILE")]
    program: PathBuf,
    #[command(subcommand)]
    area: Area,
}

#[derive(Debug, Subcommand)]
enum Area {
    /// The embedded Kubernetes API: start, writes, reads, watches, memory
    Apiserver(apiserver::Options),
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    let arguments = Arguments::parse();
    match arguments.area {
        Area::Apiserver(options) => apiserver::run(&arguments.program, &options).await,
    }
}
