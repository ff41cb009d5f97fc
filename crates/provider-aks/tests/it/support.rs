//! A declared cluster, and an Azure that answers as a test tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use fleetwright_api_types::{ManagedCluster, ProviderConfig};
use fleetwright_clock::Clock;
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_plan::{Address, CloudAction, CloudStep, DesiredCluster, Problem, Resource};
use fleetwright_provider::{
    Access, Asked, HttpOut, HttpOutError, Provider as _, Secret, conformance,
};
use fleetwright_provider_aks::{AksProvider, AksSettings, ClientSecret, DEFAULT_LIMITS, Source};
use http::{Request, Response};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::util::BoxCloneSyncService;

pub(crate) const SUBSCRIPTION: &str = "33333333-3333-4333-8333-333333333333";
pub(crate) const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
pub(crate) const CLIENT: &str = "1f3bd5e0-5a3b-4a52-8a2c-6d8a4f0e6a11";
/// Below the place of Resource Manager.
pub(crate) const CLUSTER: &str = "/subscriptions/33333333-3333-4333-8333-333333333333/resourceGroups/rg-retail/providers/Microsoft.ContainerService/managedClusters/retail-we";
pub(crate) const VERSION: &str = "?api-version=2026-03-01";

/// A clock that a test moves.
#[derive(Debug)]
pub(crate) struct Hand(Mutex<Timestamp>);

impl Hand {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new("2026-11-23T01:00:00Z".parse().expect("a time"))))
    }

    pub(crate) fn forward(&self, seconds: i64) {
        let mut now = self.0.lock().expect("the hand");
        *now = now.checked_add(jiff::SignedDuration::from_secs(seconds)).expect("a time");
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().expect("the hand")
    }
}

pub(crate) type Answer = Result<Response<Bytes>, HttpOutError>;

/// A request as it was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recorded {
    /// `GET /subscriptions/…`, below Resource Manager; whole for what goes elsewhere.
    pub(crate) line: String,
    /// All headers but the token, sorted.
    pub(crate) headers: BTreeMap<String, String>,
    /// The token.
    pub(crate) bearer: String,
    pub(crate) body: Value,
}

/// Everything that was sent to Resource Manager.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sent(pub(crate) Arc<Mutex<Vec<Recorded>>>);

impl Sent {
    pub(crate) fn all(&self) -> Vec<Recorded> {
        self.0.lock().expect("the log").clone()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.all().into_iter().map(|sent| sent.line).collect()
    }

    /// The last request.
    pub(crate) fn last(&self) -> Recorded {
        self.all().pop().expect("a request")
    }
}

/// The way out of a test: signs everybody in, and answers the rest by `answer`.
pub(crate) fn way_out(
    answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
) -> (HttpOut, Sent) {
    let sent = Sent::default();
    let log = sent.clone();
    let http = BoxCloneSyncService::new(tower::service_fn(move |request: Request<Bytes>| {
        let line = format!("{} {}", request.method(), request.uri());
        let line = line.replace("https://management.azure.com", "");
        if line.contains("/oauth2/v2.0/token") {
            return std::future::ready(answer(&line).or_else(|error| match error {
                HttpOutError::Forbidden(_) => Ok(token("token-1", 3600)),
                other => Err(other),
            }));
        }
        let mut headers: BTreeMap<String, String> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap_or("?").to_owned()))
            .collect();
        let bearer = headers.remove("authorization").unwrap_or_default();
        let body = serde_json::from_slice(request.body()).unwrap_or(Value::Null);
        log.0.lock().expect("the log").push(Recorded { line: line.clone(), headers, bearer, body });
        std::future::ready(answer(&line))
    }));
    (http, sent)
}

