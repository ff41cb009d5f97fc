//! The `CreateNodegroup` requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleetwright_api_types::{
    Capacity, EksPool, ImageUpdates, IntOrString, NodePool, OnDrainTimeout, TaintEffect,
    duration_seconds,
};
use fleetwright_names::{PoolName, TAG_POOL};
use fleetwright_plan::{DesiredPool, Problem};
use serde_json::{Value, json};

use super::check::Check;
use super::{BIRTH, IMAGE, IN_WINDOW, Shared, patch};

/// Keys that a patch may not touch.
const FIXED: [&str; 7] = [
    "clusterName",
    "nodegroupName",
    "version",
    "releaseVersion",
    "tags",
    "clientRequestToken",
    "nodeRole",
];
/// How long pods are asked to leave when nobody says.
const DRAIN_SECONDS: u64 = 15 * 60;
/// Longest label of Kubernetes, as key's name and as value.
const LABEL_LIMIT: usize = 63;

/// One request per pool, sorted by name.
pub(super) fn pools(
    check: &mut Check,
    shared: &Shared<'_>,
    declared: &[NodePool],
) -> Vec<DesiredPool> {
    let mut pools = BTreeMap::new();
    for pool in declared {
        let field = format!("spec.nodePools[{}]", pool.name);
        let name = PoolName::new(&pool.name)
            .map_err(|error| Problem::new(format!("{field}.name"), error.to_string()));
        let name = check.keep(name);
        size(check, &format!("{field}.size"), pool);
        let (drain_timeout, on_drain_timeout) = drain(check, &field, pool);
        let Some(eks) = &pool.eks else {
            let missing = "is missing; a pool of an EKS cluster needs it";
            check.problems.push(Problem::new(format!("{field}.eks"), missing));
            continue;
        };
        let body = body(check, shared, (&field, pool, eks));
        let Some(name) = name else { continue };
        let made = DesiredPool { name: name.clone(), drain_timeout, on_drain_timeout, body };
        let taken = pools.insert(name, made).is_some();
        check.that(!taken, &field, || "another pool has the same name".into());
    }
    pools.into_values().collect()
}

fn size(check: &mut Check, field: &str, pool: &NodePool) {
    let (min, max) = (pool.size.min, pool.size.max);
    check.that(min >= 0 && max >= 1, field, || {
        format!("min {min} and max {max}: min is 0 or more, max 1 or more")
    });
    check.that(min <= max, field, || format!("min {min} is above max {max}"));
    if let Some(initial) = pool.size.initial.filter(|_| min <= max) {
        check.that((min..=max).contains(&initial), &format!("{field}.initial"), || {
            format!("{initial} does not lie between min {min} and max {max}")
        });
    }
}

fn drain(check: &mut Check, field: &str, pool: &NodePool) -> (Duration, OnDrainTimeout) {
    let update = pool.update.clone().unwrap_or_default();
    let seconds = match update.drain_timeout.as_deref() {
        None => Some(DRAIN_SECONDS),
        Some(text) => duration_seconds(text),
    };
    check.that(seconds.is_some(), &format!("{field}.update.drainTimeout"), || {
        "is not a duration; write it like 15m".into()
    });
    let seconds = seconds.unwrap_or(DRAIN_SECONDS);
    (Duration::from_secs(seconds), update.on_drain_timeout.unwrap_or(OnDrainTimeout::Wait))
}

fn body(
    check: &mut Check,
    shared: &Shared<'_>,
    (field, pool, eks): (&str, &NodePool, &EksPool),
) -> Value {
    check.role(&format!("{field}.eks.roleArn"), &eks.role_arn);
    let mut birth = vec!["scalingConfig.desiredSize"];
    let own: BTreeSet<&String> = eks.subnet_ids.iter().collect();
    check.distinct(&format!("{field}.eks.subnetIds"), eks.subnet_ids.iter().map(String::as_str));
    let subnets = if own.is_empty() {
        birth.push("subnets");
        shared.eks.network.subnet_ids.iter().collect()
    } else {
        own
    };
    let mut tags = shared.tags.clone();
    tags.insert(TAG_POOL.to_owned(), pool.name.clone());
    let mut body = json!({
        "clusterName": shared.name,
        "nodegroupName": pool.name,
        "scalingConfig": {
            "minSize": pool.size.min,
            "maxSize": pool.size.max,
            "desiredSize": pool.size.initial.unwrap_or(pool.size.min),
        },
        "subnets": subnets,
        "nodeRole": eks.role_arn,
        "tags": tags,
    });
    machines(check, (field, pool, eks), &mut body);
    if !pool.labels.is_empty() {
        labels(check, field, &pool.labels);
        body["labels"] = json!(pool.labels);
    }
    if !pool.taints.is_empty() {
        body["taints"] = taints(check, field, pool);
    }
    if let Some(most) = pool.update.as_ref().and_then(|update| update.max_unavailable.as_ref()) {
        body["updateConfig"] = max_unavailable(check, field, most);
    }
    if pool.image_updates == Some(ImageUpdates::InWindow) {
        body[IMAGE] = json!(IN_WINDOW);
    }
    body[BIRTH] = json!(birth);
    let patched = (&mut body, eks.payload_patch.as_ref());
    patch::apply(check, patched, &FIXED, &format!("{field}.eks.payloadPatch"));
    body
}

