//! Where a look is worth more calls: the way to the cluster's API, work that goes on, what blocks the next version, the
//! newest image of pools that want it.

use fleetwright_plan::{
    DesiredCluster, KubernetesVersion, Phase, Resource, Seen, SeenCluster, SeenUpdate, Snapshot,
    UpdateState,
};
use fleetwright_provider::CloudError;
use serde_json::{Value, json};

use super::Look;
use crate::config::{IMAGE, IN_WINDOW};
use crate::diff::LATEST;
use crate::wire::{self, Ask};

/// Notes the URL and certificate authority of the cluster's API. Without them the API cannot be reached, which is told as
/// trouble: the rest of what was seen stays true.
pub(super) async fn way(look: Look<'_>, cluster: &mut SeenCluster) {
    if cluster.endpoint.is_none() {
        return;
    }
    let members = &look.session.members;
    let asked = members.way(look.arm(), look.address, (&cluster.body, look.since));
    match asked.await {
        Ok((server, authority)) => {
            cluster.endpoint = Some(server);
            cluster.certificate_authority = Some(authority);
        }
        Err(error) => {
            look.patience.note(&error);
            if !cluster.trouble.is_empty() {
                cluster.trouble.push_str("; ");
            }
            cluster.trouble.push_str(&error.to_string());
        }
    }
}

/// Looks closer at a cluster that shall be as declared.
pub(super) async fn look(look: Look<'_>, desired: &DesiredCluster, snapshot: &mut Snapshot) {
    if let Seen::Present(cluster) = &mut snapshot.cluster {
        let seen = KubernetesVersion::parse("", &cluster.version).ok();
        if let Some(next) = seen.and_then(|seen| seen.next_towards(desired.version)) {
            // No answer is told as such; an upgrade does not wait for advice.
            let found = blockers(look, next).await;
            cluster.blockers = found.inspect_err(|error| look.patience.note(error)).ok();
        }
    }
    images(look, desired, snapshot).await;
}

/// Notes on everything the last work that we began on it, as it stands now.
pub(super) async fn operations(look: Look<'_>, snapshot: &mut Snapshot) {
    if let Seen::Present(cluster) = &mut snapshot.cluster {
        let last = last(look, &Resource::Cluster, cluster.phase).await;
        because(&mut cluster.trouble, last.as_ref());
        cluster.last_update = last;
    }
    for (name, seen) in &mut snapshot.pools {
        if let Seen::Present(pool) = seen {
            let last = last(look, &Resource::Pool(name.clone()), pool.phase).await;
            because(&mut pool.trouble, last.as_ref());
            pool.last_update = last;
        }
    }
}

async fn last(look: Look<'_>, resource: &Resource, phase: Phase) -> Option<SeenUpdate> {
    let call = look.call("Operations_Get", resource);
    let is_busy = matches!(phase, Phase::Creating | Phase::Updating | Phase::Deleting);
    let last = look.session.operations.last(look.arm(), &call, (is_busy, look.since)).await?;
    // Azure's own account of the thing is newer than the last time that the work told how it goes.
    let stale = last.state == UpdateState::InProgress && phase == Phase::Failed;
    (!stale).then_some(last)
}

/// Where Azure gave no reason with the thing itself, the work may have given one.
fn because(trouble: &mut String, last: Option<&SeenUpdate>) {
    let Some(last) = last.filter(|last| !last.trouble.is_empty()) else { return };
    if trouble.ends_with("and Azure gives no reason") {
        last.trouble.clone_into(trouble);
    }
}

/// What AKS says against the next version: that it does not offer it.
async fn blockers(look: Look<'_>, next: KubernetesVersion) -> Result<Vec<String>, CloudError> {
    let call = look.call("ManagedClusters_GetUpgradeProfile", &Resource::Cluster);
    let answer = wire::send(look.arm(), &call, Ask::default()).await?;
    let profile = &answer.body["properties"]["controlPlaneProfile"];
    let offered: Vec<&str> = profile["upgrades"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|each| each["kubernetesVersion"].as_str())
        .collect();
    let is_next = |version: &&str| KubernetesVersion::parse("", version).is_ok_and(|v| v == next);
    if offered.iter().any(is_next) {
        return Ok(Vec::new());
    }
    let mut offered: Vec<String> = offered.into_iter().map(str::to_owned).collect();
    offered.sort();
    let offered = if offered.is_empty() { "nothing".to_owned() } else { offered.join(", ") };
    Ok(vec![format!("AKS does not offer {next} to this cluster; it offers {offered}")])
}

/// Notes the newest image on the pools that want it.
async fn images(look: Look<'_>, desired: &DesiredCluster, snapshot: &mut Snapshot) {
    for (name, seen) in &mut snapshot.pools {
        let Seen::Present(pool) = seen else { continue };
        let wants = desired
            .pools
            .iter()
            .any(|declared| declared.name == pool.stands_for && declared.body[IMAGE] == IN_WINDOW);
        if !wants || Look::is_half(pool) {
            continue;
        }
        let resource = Resource::Pool(name.clone());
        let call = look.call("AgentPools_GetUpgradeProfile", &resource);
        match wire::send(look.arm(), &call, Ask::default()).await {
            Ok(answer) => {
                let latest = &answer.body["properties"]["latestNodeImageVersion"];
                if let Value::String(latest) = latest {
                    pool.body[LATEST] = json!(latest);
                }
            }
            // Without an answer nothing is rolled; the next look asks again.
            Err(error) => {
                look.patience.note(&error);
                tracing::debug!(%error, "the newest image is not known");
            }
        }
    }
}
