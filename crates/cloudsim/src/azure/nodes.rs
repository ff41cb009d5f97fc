//! The machines of an agent pool, as its cluster sees them, and who is let into the cluster.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_apiserver::{AuthError, Authenticator, Identity};
use fleetwright_clock::Clock;
use serde_json::Value;

use super::entra::{AKS_APP, opened};
use super::settle::node_taints;
use super::state::{AksCluster, AksKey, AksPool};
use crate::member::{Hosted, Machine, Machines, Wear};
use crate::sigv4::seal;
use crate::state::{Ledger, digest_hex};
use crate::{AZURE_CLIENT_SECRET, AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID};

/// The label of nodes that names their pool.
pub(super) const POOL_LABEL: &str = "kubernetes.azure.com/agentpool";

impl AksCluster {
    /// The machines that a pool has now; `None`: there is no such pool.
    pub(super) fn machines(&self, name: &str, before: Wear) -> Option<Machines> {
        let pool = self.pools.get(name)?;
        Some(Machines {
            pool: (POOL_LABEL, name.to_owned()),
            nodes: (0..pool.machines).map(|n| node(self, name, pool, n)).collect(),
            now: Wear { labels: pool.labels.clone(), taints: node_taints(&pool.taints) },
            before,
        })
    }

    /// What opens this one cluster without Entra. `who` is `user` or `admin`.
    pub(super) fn local_token(&self, who: &str) -> String {
        seal(AZURE_CLIENT_SECRET, &format!("{who} of {}", self.uid))
    }

    /// Whether people sign in by Entra.
    pub(super) fn has_entra(&self) -> bool {
        self.document["properties"]["aadProfile"].is_object()
    }

    pub(super) fn has_local_accounts(&self) -> bool {
        self.document["properties"]["disableLocalAccounts"] != true
    }
}

/// The Node object of machine `n` of a pool. Its names depend on nothing but the pool, how often it was rolled and `n`,
/// so that writing it twice is writing it once.
fn node(cluster: &AksCluster, name: &str, pool: &AksPool, n: u32) -> Value {
    let id = digest_hex(&format!("{}/{}/{n}", pool.uid, pool.roll), 32);
    let set = format!("aks-{name}-{}-vmss", digest_hex(&pool.uid, 8));
    let instance = pool.roll * 1_000 + n;
    let machine = format!("{set}{instance:06}");
    let node_group = cluster.node_group();
    let zones: Vec<String> =
        serde_json::from_value(pool.document["availabilityZones"].clone()).unwrap_or_default();
    let zone = match zones.get(n as usize % zones.len().max(1)) {
        Some(zone) => format!("{}-{zone}", cluster.location),
        None => "0".to_owned(),
    };
    let windows = pool.text("osType") == "Windows";
    let mut labels = pool.labels.clone();
    for (key, value) in [
        (POOL_LABEL, name),
        ("agentpool", name),
        ("kubernetes.azure.com/cluster", &node_group),
        ("kubernetes.azure.com/mode", &pool.text("mode").to_lowercase()),
        ("node.kubernetes.io/instance-type", pool.text("vmSize")),
        ("topology.kubernetes.io/region", &cluster.location),
        ("topology.kubernetes.io/zone", &zone),
    ] {
        labels.insert(key.to_owned(), value.to_owned());
    }
    let size = pool.text("vmSize");
    // The `p` of `Standard_D4ps_v5` says that the processor is an ARM.
    let arm = size.split('_').nth(1).is_some_and(|size| size.contains('p'));
    let machine = Machine {
        id: &id,
        name: &machine,
        provider_id: format!(
            "azure:///subscriptions/{AZURE_SUBSCRIPTION_ID}/resourceGroups/{}/providers/Microsoft.Compute/\
             virtualMachineScaleSets/{set}/virtualMachines/{instance}",
            node_group.to_lowercase()
        ),
        labels,
        taints: node_taints(&pool.taints),
        system: if windows { "windows" } else { "linux" },
        arch: if arm { "arm64" } else { "amd64" },
        kubelet: format!("v{}", pool.running),
        ready_since: pool.modified_at,
    };
    machine.node()
}

impl Hosted for AksCluster {
    fn member_id(&self) -> String {
        self.key.member_id()
    }

    fn shown_version(&self) -> String {
        format!("v{}", self.running)
    }

    fn authenticator(&self, ledger: Ledger, clock: Arc<dyn Clock>) -> Arc<dyn Authenticator> {
        Arc::new(AksTokens { key: self.key.clone(), ledger, clock })
    }
}

/// Lets in who shows an Entra token for AKS, if the cluster has Entra sign-in; or a token of the cluster's own, as long
/// as it has local accounts. What somebody may do there is believed.
#[derive(Debug)]
struct AksTokens {
    key: AksKey,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Authenticator for AksTokens {
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError> {
        let token = bearer.ok_or(AuthError::Missing)?;
        let refused = |reason: &str| {
            tracing::debug!(cluster = %self.key.member_id(), reason, "token refused");
            AuthError::Rejected
        };
        let cluster = self.ledger.one(&self.key).await;
        let cluster = cluster.map_err(|error| refused(&error.to_string()))?;
        let cluster = cluster.ok_or_else(|| refused("the cluster is gone"))?;
        let admin = |user: String| Identity::system(&user);
        if cluster.has_local_accounts() {
            if token == cluster.local_token("admin") {
                return Ok(admin("masterclient".to_owned()));
            }
            if !cluster.has_entra() && token == cluster.local_token("user") {
                return Ok(admin("masterclient".to_owned()));
            }
        }
        if !cluster.has_entra() {
            return Err(refused("it is no token of this cluster, which has no sign-in by Entra"));
        }
        match opened(token, self.clock.now()) {
            Ok(claims) if claims.aud == AKS_APP && claims.tid == AZURE_TENANT_ID => {
                Ok(admin(claims.oid))
            }
            Ok(_) => Err(refused("the token is for something else")),
            Err(error) => Err(refused(&format!("{error:?}"))),
        }
    }
}
