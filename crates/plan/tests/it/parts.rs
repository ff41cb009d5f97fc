//! Add-ons, access entries, identities, Fargate profiles.

use crate::check::check;

#[test]
fn missing_parts_come_before_missing_pools() {
    check(
        "{goal: Present, cluster: ours Active, changes: [create a, create entry ops, create addon cni, create identity shop/web]}",
        &[
            "+ create access entry ops  eks:eu-west-1/shop-eu",
            "+ create managed add-on cni  eks:eu-west-1/shop-eu",
            "+ create pod identity shop/web  eks:eu-west-1/shop-eu",
            "+ create pool a  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn undeclared_parts_of_ours_go_last() {
    check(
        "{goal: Present, cluster: ours Active, parts: {addon dns: ours Active, entry ops: untagged Active},
          changes: [delete addon dns, create a, delete entry ops]}",
        &[
            "+ create pool a  eks:eu-west-1/shop-eu",
            "- delete managed add-on dns  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn parts_in_motion_are_waited_for() {
    check(
        "{goal: Present, cluster: ours Active,
          parts: {addon a: ours Creating, addon b: ours Updating, addon c: ours Deleting, addon d: ours Failed no image, addon e: untagged Creating}}",
        &[
            ". waits for managed add-on a to be made, on eks",
            ". waits for managed add-on b to change, on eks",
            ". waits for managed add-on c to go, on eks",
            "! managed add-on d failed in the cloud: no image",
        ],
    );
}

#[test]
fn fargate_profiles_are_made_one_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active, changes: [create fargate b, create fargate a]}",
        &[
            "+ create Fargate profile a  eks:eu-west-1/shop-eu",
            ". later: + create Fargate profile b  eks:eu-west-1/shop-eu (waits: update of Fargate profile a)",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, parts: {fargate x: untagged Creating}, changes: [create fargate a]}",
        &[
            ". later: + create Fargate profile a  eks:eu-west-1/shop-eu (waits: update of Fargate profile x)",
        ],
    );
}

#[test]
fn fargate_profiles_are_removed_one_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active, parts: {fargate a: ours Active, fargate b: ours Active}, changes: [delete fargate b, delete fargate a]}",
        &[
            "- delete Fargate profile a  eks:eu-west-1/shop-eu",
            ". later: - delete Fargate profile b  eks:eu-west-1/shop-eu (waits: update of Fargate profile a)",
        ],
    );
}

#[test]
fn fargate_profiles_go_before_the_control_plane_one_at_a_time() {
    check(
        "{goal: Absent, cluster: ours Active, pools: {p: ours Active}, parts: {fargate a: ours Active, fargate b: ours Active, addon dns: ours Active}}",
        &[
            "- delete pool p  eks:eu-west-1/shop-eu",
            "- delete Fargate profile a  eks:eu-west-1/shop-eu",
            ". later: - delete Fargate profile b  eks:eu-west-1/shop-eu (waits: update of Fargate profile a)",
        ],
    );
    check(
        "{goal: Absent, cluster: ours Active, parts: {fargate a: ours Deleting, fargate b: ours Active}}",
        &[
            ". later: - delete Fargate profile b  eks:eu-west-1/shop-eu (waits: update of Fargate profile a)",
            ". waits for Fargate profile a to go, on eks",
        ],
    );
    check(
        "{goal: Absent, cluster: ours Active, parts: {fargate a: ours Creating}}",
        &[
            ". waits for Fargate profile a to be made, since the cloud refuses to delete it before, on eks",
        ],
    );
}

#[test]
fn other_parts_end_with_their_control_plane() {
    check(
        "{goal: Absent, cluster: ours Active, parts: {addon dns: ours Active, entry ops: untagged Active, identity a/b: ours Creating}}",
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_strangers_fargate_profile_holds_our_control_plane() {
    check(
        "{goal: Absent, cluster: ours Active, parts: {fargate x: untagged Active}}",
        &[
            ". waits for Fargate profile x to be removed, on whoever made it: it does not carry our tags, \
           and the cloud keeps the control plane while it lives",
        ],
    );
}

#[test]
fn our_parts_on_somebody_elses_control_plane_go_before_the_object() {
    check(
        "{goal: Absent, cluster: untagged Active, parts: {addon dns: ours Active, entry ops: untagged Active, fargate f: ours Active}}",
        &[
            "- delete Fargate profile f  eks:eu-west-1/shop-eu",
            "- delete managed add-on dns  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn release_lets_parts_go_too() {
    check(
        "{goal: Released, cluster: ours Active, pools: {a: ours Active}, parts: {addon dns: ours Active, entry ops: untagged Active}}",
        &[
            "~ release pool a  eks:eu-west-1/shop-eu",
            "~ release managed add-on dns  eks:eu-west-1/shop-eu",
            "~ release control plane  eks:eu-west-1/shop-eu",
        ],
    );
}
