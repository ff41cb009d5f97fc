//! `fleetwright plan`: what would happen to the fleet, as it is or with some files applied, from the controllers' own
//! functions.

mod markdown;
mod outcome;
mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use fleetwright_api_types::{ClusterPolicy, ManagedCluster, ProviderConfig};
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_controllers::Fleet;
use fleetwright_controllers::preview::Preview;
use fleetwright_controllers::safety::Frozen;
use fleetwright_names::ObjectKey;
use fleetwright_reconcile::Failure;
use futures::StreamExt as _;
use k8s_openapi::api::core::v1::Secret;
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

pub use self::outcome::{Entry, Line, Outcome, Totals, What};
use self::told::told;
use crate::apply::merged;
use crate::check::refusals;
use crate::manifest::{Finding, Manifest};

/// Stands for the uid that a new object will get.
const NEW_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The hub did not answer.
    #[error("cannot read the hub's {what}")]
    Hub {
        /// The plural that was listed.
        what: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The hub did not say whether it is frozen.
    #[error("cannot read the hub's safety: {0}")]
    Safety(Failure),
}

/// Secrets, which no debug output shows.
#[derive(Default)]
struct Secrets(Vec<Secret>);

impl Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} Secrets", self.0.len())
    }
}

/// Our objects on a hub, with those of the files over them.
#[derive(Debug, Default)]
pub struct Overlay {
    clusters: BTreeMap<ObjectKey, Arc<ManagedCluster>>,
    policies: BTreeMap<ObjectKey, Arc<ClusterPolicy>>,
    accounts: BTreeMap<ObjectKey, Arc<ProviderConfig>>,
    /// Those of the files: what accounts and clusters name may come with them.
    secrets: Secrets,
    /// Where the declared clusters stand.
    declared: BTreeMap<ObjectKey, Manifest>,
    /// The files hold policies, so that clusters beyond the files are concerned.
    policies_declared: bool,
    /// Accounts in the files: every cluster that uses one is concerned.
    accounts_declared: BTreeSet<ObjectKey>,
    /// What the hub would refuse of the files.
    refused: Vec<Finding>,
    /// There are files at all.
    has_files: bool,
}

impl Overlay {
    /// Whether the files say something about this cluster: itself, its account or a policy. Without files: always.
    fn concerns(&self, key: &ObjectKey, cluster: &ManagedCluster) -> bool {
        let account = ObjectKey::cluster_scoped(&cluster.spec.provider_config_ref.name);
        !self.has_files
            || self.declared.contains_key(key)
            || self.accounts_declared.contains(&account)
            || self.policies_declared && is_reachable(cluster)
    }

    /// Reads the hub (`None`: there is none) and lays checked manifests over it.
    ///
    /// # Errors
    /// When the hub fails.
    pub async fn read(
        hub: Option<&Client>,
        manifests: &[Manifest],
        scheme: &Scheme,
    ) -> Result<Self, PreviewError> {
        let mut overlay = Self { has_files: !manifests.is_empty(), ..Self::default() };
        if let Some(client) = hub {
            overlay.clusters = list(client).await?;
            overlay.policies = list(client).await?;
            overlay.accounts = list(client).await?;
        }
        let refused = &mut overlay.refused;
        for manifest in manifests {
            let kind = manifest.text("/kind");
            let rt = scheme.types().find(|rt| rt.custom && rt.kind == kind);
            match (kind, rt) {
                ("Secret", None) if manifest.text("/apiVersion") == "v1" => {
                    overlay.secrets.0.extend(serde_json::from_value(manifest.object.clone()));
                }
                ("ManagedCluster", Some(rt)) => {
                    if let Some(key) = lay(&mut overlay.clusters, rt, manifest, refused) {
                        overlay.declared.insert(key, manifest.clone());
                    }
                }
                ("ClusterPolicy", Some(rt)) => {
                    overlay.policies_declared |=
                        lay(&mut overlay.policies, rt, manifest, refused).is_some();
                }
                ("ProviderConfig", Some(rt)) => {
                    let laid = lay(&mut overlay.accounts, rt, manifest, refused);
                    overlay.accounts_declared.extend(laid);
                }
                _ => {}
            }
        }
        Ok(overlay)
    }
}

async fn list<K>(client: &Client) -> Result<BTreeMap<ObjectKey, Arc<K>>, PreviewError>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug,
{
    let found = Api::<K>::all(client.clone()).list(&ListParams::default()).await;
    let found = found.map_err(|source| PreviewError::Hub {
        what: K::plural(&()).into_owned(),
        source: Box::new(source),
    })?;
    Ok(found.into_iter().map(|object| (key_of(&object), Arc::new(object))).collect())
}

