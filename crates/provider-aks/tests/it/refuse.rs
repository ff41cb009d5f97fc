//! What AKS refuses, refused before it is sent, with the reason.

use crate::support::account;
use crate::world::problems;

/// The only problem of a declaration.
#[track_caller]
fn check(case: &str, expect: &str) {
    assert_eq!(problems(case, account()), [expect], "in {case}");
}

#[track_caller]
fn fine(case: &str) {
    assert_eq!(problems(case, account()), [""; 0], "in {case}");
}

#[test]
fn network_choices_go_together() {
    for (case, expect) in [
        (
            "{aks: {network: {dataplane: Azure}}}",
            "spec.aks.network.policy: Cilium needs dataplane Cilium: AKS refuses it on any other",
        ),
        (
            "{aks: {network: {dataplane: null}}}",
            "spec.aks.network.policy: Cilium needs dataplane Cilium: AKS refuses it on any other",
        ),
        (
            "{aks: {network: {policy: Calico}}}",
            "spec.aks.network.policy: Calico does not go with dataplane Cilium, which enforces by itself",
        ),
        (
            "{aks: {network: {policy: None}}}",
            "spec.aks.network.policy: None does not go with dataplane Cilium, which always enforces",
        ),
        (
            "{aks: {network: {plugin: Kubenet, pluginMode: null}}}",
            "spec.aks.network.dataplane: Cilium needs plugin Azure, not Kubenet",
        ),
        (
            "{aks: {network: {plugin: None, dataplane: Azure, policy: null}}}",
            "spec.aks.network.pluginMode: Overlay is a mode of plugin Azure; None has none",
        ),
        (
            "{aks: {network: {plugin: Kubenet, pluginMode: null, dataplane: null, policy: Azure}}}",
            "spec.aks.network.policy: Azure needs plugin Azure, not Kubenet",
        ),
        (
            "{aks: {network: {plugin: None, pluginMode: null, dataplane: null, policy: Calico}}}",
            "spec.aks.network.policy: Calico does not go with plugin None: bring your own with the plugin",
        ),
        (
            "{aks: {network: {pluginMode: null, podCidr: 10.100.0.0/16}}}",
            "spec.aks.network.podCidr: needs pluginMode Overlay or plugin Kubenet: with plugin Azure alone pods have no range of AKS's",
        ),
    ] {
        check(case, expect);
    }
    fine("{aks: {network: {pluginMode: null}}}");
    fine("{aks: {network: {policy: null}}}");
    // AKS's own default is Overlay.
    fine("{aks: {network: {plugin: null, pluginMode: null, podCidr: 10.100.0.0/16}}}");
}

#[test]
fn ranges_fit_together() {
    for (case, expect) in [
        (
            "{aks: {network: {podCidr: 10.0.0.0/14}}}",
            "spec.aks.network.podCidr: pods in 10.0.0.0/14 and Services in 10.0.0.0/16 overlap",
        ),
        (
            "{aks: {network: {serviceCidr: 10.244.0.0/20}}}",
            "spec.aks.network.serviceCidr: pods in 10.244.0.0/16 and Services in 10.244.0.0/20 overlap",
        ),
        (
            "{aks: {network: {plugin: null, pluginMode: null, serviceCidr: 10.244.0.0/20}}}",
            "spec.aks.network.serviceCidr: pods in 10.244.0.0/16 and Services in 10.244.0.0/20 overlap",
        ),
        (
            "{aks: {network: {podCidr: 10.100.0.1/16}}}",
            r#"spec.aks.network.podCidr: "10.100.0.1/16" is not an IPv4 range; write it like 10.0.0.0/16, without host bits"#,
        ),
        (
            "{aks: {network: {podCidr: 172.16.0.0/12}}}",
            "spec.aks.network.podCidr: 172.16.0.0/12 overlaps 172.30.0.0/16, which AKS keeps for itself",
        ),
        (
            "{aks: {network: {podCidr: 192.168.0.0/16, serviceCidr: 10.0.0.0/8}}}",
            "spec.aks.network.serviceCidr: /8 is larger than /12, the largest range of Services that AKS takes",
        ),
        (
            "{aks: {network: {dnsServiceIp: 10.1.0.10}}}",
            "spec.aks.network.dnsServiceIp: 10.1.0.10 does not lie in the range of Services, 10.0.0.0/16",
        ),
        (
            "{aks: {network: {serviceCidr: 10.8.0.0/16, dnsServiceIp: 10.8.0.1}}}",
            "spec.aks.network.dnsServiceIp: 10.8.0.1 is the first address of the range, which is the API server's",
        ),
        (
            "{aks: {network: {dnsServiceIp: ten}}}",
            r#"spec.aks.network.dnsServiceIp: "ten" is not an IPv4 address"#,
        ),
    ] {
        check(case, expect);
    }
    fine("{aks: {network: {serviceCidr: 10.8.0.0/16, dnsServiceIp: 10.8.0.53}}}");
    // With addresses of the subnet there is no other range; and others may have made it so.
    fine("{aks: {network: {pluginMode: null, serviceCidr: 10.244.0.0/20}}}");
    fine(
        "{spec: {adoption: Existing}, aks: {network: {plugin: null, pluginMode: null, serviceCidr: 10.244.0.0/20}}}",
    );
}

