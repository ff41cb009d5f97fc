//! What is due on one host, as `hosts::next` sees it while nothing may be disturbed.

use fleetwright_plan::{ChangeKind, Difference};

use super::scene::{Host, Scene};
use crate::body::Store;
use crate::hosts::{
    Cause, Disruption, HostFacts, K3sVersion, Next, Role, ServiceState, Wanted, next,
};
use crate::wanted::{Inputs, foreign_data};

/// A certificate is renewed by a restart from 90 days before its end on (K3s's documentation, "k3s certificate"); we wait a
/// little longer, so that one restart is enough.
const RENEW_S: i64 = 80 * 24 * 3600;
/// K3s makes certificates for a year: one that ends later than this was made at a start not long ago, and another start would
/// not renew what that one left.
const RECENT_S: i64 = 300 * 24 * 3600;

/// What a person does with data that we do not remove.
pub(crate) const KEPT: &str = "declare it as a server again, or uninstall K3s there by hand (k3s-uninstall.sh) if its data may go";

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

    /// Why a server that has no node in the cluster that answers carries another one; `None`: nothing tells so.
    pub(super) fn holds_another(&self, host: &Host) -> Option<&'static str> {
        let facts = host.facts.as_ref().filter(|_| host.has_run() && host.node.is_none())?;
        self.view()?;
        foreign_data(facts, self.seen.token.as_ref())
    }

    /// Why a server that has no data yet cannot join the cluster that there is.
    pub(super) fn cannot_join(&self, host: &Host) -> Option<ChangeKind> {
        let others = self.servers.iter().filter(|other| other.name() != host.name());
        let begun = others.filter(|other| other.has_run()).map(named).next()?;
        let why = match (self.cluster.store, &host.body) {
            (Store::Sqlite, _) => format!(
                "no other server can join a cluster that keeps its data in Sqlite; declare {begun} again, or move to EmbeddedEtcd first"
            ),
            (_, Some(body)) if body.joins_itself => format!(
                "it would join at itself; declare spec.k3s.endpoint, which leads to {begun} too, until the cluster has moved"
            ),
            _ => return None,
        };
        Some(refused(host, "a server", "a cluster on another one", &why))
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

/// Whether a file holds an authority, which K3s makes for ten years and no restart renews; it keeps some without their chain too.
pub(crate) fn is_authority(file: &str) -> bool {
    file.ends_with("-ca.crt") || file.ends_with("-ca.nochain.crt")
}

/// The file of a certificate that a restart should renew.
pub(crate) fn renewal(facts: &HostFacts, now_s: i64) -> Option<String> {
    let leaves = || facts.certificates.iter().filter(|one| !is_authority(&one.file));
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
    for (file, digest) in wanted.files.iter().filter(|_| host.has_run()) {
        let seen = facts.files.get(file).map(|seen| &seen.digest);
        if seen != Some(digest) {
            let short = |text: &str| format!("sha256 {}", &text[..12]);
            found.push(Difference {
                field: format!("{}.files[{}]", host.field(), file.path()),
                declared: short(digest.as_str()),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hosts::{Certificate, bare_facts};

    #[test]
    fn authorities_hold_up_no_renewal() {
        const DAY: i64 = 24 * 3600;
        let ends =
            |file: &str, days: i64| Certificate { file: file.to_owned(), not_after_s: days * DAY };
        let mut facts = bare_facts();
        facts.certificates = vec![
            ends("server/tls/client-ca.crt", 3650),
            ends("server/tls/client-ca.nochain.crt", 3650),
            ends("server/tls/server-ca.nochain.crt", 3650),
            ends("server/tls/client-admin.crt", 79),
        ];
        assert_eq!(renewal(&facts, 0).as_deref(), Some("server/tls/client-admin.crt"));
        facts.certificates.push(ends("server/tls/serving-kube-apiserver.crt", 365));
        assert_eq!(renewal(&facts, 0), None, "a start not long ago renewed what it could");
    }
}
