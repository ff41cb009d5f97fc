//! What EKS refuses before it looks at any state.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::EksClusterName;
use serde::de::DeserializeOwned;

use super::answer::EksError;
use super::shapes::EncryptionConfig;
use crate::sigv4::Scope;

/// The minor versions that the simulated EKS offers.
pub(super) const VERSIONS: std::ops::RangeInclusive<u32> = 30..=36;
const MAX_TAGS: usize = 50;

/// The signature must be for the service that is asked, in something that looks like a region.
pub(super) fn scope(scope: &Scope, service: &str) -> Result<(), EksError> {
    if scope.service != service {
        let message = format!(
            "Credential should be scoped to correct service: '{service}', not '{}'.",
            scope.service
        );
        return Err(EksError::wrong_scope(message));
    }
    let parts: Vec<&str> = scope.region.split('-').collect();
    let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
    let number = |part: &&str| part.len() == 1 && part.bytes().all(|b| b.is_ascii_digit());
    let known = match parts.as_slice() {
        [words @ .., last] => words.len() >= 2 && words.iter().all(word) && number(last),
        [] => false,
    };
    if known && scope.region.len() <= 20 {
        return Ok(());
    }
    Err(EksError::wrong_scope(format!(
        "Credential should be scoped to a valid region, not '{}'.",
        scope.region
    )))
}

/// Reads a body. Fields that are not simulated are refused, so that nobody believes they had an effect.
pub(super) fn body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, EksError> {
    serde_json::from_slice(bytes).map_err(|error| {
        EksError::invalid_parameter(format!(
            "The body cannot be read, or names what is not simulated: {error}."
        ))
    })
}

pub(super) fn cluster_name(name: &str) -> Result<(), EksError> {
    match EksClusterName::new(name) {
        Ok(_) => Ok(()),
        Err(_) => Err(EksError::invalid_parameter(format!(
            "The provided cluster name '{name}' must start with a letter or digit, continue with those, '-' and '_', \
             and have at most 100 characters."
        ))),
    }
}

/// Networks as EKS takes them.
pub(super) fn cidrs(cidrs: &[String]) -> Result<(), EksError> {
    let formed = |cidr: &str| {
        let (address, bits) = cidr.split_once('/')?;
        let address: std::net::IpAddr = address.parse().ok()?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        bits.parse::<u8>().ok().filter(|bits| *bits <= most)
    };
    match cidrs.iter().find(|cidr| formed(cidr).is_none()) {
        Some(cidr) => Err(EksError::invalid_parameter(format!(
            "The following CIDRs are invalid in publicAccessCidrs: [{cidr}]"
        ))),
        None => Ok(()),
    }
}

/// Only secrets can be encrypted, with one key.
pub(super) fn encryption(configs: &[EncryptionConfig]) -> Result<(), EksError> {
    let formed = |config: &EncryptionConfig| {
        let key = config.provider.as_ref().and_then(|provider| provider.key_arn.as_deref());
        config.resources.as_deref() == Some(&["secrets".to_owned()])
            && key.is_some_and(|key| key.starts_with("arn:aws") && key.contains(":kms:"))
    };
    match configs {
        [config] if formed(config) => Ok(()),
        _ => Err(EksError::invalid_parameter(
            "There must be one encryptionConfig, for the resources [secrets] and with the ARN of a KMS key.",
        )),
    }
}

pub(super) fn nodegroup_name(name: &str) -> Result<(), EksError> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let starts = name.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
    if starts && name.len() <= 63 && name.bytes().all(inner) {
        return Ok(());
    }
    Err(EksError::invalid_parameter(format!(
        "The provided node group name '{name}' must start with a letter or digit, continue with those, '-' and '_', \
         and have at most 63 characters."
    )))
}

/// `1.30` to `1.36`.
pub(super) fn version(version: &str) -> Result<u32, EksError> {
    let minor = version
        .strip_prefix("1.")
        .filter(|minor| minor.len() == 2)
        .and_then(|minor| minor.parse().ok());
    minor.filter(|minor| VERSIONS.contains(minor)).ok_or_else(|| {
        EksError::invalid_parameter(format!("unsupported Kubernetes version: {version}"))
    })
}

pub(super) fn role(arn: &str) -> Result<(), EksError> {
    let role = match arn.split(':').collect::<Vec<_>>().as_slice() {
        ["arn", partition, "iam", "", account, role] if partition.starts_with("aws") => {
            let digits = account.len() == 12 && account.bytes().all(|b| b.is_ascii_digit());
            role.strip_prefix("role/").filter(|_| digits)
        }
        _ => None,
    };
    match role {
        Some(name) if !name.is_empty() => Ok(()),
        _ => Err(EksError::invalid_parameter(format!("Invalid role ARN: '{arn}'."))),
    }
}

