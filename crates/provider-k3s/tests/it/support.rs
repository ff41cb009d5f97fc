//! What the tests share: whose hosts are, what is wanted of them, and hosts to try on.

#![cfg_attr(
    not(target_os = "linux"),
    allow(dead_code, reason = "hosts to try on are made of Linux namespaces")
)]

#[cfg(target_os = "linux")]
pub(crate) mod host;
pub(crate) mod keys;
#[cfg(target_os = "linux")]
pub(crate) mod relay;

use std::collections::BTreeMap;

use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_provider_k3s::hosts::{
    Adoption, Arch, Content, Digest, Disruption, Fetched, K3sVersion, ManagedFile, Materials,
    Needs, Release, Role, Source, Wanted,
};

/// Never to be seen in arguments or logs.
pub(crate) const TOKEN: &str = "hunter2-hunter2-hunter2";
/// Likewise, and hard to quote.
pub(crate) const PASSWORD: &str = "o'hara $(touch /tmp/pwned) \"swordfish\"";

pub(crate) fn owner(uid: &str) -> Owner {
    Owner {
        hub: HubId::new("ab12").expect("hub"),
        object: ObjectKey::parse("edge/store-17"),
        uid: Uid::new(uid).expect("uid"),
    }
}

pub(crate) fn version(text: &str) -> K3sVersion {
    K3sVersion::parse(text).expect("version")
}

/// Which machine this one is.
pub(crate) const ARCH: Arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::Amd64 };

/// The stand-in as a binary of this version, padded so that it takes several parts.
pub(crate) fn binary(version: &str) -> Fetched {
    let script = include_str!("../host/k3s.py").replace("VERSION", version);
    let bytes = format!("{script}{}", "#".repeat(200_000 - script.len()));
    Fetched::new(ARCH, Digest::of(&bytes), bytes).expect("binary")
}

/// What is wanted of a host, and what it takes to get there.
#[derive(Debug, Clone)]
pub(crate) struct Goal {
    pub(crate) wanted: Wanted,
    pub(crate) materials: Materials,
}

impl Goal {
    pub(crate) fn file(&mut self, file: ManagedFile, text: &str) {
        let content = Content::new(text.to_owned());
        self.wanted.files.insert(file, content.digest().clone());
        self.materials.files.insert(file, content);
    }

    pub(crate) fn version(&mut self, text: &str) {
        let binary = binary(text);
        let release = Release { arch: ARCH, digest: binary.digest().clone() };
        self.wanted.version = version(text);
        self.wanted.source = Source::Sent(Some(release));
        self.materials.binary = Some(binary);
    }

    pub(crate) fn disruption(mut self, disruption: Disruption) -> Self {
        self.wanted.disruption = disruption;
        self
    }
}

/// A server as it is wanted in most tests.
pub(crate) fn goal() -> Goal {
    let wanted = Wanted {
        owner: owner("7-a"),
        adoption: Adoption::Never,
        role: Role::Server,
        version: version("v1.34.2+k3s1"),
        source: Source::Sent(None),
        images: None,
        files: BTreeMap::new(),
        sysctls: BTreeMap::new(),
        needs: Needs { memory_kib: 1, data_kib: 1, ..Needs::of(Role::Server, true) },
        disruption: Disruption::Upgrade,
    };
    let materials = Materials { part_bytes: Some(150_000), ..Materials::default() };
    let mut goal = Goal { wanted, materials };
    goal.version("v1.34.2+k3s1");
    goal.file(ManagedFile::Token, TOKEN);
    let config = format!("cluster-init: true\ntoken-file: {}\n", ManagedFile::Token.path());
    goal.file(ManagedFile::Config, &config);
    goal.file(
        ManagedFile::Registries,
        &format!(
            "configs:\n  registry.example:\n    auth: {{username: till, password: {PASSWORD:?}}}\n"
        ),
    );
    goal
}
