//! Requests that are answered rather than stored: who am I, what may I do, whose token is this,
//! and a token for a ServiceAccount.

use fleetwright_apiserver_core::rbac::{self, Action, ActionTarget};
use fleetwright_apiserver_core::request::{RequestInfo, Verb};
use fleetwright_apiserver_core::status::{ApiError, Cause};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::accounts::{Grant, ISSUER};
use crate::auth::Identity;
use crate::cluster::{LogicalCluster, ResourceRef};
use crate::operations::place_of;

const AUTHENTICATION: &str = "authentication.k8s.io";
const AUTHORIZATION: &str = "authorization.k8s.io";
const SHORTEST_SECONDS: i64 = 600;
const LONGEST_SECONDS: i64 = 1 << 32;
const USUAL_SECONDS: i64 = 3600;

/// Whether a POST there is answered here.
pub(super) fn is_review(info: &RequestInfo) -> bool {
    let resource = info.resource.as_str();
    let review = match info.group.as_str() {
        AUTHENTICATION => matches!(resource, "tokenreviews" | "selfsubjectreviews"),
        AUTHORIZATION => matches!(
            resource,
            "selfsubjectaccessreviews"
                | "subjectaccessreviews"
                | "localsubjectaccessreviews"
                | "selfsubjectrulesreviews"
        ),
        "" => resource == "serviceaccounts" && info.subresource.as_deref() == Some("token"),
        _ => false,
    };
    review && info.verb == Verb::Create
}

