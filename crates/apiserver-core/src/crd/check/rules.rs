//! `x-kubernetes-validations` of a new definition: whether each rule can be run, answers a
//! boolean, and is affordable.
//!
//! Costs are a lower bound of upstream's estimate: only loops count. What upstream accepts is
//! never refused for its cost here.

use kube_cel::cel::common::ast::{EntryExpr, Expr, LiteralValue};
use kube_cel::compile_schema;
use serde_json::{Map, Value, json};

use super::not_supported;
use crate::status::Cause;

/// Upstream's `StaticEstimatedCostLimit`: one rule.
const RULE_LIMIT: u64 = 10_000_000;
/// Upstream's `StaticEstimatedCRDCostLimit`: all rules of a schema.
const SCHEMA_LIMIT: u64 = 100_000_000;
/// Upstream takes what fits into a request as the size of what has no limit of its own.
const REQUEST_BYTES: u64 = 3 * 1024 * 1024;
const ADVICE: &str = "(try simplifying the rule, or adding maxItems, maxProperties, and maxLength \
    where arrays, maps, and strings are declared)";
const REASONS: &[&str] =
    &["FieldValueRequired", "FieldValueInvalid", "FieldValueForbidden", "FieldValueDuplicate"];

/// Functions that kube-cel runs, by the last part of their names. A rule that uses another could
/// never pass.
const FUNCTIONS: &[&str] = &[
    "abs",
    "add",
    "all",
    "asApproximateFloat",
    "asInteger",
    "bitAnd",
    "bitNot",
    "bitOr",
    "bitShiftLeft",
    "bitShiftRight",
    "bitXor",
    "bool",
    "bytes",
    "ceil",
    "charAt",
    "cidr",
    "compareTo",
    "contains",
    "containsCIDR",
    "containsIP",
    "decode",
    "distinct",
    "double",
    "duration",
    "dyn",
    "encode",
    "endsWith",
    "equivalent",
    "escapeKey",
    "exists",
    "exists_one",
    "family",
    "filter",
    "find",
    "findAll",
    "first",
    "flatten",
    "floor",
    "format",
    "getDate",
    "getDayOfMonth",
    "getDayOfWeek",
    "getDayOfYear",
    "getEscapedPath",
    "getFullYear",
    "getHost",
    "getHostname",
    "getHours",
    "getMilliseconds",
    "getMinutes",
    "getMonth",
    "getPort",
    "getQuery",
    "getScheme",
    "getSeconds",
    "greatest",
    "has",
    "hasValue",
    "indexOf",
    "int",
    "intersects",
    "ip",
    "isCIDR",
    "isCIDRv4",
    "isCIDRv6",
    "isCanonical",
    "isFinite",
    "isGlobalUnicast",
    "isGreaterThan",
    "isIP",
    "isIPv4",
    "isIPv6",
    "isInf",
    "isInteger",
    "isLessThan",
    "isLinkLocalMulticast",
    "isLinkLocalUnicast",
    "isLoopback",
    "isNaN",
    "isQuantity",
    "isSemver",
    "isSorted",
    "isURL",
    "isUnspecified",
    "join",
    "last",
    "lastIndexOf",
    "least",
    "lowerAscii",
    "major",
    "map",
    "masked",
    "matches",
    "max",
    "min",
    "minor",
    "named",
    "none",
    "of",
    "ofNonZeroValue",
    "optMap",
    "optFlatMap",
    "or",
    "orValue",
    "patch",
    "prefixLength",
    "quantity",
    "quote",
    "range",
    "replace",
    "reverse",
    "round",
    "semver",
    "sign",
    "size",
    "slice",
    "sort",
    "split",
    "sqrt",
    "startsWith",
    "string",
    "sub",
    "substring",
    "sum",
    "timestamp",
    "trim",
    "trunc",
    "type",
    "uint",
    "upperAscii",
    "url",
    "validate",
    "value",
    // Named formats.
    "byte",
    "date",
    "datetime",
    "dns1035Label",
    "dns1035LabelPrefix",
    "dns1123Label",
    "dns1123LabelPrefix",
    "dns1123Subdomain",
    "dns1123SubdomainPrefix",
    "labelValue",
    "qualifiedName",
    "uri",
    "uuid",
];
/// Those among them, and among the operators, that never answer a boolean.
const NOT_BOOLEAN: &[&str] = &[
    "_+_",
    "_-_",
    "_*_",
    "_/_",
    "_%_",
    "-_",
    "size",
    "string",
    "int",
    "uint",
    "double",
    "bytes",
    "duration",
    "timestamp",
    "lowerAscii",
    "upperAscii",
    "trim",
    "join",
    "split",
    "replace",
    "substring",
    "indexOf",
    "lastIndexOf",
    "charAt",
    "sum",
    "quantity",
    "url",
    "type",
    "abs",
    "ceil",
    "floor",
];

/// What the rules of a schema cost together.
#[derive(Debug, Default)]
pub(super) struct Costs {
    total: u64,
    dear: Vec<(String, u64)>,
}

