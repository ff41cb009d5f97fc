//! Label and field selectors.

use serde_json::Value;

use crate::names;
use crate::scheme::ResourceType;
use crate::status::ApiError;

/// A parsed label selector, as `env in (a,b),!legacy`. The default selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    In(Vec<String>),
    NotIn(Vec<String>),
    Exists,
    Absent,
    Greater(i64),
    Less(i64),
}

impl LabelSelector {
    /// Parses `=`, `==`, `!=`, `in`, `notin`, `key`, `!key`, `>` and `<`, separated by commas.
    ///
    /// # Errors
    /// 400 for bad syntax, keys or values.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        let mut lexer = Lexer { tokens: tokens(text), at: 0 };
        let mut requirements = Vec::new();
        while lexer.peek().is_some() {
            let parsed = lexer.requirement();
            requirements.push(parsed.map_err(|why| {
                ApiError::bad_request(format!("unable to parse requirement: {why}"))
            })?);
            match lexer.next() {
                None => break,
                Some(",") if lexer.peek().is_some() => {}
                Some(found) => {
                    let why = format!("found '{found}', expected: ',' or end of string");
                    return Err(ApiError::bad_request(format!(
                        "unable to parse requirement: {why}"
                    )));
                }
            }
        }
        Ok(Self { requirements })
    }

    /// Reads a `LabelSelector` object: `matchLabels` and `matchExpressions`. Absent or empty
    /// selects everything.
    ///
    /// # Errors
    /// 400 for an unknown operator or values that do not fit it.
    pub fn from_object(selector: &Value) -> Result<Self, ApiError> {
        let labels = selector["matchLabels"].as_object().into_iter().flatten();
        let equal = labels.map(|(key, value)| Requirement {
            key: key.clone(),
            test: Test::In(value.as_str().map(str::to_owned).into_iter().collect()),
        });
        let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
        let mut requirements: Vec<Requirement> = equal.collect();
        for expression in expressions {
            let values = expression["values"].as_array().into_iter().flatten();
            let values: Vec<String> =
                values.filter_map(|value| value.as_str().map(str::to_owned)).collect();
            let test = match (expression["operator"].as_str().unwrap_or_default(), values) {
                ("In", values) if !values.is_empty() => Test::In(values),
                ("NotIn", values) if !values.is_empty() => Test::NotIn(values),
                ("Exists", values) if values.is_empty() => Test::Exists,
                ("DoesNotExist", values) if values.is_empty() => Test::Absent,
                (operator, _) => {
                    return Err(ApiError::bad_request(format!(
                        "{operator:?} is not a valid label selector operator, or its values do \
                         not fit it"
                    )));
                }
            };
            let key = expression["key"].as_str().unwrap_or_default().to_owned();
            requirements.push(Requirement { key, test });
        }
        Ok(Self { requirements })
    }

    /// Whether the object's labels satisfy all requirements.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.requirements.iter().all(|requirement| {
            let value = labels.get(&requirement.key).and_then(Value::as_str);
            let number = value.and_then(|value| value.parse::<i64>().ok());
            match &requirement.test {
                Test::In(allowed) => value.is_some_and(|v| allowed.iter().any(|a| a == v)),
                Test::NotIn(refused) => !value.is_some_and(|v| refused.iter().any(|r| r == v)),
                Test::Exists => value.is_some(),
                Test::Absent => value.is_none(),
                Test::Greater(least) => number.is_some_and(|number| number > *least),
                Test::Less(most) => number.is_some_and(|number| number < *most),
            }
        })
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.requirements.is_empty()
    }
}

/// Words, and the symbols `, ( ) ! = == != > <`.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("==") || rest.starts_with("!=") => 2,
            ',' | '(' | ')' | '!' | '=' | '>' | '<' => 1,
            _ => rest
                .find(|c: char| c.is_whitespace() || ",()!=<>".contains(c))
                .unwrap_or(rest.len()),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after.trim_start();
    }
    tokens
}

