//! Where a look is worth more calls: the last change of what differs or changes, what blocks the next version, the newest
//! image of pools that want it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fleetwright_plan::{
    ChangeKind, DesiredCluster, KubernetesVersion, Phase, Resource, Seen, SeenUpdate, Snapshot,
    UpdateState,
};
use fleetwright_provider::CloudError;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::Look;
use crate::config::{IMAGE, IN_WINDOW};
use crate::diff::{LATEST, diff};
use crate::release::parameter;
use crate::{kind, wire};

/// Most blockers that are told.
const BLOCKERS_LIMIT: usize = 10;
/// How many changes are read in one look at one resource; the next look reads on.
const UPDATES_LIMIT: usize = 30;
/// How many changes are kept in mind.
const KNOWN_LIMIT: usize = 10_000;

/// Looks closer at a cluster that shall be as declared.
pub(super) async fn look(look: Look<'_>, desired: &DesiredCluster, snapshot: &mut Snapshot) {
    if let Seen::Present(cluster) = &mut snapshot.cluster {
        let seen = KubernetesVersion::parse("", &cluster.version).ok();
        if let Some(next) = seen.and_then(|seen| seen.next_towards(desired.version)) {
            // No answer is told as such; an upgrade does not wait for advice.
            cluster.blockers = blockers(look, next).await.ok();
        }
    }
    releases(look, desired, snapshot).await;
    let differing: Vec<Differing> = diff(desired, snapshot)
        .into_iter()
        .filter_map(|change| match change.kind {
            ChangeKind::Update(update) => Some((change.resource, update.what)),
            _ => None,
        })
        .collect();
    last_updates(look, snapshot, &differing).await;
}

/// Looks closer at what changes, when nothing is wanted of it any more.
pub(super) async fn updates_under_way(look: Look<'_>, snapshot: &mut Snapshot) {
    last_updates(look, snapshot, &[]).await;
}

/// What differs, and the kind of change that makes it right.
type Differing = (Resource, String);

async fn last_updates(look: Look<'_>, snapshot: &mut Snapshot, differing: &[Differing]) {
    let differs = |resource: &Resource| differing.iter().any(|(other, _)| other == resource);
    if let Seen::Present(cluster) = &mut snapshot.cluster
        && (cluster.phase == Phase::Updating || differs(&Resource::Cluster))
    {
        cluster.last_update = newest(look, &Resource::Cluster, differing).await;
    }
    for (name, seen) in &mut snapshot.pools {
        let resource = Resource::Pool(name.clone());
        if let Seen::Present(pool) = seen
            && (pool.phase == Phase::Updating || differs(&resource))
        {
            pool.last_update = newest(look, &resource, differing).await;
        }
    }
    for (key, seen) in &mut snapshot.parts {
        let resource = Resource::Part(key.clone());
        if let Seen::Present(part) = seen
            && key.kind == kind::ADD_ON
            && (part.phase == Phase::Updating || differs(&resource))
        {
            part.last_update = newest(look, &resource, differing).await;
        }
    }
}

/// Changes that are over, by EKS's id: they stay as they are, so each is read once.
#[derive(Debug, Default)]
pub(crate) struct Updates(Mutex<BTreeMap<String, SeenUpdate>>);

impl Updates {
    fn known(&self, id: &str) -> Option<SeenUpdate> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn keep(&self, update: &SeenUpdate) {
        if update.state == UpdateState::InProgress {
            return;
        }
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KNOWN_LIMIT {
            known.clear();
        }
        known.insert(update.id.clone(), update.clone());
    }
}

/// The newest change of a resource. `None`: there was none, or EKS does not say; the plan goes without.
async fn newest(
    look: Look<'_>,
    resource: &Resource,
    differing: &[Differing],
) -> Option<SeenUpdate> {
    let mut input = json!({"name": look.address.external_name});
    match resource {
        Resource::Cluster => {}
        Resource::Pool(name) => input["nodegroupName"] = json!(name.as_str()),
        Resource::Part(key) => input["addonName"] = json!(key.name),
    }
    let call = look.call("ListUpdates", resource);
    let ids = wire::list(look.client(), &call, (&input, "updateIds")).await.ok()?;
    // EKS promises no order: the newest by date is the one.
    let mut newest: Option<SeenUpdate> = None;
    let mut asked = 0;
    for id in ids.iter().rev() {
        let known = look.updates.known(id.as_str().unwrap_or_default());
        let found = match known {
            Some(known) => known,
            None if asked == UPDATES_LIMIT => continue,
            None => {
                asked += 1;
                input["updateId"] = id.clone();
                let call = look.call("DescribeUpdate", resource);
                let found = wire::find(look.client(), &call, (&input, "update")).await.ok()??;
                let found = seen(&found)?;
                look.updates.keep(&found);
                found
            }
        };
        if newest.as_ref().is_none_or(|known| known.at < found.at) {
            newest = Some(found);
        }
    }
    let mut newest = newest?;
    let of_this = differing.iter().filter(|(other, _)| other == resource);
    if let Some(word) = fitting(resource, &newest.what, of_this.map(|(_, what)| what.as_str())) {
        word.clone_into(&mut newest.what);
    }
    Some(newest)
}

/// The difference that a change was about, as far as EKS's record of it tells: every roll of a group names a version, and
/// so does every change of an add-on that has one.
fn fitting<'a>(
    resource: &Resource,
    what: &str,
    differing: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    let alike: &[&str] = match resource {
        Resource::Cluster => &[],
        Resource::Pool(_) => &["version", "launch-template", "image"],
        Resource::Part(_) => &["version", "configuration", "role"],
    };
    if !alike.contains(&what) {
        return None;
    }
    differing.into_iter().find(|word| alike.contains(word))
}

