//! What a request asks for: the path, the method and the query options.
//!
//! Queries are read as leniently as real servers read them (recorded against 1.36): empty pairs
//! and broken percent escapes are skipped, `watch=maybe` is true, a negative limit is none.

use percent_encoding::percent_decode_str;

use crate::status::ApiError;

mod options;

pub use fleetwright_apiserver_apply::manager_of_user_agent;
pub(crate) use options::propagation;
pub use options::{FieldValidation, Options, Propagation, VersionMatch};

/// What is done to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// One object.
    Get,
    /// A collection.
    List,
    /// Changes to a collection.
    Watch,
    /// POST.
    Create,
    /// PUT.
    Update,
    /// PATCH.
    Patch,
    /// DELETE of one object.
    Delete,
    /// DELETE of a collection.
    DeleteCollection,
}

impl Verb {
    /// As in discovery and in RBAC: `deletecollection`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }

    /// The kind of options that error texts name.
    fn options_kind(self) -> &'static str {
        match self {
            Self::Get => "GetOptions",
            Self::List | Self::Watch => "ListOptions",
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch => "PatchOptions",
            Self::Delete | Self::DeleteCollection => "DeleteOptions",
        }
    }
}

/// A request to a resource. Names are percent-decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestInfo {
    /// What is done.
    pub verb: Verb,
    /// API group; empty for the core group.
    pub group: String,
    /// Version.
    pub version: String,
    /// Plural name.
    pub resource: String,
    /// Namespace in the path. None for a namespace object itself.
    pub namespace: Option<String>,
    /// Object name in the path.
    pub name: Option<String>,
    /// As `status`.
    pub subresource: Option<String>,
}

