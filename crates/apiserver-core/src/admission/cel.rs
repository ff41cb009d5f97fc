//! Evaluating the expressions of a policy.
//!
//! kube-cel's own evaluator for policies is not used: it escapes the keys of every map, so that
//! `annotations['example.com/key']` finds nothing.

use std::collections::HashMap;
use std::sync::Arc;

use kube_cel::KubeCelExt as _;
pub(super) use kube_cel::cel::Context;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Program, Value as Cel};
use serde_json::{Value, json};

use super::Request;

/// What an expression came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    Bool(bool),
    Text(String),
    Other,
}

/// Whether the expression can be read at all.
pub(super) fn compile(source: &str) -> Result<Program, String> {
    Program::compile(source).map_err(|error| error.to_string())
}

pub(super) fn evaluate(source: &str, context: &Context<'_>) -> Result<Answer, String> {
    match compile(source)?.execute(context) {
        Ok(Cel::Bool(yes)) => Ok(Answer::Bool(yes)),
        Ok(Cel::String(text)) => Ok(Answer::Text((*text).clone())),
        Ok(_) => Ok(Answer::Other),
        Err(error) => Err(error.to_string()),
    }
}

/// The variables `object`, `oldObject`, `request` and `namespaceObject`.
pub(super) fn context(request: &Request<'_>) -> Context<'static> {
    let Request { rt, name, subresource, operation, object, old, namespace, dry_run } = *request;
    let namespace_name = namespace.map(|namespace| &namespace["metadata"]["name"]);
    let asked = json!({
        "kind": {"group": rt.group, "version": rt.version, "kind": rt.kind},
        "resource": {"group": rt.group, "version": rt.version, "resource": rt.plural},
        "subResource": subresource.unwrap_or_default(),
        "name": name,
        "namespace": namespace_name.and_then(Value::as_str).unwrap_or_default(),
        "operation": operation.as_str(),
        "dryRun": dry_run,
    });
    let mut context = Context::default();
    context.register_all();
    let null = Value::Null;
    for (variable, value) in [
        ("object", object.unwrap_or(&null)),
        ("oldObject", old.unwrap_or(&null)),
        ("request", &asked),
        ("namespaceObject", namespace.unwrap_or(&null)),
    ] {
        context.add_variable_from_value(variable, convert(value));
    }
    context
}

/// Keys stay as they are: an object of a policy has no schema that would tell fields from keys.
fn convert(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(yes) => Cel::Bool(*yes),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Cel::Int(whole),
            None => Cel::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Cel::String(Arc::new(text.clone())),
        Value::Array(items) => Cel::List(Arc::new(items.iter().map(convert).collect())),
        Value::Object(fields) => {
            let one = |(key, value): (&String, &Value)| (Key::from(key.clone()), convert(value));
            let map: HashMap<Key, Cel> = fields.iter().map(one).collect();
            Cel::Map(Map { map: Arc::new(map) })
        }
    }
}
