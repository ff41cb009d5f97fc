//! What facts mean for tags and phases. Pure.

use std::collections::BTreeMap;

use fleetwright_names::{HubId, TAG_HUB, TAG_OBJECT, TAG_RELEASED, TAG_UID};
use fleetwright_plan::Phase;

use crate::hosts::{ClusterFacts, HostFacts, Marker, Member, Role, ServiceState};
use crate::reach::owner_of;
use crate::seen::is_server;
use crate::site::{Site, SiteHost};
use crate::wanted::has_run;

/// A marker, as tags say it. One that we do not understand is somebody else's.
pub(crate) fn tags_of(facts: &HostFacts) -> BTreeMap<String, String> {
    match &facts.marker {
        None => BTreeMap::new(),
        Some(Marker::Owned(owner)) => owner.tags(),
        Some(Marker::Released(uid)) => BTreeMap::from([(TAG_RELEASED.to_owned(), uid.to_string())]),
        Some(Marker::Unreadable(_)) => {
            let tags = [(TAG_HUB, "0"), (TAG_OBJECT, "a marker of another kind"), (TAG_UID, "0")];
            tags.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
        }
    }
}

/// Whether there is any K3s but a binary.
pub(super) fn is_installed(facts: &HostFacts) -> bool {
    !facts.units.is_empty() || !facts.data.is_empty()
}

/// Whom a look is for.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    pub(super) hub: &'a HubId,
    pub(super) site: &'a Site,
}

impl Whose<'_> {
    /// Marked for this object, in this life or an earlier one.
    pub(super) fn is_of_object(self, facts: &HostFacts) -> bool {
        owner_of(facts).is_some_and(|owner| {
            owner.hub == *self.hub && owner.object.to_string() == self.site.object
        })
    }

    /// Whose the control plane is: ours where any server is, since a claim may have been cut off.
    pub(super) fn cluster_tags(self, servers: &[&HostFacts]) -> BTreeMap<String, String> {
        let ours = |facts: &&&HostFacts| {
            self.is_of_object(facts)
                && owner_of(facts).is_some_and(|owner| owner.uid.as_str() == self.site.uid)
        };
        let of_object = |facts: &&&HostFacts| self.is_of_object(facts);
        let marked = |facts: &&&HostFacts| facts.marker.is_some();
        let first = servers.iter().find(ours);
        let first = first.or_else(|| servers.iter().find(of_object));
        let first = first.or_else(|| servers.iter().find(marked)).or_else(|| servers.first());
        first.map(|facts| tags_of(facts)).unwrap_or_default()
    }
}

/// How a host is, and what is wrong with it.
pub(super) fn part_phase(
    host: &SiteHost,
    facts: &HostFacts,
    view: Option<&ClusterFacts>,
) -> (Phase, String) {
    let service = facts.service(host.role);
    let state = service.map_or(ServiceState::Absent, |service| service.state);
    if state == ServiceState::Crashing {
        let result = service.map(|service| service.result.as_str()).unwrap_or_default();
        let words = format!("K3s ends soon after each start ({result})");
        return (Phase::Failed, words);
    }
    if !has_run(facts, host.role) {
        return (Phase::Creating, String::new());
    }
    let node = view.and_then(|view| view.nodes.iter().find(|node| node.name == host.name));
    let trouble = match (view, node) {
        (Some(_), Some(node)) if !node.ready => "its node is not ready".to_owned(),
        _ => String::new(),
    };
    match (host.role, view, node) {
        (_, Some(_), None) => (Phase::Creating, trouble),
        (Role::Server, Some(view), Some(node)) if node.etcd == Member::Learner && is_etcd(view) => {
            (Phase::Creating, trouble)
        }
        (Role::Agent, Some(_), Some(node)) if node.in_turn.is_some() => (Phase::Updating, trouble),
        (Role::Agent, _, _) if state == ServiceState::Moving => (Phase::Updating, trouble),
        // A server changes as a part of the control plane, which tells of it.
        _ => (Phase::Active, trouble),
    }
}

fn is_etcd(view: &ClusterFacts) -> bool {
    view.nodes.iter().any(|node| node.etcd != Member::None)
}

/// How the control plane is, by its servers and by what they say of it.
pub(super) fn cluster_phase(
    servers: &[&HostFacts],
    view: Option<&ClusterFacts>,
) -> (Phase, String) {
    if let Some(view) = view {
        let mut nodes = view.nodes.iter().filter(|node| is_server(node));
        let turning = nodes.any(|node| node.in_turn.is_some() && node.unschedulable);
        return (if turning { Phase::Updating } else { Phase::Active }, String::new());
    }
    let state = |facts: &&&HostFacts| facts.service(Role::Server).map(|service| service.state);
    let running = servers.iter().any(|facts| state(&facts) == Some(ServiceState::Running));
    let moving = servers.iter().any(|facts| state(&facts) == Some(ServiceState::Moving));
    let with_data = servers.iter().filter(|facts| has_run(facts, Role::Server)).count();
    if with_data == 0 || (with_data == 1 && servers.len() == 1 && moving) {
        return (Phase::Creating, String::new());
    }
    let trouble = if running {
        "no server answers for the cluster, though K3s runs"
    } else if moving {
        ""
    } else {
        "K3s runs on no server"
    };
    (Phase::Updating, trouble.to_owned())
}
