//! `ManagedCluster`: one cluster in a cloud.
//!
//! Reads the object, its account and its connection Secret; asks the cloud, and the member where that is needed; lets
//! `plan` decide; acts on cloud, member and Secret; tells what it saw. `desired.rs` and `asked.rs` parse what is asked and what the object allows,
//! `connection.rs` keeps the Secret, `member.rs` looks at the member and `emptying.rs` acts there, `cloud.rs` acts in the
//! cloud under the fuse and writes the history, `drift.rs` and `status.rs` have the telling.

mod asked;
mod certificates;
mod cloud;
mod connection;
mod desired;
mod drift;
mod emptying;
mod member;
mod noting;
mod status;

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{
    CONFIRM_DELETE, Connection, ConnectionType, DeletionPolicy, FINALIZER_INFRASTRUCTURE,
    ManagedCluster, ManagementMode,
};
use fleetwright_clock::Clock;
use fleetwright_names::{ObjectKey, Owner, Ownership, PoolName, sha256_hex};
use fleetwright_plan::{
    Address, ChangeKind, Credentials, DesiredCluster, Goal, LintError, Pace, Plan, PoolWay,
    Problem, Resource, Rules, Seen, SeenPart, Situation, Snapshot, Step, Waiting, lint,
    plan_cluster,
};
use fleetwright_provider::{Access, CloudError, Provider};
use fleetwright_reconcile::{Conditions, Controller, Failure, Progress};
use fleetwright_render::connection_secret_name;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use self::connection::FoundSecret;
use crate::Clouds;
use crate::accounts::Accounts;
use crate::members::{Member, MemberWay, Members};
use crate::registration::still_registered;
use crate::safety::{Safety, SafetyGate};

pub(crate) use self::asked::{instant, mode};
pub use self::certificates::Expiries;
pub(crate) use self::connection::connection_of;
pub(crate) use self::desired::{owner_of, usable};
pub(crate) use self::status::{is_host, unseen};

/// How long a cluster on its way out may clean up what it made outside itself, counted from the deletion of its object.
/// After that the deletion goes on, and what is left behind is told.
pub const CLEAN_UP: Duration = Duration::from_secs(15 * 60);
/// While the cloud does not know us, a look is of no use more often than this.
const UNKNOWN_TO_THE_CLOUD: Duration = Duration::from_secs(60);

/// The controller of `ManagedCluster`.
pub struct ManagedClusterController {
    /// The hub.
    pub client: Client,
    /// The providers in use.
    pub clouds: Clouds,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// The accounts.
    pub accounts: Accounts,
    /// Clients of the members.
    pub members: Arc<Members>,
    /// Freeze and fuse.
    pub safety: Arc<SafetyGate>,
    /// When certificates of members end.
    pub expiries: Arc<Expiries>,
    /// The program that kubeconfigs call for a token, with its first arguments.
    pub token_command: Vec<String>,
}

impl std::fmt::Debug for ManagedClusterController {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagedClusterController")
            .field("accounts", &self.accounts)
            .finish_non_exhaustive()
    }
}

/// A cluster object and all it refers to.
#[derive(Debug)]
pub struct Declared {
    cluster: Arc<ManagedCluster>,
    /// `None`: there is no such ProviderConfig.
    access: Option<Access>,
    /// What bears the name of the connection Secret.
    secret: FoundSecret,
    /// What freeze and fuse say.
    safety: Safety,
    /// The instant of the decision.
    now: jiff::Timestamp,
}

impl Declared {
    /// How long ago the object was deleted; zero while it is not.
    fn leaving_for(&self) -> Duration {
        let since = self.cluster.metadata.deletion_timestamp.as_ref().map(|since| since.0);
        since
            .and_then(|since| Duration::try_from(self.now.duration_since(since)).ok())
            .unwrap_or_default()
    }
}

