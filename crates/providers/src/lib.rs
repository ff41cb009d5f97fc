//! The registry of providers: one line for each.
//!
//! It chooses by key and knows nothing else about a cloud. The program injects each provider's settings, so the same
//! registry serves the real world and the simulated one. Start at [`Providers`].

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_provider::Provider;
use fleetwright_provider_eks::{EksProvider, EksSettings};

/// What each provider needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Amazon EKS.
    pub eks: EksSettings,
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
        let Settings { eks } = settings;
        Self::new(vec![Arc::new(EksProvider::new(eks))])
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

    use super::*;

    fn providers() -> Providers {
        let refuse = tower::service_fn(|_| async {
            Err(fleetwright_provider::HttpOutError::Forbidden("a registry sends nothing".into()))
        });
        Providers::all(Settings {
            eks: EksSettings {
                http: tower::util::BoxCloneSyncService::new(refuse),
                credentials: Source::Fixed(
                    aws_credential_types::provider::SharedCredentialsProvider::new(
                        aws_credential_types::Credentials::new("A", "s", None, None, "test"),
                    ),
                ),
                clock: Arc::new(fleetwright_clock::SystemClock),
                endpoint: None,
                limits: DEFAULT_LIMITS,
            },
        })
    }

    #[test]
    fn every_provider_answers_to_its_key() {
        let providers = providers();
        assert_eq!(providers.get("eks").map(|provider| provider.key()), Some("eks"));
        assert!(providers.get("gone").is_none());
    }
}
