//! Pod Identity: the roles of service accounts.

use serde_json::{Value, json};

use super::answer::{EksError, seconds, wire};
use super::shapes::{PodIdentityRequest, PodIdentityUpdate};
use super::{Call, check, page};
use crate::Shared;
use crate::state::{Cluster, PodIdentity, digest_hex, with_values};

impl Shared {
    /// An association that can be: there is one per service account.
    pub(super) fn new_identity(
        &self,
        cluster: &Cluster,
        mut request: PodIdentityRequest,
        owner_arn: Option<String>,
    ) -> Result<PodIdentity, EksError> {
        request.check()?;
        let same = |one: &&PodIdentity| {
            one.request.namespace == request.namespace
                && one.request.service_account == request.service_account
        };
        if let Some(taken) = cluster.identities.values().find(same) {
            return Err(EksError::in_use(format!("Association already exists: {}", taken.id)));
        }
        let now = self.clock.now();
        Ok(PodIdentity {
            id: format!("a-{}", digest_hex(&self.ids.uid(), 17)),
            tags: request.tags.take().unwrap_or_default(),
            request,
            owner_arn,
            created_at: now,
            modified_at: now,
        })
    }

    pub(super) async fn create_identity(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let request: PodIdentityRequest = check::body(call.body)?;
        let mut cluster = self.existing(call).await?;
        if let Some(token) = &request.client_request_token {
            let own = |one: &&PodIdentity| one.request.client_request_token.as_ref() == Some(token);
            if let Some(known) = cluster.identities.values().find(own) {
                return Ok(describe(&cluster, known));
            }
        }
        let identity = self.new_identity(&cluster, request, None)?;
        let described = describe(&cluster, &identity);
        cluster.identities.insert(identity.id.clone(), identity);
        self.store(&cluster).await?;
        Ok(described)
    }

    pub(super) async fn describe_identity(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let identity = cluster.identities.get(call.name(1)).ok_or_else(|| missing(call.name(1)))?;
        Ok(describe(&cluster, identity))
    }

    pub(super) async fn list_identities(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let first = |name: &str| page::parameters(call.query, name).into_iter().next();
        let (namespace, account) = (first("namespace"), first("serviceAccount"));
        let wanted = |one: &&PodIdentity| {
            namespace.as_ref().is_none_or(|name| *name == one.request.namespace)
                && account.as_ref().is_none_or(|name| *name == one.request.service_account)
        };
        let items = cluster.identities.values().filter(wanted).map(|one| {
            let mut summary = describe(&cluster, one)["association"].take();
            if let Some(fields) = summary.as_object_mut() {
                fields.retain(|field, _| SUMMARY.contains(&field.as_str()));
            }
            (one.id.clone(), summary)
        });
        page::page_of(&page::Asked::by(call.query), "associations", items.collect())
    }

    pub(super) async fn update_identity(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: PodIdentityUpdate = check::body(call.body)?;
        let mut cluster = self.existing(call).await?;
        let now = self.clock.now();
        let id = call.name(1);
        let identity = cluster.identities.get_mut(id).ok_or_else(|| missing(id))?;
        if identity.owner_arn.is_some() {
            let message = "The association belongs to an add-on and is updated with it.";
            return Err(EksError::invalid_request(message));
        }
        let mut values = Vec::new();
        if let Value::Object(fields) = wire(&update) {
            values.extend(fields.into_iter().filter(|(field, _)| field != "clientRequestToken"));
        }
        identity.request =
            with_values(&identity.request, &values).map_err(EksError::invalid_parameter)?;
        identity.request.check()?;
        identity.modified_at = now;
        self.store(&cluster).await?;
        let identity = cluster.identities.get(id).ok_or_else(|| missing(id))?;
        Ok(describe(&cluster, identity))
    }

    pub(super) async fn delete_identity(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.existing(call).await?;
        let id = call.name(1);
        let identity = cluster.identities.remove(id).ok_or_else(|| missing(id))?;
        if identity.owner_arn.is_some() {
            let message = "The association belongs to an add-on and goes with it.";
            return Err(EksError::invalid_request(message));
        }
        self.store(&cluster).await?;
        Ok(describe(&cluster, &identity))
    }
}

/// What lists say of an association.
const SUMMARY: [&str; 6] =
    ["clusterName", "namespace", "serviceAccount", "associationArn", "associationId", "ownerArn"];

impl PodIdentityRequest {
    fn check(&self) -> Result<(), EksError> {
        check::role(&self.role_arn)?;
        if let Some(target) = &self.target_role_arn {
            check::role(target)?;
        }
        if self.namespace.is_empty() || self.service_account.is_empty() {
            let message = "namespace and serviceAccount must not be empty.";
            return Err(EksError::invalid_parameter(message));
        }
        let tags = self.tags.clone().unwrap_or_default();
        check::tags(&tags).map_err(EksError::invalid_parameter)
    }
}

fn missing(id: &str) -> EksError {
    EksError::not_found(format!("No association found with associationId {id}"))
}

/// An association as `DescribePodIdentityAssociation` gives it.
fn describe(cluster: &Cluster, identity: &PodIdentity) -> Value {
    let PodIdentity { id, request, owner_arn, created_at, modified_at, tags } = identity;
    let mut described = json!({
        "clusterName": cluster.key.name,
        "namespace": request.namespace,
        "serviceAccount": request.service_account,
        "roleArn": request.role_arn,
        "associationArn": identity.arn(&cluster.key),
        "associationId": id,
        "tags": tags,
        "createdAt": seconds(*created_at),
        "modifiedAt": seconds(*modified_at),
        "disableSessionTags": request.disable_session_tags.unwrap_or(false),
    });
    if let Some(owner) = owner_arn {
        described["ownerArn"] = json!(owner);
    }
    if let Some(target) = &request.target_role_arn {
        described["targetRoleArn"] = json!(target);
        described["externalId"] = json!(digest_hex(id, 32));
    }
    if let Some(policy) = &request.policy {
        described["policy"] = json!(policy);
    }
    json!({ "association": described })
}
