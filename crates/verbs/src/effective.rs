//! `fleetwright get --effective`: a declaration with the documented meaning of every absent field.
//!
//! The meanings are those of the CRD's own descriptions ("Absent: `Manage`."), so there is one place to change them.

mod meaning;

use fleetwright_api_types::ProviderConfig;
use serde::Serialize;
use serde_json::{Map, Value};

use self::meaning::{Meaning, meaning, meant};
use crate::yaml::{Entry, Node};

/// The provider blocks, of a cluster and of its pools.
const PROVIDERS: [&str; 3] = ["aks", "eks", "k3s"];

/// What we derive where nobody says otherwise, and what the status then tells.
const EXTERNAL_NAMES: [&str; 3] =
    ["spec.aks.externalName", "spec.eks.externalName", "spec.k3s.externalName"];

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Origin {
    /// The object says so.
    Declared,
    /// The object says nothing, which means this.
    Default,
    /// The object says nothing, and its account does.
    Account,
}

/// One field.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Field {
    /// Its path, for example `spec.nodePools[general].size.max`.
    pub path: String,
    /// Its value; `None` when the meaning is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<Value>,
    /// Where that comes from.
    pub from: Origin,
    /// What absence means, in words, where it is no value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub meaning: Option<String>,
}

/// A whole declaration.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Every field that the schema knows, by path.
    pub fields: Vec<Field>,
    /// The same as a document with comments.
    pub document: Node,
}

/// Fills in a `ManagedCluster` object.
#[must_use]
pub fn effective(object: &Value, account: Option<&ProviderConfig>) -> Effective {
    let schema = schema();
    let empty = Map::new();
    let declared = object.get("spec").and_then(Value::as_object).unwrap_or(&empty);
    let mut filler = Filler { fields: Vec::new(), account, object, others: others(declared) };
    let spec = filler.object(&schema, declared, "spec");
    let text = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    let plain = |key: &str, value: Value| Entry {
        key: key.to_owned(),
        node: Some(Node::Scalar(value)),
        comment: None,
    };
    let metadata = Node::Map(vec![
        plain("name", text("/metadata/name")),
        plain("namespace", text("/metadata/namespace")),
    ]);
    let nested =
        |key: &str, node: Node| Entry { key: key.to_owned(), node: Some(node), comment: None };
    let document = Node::Map(vec![
        plain("apiVersion", text("/apiVersion")),
        plain("kind", text("/kind")),
        nested("metadata", metadata),
        nested("spec", Node::Map(spec)),
    ]);
    Effective { fields: filler.fields, document }
}

/// What the schema has for clouds that this cluster is not of.
fn others(declared: &Map<String, Value>) -> Vec<String> {
    let there = |key: &&str| declared.contains_key(*key);
    let Some(own) = PROVIDERS.into_iter().find(there) else { return Vec::new() };
    let blocks = PROVIDERS.into_iter().filter(|key| *key != own);
    let mut others: Vec<String> =
        blocks.flat_map(|key| [format!("spec.{key}"), format!("spec.nodePools[].{key}")]).collect();
    if own != "aks" {
        others.push("spec.nodePools[].role".to_owned());
    }
    if own == "k3s" {
        others.push("spec.nodePools".to_owned());
    }
    others
}

/// The schema of `ManagedCluster.spec`.
fn schema() -> Value {
    let pointer = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    fleetwright_api_types::crds()
        .iter()
        .find(|(_, crd)| crd["spec"]["names"]["kind"] == "ManagedCluster")
        .and_then(|(_, crd)| crd.pointer(pointer).cloned())
        .unwrap_or_default()
}

struct Filler<'a> {
    fields: Vec<Field>,
    account: Option<&'a ProviderConfig>,
    object: &'a Value,
    /// Patterns of fields that mean nothing here, so that their absence is not told.
    others: Vec<String>,
}

