//! Discovery: which groups, versions and resources are served, in the legacy and the aggregated
//! (`apidiscovery.k8s.io/v2`) form.

use serde_json::{Value, json};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_apiserver_kinds::kinds::group_rank;
use sha2::{Digest as _, Sha256};

use crate::scheme::{ResourceType, Scheme, Subresource};

/// `/api`: the versions of the core group.
#[must_use]
pub fn core_versions(server_address: &str) -> Value {
    json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [
        {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}]})
}

/// Groups in the order of discovery: built-in ones as Kubernetes ranks them, then the others.
fn ranked(scheme: &Scheme) -> Vec<(&str, Vec<&str>)> {
    let mut groups: Vec<_> = scheme.group_versions().into_iter().collect();
    groups.sort_by_key(|(name, _)| group_rank(name).unwrap_or(usize::MAX));
    groups
}

/// `/apis`: all named groups.
#[must_use]
pub fn groups(scheme: &Scheme) -> Value {
    let named = ranked(scheme).into_iter().filter(|(name, _)| !name.is_empty());
    let groups: Vec<Value> = named.map(|(name, versions)| describe(name, &versions)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

fn describe(name: &str, versions: &[&str]) -> Value {
    let one =
        |version: &&str| json!({"groupVersion": format!("{name}/{version}"), "version": version});
    let all: Vec<Value> = versions.iter().map(one).collect();
    json!({"name": name, "versions": all, "preferredVersion": all.first()})
}

/// `/apis/GROUP`. None for the core group and groups that are not served.
#[must_use]
pub fn group(scheme: &Scheme, name: &str) -> Option<Value> {
    let groups = scheme.group_versions();
    let versions = groups.get(name).filter(|_| !name.is_empty())?;
    let mut out = describe(name, versions);
    out["kind"] = json!("APIGroup");
    out["apiVersion"] = json!("v1");
    Some(out)
}

fn in_version<'a>(
    scheme: &'a Scheme,
    group: &str,
    version: &str,
) -> impl Iterator<Item = &'a ResourceType> {
    let wanted = (group.to_owned(), version.to_owned());
    let fits = move |rt: &&ResourceType| rt.group == wanted.0 && rt.version == wanted.1;
    scheme.types().map(AsRef::as_ref).filter(fits)
}

/// `/api/v1` and `/apis/GROUP/VERSION`. None if not served.
#[must_use]
pub fn resources(scheme: &Scheme, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for rt in in_version(scheme, group, version) {
        let mut main = json!({"name": rt.plural, "singularName": rt.singular,
            "namespaced": rt.namespaced, "kind": rt.kind, "verbs": rt.verbs()});
        add_lists(&mut main, rt);
        if rt.verbs().contains(&"watch") {
            main["storageVersionHash"] = json!(storage_version_hash(rt));
        }
        resources.push(main);
        for sub in rt.subresources() {
            let (group, version) = sub.group_version;
            let kind = if sub.kind.is_empty() { &rt.kind } else { sub.kind };
            let mut out = json!({"name": format!("{}/{}", rt.plural, sub.name),
                "singularName": "", "namespaced": rt.namespaced, "kind": kind,
                "verbs": sub.verbs});
            if !version.is_empty() {
                out["group"] = json!(group);
                out["version"] = json!(version);
            }
            resources.push(out);
        }
    }
    let group_version =
        if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    let mut list = json!({"kind": "APIResourceList", "groupVersion": group_version,
        "resources": resources});
    // The core group's list is older than the rule that everything has an apiVersion.
    if !group.is_empty() {
        list["apiVersion"] = json!("v1");
    }
    list["resources"].as_array().is_some_and(|all| !all.is_empty()).then_some(list)
}

/// Tells clients when objects begin to be stored in another version
/// (k8s.io/apiserver/pkg/endpoints/discovery).
fn storage_version_hash(rt: &ResourceType) -> String {
    let (group, version) = rt.stored_as.split_once('/').unwrap_or(("", &rt.stored_as));
    let digest = Sha256::digest(format!("{group}/{version}/{}", rt.kind));
    STANDARD.encode(digest.get(..8).unwrap_or_default())
}

