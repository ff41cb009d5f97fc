//! A hub that holds one object, a controller that does as a script says, and one log of all that touches the world.
//!
//! The hub keeps what matters here of a Kubernetes API server: merge patches with `uid` and `resourceVersion` as
//! preconditions, finalizers that hold a deleted object back, and no new version where nothing changed.

use std::convert::Infallible;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{ConditionStatus, ConditionType, ManagedCluster};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_errclass::Class;
use fleetwright_plan::{HubStep, LintError, Plan, Problem, Resource, Step, Waiting};
use fleetwright_reconcile::{
    Conditions, Context, Controller, Failure, Gate, Metrics, Progress, Verdict, once,
};
use fleetwright_telemetry::Registry;
use http::{Method, Request, Response};
use jiff::Timestamp;
use kube::client::Body;
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::sync::Notify;

pub(crate) const FINALIZER: &str = "fleetwright.dev/test";
pub(crate) const IDLE: Duration = Duration::from_secs(300);

/// What the controller finds, decides and achieves.
#[derive(Debug, Clone, Default)]
pub(crate) struct Script {
    pub(crate) read: Option<Failure>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) observe: Option<Failure>,
    pub(crate) lint: Option<LintError>,
    /// Names of the steps; one that is in `World::made` is not planned again.
    pub(crate) steps: Vec<&'static str>,
    pub(crate) waiting: bool,
    pub(crate) gone: bool,
    /// The step that fails, and how.
    pub(crate) act: Option<(&'static str, Failure)>,
    pub(crate) no_finalizer: bool,
    /// What never ends: `read`, `observe`, or a step.
    pub(crate) hangs: Option<&'static str>,
    /// A step that takes its time.
    pub(crate) slow: Option<(&'static str, Duration)>,
    /// Steps whose names begin so may run side by side.
    pub(crate) together: Option<&'static str>,
    /// The gate closes after so many looks at it.
    pub(crate) gate_closes_after: Option<usize>,
}

/// A gate that somebody closes at the worst moment.
#[derive(Debug)]
struct ScriptedGate {
    open_looks: Option<AtomicUsize>,
}

impl Gate for ScriptedGate {
    fn writes(&self) -> Result<(), Waiting> {
        let Some(left) = &self.open_looks else { return Ok(()) };
        let looked =
            left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        looked.map(drop).map_err(|_closed| Waiting::new("the end of a freeze", "a person"))
    }
}

/// When to fall silent for ever: at the n-th touch of the world, before or after its effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Crash {
    pub(crate) touch: usize,
    pub(crate) after_effect: bool,
}

/// All that is outside the reconcile.
#[derive(Debug, Default)]
pub(crate) struct World {
    inner: Mutex<Inner>,
    crashed: Notify,
    pub(crate) registry: Registry,
}

