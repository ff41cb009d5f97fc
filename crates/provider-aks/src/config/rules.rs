//! What AKS refuses of a cluster and its pools together. The reason stands at the field that is easiest to change.

use std::collections::BTreeSet;

use fleetwright_api_types::{
    Adoption, AksApiServerAccess, AksDataplane, AksIdentityType, AksNetworkPlugin, AksOs,
    AksOutbound, AksPluginMode, AksSpec, AksSupport, AksTier, Capacity, ManagedClusterSpec,
    NodePool, PoolRole,
};
use serde_json::Value;

use super::check::{Check, ResourceId, SUBNET};

/// All rules that look at more than one block; `body` is the final request.
pub(super) fn hold(check: &mut Check, spec: &ManagedClusterSpec, (aks, body): (&AksSpec, &Value)) {
    support(check, aks);
    access(check, aks, body);
    way_out(check, spec, aks);
    subnets(check, spec, aks);
    windows(check, spec, aks);
    argocd(check, spec, body);
    // Of a cluster that others made, the pools may be theirs too; an Automatic one hosts its own.
    let own = spec.adoption == Some(Adoption::Existing) || body["sku"]["name"] == "Automatic";
    check.that(own || spec.node_pools.iter().any(carries), "spec.nodePools", || {
        "holds no pool with role System, capacity OnDemand, os Linux and min of 1 or more; AKS makes no \
         cluster without one"
            .into()
    });
}

/// A pool that AKS's own programs run on.
fn carries(pool: &NodePool) -> bool {
    pool.role == Some(PoolRole::System)
        && pool.capacity.is_none_or(|capacity| capacity == Capacity::OnDemand)
        && pool.size.min >= 1
        && pool.aks.as_ref().is_none_or(|aks| aks.os != Some(AksOs::Windows))
}

fn support(check: &mut Check, aks: &AksSpec) {
    let long = aks.support == Some(AksSupport::LongTerm);
    check.that(!long || aks.tier == Some(AksTier::Premium), "spec.aks.support", || {
        "LongTerm needs tier Premium".into()
    });
}

fn access(check: &mut Check, aks: &AksSpec, body: &Value) {
    let closed = body["properties"]["disableLocalAccounts"] == true;
    let entra = body["properties"]["aadProfile"]["managed"] == true;
    check.that(!closed || entra, "spec.aks.entra", || {
        "is missing; without local accounts and without Entra ID nobody could sign in".into()
    });
    let azure = body["properties"]["aadProfile"]["enableAzureRBAC"] == true;
    check.that(!azure || entra, "spec.aks.entra", || {
        "is missing; Azure role assignments need sign-in by Entra ID".into()
    });
    let Some(server) = &aks.api_server else { return };
    let own = user_assigned(aks);
    let zone = server.private_dns_zone.as_deref().is_some_and(|zone| zone.starts_with('/'));
    check.that(!zone || own, "spec.aks.identity", || {
        "must be UserAssigned with a private DNS zone of yours: an identity that AKS makes has no rights \
         there at birth"
            .into()
    });
    let named = server.access == AksApiServerAccess::Private
        && server.private_dns_zone.as_deref() == Some("None")
        && body["properties"]["apiServerAccessProfile"]["enablePrivateClusterPublicFQDN"] == false;
    check.that(!named, "spec.aks.apiServer.privateDnsZone", || {
        "None needs the public name, which payloadPatch switches off: the API server would have no name"
            .into()
    });
}

fn user_assigned(aks: &AksSpec) -> bool {
    aks.identity.as_ref().is_some_and(|own| own.type_ == AksIdentityType::UserAssigned)
}

fn plugin(aks: &AksSpec) -> AksNetworkPlugin {
    let declared = aks.network.as_ref().and_then(|network| network.plugin);
    declared.unwrap_or(AksNetworkPlugin::Azure)
}

fn way_out(check: &mut Check, spec: &ManagedClusterSpec, aks: &AksSpec) {
    let Some(outbound) = aks.network.as_ref().and_then(|network| network.outbound) else { return };
    let field = "spec.aks.network.outbound";
    let mut pools = spec.node_pools.iter().filter_map(|pool| pool.aks.as_ref());
    let theirs = pools.any(|pool| pool.vnet_subnet_id.is_some());
    match outbound {
        AksOutbound::UserDefinedRouting | AksOutbound::UserAssignedNatGateway => {
            let own = theirs || spec.adoption == Some(Adoption::Existing);
            check.that(own, field, || {
                let what = if outbound == AksOutbound::UserDefinedRouting {
                    "route table"
                } else {
                    "NAT gateway"
                };
                format!(
                    "{outbound:?} needs aks.vnetSubnetId on the pools: the {what} is that of your subnet"
                )
            });
            let routed = outbound == AksOutbound::UserDefinedRouting
                && plugin(aks) == AksNetworkPlugin::Kubenet;
            check.that(!routed || user_assigned(aks), "spec.aks.identity", || {
                "must be UserAssigned with plugin Kubenet and a route table of yours".into()
            });
        }
        AksOutbound::ManagedNatGateway => check.that(!theirs, field, || {
            "ManagedNatGateway does not go with subnets of yours; UserAssignedNatGateway does"
                .into()
        }),
        AksOutbound::LoadBalancer | AksOutbound::None => {}
    }
}

