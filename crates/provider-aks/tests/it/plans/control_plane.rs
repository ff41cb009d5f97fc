//! The control plane: what Azure writes in its own forms, what changes together, and what never changes.

use super::NONE;
use crate::world::check;

#[test]
fn what_is_as_declared_needs_nothing() {
    check("{}", NONE);
}

#[test]
fn azures_own_forms_are_no_difference() {
    for case in [
        "{cluster: {location: westeurope, sku: {tier: STANDARD}}}",
        "{cluster: {properties: {networkProfile: {networkPlugin: Azure, networkPolicy: cilium}}}}",
        "{cluster: {properties: {networkProfile: {podCidr: null}}}, aks: {network: {podCidr: 10.244.0.0/16}}}",
        "{cluster: {tags: {TEAM: retail, team: null}}}",
        "{cluster: {tags: {other: value}}, seen: {web: {tags: {other: value}}}}",
        "{aks: {support: Standard}, cluster: {properties: {supportPlan: null}}}",
        "{aks: {autoUpgrade: {kubernetes: None, nodeOs: NodeImage}}}",
        "{aks: {entra: {authorization: Kubernetes}}, cluster: {properties: {aadProfile: {enableAzureRBAC: null}}}}",
        "{aks: {apiServer: {access: Public, authorizedCidrs: [203.0.113.7/32]}}, cluster: {properties: {apiServerAccessProfile: {authorizedIPRanges: [203.0.113.7]}}}}",
        "{aks: {apiServer: {access: Public}}, cluster: {properties: {apiServerAccessProfile: {authorizedIPRanges: [], enablePrivateCluster: null}}}}",
        "{aks: {apiServer: {access: Public, runCommand: Enabled}}}",
        "{aks: {autoscaler: {scan-interval: 20s}}, cluster: {properties: {autoScalerProfile: {scan-interval: 20s, expander: random}}}}",
        "{aks: {autoscaler: {daemonset-eviction-for-empty-nodes: 'false'}}, cluster: {properties: {autoScalerProfile: {daemonset-eviction-for-empty-nodes: null}}}}",
        "{aks: {managedAddOns: [{name: azurepolicy, state: Enabled}]}, cluster: {properties: {addonProfiles: {azurePolicy: {enabled: true, config: null, identity: {clientId: c}}}}}}",
        "{aks: {managedAddOns: [{name: azurepolicy, state: Disabled}]}}",
        "{aks: {network: {outbound: LoadBalancer}}, cluster: {properties: {networkProfile: {outboundType: null}}}}",
        "{aks: {dnsPrefix: retail-we}, cluster: {properties: {dnsPrefix: Retail-WE}}}",
        "{aks: {payloadPatch: {properties: {nodeProvisioningProfile: {mode: auto}}}}, cluster: {properties: {nodeProvisioningProfile: {mode: Auto, defaultNodePools: Auto}}}}",
        "{seen: {web: {nodeTaints: ['kubernetes.azure.com/scalesetpriority=spot:NoSchedule']}}}",
        "{seen: {web: {enableAutoScaling: true, count: 9}}}",
        "{pools: {web: {capacity: OnDemand}}, seen: {web: {scaleSetPriority: null}}}",
        "{pools: {web: {aks: {maxSurge: 10%}}}, seen: {web: {upgradeSettings: null}}}",
        "{pools: {web: {update: {drainTimeout: 30m}}}}",
        "{pools: {web: {aks: {osSku: AzureLinux3}}}, seen: {web: {osSKU: AzureLinux}}}",
        "{pools: {web: {aks: {osSku: AzureLinux}}}, seen: {web: {osSKU: CBLMariner}}}",
        "{pools: {web: {aks: {encryptionAtHost: Disabled, fips: Disabled}}}}",
        "{pools: {system: {size: {min: 3, max: 3}}}, seen: {system: {enableAutoScaling: true, minCount: 3, maxCount: 3}}}",
        "{pools: {web: {aks: {vnetSubnetId: /subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes}}, system: {aks: {vnetSubnetId: /subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes}}}, seen: {web: {vnetSubnetID: /subscriptions/SUB/resourcegroups/NET/providers/microsoft.network/virtualnetworks/hub/subnets/nodes}, system: {vnetSubnetID: /subscriptions/SUB/resourcegroups/NET/providers/microsoft.network/virtualnetworks/hub/subnets/nodes}}}",
    ] {
        check(case, NONE);
    }
}

