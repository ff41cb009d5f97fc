//! Sets of fields, kept in the very form of `fieldsV1`: a tree of steps, where `{}` or a child `.` means that the node
//! itself is in the set.
//!
//! Keeping the wire's form makes decoding and encoding free, which every write of an object with owners pays.

use serde_json::{Map, Value};

use crate::element::{SELF, canonical, shown};
use crate::schema::{Schema, TypeId};

/// A tree of steps to a node's children.
pub(crate) type Node = Map<String, Value>;

/// A set of fields of one object.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FieldSet(pub(crate) Node);

/// Whether the node itself is in the set.
pub(crate) fn is_member(node: &Node) -> bool {
    node.is_empty() || node.contains_key(SELF)
}

/// What a value of a tree holds; anything but a tree is a node without children.
pub(crate) fn node_of(value: &Value) -> Option<&Node> {
    value.as_object()
}

/// The node's children: without itself.
pub(crate) fn children(node: &Node) -> impl Iterator<Item = (&String, &Node)> {
    node.iter().filter(|(step, _)| *step != SELF).filter_map(|(step, v)| Some((step, node_of(v)?)))
}

/// Puts the node itself into the set.
pub(crate) fn mark(node: &mut Node) {
    if !node.is_empty() {
        node.insert(SELF.to_owned(), Value::Object(Map::new()));
    }
}

fn unite(into: &mut Node, other: Node) {
    let member = is_member(into) || is_member(&other);
    unite_children(into, other);
    if member {
        mark(into);
    }
}

fn unite_children(into: &mut Node, other: Node) {
    for (step, child) in other {
        let Value::Object(child) = child else { continue };
        if step == SELF {
            continue;
        }
        match into.get_mut(&step).and_then(Value::as_object_mut) {
            Some(own) => unite(own, child),
            None => drop(into.insert(step, Value::Object(child))),
        }
    }
}

/// Takes `other` out of the node; answers whether anything of it is left.
fn subtract(from: &mut Node, other: &Node) -> bool {
    let member = is_member(from) && !is_member(other);
    from.remove(SELF);
    subtract_children(from, other);
    if member {
        mark(from);
    }
    member || !from.is_empty()
}

fn subtract_children(from: &mut Node, other: &Node) {
    if from.is_empty() {
        return;
    }
    for (step, child) in children(other) {
        let left = match from.get_mut(step).and_then(Value::as_object_mut) {
            Some(own) => subtract(own, child),
            None => true,
        };
        if !left {
            from.remove(step);
        }
    }
}

/// Takes `other` out with everything below its members.
fn subtract_trees(from: &mut Node, other: &Node) {
    for (step, child) in children(other) {
        if is_member(child) {
            from.remove(step);
        } else if let Some(own) = from.get_mut(step).and_then(Value::as_object_mut) {
            let member = is_member(own);
            own.remove(SELF);
            subtract_trees(own, child);
            if member {
                mark(own);
            } else if own.is_empty() {
                from.remove(step);
            }
        }
    }
}

fn common(one: &Node, other: &Node) -> Node {
    let mut found = Map::new();
    for (step, child) in children(one) {
        let Some(twin) = other.get(step).and_then(node_of) else {
            continue;
        };
        let mut below = common(child, twin);
        if is_member(child) && is_member(twin) {
            mark(&mut below);
        } else if below.is_empty() {
            continue;
        }
        found.insert(step.clone(), Value::Object(below));
    }
    found
}

fn touches(one: &Node, other: &Node) -> bool {
    let (few, many) = if one.len() <= other.len() { (one, other) } else { (other, one) };
    children(few).any(|(step, child)| {
        let twin = many.get(step).and_then(node_of);
        twin.is_some_and(|twin| (is_member(child) && is_member(twin)) || touches(child, twin))
    })
}

fn well_formed(node: &Node, root: bool) -> Option<Node> {
    let mut out = Map::new();
    for (step, child) in node {
        let child = child.as_object()?;
        if step == SELF {
            if root || !child.is_empty() {
                return None;
            }
            out.insert(SELF.to_owned(), Value::Object(Map::new()));
        } else {
            out.insert(canonical(step)?, Value::Object(well_formed(child, false)?));
        }
    }
    // A lone `.` says no more than `{}`.
    if out.len() == 1 {
        out.remove(SELF);
    }
    Some(out)
}

impl FieldSet {
    /// Reads a `fieldsV1`, or None if it is none.
    #[must_use]
    pub fn decode(fields: &Value) -> Option<Self> {
        match fields {
            Value::Null => Some(Self::default()),
            Value::Object(node) => well_formed(node, true).map(Self),
            _ => None,
        }
    }

    /// The set as `fieldsV1`.
    #[must_use]
    pub fn encode(self) -> Value {
        Value::Object(self.0)
    }

    /// Whether no field is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the field at these steps (`f:spec`, `f:replicas`) is in the set itself.
    #[must_use]
    pub fn contains(&self, steps: &[&str]) -> bool {
        let found = steps.iter().try_fold(&self.0, |node, step| node.get(*step).and_then(node_of));
        !steps.is_empty() && found.is_some_and(is_member)
    }

    /// Adds all fields of the other set.
    pub fn unite(&mut self, other: Self) {
        unite_children(&mut self.0, other.0);
    }

    /// Takes the other set's fields out; their children stay.
    pub fn subtract(&mut self, other: &Self) {
        subtract_children(&mut self.0, &other.0);
    }

    /// Takes the other set's fields out, with all that lies below them.
    pub fn subtract_trees(&mut self, other: &Self) {
        subtract_trees(&mut self.0, &other.0);
    }

