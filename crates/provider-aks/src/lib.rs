//! Azure AKS as a provider: declarations become Azure's requests, and answers become what the planner understands.
//!
//! It talks to Azure Resource Manager through the operations of `azure_mgmt_containerservice` over the project's own way out, in
//! Azure's own JSON and at an API version of our own (`wire.rs`), and gets tokens from Microsoft Entra ID. It decides nothing
//! (`plan` does), never retries (the loop does), holds no kube client and opens no socket. Whose a resource is, only its tags
//! say. Start at [`AksProvider`]; `config.rs` and `diff.rs` are pure, `observe.rs` reads, `act.rs` writes, `session.rs` knows
//! through which account.

mod act;
mod argocd;
mod cloud;
mod config;
mod credentials;
mod diff;
mod error;
mod kind;
mod member;
mod merge;
mod observe;
mod operations;
mod place;
mod session;
mod tags;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderConfig};
use fleetwright_clock::Clock;
use fleetwright_names::{HubId, PoolName};
use fleetwright_plan::{
    Address, Change, CloudRules, CloudStep, Credentials, DesiredCluster, Problem, Seen, Snapshot,
};
use fleetwright_provider::{
    Access, Asked, CloudError, HttpOut, Limits, MemberToken, Owned, Patience, Provider, Receipt,
    Secret,
};
use serde_json::Value;

pub use config::KEY;
pub use member::{MemberTokenOptions, member_token};

/// How often real AKS is asked: a control plane takes about five minutes, a pool three.
pub const DEFAULT_LIMITS: Limits = Limits {
    poll_busy: Duration::from_secs(15),
    poll_idle: Duration::from_secs(300),
    // Two minutes of the cloud, after two in which a reconcile that began before the deletion may still send.
    in_doubt: Duration::from_secs(240),
};

/// What the program gives the provider; everything that differs between the real world and the simulated one.
#[derive(Debug, Clone)]
pub struct AksSettings {
    /// The way to Azure Resource Manager.
    pub http: HttpOut,
    /// Where credentials come from.
    pub credentials: Source,
    /// What time it is, for tokens.
    pub clock: Arc<dyn Clock>,
    /// Where Azure Resource Manager and Entra ID are, one below the other; `None`: the public endpoints of the account's
    /// cloud. May carry a path.
    pub endpoint: Option<String>,
    /// How often to look; [`DEFAULT_LIMITS`] for the real AKS.
    pub limits: Limits,
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The real world: as each account says, from Fleetwright's own environment or from a Secret.
    Environment {
        /// The way to Entra ID, and to the identity endpoint of a machine.
        http: HttpOut,
    },
    /// The simulated world: these stand for whatever an account says about Fleetwright's environment; Secrets are honoured all
    /// the same, at the Entra ID of the settings' endpoint.
    Fixed(ClientSecret),
}

/// An application in Entra ID that signs in by a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSecret {
    /// Its tenant.
    pub tenant_id: String,
    /// Its client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
}

/// Azure AKS.
#[derive(Debug)]
pub struct AksProvider {
    settings: AksSettings,
    sessions: session::Sessions,
}

impl AksProvider {
    /// Calls nobody.
    #[must_use]
    pub fn new(settings: AksSettings) -> Self {
        Self { sessions: session::Sessions::new(settings.clone()), settings }
    }

    fn look<'a>(
        &'a self,
        session: &'a session::Session,
        address: &'a Address,
        patience: &'a Patience,
    ) -> observe::Look<'a> {
        observe::Look { session, address, patience, since: self.settings.clock.now() }
    }
}

#[async_trait]
impl Provider for AksProvider {
    fn key(&self) -> &'static str {
        KEY
    }

    fn limits(&self) -> Limits {
        self.settings.limits
    }

    /// Azure refuses a change of a control plane while a pool changes, and the other way round; deleting a control plane
    /// takes its pools along.
    fn rules(&self) -> CloudRules {
        CloudRules { serial: true, pools_end_with_control_plane: true, by_hand: false }
    }

    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        config::desire(asked)
    }

    fn address(&self, cluster: &ManagedCluster) -> Option<Address> {
        config::address(cluster)
    }

    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
        diff::diff(desired, snapshot)
    }

    async fn observe(
        &self,
        access: &Access,
        address: &Address,
        desired: Option<&DesiredCluster>,
    ) -> Snapshot {
        match self.sessions.get(access) {
            Ok(session) => {
                let patience = Patience::default();
                observe::observe(self.look(&session, address, &patience), desired).await
            }
            Err(error) => {
                let (since, why) = (self.settings.clock.now(), error.to_string());
                let code = error.code.to_owned();
                let credentials = Credentials::Failed { code, why: why.clone() };
                Snapshot { credentials, ..Snapshot::of(Seen::Unknown { since, why }) }
            }
        }
    }

    async fn act(&self, access: &Access, step: &CloudStep) -> Result<Receipt, CloudError> {
        let session = self.sessions.get(access)?;
        act::act(&session, (step, self.settings.clock.now())).await
    }

    async fn token(&self, access: &Access, address: &Address) -> Result<MemberToken, CloudError> {
        let session = self.sessions.get(access)?;
        session.members.token(&session.arm, address, self.settings.clock.now()).await
    }

    fn argocd(
        &self,
        account: &ProviderConfig,
        wanted: &ArgoCdRegistration,
        _address: &Address,
    ) -> Value {
        argocd::config(account, wanted)
    }

    fn node_selector(&self, pool: &PoolName) -> String {
        format!("kubernetes.azure.com/agentpool={pool}")
    }

    async fn list_owned(
        &self,
        access: &Access,
        address: &Address,
        hub: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        let session = self.sessions.get(access)?;
        let patience = Patience::default();
        observe::list_owned(self.look(&session, address, &patience), hub).await
    }
}
