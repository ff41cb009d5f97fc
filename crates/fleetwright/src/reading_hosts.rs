//! Hosts that are only looked at, for commands that promise to change nothing.

use std::sync::Arc;

use async_trait::async_trait;
use fleetwright_provider::MemberStream;
use fleetwright_provider_k3s::hosts::{HostWire, Output, Request, WireError};
use fleetwright_provider_k3s::ssh::{Hosts, SshError, Way};

/// How the first line of a script begins whose deed changes nothing on the host; a token of our own account is made by the
/// cluster for the asking, and kept nowhere.
const LOOKS: [&str; 2] = ["# fleetwright deed: read-", "# fleetwright deed: mint-token "];

/// Lets looks pass and refuses all else before it leaves.
#[derive(Debug)]
pub(crate) struct ReadingHosts(pub(crate) Arc<dyn Hosts>);

#[async_trait]
impl Hosts for ReadingHosts {
    async fn reach(&self, way: &Way) -> Result<Arc<dyn HostWire>, SshError> {
        let host = way.route.target().to_string();
        Ok(Arc::new(ReadingWire { host, wire: self.0.reach(way).await? }))
    }

    async fn dial(
        &self,
        way: &Way,
        host: &str,
        port: u16,
    ) -> Result<Box<dyn MemberStream>, SshError> {
        self.0.dial(way, host, port).await
    }
}

struct ReadingWire {
    host: String,
    wire: Arc<dyn HostWire>,
}

#[async_trait]
impl HostWire for ReadingWire {
    async fn exec(&self, request: &Request) -> Result<Output, WireError> {
        if LOOKS.iter().any(|look| request.script.starts_with(look)) {
            return self.wire.exec(request).await;
        }
        let why = format!("{} was not sent: this command only reads", request.what);
        Err(WireError::Refused { host: self.host.clone(), why })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::time::Duration;

    use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
    use fleetwright_provider_k3s::hosts::{Ended, HostOp, Payload, render};

    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<String>>);

    #[async_trait]
    impl HostWire for Heard {
        async fn exec(&self, request: &Request) -> Result<Output, WireError> {
            self.0.lock().expect("the book").push(request.what.clone());
            Ok(Output::new(Ended::Exit(0), Vec::new(), Vec::new()))
        }
    }

    #[tokio::test]
    async fn looks_pass_and_nothing_else_leaves() {
        let heard = Arc::new(Heard::default());
        let wire = ReadingWire { host: "s1".into(), wire: heard.clone() };
        let owner = Owner {
            hub: HubId::new("ab").expect("a hub"),
            object: ObjectKey::namespaced("edge", "one"),
            uid: Uid::new("1a").expect("a uid"),
        };
        let token = HostOp::MintToken { valid: Duration::from_secs(60) };
        for op in [HostOp::ReadFacts, HostOp::ReadCluster, token] {
            assert!(wire.exec(&render(&op, &owner)).await.is_ok(), "{op}");
        }
        let other = Request {
            what: "uninstall".into(),
            script: "# fleetwright deed: uninstall {}\n# fleetwright deed: read-facts {}\n".into(),
            payload: Payload::Nothing,
            timeout: Duration::from_secs(1),
        };
        let [uninstall, sysctls] = [HostOp::Uninstall, HostOp::ApplySysctls];
        for request in [render(&uninstall, &owner), render(&sysctls, &owner), other] {
            let refused = wire.exec(&request).await.expect_err("a write");
            assert!(refused.to_string().contains("only reads"), "{refused}");
        }
        assert_eq!(heard.0.lock().expect("the book").len(), 3);
    }
}
