//! A hub and a member in process, a cloud whose answers are set by hand, paused time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{Condition, ConditionType, Connection, ManagedCluster, crds};
use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, ResourceRef, Scheme,
    StaticTokens,
};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_controllers::hub::{ensure_namespace, hub_id};
use fleetwright_controllers::members::Connector;
use fleetwright_controllers::{Clouds, Fleet};
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, ObjectKey, PoolName, TAG_RELEASED};
use fleetwright_plan::{
    Address, Change, ChangeKind, CloudAction, CloudStep, DesiredCluster, DesiredPool,
    KubernetesVersion, Phase, Problem, Resource, Seen, SeenCluster, SeenPool, Snapshot,
};
use fleetwright_provider::{Asked, CloudError, Limits, MemberToken, Owned, Provider, Secret};
use fleetwright_reconcile::{Context, Failure};
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Value, json};
use tokio::time::Instant;

pub(super) const ENDPOINT: &str = "https://member.invalid";
pub(super) const CLUSTERS: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "managedclusters");
pub(super) const POLICIES: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "clusterpolicies");
pub(super) const ACCOUNTS: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "providerconfigs");
pub(super) const SECRETS: ResourceRef = ResourceRef::new("", "v1", "secrets");
pub(super) const NETWORK_POLICIES: ResourceRef =
    ResourceRef::new("networking.k8s.io", "v1", "networkpolicies");

/// Paused time from 2026-01-01.
#[derive(Debug)]
pub(super) struct TestClock(Instant);

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let passed = SignedDuration::try_from(self.0.elapsed()).expect("short");
        Timestamp::from_second(1_767_225_600).expect("a time") + passed
    }
}

/// What the cloud holds and how it answers.
#[derive(Debug, Default)]
pub(super) struct Sky {
    pub(super) cluster: Option<SeenCluster>,
    pub(super) pools: BTreeMap<PoolName, SeenPool>,
    /// Looks fail with this.
    pub(super) unseen: Option<String>,
    /// Writes to these resources fail with this class.
    pub(super) refused: BTreeMap<String, Class>,
    pub(super) looks: usize,
    pub(super) acts: Vec<String>,
    pub(super) member_silent: bool,
}

pub(super) type Cloud = Arc<Mutex<Sky>>;

#[derive(Debug)]
struct FakeEks(Cloud);

