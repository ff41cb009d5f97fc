//! One step. A create asks Azure to refuse when the name is taken; everything else first reads whose the resource is, leaves
//! alone what is not as the step says, and asks Azure to refuse when it changed since.

use std::collections::BTreeMap;

use fleetwright_errclass::Class;
use fleetwright_names::{Ownership, TAG_HUB, TAG_OBJECT, TAG_RELEASED, TAG_UID, Uid};
use fleetwright_plan::{CloudAction, CloudStep, Resource};
use fleetwright_provider::{CloudError, Receipt, audit, left_alone, may_claim, wire_request};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::Call;
use crate::merge::{self, Of};
use crate::observe::{find_cluster, find_part, find_pool};
use crate::operations::Operations;
use crate::place::Place;
use crate::session::Session;
use crate::tags::{from_azure, name_in_azure, to_azure};
use crate::wire::{self, Arm, Ask, Only};

/// Every change in place that a body may name.
const UPDATES: [&str; 5] = [
    "ManagedClusters_CreateOrUpdate",
    "ManagedClusters_UpdateTags",
    "AgentPools_CreateOrUpdate",
    "AgentPools_UpgradeNodeImageVersion",
    "MaintenanceConfigurations_CreateOrUpdate",
];

/// Does the step. What is gone cannot be deleted or released, and that is success. Work that goes on after Azure's answer is
/// noted in the session; nothing here waits for it.
pub(crate) async fn act(
    session: &Session,
    (step, now): (&CloudStep, Timestamp),
) -> Result<Receipt, CloudError> {
    let Session { arm, operations, .. } = session;
    let mut deed = Deed { arm, operations, step, now, receipt: Receipt::default() };
    match &step.action {
        CloudAction::Create { body } => deed.create(body).await?,
        CloudAction::Update(update) => deed.update(&update.what, &update.body).await?,
        CloudAction::Claim { tags, from } => deed.claim(tags, from.as_ref()).await?,
        CloudAction::Delete => deed.delete().await?,
        CloudAction::Release => deed.release().await?,
    }
    Ok(deed.receipt)
}

struct Deed<'a> {
    arm: &'a Arm,
    operations: &'a Operations,
    step: &'a CloudStep,
    now: Timestamp,
    receipt: Receipt,
}

/// What must be known of a resource before it is changed, destroyed or let go.
struct Found {
    /// Of itself; of a maintenance configuration, those of its cluster.
    tags: BTreeMap<String, String>,
    body: Value,
}

impl Found {
    fn only(&self) -> Only<'_> {
        wire::etag(&self.body).map_or(Only::Always, Only::IfSame)
    }

    fn is_going(&self) -> bool {
        self.body["properties"]["provisioningState"] == "Deleting"
    }

    fn is_stopped(&self) -> bool {
        let properties = &self.body["properties"];
        // Not while it starts.
        let rests = ["Succeeded", "Failed", "Canceled"]
            .into_iter()
            .any(|state| properties["provisioningState"] == state);
        rests && properties["powerState"]["code"] == "Stopped"
    }
}

