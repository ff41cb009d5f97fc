//! From a declaration to Azure's requests. Pure; reports all problems at once, each at its field.
//!
//! A body is the JSON of the `PUT` itself, at the provider's own API version: what the models of
//! `azure_mgmt_containerservice` know is built with them, the rest is merged in. Keys that begin with `_` are notes of ours
//! for `diff`, `observe` and `act`; [`fleetwright_provider::wire_request`] drops them:
//! - `_birth`: wire paths that are given at birth only, because nobody declared them;
//! - `_image`: `InWindow` when newer node images are rolled out;
//! - `_adopted`: the cluster must exist already, so what is absent was not decided by us;
//! - `_maintenanceDeclared`: the declared maintenance configurations are all that there shall be.

mod add_ons;
mod check;
mod cluster;
pub(crate) mod field;
mod limits;
mod network;
mod parts;
mod patch;
mod pools;
mod ranges;
mod rules;
mod tagged;
mod upgrades;

use std::collections::BTreeMap;

use fleetwright_api_types::{Adoption, AksSpec, ManagedCluster};
use fleetwright_names::{AksClusterName, ObjectKey, aks_cluster_name};
use fleetwright_plan::{Address, DesiredCluster, Problem};
use fleetwright_provider::Asked;
use serde_json::Value;

use crate::place::Place;
use check::{Check, is_location};
pub(crate) use ranges::mask;

/// The key of this provider, and the name of its block in `ManagedCluster.spec`.
pub const KEY: &str = "aks";

/// Note: wire paths that are given at birth only.
pub(crate) const BIRTH: &str = "_birth";
/// Note: the control plane is adopted, not made.
pub(crate) const ADOPTED: &str = "_adopted";
/// Note: whether newer node images are rolled out.
pub(crate) const IMAGE: &str = "_image";
/// Note: a maintenance configuration that is not declared shall not be.
pub(crate) const MAINTENANCE_DECLARED: &str = "_maintenanceDeclared";
/// Value of [`IMAGE`].
pub(crate) const IN_WINDOW: &str = "InWindow";

/// Where the cluster is: what was observed wins over what is declared.
pub(crate) fn address(cluster: &ManagedCluster) -> Option<Address> {
    let status = cluster.status.as_ref();
    let observed = status
        .filter(|status| status.provider.as_deref().is_none_or(|provider| provider == KEY))
        .and_then(|status| status.observed.as_ref());
    let aks = cluster.spec.aks.as_ref();
    let region = observed
        .and_then(|seen| seen.region.clone())
        .or_else(|| Some(aks?.location.clone()))
        .filter(|location| is_location(location))?;
    let place = match observed.and_then(|seen| seen.external_name.as_deref()) {
        Some(text) => Place::parse(text).ok()?,
        None => {
            let name = declared_name(cluster, aks?).ok()?;
            Place::new(&aks?.subscription_id, &aks?.resource_group, name.as_str()).ok()?
        }
    };
    Some(Address {
        provider: KEY,
        provider_config: observed
            .and_then(|seen| seen.provider_config.clone())
            .unwrap_or_else(|| cluster.spec.provider_config_ref.name.clone()),
        region,
        external_name: place.to_string(),
        site: String::new(),
    })
}

fn declared_name(cluster: &ManagedCluster, aks: &AksSpec) -> Result<AksClusterName, Problem> {
    let (field, name) = match &aks.external_name {
        Some(name) => ("spec.aks.externalName", AksClusterName::new(name)),
        None => {
            let namespace = cluster.metadata.namespace.clone().unwrap_or_default();
            let name = cluster.metadata.name.clone().unwrap_or_default();
            ("metadata.name", aks_cluster_name(&ObjectKey::namespaced(namespace, name)))
        }
    };
    name.map_err(|error| Problem::new(field, error.to_string()))
}

/// What every request of one cluster shares.
struct Shared<'a> {
    aks: &'a AksSpec,
    name: &'a str,
    tags: &'a BTreeMap<String, String>,
    /// It must exist already: what is absent was not decided by us.
    adopted: bool,
}

/// Parses the whole declaration.
pub(crate) fn desire(asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
    let mut check = Check::default();
    let spec = &asked.cluster.spec;
    let Some(aks) = &spec.aks else {
        return Err(vec![Problem::new("spec.aks", "is missing; this cluster's provider needs it")]);
    };
    check.account(&asked);
    let version = check.version(&spec.version);
    let name = check.keep(declared_name(asked.cluster, aks));
    let name = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    let place = check.place(aks, &name);
    check.location(aks, asked.account);
    let tags = check.tags(&asked);
    let adopted = spec.adoption == Some(Adoption::Existing);
    let shared = Shared { aks, name: &name, tags: &tags, adopted };
    let pools = pools::pools(&mut check, &shared, &spec.node_pools);
    let mut body = cluster::body(&mut check, &shared, (&spec.version, &pools));
    if adopted {
        body[ADOPTED] = Value::Bool(true);
    }
    let parts = parts::parts(&mut check, aks);
    rules::hold(&mut check, spec, (aks, &body));
    check.limits(asked.account, spec, (&body, &pools));
    let (Some(version), Some(place), true) = (version, place, check.problems.is_empty()) else {
        return Err(check.problems);
    };
    Ok(DesiredCluster {
        owner: asked.owner.clone(),
        generation: asked.cluster.metadata.generation.unwrap_or_default(),
        address: Address {
            provider: KEY,
            provider_config: spec.provider_config_ref.name.clone(),
            region: aks.location.clone(),
            external_name: place.to_string(),
            site: String::new(),
        },
        version,
        body,
        pools,
        parts,
        tags,
    })
}
