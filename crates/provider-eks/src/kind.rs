//! The kinds of parts that an EKS cluster has beside its node groups, in words for people.

use fleetwright_plan::PartKind;

/// An add-on that EKS manages.
pub(crate) const ADD_ON: PartKind = PartKind::new("managed add-on");
/// One principal's access to the cluster's API.
pub(crate) const ENTRY: PartKind = PartKind::new("access entry");
/// An IAM role for a service account.
pub(crate) const IDENTITY: PartKind = PartKind::new("pod identity");
/// Pods that run on Fargate. EKS makes and removes one profile at a time, and keeps the control plane while one is there.
pub(crate) const PROFILE: PartKind = PartKind::holding("Fargate profile");
