//! Holds the `PUT` bodies that we write against Azure's own JSON Schema, made strict.
//!
//! The schema lies beside the project (`../shared/data/aks`, or `FLEETWRIGHT_AKS_SCHEMA`); where it does not, there is nothing
//! to hold against, and the test says so. It is draft 4 with an alternative for template expressions at every value, which is
//! dropped, and it leaves objects open, which are closed here: what it does not know is wrong.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use fleetwright_plan::{CloudAction, Resource};
use fleetwright_provider::wire_request;
use regex::Regex;
use serde_json::{Value, json};

use crate::support::{account, cluster, desire};
use crate::world::{Case, manifest, merge, yaml};

const FILE: &str = "Microsoft.ContainerService.Aks-2026-03-01.json";

/// The schema, if it is there.
#[derive(Debug)]
pub(crate) struct Judge {
    whole: Value,
    patterns: Mutex<BTreeMap<String, Regex>>,
}

impl Judge {
    /// The only judge of this program; `None`: there is no schema here.
    pub(crate) fn there() -> Option<&'static Self> {
        static JUDGE: OnceLock<Option<Judge>> = OnceLock::new();
        JUDGE.get_or_init(Self::read).as_ref()
    }

    fn read() -> Option<Self> {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/aks");
        let chosen = std::env::var_os("FLEETWRIGHT_AKS_SCHEMA").map(PathBuf::from);
        let text = std::fs::read_to_string(chosen.unwrap_or(beside).join(FILE)).ok()?;
        let whole = serde_json::from_str(&text).expect("the schema is JSON");
        Some(Self { whole, patterns: Mutex::default() })
    }

    /// What is wrong with the body of a `PUT` of such a resource, by path.
    pub(crate) fn wrong(&self, resource: &Resource, body: &Value) -> Vec<String> {
        let name = match resource {
            Resource::Cluster => "managedClusters",
            Resource::Pool(_) => "managedClusters_agentPools",
            Resource::Part(_) => "managedClusters_maintenanceConfigurations",
        };
        let mut schema = self.whole["resourceDefinitions"][name].clone();
        // Those of templates; a request has them in its path.
        for key in ["apiVersion", "type", "name", "resources", "dependsOn", "comments"] {
            schema["properties"].as_object_mut().expect("properties").remove(key);
        }
        schema["required"] = json!(["properties"]);
        let mut found = Vec::new();
        self.walk("", &schema, body, &mut found);
        found
    }

    /// Fails when the body of a `PUT` is not as Azure's contract has it.
    #[track_caller]
    pub(crate) fn hold(&self, resource: &Resource, body: &Value) {
        let wrong = self.wrong(resource, body);
        assert!(wrong.is_empty(), "{resource}: {wrong:#?} in {body:#}");
    }

    fn walk(&self, path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
        // Azure reads it as nothing, and writes it so itself.
        if value.is_null() {
            return;
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.strip_prefix("#/definitions/").expect("an inner reference");
            return self.walk(path, &self.whole["definitions"][name], value, found);
        }
        if let Some(choices) = schema["oneOf"].as_array() {
            let expression = |choice: &&Value| {
                choice["$ref"].as_str().is_some_and(|at| at.ends_with("expression"))
            };
            let real: Vec<&Value> = choices.iter().filter(|choice| !expression(choice)).collect();
            let [only] = real.as_slice() else { unreachable!("one choice at {path}") };
            return self.walk(path, only, value, found);
        }
        let right = match schema["type"].as_str() {
            Some("object") => value.is_object(),
            Some("array") => value.is_array(),
            Some("string") => value.is_string(),
            Some("integer") => value.is_i64() || value.is_u64(),
            Some("number") => value.is_number(),
            Some("boolean") => value.is_boolean(),
            other => unreachable!("type {other:?} at {path}"),
        };
        if !right {
            found.push(format!("{path}: {value} is no {}", schema["type"]));
            return;
        }
        self.bounds(path, schema, value, found);
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.walk(&format!("{path}[{index}]"), &schema["items"], item, found);
        }
        let known = |key: &str| schema["properties"].get(key);
        for (key, inner) in value.as_object().into_iter().flatten() {
            let below = format!("{path}.{key}");
            match (known(key), &schema["additionalProperties"]) {
                (Some(schema), _) | (None, schema @ Value::Object(_)) => {
                    self.walk(&below, schema, inner, found);
                }
                (None, _) => found.push(format!("{below}: unknown")),
            }
        }
        for key in schema["required"].as_array().into_iter().flatten() {
            if value.get(key.as_str().expect("a key")).is_none() {
                found.push(format!("{path}: {key} is missing"));
            }
        }
    }

    fn bounds(&self, path: &str, schema: &Value, value: &Value, found: &mut Vec<String>) {
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            found.push(format!("{path}: {value} is none of {}", schema["enum"]));
        }
        if let (Some(pattern), Some(text)) = (schema["pattern"].as_str(), value.as_str()) {
            let mut patterns = self.patterns.lock().expect("the patterns");
            let pattern = patterns
                .entry(pattern.to_owned())
                .or_insert_with(|| Regex::new(pattern).expect("a pattern"));
            if !pattern.is_match(text) {
                found.push(format!("{path}: {text:?} does not fit {pattern}"));
            }
        }
        if let Some(number) = value.as_f64() {
            let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
            let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
            if below || above {
                found.push(format!("{path}: {number} is out of bounds"));
            }
        }
    }
}

