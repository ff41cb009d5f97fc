//! One field that is wrong, of the several that an error may tell of.

use serde_json::{Value, json};

/// The machine-readable reason of one [`Cause`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CauseReason {
    /// A field is missing.
    Required,
    /// A value is malformed or out of range.
    Invalid,
    /// A value has another JSON type.
    TypeInvalid,
    /// A value is not one of the listed ones.
    NotSupported,
    /// A value occurs twice where it must be unique.
    Duplicate,
    /// A value names something that is not there.
    NotFound,
    /// The field may not be set or changed.
    Forbidden,
    /// A string or object is too long.
    TooLong,
    /// A list or map has too many entries.
    TooMany,
    /// `LIST` asked for a resourceVersion that does not exist yet.
    ResourceVersionTooLarge,
    /// A write into a namespace that is going away.
    NamespaceTerminating,
    /// A PodDisruptionBudget forbids an eviction.
    DisruptionBudget,
    /// Somebody else owns a field that an apply would change.
    FieldManagerConflict,
    /// A policy refused the request; upstream names no reason there.
    Unnamed,
}

impl CauseReason {
    /// The text in `details.causes[].reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "FieldValueRequired",
            Self::Invalid => "FieldValueInvalid",
            Self::TypeInvalid => "FieldValueTypeInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Duplicate => "FieldValueDuplicate",
            Self::NotFound => "FieldValueNotFound",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::ResourceVersionTooLarge => "ResourceVersionTooLarge",
            Self::NamespaceTerminating => "NamespaceTerminating",
            Self::DisruptionBudget => "DisruptionBudget",
            Self::FieldManagerConflict => "FieldManagerConflict",
            Self::Unnamed => "",
        }
    }
}

/// One reason why an object or a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Machine-readable.
    pub reason: CauseReason,
    /// The field's path, as in `spec.nodePools[0].name`; empty if none.
    pub field: String,
    /// For people, beginning with the kind of error: `Required value: …`.
    pub message: String,
}

impl Cause {
    pub(super) fn new(reason: CauseReason, field: impl Into<String>, message: String) -> Self {
        Self { reason, field: field.into(), message }
    }

    /// `Required value: DETAIL`, or without a detail just `Required value`.
    #[must_use]
    pub fn required(field: impl Into<String>, detail: &str) -> Self {
        Self::new(CauseReason::Required, field, with_detail("Required value", detail))
    }

    /// `Invalid value: VALUE: DETAIL`, the value as JSON.
    #[must_use]
    pub fn invalid(field: impl Into<String>, value: &Value, detail: &str) -> Self {
        let message = with_detail(&format!("Invalid value: {value}"), detail);
        Self::new(CauseReason::Invalid, field, message)
    }

    /// `Invalid value: DETAIL`: for objects and lists the value itself is left out.
    #[must_use]
    pub fn invalid_without_value(field: impl Into<String>, detail: &str) -> Self {
        Self::new(CauseReason::Invalid, field, format!("Invalid value: {detail}"))
    }

    /// A value of another JSON type than the schema's.
    #[must_use]
    pub fn wrong_type(field: &str, found: &str, wanted: &str) -> Self {
        let message = format!(
            "Invalid value: \"{found}\": {field} in body must be of type {wanted}: \"{found}\""
        );
        Self::new(CauseReason::TypeInvalid, field, message)
    }

    /// `Unsupported value: VALUE: supported values: …`.
    #[must_use]
    pub fn not_supported(field: impl Into<String>, value: &Value, supported: &[String]) -> Self {
        let list = supported.join(", ");
        let message = format!("Unsupported value: {value}: supported values: {list}");
        Self::new(CauseReason::NotSupported, field, message)
    }

    /// `Duplicate value: VALUE`.
    #[must_use]
    pub fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self::new(CauseReason::Duplicate, field, format!("Duplicate value: {value}"))
    }

    /// `Not found: VALUE`.
    #[must_use]
    pub fn not_found(field: impl Into<String>, value: &Value) -> Self {
        Self::new(CauseReason::NotFound, field, format!("Not found: {value}"))
    }

    /// `Forbidden: DETAIL`.
    #[must_use]
    pub fn forbidden(field: impl Into<String>, detail: &str) -> Self {
        Self::new(CauseReason::Forbidden, field, with_detail("Forbidden", detail))
    }

    /// `Too long: may not be more than N bytes`.
    #[must_use]
    pub fn too_long(field: impl Into<String>, limit_bytes: u64) -> Self {
        let message = format!("Too long: may not be more than {limit_bytes} bytes");
        Self::new(CauseReason::TooLong, field, message)
    }

    /// `Too many: N: must have at most M items`.
    #[must_use]
    pub fn too_many(field: impl Into<String>, found: usize, limit: u64) -> Self {
        let message = format!("Too many: {found}: must have at most {limit} items");
        Self::new(CauseReason::TooMany, field, message)
    }

    pub(super) fn body(&self) -> Value {
        let mut out = json!({"message": self.message});
        if self.reason != CauseReason::Unnamed {
            out["reason"] = json!(self.reason.as_str());
        }
        if !self.field.is_empty() {
            out["field"] = json!(self.field);
        }
        out
    }
}

/// A name as Go quotes it: control characters as escapes.
pub(super) fn escaped(name: &str) -> String {
    let one = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        c if c.is_ascii_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    };
    name.chars().map(one).collect()
}

fn with_detail(head: &str, detail: &str) -> String {
    if detail.is_empty() { head.to_owned() } else { format!("{head}: {detail}") }
}
