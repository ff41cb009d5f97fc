//! The words of a spec as the paths of EKS: below `DescribeCluster`'s cluster, and below `nodegroups.NAME`.

use serde_json::{Value, json};

use super::{As, Pairs, Table, below, known, of_pool, read};

/// Spec words of a cluster, without `spec.`.
const CLUSTER: Table = &[
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
const POOL: Table = &[
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

/// What can drift.
pub(super) fn words() -> String {
    let more =
        "eks.logging, eks.network.endpoint.access, eks.payloadPatch.KEY, nodePools[NAME].FIELD";
    format!("{}, {more}", known(CLUSTER))
}

pub(super) fn wire(path: &str, value: &str) -> Option<Result<Pairs, String>> {
    match path {
        "eks.logging" => return Some(logging(value)),
        "eks.network.endpoint.access" => return Some(access(value)),
        _ => {}
    }
    if let Some(rest) = path.strip_prefix("eks.payloadPatch.") {
        return Some(Ok(vec![(rest.to_owned(), read(value, As::Any))]));
    }
    if let Some((pool, field)) = of_pool(path) {
        let at = format!("nodegroups.{pool}");
        if field.is_empty() {
            return Some(Ok(vec![(at, read(value, As::Any))]));
        }
        let (path, how) = below(POOL, field)?;
        return Some(Ok(vec![(format!("{at}.{path}"), read(value, how))]));
    }
    let (path, how) = below(CLUSTER, path)?;
    Some(Ok(vec![(path, read(value, how))]))
}

fn access(value: &str) -> Result<Pairs, String> {
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

fn logging(value: &str) -> Result<Pairs, String> {
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
