//! Registration: a cluster is made known to an Argo CD on the hub, by one Secret in that one's namespace.
//!
//! A controller of its own beside that of `ManagedCluster`, with a finalizer of its own: whatever is wrong with an Argo CD
//! holds up neither a cluster nor its end. Where the Secret is to be is noted in the status before it is written, so that
//! it is found again when the declaration has moved on. It holds no credential.
//!
//! In Argo CD's namespace the hub must allow: get, create, patch and delete of Secrets. `registration/rights.rs` says whether
//! the object may be made known at all, `registration/decide.rs` decides and tells, `registration/secret.rs` compares.

mod decide;
mod rights;
mod secret;

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_api_types::{
    ArgoCdRegistration, Connection, FINALIZER_INFRASTRUCTURE, FINALIZER_REGISTRATION,
    ManagedCluster, ObservedRegistration,
};
use fleetwright_errclass::Class;
use fleetwright_names::Owner;
use fleetwright_plan::{HubStep, LintError, Plan, Problem, Step, Waiting};
use fleetwright_provider::Access;
use fleetwright_reconcile::{Conditions, Controller, Failure, Progress};
use fleetwright_render::{
    ArgoCdCluster, argocd_namespace, argocd_secret, argocd_secret_name, connection_secret_name,
    may_be_copied,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use self::secret::Found;
use crate::Clouds;
use crate::accounts::Accounts;
use crate::managed_cluster::{connection_of, is_leaving, key_of, owner_of, provider_key};

/// The controller of `spec.registration`.
pub struct Registrations {
    /// The hub.
    pub client: Client,
    /// The providers in use.
    pub clouds: Clouds,
    /// The accounts.
    pub accounts: Accounts,
}

impl Desired {
    /// Why the object may not be made known at all.
    pub(crate) fn revoked(&self) -> &[Problem] {
        &self.revoked
    }
}

impl std::fmt::Debug for Registrations {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registrations").field("accounts", &self.accounts).finish_non_exhaustive()
    }
}

/// A cluster object, its account, and how its API is reached.
#[derive(Debug)]
pub struct Declared {
    cluster: Arc<ManagedCluster>,
    /// `None`: there is no such account, or nothing is asked of it.
    access: Option<Access>,
    /// `None` until the cluster can be reached.
    connection: Option<Connection>,
}

/// Where a Secret is.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    namespace: String,
    name: String,
}

impl Place {
    fn of(declared: &ArgoCdRegistration, cluster: &ManagedCluster) -> Self {
        let name = argocd_secret_name(&key_of(cluster));
        Self { namespace: argocd_namespace(declared).to_owned(), name }
    }
}

/// What is asked for.
#[derive(Debug)]
pub struct Desired {
    owner: Owner,
    generation: i64,
    /// Where the Secret shall be; `None`: nowhere.
    wanted: Option<Place>,
    /// The Secret, once the cluster can be reached.
    object: Option<Value>,
    /// Why the object may not be made known at all. What was written must go then.
    revoked: Vec<Problem>,
    /// Where it may be.
    noted: Option<Place>,
    /// Once nothing is there, nothing keeps the finalizer: the object goes, or its status names no place any more.
    may_go: bool,
}

/// What bears the name of the Secret, at the place that was noted.
#[derive(Debug)]
pub struct Looked(Found);

/// Whether there is, or may be, anything to do for the object here.
pub(crate) fn concerns(cluster: &ManagedCluster) -> bool {
    declared(cluster).is_some() || told(cluster).is_some() || noted(cluster).is_some()
}

fn declared(cluster: &ManagedCluster) -> Option<&ArgoCdRegistration> {
    cluster.spec.registration.as_ref()?.argocd.as_ref()
}

/// What keeps an object of which nothing is left in the cloud: Argo CD's Secret, if it cannot be taken back. Only told.
pub(crate) fn still_registered(cluster: &ManagedCluster) -> Option<Waiting> {
    let held = |finalizer: &str| cluster.finalizers().iter().any(|held| held == finalizer);
    if held(FINALIZER_INFRASTRUCTURE) || !held(FINALIZER_REGISTRATION) {
        return None;
    }
    let trouble = cluster.status.as_ref()?.registration.as_ref()?.trouble.clone()?;
    Some(Waiting::new("the cluster to be taken out of Argo CD", trouble))
}

/// What is declared, as long as the object is not on its way out.
fn asked(cluster: &ManagedCluster) -> Option<&ArgoCdRegistration> {
    declared(cluster).filter(|_| !is_leaving(cluster))
}

