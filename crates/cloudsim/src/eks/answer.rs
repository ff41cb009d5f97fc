//! Answers as AWS writes them: REST-JSON with the kind of an error in `x-amzn-errortype` (EKS), XML (STS), or JSON with
//! the kind in `__type` (SSM).

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};

use crate::SettleError;
use crate::faults::FaultKind;
use crate::paths::without_nulls;
use crate::sigv4::Refusal;

/// How a service of AWS writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// EKS.
    RestJson,
    /// STS: form in, XML out.
    Query,
    /// SSM.
    Json,
}

impl Dialect {
    /// The service's name in the scope of a signature.
    pub(crate) fn service(self) -> &'static str {
        match self {
            Self::RestJson => "eks",
            Self::Query => "sts",
            Self::Json => "ssm",
        }
    }
}

/// An error of the service.
#[derive(Debug)]
pub(crate) struct EksError {
    pub(crate) code: &'static str,
    pub(crate) status: StatusCode,
    pub(crate) message: String,
    /// What it is about, by the names that errors have for it.
    about: Vec<(&'static str, String)>,
}

impl EksError {
    pub(crate) fn new(code: &'static str, status: StatusCode, message: impl Into<String>) -> Self {
        Self { code, status, message: message.into(), about: Vec::new() }
    }

    /// The name is taken, or the state does not allow it.
    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::new("ResourceInUseException", StatusCode::CONFLICT, message)
    }

    /// A value that can never be right.
    pub(crate) fn invalid_parameter(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", StatusCode::BAD_REQUEST, message)
    }

    /// A request that is not right in this state.
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self::new("InvalidRequestException", StatusCode::BAD_REQUEST, message)
    }

    /// More than the account may have.
    pub(crate) fn limit_exceeded(message: impl Into<String>) -> Self {
        Self::new("ResourceLimitExceededException", StatusCode::BAD_REQUEST, message)
    }

    /// There is no such thing.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new("ResourceNotFoundException", StatusCode::NOT_FOUND, message)
    }

    /// The cluster is not ready for its next version.
    pub(crate) fn not_ready(message: impl Into<String>) -> Self {
        Self::new("InvalidStateException", StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn no_cluster(name: &str) -> Self {
        Self::not_found(format!("No cluster found for name: {name}."))
    }

    pub(crate) fn no_nodegroup(name: &str) -> Self {
        Self::not_found(format!("No node group found for name: {name}."))
    }

    /// The call took effect, and nobody hears of it.
    pub(crate) fn lost() -> Self {
        let message = "the answer is lost, as the simulation was told";
        Self::new("GatewayTimeout", StatusCode::GATEWAY_TIMEOUT, message)
    }

    /// A fault that keeps a call from having an effect.
    pub(crate) fn faulty(kind: FaultKind, operation: &str, principal: &str) -> Self {
        match kind {
            FaultKind::Quota => {
                Self::limit_exceeded(format!("{operation}: the quota of this account is used up."))
            }
            FaultKind::Denied => {
                let message = format!(
                    "User: {principal} is not authorized to perform: {operation} because no \
                     identity-based policy allows the {operation} action"
                );
                Self::new("AccessDeniedException", StatusCode::FORBIDDEN, message)
            }
            FaultKind::ExpiredCredentials => Self::refused(Refusal::ExpiredToken),
            _ => Self::new("ThrottlingException", StatusCode::TOO_MANY_REQUESTS, "Rate exceeded"),
        }
    }

    /// The tagging operations have errors of their own.
    pub(crate) fn nothing_to_tag(arn: &str) -> Self {
        let message = format!("No resource found with ARN {arn}.");
        Self::new("NotFoundException", StatusCode::NOT_FOUND, message)
    }

    /// The tagging operations have errors of their own.
    pub(crate) fn bad_tagging(message: impl Into<String>) -> Self {
        Self::new("BadRequestException", StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unsupported(operation: &str) -> Self {
        let message = format!(
            "{operation} is not simulated: the simulated EKS has no outposts, connectors, capabilities, identity \
             providers and certificate authorities."
        );
        Self::new("UnsupportedOperationException", StatusCode::BAD_REQUEST, message)
    }

    pub(crate) fn unknown_operation(method: &str, path: &str) -> Self {
        let message = format!("{method} {path} is no operation of EKS.");
        Self::new("UnknownOperationException", StatusCode::NOT_FOUND, message)
    }

    pub(crate) fn server(source: SettleError) -> Self {
        Self::new("ServerException", StatusCode::INTERNAL_SERVER_ERROR, source.in_full())
    }

    pub(crate) fn refused(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::Missing => "MissingAuthenticationTokenException",
            Refusal::Incomplete(_) => "IncompleteSignatureException",
            Refusal::ExpiredToken => "ExpiredTokenException",
            Refusal::UnknownKey => "UnrecognizedClientException",
            Refusal::Expired { .. } | Refusal::Mismatch => "InvalidSignatureException",
        };
        Self::new(code, StatusCode::FORBIDDEN, refusal.to_string())
    }

    pub(crate) fn wrong_scope(message: impl Into<String>) -> Self {
        Self::new("InvalidSignatureException", StatusCode::FORBIDDEN, message)
    }

    /// Names what the error is about, as `clusterName`.
    pub(crate) fn about(mut self, field: &'static str, name: Option<&str>) -> Self {
        self.about.extend(name.map(|name| (field, name.to_owned())));
        self
    }

    /// STS has its own names for the same errors.
    fn code_in(&self, dialect: Dialect) -> &'static str {
        match (dialect, self.code) {
            (Dialect::Query, "MissingAuthenticationTokenException") => "MissingAuthenticationToken",
            (Dialect::Query, "IncompleteSignatureException") => "IncompleteSignature",
            (Dialect::Query, "UnrecognizedClientException") => "InvalidClientTokenId",
            (Dialect::Query, "InvalidSignatureException") => "SignatureDoesNotMatch",
            (Dialect::Query, "ExpiredTokenException") => "ExpiredToken",
            (Dialect::Query, "AccessDeniedException") => "AccessDenied",
            (Dialect::Query, "ThrottlingException") => "Throttling",
            (Dialect::Query, "ServerException") => "InternalFailure",
            (_, code) => code,
        }
    }

    /// The body of the answer. `about` is EKS's alone.
    fn body(self, dialect: Dialect, request_id: &str) -> String {
        let code = self.code_in(dialect);
        match dialect {
            Dialect::RestJson => {
                let mut body = json!({ "message": self.message });
                for (field, name) in self.about {
                    if names_in(self.code).contains(&field) {
                        body[field] = Value::String(name);
                    }
                }
                body.to_string()
            }
            Dialect::Json => json!({ "__type": code, "message": self.message }).to_string(),
            Dialect::Query => format!(
                "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><Error><Type>Sender</Type>\
                 <Code>{code}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
                escaped(&self.message)
            ),
        }
    }
}

/// What an error of EKS may say it is about, by the model.
fn names_in(code: &str) -> &'static [&'static str] {
    match code {
        "ClientException"
        | "InvalidParameterException"
        | "InvalidRequestException"
        | "ResourceInUseException"
        | "ResourceNotFoundException"
        | "ServerException" => &["clusterName", "nodegroupName", "addonName"],
        "ResourceLimitExceededException" => &["clusterName", "nodegroupName"],
        "InvalidStateException" | "ThrottlingException" => &["clusterName"],
        _ => &[],
    }
}

