//! What is done to the simulation itself: faults, new images, and changes behind everybody's back.

use serde_json::Value;

use crate::azure::AksKey;
use crate::eks::NODEGROUP_LABEL;
use crate::faults::Fault;
use crate::state::{Cluster, ClusterKey, with_values};
use crate::{SettleError, Shared, paths};

/// What stands for the region where hosts drift.
const HOSTS: &str = "hosts";

/// A change behind everybody's back that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum DriftError {
    /// Nothing to change.
    #[error("the simulated cloud has no cluster {name} in {region}")]
    NoCluster {
        /// Where it was looked for.
        region: String,
        /// What was looked for.
        name: String,
    },
    /// Its cloud could not hold that.
    #[error("{path} of {name} cannot drift: {reason}")]
    Refused {
        /// The cluster.
        name: String,
        /// What should have changed.
        path: String,
        /// Why it cannot.
        reason: String,
    },
    /// The records fail.
    #[error("the simulated cloud cannot be changed")]
    Settle(#[source] SettleError),
}

impl Shared {
    pub(crate) async fn add_fault(&self, fault: Fault) -> Result<(), SettleError> {
        let _turn = self.turn.lock().await;
        let mut simulation = self.ledger.simulation().await?;
        simulation.faults.push(fault);
        self.ledger.save_simulation(&simulation).await
    }

    pub(crate) async fn clear_faults(&self, cluster: Option<&str>) -> Result<(), SettleError> {
        let _turn = self.turn.lock().await;
        let mut simulation = self.ledger.simulation().await?;
        simulation.faults.retain(|fault| cluster.is_some() && fault.cluster.as_deref() != cluster);
        self.ledger.save_simulation(&simulation).await
    }

    pub(crate) async fn faults(&self) -> Result<Vec<Fault>, SettleError> {
        Ok(self.ledger.simulation().await?.faults)
    }

    pub(crate) async fn release_images(&self) -> Result<u32, SettleError> {
        let _turn = self.turn.lock().await;
        let mut simulation = self.ledger.simulation().await?;
        simulation.releases += 1;
        self.ledger.save_simulation(&simulation).await?;
        Ok(simulation.releases)
    }

    pub(crate) async fn require_external_id(
        &self,
        role: &str,
        external_id: Option<&str>,
    ) -> Result<(), SettleError> {
        let _turn = self.turn.lock().await;
        let mut simulation = self.ledger.simulation().await?;
        match external_id {
            Some(id) => simulation.external_ids.insert(role.to_owned(), id.to_owned()),
            None => simulation.external_ids.remove(role),
        };
        self.ledger.save_simulation(&simulation).await
    }

    pub(crate) async fn orphans(&self) -> Result<Vec<String>, SettleError> {
        let simulation = self.ledger.simulation().await?;
        let now = self.clock.now();
        let mut orphans = simulation.orphans;
        for mut cluster in self.ledger.all::<ClusterKey>().await? {
            if cluster.advance(now, &simulation.faults).gone {
                orphans.extend(cluster.orphans());
            }
        }
        orphans.sort();
        orphans.dedup();
        Ok(orphans)
    }

    pub(crate) async fn drift(
        &self,
        region: &str,
        name: &str,
        path: &str,
        value: Value,
    ) -> Result<(), DriftError> {
        let _turn = self.turn.lock().await;
        let missing = || DriftError::NoCluster { region: region.to_owned(), name: name.to_owned() };
        if region == HOSTS {
            return self.drift_host(name, path, value).await;
        }
        if let Some(key) = AksKey::by_external_name(name) {
            return self.drift_aks(&key, missing(), path, value).await;
        }
        let key = ClusterKey { region: region.to_owned(), name: name.to_owned() };
        let found = self.current(&key).await.map_err(DriftError::Settle)?;
        let before = found.ok_or_else(missing)?;
        let mut cluster = before.clone();
        cluster.drift(path, value).map_err(|reason| DriftError::Refused {
            name: name.to_owned(),
            path: path.to_owned(),
            reason,
        })?;
        self.follow(&before, &cluster).await.map_err(DriftError::Settle)?;
        self.ledger.save(&key, &cluster).await.map_err(DriftError::Settle)
    }

