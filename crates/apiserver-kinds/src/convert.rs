//! Kinds that are served in two versions: one is stored, the other is a view of it.
//!
//! `events.k8s.io/v1` and core Events are the same objects under other field names; `autoscaling/v1` shows of an
//! autoscaler the one number it knew, the CPU use, and keeps the rest in an annotation.

use serde_json::{Map, Value, json};

use crate::kinds::Kind;
use crate::settle::settle;

/// Where other metrics and the behavior survive a round trip through `autoscaling/v1`.
const KEPT: &str = "autoscaling.fleetwright.dev/v2-spec";

/// Field names of core Events, and what `events.k8s.io/v1` calls them.
const EVENT_FIELDS: &[(&str, &str)] = &[
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

/// A stored object in the version of a kind that is only a view ([`Kind::storage`] is false).
#[must_use]
pub fn from_stored(kind: &Kind, object: &Value) -> Value {
    let mut shown = object.clone();
    match kind.group {
        "events.k8s.io" => rename(&mut shown, EVENT_FIELDS.iter().copied()),
        "autoscaling" => autoscaler_from_v2(&mut shown),
        _ => return shown,
    }
    shown["apiVersion"] = json!(kind.api_version());
    form(&kind.definition(), shown)
}

/// An object of a view as it is stored.
#[must_use]
pub fn to_stored(kind: &Kind, mut object: Value) -> Value {
    match kind.group {
        "events.k8s.io" => {
            rename(&mut object, EVENT_FIELDS.iter().map(|(core, own)| (*own, *core)));
            object["apiVersion"] = json!("v1");
            form("io.k8s.api.core.v1.Event", object)
        }
        "autoscaling" => {
            autoscaler_to_v2(&mut object);
            object["apiVersion"] = json!("autoscaling/v2");
            form("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler", object)
        }
        _ => object,
    }
}

/// Both sides are settled, so nothing can be refused.
fn form(definition: &str, mut object: Value) -> Value {
    drop(settle(definition, &mut object));
    object
}

fn rename<'a>(object: &mut Value, names: impl Iterator<Item = (&'a str, &'a str)>) {
    let Some(fields) = object.as_object_mut() else {
        return;
    };
    for (from, to) in names {
        if let Some(value) = fields.remove(from) {
            fields.insert(to.to_owned(), value);
        }
    }
}

fn is_cpu_use(metric: &Value) -> bool {
    let resource = &metric["resource"];
    metric["type"] == "Resource"
        && resource["name"] == "cpu"
        && resource["target"]["averageUtilization"].is_i64()
}

fn autoscaler_from_v2(object: &mut Value) {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let mut metrics = match spec.remove("metrics") {
        Some(Value::Array(metrics)) => metrics,
        _ => Vec::new(),
    };
    if let Some(at) = metrics.iter().position(is_cpu_use) {
        let metric = metrics.remove(at);
        let percent = metric["resource"]["target"]["averageUtilization"].clone();
        spec.insert("targetCPUUtilizationPercentage".to_owned(), percent);
    }
    let mut rest = Map::new();
    if !metrics.is_empty() {
        rest.insert("metrics".to_owned(), Value::Array(metrics));
    }
    rest.extend(spec.remove("behavior").map(|behavior| ("behavior".to_owned(), behavior)));
    if !rest.is_empty() {
        object["metadata"]["annotations"][KEPT] = json!(Value::Object(rest).to_string());
    }
    let current = object["status"]["currentMetrics"].as_array().cloned().unwrap_or_default();
    let used = current.iter().find(|metric| metric["resource"]["name"] == "cpu");
    let used = used.map(|metric| metric["resource"]["current"]["averageUtilization"].clone());
    if let Some(used) = used.filter(Value::is_i64) {
        object["status"]["currentCPUUtilizationPercentage"] = used;
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        status.remove("currentMetrics");
        status.remove("conditions");
    }
}

fn autoscaler_to_v2(object: &mut Value) {
    let annotations = object["metadata"].get_mut("annotations").and_then(Value::as_object_mut);
    let kept = annotations.and_then(|all| all.remove(KEPT));
    let kept: Value = kept
        .as_ref()
        .and_then(Value::as_str)
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) else {
        return;
    };
    let mut metrics = kept["metrics"].as_array().cloned().unwrap_or_default();
    if let Some(percent) = spec.remove("targetCPUUtilizationPercentage") {
        metrics.push(json!({"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": percent}}}));
    }
    if !metrics.is_empty() {
        spec.insert("metrics".to_owned(), Value::Array(metrics));
    }
    if kept["behavior"].is_object() {
        spec.insert("behavior".to_owned(), kept["behavior"].clone());
    }
    let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) else {
        return;
    };
    if let Some(percent) = status.remove("currentCPUUtilizationPercentage") {
        let current = json!([{"type": "Resource", "resource": {"name": "cpu",
            "current": {"averageUtilization": percent}}}]);
        status.insert("currentMetrics".to_owned(), current);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds;

    fn view(group: &str) -> &'static Kind {
        let found = kinds::all().find(|kind| !kind.storage && kind.group == group);
        found.unwrap_or_else(|| unreachable!("{group}"))
    }

    #[test]
    fn an_event_is_shown_as_recorded_and_comes_back_whole() {
        let stored = json!({"kind": "Event", "apiVersion": "v1", "metadata": {"name": "e1"},
            "involvedObject": {"kind": "Pod", "name": "p"}, "reason": "R", "message": "M",
            "source": {}, "firstTimestamp": null, "lastTimestamp": null, "type": "Normal",
            "eventTime": null, "reportingComponent": "", "reportingInstance": ""});
        let wanted = json!({"kind": "Event", "apiVersion": "events.k8s.io/v1",
            "metadata": {"name": "e1"}, "eventTime": null, "reason": "R",
            "regarding": {"kind": "Pod", "name": "p"}, "note": "M", "type": "Normal",
            "deprecatedSource": {}, "deprecatedFirstTimestamp": null,
            "deprecatedLastTimestamp": null});
        let shown = from_stored(view("events.k8s.io"), &stored);
        assert_eq!(shown, wanted);
        assert_eq!(to_stored(view("events.k8s.io"), shown), stored);
    }

    #[test]
    fn an_autoscaler_survives_the_old_version() {
        let kind = view("autoscaling");
        let old = json!({"kind": "HorizontalPodAutoscaler", "apiVersion": "autoscaling/v1",
            "metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "scaleTargetRef":
            {"kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": 70},
            "status": {"currentReplicas": 0, "desiredReplicas": 0}});
        let stored = to_stored(kind, old.clone());
        let metrics = json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": 70}}}]);
        assert_eq!(stored["spec"]["metrics"], metrics);
        assert_eq!(from_stored(kind, &stored), old);
        let mut more = stored;
        more["spec"]["metrics"] = json!([{"type": "Resource", "resource": {"name": "memory",
            "target": {"type": "AverageValue", "averageValue": "1Gi"}}}]);
        more["spec"]["behavior"] = json!({"scaleUp": {"selectPolicy": "Max"}});
        let shown = from_stored(kind, &more);
        assert_eq!(shown["spec"].get("metrics"), None);
        let back = to_stored(kind, shown);
        assert_eq!(back["spec"]["metrics"], more["spec"]["metrics"]);
        assert_eq!(back["spec"]["behavior"], more["spec"]["behavior"]);
        assert_eq!(back["metadata"], json!({"name": "a"}));
    }
}
