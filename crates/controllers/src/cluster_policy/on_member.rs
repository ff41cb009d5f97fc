//! The policies on one member: merged, applied, and put back when somebody takes them away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{
    ClusterPolicy, ClusterSummary, ConditionStatus as Is, ConditionType as Type, Connection,
    MANAGED_BY, ManagedCluster, Mode,
};
use fleetwright_errclass::Class;
use fleetwright_names::ObjectKey;
use fleetwright_plan::{
    LintError, MemberSnapshot, MemberStep, Plan, Problem, SeenNamespace, Step, Waiting,
    plan_member, violations,
};
use fleetwright_reconcile::{Cache, Conditions, Controller, Failure, Progress, Queue};
use fleetwright_render::{LABEL_MANAGED_BY, LABEL_MARK, Rules, connection_secret_name};
use k8s_openapi::api::core::v1::{Namespace, Secret};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Api, Client, ResourceExt};
use serde_json::{Map, Value, json};

use super::selecting;
use crate::Clouds;
use crate::managed_cluster::{is_connection, is_leaving, key_of, provider_key};
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
}

/// The merged rules, and the member they are for.
#[derive(Debug)]
pub struct Desired {
    rules: Rules,
    generation: i64,
    /// `None` until the member can be reached, and once its object is being deleted.
    member: Option<Member>,
}

impl OnMember {
    async fn snapshot(&self, member: &Member) -> Result<MemberSnapshot, Failure> {
        let looked = bounded("look at the member", self.look(member)).await;
        match &looked {
            Ok(_) => self.members.watch(member, &self.queue),
            Err(failure) if failure.code == "Unauthorized" => self.members.disconnect(&member.key),
            Err(_) => {}
        }
        self.members.answered(&member.key, &looked, GRACE)?;
        looked
    }

    async fn look(&self, member: &Member) -> Result<MemberSnapshot, Failure> {
        look(&self.members.client(member).await?).await
    }

    fn member(&self, declared: &Declared) -> Option<Member> {
        let cluster = declared.cluster.as_ref();
        let cloud = self.clouds.get(provider_key(cluster)?)?;
        let address = cloud.address(cluster)?;
        let connection = declared.connection.clone().filter(|_| !is_leaving(cluster))?;
        Some(Member { key: key_of(cluster), address, connection, cloud: Arc::clone(cloud) })
    }
}

async fn look(client: &Client) -> Result<MemberSnapshot, Failure> {
    let ours = ListParams::default().labels(&format!("{LABEL_MANAGED_BY}={MANAGED_BY}"));
    let namespaces = Api::<Namespace>::all(client.clone())
        .list(&ListParams::default())
        .await
        .map_err(|error| Failure::kube("list the member's namespaces", &error))?;
    let policies = Api::<NetworkPolicy>::all(client.clone())
        .list(&ours)
        .await
        .map_err(|error| Failure::kube("list the member's networkpolicies", &error))?;
    let namespaces = namespaces
        .into_iter()
        .map(|namespace| {
            let labels = namespace.labels().clone();
            let seen = SeenNamespace {
                marked: labels.contains_key(LABEL_MARK),
                terminating: namespace.metadata.deletion_timestamp.is_some(),
                labels,
            };
            (namespace.name_any(), seen)
        })
        .collect();
    let network_policies = policies
        .into_iter()
        .map(|policy| {
            let key = (policy.namespace().unwrap_or_default(), policy.name_any());
            let found = json!({"metadata": {"labels": policy.labels()}, "spec": policy.spec});
            (key, found)
        })
        .collect();
    Ok(MemberSnapshot { namespaces, network_policies })
}

#[async_trait]
impl Controller for OnMember {
    type Object = ManagedCluster;
    type Declared = Declared;
    type Desired = Desired;
    type Snapshot = MemberSnapshot;

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
        if is_leaving(&cluster) {
            self.members.forget(&ObjectKey::namespaced(namespace, cluster.name_any()));
        }
        Ok(Declared {
            policies: selecting(&self.policies, &cluster),
            connection: secret.as_ref().and_then(|secret| connection(&cluster, secret)),
            cluster,
        })
    }

    fn validate(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        Ok(Desired {
            rules: Rules::merge(declared.policies.iter().map(AsRef::as_ref)),
            generation: declared.cluster.metadata.generation.unwrap_or_default(),
            member: self.member(declared),
        })
    }

    async fn observe(&self, desired: &Desired) -> Result<MemberSnapshot, Failure> {
        match &desired.member {
            Some(member) => self.snapshot(member).await,
            None => Ok(MemberSnapshot::default()),
        }
    }

    fn plan(
        &self,
        declared: &Declared,
        desired: &Desired,
        snapshot: &MemberSnapshot,
    ) -> Result<Plan, LintError> {
        if desired.member.is_none() {
            let mut plan = Plan { generation: desired.generation, ..Plan::default() };
            if !is_leaving(&declared.cluster) {
                plan.waiting.push(Waiting::new("a connection", "the controller of ManagedCluster"));
                plan.requeue = Some(IDLE);
            }
            return Ok(plan);
        }
        let wanted =
            desired.rules.desired(Mode::Enforce, snapshot.namespaces.keys(), desired.generation);
        Ok(plan_member(&wanted, snapshot, IDLE))
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
        progress: &Progress<Desired, MemberSnapshot>,
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
        }
        status.conditions = conditions.clone().into_list();
        serde_json::to_value(&status).unwrap_or_default()
    }
}

