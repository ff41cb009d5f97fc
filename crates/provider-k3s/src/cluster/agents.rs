//! Agents: any number may join at once; as many as declared may be away for work; they follow the servers.

use fleetwright_plan::{Change, ChangeKind, Difference, Upgrade};

use super::judge::{KEPT, Verdict, named, refused, renewal};
use super::scene::{Host, Scene, Standing};
use super::servers::{Servers, is_up, own_version};
use super::stage::{Stage, minor};
use super::turn::{REMOVE, Turn, is_drained, is_in_turn, later, one};
use crate::body::Deed;
use crate::hosts::{Cause, K3sVersion};
use crate::wanted::has_data;

pub(super) fn changes(scene: &Scene<'_>, servers: &Servers) -> Vec<Change> {
    let Some(stage) = &servers.stage else { return Vec::new() };
    let present =
        || scene.agents.iter().filter(|host| host.is_declared() && host.standing == Standing::Ours);
    let away =
        present().filter(|host| scene.is_member(host) && !host.is_ready() || is_in_turn(host));
    let most = most_away(&scene.cluster.max_unavailable, present().count());
    let left = most.saturating_sub(away.count());
    let mut work = Work { scene, stage, servers, left, begun: None, changes: Vec::new() };
    for host in &scene.agents {
        match (host.is_declared(), host.standing) {
            (true, Standing::Fresh) => work.join(host),
            (true, Standing::Ours) => work.keep(host),
            (false, Standing::Ours | Standing::GivenUp) => work.leave(host),
            _ => {}
        }
    }
    work.changes
}

/// The release that lies on a host.
fn binary_version(host: &Host) -> Option<K3sVersion> {
    K3sVersion::parse(host.facts.as_ref()?.version.as_deref()?).ok()
}

/// A number, or a share of `of`; at least one, or nothing would ever be done.
fn most_away(text: &str, of: usize) -> usize {
    let number = match text.strip_suffix('%') {
        Some(share) => share.parse::<usize>().map(|share| of * share / 100),
        None => text.parse(),
    };
    number.unwrap_or(1).max(1)
}

struct Work<'a> {
    scene: &'a Scene<'a>,
    stage: &'a Stage,
    servers: &'a Servers,
    /// How many more may be disturbed now.
    left: usize,
    /// Who was, last.
    begun: Option<String>,
    changes: Vec<Change>,
}

