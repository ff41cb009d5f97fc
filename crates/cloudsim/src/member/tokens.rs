//! Who is let into a member: EKS tokens.

use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fleetwright_apiserver::{AuthError, Authenticator, Identity};
use fleetwright_clock::Clock;

use super::Hosted;
use crate::principal::Principal;
use crate::sigv4::{Presigned, verify_presigned};
use crate::state::{Cluster, ClusterKey, Ledger};

/// `aws-iam-authenticator` refuses longer ones, too.
const MAX_TOKEN_BYTES: usize = 4096;
/// What may stand in a token's URL, as in `aws-iam-authenticator`.
const TOKEN_QUERY: [&str; 9] = [
    "Action",
    "Version",
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
];

/// Lets in who shows an EKS token for this one cluster: `k8s-aws-v1.` and the base64url of a presigned STS request,
/// which names the cluster in a signed header; and whose principal has an access entry, or made the cluster in the
/// days of the ConfigMap. The rules are those of `aws-iam-authenticator`.
#[derive(Debug)]
struct EksTokens {
    key: ClusterKey,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Authenticator for EksTokens {
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError> {
        let token = bearer.ok_or(AuthError::Missing)?;
        let refused = |reason: String| {
            tracing::debug!(cluster = %self.key.name, reason, "token refused");
            AuthError::Rejected
        };
        let principal = self.verify(token).map_err(refused)?;
        let cluster =
            self.ledger.one(&self.key).await.map_err(|error| refused(error.to_string()))?;
        let cluster = cluster.ok_or_else(|| refused("the cluster is gone".to_owned()))?;
        cluster.identity(&principal).map_err(refused)
    }
}

impl EksTokens {
    fn verify(&self, token: &str) -> Result<Principal, String> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err("the token is too long".to_owned());
        }
        let encoded = token.strip_prefix("k8s-aws-v1.").ok_or("the prefix is wrong")?;
        let url = URL_SAFE_NO_PAD.decode(encoded).map_err(|error| error.to_string())?;
        let url = String::from_utf8(url).map_err(|error| error.to_string())?;
        let host = format!("sts.{}.{}", self.key.region, self.key.domain());
        let query = url
            .strip_prefix(&format!("https://{host}/?"))
            .ok_or_else(|| format!("it is not a request to https://{host}/"))?;
        let allowed =
            |pair: &str| TOKEN_QUERY.contains(&pair.split('=').next().unwrap_or_default());
        if !query.split('&').all(allowed)
            || !query.split('&').any(|pair| pair == "Action=GetCallerIdentity")
        {
            return Err("it is not a request for the caller's identity".to_owned());
        }
        let header = ("x-k8s-aws-id", self.key.name.as_str());
        let verified =
            verify_presigned(&Presigned { host: &host, query, header }, self.clock.now())
                .map_err(|refusal| refusal.to_string())?;
        let scope = verified.scope;
        if scope.service != "sts" || scope.region != self.key.region {
            return Err(format!("the signature is for {} in {}", scope.service, scope.region));
        }
        Ok(verified.principal)
    }
}

impl Hosted for Cluster {
    fn member_id(&self) -> String {
        self.key.member_id()
    }

    fn shown_version(&self) -> String {
        format!("v{}.1-eks-sim", self.version)
    }

    fn authenticator(&self, ledger: Ledger, clock: Arc<dyn Clock>) -> Arc<dyn Authenticator> {
        Arc::new(EksTokens { key: self.key.clone(), ledger, clock })
    }
}

impl Cluster {
    /// Who a principal is in this cluster.
    fn identity(&self, principal: &Principal) -> Result<Identity, String> {
        let admins = || vec!["system:masters".to_owned()];
        if let Some(entry) = self.entries.get(&principal.arn) {
            let mut groups = entry.groups.clone();
            if entry.policies.keys().any(|policy| policy.ends_with("ClusterAdminPolicy")) {
                groups.extend(admins());
            }
            return Ok(Identity::new(&principal.session_arn(), groups));
        }
        if !self.request.uses_entries()
            && self.request.creator_is_admin()
            && self.creator == principal.arn
        {
            return Ok(Identity::new(&principal.session_arn(), admins()));
        }
        Err(format!("{} has no access entry", principal.arn))
    }
}
