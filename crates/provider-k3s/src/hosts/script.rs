//! Deeds as scripts. Pure: the same deed gives the same bytes.
//!
//! A script is one line that names the deed with its values as JSON (for hosts that are simulated), the shared beginning, the
//! values it works with as assignments of quoted text, the check of the marker where the deed needs one, and the file of that
//! deed under `scripts/`. Values are therefore never part of a command, and what is secret is never part of a script at all.

use std::time::Duration;

use fleetwright_names::Owner;
use serde_json::{Value, json};

use super::artifact::Artifact;
use super::file::ManagedFile;
use super::marker::{self, Marker, MarkerChange};
use super::op::{HostOp, Stubborn};
use super::wire::{Payload, Request};

/// Where K3s's binary lies.
pub(crate) const BINARY: &str = "/usr/local/bin/k3s";
/// Where a start notes the digests of what it reads. In `/run`, so that a reboot forgets it with the process.
pub(crate) const LOADED: &str = "/run/fleetwright/loaded";
/// What a node bears that we cordoned, and why.
const IN_TURN: &str = "fleetwright.dev/in-turn";
/// Where K3s keeps what others join with.
const TOKEN: &str = "/var/lib/rancher/k3s/server/token";
/// Where K3s writes the administrator's kubeconfig.
const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";
/// Slowest line that we plan for, in bytes a second.
const SLOW_LINE: u64 = 32 * 1024;

const PRELUDE: &str = include_str!("scripts/prelude.sh");
const GUARD: &str = include_str!("scripts/guard.sh");
const FOLDER: &str = include_str!("scripts/folder.sh");
const KUBECTL: &str = include_str!("scripts/kubectl.sh");
const END: &str = include_str!("scripts/end.sh");

/// The script of `op` for the object that `owner` names.
#[must_use]
pub fn render(op: &HostOp, owner: &Owner) -> Request {
    let mut script = format!("# fleetwright deed: {} {}\n{PRELUDE}", op.word(), told(op));
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
    for part in parts(op) {
        script.push_str(part);
    }
    script.push_str(END);
    let timeout = Duration::from_secs(timeout_s(op));
    Request { what: op.to_string(), script, payload: payload(op), timeout }
}

/// The deed's own part of the script, behind what it shares with others.
fn parts(op: &HostOp) -> Vec<&'static str> {
    match op {
        HostOp::ReadFacts => vec![include_str!("scripts/facts.sh")],
        HostOp::ChangeMarker(_) => vec![include_str!("scripts/marker.sh")],
        HostOp::PutPart { .. } => vec![FOLDER, include_str!("scripts/put_part.sh")],
        HostOp::Place { .. } => vec![include_str!("scripts/place.sh")],
        HostOp::RunInstallScript { .. } => vec![include_str!("scripts/install_script.sh")],
        HostOp::WriteFile { .. } => vec![FOLDER, include_str!("scripts/write_file.sh")],
        HostOp::RemoveFile { .. } => vec![include_str!("scripts/remove_file.sh")],
        HostOp::ApplySysctls => vec![include_str!("scripts/apply_sysctls.sh")],
        HostOp::Service { .. } => vec![include_str!("scripts/service.sh")],
        HostOp::ReadToken => vec![include_str!("scripts/read_token.sh")],
        HostOp::Uninstall => vec![include_str!("scripts/uninstall.sh")],
        HostOp::ReadCluster => vec![KUBECTL, include_str!("scripts/read_cluster.sh")],
        HostOp::Cordon { .. } => vec![KUBECTL, include_str!("scripts/cordon.sh")],
        HostOp::Uncordon { .. } => vec![KUBECTL, include_str!("scripts/uncordon.sh")],
        HostOp::Drain { .. } => vec![KUBECTL, include_str!("scripts/drain.sh")],
        HostOp::DeleteNode { .. } => vec![KUBECTL, include_str!("scripts/delete_node.sh")],
        HostOp::MintToken { .. } => vec![KUBECTL, include_str!("scripts/mint_token.sh")],
    }
}

