//! Which names a definition gets, and the conditions that say so (upstream's naming and
//! establishing controllers).

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The status that a definition should have beside the others of its cluster; None if it has it.
/// `taken` says that a kind of the server itself has its path.
#[must_use]
pub fn settle(crd: &Value, others: &[&Value], taken: bool, now: Timestamp) -> Option<Value> {
    let mut status = crd["status"].clone();
    if !status.is_object() {
        status = json!({});
    }
    let verdict = accept(crd, &mut status, &claimed(crd, others));
    let verdict = if taken {
        let plural = crd["spec"]["names"]["plural"].as_str().unwrap_or_default();
        Err(("PluralConflict", format!("{plural:?} is already in use")))
    } else {
        verdict
    };
    match &verdict {
        Ok(()) => {
            let fine = ["NamesAccepted", "True", "NoConflicts", "no conflicts found"];
            set_condition(&mut status, fine, now);
            let fine = "the initial names have been accepted";
            set_condition(&mut status, ["Established", "True", "InitialNamesAccepted", fine], now);
        }
        Err((reason, message)) => {
            set_condition(&mut status, ["NamesAccepted", "False", reason, message], now);
            if !super::is_established(crd) {
                let why = "not all names are accepted";
                set_condition(&mut status, ["Established", "False", "NotAccepted", why], now);
            }
        }
    }
    if let Some([state, reason, message]) = approval(crd) {
        let condition = ["KubernetesAPIApprovalPolicyConformant", &state, &reason, &message];
        set_condition(&mut status, condition, now);
    }
    (crd["status"] != status).then_some(status)
}

/// Names that others of the group hold: those of resources and those of kinds.
fn claimed<'a>(crd: &Value, others: &[&'a Value]) -> [BTreeSet<&'a str>; 2] {
    let (mut resources, mut kinds) = (BTreeSet::new(), BTreeSet::new());
    let group = &crd["spec"]["group"];
    let own = &crd["metadata"]["name"];
    for other in
        others.iter().filter(|o| &o["spec"]["group"] == group && &o["metadata"]["name"] != own)
    {
        let names = &other["status"]["acceptedNames"];
        let text = |key: &str| names[key].as_str().filter(|name| !name.is_empty());
        resources.extend(["plural", "singular"].into_iter().filter_map(text));
        let short = names["shortNames"].as_array().into_iter().flatten();
        resources.extend(short.filter_map(Value::as_str));
        kinds.extend(["kind", "listKind"].into_iter().filter_map(text));
    }
    [resources, kinds]
}

/// Takes over the names that are free. The last name that is not decides the reason, as upstream.
fn accept(
    crd: &Value,
    status: &mut Value,
    [resources, kinds]: &[BTreeSet<&str>; 2],
) -> Result<(), (&'static str, String)> {
    let wanted = &crd["spec"]["names"];
    let mut verdict = Ok(());
    let mut accepted = status["acceptedNames"].clone();
    if !accepted.is_object() {
        accepted = json!({});
    }
    let in_use = |name: &str| format!("{name:?} is already in use");
    for (key, reason, claimed) in [
        ("plural", "PluralConflict", resources),
        ("singular", "SingularConflict", resources),
        ("shortNames", "ShortNamesConflict", resources),
        ("kind", "KindConflict", kinds),
        ("listKind", "ListKindConflict", kinds),
    ] {
        let asked = &wanted[key];
        let own = accepted[key].as_array().cloned().unwrap_or_default();
        let names = match asked {
            Value::String(name) => vec![name.as_str()],
            Value::Array(list) => {
                list.iter().filter(|name| !own.contains(name)).filter_map(Value::as_str).collect()
            }
            _ => Vec::new(),
        };
        let same = asked == &accepted[key];
        let conflicts: Vec<String> =
            names.into_iter().filter(|name| !same && claimed.contains(name)).map(in_use).collect();
        match conflicts.as_slice() {
            [] => take_over(&mut accepted, key, asked),
            [one] => verdict = Err((reason, one.clone())),
            many => verdict = Err((reason, format!("[{}]", many.join(", ")))),
        }
    }
    take_over(&mut accepted, "categories", &wanted["categories"]);
    for key in ["plural", "kind"] {
        if accepted[key].is_null() {
            accepted[key] = json!("");
        }
    }
    status["acceptedNames"] = accepted;
    verdict
}

fn take_over(accepted: &mut Value, key: &str, value: &Value) {
    if let Some(accepted) = accepted.as_object_mut() {
        if value.is_null() {
            accepted.remove(key);
        } else {
            accepted.insert(key.to_owned(), value.clone());
        }
    }
}

/// What the approval annotation of a `*.k8s.io` group says: status, reason and message.
fn approval(crd: &Value) -> Option<[String; 3]> {
    let group = crd["spec"]["group"].as_str().unwrap_or_default();
    if !super::check::is_protected(group) {
        return None;
    }
    let text = crd["metadata"]["annotations"][super::check::APPROVAL].as_str().unwrap_or_default();
    let own = |words: [&str; 2], message: String| {
        let [state, reason] = words.map(str::to_owned);
        Some([state, reason, message])
    };
    if text.starts_with("unapproved") {
        own(["False", "UnapprovedAnnotation"], format!("not approved: {text:?}"))
    } else {
        own(["True", "ApprovedAnnotation"], format!("approved in {text}"))
    }
}

/// Sets a condition (type, status, reason, message); its time changes with its status only.
pub(super) fn set_condition(status: &mut Value, condition: [&str; 4], now: Timestamp) {
    let [kind, state, reason, message] = condition;
    if !status["conditions"].is_array() {
        status["conditions"] = json!([]);
    }
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let time = now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let mut next = json!({"type": kind, "status": state, "lastTransitionTime": time,
        "reason": reason, "message": message});
    match conditions.iter_mut().find(|condition| condition["type"] == kind) {
        Some(old) => {
            if old["status"] == state {
                next["lastTransitionTime"] = old["lastTransitionTime"].clone();
            }
            *old = next;
        }
        None => conditions.push(next),
    }
}
