//! Upgrade insights: whether a cluster is ready for its next version.

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::{EksError, seconds};
use super::{Call, check, page};
use crate::Shared;
use crate::faults::blocks_upgrade;
use crate::state::{Cluster, digest_hex};

/// The body of `ListInsights`.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct ListRequest {
    #[serde(default)]
    filter: Filter,
    max_results: Option<u32>,
    next_token: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Filter {
    categories: Option<Vec<String>>,
    kubernetes_versions: Option<Vec<String>>,
    statuses: Option<Vec<String>>,
}

/// Something that is looked at.
struct Check {
    name: &'static str,
    description: &'static str,
    recommendation: &'static str,
    /// Whether the fault that blocks upgrades shows here.
    can_fail: bool,
}

const CHECKS: [Check; 3] = [
    Check {
        name: "Deprecated APIs removed in the next Kubernetes version",
        description: "Checks for usage of deprecated APIs that are scheduled for removal.",
        recommendation: "Update manifests and API clients to use newer Kubernetes APIs if applicable.",
        can_fail: true,
    },
    Check {
        name: "Kubelet version skew",
        description: "Checks for kubelet versions of worker nodes in the cluster.",
        recommendation: "Upgrade your worker nodes to match the Kubernetes version of your cluster control plane.",
        can_fail: false,
    },
    Check {
        name: "EKS add-on version compatibility",
        description: "Checks version of installed EKS add-ons for compatibility with the next version.",
        recommendation: "Update the EKS add-ons of the cluster to a compatible version.",
        can_fail: false,
    },
];

impl Shared {
    /// The insights of a cluster by id, with what only `DescribeInsight` says.
    async fn insights(&self, cluster: &Cluster) -> Result<Vec<(String, Value)>, EksError> {
        let faults = self.ledger.simulation().await.map_err(EksError::server)?.faults;
        let blocked = blocks_upgrade(&faults, &[&cluster.key.name]);
        let minor = check::version(&cluster.version)?;
        let mut insights: Vec<_> = CHECKS
            .iter()
            .map(|check| {
                let id = id(&format!("{} {}", cluster.uid, check.name));
                let (status, reason) = if blocked && check.can_fail {
                    ("ERROR", "Deprecated API usage detected within last 30 days.")
                } else {
                    ("PASSING", "No issue was found.")
                };
                let insight = json!({
                    "id": id,
                    "name": check.name,
                    "category": "UPGRADE_READINESS",
                    "kubernetesVersion": format!("1.{}", minor + 1),
                    "lastRefreshTime": seconds(self.clock.now()),
                    "lastTransitionTime": seconds(cluster.created_at),
                    "description": check.description,
                    "insightStatus": { "status": status, "reason": reason },
                    "recommendation": check.recommendation,
                    "additionalInfo": {},
                    "resources": [],
                    "categorySpecificSummary": { "deprecationDetails": [], "addonCompatibilityDetails": [] },
                });
                (id, insight)
            })
            .collect();
        insights.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(insights)
    }

    pub(super) async fn list_insights(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let request: ListRequest =
            if call.body.is_empty() { ListRequest::default() } else { check::body(call.body)? };
        let cluster = self.existing(call).await?;
        let Filter { categories, kubernetes_versions, statuses } = request.filter;
        let among = |wanted: &Option<Vec<String>>, given: &Value| {
            wanted.as_ref().is_none_or(|wanted| wanted.iter().any(|one| given == one))
        };
        let mut insights = self.insights(&cluster).await?;
        insights.retain(|(_, insight)| {
            among(&categories, &insight["category"])
                && among(&kubernetes_versions, &insight["kubernetesVersion"])
                && among(&statuses, &insight["insightStatus"]["status"])
        });
        for (_, insight) in &mut insights {
            if let Some(fields) = insight.as_object_mut() {
                for only_described in
                    ["recommendation", "additionalInfo", "resources", "categorySpecificSummary"]
                {
                    fields.remove(only_described);
                }
            }
        }
        let asked = page::Asked {
            max_results: request.max_results.map(|max| max.to_string()),
            next_token: request.next_token,
        };
        page::page_of(&asked, "insights", insights)
    }

    pub(super) async fn describe_insight(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let wanted = call.name(1);
        let mut insights = self.insights(&cluster).await?.into_iter();
        match insights.find(|(id, _)| id == wanted) {
            Some((_, insight)) => Ok(json!({ "insight": insight })),
            None => Err(EksError::not_found(format!("No insight found with id: {wanted}"))),
        }
    }
}

/// In the form of a UUID.
fn id(of: &str) -> String {
    let hex = digest_hex(of, 32);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}