impl<'a> Deed<'a> {
    fn call(&self, operation: &'static str) -> Call<'a> {
        Call { operation, address: &self.step.address, resource: &self.step.resource }
    }

    /// One write, noted in the receipt, in the log and among the work that goes on.
    async fn send(
        &mut self,
        operation: &'static str,
        (what, ask): (&str, Ask<'_>),
    ) -> Result<(), CloudError> {
        let call = self.call(operation);
        let answer = wire::send(self.arm, &call, ask).await?;
        let operation = format!("aks:{operation}");
        audit(self.step, &operation, &call, answer.request_id.as_deref());
        self.operations.began(&call, what, (&answer, self.now));
        self.receipt.calls.push((operation, answer.request_id));
        Ok(())
    }

    /// One write on what was read.
    async fn send_to(
        &mut self,
        found: &Found,
        operation: &'static str,
        (what, ask): (&str, Ask<'_>),
    ) -> Result<(), CloudError> {
        let sent = self.send(operation, (what, ask)).await;
        sent.map_err(|error| self.stopped(found, error))
    }

    /// What a stopped cluster refuses, it refuses until somebody starts it: waiting is no use.
    fn stopped(&self, found: &Found, mut error: CloudError) -> CloudError {
        let by_state = matches!(error.code, "InUse" | "InvalidRequest" | "OperationNotAllowed");
        let words = error.message.to_ascii_lowercase();
        let says = |any: &[&str]| any.iter().any(|text| words.contains(text));
        // A pool tells how the pool is; of its cluster only the words may tell.
        let stopped = found.is_stopped() || says(&["(stopped)", "is stopped", "stopped state"]);
        if !by_state || !stopped || says(&["in progress"]) {
            return error;
        }
        let start = match Place::parse(&self.step.address.external_name) {
            Ok(Place { group, name, .. }) => {
                format!("az aks start --resource-group {group} --name {name}")
            }
            Err(_) => "az aks start".to_owned(),
        };
        let start = match &self.step.resource {
            Resource::Pool(pool) => format!("{start}, or az aks nodepool start for {pool} alone"),
            Resource::Cluster | Resource::Part(_) => start,
        };
        let or = match &self.step.action {
            CloudAction::Delete | CloudAction::Release => {
                "; or let the object go with `fleetwright forget`, and the cluster stays as it is"
            }
            CloudAction::Create { .. } | CloudAction::Update(_) | CloudAction::Claim { .. } => "",
        };
        error.message.push_str(&format!("; it is stopped: start it ({start}){or}"));
        CloudError { class: Class::Refused, code: "Stopped", ..error }
    }

    async fn create(&mut self, body: &Value) -> Result<(), CloudError> {
        let body = wire_request(body);
        let (operation, only) = match &self.step.resource {
            Resource::Cluster => ("ManagedClusters_CreateOrUpdate", Only::IfAbsent),
            Resource::Pool(_) => ("AgentPools_CreateOrUpdate", Only::IfAbsent),
            Resource::Part(_) => {
                let operation = "MaintenanceConfigurations_CreateOrUpdate";
                self.part_is_free(&self.call(operation)).await?;
                (operation, Only::Always)
            }
        };
        self.send(operation, ("create", Ask { body: Some(&body), only })).await
    }

    /// Maintenance configurations have no ETags, and no tags of their own: one is made only where there is none, and only on
    /// a cluster of ours.
    async fn part_is_free(&self, call: &Call<'_>) -> Result<(), CloudError> {
        let Some(cluster) = find_cluster(self.arm, &self.step.address).await? else {
            return Err(went_away(call));
        };
        let cluster = Found { tags: from_azure(&cluster["tags"]), body: cluster };
        self.must_be_ours(call, &cluster)?;
        let Resource::Part(key) = &self.step.resource else { return Ok(()) };
        match find_part(self.arm, &self.step.address, key).await? {
            None => Ok(()),
            Some(_) => {
                let words = "something bears this name; we look whose it is";
                Err(call.error(Class::Conflict, "AlreadyExists", words))
            }
        }
    }

    /// One call: what was read goes back with the change in it, if it is still what was read.
    async fn update(&mut self, what: &str, body: &Value) -> Result<(), CloudError> {
        let call = self.call("Update");
        let Some(found) = self.find().await? else { return Err(went_away(&call)) };
        self.must_be_ours(&call, &found)?;
        let named = body["operation"].as_str().unwrap_or_default();
        let Some(operation) = UPDATES.into_iter().find(|known| *known == named) else {
            let words = format!("the step names {named:?}, which is no write of ours; report it");
            return Err(call.error(Class::Bug, "UnreadableBody", &words));
        };
        let change = wire_request(&body["merge"]);
        let only = found.only();
        if operation == "AgentPools_UpgradeNodeImageVersion" {
            return self.send_to(&found, operation, (what, Ask::default())).await;
        }
        let wanted = if operation == "ManagedClusters_UpdateTags" {
            json!({"tags": merge::tags(&found.body["tags"], &change["tags"])})
        } else {
            self.changed(&found.body, &change)
        };
        self.send_to(&found, operation, (what, Ask { body: Some(&wanted), only })).await
    }

    /// The whole body of a `PUT`, with a change in it. Tags are merged by Azure's own rule.
    fn changed(&self, found: &Value, change: &Value) -> Value {
        let of = match &self.step.resource {
            Resource::Cluster => Of::Cluster,
            Resource::Pool(_) => Of::Pool,
            Resource::Part(_) => Of::Part,
        };
        let mut body = merge::changed(of, found, change);
        let at = if of == Of::Pool { "/properties/tags" } else { "/tags" };
        if let Some(patch) = change.pointer(at) {
            let before = found.pointer(at).unwrap_or(&Value::Null);
            if let Some(tags) = body.pointer_mut(at) {
                *tags = Value::Object(merge::tags(before, patch));
            }
        }
        body
    }

    /// Only what the step names may be claimed: nobody's, or the named predecessor's.
    async fn claim(
        &mut self,
        tags: &BTreeMap<String, String>,
        from: Option<&Uid>,
    ) -> Result<(), CloudError> {
        let call = self.call(self.tagging());
        let Some(found) = self.find().await? else { return Err(went_away(&call)) };
        if self.step.owner.reads(&found.tags) == Ownership::Ours {
            return Ok(());
        }
        if !may_claim(&self.step.owner, &found.tags, from) {
            return Err(self.not_ours(&call, &found));
        }
        let mut patch = to_azure(tags);
        patch.insert(name_in_azure(TAG_RELEASED), Value::Null);
        self.tag(&found, patch).await
    }

    async fn delete(&mut self) -> Result<(), CloudError> {
        let Some(found) = self.find().await? else { return Ok(()) };
        let operation = match &self.step.resource {
            Resource::Cluster => "ManagedClusters_Delete",
            Resource::Pool(_) => "AgentPools_Delete",
            Resource::Part(_) => "MaintenanceConfigurations_Delete",
        };
        let call = self.call(operation);
        self.must_be_ours(&call, &found)?;
        if found.is_going() {
            return Ok(());
        }
        let ask = Ask { body: None, only: found.only() };
        match self.send_to(&found, operation, ("delete", ask)).await {
            Err(error) if error.code == "NotFound" => Ok(()),
            other => other,
        }
    }

    /// In one write: our tags go as the one comes that says so.
    async fn release(&mut self) -> Result<(), CloudError> {
        let Some(found) = self.find().await? else { return Ok(()) };
        let owner = &self.step.owner;
        if owner.reads(&found.tags) == Ownership::Released
            && found.tags.get(TAG_RELEASED).is_some_and(|uid| uid == owner.uid.as_str())
        {
            return Ok(());
        }
        let call = self.call(self.tagging());
        self.must_be_ours(&call, &found)?;
        let mut patch = Map::new();
        for ours in [TAG_HUB, TAG_OBJECT, TAG_UID] {
            patch.insert(name_in_azure(ours), Value::Null);
        }
        patch.insert(name_in_azure(TAG_RELEASED), json!(owner.uid.as_str()));
        self.tag(&found, patch).await
    }

    const fn tagging(&self) -> &'static str {
        match &self.step.resource {
            Resource::Cluster | Resource::Part(_) => "ManagedClusters_UpdateTags",
            Resource::Pool(_) => "AgentPools_CreateOrUpdate",
        }
    }

    /// Writes tags, all in one call. A part has none: it goes along with its cluster.
    async fn tag(&mut self, found: &Found, patch: Map<String, Value>) -> Result<(), CloudError> {
        let patch = Value::Object(patch);
        let only = found.only();
        let body = match &self.step.resource {
            Resource::Cluster => json!({"tags": merge::tags(&found.body["tags"], &patch)}),
            Resource::Pool(_) => self.changed(&found.body, &json!({"properties": {"tags": patch}})),
            Resource::Part(_) => return Ok(()),
        };
        self.send_to(found, self.tagging(), ("tags", Ask { body: Some(&body), only })).await
    }

    async fn find(&self) -> Result<Option<Found>, CloudError> {
        let address = &self.step.address;
        Ok(match &self.step.resource {
            Resource::Cluster => find_cluster(self.arm, address)
                .await?
                .map(|body| Found { tags: from_azure(&body["tags"]), body }),
            Resource::Pool(pool) => find_pool(self.arm, address, pool)
                .await?
                .map(|body| Found { tags: from_azure(&body["properties"]["tags"]), body }),
            Resource::Part(key) => {
                let Some(cluster) = find_cluster(self.arm, address).await? else {
                    return Ok(None);
                };
                let tags = from_azure(&cluster["tags"]);
                find_part(self.arm, address, key).await?.map(|body| Found { tags, body })
            }
        })
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

fn went_away(call: &Call<'_>) -> CloudError {
    call.error(Class::Conflict, "NotFound", "it went away meanwhile; we look again")
}
