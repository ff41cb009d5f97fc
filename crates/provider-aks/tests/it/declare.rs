//! From a declaration to requests, or to problems.

use fleetwright_provider::Provider as _;
use serde_json::{Value, json};

use crate::support::{
    SUBSCRIPTION, account, cluster, desire, desired, parsed, pool_tags, silent, tags,
};
use crate::world::{manifest, merge, problems, yaml};

/// An edit that gives every field of the declaration.
pub(crate) const EVERYTHING: &str = "
spec: {tags: {cost-center: '4711'}}
aks:
  dnsPrefix: retail
  nodeResourceGroup: rg-retail-nodes
  tier: Premium
  support: LongTerm
  identity:
    type: UserAssigned
    resourceId: /subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cp
    kubeletResourceId: /subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet
  entra:
    localAccounts: Disabled
    workloadIdentity: Enabled
    adminGroupIds: [22222222-2222-2222-2222-222222222222, 11111111-1111-1111-1111-111111111111]
    authorization: Azure
    tenantId: 72f988bf-86f1-41af-91ab-2d7cd011db47
  apiServer:
    access: Private
    privateDnsZone: /subscriptions/SUB/resourceGroups/dns/providers/Microsoft.Network/privateDnsZones/privatelink.westeurope.azmk8s.io
    runCommand: Disabled
    vnetSubnetId: /subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/api
  network: {outbound: UserDefinedRouting, podCidr: 10.100.0.0/16, serviceCidr: 10.0.0.0/16, dnsServiceIp: 10.0.0.53}
  autoUpgrade: {kubernetes: NodeImage, nodeOs: NodeImage}
  maintenanceConfigurations:
  - {name: default, windows: [{days: [Sat], start: '22:00', duration: 4h}, {days: [Sun], start: '01:00', duration: 2h}], utcOffset: '+01:00'}
  - {name: aksManagedNodeOSUpgradeSchedule, windows: [{days: [Sun], start: '02:30', duration: 4h}], utcOffset: '+05:30', intervalWeeks: 2}
  autoscaler: {scan-interval: 20s, expander: least-waste, daemonset-eviction-for-empty-nodes: 'true'}
  managedAddOns:
  - {name: azurepolicy, state: Enabled}
  - {name: omsagent, state: Enabled, config: {logAnalyticsWorkspaceResourceID: /subscriptions/SUB/x}}
  - {name: httpApplicationRouting, state: Disabled}
  diskEncryptionSetId: /subscriptions/SUB/resourceGroups/keys/providers/Microsoft.Compute/diskEncryptionSets/disks
  payloadPatch: {properties: {nodeProvisioningProfile: {mode: Auto}}}
pools:
  system:
    aks:
      maxPods: 50
      vnetSubnetId: /subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes
  web:
    capacity: OnDemand
    imageUpdates: InWindow
    update: {maxUnavailable: 2, drainTimeout: 20m, onDrainTimeout: Force}
    taints: [{key: dedicated, value: web, effect: NoSchedule}, {key: slow, effect: PreferNoSchedule}]
    aks:
      zones: ['3', '1']
      vnetSubnetId: /subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes
      os: Linux
      diskSizeGib: 128
      diskType: Ephemeral
      maxPods: 110
      nodeSoak: 5m
      encryptionAtHost: Enabled
      fips: Disabled
      payloadPatch: {kubeletConfig: {cpuManagerPolicy: static}}
";

