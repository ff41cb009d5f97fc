//! What holds for every plan, from worlds that nobody thought of.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::{Ownership, PoolName};
use fleetwright_plan::{
    Change, ChangeKind, CloudAction, Goal, Phase, Plan, Resource, Seen, SeenCluster, SeenPool,
    Snapshot, Step, lint,
};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::check::{WHOSE, owner, plan, seen_cluster, seen_pool, unknown};
use crate::toy::{Toy, diff};

/// The longest chain of the toy cloud: out, made again, pools made; and slack for a cut-off act in each.
const ROUNDS: usize = 12;

fn goals() -> impl Strategy<Value = Goal> {
    select(vec![Goal::Present, Goal::Absent, Goal::Released])
}

fn phases() -> impl Strategy<Value = Phase> {
    select(vec![Phase::Creating, Phase::Active, Phase::Updating, Phase::Deleting, Phase::Failed])
}

/// More of ours than of all others together, since that is where steps are.
fn whose() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("ours"), 2 => select(WHOSE.to_vec())]
}

fn names() -> impl Strategy<Value = PoolName> {
    select(vec!["a", "b", "c", "d"]).prop_map(|name| PoolName::new(name).expect("pool name"))
}

fn clusters() -> impl Strategy<Value = SeenCluster> {
    (whose(), phases()).prop_map(|(whose, phase)| seen_cluster(whose, phase, "broken"))
}

fn pools() -> impl Strategy<Value = SeenPool> {
    (whose(), phases()).prop_map(|(whose, phase)| seen_pool(whose, phase, "broken"))
}

/// `unknowns` in twenty are not known.
fn seen<T: Clone + std::fmt::Debug + 'static>(
    present: impl Strategy<Value = T> + 'static,
    unknowns: u32,
) -> BoxedStrategy<Seen<T>> {
    let known = prop_oneof![1 => Just(Seen::Absent), 4 => present.prop_map(Seen::Present)];
    if unknowns == 0 {
        return known.boxed();
    }
    prop_oneof![20 - unknowns => known, unknowns => Just(unknown("no answer"))].boxed()
}

fn snapshots(unknowns: u32) -> impl Strategy<Value = Snapshot> {
    (seen(clusters(), unknowns), btree_map(names(), seen(pools(), unknowns), 0..4))
        .prop_map(|(cluster, pools)| Snapshot { cluster, pools })
}

/// Changes that no sane provider would give.
fn wild_changes() -> impl Strategy<Value = Vec<Change>> {
    let resource = prop_oneof![Just(Resource::Cluster), names().prop_map(Resource::Pool)];
    let refused = select(vec!["spec.a", "spec.b"]).prop_map(|field| ChangeKind::Refused {
        field: field.into(),
        declared: "1".into(),
        found: "2".into(),
        why: "no".into(),
    });
    let kind = prop_oneof![
        Just(ChangeKind::Create { body: json!({}) }),
        Just(ChangeKind::Delete),
        refused
    ];
    vec((resource, kind).prop_map(|(resource, kind)| Change { resource, kind }), 0..6)
}

fn deletes(plan: &Plan) -> Vec<&Resource> {
    plan.steps
        .iter()
        .filter_map(|step| match step {
            Step::Cloud(step) if step.action == CloudAction::Delete => Some(&step.resource),
            Step::Cloud(_) | Step::Hub(_) | Step::Member(_) => None,
        })
        .collect()
}

fn is_unknown(snapshot: &Snapshot) -> bool {
    matches!(snapshot.cluster, Seen::Unknown { .. })
        || snapshot.pools.values().any(|pool| matches!(pool, Seen::Unknown { .. }))
}