impl LogicalCluster {
    /// The answered review. `manager` is whom `managedFields` name.
    pub(super) async fn review(
        &self,
        who: &Identity,
        info: &RequestInfo,
        body: Value,
        manager: &str,
    ) -> Result<Value, ApiError> {
        let mut review = if body.is_object() { body } else { json!({}) };
        let now = self.shared().clock.now();
        let (group, kind) = identity_of_kind(info);
        review["apiVersion"] = json!(format!("{group}/{}", "v1"));
        review["kind"] = json!(kind);
        if !review["metadata"].is_object() {
            review["metadata"] = json!({});
        }
        if review["spec"].as_object().is_some_and(|spec| !spec.is_empty()) {
            let mut entry = json!({"manager": manager, "operation": "Update",
                "apiVersion": review["apiVersion"], "time": time(now),
                "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": fields(&review["spec"])}});
            if let Some(sub) = &info.subresource {
                entry["subresource"] = json!(sub);
            }
            review["metadata"]["managedFields"] = json!([entry]);
        }
        match info.resource.as_str() {
            "selfsubjectreviews" => {
                review["metadata"]["creationTimestamp"] = json!(time(now));
                review["status"] = json!({"userInfo": who.info()});
            }
            "tokenreviews" => review["status"] = self.token_status(&review["spec"]).await?,
            "selfsubjectrulesreviews" => {
                let namespace = review["spec"]["namespace"].as_str().unwrap_or_default();
                if namespace.is_empty() {
                    return Err(ApiError::bad_request("no namespace on request"));
                }
                let (resources, paths) = rbac::review(&self.rules_of(who, namespace));
                review["status"] = json!({"resourceRules": resources,
                    "nonResourceRules": paths, "incomplete": false});
            }
            "selfsubjectaccessreviews" => {
                review["status"] = self.access_status(who, &review["spec"])?;
            }
            "serviceaccounts" => self.token_request(info, &mut review).await?,
            _ => {
                let asked = reviewed(info, &review["spec"])?;
                review["status"] = self.access_status(&asked, &review["spec"])?;
            }
        }
        Ok(review)
    }

    fn access_status(&self, who: &Identity, spec: &Value) -> Result<Value, ApiError> {
        let (resource, path) = (&spec["resourceAttributes"], &spec["nonResourceAttributes"]);
        if resource.is_object() == path.is_object() {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be \
                       specified";
            let cause = Cause::invalid("spec.resourceAttributes", resource, why);
            return Err(ApiError::invalid_kind(AUTHORIZATION, "", "", vec![cause]));
        }
        let attributes = if resource.is_object() { resource } else { path };
        let text = |key: &str| attributes[key].as_str().unwrap_or_default();
        let some = |key: &str| Some(text(key)).filter(|text| !text.is_empty());
        let with_sub = match some("subresource") {
            Some(sub) => format!("{}/{sub}", text("resource")),
            None => text("resource").to_owned(),
        };
        let target = if resource.is_object() {
            ActionTarget::Resource {
                group: text("group"),
                resource: &with_sub,
                namespace: some("namespace"),
                name: some("name"),
            }
        } else {
            ActionTarget::Path(text("path"))
        };
        let allowed = self.allows(who, &Action { verb: text("verb"), target });
        Ok(json!({"allowed": allowed}))
    }

    async fn token_status(&self, spec: &Value) -> Result<Value, ApiError> {
        let token = spec["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(ApiError::bad_request(
                "token is required for TokenReview in authentication",
            ));
        }
        let audiences: Vec<String> =
            serde_json::from_value(spec["audiences"].clone()).unwrap_or_default();
        if let Some(account) = self.account(token, &audiences).await {
            return Ok(json!({"authenticated": true, "user": account.identity.known().info(),
                "audiences": account.audiences}));
        }
        // Other tokens are for this cluster and nobody else.
        let ours = audiences.is_empty() || audiences.iter().any(|audience| audience == ISSUER);
        let known = self.attached.authenticator.authenticate(Some(token)).await;
        Ok(match known {
            Ok(identity) if ours => json!({"authenticated": true,
                "user": identity.known().info(), "audiences": [ISSUER]}),
            _ => json!({"user": {}, "error": "invalid bearer token"}),
        })
    }

    async fn token_request(&self, info: &RequestInfo, review: &mut Value) -> Result<(), ApiError> {
        let (Some(namespace), Some(name)) = (info.namespace.as_deref(), info.name.as_deref())
        else {
            return Err(ApiError::path_not_found());
        };
        let scheme = self.scheme();
        let rt = scheme.find("", "v1", "serviceaccounts").ok_or_else(ApiError::path_not_found)?;
        let account = self.tables.get(&rt.group_resource(), &place_of(Some(namespace), name));
        let account = account.ok_or_else(|| ApiError::not_found(rt, name))?;
        let spec = &review["spec"];
        let lifetime_seconds = spec["expirationSeconds"].as_i64().unwrap_or(USUAL_SECONDS);
        let wrong = match lifetime_seconds {
            ..SHORTEST_SECONDS => Some("may not specify a duration less than 10 minutes"),
            SHORTEST_SECONDS..=LONGEST_SECONDS => None,
            _ => Some("may not specify a duration larger than 2^32 seconds"),
        };
        if let Some(why) = wrong {
            let cause = Cause::invalid("spec.expirationSeconds", &json!(lifetime_seconds), why);
            return Err(ApiError::invalid_kind(AUTHENTICATION, "TokenRequest", "", vec![cause]));
        }
        let mut audiences: Vec<String> =
            serde_json::from_value(spec["audiences"].clone()).unwrap_or_default();
        if audiences.is_empty() {
            audiences.push(ISSUER.to_owned());
        }
        let bound_to = spec["boundObjectRef"].clone();
        let bound = self.bound_object(namespace, &bound_to).await?;
        let uid = account.uid();
        let grant = Grant { namespace, name, uid, audiences: &audiences, lifetime_seconds, bound };
        let (token, end) = self.sign(&grant).await?;
        review["metadata"]["name"] = json!(name);
        review["metadata"]["namespace"] = json!(namespace);
        review["metadata"]["uid"] = json!(uid);
        let born = account.value["metadata"]["creationTimestamp"].clone();
        review["metadata"]["creationTimestamp"] = born;
        review["spec"] = json!({"audiences": audiences, "expirationSeconds": lifetime_seconds,
            "boundObjectRef": bound_to});
        let end = Timestamp::from_second(end).unwrap_or(Timestamp::MAX);
        review["status"] = json!({"token": token, "expirationTimestamp": time(end)});
        Ok(())
    }

    /// Kind, name and uid of the object that a token is to be bound to.
    async fn bound_object(
        &self,
        namespace: &str,
        reference: &Value,
    ) -> Result<Option<(String, String, String)>, ApiError> {
        if !reference.is_object() {
            return Ok(None);
        }
        let text = |key: &str| reference[key].as_str().unwrap_or_default();
        let plural = match (text("apiVersion"), text("kind")) {
            ("v1", "Pod") => "pods",
            ("v1", "Secret") => "secrets",
            ("v1", "Node") => "nodes",
            (version, kind) => {
                let why = format!("cannot bind token for serviceaccount to {version} {kind}");
                return Err(ApiError::bad_request(why));
            }
        };
        let scheme = self.scheme();
        let rt = scheme.find("", "v1", plural).ok_or_else(ApiError::path_not_found)?;
        let within = Some(namespace).filter(|_| rt.namespaced);
        let found = self.get(&ResourceRef::new("", "v1", plural), within, text("name")).await;
        let found = found.ok_or_else(|| ApiError::not_found(rt, text("name")))?;
        let uid = found["metadata"]["uid"].as_str().unwrap_or_default();
        if !text("uid").is_empty() && text("uid") != uid {
            let why = format!(
                "the UID in the bound object reference ({}) does not match the UID in record. The \
                 object might have been deleted and then recreated",
                text("uid")
            );
            return Err(ApiError::conflict(rt, text("name"), &why));
        }
        Ok(Some((text("kind").to_owned(), text("name").to_owned(), uid.to_owned())))
    }
}