#[async_trait]
impl Provider for FakeEks {
    fn key(&self) -> &'static str {
        "eks"
    }

    fn limits(&self) -> Limits {
        Limits {
            poll_busy: Duration::from_secs(2),
            poll_idle: Duration::from_secs(300),
            in_doubt: Duration::from_secs(30),
        }
    }

    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        let pools = asked.cluster.spec.node_pools.iter().map(|pool| DesiredPool {
            name: PoolName::new(&pool.name).expect("a name"),
            body: json!({}),
        });
        Ok(DesiredCluster {
            owner: asked.owner.clone(),
            generation: asked.cluster.metadata.generation.unwrap_or_default(),
            address: self.address(asked.cluster).expect("an address"),
            version: KubernetesVersion::parse("spec.version", &asked.cluster.spec.version)
                .expect("a version"),
            body: json!({}),
            pools: pools.collect(),
        })
    }

    fn address(&self, _: &ManagedCluster) -> Option<Address> {
        Some(Address {
            provider: "eks",
            provider_config: "aws".into(),
            region: "eu-west-1".into(),
            external_name: "one".into(),
        })
    }

    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
        let create = || ChangeKind::Create { body: json!({}) };
        let mut changes = Vec::new();
        if snapshot.cluster == Seen::Absent {
            changes.push(Change { resource: Resource::Cluster, kind: create() });
        }
        let missing = desired.pools.iter().filter(|pool| !snapshot.pools.contains_key(&pool.name));
        changes.extend(
            missing
                .map(|pool| Change { resource: Resource::Pool(pool.name.clone()), kind: create() }),
        );
        changes
    }

    async fn observe(&self, _: &Address) -> Snapshot {
        let mut sky = self.0.lock().expect("the sky");
        sky.looks += 1;
        if let Some(why) = &sky.unseen {
            let unknown = Seen::Unknown { since: Timestamp::UNIX_EPOCH, why: why.clone() };
            return Snapshot { cluster: unknown, pools: BTreeMap::new() };
        }
        let pools =
            sky.pools.iter().map(|(name, pool)| (name.clone(), Seen::Present(pool.clone())));
        Snapshot {
            cluster: sky.cluster.clone().map_or(Seen::Absent, Seen::Present),
            pools: pools.collect(),
        }
    }

    async fn act(&self, step: &CloudStep) -> Result<(), CloudError> {
        let mut sky = self.0.lock().expect("the sky");
        let what = step.resource.to_string();
        sky.acts.push(format!("{} {what}", step.action.verb()));
        if let Some(class) = sky.refused.get(&what) {
            let number = sky.acts.len();
            return Err(CloudError {
                class: *class,
                code: "InvalidRequest",
                operation: "eks:Create".into(),
                message: "no such instance type".into(),
                request_id: Some(format!("request-{number}")),
            });
        }
        let tags = match &step.action {
            CloudAction::Create { .. } => Some(step.owner.tags()),
            CloudAction::Release => {
                Some([(TAG_RELEASED.to_owned(), step.owner.uid.to_string())].into())
            }
            CloudAction::Delete => None,
        };
        match &step.resource {
            Resource::Cluster => sky.cluster = tags.map(active),
            Resource::Pool(name) => {
                sky.pools.remove(name);
                sky.pools.extend(tags.map(|tags| (name.clone(), pool(tags))));
            }
        }
        Ok(())
    }

    async fn token(&self, _: &Address) -> Result<MemberToken, CloudError> {
        let expires_at = Timestamp::from_second(1_800_000_000).expect("a time");
        Ok(MemberToken { token: Secret::new("t".into()), expires_at })
    }

    async fn list_owned(&self, _: &Address, _: &HubId) -> Result<Vec<Owned>, CloudError> {
        Ok(Vec::new())
    }
}

fn pool(tags: BTreeMap<String, String>) -> SeenPool {
    SeenPool { tags, phase: Phase::Active, trouble: String::new(), size: 1, body: json!({}) }
}

/// A control plane that answers.
pub(super) fn active(tags: BTreeMap<String, String>) -> SeenCluster {
    SeenCluster {
        external_id: "arn:one".into(),
        tags,
        phase: Phase::Active,
        trouble: String::new(),
        version: "1.34".into(),
        platform_version: None,
        endpoint: Some(ENDPOINT.into()),
        certificate_authority: Some("PEM".into()),
        oidc_issuer: None,
        body: json!({}),
    }
}

#[derive(Debug)]
struct ToMember(LogicalCluster, Cloud);

impl Connector for ToMember {
    fn connect(&self, connection: &Connection, _: &Secret) -> Result<Client, Failure> {
        assert_eq!(connection.endpoint, ENDPOINT, "tokens go nowhere else");
        let (member, sky) = (self.0.clone(), Arc::clone(&self.1));
        let service = tower::service_fn(move |request: http::Request<kube::client::Body>| {
            let (member, sky) = (member.clone(), Arc::clone(&sky));
            async move {
                if sky.lock().expect("the sky").member_silent {
                    std::future::pending::<()>().await;
                }
                tower::ServiceExt::oneshot(member.service_as(Identity::system("us")), request).await
            }
        });
        Ok(Client::new(service, "default"))
    }
}

pub(super) struct World {
    pub(super) cloud: Cloud,
    pub(super) hub: LogicalCluster,
    pub(super) member: LogicalCluster,
    controllers: tokio::task::JoinHandle<()>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.controllers.abort();
    }
}