    /// Lets the member follow what changed in the record.
    async fn follow(&self, before: &Cluster, now: &Cluster) -> Result<(), SettleError> {
        if now.has_member() && now.version != before.version {
            self.members.attach(now).await?;
        }
        for (name, old) in &before.nodegroups {
            match now.nodegroups.get(name) {
                None => {
                    let pool = (NODEGROUP_LABEL, name.as_str());
                    self.members.remove_nodes(&now.key.member_id(), pool).await?;
                }
                Some(new) if new.request != old.request || new.version != old.version => {
                    // A node that drifts away from what the API takes is not there.
                    if let Some(machines) = now.machines(name, &old.request) {
                        self.members.sync_nodes(&now.key.member_id(), machines).await?;
                    }
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

impl Cluster {
    /// Changes the record at a wire path of `DescribeCluster`'s cluster, or of a node group or add-on below it.
    fn drift(&mut self, path: &str, value: Value) -> Result<(), String> {
        match path.split('.').collect::<Vec<_>>().as_slice() {
            ["version"] => self.version = text(&value)?,
            ["tags", ..] => set_tag(&mut self.tags, path, value)?,
            ["nodegroups", name] if value.is_null() => {
                self.nodegroups.remove(*name).ok_or("there is no such node group")?;
            }
            ["nodegroups", name, rest @ ..] if !rest.is_empty() => {
                let group = self.nodegroups.get_mut(*name).ok_or("there is no such node group")?;
                let rest = rest.join(".");
                match rest.split('.').next() {
                    Some("version") => group.version = text(&value)?,
                    Some("releaseVersion") => group.release = text(&value)?,
                    Some("tags") => set_tag(&mut group.tags, &rest, value)?,
                    _ => {
                        group.request = with_values(&group.request, &[(rest, value)])?;
                        group.machines = group.request.scaling().desired_size;
                    }
                }
            }
            ["addons", name] if value.is_null() => {
                self.addons.remove(*name).ok_or("there is no such add-on")?;
            }
            ["addons", name, rest @ ..] if !rest.is_empty() => {
                let addon = self.addons.get_mut(*name).ok_or("there is no such add-on")?;
                let rest = rest.join(".");
                match rest.split('.').next() {
                    Some("addonVersion") => addon.version = text(&value)?,
                    Some("tags") => set_tag(&mut addon.tags, &rest, value)?,
                    _ => addon.request = with_values(&addon.request, &[(rest, value)])?,
                }
            }
            ["accessEntries", ..] => {
                // ARNs have no dots in the places that matter.
                let principal = path.strip_prefix("accessEntries.").unwrap_or_default();
                if !value.is_null() {
                    return Err("an access entry can only be taken away, with null".to_owned());
                }
                self.entries.remove(principal).ok_or("there is no such access entry")?;
            }
            _ => self.request = with_values(&self.request, &[(path.to_owned(), value)])?,
        }
        Ok(())
    }
}

fn text(value: &Value) -> Result<String, String> {
    value.as_str().map(str::to_owned).ok_or_else(|| "the value must be a text".to_owned())
}

fn set_tag(
    tags: &mut std::collections::BTreeMap<String, String>,
    path: &str,
    value: Value,
) -> Result<(), String> {
    let names = paths::split(path);
    match (names.as_slice(), value) {
        (["tags"], value) => {
            *tags = serde_json::from_value(value).map_err(|error| error.to_string())?;
        }
        (["tags", key], Value::Null) => {
            tags.remove(*key);
        }
        (["tags", key], value) => {
            tags.insert((*key).to_owned(), text(&value)?);
        }
        _ => return Err("this is no path of a tag".to_owned()),
    }
    Ok(())
}
