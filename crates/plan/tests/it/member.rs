//! Policies on one member: labels and NetworkPolicies, set, put back, and taken away.
//!
//! A namespace is written as its labels, `key=value` apart by blanks, and `terminating` where it is on its way out; the
//! label `mark` stands for ours. A NetworkPolicy that was found is `same`, `other-spec`, `no-label` or `extra-label`.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_plan::{
    DesiredMember, DesiredNetworkPolicy, MemberSnapshot, MemberStep, SeenNamespace, Step,
    plan_member, violations,
};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) const IDLE: Duration = Duration::from_secs(60);

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Labels asked for, by namespace.
    #[serde(default)]
    labels: BTreeMap<String, BTreeMap<String, String>>,
    /// NetworkPolicies asked for, as `namespace/name`.
    #[serde(default)]
    deny: Vec<String>,
    namespaces: BTreeMap<String, String>,
    /// NetworkPolicies of ours that were found, by `namespace/name`.
    #[serde(default)]
    found: BTreeMap<String, String>,
}

#[track_caller]
fn check(case: &str, expect: &[&str]) {
    let (desired, seen) = read(case);
    let plan = plan_member(&desired, &seen, IDLE);
    let text = plan.to_string();
    assert_eq!(text.lines().collect::<Vec<_>>(), expect, "in {case}");
    assert_eq!((plan.requeue, plan.generation, plan.gone), (Some(IDLE), 7, false));
    let again = apply(seen, &plan.steps);
    assert_eq!(plan_member(&desired, &again, IDLE).steps, [], "planning after acting, in {case}");
}

#[track_caller]
fn check_audit(case: &str, expect: &[&str]) {
    let (audited, seen) = read(case);
    assert_eq!(violations(&audited, &seen), expect);
}

fn read(case: &str) -> (DesiredMember, MemberSnapshot) {
    let case: Case =
        serde_saphyr::from_str(case).unwrap_or_else(|error| panic!("{error} in {case}"));
    let wanted = DesiredNetworkPolicy { object: object("same") };
    let desired = DesiredMember {
        generation: 7,
        labels: case.labels,
        owned_labels: vec!["enforce".into(), "mark".into()],
        network_policies: case.deny.iter().map(|place| (key(place), wanted.clone())).collect(),
    };
    let seen = MemberSnapshot {
        namespaces: case
            .namespaces
            .iter()
            .map(|(name, text)| (name.clone(), namespace(text)))
            .collect(),
        network_policies: case.found.iter().map(|(place, how)| (key(place), object(how))).collect(),
    };
    (desired, seen)
}

fn key(place: &str) -> (String, String) {
    let (namespace, name) = place.split_once('/').expect("namespace/name");
    (namespace.into(), name.into())
}

fn namespace(text: &str) -> SeenNamespace {
    let labels: BTreeMap<String, String> = text
        .split_whitespace()
        .filter_map(|word| word.split_once('='))
        .map(|(key, value)| (key.into(), value.into()))
        .collect();
    SeenNamespace {
        marked: labels.contains_key("mark"),
        terminating: text.split_whitespace().any(|word| word == "terminating"),
        labels,
    }
}

pub(crate) fn object(how: &str) -> Value {
    let (labels, spec) = match how {
        "same" => (json!({"by": "us"}), json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
        "other-spec" => (json!({"by": "us"}), json!({"podSelector": {}, "ingress": [{}]})),
        "no-label" => (json!({}), json!({"podSelector": {}, "policyTypes": ["Ingress"]})),
        "extra-label" => (
            json!({"by": "us", "team": "x"}),
            json!({"podSelector": {}, "policyTypes": ["Ingress"]}),
        ),
        other => panic!("{other:?} is no NetworkPolicy"),
    };
    json!({"metadata": {"labels": labels}, "spec": spec})
}

/// What the member looks like after the steps.
pub(crate) fn apply(mut seen: MemberSnapshot, steps: &[Step]) -> MemberSnapshot {
    for step in steps {
        let Step::Member(step) = step else { panic!("{step} is not for a member") };
        match step.clone() {
            MemberStep::LabelNamespace { namespace, labels } => {
                let found = seen.namespaces.get_mut(&namespace).expect("a namespace that was seen");
                for (key, value) in labels {
                    match value {
                        Some(value) => found.labels.insert(key, value),
                        None => found.labels.remove(&key),
                    };
                }
                found.marked = found.labels.contains_key("mark");
            }
            MemberStep::PutNetworkPolicy { namespace, name, object } => {
                seen.network_policies.insert((namespace, name), object);
            }
            MemberStep::DeleteNetworkPolicy { namespace, name } => {
                seen.network_policies.remove(&(namespace, name)).expect("a policy that was seen");
            }
            other @ (MemberStep::Drain { .. } | MemberStep::DeleteOutside { .. }) => {
                panic!("{other} is not for policies")
            }
        }
    }
    seen
}

#[test]
fn labels_and_policies_are_set_where_they_are_missing() {
    check(
        "{labels: {shop: {enforce: baseline, mark: applied}}, deny: [shop/in, shop/out],
          namespaces: {shop: team=x, other: team=y}}",
        &[
            "~ label namespace shop  enforce=baseline mark=applied",
            "+ put networkpolicy shop/in",
            "+ put networkpolicy shop/out",
        ],
    );
}

