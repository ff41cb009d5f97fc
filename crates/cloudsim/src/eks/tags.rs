//! Tags of clusters and node groups, addressed by ARN.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::answer::EksError;
use super::{Call, check, page};
use crate::state::Cluster;
use crate::{ACCOUNT_ID, Shared};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TagRequest {
    tags: BTreeMap<String, String>,
}

/// What has tags.
enum Tagged {
    Cluster,
    Nodegroup(String),
}

impl Shared {
    pub(super) async fn tag_resource(&self, call: &Call<'_>, arn: &str) -> Result<Value, EksError> {
        let request: TagRequest = serde_json::from_slice(call.body)
            .map_err(|error| EksError::bad_tagging(error.to_string()))?;
        let (mut cluster, tagged) = self.tagged(call, arn).await?;
        let tags = tags_of(&mut cluster, &tagged).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        tags.extend(request.tags);
        check::tags(tags).map_err(EksError::bad_tagging)?;
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn untag_resource(
        &self,
        call: &Call<'_>,
        arn: &str,
    ) -> Result<Value, EksError> {
        let keys = page::parameters(call.query, "tagKeys");
        if keys.is_empty() {
            return Err(EksError::bad_tagging("tagKeys is missing."));
        }
        let (mut cluster, tagged) = self.tagged(call, arn).await?;
        let tags = tags_of(&mut cluster, &tagged).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        tags.retain(|key, _| !keys.contains(key));
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn list_tags(&self, call: &Call<'_>, arn: &str) -> Result<Value, EksError> {
        let (mut cluster, tagged) = self.tagged(call, arn).await?;
        let tags = tags_of(&mut cluster, &tagged).ok_or_else(|| EksError::nothing_to_tag(arn))?;
        Ok(json!({ "tags": tags }))
    }

    /// Finds what an ARN names. A node group's ends with its uid, which must be that of today.
    async fn tagged(&self, call: &Call<'_>, arn: &str) -> Result<(Cluster, Tagged), EksError> {
        let prefix = format!("arn:aws:eks:{}:{ACCOUNT_ID}:", call.region);
        let Some(resource) = arn.strip_prefix(&prefix) else {
            let message = format!("Invalid ARN {arn}: it does not begin with {prefix}");
            return Err(EksError::bad_tagging(message));
        };
        let nothing = || EksError::nothing_to_tag(arn);
        match resource.split('/').collect::<Vec<_>>().as_slice() {
            ["cluster", name] => {
                let cluster = self.current(&call.key(name)).await?.ok_or_else(nothing)?;
                Ok((cluster, Tagged::Cluster))
            }
            ["nodegroup", cluster, name, uid] => {
                let cluster = self.current(&call.key(cluster)).await?.ok_or_else(nothing)?;
                let group = cluster.nodegroups.get(*name).ok_or_else(nothing)?;
                if group.uid != *uid {
                    return Err(nothing());
                }
                Ok((cluster, Tagged::Nodegroup((*name).to_owned())))
            }
            _ => Err(EksError::bad_tagging(format!(
                "Invalid ARN {arn}: clusters and node groups have tags."
            ))),
        }
    }
}

fn tags_of<'a>(
    cluster: &'a mut Cluster,
    tagged: &Tagged,
) -> Option<&'a mut BTreeMap<String, String>> {
    match tagged {
        Tagged::Cluster => Some(&mut cluster.tags),
        Tagged::Nodegroup(name) => cluster.nodegroups.get_mut(name).map(|group| &mut group.tags),
    }
}