/// What the first line tells of the deed. Nothing here is secret.
fn told(op: &HostOp) -> Value {
    match op {
        HostOp::ReadFacts
        | HostOp::ApplySysctls
        | HostOp::ReadToken
        | HostOp::Uninstall
        | HostOp::ReadCluster => json!({}),
        HostOp::ChangeMarker(MarkerChange { was, now }) => {
            json!({"now": now.text(), "was": was.as_ref().map(Marker::text)})
        }
        HostOp::PutPart { artifact, digest, offset, bytes, whole } => json!({
            "artifact": artifact.word(),
            "digest": digest.as_str(),
            "length": bytes.len(),
            "offset": offset,
            "whole": whole,
        }),
        HostOp::Place { artifact, digest } => {
            json!({"artifact": artifact.word(), "digest": digest.as_str()})
        }
        HostOp::RunInstallScript { role, version, script } => json!({
            "digest": script.digest().as_str(),
            "role": role.word(),
            "version": version.to_string(),
        }),
        HostOp::WriteFile { file, content } => json!({
            "digest": content.digest().as_str(),
            "mode": file.mode(),
            "path": file.path(),
        }),
        HostOp::RemoveFile { file } => json!({"path": file.path()}),
        HostOp::Service { role, action } => json!({"action": action.word(), "role": role.word()}),
        HostOp::Cordon { node, what } => json!({"node": node.as_str(), "what": plain(what)}),
        HostOp::Uncordon { node } | HostOp::DeleteNode { node } => json!({"node": node.as_str()}),
        HostOp::Drain { node, wait, stubborn } => json!({
            "force": *stubborn == Stubborn::Deleted,
            "node": node.as_str(),
            "timeout_s": wait.as_secs(),
        }),
        HostOp::MintToken { valid } => json!({"seconds": valid.as_secs()}),
    }
}

/// What the script works with. Nothing here is secret.
fn values(op: &HostOp) -> Vec<(&'static str, String)> {
    let binary = ("binary", BINARY.to_owned());
    let token = ("token", TOKEN.to_owned());
    let path = |file: ManagedFile| ("file", file.path().to_owned());
    let files = ("files", ManagedFile::ALL.map(ManagedFile::path).join(" "));
    let loaded = ("loaded", LOADED.to_owned());
    let in_cluster = |more: Vec<(&'static str, String)>| {
        let shared = [("binary", BINARY.to_owned()), ("kubeconfig", KUBECONFIG.to_owned())];
        shared.into_iter().chain(more).collect()
    };
    let of_node = |node: &super::op::NodeName| ("node", node.as_str().to_owned());
    match op {
        HostOp::ReadFacts => vec![binary, files, loaded],
        HostOp::Uninstall => {
            vec![binary, files, ("keep", ManagedFile::KeepBinary.path().to_owned()), loaded]
        }
        HostOp::ChangeMarker(MarkerChange { was, now }) => {
            let was = was.as_ref().map(Marker::text).unwrap_or_default();
            vec![("was", was), ("now", now.text())]
        }
        HostOp::PutPart { artifact, digest, offset, bytes, whole } => vec![
            target(*artifact),
            ("digest", digest.to_string()),
            ("offset", offset.to_string()),
            ("length", bytes.len().to_string()),
            ("whole", whole.to_string()),
        ],
        HostOp::Place { artifact, digest } => vec![
            binary,
            target(*artifact),
            ("digest", digest.to_string()),
            ("mode", artifact.mode().to_owned()),
        ],
        HostOp::RunInstallScript { role, version, script } => vec![
            ("role", role.word().to_owned()),
            ("version", version.to_string()),
            ("digest", script.digest().to_string()),
        ],
        HostOp::WriteFile { file, content } => vec![
            path(*file),
            ("digest", content.digest().to_string()),
            ("mode", file.mode().to_owned()),
        ],
        HostOp::RemoveFile { file } => vec![path(*file)],
        HostOp::ApplySysctls => vec![path(ManagedFile::Sysctls)],
        HostOp::Service { role, action } => vec![
            ("action", action.word().to_owned()),
            ("unit", format!("{}.service", role.service())),
        ],
        HostOp::ReadToken => vec![token],
        HostOp::ReadCluster => in_cluster(vec![token]),
        HostOp::Cordon { node, what } => in_cluster(vec![
            of_node(node),
            ("what", plain(what)),
            ("patch", cordon(&json!(plain(what)), &json!(true))),
        ]),
        HostOp::Uncordon { node } => {
            in_cluster(vec![of_node(node), ("patch", cordon(&Value::Null, &Value::Null))])
        }
        HostOp::Drain { node, wait, stubborn } => in_cluster(vec![
            of_node(node),
            ("wait", wait.as_secs().to_string()),
            (
                "stubborn",
                match stubborn {
                    Stubborn::Kept => "kept".to_owned(),
                    Stubborn::Deleted => "deleted".to_owned(),
                },
            ),
        ]),
        HostOp::DeleteNode { node } => in_cluster(vec![of_node(node)]),
        HostOp::MintToken { valid } => in_cluster(vec![("seconds", valid.as_secs().to_string())]),
    }
}

