//! Maintenance configurations, as Azure describes them. They have no tags: whose they are, the cluster says.

use std::collections::BTreeMap;

use fleetwright_plan::{Address, DesiredCluster, PartKey, Phase, Resource, Seen, SeenPart};
use fleetwright_provider::CloudError;
use serde_json::Value;

use super::Look;
use crate::config::MAINTENANCE_DECLARED;
use crate::error::{Call, unreadable};
use crate::kind;
use crate::wire::{self, Arm};

/// Stands for all of them if their list could not be had.
const ALL: &str = "(list)";

/// Every maintenance configuration of the cluster, if the declaration says anything of them. Without their list the rest of
/// what was seen stays true.
pub(super) async fn look(
    look: Look<'_>,
    desired: &DesiredCluster,
    tags: &BTreeMap<String, String>,
) -> BTreeMap<PartKey, Seen<SeenPart>> {
    if desired.body[MAINTENANCE_DECLARED] != true {
        return BTreeMap::new();
    }
    list(look, tags).await.unwrap_or_else(|error| {
        // What is declared may be there; without the list nobody knows.
        let declared = desired.parts.iter().map(|part| part.key.clone());
        let declared = declared.filter(|key| key.kind == kind::MAINTENANCE);
        let all = PartKey { kind: kind::MAINTENANCE, name: ALL.to_owned() };
        declared.chain([all]).map(|key| (key, look.unknown(&error))).collect()
    })
}

async fn list(
    look: Look<'_>,
    tags: &BTreeMap<String, String>,
) -> Result<BTreeMap<PartKey, Seen<SeenPart>>, CloudError> {
    let mut parts = BTreeMap::new();
    let call = look.call("MaintenanceConfigurations_ListByManagedCluster", &Resource::Cluster);
    for body in wire::list(look.arm(), &call).await? {
        let Some(name) = body["name"].as_str() else {
            return Err(unreadable(&call, "a maintenance configuration without a name"));
        };
        let key = PartKey { kind: kind::MAINTENANCE, name: name.to_owned() };
        let part = SeenPart {
            tags: tags.clone(),
            phase: Phase::Active,
            trouble: String::new(),
            last_update: None,
            body,
        };
        parts.insert(key, Seen::Present(part));
    }
    Ok(parts)
}

/// `None`: Azure says that there is none.
pub(crate) async fn find_part(
    arm: &Arm,
    address: &Address,
    key: &PartKey,
) -> Result<Option<Value>, CloudError> {
    let resource = Resource::Part(key.clone());
    let call = Call { operation: "MaintenanceConfigurations_Get", address, resource: &resource };
    wire::find(arm, &call).await
}
