//! What goes back to Azure when something is changed: all that was read, without what only Azure writes, with the change in it.

use fleetwright_provider::merge_patch;
use serde_json::{Map, Value};

/// What only Azure writes on a cluster: the read-only properties of its models, by path. `*` stands for each member.
const OF_CLUSTER: &[&str] = &[
    "id",
    "name",
    "type",
    "eTag",
    "systemData",
    "identity.principalId",
    "identity.tenantId",
    "identity.userAssignedIdentities.*.principalId",
    "identity.userAssignedIdentities.*.clientId",
    "properties.provisioningState",
    "properties.powerState",
    "properties.maxAgentPools",
    "properties.currentKubernetesVersion",
    "properties.fqdn",
    "properties.privateFQDN",
    "properties.azurePortalFQDN",
    "properties.resourceUID",
    "properties.status",
    "properties.oidcIssuerProfile.issuerURL",
    "properties.podIdentityProfile.userAssignedIdentities.*.provisioningState",
    "properties.podIdentityProfile.userAssignedIdentities.*.provisioningInfo",
    "properties.addonProfiles.*.identity",
    "properties.networkProfile.loadBalancerProfile.effectiveOutboundIPs",
    "properties.networkProfile.natGatewayProfile.effectiveOutboundIPs",
    "properties.privateLinkResources.*.privateLinkServiceID",
    "properties.ingressProfile.webAppRouting.identity",
    "properties.agentPoolProfiles.*.eTag",
    "properties.agentPoolProfiles.*.provisioningState",
    "properties.agentPoolProfiles.*.currentOrchestratorVersion",
    "properties.agentPoolProfiles.*.nodeImageVersion",
    "properties.agentPoolProfiles.*.status",
    "properties.agentPoolProfiles.*.localDNSProfile.state",
];
/// What only Azure writes on an agent pool.
const OF_POOL: &[&str] = &[
    "id",
    "name",
    "type",
    "systemData",
    "properties.eTag",
    "properties.provisioningState",
    "properties.currentOrchestratorVersion",
    "properties.nodeImageVersion",
    "properties.status",
    "properties.localDNSProfile.state",
];
/// What only Azure writes on a maintenance configuration.
const OF_PART: &[&str] = &["id", "name", "type", "systemData"];

/// Which of our resources a body is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Of {
    Cluster,
    Pool,
    Part,
}

/// The body that brings `change` (RFC 7396) to what was read. Everything else stays as it is, known to us or not.
pub(crate) fn changed(of: Of, found: &Value, change: &Value) -> Value {
    let mut body = writable(of, found);
    merge_patch(&mut body, change);
    body
}

/// What was read, without what only Azure writes.
pub(crate) fn writable(of: Of, found: &Value) -> Value {
    let mut body = found.clone();
    let paths = match of {
        Of::Cluster => OF_CLUSTER,
        Of::Pool => OF_POOL,
        Of::Part => OF_PART,
    };
    for path in paths {
        let steps: Vec<&str> = path.split('.').collect();
        remove(&mut body, &steps);
    }
    without_nulls(&mut body);
    body
}

/// Azure answers `null` where it holds nothing, and its schema takes none in a request.
fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, each| !each.is_null());
            map.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

fn remove(value: &mut Value, path: &[&str]) {
    match path {
        [] => {}
        [last] => {
            if let Some(map) = value.as_object_mut() {
                map.remove(*last);
            }
        }
        ["*", rest @ ..] => match value {
            Value::Object(map) => map.values_mut().for_each(|each| remove(each, rest)),
            Value::Array(list) => list.iter_mut().for_each(|each| remove(each, rest)),
            _ => {}
        },
        [step, rest @ ..] => {
            if let Some(inner) = value.get_mut(*step) {
                remove(inner, rest);
            }
        }
    }
}