#[test]
fn the_way_out_needs_what_it_leads_through() {
    let nodes = "/subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes";
    let own = format!(
        "pools: {{system: {{aks: {{vnetSubnetId: {nodes}}}}}, web: {{aks: {{vnetSubnetId: {nodes}}}}}}}"
    );
    check(
        "{aks: {network: {outbound: UserDefinedRouting}}}",
        "spec.aks.network.outbound: UserDefinedRouting needs aks.vnetSubnetId on the pools: the route table is that of your subnet",
    );
    check(
        "{aks: {network: {outbound: UserAssignedNatGateway}}}",
        "spec.aks.network.outbound: UserAssignedNatGateway needs aks.vnetSubnetId on the pools: the NAT gateway is that of your subnet",
    );
    check(
        &format!("{{aks: {{network: {{outbound: ManagedNatGateway}}}}, {own}}}"),
        "spec.aks.network.outbound: ManagedNatGateway does not go with subnets of yours; UserAssignedNatGateway does",
    );
    check(
        &format!(
            "{{aks: {{network: {{outbound: UserDefinedRouting, plugin: Kubenet, pluginMode: null, dataplane: null, policy: null}}}}, {own}}}"
        ),
        "spec.aks.identity: must be UserAssigned with plugin Kubenet and a route table of yours",
    );
    fine(&format!("{{aks: {{network: {{outbound: UserDefinedRouting}}}}, {own}}}"));
    fine("{aks: {network: {outbound: ManagedNatGateway}}}");
}

#[test]
fn nodes_are_in_one_virtual_network() {
    let subnet = |network: &str| {
        format!(
            "/subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/{network}/subnets/nodes"
        )
    };
    let (hub, other) = (subnet("hub"), subnet("other"));
    check(
        &format!("{{pools: {{web: {{aks: {{vnetSubnetId: {hub}}}}}}}}}"),
        "spec.nodePools[system].aks.vnetSubnetId: is missing; other pools have one, and AKS takes all nodes in one virtual network",
    );
    check(
        &format!(
            "{{pools: {{system: {{aks: {{vnetSubnetId: {hub}}}}}, web: {{aks: {{vnetSubnetId: {other}}}}}}}}}"
        ),
        "spec.nodePools: have subnets in different virtual networks; AKS takes one network",
    );
    check(
        &format!(
            "{{aks: {{network: {{pluginMode: null}}}}, pools: {{web: {{aks: {{podSubnetId: {hub}}}}}}}}}"
        ),
        "spec.nodePools[web].aks.podSubnetId: needs vnetSubnetId: AKS takes a subnet of pods beside one of nodes only",
    );
    check(
        &format!(
            "{{pools: {{system: {{aks: {{vnetSubnetId: {hub}}}}}, web: {{aks: {{vnetSubnetId: {hub}, podSubnetId: {hub}}}}}}}}}"
        ),
        "spec.nodePools[web].aks.podSubnetId: does not go with pluginMode Overlay: pods have a range of their own there",
    );
    check(
        &format!(
            "{{pools: {{system: {{aks: {{vnetSubnetId: {hub}}}}}, web: {{aks: {{vnetSubnetId: /subscriptions/SUB/nodes}}}}}}}}"
        ),
        r#"spec.nodePools[web].aks.vnetSubnetId: "/subscriptions/SUB/nodes" is not the id of such a resource; write it like /subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Network/virtualNetworks/<name>/subnets/<name>"#,
    );
    check(
        &format!("{{aks: {{apiServer: {{access: Public, vnetSubnetId: {hub}}}}}}}"),
        "spec.aks.apiServer.vnetSubnetId: needs aks.vnetSubnetId on the pools: API server and nodes share a virtual network of yours",
    );
}

