//! The kinds, one module each: what to read, how to decide, how to tell. The loop around them is `reconcile`.
//!
//! - [`managed_cluster`]: one cluster in a cloud; status conditions of infrastructure.
//! - [`cluster_policy`]: the policies on one member, and the sum of each policy over its clusters.
//! - [`members`]: clients of members, and the watches that notice drift.
//! - [`registration`]: a cluster is made known to an Argo CD.
//! - [`preview`]: what would be done, without doing it.
//! - [`safety`]: freeze and fuse; [`history`]: what was done in the cloud, for people; [`accounts`]: ProviderConfigs.
//! - [`fleet`]: caches, watches, triggers: who wakes whom.
//!
//! No cloud SDK, no provider by name, no API server: clouds are `dyn Provider`, hub and members are `kube::Client`.

pub mod accounts;
pub mod cluster_policy;
pub mod fleet;
pub mod history;
pub mod hub;
pub mod managed_cluster;
pub mod members;
pub mod preview;
pub mod registration;
pub mod safety;

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_provider::Provider;

/// The providers in use, by their key.
pub type Clouds = BTreeMap<&'static str, Arc<dyn Provider>>;

pub use fleet::{Fleet, run};
