//! Where the API comes from: the one inside `fleetwright up`, or any other.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::kubectl::Kubectl;
use crate::program::{Program, Running};
use crate::wait::{self, Look};

/// From the start of a process to its first answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// Which API server the declarations go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The one inside `fleetwright up --simulate`.
    Embedded,
    /// Any other, by its kubeconfig; `fleetwright run --simulate` works on it.
    Kubeconfig(PathBuf),
}

/// The programs and files that the scenario uses.
#[derive(Debug, Clone)]
pub struct Tools {
    /// The `fleetwright` binary.
    pub fleetwright: PathBuf,
    /// A kubectl.
    pub kubectl: PathBuf,
    /// The folder `api` of this repository: CRDs and policies.
    pub api: PathBuf,
}

/// A control plane at work.
#[derive(Debug)]
pub struct Hub {
    /// For the declarations.
    pub kubectl: Kubectl,
    /// For short runs of `fleetwright`.
    pub program: Program,
    /// `up` or `run`.
    pub running: Running,
    /// How a short run finds this hub.
    pub found_by: Vec<String>,
}

impl Hub {
    /// Brings the control plane up. `home` keeps everything it writes.
    ///
    /// # Errors
    /// When it is not up in time, with the end of its log.
    pub fn start(target: &Target, tools: &Tools, home: &Path) -> Result<Self> {
        let program = Program::new(&tools.fleetwright, home);
        let data = home.join("data");
        let data_text = text(&data)?;
        match target {
            Target::Embedded => {
                let args = ["up", "--simulate", "--listen", "127.0.0.1:0", "--data", data_text];
                let running = program.start(&args)?;
                let kubeconfig = data.join("kubeconfig");
                let kubectl = Kubectl::new(&tools.kubectl, &kubeconfig, home);
                let found_by = vec!["--data".to_owned(), data_text.to_owned()];
                let mut hub = Self { kubectl, program, running, found_by };
                hub.until_it_serves(|hub| hub.kubectl.run(&["get", "--raw", "/readyz"]).map(drop))?;
                Ok(hub)
            }
            Target::Kubeconfig(kubeconfig) => {
                let kubeconfig_text = text(kubeconfig)?;
                let kubectl = Kubectl::new(&tools.kubectl, kubeconfig, home);
                let crds = tools.api.join("crds");
                println!("{}", kubectl.run(&["apply", "-f", text(&crds)?])?.trim());
                let wait = ["wait", "--for=condition=Established", "--timeout=30s", "-f"];
                let args: Vec<&str> = wait.into_iter().chain([text(&crds)?]).collect();
                kubectl.run(&args)?;
                let args = [
                    "run",
                    "--simulate",
                    "--kubeconfig",
                    kubeconfig_text,
                    "--data",
                    data_text,
                    "--metrics-listen",
                    "127.0.0.1:0",
                ];
                let running = program.start(&args)?;
                let found_by = vec!["--kubeconfig".to_owned(), kubeconfig_text.to_owned()];
                let mut hub = Self { kubectl, program, running, found_by };
                hub.until_it_serves(|hub| {
                    let said = hub.running.stdout().contains("API server");
                    said.then_some(()).context("it has not said that it runs")
                })?;
                Ok(hub)
            }
        }
    }

    fn until_it_serves(&mut self, serves: impl Fn(&Self) -> Result<()>) -> Result<()> {
        let served = wait::until("the control plane is up", START_LIMIT, || {
            if let Err(ended) = self.running.check() {
                return Ok(Look::Waiting(format!("{ended:#}")));
            }
            Ok(match serves(self) {
                Ok(()) => Look::Done,
                Err(error) => Look::Waiting(format!("{error:#}")),
            })
        });
        served.with_context(|| self.running.log_tail(20))
    }

    /// A short run of `fleetwright` that finds this hub.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn fleetwright(&self, verb: &str, args: &[&str]) -> Result<String> {
        let found_by = self.found_by.iter().map(String::as_str);
        let all = std::iter::once(verb).chain(found_by).chain(args.iter().copied());
        self.program.run(&all.collect::<Vec<_>>())
    }
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().with_context(|| format!("{} is not UTF-8", path.display()))
}
