//! `cargo xtask e2e`: one cluster's life against an API server of choice. The scenario is a
//! program of its own; this builds `fleetwright`, installs kubectl and hands over.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use crate::process::{self, Workspace};
use crate::{nspawn, tools};

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Where the declarations go
    #[arg(long, value_enum, default_value = "embedded")]
    target: Target,
    /// With --target kubeconfig: the API server; with k3s: another file than K3s's own
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// Instead: a K3s cluster's life on hosts of this kind; needs root
    #[arg(long, value_enum, conflicts_with_all = ["target", "kubeconfig", "release"])]
    hosts: Option<Hosts>,
    /// With --hosts: K3s's binary; absent, a stand-in
    #[arg(long, value_name = "FILE", requires = "hosts")]
    k3s: Option<PathBuf>,
    /// Build with optimisations
    #[arg(long)]
    release: bool,
}

/// As the scenario's own flag, so that `--help` tells.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Target {
    /// The API server inside `fleetwright up --simulate`; also part of `cargo xtask test`
    Embedded,
    /// Any API server, by its kubeconfig
    Kubeconfig,
    /// A kind cluster, made for this and removed afterwards
    Kind,
    /// The K3s of this machine
    K3s,
}

/// What hosts are.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Hosts {
    /// Machines of systemd-nspawn with a real systemd and a real sshd
    Nspawn,
}

pub(crate) fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    if let Some(Hosts::Nspawn) = options.hosts {
        return nspawn::run(workspace, options.k3s.as_deref());
    }
    let tools = tools::install(workspace)?;
    let profile = if options.release { "release" } else { "debug" };
    let release = options.release.then_some("--release");
    let build = ["build", "--quiet", "--package", "fleetwright", "--package", "fleetwright-e2e"];
    process::run(workspace.cargo().args(build).args(release))?;
    // As cargo settles it: a relative CARGO_TARGET_DIR counts from where cargo was started.
    let built = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let built = built.unwrap_or_else(|| workspace.path("target")).join(profile);
    let mut scenario = workspace.command(built.join("fleetwright-e2e"));
    let target = options.target.to_possible_value();
    let target = target.map(|value| value.get_name().to_owned()).unwrap_or_default();
    scenario.arg("--target").arg(target);
    scenario.arg("--fleetwright").arg(built.join("fleetwright"));
    scenario.arg("--kubectl").arg(&tools.kubectl).arg("--api").arg(workspace.path("api"));
    if let Some(file) = &options.kubeconfig {
        // The scenario runs in the workspace root, the user perhaps elsewhere.
        scenario.arg("--kubeconfig").arg(std::path::absolute(file)?);
    }
    process::run(&mut scenario)
}
