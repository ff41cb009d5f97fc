//! Developer tasks: `cargo xtask {check, test, layers, codegen, sim, e2e, moto, bench, fuzz}`. CI calls nothing else, so a
//! laptop runs what CI runs.
//!
//! It does no work of the product and nothing depends on it. Of our own crates it uses only
//! `api-types`, whose CRDs it writes down, so that it builds in seconds.
//!
//! Where to start: one file a task; `layers/table.rs` is the architecture as data.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks")]

mod bench;
mod check;
mod codegen;
mod docs;
mod doctests;
mod e2e;
mod fuzz;
mod layers;
mod moto;
mod nspawn;
mod process;
mod sim;
mod test;
mod tools;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::process::Workspace;

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", about = "Developer tasks of Fleetwright")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Everything CI checks without running tests: format, layers, documents, generated files,
    /// dependencies, lints
    Check(check::Options),
    /// Every test of the workspace, after installing the tools they need into .tools/
    Test(test::Options),
    /// Which crate may depend on which
    Layers,
    /// Write api/crds from the Rust types
    Codegen(codegen::Options),
    /// The deterministic simulation, seed by seed
    Sim(sim::Options),
    /// One cluster's life from apply to delete, against any API server; the cloud is simulated. With --hosts, a K3s cluster's life
    /// on real hosts
    E2e(e2e::Options),
    /// What we send to EKS, tried on moto, somebody else's emulated EKS
    Moto,
    /// How fast and how large the program is; figures for docs/benchmarks.md
    Bench(bench::Options),
    /// What strangers send, made up by libFuzzer; needs a nightly compiler
    Fuzz(fuzz::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = Workspace::find().and_then(|workspace| match arguments.task {
        Task::Check(options) => check::run(&workspace, &options),
        Task::Test(options) => test::run(&workspace, &options),
        Task::Layers => layers::run(&workspace),
        Task::Codegen(options) => codegen::run(&workspace, &options),
        Task::Sim(options) => sim::run(&workspace, &options),
        Task::E2e(options) => e2e::run(&workspace, &options),
        Task::Moto => moto::run(&workspace),
        Task::Bench(options) => bench::run(&workspace, &options),
        Task::Fuzz(options) => fuzz::run(&workspace, &options),
    });
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
