//! Names that we derive: the same input always gives the same name, so that a create that was cut off is found again.

use crate::{EksClusterName, NameError, ObjectKey, sha256_hex};

/// The EKS name of a cluster whose spec gives none: `namespace-name-hhhhhh`.
///
/// The six digits are the start of the SHA-256 of `namespace/name`, so that `a-b/c` and `a/b-c` differ. Names that would
/// pass 100 characters lose their middle, never the digits.
///
/// # Errors
/// When the parts hold characters that EKS refuses.
pub fn eks_cluster_name(key: &ObjectKey) -> Result<EksClusterName, NameError> {
    let hash = &sha256_hex(key.to_string())[..6];
    let readable: String = format!("{}-{}", key.namespace, key.name).replace('.', "-");
    let kept: String = readable.chars().take(100 - 1 - hash.len()).collect();
    EksClusterName::new(format!("{kept}-{hash}"))
}

/// The name of the NetworkPolicy that denies one direction by default in a namespace.
#[must_use]
pub fn network_policy_name(direction: &str) -> String {
    format!("fleetwright-default-deny-{}", direction.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_keeps_look_alikes_apart() {
        let one = eks_cluster_name(&ObjectKey::namespaced("a-b", "c")).expect("valid");
        let two = eks_cluster_name(&ObjectKey::namespaced("a", "b-c")).expect("valid");
        assert_eq!(one.as_str(), "a-b-c-4e8471");
        assert_ne!(one, two);
    }

    #[test]
    fn a_long_name_fits_and_keeps_its_hash() {
        let key = ObjectKey::namespaced("n".repeat(63), "c".repeat(120));
        let name = eks_cluster_name(&key).expect("valid");
        assert_eq!(name.as_str().len(), 100);
        assert_eq!(&name.as_str()[94..], &sha256_hex(key.to_string())[..6]);
    }
}
