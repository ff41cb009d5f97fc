//! What belongs to a cluster besides node groups.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ClusterKey, Phase};
use crate::eks::{AccessScope, AddonRequest, FargateRequest, PodIdentityRequest};

/// An add-on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Addon {
    pub(crate) uid: String,
    pub(crate) request: AddonRequest,
    pub(crate) version: String,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Who may use the Kubernetes API.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct AccessEntry {
    pub(crate) uid: String,
    pub(crate) principal: String,
    pub(crate) groups: Vec<String>,
    pub(crate) username: String,
    /// `STANDARD`, `EC2_LINUX`, ….
    pub(crate) kind: String,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
    /// By ARN of the policy.
    pub(crate) policies: BTreeMap<String, PolicyUse>,
    pub(crate) token: Option<String>,
}

/// A policy that an access entry has.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PolicyUse {
    pub(crate) scope: AccessScope,
    pub(crate) associated_at: Timestamp,
    pub(crate) modified_at: Timestamp,
}

/// The role of a service account.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PodIdentity {
    pub(crate) id: String,
    pub(crate) request: PodIdentityRequest,
    /// The add-on that brought it.
    pub(crate) owner_arn: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Pods without machines of one's own.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct FargateProfile {
    pub(crate) uid: String,
    pub(crate) request: FargateRequest,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Addon {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        let name = &self.request.addon_name;
        cluster.arn_of(&format!("addon/{}/{name}/{}", cluster.name, self.uid))
    }
}

impl AccessEntry {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        // `arn:aws:iam::<account>:role/<path and name>`
        let mut parts = self.principal.splitn(6, ':').skip(4);
        let account = parts.next().unwrap_or_default();
        let (kind, rest) = parts.next().unwrap_or_default().split_once('/').unwrap_or_default();
        let name = rest.rsplit('/').next().unwrap_or_default();
        let Self { uid, .. } = self;
        cluster.arn_of(&format!("access-entry/{}/{kind}/{account}/{name}/{uid}", cluster.name))
    }
}

impl PodIdentity {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        cluster.arn_of(&format!("podidentityassociation/{}/{}", cluster.name, self.id))
    }
}

impl FargateProfile {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        let name = &self.request.fargate_profile_name;
        cluster.arn_of(&format!("fargateprofile/{}/{name}/{}", cluster.name, self.uid))
    }
}