/// Where the Secret may be: as noted, or, where the note was lost, where it would be.
fn noted(cluster: &ManagedCluster) -> Option<Place> {
    let Some(told) = told(cluster) else {
        let held = cluster.finalizers().iter().any(|held| held == FINALIZER_REGISTRATION);
        let anywhere = ArgoCdRegistration::default();
        return held.then(|| Place::of(declared(cluster).unwrap_or(&anywhere), cluster));
    };
    // Without a name: nowhere, and only why is told.
    let place = || Place { namespace: told.namespace.clone(), name: told.name.clone() };
    (!told.name.is_empty()).then(place)
}

fn told(cluster: &ManagedCluster) -> Option<&ObservedRegistration> {
    cluster.status.as_ref()?.registration.as_ref()
}

/// The Secret, once the cluster can be reached through an account that the object may use.
fn object(
    clouds: &Clouds,
    declared: &Declared,
    (owner, wanted): (&Owner, &ArgoCdRegistration),
) -> Result<Option<Value>, Problem> {
    let cluster = declared.cluster.as_ref();
    let (Some(access), Some(connection)) = (&declared.access, &declared.connection) else {
        return Ok(None);
    };
    let Some(cloud) = provider_key(cluster).and_then(|key| clouds.get(key)) else {
        return Ok(None);
    };
    let Some(address) = cloud.address(cluster) else { return Ok(None) };
    let sign_in = cloud.argocd(&access.account, wanted, &address);
    if sign_in.is_null() {
        let message = format!(
            "Argo CD cannot sign in to a cluster of provider {:?} by itself, and no credential of ours is handed out",
            cloud.key()
        );
        return Err(Problem::new("spec.registration.argocd", message));
    }
    Ok(Some(argocd_secret(ArgoCdCluster {
        owner,
        declared: wanted,
        labels: cluster.labels(),
        connection,
        sign_in: &sign_in,
    })))
}

fn forbidden_labels(wanted: &ArgoCdRegistration) -> Vec<Problem> {
    let numbered = wanted.copy_labels.iter().enumerate();
    let forbidden = numbered.filter(|(_, label)| !may_be_copied(label));
    let problem = |(number, label): (usize, &String)| {
        let message =
            format!("{label:?} has a meaning of its own on Argo CD's Secret and is not copied");
        Problem::new(format!("spec.registration.argocd.copyLabels[{number}]"), message)
    };
    forbidden.map(problem).collect()
}

impl Registrations {
    fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    async fn get(&self, place: &Place) -> Result<Option<Secret>, Failure> {
        let Place { namespace, name } = place;
        let deed = format!("get Argo CD's cluster secret {namespace}/{name}");
        let found = self.secrets(namespace).get_opt(name).await;
        found.map_err(|error| Failure::kube(&deed, &error))
    }

    /// Reads the object anew: a decision over a stale cache must not make known again what was taken back meanwhile.
    async fn still_asked(&self, desired: &Desired) -> Result<(), Failure> {
        let key = &desired.owner.object;
        let api = Api::<ManagedCluster>::namespaced(self.client.clone(), &key.namespace);
        let found = api.get_opt(&key.name).await;
        let found = found.map_err(|error| Failure::kube(&format!("get {key}"), &error))?;
        let same = found.is_some_and(|cluster| {
            cluster.uid().as_deref() == Some(desired.owner.uid.as_str())
                && cluster.metadata.generation.unwrap_or_default() == desired.generation
                && noted(&cluster) == desired.noted
                && asked(&cluster).is_some()
        });
        let lost = || Failure::new(Class::Conflict, "Conflict", format!("{key} changed meanwhile"));
        same.then_some(()).ok_or_else(lost)
    }

    async fn put(&self, object: &Value) -> Result<(), Failure> {
        let text = |path: &str| {
            object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
        let deed = format!("write Argo CD's cluster secret {namespace}/{name}");
        let api = self.secrets(&namespace);
        if object.pointer("/metadata/resourceVersion").is_some() {
            let patched = api.patch(&name, &PatchParams::default(), &Patch::Merge(object)).await;
            return patched.map(drop).map_err(|error| Failure::kube(&deed, &error));
        }
        let wanted: Secret = serde_json::from_value(object.clone())
            .map_err(|error| Failure::new(Class::Bug, "BadSecret", error.to_string()))?;
        match api.create(&PostParams::default(), &wanted).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => {
                let message = format!(
                    "cannot {deed}: there is no namespace {namespace:?}; install Argo CD, or name its namespace in spec.registration.argocd.namespace"
                );
                Err(Failure::new(Class::Refused, "NamespaceMissing", message))
            }
            Err(error) => Err(Failure::kube(&deed, &error)),
        }
    }