fn seen(update: &Value) -> Option<SeenUpdate> {
    let state = match update["status"].as_str()? {
        "InProgress" => UpdateState::InProgress,
        "Successful" => UpdateState::Successful,
        "Failed" => UpdateState::Failed,
        "Cancelled" => UpdateState::Cancelled,
        _ => return None,
    };
    let errors = update["errors"].as_array().into_iter().flatten();
    let told = errors.map(|error| {
        let code = error["errorCode"].as_str().unwrap_or("Unknown");
        format!("{code}: {}", error["errorMessage"].as_str().unwrap_or("no message"))
    });
    Some(SeenUpdate {
        id: update["id"].as_str()?.to_owned(),
        what: what(update).to_owned(),
        state,
        trouble: told.collect::<Vec<_>>().join("; "),
        at: instant(&update["createdAt"])?,
    })
}

/// EKS's type of a change in the words of the diff.
fn what(update: &Value) -> &'static str {
    let has = |name: &str| {
        let params = update["params"].as_array().into_iter().flatten();
        params.into_iter().any(|param| param["type"] == name)
    };
    match update["type"].as_str().unwrap_or_default() {
        // Of node groups: a newer release without a newer version is an image.
        "VersionUpdate" if has("Version") || !has("ReleaseVersion") => "version",
        "VersionUpdate" if has("LaunchTemplateVersion") => "launch-template",
        "VersionUpdate" => "image",
        "EndpointAccessUpdate" => "endpoint",
        "VpcConfigUpdate" => "network",
        "LoggingUpdate" => "logging",
        "AccessConfigUpdate" => "access",
        "UpgradePolicyUpdate" => "support",
        "AssociateEncryptionConfig" => "encryption",
        "AutoModeUpdate" => "auto-mode",
        "ZonalShiftConfigUpdate" => "patch:zonalShiftConfig",
        "RemoteNetworkConfigUpdate" => "patch:remoteNetworkConfig",
        "DeletionProtectionUpdate" => "patch:deletionProtection",
        "ControlPlaneScalingConfigUpdate" => "patch:controlPlaneScalingConfig",
        "ControlPlaneEgressUpdate" => "patch:resourcesVpcConfig",
        "ConfigUpdate" => "config",
        "AddonUpdate" if has("AddonVersion") => "version",
        "AddonUpdate" if has("ConfigurationValues") => "configuration",
        "AddonUpdate" => "role",
        _ => "other",
    }
}

/// EKS writes instants as seconds since the epoch, with a fraction.
fn instant(value: &Value) -> Option<Timestamp> {
    if let Some(text) = value.as_str() {
        return text.parse().ok();
    }
    let seconds = value.as_f64()?;
    #[allow(clippy::cast_possible_truncation, reason = "milliseconds of our age fit i64 by far")]
    Timestamp::from_millisecond((seconds * 1000.0).round() as i64).ok()
}

/// What EKS's upgrade insights say against the next version.
async fn blockers(look: Look<'_>, next: KubernetesVersion) -> Result<Vec<String>, CloudError> {
    let call = look.call("ListInsights", &Resource::Cluster);
    let input = json!({
        "clusterName": look.address.external_name,
        "filter": {
            "categories": ["UPGRADE_READINESS"],
            "kubernetesVersions": [next.to_string()],
            "statuses": ["ERROR"],
        },
    });
    let insights = wire::list(look.client(), &call, (&input, "insights")).await?;
    let told = insights.iter().filter(|insight| insight["insightStatus"]["status"] == "ERROR");
    let mut told: Vec<String> = told
        .map(|insight| {
            let name = insight["name"].as_str().unwrap_or("an insight without a name");
            match insight["insightStatus"]["reason"].as_str() {
                Some(reason) => format!("{name}: {reason}"),
                None => name.to_owned(),
            }
        })
        .collect();
    told.sort();
    told.truncate(BLOCKERS_LIMIT);
    Ok(told)
}

/// Notes the newest image on the groups of pools that want it.
async fn releases(look: Look<'_>, desired: &DesiredCluster, snapshot: &mut Snapshot) {
    for seen in snapshot.pools.values_mut() {
        let Seen::Present(pool) = seen else { continue };
        let wants = desired
            .pools
            .iter()
            .any(|declared| declared.name == pool.stands_for && declared.body[IMAGE] == IN_WINDOW);
        let Ok(version) = KubernetesVersion::parse("", &pool.version) else { continue };
        let kind = pool.body["amiType"].as_str().unwrap_or_default();
        let Some(name) = parameter(kind, &version.to_string()).filter(|_| wants) else { continue };
        match look.releases.latest(look.session, look.settings, &name).await {
            Ok(latest) => pool.body[LATEST] = json!(latest),
            // Without an answer nothing is rolled; the next look asks again.
            Err(error) => tracing::debug!(%error, "the newest image is not known"),
        }
    }
}

#[cfg(test)]
mod tests {
    use fleetwright_names::PoolName;

    use super::*;

    #[test]
    fn a_roll_that_failed_is_told_as_the_one_that_is_wanted() {
        let pool = Resource::Pool(PoolName::new("a").expect("a name"));
        let fits =
            |what, differing: &[&'static str]| fitting(&pool, what, differing.iter().copied());
        assert_eq!(fits("version", &["config", "image"]), Some("image"));
        assert_eq!(fits("version", &["config"]), None);
        assert_eq!(fits("config", &["config", "image"]), None, "it has a name of its own");
        let words = ["version"].into_iter();
        assert_eq!(fitting(&Resource::Cluster, "version", words), None);
    }
}
