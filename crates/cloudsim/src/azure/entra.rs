//! Microsoft Entra ID: tokens for the Resource Manager and for the APIs of members.
//!
//! A token says everything itself and is sealed with the secret of the one application, so nothing is remembered.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{Answer, AzureError};
use super::state::uuid;
use crate::Shared;
use crate::faults::{FaultKind, Nature, Subject};
use crate::sigv4::seal;
use crate::state::digest_hex;
use crate::sts::form;
use crate::{AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_TENANT_ID};

/// The application that stands for the APIs of all AKS clusters with Entra sign-in.
pub(crate) const AKS_APP: &str = "6dae42f8-4368-4678-94ff-3960e28e3630";
/// Whom tokens for the Resource Manager are for.
const MANAGER: &str = "https://management.azure.com";
/// The resources that all mean the Resource Manager: those of the three clouds, old and new.
const MANAGERS: [&str; 6] = [
    MANAGER,
    "https://management.core.windows.net",
    "https://management.chinacloudapi.cn",
    "https://management.core.chinacloudapi.cn",
    "https://management.usgovcloudapi.net",
    "https://management.core.usgovcloudapi.net",
];
const LASTS_SECONDS: i64 = 3_599;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    pub(crate) aud: String,
    iss: String,
    iat: i64,
    nbf: i64,
    exp: i64,
    pub(crate) appid: String,
    pub(crate) oid: String,
    sub: String,
    pub(crate) tid: String,
    ver: String,
}

/// Why a token opens nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadToken {
    /// It is none of ours.
    Invalid,
    Expired,
}

/// The object id of the one application's principal.
pub(crate) fn object_id() -> String {
    uuid(&digest_hex(AZURE_CLIENT_ID, 32))
}

fn issue(audience: &str, now: Timestamp) -> String {
    let now = now.as_second();
    let claims = Claims {
        aud: audience.to_owned(),
        iss: format!("https://sts.windows.net/{AZURE_TENANT_ID}/"),
        iat: now,
        nbf: now,
        exp: now + LASTS_SECONDS,
        appid: AZURE_CLIENT_ID.to_owned(),
        oid: object_id(),
        sub: object_id(),
        tid: AZURE_TENANT_ID.to_owned(),
        ver: "1.0".to_owned(),
    };
    let head = URL_SAFE_NO_PAD.encode(r#"{"typ":"JWT","alg":"HS256","kid":"simulated"}"#);
    let claims = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims).unwrap_or_default());
    let content = format!("{head}.{claims}");
    let mark = URL_SAFE_NO_PAD.encode(seal(AZURE_CLIENT_SECRET, &content));
    format!("{content}.{mark}")
}

/// Reads a token that Entra has issued.
///
/// # Errors
/// When it did not, or the token's time is over.
pub(crate) fn opened(token: &str, now: Timestamp) -> Result<Claims, BadToken> {
    let (content, mark) = token.rsplit_once('.').ok_or(BadToken::Invalid)?;
    if mark != URL_SAFE_NO_PAD.encode(seal(AZURE_CLIENT_SECRET, content)) {
        return Err(BadToken::Invalid);
    }
    let claims = content.split_once('.').map(|(_, claims)| URL_SAFE_NO_PAD.decode(claims));
    let claims: Option<Claims> =
        claims.and_then(Result::ok).and_then(|claims| serde_json::from_slice(&claims).ok());
    match claims {
        Some(claims) if claims.exp <= now.as_second() => Err(BadToken::Expired),
        Some(claims) => Ok(claims),
        None => Err(BadToken::Invalid),
    }
}

/// Who calls the Resource Manager, by the `Authorization` header.
pub(super) fn caller(header: Option<&str>, now: Timestamp) -> Result<Claims, AzureError> {
    let Some(header) = header else {
        let message = "Authentication failed. The 'Authorization' header is missing.";
        return Err(AzureError::unauthorized("AuthenticationFailed", message));
    };
    let token = header.strip_prefix("Bearer ").unwrap_or_default();
    match opened(token, now) {
        Ok(claims) if claims.aud == MANAGER => Ok(claims),
        Ok(claims) => Err(AzureError::unauthorized(
            "InvalidAuthenticationTokenAudience",
            format!(
                "The access token has been obtained for wrong audience or resource '{}'. It should exactly match with \
                 one of the allowed audiences '{MANAGER}'.",
                claims.aud
            ),
        )),
        Err(BadToken::Expired) => Err(AzureError::unauthorized(
            "ExpiredAuthenticationToken",
            "The access token expiry UTC time is earlier than current UTC time.",
        )),
        Err(BadToken::Invalid) => Err(AzureError::unauthorized(
            "InvalidAuthenticationToken",
            "The access token is invalid.",
        )),
    }
}

