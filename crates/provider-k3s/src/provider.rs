//! The provider itself: what the program gives it, and the contract.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderConfig};
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, PoolName};
use fleetwright_plan::{
    Address, Change, CloudRules, CloudStep, DesiredCluster, Problem, Resource, Snapshot,
};
use fleetwright_provider::{
    Access, Asked, CloudError, Limits, MemberStream, MemberToken, Owned, Provider, Receipt,
};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::body::ClusterBody;
use crate::config::{self, KEY};
use crate::hosts::{Answer, Arch, Artifact, Content, Fetched, HostOp, K3sVersion};
use crate::reach::{Reach, Reached, first_of, owner_of, serves};
use crate::release::{Mirror, ReleaseError, Releases};
use crate::site::{AGENT, API_PORT, Site};
use crate::ssh::Hosts;
use crate::wanted::{IMAGES, Sums, release_key};
use crate::{act, cluster, observe, sign_in};

/// How often real hosts are asked: K3s starts in half a minute.
pub const DEFAULT_LIMITS: Limits = Limits {
    poll_busy: Duration::from_secs(10),
    poll_idle: Duration::from_secs(300),
    // The longest deed is an upload on a slow line; a script without its input does nothing.
    in_doubt: Duration::from_secs(300),
};

/// How long a token for a member is good for.
const TOKEN: Duration = Duration::from_secs(3600);
/// A release whose digests could not be had is asked for again after this long.
const ASK_AGAIN: SignedDuration = SignedDuration::from_secs(300);
/// How long looking may wait for what is published.
const PUBLISHED: Duration = Duration::from_secs(15);

/// What the program gives the provider; everything that differs between the real world and the simulated one.
#[derive(Debug, Clone)]
pub struct K3sSettings {
    /// All hosts there are.
    pub hosts: Arc<dyn Hosts>,
    /// Files of K3s's releases.
    pub releases: Arc<Releases>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// How often to look; [`DEFAULT_LIMITS`] for real hosts.
    pub limits: Limits,
}

/// K3s on given hosts.
#[derive(Debug)]
pub struct K3sProvider {
    settings: K3sSettings,
    /// When a release's digests could not be had, by [`release_key`] and where they were asked for.
    failed: Mutex<BTreeMap<String, Timestamp>>,
}

impl K3sProvider {
    /// Calls nobody.
    #[must_use]
    pub fn new(settings: K3sSettings) -> Self {
        Self { settings, failed: Mutex::default() }
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.settings.clock.now()
    }

    pub(crate) fn hosts(&self) -> &dyn Hosts {
        self.settings.hosts.as_ref()
    }

    /// What is published of a release; `None` when it cannot be had, which is asked again after a while.
    pub(crate) async fn sums(
        &self,
        cluster: &ClusterBody,
        version: K3sVersion,
        arch: Arch,
    ) -> Option<Sums> {
        if !matches!(cluster.source, crate::body::Way::Download | crate::body::Way::Airgap) {
            return None;
        }
        let place = cluster.mirror.as_deref().unwrap_or_default();
        let key = format!("{} {place}", release_key(&version.to_string(), arch));
        let now = self.now();
        {
            let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if failed.get(&key).is_some_and(|at| now.duration_since(*at) < ASK_AGAIN) {
                return None;
            }
        }
        let asked = tokio::time::timeout(PUBLISHED, self.published(cluster, version, arch)).await;
        let found = match asked {
            Ok(Ok(sums)) => Some(sums),
            Ok(Err(error)) => {
                tracing::info!(%error, "a release of K3s cannot be looked up");
                None
            }
            Err(_elapsed) => None,
        };
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &found {
            Some(_) => failed.remove(&key),
            None => failed.insert(key, now),
        };
        found
    }

    /// What is published of a release.
    pub(crate) async fn published(
        &self,
        cluster: &ClusterBody,
        version: K3sVersion,
        arch: Arch,
    ) -> Result<Sums, CloudError> {
        let mirror = mirror(cluster)?;
        let releases = &self.settings.releases;
        let binary = releases.release(Artifact::Binary, version, arch, &mirror).await;
        let binary = binary.map_err(|error| not_had(&error))?.digest;
        let images = if cluster.source == crate::body::Way::Airgap {
            let images = releases.release(IMAGES, version, arch, &mirror).await;
            Some(images.map_err(|error| not_had(&error))?.digest)
        } else {
            None
        };
        Ok(Sums { binary, images })
    }

    pub(crate) async fn fetch(
        &self,
        cluster: &ClusterBody,
        (version, arch): (K3sVersion, Arch),
        artifact: Artifact,
    ) -> Result<Fetched, CloudError> {
        let mirror = mirror(cluster)?;
        let fetched = self.settings.releases.fetch(artifact, version, arch, &mirror).await;
        fetched.map_err(|error| not_had(&error))
    }

    pub(crate) async fn script(
        &self,
        cluster: &ClusterBody,
        version: K3sVersion,
    ) -> Result<Content, CloudError> {
        let script = self.settings.releases.install_script(version, &mirror(cluster)?).await;
        script.map_err(|error| not_had(&error))
    }

