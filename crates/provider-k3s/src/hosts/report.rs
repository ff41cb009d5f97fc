//! What a script says, out of everything that came over the line: `fw1 key=value`, one a line, `end` last.

use std::fmt;

use fleetwright_provider::Secret;

const MARK: &str = "fw1 ";

/// The lines of a script that reached its end.
pub(super) struct Report(Vec<(String, Secret)>);

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Report({} lines)", self.0.len())
    }
}

/// What a script's output amounts to.
#[derive(Debug)]
pub(super) enum Said {
    /// It reached its end.
    Whole(Report),
    /// It refused: code and reason.
    Refusal(String, String),
    /// It stopped in the middle.
    Part,
    /// It never began.
    Nothing,
}

/// Reads standard output. Lines of others, such as a login shell's greeting, are passed over.
pub(super) fn read(stdout: &Secret) -> Said {
    let mut lines = Vec::new();
    for line in stdout.expose().lines() {
        let Some((key, value)) = line.strip_prefix(MARK).and_then(|rest| rest.split_once('='))
        else {
            continue;
        };
        let value = value.trim();
        match key {
            "error" => {
                let (code, reason) = value.split_once(' ').unwrap_or((value, ""));
                let reason = reason.chars().filter(|c| !c.is_control()).take(300).collect();
                return Said::Refusal(code.to_owned(), reason);
            }
            // Nothing before it was ours, however much it looked so.
            "begin" => lines = vec![(key.to_owned(), Secret::new(value.to_owned()))],
            "end" => return Said::Whole(Report(lines)),
            _ => lines.push((key.to_owned(), Secret::new(value.to_owned()))),
        }
    }
    if lines.is_empty() { Said::Nothing } else { Said::Part }
}

impl Report {
    /// All values of a key in their order.
    pub(super) fn all<'a>(&'a self, key: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(name, _)| name == key).map(|(_, value)| value.expose())
    }

    /// The first value of a key, when it says anything.
    pub(super) fn one<'a>(&'a self, key: &'a str) -> Option<&'a str> {
        self.all(key).next().filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str) -> Said {
        read(&Secret::new(text.to_owned()))
    }

    #[test]
    fn noise_is_passed_over() {
        let text = "Welcome to store 17!\nfw1 uid=7\nfw1 begin=ok\nfw2 uid=8\nfw1 nonsense\n\nfw1 uid=0\r\nfw1 a=b=c\nfw1 end=ok\n";
        let Said::Whole(report) = said(text) else { panic!("the end was there") };
        assert_eq!(report.one("uid"), Some("0"));
        assert_eq!(report.one("a"), Some("b=c"));
        assert_eq!(report.one("b"), None);
        assert_eq!(format!("{report:?}"), "Report(3 lines)");
    }

    #[test]
    fn without_its_end_a_script_has_said_nothing() {
        assert!(matches!(said("fw1 begin=ok\n"), Said::Part));
        assert!(matches!(said("welcome\n"), Said::Nothing));
    }

    #[test]
    fn a_refusal_has_a_code_and_a_reason() {
        let Said::Refusal(code, reason) =
            said("fw1 changed=yes\nfw1 error=not-ours edge/store-1\n")
        else {
            panic!("it refused")
        };
        assert_eq!((code.as_str(), reason.as_str()), ("not-ours", "edge/store-1"));
    }
}
