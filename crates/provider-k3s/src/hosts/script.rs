//! Deeds as scripts. Pure: the same deed gives the same bytes.
//!
//! A script is the shared beginning, the values it works with as assignments of quoted text, the check of the marker where the
//! deed needs one, and the file of that deed under `scripts/`. Values are therefore never part of a command, and what is secret is
//! never part of a script at all.

use std::time::Duration;

use fleetwright_names::Owner;

use super::digest::Digest;
use super::file::ManagedFile;
use super::marker::{self, Marker, MarkerChange};
use super::op::HostOp;
use super::wire::{Payload, Request};

/// Where K3s's binary lies.
pub(crate) const BINARY: &str = "/usr/local/bin/k3s";
/// Where a start notes the digests of what it reads. In `/run`, so that a reboot forgets it with the process.
pub(crate) const LOADED: &str = "/run/fleetwright/loaded";
/// Where K3s keeps what others join with.
const TOKEN: &str = "/var/lib/rancher/k3s/server/token";
/// Where K3s writes the administrator's kubeconfig.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// Slowest line that we plan for, in bytes a second.
const SLOW_LINE: u64 = 32 * 1024;

const PRELUDE: &str = include_str!("scripts/prelude.sh");
const GUARD: &str = include_str!("scripts/guard.sh");
const END: &str = include_str!("scripts/end.sh");

/// The script of `op` for the object that `owner` names.
#[must_use]
pub fn render(op: &HostOp, owner: &Owner) -> Request {
    let (word, body) = source(op);
    let mut script = format!("# fleetwright deed: {word}\n{PRELUDE}");
    let mut assign = |name: &str, value: &str| {
        script.push_str(&format!("{name}={}\n", quoted(value)));
    };
    assign("marker", marker::PATH);
    for (name, value) in values(op) {
        assign(name, &value);
    }
    // Looking is always allowed, and a change of the marker compares it with what was seen itself.
    if !matches!(op, HostOp::ReadFacts | HostOp::ChangeMarker(_)) {
        assign("ours", &Marker::Owned(owner.clone()).text());
        script.push_str(GUARD);
    }
    script.push_str(body);
    script.push_str(END);
    let timeout = Duration::from_secs(timeout_s(op));
    Request { what: op.to_string(), script, payload: payload(op), timeout }
}

/// The deed in one word, without what it is done with, and its own part of the script.
fn source(op: &HostOp) -> (&'static str, &'static str) {
    match op {
        HostOp::ReadFacts => ("read-facts", include_str!("scripts/facts.sh")),
        HostOp::ChangeMarker(_) => ("change-marker", include_str!("scripts/marker.sh")),
        HostOp::PutBinaryPart { .. } => ("put-binary-part", include_str!("scripts/put_part.sh")),
        HostOp::PlaceBinary { .. } => ("place-binary", include_str!("scripts/place_binary.sh")),
        HostOp::WriteFile { .. } => ("write-file", include_str!("scripts/write_file.sh")),
        HostOp::RemoveFile { .. } => ("remove-file", include_str!("scripts/remove_file.sh")),
        HostOp::ApplySysctls => ("apply-sysctls", include_str!("scripts/apply_sysctls.sh")),
        HostOp::Service { .. } => ("service", include_str!("scripts/service.sh")),
        HostOp::ReadToken => ("read-token", include_str!("scripts/read_token.sh")),
        HostOp::ReadKubeconfig => ("read-kubeconfig", include_str!("scripts/read_kubeconfig.sh")),
        HostOp::SaveSnapshot { .. } => ("save-snapshot", include_str!("scripts/snapshot.sh")),
        HostOp::Uninstall => ("uninstall", include_str!("scripts/uninstall.sh")),
    }
}

/// What the script works with. Nothing here is secret.
fn values(op: &HostOp) -> Vec<(&'static str, String)> {
    let binary = ("binary", BINARY.to_owned());
    let of = |digest: &Digest| ("digest", digest.to_string());
    let path = |file: ManagedFile| ("file", file.path().to_owned());
    let files = || ("files", ManagedFile::ALL.map(ManagedFile::path).join(" "));
    match op {
        HostOp::ReadFacts | HostOp::Uninstall => {
            vec![binary, files(), ("loaded", LOADED.to_owned())]
        }
        HostOp::ChangeMarker(MarkerChange { was, now }) => {
            let was = was.as_ref().map(Marker::text).unwrap_or_default();
            vec![("was", was), ("now", now.text())]
        }
        HostOp::PutBinaryPart { digest, offset, bytes } => vec![
            binary,
            of(digest),
            ("offset", offset.to_string()),
            ("length", bytes.len().to_string()),
        ],
        HostOp::PlaceBinary { digest } => vec![binary, of(digest)],
        HostOp::WriteFile { file, content } => {
            vec![path(*file), of(content.digest()), ("mode", file.mode().to_owned())]
        }
        HostOp::RemoveFile { file } => vec![path(*file)],
        HostOp::ApplySysctls => vec![path(ManagedFile::Sysctls)],
        HostOp::Service { role, action } => vec![
            ("action", action.word().to_owned()),
            ("unit", format!("{}.service", role.service())),
        ],
        HostOp::ReadToken => vec![("token", TOKEN.to_owned())],
        HostOp::ReadKubeconfig => vec![("kubeconfig", KUBECONFIG.to_owned())],
        HostOp::SaveSnapshot { name } => vec![binary, ("name", name.as_str().to_owned())],
    }
}

fn payload(op: &HostOp) -> Payload {
    match op {
        HostOp::PutBinaryPart { bytes, .. } => Payload::Blob(bytes.clone()),
        HostOp::WriteFile { content, .. } => Payload::Secret(content.text().clone()),
        _ => Payload::Nothing,
    }
}

fn timeout_s(op: &HostOp) -> u64 {
    match op {
        HostOp::PutBinaryPart { bytes, .. } => 60 + bytes.len() as u64 / SLOW_LINE,
        HostOp::SaveSnapshot { .. } => 900,
        HostOp::Uninstall => 600,
        // Stopping waits for K3s; systemd gives up on it after 90 s. A digest of the binary takes its time on small machines.
        HostOp::Service { .. } | HostOp::PlaceBinary { .. } => 180,
        _ => 60,
    }
}

/// Text as one word of the shell, whatever it holds.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_text_stays_one_word() {
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b\n$(reboot)"), "'a b\n$(reboot)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
