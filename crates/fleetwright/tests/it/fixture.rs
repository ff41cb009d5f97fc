//! A user with an empty home, and what the simulated cloud holds behind his back.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_apiserver::{ApiServer, RedbStore};
use fleetwright_clock::{RandomIds, SystemClock};
use fleetwright_cloudsim::{CloudSim, Latencies, Settings, SimCluster};
use tempfile::TempDir;

/// Longer than anything here takes on a slow machine.
const LIMIT: Duration = Duration::from_secs(90);
/// Between two looks.
const PAUSE: Duration = Duration::from_millis(100);

/// A user's home folder, removed with this value.
pub(crate) struct User {
    home: TempDir,
}

impl User {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().expect("temporary folder") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// A file of this user's.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        std::fs::write(self.path(name), text).expect("written");
        self.path(name).to_str().expect("UTF-8").to_owned()
    }

    /// The data folder that `up --simulate` uses when nobody names one.
    pub(crate) fn data(&self) -> PathBuf {
        self.path("share/fleetwright/simulated")
    }

    /// The program, without any credentials in its environment.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_fleetwright"));
        command.args(args).stdin(Stdio::null()).env_clear();
        command.env("HOME", self.home.path()).env("XDG_DATA_HOME", self.path("share"));
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&mut self.command(args))
    }

    /// `up --simulate` on a free port, with the output in files.
    pub(crate) fn start(&self, more: &[&str]) -> Running {
        let mut args = vec!["up", "--simulate", "--listen", "127.0.0.1:0"];
        args.extend(more);
        self.start_as(&args)
    }

    /// The program with the output in files.
    pub(crate) fn start_as(&self, args: &[&str]) -> Running {
        let output = |name| std::fs::File::create(self.path(name)).expect("created");
        let mut command = self.command(args);
        command.stdout(output("stdout")).stderr(output("stderr"));
        Running { child: command.spawn().expect("the program starts"), stdout: self.path("stdout") }
    }

    /// What the simulated cloud holds. The hub must not run.
    pub(crate) fn inventory(&self) -> Vec<SimCluster> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async {
            let store =
                RedbStore::open(self.data().join("store.redb")).expect("nobody else has it open");
            let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds::seeded(1)));
            let api =
                ApiServer::open(Arc::new(store), clock.clone(), ids.clone()).await.expect("opened");
            let settings = Settings {
                latencies: Latencies::default(),
                public_url: "https://localhost".to_owned(),
                ca_pem: String::new(),
            };
            let sim = CloudSim::open(api, clock, ids, settings).await.expect("opened");
            sim.inventory().await
        })
    }
}

/// A program that has ended.
pub(crate) struct Ran(Output);

impl Ran {
    /// Runs it to its end.
    pub(crate) fn of(command: &mut Command) -> Self {
        Self(command.output().expect("the program runs"))
    }

    pub(crate) fn code(&self) -> Option<i32> {
        self.0.status.code()
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    /// Fails with the whole output when the code is another.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(
            self.code(),
            Some(code),
            "stdout:\n{}\nstderr:\n{}",
            self.stdout(),
            self.stderr()
        );
        self
    }
}

/// A program that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: PathBuf,
}

impl Running {
    pub(crate) fn stdout(&self) -> String {
        std::fs::read_to_string(&self.stdout).expect("readable")
    }

    /// Waits for a text on stdout.
    #[track_caller]
    pub(crate) fn until_it_says(&self, text: &str) {
        until(&format!("{text:?} on stdout"), || self.stdout().contains(text));
    }

    /// As by `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }

    /// Sends a signal and waits for the end.
    pub(crate) fn signal(mut self, name: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill").args([&format!("-{name}"), &id]).status().expect("kill").success()
        );
        self.child.wait().expect("ended").code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Already ended in the usual case; then there is nothing to kill.
        if self.child.kill().is_ok() {
            self.child.wait().expect("ended");
        }
    }
}

/// Looks until `done`, and fails after [`LIMIT`].
#[track_caller]
pub(crate) fn until(what: &str, mut done: impl FnMut() -> bool) {
    let tries = LIMIT.as_millis() / PAUSE.as_millis();
    let in_time = (0..tries).any(|_| {
        let is_done = done();
        if !is_done {
            pause(PAUSE);
        }
        is_done
    });
    assert!(in_time, "not in {LIMIT:?}: {what}");
}

#[allow(clippy::disallowed_methods, reason = "another process is waited for, in real time")]
pub(crate) fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// The fleet of the README.
pub(crate) fn example() -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/fleet");
    folder.canonicalize().expect("there").to_str().expect("UTF-8").to_owned()
}

/// The text of one of its files.
pub(crate) fn example_text(name: &str) -> String {
    std::fs::read_to_string(Path::new(&example()).join(name)).expect("there")
}
