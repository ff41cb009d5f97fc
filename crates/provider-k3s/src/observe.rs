//! Reads only: every host at once, and through one server that is ready the cluster itself.

mod state;

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwright_errclass::Class;
use fleetwright_names::{HubId, Owner};
use fleetwright_plan::{
    Address, Credentials, DesiredCluster, PartKey, Resource, Seen, SeenCluster, SeenPart, Snapshot,
};
use fleetwright_provider::{Access, CloudError, Owned};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use crate::body::{ClusterBody, HostBody};
use crate::cluster::is_authority;
use crate::hosts::{Arch, ClusterFacts, HostFacts, K3sVersion, Role};
use crate::provider::K3sProvider;
use crate::reach::{AT_ONCE, Reach, Reached, owner_of, serves, side_by_side};
use crate::secret_files::SecretFiles;
use crate::seen::{FirstEnd, SeenControlPlane, SeenHost, lowest};
use crate::site::{Site, SiteHost, host_port};
use crate::wanted::{Releases, has_data, has_run, release_key};
pub(crate) use state::tags_of;
use state::{Whose, is_installed, part_phase};

/// How long the agents of one cluster are looked at, all together.
const AGENTS: Duration = Duration::from_secs(60);

/// One host, as far as it was seen.
struct Looked {
    host: SiteHost,
    /// When, by our clock: hosts that do not answer take a while, and this is held against its own clock.
    at: Timestamp,
    found: Result<(Reached, HostFacts), CloudError>,
}

impl Looked {
    fn facts(&self) -> Option<&HostFacts> {
        self.found.as_ref().ok().map(|(_, facts)| facts)
    }
}

/// What is declared, as far as looking goes.
struct Declared<'a> {
    desired: &'a DesiredCluster,
    cluster: ClusterBody,
    hosts: BTreeMap<PartKey, HostBody>,
}

impl<'a> Declared<'a> {
    fn read(desired: &'a DesiredCluster) -> Option<Self> {
        let cluster = serde_json::from_value(desired.body.clone()).ok()?;
        let hosts = desired.parts.iter().filter_map(|part| {
            Some((part.key.clone(), serde_json::from_value(part.body.clone()).ok()?))
        });
        Some(Self { desired, cluster, hosts: hosts.collect() })
    }
}

/// Looks at everything. Never fails.
pub(crate) async fn observe(
    provider: &K3sProvider,
    access: &Access,
    address: &Address,
    desired: Option<&DesiredCluster>,
) -> Snapshot {
    let since = provider.now();
    let unknown = |why: String| Snapshot::of(Seen::Unknown { since, why });
    let Some(site) = Site::read(address) else {
        return unknown("no host is declared or noted".to_owned());
    };
    let reach = match Reach::new(provider.hosts(), access, site) {
        Ok(reach) => reach,
        Err(error) => {
            let why = error.message.clone();
            let credentials = Credentials::Failed { code: error.code.to_owned(), why };
            return Snapshot { credentials, ..unknown(error.to_string()) };
        }
    };
    let credentials = Credentials::Valid {
        account: reach.ways().fingerprint(),
        principal: reach.ways().user().to_owned(),
        expires_at: None,
    };
    let looked = look_at_all(provider, &reach).await;
    let whose = Whose { hub: &access.hub, site: &reach.site };
    let view = ask_cluster(&looked, whose).await;
    let declared = desired.and_then(Declared::read);
    let look = Look { provider, access, site: &reach.site, since, looked, view, declared };
    Snapshot { credentials, ..look.snapshot().await }
}

