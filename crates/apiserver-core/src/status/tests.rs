//! What the texts and bodies of errors look like.

use super::*;
use crate::testing::{kind, ship};

#[test]
fn statuses_look_as_recorded() {
    for (error, wanted) in [
        (
            ApiError::not_found(&kind("", "secrets"), "nope"),
            json!({"kind": "Status",
            "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": "secrets \"nope\" not found", "reason": "NotFound",
            "details": {"name": "nope", "kind": "secrets"}, "code": 404}),
        ),
        (
            ApiError::already_exists(&ship(), "a"),
            json!({"kind": "Status", "apiVersion": "v1",
            "metadata": {}, "status": "Failure",
            "message": "ships.sea.example.com \"a\" already exists", "reason": "AlreadyExists",
            "details": {"name": "a", "group": "sea.example.com", "kind": "ships"}, "code": 409}),
        ),
        (
            ApiError::timeout_too_large_rv(7, 999),
            json!({"kind": "Status", "apiVersion": "v1",
            "metadata": {}, "status": "Failure", "reason": "Timeout", "code": 504,
            "message": "Timeout: Too large resource version: 999, current: 7",
            "details": {"retryAfterSeconds": 1, "causes": [{"reason": "ResourceVersionTooLarge",
            "message": "Too large resource version"}]}}),
        ),
        (
            ApiError::plain_500("no reason"),
            json!({"kind": "Status", "apiVersion": "v1",
            "metadata": {}, "status": "Failure", "message": "no reason", "code": 500}),
        ),
        (
            ApiError::method_not_allowed(),
            json!({"kind": "Status", "apiVersion": "v1",
            "metadata": {}, "status": "Failure", "reason": "MethodNotAllowed", "details": {},
            "message": "the server does not allow this method on the requested resource",
            "code": 405}),
        ),
    ] {
        assert_eq!(error.body(), wanted);
    }
    let token = ApiError::gone_continue("abc").body();
    assert_eq!((&token["metadata"], &token["code"]), (&json!({"continue": "abc"}), &json!(410)));
}

#[test]
fn several_causes_are_listed_in_brackets() {
    let causes = vec![Cause::required("spec.a", ""), Cause::invalid("spec.b", &json!(0), "low")];
    let error = ApiError::invalid(&ship(), "x", causes);
    let wanted = "Ship.sea.example.com \"x\" is invalid: [spec.a: Required value, spec.b: Invalid \
                  value: 0: low]";
    assert_eq!(error.to_string(), wanted);
    assert_eq!(
        error.body()["details"]["causes"][0],
        json!({"reason": "FieldValueRequired", "message": "Required value", "field": "spec.a"})
    );
}

#[test]
fn a_forbidden_eviction_names_the_budget_and_when_to_try_again() {
    let error = ApiError::disruption_budget("The disruption budget db is busy", Some(10));
    let wanted = json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
        "status": "Failure", "reason": "TooManyRequests", "code": 429,
        "message": "Cannot evict pod as it would violate the pod's disruption budget.",
        "details": {"retryAfterSeconds": 10, "causes": [{"reason": "DisruptionBudget",
        "message": "The disruption budget db is busy"}]}});
    assert_eq!(error.body(), wanted);
}
