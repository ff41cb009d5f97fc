//! YAML with line numbers: a tree like `serde_json::Value` in which every node knows where it stands.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::Spanned;

/// A node and its line, from 1.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) line: u64,
    tree: Tree,
}

#[derive(Debug, Clone)]
enum Tree {
    Scalar(Value),
    List(Vec<Located>),
    /// The line of an entry is that of its key: the value of a block mapping starts a line later.
    Map(Vec<(u64, String, Located)>),
}

impl Located {
    /// The same without lines.
    pub(crate) fn value(&self) -> Value {
        match &self.tree {
            Tree::Scalar(value) => value.clone(),
            Tree::List(items) => items.iter().map(Self::value).collect(),
            Tree::Map(entries) => {
                let pairs = entries.iter().map(|(_, key, inner)| (key.clone(), inner.value()));
                Value::Object(pairs.collect::<Map<_, _>>())
            }
        }
    }

    /// The items under a key, if there is a list.
    pub(crate) fn items(&self, key: &str) -> Option<&[Self]> {
        match &self.child(key)?.1.tree {
            Tree::List(items) => Some(items),
            Tree::Scalar(_) | Tree::Map(_) => None,
        }
    }

    /// The line of a path like `spec.nodePools[0].size`, or of the deepest part of it that is there.
    pub(crate) fn line_of(&self, path: &str) -> u64 {
        let mut line = self.line;
        let mut at = self;
        for step in steps(path) {
            match at.child(step) {
                Some((found, next)) => (line, at) = (found, next),
                None => break,
            }
        }
        line
    }

    fn child(&self, step: &str) -> Option<(u64, &Self)> {
        match &self.tree {
            Tree::Scalar(_) => None,
            Tree::List(items) => {
                let item = items.get(step.parse::<usize>().ok()?)?;
                Some((item.line, item))
            }
            Tree::Map(entries) => entries
                .iter()
                .find(|(_, key, _)| key == step)
                .map(|(line, _, inner)| (*line, inner)),
        }
    }
}

/// `spec.nodePools[0].size` as `spec`, `nodePools`, `0`, `size`. What is in brackets may hold dots.
pub(crate) fn steps(path: &str) -> Vec<&str> {
    let mut steps = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let (step, after) = match rest.strip_prefix('[') {
            Some(inside) => inside.split_once(']').unwrap_or((inside, "")),
            None => rest.split_at(rest.find(['.', '[']).unwrap_or(rest.len())),
        };
        steps.push(step);
        rest = after;
    }
    steps
}

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Tree>::deserialize(deserializer)?;
        Ok(Self { line: spanned.referenced.line(), tree: spanned.value })
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Nodes)
    }
}

struct Nodes;

impl<'de> Visitor<'de> for Nodes {
    type Value = Tree;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("YAML that has a JSON form")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Tree, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Tree::Scalar(Value::Number(number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Tree, E> {
        Ok(Tree::Scalar(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Tree, E> {
        Ok(Tree::Scalar(Value::Null))
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        Tree::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Tree, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Tree::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Tree, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, inner)) = map.next_entry::<Spanned<String>, Located>()? {
            entries.push((key.referenced.line(), key.value, inner));
        }
        Ok(Tree::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_split_at_dots_and_brackets() {
        assert_eq!(steps("spec.nodePools[0].size"), ["spec", "nodePools", "0", "size"]);
        assert_eq!(steps("metadata.labels[a.b/c]"), ["metadata", "labels", "a.b/c"]);
        assert_eq!(steps(""), [""; 0]);
    }

    #[test]
    fn every_field_has_the_line_of_its_key() {
        let text = "a: 1\nb:\n  c:\n  - x: {y: 2}\n  - {x: 3}\n";
        let tree: Located = serde_saphyr::from_str(text).expect("YAML");
        let lines = ["a", "b", "b.c", "b.c[0].x.y", "b.c[1].x", "b.c[1].missing.too"];
        assert_eq!(lines.map(|path| tree.line_of(path)), [1, 2, 3, 4, 5, 5]);
        assert_eq!(
            tree.value(),
            serde_json::json!({"a": 1, "b": {"c": [{"x": {"y": 2}}, {"x": 3}]}})
        );
    }

    #[test]
    fn quoted_numbers_stay_text() {
        let tree: Located =
            serde_saphyr::from_str("{a: \"1.34\", b: 1.5, c: ~, d: true}").expect("YAML");
        assert_eq!(tree.value(), serde_json::json!({"a": "1.34", "b": 1.5, "c": null, "d": true}));
    }
}
