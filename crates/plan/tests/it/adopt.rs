//! What exists becomes ours: by adoption, or from a predecessor that a person named.

use fleetwright_names::Uid;
use fleetwright_plan::{CloudAction, Step};

use crate::check::{IDLE, check, planned};

#[test]
fn adoption_claims_the_control_plane_and_what_is_declared() {
    for whose in ["untagged", "released", "half-tagged"] {
        check(
            &format!("{{goal: Present, adoption: Existing, cluster: {whose} Active,
              pools: {{a: {whose} Active, x: {whose} Active}}, parts: {{addon dns: {whose} Active, entry creator: {whose} Active}},
              changes: [claim cluster, claim a, claim addon dns]}}"),
            &[
                "~ claim control plane  eks:eu-west-1/shop-eu",
                "~ claim pool a  eks:eu-west-1/shop-eu",
                "~ claim managed add-on dns  eks:eu-west-1/shop-eu",
            ],
        );
    }
}

#[test]
fn a_claim_bears_every_tag_and_names_nobody_before() {
    let plan = planned(
        "{goal: Present, adoption: Existing, cluster: untagged Active, changes: [claim cluster]}",
    );
    let [Step::Cloud(step)] = plan.steps.as_slice() else { panic!("{plan}") };
    let CloudAction::Claim { tags, from } = &step.action else { panic!("{plan}") };
    assert_eq!(from, &None);
    let tags: Vec<_> = tags.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(
        tags,
        [
            "cost-center=4711",
            "fleetwright.dev/hub=ab",
            "fleetwright.dev/object=shop/eu",
            "fleetwright.dev/uid=1a",
        ]
    );
}

#[test]
fn a_claimed_pool_is_told_which_declared_pool_it_is_in_the_same_write() {
    let plan = planned(
        "{goal: Present, adoption: Existing, cluster: ours Active, pools: {a: untagged Active}, changes: [claim a]}",
    );
    let [Step::Cloud(step)] = plan.steps.as_slice() else { panic!("{plan}") };
    let CloudAction::Claim { tags, .. } = &step.action else { panic!("{plan}") };
    assert_eq!(tags.get("fleetwright.dev/pool").map(String::as_str), Some("a"));
}

#[test]
fn what_is_claimed_is_changed_only_after_the_next_look() {
    check(
        "{goal: Present, adoption: Existing, cluster: untagged Active, pools: {a: untagged Active},
          changes: [claim cluster, claim a, 'update cluster: logging; spec.l; 1; 2', 'update a: config; spec.c; 1; 2', create web]}",
        &[
            "~ claim control plane  eks:eu-west-1/shop-eu",
            "~ claim pool a  eks:eu-west-1/shop-eu",
            ". later: ~ update control plane logging  spec.l: declared 1, found 2 (waits: claim of control plane)",
            ". later: ~ update pool a config  spec.c: declared 1, found 2 (waits: claim of control plane)",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: claim of control plane)",
        ],
    );
}

#[test]
fn an_adopted_cluster_is_completed_like_any_other() {
    check(
        "{goal: Present, adoption: Existing, cluster: ours Active, pools: {a: ours Active, x: untagged Active},
          changes: ['update cluster: logging; spec.l; 1; 2', create web]}",
        &[
            "~ update control plane logging  spec.l: declared 1, found 2",
            "+ create pool web  eks:eu-west-1/shop-eu",
        ],
    );
}

#[test]
fn a_claim_that_was_cut_off_is_finished() {
    check(
        "{goal: Present, adoption: Existing, cluster: ours Active, pools: {a: ours Active, b: untagged Active},
          changes: [claim b, 'update b: config; spec.c; 1; 2', 'update a: config; spec.c; 1; 2']}",
        &[
            "~ claim pool b  eks:eu-west-1/shop-eu",
            "~ update pool a config  spec.c: declared 1, found 2",
            ". later: ~ update pool b config  spec.c: declared 1, found 2 (waits: update of pool b)",
        ],
    );
}

#[test]
fn adoption_never_creates() {
    check(
        "{goal: Present, adoption: Existing, cluster: absent, changes: [create cluster, create web]}",
        &[
            "! spec.adoption: eks:eu-west-1/shop-eu does not exist, and adoption Existing never creates it",
        ],
    );
    let case = "{goal: Present, adoption: Existing, cluster: absent, changes: [create cluster, create web]}";
    assert_eq!(planned(case).requeue, Some(IDLE));
}

#[test]
fn adoption_takes_nothing_from_another_owner() {
    for (whose, who) in [("other-hub", "shop/eu on hub cd"), ("neighbour", "shop/us on hub ab")] {
        check(
            &format!(
                "{{goal: Present, adoption: Existing, cluster: {whose} Active, changes: [claim cluster]}}"
            ),
            &[&format!(
                "! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to {who}; choose another externalName"
            )],
        );
    }
}

