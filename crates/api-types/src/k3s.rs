//! A K3s cluster on given hosts, declared. Words that K3s owns (components, keys of its configuration) are open strings in its spelling.

use std::collections::BTreeMap;

use kube_derive::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::LocalRef;
use crate::aks::Toggle;
use crate::node_pool::{PoolUpdate, Taint};
use crate::ssh::SshSpec;

/// A K3s cluster on given hosts.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("size(self.servers) == 1 || has(self.endpoint)").message("endpoint is needed above one server: a VIP, a load balancer or a DNS name that leads to all of them"))]
#[x_kube(validation = Rule::new("size(self.servers) % 2 == 1 || (has(self.datastore) && self.datastore.type == 'External')").message("servers must be 1 or an odd number: embedded etcd gains nothing from an even one"))]
#[x_kube(validation = Rule::new("!has(self.datastore) || self.datastore.type != 'Sqlite' || size(self.servers) == 1").message("datastore Sqlite is for one server; use EmbeddedEtcd"))]
#[x_kube(validation = Rule::new("has(self.externalName) == has(oldSelf.externalName) && (!has(self.externalName) || self.externalName == oldSelf.externalName)").message("externalName is immutable"))]
#[x_kube(validation = Rule::new("(has(self.datastore) ? self.datastore.type : 'EmbeddedEtcd') == (has(oldSelf.datastore) ? oldSelf.datastore.type : 'EmbeddedEtcd')").message("datastore.type is immutable: K3s cannot move its data"))]
#[x_kube(validation = Rule::new("(has(self.hardening) && has(self.hardening.secretsEncryption) ? self.hardening.secretsEncryption : 'Disabled') == (has(oldSelf.hardening) && has(oldSelf.hardening.secretsEncryption) ? oldSelf.hardening.secretsEncryption : 'Disabled')").message("hardening.secretsEncryption is immutable: K3s takes it at its first start only"))]
pub struct K3sSpec {
    /// The name of the cluster in messages and kubeconfigs. Absent: derived from namespace and name. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub external_name: Option<String>,
    /// Where the Kubernetes API answers, whichever server is away. Absent: at the only server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<K3sEndpoint>,
    /// The hosts that carry the control plane: one, or an odd number. The first one begins the cluster, the others join it.
    #[schemars(length(min = 1, max = 9))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub servers: Vec<K3sHost>,
    /// The hosts that carry work only. Absent: none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 200))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".to_string()]))]
    pub agents: Vec<K3sHost>,
    /// The way to the hosts. Absent: as the ProviderConfig says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ssh: Option<SshSpec>,
    /// Where K3s keeps its data. Absent: `EmbeddedEtcd`. Its type is immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datastore: Option<K3sDatastore>,
    /// Where K3s itself comes from. Absent: `Download`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<K3sSource>,
    /// Releases to pass through where `spec.version` is more than one minor ahead, for example `v1.34.6+k3s1`: one for each
    /// minor in between. Absent: such a jump is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub upgrade_path: Vec<String>,
    /// Packaged components that K3s shall not bring: `traefik`, `servicelb`, `local-storage`, `metrics-server`, `coredns`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 20))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub disable: Vec<String>,
    /// How the cluster is made hard. Absent: as K3s comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardening: Option<K3sHardening>,
    /// Snapshots of embedded etcd. Absent: K3s's own, every twelve hours, five kept on each server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backup: Option<K3sBackup>,
    /// A Secret in the object's namespace whose key `registries.yaml` becomes that file on every host. Absent: no such file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registries_secret_ref: Option<LocalRef>,
    /// How hosts are taken in turn when they change. `maxUnavailable` counts agents; absent: one. Servers always go one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub update: Option<PoolUpdate>,
    /// Further keys of K3s's configuration file on every host, for example `etcd-expose-metrics: "true"`; those of servers do not
    /// go to agents. A key that takes a list has one value a line. Keys that we own are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 100))]
    pub config: BTreeMap<String, String>,
}

/// Where the Kubernetes API answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct K3sEndpoint {
    /// A VIP, a load balancer or a DNS name that leads to all servers.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// The port there. Absent: 6443.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
}

