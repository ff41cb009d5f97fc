//! A cloud whose answers are set by hand: control plane, pools, settings, versions, credentials.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use fleetwright_api_types::{
    ArgoCdRegistration, Governed, ManagedCluster, NodePool, OnDrainTimeout, PoolRole,
    ProviderConfig,
};
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Ownership, PoolName, TAG_RELEASED};
use fleetwright_plan::{
    Address, Change, ChangeKind, CloudAction, CloudRules, CloudStep, Credentials, DesiredCluster,
    DesiredPool, Difference, KubernetesVersion, Phase, Problem, Replacement, Resource, Seen,
    SeenCluster, SeenPool, Snapshot, Update, Upgrade,
};
use fleetwright_provider::{
    Access, Asked, CloudError, Limits, MemberToken, Owned, Provider, Receipt, Secret,
};
use jiff::Timestamp;
use serde_json::{Value, json};

pub(super) const ENDPOINT: &str = "https://member.invalid";

/// What the cloud holds and how it answers.
#[derive(Debug, Default)]
pub(super) struct Sky {
    pub(super) cluster: Option<SeenCluster>,
    pub(super) pools: BTreeMap<PoolName, SeenPool>,
    /// Looks fail with this.
    pub(super) unseen: Option<String>,
    /// The cloud does not know us, with this code.
    pub(super) credentials: Option<String>,
    /// When the credentials end.
    pub(super) ends: Option<Timestamp>,
    /// The credentials lead into this account instead, where nothing is.
    pub(super) elsewhere: Option<String>,
    /// Writes to these resources fail with this class.
    pub(super) refused: BTreeMap<String, Class>,
    pub(super) looks: usize,
    pub(super) acts: Vec<String>,
    /// Keys of the account's Secret that came with the last look.
    pub(super) secret: Option<Vec<String>>,
    pub(super) member_silent: bool,
    /// The certificate authority of every connection over which a token was sent.
    pub(super) trusted: Vec<String>,
}

pub(super) type Cloud = Arc<Mutex<Sky>>;

