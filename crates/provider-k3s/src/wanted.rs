//! How one host is to be, in the words of `hosts::next`: from a declaration and what was learnt of secrets and releases. Pure.

use std::collections::BTreeMap;

use fleetwright_names::Owner;
use serde::{Deserialize, Serialize};

use crate::body::{ClusterBody, HostBody, Store, Way};
use crate::hosts::{
    Adoption, Arch, Artifact, Datastore, Digest, Disruption, HostFacts, K3sVersion, ManagedFile,
    Needs, Packing, Release, Role, Source, Wanted,
};

/// How images are packed in K3s's releases.
pub(crate) const IMAGES: Artifact = Artifact::Images(Packing::Zstd);

/// What was learnt of one release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sums {
    pub(crate) binary: Digest,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) images: Option<Digest>,
}

/// Releases by `version/machine`, for example `v1.34.2+k3s1/amd64`.
pub(crate) type Releases = BTreeMap<String, Sums>;

/// The key of a release.
pub(crate) fn release_key(version: &str, arch: Arch) -> String {
    format!("{version}/{}", arch.word())
}

/// Digests of what holds secrets.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecretDigests {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) registries: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) s3: Option<Digest>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) datastore: Option<Digest>,
}

/// All that decides how a host is to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inputs<'a> {
    pub(crate) owner: &'a Owner,
    pub(crate) cluster: &'a ClusterBody,
    pub(crate) host: &'a HostBody,
    pub(crate) facts: &'a HostFacts,
    pub(crate) version: K3sVersion,
    /// It begins the cluster.
    pub(crate) begins: bool,
    pub(crate) secrets: &'a SecretDigests,
    /// Of the line that others join with, once there is a cluster.
    pub(crate) token: Option<&'a Digest>,
    pub(crate) releases: &'a Releases,
    pub(crate) disruption: Disruption,
}

/// Whether a cluster's data is on the host: it began one, or was let into one.
pub(crate) fn has_data(facts: &HostFacts) -> bool {
    let store = [Datastore::Etcd, Datastore::Sqlite].iter().any(|kind| facts.data.contains(kind));
    store || facts.server_token.is_some()
}

/// What is on the host beyond a marker and what we put there before the first start.
pub(crate) fn has_run(facts: &HostFacts, role: Role) -> bool {
    match role {
        Role::Server => has_data(facts),
        Role::Agent => facts.data.contains(&Datastore::Agent),
    }
}

/// Why a server's data is not that of the cluster that answers, which has no node of it; `None`: nothing tells so. `token`: of the
/// line that others join with, as that cluster tells it.
pub(crate) fn foreign_data(facts: &HostFacts, token: Option<&Digest>) -> Option<&'static str> {
    let only = facts.data.contains(&Datastore::Sqlite) && !facts.data.contains(&Datastore::Etcd);
    let other = match (&facts.server_token, token) {
        (Some(theirs), Some(ours)) => theirs != ours,
        _ => false,
    };
    match (only, other) {
        (true, _) => Some("it keeps a cluster of its own in Sqlite"),
        (false, true) => Some("its token is that of another cluster"),
        (false, false) => None,
    }
}

impl Inputs<'_> {
    /// Whether its configuration is that of one that joined. What lies on a host with data stays as it is.
    pub(crate) fn joins(&self) -> bool {
        match self.host.role {
            Role::Agent => true,
            Role::Server if has_data(self.facts) => {
                self.facts.files.contains_key(&ManagedFile::Token)
            }
            Role::Server => !self.begins,
        }
    }

    /// The configuration's text.
    pub(crate) fn config(&self) -> &str {
        match (&self.host.begins, self.joins()) {
            (Some(begins), false) => begins,
            _ => &self.host.joins,
        }
    }

    pub(crate) fn wanted(&self) -> Wanted {
        let Self { owner, cluster, host, facts, version, disruption, .. } = *self;
        let mut files: BTreeMap<ManagedFile, Digest> = BTreeMap::new();
        let mut put = |file: ManagedFile, digest: Digest| {
            files.insert(file, digest);
        };
        for (file, text) in &host.files {
            put(*file, Digest::of(text));
        }
        put(ManagedFile::Config, Digest::of(self.config()));
        if self.joins() {
            let lies = facts.files.get(&ManagedFile::Token).map(|seen| &seen.digest);
            // While nobody tells the token, what lies there is taken for right.
            if let Some(token) = self.token.or(lies) {
                put(ManagedFile::Token, token.clone());
            }
        }
        let is_server = host.role == Role::Server;
        let SecretDigests { registries, s3, datastore } = self.secrets;
        let etcd = cluster.store == Store::EmbeddedEtcd;
        let of_servers = [
            (ManagedFile::SnapshotStore, s3.as_ref().filter(|_| etcd)),
            (ManagedFile::Datastore, datastore.as_ref()),
        ];
        if let Some(digest) = registries {
            put(ManagedFile::Registries, digest.clone());
        }
        for (file, digest) in of_servers.into_iter().filter(|_| is_server) {
            if let Some(digest) = digest {
                put(file, digest.clone());
            }
        }
        let sums = facts.arch.and_then(|arch| {
            let found = self.releases.get(&release_key(&version.to_string(), arch))?;
            Some((arch, found))
        });
        let binary = sums.map(|(arch, sums)| Release { arch, digest: sums.binary.clone() });
        let images = sums.and_then(|(arch, sums)| {
            Some((IMAGES, Release { arch, digest: sums.images.clone()? }))
        });
        Wanted {
            owner: owner.clone(),
            adoption: if cluster.adopts { Adoption::Existing } else { Adoption::Never },
            role: host.role,
            version,
            source: match cluster.source {
                Way::Download | Way::Airgap => Source::Sent(binary),
                Way::Preinstalled => Source::Preinstalled,
                Way::Script => Source::Script,
            },
            images: images.filter(|_| cluster.source == Way::Airgap),
            sysctls: sysctls(host.files.get(&ManagedFile::Sysctls)),
            files,
            needs: Needs::of(host.role, is_server && etcd),
            disruption,
        }
    }
}

/// The settings that a file of sysctl makes.
fn sysctls(text: Option<&String>) -> BTreeMap<String, String> {
    let lines = text.map(String::as_str).unwrap_or_default().lines();
    let settings = lines.filter(|line| !line.starts_with('#')).filter_map(|l| l.split_once('='));
    settings.map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())).collect()
}
