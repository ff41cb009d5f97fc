//! A pool that cannot change gets a successor: made, ready, then the old one is drained and deleted.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_api_types::OnDrainTimeout;
use fleetwright_plan::{
    DesiredCluster, DesiredPool, MemberStep, Phase, PoolWay, Seen, Snapshot, Step,
};
use serde_json::Value;

use crate::check::{BUSY, GENERATION, address, check, name, owner, planned, seen_pool, unknown};
use crate::words::version;

const CHANGES: &str = "changes: ['create a-1 for a; spec.nodePools[a].eks.instanceTypes; m7g.large; m5.large', retire a for a-1]";

#[test]
fn a_successor_is_made_and_the_old_pool_stays() {
    check(
        &format!("{{goal: Present, cluster: ours Active, pools: {{a: ours Active}}, {CHANGES}}}"),
        &[
            "+ create pool a-1 in place of a (instanceTypes m5.large → m7g.large)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
        ],
    );
    let plan = planned(&format!(
        "{{goal: Present, cluster: ours Active, pools: {{a: ours Active}}, {CHANGES}}}"
    ));
    assert_eq!(plan.differences().len(), 1);
}

#[test]
fn a_successor_is_made_in_a_window() {
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, pools: {{a: ours Active}}, window: 'UTC Tue 02:00 1h', {CHANGES}}}"
        ),
        &[
            ". later: + create pool a-1 in place of a (instanceTypes m5.large → m7g.large) (waits: window Tue 02:00)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
        ],
    );
}

#[test]
fn a_successor_in_the_making_is_waited_for() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Creating for=a}, changes: [retire a for a-1]}",
        &[
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
            ". waits for pool a-1 to be made, on eks",
        ],
    );
}

#[test]
fn a_successor_that_failed_is_told_and_the_old_pool_stays() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Failed for=a no such subnet}, changes: [retire a for a-1]}",
        &[
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
            "! spec.nodePools[a]: pool a-1, which stands for it, failed in the cloud: no such subnet",
        ],
    );
}

#[test]
fn a_successor_without_nodes_carries_nothing() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Active for=a size=0}, changes: [retire a for a-1]}",
        &[". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)"],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active size=0, a-1: ours Active for=a size=0},
          drains: {a: 0 0 0}, changes: [retire a for a-1]}",
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_strangers_pool_is_no_successor() {
    for (whose, told) in [
        (
            "untagged",
            "exists and was not made by Fleetwright; set adoption: Existing to adopt it, or choose another name",
        ),
        ("other-hub", "belongs to shop/eu on hub cd; choose another name"),
    ] {
        check(
            &format!(
                "{{goal: Present, cluster: ours Active, pools: {{a: ours Active, a-1: {whose} Active}}, changes: [retire a for a-1]}}"
            ),
            &[&format!("! spec.nodePools[a-1]: pool a-1 {told}")],
        );
    }
    check(
        "{goal: Present, take-over: 0f, cluster: ours Active, pools: {a: ours Active, a-1: predecessor Active}, changes: [retire a for a-1]}",
        &[
            "~ claim pool a-1  eks:eu-west-1/shop-eu",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
        ],
    );
}

#[test]
fn an_unknown_successor_holds_the_old_pool() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: unknown lost}, changes: [retire a for a-1]}",
        &[
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
            ". waits for a look at pool a-1, on lost",
        ],
    );
}

const READY: &str = "goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Active for=a}, changes: [retire a for a-1]";

#[test]
fn an_old_pool_is_drained_when_its_successor_is_ready() {
    for drains in [
        "",
        ", drains: {a: 3 1 7 09:55}",
        ", drains: {a: 3 3 1 09:55}",
        ", drains: {a: 3 2 0 09:55}",
    ] {
        check(&format!("{{{READY}{drains}}}"), &["~ drain pool a"]);
    }
    let plan = planned(&format!("{{{READY}}}"));
    let (selector, onto) = ("pool=a".to_owned(), "pool=a-1".to_owned());
    let drain = MemberStep::Drain { pool: name("a"), selector, onto, force: false };
    assert_eq!(plan.steps, [Step::Member(drain)]);
    assert_eq!(plan.requeue, Some(BUSY));
}

