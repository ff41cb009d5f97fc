//! `ManagedCluster`: one cluster in a cloud.
//!
//! Reads the object, its account and its connection Secret; asks the cloud; lets `plan` decide; acts on cloud and Secret;
//! tells what it saw. `status.rs` has the telling.

mod status;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{
    CONFIRM_DELETE, Connection, DeletionPolicy, FINALIZER_INFRASTRUCTURE, MANAGED_BY,
    ManagedCluster, ProviderConfig,
};
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, ObjectKey, Owner, Ownership, Uid};
use fleetwright_plan::{
    Address, ChangeKind, CloudAction, CloudStep, DesiredCluster, Goal, HubStep, LintError, Phase,
    Plan, Problem, Resource, Seen, SeenCluster, Snapshot, Step, Waiting, lint, plan_cluster,
};
use fleetwright_provider::{Asked, CloudError, Provider};
use fleetwright_reconcile::{Cache, Conditions, Controller, Failure, Progress};
use fleetwright_render::{
    CONNECTION_TYPE, LABEL_MANAGED_BY, connection_secret, connection_secret_name,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use crate::Clouds;

/// The controller of `ManagedCluster`.
pub struct ManagedClusterController {
    /// The hub.
    pub client: Client,
    /// Who this hub is.
    pub hub: HubId,
    /// The providers in use.
    pub clouds: Clouds,
    /// How long an object has been on its way out.
    pub clock: Arc<dyn Clock>,
    /// The accounts.
    pub accounts: Arc<Cache<ProviderConfig>>,
    /// The program that kubeconfigs call for a token, with its first arguments.
    pub token_command: Vec<String>,
}

impl std::fmt::Debug for ManagedClusterController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagedClusterController").field("hub", &self.hub).finish_non_exhaustive()
    }
}

/// A cluster object and all it refers to.
#[derive(Debug)]
pub struct Declared {
    cluster: Arc<ManagedCluster>,
    account: Option<Arc<ProviderConfig>>,
    /// What bears the name of the connection Secret.
    secret: FoundSecret,
    /// How long ago the object was deleted; zero while it is not.
    leaving_for: Duration,
}

/// What bears the name of the connection Secret. Of a stranger's nothing is kept: it may hold a credential.
#[derive(Debug)]
enum FoundSecret {
    Nothing,
    Stranger,
    /// Ours, with the data that we compare.
    Ours(Value),
}

impl FoundSecret {
    fn read(secret: Option<&Secret>) -> Self {
        match secret {
            None => Self::Nothing,
            Some(secret) if is_connection(secret) => {
                Self::Ours(serde_json::to_value(&secret.data).unwrap_or_default())
            }
            Some(_) => Self::Stranger,
        }
    }

    /// Whether it lacks something of what we declare; more keys than ours are none of our business.
    fn lacks(&self, wanted: &Value) -> bool {
        match self {
            Self::Nothing => true,
            Self::Stranger => false,
            Self::Ours(found) => {
                let mut wanted = wanted["data"].as_object().into_iter().flatten();
                wanted.any(|(key, value)| found.get(key) != Some(value))
            }
        }
    }
}

/// Whether a Secret is one of our connection Secrets: by its type, which only we use, and our label.
pub(crate) fn is_connection(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(CONNECTION_TYPE)
        && secret.labels().get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY)
}

/// What is asked of the cloud.
#[derive(Debug)]
pub struct Desired {
    goal: Goal,
    /// What must happen before anything else may.
    hold: Option<Waiting>,
    owner: Owner,
    generation: i64,
    /// `None`: nothing was ever made.
    address: Option<Address>,
    /// `None` when the object is being deleted.
    cluster: Option<DesiredCluster>,
    cloud: Arc<dyn Provider>,
}

/// A failure of a cloud, as the loop wants it.
pub(crate) fn cloud(error: CloudError) -> Failure {
    Failure {
        class: error.class,
        code: error.code.to_owned(),
        message: error.to_string(),
        request_id: error.request_id,
    }
}

