//! A cloud that takes one change of a cluster at a time and whose pools go with their control plane; parts without tags.

use std::time::Duration;

use crate::check::{BUSY, IDLE, check, check_lint, planned};

#[test]
fn pools_wait_while_the_control_plane_changes() {
    check(
        "{azure-like: true, goal: Present, cluster: ours Updating, pools: {a: ours Active},
          changes: ['update a: config; spec.a; 1; 2', create b]}",
        &[
            ". later: ~ update pool a config  spec.a: declared 1, found 2 (waits: update of control plane)",
            ". later: + create pool b  eks:eu-west-1/shop-eu (waits: update of control plane)",
            ". waits for the control plane to change, on eks",
        ],
    );
    check(
        "{azure-like: true, goal: Present, cluster: ours Active, pools: {a: ours Active},
          changes: ['update a: config; spec.a; 1; 2', 'update cluster: tier; spec.t; 1; 2']}",
        &[
            "~ update control plane tier  spec.t: declared 1, found 2",
            ". later: ~ update pool a config  spec.a: declared 1, found 2 (waits: update of control plane)",
        ],
    );
}

#[test]
fn the_control_plane_waits_while_a_pool_changes_whosever_it_is() {
    for whose in ["ours", "untagged"] {
        check(
            &format!(
                "{{azure-like: true, goal: Present, cluster: ours Active, pools: {{a: {whose} Updating}},
                  changes: ['update cluster: tier; spec.t; 1; 2']}}"
            ),
            &[
                ". later: ~ update control plane tier  spec.t: declared 1, found 2 (waits: update of pool a)",
                ". waits for pool a to change, on eks",
            ][..if whose == "ours" { 2 } else { 1 }],
        );
    }
}

#[test]
fn two_pools_change_side_by_side_and_parts_beside_anything() {
    check(
        "{azure-like: true, goal: Present, cluster: ours Active, pools: {a: ours Updating, b: ours Active},
          changes: ['update b: config; spec.b; 1; 2']}",
        &[
            "~ update pool b config  spec.b: declared 1, found 2",
            ". waits for pool a to change, on eks",
        ],
    );
    check(
        "{azure-like: true, goal: Present, cluster: ours Updating, parts: {schedule default: ours Active},
          changes: ['update schedule default: schedule; spec.w; 1; 2', create schedule other]}",
        &[
            "~ update maintenance configuration default schedule  spec.w: declared 1, found 2",
            "+ create maintenance configuration other  eks:eu-west-1/shop-eu",
            ". waits for the control plane to change, on eks",
        ],
    );
}

#[test]
fn pools_that_are_born_with_the_control_plane_are_shown_before_and_not_made_twice() {
    check(
        "{azure-like: true, goal: Present, cluster: absent, changes: [create cluster, create system, create web]}",
        &[
            "+ create control plane  eks:eu-west-1/shop-eu",
            ". later: + create pool system  eks:eu-west-1/shop-eu (waits: control plane)",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: control plane)",
        ],
    );
    check(
        "{azure-like: true, goal: Present, cluster: ours Creating, pools: {system: ours Creating}, changes: [create web]}",
        &[
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: control plane)",
            ". waits for the control plane to be made, on eks",
        ],
    );
    check(
        "{azure-like: true, goal: Present, cluster: ours Active, pools: {system: ours Active}, changes: [create web]}",
        &["+ create pool web  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn the_last_system_pool_goes_after_its_successor_took_its_pods() {
    let case = |system_2: &str, drains: &str| {
        format!(
            "{{azure-like: true, goal: Present, cluster: ours Active,
              pools: {{system: ours Active, {system_2}}}, drains: {{{drains}}},
              changes: [{}]}}",
            if system_2.is_empty() {
                "create system2 for system; spec.vm; 1; 2, retire system for system2"
            } else {
                "retire system for system2"
            }
        )
    };
    check(
        &case("", ""),
        &[
            "+ create pool system2 in place of system (vm 2 → 1)",
            ". later: - delete pool system  eks:eu-west-1/shop-eu (waits: successor system2)",
        ],
    );
    check(
        &case("system2: ours Creating for=system", ""),
        &[
            ". later: - delete pool system  eks:eu-west-1/shop-eu (waits: successor system2)",
            ". waits for pool system2 to be made, on eks",
        ],
    );
    check(&case("system2: ours Active for=system", ""), &["~ drain pool system"]);
    check(
        &case("system2: ours Active for=system", "system: 3 3 0"),
        &["- delete pool system  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_pool_under_a_new_name_is_there_before_the_old_one_goes() {
    let case = |new: &str, changes: &str| {
        format!(
            "{{azure-like: true, goal: Present, cluster: ours Active, pools: {{old: ours Active, {new}}}, changes: [{changes}]}}"
        )
    };
    check(
        &case("", "create new, delete old"),
        &[
            "+ create pool new  eks:eu-west-1/shop-eu",
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: pool new to be made)",
        ],
    );
    check(
        &case("new: ours Failed no quota", "delete old"),
        &[
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: pool new to be made)",
            "! spec.nodePools[new]: failed in the cloud: no quota",
        ],
    );
    check(&case("new: ours Active", "delete old"), &["- delete pool old  eks:eu-west-1/shop-eu"]);
    check(
        &case("new: ours Failed no quota", "delete old, delete new"),
        &["- delete pool new  eks:eu-west-1/shop-eu", "- delete pool old  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn an_undeclared_schedule_is_deleted_and_one_of_a_strangers_cluster_is_not() {
    check(
        "{azure-like: true, goal: Present, cluster: ours Active, parts: {schedule default: ours Active}, changes: [delete schedule default]}",
        &["- delete maintenance configuration default  eks:eu-west-1/shop-eu"],
    );
    check(
        "{azure-like: true, goal: Present, cluster: untagged Active, parts: {schedule default: untagged Active}, changes: [delete schedule default]}",
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu exists and was not made by Fleetwright; set adoption: Existing to adopt it, or choose another externalName",
        ],
    );
}

