//! The cluster shall be there: create, wait, complete, refuse.

use fleetwright_plan::Step;
use serde_json::json;

use crate::check::{BUSY, IDLE, check, planned};

#[test]
fn an_absent_cluster_is_made_before_its_pools() {
    check(
        "{goal: Present, cluster: absent, changes: [create cluster, create general, create web]}",
        &[
            "+ create control plane  eks:eu-west-1/shop-eu",
            ". later: + create pool general  eks:eu-west-1/shop-eu (waits: control plane)",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: control plane)",
        ],
    );
}

#[test]
fn a_control_plane_in_the_making_is_waited_for() {
    check(
        "{goal: Present, cluster: ours Creating, changes: [create general, create addon dns]}",
        &[
            ". later: + create managed add-on dns  eks:eu-west-1/shop-eu (waits: control plane)",
            ". later: + create pool general  eks:eu-west-1/shop-eu (waits: control plane)",
            ". waits for the control plane to be made, on eks",
        ],
    );
}

#[test]
fn pools_follow_once_the_control_plane_is_active() {
    check(
        "{goal: Present, cluster: ours Active, changes: [create general, create web]}",
        &[
            "+ create pool general  eks:eu-west-1/shop-eu",
            "+ create pool web  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn an_updating_control_plane_takes_pools_too() {
    check(
        "{goal: Present, cluster: ours Updating, changes: [create web]}",
        &[
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". waits for the control plane to change, on eks",
        ],
    );
}

#[test]
fn a_whole_cluster_needs_nothing() {
    check("{goal: Present, cluster: ours Active, pools: {general: ours Active}}", &[]);
}

#[test]
fn a_cluster_without_pools_is_whole() {
    check("{goal: Present, cluster: ours Active}", &[]);
}

#[test]
fn a_busy_pool_is_waited_for_and_holds_no_other_up() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Creating, b: ours Updating, c: ours Active},
          changes: [create d]}",
        &[
            "+ create pool d  eks:eu-west-1/shop-eu",
            ". waits for pool a to be made, on eks",
            ". waits for pool b to change, on eks",
        ],
    );
}

#[test]
fn several_pools_in_several_states_are_told_apart() {
    check(
        "{goal: Present, cluster: ours Active,
          pools: {a: ours Active, b: ours Creating, c: ours Deleting, d: ours Failed no capacity, old: ours Active, x: untagged Active},
          changes: [create e, delete old, 'refuse a; spec.nodePools[a].size.max; 5; 3; not built yet']}",
        &[
            "+ create pool e  eks:eu-west-1/shop-eu",
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: pool e to be made)",
            ". waits for pool b to be made, on eks",
            ". waits for pool c to go, on eks",
            "! spec.nodePools[a].size.max: declared 5, found 3: not built yet",
            "! spec.nodePools[d]: failed in the cloud: no capacity",
        ],
    );
}

#[test]
fn a_pool_that_is_no_longer_declared_goes() {
    check(
        "{goal: Present, cluster: ours Active, pools: {web: ours Active}, changes: [delete web]}",
        &["- delete pool web  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_failed_pool_is_told_and_left() {
    check(
        "{goal: Present, cluster: ours Active, pools: {web: ours Failed no subnets}}",
        &["! spec.nodePools[web]: failed in the cloud: no subnets"],
    );
}

#[test]
fn a_failed_pool_of_a_stranger_is_not_our_news() {
    check(
        "{goal: Present, cluster: ours Active, pools: {theirs: untagged Failed no subnets}}",
        &[],
    );
}

#[test]
fn busy_pools_of_strangers_are_not_waited_for() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: neighbour Creating, b: other-hub Deleting}}",
        &[],
    );
}

#[test]
fn a_pool_name_that_a_stranger_took_is_refused() {
    check(
        "{goal: Present, cluster: ours Active, pools: {web: untagged Active},
          changes: ['refuse web; spec.nodePools[web].name; web of ours; other tags; choose another name']}",
        &["! spec.nodePools[web].name: declared web of ours, found other tags: choose another name"],
    );
}

#[test]
fn what_cannot_be_changed_is_told_beside_what_can() {
    check(
        "{goal: Present, cluster: ours Active,
          changes: ['refuse cluster; spec.version; 1.35; 1.34; not built yet', create web]}",
        &[
            "+ create pool web  eks:eu-west-1/shop-eu",
            "! spec.version: declared 1.35, found 1.34: not built yet",
        ],
    );
}

#[test]
fn changes_come_out_sorted_however_they_came_in() {
    check(
        "{goal: Present, cluster: ours Active, changes: [create web, 'refuse b; spec.z; 1; 2; no',
          create a, 'refuse b; spec.y; 1; 2; no', 'refuse cluster; spec.zz; 1; 2; no']}",
        &[
            "+ create pool a  eks:eu-west-1/shop-eu",
            "+ create pool web  eks:eu-west-1/shop-eu",
            "! spec.zz: declared 1, found 2: no",
            "! spec.y: declared 1, found 2: no",
            "! spec.z: declared 1, found 2: no",
        ],
    );
}

