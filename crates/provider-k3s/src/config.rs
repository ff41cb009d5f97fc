//! From a declaration to what each host shall be. Pure; reports all problems at once, each at its field.

mod check;
mod files;
mod hardening;
mod hosts;
mod settings;

use std::collections::BTreeMap;

use fleetwright_api_types::{
    Adoption, K3sDatastoreType, K3sSourceType, K3sSpec, ManagedCluster, OnDrainTimeout,
    duration_seconds,
};
use fleetwright_names::sha256_hex;
use fleetwright_plan::{Address, DesiredCluster, DesiredPart, Problem};
use fleetwright_provider::Asked;

use crate::body::{ClusterBody, HostBody, SecretNames, Store, Way};
use crate::hosts::Role;
use crate::site::{Site, part_key};
use check::Check;

/// The key of this provider, and the name of its block in `ManagedCluster.spec`.
pub const KEY: &str = "k3s";
/// As `spec.k3s.update.drainTimeout` says where nothing is said.
const DRAIN_TIMEOUT_S: u64 = 15 * 60;

/// Where the cluster is: declared hosts and those noted in the status.
pub(crate) fn address(cluster: &ManagedCluster) -> Option<Address> {
    let status = cluster.status.as_ref();
    let observed = status
        .filter(|status| status.provider.as_deref().is_none_or(|provider| provider == KEY))
        .and_then(|status| status.observed.as_ref());
    let name = observed
        .and_then(|seen| seen.external_name.clone())
        .unwrap_or_else(|| declared_name(cluster));
    Some(Address {
        provider: KEY,
        provider_config: observed
            .and_then(|seen| seen.provider_config.clone())
            .unwrap_or_else(|| cluster.spec.provider_config_ref.name.clone()),
        region: String::new(),
        external_name: name,
        site: Site::of(cluster)?.text(),
    })
}

/// `namespace-name-hhhhhh` within 63 characters where the declaration gives no name.
fn declared_name(cluster: &ManagedCluster) -> String {
    let given = cluster.spec.k3s.as_ref().and_then(|k3s| k3s.external_name.clone());
    given.unwrap_or_else(|| {
        let namespace = cluster.metadata.namespace.as_deref().unwrap_or_default();
        let name = cluster.metadata.name.as_deref().unwrap_or_default();
        let hash = &sha256_hex(format!("{namespace}/{name}"))[..6];
        let readable = format!("{namespace}-{name}").replace('.', "-");
        let kept: String = readable.chars().take(56).collect();
        format!("{kept}-{hash}")
    })
}

/// The Secrets that a declaration names, sorted.
pub(crate) fn secrets(cluster: &ManagedCluster) -> Vec<String> {
    let Some(k3s) = &cluster.spec.k3s else { return Vec::new() };
    let SecretNames { registries, s3, datastore } = secret_names(k3s);
    let key = k3s.ssh.as_ref().and_then(|ssh| ssh.key_secret_ref.as_ref());
    let key = key.map(|named| named.name.clone());
    let mut names: Vec<String> = [registries, s3, datastore, key].into_iter().flatten().collect();
    names.sort();
    names.dedup();
    names
}

fn secret_names(k3s: &K3sSpec) -> SecretNames {
    let name = |named: &fleetwright_api_types::LocalRef| named.name.clone();
    let datastore = k3s.datastore.as_ref().and_then(|store| store.secret_ref.as_ref());
    let s3 = k3s.backup.as_ref().and_then(|backup| backup.s3_secret_ref.as_ref());
    SecretNames {
        registries: k3s.registries_secret_ref.as_ref().map(name),
        s3: s3.map(name),
        datastore: datastore.map(name),
    }
}

/// Parses the whole declaration.
pub(crate) fn desire(asked: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
    let spec = &asked.cluster.spec;
    let Some(k3s) = &spec.k3s else {
        return Err(vec![Problem::new("spec.k3s", "is missing; this cluster's provider needs it")]);
    };
    let mut check = Check::default();
    check.account(&asked);
    let version = check.version("spec.version", &spec.version);
    check.upgrade_path(k3s);
    check.cluster(spec, k3s);
    check.hosts(k3s, asked.account);
    check.way(k3s, asked.account);
    roles(&mut check, asked.cluster, k3s);
    let settings = settings::Settings::read(&mut check, k3s);
    let (Some(version), Some(address), true) =
        (version, address(asked.cluster), check.problems.is_empty())
    else {
        return Err(check.problems);
    };
    let body = cluster_body(&asked, k3s);
    let parts = bodies(k3s, &body, &settings).into_iter().map(|host| DesiredPart {
        key: part_key(host.role, &host.name),
        body: serde_json::to_value(&host).unwrap_or_default(),
    });
    let mut parts: Vec<DesiredPart> = parts.collect();
    parts.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(DesiredCluster {
        owner: asked.owner.clone(),
        generation: asked.cluster.metadata.generation.unwrap_or_default(),
        address,
        version,
        body: serde_json::to_value(&body).unwrap_or_default(),
        pools: Vec::new(),
        parts,
        // Hosts bear their marker and no further tags.
        tags: asked.owner.tags().into_iter().collect::<BTreeMap<_, _>>(),
    })
}

