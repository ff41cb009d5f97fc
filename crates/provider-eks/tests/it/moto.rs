//! The same provider against somebody else's EKS, moto, as far as that has the operations. Run by `cargo xtask moto`.

use bytes::Bytes;
use fleetwright_names::PoolName;
use fleetwright_plan::{
    Change, ChangeKind, CloudAction, CloudStep, DesiredCluster, Phase, Resource,
};
use fleetwright_provider::{HttpOut, HttpOutError, Provider as _};
use fleetwright_provider_eks::{EksProvider, EksSettings};
use http::{Request, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tower::util::BoxCloneSyncService;

use crate::support::{access, account, cluster, credentials, desire, owner, settings};

/// Where moto's server listens, for example `127.0.0.1:5000`.
const VARIABLE: &str = "FLEETWRIGHT_MOTO";

/// One request a connection, as HTTP/1.0 does it.
async fn send(to: &str, request: Request<Bytes>) -> std::io::Result<Response<Bytes>> {
    let mut stream = TcpStream::connect(to).await?;
    let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let mut head = format!("{} {path} HTTP/1.0\r\n", request.method());
    for (name, value) in request.headers() {
        head.push_str(&format!("{name}: {}\r\n", value.to_str().expect("a text")));
    }
    if !request.headers().contains_key("host") {
        head.push_str(&format!("host: {to}\r\n"));
    }
    if !request.headers().contains_key("content-length") {
        head.push_str(&format!("content-length: {}\r\n", request.body().len()));
    }
    stream.write_all(format!("{head}\r\n").as_bytes()).await?;
    stream.write_all(request.body()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head");
    let head = String::from_utf8_lossy(&answer[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status");
    let mut response = Response::builder().status(status);
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        response = response.header(name, value);
    }
    // moto makes up a certificate authority that is not base64, which no real answer does.
    let mut body = answer[end + 4..].to_vec();
    if let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(&body)
        && let Some(data) = value.pointer_mut("/cluster/certificateAuthority/data")
    {
        *data = json!("LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg==");
        body = value.to_string().into_bytes();
    }
    let mut response = response.body(Bytes::from(body)).expect("a response");
    response.headers_mut().remove("content-length");
    Ok(response)
}

fn provider(address: &str) -> EksProvider {
    let to = address.to_owned();
    let http: HttpOut =
        BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
            let to = to.clone();
            async move {
                send(&to, request).await.map_err(|error| HttpOutError::Connect(error.to_string()))
            }
        }));
    let endpoint = Some(format!("http://{address}"));
    EksProvider::new(EksSettings { endpoint, ..settings(http, credentials()) })
}

/// The updates that moto 5.2 keeps. It forgets an endpoint's ranges, and knows no tags of a node group after its birth.
const TAKES: [&str; 2] = ["control plane tags", "pool general config"];

fn told(change: &Change) -> String {
    match &change.kind {
        ChangeKind::Update(update) => format!("{} {}", change.resource, update.what),
        _ => change.resource.to_string(),
    }
}

struct Trial {
    eks: EksProvider,
    desired: DesiredCluster,
}

impl Trial {
    async fn act(&self, resource: Resource, action: CloudAction) {
        let told = format!("{} {resource}", action.verb());
        let address = self.desired.address.clone();
        let step = CloudStep::new(address, resource, (owner(), 3), action, "");
        let done = self.eks.act(&access(), &step).await;
        let receipt = done.map_err(|error| format!("{told}: {error}")).expect("moto takes it");
        assert!(!receipt.calls.is_empty(), "{told} changed nothing");
    }

    async fn changes(&self) -> Vec<Change> {
        let address = &self.desired.address;
        let seen = self.eks.observe(&access(), address, Some(&self.desired)).await;
        self.eks.diff(&self.desired, &seen)
    }
}

#[tokio::test]
#[ignore = "needs moto's server: cargo xtask moto"]
async fn what_moto_has_it_takes_from_us() {
    let to = std::env::var(VARIABLE).expect("cargo xtask moto sets it");
    let mut declared = cluster();
    declared["spec"]["eks"]["network"]["endpoint"] =
        json!({"access": "PublicAndPrivate", "publicCidrs": ["203.0.113.0/24"]});
    let desired = desire(declared.clone(), account()).expect("no problems");
    let mut trial = Trial { eks: provider(&to), desired };
    let general = Resource::Pool(PoolName::new("general").expect("a name"));

    let create = |body: &serde_json::Value| CloudAction::Create { body: body.clone() };
    trial.act(Resource::Cluster, create(&trial.desired.body)).await;
    trial.act(general.clone(), create(&trial.desired.pools[0].body)).await;
    let seen = trial.eks.observe(&access(), &trial.desired.address, None).await;
    assert_eq!(
        seen.cluster.present().map(|cluster| cluster.phase),
        Some(Phase::Active),
        "{seen:?}"
    );
    let name = PoolName::new("general").expect("a name");
    let pool = seen.pools.get(&name).and_then(|pool| pool.present()).expect("the pool is there");
    assert_eq!((pool.phase, pool.size), (Phase::Active, 4));

    declared["spec"]["nodePools"][0]["size"]["max"] = json!(16);
    declared["spec"]["tags"] = json!({"cost-center": "4711"});
    trial.desired = desire(declared, account()).expect("no problems");
    let mut kinds = Vec::new();
    for change in trial.changes().await {
        let told = told(&change);
        if let (true, ChangeKind::Update(update)) = (TAKES.contains(&told.as_str()), change.kind) {
            kinds.push(told);
            trial.act(change.resource, CloudAction::Update(update)).await;
        }
    }
    assert_eq!(kinds, TAKES);
    let left: Vec<String> = trial.changes().await.iter().map(told).collect();
    assert!(!left.iter().any(|told| TAKES.contains(&told.as_str())), "{left:?}");

    trial.act(general, CloudAction::Delete).await;
    trial.act(Resource::Cluster, CloudAction::Delete).await;
    let seen = trial.eks.observe(&access(), &trial.desired.address, None).await;
    assert!(seen.cluster.present().is_none(), "gone");
}
