//! Credentials of the real world: the AWS SDKs' chain in our own environment, kept until shortly before they expire.

use std::sync::Arc;
use std::time::Duration;

use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::{BehaviorVersion, Region};
use aws_credential_types::Credentials;
use aws_credential_types::provider::{
    ProvideCredentials, Result as CredentialsResult, SharedCredentialsProvider, future,
};
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::TimeSource as _;
use fleetwright_clock::Clock;
use fleetwright_provider::HttpOut;
use tokio::sync::Mutex;

use crate::http::{ClockTime, OverHttpOut};

/// Credentials nearer to their end than this are fetched anew.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// Where STS is asked when neither the environment nor a profile names a region.
const FALLBACK_REGION: &str = "us-east-1";

/// The chain that every AWS tool walks: variables, shared files, web identity, container role, instance role.
///
/// Nothing is asked before the first use. The last two links ask `169.254.170.2` and `169.254.169.254` over plain HTTP
/// through `http`, which must let them pass or refuse them; a refusal only ends the chain. `AWS_EC2_METADATA_DISABLED=true`
/// leaves the instance role out. Profiles that need SSO or an external process are not built in.
pub async fn environment_credentials(
    http: HttpOut,
    clock: Arc<dyn Clock>,
) -> SharedCredentialsProvider {
    let time = ClockTime(clock);
    let config = ProviderConfig::without_region()
        .with_behavior_version(Some(BehaviorVersion::v2026_01_12()))
        .with_http_client(OverHttpOut(http))
        .with_time_source(time.clone())
        .with_sleep_impl(TokioSleep::new());
    // Without a region of its own the chain would ask the instance metadata for one, at the start of every laptop's hub.
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::builder().configure(&config).build())
        .or_else(Region::from_static(FALLBACK_REGION));
    let chain = DefaultCredentialsChain::builder().configure(config).region(region).build().await;
    SharedCredentialsProvider::new(Kept::new(SharedCredentialsProvider::new(chain), time))
}

/// Keeps what `source` gave, so that not every EKS call costs an STS call; concurrent askers wait for one fetch.
#[derive(Debug)]
struct Kept {
    source: SharedCredentialsProvider,
    time: ClockTime,
    held: Mutex<Option<Credentials>>,
}

impl Kept {
    fn new(source: SharedCredentialsProvider, time: ClockTime) -> Self {
        Self { source, time, held: Mutex::new(None) }
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
        let clock = Arc::new(Hand(StdMutex::new(Timestamp::UNIX_EPOCH)));
        let made = environment_credentials(http, clock).await;
        assert!(format!("{made:?}").contains("SharedCredentialsProvider"));
    }
}
