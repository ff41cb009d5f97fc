//! How the program ends; the codes are part of the contract and stand in `--help`.

use std::process::ExitCode;

/// Why the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did what it was asked.
    Done,
    /// It failed, or the input is invalid.
    Failed,
    /// `plan` found changes.
    Changes,
    /// `up --once` ran out of time.
    NotReady,
    /// Somebody asked it to stop before it was done.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            Exit::NotReady => 3,
            Exit::Interrupted => 130,
        })
    }
}
