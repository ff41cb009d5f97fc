//! Hosts to try on: this machine's own root as a throw-away layer, in mount, PID, network, UTS and IPC namespaces of its own.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_provider_k3s::hosts::{
    Answer, Change, Ended, HostFacts, HostOp, HostWire, Next, OpError, Output, Request, WireError,
    boot_command, next, perform,
};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::{Goal, owner};

/// A running host. Ends with the test, however that ends.
pub(crate) struct Host {
    namespaces: Child,
    pid: u32,
    /// Held for its end.
    _folder: TempDir,
}

fn beside(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host").join(file)
}

/// Debian packages that this machine lacks; see `packages.sh`.
fn packages() -> Result<PathBuf, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/host");
    let got = Command::new("sh").arg(beside("packages.sh")).arg(&folder).output().expect("sh");
    if !got.status.success() {
        return Err(format!("getting sshd: {}", String::from_utf8_lossy(&got.stderr)));
    }
    Ok(folder.canonicalize().expect("the folder was made"))
}

/// Whether this machine can make hosts: it runs Linux and lets us be root in namespaces of our own. Where it cannot, a test
/// says so and ends; with `FLEETWRIGHT_HOSTS=required` it fails instead.
pub(crate) fn cannot_host() -> bool {
    let Err(why) = Host::try_boot("dash", None, |_| {}) else { return false };
    assert!(std::env::var_os("FLEETWRIGHT_HOSTS").is_none_or(|set| set != "required"), "{why}");
    eprintln!("SKIPPED, no hosts on this machine: {why}");
    true
}

impl Host {
    /// A host whose `/bin/sh` is `shell`.
    pub(crate) fn with_shell(shell: &str) -> Self {
        Self::boot(shell, None, |_| {})
    }

    /// A host with what `setup` puts into a folder that is laid over its root; it shares the network of `beside_host`.
    pub(crate) fn boot(shell: &str, near: Option<&Self>, setup: impl FnOnce(&Path)) -> Self {
        Self::try_boot(shell, near, setup).expect("a host")
    }

    fn try_boot(
        shell: &str,
        near: Option<&Self>,
        setup: impl FnOnce(&Path),
    ) -> Result<Self, String> {
        let folder = TempDir::new().expect("folder");
        let over = folder.path().join("over");
        fs::create_dir_all(over.join("usr/bin")).expect("folder");
        fs::copy(beside("systemctl"), over.join("usr/bin/systemctl")).expect("systemctl");
        setup(&over);
        let mut command = match near {
            None => {
                let mut command = Command::new("unshare");
                command.arg("--net");
                command
            }
            Some(host) => {
                let mut command = Command::new("nsenter");
                command.args(["--target", &host.pid.to_string(), "--net", "unshare"]);
                command
            }
        };
        command
            .args(["--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child=SIGKILL", "sh"])
            .arg(beside("init.sh"))
            .args([folder.path(), &packages()?, &over])
            .arg(shell);
        let mut namespaces = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| format!("unshare of util-linux: {error}"))?;
        let mut said = String::new();
        let stdout = namespaces.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut said).expect("reading");
        if said != "ready\n" {
            let output = namespaces.wait_with_output().expect("ended");
            let why = String::from_utf8_lossy(&output.stderr);
            return Err(format!("no namespaces for a host, which needs root: {why}"));
        }
        let id = namespaces.id();
        let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).expect("child");
        let pid = children.trim().parse().expect("unshare has one child");
        Ok(Self { namespaces, pid, _folder: folder })
    }

    /// Its first process, as this machine counts.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// A command that runs on the host.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--target", &self.pid.to_string()]);
        command.args(["--mount", "--pid", "--net", "--uts", "--ipc", "--root", "--wd", "--"]);
        command.arg(program);
        command
    }

    /// What a line of shell prints on the host; it must succeed.
    pub(crate) fn sh(&self, line: &str) -> String {
        let output = self.command("/bin/sh").args(["-c", line]).output().expect("nsenter");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}: {said}");
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Every file where ours may be: to compare before and after.
    pub(crate) fn tree(&self) -> BTreeSet<String> {
        let places = "/etc /usr/local/bin /opt /var/lib /run";
        let found = self.sh(&format!("find {places} -xdev -printf '%p %y %m %s\\n'"));
        let own = |line: &&str| !line.contains("/run/standin") && !line.contains("/run/sudo");
        let files = found.lines().filter(own).filter(|line| !line.contains(" d "));
        let folders = found.lines().filter(own).filter_map(|line| line.split_once(" d "));
        files.chain(folders.map(|(path, _)| path)).map(str::to_owned).collect()
    }

    /// What differs from an earlier [`Host::tree`].
    pub(crate) fn changes(&self, before: &BTreeSet<String>) -> Vec<String> {
        self.tree().symmetric_difference(before).cloned().collect()
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Both may be gone already.
        drop(self.namespaces.stdin.take());
        drop(self.namespaces.kill());
        drop(self.namespaces.wait());
    }
}