/// Judges a step that creates; what is changed is judged by whoever knows the whole.
pub(crate) fn hold_creation(resource: &Resource, action: &CloudAction) {
    if let (Some(judge), CloudAction::Create { body }) = (Judge::there(), action) {
        judge.hold(resource, &wire_request(body));
    }
}

/// Every request of a declaration.
#[track_caller]
fn hold_all(judge: &Judge, case: &str) -> usize {
    let desired = desire(manifest(&yaml(case)), account()).unwrap_or_else(|problems| {
        panic!("{problems:#?} in {case}");
    });
    judge.hold(&Resource::Cluster, &wire_request(&desired.body));
    for pool in &desired.pools {
        judge.hold(&Resource::Pool(pool.name.clone()), &wire_request(&pool.body));
    }
    for part in &desired.parts {
        judge.hold(&Resource::Part(part.key.clone()), &wire_request(&part.body));
    }
    1 + desired.pools.len() + desired.parts.len()
}

#[test]
fn every_request_is_as_azures_contract_has_it() {
    let cases = [
        "{}",
        crate::declare::EVERYTHING,
        "{aks: {tier: Premium, support: LongTerm}}",
        "{aks: {tier: Free, support: Standard, entra: null, network: null}}",
        "{aks: {identity: {type: SystemAssigned}}}",
        "{aks: {apiServer: {access: Public}}}",
        "{aks: {apiServer: {access: Private, privateDnsZone: System, runCommand: Enabled}}}",
        "{aks: {apiServer: {access: Private, privateDnsZone: None}}}",
        "{aks: {network: {plugin: Kubenet, pluginMode: null, dataplane: Azure, policy: Calico, podCidr: 10.100.0.0/16}}}",
        "{aks: {network: {plugin: None, pluginMode: null, dataplane: null, policy: None, outbound: None}}}",
        "{aks: {network: {outbound: ManagedNatGateway, policy: null, dataplane: Azure}}}",
        "{aks: {network: {pluginMode: null, dataplane: null, policy: Azure, outbound: LoadBalancer}}}",
        "{aks: {network: {serviceCidr: 10.8.0.0/16}}}",
        "{aks: {autoUpgrade: {kubernetes: Patch, nodeOs: SecurityPatch}}}",
        "{aks: {autoUpgrade: {kubernetes: None, nodeOs: Unmanaged}}}",
        "{aks: {autoUpgrade: {kubernetes: NodeImage}}}",
        "{aks: {autoUpgrade: {nodeOs: None}}}",
        "{aks: {maintenanceConfigurations: []}}",
        "{pools: {web: {capacity: Spot, aks: {spotMaxPrice: '0.25', evictionPolicy: Deallocate}}}}",
        "{pools: {win: {aks: {os: Windows, osSku: Windows2022}}}, aks: {network: {dataplane: Azure, policy: null}}}",
        "{pools: {web: {update: {maxUnavailable: 25%, drainTimeout: 20m}, aks: {nodeSoak: 5m}}}}",
        "{pools: {web: {size: {min: 2, max: 2, initial: null}, imageUpdates: InWindow}}}",
    ];
    let Some(judge) = Judge::there() else {
        println!("skipped: no schema here");
        return;
    };
    let judged: usize = cases.iter().map(|case| hold_all(judge, case)).sum();
    assert!(judged > 60, "{judged} requests");
}

#[test]
fn the_judge_is_strict() {
    let Some(judge) = Judge::there() else {
        println!("skipped: no schema here");
        return;
    };
    let desired = desire(cluster(), account()).expect("no problems");
    let body = wire_request(&desired.body);
    assert_eq!(judge.wrong(&Resource::Cluster, &body), [""; 0]);
    for (patch, expected) in [
        (json!({"properties": {"dnsPrefx": "a"}}), ".properties.dnsPrefx: unknown"),
        (
            json!({"properties": {"networkProfile": {"networkPluginMode": "Overlay"}}}),
            r#".properties.networkProfile.networkPluginMode: "Overlay" is none of ["overlay"]"#,
        ),
        (
            json!({"properties": {"disableLocalAccounts": "yes"}}),
            r#".properties.disableLocalAccounts: "yes" is no "boolean""#,
        ),
        (
            json!({"properties": {"agentPoolProfiles": [{"name": "Too-Long-For-AKS"}]}}),
            r#".properties.agentPoolProfiles[0].name: "Too-Long-For-AKS" does not fit ^[a-z][a-z0-9]{0,11}$"#,
        ),
        (
            json!({"properties": {"agentPoolProfiles": [{"osDiskSizeGB": 4096}]}}),
            ".properties.agentPoolProfiles[0].osDiskSizeGB: 4096 is out of bounds",
        ),
    ] {
        let mut wrong = body.clone();
        merge(&mut wrong, &patch);
        assert_eq!(judge.wrong(&Resource::Cluster, &wrong)[0], expected, "{patch}");
    }
}

#[test]
fn what_plans_write_is_as_azures_contract_has_it() {
    let mut judged = 0;
    for case in ["{cluster: absent}", "{pools: {web: {aks: {vmSize: Standard_D4s_v5}}}}"] {
        for step in Case::read(case).plan().steps {
            if let fleetwright_plan::Step::Cloud(step) = step {
                hold_creation(&step.resource, &step.action);
                judged += 1;
            }
        }
    }
    assert_eq!(judged, 2, "a control plane, and a successor");
}
