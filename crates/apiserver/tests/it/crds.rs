//! CustomResourceDefinitions that clients bring along: kube-rs' own, kubectl's, and rivals.

use std::time::Duration;

use fleetwright_apiserver::{LogicalCluster, MemoryStore, ResourceRef};
use futures::StreamExt as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::runtime::wait::{await_condition, conditions};
use kube::runtime::watcher;
use kube::{Api, ResourceExt as _};
use kube_core::CustomResourceExt as _;
use kube_derive::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kubectl::Served;
use crate::support::{add, client, in_memory, open, send_json, widget};

const CRDS: ResourceRef =
    ResourceRef::new("apiextensions.k8s.io", "v1", "customresourcedefinitions");
const PATIENCE: Duration = Duration::from_secs(20);

/// What any controller in Rust would declare.
#[derive(CustomResource, Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[kube(group = "sea.example.com", version = "v1", kind = "Ship", namespaced, status = "ShipStatus")]
#[kube(crates(kube_core = "kube_core"))]
struct ShipSpec {
    /// How many are aboard.
    crew: u32,
}

/// What a controller says of it.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
struct ShipStatus {
    port: Option<String>,
}

async fn establish(cluster: &LogicalCluster, crd: &CustomResourceDefinition) {
    let crds: Api<CustomResourceDefinition> = Api::all(client(cluster));
    crds.create(&PostParams::default(), crd).await.expect("created");
    let name = crd.name_any();
    let established = await_condition(crds, &name, conditions::is_crd_established());
    tokio::time::timeout(PATIENCE, established).await.expect("in time").expect("established");
}

#[tokio::test]
async fn a_controller_of_kube_rs_brings_its_kind_and_watches_it() {
    let (_server, cluster) = in_memory().await;
    establish(&cluster, &Ship::crd()).await;
    let ships: Api<Ship> = Api::default_namespaced(client(&cluster));
    let mut seen = Box::pin(watcher(ships.clone(), watcher::Config::default()));
    let ship = Ship::new("anna", ShipSpec { crew: 3 });
    ships.create(&PostParams::default(), &ship).await.expect("created");
    let found = async {
        while let Some(event) = seen.next().await {
            if let watcher::Event::Apply(ship) | watcher::Event::InitApply(ship) =
                event.expect("an event")
            {
                return ship.spec.crew;
            }
        }
        0
    };
    assert_eq!(tokio::time::timeout(PATIENCE, found).await.expect("in time"), 3);
    let status = json!({"status": {"port": "Kiel"}, "spec": {"crew": 9}});
    let patched = ships.patch_status("anna", &PatchParams::default(), &Patch::Merge(&status)).await;
    let patched = patched.expect("patched");
    assert_eq!(
        (patched.spec.crew, patched.status.and_then(|s| s.port).as_deref()),
        (3, Some("Kiel"))
    );
    let wrong = json!({"spec": {"crew": -1}});
    let refused = ships.patch("anna", &PatchParams::default(), &Patch::Merge(&wrong)).await;
    assert!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 422));
}

#[tokio::test]
async fn a_kind_is_there_again_after_a_restart_and_gone_after_its_end() {
    let store = MemoryStore::new();
    let server = open(store.clone()).await;
    let cluster = add(&server, "hub").await;
    establish(&cluster, &Ship::crd()).await;
    let ships: Api<Ship> = Api::default_namespaced(client(&cluster));
    let mut held = Ship::new("held", ShipSpec { crew: 1 });
    held.metadata.finalizers = Some(vec!["sea.example.com/anchor".to_owned()]);
    for ship in [&held, &Ship::new("free", ShipSpec { crew: 1 })] {
        ships.create(&PostParams::default(), ship).await.expect("created");
    }
    server.stop();
    drop((server, cluster));

    let server = open(store).await;
    let cluster = add(&server, "hub").await;
    let ships: Api<Ship> = Api::default_namespaced(client(&cluster));
    assert_eq!(ships.list(&Default::default()).await.expect("listed").items.len(), 2);
    let crds: Api<CustomResourceDefinition> = Api::all(client(&cluster));
    crds.delete("ships.sea.example.com", &DeleteParams::default()).await.expect("deleting");
    let left = ships.list(&Default::default()).await.expect("still served").items;
    assert_eq!(left.iter().map(|ship| ship.name_any()).collect::<Vec<_>>(), ["held"]);
    let none = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    ships.patch("held", &PatchParams::default(), &none).await.expect("freed");
    let gone = async {
        while crds.get_opt("ships.sea.example.com").await.expect("an answer").is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("in time");
    let path = "/apis/sea.example.com/v1/namespaces/default/ships";
    assert_eq!(send_json(&cluster, "GET", path, None).await.0, 404);
}

fn crd(plural: &str, kind: &str, versions: Value) -> Value {
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.rival.example.com")},
        "spec": {"group": "rival.example.com", "scope": "Namespaced", "versions": versions,
            "names": {"plural": plural, "kind": kind, "shortNames": ["rv"]}}})
}