#[test]
fn a_claim_of_the_control_plane_covers_what_has_no_tags_and_comes_before_the_pools() {
    check(
        "{azure-like: true, goal: Present, adoption: Existing, cluster: untagged Active,
          pools: {a: untagged Active}, parts: {schedule default: untagged Active},
          changes: [claim cluster, claim a, claim schedule default]}",
        &[
            "~ claim control plane  eks:eu-west-1/shop-eu",
            ". later: ~ claim pool a  eks:eu-west-1/shop-eu (waits: update of control plane)",
        ],
    );
    check(
        "{azure-like: true, goal: Present, take-over: 0f, cluster: predecessor Active,
          pools: {a: predecessor Active}, parts: {schedule default: predecessor Active}, changes: [claim cluster]}",
        &[
            "~ claim control plane  eks:eu-west-1/shop-eu",
            ". later: ~ claim pool a  eks:eu-west-1/shop-eu (waits: update of control plane)",
        ],
    );
}

#[test]
fn pools_and_schedules_go_with_their_control_plane() {
    for pools in ["a: ours Active, x: untagged Updating", "a: unknown denied", ""] {
        check(
            &format!(
                "{{azure-like: true, goal: Absent, cluster: ours Active, pools: {{{pools}}}, parts: {{schedule default: ours Active}}}}"
            ),
            &["- delete control plane  eks:eu-west-1/shop-eu"],
        );
    }
    check_lint(
        "{azure-like: true, goal: Absent, cluster: ours Active, pools: {a: ours Active}, steps: [delete cluster]}",
        "",
    );
    check_lint(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active}, steps: [delete cluster]}",
        "the plan deletes the control plane while pools are left",
    );
}

#[test]
fn what_is_let_go_is_let_go_one_after_the_other_and_schedules_with_their_control_plane() {
    let pools = |a: &str| {
        format!(
            "{{azure-like: true, goal: Released, cluster: ours Active, pools: {{a: {a}}}, parts: {{schedule default: ours Active}}}}"
        )
    };
    check(
        &pools("ours Active"),
        &[
            "~ release pool a  eks:eu-west-1/shop-eu",
            ". later: ~ release control plane  eks:eu-west-1/shop-eu (waits: update of pool a)",
        ],
    );
    let moving = pools("released Updating");
    check(
        &moving,
        &[". later: ~ release control plane  eks:eu-west-1/shop-eu (waits: update of pool a)"],
    );
    assert_eq!(planned(&moving).requeue, Some(BUSY), "it is worth looking soon");
    check(&pools("released Active"), &["~ release control plane  eks:eu-west-1/shop-eu"]);
}

#[test]
fn an_edit_ends_the_wait_after_a_failed_change_of_an_older_declaration() {
    let case = |edited: &str| {
        format!(
            "{{goal: Present, cluster: ours Active last=logging/Failed/09:55/no_role{edited}, changes: ['update cluster: logging; spec.l; 1; 2']}}"
        )
    };
    let held = [
        ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: the last one failed: no role; again at 10:05 UTC)",
        ". waits for another try at logging of the control plane, on eks: no role",
    ];
    check(&case(""), &held);
    check(
        &case(", edited: '09:56'"),
        &["~ update control plane logging  spec.l: declared 1, found 2"],
    );
    // It failed for this very declaration.
    check(&case(", edited: '09:55'"), &held);
}

#[test]
fn a_cloud_that_asks_to_be_left_alone_is_left_alone_but_not_for_ever() {
    let requeue = |case: &str| planned(case).requeue;
    let unseen =
        |asked| format!("{{goal: Present, cluster: unknown throttled, retry-after: {asked}}}");
    assert_eq!(requeue(&unseen(90)), Some(Duration::from_secs(90)));
    assert_eq!(requeue(&unseen(1)), Some(BUSY), "never sooner than otherwise");
    assert_eq!(requeue(&unseen(86_400)), Some(Duration::from_secs(900)));
    assert_eq!(requeue("{goal: Present, cluster: ours Active}"), Some(IDLE));
}
