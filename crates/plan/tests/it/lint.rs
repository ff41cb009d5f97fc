//! The second reader: what it refuses, word for word, and what it lets pass.

use crate::check::{WHOSE, check_lint};

const SEEN: &str = "goal: Present, cluster: ours Active, pools: {web: ours Active, x: untagged Active, q: unknown lost}";

#[test]
fn two_steps_on_one_resource_are_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: [delete web, release web]}}"),
        "the plan holds two steps on pool web",
    );
    check_lint(
        "{goal: Present, cluster: absent, steps: [create cluster, create cluster]}",
        "the plan holds two steps on control plane",
    );
}

#[test]
fn a_create_of_what_is_there_or_may_be_there_is_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: [create cluster]}}"),
        "the plan creates control plane, which is not known to be absent",
    );
    check_lint(
        &format!("{{{SEEN}, steps: [create new, create x]}}"),
        "the plan creates pool x, which is not known to be absent",
    );
    check_lint(
        &format!("{{{SEEN}, steps: [create q]}}"),
        "the plan creates pool q, which is not known to be absent",
    );
    check_lint(
        "{goal: Present, cluster: unknown lost, steps: [create cluster]}",
        "the plan creates control plane, which is not known to be absent",
    );
}

#[test]
fn a_delete_of_what_is_not_ours_is_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: [delete x]}}"),
        "the plan would Delete pool x, which is not tagged as ours",
    );
    for whose in WHOSE.iter().filter(|whose| **whose != "ours") {
        check_lint(
            &format!("{{goal: Absent, cluster: {whose} Active, steps: [delete cluster]}}"),
            "the plan would Delete control plane, which is not tagged as ours",
        );
    }
}

#[test]
fn a_release_of_what_is_not_ours_is_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: [release x]}}"),
        "the plan would Release pool x, which is not tagged as ours",
    );
}

#[test]
fn a_delete_of_what_is_absent_or_unknown_is_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: [delete nowhere]}}"),
        "the plan would Delete pool nowhere, which is not tagged as ours",
    );
    check_lint(
        &format!("{{{SEEN}, steps: [delete q]}}"),
        "the plan would Delete pool q, which is not tagged as ours",
    );
}

#[test]
fn the_control_plane_does_not_go_before_its_pools() {
    for pool in ["ours Deleting", "untagged Active", "unknown lost"] {
        check_lint(
            &format!(
                "{{goal: Absent, cluster: ours Active, pools: {{a: {pool}}}, steps: [delete cluster]}}"
            ),
            "the plan deletes the control plane while pools are left",
        );
    }
}

#[test]
fn what_the_snapshot_bears_out_passes() {
    check_lint("{goal: Present, cluster: absent, steps: [create cluster]}", "");
    check_lint(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: absent}, steps: [create b, create c, delete a]}",
        "",
    );
    check_lint(
        "{goal: Absent, cluster: ours Active, pools: {a: absent}, steps: [delete cluster]}",
        "",
    );
    check_lint(
        "{goal: Released, cluster: ours Active, pools: {a: ours Active}, steps: [release a, release cluster]}",
        "",
    );
}
