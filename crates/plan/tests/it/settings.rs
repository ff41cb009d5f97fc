//! Changes in place: one kind at a time on a control plane, one step on a resource, and patience after a failure.

use fleetwright_plan::{CloudAction, Step};

use crate::check::{BUSY, IDLE, check, planned};

#[test]
fn a_difference_is_made_right_and_told_with_its_field() {
    check(
        "{goal: Present, cluster: ours Active, changes: ['update cluster: logging; spec.eks.logging; [Api, Audit]; []']}",
        &["~ update control plane logging  spec.eks.logging: declared [Api, Audit], found []"],
    );
}

#[test]
fn several_differences_of_one_kind_are_one_call() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active},
          changes: ['update a: config; spec.min; 1; 0; spec.max; 5; 3']}",
        &["~ update pool a config  spec.min: declared 1, found 0; spec.max: declared 5, found 3"],
    );
}

#[test]
fn a_long_list_of_differences_is_cut() {
    let long = "spec.nodePools[general].labels; {workload: general, team: payments}; {}";
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, pools: {{a: ours Active}},
          changes: ['update a: config; {long}; {long}; {long}']}}"
        ),
        &[
            "~ update pool a config  spec.nodePools[general].labels: declared {workload: general, team: payments}, found {}; and 2 more",
        ],
    );
}

#[test]
fn a_control_plane_takes_one_kind_of_change_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active,
          changes: ['update cluster: logging; spec.l; 1; 2', 'update cluster: endpoint; spec.e; 1; 2']}",
        &[
            "~ update control plane endpoint  spec.e: declared 1, found 2",
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: update of control plane)",
        ],
    );
}

#[test]
fn a_changing_control_plane_takes_no_further_change() {
    check(
        "{goal: Present, cluster: ours Updating, changes: ['update cluster: logging; spec.l; 1; 2']}",
        &[
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: update of control plane)",
            ". waits for the control plane to change, on eks",
        ],
    );
}

#[test]
fn a_change_under_way_counts_although_the_phase_says_active() {
    check(
        "{goal: Present, cluster: ours Active last=logging/InProgress/09:58,
          changes: ['update cluster: logging; spec.l; 1; 2']}",
        &[
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: update of control plane)",
            ". waits for the control plane to change, on eks",
        ],
    );
}

#[test]
fn pools_and_parts_change_beside_the_control_plane() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: ours Active}, parts: {addon dns: ours Active},
          changes: ['update cluster: logging; spec.l; 1; 2', 'update a: scaling; spec.a; 1; 2',
            'update b: scaling; spec.b; 1; 2', 'update addon dns: version; spec.d; v2; v1']}",
        &[
            "~ update control plane logging  spec.l: declared 1, found 2",
            "~ update managed add-on dns version  spec.d: declared v2, found v1",
            "~ update pool a scaling  spec.a: declared 1, found 2",
            "~ update pool b scaling  spec.b: declared 1, found 2",
        ],
    );
}

#[test]
fn a_busy_pool_or_part_takes_no_further_change() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Updating}, parts: {addon dns: ours Creating},
          changes: ['update a: scaling; spec.a; 1; 2', 'update addon dns: version; spec.d; v2; v1']}",
        &[
            ". later: ~ update managed add-on dns version  spec.d: declared v2, found v1 (waits: update of managed add-on dns)",
            ". later: ~ update pool a scaling  spec.a: declared 1, found 2 (waits: update of pool a)",
            ". waits for pool a to change, on eks",
            ". waits for managed add-on dns to be made, on eks",
        ],
    );
}

#[test]
fn a_pool_takes_one_kind_of_change_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active},
          changes: ['update a: tags; spec.t; 1; 2', 'update a: config; spec.c; 1; 2', 'roll a: image; spec.i; new; old']}",
        &[
            "~ update pool a config  spec.c: declared 1, found 2",
            ". later: ~ update pool a tags  spec.t: declared 1, found 2 (waits: update of pool a)",
            ". later: ~ roll pool a image old → new (waits: update of pool a)",
        ],
    );
}

#[test]
fn what_is_on_its_way_out_is_not_changed() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Deleting},
          changes: ['update a: scaling; spec.a; 1; 2', delete a]}",
        &[
            ". later: ~ update pool a scaling  spec.a: declared 1, found 2 (waits: update of pool a)",
            ". waits for pool a to go, on eks",
        ],
    );
}

#[test]
fn what_is_not_ours_is_not_changed() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: untagged Active}, parts: {entry ops: other-hub Active},
          changes: ['update a: scaling; spec.a; 1; 2', 'update entry ops: policies; spec.e; 1; 2', delete a, delete entry ops]}",
        &[],
    );
}

#[test]
fn a_change_of_what_is_not_there_is_nothing() {
    check(
        "{goal: Present, cluster: ours Active, pools: {b: absent}, changes: ['update a: scaling; spec.a; 1; 2', 'update b: scaling; spec.a; 1; 2', delete c]}",
        &[],
    );
}