#[test]
fn pods_in_a_subnet_need_a_plugin_by_name() {
    let net = "/subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets";
    let case = |plugin: &str, spec: &str| {
        format!(
            "{{{spec}aks: {{network: {{plugin: {plugin}, pluginMode: null}}}}, pools: {{system: {{aks: {{vnetSubnetId: {net}/nodes}}}}, web: {{aks: {{vnetSubnetId: {net}/nodes, podSubnetId: {net}/pods}}}}}}}}"
        )
    };
    check(
        &case("null", ""),
        "spec.nodePools[web].aks.podSubnetId: needs aks.network.plugin Azure: where none is named, AKS gives pods a range of their own",
    );
    fine(&case("Azure", ""));
    fine(&case("null", "spec: {adoption: Existing}, "));
}

#[test]
fn an_argo_cd_signs_in_by_entra_id() {
    let wanted = "registration: {argocd: {namespace: argocd}}";
    check(
        &format!("{{spec: {{{wanted}}}, aks: {{entra: null}}}}"),
        "spec.registration.argocd: needs spec.aks.entra: Argo CD signs in to an AKS cluster by Entra ID only",
    );
    fine(&format!("{{spec: {{{wanted}}}}}"));
    fine(&format!("{{spec: {{adoption: Existing, {wanted}}}, aks: {{entra: null}}}}"));
    fine("{spec: {registration: {}}, aks: {entra: null}}");
}

#[test]
fn the_api_server_is_reached_in_one_way() {
    for (case, expect) in [
        (
            "{aks: {apiServer: {access: Private, authorizedCidrs: [203.0.113.0/24]}}}",
            "spec.aks.apiServer.authorizedCidrs: mean nothing with access Private; AKS refuses both together",
        ),
        (
            "{aks: {apiServer: {access: Public, authorizedCidrs: [10.0.0.0/8]}}}",
            "spec.aks.apiServer.authorizedCidrs: 10.0.0.0/8 is not a public range; AKS refuses it",
        ),
        (
            "{aks: {apiServer: {access: Public, authorizedCidrs: [0.0.0.0/32, 203.0.113.0/24]}}}",
            "spec.aks.apiServer.authorizedCidrs: 0.0.0.0/32 stands alone or not at all",
        ),
        (
            "{aks: {apiServer: {access: Public, privateDnsZone: System}}}",
            "spec.aks.apiServer.privateDnsZone: goes with access Private only",
        ),
        (
            "{aks: {apiServer: {access: Private, privateDnsZone: /subscriptions/SUB/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.westeurope.azmk8s.io}}}",
            "spec.aks.identity: must be UserAssigned with a private DNS zone of yours: an identity that AKS makes has no rights there at birth",
        ),
        (
            "{aks: {apiServer: {access: Private, privateDnsZone: None}, payloadPatch: {properties: {apiServerAccessProfile: {enablePrivateClusterPublicFQDN: false}}}}}",
            "spec.aks.apiServer.privateDnsZone: None needs the public name, which payloadPatch switches off: the API server would have no name",
        ),
    ] {
        check(case, expect);
    }
    fine("{aks: {apiServer: {access: Public, authorizedCidrs: [0.0.0.0/32]}}}");
    fine("{aks: {apiServer: {access: Private, privateDnsZone: None}}}");
}

