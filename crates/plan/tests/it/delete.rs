//! The cluster shall be gone, or let go.

use crate::check::{IDLE, WHOSE, check, planned};

#[test]
fn pools_go_before_the_control_plane() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active, b: ours Failed no capacity, c: ours Updating}}",
        &[
            "- delete pool a  eks:eu-west-1/shop-eu",
            "- delete pool b  eks:eu-west-1/shop-eu",
            "- delete pool c  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn the_control_plane_waits_for_its_last_pool() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: absent, b: ours Deleting}}",
        &[". waits for pool b to go, on eks"],
    );
}

#[test]
fn the_control_plane_goes_last() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: absent}}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_failed_control_plane_can_go() {
    check(
        "{goal: Absent, cluster: ours Failed no such role}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn what_is_being_made_is_deleted_after() {
    check(
        "{goal: Absent, cluster: ours Creating}",
        &[
            ". waits for the control plane to be made, since the cloud refuses to delete it before, on eks",
        ],
    );
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Creating, b: ours Active}}",
        &[
            "- delete pool b  eks:eu-west-1/shop-eu",
            ". waits for pool a to be made, since the cloud refuses to delete it before, on eks",
        ],
    );
}

#[test]
fn a_control_plane_on_its_way_out_is_watched_to_the_end() {
    check(
        "{goal: Absent, cluster: ours Deleting}",
        &[". waits for the control plane to go, on eks"],
    );
}

#[test]
fn nothing_left_means_gone() {
    check("{goal: Absent, cluster: absent}", &["nothing of ours is left"]);
    assert!(planned("{goal: Absent, cluster: absent}").gone);
}

#[test]
fn a_strangers_pool_holds_our_control_plane() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active, x: untagged Active}}",
        &[
            "- delete pool a  eks:eu-west-1/shop-eu",
            ". waits for pool x to be removed, on whoever made it: it does not carry our tags, \
             and the cloud keeps the control plane while it lives",
        ],
    );
}

#[test]
fn a_strangers_pool_on_its_way_out_is_waited_for() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {x: neighbour Deleting}}",
        &[". waits for pool x to go, on eks"],
    );
}

#[test]
fn a_control_plane_of_anybody_else_is_never_deleted() {
    for whose in WHOSE.iter().filter(|whose| **whose != "ours") {
        check(
            &format!("{{goal: Absent, cluster: {whose} Active, pools: {{a: {whose} Active}}}}"),
            &["nothing of ours is left"],
        );
    }
}

