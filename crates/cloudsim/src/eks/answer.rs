//! Answers as EKS writes them: REST-JSON, the kind of an error in `x-amzn-errortype`.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::{Value, json};

use crate::SettleError;
use crate::sigv4::Refusal;

/// An error of the service.
#[derive(Debug)]
pub(super) struct EksError {
    pub(super) code: &'static str,
    pub(super) status: StatusCode,
    pub(super) message: String,
    cluster: Option<String>,
    nodegroup: Option<String>,
}

impl EksError {
    fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), cluster: None, nodegroup: None }
    }

    /// The name is taken, or the state does not allow it.
    pub(super) fn in_use(message: impl Into<String>) -> Self {
        Self::new("ResourceInUseException", StatusCode::CONFLICT, message)
    }

    /// A value that can never be right.
    pub(super) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", StatusCode::BAD_REQUEST, message)
    }

    /// A request that is not right in this state.
    pub(super) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", StatusCode::BAD_REQUEST, message)
    }

    /// More than the account may have.
    pub(super) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new("ResourceLimitExceededException", StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn no_cluster(name: &str) -> Self {
        let message = format!("No cluster found for name: {name}.");
        Self::new("ResourceNotFoundException", StatusCode::NOT_FOUND, message).of_cluster(name)
    }

    pub(super) fn no_nodegroup(cluster: &str, name: &str) -> Self {
        let message = format!("No node group found for name: {name}.");
        let error = Self::new("ResourceNotFoundException", StatusCode::NOT_FOUND, message);
        error.of_cluster(cluster).of_nodegroup(name)
    }

    /// The tagging operations have errors of their own.
    pub(super) fn nothing_to_tag(arn: &str) -> Self {
        let message = format!("No resource found with ARN {arn}.");
        Self::new("NotFoundException", StatusCode::NOT_FOUND, message)
    }

    /// The tagging operations have errors of their own.
    pub(super) fn bad_tagging(message: impl Into<String>) -> Self {
        Self::new("BadRequestException", StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unsupported(operation: &str) -> Self {
        let message = format!(
            "{operation} is not simulated: the simulated EKS knows clusters, node groups and tags only."
        );
        Self::new("UnsupportedOperationException", StatusCode::BAD_REQUEST, message)
    }

    pub(super) fn unknown_operation(method: &str, path: &str) -> Self {
        let message = format!("{method} {path} is no operation of EKS.");
        Self::new("UnknownOperationException", StatusCode::NOT_FOUND, message)
    }

    pub(super) fn server(source: SettleError) -> Self {
        // An answer has no chain of sources, so all of it becomes the message.
        let mut message = source.to_string();
        let mut cause = std::error::Error::source(&source);
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        Self::new("ServerException", StatusCode::INTERNAL_SERVER_ERROR, message)
    }

    pub(super) fn refused(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Missing => "MissingAuthenticationTokenException",
            Refusal::Incomplete(_) => "IncompleteSignatureException",
            Refusal::UnknownKey => "UnrecognizedClientException",
            Refusal::Expired { .. } | Refusal::Mismatch => "InvalidSignatureException",
        };
        Self::new(code, StatusCode::FORBIDDEN, refusal.to_string())
    }

    pub(super) fn wrong_scope(message: impl Into<String>) -> Self {
        Self::new("InvalidSignatureException", StatusCode::FORBIDDEN, message)
    }

    pub(super) fn of_cluster(mut self, name: &str) -> Self {
        self.cluster = Some(name.to_owned());
        self
    }

    pub(super) fn of_nodegroup(mut self, name: &str) -> Self {
        self.nodegroup = Some(name.to_owned());
        self
    }
}

/// The bytes of an answer.
pub(super) fn render(result: Result<Value, EksError>, request_id: &str) -> Response<Bytes> {
    let (status, code, body) = match result {
        Ok(body) => (StatusCode::OK, None, body),
        Err(error) => {
            let mut body = json!({ "message": error.message });
            if let Some(cluster) = error.cluster {
                body["clusterName"] = Value::String(cluster);
            }
            if let Some(nodegroup) = error.nodegroup {
                body["nodegroupName"] = Value::String(nodegroup);
            }
            (error.status, Some(error.code), body)
        }
    };
    let mut response = Response::new(Bytes::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static("application/json"));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    response
}
