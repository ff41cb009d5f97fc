//! The simulated world: clouds in this process, members by path, and credentials that open nothing else.

mod hosts;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleetwright_apiserver::ApiServer;
use fleetwright_clock::Clock;
use fleetwright_cloudsim::{
    ACCESS_KEY_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_MOUNT_PATH, AZURE_TENANT_ID,
    CloudSim, HOSTS_MOUNT_PATH, MOUNT_PATH, SECRET_ACCESS_KEY, SSH_PRIVATE_KEY,
};
use fleetwright_controllers::members::{Connector, Member, MemberWay};
use fleetwright_errclass::Class;
use fleetwright_provider::{HttpOut, Limits, Secret};
use fleetwright_provider_aks::{AksSettings, ClientSecret};
use fleetwright_provider_eks::{EksSettings, Source};
use fleetwright_provider_k3s::K3sSettings;
use fleetwright_provider_k3s::release::Releases;
use fleetwright_provider_k3s::ssh::{Hosts, Identity};
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Failure;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::Client;
use kube::client::Body;
use tower::util::BoxCloneSyncService;
use tower::{BoxError, ServiceExt as _};

use crate::http_out;
use crate::reach::Reached;
use crate::simulated::hosts::{Place, SimulatedHosts};
use crate::wiring::{Wiring, clouds, this_program};

/// Simulated clusters come in seconds, so they are looked at more often than real ones.
pub(crate) const LIMITS: Limits = Limits {
    poll_busy: Duration::from_millis(500),
    poll_idle: Duration::from_secs(30),
    in_doubt: Duration::from_secs(3),
};

/// Wires the controllers of `api` to the clouds of `sim`, without a socket in between. `folder` is where the hub lives, for
/// the kubeconfigs of members.
pub(crate) fn simulated(
    api: &ApiServer,
    sim: &CloudSim,
    clock: &Arc<dyn Clock>,
    (public_url, folder): (&str, &Path),
) -> Wiring {
    let endpoints = Endpoints::of(public_url);
    let settings = settings(Ways::in_process(sim), clock, &endpoints);
    Wiring {
        clouds: clouds(&Providers::all(settings)),
        connector: Arc::new(InProcess { api: api.clone(), sim: sim.clone() }),
        token_command: vec![this_program(), format!("--simulated={}", folder.display())],
    }
}

/// Where the simulated clouds are.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) aws: String,
    pub(crate) azure: String,
    pub(crate) hosts: String,
}

impl Endpoints {
    /// Those of a hub.
    pub(crate) fn of(public_url: &str) -> Self {
        let below = |mount: &str| format!("{public_url}{mount}");
        Self {
            aws: below(MOUNT_PATH),
            azure: below(AZURE_MOUNT_PATH),
            hosts: below(HOSTS_MOUNT_PATH),
        }
    }

    /// Those that a hub of another process publishes.
    pub(crate) fn published(hub: &Reached) -> anyhow::Result<Self> {
        Ok(Self {
            aws: hub.simulated("endpoint")?,
            azure: hub.simulated("azure-endpoint")?,
            hosts: hub.simulated("hosts-endpoint")?,
        })
    }
}

/// The ways out to the simulated clouds and hosts.
pub(crate) struct Ways {
    pub(crate) aws: HttpOut,
    pub(crate) azure: HttpOut,
    hosts: Where,
    reads_only: bool,
}

/// Where hosts are simulated.
enum Where {
    Here(CloudSim),
    Elsewhere(HttpOut),
}

impl Ways {
    /// They end inside: whatever host a request names, the simulated cloud answers.
    pub(crate) fn in_process(sim: &CloudSim) -> Self {
        Self {
            aws: BoxCloneSyncService::new(sim.eks().map_err(|never| match never {})),
            azure: BoxCloneSyncService::new(sim.azure().map_err(|never| match never {})),
            hosts: Where::Here(sim.clone()),
            reads_only: false,
        }
    }

    /// One way for all.
    pub(crate) fn both(http: HttpOut) -> Self {
        let hosts = Where::Elsewhere(http.clone());
        Self { aws: http.clone(), azure: http, hosts, reads_only: false }
    }

    /// The same for reading only.
    pub(crate) fn reading(self) -> Self {
        Self {
            aws: http_out::reading(self.aws),
            azure: http_out::reading(self.azure),
            // Hosts are asked by POST whatever for: it is the deeds that are looked at.
            hosts: self.hosts,
            reads_only: true,
        }
    }
}

/// All providers with the simulated credentials. No credential chain is read.
pub(crate) fn settings(ways: Ways, clock: &Arc<dyn Clock>, endpoints: &Endpoints) -> Settings {
    let Ways { aws, azure, hosts, reads_only } = ways;
    Settings {
        aks: AksSettings {
            http: azure,
            credentials: azure_credentials(),
            clock: Arc::clone(clock),
            endpoint: Some(endpoints.azure.clone()),
            limits: LIMITS,
        },
        eks: eks(aws, clock, endpoints.aws.clone()),
        k3s: k3s(hosts, reads_only, clock, endpoints),
    }
}

