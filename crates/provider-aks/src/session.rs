//! One session per account and namespace: its tokens, where its Resource Manager is, and who we turned out to be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_errclass::Class;
use fleetwright_names::sha256_hex;
use fleetwright_plan::{Address, Credentials};
use fleetwright_provider::{Access, CloudError};
use serde_json::Value;

use crate::AksSettings;
use crate::cloud::Cloud;
use crate::credentials::{self, Token, Tokens};
use crate::error::no_identity;
use crate::member::Members;
use crate::operations::Operations;
use crate::place::Place;
use crate::wire::Arm;

/// An account as one namespace uses it, with all that was learned through it: what one account may read, another may not.
#[derive(Debug)]
pub(crate) struct Session {
    pub(crate) arm: Arm,
    pub(crate) operations: Operations,
    pub(crate) members: Members,
}

impl Session {
    /// Who we are in the cloud. `NotAsked` when Entra ID gave no answer, which says nothing about the credentials.
    ///
    /// The account is the subscription of the address: it stands in the path of every request, and Resource Manager says of
    /// nothing in it that it is not there to whom the subscription is not known or not open (`SubscriptionNotFound`,
    /// `InvalidAuthenticationTokenTenant`, `AuthorizationFailed`).
    pub(crate) async fn identity(&self, address: &Address) -> Credentials {
        match self.arm.tokens.get(&self.arm.scope).await {
            Ok((token, _)) => {
                let account = Place::subscription_of(&address.external_name);
                Credentials::Valid {
                    account: account.unwrap_or_default().to_owned(),
                    principal: principal(&token),
                    // Signed in anew by ourselves whenever it ends.
                    expires_at: None,
                }
            }
            Err(error) => self.lost(&error),
        }
    }

    /// What it says about our credentials that there is no token, or that Azure does not take it.
    pub(crate) fn lost(&self, error: &CloudError) -> Credentials {
        if !matches!(error.class, Class::Refused | Class::Invalid) {
            return Credentials::NotAsked;
        }
        // Whoever renews credentials in place shall not have to start us again.
        self.arm.tokens.forget();
        Credentials::Failed { code: error.code.to_owned(), why: error.to_string() }
    }
}

/// Who a token is for, by its claims. Not verified: it is only told to people, and Azure judges the token itself.
fn principal(token: &Token) -> String {
    let claims = token.secret.expose().split('.').nth(1).unwrap_or_default();
    let claims: Value = URL_SAFE_NO_PAD
        .decode(claims)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let text = |key: &str| claims[key].as_str().filter(|text| !text.is_empty());
    match (text("appid").or(text("azp")), text("oid")) {
        (Some(application), Some(object)) => format!("application {application}, object {object}"),
        (Some(application), None) => format!("application {application}"),
        (None, Some(object)) => format!("object {object}"),
        (None, None) => "unknown: the token does not say".to_owned(),
    }
}

/// Name of the account, namespace.
type Key = (String, String);

/// The sessions made so far: one per account and namespace, made anew when the account or its Secret changes.
#[derive(Debug)]
pub(crate) struct Sessions {
    settings: AksSettings,
    made: Mutex<BTreeMap<Key, (String, Arc<Session>)>>,
}

impl Sessions {
    pub(crate) fn new(settings: AksSettings) -> Self {
        Self { settings, made: Mutex::default() }
    }

    /// The session for `access`.
    ///
    /// # Errors
    /// When the account says nothing that credentials could come from.
    pub(crate) fn get(&self, access: &Access) -> Result<Arc<Session>, CloudError> {
        let name = access.account.metadata.name.clone().unwrap_or_default();
        let key = (name, access.namespace.clone());
        let fingerprint = fingerprint(access);
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, session)) = made.get(&key)
            && *of == fingerprint
        {
            return Ok(Arc::clone(session));
        }
        let session = Arc::new(self.make(access)?);
        made.insert(key, (fingerprint, Arc::clone(&session)));
        Ok(session)
    }

    fn make(&self, access: &Access) -> Result<Session, CloudError> {
        let Some(azure) = &access.account.spec.azure else {
            let words = "the ProviderConfig has no azure block";
            return Err(no_identity(Class::Invalid, "NoAccount", words));
        };
        let settings = &self.settings;
        let cloud = Cloud::of(azure.cloud);
        let identity = credentials::of(access, azure, settings)?;
        let tokens = Arc::new(Tokens::new(identity, Arc::clone(&settings.clock)));
        let (endpoint, trusted) = match (&settings.endpoint, &azure.endpoint) {
            (Some(endpoint), _) => (endpoint.clone(), vec![endpoint.clone()]),
            (None, Some(endpoint)) if endpoint.starts_with("https://") => {
                // Behind a private link, links in answers may still name the public place.
                (endpoint.clone(), vec![endpoint.clone(), cloud.manager.to_owned()])
            }
            (None, Some(endpoint)) => {
                let words = format!("endpoint {endpoint} of the ProviderConfig is not https");
                return Err(no_identity(Class::Invalid, "EndpointNotAllowed", &words));
            }
            (None, None) => (cloud.manager.to_owned(), vec![cloud.manager.to_owned()]),
        };
        Ok(Session {
            arm: Arm {
                http: settings.http.clone(),
                tokens,
                clock: Arc::clone(&settings.clock),
                scope: cloud.manager_scope.to_owned(),
                endpoint: endpoint.trim_end_matches('/').to_owned(),
                trusted,
            },
            operations: Operations::default(),
            members: Members::default(),
        })
    }
}

/// Changes whenever the account or its Secret does. Of the Secret only a digest is kept.
fn fingerprint(access: &Access) -> String {
    let meta = &access.account.metadata;
    let mut text = format!("{:?}/{:?}", meta.uid, meta.generation);
    for (key, value) in access.secret.iter().flatten() {
        text = format!("{text}/{key}={}", sha256_hex(value.expose()));
    }
    sha256_hex(text)
}

#[cfg(test)]
mod tests {
    use fleetwright_provider::Secret;
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_token_tells_whom_it_is_for() {
        let of = |claims: &Value| {
            let text = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
            principal(&Token { secret: Secret::new(text), expires_at: Timestamp::UNIX_EPOCH })
        };
        assert_eq!(of(&json!({"appid": "a", "oid": "o"})), "application a, object o");
        assert_eq!(of(&json!({"oid": "o"})), "object o");
        assert_eq!(of(&json!({})), "unknown: the token does not say");
        let opaque = Token { secret: Secret::new("x".into()), expires_at: Timestamp::UNIX_EPOCH };
        assert_eq!(principal(&opaque), "unknown: the token does not say");
    }
}
