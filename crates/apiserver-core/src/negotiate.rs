//! Content negotiation: which form the client wants, and which form its body has.

use crate::request::{Options, Verb};
use crate::scheme::ResourceType;
use crate::status::ApiError;

/// The Content-Type of aggregated discovery.
pub const AGGREGATED_DISCOVERY_TYPE: &str =
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// What upstream serves. Protobuf is in its texts and not here.
const AVAILABLE: &[&str] =
    &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];
/// The patches that every kind understands.
pub(crate) const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/apply-patch+yaml",
];
const BODIES: &[&str] =
    &["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/// The form of an answer. All but one are JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// The object or list itself.
    Json,
    /// The same as YAML.
    Yaml,
    /// `meta.k8s.io/v1` Table.
    Table(IncludeObject),
    /// `meta.k8s.io/v1` PartialObjectMetadata, or the list of those.
    PartialMetadata,
}

/// What a table row carries beside its cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// A PartialObjectMetadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

/// The form of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// An object as JSON.
    Json,
    /// An object as YAML.
    Yaml,
    /// RFC 7386.
    MergePatch,
    /// RFC 6902.
    JsonPatch,
    /// A configuration for server-side apply, as YAML or JSON.
    ApplyPatch,
    /// A merge patch that knows how lists merge; built-in kinds only.
    StrategicMergePatch,
    /// An object of a built-in kind as protobuf.
    Protobuf,
}

/// One entry of an Accept header.
struct Clause<'a> {
    media: &'a str,
    parameters: Vec<(&'a str, &'a str)>,
}

impl Clause<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.parameters.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
    }

    fn is_json(&self) -> bool {
        matches!(self.media, "application/json" | "application/*" | "*/*")
    }
}

fn clauses(header: &str) -> impl Iterator<Item = Clause<'_>> {
    header.split(',').map(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        let parameters = parts.filter_map(|part| part.split_once('=')).collect();
        Clause { media, parameters }
    })
}

/// The first form in the Accept header that can be served. No header means JSON.
///
/// # Errors
/// 406 if there is none, 400 for an unknown `includeObject` of a table.
pub fn accepted(accept: Option<&str>, options: &Options) -> Result<Accepted, ApiError> {
    let header = accept.map(str::trim).filter(|text| !text.is_empty()).unwrap_or("*/*");
    let mut known = false;
    for clause in clauses(header) {
        if clause.media == "application/yaml" && clause.get("as").is_none() {
            return Ok(Accepted::Yaml);
        }
        if !clause.is_json() {
            continue;
        }
        known = true;
        let meta = clause.get("g") == Some("meta.k8s.io") && clause.get("v") == Some("v1");
        match clause.get("as") {
            None => return Ok(Accepted::Json),
            Some("Table") if meta => return include_object(options).map(Accepted::Table),
            Some("PartialObjectMetadata" | "PartialObjectMetadataList") if meta => {
                return Ok(Accepted::PartialMetadata);
            }
            Some(_) => {}
        }
    }
    if known {
        return Err(ApiError::not_acceptable(AVAILABLE));
    }
    Err(ApiError::nothing_acceptable(if header.contains("protobuf") {
        &AVAILABLE[..2]
    } else {
        AVAILABLE
    }))
}

/// Refuses the list form of one object's metadata, and the form of one object of a list.
///
/// # Errors
/// 406, naming what upstream's Go type for it would be.
pub fn check_form(accept: Option<&str>, rt: &ResourceType, list: bool) -> Result<(), ApiError> {
    let wanted = if list { "PartialObjectMetadata" } else { "PartialObjectMetadataList" };
    let first = accept.and_then(|header| clauses(header).find(Clause::is_json));
    if first.is_none_or(|clause| clause.get("as") != Some(wanted)) {
        return Ok(());
    }
    let package = match rt.group.split('.').next() {
        Some("") | None => "core",
        Some(group) => group,
    };
    let (what, suffix) = if list { ("a list", "List") } else { ("not a list", "") };
    Err(ApiError::not_acceptable_because(format!(
        "you requested {wanted}, but the requested object is {what} (*{package}.{}{suffix})",
        rt.kind
    )))
}

fn include_object(options: &Options) -> Result<IncludeObject, ApiError> {
    match options.include_object.as_deref() {
        None | Some("Metadata") => Ok(IncludeObject::Metadata),
        Some("None") => Ok(IncludeObject::None),
        Some("Object") => Ok(IncludeObject::Object),
        Some(other) => Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: \"{other}\": \
             must be 'Metadata', 'Object', 'None', or empty"
        ))),
    }
}

/// Whether `/api` and `/apis` should answer with the aggregated document (v2).
#[must_use]
pub fn wants_aggregated_discovery(accept: Option<&str>) -> bool {
    let wanted = |clause: &Clause<'_>| {
        clause.is_json()
            && clause.get("g") == Some("apidiscovery.k8s.io")
            && clause.get("v") == Some("v2")
            && clause.get("as") == Some("APIGroupDiscoveryList")
    };
    // The order is the client's preference: plain JSON first means the legacy form.
    let header = accept.unwrap_or_default();
    let mut usable =
        clauses(header).filter(|c| wanted(c) || (c.is_json() && c.get("as").is_none()));
    usable.next().is_some_and(|clause| wanted(&clause))
}

