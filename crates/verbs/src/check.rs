//! Checks of manifests before anything is sent: the schema and the rules that the hub will check again.

use std::collections::BTreeSet;

use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_apiserver_core::status::{Cause, CauseReason};
use fleetwright_apiserver_core::validate;
use serde_json::Value;

use crate::located::steps;
use crate::manifest::{Finding, Manifest};
use crate::suggest::nearest;

/// What etcd takes at most in one request, unless it is told otherwise; no Kubernetes API stores a larger object.
const MOST_BYTES: usize = 1536 * 1024;
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// Everything that is wrong with `manifests`, in the order of the files.
#[must_use]
pub fn check(manifests: &[Manifest], scheme: &Scheme) -> Vec<Finding> {
    let mut seen = BTreeSet::new();
    let mut findings = Vec::new();
    for manifest in manifests {
        findings.extend(one(manifest, scheme));
        let named = !manifest.text("/metadata/name").is_empty();
        if named && !seen.insert((manifest.text("/apiVersion"), manifest.title())) {
            let message = format!("{} is declared twice", manifest.title());
            findings.push(manifest.finding("metadata.name", message));
        }
    }
    findings
}

fn one(manifest: &Manifest, scheme: &Scheme) -> Vec<Finding> {
    if !manifest.object.is_object() {
        return vec![
            manifest.finding("", "not an object; a manifest starts with apiVersion and kind"),
        ];
    }
    let bytes = manifest.object.to_string().len();
    if bytes > MOST_BYTES {
        let message = format!(
            "{} has {bytes} bytes; a Kubernetes API stores at most {MOST_BYTES} of one object",
            manifest.title()
        );
        return vec![manifest.finding("", message)];
    }
    let (version, kind) = (manifest.text("/apiVersion"), manifest.text("/kind"));
    let Some(rt) = scheme.find_kind(version, kind) else {
        return vec![unknown_kind(manifest, scheme)];
    };
    let mut findings = Vec::new();
    if manifest.text("/metadata/name").is_empty() {
        findings.push(manifest.finding("metadata.name", "missing"));
    }
    match (rt.namespaced, manifest.text("/metadata/namespace").is_empty()) {
        (true, true) => findings.push(manifest.finding("metadata.namespace", "missing")),
        (false, false) => {
            let message = format!("{kind} belongs to no namespace; remove this line");
            findings.push(manifest.finding("metadata.namespace", message));
        }
        (true, false) | (false, true) => {}
    }
    let mut object = manifest.object.clone();
    for path in validate::prune(rt, &mut object) {
        findings.push(manifest.finding(&path, unknown_field(rt, scheme, &path)));
    }
    if rt.custom {
        findings.extend(refusals(rt, (&object, None), manifest));
    }
    findings.sort();
    findings
}

/// What the hub would refuse about an object of ours, new or in place of `old`, as findings in the manifest it came from.
pub(crate) fn refusals(
    rt: &ResourceType,
    (object, old): (&Value, Option<&Value>),
    manifest: &Manifest,
) -> Vec<Finding> {
    let causes = validate::validate(rt, object, old).causes;
    let causes = causes.iter().filter(|cause| !cause.field.is_empty() && cause.field != "<nil>");
    causes.map(|cause| manifest.finding(&cause.field, plain(object, cause))).collect()
}

fn unknown_kind(manifest: &Manifest, scheme: &Scheme) -> Finding {
    let (version, kind) = (manifest.text("/apiVersion"), manifest.text("/kind"));
    if version.is_empty() || kind.is_empty() {
        let missing = if version.is_empty() { "apiVersion" } else { "kind" };
        return manifest.finding(missing, "missing");
    }
    if let Some(rt) = scheme.types().find(|rt| rt.kind == kind) {
        let message =
            format!("{kind} has no version {version}; did you mean {}?", rt.api_version());
        return manifest.finding("apiVersion", message);
    }
    let known = nearest(kind, scheme.types().map(|rt| rt.kind.as_str()));
    let hint = known.map_or_else(String::new, |known| format!("; did you mean {known}?"));
    manifest.finding("kind", format!("unknown kind {kind} of {version}{hint}"))
}

