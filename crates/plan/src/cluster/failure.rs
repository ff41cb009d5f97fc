//! What the cloud gave up a short while ago is not begun again at once.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::{Draft, Face, Hold, Planner, the};
use crate::{Change, ChangeKind, Resource, Seen, SeenUpdate, UpdateState, Waiting};

/// After a change has failed, the same change is tried again no sooner than this.
const RETRY: Duration = Duration::from_secs(600);

/// What [`SeenUpdate::what`] calls a deletion.
const DELETE: &str = "delete";

impl Planner<'_> {
    /// The cloud gave this change up a short while ago, or another one of the same thing: it tells of the last one only, so
    /// that two changes which both fail would take turns without a pause. An upgrade and a deletion wait for their own kind.
    pub(super) fn after_failure(
        self,
        change: &Change,
        face: &Face<'_>,
        draft: &mut Draft,
    ) -> Option<Hold> {
        let (what, any) = match &change.kind {
            ChangeKind::Update(update) => (update.what.as_str(), update.upgrade.is_none()),
            ChangeKind::Delete | ChangeKind::Retire { .. } => (DELETE, false),
            ChangeKind::Create { .. }
            | ChangeKind::Claim
            | ChangeKind::Later { .. }
            | ChangeKind::Refused { .. } => {
                return None;
            }
        };
        let last = self.failed(face).filter(|last| any || last.what == what)?;
        let again = self.again(last)?;
        Some(self.hold_failed((what, &change.resource), (last, again), draft))
    }

    /// The deletion of `resource`, if the cloud gave it up a short while ago. One that takes longer to fail than it is to
    /// wait is sent again at once, and told.
    pub(super) fn after_failed_deletion(
        self,
        resource: &Resource,
        draft: &mut Draft,
    ) -> Option<Hold> {
        let Seen::Present(face) = self.face(resource) else { return None };
        let last = self.failed(&face).filter(|last| last.what == DELETE)?;
        if let Some(again) = self.again(last) {
            return Some(self.hold_failed((DELETE, resource), (last, again), draft));
        }
        let what = format!("{} to go, which failed before", the(resource));
        draft.waiting.push(Waiting::new(what, self.said(last)));
        None
    }

    /// The last change, if the cloud gave it up and nobody has declared anything since.
    fn failed<'f>(self, face: &Face<'f>) -> Option<&'f SeenUpdate> {
        face.last_update.filter(|last| {
            let of_this_wish = self.at.rules.edited_at.is_none_or(|edited| last.at >= edited);
            matches!(last.state, UpdateState::Failed | UpdateState::Cancelled) && of_this_wish
        })
    }

    /// When what failed may be tried again; `None`: now.
    fn again(self, last: &SeenUpdate) -> Option<Timestamp> {
        let again = last.at.checked_add(SignedDuration::try_from(RETRY).ok()?).ok()?;
        (again > self.at.now).then_some(again)
    }

    fn hold_failed(
        self,
        (what, resource): (&str, &Resource),
        (last, again): (&SeenUpdate, Timestamp),
        draft: &mut Draft,
    ) -> Hold {
        let (trouble, resource) = (trouble(last), the(resource));
        let (waits_for, failed) = if last.what != what {
            let waits_for = format!("{what} of {resource}, since its {} failed", last.what);
            (waits_for, format!("the last change, {}, failed", last.what))
        } else if what == DELETE {
            (format!("another try at the deletion of {resource}"), "the last one failed".to_owned())
        } else {
            (format!("another try at {what} of {resource}"), "the last one failed".to_owned())
        };
        draft
            .waiting
            .push(Waiting { until: Some(again), ..Waiting::new(waits_for, self.said(last)) });
        Hold::until(format!("{failed}: {trouble}; again at {}", clock(again)), again)
    }

    fn said(self, last: &SeenUpdate) -> String {
        format!("{}: {}", self.at.address.provider, trouble(last))
    }
}

fn trouble(last: &SeenUpdate) -> &str {
    if last.trouble.is_empty() { "no reason given" } else { &last.trouble }
}

fn clock(instant: Timestamp) -> String {
    instant.strftime("%H:%M UTC").to_string()
}
