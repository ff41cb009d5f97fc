//! The suite that every provider passes, over simulated hosts.

use std::time::Duration;

use fleetwright_plan::Goal;
use fleetwright_provider::conformance::Trial;
use serde_json::json;

use super::world::{World, access, declared};

#[tokio::test(start_paused = true)]
async fn the_conformance_suite() {
    let mut world = World::new(declared(1, 0)).await;
    let (desired, access) = (world.desired(), access());
    let trial = |desired| Trial { provider: &world.provider, access: &access, desired };
    let mut first = desired.clone();
    // What the first create is asked with is what the diff says, as the planner takes it.
    let changes =
        fleetwright_provider::Provider::diff(&world.provider, &desired, &world.look().await);
    let create = changes.into_iter().find_map(|change| match change.kind {
        fleetwright_plan::ChangeKind::Create { body, .. } => Some(body),
        _ => None,
    });
    first.body = create.expect("a create");
    trial(&desired).nothing_is_absent().await;
    trial(&desired).delete_of_nothing_succeeds().await;
    trial(&first).create_is_seen_and_exclusive().await;
    trial(&desired).what_was_made_shows_no_difference().await;
    world.settle(Goal::Present).await;
    let trial = |desired| Trial { provider: &world.provider, access: &access, desired };
    trial(&desired).what_was_made_shows_no_difference().await;
    trial(&desired).a_stranger_can_do_nothing().await;
    trial(&desired).what_is_ours_is_listed().await;
    trial(&desired).what_is_let_go_may_be_claimed_again(async || {}).await;
    world.cluster["spec"]["k3s"]["disable"] = json!(["traefik"]);
    let changed = world.desired();
    let trial = |desired| Trial { provider: &world.provider, access: &access, desired };
    trial(&changed)
        .an_update_makes_right_what_differs(async || {
            tokio::time::sleep(Duration::from_secs(60)).await;
        })
        .await;
    trial(&changed).what_is_deleted_goes(async || {}).await;
}