/// What is asked of the cloud.
#[derive(Debug)]
pub struct Desired {
    goal: Goal,
    /// What must happen before anything else may.
    hold: Option<Waiting>,
    owner: Owner,
    generation: i64,
    /// Where, and through which account. `None`: nothing was ever made.
    place: Option<(Address, Access)>,
    /// The account in which the cluster was seen last, while it is known to be there.
    made_in: Option<String>,
    /// `None` when the object is being deleted.
    cluster: Option<DesiredCluster>,
    cloud: Arc<dyn Provider>,
    rules: Rules,
    /// The proxy on the way to the member.
    proxy_url: Option<String>,
    way: MemberWay,
    /// What stays behind on hosts that were given up.
    abandoned: Vec<String>,
    notes: Notes,
}

/// What later phases of one reconcile learn from earlier ones.
#[derive(Debug, Default)]
struct Notes {
    /// How the member is reached, as the cloud said.
    connection: OnceLock<Connection>,
    /// The first digits of the digest of the plan's text, for the history.
    plan: OnceLock<String>,
}

impl ManagedClusterController {
    /// Credentials that lead into another account see nothing there. That is no news of the cluster: it must neither be made
    /// a second time nor be believed gone.
    fn not_elsewhere(&self, desired: &Desired, snapshot: &mut Snapshot) {
        if let (Some(made_in), Credentials::Valid { account, .. }) =
            (&desired.made_in, &snapshot.credentials)
            && made_in != account
            && snapshot.cluster == Seen::Absent
        {
            let why = format!(
                "the cluster was made in account {made_in}, but the credentials lead into account {account}; mend the ProviderConfig"
            );
            snapshot.cluster = Seen::Unknown { since: self.clock.now(), why };
        }
    }
}

impl Desired {
    fn observes_only(&self) -> bool {
        self.rules.mode == ManagementMode::Observe
    }

    fn is_ours(&self, tags: &BTreeMap<String, String>) -> bool {
        self.owner.reads(tags) == Ownership::Ours
    }

    /// Whether a part is told of: one of ours, or any that is only looked at.
    fn knows(&self, part: &SeenPart) -> bool {
        self.observes_only() || self.is_ours(&part.tags)
    }

    fn member(&self) -> Option<Member> {
        let (address, access) = self.place.clone()?;
        let connection = self.notes.connection.get()?.clone();
        let (key, cloud) = (self.owner.object.clone(), Arc::clone(&self.cloud));
        Some(Member { key, address, connection, way: self.way, cloud, access })
    }
}

/// A failure of a cloud, as the loop wants it.
pub(crate) fn cloud_failure(error: CloudError) -> Failure {
    Failure {
        class: error.class,
        code: error.code.to_owned(),
        message: error.to_string(),
        request_id: error.request_id,
        retry_after: error.retry_after,
    }
}

/// The key of a cluster object.
pub(crate) fn key_of(cluster: &ManagedCluster) -> ObjectKey {
    ObjectKey::namespaced(cluster.namespace().unwrap_or_default(), cluster.name_any())
}

/// The provider block in use: of the status first, since deletion must find what was made.
pub(crate) fn provider_key(cluster: &ManagedCluster) -> Option<&str> {
    let seen = cluster.status.as_ref().and_then(|status| status.provider.as_deref());
    seen.or(cluster.spec.provider())
}

/// The account in use. On the way out that of the status wins, since deletion must find what was made.
pub(crate) fn account_name(cluster: &ManagedCluster) -> &str {
    let made = || cluster.status.as_ref()?.observed.as_ref()?.provider_config.as_deref();
    let leaving = cluster.metadata.deletion_timestamp.is_some();
    leaving.then(made).flatten().unwrap_or(&cluster.spec.provider_config_ref.name)
}

/// The way to the member that is declared.
pub(crate) fn member_way(cluster: &ManagedCluster) -> MemberWay {
    let declared = cluster.spec.connection.as_ref().map(|declared| declared.type_);
    if declared == Some(ConnectionType::Ssh) { MemberWay::Hosts } else { MemberWay::Direct }
}

