//! What to do about the Secret, and what to tell of it. Pure.

use std::time::Duration;

use fleetwright_api_types::{ManagedCluster, ObservedRegistration};
use fleetwright_errclass::Class;
use fleetwright_plan::{Held, HubStep, Plan, Problem, Step, Waiting};
use fleetwright_reconcile::{Progress, clip};
use serde_json::Value;

use super::secret::{self, Found};
use super::{Desired, Looked, Place, asked, noted};

/// A look though nothing changed: nobody tells us when somebody changes or removes the Secret.
const IDLE: Duration = Duration::from_secs(300);
/// While somebody else keeps a Secret that is being deleted.
const KEPT: Duration = Duration::from_secs(30);
/// After a write that the next look must confirm.
const SOON: Duration = Duration::from_secs(2);

/// What to do.
pub(super) fn plan(desired: &Desired, found: &Found) -> Plan {
    let Desired { wanted, object, noted, may_go, revoked, .. } = desired;
    let refused = revoked.clone();
    let mut plan = Plan { generation: desired.generation, refused, ..Plan::default() };
    plan.requeue = wanted.as_ref().map(|_| IDLE);
    let put = |object: &Value| Step::Hub(HubStep::PutRegistration { object: object.clone() });
    let Some(noted) = noted else {
        // Nothing was ever written.
        match (wanted, object) {
            // The status forgets first why it was not made known.
            (None, _) => plan.gone = *may_go,
            (Some(_), Some(object)) => {
                let why = "the status to say where".to_owned();
                plan.held.push(Held { step: put(object), why, until: None });
            }
            (Some(_), None) if revoked.is_empty() => plan.waiting.push(connection()),
            (Some(_), None) => {}
        }
        return plan;
    };
    let stays = wanted.as_ref() == Some(noted) && revoked.is_empty();
    match (found, object) {
        (Found::Ours(secret), _) if secret.metadata.deletion_timestamp.is_some() => {
            let Place { namespace, name } = noted;
            let message = format!(
                "secret {namespace}/{name} is being deleted, and a finalizer that is not ours keeps it"
            );
            plan.refused.push(Problem::new("", message));
            plan.requeue = Some(KEPT);
        }
        (Found::Ours(found), Some(object)) if stays => {
            let missing = secret::difference(object, found);
            plan.steps.extend(missing.as_ref().map(put));
        }
        (Found::Nothing, Some(object)) if stays => plan.steps.push(put(object)),
        (Found::Stranger, _) if stays => {
            let Place { namespace, name } = noted;
            let message = format!(
                "secret {namespace}/{name} exists and is not ours; remove it, and the cluster is made known to Argo CD"
            );
            plan.refused.push(Problem::new("spec.registration.argocd", message));
        }
        (Found::Ours(_) | Found::Nothing, None) if stays => plan.waiting.push(connection()),
        (Found::Ours(_), _) => {
            let (namespace, name) = (noted.namespace.clone(), noted.name.clone());
            plan.steps.push(Step::Hub(HubStep::DeleteRegistration { namespace, name }));
            plan.requeue = Some(SOON);
        }
        // Of an object that stays, the status forgets the place first.
        (Found::Nothing | Found::Stranger, _) => plan.gone = wanted.is_none() && *may_go,
    }
    plan
}

fn connection() -> Waiting {
    Waiting::new("a way to the cluster's API, to tell Argo CD", "the controller of ManagedCluster")
}

/// What the status says from now on: where the Secret is or will be, and what is wrong with it.
pub(super) fn told(
    cluster: &ManagedCluster,
    progress: &Progress<Desired, Looked>,
) -> Option<ObservedRegistration> {
    let before = cluster.status.as_ref().and_then(|status| status.registration.clone());
    let desired = progress.desired.as_ref();
    let revoked = desired.map(|desired| desired.revoked.as_slice()).unwrap_or_default();
    // Where it may not be, it is not looked for either: whoever runs us may not even let us read there.
    let wanted = asked(cluster).map(|wanted| match revoked {
        [] => Place::of(wanted, cluster),
        [..] => Place { namespace: String::new(), name: String::new() },
    });
    let place = match (noted(cluster), wanted) {
        (None, wanted) => {
            let known = desired.is_some_and(|desired| desired.object.is_some());
            wanted.filter(|_| known || !revoked.is_empty() || !progress.problems.is_empty())
        }
        (Some(noted), wanted) if wanted.as_ref() == Some(&noted) => wanted,
        (Some(noted), wanted) => match &progress.snapshot {
            Some(Looked(Found::Nothing | Found::Stranger)) => wanted,
            Some(Looked(Found::Ours(_))) | None => Some(noted),
        },
    };
    let Place { namespace, name } = place?;
    let trouble = match &progress.failure {
        Some(failure) if failure.class == Class::Conflict => {
            before.and_then(|before| before.trouble)
        }
        Some(failure) => {
            let mut lines: Vec<String> = revoked.iter().map(ToString::to_string).collect();
            lines.push(failure.message.clone());
            Some(clip(lines.join("; ")))
        }
        None => {
            let refused = progress.plan.as_ref().map_or(&[][..], |plan| &plan.refused);
            let problems = progress.problems.iter().chain(refused);
            let lines: Vec<String> = problems.map(ToString::to_string).collect();
            (!lines.is_empty()).then(|| clip(lines.join("; ")))
        }
    };
    Some(ObservedRegistration { namespace, name, trouble })
}
