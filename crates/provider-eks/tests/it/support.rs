//! A declared cluster, and an EKS that answers as a test tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use bytes::Bytes;
use fleetwright_api_types::{ManagedCluster, ProviderConfig};
use fleetwright_clock::Clock;
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_plan::{DesiredCluster, Problem};
use fleetwright_provider::{Access, Asked, HttpOut, HttpOutError, Provider as _, conformance};
use fleetwright_provider_eks::{DEFAULT_LIMITS, EksProvider, EksSettings, Source};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

/// A clock that stands still.
#[derive(Debug)]
pub(crate) struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        "2026-11-22T18:00:00Z".parse().expect("a time")
    }
}

pub(crate) type Answer = Result<Response<Bytes>, HttpOutError>;

/// What was sent: `GET /clusters/x` and the body.
pub(crate) type Sent = Arc<Mutex<Vec<(String, Value)>>>;

pub(crate) fn credentials() -> SharedCredentialsProvider {
    SharedCredentialsProvider::new(Credentials::new("AKIDEXAMPLE", "secret", None, None, "test"))
}

pub(crate) fn settings(http: HttpOut, credentials: SharedCredentialsProvider) -> EksSettings {
    EksSettings {
        http,
        credentials: Source::Fixed(credentials),
        clock: Arc::new(Fixed),
        endpoint: None,
        limits: DEFAULT_LIMITS,
    }
}

/// A provider whose EKS gives `answer` to each request, and what it was asked.
pub(crate) fn answering(
    answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
) -> (EksProvider, Sent) {
    let sent = Sent::default();
    let log = Arc::clone(&sent);
    let http = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let line = format!("{} {}", request.method(), request.uri());
        let line = line.replace("https://eks.eu-west-1.amazonaws.com", "");
        if line.contains("//sts.") {
            return std::future::ready(identity(&answer(&line)));
        }
        let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        log.lock().expect("the log").push((line.clone(), body));
        std::future::ready(answer(&line))
    }));
    (EksProvider::new(settings(http, credentials())), sent)
}

/// Who the test is to STS; a way that is down is down for STS too.
fn identity(answer: &Answer) -> Answer {
    if let Err(error) = answer {
        return Err(error.clone());
    }
    let body = "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
        <Arn>arn:aws:iam::111122223333:user/test</Arn><UserId>AIDA</UserId><Account>111122223333</Account>\
        </GetCallerIdentityResult><ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></GetCallerIdentityResponse>";
    Ok(Response::new(Bytes::from_static(body.as_bytes())))
}

/// The example's account, as the example's namespace uses it.
pub(crate) fn access() -> Access {
    access_to(account())
}

pub(crate) fn access_to(account: Value) -> Access {
    let account = serde_json::from_value(account).expect("a ProviderConfig");
    conformance::access(account, &owner().hub, "payments")
}

/// A provider that must not call anybody.
pub(crate) fn silent() -> EksProvider {
    answering(|_| Err(HttpOutError::Forbidden("a pure function sent a request".into()))).0
}

pub(crate) fn ok(body: &Value) -> Answer {
    Ok(Response::new(Bytes::from(body.to_string())))
}

pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    Ok(Response::builder()
        .status(status)
        .header("x-amzn-errortype", code)
        .header("x-amzn-requestid", "7f1c")
        .body(Bytes::from(json!({"message": message}).to_string()))
        .expect("a response"))
}

pub(crate) fn owner() -> Owner {
    Owner {
        hub: HubId::new("ab12").expect("a hub id"),
        object: ObjectKey::namespaced("payments", "payments-eu"),
        uid: Uid::new("0001").expect("a uid"),
    }
}

/// The tags of [`owner`] beside those declared.
pub(crate) fn tags() -> BTreeMap<String, String> {
    let mut tags = owner().tags();
    tags.insert("team".into(), "payments".into());
    tags
}

