//! Request bodies: JSON or YAML bytes to a value, noting keys that occur twice.

mod syntax;

use std::cell::{Cell, RefCell};
use std::fmt;

use fleetwright_apiserver_kinds::protobuf;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::negotiate::BodyKind;
use crate::patch::{DEPTH_LIMIT, depth};
use crate::status::ApiError;
use crate::way::Way;

pub use self::syntax::unrecognised;

/// Objects and lists in a body: each costs hundreds of bytes in memory and as little as five on
/// the wire.
const CONTAINERS_LIMIT: u64 = 200_000;
/// Values in a body, of whatever type.
const VALUES_LIMIT: u64 = 1_000_000;
/// Keys told of that come more than once.
const MOST_DUPLICATES: usize = 100;

/// A parsed body.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Document {
    /// The value; of equal keys the last one counts.
    pub value: Value,
    /// Paths of keys that occurred more than once, as `data.k`; of very many the first.
    pub duplicates: Vec<String>,
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self { value, duplicates: Vec::new() }
    }
}

/// Parses a body.
///
/// # Errors
/// 400 if it is not JSON or YAML, 413 if it holds too many values.
pub fn decode(kind: BodyKind, bytes: &[u8]) -> Result<Document, ApiError> {
    let seen = Seen::default();
    let parsed = match kind {
        BodyKind::Yaml => yaml(bytes, &seen),
        BodyKind::Protobuf => {
            protobuf::decode(bytes).map(Document::from).map_err(|e| e.to_string())
        }
        BodyKind::Json
        | BodyKind::MergePatch
        | BodyKind::JsonPatch
        | BodyKind::StrategicMergePatch => json(bytes, &seen),
        // JSON is YAML, but only the JSON reader tells of keys that come twice.
        BodyKind::ApplyPatch => json(bytes, &seen).or_else(|why| match seen.excess() {
            None => {
                seen.forget();
                yaml(bytes, &seen)
            }
            Some(_) => Err(why),
        }),
    };
    if let Some(limit) = seen.excess() {
        return Err(ApiError::too_many_parts(limit));
    }
    // What is deeper could be stored, but not be read again once a list or a watch event is wrapped around it.
    let parsed = parsed.and_then(|document| match depth(&document.value) {
        fine if fine <= DEPTH_LIMIT => Ok(document),
        deep => Err(format!("nested {deep} levels deep, the limit is {DEPTH_LIMIT}")),
    });
    parsed.map_err(|why| match kind {
        BodyKind::MergePatch | BodyKind::JsonPatch | BodyKind::StrategicMergePatch => {
            ApiError::bad_request(format!("error decoding patch: {why}"))
        }
        BodyKind::ApplyPatch => ApiError::bad_request(format!(
            "error decoding YAML: error converting YAML to JSON: yaml: {}",
            as_go_says(&why)
        )),
        BodyKind::Protobuf => ApiError::bad_request(why),
        BodyKind::Json | BodyKind::Yaml => ApiError::bad_request(format!(
            "the object provided is unrecognized: couldn't get version/kind; parse error: {why}"
        )),
    })
}

fn json(bytes: &[u8], seen: &Seen) -> Result<Document, String> {
    // Bytes that are not UTF-8 are replaced, not refused, as upstream does.
    let text = String::from_utf8_lossy(bytes);
    let mut reader = serde_json::Deserializer::from_str(&text);
    let seed = Node { at: Way::Start(""), seen };
    let value = seed.deserialize(&mut reader).map_err(|error| match error.is_eof() {
        true => "unexpected end of JSON input".to_owned(),
        false => error.to_string(),
    })?;
    reader.end().map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: seen.duplicates.take() })
}

/// The first line of what our YAML reader says, in the words of upstream's where they are known.
fn as_go_says(why: &str) -> &str {
    for (ours, theirs) in [
        ("unclosed bracket '{'", "did not find expected ',' or '}'"),
        ("unclosed bracket '['", "did not find expected ',' or ']'"),
    ] {
        if why.contains(ours) {
            return theirs;
        }
    }
    why.lines().next().unwrap_or_default()
}

fn yaml(bytes: &[u8], seen: &Seen) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| error.to_string())?;
    let lenient =
        serde_saphyr::options! { duplicate_keys: serde_saphyr::DuplicateKeyPolicy::LastWins };
    let read = serde_saphyr::with_deserializer_from_str_with_options(text, lenient, |reader| {
        Node { at: Way::Start(""), seen }.deserialize(reader)
    });
    let value = read.map_err(|error| error.to_string())?;
    Ok(Document { value, duplicates: seen.duplicates.take() })
}

/// What came by while a body was read.
#[derive(Default)]
struct Seen {
    duplicates: RefCell<Vec<String>>,
    values: Cell<u64>,
    containers: Cell<u64>,
}

impl Seen {
    fn forget(&self) {
        self.duplicates.take();
        self.values.set(0);
        self.containers.set(0);
    }

    /// The limit that is passed.
    fn excess(&self) -> Option<u64> {
        let over = |count: &Cell<u64>, limit| (count.get() > limit).then_some(limit);
        over(&self.containers, CONTAINERS_LIMIT).or(over(&self.values, VALUES_LIMIT))
    }

