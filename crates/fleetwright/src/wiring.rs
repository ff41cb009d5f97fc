//! What differs between the real world and the simulated one.

use std::sync::Arc;

use fleetwright_controllers::Clouds;
use fleetwright_controllers::members::Connector;
use fleetwright_provider::Limits;
use fleetwright_provider_aks::KEY as AKS;
use fleetwright_provider_eks::KEY as EKS;
use fleetwright_provider_k3s::KEY as K3S;
use fleetwright_providers::Providers;

use crate::simulated;

/// Which world a hub lives in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum World {
    /// Clouds are emulated in this process.
    Simulated,
    /// Clouds are clouds.
    Real,
}

impl World {
    pub(crate) const fn of(simulate: bool) -> Self {
        if simulate { Self::Simulated } else { Self::Real }
    }

    /// The word in the folder's name and in its marker.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Simulated => "simulated",
            Self::Real => "real",
        }
    }

    /// What every first line says.
    pub(crate) const fn notice(self) -> &'static str {
        match self {
            Self::Simulated => "SIMULATED: reads no credentials, calls no cloud",
            Self::Real => "REAL: uses this environment's credentials",
        }
    }
}

/// One world, ready for the controllers.
#[derive(Debug)]
pub(crate) struct Wiring {
    pub(crate) clouds: Clouds,
    pub(crate) connector: Arc<dyn Connector>,
    /// What kubeconfigs of members call, before `token`.
    pub(crate) token_command: Vec<String>,
}

/// The registry as the controllers take it.
pub(crate) fn clouds(providers: &Providers) -> Clouds {
    providers.iter().map(|(key, provider)| (key, Arc::clone(provider))).collect()
}

/// How often the clouds of a world are asked about the clusters of one provider.
pub(crate) fn limits(world: World, provider: &str) -> Option<Limits> {
    match (world, provider) {
        (World::Simulated, _) => Some(simulated::LIMITS),
        (World::Real, AKS) => Some(fleetwright_provider_aks::DEFAULT_LIMITS),
        (World::Real, EKS) => Some(fleetwright_provider_eks::DEFAULT_LIMITS),
        (World::Real, K3S) => Some(fleetwright_provider_k3s::DEFAULT_LIMITS),
        (World::Real, _) => None,
    }
}

/// This program, for kubeconfigs. Where its path cannot be told, clients look for it on `PATH`.
pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().ok();
    path.and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| "fleetwright".to_owned())
}
