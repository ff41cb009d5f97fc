//! The real identities, as Azure's own library signs in: environment, workload identity, managed identity, secret, `az`.
//!
//! A credential is made anew for each token, so that a renewed file or secret counts at once; what it gives is kept by
//! [`super::Tokens`].

use std::sync::Arc;

use azure_core1::cloud::{CloudConfiguration, CustomConfiguration};
use azure_core1::credentials::{Secret as AzureSecret, TokenCredential};
use azure_core1::http::{ClientOptions, RetryOptions, Transport};
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientAssertionCredentialOptions,
    ClientSecretCredential, ClientSecretCredentialOptions, ManagedIdentityCredential,
    ManagedIdentityCredentialOptions, UserAssignedId, WorkloadIdentityCredential,
    WorkloadIdentityCredentialOptions,
};
use fleetwright_errclass::Class;
use fleetwright_provider::{CloudError, HttpOut, Secret};
use jiff::Timestamp;

use super::Token;
use super::adapter::OverHttpOut;
use crate::ClientSecret;
use crate::error::{credential_error, no_identity};
use crate::wire::ATTEMPT_TIMEOUT;

/// What an account says of its identity.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    pub(crate) tenant_id: Option<String>,
    pub(crate) client_id: Option<String>,
    /// Entra ID of its cloud.
    pub(crate) authority: &'static str,
}

#[derive(Debug, Clone)]
enum Kind {
    Secret(ClientSecret),
    Environment,
    Workload,
    Managed,
    Cli,
}

/// An identity outside of Fleetwright.
#[derive(Debug, Clone)]
pub(crate) struct Real {
    http: HttpOut,
    named: Named,
    kind: Kind,
}

impl Real {
    /// An application whose secret we have.
    pub(crate) fn secret(http: HttpOut, named: Named, secret: ClientSecret) -> Self {
        Self { http, named, kind: Kind::Secret(secret) }
    }

    /// `AZURE_TENANT_ID`, `AZURE_CLIENT_ID` and `AZURE_CLIENT_SECRET`.
    pub(crate) fn environment(http: HttpOut, named: Named) -> Self {
        Self { http, named, kind: Kind::Environment }
    }

    /// The token in `AZURE_FEDERATED_TOKEN_FILE`.
    pub(crate) fn workload(http: HttpOut, named: Named) -> Self {
        Self { http, named, kind: Kind::Workload }
    }

    /// The identity of the machine.
    pub(crate) fn managed(http: HttpOut, named: Named) -> Self {
        Self { http, named, kind: Kind::Managed }
    }

    /// Who is signed in to `az`.
    pub(crate) fn cli(http: HttpOut, named: Named) -> Self {
        Self { http, named, kind: Kind::Cli }
    }

    /// A token for `scope`, straight from the source.
    ///
    /// # Errors
    /// When it gives none.
    pub(crate) async fn token(&self, scope: &str) -> Result<Token, CloudError> {
        let credential = self.credential()?;
        let scopes = [scope];
        let asked = credential.get_token(&scopes, None);
        let Ok(answer) = tokio::time::timeout(ATTEMPT_TIMEOUT, asked).await else {
            let words = "the source of the identity gave no answer in time; we ask again later";
            return Err(no_identity(Class::Transient, "Timeout", words));
        };
        let token = answer.map_err(|error| credential_error(&error))?;
        let expires_at = Timestamp::from_second(token.expires_on.unix_timestamp());
        let Ok(expires_at) = expires_at else {
            let words = "the token ends at a time that is none; we ask again later";
            return Err(no_identity(Class::Transient, "Unreadable", words));
        };
        Ok(Token { secret: Secret::new(token.token.secret().to_owned()), expires_at })
    }

    fn credential(&self) -> Result<Arc<dyn TokenCredential>, CloudError> {
        let Named { tenant_id, client_id, .. } = self.named.clone();
        let made: azure_core1::Result<Arc<dyn TokenCredential>> = match &self.kind {
            Kind::Secret(secret) => self.by_secret(secret),
            Kind::Environment => {
                let secret = ClientSecret {
                    tenant_id: tenant_id.map_or_else(|| variable("AZURE_TENANT_ID"), Ok)?,
                    client_id: client_id.map_or_else(|| variable("AZURE_CLIENT_ID"), Ok)?,
                    client_secret: Secret::new(variable("AZURE_CLIENT_SECRET")?),
                };
                self.by_secret(&secret)
            }
            Kind::Workload => {
                let client_options = self.options();
                let options = WorkloadIdentityCredentialOptions {
                    credential_options: ClientAssertionCredentialOptions { client_options },
                    client_id,
                    tenant_id,
                    token_file_path: None,
                };
                WorkloadIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            Kind::Managed => {
                let options = ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.map(UserAssignedId::ClientId),
                    client_options: self.options(),
                };
                ManagedIdentityCredential::new(Some(options)).map(|made| made as _)
            }
            Kind::Cli => {
                let options = AzureCliCredentialOptions { tenant_id, ..Default::default() };
                AzureCliCredential::new(Some(options)).map(|made| made as _)
            }
        };
        made.map_err(|error| credential_error(&error))
    }

    fn by_secret(&self, secret: &ClientSecret) -> azure_core1::Result<Arc<dyn TokenCredential>> {
        let options = ClientSecretCredentialOptions { client_options: self.options() };
        let client_secret = AzureSecret::new(secret.client_secret.expose().to_owned());
        let client_id = secret.client_id.clone();
        ClientSecretCredential::new(&secret.tenant_id, client_id, client_secret, Some(options))
            .map(|made| made as _)
    }

    /// Our way out, no retries, the authority of the account's cloud.
    fn options(&self) -> ClientOptions {
        let mut cloud = CustomConfiguration::default();
        self.named.authority.clone_into(&mut cloud.authority_host);
        ClientOptions {
            transport: Some(Transport::new(Arc::new(OverHttpOut(self.http.clone())))),
            retry: RetryOptions::none(),
            cloud: Some(Arc::new(CloudConfiguration::Custom(cloud))),
            ..Default::default()
        }
    }
}

fn variable(name: &str) -> Result<String, CloudError> {
    let found = std::env::var(name).ok().filter(|text| !text.trim().is_empty());
    found.ok_or_else(|| {
        let words = format!("{name} is not set in Fleetwright's own environment; set it");
        no_identity(Class::Refused, "CredentialsMissing", &words)
    })
}
