//! Connections that are kept, and streams through them, by a real sshd.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::SystemClock;
use fleetwright_provider_k3s::hosts::{Answer, HostOp, perform};
use fleetwright_provider_k3s::ssh::{
    HostKeys, Hosts as _, PoolLimits, Route, SshError, SshHosts, SshLimits, Way,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::support::host::{Host, cannot_host};
use super::support::keys::{OURS, identity};
use super::support::owner;
use super::support::relay::{Relay, ssh_host};

fn pool(limits: PoolLimits) -> SshHosts {
    SshHosts::new(Arc::new(SystemClock), SshLimits::default(), limits)
}

fn way(relay: &Relay, user: &str) -> Way {
    let route = Route::new(Vec::new(), relay.hop(user)).expect("route");
    Way { route, keys: relay.trust(), identity: identity(OURS) }
}

/// How often somebody came in.
fn entries(host: &Host) -> usize {
    host.sh("grep -c 'Accepted publickey' /var/log/sshd.log || :").parse().expect("number")
}

async fn looks(hosts: &SshHosts, way: &Way) {
    let wire = hosts.reach(way).await.expect("reached");
    let answer = perform(wire.as_ref(), &HostOp::ReadFacts, &owner("7-a")).await;
    assert!(matches!(answer, Ok(Answer::Facts(_))), "{answer:?}");
}

#[tokio::test]
async fn a_connection_serves_many_until_it_is_gone_or_trusted_no_longer() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let hosts = pool(PoolLimits::default());
    let root = way(&relay, "root");
    tokio::join!(looks(&hosts, &root), looks(&hosts, &root), looks(&hosts, &root));
    looks(&hosts, &root).await;
    assert_eq!((entries(&host), hosts.len()), (1, 1), "those who came at once shared it too");
    looks(&hosts, &way(&relay, "ops")).await;
    assert_eq!((entries(&host), hosts.len()), (2, 2), "another user is another connection");
    // The line breaks: the next one gets a new connection.
    relay.cut_after(0);
    let wire = hosts.reach(&root).await.expect("not known to be gone");
    assert!(perform(wire.as_ref(), &HostOp::ReadFacts, &owner("7-a")).await.is_err());
    relay.mend();
    looks(&hosts, &root).await;
    assert_eq!(entries(&host), 3);
    // Whom we trust no longer is not used either, though it is connected.
    let nobody = Way { keys: HostKeys::default(), ..root.clone() };
    let refused = hosts.reach(&nobody).await.map(|_| ()).expect_err("refused");
    assert!(matches!(refused, SshError::HostKey { .. }), "{refused}");
    looks(&hosts, &root).await;
    assert_eq!(entries(&host), 4);
}

#[tokio::test]
async fn no_more_are_kept_than_allowed_and_none_that_is_idle() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let (root, ops) = (way(&relay, "root"), way(&relay, "ops"));
    let hosts = pool(PoolLimits { connections: 1, ..PoolLimits::default() });
    looks(&hosts, &root).await;
    looks(&hosts, &ops).await;
    assert_eq!((entries(&host), hosts.len()), (2, 1), "the one that nobody used gave way");
    let held = hosts.reach(&ops).await.expect("kept");
    looks(&hosts, &root).await;
    assert_eq!((entries(&host), hosts.len()), (3, 1), "one that is used does not");
    drop(held);
    let hosts = pool(PoolLimits { idle: Duration::ZERO, ..PoolLimits::default() });
    looks(&hosts, &root).await;
    looks(&hosts, &root).await;
    assert_eq!(entries(&host), 5);
}

/// Somebody on the host who says back what he hears, at this address.
fn echo(host: &Host, address: &str) -> Child {
    let line = format!(
        "import socket; s=socket.create_server(('{address}', 7)); print(flush=True)\n\
         while True:\n c=s.accept()[0]\n while (d := c.recv(4096)): c.sendall(d)\n"
    );
    let mut child = host.command("python3");
    let mut child = child.args(["-c", &line]).stdout(Stdio::piped()).spawn().expect("python3");
    let mut said = String::new();
    BufReader::new(child.stdout.as_mut().expect("piped")).read_line(&mut said).expect("bound");
    child
}

#[tokio::test]
async fn a_stream_goes_through_a_host_to_where_only_it_can_go() {
    if cannot_host() {
        return;
    }
    let host = ssh_host();
    let relay = Relay::to(&host).await;
    let mut echo = echo(&host, "127.0.0.77");
    let hosts = pool(PoolLimits::default());
    let root = way(&relay, "root");
    let mut stream = hosts.dial(&root, "127.0.0.77", 7).await.expect("stream");
    // More than a window, so that both sides have to go on reading.
    let sent = vec![7_u8; 3 << 20];
    let (mut reading, mut writing) = tokio::io::split(&mut stream);
    let mut heard = vec![0; sent.len()];
    let (wrote, read) = tokio::join!(writing.write_all(&sent), reading.read_exact(&mut heard));
    wrote.expect("written");
    read.expect("read");
    assert!(heard == sent);
    looks(&hosts, &root).await;
    assert_eq!(entries(&host), 1, "deeds and streams share a connection");
    let refused = hosts.dial(&root, "127.0.0.77", 8).await.map(|_| ()).expect_err("nobody listens");
    let start =
        format!("jump host [127.0.0.1]:{} does not connect us to 127.0.0.77:8: ", relay.port);
    assert!(refused.to_string().starts_with(&start), "{refused}");
    // Letting go of everything else does not end a stream.
    drop(hosts);
    stream.write_all(b"still there").await.expect("written");
    let mut again = [0; 11];
    stream.read_exact(&mut again).await.expect("read");
    assert_eq!(&again, b"still there");
    echo.kill().expect("killed");
    echo.wait().expect("ended");
}