/// What the nodes are: EC2's half of the request.
fn machines(check: &mut Check, (field, pool, eks): (&str, &NodePool, &EksPool), body: &mut Value) {
    let types = format!("{field}.eks.instanceTypes");
    check.distinct(&types, eks.instance_types.iter().map(String::as_str));
    if !eks.instance_types.is_empty() {
        body["instanceTypes"] = json!(eks.instance_types);
    }
    if let Some(kind) = &eks.ami_type {
        body["amiType"] = json!(kind);
    }
    if let Some(capacity) = pool.capacity {
        let kind = match capacity {
            Capacity::OnDemand => "ON_DEMAND",
            Capacity::Spot => "SPOT",
            Capacity::CapacityBlock => "CAPACITY_BLOCK",
        };
        let block = capacity == Capacity::CapacityBlock;
        check.that(!block || eks.launch_template.is_some(), &format!("{field}.capacity"), || {
            "CapacityBlock needs eks.launchTemplate, which names the reservation".into()
        });
        body["capacityType"] = json!(kind);
    }
    if let Some(size) = eks.disk_size_gib {
        check.that(eks.launch_template.is_none(), &format!("{field}.eks.diskSizeGib"), || {
            "does not go with launchTemplate; say the size there".into()
        });
        body["diskSize"] = json!(size);
    }
    if let Some(template) = &eks.launch_template {
        let number = template.version.bytes().all(|b| b.is_ascii_digit());
        let field = format!("{field}.eks.launchTemplate.version");
        check.that(number && !template.version.is_empty(), &field, || {
            format!("{:?} is not a number; EKS needs the very version", template.version)
        });
        body["launchTemplate"] = json!({"id": template.id, "version": template.version});
    }
}

fn labels(check: &mut Check, field: &str, labels: &BTreeMap<String, String>) {
    for (key, value) in labels {
        let at = format!("{field}.labels[{key}]");
        let name = key.rsplit('/').next().unwrap_or(key);
        check.that((1..=LABEL_LIMIT).contains(&name.len()), &at, || {
            format!("a label's name has 1 to {LABEL_LIMIT} characters")
        });
        check.that(value.len() <= LABEL_LIMIT, &at, || {
            format!("a label's value has at most {LABEL_LIMIT} characters")
        });
    }
}

fn taints(check: &mut Check, field: &str, pool: &NodePool) -> Value {
    let mut found = BTreeMap::new();
    for taint in &pool.taints {
        let effect = match taint.effect {
            TaintEffect::NoSchedule => "NO_SCHEDULE",
            TaintEffect::PreferNoSchedule => "PREFER_NO_SCHEDULE",
            TaintEffect::NoExecute => "NO_EXECUTE",
        };
        let mut wire = json!({"key": taint.key, "effect": effect});
        if let Some(value) = &taint.value {
            wire["value"] = json!(value);
        }
        let twice = found.insert((taint.key.clone(), effect), wire).is_some();
        check.that(!twice, &format!("{field}.taints"), || {
            format!("{} with effect {:?} stands there twice", taint.key, taint.effect)
        });
    }
    Value::Array(found.into_values().collect())
}

fn max_unavailable(check: &mut Check, field: &str, most: &IntOrString) -> Value {
    let field = format!("{field}.update.maxUnavailable");
    match most {
        IntOrString::Int(number) => {
            check.that((1..=100).contains(number), &field, || {
                format!("{number} is not between 1 and 100")
            });
            json!({"maxUnavailable": number})
        }
        IntOrString::String(text) => {
            let share = text.strip_suffix('%').and_then(|digits| digits.parse::<i32>().ok());
            check.that(share.is_some_and(|share| (1..=100).contains(&share)), &field, || {
                format!("{text:?} is neither a number nor a share between 1% and 100%")
            });
            json!({"maxUnavailablePercentage": share})
        }
    }
}