/// What a request body is. Creates and updates without a type are JSON.
///
/// # Errors
/// 415 for what is not served, as CBOR.
pub fn body_kind(content_type: Option<&str>, verb: Verb) -> Result<BodyKind, ApiError> {
    let media = content_type.and_then(|text| text.split(';').next()).unwrap_or_default().trim();
    match (verb, media) {
        (Verb::Patch, "application/merge-patch+json") => Ok(BodyKind::MergePatch),
        (Verb::Patch, "application/json-patch+json") => Ok(BodyKind::JsonPatch),
        (Verb::Patch, "application/apply-patch+yaml") => Ok(BodyKind::ApplyPatch),
        (Verb::Patch, "application/strategic-merge-patch+json") => {
            Ok(BodyKind::StrategicMergePatch)
        }
        (Verb::Patch, "application/apply-patch+cbor") => {
            Err(ApiError::unsupported_media_type(PATCHES))
        }
        (Verb::Patch, _) => Err(ApiError::no_patch_type()),
        (_, "" | "application/json" | "*/*") => Ok(BodyKind::Json),
        (_, "application/vnd.kubernetes.protobuf") => Ok(BodyKind::Protobuf),
        (_, "application/yaml") => Ok(BodyKind::Yaml),
        _ => Err(ApiError::unsupported_media_type(BODIES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(accept: Option<&str>) -> Result<Accepted, u16> {
        accepted(accept, &Options::default()).map_err(|error| error.code())
    }

    #[test]
    fn the_first_form_that_can_be_served_wins() {
        let table = Accepted::Table(IncludeObject::Metadata);
        for (accept, wanted) in [
            (None, Ok(Accepted::Json)),
            (Some("*/*"), Ok(Accepted::Json)),
            (Some("application/json;as=Table;v=v1;g=meta.k8s.io,application/json"), Ok(table)),
            (
                Some("application/json;as=Table;v=v1beta1;g=meta.k8s.io, application/json"),
                Ok(Accepted::Json),
            ),
            (
                Some("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"),
                Ok(Accepted::PartialMetadata),
            ),
            (Some("application/vnd.kubernetes.protobuf,application/json"), Ok(Accepted::Json)),
            (Some("application/json;as=Foo;g=meta.k8s.io;v=v1"), Err(406)),
            (Some("application/yaml"), Ok(Accepted::Yaml)),
            (Some("text/html"), Err(406)),
        ] {
            assert_eq!(form(accept), wanted, "{accept:?}");
        }
    }

    #[test]
    fn tables_carry_what_was_asked_for() {
        let accept = Some("application/json;as=Table;v=v1;g=meta.k8s.io");
        let with = |text: &str| {
            let options = Options { include_object: Some(text.into()), ..Options::default() };
            accepted(accept, &options).map_err(|error| error.code())
        };
        assert_eq!(with("Object"), Ok(Accepted::Table(IncludeObject::Object)));
        assert_eq!(with("None"), Ok(Accepted::Table(IncludeObject::None)));
        assert_eq!(with("Foo"), Err(400));
    }

    #[test]
    fn aggregated_discovery_is_for_those_who_prefer_it() {
        let v2 = AGGREGATED_DISCOVERY_TYPE;
        assert!(wants_aggregated_discovery(Some(&format!("{v2},application/json"))));
        assert!(!wants_aggregated_discovery(Some("application/json")));
        assert!(!wants_aggregated_discovery(None));
        let beta = "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList";
        assert!(wants_aggregated_discovery(Some(&format!("{v2},{beta},application/json"))));
        assert!(!wants_aggregated_discovery(Some(&format!("{beta},application/json"))));
    }

    #[test]
    fn bodies_are_told_apart_by_type_and_verb() {
        for (content_type, verb, wanted) in [
            (None, Verb::Create, Ok(BodyKind::Json)),
            (Some("application/json; charset=utf-8"), Verb::Update, Ok(BodyKind::Json)),
            (Some("application/yaml"), Verb::Create, Ok(BodyKind::Yaml)),
            (Some("application/vnd.kubernetes.protobuf"), Verb::Create, Ok(BodyKind::Protobuf)),
            (Some("application/cbor"), Verb::Create, Err(415)),
            (
                Some("application/merge-patch+json;charset=utf-8"),
                Verb::Patch,
                Ok(BodyKind::MergePatch),
            ),
            (Some("application/json-patch+json"), Verb::Patch, Ok(BodyKind::JsonPatch)),
            (
                Some("application/strategic-merge-patch+json"),
                Verb::Patch,
                Ok(BodyKind::StrategicMergePatch),
            ),
            (Some("application/apply-patch+yaml"), Verb::Patch, Ok(BodyKind::ApplyPatch)),
            (Some("application/apply-patch+cbor"), Verb::Patch, Err(415)),
            (Some("application/json"), Verb::Patch, Err(415)),
            (None, Verb::Patch, Err(415)),
        ] {
            let found = body_kind(content_type, verb).map_err(|error| error.code());
            assert_eq!(found, wanted, "{content_type:?}");
        }
    }
}
