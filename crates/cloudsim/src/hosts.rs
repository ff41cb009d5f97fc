//! Hosts that K3s runs on: state machines that answer the scripts of Fleetwright's deeds, as if over SSH.
//!
//! Any address is a host: nobody declares them. One that nothing was done to is a bare Debian machine, and is not remembered;
//! names that end with `.away.example` never answer. A script is not run: its first line says what it would do
//! (`deed.rs`), and that is done to the record (`deeds.rs`, `cluster.rs`), with the words that the script would print.
//! K3s takes its time to come up, founds and joins clusters with a quorum (`service.rs`), and each cluster is a member
//! (`member.rs`). As in the clouds, nothing runs in the background.

mod certificate;
mod cluster;
mod config;
mod deed;
mod deeds;
mod drift;
mod facts;
mod inventory;
mod member;
mod mount;
mod releases;
mod service;
mod state;
mod tokens;

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use self::inventory::{SimHost, SimSite};
pub(crate) use self::releases::answer as releases;
pub(crate) use self::service::host_of;
pub(crate) use self::state::{HostKey, SiteKey};

use self::deed::{Deed, Fail};
use self::service::Scene;
use self::state::{Host, Role};
use crate::faults::{Fault, FaultKind, KNOCK, Nature, Subject};
use crate::{SettleError, Shared};

/// Names that end so belong to hosts that are switched off.
const AWAY: &str = ".away.example";
/// How long a connection is tried, in virtual time, before a host counts as out of reach.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a drain takes that nothing keeps.
const DRAIN: Duration = Duration::from_secs(3);

/// A script for a host.
#[derive(Clone)]
pub struct HostCall {
    /// Its address, as the last hop of the way there.
    pub host: String,
    /// Its SSH port.
    pub port: u16,
    /// The script.
    pub script: String,
    /// What the script reads.
    pub payload: Bytes,
    /// How long the caller waits.
    pub timeout: Duration,
}

impl std::fmt::Debug for HostCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Neither script nor payload: the one is long, and the other may be a secret.
        f.debug_struct("HostCall").field("host", &self.host).finish_non_exhaustive()
    }
}

/// What a script came to.
#[derive(Clone, PartialEq, Eq)]
pub struct HostOutput {
    /// Its exit status.
    pub status: u32,
    /// What it printed; may hold a secret.
    pub stdout: Vec<u8>,
    /// What it complained about.
    pub stderr: Vec<u8>,
}

impl std::fmt::Debug for HostOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostOutput").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Why a script's end was not seen.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum HostError {
    /// Nobody answers there.
    #[error("no route to {0}")]
    Away(String),
    /// The host lets nobody in.
    #[error("{0} refuses the key")]
    Refused(String),
    /// The connection ended; the script may have run.
    #[error("the connection to {0} was cut")]
    Lost(String),
    /// The caller waited long enough; the script may have run.
    #[error("{0} did not answer in time")]
    TimedOut(String),
    /// The simulation itself is broken.
    #[error("the simulated hosts fail: {0}")]
    Broken(String),
}

impl Shared {
    /// Runs a script on a host.
    pub(crate) async fn on_host(&self, call: &HostCall) -> Result<HostOutput, HostError> {
        let key = HostKey::new(&call.host, call.port);
        let name = key.as_str().to_owned();
        if key.address().ends_with(AWAY) {
            tokio::time::sleep(PATIENCE).await;
            return Err(HostError::Away(name));
        }
        let Some(deed) = Deed::read(&call.script) else {
            return Ok(output(127, "", "the simulation runs scripts of Fleetwright only\n"));
        };
        let broken = |error: SettleError| HostError::Broken(error.in_full());
        let asked = Asked { call, deed: &deed, key: &key };
        let (verdict, faults) = self.met(&asked).await.map_err(broken)?;
        match verdict.refused {
            Some(FaultKind::Cut { halfway: true }) => {
                self.half_done(&asked, &faults).await.map_err(broken)?;
                return Err(HostError::Lost(name));
            }
            Some(FaultKind::Away) => {
                tokio::time::sleep(PATIENCE).await;
                return Err(HostError::Away(name));
            }
            Some(FaultKind::Denied | FaultKind::ExpiredCredentials) => {
                return Err(HostError::Refused(name));
            }
            Some(_) => return Err(HostError::Lost(name)),
            None => {}
        }
        if deed.name == KNOCK {
            return self.knocked(&key).await.map_err(broken)?;
        }
        self.carried(&asked).await.map_err(broken)??;
        let done = self.done(&asked, &faults).await.map_err(broken)?;
        let Some((said, wait)) = done else {
            tokio::time::sleep(PATIENCE).await;
            return Err(HostError::Away(name));
        };
        if !wait.is_zero() {
            tokio::time::sleep(wait.min(call.timeout)).await;
        }
        if verdict.lost {
            return Err(HostError::Lost(name));
        }
        Ok(printed(&said))
    }

