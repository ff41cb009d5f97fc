//! Declared against seen. Pure. Compares only declared fields, after normalising; a field that nobody declared, and the
//! size that an autoscaler owns, never differ.

mod cluster;
mod compare;
mod parts;
mod pools;

pub(crate) use pools::LATEST;

use std::collections::BTreeMap;

use fleetwright_names::Ownership;
use fleetwright_plan::{
    Change, ChangeKind, DesiredCluster, Difference, Phase, Resource, Seen, SeenCluster, Snapshot,
    Update,
};
use fleetwright_provider::{follows_a_claim, once_claimed};
use serde_json::{Value, json};

/// Every difference: the control plane first, then the pools by name, then the parts.
///
/// Of a control plane that is not ours: whose it is comes first, then what would follow once it is.
pub(crate) fn diff(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut changes = Vec::new();
    match &snapshot.cluster {
        Seen::Absent => {
            changes.push(create(Resource::Cluster, &desired.body));
            let pools = desired.pools.iter();
            changes.extend(pools.map(|pool| create(Resource::Pool(pool.name.clone()), &pool.body)));
            let parts = desired.parts.iter();
            changes.extend(parts.map(|part| create(Resource::Part(part.key.clone()), &part.body)));
        }
        Seen::Unknown { .. } => {}
        Seen::Present(cluster) if desired.owner.reads(&cluster.tags) != Ownership::Ours => {
            changes.push(Change { resource: Resource::Cluster, kind: ChangeKind::Claim });
            changes.extend(claims(desired, snapshot));
            let after = diff(desired, &once_claimed(desired, snapshot));
            changes.extend(after.into_iter().filter(follows_a_claim));
        }
        Seen::Present(cluster) => {
            let ours = Ours { desired, snapshot, cluster };
            changes.extend(cluster::changes(desired, cluster));
            changes.extend(pools::changes(ours));
            changes.extend(parts::changes(ours));
        }
    }
    changes
}

/// A control plane of ours, what is declared of it, and all that was seen with it.
#[derive(Clone, Copy)]
struct Ours<'a> {
    desired: &'a DesiredCluster,
    snapshot: &'a Snapshot,
    cluster: &'a SeenCluster,
}

impl Ours<'_> {
    /// The end of what bears our tags, is declared no longer and rests: EKS refuses to delete what is busy, and `plan`
    /// waits for it meanwhile.
    fn undeclared(
        self,
        resource: Resource,
        (tags, phase): (&BTreeMap<String, String>, Phase),
        declared: bool,
    ) -> Option<Change> {
        let ours = self.desired.owner.reads(tags) == Ownership::Ours;
        (ours && !declared && at_rest(phase))
            .then_some(Change { resource, kind: ChangeKind::Delete })
    }
}

/// What would become ours together with the control plane: what is declared and not ours, and all of a predecessor.
fn claims(desired: &DesiredCluster, snapshot: &Snapshot) -> Vec<Change> {
    let mut found = Vec::new();
    let mut look = |resource: Resource, tags, declared: bool| {
        let wanted = match desired.owner.reads(tags) {
            Ownership::Untagged | Ownership::Released => declared,
            Ownership::Predecessor(_) => true,
            Ownership::Ours | Ownership::Other(_) => false,
        };
        if wanted {
            found.push(Change { resource, kind: ChangeKind::Claim });
        }
    };
    for (name, seen) in &snapshot.pools {
        if let Seen::Present(pool) = seen {
            let stands_for = &pool.stands_for;
            let declared =
                desired.pools.iter().any(|pool| pool.name == *name || pool.name == *stands_for);
            look(Resource::Pool(name.clone()), &pool.tags, declared);
        }
    }
    for (key, seen) in &snapshot.parts {
        if let Seen::Present(part) = seen {
            let declared = desired.parts.iter().any(|part| part.key == *key);
            look(Resource::Part(key.clone()), &part.tags, declared);
        }
    }
    found
}

fn create(resource: Resource, body: &Value) -> Change {
    Change { resource, kind: ChangeKind::Create { body: body.clone(), replaces: None } }
}

/// What a change in place consists of, before it is known on what.
struct InPlace {
    what: String,
    operation: &'static str,
    input: Value,
    differences: Vec<Difference>,
}

impl InPlace {
    /// An update of this kind; `None` when nothing differs.
    fn update(self) -> Option<Update> {
        (!self.differences.is_empty()).then(|| Update {
            what: self.what,
            differences: self.differences,
            body: json!({"operation": self.operation, "input": self.input}),
            governed: None,
            upgrade: None,
        })
    }

    fn change(self, resource: &Resource) -> Option<Change> {
        let update = self.update()?;
        Some(Change { resource: resource.clone(), kind: ChangeKind::Update(update) })
    }
}

/// Tags that are declared and missing or different; what else is tagged there is somebody else's.
fn tags(
    resource: &Resource,
    (declared, seen): (&Value, &BTreeMap<String, String>),
    arn: &Value,
) -> Option<Change> {
    let mut differences = Vec::new();
    let mut wanted = serde_json::Map::new();
    for (key, value) in declared.as_object().into_iter().flatten() {
        let found = seen.get(key).map(String::as_str);
        if found != value.as_str() {
            differences.push(Difference {
                field: format!("spec.tags[{key}]"),
                declared: compare::show(value),
                found: found.unwrap_or("none").to_owned(),
            });
            wanted.insert(key.clone(), value.clone());
        }
    }
    let input = json!({"resourceArn": arn, "tags": wanted});
    InPlace { what: "tags".into(), operation: "TagResource", input, differences }.change(resource)
}

/// Whether EKS would delete it now.
const fn at_rest(phase: Phase) -> bool {
    matches!(phase, Phase::Active | Phase::Failed)
}
