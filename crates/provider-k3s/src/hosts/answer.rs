//! From a deed to its answer: rendered, sent, read.

use fleetwright_errclass::Class;
use fleetwright_names::Owner;
use fleetwright_provider::Secret;

use super::cluster::{self, ClusterFacts};
use super::facts::{self, HostFacts};
use super::op::HostOp;
use super::report::{self, Report, Said};
use super::script::render;
use super::wire::{Ended, HostWire, Output, WireError};

/// Whether a deed found something to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It changed the host.
    Changed,
    /// All was as wanted.
    Unchanged,
}

/// What a deed answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Of [`HostOp::ReadFacts`].
    Facts(Box<HostFacts>),
    /// Of everything that only changes.
    Done(Change),
    /// Of [`HostOp::ReadToken`] and [`HostOp::MintToken`].
    Token(Secret),
    /// Of [`HostOp::ReadCluster`].
    Cluster(Box<ClusterFacts>),
    /// Of [`HostOp::Drain`].
    Drained(Drained),
}

/// How far a drain came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// Nothing is left that had to go.
    pub done: bool,
    /// How many pods are left that have to go.
    pub left: u32,
    /// Why the first of them do not go, in the words of the API; at most 5.
    pub blocked: Vec<String>,
}

/// Why a deed was not done, or not seen to be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpError {
    /// The way to the host failed.
    #[error("cannot {what}: {error}")]
    Wire {
        /// The deed.
        what: String,
        /// What happened to the way.
        error: WireError,
    },
    /// We may not become root.
    #[error(
        "cannot {what}: the host does not let this user run `sudo -n /bin/sh` ({said}); add it to sudoers with NOPASSWD, or log in \
         as root"
    )]
    NotRoot {
        /// The deed.
        what: String,
        /// What sudo said.
        said: String,
    },
    /// The host belongs to somebody else, now.
    #[error("did not {what}: the host is not ours ({said})")]
    NotOurs {
        /// The deed.
        what: String,
        /// What its marker says.
        said: String,
    },
    /// The script gave up.
    #[error("cannot {what}: {code}: {said}")]
    Refused {
        /// The deed.
        what: String,
        /// The script's word for it.
        code: String,
        /// Its reason.
        said: String,
    },
    /// The script broke off without a reason of its own.
    #[error("cannot {what}: the script {how}: {said}")]
    Failed {
        /// The deed.
        what: String,
        /// Status or signal.
        how: String,
        /// The last line of its errors.
        said: String,
    },
    /// The answer lacks something.
    #[error("cannot tell whether we could {what}: {missing} is missing in the answer")]
    Unreadable {
        /// The deed.
        what: String,
        /// What is missing or malformed.
        missing: String,
    },
}

impl OpError {
    /// What it means for the loop.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Wire { error, .. } => error.class(),
            Self::NotRoot { .. } | Self::NotOurs { .. } => Class::Refused,
            Self::Refused { code, .. } => match code.as_str() {
                // Cut off or overtaken: the next look tells from where to go on.
                "cut" | "gap" | "digest" => Class::Unknown,
                // Not there yet.
                "absent" | "service" | "snapshot" | "cluster" | "script" => Class::Transient,
                // Somebody let pods onto it between our look and our deed.
                "open" => Class::Conflict,
                // Disk, mounts, kernel: somebody has to look.
                "write" | "busy" | "sysctl" => Class::Refused,
                _ => Class::Bug,
            },
            Self::Failed { .. } => Class::Transient,
            Self::Unreadable { .. } => Class::Unknown,
        }
    }
}

/// Does one deed for the object that `owner` names.
///
/// # Errors
/// [`OpError`]; its class tells whether it may have taken effect.
pub async fn perform(wire: &dyn HostWire, op: &HostOp, owner: &Owner) -> Result<Answer, OpError> {
    let request = render(op, owner);
    let output = wire.exec(&request).await;
    let output = output.map_err(|error| OpError::Wire { what: op.to_string(), error })?;
    answer(op, &output)
}

/// What the output of a deed's script means. Pure.
fn answer(op: &HostOp, output: &Output) -> Result<Answer, OpError> {
    let what = op.to_string();
    match report::read(&output.stdout()) {
        Said::Whole(report) => {
            read(op, &report).map_err(|missing| OpError::Unreadable { what, missing })
        }
        Said::Refusal(code, said) if code == "not-ours" => Err(OpError::NotOurs { what, said }),
        Said::Refusal(code, said) => Err(OpError::Refused { what, code, said }),
        Said::Part => Err(broken(what, output)),
        // Our shell did not even start, so it was sudo that spoke.
        Said::Nothing if output.last_words().contains("sudo:") => {
            Err(OpError::NotRoot { what, said: output.last_words() })
        }
        Said::Nothing => Err(broken(what, output)),
    }
}

fn broken(what: String, output: &Output) -> OpError {
    let said = output.last_words();
    let how = match &output.ended {
        Ended::Exit(0) => return OpError::Unreadable { what, missing: "the end".to_owned() },
        Ended::Exit(status) => format!("ended with status {status}"),
        Ended::Signal(signal) => format!("was ended by signal {signal}"),
    };
    OpError::Failed { what, how, said }
}

