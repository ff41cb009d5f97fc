//! Maintenance configurations. They have no tags; the cluster's stand for them.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, DesiredPart, Difference, Resource, Seen, Snapshot,
};
use serde_json::{Map, Value, json};

use super::compare::leaves;
use super::{InPlace, PART, at_rest, create};
use crate::config::{MAINTENANCE_DECLARED, field};

/// Every recurrence that Azure knows; one of them at a time.
const RECURRENCES: [&str; 4] = ["daily", "weekly", "absoluteMonthly", "relativeMonthly"];
/// The two forms of a window; one of them at a time.
const FORMS: [&str; 2] = ["maintenanceWindow", "timeInWeek"];

/// Every difference of the parts of a control plane of ours.
pub(super) fn changes(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    for part in &desired.parts {
        let resource = Resource::Part(part.key.clone());
        match snapshot.parts.get(&part.key) {
            Some(Seen::Unknown { .. }) => {}
            None | Some(Seen::Absent) => changes.push(create(resource, &part.body)),
            Some(Seen::Present(seen)) => {
                changes.extend(schedule(part, &seen.body).and_then(|made| made.change(&resource)));
            }
        }
    }
    if desired.body[MAINTENANCE_DECLARED] != true {
        return changes;
    }
    for (key, seen) in &snapshot.parts {
        let Some(part) = seen.present() else { continue };
        let declared = desired.parts.iter().any(|part| part.key == *key);
        let ours = desired.owner.reads(&part.tags) == Ownership::Ours;
        if ours && !declared && at_rest(part.phase) {
            let resource = Resource::Part(key.clone());
            changes.push(Change { resource, kind: ChangeKind::Delete });
        }
    }
    changes
}

/// The whole window in one call: its fields belong together.
fn schedule(part: &DesiredPart, seen: &Value) -> Option<InPlace> {
    let (declared, there) = (&part.body["properties"], &seen["properties"]);
    let form = FORMS.into_iter().find(|form| !declared[*form].is_null())?;
    let same = match form {
        "timeInWeek" => week(&declared[form]) == week(&there[form]),
        _ => {
            let others = RECURRENCES
                .iter()
                .any(|kind| *kind != "weekly" && !there[form]["schedule"][*kind].is_null());
            !others && leaves(&declared[form], &there[form]).is_empty()
        }
    };
    let other = FORMS.into_iter().find(|other| *other != form)?;
    let is_other_set = !is_empty(&there[other]);
    if same && !is_other_set {
        return None;
    }
    let mut merge = json!({"properties": {form: declared[form]}});
    if is_other_set {
        merge["properties"][other] = Value::Null;
    }
    if form == "maintenanceWindow" {
        for kind in RECURRENCES.into_iter().filter(|kind| *kind != "weekly") {
            if !there[form]["schedule"][kind].is_null() {
                merge["properties"][form]["schedule"][kind] = Value::Null;
            }
        }
    }
    let difference = Difference {
        field: field::part(&part.key, form),
        declared: words(declared),
        found: words(there),
    };
    let (what, operation) = ("schedule".to_owned(), PART);
    Some(InPlace { what, operation, merge, differences: vec![difference] })
}

fn is_empty(value: &Value) -> bool {
    value.is_null() || value.as_array().is_some_and(Vec::is_empty)
}

/// The hours of each day; Azure may tell one day in several entries.
fn week(list: &Value) -> BTreeMap<String, BTreeSet<i64>> {
    let mut week: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for entry in list.as_array().into_iter().flatten() {
        let day = entry["day"].as_str().unwrap_or_default().to_ascii_lowercase();
        let slots = entry["hourSlots"].as_array().into_iter().flatten().filter_map(Value::as_i64);
        week.entry(day).or_default().extend(slots);
    }
    week.retain(|_, slots| !slots.is_empty());
    week
}

/// A window for a person: `Sunday 02:00 +00:00 for 4h`, or `Sunday 1 2 3`.
fn words(properties: &Value) -> String {
    let window = &properties["maintenanceWindow"];
    if window.is_object() {
        return window_words(window);
    }
    let list = properties["timeInWeek"].as_array().into_iter().flatten();
    let days: Vec<String> = list
        .map(|entry| {
            let slots = entry["hourSlots"].as_array().into_iter().flatten();
            let slots: Vec<String> = slots.map(Value::to_string).collect();
            format!("{} {}", entry["day"].as_str().unwrap_or("?"), slots.join(" "))
        })
        .collect();
    if days.is_empty() { "none".to_owned() } else { days.join(", ") }
}

fn window_words(window: &Value) -> String {
    let none = Map::new();
    let schedule = window["schedule"].as_object().unwrap_or(&none);
    let weekly = &window["schedule"]["weekly"];
    let when = if weekly.is_object() {
        let weeks = weekly["intervalWeeks"].as_i64().unwrap_or(1);
        let day = weekly["dayOfWeek"].as_str().unwrap_or("?");
        if weeks == 1 { day.to_owned() } else { format!("{day} every {weeks} weeks") }
    } else {
        let set = schedule.iter().find(|(_, value)| !value.is_null());
        set.map_or_else(|| "never".to_owned(), |(kind, value)| format!("{kind} {value}"))
    };
    let text =
        |key: &str, default: &'static str| window[key].as_str().unwrap_or(default).to_owned();
    format!(
        "{when} {} {} for {}h",
        text("startTime", "?"),
        text("utcOffset", "+00:00"),
        window["durationHours"]
    )
}
