//! Reads host keys as people write them down: single public keys, and OpenSSH's `known_hosts` (sshd(8)).

use russh::keys::PublicKey;
use russh::keys::ssh_key::known_hosts::{Entry, HostPatterns, Marker};

use super::trust::{HostKeys, Rule, Standing};

/// Longest text that is read.
const MOST_BYTES: usize = 1 << 20;

/// Why host keys could not be read. Nothing is skipped in silence: a line left out may be a `@revoked` one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KnownHostsError {
    /// Not a public key.
    #[error("{0:?} is no public key; give it as in a .pub file, for example \"ssh-ed25519 AAAA…\"")]
    Key(String),
    /// A line that is not in the format.
    #[error("line {0} is no line of a known_hosts file: it should be [@marker] hosts type key")]
    Line(usize),
    /// A hashed name.
    #[error(
        "line {0} holds a hashed host name; write the name itself, since nobody can review a hash"
    )]
    Hashed(usize),
    /// Too long.
    #[error("{0} bytes are more than {MOST_BYTES}")]
    Long(usize),
}

impl HostKeys {
    /// Adds a key that `host` may show; `host` may have OpenSSH's form `[host]:port`.
    ///
    /// # Errors
    /// [`KnownHostsError::Key`] when `key` is no public key.
    pub fn pin(&mut self, host: &str, key: &str) -> Result<(), KnownHostsError> {
        let (patterns, key) = (vec![host.to_ascii_lowercase()], public(key)?);
        self.add(Rule { patterns, standing: Standing::Pinned, key });
        Ok(())
    }

    /// Adds an authority whose certificates prove any host that they name.
    ///
    /// # Errors
    /// [`KnownHostsError::Key`] when `key` is no public key.
    pub fn authority(&mut self, key: &str) -> Result<(), KnownHostsError> {
        let (patterns, key) = (vec!["*".to_owned()], public(key)?);
        self.add(Rule { patterns, standing: Standing::Authority, key });
        Ok(())
    }

    /// Reads the lines of a `known_hosts` file: pinned keys, `@cert-authority` and `@revoked`, patterns with `*`, `?` and `!`.
    ///
    /// # Errors
    /// On the first line that is not understood; see [`KnownHostsError`].
    pub fn from_known_hosts(text: &str) -> Result<Self, KnownHostsError> {
        if text.len() > MOST_BYTES {
            return Err(KnownHostsError::Long(text.len()));
        }
        let mut keys = Self::default();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.trim();
            if !line.is_empty() && !line.starts_with('#') {
                keys.add(rule(line, number)?);
            }
        }
        Ok(keys)
    }
}

fn rule(line: &str, number: usize) -> Result<Rule, KnownHostsError> {
    // Several blanks may stand between the fields.
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    let entry: Entry = fields.join(" ").parse().map_err(|_format| KnownHostsError::Line(number))?;
    let HostPatterns::Patterns(patterns) = entry.host_patterns() else {
        return Err(KnownHostsError::Hashed(number));
    };
    let patterns = patterns.iter().map(|pattern| pattern.to_ascii_lowercase()).collect();
    let standing = match entry.marker() {
        None => Standing::Pinned,
        Some(Marker::CertAuthority) => Standing::Authority,
        Some(Marker::Revoked) => Standing::Revoked,
    };
    Ok(Rule { patterns, standing, key: entry.public_key().key_data().clone() })
}

fn public(key: &str) -> Result<russh::keys::ssh_key::public::KeyData, KnownHostsError> {
    let parsed: Result<PublicKey, _> = key.trim().parse();
    parsed
        .map(|key| key.key_data().clone())
        .map_err(|_format| KnownHostsError::Key(key.chars().take(60).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_line_that_is_not_understood_stops_the_reading() {
        let read = |text: &str| HostKeys::from_known_hosts(text).map(|keys| keys.len());
        let good =
            format!("# stores\n\n@cert-authority *.store.example {KEY} ca\n10.0.0.11   {KEY}\n");
        assert_eq!(read(&good), Ok(2));
        assert_eq!(read("10.0.0.11 ssh-ed25519\n"), Err(KnownHostsError::Line(1)));
        assert_eq!(read(&format!("\n@trusted * {KEY}\n")), Err(KnownHostsError::Line(2)));
        let hashed = format!("|1|c2FsdHNhbHRzYWx0c2FsdHNhbHQ=|aGFzaGhhc2hoYXNoaGFzaGhhc2g= {KEY}");
        assert_eq!(read(&hashed), Err(KnownHostsError::Hashed(1)));
        assert_eq!(read(&" ".repeat((1 << 20) + 1)), Err(KnownHostsError::Long((1 << 20) + 1)));
    }

    #[test]
    fn a_single_key_is_read_with_its_comment_and_nothing_else_is() {
        let mut keys = HostKeys::default();
        assert_eq!(keys.pin("10.0.0.11", &format!("{KEY} root@store-17\n")), Ok(()));
        assert_eq!(keys.authority(KEY), Ok(()));
        assert_eq!(keys.len(), 2);
        assert_eq!(keys.pin("h", "AAAA"), Err(KnownHostsError::Key("AAAA".to_owned())));
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_reading(text in "[ -~\n|@*#]{0,200}") {
            // Whatever it holds, it is read whole or refused.
            let _read = HostKeys::from_known_hosts(&text);
            let _key = HostKeys::default().pin(&text, &text);
        }
    }
}
