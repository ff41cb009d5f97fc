//! What is told about node pools. Pure.

use fleetwright_api_types::{ConditionStatus as Is, ManagedCluster, ObservedPool};
use fleetwright_names::PoolName;
use fleetwright_plan::{
    CloudAction, CloudStep, KubernetesVersion, Phase, Plan, Seen, SeenPool, Snapshot, Step,
};

/// Codes of what keeps a cloud from giving a pool its nodes: EKS API reference, `Issue.code` of a node group; Azure, "Resolve
/// allocation failures" and the troubleshooting pages of AKS.
const CAPACITY: [&str; 13] = [
    "AsgInstanceLaunchFailures",
    "Ec2InsufficientInstanceCapacity",
    "InstanceLimitExceeded",
    "InsufficientFreeAddresses",
    "Ec2SubnetInsufficientFreeAddresses",
    "UnhealthyCapacity",
    // Part of the names of Azure's other three as well.
    "AllocationFailed",
    "OverconstrainedAllocationRequest",
    "OverconstrainedZonalAllocationRequest",
    "SkuNotAvailable",
    "QuotaExceeded",
    "InsufficientVCPUQuota",
    "InsufficientSubnetSize",
];

/// The pools of the status, sorted by name. What could not be seen stays as it was.
pub(super) fn observed(before: &[ObservedPool], snapshot: &Snapshot) -> Vec<ObservedPool> {
    if matches!(snapshot.cluster, Seen::Unknown { .. }) {
        return before.to_vec();
    }
    let pool = |(name, seen): (&PoolName, &Seen<SeenPool>)| match seen {
        Seen::Present(seen) => Some(ObservedPool {
            name: name.to_string(),
            phase: phase(seen.phase).to_owned(),
            size: seen.size,
            version: Some(seen.version.clone()).filter(|version| !version.is_empty()),
            release: seen.release.clone(),
        }),
        Seen::Unknown { .. } => before.iter().find(|old| old.name == name.as_str()).cloned(),
        Seen::Absent => None,
    };
    snapshot.pools.iter().filter_map(pool).collect()
}

pub(super) const fn phase(phase: Phase) -> &'static str {
    match phase {
        Phase::Creating => "Creating",
        Phase::Active => "Active",
        Phase::Updating => "Updating",
        Phase::Deleting => "Deleting",
        Phase::Failed => "Failed",
    }
}

/// How bad it is with one pool, best first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Available,
    Updating,
    Skewed(String),
    Creating,
    Unknown(String),
    Degraded(&'static str, String),
    Failed(String),
}

/// Whether every declared pool is at size and version: status, reason, message.
pub(super) fn ready(
    cluster: &ManagedCluster,
    snapshot: &Snapshot,
    plan: Option<&Plan>,
) -> (Is, &'static str, String) {
    let declared = &cluster.spec.node_pools;
    if declared.is_empty() {
        return (Is::True, "NoPools", "no node pool is declared".to_owned());
    }
    if let Seen::Unknown { why, .. } = &snapshot.cluster {
        return (Is::Unknown, "NotSeen", why.clone());
    }
    let standings: Vec<(&str, Standing)> = declared
        .iter()
        .map(|pool| (pool.name.as_str(), standing(&pool.name, snapshot, plan)))
        .collect();
    let fine = |standing: &Standing| matches!(standing, Standing::Available | Standing::Updating);
    let count = standings.iter().filter(|(_, standing)| fine(standing)).count();
    let share = format!("pools {count}/{}", declared.len());
    // The first of the worst, so that the message does not jump between equals.
    let worst = standings.iter().rev().max_by(|one, other| one.1.cmp(&other.1));
    let Some((name, worst)) = worst else { return (Is::True, "Available", share) };
    match worst {
        Standing::Available => (Is::True, "Available", share),
        Standing::Updating => (Is::True, "Updating", format!("{share}; {name} is changing")),
        Standing::Skewed(why) => (Is::False, "VersionSkew", format!("{share}; pool {name} {why}")),
        Standing::Creating => {
            (Is::False, "Creating", format!("{share}; pool {name} is not ready yet"))
        }
        Standing::Unknown(why) => (Is::Unknown, "NotSeen", format!("{share}; pool {name}: {why}")),
        Standing::Degraded(reason, why) => {
            (Is::False, reason, format!("{share}; pool {name}: {why}"))
        }
        Standing::Failed(why) => (Is::False, "Failed", format!("{share}; pool {name}: {why}")),
    }
}

/// The best of the pools that stand for a declared one.
fn standing(name: &str, snapshot: &Snapshot, plan: Option<&Plan>) -> Standing {
    let stands = |(own, seen): (&PoolName, &Seen<SeenPool>)| match seen {
        Seen::Present(pool) if pool.stands_for.as_str() == name => {
            Some(of_pool(own, pool, snapshot, plan))
        }
        Seen::Unknown { why, .. } if own.as_str() == name => Some(Standing::Unknown(why.clone())),
        Seen::Present(_) | Seen::Unknown { .. } | Seen::Absent => None,
    };
    snapshot.pools.iter().filter_map(stands).min().unwrap_or(Standing::Creating)
}

