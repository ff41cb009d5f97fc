//! `cargo xtask bench AREA`: builds the program and the measuring one with optimisations, and hands over.

use anyhow::Result;
use clap::Args;

use crate::process::{self, Workspace};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to measure (apiserver), and its flags; --help lists them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true)]
    area: Vec<String>,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let packages = ["fleetwright", "fleetwright-bench"];
    let mut build = workspace.cargo();
    build.args(["build", "--release"]).args(packages.iter().flat_map(|name| ["--package", name]));
    process::run(&mut build)?;
    let mut bench = workspace.cargo();
    bench.args(["run", "--quiet", "--release", "--package", "fleetwright-bench", "--"]);
    bench.arg("--program").arg(workspace.root.join("target/release/fleetwright"));
    process::run(bench.args(&options.area))
}
