//! Answers as Azure writes them: JSON, with errors in the form of the Resource Manager or in that of AKS.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::SettleError;
use crate::faults::FaultKind;

/// An answer that is no error.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) body: Option<Value>,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Answer {
    pub(super) fn ok(body: Value) -> Self {
        Self { status: StatusCode::OK, body: Some(body), headers: Vec::new() }
    }

    pub(super) fn empty(status: StatusCode) -> Self {
        Self { status, body: None, headers: Vec::new() }
    }

    /// A resource, with its ETag in the header, too.
    pub(super) fn resource(status: StatusCode, body: Value) -> Self {
        let etag = body["eTag"].as_str().or_else(|| body["properties"]["eTag"].as_str());
        let headers = etag.map(|etag| ("etag", format!("\"{etag}\""))).into_iter().collect();
        Self { status, body: Some(body), headers }
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// An error of Azure.
#[derive(Debug)]
pub(super) struct AzureError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) message: String,
    /// AKS itself writes errors without the Resource Manager's wrapper.
    of_aks: bool,
    headers: Vec<(&'static str, String)>,
    /// Instead of all that.
    body: Option<Value>,
}

impl AzureError {
    /// An error of the Resource Manager.
    pub(super) fn manager(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let message = message.into();
        Self { status, code, message, of_aks: false, headers: Vec::new(), body: None }
    }

    /// An error of AKS.
    pub(super) fn aks(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { of_aks: true, ..Self::manager(status, code, message) }
    }

    /// An error of Entra, with its whole body.
    pub(super) fn entra(status: StatusCode, code: &'static str, body: Value) -> Self {
        let message = body["error_description"].as_str().unwrap_or_default().to_owned();
        Self { body: Some(body), ..Self::manager(status, code, message) }
    }

    /// What can never be right.
    pub(super) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::aks(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn parameter(path: &str, reason: impl std::fmt::Display) -> Self {
        let message = format!("The value of parameter {path} is invalid: it {reason}.");
        Self::bad("InvalidParameter", message)
    }

    /// Something that cannot become anything else.
    pub(super) fn immutable(path: &str) -> Self {
        let message = format!("Changing property '{path}' is not allowed.");
        Self::bad("PropertyChangeNotAllowed", message)
    }

    /// Something else is under way.
    pub(super) fn busy(state: &str, what: &str) -> Self {
        let message = format!(
            "Operation is not allowed: Another operation ({state}) is in progress on {what}, please wait for it to \
             finish before starting a new operation. See https://aka.ms/aks-pending-operation for more details"
        );
        Self::aks(StatusCode::CONFLICT, "OperationNotAllowed", message)
    }

    /// An `If-Match` or `If-None-Match` that does not hold.
    pub(super) fn precondition(message: impl Into<String>) -> Self {
        Self::aks(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", message)
    }

    pub(super) fn no_cluster(group: &str, name: &str) -> Self {
        let message = format!(
            "The Resource 'Microsoft.ContainerService/managedClusters/{name}' under resource group '{group}' was not \
             found. For more details please go to https://aka.ms/ARMResourceNotFoundFix"
        );
        Self::manager(StatusCode::NOT_FOUND, "ResourceNotFound", message)
    }

    /// A part of a cluster that is not there.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::aks(StatusCode::NOT_FOUND, "NotFound", message)
    }

    pub(super) fn no_group(name: &str) -> Self {
        let message = format!("Resource group '{name}' could not be found.");
        Self::manager(StatusCode::NOT_FOUND, "ResourceGroupNotFound", message)
    }

    /// The call took effect, and nobody hears of it.
    pub(super) fn lost() -> Self {
        let message = "The gateway did not receive a response in time: the answer is lost, as the simulation was told.";
        Self::manager(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout", message)
    }

    /// A fault that keeps a call from having an effect. `scope` is the path of what was asked for.
    pub(super) fn faulty(kind: FaultKind, action: &str, scope: &str, oid: &str) -> Self {
        match kind {
            FaultKind::Quota => Self::bad(
                "QuotaExceeded",
                "Operation could not be completed as it results in exceeding approved standardDSv5Family Cores quota.",
            ),
            FaultKind::Denied => Self::manager(
                StatusCode::FORBIDDEN,
                "AuthorizationFailed",
                format!(
                    "The client '{oid}' with object id '{oid}' does not have authorization to perform action \
                     '{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please \
                     refresh your credentials."
                ),
            ),
            FaultKind::ExpiredCredentials => Self::unauthorized(
                "ExpiredAuthenticationToken",
                "The access token expiry UTC time is earlier than current UTC time.",
            ),
            _ => Self::manager(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequests",
                "The request is being throttled as the limit has been reached for this subscription.",
            )
            .with("retry-after", "1"),
        }
    }

    /// Whoever calls does not show a token that opens the Resource Manager.
    pub(super) fn unauthorized(code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        let challenge = format!(
            "Bearer authorization_uri=\"https://login.microsoftonline.com/{}\", error=\"invalid_token\", \
             error_description=\"{message}\"",
            crate::AZURE_TENANT_ID
        );
        Self::manager(StatusCode::UNAUTHORIZED, code, message).with("www-authenticate", challenge)
    }

    pub(super) fn server(source: SettleError) -> Self {
        Self::aks(StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError", source.in_full())
    }

    pub(super) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn answer(self) -> Answer {
        let Self { status, code, message, of_aks, headers, body } = self;
        let body = body.unwrap_or_else(|| {
            if of_aks {
                json!({ "code": code, "details": null, "message": message, "subcode": "" })
            } else {
                json!({ "error": { "code": code, "message": message } })
            }
        });
        Answer { status, body: Some(body), headers }
    }
}

/// The bytes of an answer.
pub(super) fn render(result: Result<Answer, AzureError>, request_id: &str) -> Response<Bytes> {
    let Answer { status, body, headers } = result.unwrap_or_else(AzureError::answer);
    let text = body.map(|body| body.to_string()).unwrap_or_default();
    let has_body = !text.is_empty();
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    let mut put = |name: &'static str, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    };
    if has_body {
        put("content-type", "application/json; charset=utf-8");
    }
    for name in ["x-ms-request-id", "x-ms-correlation-request-id"] {
        put(name, request_id);
    }
    for (name, value) in &headers {
        put(name, value);
    }
    response
}
