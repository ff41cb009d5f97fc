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
    match value(source, context)? {
        Cel::Bool(yes) => Ok(Answer::Bool(yes)),
        Cel::String(text) => Ok(Answer::Text((*text).clone())),
        _ => Ok(Answer::Other),
    }
}

fn value(source: &str, context: &Context<'_>) -> Result<Cel, String> {
    compile(source)?.execute(context).map_err(|error| {
        let text = error.to_string();
        // As Go's evaluator says it.
        match text.strip_prefix("No such key: ") {
            Some(key) => format!("no such key: {key}"),
            None => text,
        }
    })
}

/// The variables of a policy that have no value, each with the reason.
pub(super) type Failed = Vec<(String, String)>;

/// Gives a policy's own variables their values. One that cannot be evaluated matters only to the
/// expressions that use it.
pub(super) fn add_variables(context: &mut Context<'_>, variables: &[Value]) -> Failed {
    let mut known: HashMap<Key, Cel> = HashMap::new();
    let mut failed = Failed::new();
    for variable in variables {
        let text = |field: &str| variable[field].as_str().unwrap_or_default();
        let (name, source) = (text("name"), text("expression"));
        let made = match failure_in(source, &failed) {
            Some(why) => Err(why.to_owned()),
            None => value(source, context),
        };
        match made {
            Ok(made) => drop(known.insert(Key::from(name.to_owned()), made)),
            Err(why) => failed.push((name.to_owned(), why)),
        }
        let map = Map { map: Arc::new(known.clone()) };
        context.add_variable_from_value("variables", Cel::Map(map));
    }
    failed
}

/// Why an expression cannot be evaluated, if it uses a variable without a value.
pub(super) fn failure_in<'a>(source: &str, failed: &'a Failed) -> Option<&'a str> {
    let uses = |name: &str| {
        source.match_indices("variables.").any(|(at, head)| {
            let rest = &source[at + head.len()..];
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            &rest[..end.unwrap_or(rest.len())] == name
        })
    };
    failed.iter().find(|(name, _)| uses(name)).map(|(_, why)| why.as_str())
}

/// The variables `object`, `oldObject`, `request`, `params` and `namespaceObject`.
pub(super) fn context(request: &Request<'_>, params: &Value) -> Context<'static> {
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
        ("params", params),
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
