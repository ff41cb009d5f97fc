//! Simulated hosts: scripts go to the simulation of this process, or over HTTP to that of another.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use fleetwright_cloudsim::{CloudSim, HostCall, HostError, HostOutput, SECRET_ACCESS_KEY};
use fleetwright_provider::{HttpOut, MemberStream};
use fleetwright_provider_k3s::hosts::{Ended, HostWire, Output, Request, WireError};
use fleetwright_provider_k3s::ssh::{Hosts, SshError, Way};
use http::header::AUTHORIZATION;
use http::{Method, Uri};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// What a host is asked to see whether it lets us in.
const KNOCK: &str = "# fleetwright deed: knock {}\n";
/// As long as a connection may take.
const KNOCKING: Duration = Duration::from_secs(15);

/// Where hosts are simulated.
#[derive(Clone)]
pub(super) enum Place {
    /// In this process.
    Here(CloudSim),
    /// Below this URL, through this way out.
    Elsewhere(HttpOut, String),
}

/// Hosts that are simulated. Whoever knows how to ask is let in: host keys and our own are not looked at.
#[derive(Clone)]
pub(super) struct SimulatedHosts {
    pub(super) place: Place,
    /// Nothing is run but looks.
    pub(super) reads_only: bool,
}

impl std::fmt::Debug for SimulatedHosts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SimulatedHosts")
            .field("reads_only", &self.reads_only)
            .finish_non_exhaustive()
    }
}

/// One of them.
struct OnHost {
    hosts: SimulatedHosts,
    host: String,
    port: u16,
}

impl Place {
    async fn run(&self, call: HostCall) -> Result<HostOutput, HostError> {
        match self {
            Self::Here(sim) => sim.on_host(call).await,
            Self::Elsewhere(http, endpoint) => {
                let host = call.host.clone();
                let asked = ask(http, endpoint, call).await;
                asked.unwrap_or_else(|why| Err(HostError::Broken(format!("{host}: {why}"))))
            }
        }
    }
}

/// One call of the simulation's controls.
async fn ask(
    http: &HttpOut,
    endpoint: &str,
    call: HostCall,
) -> Result<Result<HostOutput, HostError>, String> {
    let body = json!({
        "host": call.host,
        "port": call.port,
        "script": call.script,
        "payload": STANDARD.encode(&call.payload),
        "timeout_ms": u64::try_from(call.timeout.as_millis()).unwrap_or(u64::MAX),
    });
    let request = http::Request::post(format!("{endpoint}/_simulation/hosts"))
        .header(AUTHORIZATION, format!("Bearer {SECRET_ACCESS_KEY}"))
        .body(Bytes::from(body.to_string()))
        .map_err(|error| error.to_string())?;
    let response = http.clone().oneshot(request).await.map_err(|error| error.to_string())?;
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    if !response.status().is_success() {
        return Err(answer["message"].as_str().unwrap_or("no reason given").to_owned());
    }
    if let Some(failed) = answer.get("failed") {
        return serde_json::from_value(failed.clone()).map(Err).map_err(|error| error.to_string());
    }
    let text = |key: &str| {
        let encoded = answer[key].as_str().unwrap_or_default();
        STANDARD.decode(encoded).map_err(|error| error.to_string())
    };
    let status = answer["status"].as_u64().and_then(|status| u32::try_from(status).ok());
    let status = status.ok_or("no exit status")?;
    Ok(Ok(HostOutput { status, stdout: text("stdout")?, stderr: text("stderr")? }))
}

#[async_trait]
impl Hosts for SimulatedHosts {
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError> {
        let target = way.route.target();
        let (host, port) = (target.host().to_owned(), target.port());
        let call = HostCall {
            host: host.clone(),
            port,
            script: KNOCK.to_owned(),
            payload: Bytes::new(),
            timeout: KNOCKING,
        };
        let hop = target.to_string();
        let unreachable = |hop: String, source: io::Error| SshError::Unreachable { hop, source };
        match self.place.run(call).await {
            Ok(_) => Ok(Arc::new(OnHost { hosts: self.clone(), host, port })),
            Err(HostError::Refused(_)) => Err(SshError::KeyRefused {
                hop,
                user: target.user().to_owned(),
                key: way.identity.fingerprint(),
                methods: "publickey".to_owned(),
            }),
            Err(HostError::TimedOut(_)) => {
                Err(SshError::TimedOut { hop, what: "the handshake", after: KNOCKING })
            }
            Err(HostError::Away(_)) => Err(unreachable(hop, io::ErrorKind::HostUnreachable.into())),
            Err(error) => Err(unreachable(hop, io::Error::other(error.to_string()))),
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
            reason: "simulated hosts carry no streams: the simulation reaches members by itself"
                .to_owned(),
        })
    }
}

#[async_trait]
impl HostWire for OnHost {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        let host = self.host.clone();
        if self.hosts.reads_only && !changes_nothing(&request.script) {
            let why = "this command only reads".to_owned();
            return Err(WireError::Refused { host, why });
        }
        let call = HostCall {
            host: host.clone(),
            port: self.port,
            script: request.script.clone(),
            payload: request.payload.bytes(),
            timeout: request.timeout,
        };
        match self.hosts.place.run(call).await {
            Ok(done) => Ok(Output::new(Ended::Exit(done.status), done.stdout, done.stderr)),
            Err(HostError::TimedOut(_)) => {
                Err(WireError::TimedOut { host, after: request.timeout })
            }
            Err(HostError::Refused(why)) => Err(WireError::Refused { host, why }),
            Err(error) => Err(WireError::Lost { host, why: error.to_string() }),
        }
    }
}

/// Releases of K3s through the simulation of another process, whichever server a request names.
pub(super) fn releases(http: HttpOut, endpoint: String) -> HttpOut {
    tower::util::BoxCloneSyncService::new(tower::service_fn(
        move |mut request: http::Request<Bytes>| {
            let (http, endpoint) = (http.clone(), endpoint.clone());
            async move {
                let path = request.uri().path();
                let refused = |error: http::uri::InvalidUri| {
                    fleetwright_provider::HttpOutError::Forbidden(error.to_string())
                };
                let uri: Uri = format!("{endpoint}/releases{path}").parse().map_err(refused)?;
                if request.method() != Method::GET && request.method() != Method::HEAD {
                    let why = format!("{} {uri}: releases are only read", request.method());
                    return Err(fleetwright_provider::HttpOutError::Forbidden(why));
                }
                *request.uri_mut() = uri;
                http.oneshot(request).await
            }
        },
    ))
}

/// Looks, and the token for a look at the member, which is kept nowhere.
fn changes_nothing(script: &str) -> bool {
    let deed = script.strip_prefix("# fleetwright deed: ").unwrap_or_default();
    deed.starts_with("read-") || deed.starts_with("mint-token ")
}
