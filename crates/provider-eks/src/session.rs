//! One session per account and namespace: credentials, an EKS client per region, and who we turned out to be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sdk_eks::Client;
use aws_sdk_eks::config::IdentityCache;
use aws_sdk_eks::config::StalledStreamProtectionConfig;
use aws_sdk_eks::config::retry::RetryConfig;
use aws_smithy_async::rt::sleep::SharedAsyncSleep;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SharedTimeSource;
use fleetwright_errclass::Class;
use fleetwright_names::sha256_hex;
use fleetwright_plan::Credentials;
use fleetwright_provider::{Access, CloudError, HttpOut};
use jiff::{SignedDuration, Timestamp};

use crate::credentials::{self, Kept, RENEW_BEFORE};
use crate::error;
use crate::http::{ClockTime, OverHttpOut};
use crate::{EksSettings, Source};

/// How long one call may take, credentials included. EKS answers within a second or two; its own gateway gives up at 30.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long we believe that we are who we were.
const IDENTITY_KEPT: SignedDuration = SignedDuration::from_mins(5);

/// An account as one namespace uses it, in one region.
pub(crate) struct Session {
    pub(crate) eks: Client,
    pub(crate) region: String,
    credentials: Kept,
    sts: aws_sdk_sts::Client,
    /// Accounts that we may turn out to be in; empty: any.
    allowed_accounts: Vec<String>,
    who: Mutex<Option<(Timestamp, Credentials)>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("region", &self.region).finish_non_exhaustive()
    }
}

impl Session {
    /// The credentials themselves, for what we sign without the SDK.
    pub(crate) async fn credentials(
        &self,
        operation: &str,
    ) -> Result<aws_credential_types::Credentials, CloudError> {
        let found = self.credentials.provide_credentials().await;
        found.map_err(|source| error::no_credentials(operation, &source))
    }

    /// Whether we must know who we are before anything is asked.
    pub(crate) const fn is_limited(&self) -> bool {
        !self.allowed_accounts.is_empty()
    }

    /// Who we are in the cloud. `NotAsked` when STS gave no answer, which says nothing about the credentials.
    pub(crate) async fn identity(&self, now: Timestamp) -> Credentials {
        match self.known(now).await {
            Credentials::Valid { account, principal, expires_at: _ } => {
                Credentials::Valid { account, principal, expires_at: self.end(now).await }
            }
            other => other,
        }
    }

    /// When the credentials end for good. Those that can be renewed are, well before their end; what still ends soon after
    /// its source was asked anew is not.
    async fn end(&self, now: Timestamp) -> Option<Timestamp> {
        let found = self.credentials.provide_credentials().await.ok()?;
        let end = Timestamp::try_from(found.expiry()?).ok()?;
        let soon = SignedDuration::try_from(RENEW_BEFORE).ok()?;
        (end.duration_since(now) <= soon).then_some(end)
    }

    async fn known(&self, now: Timestamp) -> Credentials {
        if let Some((at, who)) = &*self.who.lock().unwrap_or_else(PoisonError::into_inner)
            && now.duration_since(*at) < IDENTITY_KEPT
        {
            return who.clone();
        }
        let answer = match self.sts.get_caller_identity().send().await {
            Ok(answer) => answer,
            Err(error) => {
                let error = error::sts_error("sts:GetCallerIdentity", &error);
                return self.unknown(&error).await;
            }
        };
        let account = answer.account().unwrap_or_default().to_owned();
        let principal = answer.arn().unwrap_or_default().to_owned();
        let who = if self.allowed_accounts.is_empty() || self.allowed_accounts.contains(&account) {
            Credentials::Valid { account, principal, expires_at: None }
        } else {
            let allowed = self.allowed_accounts.join(", ");
            Credentials::Failed {
                code: "AccountNotAllowed".to_owned(),
                why: format!(
                    "the identity is {principal} in account {account}, but the ProviderConfig's limits allow {allowed}"
                ),
            }
        };
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, who.clone()));
        who
    }

    /// The cloud does not take these credentials any more, whatever STS said before.
    pub(crate) async fn lost(&self, error: &CloudError) -> Credentials {
        *self.who.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.unknown(error).await
    }

    async fn unknown(&self, error: &CloudError) -> Credentials {
        if error.class != Class::Refused {
            return Credentials::NotAsked;
        }
        // Whoever renews credentials in place shall not have to start us again.
        self.credentials.forget().await;
        Credentials::Failed { code: error.code.to_owned(), why: error.to_string() }
    }

    /// Whether this account may be used at all.
    ///
    /// # Errors
    /// When it is not among the allowed ones, or when that cannot be told.
    pub(crate) async fn allowed(&self, now: Timestamp) -> Result<(), CloudError> {
        if self.allowed_accounts.is_empty() {
            return Ok(());
        }
        let refuse = |class, code, message: String| {
            Err(CloudError::new(class, code, "sts:GetCallerIdentity", message))
        };
        match self.identity(now).await {
            Credentials::Valid { .. } => Ok(()),
            Credentials::NotAsked => refuse(
                Class::Transient,
                "IdentityUnknown",
                "STS gave no answer, so it is not known whether this account is allowed; we ask again later".into(),
            ),
            Credentials::Failed { why, code } if code == "AccountNotAllowed" => {
                refuse(Class::Refused, "AccountNotAllowed", why)
            }
            Credentials::Failed { why, .. } => refuse(Class::Refused, "Unauthorized", why),
        }
    }
}

