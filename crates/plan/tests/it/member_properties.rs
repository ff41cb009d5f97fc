//! What holds for the policies on every member.

use std::collections::BTreeMap;

use fleetwright_plan::{
    DesiredMember, DesiredNetworkPolicy, MemberSnapshot, MemberStep, SeenNamespace, Step,
    plan_member, violations,
};
use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::select;

use crate::member::{IDLE, apply, object};

fn words(words: &[&'static str]) -> impl Strategy<Value = String> + use<> {
    select(words.to_vec()).prop_map(str::to_owned)
}

fn labels() -> impl Strategy<Value = BTreeMap<String, String>> {
    btree_map(words(&["enforce", "mark", "team"]), words(&["1", "2"]), 0..4)
}

fn members() -> impl Strategy<Value = (DesiredMember, MemberSnapshot)> {
    let names = || words(&["a", "b", "c"]);
    let places = || (names(), words(&["in", "out"]));
    let namespaces = btree_map(names(), (labels(), any::<bool>()), 0..4);
    let found =
        btree_map(places(), words(&["same", "other-spec", "no-label", "extra-label"]), 0..5);
    // A policy asks for the mark together with the labels it stands for: a mark alone would claim what others set.
    let wanted = labels().prop_filter("a mark alone", |wanted| {
        wanted.contains_key("mark") == wanted.contains_key("enforce")
    });
    (btree_map(names(), wanted, 0..4), btree_set(places(), 0..5), namespaces, found).prop_map(
        |(labels, deny, namespaces, found)| {
            let wanted = DesiredNetworkPolicy { object: object("same") };
            let desired = DesiredMember {
                generation: 7,
                labels,
                owned_labels: vec!["enforce".into(), "mark".into()],
                network_policies: deny.into_iter().map(|place| (place, wanted.clone())).collect(),
            };
            let namespaces = namespaces.into_iter().map(|(name, (labels, terminating))| {
                (name, SeenNamespace { marked: labels.contains_key("mark"), labels, terminating })
            });
            let found = found.into_iter().map(|(place, how)| (place, object(&how)));
            let seen = MemberSnapshot {
                namespaces: namespaces.collect(),
                network_policies: found.collect(),
            };
            (desired, seen)
        },
    )
}

proptest! {
    #[test]
    fn planning_after_acting_is_empty((desired, seen) in members()) {
        let plan = plan_member(&desired, &seen, IDLE);
        let after = apply(seen, &plan.steps);
        prop_assert_eq!(plan_member(&desired, &after, IDLE).steps, &[]);
        let missing: Vec<_> = violations(&desired, &after);
        prop_assert_eq!(missing, Vec::<String>::new(), "what is enforced passes its own audit");
    }

    #[test]
    fn only_open_namespaces_and_only_our_labels_are_touched((desired, seen) in members()) {
        for step in plan_member(&desired, &seen, IDLE).steps {
            let Step::Member(step) = step else { panic!("{step} is not for a member") };
            let namespace = match &step {
                MemberStep::LabelNamespace { namespace, labels } => {
                    for (key, value) in labels {
                        let asked = desired.labels.get(namespace).and_then(|asked| asked.get(key));
                        prop_assert_eq!(asked, value.as_ref(), "{} of {}", key, namespace);
                        prop_assert!(value.is_some() || seen.namespaces[namespace].marked);
                        prop_assert!(value.is_some() || desired.owned_labels.contains(key));
                    }
                    namespace
                }
                MemberStep::PutNetworkPolicy { namespace, .. }
                | MemberStep::DeleteNetworkPolicy { namespace, .. } => namespace,
                MemberStep::Drain { .. } | MemberStep::DeleteOutside { .. } => {
                    panic!("{step} is not for policies")
                }
            };
            prop_assert!(!seen.namespaces[namespace].terminating, "{}", step);
        }
    }
}
