//! Reads only: what Azure says about a cluster, its agent pools and maintenance configurations, and all that carries our tags.

mod closer;
mod parts;
mod pools;

use std::collections::BTreeMap;

use fleetwright_names::{HubId, Owner, PoolName};
use fleetwright_plan::{
    Address, Credentials, DesiredCluster, Phase, Resource, Seen, SeenCluster, Snapshot,
};
use fleetwright_provider::{CloudError, Owned, Patience};
use jiff::Timestamp;
use serde_json::Value;

use crate::error::{Call, in_words, unreadable};
use crate::member::host;
use crate::place::Place;
use crate::session::Session;
use crate::tags::from_azure;
use crate::wire::{self, Arm};

pub(crate) use parts::find_part;
pub(crate) use pools::find_pool;

/// Where and with what a look is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) session: &'a Session,
    pub(crate) address: &'a Address,
    /// For how long Azure asked not to be asked again, during this look.
    pub(crate) patience: &'a Patience,
    /// When the look began.
    pub(crate) since: Timestamp,
}

impl Look<'_> {
    fn arm(&self) -> &Arm {
        &self.session.arm
    }

    fn call<'b>(&'b self, operation: &'static str, resource: &'b Resource) -> Call<'b> {
        Call { operation, address: self.address, resource }
    }

    fn unknown<T>(&self, error: &CloudError) -> Seen<T> {
        self.patience.note(error);
        Seen::Unknown { since: self.since, why: error.to_string() }
    }

    /// Nothing could be seen.
    fn nothing(&self, error: &CloudError) -> Snapshot {
        Snapshot::of(self.unknown(error))
    }

    fn seen<T>(&self, found: Result<T, CloudError>) -> Seen<T> {
        found.map_or_else(|error| self.unknown(&error), Seen::Present)
    }
}

/// Looks at the control plane, at every pool and part. Half a list is no list: it counts as `Unknown`.
pub(crate) async fn observe(look: Look<'_>, desired: Option<&DesiredCluster>) -> Snapshot {
    let credentials = look.session.identity(look.address).await;
    let mut snapshot = match &credentials {
        Credentials::Failed { why, code } => {
            let why = format!("{code}: {why}");
            Snapshot::of(Seen::Unknown { since: look.since, why })
        }
        Credentials::NotAsked | Credentials::Valid { .. } => whole(look, desired).await,
    };
    if snapshot.credentials == Credentials::NotAsked {
        snapshot.credentials = credentials;
    }
    snapshot.retry_after = look.patience.asked();
    snapshot
}

async fn whole(look: Look<'_>, desired: Option<&DesiredCluster>) -> Snapshot {
    let found = match find_cluster(look.arm(), look.address).await {
        Ok(Some(cluster)) => seen_cluster(look.address, cluster),
        Ok(None) => {
            look.session.operations.forget(&look.address.external_name);
            look.session.members.forget(&look.address.external_name);
            return Snapshot::absent();
        }
        Err(error) => {
            let mut snapshot = look.nothing(&error);
            // Entra ID may have known us minutes ago; Azure knows better.
            if error.code == "Expired" {
                snapshot.credentials = look.session.lost(&error);
            }
            return snapshot;
        }
    };
    let mut cluster = match found {
        Ok(cluster) => cluster,
        Err(error) => return look.nothing(&error),
    };
    look.session.members.note(look.address, &cluster.body);
    // Parts are made once the control plane is there, and go with it.
    let half = matches!(cluster.phase, Phase::Creating | Phase::Deleting);
    if !half {
        closer::way(look, &mut cluster).await;
    }
    let tags = cluster.tags.clone();
    let mut snapshot = Snapshot::of(Seen::Present(cluster));
    match pools::look(look).await {
        Ok(pools) => snapshot.pools = pools,
        Err(error) => return look.nothing(&error),
    }
    if let Some(desired) = desired.filter(|_| !half) {
        snapshot.parts = parts::look(look, desired, &tags).await;
        closer::look(look, desired, &mut snapshot).await;
    }
    closer::operations(look, &mut snapshot).await;
    snapshot
}

