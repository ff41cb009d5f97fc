//! The policies on one member: merged, applied, and put back when somebody takes them away.
//! `wire.rs` speaks to the member.

mod wire;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{
    ClusterPolicy, ClusterSummary, ConditionStatus as Is, ConditionType as Type, Connection,
    ManagedCluster, ManagementMode, Mode,
};
use fleetwright_clock::Clock;
use fleetwright_errclass::Class;
use fleetwright_names::ObjectKey;
use fleetwright_plan::{
    Held, LintError, MemberSnapshot, MemberStep, Plan, Problem, Step, Waiting, plan_member,
    violations,
};
use fleetwright_provider::Access;
use fleetwright_reconcile::{Cache, Conditions, Controller, Failure, Progress, Queue};
use fleetwright_render::{LABEL_MARK, Rules, connection_secret_name};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use self::wire::{act, look};
use super::selecting;
use crate::Clouds;
use crate::accounts::{Accounts, allows};
use crate::managed_cluster::{connection_of, is_leaving, key_of, member_way, mode, provider_key};
use crate::members::{GRACE_PERIOD, Member, Members};

/// A look at every member though nothing changed: the safety net under the watches, and the probe behind `Reachable`.
const IDLE: Duration = Duration::from_secs(60);
/// A look at a member, or a write to it, takes no longer.
const PATIENCE: Duration = Duration::from_secs(30);
/// A member that was seen less than this ago still counts as reachable.
const GRACE: Duration = Duration::from_secs(120);

/// The controller of the policies on one member.
pub struct OnMember {
    /// The hub.
    pub client: Client,
    /// The providers in use.
    pub clouds: Clouds,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The accounts.
    pub accounts: Accounts,
    /// All policies.
    pub policies: Arc<Cache<ClusterPolicy>>,
    /// Clients and watches.
    pub members: Arc<Members>,
    /// Where the members' watches report.
    pub queue: Arc<Queue>,
}

impl std::fmt::Debug for OnMember {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OnMember").field("members", &self.members).finish_non_exhaustive()
    }
}

/// A cluster object, the policies that select it, and how its API is reached.
#[derive(Debug)]
pub struct Declared {
    cluster: Arc<ManagedCluster>,
    policies: Vec<Arc<ClusterPolicy>>,
    connection: Option<Connection>,
    /// `None`: there is no such account, or it does not serve the namespace.
    access: Option<Access>,
}

/// The merged rules, and the member they are for.
#[derive(Debug)]
pub struct Desired {
    rules: Rules,
    generation: i64,
    /// `None` until the member can be reached, and once its object is being deleted.
    member: Option<Member>,
    /// Mode `Observe`: everything is audited, nothing enforced.
    audits_only: bool,
    now: Timestamp,
}

/// What one member looks like.
#[derive(Debug, Default)]
pub struct Looked {
    member: MemberSnapshot,
    /// Until when nothing is repaired, by namespace and NetworkPolicy; without a policy it is about the namespace itself.
    hands_off: BTreeMap<(String, Option<String>), Timestamp>,
}

impl OnMember {
    async fn snapshot(&self, member: &Member) -> Result<Looked, Failure> {
        let looked = bounded("look at the member", self.look(member)).await;
        match &looked {
            Ok(_) => self.members.watch(member, &self.queue),
            Err(failure) if failure.code == "Unauthorized" => self.members.disconnect(&member.key),
            Err(_) => {}
        }
        self.members.answered(&member.key, &looked, GRACE)?;
        looked
    }

    async fn look(&self, member: &Member) -> Result<Looked, Failure> {
        look(&self.members.client(member).await?).await
    }

    fn member(&self, declared: &Declared) -> Option<Member> {
        let cluster = declared.cluster.as_ref();
        let cloud = self.clouds.get(provider_key(cluster)?)?;
        let address = cloud.address(cluster)?;
        let connection = declared.connection.clone().filter(|_| !is_leaving(cluster))?;
        let (access, cloud) = (declared.access.clone()?, Arc::clone(cloud));
        let (key, way) = (key_of(cluster), member_way(cluster));
        Some(Member { key, address, connection, way, cloud, access })
    }
}

/// Takes out of the plan what somebody asked us to keep our hands off, for as long as they asked.
fn keep_hands_off(plan: &mut Plan, looked: &Looked, now: Timestamp) {
    let until = |step: &Step| {
        let key = match step {
            Step::Member(MemberStep::LabelNamespace { namespace, .. }) => (namespace.clone(), None),
            Step::Member(
                MemberStep::PutNetworkPolicy { namespace, name, .. }
                | MemberStep::DeleteNetworkPolicy { namespace, name },
            ) => (namespace.clone(), Some(name.clone())),
            Step::Member(_) | Step::Cloud(_) | Step::Hub(_) => return None,
        };
        looked.hands_off.get(&key).copied().filter(|until| *until > now)
    };
    for step in std::mem::take(&mut plan.steps) {
        match until(&step) {
            None => plan.steps.push(step),
            Some(until) => {
                let why = format!("hands off until {until}");
                plan.held.push(Held { step, why, until: Some(until) });
            }
        }
    }
}

