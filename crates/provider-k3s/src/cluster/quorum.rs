//! Arithmetic of embedded etcd: more than half of the voting members must answer, before and after whatever we do.

use fleetwright_plan::ChangeKind;

use super::scene::{Host, Scene, Standing};
use super::turn::is_in_turn;
use crate::hosts::{ClusterFacts, Member, Node, Role, ServiceState};
use crate::seen::is_server;

/// Where a person finds what to do when more than half is gone.
pub(super) const RECOVERY: &str = "docs/guides/k3s.md, Recovery";

/// Members, as the cluster counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) voters: usize,
    pub(super) ready: usize,
}

/// How many of `voters` must answer.
pub(super) const fn majority(voters: usize) -> usize {
    voters / 2 + 1
}

impl Scene<'_> {
    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.view().into_iter().flat_map(|view| &view.nodes).filter(|node| is_server(node))
    }

    fn counts(&self, node: &Node) -> bool {
        !self.is_etcd() || node.etcd == Member::Voter
    }

    /// All members but `without`.
    pub(super) fn count(&self, without: Option<&str>) -> Count {
        let voting: Vec<&Node> = self.nodes().filter(|node| self.counts(node)).collect();
        let others = voting.iter().filter(|node| Some(node.name.as_str()) != without);
        Count { voters: voting.len(), ready: others.filter(|node| node.ready).count() }
    }

    /// Why the cluster cannot do without `host` for a while; `None`: it can.
    ///
    /// A node counts as ready for a while after its K3s has ended, so what the hosts tell counts too.
    pub(super) fn cannot_spare(&self, host: &Host) -> Option<String> {
        let others = self.servers.iter().filter(|other| other.name() != host.name());
        for other in others.filter(|other| other.has_run() || other.standing == Standing::Unseen) {
            let service = other.facts.as_ref().and_then(|facts| facts.service(Role::Server));
            if other.standing == Standing::Unseen {
                return Some(format!("a look at server {}", other.name()));
            }
            if service.is_none_or(|service| service.state != ServiceState::Running) {
                return Some(format!("server {} to be well", other.name()));
            }
            if is_in_turn(other) {
                return Some(format!("server {}", other.name()));
            }
        }
        let mut others = self.nodes().filter(|node| node.name != host.name());
        if let Some(unwell) = others.find(|node| !node.ready || !self.counts(node)) {
            return Some(format!("server {} to be well", unwell.name));
        }
        let Count { voters, ready } = self.count(Some(host.name()));
        // The only one has nobody to be spared by: its cluster rests meanwhile.
        if !self.is_etcd() || voters <= 1 || ready >= majority(voters) {
            return None;
        }
        Some(format!(
            "quorum: {ready} of {voters} servers would answer, {} are needed",
            majority(voters)
        ))
    }

    /// Why `host` may not leave for good; `None`: it may.
    pub(super) fn cannot_leave(&self, host: &Host) -> Option<String> {
        let is_voter = host.node.as_ref().is_some_and(|node| self.counts(node));
        let Count { voters, ready } = self.count(Some(host.name()));
        if !is_voter {
            return None;
        }
        if ready == 0 {
            return Some("no other server is ready; the cluster would end with it".to_owned());
        }
        if !self.is_etcd() {
            return None;
        }
        // Its leaving is a vote of all that are members now, so that must pass too.
        let now = ready + usize::from(host.is_ready());
        let after = voters - 1;
        if now >= majority(voters) && ready >= majority(after) {
            return None;
        }
        Some(format!(
            "without it {ready} of {after} servers would answer, and {} are needed: quorum would be lost ({RECOVERY})",
            majority(after)
        ))
    }

    /// Servers that vote and that nobody declares or has noted, as after a hub was lost half-way through a removal: nobody
    /// knows how to reach them, so a person is told.
    pub(super) fn strangers(&self) -> Option<ChangeKind> {
        let ours = || self.servers.iter().chain(&self.agents);
        let known = |node: &Node| ours().any(|host| host.name() == node.name);
        let mut names: Vec<&str> =
            self.nodes().filter(|node| !known(node)).map(|node| node.name.as_str()).collect();
        names.sort_unstable();
        (!names.is_empty()).then(|| ChangeKind::Refused {
            field: "spec.k3s.servers".to_owned(),
            declared: self.cluster.servers.join(", "),
            found: format!("also {}", names.join(", ")),
            why: "how to reach them is not known; declare them, and take them out again if they shall go".to_owned(),
        })
    }

    /// A member that does not answer and is still counted.
    pub(super) fn unwell_member(&self) -> Option<String> {
        let mut nodes = self.nodes();
        nodes.find(|node| !node.ready || !self.counts(node)).map(|node| node.name.clone())
    }
}

/// Why the node `name` may not be taken out of the cluster now; `None`: it may. The same rule as for plans, asked again just
/// before.
pub(crate) fn may_leave(view: &ClusterFacts, name: &str) -> Option<String> {
    let etcd = view.nodes.iter().any(|node| node.etcd != Member::None);
    let counts = |node: &&Node| if etcd { node.etcd == Member::Voter } else { is_server(node) };
    let leaving = view.nodes.iter().filter(counts).find(|node| node.name == name)?;
    let voters = view.nodes.iter().filter(counts).count();
    let others = view.nodes.iter().filter(counts).filter(|node| node.name != name && node.ready);
    let ready = others.count();
    let now = ready + usize::from(leaving.ready);
    let holds = !etcd || (now >= majority(voters) && ready >= majority(voters - 1));
    if ready > 0 && holds {
        return None;
    }
    Some(format!("{ready} of {} others are ready; quorum would be lost ({RECOVERY})", voters - 1))
}
