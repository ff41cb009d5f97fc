//! The words of a spec as the paths of a cloud on the wire, for `sim drift`.

mod aks;
mod eks;

use serde_json::Value;

/// Paths on the wire, and what they shall be.
pub(super) type Pairs = Vec<(String, Value)>;

/// Words of a spec without `spec.` and `nodePools[NAME].`, where they are on the wire, and how their values are read.
type Table = &'static [(&'static str, &'static str, As)];

/// How a value is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum As {
    /// A text, whatever it looks like.
    Text,
    /// Texts between commas, or a JSON list.
    List,
    /// JSON, or a text.
    Any,
    /// Our word in EKS's spelling: `ApiAndConfigMap` as `API_AND_CONFIG_MAP`.
    Word,
    /// Our word in Azure's spelling: `LoadBalancer` as `loadBalancer`.
    Small,
    /// `true` for the first word, `false` for any other.
    Flag(&'static str),
}

/// The wire paths of a cluster at this provider, and their values.
pub(super) fn wire(provider: &str, path: &str, value: &str) -> Result<Pairs, String> {
    let path = path.trim().trim_start_matches("spec.");
    let (found, known) = match provider {
        "aks" => (aks::wire(path, value), aks::words()),
        _ => (eks::wire(path, value), eks::words()),
    };
    found.unwrap_or_else(|| Err(format!("{path:?} cannot drift; what can: {known}")))
}

/// `nodePools[web].size.max` as `web` and `size.max`.
fn of_pool(path: &str) -> Option<(&str, &str)> {
    let (pool, field) = path.strip_prefix("nodePools[")?.split_once(']')?;
    Some((pool, field.trim_start_matches('.')))
}

/// The words of a table, between commas.
fn known(table: Table) -> String {
    let words: Vec<&str> = table.iter().map(|(word, _, _)| *word).collect();
    words.join(", ")
}

/// The wire path of a field, or of something below it (`tags.team`).
fn below(table: Table, field: &str) -> Option<(String, As)> {
    for (word, path, how) in table {
        if field == *word {
            return Some(((*path).to_owned(), *how));
        }
        if let Some(below) = field.strip_prefix(word).and_then(|rest| rest.strip_prefix('.'))
            && *how == As::Any
        {
            return Some((format!("{path}.{below}"), As::Text));
        }
    }
    None
}

fn read(value: &str, how: As) -> Value {
    let parsed = serde_json::from_str::<Value>(value).ok();
    match how {
        As::Text if value == "null" => Value::Null,
        As::Text => Value::from(value),
        As::Any => parsed.unwrap_or_else(|| Value::from(value)),
        As::List => match parsed {
            Some(list @ Value::Array(_)) => list,
            _ => value.split(',').map(str::trim).filter(|text| !text.is_empty()).collect(),
        },
        As::Word => Value::from(shouted(value)),
        As::Small => Value::from(small(value)),
        As::Flag(on) => Value::from(value == on),
    }
}

/// `LoadBalancer` as `loadBalancer`.
fn small(word: &str) -> String {
    let mut letters = word.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.into_iter().chain(letters).collect()
}