#[test]
fn a_declaration_becomes_one_put_each() {
    let desired = desired();
    assert_eq!(
        desired.address.to_string(),
        format!("aks:westeurope/{SUBSCRIPTION}/rg-retail/retail-we")
    );
    assert_eq!((desired.generation, desired.version.minor), (3, 34));
    let mut system_tags = tags();
    system_tags["fleetwright.dev_pool"] = json!("system");
    let system = json!({
        "count": 3, "enableAutoScaling": false, "vmSize": "Standard_D4ds_v5", "osSKU": "AzureLinux",
        "availabilityZones": ["1", "2", "3"], "mode": "System", "type": "VirtualMachineScaleSets",
        "tags": system_tags,
    });
    let mut first = system.clone();
    first["name"] = json!("system");
    assert_eq!(
        desired.body,
        json!({
            "location": "westeurope",
            "tags": tags(),
            "sku": {"name": "Base", "tier": "Standard"},
            "identity": {"type": "SystemAssigned"},
            "properties": {
                "kubernetesVersion": "1.34",
                "dnsPrefix": "retail-we",
                "enableRBAC": true,
                "aadProfile": {"managed": true, "adminGroupObjectIDs": [], "enableAzureRBAC": false},
                "disableLocalAccounts": true,
                "oidcIssuerProfile": {"enabled": true},
                "securityProfile": {"workloadIdentity": {"enabled": true}},
                "networkProfile": {
                    "networkPlugin": "azure", "networkPluginMode": "overlay",
                    "networkDataplane": "cilium", "networkPolicy": "cilium",
                },
                "agentPoolProfiles": [first],
            },
            "_birth": ["properties.enableRBAC", "properties.dnsPrefix", "identity", "sku.name"],
        })
    );
    assert_eq!(desired.pools.len(), 2);
    assert_eq!(desired.pools[0].body, json!({"properties": system, "_birth": ["properties.type"]}));
    assert_eq!(
        desired.pools[1].body,
        json!({
            "properties": {
                "count": 3, "enableAutoScaling": true, "minCount": 2, "maxCount": 10,
                "vmSize": "Standard_D8ds_v5", "osSKU": "AzureLinux", "mode": "User",
                "type": "VirtualMachineScaleSets", "nodeLabels": {"workload": "web"}, "tags": pool_tags(),
            },
            "_birth": ["properties.type", "properties.count"],
        })
    );
}

#[test]
fn every_field_arrives_in_its_request() {
    let desired = desire(manifest(&yaml(EVERYTHING)), account()).expect("no problems");
    let id = |rest: &str| format!("/subscriptions/{SUBSCRIPTION}/resourceGroups/{rest}");
    let own = id("ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cp");
    let subnet =
        |name| id(&format!("net/providers/Microsoft.Network/virtualNetworks/hub/subnets/{name}"));
    let mut body = desired.body.clone();
    assert_eq!(body["properties"]["agentPoolProfiles"][0]["vnetSubnetID"], subnet("nodes"));
    merge(&mut body, &json!({"properties": {"agentPoolProfiles": null}}));
    let mut tags = tags();
    tags["cost-center"] = json!("4711");
    assert_eq!(
        body,
        json!({
            "location": "westeurope",
            "tags": tags,
            "sku": {"name": "Base", "tier": "Premium"},
            "identity": {"type": "UserAssigned", "userAssignedIdentities": {own: {}}},
            "properties": {
                "kubernetesVersion": "1.34",
                "dnsPrefix": "retail",
                "nodeResourceGroup": "rg-retail-nodes",
                "enableRBAC": true,
                "supportPlan": "AKSLongTermSupport",
                "diskEncryptionSetID": id("keys/providers/Microsoft.Compute/diskEncryptionSets/disks"),
                "identityProfile": {"kubeletidentity": {"resourceId":
                    id("ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet")}},
                "aadProfile": {
                    "managed": true, "enableAzureRBAC": true,
                    "tenantID": "72f988bf-86f1-41af-91ab-2d7cd011db47",
                    "adminGroupObjectIDs": [
                        "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
                    ],
                },
                "disableLocalAccounts": true,
                "oidcIssuerProfile": {"enabled": true},
                "securityProfile": {"workloadIdentity": {"enabled": true}},
                "apiServerAccessProfile": {
                    "enablePrivateCluster": true,
                    "privateDNSZone":
                        id("dns/providers/Microsoft.Network/privateDnsZones/privatelink.westeurope.azmk8s.io"),
                    "disableRunCommand": true,
                    "enableVnetIntegration": true,
                    "subnetId": subnet("api"),
                },
                "networkProfile": {
                    "networkPlugin": "azure", "networkPluginMode": "overlay",
                    "networkDataplane": "cilium", "networkPolicy": "cilium",
                    "outboundType": "userDefinedRouting", "podCidr": "10.100.0.0/16",
                    "serviceCidr": "10.0.0.0/16", "dnsServiceIP": "10.0.0.53",
                },
                "autoUpgradeProfile": {"upgradeChannel": "node-image", "nodeOSUpgradeChannel": "NodeImage"},
                "autoScalerProfile": {
                    "scan-interval": "20s", "expander": "least-waste",
                    "daemonset-eviction-for-empty-nodes": true,
                },
                "addonProfiles": {
                    "azurepolicy": {"enabled": true},
                    "omsagent": {"enabled": true, "config":
                        {"logAnalyticsWorkspaceResourceID": format!("/subscriptions/{SUBSCRIPTION}/x")}},
                    "httpApplicationRouting": {"enabled": false},
                },
                "nodeProvisioningProfile": {"mode": "Auto"},
            },
            "_birth": ["properties.enableRBAC", "sku.name"],
            "_maintenanceDeclared": true,
        })
    );
}

