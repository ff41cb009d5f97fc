//! Servers: one thing at a time, and never what quorum does not allow.
//!
//! In this order: what disturbs nobody; the turn or the joining that has begun; dead ones that go; those that join; healthy ones
//! that go; turns. New files come before those that join, if any do. Whatever comes first keeps the others waiting.

use fleetwright_plan::{Change, ChangeKind, Difference, Resource};

use super::judge::{KEPT, Verdict, named, refused, renewal};
use super::quorum::{RECOVERY, majority};
use super::scene::{Host, Scene, Standing};
use super::stage::{Stage, minor};
use super::turn::{REMOVE, Turn, is_drained, is_in_turn, later, one};
use crate::body::Deed;
use crate::hosts::{Cause, K3sVersion, ServiceState};
use crate::seen::is_server;

/// What is to be done about servers.
#[derive(Debug)]
pub(super) struct Servers {
    pub(super) changes: Vec<Change>,
    /// What agents wait for before they are disturbed.
    pub(super) pending: Option<String>,
    /// What agents are brought to, and the whole walk.
    pub(super) stage: Option<Stage>,
}

pub(super) fn changes(scene: &Scene<'_>) -> Servers {
    let Some(stage) = Stage::of(scene) else {
        return Servers { changes: Vec::new(), pending: None, stage: None };
    };
    let mut work = Work { scene, stage: &stage, changes: Vec::new(), busy: None, pending: None };
    if let Some(refused) = &stage.refused {
        work.push(Change { resource: Resource::Cluster, kind: refused.clone() });
    }
    match scene.view() {
        Some(_) => work.in_order(),
        None if scene.servers.iter().any(Host::has_run) => work.without_a_view(),
        None => work.begin(),
    }
    let Work { changes, pending, busy, .. } = work;
    Servers { changes, pending: pending.or(busy), stage: Some(stage) }
}

struct Work<'a> {
    scene: &'a Scene<'a>,
    stage: &'a Stage,
    changes: Vec<Change>,
    /// The one thing that is under way or begins now.
    busy: Option<String>,
    /// What is due and has not begun.
    pending: Option<String>,
}

