use serde_json::json;

use super::*;
use crate::request::{Route, route};
use crate::testing::{scheme, ship_crd};

/// Kinds are shared between threads and logical clusters.
const fn is_shareable<T: Send + Sync>() {}
const _: () = is_shareable::<Scheme>();

#[test]
fn the_builtin_kinds_are_all_there_with_schemas_and_columns() {
    let scheme = Scheme::builtin();
    let names: Vec<String> = scheme.types().map(|rt| rt.group_resource()).collect();
    assert_eq!(names.len(), 68);
    assert_eq!(names.first().map(String::as_str), Some("bindings"));
    assert!(names.contains(&"customresourcedefinitions.apiextensions.k8s.io".to_owned()));
    for rt in scheme.types() {
        assert_eq!(rt.schema["type"], "object", "{}", rt.kind);
        assert!(!rt.columns.is_empty(), "{}", rt.kind);
    }
    let secret = scheme.find_kind("v1", "Secret").map(|rt| rt.plural.clone());
    assert_eq!(secret.as_deref(), Some("secrets"));
}

#[test]
fn a_custom_kind_takes_its_names_from_the_crd() {
    let scheme = scheme();
    let found = scheme.find("sea.example.com", "v1", "ships").map(|rt| {
        assert_eq!(rt.api_version(), "sea.example.com/v1");
        assert_eq!(rt.group_kind(), "Ship.sea.example.com");
        assert_eq!((rt.singular.as_str(), rt.list_kind().as_str()), ("ship", "ShipList"));
        assert_eq!(rt.selectable_fields, ["spec.flag"]);
        (rt.namespaced, rt.has_status, rt.custom, rt.storage)
    });
    assert_eq!(found, Some((true, true, true, true)));
    assert!(scheme.has_group("sea.example.com") && !scheme.has_version("sea.example.com", "v2"));
    assert!(matches!(scheme.with_crd(&ship_crd()), Err(SchemeError::Taken { .. })));
}

fn refused(pointer: &str, value: Value) -> String {
    let mut crd = ship_crd();
    if let Some(place) = crd.pointer_mut(pointer) {
        *place = value;
    }
    Scheme::builtin().with_crd(&crd).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_could_not_be_checked_later_is_refused_at_registration() {
    let spec = "/spec/versions/0/schema/openAPIV3Schema/properties/spec";
    for (pointer, value, wanted) in [
        ("/kind", json!("Secret"), "not an apiextensions.k8s.io/v1 CustomResourceDefinition"),
        ("/spec/names/plural", json!(""), "lacks spec.names.plural"),
        ("/spec/versions/0/schema", json!({}), "lacks spec.versions[].schema"),
        ("/spec/versions/0/storage", json!(false), "exactly one version"),
        (
            &format!("{spec}/properties/code/type"),
            json!("strng"),
            "not structural at \".spec.code\"",
        ),
        (&format!("{spec}/properties/tags/items"), json!(null), "not structural at \".spec.tags\""),
        (&format!("{spec}/properties/code/pattern"), json!("["), "pattern \"[\""),
        (&format!("{spec}/x-kubernetes-validations/0/rule"), json!("self.("), "at .spec"),
        (&format!("{spec}/x-kubernetes-validations/1/messageExpression"), json!("'"), "at .spec"),
        (
            &format!(
                "{spec}/properties/holds/items/properties/size/x-kubernetes-validations/0/rule"
            ),
            json!("self >"),
            "at .spec.holds[*].size",
        ),
        ("/spec/versions/0/additionalPrinterColumns/0/jsonPath", json!("{.a}"), "column \"Flag\""),
    ] {
        let text = refused(pointer, value);
        assert!(text.contains(wanted), "{pointer}: {text:?}");
    }
}

#[test]
fn the_most_mature_version_is_preferred() {
    let mut versions = vec!["foo", "v1alpha1", "v2", "v1beta2", "v10", "v1beta10", "bar"];
    versions.sort_by_key(|version| std::cmp::Reverse(rank(version)));
    assert_eq!(versions, ["v10", "v2", "v1beta10", "v1beta2", "v1alpha1", "bar", "foo"]);
}

#[test]
fn paths_that_make_no_sense_for_a_kind_are_refused() {
    let scheme = scheme();
    for (method, path, wanted) in [
        ("GET", "/api/v1/namespaces/n/configmaps/a", None),
        ("GET", "/api/v1/configmaps", None),
        ("PUT", "/api/v1/namespaces/n/status", None),
        ("PUT", "/api/v1/namespaces/n/finalize", None),
        ("PATCH", "/apis/sea.example.com/v1/namespaces/n/ships/a/status", None),
        ("POST", "/api/v1/configmaps", Some(405)),
        ("DELETE", "/api/v1/configmaps", Some(405)),
        ("DELETE", "/api/v1/namespaces", Some(405)),
        ("PATCH", "/api/v1/namespaces/n/finalize", Some(405)),
        ("GET", "/api/v1/namespaces/n/nodes", Some(404)),
        ("GET", "/api/v1/configmaps/a", Some(404)),
        ("GET", "/api/v1/namespaces/n/configmaps/a/foo", Some(404)),
    ] {
        let Ok(Route::Resource(request)) = route(method, path, "") else {
            assert_eq!(path, "a resource");
            continue;
        };
        let rt = scheme.find(&request.group, &request.version, &request.resource);
        let code = rt.map(|rt| rt.check(&request).err().map(|error| error.code()));
        assert_eq!(code, Some(wanted), "{method} {path}");
    }
}
