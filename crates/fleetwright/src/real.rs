//! The real world: clouds over TLS, members by their kubeconfig data, credentials from the environment.

use std::sync::Arc;
use std::time::Duration;

use fleetwright_api_types::Connection;
use fleetwright_clock::Clock;
use fleetwright_controllers::members::Connector;
use fleetwright_errclass::Class;
use fleetwright_provider::Secret;
use fleetwright_provider_aks::AksSettings;
use fleetwright_provider_eks::{DEFAULT_LIMITS, EksSettings, Source};
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Failure;
use fleetwright_verbs::hosts::is_inward;
use fleetwright_verbs::read_only;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::http_out::{self, Allowed, Proxies};
use crate::wiring::{Wiring, clouds, this_program};

/// Wires the controllers to the clouds. Nothing is called and no credential is read before it is needed.
pub(crate) fn real(clock: &Arc<dyn Clock>) -> anyhow::Result<Wiring> {
    Ok(Wiring {
        clouds: clouds(&Providers::all(settings(clock)?)),
        connector: Arc::new(OverTls { inward: Inward::Refused, read_only: false }),
        token_command: vec![this_program()],
    })
}

/// The clouds themselves, with the credentials of this environment.
pub(crate) fn settings(clock: &Arc<dyn Clock>) -> anyhow::Result<Settings> {
    Ok(Settings { aks: aks(clock)?, eks: eks(clock)? })
}

/// AKS itself.
pub(crate) fn aks(clock: &Arc<dyn Clock>) -> anyhow::Result<AksSettings> {
    Ok(AksSettings {
        http: http_out::over_tls(Allowed::Clouds, None)?,
        credentials: fleetwright_provider_aks::Source::Environment {
            http: http_out::over_tls(Allowed::AzureTokens, None)?,
        },
        clock: Arc::clone(clock),
        endpoint: None,
        limits: fleetwright_provider_aks::DEFAULT_LIMITS,
    })
}

/// EKS itself.
pub(crate) fn eks(clock: &Arc<dyn Clock>) -> anyhow::Result<EksSettings> {
    Ok(EksSettings {
        http: http_out::over_tls(Allowed::Clouds, None)?,
        credentials: Source::Environment {
            http: http_out::over_tls(Allowed::CredentialSources, None)?,
        },
        clock: Arc::clone(clock),
        endpoint: None,
        limits: DEFAULT_LIMITS,
    })
}

/// Whether a member may be on this very machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Inward {
    /// Only in simulation.
    Allowed,
    /// A declaration must not lead the hub to itself or to the machine's credentials.
    Refused,
}

/// Reaches members over TLS, trusting nobody but their own authority.
#[derive(Debug)]
pub(crate) struct OverTls {
    pub(crate) inward: Inward,
    pub(crate) read_only: bool,
}

/// The proxy that a declaration names; as little on this machine as the member itself.
fn declared_proxy(declared: &str, inward: Inward) -> Result<http::Uri, String> {
    let proxy: http::Uri =
        declared.parse().map_err(|_invalid| "spec.connection.proxyUrl is no URL".to_owned())?;
    if inward == Inward::Refused && proxy.host().is_none_or(is_inward) {
        return Err(format!("proxy {declared}: a proxy is never on this machine"));
    }
    Ok(proxy)
}

impl Connector for OverTls {
    fn connect(&self, connection: &Connection, token: &Secret) -> Result<Client, Failure> {
        let endpoint = &connection.endpoint;
        let refuse =
            |why: &str| Failure::new(Class::Refused, "Unreachable", format!("{endpoint}: {why}"));
        let url: http::Uri = endpoint.parse().map_err(|_invalid| refuse("not a URL"))?;
        if url.scheme_str() != Some("https") {
            return Err(refuse("a member is reached over https only"));
        }
        if self.inward == Inward::Refused && url.host().is_none_or(is_inward) {
            return Err(refuse("a member is never on this machine"));
        }
        let authorities =
            CertificateDer::pem_slice_iter(connection.certificate_authority.as_bytes())
                .map(|found| found.map(|certificate| certificate.to_vec()))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|error| {
                    refuse(&format!("its certificate authority is no PEM: {error}"))
                })?;
        let proxies = match self.inward {
            Inward::Allowed => Proxies::none(),
            Inward::Refused => {
                Proxies::of_environment().map_err(|error| refuse(&error.to_string()))?
            }
        };
        let proxy_url = match &connection.proxy_url {
            Some(declared) => {
                Some(declared_proxy(declared, self.inward).map_err(|why| refuse(&why))?)
            }
            None => proxies.for_kube(&url),
        };
        let mut config = Config::new(url);
        config.proxy_url = proxy_url;
        config.root_cert = Some(authorities);
        config.auth_info.token = Some(token.expose().to_owned().into());
        config.connect_timeout = Some(Duration::from_secs(10));
        // Above the time after which a watch ends by itself, so that only a dead connection meets it.
        config.read_timeout = Some(Duration::from_secs(330));
        // Our own backoff decides; the loop bounds how long a look may take.
        config.default_retry = false;
        let made =
            if self.read_only { read_only::client(config) } else { Client::try_from(config) };
        made.map_err(|error| refuse(&error.to_string()))
    }
}