struct Lexer<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn peek(&self) -> Option<&'a str> {
        self.tokens.get(self.at).copied()
    }

    fn next(&mut self) -> Option<&'a str> {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn key(&mut self) -> Result<String, String> {
        let key = self.next().unwrap_or_default();
        match names::qualified_name(key) {
            None => Ok(key.to_owned()),
            Some(why) => Err(format!("key: Invalid value: \"{key}\": {why}")),
        }
    }

    /// A value may be empty: `env=,tier=web`.
    fn value(&mut self) -> Result<String, String> {
        let value = match self.peek() {
            None | Some("," | ")") => "",
            Some(word) => {
                self.at += 1;
                word
            }
        };
        match names::label_value(value) {
            None => Ok(value.to_owned()),
            Some(why) => Err(format!("values[0]: Invalid value: \"{value}\": {why}")),
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == Some("!") {
            self.at += 1;
            return Ok(Requirement { key: self.key()?, test: Test::Absent });
        }
        let key = self.key()?;
        let test = match self.peek() {
            None | Some(",") => {
                return Ok(Requirement { key, test: Test::Exists });
            }
            Some(operator) => {
                self.at += 1;
                match operator {
                    "=" | "==" => Test::In(vec![self.value()?]),
                    "!=" => Test::NotIn(vec![self.value()?]),
                    "in" => Test::In(self.set()?),
                    "notin" => Test::NotIn(self.set()?),
                    ">" => Test::Greater(self.number()?),
                    "<" => Test::Less(self.number()?),
                    other => {
                        let known = "in, notin, =, ==, !=, gt, lt";
                        return Err(format!("found '{other}', expected: {known}"));
                    }
                }
            }
        };
        Ok(Requirement { key, test })
    }

    fn number(&mut self) -> Result<i64, String> {
        let value = self.value()?;
        let detail = "for 'Gt', 'Lt' operators, the value must be an integer";
        let number = value.parse().ok();
        number.ok_or_else(|| format!("values[0]: Invalid value: \"{value}\": {detail}"))
    }

    fn set(&mut self) -> Result<Vec<String>, String> {
        let mut values = Vec::new();
        match self.next() {
            Some("(") => {}
            found => {
                return Err(format!("found '{}', expected: '('", found.unwrap_or_default()));
            }
        }
        loop {
            values.push(self.value()?);
            match self.next() {
                Some(",") => {}
                Some(")") => return Ok(values),
                found => {
                    let found = found.unwrap_or_default();
                    return Err(format!("found '{found}', expected: ',' or ')'"));
                }
            }
        }
    }
}

/// A parsed field selector, as `metadata.name=a,type!=Opaque`. The default selects everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSelector {
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    path: Vec<String>,
    equal: bool,
    value: String,
}

impl FieldSelector {
    /// Parses `field=value`, `==` and `!=` terms; `\,`, `\=` and `\\` stand for themselves.
    ///
    /// # Errors
    /// 400 for bad syntax or a field that this kind cannot be selected by.
    pub fn parse(text: &str, rt: &ResourceType) -> Result<Self, ApiError> {
        let mut terms = Vec::new();
        for part in split_unescaped(text, ',').into_iter().filter(|part| !part.is_empty()) {
            let (field, equal, value) = split_term(&part).ok_or_else(|| {
                ApiError::bad_request(format!(
                    "invalid selector: '{text}'; can't understand '{part}'"
                ))
            })?;
            let common =
                field == "metadata.name" || (rt.namespaced && field == "metadata.namespace");
            if !common && !rt.selectable_fields.iter().any(|known| *known == field) {
                return Err(ApiError::bad_request(format!("field label not supported: {field}")));
            }
            let path = field.split('.').map(str::to_owned).collect();
            terms.push(Term { path, equal, value: unescape(value) });
        }
        Ok(Self { terms })
    }

    /// Whether the object satisfies all terms. A field that is not there is an empty text.
    #[must_use]
    pub fn matches(&self, object: &Value) -> bool {
        self.terms.iter().all(|term| {
            let found = term.path.iter().try_fold(object, |at, key| at.get(key));
            let text = match found {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            (text == term.value) == term.equal
        })
    }

    /// Whether everything is selected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The only name that can match, if the selector says so.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        let named = |term: &&Term| term.equal && term.path == ["metadata", "name"];
        self.terms.iter().find(named).map(|term| term.value.as_str())
    }
}

fn split_unescaped(text: &str, separator: char) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == separator && !escaped {
            parts.push(String::new());
        } else if let Some(last) = parts.last_mut() {
            last.push(c);
        }
        escaped = c == '\\' && !escaped;
    }
    parts
}

fn split_term(part: &str) -> Option<(&str, bool, &str)> {
    let at = part.find(['=', '!'])?;
    let (field, rest) = part.split_at(at);
    for (operator, equal) in [("!=", false), ("==", true), ("=", true)] {
        if let Some(value) = rest.strip_prefix(operator) {
            return Some((field, equal, value));
        }
    }
    None
}

fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scheme::Scheme;

    fn selected(selector: &str) -> Vec<&'static str> {
        let objects = json!([
            {"metadata": {"name": "a", "labels": {"env": "prod", "tier": "web", "n": "5"}}},
            {"metadata": {"name": "b", "labels": {"env": "dev", "tier": "web"}}},
            {"metadata": {"name": "c", "labels": {"tier": "db"}}},
            {"metadata": {"name": "d"}}]);
        let parsed = LabelSelector::parse(selector).unwrap_or_default();
        let names = ["a", "b", "c", "d"].into_iter().zip(objects.as_array().into_iter().flatten());
        names.filter(|(_, object)| parsed.matches(object)).map(|(name, _)| name).collect()
    }

    #[test]
    fn label_selectors_select_as_upstream() {
        for (selector, wanted) in [
            ("", "abcd"),
            ("env=prod", "a"),
            ("env==prod", "a"),
            ("env!=prod", "bcd"),
            ("env in (prod, dev)", "ab"),
            ("env notin (prod)", "bcd"),
            ("env", "ab"),
            ("!env", "cd"),
            ("tier=web,env=dev", "b"),
            ("tier in (web),!n", "b"),
            ("n>4", "a"),
            ("n<5", ""),
            ("env=", ""),
        ] {
            assert_eq!(selected(selector).concat(), wanted, "{selector:?}");
        }
    }

    #[test]
    fn bad_label_selectors_are_bad_requests() {
        for bad in ["a in b", "a in (b", "=b", "a=b=c", "a b", "a,", "env>x", "a=not ok!", "-a"] {
            assert_eq!(LabelSelector::parse(bad).map_err(|e| e.code()), Err(400), "{bad:?}");
        }
        let error = LabelSelector::parse("env>x").map_err(|error| error.to_string());
        let wanted = "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', \
                      'Lt' operators, the value must be an integer";
        assert_eq!(error, Err(wanted.to_owned()));
    }

    fn by_field(plural: &str, selector: &str, object: &Value) -> Result<bool, String> {
        let scheme = Scheme::builtin();
        let rt = scheme.find("", "v1", plural).ok_or("no such kind")?;
        let parsed = FieldSelector::parse(selector, rt).map_err(|error| error.to_string())?;
        Ok(parsed.matches(object))
    }

    #[test]
    fn events_are_selected_by_what_they_are_about() {
        let event = json!({"metadata": {"name": "e", "namespace": "n"}, "type": "Normal",
            "reason": "R", "involvedObject": {"kind": "Pod", "name": "p", "namespace": "n"}});
        let matches = |selector: &str| by_field("events", selector, &event);
        assert_eq!(matches("involvedObject.name=p,involvedObject.kind==Pod"), Ok(true));
        assert_eq!(matches("involvedObject.uid="), Ok(true));
        assert_eq!(matches("type!=Normal"), Ok(false));
        assert_eq!(matches("metadata.name=e,metadata.namespace=x"), Ok(false));
    }

    #[test]
    fn unknown_fields_and_bad_syntax_are_named() {
        let secret = json!({});
        let matches = |selector: &str| by_field("secrets", selector, &secret);
        let unsupported = "field label not supported: spec.foo".to_owned();
        assert_eq!(matches("spec.foo=1"), Err(unsupported));
        let syntax = "invalid selector: 'metadata.name'; can't understand 'metadata.name'";
        assert_eq!(matches("metadata.name"), Err(syntax.to_owned()));
    }

    #[test]
    fn the_wanted_name_is_known_and_escapes_are_read() {
        let scheme = Scheme::builtin();
        let name = scheme.find("", "v1", "configmaps").map(|rt| {
            let parsed = FieldSelector::parse(r"metadata.name=a\,b\=c", rt).unwrap_or_default();
            parsed.name().map(str::to_owned)
        });
        assert_eq!(name, Some(Some("a,b=c".to_owned())));
    }

    #[test]
    fn a_selector_object_reads_like_its_text() {
        let selector = json!({"matchLabels": {"app": "db"}, "matchExpressions": [
            {"key": "tier", "operator": "NotIn", "values": ["test"]},
            {"key": "legacy", "operator": "DoesNotExist"}]});
        let read = LabelSelector::from_object(&selector).map_err(|error| error.to_string());
        let wanted = LabelSelector::parse("app in (db),tier notin (test),!legacy");
        assert_eq!(read, wanted.map_err(|error| error.to_string()));
        let odd = json!({"matchExpressions": [{"key": "a", "operator": "Near"}]});
        assert_eq!(LabelSelector::from_object(&odd).map_err(|error| error.code()), Err(400));
        let all = LabelSelector::from_object(&Value::Null).map(|selector| selector.is_empty());
        assert_eq!(all.map_err(|error| error.code()), Ok(true));
    }
}
