//! What the cloud remembers of each EKS cluster: control plane, node groups, parts, updates.
//!
//! Configurations are held as the requests that made them, in EKS's own words, so that an update or a drift is the
//! same thing: a value set at a path of that document, which must then still be one that EKS could hold.

mod ledger;
mod parts;
mod update;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub(crate) use self::ledger::{Ledger, RecordKey, Shadow};
pub(crate) use self::parts::{AccessEntry, Addon, FargateProfile, PodIdentity, PolicyUse};
pub(crate) use self::update::{Change, Progress, Target, Trouble, Update};

use crate::ACCOUNT_ID;
use crate::eks::{ClusterRequest, NodegroupRequest};
use crate::paths;

/// Which EKS cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ClusterKey {
    pub(crate) region: String,
    pub(crate) name: String,
}

/// Where something is in its life.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    Creating { due: Timestamp },
    Active,
    CreateFailed { message: String },
    Deleting { due: Timestamp },
}

/// An EKS cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cluster {
    pub(crate) key: ClusterKey,
    /// Told apart from an earlier cluster of the same name.
    pub(crate) uid: String,
    /// As it is configured now, except `tags` and `version`, which live below.
    pub(crate) request: ClusterRequest,
    /// Filled in when the request had none.
    pub(crate) version: String,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) nodegroups: BTreeMap<String, Nodegroup>,
    /// The principal that created it.
    #[serde(default)]
    pub(crate) creator: String,
    #[serde(default)]
    pub(crate) addons: BTreeMap<String, Addon>,
    /// By principal.
    #[serde(default)]
    pub(crate) entries: BTreeMap<String, AccessEntry>,
    /// By association id.
    #[serde(default)]
    pub(crate) identities: BTreeMap<String, PodIdentity>,
    #[serde(default)]
    pub(crate) fargate: BTreeMap<String, FargateProfile>,
    /// Oldest first.
    #[serde(default)]
    pub(crate) updates: Vec<Update>,
    /// What the cluster made in the cloud by itself: `LoadBalancer ns/name`, `Volume ns/name`.
    #[serde(default)]
    pub(crate) outside: BTreeSet<String>,
}

/// A managed node group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Nodegroup {
    pub(crate) uid: String,
    /// As it is configured now, except `tags` and `version`, which live below.
    pub(crate) request: NodegroupRequest,
    pub(crate) version: String,
    #[serde(default)]
    pub(crate) release: String,
    pub(crate) created_at: Timestamp,
    pub(crate) modified_at: Timestamp,
    pub(crate) phase: Phase,
    pub(crate) tags: BTreeMap<String, String>,
    /// How many machines there are.
    #[serde(default)]
    pub(crate) machines: u32,
    /// How often all machines were replaced.
    #[serde(default)]
    pub(crate) roll: u32,
    /// Machines cannot be had.
    #[serde(default)]
    pub(crate) short: bool,
}

impl ClusterKey {
    pub(crate) fn arn(&self) -> String {
        self.arn_of(&format!("cluster/{}", self.name))
    }

    /// The ARN of something of EKS in this region.
    pub(crate) fn arn_of(&self, resource: &str) -> String {
        format!("arn:{}:eks:{}:{ACCOUNT_ID}:{resource}", self.partition(), self.region)
    }

    /// Of AWS, by its region: `aws`, `aws-cn` or `aws-us-gov`.
    pub(crate) fn partition(&self) -> &'static str {
        match self.region.as_str() {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }

    /// Where names of AWS end in this region.
    pub(crate) fn domain(&self) -> &'static str {
        if self.partition() == "aws-cn" { "amazonaws.com.cn" } else { "amazonaws.com" }
    }

    /// The name of the member's logical cluster and of the record: a DNS label. EKS allows names that are not; those
    /// get a digest instead of what a label cannot say, and another prefix, so that the two never meet.
    pub(crate) fn member_id(&self) -> String {
        let Self { region, name } = self;
        let plain = format!("eks-{region}-{name}");
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if plain.len() <= 63 && plain.chars().all(label) && !plain.ends_with('-') {
            return plain;
        }
        let slug: String = name
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| if label(c) { c } else { '-' })
            .take(24)
            .collect();
        format!("eksx-{region}-{slug}-{}", digest_hex(&plain, 12))
    }
}

impl Phase {
    /// As EKS writes it.
    pub(crate) fn as_str(&self) -> &'static str {
        match self {
            Self::Creating { .. } => "CREATING",
            Self::Active => "ACTIVE",
            Self::CreateFailed { .. } => "CREATE_FAILED",
            Self::Deleting { .. } => "DELETING",
        }
    }

    /// Whether it is coming or going.
    pub(crate) fn is_moving(&self) -> bool {
        matches!(self, Self::Creating { .. } | Self::Deleting { .. })
    }

    pub(crate) fn is_deleting(&self) -> bool {
        matches!(self, Self::Deleting { .. })
    }

    /// Whether its creation is due.
    pub(crate) fn is_made_at(&self, now: Timestamp) -> bool {
        matches!(self, Self::Creating { due } if *due <= now)
    }

    /// Whether its deletion is due.
    pub(crate) fn is_gone_at(&self, now: Timestamp) -> bool {
        matches!(self, Self::Deleting { due } if *due <= now)
    }
}

