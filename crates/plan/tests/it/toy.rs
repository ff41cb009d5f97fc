//! A cloud small enough to check by eye.
//!
//! It refuses what a cloud refuses: a taken name, a pool without a control plane, a second change of what is changing, a
//! skipped minor, pools newer than their control plane, a delete of what is being made, a control plane that goes before
//! its pools and Fargate profiles, and any deed on what is not the step's owner's. A refusal is a panic here. What can
//! differ is one number each: the `setting` of a control plane, `shape` (for good), `scale` and `image` of a pool, `value`
//! of a part.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_names::{Ownership, PoolName, TAG_RELEASED};
use fleetwright_plan::{
    CloudAction, CloudRules, CloudStep, Drain, KubernetesVersion, MemberStep, Outside, PartKey,
    Phase, Resource, Seen, SeenCluster, SeenPart, SeenPool, SeenUpdate, Snapshot, Step, Update,
    UpdateState,
};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::check::{seen_cluster, seen_part, seen_pool};
use crate::words::version;

/// The cloud, and the member's API behind it.
#[derive(Debug, Clone)]
pub(crate) struct Toy {
    pub(crate) cluster: Option<SeenCluster>,
    pub(crate) pools: BTreeMap<PoolName, SeenPool>,
    pub(crate) parts: BTreeMap<PartKey, SeenPart>,
    pub(crate) outside: Vec<Outside>,
    drains: BTreeMap<PoolName, Drain>,
    pub(crate) now: Timestamp,
    /// How long one tick is.
    pub(crate) tick: Duration,
    /// So many of the next changes are given up.
    pub(crate) failing: usize,
    /// What it allows beside that.
    pub(crate) rules: CloudRules,
    changes: usize,
}

impl Toy {
    /// A cloud that looks like `snapshot`; what is unknown there is not there.
    pub(crate) fn like(snapshot: &Snapshot) -> Self {
        let cluster = snapshot.cluster.present().cloned();
        let mut toy = Self {
            outside: snapshot.member.outside.clone().unwrap_or_default(),
            drains: BTreeMap::new(),
            pools: BTreeMap::new(),
            parts: BTreeMap::new(),
            now: "2026-11-23T10:00:00Z".parse().expect("an instant"),
            tick: Duration::from_secs(300),
            failing: 0,
            rules: CloudRules::default(),
            changes: 0,
            cluster,
        };
        // No cloud has pools or parts without a control plane.
        if toy.cluster.is_some() {
            toy.pools = known(&snapshot.pools);
            toy.parts = known(&snapshot.parts);
        }
        toy
    }

    pub(crate) fn look(&self) -> Snapshot {
        let mut snapshot = Snapshot::of(self.cluster.clone().map_or(Seen::Absent, Seen::Present));
        snapshot.pools = all(&self.pools);
        snapshot.parts = all(&self.parts);
        snapshot.member.drains = self.drains.clone();
        snapshot.member.outside = Some(self.outside.clone());
        snapshot
    }

    /// Everything under way comes one phase further.
    pub(crate) fn tick(&mut self) {
        self.now = self.now.checked_add(self.tick).expect("time goes on");
        self.pools.retain(|_, pool| pool.phase != Phase::Deleting);
        self.parts.retain(|_, part| part.phase != Phase::Deleting);
        self.outside.retain(|thing| !thing.going);
        self.drains.retain(|pool, _| self.pools.contains_key(pool));
        for pool in self.pools.values_mut() {
            settle(&mut pool.phase, &mut pool.last_update);
        }
        for part in self.parts.values_mut() {
            settle(&mut part.phase, &mut part.last_update);
        }
        match &mut self.cluster {
            Some(cluster) if cluster.phase == Phase::Deleting => {
                self.cluster = None;
                self.pools.clear();
                self.parts.clear();
            }
            Some(cluster) => settle(&mut cluster.phase, &mut cluster.last_update),
            None => {}
        }
    }

    pub(crate) fn act(&mut self, step: &Step) {
        match step {
            Step::Cloud(step) => match &step.resource {
                Resource::Cluster => self.act_on_cluster(step),
                Resource::Pool(name) => self.act_on_pool(name, step),
                Resource::Part(key) => self.act_on_part(key, step),
            },
            Step::Member(MemberStep::Drain { pool, force, .. }) => self.drain(pool, *force),
            Step::Member(MemberStep::DeleteOutside { object, .. }) => {
                for thing in &mut self.outside {
                    thing.going |= thing.object == *object;
                }
            }
            Step::Hub(_) | Step::Member(_) => panic!("{step} is not for a cloud"),
        }
    }

    /// Every pass sends half of the pods away.
    fn drain(&mut self, name: &PoolName, force: bool) {
        let nodes =
            self.pools.get(name).map_or(0, |pool| usize::try_from(pool.size).expect("size"));
        let first =
            Drain { nodes, cordoned: nodes, pods_left: 4, since: Some(self.now), blocked: vec![] };
        let drain = self.drains.entry(name.clone()).or_insert(first);
        drain.pods_left = if force { 0 } else { drain.pods_left / 2 };
    }

