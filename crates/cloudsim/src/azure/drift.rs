//! Changes behind everybody's back, by the paths of `GET`'s document.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::maintenance;
use super::settle::{Advance, Effect};
use super::shape::{Shape, checked};
use super::state::{AksCluster, AksKey};
use super::tables::{CLUSTER, MAINTENANCE, POOL};
use super::{tags, versions};
use crate::drift::DriftError;
use crate::{Shared, paths};

impl Shared {
    /// Changes a cluster at once and without an operation.
    pub(crate) async fn drift_aks(
        &self,
        key: &AksKey,
        missing: DriftError,
        path: &str,
        value: Value,
    ) -> Result<(), DriftError> {
        let found = self.current_aks(key).await.map_err(DriftError::Settle)?;
        let mut cluster = found.ok_or(missing)?;
        let effects = cluster.drift(path, value, self.clock.now()).map_err(|reason| {
            let name = cluster.name.clone();
            DriftError::Refused { name, path: path.to_owned(), reason }
        })?;
        for effect in effects {
            self.take_effect(&mut cluster, effect).await.map_err(DriftError::Settle)?;
        }
        self.ledger.save(key, &cluster).await.map_err(DriftError::Settle)
    }
}

impl AksCluster {
    fn drift(&mut self, path: &str, value: Value, now: Timestamp) -> Result<Vec<Effect>, String> {
        let names: Vec<&str> = path.split('.').collect();
        self.revision += 1;
        match names.as_slice() {
            ["agentPools", name] if value.is_null() => {
                let pool = self.pools.remove(*name).ok_or("there is no such agent pool")?;
                let gone = Effect::NoNodes { pool: (*name).to_owned() };
                Ok(if pool.made { vec![gone] } else { Vec::new() })
            }
            ["agentPools", name, "properties", rest @ ..] if !rest.is_empty() => {
                self.drift_pool(name, &rest.join("."), value, now)
            }
            ["maintenanceConfigurations", name] if value.is_null() => {
                self.maintenance
                    .remove(*name)
                    .ok_or("there is no such maintenance configuration")?;
                Ok(Vec::new())
            }
            ["maintenanceConfigurations", name, rest @ ..] => {
                let properties = self.maintenance.get(*name).cloned().unwrap_or_else(|| json!({}));
                let document = json!({ "properties": properties });
                let document = match rest {
                    [] => value,
                    rest => changed(&document, &MAINTENANCE, &rest.join("."), value)?,
                };
                let document = checked(&document, &MAINTENANCE, "").map_err(|e| e.message)?;
                let properties = &document["properties"];
                maintenance::check(name, properties).map_err(|error| error.message)?;
                self.maintenance.insert((*name).to_owned(), properties.clone());
                Ok(Vec::new())
            }
            _ => self.drift_cluster(path, value),
        }
    }

    fn drift_cluster(&mut self, path: &str, value: Value) -> Result<Vec<Effect>, String> {
        if path.starts_with("properties.agentPoolProfiles") {
            return Err("agent pools drift as agentPools.<name>.properties.<path>".to_owned());
        }
        let version = (path == "properties.kubernetesVersion").then(|| value.clone());
        let document = changed(&self.document, &CLUSTER, path, value)?;
        let Some(version) = version else {
            self.document = document;
            return Ok(Vec::new());
        };
        let version = version.as_str().and_then(versions::resolve);
        self.running = version.ok_or("there is no such version")?;
        self.document = document;
        Ok(vec![Effect::Attach])
    }

    fn drift_pool(
        &mut self,
        name: &str,
        path: &str,
        value: Value,
        now: Timestamp,
    ) -> Result<Vec<Effect>, String> {
        let pool = self.pools.get_mut(name).ok_or("there is no such agent pool")?;
        pool.revision += 1;
        let document = changed(&pool.document, &POOL, path, value)?;
        if let Some(version) = document["orchestratorVersion"].as_str()
            && versions::resolve(version).is_none()
        {
            return Err("there is no such version".to_owned());
        }
        pool.document = document;
        let mut advance = Advance::default();
        if pool.made {
            self.realise(name, now, &[], &mut advance).map_err(|trouble| trouble.message)?;
        }
        Ok(advance.effects)
    }
}

/// A document with another value at a path, if it is one that AKS could hold. Tags of ours may be named in our form.
fn changed(document: &Value, shape: &Shape, path: &str, value: Value) -> Result<Value, String> {
    let mut document = document.clone();
    let path = match path.split_once("tags.") {
        Some((before, name)) if before.is_empty() || before.ends_with('.') => {
            format!("{before}tags.{}", tags::azure(name))
        }
        _ => path.to_owned(),
    };
    paths::set(&mut document, &path, value)?;
    checked(&document, shape, "").map_err(|error| error.message)
}
