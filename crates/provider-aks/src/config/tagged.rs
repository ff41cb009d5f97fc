//! Tags: those of the account, of the object, and whose it is, within Azure's rules for names and values.

use std::collections::BTreeMap;

use fleetwright_provider::Asked;

use super::check::Check;
use crate::tags::name_in_azure;

/// Ours, above the wire and below it; what AKS itself puts on what it makes.
const RESERVED: [&str; 3] = ["fleetwright.dev/", "fleetwright.dev_", "aks-managed-"];
/// Azure Resource Manager, "Use tags to organize your Azure resources", limitations.
const FORBIDDEN: [char; 7] = ['<', '>', '%', '&', '\\', '?', '/'];
/// The same page: names that begin so are Azure's own.
const AZURES: [&str; 3] = ["microsoft", "azure", "windows"];
const NAME_LIMIT: usize = 512;
const VALUE_LIMIT: usize = 256;
/// One of Azure's fifty is kept for the tag of a node pool.
const TAGS_LIMIT: usize = 49;

impl Check {
    /// All tags together; a cluster's own win over its account's, and ownership over both. Azure compares names without
    /// regard to case.
    pub(super) fn tags(&mut self, asked: &Asked<'_>) -> BTreeMap<String, String> {
        let account = &asked.cluster.spec.provider_config_ref.name;
        for (name, value) in &asked.account.spec.default_tags {
            let what = format!("ProviderConfig {account}, defaultTags[{name}]: ");
            self.tag("spec.providerConfigRef", &what, (name, value));
        }
        for (name, value) in &asked.cluster.spec.tags {
            self.tag(&format!("spec.tags[{name}]"), "", (name, value));
        }
        let own = &asked.cluster.spec.tags;
        self.distinct("spec.tags", own.keys().map(String::as_str));
        let overridden = |name: &str| own.keys().any(|own| own.eq_ignore_ascii_case(name));
        let defaults = asked.account.spec.default_tags.iter();
        let mut tags: BTreeMap<String, String> = defaults
            .filter(|(name, _)| !overridden(name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        tags.extend(own.clone());
        tags.extend(asked.owner.tags());
        self.that(tags.len() <= TAGS_LIMIT, "spec.tags", || {
            format!(
                "{} tags with those of the account and ours; {TAGS_LIMIT} are allowed",
                tags.len()
            )
        });
        let object = asked.owner.object.to_string();
        self.that(object.chars().count() <= VALUE_LIMIT, "metadata.name", || {
            format!(
                "namespace/name is longer than {VALUE_LIMIT} characters, too long for an Azure tag"
            )
        });
        tags
    }

    fn tag(&mut self, field: &str, what: &str, (name, value): (&str, &str)) {
        let low = name.to_ascii_lowercase();
        let reserved = RESERVED.iter().find(|prefix| low.starts_with(*prefix));
        if let Some(prefix) = reserved {
            self.that(false, field, || {
                format!("{what}names that begin with {prefix} are reserved")
            });
            return;
        }
        let azures = AZURES.iter().find(|prefix| low.starts_with(*prefix));
        self.that(azures.is_none(), field, || {
            format!("{what}Azure keeps names that begin with {} for itself", azures.unwrap_or(&""))
        });
        let bad = name_in_azure(name).chars().find(|c| FORBIDDEN.contains(c));
        self.that(bad.is_none(), field, || {
            format!("{what}Azure refuses {} in a tag's name", bad.unwrap_or_default())
        });
        self.that((1..=NAME_LIMIT).contains(&name.chars().count()), field, || {
            format!("{what}a tag's name has 1 to {NAME_LIMIT} characters")
        });
        self.that(value.chars().count() <= VALUE_LIMIT, field, || {
            format!("{what}a tag's value has at most {VALUE_LIMIT} characters")
        });
    }
}