fn k3s(
    place: Where,
    reads_only: bool,
    clock: &Arc<dyn Clock>,
    endpoints: &Endpoints,
) -> K3sSettings {
    let (place, releases) = match place {
        Where::Here(sim) => {
            let releases = BoxCloneSyncService::new(sim.releases().map_err(|never| match never {}));
            (Place::Here(sim), releases)
        }
        Where::Elsewhere(http) => {
            let releases = hosts::releases(http.clone(), endpoints.hosts.clone());
            (Place::Elsewhere(http, endpoints.hosts.clone()), releases)
        }
    };
    K3sSettings {
        hosts: Arc::new(SimulatedHosts { place, reads_only }),
        // Simulated releases are small, and their hosts' disks are not this machine's.
        releases: Arc::new(Releases::new(releases, None)),
        clock: Arc::clone(clock),
        limits: LIMITS,
    }
}

/// The hosts of another process's simulation.
pub(crate) fn hosts(http: HttpOut, endpoints: &Endpoints) -> Arc<dyn Hosts> {
    let place = Place::Elsewhere(http, endpoints.hosts.clone());
    Arc::new(SimulatedHosts { place, reads_only: false })
}

/// The key that people sign in with on simulated hosts. It opens nothing else.
///
/// # Errors
/// Never, as long as the key is one.
pub(crate) fn ssh_identity() -> anyhow::Result<Identity> {
    Ok(Identity::read(&Secret::new(SSH_PRIVATE_KEY.to_owned()), None)?)
}

/// EKS with the simulated credentials.
pub(crate) fn eks(http: HttpOut, clock: &Arc<dyn Clock>, endpoint: String) -> EksSettings {
    EksSettings {
        http,
        credentials: Source::Fixed(SharedCredentialsProvider::new(credentials())),
        clock: Arc::clone(clock),
        endpoint: Some(endpoint),
        limits: LIMITS,
    }
}

/// The only credentials of the simulated AWS.
pub(crate) fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "simulated")
}

/// The only credentials of the simulated Entra ID.
pub(crate) fn azure_credentials() -> fleetwright_provider_aks::Source {
    fleetwright_provider_aks::Source::Fixed(ClientSecret {
        tenant_id: AZURE_TENANT_ID.to_owned(),
        client_id: AZURE_CLIENT_ID.to_owned(),
        client_secret: Secret::new(AZURE_CLIENT_SECRET.to_owned()),
    })
}

/// Reaches members of this process: those of clouds by the path of their endpoint, those of hosts by its address.
#[derive(Debug)]
struct InProcess {
    api: ApiServer,
    sim: CloudSim,
}

impl Connector for InProcess {
    fn connect(&self, member: &Member, token: &Secret) -> Result<Client, Failure> {
        let endpoint = &member.connection.endpoint;
        let unusable =
            |class, why: &str| Failure::new(class, "Unreachable", format!("{endpoint}: {why}"));
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_invalid| unusable(Class::Bug, "the token is no header value"))?;
        bearer.set_sensitive(true);
        let signed = move |mut request: Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        };
        let Some((_, id)) = endpoint.rsplit_once("/clusters/") else {
            return Ok(self.at_hosts(endpoint, signed));
        };
        let member = self
            .api
            .cluster(id.trim_end_matches('/'))
            .ok_or_else(|| unusable(Class::Transient, "the simulated cluster is gone"))?;
        Ok(Client::new(member.service().map_request(signed), "default"))
    }
}

impl InProcess {
    /// A client of the K3s cluster that answers at an address, whichever that is when it asks.
    fn at_hosts(
        &self,
        endpoint: &str,
        signed: impl FnMut(Request<Body>) -> Request<Body> + Clone + Send + 'static,
    ) -> Client {
        let (sim, endpoint) = (self.sim.clone(), endpoint.to_owned());
        let service = tower::service_fn(move |request: Request<Body>| {
            let (sim, endpoint) = (sim.clone(), endpoint.clone());
            async move {
                let member = sim.member_at(&endpoint).await.map_err(BoxError::from)?;
                let member = member.ok_or_else(|| {
                    BoxError::from(format!("{endpoint}: connection refused by the simulated hosts"))
                })?;
                match member.service().oneshot(request).await {
                    Ok(response) => Ok::<_, BoxError>(response),
                    Err(never) => match never {},
                }
            }
        });
        Client::new(service.map_request(signed), "default")
    }
}

/// Reaches members of another process's simulation: those of hosts have addresses that lead nowhere on this machine, and
/// are reached below the simulation's own.
#[derive(Debug)]
pub(crate) struct Elsewhere<C> {
    pub(crate) inner: C,
    pub(crate) endpoints: Endpoints,
}

impl<C: Connector> Connector for Elsewhere<C> {
    fn connect(&self, member: &Member, token: &Secret) -> Result<Client, Failure> {
        if member.connection.endpoint.contains("/clusters/") {
            return self.inner.connect(member, token);
        }
        let mut member = member.clone();
        let uri: Option<http::Uri> = member.connection.endpoint.parse().ok();
        let host = uri.as_ref().and_then(http::Uri::host).unwrap_or_default();
        let Self { inner, endpoints: Endpoints { hosts, .. } } = self;
        member.connection.endpoint = format!("{hosts}/members/{host}");
        member.connection.proxy_url = None;
        member.way = MemberWay::Direct;
        inner.connect(&member, token)
    }
}
