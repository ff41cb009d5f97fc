//! One step, one write. Creates carry the step's token; deletes and releases first read whose the resource is.

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use aws_sdk_eks::operation::RequestId;
use aws_sdk_eks::types::{
    AmiTypes, AuthenticationMode, ClusterStatus, CreateAccessConfigRequest, NodegroupScalingConfig,
    NodegroupStatus, VpcConfigRequest,
};
use fleetwright_errclass::Class;
use fleetwright_names::{Ownership, TAG_HUB, TAG_OBJECT, TAG_RELEASED, TAG_UID};
use fleetwright_plan::{CloudAction, CloudStep, Resource};
use fleetwright_provider::CloudError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::{ClusterBody, PoolBody};
use crate::error::{Call, cloud_error};
use crate::observe::{describe_cluster, describe_nodegroup, tags};

/// Does the step. What is gone cannot be deleted or released, and that is success.
pub(crate) async fn act(client: &Client, step: &CloudStep) -> Result<(), CloudError> {
    let deed = Deed { client, step };
    match (&step.action, &step.resource) {
        (CloudAction::Create { body }, Resource::Cluster) => deed.create_cluster(body).await,
        (CloudAction::Create { body }, Resource::Pool(_)) => deed.create_pool(body).await,
        (CloudAction::Delete, _) => deed.delete().await,
        (CloudAction::Release, _) => deed.release().await,
    }
}

struct Deed<'a> {
    client: &'a Client,
    step: &'a CloudStep,
}

/// What must be known of a resource before it is destroyed or let go.
struct Found {
    arn: String,
    tags: BTreeMap<String, String>,
    going: bool,
}

impl<'a> Deed<'a> {
    fn call(&self, operation: &'static str) -> Call<'a> {
        Call { operation, address: &self.step.address, pool: self.pool() }
    }

    fn pool(&self) -> Option<&'a str> {
        match &self.step.resource {
            Resource::Cluster => None,
            Resource::Pool(name) => Some(name.as_str()),
        }
    }

    async fn create_cluster(&self, body: &Value) -> Result<(), CloudError> {
        let call = self.call("CreateCluster");
        let body: ClusterBody = read(&call, body)?;
        let network = VpcConfigRequest::builder().set_subnet_ids(Some(list(body.subnet_ids)));
        // API mode: access is granted by entries in EKS. We, who create it, must be able to write policies into it.
        let access = CreateAccessConfigRequest::builder()
            .authentication_mode(AuthenticationMode::Api)
            .bootstrap_cluster_creator_admin_permissions(true);
        let request = self
            .client
            .create_cluster()
            .name(body.name)
            .version(body.version)
            .role_arn(body.role_arn)
            .resources_vpc_config(network.build())
            .access_config(access.build())
            .set_tags(Some(body.tags.into_iter().collect()))
            .client_request_token(&self.step.token);
        let answer = request.send().await.map_err(|error| cloud_error(&call, &error))?;
        self.done(&call, &answer);
        Ok(())
    }

    async fn create_pool(&self, body: &Value) -> Result<(), CloudError> {
        let call = self.call("CreateNodegroup");
        let body: PoolBody = read(&call, body)?;
        let scaling = NodegroupScalingConfig::builder()
            .min_size(body.min)
            .max_size(body.max)
            .desired_size(body.desired);
        let labels = (!body.labels.is_empty()).then(|| body.labels.into_iter().collect());
        let types = (!body.instance_types.is_empty()).then_some(body.instance_types);
        // No version: a new group follows its control plane.
        let request = self
            .client
            .create_nodegroup()
            .cluster_name(&self.step.address.external_name)
            .nodegroup_name(body.name)
            .scaling_config(scaling.build())
            .set_subnets(Some(list(body.subnet_ids)))
            .set_instance_types(types)
            .set_ami_type(body.ami_type.as_deref().map(AmiTypes::from))
            .node_role(body.role_arn)
            .set_labels(labels)
            .set_tags(Some(body.tags.into_iter().collect()))
            .client_request_token(&self.step.token);
        let answer = request.send().await.map_err(|error| cloud_error(&call, &error))?;
        self.done(&call, &answer);
        Ok(())
    }

