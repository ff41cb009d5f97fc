//! One reconcile: read, validate, observe, plan, act, status.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::{Condition, ConditionStatus, ConditionType};
use fleetwright_clock::{Clock, Ids};
use fleetwright_errclass::Class;
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tracing::Instrument;

use crate::events::{self, Happening};
use crate::{Conditions, Controller, Failure, Progress, status};

/// What every reconcile needs.
#[derive(Clone)]
pub struct Context {
    /// The hub.
    pub client: Client,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub ids: Arc<dyn Ids>,
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context").field("clock", &self.clock).finish_non_exhaustive()
    }
}

/// What the loop does with the key next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// When to look again though nothing changed.
    pub requeue: Option<Duration>,
    /// The class of what went wrong.
    pub failed: Option<Class>,
}

/// Runs one reconcile of `object` to its status patch.
pub async fn once<C>(controller: &C, context: &Context, object: Arc<C::Object>) -> Verdict
where
    C: Controller,
{
    let span = tracing::info_span!(
        "reconcile",
        controller = controller.name(),
        namespace = object.namespace().unwrap_or_default(),
        name = object.name_any(),
        generation = object.meta().generation.unwrap_or_default(),
    );
    run(controller, context, object).instrument(span).await
}

async fn run<C>(controller: &C, context: &Context, object: Arc<C::Object>) -> Verdict
where
    C: Controller,
{
    let api = controller.api(&context.client, object.as_ref());
    let declared = match controller.read(Arc::clone(&object)).await {
        Ok(declared) => declared,
        Err(failure) => return unread(context, &api, &object, failure).await,
    };
    let mut progress = Progress::default();
    let mut current = Arc::unwrap_or_clone(object);
    let mut happenings = Vec::new();
    steps(controller, (&api, &mut current), &declared, &mut progress, &mut happenings).await;

    let finished =
        progress.plan.as_ref().is_some_and(|plan| plan.gone) && progress.failure.is_none();
    let write = if finished {
        remove_finalizer(controller, &api, &current).await
    } else {
        let before = status_of(&current);
        let listed = conditions_of(&before);
        let generation = current.meta().generation;
        let mut conditions = Conditions::new(listed.clone(), generation, context.clock.now());
        let after = controller.status(&declared, &progress, &mut conditions);
        let write = status::write(&api, &current, &before, &after).await.map(drop);
        // A change that was not written did not happen; it is told when it is.
        if write.is_ok() {
            happenings.extend(events::by_difference(&listed, &conditions_of(&after)));
        }
        write
    };
    events::post(&context.client, &current, context.clock.now(), happenings).await;
    verdict(&progress, write)
}

/// What the object refers to could not be read: says so, as far as the hub still answers.
async fn unread<K>(context: &Context, api: &Api<K>, object: &K, failure: Failure) -> Verdict
where
    K: Resource<DynamicType = ()> + Clone + Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    tracing::warn!(class = failure.class.as_str(), error = %failure, "cannot read what is declared");
    let before = status_of(object);
    let generation = object.meta().generation;
    let mut conditions = Conditions::new(conditions_of(&before), generation, context.clock.now());
    conditions.set(ConditionType::Synced, ConditionStatus::Unknown, "ReadFailed", &failure.message);
    let mut after = before.clone();
    after["conditions"] = serde_json::to_value(conditions.into_list()).unwrap_or_default();
    if let Err(error) = status::write(api, object, &before, &after).await {
        tracing::debug!(%error, "nor could that be told");
    }
    failed(&failure)
}

/// Reads and decides, and does nothing: a reconcile up to its plan. `fleetwright plan` shows this, so it cannot lie.
pub async fn preview<C>(controller: &C, object: Arc<C::Object>) -> Progress<C::Desired, C::Snapshot>
where
    C: Controller,
{
    let mut progress = Progress::default();
    match controller.read(object).await {
        Ok(declared) => decide(controller, &declared, &mut progress).await,
        Err(failure) => progress.failure = Some(failure),
    }
    progress
}

/// Validate to plan; whatever happens is left in `progress`.
async fn decide<C>(
    controller: &C,
    declared: &C::Declared,
    progress: &mut Progress<C::Desired, C::Snapshot>,
) where
    C: Controller,
{
    let desired = match controller.validate(declared) {
        Ok(desired) => progress.desired.insert(desired),
        Err(problems) => {
            progress.problems = problems;
            return;
        }
    };
    let snapshot = match controller.observe(desired).await {
        Ok(snapshot) => progress.snapshot.insert(snapshot),
        Err(failure) => {
            progress.failure = Some(failure);
            return;
        }
    };
    match controller.plan(declared, desired, snapshot) {
        Ok(plan) => progress.plan = Some(plan),
        Err(error) => {
            tracing::error!(%error, "the plan was refused by the lint");
            progress.failure = Some(Failure::new(Class::Bug, "PlanRejected", error.to_string()));
        }
    }
}

