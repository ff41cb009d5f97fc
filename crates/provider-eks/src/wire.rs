//! Wire JSON through the AWS SDK: what goes over the wire is exactly what was planned, and answers come back whole.
//!
//! The SDK gives path, endpoint, signature, errors and request ids. Its types would drop what it does not know and add
//! nothing we need, so an interceptor puts our bytes into the request before it is signed, and keeps those of the answer.

mod calls;

use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_eks::Client;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextMut,
};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::config_bag::ConfigBag;
use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, wire_request};
use serde_json::{Map, Value};

use crate::error::Call;

/// A list of EKS ends well before this many pages.
const PAGES_LIMIT: usize = 500;
/// What EKS answered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Answer {
    /// The whole body.
    pub(crate) body: Value,
    /// EKS's id of the request.
    pub(crate) request_id: Option<String>,
}

/// Our bytes in, EKS's bytes out.
#[derive(Debug, Clone, Default)]
struct Raw {
    body: Option<Bytes>,
    answer: Arc<Mutex<Option<Kept>>>,
}

/// The bytes of an answer, and the id of its request.
type Kept = (Bytes, Option<String>);

impl Intercept for Raw {
    fn name(&self) -> &'static str {
        "wire JSON"
    }

    fn modify_before_signing(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(body) = &self.body {
            let request = context.request_mut();
            request.headers_mut().insert("content-type", "application/json");
            request.headers_mut().insert("content-length", body.len().to_string());
            *request.body_mut() = SdkBody::from(body.clone());
        }
        Ok(())
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        let id = response.headers().get("x-amzn-requestid").map(str::to_owned);
        let body = response.body().bytes().map(Bytes::copy_from_slice).unwrap_or_default();
        *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some((body, id));
        Ok(())
    }
}

/// The body of a request: its input without what goes into the path; `None` where a call has none.
fn body(operation: &str, input: &Value) -> Option<Bytes> {
    // Of what reads, this one alone has a body.
    let reads = operation.starts_with("Describe") || operation.starts_with("List");
    let bodiless = (reads && operation != "ListInsights")
        || operation.starts_with("Delete")
        || matches!(operation, "DisassociateAccessPolicy" | "UntagResource");
    if bodiless {
        return None;
    }
    let Value::Object(map) = wire_request(input) else {
        return Some(Bytes::from_static(b"{}"));
    };
    let labels = calls::labels(operation);
    let kept: Map<String, Value> =
        map.into_iter().filter(|(key, _)| !labels.contains(&key.as_str())).collect();
    Some(Bytes::from(Value::Object(kept).to_string()))
}

/// Sends one request. `input` is the whole input of the operation, in botocore's spelling.
pub(crate) async fn send(
    client: &Client,
    call: &Call<'_>,
    input: &Value,
) -> Result<Answer, CloudError> {
    let raw = Raw { body: body(call.operation, input), answer: Arc::default() };
    calls::send(client, call, (input, &raw)).await?;
    let (bytes, request_id) =
        raw.answer.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    if bytes.is_empty() {
        return Ok(Answer { body: Value::Object(Map::new()), request_id });
    }
    match serde_json::from_slice(&bytes) {
        Ok(body @ Value::Object(_)) => Ok(Answer { body, request_id }),
        Ok(_) => Err(call.error(Class::Unknown, "Unreadable", "EKS gave no JSON object")),
        Err(error) => {
            let words = format!("EKS gave no JSON: {error}");
            Err(call.error(Class::Unknown, "Unreadable", &words))
        }
    }
}

/// What EKS has under these names; `None`: it says that there is none.
pub(crate) async fn find(
    client: &Client,
    call: &Call<'_>,
    (input, key): (&Value, &str),
) -> Result<Option<Value>, CloudError> {
    match send(client, call, input).await {
        Ok(mut answer) if answer.body[key].is_object() => Ok(Some(answer.body[key].take())),
        Ok(_) => Err(call.error(
            Class::Unknown,
            "Unreadable",
            &format!("EKS gave an answer without {key}; we look again"),
        )),
        Err(error) if error.code == "NotFound" => Ok(None),
        Err(error) => Err(error),
    }
}

/// All pages of a list.
pub(crate) async fn list(
    client: &Client,
    call: &Call<'_>,
    (input, key): (&Value, &str),
) -> Result<Vec<Value>, CloudError> {
    let mut input = input.clone();
    let mut found = Vec::new();
    for _ in 0..PAGES_LIMIT {
        let mut answer = send(client, call, &input).await?;
        if let Value::Array(page) = answer.body[key].take() {
            found.extend(page);
        }
        match answer.body["nextToken"].take() {
            Value::String(token) if !token.is_empty() => input["nextToken"] = Value::String(token),
            _ => return Ok(found),
        }
    }
    Err(call.error(Class::Unknown, "Unreadable", "the list does not end; we look again"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_in_the_path_and_notes_of_ours_are_not_in_the_body() {
        let input =
            json!({"clusterName": "a", "nodegroupName": "b", "version": "1.34", "_image": "x"});
        let text = |operation| {
            body(operation, &input).map(|body| String::from_utf8_lossy(&body).into_owned())
        };
        assert_eq!(text("UpdateNodegroupVersion").as_deref(), Some(r#"{"version":"1.34"}"#));
        assert_eq!(
            text("CreateNodegroup").as_deref(),
            Some(r#"{"nodegroupName":"b","version":"1.34"}"#)
        );
        assert_eq!(text("DeleteNodegroup"), None);
        assert_eq!(text("DescribeNodegroup"), None);
    }
}
