//! The order of work on one cluster.

use fleetwright_api_types::Governed;

use crate::{Change, ChangeKind, Resource, Update};

/// What kind of work a change is, in the order in which it is considered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Becomes ours before anything else happens to it.
    Claim,
    /// The control plane's settings.
    Settings,
    /// Parts and pools that are missing or change without losing nodes.
    Complete,
    /// The control plane's next Kubernetes version.
    ControlPlaneVersion,
    /// Pools that follow it.
    PoolVersion,
    /// Nodes replaced by the cloud.
    Roll,
    /// A pool gets a successor.
    Replace,
    /// A pool goes for its successor.
    Retire,
    /// What is no longer declared goes.
    Delete,
    /// What we cannot do.
    Refused,
}

impl Rank {
    pub(super) fn of(change: &Change) -> Self {
        let is_cluster = change.resource == Resource::Cluster;
        match change.in_time().0 {
            ChangeKind::Claim => Self::Claim,
            ChangeKind::Update(update) if is_cluster && is_version(update) => {
                Self::ControlPlaneVersion
            }
            ChangeKind::Update(_) if is_cluster => Self::Settings,
            ChangeKind::Update(update) if is_version(update) => Self::PoolVersion,
            ChangeKind::Update(Update { governed: Some(_), .. }) => Self::Roll,
            ChangeKind::Create { replaces: Some(_), .. } => Self::Replace,
            ChangeKind::Update(_) | ChangeKind::Create { .. } => Self::Complete,
            ChangeKind::Retire { .. } => Self::Retire,
            ChangeKind::Delete => Self::Delete,
            ChangeKind::Refused { .. } | ChangeKind::Later { .. } => Self::Refused,
        }
    }

    /// Takes nodes from under their pods: only one pool at a time.
    pub(super) const fn disrupts(self) -> bool {
        matches!(self, Self::PoolVersion | Self::Roll | Self::Replace)
    }
}

fn is_version(update: &Update) -> bool {
    update.upgrade.is_some()
}

/// The work that may have to await a window.
pub(super) const fn governed(change: &Change) -> Option<Governed> {
    match &change.kind {
        ChangeKind::Update(update) => update.governed,
        ChangeKind::Create { replaces: Some(_), .. } => Some(Governed::Replace),
        _ => None,
    }
}

/// A pool or part that is missing and succeeds nothing.
pub(super) const fn is_birth(change: &Change) -> bool {
    matches!(change.kind, ChangeKind::Create { replaces: None, .. })
}

/// Sorted, so that the order in which a provider finds differences does not show. Parts come before pools: nodes need their
/// network add-on and their access entry.
pub(super) fn in_order(changes: &[Change]) -> Vec<&Change> {
    let mut sorted: Vec<&Change> = changes.iter().collect();
    sorted.sort_by_key(|change| {
        let (what, field) = match change.in_time().0 {
            ChangeKind::Refused { field, .. } => ("", field.as_str()),
            ChangeKind::Update(update) => (update.what.as_str(), ""),
            _ => ("", ""),
        };
        let rank = Rank::of(change);
        let is_pool = matches!(change.resource, Resource::Pool(_)) && rank != Rank::Refused;
        (rank, is_pool, &change.resource, what, field)
    });
    sorted
}
