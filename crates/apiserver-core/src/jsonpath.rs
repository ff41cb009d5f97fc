//! The small part of JSONPath that printer columns and selectable fields use:
//! `.a.b`, `['a.b/c']`, `\.` escapes, `[0]`, `[*]` and `[?(@.type=="Ready")]`.

use serde_json::Value;

/// A parsed path. Evaluating it never fails; what is not there gives nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct JsonPath {
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq)]
enum Step {
    Field(String),
    Index(usize),
    All,
    /// Items of a list whose field (a path of names) equals, or does not equal, a scalar.
    Filter {
        field: Vec<String>,
        equal: bool,
        value: Value,
    },
}

/// A path this subset does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("JSONPath {path:?} is not understood near {rest:?}")]
pub struct JsonPathError {
    /// The whole path.
    pub path: String,
    /// What could not be read.
    pub rest: String,
}

impl JsonPath {
    /// Reads `.spec.color` (a leading dot or `$` is optional).
    ///
    /// # Errors
    /// On anything outside the subset.
    pub fn parse(path: &str) -> Result<Self, JsonPathError> {
        let mut rest = path.strip_prefix('$').unwrap_or(path);
        let mut steps = Vec::new();
        while !rest.is_empty() {
            let (step, after) = parse_step(rest)
                .ok_or_else(|| JsonPathError { path: path.to_owned(), rest: rest.to_owned() })?;
            steps.extend(step);
            rest = after;
        }
        Ok(Self { steps })
    }

    /// A path that leads to nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self { steps: vec![Step::Filter { field: Vec::new(), equal: false, value: Value::Null }] }
    }

    /// All values the path leads to, in document order.
    #[must_use]
    pub fn find<'a>(&self, root: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![root];
        for step in &self.steps {
            found = found.into_iter().flat_map(|value| step.apply(value)).collect();
        }
        found
    }

    /// The first value the path leads to.
    #[must_use]
    pub fn first<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.find(root).into_iter().next()
    }
}

impl Step {
    fn apply<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        match (self, value) {
            (Self::Field(name), _) => value.get(name).into_iter().collect(),
            (Self::Index(index), _) => value.get(*index).into_iter().collect(),
            (Self::All, Value::Array(items)) => items.iter().collect(),
            (Self::All, Value::Object(fields)) => fields.values().collect(),
            (Self::Filter { field, equal, value: wanted }, Value::Array(items)) => {
                let holds = |item: &&Value| {
                    let found = field.iter().try_fold(*item, |at, name| at.get(name));
                    found.is_some_and(|found| (found == wanted) == *equal)
                };
                items.iter().filter(holds).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// One step and what follows it. A lone dot (before a bracket) is no step.
fn parse_step(text: &str) -> Option<(Option<Step>, &str)> {
    if let Some(inner) = text.strip_prefix('[') {
        return parse_bracket(inner).map(|(step, rest)| (Some(step), rest));
    }
    let text = text.strip_prefix('.').unwrap_or(text);
    let mut name = String::new();
    let mut chars = text.char_indices();
    let mut end = text.len();
    while let Some((at, c)) = chars.next() {
        match c {
            '.' | '[' => {
                end = at;
                break;
            }
            '\\' => name.push(chars.next()?.1),
            '{' | '}' | ']' | '(' | ')' => return None,
            c => name.push(c),
        }
    }
    let rest = &text[end..];
    match name.as_str() {
        "" if rest.starts_with('[') || rest.is_empty() => Some((None, rest)),
        "" => None,
        "*" => Some((Some(Step::All), rest)),
        _ => Some((Some(Step::Field(name)), rest)),
    }
}

fn parse_bracket(inner: &str) -> Option<(Step, &str)> {
    if let Some(filter) = inner.strip_prefix("?(@") {
        let (body, rest) = filter.split_once(")]")?;
        let (left, equal, right) = match (body.split_once("=="), body.split_once("!=")) {
            (Some((left, right)), _) => (left, true, right),
            (None, Some((left, right))) => (left, false, right),
            (None, None) => return None,
        };
        let field = left.trim().trim_start_matches('.').split('.').map(str::to_owned).collect();
        return Some((Step::Filter { field, equal, value: scalar(right.trim())? }, rest));
    }
    for quote in ['\'', '"'] {
        if let Some(quoted) = inner.strip_prefix(quote) {
            let (name, rest) = quoted.split_once(quote)?;
            return Some((Step::Field(name.replace("\\.", ".")), rest.strip_prefix(']')?));
        }
    }
    let (body, rest) = inner.split_once(']')?;
    match body.trim() {
        "*" | ":" => Some((Step::All, rest)),
        index => Some((Step::Index(index.parse().ok()?), rest)),
    }
}

fn scalar(text: &str) -> Option<Value> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote).and_then(|t| t.strip_suffix(quote)) {
            return Some(Value::String(inner.to_owned()));
        }
    }
    serde_json::from_str(text).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_filter_finds_the_status_of_one_condition() {
        let object = json!({"status": {"conditions": [
            {"type": "Synced", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        let path = JsonPath::parse(r#".status.conditions[?(@.type=="Ready")].status"#);
        assert_eq!(path.map(|p| p.first(&object).cloned()), Ok(Some(json!("True"))));
    }

    #[test]
    fn names_with_dots_are_quoted_or_escaped() {
        let object = json!({"metadata": {"labels": {"a.b/c": "x"}}});
        for path in [r".metadata.labels.a\.b/c", ".metadata.labels['a.b/c']"] {
            let found = JsonPath::parse(path).map(|p| p.first(&object).cloned());
            assert_eq!(found, Ok(Some(json!("x"))), "{path}");
        }
    }

    #[test]
    fn indexes_and_stars_walk_lists() {
        let object = json!({"l": [{"n": 1}, {"n": 2}]});
        let all = JsonPath::parse(".l[*].n").map(|p| p.find(&object).len());
        assert_eq!(all, Ok(2));
        let second = JsonPath::parse(".l[1].n").map(|p| p.first(&object).cloned());
        assert_eq!(second, Ok(Some(json!(2))));
    }

    #[test]
    fn what_is_outside_the_subset_is_an_error() {
        for path in ["{.a}", ".a[", ".a[?(@.b>1)]", "..a"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
    }
}
