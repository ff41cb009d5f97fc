//! Server-side apply: one manager's configuration laid over the object, what it no longer sets taken away, and what
//! others own defended.

use serde_json::Value;

use crate::last_applied;
use crate::managed::{Entry, Managed, Operation, Owner};
use crate::schema::Schema;
use crate::set::FieldSet;
use crate::update::{Change, Given, Writer, put, take_owners, update};

/// Owns what was there before anybody applied to an object without owners.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// A configuration to apply.
#[derive(Debug, Clone, Copy)]
pub struct Configuration<'a> {
    /// The object as it is, with its `managedFields`; null if there is none yet.
    pub live: &'a Value,
    /// What an object of this kind holds by itself, against which the fields of an object without owners are told.
    pub bare: &'a Value,
    /// What is applied.
    pub config: &'a Value,
    /// Whether to take what others own.
    pub force: bool,
    /// Fields of the root that this apply cannot set.
    pub skipped: &'a [&'a str],
}

/// What an apply made.
#[derive(Debug, Clone, PartialEq)]
pub struct Applied {
    /// The object, with its `managedFields`. Defaults and checks come after.
    pub object: Value,
    /// Whether anything but the owners changed.
    pub changed: bool,
}

/// One field that somebody else owns with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The owner, as `"hpa" with subresource "scale" using apps/v1`.
    pub owner: String,
    /// The field, as `.spec.replicas`.
    pub field: String,
}

/// Why an apply is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// The configuration brings its own owners.
    #[error("metadata.managedFields must be nil")]
    OwnersGiven,
    /// The configuration does not fit the schema; the text is a list of paths and reasons.
    #[error("{0}")]
    Misfit(String),
    /// Others own what would change.
    #[error("{}", message(.0))]
    Conflicts(Vec<Conflict>),
}

/// The sentence about conflicts that clients print.
fn message(conflicts: &[Conflict]) -> String {
    if let [Conflict { owner, field }] = conflicts {
        return format!("Apply failed with 1 conflict: conflict with {owner}: {field}");
    }
    let mut lines = Vec::new();
    let mut last = "";
    for Conflict { owner, field } in conflicts {
        if owner != last {
            lines.push(format!("conflicts with {owner}:"));
            last = owner;
        }
        lines.push(format!("- {field}"));
    }
    format!("Apply failed with {} conflicts: {}", conflicts.len(), lines.join("\n"))
}

/// Applies a configuration.
///
/// # Errors
/// Conflicts (unless forced), and configurations that do not fit.
pub fn apply(
    schema: &Schema,
    asked: &Configuration<'_>,
    writer: &Writer<'_>,
) -> Result<Applied, ApplyError> {
    if asked.config.pointer("/metadata/managedFields").is_some_and(|given| !given.is_null()) {
        return Err(ApplyError::OwnersGiven);
    }
    let misfits = schema.misfits(asked.config);
    match misfits.as_slice() {
        [] => {}
        [one] => return Err(ApplyError::Misfit(one.clone())),
        many => return Err(ApplyError::Misfit(format!("errors:\n  {}", many.join("\n  ")))),
    }
    let mut live = match asked.live {
        Value::Null => Value::Object(serde_json::Map::new()),
        live => live.clone(),
    };
    let mut managed = Managed::stored(take_owners(&mut live));
    if managed.entries.is_empty() && !asked.live.is_null() {
        managed = first_owners(schema, &live, asked, writer);
    }
    let tried = lay_over(schema, &live, managed.clone(), asked, writer);
    let tried = match tried {
        Err(ApplyError::Conflicts(conflicts)) if writer.manager == last_applied::KUBECTL => {
            let allowed = last_applied::still_true(schema, &live, writer.api_version);
            let allowed = allowed.map(|set| set.paths()).unwrap_or_default();
            let left: Vec<Conflict> =
                conflicts.into_iter().filter(|one| !allowed.contains(&one.field)).collect();
            if !left.is_empty() {
                return Err(ApplyError::Conflicts(left));
            }
            lay_over(schema, &live, managed, &Configuration { force: true, ..*asked }, writer)
        }
        tried => tried,
    };
    let mut applied = tried?;
    if writer.manager == last_applied::KUBECTL {
        last_applied::renew(&mut applied.object, asked.config);
    }
    Ok(applied)
}

/// Who owns the fields of an object that had no owners.
fn first_owners(
    schema: &Schema,
    live: &Value,
    asked: &Configuration<'_>,
    writer: &Writer<'_>,
) -> Managed {
    let mut object = live.clone();
    let before = Writer { manager: BEFORE_FIRST_APPLY, ..*writer };
    let change = Change { old: asked.bare, create: true, skipped: asked.skipped, unowned: &[] };
    update(schema, &mut object, Given::Sent(None), &change, &before);
    Managed::stored(take_owners(&mut object))
}

