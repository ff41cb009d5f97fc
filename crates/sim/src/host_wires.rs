//! The wires between hub and hosts, where connections get lost, and the ears on them that listen for secrets.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_cloudsim::{CloudSim, HostCall, HostError, SSH_PRIVATE_KEY};
use fleetwright_provider::MemberStream;
use fleetwright_provider_k3s::hosts::{Ended, HostWire, Output, Request, WireError};
use fleetwright_provider_k3s::ssh::{Hosts, SshError, Way};

use crate::faults::{Fate, Faults};
use crate::wires::begin;

/// How long somebody waits for an answer that does not come.
const SILENCE: Duration = Duration::from_secs(15);
/// A script that has begun ends within so many seconds after its connection is gone.
const LINGERS: usize = 8;
/// Deeds whose answer is a secret.
const SECRET: [&str; 2] = ["read-token", "mint-token"];

/// All hosts of the world, through wires.
#[derive(Clone)]
pub struct HostWires {
    cloud: CloudSim,
    faults: Arc<Faults>,
    ears: Arc<Mutex<Ears>>,
}

/// What was heard.
#[derive(Debug, Default)]
struct Ears {
    /// Texts that must be heard nowhere but where they belong.
    secrets: BTreeSet<String>,
    leaks: Vec<String>,
}

impl std::fmt::Debug for HostWires {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HostWires").finish_non_exhaustive()
    }
}

impl HostWires {
    /// Wires to the hosts of `cloud`.
    #[must_use]
    pub fn new(cloud: CloudSim, faults: Arc<Faults>) -> Self {
        let key = SSH_PRIVATE_KEY.lines().nth(2).unwrap_or_default().to_owned();
        let ears = Ears { secrets: BTreeSet::from([key]), leaks: Vec::new() };
        Self { cloud, faults, ears: Arc::new(Mutex::new(ears)) }
    }

    /// What was told where it must not be, since the last time somebody asked.
    #[must_use]
    pub fn leaks(&self) -> Vec<String> {
        std::mem::take(&mut self.ears.lock().unwrap_or_else(PoisonError::into_inner).leaks)
    }

    /// Whether a text that anybody may read holds a secret.
    #[must_use]
    pub fn tells(&self, text: &str) -> bool {
        let ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
        ears.secrets.iter().any(|secret| text.contains(secret))
    }

    fn hear(&self, what: &str, deed: &str, script: &str, printed: &str) {
        if SECRET.contains(&deed) {
            let line = printed.lines().find_map(|line| line.strip_prefix("fw1 token="));
            if let Some(line) = line {
                let password = line.rsplit("::server:").next().unwrap_or(line);
                let mut ears = self.ears.lock().unwrap_or_else(PoisonError::into_inner);
                ears.secrets.insert(password.to_owned());
            }
        } else if self.tells(printed) {
            self.leak(format!("{what} printed a secret"));
        }
        if self.tells(script) {
            self.leak(format!("the script of {what} holds a secret"));
        }
    }

    fn leak(&self, what: String) {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner).leaks.push(what);
    }

    async fn run(&self, call: HostCall, deed: &str) -> Result<Output, HostError> {
        let script = call.script.clone();
        let what = format!("host {} {deed}", call.host);
        let done = self.cloud.on_host(call).await?;
        self.hear(&what, deed, &script, &String::from_utf8_lossy(&done.stdout));
        self.faults.note(format!("  {what} -> {}", done.status));
        Ok(Output::new(Ended::Exit(done.status), done.stdout, done.stderr))
    }
}

#[async_trait]
impl Hosts for HostWires {
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError> {
        let target = way.route.target();
        let (host, port, hop) = (target.host().to_owned(), target.port(), target.to_string());
        let refused =
            |kind: io::ErrorKind| SshError::Unreachable { hop: hop.clone(), source: kind.into() };
        match begin(&self.faults, &format!("host {host} reach")).await {
            Fate::NotSent | Fate::Throttled | Fate::Broken => {
                return Err(refused(io::ErrorKind::ConnectionRefused));
            }
            Fate::LostOnTheWay | Fate::LateEffect => {
                tokio::time::sleep(SILENCE).await;
                return Err(SshError::TimedOut { hop, what: "the handshake", after: SILENCE });
            }
            Fate::CrashBefore | Fate::CrashAfter | Fate::LostAnswer | Fate::Works => {}
        }
        let call = HostCall {
            host: host.clone(),
            port,
            script: "# fleetwright deed: knock {}\n".to_owned(),
            payload: bytes::Bytes::new(),
            timeout: SILENCE,
        };
        match self.run(call, "knock").await {
            Ok(_) => Ok(Arc::new(OneHost { wires: self.clone(), host, port })),
            Err(_) => Err(refused(io::ErrorKind::HostUnreachable)),
        }
    }

    async fn dial(
        &self,
        way: &Way,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn MemberStream>, SshError> {
        Err(SshError::JumpRefused {
            hop: way.route.target().to_string(),
            next: format!("{host}:{port}"),
            reason: "nobody dials in simulation".to_owned(),
        })
    }
}

struct OneHost {
    wires: HostWires,
    host: String,
    port: u16,
}

#[async_trait]
impl HostWire for OneHost {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        let HostWires { faults, .. } = &self.wires;
        let host = self.host.clone();
        let mut words = request.script.lines().next().unwrap_or_default().split_ascii_whitespace();
        let deed = words.nth(3).unwrap_or_default().to_owned();
        let call = HostCall {
            host: host.clone(),
            port: self.port,
            script: request.script.clone(),
            payload: request.payload.bytes(),
            timeout: request.timeout,
        };
        let lost = |why: &str| WireError::Lost { host: self.host.clone(), why: why.to_owned() };
        let fate = begin(faults, &format!("host {host} {deed}")).await;
        match fate {
            Fate::NotSent | Fate::Broken => return Err(lost("simulated: broken pipe")),
            Fate::LostOnTheWay => {
                tokio::time::sleep(SILENCE).await;
                return Err(WireError::TimedOut { host, after: SILENCE });
            }
            // It has arrived, and runs on while nobody hears of it.
            Fate::LateEffect => {
                tokio::spawn(run_on(self.wires.clone(), call, deed));
                return Err(lost("simulated: the connection was cut in the middle"));
            }
            Fate::Throttled => {
                let why = "simulated: too many sessions".to_owned();
                return Err(WireError::Refused { host, why });
            }
            Fate::CrashBefore | Fate::CrashAfter | Fate::LostAnswer | Fate::Works => {}
        }
        let done = self.wires.run(call, &deed).await;
        if fate == Fate::CrashAfter || faults.is_dead() {
            faults.crash_here().await;
        }
        if fate == Fate::LostAnswer {
            return Err(lost("simulated: the answer was cut off"));
        }
        done.map_err(|error| match error {
            HostError::TimedOut(_) => WireError::TimedOut { host, after: request.timeout },
            HostError::Refused(why) => WireError::Refused { host, why },
            error => lost(&error.to_string()),
        })
    }
}

async fn run_on(wires: HostWires, call: HostCall, deed: String) {
    let seconds = u64::try_from(wires.faults.dice().below(LINGERS)).unwrap_or(1);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    // Nobody is there to hear how it ended.
    drop(wires.run(call, &deed).await);
}
