//! The API server that `run` works with: how it is found and reached, whether it knows our kinds, and which world it is of.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fleetwright_api_types::{GROUP, SYSTEM_NAMESPACE, VERSION, crds};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::http_out::Proxies;
use crate::hub::SIMULATION;
use crate::wiring::World;

const CONNECT: Duration = Duration::from_secs(10);
/// Above the time after which a watch ends by itself, so that only a dead connection meets it.
const READ: Duration = Duration::from_secs(330);
const WRITE: Duration = Duration::from_secs(30);
/// ConfigMap in our namespace that says for which world a hub was born.
const BORN: &str = "world";
const KEY: &str = "born";
/// Set by Kubernetes in every pod.
const IN_CLUSTER: &str = "KUBERNETES_SERVICE_HOST";

/// How to reach the API server: by the file that was named, from inside a cluster, or by `KUBECONFIG`.
pub(super) async fn config(named: Option<&Path>) -> anyhow::Result<Config> {
    let (mut config, declared) = match named {
        Some(path) => {
            let shown = path.display();
            let read =
                Kubeconfig::read_from(path).with_context(|| format!("cannot read {shown}"))?;
            from_kubeconfig(read).await.with_context(|| format!("cannot use {shown}"))?
        }
        None if std::env::var_os(IN_CLUSTER).is_some() => {
            let config =
                Config::incluster().context("cannot use the service account of this pod")?;
            (config, false)
        }
        None => {
            let read = Kubeconfig::from_env().context("cannot read KUBECONFIG")?;
            let Some(read) = read else {
                bail!(
                    "no API server: name one with --kubeconfig FILE or KUBECONFIG, or run in a cluster"
                );
            };
            from_kubeconfig(read).await.context("cannot use KUBECONFIG")?
        }
    };
    if !declared {
        config.proxy_url = Proxies::of_environment()?.for_kube(&config.cluster_url);
    }
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(READ);
    config.write_timeout = Some(WRITE);
    // The loop's own backoff decides.
    config.default_retry = false;
    Ok(config)
}

/// The configuration, and whether the kubeconfig itself names a proxy. kube would take one from the environment as well, but
/// holds `NO_PROXY` against the wrong host.
async fn from_kubeconfig(read: Kubeconfig) -> anyhow::Result<(Config, bool)> {
    let context = read.current_context.clone().unwrap_or_default();
    let context = read.contexts.iter().find(|named| named.name == context);
    let cluster = context.and_then(|named| Some(named.context.as_ref()?.cluster.clone()));
    let cluster = read.clusters.iter().find(|named| Some(&named.name) == cluster.as_ref());
    let proxy = cluster.and_then(|named| named.cluster.as_ref()?.proxy_url.clone());
    let declared = proxy.is_some_and(|proxy| !proxy.is_empty());
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await?;
    Ok((config, declared))
}

/// Fails unless the API server answers, serves all our kinds, and runs no controllers of its own.
pub(super) async fn check(client: &Client, url: &http::Uri) -> anyhow::Result<()> {
    let version = client.apiserver_version().await;
    let version = version.with_context(|| format!("the API server at {url} does not answer"))?;
    if version.git_version.contains("-fleetwright-") {
        bail!(
            "the API server at {url} is that of `fleetwright up`, which runs the controllers itself"
        );
    }
    let deed = || format!("asking the API server at {url} for its kinds");
    let served = match client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await {
        Ok(list) => list.resources.into_iter().map(|resource| resource.name).collect(),
        Err(kube::Error::Api(status)) if status.code == 404 => Vec::new(),
        Err(error) => return Err(error).with_context(deed),
    };
    let missing = missing(&served);
    if !missing.is_empty() {
        bail!(
            "the API server at {url} does not serve {} ({VERSION}); install them: kubectl apply -f api/crds",
            missing.join(", ")
        );
    }
    Ok(())
}

fn missing(served: &[String]) -> Vec<String> {
    let plural =
        |crd: &serde_json::Value| crd["spec"]["names"]["plural"].as_str().map(str::to_owned);
    let wanted = crds().into_iter().filter_map(|(_, crd)| plural(&crd));
    wanted.filter(|name| !served.contains(name)).map(|name| format!("{name}.{GROUP}")).collect()
}

/// Marks the hub as of this world; fails when it is of the other: clusters of a simulation must never be made for money, and
/// a simulation must not tell of real clusters that they are gone.
pub(super) async fn claim(client: &Client, world: World) -> anyhow::Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    let deed = "reading for which world this API server's fleet was born";
    let mut map = ConfigMap {
        data: Some(BTreeMap::from([(KEY.to_owned(), world.word().to_owned())])),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(BORN.to_owned());
    let found = match maps.get_opt(BORN).await.context(deed)? {
        Some(found) => found,
        None => match maps.create(&PostParams::default(), &map).await {
            Ok(made) => made,
            Err(kube::Error::Api(status)) if status.code == 409 => {
                maps.get(BORN).await.context(deed)?
            }
            Err(error) => return Err(error).context("marking the API server's fleet"),
        },
    };
    let born = found.data.and_then(|data| data.get(KEY).cloned()).unwrap_or_default();
    if born != world.word() {
        let flag = if world == World::Real { "with" } else { "without" };
        bail!(
            "the fleet of this API server was born {born} (configmap {SYSTEM_NAMESPACE}/{BORN}) and cannot become {}; run {flag} --simulate",
            world.word()
        );
    }
    Ok(())
}

/// Tells other processes of this machine where the simulated clouds are, as `up` tells it in its own hub.
pub(super) async fn publish(from: &Client, to: &Client) -> anyhow::Result<()> {
    let maps =
        |client: &Client| -> Api<ConfigMap> { Api::namespaced(client.clone(), SYSTEM_NAMESPACE) };
    let mut map =
        maps(from).get(SIMULATION).await.context("reading where the simulated clouds are")?;
    let deed = "telling the API server where the simulated clouds are";
    let found = maps(to).get_opt(SIMULATION).await.context(deed)?;
    map.metadata = k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta {
        name: Some(SIMULATION.to_owned()),
        resource_version: found.as_ref().and_then(|found| found.metadata.resource_version.clone()),
        ..Default::default()
    };
    match found {
        Some(_) => maps(to).replace(SIMULATION, &PostParams::default(), &map).await,
        None => maps(to).create(&PostParams::default(), &map).await,
    }
    .map(drop)
    .context(deed)
}

#[cfg(test)]
mod tests {
    use super::missing;

    #[test]
    fn kinds_that_are_not_served_are_named() {
        let served = ["managedclusters", "managedclusters/status", "providerconfigs"];
        let served: Vec<String> = served.map(str::to_owned).into();
        assert_eq!(missing(&served), ["clusterpolicies.fleetwright.dev"]);
    }
}
