//! What goes wrong between us and a host, said so that somebody can act on it, and as a class.

use std::time::Duration;

use fleetwright_errclass::Class;

/// Why a host's key was not accepted. Fingerprints are OpenSSH's, `SHA256:…`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostKeyProblem {
    /// Nothing is known of this host.
    #[error(
        "no host key is pinned for it{}; it showed {got}. Compare that with `ssh-keygen -lf` on the host itself, then pin the \
         key, or declare the authority that signed it",
        vouching(*.authorities)
    )]
    Unknown {
        /// Fingerprint of the key that it showed.
        got: String,
        /// How many authorities are declared for it.
        authorities: usize,
    },
    /// Another key than the pinned one.
    #[error(
        "its host key has changed: pinned is {}, it showed {got}. Either it was installed anew, then pin its new key, or \
         somebody stands between us: find out before you change anything",
        expected.join(" or ")
    )]
    Changed {
        /// Fingerprint of the key that it showed.
        got: String,
        /// Fingerprints of the keys that are pinned for it.
        expected: Vec<String>,
    },
    /// A key that somebody marked as revoked.
    #[error("its host key {got} is revoked; give the host a new key and pin that")]
    Revoked {
        /// Fingerprint of the key, or of the authority behind it.
        got: String,
    },
    /// A certificate that does not prove that it is this host.
    #[error("its certificate {key_id:?} with key {got}, signed by {signer}, {reason}")]
    Certificate {
        /// Fingerprint of the certified key.
        got: String,
        /// Fingerprint of the authority that signed.
        signer: String,
        /// What its signer called it.
        key_id: String,
        /// What is wrong, and what to do.
        reason: String,
    },
}

fn vouching(count: usize) -> String {
    match count {
        0 => String::new(),
        1 => " and it has no certificate of the declared authority".to_owned(),
        more => format!(" and it has no certificate of the {more} declared authorities"),
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum SshError {
    /// No TCP connection.
    #[error("cannot reach {hop}")]
    Unreachable {
        /// Which server on the way.
        hop: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It took too long.
    #[error("{hop} did not finish {what} in {} s", after.as_secs())]
    TimedOut {
        /// Which server on the way.
        hop: String,
        /// What we waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// It is not, or not provably, the host that was declared.
    #[error("{hop} is not trusted: {problem}")]
    HostKey {
        /// Which server on the way.
        hop: String,
        /// What is wrong with its key.
        problem: HostKeyProblem,
    },
    /// Our key is not accepted.
    #[error(
        "{hop} refuses user {user} with our key {key}; it would take {methods}. Add the key to that user's authorized_keys"
    )]
    KeyRefused {
        /// Which server on the way.
        hop: String,
        /// Who we wanted to be.
        user: String,
        /// Fingerprint of our public key.
        key: String,
        /// What the server offers to go on with.
        methods: String,
    },
    /// A jump host did not connect us further.
    #[error("jump host {hop} does not connect us to {next}: {reason}")]
    JumpRefused {
        /// The jump host.
        hop: String,
        /// Where it should have led.
        next: String,
        /// Its answer.
        reason: String,
    },
    /// The protocol broke before we were in.
    #[error("the connection to {hop} broke")]
    Broken {
        /// Which server on the way.
        hop: String,
        /// What the protocol says.
        #[source]
        source: russh::Error,
    },
    /// Our own key cannot be used.
    #[error("the private key cannot be used: {reason}")]
    Identity {
        /// Why, and what would be readable. Never holds any of the key.
        reason: String,
    },
}

impl SshError {
    /// Whether looking again helps, or somebody must act first.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Unreachable { .. }
            | Self::TimedOut { .. }
            | Self::Broken { .. }
            | Self::JumpRefused { .. } => Class::Transient,
            Self::HostKey { .. } | Self::KeyRefused { .. } => Class::Refused,
            Self::Identity { .. } => Class::Invalid,
        }
    }
}

/// How a handshake ends early: by the protocol, or because we do not trust the host.
#[derive(Debug)]
pub(super) enum Handshake {
    Protocol(russh::Error),
    Untrusted(HostKeyProblem),
}

impl From<russh::Error> for Handshake {
    fn from(source: russh::Error) -> Self {
        Self::Protocol(source)
    }
}
