//! A cluster that goes, where Azure first gives it up.

use std::time::Duration;

use fleetwright_cloudsim::{Fault, FaultKind};
use fleetwright_plan::{Goal, Pace, Plan, Rules, Situation, Snapshot, Step, plan_cluster};
use fleetwright_provider::Provider as _;
use fleetwright_provider_aks::AksProvider;
use jiff::{SignedDuration, Timestamp};

use crate::conformance::{World, settle};
use crate::support::{access, desired};

async fn look_and_plan(provider: &AksProvider, now: Timestamp) -> (Snapshot, Plan) {
    let desired = desired();
    let snapshot = provider.observe(&access(), &desired.address, None).await;
    let rules = Rules { cloud: provider.rules(), ..Rules::default() };
    let plan = plan_cluster(&Situation {
        goal: Goal::Absent,
        owner: &desired.owner,
        generation: desired.generation,
        address: &desired.address,
        snapshot: &snapshot,
        changes: &[],
        tags: &desired.tags,
        pools: &std::collections::BTreeMap::new(),
        rules: &rules,
        now,
        pace: Pace { busy: Duration::from_secs(15), idle: Duration::from_secs(300) },
    });
    (snapshot, plan)
}

#[tokio::test(start_paused = true)]
async fn a_deletion_that_azure_gave_up_is_told_and_sent_again_ten_minutes_later() {
    let world = World::new().await;
    let provider = world.provider(|http| http);
    settle(&provider, &desired(), Goal::Present).await;
    let fails = Fault {
        kind: FaultKind::UpdateFails,
        cluster: Some(desired().address.external_name),
        pool: None,
        operation: Some("ManagedClusters_Delete".into()),
        times: Some(1),
    };
    world.sim.add_fault(fails).await.expect("set");

    let mut sent: Vec<Timestamp> = Vec::new();
    let mut told = Vec::new();
    for _ in 0..200 {
        let (_, plan) = look_and_plan(&provider, world.now()).await;
        if plan.gone {
            break;
        }
        for step in &plan.steps {
            let Step::Cloud(step) = step else { continue };
            provider.act(&access(), step).await.expect("begun");
            sent.push(world.now());
        }
        told.extend(plan.held.iter().map(|held| held.why.clone()));
        tokio::time::sleep(plan.requeue.unwrap_or_default()).await;
    }
    let [first, second] = sent[..] else { unreachable!("deleted twice: {sent:?}") };
    assert!(second.duration_since(first) >= SignedDuration::from_mins(10), "{sent:?}");
    assert!(
        told.iter().all(|why| why.starts_with("the last one failed: DeleteResourceGroupError: ")),
        "{told:?}"
    );
    assert!((1..=5).contains(&told.len()), "a few looks meanwhile: {told:?}");
    assert!(world.sim.inventory().await.is_empty(), "nothing leaks");
}
