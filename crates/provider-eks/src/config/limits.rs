//! What the account's ProviderConfig allows at most, held against the final requests.

use fleetwright_api_types::{ManagedClusterSpec, Permission, ProviderConfig, ProviderLimits};
use fleetwright_names::glob;
use fleetwright_plan::{DesiredPart, DesiredPool};
use serde_json::Value;

use super::check::{Check, role_account};
use super::field;

/// Roles under these keys may be in other accounts: that is what they are for.
const OTHER_ACCOUNTS: [&str; 2] = ["principalArn", "targetRoleArn"];

/// Every request of one cluster.
type Requests<'a> = (&'a Value, &'a [DesiredPool], &'a [DesiredPart]);

impl Check {
    /// Holds the final requests against the account's limits.
    pub(super) fn limits(
        &mut self,
        account: &ProviderConfig,
        spec: &ManagedClusterSpec,
        (cluster, pools, parts): Requests<'_>,
    ) {
        let (Some(limits), Some(eks)) = (&account.spec.limits, &spec.eks) else { return };
        let regions = &limits.regions;
        self.that(regions.is_empty() || regions.contains(&eks.region), "spec.eks.region", || {
            format!(
                "{} is not among the regions of the account's limits: {}",
                eks.region,
                regions.join(", ")
            )
        });
        let denied = limits.payload_patch == Some(Permission::Denied);
        self.that(!denied || eks.payload_patch.is_none(), "spec.eks.payloadPatch", || {
            "is denied by the account's limits".into()
        });
        for pool in &spec.node_pools {
            let used = pool.eks.as_ref().is_some_and(|eks| eks.payload_patch.is_some());
            let field = format!("spec.nodePools[{}].eks.payloadPatch", pool.name);
            self.that(!denied || !used, &field, || "is denied by the account's limits".into());
        }
        self.roles(limits, ("", cluster), &|path| field::cluster(path));
        for pool in pools {
            let name = pool.name.as_str();
            self.roles(limits, ("", &pool.body), &|path| field::pool(name, path));
        }
        for part in parts {
            self.roles(limits, ("", &part.body), &|path| field::part(&part.key, path));
        }
    }

    fn roles(
        &mut self,
        limits: &ProviderLimits,
        (path, value): (&str, &Value),
        field: &dyn Fn(&str) -> String,
    ) {
        let below =
            |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match value {
            Value::Object(map) => {
                let sent = map.iter().filter(|(key, _)| *key != super::BIRTH && *key != "tags");
                for (key, inner) in sent {
                    self.roles(limits, (&below(key), inner), field);
                }
            }
            Value::Array(items) => {
                for inner in items {
                    self.roles(limits, (path, inner), field);
                }
            }
            Value::String(text) => {
                if let Some(account) = role_account(text) {
                    self.role_limit(limits, (path, text, account), field);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn role_limit(
        &mut self,
        limits: &ProviderLimits,
        (path, role, account): (&str, &str, &str),
        field: &dyn Fn(&str) -> String,
    ) {
        let roles = &limits.role_arns;
        let allowed = roles.is_empty() || roles.iter().any(|pattern| glob(pattern, role));
        self.that(allowed, &field(path), || {
            format!("{role} is outside the account's limits.roleArns: {}", roles.join(", "))
        });
        let accounts = &limits.account_ids;
        let elsewhere = OTHER_ACCOUNTS.contains(&path)
            || accounts.is_empty()
            || accounts.iter().any(|id| id == account);
        self.that(elsewhere, &field(path), || {
            format!("{role} is in account {account}, the limits allow {}", accounts.join(", "))
        });
    }
}
