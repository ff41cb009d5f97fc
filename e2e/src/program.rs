//! The `fleetwright` binary: one long run of it, and short ones beside.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait::{self, Look};

/// After SIGTERM: the lease is given back and the store closed well within.
const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Where the binary is, and the home it runs in.
#[derive(Debug, Clone)]
pub struct Program {
    path: PathBuf,
    home: PathBuf,
}

impl Program {
    /// `home` is where it keeps its data when nobody names another folder.
    #[must_use]
    pub fn new(path: &Path, home: &Path) -> Self {
        Self { path: path.to_owned(), home: home.to_owned() }
    }

    /// Without any credentials, whatever the caller's environment holds.
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.path);
        command.args(args).stdin(Stdio::null()).env_clear();
        command.env("HOME", &self.home).env("XDG_DATA_HOME", self.home.join("share"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    }

    /// What a short run prints on stdout.
    ///
    /// # Errors
    /// When it fails, with all it said.
    pub fn run(&self, args: &[&str]) -> Result<String> {
        let ran = self.command(args).output().context("starting fleetwright")?;
        let stdout = String::from_utf8_lossy(&ran.stdout).into_owned();
        if !ran.status.success() {
            let stderr = String::from_utf8_lossy(&ran.stderr);
            bail!("fleetwright {}: {} {}", args.join(" "), stdout.trim(), stderr.trim());
        }
        Ok(stdout)
    }

    /// Starts a long run, with its output in files of the home.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, args: &[&str]) -> Result<Running> {
        let (stdout, stderr) = (self.home.join("stdout"), self.home.join("stderr"));
        let file = |path: &Path| File::create(path).with_context(|| path.display().to_string());
        let mut command = self.command(args);
        command.stdout(file(&stdout)?).stderr(file(&stderr)?);
        let child = command.spawn().with_context(|| self.path.display().to_string())?;
        Ok(Running { child, stdout, stderr })
    }
}

/// A long run; killed when dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stdout: PathBuf,
    stderr: PathBuf,
}

impl Running {
    /// Everything printed so far.
    #[must_use]
    pub fn stdout(&self) -> String {
        // Not there yet, or not whole: the caller looks again.
        fs::read_to_string(&self.stdout).unwrap_or_default()
    }

    /// The last lines of the log.
    #[must_use]
    pub fn log_tail(&self, lines: usize) -> String {
        let text = fs::read_to_string(&self.stderr).unwrap_or_default();
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Fails when the program has ended by itself.
    ///
    /// # Errors
    /// With its exit status.
    pub fn check(&mut self) -> Result<()> {
        match self.child.try_wait().context("asking after fleetwright")? {
            Some(status) => bail!("fleetwright ended by itself ({status}): {}", self.log_tail(5)),
            None => Ok(()),
        }
    }

    /// Asks it to stop, as a service manager does.
    ///
    /// # Errors
    /// When it does not end with 0 in time.
    pub fn stop(mut self) -> Result<()> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &id]).status().context("kill")?;
        if !sent.success() {
            bail!("cannot signal fleetwright ({id})");
        }
        let mut code = None;
        wait::until("fleetwright stops", STOP_LIMIT, || {
            let ended = self.child.try_wait().context("asking after fleetwright")?;
            code = ended.and_then(|status| status.code());
            Ok(if ended.is_some() { Look::Done } else { Look::Waiting("it runs".to_owned()) })
        })?;
        if code != Some(0) {
            bail!("fleetwright ended with {code:?} after SIGTERM: {}", self.log_tail(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Ended already in the usual case; then there is nothing to kill or to wait for.
        if self.child.kill().is_ok() && self.child.wait().is_err() {
            println!("    fleetwright (process {}) could not be waited for", self.child.id());
        }
    }
}