impl Filler<'_> {
    fn object(&mut self, schema: &Value, declared: &Map<String, Value>, path: &str) -> Vec<Entry> {
        let known = schema.get("properties").and_then(Value::as_object);
        let mut entries = Vec::new();
        for (key, inner) in known.into_iter().flatten() {
            let here = format!("{path}.{key}");
            if !declared.contains_key(key) && self.others.contains(&meaning::pattern_of(&here)) {
                continue;
            }
            let entry = match declared.get(key) {
                _ if here == "spec.tags" => self.tags(declared.get(key), &here),
                Some(value) => {
                    let node = Some(self.value(inner, value, &here));
                    Entry { key: key.clone(), node, comment: None }
                }
                None => self.absent(key, inner, declared, &here),
            };
            entries.push(entry);
        }
        entries
    }

    fn value(&mut self, schema: &Value, value: &Value, path: &str) -> Node {
        match value {
            Value::Object(map) if schema.get("properties").is_some() => {
                Node::Map(self.object(schema, map, path))
            }
            Value::Array(items) if schema.pointer("/items/properties").is_some() => {
                let item = |(index, item): (usize, &Value)| {
                    let name = item.get("name").and_then(Value::as_str);
                    let step = name.map_or_else(|| index.to_string(), str::to_owned);
                    self.value(&schema["items"], item, &format!("{path}[{step}]"))
                };
                Node::List(items.iter().enumerate().map(item).collect())
            }
            other => {
                self.tell(path, Some(other.clone()), Origin::Declared, None);
                Node::from(other)
            }
        }
    }

    fn absent(
        &mut self,
        key: &str,
        schema: &Value,
        siblings: &Map<String, Value>,
        path: &str,
    ) -> Entry {
        let entry = |node: Option<Node>, comment: String| Entry {
            key: key.to_owned(),
            node,
            comment: Some(comment),
        };
        if EXTERNAL_NAMES.contains(&path)
            && let Some(name) = self.object.pointer("/status/observed/externalName")
        {
            // On AKS what we observe names subscription and resource group as well.
            let name = name.as_str().and_then(|name| name.rsplit('/').next()).map(Value::from);
            self.tell(path, name.clone(), Origin::Default, None);
            return entry(name.map(Node::Scalar), "default: derived".to_owned());
        }
        match meant(path).or_else(|| meaning(schema)) {
            Some(Meaning::Value(word)) => {
                let same = siblings.get(&word);
                let comment = match same {
                    Some(_) => format!("default: as {word}"),
                    None => "default".to_owned(),
                };
                let value = same.cloned().unwrap_or_else(|| Value::from(word));
                self.tell(path, Some(value.clone()), Origin::Default, None);
                entry(Some(Node::Scalar(value)), comment)
            }
            Some(Meaning::Words(words)) => {
                self.tell(path, None, Origin::Default, Some(words.clone()));
                entry(None, words)
            }
            // A group of fields that mean something each.
            None if schema.get("properties").is_some() && schema.get("required").is_none() => {
                let node = Node::Map(self.object(schema, &Map::new(), path));
                entry(Some(node), "default".to_owned())
            }
            None => {
                self.tell(path, None, Origin::Default, Some("none".to_owned()));
                entry(None, "none".to_owned())
            }
        }
    }

    /// The object's tags over those of the account.
    fn tags(&mut self, declared: Option<&Value>, path: &str) -> Entry {
        let own = declared.and_then(Value::as_object).cloned().unwrap_or_default();
        let name =
            self.account.and_then(|account| account.metadata.name.clone()).unwrap_or_default();
        let defaults = self.account.map(|account| account.spec.default_tags.clone());
        let inherited: Vec<(String, String)> =
            defaults.into_iter().flatten().filter(|(key, _)| !own.contains_key(key)).collect();
        let mut entries = Vec::new();
        for (key, value) in &own {
            self.tell(&format!("{path}[{key}]"), Some(value.clone()), Origin::Declared, None);
            let node = Some(Node::Scalar(value.clone()));
            entries.push(Entry { key: key.clone(), node, comment: None });
        }
        for (key, value) in inherited {
            let value = Value::from(value);
            self.tell(&format!("{path}[{key}]"), Some(value.clone()), Origin::Account, None);
            let comment = Some(format!("account {name}"));
            entries.push(Entry { key, node: Some(Node::Scalar(value)), comment });
        }
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        let key = "tags".to_owned();
        if entries.is_empty() {
            self.tell(path, None, Origin::Default, Some("none".to_owned()));
            return Entry { key, node: None, comment: Some("none".to_owned()) };
        }
        Entry { key, node: Some(Node::Map(entries)), comment: None }
    }

    fn tell(&mut self, path: &str, value: Option<Value>, from: Origin, meaning: Option<String>) {
        self.fields.push(Field { path: path.to_owned(), value, from, meaning });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::yaml::lines;

    fn cluster() -> Value {
        json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "one", "namespace": "shop"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"}, "tags": {"team": "shop"},
                "eks": {"region": "eu-west-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                    "network": {"subnetIds": ["a", "b"]}},
                "nodePools": [{"name": "general", "size": {"min": 3, "max": 12}}]},
            "status": {"observed": {"externalName": "shop-one"}},
        })
    }

    fn account() -> ProviderConfig {
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig", "metadata": {"name": "aws"},
            "spec": {"defaultTags": {"team": "platform", "cost": "4711"}, "aws": {"identity": {"type": "Environment"}}},
        }))
        .expect("an account")
    }

    #[test]
    fn absent_fields_show_what_they_mean_and_where_that_comes_from() {
        let text = lines(&effective(&cluster(), Some(&account())).document).join("\n");
        for expected in [
            "  mode: Manage   # default",
            "  adoption: Never   # default",
            "  deletionPolicy: Retain   # default",
            "  # connection: directly",
            "  # maintenance: at any time",
            "    cost: \"4711\"   # account aws",
            "    team: shop\n",
            "    externalName: shop-one   # default: derived",
            "    # autoMode: off",
            "    # logging: whatever is set there",
            "  - capacity: OnDemand   # default",
            "    imageUpdates: Never   # default",
            "      drainTimeout: \"15m\"   # default",
            "      onDrainTimeout: Wait   # default",
            "      # maxUnavailable: the cloud's default, one",
            "      initial: 3   # default: as min",
            "  version: \"1.34\"",
        ] {
            assert!(text.contains(expected), "{expected:?} not in\n{text}");
        }
    }

    #[test]
    fn every_field_is_told_once_with_its_origin() {
        let fields = effective(&cluster(), Some(&account())).fields;
        let find = |path: &str| {
            let mut found = fields.iter().filter(|field| field.path == path);
            let first = found.next().unwrap_or_else(|| panic!("{path} is told"));
            assert!(found.next().is_none(), "{path} is told twice");
            first
        };
        let min = find("spec.nodePools[general].size.min");
        assert_eq!((min.from, min.value.clone()), (Origin::Declared, Some(json!(3))));
        let initial = find("spec.nodePools[general].size.initial");
        assert_eq!((initial.from, initial.value.clone()), (Origin::Default, Some(json!(3))));
        assert_eq!(find("spec.tags[cost]").from, Origin::Account);
        assert_eq!(find("spec.tags[team]").from, Origin::Declared);
        let logging = find("spec.eks.logging");
        assert_eq!(logging.meaning.as_deref(), Some("whatever is set there"));
    }

    fn optional_enums(schema: &Value, path: &str, found: &mut Vec<(String, Vec<Value>)>) {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for (key, inner) in schema["properties"].as_object().into_iter().flatten() {
            let here = format!("{path}.{key}");
            if let Some(words) = inner["enum"].as_array()
                && !required.contains(&json!(key))
            {
                found.push((here.clone(), words.clone()));
            }
            optional_enums(inner, &here, found);
            optional_enums(&inner["items"], &format!("{here}[]"), found);
        }
    }

    #[test]
    fn every_optional_word_of_a_closed_list_has_its_meaning() {
        let mut found = Vec::new();
        optional_enums(&schema(), "spec", &mut found);
        assert!(found.len() > 25, "{}", found.len());
        for (path, words) in found {
            match meant(&path) {
                Some(Meaning::Value(word)) => {
                    assert!(words.contains(&json!(word)), "{path}: {word}")
                }
                Some(Meaning::Words(words)) => assert!(!words.is_empty(), "{path}"),
                None => panic!("{path} has no meaning in the table"),
            }
        }
    }

    #[test]
    fn an_aks_cluster_is_filled_in_with_what_azure_does_and_nothing_of_other_clouds() {
        let object = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "retail-we", "namespace": "retail"},
            "spec": {"version": "1.34", "providerConfigRef": {"name": "azure"},
                "aks": {"subscriptionId": "00000000-0000-0000-0000-000000000000", "resourceGroup": "rg-retail",
                    "location": "westeurope", "apiServer": {"access": "Public"}, "entra": {}, "network": {}},
                "nodePools": [{"name": "sys", "role": "System", "size": {"min": 3, "max": 3}, "aks": {"vmSize": "Standard_D4ds_v5"}},
                    {"name": "web", "size": {"min": 2, "max": 20}, "aks": {"vmSize": "Standard_D8ds_v5"}}]},
            "status": {"observed": {"externalName": "00000000-0000-0000-0000-000000000000/rg-retail/retail-we-1a2b3c"}},
        });
        let text = lines(&effective(&object, None).document).join("\n");
        for expected in [
            "    externalName: retail-we-1a2b3c   # default: derived",
            "    tier: Free   # default",
            "    support: Standard   # default",
            "      authorization: Kubernetes   # default",
            "      # localAccounts: whatever is set there",
            "      plugin: Azure   # default",
            "      policy: None   # default",
            "      # privateDnsZone: System, with access Private",
            "      # maintenanceConfigurations: left alone",
            "    role: System",
            "    role: User   # default",
            "      os: Linux   # default",
            "      # diskType: AKS chooses",
        ] {
            let expected = expected.trim_start();
            assert!(text.contains(expected), "{expected:?} not in\n{text}");
        }
        assert!(!text.contains("eks"), "{text}");
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        let again: fleetwright_api_types::ManagedCluster =
            serde_json::from_value(read).expect("a cluster");
        assert_eq!(again.spec.provider(), Some("aks"));
    }

    #[test]
    fn what_is_filled_in_fits_the_schema_again() {
        let text = lines(&effective(&cluster(), None).document).join("\n");
        let read: Value = serde_saphyr::from_str(&text).expect("YAML");
        let again: fleetwright_api_types::ManagedCluster =
            serde_json::from_value(read).expect("a cluster");
        assert_eq!(again.spec.node_pools[0].size.initial, Some(3));
    }
}
