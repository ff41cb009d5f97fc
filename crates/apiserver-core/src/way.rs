//! The way to a value inside an object, as `spec.pools[0].name`.
//!
//! Steps are borrowed and linked, so that walking costs the same however long the keys above are;
//! only who has something to tell of a place writes it out.

use std::fmt;

/// Bytes of a way that are written. A key can be as long as a body, and be above every value in it.
const WRITTEN_LIMIT: usize = 2048;

/// A way from the root.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way<'a> {
    /// What a walk begins with: empty, or the way to what is walked.
    Start(&'a str),
    /// A field of the value above.
    Field(&'a Way<'a>, &'a str),
    /// An item of the list above.
    Item(&'a Way<'a>, usize),
}

impl<'a> Way<'a> {
    pub(crate) fn field(&'a self, name: &'a str) -> Self {
        Self::Field(self, name)
    }

    pub(crate) fn item(&'a self, index: usize) -> Self {
        Self::Item(self, index)
    }

    pub(crate) fn is_root(&self) -> bool {
        matches!(self, Self::Start(""))
    }
}

/// Writes the way; one that is too long ends in `…`.
impl fmt::Display for Way<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut steps = Vec::new();
        let mut at = self;
        let start = loop {
            match at {
                Self::Start(start) => break *start,
                Self::Field(above, _) | Self::Item(above, _) => {
                    steps.push(at);
                    at = above;
                }
            }
        };
        let mut text = String::new();
        push(&mut text, start);
        for step in steps.into_iter().rev() {
            match step {
                Self::Start(_) => {}
                Self::Field(_, name) if text.is_empty() => push(&mut text, name),
                Self::Field(_, name) => {
                    push(&mut text, ".");
                    push(&mut text, name);
                }
                Self::Item(_, index) => push(&mut text, &format!("[{index}]")),
            }
            if text.len() > WRITTEN_LIMIT {
                break;
            }
        }
        f.write_str(&text)
    }
}

/// Appends as much as may be written.
fn push(text: &mut String, part: &str) {
    let left = WRITTEN_LIMIT.saturating_sub(text.len());
    match part.char_indices().find(|(at, _)| *at >= left.max(1)) {
        Some((end, _)) if part.len() > left => {
            text.push_str(&part[..end]);
            text.push('…');
        }
        _ => text.push_str(part),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_is_written_with_dots_and_brackets() {
        let root = Way::Start("");
        let list = root.field("spec");
        let list = list.field("pools");
        let item = list.item(2);
        assert_eq!(item.field("name").to_string(), "spec.pools[2].name");
        assert_eq!(Way::Start("metadata").field("labels").to_string(), "metadata.labels");
        assert!(root.is_root() && !item.is_root());
        assert_eq!(root.to_string(), "");
    }

    #[test]
    fn a_giant_key_is_not_written_whole() {
        for giant in ["x".repeat(1_000_000), "ö".repeat(500_000)] {
            let root = Way::Start("");
            let field = root.field(&giant);
            let text = field.item(1).to_string();
            assert!(text.len() < 2_100 && text.ends_with('…'), "{}", text.len());
        }
    }
}
