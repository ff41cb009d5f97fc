//! Where the hosts of a cluster are: what `Address.site` carries, so that looking and acting need no declaration.

use std::collections::BTreeSet;

use fleetwright_api_types::{
    ANNOTATION_ABANDON_HOSTS, K3sEndpoint, K3sHost, K3sSpec, ManagedCluster, SshSpec,
};
use fleetwright_plan::{Address, PartKey, PartKind};
use serde::{Deserialize, Serialize};

use crate::hosts::Role;

/// The port of SSH where nothing else is said.
pub(crate) const SSH_PORT: u16 = 22;
/// The port of the Kubernetes API on servers.
pub(crate) const API_PORT: u16 = 6443;

/// A host that carries the control plane; it goes with that.
pub const SERVER: PartKind = PartKind::new("server");
/// A host that carries work only; it must be gone before the control plane goes.
pub const AGENT: PartKind = PartKind::holding_together("agent");

/// One host, as far as reaching it goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SiteHost {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) host: String,
    pub(crate) port: u16,
}

impl SiteHost {
    pub(crate) fn key(&self) -> PartKey {
        part_key(self.role, &self.name)
    }
}

/// All hosts of a cluster, declared and noted, and the way to them. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Site {
    /// `namespace/name` of the object.
    pub(crate) object: String,
    /// Its uid.
    pub(crate) uid: String,
    /// Servers as declared, agents as declared, then those that are only noted, by name.
    pub(crate) hosts: Vec<SiteHost>,
    /// As the cluster itself says; what is absent comes from the account.
    pub(crate) ssh: SshSpec,
    /// Where the Kubernetes API answers, if that is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) endpoint: Option<K3sEndpoint>,
    /// Hosts that a person gave up.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) abandoned: BTreeSet<String>,
}

impl Site {
    /// From declaration and status; `None` when neither names a host.
    pub(crate) fn of(cluster: &ManagedCluster) -> Option<Self> {
        let k3s = cluster.spec.k3s.as_ref();
        let mut hosts: Vec<SiteHost> = k3s.map(declared).unwrap_or_default();
        // A host that is still declared is not given up: what it carries counts.
        let mut abandoned = abandoned(cluster);
        abandoned.retain(|name| hosts.iter().all(|host| host.name != *name));
        let mut known: BTreeSet<String> = hosts.iter().map(|host| host.name.clone()).collect();
        let noted = cluster.status.iter().flat_map(|status| &status.hosts);
        for noted in noted {
            let role = if noted.role == Role::Agent.word() { Role::Agent } else { Role::Server };
            if noted.version.is_some() {
                // What it carries is that of its role, whatever is declared now; `desire` refuses that.
                for host in hosts.iter_mut().filter(|host| host.name == noted.name) {
                    host.role = role;
                }
            }
            if known.insert(noted.name.clone()) {
                hosts.push(SiteHost {
                    name: noted.name.clone(),
                    role,
                    host: noted.host.clone(),
                    port: noted.port.unwrap_or(SSH_PORT),
                });
            }
        }
        if hosts.is_empty() {
            return None;
        }
        let meta = &cluster.metadata;
        let (namespace, name) = (meta.namespace.as_deref(), meta.name.as_deref());
        Some(Self {
            object: format!("{}/{}", namespace.unwrap_or_default(), name.unwrap_or_default()),
            uid: meta.uid.clone().unwrap_or_default(),
            hosts,
            ssh: k3s.and_then(|k3s| k3s.ssh.clone()).unwrap_or_default(),
            endpoint: k3s.and_then(|k3s| k3s.endpoint.clone()),
            abandoned,
        })
    }

    /// Reads what an address carries.
    pub(crate) fn read(address: &Address) -> Option<Self> {
        serde_json::from_str(&address.site).ok()
    }

    /// As an address carries it.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn servers(&self) -> impl Iterator<Item = &SiteHost> {
        self.hosts.iter().filter(|host| host.role == Role::Server)
    }

    pub(crate) fn find(&self, key: &PartKey) -> Option<&SiteHost> {
        self.hosts.iter().find(|host| host.key() == *key)
    }

    /// Host and port of the Kubernetes API: the declared endpoint, else the first server.
    pub(crate) fn endpoint(&self) -> Option<(String, u16)> {
        if let Some(endpoint) = &self.endpoint {
            return Some((endpoint.host.clone(), endpoint.port.unwrap_or(API_PORT)));
        }
        self.servers().next().map(|server| (server.host.clone(), API_PORT))
    }
}

fn declared(k3s: &K3sSpec) -> Vec<SiteHost> {
    let of = |role: Role| {
        move |host: &K3sHost| SiteHost {
            name: host.name.clone(),
            role,
            host: host.host.clone(),
            port: host.port.unwrap_or(SSH_PORT),
        }
    };
    let servers = k3s.servers.iter().map(of(Role::Server));
    servers.chain(k3s.agents.iter().map(of(Role::Agent))).collect()
}

fn abandoned(cluster: &ManagedCluster) -> BTreeSet<String> {
    let annotations = cluster.metadata.annotations.as_ref();
    let names = annotations.and_then(|all| all.get(ANNOTATION_ABANDON_HOSTS));
    let names = names.map(String::as_str).unwrap_or_default().split(',').map(str::trim);
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// The key of a host's part.
pub(crate) fn part_key(role: Role, name: &str) -> PartKey {
    let kind = match role {
        Role::Server => SERVER,
        Role::Agent => AGENT,
    };
    PartKey { kind, name: name.to_owned() }
}

/// A host and a port as one text; IPv6 in brackets.
pub(crate) fn host_port(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn site(annotation: &str, noted_as: &str) -> Site {
        let host = |name: &str| json!({"name": name, "host": format!("{name}.example")});
        let cluster = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "store-17", "annotations": {ANNOTATION_ABANDON_HOSTS: annotation}},
            "spec": {
                "version": "v1.34.2+k3s1", "providerConfigRef": {"name": "stores"},
                "k3s": {"servers": [host("s2")], "agents": [host("s1")]}
            },
            "status": {"hosts": [{
                "name": "s1", "role": noted_as, "host": "s1.example", "phase": "Active",
                "version": "v1.34.2+k3s1"
            }]}
        });
        let cluster: ManagedCluster = serde_json::from_value(cluster).expect("a cluster");
        Site::of(&cluster).expect("hosts")
    }

    #[test]
    fn a_host_that_is_declared_is_not_given_up() {
        let given_up: Vec<String> = site("s1, s2, s9", "agent").abandoned.into_iter().collect();
        assert_eq!(given_up, ["s9"]);
    }

    #[test]
    fn a_host_keeps_the_role_that_it_was_seen_in() {
        let roles = |noted_as| site("", noted_as).servers().map(|host| host.name.clone()).collect();
        let (as_agent, as_server): (Vec<String>, Vec<String>) = (roles("agent"), roles("server"));
        assert_eq!(as_agent, ["s2"]);
        assert_eq!(as_server, ["s2", "s1"]);
    }
}
