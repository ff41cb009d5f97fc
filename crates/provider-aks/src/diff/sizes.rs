//! How many nodes a pool has: the bounds are declared, and what lies between them is the autoscaler's.

use fleetwright_plan::{Difference, SeenPool};
use serde_json::{Map, Value, json};

/// The update of a pool's size: its merge below `properties`, and what it makes right.
pub(super) fn scaling(
    (pool, declared): (&str, &Value),
    group: &SeenPool,
) -> Option<(Value, Vec<Difference>)> {
    let wanted = Bounds::read(&declared["properties"]);
    let found = Bounds::read(&group.body["properties"]);
    let size = group.size;
    let inside = (wanted.min..=wanted.max).contains(&size);
    let mut differences = Vec::new();
    let mut told = |field: &str, declared: String, found: String| {
        let field = format!("spec.nodePools[{pool}].{field}");
        differences.push(Difference { field, declared, found });
    };
    if wanted.min == found.min && wanted.max == found.max {
        if !inside {
            let declared = wanted.to_string();
            told("size", declared, size.to_string());
        }
    } else if wanted.is_scaled == found.is_scaled && wanted.is_scaled {
        for (field, wanted, found) in
            [("size.min", wanted.min, found.min), ("size.max", wanted.max, found.max)]
        {
            if wanted != found {
                told(field, wanted.to_string(), found.to_string());
            }
        }
    } else {
        told("size", wanted.to_string(), found.to_string());
    }
    if differences.is_empty() {
        return None;
    }
    let mut merge = Map::new();
    merge.insert("enableAutoScaling".into(), json!(wanted.is_scaled));
    let bound = |bound: i32| if wanted.is_scaled { json!(bound) } else { Value::Null };
    merge.insert("minCount".into(), bound(wanted.min));
    merge.insert("maxCount".into(), bound(wanted.max));
    // Between the bounds it is the autoscaler's, who may have changed it since we looked.
    if !inside || !wanted.is_scaled {
        merge.insert("count".into(), json!(size.clamp(wanted.min, wanted.max.max(wanted.min))));
    }
    Some((json!({"properties": merge}), differences))
}

/// Bounds of a pool; without an autoscaler both are its size.
struct Bounds {
    is_scaled: bool,
    min: i32,
    max: i32,
}

impl Bounds {
    fn read(properties: &Value) -> Self {
        let number = |key: &str| {
            let number = properties[key].as_i64().unwrap_or_default();
            i32::try_from(number).unwrap_or(i32::MAX)
        };
        if properties["enableAutoScaling"] == true {
            Self { is_scaled: true, min: number("minCount"), max: number("maxCount") }
        } else {
            let count = number("count");
            Self { is_scaled: false, min: count, max: count }
        }
    }
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.min == self.max {
            return write!(f, "{}", self.min);
        }
        write!(f, "{} to {}", self.min, self.max)
    }
}
