//! Server-side apply by others' clients: kube-rs in process, kubectl over TLS.

use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ManagedFieldsEntry;
use kube::api::{Patch, PatchParams, PostParams};
use kube::core::DynamicObject;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::kubectl::Served;
use crate::support::{client, in_memory, object, widget, widgets};

/// Who owns what: `manager operation subresource: fieldsV1`, in the order of the list.
fn owners(managed: &[ManagedFieldsEntry]) -> Vec<String> {
    let show = |entry: &ManagedFieldsEntry| {
        let text = |part: &Option<String>| part.clone().unwrap_or_default();
        let fields = entry.fields_v1.as_ref().map(|fields| fields.0.to_string());
        let (who, how) = (text(&entry.manager), text(&entry.operation));
        let (part, fields) = (text(&entry.subresource), fields.unwrap_or_default());
        format!("{who} {how} {part}: {fields}").replace(" :", ":")
    };
    managed.iter().map(show).collect()
}

fn map(data: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": data})
}

#[tokio::test]
async fn kube_rs_applies_shares_conflicts_and_forces() {
    let (_server, cluster) = in_memory().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster));
    let apply = async |params: PatchParams, data: Value| {
        maps.patch("a", &params, &Patch::Apply(map(data))).await
    };
    let first = apply(PatchParams::apply("one"), json!({"k": "1", "l": "1"})).await.expect("made");
    let again = apply(PatchParams::apply("one"), json!({"k": "1", "l": "1"})).await.expect("same");
    assert_eq!(again.resource_version(), first.resource_version());

    let refused = apply(PatchParams::apply("two"), json!({"k": "2"})).await;
    let Err(kube::Error::Api(status)) = refused else { panic!("no conflict") };
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let causes: Vec<(String, String)> = status
        .details
        .iter()
        .flat_map(|details| &details.causes)
        .map(|cause| (cause.reason.clone(), cause.field.clone()))
        .collect();
    assert_eq!(causes, [("FieldManagerConflict".to_owned(), ".data.k".to_owned())]);

    apply(PatchParams::apply("two").force(), json!({"k": "2"})).await.expect("forced");
    let less = apply(PatchParams::apply("one"), json!({"m": "1"})).await.expect("less");
    let data: Vec<(String, String)> = less.data.clone().unwrap_or_default().into_iter().collect();
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(data, [pair("k", "2"), pair("m", "1")]);
    assert_eq!(
        owners(less.managed_fields()),
        [r#"one Apply: {"f:data":{"f:m":{}}}"#, r#"two Apply: {"f:data":{"f:k":{}}}"#]
    );

    let patch = PatchParams { field_manager: Some("three".to_owned()), ..PatchParams::default() };
    let merged = Patch::Merge(json!({"data": {"m": "9"}}));
    let merged = maps.patch("a", &patch, &merged).await.expect("merged");
    assert_eq!(
        owners(merged.managed_fields()),
        [r#"two Apply: {"f:data":{"f:k":{}}}"#, r#"three Update: {"f:data":{"f:m":{}}}"#]
    );
}

#[tokio::test]
async fn the_status_of_a_custom_kind_has_owners_of_its_own() {
    let (_server, cluster) = in_memory().await;
    let widgets = widgets(&cluster);
    widgets.create(&PostParams::default(), &object(widget("a", 3))).await.expect("made");
    let mut status = widget("a", 3);
    status["status"] = json!({"conditions": [{"type": "Ready", "status": "True"}]});
    if let Some(fields) = status.as_object_mut() {
        fields.remove("spec");
    }
    let params = PatchParams::apply("controller");
    let applied =
        widgets.patch_status("a", &params, &Patch::Apply(&status)).await.expect("applied");
    assert_eq!(applied.data["status"]["conditions"][0]["status"], "True");
    assert_eq!(
        owners(applied.managed_fields()),
        [
            r#"controller Apply status: {"f:status":{"f:conditions":{}}}"#,
            r#"test Update: {"f:spec":{".":{},"f:size":{}}}"#,
        ]
    );
    let again: DynamicObject =
        widgets.patch_status("a", &params, &Patch::Apply(&status)).await.expect("the same");
    assert_eq!(again.resource_version(), applied.resource_version());
}

#[tokio::test]
async fn ten_updaters_are_kept_and_older_ones_put_together() {
    let (_server, cluster) = in_memory().await;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&cluster));
    for n in 0..14 {
        let params =
            PatchParams { field_manager: Some(format!("m{n:02}")), ..PatchParams::default() };
        if n == 0 {
            let made = serde_json::from_value(map(json!({"k00": "1"}))).expect("a map");
            let params =
                PostParams { field_manager: params.field_manager, ..PostParams::default() };
            maps.create(&params, &made).await.expect("made");
        } else {
            let change = json!({"data": {format!("k{n:02}"): "1"}});
            maps.patch("a", &params, &Patch::Merge(change)).await.expect("changed");
        }
    }
    let found = maps.get("a").await.expect("there");
    assert_eq!(found.managed_fields().len(), 10);
    let ancient = owners(found.managed_fields()).into_iter().find(|one| one.starts_with("ancient"));
    let wanted = r#"ancient-changes Update: {"f:data":{".":{},"f:k00":{},"f:k01":{},"f:k02":{},"f:k03":{},"f:k04":{}}}"#;
    assert_eq!(ancient.as_deref(), Some(wanted));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kubectl_applies_on_the_server_and_takes_over_what_it_applied_before() {
    let served = Served::start().await;
    served.write("widget.yaml", 3);
    assert_eq!(
        served.ok("apply --server-side -f widget.yaml").await,
        "widget.test.fleetwright.dev/a serverside-applied\n"
    );
    let shown = served.ok("get wd a -o json --show-managed-fields").await;
    assert!(shown.contains(r#""operation": "Apply""#), "{shown}");
    assert!(!served.ok("get wd a -o json").await.contains("managedFields"));

    served.ok(r#"patch wd a --type=merge --field-manager=other -p {"spec":{"size":8}}"#).await;
    let (success, text) = served.run("apply --server-side -f widget.yaml").await;
    assert!(!success);
    assert!(text.contains(r#"conflict with "other" using test.fleetwright.dev/v1"#), "{text}");
    assert!(text.contains(".spec.size"), "{text}");
    served.ok("apply --server-side --force-conflicts -f widget.yaml").await;
    assert_eq!(served.ok("get wd a -o jsonpath={.spec.size}").await, "3");

    // What was applied by the client is taken over without a conflict.
    served.ok("delete wd a").await;
    served.ok("apply -f widget.yaml").await;
    served.write("widget.yaml", 5);
    served.ok("apply --server-side -f widget.yaml").await;
    assert_eq!(served.ok("get wd a -o jsonpath={.spec.size}").await, "5");
    let last = served.ok("get wd a -o jsonpath={.metadata.annotations}").await;
    assert!(last.contains(r#"\"size\":5"#), "{last}");

    served.write("widget.yaml", 6);
    assert_eq!(
        served.ok("apply --server-side --dry-run=server -f widget.yaml").await,
        "widget.test.fleetwright.dev/a serverside-applied (server dry run)\n"
    );
    assert_eq!(served.ok("get wd a -o jsonpath={.spec.size}").await, "5");
    let (success, text) = served.run("diff --server-side -f widget.yaml").await;
    assert!(!success && text.contains("+  size: 6"), "{text}");
}

#[tokio::test]
async fn a_pod_that_is_applied_is_received_as_one_that_is_created() {
    let (_server, cluster) = in_memory().await;
    let pods: Api<DynamicObject> = Api::default_namespaced_with(
        client(&cluster),
        &kube::core::ApiResource::erase::<k8s_openapi::api::core::v1::Pod>(&()),
    );
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
        "spec": {"serviceAccountName": "nobody", "containers": [{"name": "c", "image": "i"}]}});
    let applied = pods.patch("p", &PatchParams::apply("one"), &Patch::Apply(pod)).await;
    let Err(kube::Error::Api(status)) = applied else { panic!("it is accepted") };
    assert_eq!(status.code, 403, "{}", status.message);
}