/// What answers a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// A resource.
    Resource(RequestInfo),
    /// One of the discovery documents.
    Discovery(Discovery),
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`.
    OpenApiIndex,
    /// `/openapi/v3/apis/GROUP/VERSION`.
    OpenApi {
        /// Group; empty for the core group.
        group: String,
        /// Version.
        version: String,
    },
    /// `/.well-known/openid-configuration`.
    Issuer,
    /// `/openid/v1/jwks`.
    IssuerKeys,
    /// `/version`.
    Version,
    /// `healthz`, `livez` or `readyz`.
    Health(&'static str),
    /// `/`: the list of paths.
    Root,
    /// A path with a broken escape: a plain-text 400.
    Malformed,
    /// Nothing: a plain-text 404.
    Unknown,
}

/// A discovery document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Discovery {
    /// `/api`.
    CoreVersions,
    /// `/apis`.
    Groups,
    /// `/apis/GROUP`.
    Group(String),
    /// `/api/v1` or `/apis/GROUP/VERSION`.
    Resources {
        /// Group; empty for the core group.
        group: String,
        /// Version.
        version: String,
    },
}

/// Finds out what a method, path (still percent-encoded) and query ask for.
///
/// # Errors
/// 404 for paths below `/api` that are no resource, 405 for methods that make no sense there,
/// 400 for names like `..`.
pub fn route(method: &str, path: &str, query: &str) -> Result<Route, ApiError> {
    if has_broken_escape(path) {
        return Ok(Route::Malformed);
    }
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let segments = match segments.as_slice() {
        [head @ .., ""] => head,
        all => all,
    };
    let owned = |text: &str| text.to_owned();
    let route = match segments {
        [] => Route::Root,
        _ if path.starts_with("//") => return Ok(Route::Unknown),
        ["version"] => Route::Version,
        ["healthz", ..] => Route::Health("healthz"),
        ["livez", ..] => Route::Health("livez"),
        ["readyz", ..] => Route::Health("readyz"),
        [".well-known", "openid-configuration"] => Route::Issuer,
        ["openid", "v1", "jwks"] => Route::IssuerKeys,
        ["openapi", "v2"] => Route::OpenApiV2,
        ["openapi", "v3"] => Route::OpenApiIndex,
        ["openapi", "v3", "api", version] => {
            Route::OpenApi { group: String::new(), version: owned(version) }
        }
        ["openapi", "v3", "apis", group, version] => {
            Route::OpenApi { group: owned(group), version: owned(version) }
        }
        ["api"] => Route::Discovery(Discovery::CoreVersions),
        ["apis"] => Route::Discovery(Discovery::Groups),
        ["apis", group] => Route::Discovery(Discovery::Group(owned(group))),
        ["api", version] => {
            Route::Discovery(Discovery::Resources { group: String::new(), version: owned(version) })
        }
        ["apis", group, version] => {
            Route::Discovery(Discovery::Resources { group: owned(group), version: owned(version) })
        }
        ["api", version, rest @ ..] => return resource(method, ["", version], rest, query),
        ["apis", group, version, rest @ ..] => {
            return resource(method, [group, version], rest, query);
        }
        _ => return Ok(Route::Unknown),
    };
    if method == "GET" { Ok(route) } else { Err(ApiError::method_not_allowed()) }
}

fn resource(
    method: &str,
    [group, version]: [&str; 2],
    rest: &[&str],
    query: &str,
) -> Result<Route, ApiError> {
    let decoded: Option<Vec<String>> = rest.iter().map(|segment| decode(segment)).collect();
    let decoded = decoded.ok_or_else(|| ApiError::bad_request("invalid escape in the path"))?;
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    if parts.iter().any(|part| part.is_empty() || part.contains('/')) || rest.contains(&"..") {
        return Err(ApiError::path_not_found());
    }
    // Upstream still serves `/watch/` before a path, the form before `?watch=true`.
    let (legacy, parts) = match parts.as_slice() {
        ["watch", rest @ ..] if method == "GET" && !rest.is_empty() => (true, rest),
        all => (false, all),
    };
    // /namespaces/NAME/status is about the namespace; /namespaces/NAME/secrets is not.
    let (namespace, parts) = match parts {
        ["namespaces", _] | ["namespaces", _, "status" | "finalize"] => (None, parts),
        ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
        all => (None, all),
    };
    let (resource, name, subresource) = match parts {
        [resource] => (*resource, None, None),
        [resource, name] => (*resource, Some(*name), None),
        [resource, name, sub] => (*resource, Some(*name), Some(*sub)),
        _ => return Err(ApiError::path_not_found()),
    };
    if let Some(dots @ ("." | "..")) = name {
        let message = format!("Name parameter invalid: \"{dots}\": may not be '{dots}'");
        return Err(ApiError::bad_request(message));
    }
    let verb = match legacy {
        true if subresource.is_some() => return Err(ApiError::path_not_found()),
        true => Verb::Watch,
        false => verb(method, name.is_some(), subresource.is_some(), query)?,
    };
    Ok(Route::Resource(RequestInfo {
        verb,
        group: group.to_owned(),
        version: version.to_owned(),
        resource: resource.to_owned(),
        namespace: namespace.map(str::to_owned),
        name: name.map(str::to_owned),
        subresource: subresource.map(str::to_owned),
    }))
}

fn verb(method: &str, named: bool, sub: bool, query: &str) -> Result<Verb, ApiError> {
    let watch = || pairs(query).iter().any(|(key, value)| key == "watch" && truthy(value));
    match (method, named) {
        ("GET", true) => Ok(Verb::Get),
        ("GET", false) if watch() => Ok(Verb::Watch),
        ("GET", false) => Ok(Verb::List),
        ("POST", named) if named == sub => Ok(Verb::Create),
        ("PUT", true) => Ok(Verb::Update),
        ("PATCH", true) => Ok(Verb::Patch),
        ("DELETE", true) => Ok(Verb::Delete),
        ("DELETE", false) => Ok(Verb::DeleteCollection),
        _ => Err(ApiError::method_not_allowed()),
    }
}

/// None on an escape that is no escape, as `%zz`.
fn decode(segment: &str) -> Option<String> {
    if has_broken_escape(segment) {
        return None;
    }
    percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

/// The query's pairs, decoded. Pairs that cannot be read, or hold a `;`, are skipped.
fn pairs(query: &str) -> Vec<(String, String)> {
    let one = |pair: &str| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let read = |text: &str| decode(&text.replace('+', " "));
        (!pair.is_empty() && !pair.contains(';')).then(|| Some((read(key)?, read(value)?)))?
    };
    query.split('&').filter_map(one).collect()
}

fn has_broken_escape(text: &str) -> bool {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_hexdigit);
    let broken = |(at, byte): (usize, &u8)| *byte == b'%' && !(hex(at + 1) && hex(at + 2));
    bytes.iter().enumerate().any(broken)
}

/// Everything but `false` and `0` counts as true.
fn truthy(value: &str) -> bool {
    !matches!(value.to_lowercase().as_str(), "false" | "0")
}

#[cfg(test)]
mod tests;