/// Everything in the subscription and region that carries the tags of `hub`, sorted.
pub(crate) async fn list_owned(look: Look<'_>, hub: &HubId) -> Result<Vec<Owned>, CloudError> {
    let mut owned = Vec::new();
    let named = &look.address.external_name;
    let subscription = Place::subscription_of(named).unwrap_or(named).to_owned();
    let everywhere = Address { external_name: subscription, ..look.address.clone() };
    let resource = Resource::Cluster;
    let call =
        Call { operation: "ManagedClusters_List", address: &everywhere, resource: &resource };
    for cluster in wire::list(look.arm(), &call).await? {
        let location = cluster["location"].as_str().unwrap_or_default();
        if !same_location(location, &look.address.region) {
            continue;
        }
        let id = cluster["id"].as_str().unwrap_or_default();
        let Some(place) = Place::from_id(id) else {
            return Err(unreadable(&call, &format!("a cluster with the id {id:?}")));
        };
        let address = Address { external_name: place.to_string(), ..look.address.clone() };
        let mut keep = |resource, tags: &Value| {
            if let Some(owner) =
                Owner::from_tags(&from_azure(tags)).filter(|owner| owner.hub == *hub)
            {
                owned.push(Owned { address: address.clone(), resource, owner });
            }
        };
        keep(Resource::Cluster, &cluster["tags"]);
        let pools = &cluster["properties"]["agentPoolProfiles"];
        for pool in pools.as_array().into_iter().flatten() {
            if let Ok(name) = PoolName::new(pool["name"].as_str().unwrap_or_default()) {
                keep(Resource::Pool(name), &pool["tags"]);
            }
        }
    }
    owned.sort();
    Ok(owned)
}

/// Azure writes a location as `westeurope` or `West Europe`.
fn same_location(one: &str, other: &str) -> bool {
    let plain = |text: &str| text.replace(' ', "").to_ascii_lowercase();
    plain(one) == plain(other)
}

/// `None`: Azure says that there is none.
pub(crate) async fn find_cluster(
    arm: &Arm,
    address: &Address,
) -> Result<Option<Value>, CloudError> {
    let call = Call { operation: "ManagedClusters_Get", address, resource: &Resource::Cluster };
    wire::find(arm, &call).await
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Azure's `provisioningState` of clusters and pools, where `works` says whether it was ever of use. A change that failed
/// leaves a thing that works, and that the next change may mend; only what never came to be is broken. Azure ends its work in
/// three words only (Resource Manager's contract, "Asynchronous Operations"); every other names work that goes on. `None`: it
/// says nothing.
fn phase(state: &str, works: bool) -> Option<Phase> {
    Some(match state {
        "Succeeded" => Phase::Active,
        "Creating" => Phase::Creating,
        "Deleting" => Phase::Deleting,
        "Failed" | "Canceled" if works => Phase::Active,
        "Failed" | "Canceled" => Phase::Failed,
        "" => return None,
        // Updating, Upgrading, UpgradingNodeImageVersion, Scaling, Starting, Stopping, ReconcilingAddons, …
        _ => Phase::Updating,
    })
}

/// What is broken about a cluster or pool, in Azure's words.
fn trouble(properties: &Value, state: &str, stopped: &str) -> String {
    let mut told = Vec::new();
    let error = in_words(&properties["status"]["provisioningError"]);
    match state {
        "Failed" | "Canceled" if error.is_empty() => {
            told.push(format!("its last change is {state}, and Azure gives no reason"));
        }
        // While it goes: what of it would not go.
        "Failed" | "Canceled" | "Deleting" if !error.is_empty() => told.push(error),
        _ => {}
    }
    if properties["powerState"]["code"] == "Stopped" {
        told.push(stopped.to_owned());
    }
    told.join("; ")
}

fn seen_cluster(address: &Address, cluster: Value) -> Result<SeenCluster, CloudError> {
    let call = Call { operation: "ManagedClusters_Get", address, resource: &Resource::Cluster };
    let properties = &cluster["properties"];
    let state = properties["provisioningState"].as_str().unwrap_or_default();
    let endpoint = host(&cluster).map(|host| format!("https://{host}:443"));
    let Some(phase) = phase(state, endpoint.is_some()) else {
        return Err(unreadable(&call, "a cluster without provisioningState"));
    };
    let version = text(&properties["currentKubernetesVersion"])
        .or_else(|| text(&properties["kubernetesVersion"]));
    let tags: BTreeMap<String, String> = from_azure(&cluster["tags"]);
    Ok(SeenCluster {
        external_id: text(&cluster["id"]).unwrap_or_default(),
        tags,
        phase,
        trouble: trouble(properties, state, "the cluster is stopped: az aks start"),
        version: version.unwrap_or_default(),
        platform_version: None,
        endpoint,
        certificate_authority: None,
        oidc_issuer: text(&properties["oidcIssuerProfile"]["issuerURL"]),
        last_update: None,
        blockers: None,
        body: cluster,
    })
}
