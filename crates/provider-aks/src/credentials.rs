//! Where an account's tokens come from, kept by our clock until shortly before they end.
//!
//! The real world asks `azure_identity`; the simulated one speaks the client credentials grant itself, so that nothing in it
//! looks at a wall clock. Secrets of an account are the same in both.

mod adapter;
mod grant;
mod real;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fleetwright_api_types::{AzureConfig, AzureIdentityType};
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_provider::{Access, CloudError, Secret};
use jiff::{SignedDuration, Timestamp};

use crate::cloud::Cloud;
use crate::error::no_identity;
use crate::{AksSettings, ClientSecret, Source};

pub(crate) use grant::Grant;
pub(crate) use real::{Named, Real};

/// Tokens nearer to their end than this are fetched anew.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(5);
/// Who asks so soon after a failure gets the same: a hundred clusters of one account ask once, not a hundred times.
const FAILED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// A bearer token.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) secret: Secret,
    pub(crate) expires_at: Timestamp,
}

/// Who signs in, and how.
#[derive(Debug, Clone)]
pub(crate) enum Identity {
    /// By a request of our own.
    Grant(Grant),
    /// As Azure's own libraries do.
    Real(Real),
}

impl Identity {
    async fn token(&self, scope: &str, now: Timestamp) -> Result<Token, CloudError> {
        match self {
            Self::Grant(grant) => grant.token(scope, now).await,
            Self::Real(real) => real.token(scope).await,
        }
    }
}

/// The tokens of one identity, by scope. Concurrent askers wait for one fetch and share what comes of it; who asks for a
/// token that is held waits for nobody.
#[derive(Debug)]
pub(crate) struct Tokens {
    identity: Identity,
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<String, Known>>,
}

/// What is known for one scope.
#[derive(Debug, Clone, Default)]
struct Known {
    token: Option<Token>,
    /// The last failure, and when it was.
    failure: Option<(Timestamp, CloudError)>,
    /// Held by who fetches.
    fetching: Arc<tokio::sync::Mutex<()>>,
}

impl Tokens {
    pub(crate) fn new(identity: Identity, clock: Arc<dyn Clock>) -> Self {
        Self { identity, clock, known: Mutex::default() }
    }

    /// A token for `scope`, and whether it was fetched just now.
    ///
    /// # Errors
    /// When there is none to be had, or was none some seconds ago.
    pub(crate) async fn get(&self, scope: &str) -> Result<(Token, bool), CloudError> {
        if let Some(found) = self.at_hand(scope) {
            return found;
        }
        let fetching = Arc::clone(&self.lock().entry(scope.to_owned()).or_default().fetching);
        let _alone = fetching.lock().await;
        // Whoever fetched meanwhile did it for us too.
        if let Some(found) = self.at_hand(scope) {
            return found;
        }
        let fetched = self.identity.token(scope, self.clock.now()).await;
        let mut all = self.lock();
        let known = all.entry(scope.to_owned()).or_default();
        match fetched {
            Ok(token) => {
                (known.token, known.failure) = (Some(token.clone()), None);
                Ok((token, true))
            }
            Err(error) => {
                known.failure = Some((self.clock.now(), error.clone()));
                Err(error)
            }
        }
    }

    /// What needs no fetch.
    fn at_hand(&self, scope: &str) -> Option<Result<(Token, bool), CloudError>> {
        let now = self.clock.now();
        let all = self.lock();
        let known = all.get(scope)?;
        if let Some(token) = &known.token
            && token.expires_at.duration_since(now) > RENEW_BEFORE
        {
            return Some(Ok((token.clone(), false)));
        }
        let (at, error) = known.failure.as_ref()?;
        (now.duration_since(*at) < FAILED_FOR).then(|| Err(error.clone()))
    }

    /// Drops the tokens that are held, so that the next use signs in again.
    pub(crate) fn forget(&self) {
        for known in self.lock().values_mut() {
            known.token = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the account's identity says.
pub(crate) fn of(
    access: &Access,
    azure: &AzureConfig,
    settings: &AksSettings,
) -> Result<Identity, CloudError> {
    let cloud = Cloud::of(azure.cloud);
    let identity = &azure.identity;
    let named = Named {
        tenant_id: identity.tenant_id.clone(),
        client_id: identity.client_id.clone(),
        authority: cloud.authority,
    };
    let of_secret = identity.type_ == AzureIdentityType::Secret;
    match &settings.credentials {
        Source::Fixed(fixed) => {
            let secret = if of_secret { from_secret(access, azure)? } else { fixed.clone() };
            let authority = settings.endpoint.as_deref().unwrap_or(cloud.authority);
            Ok(Identity::Grant(Grant::new(settings.http.clone(), authority, secret)))
        }
        Source::Environment { http } => {
            let http = http.clone();
            Ok(Identity::Real(match identity.type_ {
                AzureIdentityType::Secret => Real::secret(http, named, from_secret(access, azure)?),
                AzureIdentityType::Environment => Real::environment(http, named),
                AzureIdentityType::WorkloadIdentity => Real::workload(http, named),
                AzureIdentityType::ManagedIdentity => Real::managed(http, named),
                AzureIdentityType::Cli => Real::cli(http, named),
            }))
        }
    }
}

fn from_secret(access: &Access, azure: &AzureConfig) -> Result<ClientSecret, CloudError> {
    let identity = &azure.identity;
    let name = identity.secret_ref.as_ref().map_or("", |reference| reference.name.as_str());
    let missing = |what: &str| {
        let words = format!("Secret {name} in Fleetwright's own namespace {what}");
        no_identity(Class::Refused, "SecretMissing", &words)
    };
    let Some(data) = &access.secret else { return Err(missing("is not there; create it")) };
    let needed = |key: &str| {
        let text = data.get(key).map(|value| value.expose().trim().to_owned());
        text.filter(|text| !text.is_empty())
            .ok_or_else(|| missing(&format!("has no key {key}; add it")))
    };
    let or_needed = |given: &Option<String>, key| given.clone().map_or_else(|| needed(key), Ok);
    Ok(ClientSecret {
        tenant_id: or_needed(&identity.tenant_id, "tenant_id")?,
        client_id: or_needed(&identity.client_id, "client_id")?,
        client_secret: Secret::new(needed("client_secret")?),
    })
}
