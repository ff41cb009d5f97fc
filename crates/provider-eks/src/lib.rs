//! Amazon EKS as a provider: declarations become EKS requests, and answers become what the planner understands.
//!
//! It talks to `eks` through the AWS SDK over the project's own way out, and signs tokens for a member's API itself.
//! It decides nothing (`plan` does), never retries (the loop does), holds no kube client and opens no socket. Whose a
//! resource is, only its tags say. Start at [`EksProvider`]; `config.rs` and `diff.rs` are pure, `observe.rs` reads,
//! `act.rs` writes.

mod act;
mod client;
mod config;
mod credentials;
mod diff;
mod error;
mod http;
mod observe;
mod token;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use fleetwright_api_types::ManagedCluster;
use fleetwright_clock::Clock;
use fleetwright_names::HubId;
use fleetwright_plan::{Address, Change, CloudStep, DesiredCluster, Problem, Snapshot};
use fleetwright_provider::{Asked, CloudError, HttpOut, Limits, MemberToken, Owned, Provider};

pub use config::KEY;
pub use credentials::environment_credentials;
pub use token::eks_token;

/// How often real EKS is asked: a control plane takes about ten minutes, a node group two.
pub const DEFAULT_LIMITS: Limits = Limits {
    poll_busy: Duration::from_secs(15),
    poll_idle: Duration::from_secs(300),
    in_doubt: Duration::from_secs(120),
};

/// What the program gives the provider; everything that differs between the real world and the simulated one.
#[derive(Debug, Clone)]
pub struct EksSettings {
    /// The way out.
    pub http: HttpOut,
    /// Who we are. [`environment_credentials`] for the real world, fixed ones for the simulated.
    pub credentials: SharedCredentialsProvider,
    /// What time it is, for signatures.
    pub clock: Arc<dyn Clock>,
    /// Where EKS is; `None`: the region's public endpoint. May carry a path.
    pub endpoint: Option<String>,
    /// How often to look; [`DEFAULT_LIMITS`] for the real EKS.
    pub limits: Limits,
}

/// Amazon EKS.
#[derive(Debug)]
pub struct EksProvider {
    settings: EksSettings,
    clients: client::Clients,
}

impl EksProvider {
    /// Calls nobody.
    #[must_use]
    pub fn new(settings: EksSettings) -> Self {
        Self { clients: client::Clients::new(&settings), settings }
    }
}

#[async_trait]
impl Provider for EksProvider {
    fn key(&self) -> &'static str {
        KEY
    }

    fn limits(&self) -> Limits {
        self.settings.limits
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

    async fn observe(&self, address: &Address) -> Snapshot {
        let client = self.clients.get(&address.region);
        observe::observe(&client, address, &*self.settings.clock).await
    }

    async fn act(&self, step: &CloudStep) -> Result<(), CloudError> {
        act::act(&self.clients.get(&step.address.region), step).await
    }

    async fn token(&self, address: &Address) -> Result<MemberToken, CloudError> {
        let credentials = self
            .settings
            .credentials
            .provide_credentials()
            .await
            .map_err(|source| error::no_credentials("sts:GetCallerIdentity", &source))?;
        let now = self.settings.clock.now();
        eks_token(&credentials, &address.region, &address.external_name, now)
    }

    async fn list_owned(&self, address: &Address, hub: &HubId) -> Result<Vec<Owned>, CloudError> {
        observe::list_owned(&self.clients.get(&address.region), address, hub).await
    }
}