#[test]
fn versions_are_walked_minor_by_minor() {
    check("{spec: {version: '1.36'}}", &["~ upgrade control plane 1.34 → 1.35 → 1.36"]);
    check(
        "{spec: {version: '1.36'}, cluster: {properties: {kubernetesVersion: '1.35', currentKubernetesVersion: 1.35.1}}}",
        &[
            "~ upgrade pool system 1.34 → 1.35 → 1.36",
            ". later: ~ upgrade control plane 1.35 → 1.36 (waits: pools follow first)",
            ". later: ~ upgrade pool web 1.34 → 1.35 → 1.36 (waits: update of pool system)",
        ],
    );
    check(
        "{spec: {version: '1.34'}, cluster: {properties: {kubernetesVersion: 1.35.1, currentKubernetesVersion: 1.35.1}}, seen: {web: {orchestratorVersion: 1.35.1, currentOrchestratorVersion: 1.35.1}}}",
        &["~ upgrade pool system 1.34 → 1.35"],
    );
    check(
        "{cluster: {properties: {kubernetesVersion: 1.34.1, currentKubernetesVersion: 1.34.1}}}",
        NONE,
    );
}

#[test]
fn an_upgrade_waits_for_its_window() {
    check(
        "{spec: {version: '1.35', maintenance: {windows: [{days: [Tue], start: '02:00', duration: 4h}]}}}",
        &[". later: ~ upgrade control plane 1.34 → 1.35 (waits: window Tue 02:00)"],
    );
}

#[test]
fn tier_and_support_change_together() {
    check(
        "{aks: {tier: Premium, support: LongTerm}}",
        &[
            "~ update control plane tier  spec.aks.support: declared LongTerm, found Standard; spec.aks.tier: declared Premium, found Standard",
        ],
    );
    check("{aks: {tier: null}, cluster: {sku: {tier: Premium}}}", NONE);
}

#[test]
fn tags_are_completed_and_others_left_alone() {
    check(
        "{spec: {tags: {cost-center: '4711'}}}",
        &[
            "~ update control plane tags  spec.tags[cost-center]: declared 4711, found none",
            ". later: ~ update pool system tags  spec.tags[cost-center]: declared 4711, found none (waits: update of control plane)",
            ". later: ~ update pool web tags  spec.tags[cost-center]: declared 4711, found none (waits: update of control plane)",
        ],
    );
    check(
        "{cluster: {tags: {team: null, Team: bank}}}",
        &["~ update control plane tags  spec.tags[team]: declared retail, found bank"],
    );
}

#[test]
fn sign_in_is_kept_as_declared() {
    check(
        "{cluster: {properties: {disableLocalAccounts: false, aadProfile: {enableAzureRBAC: true}}}, aks: {entra: {authorization: Kubernetes}}}",
        &[
            "~ update control plane access  spec.aks.entra.authorization: declared Kubernetes, found Azure; and 1 more",
        ],
    );
    check(
        "{aks: {entra: {adminGroupIds: [11111111-1111-1111-1111-111111111111]}}}",
        &[
            "~ update control plane access  spec.aks.entra.adminGroupIds: declared 11111111-1111-1111-1111-111111111111, found none",
        ],
    );
    check(
        "{cluster: {properties: {aadProfile: null, disableLocalAccounts: null}}}",
        &[
            "~ update control plane access  spec.aks.entra: declared on, found off; spec.aks.entra.localAccounts: declared Disabled, found Enabled",
        ],
    );
    check("{aks: {entra: null}}", NONE);
}

