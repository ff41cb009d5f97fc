//! The status patch: the one function that writes status, and the arithmetic around it.
//!
//! A JSON merge patch that carries the resourceVersion it was computed from. Two controllers share the conditions of
//! one object; the precondition makes sure that neither overwrites what the other wrote meanwhile. Server-side apply
//! will replace this function and nothing else.

use std::fmt::Debug;
use std::time::Duration;

use fleetwright_api_types::{Condition, ConditionStatus, ConditionType};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{Patch, PatchParams};
use kube::{Api, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::Failure;

/// The conditions of an object while its new status is made.
#[derive(Debug, Clone)]
pub struct Conditions {
    list: Vec<Condition>,
    generation: Option<i64>,
    now: Timestamp,
}

impl Conditions {
    /// Starts from what the object has.
    #[must_use]
    pub const fn new(list: Vec<Condition>, generation: Option<i64>, now: Timestamp) -> Self {
        Self { list, generation, now }
    }

    /// Sets one; the transition time moves only when the status does.
    pub fn set(
        &mut self,
        type_: ConditionType,
        status: ConditionStatus,
        reason: &str,
        message: impl Into<String>,
    ) {
        let message = clip(message);
        let old = self.list.iter().position(|condition| condition.type_ == type_);
        let since = old
            .map(|at| &self.list[at])
            .filter(|condition| condition.status == status)
            .map_or_else(|| Time(self.now), |condition| condition.last_transition_time.clone());
        let new = Condition {
            type_,
            status,
            reason: reason.to_owned(),
            message,
            observed_generation: self.generation,
            last_transition_time: since,
        };
        match old {
            Some(at) => self.list[at] = new,
            None => self.list.push(new),
        }
        self.list.sort_by_key(|condition| condition.type_.as_str());
    }

    /// Sets one only where there is none yet: every condition exists from first sight.
    pub fn expect(&mut self, type_: ConditionType) {
        if self.get(type_).is_none() {
            self.set(type_, ConditionStatus::Unknown, "Pending", "not looked at yet");
        }
    }

    /// For how long one has had its status; `None` if there is none.
    #[must_use]
    pub fn age(&self, type_: ConditionType) -> Option<Duration> {
        let since = self.get(type_)?.last_transition_time.0;
        Duration::try_from(self.now.duration_since(since)).ok()
    }

    /// Removes one.
    pub fn remove(&mut self, type_: ConditionType) {
        self.list.retain(|condition| condition.type_ != type_);
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, type_: ConditionType) -> Option<&Condition> {
        self.list.iter().find(|condition| condition.type_ == type_)
    }

    /// All, sorted by type.
    #[must_use]
    pub fn into_list(self) -> Vec<Condition> {
        self.list
    }
}

/// A message short enough for every schema of ours (1,024 characters): one that is refused would hide the rest.
#[must_use]
pub fn clip(message: impl Into<String>) -> String {
    let mut message: String = message.into();
    if let Some((cut, _)) = message.char_indices().nth(1000) {
        message.truncate(cut);
        message.push('…');
    }
    message
}

/// The JSON merge patch that turns `old` into `new`; `None` when they are equal.
#[must_use]
pub fn difference(old: &Value, new: &Value) -> Option<Value> {
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let mut patch = Map::new();
            for (key, value) in new {
                match old.get(key) {
                    Some(before) => {
                        if let Some(inner) = difference(before, value) {
                            patch.insert(key.clone(), inner);
                        }
                    }
                    None => {
                        patch.insert(key.clone(), value.clone());
                    }
                }
            }
            for key in old.keys().filter(|key| !new.contains_key(*key)) {
                patch.insert(key.clone(), Value::Null);
            }
            (!patch.is_empty()).then_some(Value::Object(patch))
        }
        _ if old == new => None,
        _ => Some(new.clone()),
    }
}

/// Writes a status, unless it is the same. Returns the object as the server has it now.
pub(crate) async fn write<K>(
    api: &Api<K>,
    object: &K,
    old: &Value,
    new: &Value,
) -> Result<Option<K>, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    let Some(patch) = difference(old, new) else {
        return Ok(None);
    };
    let name = object.name_any();
    let patch = json!({
        "metadata": {"resourceVersion": object.resource_version(), "uid": object.uid()},
        "status": patch,
    });
    api.patch_status(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map(Some)
        .map_err(|error| Failure::kube(&format!("patch the status of {name}"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_statuses_need_no_patch() {
        let status = json!({"a": {"b": [1, 2]}, "c": "d"});
        assert_eq!(difference(&status, &status), None);
    }

    #[test]
    fn a_patch_holds_only_what_changed_and_nulls_what_went() {
        let old = json!({"same": 1, "gone": 2, "deep": {"x": 1, "y": 2}, "list": [1]});
        let new = json!({"same": 1, "deep": {"x": 1, "y": 3}, "list": [1, 2], "new": true});
        assert_eq!(
            difference(&old, &new),
            Some(json!({"gone": null, "deep": {"y": 3}, "list": [1, 2], "new": true}))
        );
    }

    #[test]
    fn a_transition_time_moves_only_with_the_status() {
        let at = |second: i64| Timestamp::from_second(second).expect("time");
        let mut conditions = Conditions::new(Vec::new(), Some(1), at(10));
        conditions.set(ConditionType::Ready, ConditionStatus::False, "Provisioning", "soon");
        let mut later = Conditions::new(conditions.into_list(), Some(2), at(20));
        later.set(ConditionType::Ready, ConditionStatus::False, "Unreachable", "no");
        assert_eq!(
            later.get(ConditionType::Ready).expect("set").last_transition_time,
            Time(at(10))
        );
        later.set(ConditionType::Ready, ConditionStatus::True, "Available", "yes");
        assert_eq!(
            later.get(ConditionType::Ready).expect("set").last_transition_time,
            Time(at(20))
        );
    }
}