    /// Counts a call and lets it meet the faults that wait for it.
    async fn met(
        &self,
        asked: &Asked<'_>,
    ) -> Result<(crate::faults::Verdict, Vec<Fault>), SettleError> {
        let reads = asked.deed.name.starts_with("read-") || asked.deed.name == KNOCK;
        let (object, node) = self.named(asked).await?;
        let subject = Subject {
            operation: &asked.deed.name,
            nature: if reads { Nature::Reads } else { Nature::Other },
            cluster: object.as_deref(),
            short_cluster: object.as_deref().and_then(|object| object.split('/').nth(1)),
            pool: Some(asked.key.as_str()),
            declared_pool: node.as_deref(),
            on_host: true,
        };
        let verdict = self.judged(&subject).await?;
        let faults = self.ledger.simulation().await?.faults;
        let here = faults.into_iter().filter(|fault| fault.is_about(&subject));
        Ok((verdict, here.collect()))
    }

    /// The object that a host belongs to by its marker, and the name of its node.
    async fn named(
        &self,
        asked: &Asked<'_>,
    ) -> Result<(Option<String>, Option<String>), SettleError> {
        let host = self.ledger.one(asked.key).await?;
        let marker = host.as_ref().and_then(|host| host.marker.clone());
        let marker = marker.or_else(|| asked.deed.ours.clone()).unwrap_or_default();
        let object = marker.lines().find_map(|line| line.strip_prefix("object "));
        Ok((object.map(str::to_owned), host.map(|host| host.node_name())))
    }

    /// Whether a host lets anybody in.
    async fn knocked(&self, key: &HostKey) -> Result<Result<HostOutput, HostError>, SettleError> {
        let host = self.ledger.one(key).await?;
        let now = self.clock.now();
        let coming = |host: &Host| host.back_at.is_some_and(|at| at > now);
        if host.is_some_and(|host| host.away || coming(&host)) {
            tokio::time::sleep(PATIENCE).await;
            return Ok(Err(HostError::Away(key.as_str().to_owned())));
        }
        Ok(Ok(printed(&Ok(Vec::new()))))
    }

    /// Lets what the script reads arrive, as fast as the host's line carries it.
    async fn carried(&self, asked: &Asked<'_>) -> Result<Result<(), HostError>, SettleError> {
        let host = self.ledger.one(asked.key).await?;
        let Some(rate) = host.and_then(|host| host.line) else { return Ok(Ok(())) };
        let takes = Duration::from_millis(asked.call.payload.len() as u64 * 1000 / rate.max(1));
        if takes > asked.call.timeout {
            tokio::time::sleep(asked.call.timeout).await;
            return Ok(Err(HostError::TimedOut(asked.key.as_str().to_owned())));
        }
        tokio::time::sleep(takes).await;
        Ok(Ok(()))
    }

    /// Does a deed; `None`: nobody is there.
    async fn done(
        &self,
        asked: &Asked<'_>,
        faults: &[Fault],
    ) -> Result<Option<(Result<Vec<String>, Fail>, Duration)>, SettleError> {
        let _turn = self.turn.lock().await;
        let before = self.scene(asked.key, faults).await?;
        let mut scene = before.clone();
        scene.settle();
        if scene.host.away || scene.host.back_at.is_some() {
            self.keep(&before, &scene).await?;
            return Ok(None);
        }
        let full = faults.iter().any(|fault| fault.kind == FaultKind::DiskFull);
        let room = scene.host.free_kib;
        if full {
            scene.host.free_kib = 0;
        }
        let said = scene.perform(asked.deed, &asked.call.payload);
        if full {
            scene.host.free_kib = room;
        }
        self.keep(&before, &scene).await?;
        let wait = match (asked.deed.name.as_str(), &said) {
            ("drain", Ok(lines)) if lines.iter().any(|line| line == "drained=no") => {
                Duration::from_secs(asked.deed.number("timeout_s").unwrap_or_default())
            }
            ("drain", Ok(_)) => DRAIN,
            _ => Duration::ZERO,
        };
        Ok(Some((said, wait)))
    }

