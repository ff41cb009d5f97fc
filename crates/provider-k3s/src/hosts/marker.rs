//! Whose a host is: a file on it says so, as tags do in a cloud.

use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use serde::{Deserialize, Serialize};

/// Where the marker lies. Scripts know it too.
pub(crate) const PATH: &str = "/etc/fleetwright/owner";
const FIRST_LINE: &str = "fleetwright 1";

/// What the marker of a host says. As data it is its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Marker {
    /// It belongs to this object.
    Owned(Owner),
    /// An object with this uid let it go.
    Released(Uid),
    /// Something that we do not understand, perhaps of a later Fleetwright; its first lines.
    Unreadable(String),
}

impl Marker {
    /// The file's text, without the last line end.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Owned(Owner { hub, object, uid }) => {
                format!("{FIRST_LINE}\nhub {hub}\nobject {object}\nuid {uid}")
            }
            Self::Released(uid) => format!("{FIRST_LINE}\nreleased {uid}"),
            Self::Unreadable(text) => text.clone(),
        }
    }

    /// Reads the file's text.
    pub(crate) fn read(text: &str) -> Self {
        read(text).unwrap_or_else(|| Self::Unreadable(text.to_owned()))
    }
}

impl From<String> for Marker {
    fn from(text: String) -> Self {
        Self::read(&text)
    }
}

impl From<Marker> for String {
    fn from(marker: Marker) -> Self {
        marker.text()
    }
}

fn read(text: &str) -> Option<Marker> {
    let mut lines = text.lines();
    if lines.next()? != FIRST_LINE {
        return None;
    }
    let rest: Vec<(&str, &str)> =
        lines.map(|line| line.split_once(' ')).collect::<Option<Vec<_>>>()?;
    match rest.as_slice() {
        [("hub", hub), ("object", object), ("uid", uid)] => Some(Marker::Owned(Owner {
            hub: HubId::new(*hub).ok()?,
            object: ObjectKey::parse(object),
            uid: Uid::new(*uid).ok()?,
        })),
        [("released", uid)] => Some(Marker::Released(Uid::new(*uid).ok()?)),
        _ => None,
    }
}

/// One step of a marker's life. Done on the host only while it still says `was`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MarkerChange {
    /// What the last look found; `None`: there was no marker.
    pub was: Option<Marker>,
    /// What it is to say.
    pub now: Marker,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_read_as_it_was_written() {
        let owner = Owner {
            hub: HubId::new("ab-1").expect("hub"),
            object: ObjectKey::parse("edge/store-17"),
            uid: Uid::new("12-ab").expect("uid"),
        };
        let owned = Marker::Owned(owner);
        assert_eq!(owned.text(), "fleetwright 1\nhub ab-1\nobject edge/store-17\nuid 12-ab");
        assert_eq!(Marker::read(&format!("{}\n", owned.text())), owned);
        let released = Marker::Released(Uid::new("12-ab").expect("uid"));
        assert_eq!(released.text(), "fleetwright 1\nreleased 12-ab");
        assert_eq!(Marker::read(&released.text()), released);
    }

    #[test]
    fn what_is_not_wholly_understood_is_nobodys() {
        for text in [
            "",
            "fleetwright 2\nhub ab\nobject a/b\nuid 1",
            "fleetwright 1\nhub ab\nobject a/b",
            "fleetwright 1\nhub ab\nobject a/b\nuid 1\nlease 7",
            "fleetwright 1\nreleased not a uid",
        ] {
            assert_eq!(Marker::read(text), Marker::Unreadable(text.to_owned()));
        }
    }
}
