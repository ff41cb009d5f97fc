//! The kinds of parts that an AKS cluster has beside its pools, in words for people.

use fleetwright_plan::PartKind;

/// One of Azure's own maintenance windows.
pub(crate) const MAINTENANCE: PartKind = PartKind::untagged("maintenance configuration");
