//! Clusters that we build with our own hands: nothing goes on by itself, and the provider says what must wait.

use crate::check::{check, check_lint};

#[test]
fn what_is_being_made_takes_the_steps_that_bring_it_on() {
    check(
        "{by-hand: true, goal: Present, cluster: ours Creating, parts: {server s1: ours Creating},
          changes: ['update server s1: install; spec.k3s.servers[s1]; installed; begun',
                    'after server s1 to be ready, create server s2', 'after server s1 to be ready, create agent a1']}",
        &[
            "~ update server s1 install  spec.k3s.servers[s1]: declared installed, found begun",
            ". later: + create agent a1  eks:eu-west-1/shop-eu (waits: server s1 to be ready)",
            ". later: + create server s2  eks:eu-west-1/shop-eu (waits: server s1 to be ready)",
            ". waits for the control plane to be made, on eks",
            ". waits for server s1 to be made, on eks",
        ],
    );
}

#[test]
fn elsewhere_what_is_being_made_takes_none() {
    check(
        "{goal: Present, cluster: ours Active, parts: {server s1: ours Creating},
          changes: ['update server s1: install; spec.k3s.servers[s1]; installed; begun']}",
        &[
            ". later: ~ update server s1 install  spec.k3s.servers[s1]: declared installed, found begun (waits: update of server s1)",
            ". waits for server s1 to be made, on eks",
        ],
    );
}

#[test]
fn what_waits_for_its_time_is_no_step_even_when_nothing_else_is() {
    check(
        "{by-hand: true, goal: Present, cluster: ours Active, parts: {agent a1: ours Active, agent a2: ours Active},
          changes: ['after drain of a1, delete agent a1', 'after agent a1, roll agent a2: config; spec.x; 1; 2']}",
        &[
            ". later: ~ roll agent a2 config 2 → 1 (waits: agent a1)",
            ". later: - delete agent a1  eks:eu-west-1/shop-eu (waits: drain of a1)",
        ],
    );
}

#[test]
fn an_upgrade_under_way_goes_on_while_the_control_plane_changes() {
    check(
        "{by-hand: true, goal: Present, cluster: ours Updating v=1.33, parts: {agent a1: ours Active},
          changes: ['upgrade cluster: 1.33 1.34 1.35', 'after servers first, upgrade agent a1: 1.33 1.34 1.35']}",
        &[
            "~ upgrade control plane 1.33 → 1.34 → 1.35",
            ". later: ~ upgrade agent a1 1.33 → 1.34 → 1.35 (waits: servers first)",
            ". waits for the control plane to change, on eks",
        ],
    );
}

#[test]
fn agents_go_before_their_control_plane_and_all_at_once() {
    check(
        "{by-hand: true, goal: Absent, cluster: ours Creating,
          parts: {agent a1: ours Active, agent a2: ours Creating, server s1: ours Active}}",
        &["- delete agent a1  eks:eu-west-1/shop-eu", "- delete agent a2  eks:eu-west-1/shop-eu"],
    );
    check(
        "{by-hand: true, goal: Absent, clean-up: '10:30', cluster: ours Creating, parts: {server s1: ours Creating}}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
    check_lint(
        "{by-hand: true, goal: Absent, cluster: ours Active, parts: {agent a1: ours Active}, steps: [delete cluster]}",
        "the plan deletes the control plane while agent a1 is left",
    );
}
