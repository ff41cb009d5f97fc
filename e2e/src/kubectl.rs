//! kubectl with one kubeconfig and a home of its own.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A kubectl that talks to one API server.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    /// `home` takes kubectl's caches, so that one server's are not used for another.
    #[must_use]
    pub fn new(program: &Path, kubeconfig: &Path, home: &Path) -> Self {
        let owned = Path::to_owned;
        Self { program: owned(program), kubeconfig: owned(kubeconfig), home: owned(home) }
    }

    /// The kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("HOME", &self.home);
        command
    }

    /// What a command prints.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command(args);
        finished(args, command.stdin(Stdio::null()).output())
    }

    /// Applies a document.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn apply(&self, document: &str) -> Result<String> {
        let args = ["apply", "-f", "-"];
        let mut command = self.command(&args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("starting kubectl")?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(document.as_bytes()).context("writing to kubectl")?;
        }
        finished(&args, child.wait_with_output())
    }

    /// An object or list as JSON.
    ///
    /// # Errors
    /// As [`run`](Self::run), and when the answer is no JSON.
    pub fn get(&self, args: &[&str]) -> Result<Value> {
        let args: Vec<&str> = ["get", "-o", "json"].iter().chain(args).copied().collect();
        let text = self.run(&args)?;
        serde_json::from_str(&text).with_context(|| format!("reading kubectl {}", args.join(" ")))
    }
}

fn finished(args: &[&str], ran: std::io::Result<std::process::Output>) -> Result<String> {
    let ran = ran.context("starting kubectl")?;
    if !ran.status.success() {
        let said = String::from_utf8_lossy(&ran.stderr);
        bail!("kubectl {}: {}", args.join(" "), said.trim());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
