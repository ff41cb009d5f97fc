//! The contract between Fleetwright and a cloud: one trait, and the words it is written in.
//!
//! A provider turns a declaration into the cloud's requests ([`Provider::desire`], [`Provider::diff`]: pure), looks
//! ([`Provider::observe`]: reads only) and acts ([`Provider::act`]: one step, one write). It has no kube client and knows no
//! other provider. Sockets are not its business either: it sends through [`HttpOut`]. Start at [`Provider`];
//! [`conformance`] holds what every provider must show.

mod adoption;
mod cloud_error;
pub mod conformance;
mod deed;
mod http_out;
mod merge;
mod notes;
mod secret;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderConfig};
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Owner, PoolName};
use fleetwright_plan::{
    Address, Change, CloudRules, CloudStep, DesiredCluster, Problem, Resource, Snapshot,
};
use jiff::Timestamp;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

pub use adoption::{follows_a_claim, once_claimed};
pub use cloud_error::{CloudError, Patience, retry_after};
pub use deed::{audit, left_alone, may_claim};
pub use http_out::{HttpOut, HttpOutError};
pub use merge::merge_patch;
pub use notes::wire_request;
pub use secret::Secret;

/// What a provider is asked to judge.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The declared cluster.
    pub cluster: &'a ManagedCluster,
    /// The account it names; its `allowedNamespaces` are checked by the caller.
    pub account: &'a ProviderConfig,
    /// Whose the cloud resources will be.
    pub owner: &'a Owner,
}

/// How often the provider wants to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Between looks while the cloud works.
    pub poll_busy: Duration,
    /// Between looks when nothing is under way.
    pub poll_idle: Duration,
    /// A request without an answer has had its effect by then, or never will. An object that is deleted is kept this
    /// long at least: a create that arrives after its object is gone would have no owner.
    pub in_doubt: Duration,
}

/// A bearer token for a member's Kubernetes API.
#[derive(Debug, Clone)]
pub struct MemberToken {
    /// The token.
    pub token: Secret,
    /// When it must no longer be used.
    pub expires_at: Timestamp,
}

/// A cloud resource that carries our tags.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// Where it is.
    pub address: Address,
    /// What it is.
    pub resource: Resource,
    /// Whom it belongs to.
    pub owner: Owner,
}

/// Through which account, and for whose objects, a cloud is spoken to.
#[derive(Debug, Clone)]
pub struct Access {
    /// The account.
    pub account: Arc<ProviderConfig>,
    /// The hub that speaks; part of the external id.
    pub hub: HubId,
    /// The namespace of the object; part of the external id.
    pub namespace: String,
    /// The data of the Secret that the account names, if it names one and it is there.
    pub secret: Option<BTreeMap<String, Secret>>,
    /// The data of the Secrets in the object's namespace that the object names ([`Provider::secrets`]), as far as they are
    /// there, by name.
    pub own_secrets: BTreeMap<String, BTreeMap<String, Secret>>,
}

/// A way for bytes to a member's own API.
pub trait MemberStream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> MemberStream for T {}

/// What the cloud says about a write that it took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    /// The calls that changed something, in order: operation and the cloud's id of the request. Empty: nothing had to be done.
    pub calls: Vec<(String, Option<String>)>,
}

/// A cloud that can hold clusters.
#[async_trait]
pub trait Provider: Send + Sync + Debug {
    /// The key of its block in `ManagedCluster.spec`, for example `eks`.
    fn key(&self) -> &'static str;

    /// How often it wants to be asked.
    fn limits(&self) -> Limits;

    /// What the cloud's own rules mean for the order of work.
    fn rules(&self) -> CloudRules {
        CloudRules::default()
    }

    /// Parses the declaration into the cloud's requests, and holds them against the account's limits. Pure: same input,
    /// same bytes.
    ///
    /// # Errors
    /// All problems of the declaration at once, each with its field path.
    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>>;

    /// The Secrets in the object's own namespace that its declaration names. Pure.
    fn secrets(&self, cluster: &ManagedCluster) -> Vec<String> {
        let _ = cluster;
        Vec::new()
    }

