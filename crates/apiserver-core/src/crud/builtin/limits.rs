//! LimitRanges: what containers may have at most and at least, and what they get when they say nothing.

use fleetwright_apiserver_kinds::quantity::Quantity;
use serde_json::{Value, json};

use super::pods::{list, qos_class};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Fills in what the LimitRanges of its namespace say, and answers what is wrong with the pod then, in upstream's words
/// (`plugin/pkg/admission/limitranger`). Only limits on containers are enforced.
#[must_use]
pub fn apply(pod: &mut Value, ranges: &[&Value]) -> Vec<String> {
    let limits = ranges.iter().flat_map(|range| list(&range["spec"], "limits"));
    let limits: Vec<&Value> = limits.filter(|limit| limit["type"] == "Container").collect();
    if limits.is_empty() {
        return Vec::new();
    }
    let mut told = Vec::new();
    let mut wrong = Vec::new();
    for (group, what) in [("containers", "container"), ("initContainers", "init container")] {
        let containers = pod["spec"].get_mut(group).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or_default().to_owned();
            for (kind, from) in [("requests", "defaultRequest"), ("limits", "default")] {
                let set: Vec<String> =
                    limits.iter().flat_map(|limit| fill(container, kind, &limit[from])).collect();
                if !set.is_empty() {
                    let kind = kind.trim_end_matches('s');
                    told.push(format!("{} {kind} for {what} {name}", set.join(", ")));
                }
            }
            wrong.extend(limits.iter().flat_map(|limit| check(container, limit)));
        }
    }
    if !told.is_empty() {
        let text = format!("LimitRanger plugin set: {}", told.join("; "));
        pod["metadata"]["annotations"][ANNOTATION] = json!(text);
        pod["status"]["qosClass"] = json!(qos_class(&pod["spec"]));
    }
    wrong
}

/// Sets what is absent; answers the names.
fn fill(container: &mut Value, kind: &str, defaults: &Value) -> Vec<String> {
    let mut set = Vec::new();
    for (name, quantity) in defaults.as_object().into_iter().flatten() {
        if container["resources"][kind][name.as_str()].is_null() {
            container["resources"][kind][name.as_str()] = quantity.clone();
            set.push(name.clone());
        }
    }
    set
}

fn check(container: &Value, limit: &Value) -> Vec<String> {
    type Breaks = fn(Quantity, Quantity) -> bool;
    let mut wrong = Vec::new();
    let resources = &container["resources"];
    let of = |kind: &str, name: &str| resources[kind][name].as_str();
    // The side that must be said, the other side, and which of two counts as broken.
    let rules: [(&str, [&str; 2], Breaks); 2] = [
        ("minimum", ["requests", "limits"], |found, bound| found < bound),
        ("maximum", ["limits", "requests"], |found, bound| found > bound),
    ];
    for (word, sides, broken) in rules {
        let bounds = limit[word.get(..3).unwrap_or_default()].as_object();
        for (name, bound) in bounds.into_iter().flatten() {
            let Some((text, bound)) = bound.as_str().and_then(|t| Some((t, Quantity::parse(t)?)))
            else {
                continue;
            };
            let head = format!("{word} {name} usage per Container is {text}");
            let noun = |side: &str| side.trim_end_matches('s').to_owned();
            if of(sides[0], name).is_none() {
                wrong.push(format!("{head}.  No {} is specified", noun(sides[0])));
                continue;
            }
            let found = sides.into_iter().find_map(|side| {
                let text = of(side, name)?;
                Quantity::parse(text).filter(|found| broken(*found, bound)).map(|_| (side, text))
            });
            if let Some((side, found)) = found {
                wrong.push(format!("{head}, but {} is {found}", noun(side)));
            }
        }
    }
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range() -> Value {
        json!({"spec": {"limits": [{"type": "Container", "default": {"cpu": "500m",
            "memory": "1Gi"}, "defaultRequest": {"cpu": "100m", "memory": "64Mi"},
            "max": {"cpu": "1", "memory": "1Gi"}, "min": {"cpu": "50m"}}]}})
    }

    #[test]
    fn a_container_that_says_nothing_gets_the_defaults() {
        let mut pod = json!({"metadata": {}, "status": {"qosClass": "BestEffort"},
            "spec": {"containers": [{"name": "c", "resources": {}}]}});
        assert_eq!(apply(&mut pod, &[&range()]), Vec::<String>::new());
        let wanted = json!({"limits": {"cpu": "500m", "memory": "1Gi"},
            "requests": {"cpu": "100m", "memory": "64Mi"}});
        assert_eq!(pod["spec"], json!({"containers": [{"name": "c", "resources": wanted}]}));
        let told = "LimitRanger plugin set: cpu, memory request for container c; cpu, memory \
                    limit for container c";
        assert_eq!(pod["metadata"]["annotations"][ANNOTATION], told);
        assert_eq!(pod["status"]["qosClass"], "Burstable");
    }

    #[test]
    fn more_than_the_most_and_less_than_the_least_are_told() {
        let with = |resources: Value| {
            let mut pod = json!({"spec": {"containers": [{"name": "c", "resources": resources}]}});
            apply(&mut pod, &[&range()])
        };
        let found = with(json!({"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}));
        assert_eq!(found, ["maximum cpu usage per Container is 1, but limit is 2"]);
        let found = with(json!({"limits": {"cpu": "1"}, "requests": {"cpu": "10m"}}));
        assert_eq!(found, ["minimum cpu usage per Container is 50m, but request is 10m"]);
    }
}
