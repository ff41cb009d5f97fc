//! One step on a host, without contents; and how a deed is made of it when it is done.

use std::collections::BTreeMap;
use std::fmt;

use super::super::artifact::Artifact;
use super::super::digest::{Content, Digest};
use super::super::file::ManagedFile;
use super::super::marker::{Marker, MarkerChange};
use super::super::op::{Action, HostOp, Role};
use super::super::stored::Fetched;
use super::super::unit::{unit_note_text, unit_text};
use super::super::version::K3sVersion;

/// How much of a large file goes in one deed, in bytes: what is lost when the line breaks.
pub const PART_BYTES: usize = 4 * 1024 * 1024;
/// What [`ManagedFile::KeepBinary`] holds.
const KEEP_BINARY: &str =
    "K3s's binary on this host was put there by somebody else than Fleetwright, and stays.\n";

/// One step, told by digests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Say whose the host is.
    Claim(MarkerChange),
    /// Send the next part of a large file.
    Send {
        /// Which file.
        artifact: Artifact,
        /// Of the whole file.
        digest: Digest,
        /// How much has arrived, in bytes.
        arrived: u64,
    },
    /// Put a large file in place that has arrived.
    Place {
        /// Which file.
        artifact: Artifact,
        /// Of the whole file.
        digest: Digest,
    },
    /// Run K3s's install script.
    RunInstallScript {
        /// Server or agent.
        role: Role,
        /// Which version.
        version: K3sVersion,
    },
    /// Write a file.
    Write {
        /// Which.
        file: ManagedFile,
        /// Of what it is to hold.
        digest: Digest,
    },
    /// Take a file of ours away.
    Remove {
        /// Which.
        file: ManagedFile,
    },
    /// Let the kernel use our settings.
    ApplySysctls,
    /// Ask the service manager.
    Service {
        /// Whose service.
        role: Role,
        /// For what.
        action: Action,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Claim(MarkerChange { now: Marker::Owned(owner), .. }) => {
                write!(f, "mark the host as that of {}", owner.object)
            }
            Self::Claim(MarkerChange { now: Marker::Released(_), .. }) => {
                f.write_str("let the host go")
            }
            Self::Claim(_) => f.write_str("mark the host"),
            Self::Send { artifact, arrived: 0, .. } => write!(f, "send {artifact}"),
            Self::Send { artifact, arrived, .. } => {
                write!(f, "send {artifact} from byte {arrived} on")
            }
            Self::Place { artifact, .. } => write!(f, "put {artifact} in place"),
            Self::RunInstallScript { role, version } => {
                write!(f, "run K3s's install script for a {role} of {version}")
            }
            Self::Write { file, .. } => write!(f, "write {}", file.path()),
            Self::Remove { file } => write!(f, "remove {}", file.path()),
            Self::ApplySysctls => f.write_str("apply kernel settings"),
            Self::Service { role, action } => {
                write!(f, "{} {}.service", action.word(), role.service())
            }
        }
    }
}

/// What steps put in: contents, files of releases, scripts. Only what a step needs has to be there.
#[derive(Debug, Clone, Default)]
pub struct Materials {
    /// The binary to send.
    pub binary: Option<Fetched>,
    /// The archive of images to send.
    pub images: Option<Fetched>,
    /// K3s's install script.
    pub script: Option<Content>,
    /// What files are to hold. Units need not be here.
    pub files: BTreeMap<ManagedFile, Content>,
    /// How much of a large file goes in one deed, in bytes; absent means [`PART_BYTES`].
    pub part_bytes: Option<usize>,
}

/// Why no deed can be made of a step.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MaterialsError {
    /// It is not there.
    #[error("to {step}, its content is needed and was not given")]
    Missing {
        /// The step.
        step: String,
    },
    /// It is another than the one that was planned with.
    #[error("cannot {step}: what it is to hold has changed since it was planned; plan again")]
    Changed {
        /// The step.
        step: String,
    },
    /// It cannot be read.
    #[error("cannot {step}: reading the file that we hold failed: {why}")]
    Unreadable {
        /// The step.
        step: String,
        /// What the system said.
        why: String,
    },
}

impl Step {
    /// The deed that does it.
    ///
    /// # Errors
    /// [`MaterialsError`] when `materials` lack what it needs, or hold another content than was planned.
    pub fn op(&self, materials: &Materials) -> Result<HostOp, MaterialsError> {
        let missing = || MaterialsError::Missing { step: self.to_string() };
        let changed = || MaterialsError::Changed { step: self.to_string() };
        Ok(match self {
            Self::Claim(change) => HostOp::ChangeMarker(change.clone()),
            Self::Send { artifact, digest, arrived } => {
                let fetched = match artifact {
                    Artifact::Binary => materials.binary.as_ref(),
                    Artifact::Images(_) => materials.images.as_ref(),
                };
                let fetched = fetched.ok_or_else(missing)?;
                if fetched.digest() != digest {
                    return Err(changed());
                }
                let most = materials.part_bytes.unwrap_or(PART_BYTES).max(1);
                // What is longer than the whole cannot be right: begin again.
                let from = if *arrived > fetched.stored().len() { 0 } else { *arrived };
                let bytes = fetched.stored().part(from, most);
                let bytes = bytes.map_err(|why| {
                    let why = why.to_string();
                    MaterialsError::Unreadable { step: self.to_string(), why }
                })?;
                let (artifact, digest) = (*artifact, digest.clone());
                let whole = fetched.stored().len();
                HostOp::PutPart { artifact, digest, offset: from, bytes, whole }
            }
            Self::Place { artifact, digest } => {
                HostOp::Place { artifact: *artifact, digest: digest.clone() }
            }
            Self::RunInstallScript { role, version } => HostOp::RunInstallScript {
                role: *role,
                version: *version,
                script: materials.script.clone().ok_or_else(missing)?,
            },
            Self::Write { file, digest } => {
                let given = materials.files.get(file).cloned();
                let content = given.or_else(|| by_itself(*file)).ok_or_else(missing)?;
                if content.digest() != digest {
                    return Err(changed());
                }
                HostOp::WriteFile { file: *file, content }
            }
            Self::Remove { file } => HostOp::RemoveFile { file: *file },
            Self::ApplySysctls => HostOp::ApplySysctls,
            Self::Service { role, action } => HostOp::Service { role: *role, action: *action },
        })
    }
}

/// Files whose content is the same on every host.
pub(super) fn by_itself(file: ManagedFile) -> Option<Content> {
    match file {
        ManagedFile::KeepBinary => Some(Content::new(KEEP_BINARY.to_owned())),
        ManagedFile::Unit(role) => Some(Content::new(unit_text(role))),
        ManagedFile::UnitNote(role) => Some(Content::new(unit_note_text(role))),
        _ => None,
    }
}
