//! One step. Creates carry the step's token; everything else first reads whose the resource is, and leaves alone what is not
//! as the step says.

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use fleetwright_errclass::Class;
use fleetwright_names::{Ownership, TAG_HUB, TAG_OBJECT, TAG_RELEASED, TAG_UID, Uid};
use fleetwright_plan::{CloudAction, CloudStep, Resource};
use fleetwright_provider::{CloudError, Receipt, audit, left_alone, may_claim, wire_request};
use serde_json::{Value, json};

use crate::config::POLICIES;
use crate::error::Call;
use crate::observe::{find_cluster, find_part, find_pool, tags};
use crate::{kind, wire};

/// Every write that a body may name, and whether it carries our token. EKS takes one for the small parts too; they go without,
/// since their names are unique, nothing tells one change of them from the next, and a token that EKS has seen already would
/// make it do nothing.
const WRITES: [(&str, bool); 18] = [
    ("CreateCluster", true),
    ("CreateNodegroup", true),
    ("CreateAddon", false),
    ("CreateAccessEntry", false),
    ("CreatePodIdentityAssociation", false),
    ("CreateFargateProfile", false),
    ("UpdateClusterConfig", true),
    ("UpdateClusterVersion", true),
    ("AssociateEncryptionConfig", true),
    ("UpdateNodegroupConfig", true),
    ("UpdateNodegroupVersion", true),
    ("UpdateAddon", true),
    ("UpdateAccessEntry", false),
    ("UpdatePodIdentityAssociation", false),
    ("AssociateAccessPolicy", false),
    ("DisassociateAccessPolicy", false),
    ("TagResource", false),
    ("UntagResource", false),
];

/// Does the step. What is gone cannot be deleted or released, and that is success.
pub(crate) async fn act(client: &Client, step: &CloudStep) -> Result<Receipt, CloudError> {
    let mut deed = Deed { client, step, receipt: Receipt::default() };
    match &step.action {
        CloudAction::Create { body } => deed.create(body).await?,
        CloudAction::Update(update) => deed.update(&update.body).await?,
        CloudAction::Claim { tags, from } => deed.claim(tags, from.as_ref()).await?,
        CloudAction::Delete => deed.delete().await?,
        CloudAction::Release => deed.release().await?,
    }
    Ok(deed.receipt)
}

struct Deed<'a> {
    client: &'a Client,
    step: &'a CloudStep,
    receipt: Receipt,
}

/// What must be known of a resource before it is changed, destroyed or let go.
struct Found {
    arn: String,
    tags: BTreeMap<String, String>,
    going: bool,
    body: Value,
}

