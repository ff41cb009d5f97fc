//! Policies on one cluster, merged without order, as labels and NetworkPolicies for each namespace of the member.
//!
//! Merge rules (`api.md`, rule 19): the strictest level wins, Enforce wins over Audit, denied directions add up.

use std::collections::{BTreeMap, BTreeSet};

use fleetwright_api_types::{
    ClusterPolicy, Direction, MANAGED_BY, Mode, NetworkRule, PodSecurityLevel, PodSecurityRule,
};
use fleetwright_names::{network_policy_name, sha256_hex};
use fleetwright_plan::{DesiredMember, DesiredNetworkPolicy, LABEL_ENFORCE};
use serde::Serialize;
use serde_json::{Value, json};

/// Namespaces that the rules never touch: Kubernetes' own, and ours.
pub const SYSTEM_NAMESPACES: [&str; 4] =
    ["fleetwright-system", "kube-node-lease", "kube-public", "kube-system"];
/// Label on every object that we write.
pub const LABEL_MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Label on every namespace whose labels we set, so that we only ever take away what we gave.
pub const LABEL_MARK: &str = "fleetwright.dev/policies";

const LABEL_ENFORCE_VERSION: &str = "pod-security.kubernetes.io/enforce-version";

/// The rules of all policies that select one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rules {
    policies: Vec<PolicyRules>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct PolicyRules {
    name: String,
    exclude: BTreeSet<String>,
    pod_security: Option<PodSecurityRule>,
    network: Option<NetworkRule>,
}

/// What holds in one namespace after merging.
#[derive(Debug, Default)]
struct NamespaceRules {
    pod_security: BTreeMap<Mode, PodSecurityRule>,
    deny: BTreeMap<Mode, BTreeSet<Direction>>,
}

impl Rules {
    /// Merges policies; their order does not matter.
    #[must_use]
    pub fn merge<'a>(policies: impl IntoIterator<Item = &'a ClusterPolicy>) -> Self {
        let mut merged: Vec<PolicyRules> = policies
            .into_iter()
            .map(|policy| PolicyRules {
                name: policy.metadata.name.clone().unwrap_or_default(),
                exclude: policy
                    .spec
                    .namespaces
                    .iter()
                    .flat_map(|rules| rules.exclude.iter().cloned())
                    .collect(),
                pod_security: policy.spec.pod_security.clone(),
                network: policy.spec.network.clone(),
            })
            .collect();
        merged.sort_by(|a, b| a.name.cmp(&b.name));
        Self { policies: merged }
    }

    /// SHA-256 of the rules: equal digests mean equal rules.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256_hex(serde_json::to_vec(self).unwrap_or_default())
    }

    /// What a member with these namespaces shall hold for the rules of `mode`.
    #[must_use]
    pub fn desired<'a>(
        &self,
        mode: Mode,
        namespaces: impl IntoIterator<Item = &'a String>,
        generation: i64,
    ) -> DesiredMember {
        let mut desired = DesiredMember {
            generation,
            owned_labels: [LABEL_ENFORCE, LABEL_ENFORCE_VERSION, LABEL_MARK]
                .map(str::to_owned)
                .into(),
            ..DesiredMember::default()
        };
        for namespace in namespaces {
            if SYSTEM_NAMESPACES.contains(&namespace.as_str()) {
                continue;
            }
            let rules = self.in_namespace(namespace);
            if let Some(rule) = rules.pod_security.get(&mode) {
                let mut labels = labels(rule);
                // The mark claims the other labels for us: never alone, and never for an audit, which sets nothing.
                if mode == Mode::Enforce && !labels.is_empty() {
                    labels.insert(LABEL_MARK.to_owned(), "applied".to_owned());
                }
                desired.labels.insert(namespace.clone(), labels);
            }
            for direction in rules.deny.get(&mode).into_iter().flatten() {
                let name = network_policy_name(direction.as_str());
                let object = network_policy(namespace, &name, *direction);
                desired
                    .network_policies
                    .insert((namespace.clone(), name), DesiredNetworkPolicy { object });
            }
        }
        desired
    }

    fn in_namespace(&self, namespace: &str) -> NamespaceRules {
        let mut merged = NamespaceRules::default();
        for policy in self.policies.iter().filter(|policy| !policy.exclude.contains(namespace)) {
            if let Some(rule) = &policy.pod_security {
                let strictest = merged.pod_security.remove(&rule.mode);
                merged.pod_security.insert(rule.mode, stricter(strictest, rule));
            }
            if let Some(rule) = &policy.network {
                merged.deny.entry(rule.mode).or_default().extend(rule.default_deny.iter().copied());
            }
        }
        merged
    }
}

