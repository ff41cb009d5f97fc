//! Worlds, wishes and changes that nobody thought of, for the properties.

use fleetwright_api_types::{Adoption, Governed, ManagementMode};
use fleetwright_names::{PoolName, Uid};
use fleetwright_plan::{
    Change, ChangeKind, CloudRules, Goal, ObjectRef, Outside, PartKey, Phase, Replacement,
    Resource, Rules, Seen, SeenCluster, SeenPart, SeenPool, Snapshot, Update, Upgrade, Waiting,
};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::json;

use crate::check::{WHOSE, World, name, seen_cluster, seen_part, seen_pool, unknown};
use crate::toy::{PoolWish, Wish};
use crate::words::{ADD_ON, ENTRY, FARGATE, part, upgrade, version, windows};

pub(crate) fn goals() -> impl Strategy<Value = Goal> {
    select(vec![Goal::Present, Goal::Absent, Goal::Released])
}

fn phases() -> impl Strategy<Value = Phase> {
    prop_oneof![
        3 => Just(Phase::Active),
        2 => select(vec![Phase::Creating, Phase::Updating, Phase::Deleting, Phase::Failed])
    ]
}

/// More of ours than of all others together, since that is where steps are.
fn whose() -> impl Strategy<Value = &'static str> {
    prop_oneof![3 => Just("ours"), 2 => select(WHOSE.to_vec())]
}

/// Declared pools.
fn names() -> impl Strategy<Value = PoolName> {
    select(vec!["a", "b", "c"]).prop_map(name)
}

/// Pools as they are found: under their own name, or as successors.
fn found_names() -> impl Strategy<Value = PoolName> {
    select(vec!["a", "b", "c", "a-0", "a-1", "b-1"]).prop_map(name)
}

fn keys() -> impl Strategy<Value = PartKey> {
    select(vec![(ADD_ON, "x"), (ENTRY, "y"), (FARGATE, "f"), (FARGATE, "g")])
        .prop_map(|(kind, name)| part(kind, name))
}

fn minors() -> impl Strategy<Value = &'static str> {
    select(vec!["1.32", "1.33", "1.34"])
}

fn clusters() -> impl Strategy<Value = SeenCluster> {
    (whose(), phases(), minors(), 0..2_u8).prop_map(|(whose, phase, version, setting)| {
        let mut cluster = seen_cluster(whose, phase, "broken");
        cluster.version = version.into();
        cluster.body = json!({"setting": setting});
        cluster
    })
}

fn pool(name: &PoolName) -> impl Strategy<Value = SeenPool> + use<> {
    let name = name.clone();
    (whose(), phases(), minors(), (0..2_u8, 0..2_u8, 0..2_u8)).prop_map(
        move |(whose, phase, version, (shape, scale, image))| {
            let mut pool = seen_pool(&name, whose, phase, "broken");
            pool.version = version.into();
            pool.body = json!({"shape": shape, "scale": scale, "image": image});
            if let Some((declared, shape)) = name.as_str().split_once('-') {
                pool.stands_for = crate::check::name(declared);
                pool.body["shape"] = json!(shape.parse::<u8>().expect("a shape"));
            }
            pool
        },
    )
}

fn parts() -> impl Strategy<Value = SeenPart> {
    (whose(), phases(), 0..2_u8).prop_map(|(whose, phase, value)| {
        let mut part = seen_part(whose, phase, "broken");
        part.body = json!({"value": value});
        part
    })
}

/// `unknowns` in twenty are not known.
fn seen<T: Clone + std::fmt::Debug + 'static>(
    present: impl Strategy<Value = T> + 'static,
    unknowns: u32,
) -> BoxedStrategy<Seen<T>> {
    let known = prop_oneof![1 => Just(Seen::Absent), 6 => present.prop_map(Seen::Present)];
    if unknowns == 0 {
        return known.boxed();
    }
    prop_oneof![20 - unknowns => known, unknowns => Just(unknown("no answer"))].boxed()
}

fn things_outside() -> impl Strategy<Value = Vec<Outside>> {
    vec(any::<bool>(), 0..3).prop_map(|going| {
        let thing = |(index, going): (usize, bool)| {
            let what = format!("LoadBalancer shop/{index}");
            let object = ObjectRef {
                group: String::new(),
                version: "v1".into(),
                plural: "services".into(),
                namespace: "shop".into(),
                name: index.to_string(),
            };
            Outside { what, object, going }
        };
        going.into_iter().enumerate().map(thing).collect()
    })
}

pub(crate) fn snapshots(unknowns: u32) -> impl Strategy<Value = Snapshot> {
    let pools = vec(
        found_names().prop_flat_map(move |name| {
            let pool = seen(pool(&name), unknowns);
            (Just(name), pool)
        }),
        0..4,
    );
    let parts = btree_map(keys(), seen(parts(), unknowns), 0..3);
    (seen(clusters(), unknowns), pools, parts, prop::option::of(things_outside())).prop_map(
        |(cluster, pools, parts, outside)| {
            let mut snapshot = Snapshot::of(cluster);
            let minor = snapshot.cluster.present().map(|cluster| cluster.version.clone());
            snapshot.pools = pools.into_iter().collect();
            snapshot.parts = parts;
            snapshot.member.outside = outside;
            // No cloud lets a pool be newer than its control plane.
            for pool in snapshot.pools.values_mut() {
                if let (Seen::Present(pool), Some(minor)) = (pool, &minor) {
                    pool.version = std::cmp::min(&pool.version, minor).clone();
                }
            }
            snapshot
        },
    )
}

