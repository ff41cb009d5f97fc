//! A hub and a member in process, a cloud whose answers are set by hand, paused time.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::{Condition, ConditionType, ManagedCluster, crds};
use fleetwright_apiserver::{
    ApiServer, ClusterSpec, Identity, LogicalCluster, MemoryStore, ResourceRef, Scheme,
    StaticTokens,
};
use fleetwright_clock::{Clock, RandomIds};
use fleetwright_controllers::hub::{ensure_namespace, hub_id};
use fleetwright_controllers::members::{Connector, Member};
use fleetwright_controllers::{Clouds, Fleet};
use fleetwright_names::ObjectKey;
use fleetwright_provider::{Provider, Secret};
use fleetwright_reconcile::{Context, Failure};
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::cloud::{Cloud, ENDPOINT, FakeCloud};

pub(super) const CLUSTERS: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "managedclusters");
pub(super) const POLICIES: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "clusterpolicies");
pub(super) const ACCOUNTS: ResourceRef =
    ResourceRef::new("fleetwright.dev", "v1alpha1", "providerconfigs");
pub(super) const SECRETS: ResourceRef = ResourceRef::new("", "v1", "secrets");
pub(super) const NAMESPACES: ResourceRef = ResourceRef::new("", "v1", "namespaces");
pub(super) const NODES: ResourceRef = ResourceRef::new("", "v1", "nodes");
pub(super) const PODS: ResourceRef = ResourceRef::new("", "v1", "pods");
pub(super) const SERVICES: ResourceRef = ResourceRef::new("", "v1", "services");
pub(super) const EVENTS: ResourceRef = ResourceRef::new("", "v1", "events");
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

#[derive(Debug)]
struct ToMember(LogicalCluster, Cloud);

impl Connector for ToMember {
    fn connect(&self, member: &Member, _: &Secret) -> Result<Client, Failure> {
        let connection = &member.connection;
        assert_eq!(connection.endpoint, ENDPOINT, "tokens go nowhere else");
        let trusted = connection.certificate_authority.clone();
        self.1.lock().expect("the sky").trusted.push(trusted);
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
    pub(super) client: Client,
    pub(super) fleet: Fleet,
    clock: Arc<dyn Clock>,
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
        let with_karpenter =
            ["NodePool", "NodeClaim"].iter().fold((*scheme).clone(), |all, kind| {
                all.with_crd(&karpenter(kind)).expect("a kind of Karpenter's")
            });
        for (name, scheme) in [("hub", scheme), ("member", Arc::new(with_karpenter))] {
            let spec = ClusterSpec {
                name: name.into(),
                scheme,
                authenticator: Arc::new(StaticTokens::new()),
                version: "v1.34.0-test".into(),
            };
            logical.push(api.add_cluster(spec).await.expect(name));
        }
        let [hub, member] = <[LogicalCluster; 2]>::try_from(logical).expect("two");
        let client = Client::new(hub.service_as(Identity::system("us")), "default");
        ensure_namespace(&client, "shop").await.expect("a namespace");
        let under = |key| {
            let provider: Arc<dyn Provider> = Arc::new(FakeCloud(Arc::clone(&cloud), key));
            (key, provider)
        };
        let fleet = Fleet {
            hub: hub_id(&client, ids.as_ref()).await.expect("an id"),
            context: Context::new(client.clone(), Arc::clone(&clock), ids),
            clouds: Clouds::from([under("eks"), under("aks")]),
            connector: Arc::new(ToMember(member.clone(), Arc::clone(&cloud))),
            token_command: vec!["fleetwright".into()],
        };
        let world = Self {
            cloud,
            hub,
            member,
            client,
            clock,
            controllers: tokio::spawn(fleetwright_controllers::run(fleet.clone())),
            fleet,
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
        let pools: Vec<Value> = pools.iter().map(|name| node_pool(name, "small")).collect();
        self.declare_with(json!({"deletionPolicy": policy, "nodePools": pools})).await;
    }

    /// Declares cluster `shop/one` with these fields beside the needed ones.
    pub(super) async fn declare_with(&self, fields: Value) {
        let mut spec = json!({
            "version": "1.34", "providerConfigRef": {"name": "aws"},
            "eks": {
                "region": "eu-west-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                "network": {"subnetIds": ["subnet-a", "subnet-b"]},
            },
        });
        merge(&mut spec, fields);
        self.put(
            &CLUSTERS,
            json!({
                "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
                "metadata": {"namespace": "shop", "name": "one"}, "spec": spec,
            }),
        )
        .await;
    }

    /// Changes fields of the cluster's object, as a user would; `null` removes.
    pub(super) async fn edit(&self, change: Value) {
        let api = Api::<ManagedCluster>::namespaced(self.client.clone(), "shop");
        let patched = api.patch("one", &PatchParams::default(), &Patch::Merge(&change)).await;
        patched.expect("the hub takes it");
    }

    pub(super) async fn annotate(&self, key: &str, value: &str) {
        self.edit(json!({"metadata": {"annotations": {key: value}}})).await;
    }

    pub(super) async fn uid(&self) -> String {
        self.cluster().await.and_then(|cluster| cluster.metadata.uid).expect("a uid")
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn acts(&self) -> Vec<String> {
        self.cloud.lock().expect("the sky").acts.clone()
    }

    /// The message of a condition.
    pub(super) async fn message(&self, type_: ConditionType) -> String {
        let status = self.cluster().await.and_then(|cluster| cluster.status).expect("a status");
        let found = status.conditions.into_iter().find(|one| one.type_ == type_);
        found.map(|found| found.message).unwrap_or_default()
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

/// A declared pool; `kind` stands for what cannot be changed in place.
pub(super) fn node_pool(name: &str, kind: &str) -> Value {
    let role = "arn:aws:iam::111122223333:role/nodes";
    json!({
        "name": name, "size": {"min": 1, "max": 1}, "labels": {"kind": kind}, "eks": {"roleArn": role},
    })
}

/// A kind that Karpenter brings along.
fn karpenter(kind: &str) -> Value {
    let singular = kind.to_lowercase();
    let plural = format!("{singular}s");
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.karpenter.sh")},
        "spec": {
            "group": "karpenter.sh", "scope": "Cluster",
            "names": {"kind": kind, "plural": plural, "singular": singular, "listKind": format!("{kind}List")},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {
                    "type": "object", "x-kubernetes-preserve-unknown-fields": true,
                }},
            }],
        },
    })
}

fn merge(into: &mut Value, change: Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                if value.is_null() {
                    into.remove(&key);
                } else {
                    merge(into.entry(key).or_insert(Value::Null), value);
                }
            }
        }
        (into, change) => *into = change,
    }
}