/// The proxy on the way to the member, if one is declared.
pub(crate) fn proxy_url(cluster: &ManagedCluster) -> Option<String> {
    let declared = cluster.spec.connection.as_ref();
    let proxied = declared.filter(|declared| declared.type_ == ConnectionType::HttpProxy)?;
    proxied.proxy_url.clone()
}

impl ManagedClusterController {
    /// Looks at the member, where its state decides what happens in the cloud. A member that does not answer is not
    /// seen, and no failure.
    async fn look_at_member(&self, desired: &Desired, snapshot: &mut Snapshot) {
        let retiring: Vec<PoolName> = match &desired.cluster {
            Some(cluster) if !desired.observes_only() => retiring(desired, cluster, snapshot),
            Some(_) | None => Vec::new(),
        };
        let clean_up = desired.goal == Goal::Absent
            && desired.hold.is_none()
            && desired.rules.clean_up_until.is_some();
        if retiring.is_empty() && !clean_up {
            return;
        }
        let Some(member) = desired.member() else { return };
        let selectors =
            retiring.into_iter().map(|pool| (desired.cloud.node_selector(&pool), pool)).collect();
        let wanted = member::Wanted { selectors, outside: clean_up };
        snapshot.member = member::look(&self.members, &member, &wanted).await;
    }
}

/// Pools whose successor is declared.
fn retiring(desired: &Desired, cluster: &DesiredCluster, snapshot: &Snapshot) -> Vec<PoolName> {
    let changes = desired.cloud.diff(cluster, snapshot).into_iter();
    changes
        .filter_map(|change| match (change.resource, change.kind) {
            (Resource::Pool(pool), ChangeKind::Retire { .. }) => Some(pool),
            _ => None,
        })
        .collect()
}

/// Whether the object is being deleted and nobody has to confirm it any more.
pub(crate) fn is_leaving(cluster: &ManagedCluster) -> bool {
    let confirmed = || cluster.annotations().get(CONFIRM_DELETE) == cluster.metadata.uid.as_ref();
    let free = cluster.spec.deletion_policy != Some(DeletionPolicy::Delete);
    cluster.metadata.deletion_timestamp.is_some() && (free || confirmed())
}

#[async_trait]
impl Controller for ManagedClusterController {
    type Object = ManagedCluster;
    type Declared = Declared;
    type Desired = Desired;
    type Snapshot = Snapshot;