/// The stricter level; at one level the newer version of the standard, where absent (`latest`) is the newest.
fn stricter(one: Option<PodSecurityRule>, other: &PodSecurityRule) -> PodSecurityRule {
    let rank = |rule: &PodSecurityRule| {
        let minor =
            rule.version.as_deref().and_then(|v| v.strip_prefix("v1.")?.parse::<u16>().ok());
        (rule.level, minor.unwrap_or(u16::MAX))
    };
    match one {
        Some(one) if rank(&one) >= rank(other) => one,
        _ => other.clone(),
    }
}

fn labels(rule: &PodSecurityRule) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    if rule.level > PodSecurityLevel::Privileged {
        labels.insert(LABEL_ENFORCE.to_owned(), rule.level.label().to_owned());
        let version = rule.version.as_deref().unwrap_or("latest");
        labels.insert(LABEL_ENFORCE_VERSION.to_owned(), version.to_owned());
    }
    labels
}

/// Denies one direction for every pod of the namespace. Egress keeps DNS open: without names nothing can be allowed by name.
fn network_policy(namespace: &str, name: &str, direction: Direction) -> Value {
    let mut spec = json!({"podSelector": {}, "policyTypes": [direction.as_str()]});
    if direction == Direction::Egress {
        spec["egress"] = json!([{
            "to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}],
            "ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}],
        }]);
    }
    json!({
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "namespace": namespace,
            "name": name,
            "labels": {LABEL_MANAGED_BY: MANAGED_BY},
        },
        "spec": spec,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(name: &str, spec: Value) -> ClusterPolicy {
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ClusterPolicy",
            "metadata": {"name": name}, "spec": spec,
        }))
        .expect("a policy")
    }

    fn baseline() -> ClusterPolicy {
        policy(
            "baseline",
            json!({
                "clusterSelector": {},
                "namespaces": {"exclude": ["legacy"]},
                "podSecurity": {"mode": "Enforce", "level": "Baseline", "version": "v1.34"},
                "network": {"mode": "Enforce", "defaultDeny": ["Ingress", "Egress"]},
            }),
        )
    }

    fn strict() -> ClusterPolicy {
        policy(
            "strict",
            json!({"clusterSelector": {}, "podSecurity": {"mode": "Enforce", "level": "Restricted"}}),
        )
    }

    fn namespaces() -> Vec<String> {
        ["default", "kube-system", "legacy"].map(str::to_owned).into()
    }

    #[test]
    fn system_and_excluded_namespaces_are_left_alone() {
        let desired = Rules::merge([&baseline()]).desired(Mode::Enforce, &namespaces(), 1);
        assert_eq!(desired.labels.keys().collect::<Vec<_>>(), ["default"]);
        assert_eq!(desired.labels["default"][LABEL_ENFORCE], "baseline");
        assert_eq!(desired.labels["default"][LABEL_ENFORCE_VERSION], "v1.34");
        let names: Vec<_> =
            desired.network_policies.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["fleetwright-default-deny-egress", "fleetwright-default-deny-ingress"]);
    }

    #[test]
    fn the_strictest_level_wins_in_any_order() {
        let one = Rules::merge([&baseline(), &strict()]);
        let other = Rules::merge([&strict(), &baseline()]);
        assert_eq!(one.digest(), other.digest());
        let desired = one.desired(Mode::Enforce, &namespaces(), 1);
        assert_eq!(desired.labels["default"][LABEL_ENFORCE], "restricted");
        assert_eq!(desired.labels["default"][LABEL_ENFORCE_VERSION], "latest");
        assert_eq!(desired.labels["legacy"][LABEL_ENFORCE], "restricted");
    }

    #[test]
    fn audit_rules_are_not_among_the_enforced() {
        let audit = policy(
            "audit",
            json!({"clusterSelector": {}, "podSecurity": {"mode": "Audit", "level": "Restricted"}}),
        );
        let rules = Rules::merge([&audit]);
        assert!(rules.desired(Mode::Enforce, &namespaces(), 1).labels.is_empty());
        assert_eq!(rules.desired(Mode::Audit, &namespaces(), 1).labels.len(), 2);
    }

    #[test]
    fn egress_keeps_dns_open() {
        let object = network_policy("default", "deny", Direction::Egress);
        assert_eq!(object["spec"]["egress"][0]["ports"][0], json!({"protocol": "UDP", "port": 53}));
        assert!(
            network_policy("default", "deny", Direction::Ingress)["spec"].get("ingress").is_none()
        );
    }

    #[test]
    fn directions_of_all_policies_add_up() {
        let deny = |name, direction| {
            policy(
                name,
                json!({"clusterSelector": {}, "network": {"mode": "Enforce", "defaultDeny": [direction]}}),
            )
        };
        let rules =
            Rules::merge([&deny("b", "Egress"), &deny("a", "Ingress"), &deny("c", "Egress")]);
        let desired = rules.desired(Mode::Enforce, &["shop".to_owned()], 1);
        let names: Vec<_> =
            desired.network_policies.keys().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["fleetwright-default-deny-egress", "fleetwright-default-deny-ingress"]);
    }

    #[test]
    fn at_one_level_the_newest_version_wins() {
        let version = |name, version| {
            let rule = json!({"mode": "Enforce", "level": "Restricted", "version": version});
            policy(name, json!({"clusterSelector": {}, "podSecurity": rule}))
        };
        let wins = |policies: [&ClusterPolicy; 2]| {
            let desired = Rules::merge(policies).desired(Mode::Enforce, &["shop".to_owned()], 1);
            desired.labels["shop"][LABEL_ENFORCE_VERSION].clone()
        };
        let (old, new) = (version("old", "v1.9"), version("new", "v1.34"));
        assert_eq!(wins([&old, &new]), "v1.34");
        assert_eq!(wins([&new, &old]), "v1.34");
        assert_eq!(wins([&new, &strict()]), "latest");
    }

    #[test]
    fn a_stricter_audit_does_not_loosen_or_tighten_what_is_enforced() {
        let audit = policy(
            "audit",
            json!({"clusterSelector": {}, "podSecurity": {"mode": "Audit", "level": "Restricted"}}),
        );
        let rules = Rules::merge([&audit, &baseline()]);
        let level = |mode| {
            rules.desired(mode, &["shop".to_owned()], 1).labels["shop"][LABEL_ENFORCE].clone()
        };
        assert_eq!(level(Mode::Enforce), "baseline");
        assert_eq!(level(Mode::Audit), "restricted");
    }

    #[test]
    fn no_policy_asks_for_nothing_but_still_owns_its_labels() {
        let rules = Rules::merge([]);
        assert_eq!(rules, Rules::default());
        let desired = rules.desired(Mode::Enforce, &namespaces(), 4);
        assert_eq!(
            (desired.generation, desired.labels.len(), desired.network_policies.len()),
            (4, 0, 0)
        );
        assert_eq!(
            desired.owned_labels,
            [
                "pod-security.kubernetes.io/enforce",
                "pod-security.kubernetes.io/enforce-version",
                "fleetwright.dev/policies",
            ]
        );
    }

    #[test]
    fn the_digest_follows_the_rules() {
        let one = Rules::merge([&baseline()]);
        assert_eq!(one.digest(), Rules::merge([&baseline()]).digest());
        assert_eq!(one.digest().len(), 64);
        assert_ne!(one.digest(), Rules::merge([&baseline(), &strict()]).digest());
        assert_ne!(one.digest(), Rules::merge([]).digest());
    }

    #[test]
    fn a_default_deny_is_this_object() {
        assert_eq!(
            network_policy("shop", "deny-in", Direction::Ingress),
            json!({
                "apiVersion": "networking.k8s.io/v1",
                "kind": "NetworkPolicy",
                "metadata": {
                    "namespace": "shop",
                    "name": "deny-in",
                    "labels": {"app.kubernetes.io/managed-by": "fleetwright"},
                },
                "spec": {"podSelector": {}, "policyTypes": ["Ingress"]},
            })
        );
    }

    #[test]
    fn an_audit_does_not_ask_for_our_mark() {
        let audit = policy(
            "audit",
            json!({"clusterSelector": {}, "podSecurity": {"mode": "Audit", "level": "Baseline"}}),
        );
        let desired = Rules::merge([&audit]).desired(Mode::Audit, &["shop".to_owned()], 1);
        let keys: Vec<_> = desired.labels["shop"].keys().collect();
        assert_eq!(keys, [LABEL_ENFORCE, LABEL_ENFORCE_VERSION]);
    }

    #[test]
    fn a_level_that_asks_for_nothing_does_not_mark() {
        let free = policy(
            "free",
            json!({"clusterSelector": {}, "podSecurity": {"mode": "Enforce", "level": "Privileged"}}),
        );
        let desired = Rules::merge([&free]).desired(Mode::Enforce, &["shop".to_owned()], 1);
        assert!(desired.labels["shop"].is_empty());
    }
}
