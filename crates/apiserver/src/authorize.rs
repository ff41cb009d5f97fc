//! Who may do what: role-based access control over the roles and bindings of the cluster, and
//! impersonation.

use std::sync::Arc;

use fleetwright_apiserver_core::rbac::{self, Action, ActionTarget, Roles, Subject};
use fleetwright_apiserver_core::request::{Options, RequestInfo, Route, Verb};
use fleetwright_apiserver_core::scheme::ResourceType;
use fleetwright_apiserver_core::status::ApiError;
use http::HeaderMap;
use http::request::Parts;
use serde_json::Value;

use crate::auth::Identity;
use crate::cluster::LogicalCluster;
use crate::operations::place_of;

const ROLES: &str = "roles.rbac.authorization.k8s.io";
const CLUSTER_ROLES: &str = "clusterroles.rbac.authorization.k8s.io";
const ROLE_BINDINGS: &str = "rolebindings.rbac.authorization.k8s.io";
const CLUSTER_ROLE_BINDINGS: &str = "clusterrolebindings.rbac.authorization.k8s.io";

const IMPERSONATE_USER: &str = "impersonate-user";
const IMPERSONATE_GROUP: &str = "impersonate-group";
const IMPERSONATE_UID: &str = "impersonate-uid";
const IMPERSONATE_EXTRA: &str = "impersonate-extra-";

impl Roles for LogicalCluster {
    fn role(&self, namespace: Option<&str>, name: &str) -> Option<Arc<Value>> {
        let resource = if namespace.is_some() { ROLES } else { CLUSTER_ROLES };
        let found = self.tables.get(resource, &place_of(namespace, name))?;
        Some(Arc::clone(&found.value))
    }

    fn bindings(&self, namespace: Option<&str>) -> Vec<Arc<Value>> {
        let resource = if namespace.is_some() { ROLE_BINDINGS } else { CLUSTER_ROLE_BINDINGS };
        // A list of now is never too old.
        let listed = self.tables.list(resource, namespace, None, None);
        let objects = listed.map(|snapshot| snapshot.objects).unwrap_or_default();
        objects.iter().map(|object| Arc::clone(&object.value)).collect()
    }
}

fn subject(who: &Identity) -> Subject<'_> {
    Subject { user: &who.user, groups: &who.groups }
}

impl LogicalCluster {
    pub(crate) fn allows(&self, who: &Identity, action: &Action<'_>) -> bool {
        rbac::allows(self, &subject(who), action)
    }

    pub(crate) fn rules_of(&self, who: &Identity, namespace: &str) -> Vec<Value> {
        rbac::rules(self, &subject(who), Some(namespace))
    }

    /// Whether the request may go on.
    pub(crate) fn authorize(
        &self,
        who: &Identity,
        parts: &Parts,
        route: &Route,
    ) -> Result<(), ApiError> {
        if subject(who).is_master() {
            return Ok(());
        }
        let Route::Resource(info) = route else {
            let verb = parts.method.as_str().to_lowercase();
            let path = parts.uri.path();
            let action = Action { verb: &verb, target: ActionTarget::Path(path) };
            return if self.allows(who, &action) {
                Ok(())
            } else {
                Err(ApiError::forbidden_path(&who.user, &verb, path))
            };
        };
        let resource = with_subresource(info);
        let selected = selected_name(info, parts);
        let name = info.name.as_deref().or(selected.as_deref());
        let target = ActionTarget::Resource {
            group: &info.group,
            resource: &resource,
            namespace: scope(info),
            name,
        };
        let action = Action { verb: info.verb.as_str(), target };
        if self.allows(who, &action) { Ok(()) } else { Err(refused(who, info, &action)) }
    }

    /// Whether an apply may make an object that is not there: `patch` alone does not suffice, as
    /// upstream.
    pub(crate) fn authorize_creation(
        &self,
        who: &Identity,
        info: &RequestInfo,
    ) -> Result<(), ApiError> {
        let target = ActionTarget::Resource {
            group: &info.group,
            resource: &info.resource,
            namespace: scope(info),
            name: info.name.as_deref(),
        };
        let action = Action { verb: Verb::Create.as_str(), target };
        if self.allows(who, &action) { Ok(()) } else { Err(refused(who, info, &action)) }
    }

    /// Refuses roles and bindings that hand out what their writer does not have.
    pub(crate) fn check_grant(
        &self,
        who: &Identity,
        rt: &ResourceType,
        namespace: Option<&str>,
        object: &Value,
    ) -> Result<(), ApiError> {
        if !rbac::grants(&rt.group, &rt.plural) || subject(who).is_master() {
            return Ok(());
        }
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        let may = |verb: &str, resource: &str, namespace: Option<&str>, name: &str| {
            let name = Some(name);
            let target = ActionTarget::Resource { group: &rt.group, resource, namespace, name };
            self.allows(who, &Action { verb, target })
        };
        let (wanted, free) = if rt.plural.ends_with("roles") {
            let rules = object["rules"].as_array().cloned().unwrap_or_default();
            (rules, may("escalate", &rt.plural, namespace, name))
        } else {
            let role = &object["roleRef"];
            let (kind, within) =
                if role["kind"] == "Role" { ("roles", namespace) } else { ("clusterroles", None) };
            let bound = role["name"].as_str().unwrap_or_default();
            let free = may("bind", kind, within, bound);
            let Some(rules) = rbac::role_rules(self, role, namespace) else {
                // Nobody can tell what a role will grant that is not there yet.
                return if free {
                    Ok(())
                } else {
                    let why = format!("{kind}.{} \"{bound}\" not found", rt.group);
                    Err(ApiError::forbidden(rt, name, &why))
                };
            };
            (rules, free)
        };
        if free {
            return Ok(());
        }
        let held = rbac::rules(self, &subject(who), namespace);
        let missing = rbac::not_held(&held, &wanted);
        if missing.is_empty() {
            return Ok(());
        }
        let groups: Vec<String> = who.groups.iter().map(|group| format!("\"{group}\"")).collect();
        let why = format!(
            "user \"{}\" (groups=[{}]) is attempting to grant RBAC permissions not currently \
             held:\n{}",
            who.user,
            groups.join(" "),
            missing.join("\n")
        );
        Err(ApiError::forbidden(rt, name, &why))
    }

