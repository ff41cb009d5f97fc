//! One policy over ships, as the recorded ones of a real server, and everything it may not say.

use serde_json::json;

use super::*;
use crate::testing::ship;

fn policy() -> Value {
    let mut policy = json!({"metadata": {"name": "keep"}, "spec": {
        "matchConstraints": {"resourceRules": [{"apiGroups": ["sea.example.com"],
            "apiVersions": ["*"], "operations": ["DELETE"], "resources": ["ships"]}]},
        "validations": [
            {"expression": "oldObject.spec.flag != 'red'", "message": "red ships stay"},
            {"expression": "oldObject.spec.crew > 1", "reason": "Forbidden",
             "messageExpression": "'crew of ' + oldObject.metadata.name"}]}});
    default_policy(&mut policy);
    policy
}

fn binding() -> Value {
    json!({"metadata": {"name": "all"}, "spec": {"policyName": "keep",
        "validationActions": ["Deny"]}})
}

fn old(flag: &str, crew: i64) -> Value {
    json!({"metadata": {"name": "anna", "labels": {"class": flag}},
        "spec": {"flag": flag, "crew": crew}})
}

/// Objects that policies may take as parameters.
struct Limits(Vec<Value>);

impl Params for Limits {
    fn of_kind(&self, api_version: &str, kind: &str, namespace: Option<&str>) -> Vec<Value> {
        assert_eq!((api_version, kind, namespace), ("v1", "ConfigMap", Some("port")));
        self.0.clone()
    }
}

fn told(
    policy: &Value,
    binding: &Value,
    request: &Request<'_>,
    params: Vec<Value>,
) -> Result<Vec<String>, (u16, String)> {
    let answer = admit(&[policy], &[binding], request, &Limits(params));
    answer.map_err(|error| (error.code(), error.to_string()))
}

fn asked(policy: &Value, binding: &Value, request: &Request<'_>) -> Result<(), (u16, String)> {
    told(policy, binding, request, Vec::new()).map(|warnings| assert_eq!(warnings, [""; 0]))
}

fn delete<'a>(rt: &'a ResourceType, old: &'a Value, namespace: &'a Value) -> Request<'a> {
    Request {
        rt,
        name: "anna",
        subresource: None,
        operation: Operation::Delete,
        object: None,
        old: Some(old),
        namespace: Some(namespace),
        dry_run: false,
    }
}

#[test]
fn the_first_validation_that_fails_is_the_answer() {
    let (ship, namespace) = (ship(), json!({"metadata": {"name": "port"}}));
    let head = "ships.sea.example.com \"anna\" is forbidden: ValidatingAdmissionPolicy 'keep' with \
                binding 'all' denied request: ";
    for (flag, crew, wanted) in [
        ("blue", 2, Ok(())),
        ("red", 2, Err((422, format!("{head}red ships stay")))),
        ("blue", 1, Err((403, format!("{head}crew of anna")))),
    ] {
        let old = old(flag, crew);
        let request = delete(&ship, &old, &namespace);
        assert_eq!(asked(&policy(), &binding(), &request), wanted, "{flag} {crew}");
    }
}

#[test]
fn an_expression_that_cannot_be_evaluated_refuses_the_request() {
    let (ship, namespace) = (ship(), json!({"metadata": {"name": "port"}}));
    let old = json!({"metadata": {"name": "anna"}, "spec": {}});
    let answer = asked(&policy(), &binding(), &delete(&ship, &old, &namespace));
    let (code, text) = answer.expect_err("refused");
    assert_eq!(code, 422);
    let start = "denied request: expression 'oldObject.spec.flag != 'red'' resulted in error: ";
    assert!(text.contains(start), "{text}");
}

#[test]
fn what_the_rules_do_not_name_is_let_through() {
    let (ship, old) = (ship(), old("red", 2));
    let namespace = json!({"metadata": {"name": "port", "labels": {"sea": "north"}}});
    let request = delete(&ship, &old, &namespace);
    let update = Request { operation: Operation::Update, object: Some(&old), ..request };
    let status = Request { subresource: Some("status"), ..request };
    for other in [update, status] {
        assert_eq!(asked(&policy(), &binding(), &other), Ok(()));
    }
    let unbound = json!({"metadata": {"name": "b"}, "spec": {"policyName": "other"}});
    assert_eq!(asked(&policy(), &unbound, &request), Ok(()));

    let mut elsewhere = binding();
    elsewhere["spec"]["matchResources"] =
        json!({"namespaceSelector": {"matchLabels": {"sea": "south"}}});
    assert_eq!(asked(&policy(), &elsewhere, &request), Ok(()));
    elsewhere["spec"]["matchResources"] =
        json!({"namespaceSelector": {"matchLabels": {"sea": "north"}}});
    assert!(asked(&policy(), &elsewhere, &request).is_err());

    let mut blue = policy();
    blue["spec"]["matchConstraints"]["objectSelector"] = json!({"matchLabels": {"class": "blue"}});
    assert_eq!(asked(&blue, &binding(), &request), Ok(()));
}

