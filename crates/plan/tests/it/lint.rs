//! The second reader: what it refuses, word for word, and what it lets pass.

use crate::check::{WHOSE, check_lint};

const SEEN: &str = "goal: Present, cluster: ours Active, pools: {web: ours Active, x: untagged Active, q: unknown lost}";

#[test]
fn two_steps_on_one_resource_are_refused() {
    check_lint(
        &format!("{{{SEEN}, changes: [delete web], steps: [delete web, release web]}}"),
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
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: absent}, changes: [delete a], steps: [create b, create c, delete a]}",
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

#[test]
fn a_drain_counts_as_a_step_on_its_pool() {
    check_lint(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Active for=a},
          changes: [retire a for a-1], steps: [drain a, delete a]}",
        "the plan holds two steps on pool a",
    );
}

#[test]
fn an_update_of_what_is_not_ours_is_refused() {
    check_lint(
        &format!("{{{SEEN}, steps: ['update x: scaling']}}"),
        "the plan would Update pool x, which is not tagged as ours",
    );
    check_lint(
        "{goal: Present, cluster: ours Active, parts: {addon dns: untagged Active}, steps: ['update addon dns: version']}",
        "the plan would Update managed add-on dns, which is not tagged as ours",
    );
    check_lint(
        "{goal: Present, cluster: ours Active, pools: {x: untagged Active, y: ours Active}, changes: [retire x for y], steps: [drain x]}",
        "the plan would Drain pool x, which is not tagged as ours",
    );
}

#[test]
fn a_claim_needs_tags_and_rules_that_allow_it() {
    let refusal = "the plan claims control plane, whose tags and rules do not allow that";
    for (rules, cluster, step) in [
        ("", "untagged Active", "claim cluster"),
        ("", "released Active", "claim cluster"),
        ("adoption: Existing, ", "ours Active", "claim cluster"),
        ("adoption: Existing, ", "other-hub Active", "claim cluster"),
        ("adoption: Existing, ", "neighbour Active", "claim cluster"),
        ("adoption: Existing, ", "predecessor Active", "claim cluster"),
        ("adoption: Existing, ", "absent", "claim cluster"),
        ("adoption: Existing, ", "unknown lost", "claim cluster"),
        ("adoption: Existing, take-over: 0f, ", "untagged Active", "claim cluster from 0f"),
        ("take-over: 0e, ", "predecessor Active", "claim cluster from 0f"),
        ("take-over: 0f, ", "predecessor Active", "claim cluster from 0e"),
        ("take-over: 0f, ", "predecessor Active", "claim cluster"),
    ] {
        check_lint(
            &format!("{{{rules}goal: Present, cluster: {cluster}, steps: [{step}]}}"),
            refusal,
        );
    }
    check_lint(
        "{adoption: Existing, goal: Present, cluster: untagged Active, steps: [claim cluster]}",
        "",
    );
    check_lint(
        "{take-over: 0f, goal: Present, cluster: predecessor Active, steps: [claim cluster from 0f]}",
        "",
    );
}

#[test]
fn a_version_is_neither_skipped_nor_lowered_nor_above_the_control_plane() {
    let said = |step: &str, expect: &str| {
        check_lint(
            &format!(
                "{{goal: Present, cluster: ours Active, pools: {{a: ours Active v=1.32}}, steps: ['upgrade {step}']}}"
            ),
            expect,
        );
    };
    said("cluster: 1.34 1.35 1.36", "");
    said(
        "cluster: 1.34 1.36 1.36",
        "the plan upgrades control plane from 1.34 to 1.36: that skips a minor",
    );
    said(
        "cluster: 1.34 1.33 1.33",
        "the plan upgrades control plane from 1.34 to 1.33: that is not up",
    );
    said(
        "cluster: 1.34 1.34 1.34",
        "the plan upgrades control plane from 1.34 to 1.34: that is not up",
    );
    said(
        "cluster: 1.33 1.34 1.34",
        "the plan upgrades control plane from 1.33 to 1.34: that is not what runs",
    );
    said("a: 1.32 1.34 1.34", "");
    said(
        "a: 1.34 1.35 1.35",
        "the plan upgrades pool a from 1.34 to 1.35: that is above the control plane",
    );
    said("a: 1.34 1.33 1.33", "the plan upgrades pool a from 1.34 to 1.33: that is not up");
}