/// Validate to act; whatever happens is left in `progress`.
async fn steps<C>(
    controller: &C,
    (api, current): (&Api<C::Object>, &mut C::Object),
    declared: &C::Declared,
    progress: &mut Progress<C::Desired, C::Snapshot>,
    happenings: &mut Vec<Happening>,
) where
    C: Controller,
{
    decide(controller, declared, progress).await;
    let (Some(desired), Some(plan)) = (&progress.desired, &progress.plan) else { return };
    if plan.steps.is_empty() {
        return;
    }
    match hold_finalizer(controller, api, current).await {
        Ok(Some(held)) => *current = held,
        Ok(None) => {}
        Err(failure) => {
            progress.failure = Some(failure);
            return;
        }
    }
    for (number, step) in plan.steps.iter().enumerate() {
        tracing::info!(%step, "act");
        let Err(failure) = controller.act(desired, step).await else {
            let (reason, message) = (step.event().to_owned(), step.to_string());
            happenings.push(Happening { warning: false, reason, message });
            progress.done.push(number);
            continue;
        };
        match failure.class {
            Class::Conflict => tracing::debug!(%step, error = %failure, "a step lost a race"),
            class => {
                tracing::warn!(%step, class = class.as_str(), error = %failure, "a step failed")
            }
        }
        // A step that is refused holds up only itself; after anything else we must look before we go on.
        let go_on = matches!(failure.class, Class::Invalid | Class::Refused);
        progress.failure.get_or_insert(failure);
        if !go_on {
            return;
        }
    }
}

/// Takes the finalizer just before the first side effect. Fails, and so stops the side effect, when the object changed
/// or is gone since it was read: a stale cache must not make a cloud resource for an object that nobody has.
async fn hold_finalizer<C: Controller>(
    controller: &C,
    api: &Api<C::Object>,
    object: &C::Object,
) -> Result<Option<C::Object>, Failure> {
    let Some(finalizer) = controller.finalizer() else {
        return Ok(None);
    };
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    if finalizers.iter().any(|held| held == finalizer) {
        return Ok(None);
    }
    if object.meta().deletion_timestamp.is_some() {
        return Err(Failure::new(
            Class::Conflict,
            "Deleting",
            "the object is being deleted, so nothing new is made for it",
        ));
    }
    finalizers.push(finalizer.to_owned());
    set_finalizers(api, object, &finalizers).await.map(Some)
}

async fn remove_finalizer<C: Controller>(
    controller: &C,
    api: &Api<C::Object>,
    object: &C::Object,
) -> Result<(), Failure> {
    let Some(finalizer) = controller.finalizer() else {
        return Ok(());
    };
    let mut finalizers = object.meta().finalizers.clone().unwrap_or_default();
    let before = finalizers.len();
    finalizers.retain(|held| held != finalizer);
    if finalizers.len() == before {
        return Ok(());
    }
    tracing::info!(finalizer, "nothing of ours is left; letting the object go");
    match set_finalizers(api, object, &finalizers).await {
        Ok(_) => Ok(()),
        Err(failure) if failure.code == "NotFound" => Ok(()),
        Err(failure) => Err(failure),
    }
}

async fn set_finalizers<K>(api: &Api<K>, object: &K, finalizers: &[String]) -> Result<K, Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + serde::de::DeserializeOwned,
{
    let name = object.name_any();
    let patch = json!({"metadata": {
        "uid": object.uid(),
        "resourceVersion": object.resource_version(),
        "finalizers": finalizers,
    }});
    api.patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .map_err(|error| Failure::kube(&format!("set the finalizers of {name}"), &error))
}

fn status_of<K: serde::Serialize>(object: &K) -> Value {
    serde_json::to_value(object)
        .ok()
        .and_then(|mut value| value.get_mut("status").map(Value::take))
        .filter(|status| !status.is_null())
        .unwrap_or_else(|| json!({}))
}

fn conditions_of(status: &Value) -> Vec<Condition> {
    status
        .get("conditions")
        .and_then(|list| serde_json::from_value(list.clone()).ok())
        .unwrap_or_default()
}

fn failed(failure: &Failure) -> Verdict {
    Verdict { requeue: None, failed: Some(failure.class) }
}

fn verdict<D, S>(progress: &Progress<D, S>, write: Result<(), Failure>) -> Verdict {
    if let Err(failure) = write {
        if failure.class != Class::Conflict {
            tracing::warn!(class = failure.class.as_str(), error = %failure, "the status was not written");
        }
        return failed(&failure);
    }
    if !progress.problems.is_empty() {
        return Verdict { requeue: None, failed: Some(Class::Invalid) };
    }
    match (&progress.failure, &progress.plan) {
        // What a cloud or a member finds invalid may be mended there, without a change of the object: ask again, slowly.
        (Some(failure), _) if failure.class == Class::Invalid => {
            Verdict { requeue: None, failed: Some(Class::Refused) }
        }
        (Some(failure), _) => failed(failure),
        (None, Some(plan)) => Verdict { requeue: plan.requeue, failed: None },
        (None, None) => Verdict::default(),
    }
}