/// A host that runs K3s in one role cannot take the other: what it carries would be taken for something else.
fn roles(check: &mut Check, cluster: &ManagedCluster, k3s: &K3sSpec) {
    let noted = cluster.status.iter().flat_map(|status| &status.hosts);
    for noted in noted.filter(|noted| noted.version.is_some()) {
        let is_agent = noted.role == Role::Agent.word();
        let (list, hosts) =
            if is_agent { ("servers", &k3s.servers) } else { ("agents", &k3s.agents) };
        let stays = hosts.iter().all(|host| host.name != noted.name);
        check.that(stays, &format!("spec.k3s.{list}[{}]", noted.name), || {
            format!(
                "runs K3s as {} {}, and that cannot change: take it out of the declaration, and when it is gone from status.hosts \
                 declare it here",
                if is_agent { "an" } else { "a" },
                noted.role
            )
        });
    }
}

fn cluster_body(asked: &Asked<'_>, k3s: &K3sSpec) -> ClusterBody {
    let spec = &asked.cluster.spec;
    let update = k3s.update.clone().unwrap_or_default();
    let drain = update.drain_timeout.as_deref().and_then(duration_seconds);
    let source = k3s.source.as_ref();
    ClusterBody {
        name: declared_name(asked.cluster),
        version: spec.version.clone(),
        path: k3s.upgrade_path.clone(),
        store: store(k3s),
        source: match source.map(|source| source.type_) {
            None | Some(K3sSourceType::Download) => Way::Download,
            Some(K3sSourceType::Airgap) => Way::Airgap,
            Some(K3sSourceType::Preinstalled) => Way::Preinstalled,
            Some(K3sSourceType::Script) => Way::Script,
        },
        mirror: source.and_then(|source| source.mirror_url.clone()),
        secrets: secret_names(k3s),
        servers: k3s.servers.iter().map(|server| server.name.clone()).collect(),
        max_unavailable: update.max_unavailable.map_or_else(|| "1".to_owned(), |n| n.to_string()),
        drain_timeout_s: drain.unwrap_or(DRAIN_TIMEOUT_S),
        force: update.on_drain_timeout == Some(OnDrainTimeout::Force),
        adopts: spec.adoption == Some(Adoption::Existing),
    }
}

fn store(k3s: &K3sSpec) -> Store {
    match k3s.datastore.as_ref().map(|store| store.type_) {
        None | Some(K3sDatastoreType::EmbeddedEtcd) => Store::EmbeddedEtcd,
        Some(K3sDatastoreType::Sqlite) => Store::Sqlite,
        Some(K3sDatastoreType::External) => Store::External,
    }
}

fn bodies(k3s: &K3sSpec, body: &ClusterBody, settings: &settings::Settings) -> Vec<HostBody> {
    let all = files::Shared { k3s, body, settings };
    let servers = k3s.servers.iter().map(|host| files::host(&all, Role::Server, host));
    servers.chain(k3s.agents.iter().map(|host| files::host(&all, Role::Agent, host))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_does_not_become_an_agent_in_place() {
        let host = |name: &str| json!({"name": name, "host": format!("{name}.example")});
        let cluster = json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "store-17"},
            "spec": {
                "version": "v1.34.2+k3s1", "providerConfigRef": {"name": "stores"},
                "k3s": {"servers": [host("s2")], "agents": [host("s1"), host("a1")]}
            },
            "status": {"hosts": [
                {"name": "a1", "role": "agent", "host": "a1.example", "phase": "Active", "version": "v1.34.2+k3s1"},
                {"name": "s1", "role": "server", "host": "s1.example", "phase": "Active", "version": "v1.34.2+k3s1"},
                {"name": "s2", "role": "agent", "host": "s2.example", "phase": "Noted"}
            ]}
        });
        let cluster: ManagedCluster = serde_json::from_value(cluster).expect("a cluster");
        let mut check = Check::default();
        roles(&mut check, &cluster, cluster.spec.k3s.as_ref().expect("k3s"));
        let fields: Vec<&str> = check.problems.iter().map(|one| one.field.as_str()).collect();
        assert_eq!(fields, ["spec.k3s.agents[s1]"]);
    }
}