#[test]
fn our_pools_on_somebody_elses_control_plane_go_before_the_object() {
    check(
        "{goal: Absent, cluster: untagged Active, pools: {a: ours Active, x: untagged Active}}",
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
    check(
        "{goal: Absent, cluster: untagged Active, pools: {a: ours Deleting, x: untagged Active}}",
        &[". waits for pool a to go, on eks"],
    );
    check(
        "{goal: Absent, cluster: untagged Active, pools: {x: untagged Active}}",
        &["nothing of ours is left"],
    );
}

#[test]
fn changes_of_the_provider_are_not_read_while_deleting() {
    check(
        "{goal: Absent, cluster: absent, changes: [create cluster, create web]}",
        &["nothing of ours is left"],
    );
}

#[test]
fn release_lets_the_pools_go_and_then_the_control_plane() {
    check(
        "{goal: Released, cluster: ours Active, pools: {a: ours Active, b: ours Creating, x: untagged Active}}",
        &[
            "~ release pool a  eks:eu-west-1/shop-eu",
            "~ release pool b  eks:eu-west-1/shop-eu",
            "~ release control plane  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn a_release_that_was_cut_off_is_finished() {
    check(
        "{goal: Released, cluster: ours Active, pools: {a: released Active, b: ours Active}}",
        &[
            "~ release pool b  eks:eu-west-1/shop-eu",
            "~ release control plane  eks:eu-west-1/shop-eu",
        ],
    );
    check(
        "{goal: Released, cluster: released Active, pools: {a: ours Active}}",
        &["~ release pool a  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn what_was_released_is_gone_for_us() {
    check(
        "{goal: Released, cluster: released Active, pools: {a: released Active}}",
        &["nothing of ours is left"],
    );
    check("{goal: Released, cluster: absent}", &["nothing of ours is left"]);
}

#[test]
fn release_touches_nothing_of_anybody_else() {
    for whose in WHOSE.iter().filter(|whose| **whose != "ours") {
        check(
            &format!("{{goal: Released, cluster: {whose} Active, pools: {{a: {whose} Active}}}}"),
            &["nothing of ours is left"],
        );
    }
}

#[test]
fn an_unknown_pool_or_part_keeps_the_control_plane() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active, b: unknown throttled}}",
        &["- delete pool a  eks:eu-west-1/shop-eu", ". waits for a look at pool b, on throttled"],
    );
    check(
        "{goal: Released, cluster: ours Active, parts: {addon dns: unknown throttled}}",
        &[". waits for a look at managed add-on dns, on throttled"],
    );
    check(
        "{goal: Released, cluster: ours Active, pools: {a: ours Active, b: unknown throttled}}",
        &["~ release pool a  eks:eu-west-1/shop-eu", ". waits for a look at pool b, on throttled"],
    );
    check(
        "{goal: Absent, cluster: absent, pools: {b: unknown throttled}}",
        &[". waits for a look at pool b, on throttled"],
    );
}

#[test]
fn a_part_that_ends_with_the_control_plane_need_not_be_seen() {
    check(
        "{goal: Absent, cluster: ours Active, parts: {addon dns: unknown throttled}}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
    check(
        "{goal: Absent, cluster: absent, parts: {addon dns: unknown throttled}}",
        &[". waits for a look at managed add-on dns, on throttled"],
    );
}

const OUTSIDE: &str = "outside: [LoadBalancer shop/web, Volume shop/db going]";

#[test]
fn what_the_cluster_made_outside_itself_goes_first() {
    check(
        &format!(
            "{{goal: Absent, cluster: ours Active, pools: {{a: ours Active}}, clean-up: '10:10', {OUTSIDE}}}"
        ),
        &["- delete LoadBalancer shop/web", ". waits for Volume shop/db to go, on the cluster"],
    );
    let plan =
        planned(&format!("{{goal: Absent, cluster: ours Active, clean-up: '10:10', {OUTSIDE}}}"));
    assert_eq!(plan.waiting[0].until, Some("2026-11-23T10:10:00Z".parse().expect("an instant")));
}

#[test]
fn nothing_outside_holds_nothing_up() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active}, clean-up: '10:10', outside: []}",
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn the_outside_is_looked_at_before_anything_goes() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {a: ours Active}, clean-up: '10:10'}",
        &[". waits for a look at what the cluster made outside itself, on the cluster"],
    );
}

