//! Tags of clusters and of what belongs to them, addressed by ARN.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::EksError;
use super::{Call, check, page};
use crate::Shared;
use crate::state::Cluster;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagRequest {
    tags: BTreeMap<String, String>,
}

impl Shared {
    pub(super) async fn tag_resource(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let arn = call.name(0);
        let request: TagRequest = serde_json::from_slice(call.body)
            .map_err(|error| EksError::bad_tagging(error.to_string()))?;
        let (mut cluster, resource) = self.tagged(call).await?;
        let tags = tags_of(&mut cluster, &resource).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        tags.extend(request.tags);
        check::tags(tags).map_err(EksError::bad_tagging)?;
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn untag_resource(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let arn = call.name(0);
        let keys = page::parameters(call.query, "tagKeys");
        if keys.is_empty() {
            return Err(EksError::bad_tagging("tagKeys is missing."));
        }
        let (mut cluster, resource) = self.tagged(call).await?;
        let tags = tags_of(&mut cluster, &resource).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        tags.retain(|key, _| !keys.contains(key));
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn list_tags(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let arn = call.name(0);
        let (mut cluster, resource) = self.tagged(call).await?;
        let tags = tags_of(&mut cluster, &resource).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        Ok(json!({ "tags": tags }))
    }

    /// The cluster in which an ARN names something, and the ARN's last part, in segments.
    async fn tagged(&self, call: &Call<'_>) -> Result<(Cluster, Vec<String>), EksError> {
        let arn = call.name(0);
        let prefix = call.key("").arn_of("");
        let Some(resource) = arn.strip_prefix(&prefix) else {
            let message = format!("Invalid ARN {arn}: it does not begin with {prefix}");
            return Err(EksError::bad_tagging(message));
        };
        let segments: Vec<String> = resource.split('/').map(str::to_owned).collect();
        if !KINDS.contains(&segments[0].as_str()) {
            return Err(EksError::bad_tagging(format!(
                "Invalid ARN {arn}: {} have tags.",
                KINDS.join(", ")
            )));
        }
        let nothing = || EksError::nothing_to_tag(arn);
        let name = segments.get(1).ok_or_else(nothing)?;
        let found = self.current(&call.key(name)).await.map_err(EksError::server)?;
        let cluster = found.ok_or_else(nothing)?;
        Ok((cluster, segments))
    }
}

const KINDS: [&str; 6] =
    ["cluster", "nodegroup", "addon", "access-entry", "podidentityassociation", "fargateprofile"];

/// The tags of what an ARN names. Most ARNs end with a uid, which must be that of today.
fn tags_of<'a>(
    cluster: &'a mut Cluster,
    resource: &[String],
) -> Option<&'a mut BTreeMap<String, String>> {
    let segments: Vec<&str> = resource.iter().map(String::as_str).collect();
    match segments.as_slice() {
        ["cluster", _] => Some(&mut cluster.tags),
        ["nodegroup", _, name, uid] => cluster
            .nodegroups
            .get_mut(*name)
            .filter(|group| group.uid == *uid)
            .map(|group| &mut group.tags),
        ["addon", _, name, uid] => cluster
            .addons
            .get_mut(*name)
            .filter(|addon| addon.uid == *uid)
            .map(|addon| &mut addon.tags),
        ["fargateprofile", _, name, uid] => cluster
            .fargate
            .get_mut(*name)
            .filter(|profile| profile.uid == *uid)
            .map(|profile| &mut profile.tags),
        ["podidentityassociation", _, id] => {
            cluster.identities.get_mut(*id).map(|identity| &mut identity.tags)
        }
        ["access-entry", .., uid] => cluster
            .entries
            .values_mut()
            .find(|entry| entry.uid == *uid)
            .map(|entry| &mut entry.tags),
        _ => None,
    }
}
