//! Who is let into the member behind a K3s cluster: our own account, by tokens that one of its servers made.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_apiserver::{AuthError, Authenticator, Identity};
use fleetwright_clock::Clock;

use super::state::{Site, SiteKey};
use crate::SECRET_ACCESS_KEY;
use crate::member::Hosted;
use crate::sigv4::seal;
use crate::state::Ledger;

/// What is before every token.
const PREFIX: &str = "k3s-simulated";

/// A token for our account in one cluster, good until a second of 1970's count.
pub(super) fn issue(site: &SiteKey, until: i64) -> String {
    let content = format!("{PREFIX}.{}.{until}", site.0);
    let mark = seal(SECRET_ACCESS_KEY, &content);
    format!("{content}.{mark}")
}

/// Which cluster a token is for, and until when.
fn opened(token: &str) -> Option<(SiteKey, i64)> {
    let (content, mark) = token.rsplit_once('.')?;
    if seal(SECRET_ACCESS_KEY, content) != mark {
        return None;
    }
    let (site, until) = content.strip_prefix(PREFIX)?.strip_prefix('.')?.rsplit_once('.')?;
    Some((SiteKey(site.to_owned()), until.parse().ok()?))
}

#[derive(Debug)]
struct K3sTokens {
    key: SiteKey,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Authenticator for K3sTokens {
    async fn authenticate(&self, bearer: Option<&str>) -> Result<Identity, AuthError> {
        let token = bearer.ok_or(AuthError::Missing)?;
        let refused = |reason: &str| {
            tracing::debug!(cluster = %self.key.0, reason, "token refused");
            AuthError::Rejected
        };
        let (site, until) = opened(token).ok_or_else(|| refused("it is no token of ours"))?;
        if site != self.key {
            return Err(refused("it is for another cluster"));
        }
        if until <= self.clock.now().as_second() {
            return Err(refused("its time is over"));
        }
        let there =
            self.ledger.one(&self.key).await.map_err(|error| refused(&error.to_string()))?;
        there.ok_or_else(|| refused("the cluster is gone"))?;
        let groups = vec!["system:masters".to_owned(), "system:serviceaccounts".to_owned()];
        Ok(Identity::new("system:serviceaccount:kube-system:fleetwright", groups))
    }
}

impl Hosted for Site {
    fn member_id(&self) -> String {
        self.key.0.clone()
    }

    fn shown_version(&self) -> String {
        let newest = self.servers().map(|node| node.version.as_str()).max();
        newest.unwrap_or("v1.34.0+k3s1").to_owned()
    }

    fn authenticator(&self, ledger: Ledger, clock: Arc<dyn Clock>) -> Arc<dyn Authenticator> {
        Arc::new(K3sTokens { key: self.key.clone(), ledger, clock })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_cluster_and_cannot_be_changed() {
        let site = SiteKey("k3s-0123456789ab".to_owned());
        let token = issue(&site, 1_800_000_000);
        assert_eq!(opened(&token), Some((site, 1_800_000_000)));
        assert_eq!(opened(&token.replace("1800000000", "1900000000")), None);
        assert_eq!(opened("x.y"), None);
    }
}
