//! Newer Kubernetes versions: one minor at a time, the control plane first, pools one after the other before the next.

use crate::check::{BUSY, IDLE, check, planned};

#[test]
fn a_control_plane_goes_one_minor_further() {
    check(
        "{goal: Present, cluster: ours Active, changes: ['upgrade cluster: 1.34 1.35 1.35']}",
        &["~ upgrade control plane 1.34 → 1.35"],
    );
}

#[test]
fn a_jump_is_shown_as_the_walk_it_is() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active}, changes: ['upgrade cluster: 1.34 1.35 1.37']}",
        &["~ upgrade control plane 1.34 → 1.35 → 1.36 → 1.37"],
    );
}

#[test]
fn other_changes_of_the_control_plane_come_first() {
    check(
        "{goal: Present, cluster: ours Active, changes: ['upgrade cluster: 1.34 1.35 1.35', 'update cluster: zeal; spec.z; 1; 2']}",
        &[
            "~ update control plane zeal  spec.z: declared 1, found 2",
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: update of control plane)",
        ],
    );
}

#[test]
fn a_control_plane_is_not_upgraded_while_pools_or_parts_change() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Updating}, changes: ['upgrade cluster: 1.34 1.35 1.35']}",
        &[
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: update of pool a)",
            ". waits for pool a to change, on eks",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, parts: {addon dns: ours Updating}, changes: ['upgrade cluster: 1.34 1.35 1.35']}",
        &[
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: update of managed add-on dns)",
            ". waits for managed add-on dns to change, on eks",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, changes: ['upgrade cluster: 1.34 1.35 1.35', create web]}",
        &[
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: update of pool web)",
        ],
    );
}

#[test]
fn pools_follow_before_the_next_minor() {
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Active, b: ours Active v=1.35},
          changes: ['upgrade cluster: 1.35 1.36 1.36', 'upgrade a: 1.34 1.35 1.35']}",
        &[
            "~ upgrade pool a 1.34 → 1.35",
            ". later: ~ upgrade control plane 1.35 → 1.36 (waits: pools follow first)",
        ],
    );
}

#[test]
fn a_strangers_old_pool_does_not_hold_the_control_plane() {
    check(
        "{goal: Present, cluster: ours Active, pools: {x: untagged Active v=1.32}, changes: ['upgrade cluster: 1.34 1.35 1.35']}",
        &["~ upgrade control plane 1.34 → 1.35"],
    );
}

#[test]
fn pools_are_upgraded_one_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Active, b: ours Active},
          changes: ['upgrade b: 1.34 1.35 1.35', 'upgrade a: 1.34 1.35 1.35']}",
        &[
            "~ upgrade pool a 1.34 → 1.35",
            ". later: ~ upgrade pool b 1.34 → 1.35 (waits: update of pool a)",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Updating, b: ours Active},
          changes: ['upgrade b: 1.34 1.35 1.35']}",
        &[
            ". later: ~ upgrade pool b 1.34 → 1.35 (waits: update of pool a)",
            ". waits for pool a to change, on eks",
        ],
    );
}

#[test]
fn pools_wait_for_the_control_plane() {
    check(
        "{goal: Present, cluster: ours Updating v=1.34, pools: {a: ours Active v=1.33}, changes: ['upgrade a: 1.33 1.34 1.34']}",
        &[
            ". later: ~ upgrade pool a 1.33 → 1.34 (waits: update of control plane)",
            ". waits for the control plane to change, on eks",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active v=1.34, pools: {a: ours Active}, changes: ['upgrade a: 1.34 1.35 1.35']}",
        &[". later: ~ upgrade pool a 1.34 → 1.35 (waits: control plane)"],
    );
}

#[test]
fn scaling_goes_before_a_version_and_beside_the_others_roll() {
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Active, b: ours Active, c: ours Active},
          changes: ['upgrade a: 1.34 1.35 1.35', 'update a: config; spec.a; 1; 2', 'upgrade b: 1.34 1.35 1.35', 'update c: config; spec.c; 1; 2']}",
        &[
            "~ update pool a config  spec.a: declared 1, found 2",
            "~ update pool c config  spec.c: declared 1, found 2",
            "~ upgrade pool b 1.34 → 1.35",
            ". later: ~ upgrade pool a 1.34 → 1.35 (waits: update of pool a)",
        ],
    );
}

#[test]
fn a_version_goes_before_an_image_of_the_old_one() {
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Active},
          changes: ['roll a: image; spec.i; new; old', 'upgrade a: 1.34 1.35 1.35']}",
        &[
            "~ upgrade pool a 1.34 → 1.35",
            ". later: ~ roll pool a image old → new (waits: update of pool a)",
        ],
    );
}

#[test]
fn images_roll_one_pool_at_a_time_and_not_during_an_upgrade() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: ours Active},
          changes: ['roll a: image; spec.i; new; old', 'roll b: image; spec.i; new; old']}",
        &[
            "~ roll pool a image old → new",
            ". later: ~ roll pool b image old → new (waits: update of pool a)",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active},
          changes: ['roll a: image; spec.i; new; old', 'upgrade cluster: 1.34 1.35 1.35']}",
        &[
            "~ upgrade control plane 1.34 → 1.35",
            ". later: ~ roll pool a image old → new (waits: update of control plane)",
        ],
    );
}

