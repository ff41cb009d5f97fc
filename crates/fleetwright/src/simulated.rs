//! The simulated world: clouds in this process, members by path, and credentials that open nothing else.

use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use fleetwright_api_types::Connection;
use fleetwright_apiserver::ApiServer;
use fleetwright_clock::Clock;
use fleetwright_cloudsim::{ACCESS_KEY_ID, CloudSim, SECRET_ACCESS_KEY};
use fleetwright_controllers::members::Connector;
use fleetwright_errclass::Class;
use fleetwright_provider::{HttpOut, Limits, Secret};
use fleetwright_provider_eks::{EksSettings, Source};
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Failure;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use kube::Client;
use kube::client::Body;
use tower::ServiceExt as _;
use tower::util::BoxCloneSyncService;

use crate::wiring::{Wiring, clouds, this_program};

/// Simulated clusters come in seconds, so they are looked at more often than real ones.
const LIMITS: Limits = Limits {
    poll_busy: Duration::from_millis(500),
    poll_idle: Duration::from_secs(30),
    in_doubt: Duration::from_secs(3),
};

/// Wires the controllers of `api` to the clouds of `sim`, without a socket in between.
pub(crate) fn simulated(
    api: &ApiServer,
    sim: &CloudSim,
    clock: &Arc<dyn Clock>,
    public_url: &str,
) -> Wiring {
    let eks = settings(in_process(sim), clock, Some(endpoint(public_url)));
    Wiring {
        clouds: clouds(&Providers::all(Settings { eks })),
        connector: Arc::new(ByPath { api: api.clone() }),
        token_command: vec![this_program(), "--simulated".to_owned()],
    }
}

/// The endpoint of the simulated AWS of a hub.
pub(crate) fn endpoint(public_url: &str) -> String {
    format!("{public_url}{}", fleetwright_cloudsim::MOUNT_PATH)
}

/// EKS with the simulated credentials. No credential chain is read.
pub(crate) fn settings(
    http: HttpOut,
    clock: &Arc<dyn Clock>,
    endpoint: Option<String>,
) -> EksSettings {
    EksSettings {
        http,
        credentials: Source::Fixed(SharedCredentialsProvider::new(credentials())),
        clock: Arc::clone(clock),
        endpoint,
        limits: LIMITS,
    }
}

/// The only credentials of the simulated cloud.
pub(crate) fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY_ID, SECRET_ACCESS_KEY, None, None, "simulated")
}

/// The way out ends inside: whatever host a request names, the simulated cloud answers.
pub(crate) fn in_process(sim: &CloudSim) -> HttpOut {
    BoxCloneSyncService::new(sim.eks().map_err(|never| match never {}))
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
