//! Whose a cloud resource is, written into its tags.

use std::collections::BTreeMap;

use crate::{HubId, ObjectKey, Uid};

/// Tag with the id of the hub that made the resource.
pub const TAG_HUB: &str = "fleetwright.dev/hub";
/// Tag with `namespace/name` of the object that the resource belongs to.
pub const TAG_OBJECT: &str = "fleetwright.dev/object";
/// Tag with the uid of that object.
pub const TAG_UID: &str = "fleetwright.dev/uid";
/// Tag that replaces the three others when we let a resource go (`deletionPolicy: Retain`); its value is the old uid.
pub const TAG_RELEASED: &str = "fleetwright.dev/released";

/// Tag on a node pool with the name of the declared pool that it stands for: a successor's own name differs.
pub const TAG_POOL: &str = "fleetwright.dev/pool";

/// The object that a cloud resource belongs to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Owner {
    /// The hub that made it.
    pub hub: HubId,
    /// The object it was made for.
    pub object: ObjectKey,
    /// That object's uid: the same name made anew is somebody else.
    pub uid: Uid,
}

/// What the tags of a resource say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ownership {
    /// Exactly the asking object.
    Ours,
    /// The same object name on the same hub, but an earlier life of it.
    Predecessor(Uid),
    /// Let go by us earlier.
    Released,
    /// Another object, or another hub.
    Other(String),
    /// No tag of ours at all.
    Untagged,
}

impl Owner {
    /// The tags that say so.
    #[must_use]
    pub fn tags(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            (TAG_HUB.to_owned(), self.hub.to_string()),
            (TAG_OBJECT.to_owned(), self.object.to_string()),
            (TAG_UID.to_owned(), self.uid.to_string()),
        ])
    }

    /// Reads an owner from tags; `None` when any of the three is missing or malformed.
    #[must_use]
    pub fn from_tags(tags: &BTreeMap<String, String>) -> Option<Self> {
        Some(Self {
            hub: HubId::new(tags.get(TAG_HUB)?).ok()?,
            object: ObjectKey::parse(tags.get(TAG_OBJECT)?),
            uid: Uid::new(tags.get(TAG_UID)?).ok()?,
        })
    }

    /// What `tags` mean to this owner.
    #[must_use]
    pub fn reads(&self, tags: &BTreeMap<String, String>) -> Ownership {
        match Self::from_tags(tags) {
            Some(owner) if owner == *self => Ownership::Ours,
            Some(owner) if owner.hub == self.hub && owner.object == self.object => {
                Ownership::Predecessor(owner.uid)
            }
            Some(owner) => Ownership::Other(format!("{} on hub {}", owner.object, owner.hub)),
            None if tags.contains_key(TAG_RELEASED) => Ownership::Released,
            None => Ownership::Untagged,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(hub: &str, object: &str, uid: &str) -> Owner {
        Owner {
            hub: HubId::new(hub).expect("hub"),
            object: ObjectKey::parse(object),
            uid: Uid::new(uid).expect("uid"),
        }
    }

    #[test]
    fn tags_tell_five_cases_apart() {
        let me = owner("ab", "ns/one", "1");
        assert_eq!(me.reads(&me.tags()), Ownership::Ours);
        assert_eq!(
            me.reads(&owner("ab", "ns/one", "2").tags()),
            Ownership::Predecessor(Uid::new("2").expect("uid"))
        );
        assert_eq!(
            me.reads(&owner("cd", "ns/one", "1").tags()),
            Ownership::Other("ns/one on hub cd".into())
        );
        assert_eq!(me.reads(&BTreeMap::new()), Ownership::Untagged);
        let released = BTreeMap::from([(TAG_RELEASED.to_owned(), "1".to_owned())]);
        assert_eq!(me.reads(&released), Ownership::Released);
    }

    #[test]
    fn half_a_set_of_tags_is_nobodys() {
        let me = owner("ab", "ns/one", "1");
        let mut tags = me.tags();
        tags.remove(TAG_UID);
        assert_eq!(me.reads(&tags), Ownership::Untagged);
    }
}
