//! Who may use a cluster: access entries and the policies they have.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::answer::{EksError, seconds, wire};
use super::shapes::{AccessEntryRequest, AccessEntryUpdate, AccessScope, PolicyRequest, ScopeType};
use super::{Call, check, page};
use crate::Shared;
use crate::state::{AccessEntry, Cluster, ClusterKey, PolicyUse, digest_hex};

const POLICIES: [&str; 8] = [
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSHybridPolicy",
    "AmazonEKSSecretReaderPolicy",
    "AmazonEKSViewPolicy",
];
const KINDS: [&str; 7] = [
    "STANDARD",
    "EC2_LINUX",
    "EC2_WINDOWS",
    "FARGATE_LINUX",
    "EC2",
    "HYBRID_LINUX",
    "HYPERPOD_LINUX",
];
/// Groups that only Kubernetes and EKS may give.
const RESERVED: [&str; 4] = ["system:", "eks:", "aws:", "amazon:"];

/// AWS's own policies belong to nobody's account.
pub(super) fn policy_arn(cluster: &ClusterKey, name: &str) -> String {
    format!("arn:{}:eks::aws:cluster-access-policy/{name}", cluster.partition())
}

pub(super) fn list_policies(call: &Call<'_>) -> Result<Value, EksError> {
    let key = call.key("");
    let policies = POLICIES.iter().map(|name| {
        let arn = policy_arn(&key, name);
        ((*name).to_owned(), json!({ "name": name, "arn": arn }))
    });
    page::page_of(&page::Asked::by(call.query), "accessPolicies", policies.collect())
}

impl AccessEntry {
    /// An entry of a person or a program, without policies.
    pub(crate) fn standard(cluster: &Cluster, principal: &str, now: Timestamp) -> Self {
        let role = principal.contains(":role/");
        Self {
            uid: digest_hex(&format!("{}/{principal}", cluster.uid), 32),
            principal: principal.to_owned(),
            groups: Vec::new(),
            username: if role {
                let parts: Vec<&str> = principal.split(':').collect();
                let name = principal.rsplit('/').next().unwrap_or_default();
                let (partition, account) =
                    (parts.get(1).unwrap_or(&"aws"), parts.get(4).unwrap_or(&""));
                format!("arn:{partition}:sts::{account}:assumed-role/{name}/{{{{SessionName}}}}")
            } else {
                principal.to_owned()
            },
            kind: "STANDARD".to_owned(),
            created_at: now,
            modified_at: now,
            tags: BTreeMap::new(),
            policies: BTreeMap::new(),
            token: None,
        }
    }

    pub(crate) fn with_policy(mut self, arn: String, now: Timestamp) -> Self {
        let scope = AccessScope { kind: Some(ScopeType::Cluster), namespaces: None };
        let used = PolicyUse { scope, associated_at: now, modified_at: now };
        self.policies.insert(arn, used);
        self
    }

    /// What machines of a kind are called, and in which groups they are.
    fn of_kind(mut self, kind: &str) -> Self {
        let (username, groups): (&str, &[&str]) = match kind {
            "EC2_LINUX" => ("system:node:{{EC2PrivateDNSName}}", &["system:nodes"]),
            "EC2_WINDOWS" => {
                ("system:node:{{EC2PrivateDNSName}}", &["system:nodes", "eks:kube-proxy-windows"])
            }
            "FARGATE_LINUX" => (
                "system:node:{{SessionName}}",
                &["system:bootstrappers", "system:nodes", "system:node-proxier"],
            ),
            "STANDARD" => return self,
            _ => ("system:node:{{SessionName}}", &["system:nodes"]),
        };
        username.clone_into(&mut self.username);
        self.groups = groups.iter().map(|group| (*group).to_owned()).collect();
        kind.clone_into(&mut self.kind);
        self
    }
}

impl Cluster {
    /// EKS lets the machines it makes in by itself, once entries count.
    pub(super) fn let_machines_in(&mut self, role: &str, kind: &str, now: Timestamp) {
        if self.request.uses_entries() && !self.entries.contains_key(role) {
            let entry = AccessEntry::standard(self, role, now).of_kind(kind);
            self.entries.insert(role.to_owned(), entry);
        }
    }
}