    fn act_on_cluster(&mut self, step: &CloudStep) {
        if let (CloudAction::Create { body }, None) = (&step.action, &self.cluster) {
            let mut made = seen_cluster("ours", Phase::Creating, "");
            made.version = text(body, "version");
            made.body = body.clone();
            self.cluster = Some(made);
            return;
        }
        let behind = self.pools.values().filter(|pool| is_ours(step, &pool.tags));
        let behind = behind.map(|pool| version(&pool.version)).min();
        let locked = self.rules.serial && self.pools.values().any(|pool| moves(pool.phase));
        assert!(!locked || step.action == CloudAction::Delete, "{step}: a pool changes");
        let Some(found) = &mut self.cluster else { return gone(step) };
        match &step.action {
            CloudAction::Create { .. } => panic!("{step}: the name is taken"),
            CloudAction::Delete => {
                let go_with_it = self.rules.pools_end_with_control_plane;
                assert!(go_with_it || self.pools.is_empty(), "{step}: pools are left");
                let holds = self.parts.keys().any(|key| key.kind.holds_control_plane());
                assert!(!holds, "{step}: Fargate profiles are left");
                mark_deleting(step, &found.tags, &mut found.phase);
            }
            CloudAction::Release => release(step, &mut found.tags),
            CloudAction::Claim { tags, .. } => claim(step, &mut found.tags, tags),
            CloudAction::Update(update) => {
                let last = Some(change(&mut self.changes, self.failing, update, self.now));
                begin(step, &found.tags, &mut found.phase);
                found.last_update = last;
                if give_up(&mut self.failing, &mut found.last_update) {
                    return;
                }
                if let Some(upgrade) = update.upgrade {
                    let now = version(&found.version);
                    assert_eq!(now.next_towards(upgrade.to), Some(upgrade.to), "{step}: skips");
                    assert!(behind.is_none_or(|behind| behind >= now), "{step}: pools are behind");
                    found.version = upgrade.to.to_string();
                } else {
                    merge(&mut found.body, &update.body);
                }
            }
        }
    }

    fn act_on_pool(&mut self, name: &PoolName, step: &CloudStep) {
        let host = self.cluster.as_ref().map(|host| version(&host.version));
        let locked =
            self.rules.serial && self.cluster.as_ref().is_some_and(|host| moves(host.phase));
        assert!(!locked, "{step}: the control plane changes");
        if let (CloudAction::Create { body }, None) = (&step.action, self.pools.get(name)) {
            self.host(step);
            let mut made = seen_pool(name, "ours", Phase::Creating, "");
            made.stands_for = PoolName::new(text(body, "for")).expect("pool name");
            made.version = host.map_or_else(String::new, |version| version.to_string());
            made.body = body.clone();
            self.pools.insert(name.clone(), made);
            return;
        }
        let Some(found) = self.pools.get_mut(name) else { return gone(step) };
        match &step.action {
            CloudAction::Create { .. } => panic!("{step}: the name is taken"),
            CloudAction::Delete => mark_deleting(step, &found.tags, &mut found.phase),
            CloudAction::Release => release(step, &mut found.tags),
            CloudAction::Claim { tags, .. } => claim(step, &mut found.tags, tags),
            CloudAction::Update(update) => {
                begin(step, &found.tags, &mut found.phase);
                found.last_update = Some(change(&mut self.changes, self.failing, update, self.now));
                if give_up(&mut self.failing, &mut found.last_update) {
                    return;
                }
                if let Some(upgrade) = update.upgrade {
                    assert!(host.is_some_and(|host| upgrade.to <= host), "{step}: above its host");
                    found.version = upgrade.to.to_string();
                } else {
                    merge(&mut found.body, &update.body);
                }
            }
        }
    }

    fn act_on_part(&mut self, key: &PartKey, step: &CloudStep) {
        if let (CloudAction::Create { body }, None) = (&step.action, self.parts.get(key)) {
            self.host(step);
            self.one_at_a_time(key, step);
            let mut made = seen_part("ours", Phase::Creating, "");
            made.body = body.clone();
            self.parts.insert(key.clone(), made);
            return;
        }
        if step.action == CloudAction::Delete {
            self.one_at_a_time(key, step);
        }
        let Some(found) = self.parts.get_mut(key) else { return gone(step) };
        match &step.action {
            CloudAction::Create { .. } => panic!("{step}: the name is taken"),
            CloudAction::Delete => mark_deleting(step, &found.tags, &mut found.phase),
            CloudAction::Release => release(step, &mut found.tags),
            CloudAction::Claim { tags, .. } => claim(step, &mut found.tags, tags),
            CloudAction::Update(update) => {
                begin(step, &found.tags, &mut found.phase);
                found.last_update = Some(change(&mut self.changes, self.failing, update, self.now));
                if !give_up(&mut self.failing, &mut found.last_update) {
                    merge(&mut found.body, &update.body);
                }
            }
        }
    }