#[test]
fn a_failed_change_is_not_tried_again_at_once() {
    check(
        "{goal: Present, cluster: ours Active last=logging/Failed/09:55/role_is_gone,
          changes: ['update cluster: logging; spec.l; 1; 2']}",
        &[
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 \
             (waits: the last one failed: role is gone; again at 10:05 UTC)",
            ". waits for another try at logging of the control plane, on eks: role is gone",
        ],
    );
}

#[test]
fn a_cancelled_change_without_a_reason_is_told_too() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active last=version/Cancelled/09:51},
          changes: ['upgrade a: 1.33 1.34 1.34']}",
        &[
            ". later: ~ upgrade pool a 1.33 → 1.34 (waits: the last one failed: no reason given; again at 10:01 UTC)",
            ". waits for another try at version of pool a, on eks: no reason given",
        ],
    );
}

#[test]
fn a_failed_change_is_tried_again_after_ten_minutes() {
    check(
        "{goal: Present, cluster: ours Active last=logging/Failed/09:50/role_is_gone,
          changes: ['update cluster: logging; spec.l; 1; 2']}",
        &["~ update control plane logging  spec.l: declared 1, found 2"],
    );
}

/// The cloud tells of the last one only: two that fail would take turns.
#[test]
fn a_failed_change_holds_every_other_setting_of_the_same_thing_up() {
    let case = |edited: &str| {
        format!(
            "{{goal: Present, cluster: ours Active last=endpoint/Failed/09:55/no{edited}, pools: {{a: ours Active}},
              changes: ['update cluster: endpoint; spec.e; 1; 2', 'update cluster: logging; spec.l; 1; 2', 'update a: config; spec.a; 1; 2']}}"
        )
    };
    check(
        &case(""),
        &[
            "~ update pool a config  spec.a: declared 1, found 2",
            ". later: ~ update control plane endpoint  spec.e: declared 1, found 2 (waits: the last one failed: no; again at 10:05 UTC)",
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: the last change, endpoint, failed: no; again at 10:05 UTC)",
            ". waits for another try at endpoint of the control plane, on eks: no",
            ". waits for logging of the control plane, since its endpoint failed, on eks: no",
        ],
    );
    check(
        &case(", edited: '09:56'"),
        &[
            "~ update control plane endpoint  spec.e: declared 1, found 2",
            "~ update pool a config  spec.a: declared 1, found 2",
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: update of control plane)",
        ],
    );
}

#[test]
fn an_upgrade_waits_for_no_failed_setting() {
    check(
        "{goal: Present, cluster: ours Active last=endpoint/Failed/09:55/no, changes: ['upgrade cluster: 1.34 1.35 1.35']}",
        &["~ upgrade control plane 1.34 → 1.35"],
    );
}

#[test]
fn a_second_repair_of_the_same_field_has_a_token_of_its_own() {
    let token = |last: &str| {
        let case = format!(
            "{{goal: Present, cluster: ours Active {last}, changes: ['update cluster: logging; spec.l; 1; 2']}}"
        );
        match planned(&case).steps.as_slice() {
            [Step::Cloud(step)] => step.token.clone(),
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (token(""), token("last=logging/Successful/09:30"));
    assert_ne!(first, second);
    assert_eq!(second, token("last=logging/Successful/09:30"));
    assert_ne!(second, token("last=logging/Successful/09:40"));
}

#[test]
fn an_update_carries_the_providers_body() {
    let plan = planned(
        "{goal: Present, cluster: ours Active, changes: ['update cluster: logging; spec.l; 1; 2']}",
    );
    let [Step::Cloud(step)] = plan.steps.as_slice() else { panic!("{plan}") };
    let CloudAction::Update(update) = &step.action else { panic!("{plan}") };
    assert_eq!(update.body, serde_json::json!({"set": "logging"}));
    assert_eq!(plan.differences(), update.differences);
}

#[test]
fn after_a_failure_the_next_look_is_when_the_wait_ends() {
    let case = |hour| {
        format!(
            "{{goal: Present, cluster: ours Active last=logging/Failed/{hour}/no, changes: ['update cluster: logging; spec.l; 1; 2']}}"
        )
    };
    assert_eq!(planned(&case("09:52")).requeue, Some(std::time::Duration::from_secs(120)));
    assert_eq!(planned(&case("09:58")).requeue, Some(IDLE), "never later than idly");
    assert_eq!(planned(&case("09:40")).requeue, Some(BUSY), "it is tried");
}

#[test]
fn a_failed_part_may_be_changed_and_is_told() {
    check(
        "{goal: Present, cluster: ours Active, parts: {addon dns: ours Failed no such version},
          changes: ['update addon dns: version; spec.d; v2; v1']}",
        &[
            "~ update managed add-on dns version  spec.d: declared v2, found v1",
            "! managed add-on dns failed in the cloud: no such version",
        ],
    );
}
