//! What every write to a cloud asks and says, whichever cloud it is: whose the resource is, and the audit line.

use std::collections::BTreeMap;
use std::fmt::Display;

use fleetwright_names::{Owner, Ownership, Uid};
use fleetwright_plan::CloudStep;

/// Whether `owner` may claim what bears `tags`: nobody's, or that of the predecessor that the step names. What is `owner`'s
/// already is not to be claimed again.
#[must_use]
pub fn may_claim(owner: &Owner, tags: &BTreeMap<String, String>, from: Option<&Uid>) -> bool {
    match owner.reads(tags) {
        Ownership::Untagged | Ownership::Released => from.is_none(),
        Ownership::Predecessor(uid) => from == Some(&uid),
        Ownership::Ours | Ownership::Other(_) => false,
    }
}

/// Why a resource that bears `tags` is left alone, for a person.
#[must_use]
pub fn left_alone(owner: &Owner, tags: &BTreeMap<String, String>) -> String {
    let whose = match owner.reads(tags) {
        Ownership::Ours => "this very object".to_owned(),
        Ownership::Predecessor(uid) => format!("an earlier {} ({uid})", owner.object),
        Ownership::Released => "nobody any more: it was released".to_owned(),
        Ownership::Other(who) => who,
        Ownership::Untagged => "somebody who does not use Fleetwright".to_owned(),
    };
    format!("left alone, since its tags say that it belongs to {whose}")
}

/// The audit line of a write that the cloud accepted; a refused one is logged by whoever handles the error. `operation` is
/// the cloud's word with the provider's key before it, for example `eks:CreateCluster`.
pub fn audit(step: &CloudStep, operation: &str, on: &dyn Display, request_id: Option<&str>) {
    tracing::info!(
        target: "fleetwright::audit",
        %operation,
        resource = %on,
        object = %step.owner.object,
        uid = %step.owner.uid,
        token = %step.token,
        request_id = request_id.unwrap_or_default(),
        "cloud write accepted"
    );
}
