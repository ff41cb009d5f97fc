//! The `PUT` of each agent pool.

use std::collections::BTreeMap;
use std::time::Duration;

use azure_mgmt_containerservice::models::{
    AgentPoolMode, AgentPoolType, ManagedClusterAgentPoolProfileProperties, OsDiskType, OsType,
    Ossku, ScaleSetEvictionPolicy, ScaleSetPriority,
};
use fleetwright_api_types::{
    AksDiskType, AksEvictionPolicy, AksOs, AksPool, Capacity, ImageUpdates, NodePool,
    OnDrainTimeout, PoolRole, TaintEffect, Toggle, duration_seconds,
};
use fleetwright_names::{PoolName, TAG_POOL};
use fleetwright_plan::{DesiredPool, Problem};
use fleetwright_provider::merge_patch;
use serde_json::{Value, json};

use super::check::{Check, SUBNET};
use super::patch::{self, Patched};
use super::{BIRTH, IMAGE, IN_WINDOW, Shared, upgrades};
use crate::tags::to_azure;

/// Paths of `properties` that a patch may not touch: they say what the pool is or whose, or are fields of their own that
/// change in place.
const FIXED: [&str; 12] = [
    "name",
    "tags",
    "orchestratorVersion",
    "nodeImageVersion",
    "provisioningState",
    "powerState",
    "count",
    "minCount",
    "maxCount",
    "enableAutoScaling",
    "mode",
    "eTag",
];
/// How long pods are asked to leave when nobody says.
const DRAIN_SECONDS: u64 = 15 * 60;
/// Longest label of Kubernetes, as key's name and as value.
const LABEL_LIMIT: usize = 63;
/// AKS's own labels; this one of them goes with Spot and may be said.
const AKS_LABELS: &str = "kubernetes.azure.com/";
const SPOT_LABEL: &str = "kubernetes.azure.com/scalesetpriority";

/// One request per pool, sorted by name.
pub(super) fn pools(
    check: &mut Check,
    shared: &Shared<'_>,
    declared: &[NodePool],
) -> Vec<DesiredPool> {
    let mut pools = BTreeMap::new();
    for pool in declared {
        let field = format!("spec.nodePools[{}]", pool.name);
        let name = self::name(check, &field, pool);
        size(check, &format!("{field}.size"), pool);
        let update = pool.update.clone().unwrap_or_default();
        let drain_timeout = drain(check, &field, update.drain_timeout.as_deref());
        let Some(aks) = &pool.aks else {
            let missing = "is missing; a pool of an AKS cluster needs it";
            check.problems.push(Problem::new(format!("{field}.aks"), missing));
            continue;
        };
        let body = body(check, shared, (&field, pool, aks));
        let Some(name) = name else { continue };
        let made = DesiredPool {
            name: name.clone(),
            drain_timeout,
            on_drain_timeout: update.on_drain_timeout.unwrap_or(OnDrainTimeout::Wait),
            body,
        };
        let taken = pools.insert(name, made).is_some();
        check.that(!taken, &field, || "another pool has the same name".into());
    }
    pools.into_values().collect()
}

/// AKS's rule is narrower than that of the object: `^[a-z][a-z0-9]{0,11}$`, on Windows six characters.
fn name(check: &mut Check, field: &str, pool: &NodePool) -> Option<PoolName> {
    let field = format!("{field}.name");
    let name = &pool.name;
    let windows = pool.aks.as_ref().is_some_and(|aks| aks.os == Some(AksOs::Windows));
    let most = if windows { 6 } else { 12 };
    let fits = name.len() <= most
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    check.that(fits, &field, || {
        let of = if windows { " of a Windows pool" } else { "" };
        format!(
            "AKS takes no such name{of}: a lower-case letter, then lower-case letters and digits, \
             {most} characters at most"
        )
    });
    let name = PoolName::new(name).map_err(|error| Problem::new(field, error.to_string()));
    if fits { check.keep(name) } else { name.ok() }
}

fn size(check: &mut Check, field: &str, pool: &NodePool) {
    let (min, max) = (pool.size.min, pool.size.max);
    check.that(min >= 0 && (1..=1000).contains(&max), field, || {
        format!("min {min} and max {max}: min is 0 or more, max between 1 and 1000")
    });
    check.that(min <= max, field, || format!("min {min} is above max {max}"));
    if let Some(initial) = pool.size.initial.filter(|_| min <= max) {
        check.that((min..=max).contains(&initial), &format!("{field}.initial"), || {
            format!("{initial} does not lie between min {min} and max {max}")
        });
    }
    check.that(pool.role != Some(PoolRole::System) || min >= 1, &format!("{field}.min"), || {
        "AKS wants one node at least of a pool with role System".into()
    });
}

