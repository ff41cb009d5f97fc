//! Reaching hosts and asking them, within a time; what goes wrong as the loop's own error.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_provider::{Access, CloudError};
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use tokio::time::timeout;

use crate::hosts::{
    Answer, ClusterFacts, HostFacts, HostOp, HostWire, Marker, OpError, ServiceState, perform,
};
use crate::site::{Site, SiteHost};
use crate::ssh::{Hosts, SshError};
use crate::way::Ways;

/// How long one host may take to be reached and to tell of itself.
const LOOK: Duration = Duration::from_secs(20);
/// How long a server may take to tell of its cluster.
const CLUSTER: Duration = Duration::from_secs(30);

/// How many hosts are worked on at once.
pub(crate) const AT_ONCE: usize = 16;

/// Does several jobs side by side, some at once; what they give, in their order.
pub(crate) async fn side_by_side<T: Send>(jobs: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    futures::stream::iter(jobs).buffered(AT_ONCE).collect().await
}

/// How long a server is waited for before the next is asked as well.
const HEAD_START: Duration = Duration::from_secs(2);

/// Asks one after the other, each a little after the one before or as soon as that has failed; what the first gives that has
/// something. `None` when none has; an error when none has and one failed.
pub(crate) async fn first_of<T: Send>(
    jobs: Vec<BoxFuture<'_, Result<Option<T>, CloudError>>>,
) -> Result<Option<T>, CloudError> {
    let mut waiting = jobs.into_iter();
    let mut asked = FuturesUnordered::new();
    let mut last = None;
    loop {
        asked.extend(waiting.next());
        let answer = if waiting.len() == 0 {
            asked.next().await
        } else {
            match timeout(HEAD_START, asked.next()).await {
                Ok(answer) => answer,
                Err(_elapsed) => continue,
            }
        };
        match answer {
            Some(Ok(Some(found))) => return Ok(Some(found)),
            Some(Ok(None)) => {}
            Some(Err(error)) => last = Some(error),
            None => return last.map_or(Ok(None), Err),
        }
    }
}

/// A host that answers.
#[derive(Clone)]
pub(crate) struct Reached {
    pub(crate) wire: Arc<dyn HostWire>,
    pub(crate) name: String,
}

/// All hosts of one cluster, and how to get there.
#[derive(Debug, Clone)]
pub(crate) struct Reach<'a> {
    hosts: &'a dyn Hosts,
    ways: Ways,
    pub(crate) site: Site,
}

impl<'a> Reach<'a> {
    pub(crate) fn new(
        hosts: &'a dyn Hosts,
        access: &Access,
        site: Site,
    ) -> Result<Self, CloudError> {
        Ok(Self { hosts, ways: Ways::of(access, &site)?, site })
    }

    pub(crate) fn ways(&self) -> &Ways {
        &self.ways
    }

    pub(crate) async fn to(&self, host: &SiteHost) -> Result<Reached, CloudError> {
        let way = self.ways.to(host)?;
        let wire = match timeout(LOOK, self.hosts.reach(&way)).await {
            Ok(reached) => reached.map_err(|error| unreachable(&host.name, &error))?,
            Err(_elapsed) => return Err(silent(&host.name, LOOK)),
        };
        Ok(Reached { wire, name: host.name.clone() })
    }

    /// A stream to the API on this host.
    pub(crate) async fn dial(
        &self,
        host: &SiteHost,
        port: u16,
    ) -> Result<Box<dyn fleetwright_provider::MemberStream>, CloudError> {
        let way = self.ways.to(host)?;
        match timeout(LOOK, self.hosts.dial(&way, "127.0.0.1", port)).await {
            Ok(stream) => stream.map_err(|error| unreachable(&host.name, &error)),
            Err(_elapsed) => Err(silent(&host.name, LOOK)),
        }
    }

    /// Reaches a host and looks at it.
    pub(crate) async fn look(&self, host: &SiteHost) -> Result<(Reached, HostFacts), CloudError> {
        let reached = self.to(host).await?;
        let facts = reached.facts().await?;
        Ok((reached, facts))
    }
}

