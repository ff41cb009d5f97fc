//! `cargo xtask e2e --hosts nspawn`: a K3s cluster's life on hosts with a real systemd and a real sshd, as nspawn machines of this
//! one. Needs Linux, root, apt and some minutes; the first run also makes a Debian tree.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::process::{self, Workspace};

const SCRIPT: &str = "crates/provider-k3s/tests/host/nspawn.sh";
/// Servers, one to replace another, and an agent.
const HOSTS: [&str; 5] =
    ["s1=10.213.17.11", "s2=10.213.17.12", "s3=10.213.17.13", "s4=10.213.17.14", "a1=10.213.17.21"];

/// With K3s's stand-in, or with the binary at `k3s`.
pub(crate) fn run(workspace: &Workspace, k3s: Option<&Path>) -> Result<()> {
    if let Some(k3s) = k3s {
        ensure!(k3s.is_file(), "{} is no file", k3s.display());
    }
    let folder = workspace.path(".tools/nspawn");
    let hosts = folder.join("run");
    let key = hosts.join("id");
    // What a run that was killed left behind.
    down(workspace, &hosts)?;
    if hosts.is_dir() {
        std::fs::remove_dir_all(&hosts).context("removing the last run")?;
    }
    std::fs::create_dir_all(&hosts).context("making a folder for the hosts")?;
    process::run(
        workspace.command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key),
    )?;
    let up = process::run(
        workspace
            .command("sh")
            .arg(workspace.path(SCRIPT))
            .arg("up")
            .args([&folder, &hosts, &key.with_extension("pub")])
            .args(HOSTS),
    );
    let tested = up.and_then(|()| test(workspace, &hosts, k3s));
    let ended = down(workspace, &hosts);
    tested.and(ended)
}

fn down(workspace: &Workspace, hosts: &Path) -> Result<()> {
    process::run(workspace.command("sh").arg(workspace.path(SCRIPT)).arg("down").arg(hosts))
}

fn test(workspace: &Workspace, hosts: &Path, k3s: Option<&Path>) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo
        .args(["test", "--quiet", "--package", "fleetwright-provider-k3s", "--test", "it"])
        .args(["--", "--ignored", "--nocapture", "nspawn"])
        .env("FLEETWRIGHT_NSPAWN", hosts);
    if let Some(k3s) = k3s {
        cargo.env("FLEETWRIGHT_NSPAWN_K3S", std::path::absolute(k3s)?);
    }
    process::run(&mut cargo)
}