fn lay_over(
    schema: &Schema,
    live: &Value,
    mut managed: Managed,
    asked: &Configuration<'_>,
    writer: &Writer<'_>,
) -> Result<Applied, ApplyError> {
    let owner = Owner {
        manager: writer.manager,
        operation: Operation::Apply,
        subresource: writer.subresource,
        api_version: writer.api_version,
    };
    let merged = schema.merge(live, asked.config);
    let mut set = schema.fields_of(asked.config);
    set.retain_roots(|step| {
        !asked.skipped.iter().any(|name| step.strip_prefix("f:") == Some(name))
    });
    let last = match managed.find(owner) {
        Some(entry) => {
            entry.set_api_version(writer.api_version);
            std::mem::replace(&mut entry.fields, set)
        }
        None => {
            managed.entries.push(Entry::new(owner, set));
            FieldSet::default()
        }
    };
    let object = prune(schema, merged, &managed, &last);
    settle(schema, live, &object, &mut managed, (owner, asked))?;
    let changed = object != *live;
    if let Some(entry) = managed.find(owner) {
        entry.fields.strip();
        if changed {
            entry.set_time(writer.now);
        }
    }
    managed.drop_empty();
    let mut object = object;
    put(&mut object, managed);
    Ok(Applied { object, changed })
}

/// Takes away what the manager set last time and sets no more, unless somebody else owns it.
fn prune(schema: &Schema, merged: Value, managed: &Managed, last: &FieldSet) -> Value {
    if last.is_empty() {
        return merged;
    }
    let named = |set: &FieldSet| set.with_named_parents(schema, schema.root);
    let mut owned = FieldSet::default();
    for entry in &managed.entries {
        owned.unite(entry.fields.clone());
    }
    let (last, owned, all) = (named(last), named(&owned), named(&schema.fields_of(&merged)));
    // First without all of the last set, then with what anybody owns, then with what nobody ever owned.
    let pruned = schema.remove(merged.clone(), &last);
    let mut gone = all.clone();
    gone.subtract(&named(&schema.fields_of(&pruned)));
    gone.subtract(&owned);
    let pruned = schema.remove(merged.clone(), &gone);
    let mut gone = all;
    gone.subtract(&named(&schema.fields_of(&pruned)));
    schema.remove(merged, &gone.common(&last))
}

/// Finds the conflicts with others, or takes from them what this apply changes.
fn settle(
    schema: &Schema,
    live: &Value,
    object: &Value,
    managed: &mut Managed,
    (owner, asked): (Owner<'_>, &Configuration<'_>),
) -> Result<(), ApplyError> {
    let difference = schema.compare(live, object, asked.skipped);
    let mut conflicts = Vec::new();
    for entry in managed.entries.iter_mut().filter(|entry| !entry.is_owned_by(owner)) {
        if entry.fields.touches(&difference.changed) {
            if asked.force {
                entry.fields.subtract(&difference.changed);
            } else {
                let name = describe(entry.owner());
                let fields = entry.fields.common(&difference.changed).paths();
                conflicts.extend(
                    fields.into_iter().map(|field| Conflict { owner: name.clone(), field }),
                );
            }
        }
    }
    if !conflicts.is_empty() {
        conflicts.sort_by(|one, other| one.owner.cmp(&other.owner));
        return Err(ApplyError::Conflicts(conflicts));
    }
    for entry in managed.entries.iter_mut().filter(|entry| !entry.is_owned_by(owner)) {
        entry.fields.subtract(&difference.removed);
    }
    Ok(())
}

fn describe(owner: Owner<'_>) -> String {
    let mut text = format!("{:?}", owner.manager);
    if !owner.subresource.is_empty() {
        text += &format!(" with subresource {:?}", owner.subresource);
    }
    if owner.operation == Operation::Update {
        text += &format!(" using {}", owner.api_version);
    }
    text
}

/// Gives the new state the old one's owners if nothing but their times differs: then nothing is to be written.
pub fn settle_times(new: &mut Value, old: &Value) {
    let owners = |object: &Value| {
        let mut managed = Managed::stored(object.pointer("/metadata/managedFields").cloned());
        managed.entries.iter_mut().for_each(|entry| entry.set_time(""));
        managed.entries.sort_by(|one, other| one.owner().cmp(&other.owner()));
        managed
    };
    let (Some(now), Some(before)) =
        (new.pointer("/metadata/managedFields"), old.pointer("/metadata/managedFields"))
    else {
        return;
    };
    if now == before || owners(new) != owners(old) {
        return;
    }
    let before = before.clone();
    let Some(now) = new.pointer_mut("/metadata/managedFields") else { return };
    let given = std::mem::replace(now, before);
    if new != old
        && let Some(now) = new.pointer_mut("/metadata/managedFields")
    {
        *now = given;
    }
}
