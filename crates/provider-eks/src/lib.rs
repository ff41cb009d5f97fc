//! Amazon EKS as a provider: declarations become EKS requests, and answers become what the planner understands.
//!
//! It talks to `eks` through the AWS SDK over the project's own way out, in EKS's own JSON (`wire.rs`), and signs tokens for a
//! member's API itself. It decides nothing (`plan` does), never retries (the loop does), holds no kube client and opens no
//! socket. Whose a resource is, only its tags say. Start at [`EksProvider`]; `config.rs` and `diff.rs` are pure,
//! `observe.rs` reads, `act.rs` writes, `session.rs` knows through which account.

mod act;
mod config;
mod credentials;
mod diff;
mod error;
mod http;
mod kind;
mod observe;
mod release;
mod session;
mod token;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleetwright_api_types::{ArgoCdRegistration, ManagedCluster, ProviderConfig};
use fleetwright_clock::Clock;
use fleetwright_names::{HubId, PoolName};
use fleetwright_plan::{
    Address, Change, CloudStep, Credentials, DesiredCluster, Problem, Seen, Snapshot,
};
use fleetwright_provider::{
    Access, Asked, CloudError, HttpOut, Limits, MemberToken, Owned, Patience, Provider, Receipt,
};
use serde_json::{Value, json};

pub use config::KEY;
pub use credentials::{RoleToAssume, token_credentials};
pub use token::eks_token;

/// How often real EKS is asked: a control plane takes about ten minutes, a node group two.
pub const DEFAULT_LIMITS: Limits = Limits {
    poll_busy: Duration::from_secs(15),
    poll_idle: Duration::from_secs(300),
    // Two minutes of the cloud, after two in which a reconcile that began before the deletion may still send.
    in_doubt: Duration::from_secs(240),
};

/// What the program gives the provider; everything that differs between the real world and the simulated one.
#[derive(Debug, Clone)]
pub struct EksSettings {
    /// The way to EKS and SSM.
    pub http: HttpOut,
    /// Where credentials come from.
    pub credentials: Source,
    /// What time it is, for signatures.
    pub clock: Arc<dyn Clock>,
    /// Where EKS, STS and SSM are; `None`: the region's public endpoints. May carry a path.
    pub endpoint: Option<String>,
    /// How often to look; [`DEFAULT_LIMITS`] for the real EKS.
    pub limits: Limits,
}

/// Where credentials come from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The real world: as each account says, from Fleetwright's own environment or from a Secret.
    Environment {
        /// The way to STS, and to the credential endpoints of containers and instances.
        http: HttpOut,
    },
    /// The simulated world: these stand for whatever an account says about Fleetwright's environment; Secrets and assumed
    /// roles are honoured all the same.
    Fixed(SharedCredentialsProvider),
}

/// Amazon EKS.
#[derive(Debug)]
pub struct EksProvider {
    settings: EksSettings,
    sessions: session::Sessions,
    releases: release::Releases,
    updates: observe::Updates,
}

impl EksProvider {
    /// Calls nobody.
    #[must_use]
    pub fn new(settings: EksSettings) -> Self {
        let sessions = session::Sessions::new(settings.clone());
        Self {
            settings,
            sessions,
            releases: release::Releases::default(),
            updates: observe::Updates::default(),
        }
    }

    fn look<'a>(
        &'a self,
        session: &'a session::Session,
        (address, patience): (&'a Address, &'a Patience),
    ) -> observe::Look<'a> {
        let since = self.settings.clock.now();
        observe::Look {
            session,
            settings: &self.settings,
            releases: &self.releases,
            updates: &self.updates,
            patience,
            address,
            since,
        }
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

    async fn observe(
        &self,
        access: &Access,
        address: &Address,
        desired: Option<&DesiredCluster>,
    ) -> Snapshot {
        match self.sessions.get(access, &address.region) {
            Ok(session) => {
                let patience = Patience::default();
                observe::observe(self.look(&session, (address, &patience)), desired).await
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
        let session = self.sessions.get(access, &step.address.region)?;
        session.allowed(self.settings.clock.now()).await?;
        act::act(&session.eks, step).await
    }

    async fn token(&self, access: &Access, address: &Address) -> Result<MemberToken, CloudError> {
        let session = self.sessions.get(access, &address.region)?;
        let credentials = session.credentials("sts:GetCallerIdentity").await?;
        let now = self.settings.clock.now();
        eks_token(&credentials, &address.region, &address.external_name, now)
    }

    fn argocd(
        &self,
        _account: &ProviderConfig,
        wanted: &ArgoCdRegistration,
        address: &Address,
    ) -> Value {
        // Argo CD's declarative setup, "EKS": without a role it signs in as itself.
        let mut auth = json!({"clusterName": address.external_name});
        if let Some(role) = &wanted.aws_role_arn {
            auth["roleARN"] = role.as_str().into();
        }
        json!({"awsAuthConfig": auth})
    }

    fn node_selector(&self, pool: &PoolName) -> String {
        format!("eks.amazonaws.com/nodegroup={pool}")
    }

    async fn list_owned(
        &self,
        access: &Access,
        address: &Address,
        hub: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        let session = self.sessions.get(access, &address.region)?;
        session.allowed(self.settings.clock.now()).await?;
        let patience = Patience::default();
        observe::list_owned(self.look(&session, (address, &patience)), hub).await
    }
}