    /// Whom the caller wants to be taken for: himself, or whoever his `Impersonate-` headers name.
    pub(crate) fn impersonated(
        &self,
        who: Identity,
        headers: &HeaderMap,
        route: &Route,
    ) -> Result<Identity, ApiError> {
        let Some(wanted) = wanted_identity(headers)? else { return Ok(who) };
        if self.may_impersonate(&who, &wanted) {
            return Ok(wanted.known());
        }
        Err(match route {
            Route::Resource(info) => {
                let verb = format!("impersonate-on:user-info:{}", info.verb.as_str());
                let resource = with_subresource(info);
                let target = ActionTarget::Resource {
                    group: &info.group,
                    resource: &resource,
                    namespace: scope(info),
                    name: info.name.as_deref(),
                };
                refused(&who, info, &Action { verb: &verb, target })
            }
            _ => ApiError::forbidden_resource(
                "",
                "users",
                &wanted.user,
                &format!("User \"{}\" cannot impersonate resource \"users\"", who.user),
            ),
        })
    }

    fn may_impersonate(&self, who: &Identity, wanted: &Identity) -> bool {
        let may = |group: &str, resource: &str, namespace: Option<&str>, name: &str| {
            let name = Some(name);
            let target = ActionTarget::Resource { group, resource, namespace, name };
            self.allows(who, &Action { verb: "impersonate", target })
        };
        let account = wanted.user.strip_prefix("system:serviceaccount:");
        let user = match account.and_then(|rest| rest.split_once(':')) {
            Some((namespace, name)) => may("", "serviceaccounts", Some(namespace), name),
            None => may("", "users", None, &wanted.user),
        };
        let extra = |(key, values): (&String, &Vec<String>)| {
            let resource = format!("userextras/{key}");
            values.iter().all(|value| may("authentication.k8s.io", &resource, None, value))
        };
        user && wanted.groups.iter().all(|group| may("", "groups", None, group))
            && (wanted.uid.is_empty() || may("authentication.k8s.io", "uids", None, &wanted.uid))
            && wanted.extra.iter().all(extra)
    }
}

fn wanted_identity(headers: &HeaderMap) -> Result<Option<Identity>, ApiError> {
    // Whatever cannot be read must not count as absent: the request would run as the caller.
    let text = |value: &http::HeaderValue| {
        String::from_utf8(value.as_bytes().to_vec()).map_err(|_not_utf8| {
            ApiError::bad_request("an Impersonate- header is not UTF-8: send the name as UTF-8")
        })
    };
    let one = |name: &str| headers.get(name).map(text).transpose().map(Option::unwrap_or_default);
    let (user, uid) = (one(IMPERSONATE_USER)?, one(IMPERSONATE_UID)?);
    let mut groups =
        headers.get_all(IMPERSONATE_GROUP).iter().map(text).collect::<Result<Vec<String>, _>>()?;
    let mut extra = std::collections::BTreeMap::<String, Vec<String>>::new();
    for (name, value) in headers {
        if let Some(key) = name.as_str().strip_prefix(IMPERSONATE_EXTRA) {
            extra.entry(key.to_owned()).or_default().push(text(value)?);
        }
    }
    if user.is_empty() {
        let named =
            [IMPERSONATE_USER, IMPERSONATE_UID].iter().any(|name| headers.contains_key(*name));
        return if groups.is_empty() && !named && extra.is_empty() {
            Ok(None)
        } else {
            let why = "requested impersonation without a user: name one by Impersonate-User";
            Err(ApiError::plain_500(why))
        };
    }
    if let (Some((namespace, _)), true) = (
        user.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':')),
        groups.is_empty(),
    ) {
        groups.push("system:serviceaccounts".to_owned());
        groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    Ok(Some(Identity { user, groups, uid, extra }))
}

/// The namespace a request is in: a Namespace object counts as inside itself, as upstream.
fn scope(info: &RequestInfo) -> Option<&str> {
    let own =
        || info.name.as_deref().filter(|_| info.group.is_empty() && info.resource == "namespaces");
    info.namespace.as_deref().or_else(own)
}

fn with_subresource(info: &RequestInfo) -> String {
    match &info.subresource {
        Some(sub) => format!("{}/{sub}", info.resource),
        None => info.resource.clone(),
    }
}

/// A list of one object by its name is judged as if the name stood in the path.
fn selected_name(info: &RequestInfo, parts: &Parts) -> Option<String> {
    if !matches!(info.verb, Verb::List | Verb::Watch | Verb::DeleteCollection) {
        return None;
    }
    let query = parts.uri.query().filter(|query| query.contains("fieldSelector"))?;
    let selector = Options::parse(query, info.verb).ok()?.field_selector?;
    let name = selector.strip_prefix("metadata.name=")?.trim_start_matches('=');
    (!name.contains([',', '\\'])).then(|| name.to_owned())
}

fn refused(who: &Identity, info: &RequestInfo, action: &Action<'_>) -> ApiError {
    let name = info.name.as_deref().unwrap_or_default();
    let message = action.refusal(&who.user);
    ApiError::forbidden_resource(&info.group, &info.resource, name, &message)
}
