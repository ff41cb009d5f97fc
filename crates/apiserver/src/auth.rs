//! Who is asking. What they may do is decided in `authorize.rs`.

use std::collections::BTreeMap;
use std::fmt;

use async_trait::async_trait;
use fleetwright_apiserver_core::rbac;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// A user, as an authenticator knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Identity {
    /// The user's name, for example `admin`.
    pub user: String,
    /// The groups, for example `system:masters`.
    pub groups: Vec<String>,
    /// What tells the user from another of the same name; empty when the authenticator knows none.
    pub uid: String,
    /// More that the authenticator knows.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A user in groups.
    #[must_use]
    pub fn new(user: &str, groups: Vec<String>) -> Self {
        Self { user: user.to_owned(), groups, ..Self::default() }
    }

    /// Whoever shows nothing.
    pub(crate) fn anonymous() -> Self {
        Self::new(rbac::ANONYMOUS, vec![rbac::UNAUTHENTICATED.to_owned()])
    }

    /// Adds the group of all who are known.
    pub(crate) fn known(mut self) -> Self {
        let known = |group: &String| group == rbac::AUTHENTICATED;
        if self.user != rbac::ANONYMOUS && !self.groups.iter().any(known) {
            self.groups.push(rbac::AUTHENTICATED.to_owned());
        }
        self
    }

    /// `authentication.k8s.io/v1` UserInfo.
    pub(crate) fn info(&self) -> Value {
        let mut info = json!({"username": self.user, "groups": self.groups});
        if !self.uid.is_empty() {
            info["uid"] = json!(self.uid);
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }

    /// The identity of our own code, in process.
    #[must_use]
    pub fn system(user: &str) -> Self {
        Self::new(user, vec![rbac::MASTERS.to_owned()])
    }
}

/// Why a caller is nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// There was no bearer token.
    #[error("no bearer token")]
    Missing,
    /// There was one that is not valid.
    #[error("the bearer token is not valid")]
    Rejected,
}

/// Tells who sent a request.
#[async_trait]
pub trait Authenticator: Send + Sync + fmt::Debug {
    /// The identity behind the token of an `Authorization: Bearer` header.
    ///
    /// # Errors
    /// When there is no token or it is not valid; the caller gets a 401 in both cases.
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError>;
}

/// A fixed list of tokens. Keeps only their SHA-256, so that neither memory dumps nor `Debug`
/// give a token away.
#[derive(Clone, Default)]
pub struct StaticTokens(Vec<([u8; 32], Identity)>);

impl StaticTokens {
    /// Nobody.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets whoever shows `token` in as `identity`.
    #[must_use]
    pub fn with(mut self, token: &str, identity: Identity) -> Self {
        self.0.push((digest(token), identity));
        self
    }
}

impl fmt::Debug for StaticTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let users = self.0.iter().map(|(_, identity)| identity.user.as_str());
        f.debug_set().entries(users).finish()
    }
}

#[async_trait]
impl Authenticator for StaticTokens {
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError> {
        let shown = digest(bearer.ok_or(AuthError::Missing)?);
        // Looks at every entry and every byte, so that time tells nothing.
        let mut found = Err(AuthError::Rejected);
        for (known, identity) in &self.0 {
            let difference = known.iter().zip(shown).fold(0, |acc, (a, b)| acc | (a ^ b));
            if difference == 0 {
                found = Ok(identity.clone());
            }
        }
        found
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_token_is_its_owner_and_no_other_token_is_anybody() {
        let tokens = StaticTokens::new().with("s3cret", Identity::system("admin"));
        let who = tokens.authenticate(Some("s3cret")).await.map(|identity| identity.user);
        assert_eq!(who.as_deref(), Ok("admin"));
        assert_eq!(tokens.authenticate(Some("s3cres")).await, Err(AuthError::Rejected));
        assert_eq!(tokens.authenticate(Some("")).await, Err(AuthError::Rejected));
        assert_eq!(tokens.authenticate(None).await, Err(AuthError::Missing));
    }

    #[test]
    fn debug_output_shows_users_and_no_token() {
        let tokens = StaticTokens::new().with("s3cret", Identity::system("admin"));
        assert_eq!(format!("{tokens:?}"), r#"{"admin"}"#);
    }
}
