//! What differs between the real world and the simulated one.

use std::sync::Arc;

use fleetwright_controllers::Clouds;
use fleetwright_controllers::members::Connector;
use fleetwright_provider::Provider;
use fleetwright_provider_eks::KEY as EKS;
use fleetwright_providers::Providers;

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
    [EKS]
        .into_iter()
        .filter_map(|key| Some((key, Arc::clone(providers.get(key)?) as Arc<dyn Provider>)))
        .collect()
}

/// This program, for kubeconfigs. Where its path cannot be told, clients look for it on `PATH`.
pub(crate) fn this_program() -> String {
    let path = std::env::current_exe().ok();
    path.and_then(|path| path.to_str().map(str::to_owned))
        .unwrap_or_else(|| "fleetwright".to_owned())
}