impl World {
    /// Controllers that run, an account that namespace `shop` may use, a policy for every cluster.
    pub(super) async fn new(cloud: Cloud) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(TestClock(Instant::now()));
        let ids = Arc::new(RandomIds::seeded(1));
        let api = ApiServer::open(Arc::new(MemoryStore::new()), Arc::clone(&clock), ids.clone())
            .await
            .expect("a server");
        let mut scheme = Scheme::builtin();
        for (file, crd) in crds() {
            scheme = scheme.with_crd(&crd).expect(&file);
        }
        let scheme = Arc::new(scheme);
        let mut logical = Vec::new();
        for name in ["hub", "member"] {
            let spec = ClusterSpec {
                name: name.into(),
                scheme: Arc::clone(&scheme),
                authenticator: Arc::new(StaticTokens::new()),
                version: "v1.34.0-test".into(),
            };
            logical.push(api.add_cluster(spec).await.expect(name));
        }
        let [hub, member] = <[LogicalCluster; 2]>::try_from(logical).expect("two");
        let client = Client::new(hub.service_as(Identity::system("us")), "default");
        ensure_namespace(&client, "shop").await.expect("a namespace");
        let eks: Arc<dyn Provider> = Arc::new(FakeEks(Arc::clone(&cloud)));
        let fleet = Fleet {
            hub: hub_id(&client, ids.as_ref()).await.expect("an id"),
            context: Context { client, clock, ids },
            clouds: Clouds::from([("eks", eks)]),
            connector: Arc::new(ToMember(member.clone(), Arc::clone(&cloud))),
            token_command: vec!["fleetwright".into()],
        };
        let world = Self {
            cloud,
            hub,
            member,
            controllers: tokio::spawn(fleetwright_controllers::run(fleet)),
        };
        world.put(&ACCOUNTS, json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
            "spec": {"allowedNamespaces": {"names": ["shop"]}, "aws": {"identity": {"type": "Environment"}}},
        })).await;
        world.put(&POLICIES, json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ClusterPolicy", "metadata": {"name": "baseline"},
            "spec": {"clusterSelector": {}, "network": {"mode": "Enforce", "defaultDeny": ["Ingress"]}},
        })).await;
        world
    }

    pub(super) async fn put(&self, kind: &ResourceRef, object: Value) {
        self.hub.put(kind, object).await.expect("the hub takes it");
    }

    /// Declares cluster `shop/one`.
    pub(super) async fn declare(&self, policy: &str, pools: &[&str]) {
        let pools: Vec<Value> = pools
            .iter()
            .map(|name| {
                let role = "arn:aws:iam::111122223333:role/nodes";
                json!({"name": name, "size": {"min": 1, "max": 1}, "eks": {"roleArn": role}})
            })
            .collect();
        self.put(&CLUSTERS, json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": "shop", "name": "one"},
            "spec": {
                "deletionPolicy": policy, "version": "1.34", "providerConfigRef": {"name": "aws"},
                "eks": {
                    "region": "eu-west-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                    "network": {"subnetIds": ["subnet-a", "subnet-b"]},
                },
                "nodePools": pools,
            },
        })).await;
    }

    pub(super) async fn pass(&self, seconds: u64) {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    }

    pub(super) async fn cluster(&self) -> Option<ManagedCluster> {
        let key = ObjectKey::namespaced("shop", "one");
        let found = self.hub.get(&CLUSTERS, Some(&key.namespace), &key.name).await?;
        Some(serde_json::from_value(Value::clone(&found)).expect("a cluster"))
    }

    pub(super) async fn version(&self) -> Option<String> {
        self.cluster().await.and_then(|cluster| cluster.metadata.resource_version)
    }

    /// `True/Available`, or `-`.
    pub(super) async fn told(&self, type_: ConditionType) -> String {
        let cluster = self.cluster().await.expect("the cluster");
        let conditions = cluster.status.map(|status| status.conditions).unwrap_or_default();
        let found: Option<&Condition> = conditions.iter().find(|one| one.type_ == type_);
        found.map_or("-".into(), |found| format!("{:?}/{}", found.status, found.reason))
    }

    pub(super) async fn network_policies(&self) -> usize {
        self.member.list(&NETWORK_POLICIES, None).await.len()
    }
}
