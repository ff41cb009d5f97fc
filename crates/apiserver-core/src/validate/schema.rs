//! Structural checks: types, ranges, enums, patterns, required fields, list types.

use serde_json::{Map, Value, json};

use super::OBJECT_META;
use super::formats::fits_format;
use super::ratchet;
use super::shape::{join, resolve};
use crate::scheme::{ResourceType, Rules};
use crate::status::{Cause, CauseReason};
use crate::way::Way;

/// What is wrong with an object.
#[derive(Default)]
pub(super) struct Violations {
    /// In order of the fields.
    pub(super) causes: Vec<Cause>,
    /// What occurs twice in a set or a map.
    pub(super) duplicates: Vec<Cause>,
}

/// All violations of the kind's schema. What equals its old self is let pass.
pub(super) fn check(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Violations {
    let mut walk = Walk::new(rt.rules());
    walk.visit(&rt.schema, object, old, Way::Start(""));
    walk.tolerate(&rt.schema, old);
    walk.found
}

/// All violations in the status, which is checked by itself: messages name paths below it.
pub(super) fn check_status(rt: &ResourceType, object: &Value, old: Option<&Value>) -> Violations {
    let mut walk = Walk::new(rt.rules());
    let schema = rt.schema.get("properties").and_then(|all| all.get("status"));
    if let (Some(schema), Some(status)) = (schema, object.get("status")) {
        let old = old.and_then(|old| old.get("status"));
        walk.visit(schema, status, old, Way::Start(""));
        walk.tolerate(schema, old);
        for cause in walk.found.causes.iter_mut().chain(&mut walk.found.duplicates) {
            if cause.field != NOWHERE {
                cause.field = join("status", &cause.field).trim_end_matches('.').to_owned();
            }
        }
    }
    walk.found
}

/// All violations of a schema without references.
pub(super) fn check_alone(schema: &Value, value: &Value) -> Vec<Cause> {
    let Ok(rules) = Rules::patterns_of(schema) else {
        return Vec::new();
    };
    let mut walk = Walk::new(&rules);
    walk.visit(schema, value, None, Way::Start(""));
    walk.found.causes.append(&mut walk.found.duplicates);
    walk.found.causes
}

/// All violations of the schema of `metadata`.
pub(crate) fn check_metadata(rt: &ResourceType, metadata: &Value) -> Vec<Cause> {
    let mut walk = Walk::new(rt.rules());
    if let Some(schema) = rt.rules().definitions.get(OBJECT_META) {
        walk.visit(schema, metadata, None, Way::Start("metadata"));
    }
    walk.found.causes
}

/// Whether the object is too wrong for rules to make sense of it.
pub(super) fn blocks_rules(cause: &Cause) -> bool {
    matches!(
        cause.reason,
        CauseReason::NotSupported
            | CauseReason::Required
            | CauseReason::TooLong
            | CauseReason::TooMany
            | CauseReason::TypeInvalid
    )
}

/// The field of what upstream cannot place.
pub(super) const NOWHERE: &str = "<nil>";

struct Walk<'a> {
    rules: &'a Rules,
    found: Violations,
}

/// Nobody reads more, and a small body can hold millions of mistakes.
const MOST_CAUSES: usize = 100;

fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => {
            // 1.0 is an integer, 1.5 is not.
            if number.as_f64().is_some_and(|n| n.fract() == 0.0) { "integer" } else { "number" }
        }
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

impl<'r> Walk<'r> {
    fn new(rules: &'r Rules) -> Self {
        Self { rules, found: Violations::default() }
    }

    /// Lists that held something twice before may go on to.
    fn tolerate(&mut self, schema: &Value, old: Option<&Value>) {
        let Some(old) = old.filter(|_| !self.found.duplicates.is_empty()) else { return };
        let mut before = Walk::new(self.rules);
        before.visit(schema, old, None, Way::Start(""));
        if !before.found.duplicates.is_empty() {
            self.found.duplicates.clear();
        }
    }

