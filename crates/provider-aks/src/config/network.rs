//! The network of a cluster, and which of its choices go together.

use azure_mgmt_containerservice::models::{
    ContainerServiceNetworkProfile, ManagedClusterProperties, NetworkPlugin, NetworkPluginMode,
    NetworkPolicy, container_service_network_profile::OutboundType,
};
use fleetwright_api_types::{
    AksDataplane, AksNetwork, AksNetworkPlugin, AksNetworkPolicy, AksOutbound, AksPluginMode,
};
use serde_json::{Value, json};

use super::Shared;
use super::check::Check;
use super::ranges::{Range, cidr, holds, nth, overlap};

/// AKS's own ranges, where none is declared.
const POD_RANGE: &str = "10.244.0.0/16";
const SERVICE_RANGE: &str = "10.0.0.0/16";
/// Which address of the Services' range is the DNS, where nobody says; the first is the API server's.
const DNS_ADDRESS: u32 = 10;

/// The `networkProfile`.
pub(super) fn profile(
    check: &mut Check,
    shared: &Shared<'_>,
    properties: &mut ManagedClusterProperties,
    (beyond, birth): (&mut Value, &mut Vec<String>),
) {
    let Some(network) = &shared.aks.network else { return };
    together(check, network);
    let services = ranges(check, network, shared.adopted);
    let mut profile = ContainerServiceNetworkProfile::new();
    profile.network_plugin = network.plugin.map(|plugin| match plugin {
        AksNetworkPlugin::Azure => NetworkPlugin::Azure,
        AksNetworkPlugin::Kubenet => NetworkPlugin::Kubenet,
        AksNetworkPlugin::None => NetworkPlugin::None,
    });
    // The model spells it with a capital letter, which AKS's own contract does not know.
    profile.network_plugin_mode = network.plugin_mode.map(|mode| match mode {
        AksPluginMode::Overlay => NetworkPluginMode::UnknownValue("overlay".into()),
    });
    profile.network_policy = network.policy.map(|policy| match policy {
        AksNetworkPolicy::Azure => NetworkPolicy::Azure,
        AksNetworkPolicy::Calico => NetworkPolicy::Calico,
        AksNetworkPolicy::Cilium => NetworkPolicy::UnknownValue("cilium".into()),
        AksNetworkPolicy::None => NetworkPolicy::UnknownValue("none".into()),
    });
    profile.outbound_type = network.outbound.map(|outbound| match outbound {
        AksOutbound::LoadBalancer => OutboundType::LoadBalancer,
        AksOutbound::ManagedNatGateway => OutboundType::ManagedNatGateway,
        AksOutbound::UserAssignedNatGateway => OutboundType::UserAssignedNatGateway,
        AksOutbound::UserDefinedRouting => OutboundType::UserDefinedRouting,
        AksOutbound::None => OutboundType::UnknownValue("none".into()),
    });
    profile.pod_cidr.clone_from(&network.pod_cidr);
    profile.service_cidr.clone_from(&network.service_cidr);
    profile.dns_service_ip.clone_from(&network.dns_service_ip);
    if network.dns_service_ip.is_none()
        && let (Some(_), Some(services)) = (&network.service_cidr, services)
    {
        // AKS's default lies in its default range only.
        profile.dns_service_ip = nth(services, DNS_ADDRESS).map(|address| address.to_string());
        birth.push("properties.networkProfile.dnsServiceIP".into());
    }
    properties.network_profile = Some(profile);
    if let Some(dataplane) = network.dataplane {
        beyond["networkProfile"]["networkDataplane"] = json!(match dataplane {
            AksDataplane::Azure => "azure",
            AksDataplane::Cilium => "cilium",
        });
    }
}

/// Whether pods have a range of their own. AKS takes Azure with Overlay where nobody names a plugin (from Kubernetes 1.30).
pub(super) fn has_pod_range(network: &AksNetwork) -> bool {
    match (network.plugin, network.plugin_mode) {
        (_, Some(AksPluginMode::Overlay))
        | (Some(AksNetworkPlugin::Kubenet), None)
        | (None, None) => true,
        (Some(AksNetworkPlugin::Azure | AksNetworkPlugin::None), None) => false,
    }
}

