//! From numbered fields to JSON.

use serde_json::{Map, Number, Value, json};

use super::DecodeError;
use super::wire::{Payload, Reader, text};
use crate::types::{Numbered, Shape, Struct, Types};

/// Kinds do not nest deeper, except schemas in schemas.
const DEPTH_LIMIT: usize = 100;
/// A body of the largest size holds at most a value in two bytes, each of which costs a hundred in memory.
const VALUES_LIMIT: usize = 300_000;

pub(super) struct Decoder {
    types: &'static Types,
    values: usize,
}

impl Decoder {
    pub(super) fn new(types: &'static Types) -> Self {
        Self { types, values: 0 }
    }

    fn count(&mut self, depth: usize) -> Result<(), DecodeError> {
        self.values += 1;
        let fine = depth <= DEPTH_LIMIT && self.values <= VALUES_LIMIT;
        if fine { Ok(()) } else { Err(DecodeError::TooMuch) }
    }

    pub(super) fn read_struct(
        &mut self,
        root: &'static Struct,
        bytes: &[u8],
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        self.count(depth)?;
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            let Some((_, numbered)) = root.numbered.iter().find(|(known, _)| *known == number)
            else {
                // A field of a newer client.
                continue;
            };
            match *numbered {
                Numbered::Inline(index) => {
                    if let (Some(inner), Payload::Bytes(bytes)) = (self.types.at(index), payload) {
                        self.read_struct(inner, bytes, into, depth + 1)?;
                    }
                }
                Numbered::Field(index) => {
                    if let Some(field) = root.fields.get(index) {
                        self.read_field(&field.name, &field.shape, payload, into, depth + 1)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn read_field(
        &mut self,
        name: &str,
        shape: &'static Shape,
        payload: Payload<'_>,
        into: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), DecodeError> {
        match shape {
            Shape::List(inner) => {
                let list = into.entry(name).or_insert_with(|| json!([]));
                let numbers = matches!(**inner, Shape::Int32 | Shape::Int64 | Shape::Bool);
                let mut items = Vec::new();
                match payload {
                    Payload::Bytes(packed) if numbers => {
                        let mut reader = Reader::new(packed);
                        while let Some(number) = reader.next_varint()? {
                            items.push(self.value(inner, Payload::Varint(number), depth)?);
                        }
                    }
                    one => items.push(self.value(inner, one, depth)?),
                }
                if let Value::Array(list) = list {
                    list.append(&mut items);
                }
            }
            Shape::Map(inner) => {
                let Payload::Bytes(entry) = payload else {
                    return Err(DecodeError::Broken("a map entry that is no message"));
                };
                let (key, value) = self.entry(inner, entry, depth)?;
                let map = into.entry(name).or_insert_with(|| json!({}));
                if let Value::Object(map) = map {
                    map.insert(key, value);
                }
            }
            // A message may come in parts, which merge.
            Shape::Struct(index) => {
                if let (Some(inner), Payload::Bytes(bytes)) = (self.types.at(*index), payload) {
                    let place = into.entry(name).or_insert_with(|| json!({}));
                    if let Value::Object(fields) = place {
                        self.read_struct(inner, bytes, fields, depth)?;
                    }
                }
            }
            scalar => {
                let value = self.value(scalar, payload, depth)?;
                into.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        shape: &'static Shape,
        bytes: &[u8],
        depth: usize,
    ) -> Result<(String, Value), DecodeError> {
        let (mut key, mut value) = (String::new(), None);
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            match (number, payload) {
                (1, Payload::Bytes(bytes)) => key = text(bytes)?,
                (2, payload) => value = Some(self.value(shape, payload, depth + 1)?),
                _ => {}
            }
        }
        // Go leaves out nothing, others leave out what is empty.
        let empty = || match shape {
            Shape::Text | Shape::Bytes => json!(""),
            Shape::Quantity => json!("0"),
            Shape::List(_) => json!([]),
            _ => json!({}),
        };
        Ok((key, value.unwrap_or_else(empty)))
    }

    fn value(
        &mut self,
        shape: &'static Shape,
        payload: Payload<'_>,
        depth: usize,
    ) -> Result<Value, DecodeError> {
        self.count(depth)?;
        match (shape, payload) {
            (Shape::Text, Payload::Bytes(bytes)) => Ok(json!(text(bytes)?)),
            (Shape::Bytes, Payload::Bytes(bytes)) => Ok(json!(base64(bytes))),
            (Shape::Bool, Payload::Varint(number)) => Ok(json!(number != 0)),
            (Shape::Int32 | Shape::Int64, Payload::Varint(number)) => {
                Ok(json!(number.cast_signed()))
            }
            (Shape::Float, Payload::Fixed64(bits)) => {
                Ok(Number::from_f64(f64::from_bits(bits)).map_or(Value::Null, Value::Number))
            }
            (Shape::Quantity, Payload::Bytes(bytes)) => {
                let parts = Parts::read(bytes)?;
                Ok(json!(if parts.text.is_empty() { "0" } else { &parts.text }))
            }
            (Shape::IntOrString, Payload::Bytes(bytes)) => int_or_string(bytes),
            (Shape::Time | Shape::MicroTime, Payload::Bytes(bytes)) => {
                time(bytes, *shape == Shape::MicroTime)
            }
            (Shape::Raw | Shape::FieldsV1 | Shape::Json, Payload::Bytes(bytes)) => raw(bytes),
            (Shape::Struct(index), Payload::Bytes(bytes)) => {
                let mut fields = Map::new();
                if let Some(inner) = self.types.at(*index) {
                    self.read_struct(inner, bytes, &mut fields, depth + 1)?;
                }
                Ok(Value::Object(fields))
            }
            // A list inside a list or map is a message whose first field repeats.
            (Shape::List(inner), Payload::Bytes(bytes)) => {
                let mut items = Vec::new();
                let mut reader = Reader::new(bytes);
                while let Some((number, payload)) = reader.next()? {
                    if number == 1 {
                        items.push(self.value(inner, payload, depth + 1)?);
                    }
                }
                Ok(Value::Array(items))
            }
            (
                Shape::SchemaOrArray | Shape::SchemaOrBool | Shape::SchemaOrStrings,
                Payload::Bytes(bytes),
            ) => self.schemas(shape, bytes, depth),
            _ => Err(DecodeError::Broken("wrong wireType")),
        }
    }

    /// `JSONSchemaPropsOrArray`, `…OrBool` and `…OrStringArray`.
    fn schemas(&mut self, shape: &Shape, bytes: &[u8], depth: usize) -> Result<Value, DecodeError> {
        const SCHEMA: &str =
            "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaProps";
        let schema = self.types.named(SCHEMA).ok_or(DecodeError::TooMuch)?;
        let (mut one, mut many, mut allows) = (None, Vec::new(), None);
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            match (shape, number, payload) {
                (Shape::SchemaOrBool, 1, Payload::Varint(flag)) => allows = Some(flag != 0),
                (Shape::SchemaOrStrings, 2, Payload::Bytes(bytes)) => {
                    self.count(depth)?;
                    many.push(json!(text(bytes)?));
                }
                (_, _, Payload::Bytes(bytes)) => {
                    let mut fields = Map::new();
                    self.read_struct(schema, bytes, &mut fields, depth + 1)?;
                    match (shape, number) {
                        (Shape::SchemaOrArray, 2) => many.push(Value::Object(fields)),
                        _ => one = Some(Value::Object(fields)),
                    }
                }
                _ => {}
            }
        }
        Ok(match (one, allows) {
            (Some(schema), _) => schema,
            (None, Some(allows)) => json!(allows),
            (None, None) => Value::Array(many),
        })
    }
}

/// The fields of the small messages that stand for one value: the first texts and numbers.
#[derive(Debug, Default)]
struct Parts {
    text: String,
    numbers: [i64; 3],
}

impl Parts {
    fn read(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut parts = Self::default();
        let mut reader = Reader::new(bytes);
        while let Some((number, payload)) = reader.next()? {
            match payload {
                Payload::Bytes(bytes) => parts.text = text(bytes)?,
                Payload::Varint(value) => {
                    let index = usize::try_from(number).unwrap_or(usize::MAX);
                    if let Some(place) = parts.numbers.get_mut(index) {
                        *place = value.cast_signed();
                    }
                }
                Payload::Fixed64(_) | Payload::Fixed32(_) => {}
            }
        }
        Ok(parts)
    }
}

/// `{type 1, intVal 2, strVal 3}`; type 1 is a text.
fn int_or_string(bytes: &[u8]) -> Result<Value, DecodeError> {
    let parts = Parts::read(bytes)?;
    Ok(if parts.numbers[1] == 1 { json!(parts.text) } else { json!(parts.numbers[2]) })
}

/// `{seconds 1, nanos 2}`; the time before time is none.
fn time(bytes: &[u8], micro: bool) -> Result<Value, DecodeError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let parts = Parts::read(bytes)?;
    let nanos = i32::try_from(parts.numbers[2]).unwrap_or_default();
    let time = jiff::Timestamp::new(parts.numbers[1], nanos)
        .map_err(|_why| DecodeError::Broken("a time out of range"))?;
    let form = if micro { "%Y-%m-%dT%H:%M:%S.%6fZ" } else { "%Y-%m-%dT%H:%M:%SZ" };
    Ok(json!(time.strftime(form).to_string()))
}

/// `{raw 1}`: JSON inside protobuf.
fn raw(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(bytes);
    let mut value = Value::Null;
    while let Some((number, payload)) = reader.next()? {
        if let (1, Payload::Bytes(json)) = (number, payload)
            && !json.is_empty()
        {
            value = serde_json::from_slice(json)
                .map_err(|_why| DecodeError::Broken("its JSON is broken"))?;
        }
    }
    Ok(value)
}

/// Standard base64 with padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or_default());
        let group = byte(0) << 16 | byte(1) << 8 | byte(2);
        for index in 0..4 {
            let digit = (group >> (18 - 6 * index)) & 0x3f;
            let digit = DIGITS.get(digit as usize).copied().unwrap_or(b'=');
            out.push(if index <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}