/// The key of a cluster object.
pub(crate) fn key_of(cluster: &ManagedCluster) -> ObjectKey {
    ObjectKey::namespaced(cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// The provider block in use: of the status first, since deletion must find what was made.
pub(crate) fn provider_key(cluster: &ManagedCluster) -> Option<&str> {
    let seen = cluster.status.as_ref().and_then(|status| status.provider.as_deref());
    seen.or(cluster.spec.provider())
}

impl ManagedClusterController {
    fn owner(&self, cluster: &ManagedCluster) -> Result<Owner, Problem> {
        let uid = Uid::new(cluster.uid().unwrap_or_default())
            .map_err(|error| Problem::new("metadata.uid", error.to_string()))?;
        Ok(Owner { hub: self.hub.clone(), object: key_of(cluster), uid })
    }

    fn cloud_of(&self, cluster: &ManagedCluster) -> Result<Arc<dyn Provider>, Problem> {
        let key = provider_key(cluster)
            .ok_or_else(|| Problem::new("spec", "exactly one provider block is needed"))?;
        self.clouds.get(key).cloned().ok_or_else(|| {
            Problem::new("status.provider", format!("this program has no provider {key:?}"))
        })
    }

    fn leaving(&self, cluster: &ManagedCluster) -> Result<Desired, Vec<Problem>> {
        let cloud = self.cloud_of(cluster).map_err(|problem| vec![problem])?;
        let goal = match cluster.spec.deletion_policy.unwrap_or(DeletionPolicy::Retain) {
            DeletionPolicy::Retain => Goal::Released,
            DeletionPolicy::Delete => Goal::Absent,
        };
        let hold = (!is_leaving(cluster)).then(|| confirmation(cluster));
        Ok(Desired {
            goal,
            hold,
            owner: self.owner(cluster).map_err(|problem| vec![problem])?,
            generation: cluster.metadata.generation.unwrap_or_default(),
            address: cloud.address(cluster),
            cluster: None,
            cloud,
        })
    }

    fn account<'d>(&self, declared: &'d Declared) -> Result<&'d ProviderConfig, Problem> {
        let name = &declared.cluster.spec.provider_config_ref.name;
        let field = "spec.providerConfigRef.name";
        let account = declared.account.as_deref().ok_or_else(|| {
            Problem::new(field, format!("there is no providerconfigs.fleetwright.dev {name:?}"))
        })?;
        let namespace = declared.cluster.namespace().unwrap_or_default();
        let allowed = account.spec.allowed_namespaces.as_ref();
        if allowed.is_some_and(|allowed| allowed.names.contains(&namespace)) {
            Ok(account)
        } else {
            Err(Problem::new(
                field,
                format!(
                    "{name:?} does not allow namespace {namespace:?}; its owner can add it to spec.allowedNamespaces.names"
                ),
            ))
        }
    }

    /// The Secret that clients shall find, once the cluster can be reached.
    fn connection(&self, desired: &Desired, snapshot: &Snapshot) -> Option<Value> {
        let seen = snapshot.cluster.present()?;
        let ours = desired.owner.reads(&seen.tags) == Ownership::Ours;
        if !ours || !matches!(seen.phase, Phase::Active | Phase::Updating) {
            return None;
        }
        let connection = Connection {
            endpoint: seen.endpoint.clone()?,
            certificate_authority: seen.certificate_authority.clone()?,
        };
        Some(connection_secret(
            &desired.owner.object,
            &desired.owner.uid,
            desired.address.as_ref()?,
            &connection,
            &self.token_command,
        ))
    }

    /// Adds what the connection Secret needs to the plan of the cloud.
    fn plan_connection(
        &self,
        plan: &mut Plan,
        declared: &Declared,
        desired: &Desired,
        snapshot: &Snapshot,
    ) {
        let key = &desired.owner.object;
        let (namespace, name) = (key.namespace.clone(), connection_secret_name(&key.name));
        let step = match (desired.goal, &declared.secret) {
            (Goal::Present, found) => match (self.connection(desired, snapshot), found) {
                (Some(_), FoundSecret::Stranger) => {
                    let what = format!(
                        "secret {namespace}/{name} exists and is not ours; remove or rename it"
                    );
                    plan.refused.push(Problem::new("", what));
                    return;
                }
                (Some(object), found) if found.lacks(&object) => HubStep::PutConnection { object },
                _ => return,
            },
            (Goal::Absent | Goal::Released, FoundSecret::Ours(_)) => {
                HubStep::DeleteConnection { namespace, name }
            }
            (Goal::Absent | Goal::Released, FoundSecret::Nothing | FoundSecret::Stranger) => return,
        };
        // First: who waits for a pool can use the control plane meanwhile, and who leaves is told before the end.
        plan.steps.insert(0, Step::Hub(step));
        plan.gone = false;
        // Look again soon: nobody else would tell that this was the last step.
        plan.requeue = Some(desired.cloud.limits().poll_busy);
    }

    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn act_on_hub(&self, step: &HubStep) -> Result<(), Failure> {
        match step {
            HubStep::PutConnection { object } => {
                let text = |path: &str| {
                    object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
                };
                let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
                let deed = format!("write secret {namespace}/{name}");
                let api = self.secrets(&namespace);
                let wanted: Secret = serde_json::from_value(object.clone())
                    .map_err(|error| Failure::new(Class::Bug, "BadSecret", error.to_string()))?;
                match api.create(&PostParams::default(), &wanted).await {
                    Err(kube::Error::Api(status)) if status.code == 409 => {
                        api.patch(&name, &PatchParams::default(), &Patch::Merge(object)).await
                    }
                    other => other,
                }
                .map(drop)
                .map_err(|error| Failure::kube(&deed, &error))
            }
            HubStep::DeleteConnection { namespace, name } => {
                match self.secrets(namespace).delete(name, &DeleteParams::default()).await {
                    Ok(_) => Ok(()),
                    Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                    Err(error) => {
                        Err(Failure::kube(&format!("delete secret {namespace}/{name}"), &error))
                    }
                }
            }
        }
    }
}

