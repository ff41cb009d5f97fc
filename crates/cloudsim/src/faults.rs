//! What goes wrong on purpose.

use serde::{Deserialize, Serialize};

/// Something that goes wrong until it is cleared, or a number of times.
///
/// A fault without `cluster`, `pool` and `operation` hits everything of its kind. One that names a cluster hits no
/// call that names none, as `ListClusters` does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// The name of an EKS cluster; of an AKS cluster the name alone or `<subscription>/<group>/<name>`; of hosts the object
    /// that their marker names, with or without its namespace.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The name of a node group or agent pool, or the one that its tag `fleetwright.dev/pool` says; of a host its address or
    /// the name of its node.
    #[serde(default)]
    pub pool: Option<String>,
    /// An operation, as the API reference names it: `CreateCluster`, `AssumeRole`, `GetParameter`; of Azure
    /// `ManagedClusters_CreateOrUpdate`, `AgentPools_Delete`, `Entra_Token`, …; of hosts a deed: `write-file`, `service`, ….
    #[serde(default)]
    pub operation: Option<String>,
    /// How many calls it hits; absent: all. [`FaultKind::Capacity`] is a state and not counted.
    #[serde(default)]
    pub times: Option<u32>,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum FaultKind {
    /// `ThrottlingException` or `TooManyRequests`, 429.
    Throttle,
    /// What creates something gets `ResourceLimitExceededException` or `QuotaExceeded`.
    Quota,
    /// No machines can be had. A node group that is being made fails with `AsgInstanceLaunchFailures`; one that is
    /// there loses a machine and is `DEGRADED`. Both recover when the fault is cleared. On Azure, operations that need
    /// new machines end as `Failed`, and what they were for stays so until somebody puts it again.
    Capacity,
    /// Answers come late.
    Slow {
        /// How late.
        millis: u64,
    },
    /// The call has its effect, and its answer is a 504. Hits reads only when it names them.
    LostAnswer,
    /// `AccessDeniedException` or `AuthorizationFailed`, 403.
    Denied,
    /// `ExpiredTokenException`, 403, or `ExpiredAuthenticationToken`, 401.
    ExpiredCredentials,
    /// After something was created or deleted, `Describe…` and `List…` answer as before for a while.
    Stale {
        /// How long.
        seconds: u32,
    },
    /// The next update ends as `Failed`; on Azure also a deletion, if the fault names it.
    UpdateFails,
    /// An upgrade insight is in `ERROR`, and versions are not updated without `force` or `forceUpgrade`.
    UpgradeBlocked,
    /// A host does not answer, while everything on it goes on.
    Away,
    /// The connection to a host is cut before the deed has an effect, or in its middle. After it, that is
    /// [`FaultKind::LostAnswer`].
    Cut {
        /// Whether half of it was done.
        halfway: bool,
    },
    /// A host's disk takes no more. A state, and not counted.
    DiskFull,
    /// K3s ends soon after each start. A state, and not counted.
    Crashes,
}

/// The operation by which somebody sees whether a host lets them in.
pub(crate) const KNOCK: &str = "knock";

/// What a call does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Nature {
    Reads,
    Creates,
    Updates,
    Removes,
    #[default]
    Other,
}

impl Nature {
    /// Of an operation of EKS, STS or SSM, which says so in its name.
    pub(crate) fn of_eks(operation: &str) -> Self {
        let begins = |verbs: &[&str]| verbs.iter().any(|verb| operation.starts_with(verb));
        match () {
            () if begins(&["Describe", "List", "Get"]) => Self::Reads,
            () if begins(&["Create"]) => Self::Creates,
            () if begins(&["Delete"]) => Self::Removes,
            () if begins(&["Update", "AssociateEncryption"]) => Self::Updates,
            () => Self::Other,
        }
    }
}

/// What a call is about.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Subject<'a> {
    pub(crate) operation: &'a str,
    pub(crate) nature: Nature,
    pub(crate) cluster: Option<&'a str>,
    /// The cluster's name where `cluster` is a longer one.
    pub(crate) short_cluster: Option<&'a str>,
    pub(crate) pool: Option<&'a str>,
    /// What the declaration calls the pool, by its tag.
    pub(crate) declared_pool: Option<&'a str>,
    /// It is a deed on a host.
    pub(crate) on_host: bool,
}

impl<'a> Subject<'a> {
    /// An operation of AWS that names nothing.
    pub(crate) fn eks(operation: &'a str) -> Self {
        Self { operation, nature: Nature::of_eks(operation), ..Self::default() }
    }
}

impl Fault {
    /// Whether it names what a call is about, or nothing.
    pub(crate) fn is_about(&self, subject: &Subject<'_>) -> bool {
        let named = |wanted: &Option<String>, given: [Option<&str>; 2]| {
            wanted.as_deref().is_none_or(|wanted| given.contains(&Some(wanted)))
        };
        named(&self.cluster, [subject.cluster, subject.short_cluster])
            && named(&self.pool, [subject.pool, subject.declared_pool])
    }