    /// What did not change is not looked at: so a stricter schema locks no object in, whose labels
    /// and finalizers can still be edited (Kubernetes' "ratcheting").
    fn visit(&mut self, schema: &Value, value: &Value, old: Option<&Value>, path: Way<'_>) {
        if self.found.causes.len() >= MOST_CAUSES || old == Some(value) {
            return;
        }
        let schema = resolve(self.rules, schema);
        if value.is_null() && schema["nullable"] == true {
            return;
        }
        let found = type_name(value);
        let int_or_string = schema["x-kubernetes-int-or-string"] == true;
        let wanted = if int_or_string { Some("integer,string") } else { schema["type"].as_str() };
        let fits = wanted.is_none_or(|wanted| {
            wanted.split(',').any(|one| one == found) || (wanted == "number" && found == "integer")
        });
        if !fits {
            let wanted = wanted.unwrap_or_default();
            self.found.causes.push(Cause::wrong_type(&path.to_string(), found, wanted));
            if (found, wanted) == ("number", "integer") {
                self.nowhere(&format!(
                    "Checked value must be of type integer (default format) in {path}"
                ));
            }
            return;
        }
        self.check_enum(schema, value, path);
        match value {
            Value::Object(fields) => self.visit_object(schema, fields, old, path),
            Value::Array(items) => self.visit_array(schema, items, old, path),
            Value::String(text) => self.check_string(schema, text, path),
            Value::Number(_) => self.check_number(schema, value, path),
            Value::Null | Value::Bool(_) => {}
        }
        self.check_combinations(schema, value, old, path);
    }

    /// What upstream's validator says without a place and a value.
    fn nowhere(&mut self, detail: &str) {
        self.found.causes.push(Cause::invalid(NOWHERE, &json!(""), detail));
    }

    fn invalid(&mut self, path: Way<'_>, value: &Value, detail: &str) {
        self.found.causes.push(Cause::invalid(
            path.to_string(),
            value,
            &format!("{path} in body {detail}"),
        ));
    }

    fn check_enum(&mut self, schema: &Value, value: &Value, path: Way<'_>) {
        let Some(allowed) = schema["enum"].as_array() else {
            return;
        };
        if !allowed.contains(value) {
            let texts: Vec<String> = allowed.iter().map(Value::to_string).collect();
            self.found.causes.push(Cause::not_supported(path.to_string(), value, &texts));
        }
    }

