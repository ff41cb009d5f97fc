//! Services: what they must look like, and the addresses and ports they are given.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::pods::{list, one_of, port_number, text};
use crate::names;
use crate::scheme::ResourceType;
use crate::status::{ApiError, Cause};

const TYPES: &[&str] = &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
const PROTOCOLS: &[&str] = &["SCTP", "TCP", "UDP"];
/// Services live in 10.0.0.0/16: what comes before the last two numbers.
const NETWORK: &str = "10.0.";
/// The first addresses are kept for fixed ones, as upstream does; the very first is the API server's.
const FIRST_FREE: u32 = 17;
const ADDRESSES: u32 = 65_535;
const NODE_PORTS: std::ops::RangeInclusive<i64> = 30_000..=32_767;

pub(super) fn check(object: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut causes = Vec::new();
    let spec = &object["spec"];
    let (kind, ports) = (text(spec, "type"), list(spec, "ports"));
    if ports.is_empty() && kind != "ExternalName" && spec["clusterIP"] != "None" {
        causes.push(Cause::required("spec.ports", ""));
    }
    let mut seen_names = BTreeSet::new();
    let mut seen_ports = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = format!("spec.ports[{index}]");
        check_port(&mut causes, &at, port, ports.len() > 1, kind);
        let name = text(port, "name");
        if !name.is_empty() && !seen_names.insert(name) {
            causes.push(Cause::duplicate(format!("{at}.name"), &json!(name)));
        }
        let number = json!({"port": port["port"], "protocol": port["protocol"]});
        if !seen_ports.insert(number.to_string()) {
            causes.push(Cause::duplicate(at, &number));
        }
    }
    one_of(&mut causes, "spec.type".into(), &spec["type"], TYPES);
    one_of(
        &mut causes,
        "spec.sessionAffinity".into(),
        &spec["sessionAffinity"],
        &["ClientIP", "None"],
    );
    if kind == "ExternalName" {
        let name = text(spec, "externalName").trim_end_matches('.');
        if name.is_empty() {
            causes.push(Cause::required("spec.externalName", ""));
        } else if let Some(why) = names::subdomain(name) {
            causes.push(Cause::invalid("spec.externalName", &json!(name), &why));
        }
        if !text(spec, "clusterIP").is_empty() {
            let why = "may not be set when `type` is 'ExternalName'";
            causes.push(Cause::forbidden("spec.clusterIPs", why));
        }
    }
    if let Some(old) = old {
        let before = &old["spec"];
        let kept = text(before, "type") != "ExternalName" && kind != "ExternalName";
        let (was, is) = (text(before, "clusterIP"), text(spec, "clusterIP"));
        if kept && !was.is_empty() && was != is {
            let why = "may not change once set";
            causes.push(Cause::invalid("spec.clusterIPs[0]", &json!([is]), why));
        }
    }
    causes
}

fn check_port(causes: &mut Vec<Cause>, at: &str, port: &Value, named: bool, kind: &str) {
    match text(port, "name") {
        "" if named => causes.push(Cause::required(format!("{at}.name"), "")),
        "" => {}
        name => {
            if let Some(why) = names::label(name) {
                causes.push(Cause::invalid(format!("{at}.name"), &json!(name), &why));
            }
        }
    }
    port_number(causes, format!("{at}.port"), &port["port"]);
    one_of(causes, format!("{at}.protocol"), &port["protocol"], PROTOCOLS);
    match &port["targetPort"] {
        number @ Value::Number(_) => port_number(causes, format!("{at}.targetPort"), number),
        Value::String(name) => {
            for why in names::port_name(name) {
                causes.push(Cause::invalid(format!("{at}.targetPort"), &json!(name), &why));
            }
        }
        _ => {}
    }
    if kind == "ClusterIP" && port["nodePort"].as_i64().is_some_and(|port| port != 0) {
        let why = "may not be used when `type` is 'ClusterIP'";
        causes.push(Cause::forbidden(format!("{at}.nodePort"), why));
    }
}

/// What a new version leaves out it keeps: its addresses, and the node ports of equal ports.
pub(super) fn inherit(object: &mut Value, old: &Value) {
    let before = &old["spec"];
    let spec = &mut object["spec"];
    let alone = |spec: &Value| spec["type"] == "ExternalName";
    // Kinds that defaults have not reached yet are `ClusterIP`.
    if alone(spec) || alone(before) {
        return;
    }
    for key in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        let empty = spec[key].is_null() || spec[key] == "";
        if empty && !before[key].is_null() {
            // A list of addresses goes with the one that was chosen.
            if key == "clusterIPs" && text(spec, "clusterIP") != text(before, "clusterIP") {
                spec[key] = json!([spec["clusterIP"]]);
            } else {
                spec[key] = before[key].clone();
            }
        }
    }
    if !matches!(text(spec, "type"), "NodePort" | "LoadBalancer") {
        return;
    }
    let known = list(before, "ports").to_vec();
    for port in ports_of(spec) {
        let same = |one: &&Value| {
            one["port"] == port["port"]
                && (port["protocol"].is_null() || one["protocol"] == port["protocol"])
        };
        if port["nodePort"].as_i64().unwrap_or_default() == 0
            && let Some(number) = known.iter().find(same).map(|one| one["nodePort"].clone())
            && number.is_i64()
        {
            port["nodePort"] = number;
        }
    }
}

fn ports_of(spec: &mut Value) -> impl Iterator<Item = &mut Value> {
    spec.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten()
}

/// What Services have, as far as no two may have it.
#[derive(Debug, Clone, Default)]
pub struct Taken {
    addresses: BTreeSet<String>,
    ports: BTreeSet<i64>,
}

