//! Every write that is no apply: what it changed becomes its manager's, and is taken from all others.

use serde_json::{Map, Value};

use crate::compare::Difference;
use crate::managed::{Managed, Operation, Owner, is_reset};
use crate::schema::Schema;
use crate::set::FieldSet;

/// Who writes.
#[derive(Debug, Clone, Copy)]
pub struct Writer<'a> {
    /// The manager's name.
    pub manager: &'a str,
    /// The subresource that is written to; empty for the object itself.
    pub subresource: &'a str,
    /// The version in which the object is written, as `apps/v1`.
    pub api_version: &'a str,
    /// Now, as `2026-01-01T00:00:00Z`.
    pub now: &'a str,
}

/// The state that a write starts from.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// The object before, with its `managedFields`. For a new object, what an object of its kind holds by itself.
    pub old: &'a Value,
    /// Whether there was no object before.
    pub create: bool,
    /// Fields of the root that this write cannot change.
    pub skipped: &'a [&'a str],
    /// Paths (JSON pointers) that the server itself sets and the writer did not: nobody owns what is there.
    pub unowned: &'a [&'a str],
}

/// What the new state held as `metadata.managedFields` (see [`take_owners`]).
#[derive(Debug, Clone, PartialEq)]
pub enum Given {
    /// What the old state holds, known to be so.
    Kept(Option<Value>),
    /// What a client sent, or nothing.
    Sent(Option<Value>),
}

/// Writes `metadata.managedFields` of the new state, which has none yet. Owners that a client sent are taken over (not
/// through a subresource), a reset forgets all owners, and nothing or nonsense leaves those of the old state.
pub fn update(
    schema: &Schema,
    new: &mut Value,
    given: Given,
    change: &Change<'_>,
    writer: &Writer<'_>,
) {
    let Some(mut managed) = base(given, change, writer) else {
        return;
    };
    let mut difference = schema.compare(change.old, new, change.skipped);
    if !difference.is_empty() {
        for pointer in change.unowned {
            disown(&mut difference, pointer, change);
        }
        record(&mut managed, difference, writer);
        managed.cap_updaters();
    }
    put(new, managed);
}

/// The owners to start from; None if nobody is to own anything.
fn base(given: Given, change: &Change<'_>, writer: &Writer<'_>) -> Option<Managed> {
    let stored = || change.old.pointer("/metadata/managedFields");
    let managed = match given {
        Given::Kept(list) => Managed::stored(list),
        // Most clients bring back what they read.
        Given::Sent(Some(list)) if stored() == Some(&list) => Managed::stored(Some(list)),
        Given::Sent(Some(list)) if writer.subresource.is_empty() => {
            if is_reset(&list) {
                Managed::default()
            } else {
                let sent = Managed::decode(&list).filter(|found| !found.entries.is_empty());
                sent.unwrap_or_else(|| Managed::stored(stored().cloned()))
            }
        }
        Given::Sent(_) => Managed::stored(stored().cloned()),
    };
    // An object that nobody owns stays so until somebody applies.
    (change.create || !managed.entries.is_empty()).then_some(managed)
}

fn record(managed: &mut Managed, difference: Difference, writer: &Writer<'_>) {
    let owner = Owner {
        manager: writer.manager,
        operation: Operation::Update,
        subresource: writer.subresource,
        api_version: writer.api_version,
    };
    for entry in &mut managed.entries {
        entry.fields.subtract(&difference.removed);
        if !entry.is_owned_by(owner) {
            entry.fields.subtract(&difference.changed);
        }
    }
    let mut taken = difference.changed;
    taken.strip();
    if !taken.is_empty() {
        let entry = managed.of(owner);
        entry.fields.unite(taken);
        // Upstream keeps no time for what came through `/scale`.
        if writer.subresource != "scale" {
            entry.set_time(writer.now);
        }
    }
    managed.drop_empty();
}

/// Takes a path, as `/spec/clusterIP` or with `*` for all items of a list, out of what is new. What was there before and
/// the writer left out is nobody's any more, although the server put it back.
fn disown(difference: &mut Difference, pointer: &str, change: &Change<'_>) {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    forget(&mut difference.changed.0, &steps);
    if !change.create && change.old.pointer(pointer).is_some() {
        let path = steps.iter().rev().fold(Map::new(), |below, name| {
            Map::from_iter([(crate::element::field(name), Value::Object(below))])
        });
        difference.removed.unite(FieldSet(path));
    }
}

fn forget(node: &mut Map<String, Value>, steps: &[&str]) {
    match steps {
        [] => {}
        ["*", rest @ ..] => {
            for (_, child) in node.iter_mut().filter(|(step, _)| step.starts_with("k:")) {
                if let Value::Object(child) = child {
                    forget(child, rest);
                }
            }
        }
        [name] => drop(node.remove(&crate::element::field(name))),
        [name, rest @ ..] => {
            let step = crate::element::field(name);
            let Some(Value::Object(child)) = node.get_mut(&step) else { return };
            forget(child, rest);
            if child.is_empty() {
                node.remove(&step);
            }
        }
    }
}

/// The owners that the object carries, taken off it: everything between works faster without them.
pub fn take_owners(object: &mut Value) -> Option<Value> {
    object.get_mut("metadata")?.as_object_mut()?.remove("managedFields")
}

