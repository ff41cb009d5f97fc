//! `x-kubernetes-validations`, compiled once per kind and evaluated by kube-cel.
//!
//! kube-cel pairs list items with their old selves by index. Kubernetes pairs them by the keys
//! of the list (`x-kubernetes-list-type: map`) and not at all in other lists. So rules inside list
//! items are cut out here into trees of their own, and each item is evaluated with its right pair.
//!
//! kube-cel also walks the whole object and converts every part of it once per level above it. So
//! the rules of each node are compiled apart, and given only the fields that they read (`reads.rs`).

mod reads;

use kube_cel::{CompiledSchema, ErrorKind, ValidationError, compile_schema, validate_compiled};
use serde_json::{Map, Value};

use self::reads::Reads;
use super::{Findings, lookup};
use crate::scheme::ResourceType;
use crate::status::Cause;
use crate::way::Way;

const RULES: &str = "x-kubernetes-validations";
/// Keywords whose branches are further schemas of the same value.
const BRANCHES: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// The rules of a schema outside of list items, and the lists whose items have rules.
#[derive(Debug, Default)]
pub(crate) struct RuleTree {
    nodes: Vec<NodeRules>,
    lists: Vec<ListRules>,
}

/// The rules of one node of the schema.
#[derive(Debug)]
struct NodeRules {
    /// How to get from the tree's value to the node's.
    way: Vec<Step>,
    /// What the rules look at.
    reads: Reads,
    compiled: CompiledSchema,
}

#[derive(Debug)]
struct ListRules {
    /// How to get from the tree's value to the list.
    way: Vec<Step>,
    /// The keys of a list map; None for other lists.
    keys: Option<Vec<String>>,
    items: RuleTree,
}

#[derive(Debug, Clone)]
enum Step {
    Field(String),
    EachValue,
}

impl RuleTree {
    /// None if the schema has no rules.
    ///
    /// # Errors
    /// The schema path and message of the first rule that does not compile.
    pub(crate) fn compile(schema: &Value) -> Result<Option<Self>, (String, String)> {
        if !has_rules(schema) {
            return Ok(None);
        }
        let mut tree = Self::default();
        tree.gather(schema, &mut Vec::new())?;
        Ok(Some(tree))
    }

    /// Takes up the rules of a node and of everything below it.
    fn gather(&mut self, schema: &Value, way: &mut Vec<Step>) -> Result<(), (String, String)> {
        let Value::Object(fields) = schema else { return Ok(()) };
        if let Some(rules) = fields.get(RULES).filter(|rules| rules.is_array()) {
            self.nodes.push(NodeRules::compile(way, rules, fields)?);
        }
        for branches in BRANCHES.iter().filter_map(|key| fields.get(*key)?.as_array()) {
            branches.iter().try_for_each(|branch| self.gather(branch, way))?;
        }
        if let Some(items) = fields.get("items") {
            let place = |(at, why)| (format!("[*]{at}"), why);
            if let Some(items) = Self::compile(items).map_err(place)? {
                let keys = fields.get("x-kubernetes-list-map-keys").and_then(Value::as_array);
                let text = |key: &Value| key.as_str().map(str::to_owned);
                let keys = keys.map(|keys| keys.iter().filter_map(text).collect());
                self.lists.push(ListRules { way: way.clone(), keys, items });
            }
        }
        for (name, child) in
            fields.get("properties").and_then(Value::as_object).into_iter().flatten()
        {
            way.push(Step::Field(name.clone()));
            self.gather(child, way).map_err(|(at, why)| (format!(".{name}{at}"), why))?;
            way.pop();
        }
        if let Some(child) = fields.get("additionalProperties") {
            way.push(Step::EachValue);
            self.gather(child, way).map_err(|(at, why)| (format!(".*{at}"), why))?;
            way.pop();
        }
        Ok(())
    }

    /// `nearest` is the value around this one that has an old self, with it.
    fn evaluate<'a>(
        &self,
        (value, old): (&'a Value, Option<&'a Value>),
        nearest: Option<(&'a Value, &'a Value)>,
        at: Way<'_>,
        out: &mut Vec<Broken>,
    ) {
        let nearest = old.map(|old| (value, old)).or(nearest);
        for node in &self.nodes {
            walk(&node.way, (value, old), at, &mut |(value, old), path| {
                let (seen, before) = (node.reads.of(value), old.map(|old| node.reads.of(old)));
                if let Err(errors) = validate_compiled(&node.compiled, &seen, before.as_deref()) {
                    let judged = old.map(|old| (value, old)).or(nearest);
                    let unchanged =
                        judged.is_some_and(|(value, old)| is_same(value, old, at.is_root()));
                    let path = path.to_string();
                    out.extend(errors.into_iter().map(|error| Broken {
                        field: prefixed(&path, &error.field_path),
                        tolerated: unchanged && !node.refuses_unchanged(&error),
                        error,
                    }));
                }
            });
        }
        for list in &self.lists {
            walk(&list.way, (value, old), at, &mut |(value, old), path| {
                let Value::Array(items) = value else { return };
                let nearest = old.map(|old| (value, old)).or(nearest);
                for (index, item) in items.iter().enumerate() {
                    let pair = list.keys.as_ref().and_then(|keys| pair(item, old?, keys));
                    list.items.evaluate((item, pair), nearest, path.item(index), out);
                }
            });
        }
    }
}