fn of_pool(name: &PoolName, pool: &SeenPool, snapshot: &Snapshot, plan: Option<&Plan>) -> Standing {
    match pool.phase {
        Phase::Failed => Standing::Failed(pool.trouble.clone()),
        Phase::Creating | Phase::Deleting => Standing::Creating,
        Phase::Active | Phase::Updating if !pool.trouble.is_empty() => {
            let scarce = CAPACITY.iter().any(|code| pool.trouble.contains(code));
            let reason = if scarce { "CapacityUnavailable" } else { "Degraded" };
            let why = format!("wants {} nodes: {}", pool.size, pool.trouble);
            Standing::Degraded(reason, why)
        }
        Phase::Updating => Standing::Updating,
        Phase::Active => match behind(pool, snapshot) {
            None => Standing::Available,
            Some(_) if follows(name, snapshot, plan) => Standing::Updating,
            Some(control_plane) => Standing::Skewed(format!(
                "runs {}, the control plane {control_plane}",
                pool.version
            )),
        },
    }
}

/// The version of the control plane, if the pool's is older.
fn behind(pool: &SeenPool, snapshot: &Snapshot) -> Option<KubernetesVersion> {
    let version = |text: &str| KubernetesVersion::parse("", text).ok();
    let control_plane = version(&snapshot.cluster.present()?.version)?;
    (version(&pool.version)? < control_plane).then_some(control_plane)
}

/// Whether the pool is on its way to the control plane's version, now or when its turn comes.
fn follows(name: &PoolName, snapshot: &Snapshot, plan: Option<&Plan>) -> bool {
    let walking = snapshot.cluster.present().is_some_and(|seen| seen.phase == Phase::Updating);
    let upgrades = |step: &Step| match step {
        Step::Cloud(CloudStep { resource, action: CloudAction::Update(update), .. }) => {
            update.upgrade.is_some() && *resource == fleetwright_plan::Resource::Pool(name.clone())
        }
        Step::Cloud(_) | Step::Hub(_) | Step::Member(_) => false,
    };
    walking
        || plan.is_some_and(|plan| {
            plan.steps.iter().chain(plan.held.iter().map(|held| &held.step)).any(upgrades)
        })
}

#[cfg(test)]
mod tests {
    use fleetwright_plan::SeenCluster;
    use serde_json::{Value, json};

    use super::*;

    fn cluster(pools: &[&str]) -> ManagedCluster {
        let pools: Vec<Value> =
            pools.iter().map(|name| json!({"name": name, "size": {"min": 3, "max": 6}})).collect();
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"namespace": "shop", "name": "one"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}, "nodePools": pools},
        }))
        .expect("a cluster")
    }

    fn seen(stands_for: &str, version: &str, trouble: &str) -> SeenPool {
        SeenPool {
            tags: [].into(),
            phase: Phase::Active,
            trouble: trouble.into(),
            size: 3,
            stands_for: PoolName::new(stands_for).expect("a name"),
            version: version.into(),
            release: None,
            last_update: None,
            body: Value::Null,
        }
    }

    fn snapshot(pools: &[(&str, SeenPool)]) -> Snapshot {
        let control_plane = SeenCluster {
            external_id: "arn".into(),
            tags: [].into(),
            phase: Phase::Active,
            trouble: String::new(),
            version: "1.34".into(),
            platform_version: None,
            endpoint: None,
            certificate_authority: None,
            oidc_issuer: None,
            last_update: None,
            blockers: None,
            body: Value::Null,
        };
        let pools = pools.iter().map(|(name, pool)| {
            (PoolName::new(*name).expect("a name"), Seen::Present(pool.clone()))
        });
        Snapshot { pools: pools.collect(), ..Snapshot::of(Seen::Present(control_plane)) }
    }

    fn told(declared: &[&str], pools: &[(&str, SeenPool)]) -> String {
        let (is, reason, message) = ready(&cluster(declared), &snapshot(pools), None);
        format!("{is:?}/{reason}: {message}")
    }

    #[test]
    fn a_pool_without_machines_says_what_the_cloud_said() {
        let trouble = "AsgInstanceLaunchFailures: no m7g.xlarge in eu-west-1b";
        assert_eq!(
            told(
                &["general", "web"],
                &[("general", seen("general", "1.34", trouble)), ("web", seen("web", "1.34", ""))]
            ),
            "False/CapacityUnavailable: pools 1/2; pool general: wants 3 nodes: AsgInstanceLaunchFailures: no m7g.xlarge in eu-west-1b"
        );
        assert_eq!(
            told(&["web"], &[("web", seen("web", "1.34", "IamNodeRoleNotFound: gone"))]),
            "False/Degraded: pools 0/1; pool web: wants 3 nodes: IamNodeRoleNotFound: gone"
        );
    }

    #[test]
    fn a_successor_stands_for_the_declared_pool() {
        let old = SeenPool { phase: Phase::Deleting, ..seen("web", "1.34", "") };
        assert_eq!(
            told(&["web"], &[("web", old), ("web-3fa2c1", seen("web", "1.34", ""))]),
            "True/Available: pools 1/1"
        );
        assert_eq!(told(&["web"], &[]), "False/Creating: pools 0/1; pool web is not ready yet");
    }

    #[test]
    fn a_pool_that_stays_behind_the_control_plane_is_skewed() {
        assert_eq!(
            told(&["web"], &[("web", seen("web", "1.33", ""))]),
            "False/VersionSkew: pools 0/1; pool web runs 1.33, the control plane 1.34"
        );
        let rolling = SeenPool { phase: Phase::Updating, ..seen("web", "1.33", "") };
        assert_eq!(
            told(&["web"], &[("web", rolling)]),
            "True/Updating: pools 1/1; web is changing"
        );
    }
}
