//! The query options of all verbs.

use serde_json::json;

use super::{Verb, pairs, truthy};
use crate::negotiate::BodyKind;
use crate::status::{ApiError, Cause};

/// How unknown and duplicate fields are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    /// Dropped in silence.
    Ignore,
    /// Dropped with a warning each: what the server does if not told.
    #[default]
    Warn,
    /// Refused with 400.
    Strict,
}

/// How `resourceVersion` is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    /// Exactly that state.
    Exact,
    /// That state or a later one.
    NotOlderThan,
}

/// What happens to the objects that a deleted object owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// They stay.
    Orphan,
    /// They are deleted afterwards.
    Background,
    /// They are deleted first.
    Foreground,
}

impl Propagation {
    /// Reads the API's spelling.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "Orphan" => Some(Self::Orphan),
            "Background" => Some(Self::Background),
            "Foreground" => Some(Self::Foreground),
            _ => None,
        }
    }
}

/// The query options of all verbs. What a verb does not know is left at its default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// `labelSelector`.
    pub label_selector: Option<String>,
    /// `fieldSelector`.
    pub field_selector: Option<String>,
    /// `limit`; 0 and negative are none.
    pub limit: Option<u64>,
    /// `continue`.
    pub continue_token: Option<String>,
    /// `resourceVersion`, known to be a number. See [`Options::revision`].
    pub resource_version: Option<String>,
    /// `resourceVersionMatch`.
    pub resource_version_match: Option<VersionMatch>,
    /// `watch`.
    pub watch: bool,
    /// `allowWatchBookmarks`.
    pub allow_watch_bookmarks: bool,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
    /// `timeoutSeconds`.
    pub timeout_seconds: Option<u64>,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// `fieldManager`.
    pub field_manager: Option<String>,
    /// `force` of an apply. See [`Options::check_patch`].
    pub force: bool,
    /// `fieldValidation`.
    pub field_validation: FieldValidation,
    /// `propagationPolicy`.
    pub propagation_policy: Option<Propagation>,
    /// `gracePeriodSeconds`.
    pub grace_period_seconds: Option<i64>,
    /// `pretty`.
    pub pretty: bool,
    /// `includeObject` of tables, unchecked.
    pub include_object: Option<String>,
}

impl Options {
    /// Reads a query string. The first of several equal keys counts.
    ///
    /// # Errors
    /// 400 for what is no number, 422 for values or combinations that are not allowed.
    pub fn parse(query: &str, verb: Verb) -> Result<Self, ApiError> {
        let pairs = pairs(query);
        let get = |key: &str| {
            let found = pairs.iter().find(|(name, _)| name == key).map(|(_, value)| value.clone());
            found.filter(|value| !value.is_empty())
        };
        let number = |key: &str| get(key).map(|text| integer(&text)).transpose();
        let kind = verb.options_kind();
        let refuse = |cause| ApiError::invalid_options(kind, vec![cause]);
        let field_validation = field_validation(get("fieldValidation")).map_err(refuse)?;
        let manager = get("fieldManager");
        if manager.as_ref().is_some_and(|name| name.len() > 128) {
            return Err(refuse(Cause::too_long("fieldManager", 128)));
        }
        let dry_runs = pairs.iter().filter(|(key, value)| key == "dryRun" && !value.is_empty());
        let dry_runs: Vec<&String> = dry_runs.map(|(_, value)| value).collect();
        if let Some(other) = dry_runs.iter().find(|value| **value != "All") {
            let cause = Cause::not_supported("dryRun", &json!([other]), &["\"All\"".to_owned()]);
            return Err(refuse(cause));
        }
        let options = Self {
            label_selector: get("labelSelector"),
            field_selector: get("fieldSelector"),
            limit: number("limit")?.and_then(|n| u64::try_from(n).ok()).filter(|n| *n > 0),
            continue_token: get("continue"),
            resource_version_match: version_match(get("resourceVersionMatch")).map_err(refuse)?,
            watch: verb == Verb::Watch,
            allow_watch_bookmarks: get("allowWatchBookmarks").is_some_and(|v| truthy(&v)),
            send_initial_events: get("sendInitialEvents").map(|v| truthy(&v)),
            timeout_seconds: number("timeoutSeconds")?.and_then(|n| u64::try_from(n).ok()),
            dry_run: !dry_runs.is_empty(),
            field_manager: manager,
            force: verb == Verb::Patch && get("force").is_some_and(|value| truthy(&value)),
            field_validation,
            propagation_policy: propagation(get("propagationPolicy")).map_err(refuse)?,
            grace_period_seconds: number("gracePeriodSeconds")?,
            pretty: get("pretty").is_some_and(|v| truthy(&v)),
            include_object: get("includeObject"),
            resource_version: get("resourceVersion"),
        };
        options.check_revisions(verb).map_err(refuse)?;
        options.revision()?;
        Ok(options)
    }