impl Work<'_> {
    fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    fn refuse(&mut self, host: &Host, kind: ChangeKind) {
        self.push(Change { resource: host.resource(), kind });
    }

    /// Now, or after what is under way.
    fn or_later(&mut self, host: &Host, change: Change) {
        match self.busy.clone() {
            Some(why) => {
                self.pending.get_or_insert_with(|| named(host));
                self.push(later(change, why));
            }
            None => {
                self.busy = Some(named(host));
                self.push(change);
            }
        }
    }

    /// What a host that joins runs at first: what the others run.
    fn first_version(&self) -> K3sVersion {
        self.stage.running.unwrap_or(self.stage.target)
    }

    fn create(&self, host: &Host, begins: bool) -> Change {
        let mut task = self.scene.task(host, Deed::Bring, self.first_version());
        task.begins = begins;
        let kind = ChangeKind::Create { body: task.json(), replaces: None };
        Change { resource: host.resource(), kind }
    }

    fn install(&self, host: &Host, begins: bool) -> Change {
        let differences = one(host.field(), "in the cluster", "not yet");
        let version = self.first_version();
        let mut change = self.scene.work(host, ("install", Deed::Bring), (version, differences));
        if let ChangeKind::Update(update) = &mut change.kind {
            let mut task = self.scene.task(host, Deed::Bring, version);
            task.begins = begins;
            update.body = task.json();
        }
        change
    }

    /// No server has data: one begins, and only when it is sure that nobody has begun.
    fn begin(&mut self) {
        let scene = self.scene;
        let mut all = scene.servers.iter();
        let unseen = all.find(|host| host.standing == Standing::Unseen);
        let declared = || scene.servers.iter().filter(|host| host.is_declared());
        let marked = declared().find(|host| host.standing == Standing::Ours);
        let founder = marked.or_else(|| declared().find(|host| host.standing == Standing::Fresh));
        let founder_name = founder.map(|host| host.name().to_owned());
        for host in &scene.servers {
            let begins = Some(host.name()) == founder_name.as_deref();
            let why = match (unseen, begins) {
                (Some(unseen), _) => Some(format!("a look at server {}", unseen.name())),
                (None, true) => None,
                (None, false) => founder.map(named),
            };
            let change = match (host.standing, host.is_declared()) {
                (Standing::Ours, false) => Some((delete(host), true)),
                (Standing::Ours, true) => match scene.judge(host, self.first_version(), begins) {
                    Some(Verdict::Refused(kind)) => {
                        Some((Change { resource: host.resource(), kind }, true))
                    }
                    Some(Verdict::Moving) => None,
                    _ => Some((self.install(host, begins), false)),
                },
                (Standing::Fresh, true) => Some((self.create(host, begins), false)),
                _ => None,
            };
            match (change, why) {
                (Some((change, true)), _) | (Some((change, false)), None) => self.push(change),
                (Some((change, false)), Some(why)) => self.push(later(change, why)),
                (None, _) => {}
            }
        }
        self.busy = Some("control plane".to_owned());
    }

    /// There is a cluster, and no server answers for it: nothing is done but to bring servers up.
    fn without_a_view(&mut self) {
        let scene = self.scene;
        let with_data = scene.servers.iter().filter(|host| host.has_run()).count();
        let unseen = scene.servers.iter().filter(|host| host.standing == Standing::Unseen).count();
        let known = with_data + unseen;
        let (mut running, mut moving) = (0, false);
        for host in &scene.servers {
            if !host.has_run() || host.standing != Standing::Ours {
                self.wait_for_control_plane(host);
                continue;
            }
            let version = own_version(host).unwrap_or(self.stage.target);
            let Some(verdict) = scene.judge(host, version, false) else { continue };
            match verdict {
                Verdict::Done => running += 1,
                Verdict::Moving => moving = true,
                Verdict::Quiet(differences) if is_up(host) => {
                    running += 1;
                    self.push(scene.work(host, ("prepare", Deed::Bring), (version, differences)));
                }
                Verdict::Quiet(differences) => {
                    moving = true;
                    self.push(scene.work(host, ("mend", Deed::Bring), (version, differences)));
                }
                // With what it read at its start it does not come up: what was declared since may be the cure.
                Verdict::Held(cause, differences) => {
                    let turn = Turn {
                        cause,
                        version,
                        from: Some(version),
                        upgrade: None,
                        begun: known == 1,
                    };
                    let change = scene.turn((Resource::Cluster, host), turn, differences);
                    running += 1;
                    if known == 1 {
                        self.push(change);
                    } else {
                        self.push(later(change, "quorum: no server answers"));
                    }
                }
                Verdict::Refused(kind) => self.refuse(host, kind),
            }
        }
        if known > 1 && !moving && running < majority(known) {
            self.push(Change {
                resource: Resource::Cluster,
                kind: ChangeKind::Refused {
                    field: "spec.k3s.servers".to_owned(),
                    declared: format!("{} servers", scene.cluster.servers.len()),
                    found: format!("{running} running, {unseen} not to be seen"),
                    why: format!(
                        "quorum is lost: no server answers, and {} of {known} are needed; bring the others back, or see {RECOVERY}",
                        majority(known)
                    ),
                },
            });
        }
        self.busy = Some("control plane".to_owned());
    }

    fn wait_for_control_plane(&mut self, host: &Host) {
        let change = match (host.standing, host.is_declared()) {
            (Standing::Fresh, true) => self.create(host, false),
            (Standing::Ours, true) => self.install(host, false),
            (Standing::Ours, false) => delete(host),
            _ => return,
        };
        self.push(later(change, "control plane"));
    }

    /// A server answers for the cluster.
    fn in_order(&mut self) {
        if let Some(kind) = self.scene.strangers() {
            self.push(Change { resource: Resource::Cluster, kind });
        }
        self.quiet();
        self.begun();
        self.dead_leave();
        let turned = self.files_first();
        self.joins();
        self.healthy_leave();
        if !turned {
            self.turns();
        }
    }

    /// Who joins must find the others as declared: K3s compares settings, and its certificates name the endpoint. So files
    /// come before those that join, where quorum allows that now; whether it was so. When nobody joins, files wait for those
    /// that go: a turn may wait for a window, and no window governs a removal.
    fn files_first(&mut self) -> bool {
        let joining = |host: &Host| host.is_declared() && host.standing == Standing::Fresh;
        if !self.scene.servers.iter().any(joining) {
            return false;
        }
        let due = self.due();
        let files = |differences: &[Difference]| {
            differences.iter().any(|difference| difference.field.contains(".files["))
        };
        let Some((host, _, _)) = due.iter().find(|(_, _, differences)| files(differences)) else {
            return false;
        };
        if self.busy.is_some() || self.scene.cannot_spare(host).is_some() {
            return false;
        }
        self.turns();
        true
    }

    /// Servers whose turn is to come.
    fn due(&self) -> Vec<(Host, Cause, Vec<Difference>)> {
        let waiting = self.ours().filter(|host| self.scene.is_member(host) && !is_in_turn(host));
        let due = waiting.filter_map(|host| match self.verdict(host) {
            Some(Verdict::Held(cause, differences)) => Some((host.clone(), cause, differences)),
            _ => None,
        });
        due.collect()
    }

    /// What a server is brought to: the stage once it is wholly in the cluster.
    fn version_for(&self, host: &Host) -> K3sVersion {
        if self.scene.is_member(host) { self.stage.target } else { self.first_version() }
    }

    fn verdict(&self, host: &Host) -> Option<Verdict> {
        self.scene.judge(host, self.version_for(host), false)
    }

    /// The declared servers that are ours.
    fn ours(&self) -> impl Iterator<Item = &'_ Host> + use<'_> {
        let all = self.scene.servers.iter();
        all.filter(|host| host.is_declared() && host.standing == Standing::Ours)
    }

    /// Repairs, files that may be written at any time, and pods that may come back.
    fn quiet(&mut self) {
        let scene = self.scene;
        for host in &scene.servers {
            if !host.is_declared() || host.standing != Standing::Ours {
                continue;
            }
            let version = self.version_for(host);
            match self.verdict(host) {
                Some(Verdict::Refused(kind)) => self.refuse(host, kind),
                Some(Verdict::Quiet(differences)) if scene.is_member(host) => {
                    let what = if is_up(host) { "prepare" } else { "mend" };
                    if what == "mend" {
                        self.busy.get_or_insert_with(|| named(host));
                    }
                    self.push(scene.work(host, (what, Deed::Bring), (version, differences)));
                }
                Some(Verdict::Done) if is_in_turn(host) && scene.is_well(host) => {
                    self.busy.get_or_insert_with(|| named(host));
                    let differences = one(host.field(), "takes pods", "cordoned by us");
                    self.push(scene.work(host, ("uncordon", Deed::Open), (version, differences)));
                }
                _ => {}
            }
        }
    }

    /// What has begun goes on before anything else begins.
    fn begun(&mut self) {
        let scene = self.scene;
        for host in &scene.servers {
            if host.standing != Standing::Ours || !host.is_declared() {
                continue;
            }
            let verdict = self.verdict(host);
            if !scene.is_member(host) {
                if !host.has_run()
                    && let Some(kind) = scene.cannot_join(host)
                {
                    self.pending.get_or_insert_with(|| named(host));
                    self.refuse(host, kind);
                    continue;
                }
                let unfinished = !matches!(verdict, Some(Verdict::Refused(_)));
                let moves = matches!(verdict, Some(Verdict::Moving));
                let waits = matches!(verdict, Some(Verdict::Done));
                if moves || waits {
                    self.busy.get_or_insert_with(|| format!("{} to join", named(host)));
                } else if unfinished {
                    let change = self.install(host, false);
                    self.or_later(host, change);
                }
                continue;
            }
            match verdict {
                Some(Verdict::Held(cause, differences)) if is_in_turn(host) => {
                    let change = self.turn_of(host, cause, (differences, true));
                    self.or_later(host, change);
                }
                Some(Verdict::Moving) => {
                    self.busy.get_or_insert_with(|| named(host));
                }
                _ => {}
            }
        }
    }

    fn turn_of(
        &self,
        host: &Host,
        cause: Cause,
        (differences, begun): (Vec<Difference>, bool),
    ) -> Change {
        let turn = Turn {
            cause,
            version: self.stage.target,
            from: own_version(host),
            upgrade: self.stage.upgrade,
            begun,
        };
        self.scene.turn((Resource::Cluster, host), turn, differences)
    }

    /// Those that do not answer and are no longer declared go before others join: a member that is away counts against every
    /// vote.
    fn dead_leave(&mut self) {
        for host in self.leaving().filter(|host| !host.is_ready()).cloned().collect::<Vec<_>>() {
            self.leave(&host);
        }
    }

    /// Others go when all that shall take their place are there.
    fn healthy_leave(&mut self) {
        let scene = self.scene;
        let declared = scene.servers.iter().filter(|host| host.is_declared());
        let missing = declared.filter(|host| !scene.is_well(host)).map(named).next();
        for host in self.leaving().filter(|host| host.is_ready()).cloned().collect::<Vec<_>>() {
            match (&missing, self.busy.is_some()) {
                (Some(missing), false) => self.push(later(delete(&host), missing.clone())),
                _ => self.leave(&host),
            }
        }
    }

    fn leaving(&self) -> impl Iterator<Item = &'_ Host> + use<'_> {
        let all = self.scene.servers.iter().filter(|host| !host.is_declared());
        all.filter(|host| matches!(host.standing, Standing::Ours | Standing::GivenUp))
    }

    fn leave(&mut self, host: &Host) {
        if let Some(why) = self.scene.holds_another(host) {
            let why = format!("{why}, which would end with it; {KEPT}");
            return self.refuse(host, refused(host, "absent", "a server with data", &why));
        }
        if let Some(why) = self.scene.cannot_leave(host) {
            return self.refuse(host, refused(host, "absent", "a server", &why));
        }
        let change = match &host.node {
            Some(node) if node.ready && !is_drained(node, REMOVE) => {
                let differences = one(host.field(), "absent", "pods on its node");
                let version = own_version(host).unwrap_or(self.stage.target);
                self.scene.work(host, ("drain", Deed::Empty), (version, differences))
            }
            _ => delete(host),
        };
        self.or_later(host, change);
    }

    /// One joins at a time, and only when all that are there are well.
    fn joins(&mut self) {
        let scene = self.scene;
        for host in &scene.servers {
            if !host.is_declared() || host.standing != Standing::Fresh {
                continue;
            }
            if let Some(kind) = scene.cannot_join(host) {
                // Agents stay where they are meanwhile: their files may name this server.
                self.pending.get_or_insert_with(|| named(host));
                self.refuse(host, kind);
                continue;
            }
            if let Some(node) = &host.node {
                let found = format!("node {} of another machine", node.name);
                let why = "a server that was made anew joins under a new name, after its old one is gone from the declaration";
                self.refuse(host, refused(host, "a server", &found, why));
                continue;
            }
            if let Some(Verdict::Refused(kind)) = scene.judge(host, self.first_version(), false) {
                self.refuse(host, kind);
                continue;
            }
            let change = self.create(host, false);
            match scene.unwell_member() {
                Some(unwell) if self.busy.is_none() => {
                    self.push(later(change, format!("server {unwell} to be well")));
                }
                _ => self.or_later(host, change),
            }
        }
    }

    /// Another version or other files: server by server.
    fn turns(&mut self) {
        let scene = self.scene;
        let due = self.due();
        // The cluster has one change at a time: that of the first; the others' differences are told with it.
        let all: Vec<Difference> = {
            let mut all: Vec<Difference> =
                due.iter().flat_map(|(_, _, differences)| differences.clone()).collect();
            all.sort();
            all.dedup();
            all
        };
        if let Some((host, cause, _)) = due.first() {
            let change = self.turn_of(host, *cause, (all, false));
            let behind = (*cause == Cause::Upgrade).then(|| self.agents_behind()).flatten();
            if let (None, Some(why)) = (&self.busy, behind) {
                // Agents must not wait for servers that wait for them.
                return self.push(later(change, why));
            }
            match (self.busy.is_some(), scene.cannot_spare(host)) {
                (false, Some(why)) => {
                    self.pending = Some("servers".to_owned());
                    self.push(later(change, why));
                }
                _ => self.or_later(host, change),
            }
            if due.len() > 1 {
                self.pending.get_or_insert_with(|| "servers".to_owned());
            }
            return;
        }
        if let Some((host, differences)) = self.preparing() {
            let why = format!("{} to be prepared", named(&host));
            let change = self.turn_of(&host, Cause::Upgrade, (differences, false));
            self.pending.get_or_insert_with(|| "servers".to_owned());
            return self.push(later(change, why));
        }
        let mut well = self.ours().filter(|host| scene.is_well(host));
        let renewing =
            well.find_map(|host| Some((host.clone(), renewal(host.facts.as_ref()?, host.seen_s)?)));
        drop(well);
        if let Some((host, file)) = renewing {
            let field = format!("{}.certificates[{file}]", host.field());
            let differences = one(field, "good for more than 80 days", "ends sooner");
            let mut change =
                scene.work(&host, ("certificates", Deed::Renew), (self.stage.target, differences));
            change.resource = Resource::Cluster;
            if let ChangeKind::Update(update) = &mut change.kind {
                update.governed = Some(fleetwright_api_types::Governed::Roll);
            }
            match (self.busy.is_some(), scene.cannot_spare(&host)) {
                (false, Some(why)) => self.push(later(change, why)),
                _ => self.or_later(&host, change),
            }
        }
    }

    /// A server that gets another version once its binary has arrived.
    fn preparing(&self) -> Option<(Host, Vec<Difference>)> {
        let behind = |host: &&Host| {
            is_up(host) && own_version(host).is_some_and(|version| version != self.stage.target)
        };
        self.ours().filter(behind).find_map(|host| match self.verdict(host) {
            Some(Verdict::Quiet(differences)) => Some((host.clone(), differences)),
            _ => None,
        })
    }

    /// Agents follow each minor before the next.
    fn agents_behind(&self) -> Option<String> {
        let upgrade = self.stage.upgrade?;
        let low = self.stage.running?;
        let all_here = self.scene.view()?.nodes.iter().filter(|node| is_server(node));
        let begun = all_here
            .filter_map(|node| K3sVersion::parse(&node.version).ok())
            .any(|version| minor(version) == upgrade.to);
        let agents = self.scene.agents.iter();
        let mut agents =
            agents.filter(|host| host.standing == Standing::Ours && host.is_declared());
        let behind = agents
            .find(|host| own_version(host).is_some_and(|version| minor(version) < minor(low)));
        behind.filter(|_| !begun).map(|host| format!("{} to follow", named(host)))
    }
}

fn delete(host: &Host) -> Change {
    Change { resource: host.resource(), kind: ChangeKind::Delete }
}

/// The release that a host runs: by its node, else by its binary.
pub(super) fn own_version(host: &Host) -> Option<K3sVersion> {
    let of_node = host.node.as_ref().and_then(|node| K3sVersion::parse(&node.version).ok());
    let facts = host.facts.as_ref();
    of_node.or_else(|| K3sVersion::parse(facts?.version.as_deref()?).ok())
}

/// Its service runs, or is about to.
pub(super) fn is_up(host: &Host) -> bool {
    let service = host.facts.as_ref().and_then(|facts| facts.service(host.role));
    service.is_some_and(|service| {
        matches!(service.state, ServiceState::Running | ServiceState::Moving)
    })
}
