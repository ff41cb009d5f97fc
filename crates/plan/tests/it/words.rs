//! The language of plan cases: YAML whose values are short sentences.
//!
//! - A thing in the cloud is `WHOSE PHASE [OPTION…] [TROUBLE]`, for example `ours Failed no subnets`; or `absent`; or
//!   `unknown WHY`. Options: `v=1.33`, `size=0`, `for=DECLARED`, `last=WHAT/STATE/HH:MM[/trouble_in_one_word]`.
//! - A place is `cluster`, the name of a pool, or `addon NAME`, `entry NAME`, `identity NAME`, `fargate NAME`,
//!   `schedule NAME`, which has no tags of its own, `server NAME`, `agent NAME`.
//! - A change is one of the sentences that [`change`] reads, differences apart by `; `.
//! - An hour is one of the case's day.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_api_types::{
    Adoption, Day, Governed, Maintenance, MaintenanceWindow, ManagementMode, OnDrainTimeout,
};
use fleetwright_names::{PoolName, Uid};
use fleetwright_plan::{
    Change, ChangeKind, CloudAction, CloudRules, CloudStep, Difference, Drain, Goal,
    KubernetesVersion, MemberStep, ObjectRef, Outside, PartKey, PartKind, Phase, PoolWay,
    Replacement, Resource, Seen, SeenUpdate, Snapshot, Step, Update, UpdateState, Upgrade, Waiting,
    Windows,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::check::{
    GENERATION, World, address, name, owner, pool, seen_cluster, seen_part, seen_pool, tags,
    unknown,
};

/// A plan case.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct Case {
    goal: String,
    cluster: String,
    #[serde(default)]
    pools: BTreeMap<PoolName, String>,
    #[serde(default)]
    parts: BTreeMap<String, String>,
    #[serde(default)]
    changes: Vec<String>,
    /// Only for the lint: steps that no planner would plan.
    #[serde(default)]
    steps: Vec<String>,
    mode: Option<String>,
    adoption: Option<String>,
    take_over: Option<String>,
    now: Option<Timestamp>,
    /// `ZONE DAYS HH:MM LENGTH`, the days apart by commas.
    window: Option<String>,
    #[serde(default)]
    governs: Vec<Governed>,
    hands_off: Option<Timestamp>,
    deletes_held: Option<String>,
    clean_up: Option<String>,
    edited: Option<String>,
    /// The cloud takes one change of a cluster at a time, and pools go with their control plane.
    #[serde(default)]
    azure_like: bool,
    /// Nothing goes on by itself.
    #[serde(default)]
    by_hand: bool,
    /// For so many seconds the cloud asked to be left alone.
    retry_after: Option<u64>,
    /// `NODES CORDONED PODS [HH:MM] [WHAT BLOCKS]`, by pool.
    #[serde(default)]
    drains: BTreeMap<PoolName, String>,
    /// Pools whose drain ends by force.
    #[serde(default)]
    force: Vec<PoolName>,
    /// `WHAT NAME` and ` going`.
    outside: Option<Vec<String>>,
}

