//! What holds for every plan, from worlds that nobody thought of.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::ManagementMode;
use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, CloudAction, CloudStep, Goal, MemberStep, Phase, Plan, Resource, Seen,
    Snapshot, Step,
};
use proptest::prelude::*;

use crate::check::{World, owner, unknown};
use crate::worlds::{sane_worlds, wild_worlds};

fn cloud(plan: &Plan) -> impl Iterator<Item = &CloudStep> {
    plan.steps.iter().filter_map(|step| match step {
        Step::Cloud(step) => Some(step),
        Step::Hub(_) | Step::Member(_) => None,
    })
}

fn deletes(plan: &Plan) -> impl Iterator<Item = &Resource> {
    cloud(plan).filter(|step| step.action == CloudAction::Delete).map(|step| &step.resource)
}

pub(crate) fn is_unknown(snapshot: &Snapshot) -> bool {
    matches!(snapshot.cluster, Seen::Unknown { .. })
        || snapshot.pools.values().any(|pool| matches!(pool, Seen::Unknown { .. }))
        || snapshot.parts.values().any(|part| matches!(part, Seen::Unknown { .. }))
}

/// The tags of everything that is there.
fn all_tags(snapshot: &Snapshot) -> BTreeMap<Resource, BTreeMap<String, String>> {
    let cluster = snapshot.cluster.present().map(|seen| (Resource::Cluster, seen.tags.clone()));
    let pools = snapshot.pools.iter().filter_map(|(name, seen)| {
        Some((Resource::Pool(name.clone()), seen.present()?.tags.clone()))
    });
    let parts = snapshot.parts.iter().filter_map(|(key, seen)| {
        Some((Resource::Part(key.clone()), seen.present()?.tags.clone()))
    });
    cluster.into_iter().chain(pools).chain(parts).collect()
}

/// Whether a person or a declaration asked for the end of `resource`.
fn asked(world: &World, resource: &Resource) -> bool {
    if *resource == Resource::Cluster {
        return false;
    }
    world.changes.iter().filter(|change| change.resource == *resource).any(|change| {
        match &change.kind {
            ChangeKind::Delete => true,
            ChangeKind::Retire { successor } => {
                let seen = world.snapshot.pools.get(successor).and_then(Seen::present);
                seen.is_some_and(|pool| pool.phase == Phase::Active)
            }
            _ => false,
        }
    })
}

