//! Observe, CreateOnly, hands off, and deletes that are held.

use crate::check::{BUSY, IDLE, WHOSE, check, planned};

#[test]
fn observe_names_differences_and_writes_nothing() {
    check(
        "{goal: Present, mode: Observe, cluster: untagged Active, pools: {a: untagged Active, old: ours Active},
          changes: [claim cluster, claim a, create web, 'update cluster: logging; spec.eks.logging; [Api]; []',
            delete old, 'refuse cluster; spec.version; 1.33; 1.34; no cloud goes back']}",
        &[
            ". left as it is: spec.eks.logging: declared [Api], found []",
            ". left as it is: spec.nodePools[web]: declared present, found absent",
            ". left as it is: spec.nodePools[old]: declared absent, found present",
            ". left as it is: spec.version: declared 1.33, found 1.34",
        ],
    );
}

#[test]
fn an_observed_cluster_that_differs_is_settled() {
    let plan = planned(
        "{goal: Present, mode: Observe, cluster: untagged Active, changes: ['update cluster: logging; spec.l; 1; 2']}",
    );
    assert!(plan.is_settled());
    assert_eq!((plan.ignored.len(), plan.differences().len()), (1, 0));
    assert_eq!(plan.requeue, Some(IDLE));
}

#[test]
fn observe_minds_nobody() {
    for whose in WHOSE {
        check(
            &format!(
                "{{goal: Present, mode: Observe, cluster: {whose} Active, pools: {{a: {whose} Active}}}}"
            ),
            &[],
        );
    }
}

#[test]
fn an_observed_cluster_that_is_not_there_is_told() {
    check(
        "{goal: Present, mode: Observe, cluster: absent, changes: [create cluster, create web]}",
        &["! spec.mode: eks:eu-west-1/shop-eu does not exist, and mode Observe never creates it"],
    );
}

#[test]
fn an_observed_cluster_is_told_by_its_phases() {
    check(
        "{goal: Present, mode: Observe, cluster: untagged Creating}",
        &[". waits for the control plane to be made, on eks"],
    );
    check(
        "{goal: Present, mode: Observe, cluster: untagged Deleting}",
        &[". waits for the control plane to go, on eks"],
    );
    check(
        "{goal: Present, mode: Observe, cluster: untagged Failed no such role}",
        &["! eks:eu-west-1/shop-eu failed in the cloud: no such role"],
    );
    check(
        "{goal: Present, mode: Observe, cluster: untagged Updating, pools: {a: other-hub Updating, b: ours Failed no capacity, c: unknown lost}}",
        &[
            ". waits for a look at pool c, on lost",
            ". waits for the control plane to change, on eks",
            ". waits for pool a to change, on eks",
            "! spec.nodePools[b]: failed in the cloud: no capacity",
        ],
    );
    check(
        "{goal: Present, mode: Observe, cluster: unknown lost}",
        &[". waits for a look at the control plane, on lost"],
    );
}

#[test]
fn an_observed_object_goes_at_once() {
    for goal in ["Absent", "Released"] {
        for cluster in ["ours Active", "untagged Active", "unknown lost", "absent"] {
            check(
                &format!(
                    "{{goal: {goal}, mode: Observe, cluster: {cluster}, pools: {{a: ours Active}}}}"
                ),
                &["nothing of ours is left"],
            );
        }
    }
}

#[test]
fn create_only_creates() {
    check(
        "{goal: Present, mode: CreateOnly, cluster: absent, changes: [create cluster, create web]}",
        &[
            "+ create control plane  eks:eu-west-1/shop-eu",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: control plane)",
        ],
    );
}

#[test]
fn create_only_changes_and_deletes_nothing() {
    check(
        "{goal: Present, mode: CreateOnly, cluster: ours Active, pools: {a: ours Active, b: ours Active, old: ours Active}, parts: {addon dns: ours Active},
          changes: [create web, create entry ops, 'update cluster: logging; spec.l; 1; 2', 'upgrade cluster: 1.34 1.35 1.35',
            'create a-1 for a; spec.nodePools[a].eks.amiType; X; Y', retire a for a-1, 'roll b: image; spec.i; new; old',
            delete old, delete addon dns, 'refuse cluster; spec.r; 1; 2; no']}",
        &[
            "+ create access entry ops  eks:eu-west-1/shop-eu",
            "+ create pool web  eks:eu-west-1/shop-eu",
            ". left as it is: spec.l: declared 1, found 2",
            ". left as it is: spec.version: declared 1.35, found 1.34",
            ". left as it is: spec.i: declared new, found old",
            ". left as it is: spec.nodePools[a].eks.amiType: declared X, found Y",
            ". left as it is: managed add-on dns: declared absent, found present",
            ". left as it is: spec.nodePools[old]: declared absent, found present",
            ". left as it is: spec.r: declared 1, found 2",
        ],
    );
}

