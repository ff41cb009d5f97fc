//! What AKS does to the nodes of a pool in an upgrade.

use azure_mgmt_containerservice::models::AgentPoolUpgradeSettings;
use fleetwright_api_types::{Capacity, IntOrString, PoolRole, PoolUpdate, duration_seconds};
use serde_json::{Value, json};

use super::check::Check;
use super::pools::Declared;

/// `AgentPoolUpgradeSettings.drainTimeoutInMinutes`.
const DRAIN_MINUTES: std::ops::RangeInclusive<u64> = 1..=1440;
/// `AgentPoolUpgradeSettings.nodeSoakDurationInMinutes`, at most.
const SOAK_MINUTES: u64 = 30;

/// What AKS's models know of it, and what they lack.
pub(super) fn settings(
    check: &mut Check,
    (field, pool, aks): Declared<'_>,
) -> (Option<AgentPoolUpgradeSettings>, Value) {
    let update = pool.update.clone().unwrap_or_default();
    let surge = aks.max_surge.as_ref();
    let away = update.max_unavailable.as_ref();
    let (surge_field, away_field) =
        (format!("{field}.aks.maxSurge"), format!("{field}.update.maxUnavailable"));
    let spot = pool.capacity == Some(Capacity::Spot);
    check.that(!spot || surge.is_none(), &surge_field, || {
        "does not go with capacity Spot: AKS adds no nodes to such a pool in an upgrade".into()
    });
    check.that(!spot || away.is_none(), &away_field, || {
        "does not go with capacity Spot: AKS knows no bounds for upgrades of such a pool".into()
    });
    let system = pool.role == Some(PoolRole::System);
    check.that(!system || away.is_none(), &away_field, || {
        "AKS takes it for pools with role User only; aks.maxSurge adds nodes instead".into()
    });
    let surge = surge.and_then(|surge| amount(check, &surge_field, surge));
    let away = away.and_then(|away| amount(check, &away_field, away));
    let none = |amount: &Option<String>| amount.as_deref().is_none_or(is_zero);
    check.that(away.is_none() || none(&surge), &surge_field, || {
        "does not go with update.maxUnavailable: AKS either adds nodes or takes some away".into()
    });
    check.that(surge.is_none() || !none(&surge) || !none(&away), &surge_field, || {
        "is 0; without nodes that are added AKS needs update.maxUnavailable above 0".into()
    });
    let mut beyond = json!({});
    let mut model = AgentPoolUpgradeSettings::new();
    model.max_surge = surge;
    if let Some(away) = away {
        // AKS's own default for the surge is above zero, so it is said.
        model.max_surge = Some("0".into());
        beyond["upgradeSettings"]["maxUnavailable"] = json!(away);
    }
    if let Some(minutes) = drain_minutes(check, field, &update).filter(|_| !spot) {
        beyond["upgradeSettings"]["drainTimeoutInMinutes"] = json!(minutes);
    }
    if let Some(text) = &aks.node_soak {
        let minutes = whole_minutes(text).filter(|minutes| *minutes <= SOAK_MINUTES);
        check.that(minutes.is_some(), &format!("{field}.aks.nodeSoak"), || {
            format!("{text:?} is not a number of whole minutes up to 30m")
        });
        beyond["upgradeSettings"]["nodeSoakDurationInMinutes"] = json!(minutes);
    }
    (model.max_surge.is_some().then_some(model), beyond)
}

fn drain_minutes(check: &mut Check, field: &str, update: &PoolUpdate) -> Option<u64> {
    let text = update.drain_timeout.as_ref()?;
    duration_seconds(text)?;
    let minutes = whole_minutes(text).filter(|minutes| DRAIN_MINUTES.contains(minutes));
    check.that(minutes.is_some(), &format!("{field}.update.drainTimeout"), || {
        format!("{text:?} is not a number of whole minutes between 1m and 24h, which AKS takes")
    });
    minutes
}

fn whole_minutes(text: &str) -> Option<u64> {
    let seconds = duration_seconds(text)?;
    (seconds % 60 == 0).then_some(seconds / 60)
}

/// A number of nodes or a share of them, as AKS writes both: a text.
fn amount(check: &mut Check, field: &str, amount: &IntOrString) -> Option<String> {
    let text = amount.to_string();
    let (digits, most) = match text.strip_suffix('%') {
        Some(digits) => (digits, 100),
        None => (text.as_str(), 1000),
    };
    let plain = digits.bytes().all(|b| b.is_ascii_digit());
    let fits = plain && digits.parse::<u32>().is_ok_and(|number| number <= most);
    check.that(fits, field, || {
        format!("{text:?} is neither a number of nodes nor a share such as 33%")
    });
    fits.then_some(text)
}

fn is_zero(amount: &str) -> bool {
    amount.trim_end_matches('%').parse() == Ok(0)
}
