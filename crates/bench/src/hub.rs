//! The program under measurement: started, looked at through `/proc`, ended.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// The kernel counts CPU time in hundredths of a second (USER_HZ is 100 on every Linux).
const TICK_MS: f64 = 10.0;

/// A running `fleetwright up`.
pub(crate) struct Hub {
    child: Child,
    pub(crate) client: Client,
    /// From the start of the process to the first answer over TLS.
    pub(crate) ready_after: Duration,
}

impl Hub {
    /// Starts it on the data in `folder` and waits for its API.
    pub(crate) async fn start(program: &Path, folder: &Path) -> Result<Self> {
        let began = Instant::now();
        let child = Command::new(program)
            .args(["up", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder)
            .env("FLEETWRIGHT_LOG", "error")
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        let kubeconfig = folder.join("kubeconfig");
        loop {
            if let Ok(client) = client(&kubeconfig, began).await
                && client.apiserver_version().await.is_ok()
            {
                return Ok(Self { child, client, ready_after: began.elapsed() });
            }
            if began.elapsed() > PATIENCE {
                bail!("no API after {} s; run it by hand to see why", PATIENCE.as_secs());
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    /// Resident memory, in MB of 1,000,000 bytes.
    pub(crate) fn resident_mb(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.pid()?))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        Ok(kib.context("no VmRSS")? * 1024.0 / 1e6)
    }

    /// CPU time so far, user and system, in milliseconds.
    pub(crate) fn cpu_ms(&self) -> Result<f64> {
        let text = fs::read_to_string(format!("/proc/{}/stat", self.pid()?))?;
        // The name in parentheses may hold spaces; behind it come the fields from the third on.
        let fields = text.rsplit(')').next().unwrap_or_default();
        let ticks: Vec<f64> = fields
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|word| word.parse().ok())
            .collect();
        Ok(ticks.iter().sum::<f64>() * TICK_MS)
    }

    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> Result<()> {
        self.child.kill().await.context("ending the program")
    }

    fn pid(&self) -> Result<u32> {
        self.child.id().context("the program has ended")
    }
}

/// A client from the kubeconfig that this very start wrote.
async fn client(kubeconfig: &Path, began: Instant) -> Result<Client> {
    let written = fs::metadata(kubeconfig)?.modified()?;
    if written.elapsed().unwrap_or_default() > began.elapsed() {
        bail!("that file is of an earlier start");
    }
    let read = Kubeconfig::read_from(kubeconfig)?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}
