//! The way to a cluster's own API: its certificate authority and tokens for it, both from Azure.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_api_types::AzureCloud;
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_plan::{Address, Resource};
use fleetwright_provider::{CloudError, HttpOut, MemberToken, Secret};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::cloud::{Cloud, MEMBER_SCOPE};
use crate::credentials::{Grant, Identity, Named, Real, Token, Tokens};
use crate::error::{Call, no_identity, unreadable};
use crate::observe::find_cluster;
use crate::wire::{self, Arm, Ask};
use crate::{ClientSecret, Source};

/// A rotation of the cluster's certificates shows after this long at the latest.
const KEPT: SignedDuration = SignedDuration::from_mins(15);
/// How long the identity endpoint of a machine has to answer when it is only tried: on a laptop there is none.
const TRIED_FOR: std::time::Duration = std::time::Duration::from_secs(2);

/// What a cluster's kubeconfig for users says.
#[derive(Debug, Clone)]
struct Kubeconfig {
    /// The name of the API when it was read.
    of: Option<String>,
    at: Timestamp,
    server: String,
    certificate_authority: String,
    /// There is one only without Entra ID.
    token: Option<Secret>,
}

/// The kubeconfigs that one account has read so far, by external name, and which clusters sign in by Entra ID.
#[derive(Debug, Default)]
pub(crate) struct Members {
    read: Mutex<BTreeMap<String, Kubeconfig>>,
    by_entra: Mutex<BTreeMap<String, bool>>,
}

impl Members {
    /// Notes how a cluster signs its users in, as it was seen.
    pub(crate) fn note(&self, address: &Address, cluster: &Value) {
        let mut known = self.by_entra.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(address.external_name.clone(), by_entra(cluster));
    }

    /// Forgets a cluster that is gone.
    pub(crate) fn forget(&self, external_name: &str) {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).remove(external_name);
        self.by_entra.lock().unwrap_or_else(PoisonError::into_inner).remove(external_name);
    }

    /// URL and certificate authority (PEM) of a cluster's API.
    ///
    /// # Errors
    /// When Azure does not give them.
    pub(crate) async fn way(
        &self,
        arm: &Arm,
        address: &Address,
        (cluster, now): (&Value, Timestamp),
    ) -> Result<(String, String), CloudError> {
        let read = self.kubeconfig(arm, address, (host(cluster), now)).await?;
        Ok((read.server, read.certificate_authority))
    }

    /// A token for the cluster's API: of Entra ID, or without that the one in its kubeconfig.
    ///
    /// # Errors
    /// When there is none to be had.
    pub(crate) async fn token(
        &self,
        arm: &Arm,
        address: &Address,
        now: Timestamp,
    ) -> Result<MemberToken, CloudError> {
        let known = {
            let known = self.by_entra.lock().unwrap_or_else(PoisonError::into_inner);
            known.get(&address.external_name).copied()
        };
        let mut of = None;
        let entra = match known {
            Some(entra) => entra,
            None => {
                let call = call("ManagedClusters_Get", address);
                let Some(cluster) = find_cluster(arm, address).await? else {
                    return Err(call.error(
                        Class::Conflict,
                        "NotFound",
                        "there is no such cluster",
                    ));
                };
                self.note(address, &cluster);
                of = host(&cluster).map(str::to_owned);
                by_entra(&cluster)
            }
        };
        if entra {
            let (token, _) = arm.tokens.get(MEMBER_SCOPE).await?;
            return Ok(member_token_of(token));
        }
        let of = of.or_else(|| {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            read.get(&address.external_name).and_then(|read| read.of.clone())
        });
        let read = self.kubeconfig(arm, address, (of.as_deref(), now)).await?;
        let Some(token) = read.token else {
            let call = call("ManagedClusters_ListClusterUserCredentials", address);
            return Err(unreadable(&call, "a kubeconfig without a token"));
        };
        let expires_at = read.at.checked_add(KEPT).unwrap_or(now);
        Ok(MemberToken { token, expires_at })
    }

    async fn kubeconfig(
        &self,
        arm: &Arm,
        address: &Address,
        (of, now): (Option<&str>, Timestamp),
    ) -> Result<Kubeconfig, CloudError> {
        {
            let read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(read) = read.get(&address.external_name)
                && read.of.as_deref() == of
                && now.duration_since(read.at) < KEPT
            {
                return Ok(read.clone());
            }
        }
        let call = call("ManagedClusters_ListClusterUserCredentials", address);
        let answer = wire::send(arm, &call, Ask::default()).await?;
        let Parts { server, certificate_authority, token } = parts(&answer.body)
            .map_err(|what| unreadable(&call, &format!("a kubeconfig {what}")))?;
        let of = of.map(str::to_owned);
        let read = Kubeconfig { of, at: now, server, certificate_authority, token };
        let mut all = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(address.external_name.clone(), read.clone());
        Ok(read)
    }
}

fn call<'a>(operation: &'static str, address: &'a Address) -> Call<'a> {
    Call { operation, address, resource: &Resource::Cluster }
}

/// The name of a cluster's API: the private one, where there is one. There is none before the cluster was of use.
pub(crate) fn host(cluster: &Value) -> Option<&str> {
    let properties = &cluster["properties"];
    let name = |key: &str| properties[key].as_str().filter(|name| !name.is_empty());
    name("privateFQDN").or(name("fqdn"))
}

fn by_entra(cluster: &Value) -> bool {
    cluster["properties"]["aadProfile"].is_object()
}

fn member_token_of(token: Token) -> MemberToken {
    MemberToken { token: token.secret, expires_at: token.expires_at }
}

