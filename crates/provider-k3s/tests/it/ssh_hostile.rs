//! A server that wants something of us. Ours to write, since a real sshd does not misbehave.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::SystemClock;
use fleetwright_provider_k3s::ssh::{Hop, HostKeys, Route, SshLimits, connect};
use russh::server::{Auth, Config, Handler, Session, VerifiedPublicKey, run_stream};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::support::keys::{HOST, OURS, identity, key, public};

/// Opens channels of every kind to whoever logs in, and tells which were accepted.
struct Curious(mpsc::Sender<Vec<&'static str>>);

impl Handler for Curious {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        _: &str,
        _: VerifiedPublicKey<'_>,
    ) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn auth_succeeded(&mut self, session: &mut Session) -> Result<(), russh::Error> {
        let (handle, tell) = (session.handle(), self.0.clone());
        tokio::spawn(async move {
            let tried = [
                ("agent", handle.channel_open_agent().await.is_ok()),
                ("session", handle.channel_open_session().await.is_ok()),
                ("direct", handle.channel_open_direct_tcpip("h", 1, "o", 2).await.is_ok()),
                ("forwarded", handle.channel_open_forwarded_tcpip("h", 1, "o", 2).await.is_ok()),
                ("socket", handle.channel_open_direct_streamlocal("/s").await.is_ok()),
                ("listener", handle.channel_open_forwarded_streamlocal("/s").await.is_ok()),
                ("x11", handle.channel_open_x11("o", 2).await.is_ok()),
            ];
            let opened = tried.iter().filter(|(_, opened)| *opened).map(|(kind, _)| *kind);
            drop(tell.send(opened.collect()).await);
        });
        Ok(())
    }
}

#[tokio::test]
async fn no_host_may_open_a_channel_to_us() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
    let port = listener.local_addr().expect("address").port();
    let (tell, mut told) = mpsc::channel(1);
    let serving = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.expect("a client");
        let config = Arc::new(Config { keys: vec![key(HOST)], ..Config::default() });
        let running = run_stream(config, stream, Curious(tell)).await.expect("running");
        drop(running.await);
    });
    let hop = Hop::new("127.0.0.1", "root").expect("hop").on_port(port);
    let mut trust = HostKeys::default();
    trust.pin(&hop.key_name(), &public(HOST)).expect("pinned");
    let route = Route::new(Vec::new(), hop).expect("route");
    let connected =
        connect(&route, &trust, &identity(OURS), SshLimits::default(), &SystemClock).await;
    let host = connected.expect("connected");
    let opened = tokio::time::timeout(Duration::from_secs(20), told.recv()).await;
    assert_eq!(opened, Ok(Some(Vec::new())));
    host.close().await;
    serving.abort();
}
