//! What will be seen once what is declared has become ours: so that a plan tells of an adoption all that follows from it.

use std::collections::BTreeMap;

use fleetwright_names::{Ownership, TAG_POOL, TAG_RELEASED};
use fleetwright_plan::{Change, ChangeKind, DesiredCluster, Seen, Snapshot};

/// `snapshot` after the claims of a control plane and of all declared pools and parts that somebody else does not own.
#[must_use]
pub fn once_claimed(desired: &DesiredCluster, snapshot: &Snapshot) -> Snapshot {
    let mut after = snapshot.clone();
    let claim = |tags: &mut BTreeMap<String, String>| {
        tags.remove(TAG_RELEASED);
        tags.extend(desired.owner.tags());
        // The claim writes these too; a value that it replaces is worth telling.
        for (key, value) in &desired.tags {
            tags.entry(key.clone()).or_insert_with(|| value.clone());
        }
    };
    let free =
        |tags: &BTreeMap<String, String>| !matches!(desired.owner.reads(tags), Ownership::Other(_));
    if let Seen::Present(cluster) = &mut after.cluster {
        claim(&mut cluster.tags);
    }
    for (name, seen) in &mut after.pools {
        let Seen::Present(pool) = seen else { continue };
        let stands_for = pool.stands_for.clone();
        let is_declared = |one: &_| desired.pools.iter().any(|pool| pool.name == *one);
        if free(&pool.tags) && (is_declared(name) || is_declared(&stands_for)) {
            claim(&mut pool.tags);
            pool.tags.insert(TAG_POOL.to_owned(), stands_for.to_string());
        }
    }
    for (key, seen) in &mut after.parts {
        let Seen::Present(part) = seen else { continue };
        if free(&part.tags) && desired.parts.iter().any(|part| part.key == *key) {
            claim(&mut part.tags);
        }
    }
    after
}

/// Of what differs after the claims, what will be made or changed. What would go is told once it is ours.
#[must_use]
pub fn follows_a_claim(change: &Change) -> bool {
    match change.in_time().0 {
        ChangeKind::Create { .. } | ChangeKind::Update(_) | ChangeKind::Refused { .. } => true,
        ChangeKind::Claim
        | ChangeKind::Retire { .. }
        | ChangeKind::Delete
        | ChangeKind::Later { .. } => false,
    }
}
