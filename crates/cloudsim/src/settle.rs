//! Time passing: what becomes of a record when something in it is due.
//!
//! Every step can be repeated. The world is changed first and the record last, so that a crash in between leaves a
//! record that still says the step is due.

use std::time::Duration;

use jiff::Timestamp;

use crate::state::{Cluster, Phase};
use crate::{SettleError, Shared};

impl Shared {
    /// When something that takes about `latency` will be done.
    pub(crate) fn due_in(&self, latency: Duration) -> Timestamp {
        let now = self.clock.now();
        let spread = 0.8 + 0.4 * self.ids.jitter();
        // Past the end of time is never reached anyway.
        now.checked_add(latency.mul_f64(spread)).unwrap_or(Timestamp::MAX)
    }

    /// Makes the transitions of one cluster that are due. `None`: it is gone.
    pub(crate) async fn settle_cluster(
        &self,
        mut cluster: Cluster,
    ) -> Result<Option<Cluster>, SettleError> {
        let now = self.clock.now();
        let mut changed = false;
        match cluster.phase {
            Phase::Creating { due } if due <= now => {
                self.members.attach(&cluster).await?;
                cluster.phase = Phase::Active;
                changed = true;
            }
            Phase::Deleting { due } if due <= now => {
                self.members.detach(&cluster.key).await?;
                self.ledger.forget(&cluster.key).await?;
                return Ok(None);
            }
            _ => {}
        }
        let names: Vec<String> = cluster.nodegroups.keys().cloned().collect();
        for name in names {
            changed |= self.settle_nodegroup(&mut cluster, &name, now).await?;
        }
        if changed {
            self.ledger.save(&cluster).await?;
        }
        Ok(Some(cluster))
    }

    async fn settle_nodegroup(
        &self,
        cluster: &mut Cluster,
        name: &str,
        now: Timestamp,
    ) -> Result<bool, SettleError> {
        let Some(group) = cluster.nodegroups.get(name) else {
            return Ok(false);
        };
        match group.phase {
            Phase::Creating { due } if due <= now => {
                let phase = self.members.add_nodes(cluster, group).await?;
                if let Some(group) = cluster.nodegroups.get_mut(name) {
                    group.phase = phase;
                    group.modified_at = now;
                }
                Ok(true)
            }
            Phase::Deleting { due } if due <= now => {
                self.members.remove_nodes(&cluster.key, name).await?;
                cluster.nodegroups.remove(name);
                Ok(true)
            }
            _ => Ok(false),
        }
    }
}