fn unknown_field(rt: &ResourceType, scheme: &Scheme, path: &str) -> String {
    let steps = steps(path);
    let Some((last, parents)) = steps.split_last() else { return "unknown".to_owned() };
    let known = fields_at(rt, scheme, parents);
    match nearest(last, known.iter().map(String::as_str)) {
        Some(near) => format!("unknown; did you mean {near}?"),
        None if known.is_empty() => "unknown".to_owned(),
        None => format!("unknown; known are {}", known.join(", ")),
    }
}

/// The names of the fields that the schema knows under a path, sorted.
fn fields_at(rt: &ResourceType, scheme: &Scheme, parents: &[&str]) -> Vec<String> {
    let mut at = &rt.schema;
    for step in parents {
        let at_metadata = *step == "metadata" && rt.custom;
        let next = at.pointer(&format!("/properties/{step}")).or_else(|| at.get("items"));
        let next = next.or_else(|| at.get("additionalProperties"));
        let target = if at_metadata { Some(OBJECT_META) } else { next.and_then(target_of) };
        let referenced = target.and_then(|name| scheme.definitions().get(name));
        match referenced.or(next) {
            Some(schema) => at = schema,
            None => return Vec::new(),
        }
    }
    let known = at.get("properties").and_then(Value::as_object);
    known.map(|fields| fields.keys().cloned().collect()).unwrap_or_default()
}

/// The name that a reference points to, also where a described reference hides in an `allOf`.
fn target_of(schema: &Value) -> Option<&str> {
    let holder = schema.pointer("/allOf/0").unwrap_or(schema);
    holder.get("$ref")?.as_str()?.rsplit('/').next()
}

/// The server's text without what the reader sees anyway: the field, and the value where it stands in the file.
fn plain(object: &Value, cause: &Cause) -> String {
    let message = cause.message.as_str();
    if cause.reason == CauseReason::TypeInvalid
        && let Some((wanted, found)) = message
            .split_once(" must be of type ")
            .and_then(|(_, types)| types.strip_suffix('"')?.split_once(": \""))
    {
        let hint = if (wanted, found) == ("string", "number") { ": put it in quotes" } else { "" };
        return format!("must be of type {wanted}, not {found}{hint}");
    }
    let message = message.strip_prefix("Invalid value: ").unwrap_or(message);
    let pointer: String = steps(&cause.field).iter().map(|step| format!("/{step}")).collect();
    let shown = object.pointer(&pointer).map(Value::to_string).unwrap_or_default();
    let message = message
        .strip_prefix(&format!("{shown}: "))
        .or_else(|| message.strip_prefix("\"object\": "))
        .unwrap_or(message);
    let message = message.strip_prefix(&format!("{} in body ", cause.field)).unwrap_or(message);
    format!("{message}{}", numbers(object.pointer(&pointer)))
}