    /// What a PATCH may say depends on its form: an apply must name its manager, and nothing else can be forced.
    ///
    /// # Errors
    /// 422.
    pub fn check_patch(&self, kind: BodyKind) -> Result<(), ApiError> {
        let refuse = |cause| Err(ApiError::invalid_options("PatchOptions", vec![cause]));
        match (kind, &self.field_manager) {
            (BodyKind::ApplyPatch, None) => {
                refuse(Cause::required("fieldManager", "is required for apply patch"))
            }
            (BodyKind::ApplyPatch, Some(_)) => Ok(()),
            _ if self.force => {
                refuse(Cause::forbidden("force", "may not be specified for non-apply patch"))
            }
            _ => Ok(()),
        }
    }

    /// `resourceVersion` as a number; None if it was not given. Zero means "any".
    ///
    /// # Errors
    /// For text: 500 on a watch, 400 elsewhere, as upstream.
    pub fn revision(&self) -> Result<Option<u64>, ApiError> {
        let Some(text) = &self.resource_version else {
            return Ok(None);
        };
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if digits { "value out of range" } else { "invalid syntax" };
        match text.parse().ok().filter(|_| digits) {
            Some(number) => Ok(Some(number)),
            None => {
                let detail = format!("strconv.ParseUint: parsing \"{text}\": {why}");
                let message = format!("resourceVersion: Invalid value: \"{text}\": {detail}");
                Err(if self.watch {
                    ApiError::plain_500(message)
                } else {
                    ApiError::bad_request(format!("invalid resource version: {message}"))
                })
            }
        }
    }

    fn check_revisions(&self, verb: Verb) -> Result<(), Cause> {
        let refuse = |field: &str, detail: &str| Err(Cause::forbidden(field, detail));
        let field = "resourceVersionMatch";
        match (verb, self.resource_version_match, self.send_initial_events) {
            (Verb::Watch, Some(_), None) => {
                let detail = "resourceVersionMatch is forbidden for watch unless \
                              sendInitialEvents is provided";
                refuse(field, detail)
            }
            (Verb::Watch, None | Some(VersionMatch::Exact), Some(_)) => {
                let detail =
                    "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                refuse(field, detail)
            }
            (Verb::List, _, Some(_)) => {
                refuse("sendInitialEvents", "sendInitialEvents is forbidden for list")
            }
            (Verb::List, Some(_), None) if self.continue_token.is_some() => {
                let detail = "resourceVersionMatch is forbidden when continue is provided";
                refuse(field, detail)
            }
            (Verb::List, Some(_), None) if self.resource_version.is_none() => {
                let detail = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                refuse(field, detail)
            }
            (Verb::List, Some(VersionMatch::Exact), None)
                if self.resource_version.as_deref() == Some("0") =>
            {
                let detail =
                    "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                refuse(field, detail)
            }
            _ => Ok(()),
        }
    }
}

fn integer(text: &str) -> Result<i64, ApiError> {
    text.parse::<i64>().map_err(|error| {
        use std::num::IntErrorKind::{NegOverflow, PosOverflow};
        let why = match error.kind() {
            PosOverflow | NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        ApiError::bad_request(format!("strconv.ParseInt: parsing \"{text}\": {why}"))
    })
}

fn quoted(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| format!("\"{value}\"")).collect()
}

fn field_validation(text: Option<String>) -> Result<FieldValidation, Cause> {
    match text.as_deref() {
        None | Some("Warn") => Ok(FieldValidation::Warn),
        Some("Ignore") => Ok(FieldValidation::Ignore),
        Some("Strict") => Ok(FieldValidation::Strict),
        Some(other) => {
            let known = quoted(&["", "Ignore", "Strict", "Warn"]);
            Err(Cause::not_supported("fieldValidation", &json!(other), &known))
        }
    }
}

fn version_match(text: Option<String>) -> Result<Option<VersionMatch>, Cause> {
    match text.as_deref() {
        None => Ok(None),
        Some("Exact") => Ok(Some(VersionMatch::Exact)),
        Some("NotOlderThan") => Ok(Some(VersionMatch::NotOlderThan)),
        Some(other) => {
            let known = quoted(&["Exact", "NotOlderThan", ""]);
            Err(Cause::not_supported("resourceVersionMatch", &json!(other), &known))
        }
    }
}

pub(crate) fn propagation(text: Option<String>) -> Result<Option<Propagation>, Cause> {
    let Some(text) = text else { return Ok(None) };
    let known = || quoted(&["Foreground", "Background", "Orphan", "nil"]);
    let refuse = || Cause::not_supported("propagationPolicy", &json!(text), &known());
    Propagation::parse(&text).map(Some).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_apply_names_its_manager_and_nothing_else_is_forced() {
        let check = |query: &str, kind| {
            let options = Options::parse(query, Verb::Patch).unwrap_or_default();
            options.check_patch(kind).map_err(|error| error.to_string())
        };
        assert_eq!(check("force=true&fieldManager=a", BodyKind::ApplyPatch), Ok(()));
        assert_eq!(check("", BodyKind::MergePatch), Ok(()));
        let refused = check("force=true", BodyKind::MergePatch).err().unwrap_or_default();
        assert!(refused.contains("force: Forbidden: may not be specified for non-apply patch"));
        let refused = check("", BodyKind::ApplyPatch).err().unwrap_or_default();
        assert!(refused.contains("fieldManager: Required value: is required for apply patch"));
    }
}