    fn count<E: serde::de::Error>(&self, count: &Cell<u64>) -> Result<(), E> {
        count.set(count.get() + 1);
        match self.excess() {
            None => Ok(()),
            Some(limit) => Err(E::custom(format!("more than {limit} values"))),
        }
    }
}

/// Builds a `Value` like serde_json does, but sees keys that come again, and counts.
struct Node<'a> {
    at: Way<'a>,
    seen: &'a Seen,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Value, D::Error> {
        self.seen.count(&self.seen.values)?;
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value);
        number.map(Value::Number).ok_or_else(|| E::custom("a number out of range"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        self.seen.count(&self.seen.containers)?;
        let mut out = Vec::new();
        while let Some(item) =
            items.next_element_seed(Node { at: self.at.item(out.len()), seen: self.seen })?
        {
            out.push(item);
        }
        Ok(Value::Array(out))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        self.seen.count(&self.seen.containers)?;
        let mut out = Map::new();
        while let Some(key) = fields.next_key::<String>()? {
            let at = self.at.field(&key);
            let value = fields.next_value_seed(Node { at, seen: self.seen })?;
            if out.contains_key(&key) {
                let mut seen = self.seen.duplicates.try_borrow_mut().map_err(A::Error::custom)?;
                if seen.len() < MOST_DUPLICATES {
                    seen.push(at.to_string());
                }
            }
            out.insert(key, value);
        }
        Ok(Value::Object(out))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_come_twice_are_noted_and_the_last_one_counts() {
        let body = br#"{"data":{"k":"1","k":"2"},"data":{"k":"3"},"l":[{"a":1,"a":2}]}"#;
        let document = decode(BodyKind::Json, body).unwrap_or_default();
        assert_eq!(document.value, json!({"data": {"k": "3"}, "l": [{"a": 2}]}));
        assert_eq!(document.duplicates, ["data.k", "data", "l[0].a"]);
    }

    #[test]
    fn yaml_becomes_the_same_value_as_json() {
        let body = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: yam\ndata:\n  a: \"1\"\n";
        let document = decode(BodyKind::Yaml, body).unwrap_or_default();
        let wanted = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "yam"}, "data": {"a": "1"}});
        assert_eq!(document.value, wanted);
    }

    #[test]
    fn yaml_that_names_a_key_twice_is_told_of_and_the_last_one_counts() {
        let body = b"data:\n  a: \"1\"\n  b: 2\n  a: \"3\"\n";
        for kind in [BodyKind::Yaml, BodyKind::ApplyPatch] {
            let document = decode(kind, body).unwrap_or_default();
            assert_eq!(document.value, json!({"data": {"a": "3", "b": 2}}));
            assert_eq!(document.duplicates, ["data.a"]);
        }
    }

    #[test]
    fn a_giant_key_above_many_values_is_not_copied_for_each() {
        // Copying would take 100 GB here.
        let key = "k".repeat(1_000_000);
        let body = format!("{{\"{key}\":[1{}]}}", ",1".repeat(100_000));
        let document = decode(BodyKind::Json, body.as_bytes()).unwrap_or_default();
        assert_eq!(document.value[&key].as_array().map(Vec::len), Some(100_001));
        let body = format!("{{\"{key}\":{{\"a\":1{}}}}}", ",\"a\":1".repeat(20_000));
        let document = decode(BodyKind::Json, body.as_bytes()).unwrap_or_default();
        assert_eq!(document.duplicates.len(), 100);
        assert!(document.duplicates.iter().map(String::len).sum::<usize>() < 300_000);
    }

    #[test]
    fn a_body_of_too_many_values_is_too_large() {
        let maps = |n: usize| format!("[{{}}{}]", ",{}".repeat(n - 1));
        let kinds =
            [BodyKind::Json, BodyKind::Yaml, BodyKind::ApplyPatch, BodyKind::StrategicMergePatch];
        for kind in [BodyKind::Json, BodyKind::MergePatch] {
            assert!(decode(kind, maps(150_000).as_bytes()).is_ok());
        }
        for kind in kinds {
            let code = decode(kind, maps(200_000).as_bytes()).map_err(|error| error.code());
            // The YAML reader has limits of its own.
            let wanted = if kind == BodyKind::Yaml { [400, 413] } else { [413, 413] };
            assert!(code.is_err_and(|code| wanted.contains(&code)), "{kind:?}");
        }
        let numbers = format!("[1{}]", ",1".repeat(1_000_000));
        let code = decode(BodyKind::Json, numbers.as_bytes()).map_err(|error| error.code());
        assert_eq!(code.map(drop), Err(413));
    }

    #[test]
    fn broken_bodies_are_bad_requests() {
        for body in [&b"{\"a\":"[..], b"", b"{} x"] {
            let code = decode(BodyKind::Json, body).map_err(|error| error.code());
            assert_eq!(code, Err(400));
        }
    }

    #[test]
    fn deep_nesting_is_refused_rather_than_overflowing_the_stack() {
        let body = "[".repeat(100_000);
        assert!(decode(BodyKind::Json, body.as_bytes()).is_err());
        assert!(decode(BodyKind::Yaml, body.as_bytes()).is_err());
    }
}
