//! Tags as Azure takes them. Azure refuses `/` in a tag's name, so ours are written `fleetwright.dev_uid` there, and only
//! there: above the wire they are `fleetwright.dev/uid`, as everywhere.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// What our tags begin with, above the wire.
const OURS: &str = "fleetwright.dev/";
/// What they begin with in Azure.
const THEIRS: &str = "fleetwright.dev_";

/// The `tags` of a request.
pub(crate) fn to_azure(tags: &BTreeMap<String, String>) -> Map<String, Value> {
    tags.iter().map(|(name, value)| (name_in_azure(name), Value::from(value.as_str()))).collect()
}

/// A tag's name as Azure takes it.
pub(crate) fn name_in_azure(name: &str) -> String {
    name.strip_prefix(OURS).map_or_else(|| name.to_owned(), |rest| format!("{THEIRS}{rest}"))
}

/// The `tags` of an answer. Names of ours are read whatever their case, since Azure compares names without it; what is no
/// text is left out.
pub(crate) fn from_azure(tags: &Value) -> BTreeMap<String, String> {
    let tags = tags.as_object().into_iter().flatten();
    tags.filter_map(|(name, value)| Some((ours(name), value.as_str()?.to_owned()))).collect()
}

fn ours(name: &str) -> String {
    match name.get(..THEIRS.len()) {
        Some(start) if start.eq_ignore_ascii_case(THEIRS) => {
            format!("{OURS}{}", name[THEIRS.len()..].to_ascii_lowercase())
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn our_names_are_written_without_a_slash_and_read_with_it() {
        let tags = BTreeMap::from([
            ("fleetwright.dev/uid".to_owned(), "0001".to_owned()),
            ("team".to_owned(), "shop".to_owned()),
        ]);
        let written = Value::Object(to_azure(&tags));
        assert_eq!(written, json!({"fleetwright.dev_uid": "0001", "team": "shop"}));
        assert_eq!(from_azure(&written), tags);
    }

    #[test]
    fn the_case_of_our_names_does_not_count() {
        let found = from_azure(&json!({"FleetWright.dev_UID": "0001", "Team": "shop", "odd": 1}));
        assert_eq!(
            found,
            BTreeMap::from([
                ("fleetwright.dev/uid".to_owned(), "0001".to_owned()),
                ("Team".to_owned(), "shop".to_owned()),
            ])
        );
        assert!(from_azure(&Value::Null).is_empty());
    }
}
