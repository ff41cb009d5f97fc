//! Labels and taints of a node group.

use fleetwright_plan::{Difference, SeenPool};
use serde_json::{Map, Value, json};

use super::Pool;
use crate::config::{ADOPTED, field};
use crate::diff::compare::{Leaf, lean, show, sorted};

/// Labels under this are AWS's own.
const OF_EKS: &str = "eks.amazonaws.com/";

impl Pool<'_> {
    /// Whether what is absent was decided: on a cluster that others made it means whatever is set.
    fn is_whole(&self) -> bool {
        self.desired.body[ADOPTED] != true
    }

    /// What is missing or wrong and, where the declaration is the whole truth, what is too much.
    pub(super) fn labels(&self, group: &SeenPool) -> Option<(Value, Vec<Difference>)> {
        let none = Map::new();
        let of = |body: &'_ Value| body["labels"].as_object().cloned().unwrap_or_default();
        let (declared, seen) = (of(&self.pool.body), of(&group.body));
        let wrong: Map<String, Value> = declared
            .iter()
            .filter(|(key, value)| seen.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let asked = if self.is_whole() { &seen } else { &none };
        let extra: Vec<&String> = asked
            .keys()
            .filter(|key| !declared.contains_key(*key) && !key.starts_with(OF_EKS))
            .collect();
        let leaf = |key: &String| Leaf {
            path: format!("labels.{key}"),
            declared: declared.get(key).cloned().unwrap_or_default(),
            found: seen.get(key).cloned().unwrap_or_default(),
        };
        let leaves: Vec<Leaf> = wrong.keys().chain(extra.iter().copied()).map(leaf).collect();
        let mut input = json!({});
        if !wrong.is_empty() {
            input["addOrUpdateLabels"] = json!(wrong);
        }
        if !extra.is_empty() {
            input["removeLabels"] = json!(extra);
        }
        (!leaves.is_empty()).then(|| (input, self.told(&leaves)))
    }

    /// A declared list of taints is the whole list: what is not in it goes. So is an absent one, where that was decided.
    pub(super) fn taints(&self, group: &SeenPool) -> Option<(Value, Difference)> {
        let none = Vec::new();
        let declared = match self.pool.body["taints"].as_array() {
            Some(declared) => declared,
            None if self.is_whole() => &none,
            None => return None,
        };
        let seen = group.body["taints"].as_array().unwrap_or(&none);
        if sorted(declared) == sorted(seen) {
            return None;
        }
        let id = |taint: &Value| (taint["key"].clone(), taint["effect"].clone());
        let there = |taint: &&Value| seen.iter().any(|found| lean(found) == lean(taint));
        let add: Vec<&Value> = declared.iter().filter(|taint| !there(taint)).collect();
        let gone = |taint: &&Value| !declared.iter().any(|kept| id(kept) == id(taint));
        let remove: Vec<&Value> = seen.iter().filter(gone).collect();
        let mut input = json!({});
        if !add.is_empty() {
            input["addOrUpdateTaints"] = json!(add);
        }
        if !remove.is_empty() {
            input["removeTaints"] = json!(remove);
        }
        let words = |list: &[Value]| {
            let one = |taint: &Value| {
                let value = taint["value"].as_str().filter(|value| !value.is_empty());
                let value = value.map(|value| format!("={value}"));
                format!(
                    "{}{}:{}",
                    show(&taint["key"]),
                    value.unwrap_or_default(),
                    show(&taint["effect"])
                )
            };
            if list.is_empty() {
                "none".into()
            } else {
                list.iter().map(one).collect::<Vec<_>>().join(", ")
            }
        };
        let field = field::pool(self.pool.name.as_str(), "taints");
        Some((input, Difference { field, declared: words(declared), found: words(seen) }))
    }
}