#[test]
fn what_holds_already_needs_nothing() {
    check(
        "{labels: {shop: {enforce: baseline, mark: applied}}, deny: [shop/in],
          namespaces: {shop: team=x enforce=baseline mark=applied}, found: {shop/in: same}}",
        &[],
    );
}

#[test]
fn a_drifted_label_is_put_back_and_the_rest_left() {
    check(
        "{labels: {shop: {enforce: restricted, mark: applied}},
          namespaces: {shop: team=x enforce=privileged mark=applied}}",
        &["~ label namespace shop  enforce=restricted"],
    );
}

#[test]
fn a_removed_label_is_put_back() {
    check(
        "{labels: {shop: {enforce: restricted, mark: applied}}, namespaces: {shop: mark=applied}}",
        &["~ label namespace shop  enforce=restricted"],
    );
}

#[test]
fn a_lost_mark_is_put_back_too() {
    check(
        "{labels: {shop: {enforce: restricted, mark: applied}}, namespaces: {shop: enforce=restricted}}",
        &["~ label namespace shop  mark=applied"],
    );
}

#[test]
fn our_labels_go_from_a_marked_namespace_that_no_policy_selects() {
    check(
        "{namespaces: {shop: team=x enforce=baseline mark=applied}}",
        &["~ label namespace shop  enforce- mark-"],
    );
}

#[test]
fn the_same_label_stays_where_somebody_else_set_it() {
    check("{namespaces: {shop: team=x enforce=baseline}}", &[]);
}

#[test]
fn a_rule_that_asks_for_less_takes_only_what_it_no_longer_asks_for() {
    check(
        "{labels: {shop: {mark: applied}}, namespaces: {shop: team=x enforce=baseline mark=applied}}",
        &["~ label namespace shop  enforce-"],
    );
}

#[test]
fn a_changed_policy_is_put_back() {
    for how in ["other-spec", "no-label"] {
        check(
            &format!("{{deny: [shop/in], namespaces: {{shop: ''}}, found: {{shop/in: {how}}}}}"),
            &["+ put networkpolicy shop/in"],
        );
    }
}

#[test]
fn a_label_that_somebody_added_to_our_policy_is_no_drift() {
    check("{deny: [shop/in], namespaces: {shop: ''}, found: {shop/in: extra-label}}", &[]);
}

#[test]
fn a_policy_of_ours_that_nobody_asks_for_goes() {
    check(
        "{deny: [shop/in], namespaces: {shop: ''}, found: {shop/in: same, shop/out: same}}",
        &["- delete networkpolicy shop/out"],
    );
}

#[test]
fn a_namespace_on_its_way_out_is_left_alone() {
    check(
        "{labels: {shop: {enforce: baseline}}, deny: [shop/in], namespaces: {shop: mark=applied terminating},
          found: {shop/out: same}}",
        &[],
    );
}

#[test]
fn a_namespace_that_was_not_seen_is_left_alone() {
    check(
        "{labels: {shop: {enforce: baseline}}, deny: [shop/in], namespaces: {other: ''}, found: {shop/out: same}}",
        &[],
    );
}

#[test]
fn namespaces_come_sorted_and_labels_before_policies() {
    check(
        "{labels: {b: {enforce: baseline}, a: {enforce: baseline}}, deny: [b/in, a/in],
          namespaces: {b: '', a: '', c: mark=applied}, found: {c/in: same}}",
        &[
            "~ label namespace a  enforce=baseline",
            "~ label namespace b  enforce=baseline",
            "~ label namespace c  mark-",
            "+ put networkpolicy a/in",
            "+ put networkpolicy b/in",
            "- delete networkpolicy c/in",
        ],
    );
}

#[test]
fn an_audit_tells_what_is_missing() {
    check_audit(
        "{labels: {shop: {enforce: restricted}, web: {enforce: restricted}}, deny: [shop/in, shop/out],
          namespaces: {shop: enforce=baseline, web: enforce=restricted}, found: {shop/out: same}}",
        &["namespace shop lacks label enforce=restricted", "namespace shop lacks networkpolicy in"],
    );
}

#[test]
fn an_audit_of_what_holds_is_silent() {
    check_audit(
        "{labels: {shop: {enforce: baseline}}, deny: [shop/in], namespaces: {shop: enforce=baseline},
          found: {shop/in: same}}",
        &[],
    );
}

#[test]
fn an_audit_looks_at_open_namespaces_only() {
    check_audit(
        "{labels: {shop: {enforce: baseline}, nowhere: {enforce: baseline}}, deny: [shop/in, nowhere/in],
          namespaces: {shop: terminating}}",
        &[],
    );
}
