//! Every CRD in `api/crds` must be one that we can serve, and the kinds must behave.

use std::path::Path;
use std::sync::Arc;

use fleetwright_apiserver_core::crud::{Birth, Context, create};
use fleetwright_apiserver_core::discovery;
use fleetwright_apiserver_core::openapi::OpenApi;
use fleetwright_apiserver_core::request::Options;
use fleetwright_apiserver_core::scheme::{ResourceType, Scheme};
use fleetwright_apiserver_core::validate::validate;
use serde_json::{Value, json};

fn contract() -> Scheme {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api/crds");
    let mut scheme = Scheme::builtin();
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let crd: Value = serde_saphyr::from_str(&text).unwrap();
        scheme =
            scheme.with_crd(&crd).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    scheme
}

fn managed_cluster() -> Arc<ResourceType> {
    let scheme = contract();
    Arc::clone(scheme.find("fleetwright.dev", "v1alpha1", "managedclusters").unwrap())
}

#[test]
fn all_our_kinds_are_discovered_with_status() {
    let list = discovery::resources(&contract(), "fleetwright.dev", "v1alpha1").unwrap();
    let names: Vec<&str> =
        list["resources"].as_array().unwrap().iter().filter_map(|r| r["name"].as_str()).collect();
    assert!(names.contains(&"managedclusters"), "{names:?}");
    assert!(names.contains(&"managedclusters/status"), "{names:?}");
}

#[test]
fn our_kinds_are_explained_with_their_fields() {
    let openapi = OpenApi::build(&contract());
    let document = openapi.document("fleetwright.dev", "v1alpha1").unwrap();
    let document: Value = serde_json::from_slice(&document.body).unwrap();
    let schema = &document["components"]["schemas"]["dev.fleetwright.v1alpha1.ManagedCluster"];
    let kind =
        json!([{"group": "fleetwright.dev", "version": "v1alpha1", "kind": "ManagedCluster"}]);
    assert_eq!(schema["x-kubernetes-group-version-kind"], kind);
    assert!(schema["properties"]["spec"]["properties"]["deletionPolicy"].is_object());
}

#[test]
fn a_cluster_without_a_provider_is_refused() {
    let cluster = json!({"apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": "a"}, "spec": {}});
    let findings = validate(&managed_cluster(), &cluster, None);
    assert_ne!(findings.causes, Vec::new());
}

fn an_eks_cluster() -> Value {
    json!({"apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": "a"}, "spec": {
            "version": "1.34",
            "providerConfigRef": {"name": "aws"},
            "eks": {"region": "eu-west-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                "network": {"subnetIds": ["subnet-0a", "subnet-0b"]}}}})
}

#[test]
fn a_good_cluster_is_admitted_and_a_misspelt_field_named() {
    let rt = managed_cluster();
    let options = Options::default();
    let now = "2026-01-02T03:04:05Z".parse().unwrap();
    let ctx = Context { rt: &rt, namespace: Some("n"), now, options: &options };
    let mut body = an_eks_cluster();
    body["spec"]["deletionPolicie"] = json!("Delete");
    let birth = Birth { uid: "u".into(), suffix: "abcde".into() };
    let made = create(&ctx, body.into(), birth).unwrap();
    assert_eq!(made.warnings, ["unknown field \"spec.deletionPolicie\""]);
    // Nothing is written into a spec: no defaults, only what was declared.
    assert_eq!(made.object["spec"], an_eks_cluster()["spec"]);
}