/// What we need of `{"kubeconfigs": [{"value": <base64 of YAML>}]}`.
#[derive(Debug)]
struct Parts {
    server: String,
    certificate_authority: String,
    token: Option<Secret>,
}

fn parts(body: &Value) -> Result<Parts, &'static str> {
    let encoded = body["kubeconfigs"][0]["value"].as_str().ok_or("that is missing")?;
    let text = decoded(encoded).ok_or("that is not text in base64")?;
    let read: Value = serde_saphyr::from_str(&text).map_err(|_unsaid| "that is not YAML")?;
    let cluster = &read["clusters"][0]["cluster"];
    let certificate_authority = cluster["certificate-authority-data"]
        .as_str()
        .and_then(decoded)
        .ok_or("without a certificate authority")?;
    let server = cluster["server"].as_str().filter(|url| url.starts_with("https://"));
    let server = server.ok_or("without an https server")?.to_owned();
    let token = read["users"][0]["user"]["token"].as_str();
    let token = token.map(|token| Secret::new(token.to_owned()));
    Ok(Parts { server, certificate_authority, token })
}

fn decoded(text: &str) -> Option<String> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    String::from_utf8(bytes).ok()
}

/// Beside the sources: which cloud, which tenant, and in simulation where Entra ID is.
#[derive(Debug, Clone, Default)]
pub struct MemberTokenOptions {
    /// The cloud; absent: the public one.
    pub cloud: Option<AzureCloud>,
    /// The tenant; absent: that of the identity.
    pub tenant_id: Option<String>,
    /// The simulated Entra ID, for [`Source::Fixed`].
    pub endpoint: Option<String>,
}

/// A token for the API of any AKS cluster with Entra ID, for a person's kubectl. No ProviderConfig is needed: environment,
/// workload identity, the machine's managed identity and `az` are tried, in that order.
///
/// # Errors
/// When none of the sources has credentials, or when the first that has some is refused.
pub async fn member_token(
    http: HttpOut,
    credentials: Source,
    clock: Arc<dyn Clock>,
    options: MemberTokenOptions,
) -> Result<MemberToken, CloudError> {
    let cloud = Cloud::of(options.cloud);
    let get = |identity: Identity| {
        let tokens = Tokens::new(identity, Arc::clone(&clock));
        async move { tokens.get(MEMBER_SCOPE).await.map(|(token, _)| member_token_of(token)) }
    };
    let http = match credentials {
        Source::Environment { http } => http,
        Source::Fixed(ClientSecret { tenant_id, client_id, client_secret }) => {
            let tenant_id = options.tenant_id.unwrap_or(tenant_id);
            let secret = ClientSecret { tenant_id, client_id, client_secret };
            let authority = options.endpoint.as_deref().unwrap_or(cloud.authority);
            return get(Identity::Grant(Grant::new(http, authority, secret))).await;
        }
    };
    let named = |client_id: Option<String>| Named {
        tenant_id: options.tenant_id.clone(),
        client_id,
        authority: cloud.authority,
    };
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if is_set("AZURE_CLIENT_SECRET") {
        return get(Identity::Real(Real::environment(http, named(None)))).await;
    }
    if is_set("AZURE_FEDERATED_TOKEN_FILE") {
        return get(Identity::Real(Real::workload(http, named(None)))).await;
    }
    let client_id = std::env::var("AZURE_CLIENT_ID").ok().filter(|id| !id.is_empty());
    let managed = Identity::Real(Real::managed(http.clone(), named(client_id)));
    if let Ok(Ok(token)) = tokio::time::timeout(TRIED_FOR, get(managed)).await {
        return Ok(token);
    }
    get(Identity::Real(Real::cli(http, named(None)))).await.map_err(|error| {
        let words = format!(
            "no identity: AZURE_CLIENT_SECRET and AZURE_FEDERATED_TOKEN_FILE are not set, this machine has no managed identity, and az says: {}",
            error.message
        );
        no_identity(error.class, error.code, &words)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn body(kubeconfig: &str) -> Value {
        json!({"kubeconfigs": [{"name": "clusterUser", "value": STANDARD.encode(kubeconfig)}]})
    }

    #[test]
    fn a_kubeconfig_gives_authority_and_token() {
        let authority = STANDARD.encode("-----BEGIN CERTIFICATE-----\n");
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters:\n- name: shop\n  cluster:\n    certificate-authority-data: {authority}\n    server: https://shop:443\nusers:\n- name: u\n  user:\n    token: hunter2\n"
        );
        let found = parts(&body(&text)).expect("readable");
        assert_eq!(found.certificate_authority, "-----BEGIN CERTIFICATE-----\n");
        assert_eq!(found.server, "https://shop:443");
        assert_eq!(found.token.as_ref().map(Secret::expose), Some("hunter2"));
        let text = format!(
            "{{\"clusters\":[{{\"cluster\":{{\"certificate-authority-data\":\"{authority}\",\"server\":\"https://a\"}}}}],\"users\":[{{\"user\":{{\"exec\":{{}}}}}}]}}"
        );
        let found = parts(&body(&text)).expect("readable");
        assert!(found.token.is_none(), "with Entra ID a program gives the token");
    }

    #[test]
    fn what_is_no_kubeconfig_is_told_without_its_text() {
        let told = |body: &Value| parts(body).expect_err("unreadable");
        assert_eq!(told(&json!({})), "that is missing");
        assert_eq!(told(&json!({"kubeconfigs": [{"value": "%"}]})), "that is not text in base64");
        assert_eq!(told(&body("users: [")), "that is not YAML");
        assert_eq!(told(&body("users: []")), "without a certificate authority");
    }
}
