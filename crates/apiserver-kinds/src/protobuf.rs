//! Protobuf request bodies (`application/vnd.kubernetes.protobuf`), which kubectl, Helm and controller-runtime send: read
//! into the same JSON that would have said it.
//!
//! A body is `k8s\0` and a `runtime.Unknown`: apiVersion, kind and the bytes of the object. What the bytes mean the
//! numbers in the struct tags say ([`crate::types`]). Nothing is ever written in this form.

use serde_json::{Map, Value, json};

use crate::schemas::definition_of;
use crate::types::Types;

mod fields;
mod wire;

use self::fields::Decoder;
use self::wire::{Payload, Reader};

const MAGIC: &[u8] = b"k8s\0";

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecodeError {
    /// It does not begin like one.
    NoMagic,
    /// It ends too early, or a number, a length or a text in it is broken.
    Broken(&'static str),
    /// It nests deeper, or holds more values, than anything honest.
    TooMuch,
    /// It names a kind that is not built in.
    UnknownKind {
        /// As `v1`.
        api_version: String,
        /// As `Pod`.
        kind: String,
    },
}

impl std::fmt::Display for DecodeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoMagic => f.write_str(
                "provided data does not appear to be a protobuf message, expected prefix \
                 [107 56 115 0]",
            ),
            Self::Broken(what) => write!(f, "proto: {what}"),
            Self::TooMuch => f.write_str("proto: nested too deeply, or too many values"),
            Self::UnknownKind { api_version, kind } => {
                write!(f, "no kind \"{kind}\" is registered for version \"{api_version}\"")
            }
        }
    }
}

impl std::error::Error for DecodeError {}

/// Reads a body into an object with `apiVersion` and `kind`.
///
/// # Errors
/// If it is no such body, or of a kind that is not built in.
pub fn decode(body: &[u8]) -> Result<Value, DecodeError> {
    let mut reader = Reader::new(body.strip_prefix(MAGIC).ok_or(DecodeError::NoMagic)?);
    let (mut type_meta, mut raw, mut content_type) = (&[][..], &[][..], String::new());
    while let Some((number, payload)) = reader.next()? {
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => type_meta = bytes,
            (2, Payload::Bytes(bytes)) => raw = bytes,
            (4, Payload::Bytes(bytes)) => content_type = wire::text(bytes)?,
            _ => {}
        }
    }
    let (api_version, kind) = read_type(type_meta)?;
    let mut object = match content_type.as_str() {
        "application/json" => {
            serde_json::from_slice(raw).map_err(|_why| DecodeError::Broken("its JSON is broken"))?
        }
        _ => object(&api_version, &kind, raw)?,
    };
    if let Value::Object(fields) = &mut object {
        for (key, value) in [("apiVersion", api_version), ("kind", kind)] {
            if !value.is_empty() {
                fields.insert(key.to_owned(), json!(value));
            }
        }
    }
    Ok(object)
}

fn read_type(bytes: &[u8]) -> Result<(String, String), DecodeError> {
    let (mut api_version, mut kind) = (String::new(), String::new());
    let mut reader = Reader::new(bytes);
    while let Some((number, payload)) = reader.next()? {
        match (number, payload) {
            (1, Payload::Bytes(bytes)) => api_version = wire::text(bytes)?,
            (2, Payload::Bytes(bytes)) => kind = wire::text(bytes)?,
            _ => {}
        }
    }
    Ok((api_version, kind))
}

fn object(api_version: &str, kind: &str, raw: &[u8]) -> Result<Value, DecodeError> {
    let types = Types::get();
    let found = definition_of(api_version, kind).and_then(|name| types.named(name));
    let root = found.ok_or_else(|| DecodeError::UnknownKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
    })?;
    let mut fields = Map::new();
    Decoder::new(types).read_struct(root, raw, &mut fields, 0)?;
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests;