#[test]
fn groups_and_rights_that_are_declared_no_longer_go() {
    let there = "cluster: {properties: {aadProfile: {enableAzureRBAC: true, adminGroupObjectIDs: [11111111-1111-1111-1111-111111111111]}}}";
    check(
        &format!("{{{there}}}"),
        &[
            "~ update control plane access  spec.aks.entra.adminGroupIds: declared none, found 11111111-1111-1111-1111-111111111111; and 1 more",
        ],
    );
    check(
        &format!("{{{there}, aks: {{entra: {{authorization: Azure}}}}}}"),
        &[
            "~ update control plane access  spec.aks.entra.adminGroupIds: declared none, found 11111111-1111-1111-1111-111111111111",
        ],
    );
    check(
        &format!(
            "{{{there}, aks: {{entra: {{adminGroupIds: [11111111-1111-1111-1111-111111111111]}}}}}}"
        ),
        &[
            "~ update control plane access  spec.aks.entra.authorization: declared Kubernetes, found Azure",
        ],
    );
    // Without Entra ID of ours, and on a cluster that others made, they stay.
    check(&format!("{{{there}, aks: {{entra: null}}}}"), NONE);
    check(&format!("{{{there}, spec: {{adoption: Existing}}}}"), NONE);
    // A patch says it, too.
    check(
        &format!(
            "{{{there}, aks: {{payloadPatch: {{properties: {{aadProfile: {{enableAzureRBAC: true, adminGroupObjectIDs: [11111111-1111-1111-1111-111111111111]}}}}}}}}}}"
        ),
        NONE,
    );
}

#[test]
fn workload_identity_comes_with_its_issuer() {
    check(
        "{cluster: {properties: {oidcIssuerProfile: null, securityProfile: null}}}",
        &[
            "~ update control plane workload-identity  spec.aks.entra.workloadIdentity: declared Enabled, found Disabled",
        ],
    );
    check(
        "{aks: {entra: {workloadIdentity: Disabled}}}",
        &[
            "~ update control plane workload-identity  spec.aks.entra.workloadIdentity: declared Disabled, found Enabled",
        ],
    );
}

#[test]
fn an_identity_is_exchanged() {
    let id = "/subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities";
    check(
        &format!("{{aks: {{identity: {{type: UserAssigned, resourceId: {id}/cp}}}}}}"),
        &[
            "~ update control plane identity  spec.aks.identity.type: declared UserAssigned, found SystemAssigned; and 1 more",
        ],
    );
    check(
        &format!(
            "{{aks: {{identity: {{type: UserAssigned, resourceId: {id}/cp}}}}, cluster: {{identity: {{type: userassigned, userAssignedIdentities: {{{}/CP: {{clientId: c}}}}}}}}}}",
            id.replace("resourceGroups", "resourcegroups")
        ),
        NONE,
    );
    check("{cluster: {identity: {type: UserAssigned, userAssignedIdentities: {/x: {}}}}}", NONE);
    check(
        &format!(
            "{{aks: {{identity: {{type: UserAssigned, resourceId: {id}/cp, kubeletResourceId: {id}/new}}}}, cluster: {{identity: {{type: UserAssigned, userAssignedIdentities: {{{id}/cp: {{}}}}}}, properties: {{identityProfile: {{kubeletidentity: {{resourceId: {id}/old, clientId: c}}}}}}}}}}"
        ),
        &[&format!(
            "! spec.aks.identity.kubeletResourceId: declared {id}/new, found {id}/old: AKS keeps the identity of the kubelets for good"
        )],
    );
}