/// Argo CD signs in by Entra ID. Of a cluster that others made, what is absent may be there.
fn argocd(check: &mut Check, spec: &ManagedClusterSpec, body: &Value) {
    let wanted = spec.registration.as_ref().is_some_and(|wanted| wanted.argocd.is_some());
    let entra = body["properties"]["aadProfile"]["managed"] == true;
    let may = entra || spec.adoption == Some(Adoption::Existing);
    check.that(!wanted || may, "spec.registration.argocd", || {
        "needs spec.aks.entra: Argo CD signs in to an AKS cluster by Entra ID only".into()
    });
}

/// All nodes of a cluster are in one virtual network, yours or AKS's.
fn subnets(check: &mut Check, spec: &ManagedClusterSpec, aks: &AksSpec) {
    let adopted = spec.adoption == Some(Adoption::Existing);
    let mode = aks.network.as_ref().and_then(|network| network.plugin_mode);
    let named = aks.network.as_ref().is_some_and(|network| network.plugin.is_some());
    let mut networks = BTreeSet::new();
    let (mut with, mut without) = (false, Vec::new());
    for pool in &spec.node_pools {
        let Some(own) = &pool.aks else { continue };
        let field = format!("spec.nodePools[{}].aks", pool.name);
        let pods = own.pod_subnet_id.is_some();
        let overlaid = mode == Some(AksPluginMode::Overlay);
        check.that(!(pods && overlaid), &format!("{field}.podSubnetId"), || {
            "does not go with pluginMode Overlay: pods have a range of their own there".into()
        });
        check.that(!pods || overlaid || named || adopted, &format!("{field}.podSubnetId"), || {
            "needs aks.network.plugin Azure: where none is named, AKS gives pods a range of their own"
                .into()
        });
        let azure = plugin(aks) == AksNetworkPlugin::Azure;
        check.that(!pods || azure, &format!("{field}.podSubnetId"), || {
            format!("needs plugin Azure, not {:?}", plugin(aks))
        });
        for subnet in [&own.vnet_subnet_id, &own.pod_subnet_id].into_iter().flatten() {
            let id = ResourceId::parse(subnet).filter(|id| id.is(SUBNET));
            let network = id.and_then(|_| subnet.rsplit_once("/subnets/"));
            networks.extend(network.map(|(network, _)| network.to_ascii_lowercase()));
        }
        if own.vnet_subnet_id.is_some() {
            with = true;
        } else {
            without.push(field);
        }
    }
    check.that(networks.len() <= 1, "spec.nodePools", || {
        "have subnets in different virtual networks; AKS takes one network".into()
    });
    if with {
        for field in without {
            check.that(false, &format!("{field}.vnetSubnetId"), || {
                "is missing; other pools have one, and AKS takes all nodes in one virtual network"
                    .into()
            });
        }
    }
    let integrated = aks.api_server.as_ref().is_some_and(|server| server.vnet_subnet_id.is_some());
    check.that(!integrated || with || adopted, "spec.aks.apiServer.vnetSubnetId", || {
        "needs aks.vnetSubnetId on the pools: API server and nodes share a virtual network of yours"
            .into()
    });
}

fn windows(check: &mut Check, spec: &ManagedClusterSpec, aks: &AksSpec) {
    let cilium = aks.network.as_ref().and_then(|network| network.dataplane);
    for pool in &spec.node_pools {
        if pool.aks.as_ref().and_then(|aks| aks.os) != Some(AksOs::Windows) {
            continue;
        }
        let field = format!("spec.nodePools[{}]", pool.name);
        check.that(pool.role != Some(PoolRole::System), &format!("{field}.role"), || {
            "AKS takes no Windows pool with role System".into()
        });
        let plugin = plugin(aks);
        check.that(plugin == AksNetworkPlugin::Azure, &format!("{field}.aks.os"), || {
            format!("Windows needs plugin Azure, not {plugin:?}")
        });
        check.that(cilium != Some(AksDataplane::Cilium), &format!("{field}.aks.os"), || {
            "Windows does not go with dataplane Cilium, which runs on Linux only".into()
        });
    }
}
