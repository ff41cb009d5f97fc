//! The `PUT` of the control plane.

use std::collections::BTreeSet;

use azure_mgmt_containerservice::models::{
    ManagedCluster, ManagedClusterAadProfile, ManagedClusterApiServerAccessProfile,
    ManagedClusterAutoUpgradeProfile, ManagedClusterIdentity, ManagedClusterOidcIssuerProfile,
    ManagedClusterProperties, ManagedClusterSecurityProfile,
    ManagedClusterSecurityProfileWorkloadIdentity, ManagedClusterSku, TrackedResource,
    managed_cluster_auto_upgrade_profile::{NodeOsUpgradeChannel, UpgradeChannel},
    managed_cluster_identity, managed_cluster_sku,
};
use fleetwright_api_types::{
    AksApiServer, AksApiServerAccess, AksAuthorization, AksAutoUpgrade, AksEntra, AksIdentityType,
    AksNodeOsChannel, AksSpec, AksSupport, AksTier, AksUpgradeChannel, Toggle,
};
use fleetwright_plan::DesiredPool;
use fleetwright_provider::{merge_patch, wire_request};
use serde_json::{Value, json};

use super::check::{Check, DISK_ENCRYPTION_SET, DNS_ZONE, IDENTITY, SUBNET};
use super::patch::{self, Patched};
use super::{BIRTH, MAINTENANCE_DECLARED, Shared, add_ons, network};
use crate::tags::to_azure;

/// Paths that a patch may not touch.
const FIXED: [&str; 9] = [
    "id",
    "name",
    "type",
    "eTag",
    "location",
    "tags",
    "identity",
    "properties.kubernetesVersion",
    "properties.agentPoolProfiles",
];
/// Longest `dnsPrefix`.
const DNS_PREFIX_LIMIT: usize = 54;

/// The request, and whatever is wrong with what it is made of. Pools with role `System` are part of it: AKS makes no control
/// plane without one.
pub(super) fn body(
    check: &mut Check,
    shared: &Shared<'_>,
    (version, pools): (&str, &[DesiredPool]),
) -> Value {
    let aks = shared.aks;
    let mut birth: Vec<String> = Vec::new();
    let mut properties = ManagedClusterProperties::new();
    properties.kubernetes_version = Some(version.to_owned());
    properties.enable_rbac = Some(true);
    birth.push("properties.enableRBAC".into());
    properties.dns_prefix = Some(aks.dns_prefix.clone().unwrap_or_else(|| {
        birth.push("properties.dnsPrefix".into());
        dns_prefix(shared.name)
    }));
    properties.node_resource_group.clone_from(&aks.node_resource_group);
    if let Some(set) = &aks.disk_encryption_set_id {
        check.resource("spec.aks.diskEncryptionSetId", set, DISK_ENCRYPTION_SET);
        properties.disk_encryption_set_id = Some(set.clone());
    }
    let mut beyond = json!({});
    if let Some(entra) = &aks.entra {
        self::entra(check, entra, &mut properties);
        if !shared.adopted {
            whole_sign_in(entra, &mut beyond);
        }
    }
    api_server(check, shared, &mut properties, (&mut beyond, &mut birth));
    network::profile(check, shared, &mut properties, (&mut beyond, &mut birth));
    properties.auto_upgrade_profile = aks.auto_upgrade.map(|upgrade| auto_upgrade(check, upgrade));
    properties.addon_profiles = add_ons::add_ons(check, &aks.managed_add_ons);
    add_ons::autoscaler(check, &aks.autoscaler, (&mut properties, &mut beyond));
    let identity = identity(check, aks, &mut properties, &mut birth);
    if aks.support.is_some() {
        beyond["supportPlan"] = json!(match aks.support {
            Some(AksSupport::LongTerm) => "AKSLongTermSupport",
            _ => "KubernetesOfficial",
        });
    }
    let mut resource = TrackedResource::new(aks.location.clone());
    resource.tags = Some(Value::Object(to_azure(shared.tags)));
    let mut cluster = ManagedCluster::new(resource);
    cluster.sku = Some(sku(aks.tier));
    birth.push("sku.name".into());
    if aks.tier.is_none() {
        birth.push("sku.tier".into());
    }
    cluster.identity = Some(identity);
    cluster.properties = Some(properties);
    let mut body = serde_json::to_value(&cluster).unwrap_or_default();
    merge_patch(&mut body["properties"], &beyond);
    body["properties"]["agentPoolProfiles"] = first_pools(pools);
    body[BIRTH] = json!(birth);
    if aks.maintenance_configurations.is_some() {
        body[MAINTENANCE_DECLARED] = Value::Bool(true);
    }
    let field = "spec.aks.payloadPatch";
    let to = Patched { body: &mut body, below: "", fixed: &FIXED, field };
    patch::apply(check, to, aks.payload_patch.as_ref());
    body
}

