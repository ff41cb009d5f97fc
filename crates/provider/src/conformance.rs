//! What every provider must show, run against its emulated cloud by a few lines in the provider's own tests.
//!
//! Each check panics with a sentence; this module is for tests only.
#![allow(clippy::panic, clippy::expect_used, reason = "assertions for tests")]

use fleetwright_errclass::Class;
use fleetwright_plan::{CloudAction, CloudStep, DesiredCluster, Resource, Seen};

use crate::Provider;

/// Looking at a place where nothing is says `Absent`, not an error.
///
/// # Panics
/// When it does not hold.
pub async fn nothing_is_absent(provider: &dyn Provider, desired: &DesiredCluster) {
    let snapshot = provider.observe(&desired.address).await;
    assert_eq!(snapshot.cluster, Seen::Absent, "a cluster that was never made must be Absent");
    assert!(snapshot.pools.is_empty(), "no pools where no cluster is");
}

/// A create is seen at once, carries our tags, and the same name again is a conflict unless the token is the same.
///
/// # Panics
/// When it does not hold.
pub async fn create_is_seen_and_exclusive(provider: &dyn Provider, desired: &DesiredCluster) {
    let create =
        step(desired, CloudAction::Create { body: desired.body.clone() }, desired.generation);
    provider.act(&create).await.expect("the first create succeeds");
    let snapshot = provider.observe(&desired.address).await;
    let Seen::Present(cluster) = &snapshot.cluster else {
        panic!("a made cluster must be Present")
    };
    assert_eq!(
        desired.owner.reads(&cluster.tags),
        fleetwright_names::Ownership::Ours,
        "a made cluster carries our tags"
    );
    let again =
        step(desired, CloudAction::Create { body: desired.body.clone() }, desired.generation + 1);
    let error = provider.act(&again).await.expect_err("the name is taken");
    assert_eq!(error.class, Class::Conflict, "a taken name is a Conflict, got {error:?}");
}

/// Nothing that carries other tags is destroyed, even if a step says so.
///
/// # Panics
/// When it does not hold.
pub async fn a_stranger_cannot_delete(provider: &dyn Provider, desired: &DesiredCluster) {
    let mut stranger = desired.clone();
    stranger.owner.uid = fleetwright_names::Uid::new("0bad").expect("a uid");
    let error = provider
        .act(&step(&stranger, CloudAction::Delete, 1))
        .await
        .expect_err("a delete of what is not ours is refused");
    assert_eq!(error.class, Class::Refused, "got {error:?}");
    let snapshot = provider.observe(&desired.address).await;
    assert!(snapshot.cluster.present().is_some(), "the cluster is still there");
}

/// Deleting what is gone succeeds.
///
/// # Panics
/// When it does not hold.
pub async fn delete_of_nothing_succeeds(provider: &dyn Provider, desired: &DesiredCluster) {
    provider.act(&step(desired, CloudAction::Delete, 1)).await.expect("nothing to delete is fine");
}

/// The same declaration gives the same request, byte for byte, and no difference once it is seen.
///
/// # Panics
/// When it does not hold.
pub async fn what_was_made_shows_no_difference(provider: &dyn Provider, desired: &DesiredCluster) {
    let snapshot = provider.observe(&desired.address).await;
    let changes: Vec<_> = provider
        .diff(desired, &snapshot)
        .into_iter()
        .filter(|change| change.resource == Resource::Cluster)
        .collect();
    assert!(changes.is_empty(), "a cluster just made must not differ: {changes:?}");
}

fn step(desired: &DesiredCluster, action: CloudAction, generation: i64) -> CloudStep {
    CloudStep::new(
        desired.address.clone(),
        Resource::Cluster,
        desired.owner.clone(),
        generation,
        action,
    )
}