#[derive(Debug, Default, Clone)]
struct Inner {
    object: Option<Value>,
    made: Vec<String>,
    log: Vec<String>,
    touches: usize,
    crash: Option<Crash>,
    /// Refuse patches of this subresource with this code: `("status", 500)`.
    refuse: Option<(&'static str, u16)>,
}

/// A cluster as a watch would have delivered it, at resourceVersion 10.
pub(crate) fn object(finalizers: &[&str], deleted: bool) -> Value {
    let mut object = json!({
        "apiVersion": "fleetwright.dev/v1alpha1",
        "kind": "ManagedCluster",
        "metadata": {
            "namespace": "shop", "name": "eu", "uid": "1a", "generation": 3, "resourceVersion": "10",
            "finalizers": finalizers,
        },
        "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}},
    });
    if deleted {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    object
}

impl World {
    pub(crate) fn with(object: Value) -> Arc<Self> {
        let world = Arc::new(Self::default());
        world.lock(|inner| inner.object = Some(object));
        world
    }

    fn lock<T>(&self, f: impl FnOnce(&mut Inner) -> T) -> T {
        f(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn object(&self) -> Option<Value> {
        self.lock(|inner| inner.object.clone())
    }

    pub(crate) fn made(&self) -> Vec<String> {
        self.lock(|inner| inner.made.clone())
    }

    pub(crate) fn refuse(&self, what: &'static str, code: u16) {
        self.lock(|inner| inner.refuse = Some((what, code)));
    }

    /// Somebody else changes the object in the hub; the cache does not know.
    pub(crate) fn meddle(&self, change: impl FnOnce(&mut Option<Value>)) {
        self.lock(|inner| change(&mut inner.object));
    }

    pub(crate) fn crash_at(&self, crash: Option<Crash>) {
        self.lock(|inner| (inner.touches, inner.crash) = (0, crash));
    }

    /// What happened since the last call.
    pub(crate) fn take_log(&self) -> Vec<String> {
        self.lock(|inner| std::mem::take(&mut inner.log))
    }

    /// One touch of the world, with a crash where the script wants one.
    async fn touch<T>(&self, effect: impl FnOnce(&mut Inner) -> T) -> T {
        tokio::task::yield_now().await;
        let (number, crash) = self.lock(|inner| {
            inner.touches += 1;
            (inner.touches, inner.crash)
        });
        let crash = crash.filter(|crash| crash.touch == number);
        if crash.is_some_and(|crash| !crash.after_effect) {
            self.die().await;
        }
        let out = self.lock(effect);
        if crash.is_some() {
            self.die().await;
        }
        out
    }

    async fn die(&self) {
        self.crashed.notify_one();
        std::future::pending::<()>().await;
    }

    async fn answer(self: Arc<Self>, request: Request<Body>) -> Result<Response<Body>, Infallible> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("a body");
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let path = parts.uri.path().to_owned();
        let (code, answer) = self.touch(|inner| inner.answer(&parts.method, &path, &body)).await;
        let answer =
            Response::builder().status(code).body(Body::from(answer.to_string().into_bytes()));
        Ok(answer.expect("a response"))
    }

    /// Reconciles `seen`, or the object as it is in the hub. `None` where the reconcile crashed.
    pub(crate) async fn reconcile(
        self: &Arc<Self>,
        script: &Script,
        seen: Option<Value>,
    ) -> Option<Verdict> {
        let seen = seen.or_else(|| self.object()).expect("an object");
        let object: ManagedCluster = serde_json::from_value(seen).expect("a cluster");
        let world = Arc::clone(self);
        let service = tower::service_fn(move |request| Arc::clone(&world).answer(request));
        let client = Client::new(service, "default");
        let mut context = Context::new(client, Arc::new(Noon), Arc::new(RandomIds::seeded(1)));
        let open_looks = script.gate_closes_after.map(AtomicUsize::new);
        context.gate = Arc::new(ScriptedGate { open_looks });
        context.metrics = Some(Metrics::new(&self.registry).expect("names of metrics"));
        let controller = Scripted { world: Arc::clone(self), script: script.clone() };
        tokio::select! {
            biased;
            () = self.crashed.notified() => None,
            verdict = once(&controller, &context, Arc::new(object)) => Some(verdict),
        }
    }
}

impl Inner {
    fn answer(&mut self, method: &Method, path: &str, body: &Value) -> (u16, Value) {
        let reply = if *method == Method::POST && path.ends_with("/namespaces/shop/events") {
            let text = |field: &str| body[field].as_str().unwrap_or("none").to_owned();
            self.log.push(format!(
                "event {} {}: {}",
                text("type"),
                text("reason"),
                text("message")
            ));
            Ok(body.clone())
        } else if *method == Method::PATCH && path.ends_with("/managedclusters/eu/status") {
            self.patch("status", body)
        } else if *method == Method::PATCH && path.ends_with("/managedclusters/eu") {
            self.patch("finalizers", body)
        } else {
            Err((400, "nobody should ask that"))
        };
        reply.map_or_else(
            |(code, why)| {
                self.log.push(format!("refused with {code}: {method} {why}"));
                let status = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure",
                    "code": code, "reason": why, "message": why,
                });
                (code, status)
            },
            |object| (200, object),
        )
    }

    fn patch(&mut self, what: &'static str, body: &Value) -> Result<Value, (u16, &'static str)> {
        if let Some((_, code)) = self.refuse.filter(|(refused, _)| *refused == what) {
            return Err((code, what));
        }
        let object = self.object.as_mut().ok_or((404, what))?;
        for field in ["uid", "resourceVersion"] {
            if body["metadata"][field] != object["metadata"][field] {
                return Err((409, what));
            }
        }
        let before = object.clone();
        if what == "status" {
            merge(&mut object["status"], &body["status"]);
            let synced = object["status"]["conditions"][0].clone();
            self.log.push(format!(
                "status {}/{}",
                text(&synced["status"]),
                text(&synced["reason"])
            ));
        } else {
            object["metadata"]["finalizers"] = body["metadata"]["finalizers"].clone();
            self.log.push(format!("finalizers {}", body["metadata"]["finalizers"]));
        }
        if *object != before {
            let version: u64 =
                text(&object["metadata"]["resourceVersion"]).parse().expect("a number");
            object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
        }
        let reply = object.clone();
        let held = reply["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        if reply["metadata"].get("deletionTimestamp").is_some() && !held {
            self.object = None;
        }
        Ok(reply)
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("none")
}

/// RFC 7386.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().and_then(|target| target.remove(key));
        } else {
            merge(&mut target[key], value);
        }
    }
}