fn version(name: &str, storage: bool) -> Value {
    json!({"name": name, "served": true, "storage": storage, "deprecated": !storage,
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {
            "spec": {"type": "object", "properties": {
                "size": {"type": "integer", "default": 1}}}}}}})
}

fn condition(crd: &Value, kind: &str) -> (String, String) {
    let conditions = crd["status"]["conditions"].as_array().into_iter().flatten();
    let mut found = conditions.filter(|condition| condition["type"] == kind);
    let found = found.next().cloned().unwrap_or_default();
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    (text("status"), text("reason"))
}

#[tokio::test]
async fn who_comes_second_waits_for_the_names_of_who_was_first() {
    let (_server, cluster) = in_memory().await;
    let ones = crd("ones", "One", json!([version("v1", true)]));
    let twos = crd("twos", "Two", json!([version("v1", true)]));
    cluster.put(&CRDS, ones).await.expect("put");
    cluster.put(&CRDS, twos).await.expect("put");
    let second = cluster.get(&CRDS, None, "twos.rival.example.com").await.expect("there");
    let told = |kind: &str| condition(&second, kind);
    assert_eq!(told("NamesAccepted"), ("False".to_owned(), "ShortNamesConflict".to_owned()));
    assert_eq!(told("Established"), ("False".to_owned(), "NotAccepted".to_owned()));
    let path = "/apis/rival.example.com/v1/namespaces/default/twos";
    assert_eq!(send_json(&cluster, "GET", path, None).await.0, 404);

    cluster.delete(&CRDS, None, "ones.rival.example.com").await.expect("deleted");
    let second = cluster.get(&CRDS, None, "twos.rival.example.com").await.expect("there");
    assert_eq!(condition(&second, "Established").0, "True");
    assert_eq!(send_json(&cluster, "GET", path, None).await.0, 200);
}

#[tokio::test]
async fn every_served_version_shows_the_same_object() {
    let (_server, cluster) = in_memory().await;
    let versions = json!([version("v1beta1", false), version("v1", true)]);
    cluster.put(&CRDS, crd("ones", "One", versions)).await.expect("put");
    let at = |version: &str| format!("/apis/rival.example.com/{version}/namespaces/default/ones");
    let object = json!({"apiVersion": "rival.example.com/v1beta1", "kind": "One",
        "metadata": {"name": "a"}, "spec": {}});
    let (code, made) = send_json(&cluster, "POST", &at("v1beta1"), Some(object)).await;
    assert_eq!((code, &made["apiVersion"]), (201, &json!("rival.example.com/v1beta1")));
    for version in ["v1", "v1beta1"] {
        let wanted = json!(format!("rival.example.com/{version}"));
        let (_, one) = send_json(&cluster, "GET", &format!("{}/a", at(version)), None).await;
        assert_eq!((&one["apiVersion"], &one["spec"]), (&wanted, &json!({"size": 1})));
        let (_, all) = send_json(&cluster, "GET", &at(version), None).await;
        assert_eq!((&all["apiVersion"], &all["items"][0]["apiVersion"]), (&wanted, &wanted));
    }
}

