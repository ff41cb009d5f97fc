//! A host's sshd at a port of this machine, behind a line that can be cut.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use fleetwright_clock::SystemClock;
use fleetwright_provider_k3s::ssh::{Hop, HostKeys, Route, SshError, SshHost, SshLimits, connect};
use russh::keys::ssh_key::LineEnding;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinHandle;

use super::host::Host;
use super::keys::{HOST, OURS, identity, key, public};

/// Everything that sshd needs on a host whose key is `seed`, and `more` lines of its configuration.
pub(crate) fn sshd_files(over: &Path, seed: u8, more: &str) {
    let write = |path: &str, text: &str, mode: u32| {
        let path = over.join(path);
        fs::create_dir_all(path.parent().expect("parent")).expect("folder");
        fs::write(&path, text).expect("file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
    };
    let private = key(seed).to_openssh(LineEnding::LF).expect("text");
    write("etc/ssh/host_key", &private, 0o600);
    for user in ["root", "ops", "clerk"] {
        write(&format!("etc/ssh/authorized/{user}"), &public(OURS), 0o644);
    }
    let config = format!(
        "HostKey /etc/ssh/host_key\nAuthorizedKeysFile /etc/ssh/authorized/%u\nPermitRootLogin prohibit-password\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nLogLevel VERBOSE\nPidFile none\n{more}"
    );
    write("etc/ssh/sshd_config", &config, 0o644);
}

/// A host with sshd, whose key is [`HOST`].
pub(crate) fn ssh_host() -> Host {
    Host::boot("dash", None, |over| sshd_files(over, HOST, ""))
}

/// sshd at a port of this machine.
pub(crate) struct Relay {
    pub(crate) port: u16,
    budget: Arc<AtomicI64>,
    task: JoinHandle<()>,
}

impl Relay {
    /// Each connection gets an sshd of its own on the host.
    pub(crate) async fn to(host: &Host) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("port");
        let port = listener.local_addr().expect("address").port();
        let budget = Arc::new(AtomicI64::new(i64::MAX));
        let mut sshd = host.command("/usr/sbin/sshd");
        sshd.args(["-i", "-E", "/var/log/sshd.log"]);
        let mut sshd = tokio::process::Command::from(sshd);
        let left = Arc::clone(&budget);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (near, far) = std::os::unix::net::UnixStream::pair().expect("pair");
                near.set_nonblocking(true).expect("nonblocking");
                let again = far.try_clone().expect("clone");
                sshd.stdin(Stdio::from(OwnedFd::from(far)));
                sshd.stdout(Stdio::from(OwnedFd::from(again)));
                let child = sshd.stderr(Stdio::null()).spawn().expect("nsenter");
                // Else this process holds the far end open.
                sshd.stdin(Stdio::null()).stdout(Stdio::null());
                let near = UnixStream::from_std(near).expect("stream");
                tokio::spawn(pump(client, near, Arc::clone(&left), child));
            }
        });
        Self { port, budget, task }
    }

    /// Cuts every connection once this many more bytes have gone to the host.
    pub(crate) fn cut_after(&self, bytes: i64) {
        self.budget.store(bytes, Ordering::SeqCst);
    }

    /// A line that holds.
    pub(crate) fn mend(&self) {
        self.cut_after(i64::MAX);
    }

    pub(crate) fn hop(&self, user: &str) -> Hop {
        Hop::new("127.0.0.1", user).expect("hop").on_port(self.port)
    }

    /// Trust in the host's own key.
    pub(crate) fn trust(&self) -> HostKeys {
        let mut trust = HostKeys::default();
        trust.pin(&self.hop("root").key_name(), &public(HOST)).expect("pinned");
        trust
    }

    /// Connects with everything as it should be.
    pub(crate) async fn connect(&self, user: &str) -> SshHost {
        self.try_connect(user, &self.trust(), OURS).await.expect("connected")
    }

    pub(crate) async fn try_connect(
        &self,
        user: &str,
        trust: &HostKeys,
        seed: u8,
    ) -> Result<SshHost, SshError> {
        let route = Route::new(Vec::new(), self.hop(user)).expect("route");
        connect(&route, trust, &identity(seed), SshLimits::default(), &SystemClock).await
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pump(
    client: TcpStream,
    host: UnixStream,
    left: Arc<AtomicI64>,
    mut sshd: tokio::process::Child,
) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_host, mut to_host) = host.into_split();
    let up = async {
        let mut buffer = vec![0; 16 * 1024];
        while let Ok(read) = from_client.read(&mut buffer).await {
            let wanted = i64::try_from(read).expect("small");
            let allowed = left.fetch_sub(wanted, Ordering::SeqCst).clamp(0, wanted);
            let part = &buffer[..usize::try_from(allowed).expect("small")];
            if read == 0 || to_host.write_all(part).await.is_err() || allowed < wanted {
                return;
            }
        }
    };
    let down = tokio::io::copy(&mut from_host, &mut to_client);
    tokio::select! {
        biased;
        () = up => {}
        _ = down => {}
    }
    drop((from_client, to_client, from_host, to_host));
    drop(sshd.wait().await);
}
