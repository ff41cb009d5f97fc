//! Who calls: the one long-lived key, or a role that somebody took on for a while.
//!
//! A session token says everything itself and is sealed with the secret of the long-lived key, so the service needs to
//! remember none, and every one survives a restart.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sigv4::{Refusal, seal};
use crate::state::digest_hex;
use crate::{ACCESS_KEY_ID, ACCOUNT_ID, SECRET_ACCESS_KEY};

/// A caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Principal {
    /// As access entries name it: a user's or a role's ARN.
    pub(crate) arn: String,
    /// The name of the session, for a role.
    pub(crate) session: Option<String>,
}

/// Credentials that somebody gets for a while. They open nothing but simulations.
#[derive(Debug)]
pub(crate) struct Temporary {
    pub(crate) key: String,
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) expires: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Session {
    role: String,
    name: String,
    /// Seconds since 1970.
    expires: i64,
}

impl Principal {
    fn long_lived() -> Self {
        Self { arn: format!("arn:aws:iam::{ACCOUNT_ID}:user/simulated"), session: None }
    }

    /// The account it belongs to.
    pub(crate) fn account(&self) -> &str {
        self.arn.split(':').nth(4).unwrap_or(ACCOUNT_ID)
    }

    /// As STS names the caller.
    pub(crate) fn session_arn(&self) -> String {
        let Some(session) = &self.session else {
            return self.arn.clone();
        };
        let role = self.arn.rsplit('/').next().unwrap_or_default();
        let partition = self.arn.split(':').nth(1).unwrap_or("aws");
        format!("arn:{partition}:sts::{}:assumed-role/{role}/{session}", self.account())
    }
}

/// Finds whose key this is, and its secret.
pub(crate) fn identify(
    key: &str,
    token: Option<&str>,
    now: Timestamp,
) -> Result<(Principal, String), Refusal> {
    let Some(token) = token else {
        return match key {
            ACCESS_KEY_ID => Ok((Principal::long_lived(), SECRET_ACCESS_KEY.to_owned())),
            _ => Err(Refusal::UnknownKey),
        };
    };
    let session = opened(token).ok_or(Refusal::UnknownKey)?;
    if key != key_of(token) {
        return Err(Refusal::UnknownKey);
    }
    if session.expires <= now.as_second() {
        return Err(Refusal::ExpiredToken);
    }
    let principal = Principal { arn: session.role, session: Some(session.name) };
    Ok((principal, secret_of(token)))
}

/// Credentials of a role until `expires`.
pub(crate) fn assume(role: &str, name: &str, expires: Timestamp) -> Temporary {
    let session =
        Session { role: role.to_owned(), name: name.to_owned(), expires: expires.as_second() };
    let content = serde_json::to_vec(&session).unwrap_or_default();
    let content = URL_SAFE_NO_PAD.encode(content);
    let token = format!("{content}.{}", seal(SECRET_ACCESS_KEY, &content));
    Temporary { key: key_of(&token), secret: secret_of(&token), token, expires }
}

fn key_of(token: &str) -> String {
    format!("ASIA{}", digest_hex(token, 16).to_uppercase())
}

fn secret_of(token: &str) -> String {
    seal(SECRET_ACCESS_KEY, &format!("secret of {token}")).chars().take(40).collect()
}

fn opened(token: &str) -> Option<Session> {
    let (content, shown) = token.rsplit_once('.')?;
    if seal(SECRET_ACCESS_KEY, content) != shown {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(content).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROLE: &str = "arn:aws:iam::111122223333:role/team/ops";

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).expect("in range")
    }

    #[test]
    fn a_session_is_known_by_its_token_until_it_expires() {
        let given = assume(ROLE, "me", at(100));
        let (principal, secret) =
            identify(&given.key, Some(&given.token), at(99)).expect("in time");
        assert_eq!(principal.arn, ROLE);
        assert_eq!(principal.session_arn(), "arn:aws:sts::111122223333:assumed-role/ops/me");
        assert_eq!(secret, given.secret);
        assert_eq!(identify(&given.key, Some(&given.token), at(100)), Err(Refusal::ExpiredToken));
    }

    #[test]
    fn a_token_that_was_changed_or_belongs_to_another_key_is_unknown() {
        let given = assume(ROLE, "me", at(100));
        let other = assume(ROLE, "you", at(100));
        let changed = given.token.replacen('e', "f", 1);
        for (key, token) in [(&given.key, &changed), (&other.key, &given.token)] {
            assert_eq!(identify(key, Some(token), at(1)), Err(Refusal::UnknownKey));
        }
        assert_eq!(identify(&given.key, None, at(1)), Err(Refusal::UnknownKey));
    }
}