/// How long we ask pods to leave, whatever AKS itself does.
fn drain(check: &mut Check, field: &str, text: Option<&str>) -> Duration {
    let seconds = match text {
        None => Some(DRAIN_SECONDS),
        Some(text) => duration_seconds(text),
    };
    check.that(seconds.is_some(), &format!("{field}.update.drainTimeout"), || {
        "is not a duration; write it like 15m".into()
    });
    Duration::from_secs(seconds.unwrap_or(DRAIN_SECONDS))
}

/// One declared pool, where it stands in the object.
pub(super) type Declared<'a> = (&'a str, &'a NodePool, &'a AksPool);

fn body(check: &mut Check, shared: &Shared<'_>, declared: Declared<'_>) -> Value {
    let (field, pool, aks) = declared;
    let mut tags = shared.tags.clone();
    tags.insert(TAG_POOL.to_owned(), pool.name.clone());
    let mut birth = vec!["properties.type"];
    let mut properties = ManagedClusterAgentPoolProfileProperties::new();
    properties.type_ = Some(AgentPoolType::VirtualMachineScaleSets);
    properties.mode = Some(match pool.role.unwrap_or(PoolRole::User) {
        PoolRole::System => AgentPoolMode::System,
        PoolRole::User => AgentPoolMode::User,
    });
    if pool.size.min == pool.size.max {
        properties.count = Some(pool.size.min);
        properties.enable_auto_scaling = Some(false);
    } else {
        birth.push("properties.count");
        properties.count = Some(pool.size.initial.unwrap_or(pool.size.min));
        properties.enable_auto_scaling = Some(true);
        properties.min_count = Some(pool.size.min);
        properties.max_count = Some(pool.size.max);
    }
    properties.tags = Some(Value::Object(to_azure(&tags)));
    machines(check, declared, &mut properties);
    bought(check, declared, &mut properties);
    if !pool.labels.is_empty() {
        labels(check, field, pool);
        properties.node_labels = Some(json!(pool.labels));
    }
    properties.node_taints = taints(check, field, pool);
    let (settings, beyond) = upgrades::settings(check, declared);
    properties.upgrade_settings = settings;
    let mut wire = serde_json::to_value(&properties).unwrap_or_default();
    merge_patch(&mut wire, &beyond);
    let mut body = json!({"properties": wire, BIRTH: birth});
    if pool.image_updates == Some(ImageUpdates::InWindow) {
        body[IMAGE] = json!(IN_WINDOW);
    }
    let place = format!("{field}.aks.payloadPatch");
    let to = Patched { body: &mut body, below: "properties", fixed: &FIXED, field: place.as_str() };
    patch::apply(check, to, aks.payload_patch.as_ref());
    body
}

/// What the nodes are.
fn machines(
    check: &mut Check,
    (field, pool, aks): Declared<'_>,
    to: &mut ManagedClusterAgentPoolProfileProperties,
) {
    to.vm_size = Some(aks.vm_size.clone());
    check.distinct(&format!("{field}.aks.zones"), aks.zones.iter().map(String::as_str));
    for zone in &aks.zones {
        let known = matches!(zone.as_str(), "1" | "2" | "3");
        check.that(known, &format!("{field}.aks.zones"), || {
            format!("{zone:?} is not a zone; Azure has \"1\", \"2\" and \"3\"")
        });
    }
    to.availability_zones.clone_from(&aks.zones);
    to.availability_zones.sort();
    if let Some(subnet) = &aks.vnet_subnet_id {
        check.resource(&format!("{field}.aks.vnetSubnetId"), subnet, SUBNET);
        to.vnet_subnet_id = Some(subnet.clone());
    }
    if let Some(subnet) = &aks.pod_subnet_id {
        let field = format!("{field}.aks.podSubnetId");
        check.resource(&field, subnet, SUBNET);
        check.that(aks.vnet_subnet_id.is_some(), &field, || {
            "needs vnetSubnetId: AKS takes a subnet of pods beside one of nodes only".into()
        });
        to.pod_subnet_id = Some(subnet.clone());
    }
    let windows = aks.os == Some(AksOs::Windows);
    to.os_type = aks.os.map(|os| match os {
        AksOs::Linux => OsType::Linux,
        AksOs::Windows => OsType::Windows,
    });
    if let Some(sku) = &aks.os_sku {
        let of_windows = sku.to_ascii_lowercase().starts_with("windows");
        check.that(of_windows == windows, &format!("{field}.aks.osSku"), || {
            let (is, needs) = if windows { ("Linux", "Linux") } else { ("Windows", "Windows") };
            format!("{sku} is {is}; it needs os {needs}")
        });
        to.os_sku = Some(Ossku::UnknownValue(sku.clone()));
    }
    if let Some(size) = aks.disk_size_gib {
        check.that((30..=2048).contains(&size), &format!("{field}.aks.diskSizeGib"), || {
            format!("{size} is not between 30 and 2048, which AKS takes")
        });
        to.os_disk_size_gb = Some(size);
    }
    to.os_disk_type = aks.disk_type.map(|kind| match kind {
        AksDiskType::Ephemeral => OsDiskType::Ephemeral,
        AksDiskType::Managed => OsDiskType::Managed,
    });
    if let Some(most) = aks.max_pods {
        let least = if pool.role == Some(PoolRole::System) { 30 } else { 10 };
        check.that((least..=250).contains(&most), &format!("{field}.aks.maxPods"), || {
            let of = if least == 30 { "a pool with role System" } else { "a pool" };
            format!("{most} is not between {least} and 250, which AKS takes of {of}")
        });
        to.max_pods = Some(most);
    }
    to.enable_encryption_at_host = aks.encryption_at_host.map(|on| on == Toggle::Enabled);
    to.enable_fips = aks.fips.map(|on| on == Toggle::Enabled);
}

