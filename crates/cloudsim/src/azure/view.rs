//! Resources as `GET` gives them.

use serde_json::{Value, json};

use super::state::{AksCluster, AksPool, Outcome, error, uuid};
use super::versions;
use crate::state::digest_hex;
use crate::{AZURE_SUBSCRIPTION_ID, AZURE_TENANT_ID};

impl AksCluster {
    /// The whole cluster.
    pub(super) fn view(&self) -> Value {
        let mut view = self.document.clone();
        view["id"] = json!(self.id());
        view["name"] = json!(self.name);
        view["type"] = json!("Microsoft.ContainerService/ManagedClusters");
        view["location"] = json!(self.location);
        view["eTag"] = json!(self.etag());
        let created = self.created_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        view["systemData"] = json!({ "createdByType": "Application", "createdAt": created });
        self.show_identity(&mut view);
        let state = self.state();
        let properties = &mut view["properties"];
        properties["provisioningState"] = json!(state);
        properties["powerState"] = json!({ "code": "Running" });
        properties["currentKubernetesVersion"] = json!(self.running);
        properties["maxAgentPools"] = json!(100);
        properties["resourceUID"] = json!(digest_hex(&self.uid, 24));
        let pools = self.pools.iter().map(|(name, pool)| {
            let mut profile = self.pool_properties(name, pool);
            profile["name"] = json!(name);
            profile
        });
        properties["agentPoolProfiles"] = pools.collect();
        if state == "Failed"
            && let Outcome::Failed(trouble) = &self.outcome
        {
            properties["status"] = json!({ "provisioningError": error(trouble) });
        }
        if let Some(addons) = properties["addonProfiles"].as_object_mut() {
            for addon in addons.values_mut() {
                // As AKS does: what has no settings says so.
                if let Some(addon) = addon.as_object_mut() {
                    addon.entry("config").or_insert(Value::Null);
                }
            }
        }
        self.show_reachable(properties);
        view
    }

    fn show_identity(&self, view: &mut Value) {
        match view["identity"]["type"].as_str() {
            Some("SystemAssigned") => {
                view["identity"]["principalId"] = json!(self.guid("principal"));
                view["identity"]["tenantId"] = json!(AZURE_TENANT_ID);
            }
            Some("UserAssigned") => {
                let own = view["identity"]["userAssignedIdentities"].as_object_mut();
                for (id, identity) in own.into_iter().flatten() {
                    *identity = json!({
                        "principalId": uuid(&digest_hex(id, 32)),
                        "clientId": uuid(&digest_hex(&format!("client {id}"), 32)),
                    });
                }
            }
            _ => {}
        }
    }

    /// What a control plane brings along once it has run.
    fn show_reachable(&self, properties: &mut Value) {
        if !self.made {
            return;
        }
        let prefix = ["dnsPrefix", "fqdnSubdomain"];
        let prefix = prefix.iter().find_map(|field| properties[*field].as_str());
        let mark = digest_hex(&self.uid, 8);
        let prefix = format!("{}-{mark}", prefix.unwrap_or("aks"));
        let location = &self.location;
        let access = &properties["apiServerAccessProfile"];
        let private = access["enablePrivateCluster"] == true;
        let public_name = access["enablePrivateClusterPublicFQDN"] != false;
        let public = format!("{prefix}.hcp.{location}.azmk8s.io");
        properties["azurePortalFQDN"] = json!(format!("{prefix}.portal.hcp.{location}.azmk8s.io"));
        if !private || public_name {
            properties["fqdn"] = json!(public);
        }
        if private {
            let zone = digest_hex(&self.node_group(), 8);
            let name = format!("{prefix}.{zone}.privatelink.{location}.azmk8s.io");
            properties["privateFQDN"] = json!(name);
        }
        let node_group = self.node_group();
        let group = format!("/subscriptions/{AZURE_SUBSCRIPTION_ID}/resourceGroups/{node_group}");
        if properties["networkProfile"]["loadBalancerProfile"].is_object() {
            let address = format!(
                "{group}/providers/Microsoft.Network/publicIPAddresses/{}",
                self.guid("outbound")
            );
            properties["networkProfile"]["loadBalancerProfile"]["effectiveOutboundIPs"] =
                json!([{ "id": address }]);
        }
        if properties["oidcIssuerProfile"]["enabled"] == true {
            let issuer = self.guid("issuer");
            properties["oidcIssuerProfile"]["issuerURL"] = json!(format!(
                "https://{location}.oic.prod-aks.azure.com/{AZURE_TENANT_ID}/{issuer}/"
            ));
        }
        if properties["identityProfile"]["kubeletidentity"].is_null() {
            let name = format!("{}-agentpool", self.name);
            properties["identityProfile"]["kubeletidentity"] = json!({
                // With a lower-case word in the middle, as AKS writes it.
                "resourceId": format!(
                    "/subscriptions/{AZURE_SUBSCRIPTION_ID}/resourcegroups/{node_group}/providers/\
                     Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
                ),
                "clientId": self.guid("kubelet client"),
                "objectId": self.guid("kubelet object"),
            });
        }
    }

    /// A made-up id that stays the same.
    fn guid(&self, what: &str) -> String {
        uuid(&digest_hex(&format!("{what} of {}", self.uid), 32))
    }

    /// A pool as a resource of its own.
    pub(super) fn view_pool(&self, name: &str, pool: &AksPool) -> Value {
        json!({
            "id": format!("{}/agentPools/{name}", self.id()),
            "name": name,
            "type": "Microsoft.ContainerService/managedClusters/agentPools",
            "properties": self.pool_properties(name, pool),
        })
    }

    fn pool_properties(&self, name: &str, pool: &AksPool) -> Value {
        let mut view = pool.document.clone();
        view["eTag"] = json!(self.pool_etag(pool));
        let state = self.pool_state(name);
        view["provisioningState"] = json!(state);
        view["currentOrchestratorVersion"] = json!(pool.running);
        view["nodeImageVersion"] = json!(versions::image(&pool.document, pool.release));
        if pool.made {
            view["tags"]["aks-managed-poolName"] = json!(name);
        }
        if state == "Failed"
            && let Outcome::Failed(trouble) = &pool.outcome
        {
            view["status"] = json!({ "provisioningError": error(trouble) });
        }
        view
    }

    /// A maintenance configuration as a resource of its own.
    pub(super) fn view_maintenance(&self, name: &str, properties: &Value) -> Value {
        json!({
            "id": format!("{}/maintenanceConfigurations/{name}", self.id()),
            "name": name,
            "type": "Microsoft.ContainerService/managedClusters/maintenanceConfigurations",
            "properties": properties,
        })
    }
}
