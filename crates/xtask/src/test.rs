//! `cargo xtask test`: every test, from a clean clone.

use anyhow::Result;
use clap::Args;

use crate::process::{self, Workspace};
use crate::{doctests, tools};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Handed to `cargo nextest run`, for example `-p fleetwright-plan`, or part of a test's name;
    /// documentation tests are then left out
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    nextest: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let tools = tools::install(workspace)?;
    let mut nextest = workspace.command(&tools.cargo_nextest);
    nextest.args(["nextest", "run"]).env(tools::KUBECTL_VARIABLE, &tools.kubectl);
    let selects = |word: &String| word == "-p" || word.starts_with("--package");
    if !options.nextest.iter().any(selects) {
        nextest.arg("--workspace");
    }
    process::run(nextest.args(&options.nextest))?;
    if !options.nextest.is_empty() {
        return Ok(());
    }
    let packages = doctests::packages(workspace)?;
    if packages.is_empty() {
        return Ok(());
    }
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--doc"]);
    for package in &packages {
        cargo.args(["--package", package]);
    }
    process::run(&mut cargo)
}
