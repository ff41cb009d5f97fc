//! Acting until nothing is left to do: it ends, it ends where the wish is, and nobody else is touched.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_api_types::Adoption;
use fleetwright_names::{Ownership, PoolName};
use fleetwright_plan::{Goal, Phase, Plan, Resource, Rules, Seen, SeenPool, Snapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

use crate::check::{World, name, owner, unknown};
use crate::toy::{PoolWish, Toy, Wish};
use crate::toy_diff::diff;
use crate::words::version;
use crate::worlds::{goals, snapshots, wishes, working_rules};

/// Looks until the toy cloud must be at rest: three minors with three pools each, in windows of four looks a day.
const ROUNDS: usize = 600;

proptest! {
    /// Looks go blind, acts are cut off and changes fail for a while; then the toy cloud must come to rest at the goal.
    #[test]
    fn acting_comes_to_rest(
        goal in goals(), world in snapshots(0), wish in wishes(), rules in working_rules(),
        faults in vec((any::<bool>(), 0..3_usize), 0..6), failing in 0..3_usize,
    ) {
        // What is in trouble without having failed heals in time, for example when it has machines again.
        let mut world = world;
        for seen in world.pools.values_mut() {
            if let Seen::Present(pool) = seen
                && pool.phase != Phase::Failed
            {
                pool.trouble.clear();
            }
        }
        let mut cloud = Toy::like(&world);
        cloud.failing = failing;
        cloud.rules = rules.cloud;
        if rules.windows.is_some() {
            cloud.tick = Duration::from_secs(3600);
        }
        let before = strangers(&cloud, &rules);
        for (blind, acted) in faults {
            let mut snapshot = cloud.look();
            if blind {
                snapshot.pools.insert(name("z"), unknown("blind"));
            }
            round(&mut cloud, (goal, &rules), (&snapshot, &wish), acted);
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS {
            let snapshot = cloud.look();
            let plan = round(&mut cloud, (goal, &rules), (&snapshot, &wish), usize::MAX);
            // Nothing moves and nothing waits for a window: nothing will ever move.
            let still = plan.steps.is_empty() && plan.held.is_empty() && plan.waiting.is_empty();
            quiet = if still { quiet + 1 } else { 0 };
            if quiet == 3 {
                break;
            }
        }
        let last = planned(&cloud, (goal, &rules), (&cloud.look(), &wish)).plan();
        prop_assert_eq!(&last.steps, &[], "still at work: {:?}", cloud);
        at_rest(goal, &wish, &cloud, &last)?;
        let after = strangers(&cloud, &rules);
        for (resource, tags) in &before {
            prop_assert_eq!(after.get(resource), Some(tags), "a stranger's {} was touched", resource);
        }
    }
}

fn planned(
    cloud: &Toy,
    (goal, rules): (Goal, &Rules),
    (snapshot, wish): (&Snapshot, &Wish),
) -> World {
    let changes = diff(wish, snapshot);
    let rules = rules.clone();
    World { rules, now: cloud.now, ..World::new(goal, snapshot.clone(), changes) }
}

/// One reconcile that does the first `acted` steps of its plan.
fn round(
    cloud: &mut Toy,
    whom: (Goal, &Rules),
    (snapshot, wish): (&Snapshot, &Wish),
    acted: usize,
) -> Plan {
    let world = planned(cloud, whom, (snapshot, wish));
    let plan = world.plan();
    assert_eq!(world.lint(&plan), Ok(()), "{plan}");
    plan.steps.iter().take(acted).for_each(|step| cloud.act(step));
    cloud.tick();
    plan
}

/// Whether `rules` leave what bears these tags to whoever it belongs to.
fn is_strange(tags: &BTreeMap<String, String>, rules: &Rules) -> bool {
    match owner("ours").reads(tags) {
        Ownership::Ours => false,
        Ownership::Untagged | Ownership::Released => rules.adoption == Adoption::Never,
        Ownership::Predecessor(uid) => rules.take_over != Some(uid),
        Ownership::Other(_) => true,
    }
}

/// The tags of what is not ours to have and not on its way out.
fn strangers(cloud: &Toy, rules: &Rules) -> BTreeMap<Resource, BTreeMap<String, String>> {
    let Some(host) = cloud.cluster.as_ref().filter(|host| host.phase != Phase::Deleting) else {
        return BTreeMap::new();
    };
    // Where pools end with their control plane, nobody's pool outlives it.
    let pools = cloud.pools.iter().filter(|(_, pool)| {
        pool.phase != Phase::Deleting && !rules.cloud.pools_end_with_control_plane
    });
    let pools = pools.map(|(name, pool)| (Resource::Pool(name.clone()), pool.tags.clone()));
    // Parts other than Fargate profiles end with their control plane.
    let parts = cloud
        .parts
        .iter()
        .filter(|(key, part)| key.kind.holds_control_plane() && part.phase != Phase::Deleting);
    let parts = parts.map(|(key, part)| (Resource::Part(key.clone()), part.tags.clone()));
    pools
        .chain(parts)
        .chain([(Resource::Cluster, host.tags.clone())])
        .filter(|(_, tags)| is_strange(tags, rules))
        .collect()
}

fn at_rest(goal: Goal, wish: &Wish, cloud: &Toy, last: &Plan) -> Result<(), TestCaseError> {
    let is_ours = |tags: &BTreeMap<String, String>| owner("ours").reads(tags) == Ownership::Ours;
    let pools: Vec<_> = cloud.pools.iter().filter(|(_, pool)| is_ours(&pool.tags)).collect();
    let cluster = cloud.cluster.as_ref().filter(|cluster| is_ours(&cluster.tags));
    match goal {
        Goal::Present => {
            prop_assert_eq!(&last.waiting, &[]);
            let working = cluster.is_some_and(|cluster| cluster.phase == Phase::Active);
            if !working {
                prop_assert_ne!(&last.refused, &[], "no cluster and no reason");
            } else if last.refused.is_empty() {
                prop_assert!(last.is_settled(), "{}", last);
                whole(wish, cloud, &pools)?;
            }
        }
        Goal::Absent => {
            let go_with_it = cloud.rules.pools_end_with_control_plane && cluster.is_some();
            prop_assert!(pools.is_empty() || go_with_it, "{:?}", cloud);
            // Only a stranger's pool or profile may keep our control plane.
            prop_assert!(cluster.is_none() == last.gone, "{}", last);
            let holds = cloud.parts.keys().any(|key| key.kind.holds_control_plane());
            let holds =
                holds || (!cloud.pools.is_empty() && !cloud.rules.pools_end_with_control_plane);
            prop_assert!(cluster.is_none() || holds, "{:?}", cloud);
        }
        Goal::Released => prop_assert!(last.gone && pools.is_empty() && cluster.is_none()),
    }
    Ok(())
}

/// Everything is as wished, and nothing else is ours.
fn whole(wish: &Wish, cloud: &Toy, pools: &[(&PoolName, &SeenPool)]) -> Result<(), TestCaseError> {
    let cluster = cloud.cluster.as_ref().expect("a control plane");
    prop_assert!(version(&cluster.version) >= wish.version);
    prop_assert_eq!(&cluster.body["setting"], &json!(wish.setting));
    prop_assert_eq!(pools.len(), wish.pools.len(), "{:?}", cloud);
    for (_, pool) in pools {
        let Some(declared) = wish.pools.get(&pool.stands_for) else {
            return Err(TestCaseError::fail(format!("an undeclared pool stayed: {cloud:?}")));
        };
        prop_assert!(Wish::fits(pool, *declared), "{:?}", pool);
        prop_assert_eq!(&pool.body["scale"], &json!(declared.scale));
        prop_assert_eq!(&pool.body["image"], &json!(declared.image));
        prop_assert_eq!(&pool.version, &cluster.version);
    }
    for (key, value) in &wish.parts {
        prop_assert_eq!(&cloud.parts[key].body["value"], &json!(value));
    }
    let ours =
        cloud.parts.iter().filter(|(_, part)| owner("ours").reads(&part.tags) == Ownership::Ours);
    prop_assert_eq!(ours.count(), wish.parts.len(), "{:?}", cloud);
    Ok(())
}

/// A wish for two pools on 1.32.
fn modest() -> Wish {
    let pool = PoolWish { shape: 0, scale: 0, image: 0 };
    Wish {
        version: version("1.32"),
        setting: 0,
        pools: [(name("a"), pool), (name("b"), pool)].into(),
        parts: BTreeMap::new(),
    }
}

/// Every plan until nothing is left to do, without those that hold no step.
fn told(cloud: &mut Toy, wish: &Wish) -> Vec<Vec<String>> {
    let mut told = Vec::new();
    for _ in 0..40 {
        let snapshot = cloud.look();
        let rules = Rules::default();
        let plan = round(cloud, (Goal::Present, &rules), (&snapshot, wish), usize::MAX);
        if !plan.steps.is_empty() {
            told.push(plan.steps.iter().map(ToString::to_string).collect());
        }
    }
    let seen = cloud.look();
    assert!(seen.pools.values().all(|pool| matches!(pool, Seen::Present(_))));
    told
}

#[test]
fn the_toy_cloud_makes_what_is_declared() {
    let mut cloud = Toy::like(&Snapshot::absent());
    assert_eq!(
        told(&mut cloud, &modest()),
        [
            vec!["+ create control plane  eks:eu-west-1/shop-eu"],
            vec![
                "+ create pool a  eks:eu-west-1/shop-eu",
                "+ create pool b  eks:eu-west-1/shop-eu"
            ],
        ]
    );
}

#[test]
fn a_jump_of_two_minors_is_walked_with_the_pools_in_step() {
    let mut cloud = Toy::like(&Snapshot::absent());
    told(&mut cloud, &modest());
    let wish = Wish { version: version("1.34"), setting: 1, ..modest() };
    assert_eq!(
        told(&mut cloud, &wish),
        [
            vec!["~ update control plane setting  spec.setting: declared 1, found 0"],
            vec!["~ upgrade control plane 1.32 → 1.33 → 1.34"],
            vec!["~ upgrade pool a 1.32 → 1.33"],
            vec!["~ upgrade pool b 1.32 → 1.33"],
            vec!["~ upgrade control plane 1.33 → 1.34"],
            vec!["~ upgrade pool a 1.33 → 1.34"],
            vec!["~ upgrade pool b 1.33 → 1.34"],
        ]
    );
}

#[test]
fn pools_that_cannot_change_are_replaced_one_after_the_other() {
    let mut cloud = Toy::like(&Snapshot::absent());
    told(&mut cloud, &modest());
    let mut wish = modest();
    for pool in wish.pools.values_mut() {
        pool.shape = 1;
    }
    assert_eq!(
        told(&mut cloud, &wish),
        [
            vec!["+ create pool a-1 in place of a"],
            vec!["~ drain pool a"],
            vec!["~ drain pool a"],
            vec!["~ drain pool a"],
            vec!["- delete pool a  eks:eu-west-1/shop-eu"],
            vec!["+ create pool b-1 in place of b"],
            vec!["~ drain pool b"],
            vec!["~ drain pool b"],
            vec!["~ drain pool b"],
            vec!["- delete pool b  eks:eu-west-1/shop-eu"],
        ]
    );
}