#[test]
fn every_field_of_a_pool_arrives_in_its_request() {
    let desired = desire(manifest(&yaml(EVERYTHING)), account()).expect("no problems");
    let subnet = format!(
        "/subscriptions/{SUBSCRIPTION}/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes"
    );
    let mut pool_tags = pool_tags();
    pool_tags["cost-center"] = json!("4711");
    assert_eq!(
        desired.pools[1].body,
        json!({
            "properties": {
                "count": 3, "enableAutoScaling": true, "minCount": 2, "maxCount": 10, "mode": "User",
                "type": "VirtualMachineScaleSets", "vmSize": "Standard_D8ds_v5", "osSKU": "AzureLinux",
                "osType": "Linux", "osDiskSizeGB": 128, "osDiskType": "Ephemeral", "maxPods": 110,
                "availabilityZones": ["1", "3"], "vnetSubnetID": subnet,
                "scaleSetPriority": "Regular", "enableEncryptionAtHost": true, "enableFIPS": false,
                "nodeLabels": {"workload": "web"},
                "nodeTaints": ["dedicated=web:NoSchedule", "slow:PreferNoSchedule"],
                "upgradeSettings": {
                    "maxSurge": "0", "maxUnavailable": "2", "drainTimeoutInMinutes": 20,
                    "nodeSoakDurationInMinutes": 5,
                },
                "kubeletConfig": {"cpuManagerPolicy": "static"},
                "tags": pool_tags,
            },
            "_birth": ["properties.type", "properties.count"],
            "_image": "InWindow",
        })
    );
    assert_eq!(desired.pools[1].drain_timeout.as_secs(), 1200);
}

#[test]
fn a_window_of_azures_is_written_in_its_own_form() {
    let desired = desire(manifest(&yaml(EVERYTHING)), account()).expect("no problems");
    let parts: Vec<(&str, &Value)> =
        desired.parts.iter().map(|part| (part.key.name.as_str(), &part.body)).collect();
    assert_eq!(
        parts,
        [
            (
                "aksManagedNodeOSUpgradeSchedule",
                &json!({"properties": {"maintenanceWindow": {
                    "schedule": {"weekly": {"intervalWeeks": 2, "dayOfWeek": "Sunday"}},
                    "durationHours": 4, "startTime": "02:30", "utcOffset": "+05:30",
                }}})
            ),
            (
                "default",
                &json!({"properties": {"timeInWeek": [
                    {"day": "Saturday", "hourSlots": [21, 22, 23]},
                    {"day": "Sunday", "hourSlots": [0, 1]},
                ]}})
            ),
        ]
    );
}

#[test]
fn the_order_of_pools_zones_and_groups_does_not_matter() {
    let one = yaml(
        "{aks: {entra: {adminGroupIds: [22222222-2222-2222-2222-222222222222, 11111111-1111-1111-1111-111111111111]}}}",
    );
    let other = yaml(
        "{aks: {entra: {adminGroupIds: [11111111-1111-1111-1111-111111111111, 22222222-2222-2222-2222-222222222222]}}}",
    );
    let mut turned = manifest(&other);
    turned["spec"]["nodePools"].as_array_mut().expect("pools").reverse();
    turned["spec"]["nodePools"][1]["aks"]["zones"] = json!(["3", "1", "2"]);
    assert_eq!(desire(manifest(&one), account()), desire(turned, account()));
}

#[test]
fn a_clusters_own_tag_wins_over_its_accounts_whatever_its_case() {
    let desired = desire(manifest(&yaml("{spec: {tags: {Team: treasury}}}")), account())
        .expect("no problems");
    let tags = desired.body["tags"].as_object().expect("tags");
    let names: Vec<&str> = tags.keys().map(String::as_str).collect();
    assert_eq!(names.iter().filter(|name| name.eq_ignore_ascii_case("team")).count(), 1);
    assert_eq!(tags["Team"], "treasury");
    assert_eq!(tags["fleetwright.dev_uid"], "0001");
    assert_eq!(desired.tags["fleetwright.dev/uid"], "0001");
}

