//! Drift: what differs although the last generation was applied, so somebody else changed it. Pure.
//!
//! The condition `DriftFree` remembers for us: once it is True or False for a generation, that generation was whole once,
//! and whatever differs since then is drift. Before that a difference is only work to be done. An edit of the ProviderConfig
//! (its default tags) is an edit as well.

use std::collections::BTreeSet;

use fleetwright_api_types::{
    Condition, ConditionStatus as Is, ConditionType as Type, Drift, ManagedCluster,
};
use fleetwright_plan::{CloudAction, CloudStep, Difference, Plan, Resource, Seen, Snapshot, Step};
use fleetwright_reconcile::Conditions;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// So many repairs within [`SOON`] mean that somebody fights us.
const REPAIRS: usize = 3;
/// See [`REPAIRS`].
const SOON: SignedDuration = SignedDuration::from_mins(10);
/// Then we repair no more often than this.
const TRUCE: SignedDuration = SignedDuration::from_hours(1);
/// The status names no more fields than this.
const NAMED: usize = 20;

/// The repairing step was done, and we wait to see the field as declared.
const REPAIRED: &str = "DriftRepaired";

/// Until when nothing is repaired because somebody changes back what we repair.
pub(super) fn contested_until(cluster: &ManagedCluster) -> Option<Timestamp> {
    let status = cluster.status.as_ref()?;
    // A new generation is a new wish, and nobody has fought that yet.
    let same = status.observed_generation == cluster.metadata.generation;
    let repairs: Vec<Timestamp> =
        status.drift.as_ref().filter(|_| same)?.repairs.iter().map(|time| time.0).collect();
    truce(&repairs)
}

fn truce(repairs: &[Timestamp]) -> Option<Timestamp> {
    let [.., first, middle, last] = repairs else { return None };
    let (early, late) = (middle.duration_since(*first), last.duration_since(*middle));
    // A repair right after a truce that was undone before the next one belongs to the same fight.
    let after_truce = |gap: SignedDuration| gap >= TRUCE && gap <= TRUCE + SOON;
    let fight =
        early + late <= SOON || ((early <= SOON || after_truce(early)) && after_truce(late));
    fight.then(|| last.checked_add(TRUCE).ok()).flatten()
}

/// What one reconcile saw of drift.
pub(super) struct Seeing<'a> {
    pub(super) cluster: &'a ManagedCluster,
    pub(super) snapshot: &'a Snapshot,
    pub(super) plan: &'a Plan,
    /// Indexes of the plan's steps that were done.
    pub(super) done: &'a [usize],
    pub(super) now: Timestamp,
    /// Object or account were edited since the last look: what differs is our own change.
    pub(super) edited: bool,
}

/// Sets `DriftFree` and gives what the status says of drift from now on.
pub(super) fn tell(seeing: &Seeing<'_>, conditions: &mut Conditions) -> Option<Drift> {
    let before = seeing.cluster.status.as_ref().and_then(|status| status.drift.clone());
    if matches!(seeing.snapshot.cluster, Seen::Unknown { .. }) {
        return unseen(seeing.edited, before, conditions);
    }
    let generation = seeing.cluster.metadata.generation;
    let was = conditions.get(Type::DriftFree).cloned();
    let compared = was.filter(|was| {
        !seeing.edited && was.observed_generation == generation && was.status != Is::Unknown
    });
    let before = before.unwrap_or_default();
    match compared {
        Some(was) => Some(drifted(seeing, &was, before, conditions)),
        None => Some(first(seeing, conditions)),
    }
    .filter(|drift| *drift != Drift::default())
}

/// The world could not be compared. That an edit came in between must not be forgotten over it.
pub(super) fn unseen(
    edited: bool,
    before: Option<Drift>,
    conditions: &mut Conditions,
) -> Option<Drift> {
    if edited && conditions.get(Type::DriftFree).is_some() {
        applying(conditions);
        return None;
    }
    conditions.expect(Type::DriftFree);
    before
}

fn applying(conditions: &mut Conditions) {
    let message = "the last edit is not applied yet";
    conditions.set(Type::DriftFree, Is::Unknown, "Applying", message);
}

/// Not yet whole since the last edit, or whole for the first time.
fn first(seeing: &Seeing<'_>, conditions: &mut Conditions) -> Drift {
    let ignored = named(&seeing.plan.ignored);
    let type_ = Type::DriftFree;
    if !seeing.plan.is_settled() {
        applying(conditions);
        return Drift::default();
    }
    if ignored.is_empty() {
        conditions.set(type_, Is::True, "NoDrift", "as declared");
    } else {
        conditions.set(type_, Is::False, "DriftDetected", text(&seeing.plan.ignored));
    }
    Drift { fields: ignored, repairs: Vec::new() }
}

