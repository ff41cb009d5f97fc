//! YAML for people: JSON values in block style, with comments where they help.

use serde_json::Value;

/// A value with room for comments.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// A text, a number, …, or an empty list or object.
    Scalar(Value),
    /// Keys in order.
    Map(Vec<Entry>),
    /// Items in order.
    List(Vec<Node>),
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Its value; `None`: the key is absent, and only its comment is written.
    pub node: Option<Node>,
    /// What is said about it.
    pub comment: Option<String>,
}

impl From<&Value> for Node {
    fn from(value: &Value) -> Self {
        match value {
            Value::Object(map) if !map.is_empty() => {
                let entry = |(key, inner): (&String, &Value)| Entry {
                    key: key.clone(),
                    node: Some(Self::from(inner)),
                    comment: None,
                };
                Self::Map(map.iter().map(entry).collect())
            }
            Value::Array(items) if !items.is_empty() => {
                Self::List(items.iter().map(Self::from).collect())
            }
            scalar => Self::Scalar(scalar.clone()),
        }
    }
}

/// The lines of one document, without `---`.
#[must_use]
pub fn lines(node: &Node) -> Vec<String> {
    let mut lines = Vec::new();
    match node {
        Node::Scalar(value) => lines.push(scalar(value)),
        Node::Map(_) | Node::List(_) => write(node, 0, &mut lines),
    }
    lines
}

/// Several documents, one after the other.
#[must_use]
pub fn documents(values: &[Value]) -> Vec<String> {
    let mut out = Vec::new();
    for value in values {
        if !out.is_empty() {
            out.push("---".to_owned());
        }
        out.extend(lines(&Node::from(value)));
    }
    out
}

fn write(node: &Node, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    match node {
        Node::Scalar(value) => lines.push(format!("{indent}{}", scalar(value))),
        Node::List(items) => {
            for item in items {
                let from = lines.len();
                write(item, depth + 1, lines);
                // The dash takes the place of the item's own indentation.
                if let Some(first) = lines.get_mut(from) {
                    let text = first.trim_start().to_owned();
                    *first = format!("{indent}- {text}");
                }
            }
        }
        Node::Map(entries) => {
            for entry in entries {
                write_entry(entry, depth, lines);
            }
        }
    }
}

fn write_entry(Entry { key, node, comment }: &Entry, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let key = text(key);
    let remark = comment.as_ref().map(|comment| format!("   # {comment}")).unwrap_or_default();
    match node {
        None => lines.push(format!("{indent}# {key}: {}", comment.as_deref().unwrap_or_default())),
        Some(Node::Scalar(value)) => {
            lines.push(format!("{indent}{key}: {}{remark}", scalar(value)));
        }
        Some(inner @ Node::Map(_)) => {
            lines.push(format!("{indent}{key}:{remark}"));
            write(inner, depth + 1, lines);
        }
        Some(inner @ Node::List(_)) => {
            lines.push(format!("{indent}{key}:{remark}"));
            write(inner, depth, lines);
        }
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(value) => text(value),
        other => other.to_string(),
    }
}

/// A text that every YAML reader takes for the same text: plain where nothing in it has a meaning, quoted as in JSON else.
fn text(value: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_./@".contains(c);
    let inner = |c: char| word(c) || " ,()+".contains(c);
    let starts_as_word = value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
    let ends_as_word = value.ends_with(word);
    // A colon or a hash only matters beside a space.
    let colon_free = value.replace("://", "").replace("::", "");
    let arn_like = colon_free.split(':').all(|part| !part.is_empty() && !part.starts_with(' '));
    let plain = starts_as_word
        && ends_as_word
        && value.chars().all(|c| inner(c) || c == ':')
        && arn_like
        && !MEANT.contains(&value.to_ascii_lowercase().as_str());
    if plain { value.to_owned() } else { Value::from(value).to_string() }
}

/// Words that YAML 1.1 reads as something else than a text.
const MEANT: [&str; 9] = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn maps_and_lists_are_written_in_block_style() {
        let value = json!({"a": {"b": [1, "x"], "c": []}, "l": [{"k": "one", "p": [true]}, [2]], "v": "1.34"});
        let expected =
            "a:\n  b:\n  - 1\n  - x\n  c: []\nl:\n- k: one\n  p:\n  - true\n- - 2\nv: \"1.34\"";
        assert_eq!(lines(&Node::from(&value)).join("\n"), expected);
    }

    #[test]
    fn what_is_written_reads_back_as_the_same() {
        let value = json!({"texts": ["", " a", "a ", "yes", "NO", "~", "1", "1.34", "a: b", "a #b", "- a", "*x", "{", "a\nb",
            "arn:aws:iam::111122223333:role/x", "https://one.example/a", "10.0.0.0/16", "key:", ": x", "ä", "a::", "0x1"],
            "odd key: x": {"fleetwright.dev/hub": null}, "n": -1.5, "e": {}});
        let text = lines(&Node::from(&value)).join("\n");
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        assert_eq!(read, value, "{text}");
    }

    #[test]
    fn comments_stand_behind_values_and_in_place_of_absent_ones() {
        let entry = |key: &str, node, comment: &str| Entry {
            key: key.to_owned(),
            node,
            comment: Some(comment.to_owned()),
        };
        let node = Node::Map(vec![
            entry("mode", Some(Node::Scalar("Manage".into())), "default"),
            entry("logging", None, "whatever is set there"),
        ]);
        assert_eq!(lines(&node), ["mode: Manage   # default", "# logging: whatever is set there"]);
    }
}
