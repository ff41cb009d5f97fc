//! What is told about the hosts of a cluster that has some. Pure.

use std::collections::BTreeMap;

use fleetwright_api_types::{
    ANNOTATION_ABANDON_HOSTS, ConditionStatus as Is, K3sHost, ManagedCluster, ObservedHost,
};
use fleetwright_plan::{KubernetesVersion, PartKey, Phase, Seen, SeenPart, Snapshot};
use kube::ResourceExt;
use serde_json::Value;

/// The kinds of parts that are hosts, in the words of `status.hosts[].role`.
const SERVER: &str = "server";
const AGENT: &str = "agent";

/// Nothing is done there yet.
const NOTED: &str = "Noted";
/// An intermittent one that does not answer.
const AWAY: &str = "Away";
const UNKNOWN: &str = "Unknown";
/// How a line of `status.leftovers` about a host begins.
pub(super) const HOST: &str = "Host ";

/// Whether a part is a host.
pub(crate) fn is_host(key: &PartKey) -> bool {
    role(key).is_some()
}

fn role(key: &PartKey) -> Option<&'static str> {
    let words = key.kind.to_string();
    [SERVER, AGENT].into_iter().find(|role| *role == words)
}

/// The hosts of the status, sorted by name: those declared, from before anything is done there, and those where something of
/// ours is or may be. One that is declared no longer stays until it was seen to be free of us.
pub(super) fn observed(
    cluster: &ManagedCluster,
    is_ours: impl Fn(&SeenPart) -> bool,
    snapshot: Option<&Snapshot>,
) -> Vec<ObservedHost> {
    let before = cluster.status.as_ref().map(|status| status.hosts.as_slice()).unwrap_or_default();
    let mut hosts: BTreeMap<&str, ObservedHost> =
        before.iter().map(|host| (host.name.as_str(), host.clone())).collect();
    let declared = declared(cluster);
    for (host, role) in &declared {
        let known = hosts.remove(host.name.as_str());
        hosts.insert(&host.name, noted(host, role, known));
    }
    let Some(snapshot) = snapshot else { return hosts.into_values().collect() };
    let is_declared = |name: &str| declared.iter().any(|(host, _)| host.name == name);
    let looked = hosts.into_values().filter_map(|host| {
        let stays = is_declared(&host.name);
        look(host, stays, &is_ours, snapshot)
    });
    looked.collect()
}

/// Servers and agents with their role, unless the cluster is on its way out: then nothing is done where nothing was.
fn declared(cluster: &ManagedCluster) -> Vec<(&K3sHost, &'static str)> {
    let Some(k3s) = cluster.spec.k3s.as_ref() else { return Vec::new() };
    if cluster.metadata.deletion_timestamp.is_some() {
        return Vec::new();
    }
    let servers = k3s.servers.iter().map(|host| (host, SERVER));
    servers.chain(k3s.agents.iter().map(|host| (host, AGENT))).collect()
}

/// Name, host and port of every declared host.
pub(in crate::managed_cluster) fn declared_hosts(
    cluster: &ManagedCluster,
) -> Vec<(&str, &str, Option<u16>)> {
    let all = declared(cluster).into_iter();
    all.map(|(host, _)| (host.name.as_str(), host.host.as_str(), host.port)).collect()
}

fn noted(host: &K3sHost, role: &str, known: Option<ObservedHost>) -> ObservedHost {
    let (phase, version) =
        known.map_or((NOTED.to_owned(), None), |known| (known.phase, known.version));
    ObservedHost {
        name: host.name.clone(),
        role: role.to_owned(),
        host: host.host.clone(),
        port: host.port,
        phase,
        version,
    }
}