#[test]
fn keys_and_numbers_are_seen_as_they_are_written() {
    let (ship, old) = (
        ship(),
        json!({"metadata": {"name": "anna", "namespace": "port",
        "annotations": {"sea.example.com/keep-it": "7"}}, "spec": {"crew": 3, "ratio": 0.5}}),
    );
    let namespace = json!({"metadata": {"name": "port"}});
    let request = delete(&ship, &old, &namespace);
    for expression in [
        "oldObject.metadata.annotations['sea.example.com/keep-it'] == '7'",
        "'sea.example.com/keep-it' in oldObject.metadata.annotations",
        "oldObject.metadata.namespace == 'port' && request.namespace == 'port'",
        "oldObject.spec.crew * 2 == 6 && oldObject.spec.ratio < 1.0",
        "object == null && request.operation == 'DELETE' && !request.dryRun",
        "request.resource.resource == 'ships' && request.kind.kind == 'Ship'",
        "namespaceObject.metadata.name == 'port'",
        "!has(oldObject.spec.flag) && has(oldObject.spec.crew)",
    ] {
        let mut policy = policy();
        policy["spec"]["validations"] = json!([{"expression": expression}]);
        assert_eq!(asked(&policy, &binding(), &request), Ok(()), "{expression}");
    }
}

#[test]
fn a_good_policy_is_completed_as_a_real_server_does() {
    let made = policy();
    assert_eq!(check_policy(&made), Vec::new());
    assert_eq!(check_binding(&binding()), Vec::new());
    assert_eq!(made["spec"]["failurePolicy"], "Fail");
    let constraints = &made["spec"]["matchConstraints"];
    assert_eq!(constraints["matchPolicy"], "Equivalent");
    assert_eq!(constraints["resourceRules"][0]["scope"], "*");
}

#[test]
fn a_policy_that_would_not_be_applied_whole_is_refused() {
    let fields = |change: fn(&mut Value)| {
        let mut policy = policy();
        change(&mut policy);
        check_policy(&policy).into_iter().map(|cause| cause.field).collect::<Vec<_>>()
    };
    assert_eq!(
        fields(|p| p["spec"]["variables"] = json!([{"name": "a-b", "expression": "1 +"}])),
        ["spec.variables[0].name", "spec.variables[0].expression"]
    );
    assert_eq!(fields(|p| p["spec"]["failurePolicy"] = json!("Try")), ["spec.failurePolicy"]);
    assert_eq!(
        fields(
            |p| p["spec"]["matchConditions"] = json!([{"name": "c", "expression": "authorizer"}])
        ),
        ["spec.matchConditions[0].expression"]
    );
    assert_eq!(fields(|p| p["spec"]["validations"] = json!([])), ["spec.validations"]);
    let expression = ["spec.validations[0].expression"];
    for text in ["1 +", "request.userInfo.username != 'eve'"] {
        let mut policy = policy();
        policy["spec"]["validations"][0]["expression"] = json!(text);
        let causes = check_policy(&policy);
        let found: Vec<&str> = causes.iter().map(|cause| cause.field.as_str()).collect();
        assert_eq!(found, expression, "{text}");
    }

    let mut both = binding();
    both["spec"]["validationActions"] = json!(["Deny", "Warn", "Shout", "Deny"]);
    let causes = check_binding(&both);
    let found: Vec<String> = causes.iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
    let wanted = [
        "spec.validationActions[2]: Unsupported value: \"Shout\": supported values: \"Deny\", \
         \"Warn\", \"Audit\"",
        "spec.validationActions[3]: Duplicate value: \"Deny\"",
        "spec.validationActions: Invalid value: [\"Deny\",\"Warn\",\"Shout\",\"Deny\"]: must not \
         contain both Deny and Warn (repeating the same validation failure information in the API \
         response and headers serves no purpose)",
    ];
    assert_eq!(found, wanted);
}

