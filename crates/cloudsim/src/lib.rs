//! Clouds, emulated on the wire: the real cloud SDKs and real `kubectl` talk to it and see no difference.
//!
//! These are Amazon EKS and Azure AKS. Of EKS: clusters with their updates, node groups, add-ons, access entries, Pod Identity
//! associations, Fargate profiles, insights and tags over signed REST-JSON; the parts of STS and SSM that go with it; and
//! behind every active cluster a Kubernetes API (a logical cluster of the embedded API server) with one Node object per
//! machine, which only lets in callers with a valid EKS token for exactly that cluster. Of AKS: clusters, agent pools and
//! maintenance configurations over the Azure Resource Manager, with its long-running operations, ETags and tokens of Entra.
//! Beside them are hosts, which answer the scripts of Fleetwright's deeds and run K3s.
//!
//! Guarantees:
//! - every signature is verified, by code that shares nothing with the SDKs' signers;
//! - what an answer says is stored before the answer leaves, and survives a restart;
//! - all is deterministic: time comes from `Clock`, chance from `Ids`, nothing runs in the background. What takes time
//!   in a cloud happens when somebody looks at a moment at which it is due;
//! - what goes wrong was asked for ([`Fault`]), and is stored with everything else.
//!
//! Deliberately not here: containers, networks, IAM (roles and subnets are believed), quotas other than the size of a
//! node group. A field or an operation that is not simulated is refused by name, never ignored.
//!
//! Start reading at [`CloudSim`], then `eks.rs`, `azure.rs` or `hosts.rs` for the way of a request and `state.rs`,
//! `azure/state.rs` or `hosts/state.rs` for what is remembered.

mod azure;
mod calls;
mod control;
mod drift;
mod eks;
mod error;
mod faults;
mod hosts;
mod inventory;
mod member;
mod paths;
mod principal;
mod settle;
mod sigv4;
mod ssm;
mod state;
mod sts;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use fleetwright_apiserver::{
    ApiServer, ClusterSpec, LogicalCluster, MountedService, Scheme, StaticTokens,
};
use fleetwright_clock::{Clock, Ids};
use http::Request;
use serde_json::Value;
use tower::util::BoxCloneSyncService;

pub use crate::drift::DriftError;
pub use crate::error::{OpenError, SettleError};
pub use crate::faults::{Fault, FaultKind};
pub use crate::hosts::{HostCall, HostError, HostOutput, SimHost, SimSite};
pub use crate::inventory::{SimCluster, SimNodegroup};

use crate::azure::AksKey;
use crate::hosts::SiteKey;
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
/// Where Azure is mounted beside a Kubernetes API: the Resource Manager and Entra. Routing ignores it.
pub const AZURE_MOUNT_PATH: &str = "/cloud/azure";
/// The key that opens simulated hosts, in OpenSSH's form; any other does, too. It opens nothing but simulations.
pub const SSH_PRIVATE_KEY: &str = include_str!("hosts/simulated_ed25519");
/// The authority whose certificates simulated hosts would show, if anybody looked at their keys.
pub const SSH_AUTHORITY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAII6aKZ90nh62pNowjad65+yzvbn+WQo+AleA5ILMUlXb simulated";
/// Where hosts are mounted beside a Kubernetes API, for another process: `/_simulation/hosts` runs scripts, `/releases/…` has
/// releases of K3s, `/members/<address>/…` is the API of the cluster that answers at an address.
pub const HOSTS_MOUNT_PATH: &str = "/cloud/hosts";
/// The one tenant of the simulated Entra.
pub const AZURE_TENANT_ID: &str = "11111111-1111-4111-8111-111111111111";
/// The only application in it.
pub const AZURE_CLIENT_ID: &str = "22222222-2222-4222-8222-222222222222";
/// The secret that belongs to it. It opens nothing but simulations.
pub const AZURE_CLIENT_SECRET: &str = "simulated~not.a~secret~simulated~secret0";
/// The one subscription of the simulated Azure.
pub const AZURE_SUBSCRIPTION_ID: &str = "33333333-3333-4333-8333-333333333333";

/// The logical cluster that remembers what the cloud holds.
const STATE_CLUSTER: &str = "simulated-aws";

