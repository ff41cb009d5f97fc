//! Names and ownership: newtypes whose constructors know the charset and the length, and the tags that say whose a
//! cloud resource is.
//!
//! Nothing here talks to anybody. Start at [`Owner`], the most important rule of the project: everything we make in a
//! cloud carries the hub, the object and its uid, so that it can be found again by anyone who lost all other state.

mod derive;
mod glob;
mod owner;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use derive::{aks_cluster_name, eks_cluster_name, network_policy_name};
pub use glob::glob;
pub use owner::{Owner, Ownership, TAG_HUB, TAG_OBJECT, TAG_POOL, TAG_RELEASED, TAG_UID};

/// Why a name was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {value:?} {rule}")]
pub struct NameError {
    what: &'static str,
    value: String,
    rule: &'static str,
}

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Checks charset and length.
            ///
            /// # Errors
            #[doc = concat!("When the value ", $rule, " does not hold.")]
            pub fn new(value: impl Into<String>) -> Result<Self, NameError> {
                let value = value.into();
                let check: fn(&str) -> bool = $check;
                if check(&value) { Ok(Self(value)) } else { Err(NameError { what: $what, value, rule: $rule }) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
            }
        }
    };
}

newtype!(
    /// The uid of a Kubernetes object: up to 64 characters of hexadecimal digits and dashes.
    Uid, "uid", |v| within(v, 1, 64) && v.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
    "must be 1 to 64 hexadecimal digits and dashes"
);
newtype!(
    /// Which hub this is. Born once, kept in the hub's own ConfigMap, written into every cloud tag.
    HubId, "hub id", |v| within(v, 1, 64) && v.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-'),
    "must be 1 to 64 hexadecimal digits and dashes"
);
newtype!(
    /// The name of a node pool, unique within its cluster; also the name of the EKS node group (at most 63 characters).
    PoolName, "node pool name", |v| within(v, 1, 63) && dns_label(v),
    "must be a DNS label: lower-case letters, digits and inner dashes, at most 63"
);
newtype!(
    /// The name of an EKS cluster: `^[0-9A-Za-z][A-Za-z0-9_-]*$`, at most 100 characters (EKS API reference, `CreateCluster`).
    EksClusterName, "EKS cluster name",
    |v| within(v, 1, 100) && v.as_bytes()[0].is_ascii_alphanumeric()
        && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "must start with a letter or digit and hold only letters, digits, - and _, at most 100"
);

newtype!(
    /// The name of an AKS cluster: letters, digits, `-` and `_`, with a letter or digit at both ends, at most 63 characters
    /// (Azure's resource name rules, `Microsoft.ContainerService/managedClusters`).
    AksClusterName, "AKS cluster name",
    |v| within(v, 1, 63) && v.as_bytes()[0].is_ascii_alphanumeric() && v.as_bytes()[v.len() - 1].is_ascii_alphanumeric()
        && v.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
    "must start and end with a letter or digit and hold only letters, digits, - and _, at most 63"
);

fn within(value: &str, least: usize, most: usize) -> bool {
    (least..=most).contains(&value.len())
}

fn dns_label(value: &str) -> bool {
    let inner = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    value.bytes().all(inner) && !value.starts_with('-') && !value.ends_with('-')
}

/// Namespace and name of a Kubernetes object. Cluster-scoped objects have an empty namespace.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectKey {
    /// The namespace; empty for a cluster-scoped object.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl ObjectKey {
    /// The key of a namespaced object.
    #[must_use]
    pub fn namespaced(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// The key of a cluster-scoped object.
    #[must_use]
    pub fn cluster_scoped(name: impl Into<String>) -> Self {
        Self { namespace: String::new(), name: name.into() }
    }

    /// Reads `namespace/name`, or `name` for a cluster-scoped object.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text.split_once('/') {
            Some((namespace, name)) => Self::namespaced(namespace, name),
            None => Self::cluster_scoped(text),
        }
    }
}

impl fmt::Display for ObjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

/// SHA-256 of some bytes, as 64 hexadecimal digits.
#[must_use]
pub fn sha256_hex(bytes: impl AsRef<[u8]>) -> String {
    Sha256::digest(bytes.as_ref()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_the_cloud_would_refuse() {
        assert!(PoolName::new("general-2").is_ok());
        for bad in ["", "-a", "a-", "A", "a_b", &"a".repeat(64)] {
            assert!(PoolName::new(bad).is_err(), "{bad:?} should be refused");
        }
        assert!(EksClusterName::new("Payments_EU-01").is_ok());
        for bad in ["", "-a", "a/b", "a..", &"a".repeat(101)] {
            assert!(EksClusterName::new(bad).is_err(), "{bad:?} should be refused");
        }
    }

    #[test]
    fn a_refusal_names_the_value_and_the_rule() {
        let text = PoolName::new("Web").expect_err("upper case").to_string();
        assert_eq!(
            text,
            r#"node pool name "Web" must be a DNS label: lower-case letters, digits and inner dashes, at most 63"#
        );
    }

    #[test]
    fn keys_print_and_parse() {
        let key = ObjectKey::namespaced("payments", "payments-eu");
        assert_eq!(key.to_string(), "payments/payments-eu");
        assert_eq!(ObjectKey::parse("payments/payments-eu"), key);
        assert_eq!(ObjectKey::parse("baseline"), ObjectKey::cluster_scoped("baseline"));
    }
}