#[test]
fn a_binding_that_warns_lets_the_request_through() {
    let (ship, old) = (ship(), old("red", 1));
    let namespace = json!({"metadata": {"name": "port"}});
    let request = delete(&ship, &old, &namespace);
    let mut warn = binding();
    warn["spec"]["validationActions"] = json!(["Warn", "Audit"]);
    let head = "Validation failed for ValidatingAdmissionPolicy 'keep' with binding 'all': ";
    let wanted = vec![format!("{head}red ships stay"), format!("{head}crew of anna")];
    assert_eq!(told(&policy(), &warn, &request, Vec::new()), Ok(wanted));
    warn["spec"]["validationActions"] = json!(["Audit"]);
    assert_eq!(told(&policy(), &warn, &request, Vec::new()), Ok(Vec::new()));
}

#[test]
fn variables_are_made_in_order_and_fail_only_where_they_are_used() {
    let (ship, old) = (ship(), old("red", 3));
    let namespace = json!({"metadata": {"name": "port"}});
    let request = delete(&ship, &old, &namespace);
    let mut policy = policy();
    policy["spec"]["variables"] = json!([{"name": "crew", "expression": "oldObject.spec.crew"},
        {"name": "twice", "expression": "variables.crew * 2"},
        {"name": "broken", "expression": "oldObject.spec.nosuch"}]);
    policy["spec"]["validations"] = json!([{"expression": "variables.twice == 6"}]);
    assert_eq!(asked(&policy, &binding(), &request), Ok(()));
    policy["spec"]["validations"] = json!([{"expression": "variables.broken == 6"}]);
    let (code, text) = asked(&policy, &binding(), &request).expect_err("refused");
    assert_eq!(code, 422);
    let end = "expression 'variables.broken == 6' resulted in error: no such key: nosuch";
    assert!(text.ends_with(end), "{text}");
    // What cannot be evaluated may be let pass.
    policy["spec"]["failurePolicy"] = json!("Ignore");
    assert_eq!(asked(&policy, &binding(), &request), Ok(()));
}

#[test]
fn match_conditions_decide_whether_a_policy_is_asked() {
    let (ship, old) = (ship(), old("red", 3));
    let namespace = json!({"metadata": {"name": "port"}});
    let request = delete(&ship, &old, &namespace);
    let mut policy = policy();
    let condition = |text: &str| json!([{"name": "c", "expression": text}]);
    policy["spec"]["matchConditions"] = condition("oldObject.spec.flag == 'blue'");
    assert_eq!(asked(&policy, &binding(), &request), Ok(()));
    policy["spec"]["matchConditions"] = condition("oldObject.spec.nosuch");
    assert!(asked(&policy, &binding(), &request).is_err());
    policy["spec"]["failurePolicy"] = json!("Ignore");
    assert_eq!(asked(&policy, &binding(), &request), Ok(()));
}

#[test]
fn parameters_come_from_the_namespace_of_the_object() {
    let (ship, old) = (ship(), old("red", 3));
    let namespace = json!({"metadata": {"name": "port"}});
    let request = delete(&ship, &old, &namespace);
    let mut policy = policy();
    policy["spec"]["paramKind"] = json!({"apiVersion": "v1", "kind": "ConfigMap"});
    policy["spec"]["validations"] =
        json!([{"expression": "string(oldObject.spec.crew) == params.data.crew"}]);
    let mut bound = binding();
    bound["spec"]["paramRef"] = json!({"name": "limits", "parameterNotFoundAction": "Deny"});
    let limits =
        |name: &str, crew: &str| json!({"metadata": {"name": name}, "data": {"crew": crew}});
    let all = |crew: &str| vec![limits("other", "9"), limits("limits", crew)];
    assert_eq!(told(&policy, &bound, &request, all("3")), Ok(Vec::new()));
    assert!(told(&policy, &bound, &request, all("4")).is_err());
    let (_, text) = told(&policy, &bound, &request, Vec::new()).expect_err("refused");
    let end = "denied request: failed to configure binding: no params found for policy binding \
               with `Deny` parameterNotFoundAction";
    assert!(text.ends_with(end), "{text}");
    bound["spec"]["paramRef"]["parameterNotFoundAction"] = json!("Allow");
    assert_eq!(told(&policy, &bound, &request, Vec::new()), Ok(Vec::new()));
}
