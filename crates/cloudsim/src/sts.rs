//! STS: who calls, and roles to take on.
//!
//! Roles are believed: every one can be assumed by everybody, unless a fault or an external id says otherwise.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::Shared;
use crate::eks::{EksError, escaped};
use crate::faults::Subject;
use crate::principal::{Principal, Temporary, assume};
use crate::state::digest_hex;

/// A session lasts so long when nobody says.
const DEFAULT_SECONDS: u64 = 3600;
const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Whether a form is a request that nobody signs: its token is its proof.
pub(crate) fn is_unsigned(body: &[u8]) -> bool {
    form(body).get("Action").is_some_and(|action| action == "AssumeRoleWithWebIdentity")
}

/// The fields of a form.
pub(crate) fn form(body: &[u8]) -> BTreeMap<String, String> {
    let text = String::from_utf8_lossy(body);
    let decode =
        |part: &str| percent_decode_str(&part.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| (decode(name), decode(value))).collect()
}

impl Shared {
    /// Answers a form with XML.
    pub(crate) async fn sts(
        &self,
        body: &[u8],
        caller: Option<&Principal>,
    ) -> Result<Value, EksError> {
        let form = form(body);
        let action = form.get("Action").map(String::as_str).unwrap_or_default();
        let nobody = Principal { arn: "anonymous".to_owned(), session: None };
        let caller = caller.unwrap_or(&nobody);
        if !["GetCallerIdentity", "AssumeRole", "AssumeRoleWithWebIdentity"].contains(&action) {
            let message = format!("Could not find operation {action} for version 2011-06-15");
            return Err(EksError::new("InvalidAction", StatusCode::BAD_REQUEST, message));
        }
        let subject = Subject::eks(action);
        let verdict = self.meet(&subject, caller).await?;
        let result = match action {
            "AssumeRole" => self.assume_role(&form, caller).await?,
            "AssumeRoleWithWebIdentity" => self.assume_with_token(&form)?,
            _ => format!(
                "<Arn>{}</Arn><UserId>{}</UserId><Account>{}</Account>",
                escaped(&caller.session_arn()),
                user_id(caller),
                caller.account()
            ),
        };
        if verdict.lost {
            return Err(EksError::lost());
        }
        Ok(Value::String(format!(
            "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result>\
             <ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
            self.ids.uid()
        )))
    }

    async fn assume_role(
        &self,
        form: &BTreeMap<String, String>,
        caller: &Principal,
    ) -> Result<String, EksError> {
        let role = role(form)?;
        let simulation = self.ledger.simulation().await.map_err(EksError::server)?;
        let wanted = simulation.external_ids.get(role);
        if wanted.is_some() && wanted != form.get("ExternalId") {
            let message = format!(
                "User: {} is not authorized to perform: sts:AssumeRole on resource: {role}",
                caller.session_arn()
            );
            return Err(EksError::new("AccessDeniedException", StatusCode::FORBIDDEN, message));
        }
        self.session(form, role)
    }

    fn assume_with_token(&self, form: &BTreeMap<String, String>) -> Result<String, EksError> {
        // Who issued it is believed; that there is one is not.
        let token = form.get("WebIdentityToken").map(String::as_str).unwrap_or_default();
        if token.len() < 4 {
            let message = "The ID Token provided is not a valid JWT.";
            return Err(EksError::new("InvalidIdentityToken", StatusCode::BAD_REQUEST, message));
        }
        let result = self.session(form, role(form)?)?;
        Ok(format!(
            "{result}<SubjectFromWebIdentityToken>{}</SubjectFromWebIdentityToken>",
            digest_hex(token, 16)
        ))
    }

    fn session(&self, form: &BTreeMap<String, String>, role: &str) -> Result<String, EksError> {
        let name = form.get("RoleSessionName").filter(|name| (2..=64).contains(&name.len()));
        let name = name.ok_or_else(|| invalid("RoleSessionName must have 2 to 64 characters"))?;
        let lasts = match form.get("DurationSeconds").map(|text| text.parse::<u64>()) {
            None => DEFAULT_SECONDS,
            Some(Ok(seconds)) if (900..=43_200).contains(&seconds) => seconds,
            Some(_) => return Err(invalid("DurationSeconds must be between 900 and 43200")),
        };
        let expires = self.clock.now().checked_add(Duration::from_secs(lasts));
        let given = assume(role, name, expires.unwrap_or(jiff::Timestamp::MAX));
        let principal = Principal { arn: role.to_owned(), session: Some(name.clone()) };
        let Temporary { key, secret, token, expires } = given;
        Ok(format!(
            "<AssumedRoleUser><AssumedRoleId>{}</AssumedRoleId><Arn>{}</Arn></AssumedRoleUser>\
             <Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>{secret}</SecretAccessKey>\
             <SessionToken>{}</SessionToken><Expiration>{}</Expiration></Credentials>",
            user_id(&principal),
            escaped(&principal.session_arn()),
            escaped(&token),
            expires.strftime("%Y-%m-%dT%H:%M:%SZ")
        ))
    }
}

fn role(form: &BTreeMap<String, String>) -> Result<&str, EksError> {
    let role = form.get("RoleArn").map(String::as_str).unwrap_or_default();
    let parts: Vec<&str> = role.split(':').collect();
    let formed = matches!(parts.as_slice(), ["arn", _, "iam", "", account, name]
        if account.len() == 12 && name.len() > 5 && name.starts_with("role/"));
    if formed { Ok(role) } else { Err(invalid(&format!("{role} is invalid"))) }
}

fn invalid(message: &str) -> EksError {
    EksError::new("ValidationError", StatusCode::BAD_REQUEST, message)
}

/// The id of a user, or of a role with its session.
fn user_id(principal: &Principal) -> String {
    let digits = digest_hex(&principal.arn, 16).to_uppercase();
    match &principal.session {
        Some(session) => format!("AROA{digits}:{}", escaped(session)),
        None => format!("AIDA{digits}"),
    }
}
