//! The custom role of the guide, held against the calls that are sent.

use std::collections::BTreeSet;

use serde_json::Value;

/// Fails for a call (method and path) to Azure Resource Manager that the guide's role does not allow.
pub(crate) fn hold(sent: &[(String, String)]) {
    let allowed = allowed_by_the_guide();
    let needed: BTreeSet<String> =
        sent.iter().filter_map(|(method, path)| action(method, path)).collect();
    assert!(needed.len() > 5, "hardly anything was sent: {needed:?}");
    let refused: Vec<&String> = needed.iter().filter(|one| !allowed.contains(*one)).collect();
    assert!(refused.is_empty(), "docs/guides/aks-role.json does not allow {refused:?}");
}

/// The actions of the guide's role, in small letters: Azure does not mind case.
fn allowed_by_the_guide() -> BTreeSet<String> {
    let role = include_str!("../../../../docs/guides/aks-role.json");
    let role: Value = serde_json::from_str(role).expect("the guide's role is JSON");
    let actions = role["Actions"].as_array().expect("actions");
    actions.iter().map(|one| one.as_str().expect("an action").to_ascii_lowercase()).collect()
}

/// Azure's action for a call: the types of the path, and what the method does to the last of them. `None`: a call to Entra ID.
fn action(method: &str, path: &str) -> Option<String> {
    let path = path.split('?').next().unwrap_or_default().to_ascii_lowercase();
    let path = &path[path.find("/subscriptions/")?..];
    let types = match path.split_once("/providers/") {
        Some((_, below)) => {
            let mut segments = below.trim_matches('/').split('/');
            let provider = segments.next().expect("a provider");
            // Types and names take turns.
            let types: Vec<&str> = segments.step_by(2).collect();
            format!("{provider}/{}", types.join("/"))
        }
        None => "microsoft.resources/subscriptions/resourcegroups".to_owned(),
    };
    let verb = match method {
        "GET" => "read",
        "PUT" | "PATCH" => "write",
        "DELETE" => "delete",
        "POST" => "action",
        other => panic!("{other} {path}"),
    };
    Some(format!("{types}/{verb}"))
}

#[test]
fn calls_are_read_as_azures_actions() {
    let cluster = "/subscriptions/0a/resourceGroups/rg/providers/Microsoft.ContainerService/managedClusters/one";
    let action = |method: &str, path: &str| action(method, path).expect("a call to ARM");
    let below = "microsoft.containerservice/managedclusters";
    assert_eq!(
        action("GET", &format!("{cluster}?api-version=2026-03-01")),
        format!("{below}/read")
    );
    assert_eq!(
        action("POST", &format!("/cloud/azure{cluster}/listClusterUserCredential")),
        format!("{below}/listclusterusercredential/action")
    );
    assert_eq!(
        action("GET", &format!("{cluster}/agentPools/web/upgradeProfiles/default")),
        format!("{below}/agentpools/upgradeprofiles/read")
    );
    assert_eq!(
        action("GET", "/subscriptions/0a/providers/Microsoft.ContainerService/managedClusters"),
        format!("{below}/read")
    );
    assert_eq!(
        action(
            "GET",
            "/subscriptions/0a/providers/Microsoft.ContainerService/locations/westeurope/operations/7"
        ),
        "microsoft.containerservice/locations/operations/read"
    );
    assert_eq!(
        action("GET", "/subscriptions/0a/resourceGroups/rg"),
        "microsoft.resources/subscriptions/resourcegroups/read"
    );
}
