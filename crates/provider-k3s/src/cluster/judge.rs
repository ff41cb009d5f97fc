//! What is due on one host, as `hosts::next` sees it while nothing may be disturbed.

use fleetwright_plan::{ChangeKind, Difference};

use super::scene::{Host, Scene};
use crate::hosts::{
    Cause, Disruption, HostFacts, K3sVersion, Next, Role, ServiceState, Wanted, next,
};
use crate::wanted::Inputs;

/// A certificate is renewed by a restart from 90 days before its end on (K3s's documentation, "k3s certificate"); we wait a
/// little longer, so that one restart is enough.
const RENEW_S: i64 = 80 * 24 * 3600;
/// K3s makes certificates for a year: one that ends later than this was made at a start not long ago, and another start would
/// not renew what that one left.
const RECENT_S: i64 = 300 * 24 * 3600;

/// What is due.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Verdict {
    /// Nothing.
    Done,
    /// Nothing but to look again: K3s is on its way.
    Moving,
    /// Work that disturbs nobody.
    Quiet(Vec<Difference>),
    /// Work that waits for its turn.
    Held(Cause, Vec<Difference>),
    /// Work that nobody but a person can do.
    Refused(ChangeKind),
}

impl Scene<'_> {
    /// `None` for hosts that were not seen or are no longer declared.
    pub(super) fn judge(&self, host: &Host, version: K3sVersion, begins: bool) -> Option<Verdict> {
        let (Some(body), Some(facts)) = (&host.body, &host.facts) else { return None };
        if let Some(refused) = self.not_of_us(host, facts) {
            return Some(Verdict::Refused(refused));
        }
        let inputs = Inputs {
            owner: &self.desired.owner,
            cluster: &self.cluster,
            host: body,
            facts,
            version,
            begins,
            secrets: &self.seen.secrets,
            token: self.seen.token.as_ref(),
            releases: &self.seen.releases,
            disruption: Disruption::Held,
        };
        let wanted = inputs.wanted();
        let told = |due: String| {
            let mut found = differences(host, facts, &wanted);
            if found.is_empty() {
                found.push(Difference {
                    field: host.field(),
                    declared: due,
                    found: "not done".to_owned(),
                });
            }
            found
        };
        Some(match next(&wanted, facts, host.seen_s) {
            Next::Done => Verdict::Done,
            Next::Wait => Verdict::Moving,
            Next::Do(step) => Verdict::Quiet(told(step.to_string())),
            Next::Held(held) => Verdict::Held(held.cause, told(held.due.join(", "))),
            Next::Refused(reasons) => {
                let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
                let why = reasons.join("; ");
                Verdict::Refused(refused(host, &format!("K3s {version}"), &found(facts), &why))
            }
        })
    }

    /// A host that carries another cluster, or this one under another name.
    fn not_of_us(&self, host: &Host, facts: &HostFacts) -> Option<ChangeKind> {
        if !host.has_run() {
            return None;
        }
        let other = match (&facts.server_token, &self.seen.token) {
            (Some(theirs), Some(ours)) => theirs != ours,
            _ => false,
        };
        if other {
            let why = "uninstall K3s there, or declare it in a cluster of its own";
            return Some(refused(host, "a server of this cluster", "data of another cluster", why));
        }
        let node = facts.node_name();
        if node != host.name() {
            let why = "the name of a node cannot change: declare the host under that name";
            return Some(refused(
                host,
                &format!("node {}", host.name()),
                &format!("node {node}"),
                why,
            ));
        }
        None
    }
}

/// The file of a certificate that a restart should renew.
pub(crate) fn renewal(facts: &HostFacts, now_s: i64) -> Option<String> {
    let leaves = || facts.certificates.iter().filter(|one| !one.file.ends_with("-ca.crt"));
    if leaves().any(|one| one.not_after_s > now_s + RECENT_S) {
        return None;
    }
    let due = leaves().filter(|one| one.not_after_s < now_s + RENEW_S);
    due.min_by_key(|one| one.not_after_s).map(|one| one.file.clone())
}

/// A refusal about one host.
pub(super) fn refused(host: &Host, declared: &str, found: &str, why: &str) -> ChangeKind {
    ChangeKind::Refused {
        field: host.field(),
        declared: declared.to_owned(),
        found: found.to_owned(),
        why: why.to_owned(),
    }
}

fn found(facts: &HostFacts) -> String {
    facts.version.as_ref().map_or_else(|| facts.os.clone(), |version| format!("K3s {version}"))
}

/// What differs, for a person.
fn differences(host: &Host, facts: &HostFacts, wanted: &Wanted) -> Vec<Difference> {
    let mut found = Vec::new();
    let version = wanted.version.to_string();
    if facts.version.as_ref() != Some(&version) {
        found.push(Difference {
            field: "spec.version".to_owned(),
            declared: version,
            found: facts.version.clone().unwrap_or_else(|| "none".to_owned()),
        });
    }
    if let Some(service) = facts.service(host.role).filter(|_| host.has_run()) {
        let stopped = matches!(
            service.state,
            ServiceState::Absent | ServiceState::Stopped | ServiceState::Failed
        );
        let state = if stopped { Some("stopped") } else { None };
        let state = state.or((!service.enabled).then_some("not started at boot"));
        if let Some(state) = state {
            let declared = "running".to_owned();
            found.push(Difference { field: host.field(), declared, found: state.to_owned() });
        }
    }
    for (file, how) in wanted.files.iter().filter(|_| host.has_run()) {
        let seen = facts.files.get(file).map(|seen| &seen.digest);
        if seen != Some(&how.digest) {
            let short = |text: &str| format!("sha256 {}", &text[..12]);
            found.push(Difference {
                field: format!("{}.files[{}]", host.field(), file.path()),
                declared: short(how.digest.as_str()),
                found: seen.map_or_else(|| "none".to_owned(), |seen| short(seen.as_str())),
            });
        }
    }
    found
}

/// The words of a role.
pub(super) fn named(host: &Host) -> String {
    let role = match host.role {
        Role::Server => "server",
        Role::Agent => "agent",
    };
    format!("{role} {}", host.name())
}
