//! The logic behind the program's commands: reading manifests, applying them, saying what is ready, previewing a plan.
//!
//! It knows neither flags nor terminals nor sockets: the program hands it texts and `kube::Client`s and prints what it
//! gets back. It decides nothing about clusters either; that is `plan`, reached through `controllers`. Start at
//! [`manifest::parse`] for what comes in, [`preview`] for what `fleetwright plan` says, [`standing`] for what
//! `fleetwright up` says, [`why`] and [`effective`] for what explains a cluster.

mod advice;
pub mod apply;
pub mod check;
pub mod effective;
pub mod fleet;
pub mod forget;
pub mod hosts;
mod located;
pub mod manifest;
pub mod next;
pub mod preview;
pub mod read_only;
pub mod record;
pub mod render;
mod since;
pub mod standing;
mod suggest;
pub mod table;
pub mod why;
pub mod yaml;

use fleetwright_apiserver_core::scheme::{Scheme, SchemeError};

/// The kinds of a hub: the built-in ones and ours.
///
/// # Errors
/// When one of our own CRDs cannot be served, which is a mistake of ours.
pub fn hub_scheme() -> Result<Scheme, SchemeError> {
    fleetwright_api_types::crds()
        .iter()
        .try_fold(Scheme::builtin(), |scheme, (_, crd)| scheme.with_crd(crd))
}
