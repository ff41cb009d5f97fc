//! Writes a value as YAML, the way upstream's servers do: sorted keys, lists not indented, text
//! without quotes wherever it reads back as the same text.

use std::fmt::Write as _;

use serde_json::{Map, Value};

/// The YAML of a value, with a newline at its end.
#[must_use]
pub fn write(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Object(fields) if !fields.is_empty() => map(&mut out, fields, 0),
        Value::Array(items) if !items.is_empty() => list(&mut out, items, 0),
        other => {
            out.push_str(&scalar(other));
            out.push('\n');
        }
    }
    out
}

fn map(out: &mut String, fields: &Map<String, Value>, depth: usize) {
    for (index, (key, value)) in fields.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        out.push_str(&text(key));
        out.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                out.push('\n');
                indent(out, depth + 1);
                map(out, inner, depth + 1);
            }
            Value::Array(items) if !items.is_empty() => {
                out.push('\n');
                indent(out, depth);
                list(out, items, depth);
            }
            Value::String(lines) if is_block(lines) => block(out, lines, depth + 1),
            other => {
                out.push(' ');
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

fn list(out: &mut String, items: &[Value], depth: usize) {
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            indent(out, depth);
        }
        out.push_str("- ");
        match item {
            Value::Object(inner) if !inner.is_empty() => map(out, inner, depth + 1),
            Value::Array(inner) if !inner.is_empty() => list(out, inner, depth + 1),
            Value::String(lines) if is_block(lines) => {
                out.pop();
                block(out, lines, depth + 1);
            }
            other => {
                out.push_str(&scalar(other));
                out.push('\n');
            }
        }
    }
}

fn indent(out: &mut String, depth: usize) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Several lines that can stand as they are.
fn is_block(lines: &str) -> bool {
    let shown = |c: char| c == '\n' || !c.is_control();
    lines.contains('\n')
        && lines.chars().all(shown)
        && !lines.starts_with([' ', '\n'])
        && !lines.contains(" \n")
}

fn block(out: &mut String, lines: &str, depth: usize) {
    let kept = lines.trim_end_matches('\n');
    out.push_str(match lines.len() - kept.len() {
        0 => " |-\n",
        1 => " |\n",
        _ => " |+\n",
    });
    for line in lines.strip_suffix('\n').unwrap_or(lines).split('\n') {
        if !line.is_empty() {
            indent(out, depth);
            out.push_str(line);
        }
        out.push('\n');
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::String(plain) => text(plain),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

fn text(plain: &str) -> String {
    if reads_as_something_else(plain) || plain.chars().any(char::is_control) {
        return quoted(plain);
    }
    if is_plain(plain) { plain.to_owned() } else { format!("'{}'", plain.replace('\'', "''")) }
}

/// What a reader would take for null, a truth value, a number or a time.
fn reads_as_something_else(plain: &str) -> bool {
    const WORDS: [&str; 11] =
        ["", "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off"];
    let lower = plain.to_lowercase();
    let number = lower.trim_start_matches(['+', '-']).replace('_', "");
    let radix = |prefix: &str, digits: u32| {
        let rest = number.strip_prefix(prefix).filter(|rest| !rest.is_empty());
        rest.is_some_and(|rest| rest.chars().all(|c| c.is_digit(digits)))
    };
    let digit = number.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    let sexagesimal = number.contains(':')
        && number.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.'));
    WORDS.contains(&lower.as_str())
        || matches!(number.as_str(), ".inf" | ".nan")
        || (digit && number.parse::<f64>().is_ok())
        || radix("0x", 16)
        || radix("0o", 8)
        || radix("0b", 2)
        || sexagesimal
        || matches!(plain, "<<" | "=")
        || is_time(plain)
}

/// `2026-01-02`, alone or with a time behind it.
fn is_time(plain: &str) -> bool {
    let bytes = plain.as_bytes();
    let digits = |from: usize, to: usize| {
        bytes.get(from..to).is_some_and(|part| part.iter().all(u8::is_ascii_digit))
    };
    let dashes = bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    let behind = bytes.get(10);
    digits(0, 4)
        && digits(5, 7)
        && digits(8, 10)
        && dashes
        && matches!(behind, None | Some(b'T' | b't' | b' '))
}

fn is_plain(plain: &str) -> bool {
    const FIRST: &str = "#,[]{}&*!|>'\"%@`";
    let first = plain.chars().next().unwrap_or(' ');
    let led = |c: char| plain.strip_prefix(c).is_some_and(|r| r.is_empty() || r.starts_with(' '));
    !FIRST.contains(first)
        && !['-', '?', ':'].into_iter().any(led)
        && !plain.starts_with("---")
        && !plain.starts_with("...")
        && !plain.starts_with(' ')
        && !plain.ends_with([' ', ':'])
        && !plain.contains(": ")
        && !plain.contains(" #")
}

fn quoted(plain: &str) -> String {
    let mut out = String::from("\"");
    for c in plain.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            c if c.is_control() => {
                // Writing to a text cannot fail.
                if write!(out, "\\u{:04X}", u32::from(c)).is_err() {
                    return out;
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_reads_as_kubectl_users_know_it() {
        let object = json!({"kind": "X", "empty": {}, "none": [], "list": ["a", {"b": 1, "c": []}],
            "nested": {"f:x": {".": {}}}, "text": "a\nb\n", "nothing": null, "yes": true});
        let wanted = "empty: {}\nkind: X\nlist:\n- a\n- b: 1\n  c: []\nnested:\n  f:x:\n    .: {}\n\
                      none: []\nnothing: null\ntext: |\n  a\n  b\n\"yes\": true\n";
        assert_eq!(write(&object), wanted);
    }

    #[test]
    fn text_is_quoted_where_it_would_read_as_something_else() {
        for (plain, wanted) in [
            ("a", "a"),
            ("y", "\"y\""),
            ("12", "\"12\""),
            ("1e3", "\"1e3\""),
            ("0x1f", "\"0x1f\""),
            ("12:30", "\"12:30\""),
            ("2026-01-02T03:04:05Z", "\"2026-01-02T03:04:05Z\""),
            ("", "\"\""),
            ("k:{\"a\":1}", "k:{\"a\":1}"),
            ("{a", "'{a'"),
            ("a: b", "'a: b'"),
            ("it's", "it's"),
            ("a #b", "'a #b'"),
            ("- x", "'- x'"),
            ("-x", "-x"),
            ("1.2.3", "1.2.3"),
            ("a\tb", "\"a\\tb\""),
        ] {
            let written = write(&json!({"k": plain}));
            assert_eq!(written, format!("k: {wanted}\n"), "{plain:?}");
        }
    }

    #[test]
    fn what_is_written_reads_back_as_the_same_value() {
        let object = json!({"a": "x\n\ny", "b": ["", "null", "~", "\u{1}", "ä: ö", "a\n\n"],
            "c": [[1, [2]], {"d": {}}], "e": "trailing ", "f": 1.5, "1": "one", "-": "?"});
        let read: Value = serde_saphyr::from_str(&write(&object)).unwrap_or_default();
        assert_eq!(read, object);
    }
}