    fn name(&self) -> &'static str {
        "managed-cluster"
    }

    fn api(&self, client: &Client, object: &ManagedCluster) -> Api<ManagedCluster> {
        Api::namespaced(client.clone(), &object.namespace().unwrap_or_default())
    }

    fn finalizer(&self) -> Option<&'static str> {
        Some(FINALIZER_INFRASTRUCTURE)
    }

    async fn read(&self, cluster: Arc<ManagedCluster>) -> Result<Declared, Failure> {
        let namespace = cluster.namespace().unwrap_or_default();
        let name = connection_secret_name(&cluster.name_any());
        let secret =
            self.secrets(&namespace).get_opt(&name).await.map_err(|error| {
                Failure::kube(&format!("get secret {namespace}/{name}"), &error)
            })?;
        Ok(Declared {
            access: self.accounts.access(&cluster, &self.clouds).await?,
            secret: FoundSecret::read(secret.as_ref()),
            safety: self.safety.safety(),
            now: self.clock.now(),
            cluster,
        })
    }

    fn validate(&self, declared: &Declared) -> Result<Desired, Vec<Problem>> {
        if declared.cluster.metadata.deletion_timestamp.is_some() {
            self.leaving(declared)
        } else {
            self.staying(declared)
        }
    }

    async fn observe(&self, desired: &Desired) -> Result<Snapshot, Failure> {
        let Some((address, access)) = &desired.place else { return Ok(Snapshot::absent()) };
        let declared = desired.cluster.as_ref();
        let mut snapshot = desired.cloud.observe(access, address, declared).await;
        self.not_elsewhere(desired, &mut snapshot);
        self.expiries.note(&desired.owner.object, &snapshot);
        let seen = snapshot.cluster.present();
        if let Some(connection) = seen.and_then(|seen| desired.connection_to(seen)) {
            desired.notes.connection.get_or_init(|| connection);
        }
        self.look_at_member(desired, &mut snapshot).await;
        Ok(snapshot)
    }

    fn plan(
        &self,
        declared: &Declared,
        desired: &Desired,
        snapshot: &Snapshot,
    ) -> Result<Plan, LintError> {
        let generation = desired.generation;
        if let Some(hold) = &desired.hold {
            return Ok(Plan { generation, waiting: vec![hold.clone()], ..Plan::default() });
        }
        let Some((address, _)) = &desired.place else {
            let mut plan = Plan { generation, gone: true, ..Plan::default() };
            self.plan_connection(&mut plan, declared, desired, snapshot);
            if let Some(waiting) = still_registered(&declared.cluster).filter(|_| plan.gone) {
                plan.gone = false;
                plan.waiting.push(waiting);
            }
            return Ok(plan);
        };
        let limits = desired.cloud.limits();
        let cluster = desired.cluster.as_ref();
        let changes = cluster.map(|cluster| desired.cloud.diff(cluster, snapshot));
        let owned = desired.owner.tags();
        let pools = cluster.map(|cluster| {
            PoolWay::of(cluster, snapshot, |pool| desired.cloud.node_selector(pool))
        });
        let situation = Situation {
            goal: desired.goal,
            owner: &desired.owner,
            generation,
            address,
            snapshot,
            changes: changes.as_deref().unwrap_or_default(),
            tags: cluster.map_or(&owned, |cluster| &cluster.tags),
            pools: &pools.unwrap_or_default(),
            rules: &desired.rules,
            now: declared.now,
            pace: Pace { busy: limits.poll_busy, idle: limits.poll_idle },
        };
        let mut plan = plan_cluster(&situation);
        noting::hold_unnoted(&mut plan, &declared.cluster);
        self.plan_connection(&mut plan, declared, desired, snapshot);
        if let Some(left) = in_doubt(declared, desired).filter(|_| plan.gone) {
            plan.gone = false;
            plan.requeue = Some(left);
            let cloud = desired.cloud.key();
            plan.waiting.push(Waiting::new("a create that may still be on its way", cloud));
        }
        if matches!(snapshot.credentials, Credentials::Failed { .. }) {
            plan.requeue = Some(UNKNOWN_TO_THE_CLOUD);
        }
        lint(&plan, &situation)?;
        desired.notes.plan.get_or_init(|| sha256_hex(plan.to_string())[..12].to_owned());
        Ok(plan)
    }

    async fn act(&self, desired: &Desired, step: &Step) -> Result<(), Failure> {
        match step {
            Step::Cloud(step) => self.act_in_cloud(desired, step).await,
            Step::Hub(step) => self.act_on_hub(step).await,
            Step::Member(step) => self.act_on_member(desired, step).await,
        }
    }

    fn together(&self, desired: &Desired, step: &Step) -> bool {
        matches!(step, Step::Cloud(step) if desired.cloud.together(step))
    }

    fn status(
        &self,
        declared: &Declared,
        progress: &Progress<Desired, Snapshot>,
        conditions: &mut Conditions,
    ) -> Value {
        status::status(declared, progress, conditions)
    }
}

/// How much longer a create that we sent before the deletion may still arrive.
fn in_doubt(declared: &Declared, desired: &Desired) -> Option<Duration> {
    let left = desired.cloud.limits().in_doubt.checked_sub(declared.leaving_for())?;
    (!left.is_zero()).then_some(left)
}
