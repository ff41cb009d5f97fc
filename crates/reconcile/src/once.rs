//! One reconcile: read, validate, observe, plan, act, status.

mod acts;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::{
    ANNOTATION_PAUSED, ANNOTATION_RECONCILE_NOW, Condition, ConditionStatus, ConditionType,
};
use fleetwright_clock::{Clock, Ids};
use fleetwright_errclass::{Class, RETRY_AFTER_LIMIT};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout, timeout_at};
use tracing::Instrument;

use self::acts::Acts;
use crate::events::{self, Happening};
use crate::{
    Conditions, Controller, Failure, Gate, Metrics, OpenGate, Progress, finalizer, status,
};

/// From the first look to the last step. What takes longer holds a place that others need.
const DEADLINE: Duration = Duration::from_secs(120);
/// Beyond that, for status and events: a reconcile that was cut off must still be able to say so.
const TELLING: Duration = Duration::from_secs(30);
/// What is held back for all objects is looked at again after this, though whoever opens the gate wakes them.
const HELD: Duration = Duration::from_secs(60);
/// A token is echoed to this length.
const TOKEN_CHARS: usize = 253;

/// What every reconcile needs.
#[derive(Clone)]
pub struct Context {
    /// The hub.
    pub client: Client,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub ids: Arc<dyn Ids>,
    /// Whether anything may be written to clouds and members now.
    pub gate: Arc<dyn Gate>,
    /// Where reconciles are counted, if anywhere.
    pub metrics: Option<Metrics>,
}

impl Context {
    /// With a gate that nobody closes, and no metrics.
    #[must_use]
    pub fn new(client: Client, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>) -> Self {
        Self { client, clock, ids, gate: Arc::new(OpenGate), metrics: None }
    }
}

impl Debug for Context {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("clock", &self.clock)
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}

/// What the loop does with the key next.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verdict {
    /// When to look again though nothing changed. With a failure: no sooner than this, whatever changes, since the other
    /// side asked for it.
    pub requeue: Option<Duration>,
    /// The class of what went wrong.
    pub failed: Option<Class>,
}

/// Runs one reconcile of `object` to its status patch, within a deadline.
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
    let began = Instant::now();
    let verdict = run(controller, context, object).instrument(span).await;
    if let Some(metrics) = &context.metrics {
        metrics.ended(controller.name(), &verdict, began.elapsed());
    }
    verdict
}

/// One reconcile under way.
struct Work<'a, C: Controller> {
    controller: &'a C,
    context: &'a Context,
    api: Api<C::Object>,
    /// As the hub had it last, as far as we know.
    current: C::Object,
    progress: Progress<C::Desired, C::Snapshot>,
    happenings: Vec<Happening>,
}

async fn run<C>(controller: &C, context: &Context, object: Arc<C::Object>) -> Verdict
where
    C: Controller,
{
    let deadline = Instant::now() + DEADLINE;
    let api = controller.api(&context.client, object.as_ref());
    let read = timeout_at(deadline, controller.read(Arc::clone(&object))).await;
    let paused = is_paused(object.as_ref());
    let mut work = Work {
        controller,
        context,
        api,
        current: Arc::unwrap_or_clone(object),
        progress: Progress { paused, ..Progress::default() },
        happenings: Vec::new(),
    };
    let declared = match read {
        Ok(Ok(declared)) => declared,
        Ok(Err(failure)) => return work.unread(failure).await,
        Err(_elapsed) => return work.unread(overdue("reading what is declared")).await,
    };
    // Steps leave in `work` how far they came, also when they are cut off.
    if timeout_at(deadline, work.steps(&declared)).await.is_err() {
        let at = if work.progress.plan.is_some() { "acting" } else { "looking at the world" };
        work.progress.failure.get_or_insert_with(|| overdue(at));
    }
    let told = timeout(TELLING, work.finish(&declared)).await;
    let told = told.unwrap_or_else(|_elapsed| {
        Err(Failure::new(Class::Unknown, "NoAnswer", "the hub did not take the status in time"))
    });
    verdict(&work.progress, told)
}