#[test]
fn the_ways_to_the_api_server_are_kept() {
    check(
        "{aks: {apiServer: {access: Public, authorizedCidrs: [203.0.113.0/24]}}}",
        &[
            "~ update control plane api-server  spec.aks.apiServer.authorizedCidrs: declared 203.0.113.0/24, found none",
        ],
    );
    check(
        "{aks: {apiServer: {access: Public}}, cluster: {properties: {apiServerAccessProfile: {authorizedIPRanges: [198.51.100.0/24]}}}}",
        &[
            "~ update control plane api-server  spec.aks.apiServer.authorizedCidrs: declared none, found 198.51.100.0/24",
        ],
    );
    check(
        "{aks: {apiServer: {access: Public, runCommand: Disabled}}}",
        &[
            "~ update control plane api-server  spec.aks.apiServer.runCommand: declared Disabled, found Enabled",
        ],
    );
    check(
        "{aks: {apiServer: {access: Private}}}",
        &[
            "! spec.aks.apiServer.access: declared Private, found Public: AKS cannot change it on a living cluster",
        ],
    );
}

#[test]
fn what_an_adopted_clusters_owner_left_unsaid_stays() {
    check(
        "{spec: {adoption: Existing}, aks: {apiServer: {access: Public}}, cluster: {properties: {apiServerAccessProfile: {authorizedIPRanges: [198.51.100.0/24]}}}}",
        NONE,
    );
}

#[test]
fn an_api_server_moves_into_a_subnet_once() {
    let net = "/subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets";
    let pools = format!(
        "pools: {{system: {{aks: {{vnetSubnetId: {net}/nodes}}}}, web: {{aks: {{vnetSubnetId: {net}/nodes}}}}}}, seen: {{system: {{vnetSubnetID: {net}/nodes}}, web: {{vnetSubnetID: {net}/nodes}}}}"
    );
    check(
        &format!("{{aks: {{apiServer: {{access: Public, vnetSubnetId: {net}/api}}}}, {pools}}}"),
        &["~ roll control plane vnet-integration off → on"],
    );
    check(
        &format!(
            "{{aks: {{apiServer: {{access: Public, vnetSubnetId: {net}/api}}}}, {pools}, cluster: {{properties: {{apiServerAccessProfile: {{enableVnetIntegration: true, subnetId: {net}/old}}}}}}}}"
        ),
        &[&format!(
            "! spec.aks.apiServer.vnetSubnetId: declared {net}/api, found {net}/old: AKS keeps the subnet of an API server for good"
        )],
    );
}

#[test]
fn a_network_moves_forward_only() {
    check(
        "{cluster: {properties: {networkProfile: {networkDataplane: azure, networkPolicy: azure}}}}",
        &[
            "~ roll control plane network  spec.aks.network.dataplane: declared Cilium, found Azure; spec.aks.network.policy: declared Cilium, found Azure",
        ],
    );
    check(
        "{aks: {network: {dataplane: Azure, policy: Calico}}, cluster: {properties: {networkProfile: {networkPolicy: calico}}}}",
        &[
            "! spec.aks.network.dataplane: declared Azure, found Cilium: AKS knows no way back from dataplane Cilium",
        ],
    );
    check(
        "{aks: {network: {podCidr: 10.100.0.0/16}}, cluster: {properties: {networkProfile: {networkPluginMode: null, podCidr: null, podCidrs: null}}}}",
        &[
            "~ roll control plane network  spec.aks.network.pluginMode: declared Overlay, found none; and 1 more",
        ],
    );
    check(
        "{cluster: {properties: {networkProfile: {networkPlugin: kubenet, networkPluginMode: null, networkDataplane: azure, networkPolicy: null}}}, aks: {network: {dataplane: null, policy: null}}}",
        &[
            "~ roll control plane network  spec.aks.network.plugin: declared Azure, found Kubenet; and 1 more",
        ],
    );
    check(
        "{cluster: {properties: {networkProfile: {networkPlugin: none}}}}",
        &[
            "! spec.aks.network.plugin: declared Azure, found None: AKS keeps the plugin for good, but for Kubenet that becomes Azure with Overlay",
        ],
    );
}

