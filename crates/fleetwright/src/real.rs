//! The real world: clouds over TLS, members by their kubeconfig data, credentials from the environment.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fleetwright_clock::Clock;
use fleetwright_controllers::members::{Connector, Member, MemberWay};
use fleetwright_errclass::Class;
use fleetwright_provider::Secret;
use fleetwright_provider_aks::AksSettings;
use fleetwright_provider_eks::{DEFAULT_LIMITS, EksSettings, Source};
use fleetwright_provider_k3s::K3sSettings;
use fleetwright_provider_k3s::release::Releases;
use fleetwright_provider_k3s::ssh::{Hosts, PoolLimits, SshHosts, SshLimits};
use fleetwright_providers::{Providers, Settings};
use fleetwright_reconcile::Failure;
use fleetwright_verbs::hosts::is_inward;
use fleetwright_verbs::read_only;
use kube::{Client, Config};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use crate::http_out::{self, Allowed, Proxies};
use crate::over_hosts;
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
    Ok(Settings { aks: aks(clock)?, eks: eks(clock)?, k3s: k3s(clock)? })
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

/// Hosts over SSH. Nothing is connected before it is needed.
pub(crate) fn hosts(clock: &Arc<dyn Clock>) -> Arc<dyn Hosts> {
    Arc::new(SshHosts::new(Arc::clone(clock), SshLimits::default(), PoolLimits::default()))
}

/// K3s on hosts. What was fetched of its releases is kept in the user's cache folder.
fn k3s(clock: &Arc<dyn Clock>) -> anyhow::Result<K3sSettings> {
    let http = http_out::over_tls(Allowed::Releases, None)?;
    Ok(K3sSettings {
        hosts: hosts(clock),
        releases: Arc::new(Releases::new(http, releases_folder())),
        clock: Arc::clone(clock),
        limits: fleetwright_provider_k3s::DEFAULT_LIMITS,
    })
}

/// Where fetched releases are kept; `None` where the environment names no place.
fn releases_folder() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = cache.or_else(|| Some(PathBuf::from(variable("HOME")?).join(".cache")));
    Some(cache?.join("fleetwright").join("k3s"))
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
    fn connect(&self, member: &Member, token: &Secret) -> Result<Client, Failure> {
        let connection = &member.connection;
        let endpoint = &connection.endpoint;
        let refuse =
            |why: &str| Failure::new(Class::Refused, "Unreachable", format!("{endpoint}: {why}"));
        let url: http::Uri = endpoint.parse().map_err(|_invalid| refuse("not a URL"))?;
        if url.scheme_str() != Some("https") {
            return Err(refuse("a member is reached over https only"));
        }
        // Simulated members are on this machine, whatever their way. Through real hosts nothing of this machine can be reached,
        // whatever the name.
        let through_hosts = member.way == MemberWay::Hosts && self.inward == Inward::Refused;
        if !through_hosts && self.inward == Inward::Refused && url.host().is_none_or(is_inward) {
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
        let made = match (through_hosts, self.read_only) {
            (true, reads_only) => over_hosts::client(member, &config, reads_only),
            (false, true) => read_only::client(config),
            (false, false) => Client::try_from(config),
        };
        made.map_err(|error| refuse(&error.to_string()))
    }
}
