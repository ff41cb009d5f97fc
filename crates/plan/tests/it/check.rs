//! The one way to state a plan case. Its small language is in `words.rs`.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_names::{HubId, ObjectKey, Owner, PoolName, TAG_RELEASED, TAG_UID, Uid};
use fleetwright_plan::{
    Address, Change, Goal, LintError, Pace, Phase, Plan, PoolWay, Resource, Rules, Seen,
    SeenCluster, SeenPart, SeenPool, Situation, Snapshot, lint, plan_cluster,
};
use jiff::Timestamp;
use serde_json::json;

use crate::words::{Case, way};

/// Between looks while the cloud works.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Between looks otherwise.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// The generation of every declaration here.
pub(crate) const GENERATION: i64 = 3;

/// All words for whose a thing is.
pub(crate) const WHOSE: [&str; 7] =
    ["ours", "predecessor", "neighbour", "other-hub", "released", "half-tagged", "untagged"];

/// All that a plan depends on.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) goal: Goal,
    pub(crate) owner: Owner,
    pub(crate) address: Address,
    pub(crate) snapshot: Snapshot,
    pub(crate) changes: Vec<Change>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) ways: BTreeMap<PoolName, PoolWay>,
    pub(crate) rules: Rules,
    pub(crate) now: Timestamp,
}

impl World {
    /// For [`owner`] at [`address`], with all rules absent, on Monday 2026-11-23 at 10:00 UTC.
    pub(crate) fn new(goal: Goal, snapshot: Snapshot, changes: Vec<Change>) -> Self {
        let ways = snapshot.pools.keys().map(|name| (name.clone(), way(name))).collect();
        let mut tags = owner("ours").tags();
        tags.insert("cost-center".into(), "4711".into());
        Self {
            goal,
            owner: owner("ours"),
            address: address(),
            snapshot,
            changes,
            tags,
            ways,
            rules: Rules::default(),
            now: "2026-11-23T10:00:00Z".parse().expect("an instant"),
        }
    }

    fn situation(&self) -> Situation<'_> {
        Situation {
            goal: self.goal,
            owner: &self.owner,
            generation: GENERATION,
            address: &self.address,
            snapshot: &self.snapshot,
            changes: &self.changes,
            tags: &self.tags,
            pools: &self.ways,
            rules: &self.rules,
            now: self.now,
            pace: Pace { busy: BUSY, idle: IDLE },
        }
    }

    pub(crate) fn plan(&self) -> Plan {
        plan_cluster(&self.situation())
    }

    pub(crate) fn lint(&self, plan: &Plan) -> Result<(), LintError> {
        lint(plan, &self.situation())
    }
}

/// Plans `case`, a YAML text, and compares the plan's lines with `expect`.
///
/// Each plan is also given to the lint and made a second time.
#[track_caller]
pub(crate) fn check(case: &str, expect: &[&str]) {
    let plan = planned(case);
    let text = plan.to_string();
    assert_eq!(text.lines().collect::<Vec<_>>(), expect, "in {case}");
    assert_eq!(planned(case).to_string(), text, "made twice, in {case}");
}

/// The plan of `case`, accepted by the lint.
#[track_caller]
pub(crate) fn planned(case: &str) -> Plan {
    let world = Case::read(case).world();
    let plan = world.plan();
    assert_eq!(world.lint(&plan), Ok(()), "the lint refuses the plan:\n{plan}");
    assert_eq!(plan.generation, GENERATION);
    plan
}

/// Gives hand-made steps to the lint and compares its words; `""` where it has nothing to say.
#[track_caller]
pub(crate) fn check_lint(case: &str, expect: &str) {
    let case = Case::read(case);
    let plan = Plan { steps: case.steps(), ..Plan::default() };
    let said = case.world().lint(&plan).map_or_else(|error| error.to_string(), |()| String::new());
    assert_eq!(said, expect);
}

pub(crate) fn address() -> Address {
    Address {
        provider: "eks",
        provider_config: "aws".into(),
        region: "eu-west-1".into(),
        external_name: "shop-eu".into(),
        site: String::new(),
    }
}

/// The planning object, or somebody near it.
pub(crate) fn owner(whose: &str) -> Owner {
    let (hub, object, uid) = match whose {
        "ours" => ("ab", "shop/eu", "1a"),
        "predecessor" => ("ab", "shop/eu", "0f"),
        "neighbour" => ("ab", "shop/us", "1a"),
        "other-hub" => ("cd", "shop/eu", "1a"),
        other => panic!("{other:?} is nobody"),
    };
    Owner {
        hub: HubId::new(hub).expect("hub"),
        object: ObjectKey::parse(object),
        uid: Uid::new(uid).expect("uid"),
    }
}

pub(crate) fn tags(whose: &str) -> BTreeMap<String, String> {
    let foreign = BTreeMap::from([("team".to_owned(), "payments".to_owned())]);
    match whose {
        "untagged" => foreign,
        "released" => BTreeMap::from([(TAG_RELEASED.to_owned(), "1a".to_owned())]),
        "half-tagged" => {
            let mut tags = owner("ours").tags();
            tags.remove(TAG_UID);
            tags
        }
        _ => foreign.into_iter().chain(owner(whose).tags()).collect(),
    }
}

/// A control plane of version 1.34.
pub(crate) fn seen_cluster(whose: &str, phase: Phase, trouble: &str) -> SeenCluster {
    SeenCluster {
        external_id: "arn:shop-eu".into(),
        tags: tags(whose),
        phase,
        trouble: trouble.into(),
        version: "1.34".into(),
        platform_version: None,
        endpoint: None,
        certificate_authority: None,
        oidc_issuer: None,
        last_update: None,
        blockers: None,
        body: json!({}),
    }
}

/// A pool of version 1.34 that stands for itself.
pub(crate) fn seen_pool(name: &PoolName, whose: &str, phase: Phase, trouble: &str) -> SeenPool {
    SeenPool {
        tags: tags(whose),
        phase,
        trouble: trouble.into(),
        size: 3,
        stands_for: name.clone(),
        version: "1.34".into(),
        release: None,
        last_update: None,
        body: json!({}),
    }
}

pub(crate) fn seen_part(whose: &str, phase: Phase, trouble: &str) -> SeenPart {
    SeenPart {
        tags: tags(whose),
        phase,
        trouble: trouble.into(),
        last_update: None,
        body: json!({}),
    }
}

pub(crate) fn name(text: &str) -> PoolName {
    PoolName::new(text).expect("pool name")
}

pub(crate) fn pool(text: &str) -> Resource {
    Resource::Pool(name(text))
}

pub(crate) fn unknown<T>(why: &str) -> Seen<T> {
    Seen::Unknown { since: Timestamp::UNIX_EPOCH, why: why.into() }
}
