//! The name is taken: whose it is comes before everything else.

use crate::check::{WHOSE, check};

const CHANGES: &str = "changes: [create cluster, create web, delete old]";

#[test]
fn a_predecessor_keeps_the_name() {
    check(
        &format!("{{goal: Present, cluster: predecessor Active, {CHANGES}}}"),
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to an earlier shop/eu with uid 0f; \
           take it over with the annotation fleetwright.dev/take-over: 0f, delete it, or choose another externalName",
        ],
    );
}

#[test]
fn another_hub_keeps_the_name() {
    check(
        &format!("{{goal: Present, cluster: other-hub Active, {CHANGES}}}"),
        &["! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to shop/eu on hub cd; \
           choose another externalName"],
    );
}

#[test]
fn another_object_of_this_hub_keeps_the_name() {
    check(
        &format!("{{goal: Present, cluster: neighbour Active, {CHANGES}}}"),
        &["! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to shop/us on hub ab; \
           choose another externalName"],
    );
}

#[test]
fn a_cluster_that_nobody_tagged_keeps_the_name() {
    check(
        &format!("{{goal: Present, cluster: untagged Active, {CHANGES}}}"),
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu exists and was not made by Fleetwright; \
           set adoption: Existing to adopt it, or choose another externalName",
        ],
    );
}

#[test]
fn half_a_set_of_tags_is_no_claim() {
    check(
        &format!("{{goal: Present, cluster: half-tagged Active, {CHANGES}}}"),
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu exists and was not made by Fleetwright; \
           set adoption: Existing to adopt it, or choose another externalName",
        ],
    );
}

#[test]
fn what_was_released_is_not_taken_back() {
    check(
        &format!("{{goal: Present, cluster: released Active, {CHANGES}}}"),
        &["! spec.eks.externalName: eks:eu-west-1/shop-eu was released by Fleetwright earlier; \
           set adoption: Existing to take it back, delete it, or choose another externalName"],
    );
}

#[test]
fn a_strangers_phase_makes_no_difference() {
    for phase in ["Creating", "Updating", "Deleting", "Failed broken"] {
        check(
            &format!("{{goal: Present, cluster: other-hub {phase}, {CHANGES}}}"),
            &["! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to shop/eu on hub cd; \
               choose another externalName"],
        );
    }
}

#[test]
fn our_pools_under_a_strangers_control_plane_are_not_changed() {
    for whose in WHOSE.iter().filter(|whose| **whose != "ours") {
        let case = format!(
            "{{goal: Present, cluster: {whose} Active, pools: {{old: ours Active}}, {CHANGES}}}"
        );
        assert_eq!(crate::check::planned(&case).steps, [], "in {case}");
    }
}