fn intent(world: &World, plan: &Plan) -> Result<(), TestCaseError> {
    let tags = all_tags(&world.snapshot);
    for resource in deletes(plan) {
        let is_ours =
            tags.get(resource).is_some_and(|tags| world.owner.reads(tags) == Ownership::Ours);
        prop_assert!(is_ours, "{resource} is not ours: {plan}");
        match world.goal {
            Goal::Absent => {}
            Goal::Present => prop_assert!(asked(world, resource), "{plan}"),
            Goal::Released => prop_assert!(false, "{plan}"),
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_deleted_unless_someone_asked(wild in wild_worlds(), sane in sane_worlds()) {
        intent(&wild, &wild.plan())?;
        intent(&sane, &sane.plan())?;
    }

    #[test]
    fn an_unknown_control_plane_is_only_looked_at(world in wild_worlds()) {
        let mut world = world;
        world.snapshot.cluster = unknown("no answer");
        world.rules.mode = ManagementMode::Manage;
        let plan = world.plan();
        prop_assert_eq!(&plan.steps, &[]);
        prop_assert!(!plan.gone && !plan.waiting.is_empty() && plan.requeue.is_some(), "{}", plan);
    }

    #[test]
    fn what_is_unknown_is_left_alone_and_keeps_the_control_plane(world in wild_worlds()) {
        let mut world = world;
        let plan = world.plan();
        for step in cloud(&plan) {
            let is_unknown = match &step.resource {
                Resource::Cluster => matches!(world.snapshot.cluster, Seen::Unknown { .. }),
                Resource::Pool(name) => {
                    matches!(world.snapshot.pools.get(name), Some(Seen::Unknown { .. }))
                }
                Resource::Part(key) => {
                    matches!(world.snapshot.parts.get(key), Some(Seen::Unknown { .. }))
                }
            };
            prop_assert!(!is_unknown, "{}", plan);
        }
        if self::is_unknown(&world.snapshot) && world.rules.mode != ManagementMode::Observe {
            prop_assert!(!plan.gone, "{}", plan);
        }
        let ends_with_it = |key: &fleetwright_plan::PartKey| !key.kind.holds_control_plane();
        world.snapshot.parts.retain(|key, _| !ends_with_it(key));
        if world.rules.cloud.pools_end_with_control_plane {
            world.snapshot.pools.clear();
        }
        if self::is_unknown(&world.snapshot) {
            prop_assert!(deletes(&plan).all(|gone| *gone != Resource::Cluster), "{}", plan);
        }
    }

    #[test]
    fn the_lint_accepts_every_plan(wild in wild_worlds(), sane in sane_worlds()) {
        for world in [wild, sane] {
            let plan = world.plan();
            // A mad provider may ask for an upgrade from a version that does not run, or that a pool goes both at once and
            // for its successor: that is what the lint is for.
            let retires = |resource: &Resource| {
                let retire = |change: &&Change| matches!(change.kind, ChangeKind::Retire { .. });
                world.changes.iter().filter(retire).any(|change| change.resource == *resource)
            };
            let mad = |change: &Change| match &change.kind {
                ChangeKind::Update(update) => update.upgrade.is_some(),
                ChangeKind::Delete => retires(&change.resource),
                _ => false,
            };
            if !world.changes.iter().any(mad) || is_sane(&world) {
                prop_assert_eq!(world.lint(&plan), Ok(()), "{}", plan);
            }
        }
    }

    #[test]
    fn mode_observe_writes_nothing(wild in wild_worlds(), sane in sane_worlds()) {
        for mut world in [wild, sane] {
            world.rules.mode = ManagementMode::Observe;
            let plan = world.plan();
            prop_assert!(plan.steps.is_empty() && plan.held.is_empty(), "{}", plan);
        }
    }

    #[test]
    fn mode_create_only_only_creates(wild in wild_worlds(), sane in sane_worlds()) {
        for mut world in [wild, sane] {
            world.rules.mode = ManagementMode::CreateOnly;
            world.goal = Goal::Present;
            let plan = world.plan();
            let creates = |step: &CloudStep| {
                matches!(step.action, CloudAction::Create { .. } | CloudAction::Claim { .. })
            };
            prop_assert!(cloud(&plan).all(creates), "{}", plan);
            prop_assert_eq!(cloud(&plan).count(), plan.steps.len(), "{}", plan);
        }
    }

    #[test]
    fn gone_is_said_only_when_nothing_of_ours_is_left(world in sane_worlds()) {
        let mut world = world;
        world.rules.mode = ManagementMode::Manage;
        let plan = world.plan();
        let me = owner("ours");
        let left = all_tags(&world.snapshot).values().any(|tags| me.reads(tags) == Ownership::Ours);
        if plan.gone {
            prop_assert!(!left && !is_unknown(&world.snapshot), "{}", plan);
            prop_assert!(world.goal != Goal::Present, "{}", plan);
            prop_assert!(plan.is_settled(), "{}", plan);
        } else if world.goal == Goal::Released && !is_unknown(&world.snapshot) {
            prop_assert!(left, "a release with nothing left is over: {}", plan);
        }
    }

    #[test]
    fn nobody_waits_without_looking_again(world in sane_worlds()) {
        let plan = world.plan();
        prop_assert_eq!(plan.requeue.is_none(), plan.gone, "{}", plan);
    }

    #[test]
    fn at_most_one_step_is_taken_on_each_resource(wild in wild_worlds(), sane in sane_worlds()) {
        for world in [wild, sane] {
            let plan = world.plan();
            let touched: Vec<_> = plan.steps.iter().filter_map(Step::resource).collect();
            let different: BTreeSet<_> = touched.iter().collect();
            prop_assert_eq!(different.len(), touched.len(), "{}", plan);
        }
    }

    #[test]
    fn nodes_are_taken_from_one_pool_at_a_time(world in sane_worlds()) {
        let mut world = world;
        world.goal = Goal::Present;
        let plan = world.plan();
        let disrupts = |step: &&Step| match step {
            Step::Cloud(CloudStep { resource: Resource::Pool(_), action, replaces, .. }) => {
                replaces.is_some()
                    || matches!(action, CloudAction::Update(update) if update.governed.is_some())
            }
            Step::Member(MemberStep::Drain { .. }) => true,
            Step::Cloud(_) | Step::Member(_) | Step::Hub(_) => false,
        };
        prop_assert!(plan.steps.iter().filter(disrupts).count() <= 1, "{}", plan);
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(wild in wild_worlds(), sane in sane_worlds()) {
        for world in [wild, sane] {
            prop_assert_eq!(format!("{:?}", world.plan()), format!("{:?}", world.clone().plan()));
        }
    }

    #[test]
    fn the_order_of_changes_does_not_matter(
        (wild, shuffled) in wild_worlds().prop_map(|mut world| {
            // A provider tells one thing only once.
            world.changes.sort_by_key(|change| format!("{:?} {:?}", change.resource, change.kind));
            world.changes.dedup_by_key(|change| change.resource.clone());
            world
        }).prop_flat_map(|world| (Just(world.clone()), Just(world.changes).prop_shuffle())),
        sane in sane_worlds(),
    ) {
        prop_assert_eq!(wild.plan(), World { changes: shuffled, ..wild.clone() }.plan());
        let mut backwards = sane.clone();
        backwards.changes.reverse();
        prop_assert_eq!(sane.plan(), backwards.plan());
    }

    #[test]
    fn tokens_tell_deeds_apart(world in sane_worlds()) {
        let plan = world.plan();
        let tokens: BTreeSet<&str> = cloud(&plan).map(|step| step.token.as_str()).collect();
        prop_assert_eq!(tokens.len(), cloud(&plan).count());
    }
}

/// Every upgrade starts where its resource stands and passes nobody.
fn is_sane(world: &World) -> bool {
    let running = world.snapshot.cluster.present().map(|cluster| cluster.version.clone());
    world.changes.iter().all(|change| match &change.kind {
        ChangeKind::Update(update) if change.resource == Resource::Cluster => update
            .upgrade
            .is_none_or(|walk| running.as_ref().is_some_and(|now| *now == walk.from.to_string())),
        _ => true,
    })
}