impl Shared {
    /// A cluster in which entries count.
    async fn with_entries(&self, call: &Call<'_>) -> Result<Cluster, EksError> {
        let cluster = self.existing(call).await?;
        if cluster.request.uses_entries() {
            return Ok(cluster);
        }
        Err(EksError::invalid_request(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this \
             operation.",
        ))
    }

    pub(super) async fn create_entry(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let request: AccessEntryRequest = check::body(call.body)?;
        let mut cluster = self.with_entries(call).await?;
        let principal = request.principal_arn.clone();
        check_principal(&principal)?;
        if let Some(entry) = cluster.entries.get(&principal) {
            if request.client_request_token.is_some() && request.client_request_token == entry.token
            {
                return Ok(describe(&cluster, entry));
            }
            return Err(EksError::in_use(
                "The specified access entry resource is already in use on this cluster.",
            ));
        }
        let kind = request.kind.unwrap_or_else(|| "STANDARD".to_owned());
        if !KINDS.contains(&kind.as_str()) {
            let message = format!("The type {kind} of an access entry does not exist.");
            return Err(EksError::invalid_parameter(message));
        }
        if kind != "STANDARD" && (request.kubernetes_groups.is_some() || request.username.is_some())
        {
            return Err(EksError::invalid_parameter(format!(
                "You cannot specify kubernetesGroups or username for an access entry of type {kind}."
            )));
        }
        let groups = request.kubernetes_groups.unwrap_or_default();
        check_groups(&groups)?;
        let tags = request.tags.unwrap_or_default();
        check::tags(&tags).map_err(EksError::invalid_parameter)?;
        let mut entry =
            AccessEntry::standard(&cluster, &principal, self.clock.now()).of_kind(&kind);
        entry.uid = self.ids.uid();
        entry.groups.extend(groups);
        if let Some(username) = request.username {
            entry.username = username;
        }
        entry.tags = tags;
        entry.token = request.client_request_token;
        let described = describe(&cluster, &entry);
        cluster.entries.insert(principal, entry);
        self.store(&cluster).await?;
        Ok(described)
    }

    pub(super) async fn describe_entry(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.with_entries(call).await?;
        let entry = cluster.entries.get(call.name(1)).ok_or_else(no_entry)?;
        Ok(describe(&cluster, entry))
    }

    pub(super) async fn list_entries(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.with_entries(call).await?;
        let policy = page::parameters(call.query, "associatedPolicyArn").into_iter().next();
        let has = |entry: &AccessEntry| {
            policy.as_ref().is_none_or(|policy| entry.policies.contains_key(policy))
        };
        let entries = cluster.entries.into_values().filter(has);
        page::page(call.query, "accessEntries", entries.map(|entry| entry.principal).collect())
    }

    pub(super) async fn update_entry(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: AccessEntryUpdate = check::body(call.body)?;
        let mut cluster = self.with_entries(call).await?;
        let now = self.clock.now();
        let entry = cluster.entries.get_mut(call.name(1)).ok_or_else(no_entry)?;
        if entry.kind != "STANDARD" {
            let message = format!("An access entry of type {} cannot be updated.", entry.kind);
            return Err(EksError::invalid_request(message));
        }
        if let Some(groups) = update.kubernetes_groups {
            check_groups(&groups)?;
            entry.groups = groups;
        }
        if let Some(username) = update.username {
            entry.username = username;
        }
        entry.modified_at = now;
        self.store(&cluster).await?;
        let entry = cluster.entries.get(call.name(1)).ok_or_else(no_entry)?;
        Ok(describe(&cluster, entry))
    }

