//! `metadata.managedFields`: the owners of an object's fields.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::set::FieldSet;

/// Owners by update that an object keeps; older ones are put together.
const MOST_UPDATERS: usize = 10;
/// Owners that a client may send; upstream has no limit. More are taken for malformed.
const MOST_SENT: usize = 1000;
/// Who owns what the oldest updaters owned.
const ANCIENT: &str = "ancient-changes";
/// Bytes in a manager's name (`fieldManager` of upstream's options).
const NAME_LIMIT_BYTES: usize = 128;

const KIND_OF_FIELDS: &str = "FieldsV1";

/// How an owner came to its fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// By server-side apply.
    Apply,
    /// By any other write.
    Update,
}

impl Operation {
    /// The text in `managedFields`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells one owner from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner<'a> {
    pub(crate) manager: &'a str,
    pub(crate) operation: Operation,
    pub(crate) subresource: &'a str,
    pub(crate) api_version: &'a str,
}

/// One owner and its fields.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// All but the fields, as on the wire.
    head: Map<String, Value>,
    pub(crate) fields: FieldSet,
}

impl Entry {
    pub(crate) fn new(owner: Owner<'_>, fields: FieldSet) -> Self {
        let mut head = Map::new();
        let mut put = |key: &str, text: &str| drop(head.insert(key.to_owned(), Value::from(text)));
        put("apiVersion", owner.api_version);
        put("fieldsType", KIND_OF_FIELDS);
        put("manager", owner.manager);
        put("operation", owner.operation.as_str());
        if !owner.subresource.is_empty() {
            put("subresource", owner.subresource);
        }
        Self { head, fields }
    }

    fn decode(value: Value) -> Option<Self> {
        let Value::Object(mut head) = value else { return None };
        let text = |key: &str| head.get(key).and_then(Value::as_str).unwrap_or_default();
        let known = matches!(text("operation"), "Apply" | "Update");
        if !known || text("apiVersion").is_empty() || text("fieldsType") != KIND_OF_FIELDS {
            return None;
        }
        let fields = FieldSet::decode(&head.remove("fieldsV1").unwrap_or_default())?;
        head.retain(|key, value| {
            let keys = ["apiVersion", "fieldsType", "manager", "operation", "subresource", "time"];
            keys.contains(&key.as_str()) && value.as_str().is_some_and(|text| !text.is_empty())
        });
        Some(Self { head, fields })
    }

    /// As [`Entry::decode`], for what this crate wrote itself.
    fn trusted(mut head: Map<String, Value>) -> Self {
        let fields = match head.remove("fieldsV1") {
            Some(Value::Object(node)) => FieldSet(node),
            _ => FieldSet::default(),
        };
        Self { head, fields }
    }

    fn encode(self) -> Value {
        let Self { mut head, fields } = self;
        head.insert("fieldsV1".to_owned(), fields.encode());
        Value::Object(head)
    }

    fn text(&self, key: &str) -> &str {
        self.head.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        let applied = self.text("operation") == Operation::Apply.as_str();
        Owner {
            manager: self.text("manager"),
            operation: if applied { Operation::Apply } else { Operation::Update },
            subresource: self.text("subresource"),
            api_version: self.text("apiVersion"),
        }
    }

    /// An applier is the same in all versions.
    pub(crate) fn is_owned_by(&self, owner: Owner<'_>) -> bool {
        let own = self.owner();
        let versions = owner.operation == Operation::Apply || own.api_version == owner.api_version;
        versions && Owner { api_version: owner.api_version, ..own } == owner
    }

    /// What two entries of one owner have in common, see [`Entry::is_owned_by`].
    fn identity(&self) -> (Operation, String, String, String) {
        let Owner { manager, operation, subresource, api_version } = self.owner();
        let version = if operation == Operation::Apply { "" } else { api_version };
        (operation, manager.to_owned(), subresource.to_owned(), version.to_owned())
    }

    pub(crate) fn set_api_version(&mut self, version: &str) {
        self.head.insert("apiVersion".to_owned(), Value::from(version));
    }

    pub(crate) fn time(&self) -> &str {
        self.text("time")
    }

    pub(crate) fn set_time(&mut self, now: &str) {
        self.head.insert("time".to_owned(), Value::from(now));
    }

    /// Upstream's order: appliers first, then by time and name.
    fn rank(&self) -> (Operation, &str, Owner<'_>) {
        let owner = self.owner();
        (owner.operation, self.time(), owner)
    }
}

