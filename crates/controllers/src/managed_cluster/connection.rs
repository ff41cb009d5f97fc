//! How a member is reached, and the connection Secret that says so: found, planned, written.

use std::collections::BTreeMap;

use fleetwright_api_types::{Connection, MANAGED_BY, ManagedCluster};
use fleetwright_errclass::Class;
use fleetwright_names::{Ownership, sha256_hex};
use fleetwright_plan::{Goal, HubStep, Phase, Plan, Problem, SeenCluster, Snapshot, Step};
use fleetwright_reconcile::Failure;
use fleetwright_render::{
    CONNECTION_TYPE, LABEL_MANAGED_BY, connection_secret, connection_secret_name,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::{Declared, Desired, ManagedClusterController, proxy_url};

/// What bears the name of the connection Secret. Of a stranger's nothing is kept: it may hold a credential.
#[derive(Debug)]
pub(super) enum FoundSecret {
    Nothing,
    Stranger,
    /// Ours, with the data that we compare.
    Ours(Value),
}

impl FoundSecret {
    pub(super) fn read(secret: Option<&Secret>) -> Self {
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
fn is_connection(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(CONNECTION_TYPE)
        && secret.labels().get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY)
}

/// What the Secret says of the way to the member, if it is ours and names the endpoint and the certificate authority that
/// the cloud named: who may write Secrets must not be able to send our tokens elsewhere. A proxy on the way is the
/// object's to choose, since it sees nothing but TLS for that authority.
pub(crate) fn connection_of(cluster: &ManagedCluster, secret: &Secret) -> Option<Connection> {
    let data = secret.data.as_ref().filter(|_| is_connection(secret))?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    let observed = cluster.status.as_ref()?.observed.as_ref()?;
    if observed.belongs_to.is_some() {
        return None;
    }
    let endpoint =
        text("endpoint").filter(|endpoint| observed.endpoint.as_ref() == Some(endpoint))?;
    let digest = observed.certificate_authority_digest.as_ref()?;
    let certificate_authority =
        text("certificate-authority").filter(|authority| sha256_hex(authority) == *digest)?;
    Some(Connection { endpoint, certificate_authority, proxy_url: proxy_url(cluster) })
}

impl Desired {
    /// Whose a cluster with these tags is, if they name another object than ours.
    pub(super) fn belongs_to(&self, tags: &BTreeMap<String, String>) -> Option<String> {
        match self.owner.reads(tags) {
            Ownership::Other(whose) => Some(whose),
            Ownership::Predecessor(uid) => {
                Some(format!("an earlier {} with uid {uid}", self.owner.object))
            }
            Ownership::Ours | Ownership::Released | Ownership::Untagged => None,
        }
    }

    /// How the member is reached, once it is ours and answers. What is only looked at may be nobody's as well, but not
    /// another object's: who may write objects in one namespace must not get at the clusters of another.
    pub(super) fn connection_to(&self, seen: &SeenCluster) -> Option<Connection> {
        let nobodys = || self.observes_only() && self.belongs_to(&seen.tags).is_none();
        let known = self.is_ours(&seen.tags) || nobodys();
        if !known || !matches!(seen.phase, Phase::Active | Phase::Updating) {
            return None;
        }
        Some(Connection {
            endpoint: seen.endpoint.clone()?,
            certificate_authority: seen.certificate_authority.clone()?,
            proxy_url: self.proxy_url.clone(),
        })
    }
}

impl ManagedClusterController {
    pub(super) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Secret that clients shall find, once the cluster can be reached.
    fn connection(&self, desired: &Desired, snapshot: &Snapshot) -> Option<Value> {
        let connection = desired.connection_to(snapshot.cluster.present()?)?;
        let (address, access) = desired.place.as_ref()?;
        let owner = &desired.owner;
        let mut sign_in = vec![format!("--provider={}", address.provider)];
        sign_in.extend(desired.cloud.sign_in(&access.account, address));
        let command = &self.token_command;
        Some(connection_secret(&owner.object, &owner.uid, &sign_in, &connection, command))
    }

    /// Adds what the connection Secret needs to the plan of the cloud.
    pub(super) fn plan_connection(
        &self,
        plan: &mut Plan,
        declared: &Declared,
        desired: &Desired,
        snapshot: &Snapshot,
    ) {
        // Given up, or never begun: the Secret's owner is the object, which goes without us.
        if desired.goal != Goal::Present && desired.place.is_none() && !desired.observes_only() {
            return;
        }
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

    pub(super) async fn act_on_hub(&self, step: &HubStep) -> Result<(), Failure> {
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
            HubStep::PutRegistration { .. } | HubStep::DeleteRegistration { .. } => {
                let message = format!("{step} is not for the controller of ManagedCluster");
                Err(Failure::new(Class::Bug, "WrongController", message))
            }
        }
    }
}
