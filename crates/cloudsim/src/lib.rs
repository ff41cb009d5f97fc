//! Clouds, emulated on the wire: the real cloud SDKs and real `kubectl` talk to it and see no difference.
//!
//! Today that is Amazon EKS: clusters, node groups and tags over signed REST-JSON, and behind every active cluster a
//! Kubernetes API (a logical cluster of the embedded API server) with one Node object per machine, which only lets in
//! callers with a valid EKS token for exactly that cluster.
//!
//! Guarantees:
//! - every signature is verified, by code that shares nothing with the SDKs' signers;
//! - what an answer says is stored before the answer leaves, and survives a restart;
//! - all is deterministic: time comes from `Clock`, chance from `Ids`, nothing runs in the background. What takes time
//!   in a cloud happens when somebody looks at a moment at which it is due.
//!
//! Deliberately not here: containers, networks, other AWS services (roles and subnets are believed), quotas other than
//! the size of a node group. A field or an operation of EKS that is not simulated is refused by name, never ignored.
//!
//! Start reading at [`CloudSim`], then `eks.rs` for the way of a request and `state.rs` for what is remembered.

mod eks;
mod member;
mod settle;
mod sigv4;
mod state;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{
    ApiError, ApiServer, ClusterError, ClusterSpec, LogicalCluster, MountedService, Scheme,
    StaticTokens,
};
use fleetwright_clock::{Clock, Ids};
use http::Request;
use jiff::Timestamp;
use tower::util::BoxCloneSyncService;

use crate::member::Members;
use crate::state::{ClusterKey, Ledger};

/// The one account of the simulated cloud.
pub const ACCOUNT_ID: &str = "111122223333";
/// The only access key it knows.
pub const ACCESS_KEY_ID: &str = "AKIASIMULATED0000000";
/// The secret that belongs to it. It opens nothing but simulations.
pub const SECRET_ACCESS_KEY: &str = "simulated/not/a/secret/simulated/secret0";
/// Where the EKS service is mounted beside a Kubernetes API. Signatures cover it, routing ignores it.
pub const MOUNT_PATH: &str = "/cloud/aws";

/// The logical cluster that remembers what the cloud holds.
const STATE_CLUSTER: &str = "simulated-aws";

/// How long the slow things take. Each time is taken 20 % shorter to 20 % longer, by `Ids::jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// From `CreateCluster` to `ACTIVE`.
    pub cluster_create: Duration,
    /// From `DeleteCluster` until it is gone.
    pub cluster_delete: Duration,
    /// From `CreateNodegroup` to `ACTIVE`.
    pub pool_create: Duration,
    /// From `DeleteNodegroup` until it is gone.
    pub pool_delete: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            cluster_create: Duration::from_secs(6),
            cluster_delete: Duration::from_secs(4),
            pool_create: Duration::from_secs(3),
            pool_delete: Duration::from_secs(3),
        }
    }
}

/// What a simulated cloud is told about its surroundings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long things take.
    pub latencies: Latencies,
    /// Where the API server is reached, for example `https://127.0.0.1:6443`; members are at
    /// `{public_url}/clusters/<id>`.
    pub public_url: String,
    /// The certificate authority of that address, as PEM; handed out as the members' own.
    pub ca_pem: String,
}

