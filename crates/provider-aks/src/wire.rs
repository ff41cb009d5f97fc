//! Azure's own JSON over the operations of `azure_mgmt_containerservice`: what goes over the wire is exactly what was planned,
//! and answers come back whole.
//!
//! The crate gives paths, verbs and queries. Its API version is past its end, its types would drop what they do not know, it
//! hides the headers of long-running operations and retries writes; so [`calls`] lets it build a request and no more, and
//! this module sends: at [`API_VERSION`], with our body, our token and our preconditions. The crate never sees a token.

mod calls;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, HttpOut, retry_after};
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, IF_MATCH,
    IF_NONE_MATCH, LOCATION, RETRY_AFTER, USER_AGENT,
};
use http::{Method, Request, Response};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tower::ServiceExt as _;

use crate::cloud::is_below;
use crate::credentials::Tokens;
use crate::error::{Call, Refusal, answer_error, timeout, unreadable, way_out_error};

/// The API version of every request: generally available, and checkable against its published schema.
pub(crate) const API_VERSION: &str = "2026-03-01";
/// How long one request may take. Resource Manager's own gateway gives up at 60 s; most answers take a second or two.
pub(crate) const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// A list ends well before this many pages.
const PAGES_LIMIT: usize = 200;
/// Where Azure tells how an operation goes on.
const ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-request-id");
const CORRELATION_ID: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");
const AGENT: &str = concat!("fleetwright/", env!("CARGO_PKG_VERSION"));

/// Azure Resource Manager, as one account reaches it.
#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) http: HttpOut,
    pub(crate) tokens: Arc<Tokens>,
    /// For a `Retry-After` that is a date.
    pub(crate) clock: Arc<dyn Clock>,
    /// What a token for it is asked for.
    pub(crate) scope: String,
    /// Where it is, without a slash at the end.
    pub(crate) endpoint: String,
    /// Everywhere it may be: links in answers are followed only there.
    pub(crate) trusted: Vec<String>,
}

/// What a request is about, beyond its call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ask<'a> {
    /// The whole body, in Azure's spelling.
    pub(crate) body: Option<&'a Value>,
    /// On what condition Azure shall act.
    pub(crate) only: Only<'a>,
}

/// On what condition Azure shall act (RFC 9110, section 13).
#[derive(Debug, Clone, Copy, Default)]
pub(crate) enum Only<'a> {
    /// On none.
    #[default]
    Always,
    /// There is nothing of this name yet.
    IfAbsent,
    /// It is still what this ETag stands for.
    IfSame(&'a str),
}

/// What Azure answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The whole body; `Null` when there is none.
    pub(crate) body: Value,
    /// Azure's id of the request.
    pub(crate) request_id: Option<String>,
    /// Where to ask how the operation goes on.
    pub(crate) follow: Option<Follow>,
    /// How long Azure wants to be left alone.
    pub(crate) retry_after: Option<Duration>,
}

/// Where to ask how an operation goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Follow {
    pub(crate) url: String,
    pub(crate) kind: FollowKind,
}

/// Azure's two ways to tell how an operation goes on ("Track asynchronous Azure operations").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowKind {
    /// `Azure-AsyncOperation`: a document with a status.
    AsyncOperation,
    /// `Location`: 202 until it is done.
    Location,
}

/// A method and a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    method: Method,
    url: String,
}

/// Sends one call.
///
/// # Errors
/// What Azure or the way to it said against it, classified.
pub(crate) async fn send(arm: &Arm, call: &Call<'_>, ask: Ask<'_>) -> Result<Answer, CloudError> {
    let target = calls::target(arm, call).await?;
    let answer = exchange(arm, call, (&target, ask)).await?;
    check(call, answer, ask)
}

/// What is there under the names of `call`; `None`: Azure says by name that there is nothing. A 404 alone does not say so: any
/// server gives one for what it does not know.
///
/// # Errors
/// As [`send`].
pub(crate) async fn find(arm: &Arm, call: &Call<'_>) -> Result<Option<Value>, CloudError> {
    match send(arm, call, Ask::default()).await {
        Ok(Answer { body: body @ Value::Object(_), .. }) => Ok(Some(body)),
        Ok(_) => Err(unreadable(call, "an answer that is no JSON object")),
        // Without its group a resource is not there either.
        Err(error) if matches!(error.code, "NotFound" | "ResourceGroupNotFound") => Ok(None),
        Err(error) => Err(error),
    }
}

/// All pages of a list.
///
/// # Errors
/// As [`send`]; also when a page is nowhere that we follow to.
pub(crate) async fn list(arm: &Arm, call: &Call<'_>) -> Result<Vec<Value>, CloudError> {
    let mut target = calls::target(arm, call).await?;
    let mut found = Vec::new();
    for _ in 0..PAGES_LIMIT {
        let answer = exchange(arm, call, (&target, Ask::default())).await?;
        let mut answer = check(call, answer, Ask::default())?;
        let Value::Array(page) = answer.body["value"].take() else {
            return Err(unreadable(call, "a list without value"));
        };
        found.extend(page);
        match answer.body["nextLink"].take() {
            Value::String(next) if next.is_empty() => return Ok(found),
            Value::String(next) if is_below(&next, &arm.trusted) => {
                target = Target { method: Method::GET, url: next };
            }
            Value::String(_) => {
                let words = "a next page that is not at Azure Resource Manager";
                return Err(unreadable(call, words));
            }
            _ => return Ok(found),
        }
    }
    Err(unreadable(call, "a list that does not end"))
}

