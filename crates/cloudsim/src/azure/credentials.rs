//! Credentials of clusters: kubeconfigs as AKS writes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use serde_json::json;

use super::Call;
use super::answer::{Answer, AzureError};
use super::entra::AKS_APP;
use super::route::Op;
use super::state::AksCluster;
use crate::{AZURE_TENANT_ID, Shared};

impl Shared {
    pub(super) async fn aks_credentials(&self, call: &Call<'_>) -> Result<Answer, AzureError> {
        let cluster = self.aks(call).await?;
        if !cluster.made {
            return Err(AzureError::aks(
                StatusCode::CONFLICT,
                "OperationNotAllowed",
                format!(
                    "Cluster {} has no credentials yet: it is {}.",
                    cluster.name,
                    cluster.state()
                ),
            ));
        }
        let format = call.parameter("format");
        let known = [None, Some("exec"), Some("azure")];
        if !known.contains(&format.as_deref()) {
            return Err(AzureError::parameter("format", "must be exec or azure"));
        }
        let admin = call.route.op == Op::AdminCredentials;
        if admin && !cluster.has_local_accounts() {
            return Err(AzureError::bad(
                "BadRequest",
                "Getting static credential is not allowed because this cluster is set to disable local accounts.",
            ));
        }
        let (name, user) = match (admin, cluster.has_entra()) {
            (true, _) => ("clusterAdmin", local(&cluster, "admin")),
            (false, false) => ("clusterUser", local(&cluster, "user")),
            (false, true) if format.as_deref() == Some("exec") => ("clusterUser", kubelogin()),
            (false, true) => ("clusterUser", plugin()),
        };
        let text = self.kubeconfig(&cluster, name, &user);
        let kubeconfig = json!({ "name": name, "value": STANDARD.encode(text) });
        Ok(Answer::ok(json!({ "kubeconfigs": [kubeconfig] })))
    }

    fn kubeconfig(&self, cluster: &AksCluster, kind: &str, user: &str) -> String {
        let AksCluster { group, name, .. } = cluster;
        let url = self.settings.public_url.trim_end_matches('/');
        let authority = STANDARD.encode(&self.settings.ca_pem);
        let id = cluster.key.member_id();
        let account = format!("{kind}_{group}_{name}");
        format!(
            "apiVersion: v1\nclusters:\n- cluster:\n    certificate-authority-data: {authority}\n    server: \
             {url}/clusters/{id}\n  name: {name}\ncontexts:\n- context:\n    cluster: {name}\n    user: {account}\n  \
             name: {name}\ncurrent-context: {name}\nkind: Config\npreferences: {{}}\nusers:\n- name: {account}\n  \
             user:\n{user}"
        )
    }
}

/// Opens the cluster by itself.
fn local(cluster: &AksCluster, who: &str) -> String {
    format!("    token: {}\n", cluster.local_token(who))
}

/// Needs a program that gets a token from Entra.
fn kubelogin() -> String {
    format!(
        "    exec:\n      apiVersion: client.authentication.k8s.io/v1beta1\n      args:\n      - get-token\n      - \
         --environment\n      - AzurePublicCloud\n      - --server-id\n      - {AKS_APP}\n      - --client-id\n      - \
         80faf920-1908-4b52-b5ef-a8e7bedfc67a\n      - --tenant-id\n      - {AZURE_TENANT_ID}\n      - --login\n      \
         - devicecode\n      command: kubelogin\n      env: null\n      provideClusterInfo: false\n"
    )
}

/// The form of old clients.
fn plugin() -> String {
    format!(
        "    auth-provider:\n      config:\n        apiserver-id: {AKS_APP}\n        client-id: \
         80faf920-1908-4b52-b5ef-a8e7bedfc67a\n        config-mode: '1'\n        environment: AzurePublicCloud\n        \
         tenant-id: {AZURE_TENANT_ID}\n      name: azure\n"
    )
}