pub(crate) fn wishes() -> impl Strategy<Value = Wish> {
    let pool = (0..2_u8, 0..2_u8, 0..2_u8).prop_map(|(shape, scale, image)| PoolWish {
        shape,
        scale,
        image,
    });
    let minor = select(vec!["1.32", "1.33", "1.34", "1.35"]).prop_map(version);
    (minor, 0..2_u8, btree_map(names(), pool, 0..4), btree_map(keys(), 0..2_u8, 0..3))
        .prop_map(|(version, setting, pools, parts)| Wish { version, setting, pools, parts })
}

/// Rules of people who let us work; windows are daily.
pub(crate) fn working_rules() -> impl Strategy<Value = Rules> {
    let governs = select(vec![vec![], vec![Governed::Upgrade], vec![Governed::Roll]]);
    let windows = prop::option::of(governs.prop_map(|governs| {
        windows("Europe/Berlin Mon,Tue,Wed,Thu,Fri,Sat,Sun 02:00 4h", &governs)
    }));
    let adoption = prop_oneof![3 => Just(Adoption::Never), 1 => Just(Adoption::Existing)];
    let take_over = prop::option::of(Just(Uid::new("0f").expect("uid")));
    let cloud =
        (any::<bool>(), any::<bool>()).prop_map(|(serial, pools_end_with_control_plane)| {
            CloudRules { serial, pools_end_with_control_plane, by_hand: false }
        });
    (windows, adoption, take_over, cloud).prop_map(|(windows, adoption, take_over, cloud)| Rules {
        windows,
        adoption,
        take_over,
        cloud,
        ..Rules::default()
    })
}

/// All rules there are.
pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    use ManagementMode::{CreateOnly, Manage, Observe};
    let hour = || select(vec!["2026-11-23T09:00:00Z", "2026-11-23T11:00:00Z"]);
    let hours = move || prop::option::of(hour().prop_map(|text| text.parse().expect("an instant")));
    let mode = prop_oneof![4 => Just(Manage), 1 => Just(CreateOnly), 1 => Just(Observe)];
    let held = prop_oneof![
        4 => Just(None),
        1 => Just(Some(Waiting::new("the fuse", "a person")))
    ];
    (working_rules(), mode, hours(), hours(), held).prop_map(
        |(rules, mode, hands_off_until, clean_up_until, deletes_held)| Rules {
            mode,
            hands_off_until,
            clean_up_until,
            deletes_held,
            ..rules
        },
    )
}

/// Changes that no sane provider would give.
pub(crate) fn wild_changes() -> impl Strategy<Value = Vec<Change>> {
    let resource = prop_oneof![
        1 => Just(Resource::Cluster),
        3 => found_names().prop_map(Resource::Pool),
        1 => keys().prop_map(Resource::Part)
    ];
    let refused = select(vec!["spec.a", "spec.b"]).prop_map(|field| ChangeKind::Refused {
        field: field.into(),
        declared: "1".into(),
        found: "2".into(),
        why: "no".into(),
    });
    let update = (select(vec!["logging", "scaling"]), select(vec![None, Some(Governed::Roll)]));
    let update = update.prop_map(|(what, governed)| {
        ChangeKind::Update(Update {
            what: what.into(),
            differences: vec![],
            body: json!({}),
            governed,
            upgrade: None,
        })
    });
    let walk = (minors(), minors()).prop_filter_map("up", |(from, target)| {
        let (from, target) = (version(from), version(target));
        let to = from.next_towards(target)?;
        Some(ChangeKind::Update(upgrade(Upgrade { from, to, target })))
    });
    let replace = names().prop_map(|pool| ChangeKind::Create {
        body: json!({}),
        replaces: Some(Replacement { pool, differences: vec![] }),
    });
    let kind = prop_oneof![
        Just(ChangeKind::Create { body: json!({}), replaces: None }),
        Just(ChangeKind::Delete),
        Just(ChangeKind::Claim),
        found_names().prop_map(|successor| ChangeKind::Retire { successor }),
        replace,
        update,
        walk,
        refused
    ];
    vec((resource, kind).prop_map(|(resource, kind)| Change { resource, kind }), 0..6)
}

/// A world of a sane provider, with all rules.
pub(crate) fn sane_worlds() -> impl Strategy<Value = World> {
    (goals(), snapshots(1), wishes(), rules()).prop_map(|(goal, snapshot, wish, rules)| {
        let changes = crate::toy_diff::diff(&wish, &snapshot);
        World { rules, ..World::new(goal, snapshot, changes) }
    })
}

/// A world of a provider gone mad, with all rules.
pub(crate) fn wild_worlds() -> impl Strategy<Value = World> {
    (goals(), snapshots(2), wild_changes(), rules()).prop_map(|(goal, snapshot, changes, rules)| {
        World { rules, ..World::new(goal, snapshot, changes) }
    })
}
