//! How a person gets a token for a cluster with a key of their own: the arguments of `fleetwright token`.

use fleetwright_api_types::{ProviderConfig, SshHostKeys};
use fleetwright_plan::Address;

use crate::site::{SSH_PORT, Site};
use crate::way::{jumps, known_hosts, user};

/// One argument for each server, each jump host in order, and each key that concerns them.
pub(crate) fn arguments(account: &ProviderConfig, address: &Address) -> Vec<String> {
    let Some(site) = Site::read(address) else { return Vec::new() };
    let ssh = account.spec.ssh.as_ref();
    let user = user(&site.ssh, ssh);
    let mut arguments = vec![format!("--cluster={}", site.object)];
    let mut places: Vec<String> = Vec::new();
    for server in site.servers() {
        arguments.push(format!("--host={}", place(&user, &server.host, server.port)));
        places.push(key_name(&server.host, server.port));
    }
    for jump in jumps(&site.ssh, ssh) {
        let port = jump.port.unwrap_or(SSH_PORT);
        let who = jump.user.as_deref().unwrap_or(&user);
        arguments.push(format!("--jump={}", place(who, &jump.host, port)));
        places.push(key_name(&jump.host, port));
    }
    let of_account = ssh.and_then(|ssh| ssh.host_keys.as_ref());
    for keys in site.ssh.host_keys.iter().chain(of_account) {
        let concerning = SshHostKeys {
            pinned: keys
                .pinned
                .iter()
                .filter(|pinned| places.contains(&pinned.host.to_ascii_lowercase()))
                .cloned()
                .collect(),
            ..keys.clone()
        };
        let lines = known_hosts(&concerning);
        arguments.extend(lines.into_iter().map(|line| format!("--known-host={line}")));
    }
    arguments
}

/// `user@host:port`; IPv6 in brackets.
fn place(user: &str, host: &str, port: u16) -> String {
    let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    if port == SSH_PORT { format!("{user}@{host}") } else { format!("{user}@{host}:{port}") }
}

/// As OpenSSH files its keys.
fn key_name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == SSH_PORT { host } else { format!("[{host}]:{port}") }
}
