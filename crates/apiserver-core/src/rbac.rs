//! Role-based access control: which requests the Roles and ClusterRoles that are bound to a user
//! allow, and which roles he may hand out himself.
//!
//! Follows `rbac.authorization.k8s.io/v1` of kube-apiserver 1.36. Members of `system:masters` may
//! do everything. Of upstream's bootstrap roles three are built in here without being objects:
//! what every known user may do (discovery, reviews of himself), what everybody may read
//! (`/version` and the health paths), and `cluster-admin`. The others (`admin`, `edit`, `view`,
//! those of upstream's components) are not there: a binding to one grants nothing until somebody
//! makes the role. Aggregation rules are not followed.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

mod escalation;

pub use escalation::not_held;

/// The group that may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of all users that are known.
pub const AUTHENTICATED: &str = "system:authenticated";
/// The group of those that show nothing.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user that shows nothing.
pub const ANONYMOUS: &str = "system:anonymous";

const GROUP: &str = "rbac.authorization.k8s.io";
const ACCOUNT_PREFIX: &str = "system:serviceaccount:";
/// The ClusterRole that is always there.
const CLUSTER_ADMIN: &str = "cluster-admin";

/// Who asks.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// User name.
    pub user: &'a str,
    /// All groups, `system:authenticated` included.
    pub groups: &'a [String],
}

impl Subject<'_> {
    /// Whether nothing is forbidden.
    #[must_use]
    pub fn is_master(&self) -> bool {
        self.groups.iter().any(|group| group == MASTERS)
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Action<'a> {
    /// As `get` or `deletecollection`.
    pub verb: &'a str,
    /// On what.
    pub target: ActionTarget<'a>,
}

/// On what something is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActionTarget<'a> {
    /// Objects.
    Resource {
        /// Empty for the core group.
        group: &'a str,
        /// Plural, with the subresource behind a slash.
        resource: &'a str,
        /// None across namespaces and for cluster-scoped kinds.
        namespace: Option<&'a str>,
        /// None for collections.
        name: Option<&'a str>,
    },
    /// A path that is no resource.
    Path(&'a str),
}

impl Action<'_> {
    /// As in upstream's refusals: `User "U" cannot VERB resource …`.
    #[must_use]
    pub fn refusal(&self, user: &str) -> String {
        let verb = self.verb;
        match self.target {
            ActionTarget::Resource { group, resource, namespace, .. } => {
                let place = match namespace {
                    Some(namespace) => format!("in the namespace \"{namespace}\""),
                    None => "at the cluster scope".to_owned(),
                };
                format!(
                    "User \"{user}\" cannot {verb} resource \"{resource}\" in API group \
                     \"{group}\" {place}"
                )
            }
            ActionTarget::Path(path) => format!("User \"{user}\" cannot {verb} path \"{path}\""),
        }
    }
}

/// Where roles and bindings are read.
pub trait Roles {
    /// The Role in a namespace, or the ClusterRole where there is none.
    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Value>>;
    /// The RoleBindings of a namespace, or the ClusterRoleBindings.
    fn bindings(&self, namespace: Option<&str>) -> Vec<Arc<Value>>;
}

/// Whether somebody may do something.
#[must_use]
pub fn allows(roles: &dyn Roles, subject: &Subject<'_>, action: &Action<'_>) -> bool {
    if subject.is_master() {
        return true;
    }
    let namespace = match action.target {
        ActionTarget::Resource { namespace, .. } => namespace,
        ActionTarget::Path(_) => None,
    };
    rules(roles, subject, namespace).iter().any(|rule| fits(rule, action))
}

/// All rules that hold for somebody in a namespace, or only those that hold everywhere. Masters
/// have one that allows everything.
#[must_use]
pub fn rules(roles: &dyn Roles, subject: &Subject<'_>, namespace: Option<&str>) -> Vec<Value> {
    let mut found = built_in(subject);
    if subject.is_master() {
        found.extend(everything());
    }
    let everywhere = roles.bindings(None);
    let here = namespace.map(|name| roles.bindings(Some(name))).unwrap_or_default();
    for (binding, within) in
        everywhere.iter().map(|b| (b, None)).chain(here.iter().map(|b| (b, namespace)))
    {
        if is_bound(binding, subject, within) {
            found.extend(role_rules(roles, &binding["roleRef"], within).unwrap_or_default());
        }
    }
    found
}

/// The rules of the role that a `roleRef` names; None when it is not there.
#[must_use]
pub fn role_rules(roles: &dyn Roles, role: &Value, namespace: Option<&str>) -> Option<Vec<Value>> {
    let name = role["name"].as_str().unwrap_or_default();
    let wanted = if role["kind"] == "Role" { Some(namespace?) } else { None };
    match roles.role(wanted, name) {
        Some(found) => Some(found["rules"].as_array().cloned().unwrap_or_default()),
        None if wanted.is_none() && name == CLUSTER_ADMIN => Some(everything()),
        None => None,
    }
}

