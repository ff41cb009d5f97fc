//! The way to hosts: the cluster's own words over those of its account, with the key that a Secret holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_api_types::{JumpHost, ProviderConfig, SshConfig, SshHostKeys, SshSpec};
use fleetwright_errclass::Class;
use fleetwright_provider::{Access, CloudError, Secret};

use crate::limits;
use crate::site::{SSH_PORT, Site, SiteHost};
use crate::ssh::{Hop, HostKeys, Identity, Route, Way};

/// Who we are on hosts where nothing is said.
const USER: &str = "root";
/// Keys of the Secret.
const KEY: &str = "ssh-privatekey";
const PASSPHRASE: &str = "passphrase";

/// Lines of OpenSSH's known_hosts for these keys.
pub(crate) fn known_hosts(keys: &SshHostKeys) -> Vec<String> {
    let pinned = keys.pinned.iter();
    let pinned =
        pinned.map(|pinned| format!("{} {}", pinned.host.to_ascii_lowercase(), pinned.key.trim()));
    let authorities =
        keys.authorities.iter().map(|key| format!("@cert-authority * {}", key.trim()));
    let revoked = keys.revoked.iter().map(|key| format!("@revoked * {}", key.trim()));
    pinned.chain(authorities).chain(revoked).collect()
}

/// How all hosts of one cluster are reached.
#[derive(Debug, Clone)]
pub(crate) struct Ways {
    user: String,
    jumps: Vec<Hop>,
    keys: HostKeys,
    identity: Identity,
    account: Arc<ProviderConfig>,
}

impl Ways {
    /// From what an address carries and the account.
    ///
    /// # Errors
    /// When the key is missing or of no use, or what is declared is malformed.
    pub(crate) fn of(access: &Access, site: &Site) -> Result<Self, CloudError> {
        let account = access.account.spec.ssh.as_ref();
        let user = user(&site.ssh, account);
        let declared = jumps(&site.ssh, account);
        // Also for what is no longer asked when it is declared: on the way out, and for hosts that are only noted.
        for jump in &site.ssh.jump_hosts {
            within(&access.account, &jump.host)?;
        }
        let jumps = declared.iter().map(|jump| hop(jump, &user));
        let jumps = jumps.collect::<Result<Vec<_>, _>>().map_err(malformed)?;
        let mut lines: Vec<String> = Vec::new();
        let of_account = account.and_then(|ssh| ssh.host_keys.as_ref());
        for keys in site.ssh.host_keys.iter().chain(of_account) {
            lines.extend(known_hosts(keys));
        }
        let keys = HostKeys::from_known_hosts(&lines.join("\n")).map_err(malformed)?;
        let identity = identity(access, &site.ssh)?;
        Ok(Self { user, jumps, keys, identity, account: Arc::clone(&access.account) })
    }

    /// The way to one host.
    ///
    /// # Errors
    /// When its address is malformed, or outside the account's limits.
    pub(crate) fn to(&self, host: &SiteHost) -> Result<Way, CloudError> {
        within(&self.account, &host.host)?;
        let target = Hop::new(&host.host, &self.user).map_err(malformed)?.on_port(host.port);
        let route = Route::new(self.jumps.clone(), target).map_err(malformed)?;
        Ok(Way { route, keys: self.keys.clone(), identity: self.identity.clone() })
    }

    pub(crate) fn user(&self) -> &str {
        &self.user
    }

    pub(crate) fn fingerprint(&self) -> String {
        self.identity.fingerprint()
    }
}

pub(crate) fn user(ssh: &SshSpec, account: Option<&SshConfig>) -> String {
    let of_account = || account.and_then(|account| account.user.clone());
    ssh.user.clone().or_else(of_account).unwrap_or_else(|| USER.to_owned())
}

pub(crate) fn jumps(ssh: &SshSpec, account: Option<&SshConfig>) -> Vec<JumpHost> {
    if !ssh.jump_hosts.is_empty() {
        return ssh.jump_hosts.clone();
    }
    account.map(|account| account.jump_hosts.clone()).unwrap_or_default()
}

fn hop(jump: &JumpHost, user: &str) -> Result<Hop, crate::ssh::RouteError> {
    let user = jump.user.as_deref().unwrap_or(user);
    Ok(Hop::new(&jump.host, user)?.on_port(jump.port.unwrap_or(SSH_PORT)))
}

fn within(account: &ProviderConfig, host: &str) -> Result<(), CloudError> {
    let Some(outside) = limits::outside(account, host) else { return Ok(()) };
    Err(CloudError::new(Class::Refused, "OutsideLimits", "k3s:Reach", outside))
}

fn malformed(why: impl std::fmt::Display) -> CloudError {
    CloudError::new(Class::Invalid, "InvalidSsh", "k3s:Reach", why.to_string())
}

/// The key that opens the hosts: that of the cluster, else that of the account.
fn identity(access: &Access, ssh: &SshSpec) -> Result<Identity, CloudError> {
    let missing =
        |what: String| CloudError::new(Class::Refused, "SecretMissing", "k3s:Reach", what);
    let (named, data): (String, Option<&BTreeMap<String, Secret>>) = match &ssh.key_secret_ref {
        Some(named) => {
            (format!("{}/{}", access.namespace, named.name), access.own_secrets.get(&named.name))
        }
        None => {
            let named = access.account.spec.secret_ref();
            let Some(named) = named else {
                return Err(missing("neither the cluster nor its account names a key".to_owned()));
            };
            (named.name.clone(), access.secret.as_ref())
        }
    };
    let Some(data) = data else { return Err(missing(format!("Secret {named} is not there"))) };
    let Some(key) = data.get(KEY) else {
        return Err(missing(format!("Secret {named} has no key {KEY}")));
    };
    Identity::read(key, data.get(PASSPHRASE)).map_err(|error| {
        CloudError::new(
            Class::Refused,
            "InvalidKey",
            "k3s:Reach",
            format!("Secret {named}: {error}"),
        )
    })
}
