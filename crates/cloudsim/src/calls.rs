//! What every call meets, whichever cloud it is for: it is counted, faults wait for it, and news may not have got around.

use std::sync::PoisonError;
use std::time::Duration;

use crate::faults::{Subject, Verdict, judge};
use crate::state::{Cluster, ClusterKey, RecordKey, Shadow};
use crate::{SettleError, Shared};

impl Shared {
    /// Counts a call and lets it meet the faults that wait for it. Returns once it may go on.
    pub(crate) async fn judged(&self, subject: &Subject<'_>) -> Result<Verdict, SettleError> {
        self.count(subject.operation);
        let verdict = {
            let _turn = self.turn.lock().await;
            let mut simulation = self.ledger.simulation().await?;
            let (verdict, counted) = judge(&mut simulation.faults, subject);
            if counted {
                self.ledger.save_simulation(&simulation).await?;
            }
            verdict
        };
        if verdict.wait_millis > 0 {
            tokio::time::sleep(Duration::from_millis(verdict.wait_millis)).await;
        }
        Ok(verdict)
    }

    fn count(&self, operation: &str) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        *calls.entry(operation.to_owned()).or_default() += 1;
    }

    /// Whether any fault asks for a pool by name; only then it matters what a pool is called.
    pub(crate) async fn faults_name_pools(&self) -> Result<bool, SettleError> {
        Ok(self.ledger.simulation().await?.faults.iter().any(|fault| fault.pool.is_some()))
    }

    /// An EKS cluster as it is now.
    pub(crate) async fn current(&self, key: &ClusterKey) -> Result<Option<Cluster>, SettleError> {
        match self.ledger.one(key).await? {
            Some(cluster) => self.settle_cluster(cluster).await,
            None => Ok(None),
        }
    }

    /// Lets readers see what was, for a while. An earlier shadow stays until its own time is over.
    pub(crate) async fn cast_shadow<K: RecordKey>(
        &self,
        key: K,
        before: Option<K::Record>,
        seconds: u32,
    ) -> Result<(), SettleError> {
        if self.shadow_of(&key).await?.is_some() {
            return Ok(());
        }
        let until = self.clock.now().checked_add(Duration::from_secs(seconds.into()));
        let until = until.unwrap_or(jiff::Timestamp::MAX);
        self.ledger.save_shadow(&Shadow { key, until, before }).await
    }

    /// What readers see instead of a cluster, if they do not see it as it is; the inner `None`: nothing.
    pub(crate) async fn shadow_of<K: RecordKey>(
        &self,
        key: &K,
    ) -> Result<Option<Option<K::Record>>, SettleError> {
        let shadow = self.ledger.shadow(key).await?;
        Ok(shadow.filter(|shadow| shadow.until > self.clock.now()).map(|shadow| shadow.before))
    }
}
