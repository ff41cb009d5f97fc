//! Problems collected while values are parsed, and the rules that several requests share.

use std::collections::BTreeSet;

use fleetwright_api_types::{AksSpec, AzureCloud, ProviderConfig};
use fleetwright_plan::{KubernetesVersion, Problem};
use fleetwright_provider::Asked;

use crate::place::{BadPlace, Place};

/// A subscription and names that are right, to judge the other parts of a place alone.
const SOME_SUBSCRIPTION: &str = "00000000-0000-0000-0000-000000000000";
const SOME_NAME: &str = "x";

/// Azure's names of regions, without spaces and in lower case. Also keeps them fit for a path.
pub(crate) fn is_location(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// Eight, four, four, four and twelve hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths: Vec<usize> = text.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// The parts of `/subscriptions/S/resourceGroups/G/providers/NAMESPACE/TYPE/NAME[/TYPE/NAME]`; its fixed words may be in any
/// case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ResourceId<'a> {
    pub(super) subscription: &'a str,
    /// For example `Microsoft.Network/virtualNetworks/subnets`.
    pub(super) kind: String,
    /// The names, outermost first.
    pub(super) names: Vec<&'a str>,
}

impl<'a> ResourceId<'a> {
    pub(super) fn parse(text: &'a str) -> Option<Self> {
        let parts: Vec<&str> = text.strip_prefix('/')?.split('/').collect();
        let [subscriptions, subscription, groups, group, providers, namespace, rest @ ..] =
            parts.as_slice()
        else {
            return None;
        };
        let words = [
            (subscriptions, "subscriptions"),
            (groups, "resourceGroups"),
            (providers, "providers"),
        ];
        let known = words.iter().all(|(found, word)| found.eq_ignore_ascii_case(word));
        let pairs = !rest.is_empty() && rest.len() % 2 == 0;
        let full = parts.iter().all(|part| !part.is_empty() && *part != "." && *part != "..");
        let rooted = is_uuid(subscription) && !group.is_empty();
        if !(known && pairs && full && rooted) {
            return None;
        }
        let kinds: Vec<&str> = rest.iter().copied().step_by(2).collect();
        Some(Self {
            subscription,
            kind: format!("{namespace}/{}", kinds.join("/")),
            names: rest.iter().copied().skip(1).step_by(2).collect(),
        })
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }
}

/// Kinds of resources that a declaration names.
pub(super) const IDENTITY: &str = "Microsoft.ManagedIdentity/userAssignedIdentities";
pub(super) const SUBNET: &str = "Microsoft.Network/virtualNetworks/subnets";
pub(super) const DNS_ZONE: &str = "Microsoft.Network/privateDnsZones";
pub(super) const DISK_ENCRYPTION_SET: &str = "Microsoft.Compute/diskEncryptionSets";

/// Collects problems.
#[derive(Debug, Default)]
pub(super) struct Check {
    pub(super) problems: Vec<Problem>,
}

impl Check {
    pub(super) fn that(&mut self, holds: bool, field: &str, message: impl FnOnce() -> String) {
        if !holds {
            self.problems.push(Problem::new(field, message()));
        }
    }

    pub(super) fn keep<T>(&mut self, parsed: Result<T, Problem>) -> Option<T> {
        parsed.map_err(|problem| self.problems.push(problem)).ok()
    }

    /// The id of a resource of this kind.
    pub(super) fn resource(&mut self, field: &str, text: &str, kind: &str) {
        let fits = ResourceId::parse(text).is_some_and(|id| id.is(kind));
        self.that(fits, field, || {
            let (namespace, types) = kind.split_once('/').unwrap_or((kind, ""));
            let path = types.split('/').map(|kind| format!("{kind}/<name>"));
            let path = path.collect::<Vec<_>>().join("/");
            format!(
                "{text:?} is not the id of such a resource; write it like \
                 /subscriptions/<id>/resourceGroups/<group>/providers/{namespace}/{path}"
            )
        });
    }

    pub(super) fn uuid(&mut self, field: &str, text: &str) {
        self.that(is_uuid(text), field, || {
            format!(
                "{text:?} is not an id of Entra; write it like 11111111-1111-1111-1111-111111111111"
            )
        });
    }

