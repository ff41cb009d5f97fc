//! The policy we ship, `api/policies/protect-clusters.yaml`, in force.

use std::path::Path;
use std::sync::Arc;

use fleetwright_apiserver::{
    ApiServer, ClusterSpec, LogicalCluster, MemoryStore, ResourceRef, Scheme, StaticTokens,
};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use crate::support::{client, object, open};

const GROUP: &str = "admissionregistration.k8s.io";
const POLICIES: ResourceRef = ResourceRef::new(GROUP, "v1", "validatingadmissionpolicies");
const BINDINGS: ResourceRef = ResourceRef::new(GROUP, "v1", "validatingadmissionpolicybindings");

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../api").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

async fn protected() -> (ApiServer, LogicalCluster) {
    let crd: Value = serde_saphyr::from_str(&file("crds/managedclusters.fleetwright.dev.yaml"))
        .expect("a document");
    let server = open(MemoryStore::new()).await;
    let spec = ClusterSpec {
        name: "hub".to_owned(),
        scheme: Arc::new(Scheme::builtin().with_crd(&crd).expect("a good CRD")),
        authenticator: Arc::new(StaticTokens::new()),
        version: "v1.33.0-test".to_owned(),
    };
    let cluster = server.add_cluster(spec).await.expect("added");
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(&file("policies/protect-clusters.yaml")).expect("documents");
    let [policy, binding] = <[Value; 2]>::try_from(documents).expect("a policy and its binding");
    cluster.put(&POLICIES, policy).await.expect("the policy is one we can evaluate");
    cluster.put(&BINDINGS, binding).await.expect("the binding too");
    (server, cluster)
}

fn clusters(cluster: &LogicalCluster) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk("fleetwright.dev", "v1alpha1", "ManagedCluster");
    let resource = ApiResource::from_gvk_with_plural(&kind, "managedclusters");
    Api::namespaced_with(client(cluster), "default", &resource)
}

async fn make(api: &Api<DynamicObject>, name: &str, policy: Option<&str>) -> String {
    let mut made = json!({"apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": name, "namespace": "default", "finalizers": ["fleetwright.dev/test"],
            "annotations": {"fleetwright.dev/confirm-delete": "from-git"}},
        "spec": {"version": "1.34", "providerConfigRef": {"name": "aws"},
            "eks": {"region": "eu-west-1", "roleArn": "arn:aws:iam::111122223333:role/cp",
                "network": {"subnetIds": ["subnet-0a", "subnet-0b"]}}}});
    if let Some(policy) = policy {
        made["spec"]["deletionPolicy"] = json!(policy);
    }
    let made = api.create(&kube::api::PostParams::default(), &object(made)).await.expect("made");
    made.metadata.uid.expect("a uid")
}

async fn patch(api: &Api<DynamicObject>, name: &str, change: Value) -> Result<(), (u16, String)> {
    let patched = api.patch(name, &PatchParams::default(), &Patch::Merge(change)).await;
    patched.map(drop).map_err(told)
}

async fn delete(api: &Api<DynamicObject>, name: &str) -> Result<(), (u16, String)> {
    api.delete(name, &DeleteParams::default()).await.map(drop).map_err(told)
}

fn told(error: kube::Error) -> (u16, String) {
    match error {
        kube::Error::Api(status) => (status.code, status.message),
        other => panic!("not an answer of the server: {other}"),
    }
}

fn confirm(uid: &str) -> Value {
    json!({"metadata": {"annotations": {"fleetwright.dev/confirm-delete": uid}}})
}

#[tokio::test]
async fn a_destruction_needs_the_uid_and_the_refusal_says_how() {
    let (_server, cluster) = protected().await;
    let api = clusters(&cluster);
    let uid = make(&api, "prod", Some("Delete")).await;
    let (code, text) = delete(&api, "prod").await.expect_err("a value from Git is no confirmation");
    assert_eq!(code, 403);
    let command = format!(
        "kubectl annotate --overwrite managedclusters.fleetwright.dev -n default prod \
         fleetwright.dev/confirm-delete={uid}"
    );
    assert!(text.contains(&command), "{text}");
    let left = api.get("prod").await.expect("still there");
    assert_eq!(left.metadata.deletion_timestamp, None);

    patch(&api, "prod", confirm(&uid)).await.expect("confirmed");
    delete(&api, "prod").await.expect("confirmed deletions go ahead");
}

#[tokio::test]
async fn letting_go_needs_no_confirmation() {
    let (_server, cluster) = protected().await;
    let api = clusters(&cluster);
    make(&api, "kept", Some("Retain")).await;
    make(&api, "silent", None).await;
    for name in ["kept", "silent"] {
        delete(&api, name).await.expect("let go of");
    }
}

#[tokio::test]
async fn a_deletion_under_retain_cannot_become_a_destruction_unconfirmed() {
    let (_server, cluster) = protected().await;
    let api = clusters(&cluster);
    let uid = make(&api, "prod", Some("Delete")).await;
    let retain = json!({"spec": {"deletionPolicy": "Retain"}});
    patch(&api, "prod", retain).await.expect("anybody may let go");
    delete(&api, "prod").await.expect("nothing is destroyed");
    let destroy = json!({"spec": {"deletionPolicy": "Delete"}});
    let (code, text) = patch(&api, "prod", destroy.clone()).await.expect_err("a way around");
    assert_eq!(code, 403);
    assert!(text.contains(&format!("fleetwright.dev/confirm-delete={uid}")), "{text}");
    let mut both = confirm(&uid);
    both["spec"] = destroy["spec"].clone();
    patch(&api, "prod", both).await.expect("confirmed in the same change");
}

#[tokio::test]
async fn a_cluster_that_stays_is_edited_freely() {
    let (_server, cluster) = protected().await;
    let api = clusters(&cluster);
    make(&api, "prod", None).await;
    for policy in ["Delete", "Retain", "Delete"] {
        let change = json!({"spec": {"deletionPolicy": policy}});
        patch(&api, "prod", change).await.expect("an edit");
    }
}

#[tokio::test]
async fn another_version_of_a_kind_leads_around_no_policy() {
    let (_server, cluster) = crate::support::in_memory().await;
    for (policy, wanted) in [("Exact", 201), ("Equivalent", 422)] {
        let policy = json!({"apiVersion": format!("{GROUP}/v1"),
            "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "p"},
            "spec": {"matchConstraints": {"matchPolicy": policy, "resourceRules": [{
                    "apiGroups": ["autoscaling"], "apiVersions": ["v2"],
                    "operations": ["CREATE"], "resources": ["horizontalpodautoscalers"]}]},
                "validations": [{"expression": "object.apiVersion != 'autoscaling/v2'"}]}});
        let binding = json!({"apiVersion": format!("{GROUP}/v1"),
            "kind": "ValidatingAdmissionPolicyBinding", "metadata": {"name": "p"},
            "spec": {"policyName": "p", "validationActions": ["Deny"]}});
        cluster.put(&POLICIES, policy).await.expect("put");
        cluster.put(&BINDINGS, binding).await.expect("put");
        let scaler = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "a"}, "spec": {"maxReplicas": 3, "scaleTargetRef":
                {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}});
        let path = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers?dryRun=All";
        let (status, answer) =
            crate::support::send_json(&cluster, "POST", path, Some(scaler)).await;
        assert_eq!(status, wanted, "{answer}");
    }
}