/// How long the slow things take. Each time is taken 20 % shorter to 20 % longer, by `Ids::jitter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latencies {
    /// From `CreateCluster` to `ACTIVE`, or from the first `PUT` of an AKS cluster to `Succeeded`. The others likewise.
    pub cluster_create: Duration,
    /// From `DeleteCluster` until it is gone.
    pub cluster_delete: Duration,
    /// From `CreateNodegroup` to `ACTIVE`.
    pub pool_create: Duration,
    /// From `DeleteNodegroup` until it is gone.
    pub pool_delete: Duration,
    /// Any update of a cluster's configuration; of AKS also of its tags.
    pub cluster_update: Duration,
    /// One minor version of a control plane.
    pub version_upgrade: Duration,
    /// Any update of a node group, also one that replaces its machines.
    pub pool_update: Duration,
    /// An add-on coming, changing or going.
    pub addon: Duration,
    /// A Fargate profile coming or going.
    pub small_parts: Duration,
    /// K3s starting on a host. This one is taken a third to almost twice as long, and always the same for a host and a moment.
    pub host_start: Duration,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            cluster_create: Duration::from_secs(6),
            cluster_delete: Duration::from_secs(4),
            pool_create: Duration::from_secs(3),
            pool_delete: Duration::from_secs(3),
            cluster_update: Duration::from_secs(2),
            version_upgrade: Duration::from_secs(5),
            pool_update: Duration::from_secs(4),
            addon: Duration::from_secs(2),
            small_parts: Duration::from_secs(2),
            host_start: Duration::from_secs(2),
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
        let ledger = Ledger::new(records);
        let sim = Self(Arc::new(Shared {
            members: Members::new(api, Arc::clone(&clock), scheme, ledger.clone()),
            ledger,
            clock,
            ids,
            settings,
            calls: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
        }));
        for cluster in sim.0.ledger.all::<ClusterKey>().await.map_err(OpenError::Settle)? {
            if cluster.has_member() {
                sim.0.members.attach(&cluster).await.map_err(OpenError::Settle)?;
            }
        }
        for cluster in sim.0.ledger.all::<AksKey>().await.map_err(OpenError::Settle)? {
            if cluster.made {
                sim.0.members.attach(&cluster).await.map_err(OpenError::Settle)?;
            }
        }
        for site in sim.0.ledger.all::<SiteKey>().await.map_err(OpenError::Settle)? {
            if site.made {
                sim.0.members.attach(&site).await.map_err(OpenError::Settle)?;
            }
        }
        sim.settle().await.map_err(OpenError::Settle)?;
        Ok(sim)
    }

    /// The endpoint of EKS, STS and SSM in every region; service and region are those of the request's signature.
    /// Accepts paths with and without [`MOUNT_PATH`] before them.
    ///
    /// Below `/_simulation/` are the simulation's own controls, for who shows [`SECRET_ACCESS_KEY`] as bearer token:
    /// `GET`, `POST` and `DELETE faults[?cluster=]`, `POST drift`, `POST releases`, `POST hosts`, `GET orphans`.
    #[must_use]
    pub fn eks(&self) -> MountedService {
        let shared = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let shared = Arc::clone(&shared);
            async move { Ok(shared.answer(request).await) }
        }))
    }

    /// The endpoint of Azure: tokens at `/<tenant>/oauth2/v2.0/token`, the Resource Manager at `/subscriptions/…`. Accepts
    /// paths with and without [`AZURE_MOUNT_PATH`] before them; `/_simulation/` is as at [`CloudSim::eks`].
    #[must_use]
    pub fn azure(&self) -> MountedService {
        let shared = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let shared = Arc::clone(&shared);
            async move { Ok(shared.answer_azure(request).await) }
        }))
    }

    /// Makes every transition that is due. Requests do this for what they touch; call it when nobody asks but time
    /// should still pass.
    ///
    /// # Errors
    /// When a transition could not be stored. It stays due; the others may have been made.
    pub async fn settle(&self) -> Result<(), SettleError> {
        let _turn = self.0.turn.lock().await;
        for cluster in self.0.ledger.all::<ClusterKey>().await? {
            self.0.settle_cluster(cluster).await?;
        }
        for cluster in self.0.ledger.all::<AksKey>().await? {
            self.0.settle_aks(cluster).await?;
        }
        self.0.settle_hosts().await
    }

    /// Runs a script on a host, as if it had come over SSH by a user who may become root. What has begun ends, also when the
    /// caller does not wait for it.
    ///
    /// # Errors
    /// When its end cannot be seen, for reasons of the host's or of the way there.
    pub async fn on_host(&self, call: HostCall) -> Result<HostOutput, HostError> {
        let shared = Arc::clone(&self.0);
        let run = tokio::spawn(async move { shared.on_host(&call).await });
        run.await.unwrap_or_else(|error| Err(HostError::Broken(error.to_string())))
    }

    /// Hosts for another process, below [`HOSTS_MOUNT_PATH`].
    #[must_use]
    pub fn hosts_mount(&self) -> MountedService {
        let shared = Arc::clone(&self.0);
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let shared = Arc::clone(&shared);
            async move { Ok(shared.answer_hosts(request).await) }
        }))
    }

    /// Releases of K3s, whichever server and folder a request names: `…/<version>/<file>`, in small.
    #[must_use]
    pub fn releases(&self) -> MountedService {
        BoxCloneSyncService::new(tower::service_fn(async |request: Request<Bytes>| {
            Ok(hosts::releases(&request))
        }))
    }

    /// The Kubernetes API of the K3s cluster that answers at this moment at an address or URL; `None`: none does.
    ///
    /// # Errors
    /// When the records fail.
    pub async fn member_at(&self, endpoint: &str) -> Result<Option<LogicalCluster>, SettleError> {
        let site = self.0.member_at(endpoint).await?;
        Ok(site.and_then(|site| self.0.members.find(&site.0)))
    }

    /// Hosts that something was done to, by address. Changes nothing; empty, with a line in the log, when they cannot be read.
    pub async fn hosts(&self) -> Vec<SimHost> {
        self.0.hosts().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the simulated hosts cannot be read");
            Vec::new()
        })
    }

    /// The K3s clusters that hosts hold, by the name of their member; as [`CloudSim::hosts`].
    pub async fn sites(&self) -> Vec<SimSite> {
        self.0.sites().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the simulated hosts cannot be read");
            Vec::new()
        })
    }

    /// What the cloud holds at this moment, by region and name. Changes nothing; a record that cannot be read is
    /// left out, with a line in the log.
    pub async fn inventory(&self) -> Vec<SimCluster> {
        match self.0.inventory().await {
            Ok(clusters) => clusters,
            Err(error) => {
                tracing::error!(%error, "the simulated cloud cannot be read");
                Vec::new()
            }
        }
    }

    /// What deleted clusters left behind in the cloud: `LoadBalancer shop/web of eu-central-1/payments`. Sorted.
    pub async fn orphans(&self) -> Vec<String> {
        match self.0.orphans().await {
            Ok(orphans) => orphans,
            Err(error) => {
                tracing::error!(%error, "the simulated cloud cannot be read");
                Vec::new()
            }
        }
    }

    /// Lets something go wrong from now on. It does so also after a restart.
    ///
    /// # Errors
    /// When it cannot be stored; then it does not happen.
    pub async fn add_fault(&self, fault: Fault) -> Result<(), SettleError> {
        self.0.add_fault(fault).await
    }

    /// Ends all faults, or those that name this cluster.
    ///
    /// # Errors
    /// When that cannot be stored; then they stay.
    pub async fn clear_faults(&self, cluster: Option<&str>) -> Result<(), SettleError> {
        self.0.clear_faults(cluster).await
    }

    /// What goes wrong at the moment, in the order in which it was asked for.
    pub async fn faults(&self) -> Vec<Fault> {
        match self.0.faults().await {
            Ok(faults) => faults,
            Err(error) => {
                tracing::error!(%error, "the simulated cloud cannot be read");
                Vec::new()
            }
        }
    }

    /// Changes what the cloud holds behind everybody's back, at once and without an update.
    ///
    /// `path` is the wire path in `DescribeCluster`'s cluster (`resourcesVpcConfig.publicAccessCidrs`, `tags.team`,
    /// `version`), or `nodegroups.<name>.<path>` or `addons.<name>.<path>` likewise. `null` takes a value away, also a
    /// whole node group, an add-on, or an access entry (`accessEntries.<principal ARN>`).
    ///
    /// Of an AKS cluster, `name` is `<subscription>/<group>/<name>` and `path` one of `GET`'s document
    /// (`properties.apiServerAccessProfile.authorizedIPRanges`, `tags.team`, `sku.tier`), or
    /// `agentPools.<name>.properties.<path>`, or `maintenanceConfigurations.<name>.properties.<path>`; `null` takes a whole
    /// pool or configuration away, too.
    ///
    /// Of a host, `region` is `hosts`, `name` its address, and `path` one of: `files.<path>` (text or `null`), `marker` (text or
    /// `null`), `service` (`stopped`, `started`, `disabled`), `reboot` (seconds until it is back), `away` (`true` or `false`),
    /// `clock` (seconds ahead), `disk` (KiB that are free), `line` (bytes a second or `null`), `pods` (`stay` or `null`: a
    /// budget), `certificates` (seconds until their end), `uninstall`, `address` (its new one).
    ///
    /// # Errors
    /// When there is no such cluster, its cloud could not hold that value there, or it cannot be stored.
    pub async fn drift(
        &self,
        region: &str,
        name: &str,
        path: &str,
        value: Value,
    ) -> Result<(), DriftError> {
        self.0.drift(region, name, path, value).await
    }

    /// Lets a new release of every node image come out; SSM names it from now on. The answer is its number.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn release_images(&self) -> Result<u32, SettleError> {
        self.0.release_images().await
    }

    /// Lets a role, by its ARN, only be assumed with this external id; `None` lets everybody again.
    ///
    /// # Errors
    /// When that cannot be stored.
    pub async fn require_external_id(
        &self,
        role: &str,
        external_id: Option<&str>,
    ) -> Result<(), SettleError> {
        self.0.require_external_id(role, external_id).await
    }

    /// Requests since [`CloudSim::open`] that were signed well, by name of the operation; also those that were then
    /// answered with an error.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<String, u64> {
        self.0.calls.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The Kubernetes API of a cluster, once it has become active. An AKS cluster's name is
    /// `<subscription>/<group>/<name>`; its region is in that. A K3s cluster has no region.
    #[must_use]
    pub fn member(&self, region: &str, name: &str) -> Option<LogicalCluster> {
        if let Some(key) = AksKey::by_external_name(name) {
            return self.0.members.find(&key.member_id());
        }
        if let Some(member) = self.0.members.find(name).filter(|_| region.is_empty()) {
            return Some(member);
        }
        let key = ClusterKey { region: region.to_owned(), name: name.to_owned() };
        self.0.members.find(&key.member_id())
    }
}