    fn reach(&self, access: &Access, address: &Address) -> Result<Reach<'_>, CloudError> {
        let Some(site) = Site::read(address) else {
            let words = format!("{address} names no hosts");
            return Err(CloudError::new(Class::Invalid, "NoHosts", "k3s:Reach", words));
        };
        Reach::new(self.hosts(), access, site)
    }
}

fn mirror(cluster: &ClusterBody) -> Result<Mirror, CloudError> {
    let Some(address) = &cluster.mirror else { return Ok(Mirror::GitHub) };
    Mirror::at(address).map_err(|error| {
        CloudError::new(Class::Invalid, "InvalidMirror", "k3s:Fetch", error.to_string())
    })
}

fn not_had(error: &ReleaseError) -> CloudError {
    let mut words = error.to_string();
    if let Some(source) = std::error::Error::source(error) {
        words.push_str(&format!(": {source}"));
    }
    CloudError::new(error.class(), "ReleaseUnavailable", "k3s:Fetch", words)
}

#[async_trait]
impl Provider for K3sProvider {
    fn key(&self) -> &'static str {
        KEY
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Nothing goes on by itself on a host: what was begun is finished by further steps.
    fn rules(&self) -> CloudRules {
        CloudRules { serial: false, pools_end_with_control_plane: false, by_hand: true }
    }

    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        config::desire(asked)
    }

    fn secrets(&self, cluster: &ManagedCluster) -> Vec<String> {
        config::secrets(cluster)
    }

    fn address(&self, cluster: &ManagedCluster) -> Option<Address> {
        config::address(cluster)
    }

    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
        cluster::diff(desired, snapshot)
    }

    async fn observe(
        &self,
        access: &Access,
        address: &Address,
        desired: Option<&DesiredCluster>,
    ) -> Snapshot {
        observe::observe(self, access, address, desired).await
    }

    async fn act(&self, access: &Access, step: &CloudStep) -> Result<Receipt, CloudError> {
        act::act(self, access, step).await
    }

    async fn token(&self, access: &Access, address: &Address) -> Result<MemberToken, CloudError> {
        let reach = self.reach(access, address)?;
        let mut mints: Vec<BoxFuture<'_, Result<Option<MemberToken>, CloudError>>> = Vec::new();
        for host in reach.site.servers() {
            mints.push(Box::pin(self.mint(&reach, host, access)));
        }
        first_of(mints).await?.ok_or_else(|| {
            let words = format!("no server of {address} runs and is ours");
            CloudError::new(Class::Transient, "NotReady", "k3s:MintToken", words)
        })
    }

    async fn dial(
        &self,
        access: &Access,
        address: &Address,
    ) -> Result<Box<dyn MemberStream>, CloudError> {
        let reach = self.reach(access, address)?;
        let reach = &reach;
        let mut dials: Vec<BoxFuture<'_, Result<Option<Box<dyn MemberStream>>, CloudError>>> =
            Vec::new();
        for host in reach.site.servers() {
            dials.push(Box::pin(async move { reach.dial(host, API_PORT).await.map(Some) }));
        }
        first_of(dials).await?.ok_or_else(|| {
            let words = format!("{address} has no servers");
            CloudError::new(Class::Invalid, "NoHosts", "k3s:Dial", words)
        })
    }

    fn sign_in(&self, account: &ProviderConfig, address: &Address) -> Vec<String> {
        sign_in::arguments(account, address)
    }

    /// Agents do not bear on each other.
    fn together(&self, step: &CloudStep) -> bool {
        matches!(&step.resource, Resource::Part(key) if key.kind == AGENT)
    }

    /// No login of a cloud's leads into a K3s: a registration needs a token of its own.
    fn argocd(
        &self,
        _account: &ProviderConfig,
        _wanted: &ArgoCdRegistration,
        _address: &Address,
    ) -> Value {
        Value::Null
    }

    fn node_selector(&self, pool: &PoolName) -> String {
        format!("fleetwright.dev/pool={pool}")
    }

    async fn list_owned(
        &self,
        access: &Access,
        address: &Address,
        hub: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        observe::list_owned(self, access, address, hub).await
    }
}

impl K3sProvider {
    /// A token from this server, if it runs and is this object's.
    async fn mint(
        &self,
        reach: &Reach<'_>,
        host: &crate::site::SiteHost,
        access: &Access,
    ) -> Result<Option<MemberToken>, CloudError> {
        if reach.site.abandoned.contains(&host.name) {
            return Ok(None);
        }
        let (reached, facts): (Reached, _) = reach.look(host).await?;
        let owner = owner_of(&facts).filter(|owner| {
            owner.hub == access.hub && owner.object.to_string() == reach.site.object
        });
        let Some(owner) = owner.filter(|_| serves(&facts)) else { return Ok(None) };
        let op = HostOp::MintToken { valid: TOKEN };
        let asked_at = self.now();
        let Answer::Token(token) = reached.does(&op, owner).await? else {
            return Err(crate::reach::odd(&host.name, &op));
        };
        let good = SignedDuration::try_from(TOKEN).unwrap_or(ASK_AGAIN);
        let expires_at = asked_at.checked_add(good).unwrap_or(asked_at);
        Ok(Some(MemberToken { token, expires_at }))
    }
}
