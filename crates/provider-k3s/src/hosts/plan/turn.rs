//! How far a running K3s may be disturbed, and what waits for that.

/// What a change means for a running K3s, the lesser first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// It restarts, and its containers go on.
    Restart,
    /// It becomes another version, which pods may notice.
    Upgrade,
}

/// How far a running K3s may be disturbed now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Disruption {
    /// Not at all. What does not disturb is done all the same: the binary is sent ahead.
    Held,
    /// New files may be written and read by a restart.
    Restart,
    /// It may become another version too.
    Upgrade,
}

impl Disruption {
    pub(super) fn allows(self, cause: Cause) -> bool {
        match cause {
            Cause::Restart => self >= Self::Restart,
            Cause::Upgrade => self >= Self::Upgrade,
        }
    }
}

/// What waits for its turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The greatest of what is to happen.
    pub cause: Cause,
    /// What would be done, in order.
    pub due: Vec<String>,
}