impl Case {
    pub(crate) fn read(text: &str) -> Self {
        serde_saphyr::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    pub(crate) fn world(&self) -> World {
        let changes = self.changes.iter().map(|text| change(text)).collect();
        let mut world = World::new(goal(&self.goal), Snapshot::absent(), changes);
        if let Some(now) = self.now {
            world.now = now;
        }
        world.snapshot = self.snapshot(world.now);
        world.ways = self.pools.keys().map(|name| (name.clone(), way(name))).collect();
        for name in &self.force {
            let way = world.ways.get_mut(name).expect("a pool that is forced");
            way.on_drain_timeout = OnDrainTimeout::Force;
        }
        let rules = &mut world.rules;
        rules.mode = match self.mode.as_deref() {
            None | Some("Manage") => ManagementMode::Manage,
            Some("CreateOnly") => ManagementMode::CreateOnly,
            Some("Observe") => ManagementMode::Observe,
            Some(other) => panic!("{other:?} is no mode"),
        };
        rules.adoption = match self.adoption.as_deref() {
            None | Some("Never") => Adoption::Never,
            Some("Existing") => Adoption::Existing,
            Some(other) => panic!("{other:?} is no adoption"),
        };
        rules.take_over = self.take_over.as_deref().map(|uid| Uid::new(uid).expect("uid"));
        rules.windows = self.window.as_deref().map(|window| windows(window, &self.governs));
        rules.hands_off_until = self.hands_off;
        rules.deletes_held =
            self.deletes_held.as_deref().map(|what| Waiting::new(what, "a person"));
        rules.edited_at = self.edited.as_deref().map(|hour| at(world.now, hour));
        rules.cloud = CloudRules {
            serial: self.azure_like,
            pools_end_with_control_plane: self.azure_like,
            by_hand: self.by_hand,
        };
        rules.clean_up_until = self.clean_up.as_deref().map(|hour| at(world.now, hour));
        world
    }

    pub(crate) fn steps(&self) -> Vec<Step> {
        self.steps.iter().map(|text| step(text)).collect()
    }

    fn snapshot(&self, now: Timestamp) -> Snapshot {
        let mut snapshot = Snapshot::of(seen(&self.cluster, |thing| {
            let mut cluster = seen_cluster(thing.whose, thing.phase, thing.trouble);
            cluster.version = thing.option("v").unwrap_or(&cluster.version).to_owned();
            cluster.last_update = thing.last(now);
            cluster
        }));
        for (name, text) in &self.pools {
            let pool = seen(text, |thing| {
                let mut pool = seen_pool(name, thing.whose, thing.phase, thing.trouble);
                pool.version = thing.option("v").unwrap_or(&pool.version).to_owned();
                pool.last_update = thing.last(now);
                if let Some(size) = thing.option("size") {
                    pool.size = size.parse().expect("a size");
                }
                if let Some(declared) = thing.option("for") {
                    pool.stands_for = self::name(declared);
                }
                pool
            });
            snapshot.pools.insert(name.clone(), pool);
        }
        for (place, text) in &self.parts {
            let Resource::Part(key) = self::place(place) else { panic!("{place:?} is no part") };
            let part = seen(text, |thing| {
                let mut part = seen_part(thing.whose, thing.phase, thing.trouble);
                part.last_update = thing.last(now);
                part
            });
            snapshot.parts.insert(key, part);
        }
        let drains = self.drains.iter().map(|(name, text)| (name.clone(), drain(now, text)));
        snapshot.retry_after = self.retry_after.map(Duration::from_secs);
        snapshot.member.drains = drains.collect();
        snapshot.member.outside =
            self.outside.as_ref().map(|list| list.iter().map(|text| outside(text)).collect());
        snapshot
    }
}

/// The way of every pool here.
pub(crate) fn way(name: &PoolName) -> PoolWay {
    PoolWay {
        selector: format!("pool={name}"),
        drain_timeout: Duration::from_secs(900),
        on_drain_timeout: OnDrainTimeout::Wait,
    }
}

/// `ZONE DAYS HH:MM LENGTH`
pub(crate) fn windows(text: &str, governs: &[Governed]) -> Windows {
    let [zone, days, start, duration] = text.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{text:?} is no window")
    };
    let window = MaintenanceWindow {
        days: days.split(',').map(day).collect(),
        start: start.into(),
        duration: duration.into(),
    };
    let declared = Maintenance {
        timezone: Some(zone.into()),
        governs: governs.to_vec(),
        windows: vec![window],
    };
    Windows::parse(&declared).expect("a window")
}

fn day(word: &str) -> Day {
    serde_json::from_value(json!(word)).expect("a day")
}

fn goal(word: &str) -> Goal {
    match word {
        "Present" => Goal::Present,
        "Absent" => Goal::Absent,
        "Released" => Goal::Released,
        other => panic!("{other:?} is no goal"),
    }
}

struct Thing<'a> {
    whose: &'a str,
    phase: Phase,
    options: BTreeMap<&'a str, &'a str>,
    trouble: &'a str,
}

impl Thing<'_> {
    fn option(&self, key: &str) -> Option<&str> {
        self.options.get(key).copied()
    }

    fn last(&self, now: Timestamp) -> Option<SeenUpdate> {
        let mut words = self.option("last")?.split('/');
        let mut word = || words.next().unwrap_or_default();
        let (what, state, hour, trouble) = (word(), word(), word(), word());
        let state = match state {
            "InProgress" => UpdateState::InProgress,
            "Successful" => UpdateState::Successful,
            "Failed" => UpdateState::Failed,
            "Cancelled" => UpdateState::Cancelled,
            other => panic!("{other:?} is no state of an update"),
        };
        Some(SeenUpdate {
            id: format!("update-{hour}"),
            what: what.into(),
            state,
            trouble: trouble.replace('_', " "),
            at: at(now, hour),
        })
    }
}

