//! The words of a spec as the paths of EKS on the wire, for `sim drift`.

use serde_json::{Value, json};

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
}

/// Spec words of a cluster, without `spec.`.
const CLUSTER: [(&str, &str, As); 8] = [
    ("version", "version", As::Text),
    ("eks.roleArn", "roleArn", As::Text),
    ("eks.support", "upgradePolicy.supportType", As::Word),
    ("eks.network.subnetIds", "resourcesVpcConfig.subnetIds", As::List),
    ("eks.network.securityGroupIds", "resourcesVpcConfig.securityGroupIds", As::List),
    ("eks.network.endpoint.publicCidrs", "resourcesVpcConfig.publicAccessCidrs", As::List),
    ("eks.access.mode", "accessConfig.authenticationMode", As::Word),
    ("tags", "tags", As::Any),
];

/// Spec words of a node pool.
const POOL: [(&str, &str, As); 10] = [
    ("size.min", "scalingConfig.minSize", As::Any),
    ("size.max", "scalingConfig.maxSize", As::Any),
    ("size.desired", "scalingConfig.desiredSize", As::Any),
    ("labels", "labels", As::Any),
    ("taints", "taints", As::Any),
    ("tags", "tags", As::Any),
    ("version", "version", As::Text),
    ("release", "releaseVersion", As::Text),
    ("eks.amiType", "amiType", As::Text),
    ("eks.instanceTypes", "instanceTypes", As::List),
];

const LOGS: [&str; 5] = ["Api", "Audit", "Authenticator", "ControllerManager", "Scheduler"];

/// The wire paths below `DescribeCluster`'s cluster, and their values.
pub(super) fn wire(path: &str, value: &str) -> Result<Vec<(String, Value)>, String> {
    let path = path.trim().trim_start_matches("spec.");
    match path {
        "eks.logging" => return logging(value),
        "eks.network.endpoint.access" => return access(value),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("eks.payloadPatch.") {
        return Ok(vec![(rest.to_owned(), read(value, As::Any))]);
    }
    if let Some(rest) = path.strip_prefix("nodePools[") {
        let (pool, field) = rest.split_once(']').ok_or("a pool is written nodePools[NAME]")?;
        let at = format!("nodegroups.{pool}");
        if field.is_empty() {
            return Ok(vec![(at, read(value, As::Any))]);
        }
        let (below, how) = find(&POOL, field.trim_start_matches('.'))?;
        return Ok(vec![(format!("{at}.{below}"), read(value, how))]);
    }
    let (path, how) = find(&CLUSTER, path)?;
    Ok(vec![(path, read(value, how))])
}

/// The wire path of a field, or of something below it (`tags.team`).
fn find(table: &[(&str, &str, As)], field: &str) -> Result<(String, As), String> {
    for (word, path, how) in table {
        if field == *word {
            return Ok(((*path).to_owned(), *how));
        }
        if let Some(below) = field.strip_prefix(word).and_then(|rest| rest.strip_prefix('.'))
            && *how == As::Any
        {
            return Ok((format!("{path}.{below}"), As::Text));
        }
    }
    let known: Vec<&str> = table.iter().map(|(word, _, _)| *word).collect();
    Err(format!(
        "{field:?} cannot drift; what can: {}, eks.logging, eks.network.endpoint.access, eks.payloadPatch.KEY, nodePools[NAME].FIELD",
        known.join(", ")
    ))
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
    }
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

fn access(value: &str) -> Result<Vec<(String, Value)>, String> {
    let (public, private) = match value {
        "Public" => (true, false),
        "PublicAndPrivate" => (true, true),
        "Private" => (false, true),
        _ => return Err(format!("{value:?} is none of Public, PublicAndPrivate, Private")),
    };
    let at = |key: &str| format!("resourcesVpcConfig.{key}");
    Ok(vec![
        (at("endpointPublicAccess"), public.into()),
        (at("endpointPrivateAccess"), private.into()),
    ])
}

fn logging(value: &str) -> Result<Vec<(String, Value)>, String> {
    let wanted = read(value, As::List);
    let wanted: Vec<&str> =
        wanted.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    if let Some(unknown) = wanted.iter().find(|word| !LOGS.contains(word)) {
        return Err(format!("{unknown:?} is no log; known are {}", LOGS.join(", ")));
    }
    let wire = |on: bool| -> Vec<String> {
        let logs = LOGS.iter().filter(|log| wanted.contains(log) == on);
        logs.map(|log| match *log {
            "ControllerManager" => "controllerManager".to_owned(),
            other => other.to_ascii_lowercase(),
        })
        .collect()
    };
    let entries: Vec<Value> = [true, false]
        .into_iter()
        .map(|on| (on, wire(on)))
        .filter(|(_, types)| !types.is_empty())
        .map(|(on, types)| json!({"types": types, "enabled": on}))
        .collect();
    Ok(vec![("logging.clusterLogging".to_owned(), Value::Array(entries))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, value: &str, expected: &Value) {
        let found: Vec<Value> = wire(path, value)
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
        let error = wire("eks.region", "moon").expect_err("a region stays");
        assert!(error.starts_with("\"eks.region\" cannot drift; what can: version, "), "{error}");
        assert!(wire("eks.logging", "Everything").is_err());
        assert!(wire("nodePools[general].name", "x").is_err());
    }
}
