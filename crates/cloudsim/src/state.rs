//! What the cloud remembers: one ConfigMap per EKS cluster, node groups inside.
//!
//! A record is read for every operation and written before its answer. There is no second copy in memory that could
//! differ from it.

use std::collections::BTreeMap;

use fleetwright_apiserver::{LogicalCluster, ResourceRef};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::eks::{ClusterRequest, NodegroupRequest};
use crate::{ACCOUNT_ID, SettleError, SimCluster, SimNodegroup};

const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");
const NAMESPACE: &str = "default";
/// The key in the ConfigMap's data.
const ENTRY: &str = "cluster.json";

/// Which EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClusterKey {
    pub(crate) region: String,
    pub(crate) name: String,
}

/// Where something is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Creating { due: Timestamp },
    Active,
    CreateFailed { message: String },
    Deleting { due: Timestamp },
}

/// An EKS cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) key: ClusterKey,
    /// Told apart from an earlier cluster of the same name.
    pub(crate) uid: String,
    /// As it was asked for, except `tags`, which live below.
    pub(crate) request: ClusterRequest,
    /// Filled in when the request had none.
    pub(crate) version: String,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) nodegroups: BTreeMap<String, Nodegroup>,
}

/// A managed node group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Nodegroup {
    pub(crate) uid: String,
    /// As it was asked for, except `tags`, which live below.
    pub(crate) request: NodegroupRequest,
    pub(crate) version: String,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
}

impl ClusterKey {
    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:eks:{}:{ACCOUNT_ID}:cluster/{}", self.region, self.name)
    }

    /// The name of the member's logical cluster and of the record: a DNS label. EKS allows names that are not; those
    /// get a digest instead of what a label cannot say, and another prefix, so that the two never meet.
    pub(crate) fn member_id(&self) -> String {
        let Self { region, name } = self;
        let plain = format!("eks-{region}-{name}");
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if plain.len() <= 63 && plain.chars().all(label) && !plain.ends_with('-') {
            return plain;
        }
        let slug: String = name
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if label(c) { c } else { '-' })
            .take(24)
            .collect();
        format!("eksx-{region}-{slug}-{}", digest_hex(&plain, 12))
    }
}

impl Phase {
    /// As EKS writes it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Creating { .. } => "CREATING",
            Self::Active => "ACTIVE",
            Self::CreateFailed { .. } => "CREATE_FAILED",
            Self::Deleting { .. } => "DELETING",
        }
    }

    /// The phase once everything that is due has happened; `None` for gone.
    fn at(&self, now: Timestamp) -> Option<Self> {
        match self {
            Self::Creating { due } if *due <= now => Some(Self::Active),
            Self::Deleting { due } if *due <= now => None,
            other => Some(other.clone()),
        }
    }
}

impl Cluster {
    /// Whether a Kubernetes API stands behind it.
    pub(crate) fn has_member(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::Deleting { .. })
    }

    /// What an observer sees at `now`.
    pub(crate) fn seen_at(self, now: Timestamp) -> Option<SimCluster> {
        let status = self.phase.at(now)?.as_str().to_owned();
        let nodegroups = self.nodegroups.into_iter().filter_map(|(name, group)| {
            let status = group.phase.at(now)?.as_str().to_owned();
            Some(SimNodegroup { name, status, tags: group.tags })
        });
        Some(SimCluster {
            region: self.key.region,
            name: self.key.name,
            status,
            tags: self.tags,
            created_at: self.created_at,
            nodegroups: nodegroups.collect(),
        })
    }
}

impl Nodegroup {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        let ClusterKey { region, name } = cluster;
        let group = &self.request.nodegroup_name;
        format!("arn:aws:eks:{region}:{ACCOUNT_ID}:nodegroup/{name}/{group}/{}", self.uid)
    }
}

/// The first `digits` hexadecimal digits of the SHA-256 of `text`: for made-up ids that must stay the same.
pub(crate) fn digest_hex(text: &str, digits: usize) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(digits).collect()
}

/// The records.
#[derive(Debug)]
pub(crate) struct Ledger(LogicalCluster);

impl Ledger {
    pub(crate) fn new(records: LogicalCluster) -> Self {
        Self(records)
    }

    pub(crate) async fn one(&self, key: &ClusterKey) -> Result<Option<Cluster>, SettleError> {
        let record = key.member_id();
        let object = self.0.get(&CONFIG_MAPS, Some(NAMESPACE), &record).await;
        object.map(|object| read(&record, &object)).transpose()
    }

    /// All, by region and name.
    pub(crate) async fn all(&self) -> Result<Vec<Cluster>, SettleError> {
        let mut clusters = Vec::new();
        for object in self.0.list(&CONFIG_MAPS, Some(NAMESPACE)).await {
            // Kubernetes puts ConfigMaps of its own into namespaces; ours say so.
            let record = object["metadata"]["name"].as_str().unwrap_or_default();
            if object["data"][ENTRY].is_string() {
                clusters.push(read(record, &object)?);
            }
        }
        clusters.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(clusters)
    }

    pub(crate) async fn save(&self, cluster: &Cluster) -> Result<(), SettleError> {
        let record = cluster.key.member_id();
        let text = serde_json::to_string(cluster).map_err(|error| SettleError::Damaged {
            record: record.clone(),
            detail: error.to_string(),
        })?;
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": record, "namespace": NAMESPACE },
            "data": { ENTRY: text },
        });
        match self.0.put(&CONFIG_MAPS, object).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::NotStored { record, source }),
        }
    }

    pub(crate) async fn forget(&self, key: &ClusterKey) -> Result<(), SettleError> {
        let record = key.member_id();
        let removed = self.0.delete(&CONFIG_MAPS, Some(NAMESPACE), &record).await;
        removed.map_err(|source| SettleError::NotStored { record, source })
    }
}

fn read(record: &str, object: &serde_json::Value) -> Result<Cluster, SettleError> {
    let text = object["data"][ENTRY].as_str().unwrap_or_default();
    serde_json::from_str(text).map_err(|error| SettleError::Damaged {
        record: record.to_owned(),
        detail: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(region: &str, name: &str) -> String {
        ClusterKey { region: region.to_owned(), name: name.to_owned() }.member_id()
    }

    #[test]
    fn a_name_that_is_a_label_stays_readable() {
        assert_eq!(id("eu-central-1", "shop"), "eks-eu-central-1-shop");
    }

    #[test]
    fn names_that_are_no_labels_get_ids_of_their_own_within_63_characters() {
        let long = "x".repeat(100);
        let ids = [
            id("us-east-1", "Shop_1"),
            id("us-east-1", "shop-1"),
            id("us-east-1", "shop_1"),
            id("us-east-1", &long),
            id("us-east-1", "shop-"),
        ];
        for (n, one) in ids.iter().enumerate() {
            assert!(one.len() <= 63, "{one}");
            assert!(!ids[..n].contains(one), "{one} twice");
            assert!(
                !one.ends_with('-') && one.chars().all(|c| c == '-' || c.is_ascii_alphanumeric()),
                "{one}"
            );
        }
        assert!(ids[0].starts_with("eksx-us-east-1-shop-1-"));
    }

    #[test]
    fn what_is_due_has_happened_for_an_observer() {
        let due = Timestamp::from_second(100).expect("in range");
        let early = Timestamp::from_second(99).expect("in range");
        assert_eq!(Phase::Creating { due }.at(early), Some(Phase::Creating { due }));
        assert_eq!(Phase::Creating { due }.at(due), Some(Phase::Active));
        assert_eq!(Phase::Deleting { due }.at(due), None);
    }
}
