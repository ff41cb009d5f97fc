//! Accounts: a ProviderConfig and the Secret that it names, as the providers want them.

use std::collections::BTreeMap;
use std::sync::Arc;

use fleetwright_api_types::{ManagedCluster, ProviderConfig, SYSTEM_NAMESPACE};
use fleetwright_names::{HubId, ObjectKey};
use fleetwright_provider::{Access, Secret as SecretText};
use fleetwright_reconcile::{Cache, Failure};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt as _};

use crate::Clouds;
use crate::managed_cluster::{account_name, provider_key};

/// Where accounts are found.
#[derive(Clone)]
pub struct Accounts {
    client: Client,
    hub: HubId,
    cache: Arc<Cache<ProviderConfig>>,
    /// Secrets that are declared and not on the hub yet; for previews.
    declared: Arc<BTreeMap<ObjectKey, Secret>>,
}

impl std::fmt::Debug for Accounts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Accounts").field("hub", &self.hub).finish_non_exhaustive()
    }
}

impl Accounts {
    /// The accounts of `cache`, spoken to as `hub`.
    #[must_use]
    pub fn new(client: Client, hub: HubId, cache: Arc<Cache<ProviderConfig>>) -> Self {
        Self { client, hub, cache, declared: Arc::default() }
    }

    /// With these Secrets laid over those of the hub.
    pub(crate) fn with_secrets(self, secrets: impl IntoIterator<Item = Secret>) -> Self {
        let key = |secret: &Secret| {
            ObjectKey::namespaced(secret.namespace().unwrap_or_default(), secret.name_any())
        };
        let declared = secrets.into_iter().map(|secret| (key(&secret), secret)).collect();
        Self { declared: Arc::new(declared), ..self }
    }

    /// Who this hub is.
    #[must_use]
    pub const fn hub(&self) -> &HubId {
        &self.hub
    }

    /// The way to the account of `cluster`; `None` when there is no such ProviderConfig. Its Secret, and those in the cluster's
    /// namespace that the cluster names, are read anew each time, so a rotated key is used at once; a Secret that is not
    /// there is the provider's to tell.
    ///
    /// # Errors
    /// When the hub's API does not give a Secret.
    pub async fn access(
        &self,
        cluster: &ManagedCluster,
        clouds: &Clouds,
    ) -> Result<Option<Access>, Failure> {
        let Some(account) = self.cache.get(&ObjectKey::cluster_scoped(account_name(cluster)))
        else {
            return Ok(None);
        };
        let secret = match account.spec.secret_ref() {
            Some(named) => self.secret(SYSTEM_NAMESPACE, &named.name).await?,
            None => None,
        };
        let namespace = cluster.namespace().unwrap_or_default();
        let cloud = provider_key(cluster).and_then(|key| clouds.get(key));
        let mut own_secrets = BTreeMap::new();
        for name in cloud.map(|cloud| cloud.secrets(cluster)).unwrap_or_default() {
            if let Some(data) = self.secret(&namespace, &name).await? {
                own_secrets.insert(name, data);
            }
        }
        let hub = self.hub.clone();
        Ok(Some(Access { account, hub, namespace, secret, own_secrets }))
    }

    async fn secret(
        &self,
        namespace: &str,
        name: &str,
    ) -> Result<Option<BTreeMap<String, SecretText>>, Failure> {
        let api = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let deed = || format!("get secret {namespace}/{name}");
        let found = api.get_opt(name).await.map_err(|error| Failure::kube(&deed(), &error))?;
        let declared = self.declared.get(&ObjectKey::namespaced(namespace, name));
        let both: Vec<Secret> = found.into_iter().chain(declared.cloned()).collect();
        Ok((!both.is_empty()).then(|| both.into_iter().flat_map(texts).collect()))
    }
}

/// Credentials are text; what is not is as good as missing. As an API server would, `stringData` comes after `data`.
fn texts(secret: Secret) -> impl Iterator<Item = (String, SecretText)> {
    let data = secret.data.unwrap_or_default().into_iter();
    let data = data.filter_map(|(key, value)| Some((key, String::from_utf8(value.0).ok()?)));
    let plain = secret.string_data.unwrap_or_default();
    data.chain(plain).map(|(key, text)| (key, SecretText::new(text)))
}

/// Whether the objects of `namespace` may use the account. Absent or empty means nobody.
pub(crate) fn allows(account: &ProviderConfig, namespace: &str) -> bool {
    let allowed = account.spec.allowed_namespaces.as_ref();
    allowed.is_some_and(|allowed| allowed.names.iter().any(|name| name == namespace))
}

/// Whether two ways to an account are the same, so that a token made through one is as good as through the other.
pub(crate) fn same(one: &Access, other: &Access) -> bool {
    let key = |access: &Access| {
        let meta = &access.account.metadata;
        let spec = &access.account.spec;
        (
            meta.name.clone(),
            meta.uid.clone(),
            spec.aws.clone(),
            spec.azure.clone(),
            spec.ssh.clone(),
        )
    };
    key(one) == key(other)
        && one.secret == other.secret
        && one.own_secrets == other.own_secrets
        && one.namespace == other.namespace
}
