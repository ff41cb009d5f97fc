//! Where a host is and through which others it is reached.

use std::fmt;

/// The port of SSH where nothing else is said.
const DEFAULT_PORT: u16 = 22;
/// More jump hosts than this are a mistake in the declaration.
const MOST_JUMPS: usize = 8;

/// One SSH server and the user there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    host: String,
    port: u16,
    user: String,
}

impl Hop {
    /// A server on port 22; `host` is a DNS name, an IPv4 or an IPv6 address without brackets.
    ///
    /// # Errors
    /// When host or user is empty, too long (253 and 64 characters), or holds anything that no such name holds.
    pub fn new(host: impl Into<String>, user: impl Into<String>) -> Result<Self, RouteError> {
        let (host, user) = (host.into(), user.into());
        if !named(&host, 253, b".-:%_") {
            return Err(RouteError::Host(host));
        }
        if !named(&user, 64, b".-_@$") || user.starts_with('-') {
            return Err(RouteError::User(user));
        }
        Ok(Self { host, port: DEFAULT_PORT, user })
    }

    /// The same server on another port.
    #[must_use]
    pub fn on_port(self, port: u16) -> Self {
        Self { port, ..self }
    }

    /// Name or address, as declared.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The TCP port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Who we are there.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The name under which OpenSSH files its keys: the bare host on port 22, `[host]:port` elsewhere.
    #[must_use]
    pub fn key_name(&self) -> String {
        if self.port == DEFAULT_PORT {
            return self.host.to_ascii_lowercase();
        }
        format!("[{}]:{}", self.host.to_ascii_lowercase(), self.port)
    }
}

fn named(value: &str, most: usize, also: &[u8]) -> bool {
    let known = |byte: u8| byte.is_ascii_alphanumeric() || also.contains(&byte);
    !value.is_empty() && value.len() <= most && value.bytes().all(known)
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.key_name())
    }
}

/// A host and the jump hosts before it, nearest to us first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    jumps: Vec<Hop>,
    target: Hop,
}

impl Route {
    /// # Errors
    /// When there are more than 8 jump hosts.
    pub fn new(jumps: Vec<Hop>, target: Hop) -> Result<Self, RouteError> {
        if jumps.len() > MOST_JUMPS {
            return Err(RouteError::Jumps(jumps.len()));
        }
        Ok(Self { jumps, target })
    }

    /// The host that is meant.
    #[must_use]
    pub fn target(&self) -> &Hop {
        &self.target
    }

    /// Every server on the way in the order of passing, the target last.
    pub(crate) fn hops(&self) -> impl Iterator<Item = &Hop> {
        self.jumps.iter().chain(std::iter::once(&self.target))
    }
}

/// Why no way was made of a declaration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RouteError {
    /// Not a host.
    #[error("{0:?} is no host: give a DNS name or an address, without user, port or brackets")]
    Host(String),
    /// Not a user.
    #[error("{0:?} is no user name")]
    User(String),
    /// Too long a way.
    #[error("{0} jump hosts are more than {MOST_JUMPS}")]
    Jumps(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_other_than_22_is_part_of_the_name_of_a_key() {
        let hop = Hop::new("Store-17.Example", "ops").expect("hop");
        assert_eq!(hop.key_name(), "store-17.example");
        assert_eq!(hop.on_port(2222).key_name(), "[store-17.example]:2222");
    }

    #[test]
    fn what_is_no_host_or_user_is_refused() {
        for host in ["", "a b", "ops@host", "[::1]", "host;reboot", "host\n"] {
            assert_eq!(Hop::new(host, "ops"), Err(RouteError::Host(host.to_owned())));
        }
        for user in ["", "-oProxyCommand=x", "a b", "root\n"] {
            assert_eq!(Hop::new("h", user), Err(RouteError::User(user.to_owned())));
        }
        assert!(Hop::new("fe80::1%eth0", "ops").is_ok());
    }

    #[test]
    fn jump_hosts_have_a_limit() {
        let hop = Hop::new("h", "ops").expect("hop");
        assert!(Route::new(vec![hop.clone(); 8], hop.clone()).is_ok());
        assert_eq!(Route::new(vec![hop.clone(); 9], hop), Err(RouteError::Jumps(9)));
    }
}