pub(crate) fn put(object: &mut Value, managed: Managed) {
    let metadata = object.get_mut("metadata").and_then(Value::as_object_mut);
    if let (Some(metadata), Some(list)) = (metadata, managed.encode()) {
        metadata.insert("managedFields".to_owned(), list);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::tests::sample;

    fn writer(manager: &str) -> Writer<'_> {
        Writer { manager, subresource: "", api_version: "v1", now: "2026-01-01T00:00:00Z" }
    }

    fn change(old: &Value) -> Change<'_> {
        let create = old.pointer("/metadata/uid").is_none();
        Change { old, create, skipped: &["status"], unowned: &[] }
    }

    fn write(manager: &str, old: &Value, mut new: Value) -> Value {
        run(&mut new, &change(old), &writer(manager));
        new
    }

    fn run(new: &mut Value, change: &Change<'_>, writer: &Writer<'_>) {
        let given = Given::Sent(take_owners(new));
        update(&sample(), new, given, change, writer);
    }

    fn created() -> Value {
        let object =
            json!({"metadata": {"uid": "1"}, "data": {"a": "1"}, "status": {"phase": "x"}});
        write("one", &json!({}), object)
    }

    #[test]
    fn a_creator_owns_all_but_what_the_server_keeps() {
        let wanted = json!([{"manager": "one", "operation": "Update", "apiVersion": "v1",
            "time": "2026-01-01T00:00:00Z", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {".": {}, "f:a": {}}}}]);
        assert_eq!(created()["metadata"]["managedFields"], wanted);
    }

    #[test]
    fn a_change_moves_the_field_and_the_time() {
        let old = created();
        let mut new = old.clone();
        new["data"] = json!({"a": "2", "b": "1"});
        let later = Writer { now: "2026-01-02T00:00:00Z", ..writer("two") };
        run(&mut new, &change(&old), &later);
        let found = Managed::stored(new.pointer("/metadata/managedFields").cloned());
        let fields: Vec<Value> = found.entries.iter().map(|e| json!(e.fields.0)).collect();
        assert_eq!(fields, [json!({"f:data": {}}), json!({"f:data": {"f:a": {}, "f:b": {}}})]);
        assert_eq!(found.entries[1].time(), "2026-01-02T00:00:00Z");
    }

    #[test]
    fn a_write_that_changes_nothing_leaves_the_owners_alone() {
        let old = created();
        let mut without = old.clone();
        take_owners(&mut without);
        assert_eq!(write("two", &old, old.clone()), old);
        assert_eq!(write("two", &old, without), old);
    }

    #[test]
    fn a_reset_forgets_all_and_nothing_is_tracked_after_it() {
        let old = created();
        let mut new = old.clone();
        new["metadata"]["managedFields"] = json!([{}]);
        let reset = write("two", &old, new);
        assert_eq!(reset["metadata"], json!({"uid": "1"}));
        let mut next = reset.clone();
        next["data"]["a"] = json!("9");
        assert_eq!(write("two", &reset, next)["metadata"], json!({"uid": "1"}));
    }

    #[test]
    fn malformed_owners_are_ignored_and_well_formed_ones_taken_over() {
        let old = created();
        let mut new = old.clone();
        new["metadata"]["managedFields"] = json!([{"manager": "x"}]);
        assert_eq!(write("two", &old, new), old);
        let mut edited = old.clone();
        edited["metadata"]["managedFields"][0]["manager"] = json!("renamed");
        assert_eq!(write("two", &old, edited.clone()), edited);
    }

    #[test]
    fn what_the_server_sets_itself_belongs_to_nobody() {
        let mut new = json!({"metadata": {"uid": "1"}, "spec": {"replicas": 1, "text": "x",
            "ports": [{"port": 80, "name": "a"}]}});
        let unowned = ["/spec/text", "/spec/ports/*/name"];
        let change = Change { unowned: &unowned, ..change(&Value::Null) };
        run(&mut new, &change, &writer("one"));
        let wanted = json!({"f:spec": {".": {}, "f:replicas": {}, "f:ports": {".": {},
            r#"k:{"port":80,"protocol":"TCP"}"#: {".": {}, "f:port": {}}}}});
        assert_eq!(new["metadata"]["managedFields"][0]["fieldsV1"], wanted);
    }

    #[test]
    fn what_a_writer_leaves_to_the_server_is_no_more_its_own() {
        let object = json!({"metadata": {"uid": "1"}, "spec": {"text": "mine", "replicas": 1}});
        let old = write("one", &json!({}), object);
        let mut new = old.clone();
        new["spec"]["replicas"] = json!(2);
        run(&mut new, &Change { unowned: &["/spec/text"], ..change(&old) }, &writer("one"));
        let wanted = json!({"f:spec": {".": {}, "f:replicas": {}}});
        assert_eq!(new["metadata"]["managedFields"][0]["fieldsV1"], wanted);
    }

    #[test]
    fn a_subresource_is_an_owner_of_its_own_and_scale_has_no_time() {
        let old = created();
        let mut new = old.clone();
        new["spec"] = json!({"replicas": 3});
        let scale = Writer { subresource: "scale", ..writer("one") };
        run(&mut new, &change(&old), &scale);
        let entry = &new["metadata"]["managedFields"][0];
        assert_eq!(entry["subresource"], "scale");
        assert_eq!(entry.get("time"), None);
    }
}
