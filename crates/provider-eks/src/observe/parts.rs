//! Add-ons, access entries, Pod Identity associations and Fargate profiles, as EKS describes them.

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use fleetwright_plan::{
    Address, DesiredCluster, PartKey, PartKind, Phase, Resource, Seen, SeenPart,
};
use fleetwright_provider::CloudError;
use serde_json::{Value, json};

use super::{Look, tags, trouble, unreadable};
use crate::config::POLICIES;
use crate::error::Call;
use crate::{kind, wire};

/// Stands for a whole kind whose list could not be had.
const ALL: &str = "(list)";

/// Every part, on the way out too: a release must find all that bears our tags. `mode` is the cluster's
/// `accessConfig.authenticationMode`.
pub(super) async fn look(
    look: Look<'_>,
    desired: Option<&DesiredCluster>,
    mode: &Value,
) -> BTreeMap<PartKey, Seen<SeenPart>> {
    let mut parts = BTreeMap::new();
    for kind in [kind::ADD_ON, kind::ENTRY, kind::IDENTITY, kind::PROFILE] {
        let found = match names(look, kind, mode).await {
            Ok(found) => found,
            Err(error) => {
                // What is declared may be there; without the list nobody knows.
                let declared = desired.iter().flat_map(|desired| &desired.parts);
                let declared = declared.filter(|part| part.key.kind == kind);
                let all = PartKey { kind, name: ALL.to_owned() };
                for key in declared.map(|part| part.key.clone()).chain([all]) {
                    parts.insert(key, look.unknown(&error));
                }
                continue;
            }
        };
        for (name, id) in found {
            let key = PartKey { kind, name };
            match describe(look.client(), look.address, (&key, &id)).await {
                Ok(Some(body)) => {
                    let found = seen(look.address, &key, body);
                    parts.insert(key, look.seen(found));
                }
                Ok(None) => {}
                Err(error) => {
                    parts.insert(key, look.unknown(&error));
                }
            }
        }
    }
    parts
}

/// Names of all parts of a kind, each with what it is described by.
async fn names(
    look: Look<'_>,
    kind: PartKind,
    mode: &Value,
) -> Result<Vec<(String, String)>, CloudError> {
    let input = json!({"clusterName": look.address.external_name});
    let (operation, key) = match kind {
        kind::ADD_ON => ("ListAddons", "addons"),
        kind::ENTRY => ("ListAccessEntries", "accessEntries"),
        kind::IDENTITY => ("ListPodIdentityAssociations", "associations"),
        _ => ("ListFargateProfiles", "fargateProfileNames"),
    };
    let call = look.call(operation, &Resource::Cluster);
    let found = match wire::list(look.client(), &call, (&input, key)).await {
        Ok(found) => found,
        // A cluster whose access is in its ConfigMap only has no entries, and EKS refuses to list them. One of before
        // access entries tells no mode. Of any other the same refusal says nothing about what is there.
        Err(error)
            if kind == kind::ENTRY
                && error.code == "InvalidState"
                && (mode.is_null() || mode == "CONFIG_MAP") =>
        {
            Vec::new()
        }
        Err(error) => return Err(error),
    };
    Ok(found.iter().filter_map(|found| identify(kind, found)).collect())
}

fn identify(kind: PartKind, found: &Value) -> Option<(String, String)> {
    if kind == kind::IDENTITY {
        let of = |key: &str| found[key].as_str();
        let name = format!("{}/{}", of("namespace")?, of("serviceAccount")?);
        return Some((name, of("associationId")?.to_owned()));
    }
    let name = found.as_str()?.to_owned();
    Some((name.clone(), name))
}

async fn describe(
    client: &Client,
    address: &Address,
    (key, id): (&PartKey, &str),
) -> Result<Option<Value>, CloudError> {
    let (operation, name, found) = match key.kind {
        kind::ADD_ON => ("DescribeAddon", "addonName", "addon"),
        kind::ENTRY => ("DescribeAccessEntry", "principalArn", "accessEntry"),
        kind::IDENTITY => ("DescribePodIdentityAssociation", "associationId", "association"),
        _ => ("DescribeFargateProfile", "fargateProfileName", "fargateProfile"),
    };
    let resource = Resource::Part(key.clone());
    let call = Call { operation, address, resource: &resource };
    let mut input = json!({"clusterName": address.external_name});
    input[name] = json!(id);
    let Some(mut body) = wire::find(client, &call, (&input, found)).await? else {
        return Ok(None);
    };
    if key.kind == kind::ENTRY {
        let call = Call { operation: "ListAssociatedAccessPolicies", ..call };
        match wire::list(client, &call, (&input, "associatedAccessPolicies")).await {
            Ok(policies) => body[POLICIES] = Value::Array(policies),
            Err(error) if error.code == "NotFound" => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(body))
}

/// A part by its key, read again. `None`: EKS says that there is none.
pub(crate) async fn find_part(
    client: &Client,
    address: &Address,
    key: &PartKey,
) -> Result<Option<Value>, CloudError> {
    if key.kind != kind::IDENTITY {
        return describe(client, address, (key, &key.name)).await;
    }
    let (namespace, account) = key.name.split_once('/').unwrap_or(("", &key.name));
    let resource = Resource::Part(key.clone());
    let call = Call { operation: "ListPodIdentityAssociations", address, resource: &resource };
    let input = json!({
        "clusterName": address.external_name,
        "namespace": namespace,
        "serviceAccount": account,
    });
    let found = match wire::list(client, &call, (&input, "associations")).await {
        Ok(found) => found,
        Err(error) if error.code == "NotFound" => return Ok(None),
        Err(error) => return Err(error),
    };
    let this =
        |found: &&Value| found["namespace"] == namespace && found["serviceAccount"] == account;
    match found.iter().find(this).and_then(|found| found["associationId"].as_str()) {
        Some(id) => describe(client, address, (key, id)).await,
        None => Ok(None),
    }
}

fn seen(address: &Address, key: &PartKey, body: Value) -> Result<SeenPart, CloudError> {
    let resource = Resource::Part(key.clone());
    let call = Call { operation: "Describe", address, resource: &resource };
    // Entries and associations are there at once and have no status.
    let status = body["status"].as_str().unwrap_or("ACTIVE");
    let phase = match status {
        "CREATING" => Phase::Creating,
        "ACTIVE" | "DEGRADED" | "UPDATE_FAILED" => Phase::Active,
        "UPDATING" => Phase::Updating,
        "DELETING" => Phase::Deleting,
        "CREATE_FAILED" | "DELETE_FAILED" => Phase::Failed,
        _ => return Err(unreadable(&call, &format!("status {status}, which we do not know"))),
    };
    let trouble = trouble(
        &body,
        (!matches!(status, "ACTIVE" | "CREATING" | "UPDATING" | "DELETING")).then_some(status),
    );
    Ok(SeenPart { tags: tags(&body), phase, trouble, last_update: None, body })
}