proptest! {
    #[test]
    fn nothing_is_deleted_unless_someone_asked(
        goal in goals(), snapshot in snapshots(1), changes in wild_changes(),
    ) {
        let plan = plan(goal, &snapshot, &changes);
        for resource in deletes(&plan) {
            let asked = changes.iter().any(|change| {
                change.kind == ChangeKind::Delete && change.resource == *resource
            });
            match goal {
                Goal::Absent => {}
                Goal::Present => prop_assert!(asked, "{plan}"),
                Goal::Released => prop_assert!(false, "{plan}"),
            }
        }
    }

    #[test]
    fn whatever_is_unknown_only_a_look_follows(
        goal in goals(), snapshot in snapshots(6), changes in wild_changes(),
    ) {
        let mut snapshot = snapshot;
        if !is_unknown(&snapshot) {
            snapshot.cluster = unknown("no answer");
        }
        let plan = plan(goal, &snapshot, &changes);
        prop_assert_eq!(&plan.steps, &[]);
        prop_assert!(!plan.gone && !plan.waiting.is_empty() && plan.requeue.is_some(), "{}", plan);
    }

    #[test]
    fn the_lint_accepts_every_plan_from_a_sane_diff(
        goal in goals(), snapshot in snapshots(1), declared in btree_set(names(), 0..4),
    ) {
        let plan = plan(goal, &snapshot, &diff(&declared, &snapshot));
        prop_assert_eq!(lint(&plan, &snapshot), Ok(()), "{}", plan);
    }

    #[test]
    fn gone_is_said_only_when_nothing_of_ours_is_left(goal in goals(), snapshot in snapshots(1)) {
        let plan = plan(goal, &snapshot, &[]);
        let me = owner("ours");
        let cluster = snapshot.cluster.present().map(|cluster| &cluster.tags);
        let pools = snapshot.pools.values().filter_map(Seen::present).map(|pool| &pool.tags);
        let left = cluster.into_iter().chain(pools).any(|tags| me.reads(tags) == Ownership::Ours);
        if plan.gone {
            prop_assert!(!left && !is_unknown(&snapshot) && goal != Goal::Present, "{}", plan);
            prop_assert!(plan.steps.is_empty() && plan.waiting.is_empty());
        } else if goal == Goal::Released && !is_unknown(&snapshot) {
            prop_assert!(left, "a release with nothing left is over: {}", plan);
        }
    }

    #[test]
    fn nobody_waits_without_looking_again(
        goal in goals(), snapshot in snapshots(1), declared in btree_set(names(), 0..4),
    ) {
        let plan = plan(goal, &snapshot, &diff(&declared, &snapshot));
        prop_assert_eq!(plan.requeue.is_none(), plan.gone, "{}", plan);
    }

    #[test]
    fn the_same_input_gives_the_same_bytes(
        goal in goals(), snapshot in snapshots(1), changes in wild_changes(),
    ) {
        let (one, other) = (plan(goal, &snapshot, &changes), plan(goal, &snapshot.clone(), &changes));
        prop_assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }

    #[test]
    fn the_order_of_changes_does_not_matter(
        goal in goals(), snapshot in snapshots(1), declared in btree_set(names(), 0..4),
        (changes, shuffled) in wild_changes().prop_map(|mut changes| {
            // A provider tells one thing only once.
            changes.sort_by_key(|change| format!("{:?} {:?}", change.resource, change.kind));
            changes.dedup_by_key(|change| change.resource.clone());
            changes
        }).prop_flat_map(|changes| (Just(changes.clone()), Just(changes).prop_shuffle())),
    ) {
        prop_assert_eq!(plan(goal, &snapshot, &changes), plan(goal, &snapshot, &shuffled));
        let mut backwards = diff(&declared, &snapshot);
        let forwards = plan(goal, &snapshot, &backwards);
        backwards.reverse();
        prop_assert_eq!(forwards, plan(goal, &snapshot, &backwards));
    }

    #[test]
    fn tokens_tell_deeds_apart(
        goal in goals(), snapshot in snapshots(0), declared in btree_set(names(), 0..4),
    ) {
        let plan = plan(goal, &snapshot, &diff(&declared, &snapshot));
        let tokens: BTreeSet<&str> = plan
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Cloud(step) => Some(step.token.as_str()),
                Step::Hub(_) | Step::Member(_) => None,
            })
            .collect();
        prop_assert_eq!(tokens.len(), plan.steps.len());
    }

    /// Looks go blind and acts are cut off for a while; then the toy cloud must come to rest where the goal is.
    #[test]
    fn acting_comes_to_rest(
        goal in goals(), world in snapshots(0), declared in btree_set(names(), 0..4),
        faults in vec((any::<bool>(), 0..3_usize), 0..6),
    ) {
        let mut cloud = Toy::like(&world);
        let before = strangers(&cloud);
        for (blind, acted) in faults {
            let mut snapshot = cloud.look();
            if blind {
                snapshot.pools.insert(PoolName::new("z").expect("pool name"), unknown("blind"));
            }
            round(&mut cloud, goal, &snapshot, &declared, acted);
        }
        for _ in 0..ROUNDS {
            let snapshot = cloud.look();
            round(&mut cloud, goal, &snapshot, &declared, usize::MAX);
        }
        let last = plan(goal, &cloud.look(), &diff(&declared, &cloud.look()));
        prop_assert_eq!(&last.steps, &[], "still at work: {:?}", cloud);
        at_rest(goal, &declared, &cloud, &last)?;
        let after = strangers(&cloud);
        for (resource, tags) in &before {
            prop_assert_eq!(after.get(resource), Some(tags), "a stranger's {} was touched", resource);
        }
    }
}