fn everything() -> Vec<Value> {
    vec![
        json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}),
        json!({"nonResourceURLs": ["*"], "verbs": ["*"]}),
    ]
}

fn built_in(subject: &Subject<'_>) -> Vec<Value> {
    let member = |group: &str| subject.groups.iter().any(|own| own == group);
    let mut found = vec![json!({
        "nonResourceURLs": ["/healthz", "/livez", "/readyz", "/version", "/version/"],
        "verbs": ["get"],
    })];
    if member(AUTHENTICATED) {
        found.extend([
            json!({"apiGroups": ["authorization.k8s.io"], "verbs": ["create"],
                "resources": ["selfsubjectaccessreviews", "selfsubjectrulesreviews"]}),
            json!({"apiGroups": ["authentication.k8s.io"], "verbs": ["create"],
                "resources": ["selfsubjectreviews"]}),
            json!({"nonResourceURLs": ["/api", "/api/*", "/apis", "/apis/*", "/openapi",
                "/openapi/*"], "verbs": ["get"]}),
        ]);
    }
    if member("system:serviceaccounts") {
        found.push(json!({"verbs": ["get"], "nonResourceURLs":
            ["/.well-known/openid-configuration", "/openid/v1/jwks"]}));
    }
    found
}

fn is_bound(binding: &Value, subject: &Subject<'_>, namespace: Option<&str>) -> bool {
    let subjects = binding["subjects"].as_array().into_iter().flatten();
    subjects.into_iter().any(|bound| {
        let text = |key: &str| bound[key].as_str().unwrap_or_default();
        match text("kind") {
            "User" => text("name") == subject.user,
            "Group" => subject.groups.iter().any(|group| group == text("name")),
            "ServiceAccount" => {
                let of = match text("namespace") {
                    "" => namespace.unwrap_or_default(),
                    named => named,
                };
                let account = subject.user.strip_prefix(ACCOUNT_PREFIX);
                account.and_then(|rest| rest.split_once(':')) == Some((of, text("name")))
            }
            _ => false,
        }
    })
}

fn fits(rule: &Value, action: &Action<'_>) -> bool {
    if !has(rule, "verbs", action.verb) {
        return false;
    }
    match action.target {
        ActionTarget::Resource { group, resource, name, .. } => {
            let names = list(rule, "resourceNames");
            has(rule, "apiGroups", group)
                && list(rule, "resources").iter().any(|r| covers_resource(r, resource))
                && (names.is_empty() || name.is_some_and(|name| names.contains(&name)))
        }
        ActionTarget::Path(path) => {
            list(rule, "nonResourceURLs").iter().any(|pattern| covers_path(pattern, path))
        }
    }
}

fn list<'a>(rule: &'a Value, key: &str) -> Vec<&'a str> {
    rule[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Whether a list of a rule names something, or everything.
fn has(rule: &Value, key: &str, wanted: &str) -> bool {
    list(rule, key).iter().any(|entry| *entry == "*" || *entry == wanted)
}

fn covers_resource(pattern: &str, resource: &str) -> bool {
    let sub = resource.split_once('/').map(|(_, sub)| sub);
    pattern == "*"
        || pattern == resource
        || sub.is_some_and(|sub| pattern.strip_prefix("*/") == Some(sub))
}

fn covers_path(pattern: &str, path: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(prefix) => path.starts_with(prefix),
        None => pattern == path,
    }
}

/// The lists of a SelfSubjectRulesReview's status: rules on resources, and on other paths.
#[must_use]
pub fn review(rules: &[Value]) -> (Vec<Value>, Vec<Value>) {
    let pick = |rule: &Value, keys: &[&str]| {
        let kept: BTreeMap<&str, &Value> =
            keys.iter().filter_map(|key| Some((*key, rule.get(*key)?))).collect();
        json!(kept)
    };
    let resources = rules.iter().filter(|rule| !list(rule, "resources").is_empty());
    let paths = rules.iter().filter(|rule| !list(rule, "nonResourceURLs").is_empty());
    (
        resources
            .map(|rule| pick(rule, &["verbs", "apiGroups", "resources", "resourceNames"]))
            .collect(),
        paths.map(|rule| pick(rule, &["verbs", "nonResourceURLs"])).collect(),
    )
}

/// Whether writes of this resource hand out rights, so that [`not_held`] must be asked.
#[must_use]
pub fn grants(group: &str, plural: &str) -> bool {
    group == GROUP
        && matches!(plural, "roles" | "clusterroles" | "rolebindings" | "clusterrolebindings")
}

#[cfg(test)]
mod tests;