/// What Entra ID answers; the claims say whom the token is for.
pub(crate) fn token(signature: &str, seconds: i64) -> Response<Bytes> {
    let claims = json!({"appid": CLIENT, "oid": "5f1c", "tid": TENANT});
    let text = format!("e30.{}.{signature}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let body = json!({"token_type": "Bearer", "expires_in": seconds, "access_token": text});
    Response::new(Bytes::from(body.to_string()))
}

pub(crate) fn secret() -> ClientSecret {
    ClientSecret {
        tenant_id: TENANT.into(),
        client_id: CLIENT.into(),
        client_secret: Secret::new("hunter2".into()),
    }
}

pub(crate) fn settings(http: HttpOut, clock: &Arc<Hand>) -> AksSettings {
    AksSettings {
        http,
        credentials: Source::Fixed(secret()),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        endpoint: None,
        limits: DEFAULT_LIMITS,
    }
}

/// A provider whose Azure gives `answer` to each request, and what it was asked. Signing in works where `answer` forbids it.
pub(crate) fn answering(
    answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
) -> (AksProvider, Sent) {
    let (provider, sent, _) = answering_by(answer);
    (provider, sent)
}

/// As [`answering`], with the clock in the test's hand.
pub(crate) fn answering_by(
    answer: impl Fn(&str) -> Answer + Clone + Send + Sync + 'static,
) -> (AksProvider, Sent, Arc<Hand>) {
    let (http, sent) = way_out(move |line| {
        if line.contains("/oauth2/") {
            return Err(HttpOutError::Forbidden("sign in by default".into()));
        }
        answer(line)
    });
    let clock = Hand::new();
    (AksProvider::new(settings(http, &clock)), sent, clock)
}

/// The example's account, as the example's namespace uses it.
pub(crate) fn access() -> Access {
    access_to(account())
}

pub(crate) fn access_to(account: Value) -> Access {
    let account = serde_json::from_value(account).expect("a ProviderConfig");
    conformance::access(account, &owner().hub, "retail")
}

/// A provider that must not call anybody.
pub(crate) fn silent() -> AksProvider {
    answering(|_| Err(HttpOutError::Forbidden("a pure function sent a request".into()))).0
}

pub(crate) fn ok(body: &Value) -> Answer {
    Ok(Response::new(Bytes::from(body.to_string())))
}

/// An answer with a status and headers.
pub(crate) fn with(status: u16, headers: &[(&str, &str)], body: &Value) -> Answer {
    let mut answer = Response::builder().status(status);
    for (name, value) in headers {
        answer = answer.header(*name, *value);
    }
    let body = if body.is_null() { String::new() } else { body.to_string() };
    Ok(answer.body(Bytes::from(body)).expect("a response"))
}

pub(crate) fn refusal(status: u16, code: &str, message: &str) -> Answer {
    let body = json!({"error": {"code": code, "message": message}});
    with(status, &[("x-ms-request-id", "7f1c")], &body)
}

pub(crate) fn not_found() -> Answer {
    refusal(404, "ResourceNotFound", "The Resource 'managedClusters/retail-we' was not found.")
}

pub(crate) fn owner() -> Owner {
    Owner {
        hub: HubId::new("ab12").expect("a hub id"),
        object: ObjectKey::namespaced("retail", "retail-we"),
        uid: Uid::new("0001").expect("a uid"),
    }
}

/// The tags of `owner`, as Azure holds them.
pub(crate) fn tags_of(owner: &Owner) -> Value {
    let tags = owner.tags();
    let tags = tags.into_iter().map(|(key, value)| (key.replace('/', "_"), Value::from(value)));
    Value::Object(tags.collect())
}

/// The tags of the example's cluster, as Azure holds them.
pub(crate) fn tags() -> Value {
    let mut tags = tags_of(&owner());
    tags["team"] = json!("retail");
    tags
}

/// The tags of the example's pool `web`, as Azure holds them.
pub(crate) fn pool_tags() -> Value {
    let mut tags = tags();
    tags["fleetwright.dev_pool"] = json!("web");
    tags
}

pub(crate) fn cluster() -> Value {
    json!({
        "apiVersion": "fleetwright.dev/v1alpha1",
        "kind": "ManagedCluster",
        "metadata": {"name": "retail-we", "namespace": "retail", "generation": 3},
        "spec": {
            "version": "1.34",
            "providerConfigRef": {"name": "azure-retail"},
            "aks": {
                "subscriptionId": SUBSCRIPTION,
                "resourceGroup": "rg-retail",
                "location": "westeurope",
                "externalName": "retail-we",
                "tier": "Standard",
                "entra": {"localAccounts": "Disabled", "workloadIdentity": "Enabled"},
                "network": {"plugin": "Azure", "pluginMode": "Overlay", "dataplane": "Cilium", "policy": "Cilium"}
            },
            "nodePools": [
                {
                    "name": "system", "role": "System", "size": {"min": 3, "max": 3},
                    "aks": {"vmSize": "Standard_D4ds_v5", "zones": ["1", "2", "3"], "osSku": "AzureLinux"}
                },
                {
                    "name": "web", "size": {"min": 2, "max": 10, "initial": 3},
                    "labels": {"workload": "web"},
                    "aks": {"vmSize": "Standard_D8ds_v5", "osSku": "AzureLinux"}
                }
            ]
        }
    })
}

pub(crate) fn account() -> Value {
    json!({
        "metadata": {"name": "azure-retail"},
        "spec": {
            "defaultTags": {"team": "retail"},
            "azure": {"identity": {"type": "WorkloadIdentity"}}
        }
    })
}

pub(crate) fn address() -> Address {
    Address {
        provider: "aks",
        provider_config: "azure-retail".into(),
        region: "westeurope".into(),
        external_name: format!("{SUBSCRIPTION}/rg-retail/retail-we"),
        site: String::new(),
    }
}

/// A step of generation 3 of the example.
pub(crate) fn step(resource: Resource, action: CloudAction) -> CloudStep {
    CloudStep::new(address(), resource, (owner(), 3), action, "")
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

/// The example as Azure tells it.
pub(crate) fn told_cluster() -> Value {
    json!({
        "id": CLUSTER.replace("resourceGroups", "resourcegroups"),
        "name": "retail-we",
        "type": "Microsoft.ContainerService/ManagedClusters",
        "location": "westeurope",
        "tags": tags(),
        "eTag": "c-1",
        "sku": {"name": "Base", "tier": "Standard"},
        "identity": {"type": "SystemAssigned", "principalId": "p", "tenantId": TENANT},
        "properties": {
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "kubernetesVersion": "1.34",
            "currentKubernetesVersion": "1.34.2",
            "dnsPrefix": "retail-we",
            "fqdn": "retail-we-x1.hcp.westeurope.azmk8s.io",
            "agentPoolProfiles": [told_profile("system", 3), told_profile("web", 4)],
            "nodeResourceGroup": "MC_rg-retail_retail-we_westeurope",
            "enableRBAC": true,
            "networkProfile": {
                "networkPlugin": "azure", "networkPluginMode": "overlay",
                "networkPolicy": "cilium", "networkDataplane": "cilium",
                "podCidr": "10.244.0.0/16", "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.10"
            },
            "aadProfile": {"managed": true, "enableAzureRBAC": false, "tenantID": TENANT},
            "disableLocalAccounts": true,
            "oidcIssuerProfile": {"enabled": true, "issuerURL": "https://westeurope.oic.prod-aks.azure.com/x/y/"},
            "securityProfile": {"workloadIdentity": {"enabled": true}},
            "fromTomorrow": {"kept": true}
        }
    })
}

fn told_profile(name: &str, count: i32) -> Value {
    let mut profile = told_pool(name, count)["properties"].clone();
    profile["name"] = json!(name);
    profile
}

/// A pool of the example as Azure tells it.
pub(crate) fn told_pool(name: &str, count: i32) -> Value {
    let mut tags = tags();
    tags["fleetwright.dev_pool"] = json!(name);
    json!({
        "id": format!("{CLUSTER}/agentPools/{name}"),
        "name": name,
        "type": "Microsoft.ContainerService/managedClusters/agentPools",
        "properties": {
            "eTag": format!("{name}-1"),
            "provisioningState": "Succeeded",
            "powerState": {"code": "Running"},
            "count": count,
            "vmSize": "Standard_D8ds_v5",
            "mode": if name == "system" { "System" } else { "User" },
            "osType": "Linux",
            "osSKU": "AzureLinux",
            "orchestratorVersion": "1.34",
            "currentOrchestratorVersion": "1.34.2",
            "nodeImageVersion": "AKSAzureLinux-V3gen2-202611.01.0",
            "enableAutoScaling": name != "system",
            "tags": tags,
            "fromTomorrow": 1
        }
    })
}

/// A kubeconfig for users, as `listClusterUserCredential` gives it.
pub(crate) fn kubeconfig(token: Option<&str>) -> Value {
    let user = token.map_or_else(|| json!({"exec": {}}), |token| json!({"token": token}));
    let config = json!({
        "apiVersion": "v1", "kind": "Config",
        "clusters": [{"name": "retail-we", "cluster": {
            "server": "https://retail-we-x1.hcp.westeurope.azmk8s.io:443",
            "certificate-authority-data": STANDARD.encode("-----BEGIN CERTIFICATE-----\n"),
        }}],
        "users": [{"name": "u", "user": user}],
    });
    json!({"kubeconfigs": [{"name": "clusterUser", "value": STANDARD.encode(config.to_string())}]})
}

/// The example's whole Azure: what a look reads.
pub(crate) fn azure(line: &str) -> Answer {
    let path = line.split(['?']).next().unwrap_or_default();
    match path.strip_prefix("GET ").or(path.strip_prefix("POST ")).map(|p| p.replace(CLUSTER, "")) {
        Some(rest) if rest.is_empty() => ok(&told_cluster()),
        Some(rest) if rest == "/agentPools" => {
            ok(&json!({"value": [told_pool("system", 3), told_pool("web", 4)]}))
        }
        Some(rest) if rest == "/agentPools/web" => ok(&told_pool("web", 4)),
        Some(rest) if rest == "/maintenanceConfigurations" => ok(&json!({"value": []})),
        Some(rest) if rest == "/listClusterUserCredential" => ok(&kubeconfig(None)),
        _ => not_found(),
    }
}
