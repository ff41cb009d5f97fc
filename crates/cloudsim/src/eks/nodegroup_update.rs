//! Changes of node groups: sizes, labels, taints; versions and images.

use std::ops::ControlFlow;

use serde_json::{Value, json};

use super::answer::{EksError, wire};
use super::shapes::{
    LabelChanges, NodegroupConfigUpdate, NodegroupVersionUpdate, Scaling, Taint, TaintChanges,
};
use super::updates::Wanted;
use super::{Call, check, releases};
use crate::Shared;
use crate::state::{Change, Cluster, Nodegroup, Target, with_values};

/// What an update says about itself, and what it sets.
#[derive(Default)]
struct Parts {
    params: Vec<(&'static str, String)>,
    values: Vec<(String, Value)>,
}

impl Parts {
    fn param(&mut self, name: &'static str, value: &Value) {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        self.params.push((name, text));
    }

    fn set(&mut self, path: &str, value: Value) {
        self.values.push((path.to_owned(), value));
    }
}

impl Shared {
    /// The cluster of the node group that a call names, and that group as a target; or, if the same call came before,
    /// what it began.
    async fn to_update(
        &self,
        call: &Call<'_>,
        token: Option<&str>,
    ) -> Result<ControlFlow<Value, (Cluster, Target)>, EksError> {
        let cluster = self.existing(call).await?;
        group(&cluster, call)?;
        let target = Target::Nodegroup(call.name(1).to_owned());
        if let Some(known) = cluster.repeated(&target, token) {
            return Ok(ControlFlow::Break(known.describe()));
        }
        Ok(ControlFlow::Continue((cluster, target)))
    }

    pub(super) async fn update_nodegroup_config(&self, call: &Call<'_>) -> Result<Value, EksError> {
        let update: NodegroupConfigUpdate = check::body(call.body)?;
        let token = update.client_request_token.clone();
        let (cluster, target) = match self.to_update(call, token.as_deref()).await? {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(known) => return Ok(known),
        };
        let group = group(&cluster, call)?;
        let parts = config_parts(group, update)?;
        if parts.values.is_empty() {
            let message = "No changes needed for the nodegroup config provided";
            return Err(EksError::invalid_parameter(message));
        }
        let changed = with_values(&group.request, &parts.values);
        changed.map_err(EksError::invalid_parameter)?.check()?;
        let wanted = Wanted {
            kind: "ConfigUpdate",
            target,
            params: parts.params,
            change: Change { values: parts.values, ..Change::default() },
            latency: self.settings.latencies.pool_update,
            token,
        };
        self.begin_update(call, cluster, wanted).await
    }