pub(crate) fn cluster() -> Value {
    json!({
        "apiVersion": "fleetwright.dev/v1alpha1",
        "kind": "ManagedCluster",
        "metadata": {"name": "payments-eu", "namespace": "payments", "generation": 3},
        "spec": {
            "version": "1.34",
            "providerConfigRef": {"name": "aws-payments"},
            "eks": {
                "region": "eu-west-1",
                "externalName": "payments-eu-01",
                "roleArn": "arn:aws:iam::111122223333:role/eks-control-plane",
                "network": {"subnetIds": ["subnet-0b", "subnet-0a"]}
            },
            "nodePools": [{
                "name": "general",
                "size": {"min": 3, "max": 12, "initial": 4},
                "labels": {"workload": "general"},
                "eks": {
                    "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
                    "amiType": "AL2023_ARM_64_STANDARD",
                    "roleArn": "arn:aws:iam::111122223333:role/nodes"
                }
            }]
        }
    })
}

pub(crate) fn account() -> Value {
    json!({
        "metadata": {"name": "aws-payments"},
        "spec": {
            "defaultTags": {"team": "payments"},
            "aws": {"identity": {"type": "Environment"}}
        }
    })
}

pub(crate) fn parsed(cluster: Value) -> ManagedCluster {
    serde_json::from_value(cluster).expect("a ManagedCluster")
}

pub(crate) fn desire(cluster: Value, account: Value) -> Result<DesiredCluster, Vec<Problem>> {
    let account: ProviderConfig = serde_json::from_value(account).expect("a ProviderConfig");
    let (cluster, owner) = (parsed(cluster), owner());
    silent().desire(Asked { cluster: &cluster, account: &account, owner: &owner })
}

/// The example, which has no problems.
pub(crate) fn desired() -> DesiredCluster {
    desire(cluster(), account()).expect("no problems")
}

/// The example as `DescribeCluster` tells it.
pub(crate) fn described_cluster() -> Value {
    json!({"cluster": {
        "name": "payments-eu-01",
        "arn": "arn:aws:eks:eu-west-1:111122223333:cluster/payments-eu-01",
        "version": "1.34",
        "platformVersion": "eks.12",
        "status": "ACTIVE",
        "endpoint": "https://ABC.gr7.eu-west-1.eks.amazonaws.com",
        "roleArn": "arn:aws:iam::111122223333:role/eks-control-plane",
        "resourcesVpcConfig": {
            "subnetIds": ["subnet-0a", "subnet-0b"],
            "securityGroupIds": [],
            "clusterSecurityGroupId": "sg-made-by-eks",
            "endpointPublicAccess": true,
            "endpointPrivateAccess": false,
            "publicAccessCidrs": ["0.0.0.0/0"]
        },
        "accessConfig": {"authenticationMode": "API"},
        "upgradePolicy": {"supportType": "EXTENDED"},
        "logging": {"clusterLogging": [{"enabled": false, "types": ["api", "audit", "authenticator", "controllerManager", "scheduler"]}]},
        "kubernetesNetworkConfig": {"serviceIpv4Cidr": "172.20.0.0/16", "ipFamily": "ipv4", "elasticLoadBalancing": {"enabled": false}},
        "certificateAuthority": {"data": "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="},
        "identity": {"oidc": {"issuer": "https://oidc.eks.eu-west-1.amazonaws.com/id/ABC"}},
        "tags": tags()
    }})
}

/// The tags of the example's pool.
pub(crate) fn pool_tags() -> BTreeMap<String, String> {
    let mut tags = tags();
    tags.insert("fleetwright.dev/pool".into(), "general".into());
    tags
}

/// The example's pool as `DescribeNodegroup` tells it.
pub(crate) fn described_pool() -> Value {
    json!({"nodegroup": {
        "nodegroupName": "general",
        "nodegroupArn": "arn:aws:eks:eu-west-1:111122223333:nodegroup/payments-eu-01/general/1",
        "status": "ACTIVE",
        "version": "1.34",
        "releaseVersion": "1.34.1-20261101",
        "capacityType": "ON_DEMAND",
        "scalingConfig": {"minSize": 3, "maxSize": 12, "desiredSize": 7},
        "subnets": ["subnet-0a", "subnet-0b"],
        "instanceTypes": ["m7g.xlarge", "m6g.xlarge"],
        "amiType": "AL2023_ARM_64_STANDARD",
        "nodeRole": "arn:aws:iam::111122223333:role/nodes",
        "labels": {"workload": "general", "eks.amazonaws.com/added": "by-aws"},
        "tags": pool_tags()
    }})
}