#[async_trait]
impl Controller for OnMember {
    type Object = ManagedCluster;
    type Declared = Declared;
    type Desired = Desired;
    type Snapshot = Looked;

    fn name(&self) -> &'static str {
        "policies-on-member"
    }

    fn api(&self, client: &Client, object: &ManagedCluster) -> Api<ManagedCluster> {
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
    }

    fn finalizer(&self) -> Option<&'static str> {
        None
    }

    async fn read(&self, cluster: Arc<ManagedCluster>) -> Result<Declared, Failure> {
        let (namespace, name) =
            (cluster.namespace().unwrap_or_default(), connection_secret_name(&cluster.name_any()));
        let secret = Api::<Secret>::namespaced(self.client.clone(), &namespace)
            .get_opt(&name)
            .await
            .map_err(|error| Failure::kube(&format!("get secret {namespace}/{name}"), &error))?;
        let access = self.accounts.access(&cluster, &self.clouds).await?;
        let declared = Declared {
            access: access.filter(|access| allows(&access.account, &namespace)),
            policies: selecting(&self.policies, &cluster),
            connection: secret.as_ref().and_then(|secret| connection_of(&cluster, secret)),
            cluster,
        };
        if self.member(&declared).is_none() {
            // Also where the account no longer serves the namespace: a watch would go on making tokens for ever.
            self.members.forget(&ObjectKey::namespaced(&namespace, declared.cluster.name_any()));
        }
        Ok(declared)
    }

    fn validate(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        Ok(Desired {
            rules: Rules::merge(declared.policies.iter().map(AsRef::as_ref)),
            generation: declared.cluster.metadata.generation.unwrap_or_default(),
            member: self.member(declared),
            audits_only: mode(&declared.cluster) == ManagementMode::Observe,
            now: self.clock.now(),
        })
    }

    async fn observe(&self, desired: &Desired) -> Result<Looked, Failure> {
        match &desired.member {
            Some(member) => self.snapshot(member).await,
            None => Ok(Looked::default()),
        }
    }

    fn plan(
        &self,
        declared: &Declared,
        desired: &Desired,
        looked: &Looked,
    ) -> Result<Plan, LintError> {
        if desired.member.is_none() {
            let mut plan = Plan { generation: desired.generation, ..Plan::default() };
            if !is_leaving(&declared.cluster) {
                plan.waiting.push(Waiting::new("a connection", "the controller of ManagedCluster"));
                plan.requeue = Some(IDLE);
            }
            return Ok(plan);
        }
        if desired.audits_only {
            // What was enforced before the mode changed stays as it is.
            let (generation, requeue) = (desired.generation, Some(IDLE));
            return Ok(Plan { generation, requeue, ..Plan::default() });
        }
        let seen = &looked.member;
        let wanted =
            desired.rules.desired(Mode::Enforce, seen.namespaces.keys(), desired.generation);
        let mut plan = plan_member(&wanted, seen, IDLE);
        keep_hands_off(&mut plan, looked, desired.now);
        Ok(plan)
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<(), Failure> {
        let (Step::Member(step), Some(member)) = (step, &desired.member) else {
            let message = format!("{step} is not for the policies on a member");
            return Err(Failure::new(Class::Bug, "WrongController", message));
        };
        let client = self.members.client(member).await?;
        bounded(&step.to_string(), act(&client, step)).await
    }

    fn status(
        &self,
        declared: &Declared,
        progress: &Progress<Desired, Looked>,
        conditions: &mut Conditions,
    ) -> Value {
        let mut status = declared.cluster.status.clone().unwrap_or_default();
        if is_leaving(&declared.cluster) {
            conditions.set(
                Type::PoliciesCompliant,
                Is::Unknown,
                "Deleting",
                "no longer looked after",
            );
        } else if let Some(desired) = &progress.desired
            && desired.member.is_some()
            && let Some(told) = tell(declared, desired, progress, conditions)
        {
            let summary = status.summary.get_or_insert_default();
            summary.policies = told.policies;
            summary.applied_rules = told.applied_rules.or(summary.applied_rules.take());
        } else if progress.desired.as_ref().is_some_and(|desired| desired.member.is_none()) {
            // A cluster that somebody deleted in the cloud answers nobody, whatever was true of it before.
            let why = "there is no way to the cluster's API";
            conditions.set(Type::Reachable, Is::Unknown, "Pending", why);
            conditions.set(Type::PoliciesCompliant, Is::Unknown, "Pending", why);
        }
        if declared.access.is_none() && declared.connection.is_some() {
            // Nobody asks the member any more, so what was known of it says nothing.
            let why = "there is no account that makes our token; see Synced";
            conditions.set(Type::Reachable, Is::Unknown, "NoAccount", why);
        }
        status.conditions = conditions.clone().into_list();
        serde_json::to_value(&status).unwrap_or_default()
    }
}