/// Servers first, since everything hangs on them; then agents, for a while: those that swallow what is sent to them must not
/// hold up what is to be done on the others. Agents begin elsewhere in the list each time, so that each has its turn.
async fn look_at_all(provider: &K3sProvider, reach: &Reach<'_>) -> Vec<Looked> {
    let all = || reach.site.hosts.iter().filter(|h| !reach.site.abandoned.contains(&h.name));
    let mut servers: Vec<BoxFuture<'_, Looked>> = Vec::new();
    for host in all().filter(|host| host.role == Role::Server) {
        servers.push(Box::pin(look_at(provider, reach, host)));
    }
    let mut looked = side_by_side(servers).await;
    let mut agents: Vec<&SiteHost> = all().filter(|host| host.role == Role::Agent).collect();
    if agents.len() > AT_ONCE {
        let seconds = usize::try_from(provider.now().as_second()).unwrap_or_default();
        let first = seconds % agents.len();
        agents.rotate_left(first);
    }
    let deadline = Instant::now() + AGENTS;
    let mut looks: Vec<BoxFuture<'_, Looked>> = Vec::new();
    for host in agents {
        looks.push(Box::pin(async move {
            match timeout_at(deadline, look_at(provider, reach, host)).await {
                Ok(looked) => looked,
                Err(_elapsed) => {
                    Looked { host: host.clone(), at: provider.now(), found: Err(no_time(host)) }
                }
            }
        }));
    }
    looked.extend(side_by_side(looks).await);
    looked
}

fn no_time(host: &SiteHost) -> CloudError {
    let words = format!(
        "{} was not looked at within {} s, since many hosts do not answer; a later look begins with others",
        host.name,
        AGENTS.as_secs()
    );
    CloudError::new(Class::Transient, "Unreachable", "k3s:Reach", words)
}

async fn look_at(provider: &K3sProvider, reach: &Reach<'_>, host: &SiteHost) -> Looked {
    let found = reach.look(host).await;
    Looked { host: host.clone(), at: provider.now(), found }
}

/// The first server of ours that is ready tells of the cluster. A stranger's is not asked: its cluster is not ours.
async fn ask_cluster(looked: &[Looked], whose: Whose<'_>) -> Option<ClusterFacts> {
    for one in looked.iter().filter(|one| one.host.role == Role::Server) {
        let Ok((reached, facts)) = &one.found else { continue };
        if !whose.is_of_object(facts) || !serves(facts) {
            continue;
        }
        let Some(owner) = owner_of(facts) else { continue };
        match reached.cluster(owner).await {
            Ok(Some(view)) => return Some(view),
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "a server does not tell of its cluster"),
        }
    }
    None
}

struct Look<'a> {
    provider: &'a K3sProvider,
    access: &'a Access,
    site: &'a Site,
    since: Timestamp,
    looked: Vec<Looked>,
    view: Option<ClusterFacts>,
    declared: Option<Declared<'a>>,
}