#[test]
fn what_aks_keeps_for_good_is_refused() {
    for (case, expect) in [
        (
            "{aks: {network: {podCidr: 10.100.0.0/16}}}",
            "! spec.aks.network.podCidr: declared 10.100.0.0/16, found 10.244.0.0/16: AKS keeps the range of pods for good",
        ),
        (
            "{aks: {network: {serviceCidr: 10.8.0.0/16}}}",
            "! spec.aks.network.serviceCidr: declared 10.8.0.0/16, found 10.0.0.0/16: AKS keeps the range of Services for good",
        ),
        (
            "{aks: {network: {dnsServiceIp: 10.0.0.53}}}",
            "! spec.aks.network.dnsServiceIp: declared 10.0.0.53, found 10.0.0.10: AKS keeps the address of the DNS for good",
        ),
        (
            "{aks: {dnsPrefix: other}}",
            "! spec.aks.dnsPrefix: declared other, found retail-we: AKS keeps the DNS name of a cluster for good",
        ),
        (
            "{aks: {nodeResourceGroup: other}}",
            "! spec.aks.nodeResourceGroup: declared other, found MC_rg-retail_retail-we_westeurope: AKS keeps the resource group of nodes for good",
        ),
        (
            "{aks: {diskEncryptionSetId: /subscriptions/SUB/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/disks}}",
            "! spec.aks.diskEncryptionSetId: declared /subscriptions/SUB/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/disks, found none: AKS keeps the encryption of disks for good",
        ),
    ] {
        check(case, &[expect]);
    }
}

#[test]
fn the_way_out_changes_on_a_living_cluster() {
    check(
        "{aks: {network: {outbound: ManagedNatGateway}}}",
        &[
            "~ update control plane outbound  spec.aks.network.outbound: declared ManagedNatGateway, found LoadBalancer",
        ],
    );
}

#[test]
fn azures_own_automatics_are_kept_as_declared() {
    check(
        "{aks: {autoUpgrade: {kubernetes: Patch, nodeOs: SecurityPatch}}}",
        &[
            "~ update control plane auto-upgrade  spec.aks.autoUpgrade.nodeOs: declared SecurityPatch, found NodeImage; and 1 more",
        ],
    );
    check(
        "{aks: {autoscaler: {scan-interval: 20s, expander: least-waste}}, cluster: {properties: {autoScalerProfile: {scan-interval: 10s, expander: least-waste}}}}",
        &[
            "~ update control plane autoscaler  spec.aks.autoscaler[scan-interval]: declared 20s, found 10s",
        ],
    );
    check(
        "{aks: {managedAddOns: [{name: azurepolicy, state: Enabled, config: {version: v2}}]}, cluster: {properties: {addonProfiles: {azurePolicy: {enabled: false, config: {version: v1}}}}}}",
        &[
            "~ update control plane add-ons  spec.aks.managedAddOns[azurepolicy].config[version]: declared v2, found v1; and 1 more",
        ],
    );
}

#[test]
fn a_patch_is_kept_by_its_own_keys() {
    check(
        "{aks: {payloadPatch: {properties: {nodeProvisioningProfile: {mode: Auto}}}}}",
        &[
            "~ update control plane patch:nodeProvisioningProfile  spec.aks.payloadPatch.properties.nodeProvisioningProfile.mode: declared Auto, found none",
        ],
    );
    check(
        "{aks: {payloadPatch: {properties: {httpProxyConfig: {httpProxy: 'http://proxy:3128'}}}}}",
        &["~ roll control plane patch:httpProxyConfig none → http://proxy:3128"],
    );
}

#[test]
fn one_kind_of_change_at_a_time() {
    check(
        "{aks: {tier: Free, autoscaler: {scan-interval: 20s}}}",
        &[
            "~ update control plane autoscaler  spec.aks.autoscaler[scan-interval]: declared 20s, found none",
            ". later: ~ update control plane tier  spec.aks.tier: declared Free, found Standard (waits: update of control plane)",
        ],
    );
}
