//! Tokens of ServiceAccounts: signed by the cluster, good for a while, and only as long as the
//! account (and the pod or Secret they are bound to) is there.
//!
//! JSON Web Tokens with the claims of kube-apiserver 1.36, signed by Ed25519 (`EdDSA`, RFC 8037)
//! rather than RSA. The key is made when the first token is asked for, and kept as Secret
//! `kube-system/service-account-signing-key`: whoever may read that may be anybody, as with
//! upstream's key file. Deleting it ends all tokens.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use fleetwright_apiserver_core::status::ApiError;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::auth::Identity;
use crate::cluster::{LogicalCluster, ResourceRef};

/// Who issues the tokens, and for whom they are when nobody else is named.
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc";
const SECRETS: ResourceRef = ResourceRef::new("", "v1", "secrets");
const ACCOUNTS: ResourceRef = ResourceRef::new("", "v1", "serviceaccounts");
const KEY_NAMESPACE: &str = "kube-system";
const KEY_NAME: &str = "service-account-signing-key";
pub(crate) const KEY_TYPE: &str = "fleetwright.dev/signing-key";

/// What a token is to say.
#[derive(Debug)]
pub(crate) struct Grant<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) name: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) audiences: &'a [String],
    pub(crate) lifetime_seconds: i64,
    /// The kind, name and uid of the object whose end ends the token.
    pub(crate) bound: Option<(String, String, String)>,
}

impl LogicalCluster {
    /// A new token, and when it ends (Unix seconds).
    pub(crate) async fn sign(&self, grant: &Grant<'_>) -> Result<(String, i64), ApiError> {
        let pair = self.signing_key().await?;
        let now = self.shared().clock.now().as_second();
        let end = now.saturating_add(grant.lifetime_seconds);
        let mut kubernetes = json!({"namespace": grant.namespace,
            "serviceaccount": {"name": grant.name, "uid": grant.uid}});
        if let Some((kind, name, uid)) = &grant.bound {
            kubernetes[kind.to_lowercase()] = json!({"name": name, "uid": uid});
        }
        let claims = json!({"aud": grant.audiences, "exp": end, "iat": now, "nbf": now,
            "iss": ISSUER, "jti": self.shared().ids.uid(), "kubernetes.io": kubernetes,
            "sub": format!("system:serviceaccount:{}:{}", grant.namespace, grant.name)});
        let header = json!({"alg": "EdDSA", "kid": key_id(&pair), "typ": "JWT"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&header), part(&claims));
        let signature = URL_SAFE_NO_PAD.encode(pair.sign(signed.as_bytes()));
        Ok((format!("{signed}.{signature}"), end))
    }

    /// The account behind a token that this cluster has signed and that still holds for one of
    /// `audiences` (all of them, if none is named, stand for the cluster's own).
    pub(crate) async fn account(&self, token: &str, audiences: &[String]) -> Option<Account> {
        let (signed, signature) = token.rsplit_once('.')?;
        let (_, claims) = signed.split_once('.')?;
        let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        if claims["iss"] != ISSUER {
            return None;
        }
        let pair = self.stored_key().await?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let key = UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref());
        key.verify(signed.as_bytes(), &signature).ok()?;
        let now = self.shared().clock.now().as_second();
        if claims["exp"].as_i64()? <= now || claims["nbf"].as_i64()? > now {
            return None;
        }
        let own = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &own[..] } else { audiences };
        let said: Vec<String> = serde_json::from_value(claims["aud"].clone()).ok()?;
        let shared: Vec<String> = said.into_iter().filter(|one| wanted.contains(one)).collect();
        if shared.is_empty() {
            return None;
        }
        let identity = self.identity_of(&claims).await?;
        Some(Account { identity, audiences: shared })
    }

    async fn identity_of(&self, claims: &Value) -> Option<Identity> {
        let kubernetes = &claims["kubernetes.io"];
        let namespace = kubernetes["namespace"].as_str()?;
        let account = &kubernetes["serviceaccount"];
        let (name, uid) = (account["name"].as_str()?, account["uid"].as_str()?);
        let stored = self.get(&ACCOUNTS, Some(namespace), name).await?;
        if stored["metadata"]["uid"] != uid {
            return None;
        }
        let jti = claims["jti"].as_str().unwrap_or_default();
        let key = |name: &str| format!("authentication.kubernetes.io/{name}");
        let mut extra = BTreeMap::from([(key("credential-id"), vec![format!("JTI={jti}")])]);
        for (kind, resource) in [("pod", "pods"), ("secret", "secrets"), ("node", "nodes")] {
            let Some(bound) = kubernetes.get(kind) else { continue };
            let name = bound["name"].as_str()?;
            let within = Some(namespace).filter(|_| kind != "node");
            let resource = ResourceRef::new("", "v1", resource);
            let found = self.get(&resource, within, name).await?;
            if found["metadata"]["uid"] != bound["uid"] {
                return None;
            }
            extra.insert(key(&format!("{kind}-name")), vec![name.to_owned()]);
            let uid = bound["uid"].as_str().unwrap_or_default().to_owned();
            extra.insert(key(&format!("{kind}-uid")), vec![uid]);
        }
        Some(Identity {
            user: format!("system:serviceaccount:{namespace}:{name}"),
            groups: vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{namespace}"),
            ],
            uid: uid.to_owned(),
            extra,
        })
    }

    /// The public half of the key, as a JSON Web Key Set.
    pub(crate) async fn key_set(&self) -> Value {
        let pair = self.stored_key().await;
        let keys: Vec<Value> = pair
            .iter()
            .map(|pair| {
                let x = URL_SAFE_NO_PAD.encode(pair.public_key());
                json!({"use": "sig", "kty": "OKP", "crv": "Ed25519", "kid": key_id(pair),
                    "alg": "EdDSA", "x": x})
            })
            .collect();
        json!({"keys": keys})
    }

    async fn stored_key(&self) -> Option<Ed25519KeyPair> {
        let secret = self.get(&SECRETS, Some(KEY_NAMESPACE), KEY_NAME).await?;
        let seed = STANDARD.decode(secret["data"]["seed"].as_str()?).ok()?;
        Ed25519KeyPair::from_seed_unchecked(&seed).ok()
    }

    async fn signing_key(&self) -> Result<Ed25519KeyPair, ApiError> {
        if let Some(known) = self.stored_key().await {
            return Ok(known);
        }
        let seed = Sha256::digest(self.shared().ids.token());
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": KEY_TYPE,
            "metadata": {"namespace": KEY_NAMESPACE, "name": KEY_NAME},
            "data": {"seed": STANDARD.encode(seed)}});
        self.put(&SECRETS, secret).await?;
        // Somebody may have been faster: what is stored counts.
        let stored = self.stored_key().await;
        stored.ok_or_else(|| ApiError::internal("the key that signs tokens cannot be read"))
    }
}

/// Whose token it is, and for whom of those who were named.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) identity: Identity,
    pub(crate) audiences: Vec<String>,
}

fn key_id(pair: &Ed25519KeyPair) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(pair.public_key()))
}

/// `/.well-known/openid-configuration`.
pub(crate) fn configuration() -> Value {
    json!({"issuer": ISSUER, "jwks_uri": format!("{ISSUER}/openid/v1/jwks"),
        "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"]})
}