    pub(super) async fn update_nodegroup_version(
        &self,
        call: &Call<'_>,
    ) -> Result<Value, EksError> {
        let update: NodegroupVersionUpdate = check::body(call.body)?;
        let token = update.client_request_token.clone();
        let (cluster, target) = match self.to_update(call, token.as_deref()).await? {
            ControlFlow::Continue(found) => found,
            ControlFlow::Break(known) => return Ok(known),
        };
        let group = group(&cluster, call)?;
        let latest = self.latest_release().await?;
        let mut parts = Parts::default();
        let version = next_version(&cluster, group, update.version)?;
        let release = next_release(group, &version, update.release_version, latest)?;
        parts.param("Version", &json!(version));
        parts.param("ReleaseVersion", &json!(release));
        if let Some(template) = update.launch_template {
            let Some(before) = &group.request.launch_template else {
                return Err(EksError::invalid_parameter(
                    "Cannot update the launch template of a node group that was made without one.",
                ));
            };
            if (&template.id, &template.name) != (&before.id, &before.name) {
                let message =
                    "The launch template must be the one that the node group was made with.";
                return Err(EksError::invalid_parameter(message));
            }
            if template.version != before.version {
                parts.param("LaunchTemplateVersion", &json!(template.version));
                parts.set("launchTemplate.version", json!(template.version));
            }
        }
        let wanted = Wanted {
            kind: "VersionUpdate",
            target,
            params: parts.params,
            change: Change { values: parts.values, version: Some(version), release: Some(release) },
            latency: self.settings.latencies.pool_update,
            token,
        };
        self.begin_update(call, cluster, wanted).await
    }
}

fn group<'a>(cluster: &'a Cluster, call: &Call<'_>) -> Result<&'a Nodegroup, EksError> {
    let name = call.name(1);
    cluster.nodegroups.get(name).ok_or_else(|| EksError::no_nodegroup(name))
}

/// What of a request differs from how the group is.
fn config_parts(group: &Nodegroup, update: NodegroupConfigUpdate) -> Result<Parts, EksError> {
    let NodegroupConfigUpdate {
        labels,
        taints,
        scaling_config,
        update_config,
        node_repair_config,
        client_request_token: _,
    } = update;
    let mut parts = Parts::default();
    if let Some(scaling) = scaling_config {
        scale(&mut parts, group, &scaling);
    }
    if let Some(changes) = labels {
        relabel(&mut parts, group, changes);
    }
    if let Some(changes) = taints {
        retaint(&mut parts, group, changes)?;
    }
    if let Some(pace) =
        update_config.filter(|pace| group.request.update_config.as_ref() != Some(pace))
    {
        if let Some(count) = pace.max_unavailable {
            parts.param("MaxUnavailable", &json!(count));
        }
        if let Some(share) = pace.max_unavailable_percentage {
            parts.param("MaxUnavailablePercentage", &json!(share));
        }
        parts.set("updateConfig", wire(&pace));
    }
    let repair =
        node_repair_config.filter(|to| group.request.node_repair_config.as_ref() != Some(to));
    if let Some(repair) = repair {
        parts.param("NodeRepairConfig", &wire(&repair));
        parts.set("nodeRepairConfig", wire(&repair));
    }
    Ok(parts)
}

fn scale(parts: &mut Parts, group: &Nodegroup, to: &Scaling) {
    let now = group.request.scaling();
    let sizes = [
        ("MinSize", "minSize", now.min_size, to.min_size),
        ("MaxSize", "maxSize", now.max_size, to.max_size),
        ("DesiredSize", "desiredSize", now.desired_size, to.desired_size),
    ];
    let differs = sizes.iter().any(|(_, _, now, to)| to.is_some_and(|to| to != *now));
    for (param, field, now, to) in sizes {
        if let Some(to) = to {
            parts.param(param, &json!(to));
        }
        if differs {
            parts.set(&format!("scalingConfig.{field}"), json!(to.unwrap_or(now)));
        }
    }
}

fn relabel(parts: &mut Parts, group: &Nodegroup, changes: LabelChanges) {
    let before = group.request.labels.clone().unwrap_or_default();
    let mut labels = before.clone();
    if let Some(add) = changes.add_or_update_labels {
        parts.param("LabelsToAdd", &json!(add));
        labels.extend(add);
    }
    if let Some(remove) = changes.remove_labels {
        labels.retain(|key, _| !remove.contains(key));
        parts.param("LabelsToRemove", &json!(remove));
    }
    if labels != before {
        parts.values.push(("labels".to_owned(), json!(labels)));
    }
}

fn retaint(parts: &mut Parts, group: &Nodegroup, changes: TaintChanges) -> Result<(), EksError> {
    let before = group.request.taints.clone().unwrap_or_default();
    let mut taints = before.clone();
    let same = |a: &Taint, b: &Taint| a.key == b.key && a.effect == b.effect;
    if let Some(remove) = changes.remove_taints {
        if let Some(missing) = remove.iter().find(|one| !before.iter().any(|old| same(one, old))) {
            return Err(EksError::invalid_parameter(format!(
                "The taint '{}' cannot be removed: the node group does not have it.",
                missing.key
            )));
        }
        taints.retain(|taint| !remove.iter().any(|gone| same(gone, taint)));
        parts.param("TaintsToRemove", &wire(&remove));
    }
    if let Some(add) = changes.add_or_update_taints {
        taints.retain(|taint| !add.iter().any(|new| same(new, taint)));
        parts.param("TaintsToAdd", &wire(&add));
        taints.extend(add);
    }
    if taints != before {
        parts.set("taints", wire(&taints));
    }
    Ok(())
}

/// Forward only, and never beyond the control plane.
fn next_version(
    cluster: &Cluster,
    group: &Nodegroup,
    wanted: Option<String>,
) -> Result<String, EksError> {
    let wanted = wanted.unwrap_or_else(|| group.version.clone());
    let next = check::version(&wanted)?;
    if next > check::version(&cluster.version)? {
        return Err(EksError::invalid_parameter(format!(
            "Requested Nodegroup version {wanted} is newer than the cluster's {}",
            cluster.version
        )));
    }
    if next < check::version(&group.version)? {
        return Err(EksError::invalid_parameter(format!(
            "Nodegroup Kubernetes version {wanted} is older than the current version {}",
            group.version
        )));
    }
    Ok(wanted)
}

/// Forward only, and only what has come out.
fn next_release(
    group: &Nodegroup,
    version: &str,
    wanted: Option<String>,
    latest: u32,
) -> Result<String, EksError> {
    let ami = group.request.ami_type();
    let Some(wanted) = wanted else {
        return Ok(releases::name(ami, version, latest));
    };
    releases::check(ami, version, &wanted, latest)?;
    let number = |release: &str| releases::number(ami, version, release, latest);
    if version == group.version && number(&wanted) < number(&group.release) {
        return Err(EksError::invalid_parameter(format!(
            "Requested release version {wanted} is older than the current one, {}.",
            group.release
        )));
    }
    Ok(wanted)
}