/// The simulated cloud cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The logical cluster with the cloud's memory could not be attached.
    #[error("the simulated cloud's own records cannot be opened")]
    Records(#[source] ClusterError),
    /// What was remembered cannot be brought up to date.
    #[error("the simulated cloud cannot continue where it stopped")]
    Settle(#[source] SettleError),
}

/// A transition that was due could not be made; it stays due.
#[derive(Debug, thiserror::Error)]
pub enum SettleError {
    /// A stored record cannot be read.
    #[error("the record {record} of the simulated cloud is damaged: {detail}")]
    Damaged {
        /// Its ConfigMap.
        record: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A record could not be written or removed.
    #[error("the record {record} of the simulated cloud cannot be stored")]
    NotStored {
        /// Its ConfigMap.
        record: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// A member's logical cluster could not be added or removed.
    #[error("the simulated cluster {member} can neither come nor go")]
    Member {
        /// The logical cluster.
        member: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
    /// The nodes of a group could not be written.
    #[error("the nodes of {member} cannot be stored")]
    Nodes {
        /// The logical cluster.
        member: String,
        /// Why.
        #[source]
        source: ApiError,
    },
    /// A cluster that is active has no logical cluster: the API server runs without it.
    #[error("the simulated cluster {0} is not attached; restart")]
    Detached(String),
}

/// An EKS cluster, as the simulator's invariants see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimCluster {
    /// For example `eu-central-1`.
    pub region: String,
    /// Its name, unique in its region.
    pub name: String,
    /// As EKS writes it: `CREATING`, `ACTIVE`, `DELETING`.
    pub status: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
    /// When `CreateCluster` was called.
    pub created_at: Timestamp,
    /// Its node groups, by name.
    pub nodegroups: Vec<SimNodegroup>,
}

/// A node group of a [`SimCluster`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimNodegroup {
    /// Its name, unique in its cluster.
    pub name: String,
    /// As EKS writes it: `CREATING`, `ACTIVE`, `DELETING`, `CREATE_FAILED`.
    pub status: String,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// The simulated cloud. Clones are handles to the same one.
#[derive(Clone)]
pub struct CloudSim(Arc<Shared>);

pub(crate) struct Shared {
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    settings: Settings,
    ledger: Ledger,
    members: Members,
    calls: Mutex<BTreeMap<String, u64>>,
    /// One operation at a time: each reads a record, decides and writes it. Nothing is kept in memory in between, so
    /// an operation that its caller abandons half way leaves only what is stored.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for CloudSim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudSim")
            .field("public_url", &self.0.settings.public_url)
            .finish_non_exhaustive()
    }
}

impl CloudSim {
    /// Continues with what `api` remembers of an earlier life, or starts empty. Members of clusters that exist are
    /// attached to `api` before this returns.
    ///
    /// # Errors
    /// When the records cannot be read or the store takes no writes.
    pub async fn open(
        api: ApiServer,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let scheme = Arc::new(Scheme::builtin());
        let spec = ClusterSpec {
            name: STATE_CLUSTER.to_owned(),
            scheme: Arc::clone(&scheme),
            // Nobody: the cloud's memory is read and written in process only.
            authenticator: Arc::new(StaticTokens::new()),
            version: "v1.33.0-simulated".to_owned(),
        };
        let records = api.add_cluster(spec).await.map_err(OpenError::Records)?;
        let sim = Self(Arc::new(Shared {
            members: Members::new(api, Arc::clone(&clock), scheme),
            ledger: Ledger::new(records),
            clock,
            ids,
            settings,
            calls: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }));
        for cluster in sim.0.ledger.all().await.map_err(OpenError::Settle)? {
            if cluster.has_member() {
                sim.0.members.attach(&cluster).await.map_err(OpenError::Settle)?;
            }
        }
        sim.settle().await.map_err(OpenError::Settle)?;
        Ok(sim)
    }

    /// The EKS endpoint of every region; the region is the one of the request's signature. Accepts paths with and
    /// without [`MOUNT_PATH`] before them.
    #[must_use]
    pub fn eks(&self) -> MountedService {
        let shared = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let shared = Arc::clone(&shared);
            async move { Ok(shared.answer(request).await) }
        }))
    }

    /// Makes every transition that is due. Requests do this for what they touch; call it when nobody asks but time
    /// should still pass.
    ///
    /// # Errors
    /// When a transition could not be stored. It stays due; the others may have been made.
    pub async fn settle(&self) -> Result<(), SettleError> {
        let _turn = self.0.turn.lock().await;
        for cluster in self.0.ledger.all().await? {
            self.0.settle_cluster(cluster).await?;
        }
        Ok(())
    }

    /// What the cloud holds at this moment, by region and name. Changes nothing; a record that cannot be read is
    /// left out, with a line in the log.
    pub async fn inventory(&self) -> Vec<SimCluster> {
        let now = self.0.clock.now();
        match self.0.ledger.all().await {
            Ok(clusters) => {
                clusters.into_iter().filter_map(|cluster| cluster.seen_at(now)).collect()
            }
            Err(error) => {
                tracing::error!(%error, "the simulated cloud cannot be read");
                Vec::new()
            }
        }
    }

    /// Requests since [`CloudSim::open`] that were signed well, by name of the operation; also those that were then
    /// answered with an error.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The Kubernetes API of an EKS cluster, once it has become active.
    #[must_use]
    pub fn member(&self, region: &str, name: &str) -> Option<LogicalCluster> {
        self.0.members.find(&ClusterKey { region: region.to_owned(), name: name.to_owned() })
    }
}
