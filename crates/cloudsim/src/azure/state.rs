//! What the cloud remembers of each AKS cluster: its goal in Azure's own words, what of that is real, and operations.
//!
//! As in AKS, a request that is taken changes the goal at once; its operation makes it real later, or fails and leaves
//! the goal as it is. Nothing repairs itself: somebody must put the goal again.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_names::TAG_POOL;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::AZURE_SUBSCRIPTION_ID;
use crate::state::{RecordKey, Trouble, digest_hex};

use super::tags;

/// AKS forgets old operations; so does the simulation, beyond this many of a cluster.
const MAX_OPERATIONS: usize = 50;

/// Which AKS cluster. Azure's names have no case, so these have a lower one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct AksKey {
    group: String,
    name: String,
}

impl AksKey {
    pub(crate) fn new(group: &str, name: &str) -> Self {
        Self { group: group.to_lowercase(), name: name.to_lowercase() }
    }

    /// The one that an external name means: `<subscription>/<group>/<name>`.
    pub(crate) fn by_external_name(name: &str) -> Option<Self> {
        let mut parts = name.split('/');
        let found = (parts.next()?, parts.next()?, parts.next()?);
        let known = found.0.eq_ignore_ascii_case(AZURE_SUBSCRIPTION_ID) && parts.next().is_none();
        known.then(|| Self::new(found.1, found.2))
    }

    pub(crate) fn is_in(&self, group: &str) -> bool {
        self.group.eq_ignore_ascii_case(group)
    }

    /// The name of the member's logical cluster and of the record: a DNS label.
    pub(crate) fn member_id(&self) -> String {
        let Self { group, name } = self;
        let label = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
        let slug: String = name.chars().take(40).map(label).collect();
        format!("aks-{slug}-{}", self.mark_of(group))
    }

    /// Twelve hexadecimal digits that operations carry, too, so that their cluster is found.
    pub(crate) fn mark(&self) -> String {
        self.mark_of(&self.group)
    }

    fn mark_of(&self, group: &str) -> String {
        digest_hex(&format!("{group}/{}", self.name), 12)
    }
}

impl RecordKey for AksKey {
    type Record = AksCluster;
    const ENTRY: &'static str = "aks.json";
    const BEFORE: &'static str = "aks-before.json";

    fn record_id(&self) -> String {
        self.member_id()
    }

    fn of(record: &AksCluster) -> &Self {
        &record.key
    }
}

/// How the last operation on something ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Succeeded,
    Failed(Trouble),
}

/// What an operation is on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Target {
    Cluster,
    Pool(String),
}

/// What an operation does; the words are provisioning states of AKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Doing {
    Creating,
    Updating,
    Upgrading,
    Scaling,
    UpgradingNodeImageVersion,
    Deleting,
}

/// How far an operation is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Progress {
    Open {
        due: Timestamp,
        /// It will end badly.
        doomed: Option<Trouble>,
    },
    Succeeded {
        at: Timestamp,
    },
    Failed {
        at: Timestamp,
        trouble: Trouble,
    },
}

/// A long-running operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) doing: Doing,
    pub(crate) target: Target,
    pub(crate) started: Timestamp,
    /// What the control plane runs afterwards, in full; `None`: as before.
    pub(crate) version: Option<String>,
    pub(crate) progress: Progress,
}

/// An AKS cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AksCluster {
    pub(crate) key: AksKey,
    /// As whoever created it wrote them.
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) location: String,
    /// Told apart from an earlier cluster of the same name.
    pub(crate) uid: String,
    /// The goal: the body of a `PUT` with all defaults, without location and pools.
    pub(crate) document: Value,
    /// What the control plane runs, in full.
    pub(crate) running: String,
    pub(crate) outcome: Outcome,
    /// Whether a control plane ever ran.
    pub(crate) made: bool,
    pub(crate) pools: BTreeMap<String, AksPool>,
    /// Maintenance configurations: their `properties`.
    pub(crate) maintenance: BTreeMap<String, Value>,
    /// Oldest first.
    pub(crate) operations: Vec<Operation>,
    /// Counts changes, for the ETag.
    pub(crate) revision: u64,
    pub(crate) created_at: Timestamp,
    /// What the cluster made in the cloud by itself: `LoadBalancer ns/name`, `Volume ns/name`.
    pub(crate) outside: BTreeSet<String>,
}

/// An agent pool.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AksPool {
    pub(crate) uid: String,
    /// The goal: the `properties` of a `PUT` with all defaults.
    pub(crate) document: Value,
    pub(crate) goal_release: u32,
    pub(crate) outcome: Outcome,
    pub(crate) revision: u64,
    /// What is real.
    pub(crate) running: String,
    pub(crate) release: u32,
    pub(crate) made: bool,
    pub(crate) machines: u32,
    /// How often all machines were replaced.
    pub(crate) roll: u32,
    /// The labels and taints on the nodes.
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) taints: Vec<String>,
    pub(crate) modified_at: Timestamp,
}

impl Operation {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.progress, Progress::Open { .. })
    }

    /// As `Azure-AsyncOperation` is answered.
    pub(crate) fn describe(&self) -> Value {
        let time = |at: &Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string();
        let mut told = json!({ "name": self.id, "startTime": time(&self.started) });
        match &self.progress {
            Progress::Open { .. } => told["status"] = json!("InProgress"),
            Progress::Succeeded { at } => {
                told["status"] = json!("Succeeded");
                told["endTime"] = json!(time(at));
            }
            Progress::Failed { at, trouble } => {
                told["status"] = json!("Failed");
                told["endTime"] = json!(time(at));
                told["error"] = error(trouble);
            }
        }
        told
    }
}