/// How the machines are bought.
fn bought(
    check: &mut Check,
    (field, pool, aks): Declared<'_>,
    to: &mut ManagedClusterAgentPoolProfileProperties,
) {
    let spot = pool.capacity == Some(Capacity::Spot);
    to.scale_set_priority = match pool.capacity {
        None => None,
        Some(Capacity::OnDemand) => Some(ScaleSetPriority::Regular),
        Some(Capacity::Spot) => Some(ScaleSetPriority::Spot),
        Some(Capacity::CapacityBlock) => {
            check.that(false, &format!("{field}.capacity"), || {
                "AKS has no CapacityBlock; reserved machines are a capacity reservation group, \
                 aks.payloadPatch.capacityReservationGroupID"
                    .into()
            });
            None
        }
    };
    let system = pool.role == Some(PoolRole::System);
    check.that(!(spot && system), &format!("{field}.capacity"), || {
        "AKS takes no Spot pool with role System".into()
    });
    if let Some(price) = &aks.spot_max_price {
        let field = format!("{field}.aks.spotMaxPrice");
        check.that(spot, &field, || "goes with capacity Spot only".into());
        let price: Option<f64> =
            price.parse().ok().filter(|price: &f64| *price > 0.0 && price.is_finite());
        check.that(price.is_some(), &field, || {
            "is not a price above zero; write it like 0.25".into()
        });
        to.spot_max_price = price;
    }
    if let Some(policy) = aks.eviction_policy {
        check.that(spot, &format!("{field}.aks.evictionPolicy"), || {
            "goes with capacity Spot only".into()
        });
        to.scale_set_eviction_policy = Some(match policy {
            AksEvictionPolicy::Delete => ScaleSetEvictionPolicy::Delete,
            AksEvictionPolicy::Deallocate => ScaleSetEvictionPolicy::Deallocate,
        });
    }
}

fn labels(check: &mut Check, field: &str, pool: &NodePool) {
    let spot = pool.capacity == Some(Capacity::Spot);
    for (key, value) in &pool.labels {
        let at = format!("{field}.labels[{key}]");
        let name = key.rsplit('/').next().unwrap_or(key);
        check.that((1..=LABEL_LIMIT).contains(&name.len()), &at, || {
            format!("a label's name has 1 to {LABEL_LIMIT} characters")
        });
        check.that(value.len() <= LABEL_LIMIT, &at, || {
            format!("a label's value has at most {LABEL_LIMIT} characters")
        });
        let said = key == SPOT_LABEL && spot && value == "spot";
        check.that(!key.starts_with(AKS_LABELS) || said, &at, || {
            format!("AKS keeps labels under {AKS_LABELS} for itself")
        });
    }
}

/// As AKS writes them: `key=value:Effect`, sorted.
fn taints(check: &mut Check, field: &str, pool: &NodePool) -> Vec<String> {
    let mut found = BTreeMap::new();
    for taint in &pool.taints {
        let effect = match taint.effect {
            TaintEffect::NoSchedule => "NoSchedule",
            TaintEffect::PreferNoSchedule => "PreferNoSchedule",
            TaintEffect::NoExecute => "NoExecute",
        };
        let value = taint.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
        let wire = format!("{}{value}:{effect}", taint.key);
        let twice = found.insert((taint.key.clone(), effect), wire).is_some();
        check.that(!twice, &format!("{field}.taints"), || {
            format!("{} with effect {effect} stands there twice", taint.key)
        });
    }
    found.into_values().collect()
}
