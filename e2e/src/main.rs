//! `cargo xtask e2e` calls this: the scenario against one API server.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool talks")]

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, Result, bail};
use clap::{Parser, ValueEnum};
use fleetwright_e2e::scenario;
use fleetwright_e2e::target::{Target, Tools};

/// The name of the kind cluster, made and removed by this program.
const KIND_CLUSTER: &str = "fleetwright-e2e";
/// Where K3s writes its own kubeconfig.
const K3S_KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

#[derive(Debug, Parser)]
#[command(
    name = "fleetwright-e2e",
    about = "The life of a cluster on each provider, against any API server"
)]
struct Arguments {
    /// Where the declarations go
    #[arg(long, value_enum, default_value = "embedded")]
    target: Where,
    /// With --target kubeconfig: the API server; with k3s: another file than its own
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,
    /// The fleetwright binary
    #[arg(long, value_name = "FILE")]
    fleetwright: PathBuf,
    /// A kubectl
    #[arg(long, value_name = "FILE", env = "FLEETWRIGHT_KUBECTL", default_value = "kubectl")]
    kubectl: PathBuf,
    /// The folder with crds/ and policies/
    #[arg(long, value_name = "DIR", default_value = "api")]
    api: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Where {
    /// Inside `fleetwright up --simulate`
    Embedded,
    /// The API server of --kubeconfig
    Kubeconfig,
    /// A kind cluster, made for this and removed afterwards (needs kind and a container engine)
    Kind,
    /// The K3s of this machine
    K3s,
}

fn main() -> ExitCode {
    match run(Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("e2e: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(asked: Arguments) -> Result<()> {
    let home = tempfile::tempdir().context("a folder for this run")?;
    let Arguments { target, kubeconfig, fleetwright, kubectl, api } = asked;
    let tools = Tools { fleetwright, kubectl, api };
    match (target, kubeconfig) {
        (Where::Embedded, None) => scenario::run(&Target::Embedded, &tools, home.path()),
        (Where::Kubeconfig, Some(file)) => {
            scenario::run(&Target::Kubeconfig(file), &tools, home.path())
        }
        (Where::Kubeconfig, None) => bail!("--target kubeconfig needs --kubeconfig FILE"),
        (Where::K3s, file) => {
            let file = file.unwrap_or_else(|| K3S_KUBECONFIG.into());
            scenario::run(&Target::Kubeconfig(file), &tools, home.path())
        }
        (Where::Kind, None) => {
            let file = home.path().join("kind-kubeconfig");
            kind(
                Command::new("kind")
                    .args(["create", "cluster", "--wait", "120s"])
                    .args(["--name", KIND_CLUSTER, "--kubeconfig"])
                    .arg(&file),
            )?;
            let ran = scenario::run(&Target::Kubeconfig(file), &tools, home.path());
            let removed =
                kind(Command::new("kind").args(["delete", "cluster", "--name", KIND_CLUSTER]));
            ran.and(removed)
        }
        (Where::Embedded | Where::Kind, Some(_)) => {
            bail!("--kubeconfig goes with --target kubeconfig or k3s")
        }
    }
}

fn kind(command: &mut Command) -> Result<()> {
    let status = command.status().context("starting kind")?;
    if !status.success() {
        bail!("kind failed ({status})");
    }
    Ok(())
}
