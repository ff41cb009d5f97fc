//! Brings an object of a built-in kind into the form in which a real server keeps it: what decoding into the Go struct
//! and encoding again leaves. Unknown fields go, nulls and empty optional fields go, fields that Go always writes appear,
//! quantities, times and base64 get their one form.

use serde_json::{Map, Value, json};

use crate::quantity::{Quantity, SYNTAX_ERROR};
use crate::types::{Field, Shape, Struct, Types};

mod scalars;

/// Unknown fields beyond these are removed without a word.
const MOST_UNKNOWN: usize = 100;
/// Nesting that no built-in kind has honestly; schemas of custom kinds may recurse.
const DEPTH_LIMIT: usize = 128;
/// Structs in one object: a body of three letters each may hold a million, and each costs hundreds of bytes.
const STRUCTS_LIMIT: usize = 200_000;

/// Settles an object whose root is the definition. Answers the paths of unknown fields, as
/// `spec.template.spec.containers[0].imagePullPolcy`.
///
/// # Errors
/// What Go's decoder says where a value has the wrong type, as
/// `json: cannot unmarshal number into Go struct field ConfigMap.data of type string`.
pub fn settle(definition: &str, object: &mut Value) -> Result<Vec<String>, String> {
    let types = Types::get();
    let (Some(root), Value::Object(fields)) = (types.named(definition), object) else {
        return Ok(Vec::new());
    };
    let mut walk = Walk {
        types,
        unknown: Vec::new(),
        path: Vec::new(),
        field_path: Vec::new(),
        depth: 0,
        structs: 0,
    };
    walk.settle_struct(root, fields)?;
    Ok(walk.unknown)
}

/// A struct of which nothing is set, as it is written: `{}`, or with the fields Go always writes.
#[must_use]
pub fn empty(definition: &str) -> Value {
    let types = Types::get();
    let mut fields = Map::new();
    if let Some(root) = types.named(definition) {
        complete(types, root, &mut fields, 0);
    }
    Value::Object(fields)
}

/// The status of a new object of the definition: as [`empty`], for the field `status`.
#[must_use]
pub fn empty_status(definition: &str) -> Value {
    let types = Types::get();
    let field = types.named(definition).and_then(|root| root.field("status"));
    field.map_or(Value::Null, |field| zero(types, &field.shape, 0))
}

enum Step {
    Key(String),
    Index(usize),
}

struct Walk<'a> {
    types: &'a Types,
    unknown: Vec<String>,
    /// Where we are, as the client sees it.
    path: Vec<Step>,
    /// Where we are, as Go's decoder names it: struct fields only.
    field_path: Vec<&'a str>,
    depth: usize,
    structs: usize,
}

impl<'a> Walk<'a> {
    fn here(&self, last: &str) -> String {
        let mut out = String::new();
        for step in &self.path {
            match step {
                Step::Key(key) if out.is_empty() => out.push_str(key),
                Step::Key(key) => {
                    out.push('.');
                    out.push_str(key);
                }
                Step::Index(index) => out.push_str(&format!("[{index}]")),
            }
        }
        if out.is_empty() { last.to_owned() } else { format!("{out}.{last}") }
    }

    fn settle_struct(
        &mut self,
        root: &'a Struct,
        fields: &mut Map<String, Value>,
    ) -> Result<(), String> {
        self.depth += 1;
        self.structs += 1;
        if self.depth > DEPTH_LIMIT || self.structs > STRUCTS_LIMIT {
            return Err("exceeded max depth, or too many parts".to_owned());
        }
        let mut failed = None;
        fields.retain(|name, value| {
            if failed.is_some() {
                return true;
            }
            let Some(field) = root.field(name) else {
                if self.unknown.len() < MOST_UNKNOWN {
                    self.unknown.push(self.here(name));
                }
                return false;
            };
            if value.is_null() {
                return false;
            }
            self.path.push(Step::Key(name.clone()));
            self.field_path.push(&field.name);
            let done = self.settle_value(root, field, &field.shape, value);
            self.field_path.pop();
            self.path.pop();
            match done {
                Ok(()) => !(field.omit_empty && !field.pointer && is_empty(&field.shape, value)),
                Err(why) => {
                    failed = Some(why);
                    true
                }
            }
        });
        if let Some(why) = failed {
            return Err(why);
        }
        complete(self.types, root, fields, 0);
        self.depth -= 1;
        Ok(())
    }

    fn mismatch(&self, root: &Struct, field: &Field, shape: &Shape, value: &Value) -> String {
        let found = match value {
            Value::Null => "null".to_owned(),
            Value::Bool(_) => "bool".to_owned(),
            // A whole number of the wrong size, or a fraction, is told with its digits.
            Value::Number(number) if matches!(shape, Shape::Int32 | Shape::Int64) => {
                format!("number {number}")
            }
            Value::Number(_) => "number".to_owned(),
            Value::String(_) => "string".to_owned(),
            Value::Array(_) => "array".to_owned(),
            Value::Object(_) => "object".to_owned(),
        };
        let wanted = match (shape, field.named.as_str()) {
            (Shape::List(_) | Shape::Map(_) | Shape::Struct(_), _) | (_, "") => {
                shape.go_name(self.types)
            }
            (_, named) => named.to_owned(),
        };
        let name = root.name.rsplit('.').next().unwrap_or_default();
        let path = self.field_path.join(".");
        format!(
            "json: cannot unmarshal {found} into Go struct field {name}.{path} of type {wanted}"
        )
    }

