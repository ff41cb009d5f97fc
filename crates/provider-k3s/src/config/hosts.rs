//! Hosts and the way to them: names, addresses, labels, keys, and the account's limits.

use std::collections::BTreeSet;

use fleetwright_api_types::{
    JumpHost, K3sHost, K3sSpec, Presence, ProviderConfig, SshHostKeys, Taint,
};

use super::check::{Check, is_address, not_a_host};
use crate::limits;
use crate::site::{SSH_PORT, host_port};
use crate::ssh::{Hop, HostKeys};
use crate::way::known_hosts;

/// Labels that a kubelet may give itself below Kubernetes' own names (Kubernetes' reference, "NodeRestriction").
const OWN_LABELS: [&str; 10] = [
    "beta.kubernetes.io/arch",
    "beta.kubernetes.io/instance-type",
    "beta.kubernetes.io/os",
    "failure-domain.beta.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "kubernetes.io/arch",
    "kubernetes.io/hostname",
    "kubernetes.io/os",
    "node.kubernetes.io/instance-type",
    "topology.kubernetes.io/region",
];
const ONE_MORE_LABEL: &str = "topology.kubernetes.io/zone";

impl Check {
    pub(super) fn hosts(&mut self, k3s: &K3sSpec, account: &ProviderConfig) {
        self.that(!k3s.servers.is_empty(), "spec.k3s.servers", || "is empty".to_owned());
        if let Some(endpoint) = &k3s.endpoint {
            self.limited(account, "spec.k3s.endpoint.host", &endpoint.host);
        }
        let (mut names, mut places) = (BTreeSet::new(), BTreeSet::new());
        let servers = k3s.servers.iter().map(|host| ("servers", host));
        for (list, host) in servers.chain(k3s.agents.iter().map(|host| ("agents", host))) {
            let field = format!("spec.k3s.{list}[{}]", host.name);
            self.that(names.insert(host.name.clone()), &field, || {
                "is a name that stands there twice; servers and agents share one set of names"
                    .to_owned()
            });
            let place = (host.host.to_ascii_lowercase(), host.port.unwrap_or(SSH_PORT));
            self.that(places.insert(place), &format!("{field}.host"), || {
                let port = host.port.unwrap_or(SSH_PORT);
                format!("{} is that of another host of this cluster", host_port(&host.host, port))
            });
            self.host(&field, host);
            self.limited(account, &format!("{field}.host"), &host.host);
            let comes_and_goes = host.presence == Some(Presence::Intermittent);
            self.that(list == "agents" || !comes_and_goes, &format!("{field}.presence"), || {
                "is for agents: servers are expected to be there".to_owned()
            });
        }
    }

    fn host(&mut self, field: &str, host: &K3sHost) {
        let is_name = !host.name.is_empty()
            && host.name.len() <= 63
            && host.name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !host.name.starts_with('-')
            && !host.name.ends_with('-');
        self.that(is_name, &format!("{field}.name"), || {
            "must be a DNS label: lower-case letters, digits and inner dashes, at most 63"
                .to_owned()
        });
        let is_host = Hop::new(&host.host, "root").is_ok();
        self.that(is_host, &format!("{field}.host"), || not_a_host(&host.host));
        if let Some(ip) = &host.node_ip {
            let addresses: Vec<&str> = ip.split(',').collect();
            let fits = addresses.len() <= 2 && addresses.into_iter().all(is_address);
            self.that(fits, &format!("{field}.nodeIp"), || {
                format!(
                    "{ip:?} is no address, nor an IPv4 and an IPv6 address with a comma between"
                )
            });
        }
        for (key, value) in &host.labels {
            let at = format!("{field}.labels[{key}]");
            self.that(is_qualified(key) && is_value(value), &at, || {
                format!("{key}={value} is no label of Kubernetes")
            });
            self.that(!is_reserved(key), &at, || {
                "is a label that a node may not give itself (NodeRestriction); use a prefix of your own, or \
                 node.kubernetes.io/…"
                    .to_owned()
            });
        }
        for Taint { key, value, .. } in &host.taints {
            let fits = is_qualified(key) && value.as_deref().is_none_or(is_value);
            self.that(fits, &format!("{field}.taints[{key}]"), || {
                "is no taint of Kubernetes".to_owned()
            });
        }
    }

    fn limited(&mut self, account: &ProviderConfig, field: &str, host: &str) {
        let outside = limits::outside(account, host);
        self.that(outside.is_none(), field, || outside.unwrap_or_default());
    }