fn read(op: &HostOp, report: &Report) -> Result<Answer, String> {
    match op {
        HostOp::ReadFacts => facts::read(report).map(|facts| Answer::Facts(Box::new(facts))),
        HostOp::ReadCluster => {
            cluster::read(report).map(|cluster| Answer::Cluster(Box::new(cluster)))
        }
        HostOp::Drain { .. } => drained(report).map(Answer::Drained),
        HostOp::ReadToken | HostOp::MintToken { .. } => {
            let token = report.one("token").ok_or("the token")?;
            Ok(Answer::Token(Secret::new(token.to_owned())))
        }
        HostOp::ChangeMarker(_)
        | HostOp::PutPart { .. }
        | HostOp::Place { .. }
        | HostOp::RunInstallScript { .. }
        | HostOp::WriteFile { .. }
        | HostOp::RemoveFile { .. }
        | HostOp::ApplySysctls
        | HostOp::Service { .. }
        | HostOp::Uninstall
        | HostOp::Cordon { .. }
        | HostOp::Uncordon { .. }
        | HostOp::DeleteNode { .. } => match report.one("changed") {
            Some("yes") => Ok(Answer::Done(Change::Changed)),
            Some("no") => Ok(Answer::Done(Change::Unchanged)),
            _ => Err("whether it changed anything".to_owned()),
        },
    }
}

fn drained(report: &Report) -> Result<Drained, String> {
    let done = match report.one("drained") {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err("whether the node is empty".to_owned()),
    };
    let left = report.one("left").and_then(|left| left.parse().ok());
    let left = left.ok_or("how many pods are left")?;
    Ok(Drained { done, left, blocked: report.all("blocked").take(5).map(str::to_owned).collect() })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::op::{NodeName, Stubborn};
    use super::*;

    fn answered(op: &HostOp, ended: Ended, out: &str, err: &str) -> Result<Answer, OpError> {
        answer(op, &Output::new(ended, out.into(), err.into()))
    }

    fn failed(status: u32, out: &str, err: &str) -> (String, Class) {
        let error = answered(&HostOp::Uninstall, Ended::Exit(status), out, err).expect_err("error");
        (error.to_string(), error.class())
    }

    #[test]
    fn secrets_come_back_as_secrets() {
        let token = answered(
            &HostOp::ReadToken,
            Ended::Exit(0),
            "hello\nfw1 token=K10ab::server:hunter2\nfw1 end=ok\n",
            "",
        );
        let token = token.expect("token");
        assert_eq!(token, Answer::Token(Secret::new("K10ab::server:hunter2".into())));
        assert!(!format!("{token:?}").contains("hunter2"));
    }

    #[test]
    fn a_drain_tells_what_is_left_and_why() {
        let node = NodeName::new("s1").expect("name");
        let drain = HostOp::Drain { node, wait: Duration::ZERO, stubborn: Stubborn::Kept };
        let said =
            "fw1 drained=no\nfw1 left=2\nfw1 blocked=a/b: would violate its budget\nfw1 end=ok\n";
        let blocked = vec!["a/b: would violate its budget".to_owned()];
        assert_eq!(
            answered(&drain, Ended::Exit(0), said, ""),
            Ok(Answer::Drained(Drained { done: false, left: 2, blocked }))
        );
        assert!(answered(&drain, Ended::Exit(0), "fw1 left=2\nfw1 end=ok\n", "").is_err());
    }

    #[test]
    fn every_way_to_fail_has_its_words_and_its_class() {
        assert_eq!(
            failed(1, "", "sudo: a password is required\n"),
            (
                "cannot uninstall k3s: the host does not let this user run `sudo -n /bin/sh` (sudo: a password is required); \
                 add it to sudoers with NOPASSWD, or log in as root"
                    .to_owned(),
                Class::Refused
            )
        );
        assert_eq!(
            failed(3, "fw1 error=not-ours fleetwright 1 hub ab\n", ""),
            (
                "did not uninstall k3s: the host is not ours (fleetwright 1 hub ab)".to_owned(),
                Class::Refused
            )
        );
        assert_eq!(
            failed(3, "fw1 error=busy volumes are still mounted\n", ""),
            ("cannot uninstall k3s: busy: volumes are still mounted".to_owned(), Class::Refused)
        );
        assert_eq!(
            failed(2, "fw1 begin=ok\n", "sudo: unable to resolve host\n/bin/sh: 3: Syntax error\n"),
            (
                "cannot uninstall k3s: the script ended with status 2: /bin/sh: 3: Syntax error"
                    .to_owned(),
                Class::Transient
            )
        );
        assert_eq!(
            failed(0, "fw1 changed=yes\n", ""),
            (
                "cannot tell whether we could uninstall k3s: the end is missing in the answer"
                    .to_owned(),
                Class::Unknown
            )
        );
        assert_eq!(
            failed(0, "fw1 end=ok\n", "").0,
            "cannot tell whether we could uninstall k3s: whether it changed anything is missing in the answer"
        );
    }

    #[test]
    fn what_was_cut_off_is_looked_at_again() {
        for code in ["cut", "gap", "digest"] {
            let said = format!("fw1 error={code} 7 bytes are there\n");
            assert_eq!(failed(3, &said, "").1, Class::Unknown);
        }
        assert_eq!(failed(3, "fw1 error=surprise\n", "").1, Class::Bug);
    }
}