    async fn delete(&self) -> Result<(), CloudError> {
        let Some(found) = self.find().await? else {
            return Ok(());
        };
        let name = &self.step.address.external_name;
        let call = self.call(match self.pool() {
            None => "DeleteCluster",
            Some(_) => "DeleteNodegroup",
        });
        self.must_be_ours(&call, &found)?;
        if found.going {
            return Ok(());
        }
        let request_id = match self.pool() {
            None => match self.client.delete_cluster().name(name).send().await {
                Ok(answer) => answer.request_id().map(str::to_owned),
                Err(error) => gone(cloud_error(&call, &error))?,
            },
            Some(pool) => {
                let request =
                    self.client.delete_nodegroup().cluster_name(name).nodegroup_name(pool);
                match request.send().await {
                    Ok(answer) => answer.request_id().map(str::to_owned),
                    Err(error) => gone(cloud_error(&call, &error))?,
                }
            }
        };
        self.audit(&call, request_id.as_deref());
        Ok(())
    }

    /// Writes the new tag before it removes the old ones: cut off between the two, the resource is still ours and found.
    async fn release(&self) -> Result<(), CloudError> {
        let Some(found) = self.find().await? else {
            return Ok(());
        };
        let owner = &self.step.owner;
        let call = self.call("TagResource");
        if owner.reads(&found.tags) == Ownership::Released
            && found.tags.get(TAG_RELEASED).is_some_and(|uid| uid == owner.uid.as_str())
        {
            return Ok(());
        }
        self.must_be_ours(&call, &found)?;
        let tag = self.client.tag_resource().resource_arn(&found.arn);
        let answer = tag
            .tags(TAG_RELEASED, owner.uid.as_str())
            .send()
            .await
            .map_err(|error| cloud_error(&call, &error))?;
        self.done(&call, &answer);
        let call = self.call("UntagResource");
        let keys = [TAG_HUB, TAG_OBJECT, TAG_UID].map(str::to_owned).to_vec();
        let untag = self.client.untag_resource().resource_arn(&found.arn).set_tag_keys(Some(keys));
        let answer = untag.send().await.map_err(|error| cloud_error(&call, &error))?;
        self.done(&call, &answer);
        Ok(())
    }

    async fn find(&self) -> Result<Option<Found>, CloudError> {
        let address = &self.step.address;
        let Some(pool) = self.pool() else {
            let cluster = describe_cluster(self.client, address).await?;
            return Ok(cluster.map(|cluster| Found {
                arn: cluster.arn().unwrap_or_default().to_owned(),
                tags: tags(cluster.tags()),
                going: cluster.status() == Some(&ClusterStatus::Deleting),
            }));
        };
        let nodegroup = describe_nodegroup(self.client, address, pool).await?;
        Ok(nodegroup.map(|nodegroup| Found {
            arn: nodegroup.nodegroup_arn().unwrap_or_default().to_owned(),
            tags: tags(nodegroup.tags()),
            going: nodegroup.status() == Some(&NodegroupStatus::Deleting),
        }))
    }

    fn must_be_ours(&self, call: &Call<'_>, found: &Found) -> Result<(), CloudError> {
        let whose = match self.step.owner.reads(&found.tags) {
            Ownership::Ours => return Ok(()),
            Ownership::Predecessor(uid) => format!("an earlier {} ({uid})", self.step.owner.object),
            Ownership::Released => "nobody any more: it was released".to_owned(),
            Ownership::Other(who) => who,
            Ownership::Untagged => "somebody who does not use Fleetwright".to_owned(),
        };
        let words = format!("left alone, since its tags say that it belongs to {whose}");
        Err(call.error(Class::Refused, "NotOurs", &words))
    }

    fn done(&self, call: &Call<'_>, answer: &impl RequestId) {
        self.audit(call, answer.request_id());
    }

    /// The audit line of a write that EKS accepted; a refused one is logged by whoever handles the error.
    fn audit(&self, call: &Call<'_>, request_id: Option<&str>) {
        tracing::info!(
            target: "fleetwright::audit",
            operation = %format_args!("eks:{}", call.operation),
            resource = %call,
            object = %self.step.owner.object,
            uid = %self.step.owner.uid,
            token = %self.step.token,
            request_id = request_id.unwrap_or_default(),
            "cloud write accepted"
        );
    }
}

/// Gone between the look and the deed: that is what was wanted.
fn gone(error: CloudError) -> Result<Option<String>, CloudError> {
    if error.code == "NotFound" { Ok(error.request_id) } else { Err(error) }
}

fn read<T: DeserializeOwned>(call: &Call<'_>, body: &Value) -> Result<T, CloudError> {
    T::deserialize(body).map_err(|error| {
        call.error(Class::Bug, "UnreadableBody", &format!("the step's body is not ours: {error}"))
    })
}

fn list(set: std::collections::BTreeSet<String>) -> Vec<String> {
    set.into_iter().collect()
}