/// What the Secret says of the way to the member, if it is ours and names the endpoint that the cloud named: who may
/// write Secrets must not be able to send our tokens elsewhere.
fn connection(cluster: &ManagedCluster, secret: &Secret) -> Option<Connection> {
    let data = secret.data.as_ref().filter(|_| is_connection(secret))?;
    let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
    let observed = cluster.status.as_ref()?.observed.as_ref()?;
    let endpoint =
        text("endpoint").filter(|endpoint| observed.endpoint.as_ref() == Some(endpoint))?;
    Some(Connection { endpoint, certificate_authority: text("certificate-authority")? })
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

async fn act(client: &Client, step: &MemberStep) -> Result<(), Failure> {
    match step {
        MemberStep::LabelNamespace { namespace, labels } => {
            let labels: Map<String, Value> = labels
                .iter()
                .map(|(key, value)| (key.clone(), value.clone().map_or(Value::Null, Value::from)))
                .collect();
            let patch = json!({"metadata": {"labels": labels}});
            Api::<Namespace>::all(client.clone())
                .patch(namespace, &PatchParams::default(), &Patch::Merge(&patch))
                .await
                .map(drop)
                .map_err(|error| Failure::kube(&format!("label namespace {namespace}"), &error))
        }
        MemberStep::PutNetworkPolicy { namespace, name, object } => {
            put_network_policy(client, namespace, name, object).await
        }
        MemberStep::DeleteNetworkPolicy { namespace, name } => {
            let api = Api::<NetworkPolicy>::namespaced(client.clone(), namespace);
            match api.delete(name, &DeleteParams::default()).await {
                Ok(_) => Ok(()),
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                Err(error) => {
                    Err(Failure::kube(&format!("delete networkpolicy {namespace}/{name}"), &error))
                }
            }
        }
    }
}

/// Creates, or replaces whole: a merge patch would leave rules that somebody added.
async fn put_network_policy(
    client: &Client,
    namespace: &str,
    name: &str,
    object: &Value,
) -> Result<(), Failure> {
    let deed = format!("put networkpolicy {namespace}/{name}");
    let api = Api::<NetworkPolicy>::namespaced(client.clone(), namespace);
    let mut wanted: NetworkPolicy = serde_json::from_value(object.clone())
        .map_err(|error| Failure::new(Class::Bug, "BadNetworkPolicy", error.to_string()))?;
    match api.create(&PostParams::default(), &wanted).await {
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 409 => {}
        Err(error) => return Err(Failure::kube(&deed, &error)),
    }
    let found = api.get(name).await.map_err(|error| Failure::kube(&deed, &error))?;
    wanted.metadata.resource_version = found.metadata.resource_version;
    api.replace(name, &PostParams::default(), &wanted)
        .await
        .map(drop)
        .map_err(|error| Failure::kube(&deed, &error))
}

/// Sets the conditions. Gives what is to be said for `kubectl get`, if anything is news.
fn tell(
    declared: &Declared,
    desired: &Desired,
    progress: &Progress<Desired, MemberSnapshot>,
    conditions: &mut Conditions,
) -> Option<ClusterSummary> {
    let count = declared.policies.len();
    let Some(snapshot) = &progress.snapshot else {
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
    let found = audit(declared, desired, snapshot);
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

/// What an audit of each policy finds missing on the member, by policy.
fn audit(
    declared: &Declared,
    desired: &Desired,
    snapshot: &MemberSnapshot,
) -> BTreeMap<String, Vec<String>> {
    let violations_of = |policy: &ClusterPolicy| {
        let rules = Rules::merge([policy]);
        let audited = rules.desired(Mode::Audit, snapshot.namespaces.keys(), desired.generation);
        (policy.name_any(), violations(&audited, snapshot))
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