#[test]
fn all_problems_are_told_at_once() {
    let found = problems(
        "
spec:
  version: latest
  tags: {fleetwright.dev/uid: mine, a/b: c, aks-managed-x: x, azure-env: z}
aks: {location: West Europe, resourceGroup: rg., externalName: a/b, subscriptionId: sub}
pools:
  web: {size: {min: 5, max: 3, initial: null}, aks: {zones: ['1', '4', '1']}}
",
        account(),
    );
    assert_eq!(
        found,
        [
            r#"spec.version: "latest" is not a Kubernetes version; write it like 1.34"#,
            r#"spec.aks.externalName: AKS cluster name "a/b" must start and end with a letter or digit and hold only letters, digits, - and _, at most 63"#,
            r#"spec.aks.subscriptionId: "sub" is not the id of a subscription: 8-4-4-4-12 hexadecimal digits"#,
            r#"spec.aks.resourceGroup: "rg." is not the name of a resource group: letters, digits, and ( ) . _ -, no full stop at the end, at most 90"#,
            r#"spec.aks.location: "West Europe" is not an Azure region; write it like westeurope, without spaces"#,
            "spec.tags[a/b]: Azure refuses / in a tag's name",
            "spec.tags[aks-managed-x]: names that begin with aks-managed- are reserved",
            "spec.tags[azure-env]: Azure keeps names that begin with azure for itself",
            "spec.tags[fleetwright.dev/uid]: names that begin with fleetwright.dev/ are reserved",
            "spec.nodePools[web].size: min 5 is above max 3",
            r#"spec.nodePools[web].aks.zones: "1" stands there twice"#,
            r#"spec.nodePools[web].aks.zones: "4" is not a zone; Azure has "1", "2" and "3""#,
        ]
    );
}

#[test]
fn what_has_no_provider_block_is_told() {
    let mut bare = cluster();
    bare["spec"].as_object_mut().expect("spec").remove("aks");
    let found = desire(bare, account()).expect_err("problems");
    assert_eq!(found[0].to_string(), "spec.aks: is missing; this cluster's provider needs it");
    let mut aws = account();
    aws["spec"].as_object_mut().expect("spec").remove("azure");
    aws["spec"]["aws"] = json!({"identity": {"type": "Environment"}});
    let found = desire(cluster(), aws).expect_err("problems");
    assert_eq!(
        found[0].to_string(),
        "spec.providerConfigRef: ProviderConfig azure-retail has no azure block, which an AKS cluster needs"
    );
}

#[test]
fn a_region_must_be_in_the_accounts_cloud() {
    assert_eq!(
        problems("{aks: {location: chinanorth3}}", account()),
        ["spec.aks.location: chinanorth3 is in Azure's cloud China, the ProviderConfig in Public"]
    );
    let mut china = account();
    china["spec"]["azure"]["cloud"] = json!("China");
    assert_eq!(problems("{aks: {location: chinanorth3}}", china), [""; 0]);
}

#[test]
fn a_patch_may_not_say_what_or_whose_a_resource_is() {
    let found = problems(
        "
aks: {payloadPatch: {name: x, tags: {a: b}, location: here, identity: {type: None}, _birth: [],
  properties: {kubernetesVersion: '1.30', agentPoolProfiles: [], dnsPrefix: fine}}}
pools: {web: {aks: {payloadPatch: {count: 5, tags: {}, orchestratorVersion: '1.30', gpuProfile: {driver: None}}}}}
",
        account(),
    );
    let fields: Vec<&str> =
        found.iter().map(|problem| problem.split(": ").next().unwrap()).collect();
    assert_eq!(
        fields,
        [
            "spec.nodePools[web].aks.payloadPatch.tags",
            "spec.nodePools[web].aks.payloadPatch.orchestratorVersion",
            "spec.nodePools[web].aks.payloadPatch.count",
            "spec.aks.payloadPatch._birth",
            "spec.aks.payloadPatch.name",
            "spec.aks.payloadPatch.location",
            "spec.aks.payloadPatch.tags",
            "spec.aks.payloadPatch.identity",
            "spec.aks.payloadPatch.properties.kubernetesVersion",
            "spec.aks.payloadPatch.properties.agentPoolProfiles",
        ]
    );
}

