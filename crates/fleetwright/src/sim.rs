//! `fleetwright sim`: lets things go wrong in a simulated cloud, from a second process.

mod words;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use fleetwright_api_types::{ANNOTATION_RECONCILE_NOW, ManagedCluster};
use fleetwright_clock::{Clock as _, SystemClock};
use fleetwright_cloudsim::{Fault as SimFault, FaultKind, SECRET_ACCESS_KEY};
use fleetwright_names::ObjectKey;
use fleetwright_verbs::table::align;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{Method, Request};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, ResourceExt};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::cli::{Control, Fault, FaultName, Sim, object_key};
use crate::exit::Exit;
use crate::http_out::{self, Allowed};
use crate::output;
use crate::reach::{Reached, Rights, need};

/// Asks the simulation for what it shall do.
pub(crate) async fn sim(asked: &Sim) -> anyhow::Result<Exit> {
    let hub = need(&asked.hub, Rights::Write).await?;
    if hub.simulation.is_none() {
        bail!(
            "that hub is real: nothing goes wrong there on request. `fleetwright up --simulate` has a cloud for that"
        );
    }
    match &asked.control {
        Control::Fault(fault) => add(&hub, fault).await?,
        Control::Faults => list(&hub).await?,
        Control::Clear { cluster } => clear(&hub, cluster.as_ref()).await?,
        Control::Drift { cluster, change } => drift(&hub, cluster, change).await?,
    }
    Ok(Exit::Done)
}

async fn add(hub: &Reached, asked: &Fault) -> anyhow::Result<()> {
    let cluster = match asked.cluster.as_str() {
        "all" => None,
        text => Some(object_key(text).map_err(anyhow::Error::msg)?),
    };
    let name = match &cluster {
        Some(key) => Some(in_the_cloud(hub, key).await?.name),
        None => None,
    };
    let fault = SimFault {
        kind: kind(asked),
        cluster: name,
        pool: asked.pool.clone(),
        operation: asked.operation.clone(),
        times: asked.times,
    };
    send(hub, Method::POST, "faults", Some(json!(fault))).await?;
    look_again(hub, cluster.as_ref()).await?;
    output::line(&format!("{} from now on; `fleetwright sim clear` ends it", told(&fault)));
    Ok(())
}

fn kind(asked: &Fault) -> FaultKind {
    match asked.kind {
        FaultName::Throttle => FaultKind::Throttle,
        FaultName::Quota => FaultKind::Quota,
        FaultName::Capacity => FaultKind::Capacity,
        FaultName::Slow => {
            FaultKind::Slow { millis: u64::try_from(asked.by.as_millis()).unwrap_or(u64::MAX) }
        }
        FaultName::LostAnswer => FaultKind::LostAnswer,
        FaultName::Denied => FaultKind::Denied,
        FaultName::ExpiredCredentials => FaultKind::ExpiredCredentials,
        FaultName::Stale => {
            FaultKind::Stale { seconds: u32::try_from(asked.by.as_secs()).unwrap_or(u32::MAX) }
        }
        FaultName::UpdateFails => FaultKind::UpdateFails,
        FaultName::UpgradeBlocked => FaultKind::UpgradeBlocked,
    }
}

fn told(fault: &SimFault) -> String {
    let mut text = format!("{:?}", fault.kind);
    for (word, value) in [
        ("of", fault.cluster.clone()),
        ("pool", fault.pool.clone()),
        ("in", fault.operation.clone()),
        ("times", fault.times.map(|times| times.to_string())),
    ] {
        if let Some(value) = value {
            text.push_str(&format!(" {word} {value}"));
        }
    }
    text
}

async fn list(hub: &Reached) -> anyhow::Result<()> {
    let answer = send(hub, Method::GET, "faults", None).await?;
    let faults: Vec<SimFault> = serde_json::from_value(answer["faults"].clone())?;
    if faults.is_empty() {
        output::line("nothing goes wrong");
        return Ok(());
    }
    let mut rows =
        vec![["FAULT", "CLUSTER", "POOL", "OPERATION", "TIMES"].map(str::to_owned).into()];
    rows.extend(faults.into_iter().map(|fault| {
        vec![
            format!("{:?}", fault.kind),
            fault.cluster.unwrap_or_default(),
            fault.pool.unwrap_or_default(),
            fault.operation.unwrap_or_default(),
            fault.times.map(|times| times.to_string()).unwrap_or_default(),
        ]
    }));
    output::lines(align(&rows));
    Ok(())
}

