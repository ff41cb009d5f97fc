//! How an Argo CD signs in to an AKS cluster by itself.

use fleetwright_api_types::{ArgoCdRegistration, AzureCloud, ProviderConfig};
use serde_json::{Value, json};

/// Argo CD's declarative setup, "AKS": its own `argocd-k8s-auth azure` is the exec plugin, which knows AKS's application
/// in Entra ID. What is not here comes from Argo CD's environment, as Azure's workload identity webhook sets it.
pub(crate) fn config(account: &ProviderConfig, wanted: &ArgoCdRegistration) -> Value {
    let azure = account.spec.azure.as_ref();
    // Names of go-autorest's environments, which kubelogin takes.
    let environment = match azure.and_then(|azure| azure.cloud) {
        None | Some(AzureCloud::Public) => "AzurePublicCloud",
        Some(AzureCloud::China) => "AzureChinaCloud",
        Some(AzureCloud::UsGovernment) => "AzureUSGovernmentCloud",
    };
    let mut env = json!({
        "AAD_ENVIRONMENT_NAME": environment,
        "AAD_LOGIN_METHOD": "workloadidentity",
    });
    if let Some(client) = &wanted.azure_client_id {
        env["AZURE_CLIENT_ID"] = json!(client);
    }
    if let Some(tenant) = azure.and_then(|azure| azure.identity.tenant_id.as_ref()) {
        env["AZURE_TENANT_ID"] = json!(tenant);
    }
    json!({
        "execProviderConfig": {
            "command": "argocd-k8s-auth",
            "args": ["azure"],
            "apiVersion": "client.authentication.k8s.io/v1beta1",
            "env": env,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(azure: Value) -> ProviderConfig {
        let account = json!({"metadata": {"name": "a"}, "spec": {"azure": azure}});
        serde_json::from_value(account).expect("a ProviderConfig")
    }

    #[test]
    fn argo_cd_signs_in_by_itself() {
        let of = account(json!({"identity": {"type": "WorkloadIdentity"}}));
        let exec = |env: Value| {
            json!({"execProviderConfig": {
                "command": "argocd-k8s-auth", "args": ["azure"],
                "apiVersion": "client.authentication.k8s.io/v1beta1", "env": env
            }})
        };
        let env = json!({
            "AAD_ENVIRONMENT_NAME": "AzurePublicCloud", "AAD_LOGIN_METHOD": "workloadidentity"
        });
        assert_eq!(config(&of, &ArgoCdRegistration::default()), exec(env));
        let of = account(json!({
            "cloud": "China", "identity": {"type": "ManagedIdentity", "tenantId": "t"}
        }));
        let client = "1f3bd5e0-5a3b-4a52-8a2c-6d8a4f0e6a11".to_owned();
        let wanted = ArgoCdRegistration { azure_client_id: Some(client), ..Default::default() };
        let env = json!({
            "AAD_ENVIRONMENT_NAME": "AzureChinaCloud", "AAD_LOGIN_METHOD": "workloadidentity",
            "AZURE_CLIENT_ID": "1f3bd5e0-5a3b-4a52-8a2c-6d8a4f0e6a11", "AZURE_TENANT_ID": "t"
        });
        assert_eq!(config(&of, &wanted), exec(env));
    }
}