#[test]
fn a_create_only_cluster_that_differs_is_settled() {
    assert!(
        planned(
            "{goal: Present, mode: CreateOnly, cluster: ours Active, changes: ['update cluster: logging; spec.l; 1; 2']}"
        )
        .is_settled()
    );
}

#[test]
fn create_only_adopts() {
    check(
        "{goal: Present, mode: CreateOnly, adoption: Existing, cluster: untagged Active, pools: {a: untagged Active}, changes: [claim cluster, claim a]}",
        &["~ claim control plane  eks:eu-west-1/shop-eu", "~ claim pool a  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_create_only_cluster_leaves_with_its_object() {
    check(
        "{goal: Absent, mode: CreateOnly, cluster: ours Active, pools: {a: ours Active}}",
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
}

const QUIET: &str = "hands-off: '2026-11-23T10:04:00Z'";

#[test]
fn hands_off_holds_every_write() {
    check(
        &format!("{{goal: Present, {QUIET}, cluster: ours Active, pools: {{a: ours Active, old: ours Updating}},
          changes: ['update a: config; spec.c; 1; 2', create web, delete old]}}"),
        &[
            ". later: ~ update pool a config  spec.c: declared 1, found 2 (waits: hands off until 2026-11-23T10:04:00Z)",
            ". later: + create pool web  eks:eu-west-1/shop-eu (waits: hands off until 2026-11-23T10:04:00Z)",
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: update of pool old)",
            ". waits for pool old to change, on eks",
        ],
    );
    check(
        &format!("{{goal: Present, {QUIET}, cluster: absent, changes: [create cluster]}}"),
        &[
            ". later: + create control plane  eks:eu-west-1/shop-eu (waits: hands off until 2026-11-23T10:04:00Z)",
        ],
    );
}

#[test]
fn hands_off_ends_by_itself() {
    check(
        "{goal: Present, hands-off: '2026-11-23T10:00:00Z', cluster: ours Active, changes: [create web]}",
        &["+ create pool web  eks:eu-west-1/shop-eu"],
    );
    let plan = planned(&format!(
        "{{goal: Present, {QUIET}, cluster: ours Active, changes: [create web]}}"
    ));
    assert_eq!(plan.requeue, Some(std::time::Duration::from_secs(240)));
}

#[test]
fn hands_off_does_not_keep_a_cluster_from_going() {
    check(
        &format!("{{goal: Absent, {QUIET}, cluster: ours Active}}"),
        &["- delete control plane  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn held_deletes_hold_nothing_else() {
    check(
        "{goal: Present, deletes-held: the fuse, cluster: ours Active, pools: {a: ours Active, old: ours Active},
          changes: ['update a: config; spec.c; 1; 2', delete old]}",
        &[
            "~ update pool a config  spec.c: declared 1, found 2",
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: the fuse, on a person)",
        ],
    );
}

#[test]
fn held_deletes_keep_a_leaving_cluster() {
    check(
        "{goal: Absent, deletes-held: the fuse, cluster: ours Active, pools: {a: ours Active}}",
        &[". later: - delete pool a  eks:eu-west-1/shop-eu (waits: the fuse, on a person)"],
    );
    check(
        "{goal: Absent, deletes-held: the fuse, cluster: ours Active}",
        &[". later: - delete control plane  eks:eu-west-1/shop-eu (waits: the fuse, on a person)"],
    );
    let plan = planned("{goal: Absent, deletes-held: the fuse, cluster: ours Active}");
    assert_eq!((plan.requeue, plan.gone), (Some(IDLE), false));
    assert_eq!(planned("{goal: Absent, cluster: ours Active}").requeue, Some(BUSY));
}

#[test]
fn held_deletes_keep_nothing_from_being_let_go() {
    check(
        "{goal: Released, deletes-held: the fuse, cluster: ours Active}",
        &["~ release control plane  eks:eu-west-1/shop-eu"],
    );
}