/// One reconcile that does the first `acted` steps of its plan.
fn round(
    cloud: &mut Toy,
    goal: Goal,
    snapshot: &Snapshot,
    declared: &BTreeSet<PoolName>,
    acted: usize,
) {
    let plan = plan(goal, snapshot, &diff(declared, snapshot));
    assert_eq!(lint(&plan, snapshot), Ok(()), "{plan}");
    plan.steps.iter().take(acted).for_each(|step| cloud.act(step));
    cloud.tick();
}

/// The tags of what is not ours and not on its way out.
fn strangers(cloud: &Toy) -> BTreeMap<Resource, BTreeMap<String, String>> {
    let me = owner("ours");
    let Some(host) = cloud.cluster.as_ref().filter(|host| host.phase != Phase::Deleting) else {
        return BTreeMap::new();
    };
    let pools = cloud.pools.iter().filter(|(_, pool)| pool.phase != Phase::Deleting);
    pools
        .map(|(name, pool)| (Resource::Pool(name.clone()), pool.tags.clone()))
        .chain([(Resource::Cluster, host.tags.clone())])
        .filter(|(_, tags)| me.reads(tags) != Ownership::Ours)
        .collect()
}

fn at_rest(
    goal: Goal,
    declared: &BTreeSet<PoolName>,
    cloud: &Toy,
    last: &Plan,
) -> Result<(), TestCaseError> {
    let me = owner("ours");
    let is_ours = |tags: &BTreeMap<String, String>| me.reads(tags) == Ownership::Ours;
    let our_pools = cloud.pools.iter().filter(|(_, pool)| is_ours(&pool.tags));
    let our_pools: BTreeSet<PoolName> = our_pools.map(|(name, _)| name.clone()).collect();
    let our_cluster = cloud.cluster.as_ref().filter(|cluster| is_ours(&cluster.tags));
    match goal {
        Goal::Present => {
            prop_assert_eq!(&last.waiting, &[]);
            if our_cluster.is_some_and(|cluster| cluster.phase == Phase::Active) {
                prop_assert!(our_pools.is_subset(declared), "undeclared pools stayed: {:?}", cloud);
                prop_assert!(
                    declared.iter().all(|name| cloud.pools.contains_key(name)),
                    "{:?}",
                    cloud
                );
            } else {
                prop_assert_ne!(&last.refused, &[], "no cluster and no reason");
            }
        }
        Goal::Absent => {
            prop_assert!(our_pools.is_empty(), "{:?}", cloud);
            // Only a stranger's pool may keep our control plane.
            prop_assert!(our_cluster.is_none() == last.gone, "{}", last);
            prop_assert!(our_cluster.is_none() || !cloud.pools.is_empty(), "{:?}", cloud);
        }
        Goal::Released => prop_assert!(last.gone && our_pools.is_empty() && our_cluster.is_none()),
    }
    Ok(())
}

#[test]
fn the_toy_cloud_makes_what_is_declared() {
    let declared: BTreeSet<PoolName> =
        ["a", "b"].map(|name| PoolName::new(name).expect("name")).into();
    let mut cloud = Toy { cluster: None, pools: BTreeMap::new() };
    let mut told = Vec::new();
    for _ in 0..4 {
        let snapshot = cloud.look();
        told.push(plan(Goal::Present, &snapshot, &diff(&declared, &snapshot)).to_string());
        round(&mut cloud, Goal::Present, &snapshot, &declared, usize::MAX);
    }
    assert_eq!(
        told,
        [
            "+ create control plane  eks:eu-west-1/shop-eu\n",
            "+ create pool a  eks:eu-west-1/shop-eu\n+ create pool b  eks:eu-west-1/shop-eu\n",
            "",
            "",
        ]
    );
}
