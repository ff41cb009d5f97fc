//! Evictions: spend from the pod's disruption budget, then delete the pod.

use fleetwright_apiserver_core::eviction::{self, Verdict};
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::status::ApiError;
use serde_json::Value;

use super::{ATTEMPTS, Target};
use crate::cluster::LogicalCluster;
use crate::writer::{Expect, WriteError};

impl LogicalCluster {
    /// Deletes a pod as the body's `deleteOptions` say, unless a PodDisruptionBudget of its
    /// namespace forbids it. As upstream, a budget is spent before the pod goes: a deletion that
    /// then fails leaves it spent.
    pub(crate) async fn evict(
        &self,
        target: Target<'_>,
        body: &Value,
        options: &Options,
    ) -> Result<(), ApiError> {
        let asked = eviction::parse(body, target.name, options)?;
        let dry = Options { dry_run: asked.dry_run, ..options.clone() };
        self.spend(target, &dry).await?;
        let how = Some(&body["deleteOptions"]).filter(|how| how.is_object());
        self.remove(target.rt, target.namespace, target.name, how, options).await?;
        Ok(())
    }

    async fn spend(&self, pod: Target<'_>, options: &Options) -> Result<(), ApiError> {
        let scheme = self.scheme();
        let found = scheme.find("policy", "v1", "poddisruptionbudgets");
        let rt = found.ok_or_else(ApiError::path_not_found)?;
        let resource = rt.group_resource();
        for _ in 0..ATTEMPTS {
            let seen = self.stored(pod)?;
            // A list of now is never too old.
            let listed = self.tables.list(&resource, pod.namespace, None, None);
            let budgets = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
            let values: Vec<&Value> = budgets.iter().map(|budget| &*budget.value).collect();
            let verdict = eviction::judge(&seen.value, &values, self.shared().clock.now())?;
            let Verdict::Spend(spent) = verdict else { return Ok(()) };
            let name = spent["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            let Some(old) = budgets.iter().find(|budget| budget.place.1 == name) else {
                continue;
            };
            let target = Target { rt, namespace: pod.namespace, name: &name };
            let expect = Expect::Revision(old.revision);
            match self.store(target, expect, Some(*spent), options).await {
                Ok(_) => return Ok(()),
                // Another eviction was faster, or the budget has gone: judge again.
                Err(WriteError::Stale | WriteError::Missing) => {}
                Err(error) => return Err(self.explain(target, error)),
            }
        }
        Err(ApiError::modified(rt, pod.name))
    }
}