fn drifted(
    seeing: &Seeing<'_>,
    was: &Condition,
    before: Drift,
    conditions: &mut Conditions,
) -> Drift {
    let type_ = Type::DriftFree;
    let found = differences(seeing.plan);
    let Drift { fields, mut repairs } = before;
    if found.is_empty() {
        if was.reason == REPAIRED {
            repairs.push(Time(seeing.now));
            let excess = repairs.len().saturating_sub(REPAIRS);
            repairs.drain(..excess);
        }
        conditions.set(type_, Is::True, "NoDrift", "as declared");
        return Drift { fields: Vec::new(), repairs };
    }
    let now = named(&found);
    let steps = seeing.done.iter().filter_map(|number| seeing.plan.steps.get(*number));
    let acted = steps.into_iter().any(|step| !of_step(step).is_empty());
    // What was sent takes a while to show; something new beside it is found anew.
    let waiting = was.reason == REPAIRED && now.iter().all(|field| fields.contains(field));
    let pending = seeing.plan.steps.iter().any(|step| !of_step(step).is_empty());
    let times: Vec<Timestamp> = repairs.iter().map(|time| time.0).collect();
    if acted || (waiting && !pending) {
        conditions.set(type_, Is::False, REPAIRED, format!("set back: {}", text(&found)));
    } else if let Some(until) = truce(&times).filter(|until| *until > seeing.now) {
        let message = format!(
            "somebody changes back what we repair; the next repair is not before {until}: {}",
            text(&found)
        );
        conditions.set(type_, Is::False, "Contested", message);
    } else {
        conditions.set(type_, Is::False, "DriftDetected", text(&found));
    }
    Drift { fields: now, repairs }
}

/// Everything that differs, whether it will be made right or not: fields, and what is missing altogether. Newer versions
/// and node images are not among it, nor what the cloud itself gave up half-way; nobody changed those.
fn differences(plan: &Plan) -> Vec<Difference> {
    let held = plan.held.iter().map(|held| &held.step);
    let mut found: Vec<Difference> = plan.steps.iter().chain(held).flat_map(of_step).collect();
    found.extend(plan.ignored.iter().cloned());
    found.sort();
    found.dedup();
    found
}

fn of_step(step: &Step) -> Vec<Difference> {
    let Step::Cloud(CloudStep { action, resource, replaces, .. }) = step else {
        return Vec::new();
    };
    match action {
        CloudAction::Update(update)
            if update.upgrade.is_some() || OUR_OWN.contains(&update.what.as_str()) =>
        {
            Vec::new()
        }
        CloudAction::Create { .. } if replaces.is_none() => vec![Difference {
            field: match resource {
                Resource::Cluster => "the control plane".to_owned(),
                Resource::Pool(pool) => format!("spec.nodePools[{pool}]"),
                Resource::Part(key) => key.to_string(),
            },
            declared: "present".to_owned(),
            found: "absent".to_owned(),
        }],
        CloudAction::Update(_) | CloudAction::Create { .. } => {
            step.differences().unwrap_or_default().to_vec()
        }
        CloudAction::Claim { .. } | CloudAction::Delete | CloudAction::Release => Vec::new(),
    }
}

/// [`fleetwright_plan::Update::what`] of work that nobody else brought about: a newer node image; taking up again what the cloud
/// gave up half-way; on hosts what ends by itself (`certificates`, `token`) and what is half done (`drain`, `uncordon`, `install`).
const OUR_OWN: [&str; 7] =
    ["image", "repair", "certificates", "token", "drain", "uncordon", "install"];

fn named(differences: &[Difference]) -> Vec<String> {
    let fields: BTreeSet<&String> = differences.iter().map(|one| &one.field).collect();
    fields.into_iter().take(NAMED).cloned().collect()
}

fn text(differences: &[Difference]) -> String {
    let one =
        |one: &Difference| format!("{}: declared {}, found {}", one.field, one.declared, one.found);
    differences.iter().map(one).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
    use fleetwright_plan::{Address, Update};
    use serde_json::Value;

    use super::*;

    fn minutes(all: &[i64]) -> Vec<Timestamp> {
        all.iter().map(|minute| Timestamp::from_second(minute * 60).expect("a time")).collect()
    }

    fn until(all: &[i64]) -> Option<i64> {
        truce(&minutes(all)).map(|until| until.as_second() / 60)
    }

    #[test]
    fn three_repairs_in_ten_minutes_make_a_truce_of_an_hour() {
        assert_eq!(until(&[0, 3]), None);
        assert_eq!(until(&[0, 3, 10]), Some(70));
        assert_eq!(until(&[0, 3, 11]), None);
    }

    #[test]
    fn what_the_cloud_gave_up_half_way_is_nobodys_drift() {
        let found = |what: &str| {
            let difference = Difference {
                field: "status.provisioningState".into(),
                declared: "Succeeded".into(),
                found: "Failed".into(),
            };
            let update = Update {
                what: what.into(),
                differences: vec![difference],
                body: Value::Null,
                governed: None,
                upgrade: None,
            };
            let step = CloudStep {
                address: Address {
                    provider: "aks",
                    provider_config: "azure".into(),
                    region: "westeurope".into(),
                    external_name: "one".into(),
                    site: String::new(),
                },
                resource: Resource::Cluster,
                owner: Owner {
                    hub: HubId::new("ab").expect("a hub"),
                    object: ObjectKey::namespaced("shop", "one"),
                    uid: Uid::new("1a").expect("a uid"),
                },
                generation: 1,
                action: CloudAction::Update(update),
                token: String::new(),
                replaces: None,
            };
            differences(&Plan { steps: vec![Step::Cloud(step)], ..Plan::default() }).len()
        };
        assert_eq!([found("repair"), found("image"), found("settings")], [0, 0, 1]);
        assert_eq!([found("certificates"), found("install"), found("mend")], [0, 0, 1]);
    }

    #[test]
    fn a_fight_that_goes_on_is_repaired_hourly() {
        // Repaired at 73, after the truce that began at 10; and again an hour later.
        assert_eq!(until(&[3, 10, 73]), Some(133));
        assert_eq!(until(&[10, 73, 135]), Some(195));
        // Then peace for two hours.
        assert_eq!(until(&[73, 135, 300]), None);
    }
}