/// Asks a URL that an earlier answer gave. The status is not judged: how an operation failed is told by a success.
///
/// # Errors
/// When there is no answer, or when the URL is nowhere that we follow to.
pub(crate) async fn follow(arm: &Arm, call: &Call<'_>, url: &str) -> Result<Answer, CloudError> {
    if !is_below(url, &arm.trusted) {
        return Err(unreadable(call, "a link that does not lead to Azure Resource Manager"));
    }
    let target = Target { method: Method::GET, url: url.to_owned() };
    exchange(arm, call, (&target, Ask::default())).await
}

fn check(call: &Call<'_>, answer: Answer, ask: Ask<'_>) -> Result<Answer, CloudError> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    Err(refused(call, &answer, ask.only))
}

/// An answer that is no success as an error.
pub(crate) fn refused(call: &Call<'_>, answer: &Answer, only: Only<'_>) -> CloudError {
    answer_error(
        call,
        Refusal {
            status: answer.status,
            body: &answer.body,
            request_id: answer.request_id.as_deref(),
            retry_after: answer.retry_after,
            if_absent: matches!(only, Only::IfAbsent),
        },
    )
}

/// One request and its answer. A token that Azure does not take any more is dropped, and a held one replaced once: a 401 had
/// no effect.
async fn exchange(
    arm: &Arm,
    call: &Call<'_>,
    (target, ask): (&Target, Ask<'_>),
) -> Result<Answer, CloudError> {
    let (token, fresh) = arm.tokens.get(&arm.scope).await?;
    let answer = once(arm, call, (target, ask, token.secret.expose())).await?;
    if answer.status != 401 {
        return Ok(answer);
    }
    arm.tokens.forget();
    if fresh {
        return Ok(answer);
    }
    let (token, _) = arm.tokens.get(&arm.scope).await?;
    once(arm, call, (target, ask, token.secret.expose())).await
}

async fn once(
    arm: &Arm,
    call: &Call<'_>,
    (target, ask, token): (&Target, Ask<'_>, &str),
) -> Result<Answer, CloudError> {
    let request = request(target, ask, token)
        .map_err(|source| call.error(Class::Bug, "NotSent", &format!("{source}; report this")))?;
    let sent = tokio::time::timeout(ATTEMPT_TIMEOUT, arm.http.clone().oneshot(request)).await;
    match sent {
        Ok(Ok(answer)) => read(call, &answer, arm.clock.now()),
        Ok(Err(error)) => Err(way_out_error(call, &error)),
        Err(_elapsed) => Err(timeout(call)),
    }
}

fn request(target: &Target, ask: Ask<'_>, token: &str) -> Result<Request<Bytes>, http::Error> {
    let mut bearer = HeaderValue::try_from(format!("Bearer {token}"))?;
    bearer.set_sensitive(true);
    let mut request = Request::builder()
        .method(target.method.clone())
        .uri(&target.url)
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, AGENT)
        .header(AUTHORIZATION, bearer);
    match ask.only {
        Only::Always => {}
        Only::IfAbsent => request = request.header(IF_NONE_MATCH, "*"),
        Only::IfSame(etag) => request = request.header(IF_MATCH, quoted(etag)),
    }
    if let Some(body) = ask.body {
        request = request.header(CONTENT_TYPE, "application/json");
        return request.body(Bytes::from(body.to_string()));
    }
    if target.method == Method::POST {
        // Azure answers 411 without.
        request = request.header(CONTENT_LENGTH, "0");
    }
    request.body(Bytes::new())
}

/// As Azure's own clients send an ETag from a body: quoted, if it is not.
fn quoted(etag: &str) -> String {
    if etag.starts_with('"') || etag.starts_with("W/") || etag == "*" {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}

fn read(call: &Call<'_>, answer: &Response<Bytes>, now: Timestamp) -> Result<Answer, CloudError> {
    let header = |name: &HeaderName| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    let status = answer.status().as_u16();
    let body = if answer.body().is_empty() {
        Value::Null
    } else {
        match serde_json::from_slice(answer.body()) {
            Ok(body) => body,
            // A gateway's own page: its status says enough.
            Err(_) if status >= 400 => Value::Object(Map::new()),
            Err(error) => return Err(unreadable(call, &format!("no JSON ({error})"))),
        }
    };
    let asynchronous =
        header(&ASYNC_OPERATION).map(|url| Follow { url, kind: FollowKind::AsyncOperation });
    let follow = asynchronous
        .or_else(|| header(&LOCATION).map(|url| Follow { url, kind: FollowKind::Location }));
    Ok(Answer {
        status,
        body,
        request_id: header(&REQUEST_ID).or_else(|| header(&CORRELATION_ID)),
        follow,
        retry_after: header(&RETRY_AFTER).and_then(|text| retry_after(&text, now)),
    })
}

/// The ETag of a cluster or an agent pool.
pub(crate) fn etag(found: &Value) -> Option<&str> {
    let tag = found["eTag"].as_str().or(found["properties"]["eTag"].as_str());
    tag.filter(|tag| !tag.is_empty())
}