/// What this look says of a host; `None`: nothing of ours is there, and nothing shall be.
fn look(
    mut host: ObservedHost,
    stays: bool,
    is_ours: &impl Fn(&SeenPart) -> bool,
    snapshot: &Snapshot,
) -> Option<ObservedHost> {
    let free = |host: ObservedHost| {
        let nothing = ObservedHost { phase: NOTED.to_owned(), version: None, ..host };
        stays.then_some(nothing)
    };
    match part(&host.name, snapshot) {
        Some((role, Seen::Present(part))) if is_ours(part) => {
            host.phase = phase(part).to_owned();
            host.version = text(part, "version").or(host.version.filter(|_| is_away(part)));
            role.clone_into(&mut host.role);
            Some(host)
        }
        Some((_, Seen::Present(_) | Seen::Absent)) => free(host),
        Some((_, Seen::Unknown { .. })) => {
            UNKNOWN.clone_into(&mut host.phase);
            Some(host)
        }
        // Nobody looked there.
        None => Some(host),
    }
}

/// The part of a name; where both roles have one, that which is there.
fn part<'s>(name: &str, snapshot: &'s Snapshot) -> Option<(&'static str, &'s Seen<SeenPart>)> {
    let all = snapshot.parts.iter().filter(|(key, _)| key.name == name);
    let mut all = all.filter_map(|(key, seen)| Some((role(key)?, seen)));
    let first = all.next()?;
    let other = all.find(|(_, seen)| !matches!(seen, Seen::Absent));
    Some(other.filter(|_| matches!(first.1, Seen::Absent)).unwrap_or(first))
}

fn text(part: &SeenPart, key: &str) -> Option<String> {
    part.body.get(key).and_then(Value::as_str).map(str::to_owned)
}

fn is_away(part: &SeenPart) -> bool {
    part.body.get("away") == Some(&Value::Bool(true))
}

fn phase(part: &SeenPart) -> &'static str {
    if is_away(part) { AWAY } else { super::pools::phase(part.phase) }
}

/// How many hosts carry the cluster.
pub(super) fn nodes(hosts: &[ObservedHost]) -> i32 {
    let active = |host: &&ObservedHost| matches!(host.phase.as_str(), "Active" | "Updating");
    i32::try_from(hosts.iter().filter(active).count()).unwrap_or(i32::MAX)
}

/// For each host that was seen, whether it is where it shall be.
pub(super) fn there<'s>(
    snapshot: &'s Snapshot,
    is: impl Fn(&SeenPart) -> bool + 's,
) -> impl Iterator<Item = bool> + 's {
    let hosts = snapshot.parts.iter().filter(|(key, _)| is_host(key));
    hosts.filter_map(move |(_, seen)| Some(is(seen.present()?)))
}

/// Whether a host runs `wanted` or newer.
pub(super) fn runs(part: &SeenPart, wanted: KubernetesVersion) -> bool {
    let runs = text(part, "version").and_then(|text| KubernetesVersion::parse("", &text).ok());
    runs.is_some_and(|runs| runs >= wanted)
}

/// How bad it is with one agent, best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Ready,
    Away,
    Updating,
    Creating,
    Skewed(String),
    Unknown(String),
    NotReady(String),
    Failed(String),
}