impl ManagedClusterController {
    /// Creations that a plan leaves for later because the control plane is not there yet: its pools.
    pub(crate) fn later(&self, progress: &Progress<Desired, Snapshot>) -> Vec<Step> {
        let (Some(desired), Some(snapshot)) = (&progress.desired, &progress.snapshot) else {
            return Vec::new();
        };
        let (Some(cluster), Some(address)) = (&desired.cluster, &desired.address) else {
            return Vec::new();
        };
        let ready = |seen: &SeenCluster| matches!(seen.phase, Phase::Active | Phase::Updating);
        let unseen = matches!(snapshot.cluster, Seen::Unknown { .. });
        let refused = progress.plan.as_ref().is_some_and(|plan| !plan.refused.is_empty());
        if unseen || refused || snapshot.cluster.present().is_some_and(ready) {
            return Vec::new();
        }
        let changes = desired.cloud.diff(cluster, snapshot).into_iter();
        changes
            .filter(|change| change.resource != Resource::Cluster)
            .filter_map(|change| match change.kind {
                ChangeKind::Create { body } => {
                    Some((change.resource, CloudAction::Create { body }))
                }
                ChangeKind::Delete | ChangeKind::Refused { .. } => None,
            })
            .map(|(resource, action)| {
                let owner = desired.owner.clone();
                Step::Cloud(CloudStep::new(
                    address.clone(),
                    resource,
                    owner,
                    desired.generation,
                    action,
                ))
            })
            .collect()
    }
}

/// Whether the object is being deleted and nobody has to confirm it any more.
pub(crate) fn is_leaving(cluster: &ManagedCluster) -> bool {
    let confirmed = || cluster.annotations().get(CONFIRM_DELETE) == cluster.metadata.uid.as_ref();
    let free = cluster.spec.deletion_policy != Some(DeletionPolicy::Delete);
    cluster.metadata.deletion_timestamp.is_some() && (free || confirmed())
}

fn confirmation(cluster: &ManagedCluster) -> Waiting {
    let uid = cluster.uid().unwrap_or_default();
    let (namespace, name) = (cluster.namespace().unwrap_or_default(), cluster.name_any());
    Waiting::new(
        "the deletion to be confirmed",
        format!(
            "a person: kubectl annotate managedclusters.fleetwright.dev -n {namespace} {name} {CONFIRM_DELETE}={uid}"
        ),
    )
}

#[async_trait]
impl Controller for ManagedClusterController {
    type Object = ManagedCluster;
    type Declared = Declared;
    type Desired = Desired;
    type Snapshot = Snapshot;

