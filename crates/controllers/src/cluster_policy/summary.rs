//! The sum of one policy over the clusters that it selects. Reads, counts, tells; never acts.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_api_types::{
    ClusterPolicy, ClusterPolicyStatus, ConditionStatus as Is, ConditionType as Type,
    ManagedCluster,
};
use fleetwright_errclass::Class;
use fleetwright_plan::{LintError, Plan, Problem, Step};
use fleetwright_reconcile::{Cache, Conditions, Controller, Failure, Progress};
use fleetwright_render::Rules;
use kube::{Api, Client, ResourceExt};
use serde_json::Value;

use super::selecting;
use crate::managed_cluster::{is_leaving, key_of};

/// The controller that sums a policy up.
#[derive(Debug)]
pub struct Summary {
    /// All clusters.
    pub clusters: Arc<Cache<ManagedCluster>>,
    /// All policies.
    pub policies: Arc<Cache<ClusterPolicy>>,
}

/// A policy, and for each selected cluster whether its rules hold there.
#[derive(Debug)]
pub struct Declared {
    policy: Arc<ClusterPolicy>,
    selected: Vec<(String, bool)>,
}

impl Summary {
    /// Compliant, and with today's rules: a condition from before an edit does not count.
    fn holds(&self, cluster: &ManagedCluster) -> bool {
        let rules =
            Rules::merge(selecting(&self.policies, cluster).iter().map(AsRef::as_ref)).digest();
        cluster.status.as_ref().is_some_and(|status| {
            let applied =
                status.summary.as_ref().and_then(|summary| summary.applied_rules.as_ref());
            applied == Some(&rules)
                && status.conditions.iter().any(|condition| {
                    condition.type_ == Type::PoliciesCompliant && condition.status == Is::True
                })
        })
    }
}

#[async_trait]
impl Controller for Summary {
    type Object = ClusterPolicy;
    type Declared = Declared;
    type Desired = ();
    type Snapshot = ();

    fn name(&self) -> &'static str {
        "cluster-policy"
    }

    fn api(&self, client: &Client, _: &ClusterPolicy) -> Api<ClusterPolicy> {
        Api::all(client.clone())
    }

    fn finalizer(&self) -> Option<&'static str> {
        None
    }

    async fn read(&self, policy: Arc<ClusterPolicy>) -> Result<Declared, Failure> {
        let selected = self
            .clusters
            .list()
            .into_iter()
            .filter(|cluster| policy.spec.cluster_selector.matches(cluster.labels()))
            .filter(|cluster| !is_leaving(cluster))
            .map(|cluster| (key_of(&cluster).to_string(), self.holds(&cluster)))
            .collect();
        Ok(Declared { policy, selected })
    }

    fn validate(&self, _: &Declared) -> Result<(), Vec<Problem>> {
        Ok(())
    }

    async fn observe(&self, (): &()) -> Result<(), Failure> {
        Ok(())
    }

    fn plan(&self, declared: &Declared, (): &(), (): &()) -> Result<Plan, LintError> {
        let generation = declared.policy.metadata.generation.unwrap_or_default();
        Ok(Plan { generation, ..Plan::default() })
    }

    async fn act(&self, (): &(), step: &Step) -> Result<(), Failure> {
        Err(Failure::new(Class::Bug, "WrongController", format!("{step}: a summary never acts")))
    }

    fn status(
        &self,
        declared: &Declared,
        _: &Progress<(), ()>,
        conditions: &mut Conditions,
    ) -> Value {
        let all = declared.selected.len();
        let compliant = declared.selected.iter().filter(|(_, holds)| *holds).count();
        match declared.selected.iter().find(|(_, holds)| !holds) {
            None if all == 0 => {
                conditions.set(
                    Type::Ready,
                    Is::True,
                    "NoClusters",
                    "the selector matches no cluster",
                );
            }
            None => {
                conditions.set(Type::Ready, Is::True, "Applied", "holds on every selected cluster")
            }
            Some((first, _)) => {
                let message = format!("holds on {compliant} of {all} clusters; look at {first}");
                conditions.set(Type::Ready, Is::False, "Applying", message);
            }
        }
        let status = ClusterPolicyStatus {
            observed_generation: declared.policy.metadata.generation,
            compliant: Some(format!("{compliant}/{all}")),
            conditions: conditions.clone().into_list(),
        };
        serde_json::to_value(&status).unwrap_or_default()
    }
}