    /// A list whose entries must differ, whatever their case.
    pub(super) fn distinct<'a>(&mut self, field: &str, entries: impl Iterator<Item = &'a str>) {
        let mut seen = BTreeSet::new();
        for entry in entries {
            self.that(!entry.is_empty(), field, || "holds an empty entry".into());
            let new = seen.insert(entry.to_ascii_lowercase());
            self.that(new, field, || format!("{entry:?} stands there twice"));
        }
    }

    pub(super) fn account(&mut self, asked: &Asked<'_>) {
        let name = &asked.cluster.spec.provider_config_ref.name;
        self.that(asked.account.spec.azure.is_some(), "spec.providerConfigRef", || {
            format!("ProviderConfig {name} has no azure block, which an AKS cluster needs")
        });
    }

    /// Subscription, group and name, each judged for itself; the name was judged before.
    pub(super) fn place(&mut self, aks: &AksSpec, name: &str) -> Option<Place> {
        let (subscription, group) = (&aks.subscription_id, &aks.resource_group);
        let parts = [
            ("spec.aks.subscriptionId", Place::new(subscription, SOME_NAME, SOME_NAME)),
            ("spec.aks.resourceGroup", Place::new(SOME_SUBSCRIPTION, group, SOME_NAME)),
        ];
        for (field, part) in parts {
            self.keep(part.map_err(|bad: BadPlace| Problem::new(field, bad.to_string())));
        }
        Place::new(subscription, group, name).ok()
    }

    /// The region, and that it is one of the account's cloud.
    pub(super) fn location(&mut self, aks: &AksSpec, account: &ProviderConfig) {
        let location = &aks.location;
        let field = "spec.aks.location";
        if !is_location(location) {
            self.that(false, field, || {
                format!(
                    "{location:?} is not an Azure region; write it like westeurope, without spaces"
                )
            });
            return;
        }
        let Some(azure) = &account.spec.azure else { return };
        let of = if location.starts_with("china") {
            AzureCloud::China
        } else if location.starts_with("usgov") || location.starts_with("usdod") {
            AzureCloud::UsGovernment
        } else {
            AzureCloud::Public
        };
        let declared = azure.cloud.unwrap_or(AzureCloud::Public);
        self.that(of == declared, field, || {
            format!("{location} is in Azure's cloud {of:?}, the ProviderConfig in {declared:?}")
        });
    }

    pub(super) fn version(&mut self, text: &str) -> Option<KubernetesVersion> {
        let field = "spec.version";
        let version = self.keep(KubernetesVersion::parse(field, text))?;
        // AKS takes a minor and chooses the patch itself.
        self.that(version.major == 1 && version.to_string() == text, field, || {
            format!("{text:?} is not MAJOR.MINOR; write it like 1.34, AKS chooses the patch")
        });
        Some(version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_whatever_the_case_of_its_fixed_words() {
        let id = "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourcegroups/net/providers/\
                  microsoft.network/virtualNetworks/hub/subnets/nodes";
        let read = ResourceId::parse(id).expect("an id");
        assert!(read.is(SUBNET) && !read.is(IDENTITY));
        assert_eq!(read.names, ["hub", "nodes"]);
        assert_eq!(read.subscription, "0b1f6471-1bf0-4dda-aec3-cb9272f09590");
    }

    #[test]
    fn what_is_no_id_is_not_read() {
        for bad in [
            "",
            "/subscriptions/x/resourceGroups/g/providers/Microsoft.Network/virtualNetworks/hub",
            "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/g",
            "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/../providers/A/b/c",
            "/subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/g/providers/A/b/c/d",
            "subscriptions/0b1f6471-1bf0-4dda-aec3-cb9272f09590/resourceGroups/g/providers/A/b/c",
        ] {
            assert_eq!(ResourceId::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_location_is_written_without_spaces() {
        assert!(is_location("westeurope") && is_location("eastus2"));
        assert!(!is_location("West Europe") && !is_location("") && !is_location("a/b"));
    }
}
