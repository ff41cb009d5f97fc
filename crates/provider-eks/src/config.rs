//! From a declaration to the cloud's requests. Pure; reports all problems at once, each at its field.
//!
//! A body is the JSON of the EKS request itself, in botocore's spelling. Keys that begin with `_` are notes of ours for
//! `diff` and `act`; [`fleetwright_provider::wire_request`] drops them:
//! - `_birth`: wire paths that are given at birth only, because nobody declared them;
//! - `_image`: `InWindow` when newer node images are rolled out;
//! - `_adopted`: the cluster must exist already, so what is absent was not decided by us;
//! - `_policies`: the access policies of an access entry, which EKS takes by calls of their own.

mod check;
mod cluster;
pub(crate) mod field;
mod limits;
mod parts;
mod patch;
mod pools;

use std::collections::BTreeMap;

use fleetwright_api_types::{Adoption, EksSpec, ManagedCluster};
use fleetwright_names::{EksClusterName, ObjectKey, eks_cluster_name};
use fleetwright_plan::{Address, DesiredCluster, Problem};
use fleetwright_provider::Asked;
use serde_json::Value;

use check::Check;
pub(crate) use check::{is_region, suffix};

/// The key of this provider, and the name of its block in `ManagedCluster.spec`.
pub const KEY: &str = "eks";

/// Note: wire paths that are given at birth only.
pub(crate) const BIRTH: &str = "_birth";
/// Note: the control plane is adopted, not made.
pub(crate) const ADOPTED: &str = "_adopted";
/// Note: whether newer node images are rolled out.
pub(crate) const IMAGE: &str = "_image";
/// Note: the access policies of an access entry.
pub(crate) const POLICIES: &str = "_policies";
/// Value of [`IMAGE`].
pub(crate) const IN_WINDOW: &str = "InWindow";

/// Where the cluster is: what was observed wins over what is declared.
pub(crate) fn address(cluster: &ManagedCluster) -> Option<Address> {
    let status = cluster.status.as_ref();
    let observed = status
        .filter(|status| status.provider.as_deref().is_none_or(|provider| provider == KEY))
        .and_then(|status| status.observed.as_ref());
    let eks = cluster.spec.eks.as_ref();
    let region = observed
        .and_then(|seen| seen.region.clone())
        .or_else(|| Some(eks?.region.clone()))
        .filter(|region| is_region(region))?;
    let external_name = match observed.and_then(|seen| seen.external_name.clone()) {
        Some(name) => EksClusterName::new(name).ok()?,
        None => declared_name(cluster, eks?).ok()?,
    };
    Some(Address {
        provider: KEY,
        provider_config: observed
            .and_then(|seen| seen.provider_config.clone())
            .unwrap_or_else(|| cluster.spec.provider_config_ref.name.clone()),
        region,
        external_name: external_name.as_str().to_owned(),
        site: String::new(),
    })
}

fn declared_name(cluster: &ManagedCluster, eks: &EksSpec) -> Result<EksClusterName, Problem> {
    let (field, name) = match &eks.external_name {
        Some(name) => ("spec.eks.externalName", EksClusterName::new(name)),
        None => {
            let namespace = cluster.metadata.namespace.clone().unwrap_or_default();
            let name = cluster.metadata.name.clone().unwrap_or_default();
            ("metadata.name", eks_cluster_name(&ObjectKey::namespaced(namespace, name)))
        }
    };
    name.map_err(|error| Problem::new(field, error.to_string()))
}

/// What every request of one cluster shares.
struct Shared<'a> {
    eks: &'a EksSpec,
    name: &'a str,
    tags: &'a BTreeMap<String, String>,
}

/// Parses the whole declaration.
pub(crate) fn desire(asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
    let mut check = Check::default();
    let spec = &asked.cluster.spec;
    let Some(eks) = &spec.eks else {
        return Err(vec![Problem::new("spec.eks", "is missing; this cluster's provider needs it")]);
    };
    check.account(&asked);
    let version = check.version(&spec.version);
    let name = check.keep(declared_name(asked.cluster, eks));
    check.region(eks, asked.account);
    let tags = check.tags(&asked);
    let external_name = name.map(|name| name.as_str().to_owned()).unwrap_or_default();
    let shared = Shared { eks, name: &external_name, tags: &tags };
    let mut body = cluster::body(&mut check, &shared, &spec.version);
    if spec.adoption == Some(Adoption::Existing) {
        body[ADOPTED] = Value::Bool(true);
    }
    let pools = pools::pools(&mut check, &shared, &spec.node_pools);
    let parts = parts::parts(&mut check, &shared);
    check.limits(asked.account, spec, (&body, &pools, &parts));
    let (Some(version), true) = (version, check.problems.is_empty()) else {
        return Err(check.problems);
    };
    Ok(DesiredCluster {
        owner: asked.owner.clone(),
        generation: asked.cluster.metadata.generation.unwrap_or_default(),
        address: Address {
            provider: KEY,
            provider_config: spec.provider_config_ref.name.clone(),
            region: eks.region.clone(),
            external_name: external_name.clone(),
            site: String::new(),
        },
        version,
        body,
        pools,
        parts,
        tags: tags.clone(),
    })
}
