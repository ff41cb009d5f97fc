//! A member behind its hosts: an API server over TLS that only the provider's stream leads to.

use std::path::Path;

use async_trait::async_trait;
use fleetwright_api_types::{ArgoCdRegistration, Connection, ManagedCluster, ProviderConfig};
use fleetwright_apiserver::{
    ApiServer, Authority, ClusterSpec, Identity, MemoryStore, Scheme, StaticTokens, serve,
};
use fleetwright_clock::{Clock, Ids, RandomIds, SystemClock};
use fleetwright_controllers::members::{Connector as _, MemberWay};
use fleetwright_errclass::Class;
use fleetwright_names::{HubId, ObjectKey, PoolName};
use fleetwright_plan::{Change, CloudStep, DesiredCluster, Problem, Snapshot};
use fleetwright_provider::{Asked, CloudError, Limits, MemberToken, Owned, Receipt, Secret};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::real::{Inward, OverTls};

/// Leads to a port of this machine, to one who accepts and says nothing (port 0), or nowhere.
#[derive(Debug)]
struct Hosts(Option<u16>);

fn nowhere() -> CloudError {
    CloudError::new(Class::Transient, "Unreachable", "k3s:Dial", "no route to s1")
}

#[async_trait]
impl Provider for Hosts {
    fn key(&self) -> &'static str {
        "k3s"
    }
    fn limits(&self) -> Limits {
        let (poll_busy, poll_idle) = (Duration::from_secs(1), Duration::from_secs(60));
        Limits { poll_busy, poll_idle, in_doubt: Duration::from_secs(60) }
    }
    fn desire(&self, _: Asked<'_>) -> Result<DesiredCluster, Vec<Problem>> {
        Err(Vec::new())
    }
    fn address(&self, _: &ManagedCluster) -> Option<Address> {
        None
    }
    fn diff(&self, _: &DesiredCluster, _: &Snapshot) -> Vec<Change> {
        Vec::new()
    }
    async fn observe(&self, _: &Access, _: &Address, _: Option<&DesiredCluster>) -> Snapshot {
        Snapshot::absent()
    }
    async fn act(&self, _: &Access, _: &CloudStep) -> Result<Receipt, CloudError> {
        Err(nowhere())
    }
    async fn token(&self, _: &Access, _: &Address) -> Result<MemberToken, CloudError> {
        Err(nowhere())
    }
    async fn dial(&self, _: &Access, _: &Address) -> Result<Box<dyn MemberStream>, CloudError> {
        let port = self.0.ok_or_else(nowhere)?;
        if port == 0 {
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                let _open = theirs;
                std::future::pending::<()>().await;
            });
            return Ok(Box::new(ours));
        }
        let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|_gone| nowhere())?;
        Ok(Box::new(stream))
    }
    fn argocd(&self, _: &ProviderConfig, _: &ArgoCdRegistration, _: &Address) -> Value {
        Value::Null
    }
    fn node_selector(&self, _: &PoolName) -> String {
        String::new()
    }
    async fn list_owned(
        &self,
        _: &Access,
        _: &Address,
        _: &HubId,
    ) -> Result<Vec<Owned>, CloudError> {
        Ok(Vec::new())
    }
}

/// An API server that calls itself `name`; its port and its authority.
async fn api(folder: &Path, name: &str) -> (u16, String) {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn Ids> = Arc::new(RandomIds::seeded(1));
    let api = ApiServer::open(Arc::new(MemoryStore::new()), Arc::clone(&clock), ids).await;
    let api = api.expect("a server");
    let spec = ClusterSpec {
        name: "member".into(),
        scheme: Arc::new(Scheme::builtin()),
        authenticator: Arc::new(StaticTokens::new().with("t0ken", Identity::system("us"))),
        version: "v1.34.2+k3s1".into(),
    };
    api.add_cluster(spec).await.expect("a cluster");
    let authority = Authority::load_or_create(folder, clock.as_ref()).expect("an authority");
    let tls = authority.server_config(&[name.to_owned()], clock.as_ref()).expect("TLS");
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(serve(listener, tls, api.router("member"), std::future::pending()));
    (port, authority.ca_pem().to_owned())
}