/// AKS, "Configure Azure CNI …" and "Secure pod traffic with network policies": what it takes together.
fn together(check: &mut Check, network: &AksNetwork) {
    let plugin = network.plugin.unwrap_or(AksNetworkPlugin::Azure);
    let azure = plugin == AksNetworkPlugin::Azure;
    let overlay = network.plugin_mode == Some(AksPluginMode::Overlay);
    let cilium = network.dataplane == Some(AksDataplane::Cilium);
    check.that(!overlay || azure, "spec.aks.network.pluginMode", || {
        format!("Overlay is a mode of plugin Azure; {plugin:?} has none")
    });
    check.that(!cilium || azure, "spec.aks.network.dataplane", || {
        format!("Cilium needs plugin Azure, not {plugin:?}")
    });
    let field = "spec.aks.network.policy";
    match network.policy {
        Some(AksNetworkPolicy::Cilium) => check.that(cilium, field, || {
            "Cilium needs dataplane Cilium: AKS refuses it on any other".into()
        }),
        Some(policy @ (AksNetworkPolicy::Azure | AksNetworkPolicy::Calico)) => {
            check.that(!cilium, field, || {
                format!("{policy:?} does not go with dataplane Cilium, which enforces by itself")
            });
            check.that(plugin != AksNetworkPlugin::None, field, || {
                format!("{policy:?} does not go with plugin None: bring your own with the plugin")
            });
            let own = policy == AksNetworkPolicy::Azure && plugin == AksNetworkPlugin::Kubenet;
            check.that(!own, field, || "Azure needs plugin Azure, not Kubenet".into());
        }
        Some(AksNetworkPolicy::None) => check.that(!cilium, field, || {
            "None does not go with dataplane Cilium, which always enforces".into()
        }),
        None => {}
    }
    let ranged = has_pod_range(network);
    check.that(ranged || network.pod_cidr.is_none(), "spec.aks.network.podCidr", || {
        format!(
            "needs pluginMode Overlay or plugin Kubenet: with plugin {plugin:?} alone pods have no range of AKS's"
        )
    });
}

/// Gives the range of Services, which the address of the DNS lies in.
fn ranges(check: &mut Check, network: &AksNetwork, adopted: bool) -> Option<Range> {
    // Of a cluster that others made, what is absent is as they have it.
    let unsaid = adopted && network.plugin.is_none() && network.plugin_mode.is_none();
    let overlay = has_pod_range(network) && !unsaid;
    let pods = match &network.pod_cidr {
        Some(text) => check.inner_range("spec.aks.network.podCidr", text),
        None => cidr(POD_RANGE).filter(|_| overlay),
    };
    let field = "spec.aks.network.serviceCidr";
    let services = match &network.service_cidr {
        Some(text) => check.inner_range(field, text),
        None => cidr(SERVICE_RANGE),
    };
    if let Some((_, length)) = services {
        check.that(length >= 12, field, || {
            format!("/{length} is larger than /12, the largest range of Services that AKS takes")
        });
    }
    if let (Some(pods), Some(services)) = (pods, services) {
        let at = if network.service_cidr.is_some() { field } else { "spec.aks.network.podCidr" };
        check.that(!overlap(pods, services), at, || {
            let text = |(first, length): Range| format!("{first}/{length}");
            format!("pods in {} and Services in {} overlap", text(pods), text(services))
        });
    }
    if let Some(text) = &network.dns_service_ip {
        dns(check, text, services);
    }
    services
}

fn dns(check: &mut Check, text: &str, services: Option<Range>) {
    let field = "spec.aks.network.dnsServiceIp";
    let address = text.parse().ok();
    check.that(address.is_some(), field, || format!("{text:?} is not an IPv4 address"));
    let (Some(address), Some(services)) = (address, services) else { return };
    let inside = holds(services, address);
    check.that(inside, field, || {
        format!("{text} does not lie in the range of Services, {}/{}", services.0, services.1)
    });
    let first = address == services.0 || nth(services, 1) == Some(address);
    check.that(!first, field, || {
        format!("{text} is the first address of the range, which is the API server's")
    });
}