/// Whether a value is what it was. Of a whole object the metadata does not count: labels and
/// finalizers can be edited whatever its rules say.
fn is_same(value: &Value, old: &Value, whole: bool) -> bool {
    match (value, old) {
        (Value::Object(value), Value::Object(old)) if whole => {
            let body = |fields: &Map<String, Value>| {
                fields.iter().filter(|(key, _)| *key != "metadata").count()
            };
            let mut fields = value.iter().filter(|(key, _)| *key != "metadata");
            body(value) == body(old) && fields.all(|(key, value)| old.get(key) == Some(value))
        }
        (value, old) => value == old,
    }
}

/// A rule that did not hold.
struct Broken {
    field: String,
    /// Whether all that it looks at was so before.
    tolerated: bool,
    error: ValidationError,
}

impl NodeRules {
    /// Whether a rule that compares with the past refused: it says no whatever changed.
    fn refuses_unchanged(&self, error: &ValidationError) -> bool {
        let mut all = self.compiled.validations.iter().flatten();
        error.kind == ErrorKind::ValidationFailure
            && all.any(|known| known.is_transition_rule && known.rule.rule == error.rule)
    }

    /// Compiles the rules of a schema node. A rule that does not compile is refused, as upstream does.
    fn compile(
        way: &[Step],
        rules: &Value,
        schema: &Map<String, Value>,
    ) -> Result<Self, (String, String)> {
        let mut alone = compile_schema(&serde_json::json!({RULES: rules}));
        if let Some(error) = alone.compilation_errors().first() {
            return Err((String::new(), error.to_string()));
        }
        let mut reads = Reads::Presence;
        for rule in alone.validations.iter().flatten() {
            for program in std::iter::once(&rule.program).chain(&rule.message_program) {
                reads.see(&program.expression().expr);
            }
        }
        let mut compiled = compile_schema(&reads.of_schema(schema));
        compiled.validations = std::mem::take(&mut alone.validations);
        Ok(Self { way: way.to_vec(), reads, compiled })
    }
}

fn has_rules(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            fields.get(RULES).is_some_and(Value::is_array) || fields.values().any(has_rules)
        }
        Value::Array(items) => items.iter().any(has_rules),
        _ => false,
    }
}

/// A value and its old self.
type Both<'a> = (&'a Value, Option<&'a Value>);

/// Visits all places that the steps lead to.
fn walk<'a>(
    steps: &[Step],
    (value, old): Both<'a>,
    at: Way<'_>,
    visit: &mut dyn FnMut(Both<'a>, Way<'_>),
) {
    let Some((first, rest)) = steps.split_first() else {
        return visit((value, old), at);
    };
    let mut below = |name: &str, child: &'a Value| {
        let old = old.and_then(|old| old.get(name));
        walk(rest, (child, old), at.field(name), visit);
    };
    match (first, value) {
        (Step::Field(name), _) => {
            if let Some(child) = value.get(name) {
                below(name, child);
            }
        }
        (Step::EachValue, Value::Object(fields)) => {
            fields.iter().for_each(|(name, child)| below(name, child));
        }
        (Step::EachValue, _) => {}
    }
}

/// The old item with the same keys.
fn pair<'a>(item: &Value, old: &'a Value, keys: &[String]) -> Option<&'a Value> {
    let same = |old: &&Value| keys.iter().all(|key| old.get(key) == item.get(key));
    old.as_array()?.iter().find(same)
}

fn prefixed(at: &str, path: &str) -> String {
    match (at, path) {
        ("", path) => path.to_owned(),
        (at, "") => at.to_owned(),
        // A rule's `fieldPath` begins with a dot.
        (at, path) if path.starts_with('.') => format!("{at}{path}"),
        (at, path) => format!("{at}.{path}"),
    }
}

/// Evaluates all rules of a kind. Broken rules over unchanged values become warnings.
pub(super) fn check(rt: &ResourceType, object: &Value, old: Option<&Value>, into: &mut Findings) {
    let Some(tree) = &rt.rules().cel else { return };
    let mut broken = Vec::new();
    tree.evaluate((object, old), None, Way::Start(""), &mut broken);
    // kube-cel walks hash maps; sorting makes the answer the same each time.
    broken.sort_by(|a, b| (&a.field, &a.error.rule).cmp(&(&b.field, &b.error.rule)));
    for Broken { field, tolerated, error } in broken {
        let cause = cause(&field, &error, object);
        if tolerated {
            into.warnings.push(format!("{field}: {}", cause.message));
        } else {
            into.causes.push(cause);
        }
    }
}

fn cause(field: &str, error: &ValidationError, object: &Value) -> Cause {
    let value = lookup(object, field).filter(|value| !value.is_object() && !value.is_array());
    match (error.reason.as_deref(), value) {
        (Some("FieldValueForbidden"), _) => Cause::forbidden(field, &error.message),
        (Some("FieldValueRequired"), _) => Cause::required(field, &error.message),
        (Some("FieldValueDuplicate"), Some(value)) => Cause::duplicate(field, value),
        (_, Some(value)) => Cause::invalid(field, value, &error.message),
        (_, None) => Cause::invalid_without_value(field, &error.message),
    }
}
