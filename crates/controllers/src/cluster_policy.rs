//! `ClusterPolicy`, from two sides: the rules on one member, and the sum of one policy over its clusters.
//!
//! [`on_member`] is keyed by cluster: it merges all policies that select the cluster and keeps labels and NetworkPolicies
//! on the member as they say. [`summary`] is keyed by policy and only tells.

pub mod on_member;
pub mod summary;

use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster};
use fleetwright_reconcile::Cache;
use kube::ResourceExt;

/// The policies that select a cluster, sorted by name.
fn selecting(policies: &Cache<ClusterPolicy>, cluster: &ManagedCluster) -> Vec<Arc<ClusterPolicy>> {
    policies
        .list()
        .into_iter()
        .filter(|policy| policy.metadata.deletion_timestamp.is_none())
        .filter(|policy| policy.spec.cluster_selector.matches(cluster.labels()))
        .collect()
}
