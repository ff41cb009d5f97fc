//! What differs and is left as it is: mode Observe, and what mode CreateOnly does not do.

use super::{Draft, Planner, the};
use crate::{Change, ChangeKind, Difference, Phase, Problem, Resource, Seen};

impl Planner<'_> {
    /// Watches only.
    pub(super) fn observed(self) -> Draft {
        if let Some(draft) = self.unseen() {
            return draft;
        }
        let mut draft = Draft::default();
        let Seen::Present(face) = self.face(&Resource::Cluster) else {
            draft.refused.push(Problem::new(
                "spec.mode",
                format!("{} does not exist, and mode Observe never creates it", self.at.address),
            ));
            return draft;
        };
        match face.phase {
            Phase::Creating => draft.wait(self.wait("the control plane to be made")),
            Phase::Deleting => draft.wait(self.wait("the control plane to go")),
            Phase::Failed => draft.refused.push(Problem::new(
                "",
                format!("{} failed in the cloud: {}", self.at.address, face.trouble),
            )),
            Phase::Active | Phase::Updating => {
                self.tell_unknown(&mut draft, self.others());
                self.tell_phases(&mut draft, |_, _| true);
                for change in super::order::in_order(self.at.changes) {
                    draft.ignored.extend(differences(change));
                }
            }
        }
        draft
    }
}

/// What a change would have made right.
pub(super) fn differences(change: &Change) -> Vec<Difference> {
    let whole = |declared: &str, found: &str| {
        vec![Difference {
            field: place(&change.resource),
            declared: declared.to_owned(),
            found: found.to_owned(),
        }]
    };
    match change.in_time().0 {
        ChangeKind::Create { replaces: Some(replaces), .. } => replaces.differences.clone(),
        ChangeKind::Create { .. } => whole("present", "absent"),
        ChangeKind::Update(update) => update.differences.clone(),
        // Told by the creation of the successor; whose it is, is nobody's business here.
        ChangeKind::Retire { .. } | ChangeKind::Claim | ChangeKind::Later { .. } => Vec::new(),
        ChangeKind::Delete => whole("absent", "present"),
        ChangeKind::Refused { field, declared, found, .. } => vec![Difference {
            field: field.clone(),
            declared: declared.clone(),
            found: found.clone(),
        }],
    }
}

fn place(resource: &Resource) -> String {
    match resource {
        Resource::Pool(name) => format!("spec.nodePools[{name}]"),
        Resource::Cluster | Resource::Part(_) => the(resource),
    }
}
