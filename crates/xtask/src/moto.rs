//! `cargo xtask moto`: what we send to EKS, held against somebody else's EKS as well. Not part of the test command: moto
//! needs some forty packages, compiled for each Python.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Workspace};

/// With the extras that its EKS needs.
const PACKAGE: &str = "moto[server,eks]==5.2.5";

pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let packages = workspace.path(".tools/moto");
    if !packages.join("moto").is_dir() {
        process::run(
            workspace
                .command("python3")
                .args(["-m", "pip", "install", "--quiet", "--no-input"])
                .args([
                    "--disable-pip-version-check",
                    "--only-binary",
                    ":all:",
                    PACKAGE,
                    "--target",
                ])
                .arg(&packages),
        )
        .context("installing moto (python3 with pip is needed)")?;
    }
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
    let mut server = serve(workspace, &packages, &address)?;
    let tested = test(workspace, &address);
    server.kill().context("ending moto")?;
    server.wait().context("ending moto")?;
    tested
}

#[allow(clippy::disallowed_methods, reason = "a developer task without a runtime")]
fn serve(workspace: &Workspace, packages: &Path, address: &str) -> Result<Child> {
    let port = address.rsplit(':').next().unwrap_or_default();
    let mut server = workspace
        .command("python3")
        .args(["-m", "moto.server", "--host", "127.0.0.1", "--port", port])
        .env("PYTHONPATH", packages)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("starting moto")?;
    for _ in 0..150 {
        if std::net::TcpStream::connect(address).is_ok() {
            return Ok(server);
        }
        if let Some(status) = server.try_wait()? {
            bail!("moto ended at once: {status}; remove .tools/moto and try again");
        }
        sleep(Duration::from_millis(200));
    }
    server.kill()?;
    server.wait()?;
    bail!("moto does not answer at {address} after 30 s")
}

fn test(workspace: &Workspace, address: &str) -> Result<()> {
    process::run(
        workspace
            .cargo()
            .args(["test", "--quiet", "--package", "fleetwright-provider-eks", "--test", "it"])
            .args(["--", "--ignored", "moto"])
            .env("FLEETWRIGHT_MOTO", address),
    )
}
