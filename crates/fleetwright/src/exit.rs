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
    /// Whoever read its output went away: what a shell makes of SIGPIPE.
    ReaderGone,
}

impl Exit {
    /// The code that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Changes => 2,
            Self::NotReady => 3,
            Self::Interrupted => 130,
            Self::ReaderGone => 141,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
