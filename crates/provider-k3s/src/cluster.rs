//! Declared against seen, for a whole cluster of hosts. Pure: who begins, who joins, whose turn it is, who may go.
//!
//! `scene.rs` puts declaration and look side by side, `judge.rs` asks `hosts::next` about each host, `quorum.rs` counts,
//! `servers.rs` and `agents.rs` say what comes next. What is due and must wait is told as [`ChangeKind::Later`].

mod agents;
#[cfg(test)]
mod cases;
mod judge;
mod quorum;
mod scene;
mod servers;
mod stage;
mod turn;

use fleetwright_names::Ownership;
use fleetwright_plan::{Change, ChangeKind, DesiredCluster, Resource, Seen, Snapshot};
use fleetwright_provider::{follows_a_claim, once_claimed};

use crate::body::{ClusterBody, Deed, HostBody, Task};
use crate::hosts::Role;
use crate::site::part_key;
use scene::Scene;

pub(crate) use judge::{KEPT, is_authority, renewal};
pub(crate) use quorum::may_leave;
pub(crate) use turn::{REMOVE, VERSION, began, drained, is_drained, since};

/// Every difference that can be acted on or must be told.
pub(crate) fn diff(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    match &snapshot.cluster {
        Seen::Absent => beginnings(desired),
        Seen::Unknown { .. } => Vec::new(),
        Seen::Present(cluster) if desired.owner.reads(&cluster.tags) != Ownership::Ours => {
            let mut changes = vec![Change { resource: Resource::Cluster, kind: ChangeKind::Claim }];
            changes.extend(claims(desired, snapshot));
            let after = diff(desired, &once_claimed(desired, snapshot));
            changes.extend(after.into_iter().filter(follows_a_claim));
            changes
        }
        Seen::Present(cluster) => {
            let mut changes = claims(desired, snapshot);
            let Some(scene) = Scene::of(desired, snapshot, cluster) else { return changes };
            if scene.seen.missing.is_empty() {
                let servers = servers::changes(&scene);
                let agents = agents::changes(&scene, &servers);
                changes.extend(servers.changes);
                changes.extend(agents);
            } else {
                changes.extend(scene.missing_secrets());
            }
            changes
        }
    }
}

/// There is no cluster: the first server begins one, and the others follow.
fn beginnings(desired: &DesiredCluster) -> Vec<Change> {
    let Ok(cluster) = serde_json::from_value::<ClusterBody>(desired.body.clone()) else {
        return Vec::new();
    };
    let first = cluster.servers.first().cloned().unwrap_or_default();
    let mut changes = Vec::new();
    for part in &desired.parts {
        let Ok(host) = serde_json::from_value::<HostBody>(part.body.clone()) else { continue };
        let begins = host.role == Role::Server && host.name == first;
        let resource = if begins {
            Resource::Cluster
        } else {
            Resource::Part(part_key(host.role, &host.name))
        };
        let task = Task {
            deed: Deed::Bring,
            version: cluster.version.clone(),
            cluster: cluster.clone(),
            name: host.name.clone(),
            host: Some(host),
            begins,
            replaces_node: false,
        };
        let kind = ChangeKind::Create { body: task.json(), replaces: None };
        changes.push(Change { resource, kind });
    }
    changes
}

/// Hosts that are declared and not ours, and all of a predecessor.
fn claims(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut found = Vec::new();
    for (key, seen) in &snapshot.parts {
        let Seen::Present(part) = seen else { continue };
        let declared = desired.parts.iter().any(|part| part.key == *key);
        let wanted = match desired.owner.reads(&part.tags) {
            Ownership::Ours => false,
            Ownership::Predecessor(_) => true,
            Ownership::Untagged | Ownership::Released | Ownership::Other(_) => declared,
        };
        if wanted {
            found.push(Change { resource: Resource::Part(key.clone()), kind: ChangeKind::Claim });
        }
    }
    found
}