#[test]
fn sign_in_and_identity_go_together() {
    for (case, expect) in [
        (
            "{aks: {entra: null, payloadPatch: {properties: {disableLocalAccounts: true}}}}",
            "spec.aks.entra: is missing; without local accounts and without Entra ID nobody could sign in",
        ),
        (
            "{aks: {entra: null, payloadPatch: {properties: {aadProfile: {enableAzureRBAC: true}}}}}",
            "spec.aks.entra: is missing; Azure role assignments need sign-in by Entra ID",
        ),
        (
            "{aks: {entra: {adminGroupIds: [admins]}}}",
            r#"spec.aks.entra.adminGroupIds: "admins" is not an id of Entra; write it like 11111111-1111-1111-1111-111111111111"#,
        ),
        (
            "{aks: {identity: {type: UserAssigned}}}",
            "spec.aks.identity.resourceId: goes with type UserAssigned, and only with it",
        ),
        (
            "{aks: {identity: {type: SystemAssigned, kubeletResourceId: /subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet}}}",
            "spec.aks.identity.kubeletResourceId: needs identity type UserAssigned: AKS lets no identity of its own making hand out yours",
        ),
    ] {
        check(case, expect);
    }
}

#[test]
fn support_and_channels_keep_to_what_is_declared() {
    for (case, expect) in [
        ("{aks: {support: LongTerm}}", "spec.aks.support: LongTerm needs tier Premium"),
        (
            "{aks: {autoUpgrade: {kubernetes: Stable}}}",
            "spec.aks.autoUpgrade.kubernetes: would move the minor that spec.version declares; Patch and NodeImage keep to it",
        ),
        (
            "{aks: {autoUpgrade: {kubernetes: Rapid}}}",
            "spec.aks.autoUpgrade.kubernetes: would move the minor that spec.version declares; Patch and NodeImage keep to it",
        ),
        (
            "{aks: {autoUpgrade: {kubernetes: NodeImage, nodeOs: SecurityPatch}}}",
            "spec.aks.autoUpgrade.nodeOs: must be NodeImage, or absent, while kubernetes is NodeImage",
        ),
        (
            "{spec: {version: '1.34.2'}}",
            r#"spec.version: "1.34.2" is not MAJOR.MINOR; write it like 1.34, AKS chooses the patch"#,
        ),
    ] {
        check(case, expect);
    }
    fine("{aks: {autoUpgrade: {kubernetes: Patch}}}");
}

#[test]
fn maintenance_windows_have_azures_shape() {
    let of = |name: &str, rest: &str| {
        format!("{{aks: {{maintenanceConfigurations: [{{name: {name}, {rest}}}]}}}}")
    };
    let managed = "aksManagedAutoUpgradeSchedule";
    let at = format!("spec.aks.maintenanceConfigurations[{managed}]");
    for (name, rest, expect) in [
        (
            managed,
            "windows: [{days: [Sun], start: '02:00', duration: 3h}]",
            format!("{at}.windows: 3h is not a number of whole hours between 4h and 24h, which AKS takes"),
        ),
        (
            managed,
            "windows: [{days: [Sun], start: '02:00', duration: 25h}]",
            format!("{at}.windows: 25h is not a number of whole hours between 4h and 24h, which AKS takes"),
        ),
        (
            managed,
            "windows: [{days: [Sun], start: '02:00', duration: 250m}]",
            format!("{at}.windows: 250m is not a number of whole hours between 4h and 24h, which AKS takes"),
        ),
        (
            managed,
            "windows: [{days: [Sat], start: '02:00', duration: 4h}, {days: [Sun], start: '02:00', duration: 4h}]",
            format!("{at}.windows: holds 2 windows; AKS takes one here"),
        ),
        (
            managed,
            "windows: [{days: [Sat, Sun], start: '02:00', duration: 4h}]",
            format!("{at}.windows: is open on 2 days; AKS takes one day of the week here"),
        ),
        (
            managed,
            "windows: [{start: '02:00', duration: 4h}]",
            format!("{at}.windows: is open on 7 days; AKS takes one day of the week here"),
        ),
        (
            "default",
            "windows: [{days: [Sun], start: '02:30', duration: 4h}]",
            "spec.aks.maintenanceConfigurations[default].windows: 02:30 is not a whole hour; default counts in whole hours".into(),
        ),
        (
            "default",
            "windows: [{days: [Sun], start: '02:00', duration: 90m}]",
            "spec.aks.maintenanceConfigurations[default].windows: 90m is not a number of whole hours between 1h and 24h".into(),
        ),
        (
            "default",
            "windows: [{days: [Sun], start: '02:00', duration: 4h}], utcOffset: '+05:30'",
            "spec.aks.maintenanceConfigurations[default].utcOffset: default counts in whole hours of UTC; the offset must be whole hours".into(),
        ),
        (
            "default",
            "windows: [{days: [Sun], start: '02:00', duration: 4h}], intervalWeeks: 2",
            "spec.aks.maintenanceConfigurations[default].intervalWeeks: default is every week in AKS".into(),
        ),
        (
            "other",
            "windows: [{days: [Sun], start: '02:00', duration: 4h}]",
            "spec.aks.maintenanceConfigurations[other].name: AKS knows default, aksManagedAutoUpgradeSchedule and aksManagedNodeOSUpgradeSchedule only".into(),
        ),
    ] {
        check(&of(name, rest), &expect);
    }
    fine(&of(managed, "windows: [{days: [Sun], start: '02:30', duration: 24h}]"));
    fine(&of("default", "windows: [{start: '22:00', duration: 4h}]"));
}