#[tokio::test]
async fn a_default_that_comes_later_shows_in_what_is_there() {
    let (_server, cluster) = in_memory().await;
    let mut first = crd("ones", "One", json!([version("v1", true)]));
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    *first.pointer_mut(spec).expect("fields") = json!({"size": {"type": "integer"}});
    cluster.put(&CRDS, first.clone()).await.expect("put");
    let path = "/apis/rival.example.com/v1/namespaces/default/ones";
    let object = json!({"apiVersion": "rival.example.com/v1", "kind": "One",
        "metadata": {"name": "a"}, "spec": {}});
    let (_, made) = send_json(&cluster, "POST", path, Some(object)).await;
    *first.pointer_mut(spec).expect("fields") = json!({"size": {"type": "integer", "default": 7}});
    cluster.put(&CRDS, first).await.expect("put");
    let (_, now) = send_json(&cluster, "GET", &format!("{path}/a"), None).await;
    assert_eq!(now["spec"]["size"], 7);
    assert_eq!(now["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
}

#[tokio::test]
async fn a_definition_of_the_program_is_shown_and_cannot_be_taken_away() {
    let (_server, cluster) = in_memory().await;
    let name = "widgets.test.fleetwright.dev";
    let own = cluster.get(&CRDS, None, name).await.expect("shown");
    assert_eq!(condition(&own, "Established").0, "True");
    let refused = cluster.delete(&CRDS, None, name).await.expect_err("refused");
    assert_eq!(refused.code(), 403);
    let path = format!("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}");
    // Who applies the same again changes nothing; who changes it is told.
    let mut same = (*own).clone();
    same["metadata"]["labels"] = json!({"seen": "yes"});
    let (code, labelled) = send_json(&cluster, "PUT", &path, Some(same)).await;
    assert_eq!((code, &labelled["metadata"]["labels"]["seen"]), (200, &json!("yes")));
    let mut other = labelled;
    other["spec"]["names"]["shortNames"] = json!(["other"]);
    assert_eq!(send_json(&cluster, "PUT", &path, Some(other)).await.0, 403);
    let made = send_json(
        &cluster,
        "POST",
        "/apis/test.fleetwright.dev/v1/namespaces/default/widgets",
        Some(widget("a", 1)),
    );
    assert_eq!(made.await.0, 201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_brings_a_kind_and_explains_it() {
    let served = Served::start().await;
    let mut kind = crd("ones", "One", json!([version("v1", true)]));
    let text = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/description";
    *kind.pointer_mut(text.trim_end_matches("/description")).expect("spec") = json!({
        "type": "object", "description": "What is wanted.",
        "properties": {"size": {"type": "integer", "description": "How large it is."}}});
    for (file, document) in [
        ("crd.json", kind),
        (
            "one.json",
            json!({"apiVersion": "rival.example.com/v1", "kind": "One",
            "metadata": {"name": "a"}, "spec": {"size": 2}}),
        ),
    ] {
        std::fs::write(served.dir.path().join(file), document.to_string()).expect("written");
    }
    let name = "customresourcedefinition.apiextensions.k8s.io/ones.rival.example.com";
    assert_eq!(served.ok("apply -f crd.json").await, format!("{name} created\n"));
    served.ok(&format!("wait --for=condition=Established {name} --timeout=20s")).await;
    assert_eq!(served.ok("apply -f one.json").await, "one.rival.example.com/a created\n");
    assert_eq!(served.ok("apply -f one.json").await, "one.rival.example.com/a unchanged\n");
    assert_eq!(served.ok("get rv -o name").await, "one.rival.example.com/a\n");
    let explained = served.ok("explain one.spec.size").await;
    assert!(explained.contains("How large it is."), "{explained}");
    let listed = served.ok("get crd").await;
    assert!(listed.contains("widgets.test.fleetwright.dev"), "{listed}");
    assert!(listed.contains("ones.rival.example.com"), "{listed}");
    served.ok("delete crd ones.rival.example.com").await;
    let (found, text) = served.run("get ones").await;
    assert!(!found, "{text}");
}

#[tokio::test(start_paused = true)]
async fn no_policy_keeps_the_instances_of_a_kind_that_goes() {
    let (_server, cluster) = in_memory().await;
    establish(&cluster, &Ship::crd()).await;
    let ships: Api<Ship> = Api::default_namespaced(client(&cluster));
    let ship = Ship::new("anna", ShipSpec { crew: 3 });
    ships.create(&PostParams::default(), &ship).await.expect("created");
    let group = "admissionregistration.k8s.io";
    let policy = json!({"apiVersion": format!("{group}/v1"), "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "stay"}, "spec": {
            "matchConstraints": {"resourceRules": [{"apiGroups": ["sea.example.com"],
                "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["*"]}]},
            "validations": [{"expression": "false"}]}});
    let binding = json!({"apiVersion": format!("{group}/v1"),
        "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "stay"},
        "spec": {"policyName": "stay", "validationActions": ["Deny"]}});
    let policies = ResourceRef::new(group, "v1", "validatingadmissionpolicies");
    let bindings = ResourceRef::new(group, "v1", "validatingadmissionpolicybindings");
    cluster.put(&policies, policy).await.expect("put");
    cluster.put(&bindings, binding).await.expect("put");
    assert!(ships.delete("anna", &DeleteParams::default()).await.is_err(), "the policy holds");
    let name = Ship::crd().name_any();
    cluster.delete(&CRDS, None, &name).await.expect("deleted");
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert!(cluster.get(&CRDS, None, &name).await.is_none(), "it is not kept");
}
