//! Whether an answer is the recorded one, but for what rightly differs: uids, versions, times.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::replay::Answer;

/// How a case came out.
pub(super) enum Verdict {
    Equal,
    /// What differs first, in a few words.
    Different(String),
}

/// What placeholders stand for in this case.
#[derive(Default)]
pub(super) struct Bindings(BTreeMap<String, String>);

impl Bindings {
    pub(super) fn bind(&mut self, placeholder: &str, value: &str) {
        self.0.insert(placeholder.to_owned(), value.to_owned());
    }

    /// A text with what is known in place of its placeholders.
    pub(super) fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }

    pub(super) fn compare(&mut self, recorded: &Value, answer: &Answer, watches: bool) -> Verdict {
        let wanted = recorded["status"].as_u64().unwrap_or_default();
        if u64::from(answer.status) != wanted {
            let message = answer.body["message"].as_str().unwrap_or_default();
            let told = message.chars().take(100).collect::<String>();
            return Verdict::Different(format!("status {}, not {wanted} ({told})", answer.status));
        }
        let mut expected = recorded["body"].clone();
        let mut found = answer.body.clone();
        if watches {
            // A watch's answer is a list of events, also when it holds one only.
            if expected.is_array() && !found.is_array() {
                found = if found == Value::String(String::new()) {
                    Value::Array(Vec::new())
                } else {
                    Value::Array(vec![found])
                };
            }
            for list in [&mut expected, &mut found] {
                if let Value::Array(events) = list {
                    events.retain(|event| !is_plain_bookmark(event));
                }
            }
        }
        sort_causes(&mut expected);
        sort_causes(&mut found);
        if let Err(at) = self.alike("", &expected, &found) {
            return Verdict::Different(format!("body{at}"));
        }
        let header = recorded["headers"]["Content-Type"].as_str().unwrap_or_default();
        if header != answer.content_type {
            return Verdict::Different(format!(
                "Content-Type {}, not {header}",
                answer.content_type
            ));
        }
        let warnings: Vec<&str> = match &recorded["headers"]["Warning"] {
            Value::String(one) => vec![one],
            Value::Array(many) => many.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if warnings.iter().ne(answer.warnings.iter()) {
            return Verdict::Different(format!(
                "{} warnings, not {}",
                answer.warnings.len(),
                warnings.len()
            ));
        }
        Verdict::Equal
    }

    /// `Err` with the path of the first difference and what it is.
    fn alike(&mut self, at: &str, expected: &Value, found: &Value) -> Result<(), String> {
        match (expected, found) {
            (Value::Object(expected), Value::Object(found)) => {
                // The keys of `fieldsV1` hold uids, too.
                let key_of = |key: &String| self.fill(key);
                let keys: Vec<String> = expected.keys().map(key_of).collect();
                for (key, value) in keys.iter().zip(expected.values()) {
                    let at = format!("{at}.{key}");
                    match found.get(key) {
                        Some(found) => self.alike(&at, value, found)?,
                        None => return Err(format!("{at} is missing")),
                    }
                }
                match found.keys().find(|key| !keys.contains(*key)) {
                    Some(extra) => Err(format!("{at}.{extra} is too much")),
                    None => Ok(()),
                }
            }
            (Value::Array(expected), Value::Array(found)) => {
                for (number, (expected, found)) in expected.iter().zip(found).enumerate() {
                    self.alike(&format!("{at}[{number}]"), expected, found)?;
                }
                if expected.len() == found.len() {
                    Ok(())
                } else {
                    Err(format!("{at} holds {}, not {}", found.len(), expected.len()))
                }
            }
            (Value::String(expected), Value::String(found)) => self.same_text(at, expected, found),
            // Ports that the server picked are numbers.
            (Value::String(expected), Value::Number(found)) if expected == "<nodePort>" => {
                self.same_text(at, expected, &found.to_string())
            }
            (expected, found) if expected == found => Ok(()),
            (expected, found) => Err(format!("{at} is {}, not {}", short(found), short(expected))),
        }
    }

    fn same_text(&mut self, at: &str, expected: &str, found: &str) -> Result<(), String> {
        if expected == found {
            return Ok(());
        }
        let differs =
            || Err(format!("{at} is {}, not {}", short(&found.into()), short(&expected.into())));
        let placeholders = Regex::new("<[A-Za-z]+(-[0-9]+)?>").expect("a pattern");
        let mut pattern = String::from("(?s)^");
        let mut names = Vec::new();
        let mut end = 0;
        for place in placeholders.find_iter(expected) {
            pattern += &regex::escape(&expected[end..place.start()]);
            // Times are bound only to be sent.
            match self.0.get(place.as_str()).filter(|_| place.as_str() != "<time>") {
                Some(known) => pattern += &regex::escape(known),
                None => {
                    pattern += "(.+?)";
                    names.push(place.as_str().to_owned());
                }
            }
            end = place.end();
        }
        pattern += &regex::escape(&expected[end..]);
        pattern += "$";
        let Some(caught) = Regex::new(&pattern).ok().and_then(|p| {
            p.captures(found).map(|c| {
                c.iter().skip(1).flatten().map(|m| m.as_str().to_owned()).collect::<Vec<_>>()
            })
        }) else {
            return differs();
        };
        for (name, value) in names.into_iter().zip(caught) {
            // Only numbered ones stand for the same value everywhere.
            if name.contains('-') {
                self.0.insert(name, value);
            }
        }
        Ok(())
    }
}

/// Several errors of a schema come in a random order upstream: in the causes, and in the message,
/// which lists them. Only custom kinds have them: they say of rules that they were not checked.
fn sort_causes(body: &mut Value) {
    let text = |cause: &Value| {
        let part = |key: &str| cause[key].as_str().unwrap_or_default().to_owned();
        format!("{}: {}", part("field"), part("message"))
    };
    let list = |causes: &[Value]| causes.iter().map(text).collect::<Vec<_>>().join(", ");
    let unordered = |causes: &&Vec<Value>| causes.iter().any(|cause| cause["field"] == "<nil>");
    let Some(causes) = body["details"]["causes"].as_array().filter(unordered) else {
        return;
    };
    let mut sorted = causes.clone();
    sorted.sort_by_key(|cause| (cause["field"] == "<nil>", text(cause)));
    let message = body["message"].as_str().unwrap_or_default();
    let message = message.replace(&list(causes), &list(&sorted));
    body["message"] = message.into();
    body["details"]["causes"] = sorted.into();
}

/// A bookmark that ends nothing: how many come, and when, is the server's business.
fn is_plain_bookmark(event: &Value) -> bool {
    let end = "/object/metadata/annotations/k8s.io~1initial-events-end";
    event["type"] == "BOOKMARK" && event.pointer(end).is_none()
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(90) {
        Some((cut, _)) => format!("{}…", &text[..cut]),
        None => text,
    }
}