impl Look<'_> {
    async fn snapshot(self) -> Snapshot {
        let mut parts: BTreeMap<PartKey, Seen<SeenPart>> = BTreeMap::new();
        let mut fresh = BTreeMap::new();
        for one in &self.looked {
            let part = self.part(one);
            if let (Seen::Absent, Some(facts)) = (&part, one.facts()) {
                let seen = self.seen_host(&one.host, one.at, Some(facts));
                fresh.insert(one.host.name.clone(), seen);
            }
            // What is no longer declared is said to be gone; what is declared need not be.
            if part != Seen::Absent || self.body(&one.host).is_none() {
                parts.insert(one.host.key(), part);
            }
        }
        for host in self.site.hosts.iter().filter(|h| self.site.abandoned.contains(&h.name)) {
            parts.insert(host.key(), self.given_up(host));
        }
        let cluster = self.cluster(&parts, fresh).await;
        Snapshot { parts, ..Snapshot::of(cluster) }
    }

    fn whose(&self) -> Whose<'_> {
        Whose { hub: &self.access.hub, site: self.site }
    }

    fn body(&self, host: &SiteHost) -> Option<&HostBody> {
        self.declared.as_ref()?.hosts.get(&host.key())
    }

    fn seen_host(&self, host: &SiteHost, at: Timestamp, facts: Option<&HostFacts>) -> SeenHost {
        let nodes = self.view.iter().flat_map(|view| &view.nodes);
        let mut nodes = nodes.filter(|node| node.name == host.name);
        let runs = facts.filter(|facts| has_run(facts, host.role));
        let version = nodes.next().map(|node| node.version.clone());
        SeenHost {
            host: host.host.clone(),
            port: host.port,
            version: version.or_else(|| runs.and_then(|facts| facts.version.clone())),
            away: false,
            abandoned: false,
            seen_s: at.as_second(),
            facts: facts.cloned(),
        }
    }

    /// A part of ours without a look at its host.
    fn unlooked(&self, host: &SiteHost, change: impl FnOnce(&mut SeenHost)) -> Option<SeenPart> {
        let declared = self.declared.as_ref()?;
        let mut seen = self.seen_host(host, self.since, None);
        change(&mut seen);
        Some(SeenPart {
            tags: declared.desired.owner.tags(),
            phase: fleetwright_plan::Phase::Active,
            trouble: String::new(),
            last_update: None,
            body: seen.json(),
        })
    }

    /// A host that a person gave up: what is left of it is its node.
    fn given_up(&self, host: &SiteHost) -> Seen<SeenPart> {
        let mut nodes = self.view.iter().flat_map(|view| &view.nodes);
        let is_node = nodes.any(|node| node.name == host.name);
        let part = if is_node { self.unlooked(host, |seen| seen.abandoned = true) } else { None };
        part.map_or(Seen::Absent, Seen::Present)
    }

    fn part(&self, one: &Looked) -> Seen<SeenPart> {
        let facts = match &one.found {
            Ok((_, facts)) => facts,
            Err(error) => {
                let comes_and_goes = self.body(&one.host).is_some_and(|body| body.intermittent);
                let away = comes_and_goes && error.class != fleetwright_errclass::Class::Refused;
                let part =
                    if away { self.unlooked(&one.host, |seen| seen.away = true) } else { None };
                let unknown = Seen::Unknown { since: self.since, why: error.to_string() };
                return part.map_or(unknown, Seen::Present);
            }
        };
        let tags = tags_of(facts);
        let leaving = self.declared.is_none();
        let is_bare = !is_installed(facts) && owner_of(facts).is_none();
        // On the way out only what is ours, or was an earlier life's, concerns anybody.
        if is_bare || (leaving && !self.whose().is_of_object(facts)) {
            return Seen::Absent;
        }
        let (phase, trouble) = part_phase(&one.host, facts, self.view.as_ref());
        let body = self.seen_host(&one.host, one.at, Some(facts)).json();
        Seen::Present(SeenPart { tags, phase, trouble, last_update: None, body })
    }

    async fn cluster(
        &self,
        parts: &BTreeMap<PartKey, Seen<SeenPart>>,
        fresh: BTreeMap<String, SeenHost>,
    ) -> Seen<SeenCluster> {
        let of = |host: &SiteHost| parts.get(&host.key());
        let servers = || self.looked.iter().filter(|one| one.host.role == Role::Server);
        let present: Vec<&Looked> =
            servers().filter(|one| matches!(of(&one.host), Some(Seen::Present(_)))).collect();
        if present.is_empty() {
            let unknown = servers().find_map(|one| match of(&one.host) {
                Some(Seen::Unknown { since, why }) => {
                    let why = format!(
                        "server {} cannot be seen, and no other tells whether there is a cluster: {why}",
                        one.host.name
                    );
                    Some(Seen::Unknown { since: *since, why })
                }
                _ => None,
            });
            return unknown.or_else(|| self.under_another_role()).unwrap_or(Seen::Absent);
        }
        let facts: Vec<&HostFacts> = present.iter().filter_map(|one| one.facts()).collect();
        let with_data = || facts.iter().copied().filter(|facts| has_run(facts, Role::Server));
        let (phase, trouble) = state::cluster_phase(&facts, self.view.as_ref());
        let low = lowest(self.view.as_ref(), with_data());
        let declared = self.declared.as_ref().map(|declared| declared.cluster.version.clone());
        let endpoint = self.site.endpoint().map(|(host, port)| host_port(&host, port));
        let body = self.body_of(&with_data().collect::<Vec<_>>(), low, fresh).await;
        Seen::Present(SeenCluster {
            external_id: format!("k3s:{}", self.site.object),
            tags: self.whose().cluster_tags(&facts),
            phase,
            trouble,
            version: low.map(|low| low.to_string()).or(declared).unwrap_or_default(),
            platform_version: None,
            endpoint: endpoint
                .filter(|_| self.view.is_some())
                .map(|endpoint| format!("https://{endpoint}")),
            certificate_authority: self.view.as_ref().and_then(|view| view.authority.clone()),
            oidc_issuer: None,
            last_update: None,
            blockers: None,
            body: body.json(),
        })
    }

    /// A server's data on a host that is declared as an agent: there is a cluster, whatever is declared, and none is begun.
    fn under_another_role(&self) -> Option<Seen<SeenCluster>> {
        let agents = self.looked.iter().filter(|one| one.host.role == Role::Agent);
        let of_a_server = |facts: &HostFacts| has_data(facts) && self.whose().is_of_object(facts);
        let mut found = agents.filter(|one| one.facts().is_some_and(of_a_server));
        let name = &found.next()?.host.name;
        let why = format!(
            "agent {name} carries this cluster's data as a server; declare {name} in spec.k3s.servers again, and no second cluster is begun"
        );
        Some(Seen::Unknown { since: self.since, why })
    }

    async fn body_of(
        &self,
        servers: &[&HostFacts],
        low: Option<K3sVersion>,
        fresh: BTreeMap<String, SeenHost>,
    ) -> SeenControlPlane {
        let names = self.declared.as_ref().map(|declared| declared.cluster.secrets.clone());
        let secrets = SecretFiles::of(self.access, &names.unwrap_or_default());
        let token = self.view.as_ref().and_then(|view| view.token.clone());
        // Of a server of ours, while none answers for the cluster; else of one that nobody owns. Never a stranger's.
        let ours = servers.iter().filter(|facts| self.whose().is_of_object(facts));
        let nobodys = servers.iter().filter(|facts| owner_of(facts).is_none());
        let any = ours.chain(nobodys);
        let token = token.or_else(|| any.into_iter().find_map(|facts| facts.server_token.clone()));
        SeenControlPlane {
            cluster: self.view.clone(),
            secrets: secrets.digests(),
            missing: secrets.missing,
            token,
            releases: self.releases(low).await,
            fresh,
            certificates: self.first_end(),
        }
    }

    /// The certificate that ends first, authorities aside.
    fn first_end(&self) -> Option<FirstEnd> {
        let all = self.looked.iter().flat_map(|one| {
            let ends = one.facts().into_iter().flat_map(|facts| &facts.certificates);
            ends.map(|end| (&one.host.name, end))
        });
        let leaves = all.filter(|(_, end)| !is_authority(&end.file));
        leaves.min_by_key(|&(host, end)| (end.not_after_s, host)).map(|(host, end)| FirstEnd {
            host: host.clone(),
            file: end.file.clone(),
            not_after: end.not_after_s,
        })
    }

    /// What is published of the releases that hosts run or are to run.
    async fn releases(&self, low: Option<K3sVersion>) -> Releases {
        let Some(Declared { cluster, .. }) = &self.declared else { return Releases::new() };
        let declared = K3sVersion::parse(&cluster.version).ok();
        let next = low.and_then(|low| {
            let (major, minor) = low.minor();
            let path = cluster.path.iter().filter_map(|text| K3sVersion::parse(text).ok());
            path.into_iter().find(|release| release.minor() == (major, minor + 1))
        });
        let mut versions: Vec<K3sVersion> = [low, next, declared].into_iter().flatten().collect();
        versions.sort();
        versions.dedup();
        let mut machines: Vec<Arch> =
            self.looked.iter().filter_map(|one| one.facts()?.arch).collect();
        machines.sort();
        machines.dedup();
        let mut found = Releases::new();
        for version in versions {
            for arch in &machines {
                if let Some(sums) = self.provider.sums(cluster, version, *arch).await {
                    found.insert(release_key(&version.to_string(), *arch), sums);
                }
            }
        }
        found
    }
}

/// The cluster of this address, if any of its hosts bears the hub's marker.
pub(crate) async fn list_owned(
    provider: &K3sProvider,
    access: &Access,
    address: &Address,
    hub: &HubId,
) -> Result<Vec<Owned>, CloudError> {
    let Some(site) = Site::read(address) else { return Ok(Vec::new()) };
    let reach = Reach::new(provider.hosts(), access, site)?;
    let mut owners: Vec<Owner> = Vec::new();
    for one in look_at_all(provider, &reach).await {
        let (_, facts) = one.found?;
        owners.extend(owner_of(&facts).filter(|owner| owner.hub == *hub).cloned());
    }
    owners.sort();
    owners.dedup();
    let owned = owners.into_iter().map(|owner| Owned {
        address: address.clone(),
        resource: Resource::Cluster,
        owner,
    });
    Ok(owned.collect())
}