    /// Does half of a deed: the connection was cut in the middle.
    async fn half_done(&self, asked: &Asked<'_>, faults: &[Fault]) -> Result<(), SettleError> {
        let _turn = self.turn.lock().await;
        let before = self.scene(asked.key, faults).await?;
        let mut scene = before.clone();
        scene.settle();
        if scene.host.away || scene.host.back_at.is_some() {
            return Ok(());
        }
        match asked.deed.name.as_str() {
            // Half of the bytes are there.
            "put-part" => {
                let half = asked.call.payload.len() / 2;
                drop(scene.perform(asked.deed, asked.call.payload.get(..half).unwrap_or_default()));
            }
            // Stopped, and not yet removed; only what is ours.
            "uninstall" if scene.host.marker == asked.deed.ours => {
                for role in Role::ALL {
                    scene.end(role, scene.now);
                }
                scene.host.enabled.clear();
            }
            _ => {}
        }
        self.keep(&before, &scene).await
    }

    /// A host, as it is, with all clusters.
    async fn scene(&self, key: &HostKey, faults: &[Fault]) -> Result<Scene, SettleError> {
        let host = self.ledger.one(key).await?;
        let sites = self.ledger.all::<SiteKey>().await?;
        Ok(Scene {
            now: self.clock.now(),
            host: host.unwrap_or_else(|| Host::bare(key.clone())),
            sites: sites.into_iter().map(|site| (site.key.clone(), site)).collect(),
            ca: self.settings.ca_pem.clone(),
            start: self.settings.latencies.host_start,
            crashing: faults.iter().any(|fault| fault.kind == FaultKind::Crashes),
        })
    }

    /// Stores what has changed, and lets members follow. Nobody abandons this half way: see `CloudSim::on_host`.
    async fn keep(&self, before: &Scene, now: &Scene) -> Result<(), SettleError> {
        for (key, site) in &now.sites {
            let mut site = site.clone();
            self.follow_site(&mut site, now.now).await?;
            if site.holders().next().is_none() {
                if site.made {
                    self.members.detach(key.0.clone()).await?;
                }
                self.ledger.forget(key).await?;
            } else if before.sites.get(key) != Some(&site) {
                self.ledger.save(key, &site).await?;
            }
        }
        if before.host == now.host {
            return Ok(());
        }
        if now.host.is_bare() {
            self.ledger.forget(&now.host.key).await
        } else {
            self.ledger.save(&now.host.key, &now.host).await
        }
    }

    /// Makes what is due on every host and in every cluster.
    pub(crate) async fn settle_hosts(&self) -> Result<(), SettleError> {
        let faults = self.ledger.simulation().await?.faults;
        for host in self.ledger.all::<HostKey>().await? {
            let subject =
                Subject { pool: Some(host.key.as_str()), on_host: true, ..Subject::default() };
            let here = faults.iter().filter(|fault| fault.is_about(&subject)).cloned();
            let before = self.scene(&host.key, &here.collect::<Vec<_>>()).await?;
            let mut scene = before.clone();
            scene.settle();
            self.keep(&before, &scene).await?;
        }
        Ok(())
    }
}

/// One call, read.
struct Asked<'a> {
    call: &'a HostCall,
    deed: &'a Deed,
    key: &'a HostKey,
}

/// What a script prints: its lines between the first and the last of all scripts, or why not.
fn printed(said: &Result<Vec<String>, Fail>) -> HostOutput {
    let mut text = "\nfw1 begin=ok\n".to_owned();
    match said {
        Ok(lines) => {
            for line in lines {
                text.push_str(&format!("fw1 {line}\n"));
            }
            text.push_str("fw1 end=ok\n");
            output(0, &text, "")
        }
        Err(Fail { code, said }) => {
            text.push_str(&format!("fw1 error={code} {said}\n"));
            output(3, &text, "")
        }
    }
}

fn output(status: u32, stdout: &str, stderr: &str) -> HostOutput {
    HostOutput { status, stdout: stdout.into(), stderr: stderr.into() }
}