#[test]
fn pools_are_such_as_aks_makes() {
    for (case, expect) in [
        (
            "{pools: {general-purpose: {}}}",
            "spec.nodePools[general-purpose].name: AKS takes no such name: a lower-case letter, then lower-case letters and digits, 12 characters at most",
        ),
        (
            "{pools: {'0web': {}}}",
            "spec.nodePools[0web].name: AKS takes no such name: a lower-case letter, then lower-case letters and digits, 12 characters at most",
        ),
        (
            "{pools: {windows: {aks: {os: Windows, osSku: Windows2022}}}, aks: {network: null}}",
            "spec.nodePools[windows].name: AKS takes no such name of a Windows pool: a lower-case letter, then lower-case letters and digits, 6 characters at most",
        ),
        (
            "{pools: {web: {capacity: CapacityBlock}}}",
            "spec.nodePools[web].capacity: AKS has no CapacityBlock; reserved machines are a capacity reservation group, aks.payloadPatch.capacityReservationGroupID",
        ),
        (
            "{pools: {web: {role: System, capacity: Spot}}}",
            "spec.nodePools[web].capacity: AKS takes no Spot pool with role System",
        ),
        (
            "{pools: {web: {role: System, size: {min: 0}}}}",
            "spec.nodePools[web].size.min: AKS wants one node at least of a pool with role System",
        ),
        (
            "{pools: {web: {capacity: Spot, aks: {maxSurge: 33%}}}}",
            "spec.nodePools[web].aks.maxSurge: does not go with capacity Spot: AKS adds no nodes to such a pool in an upgrade",
        ),
        (
            "{pools: {web: {aks: {spotMaxPrice: '0.25'}}}}",
            "spec.nodePools[web].aks.spotMaxPrice: goes with capacity Spot only",
        ),
        (
            "{pools: {web: {aks: {evictionPolicy: Delete}}}}",
            "spec.nodePools[web].aks.evictionPolicy: goes with capacity Spot only",
        ),
    ] {
        check(case, expect);
    }
    fine("{pools: {web: {capacity: Spot, labels: {kubernetes.azure.com/scalesetpriority: spot}}}}");
}

