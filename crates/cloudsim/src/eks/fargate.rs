//! Fargate profiles: one at a time comes or goes.

use serde_json::{Value, json};

use super::answer::{EksError, seconds, wire};
use super::shapes::FargateRequest;
use super::{Call, check, page};
use crate::Shared;
use crate::state::{Cluster, FargateProfile, Phase};

const MAX_SELECTORS: usize = 5;

impl Shared {
    pub(super) async fn create_profile(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut request: FargateRequest = check::body(call.body)?;
        let name = request.fargate_profile_name.clone();
        request.check()?;
        let mut cluster = self.existing(call).await?;
        if let Some(profile) = cluster.fargate.get(&name) {
            let same = request.client_request_token.is_some()
                && request.client_request_token == profile.request.client_request_token;
            if same && !profile.phase.is_deleting() {
                return Ok(describe(&cluster, profile));
            }
            return Err(EksError::in_use(
                "A Fargate Profile already exists with this name in this cluster.",
            ));
        }
        if cluster.phase != Phase::Active {
            let message = format!("Cluster '{}' is not in ACTIVE status", cluster.key.name);
            return Err(EksError::invalid_request(message));
        }
        refuse_while_moving(&cluster, "create", &name)?;
        let now = self.clock.now();
        let profile = FargateProfile {
            uid: self.ids.uid(),
            created_at: now,
            phase: Phase::Creating { due: self.due_in(self.settings.latencies.small_parts) },
            tags: request.tags.take().unwrap_or_default(),
            request,
        };
        cluster.let_machines_in(&profile.request.pod_execution_role_arn, "FARGATE_LINUX", now);
        let described = describe(&cluster, &profile);
        cluster.fargate.insert(name, profile);
        self.store(&cluster).await?;
        Ok(described)
    }

    pub(super) async fn describe_profile(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        let name = call.name(1);
        let profile = cluster.fargate.get(name).ok_or_else(|| missing(name))?;
        Ok(describe(&cluster, profile))
    }

    pub(super) async fn list_profiles(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let cluster = self.existing(call).await?;
        page::page(call.query, "fargateProfileNames", cluster.fargate.into_keys().collect())
    }

    pub(super) async fn delete_profile(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let mut cluster = self.existing(call).await?;
        let name = call.name(1);
        if !cluster.fargate.contains_key(name) {
            return Err(missing(name));
        }
        refuse_while_moving(&cluster, "delete", name)?;
        let due = self.due_in(self.settings.latencies.small_parts);
        let profile = cluster.fargate.get_mut(name).ok_or_else(|| missing(name))?;
        profile.phase = Phase::Deleting { due };
        self.store(&cluster).await?;
        let profile = cluster.fargate.get(name).ok_or_else(|| missing(name))?;
        Ok(describe(&cluster, profile))
    }
}

impl FargateRequest {
    fn check(&self) -> Result<(), EksError> {
        let refused = |message: String| Err(EksError::invalid_parameter(message));
        check::role(&self.pod_execution_role_arn)?;
        let name = &self.fargate_profile_name;
        if name.is_empty() || name.starts_with("eks-") {
            return refused(format!(
                "The provided Fargate profile name '{name}' must not be empty or start with 'eks-'."
            ));
        }
        // None: the private subnets of the cluster.
        check::subnets(self.subnets.as_deref().unwrap_or_default(), 0)?;
        let selectors = self.selectors.as_deref().unwrap_or_default();
        if selectors.is_empty() || selectors.len() > MAX_SELECTORS {
            return refused(format!("A Fargate profile has 1 to {MAX_SELECTORS} selectors."));
        }
        if selectors.iter().any(|selector| selector.namespace.as_deref().unwrap_or("").is_empty()) {
            return refused("Every selector of a Fargate profile needs a namespace.".to_owned());
        }
        let tags = self.tags.clone().unwrap_or_default();
        check::tags(&tags).map_err(EksError::invalid_parameter)
    }
}

fn refuse_while_moving(cluster: &Cluster, verb: &str, name: &str) -> Result<(), EksError> {
    let mut profiles = cluster.fargate.values();
    match profiles.find(|profile| profile.phase.is_moving()) {
        Some(moving) => Err(EksError::in_use(format!(
            "Cannot {verb} Fargate Profile {name} because cluster {} currently has Fargate profile {} in status {}",
            cluster.key.name,
            moving.request.fargate_profile_name,
            moving.phase.as_str()
        ))),
        None => Ok(()),
    }
}

fn missing(name: &str) -> EksError {
    EksError::not_found(format!("No Fargate Profile found with name: {name}."))
}

/// A profile as `DescribeFargateProfile` gives it.
fn describe(cluster: &Cluster, profile: &FargateProfile) -> Value {
    let request = &profile.request;
    let subnets = &cluster.request.resources_vpc_config.subnet_ids;
    json!({ "fargateProfile": {
        "fargateProfileName": request.fargate_profile_name,
        "fargateProfileArn": profile.arn(&cluster.key),
        "clusterName": cluster.key.name,
        "createdAt": seconds(profile.created_at),
        "podExecutionRoleArn": request.pod_execution_role_arn,
        "subnets": request.subnets.clone().or_else(|| subnets.clone()).unwrap_or_default(),
        "selectors": wire(&request.selectors.clone().unwrap_or_default()),
        "status": profile.phase.as_str(),
        "tags": profile.tags,
        "health": { "issues": [] },
    } })
}
