//! Conditions, in the shape of `meta/v1.Condition`, with a closed list of types.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One observed fact about an object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What is asked.
    #[serde(rename = "type")]
    pub type_: ConditionType,
    /// The answer.
    pub status: ConditionStatus,
    /// Why, as one PascalCase word from the documented list.
    #[schemars(length(min = 1, max = 256), regex(pattern = "^[A-Z][A-Za-z0-9]*$"))]
    pub reason: String,
    /// For a person: what holds it back and the next thing to look at.
    #[schemars(length(max = 1024))]
    pub message: String,
    /// The generation of the object that this answer is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When `status` last changed.
    #[schemars(with = "jiff_time::DateTime")]
    pub last_transition_time: Time,
}

/// Stands for a date-time in the schema, where `Time` has none of its own without k8s-openapi's schemars feature.
mod jiff_time {
    use std::borrow::Cow;

    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    pub(super) struct DateTime;

    impl JsonSchema for DateTime {
        fn schema_name() -> Cow<'static, str> {
            "DateTime".into()
        }

        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({"type": "string", "format": "date-time"})
        }
    }
}

/// The answer to a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// We cannot tell.
    Unknown,
}

/// The closed list of condition types of all kinds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum ConditionType {
    /// Usable now.
    Ready,
    /// The last generation is fully applied.
    Synced,
    /// The identity works and is not near its expiry.
    CredentialsValid,
    /// The control plane answers.
    ControlPlaneReady,
    /// Every pool is at size and version.
    NodePoolsReady,
    /// The member's API answered in time.
    Reachable,
    /// All enforced rules are applied and no audit rule is violated.
    PoliciesCompliant,
    /// Nobody but us changed anything.
    DriftFree,
    /// Nothing blocks the next Kubernetes version.
    UpgradeReady,
    /// kstatus marker: work is under way; present only when True.
    Reconciling,
    /// kstatus marker: nothing will happen until somebody acts; present only when True.
    Stalled,
}

impl ConditionType {
    /// The name as in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::Synced => "Synced",
            Self::CredentialsValid => "CredentialsValid",
            Self::DriftFree => "DriftFree",
            Self::UpgradeReady => "UpgradeReady",
            Self::ControlPlaneReady => "ControlPlaneReady",
            Self::NodePoolsReady => "NodePoolsReady",
            Self::Reachable => "Reachable",
            Self::PoliciesCompliant => "PoliciesCompliant",
            Self::Reconciling => "Reconciling",
            Self::Stalled => "Stalled",
        }
    }
}