    fn settle_value(
        &mut self,
        root: &'a Struct,
        field: &'a Field,
        shape: &'a Shape,
        value: &mut Value,
    ) -> Result<(), String> {
        match (shape, &mut *value) {
            (Shape::Text, Value::String(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Float, Value::Number(_))
            | (Shape::Json, _) => Ok(()),
            (Shape::Int32, Value::Number(number)) => {
                match number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()) {
                    true => Ok(()),
                    false => Err(self.mismatch(root, field, shape, value)),
                }
            }
            (Shape::Int64, Value::Number(number)) if number.is_i64() => Ok(()),
            (Shape::Raw | Shape::FieldsV1, Value::Object(_)) => Ok(()),
            (Shape::Bytes, Value::String(text)) => scalars::base64(text),
            (Shape::Quantity, _) => settle_quantity(value),
            (Shape::IntOrString, Value::String(_)) => Ok(()),
            (Shape::IntOrString, Value::Number(number)) => match number.as_i64() {
                Some(number) if i32::try_from(number).is_ok() => Ok(()),
                _ => Err(format!(
                    "json: cannot unmarshal number {number} into Go value of type int32"
                )),
            },
            (Shape::Time, Value::String(text)) => scalars::time(text),
            (Shape::MicroTime, Value::String(text)) => scalars::micro_time(text),
            (Shape::Struct(index), Value::Object(fields)) => match self.types.at(*index) {
                Some(inner) => self.settle_struct(inner, fields),
                None => Ok(()),
            },
            (Shape::List(inner), Value::Array(items)) => {
                for (index, item) in items.iter_mut().enumerate() {
                    self.path.push(Step::Index(index));
                    self.settle_item(root, field, inner, item)?;
                    self.path.pop();
                }
                Ok(())
            }
            (Shape::Map(inner), Value::Object(entries)) => {
                for (key, entry) in entries.iter_mut() {
                    self.path.push(Step::Key(key.clone()));
                    self.settle_item(root, field, inner, entry)?;
                    self.path.pop();
                }
                Ok(())
            }
            (Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings, _) => {
                self.settle_schemas(value)
            }
            _ => Err(self.mismatch(root, field, shape, value)),
        }
    }

    /// In lists and maps a null is the zero value.
    fn settle_item(
        &mut self,
        root: &'a Struct,
        field: &'a Field,
        shape: &'a Shape,
        item: &mut Value,
    ) -> Result<(), String> {
        if item.is_null() {
            *item = zero(self.types, shape, 0);
            return Ok(());
        }
        self.settle_value(root, field, shape, item)
    }

    /// A schema, or a list of them; whatever else is there is checked by whoever reads the schema.
    fn settle_schemas(&mut self, value: &mut Value) -> Result<(), String> {
        const SCHEMA: &str =
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        let Some(schema) = self.types.named(SCHEMA) else {
            return Ok(());
        };
        let each = match value {
            Value::Object(_) => std::slice::from_mut(value),
            Value::Array(items) => items.as_mut_slice(),
            _ => return Ok(()),
        };
        for one in each {
            if let Value::Object(fields) = one {
                self.settle_struct(schema, fields)?;
            }
        }
        Ok(())
    }
}

fn settle_quantity(value: &mut Value) -> Result<(), String> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(SYNTAX_ERROR.to_owned()),
    };
    let quantity = Quantity::parse(&text).ok_or_else(|| SYNTAX_ERROR.to_owned())?;
    let canonical = quantity.canonical();
    if value.as_str() != Some(canonical.as_str()) {
        *value = json!(canonical);
    }
    Ok(())
}

/// Whether Go calls a value of this shape empty: structs never are.
fn is_empty(shape: &Shape, value: &Value) -> bool {
    match (shape, value) {
        (_, Value::Null) => true,
        (Shape::IntOrString, _) => false,
        (_, Value::String(text)) => text.is_empty(),
        (_, Value::Bool(flag)) => !flag,
        (_, Value::Number(number)) => number.as_f64() == Some(0.0),
        (_, Value::Array(items)) => items.is_empty(),
        (Shape::Map(_), Value::Object(entries)) => entries.is_empty(),
        (_, Value::Object(_)) => false,
    }
}

/// Adds what Go always writes.
fn complete(types: &Types, root: &Struct, fields: &mut Map<String, Value>, depth: usize) {
    for field in &root.fields {
        let by_value = !field.pointer && always_there(&field.shape);
        if (by_value && !field.omit_zero) || !field.omit_empty {
            if fields.contains_key(&field.name) {
                continue;
            }
            let value =
                if field.pointer { Value::Null } else { zero(types, &field.shape, depth + 1) };
            fields.insert(field.name.clone(), value);
        }
    }
}

/// Whether a value of the shape is written even when Go is asked to leave out empty ones.
fn always_there(shape: &Shape) -> bool {
    matches!(
        shape,
        Shape::Struct(_)
            | Shape::Time
            | Shape::MicroTime
            | Shape::Raw
            | Shape::IntOrString
            | Shape::Quantity
    )
}

fn zero(types: &Types, shape: &Shape, depth: usize) -> Value {
    match shape {
        Shape::Text => json!(""),
        Shape::Bool => json!(false),
        Shape::Int32 | Shape::Int64 | Shape::Float | Shape::IntOrString => json!(0),
        Shape::Quantity => json!("0"),
        Shape::Struct(index) if depth < 16 => {
            let mut fields = Map::new();
            if let Some(inner) = types.at(*index) {
                complete(types, inner, &mut fields, depth);
            }
            Value::Object(fields)
        }
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests;
