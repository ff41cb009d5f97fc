//! The kinds of parts that an EKS cluster has beside its node groups, in words for people.

/// An add-on that EKS manages.
pub(crate) const ADD_ON: &str = "managed add-on";
/// One principal's access to the cluster's API.
pub(crate) const ENTRY: &str = "access entry";
/// An IAM role for a service account.
pub(crate) const IDENTITY: &str = "pod identity";
/// Pods that run on Fargate.
pub(crate) const PROFILE: &str = "Fargate profile";
