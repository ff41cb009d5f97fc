//! A script as the simulation reads it: what its first line says is to be done, and for whom.

use serde_json::Value;

const FIRST: &str = "# fleetwright deed: ";

/// A deed on a host.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Deed {
    pub(super) name: String,
    args: Value,
    /// The marker that the host must bear; `None`: any.
    pub(super) ours: Option<String>,
}

/// Why a deed is not done: the scripts' own words for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fail {
    pub(super) code: &'static str,
    pub(super) said: String,
}

impl Fail {
    pub(super) fn new(code: &'static str, said: impl Into<String>) -> Self {
        Self { code, said: said.into() }
    }
}

impl Deed {
    /// Reads a script; `None`: it is none of ours.
    pub(super) fn read(script: &str) -> Option<Self> {
        let line = script.lines().next()?.strip_prefix(FIRST)?;
        let (name, args) = line.split_once(' ').unwrap_or((line, "{}"));
        let args = serde_json::from_str(args).ok()?;
        // As the shell reads it; markers hold no quotes.
        let ours = script.split_once("\nours='").and_then(|(_, rest)| rest.split_once('\''));
        Some(Self { name: name.to_owned(), args, ours: ours.map(|(text, _)| text.to_owned()) })
    }

    pub(super) fn text(&self, key: &str) -> Result<&str, Fail> {
        self.args[key].as_str().ok_or_else(|| lacking(key))
    }

    /// A text that may be absent.
    pub(super) fn maybe(&self, key: &str) -> Option<&str> {
        self.args[key].as_str()
    }

    pub(super) fn number(&self, key: &str) -> Result<u64, Fail> {
        self.args[key].as_u64().ok_or_else(|| lacking(key))
    }

    pub(super) fn is_on(&self, key: &str) -> bool {
        self.args[key] == true
    }
}

fn lacking(key: &str) -> Fail {
    Fail::new("bug", format!("the first line of the script says nothing of {key}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_says_what_it_does_and_whose_host_it_is_for() {
        let script = "# fleetwright deed: service {\"role\":\"server\",\"action\":\"start\"}\nset -eu\n\
                      ours='fleetwright 1\nhub a\nobject n/c\nuid 7'\nrest";
        let deed = Deed::read(script).expect("a deed");
        assert_eq!(deed.name, "service");
        assert_eq!(deed.text("action"), Ok("start"));
        assert_eq!(deed.ours.as_deref(), Some("fleetwright 1\nhub a\nobject n/c\nuid 7"));
        assert_eq!(deed.number("seconds").map_err(|fail| fail.code), Err("bug"));
        let look = Deed::read("# fleetwright deed: read-facts\nset -eu\n").expect("a deed");
        assert_eq!((look.name.as_str(), look.ours), ("read-facts", None));
        assert_eq!(Deed::read("rm -rf /"), None);
    }
}
