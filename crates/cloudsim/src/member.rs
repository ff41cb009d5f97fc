//! The Kubernetes clusters behind the clusters of the clouds: how they come and go.

mod nodes;
mod outside;
mod tokens;

use std::sync::Arc;

use fleetwright_apiserver::{ApiServer, Authenticator, ClusterSpec, LogicalCluster, Scheme};
use fleetwright_clock::Clock;

pub(crate) use self::nodes::{Machine, Machines, Wear};
pub(crate) use self::outside::Surroundings;

use crate::SettleError;
use crate::state::Ledger;

/// A cluster of a cloud that has a Kubernetes API.
pub(crate) trait Hosted {
    /// The name of its logical cluster.
    fn member_id(&self) -> String;
    /// As its `/version` says.
    fn shown_version(&self) -> String;
    /// Who lets callers in.
    fn authenticator(&self, ledger: Ledger, clock: Arc<dyn Clock>) -> Arc<dyn Authenticator>;
}

#[derive(Debug)]
pub(crate) struct Members {
    api: ApiServer,
    clock: Arc<dyn Clock>,
    scheme: Arc<Scheme>,
    ledger: Ledger,
}

impl Members {
    pub(crate) fn new(
        api: ApiServer,
        clock: Arc<dyn Clock>,
        scheme: Arc<Scheme>,
        ledger: Ledger,
    ) -> Self {
        Self { api, clock, scheme, ledger }
    }

    pub(crate) fn find(&self, member: &str) -> Option<LogicalCluster> {
        self.api.cluster(member)
    }

    /// Lets the member appear, or show the version that the cluster has now.
    pub(crate) async fn attach(&self, cluster: &impl Hosted) -> Result<(), SettleError> {
        let member = cluster.member_id();
        let spec = ClusterSpec {
            name: member.clone(),
            scheme: Arc::clone(&self.scheme),
            authenticator: cluster.authenticator(self.ledger.clone(), Arc::clone(&self.clock)),
            version: cluster.shown_version(),
        };
        match self.api.add_cluster(spec).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    pub(crate) async fn detach(&self, member: String) -> Result<(), SettleError> {
        match self.api.remove_cluster(&member).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    fn attached(&self, member: &str) -> Result<LogicalCluster, SettleError> {
        self.find(member).ok_or_else(|| SettleError::Detached(member.to_owned()))
    }
}