    pub(super) async fn delete_entry(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.with_entries(call).await?;
        cluster.entries.remove(call.name(1)).ok_or_else(no_entry)?;
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn associate_policy(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let PolicyRequest { policy_arn, access_scope } = check::body(call.body)?;
        let mut cluster = self.with_entries(call).await?;
        if !POLICIES.iter().any(|name| self::policy_arn(&cluster.key, name) == policy_arn) {
            let message = format!("The policyArn parameter format is not valid: {policy_arn}");
            return Err(EksError::invalid_parameter(message));
        }
        check_scope(&access_scope)?;
        let now = self.clock.now();
        let entry = cluster.entries.get_mut(call.name(1)).ok_or_else(no_entry)?;
        if entry.kind != "STANDARD" {
            let message = format!("Policies are for entries of type STANDARD, not {}.", entry.kind);
            return Err(EksError::invalid_request(message));
        }
        let fresh = PolicyUse { scope: access_scope.clone(), associated_at: now, modified_at: now };
        let used = entry.policies.entry(policy_arn.clone()).or_insert(fresh);
        if used.scope != access_scope {
            (used.scope, used.modified_at) = (access_scope, now);
        }
        let associated = describe_use(&policy_arn, used);
        self.store(&cluster).await?;
        Ok(json!({
            "clusterName": cluster.key.name, "principalArn": call.name(1),
            "associatedAccessPolicy": associated,
        }))
    }

    pub(super) async fn disassociate_policy(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.with_entries(call).await?;
        let entry = cluster.entries.get_mut(call.name(1)).ok_or_else(no_entry)?;
        if entry.policies.remove(call.name(2)).is_none() {
            return Err(EksError::not_found(
                "The specified policyArn could not be found on the access entry.",
            ));
        }
        self.store(&cluster).await?;
        Ok(json!({}))
    }

    pub(super) async fn list_associated(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.with_entries(call).await?;
        let entry = cluster.entries.get(call.name(1)).ok_or_else(no_entry)?;
        let policies =
            entry.policies.iter().map(|(arn, used)| (arn.clone(), describe_use(arn, used)));
        let asked = page::Asked::by(call.query);
        let mut page = page::page_of(&asked, "associatedAccessPolicies", policies.collect())?;
        page["clusterName"] = json!(cluster.key.name);
        page["principalArn"] = json!(entry.principal);
        Ok(page)
    }
}

fn check_principal(arn: &str) -> Result<(), EksError> {
    let parts: Vec<&str> = arn.split(':').collect();
    let formed = matches!(parts.as_slice(), ["arn", _, "iam", "", account, who]
        if account.len() == 12 && (who.starts_with("role/") || who.starts_with("user/")));
    if formed {
        return Ok(());
    }
    let message = format!("The specified principalArn is invalid: invalid principal {arn}.");
    Err(EksError::invalid_parameter(message))
}

fn check_groups(groups: &[String]) -> Result<(), EksError> {
    let reserved =
        |group: &&String| RESERVED.iter().any(|prefix| group.to_lowercase().starts_with(prefix));
    match groups.iter().find(reserved) {
        Some(group) => Err(EksError::invalid_parameter(format!(
            "The kubernetes group name {group} is invalid, it cannot start with system:"
        ))),
        None => Ok(()),
    }
}

fn check_scope(scope: &AccessScope) -> Result<(), EksError> {
    let namespaces = scope.namespaces.as_deref().unwrap_or_default();
    let message = match (scope.kind, namespaces.is_empty()) {
        (Some(ScopeType::Cluster), true) | (Some(ScopeType::Namespace), false) => return Ok(()),
        (None, _) => "accessScope.type is missing.",
        (Some(ScopeType::Cluster), false) => {
            "The type of access scope cluster cannot have namespaces."
        }
        (Some(ScopeType::Namespace), true) => {
            "The type of access scope namespace needs at least one namespace."
        }
    };
    Err(EksError::invalid_parameter(message))
}

fn no_entry() -> EksError {
    EksError::not_found(
        "The specified principalArn could not be found. You can view your available access entries with \
         'list-access-entries'.",
    )
}

fn describe_use(arn: &str, used: &PolicyUse) -> Value {
    json!({
        "policyArn": arn,
        // A scope without namespaces lists none.
        "accessScope": {
            "type": wire(&used.scope.kind),
            "namespaces": used.scope.namespaces.clone().unwrap_or_default(),
        },
        "associatedAt": seconds(used.associated_at),
        "modifiedAt": seconds(used.modified_at),
    })
}

/// An entry as `DescribeAccessEntry` gives it.
fn describe(cluster: &Cluster, entry: &AccessEntry) -> Value {
    json!({ "accessEntry": {
        "clusterName": cluster.key.name,
        "principalArn": entry.principal,
        "kubernetesGroups": entry.groups,
        "accessEntryArn": entry.arn(&cluster.key),
        "createdAt": seconds(entry.created_at),
        "modifiedAt": seconds(entry.modified_at),
        "tags": entry.tags,
        "username": entry.username,
        "type": entry.kind,
    } })
}