fn member(endpoint: &str, authority: &str, port: Option<u16>) -> Member {
    let account = json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ProviderConfig",
        "metadata": {"name": "edge"}, "spec": {"ssh": {}},
    });
    Member {
        key: ObjectKey::namespaced("edge", "store-17"),
        address: Address {
            provider: "k3s",
            provider_config: "edge".into(),
            region: String::new(),
            external_name: "store-17".into(),
            site: String::new(),
        },
        connection: Connection {
            endpoint: endpoint.into(),
            certificate_authority: authority.into(),
            proxy_url: None,
        },
        way: MemberWay::Hosts,
        cloud: Arc::new(Hosts(port)),
        access: Access {
            account: Arc::new(serde_json::from_value(account).expect("an account")),
            hub: HubId::new("ab").expect("a hub"),
            namespace: "edge".into(),
            secret: None,
            own_secrets: [].into(),
        },
    }
}

async fn version(member: &Member, read_only: bool) -> Result<String, String> {
    let real = OverTls { inward: Inward::Refused, read_only };
    let client = real.connect(member, &Secret::new("t0ken".into())).expect("a client");
    match client.apiserver_version().await {
        Ok(info) => Ok(info.git_version),
        Err(error) => {
            let mut text = error.to_string();
            let mut at = std::error::Error::source(&error);
            while let Some(cause) = at {
                text = format!("{text}: {cause}");
                at = cause.source();
            }
            Err(text)
        }
    }
}

#[tokio::test]
async fn a_member_behind_its_hosts_is_reached_over_their_stream_and_proven_by_its_own_authority() {
    let folders = [tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("another")];
    let (port, authority) = api(folders[0].path(), "k3s-17.store.example").await;
    let (_, strange) = api(folders[1].path(), "k3s-17.store.example").await;
    let endpoint = "https://k3s-17.store.example:6443";
    for read_only in [false, true] {
        let reached = version(&member(endpoint, &authority, Some(port)), read_only).await;
        assert_eq!(reached.as_deref(), Ok("v1.34.2+k3s1"));
    }
    let told = version(&member(endpoint, &strange, Some(port)), false).await.expect_err("strange");
    assert!(told.contains("certificate"), "{told}");
    let other = "https://k3s-18.store.example:6443";
    let told = version(&member(other, &authority, Some(port)), false).await.expect_err("a name");
    assert!(told.contains("certificate"), "{told}");
    let told = version(&member(endpoint, &authority, None), false).await.expect_err("no host");
    assert!(told.contains("no route to s1"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn an_api_that_accepts_and_says_nothing_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, authority) = api(folder.path(), "k3s-17.store.example").await;
    let silent = member("https://k3s-17.store.example:6443", &authority, Some(0));
    let told = tokio::time::timeout(Duration::from_secs(120), version(&silent, false)).await;
    let told = told.expect("an end").expect_err("no answer");
    assert!(told.contains("deadline has elapsed"), "{told}");
}

#[tokio::test]
async fn through_hosts_an_endpoint_of_any_name_leads_to_the_hosts_and_nowhere_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let (port, authority) = api(folder.path(), "localhost").await;
    let here = member("https://localhost:1", &authority, Some(port));
    assert_eq!(version(&here, false).await.as_deref(), Ok("v1.34.2+k3s1"));
    let direct = Member { way: MemberWay::Direct, ..here };
    let real = OverTls { inward: Inward::Refused, read_only: false };
    let refused = real.connect(&direct, &Secret::new("t0ken".into()));
    assert!(refused.is_err_and(|refused| refused.message.contains("never on this machine")));
}
