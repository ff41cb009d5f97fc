//! The client credentials grant (RFC 6749, section 4.4) as Entra ID takes it, in one request of our own.

use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, HttpOut, Secret};
use http::Request;
use http::header::{ACCEPT, CONTENT_TYPE};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tower::ServiceExt as _;

use super::Token;
use crate::ClientSecret;
use crate::error::{grant_error, grant_lost, no_identity};
use crate::place::segment;
use crate::wire::ATTEMPT_TIMEOUT;

/// An application that signs in by its secret.
#[derive(Debug, Clone)]
pub(crate) struct Grant {
    http: HttpOut,
    url: String,
    who: ClientSecret,
}

impl Grant {
    pub(crate) fn new(http: HttpOut, authority: &str, who: ClientSecret) -> Self {
        let authority = authority.trim_end_matches('/');
        let url = format!("{authority}/{}/oauth2/v2.0/token", segment(&who.tenant_id));
        Self { http, url, who }
    }

    pub(super) async fn token(&self, scope: &str, now: Timestamp) -> Result<Token, CloudError> {
        let form = [
            ("client_id", self.who.client_id.as_str()),
            ("client_secret", self.who.client_secret.expose()),
            ("grant_type", "client_credentials"),
            ("scope", scope),
        ];
        let form = form.map(|(key, value)| format!("{key}={}", segment(value))).join("&");
        let request = Request::post(&self.url)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(ACCEPT, "application/json")
            .body(Bytes::from(form))
            .map_err(|source| {
                let words = format!("{} is no place to sign in: {source}", self.url);
                no_identity(Class::Invalid, "EndpointNotAllowed", &words)
            })?;
        let sent = tokio::time::timeout(ATTEMPT_TIMEOUT, self.http.clone().oneshot(request)).await;
        let answer = match sent {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(grant_lost(&error)),
            Err(_elapsed) => {
                let words = "Entra ID gave no answer in time; we ask again later";
                return Err(no_identity(Class::Transient, "Timeout", words));
            }
        };
        let status = answer.status().as_u16();
        let body: Value = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
        if status != 200 {
            return Err(grant_error(status, &body));
        }
        let (Some(token), Some(seconds)) =
            (body["access_token"].as_str(), body["expires_in"].as_i64())
        else {
            let words = "Entra ID gave an answer without access_token and expires_in; we ask again";
            return Err(no_identity(Class::Transient, "Unreadable", words));
        };
        // Entra's tokens last an hour or a day; a time that does not fit is no time.
        let expires_at = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
        Ok(Token { secret: Secret::new(token.to_owned()), expires_at })
    }
}