/// One host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct K3sHost {
    /// What it is known by; also the name of its node. Its address may change, its name may not.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"))]
    pub name: String,
    /// DNS name or address, as seen from the last jump host.
    #[schemars(length(min = 1, max = 253))]
    pub host: String,
    /// TCP port of its SSH server. Absent: 22.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<u16>,
    /// The address by which the other hosts reach it, where that differs from `host`. Absent: the one that K3s finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 45))]
    pub node_ip: Option<String>,
    /// Labels on its node.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 50))]
    pub labels: BTreeMap<String, String>,
    /// Taints on its node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub taints: Vec<Taint>,
    /// Whether it is expected to be there. Absent: `Always`. Servers are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub presence: Option<Presence>,
}

/// Whether a host is expected to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Presence {
    /// It is: away means trouble.
    Always,
    /// It comes and goes. While it is away nothing waits for it; when it comes back it is brought to what is declared.
    Intermittent,
}

/// Where K3s keeps its data.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.type == 'External') == has(self.secretRef)").message("secretRef goes with type External, and only with it"))]
pub struct K3sDatastore {
    /// What it is.
    #[serde(rename = "type")]
    pub type_: K3sDatastoreType,
    /// A Secret in the object's namespace with key `datastore-endpoint`, for example `postgres://user:password@host:5432/k3s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<LocalRef>,
}

/// What keeps the data of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum K3sDatastoreType {
    /// etcd inside the servers.
    EmbeddedEtcd,
    /// A file on the only server.
    Sqlite,
    /// A database elsewhere.
    External,
}

/// Where K3s itself comes from.
#[derive(KubeSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[x_kube(crates(kube_core = "kube_core"))]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.type != 'Preinstalled' || !has(self.mirrorUrl)").message("mirrorUrl means nothing with type Preinstalled"))]
#[x_kube(validation = Rule::new("self.type != 'Airgap' || has(self.mirrorUrl)").message("mirrorUrl is needed with type Airgap"))]
pub struct K3sSource {
    /// How it gets onto the hosts.
    #[serde(rename = "type")]
    pub type_: K3sSourceType,
    /// A folder over HTTPS with `<version>/<file>` as in K3s's releases. Absent: K3s's releases on GitHub.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 512), regex(pattern = "^https://[^@?#]+$"))]
    pub mirror_url: Option<String>,
}

/// How K3s gets onto hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum K3sSourceType {
    /// We fetch the binary, hold it against the published checksum, and bring it over SSH. Images come from registries.
    Download,
    /// So, from `mirrorUrl`, and the archive of K3s's images too: hosts need no way out.
    Airgap,
    /// The binary lies on the hosts already, in the declared version; we never touch it.
    Preinstalled,
    /// K3s's own install script, which we fetch and bring over SSH; it downloads on the host.
    Script,
}

/// How a cluster is made hard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct K3sHardening {
    /// Rules to keep. Absent: none beyond K3s's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<K3sProfile>,
    /// Whether Secrets are encrypted in the datastore. Absent: `Disabled`. Immutable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secrets_encryption: Option<Toggle>,
    /// Whether requests to the API are logged on the servers (30 days, 10 files of 100 MB). Absent: `Enabled` with profile `Cis`,
    /// else `Disabled`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_log: Option<Toggle>,
}

/// Rules to keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum K3sProfile {
    /// K3s's guide to the CIS benchmark: kernel settings, protected defaults, Pod Security `restricted`, rate limits.
    Cis,
}

/// Snapshots of embedded etcd.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct K3sBackup {
    /// When, as five fields of cron in the servers' time zone. Absent: `0 */12 * * *`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64), regex(pattern = r"^\S+ \S+ \S+ \S+ \S+$"))]
    pub schedule: Option<String>,
    /// How many each server keeps. Absent: 5.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1000))]
    pub keep: Option<u16>,
    /// A Secret in the object's namespace with keys `bucket`, `access-key`, `secret-key` and, where needed, `endpoint`, `region`,
    /// `folder`: snapshots go to that S3 bucket too. Absent: they stay on the servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub s3_secret_ref: Option<LocalRef>,
}
