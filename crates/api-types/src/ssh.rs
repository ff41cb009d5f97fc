//! The way to hosts over SSH, declared by a cluster or, for all its clusters, by a `ProviderConfig`.

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LocalRef;

/// Hosts in reach of SSH, as an account: what clusters do not say themselves is taken from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshConfig {
    /// Who we are on the hosts, unless a cluster brings a key of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<SshIdentity>,
    /// The user on hosts of clusters that name none. Absent: `root`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub user: Option<String>,
    /// The jump hosts of clusters that name none, nearest to us first. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub jump_hosts: Vec<JumpHost>,
    /// Host keys that are trusted on the way to every cluster, beside those of the cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_keys: Option<SshHostKeys>,
}

/// Who we are on hosts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshIdentity {
    /// A Secret in Fleetwright's own namespace with keys `ssh-privatekey` (OpenSSH format) and, for one with a passphrase,
    /// `passphrase`.
    pub secret_ref: LocalRef,
}

/// How the hosts of one cluster are reached. What is absent comes from the ProviderConfig.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SshSpec {
    /// The user on the hosts: root, or one who may run `sudo -n /bin/sh`. Absent: that of the ProviderConfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub user: Option<String>,
    /// A Secret in the object's namespace with keys `ssh-privatekey` (OpenSSH format) and, for one with a passphrase,
    /// `passphrase`. Absent: the key of the ProviderConfig.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_secret_ref: Option<LocalRef>,
    /// The jump hosts, nearest to us first. Absent: those of the ProviderConfig.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 8))]
    pub jump_hosts: Vec<JumpHost>,
    /// Host keys that are trusted, beside those of the ProviderConfig. A host whose key is not among them is not spoken to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_keys: Option<SshHostKeys>,
}

/// An SSH server on the way to others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct JumpHost {
    /// DNS name or address.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// TCP port of its SSH server. Absent: 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The user there. Absent: the one on the hosts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 64))]
    pub user: Option<String>,
}

/// Which host keys are trusted. Nothing is trusted on first use.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
pub struct SshHostKeys {
    /// Public keys of authorities whose host certificates are trusted, for example `ssh-ed25519 AAAA…`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub authorities: Vec<String>,
    /// Keys of single hosts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub pinned: Vec<PinnedHostKey>,
    /// Public keys that are refused wherever they are met, even where something else trusts them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub revoked: Vec<String>,
}

/// The key of one host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PinnedHostKey {
    /// The host as it is declared; `[host]:port` when its port is not 22. One host may have several keys.
    #[schemars(length(min = 1, max = 263))]
    pub host: String,
    /// Its public key, for example `ssh-ed25519 AAAA…`.
    #[schemars(length(min = 1, max = 2048))]
    pub key: String,
}