    fn visit_object(
        &mut self,
        schema: &Value,
        fields: &Map<String, Value>,
        old: Option<&Value>,
        path: Way<'_>,
    ) {
        let size = fields.len() as u64;
        if let Some(most) = schema["maxProperties"].as_u64().filter(|most| size > *most) {
            self.found.causes.push(Cause::too_many(path.to_string(), fields.len(), most));
        }
        if let Some(least) = schema["minProperties"].as_u64().filter(|least| size < *least) {
            let detail = format!("should have at least {least} properties");
            self.invalid(path, &json!(least), &detail);
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                self.found.causes.push(Cause::required(path.field(name).to_string(), ""));
            }
        }
        let declared = schema.get("properties");
        let others = schema.get("additionalProperties").filter(|other| other.is_object());
        for (name, value) in fields {
            if let Some(child) = declared.and_then(|all| all.get(name)).or(others) {
                let old = old.and_then(|old| old.get(name));
                self.visit(child, value, old, path.field(name));
            }
        }
    }

    fn visit_array(&mut self, schema: &Value, items: &[Value], old: Option<&Value>, path: Way<'_>) {
        let size = items.len() as u64;
        if let Some(most) = schema["maxItems"].as_u64().filter(|most| size > *most) {
            self.found.causes.push(Cause::too_many(path.to_string(), items.len(), most));
        }
        if let Some(least) = schema["minItems"].as_u64().filter(|least| size < *least) {
            let detail = format!("should have at least {least} items");
            self.invalid(path, &json!(items.len()), &detail);
        }
        if let Some(child) = schema.get("items") {
            for (index, item) in items.iter().enumerate() {
                let old = old.and_then(|old| ratchet::old_item(schema, item, old));
                self.visit(child, item, old, path.item(index));
            }
        }
        self.check_duplicates(schema, items, path);
    }

    fn check_duplicates(&mut self, schema: &Value, items: &[Value], path: Way<'_>) {
        let keys = schema["x-kubernetes-list-map-keys"].as_array().map(Vec::as_slice);
        let key_of = |item: &Value| match (schema["x-kubernetes-list-type"].as_str(), keys) {
            (Some("set"), _) => Some(item.clone()),
            (Some("map"), Some(keys)) => {
                let names = keys.iter().filter_map(Value::as_str);
                let pairs = names.filter_map(|n| item.get(n).map(|v| (n.to_owned(), v.clone())));
                Some(Value::Object(pairs.collect()))
            }
            _ => None,
        };
        // Sorted texts, since comparing each with each would take quadratic time on long lists.
        let mut seen = std::collections::BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let Some(key) = key_of(item) else { return };
            if !seen.insert(key.to_string()) && self.found.duplicates.len() < MOST_CAUSES {
                self.found.duplicates.push(Cause::duplicate(format!("{path}[{index}]"), &key));
            }
        }
    }

    fn check_string(&mut self, schema: &Value, text: &str, path: Way<'_>) {
        let value = json!(text);
        let length = text.chars().count() as u64;
        if let Some(most) = schema["maxLength"].as_u64().filter(|most| length > *most) {
            self.found.causes.push(Cause::too_long(path.to_string(), most));
        }
        if let Some(least) = schema["minLength"].as_u64().filter(|least| length < *least) {
            let detail = format!("should be at least {least} chars long");
            self.invalid(path, &value, &detail);
        }
        if let Some(pattern) = schema["pattern"].as_str() {
            // A pattern that is not compiled cannot be checked, which counts as no match.
            let matches = self.rules.patterns.get(pattern).is_some_and(|re| re.is_match(text));
            if !matches {
                self.invalid(path, &value, &format!("should match '{pattern}'"));
            }
        }
        let format = schema["format"].as_str().filter(|format| !fits_format(format, text));
        if format == Some("byte") {
            // The value is a Secret's as often as not, and an error is printed, logged and stored.
            let detail = format!("{path} in body must be of type byte: illegal base64 data");
            self.found.causes.push(Cause::invalid_without_value(path.to_string(), &detail));
        } else if let Some(format) = format {
            self.invalid(path, &value, &format!("must be of type {format}: {value}"));
        }
    }

    fn check_number(&mut self, schema: &Value, value: &Value, path: Way<'_>) {
        let Some(number) = value.as_f64() else { return };
        if let Some(least) = schema["minimum"].as_f64() {
            let exclusive = schema["exclusiveMinimum"] == true;
            if number < least || (exclusive && number <= least) {
                let or_equal = if exclusive { "" } else { " or equal to" };
                let detail = format!("should be greater than{or_equal} {}", schema["minimum"]);
                self.invalid(path, value, &detail);
            }
        }
        if let Some(most) = schema["maximum"].as_f64() {
            let exclusive = schema["exclusiveMaximum"] == true;
            if number > most || (exclusive && number >= most) {
                let or_equal = if exclusive { "" } else { " or equal to" };
                let detail = format!("should be less than{or_equal} {}", schema["maximum"]);
                self.invalid(path, value, &detail);
            }
        }
        if let Some(factor) = schema["multipleOf"].as_f64().filter(|factor| *factor != 0.0)
            && (number / factor).fract() != 0.0
        {
            let detail = format!("should be a multiple of {}", schema["multipleOf"]);
            self.invalid(path, value, &detail);
        }
        let int32 = schema["format"] == "int32";
        if int32 && !(f64::from(i32::MIN)..=f64::from(i32::MAX)).contains(&number) {
            let detail =
                format!("Checked value must be of type integer with format int32 in {path}");
            self.nowhere(&detail);
        }
    }

    fn check_combinations(
        &mut self,
        schema: &Value,
        value: &Value,
        old: Option<&Value>,
        path: Way<'_>,
    ) {
        let branches = |key: &str| schema[key].as_array().map(Vec::as_slice).unwrap_or_default();
        for branch in branches("allOf") {
            self.visit(branch, value, old, path);
        }
        let rules = self.rules;
        let problems = |branch: &Value| {
            let mut walk = Walk::new(rules);
            walk.visit(branch, value, None, path);
            walk.found.causes
        };
        let any = branches("anyOf");
        if !any.is_empty() {
            let found: Vec<_> = any.iter().map(problems).collect();
            if found.iter().all(|causes| !causes.is_empty()) {
                self.nowhere(&format!("\"{path}\" must validate at least one schema (anyOf)"));
                self.found.causes.extend(best(found));
            }
        }
        let one = branches("oneOf");
        if !one.is_empty() {
            let found: Vec<_> = one.iter().map(problems).collect();
            let valid = found.iter().filter(|causes| causes.is_empty()).count();
            let head = format!("\"{path}\" must validate one and only one schema (oneOf).");
            match valid {
                1 => {}
                0 => {
                    self.nowhere(&format!("{head} Found none valid"));
                    self.found.causes.extend(best(found));
                }
                several => self.nowhere(&format!("{head} Found {several} valid alternatives")),
            }
        }
        if schema.get("not").is_some_and(|branch| problems(branch).is_empty()) {
            self.nowhere(&format!("\"{path}\" must not validate the schema (not)"));
        }
    }
}

/// The problems of the branch that comes closest.
fn best(found: Vec<Vec<Cause>>) -> Vec<Cause> {
    found.into_iter().min_by_key(Vec::len).unwrap_or_default()
}