    /// Whether it concerns a call of that kind at all.
    fn hits(&self, subject: &Subject<'_>) -> bool {
        let by_kind = match self.kind {
            FaultKind::Quota => subject.nature == Nature::Creates,
            FaultKind::LostAnswer => subject.nature != Nature::Reads || self.operation.is_some(),
            FaultKind::Stale { .. } => matches!(subject.nature, Nature::Creates | Nature::Removes),
            FaultKind::UpdateFails => {
                let named = subject.nature == Nature::Removes && self.operation.is_some();
                subject.nature == Nature::Updates || named
            }
            // States, looked up where they matter.
            FaultKind::Capacity
            | FaultKind::UpgradeBlocked
            | FaultKind::DiskFull
            | FaultKind::Crashes => false,
            FaultKind::Away => subject.on_host,
            // Who only knocks has nothing to lose.
            FaultKind::Cut { .. } => subject.on_host && subject.operation != KNOCK,
            FaultKind::Throttle
            | FaultKind::Slow { .. }
            | FaultKind::Denied
            | FaultKind::ExpiredCredentials => true,
        };
        let operation = self.operation.as_deref();
        by_kind
            && operation.is_none_or(|operation| operation == subject.operation)
            && self.is_about(subject)
    }
}

/// What happens to one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) wait_millis: u64,
    /// The call has no effect, for this reason.
    pub(crate) refused: Option<FaultKind>,
    pub(crate) lost: bool,
    pub(crate) stale_seconds: u32,
    /// The update that it begins fails.
    pub(crate) doomed: bool,
}

/// Decides what happens to a call, and counts down the faults that hit it. The second value says whether any was.
pub(crate) fn judge(faults: &mut Vec<Fault>, subject: &Subject<'_>) -> (Verdict, bool) {
    let mut verdict = Verdict::default();
    let mut counted = false;
    for fault in faults.iter_mut() {
        // What is refused meets nothing that comes after.
        if verdict.refused.is_some() || !fault.hits(subject) {
            continue;
        }
        match fault.kind {
            FaultKind::Slow { millis } => verdict.wait_millis = verdict.wait_millis.max(millis),
            FaultKind::LostAnswer => verdict.lost = true,
            FaultKind::Stale { seconds } => {
                verdict.stale_seconds = verdict.stale_seconds.max(seconds);
            }
            FaultKind::UpdateFails => verdict.doomed = true,
            kind => verdict.refused = Some(kind),
        }
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            counted = true;
        }
    }
    faults.retain(|fault| fault.times != Some(0));
    (verdict, counted)
}

/// Whether machines of a group cannot be had.
pub(crate) fn lacks_capacity(faults: &[Fault], cluster: &[&str], pool: &[&str]) -> bool {
    faults.iter().any(|fault| {
        fault.kind == FaultKind::Capacity
            && is_one_of(fault.cluster.as_deref(), cluster)
            && is_one_of(fault.pool.as_deref(), pool)
    })
}

fn is_one_of(wanted: Option<&str>, names: &[&str]) -> bool {
    wanted.is_none_or(|wanted| names.contains(&wanted))
}

/// Whether a cluster is not ready for its next version.
pub(crate) fn blocks_upgrade(faults: &[Fault], cluster: &[&str]) -> bool {
    faults.iter().any(|fault| {
        fault.kind == FaultKind::UpgradeBlocked && is_one_of(fault.cluster.as_deref(), cluster)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> Fault {
        Fault { kind, cluster: None, pool: None, operation: None, times: None }
    }

    fn of(operation: &'static str) -> Subject<'static> {
        Subject { cluster: Some("shop"), ..Subject::eks(operation) }
    }

    #[test]
    fn a_fault_with_times_is_gone_after_so_many_calls() {
        let mut faults = vec![Fault { times: Some(2), ..fault(FaultKind::Throttle) }];
        for _ in 0..2 {
            let (verdict, counted) = judge(&mut faults, &of("ListClusters"));
            assert_eq!((verdict.refused, counted), (Some(FaultKind::Throttle), true));
        }
        assert_eq!(faults, []);
        assert_eq!(judge(&mut faults, &of("ListClusters")), (Verdict::default(), false));
    }

    #[test]
    fn a_fault_hits_only_what_it_names() {
        let denied = Fault {
            cluster: Some("shop".to_owned()),
            operation: Some("DeleteCluster".to_owned()),
            ..fault(FaultKind::Denied)
        };
        let hit = |subject: Subject<'_>| judge(&mut vec![denied.clone()], &subject).0.refused;
        assert_eq!(hit(of("DeleteCluster")), Some(FaultKind::Denied));
        assert_eq!(hit(of("DescribeCluster")), None);
        assert_eq!(hit(Subject { cluster: Some("other"), ..of("DeleteCluster") }), None);
        assert_eq!(hit(Subject { cluster: None, ..of("DeleteCluster") }), None);
    }

    #[test]
    fn answers_of_reads_are_lost_only_when_the_fault_names_them() {
        let lost = |fault: Fault, operation| judge(&mut vec![fault], &of(operation)).0.lost;
        assert!(lost(fault(FaultKind::LostAnswer), "CreateCluster"));
        assert!(!lost(fault(FaultKind::LostAnswer), "DescribeCluster"));
        let named =
            Fault { operation: Some("ListClusters".to_owned()), ..fault(FaultKind::LostAnswer) };
        assert!(lost(named, "ListClusters"));
    }

    #[test]
    fn faults_have_the_wire_form_that_people_write() {
        let text = r#"{"kind":{"Slow":{"millis":5}},"cluster":"shop"}"#;
        let slow: Fault = serde_json::from_str(text).expect("a fault");
        assert_eq!(slow.kind, FaultKind::Slow { millis: 5 });
        assert_eq!(serde_json::from_str::<Fault>(r#"{"kind":"Capacity"}"#).ok(), {
            Some(fault(FaultKind::Capacity))
        });
    }
}
