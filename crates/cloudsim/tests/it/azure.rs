//! The simulated Azure over plain HTTP.

#[path = "azure/client.rs"]
mod client;
#[path = "azure/credentials.rs"]
mod credentials;
#[path = "azure/faults.rs"]
mod faults;
#[path = "azure/lifecycle.rs"]
mod lifecycle;
#[path = "azure/pools.rs"]
mod pools;
#[path = "azure/refusals.rs"]
mod refusals;

use bytes::Bytes;
use fleetwright_cloudsim::{
    AZURE_CLIENT_ID, AZURE_CLIENT_SECRET, AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID,
};
use http::{Request, Response};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{World, pass};

pub(crate) const SHOP: &str =
    "/resourceGroups/retail/providers/Microsoft.ContainerService/managedClusters/shop";
pub(crate) const SHOP_NAME: &str = "33333333-3333-4333-8333-333333333333/retail/shop";
const AKS_SCOPE: &str = "6dae42f8-4368-4678-94ff-3960e28e3630/.default";
const ARM_SCOPE: &str = "https://management.azure.com/.default";

/// An answer of Azure.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
    pub(crate) headers: http::HeaderMap,
}

impl Said {
    /// `409 OperationNotAllowed: …`, in either form of errors.
    pub(crate) fn line(&self) -> String {
        let error = if self.body["error"].is_object() { &self.body["error"] } else { &self.body };
        let text = |field: &str| error[field].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", self.status, text("code"), text("message"))
    }

    pub(crate) fn header(&self, name: &str) -> String {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text")).to_owned()
    }
}

/// A request with headers of its own.
pub(crate) struct Ask<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: String,
    pub(crate) body: Option<Value>,
    pub(crate) headers: Vec<(&'a str, String)>,
}

impl World {
    /// What Entra says to a request for a token.
    pub(crate) async fn token_for(&self, tenant: &str, secret: &str, scope: &str) -> Said {
        let form = format!(
            "grant_type=client_credentials&client_id={AZURE_CLIENT_ID}&client_secret={secret}&scope={scope}"
        );
        let request = Request::post(format!(
            "https://azure.simulated/cloud/azure/{tenant}/oauth2/v2.0/token"
        ))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(Bytes::from(form));
        self.azure_send(request.expect("a request")).await
    }

    pub(crate) async fn bearer(&self, scope: &str) -> String {
        let said = self.token_for(AZURE_TENANT_ID, AZURE_CLIENT_SECRET, scope).await;
        said.body["access_token"].as_str().expect("a token").to_owned()
    }

    pub(crate) async fn azure_send(&self, request: Request<Bytes>) -> Said {
        let answered: Response<Bytes> =
            self.sim.azure().oneshot(request).await.expect("infallible");
        let (parts, body) = answered.into_parts();
        assert_eq!(parts.headers["x-ms-request-id"].len(), 36, "no request id");
        let body = if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).expect("JSON")
        };
        Said { status: parts.status.as_u16(), body, headers: parts.headers }
    }

    pub(crate) async fn ask(&self, ask: Ask<'_>) -> Said {
        let Ask { method, path, body, headers } = ask;
        let mut request = Request::builder().method(method).uri(&path);
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            let token = self.bearer(ARM_SCOPE).await;
            request = request.header("authorization", format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        self.azure_send(request.body(Bytes::from(body)).expect("a request")).await
    }

    /// A call of the Resource Manager in the one subscription.
    pub(crate) async fn arm(&self, method: &str, path: &str, body: Option<Value>) -> Said {
        self.ask(Ask { method, path: arm_url(path), body, headers: Vec::new() }).await
    }

    pub(crate) async fn arm_ok(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let said = self.arm(method, path, body).await;
        assert!(said.status < 300, "{method} {path}: {}", said.line());
        said.body
    }

    pub(crate) async fn arm_said(&self, method: &str, path: &str, body: Option<Value>) -> String {
        self.arm(method, path, body).await.line()
    }

    /// How the operation that an answer began is by now.
    pub(crate) async fn operation(&self, begun: &Said) -> Value {
        let path = begun.header("azure-asyncoperation");
        let said = self.ask(Ask { method: "GET", path, body: None, headers: Vec::new() }).await;
        assert_eq!(said.status, 200, "{}", said.line());
        said.body
    }

    /// A change, followed to its end.
    pub(crate) async fn arm_done(&self, method: &str, path: &str, body: Option<Value>) -> Value {
        let begun = self.arm(method, path, body).await;
        assert!(begun.status < 300, "{method} {path}: {}", begun.line());
        pass(12).await;
        self.operation(&begun).await
    }

    /// A cluster `shop` in group `retail` with a System pool `sys` of two.
    pub(crate) async fn with_aks(self) -> Self {
        let done = self.arm_done("PUT", SHOP, Some(aks())).await;
        assert_eq!(done["status"], "Succeeded", "{done}");
        self
    }
}

pub(crate) fn arm_url(path: &str) -> String {
    let join = if path.contains('?') { '&' } else { '?' };
    format!(
        "https://azure.simulated/cloud/azure/subscriptions/{AZURE_SUBSCRIPTION_ID}{path}{join}api-version=2026-03-01"
    )
}

pub(crate) fn aks() -> Value {
    json!({
        "location": "West Europe",
        "tags": { "fleetwright.dev_uid": "abc" },
        "identity": { "type": "SystemAssigned" },
        "properties": {
            "kubernetesVersion": "1.33",
            "dnsPrefix": "shop",
            "agentPoolProfiles": [{
                "name": "sys", "mode": "System", "count": 2, "vmSize": "Standard_D2s_v5",
                "availabilityZones": ["1", "2", "3"], "tags": { "fleetwright.dev_pool": "system" },
            }],
            "networkProfile": { "networkPlugin": "Azure", "networkPluginMode": "Overlay" },
        },
    })
}

pub(crate) fn web() -> Value {
    json!({ "properties": {
        "mode": "User", "count": 1, "vmSize": "Standard_D4s_v5",
        "nodeLabels": { "team": "web" }, "nodeTaints": ["gpu=yes:NoSchedule"],
        "tags": { "fleetwright.dev_pool": "front" },
    } })
}