impl PartialOrd for Owner<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Owner<'_> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |owner: &Self| (owner.manager, owner.api_version, owner.subresource);
        let (one, two) = (key(self), key(other));
        one.cmp(&two)
    }
}

/// All owners of an object.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Managed {
    pub(crate) entries: Vec<Entry>,
}

impl Managed {
    /// Reads what a client sent; None if it is malformed.
    pub(crate) fn decode(list: &Value) -> Option<Self> {
        let entries = match list {
            Value::Null => Vec::new(),
            Value::Array(list) if list.len() > MOST_SENT => return None,
            Value::Array(list) => {
                list.iter().cloned().map(Entry::decode).collect::<Option<Vec<Entry>>>()?
            }
            _ => return None,
        };
        // Of two entries of one owner the last counts.
        let mut seen = BTreeSet::new();
        let mut kept: Vec<Entry> =
            entries.into_iter().rev().filter(|entry| seen.insert(entry.identity())).collect();
        kept.reverse();
        Some(Self { entries: kept })
    }

    /// Reads what is stored.
    pub(crate) fn stored(list: Option<Value>) -> Self {
        let list = match list {
            Some(Value::Array(list)) => list,
            _ => Vec::new(),
        };
        let entries = list.into_iter().filter_map(|entry| match entry {
            Value::Object(head) => Some(Entry::trusted(head)),
            _ => None,
        });
        Self { entries: entries.collect() }
    }

    /// The list for `metadata`, in order; None if nobody owns anything.
    pub(crate) fn encode(mut self) -> Option<Value> {
        if self.entries.is_empty() {
            return None;
        }
        self.entries.sort_by(|one, other| one.rank().cmp(&other.rank()));
        Some(Value::Array(self.entries.into_iter().map(Entry::encode).collect()))
    }

    pub(crate) fn find(&mut self, owner: Owner<'_>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.is_owned_by(owner))
    }

    /// The owner's entry, which may be new and without fields.
    pub(crate) fn of(&mut self, owner: Owner<'_>) -> &mut Entry {
        let found = self.entries.iter().position(|entry| entry.is_owned_by(owner));
        let at = found.unwrap_or_else(|| {
            self.entries.push(Entry::new(owner, FieldSet::default()));
            self.entries.len() - 1
        });
        &mut self.entries[at]
    }

    pub(crate) fn drop_empty(&mut self) {
        self.entries.retain(|entry| !entry.fields.is_empty());
    }

    /// Puts the oldest updaters of each version together until there are no more than the limit.
    pub(crate) fn cap_updaters(&mut self) {
        let updates = |entry: &&Entry| entry.owner().operation == Operation::Update;
        let count = self.entries.iter().filter(updates).count();
        if count <= MOST_UPDATERS {
            return;
        }
        let mut excess = count - MOST_UPDATERS;
        let (mut updaters, mut rest): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| updates(&entry));
        updaters.sort_by(|one, other| one.rank().cmp(&other.rank()));
        let mut buckets: Vec<Entry> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        let mut kept = Vec::new();
        for entry in updaters {
            let version = entry.owner().api_version.to_owned();
            let bucket = places.get(&version).and_then(|place| buckets.get_mut(*place));
            match bucket {
                _ if excess == 0 => kept.push(entry),
                // The first of its version only becomes a bucket when another joins it.
                None => {
                    places.insert(version, buckets.len());
                    buckets.push(entry);
                }
                Some(bucket) => {
                    let mut fields = std::mem::take(&mut bucket.fields);
                    fields.unite(entry.fields.clone());
                    let owner = Owner {
                        manager: ANCIENT,
                        operation: Operation::Update,
                        subresource: "",
                        api_version: &version,
                    };
                    let mut joined = Entry::new(owner, fields);
                    if !entry.time().is_empty() {
                        joined.set_time(entry.time());
                    }
                    *bucket = joined;
                    excess -= 1;
                }
            }
        }
        rest.append(&mut buckets);
        rest.append(&mut kept);
        self.entries = rest;
    }
}

/// Whether a client asks to forget all owners: an empty list, or one empty entry.
pub(crate) fn is_reset(list: &Value) -> bool {
    match list.as_array().map(Vec::as_slice) {
        Some([]) => true,
        Some([one]) => one.is_null() || one.as_object().is_some_and(Map::is_empty),
        _ => false,
    }
}