fn add_lists(resource: &mut Value, rt: &ResourceType) {
    for (key, list) in [("shortNames", &rt.short_names), ("categories", &rt.categories)] {
        if !list.is_empty() {
            resource[key] = json!(list);
        }
    }
}

/// `/api` in the aggregated form.
#[must_use]
pub fn aggregated_core(scheme: &Scheme) -> Value {
    aggregated(scheme, |group| group.is_empty())
}

/// `/apis` in the aggregated form.
#[must_use]
pub fn aggregated_groups(scheme: &Scheme) -> Value {
    aggregated(scheme, |group| !group.is_empty())
}

fn aggregated(scheme: &Scheme, wanted: fn(&str) -> bool) -> Value {
    let mut items = Vec::new();
    for (group, versions) in ranked(scheme) {
        if !wanted(group) {
            continue;
        }
        let one = |version: &&str| {
            let resources: Vec<Value> =
                in_version(scheme, group, version).map(aggregated_resource).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        };
        let versions: Vec<Value> = versions.iter().map(one).collect();
        let metadata = if group.is_empty() { json!({}) } else { json!({"name": group}) };
        items.push(json!({"metadata": metadata, "versions": versions}));
    }
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {}, "items": items})
}

fn aggregated_resource(rt: &ResourceType) -> Value {
    // Upstream leaves group and version empty where they are those of the list.
    let response = if rt.custom {
        json!({"group": rt.group, "version": rt.version, "kind": rt.kind})
    } else {
        json!({"group": "", "version": "", "kind": rt.kind})
    };
    let scope = if rt.namespaced { "Namespaced" } else { "Cluster" };
    let mut out = json!({"resource": rt.plural, "responseKind": response, "scope": scope,
        "singularResource": rt.singular, "verbs": rt.verbs()});
    add_lists(&mut out, rt);
    let sub = |sub: &Subresource| {
        let kind = match (sub.kind, sub.group_version) {
            ("", _) => response.clone(),
            (kind, (group, version)) => json!({"group": group, "version": version, "kind": kind}),
        };
        json!({"subresource": sub.name, "responseKind": kind, "verbs": sub.verbs})
    };
    let subresources: Vec<Value> = rt.subresources().iter().map(sub).collect();
    if !subresources.is_empty() {
        out["subresources"] = json!(subresources);
    }
    out
}

/// `/version`. Major and minor are read from the version, as `v1.36.0+fleetwright`.
#[must_use]
pub fn version(git_version: &str) -> Value {
    let mut parts = git_version.trim_start_matches('v').split('.');
    let mut number = || -> String {
        let part = parts.next().unwrap_or_default();
        part.chars().take_while(char::is_ascii_digit).collect()
    };
    let (major, minor) = (number(), number());
    json!({"major": major, "minor": minor, "gitVersion": git_version, "gitCommit": "",
        "gitTreeState": "", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "",
        "compiler": "rustc", "platform": "linux/amd64"})
}