#[test]
fn adoption_takes_nothing_from_a_predecessor() {
    check(
        "{goal: Present, adoption: Existing, cluster: predecessor Active, changes: [claim cluster]}",
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to an earlier shop/eu with uid 0f; \
           take it over with the annotation fleetwright.dev/take-over: 0f, delete it, or choose another externalName",
        ],
    );
}

#[test]
fn without_adoption_a_taken_pool_or_part_is_refused() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: untagged Active, b: other-hub Active}, parts: {addon dns: released Active},
          changes: [claim a, claim b, claim addon dns, 'update a: config; spec.c; 1; 2']}",
        &[
            "! spec.nodePools[a]: pool a exists and was not made by Fleetwright; \
             set adoption: Existing to adopt it, or choose another name",
            "! spec.nodePools[b]: pool b belongs to shop/eu on hub cd; choose another name",
            "! managed add-on dns was released by Fleetwright earlier; set adoption: Existing to take it back, \
             delete it, or no longer declare it",
        ],
    );
}

#[test]
fn a_cluster_in_the_making_is_adopted_once_it_is_made() {
    check(
        "{goal: Present, adoption: Existing, cluster: untagged Creating, changes: [claim cluster]}",
        &[". waits for the control plane to be made, on eks"],
    );
}

#[test]
fn a_failed_or_leaving_cluster_is_not_adopted() {
    check(
        "{goal: Present, adoption: Existing, cluster: untagged Failed no such role, changes: [claim cluster]}",
        &["! eks:eu-west-1/shop-eu failed in the cloud: no such role; \
           delete it there or delete this object, then declare it again"],
    );
    check(
        "{goal: Present, adoption: Existing, cluster: untagged Deleting, changes: [claim cluster]}",
        &[". waits for the control plane to go, so that it can be made again, on eks"],
    );
}

#[test]
fn a_predecessor_that_a_person_names_is_taken_over_whole() {
    check(
        "{goal: Present, take-over: 0f, cluster: predecessor Active,
          pools: {a: predecessor Active, undeclared: predecessor Active, x: untagged Active, y: neighbour Active},
          parts: {addon dns: predecessor Active}, changes: [claim cluster, claim a]}",
        &[
            "~ claim control plane  eks:eu-west-1/shop-eu",
            "~ claim pool a  eks:eu-west-1/shop-eu",
            "~ claim pool undeclared  eks:eu-west-1/shop-eu",
            "~ claim managed add-on dns  eks:eu-west-1/shop-eu",
        ],
    );
    let plan = planned("{goal: Present, take-over: 0f, cluster: predecessor Active}");
    let [Step::Cloud(step)] = plan.steps.as_slice() else { panic!("{plan}") };
    let CloudAction::Claim { from, .. } = &step.action else { panic!("{plan}") };
    assert_eq!(from.as_ref().map(Uid::as_str), Some("0f"));
}

#[test]
fn a_takeover_that_was_cut_off_is_finished() {
    check(
        "{goal: Present, take-over: 0f, cluster: ours Active, pools: {a: ours Active, b: predecessor Active, c: predecessor Deleting}}",
        &["~ claim pool b  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn another_uid_than_the_named_one_is_refused() {
    check(
        "{goal: Present, take-over: 0e, cluster: predecessor Active, changes: [claim cluster]}",
        &[
            "! spec.eks.externalName: eks:eu-west-1/shop-eu belongs to an earlier shop/eu with uid 0f; \
           take it over with the annotation fleetwright.dev/take-over: 0f, delete it, or choose another externalName",
        ],
    );
}

#[test]
fn a_takeover_takes_nothing_from_anybody_else() {
    for whose in ["untagged", "released", "other-hub", "neighbour"] {
        let case = format!(
            "{{goal: Present, take-over: 0f, cluster: {whose} Active, changes: [claim cluster]}}"
        );
        assert_eq!(planned(&case).steps, [], "in {case}");
    }
}

#[test]
fn a_predecessors_cluster_is_not_deleted() {
    check(
        "{goal: Absent, take-over: 0f, cluster: predecessor Active, pools: {a: predecessor Active}}",
        &["nothing of ours is left"],
    );
}

#[test]
fn a_takeover_that_a_deletion_cut_off_is_finished_before_anything_goes() {
    for goal in ["Absent", "Released"] {
        check(
            &format!(
                "{{goal: {goal}, take-over: 0f, cluster: ours Active, pools: {{a: predecessor Active, b: ours Active}}}}"
            ),
            &["~ claim pool a  eks:eu-west-1/shop-eu"],
        );
    }
}

#[test]
fn without_the_annotation_a_predecessor_is_nobody_of_ours_on_the_way_out_either() {
    check(
        "{goal: Absent, cluster: predecessor Active, pools: {a: predecessor Active}}",
        &["nothing of ours is left"],
    );
}
