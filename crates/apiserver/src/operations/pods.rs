//! What other objects say of a new pod: its account, its priority class, the limits of its namespace.

use fleetwright_apiserver_core::crud::limits;
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::status::ApiError;
use serde_json::{Value, json};

use crate::cluster::LogicalCluster;
use crate::operations::place_of;
use crate::tables::Object;

const CLASSES: &str = "priorityclasses.scheduling.k8s.io";

impl LogicalCluster {
    /// Completes a pod that is about to be created, or refuses it; other kinds stay as they are.
    ///
    /// That the account `default` is missing refuses nobody: it comes a moment after its namespace.
    pub(super) fn receive_pod(
        &self,
        rt: &ResourceType,
        object: &mut Value,
    ) -> Result<(), ApiError> {
        if !rt.is("", "pods") {
            return Ok(());
        }
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        let (account, class) = (text("/spec/serviceAccountName"), text("/spec/priorityClassName"));
        let refused = |why: &str| Err(ApiError::forbidden(rt, &name, why));
        let place = place_of(Some(&namespace), &account);
        if account != "default" && self.tables.get("serviceaccounts", &place).is_none() {
            return refused(&format!(
                "error looking up service account {namespace}/{account}: serviceaccount \
                 \"{account}\" not found"
            ));
        }
        if !class.is_empty() && !class.starts_with("system-") {
            let Some(found) = self.tables.get(CLASSES, &place_of(None, &class)) else {
                return refused(&format!("no PriorityClass with name {class} was found"));
            };
            take_priority(object, &found);
        }
        let ranges = self.tables.list("limitranges", Some(&namespace), None, None);
        let ranges = ranges.map(|found| found.objects).unwrap_or_default();
        let ranges: Vec<&Value> = ranges.iter().map(|range| &*range.value).collect();
        match limits::apply(object, &ranges).as_slice() {
            [] => Ok(()),
            [one] => refused(one),
            many => refused(&format!("[{}]", many.join(", "))),
        }
    }
}

fn take_priority(pod: &mut Value, class: &Object) {
    let value = class.value["value"].as_i64().unwrap_or_default();
    pod["spec"]["priority"] = json!(value);
    if let Some(policy) = class.value["preemptionPolicy"].as_str() {
        pod["spec"]["preemptionPolicy"] = json!(policy);
    }
}