fn identity_of_kind(info: &RequestInfo) -> (&'static str, &'static str) {
    match info.resource.as_str() {
        "tokenreviews" => (AUTHENTICATION, "TokenReview"),
        "selfsubjectreviews" => (AUTHENTICATION, "SelfSubjectReview"),
        "serviceaccounts" => (AUTHENTICATION, "TokenRequest"),
        "selfsubjectrulesreviews" => (AUTHORIZATION, "SelfSubjectRulesReview"),
        "selfsubjectaccessreviews" => (AUTHORIZATION, "SelfSubjectAccessReview"),
        "localsubjectaccessreviews" => (AUTHORIZATION, "LocalSubjectAccessReview"),
        _ => (AUTHORIZATION, "SubjectAccessReview"),
    }
}

/// Whom a SubjectAccessReview is about.
fn reviewed(info: &RequestInfo, spec: &Value) -> Result<Identity, ApiError> {
    let user = spec["user"].as_str().unwrap_or_default();
    let groups: Vec<String> = serde_json::from_value(spec["groups"].clone()).unwrap_or_default();
    let kind = identity_of_kind(info).1;
    if user.is_empty() && groups.is_empty() {
        let why = "at least one of user or group must be specified";
        let cause = Cause::invalid("spec.user", &json!(user), why);
        return Err(ApiError::invalid_kind(AUTHORIZATION, kind, "", vec![cause]));
    }
    let within = spec["resourceAttributes"]["namespace"].as_str();
    if kind.starts_with("Local") && within != info.namespace.as_deref() {
        let why = format!("must match metadata.namespace: {}", within.unwrap_or_default());
        let field = "spec.resourceAttributes.namespace";
        let cause = Cause::invalid(field, &json!(within), &why);
        return Err(ApiError::invalid_kind(AUTHORIZATION, kind, "", vec![cause]));
    }
    Ok(Identity::new(user, groups))
}

/// The FieldsV1 of a review's spec: every field that was sent.
fn fields(spec: &Value) -> Value {
    let mut found = json!({});
    for (key, value) in spec.as_object().into_iter().flatten() {
        let mut inner = json!({});
        if value.is_object() {
            inner = fields(value);
            inner["."] = json!({});
        }
        found[format!("f:{key}")] = inner;
    }
    found
}

fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