/// The numbers of a small object that a rule is about: a rule in a CRD cannot name them, since real API servers judge
/// such a message too costly.
fn numbers(value: Option<&Value>) -> String {
    let fields = value.and_then(Value::as_object).into_iter().flatten();
    let shown: Vec<String> =
        fields.filter(|(_, at)| at.is_number()).map(|(key, at)| format!("{key} {at}")).collect();
    if shown.is_empty() { String::new() } else { format!(" ({})", shown.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<String> {
        let scheme = crate::hub_scheme().expect("our own kinds");
        let manifests = crate::manifest::parse("f.yaml", text).expect("YAML");
        check(&manifests, &scheme).iter().map(ToString::to_string).collect()
    }

    const CLUSTER: &str = "\
apiVersion: fleetwright.dev/v1alpha1
kind: ManagedCluster
metadata: {name: one, namespace: shop}
spec:
  version: \"1.34\"
  providerConfigRef: {name: aws}
  eks:
    region: eu-west-1
    roleArn: arn:aws:iam::111122223333:role/cp
    network: {subnetIds: [a, b]}
  nodePools:
  - name: general
    size: {min: 3, max: 4}
    eks: {roleArn: 'arn:aws:iam::111122223333:role/nodes'}
";

    #[test]
    fn a_good_cluster_has_no_findings() {
        assert_eq!(findings(CLUSTER), [""; 0]);
    }

    #[test]
    fn a_broken_rule_is_told_with_its_line_and_the_pool_by_name() {
        let text = CLUSTER.replace("min: 3", "min: 5");
        assert_eq!(
            findings(&text),
            ["f.yaml:13  spec.nodePools[general].size  min is above max (max 4, min 5)"]
        );
    }

    #[test]
    fn an_unknown_field_gets_a_suggestion() {
        let text = CLUSTER.replace("eks: {roleArn", "eks: {instanceType: [m7g.xlarge], roleArn");
        let expected = "f.yaml:14  spec.nodePools[general].eks.instanceType  unknown; did you mean instanceTypes?";
        assert_eq!(findings(&text), [expected]);
        let text = CLUSTER.replace("namespace: shop", "namespace: shop, lables: {a: b}");
        assert_eq!(findings(&text), ["f.yaml:3  metadata.lables  unknown; did you mean labels?"]);
    }

    #[test]
    fn wrong_types_and_missing_fields_are_told_in_plain_words() {
        let text = CLUSTER.replace("\"1.34\"", "1.34").replace("    region: eu-west-1\n", "");
        assert_eq!(
            findings(&text),
            [
                "f.yaml:5  spec.version  must be of type string, not number: put it in quotes",
                "f.yaml:7  spec.eks.region  Required value",
            ]
        );
    }

    #[test]
    fn an_object_that_no_api_stores_is_refused_in_one_line() {
        let patch = format!("payloadPatch: {{x: {}}}", "y".repeat(2 * 1024 * 1024));
        let text = CLUSTER.replace("network: {", &format!("{patch}\n    network: {{"));
        let found = findings(&text);
        assert_eq!(found.len(), 1);
        let expected = "bytes; a Kubernetes API stores at most 1572864 of one object";
        assert!(
            found[0].starts_with("f.yaml:1  ManagedCluster shop/one has 20975"),
            "{}",
            found[0]
        );
        assert!(found[0].ends_with(expected), "{}", found[0]);
    }

    #[test]
    fn new_fields_are_known_to_the_last_letter() {
        let text = CLUSTER.replace(
            "    network: {subnetIds: [a, b]}",
            "    network: {subnetIds: [a, b], endpoint: {acces: Public}}\n    managedAddons: []\n    access: {entries: [{principalArn: x}]}",
        );
        let told = findings(&text);
        for expected in [
            "f.yaml:10  spec.eks.network.endpoint.acces  unknown; did you mean access?",
            "f.yaml:11  spec.eks.managedAddons  unknown; did you mean managedAddOns?",
            "f.yaml:12  spec.eks.access.entries[0].principalArn  should match",
        ] {
            assert!(
                told.iter().any(|line| line.starts_with(expected)),
                "{expected} not in {told:#?}"
            );
        }
    }

    #[test]
    fn two_provider_blocks_or_none_are_told_where_they_stand() {
        let aks = "  aks: {subscriptionId: 00000000-0000-0000-0000-000000000000, resourceGroup: rg, location: westeurope}\n";
        let two = CLUSTER.replace("  nodePools:", &format!("{aks}  nodePools:"));
        let expected = "f.yaml:4  spec  exactly one provider block is needed: eks, aks or k3s";
        assert_eq!(findings(&two), [expected]);
        let (head, tail) = CLUSTER.split_once("  eks:\n").expect("a block");
        let (_, tail) = tail.split_once("  nodePools:").expect("pools");
        let none = format!("{head}  nodePools:{tail}");
        assert_eq!(findings(&none), [expected]);
    }

    #[test]
    fn kinds_versions_and_namespaces_are_checked() {
        let kind = CLUSTER.replace("kind: ManagedCluster", "kind: ManagedClutser");
        assert_eq!(
            findings(&kind),
            [
                "f.yaml:2  kind  unknown kind ManagedClutser of fleetwright.dev/v1alpha1; did you mean ManagedCluster?"
            ]
        );
        let version = CLUSTER.replace("v1alpha1", "v1");
        assert_eq!(
            findings(&version),
            [
                "f.yaml:1  apiVersion  ManagedCluster has no version fleetwright.dev/v1; did you mean fleetwright.dev/v1alpha1?"
            ]
        );
        let nowhere = CLUSTER.replace(", namespace: shop", "");
        assert_eq!(findings(&nowhere), ["f.yaml:3  metadata.namespace  missing"]);
        assert_eq!(findings("a: 1"), ["f.yaml:1  apiVersion  missing"]);
    }

    #[test]
    fn the_same_object_twice_is_refused() {
        let text = format!("{CLUSTER}---\n{CLUSTER}");
        assert_eq!(
            findings(&text),
            ["f.yaml:18  metadata.name  ManagedCluster shop/one is declared twice"]
        );
    }
}