    /// Whom we are and whom we trust on the way.
    pub(super) fn way(&mut self, k3s: &K3sSpec, account: &ProviderConfig) {
        let Some(ssh) = &account.spec.ssh else { return };
        let own = k3s.ssh.clone().unwrap_or_default();
        self.that(
            own.key_secret_ref.is_some() || ssh.identity.is_some(),
            "spec.k3s.ssh.keySecretRef",
            || "is needed, since the ProviderConfig brings no identity".to_owned(),
        );
        if let Some(user) = &own.user {
            let fits = Hop::new("h", user).is_ok();
            self.that(fits, "spec.k3s.ssh.user", || format!("{user:?} is no user name"));
        }
        for (number, JumpHost { host, user, .. }) in own.jump_hosts.iter().enumerate() {
            let field = format!("spec.k3s.ssh.jumpHosts[{number}]");
            let user = user.as_deref().unwrap_or("root");
            self.that(Hop::new(host, "root").is_ok(), &field, || not_a_host(host));
            self.that(Hop::new("h", user).is_ok(), &field, || format!("{user:?} is no user name"));
            self.limited(account, &field, host);
        }
        self.keys("spec.k3s.ssh.hostKeys", own.host_keys.as_ref());
        self.keys("spec.providerConfigRef", ssh.host_keys.as_ref());
        let any = |keys: Option<&SshHostKeys>| {
            keys.is_some_and(|keys| !keys.authorities.is_empty() || !keys.pinned.is_empty())
        };
        let trusts = any(own.host_keys.as_ref()) || any(ssh.host_keys.as_ref());
        self.that(trusts, "spec.k3s.ssh.hostKeys", || {
            "no host key is trusted, here or in the ProviderConfig: pin those of the hosts, or give an authority that \
             signs them; nothing is trusted on first use"
                .to_owned()
        });
    }

    fn keys(&mut self, field: &str, keys: Option<&SshHostKeys>) {
        let Some(keys) = keys else { return };
        for pinned in &keys.pinned {
            let odd = pinned.host.contains(['*', '?', '!', ',', ' ', '|', '#', '\n', '@']);
            self.that(!odd, &format!("{field}.pinned"), || {
                format!("{:?} is no host: write it as it is declared, or [host]:port", pinned.host)
            });
        }
        for line in known_hosts(keys) {
            if let Err(problem) = HostKeys::from_known_hosts(&line) {
                let key = line.rsplit_once(' ').map_or(line.as_str(), |(_, key)| key);
                let shown: String = key.chars().take(40).collect();
                self.that(false, field, || {
                    format!("{shown:?} is no public key like ssh-ed25519 AAAA…: {problem}")
                });
            }
        }
    }
}

/// A prefix that is Kubernetes' own, beyond what a kubelet may set itself.
fn is_reserved(key: &str) -> bool {
    let Some((prefix, _)) = key.split_once('/') else { return false };
    let below = |domain: &str| prefix == domain || prefix.ends_with(&format!(".{domain}"));
    let kubernetes = below("kubernetes.io") || below("k8s.io");
    let own = OWN_LABELS.contains(&key)
        || key == ONE_MORE_LABEL
        || below("node.kubernetes.io")
        || below("kubelet.kubernetes.io");
    let ours = below("fleetwright.dev");
    ours || (kubernetes && !own)
}

/// `prefix/name` or `name`.
fn is_qualified(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let dns = |text: &str| {
        (1..=253).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'.')
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(dns)
}

fn is_value(value: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric();
    let bytes = value.as_bytes();
    let ends = bytes.first().is_none_or(|&b| plain(b)) && bytes.last().is_none_or(|&b| plain(b));
    bytes.len() <= 63 && ends && bytes.iter().all(|&b| plain(b) || b"-_.".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_may_not_give_itself_every_label() {
        for free in [
            "region",
            "shop.example/till",
            "node.kubernetes.io/pool",
            "topology.kubernetes.io/zone",
        ] {
            assert!(!is_reserved(free), "{free}");
        }
        for kept in
            ["node-role.kubernetes.io/x", "kubernetes.io/x", "a.k8s.io/x", "fleetwright.dev/x"]
        {
            assert!(is_reserved(kept), "{kept}");
        }
    }

    #[test]
    fn labels_are_those_of_kubernetes() {
        assert!(is_qualified("a.b/c_d") && is_qualified("x") && is_value("") && is_value("a-b"));
        assert!(
            !is_qualified("/x") && !is_qualified("") && !is_qualified("A/x") && !is_value("-a")
        );
    }
}
