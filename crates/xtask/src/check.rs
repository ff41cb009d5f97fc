//! `cargo xtask check`: all that CI checks without running a test, quickest first.

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{self, Workspace};
use crate::{codegen, docs, layers, tools};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Only look for known vulnerabilities in dependencies; needs the network
    #[arg(long)]
    advisories: bool,
}

type Check = fn(&Workspace) -> Result<()>;

const CHECKS: [(&str, Check); 6] = [
    ("format", format),
    ("layers", layers::run),
    ("documents", docs::run),
    ("generated files", codegen::check),
    ("dependencies", dependencies),
    ("lints", lints),
];

/// Runs all of them even when one fails, so that one round shows everything.
pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if options.advisories {
        return deny(workspace, &["advisories"]);
    }
    let mut failed = Vec::new();
    for (name, check) in CHECKS {
        println!("== {name}");
        if let Err(error) = check(workspace) {
            eprintln!("{name}: {error:#}");
            failed.push(name);
        }
    }
    if failed.is_empty() {
        println!("all {} checks passed", CHECKS.len());
        return Ok(());
    }
    bail!("{} of {} checks failed: {}", failed.len(), CHECKS.len(), failed.join(", "));
}

fn format(workspace: &Workspace) -> Result<()> {
    process::run(workspace.cargo().args(["fmt", "--all", "--check"]))
}

fn lints(workspace: &Workspace) -> Result<()> {
    process::run(
        workspace
            .cargo()
            .args(["clippy", "--workspace", "--all-targets", "--locked", "--"])
            .args(["-D", "warnings"]),
    )
}

/// Without advisories: they change without a change of ours, so CI asks for them apart.
fn dependencies(workspace: &Workspace) -> Result<()> {
    deny(workspace, &["bans", "licenses", "sources"])
}

fn deny(workspace: &Workspace, checks: &[&str]) -> Result<()> {
    let tools = tools::install(workspace)?;
    process::run(workspace.command(tools.cargo_deny).args(["--locked", "check"]).args(checks))
}
