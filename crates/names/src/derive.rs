//! Names that we derive: the same input always gives the same name, so that a create that was cut off is found again.

use crate::{AksClusterName, EksClusterName, NameError, ObjectKey, sha256_hex};

/// The EKS name of a cluster whose spec gives none: `namespace-name-hhhhhh`.
///
/// The six digits are the start of the SHA-256 of `namespace/name`, so that `a-b/c` and `a/b-c` differ. Names that would
/// pass 100 characters lose their middle, never the digits.
///
/// # Errors
/// When the parts hold characters that EKS refuses.
pub fn eks_cluster_name(key: &ObjectKey) -> Result<EksClusterName, NameError> {
    EksClusterName::new(readable(key, 100))
}

/// The AKS name of a cluster whose spec gives none: as for EKS, within AKS's 63 characters.
///
/// # Errors
/// When the parts hold characters that AKS refuses.
pub fn aks_cluster_name(key: &ObjectKey) -> Result<AksClusterName, NameError> {
    AksClusterName::new(readable(key, 63))
}

fn readable(key: &ObjectKey, most: usize) -> String {
    let hash = &sha256_hex(key.to_string())[..6];
    let readable: String = format!("{}-{}", key.namespace, key.name).replace('.', "-");
    let kept: String = readable.chars().take(most - 1 - hash.len()).collect();
    format!("{kept}-{hash}")
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

    #[test]
    fn an_aks_name_fits_sixty_three() {
        let key = ObjectKey::namespaced("n".repeat(63), "c".repeat(120));
        let name = aks_cluster_name(&key).expect("valid");
        assert_eq!(name.as_str().len(), 63);
        let short = aks_cluster_name(&ObjectKey::namespaced("retail", "retail-we"));
        assert_eq!(short.expect("valid").as_str(), "retail-retail-we-303633");
    }
}