async fn clear(hub: &Reached, cluster: Option<&ObjectKey>) -> anyhow::Result<()> {
    let path = match cluster {
        Some(key) => format!("faults?cluster={}", encoded(&in_the_cloud(hub, key).await?.name)),
        None => "faults".to_owned(),
    };
    send(hub, Method::DELETE, &path, None).await?;
    look_again(hub, cluster).await?;
    output::line("cleared");
    Ok(())
}

async fn drift(hub: &Reached, key: &ObjectKey, change: &str) -> anyhow::Result<()> {
    let (path, value) = change
        .split_once('=')
        .context("write it as PATH=VALUE, for example eks.logging=Api,Audit")?;
    let Place { provider, region, name } = in_the_cloud(hub, key).await?;
    let wire = words::wire(&provider, path, value).map_err(anyhow::Error::msg)?;
    for (path, value) in wire {
        let body = json!({"region": region, "name": name, "path": path, "value": value});
        send(hub, Method::POST, "drift", Some(body)).await?;
        output::line(&format!("{name}: {path} is {value} now"));
    }
    look_now(hub, key).await
}

/// Has the controllers look at one cluster, or at all of them.
async fn look_again(hub: &Reached, cluster: Option<&ObjectKey>) -> anyhow::Result<()> {
    if let Some(key) = cluster {
        return look_now(hub, key).await;
    }
    let all: Api<ManagedCluster> = Api::all(hub.client.clone());
    let all = all.list(&ListParams::default()).await;
    for cluster in all.context("cannot list the hub's managedclusters.fleetwright.dev")? {
        let namespace = cluster.namespace().unwrap_or_default();
        look_now(hub, &ObjectKey::namespaced(namespace, cluster.name_any())).await?;
    }
    Ok(())
}

/// Has the controllers look at once: the next look of their own may be half a minute away.
async fn look_now(hub: &Reached, key: &ObjectKey) -> anyhow::Result<()> {
    let api: Api<ManagedCluster> = Api::namespaced(hub.client.clone(), &key.namespace);
    let token = format!("sim {}", SystemClock.now());
    let patch = json!({"metadata": {"annotations": {ANNOTATION_RECONCILE_NOW: token}}});
    let patched = api.patch(&key.name, &PatchParams::default(), &Patch::Merge(&patch)).await;
    patched.map(drop).with_context(|| format!("cannot have the controllers look at {key}"))
}

/// A name of Azure's holds slashes.
fn encoded(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// Where a cluster is in the simulated clouds.
struct Place {
    /// The key of its provider.
    provider: String,
    region: String,
    /// Its name there; on Azure with subscription and resource group.
    name: String,
}

async fn in_the_cloud(hub: &Reached, key: &ObjectKey) -> anyhow::Result<Place> {
    let api: Api<ManagedCluster> = Api::namespaced(hub.client.clone(), &key.namespace);
    let found = api.get_opt(&key.name).await;
    let found =
        found.with_context(|| format!("cannot read managedclusters.fleetwright.dev {key}"))?;
    let cluster =
        found.with_context(|| format!("there is no managedclusters.fleetwright.dev {key}"))?;
    let provider = cluster.spec.provider().unwrap_or_default().to_owned();
    if provider == "k3s" {
        bail!("{key} is on hosts; what goes wrong on request does so in clouds only");
    }
    let observed = cluster.status.and_then(|status| status.observed).unwrap_or_default();
    observed
        .region
        .zip(observed.external_name)
        .map(|(region, name)| Place { provider, region, name })
        .with_context(|| format!("{key} is not in the simulated cloud yet; try again in a second"))
}

/// One call of the simulation's controls.
async fn send(
    hub: &Reached,
    method: Method,
    path: &str,
    body: Option<Value>,
) -> anyhow::Result<Value> {
    let (endpoint, ca) = (hub.simulated("endpoint")?, hub.simulated("ca")?);
    let http = http_out::over_tls(Allowed::Simulation, Some(&ca))?;
    let body = body.map(|body| Bytes::from(body.to_string())).unwrap_or_default();
    let request = Request::builder()
        .method(method)
        .uri(format!("{endpoint}/_simulation/{path}"))
        .header(AUTHORIZATION, format!("Bearer {SECRET_ACCESS_KEY}"))
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    let response = http.oneshot(request).await;
    let response = response.map_err(|error| {
        anyhow::anyhow!("the simulated cloud at {endpoint} does not answer: {error}")
    })?;
    let status = response.status();
    let answer: Value = serde_json::from_slice(response.body()).unwrap_or_default();
    if !status.is_success() {
        let message = answer["message"].as_str().unwrap_or("no reason given");
        bail!("the simulated cloud refuses ({status}): {message}");
    }
    Ok(answer)
}
