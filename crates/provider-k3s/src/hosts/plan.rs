//! What to do next on one host: from what is wanted and what one look told. Pure, and without memory: after a cut anywhere, the
//! next look leads to the next step. It works on digests alone, so whoever only compares needs neither secrets nor binaries.

mod reason;
mod step;
mod steps;
mod turn;

use std::collections::BTreeMap;

use fleetwright_names::Owner;

pub use self::reason::Reason;
pub use self::step::{Materials, MaterialsError, PART_BYTES, Step};
pub use self::turn::{Cause, Disruption, Held};
use super::artifact::Artifact;
use super::digest::Digest;
use super::facts::{Arch, HostFacts};
use super::file::ManagedFile;
use super::marker::{Marker, MarkerChange};
use super::op::Role;
use super::preflight::{self, Needs};
use super::version::K3sVersion;

/// A file of a release, by its publisher's digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Which machines it is for.
    pub arch: Arch,
    /// Of the whole file.
    pub digest: Digest,
}

/// Where a host's binary comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// We send it. Without a release, because none could be had, a host that runs the version already is right.
    Sent(Option<Release>),
    /// Somebody else puts it there; we never touch it.
    Preinstalled,
    /// K3s's install script, run on the host, fetches it.
    Script,
}

/// What may be taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// A host with a K3s on it that is not ours is refused.
    Never,
    /// An installation without a marker, or one that was let go, becomes ours.
    Existing,
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
    /// Where its binary comes from.
    pub source: Source,
    /// The archive of images, for hosts without a registry.
    pub images: Option<(Artifact, Release)>,
    /// Every file of ours, by its content; one that is not here is removed. Must hold the configuration. The unit, what notes its starts, and
    /// [`ManagedFile::KeepBinary`] come by themselves.
    pub files: BTreeMap<ManagedFile, Digest>,
    /// Kernel settings that [`ManagedFile::Sysctls`] makes, by name.
    pub sysctls: BTreeMap<String, String>,
    /// What the host must offer.
    pub needs: Needs,
    /// How far a running K3s may be disturbed now; hosts take turns.
    pub disruption: Disruption,
}

/// What to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// This, then look again.
    Do(Step),
    /// Nothing but to look again: K3s is on its way.
    Wait,
    /// Nothing until disruption is allowed; what would then change.
    Held(Held),
    /// Nothing until somebody acts; every reason.
    Refused(Vec<Reason>),
    /// Nothing: the host is as wanted.
    Done,
}

/// What to do next so that the host becomes as wanted; `now_s` is our clock at the end of the look, in seconds since 1970.
#[must_use]
pub fn next(wanted: &Wanted, facts: &HostFacts, now_s: i64) -> Next {
    let mut reasons = preflight::problems(&wanted.needs, facts, now_s);
    reasons.extend(steps::problems(wanted, facts));
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
        Some(change) => Next::Do(Step::Claim(change)),
        None => steps::next(wanted, facts),
    }
}

/// The marker's next step: none when it is ours already.
fn claim(wanted: &Wanted, facts: &HostFacts) -> Result<Option<MarkerChange>, Reason> {
    let ours = Marker::Owned(wanted.owner.clone());
    let existing = || wanted.adoption != Adoption::Never || !installed(&wanted.source, facts);
    let allowed = match &facts.marker {
        Some(marker) if *marker == ours => return Ok(None),
        None if existing() => true,
        None => return Err(Reason::Installed { units: installed_as(facts) }),
        Some(Marker::Released(_)) => existing(),
        Some(Marker::Owned(_) | Marker::Unreadable(_)) => false,
    };
    match (&facts.marker, allowed) {
        (was, true) => Ok(Some(MarkerChange { was: was.clone(), now: ours })),
        (None, false) => Err(Reason::Installed { units: installed_as(facts) }),
        (Some(marker), false) => Err(Reason::of_marker(marker, &wanted.owner)),
    }
}

/// Whether there is any K3s; one that is to be there beforehand does not count.
fn installed(source: &Source, facts: &HostFacts) -> bool {
    let binary = facts.binary.is_some() && *source != Source::Preinstalled;
    binary || !facts.units.is_empty() || !facts.data.is_empty()
}

fn installed_as(facts: &HostFacts) -> String {
    let units: Vec<&str> = facts.units.iter().map(String::as_str).collect();
    let version = facts.version.as_deref().unwrap_or("of unknown version");
    if units.is_empty() { version.to_owned() } else { format!("{version}, {}", units.join(", ")) }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
