//! What to do next on one host: from what is wanted and what one look told. Pure, and without memory: after a cut anywhere, the
//! next look leads to the next deed.

mod reason;
mod steps;

use std::collections::BTreeMap;

use fleetwright_names::{Owner, Uid};

pub use self::reason::Reason;
use super::digest::{Blob, Content, Digest};
use super::facts::{Arch, HostFacts};
use super::file::ManagedFile;
use super::marker::{Marker, MarkerChange};
use super::op::{HostOp, Role};
use super::preflight::{self, Needs};
use super::version::K3sVersion;

/// A release of K3s for one kind of machine, as its publisher made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    arch: Arch,
    digest: Digest,
    blob: Blob,
}

impl Binary {
    /// Checks the bytes against the digest that the publisher names.
    ///
    /// # Errors
    /// [`Reason::Digest`] when they differ.
    pub fn new(arch: Arch, published: Digest, blob: Blob) -> Result<Self, Reason> {
        let got = Digest::of(blob.bytes());
        if got != published {
            let (got, expected) = (got.to_string(), published.to_string());
            return Err(Reason::Digest { got, expected });
        }
        Ok(Self { arch, digest: published, blob })
    }
}

/// What may be taken over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adoption {
    /// A host with a K3s on it that is not ours is refused.
    Never,
    /// An installation without a marker, or one that was let go, becomes ours.
    Existing,
    /// So does that of the object with this uid, which had the same name.
    Predecessor(Uid),
}

/// How one host is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// For which object.
    pub owner: Owner,
    /// What may be taken over.
    pub adoption: Adoption,
    /// Server or agent.
    pub role: Role,
    /// Which version.
    pub version: K3sVersion,
    /// That version's binary.
    pub binary: Binary,
    /// Every file of ours; one that is not here is removed. Must hold the unit of the role and the configuration.
    pub files: BTreeMap<ManagedFile, Content>,
    /// What the host must offer.
    pub needs: Needs,
    /// Whether a running K3s may be given new files and restarted now; several servers take turns.
    pub disruption: Disruption,
    /// How much of the binary is sent at once, in bytes.
    pub part_bytes: usize,
}

/// Whether a running K3s may be disturbed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disruption {
    /// Now.
    Allowed,
    /// Not now. What does not disturb is done all the same: the binary is sent ahead.
    Held,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This, then look again.
    Op(HostOp),
    /// Nothing but to look again: K3s is on its way.
    Wait,
    /// Nothing until disruption is allowed; what would then change.
    Held(Vec<String>),
    /// Nothing until somebody acts; every reason.
    Refused(Vec<Reason>),
    /// Nothing: the host is as wanted.
    Done,
}

/// What to do next so that the host becomes as wanted; `now_s` is our clock at the end of the look, in seconds since 1970.
#[must_use]
pub fn next(wanted: &Wanted, facts: &HostFacts, now_s: i64) -> Next {
    let mut reasons = preflight::problems(&wanted.needs, facts, now_s);
    reasons.extend(steps::binary_problems(wanted, facts));
    reasons.extend(steps::history_problems(wanted, facts));
    let claim = match claim(wanted, facts) {
        Ok(claim) => claim,
        Err(reason) => {
            reasons.push(reason);
            None
        }
    };
    if !reasons.is_empty() {
        return Next::Refused(reasons);
    }
    match claim {
        Some(change) => Next::Op(HostOp::ChangeMarker(change)),
        None => steps::next(wanted, facts),
    }
}

/// The marker's next step: none when it is ours already.
fn claim(wanted: &Wanted, facts: &HostFacts) -> Result<Option<MarkerChange>, Reason> {
    let ours = Marker::Owned(wanted.owner.clone());
    let existing = || wanted.adoption != Adoption::Never || !installed(facts);
    let allowed = match &facts.marker {
        Some(marker) if *marker == ours => return Ok(None),
        None if existing() => true,
        None => return Err(Reason::Installed { units: installed_as(facts) }),
        Some(Marker::Released(_)) => existing(),
        Some(Marker::Owned(owner)) => {
            owner.hub == wanted.owner.hub
                && owner.object == wanted.owner.object
                && wanted.adoption == Adoption::Predecessor(owner.uid.clone())
        }
        Some(Marker::Unreadable(_)) => false,
    };
    match (&facts.marker, allowed) {
        (was, true) => Ok(Some(MarkerChange { was: was.clone(), now: ours })),
        (None, false) => Err(Reason::Installed { units: installed_as(facts) }),
        (Some(marker), false) => Err(Reason::of_marker(marker, &wanted.owner)),
    }
}

/// Whether there is any K3s.
fn installed(facts: &HostFacts) -> bool {
    facts.binary.is_some() || !facts.units.is_empty() || !facts.data.is_empty()
}

fn installed_as(facts: &HostFacts) -> String {
    let units: Vec<&str> = facts.units.iter().map(String::as_str).collect();
    let version = facts.version.as_deref().unwrap_or("of unknown version");
    if units.is_empty() { version.to_owned() } else { format!("{version}, {}", units.join(", ")) }
}

/// What to do next so that nothing of `owner` is left on the host.
#[must_use]
pub fn next_removal(owner: &Owner, facts: &HostFacts) -> Next {
    match &facts.marker {
        // Not ours: nothing of ours is left.
        None | Some(Marker::Released(_)) => Next::Done,
        Some(Marker::Owned(other)) if other != owner => Next::Done,
        Some(Marker::Unreadable(text)) => {
            Next::Refused(vec![Reason::Unreadable { text: text.clone() }])
        }
        Some(Marker::Owned(_)) if !facts.root => Next::Refused(vec![Reason::NotRoot]),
        Some(Marker::Owned(_)) => Next::Op(HostOp::Uninstall),
    }
}

/// What to do next so that the host is let go and nothing else on it changes.
#[must_use]
pub fn next_release(owner: &Owner, facts: &HostFacts) -> Next {
    match &facts.marker {
        Some(marker @ Marker::Owned(seen)) if seen == owner => {
            let now = Marker::Released(owner.uid.clone());
            Next::Op(HostOp::ChangeMarker(MarkerChange { was: Some(marker.clone()), now }))
        }
        Some(Marker::Unreadable(text)) => {
            Next::Refused(vec![Reason::Unreadable { text: text.clone() }])
        }
        None | Some(Marker::Released(_) | Marker::Owned(_)) => Next::Done,
    }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