/// Settings are the `tags` of account and cluster, the immutable kind of a pool is its label `kind`. By key `aks` it
/// has Azure's habits: one change at a time, system pools are born with their cluster, and pools end with it.
#[derive(Debug)]
pub(super) struct FakeCloud(pub(super) Cloud, pub(super) &'static str);

#[async_trait]
impl Provider for FakeCloud {
    fn key(&self) -> &'static str {
        self.1
    }

    fn rules(&self) -> CloudRules {
        let azure = self.1 == "aks";
        CloudRules { serial: azure, pools_end_with_control_plane: azure, by_hand: false }
    }

    fn limits(&self) -> Limits {
        Limits {
            poll_busy: Duration::from_secs(2),
            poll_idle: Duration::from_secs(300),
            in_doubt: Duration::from_secs(30),
        }
    }

    fn desire(&self, asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        let spec = &asked.cluster.spec;
        let kind = |pool: &NodePool| pool.labels.get("kind").cloned().unwrap_or_default();
        let when_late = |pool: &NodePool| pool.update.as_ref()?.on_drain_timeout;
        let mut settings = asked.account.spec.default_tags.clone();
        settings.extend(spec.tags.clone());
        let system = spec.node_pools.iter().filter(|pool| pool.role == Some(PoolRole::System));
        let born: Vec<&String> = system.map(|pool| &pool.name).collect();
        let pools = spec.node_pools.iter().map(|pool| DesiredPool {
            name: PoolName::new(&pool.name).expect("a name"),
            drain_timeout: Duration::from_secs(900),
            on_drain_timeout: when_late(pool).unwrap_or(OnDrainTimeout::Wait),
            body: json!({"kind": kind(pool)}),
        });
        Ok(DesiredCluster {
            owner: asked.owner.clone(),
            generation: asked.cluster.metadata.generation.unwrap_or_default(),
            address: self.address(asked.cluster).expect("an address"),
            version: KubernetesVersion::parse("spec.version", &spec.version).expect("a version"),
            body: json!({"settings": settings, "version": spec.version, "born": born}),
            pools: pools.collect(),
            parts: Vec::new(),
            tags: asked.owner.tags(),
        })
    }

    fn address(&self, _: &ManagedCluster) -> Option<Address> {
        Some(Address {
            provider: self.1,
            provider_config: "aws".into(),
            region: "eu-west-1".into(),
            external_name: "one".into(),
            site: String::new(),
        })
    }

    fn diff(&self, desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
        let mut changes = match &snapshot.cluster {
            Seen::Absent => vec![Change {
                resource: Resource::Cluster,
                kind: ChangeKind::Create { body: desired.body.clone(), replaces: None },
            }],
            Seen::Present(seen) => cluster_changes(desired, seen),
            Seen::Unknown { .. } => Vec::new(),
        };
        changes.extend(pool_changes(desired, snapshot));
        changes
    }

    async fn observe(&self, access: &Access, _: &Address, _: Option<&DesiredCluster>) -> Snapshot {
        let mut sky = self.0.lock().expect("the sky");
        sky.looks += 1;
        sky.secret = access.secret.as_ref().map(|data| data.keys().cloned().collect());
        let unknown = |why: &str| Seen::Unknown { since: Timestamp::UNIX_EPOCH, why: why.into() };
        if let Some(code) = &sky.credentials {
            let why = "the token is over".to_owned();
            let credentials = Credentials::Failed { code: code.clone(), why: why.clone() };
            return Snapshot { credentials, ..Snapshot::of(unknown(&why)) };
        }
        if let Some(why) = &sky.unseen {
            return Snapshot::of(unknown(why));
        }
        if let Some(account) = &sky.elsewhere {
            let principal = format!("arn:aws:iam::{account}:role/fleetwright");
            let credentials =
                Credentials::Valid { account: account.clone(), principal, expires_at: None };
            return Snapshot { credentials, ..Snapshot::absent() };
        }
        let pools =
            sky.pools.iter().map(|(name, pool)| (name.clone(), Seen::Present(pool.clone())));
        Snapshot {
            credentials: Credentials::Valid {
                account: "111122223333".into(),
                principal: "arn:aws:iam::111122223333:role/fleetwright".into(),
                expires_at: sky.ends,
            },
            pools: pools.collect(),
            ..Snapshot::of(sky.cluster.clone().map_or(Seen::Absent, Seen::Present))
        }
    }

    async fn act(&self, _: &Access, step: &CloudStep) -> Result<Receipt, CloudError> {
        let mut sky = self.0.lock().expect("the sky");
        let what = step.resource.to_string();
        sky.acts.push(format!("{} {what}", step.action.verb()));
        let number = sky.acts.len();
        if let Some(class) = sky.refused.get(&what) {
            return Err(CloudError {
                class: *class,
                code: "InvalidRequest",
                operation: "eks:Create".into(),
                message: "no such instance type".into(),
                request_id: Some(format!("request-{number}")),
                retry_after: None,
            });
        }
        match &step.resource {
            Resource::Cluster => act_on_cluster(&mut sky, step),
            Resource::Pool(name) => act_on_pool(&mut sky, name, step),
            Resource::Part(_) => {}
        }
        let call = (format!("eks:{}", step.action.verb()), Some(format!("request-{number}")));
        Ok(Receipt { calls: vec![call] })
    }

    async fn token(&self, _: &Access, _: &Address) -> Result<MemberToken, CloudError> {
        let expires_at = Timestamp::from_second(1_800_000_000).expect("a time");
        Ok(MemberToken { token: Secret::new("t".into()), expires_at })
    }

    fn argocd(&self, _: &ProviderConfig, wanted: &ArgoCdRegistration, _: &Address) -> Value {
        if self.1 == "aks" {
            return Value::Null;
        }
        json!({"awsAuthConfig": {"clusterName": "one", "roleARN": wanted.aws_role_arn}})
    }

    fn node_selector(&self, pool: &PoolName) -> String {
        format!("pool={pool}")
    }

    async fn list_owned(
        &self,
        _: &Access,
        _: &Address,
        _: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        Ok(Vec::new())
    }
}

fn cluster_changes(desired: &DesiredCluster, seen: &SeenCluster) -> Vec<Change> {
    let change = |kind| Change { resource: Resource::Cluster, kind };
    let mut changes = Vec::new();
    if desired.owner.reads(&seen.tags) != Ownership::Ours {
        changes.push(change(ChangeKind::Claim));
    }
    let (wanted, found) = (&desired.body["settings"], &seen.body["settings"]);
    let differs = |(key, value): &(&String, &Value)| found.get(*key) != Some(*value);
    let fields = wanted.as_object().into_iter().flatten().filter(differs);
    let text = |value: Option<&Value>| value.map_or("nothing".into(), ToString::to_string);
    let differences: Vec<Difference> = fields
        .map(|(key, value)| Difference {
            field: format!("spec.tags[{key}]"),
            declared: text(Some(value)),
            found: text(found.get(key)),
        })
        .collect();
    if !differences.is_empty() {
        changes.push(change(ChangeKind::Update(Update {
            what: "settings".into(),
            differences,
            body: json!({"settings": wanted}),
            governed: None,
            upgrade: None,
        })));
    }
    let from = KubernetesVersion::parse("", &seen.version).expect("a version");
    if let Some(to) = from.next_towards(desired.version) {
        changes.push(change(ChangeKind::Update(Update {
            what: "version".into(),
            differences: vec![Difference {
                field: "spec.version".into(),
                declared: desired.version.to_string(),
                found: seen.version.clone(),
            }],
            body: json!({"version": to.to_string()}),
            governed: Some(Governed::Upgrade),
            upgrade: Some(Upgrade { from, to, target: desired.version }),
        })));
    }
    changes
}