fn seen<T>(text: &str, make: impl Fn(&Thing<'_>) -> T) -> Seen<T> {
    let (first, rest) = text.split_once(' ').unwrap_or((text, ""));
    if first == "absent" {
        return Seen::Absent;
    }
    if first == "unknown" {
        return unknown(rest);
    }
    let (phase, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut options = BTreeMap::new();
    while let Some((key, value)) = rest.split(' ').next().and_then(|word| word.split_once('=')) {
        options.insert(key, value);
        rest = rest.split_once(' ').map_or("", |(_, rest)| rest);
    }
    Seen::Present(make(&Thing { whose: first, phase: self::phase(phase), options, trouble: rest }))
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

/// Kinds of parts as clouds have them.
pub(crate) const ADD_ON: PartKind = PartKind::new("managed add-on");
pub(crate) const ENTRY: PartKind = PartKind::new("access entry");
const IDENTITY: PartKind = PartKind::new("pod identity");
pub(crate) const FARGATE: PartKind = PartKind::holding("Fargate profile");
const SCHEDULE: PartKind = PartKind::untagged("maintenance configuration");
const SERVER: PartKind = PartKind::new("server");
const AGENT: PartKind = PartKind::holding_together("agent");

pub(crate) fn part(kind: PartKind, name: &str) -> PartKey {
    PartKey { kind, name: name.into() }
}

fn place(words: &str) -> Resource {
    match words.split_once(' ') {
        Some(("addon", name)) => Resource::Part(part(ADD_ON, name)),
        Some(("entry", name)) => Resource::Part(part(ENTRY, name)),
        Some(("identity", name)) => Resource::Part(part(IDENTITY, name)),
        Some(("fargate", name)) => Resource::Part(part(FARGATE, name)),
        Some(("schedule", name)) => Resource::Part(part(SCHEDULE, name)),
        Some(("server", name)) => Resource::Part(part(SERVER, name)),
        Some(("agent", name)) => Resource::Part(part(AGENT, name)),
        Some(_) => panic!("{words:?} is no place"),
        None if words == "cluster" => Resource::Cluster,
        None => pool(words),
    }
}

/// - `create PLACE`, `create POOL for POOL[; FIELD; DECLARED; FOUND]…`, `claim PLACE`, `delete PLACE`
/// - `retire POOL for POOL`
/// - `update PLACE: WHAT; FIELD; DECLARED; FOUND…`, `roll …` likewise
/// - `upgrade PLACE: FROM TO TARGET`
/// - `refuse PLACE; FIELD; DECLARED; FOUND; WHY`
/// - `after WHY, CHANGE`
fn change(text: &str) -> Change {
    if let Some((why, then)) = text.strip_prefix("after ").and_then(|text| text.split_once(", ")) {
        let Change { resource, kind } = change(then);
        return Change {
            resource,
            kind: ChangeKind::Later { then: Box::new(kind), why: why.into() },
        };
    }
    let (verb, rest) = text.split_once(' ').expect("verb and place");
    let parts: Vec<&str> = rest.split("; ").collect();
    let (first, more) = (parts[0], &parts[1..]);
    let (place, what) = match (verb, first.split_once(": "), first.split_once(" for ")) {
        ("update" | "roll" | "upgrade", Some(parts), _) => parts,
        ("create" | "retire", _, Some(parts)) => parts,
        _ => (first, ""),
    };
    let kind = match (verb, what) {
        ("create", "") => ChangeKind::Create { body: json!({"name": place}), replaces: None },
        ("create", old) => ChangeKind::Create {
            body: json!({"name": place}),
            replaces: Some(Replacement { pool: name(old), differences: differences(more) }),
        },
        ("claim", "") => ChangeKind::Claim,
        ("delete", "") => ChangeKind::Delete,
        ("retire", successor) => ChangeKind::Retire { successor: name(successor) },
        ("update" | "roll" | "upgrade", what) => ChangeKind::Update(update(verb, what, more)),
        ("refuse", "") => {
            let [field, declared, found, why] = more else { panic!("{text:?} is no refusal") };
            ChangeKind::Refused {
                field: (*field).into(),
                declared: (*declared).into(),
                found: (*found).into(),
                why: (*why).into(),
            }
        }
        _ => panic!("{text:?} is no change"),
    };
    Change { resource: self::place(place), kind }
}

fn update(verb: &str, what: &str, more: &[&str]) -> Update {
    if verb == "upgrade" {
        let versions: Vec<_> = what.split(' ').map(version).collect();
        let [from, to, target] = versions[..] else { panic!("{what:?} are not three versions") };
        return upgrade(Upgrade { from, to, target });
    }
    Update {
        what: what.into(),
        differences: differences(more),
        body: json!({"set": what}),
        governed: (verb == "roll").then_some(Governed::Roll),
        upgrade: None,
    }
}

/// The update that an upgrade is.
pub(crate) fn upgrade(upgrade: Upgrade) -> Update {
    let (field, declared) = ("spec.version".into(), upgrade.target.to_string());
    Update {
        what: "version".into(),
        differences: vec![Difference { field, declared, found: upgrade.from.to_string() }],
        body: json!({"version": upgrade.to.to_string()}),
        governed: Some(Governed::Upgrade),
        upgrade: Some(upgrade),
    }
}

pub(crate) fn version(text: &str) -> KubernetesVersion {
    KubernetesVersion::parse("", text).expect("a version")
}

fn differences(words: &[&str]) -> Vec<Difference> {
    words
        .chunks(3)
        .map(|words| {
            let [field, declared, found] = words else { panic!("{words:?} is no difference") };
            Difference {
                field: (*field).into(),
                declared: (*declared).into(),
                found: (*found).into(),
            }
        })
        .collect()
}

fn drain(now: Timestamp, text: &str) -> Drain {
    let mut words = text.split(' ');
    let mut number = || words.next().and_then(|word| word.parse().ok()).expect("three numbers");
    let (nodes, cordoned, pods_left) = (number(), number(), number());
    let since = words.next().map(|hour| at(now, hour));
    let blocked = words.collect::<Vec<_>>().join(" ");
    let blocked = if blocked.is_empty() { Vec::new() } else { vec![blocked] };
    Drain { nodes, cordoned, pods_left, blocked, since }
}

fn outside(text: &str) -> Outside {
    let (what, going) = text.strip_suffix(" going").map_or((text, false), |what| (what, true));
    Outside { what: what.into(), object: object(what), going }
}

fn object(what: &str) -> ObjectRef {
    ObjectRef {
        group: String::new(),
        version: "v1".into(),
        plural: "services".into(),
        namespace: "shop".into(),
        name: what.into(),
    }
}

/// `HH:MM` on the day of `now`.
fn at(now: Timestamp, hour: &str) -> Timestamp {
    format!("{}T{hour}:00Z", now.strftime("%Y-%m-%d")).parse().expect("an hour")
}

/// `DEED PLACE`, `claim PLACE from UID`, `update PLACE: WHAT`, `upgrade PLACE: FROM TO TARGET`, `drain POOL`, `clean WHAT`
fn step(text: &str) -> Step {
    let (verb, on) = text.split_once(' ').expect("verb and place");
    let (on, rest) = on.split_once(": ").or_else(|| on.split_once(" from ")).unwrap_or((on, ""));
    let action = match verb {
        "create" => CloudAction::Create { body: json!({}) },
        "delete" => CloudAction::Delete,
        "release" => CloudAction::Release,
        "claim" => CloudAction::Claim { tags: tags("ours"), from: Uid::new(rest).ok() },
        "update" | "upgrade" => CloudAction::Update(update(verb, rest, &[])),
        "drain" => {
            let selector = String::new();
            return Step::Member(MemberStep::Drain {
                pool: name(on),
                selector,
                onto: String::new(),
                force: false,
            });
        }
        "clean" => {
            let object = object(on);
            return Step::Member(MemberStep::DeleteOutside { what: on.into(), object });
        }
        other => panic!("{other:?} is no deed"),
    };
    let whom = (owner("ours"), GENERATION);
    Step::Cloud(CloudStep::new(address(), place(on), whom, action, ""))
}
