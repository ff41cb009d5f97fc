//! Which fields of a value an expression reads, so that it need not be given the others.

use std::borrow::Cow;
use std::collections::BTreeMap;

use kube_cel::cel::IdedExpr;
use kube_cel::cel::common::ast::{EntryExpr, Expr};
use serde_json::{Map, Value};

use super::{BRANCHES, RULES};

/// What is read of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reads {
    /// At most whether it is there.
    Presence,
    /// These fields.
    Fields(BTreeMap<String, Reads>),
    /// All of it.
    Whole,
}

impl Reads {
    /// Adds what an expression reads of `self` and `oldSelf`.
    pub(super) fn see(&mut self, expression: &Expr) {
        if let Some((way, tested)) = way_from_self(expression) {
            self.add(&way, tested);
            return;
        }
        let mut see = |inner: &IdedExpr| self.see(&inner.expr);
        match expression {
            Expr::Call(call) => call.target.iter().map(Box::as_ref).chain(&call.args).for_each(see),
            Expr::Comprehension(over) => {
                [&over.iter_range, &over.accu_init, &over.loop_cond, &over.loop_step, &over.result]
                    .into_iter()
                    .for_each(see);
            }
            Expr::List(list) => list.elements.iter().for_each(see),
            Expr::Select(select) => see(&select.operand),
            Expr::Map(map) => map.entries.iter().for_each(|entry| self.see_entry(&entry.expr)),
            Expr::Struct(made) => made.entries.iter().for_each(|entry| self.see_entry(&entry.expr)),
            Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => {}
        }
    }

    fn see_entry(&mut self, entry: &EntryExpr) {
        match entry {
            EntryExpr::StructField(field) => self.see(&field.value.expr),
            EntryExpr::MapEntry(entry) => {
                self.see(&entry.key.expr);
                self.see(&entry.value.expr);
            }
        }
    }

    fn add(&mut self, way: &[&str], tested: bool) {
        match (way.split_first(), &mut *self) {
            (_, Self::Whole) => {}
            (None, _) if tested => {}
            (None, _) => *self = Self::Whole,
            (Some((first, rest)), Self::Fields(fields)) => {
                fields.entry((*first).to_owned()).or_insert(Self::Presence).add(rest, tested);
            }
            (Some(_), Self::Presence) => {
                *self = Self::Fields(BTreeMap::new());
                self.add(way, tested);
            }
        }
    }

    /// The part of a value that is read. What is only tested for keeps its type and loses its content.
    pub(super) fn of<'a>(&self, value: &'a Value) -> Cow<'a, Value> {
        match (self, value) {
            (Self::Fields(fields), Value::Object(all)) => {
                let part = |(name, reads): (&String, &Self)| {
                    Some((name.clone(), reads.of(all.get(name)?).into_owned()))
                };
                Cow::Owned(Value::Object(fields.iter().filter_map(part).collect()))
            }
            (Self::Presence, Value::Object(_)) => Cow::Owned(Value::Object(Map::new())),
            (Self::Presence, Value::Array(_)) => Cow::Owned(Value::Array(Vec::new())),
            (Self::Presence, Value::String(_)) => Cow::Owned(Value::String(String::new())),
            _ => Cow::Borrowed(value),
        }
    }

    /// The schema of that part, without rules.
    pub(super) fn of_schema(&self, schema: &Map<String, Value>) -> Value {
        let mut part = schema.clone();
        part.remove(RULES);
        // They say nothing about how a value looks to a rule.
        BRANCHES.iter().for_each(|key| drop(part.remove(*key)));
        match self {
            Self::Presence => {
                for key in ["properties", "additionalProperties", "items"] {
                    part.remove(key);
                }
            }
            Self::Fields(fields) => {
                if let Some(Value::Object(declared)) = part.get_mut("properties") {
                    declared.retain(|name, _| fields.contains_key(name));
                    for (name, child) in declared {
                        if let (Some(reads), Value::Object(inner)) = (fields.get(name), &*child) {
                            *child = reads.of_schema(inner);
                        }
                    }
                }
            }
            Self::Whole => {}
        }
        let mut part = Value::Object(part);
        strip(&mut part);
        part
    }
}

