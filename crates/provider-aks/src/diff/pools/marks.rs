//! Labels and taints of an agent pool.

use fleetwright_plan::{Difference, SeenPool};
use serde_json::{Map, Value, json};

use super::Pool;
use crate::config::{ADOPTED, field};
use crate::diff::compare::Leaf;

/// Labels and taints under this are AKS's own.
const OF_AKS: &str = "kubernetes.azure.com/";

impl Pool<'_> {
    /// Whether what is absent was decided: on a cluster that others made it means whatever is set.
    fn is_whole(&self) -> bool {
        self.desired.body[ADOPTED] != true
    }

    /// What is missing or wrong and, where the declaration is the whole truth, what is too much.
    pub(super) fn labels(&self, group: &SeenPool) -> Option<(Value, Vec<Difference>)> {
        let of = |body: &Value| {
            body["properties"]["nodeLabels"].as_object().cloned().unwrap_or_default()
        };
        let (declared, seen) = (of(&self.pool.body), of(&group.body));
        let mut merge: Map<String, Value> = declared
            .iter()
            .filter(|(key, value)| seen.get(*key) != Some(value))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let extra = seen.keys().filter(|key| !declared.contains_key(*key));
        let extra = extra.filter(|key| self.is_whole() && !key.starts_with(OF_AKS));
        merge.extend(extra.map(|key| (key.clone(), Value::Null)));
        let leaves: Vec<Leaf> = merge
            .keys()
            .map(|key| Leaf {
                path: format!("nodeLabels.{key}"),
                keys: Vec::new(),
                declared: declared.get(key).cloned().unwrap_or_default(),
                found: seen.get(key).cloned().unwrap_or_default(),
            })
            .collect();
        (!leaves.is_empty()).then(|| (Value::Object(merge), self.told(&leaves)))
    }

    /// A declared list of taints is the whole list, but for those that AKS sets itself. So is an absent one, where that was
    /// decided.
    pub(super) fn taints(&self, group: &SeenPool) -> Option<(Value, Difference)> {
        let list = |value: &Value| -> Vec<String> {
            let list = value.as_array().into_iter().flatten();
            let mut list: Vec<String> = list.filter_map(Value::as_str).map(plain).collect();
            list.sort();
            list
        };
        let wanted = &self.pool.body["properties"]["nodeTaints"];
        if wanted.is_null() && !self.is_whole() {
            return None;
        }
        let declared = list(wanted);
        let of_aks = |taint: &String| taint.starts_with(OF_AKS) && !declared.contains(taint);
        let (kept, seen): (Vec<String>, Vec<String>) =
            list(&group.body["properties"]["nodeTaints"]).into_iter().partition(of_aks);
        if declared == seen {
            return None;
        }
        let words = |list: &[String]| {
            if list.is_empty() { "none".to_owned() } else { list.join(", ") }
        };
        let field = field::pool(self.pool.name.as_str(), "nodeTaints");
        let difference = Difference { field, declared: words(&declared), found: words(&seen) };
        let all: Vec<String> = declared.into_iter().chain(kept).collect();
        Some((json!(all), difference))
    }
}

/// A taint without a value is written with `=` or without.
fn plain(taint: &str) -> String {
    taint.replace("=:", ":")
}