/// Whoever asks: looking needs no owner.
fn nobody() -> Option<Owner> {
    Some(Owner {
        hub: HubId::new("0").ok()?,
        object: ObjectKey::cluster_scoped("nobody"),
        uid: Uid::new("0").ok()?,
    })
}

impl Reached {
    pub(crate) async fn facts(&self) -> Result<HostFacts, CloudError> {
        let Some(owner) = nobody() else {
            return Err(CloudError::new(Class::Bug, "NoOwner", "k3s:ReadFacts", "no owner"));
        };
        let asked = timeout(LOOK, perform(self.wire.as_ref(), &HostOp::ReadFacts, &owner)).await;
        let answer = asked.map_err(|_elapsed| silent(&self.name, LOOK))?;
        match answer.map_err(|error| failed(&self.name, &HostOp::ReadFacts, &error))? {
            Answer::Facts(facts) => Ok(*facts),
            _ => Err(odd(&self.name, &HostOp::ReadFacts)),
        }
    }

    /// What this server says of its cluster; `None` while it is not ready.
    pub(crate) async fn cluster(&self, owner: &Owner) -> Result<Option<ClusterFacts>, CloudError> {
        let op = HostOp::ReadCluster;
        let asked = timeout(CLUSTER, perform(self.wire.as_ref(), &op, owner)).await;
        let answer = asked.map_err(|_elapsed| silent(&self.name, CLUSTER))?;
        match answer.map_err(|error| failed(&self.name, &op, &error))? {
            Answer::Cluster(facts) => Ok(facts.ready.then_some(*facts)),
            _ => Err(odd(&self.name, &op)),
        }
    }

    /// One deed for its owner, to its end.
    pub(crate) async fn does(&self, op: &HostOp, owner: &Owner) -> Result<Answer, CloudError> {
        let answer = perform(self.wire.as_ref(), op, owner).await;
        answer.map_err(|error| failed(&self.name, op, &error))
    }
}

/// Whether its K3s runs as a server.
pub(crate) fn serves(facts: &HostFacts) -> bool {
    let service = facts.service(crate::hosts::Role::Server);
    service.is_some_and(|service| service.state == ServiceState::Running)
}

/// Whose it is, if it is anybody's that we understand.
pub(crate) fn owner_of(facts: &HostFacts) -> Option<&Owner> {
    match &facts.marker {
        Some(Marker::Owned(owner)) => Some(owner),
        Some(Marker::Released(_) | Marker::Unreadable(_)) | None => None,
    }
}

fn silent(host: &str, after: Duration) -> CloudError {
    let words = format!("{host} did not answer in {} s", after.as_secs());
    CloudError::new(Class::Transient, "Unreachable", "k3s:Reach", words)
}

fn unreachable(host: &str, error: &SshError) -> CloudError {
    let mut words = format!("{host}: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        words.push_str(&format!(": {inner}"));
        source = inner.source();
    }
    let code = match error.class() {
        Class::Refused => "Unauthorized",
        _ => "Unreachable",
    };
    CloudError::new(error.class(), code, "k3s:Reach", words)
}

/// A deed that was not done, or not seen to be done.
pub(crate) fn failed(host: &str, op: &HostOp, error: &OpError) -> CloudError {
    let code = match error {
        OpError::NotOurs { .. } => "NotOurs",
        OpError::NotRoot { .. } => "Unauthorized",
        OpError::Wire { .. } => "Unreachable",
        _ => "DeedFailed",
    };
    CloudError::new(error.class(), code, format!("k3s:{}", op.word()), format!("{host}: {error}"))
}

pub(crate) fn odd(host: &str, op: &HostOp) -> CloudError {
    let words = format!("{host} answered something else than was asked; report it");
    CloudError::new(Class::Bug, "UnexpectedAnswer", format!("k3s:{}", op.word()), words)
}