/// Runs scripts on a host as sshd would, without SSH.
pub(crate) struct Shell<'a> {
    pub(crate) host: &'a Host,
    /// Whether the shell writes down every command before it runs it.
    pub(crate) traced: bool,
    /// What it wrote down.
    pub(crate) trace: Mutex<String>,
    /// What a login shell prints first.
    pub(crate) noise: &'static str,
}

impl<'a> Shell<'a> {
    pub(crate) fn on(host: &'a Host) -> Self {
        Self { host, traced: false, trace: Mutex::default(), noise: "" }
    }

    pub(crate) async fn try_op(&self, op: &HostOp, uid: &str) -> Result<Answer, OpError> {
        perform(self, op, &owner(uid)).await
    }

    /// Does a deed that changes; whether it did.
    pub(crate) async fn done(&self, op: HostOp) -> Change {
        match self.try_op(&op, "7-a").await.expect("done") {
            Answer::Done(change) => change,
            other => panic!("{op}: {other:?}"),
        }
    }

    /// Works on the host until nothing is left to do; what was done.
    pub(crate) async fn settle(&self, goal: &Goal) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..200 {
            let facts = self.look().await;
            match next(&goal.wanted, &facts, facts.epoch_s) {
                Next::Do(step) => {
                    let op = step.op(&goal.materials).expect("a deed");
                    done.push(op.to_string());
                    self.try_op(&op, "7-a").await.expect("done");
                }
                Next::Wait => tokio::time::sleep(Duration::from_millis(20)).await,
                Next::Held(held) => {
                    done.push(format!("held: {}", held.due.join(", ")));
                    return done;
                }
                Next::Done => return done,
                other @ Next::Refused(_) => panic!("{other:?}"),
            }
        }
        panic!("it does not end: {done:?}")
    }

    /// The words of a deed that fails.
    pub(crate) async fn refused(&self, op: HostOp) -> String {
        self.try_op(&op, "7-a").await.expect_err("refused").to_string()
    }

    pub(crate) async fn look(&self) -> HostFacts {
        match self.try_op(&HostOp::ReadFacts, "7-a").await.expect("facts") {
            Answer::Facts(facts) => *facts,
            other => panic!("{other:?}"),
        }
    }
}

#[async_trait]
impl HostWire for Shell<'_> {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        let mut line = boot_command("root").to_owned();
        if self.traced {
            line = line.replace("/bin/sh -c", "/bin/sh -x -c");
        }
        let mut command = tokio::process::Command::from(self.host.command("/bin/sh"));
        command.args(["-c", &format!("printf '{}'; {line}", self.noise)]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("nsenter");
        let mut stdin = child.stdin.take().expect("piped");
        let (head, payload) = (request.head(), request.payload.bytes());
        let send = async move {
            // A script may end before it has read all.
            drop(stdin.write_all(&head).await);
            drop(stdin.write_all(&payload).await);
        };
        let ((), output) = tokio::join!(send, child.wait_with_output());
        let output = output.expect("ended");
        let status = output.status.code().and_then(|code| u32::try_from(code).ok());
        let ended = status.map_or_else(|| Ended::Signal("KILL".to_owned()), Ended::Exit);
        let trace = String::from_utf8_lossy(&output.stderr).into_owned();
        self.trace.lock().expect("lock").push_str(&trace);
        Ok(Output::new(ended, output.stdout, output.stderr))
    }
}
