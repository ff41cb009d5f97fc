//! Two JSON values compared by what the first one declares, where Azure's own forms of the same thing are one.

use std::net::Ipv4Addr;

use serde_json::Value;

use crate::config::{BIRTH, mask};

/// One declared value that differs.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Leaf {
    /// Keys joined by dots, as declared.
    pub(super) path: String,
    /// The same as Azure spells them, where it has them already: where a merge has to go.
    pub(super) keys: Vec<String>,
    pub(super) declared: Value,
    pub(super) found: Value,
}

/// What AKS fills in, or stands for when it says nothing; by the end of the path.
const DEFAULTS: [(&str, &str); 18] = [
    ("sku.tier", "Free"),
    ("supportPlan", "KubernetesOfficial"),
    ("networkPlugin", "azure"),
    ("networkPolicy", "none"),
    ("networkDataplane", "azure"),
    ("outboundType", "loadBalancer"),
    ("upgradeChannel", "none"),
    ("privateDNSZone", "system"),
    ("utcOffset", "+00:00"),
    ("osType", "Linux"),
    ("mode", "User"),
    ("scaleSetPriority", "Regular"),
    ("scaleSetEvictionPolicy", "Delete"),
    ("scaleDownMode", "Delete"),
    ("maxSurge", "10%"),
    ("maxUnavailable", "0"),
    ("drainTimeoutInMinutes", "30"),
    ("nodeSoakDurationInMinutes", "0"),
];

/// Keys and values that users choose: case counts below them.
const EXACT: [&str; 3] = ["nodeLabels", "nodeTaints", "tags"];

/// Everything that `declared` says and `found` does not; notes of ours and what is given at birth only are left out.
pub(super) fn leaves(declared: &Value, found: &Value) -> Vec<Leaf> {
    let birth: Vec<&str> =
        declared[BIRTH].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let mut walk = Walk { birth: &birth, leaves: Vec::new() };
    walk.down(&Place::default(), declared, found);
    walk.leaves
}

/// Where a walk is, in both spellings.
#[derive(Debug, Clone, Default)]
struct Place {
    path: String,
    keys: Vec<String>,
}

impl Place {
    fn below(&self, declared: &str, found: &str) -> Self {
        let path = if self.path.is_empty() {
            declared.to_owned()
        } else {
            format!("{}.{declared}", self.path)
        };
        let mut keys = self.keys.clone();
        keys.push(found.to_owned());
        Self { path, keys }
    }

    fn is_exact(&self) -> bool {
        self.keys.iter().any(|key| EXACT.contains(&key.as_str()))
    }
}

struct Walk<'a> {
    birth: &'a [&'a str],
    leaves: Vec<Leaf>,
}

impl Walk<'_> {
    fn down(&mut self, place: &Place, declared: &Value, found: &Value) {
        if self.birth.contains(&place.path.as_str()) {
            return;
        }
        let Value::Object(map) = declared else {
            if !same(place, declared, found) {
                self.leaves.push(Leaf {
                    path: place.path.clone(),
                    keys: place.keys.clone(),
                    declared: declared.clone(),
                    found: found.clone(),
                });
            }
            return;
        };
        for (key, value) in map.iter().filter(|(key, _)| !key.starts_with('_')) {
            let (spelled, inner) = look_up(found, key, place.is_exact());
            self.down(&place.below(key, spelled), value, inner);
        }
    }
}

/// Azure writes keys such as those of add-ons and identities in a case of its own.
fn look_up<'a>(found: &'a Value, key: &'a str, exact: bool) -> (&'a str, &'a Value) {
    let map = found.as_object();
    if let Some((key, value)) = map.and_then(|map| map.get_key_value(key)) {
        return (key, value);
    }
    let alike = |(other, _): &(&'a String, &'a Value)| !exact && other.eq_ignore_ascii_case(key);
    match map.and_then(|map| map.iter().find(alike)) {
        Some((spelled, value)) => (spelled, value),
        None => (key, &Value::Null),
    }
}

fn same(place: &Place, declared: &Value, found: &Value) -> bool {
    match (declared, found) {
        (_, Value::Null) => is_default(&place.path, declared),
        // Azure writes some defaults as an empty text.
        (_, Value::String(text)) if text.is_empty() => {
            *declared == *found || is_default(&place.path, declared)
        }
        (Value::String(declared), Value::String(found)) => {
            same_text(declared, found, place.is_exact())
        }
        (Value::Array(declared), Value::Array(found)) => same_set(place, declared, found),
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::String(text), Value::Number(number))
        | (Value::Number(number), Value::String(text)) => {
            text.parse::<f64>().ok().is_some_and(|text| number.as_f64() == Some(text))
        }
        (Value::String(text), Value::Bool(on)) | (Value::Bool(on), Value::String(text)) => {
            text.parse::<bool>() == Ok(*on)
        }
        _ => declared == found,
    }
}

/// What nothing stands for: off, empty, or AKS's default.
fn is_default(path: &str, declared: &Value) -> bool {
    let known = DEFAULTS.iter().find(|(end, _)| {
        path == *end || path.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'))
    });
    let stands_for = |text: &str| known.is_some_and(|(_, value)| value.eq_ignore_ascii_case(text));
    match declared {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => {
            stands_for(&number.to_string()) || (path.ends_with("spotMaxPrice") && is_open(number))
        }
        Value::String(text) => text.is_empty() || stands_for(text),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.values().all(|value| is_default(path, value)),
    }
}

/// The price on demand.
fn is_open(price: &serde_json::Number) -> bool {
    price.as_f64() == Some(-1.0)
}

