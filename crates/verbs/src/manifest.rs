//! Manifests: the documents of a file as objects that remember where they stand.

use std::fmt;

use serde_json::Value;

use crate::located::Located;

/// One object of a file.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// The file, as the user named it.
    pub file: String,
    /// The object.
    pub object: Value,
    located: Located,
}

/// One thing to correct in a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Finding {
    /// The file, as the user named it.
    pub file: String,
    /// The line, from 1; 0 when none can be named.
    pub line: u64,
    /// The field; empty when it concerns the whole object.
    pub field: String,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, field, message } = self;
        match (line, field.as_str()) {
            (0, "") => write!(f, "{file}  {message}"),
            (0, field) => write!(f, "{file}  {field}  {message}"),
            (line, "") => write!(f, "{file}:{line}  {message}"),
            (line, field) => write!(f, "{file}:{line}  {field}  {message}"),
        }
    }
}

impl Manifest {
    /// A text at a JSON pointer; empty when there is none.
    #[must_use]
    pub fn text(&self, pointer: &str) -> &str {
        self.object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// `Kind namespace/name`, for messages.
    #[must_use]
    pub fn title(&self) -> String {
        let (kind, name) = (self.text("/kind"), self.text("/metadata/name"));
        match self.text("/metadata/namespace") {
            "" => format!("{kind} {name}"),
            namespace => format!("{kind} {namespace}/{name}"),
        }
    }

    /// Something wrong at `field`, a path like `spec.nodePools[0].size`; list items are told by their name.
    #[must_use]
    pub fn finding(&self, field: &str, message: impl Into<String>) -> Finding {
        Finding {
            file: self.file.clone(),
            line: self.located.line_of(&self.by_index(field)),
            field: self.by_name(field),
            message: message.into(),
        }
    }

    /// `nodePools[0]` as `nodePools[general]` where the item has a name.
    fn by_name(&self, field: &str) -> String {
        self.rewrite(field, |list, step| {
            let item = list.get(step.parse::<usize>().ok()?)?;
            Some(item.get("name")?.as_str()?.to_owned())
        })
    }

    /// `nodePools[general]` as `nodePools[0]`: validation speaks in names, lines are found by index.
    fn by_index(&self, field: &str) -> String {
        self.rewrite(field, |list, step| {
            let named = |item: &Value| item.get("name").and_then(Value::as_str) == Some(step);
            list.iter().position(named).map(|index| index.to_string())
        })
    }

    fn rewrite(&self, field: &str, with: impl Fn(&[Value], &str) -> Option<String>) -> String {
        let mut at = Some(&self.object);
        let mut out = String::new();
        for step in crate::located::steps(field) {
            if let Some(Value::Array(list)) = at {
                let shown = with(list, step).unwrap_or_else(|| step.to_owned());
                out.push_str(&format!("[{shown}]"));
                let named = |item: &&Value| item.get("name").and_then(Value::as_str) == Some(step);
                let index = step.parse::<usize>().ok();
                at = index.and_then(|index| list.get(index)).or_else(|| list.iter().find(named));
                continue;
            }
            let bracketed = step.contains(['.', '/']);
            if bracketed {
                out.push_str(&format!("[{step}]"));
            } else {
                out.push_str(if out.is_empty() { "" } else { "." });
                out.push_str(step);
            }
            at = at.and_then(|value| value.get(step));
        }
        out
    }
}

/// Reads all documents of one file; empty ones are skipped, a `v1 List` counts as its items.
///
/// # Errors
/// The first place at which the text is no YAML.
pub fn parse(file: &str, text: &str) -> Result<Vec<Manifest>, Finding> {
    let documents: Vec<Located> = serde_saphyr::from_multiple(text).map_err(|error| {
        let line = error.location().map_or(0, |location| location.line());
        let message = plain(&error.without_snippet().to_string());
        Finding { file: file.to_owned(), line, field: String::new(), message }
    })?;
    let mut manifests = Vec::new();
    for document in documents {
        let object = document.value();
        let list = object["kind"] == "List" && object["apiVersion"] == "v1";
        match document.items("items").filter(|_| list) {
            Some(items) => manifests.extend(items.iter().map(|item| manifest(file, item.clone()))),
            None if object.is_null() => {}
            None => manifests.push(manifest(file, document)),
        }
    }
    Ok(manifests)
}

/// The parser's text without its place, which stands before it, and without advice for programmers.
fn plain(message: &str) -> String {
    let message = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    let message = message.split_once(", set DuplicateKeyPolicy").map_or(message, |(text, _)| text);
    message.to_owned()
}

fn manifest(file: &str, located: Located) -> Manifest {
    Manifest { file: file.to_owned(), object: located.value(), located }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_and_lists_come_apart_and_empty_ones_are_skipped() {
        let text = "# only words\n---\n{apiVersion: v1, kind: List, items: [{kind: A}, {kind: B}]}\n---\nkind: C\n---\n";
        let kinds: Vec<String> = parse("f.yaml", text)
            .expect("YAML")
            .iter()
            .map(|manifest| manifest.text("/kind").to_owned())
            .collect();
        assert_eq!(kinds, ["A", "B", "C"]);
    }

    #[test]
    fn a_finding_names_the_line_and_the_item() {
        let text = "kind: X\n---\nspec:\n  nodePools:\n  - name: a\n  - name: general\n    size: {min: 5}\n";
        let manifests = parse("f.yaml", text).expect("YAML");
        let expected = "f.yaml:7  spec.nodePools[general].size  too much";
        assert_eq!(
            manifests[1].finding("spec.nodePools[1].size", "too much").to_string(),
            expected
        );
        assert_eq!(
            manifests[1].finding("spec.nodePools[general].size", "too much").to_string(),
            expected
        );
    }

    #[test]
    fn text_that_is_no_yaml_is_refused_with_its_line() {
        let error = parse("f.yaml", "a: 1\nb: [1, 2\nc: 3\n").expect_err("no YAML");
        assert!(error.line >= 2, "{error}");
        let error = parse("f.yaml", "a: 1\na: 2\n").expect_err("twice");
        assert_eq!(error.to_string(), "f.yaml:2  duplicate mapping key: a");
    }
}