/// The pools that AKS makes together with the control plane, each with its name.
fn first_pools(pools: &[DesiredPool]) -> Value {
    let system = pools.iter().filter(|pool| pool.body["properties"]["mode"] == "System");
    let profiles = system.map(|pool| {
        let mut profile = wire_request(&pool.body)["properties"].take();
        profile["name"] = json!(pool.name.as_str());
        profile
    });
    profiles.collect()
}

/// Letters, digits and inner dashes, as a part of a DNS name.
fn dns_prefix(name: &str) -> String {
    let prefix: String = name.replace('_', "-").chars().take(DNS_PREFIX_LIMIT).collect();
    prefix.trim_end_matches('-').to_owned()
}

fn sku(tier: Option<AksTier>) -> ManagedClusterSku {
    let mut sku = ManagedClusterSku::new();
    sku.name = Some(managed_cluster_sku::Name::Base);
    sku.tier = Some(match tier.unwrap_or(AksTier::Free) {
        AksTier::Free => managed_cluster_sku::Tier::Free,
        AksTier::Standard => managed_cluster_sku::Tier::Standard,
        AksTier::Premium => managed_cluster_sku::Tier::UnknownValue("Premium".into()),
    });
    sku
}

fn identity(
    check: &mut Check,
    aks: &AksSpec,
    properties: &mut ManagedClusterProperties,
    birth: &mut Vec<String>,
) -> ManagedClusterIdentity {
    let mut wire = ManagedClusterIdentity::new();
    let Some(identity) = &aks.identity else {
        birth.push("identity".into());
        wire.type_ = Some(managed_cluster_identity::Type::SystemAssigned);
        return wire;
    };
    let own = identity.type_ == AksIdentityType::UserAssigned;
    wire.type_ = Some(if own {
        managed_cluster_identity::Type::UserAssigned
    } else {
        managed_cluster_identity::Type::SystemAssigned
    });
    let field = "spec.aks.identity.resourceId";
    check.that(own == identity.resource_id.is_some(), field, || {
        "goes with type UserAssigned, and only with it".into()
    });
    if let Some(id) = &identity.resource_id {
        check.resource(field, id, IDENTITY);
        wire.user_assigned_identities = Some(json!({id: {}}));
    }
    if let Some(id) = &identity.kubelet_resource_id {
        let field = "spec.aks.identity.kubeletResourceId";
        check.that(own, field, || {
            "needs identity type UserAssigned: AKS lets no identity of its own making hand out yours"
                .into()
        });
        check.resource(field, id, IDENTITY);
        properties.identity_profile = Some(json!({"kubeletidentity": {"resourceId": id}}));
    }
    wire
}

/// Present means on: AKS knows no way back from Entra ID.
fn entra(check: &mut Check, entra: &AksEntra, properties: &mut ManagedClusterProperties) {
    let mut profile = ManagedClusterAadProfile::new();
    profile.managed = Some(true);
    profile.enable_azure_rbac =
        entra.authorization.map(|authorization| authorization == AksAuthorization::Azure);
    let field = "spec.aks.entra.adminGroupIds";
    check.distinct(field, entra.admin_group_ids.iter().map(String::as_str));
    for group in &entra.admin_group_ids {
        check.uuid(field, group);
    }
    let groups: BTreeSet<&String> = entra.admin_group_ids.iter().collect();
    profile.admin_group_object_i_ds = groups.into_iter().cloned().collect();
    if let Some(tenant) = &entra.tenant_id {
        check.uuid("spec.aks.entra.tenantId", tenant);
        profile.tenant_id = Some(tenant.clone());
    }
    properties.aad_profile = Some(profile);
    properties.disable_local_accounts =
        entra.local_accounts.map(|accounts| accounts == Toggle::Disabled);
    if let Some(workload) = entra.workload_identity {
        let on = workload == Toggle::Enabled;
        let mut security = ManagedClusterSecurityProfile::new();
        let mut identity = ManagedClusterSecurityProfileWorkloadIdentity::new();
        identity.enabled = Some(on);
        security.workload_identity = Some(identity);
        properties.security_profile = Some(security);
        // AKS never takes an issuer away again, so off says nothing about it.
        if on {
            let mut issuer = ManagedClusterOidcIssuerProfile::new();
            issuer.enabled = Some(true);
            properties.oidc_issuer_profile = Some(issuer);
        }
    }
}

/// Absent means nobody and nothing, and is said, so that it is also kept; the model has no word for an empty list.
fn whole_sign_in(entra: &AksEntra, beyond: &mut Value) {
    if entra.admin_group_ids.is_empty() {
        beyond["aadProfile"]["adminGroupObjectIDs"] = json!([]);
    }
    if entra.authorization.is_none() {
        beyond["aadProfile"]["enableAzureRBAC"] = Value::Bool(false);
    }
}

