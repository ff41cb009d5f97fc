//! The one way to state a plan case, and the words it is written in.
//!
//! A thing in the cloud is `WHOSE PHASE [TROUBLE]`, for example `ours Failed no subnets`; or `absent`; or `unknown WHY`.
//! A change is `create PLACE`, `delete PLACE` or `refuse PLACE; FIELD; DECLARED; FOUND; WHY`, where a place is `cluster`
//! or the name of a pool.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_names::{HubId, ObjectKey, Owner, PoolName, TAG_RELEASED, TAG_UID, Uid};
use fleetwright_plan::{
    Address, Change, ChangeKind, CloudAction, CloudStep, Goal, Phase, Plan, Resource, Seen,
    SeenCluster, SeenPool, Snapshot, Step, lint, plan_cluster,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

/// Between looks while the cloud works.
pub(crate) const BUSY: Duration = Duration::from_secs(5);
/// Between looks otherwise.
pub(crate) const IDLE: Duration = Duration::from_secs(300);
/// The generation of every declaration here.
pub(crate) const GENERATION: i64 = 3;

/// All words for whose a thing is.
pub(crate) const WHOSE: [&str; 7] =
    ["ours", "predecessor", "neighbour", "other-hub", "released", "half-tagged", "untagged"];

/// A plan case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    goal: String,
    cluster: String,
    #[serde(default)]
    pools: BTreeMap<PoolName, String>,
    #[serde(default)]
    changes: Vec<String>,
    /// Only for the lint: steps that no planner would plan.
    #[serde(default)]
    steps: Vec<String>,
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
    let case = read(case);
    let snapshot = snapshot(&case);
    let changes: Vec<Change> = case.changes.iter().map(|text| change(text)).collect();
    let plan = plan(goal(&case.goal), &snapshot, &changes);
    assert_eq!(lint(&plan, &snapshot), Ok(()), "the lint refuses the plan:\n{plan}");
    assert_eq!(plan.generation, GENERATION);
    plan
}

/// Gives hand-made steps to the lint and compares its words; `""` where it has nothing to say.
#[track_caller]
pub(crate) fn check_lint(case: &str, expect: &str) {
    let case = read(case);
    let steps = case.steps.iter().map(|text| step(text)).collect();
    let plan = Plan { steps, ..Plan::default() };
    let said =
        lint(&plan, &snapshot(&case)).map_or_else(|error| error.to_string(), |()| String::new());
    assert_eq!(said, expect);
}

/// Plans for [`owner`] at [`address`].
pub(crate) fn plan(goal: Goal, snapshot: &Snapshot, changes: &[Change]) -> Plan {
    plan_cluster(goal, (&owner("ours"), GENERATION), &address(), (snapshot, changes), (BUSY, IDLE))
}

pub(crate) fn address() -> Address {
    Address {
        provider: "eks",
        provider_config: "aws".into(),
        region: "eu-west-1".into(),
        external_name: "shop-eu".into(),
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
        body: json!({}),
    }
}

pub(crate) fn seen_pool(whose: &str, phase: Phase, trouble: &str) -> SeenPool {
    SeenPool { tags: tags(whose), phase, trouble: trouble.into(), size: 3, body: json!({}) }
}

pub(crate) fn pool(name: &str) -> Resource {
    Resource::Pool(PoolName::new(name).expect("pool name"))
}

pub(crate) fn unknown<T>(why: &str) -> Seen<T> {
    Seen::Unknown { since: Timestamp::UNIX_EPOCH, why: why.into() }
}

fn read(case: &str) -> Case {
    serde_saphyr::from_str(case).unwrap_or_else(|error| panic!("{error} in {case}"))
}

fn goal(word: &str) -> Goal {
    match word {
        "Present" => Goal::Present,
        "Absent" => Goal::Absent,
        "Released" => Goal::Released,
        other => panic!("{other:?} is no goal"),
    }
}

fn snapshot(case: &Case) -> Snapshot {
    let pools = case.pools.iter().map(|(name, text)| (name.clone(), seen(text, seen_pool)));
    Snapshot { cluster: seen(&case.cluster, seen_cluster), pools: pools.collect() }
}

fn seen<T>(text: &str, make: fn(&str, Phase, &str) -> T) -> Seen<T> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    match first {
        "absent" => Seen::Absent,
        "unknown" => unknown(rest),
        whose => {
            let (phase, trouble) = rest.split_once(' ').unwrap_or((rest, ""));
            Seen::Present(make(whose, self::phase(phase), trouble))
        }
    }
}

fn phase(word: &str) -> Phase {
    match word {
        "Creating" => Phase::Creating,
        "Active" => Phase::Active,
        "Updating" => Phase::Updating,
        "Deleting" => Phase::Deleting,
        "Failed" => Phase::Failed,
        other => panic!("{other:?} is no phase"),
    }
}

fn place(word: &str) -> Resource {
    if word == "cluster" { Resource::Cluster } else { pool(word) }
}

fn change(text: &str) -> Change {
    let (verb, rest) = text.split_once(' ').expect("verb and place");
    let parts: Vec<&str> = rest.split("; ").collect();
    let kind = match (verb, &parts[1..]) {
        ("create", []) => ChangeKind::Create { body: json!({"name": parts[0]}) },
        ("delete", []) => ChangeKind::Delete,
        ("refuse", [field, declared, found, why]) => ChangeKind::Refused {
            field: (*field).into(),
            declared: (*declared).into(),
            found: (*found).into(),
            why: (*why).into(),
        },
        _ => panic!("{text:?} is no change"),
    };
    Change { resource: place(parts[0]), kind }
}

fn step(text: &str) -> Step {
    let (verb, on) = text.split_once(' ').expect("verb and place");
    let action = match verb {
        "create" => CloudAction::Create { body: json!({}) },
        "delete" => CloudAction::Delete,
        "release" => CloudAction::Release,
        other => panic!("{other:?} is no deed"),
    };
    Step::Cloud(CloudStep::new(address(), place(on), owner("ours"), GENERATION, action))
}
