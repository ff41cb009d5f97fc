//! Why a file of a release is not there, and what that means for the loop.

use fleetwright_errclass::Class;
use fleetwright_provider::HttpOutError;

use super::mirror::MirrorError;

/// Why a file could not be had.
#[derive(Debug, thiserror::Error)]
pub enum ReleaseError {
    /// No address could be made.
    #[error("{0}")]
    Mirror(#[from] MirrorError),
    /// No answer.
    #[error("cannot fetch {url}: {error}")]
    NoAnswer {
        /// Of what.
        url: String,
        /// Why.
        error: HttpOutError,
    },
    /// Not the answer that we need.
    #[error("cannot fetch {url}: the server answers {status}{}", hint(*.status))]
    Status {
        /// Of what.
        url: String,
        /// Its status.
        status: u16,
    },
    /// It leads elsewhere than it may.
    #[error(
        "{url} leads to {to}, which is not followed: only https, and only to the host of the mirror or those of GitHub"
    )]
    Redirect {
        /// From where.
        url: String,
        /// Where it leads; without its query, which may sign the request.
        to: String,
    },
    /// A part that is not the one we asked for.
    #[error(
        "{url} does not give parts of a file as RFC 9110 says ({said}); use a server that knows Range, or a smaller file"
    )]
    Parts {
        /// Of what.
        url: String,
        /// What it said.
        said: String,
    },
    /// Larger than any such file is.
    #[error("{url} has {bytes} bytes, more than the {most} that are fetched")]
    TooLarge {
        /// Of what.
        url: String,
        /// Its size.
        bytes: u64,
        /// The limit.
        most: u64,
    },
    /// Not text.
    #[error("{url} is no text")]
    NoText {
        /// Of what.
        url: String,
    },
    /// The publisher names no digest of it.
    #[error(
        "{url} has no digest of {name}; a mirror needs the file sha256sum-<arch>.txt of the release, whole"
    )]
    Unlisted {
        /// Of which file.
        name: String,
        /// The list.
        url: String,
    },
    /// Not what its publisher says it is.
    #[error(
        "{url} has digest {got}, its publisher says {expected}; it is thrown away, and fetched again later"
    )]
    Digest {
        /// Of what.
        url: String,
        /// What it has.
        got: String,
        /// As published.
        expected: String,
    },
    /// It cannot be kept.
    #[error("cannot keep {path}: {source}")]
    Folder {
        /// Which file.
        path: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        404 => "; is that a version of K3s, and has the mirror it",
        401 | 403 => "; it wants somebody to sign in, which we do not",
        429 => "; it is asked too often",
        _ => "",
    }
}

impl ReleaseError {
    /// Whether looking again helps, or somebody must act first.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Mirror(_) => Class::Invalid,
            Self::NoAnswer { error: HttpOutError::Forbidden(_), .. } => Class::Refused,
            Self::NoAnswer { error: HttpOutError::TooLarge { .. }, .. } => Class::Refused,
            Self::NoAnswer { .. } => Class::Transient,
            Self::Status { status: 429 | 500..=599, .. } => Class::Transient,
            Self::Status { .. }
            | Self::Redirect { .. }
            | Self::Parts { .. }
            | Self::TooLarge { .. }
            | Self::NoText { .. }
            | Self::Unlisted { .. }
            | Self::Digest { .. }
            | Self::Folder { .. } => Class::Refused,
        }
    }
}
