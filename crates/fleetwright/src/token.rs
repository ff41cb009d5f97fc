//! `fleetwright token`: what kubeconfigs of members call. Needs no hub.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use aws_credential_types::provider::ProvideCredentials as _;
use fleetwright_clock::{Clock, SystemClock};
use fleetwright_provider_eks::{KEY as EKS, eks_token};
use serde_json::json;

use crate::cli::Token;
use crate::exit::Exit;
use crate::{output, real, simulated};

/// Prints an `ExecCredential` (client.authentication.k8s.io/v1), as kubectl asks for it.
pub(crate) async fn token(asked: &Token, is_simulated: bool) -> anyhow::Result<Exit> {
    if asked.provider != EKS {
        bail!("no provider {:?}; known is {EKS}", asked.provider);
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let credentials = if is_simulated {
        simulated::credentials()
    } else {
        let chain = real::credentials(&clock).await?;
        let found = chain.provide_credentials().await;
        found.context(
            "no AWS credentials in this environment; set AWS_PROFILE or AWS_ACCESS_KEY_ID",
        )?
    };
    let made = eks_token(&credentials, &asked.region, &asked.cluster, clock.now())?;
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
