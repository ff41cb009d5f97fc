//! What the user asked for, after validation: values that cannot be wrong.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fleetwright_api_types::OnDrainTimeout;
use fleetwright_names::{Owner, PoolName};
use serde_json::Value;

use crate::{PartKey, Problem};

/// Where in a cloud a cluster lives: enough to find it again without its spec.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Address {
    /// Key of the provider, for example `eks`.
    pub provider: &'static str,
    /// Name of the ProviderConfig.
    pub provider_config: String,
    /// The cloud's region; empty where there are none.
    pub region: String,
    /// The cluster's name there.
    pub external_name: String,
    /// What else it takes to get there, in the provider's own words, for example a list of hosts. Holds no secret. Empty where
    /// region and name say it all.
    pub site: String,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { provider, region, external_name, .. } = self;
        if region.is_empty() {
            return write!(f, "{provider}:{external_name}");
        }
        write!(f, "{provider}:{region}/{external_name}")
    }
}

/// A Kubernetes version at minor precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct KubernetesVersion {
    /// 1 in `1.34`.
    pub major: u16,
    /// 34 in `1.34`.
    pub minor: u16,
}

impl KubernetesVersion {
    /// Reads `1.34`, `v1.34`, `1.34.2` or `v1.34.2+k3s1`; more than the minor is ignored.
    ///
    /// # Errors
    /// When the text does not start with two numbers.
    pub fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let mut parts = text.strip_prefix('v').unwrap_or(text).split(['.', '+', '-']);
        let mut number = || parts.next().and_then(|part| part.parse::<u16>().ok());
        match (number(), number()) {
            (Some(major), Some(minor)) => Ok(Self { major, minor }),
            _ => Err(Problem::new(
                field,
                format!("{text:?} is not a Kubernetes version; write it like 1.34"),
            )),
        }
    }
}

impl KubernetesVersion {
    /// The next minor towards `target`, or `None` when that is not ahead.
    #[must_use]
    pub fn next_towards(self, target: Self) -> Option<Self> {
        (self.major == target.major && self.minor < target.minor)
            .then(|| Self { major: self.major, minor: self.minor + 1 })
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A cluster as the provider will ask the cloud for it.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredCluster {
    /// Whose it is.
    pub owner: Owner,
    /// The generation of the object that says so.
    pub generation: i64,
    /// Where it shall live.
    pub address: Address,
    /// The declared version.
    pub version: KubernetesVersion,
    /// The cloud's create request, in the provider's own JSON; opaque here.
    pub body: Value,
    /// Its pools, sorted by name.
    pub pools: Vec<DesiredPool>,
    /// Its further parts, sorted by key.
    pub parts: Vec<DesiredPart>,
    /// Every tag that our resources bear: of the account, of the object, and whose they are.
    pub tags: BTreeMap<String, String>,
}

/// A further part of a cluster as the provider will ask the cloud for it.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredPart {
    /// What it is.
    pub key: PartKey,
    /// The cloud's create request, in the provider's own JSON; opaque here.
    pub body: Value,
}

/// A node pool as the provider will ask the cloud for it.
#[derive(Debug, Clone, PartialEq)]
pub struct DesiredPool {
    /// Its name.
    pub name: PoolName,
    /// How long its pods are asked to leave when it goes for a successor.
    pub drain_timeout: Duration,
    /// What follows when they do not.
    pub on_drain_timeout: OnDrainTimeout,
    /// The cloud's create request, in the provider's own JSON; opaque here.
    pub body: Value,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        let parse = |text| KubernetesVersion::parse("spec.version", text).expect(text);
        assert!(parse("1.9") < parse("1.34"));
        assert_eq!(parse("v1.34.2+k3s1"), parse("1.34"));
    }

    #[test]
    fn nonsense_is_refused_with_its_field() {
        let problem = KubernetesVersion::parse("spec.version", "latest").expect_err("no version");
        assert_eq!(
            problem.to_string(),
            r#"spec.version: "latest" is not a Kubernetes version; write it like 1.34"#
        );
    }
}