/// Text as XML holds it.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A part of a configuration as EKS answers it: without what was not said.
pub(crate) fn wire<T: Serialize>(part: &T) -> Value {
    without_nulls(serde_json::to_value(part).unwrap_or_default())
}

/// Seconds since 1970 with milliseconds, the form of times in REST-JSON.
#[allow(clippy::cast_precision_loss, reason = "milliseconds of this millennium fit")]
pub(crate) fn seconds(at: jiff::Timestamp) -> f64 {
    at.as_millisecond() as f64 / 1000.0
}

/// The bytes of an answer. What STS answers is a string, already XML.
pub(crate) fn render(
    result: Result<Value, EksError>,
    dialect: Dialect,
    request_id: &str,
) -> Response<Bytes> {
    let (status, code, body) = match result {
        Ok(Value::String(xml)) => (StatusCode::OK, None, xml),
        Ok(body) => (StatusCode::OK, None, body.to_string()),
        Err(error) => {
            let (status, code) = (error.status, error.code_in(dialect));
            (status, Some(code), error.body(dialect, request_id))
        }
    };
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = match dialect {
        Dialect::RestJson => "application/json",
        Dialect::Query => "text/xml",
        Dialect::Json => "application/x-amz-json-1.1",
    };
    headers.insert("content-type", HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", id);
    }
    if let Some(code) = code {
        headers.insert("x-amzn-errortype", HeaderValue::from_static(code));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_words_for_an_expired_session() {
        let said = |dialect| {
            let error = EksError::faulty(FaultKind::ExpiredCredentials, "X", "me");
            error.body(dialect, "r")
        };
        let expired = "The security token included in the request is expired";
        assert_eq!(said(Dialect::RestJson), format!("{{\"message\":\"{expired}\"}}"));
        let json = said(Dialect::Json);
        assert!(json.contains(r#""__type":"ExpiredTokenException""#), "{json}");
        let xml = said(Dialect::Query);
        assert!(xml.contains("<Code>ExpiredToken</Code>"), "{xml}");
    }
}
