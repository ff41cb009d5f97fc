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
    Adoption, Arch, Binary, Blob, Content, Digest, Disruption, K3sVersion, ManagedFile, Needs,
    Role, Wanted, unit_text,
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

/// The stand-in as a binary of this version, padded so that it takes several parts.
pub(crate) fn binary(version: &str) -> Binary {
    let script = include_str!("../host/k3s.sh").replace("VERSION", version);
    let bytes = format!("{script}{}", "#".repeat(200_000 - script.len()));
    let arch = if cfg!(target_arch = "aarch64") { Arch::Arm64 } else { Arch::Amd64 };
    Binary::new(arch, Digest::of(&bytes), Blob::new(bytes)).expect("binary")
}

/// A server as it is wanted in most tests.
pub(crate) fn wanted() -> Wanted {
    let config = format!("cluster-init: true\ntoken-file: {}\n", ManagedFile::Token.path());
    let registries = format!(
        "configs:\n  registry.example:\n    auth: {{username: till, password: {PASSWORD:?}}}\n"
    );
    let files = BTreeMap::from([
        (ManagedFile::Token, Content::new(TOKEN.to_owned())),
        (ManagedFile::Registries, Content::new(registries)),
        (ManagedFile::Config, Content::new(config)),
        (ManagedFile::Unit(Role::Server), Content::new(unit_text(Role::Server))),
    ]);
    Wanted {
        owner: owner("7-a"),
        adoption: Adoption::Never,
        role: Role::Server,
        version: version("v1.34.2+k3s1"),
        binary: binary("v1.34.2+k3s1"),
        files,
        needs: Needs { memory_kib: 1, data_kib: 1, ..Needs::of(Role::Server, true) },
        disruption: Disruption::Allowed,
        part_bytes: 150_000,
    }
}
