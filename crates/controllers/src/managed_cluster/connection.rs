//! The connection Secret of a cluster: found, planned, written.

use fleetwright_api_types::MANAGED_BY;
use fleetwright_errclass::Class;
use fleetwright_plan::{Goal, HubStep, Plan, Problem, Snapshot, Step};
use fleetwright_reconcile::Failure;
use fleetwright_render::{
    CONNECTION_TYPE, LABEL_MANAGED_BY, connection_secret, connection_secret_name,
};
use k8s_openapi::api::core::v1::Secret;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt};
use serde_json::Value;

use super::{Declared, Desired, ManagedClusterController};

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
pub(crate) fn is_connection(secret: &Secret) -> bool {
    secret.type_.as_deref() == Some(CONNECTION_TYPE)
        && secret.labels().get(LABEL_MANAGED_BY).is_some_and(|by| by == MANAGED_BY)
}

impl ManagedClusterController {
    pub(super) fn secrets(&self, namespace: &str) -> Api<Secret> {
        Api::namespaced(self.client.clone(), namespace)
    }

    /// The Secret that clients shall find, once the cluster can be reached.
    fn connection(&self, desired: &Desired, snapshot: &Snapshot) -> Option<Value> {
        let connection = desired.connection_to(snapshot.cluster.present()?)?;
        let (address, _) = desired.place.as_ref()?;
        let owner = &desired.owner;
        let command = &self.token_command;
        Some(connection_secret(&owner.object, &owner.uid, address, &connection, command))
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
        }
    }
}