impl<C: Controller> Work<'_, C> {
    /// What the object refers to could not be read: says so, as far as the hub still answers.
    async fn unread(&self, failure: Failure) -> Verdict {
        tracing::warn!(class = failure.class.as_str(), error = %failure, "cannot read what is declared");
        let before = status_of(&self.current);
        let mut conditions = self.conditions(conditions_of(&before));
        let (type_, is) = (ConditionType::Synced, ConditionStatus::Unknown);
        conditions.set(type_, is, "ReadFailed", &failure.message);
        let mut after = before.clone();
        after["conditions"] = serde_json::to_value(conditions.into_list()).unwrap_or_default();
        self.echo(&mut after);
        let write =
            timeout(TELLING, status::write(&self.api, &self.current, &before, &after)).await;
        match write {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(%error, "nor could that be told"),
            Err(_elapsed) => tracing::debug!("nor could that be told in time"),
        }
        failed(&failure)
    }

    /// Validate to act; whatever happens is left in `progress`.
    async fn steps(&mut self, declared: &C::Declared) {
        decide(self.controller, declared, &mut self.progress).await;
        let Progress { plan: Some(plan), failure, paused, held, .. } = &mut self.progress else {
            return;
        };
        if plan.steps.is_empty() || *paused {
            return;
        }
        *held = self.context.gate.writes().err();
        if held.is_some() {
            return;
        }
        match finalizer::hold(self.controller, &self.api, &self.current).await {
            Ok(Some(held)) => self.current = held,
            Ok(None) => {}
            Err(refused) => {
                *failure = Some(refused);
                return;
            }
        }
        let acts = Acts::new(self.controller, self.context, &mut self.happenings);
        acts.all(&mut self.progress).await;
    }

    /// Lets the object go, or tells how far this reconcile came; then the events.
    async fn finish(&mut self, declared: &C::Declared) -> Result<(), Failure> {
        let write = if self.may_go() {
            finalizer::remove(self.controller, &self.api, &self.current).await
        } else {
            self.tell(declared).await
        };
        let happenings = std::mem::take(&mut self.happenings);
        let now = self.context.clock.now();
        events::post(&self.context.client, &self.current, now, happenings).await;
        write
    }

    /// Whether nothing of ours is left and nobody holds us back.
    fn may_go(&mut self) -> bool {
        let Progress { plan, failure, paused, held, .. } = &mut self.progress;
        let gone = plan.as_ref().is_some_and(|plan| plan.gone) && failure.is_none();
        if !gone || *paused {
            return false;
        }
        *held = self.context.gate.writes().err();
        held.is_none()
    }

    async fn tell(&mut self, declared: &C::Declared) -> Result<(), Failure> {
        let before = status_of(&self.current);
        let listed = conditions_of(&before);
        let mut conditions = self.conditions(listed.clone());
        let mut after = self.controller.status(declared, &self.progress, &mut conditions);
        self.echo(&mut after);
        let write = status::write(&self.api, &self.current, &before, &after).await.map(drop);
        // A change that was not written did not happen; it is told when it is.
        if write.is_ok() {
            self.happenings.extend(events::by_difference(&listed, &conditions_of(&after)));
        }
        write
    }

    fn conditions(&self, listed: Vec<Condition>) -> Conditions {
        Conditions::new(listed, self.current.meta().generation, self.context.clock.now())
    }

    /// Writes into the status which request to reconcile now was the last that a reconcile answered, whatever came of it.
    fn echo(&self, status: &mut Value) {
        let asked = self.current.annotations().get(ANNOTATION_RECONCILE_NOW);
        if let Some(token) = asked.filter(|_| self.controller.echoes_reconcile_now()) {
            status["handledReconcile"] = token.chars().take(TOKEN_CHARS).collect::<String>().into();
        }
    }
}

/// Any value but `false` pauses, also an empty one.
fn is_paused<K: Resource>(object: &K) -> bool {
    object.annotations().get(ANNOTATION_PAUSED).is_some_and(|value| value != "false")
}

fn overdue(doing: &str) -> Failure {
    let message = format!("cut off while {doing}, after {} s; looks again", DEADLINE.as_secs());
    Failure::new(Class::Transient, "DeadlineExceeded", message)
}

/// Reads and decides, and does nothing: a reconcile up to its plan. `fleetwright plan` shows this, so it cannot lie.
pub async fn preview<C>(controller: &C, object: Arc<C::Object>) -> Progress<C::Desired, C::Snapshot>
where
    C: Controller,
{
    let paused = is_paused(object.as_ref());
    let mut progress = Progress { paused, ..Progress::default() };
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
    let requeue = failure.retry_after.map(|asked| asked.min(RETRY_AFTER_LIMIT));
    Verdict { requeue, failed: Some(failure.class) }
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
            Verdict { failed: Some(Class::Refused), ..self::failed(failure) }
        }
        (Some(failure), _) => failed(failure),
        (None, Some(plan)) if progress.held.is_some() => {
            let requeue = plan.requeue.map_or(HELD, |delay| delay.min(HELD));
            Verdict { requeue: Some(requeue), failed: None }
        }
        (None, Some(plan)) => Verdict { requeue: plan.requeue, failed: None },
        (None, None) => Verdict::default(),
    }
}
