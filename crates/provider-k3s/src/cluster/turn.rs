//! One host's turn, as a change that `plan` understands.

use fleetwright_api_types::Governed;
use fleetwright_plan::{Change, ChangeKind, Difference, Resource, Update, Upgrade};

use super::scene::{Host, Scene};
use super::stage::minor;
use crate::body::Deed;
use crate::hosts::{Cause, K3sVersion, Node};

/// What the note on a cordoned node begins with while it gets another version.
pub(crate) const VERSION: &str = "version";
/// … while it leaves for good.
pub(crate) const REMOVE: &str = "remove";
/// The end of such a note once no pod is left.
const DRAINED: &str = "drained";

/// The note of a drain that began then.
pub(crate) fn since(what: &str, epoch_s: i64) -> String {
    format!("{what} since {epoch_s}")
}

/// The note of a drain that is over.
pub(crate) fn drained(what: &str) -> String {
    format!("{what} {DRAINED}")
}

/// When the drain of `what` began, by the node's note.
pub(crate) fn began(node: &Node, what: &str) -> Option<i64> {
    let note = node.in_turn.as_deref()?.strip_prefix(what)?;
    note.strip_prefix(" since ")?.parse().ok()
}

/// Whether no pod is left on the node, for `what`.
pub(crate) fn is_drained(node: &Node, what: &str) -> bool {
    node.unschedulable && node.in_turn.as_deref() == Some(drained(what).as_str())
}

/// We cordoned it.
pub(super) fn is_in_turn(host: &Host) -> bool {
    host.node.as_ref().is_some_and(|node| node.in_turn.is_some() && node.unschedulable)
}

/// What a turn is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Turn {
    pub(super) cause: Cause,
    /// What the host is brought to.
    pub(super) version: K3sVersion,
    /// What it runs.
    pub(super) from: Option<K3sVersion>,
    /// The walk, for another minor.
    pub(super) upgrade: Option<Upgrade>,
    /// It has begun: no window holds it up half-way.
    pub(super) begun: bool,
}

impl Scene<'_> {
    /// The turn of `host`, told as a change of `resource`.
    pub(super) fn turn(
        &self,
        (resource, host): (Resource, &Host),
        turn: Turn,
        differences: Vec<Difference>,
    ) -> Change {
        let Turn { cause, version, from, upgrade, begun } = turn;
        let further = from.is_some_and(|from| minor(from) < minor(version));
        let (what, deed, work) = match cause {
            Cause::Upgrade if further => ("version", Deed::Turn, Governed::Upgrade),
            Cause::Upgrade => ("release", Deed::Turn, Governed::Upgrade),
            Cause::Restart => ("config", Deed::Restart, Governed::Roll),
        };
        let task = self.task(host, deed, version);
        let kind = ChangeKind::Update(Update {
            what: what.to_owned(),
            differences,
            body: task.json(),
            governed: (!begun).then_some(work),
            upgrade: upgrade.filter(|_| further && !begun),
        });
        Change { resource, kind }
    }

    /// Work on `host` that needs no window.
    pub(super) fn work(
        &self,
        host: &Host,
        (what, deed): (&str, Deed),
        (version, differences): (K3sVersion, Vec<Difference>),
    ) -> Change {
        let kind = ChangeKind::Update(Update {
            what: what.to_owned(),
            differences,
            body: self.task(host, deed, version).json(),
            governed: None,
            upgrade: None,
        });
        Change { resource: host.resource(), kind }
    }
}

/// The change, once what it waits for is over.
pub(super) fn later(change: Change, why: impl Into<String>) -> Change {
    let Change { resource, kind } = change;
    Change { resource, kind: ChangeKind::Later { then: Box::new(kind), why: why.into() } }
}

/// One difference that says it all.
pub(super) fn one(field: String, declared: &str, found: &str) -> Vec<Difference> {
    vec![Difference { field, declared: declared.to_owned(), found: found.to_owned() }]
}