impl Work<'_> {
    fn answers(&self) -> bool {
        self.scene.view().is_some()
    }

    /// What all servers run.
    fn version(&self) -> K3sVersion {
        self.stage.running.unwrap_or(self.stage.target)
    }

    /// Now, or when there is a control plane to join.
    fn push(&mut self, change: Change) {
        let change = if self.answers() { change } else { later(change, "control plane") };
        self.changes.push(change);
    }

    /// Now, if one more may be disturbed and no server comes before it.
    fn in_turn(&mut self, host: &Host, change: Change) {
        self.behind(self.servers.pending.clone(), host, change);
    }

    /// The same for one that goes for good: no window governs that, so it waits for a server whose turn has begun, but for none
    /// whose turn may be held up by a window.
    fn leave_in_turn(&mut self, host: &Host, change: Change) {
        let begun = self.scene.servers.iter().find(|server| is_in_turn(server)).map(named);
        self.behind(begun, host, change);
    }

    fn behind(&mut self, server: Option<String>, host: &Host, change: Change) {
        let why = match (server, self.left) {
            (Some(server), _) => Some(server),
            (None, 0) => Some(self.begun.clone().unwrap_or_else(|| "another agent".to_owned())),
            (None, _) => None,
        };
        match why {
            Some(why) => self.push(later(change, why)),
            None => {
                self.left -= 1;
                self.begun = Some(named(host));
                self.push(change);
            }
        }
    }

    fn join(&mut self, host: &Host) {
        let version = self.version();
        if let Some(Verdict::Refused(kind)) = self.scene.judge(host, version, false) {
            self.changes.push(Change { resource: host.resource(), kind });
            return;
        }
        let mut task = self.scene.task(host, Deed::Bring, version);
        if let Some(node) = &host.node {
            if node.ready {
                let why = "its node runs on another machine; take that out first, or give the address of that one";
                let kind = refused(host, "an agent here", "a node of that name", why);
                self.changes.push(Change { resource: host.resource(), kind });
                return;
            }
            task.replaces_node = true;
        }
        let kind = ChangeKind::Create { body: task.json(), replaces: None };
        self.push(Change { resource: host.resource(), kind });
    }

    fn keep(&mut self, host: &Host) {
        let scene = self.scene;
        let version = match (scene.is_member(host), &self.servers.pending) {
            // Servers first: until they are through, it stays at the binary it has; its node may tell of an older one still.
            (true, Some(_)) => binary_version(host).unwrap_or_else(|| self.version()),
            _ => self.version(),
        };
        let Some(verdict) = scene.judge(host, version, false) else { return };
        let joined = !self.answers() || scene.is_member(host);
        match verdict {
            Verdict::Refused(kind) => {
                self.changes.push(Change { resource: host.resource(), kind });
            }
            Verdict::Quiet(_) if !joined => {
                let differences = one(host.field(), "in the cluster", "not yet");
                let work = ("install", Deed::Bring);
                self.push(scene.work(host, work, (version, differences)));
            }
            Verdict::Quiet(differences) => {
                let what = if is_up(host) { "prepare" } else { "mend" };
                let behind = own_version(host).is_some_and(|own| own != version);
                let work = (version, differences.clone());
                let change = scene.work(host, (what, Deed::Bring), work);
                if host.has_run() {
                    self.changes.push(change)
                } else {
                    self.push(change)
                }
                if behind && is_up(host) {
                    let turn = self.turn(host, Cause::Upgrade, (version, differences));
                    self.changes.push(later(turn, format!("{} to be prepared", named(host))));
                }
            }
            Verdict::Held(cause, differences) => {
                let change = self.turn(host, cause, (version, differences));
                if is_in_turn(host) { self.push(change) } else { self.in_turn(host, change) }
            }
            Verdict::Done if is_in_turn(host) && host.is_ready() => {
                let differences = one(host.field(), "takes pods", "cordoned by us");
                let work = ("uncordon", Deed::Open);
                self.push(scene.work(host, work, (version, differences)));
            }
            Verdict::Done => self.renew(host, version),
            Verdict::Moving => {}
        }
    }

    fn turn(
        &self,
        host: &Host,
        cause: Cause,
        (version, differences): (K3sVersion, Vec<Difference>),
    ) -> Change {
        let from = own_version(host);
        let upgrade = from.map(|from| Upgrade {
            from: minor(from),
            to: minor(version),
            target: self.scene.desired.version,
        });
        let turn = Turn { cause, version, from, upgrade, begun: is_in_turn(host) };
        self.scene.turn((host.resource(), host), turn, differences)
    }

    fn renew(&mut self, host: &Host, version: K3sVersion) {
        let facts = host.facts.as_ref().filter(|_| self.scene.is_well(host));
        let Some(file) = facts.and_then(|facts| renewal(facts, host.seen_s)) else { return };
        let field = format!("{}.certificates[{file}]", host.field());
        let differences = one(field, "good for more than 80 days", "ends sooner");
        let mut change =
            self.scene.work(host, ("certificates", Deed::Renew), (version, differences));
        if let ChangeKind::Update(update) = &mut change.kind {
            update.governed = Some(fleetwright_api_types::Governed::Roll);
        }
        self.in_turn(host, change);
    }

    fn leave(&mut self, host: &Host) {
        if host.facts.as_ref().is_some_and(has_data) {
            let why = format!("it was a server, and the cluster's data may lie there only; {KEPT}");
            let kind = refused(host, "absent", "a server's data", &why);
            return self.changes.push(Change { resource: host.resource(), kind });
        }
        let delete = Change { resource: host.resource(), kind: ChangeKind::Delete };
        match &host.node {
            Some(node) if node.ready && !is_drained(node, REMOVE) => {
                let differences = one(host.field(), "absent", "pods on its node");
                let version = self.version();
                let work = ("drain", Deed::Empty);
                let change = self.scene.work(host, work, (version, differences));
                if is_in_turn(host) { self.push(change) } else { self.leave_in_turn(host, change) }
            }
            _ => self.push(delete),
        }
    }
}