    /// Deletes the Secret that is ours, and not one that took its place meanwhile.
    async fn delete(&self, desired: &Desired, place: &Place) -> Result<(), Failure> {
        let Some(found) = self.get(place).await? else { return Ok(()) };
        if !secret::is_ours(&found, &desired.owner) {
            return Ok(());
        }
        let preconditions = Preconditions { uid: found.uid(), ..Preconditions::default() };
        let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
        match self.secrets(&place.namespace).delete(&place.name, &params).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => {
                let Place { namespace, name } = place;
                let deed = format!("delete Argo CD's cluster secret {namespace}/{name}");
                Err(Failure::kube(&deed, &error))
            }
        }
    }
}

#[async_trait]
impl Controller for Registrations {
    type Object = ManagedCluster;
    type Declared = Declared;
    type Desired = Desired;
    type Snapshot = Looked;

    fn name(&self) -> &'static str {
        "registration"
    }

    fn api(&self, client: &Client, object: &ManagedCluster) -> Api<ManagedCluster> {
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
    }

    fn finalizer(&self) -> Option<&'static str> {
        Some(FINALIZER_REGISTRATION)
    }

    /// The controller of `ManagedCluster` does.
    fn echoes_reconcile_now(&self) -> bool {
        false
    }

    async fn read(&self, cluster: Arc<ManagedCluster>) -> Result<Declared, Failure> {
        if asked(&cluster).is_none() {
            return Ok(Declared { cluster, access: None, connection: None });
        }
        let namespace = cluster.namespace().unwrap_or_default();
        let name = connection_secret_name(&cluster.name_any());
        let secret = self.secrets(&namespace).get_opt(&name).await;
        let secret = secret
            .map_err(|error| Failure::kube(&format!("get secret {namespace}/{name}"), &error))?;
        Ok(Declared {
            access: self.accounts.access(&cluster, &self.clouds).await?,
            connection: secret.as_ref().and_then(|secret| connection_of(&cluster, secret)),
            cluster,
        })
    }

    fn validate(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        let cluster = declared.cluster.as_ref();
        let owner = owner_of(cluster, self.accounts.hub()).map_err(|problem| vec![problem])?;
        let wanted = asked(cluster);
        let access = declared.access.as_ref();
        let mut revoked =
            wanted.map(|wanted| rights::revoked(cluster, access, wanted)).unwrap_or_default();
        let mut problems = wanted.map(forbidden_labels).unwrap_or_default();
        let allowed = wanted.filter(|_| revoked.is_empty());
        let object = allowed.map(|wanted| object(&self.clouds, declared, (&owner, wanted)));
        let object = object.transpose().unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        // What is merely written wrong leaves what is there as it is; a right that is gone does not.
        if !problems.is_empty() && revoked.is_empty() {
            return Err(problems);
        }
        revoked.append(&mut problems);
        Ok(Desired {
            owner,
            generation: cluster.metadata.generation.unwrap_or_default(),
            wanted: wanted.map(|wanted| Place::of(wanted, cluster)),
            object: object.flatten(),
            revoked,
            noted: noted(cluster),
            may_go: cluster.metadata.deletion_timestamp.is_some() || told(cluster).is_none(),
        })
    }

    async fn observe(&self, desired: &Desired) -> Result<Looked, Failure> {
        let Some(place) = &desired.noted else { return Ok(Looked(Found::Nothing)) };
        let found = self.get(place).await?;
        Ok(Looked(Found::read(found, &desired.owner)))
    }

    fn plan(&self, _: &Declared, desired: &Desired, looked: &Looked) -> Result<Plan, LintError> {
        Ok(decide::plan(desired, &looked.0))
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Hub(HubStep::PutRegistration { object }) => {
                self.still_asked(desired).await?;
                self.put(object).await
            }
            Step::Hub(HubStep::DeleteRegistration { namespace, name }) => {
                let place = Place { namespace: namespace.clone(), name: name.clone() };
                self.delete(desired, &place).await
            }
            Step::Hub(_) | Step::Cloud(_) | Step::Member(_) => {
                let message = format!("{step} is not for the registration");
                Err(Failure::new(Class::Bug, "WrongController", message))
            }
        }
    }

    fn status(
        &self,
        declared: &Declared,
        progress: &Progress<Desired, Looked>,
        conditions: &mut Conditions,
    ) -> Value {
        let mut status = declared.cluster.status.clone().unwrap_or_default();
        status.registration = decide::told(&declared.cluster, progress);
        status.conditions = conditions.clone().into_list();
        serde_json::to_value(&status).unwrap_or_default()
    }
}
