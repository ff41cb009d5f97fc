//! Nobody hands out rights that he does not have: what of a set of rules somebody lacks.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{covers_path, covers_resource, has, list};

/// One right: nothing in it stands for several.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Right {
    Resource { group: String, resource: String, name: Option<String> },
    Path(String),
}

/// The rights in `wanted` that `held` does not cover, as upstream's refusal lists them; none when
/// it covers all.
#[must_use]
pub fn not_held(held: &[Value], wanted: &[Value]) -> Vec<String> {
    let mut missing = BTreeMap::<Right, Vec<String>>::new();
    for rule in wanted {
        for right in rights(rule) {
            for verb in list(rule, "verbs") {
                if !held.iter().any(|own| covers(own, verb, &right)) {
                    let verbs = missing.entry(right.clone()).or_default();
                    if !verbs.iter().any(|known| known == verb) {
                        verbs.push(verb.to_owned());
                    }
                }
            }
        }
    }
    let mut texts: Vec<String> = missing.iter().map(|(right, verbs)| text(right, verbs)).collect();
    texts.sort();
    texts
}

fn rights(rule: &Value) -> Vec<Right> {
    let names = list(rule, "resourceNames");
    let names: Vec<Option<String>> = match names.as_slice() {
        [] => vec![None],
        names => names.iter().map(|name| Some((*name).to_owned())).collect(),
    };
    let mut found = Vec::new();
    for group in list(rule, "apiGroups") {
        for resource in list(rule, "resources") {
            found.extend(names.iter().map(|name| Right::Resource {
                group: group.to_owned(),
                resource: resource.to_owned(),
                name: name.clone(),
            }));
        }
    }
    found.extend(list(rule, "nonResourceURLs").into_iter().map(|path| Right::Path(path.into())));
    found
}

fn covers(own: &Value, verb: &str, right: &Right) -> bool {
    if !has(own, "verbs", verb) {
        return false;
    }
    match right {
        Right::Resource { group, resource, name } => {
            let names = list(own, "resourceNames");
            has(own, "apiGroups", group)
                && list(own, "resources").iter().any(|pattern| covers_resource(pattern, resource))
                && (names.is_empty() || name.as_deref().is_some_and(|name| names.contains(&name)))
        }
        Right::Path(path) => {
            list(own, "nonResourceURLs").iter().any(|pattern| covers_path(pattern, path))
        }
    }
}

fn text(right: &Right, verbs: &[String]) -> String {
    let quoted = |items: &[&str]| {
        let items: Vec<String> = items.iter().map(|item| format!("\"{item}\"")).collect();
        format!("[{}]", items.join(" "))
    };
    let verbs: Vec<&str> = verbs.iter().map(String::as_str).collect();
    let verbs = quoted(&verbs);
    match right {
        Right::Resource { group, resource, name } => {
            let names = match name {
                Some(name) => format!(", ResourceNames:{}", quoted(&[name])),
                None => String::new(),
            };
            let (groups, resources) = (quoted(&[group]), quoted(&[resource]));
            format!("{{APIGroups:{groups}, Resources:{resources}{names}, Verbs:{verbs}}}")
        }
        Right::Path(path) => format!("{{NonResourceURLs:{}, Verbs:{verbs}}}", quoted(&[path])),
    }
}
