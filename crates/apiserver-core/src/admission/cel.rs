//! Evaluating the expressions of a policy.
//!
//! kube-cel's own evaluator for policies is not used: it escapes the keys of every map, so that
//! `annotations['example.com/key']` finds nothing.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use kube_cel::KubeCelExt as _;
pub(super) use kube_cel::cel::Context;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Program, Value as Cel};
use serde_json::{Value, json};

use super::Request;

/// Expressions that are kept compiled, and the longest of them: some megabytes together.
const KEPT_LIMIT: usize = 500;
const KEPT_LENGTH_BYTES: usize = 4096;

/// Compiled expressions by their text, since every write asks for all that are in force. Compiling
/// depends on nothing but the text, so it makes no difference who compiled one first.
static KEPT: Mutex<BTreeMap<String, Arc<Program>>> = Mutex::new(BTreeMap::new());

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

/// As [`compile`], at most once for each text that is in use.
fn compiled(source: &str) -> Result<Arc<Program>, String> {
    let kept = || KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(program) = kept().get(source) {
        return Ok(Arc::clone(program));
    }
    let program = Arc::new(compile(source)?);
    if source.len() <= KEPT_LENGTH_BYTES {
        let mut kept = kept();
        if kept.len() >= KEPT_LIMIT {
            kept.clear();
        }
        kept.insert(source.to_owned(), Arc::clone(&program));
    }
    Ok(program)
}

pub(super) fn evaluate(source: &str, context: &Context<'_>) -> Result<Answer, String> {
    match value(source, context)? {
        Cel::Bool(yes) => Ok(Answer::Bool(yes)),
        Cel::String(text) => Ok(Answer::Text((*text).clone())),
        _ => Ok(Answer::Other),
    }
}

fn value(source: &str, context: &Context<'_>) -> Result<Cel, String> {
    compiled(source)?.execute(context).map_err(|error| {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_compiled_once() {
        let same = |source: &str| {
            let [one, two] = [compiled(source), compiled(source)];
            one.is_ok_and(|one| two.is_ok_and(|two| Arc::ptr_eq(&one, &two)))
        };
        assert!(same("object.metadata.name == 'kept'"));
        assert!(!same(&format!("'{}' == ''", "x".repeat(5000))), "giants are not kept");
        assert!(compiled("1 ===").is_err());
    }
}