fn key_of<K: Resource>(object: &K) -> ObjectKey {
    ObjectKey {
        namespace: object.meta().namespace.clone().unwrap_or_default(),
        name: object.meta().name.clone().unwrap_or_default(),
    }
}

/// Lays one manifest over the objects. Checked manifests always fit their type; what does not is left to the hub. What the
/// hub would refuse of an edit, such as another value of an immutable field, is added to `refused`.
fn lay<K>(
    objects: &mut BTreeMap<ObjectKey, Arc<K>>,
    rt: &ResourceType,
    manifest: &Manifest,
    refused: &mut Vec<Finding>,
) -> Option<ObjectKey>
where
    K: Resource<DynamicType = ()> + Serialize + DeserializeOwned,
{
    let key = ObjectKey {
        namespace: manifest.text("/metadata/namespace").to_owned(),
        name: manifest.text("/metadata/name").to_owned(),
    };
    let object = match objects.get(&key).and_then(|found| serde_json::to_value(found.as_ref()).ok())
    {
        Some(found) => {
            let mut object = merged(&found, &manifest.object);
            refused.extend(refusals(rt, (&object, Some(&found)), manifest));
            if object["spec"] != found["spec"] {
                let generation = found["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
                object["metadata"]["generation"] = generation.into();
            }
            object
        }
        None => {
            let mut object = manifest.object.clone();
            object["metadata"]["uid"] = NEW_UID.into();
            object["metadata"]["generation"] = Value::from(1);
            object
        }
    };
    let object = serde_json::from_value(object).ok()?;
    objects.insert(key.clone(), Arc::new(object));
    Some(key)
}

/// Clusters that are looked at together.
const AT_ONCE: usize = 8;

/// Asks the controllers of `fleet` what they would do for the whole fleet. Nothing is written; for certainty `fleet` holds
/// clients that cannot.
///
/// # Errors
/// When the hub fails.
pub async fn foresee(fleet: &Fleet, overlay: &Overlay) -> Result<Outcome, PreviewError> {
    let safety = fleetwright_controllers::safety::state(&fleet.context.client).await;
    let safety = safety.map_err(PreviewError::Safety)?;
    let frozen = safety.frozen.as_ref().map(|frozen| {
        let Frozen { by, reason, since: _ } = frozen;
        format!("{by} says {reason:?}; nothing of this happens before `fleetwright thaw`")
    });
    let accounts = overlay.accounts.values().cloned();
    let policies = overlay.policies.values().cloned();
    let preview = Preview::new(fleet, accounts, policies)
        .with_safety(safety)
        .with_secrets(overlay.secrets.0.iter().cloned());
    let mut findings = overlay.refused.clone();
    for (key, manifest) in &overlay.declared {
        let Some(cluster) = overlay.clusters.get(key) else { continue };
        match preview.problems(Arc::clone(cluster)).await {
            Ok(problems) => {
                let found = problems
                    .iter()
                    .map(|problem| manifest.finding(&problem.field, &problem.message));
                findings.extend(found);
            }
            Err(failure) => findings.push(manifest.finding("", failure.message)),
        }
    }
    if !findings.is_empty() {
        return Ok(Outcome::new(Vec::new(), findings));
    }
    let now = fleet.context.clock.now();
    let looks = overlay.clusters.iter().map(|(key, cluster)| {
        let (preview, concerned) = (&preview, overlay.concerns(key, cluster));
        async move {
            let mut lines = told(&preview.cluster(Arc::clone(cluster)).await, cluster, now);
            if is_reachable(cluster) {
                let on_member = preview.policies(Arc::clone(cluster)).await;
                // What keeps us from looking at all is told once.
                let more = told(&on_member, cluster, now).into_iter();
                let more: Vec<Line> = more.filter(|line| !lines.contains(line)).collect();
                lines.extend(more);
            }
            Entry { cluster: key.to_string(), concerned, lines }
        }
    });
    let entries = futures::stream::iter(looks).buffered(AT_ONCE).collect().await;
    Ok(Outcome { frozen, ..Outcome::new(entries, findings) })
}

/// Whether there is a member to look at.
fn is_reachable(cluster: &ManagedCluster) -> bool {
    cluster.status.as_ref().is_some_and(|status| status.kubeconfig_secret_ref.is_some())
}