#[test]
fn after_the_deadline_what_is_left_outside_stays_behind() {
    check(
        &format!(
            "{{goal: Absent, cluster: ours Active, pools: {{a: ours Active}}, clean-up: '10:00', {OUTSIDE}}}"
        ),
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
    check(
        "{goal: Absent, cluster: ours Active, clean-up: '09:59'}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_control_plane_that_answers_nothing_is_not_asked_to_clean_up() {
    for cluster in ["absent", "untagged Active"] {
        check(
            &format!("{{goal: Absent, cluster: {cluster}, clean-up: '10:10', {OUTSIDE}}}"),
            &["nothing of ours is left"],
        );
    }
    check(
        "{goal: Absent, cluster: ours Failed no such role, clean-up: '10:10'}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn what_is_let_go_is_not_cleaned_up() {
    check(
        &format!("{{goal: Released, cluster: ours Active, clean-up: '10:10', {OUTSIDE}}}"),
        &["~ release control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn held_deletes_hold_what_is_outside_too() {
    check(
        "{goal: Absent, cluster: ours Active, deletes-held: the fuse, clean-up: '10:10', outside: [LoadBalancer shop/web]}",
        &[". later: - delete LoadBalancer shop/web (waits: the fuse, on a person)"],
    );
}

#[test]
fn a_deletion_that_failed_is_not_sent_again_at_once() {
    let cluster = "{goal: Absent, cluster: ours Active last=delete/Failed/09:55/a_lock";
    check(
        &format!("{cluster}}}"),
        &[
            ". later: - delete control plane  eks:eu-west-1/shop-eu (waits: the last one failed: a lock; again at 10:05 UTC)",
            ". waits for another try at the deletion of the control plane, on eks: a lock",
        ],
    );
    assert_eq!(planned(&format!("{cluster}}}")).requeue, Some(IDLE), "nothing moves");
    check(
        &format!("{cluster}, now: '2026-11-23T10:05:00Z'}}"),
        &[
            "- delete control plane  eks:eu-west-1/shop-eu",
            ". waits for the control plane to go, which failed before, on eks: a lock",
        ],
    );
    // The declaration was changed since.
    check(
        &format!("{cluster}, edited: '09:56'}}"),
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
    // Another change failed.
    check(
        "{goal: Absent, cluster: ours Active last=logging/Failed/09:55/no}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_failed_deletion_holds_up_nothing_else() {
    check(
        "{goal: Absent, cluster: ours Active,
          pools: {a: ours Active last=delete/Failed/09:58/a_lock, b: ours Failed last=delete/Cancelled/09:59, c: ours Active},
          parts: {fargate x: ours Active last=delete/Failed/09:59/no, fargate y: ours Active}}",
        &[
            "- delete pool c  eks:eu-west-1/shop-eu",
            "- delete Fargate profile y  eks:eu-west-1/shop-eu",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: the last one failed: a lock; again at 10:08 UTC)",
            ". later: - delete pool b  eks:eu-west-1/shop-eu (waits: the last one failed: no reason given; again at 10:09 UTC)",
            ". later: - delete Fargate profile x  eks:eu-west-1/shop-eu (waits: the last one failed: no; again at 10:09 UTC)",
            ". waits for another try at the deletion of pool a, on eks: a lock",
            ". waits for another try at the deletion of pool b, on eks: no reason given",
            ". waits for another try at the deletion of Fargate profile x, on eks: no",
        ],
    );
    // Where pools end with the control plane, theirs that failed are none of its business.
    check(
        "{goal: Absent, azure-like: true, cluster: ours Active, pools: {a: ours Active last=delete/Failed/09:58/a_lock}}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_deletion_that_failed_waits_under_a_living_control_plane_too() {
    check(
        "{goal: Present, cluster: ours Active,
          pools: {a: ours Active last=delete/Failed/09:58/a_lock, b: ours Active}, parts: {addon dns: ours Active last=delete/Failed/09:57/no},
          changes: [delete a, delete b, delete addon dns]}",
        &[
            "- delete pool b  eks:eu-west-1/shop-eu",
            ". later: - delete managed add-on dns  eks:eu-west-1/shop-eu (waits: the last one failed: no; again at 10:07 UTC)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: the last one failed: a lock; again at 10:08 UTC)",
            ". waits for another try at the deletion of managed add-on dns, on eks: no",
            ". waits for another try at the deletion of pool a, on eks: a lock",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active last=delete/Failed/09:58/a_lock, b: ours Active}, drains: {a: 3 3 0},
          changes: [retire a for b]}",
        &[
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: the last one failed: a lock; again at 10:08 UTC)",
            ". waits for another try at the deletion of pool a, on eks: a lock",
        ],
    );
}

/// A pool under a new name is made beside the old one, and the cloud may keep what it could not make.
#[test]
fn a_pool_goes_only_once_those_that_stay_are_well() {
    let case = |new: &str| {
        format!(
            "{{goal: Present, cluster: ours Active, pools: {{a: ours Active, b: ours {new}}}, changes: [delete a]}}"
        )
    };
    let later = ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: pool b to be well)";
    check(&case("Active no quota"), &[later]);
    check(&case("Updating"), &[later, ". waits for pool b to change, on eks"]);
    check(&case("Active"), &["- delete pool a  eks:eu-west-1/shop-eu"]);
    // Neither that which goes itself, nor another one that goes.
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active no quota, b: ours Active no quota}, changes: [delete a, delete b]}",
        &["- delete pool a  eks:eu-west-1/shop-eu", "- delete pool b  eks:eu-west-1/shop-eu"],
    );
}