impl<'a> Deed<'a> {
    fn call(&self, operation: &'static str) -> Call<'a> {
        Call { operation, address: &self.step.address, resource: &self.step.resource }
    }

    /// One write, noted in the receipt and in the log.
    async fn send(&mut self, operation: &'static str, input: &Value) -> Result<(), CloudError> {
        let call = self.call(operation);
        let answer = wire::send(self.client, &call, input).await?;
        let operation = format!("eks:{operation}");
        audit(self.step, &operation, &call, answer.request_id.as_deref());
        self.receipt.calls.push((operation, answer.request_id));
        Ok(())
    }

    /// A write that a body names, with its token where EKS takes one.
    async fn named(&mut self, operation: &str, input: &Value) -> Result<(), CloudError> {
        let Some((operation, takes_token)) = WRITES.iter().find(|(name, _)| *name == operation)
        else {
            let words =
                format!("the step names {operation:?}, which is no write of ours; report it");
            return Err(self.call("Update").error(Class::Bug, "UnreadableBody", &words));
        };
        let mut input = wire_request(input);
        if *takes_token {
            input["clientRequestToken"] = json!(self.step.token);
        }
        self.send(operation, &input).await
    }

    async fn create(&mut self, body: &Value) -> Result<(), CloudError> {
        let operation = match &self.step.resource {
            Resource::Cluster => "CreateCluster",
            Resource::Pool(_) => "CreateNodegroup",
            Resource::Part(key) => match key.kind {
                kind::ADD_ON => "CreateAddon",
                kind::ENTRY => "CreateAccessEntry",
                kind::IDENTITY => "CreatePodIdentityAssociation",
                _ => "CreateFargateProfile",
            },
        };
        self.named(operation, body).await?;
        // An entry's policies are calls of their own; cut off here, the next look finds them missing.
        for policy in body[POLICIES].as_array().into_iter().flatten() {
            let mut input = policy.clone();
            input["clusterName"] = body["clusterName"].clone();
            input["principalArn"] = body["principalArn"].clone();
            self.named("AssociateAccessPolicy", &input).await?;
        }
        Ok(())
    }

    /// One call, or for the policies of an entry as many as differ.
    async fn update(&mut self, body: &Value) -> Result<(), CloudError> {
        let call = self.call("Update");
        let Some(found) = self.find().await? else {
            return Err(call.error(
                Class::Conflict,
                "NotFound",
                "it went away meanwhile; we look again",
            ));
        };
        self.must_be_ours(&call, &found)?;
        let one = [body.clone()];
        let calls = body["calls"].as_array().map_or(&one[..], Vec::as_slice);
        for each in calls {
            let operation = each["operation"].as_str().unwrap_or_default();
            self.named(operation, &each["input"]).await?;
        }
        Ok(())
    }

    /// Only what the step names may be claimed: nobody's, or the named predecessor's.
    async fn claim(
        &mut self,
        tags: &BTreeMap<String, String>,
        from: Option<&Uid>,
    ) -> Result<(), CloudError> {
        let call = self.call("TagResource");
        let Some(found) = self.find().await? else {
            return Err(call.error(
                Class::Conflict,
                "NotFound",
                "it went away meanwhile; we look again",
            ));
        };
        if self.step.owner.reads(&found.tags) == Ownership::Ours {
            return Ok(());
        }
        if !may_claim(&self.step.owner, &found.tags, from) {
            return Err(self.not_ours(&call, &found));
        }
        let released = found.tags.contains_key(TAG_RELEASED);
        self.send("TagResource", &json!({"resourceArn": found.arn, "tags": tags})).await?;
        if released {
            let input = json!({"resourceArn": found.arn, "tagKeys": [TAG_RELEASED]});
            self.send("UntagResource", &input).await?;
        }
        Ok(())
    }

    async fn delete(&mut self) -> Result<(), CloudError> {
        let Some(found) = self.find().await? else {
            return Ok(());
        };
        let name = &self.step.address.external_name;
        let (operation, input) = match &self.step.resource {
            Resource::Cluster => ("DeleteCluster", json!({"name": name})),
            Resource::Pool(pool) => {
                ("DeleteNodegroup", json!({"clusterName": name, "nodegroupName": pool.as_str()}))
            }
            Resource::Part(key) => {
                let (operation, field, value) = match key.kind {
                    kind::ADD_ON => ("DeleteAddon", "addonName", json!(key.name)),
                    kind::ENTRY => ("DeleteAccessEntry", "principalArn", json!(key.name)),
                    kind::IDENTITY => (
                        "DeletePodIdentityAssociation",
                        "associationId",
                        found.body["associationId"].clone(),
                    ),
                    _ => ("DeleteFargateProfile", "fargateProfileName", json!(key.name)),
                };
                (operation, json!({"clusterName": name, field: value}))
            }
        };
        let call = self.call(operation);
        self.must_be_ours(&call, &found)?;
        if found.going {
            return Ok(());
        }
        match self.send(operation, &input).await {
            // Gone between the look and the deed: that is what was wanted.
            Err(error) if error.code == "NotFound" => Ok(()),
            other => other,
        }
    }

    /// Writes the new tag before it removes the old ones: cut off between the two, the resource is still ours and found.
    async fn release(&mut self) -> Result<(), CloudError> {
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
        let tags = json!({TAG_RELEASED: owner.uid.as_str()});
        self.send("TagResource", &json!({"resourceArn": found.arn, "tags": tags})).await?;
        let keys = [TAG_HUB, TAG_OBJECT, TAG_UID];
        self.send("UntagResource", &json!({"resourceArn": found.arn, "tagKeys": keys})).await
    }

    async fn find(&self) -> Result<Option<Found>, CloudError> {
        let address = &self.step.address;
        let body = match &self.step.resource {
            Resource::Cluster => find_cluster(self.client, address).await?,
            Resource::Pool(pool) => find_pool(self.client, address, pool).await?,
            Resource::Part(key) => find_part(self.client, address, key).await?,
        };
        let arns = [
            "arn",
            "nodegroupArn",
            "addonArn",
            "accessEntryArn",
            "associationArn",
            "fargateProfileArn",
        ];
        Ok(body.map(|body| Found {
            arn: arns.into_iter().find_map(|key| body[key].as_str()).unwrap_or_default().to_owned(),
            tags: tags(&body),
            going: body["status"] == "DELETING",
            body,
        }))
    }

    fn must_be_ours(&self, call: &Call<'_>, found: &Found) -> Result<(), CloudError> {
        match self.step.owner.reads(&found.tags) {
            Ownership::Ours => Ok(()),
            _ => Err(self.not_ours(call, found)),
        }
    }

    fn not_ours(&self, call: &Call<'_>, found: &Found) -> CloudError {
        call.error(Class::Refused, "NotOurs", &left_alone(&self.step.owner, &found.tags))
    }
}
