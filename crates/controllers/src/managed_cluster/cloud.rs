//! One step in the cloud: counted by the fuse before, written down after.

use std::collections::BTreeMap;

use fleetwright_errclass::Class;
use fleetwright_plan::{CloudAction, CloudStep, Goal, Resource};
use fleetwright_provider::{CloudError, Receipt};
use fleetwright_reconcile::{Failure, clip};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Api;
use kube::api::PostParams;

use super::{Desired, ManagedClusterController, cloud_failure, member};
use crate::history::{self, DONE, Line};
use crate::safety::CONTROL_PLANE;

impl ManagedClusterController {
    pub(super) async fn act_in_cloud(
        &self,
        desired: &Desired,
        step: &CloudStep,
    ) -> Result<(), Failure> {
        let Some((_, access)) = &desired.place else {
            let message = format!("{step} without an account to act in");
            return Err(Failure::new(Class::Bug, "NoAccount", message));
        };
        if let Some(what) = counts(desired.goal, step) {
            self.safety.count(&desired.owner, &what, self.clock.now()).await?;
            if step.resource == Resource::Cluster {
                self.tell_leftovers(desired).await;
            }
        }
        let result = desired.cloud.act(access, step).await;
        self.write_down(desired, step, &result).await;
        result.map(drop).map_err(cloud_failure)
    }

    /// The history is for people: that it could not be written is logged and stops nothing.
    async fn write_down(
        &self,
        desired: &Desired,
        step: &CloudStep,
        result: &Result<Receipt, CloudError>,
    ) {
        let said = said(step, result);
        if said.is_empty() {
            return;
        }
        let owner = &desired.owner;
        let at = self.clock.now();
        let line = |(operation, request_id, result): (String, Option<String>, String)| Line {
            at,
            actor: format!("controller of hub {}", owner.hub),
            object: owner.object.to_string(),
            generation: step.generation,
            operation,
            resource: step.resource.to_string(),
            plan: desired.notes.plan.get().cloned().unwrap_or_default(),
            request_id,
            result,
        };
        let lines: Vec<Line> = said.into_iter().map(line).collect();
        let written = history::append(&self.client, &owner.object, owner.uid.as_str(), &lines);
        if let Err(error) = written.await {
            tracing::warn!(object = %owner.object, %error, "the history was not written");
        }
    }

    /// What the cluster made outside itself and leaves behind, in words.
    async fn outside_at_the_end(&self, desired: &Desired) -> Option<String> {
        let over = desired.rules.clean_up_until.is_some_and(|until| until <= self.clock.now());
        let member = desired.member().filter(|_| over)?;
        let wanted = member::Wanted { selectors: BTreeMap::new(), outside: true };
        match member::look(&self.members, &member, &wanted).await.outside {
            Some(left) if left.is_empty() => None,
            Some(left) => {
                let names: Vec<String> = left.into_iter().map(|one| one.what).collect();
                let names = names.join(", ");
                Some(format!(
                    "the control plane goes and these stay behind in the cloud: {names}"
                ))
            }
            None => Some(
                "the control plane goes, and it could not be asked which load balancers, volumes and nodes \
                 it made in the cloud; look for those by hand"
                    .to_owned(),
            ),
        }
    }

    /// Says what stays behind, just before the control plane goes and nobody can ask it any more. While there is time to
    /// clean up nothing stays behind, or we would not be here.
    async fn tell_leftovers(&self, desired: &Desired) {
        let mut lines = desired.abandoned.clone();
        lines.extend(self.outside_at_the_end(desired).await);
        if lines.is_empty() {
            return;
        }
        let message = clip(lines.join("; "));
        tracing::warn!(object = %desired.owner.object, message, "a deletion leaves something behind");
        let event = leftovers(desired, message, self.clock.now());
        let namespace = &desired.owner.object.namespace;
        let api = Api::<Event>::namespaced(self.client.clone(), namespace);
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => tracing::warn!(%error, "nor could an Event tell of it"),
        }
    }
}

/// What counts for the fuse: a control plane, and a pool of a cluster that stays. What goes with its cluster does not.
fn counts(goal: Goal, step: &CloudStep) -> Option<String> {
    if step.action != CloudAction::Delete {
        return None;
    }
    match (&step.resource, goal) {
        (Resource::Cluster, _) => Some(CONTROL_PLANE.to_owned()),
        (Resource::Pool(_), Goal::Present) => Some(step.resource.to_string()),
        (Resource::Pool(_) | Resource::Part(_), _) => None,
    }
}

/// Operation, request id and outcome of each call worth a line.
fn said(
    step: &CloudStep,
    result: &Result<Receipt, CloudError>,
) -> Vec<(String, Option<String>, String)> {
    match result {
        Ok(receipt) => {
            let calls = receipt.calls.iter().cloned();
            calls.map(|(operation, id)| (operation, id, DONE.to_owned())).collect()
        }
        // Somebody else was faster, which happens; we look again and nothing was changed.
        Err(error) if error.class == Class::Conflict => Vec::new(),
        Err(error) => {
            let verb = step.action.verb();
            let operation =
                if error.operation.is_empty() { verb.to_owned() } else { error.operation.clone() };
            let result = format!("{}: {}", error.code, clip(error.message.as_str()));
            vec![(operation, error.request_id.clone(), result)]
        }
    }
}

fn leftovers(desired: &Desired, message: String, now: Timestamp) -> Event {
    let (key, uid) = (&desired.owner.object, &desired.owner.uid);
    // One for each life of the object, however often its deletion is tried.
    let name = format!("{}.leftovers.{}", key.name, uid.as_str());
    Event {
        metadata: ObjectMeta {
            name: Some(name),
            namespace: Some(key.namespace.clone()),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some("fleetwright.dev/v1alpha1".to_owned()),
            kind: Some("ManagedCluster".to_owned()),
            name: Some(key.name.clone()),
            namespace: Some(key.namespace.clone()),
            uid: Some(uid.to_string()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some("Leftovers".to_owned()),
        message: Some(message),
        source: Some(EventSource { component: Some("fleetwright".to_owned()), host: None }),
        reporting_component: Some("fleetwright".to_owned()),
        first_timestamp: Some(Time(now)),
        last_timestamp: Some(Time(now)),
        count: Some(1),
        ..Event::default()
    }
}
