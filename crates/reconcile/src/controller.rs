//! The six functions of a kind.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_plan::{LintError, Plan, Problem, Step, Waiting};
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Conditions, Failure};

/// A kind's part of a reconcile: read, validate, observe, plan, act, status.
///
/// `validate`, `plan` and `status` are pure. `read` and `observe` never write to hub, cloud or member; `act` does nothing
/// but the one step.
#[async_trait]
pub trait Controller: Send + Sync + 'static {
    /// The object whose status is written.
    type Object: Resource<DynamicType = ()>
        + Clone
        + Debug
        + Serialize
        + DeserializeOwned
        + Send
        + Sync;
    /// The object and all it refers to.
    type Declared: Send + Sync;
    /// Declared, parsed into values that cannot be wrong.
    type Desired: Send + Sync;
    /// What the world looks like.
    type Snapshot: Send + Sync;

    /// For logs, for example `managed-cluster`.
    fn name(&self) -> &'static str;

    /// The typed API that holds `object`: of its namespace, or of the whole hub.
    fn api(&self, client: &Client, object: &Self::Object) -> Api<Self::Object>;

    /// The finalizer to hold before the first side effect; `None` for a kind whose deletion undoes nothing.
    fn finalizer(&self) -> Option<&'static str>;

    /// Whether this controller writes the token of annotation `fleetwright.dev/reconcile-now` to
    /// `status.handledReconcile`. Of those that share an object it is one: the one that holds a finalizer, unless a kind
    /// says otherwise. The schema of its status must have the field.
    fn echoes_reconcile_now(&self) -> bool {
        self.finalizer().is_some()
    }

    /// The object and all it refers to. Secrets are read by name, here.
    async fn read(&self, object: Arc<Self::Object>) -> Result<Self::Declared, Failure>;

    /// Parses; reports all problems at once. Must succeed for an object that is being deleted.
    ///
    /// # Errors
    /// Every problem, with its field path.
    fn validate(&self, declared: &Self::Declared) -> Result<Self::Desired, Vec<Problem>>;

    /// Asks the world.
    async fn observe(&self, desired: &Self::Desired) -> Result<Self::Snapshot, Failure>;

    /// Decides, and has the decision read by the lint.
    ///
    /// # Errors
    /// A plan that must not be acted on.
    fn plan(
        &self,
        declared: &Self::Declared,
        desired: &Self::Desired,
        snapshot: &Self::Snapshot,
    ) -> Result<Plan, LintError>;

    /// Does one step.
    async fn act(&self, desired: &Self::Desired, step: &Step) -> Result<(), Failure>;

    /// Whether `step` may run at the same time as its neighbours in the plan for which this is true as well, because neither's
    /// effect bears on the other. Absent: every step waits for the one before it.
    fn together(&self, desired: &Self::Desired, step: &Step) -> bool {
        let _ = (desired, step);
        false
    }

    /// The status for how far this reconcile came; called on every path. `conditions` starts with those of the object.
    fn status(
        &self,
        declared: &Self::Declared,
        progress: &Progress<Self::Desired, Self::Snapshot>,
        conditions: &mut Conditions,
    ) -> Value;
}

/// How far a reconcile came.
#[derive(Debug)]
pub struct Progress<D, S> {
    /// What is wrong with the declaration; empty once it parsed.
    pub problems: Vec<Problem>,
    /// Once it parsed.
    pub desired: Option<D>,
    /// Once the world was asked.
    pub snapshot: Option<S>,
    /// Once decided.
    pub plan: Option<Plan>,
    /// Indexes of the plan's steps that were done, in order.
    pub done: Vec<usize>,
    /// What went wrong first.
    pub failure: Option<Failure>,
    /// The object's owner has paused it: nothing is done, and a deletion waits as well.
    pub paused: bool,
    /// What the plan asks for is held back for all objects, and this is why.
    pub held: Option<Waiting>,
}

impl<D, S> Default for Progress<D, S> {
    fn default() -> Self {
        Self {
            problems: Vec::new(),
            desired: None,
            snapshot: None,
            plan: None,
            done: Vec::new(),
            failure: None,
            paused: false,
            held: None,
        }
    }
}
