//! Tags: Azure refuses `/` in their names, so ours are written with `_` there.

use std::collections::BTreeMap;

use serde_json::Value;

/// As Azure takes the beginning of our tags' names, and as we write it everywhere else.
const PREFIXES: (&str, &str) = ("fleetwright.dev_", "fleetwright.dev/");

/// The tags of a document in our form.
pub(crate) fn ours(tags: &Value) -> BTreeMap<String, String> {
    let pairs = tags.as_object().into_iter().flatten();
    pairs
        .map(|(name, value)| {
            let name = match name.strip_prefix(PREFIXES.0) {
                Some(rest) => format!("{}{rest}", PREFIXES.1),
                None => name.clone(),
            };
            (name, value.as_str().unwrap_or_default().to_owned())
        })
        .collect()
}

/// The name of a tag as Azure has it.
pub(crate) fn azure(name: &str) -> String {
    match name.strip_prefix(PREFIXES.1) {
        Some(rest) => format!("{}{rest}", PREFIXES.0),
        None => name.to_owned(),
    }
}

/// Why Azure would not take these.
pub(crate) fn wrong(tags: &Value) -> Option<String> {
    let pairs: Vec<_> = tags.as_object().into_iter().flatten().collect();
    if pairs.len() > 50 {
        return Some(format!("The number of tags {} exceeds the maximum of 50.", pairs.len()));
    }
    for (n, (name, value)) in pairs.iter().enumerate() {
        if name.contains(['<', '>', '%', '&', '\\', '?', '/']) {
            return Some(format!(
                "The tag name '{name}' has reserved characters '<,>,%,&,\\,?,/' or control characters."
            ));
        }
        let size = value.as_str().unwrap_or_default().chars().count();
        if name.is_empty() || name.chars().count() > 512 || size > 256 {
            return Some(format!(
                "The tag '{name}' is too long: names have 1 to 512 characters, values at most 256."
            ));
        }
        if pairs.iter().take(n).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Some(format!(
                "The tag name '{name}' is there twice: case makes no difference."
            ));
        }
    }
    None
}