/// `ApiAndConfigMap` as `API_AND_CONFIG_MAP`; what is shouted already stays.
fn shouted(word: &str) -> String {
    let mut out = String::new();
    let mut after_small = false;
    for c in word.chars() {
        if c.is_ascii_uppercase() && after_small {
            out.push('_');
        }
        after_small = c.is_ascii_lowercase();
        out.push(c.to_ascii_uppercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(path: &str, value: &str, expected: &Value) {
        check_at("eks", path, value, expected);
    }

    #[track_caller]
    fn check_at(provider: &str, path: &str, value: &str, expected: &Value) {
        let found: Vec<Value> = wire(provider, path, value)
            .expect("a path")
            .into_iter()
            .map(|(path, value)| json!([path, value]))
            .collect();
        assert_eq!(Value::Array(found), *expected);
    }

    #[test]
    fn spec_words_become_paths_of_eks() {
        let cidrs = json!([["resourcesVpcConfig.publicAccessCidrs", ["0.0.0.0/0"]]]);
        check("eks.network.endpoint.publicCidrs", "0.0.0.0/0", &cidrs);
        check("spec.eks.network.endpoint.publicCidrs", "[\"0.0.0.0/0\"]", &cidrs);
        check("version", "1.35", &json!([["version", "1.35"]]));
        check("tags.team", "1", &json!([["tags.team", "1"]]));
        check(
            "eks.access.mode",
            "ApiAndConfigMap",
            &json!([["accessConfig.authenticationMode", "API_AND_CONFIG_MAP"]]),
        );
        check(
            "nodePools[general].size.max",
            "20",
            &json!([["nodegroups.general.scalingConfig.maxSize", 20]]),
        );
        check("nodePools[general].labels.a", "b", &json!([["nodegroups.general.labels.a", "b"]]));
        check("nodePools[general]", "null", &json!([["nodegroups.general", null]]));
        check(
            "eks.payloadPatch.zonalShiftConfig.enabled",
            "true",
            &json!([["zonalShiftConfig.enabled", true]]),
        );
    }

    #[test]
    fn words_that_are_two_fields_on_the_wire_become_both() {
        let expected = json!([
            ["resourcesVpcConfig.endpointPublicAccess", false],
            ["resourcesVpcConfig.endpointPrivateAccess", true]
        ]);
        check("eks.network.endpoint.access", "Private", &expected);
        let expected = json!([["logging.clusterLogging", [{"types": ["api", "audit"], "enabled": true},
            {"types": ["authenticator", "controllerManager", "scheduler"], "enabled": false}]]]);
        check("eks.logging", "Api,Audit", &expected);
    }

    #[test]
    fn what_cannot_drift_is_refused_with_what_can() {
        let error = wire("eks", "eks.region", "moon").expect_err("a region stays");
        assert!(error.starts_with("\"eks.region\" cannot drift; what can: version, "), "{error}");
        assert!(wire("eks", "eks.logging", "Everything").is_err());
        assert!(wire("eks", "nodePools[general].name", "x").is_err());
    }

    #[test]
    fn spec_words_become_paths_of_azure() {
        let check =
            |path: &str, value: &str, expected: &Value| check_at("aks", path, value, expected);
        let ranges =
            json!([["properties.apiServerAccessProfile.authorizedIPRanges", ["0.0.0.0/0"]]]);
        check("spec.aks.apiServer.authorizedCidrs", "0.0.0.0/0", &ranges);
        check(
            "version",
            "1.35",
            &json!([
                ["properties.kubernetesVersion", "1.35"],
                ["properties.currentKubernetesVersion", "1.35"]
            ]),
        );
        check(
            "aks.entra.localAccounts",
            "Enabled",
            &json!([["properties.disableLocalAccounts", false]]),
        );
        check(
            "aks.network.outbound",
            "UserDefinedRouting",
            &json!([["properties.networkProfile.outboundType", "userDefinedRouting"]]),
        );
        check(
            "aks.autoUpgrade.kubernetes",
            "NodeImage",
            &json!([["properties.autoUpgradeProfile.upgradeChannel", "node-image"]]),
        );
        check(
            "aks.support",
            "LongTerm",
            &json!([["properties.supportPlan", "AKSLongTermSupport"]]),
        );
        check(
            "aks.autoscaler.scan-interval",
            "20s",
            &json!([["properties.autoScalerProfile.scan-interval", "20s"]]),
        );
        check("tags.team", "1", &json!([["tags.team", "1"]]));
        check(
            "nodePools[web].size.max",
            "30",
            &json!([["agentPools.web.properties.maxCount", 30]]),
        );
        check(
            "nodePools[web].labels.a",
            "b",
            &json!([["agentPools.web.properties.nodeLabels.a", "b"]]),
        );
        check("nodePools[web]", "null", &json!([["agentPools.web", null]]));
        check(
            "aks.payloadPatch.properties.storageProfile.diskCSIDriver.enabled",
            "false",
            &json!([["properties.storageProfile.diskCSIDriver.enabled", false]]),
        );
        let error = wire("aks", "aks.location", "moon").expect_err("a location stays");
        assert!(error.starts_with("\"aks.location\" cannot drift; what can: tags, "), "{error}");
        assert!(wire("aks", "aks.support", "Forever").is_err());
        assert!(wire("aks", "eks.logging", "Api").is_err());
    }
}