fn api_server(
    check: &mut Check,
    shared: &Shared<'_>,
    properties: &mut ManagedClusterProperties,
    (beyond, birth): (&mut Value, &mut Vec<String>),
) {
    let Some(server) = &shared.aks.api_server else { return };
    let private = server.access == AksApiServerAccess::Private;
    let mut profile = ManagedClusterApiServerAccessProfile::new();
    profile.enable_private_cluster = Some(private);
    authorized(check, server, (shared.adopted, &mut *beyond));
    if let Some(zone) = &server.private_dns_zone {
        let field = "spec.aks.apiServer.privateDnsZone";
        check.that(private, field, || "goes with access Private only".into());
        let word = matches!(zone.as_str(), "System" | "None");
        if !word {
            check.resource(field, zone, DNS_ZONE);
        }
        if zone == "None" {
            // Without a zone the public name is the only one.
            profile.enable_private_cluster_public_fqdn = Some(true);
            birth.push("properties.apiServerAccessProfile.enablePrivateClusterPublicFQDN".into());
        }
        let written = if word { zone.to_ascii_lowercase() } else { zone.clone() };
        profile.private_dns_zone = Some(written);
    }
    profile.disable_run_command = server.run_command.map(|run| run == Toggle::Disabled);
    if let Some(subnet) = &server.vnet_subnet_id {
        check.resource("spec.aks.apiServer.vnetSubnetId", subnet, SUBNET);
        profile.enable_vnet_integration = Some(true);
        profile.subnet_id = Some(subnet.clone());
    }
    properties.api_server_access_profile = Some(profile);
}

/// Absent means from everywhere, and is said, so that it is also kept; not of a cluster that others made.
fn authorized(check: &mut Check, server: &AksApiServer, (adopted, beyond): (bool, &mut Value)) {
    let field = "spec.aks.apiServer.authorizedCidrs";
    let ranges = &server.authorized_cidrs;
    let private = server.access == AksApiServerAccess::Private;
    check.that(!private || ranges.is_empty(), field, || {
        "mean nothing with access Private; AKS refuses both together".into()
    });
    check.distinct(field, ranges.iter().map(String::as_str));
    for range in ranges {
        check.outer_range(field, range);
    }
    let alone = "0.0.0.0/32";
    let mixed = ranges.len() > 1 && ranges.iter().any(|range| range == alone);
    check.that(!mixed, field, || format!("{alone} stands alone or not at all"));
    let unsaid = adopted && ranges.is_empty();
    if !private && !unsaid {
        let sorted: BTreeSet<&String> = ranges.iter().collect();
        beyond["apiServerAccessProfile"]["authorizedIPRanges"] = json!(sorted);
    }
}

fn auto_upgrade(check: &mut Check, upgrade: AksAutoUpgrade) -> ManagedClusterAutoUpgradeProfile {
    let mut profile = ManagedClusterAutoUpgradeProfile::new();
    let beyond =
        matches!(upgrade.kubernetes, Some(AksUpgradeChannel::Stable | AksUpgradeChannel::Rapid));
    check.that(!beyond, "spec.aks.autoUpgrade.kubernetes", || {
        "would move the minor that spec.version declares; Patch and NodeImage keep to it".into()
    });
    let images = upgrade.kubernetes == Some(AksUpgradeChannel::NodeImage);
    let other = upgrade.node_os.is_some_and(|channel| channel != AksNodeOsChannel::NodeImage);
    check.that(!(images && other), "spec.aks.autoUpgrade.nodeOs", || {
        "must be NodeImage, or absent, while kubernetes is NodeImage".into()
    });
    profile.upgrade_channel = upgrade.kubernetes.map(|channel| match channel {
        AksUpgradeChannel::None => UpgradeChannel::None,
        AksUpgradeChannel::Patch => UpgradeChannel::Patch,
        AksUpgradeChannel::Stable => UpgradeChannel::Stable,
        AksUpgradeChannel::Rapid => UpgradeChannel::Rapid,
        AksUpgradeChannel::NodeImage => UpgradeChannel::NodeImage,
    });
    profile.node_os_upgrade_channel = upgrade.node_os.map(|channel| match channel {
        AksNodeOsChannel::None => NodeOsUpgradeChannel::None,
        AksNodeOsChannel::Unmanaged => NodeOsUpgradeChannel::Unmanaged,
        AksNodeOsChannel::SecurityPatch => NodeOsUpgradeChannel::SecurityPatch,
        AksNodeOsChannel::NodeImage => NodeOsUpgradeChannel::NodeImage,
    });
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dns_prefix_is_a_part_of_a_dns_name() {
        assert_eq!(dns_prefix("shop_eu-1"), "shop-eu-1");
        let long = format!("{}-tail", "x".repeat(53));
        assert_eq!(dns_prefix(&long), "x".repeat(53));
    }
}