/// `/`: the paths that are served.
#[must_use]
pub fn root_paths(scheme: &Scheme) -> Value {
    let mut paths = vec!["/api".to_owned(), "/apis".to_owned()];
    for (group, versions) in scheme.group_versions() {
        let base = if group.is_empty() { "/api".to_owned() } else { format!("/apis/{group}") };
        paths.extend(versions.iter().map(|version| format!("{base}/{version}")));
        paths.push(base);
    }
    let others = ["/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"];
    paths.extend(others.map(str::to_owned));
    paths.sort();
    paths.dedup();
    json!({"paths": paths})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_core_group_lists_its_resources_with_subresources() {
        let list = resources(&Scheme::builtin(), "", "v1").unwrap_or_default();
        assert_eq!(list["groupVersion"], "v1");
        let names: Vec<&str> = list["resources"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|resource| resource["name"].as_str())
            .collect();
        assert_eq!(names.len(), 39);
        let pods: Vec<&str> =
            names.iter().copied().filter(|name| name.starts_with("pods")).collect();
        let wanted = [
            "pods",
            "pods/attach",
            "pods/binding",
            "pods/ephemeralcontainers",
            "pods/eviction",
            "pods/exec",
            "pods/log",
            "pods/portforward",
            "pods/proxy",
            "pods/resize",
            "pods/status",
        ];
        assert_eq!(pods, wanted);
        assert_eq!(
            list["resources"][2],
            json!({"name": "configmaps", "singularName": "configmap", "namespaced": true,
            "kind": "ConfigMap", "shortNames": ["cm"], "storageVersionHash": "qFsyl6wFWjQ=",
            "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update",
            "watch"]})
        );
    }

    #[test]
    fn groups_name_their_versions() {
        let scheme = Scheme::builtin();
        let version = json!({"groupVersion": "coordination.k8s.io/v1", "version": "v1"});
        let wanted = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "coordination.k8s.io",
            "versions": [version], "preferredVersion": version});
        assert_eq!(group(&scheme, "coordination.k8s.io"), Some(wanted));
        assert_eq!(group(&scheme, "nosuch.example.com"), None);
        let names: Vec<Value> = groups(&scheme)["groups"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|group| group["name"].clone())
            .collect();
        let first = ["apiregistration.k8s.io", "apps", "events.k8s.io", "authentication.k8s.io"];
        assert_eq!(names.get(..4), Some(first.map(|name| json!(name)).as_slice()));
        assert_eq!(names.len(), 20);
        assert_eq!(resources(&scheme, "coordination.k8s.io", "v9"), None);
    }

    #[test]
    fn aggregated_discovery_looks_as_recorded() {
        let wanted = json!({"metadata": {"name": "coordination.k8s.io"}, "versions": [{
            "version": "v1", "freshness": "Current", "resources": [{"resource": "leases",
            "responseKind": {"group": "", "version": "", "kind": "Lease"}, "scope": "Namespaced",
            "singularResource": "lease", "verbs": ["create", "delete", "deletecollection", "get",
            "list", "patch", "update", "watch"]}]}]});
        let all = aggregated_groups(&Scheme::builtin());
        let mut all = all["items"].as_array().into_iter().flatten();
        let found = all.find(|group| group["metadata"] == wanted["metadata"]);
        assert_eq!(found, Some(&wanted));
        let core = aggregated_core(&Scheme::builtin());
        assert_eq!(core["items"][0]["metadata"], json!({}));
    }

    #[test]
    fn the_eviction_of_a_pod_has_a_kind_of_its_own() {
        let core = resources(&Scheme::builtin(), "", "v1").unwrap_or_default();
        let listed = core["resources"].as_array().into_iter().flatten();
        let found: Vec<&Value> = listed.filter(|r| r["name"] == "pods/eviction").collect();
        let wanted = json!({"name": "pods/eviction", "singularName": "", "namespaced": true,
            "group": "policy", "version": "v1", "kind": "Eviction", "verbs": ["create"]});
        assert_eq!(found, [&wanted]);
        let all = aggregated_core(&Scheme::builtin());
        let resources = all["items"][0]["versions"][0]["resources"].as_array();
        let pods = resources.into_iter().flatten().find(|r| r["resource"] == "pods");
        let kind = json!({"group": "policy", "version": "v1", "kind": "Eviction"});
        let subs = pods.and_then(|pods| pods["subresources"].as_array()).into_iter().flatten();
        let found: Vec<&Value> = subs
            .filter(|sub| sub["subresource"] == "eviction")
            .map(|s| &s["responseKind"])
            .collect();
        assert_eq!(found, [&kind]);
    }

    #[test]
    fn the_version_is_split_into_its_numbers() {
        let made = version("v1.36.0+fleetwright");
        assert_eq!((&made["major"], &made["minor"]), (&json!("1"), &json!("36")));
    }
}
