//! A client of a member's API that is reached as its hosts are, for `connection: {type: Ssh}`: TLS inside a stream of the
//! provider's.
//!
//! The member's own certificate authority is the only one that is trusted, and the name in its certificate is that of the
//! endpoint, as on the direct way: whoever carries the bytes sees nothing but TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use fleetwright_controllers::members::Member;
use fleetwright_plan::Address;
use fleetwright_provider::{Access, MemberStream, Provider};
use fleetwright_verbs::read_only::ReadOnly;
use http::Uri;
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use kube::client::{Body, ConfigExt as _};
use kube::{Client, Config};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tower::{BoxError, Service, ServiceBuilder};

/// A way through several hosts takes a handshake on each.
const DIAL: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(60);

/// A client of `member` that dials through its hosts; `config` has the URL, the certificate authority and the token.
///
/// # Errors
/// When `config` cannot be used.
pub(crate) fn client(
    member: &Member,
    config: &Config,
    reads_only: bool,
) -> Result<Client, kube::Error> {
    let way = Dial {
        cloud: Arc::clone(&member.cloud),
        access: member.access.clone(),
        address: member.address.clone(),
    };
    let https = config.rustls_https_connector_with_connector(way)?;
    // kube's own builder bounds its connectors just so; SSH's keepalives say nothing about the API behind a host.
    let mut bounded = TimeoutConnector::new(https);
    bounded.set_connect_timeout(config.connect_timeout.map(|handshake| DIAL + handshake));
    bounded.set_read_timeout(config.read_timeout);
    bounded.set_write_timeout(config.write_timeout);
    bounded.set_reset_reader_on_write(config.reset_reader_on_write);
    let http: legacy::Client<_, Body> = legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .build(bounded);
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .map_err(BoxError::from)
        .service(http);
    let namespace = config.default_namespace.clone();
    Ok(if reads_only {
        Client::new(ReadOnly(service), namespace)
    } else {
        Client::new(service, namespace)
    })
}

/// Opens streams to one member; the URI says nothing that the address does not.
#[derive(Debug, Clone)]
struct Dial {
    cloud: Arc<dyn Provider>,
    access: Access,
    address: Address,
}

impl Service<Uri> for Dial {
    type Response = TokioIo<Dialled>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let Self { cloud, access, address } = self.clone();
        Box::pin(async move {
            let dialled = tokio::time::timeout(DIAL, cloud.dial(&access, &address)).await;
            let stream = dialled.map_err(|_elapsed| {
                format!("no way through the hosts of {address} within {} s", DIAL.as_secs())
            })??;
            Ok(TokioIo::new(Dialled(stream)))
        })
    }
}

/// A stream that hyper takes for a connection.
struct Dialled(Box<dyn MemberStream>);

impl Connection for Dialled {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Dialled {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Dialled {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests;