fn pool_changes(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let pool = |name: &PoolName, kind| Change { resource: Resource::Pool(name.clone()), kind };
    let ours = |name: &PoolName| {
        let seen = snapshot.pools.get(name)?.present()?;
        (desired.owner.reads(&seen.tags) == Ownership::Ours).then_some(seen)
    };
    let mut changes = Vec::new();
    for wanted in &desired.pools {
        let heir = PoolName::new(format!("{}-2", wanted.name)).expect("a name");
        let create = |replaces| ChangeKind::Create { body: wanted.body.clone(), replaces };
        match (ours(&wanted.name), ours(&heir)) {
            (Some(old), heir_seen) if old.body["kind"] != wanted.body["kind"] => {
                if heir_seen.is_none() {
                    let differences = vec![Difference {
                        field: format!("spec.nodePools[{}].labels", wanted.name),
                        declared: wanted.body["kind"].to_string(),
                        found: old.body["kind"].to_string(),
                    }];
                    let replaces = Replacement { pool: wanted.name.clone(), differences };
                    changes.push(pool(&heir, create(Some(replaces))));
                }
                changes.push(pool(&wanted.name, ChangeKind::Retire { successor: heir }));
            }
            (None, None) => changes.push(pool(&wanted.name, create(None))),
            (Some(_), _) | (None, Some(_)) => {}
        }
    }
    let stray = |name: &&PoolName| {
        let stands_for = ours(name).map(|seen| &seen.stands_for);
        stands_for.is_some_and(|own| desired.pools.iter().all(|pool| pool.name != *own))
    };
    changes.extend(snapshot.pools.keys().filter(stray).map(|name| pool(name, ChangeKind::Delete)));
    changes
}

fn act_on_cluster(sky: &mut Sky, step: &CloudStep) {
    match (&step.action, &mut sky.cluster) {
        (CloudAction::Create { body }, _) => {
            let mut made = active(step.owner.tags());
            made.body = body.clone();
            made.version = body["version"].as_str().unwrap_or("1.34").to_owned();
            sky.cluster = Some(made);
            for name in body["born"].as_array().into_iter().flatten().filter_map(Value::as_str) {
                let mut born = pool(step.owner.tags(), name);
                born.body = json!({"kind": "small"});
                sky.pools.insert(born.stands_for.clone(), born);
            }
        }
        (CloudAction::Update(update), Some(seen)) => {
            if let Some(version) = update.body["version"].as_str() {
                version.clone_into(&mut seen.version);
            } else {
                seen.body["settings"] = update.body["settings"].clone();
            }
        }
        (CloudAction::Claim { tags, .. }, Some(seen)) => seen.tags = tags.clone(),
        (CloudAction::Release, Some(seen)) => seen.tags = released(step),
        (CloudAction::Delete, _) => {
            sky.cluster = None;
            sky.pools.clear();
        }
        (CloudAction::Update(_) | CloudAction::Claim { .. } | CloudAction::Release, None) => {}
    }
}

fn act_on_pool(sky: &mut Sky, name: &PoolName, step: &CloudStep) {
    match &step.action {
        CloudAction::Create { body } => {
            let stands_for = name.as_str().strip_suffix("-2").unwrap_or(name.as_str());
            let mut made = pool(step.owner.tags(), stands_for);
            made.body = body.clone();
            sky.pools.insert(name.clone(), made);
        }
        CloudAction::Delete => drop(sky.pools.remove(name)),
        CloudAction::Release => {
            sky.pools.entry(name.clone()).and_modify(|pool| pool.tags = released(step));
        }
        CloudAction::Claim { tags, .. } => {
            sky.pools.entry(name.clone()).and_modify(|pool| pool.tags = tags.clone());
        }
        CloudAction::Update(_) => {}
    }
}

fn released(step: &CloudStep) -> BTreeMap<String, String> {
    [(TAG_RELEASED.to_owned(), step.owner.uid.to_string())].into()
}

/// A pool with one node.
pub(super) fn pool(tags: BTreeMap<String, String>, stands_for: &str) -> SeenPool {
    SeenPool {
        tags,
        phase: Phase::Active,
        trouble: String::new(),
        size: 1,
        stands_for: PoolName::new(stands_for).expect("a name"),
        version: "1.34".into(),
        release: None,
        last_update: None,
        body: json!({}),
    }
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
        last_update: None,
        blockers: None,
        body: json!({}),
    }
}