/// A member that accepts a connection and then says nothing must not hold a place in the loop for ever.
async fn bounded<T>(
    deed: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_elapsed| {
        let message = format!("cannot {deed}: no answer within {} s", PATIENCE.as_secs());
        Err(Failure::new(Class::Unknown, "NoAnswer", message))
    })
}

/// Sets the conditions. Gives what is to be said for `kubectl get`, if anything is news.
fn tell(
    declared: &Declared,
    desired: &Desired,
    progress: &Progress<Desired, Looked>,
    conditions: &mut Conditions,
) -> Option<ClusterSummary> {
    let count = declared.policies.len();
    let Some(looked) = &progress.snapshot else {
        return untold(progress.failure.as_ref(), count, conditions);
    };
    conditions.set(Type::Reachable, Is::True, "Answered", "the member's API answers");
    if let Some(failure) = &progress.failure {
        conditions.set(Type::PoliciesCompliant, Is::False, "Pending", &failure.message);
        return Some(ClusterSummary { policies: Some(format!("0/{count}")), applied_rules: None });
    }
    let applied_rules = Some(desired.rules.digest());
    if count == 0 {
        conditions.set(
            Type::PoliciesCompliant,
            Is::True,
            "NoPolicies",
            "no policy selects this cluster",
        );
        return Some(ClusterSummary { policies: None, applied_rules });
    }
    if let Some((reason, message)) = progress.plan.as_ref().and_then(|plan| left(plan, progress)) {
        conditions.set(Type::PoliciesCompliant, Is::False, reason, message);
        return Some(ClusterSummary { policies: Some(format!("?/{count}")), applied_rules: None });
    }
    let found = audit(declared, desired, &looked.member);
    let compliant = found.values().filter(|violations| violations.is_empty()).count();
    match found.iter().find(|(_, violations)| !violations.is_empty()) {
        None => conditions.set(Type::PoliciesCompliant, Is::True, "Compliant", "all rules hold"),
        Some((policy, violations)) => {
            let message = format!("policy {policy} (audit): {}", violations.join("; "));
            conditions.set(Type::PoliciesCompliant, Is::False, "Violations", message);
        }
    }
    Some(ClusterSummary { policies: Some(format!("{compliant}/{count}")), applied_rules })
}

/// Why something that is asked for was not written, if so.
fn left(plan: &Plan, progress: &Progress<Desired, Looked>) -> Option<(&'static str, String)> {
    if let Some(held) = plan.held.first() {
        return Some(("HandsOff", format!("{} waits: {}", held.step, held.why)));
    }
    let waits = plan.steps.len().saturating_sub(progress.done.len());
    (waits > 0).then(|| ("Pending", format!("{waits} writes to the member wait; see Synced")))
}

/// What an audit of each policy finds missing on the member, by policy.
fn audit(
    declared: &Declared,
    desired: &Desired,
    snapshot: &MemberSnapshot,
) -> BTreeMap<String, Vec<String>> {
    let violations_of = |policy: &ClusterPolicy| {
        let rules = Rules::merge([policy]);
        let modes: &[Mode] =
            if desired.audits_only { &[Mode::Enforce, Mode::Audit] } else { &[Mode::Audit] };
        let audited = modes.iter().flat_map(|mode| {
            let mut asked = rules.desired(*mode, snapshot.namespaces.keys(), desired.generation);
            // Our mark is no rule: it only says that we set the rest.
            asked.labels.values_mut().for_each(|labels| drop(labels.remove(LABEL_MARK)));
            violations(&asked, snapshot)
        });
        (policy.name_any(), audited.collect())
    };
    declared.policies.iter().map(|policy| violations_of(policy)).collect()
}

/// The member could not be seen.
fn untold(
    failure: Option<&Failure>,
    count: usize,
    conditions: &mut Conditions,
) -> Option<ClusterSummary> {
    let (code, why) = failure
        .map_or(("ProbeFailed", ""), |failure| (failure.code.as_str(), failure.message.as_str()));
    if code == GRACE_PERIOD
        && conditions.get(Type::Reachable).is_some_and(|now| now.status == Is::True)
    {
        // One lost answer is no news: what was known stays, and only the reason tells.
        conditions.set(Type::Reachable, Is::True, GRACE_PERIOD, why);
        return None;
    }
    conditions.set(Type::Reachable, Is::False, "ProbeFailed", why);
    conditions.set(Type::PoliciesCompliant, Is::Unknown, "Unreachable", "see Reachable");
    Some(ClusterSummary { policies: Some(format!("?/{count}")), applied_rules: None })
}