impl Costs {
    pub(super) fn verdict(&self, at: &str) -> Vec<Cause> {
        if self.total <= SCHEMA_LIMIT {
            return Vec::new();
        }
        let why = "contributed to estimated rule cost total exceeding cost limit for entire \
                   OpenAPIv3 schema";
        let mut dear: Vec<_> =
            self.dear.iter().filter(|(_, cost)| *cost > SCHEMA_LIMIT / 100).collect();
        dear.sort_by_key(|(_, cost)| std::cmp::Reverse(*cost));
        let mut causes: Vec<Cause> =
            dear.into_iter().take(4).map(|(field, _)| Cause::forbidden(field, why)).collect();
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        causes.push(Cause::forbidden(at, &too_dear(what, self.total, SCHEMA_LIMIT)));
        causes
    }
}

fn too_dear(what: &str, cost: u64, limit: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "a factor for people to read")]
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!("{what} exceeds budget by factor of {factor} {ADVICE}")
}

/// Checks the rules of one node, which can occur `times` in an object.
pub(super) fn check(
    rules: &[Value],
    schema: &Map<String, Value>,
    (at, times): (&str, u64),
    causes: &mut Vec<Cause>,
    costs: &mut Costs,
) {
    for (index, rule) in rules.iter().enumerate() {
        let at = format!("{at}.x-kubernetes-validations[{index}]");
        let text = |key: &str| rule[key].as_str().unwrap_or_default();
        causes.extend(check_words(rule, &at));
        if text("rule").trim().is_empty() {
            causes.push(Cause::required(format!("{at}.rule"), "rule is not specified"));
            continue;
        }
        let field = format!("{at}.rule");
        let compiled = compile_schema(&json!({"x-kubernetes-validations": [rule]}));
        if let Some(error) = compiled.compilation_errors().first() {
            let why = format!("compilation failed: {error}");
            causes.push(super::invalid(&field, &as_upstream_prints(rule), &why));
            continue;
        }
        for compiled in compiled.validations.iter().flatten() {
            let expression = &compiled.program.expression().expr;
            if let Some(name) = unknown_function(expression) {
                let why = format!(
                    "compilation failed: ERROR: <input>: undeclared reference to '{name}' (in container '')"
                );
                causes.push(super::invalid(&field, &as_upstream_prints(rule), &why));
            } else if !may_be_boolean(expression, schema) {
                let why = "cel expression must evaluate to a bool";
                causes.push(super::invalid(&field, &as_upstream_prints(rule), why));
            }
            let cost = cost(expression, schema).saturating_mul(times);
            if cost > RULE_LIMIT {
                let why = too_dear("estimated rule cost", cost, RULE_LIMIT);
                causes.push(Cause::forbidden(&field, &why));
            }
            costs.total = costs.total.saturating_add(cost);
            costs.dear.push((field.clone(), cost));
        }
    }
}

fn check_words(rule: &Value, at: &str) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |key: &str| rule[key].as_str().unwrap_or_default();
    let (message, given) = (text("message"), rule["message"].is_string());
    let field = format!("{at}.message");
    if given && message.trim().is_empty() {
        let why = "message must be non-empty if specified";
        causes.push(Cause::invalid(&field, &json!(message), why));
    } else if message.contains('\n') {
        let why = "message must not contain line breaks";
        causes.push(Cause::invalid(&field, &json!(message), why));
    } else if !given && text("rule").trim().contains('\n') {
        let why = "message must be specified if rule contains line breaks";
        causes.push(Cause::required(&field, why));
    }
    let reason = &rule["reason"];
    if reason.as_str().is_some_and(|reason| !REASONS.contains(&reason)) {
        causes.push(not_supported(&format!("{at}.reason"), reason, REASONS));
    }
    let path = text("fieldPath");
    if rule["fieldPath"].is_string() && !path.starts_with('.') && !path.starts_with('[') {
        let why = "fieldPath must be a valid path: expected '.' or '[' at its beginning";
        causes.push(Cause::invalid(format!("{at}.fieldPath"), &json!(path), why));
    }
    causes
}

/// Upstream prints its internal struct.
fn as_upstream_prints(rule: &Value) -> String {
    let text = |key: &str| json!(rule[key].as_str().unwrap_or_default());
    super::in_order(&[
        ("Rule", text("rule")),
        ("Message", text("message")),
        ("MessageExpression", text("messageExpression")),
        ("Reason", rule["reason"].clone()),
        ("FieldPath", text("fieldPath")),
        ("OptionalOldSelf", rule["optionalOldSelf"].clone()),
    ])
}

/// The parts of an expression, one level down.
fn parts(expression: &Expr) -> Vec<&Expr> {
    match expression {
        Expr::Call(call) => call
            .target
            .iter()
            .map(|target| &target.expr)
            .chain(call.args.iter().map(|a| &a.expr))
            .collect(),
        Expr::Comprehension(over) => vec![
            &over.iter_range.expr,
            &over.accu_init.expr,
            &over.loop_cond.expr,
            &over.loop_step.expr,
            &over.result.expr,
        ],
        Expr::List(list) => list.elements.iter().map(|element| &element.expr).collect(),
        Expr::Select(select) => vec![&select.operand.expr],
        Expr::Map(map) => map.entries.iter().flat_map(|e| entry_parts(&e.expr)).collect(),
        Expr::Struct(made) => made.entries.iter().flat_map(|e| entry_parts(&e.expr)).collect(),
        Expr::Ident(_) | Expr::Literal(_) | Expr::Unspecified => Vec::new(),
    }
}

