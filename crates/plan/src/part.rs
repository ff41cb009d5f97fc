//! Further parts of a cluster: what a cloud keeps beside control plane and pools.

use std::fmt;

/// A further part of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct PartKey {
    /// What kind of part.
    pub kind: PartKind,
    /// Its name, unique within the kind.
    pub name: String,
}

/// A kind of part, and what of it concerns the order of work. Each provider names its own as constants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct PartKind {
    words: &'static str,
    holds_control_plane: bool,
    one_at_a_time: bool,
    has_tags: bool,
}

impl PartKind {
    /// A kind that bears tags and goes with its control plane. `words` are lower-case and for people, for example
    /// `managed add-on`.
    #[must_use]
    pub const fn new(words: &'static str) -> Self {
        Self { words, holds_control_plane: false, one_at_a_time: false, has_tags: true }
    }

    /// A kind that keeps its control plane from going, and that the cloud makes and removes one at a time.
    #[must_use]
    pub const fn holding(words: &'static str) -> Self {
        Self { one_at_a_time: true, ..Self::holding_together(words) }
    }

    /// A kind that keeps its control plane from going; any number of them may be made and removed at once.
    #[must_use]
    pub const fn holding_together(words: &'static str) -> Self {
        Self { holds_control_plane: true, ..Self::new(words) }
    }

    /// A kind without tags of its own: it goes with its control plane and belongs to whom that belongs. Providers give its
    /// parts the control plane's tags.
    #[must_use]
    pub const fn untagged(words: &'static str) -> Self {
        Self { has_tags: false, ..Self::new(words) }
    }

    /// Whether the cloud refuses to delete the control plane while such a part is there.
    #[must_use]
    pub const fn holds_control_plane(self) -> bool {
        self.holds_control_plane
    }

    /// Whether the cloud makes and removes one such part at a time.
    #[must_use]
    pub const fn one_at_a_time(self) -> bool {
        self.one_at_a_time
    }

    /// Whether such a part is claimed and let go by itself.
    #[must_use]
    pub const fn has_tags(self) -> bool {
        self.has_tags
    }
}

impl fmt::Display for PartKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words)
    }
}

impl serde::Serialize for PartKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.words)
    }
}

impl fmt::Display for PartKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.name)
    }
}
