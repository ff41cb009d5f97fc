//! One SDK client per region, made when first needed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_eks::Client;
use aws_sdk_eks::config::retry::RetryConfig;
use aws_sdk_eks::config::{Config, IdentityCache, Region, StalledStreamProtectionConfig};
use aws_smithy_async::rt::sleep::TokioSleep;

use crate::EksSettings;
use crate::http::{ClockTime, OverHttpOut};

/// How long one call may take, credentials included. EKS answers within a second or two; its own gateway gives up at 30.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// The clients made so far, by region.
#[derive(Debug)]
pub(crate) struct Clients {
    template: Config,
    made: Mutex<BTreeMap<String, Client>>,
}

impl Clients {
    pub(crate) fn new(settings: &EksSettings) -> Self {
        Self { template: template(settings), made: Mutex::new(BTreeMap::new()) }
    }

    /// The client of `region`.
    pub(crate) fn get(&self, region: &str) -> Client {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        let make = || {
            let region = Region::new(region.to_owned());
            Client::from_conf(self.template.to_builder().region(region).build())
        };
        made.entry(region.to_owned()).or_insert_with(make).clone()
    }
}

/// Everything but the region. Retries, caches and timers of the SDK are off: ours decide, and simulations repeat.
fn template(settings: &EksSettings) -> Config {
    let timeouts = TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .disable_connect_timeout()
        .disable_read_timeout()
        .build();
    let builder = Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .http_client(OverHttpOut(settings.http.clone()))
        .credentials_provider(settings.credentials.clone())
        .identity_cache(IdentityCache::no_cache())
        .time_source(ClockTime(settings.clock.clone()))
        .sleep_impl(TokioSleep::new())
        .retry_config(RetryConfig::disabled())
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .timeout_config(timeouts);
    match &settings.endpoint {
        Some(endpoint) => builder.endpoint_url(endpoint).build(),
        None => builder.build(),
    }
}