fn entry_parts(entry: &EntryExpr) -> Vec<&Expr> {
    match entry {
        EntryExpr::StructField(field) => vec![&field.value.expr],
        EntryExpr::MapEntry(entry) => vec![&entry.key.expr, &entry.value.expr],
    }
}

fn unknown_function(expression: &Expr) -> Option<&str> {
    if let Expr::Call(call) = expression {
        let name = call.func_name.as_str();
        let operator = name.contains('_') || name.starts_with('@');
        let last = name.rsplit('.').next().unwrap_or_default();
        if !operator && !FUNCTIONS.contains(&last) {
            return Some(name);
        }
    }
    parts(expression).into_iter().find_map(unknown_function)
}

/// False only where it is certain that no boolean comes out.
fn may_be_boolean(expression: &Expr, schema: &Map<String, Value>) -> bool {
    match expression {
        Expr::Literal(LiteralValue::Boolean(_)) => true,
        Expr::Literal(_) | Expr::List(_) | Expr::Map(_) | Expr::Struct(_) => false,
        Expr::Call(call) if call.func_name == "_?_:_" => {
            call.args.iter().skip(1).all(|branch| may_be_boolean(&branch.expr, schema))
        }
        Expr::Call(call) => !NOT_BOOLEAN.contains(&call.func_name.as_str()),
        Expr::Comprehension(over) => !matches!(over.accu_init.expr, Expr::List(_) | Expr::Map(_)),
        Expr::Select(select) if select.test => true,
        Expr::Ident(_) | Expr::Select(_) => match node(expression, schema) {
            Some(found) => found.get("type").is_none_or(|name| name == "boolean"),
            None => true,
        },
        Expr::Unspecified => false,
    }
}

/// The schema of what `self.a.b` means.
fn node<'a>(expression: &Expr, schema: &'a Map<String, Value>) -> Option<&'a Map<String, Value>> {
    match expression {
        Expr::Ident(name) if name == "self" || name == "oldSelf" => Some(schema),
        Expr::Select(select) => {
            let holder = node(&select.operand.expr, schema)?;
            holder.get("properties")?.get(&select.field)?.as_object()
        }
        _ => None,
    }
}

/// How many entries a list or map can have.
pub(super) fn most_entries(schema: &Map<String, Value>) -> u64 {
    let limit = |key: &str| schema.get(key).and_then(Value::as_u64);
    let smallest = |child: &str| {
        let kind = schema.get(child).and_then(|child| child["type"].as_str()).unwrap_or_default();
        // The shortest JSON of the type.
        match kind {
            "boolean" => 4,
            "object" | "array" | "string" => 2,
            _ => 1,
        }
    };
    if schema.contains_key("additionalProperties") {
        let entry = smallest("additionalProperties") + 6;
        return limit("maxProperties").unwrap_or(REQUEST_BYTES / entry);
    }
    limit("maxItems").unwrap_or(REQUEST_BYTES / (smallest("items") + 1))
}

/// How often the innermost parts run.
fn cost(expression: &Expr, schema: &Map<String, Value>) -> u64 {
    if let Expr::Comprehension(over) = expression {
        let range = entries(&over.iter_range.expr, schema).max(1);
        let loops = range.saturating_mul(cost(&over.loop_step.expr, schema).max(1));
        // What is gone through may itself be the work of a loop.
        return match &over.iter_range.expr {
            made @ (Expr::Comprehension(_) | Expr::Call(_)) => {
                loops.saturating_add(cost(made, schema))
            }
            _ => loops,
        };
    }
    let below = parts(expression).into_iter().map(|part| cost(part, schema));
    below.fold(1, u64::saturating_add)
}

/// How many entries an expression can come to: those of a field of `self`, and of copies of it by
/// `map`, `filter`, `+` and `?:`. Whatever else counts as one.
fn entries(expression: &Expr, schema: &Map<String, Value>) -> u64 {
    match expression {
        Expr::Comprehension(over) if matches!(over.accu_init.expr, Expr::List(_)) => {
            entries(&over.iter_range.expr, schema)
        }
        Expr::Call(call) if call.func_name == "_+_" => {
            let sides = call.args.iter().map(|side| entries(&side.expr, schema));
            sides.fold(0, u64::saturating_add)
        }
        Expr::Call(call) if call.func_name == "_?_:_" => {
            let branches = call.args.iter().skip(1);
            branches.map(|branch| entries(&branch.expr, schema)).max().unwrap_or(1)
        }
        Expr::List(list) => list.elements.len() as u64,
        other => node(other, schema).map_or(1, most_entries),
    }
}
