//! Where an account's credentials come from, kept until shortly before they expire.
//!
//! The real world reads Fleetwright's own environment as the AWS SDKs do; the simulated one has fixed credentials instead.
//! Secrets and assumed roles are the same in both.

use std::sync::Arc;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::{ProfileFileCredentialsProvider, ProfileFileRegionProvider};
use aws_config::provider_config::ProviderConfig;
use aws_config::web_identity_token::{StaticConfiguration, WebIdentityTokenCredentialsProvider};
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{
    ProvideCredentials, Result as CredentialsResult, SharedCredentialsProvider, future,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource as _;
use fleetwright_api_types::{AwsConfig, AwsIdentityType, ExternalId};
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_provider::{Access, CloudError, HttpOut};
use tokio::sync::Mutex;

use crate::error::{no_credentials, sts_error};
use crate::http::{ClockTime, OverHttpOut};
use crate::session::unusable;
use crate::{EksSettings, Source};

/// Names the file with the token of our own service account, as EKS and GKE set it.
const TOKEN_FILE: &str = "AWS_WEB_IDENTITY_TOKEN_FILE";
/// STS takes names of sessions up to this length.
const SESSION_NAME_LIMIT: usize = 64;
/// Credentials nearer to their end than this are fetched anew.
pub(crate) const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Where STS is asked when neither the environment nor a profile names a region.
const FALLBACK_REGION: &str = "us-east-1";

/// A role that is taken on before a token is signed.
#[derive(Debug, Clone)]
pub struct RoleToAssume {
    /// Its ARN.
    pub arn: String,
    /// What its trust policy asks for besides, if it does.
    pub external_id: Option<String>,
}

/// The environment's own credentials or, with `role`, those that the region's STS gives for that role: what a token is
/// signed with by somebody who has no `ProviderConfig`.
///
/// # Errors
/// When there are no credentials, or STS refuses the role.
pub async fn token_credentials(
    settings: EksSettings,
    region: &str,
    role: Option<RoleToAssume>,
) -> Result<Credentials, CloudError> {
    let (base, to_sts) = crate::session::Sessions::new(settings).environment(region)?;
    let Some(RoleToAssume { arn: role, external_id }) = role else {
        let found = base.provide_credentials().await;
        return found.map_err(|source| no_credentials("token", &source));
    };
    let to_sts = to_sts.into_builder().credentials_provider(base).build();
    let sts = aws_sdk_sts::Client::new(&to_sts);
    let session = "fleetwright-token".to_owned();
    let found = Assumed { sts, role, session, external_id }.current().await;
    found.map_err(|source| no_credentials("sts:AssumeRole", &source))
}

/// The chain that every AWS tool walks: variables, shared files, web identity, container role, instance role.
///
/// Nothing is asked before the first use. The last two links ask `169.254.170.2` and `169.254.169.254` over plain HTTP
/// through `http`, which must let them pass or refuse them; a refusal only ends the chain. `AWS_EC2_METADATA_DISABLED=true`
/// leaves the instance role out. Profiles that need SSO or an external process are not built in.
async fn chain(http: &HttpOut, clock: &Arc<dyn Clock>) -> DefaultCredentialsChain {
    let config = chain_config(http.clone(), clock, None);
    // Without a region of its own the chain would ask the instance metadata for one, at the start of every laptop's hub.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::builder().configure(&config).build())
        .or_else(Region::from_static(FALLBACK_REGION));
    DefaultCredentialsChain::builder().configure(config).region(region).build().await
}

/// What the account's identity says, its role assumed.
pub(crate) fn of(
    access: &Access,
    aws: &AwsConfig,
    (to_sts, environment, settings): (&SdkConfig, Option<SharedCredentialsProvider>, &EksSettings),
) -> Result<SharedCredentialsProvider, CloudError> {
    let identity = &aws.identity;
    let base = match (identity.type_, &settings.credentials) {
        (AwsIdentityType::Secret, _) => SharedCredentialsProvider::new(from_secret(access)?),
        (AwsIdentityType::Profile, Source::Environment { http }) => {
            let region = to_sts.region().cloned();
            let profile = identity.profile.clone().unwrap_or_default();
            let chain = Chain::new(http.clone(), Arc::clone(&settings.clock));
            SharedCredentialsProvider::new(Chain { profile: Some((profile, region)), ..chain })
        }
        (AwsIdentityType::WebIdentity, Source::Environment { http }) => {
            let config = chain_config(http.clone(), &settings.clock, to_sts.region().cloned());
            return web_identity(access, identity.role_arn.as_deref(), &config);
        }
        (AwsIdentityType::WebIdentity, Source::Fixed(fixed)) => return Ok(fixed.clone()),
        (AwsIdentityType::Environment, _) | (AwsIdentityType::Profile, Source::Fixed(_)) => {
            let missing = || unusable(Class::Bug, "NoEnvironment", "no environment is wired");
            environment.ok_or_else(missing)?
        }
    };
    let Some(role) = &identity.role_arn else { return Ok(base) };
    let to_sts = to_sts.clone().into_builder().credentials_provider(base).build();
    Ok(SharedCredentialsProvider::new(Assumed {
        sts: aws_sdk_sts::Client::new(&to_sts),
        role: role.clone(),
        session: session_name(access),
        external_id: aws.external_id.map(|kind| match kind {
            ExternalId::PerNamespace => format!("fleetwright/{}/{}", access.hub, access.namespace),
        }),
    }))
}

/// Tells in the account's CloudTrail who it was.
fn session_name(access: &Access) -> String {
    format!("fleetwright-{}", access.namespace).chars().take(SESSION_NAME_LIMIT).collect()
}

fn from_secret(access: &Access) -> Result<Credentials, CloudError> {
    let reference =
        access.account.spec.aws.as_ref().and_then(|aws| aws.identity.secret_ref.as_ref());
    let name = reference.map_or("", |reference| reference.name.as_str());
    let missing = |what: &str| {
        let words = format!("Secret {name} in Fleetwright's own namespace {what}");
        unusable(Class::Refused, "SecretMissing", &words)
    };
    let Some(data) = &access.secret else { return Err(missing("is not there; create it")) };
    let text = |key: &str| data.get(key).map(|value| value.expose().trim().to_owned());
    let needed = |key: &str| {
        text(key)
            .filter(|text| !text.is_empty())
            .ok_or_else(|| missing(&format!("has no key {key}; add it")))
    };
    let (id, secret) = (needed("aws_access_key_id")?, needed("aws_secret_access_key")?);
    let token = text("aws_session_token").filter(|token| !token.is_empty());
    Ok(Credentials::new(id, secret, token, None, "secret"))
}

fn web_identity(
    access: &Access,
    role: Option<&str>,
    config: &ProviderConfig,
) -> Result<SharedCredentialsProvider, CloudError> {
    let refuse = |words: &str| Err(unusable(Class::Refused, "CredentialsMissing", words));
    let Some(role) = role else { return refuse("identity type WebIdentity needs roleArn") };
    let Some(file) = std::env::var_os(TOKEN_FILE) else {
        return refuse(
            "AWS_WEB_IDENTITY_TOKEN_FILE is not set; annotate Fleetwright's service account so that a token is projected",
        );
    };
    let found = StaticConfiguration {
        web_identity_token_file: file.into(),
        role_arn: role.to_owned(),
        session_name: session_name(access),
    };
    let builder = WebIdentityTokenCredentialsProvider::builder().configure(config);
    Ok(SharedCredentialsProvider::new(builder.static_configuration(found).build()))
}

/// A role taken on with the credentials that its client has.
#[derive(Debug)]
struct Assumed {
    sts: aws_sdk_sts::Client,
    role: String,
    session: String,
    external_id: Option<String>,
}

impl Assumed {
    async fn current(&self) -> CredentialsResult {
        let request = self
            .sts
            .assume_role()
            .role_arn(&self.role)
            .role_session_name(&self.session)
            .set_external_id(self.external_id.clone());
        let answer = request.send().await.map_err(|error| {
            CredentialsError::provider_error(sts_error("sts:AssumeRole", &error))
        })?;
        let Some(found) = answer.credentials() else {
            return Err(CredentialsError::unhandled("STS gave no credentials"));
        };
        let expiry = (*found.expiration()).try_into().map_err(CredentialsError::unhandled)?;
        Ok(Credentials::new(
            found.access_key_id(),
            found.secret_access_key(),
            Some(found.session_token().to_owned()),
            Some(expiry),
            "assumed role",
        ))
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// How the SDK's own sources of credentials go out.
fn chain_config(http: HttpOut, clock: &Arc<dyn Clock>, region: Option<Region>) -> ProviderConfig {
    ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(OverHttpOut(http))
        .with_time_source(ClockTime(Arc::clone(clock)))
        .with_sleep_impl(TokioSleep::new())
        .with_region(region)
}

/// Fleetwright's own environment, read anew each time: whoever renews a file shall not have to start us again. What it gives
/// is kept by [`Kept`].
#[derive(Debug)]
pub(crate) struct Chain {
    http: HttpOut,
    clock: Arc<dyn Clock>,
    /// Only this profile of the shared files; `None`: the whole chain.
    profile: Option<(String, Option<Region>)>,
}

impl Chain {
    pub(crate) fn new(http: HttpOut, clock: Arc<dyn Clock>) -> Self {
        Self { http, clock, profile: None }
    }

    async fn current(&self) -> CredentialsResult {
        let Some((profile, region)) = &self.profile else {
            return chain(&self.http, &self.clock).await.provide_credentials().await;
        };
        let config = chain_config(self.http.clone(), &self.clock, region.clone());
        let builder = ProfileFileCredentialsProvider::builder().configure(&config);
        builder.profile_name(profile).build().provide_credentials().await
    }
}

impl ProvideCredentials for Chain {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

/// Keeps what `source` gave, so that not every EKS call costs an STS call; concurrent askers wait for one fetch.
#[derive(Debug, Clone)]
pub(crate) struct Kept {
    source: SharedCredentialsProvider,
    time: ClockTime,
    held: Arc<Mutex<Option<Credentials>>>,
}

impl Kept {
    pub(crate) fn new(source: SharedCredentialsProvider, time: ClockTime) -> Self {
        Self { source, time, held: Arc::default() }
    }

    /// Drops what is held, so that the next use asks the source again.
    pub(crate) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    async fn current(&self) -> CredentialsResult {
        let mut held = self.held.lock().await;
        let fresh_until = self.time.now() + RENEW_BEFORE;
        let fresh = |found: &Credentials| found.expiry().is_none_or(|end| end > fresh_until);
        if let Some(found) = held.as_ref().filter(|found| fresh(found)) {
            return Ok(found.clone());
        }
        let found = self.source.provide_credentials().await?;
        *held = Some(found.clone());
        Ok(found)
    }
}

impl ProvideCredentials for Kept {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(self.current())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::SystemTime;

    use fleetwright_provider::HttpOutError;
    use jiff::Timestamp;
    use tower::util::BoxCloneSyncService;

    use super::*;

    #[derive(Debug)]
    struct Hand(StdMutex<Timestamp>);

    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            *self.0.lock().expect("the hand")
        }
    }

    /// Gives credentials that end an hour after the epoch, and counts.
    #[derive(Debug, Clone, Default)]
    struct Counted(Arc<AtomicU64>);

    impl ProvideCredentials for Counted {
        fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
        where
            Self: 'a,
        {
            self.0.fetch_add(1, Ordering::Relaxed);
            let end = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
            future::ProvideCredentials::ready(Ok(Credentials::new(
                "A",
                "s",
                None,
                Some(end),
                "test",
            )))
        }
    }

    #[tokio::test]
    async fn credentials_are_kept_until_five_minutes_before_they_end() {
        let clock = Arc::new(Hand(StdMutex::new(Timestamp::UNIX_EPOCH)));
        let source = Counted::default();
        let kept = Kept::new(
            SharedCredentialsProvider::new(source.clone()),
            ClockTime(Arc::clone(&clock) as Arc<dyn Clock>),
        );
        for (second, asked) in [(0, 1), (3299, 1), (3300, 2), (3301, 3)] {
            *clock.0.lock().expect("the hand") = Timestamp::from_second(second).expect("a time");
            kept.provide_credentials().await.expect("credentials");
            assert_eq!(source.0.load(Ordering::Relaxed), asked, "at second {second}");
        }
    }

    #[tokio::test]
    async fn building_the_chain_asks_nobody() {
        let http = BoxCloneSyncService::new(tower::service_fn(|_| async {
            unreachable!("nothing may be sent before credentials are needed");
            #[allow(unreachable_code, reason = "gives the closure its type")]
            Err(HttpOutError::Forbidden(String::new()))
        }));
        let clock: Arc<dyn Clock> = Arc::new(Hand(StdMutex::new(Timestamp::UNIX_EPOCH)));
        let made = chain(&http, &clock).await;
        assert!(format!("{made:?}").contains("DefaultCredentialsChain"));
    }
}
