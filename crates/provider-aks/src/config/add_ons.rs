//! Add-ons of AKS and the settings of its cluster autoscaler: both are keys and values in Azure's spelling.

use std::collections::BTreeMap;

use azure_mgmt_containerservice::models::{
    ManagedClusterAddonProfile, ManagedClusterProperties,
    managed_cluster_properties::AutoScalerProfile,
};
use fleetwright_api_types::{AksAddOn, Toggle};
use serde_json::{Map, Value, json};

use super::check::Check;

/// The `addonProfiles`; `None`: none is declared.
pub(super) fn add_ons(check: &mut Check, declared: &[AksAddOn]) -> Option<Value> {
    let names = declared.iter().map(|add_on| add_on.name.as_str());
    check.distinct("spec.aks.managedAddOns", names);
    let mut profiles = Map::new();
    for add_on in declared {
        let mut profile = ManagedClusterAddonProfile::new(add_on.state == Toggle::Enabled);
        let on = profile.enabled;
        let field = format!("spec.aks.managedAddOns[{}].config", add_on.name);
        check.that(on || add_on.config.is_empty(), &field, || {
            "means nothing with state Disabled".into()
        });
        if !add_on.config.is_empty() {
            profile.config = Some(json!(add_on.config));
        }
        profiles.insert(add_on.name.clone(), serde_json::to_value(&profile).unwrap_or_default());
    }
    (!profiles.is_empty()).then_some(Value::Object(profiles))
}

/// What a setting of the autoscaler is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `true` or `false`, sent as a text.
    Switch,
    /// `true` or `false`, sent as JSON has it.
    Bool,
    /// A whole number, sent as a text.
    Number,
    /// Whole minutes such as `10m`; AKS takes no other unit.
    Minutes,
    /// A number and a unit such as `20s`.
    Time,
    /// A share between 0 and 1.
    Share,
    /// One of AKS's words.
    Expander,
}

/// `ManagedClusterPropertiesAutoScalerProfile` of the AKS API.
const SETTINGS: [(&str, Kind); 20] = [
    ("balance-similar-node-groups", Kind::Switch),
    ("daemonset-eviction-for-empty-nodes", Kind::Bool),
    ("daemonset-eviction-for-occupied-nodes", Kind::Bool),
    ("expander", Kind::Expander),
    ("ignore-daemonsets-utilization", Kind::Bool),
    ("max-empty-bulk-delete", Kind::Number),
    ("max-graceful-termination-sec", Kind::Number),
    ("max-node-provision-time", Kind::Minutes),
    ("max-total-unready-percentage", Kind::Number),
    ("new-pod-scale-up-delay", Kind::Time),
    ("ok-total-unready-count", Kind::Number),
    ("scale-down-delay-after-add", Kind::Minutes),
    ("scale-down-delay-after-delete", Kind::Time),
    ("scale-down-delay-after-failure", Kind::Minutes),
    ("scale-down-unneeded-time", Kind::Minutes),
    ("scale-down-unready-time", Kind::Minutes),
    ("scale-down-utilization-threshold", Kind::Share),
    ("scan-interval", Kind::Time),
    ("skip-nodes-with-local-storage", Kind::Switch),
    ("skip-nodes-with-system-pods", Kind::Switch),
];
const EXPANDERS: [&str; 4] = ["least-waste", "most-pods", "priority", "random"];

/// The `autoScalerProfile`: what the models know, and the switches that they lack.
pub(super) fn autoscaler(
    check: &mut Check,
    declared: &BTreeMap<String, String>,
    (properties, beyond): (&mut ManagedClusterProperties, &mut Value),
) {
    let (mut known, mut lacking) = (Map::new(), Map::new());
    for (key, value) in declared {
        let field = format!("spec.aks.autoscaler[{key}]");
        let Some((_, kind)) = SETTINGS.iter().find(|(name, _)| name == key) else {
            check.that(false, &field, || {
                let names: Vec<&str> = SETTINGS.iter().map(|(name, _)| *name).collect();
                format!("AKS knows no such setting; it knows {}", names.join(", "))
            });
            continue;
        };
        let wrong = wrong(*kind, value);
        check.that(wrong.is_none(), &field, || {
            format!("{value:?} is not {}", wrong.unwrap_or_default())
        });
        if *kind == Kind::Bool {
            lacking.insert(key.clone(), Value::Bool(value == "true"));
        } else {
            known.insert(key.clone(), json!(value));
        }
    }
    if !known.is_empty() {
        let profile: Option<AutoScalerProfile> = serde_json::from_value(Value::Object(known)).ok();
        properties.auto_scaler_profile = profile;
    }
    if !lacking.is_empty() {
        beyond["autoScalerProfile"] = Value::Object(lacking);
    }
}

/// What the value should be, if it is not.
fn wrong(kind: Kind, value: &str) -> Option<&'static str> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (fits, wanted) = match kind {
        Kind::Switch | Kind::Bool => (matches!(value, "true" | "false"), "true or false"),
        Kind::Number => (digits(value), "a whole number"),
        Kind::Minutes => {
            let fits = value.strip_suffix('m').is_some_and(digits);
            (fits, "a number of minutes such as 10m; AKS takes no other unit")
        }
        Kind::Time => {
            let fits =
                ['s', 'm', 'h'].iter().any(|unit| value.strip_suffix(*unit).is_some_and(digits));
            (fits, "a number and a unit, such as 20s")
        }
        Kind::Share => {
            let share = value.parse::<f64>().ok();
            (share.is_some_and(|share| (0.0..=1.0).contains(&share)), "a share between 0 and 1")
        }
        Kind::Expander => {
            (EXPANDERS.contains(&value), "least-waste, most-pods, priority or random")
        }
    };
    (!fits).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_of_the_wrong_kind_is_told() {
        for (kind, good, bad) in [
            (Kind::Switch, "true", "True"),
            (Kind::Bool, "false", "no"),
            (Kind::Number, "10", "ten"),
            (Kind::Minutes, "10m", "600s"),
            (Kind::Time, "20s", "20"),
            (Kind::Share, "0.5", "50%"),
            (Kind::Expander, "random", "Random"),
        ] {
            assert_eq!(wrong(kind, good), None, "{kind:?} {good}");
            assert!(wrong(kind, bad).is_some(), "{kind:?} {bad}");
        }
    }
}