#[test]
fn upgrades_and_machines_are_within_what_aks_takes() {
    for (case, expect) in [
        (
            "{pools: {web: {aks: {nodeSoak: 31m}}}}",
            r#"spec.nodePools[web].aks.nodeSoak: "31m" is not a number of whole minutes up to 30m"#,
        ),
        (
            "{pools: {web: {update: {drainTimeout: 90s}}}}",
            r#"spec.nodePools[web].update.drainTimeout: "90s" is not a number of whole minutes between 1m and 24h, which AKS takes"#,
        ),
        (
            "{pools: {web: {update: {maxUnavailable: 1}, aks: {maxSurge: 1}}}}",
            "spec.nodePools[web].aks.maxSurge: does not go with update.maxUnavailable: AKS either adds nodes or takes some away",
        ),
        (
            "{pools: {system: {update: {maxUnavailable: 1}}}}",
            "spec.nodePools[system].update.maxUnavailable: AKS takes it for pools with role User only; aks.maxSurge adds nodes instead",
        ),
        (
            "{pools: {web: {aks: {maxSurge: 0}}}}",
            "spec.nodePools[web].aks.maxSurge: is 0; without nodes that are added AKS needs update.maxUnavailable above 0",
        ),
        (
            "{pools: {web: {aks: {maxSurge: many}}}}",
            r#"spec.nodePools[web].aks.maxSurge: "many" is neither a number of nodes nor a share such as 33%"#,
        ),
        (
            "{pools: {web: {aks: {diskSizeGib: 16}}}}",
            "spec.nodePools[web].aks.diskSizeGib: 16 is not between 30 and 2048, which AKS takes",
        ),
        (
            "{pools: {system: {aks: {maxPods: 20}}}}",
            "spec.nodePools[system].aks.maxPods: 20 is not between 30 and 250, which AKS takes of a pool with role System",
        ),
        (
            "{pools: {web: {aks: {osSku: Windows2022}}}}",
            "spec.nodePools[web].aks.osSku: Windows2022 is Windows; it needs os Windows",
        ),
        (
            "{pools: {web: {labels: {kubernetes.azure.com/mode: user}}}}",
            "spec.nodePools[web].labels[kubernetes.azure.com/mode]: AKS keeps labels under kubernetes.azure.com/ for itself",
        ),
        (
            "{pools: {web: {aks: null}}}",
            "spec.nodePools[web].aks: is missing; a pool of an AKS cluster needs it",
        ),
        (
            "{pools: {web: {taints: [{key: a, effect: NoSchedule}, {key: a, value: b, effect: NoSchedule}]}}}",
            "spec.nodePools[web].taints: a with effect NoSchedule stands there twice",
        ),
    ] {
        check(case, expect);
    }
    fine("{pools: {web: {update: {drainTimeout: 24h}, aks: {maxSurge: 33%, nodeSoak: 30m}}}}");
}

#[test]
fn a_cluster_has_a_pool_for_its_own_programs() {
    let missing = "spec.nodePools: holds no pool with role System, capacity OnDemand, os Linux and min of 1 or more; AKS makes no cluster without one";
    check("{pools: {system: null}}", missing);
    check("{pools: {system: {role: User}}}", missing);
    fine("{pools: {system: null, web: null}, spec: {adoption: Existing}}");
}

#[test]
fn windows_pools_need_a_network_of_azures() {
    let windows = "pools: {win: {aks: {os: Windows, osSku: Windows2022}}}";
    check(
        &format!("{{{windows}}}"),
        "spec.nodePools[win].aks.os: Windows does not go with dataplane Cilium, which runs on Linux only",
    );
    check(
        &format!(
            "{{{windows}, aks: {{network: {{plugin: Kubenet, pluginMode: null, dataplane: null, policy: null}}}}}}"
        ),
        "spec.nodePools[win].aks.os: Windows needs plugin Azure, not Kubenet",
    );
    check(
        "{pools: {win: {role: System, aks: {os: Windows, osSku: Windows2022}}}, aks: {network: null}}",
        "spec.nodePools[win].role: AKS takes no Windows pool with role System",
    );
}

#[test]
fn add_ons_and_the_autoscaler_have_known_settings() {
    for (case, expect) in [
        (
            "{aks: {managedAddOns: [{name: azurepolicy, state: Enabled}, {name: azurePolicy, state: Disabled}]}}",
            r#"spec.aks.managedAddOns: "azurePolicy" stands there twice"#,
        ),
        (
            "{aks: {managedAddOns: [{name: azurepolicy, state: Disabled, config: {a: b}}]}}",
            "spec.aks.managedAddOns[azurepolicy].config: means nothing with state Disabled",
        ),
        (
            "{aks: {autoscaler: {expander: cheapest}}}",
            r#"spec.aks.autoscaler[expander]: "cheapest" is not least-waste, most-pods, priority or random"#,
        ),
        (
            "{aks: {autoscaler: {scale-down-unneeded-time: 90s}}}",
            r#"spec.aks.autoscaler[scale-down-unneeded-time]: "90s" is not a number of minutes such as 10m; AKS takes no other unit"#,
        ),
    ] {
        check(case, expect);
    }
    let found = problems("{aks: {autoscaler: {scan-intervall: 20s}}}", account());
    assert!(found[0].starts_with(
        "spec.aks.autoscaler[scan-intervall]: AKS knows no such setting; it knows balance-similar-node-groups, "
    ));
}
