//! `fleetwright token`: what kubeconfigs of members call. Needs no hub, but in simulation, where STS and Entra ID are in its
//! process.

mod k3s;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::bail;
use fleetwright_api_types::AzureCloud;
use fleetwright_clock::{Clock, SystemClock};
use fleetwright_provider::{HttpOut, MemberToken};
use fleetwright_provider_aks::{KEY as AKS, MemberTokenOptions, member_token};
use fleetwright_provider_eks::{KEY as EKS, RoleToAssume, eks_token, token_credentials};
use fleetwright_provider_k3s::KEY as K3S;
use serde_json::json;

use crate::cli::{Token, WhichHub};
use crate::exit::Exit;
use crate::http_out::{self, Allowed};
use crate::reach::{Reached, Rights, need};
use crate::simulated::Endpoints;
use crate::{output, real, simulated};

/// Prints an `ExecCredential` (client.authentication.k8s.io/v1), as kubectl asks for it. `simulated`: with the folder of the
/// hub, or with that of `up`.
pub(crate) async fn token(
    asked: &Token,
    simulated: Option<&Option<PathBuf>>,
) -> anyhow::Result<Exit> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let made = match asked.provider.as_str() {
        AKS | EKS if !asked.hosts.is_empty() => bail!("--host is for provider {K3S}"),
        AKS if asked.role_arn.is_some() => bail!("--role-arn is for provider {EKS}"),
        EKS if asked.tenant_id.is_some() => bail!("--tenant-id is for provider {AKS}"),
        AKS => aks(asked, simulated, &clock).await?,
        EKS => eks(asked, simulated, &clock).await?,
        K3S => k3s(asked, simulated, &clock).await?,
        other => bail!("no provider {other:?}; known are {AKS}, {EKS} and {K3S}"),
    };
    let document = json!({
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {
            "expirationTimestamp": format!("{:.0}", made.expires_at),
            "token": made.token.expose(),
        },
    });
    output::line(&document.to_string());
    Ok(Exit::Done)
}

/// The hub that holds the simulated clouds, and the way there.
async fn simulation(folder: &Option<PathBuf>) -> anyhow::Result<(Reached, HttpOut)> {
    let which = WhichHub { data: folder.clone(), kubeconfig: None, simulate: true };
    let hub = need(&which, Rights::Read).await?;
    let http = http_out::over_tls(Allowed::Simulation, Some(&hub.simulated("ca")?))?;
    Ok((hub, http))
}

async fn eks(
    asked: &Token,
    simulated: Option<&Option<PathBuf>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<MemberToken> {
    let external_id = asked.external_id.clone();
    let role = asked.role_arn.clone().map(|arn| RoleToAssume { arn, external_id });
    let credentials = match (simulated, role) {
        (Some(_), None) => simulated::credentials(),
        (Some(folder), role) => {
            let (hub, http) = simulation(folder).await?;
            let settings = simulated::eks(http, clock, Endpoints::published(&hub)?.aws);
            token_credentials(settings, region(asked), role).await?
        }
        (None, role) => token_credentials(real::eks(clock)?, region(asked), role).await?,
    };
    Ok(eks_token(&credentials, region(asked), &asked.cluster, clock.now())?)
}

async fn aks(
    asked: &Token,
    simulated: Option<&Option<PathBuf>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<MemberToken> {
    let tenant_id = asked.tenant_id.clone();
    let clock = Arc::clone(clock);
    if let Some(folder) = simulated {
        let (hub, http) = simulation(folder).await?;
        let endpoint = Some(Endpoints::published(&hub)?.azure);
        let options = MemberTokenOptions { cloud: None, tenant_id, endpoint };
        return Ok(member_token(http, simulated::azure_credentials(), clock, options).await?);
    }
    let options =
        MemberTokenOptions { cloud: Some(cloud_of(region(asked))), tenant_id, endpoint: None };
    let settings = real::aks(&clock)?;
    Ok(member_token(settings.http, settings.credentials, clock, options).await?)
}

async fn k3s(
    asked: &Token,
    simulated: Option<&Option<PathBuf>>,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<MemberToken> {
    let (hosts, identity) = match simulated {
        Some(folder) => {
            let (hub, http) = simulation(folder).await?;
            let endpoints = Endpoints::published(&hub)?;
            (simulated::hosts(http, &endpoints), simulated::ssh_identity()?)
        }
        None => (real::hosts(clock), self::k3s::identity(asked)?),
    };
    self::k3s::token(asked, hosts, identity, clock).await
}

/// Asked for by clap where it is needed.
fn region(asked: &Token) -> &str {
    asked.region.as_deref().unwrap_or_default()
}

/// The one of Azure's clouds that a location is in, by its name.
fn cloud_of(location: &str) -> AzureCloud {
    if location.starts_with("china") {
        AzureCloud::China
    } else if location.starts_with("usgov") || location.starts_with("usdod") {
        AzureCloud::UsGovernment
    } else {
        AzureCloud::Public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_location_tells_its_cloud() {
        let cloud = |location| cloud_of(location);
        assert_eq!(cloud("westeurope"), AzureCloud::Public);
        assert_eq!(cloud("chinaeast2"), AzureCloud::China);
        assert_eq!(cloud("usgovvirginia"), AzureCloud::UsGovernment);
    }
}