/// The manager of a request that names none: the first part of its User-Agent, in printable characters.
#[must_use]
pub fn manager_of_user_agent(agent: &str) -> String {
    let name = agent.split('/').next().unwrap_or_default();
    let mut out = String::new();
    for letter in name.chars().filter(|letter| !letter.is_control()) {
        if out.len() + letter.len_utf8() > NAME_LIMIT_BYTES {
            break;
        }
        out.push(letter);
    }
    if out.is_empty() { "unknown".to_owned() } else { out }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entry(manager: &str, time: &str, field: &str) -> Value {
        json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "time": time,
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {format!("f:{field}"): {}}}})
    }

    fn names(managed: &Managed) -> Vec<&str> {
        managed.entries.iter().map(|entry| entry.owner().manager).collect()
    }

    #[test]
    fn what_a_client_sends_must_be_well_formed() {
        let good = entry("a", "2026-01-01T00:00:00Z", "x");
        assert!(Managed::decode(&json!([good])).is_some());
        for (key, value) in [
            ("operation", json!("Delete")),
            ("apiVersion", json!("")),
            ("fieldsType", json!("FieldsV2")),
            ("fieldsV1", json!({"data": {}})),
        ] {
            let mut bad = good.clone();
            bad[key] = value;
            assert_eq!(Managed::decode(&json!([bad])), None, "{key}");
        }
        assert_eq!(Managed::decode(&json!({})), None);
    }

    #[test]
    fn of_two_entries_of_one_owner_the_last_counts() {
        let [mut one, mut two] = ["x", "y"].map(|field| entry("a", "2026-01-01T00:00:00Z", field));
        two["apiVersion"] = json!("v2");
        let count = |list: Value| Managed::decode(&list).map(|all| all.entries.len());
        assert_eq!(count(json!([one, two])), Some(2), "updaters differ by version");
        one["operation"] = json!("Apply");
        two["operation"] = json!("Apply");
        let wanted = Managed::decode(&json!([two]));
        assert_eq!(Managed::decode(&json!([one, two])), wanted, "appliers do not");
    }

    #[test]
    fn a_client_cannot_send_owners_without_end() {
        let many = |count: usize| -> Value {
            let one = |n: usize| entry(&format!("m{n}"), "2026-01-01T00:00:00Z", "x");
            (0..count).map(one).collect()
        };
        let count = Managed::decode(&many(1000)).map(|all| all.entries.len());
        assert_eq!(count, Some(1000));
        assert_eq!(Managed::decode(&many(1001)), None);
    }

    #[test]
    fn appliers_come_first_then_the_oldest() {
        let mut list = vec![
            entry("c", "2026-01-02T00:00:00Z", "c"),
            entry("b", "2026-01-01T00:00:00Z", "b"),
            entry("a", "2026-01-01T00:00:00Z", "a"),
            entry("z", "2026-01-09T00:00:00Z", "z"),
        ];
        list[3]["operation"] = json!("Apply");
        let sorted = Managed::stored(Some(json!(list))).encode();
        let sorted = Managed::stored(sorted);
        assert_eq!(names(&sorted), ["z", "a", "b", "c"]);
    }

    #[test]
    fn the_eleventh_updater_makes_the_oldest_two_one() {
        let at = |n: usize| format!("2026-01-{:02}T00:00:00Z", n + 1);
        let list: Vec<Value> =
            (0..12).map(|n| entry(&format!("m{n}"), &at(n), &n.to_string())).collect();
        let mut managed = Managed::stored(Some(json!(list)));
        managed.cap_updaters();
        assert_eq!(managed.entries.len(), 10);
        let ancient = managed.entries.iter().find(|entry| entry.owner().manager == ANCIENT);
        let ancient = ancient.cloned().map(Entry::encode).unwrap_or_default();
        assert_eq!(ancient["time"], at(2));
        assert_eq!(ancient["fieldsV1"], json!({"f:data": {"f:0": {}, "f:1": {}, "f:2": {}}}));
        let before = managed.clone();
        managed.cap_updaters();
        assert_eq!(managed, before);
    }

    #[test]
    fn a_user_agent_names_its_program() {
        assert_eq!(manager_of_user_agent("kubectl/v1.37.0 (linux/amd64)"), "kubectl");
        assert_eq!(manager_of_user_agent("a\u{7}b"), "ab");
        assert_eq!(manager_of_user_agent(""), "unknown");
        assert_eq!(manager_of_user_agent(&"x".repeat(300)).len(), 128);
    }

    #[test]
    fn an_empty_list_or_an_empty_entry_asks_to_forget() {
        assert!(is_reset(&json!([])) && is_reset(&json!([{}])));
        assert!(!is_reset(&json!(null)) && !is_reset(&json!([{"manager": "a"}])));
    }
}