/// Lists are sets in Azure. Each declared entry has one that says at least as much.
fn same_set(place: &Place, declared: &[Value], found: &[Value]) -> bool {
    let covers = |one: &Value, other: &Value| match one {
        Value::Object(_) => leaves(one, other).is_empty(),
        _ => same(place, one, other),
    };
    let mut left: Vec<&Value> = found.iter().collect();
    for entry in declared {
        match left.iter().position(|other| covers(entry, other)) {
            Some(at) => drop(left.remove(at)),
            None => return false,
        }
    }
    left.is_empty()
}

fn same_text(declared: &str, found: &str, exact: bool) -> bool {
    if declared == found {
        return true;
    }
    if exact {
        return false;
    }
    let alike = declared.eq_ignore_ascii_case(found);
    if alike && (is_id(declared) || (is_word(declared) && is_word(found))) {
        return true;
    }
    match (range(declared), range(found)) {
        (Some(declared), Some(found)) => declared == found,
        _ => false,
    }
}

/// Ids of resources compare without regard to case, in all their parts.
fn is_id(text: &str) -> bool {
    text.get(..15).is_some_and(|start| start.eq_ignore_ascii_case("/subscriptions/"))
}

/// A word of some closed vocabulary, the name of a size, a region, an id of Entra. Longer texts, and those with other
/// characters, may be keys or certificates, where case counts.
fn is_word(text: &str) -> bool {
    text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

/// A range without host bits; a lone address is one of its own.
fn range(text: &str) -> Option<(u32, u8)> {
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, length.parse::<u8>().ok().filter(|l| *l <= 32)?),
        None => (text, 32),
    };
    let address: Ipv4Addr = address.parse().ok()?;
    Some((u32::from(address) & mask(length), length))
}

/// `West Europe` is `westeurope`.
pub(super) fn plain_location(text: &str) -> String {
    text.replace(' ', "").to_ascii_lowercase()
}

/// A value for a person.
pub(super) fn show(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(show).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn paths(declared: &Value, found: &Value) -> Vec<String> {
        leaves(declared, found).into_iter().map(|leaf| leaf.path).collect()
    }

    #[test]
    fn only_what_is_declared_is_compared() {
        let declared = json!({"a": {"b": 1}, "list": ["y", "x"], "off": false, "_note": 1, "born": 2, "_birth": ["born"]});
        let found = json!({"a": {"b": 2, "c": 3}, "list": ["x", "y"], "more": true, "born": 9});
        assert_eq!(paths(&declared, &found), ["a.b"]);
    }

    #[test]
    fn azures_forms_of_the_same_thing_are_one() {
        for (path, declared, found) in [
            (
                "subnet",
                json!("/subscriptions/A/resourceGroups/Net"),
                json!("/Subscriptions/a/resourcegroups/net"),
            ),
            ("networkPlugin", json!("azure"), json!("Azure")),
            ("vmSize", json!("Standard_D4ds_v5"), json!("standard_d4ds_v5")),
            ("spotMaxPrice", json!(-1), Value::Null),
            ("spotMaxPrice", json!(-1), json!(-1.0)),
            ("spotMaxPrice", json!(0.25), json!("0.25")),
            ("maxSurge", json!("33%"), json!("33%")),
            ("maxSurge", json!("10%"), json!("")),
            ("drainTimeoutInMinutes", json!(30), Value::Null),
            ("skip", json!("true"), json!(true)),
            ("zones", json!(["1", "2"]), json!(["2", "1"])),
            ("authorizedIPRanges", json!(["203.0.113.7/32"]), json!(["203.0.113.7"])),
            ("authorizedIPRanges", json!([]), Value::Null),
            ("networkPolicy", json!("none"), Value::Null),
            ("networkPolicy", json!("none"), json!("")),
            ("podCidr", json!("10.244.0.0/16"), json!("10.244.0.1/16")),
            ("list", json!([{"a": "x"}]), json!([{"a": "X", "made": 1}])),
        ] {
            let (declared, found) = (json!({path: declared}), json!({path: found}));
            assert_eq!(leaves(&declared, &found), [], "{declared} and {found}");
        }
    }

    #[test]
    fn what_is_not_the_same_differs() {
        for (path, declared, found) in [
            ("vmSize", json!("Standard_D4ds_v5"), json!("Standard_D8ds_v5")),
            ("zones", json!(["1", "2"]), json!(["1", "2", "3"])),
            ("zones", json!(["1", "1"]), json!(["1", "2"])),
            ("on", json!(true), Value::Null),
            ("networkPolicy", json!("calico"), Value::Null),
            ("nodeLabels", json!({"tier": "Web"}), json!({"tier": "web"})),
            ("nodeLabels", json!({"Tier": "web"}), json!({"tier": "web"})),
            ("key", json!("c3NoLXJzYSBBQUFB+/="), json!("C3NoLXJzYSBBQUFB+/=")),
            ("podCidr", json!("10.244.0.0/16"), json!("10.244.0.0/17")),
        ] {
            let (declared, found) = (json!({path: declared}), json!({path: found}));
            assert_eq!(leaves(&declared, &found).len(), 1, "{declared} and {found}");
        }
    }

    #[test]
    fn a_key_is_told_as_declared_and_merged_as_azure_spells_it() {
        let declared = json!({"addonProfiles": {"azurepolicy": {"enabled": true}}});
        let found = json!({"addonProfiles": {"azurePolicy": {"enabled": false, "config": null}}});
        let [leaf] = &leaves(&declared, &found)[..] else { unreachable!("one leaf") };
        assert_eq!(leaf.path, "addonProfiles.azurepolicy.enabled");
        assert_eq!(leaf.keys, ["addonProfiles", "azurePolicy", "enabled"]);
    }
}
