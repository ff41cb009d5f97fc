//! The Kubernetes clusters behind the EKS clusters: how they come and go.

mod nodes;
mod outside;
mod tokens;

use std::sync::Arc;

use fleetwright_apiserver::{ApiServer, ClusterSpec, LogicalCluster, Scheme};
use fleetwright_clock::Clock;

use self::tokens::EksTokens;
use crate::SettleError;
use crate::state::{Cluster, ClusterKey, Ledger};

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

    pub(crate) fn find(&self, key: &ClusterKey) -> Option<LogicalCluster> {
        self.api.cluster(&key.member_id())
    }

    /// Lets the member appear, or show the version that the cluster has now.
    pub(crate) async fn attach(&self, cluster: &Cluster) -> Result<(), SettleError> {
        let member = cluster.key.member_id();
        let spec = ClusterSpec {
            name: member.clone(),
            scheme: Arc::clone(&self.scheme),
            authenticator: Arc::new(EksTokens {
                key: cluster.key.clone(),
                ledger: self.ledger.clone(),
                clock: Arc::clone(&self.clock),
            }),
            version: format!("v{}.1-eks-sim", cluster.version),
        };
        match self.api.add_cluster(spec).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    pub(crate) async fn detach(&self, key: &ClusterKey) -> Result<(), SettleError> {
        let member = key.member_id();
        match self.api.remove_cluster(&member).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::Member { member, source }),
        }
    }

    fn attached(&self, key: &ClusterKey) -> Result<LogicalCluster, SettleError> {
        self.find(key).ok_or_else(|| SettleError::Detached(key.member_id()))
    }
}
