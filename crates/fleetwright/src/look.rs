//! The verbs that only look at a hub: `get`, `why`, `history`.

use anyhow::{Context as _, bail};
use fleetwright_api_types::{ManagedCluster, ProviderConfig};
use fleetwright_clock::{Clock as _, SystemClock};
use fleetwright_controllers::history;
use fleetwright_names::ObjectKey;
use fleetwright_verbs::effective::effective;
use fleetwright_verbs::why::why;
use fleetwright_verbs::{fleet, record, yaml};
use k8s_openapi::api::core::v1::Event;
use kube::api::ListParams;
use kube::{Api, Client, ResourceExt};
use serde_json::{Value, json};

use crate::cli::{Format, Get, One, Shown};
use crate::exit::Exit;
use crate::output;
use crate::reach::{Rights, need};
use crate::wiring::limits;

const KIND: &str = "managedclusters.fleetwright.dev";

/// One row for each cluster, or their whole declarations.
pub(crate) async fn get(asked: &Get) -> anyhow::Result<Exit> {
    let wanted = wanted(asked)?;
    let hub = need(&asked.hub, Rights::Read).await?;
    let clusters = clusters(&hub.client, asked.namespace.as_deref(), &wanted).await?;
    if asked.effective {
        return declarations(asked, &hub.client, &clusters).await;
    }
    let rows = fleet::rows(&clusters, SystemClock.now());
    match asked.output {
        Shown::Text => output::lines(fleet::text(&rows)),
        Shown::Json => output::line(&json!({ "clusters": rows }).to_string()),
        Shown::Yaml => {
            let documents: Vec<Value> = rows.iter().map(|row| json!(row)).collect();
            output::lines(yaml::documents(&documents));
        }
    }
    Ok(Exit::Done)
}

/// The clusters that were named.
fn wanted(asked: &Get) -> anyhow::Result<Vec<ObjectKey>> {
    let key = |text: &String| match (text.split_once('/'), &asked.namespace) {
        (Some((namespace, _)), Some(other)) if namespace != other => {
            bail!("{text} is not in namespace {other}")
        }
        (Some((namespace, name)), _) => Ok(ObjectKey::namespaced(namespace, name)),
        (None, Some(namespace)) => Ok(ObjectKey::namespaced(namespace, text)),
        (None, None) => bail!("{text}: write it as NAMESPACE/NAME, or name its namespace with -n"),
    };
    asked.clusters.iter().map(key).collect()
}

async fn clusters(
    client: &Client,
    namespace: Option<&str>,
    wanted: &[ObjectKey],
) -> anyhow::Result<Vec<ManagedCluster>> {
    let api: Api<ManagedCluster> = match namespace {
        Some(namespace) => Api::namespaced(client.clone(), namespace),
        None => Api::all(client.clone()),
    };
    let listed = api.list(&ListParams::default()).await;
    let mut found = listed.with_context(|| format!("cannot list the hub's {KIND}"))?.items;
    found.sort_by_key(|cluster| (cluster.namespace(), cluster.name_any()));
    if wanted.is_empty() {
        return Ok(found);
    }
    let key = |cluster: &ManagedCluster| {
        ObjectKey::namespaced(cluster.namespace().unwrap_or_default(), cluster.name_any())
    };
    if let Some(missing) =
        wanted.iter().find(|wanted| !found.iter().any(|one| key(one) == **wanted))
    {
        bail!("there is no {KIND} {missing}");
    }
    found.retain(|cluster| wanted.contains(&key(cluster)));
    Ok(found)
}

async fn declarations(
    asked: &Get,
    client: &Client,
    clusters: &[ManagedCluster],
) -> anyhow::Result<Exit> {
    let accounts: Api<ProviderConfig> = Api::all(client.clone());
    let accounts = accounts.list(&ListParams::default()).await;
    let accounts = accounts.context("cannot list the hub's providerconfigs.fleetwright.dev")?.items;
    let mut documents = Vec::new();
    for (index, cluster) in clusters.iter().enumerate() {
        let name = &cluster.spec.provider_config_ref.name;
        let account = accounts.iter().find(|account| account.name_any() == *name);
        let filled = effective(&serde_json::to_value(cluster)?, account);
        if asked.output == Shown::Json {
            let name =
                format!("{}/{}", cluster.namespace().unwrap_or_default(), cluster.name_any());
            documents.push(json!({"cluster": name, "fields": filled.fields}));
            continue;
        }
        if index > 0 {
            output::line("---");
        }
        output::lines(yaml::lines(&filled.document));
    }
    if asked.output == Shown::Json {
        output::line(&json!({ "clusters": documents }).to_string());
    }
    Ok(Exit::Done)
}

/// From "not Ready" down to the cause.
pub(crate) async fn explain(asked: &One) -> anyhow::Result<Exit> {
    let hub = need(&asked.hub, Rights::Read).await?;
    let key = &asked.cluster;
    let api: Api<ManagedCluster> = Api::namespaced(hub.client.clone(), &key.namespace);
    let found =
        api.get_opt(&key.name).await.with_context(|| format!("cannot read {KIND} {key}"))?;
    let cluster = found.with_context(|| format!("there is no {KIND} {key}"))?;
    let events: Api<Event> = Api::namespaced(hub.client.clone(), &key.namespace);
    let events = events.list(&ListParams::default()).await;
    let events = events.with_context(|| format!("cannot list the events of {}", key.namespace))?;
    let about = |event: &Event| {
        let object = &event.involved_object;
        object.kind.as_deref() == Some("ManagedCluster")
            && object.name.as_ref() == Some(&key.name)
            && (object.uid.is_none() || object.uid == cluster.metadata.uid)
    };
    let events: Vec<Event> = events.items.into_iter().filter(about).collect();
    let provider = cluster.spec.provider().unwrap_or_default();
    let limits = limits(hub.world(), provider);
    let why = why(&cluster, &events, limits, SystemClock.now());
    match asked.output {
        Format::Text => output::lines(why.text()),
        Format::Json => output::line(&json!(why).to_string()),
    }
    Ok(Exit::Done)
}

/// What was done for one cluster.
pub(crate) async fn history(asked: &One) -> anyhow::Result<Exit> {
    let hub = need(&asked.hub, Rights::Read).await?;
    let lines = history::read(&hub.client, &asked.cluster).await?;
    match asked.output {
        Format::Text => output::lines(record::text(&lines)),
        Format::Json => output::line(&json!({ "lines": lines }).to_string()),
    }
    Ok(Exit::Done)
}