    /// Where the cluster is, as far as spec and `status.observed` tell, even if the spec no longer validates: deletion
    /// works from here. `status.observed` wins over spec. `None`: nothing was ever made.
    fn address(&self, cluster: &ManagedCluster) -> Option<Address>;

    /// Every difference that can be acted on or must be told. Pure. Compares only declared fields, after normalising. What
    /// does not carry our tags gives a [`fleetwright_plan::ChangeKind::Claim`] beside its differences, so that adoption can
    /// be planned; whether it may be claimed is the planner's business.
    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change>;

    /// Looks at the cluster and all that belongs to it. Never fails: what could not be seen is `Unknown`. `desired` only
    /// says where to look closer (the last change of what differs, what blocks the next version); `None` on the way out.
    async fn observe(
        &self,
        access: &Access,
        address: &Address,
        desired: Option<&DesiredCluster>,
    ) -> Snapshot;

    /// Does one step. A create that finds the name taken is a `Conflict`; an update, a claim, a delete and a release first
    /// read the tags and refuse what is not as the step says; a delete or release of what is gone succeeds.
    ///
    /// # Errors
    /// The cloud's answer, classified. After a timeout: class `Unknown`.
    async fn act(&self, access: &Access, step: &CloudStep) -> Result<Receipt, CloudError>;

    /// A token for the member's own API, made without asking the cloud where that is possible.
    ///
    /// # Errors
    /// When no credentials can be had.
    async fn token(&self, access: &Access, address: &Address) -> Result<MemberToken, CloudError>;

    /// A way to the member's own API as its hosts are reached, for `connection: {type: Ssh}`. Each call is one connection.
    ///
    /// # Errors
    /// When no host can be reached; class `Invalid` where the provider has no such way.
    async fn dial(
        &self,
        access: &Access,
        address: &Address,
    ) -> Result<Box<dyn MemberStream>, CloudError> {
        let _ = access;
        let words =
            format!("{address} has no hosts that we reach: use connection Direct or HttpProxy");
        Err(CloudError::new(Class::Invalid, "NoWayIn", format!("{}:Dial", self.key()), words))
    }

    /// The arguments of `fleetwright token`, after `--provider`, with which somebody gets a token for the cluster by an identity
    /// of their own; they stand in kubeconfigs. Holds no credential. Pure.
    fn sign_in(&self, account: &ProviderConfig, address: &Address) -> Vec<String> {
        let _ = account;
        vec![format!("--region={}", address.region), format!("--cluster={}", address.external_name)]
    }

    /// Whether `step` may run at the same time as its neighbours in a plan for which this is true as well: neither's effect
    /// bears on the other. Pure.
    fn together(&self, step: &CloudStep) -> bool {
        let _ = step;
        false
    }

    /// How an Argo CD signs in to the cluster by itself: the `config` of its cluster Secret but for `tlsClientConfig`, for
    /// example `{"awsAuthConfig": {"clusterName": …}}`. Holds no credential. Pure.
    fn argocd(
        &self,
        account: &ProviderConfig,
        wanted: &ArgoCdRegistration,
        address: &Address,
    ) -> Value;

    /// The label selector of a pool's nodes on the member.
    fn node_selector(&self, pool: &PoolName) -> String;

    /// The control planes and pools in one account and region that carry the tags of `hub`, whatever their state, sorted.
    /// Parts are not listed: they go with their control plane. A pool of ours counts under anybody's control plane.
    ///
    /// `address` says where to look. Of its `external_name` only what names the account counts, if anything does (AKS: the
    /// subscription); on EKS the account comes from the credentials.
    ///
    /// # Errors
    /// When the list would be incomplete for any reason, for example a page or a description that was refused: half a list
    /// must not pass for a whole one. What went away between being listed and being described is left out.
    async fn list_owned(
        &self,
        access: &Access,
        address: &Address,
        hub: &HubId,
    ) -> Result<Vec<Owned>, CloudError>;
}
