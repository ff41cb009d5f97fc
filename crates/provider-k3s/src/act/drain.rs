//! Pods that leave a node and come back, with the node's own note as the only memory.

use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_provider::CloudError;
use tokio::time::Instant;

use super::{Done, Work, node_name};
use crate::body::Task;
use crate::cluster::{REMOVE, VERSION, began, drained, is_drained, since};
use crate::hosts::{Answer, Change, ClusterFacts, Drained, HostOp, Node, Stubborn};
use crate::reach::Reached;

/// The least that one drain waits, and the most.
const LEAST: Duration = Duration::from_secs(5);
const MOST: Duration = Duration::from_secs(30);

impl Work<'_> {
    /// Before another version: whether no pod is left, and whether anything was done.
    pub(super) async fn drain_for_turn(
        &self,
        task: &Task,
        deadline: Instant,
    ) -> Result<(bool, bool), CloudError> {
        let (server, view) = match self.any_server().await {
            Ok(found) => found,
            // A host that is down itself, half-way through its turn.
            Err(error) if task.cluster.servers.len() == 1 && error.code == "NotReady" => {
                return Ok((true, false));
            }
            Err(error) => return Err(error),
        };
        let Some(node) = view.nodes.iter().find(|node| node.name == task.name) else {
            return Ok((true, false));
        };
        if !node.ready || is_drained(node, VERSION) || is_alone(&view, node) {
            return Ok((true, false));
        }
        let pods = Pods { server: &server, node, what: VERSION, deadline };
        Ok((self.drain(&pods, task).await?, true))
    }

    /// Before a host leaves for good.
    pub(super) async fn empty(&self, task: &Task, name: &str) -> Result<Done, CloudError> {
        let (server, view) = self.any_server().await?;
        let Some(node) = view.nodes.iter().find(|node| node.name == task.name) else {
            return Ok(None);
        };
        if is_drained(node, REMOVE) {
            return Ok(None);
        }
        let deadline = Instant::now() + MOST;
        if is_alone(&view, node) {
            self.cordon(&server, node, &drained(REMOVE)).await?;
        } else {
            self.drain(&Pods { server: &server, node, what: REMOVE, deadline }, task).await?;
        }
        Ok(Some(name.to_owned()))
    }

    /// Asks once; whether no pod is left.
    async fn drain(&self, pods: &Pods<'_>, task: &Task) -> Result<bool, CloudError> {
        let Pods { server, node, what, deadline } = pods;
        let now_s = self.provider.now().as_second();
        // What somebody else cordoned stays theirs, but for one that leaves anyway.
        let theirs = node.unschedulable && node.in_turn.is_none() && *what != REMOVE;
        let begun_s = began(node, what).unwrap_or(now_s);
        if began(node, what).is_none() && !theirs {
            self.cordon(server, node, &since(what, now_s)).await?;
        }
        let timeout_s = i64::try_from(task.cluster.drain_timeout_s).unwrap_or(i64::MAX);
        let late = now_s.saturating_sub(begun_s) >= timeout_s;
        let stubborn = if late && task.cluster.force { Stubborn::Deleted } else { Stubborn::Kept };
        let wait = deadline.saturating_duration_since(Instant::now()).clamp(LEAST, MOST);
        let op = HostOp::Drain { node: node_name(&node.name)?, wait, stubborn };
        let answer = server.does(&op, self.owner()).await?;
        self.note(&op, &server.name);
        let Answer::Drained(Drained { done, left, blocked }) = answer else {
            return Err(crate::reach::odd(&server.name, &op));
        };
        if done {
            if !theirs {
                self.cordon(server, node, &drained(what)).await?;
            }
            return Ok(true);
        }
        if late {
            let words = format!(
                "{left} pods do not leave node {} within {timeout_s} s: {}; move them, or declare \
                 spec.k3s.update.onDrainTimeout: Force",
                node.name,
                blocked.join("; ")
            );
            return Err(CloudError::new(Class::Refused, "DrainBlocked", "k3s:Drain", words));
        }
        Ok(false)
    }

    async fn cordon(&self, server: &Reached, node: &Node, what: &str) -> Result<(), CloudError> {
        let op = HostOp::Cordon { node: node_name(&node.name)?, what: what.to_owned() };
        server.does(&op, self.owner()).await?;
        self.note(&op, &server.name);
        Ok(())
    }

    /// Lets pods come back, if it was us who kept them off.
    pub(super) async fn open(&self, name: &str) -> Result<Done, CloudError> {
        let (server, view) = self.any_server().await?;
        let ours = view.nodes.iter().any(|node| node.name == name && node.in_turn.is_some());
        if !ours {
            return Ok(None);
        }
        let op = HostOp::Uncordon { node: node_name(name)? };
        let answer = server.does(&op, self.owner()).await?;
        self.note(&op, &server.name);
        Ok((answer == Answer::Done(Change::Changed)).then(|| name.to_owned()))
    }

    /// Whether the node is ready again.
    pub(super) async fn is_back(&self, name: &str) -> Result<bool, CloudError> {
        match self.any_server().await {
            Ok((_, view)) => Ok(view.nodes.iter().any(|node| node.name == name && node.ready)),
            Err(error) if error.code == "NotReady" => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// A node whose pods are to leave, and through whom they are asked.
struct Pods<'a> {
    server: &'a Reached,
    node: &'a Node,
    what: &'static str,
    deadline: Instant,
}

/// No other node could take its pods.
fn is_alone(view: &ClusterFacts, node: &Node) -> bool {
    let mut others = view.nodes.iter().filter(|other| other.name != node.name);
    !others.any(|other| other.ready && !other.unschedulable)
}