#[test]
fn a_successor_in_trouble_takes_nothing_over() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Active no machines for=a},
          drains: {a: 3 3 0 09:55}, changes: [retire a for a-1]}",
        &[". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)"],
    );
}

#[test]
fn an_empty_old_pool_is_deleted() {
    check(
        &format!("{{{READY}, drains: {{a: 3 3 0 09:55}}}}"),
        &["- delete pool a  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn draining_waits_for_no_window_once_the_successor_is_there() {
    check(&format!("{{{READY}, window: 'UTC Tue 02:00 1h'}}"), &["~ drain pool a"]);
}

#[test]
fn pods_that_stay_too_long_are_a_persons_business() {
    check(
        &format!(
            "{{{READY}, drains: {{a: 3 3 2 09:45 PodDisruptionBudget shop/db allows no disruption}}}}"
        ),
        &[
            "~ drain pool a",
            ". waits for 2 pods to leave pool a: PodDisruptionBudget shop/db allows no disruption, on a person",
        ],
    );
    check(
        &format!(
            "{{{READY}, drains: {{a: 3 3 2 09:46 PodDisruptionBudget shop/db allows no disruption}}}}"
        ),
        &["~ drain pool a"],
    );
    check(
        &format!("{{{READY}, drains: {{a: 3 3 1 09:00}}}}"),
        &[
            "~ drain pool a",
            ". waits for 1 pods to leave pool a: nothing says why they stay, on a person",
        ],
    );
}

#[test]
fn pods_that_stay_too_long_go_by_force_where_that_is_declared() {
    check(
        &format!("{{{READY}, force: [a], drains: {{a: 3 3 2 09:45 a budget}}}}"),
        &["~ drain pool a by force"],
    );
    check(
        &format!("{{{READY}, force: [a], drains: {{a: 3 3 2 09:46 a budget}}}}"),
        &["~ drain pool a"],
    );
}

#[test]
fn one_pool_is_replaced_at_a_time() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, b: ours Active},
          changes: [create a-1 for a, retire a for a-1, create b-1 for b, retire b for b-1]}",
        &[
            "+ create pool a-1 in place of a",
            ". later: + create pool b-1 in place of b (waits: update of pool a-1)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
            ". later: - delete pool b  eks:eu-west-1/shop-eu (waits: successor b-1)",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Active for=a, b: ours Active},
          changes: [retire a for a-1, create b-1 for b, retire b for b-1]}",
        &[
            "~ drain pool a",
            ". later: + create pool b-1 in place of b (waits: update of pool a)",
            ". later: - delete pool b  eks:eu-west-1/shop-eu (waits: successor b-1)",
        ],
    );
}

#[test]
fn two_pools_that_lose_their_nodes_do_so_one_after_the_other() {
    check(
        "{goal: Present, cluster: ours Active,
          pools: {a: ours Active, a-1: ours Active for=a, b: ours Active, b-1: ours Active for=b},
          changes: [retire b for b-1, retire a for a-1]}",
        &[
            "~ drain pool a",
            ". later: - delete pool b  eks:eu-west-1/shop-eu (waits: update of pool a)",
        ],
    );
}

#[test]
fn a_replacement_waits_for_a_roll_and_a_roll_for_a_replacement() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Updating, b: ours Active},
          changes: [create b-1 for b, retire b for b-1]}",
        &[
            ". later: + create pool b-1 in place of b (waits: update of pool a)",
            ". later: - delete pool b  eks:eu-west-1/shop-eu (waits: successor b-1)",
            ". waits for pool a to change, on eks",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Active, a-1: ours Creating for=a, b: ours Active},
          changes: [retire a for a-1, 'roll b: image; spec.i; new; old', 'upgrade cluster: 1.34 1.35 1.35']}",
        &[
            ". later: ~ upgrade control plane 1.34 → 1.35 (waits: update of pool a-1)",
            ". later: ~ roll pool b image old → new (waits: update of pool a)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
            ". waits for pool a-1 to be made, on eks",
        ],
    );
}

