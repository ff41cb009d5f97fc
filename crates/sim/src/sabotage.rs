//! Broken rules, to see that a seed catches them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderConfig};
use fleetwright_names::{HubId, PoolName};
use fleetwright_plan::{
    Address, Change, CloudAction, CloudRules, CloudStep, DesiredCluster, Problem, Resource,
    Snapshot,
};
use fleetwright_provider::{
    Access, Asked, CloudError, Limits, MemberToken, Owned, Provider, Receipt,
};
use serde_json::Value;

/// A rule of ours that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Sabotage {
    /// None.
    None,
    /// A cluster counts as there only if this very process got the answer to its create: as if we trusted our memory
    /// instead of looking.
    CreateWithoutLooking,
}

/// A provider that does not look before it creates.
#[derive(Debug)]
pub struct Blind {
    inner: Arc<dyn Provider>,
    made: Mutex<BTreeMap<Address, ()>>,
}

impl Blind {
    /// Breaks `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Provider>) -> Self {
        Self { inner, made: Mutex::default() }
    }
}

#[async_trait]
impl Provider for Blind {
    fn key(&self) -> &'static str {
        self.inner.key()
    }

    fn limits(&self) -> Limits {
        self.inner.limits()
    }

    fn rules(&self) -> CloudRules {
        self.inner.rules()
    }

    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        self.inner.desire(asked)
    }

    fn address(&self, cluster: &ManagedCluster) -> Option<Address> {
        self.inner.address(cluster)
    }

    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
        self.inner.diff(desired, snapshot)
    }

    async fn observe(
        &self,
        access: &Access,
        address: &Address,
        desired: Option<&DesiredCluster>,
    ) -> Snapshot {
        let known = self.made.lock().unwrap_or_else(PoisonError::into_inner).contains_key(address);
        if known { self.inner.observe(access, address, desired).await } else { Snapshot::absent() }
    }

    async fn act(&self, access: &Access, step: &CloudStep) -> Result<Receipt, CloudError> {
        let receipt = self.inner.act(access, step).await?;
        if step.resource == Resource::Cluster && matches!(step.action, CloudAction::Create { .. }) {
            let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            made.insert(step.address.clone(), ());
        }
        Ok(receipt)
    }

    fn secrets(&self, cluster: &ManagedCluster) -> Vec<String> {
        self.inner.secrets(cluster)
    }

    fn sign_in(&self, account: &ProviderConfig, address: &Address) -> Vec<String> {
        self.inner.sign_in(account, address)
    }

    fn together(&self, step: &CloudStep) -> bool {
        self.inner.together(step)
    }

    async fn token(&self, access: &Access, address: &Address) -> Result<MemberToken, CloudError> {
        self.inner.token(access, address).await
    }

    fn argocd(
        &self,
        account: &ProviderConfig,
        wanted: &ArgoCdRegistration,
        address: &Address,
    ) -> Value {
        self.inner.argocd(account, wanted, address)
    }

    fn node_selector(&self, pool: &PoolName) -> String {
        self.inner.node_selector(pool)
    }

    async fn list_owned(
        &self,
        access: &Access,
        address: &Address,
        hub: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        self.inner.list_owned(access, address, hub).await
    }
}