impl Taken {
    /// What these Services have.
    pub fn by<'a>(services: impl Iterator<Item = &'a Value>) -> Self {
        let mut taken = Self::default();
        for service in services {
            let spec = &service["spec"];
            let addresses = list(spec, "clusterIPs").iter().filter_map(Value::as_str);
            taken.addresses.extend(addresses.map(str::to_owned));
            let ports = list(spec, "ports").iter().filter_map(|port| port["nodePort"].as_i64());
            taken.ports.extend(ports);
        }
        taken
    }
}

/// Whether something is still to be given out, or to be checked against what others have.
#[must_use]
pub fn wants_allocation(object: &Value, old: Option<&Value>) -> bool {
    let spec = &object["spec"];
    match old {
        None => spec["type"] != "ExternalName",
        Some(old) => {
            let ports = |object: &Value| {
                let ports = list(&object["spec"], "ports").iter();
                ports.map(|port| port["nodePort"].as_i64().unwrap_or_default()).collect::<Vec<_>>()
            };
            spec["clusterIP"] != old["spec"]["clusterIP"]
                || spec["type"] != old["spec"]["type"]
                || ports(object) != ports(old)
        }
    }
}

/// Gives a Service its addresses and node ports. Which ones follows from its uid and from what is taken.
///
/// # Errors
/// 422 if it asks for something outside the range, or that another one has.
pub fn allocate(
    rt: &ResourceType,
    object: &mut Value,
    old: Option<&Value>,
    taken: &Taken,
) -> Result<(), ApiError> {
    let name = text(&object["metadata"], "name").to_owned();
    let seed = object["metadata"]["uid"].as_str().unwrap_or_default().bytes();
    // FNV-1a: spreads Services over the range, the same way every time.
    let seed =
        seed.fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let spec = &mut object["spec"];
    let mut causes = Vec::new();
    if spec["type"] == "ExternalName" {
        return Ok(());
    }
    allocate_address(spec, old, seed, taken, &mut causes);
    allocate_ports(spec, old, seed, taken, &mut causes);
    if causes.is_empty() { Ok(()) } else { Err(ApiError::invalid(rt, &name, causes)) }
}

fn allocate_address(
    spec: &mut Value,
    old: Option<&Value>,
    seed: u32,
    taken: &Taken,
    causes: &mut Vec<Cause>,
) {
    let wanted = text(spec, "clusterIP").to_owned();
    let own = old.is_some_and(|old| text(&old["spec"], "clusterIP") == wanted);
    let address = match wanted.as_str() {
        "" => {
            let size = ADDRESSES - FIRST_FREE;
            let addresses = (0..size).map(|step| {
                let number = FIRST_FREE + (seed % size + step) % size;
                format!("{NETWORK}{}.{}", number >> 8, number & 0xff)
            });
            let free = addresses.into_iter().find(|address| !taken.addresses.contains(address));
            let Some(free) = free else {
                let why = "failed to allocate a serviceIP: range is full";
                causes.push(Cause::invalid_without_value("spec.clusterIPs", why));
                return;
            };
            free
        }
        "None" => wanted,
        given if own => given.to_owned(),
        given => {
            let why = if !given.starts_with(NETWORK) {
                Some("the provided network does not match the current range")
            } else if taken.addresses.contains(given) {
                Some("provided IP is already allocated")
            } else {
                None
            };
            if let Some(why) = why {
                let detail = format!("failed to allocate IP {given}: {why}");
                causes.push(Cause::invalid("spec.clusterIPs", &json!([given]), &detail));
                return;
            }
            given.to_owned()
        }
    };
    spec["clusterIPs"] = json!([address]);
    spec["clusterIP"] = json!(address);
    if spec["ipFamilies"].as_array().is_none_or(Vec::is_empty) {
        spec["ipFamilies"] = json!(["IPv4"]);
    }
    if spec["ipFamilyPolicy"].is_null() {
        spec["ipFamilyPolicy"] = json!("SingleStack");
    }
}

fn allocate_ports(
    spec: &mut Value,
    old: Option<&Value>,
    seed: u32,
    taken: &Taken,
    causes: &mut Vec<Cause>,
) {
    let balanced = spec["type"] == "LoadBalancer" && spec["allocateLoadBalancerNodePorts"] != false;
    let gives = spec["type"] == "NodePort" || balanced;
    let own = Taken::by(old.into_iter());
    let mut used = taken.ports.clone();
    let size = NODE_PORTS.end() - NODE_PORTS.start() + 1;
    for (index, port) in ports_of(spec).enumerate() {
        let field = format!("spec.ports[{index}].nodePort");
        match port["nodePort"].as_i64().filter(|number| *number != 0) {
            Some(number) if own.ports.contains(&number) => {}
            Some(number) if !NODE_PORTS.contains(&number) => {
                let why = "provided port is not in the valid range. The range of valid ports is \
                           30000-32767";
                causes.push(Cause::invalid(field, &json!(number), why));
            }
            Some(number) if !used.insert(number) => {
                let why = "provided port is already allocated";
                causes.push(Cause::invalid(field, &json!(number), why));
            }
            Some(_) => {}
            None if gives => {
                let first = i64::from(seed) % size;
                let mut numbers = (0..size).map(|step| NODE_PORTS.start() + (first + step) % size);
                match numbers.find(|number| !used.contains(number)) {
                    Some(free) => {
                        used.insert(free);
                        port["nodePort"] = json!(free);
                    }
                    None => {
                        let why = "failed to allocate a nodePort: range is full";
                        causes.push(Cause::invalid_without_value(field, why));
                    }
                }
            }
            None => {}
        }
    }
}