    fn name(&self) -> &'static str {
        "managed-cluster"
    }

    fn api(&self, client: &Client, object: &ManagedCluster) -> Api<ManagedCluster> {
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
    }

    fn finalizer(&self) -> Option<&'static str> {
        Some(FINALIZER_INFRASTRUCTURE)
    }

    async fn read(&self, cluster: Arc<ManagedCluster>) -> Result<Declared, Failure> {
        let account = ObjectKey::cluster_scoped(&cluster.spec.provider_config_ref.name);
        let namespace = cluster.namespace().unwrap_or_default();
        let name = connection_secret_name(&cluster.name_any());
        let secret =
            self.secrets(&namespace).get_opt(&name).await.map_err(|error| {
                Failure::kube(&format!("get secret {namespace}/{name}"), &error)
            })?;
        let secret = FoundSecret::read(secret.as_ref());
        let leaving_for = cluster.metadata.deletion_timestamp.as_ref().map(|since| since.0);
        let leaving_for = leaving_for.map(|since| self.clock.now().duration_since(since));
        let leaving_for =
            leaving_for.and_then(|age| Duration::try_from(age).ok()).unwrap_or_default();
        Ok(Declared { account: self.accounts.get(&account), secret, leaving_for, cluster })
    }

    fn validate(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        let cluster = declared.cluster.as_ref();
        if cluster.metadata.deletion_timestamp.is_some() {
            return self.leaving(cluster);
        }
        let cloud = self.cloud_of(cluster).map_err(|problem| vec![problem])?;
        let owner = self.owner(cluster).map_err(|problem| vec![problem])?;
        let account = self.account(declared).map_err(|problem| vec![problem])?;
        let desired = cloud.desire(Asked { cluster, account, owner: &owner })?;
        Ok(Desired {
            goal: Goal::Present,
            hold: None,
            owner,
            generation: desired.generation,
            address: Some(desired.address.clone()),
            cluster: Some(desired),
            cloud,
        })
    }

    async fn observe(&self, desired: &Desired) -> Result<Snapshot, Failure> {
        Ok(match &desired.address {
            Some(address) => desired.cloud.observe(address).await,
            None => Snapshot { cluster: Seen::Absent, pools: std::collections::BTreeMap::new() },
        })
    }

    fn plan(
        &self,
        declared: &Declared,
        desired: &Desired,
        snapshot: &Snapshot,
    ) -> Result<Plan, LintError> {
        let limits = desired.cloud.limits();
        if let Some(hold) = &desired.hold {
            return Ok(Plan {
                generation: desired.generation,
                waiting: vec![hold.clone()],
                ..Plan::default()
            });
        }
        let Some(address) = &desired.address else {
            return Ok(Plan { generation: desired.generation, gone: true, ..Plan::default() });
        };
        let changes = desired
            .cluster
            .as_ref()
            .map(|cluster| desired.cloud.diff(cluster, snapshot))
            .unwrap_or_default();
        let mut plan = plan_cluster(
            desired.goal,
            (&desired.owner, desired.generation),
            address,
            (snapshot, &changes),
            (limits.poll_busy, limits.poll_idle),
        );
        self.plan_connection(&mut plan, declared, desired, snapshot);
        if plan.gone
            && let Some(left) = in_doubt(declared, desired)
        {
            plan.gone = false;
            plan.requeue = Some(left);
            let cloud = desired.cloud.key();
            plan.waiting.push(Waiting::new("a create that may still be on its way", cloud));
        }
        lint(&plan, snapshot)?;
        Ok(plan)
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Cloud(step) => desired.cloud.act(step).await.map_err(cloud),
            Step::Hub(step) => self.act_on_hub(step).await,
            Step::Member(step) => Err(Failure::new(
                Class::Bug,
                "WrongController",
                format!("{step} is not for the controller of ManagedCluster"),
            )),
        }
    }

    fn status(
        &self,
        declared: &Declared,
        progress: &Progress<Desired, Snapshot>,
        conditions: &mut Conditions,
    ) -> Value {
        status::status(declared, progress, conditions)
    }
}

/// How much longer a create that we sent before the deletion may still arrive.
fn in_doubt(declared: &Declared, desired: &Desired) -> Option<Duration> {
    let left = desired.cloud.limits().in_doubt.checked_sub(declared.leaving_for)?;
    (!left.is_zero()).then_some(left)
}
