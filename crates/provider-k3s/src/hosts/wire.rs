//! The seam between deeds and hosts: a script goes out with its input, its output comes back.
//!
//! Every script travels by standard input behind one constant command, so nothing of a deed, secret or not, shows in the
//! arguments of a process on the host. The shell first reads how long the script is, then exactly that much; what follows is the
//! script's own input. `read` and `dd bs=1` take no byte too many; `sh -s` would, since most shells read ahead. A script that
//! did not arrive whole is not run: the first half of a deed may be a very different deed.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fleetwright_errclass::Class;
use fleetwright_provider::Secret;

use super::digest::Blob;

macro_rules! boot {
    () => {
        r#"LC_ALL=C; IFS= read -r n && s=$(dd bs=1 count="$n" 2>/dev/null; echo .) && [ "${#s}" -eq "$((n + 1))" ] && eval "${s%.}""#
    };
}

/// For root: reads the script and runs it. Holds no `!`, which some login shells expand even in single quotes.
const BOOT: &str = concat!("exec /bin/sh -c '", boot!(), "'");
/// For everybody else, who must be allowed `sudo -n /bin/sh`.
const BOOT_BY_SUDO: &str = concat!("exec sudo -n /bin/sh -c '", boot!(), "'");

/// The command that every script of `user` runs behind.
#[must_use]
pub fn boot_command(user: &str) -> &'static str {
    if user == "root" { BOOT } else { BOOT_BY_SUDO }
}

/// What a script reads from its standard input.
#[derive(Debug, Clone)]
pub enum Payload {
    /// Nothing.
    Nothing,
    /// Text that must not be seen.
    Secret(Secret),
    /// Part of a binary.
    Blob(Blob),
}

impl Payload {
    /// The bytes to send.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        match self {
            Self::Nothing => Bytes::new(),
            Self::Secret(text) => Bytes::copy_from_slice(text.expose().as_bytes()),
            Self::Blob(blob) => blob.bytes(),
        }
    }
}

/// One script with its input.
#[derive(Debug, Clone)]
pub struct Request {
    /// What it does, for messages: `write /etc/rancher/k3s/config.yaml`.
    pub what: String,
    /// The script. Never holds a secret; its first line names the deed for hosts that are simulated.
    pub script: String,
    /// What the script reads.
    pub payload: Payload,
    /// How long it may take.
    pub timeout: Duration,
}

impl Request {
    /// What goes before the payload: the script's length in bytes, a line end, the script.
    #[must_use]
    pub fn head(&self) -> Bytes {
        Bytes::from(format!("{}\n{}", self.script.len(), self.script))
    }
}

/// How a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// With this status.
    Exit(u32),
    /// Killed by this signal.
    Signal(String),
}

/// What a script printed. May hold a secret, so it prints as lengths.
#[derive(Clone)]
pub struct Output {
    /// How it ended.
    pub ended: Ended,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Output {
    /// Takes over what was printed.
    #[must_use]
    pub fn new(ended: Ended, stdout: Vec<u8>, stderr: Vec<u8>) -> Self {
        Self { ended, stdout, stderr }
    }

    /// Standard output; bytes that are no UTF-8 are replaced.
    #[must_use]
    pub fn stdout(&self) -> Secret {
        Secret::new(String::from_utf8_lossy(&self.stdout).into_owned())
    }

    /// The last line that says something, without control characters, at most 300 characters of it.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = String::from_utf8_lossy(&self.stderr);
        let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
        line.chars().filter(|c| !c.is_control()).take(300).collect()
    }
}

impl fmt::Debug for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (out, err) = (self.stdout.len(), self.stderr.len());
        write!(f, "Output({:?}, {out} bytes, {err} bytes of errors)", self.ended)
    }
}

/// Why there is no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The connection went away; the script may have run.
    #[error(
        "the connection to {host} was lost ({why}); whether it took effect is unknown, so we look again"
    )]
    Lost {
        /// Which host.
        host: String,
        /// What the connection says.
        why: String,
    },
    /// No answer in time; the script may have run, or may still.
    #[error("{host} did not answer in {} s; whether it took effect is unknown, so we look again", after.as_secs())]
    TimedOut {
        /// Which host.
        host: String,
        /// How long we waited.
        after: Duration,
    },
    /// The host runs nothing for us; nothing happened.
    #[error("{host} refuses: {why}; look at ForceCommand and MaxSessions of its sshd")]
    Refused {
        /// Which host.
        host: String,
        /// Its answer.
        why: String,
    },
    /// It printed without end.
    #[error("{host} printed more than {most} bytes; look for what its shell prints at login")]
    TooMuch {
        /// Which host.
        host: String,
        /// The limit.
        most: usize,
    },
}

impl WireError {
    /// What it means for the loop.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Lost { .. } | Self::TimedOut { .. } => Class::Unknown,
            Self::Refused { .. } | Self::TooMuch { .. } => Class::Refused,
        }
    }
}

/// A host that runs scripts as root. SSH in the real world, a state machine in the simulated one.
#[async_trait]
pub trait HostWire: Send + Sync {
    /// Runs one script to its end, whatever its status.
    ///
    /// # Errors
    /// [`WireError`] when the end was not seen; it tells whether the script may have run.
    async fn exec(&self, request: &Request) -> Result<Output, WireError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_says_how_long_the_script_is_in_bytes() {
        let request = Request {
            what: "try".into(),
            script: "echo ä\n".into(),
            payload: Payload::Secret(Secret::new("hunter2".into())),
            timeout: Duration::from_secs(1),
        };
        assert_eq!(request.head(), "8\necho ä\n".as_bytes());
        assert_eq!(request.payload.bytes(), "hunter2".as_bytes());
        assert!(!format!("{request:?}").contains("hunter2"));
    }

    #[test]
    fn output_shows_its_size_only_and_last_words_are_one_clean_line() {
        let error = b"noise\nsudo: a \x1b[31mpassword is required\n\n".to_vec();
        let output = Output::new(Ended::Exit(1), b"fw1 token=hunter2\n".to_vec(), error);
        assert_eq!(format!("{output:?}"), "Output(Exit(1), 18 bytes, 41 bytes of errors)");
        assert_eq!(output.last_words(), "sudo: a [31mpassword is required");
    }

    #[test]
    fn only_root_needs_no_sudo() {
        assert!(boot_command("root").starts_with("exec /bin/sh -c '"));
        assert!(boot_command("ops").starts_with("exec sudo -n /bin/sh -c '"));
    }
}