pub(super) fn subnets(ids: &[String], at_least: usize) -> Result<(), EksError> {
    let formed = |id: &str| {
        let rest = id.strip_prefix("subnet-").unwrap_or_default();
        !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    if let Some(id) = ids.iter().find(|id| !formed(id)) {
        return Err(EksError::invalid_parameter(format!("The subnet ID '{id}' does not exist.")));
    }
    let different: BTreeSet<&String> = ids.iter().collect();
    if different.len() < ids.len() {
        return Err(EksError::invalid_parameter("Subnets must be given once each."));
    }
    if ids.len() < at_least {
        return Err(EksError::invalid_parameter(format!(
            "Subnets specified must be in at least {at_least} different AZs; there are {} of them.",
            ids.len()
        )));
    }
    Ok(())
}

pub(super) fn tags(tags: &BTreeMap<String, String>) -> Result<(), String> {
    if tags.len() > MAX_TAGS {
        return Err(format!("A resource can have at most {MAX_TAGS} tags, not {}.", tags.len()));
    }
    for (key, value) in tags {
        if key.is_empty() || key.chars().count() > 128 || value.chars().count() > 256 {
            return Err(format!(
                "The tag '{key}' is too long: keys have 1 to 128 characters, values at most 256."
            ));
        }
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(format!("The tag '{key}' has a prefix that is reserved for AWS."));
        }
    }
    Ok(())
}

/// Keys and values of node labels, by the syntax of Kubernetes.
pub(super) fn labels(labels: &BTreeMap<String, String>) -> Result<(), EksError> {
    let inner = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let ends = |b: Option<u8>| b.is_some_and(|b| b.is_ascii_alphanumeric());
    let word = |text: &str| {
        text.len() <= 63
            && text.bytes().all(inner)
            && ends(text.bytes().next())
            && ends(text.bytes().last())
    };
    for (key, value) in labels {
        let (prefix, name) = key.rsplit_once('/').unwrap_or(("", key));
        if !word(name) || !(value.is_empty() || word(value)) {
            return Err(EksError::invalid_parameter(format!(
                "The label '{key}={value}' is not a valid label."
            )));
        }
        if prefix == "eks.amazonaws.com" {
            return Err(EksError::invalid_parameter(format!(
                "The label '{key}' has a reserved prefix."
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(result: Result<(), EksError>) -> String {
        result.map_or_else(|error| error.message, |()| "fine".to_owned())
    }

    #[test]
    fn roles_are_arns_of_roles() {
        assert_eq!(said(role("arn:aws:iam::111122223333:role/cluster")), "fine");
        assert_eq!(said(role("arn:aws-us-gov:iam::111122223333:role/path/cluster")), "fine");
        for bad in ["", "cluster", "arn:aws:iam::1:role/x", "arn:aws:iam::111122223333:user/x"] {
            assert_eq!(said(role(bad)), format!("Invalid role ARN: '{bad}'."));
        }
    }

    #[test]
    fn only_known_versions_are_offered() {
        assert_eq!(version("1.30").expect("known"), 30);
        for bad in ["1.29", "1.37", "1.034", "1.34.1", "v1.34", ""] {
            assert_eq!(version(bad).expect_err(bad).code, "InvalidParameterException");
        }
    }

    #[test]
    fn a_region_has_two_words_and_a_number() {
        let named = |region: &str| Scope { region: region.to_owned(), service: "eks".to_owned() };
        for good in ["eu-central-1", "us-gov-east-1"] {
            assert_eq!(said(scope(&named(good), "eks")), "fine");
        }
        for bad in ["", "eu", "eu-1", "eu-central", "eu-central-1/x", "Eu-central-1"] {
            assert_eq!(scope(&named(bad), "eks").expect_err(bad).code, "InvalidSignatureException");
        }
    }

    #[test]
    fn labels_follow_kubernetes() {
        let one = |key: &str, value: &str| BTreeMap::from([(key.to_owned(), value.to_owned())]);
        assert_eq!(said(labels(&one("example.com/team", "a.b"))), "fine");
        assert_eq!(said(labels(&one("team", ""))), "fine");
        assert_eq!(said(labels(&one("team", "-a"))), "The label 'team=-a' is not a valid label.");
        let reserved = "The label 'eks.amazonaws.com/x' has a reserved prefix.";
        assert_eq!(said(labels(&one("eks.amazonaws.com/x", "1"))), reserved);
    }
}
