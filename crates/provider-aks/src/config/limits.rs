//! The account's limits, held against the final requests: whatever a patch has put into them counts too.

use fleetwright_api_types::{ManagedClusterSpec, Permission, ProviderConfig, ProviderLimits};
use fleetwright_plan::DesiredPool;
use serde_json::Value;

use super::check::{Check, IDENTITY, ResourceId};
use super::field;

/// Every request of one cluster that can name an identity; maintenance configurations cannot.
type Requests<'a> = (&'a Value, &'a [DesiredPool]);

impl Check {
    /// Holds the final requests against the account's limits.
    pub(super) fn limits(
        &mut self,
        account: &ProviderConfig,
        spec: &ManagedClusterSpec,
        (cluster, pools): Requests<'_>,
    ) {
        let (Some(limits), Some(aks)) = (&account.spec.limits, &spec.aks) else { return };
        let subscriptions = &limits.account_ids;
        let allowed = subscriptions.is_empty() || has(subscriptions, &aks.subscription_id);
        self.that(allowed, "spec.aks.subscriptionId", || {
            format!(
                "{} is not among the subscriptions of the account's limits: {}",
                aks.subscription_id,
                subscriptions.join(", ")
            )
        });
        let regions: Vec<String> = limits.regions.iter().map(|region| plain(region)).collect();
        let allowed = regions.is_empty() || regions.contains(&plain(&aks.location));
        self.that(allowed, "spec.aks.location", || {
            format!(
                "{} is not among the regions of the account's limits: {}",
                aks.location,
                limits.regions.join(", ")
            )
        });
        let groups = &limits.resource_groups;
        let group = &aks.resource_group;
        let allowed = groups.is_empty() || groups.iter().any(|pattern| covers(pattern, group));
        self.that(allowed, "spec.aks.resourceGroup", || {
            format!("{group} is outside the account's limits.resourceGroups: {}", groups.join(", "))
        });
        let denied = limits.payload_patch == Some(Permission::Denied);
        self.that(!denied || aks.payload_patch.is_none(), "spec.aks.payloadPatch", || {
            "is denied by the account's limits".into()
        });
        for pool in &spec.node_pools {
            let used = pool.aks.as_ref().is_some_and(|aks| aks.payload_patch.is_some());
            let field = format!("spec.nodePools[{}].aks.payloadPatch", pool.name);
            self.that(!denied || !used, &field, || "is denied by the account's limits".into());
        }
        self.identities(limits, ("", cluster), &field::cluster);
        for pool in pools {
            let name = pool.name.as_str();
            self.identities(limits, ("", &pool.body), &|path| field::pool(name, path));
        }
    }

    /// Looks at keys too: that is where the control plane's own identity stands.
    fn identities(
        &mut self,
        limits: &ProviderLimits,
        (path, value): (&str, &Value),
        field: &dyn Fn(&str) -> String,
    ) {
        match value {
            Value::Object(map) => {
                for (key, inner) in map {
                    // Pools are judged by their own requests.
                    let apart = matches!(key.as_str(), "tags" | "agentPoolProfiles");
                    if apart || key.starts_with('_') {
                        continue;
                    }
                    self.identity_limit(limits, key, &field(path));
                    let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    self.identities(limits, (&below, inner), field);
                }
            }
            Value::Array(items) => {
                for inner in items {
                    self.identities(limits, (path, inner), field);
                }
            }
            Value::String(text) => self.identity_limit(limits, text, &field(path)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn identity_limit(&mut self, limits: &ProviderLimits, text: &str, field: &str) {
        let Some(id) = ResourceId::parse(text).filter(|id| id.is(IDENTITY)) else { return };
        let patterns = &limits.identity_ids;
        let allowed = patterns.is_empty() || patterns.iter().any(|pattern| covers(pattern, text));
        self.that(allowed, field, || {
            format!("{text} is outside the account's limits.identityIds: {}", patterns.join(", "))
        });
        let subscriptions = &limits.account_ids;
        self.that(subscriptions.is_empty() || has(subscriptions, id.subscription), field, || {
            format!(
                "{text} is in subscription {}, the limits allow {}",
                id.subscription,
                subscriptions.join(", ")
            )
        });
    }
}

fn has(list: &[String], text: &str) -> bool {
    list.iter().any(|entry| entry.eq_ignore_ascii_case(text))
}

/// `West Europe` is `westeurope`.
fn plain(region: &str) -> String {
    region.replace(' ', "").to_ascii_lowercase()
}

/// Whether `pattern`, in which `*` stands for any text, covers the whole of `text`. Azure does not look at case.
fn covers(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_ascii_lowercase(), text.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text_and_case_does_not_count() {
        for (pattern, text, expected) in [
            ("rg-shop-*", "RG-Shop-eu", true),
            ("rg-shop-*", "rg-bank", false),
            ("*", "anything", true),
            ("rg", "rg", true),
            ("rg", "rg-eu", false),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "aXc", false),
            ("ab*ba", "aba", false),
            ("rg.", "rgX", false),
        ] {
            assert_eq!(covers(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