/// Whether every declared agent carries work: status, reason, message.
pub(super) fn ready(
    cluster: &ManagedCluster,
    snapshot: &Snapshot,
    is_ours: impl Fn(&SeenPart) -> bool,
) -> (Is, &'static str, String) {
    let agents: Vec<&K3sHost> =
        declared(cluster).into_iter().filter(|(_, role)| *role == AGENT).map(|one| one.0).collect();
    if agents.is_empty() {
        return (Is::True, "NoPools", "no agent is declared; servers carry the work".to_owned());
    }
    if let Seen::Unknown { why, .. } = &snapshot.cluster {
        return (Is::Unknown, "NotSeen", why.clone());
    }
    let standings: Vec<(&str, Standing)> = agents
        .iter()
        .map(|host| (host.name.as_str(), standing(&host.name, snapshot, &is_ours)))
        .collect();
    let fine = |standing: &Standing| matches!(standing, Standing::Ready | Standing::Updating);
    let count = standings.iter().filter(|(_, standing)| fine(standing)).count();
    let share = format!("agents {count}/{}", agents.len());
    // The first of the worst, so that the message does not jump between equals.
    let worst = standings.iter().rev().max_by(|one, other| one.1.cmp(&other.1));
    let Some((name, worst)) = worst else { return (Is::True, "Available", share) };
    match worst {
        Standing::Ready => (Is::True, "Available", share),
        Standing::Away => (Is::True, "HostsAway", format!("{share}; {name} is away")),
        Standing::Updating => (Is::True, "Updating", format!("{share}; {name} is changing")),
        Standing::Creating => (Is::False, "Creating", format!("{share}; {name} is not ready yet")),
        Standing::Skewed(why) => (Is::False, "VersionSkew", format!("{share}; {name} {why}")),
        Standing::Unknown(why) => (Is::Unknown, "NotSeen", format!("{share}; {name}: {why}")),
        Standing::NotReady(why) => (Is::False, "HostsNotReady", format!("{share}; {name}: {why}")),
        Standing::Failed(why) => (Is::False, "Failed", format!("{share}; {name}: {why}")),
    }
}

fn standing(name: &str, snapshot: &Snapshot, is_ours: &impl Fn(&SeenPart) -> bool) -> Standing {
    let part = match part(name, snapshot) {
        Some((_, Seen::Present(part))) if is_ours(part) => part,
        Some((_, Seen::Unknown { why, .. })) => return Standing::Unknown(why.clone()),
        Some((_, Seen::Present(_) | Seen::Absent)) | None => return Standing::Creating,
    };
    if is_away(part) {
        return Standing::Away;
    }
    let version = |text: String| KubernetesVersion::parse("", &text).ok();
    let control_plane = snapshot.cluster.present().and_then(|seen| version(seen.version.clone()));
    match part.phase {
        Phase::Failed => Standing::Failed(part.trouble.clone()),
        Phase::Creating | Phase::Deleting => Standing::Creating,
        Phase::Updating => Standing::Updating,
        Phase::Active if !part.trouble.is_empty() => Standing::NotReady(part.trouble.clone()),
        Phase::Active => match (text(part, "version").and_then(version), control_plane) {
            // One minor behind is the way of an upgrade: servers go first.
            (Some(runs), Some(of)) if runs.minor + 1 < of.minor => {
                Standing::Skewed(format!("runs {runs}, the control plane {of}"))
            }
            _ => Standing::Ready,
        },
    }
}

/// The hosts that the annotation gives up.
fn given_up(cluster: &ManagedCluster) -> Vec<&str> {
    let annotation = cluster.annotations().get(ANNOTATION_ABANDON_HOSTS);
    let names = annotation.map(String::as_str).unwrap_or_default().split(',').map(str::trim);
    let mut names: Vec<&str> = names.filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// What stays behind on hosts that were given up, one line each, as long as the annotation names them. A host that is still
/// declared is not given up.
pub(in crate::managed_cluster) fn abandoned(cluster: &ManagedCluster) -> Vec<String> {
    let status = cluster.status.as_ref();
    let hosts = status.map(|status| status.hosts.as_slice()).unwrap_or_default();
    let told = status.map(|status| status.leftovers.as_slice()).unwrap_or_default();
    let declared = declared(cluster);
    let line = |name: &str| {
        let begin = format!("{HOST}{name} at ");
        let of = |host: &ObservedHost| {
            format!("{begin}{}, given up: what was installed there is still there", host.host)
        };
        let known = hosts.iter().find(|host| host.name == name && host.phase != NOTED).map(of);
        known.or_else(|| told.iter().find(|line| line.starts_with(&begin)).cloned())
    };
    let names = given_up(cluster).into_iter();
    names
        .filter(|name| declared.iter().all(|(host, _)| host.name != *name))
        .filter_map(line)
        .collect()
}

#[cfg(test)]
#[path = "hosts_tests.rs"]
mod tests;
