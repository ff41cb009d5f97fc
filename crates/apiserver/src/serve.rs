//! TLS and HTTP over sockets. Everything behind it is a service that knows of neither.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use crate::authority::named_by;
use crate::router::Router;

/// Before accepting again when the process has no file left.
const FILES_PAUSE: Duration = Duration::from_millis(100);

/// What one server takes on.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at a time; further ones wait to be accepted.
    pub max_connections: usize,
    /// From the accepted connection to the end of the TLS handshake.
    pub handshake_ms: u64,
    /// For the header of a request to arrive.
    pub header_read_ms: u64,
    /// From the shutdown to the end of what is still being answered; watches end then.
    pub drain_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 1024,
            handshake_ms: 10_000,
            header_read_ms: 30_000,
            drain_ms: 2_000,
        }
    }
}

/// Serving ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listening socket is unusable.
    #[error("cannot accept connections")]
    Accept(#[source] io::Error),
}

/// [`serve_with`] the default [`Limits`].
///
/// # Errors
/// When the listening socket breaks.
pub async fn serve(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    serve_with(listener, tls, router, Limits::default(), shutdown).await
}

/// Answers connections until `shutdown`, then finishes what is under way within
/// [`Limits::drain_ms`]. A connection that fails harms no other.
///
/// # Errors
/// When the listening socket breaks.
pub async fn serve_with(
    listener: TcpListener,
    tls: Arc<ServerConfig>,
    router: Router,
    limits: Limits,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let acceptor = TlsAcceptor::from(tls);
    let room = Arc::new(Semaphore::new(limits.max_connections));
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = async {
            // Never closed, so the only error cannot happen; `None` would just mean no limit.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            (permit, listener.accept().await)
        };
        let (permit, accepted) = tokio::select! {
            biased;
            () = &mut shutdown => break,
            Some(_finished) = connections.join_next() => continue,
            accepted = accepted => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) if concerns_one_connection(&error) => continue,
            Err(error) if out_of_files(&error) => {
                tracing::warn!(%error, "no file left for a new connection");
                sleep(FILES_PAUSE).await;
                continue;
            }
            Err(error) => return Err(ServeError::Accept(error)),
        };
        let connection = Connection {
            acceptor: acceptor.clone(),
            router: router.clone(),
            limits,
            watcher: graceful.watcher(),
        };
        connections.spawn(async move {
            connection.run(stream).await;
            drop(permit);
        });
    }
    drop(listener);
    if timeout(Duration::from_millis(limits.drain_ms), graceful.shutdown()).await.is_err() {
        tracing::debug!(open = connections.len(), "connections cut at shutdown");
    }
    connections.shutdown().await;
    Ok(())
}

struct Connection {
    acceptor: TlsAcceptor,
    router: Router,
    limits: Limits,
    watcher: hyper_util::server::graceful::Watcher,
}

impl Connection {
    async fn run(self, stream: TcpStream) {
        let Self { acceptor, router, limits, watcher } = self;
        // Small answers must not wait for more: watches are made of them.
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "TCP_NODELAY refused");
        }
        let handshake = Duration::from_millis(limits.handshake_ms);
        let stream = match timeout(handshake, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return tracing::debug!(%error, "TLS handshake failed"),
            Err(_elapsed) => return tracing::debug!("TLS handshake took too long"),
        };
        let header_read = Duration::from_millis(limits.header_read_ms);
        // ALPN has told; guessing from the first bytes would wait for them without a limit.
        let shown = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let router = match shown.and_then(named_by) {
            Some(identity) => router.with_peer(identity),
            None => router,
        };
        let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        let builder = Builder::new(TokioExecutor::new());
        let mut builder = if http2 { builder.http2_only() } else { builder.http1_only() };
        builder.http1().timer(TokioTimer::new()).header_read_timeout(header_read);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(256)
            .keep_alive_interval(Duration::from_secs(30))
            .keep_alive_timeout(Duration::from_secs(20));
        let service = TowerToHyperService::new(router);
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        if let Err(error) = watcher.watch(connection).await {
            tracing::debug!(%error, "connection ended early");
        }
    }
}

/// Errors of `accept` that are about the one who connected.
fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
            | io::ErrorKind::Interrupted
    )
}

/// `ENFILE` and `EMFILE`: passes when other connections end.
fn out_of_files(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(23 | 24))
}
