//! The files of one host, from what all share and what it alone has.

use std::collections::BTreeMap;

use fleetwright_api_types::{K3sHost, K3sProfile, K3sSpec, Presence, Toggle};

use super::hardening::{self, Hard};
use super::settings::{Setting, Settings, text};
use crate::body::{ClusterBody, HostBody, Store, Texts};
use crate::hosts::{ManagedFile, Role};
use crate::site::{API_PORT, SSH_PORT, host_port};

/// Our account in the cluster, which K3s applies by itself.
const MANIFEST: &str = r"# Written by Fleetwright: its account in this cluster.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: fleetwright
  namespace: kube-system
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: fleetwright
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: ClusterRole
  name: cluster-admin
subjects:
- kind: ServiceAccount
  name: fleetwright
  namespace: kube-system
";

/// K3s's own defaults, said so that a snapshot schedule can be taken back.
const SCHEDULE: &str = "0 */12 * * *";
const KEEP: u16 = 5;

/// What all hosts of a cluster share.
pub(super) struct Shared<'a> {
    pub(super) k3s: &'a K3sSpec,
    pub(super) body: &'a ClusterBody,
    pub(super) settings: &'a Settings,
}

/// What one host shall be.
pub(super) fn host(all: &Shared<'_>, role: Role, host: &K3sHost) -> HostBody {
    let is_server = role == Role::Server;
    let mut files = Texts::new();
    if is_server {
        files.insert(ManagedFile::Manifest, MANIFEST.to_owned());
    }
    hardening::files(hard(all.k3s), is_server, &mut files);
    HostBody {
        name: host.name.clone(),
        role,
        host: host.host.clone(),
        port: host.port.unwrap_or(SSH_PORT),
        intermittent: host.presence == Some(Presence::Intermittent),
        files,
        begins: is_server.then(|| text(&begins(all, host))),
        joins: text(&joins(all, role, host)),
        joins_itself: is_server
            && all.body.store == Store::EmbeddedEtcd
            && all.k3s.endpoint.is_none()
            && all.k3s.servers.first().is_some_and(|first| first.name == host.name),
    }
}

fn hard(k3s: &K3sSpec) -> Hard {
    let hardening = k3s.hardening.as_ref();
    let cis = hardening.and_then(|hard| hard.profile) == Some(K3sProfile::Cis);
    let audit = match hardening.and_then(|hard| hard.audit_log) {
        Some(Toggle::Enabled) => true,
        Some(Toggle::Disabled) => false,
        None => cis,
    };
    Hard { cis, audit }
}

type Config = BTreeMap<String, Setting>;

fn one(config: &mut Config, key: &str, value: impl Into<String>) {
    config.insert(key.to_owned(), Setting::One(value.into()));
}

fn many(config: &mut Config, key: &str, values: Vec<String>) {
    config.insert(key.to_owned(), Setting::Many(values));
}

/// Of the server that begins the cluster.
fn begins(all: &Shared<'_>, host: &K3sHost) -> Config {
    let mut config = server(all, host);
    if all.body.store == Store::EmbeddedEtcd {
        one(&mut config, "cluster-init", "true");
    }
    config
}

/// Of everybody who joins: with the cluster's token, at its endpoint.
fn joins(all: &Shared<'_>, role: Role, host: &K3sHost) -> Config {
    let mut config = match role {
        Role::Server => server(all, host),
        Role::Agent => node(all, role, host, all.settings.of_agents()),
    };
    one(&mut config, "token-file", ManagedFile::Token.path());
    // Servers over one database find each other there.
    if role == Role::Agent || all.body.store == Store::EmbeddedEtcd {
        one(&mut config, "server", format!("https://{}", join_at(all.k3s)));
    }
    config
}

/// Where others join: at the endpoint, else at the only server.
fn join_at(k3s: &K3sSpec) -> String {
    match (&k3s.endpoint, k3s.servers.first()) {
        (Some(endpoint), _) => host_port(&endpoint.host, endpoint.port.unwrap_or(API_PORT)),
        (None, Some(server)) => {
            host_port(server.node_ip.as_ref().unwrap_or(&server.host), API_PORT)
        }
        (None, None) => String::new(),
    }
}

fn server(all: &Shared<'_>, host: &K3sHost) -> Config {
    let k3s = all.k3s;
    let mut config = node(all, Role::Server, host, all.settings.of_servers());
    let mut names: Vec<String> = k3s.endpoint.iter().map(|at| at.host.clone()).collect();
    names.extend(k3s.servers.iter().map(|server| server.host.clone()));
    names.sort();
    names.dedup();
    many(&mut config, "tls-san", names);
    one(&mut config, "write-kubeconfig-mode", "600");
    let mut disabled = k3s.disable.clone();
    disabled.sort();
    disabled.dedup();
    many(&mut config, "disable", disabled);
    let hardening = k3s.hardening.as_ref();
    if hardening.and_then(|hard| hard.secrets_encryption) == Some(Toggle::Enabled) {
        one(&mut config, "secrets-encryption", "true");
    }
    if all.body.store == Store::EmbeddedEtcd {
        let backup = k3s.backup.clone().unwrap_or_default();
        let schedule = backup.schedule.unwrap_or_else(|| SCHEDULE.to_owned());
        one(&mut config, "etcd-snapshot-schedule-cron", schedule);
        let keep = backup.keep.unwrap_or(KEEP);
        one(&mut config, "etcd-snapshot-retention", keep.to_string());
    }
    config
}

/// What servers and agents have in common: they are nodes.
fn node(all: &Shared<'_>, role: Role, host: &K3sHost, mut config: Config) -> Config {
    hardening::settings(hard(all.k3s), role == Role::Server, &mut config);
    one(&mut config, "node-name", host.name.clone());
    if let Some(ip) = &host.node_ip {
        one(&mut config, "node-ip", ip.clone());
    }
    let labels = host.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    many(&mut config, "node-label", labels);
    let taints = host.taints.iter().map(|taint| {
        let value = taint.value.as_deref().map(|value| format!("={value}")).unwrap_or_default();
        format!("{}{value}:{:?}", taint.key, taint.effect)
    });
    many(&mut config, "node-taint", taints.collect());
    config
}
