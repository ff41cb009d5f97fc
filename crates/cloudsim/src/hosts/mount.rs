//! Hosts over HTTP, for another process of the same machine: its verbs look at the hosts that the hub's process simulates.

use bytes::Bytes;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use serde_json::json;
use tower::ServiceExt as _;

use crate::{HOSTS_MOUNT_PATH, Shared, control};

impl Shared {
    /// Answers any request; what goes wrong is an answer, too.
    pub(crate) async fn answer_hosts(&self, request: Request<Bytes>) -> Response<Bytes> {
        let path = request.uri().path();
        let own = path.strip_prefix(HOSTS_MOUNT_PATH).unwrap_or(path).to_owned();
        if let Some(rest) = own.strip_prefix(control::PREFIX) {
            return self.control(rest, &request).await;
        }
        if own.starts_with("/releases/") {
            return super::releases(&request);
        }
        match own.strip_prefix("/members/").and_then(|rest| rest.split_once('/')) {
            Some((address, rest)) => self.answer_member(address, rest, request).await,
            None => {
                failed(StatusCode::NOT_FOUND, &format!("{path} is nothing of the simulation's"))
            }
        }
    }

    async fn answer_member(
        &self,
        address: &str,
        rest: &str,
        request: Request<Bytes>,
    ) -> Response<Bytes> {
        let member = match self.member_at(address).await {
            Ok(site) => site.and_then(|site| self.members.find(&site.0)),
            Err(error) => return failed(StatusCode::INTERNAL_SERVER_ERROR, &error.in_full()),
        };
        let Some(member) = member else {
            let words = format!("no K3s cluster answers at {address}");
            return failed(StatusCode::SERVICE_UNAVAILABLE, &words);
        };
        let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
        if query.contains("watch=") {
            return failed(StatusCode::BAD_REQUEST, "nothing is watched on this way");
        }
        let (mut parts, body) = request.into_parts();
        match format!("/{rest}{query}").parse::<Uri>() {
            Ok(uri) => parts.uri = uri,
            Err(error) => return failed(StatusCode::BAD_REQUEST, &error.to_string()),
        }
        let answered = member.service().oneshot(Request::from_parts(parts, Full::new(body))).await;
        let (parts, body) = match answered {
            Ok(response) => response.into_parts(),
            Err(never) => match never {},
        };
        match body.collect().await {
            Ok(body) => Response::from_parts(parts, body.to_bytes()),
            Err(never) => match never {},
        }
    }
}

/// A failure in Kubernetes' words.
fn failed(code: StatusCode, message: &str) -> Response<Bytes> {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "code": code.as_u16(),
    });
    let mut response = Response::new(Bytes::from(status.to_string()));
    *response.status_mut() = code;
    let kind = http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    response
}