    /// What is in both.
    #[must_use]
    pub fn common(&self, other: &Self) -> Self {
        Self(common(&self.0, &other.0))
    }

    /// Whether anything is in both.
    #[must_use]
    pub fn touches(&self, other: &Self) -> bool {
        touches(&self.0, &other.0)
    }

    /// Keeps those below these steps of the root only.
    pub(crate) fn retain_roots(&mut self, keep: impl Fn(&str) -> bool) {
        self.0.retain(|step, _| keep(step));
    }

    /// Takes out what nobody owns.
    pub(crate) fn strip(&mut self) {
        for key in ["f:apiVersion", "f:kind"] {
            self.0.remove(key);
        }
        let Some(metadata) = self.0.get_mut("f:metadata").and_then(Value::as_object_mut) else {
            return;
        };
        metadata.remove(SELF);
        for name in crate::UNOWNED_METADATA {
            metadata.remove(&crate::element::field(name));
        }
        if metadata.is_empty() {
            self.0.remove("f:metadata");
        }
    }

    /// The members as people read them, parents before children: `.spec.containers[name="a"].image`.
    #[must_use]
    pub fn paths(&self) -> Vec<String> {
        let mut out = Vec::new();
        paths(&self.0, "", &mut out);
        out
    }

    /// The same set with every declared field above a member in it, too.
    pub(crate) fn with_named_parents(&self, schema: &Schema, id: TypeId) -> Self {
        Self(with_named_parents(&self.0, schema, Some(id)))
    }
}

fn paths(node: &Node, prefix: &str, out: &mut Vec<String>) {
    for (step, _) in children(node).filter(|(_, child)| is_member(child)) {
        out.push(format!("{prefix}{}", shown(step)));
    }
    for (step, child) in children(node).filter(|(_, child)| !child.is_empty()) {
        paths(child, &format!("{prefix}{}", shown(step)), out);
    }
}

fn with_named_parents(node: &Node, schema: &Schema, id: Option<TypeId>) -> Node {
    let kind = id.map(|id| schema.node(id));
    let mut out = Map::new();
    for (step, child) in children(node) {
        let (below, named) = match (step.split_once(':'), kind) {
            (Some(("f", name)), Some(kind)) => {
                let map = kind.map.as_ref();
                let declared = map.and_then(|map| map.fields.get(name)).copied();
                (declared.or_else(|| map.and_then(|map| map.element)), declared.is_some())
            }
            (Some(("k" | "v", _)), Some(kind)) => (kind.list.as_ref().map(|l| l.item), false),
            _ => (None, false),
        };
        let mut copy = with_named_parents(child, schema, below);
        if is_member(child) || named {
            mark(&mut copy);
        }
        out.insert(step.clone(), Value::Object(copy));
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(value: Value) -> FieldSet {
        FieldSet::decode(&value).unwrap_or_default()
    }

    #[test]
    fn union_keeps_parents_that_are_members_themselves() {
        let mut one = set(json!({"f:a": {"f:b": {}}, "f:c": {}}));
        one.unite(set(json!({"f:a": {}, "f:c": {"f:d": {}}})));
        assert_eq!(one.encode(), json!({"f:a": {".": {}, "f:b": {}}, "f:c": {".": {}, "f:d": {}}}));
    }

    #[test]
    fn difference_takes_members_and_leaves_children() {
        let mut one = set(json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}));
        one.subtract(&set(json!({"f:a": {".": {}, "f:b": {}}, "f:x": {}})));
        assert_eq!(one, set(json!({"f:a": {"f:c": {}}, "f:d": {}})));
        one.subtract(&set(json!({"f:a": {"f:c": {}}, "f:d": {}})));
        assert!(one.is_empty());
    }

    #[test]
    fn subtracting_trees_takes_what_lies_below() {
        let mut one = set(json!({"f:a": {"f:b": {"f:c": {}}}, "f:d": {".": {}, "f:e": {}}}));
        one.subtract_trees(&set(json!({"f:a": {"f:b": {}}, "f:d": {"f:e": {}}})));
        assert_eq!(one.encode(), json!({"f:d": {}}));
    }

    #[test]
    fn what_is_in_both_is_found() {
        let one = set(json!({"f:a": {".": {}, "f:b": {}}, "f:c": {}}));
        let other = set(json!({"f:a": {"f:b": {}}, "f:c": {"f:d": {}}}));
        assert_eq!(one.common(&other).encode(), json!({"f:a": {"f:b": {}}}));
        assert!(one.touches(&other));
        assert!(!set(json!({"f:a": {}})).touches(&set(json!({"f:a": {"f:b": {}}}))));
    }

    #[test]
    fn what_is_no_field_set_is_refused() {
        for bad in [
            json!([]),
            json!({"name": {}}),
            json!({"f:a": 1}),
            json!({".": {}}),
            json!({"f:a": {".": {"f:b": {}}}}),
            json!({"k:{": {}}),
        ] {
            assert_eq!(FieldSet::decode(&bad), None, "{bad}");
        }
        assert_eq!(set(json!({"f:a": {".": {}}})).encode(), json!({"f:a": {}}));
    }

    #[test]
    fn paths_come_parents_first() {
        let fields = json!({"f:b": {"f:c": {}}, "f:z": {}, "f:l": {r#"k:{"n":"a"}"#: {".": {}}}});
        assert_eq!(set(fields).paths(), [".z", ".b.c", r#".l[n="a"]"#]);
    }
}