/// Takes rules and branches out of a schema, however deep.
fn strip(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let says_rules = |key: &str, value: &Value| key == RULES && value.is_array();
    fields.retain(|key, value| !BRANCHES.contains(&key.as_str()) && !says_rules(key, value));
    if let Some(Value::Object(declared)) = fields.get_mut("properties") {
        declared.values_mut().for_each(strip);
    }
    for key in ["items", "additionalProperties"] {
        fields.get_mut(key).into_iter().for_each(strip);
    }
}

/// The fields from `self` or `oldSelf` to what an expression names, and whether it only asks if that is there. `None`
/// for expressions that are more than a chain of fields.
fn way_from_self(expression: &Expr) -> Option<(Vec<&str>, bool)> {
    match expression {
        Expr::Ident(name) => (name == "self" || name == "oldSelf").then(|| (Vec::new(), false)),
        Expr::Select(select) => {
            let (mut way, tested) = way_from_self(&select.operand.expr)?;
            // An escaped name (`__dash__`) is that of another field: its holder counts whole, and
            // so does what stands behind a test.
            if tested || select.field.contains("__") {
                return None;
            }
            way.push(&select.field);
            Some((way, select.test))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kube_cel::cel::Program;
    use serde_json::json;

    use super::*;

    fn reads(expressions: &[&str]) -> Reads {
        let mut reads = Reads::Presence;
        for source in expressions {
            reads.see(&Program::compile(source).expect("an expression").expression().expr);
        }
        reads
    }

    /// What is left of an object when a rule has taken what it reads.
    fn left(expressions: &[&str]) -> Value {
        let object = json!({
            "version": "1.34",
            "my-name": 1,
            "eks": {"region": "eu", "tags": {"a": "b"}},
            "pools": [{"name": "web"}],
        });
        reads(expressions).of(&object).into_owned()
    }

    #[test]
    fn a_rule_sees_the_fields_that_it_names_and_no_others() {
        assert_eq!(
            left(&["self.version == oldSelf.eks.region"]),
            json!({"version": "1.34", "eks": {"region": "eu"}})
        );
        assert_eq!(left(&["true"]), json!({}));
        assert_eq!(
            left(&["self.pools.all(pool, pool.name != self.version)"]),
            json!({"pools": [{"name": "web"}], "version": "1.34"})
        );
    }

    #[test]
    fn what_is_only_tested_for_is_there_without_its_content() {
        assert_eq!(
            left(&["has(self.eks) && !has(self.aks) && has(self.pools)"]),
            json!({"eks": {}, "pools": []})
        );
        assert_eq!(
            left(&["!has(self.eks) || self.eks.tags['a'] == 'b'"]),
            json!({"eks": {"tags": {"a": "b"}}})
        );
    }

    #[test]
    fn a_rule_about_the_whole_value_or_an_escaped_field_sees_everything() {
        let all = left(&["self == oldSelf"]);
        assert_eq!(all["eks"]["tags"]["a"], "b");
        assert_eq!(left(&["self.my__dash__name == 1"]), all);
        assert_eq!(left(&["has(self.my__dash__name)"]), all);
        assert_eq!(left(&["self.version == '1'", "self.size() > 2"]), all);
    }

    #[test]
    fn the_schema_keeps_what_decides_how_the_fields_look_and_no_rules() {
        let schema = json!({
            "type": "object", RULES: [{"rule": "true"}],
            "properties": {
                "since": {"type": "string", "format": "date-time"},
                "tags": {"type": "object", "additionalProperties": {"type": "string", RULES: []}},
                "other": {"type": "string"},
            },
        });
        let Value::Object(schema) = schema else { panic!("an object") };
        let reads = reads(&["self.tags.all(key, key != '') && has(self.since)"]);
        assert_eq!(
            reads.of_schema(&schema),
            json!({"type": "object", "properties": {
                "since": {"type": "string", "format": "date-time"},
                "tags": {"type": "object", "additionalProperties": {"type": "string"}},
            }})
        );
    }
}