/// Trouble as Azure writes it.
pub(crate) fn error(trouble: &Trouble) -> Value {
    json!({ "code": trouble.code, "message": trouble.message })
}

impl AksCluster {
    pub(crate) fn external_name(&self) -> String {
        format!("{AZURE_SUBSCRIPTION_ID}/{}/{}", self.group, self.name)
    }

    /// As AKS writes ids: with a lower-case word in the middle.
    pub(crate) fn id(&self) -> String {
        let Self { group, name, .. } = self;
        format!(
            "/subscriptions/{AZURE_SUBSCRIPTION_ID}/resourcegroups/{group}\
             /providers/Microsoft.ContainerService/managedClusters/{name}"
        )
    }

    /// The resource group of the nodes.
    pub(crate) fn node_group(&self) -> String {
        self.document["properties"]["nodeResourceGroup"].as_str().unwrap_or_default().to_owned()
    }

    /// The operation on a target that is under way.
    pub(crate) fn under_way(&self, target: &Target) -> Option<&Operation> {
        self.operations.iter().find(|one| one.target == *target && one.is_open())
    }

    /// The provisioning state.
    pub(crate) fn state(&self) -> String {
        state(self.under_way(&Target::Cluster), &self.outcome)
    }

    /// The provisioning state of a pool; empty when there is no such pool.
    pub(crate) fn pool_state(&self, name: &str) -> String {
        let Some(pool) = self.pools.get(name) else {
            return String::new();
        };
        if let Some(operation) = self.under_way(&Target::Pool(name.to_owned())) {
            return state(Some(operation), &pool.outcome);
        }
        // An operation on the cluster takes its pools along.
        match self.under_way(&Target::Cluster).map(|operation| operation.doing) {
            Some(Doing::Deleting) => "Deleting".to_owned(),
            Some(Doing::Creating) => "Creating".to_owned(),
            Some(_) if !pool.made => "Creating".to_owned(),
            Some(_) if pool.is_behind() => "Updating".to_owned(),
            _ => state(None, &pool.outcome),
        }
    }

    /// The ETag; it changes with the cluster and with each of its pools.
    pub(crate) fn etag(&self) -> String {
        let pools: Vec<u64> = self.pools.values().map(|pool| pool.revision).collect();
        let (uid, revision) = (&self.uid, self.revision);
        etag(&format!("{uid}/{revision}/{pools:?}"))
    }

    pub(crate) fn pool_etag(&self, pool: &AksPool) -> String {
        etag(&format!("{}/{}", pool.uid, pool.revision))
    }

    /// Remembers an operation.
    pub(crate) fn begin(&mut self, operation: Operation) {
        self.revision += 1;
        if let Target::Pool(name) = &operation.target
            && let Some(pool) = self.pools.get_mut(name)
        {
            pool.revision += 1;
        }
        self.operations.push(operation);
        if self.operations.len() > MAX_OPERATIONS
            && let Some(oldest) = self.operations.iter().position(|one| !one.is_open())
        {
            self.operations.remove(oldest);
        }
    }
}

fn state(operation: Option<&Operation>, outcome: &Outcome) -> String {
    match (operation, outcome) {
        (Some(operation), _) => format!("{:?}", operation.doing),
        (None, Outcome::Succeeded) => "Succeeded".to_owned(),
        (None, Outcome::Failed(_)) => "Failed".to_owned(),
    }
}

/// ETags of AKS look like UUIDs.
fn etag(text: &str) -> String {
    uuid(&digest_hex(text, 32))
}

/// Thirty-two hexadecimal digits in the form of a UUID.
pub(crate) fn uuid(digits: &str) -> String {
    let part = |range: std::ops::Range<usize>| digits.get(range).unwrap_or_default();
    let parts = [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)];
    parts.join("-")
}

impl AksPool {
    pub(crate) fn text(&self, field: &str) -> &str {
        self.document[field].as_str().unwrap_or_default()
    }

    pub(crate) fn number(&self, field: &str) -> u32 {
        self.document[field].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
    }

    pub(crate) fn is_system(&self) -> bool {
        self.text("mode") == "System"
    }

    pub(crate) fn goal_labels(&self) -> BTreeMap<String, String> {
        serde_json::from_value(self.document["nodeLabels"].clone()).unwrap_or_default()
    }

    pub(crate) fn goal_taints(&self) -> Vec<String> {
        serde_json::from_value(self.document["nodeTaints"].clone()).unwrap_or_default()
    }

    /// What its kubelets shall run, in full.
    pub(crate) fn goal_version(&self) -> String {
        super::versions::goal(self.text("orchestratorVersion"), &self.running)
    }

    /// Whether something of the goal is not real.
    pub(crate) fn is_behind(&self) -> bool {
        !self.made
            || self.machines != self.number("count")
            || self.release != self.goal_release
            || self.running != self.goal_version()
            || self.labels != self.goal_labels()
            || self.taints != self.goal_taints()
    }

    /// The name that the declaration has for it.
    pub(crate) fn declared_name(&self) -> Option<String> {
        tags::ours(&self.document["tags"]).remove(TAG_POOL)
    }
}
