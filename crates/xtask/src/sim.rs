//! `cargo xtask sim`: hands over to the simulator, which is a program of its own.

use anyhow::Result;
use clap::Args;

use crate::process::{self, Workspace};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Build with optimisations: worth it above some hundred seeds
    #[arg(long)]
    release: bool,
    /// Flags of the simulator, such as --seeds 200, --from 17, --twice, --trace; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    flags: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--package", "fleetwright-sim"]);
    if options.release {
        cargo.arg("--release");
    }
    cargo.arg("--").args(&options.flags);
    process::run(&mut cargo)
}
