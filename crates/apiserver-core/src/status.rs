//! Errors as Kubernetes servers give them: a `Status` object with reason, code and details.
//!
//! Texts follow what kube-apiserver 1.36 answers, since clients (kubectl, kube-rs) match on some.

use std::fmt;

use serde_json::{Map, Value, json};

use crate::scheme::ResourceType;

mod cause;

use self::cause::escaped;
pub use self::cause::{Cause, CauseReason};

/// The `details` of a Status.
#[derive(Debug, Clone, PartialEq, Default)]
struct Details {
    name: String,
    group: String,
    kind: String,
    causes: Vec<Cause>,
    retry_after_seconds: Option<u64>,
}

/// An error answer: an HTTP code and a `Status` body. `Display` gives the message.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub struct ApiError(Box<Inner>);

#[derive(Debug, Clone, PartialEq)]
struct Inner {
    code: u16,
    reason: &'static str,
    message: String,
    details: Option<Details>,
    continue_token: Option<String>,
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl ApiError {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Inner { code, reason, message, details: None, continue_token: None }))
    }

    fn details(mut self, details: Details) -> Self {
        self.0.details = Some(details);
        self
    }

    fn about(self, rt: &ResourceType, name: &str) -> Self {
        self.details(Details {
            name: name.into(),
            group: rt.group.clone(),
            kind: rt.plural.clone(),
            ..Details::default()
        })
    }

    /// 404: no such object.
    #[must_use]
    pub fn not_found(rt: &ResourceType, name: &str) -> Self {
        let message = format!("{} \"{}\" not found", rt.group_resource(), escaped(name));
        Self::new(404, "NotFound", message).about(rt, name)
    }

    /// 404: nothing is served at this path.
    #[must_use]
    pub fn path_not_found() -> Self {
        Self::new(404, "NotFound", "the server could not find the requested resource")
            .details(Details::default())
    }

    /// 409: the name is taken.
    #[must_use]
    pub fn already_exists(rt: &ResourceType, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", rt.group_resource());
        Self::new(409, "AlreadyExists", message).about(rt, name)
    }

    /// 409: the name is taken by an object that waits for its finalizers.
    #[must_use]
    pub fn being_deleted(rt: &ResourceType, name: &str) -> Self {
        let what = rt.group_resource();
        let message = format!("object is being deleted: {what} \"{name}\" already exists");
        Self::new(409, "AlreadyExists", message).about(rt, name)
    }

    /// 409: `Operation cannot be fulfilled on …: MESSAGE`.
    #[must_use]
    pub fn conflict(rt: &ResourceType, name: &str, message: &str) -> Self {
        let what = rt.group_resource();
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {message}");
        Self::new(409, "Conflict", message).about(rt, name)
    }

    /// 409: others own fields that an apply would change, one cause each. Names no object, as upstream.
    #[must_use]
    pub fn apply_conflict(message: String, causes: Vec<Cause>) -> Self {
        Self::new(409, "Conflict", message).details(Details { causes, ..Details::default() })
    }

    /// 409: a precondition of a delete does not hold. Names the kind where others name the plural.
    #[must_use]
    pub fn precondition(rt: &ResourceType, name: &str, message: &str) -> Self {
        let what = rt.group_kind();
        let message = format!("Operation cannot be fulfilled on {what} \"{name}\": {message}");
        Self::new(409, "Conflict", message).details(Details {
            name: name.into(),
            group: rt.group.clone(),
            kind: rt.kind.clone(),
            ..Details::default()
        })
    }

    /// 409: the resourceVersion that the client sent is not the current one.
    #[must_use]
    pub fn modified(rt: &ResourceType, name: &str) -> Self {
        let text = "the object has been modified; please apply your changes to the latest version \
                    and try again";
        Self::conflict(rt, name, text)
    }

    /// 422: the object breaks its schema or rules. `causes` must not be empty.
    #[must_use]
    pub fn invalid(rt: &ResourceType, name: &str, causes: Vec<Cause>) -> Self {
        // Views are checked as what they are views of, and so they are called.
        let group = rt.view().map_or(rt.group.as_str(), |kind| kind.stored_in().0);
        Self::invalid_kind(group, &rt.kind, name, causes)
    }

    /// 422 on the request's own options: `kind` is `ListOptions`, `CreateOptions`, ….
    #[must_use]
    pub fn invalid_options(kind: &str, causes: Vec<Cause>) -> Self {
        Self::invalid_kind("meta.k8s.io", kind, "", causes)
    }

    /// 422 for any group and kind (a body may name another kind than the path).
    #[must_use]
    pub fn invalid_kind(group: &str, kind: &str, name: &str, causes: Vec<Cause>) -> Self {
        let one = |cause: &Cause| match cause.field.as_str() {
            "" => cause.message.clone(),
            field => format!("{field}: {}", cause.message),
        };
        // What was found twice is told once; the causes hold it as often as it was found.
        let mut texts: Vec<String> = Vec::with_capacity(causes.len());
        for text in causes.iter().map(one) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let text = match texts.as_slice() {
            [single] => single.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let what = if group.is_empty() { kind.to_owned() } else { format!("{kind}.{group}") };
        Self::new(422, "Invalid", format!("{what} \"{name}\" is invalid: {text}")).details(
            Details {
                name: name.into(),
                group: group.into(),
                kind: kind.into(),
                causes,
                retry_after_seconds: None,
            },
        )
    }

    /// 422 for a patch that cannot be applied.
    #[must_use]
    pub fn rejected() -> Self {
        let message = "the server rejected our request due to an error in our request";
        Self::new(422, "Invalid", message).details(Details::default())
    }

    /// 400.
    #[must_use]
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// 401.
    #[must_use]
    pub fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// 403: `RESOURCE "NAME" is forbidden: MESSAGE`. The name may be empty.
    #[must_use]
    pub fn forbidden(rt: &ResourceType, name: &str, message: &str) -> Self {
        let what = rt.group_resource();
        let subject = if name.is_empty() { what } else { format!("{what} \"{name}\"") };
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {message}")).about(rt, name)
    }

    /// 403 on a resource that may not be served at all: authorization comes first.
    #[must_use]
    pub fn forbidden_resource(group: &str, plural: &str, name: &str, message: &str) -> Self {
        let what = if group.is_empty() { plural.to_owned() } else { format!("{plural}.{group}") };
        let subject = if name.is_empty() { what } else { format!("{what} \"{name}\"") };
        let details = Details {
            name: name.into(),
            group: group.into(),
            kind: plural.into(),
            ..Details::default()
        };
        Self::new(403, "Forbidden", format!("{subject} is forbidden: {message}")).details(details)
    }

    /// 403 on a path that is no resource.
    #[must_use]
    pub fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
        Self::new(403, "Forbidden", message).details(Details::default())
    }

    /// 403: a create in a namespace that is being deleted.
    #[must_use]
    pub fn namespace_terminating(rt: &ResourceType, name: &str, namespace: &str) -> Self {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        let mut error = Self::forbidden(rt, name, &why);
        if let Some(details) = &mut error.0.details {
            details.causes.push(Cause {
                reason: CauseReason::NamespaceTerminating,
                field: "metadata.namespace".into(),
                message: format!("namespace {namespace} is being terminated"),
            });
        }
        error
    }

    /// 405: this method is never allowed at this path.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).details(Details::default())
    }

    /// 504: the server could not answer in time; what was asked may still be done.
    #[must_use]
    pub fn took_too_long() -> Self {
        let message = "request did not complete within the allotted timeout";
        Self::new(504, "Timeout", message).details(Details::default())
    }

    /// 501: known, and not to be had here.
    #[must_use]
    pub fn not_implemented(message: impl Into<String>) -> Self {
        Self::new(501, "NotImplemented", message)
    }

    /// 406: none of the client's representations can be served.
    #[must_use]
    pub fn not_acceptable(available: &[&str]) -> Self {
        let list = available.join(", ");
        let message = format!("only the following media types are accepted: {list}");
        Self::new(406, "NotAcceptable", message)
    }

    /// 406: the client names no media type that is known.
    #[must_use]
    pub fn nothing_acceptable(available: &[&str]) -> Self {
        let list = available.join(", ");
        let message = format!("406: Not Acceptable\n\nAvailable representations: {list}");
        Self::new(406, "NotAcceptable", message).details(Details::default())
    }

    /// 406 with a text of its own.
    #[must_use]
    pub fn not_acceptable_because(message: impl Into<String>) -> Self {
        Self::new(406, "NotAcceptable", message)
    }

    /// 410: history that was asked for is gone.
    #[must_use]
    pub fn gone_expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// 410 on an old continue token, carrying a token that goes on inconsistently.
    #[must_use]
    pub fn gone_continue(fresh_token: &str) -> Self {
        let mut error = Self::gone_expired(
            "The provided continue parameter is too old to display a consistent list result. You \
             can start a new list without the continue parameter, or use the continue token in \
             this response to retrieve the remainder of the results. Continuing with the provided \
             token results in an inconsistent list - objects that were created, modified, or \
             deleted between the time the first chunk was returned and now may show up in the \
             list.",
        );
        error.0.continue_token = Some(fresh_token.to_owned());
        error
    }

    /// 410 of a watch: `too old resource version: WANTED (OLDEST)`.
    #[must_use]
    pub fn too_old_resource_version(wanted: u64, oldest: u64) -> Self {
        Self::gone_expired(format!("too old resource version: {wanted} ({oldest})"))
    }

    /// 504: the wanted resourceVersion does not exist yet.
    #[must_use]
    pub fn timeout_too_large_rv(current: u64, wanted: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
        Self::new(504, "Timeout", message).details(Details {
            causes: vec![Cause {
                reason: CauseReason::ResourceVersionTooLarge,
                field: String::new(),
                message: "Too large resource version".into(),
            }],
            retry_after_seconds: Some(1),
            ..Details::default()
        })
    }

    /// 413: the body is over the limit.
    #[must_use]
    pub fn too_large(limit_bytes: u64) -> Self {
        let message = format!("Request entity too large: limit is {limit_bytes}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 413: a body of too many values, however small each is.
    #[must_use]
    pub fn too_many_parts(limit: u64) -> Self {
        let message = format!(
            "Request entity too large: limit is {limit} values; send it in several objects"
        );
        Self::new(413, "RequestEntityTooLarge", message)
    }

    /// 415: a body in a format that is not served here.
    #[must_use]
    pub fn unsupported_media_type(accepted: &[&str]) -> Self {
        let list = accepted.join(", ");
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {list}"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// 415: a PATCH whose body is no patch at all.
    #[must_use]
    pub fn no_patch_type() -> Self {
        let message = "415: Unsupported Media Type";
        Self::new(415, "UnsupportedMediaType", message).details(Details::default())
    }

    /// 429: try again later.
    #[must_use]
    pub fn too_many_requests(retry_after_seconds: u64) -> Self {
        let message = "too many requests, please try again later";
        Self::new(429, "TooManyRequests", message).details(Details {
            retry_after_seconds: Some(retry_after_seconds),
            ..Details::default()
        })
    }

    /// 429: a PodDisruptionBudget forbids the eviction now. `message` is its cause.
    #[must_use]
    pub fn disruption_budget(message: impl Into<String>, retry_after_seconds: Option<u64>) -> Self {
        let text = "Cannot evict pod as it would violate the pod's disruption budget.";
        let cause = Cause::new(CauseReason::DisruptionBudget, "", message.into());
        Self::new(429, "TooManyRequests", text).details(Details {
            causes: vec![cause],
            retry_after_seconds,
            ..Details::default()
        })
    }

    /// 401, 403, 413 or 422, as the `reason` of a ValidatingAdmissionPolicy says; anything but
    /// these four is 422. `message` names the policy.
    #[must_use]
    pub fn denied(rt: &ResourceType, name: &str, reason: &str, message: String) -> Self {
        let (code, reason) = match reason {
            "Unauthorized" => (401, "Unauthorized"),
            "Forbidden" => (403, "Forbidden"),
            "RequestEntityTooLarge" => (413, "RequestEntityTooLarge"),
            _ => (422, "Invalid"),
        };
        let what = rt.group_resource();
        let mut error =
            Self::new(code, reason, format!("{what} \"{name}\" is forbidden: {message}"))
                .about(rt, name);
        if let Some(details) = &mut error.0.details {
            details.causes.push(Cause::new(CauseReason::Unnamed, "", message));
        }
        error
    }

    /// 503: the server cannot serve now.
    #[must_use]
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(503, "ServiceUnavailable", message)
    }

    /// 500.
    #[must_use]
    pub fn internal(message: impl fmt::Display) -> Self {
        let text = format!("Internal error occurred: {message}");
        Self::new(500, "InternalError", text)
    }

    /// 500 with a bare text and no reason: how some refusals of real servers look.
    #[must_use]
    pub fn plain_500(message: impl Into<String>) -> Self {
        Self::new(500, "", message)
    }

    /// The HTTP status code.
    #[must_use]
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// The Status reason, as `NotFound`. Empty where upstream gives none.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.reason
    }

    /// All causes, in order.
    #[must_use]
    pub fn causes(&self) -> &[Cause] {
        self.0.details.as_ref().map_or(&[], |details| &details.causes)
    }

    /// What the `Retry-After` header should say.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.0.details.as_ref().and_then(|details| details.retry_after_seconds)
    }

    /// The `Status` object.
    #[must_use]
    pub fn body(&self) -> Value {
        let inner = &self.0;
        let mut metadata = Map::new();
        if let Some(token) = &inner.continue_token {
            metadata.insert("continue".into(), json!(token));
        }
        let mut out = json!({"kind": "Status", "apiVersion": "v1", "metadata": metadata,
            "status": "Failure", "message": inner.message, "code": inner.code});
        if !inner.reason.is_empty() {
            out["reason"] = json!(inner.reason);
        }
        if let Some(details) = &inner.details {
            out["details"] = details.body();
        }
        out
    }
}

impl Details {
    fn body(&self) -> Value {
        let mut out = Map::new();
        for (key, text) in [("name", &self.name), ("group", &self.group), ("kind", &self.kind)] {
            if !text.is_empty() {
                out.insert(key.into(), json!(text));
            }
        }
        if !self.causes.is_empty() {
            let causes: Vec<Value> = self.causes.iter().map(Cause::body).collect();
            out.insert("causes".into(), json!(causes));
        }
        if let Some(seconds) = self.retry_after_seconds {
            out.insert("retryAfterSeconds".into(), json!(seconds));
        }
        Value::Object(out)
    }
}

/// The Success `Status` that most deletes answer with.
#[must_use]
pub fn success(rt: &ResourceType, name: &str, uid: &str) -> Value {
    let mut details = json!({"name": name, "kind": rt.plural, "uid": uid});
    if !rt.group.is_empty() {
        details["group"] = json!(rt.group);
    }
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": details})
}

#[cfg(test)]
mod tests;
