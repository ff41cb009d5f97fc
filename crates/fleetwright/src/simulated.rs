//! The simulated world: clouds in this process, members by path, and credentials that open nothing else.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleetwright_api_types::Connection;
use fleetwright_apiserver::ApiServer;
use fleetwright_clock::Clock;
use fleetwright_cloudsim::{
    ACCESS_KEY_ID, AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_MOUNT_PATH, AZURE_TENANT_ID,
    CloudSim, MOUNT_PATH, SECRET_ACCESS_KEY,
};
use fleetwright_controllers::members::Connector;
use fleetwright_errclass::Class;
use fleetwright_provider::{HttpOut, Limits, Secret};
use fleetwright_provider_aks::{AksSettings, ClientSecret};
use fleetwright_provider_eks::{EksSettings, Source};
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Failure;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::Client;
use kube::client::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::http_out;
use crate::reach::Reached;
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
        connector: Arc::new(ByPath { api: api.clone() }),
        token_command: vec![this_program(), format!("--simulated={}", folder.display())],
    }
}

/// Where the simulated clouds are.
#[derive(Debug, Clone)]
pub(crate) struct Endpoints {
    pub(crate) aws: String,
    pub(crate) azure: String,
}

impl Endpoints {
    /// Those of a hub.
    pub(crate) fn of(public_url: &str) -> Self {
        let below = |mount: &str| format!("{public_url}{mount}");
        Self { aws: below(MOUNT_PATH), azure: below(AZURE_MOUNT_PATH) }
    }

    /// Those that a hub of another process publishes.
    pub(crate) fn published(hub: &Reached) -> anyhow::Result<Self> {
        Ok(Self { aws: hub.simulated("endpoint")?, azure: hub.simulated("azure-endpoint")? })
    }
}

/// The ways out to the simulated clouds.
pub(crate) struct Ways {
    pub(crate) aws: HttpOut,
    pub(crate) azure: HttpOut,
}

impl Ways {
    /// They end inside: whatever host a request names, the simulated cloud answers.
    pub(crate) fn in_process(sim: &CloudSim) -> Self {
        Self {
            aws: BoxCloneSyncService::new(sim.eks().map_err(|never| match never {})),
            azure: BoxCloneSyncService::new(sim.azure().map_err(|never| match never {})),
        }
    }

    /// One way for both.
    pub(crate) fn both(http: HttpOut) -> Self {
        Self { aws: http.clone(), azure: http }
    }

    /// The same for reading only.
    pub(crate) fn reading(self) -> Self {
        Self { aws: http_out::reading(self.aws), azure: http_out::reading(self.azure) }
    }
}

/// All providers with the simulated credentials. No credential chain is read.
pub(crate) fn settings(ways: Ways, clock: &Arc<dyn Clock>, endpoints: &Endpoints) -> Settings {
    Settings {
        aks: AksSettings {
            http: ways.azure,
            credentials: azure_credentials(),
            clock: Arc::clone(clock),
            endpoint: Some(endpoints.azure.clone()),
            limits: LIMITS,
        },
        eks: eks(ways.aws, clock, endpoints.aws.clone()),
    }
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

/// Reaches members of this process by the path of their endpoint.
#[derive(Debug)]
struct ByPath {
    api: ApiServer,
}

impl Connector for ByPath {
    fn connect(&self, connection: &Connection, token: &Secret) -> Result<Client, Failure> {
        let endpoint = &connection.endpoint;
        let unusable =
            |class, why: &str| Failure::new(class, "Unreachable", format!("{endpoint}: {why}"));
        let (_, id) = endpoint
            .rsplit_once("/clusters/")
            .ok_or_else(|| unusable(Class::Bug, "no address of a simulated cluster"))?;
        let member = self
            .api
            .cluster(id.trim_end_matches('/'))
            .ok_or_else(|| unusable(Class::Transient, "the simulated cluster is gone"))?;
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
            .map_err(|_invalid| unusable(Class::Bug, "the token is no header value"))?;
        bearer.set_sensitive(true);
        let service = member.service().map_request(move |mut request: Request<Body>| {
            request.headers_mut().insert(AUTHORIZATION, bearer.clone());
            request
        });
        Ok(Client::new(service, "default"))
    }
}