#[derive(Debug)]
struct Noon;

impl Clock for Noon {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(1_767_268_800).expect("noon")
    }
}

/// Does as the script says.
struct Scripted {
    world: Arc<World>,
    script: Script,
}

pub(crate) fn failure(class: Class, code: &str) -> Failure {
    Failure::new(class, code, "as scripted")
}

pub(crate) fn rejected() -> LintError {
    LintError::TwoSteps(Resource::Cluster)
}

fn fails(failure: Option<&Failure>) -> Result<(), Failure> {
    failure.map_or(Ok(()), |failure| Err(failure.clone()))
}

impl Scripted {
    async fn hang_at(&self, place: &str) {
        if self.script.hangs == Some(place) {
            std::future::pending::<()>().await;
        }
    }
}

#[async_trait]
impl Controller for Scripted {
    type Object = ManagedCluster;
    type Declared = Arc<ManagedCluster>;
    type Desired = ();
    /// What was made before this reconcile.
    type Snapshot = Vec<String>;

    fn name(&self) -> &'static str {
        "scripted"
    }

    fn api(&self, client: &Client, _: &ManagedCluster) -> Api<ManagedCluster> {
        Api::namespaced(client.clone(), "shop")
    }

    fn finalizer(&self) -> Option<&'static str> {
        (!self.script.no_finalizer).then_some(FINALIZER)
    }

    async fn read(&self, object: Arc<ManagedCluster>) -> Result<Self::Declared, Failure> {
        self.hang_at("read").await;
        fails(self.script.read.as_ref()).map(|()| object)
    }

    fn validate(&self, _: &Self::Declared) -> Result<(), Vec<Problem>> {
        if self.script.problems.is_empty() { Ok(()) } else { Err(self.script.problems.clone()) }
    }

    async fn observe(&self, (): &()) -> Result<Vec<String>, Failure> {
        self.hang_at("observe").await;
        fails(self.script.observe.as_ref()).map(|()| self.world.made())
    }

    fn plan(&self, _: &Self::Declared, (): &(), made: &Vec<String>) -> Result<Plan, LintError> {
        if let Some(error) = &self.script.lint {
            return Err(error.clone());
        }
        let missing =
            self.script.steps.iter().filter(|name| !made.iter().any(|made| made == *name));
        let step =
            |name: &str| HubStep::DeleteConnection { namespace: "shop".into(), name: name.into() };
        let steps: Vec<Step> = missing.map(|name| Step::Hub(step(name))).collect();
        let waiting = self.script.waiting.then(|| Waiting::new("a cloud", "somebody"));
        Ok(Plan {
            generation: 3,
            gone: self.script.gone && steps.is_empty(),
            steps,
            waiting: waiting.into_iter().collect(),
            requeue: Some(IDLE),
            ..Plan::default()
        })
    }

    async fn act(&self, (): &(), step: &Step) -> Result<(), Failure> {
        let Step::Hub(HubStep::DeleteConnection { name, .. }) = step else {
            panic!("{step} is not in the script");
        };
        self.hang_at(name).await;
        if let Some((_, time)) = self.script.slow.filter(|(slow, _)| slow == name) {
            tokio::time::sleep(time).await;
        }
        self.world
            .touch(|inner| {
                inner.log.push(format!("act {name}"));
                if let Some((_, failure)) =
                    self.script.act.iter().find(|(failing, _)| failing == name)
                {
                    return Err(failure.clone());
                }
                inner.made.push(name.clone());
                Ok(())
            })
            .await
    }

    fn together(&self, (): &(), step: &Step) -> bool {
        let Some(prefix) = self.script.together else { return false };
        matches!(step, Step::Hub(HubStep::DeleteConnection { name, .. }) if name.starts_with(prefix))
    }

    fn status(
        &self,
        _: &Self::Declared,
        progress: &Progress<(), Vec<String>>,
        conditions: &mut Conditions,
    ) -> Value {
        let (is, reason) = match (&progress.failure, &progress.plan) {
            _ if !progress.problems.is_empty() => (ConditionStatus::False, "InvalidConfiguration"),
            _ if progress.paused => (ConditionStatus::False, "Paused"),
            _ if progress.held.is_some() => (ConditionStatus::False, "Frozen"),
            (Some(failure), _) => (ConditionStatus::False, failure.code.as_str()),
            (None, Some(plan)) if !plan.waiting.is_empty() => (ConditionStatus::False, "Applying"),
            (None, _) => (ConditionStatus::True, "Applied"),
        };
        conditions.set(ConditionType::Synced, is, reason, "as scripted");
        json!({"observedGeneration": 3, "conditions": conditions.clone().into_list()})
    }
}
