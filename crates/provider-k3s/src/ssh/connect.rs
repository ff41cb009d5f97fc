//! From a route to a connection: over every jump host, each of them judged by its key before it hears anything of ours.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::Clock;
use russh::client::{self, AuthResult, Handle};
use russh::{Disconnect, Preferred};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::error::{Handshake, SshError};
use super::identity::Identity;
use super::route::{Hop, Route};
use super::session::SshHost;
use super::trust::HostKeys;
use super::watcher::Watcher;

/// Patience and bounds of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SshLimits {
    /// For each server on the way: TCP, key exchange and authentication together.
    pub connect_timeout: Duration,
    /// After how much silence we ask whether the other side is there; three unanswered questions end the connection.
    pub keepalive: Duration,
    /// Most bytes that a script may print, standard output and standard error each.
    pub most_output_bytes: usize,
}

impl Default for SshLimits {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(20),
            keepalive: Duration::from_secs(10),
            most_output_bytes: 1 << 20,
        }
    }
}

/// One server on the way, once we are in.
pub(super) type Server = Handle<Watcher>;

/// Walks the route. `clock` tells whether certificates are valid now. Host names are resolved by whoever connects: by us for the
/// first server, by each jump host for the next.
///
/// # Errors
/// [`SshError`] with the server on the way that it happened at; nothing was sent to servers behind that one.
pub async fn connect(
    route: &Route,
    trust: &HostKeys,
    identity: &Identity,
    limits: SshLimits,
    clock: &dyn Clock,
) -> Result<SshHost, SshError> {
    let dialer = Dialer { trust, identity, limits, clock };
    let mut passed: Vec<(Hop, Server)> = Vec::new();
    for hop in route.hops() {
        let entered = dialer.within(hop, "connecting", dialer.enter(hop, passed.last())).await?;
        passed.push((hop.clone(), entered));
    }
    // The route has a target, so the last one is it.
    let Some((hop, server)) = passed.pop() else {
        return Err(SshError::Broken {
            hop: route.target().to_string(),
            source: russh::Error::Disconnect,
        });
    };
    let jumps = passed.into_iter().map(|(_, server)| server).collect();
    Ok(SshHost::new(&hop, server, jumps, limits))
}

struct Dialer<'a> {
    trust: &'a HostKeys,
    identity: &'a Identity,
    limits: SshLimits,
    clock: &'a dyn Clock,
}

impl Dialer<'_> {
    async fn within<T>(
        &self,
        hop: &Hop,
        what: &'static str,
        doing: impl Future<Output = Result<T, SshError>>,
    ) -> Result<T, SshError> {
        let after = self.limits.connect_timeout;
        match timeout(after, doing).await {
            Ok(done) => done,
            Err(_elapsed) => Err(SshError::TimedOut { hop: hop.to_string(), what, after }),
        }
    }

    async fn enter(&self, hop: &Hop, before: Option<&(Hop, Server)>) -> Result<Server, SshError> {
        let mut server = match before {
            None => self.shake(hop, self.dial(hop).await?).await?,
            Some((jump, through)) => {
                let asked = through.channel_open_direct_tcpip(
                    hop.host(),
                    u32::from(hop.port()),
                    // Where the connection comes from is for the jump host's log only.
                    "127.0.0.1",
                    0,
                );
                let channel = asked.await.map_err(|error| SshError::JumpRefused {
                    hop: jump.to_string(),
                    next: hop.to_string(),
                    reason: error.to_string(),
                })?;
                self.shake(hop, channel.into_stream()).await?
            }
        };
        self.authenticate(hop, &mut server).await?;
        Ok(server)
    }

    async fn dial(&self, hop: &Hop) -> Result<TcpStream, SshError> {
        let unreachable = |source| SshError::Unreachable { hop: hop.to_string(), source };
        let stream = TcpStream::connect((hop.host(), hop.port())).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        Ok(stream)
    }

    async fn shake<S>(&self, hop: &Hop, stream: S) -> Result<Server, SshError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let config = client::Config {
            keepalive_interval: Some(self.limits.keepalive),
            keepalive_max: 3,
            preferred: Preferred {
                key: self.trust.algorithms(hop).into(),
                host_key_certificates: self.trust.certificate_algorithms(hop).into(),
                ..Preferred::DEFAULT
            },
            ..client::Config::default()
        };
        let now = u64::try_from(self.clock.now().as_second()).unwrap_or_default();
        let watcher = Watcher::new(self.trust.clone(), hop.clone(), now);
        client::connect_stream(Arc::new(config), stream, watcher).await.map_err(|error| {
            let hop = hop.to_string();
            match error {
                Handshake::Protocol(source) => SshError::Broken { hop, source },
                Handshake::Untrusted(problem) => SshError::HostKey { hop, problem },
            }
        })
    }

    async fn authenticate(&self, hop: &Hop, server: &mut Server) -> Result<(), SshError> {
        let asked = server.authenticate_publickey(hop.user(), self.identity.signer()).await;
        match asked {
            Ok(AuthResult::Success) => Ok(()),
            Ok(AuthResult::Failure { remaining_methods, .. }) => {
                let methods: Vec<&str> = remaining_methods.iter().map(Into::into).collect();
                Err(SshError::KeyRefused {
                    hop: hop.to_string(),
                    user: hop.user().to_owned(),
                    key: self.identity.fingerprint(),
                    methods: if methods.is_empty() {
                        "nothing else".to_owned()
                    } else {
                        methods.join(", ")
                    },
                })
            }
            Err(source) => Err(SshError::Broken { hop: hop.to_string(), source }),
        }
    }
}

/// Ends all connections of a route, the innermost first. A side that is gone already is left.
pub(super) async fn hang_up(servers: impl DoubleEndedIterator<Item = &Server>) {
    for server in servers.rev() {
        if let Err(error) = server.disconnect(Disconnect::ByApplication, "done", "en").await {
            tracing::debug!(%error, "an SSH connection was gone before we hung up");
        }
    }
}