#[test]
fn a_downgrade_is_told_and_nothing_else_stops() {
    check(
        "{goal: Present, cluster: ours Active v=1.35, pools: {a: ours Active},
          changes: ['refuse cluster; spec.version; 1.34; 1.35; no cloud goes back', 'upgrade a: 1.34 1.35 1.35']}",
        &[
            "~ upgrade pool a 1.34 → 1.35",
            "! spec.version: declared 1.34, found 1.35: no cloud goes back",
        ],
    );
}

#[test]
fn a_failed_upgrade_lets_images_roll_meanwhile() {
    check(
        "{goal: Present, cluster: ours Active last=version/Failed/09:55/no_free_addresses, pools: {a: ours Active},
          changes: ['upgrade cluster: 1.34 1.35 1.35', 'roll a: image; spec.i; new; old']}",
        &[
            "~ roll pool a image old → new",
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: the last one failed: no free addresses; again at 10:05 UTC)",
            ". waits for another try at version of the control plane, on eks: no free addresses",
        ],
    );
}

/// The cloud's record of a roll says `version`, whatever the roll was for.
#[test]
fn a_failed_image_roll_is_not_begun_again_at_once() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active last=image/Failed/09:55/eviction},
          changes: ['roll a: image; spec.i; new; old']}",
        &[
            ". later: ~ roll pool a image old → new (waits: the last one failed: eviction; again at 10:05 UTC)",
            ". waits for another try at image of pool a, on eks: eviction",
        ],
    );
}

const TUESDAY: &str = "window: 'Europe/Berlin Tue 02:00 4h'";

#[test]
fn an_upgrade_waits_for_its_window() {
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, {TUESDAY}, changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
        ),
        &[". later: ~ upgrade control plane 1.34 → 1.35 → 1.36 (waits: window Tue 02:00)"],
    );
    let plan = planned(&format!(
        "{{goal: Present, cluster: ours Active, {TUESDAY}, changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
    ));
    assert_eq!(plan.held[0].until, Some("2026-11-24T01:00:00Z".parse().expect("an instant")));
    assert_eq!(plan.requeue, Some(IDLE));
}

#[test]
fn an_upgrade_starts_in_an_open_window() {
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, {TUESDAY}, now: '2026-11-24T04:59:59Z',
          changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
        ),
        &["~ upgrade control plane 1.34 → 1.35 → 1.36"],
    );
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, {TUESDAY}, now: '2026-11-24T05:00:00Z',
          changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
        ),
        &[". later: ~ upgrade control plane 1.34 → 1.35 → 1.36 (waits: window Tue 02:00)"],
    );
}

#[test]
fn just_before_its_window_a_cluster_is_looked_at_when_it_opens() {
    let plan = planned(&format!(
        "{{goal: Present, cluster: ours Active, {TUESDAY}, now: '2026-11-24T00:59:00Z', changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
    ));
    assert_eq!(plan.requeue, Some(std::time::Duration::from_secs(60)));
}

#[test]
fn pools_wait_for_a_window_too_and_the_next_minor_for_them() {
    check(
        &format!("{{goal: Present, cluster: ours Active v=1.35, {TUESDAY}, pools: {{a: ours Active}}, governs: [Upgrade],
          changes: ['upgrade a: 1.34 1.35 1.35', 'upgrade cluster: 1.35 1.36 1.36']}}"),
        &[
            ". later: ~ upgrade control plane 1.35 → 1.36 (waits: window Tue 02:00)",
            ". later: ~ upgrade pool a 1.34 → 1.35 (waits: window Tue 02:00)",
        ],
    );
}

#[test]
fn a_window_governs_only_what_it_says() {
    check(
        &format!("{{goal: Present, cluster: ours Active, {TUESDAY}, governs: [Roll], pools: {{a: ours Active}},
          changes: ['upgrade cluster: 1.34 1.35 1.35', 'roll a: image; spec.i; new; old']}}"),
        &[
            "~ upgrade control plane 1.34 → 1.35",
            ". later: ~ roll pool a image old → new (waits: window Tue 02:00)",
        ],
    );
    check(
        &format!("{{goal: Present, cluster: ours Active, {TUESDAY}, governs: [Upgrade], pools: {{a: ours Active}},
          changes: ['upgrade cluster: 1.34 1.35 1.35', 'roll a: image; spec.i; new; old']}}"),
        &[
            "~ roll pool a image old → new",
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: window Tue 02:00)",
        ],
    );
}

#[test]
fn what_disturbs_nobody_waits_for_no_window() {
    check(
        &format!("{{goal: Present, cluster: ours Active, {TUESDAY}, pools: {{a: ours Active, old: ours Active}},
          changes: ['update cluster: logging; spec.l; 1; 2', 'update a: config; spec.c; 1; 2', create web, delete old]}}"),
        &[
            "~ update control plane logging  spec.l: declared 1, found 2",
            "~ update pool a config  spec.c: declared 1, found 2",
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: pool web to be made)",
        ],
    );
}

#[test]
fn what_runs_when_a_window_ends_is_watched_to_its_end() {
    check(
        &format!(
            "{{goal: Present, cluster: ours Updating, {TUESDAY}, changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
        ),
        &[
            ". later: ~ upgrade control plane 1.34 → 1.35 → 1.36 (waits: window Tue 02:00)",
            ". waits for the control plane to change, on eks",
        ],
    );
    let plan = planned(&format!(
        "{{goal: Present, cluster: ours Updating, {TUESDAY}, changes: ['upgrade cluster: 1.34 1.35 1.36']}}"
    ));
    assert_eq!(plan.requeue, Some(BUSY));
}