    /// Pools and parts need a control plane that answers and is their owner's.
    fn host(&self, step: &CloudStep) {
        let host = self.cluster.as_ref().expect("a control plane");
        assert!(matches!(host.phase, Phase::Active | Phase::Updating), "{step}: too early");
        assert!(is_ours(step, &host.tags), "{step}: on another's cluster");
    }

    fn one_at_a_time(&self, key: &PartKey, step: &CloudStep) {
        let moving = |(other, part): (&PartKey, &SeenPart)| {
            other.kind.holds_control_plane()
                && matches!(part.phase, Phase::Creating | Phase::Deleting)
        };
        let busy = key.kind.holds_control_plane() && self.parts.iter().any(moving);
        assert!(!busy, "{step}: one at a time");
    }
}

fn known<K: Ord + Clone, T: Clone>(seen: &BTreeMap<K, Seen<T>>) -> BTreeMap<K, T> {
    seen.iter().filter_map(|(key, seen)| Some((key.clone(), seen.present()?.clone()))).collect()
}

fn all<K: Ord + Clone, T: Clone>(things: &BTreeMap<K, T>) -> BTreeMap<K, Seen<T>> {
    things.iter().map(|(key, thing)| (key.clone(), Seen::Present(thing.clone()))).collect()
}

/// Something else removed it between the look and the deed; a create then has nothing to stand on.
fn gone(step: &CloudStep) {
    assert!(!matches!(step.action, CloudAction::Update(_) | CloudAction::Claim { .. }), "{step}");
}

fn text(body: &Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}

pub(crate) fn merge(body: &mut Value, with: &Value) {
    for (key, value) in with.as_object().expect("an object") {
        body[key] = value.clone();
    }
}

const fn moves(phase: Phase) -> bool {
    matches!(phase, Phase::Creating | Phase::Updating | Phase::Deleting)
}

fn is_ours(step: &CloudStep, tags: &BTreeMap<String, String>) -> bool {
    step.owner.reads(tags) == Ownership::Ours
}

fn settle(phase: &mut Phase, last: &mut Option<SeenUpdate>) {
    if matches!(phase, Phase::Creating | Phase::Updating) {
        *phase = Phase::Active;
    }
    if let Some(last) = last.as_mut().filter(|last| last.state == UpdateState::InProgress) {
        last.state = UpdateState::Successful;
    }
}

fn change(count: &mut usize, failing: usize, update: &Update, at: Timestamp) -> SeenUpdate {
    *count += 1;
    let trouble = if failing > 0 { "no luck" } else { "" };
    let (id, what) = (format!("update-{count}"), update.what.clone());
    SeenUpdate { id, what, state: UpdateState::InProgress, trouble: trouble.into(), at }
}

/// Whether this change comes to nothing.
fn give_up(failing: &mut usize, last: &mut Option<SeenUpdate>) -> bool {
    if *failing == 0 {
        return false;
    }
    *failing -= 1;
    if let Some(last) = last {
        last.state = UpdateState::Failed;
    }
    true
}

fn begin(step: &CloudStep, tags: &BTreeMap<String, String>, phase: &mut Phase) {
    assert!(is_ours(step, tags), "{step}: not ours");
    assert!(matches!(phase, Phase::Active | Phase::Failed), "{step}: it is {phase:?}");
    *phase = Phase::Updating;
}

fn mark_deleting(step: &CloudStep, tags: &BTreeMap<String, String>, phase: &mut Phase) {
    assert!(is_ours(step, tags), "{step}: not ours");
    assert!(!matches!(phase, Phase::Creating | Phase::Deleting), "{step}: it is {phase:?}");
    *phase = Phase::Deleting;
}

fn release(step: &CloudStep, tags: &mut BTreeMap<String, String>) {
    assert!(is_ours(step, tags), "{step}: not ours");
    *tags = BTreeMap::from([(TAG_RELEASED.to_owned(), step.owner.uid.to_string())]);
}

fn claim(step: &CloudStep, tags: &mut BTreeMap<String, String>, new: &BTreeMap<String, String>) {
    match step.owner.reads(tags) {
        Ownership::Ours | Ownership::Other(_) => panic!("{step}: not to be had"),
        Ownership::Untagged | Ownership::Released | Ownership::Predecessor(_) => {}
    }
    tags.extend(new.clone());
}

/// What a user declares of the toy cloud.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Wish {
    pub(crate) version: KubernetesVersion,
    pub(crate) setting: u8,
    pub(crate) pools: BTreeMap<PoolName, PoolWish>,
    pub(crate) parts: BTreeMap<PartKey, u8>,
}

/// What a user declares of a pool.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PoolWish {
    pub(crate) shape: u8,
    pub(crate) scale: u8,
    pub(crate) image: u8,
}

impl Wish {
    /// Whether `pool` can become what `wish` says without being replaced.
    pub(crate) fn fits(pool: &SeenPool, wish: PoolWish) -> bool {
        pool.body["shape"] == json!(wish.shape)
    }
}