/// Tags after a patch. Azure compares their names without regard to case, so a name that is patched goes first whatever the
/// case it was found in.
pub(crate) fn tags(found: &Value, patch: &Value) -> Map<String, Value> {
    let patch = patch.as_object().cloned().unwrap_or_default();
    let stays = |name: &String| !patch.keys().any(|patched| patched.eq_ignore_ascii_case(name));
    let mut tags = found.as_object().cloned().unwrap_or_default();
    tags.retain(|name, _| stays(name));
    tags.extend(patch.into_iter().filter(|(_, value)| !value.is_null()));
    tags
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;

    use serde_json::json;

    use super::*;

    /// Where `cargo xtask test` installs Azure's client; or the folder that the variable names.
    fn packages() -> PathBuf {
        let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/python");
        let named = std::env::var_os("FLEETWRIGHT_PYTHON_PACKAGES").map(PathBuf::from);
        let mut folders = named.into_iter().chain([pinned]);
        let found = folders.find(|folder| folder.join("azure/mgmt/containerservice").is_dir());
        found.expect("no azure-mgmt-containerservice; `cargo xtask test` installs it")
    }

    #[test]
    fn what_azures_own_client_does_not_send_we_do_not_send() {
        let ran = Command::new("python3")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_only.py"))
            .env("PYTHONPATH", packages())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .output()
            .expect("python3 runs");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        let mut ours: &[&str] = &[];
        let (mut known, mut missing) = (0, Vec::new());
        for line in String::from_utf8_lossy(&ran.stdout).lines() {
            ours = match line {
                "[ManagedCluster]" => OF_CLUSTER,
                "[AgentPool]" => OF_POOL,
                "[MaintenanceConfiguration]" => OF_PART,
                path => {
                    let covers = |ours: &&str| {
                        path.strip_prefix(*ours)
                            .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
                    };
                    known += 1;
                    if !ours.iter().any(covers) {
                        missing.push(path.to_owned());
                    }
                    ours
                }
            };
        }
        assert!(known > 40, "only {known} read-only properties");
        assert_eq!(missing, Vec::<String>::new());
    }

    #[test]
    fn what_only_azure_writes_stays_away_and_what_we_do_not_know_goes_back() {
        let found = json!({
            "id": "/subscriptions/x", "eTag": "1", "location": "westeurope",
            "identity": {"type": "UserAssigned", "principalId": "p",
                "userAssignedIdentities": {"/id": {"clientId": "c", "principalId": "p"}}},
            "properties": {
                "provisioningState": "Succeeded", "fqdn": "a.b", "fromTomorrow": {"a": [1], "b": null},
                "agentPoolProfiles": [{"name": "web", "count": 3, "eTag": "2", "fromTomorrow": 1}],
            },
        });
        let change = json!({"properties": {"kubernetesVersion": "1.34", "dnsPrefix": null}});
        assert_eq!(
            changed(Of::Cluster, &found, &change),
            json!({
                "location": "westeurope",
                "identity": {"type": "UserAssigned", "userAssignedIdentities": {"/id": {}}},
                "properties": {
                    "fromTomorrow": {"a": [1]},
                    "agentPoolProfiles": [{"name": "web", "count": 3, "fromTomorrow": 1}],
                    "kubernetesVersion": "1.34",
                },
            })
        );
    }

    #[test]
    fn an_array_in_a_change_replaces_the_whole() {
        let found = json!({"properties": {"nodeTaints": ["a", "b"], "count": 3}});
        let change = json!({"properties": {"nodeTaints": ["c"]}});
        assert_eq!(
            changed(Of::Pool, &found, &change),
            json!({"properties": {"nodeTaints": ["c"], "count": 3}})
        );
    }

    #[test]
    fn a_tag_is_replaced_whatever_its_case() {
        let found = json!({"Team": "a", "keep": "b", "gone": "c"});
        let patch = json!({"team": "d", "GONE": null});
        assert_eq!(Value::Object(tags(&found, &patch)), json!({"team": "d", "keep": "b"}));
    }
}