impl Cluster {
    /// Whether a Kubernetes API stands behind it.
    pub(crate) fn has_member(&self) -> bool {
        matches!(self.phase, Phase::Active | Phase::Deleting { .. })
    }

    /// The update of a target that is under way.
    pub(crate) fn under_way(&self, target: &Target) -> Option<&Update> {
        self.updates.iter().find(|update| update.target == *target && update.is_open())
    }

    /// As EKS writes it.
    pub(crate) fn status(&self) -> &'static str {
        match self.phase {
            Phase::Active if self.under_way(&Target::Cluster).is_some() => "UPDATING",
            // Control planes fail with a status of their own.
            Phase::CreateFailed { .. } => "FAILED",
            _ => self.phase.as_str(),
        }
    }

    /// As EKS writes it; empty when there is no such group.
    pub(crate) fn nodegroup_status(&self, name: &str) -> &'static str {
        let Some(group) = self.nodegroups.get(name) else {
            return "";
        };
        match group.phase {
            Phase::Active if self.under_way(&Target::Nodegroup(name.to_owned())).is_some() => {
                "UPDATING"
            }
            Phase::Active if group.short => "DEGRADED",
            _ => group.phase.as_str(),
        }
    }

    /// As EKS writes it; empty when there is no such add-on.
    pub(crate) fn addon_status(&self, name: &str) -> &'static str {
        let Some(addon) = self.addons.get(name) else {
            return "";
        };
        match addon.phase {
            Phase::Active if self.under_way(&Target::Addon(name.to_owned())).is_some() => {
                "UPDATING"
            }
            _ => addon.phase.as_str(),
        }
    }
}

impl Nodegroup {
    pub(crate) fn arn(&self, cluster: &ClusterKey) -> String {
        let group = &self.request.nodegroup_name;
        cluster.arn_of(&format!("nodegroup/{}/{group}/{}", cluster.name, self.uid))
    }
}

/// A configuration with values set at paths of its wire form; `null` takes a value away.
///
/// # Errors
/// What EKS could not hold: an unknown field, or a value of the wrong kind.
pub(crate) fn with_values<T: Serialize + DeserializeOwned>(
    config: &T,
    values: &[(String, Value)],
) -> Result<T, String> {
    let mut document = serde_json::to_value(config).map_err(|error| error.to_string())?;
    for (path, value) in values {
        paths::set(&mut document, path, value.clone())?;
    }
    serde_json::from_value(document).map_err(|error| error.to_string())
}

/// The first `digits` hexadecimal digits of the SHA-256 of `text`: for made-up ids that must stay the same.
pub(crate) fn digest_hex(text: &str, digits: usize) -> String {
    let hex: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.chars().take(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(region: &str, name: &str) -> String {
        ClusterKey { region: region.to_owned(), name: name.to_owned() }.member_id()
    }

    #[test]
    fn a_name_that_is_a_label_stays_readable() {
        assert_eq!(id("eu-central-1", "shop"), "eks-eu-central-1-shop");
    }

    #[test]
    fn names_that_are_no_labels_get_ids_of_their_own_within_63_characters() {
        let long = "x".repeat(100);
        let ids = [
            id("us-east-1", "Shop_1"),
            id("us-east-1", "shop-1"),
            id("us-east-1", "shop_1"),
            id("us-east-1", &long),
            id("us-east-1", "shop-"),
        ];
        for (n, one) in ids.iter().enumerate() {
            assert!(one.len() <= 63, "{one}");
            assert!(!ids[..n].contains(one), "{one} twice");
            assert!(
                !one.ends_with('-') && one.chars().all(|c| c == '-' || c.is_ascii_alphanumeric()),
                "{one}"
            );
        }
        assert!(ids[0].starts_with("eksx-us-east-1-shop-1-"));
    }

    #[test]
    fn arns_are_of_the_partition_of_their_region() {
        let arn =
            |region: &str| ClusterKey { region: region.to_owned(), name: "shop".to_owned() }.arn();
        assert_eq!(arn("eu-west-1"), "arn:aws:eks:eu-west-1:111122223333:cluster/shop");
        assert_eq!(arn("cn-north-1"), "arn:aws-cn:eks:cn-north-1:111122223333:cluster/shop");
        let gov = "arn:aws-us-gov:eks:us-gov-east-1:111122223333:cluster/shop";
        assert_eq!(arn("us-gov-east-1"), gov);
    }

    #[test]
    fn what_is_due_is_due_at_its_instant_and_not_before() {
        let due = Timestamp::from_second(100).expect("in range");
        let early = Timestamp::from_second(99).expect("in range");
        assert!(!Phase::Creating { due }.is_made_at(early));
        assert!(Phase::Creating { due }.is_made_at(due));
        assert!(Phase::Deleting { due }.is_gone_at(due));
        assert!(!Phase::Deleting { due }.is_gone_at(early));
    }
}