/// Name of the account, namespace, region.
type Key = (String, String, String);

/// The sessions made so far: one per account, namespace and region, made anew when the account or its Secret changes.
#[derive(Debug)]
pub(crate) struct Sessions {
    settings: EksSettings,
    /// The environment's own chain, shared by every account that uses it.
    environment: Option<SharedCredentialsProvider>,
    made: Mutex<BTreeMap<Key, (String, Arc<Session>)>>,
}

impl Sessions {
    pub(crate) fn new(settings: EksSettings) -> Self {
        let environment = match &settings.credentials {
            Source::Fixed(fixed) => Some(fixed.clone()),
            Source::Environment { http } => Some(SharedCredentialsProvider::new(
                credentials::Chain::new(http.clone(), Arc::clone(&settings.clock)),
            )),
        };
        Self { settings, environment, made: Mutex::default() }
    }

    /// The session for `access` in `region`.
    ///
    /// # Errors
    /// When the account says nothing that credentials could come from.
    pub(crate) fn get(&self, access: &Access, region: &str) -> Result<Arc<Session>, CloudError> {
        let name = access.account.metadata.name.clone().unwrap_or_default();
        let key = (name, access.namespace.clone(), region.to_owned());
        let fingerprint = fingerprint(access);
        {
            let made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((of, session)) = made.get(&key)
                && *of == fingerprint
            {
                return Ok(Arc::clone(session));
            }
        }
        let session = Arc::new(self.make(access, region)?);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        made.insert(key, (fingerprint, Arc::clone(&session)));
        Ok(session)
    }

    fn make(&self, access: &Access, region: &str) -> Result<Session, CloudError> {
        let Some(aws) = &access.account.spec.aws else {
            return Err(unusable(
                Class::Invalid,
                "NoAccount",
                "the ProviderConfig has no aws block",
            ));
        };
        let to_sts = self.sts_config(region);
        let environment = self.environment.clone();
        let found = credentials::of(access, aws, (&to_sts, environment, &self.settings))?;
        let kept = Kept::new(found, ClockTime(Arc::clone(&self.settings.clock)));
        let shared = SharedCredentialsProvider::new(kept.clone());
        let to_sts = to_sts.into_builder().credentials_provider(shared.clone()).build();
        let mut to_eks =
            self.config(region, &self.settings.http).into_builder().credentials_provider(shared);
        match (&self.settings.endpoint, &aws.endpoint) {
            (Some(endpoint), _) => {
                to_eks.set_endpoint_url(Some(endpoint.clone()));
            }
            (None, Some(endpoint)) if endpoint.starts_with("https://") => {
                to_eks.set_endpoint_url(Some(endpoint.clone()));
            }
            (None, Some(endpoint)) => {
                let words = format!("endpoint {endpoint} of the ProviderConfig is not https");
                return Err(unusable(Class::Invalid, "EndpointNotAllowed", &words));
            }
            (None, None) => {}
        }
        let limits = access.account.spec.limits.as_ref();
        Ok(Session {
            eks: Client::new(&to_eks.build()),
            region: region.to_owned(),
            credentials: kept,
            sts: aws_sdk_sts::Client::new(&to_sts),
            allowed_accounts: limits.map(|limits| limits.account_ids.clone()).unwrap_or_default(),
            who: Mutex::default(),
        })
    }

    /// The environment's own credentials, and how STS is asked with them.
    pub(crate) fn environment(
        &self,
        region: &str,
    ) -> Result<(SharedCredentialsProvider, SdkConfig), CloudError> {
        let missing = || unusable(Class::Bug, "NoEnvironment", "no environment is wired");
        let environment = self.environment.clone().ok_or_else(missing)?;
        Ok((environment, self.sts_config(region)))
    }

    /// How STS is asked: by the way that credentials take, in simulation at the simulated endpoint.
    fn sts_config(&self, region: &str) -> SdkConfig {
        let http = match &self.settings.credentials {
            Source::Environment { http } => http,
            Source::Fixed(_) => &self.settings.http,
        };
        let mut config = self.config(region, http).into_builder();
        config.set_endpoint_url(self.settings.endpoint.clone());
        config.build()
    }

    /// Retries, caches and timers of the SDK are off: ours decide, and simulations repeat.
    fn config(&self, region: &str, http: &HttpOut) -> SdkConfig {
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .disable_connect_timeout()
            .disable_read_timeout()
            .build();
        SdkConfig::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new(region.to_owned()))
            .http_client(OverHttpOut(http.clone()))
            .identity_cache(IdentityCache::no_cache())
            .time_source(SharedTimeSource::new(ClockTime(Arc::clone(&self.settings.clock))))
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            .retry_config(RetryConfig::disabled())
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .timeout_config(timeouts)
            .build()
    }
}

pub(crate) fn unusable(class: Class, code: &'static str, words: &str) -> CloudError {
    CloudError::new(class, code, "credentials", words)
}

/// Changes whenever the account or its Secret does. Of the Secret only a digest is kept.
fn fingerprint(access: &Access) -> String {
    let meta = &access.account.metadata;
    let mut text = format!("{:?}/{:?}/{}", meta.uid, meta.generation, access.hub);
    for (key, value) in access.secret.iter().flatten() {
        text = format!("{text}/{key}={}", sha256_hex(value.expose()));
    }
    sha256_hex(text)
}
