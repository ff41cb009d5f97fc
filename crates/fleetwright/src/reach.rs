//! Finding the hub that a verb talks to: the one named, or the one of this user that runs.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use fleetwright_api_types::SYSTEM_NAMESPACE;
use fleetwright_verbs::hosts::is_inward;
use fleetwright_verbs::read_only;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::cli::WhichHub;
use crate::data_dir::{self, DataDir, KUBECONFIG};
use crate::http_out::Proxies;
use crate::hub::SIMULATION;
use crate::wiring::World;

/// A hub on this machine answers at once; one that does not is not there.
const ANSWER: Duration = Duration::from_secs(5);

/// What a verb may do with the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rights {
    /// Look only: a write does not leave.
    Read,
    /// Write as well.
    Write,
}

/// A hub that answers.
pub(crate) struct Reached {
    pub(crate) client: Client,
    /// Where its clouds are emulated, if they are.
    pub(crate) simulation: Option<ConfigMap>,
}

impl Reached {
    /// The world it lives in.
    pub(crate) const fn world(&self) -> World {
        World::of(self.simulation.is_some())
    }

    /// A text that the hub publishes about its simulated clouds.
    pub(crate) fn simulated(&self, key: &str) -> anyhow::Result<String> {
        let data = self.simulation.as_ref().and_then(|map| map.data.as_ref());
        let found = data.and_then(|data| data.get(key)).cloned();
        found.with_context(|| format!("configmap {SYSTEM_NAMESPACE}/{SIMULATION} holds no {key}"))
    }
}

/// The hub, which has to be there.
pub(crate) async fn need(which: &WhichHub, rights: Rights) -> anyhow::Result<Reached> {
    find(which, rights).await?.context(
        "no hub runs here; start one with `fleetwright up`, or name another with --kubeconfig FILE",
    )
}

/// The hub, if there is one. A folder of a hub that does not run is an error: what it holds is unknown now.
pub(crate) async fn find(which: &WhichHub, rights: Rights) -> anyhow::Result<Option<Reached>> {
    if let Some(file) = &which.kubeconfig {
        let Some(hub) = answering(file, rights).await? else {
            bail!("the hub of {} does not answer", file.display())
        };
        if which.simulate && hub.world() == World::Real {
            bail!("the hub of {} is real; leave --simulate out", file.display());
        }
        return Ok(Some(hub));
    }
    let usual = |world| DataDir::default_path(world);
    let folders = match (&which.data, which.simulate) {
        (Some(folder), _) => vec![folder.clone()],
        (None, true) => vec![usual(World::Simulated)],
        (None, false) => vec![usual(World::Real), usual(World::Simulated)],
    };
    let one = folders.len() == 1;
    for folder in folders {
        let Some(world) = data_dir::born(&folder)? else {
            if which.data.is_some() && folder.exists() {
                bail!("{} is no data folder of `fleetwright up`", folder.display());
            }
            if which.data.is_some() && !which.simulate {
                bail!("there is no folder {}; leave --data out to go without", folder.display());
            }
            continue;
        };
        if let Some(hub) = answering(&folder.join(KUBECONFIG), rights).await? {
            if hub.world() != world {
                bail!(
                    "{} was born {}, but configmap {SYSTEM_NAMESPACE}/{SIMULATION} of its hub says otherwise; start its `up` again",
                    folder.display(),
                    world.word()
                );
            }
            if which.simulate && world == World::Real {
                bail!("{} is real; leave --simulate out", folder.display());
            }
            return Ok(Some(hub));
        }
        // Without its hub nobody knows which clusters of the cloud are its own.
        if one || world == World::Real {
            let flag = if world == World::Simulated { " --simulate" } else { "" };
            let shown = folder.display();
            bail!(
                "the hub of {shown} does not run; start it with `fleetwright up{flag} --data {shown}`"
            );
        }
    }
    Ok(None)
}

/// A client, and what the hub says about its simulated clouds, if somebody is there.
async fn answering(kubeconfig: &Path, rights: Rights) -> anyhow::Result<Option<Reached>> {
    let shown = kubeconfig.display();
    if !kubeconfig.exists() {
        bail!("{shown} does not exist");
    }
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("cannot read {shown}"))?;
    let named = read.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let through_proxy = named.into_iter().any(|cluster| cluster.proxy_url.is_some());
    let mut config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default())
        .await
        .with_context(|| format!("cannot use {shown}"))?;
    config.connect_timeout = Some(ANSWER);
    if !through_proxy {
        // kube would take HTTPS_PROXY for a hub on this machine as well, and misreads NO_PROXY.
        let outward = config.cluster_url.host().is_some_and(|host| !is_inward(host));
        let proxies = if outward { Proxies::of_environment()? } else { Proxies::none() };
        config.proxy_url = proxies.for_kube(&config.cluster_url);
    }
    let made = match rights {
        Rights::Read => read_only::client(config),
        Rights::Write => Client::try_from(config),
    };
    let client = made.with_context(|| format!("cannot use {shown}"))?;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), SYSTEM_NAMESPACE);
    match tokio::time::timeout(ANSWER, maps.get_opt(SIMULATION)).await {
        Ok(Ok(simulation)) => Ok(Some(Reached { client, simulation })),
        Ok(Err(error @ kube::Error::Api(_))) => {
            Err(error).with_context(|| format!("the hub of {shown}"))
        }
        Ok(Err(error)) => {
            tracing::debug!(%error, "no hub answers");
            Ok(None)
        }
        Err(_elapsed) => Ok(None),
    }
}
