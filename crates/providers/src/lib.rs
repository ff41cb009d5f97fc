//! The registry of providers: one line for each.
//!
//! It chooses by key and knows nothing else about a cloud. The program injects each provider's settings, so the same
//! registry serves the real world and the simulated one. Start at [`Providers`].

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_provider::Provider;
use fleetwright_provider_aks::{AksProvider, AksSettings};
use fleetwright_provider_eks::{EksProvider, EksSettings};
use fleetwright_provider_k3s::{K3sProvider, K3sSettings};

/// What each provider needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Azure AKS.
    pub aks: AksSettings,
    /// Amazon EKS.
    pub eks: EksSettings,
    /// K3s on hosts.
    pub k3s: K3sSettings,
}

/// All providers, by key.
#[derive(Debug, Clone)]
pub struct Providers(BTreeMap<&'static str, Arc<dyn Provider>>);

impl Providers {
    /// These providers; of two with one key the later stays.
    #[must_use]
    pub fn new(providers: Vec<Arc<dyn Provider>>) -> Self {
        Self(providers.into_iter().map(|provider| (provider.key(), provider)).collect())
    }

    /// Every provider there is, wired as told.
    #[must_use]
    pub fn all(settings: Settings) -> Self {
        let Settings { aks, eks, k3s } = settings;
        Self::new(vec![
            Arc::new(AksProvider::new(aks)),
            Arc::new(EksProvider::new(eks)),
            Arc::new(K3sProvider::new(k3s)),
        ])
    }

    /// All of them, by key.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &Arc<dyn Provider>)> {
        self.0.iter().map(|(key, provider)| (*key, provider))
    }

    /// The provider with this key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Arc<dyn Provider>> {
        self.0.get(key)
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_provider_eks::{DEFAULT_LIMITS, Source};
    use fleetwright_provider_k3s::release::Releases;
    use fleetwright_provider_k3s::ssh::{PoolLimits, SshHosts, SshLimits};

    use super::*;

    fn providers() -> Providers {
        let refuse = tower::service_fn(|_| async {
            Err(fleetwright_provider::HttpOutError::Forbidden("a registry sends nothing".into()))
        });
        let http = tower::util::BoxCloneSyncService::new(refuse);
        let keys = aws_credential_types::Credentials::new("A", "s", None, None, "test");
        let keys = aws_credential_types::provider::SharedCredentialsProvider::new(keys);
        let clock = Arc::new(fleetwright_clock::SystemClock);
        Providers::all(Settings {
            aks: AksSettings {
                http: http.clone(),
                credentials: fleetwright_provider_aks::Source::Environment { http: http.clone() },
                clock: clock.clone(),
                endpoint: None,
                limits: fleetwright_provider_aks::DEFAULT_LIMITS,
            },
            eks: EksSettings {
                http: http.clone(),
                credentials: Source::Fixed(keys),
                clock: clock.clone(),
                endpoint: None,
                limits: DEFAULT_LIMITS,
            },
            k3s: K3sSettings {
                hosts: Arc::new(SshHosts::new(
                    clock.clone(),
                    SshLimits::default(),
                    PoolLimits::default(),
                )),
                releases: Arc::new(Releases::new(http, None)),
                clock,
                limits: fleetwright_provider_k3s::DEFAULT_LIMITS,
            },
        })
    }

    #[test]
    fn every_provider_answers_to_its_key() {
        let providers = providers();
        let keys: Vec<(&str, &str)> =
            providers.iter().map(|(key, provider)| (key, provider.key())).collect();
        assert_eq!(keys, [("aks", "aks"), ("eks", "eks"), ("k3s", "k3s")]);
        assert_eq!(providers.get("eks").map(|provider| provider.key()), Some("eks"));
        assert!(providers.get("gone").is_none());
    }
}