impl Shared {
    /// Answers a request for a token. `base` is where this service was reached.
    pub(super) async fn token(
        &self,
        tenant: &str,
        body: &[u8],
        base: &str,
    ) -> Result<Answer, AzureError> {
        let subject =
            Subject { operation: "Entra_Token", nature: Nature::Other, ..Subject::default() };
        let verdict = self.judged(&subject).await.map_err(AzureError::server)?;
        let refused = |status, error, number, message: String| {
            Err(refusal(self.clock.now(), &self.ids.uid(), (status, error), number, &message))
        };
        let form = form(body);
        let said = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
        match verdict.refused {
            Some(FaultKind::Throttle) => {
                let message =
                    "The server is temporarily too busy to handle the request.".to_owned();
                let status = StatusCode::TOO_MANY_REQUESTS;
                return refused(status, "temporarily_unavailable", 90_055, message);
            }
            // Whether the credentials themselves are no good, or what they may do.
            Some(_) => {
                let message = format!(
                    "The provided client secret keys for app '{}' are expired.",
                    said("client_id")
                );
                return refused(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_222, message);
            }
            None => {}
        }
        if !tenant.eq_ignore_ascii_case(AZURE_TENANT_ID) {
            let message = format!(
                "Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID and are signing into \
                 the correct cloud."
            );
            return refused(StatusCode::BAD_REQUEST, "invalid_request", 90_002, message);
        }
        if said("grant_type") != "client_credentials" {
            let message =
                format!("The app requested an unsupported grant type '{}'.", said("grant_type"));
            return refused(StatusCode::BAD_REQUEST, "unsupported_grant_type", 70_003, message);
        }
        let client = said("client_id");
        if client != AZURE_CLIENT_ID {
            let message = format!(
                "Application with identifier '{client}' was not found in the directory '{AZURE_TENANT_ID}'."
            );
            return refused(StatusCode::BAD_REQUEST, "unauthorized_client", 700_016, message);
        }
        if said("client_secret") != AZURE_CLIENT_SECRET {
            let message = format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret \
                 value, not the client secret ID, for a secret added to app '{client}'."
            );
            return refused(StatusCode::UNAUTHORIZED, "invalid_client", 7_000_215, message);
        }
        let scope = said("scope");
        let Some(audience) = audience(scope, base) else {
            let message =
                format!("The resource principal named {scope} was not found in the tenant.");
            return refused(StatusCode::BAD_REQUEST, "invalid_resource", 500_011, message);
        };
        if verdict.lost {
            return Err(AzureError::lost());
        }
        Ok(Answer::ok(json!({
            "token_type": "Bearer",
            "expires_in": LASTS_SECONDS,
            "ext_expires_in": LASTS_SECONDS,
            "access_token": issue(audience, self.clock.now()),
        }))
        .with("cache-control", "no-store, no-cache"))
    }
}

/// Whom a scope is for: `<resource>/.default`.
fn audience(scope: &str, base: &str) -> Option<&'static str> {
    let resource = scope.strip_suffix("/.default")?.trim_end_matches('/');
    if resource == AKS_APP {
        return Some(AKS_APP);
    }
    (MANAGERS.contains(&resource) || resource == base).then_some(MANAGER)
}

/// An error of Entra, whole.
fn refusal(
    now: Timestamp,
    trace: &str,
    (status, error): (StatusCode, &'static str),
    number: u32,
    message: &str,
) -> AzureError {
    let time = now.strftime("%Y-%m-%d %H:%M:%SZ");
    let body: Value = json!({
        "error": error,
        "error_description": format!(
            "AADSTS{number}: {message} Trace ID: {trace} Correlation ID: {trace} Timestamp: {time}"
        ),
        "error_codes": [number],
        "timestamp": time.to_string(),
        "trace_id": trace,
        "correlation_id": trace,
        "error_uri": format!("https://login.microsoftonline.com/error?code={number}"),
    });
    AzureError::entra(status, error, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_token_opens_what_it_is_for_until_it_expires() {
        let token = issue(MANAGER, at(100));
        let header = format!("Bearer {token}");
        assert_eq!(caller(Some(&header), at(3_698)).expect("in time").appid, AZURE_CLIENT_ID);
        let code = |header: &str, now| caller(Some(header), at(now)).expect_err("refused").code;
        assert_eq!(code(&header, 3_699), "ExpiredAuthenticationToken");
        let member = format!("Bearer {}", issue(AKS_APP, at(100)));
        assert_eq!(code(&member, 100), "InvalidAuthenticationTokenAudience");
        assert_eq!(code("Bearer x.y.z", 100), "InvalidAuthenticationToken");
        let changed = header.replacen("Bearer eyJ0", "Bearer eyJ1", 1);
        assert_eq!(code(&changed, 100), "InvalidAuthenticationToken");
    }

    #[test]
    fn scopes_name_a_resource_of_any_cloud_or_the_members() {
        for scope in ["https://management.azure.com/.default", "https://x/cloud/azure/.default"] {
            assert_eq!(audience(scope, "https://x/cloud/azure"), Some(MANAGER));
        }
        assert_eq!(audience(&format!("{AKS_APP}/.default"), ""), Some(AKS_APP));
        assert_eq!(audience("https://graph.microsoft.com/.default", ""), None);
        assert_eq!(audience("https://management.azure.com", ""), None);
    }
}