fn target(artifact: Artifact) -> (&'static str, String) {
    ("target", artifact.path().to_owned())
}

/// A merge patch of a node: both in one write, so that a node is never cordoned without saying by whom.
fn cordon(why: &Value, unschedulable: &Value) -> String {
    json!({
        "metadata": {"annotations": {IN_TURN: why}},
        "spec": {"unschedulable": unschedulable},
    })
    .to_string()
}

/// Scripts are counted in bytes by one side and in characters by the other, so they hold ASCII only.
fn plain(text: &str) -> String {
    let one = |c: char| if c == ' ' || c.is_ascii_graphic() { c } else { '?' };
    text.chars().map(one).take(200).collect()
}

fn payload(op: &HostOp) -> Payload {
    match op {
        HostOp::PutPart { bytes, .. } => Payload::Blob(bytes.clone()),
        HostOp::WriteFile { content, .. } | HostOp::RunInstallScript { script: content, .. } => {
            Payload::Secret(content.text().clone())
        }
        _ => Payload::Nothing,
    }
}

fn timeout_s(op: &HostOp) -> u64 {
    match op {
        HostOp::PutPart { bytes, .. } => 60 + bytes.len() as u64 / SLOW_LINE,
        HostOp::RunInstallScript { .. } => 900,
        HostOp::Uninstall => 600,
        HostOp::Drain { wait, .. } => 60 + wait.as_secs(),
        // Stopping waits for K3s; systemd gives up on it after 90 s. A digest of the binary takes its time on small machines,
        // and the API of a server that has just started takes its time to answer.
        _ => 120,
    }
}

/// One word of shell, whatever the text is.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::op::NodeName;

    #[test]
    fn quoted_text_stays_one_word() {
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("a b\n$(reboot)"), "'a b\n$(reboot)'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }

    #[test]
    fn the_first_line_tells_the_deed_and_its_values() {
        let node = NodeName::new("s1").expect("name");
        let op = HostOp::Cordon { node, what: "upgrade to \"v1.35\"\nnow ü".to_owned() };
        let line = format!("{} {}", op.word(), told(&op));
        assert_eq!(line, r#"cordon {"node":"s1","what":"upgrade to \"v1.35\"?now ?"}"#);
    }

    #[test]
    fn a_patch_of_a_node_says_both_or_neither() {
        assert_eq!(
            cordon(&json!("upgrade"), &json!(true)),
            r#"{"metadata":{"annotations":{"fleetwright.dev/in-turn":"upgrade"}},"spec":{"unschedulable":true}}"#
        );
        assert_eq!(
            cordon(&Value::Null, &Value::Null),
            r#"{"metadata":{"annotations":{"fleetwright.dev/in-turn":null}},"spec":{"unschedulable":null}}"#
        );
    }
}
