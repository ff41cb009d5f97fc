//! Reads only: what EKS says about a cluster, its node groups and parts, and all that carries our tags.

mod closer;
mod parts;
mod pools;

use std::collections::BTreeMap;

use aws_sdk_eks::Client;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Owner, PoolName};
use fleetwright_plan::{
    Address, Credentials, DesiredCluster, Phase, Resource, Seen, SeenCluster, Snapshot,
};
use fleetwright_provider::{CloudError, Owned, Patience};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::EksSettings;
use crate::error::Call;
use crate::release::Releases;
use crate::session::Session;
use crate::wire;

pub(crate) use closer::Updates;
pub(crate) use parts::find_part;
pub(crate) use pools::find_pool;

/// Where and with what a look is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look<'a> {
    pub(crate) session: &'a Session,
    pub(crate) settings: &'a EksSettings,
    pub(crate) releases: &'a Releases,
    pub(crate) updates: &'a Updates,
    /// For how long AWS asked not to be asked again, during this look.
    pub(crate) patience: &'a Patience,
    pub(crate) address: &'a Address,
    /// When the look began.
    pub(crate) since: Timestamp,
}

impl Look<'_> {
    fn client(&self) -> &Client {
        &self.session.eks
    }

    fn call<'b>(&'b self, operation: &'static str, resource: &'b Resource) -> Call<'b> {
        Call { operation, address: self.address, resource }
    }

    fn unknown<T>(&self, error: &CloudError) -> Seen<T> {
        self.patience.note(error);
        Seen::Unknown { since: self.since, why: error.to_string() }
    }

    fn seen<T>(&self, found: Result<T, CloudError>) -> Seen<T> {
        found.map_or_else(|error| self.unknown(&error), Seen::Present)
    }
}

/// Looks at the control plane, at every node group and part. Half a list is no list: it counts as `Unknown`.
pub(crate) async fn observe(look: Look<'_>, desired: Option<&DesiredCluster>) -> Snapshot {
    let credentials = look.session.identity(look.since).await;
    let mut snapshot = match &credentials {
        Credentials::Failed { why, code } => {
            let why = format!("{code}: {why}");
            Snapshot::of(Seen::Unknown { since: look.since, why })
        }
        Credentials::NotAsked if look.session.is_limited() => Snapshot::of(Seen::Unknown {
            since: look.since,
            why: "STS gave no answer, so it is not known whether this account is allowed".into(),
        }),
        Credentials::NotAsked | Credentials::Valid { .. } => whole(look, desired).await,
    };
    if snapshot.credentials == Credentials::NotAsked {
        snapshot.credentials = credentials;
    }
    snapshot.retry_after = look.patience.asked();
    snapshot
}

async fn whole(look: Look<'_>, desired: Option<&DesiredCluster>) -> Snapshot {
    let cluster = match find_cluster(look.client(), look.address).await {
        Ok(Some(cluster)) => cluster,
        Ok(None) => return Snapshot::absent(),
        Err(error) => {
            let mut snapshot = Snapshot::of(look.unknown(&error));
            // STS may have known us minutes ago; EKS knows better.
            if error.code == "Expired" {
                snapshot.credentials = look.session.lost(&error).await;
            }
            return snapshot;
        }
    };
    let cluster = match seen_cluster(look.address, cluster) {
        Ok(cluster) => cluster,
        Err(error) => return Snapshot::of(look.unknown(&error)),
    };
    // Parts are made once the control plane is there, and go with it.
    let without_parts = matches!(cluster.phase, Phase::Creating | Phase::Deleting);
    let mode = cluster.body["accessConfig"]["authenticationMode"].clone();
    let mut snapshot = Snapshot::of(Seen::Present(cluster));
    match pools::look(look).await {
        Ok(pools) => snapshot.pools = pools,
        Err(error) => return Snapshot::of(look.unknown(&error)),
    }
    if !without_parts {
        snapshot.parts = parts::look(look, desired, &mode).await;
    }
    if let Some(desired) = desired {
        closer::look(look, desired, &mut snapshot).await;
    } else {
        closer::updates_under_way(look, &mut snapshot).await;
    }
    snapshot
}

