//! The records: one ConfigMap per cluster of a cloud, one for the simulation itself.
//!
//! A record is read for every operation and written before its answer. What is kept beside it is only how the very same
//! stored object was parsed the last time ([`Parsed`]), so there is no second copy in memory that could differ from it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
/// The keys in the data of ConfigMaps, one per kind of record; those of clusters are [`RecordKey::ENTRY`].
const SIMULATION: &str = "simulation.json";
/// No cluster's id: those begin with the name of their cloud.
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

/// What a record can hold.
pub(crate) trait Content: DeserializeOwned + Clone + Send + Sync + 'static {}

impl<T: DeserializeOwned + Clone + Send + Sync + 'static> Content for T {}

/// What a record of some kind is found by.
pub(crate) trait RecordKey: Ord + Serialize + Content {
    type Record: Serialize + Content;
    /// The keys in the data of ConfigMaps: of the record, and of what was before it.
    const ENTRY: &'static str;
    const BEFORE: &'static str;

    /// The name of the ConfigMap.
    fn record_id(&self) -> String;
    fn of(record: &Self::Record) -> &Self;
}

impl RecordKey for ClusterKey {
    type Record = Cluster;
    const ENTRY: &'static str = "cluster.json";
    const BEFORE: &'static str = "before.json";

    fn record_id(&self) -> String {
        self.member_id()
    }

    fn of(record: &Cluster) -> &Self {
        &record.key
    }
}

/// What readers still see of a cluster while the news of a change has not reached them.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Shadow<K: RecordKey> {
    pub(crate) key: K,
    pub(crate) until: Timestamp,
    /// `None`: it was not there.
    pub(crate) before: Option<K::Record>,
}

/// The records.
#[derive(Debug, Clone)]
pub(crate) struct Ledger {
    records: LogicalCluster,
    /// By record. That of a record that is gone is dropped when it is read the next time.
    parsed: Arc<Mutex<BTreeMap<String, Parsed>>>,
}

/// How an entry of a stored object was parsed. It counts for that object alone, by identity: stored objects never change,
/// they are replaced.
#[derive(Debug)]
struct Parsed {
    object: Arc<Value>,
    entry: String,
    content: Arc<dyn Any + Send + Sync>,
}

impl Ledger {
    pub(crate) fn new(records: LogicalCluster) -> Self {
        Self { records, parsed: Arc::default() }
    }

    pub(crate) async fn one<K: RecordKey>(
        &self,
        key: &K,
    ) -> Result<Option<K::Record>, SettleError> {
        self.read(&key.record_id(), K::ENTRY).await
    }

    /// All of a kind, by key.
    pub(crate) async fn all<K: RecordKey>(&self) -> Result<Vec<K::Record>, SettleError> {
        let mut records: Vec<K::Record> = self.read_all(K::ENTRY).await?;
        records.sort_by(|a, b| K::of(a).cmp(K::of(b)));
        Ok(records)
    }

    pub(crate) async fn save<K: RecordKey>(
        &self,
        key: &K,
        record: &K::Record,
    ) -> Result<(), SettleError> {
        self.write(key.record_id(), K::ENTRY, record).await
    }

    pub(crate) async fn forget<K: RecordKey>(&self, key: &K) -> Result<(), SettleError> {
        let record = key.record_id();
        let removed = self.records.delete(&CONFIG_MAPS, Some(NAMESPACE), &record).await;
        removed.map_err(|source| SettleError::NotStored { record, source })
    }

    pub(crate) async fn simulation(&self) -> Result<Simulation, SettleError> {
        Ok(self.read(SIMULATION_RECORD, SIMULATION).await?.unwrap_or_default())
    }

    pub(crate) async fn save_simulation(&self, simulation: &Simulation) -> Result<(), SettleError> {
        self.write(SIMULATION_RECORD.to_owned(), SIMULATION, simulation).await
    }

    pub(crate) async fn shadow<K: RecordKey>(
        &self,
        key: &K,
    ) -> Result<Option<Shadow<K>>, SettleError> {
        self.read(&shadow_record(key), K::BEFORE).await
    }

    pub(crate) async fn shadows<K: RecordKey>(&self) -> Result<Vec<Shadow<K>>, SettleError> {
        self.read_all(K::BEFORE).await
    }

    pub(crate) async fn save_shadow<K: RecordKey>(
        &self,
        shadow: &Shadow<K>,
    ) -> Result<(), SettleError> {
        self.write(shadow_record(&shadow.key), K::BEFORE, shadow).await
    }

    /// A text that is kept under a name of its own, among the records.
    pub(crate) async fn note<T: Content>(
        &self,
        record: &str,
        entry: &str,
    ) -> Result<Option<T>, SettleError> {
        self.read(record, entry).await
    }

    pub(crate) async fn save_note<T: Serialize>(
        &self,
        record: String,
        entry: &str,
        content: &T,
    ) -> Result<(), SettleError> {
        self.write(record, entry, content).await
    }

    async fn read<T: Content>(&self, record: &str, entry: &str) -> Result<Option<T>, SettleError> {
        match self.records.get(&CONFIG_MAPS, Some(NAMESPACE), record).await {
            Some(object) => self.content(record, entry, object).map(Some),
            None => {
                self.parsed().remove(record);
                Ok(None)
            }
        }
    }

    async fn read_all<T: Content>(&self, entry: &str) -> Result<Vec<T>, SettleError> {
        let mut found = Vec::new();
        for object in self.records.list(&CONFIG_MAPS, Some(NAMESPACE)).await {
            // Kubernetes puts ConfigMaps of its own into namespaces; ours say so.
            if object["data"][entry].is_string() {
                let record = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                found.push(self.content(&record, entry, object)?);
            }
        }
        Ok(found)
    }

    /// What a record says under an entry, parsed once for each stored object.
    fn content<T: Content>(
        &self,
        record: &str,
        entry: &str,
        object: Arc<Value>,
    ) -> Result<T, SettleError> {
        if let Some(known) = self.parsed().get(record)
            && Arc::ptr_eq(&known.object, &object)
            && known.entry == entry
            && let Some(content) = known.content.downcast_ref::<T>()
        {
            return Ok(content.clone());
        }
        let content: T = parse(record, entry, &object)?;
        let (entry, kept) = (entry.to_owned(), Arc::new(content.clone()));
        self.parsed().insert(record.to_owned(), Parsed { object, entry, content: kept });
        Ok(content)
    }

    fn parsed(&self) -> MutexGuard<'_, BTreeMap<String, Parsed>> {
        self.parsed.lock().unwrap_or_else(PoisonError::into_inner)
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
        match self.records.put(&CONFIG_MAPS, object).await {
            Ok(_) => Ok(()),
            Err(source) => Err(SettleError::NotStored { record, source }),
        }
    }
}

fn shadow_record<K: RecordKey>(key: &K) -> String {
    format!("before-{}", key.record_id())
}

fn parse<T: DeserializeOwned>(record: &str, entry: &str, object: &Value) -> Result<T, SettleError> {
    let text = object["data"][entry].as_str().unwrap_or_default();
    serde_json::from_str(text).map_err(|error| SettleError::Damaged {
        record: record.to_owned(),
        detail: error.to_string(),
    })
}
