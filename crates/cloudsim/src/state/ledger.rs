//! The records: one ConfigMap per EKS cluster, one for the simulation itself.
//!
//! A record is read for every operation and written before its answer. There is no second copy in memory that could
//! differ from it.

use std::collections::BTreeMap;

use fleetwright_apiserver::{LogicalCluster, ResourceRef};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Cluster, ClusterKey};
use crate::SettleError;
use crate::faults::Fault;

const CONFIG_MAPS: ResourceRef = ResourceRef::new("", "v1", "configmaps");
const NAMESPACE: &str = "default";
/// The keys in the data of ConfigMaps, one per kind of record.
const CLUSTER: &str = "cluster.json";
const SHADOW: &str = "before.json";
const SIMULATION: &str = "simulation.json";
/// No cluster's id: those begin with `eks`.
const SIMULATION_RECORD: &str = "simulation";

/// What is said to the simulation, not to the cloud.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Simulation {
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
    /// How many releases of node images came out since the beginning.
    #[serde(default)]
    pub(crate) releases: u32,
    /// External ids that roles ask for, by ARN.
    #[serde(default)]
    pub(crate) external_ids: BTreeMap<String, String>,
    /// What deleted clusters left behind.
    #[serde(default)]
    pub(crate) orphans: Vec<String>,
}

/// What readers still see of a cluster while the news of a change has not reached them.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Shadow {
    pub(crate) key: ClusterKey,
    pub(crate) until: Timestamp,
    /// `None`: it was not there.
    pub(crate) before: Option<Cluster>,
}

/// The records.
#[derive(Debug, Clone)]
pub(crate) struct Ledger(LogicalCluster);

impl Ledger {
    pub(crate) fn new(records: LogicalCluster) -> Self {
        Self(records)
    }

    pub(crate) async fn one(&self, key: &ClusterKey) -> Result<Option<Cluster>, SettleError> {
        self.read(&key.member_id(), CLUSTER).await
    }

    /// All, by region and name.
    pub(crate) async fn all(&self) -> Result<Vec<Cluster>, SettleError> {
        let mut clusters: Vec<Cluster> = self.read_all(CLUSTER).await?;
        clusters.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(clusters)
    }

    pub(crate) async fn save(&self, cluster: &Cluster) -> Result<(), SettleError> {
        self.write(cluster.key.member_id(), CLUSTER, cluster).await
    }

    pub(crate) async fn forget(&self, key: &ClusterKey) -> Result<(), SettleError> {
        let record = key.member_id();
        let removed = self.0.delete(&CONFIG_MAPS, Some(NAMESPACE), &record).await;
        removed.map_err(|source| SettleError::NotStored { record, source })
    }

    pub(crate) async fn simulation(&self) -> Result<Simulation, SettleError> {
        Ok(self.read(SIMULATION_RECORD, SIMULATION).await?.unwrap_or_default())
    }

    pub(crate) async fn save_simulation(&self, simulation: &Simulation) -> Result<(), SettleError> {
        self.write(SIMULATION_RECORD.to_owned(), SIMULATION, simulation).await
    }

    pub(crate) async fn shadow(&self, key: &ClusterKey) -> Result<Option<Shadow>, SettleError> {
        self.read(&shadow_record(key), SHADOW).await
    }

    pub(crate) async fn shadows(&self) -> Result<Vec<Shadow>, SettleError> {
        self.read_all(SHADOW).await
    }

    pub(crate) async fn save_shadow(&self, shadow: &Shadow) -> Result<(), SettleError> {
        self.write(shadow_record(&shadow.key), SHADOW, shadow).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        record: &str,
        entry: &str,
    ) -> Result<Option<T>, SettleError> {
        match self.0.get(&CONFIG_MAPS, Some(NAMESPACE), record).await {
            Some(object) => parse(record, entry, &object).map(Some),
            None => Ok(None),
        }
    }

    async fn read_all<T: DeserializeOwned>(&self, entry: &str) -> Result<Vec<T>, SettleError> {
        let mut found = Vec::new();
        for object in self.0.list(&CONFIG_MAPS, Some(NAMESPACE)).await {
            // Kubernetes puts ConfigMaps of its own into namespaces; ours say so.
            if object["data"][entry].is_string() {
                let record = object["metadata"]["name"].as_str().unwrap_or_default();
                found.push(parse(record, entry, &object)?);
            }
        }
        Ok(found)
    }

    async fn write<T: Serialize>(
        &self,
        record: String,
        entry: &str,
        content: &T,
    ) -> Result<(), SettleError> {
        let text = serde_json::to_string(content).map_err(|error| SettleError::Damaged {
            record: record.clone(),
            detail: error.to_string(),
        })?;
        let object = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": record, "namespace": NAMESPACE },
            "data": { entry: text },
        });
        match self.0.put(&CONFIG_MAPS, object).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::NotStored { record, source }),
        }
    }
}

fn shadow_record(key: &ClusterKey) -> String {
    format!("before-{}", key.member_id())
}

fn parse<T: DeserializeOwned>(record: &str, entry: &str, object: &Value) -> Result<T, SettleError> {
    let text = object["data"][entry].as_str().unwrap_or_default();
    serde_json::from_str(text).map_err(|error| SettleError::Damaged {
        record: record.to_owned(),
        detail: error.to_string(),
    })
}
