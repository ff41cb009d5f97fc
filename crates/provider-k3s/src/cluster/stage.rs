//! Which release the servers go to now: minor by minor, never back.

use fleetwright_plan::{ChangeKind, KubernetesVersion, Upgrade};

use super::scene::Scene;
use crate::hosts::{HostFacts, K3sVersion};
use crate::seen::lowest;

/// The release that servers are brought to now.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stage {
    /// What runs, at the lowest; `None`: nothing yet.
    pub(super) running: Option<K3sVersion>,
    pub(super) target: K3sVersion,
    /// The walk, while the next minor is its aim.
    pub(super) upgrade: Option<Upgrade>,
    /// Why what is declared cannot be had.
    pub(super) refused: Option<ChangeKind>,
}

impl Stage {
    pub(super) fn of(scene: &Scene<'_>) -> Option<Self> {
        let declared = K3sVersion::parse(&scene.cluster.version).ok()?;
        let facts: Vec<&HostFacts> = scene
            .servers
            .iter()
            .filter(|host| host.has_run())
            .filter_map(|host| host.facts.as_ref())
            .collect();
        let running = lowest(scene.view(), facts.into_iter());
        let Some(low) = running else {
            return Some(Self { running, target: declared, upgrade: None, refused: None });
        };
        let stay = |why: String, field: &str| Self {
            running,
            target: low,
            upgrade: None,
            refused: Some(ChangeKind::Refused {
                field: field.to_owned(),
                declared: declared.to_string(),
                found: low.to_string(),
                why,
            }),
        };
        if declared < low {
            let why = "K3s cannot go back; restore a snapshot, or make a new cluster".to_owned();
            return Some(stay(why, "spec.version"));
        }
        let ((major, minor), (to_major, to_minor)) = (low.minor(), declared.minor());
        if major != to_major {
            return Some(stay("that is another major version".to_owned(), "spec.version"));
        }
        if to_minor <= minor + 1 {
            let upgrade = (to_minor > minor).then(|| walk(low, declared, declared));
            return Some(Self { running, target: declared, upgrade, refused: None });
        }
        let path = scene.cluster.path.iter().filter_map(|text| K3sVersion::parse(text).ok());
        let mut path = path.filter(|release| release.minor() == (major, minor + 1));
        match path.next() {
            Some(next) => {
                let upgrade = Some(walk(low, next, declared));
                Some(Self { running, target: next, upgrade, refused: None })
            }
            None => {
                let next = format!("{major}.{}", minor + 1);
                let why = format!(
                    "K3s goes one minor version at a time; name a release of {next} in spec.k3s.upgradePath"
                );
                Some(stay(why, "spec.version"))
            }
        }
    }
}

fn walk(from: K3sVersion, to: K3sVersion, target: K3sVersion) -> Upgrade {
    Upgrade { from: minor(from), to: minor(to), target: minor(target) }
}

/// A release at minor precision.
pub(super) fn minor(version: K3sVersion) -> KubernetesVersion {
    let (major, minor) = version.minor();
    let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    KubernetesVersion { major: small(major), minor: small(minor) }
}