/// Everything in the region that carries the tags of `hub`, sorted.
pub(crate) async fn list_owned(look: Look<'_>, hub: &HubId) -> Result<Vec<Owned>, CloudError> {
    let mut owned = Vec::new();
    let nowhere = Address { external_name: String::new(), ..look.address.clone() };
    let call = Call { operation: "ListClusters", address: &nowhere, resource: &Resource::Cluster };
    for name in wire::list(look.client(), &call, (&json!({}), "clusters")).await? {
        let external_name = name.as_str().unwrap_or_default().to_owned();
        let place = Address { external_name, ..look.address.clone() };
        let look = Look { address: &place, ..look };
        let Some(cluster) = find_cluster(look.client(), &place).await? else {
            continue;
        };
        let mut keep = |resource, tags: &BTreeMap<String, String>| {
            if let Some(owner) = Owner::from_tags(tags).filter(|owner| owner.hub == *hub) {
                owned.push(Owned { address: place.clone(), resource, owner });
            }
        };
        keep(Resource::Cluster, &tags(&cluster));
        for name in pools::names(look).await? {
            let Ok(pool) = PoolName::new(&name) else {
                continue;
            };
            if let Some(group) = find_pool(look.client(), &place, &pool).await? {
                keep(Resource::Pool(pool), &tags(&group));
            }
        }
    }
    owned.sort();
    Ok(owned)
}

/// `None`: EKS says that there is none.
pub(crate) async fn find_cluster(
    client: &Client,
    address: &Address,
) -> Result<Option<Value>, CloudError> {
    let call = Call { operation: "DescribeCluster", address, resource: &Resource::Cluster };
    wire::find(client, &call, (&json!({"name": address.external_name}), "cluster")).await
}

fn unreadable(call: &Call<'_>, what: &str) -> CloudError {
    call.error(Class::Unknown, "Unreadable", &format!("EKS gave {what}; we look again"))
}

/// The tags of anything that EKS describes.
pub(crate) fn tags(found: &Value) -> BTreeMap<String, String> {
    let tags = found["tags"].as_object().into_iter().flatten();
    tags.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn seen_cluster(address: &Address, cluster: Value) -> Result<SeenCluster, CloudError> {
    let call = Call { operation: "DescribeCluster", address, resource: &Resource::Cluster };
    let status = cluster["status"].as_str().unwrap_or("none");
    let phase = match status {
        "CREATING" | "PENDING" => Phase::Creating,
        "ACTIVE" => Phase::Active,
        "UPDATING" => Phase::Updating,
        "DELETING" => Phase::Deleting,
        "FAILED" => Phase::Failed,
        _ => return Err(unreadable(&call, &format!("status {status}, which we do not know"))),
    };
    let certificate_authority = cluster["certificateAuthority"]["data"]
        .as_str()
        .map(|data| {
            STANDARD.decode(data).ok().and_then(|bytes| String::from_utf8(bytes).ok()).ok_or_else(
                || unreadable(&call, "a certificate authority that is not PEM in base64"),
            )
        })
        .transpose()?;
    Ok(SeenCluster {
        external_id: text(&cluster["arn"]).unwrap_or_default(),
        tags: tags(&cluster),
        phase,
        trouble: trouble(&cluster, (phase == Phase::Failed).then_some(status)),
        version: text(&cluster["version"]).unwrap_or_default(),
        platform_version: text(&cluster["platformVersion"]),
        endpoint: text(&cluster["endpoint"]),
        certificate_authority,
        oidc_issuer: text(&cluster["identity"]["oidc"]["issuer"]),
        last_update: None,
        blockers: None,
        body: cluster,
    })
}

/// The health issues of anything that EKS describes, code first. `failed`: the status of what must have a reason.
fn trouble(found: &Value, failed: Option<&str>) -> String {
    let issues = found["health"]["issues"].as_array().into_iter().flatten();
    let told: Vec<String> = issues
        .map(|issue| {
            let code = issue["code"].as_str().unwrap_or("Other");
            let on: Vec<&str> = issue["resourceIds"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let on = if on.is_empty() { String::new() } else { format!(" ({})", on.join(", ")) };
            format!("{code}: {}{on}", issue["message"].as_str().unwrap_or("no message"))
        })
        .collect();
    match failed {
        Some(status) if told.is_empty() => format!("{status}, and EKS gives no reason"),
        _ => told.join("; "),
    }
}
