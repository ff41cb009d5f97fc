//! What AKS refuses of agent pools, as `rules.rs` does of clusters.

use serde_json::Value;

use super::answer::AzureError;
use super::rules::{at, same};
use super::tags;

/// Properties of a pool that cannot become anything else.
const FIXED: [&str; 22] = [
    "vmSize",
    "osDiskSizeGB",
    "osDiskType",
    "kubeletDiskType",
    "vnetSubnetID",
    "podSubnetID",
    "maxPods",
    "osType",
    "osSKU",
    "type",
    "availabilityZones",
    "enableNodePublicIP",
    "nodePublicIPPrefixID",
    "scaleSetPriority",
    "scaleSetEvictionPolicy",
    "spotMaxPrice",
    "proximityPlacementGroupID",
    "enableEncryptionAtHost",
    "enableUltraSSD",
    "enableFIPS",
    "gpuInstanceProfile",
    "hostGroupID",
];

/// Whether a pool can be. `properties` is complete, `network` the cluster's.
pub(super) fn can_be(name: &str, properties: &Value, network: &Value) -> Result<(), AzureError> {
    let text = |field: &str| properties[field].as_str().unwrap_or_default();
    let number = |field: &str| properties[field].as_i64();
    let wrong =
        |field: &str, reason: &str| Err(AzureError::parameter(&format!("{name}.{field}"), reason));
    let windows = text("osType") == "Windows";
    let most = if windows { 6 } else { 12 };
    let formed = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    if !formed || name.len() > most {
        return wrong(
            "name",
            &format!(
                "must begin with a lower-case letter, continue with those and digits, and have at most {most}"
            ),
        );
    }
    if let Some(reason) = tags::wrong(&properties["tags"]) {
        return Err(AzureError::bad("InvalidTagNameCharacters", reason));
    }
    if !text("vmSize").starts_with("Standard_") {
        return Err(AzureError::bad(
            "BadRequest",
            format!(
                "The VM size of '{}' is not allowed in your subscription in this location.",
                text("vmSize")
            ),
        ));
    }
    let system = text("mode") == "System";
    if system && (windows || text("scaleSetPriority") == "Spot") {
        return wrong("mode", "is System, which neither Windows nor Spot can be");
    }
    if windows && network["networkPlugin"] != "azure" {
        return wrong("osType", "is Windows, which needs the network plugin azure");
    }
    if windows != text("osSKU").starts_with("Windows") {
        return wrong("osSKU", "does not go with the osType");
    }
    if network["networkPluginMode"] == "overlay" && !properties["podSubnetID"].is_null() {
        return wrong("podSubnetID", "cannot be set with the plugin mode overlay");
    }
    let count = number("count").unwrap_or_default();
    if system && count < 1 {
        return wrong("count", "must be at least 1 in a System pool");
    }
    let bounds = (number("minCount"), number("maxCount"));
    match (properties["enableAutoScaling"] == true, bounds) {
        (false, (None, None)) => {}
        (false, _) => return wrong("minCount", "and maxCount go with enableAutoScaling only"),
        (true, (Some(min), Some(max))) if min <= count && count <= max => {
            if min < i64::from(system) || max < 1 {
                return wrong("minCount", "is too small");
            }
        }
        (true, (Some(_), Some(_))) => {
            return wrong("count", "must be between minCount and maxCount");
        }
        (true, _) => return wrong("minCount", "and maxCount are needed with enableAutoScaling"),
    }
    pace(name, properties)?;
    let bad = properties["nodeTaints"].as_array().into_iter().flatten().find(|taint| {
        let effect =
            taint.as_str().and_then(|taint| taint.rsplit_once(':')).map(|(_, effect)| effect);
        !matches!(effect, Some("NoSchedule" | "PreferNoSchedule" | "NoExecute"))
    });
    match bad {
        Some(taint) => wrong("nodeTaints", &format!("has the invalid taint {taint}")),
        None => Ok(()),
    }
}

/// Machines are added or taken away first, never neither; those of Spot pools are never added.
fn pace(name: &str, properties: &Value) -> Result<(), AzureError> {
    let settings = &properties["upgradeSettings"];
    let is_none = |field: &str| matches!(settings[field].as_str(), None | Some("0" | "0%"));
    let spot = properties["scaleSetPriority"] == "Spot";
    let wrong = match (spot, is_none("maxSurge"), is_none("maxUnavailable")) {
        (true, false, _) => "has maxSurge, which a Spot pool cannot have",
        (false, true, true) => "has neither maxSurge nor maxUnavailable",
        (false, false, false) => "has both maxSurge and maxUnavailable",
        _ => return Ok(()),
    };
    Err(AzureError::parameter(&format!("{name}.upgradeSettings"), wrong))
}

/// Whether a pool can become another. Both are complete.
pub(super) fn can_become(before: &Value, after: &Value) -> Result<(), AzureError> {
    for path in FIXED {
        if !same(at(before, path), at(after, path)) {
            return Err(AzureError::immutable(&format!("properties.{path}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pool_cannot_become_another_machine_but_words_and_zones_have_no_order_or_case() {
        let before = json!({ "vmSize": "Standard_D2s_v5", "availabilityZones": ["1", "2"], "spotMaxPrice": -1.0 });
        let after = json!({ "vmSize": "standard_d2s_v5", "availabilityZones": ["2", "1"], "spotMaxPrice": -1 });
        assert!(can_become(&before, &after).is_ok());
        let other = json!({ "vmSize": "Standard_D4s_v5", "availabilityZones": ["1", "2"] });
        let refused = can_become(&before, &other).expect_err("immutable").message;
        assert_eq!(refused, "Changing property 'properties.vmSize' is not allowed.");
    }

    #[test]
    fn a_pool_surges_or_does_without_a_machine_but_never_both_or_neither() {
        let pool = |surge: &str, unavailable: &str| {
            let settings = json!({ "maxSurge": surge, "maxUnavailable": unavailable });
            let properties = json!({
                "vmSize": "Standard_D2s_v5", "count": 1, "osSKU": "Ubuntu", "upgradeSettings": settings,
            });
            can_be("web", &properties, &json!({})).map_err(|error| error.message)
        };
        assert_eq!(pool("10%", "0"), Ok(()));
        assert_eq!(pool("0", "1"), Ok(()));
        for (surge, unavailable) in [("1", "1"), ("0", "0")] {
            assert!(
                pool(surge, unavailable).is_err_and(|said| said.contains("web.upgradeSettings"))
            );
        }
    }
}