#[test]
fn the_control_plane_does_not_go_before_its_fargate_profiles() {
    for part in ["ours Deleting", "untagged Active", "unknown lost"] {
        check_lint(
            &format!(
                "{{goal: Absent, cluster: ours Active, parts: {{fargate f: {part}}}, steps: [delete cluster]}}"
            ),
            "the plan deletes the control plane while Fargate profile f is left",
        );
    }
    check_lint(
        "{goal: Absent, cluster: ours Active, parts: {addon dns: ours Active, fargate f: absent}, steps: [delete cluster]}",
        "",
    );
}

#[test]
fn a_pool_does_not_go_before_its_successor_is_ready() {
    for successor in
        ["absent", "ours Creating", "ours Failed broken", "untagged Active", "unknown lost"]
    {
        for step in ["drain a", "delete a"] {
            check_lint(
                &format!(
                    "{{goal: Present, cluster: ours Active, pools: {{a: ours Active, b: {successor}}}, changes: [retire a for b], steps: [{step}]}}"
                ),
                "the plan empties or deletes pool a before its successor b is ready",
            );
        }
    }
    for step in ["drain a", "delete a"] {
        check_lint(
            &format!(
                "{{goal: Present, cluster: ours Active, pools: {{a: ours Active, b: ours Active}}, changes: [retire a for b], steps: [{step}]}}"
            ),
            "",
        );
    }
}

#[test]
fn nothing_goes_that_nobody_asked_to_go() {
    check_lint(
        &format!("{{{SEEN}, steps: [delete web]}}"),
        "the plan holds `- delete pool web  eks:eu-west-1/shop-eu`, but no difference asks for that",
    );
    check_lint(
        "{goal: Present, cluster: ours Active, changes: [delete cluster], steps: [delete cluster]}",
        "the plan holds `- delete control plane  eks:eu-west-1/shop-eu`, but the cluster shall be there",
    );
    check_lint(
        &format!("{{{SEEN}, changes: [delete web], steps: [drain web]}}"),
        "the plan holds `drain pool web`, but no successor takes its place",
    );
    check_lint(
        "{goal: Released, cluster: ours Active, steps: [delete cluster]}",
        "the plan holds `- delete control plane  eks:eu-west-1/shop-eu`, but the cluster shall be let go untouched",
    );
}

#[test]
fn nothing_is_made_or_changed_on_the_way_out() {
    for (goal, step) in
        [("Absent", "create web"), ("Released", "'update a: scaling'"), ("Absent", "claim a")]
    {
        let case = format!(
            "{{goal: {goal}, cluster: ours Active, pools: {{a: ours Active}}, steps: [{step}]}}"
        );
        let plan = crate::words::Case::read(&case);
        let plan = fleetwright_plan::Plan { steps: plan.steps(), ..Default::default() };
        let said = crate::words::Case::read(&case).world().lint(&plan).expect_err("nonsense");
        assert!(said.to_string().ends_with("but the cluster shall go"), "{said}");
    }
}

#[test]
fn mode_observe_and_create_only_are_kept() {
    for step in ["create cluster", "delete web", "drain web", "clean LoadBalancer"] {
        let case = format!("{{mode: Observe, goal: Present, cluster: absent, steps: [{step}]}}");
        let plan = fleetwright_plan::Plan {
            steps: crate::words::Case::read(&case).steps(),
            ..Default::default()
        };
        let said = crate::words::Case::read(&case).world().lint(&plan).expect_err("nonsense");
        assert!(said.to_string().ends_with("but mode Observe only looks"), "{said}");
    }
    check_lint(
        "{mode: CreateOnly, goal: Present, cluster: ours Active, steps: ['update cluster: logging']}",
        "the plan holds `~ update control plane logging`, but mode CreateOnly only creates",
    );
}

#[test]
fn held_deletes_and_hands_off_are_kept() {
    check_lint(
        "{deletes-held: the fuse, goal: Absent, cluster: ours Active, steps: [delete cluster]}",
        "the plan holds `- delete control plane  eks:eu-west-1/shop-eu`, but deletes are held",
    );
    check_lint(
        "{deletes-held: the fuse, goal: Absent, cluster: ours Active, steps: [clean Volume]}",
        "the plan holds `- delete Volume`, but deletes are held",
    );
    check_lint(
        "{hands-off: '2026-11-23T11:00:00Z', goal: Present, cluster: absent, steps: [create cluster]}",
        "the plan holds `+ create control plane  eks:eu-west-1/shop-eu`, but hands are off",
    );
}
