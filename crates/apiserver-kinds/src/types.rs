//! The Go structs behind the built-in kinds, as far as the wire shows them.
//!
//! A real server decodes every body into such a struct and answers what encoding it again gives: that decides which
//! fields are dropped, which appear although nobody wrote them, and what a protobuf body means. Made by `gen/types.py`.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde_json::Value;

use crate::schemas::unpack;

const TYPES: &[u8] = include_bytes!("../data/types.json.deflate");
/// A definition no type has: decodes as if empty.
const NOWHERE: usize = usize::MAX;

/// All structs of the built-in kinds.
#[derive(Debug, Default)]
pub(crate) struct Types {
    structs: Vec<Struct>,
    by_name: BTreeMap<String, usize>,
}

/// One Go struct.
#[derive(Debug, Default)]
pub(crate) struct Struct {
    /// The OpenAPI name, as `io.k8s.api.core.v1.PodSpec`.
    pub(crate) name: String,
    /// All fields JSON shows, those of inlined structs too, by name.
    pub(crate) fields: Vec<Field>,
    /// The fields as protobuf numbers them.
    pub(crate) numbered: Vec<(u32, Numbered)>,
}

/// What a protobuf field is.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Numbered {
    /// The index of a JSON field.
    Field(usize),
    /// A struct whose fields are those of the outer one in JSON.
    Inline(usize),
}

/// One field of a struct.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    /// The Go name of a named scalar type, as `v1.Protocol`; empty else.
    pub(crate) named: String,
    pub(crate) pointer: bool,
    pub(crate) omit_empty: bool,
    pub(crate) omit_zero: bool,
}

/// What a value looks like.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    Text,
    Bool,
    Int32,
    Int64,
    Float,
    Bytes,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    /// Anything, kept as it is.
    Json,
    /// An embedded object of any kind.
    Raw,
    FieldsV1,
    SchemaOrArray,
    SchemaOrBool,
    SchemaOrStrings,
    Struct(usize),
    List(Box<Shape>),
    Map(Box<Shape>),
}

impl Types {
    /// The table, read once in the life of the process.
    pub(crate) fn get() -> &'static Self {
        static READ: OnceLock<Types> = OnceLock::new();
        READ.get_or_init(Self::read)
    }

    pub(crate) fn named(&self, name: &str) -> Option<&Struct> {
        self.by_name.get(name).and_then(|index| self.structs.get(*index))
    }

    pub(crate) fn at(&self, index: usize) -> Option<&Struct> {
        self.structs.get(index)
    }

    fn read() -> Self {
        let table = unpack(TYPES);
        let by_name: BTreeMap<String, usize> =
            table.keys().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        let rows = |name: &str| table.get(name).and_then(Value::as_array).map_or(&[][..], |r| r);
        let mut structs = Vec::with_capacity(table.len());
        for name in table.keys() {
            let mut fields = Vec::new();
            flatten(&rows, &by_name, name, &mut fields);
            fields.sort_by(|a, b| a.name.cmp(&b.name));
            let position = |wanted: &str| {
                fields.binary_search_by(|field| field.name.as_str().cmp(wanted)).ok()
            };
            let numbered = rows(name).iter().filter_map(|row| {
                let number = u32::try_from(row[1].as_u64()?).ok().filter(|number| *number > 0)?;
                let target = row[2].as_str()?.trim_start_matches('@');
                Some((
                    number,
                    match row[0].as_str()? {
                        "" => Numbered::Inline(*by_name.get(target)?),
                        field => Numbered::Field(position(field)?),
                    },
                ))
            });
            let numbered = numbered.collect();
            structs.push(Struct { name: name.clone(), fields, numbered });
        }
        Self { structs, by_name }
    }
}

/// Adds the fields of a struct, and those of the structs inlined into it.
fn flatten<'a>(
    rows: &impl Fn(&str) -> &'a [Value],
    by_name: &BTreeMap<String, usize>,
    name: &str,
    into: &mut Vec<Field>,
) {
    for row in rows(name) {
        let text = |at: usize| row[at].as_str().unwrap_or_default();
        let (label, kind, flags) = (text(0), text(2), text(3));
        if label.is_empty() {
            flatten(rows, by_name, kind.trim_start_matches('@'), into);
            continue;
        }
        let named = kind.split_once('|').map_or("", |(named, _)| named);
        into.push(Field {
            name: label.to_owned(),
            shape: shape(kind, by_name),
            named: named.to_owned(),
            pointer: flags.contains('*'),
            omit_empty: flags.contains('o'),
            omit_zero: flags.contains('z'),
        });
    }
}

fn shape(text: &str, by_name: &BTreeMap<String, usize>) -> Shape {
    if let Some(inner) = text.strip_prefix("[]") {
        return Shape::List(Box::new(shape(inner, by_name)));
    }
    if let Some(inner) = text.strip_prefix("{}") {
        return Shape::Map(Box::new(shape(inner, by_name)));
    }
    if let Some(name) = text.strip_prefix('@') {
        return Shape::Struct(by_name.get(name).copied().unwrap_or(NOWHERE));
    }
    match text.rsplit('|').next().unwrap_or_default() {
        "string" => Shape::Text,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "float64" => Shape::Float,
        "bytes" => Shape::Bytes,
        "quantity" => Shape::Quantity,
        "intOrString" => Shape::IntOrString,
        "time" => Shape::Time,
        "microTime" => Shape::MicroTime,
        "raw" => Shape::Raw,
        "fieldsV1" => Shape::FieldsV1,
        "schemaOrArray" => Shape::SchemaOrArray,
        "schemaOrBool" => Shape::SchemaOrBool,
        "schemaOrStrings" => Shape::SchemaOrStrings,
        // A named list or map behind a bar.
        other if other.starts_with(['[', '{', '@']) => shape(other, by_name),
        _ => Shape::Json,
    }
}

impl Struct {
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        let found = self.fields.binary_search_by(|field| field.name.as_str().cmp(name));
        found.ok().and_then(|index| self.fields.get(index))
    }

    /// As Go prints the type: `v1.PodSpec`.
    pub(crate) fn go_name(&self) -> String {
        let mut parts = self.name.rsplit('.');
        let (name, package) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        format!("{package}.{name}")
    }
}

impl Shape {
    /// As Go prints the type.
    pub(crate) fn go_name(&self, types: &Types) -> String {
        match self {
            Self::Text => "string".to_owned(),
            Self::Bool => "bool".to_owned(),
            Self::Int32 => "int32".to_owned(),
            Self::Int64 => "int64".to_owned(),
            Self::Float => "float64".to_owned(),
            Self::Bytes => "[]uint8".to_owned(),
            Self::Struct(index) => types.at(*index).map(Struct::go_name).unwrap_or_default(),
            Self::List(inner) => format!("[]{}", inner.go_name(types)),
            Self::Map(inner) => format!("map[string]{}", inner.go_name(types)),
            _ => String::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schemas::definitions;

    #[test]
    fn types_and_schemas_know_the_same_fields() {
        let types = Types::get();
        for (name, schema) in definitions().iter() {
            let Some(found) = types.named(name) else {
                assert!(schema.get("properties").is_none(), "{name} has no type");
                continue;
            };
            let wanted = schema.get("properties").and_then(Value::as_object);
            let wanted = wanted.into_iter().flat_map(|fields| fields.keys().map(String::as_str));
            let wanted: Vec<&str> = wanted.collect();
            let fields = found.fields.iter().map(|field| field.name.as_str());
            assert_eq!(fields.collect::<Vec<_>>(), wanted, "{name}");
        }
    }
}