#[test]
fn an_old_pool_on_its_way_out_is_watched() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: ours Deleting, a-1: ours Active for=a}, changes: [retire a for a-1]}",
        &[". waits for pool a to go, on eks"],
    );
}

#[test]
fn a_strangers_old_pool_is_not_drained() {
    check(
        "{goal: Present, cluster: ours Active, pools: {a: other-hub Active, a-1: ours Active for=a}, changes: [retire a for a-1]}",
        &[],
    );
}

#[test]
fn an_undeclared_pool_is_left_to_the_clouds_own_drain() {
    check(
        "{goal: Present, cluster: ours Active, pools: {old: ours Active}, drains: {old: 3 0 9}, changes: [delete old]}",
        &["- delete pool old  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_pool_under_a_new_name_is_there_before_the_old_one_goes() {
    check(
        "{goal: Present, cluster: ours Active, pools: {new: ours Creating, old: ours Active}, changes: [delete old]}",
        &[
            ". later: - delete pool old  eks:eu-west-1/shop-eu (waits: pool new to be made)",
            ". waits for pool new to be made, on eks",
        ],
    );
    check(
        "{goal: Present, cluster: ours Active, pools: {new: ours Active, old: ours Active}, changes: [delete old]}",
        &["- delete pool old  eks:eu-west-1/shop-eu"],
    );
}

#[test]
fn a_replacement_does_not_begin_while_nothing_may_be_deleted() {
    check(
        &format!(
            "{{goal: Present, cluster: ours Active, pools: {{a: ours Active}}, deletes-held: the fuse, {CHANGES}}}"
        ),
        &[
            ". later: + create pool a-1 in place of a (instanceTypes m5.large → m7g.large) (waits: the fuse, on a person)",
            ". later: - delete pool a  eks:eu-west-1/shop-eu (waits: successor a-1)",
        ],
    );
    check(
        &format!("{{{READY}, deletes-held: the fuse}}"),
        &[". later: - delete pool a  eks:eu-west-1/shop-eu (waits: the fuse, on a person)"],
    );
}

#[test]
fn a_control_plane_that_shall_be_there_is_never_deleted() {
    check(
        "{goal: Present, cluster: ours Active, changes: [delete cluster, retire cluster for a]}",
        &[],
    );
}

#[test]
fn a_pools_way_comes_from_the_declared_pool_it_stands_for() {
    let declared = DesiredPool {
        name: name("a"),
        drain_timeout: Duration::from_secs(60),
        on_drain_timeout: OnDrainTimeout::Force,
        body: Value::Null,
    };
    let desired = DesiredCluster {
        owner: owner("ours"),
        generation: GENERATION,
        address: address(),
        version: version("1.34"),
        body: Value::Null,
        pools: vec![declared],
        parts: Vec::new(),
        tags: BTreeMap::new(),
    };
    let mut snapshot = Snapshot::absent();
    for (found, stands_for) in [("a", "a"), ("a-1", "a"), ("b", "b")] {
        let mut pool = seen_pool(&name(found), "ours", Phase::Active, "");
        pool.stands_for = name(stands_for);
        snapshot.pools.insert(name(found), Seen::Present(pool));
    }
    snapshot.pools.insert(name("a-2"), unknown("lost"));
    let ways = PoolWay::of(&desired, &snapshot, |name| format!("group={name}"));
    let way = |selector: &str| PoolWay {
        selector: selector.into(),
        drain_timeout: Duration::from_secs(60),
        on_drain_timeout: OnDrainTimeout::Force,
    };
    assert_eq!(ways, [(name("a"), way("group=a")), (name("a-1"), way("group=a-1"))].into());
}