#[test]
fn a_failed_control_plane_is_left_for_a_person() {
    check(
        "{goal: Present, cluster: ours Failed no such role, changes: [create web, delete old]}",
        &["! eks:eu-west-1/shop-eu failed in the cloud: no such role; \
           delete it there or delete this object, then declare it again"],
    );
}

#[test]
fn a_control_plane_on_its_way_out_is_waited_for_and_then_made_again() {
    check(
        "{goal: Present, cluster: ours Deleting, changes: [create web]}",
        &[". waits for the control plane to go, so that it can be made again, on eks"],
    );
    check(
        "{goal: Present, cluster: absent, changes: [create cluster, create web]}",
        &[
            "+ create control plane  eks:eu-west-1/shop-eu",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: control plane)",
        ],
    );
}

#[test]
fn a_declared_pool_on_its_way_out_is_waited_for_and_then_made_again() {
    check(
        "{goal: Present, cluster: ours Active, pools: {web: ours Deleting}}",
        &[". waits for pool web to go, on eks"],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {web: absent}, changes: [create web]}",
        &["+ create pool web  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn an_unknown_control_plane_stops_everything() {
    for goal in ["Present", "Absent", "Released"] {
        check(
            &format!(
                "{{goal: {goal}, cluster: unknown no answer in 10 s, pools: {{a: ours Active}},
                  changes: [create cluster, create web, delete a]}}"
            ),
            &[". waits for a look at the control plane, on no answer in 10 s"],
        );
    }
}

#[test]
fn an_unknown_pool_holds_up_only_itself() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: unknown throttled},
          changes: [create web, create b, 'update a: scaling; spec.max; 5; 3', 'update b: scaling; spec.max; 5; 3']}",
        &[
            "~ update pool a scaling  spec.max: declared 5, found 3",
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". waits for a look at pool b, on throttled",
        ],
    );
}

#[test]
fn an_unknown_part_holds_up_only_itself() {
    check(
        "{goal: Present, cluster: ours Active, parts: {addon dns: unknown throttled},
          changes: [create addon dns, delete addon dns, create web]}",
        &[
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". waits for a look at managed add-on dns, on throttled",
        ],
    );
}

#[test]
fn nodes_are_not_taken_from_under_pods_while_a_pool_is_unknown() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: unknown throttled},
          changes: ['roll a: image; spec.image; new; old', 'upgrade cluster: 1.34 1.35 1.35']}",
        &[
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: a look at pool b)",
            ". later: ~ roll pool a image old → new (waits: a look at pool b)",
            ". waits for a look at pool b, on throttled",
        ],
    );
}

#[test]
fn every_unknown_is_named() {
    check(
        "{goal: Present, cluster: unknown timed out, pools: {a: unknown throttled, b: ours Active}}",
        &[
            ". waits for a look at the control plane, on timed out",
            ". waits for a look at pool a, on throttled",
        ],
    );
}

#[test]
fn the_cloud_is_asked_often_while_it_works_and_seldom_when_all_is_well() {
    let pace = |case| planned(case).requeue;
    assert_eq!(pace("{goal: Present, cluster: absent, changes: [create cluster]}"), Some(BUSY));
    assert_eq!(pace("{goal: Present, cluster: ours Creating}"), Some(BUSY));
    assert_eq!(pace("{goal: Present, cluster: unknown timed out}"), Some(BUSY));
    assert_eq!(
        pace("{goal: Present, cluster: ours Active, pools: {a: ours Deleting}}"),
        Some(BUSY)
    );
    assert_eq!(pace("{goal: Present, cluster: ours Active}"), Some(IDLE));
    assert_eq!(pace("{goal: Present, cluster: other-hub Active}"), Some(IDLE));
    assert_eq!(pace("{goal: Present, cluster: ours Failed it broke}"), Some(IDLE));
    assert_eq!(pace("{goal: Absent, cluster: absent}"), None);
}

#[test]
fn a_create_carries_the_providers_body_and_a_token_of_its_own() {
    let plan = planned("{goal: Present, cluster: ours Active, changes: [create a, create b]}");
    let steps: Vec<_> = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::Cloud(step) => step,
            Step::Hub(_) | Step::Member(_) => panic!("{step} is not for the cloud"),
        })
        .collect();
    assert_eq!(
        steps[0].action,
        fleetwright_plan::CloudAction::Create { body: json!({"name": "a"}) }
    );
    // sha256("1a/3/Create 2992380/pool a"), taken with sha256sum; so many times ten minutes are over since 1970.
    assert_eq!(steps[0].token, "c73fd2dbb151305dda912d43fd530c4620746cdc4f19a9b9cca75caff879e8f8");
    assert_ne!(steps[0].token, steps[1].token);
}

#[test]
fn what_is_made_again_later_has_another_token() {
    let token = |hour: &str| {
        let case = format!(
            "{{now: '2026-11-23T{hour}Z', goal: Present, cluster: ours Active, changes: [create a]}}"
        );
        match &planned(&case).steps[..] {
            [Step::Cloud(step)] => step.token.clone(),
            other => panic!("one step: {other:?}"),
        }
    };
    assert_eq!(token("10:00:00"), token("10:09:59"), "a repeated request is the same request");
    assert_ne!(token("10:00:00"), token("10:10:00"), "somebody deleted it meanwhile");
}