#[test]
fn limits_hold_against_the_final_requests() {
    let mut account = account();
    account["spec"]["limits"] = json!({
        "accountIds": ["00000000-0000-0000-0000-000000000000"],
        "regions": ["North Europe"],
        "resourceGroups": ["rg-bank-*"],
        "identityIds": ["/subscriptions/*/resourceGroups/ids/*/cp-*"],
        "payloadPatch": "Denied",
    });
    let found = problems(
        "
aks:
  identity:
    type: UserAssigned
    resourceId: /subscriptions/SUB/resourcegroups/IDS/providers/Microsoft.ManagedIdentity/userAssignedIdentities/CP-1
    kubeletResourceId: /subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/kubelet
  payloadPatch: {properties: {httpProxyConfig: {
    trustedCa: /subscriptions/SUB/resourceGroups/x/providers/Microsoft.ManagedIdentity/userAssignedIdentities/hidden}}}
",
        account.clone(),
    );
    let where_ = "/subscriptions/SUB/resourceGroups";
    let kind = "providers/Microsoft.ManagedIdentity/userAssignedIdentities";
    let patterns = "/subscriptions/*/resourceGroups/ids/*/cp-*";
    let zero = "00000000-0000-0000-0000-000000000000";
    let elsewhere = |id: &str| format!("{id} is in subscription SUB, the limits allow {zero}");
    let hidden = format!("{where_}/x/{kind}/hidden");
    let kubelet = format!("{where_}/ids/{kind}/kubelet");
    assert_eq!(
        found,
        [
            format!("spec.aks.subscriptionId: SUB is not among the subscriptions of the account's limits: {zero}"),
            "spec.aks.location: westeurope is not among the regions of the account's limits: North Europe".into(),
            "spec.aks.resourceGroup: rg-retail is outside the account's limits.resourceGroups: rg-bank-*".into(),
            "spec.aks.payloadPatch: is denied by the account's limits".into(),
            format!(
                "spec.aks.identity.resourceId: {}",
                elsewhere(&format!("/subscriptions/SUB/resourcegroups/IDS/{kind}/CP-1"))
            ),
            format!("spec.aks.payloadPatch.properties.httpProxyConfig.trustedCa: {hidden} is outside the account's limits.identityIds: {patterns}"),
            format!("spec.aks.payloadPatch.properties.httpProxyConfig.trustedCa: {}", elsewhere(&hidden)),
            format!("spec.aks.identity.kubeletResourceId: {kubelet} is outside the account's limits.identityIds: {patterns}"),
            format!("spec.aks.identity.kubeletResourceId: {}", elsewhere(&kubelet)),
        ]
    );
    account["spec"]["limits"] = json!({
        "accountIds": [SUBSCRIPTION.to_uppercase()], "regions": ["westeurope"], "resourceGroups": ["RG-*"],
    });
    assert_eq!(problems("{}", account), [""; 0]);
}

#[test]
fn what_was_observed_says_where_the_cluster_is() {
    let address = |cluster: Value| silent().address(&parsed(cluster)).map(|at| at.to_string());
    let declared = format!("aks:westeurope/{SUBSCRIPTION}/rg-retail/retail-we");
    assert_eq!(address(cluster()), Some(declared.clone()));
    let mut seen = cluster();
    seen["spec"]["aks"]["resourceGroup"] = json!("rg-moved");
    seen["status"] = json!({"provider": "aks", "observed": {
        "region": "northeurope", "externalName": format!("{SUBSCRIPTION}/rg-old/old")}});
    assert_eq!(address(seen.clone()), Some(format!("aks:northeurope/{SUBSCRIPTION}/rg-old/old")));
    seen["status"]["provider"] = json!("eks");
    seen["spec"]["aks"]["resourceGroup"] = json!("rg-retail");
    assert_eq!(address(seen.clone()), Some(declared));
    seen["status"]["provider"] = json!("aks");
    seen["status"]["observed"]["externalName"] = json!("not a place");
    assert_eq!(address(seen), None);
    let mut derived = cluster();
    derived["spec"]["aks"].as_object_mut().expect("aks").remove("externalName");
    assert_eq!(
        address(derived),
        Some(format!("aks:westeurope/{SUBSCRIPTION}/rg-retail/retail-retail-we-303633"))
    );
}
