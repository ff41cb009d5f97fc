//! What an update sends: the operation, and the merge over what is read just before.

use fleetwright_plan::ChangeKind;
use serde_json::{Value, json};

use crate::support::{SUBSCRIPTION, TENANT};
use crate::world::{Case, yaml};

/// The only update of a case: its kind, operation and merge.
#[track_caller]
fn check(case: &str, (what, operation): (&str, &str), merge: &Value) {
    let changes = Case::read(case).changes();
    let updates: Vec<_> = changes
        .iter()
        .map(|change| match &change.kind {
            ChangeKind::Update(update) => {
                (update.what.as_str(), &update.body["operation"], &update.body["merge"])
            }
            other => panic!("{other:?} in {case}"),
        })
        .collect();
    assert_eq!(updates, [(what, &json!(operation), merge)], "in {case}");
}

const CLUSTER: &str = "ManagedClusters_CreateOrUpdate";
const POOL: &str = "AgentPools_CreateOrUpdate";
const PART: &str = "MaintenanceConfigurations_CreateOrUpdate";

#[test]
fn an_update_of_a_control_plane_says_what_changes_and_nothing_else() {
    for (case, what, merge) in [
        ("{aks: {tier: Free}}", "tier", json!({"sku": {"tier": "Free"}})),
        (
            "{spec: {version: '1.36'}}",
            "version",
            json!({"properties": {"kubernetesVersion": "1.35"}}),
        ),
        (
            "{cluster: {properties: {disableLocalAccounts: false}}}",
            "access",
            json!({"properties": {"disableLocalAccounts": true}}),
        ),
        (
            "{aks: {apiServer: {access: Public, authorizedCidrs: [203.0.113.0/24, 198.51.100.0/24]}}, cluster: {properties: {apiServerAccessProfile: {authorizedIPRanges: [203.0.113.0/24]}}}}",
            "api-server",
            json!({"properties": {"apiServerAccessProfile": {"authorizedIPRanges": ["198.51.100.0/24", "203.0.113.0/24"]}}}),
        ),
        (
            "{aks: {network: {outbound: ManagedNatGateway}}}",
            "outbound",
            json!({"properties": {"networkProfile": {"outboundType": "managedNATGateway", "loadBalancerProfile": null}}}),
        ),
        (
            "{aks: {managedAddOns: [{name: azurepolicy, state: Enabled}]}, cluster: {properties: {addonProfiles: {azurePolicy: {enabled: false}}}}}",
            "add-ons",
            json!({"properties": {"addonProfiles": {"azurePolicy": {"enabled": true}}}}),
        ),
        (
            "{aks: {payloadPatch: {properties: {nodeProvisioningProfile: {mode: Auto}}}}}",
            "patch:nodeProvisioningProfile",
            json!({"properties": {"nodeProvisioningProfile": {"mode": "Auto"}}}),
        ),
        (
            "{aks: {network: {podCidr: 10.100.0.0/16}}, cluster: {properties: {networkProfile: {networkPluginMode: null, podCidr: null, podCidrs: []}}}}",
            "network",
            json!({"properties": {"networkProfile":
                {"networkPluginMode": "overlay", "podCidr": "10.100.0.0/16", "podCidrs": ["10.100.0.0/16"]}}}),
        ),
    ] {
        check(case, (what, CLUSTER), &merge);
    }
}

#[test]
fn tags_go_by_the_names_that_are_there() {
    check(
        "{cluster: {tags: {team: null, Team: bank}}}",
        ("tags", "ManagedClusters_UpdateTags"),
        &json!({"tags": {"Team": "retail"}}),
    );
    check(
        "{seen: {web: {tags: {fleetwright.dev_pool: other}}}}",
        ("tags", POOL),
        &json!({"properties": {"tags": {"fleetwright.dev_pool": "web"}}}),
    );
}

#[test]
fn an_identity_takes_the_place_of_the_one_before() {
    let id = |name: &str| {
        format!(
            "/subscriptions/{SUBSCRIPTION}/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"
        )
    };
    let own = format!("{{type: UserAssigned, resourceId: {}}}", id("cp"));
    check(
        &format!(
            "{{aks: {{identity: {own}}}, cluster: {{identity: {{type: UserAssigned, userAssignedIdentities: {{{}: {{clientId: c}}}}}}}}}}",
            id("old")
        ),
        ("identity", CLUSTER),
        &json!({"identity": {"type": "UserAssigned", "userAssignedIdentities": {id("old"): null, id("cp"): {}}}}),
    );
    check(
        &format!(
            "{{aks: {{identity: {{type: SystemAssigned}}}}, cluster: {{identity: {{type: UserAssigned, tenantId: {TENANT}, userAssignedIdentities: {{{}: {{}}}}}}}}}}",
            id("old")
        ),
        ("identity", CLUSTER),
        &json!({"identity": {"type": "SystemAssigned", "userAssignedIdentities": null}}),
    );
}

#[test]
fn an_update_of_a_pool_says_what_changes_and_nothing_else() {
    for (case, what, merge) in [
        (
            "{pools: {web: {size: {min: 3}}}}",
            "scaling",
            json!({"enableAutoScaling": true, "minCount": 3, "maxCount": 10}),
        ),
        (
            "{pools: {web: {size: {min: 6, initial: null}}}}",
            "scaling",
            json!({"enableAutoScaling": true, "minCount": 6, "maxCount": 10, "count": 6}),
        ),
        (
            "{pools: {web: {size: {min: 4, max: 4, initial: null}}}}",
            "scaling",
            json!({"enableAutoScaling": false, "minCount": null, "maxCount": null, "count": 4}),
        ),
        (
            "{pools: {web: {labels: {workload: shop, app.kubernetes.io/part-of: x}}}}",
            "config",
            json!({"nodeLabels": {"workload": "shop", "app.kubernetes.io/part-of": "x"}}),
        ),
        (
            "{pools: {web: {labels: {a: b, workload: null}}}, seen: {web: {nodeTaints: ['gpu:NoSchedule', 'kubernetes.azure.com/x=y:NoSchedule']}}}",
            "config",
            json!({
                "nodeLabels": {"a": "b", "workload": null},
                "nodeTaints": ["kubernetes.azure.com/x=y:NoSchedule"],
            }),
        ),
        (
            "{pools: {web: {taints: [{key: a, effect: NoSchedule}]}}, seen: {web: {nodeTaints: ['old:NoExecute', 'kubernetes.azure.com/x=y:NoSchedule']}}}",
            "config",
            json!({"nodeTaints": ["a:NoSchedule", "kubernetes.azure.com/x=y:NoSchedule"]}),
        ),
        (
            "{pools: {web: {aks: {maxSurge: 33%}}}, seen: {web: {upgradeSettings: {maxSurge: '0', maxUnavailable: '2'}}}}",
            "config",
            json!({"upgradeSettings": {"maxSurge": "33%", "maxUnavailable": "0"}}),
        ),
        (
            "{seen: {web: {orchestratorVersion: '1.33', currentOrchestratorVersion: 1.33.9}}}",
            "version",
            json!({"orchestratorVersion": "1.34"}),
        ),
    ] {
        check(case, (what, POOL), &json!({"properties": merge}));
    }
    check(
        "{pools: {web: {imageUpdates: InWindow}}, latest: AKSAzureLinux-V3gen2-202611.15.0}",
        ("image", "AgentPools_UpgradeNodeImageVersion"),
        &json!({}),
    );
}

#[test]
fn a_window_takes_the_place_of_any_other_form() {
    let declared = "aks: {maintenanceConfigurations: [{name: aksManagedAutoUpgradeSchedule, windows: [{days: [Sun], start: '02:00', duration: 4h}]}]}";
    check(
        &format!(
            "{{{declared}, parts: {{aksManagedAutoUpgradeSchedule: {{maintenanceWindow: {{schedule: {{daily: {{intervalDays: 1}}}}, durationHours: 4, startTime: '02:00'}}}}}}}}"
        ),
        ("schedule", PART),
        &json!({"properties": {"maintenanceWindow": {
            "schedule": {"weekly": {"intervalWeeks": 1, "dayOfWeek": "Sunday"}, "daily": null},
            "durationHours": 4, "startTime": "02:00", "utcOffset": "+00:00",
        }}}),
    );
    let default = "aks: {maintenanceConfigurations: [{name: default, windows: [{days: [Sun], start: '02:00', duration: 1h}]}]}";
    check(
        &format!(
            "{{{default}, parts: {{default: {{maintenanceWindow: {{schedule: {{weekly: {{intervalWeeks: 1, dayOfWeek: Sunday}}}}, durationHours: 4, startTime: '02:00'}}}}}}}}"
        ),
        ("schedule", PART),
        &json!({"properties": {"timeInWeek": [{"day": "Sunday", "hourSlots": [2]}], "maintenanceWindow": null}}),
    );
}

#[test]
fn a_successor_is_as_large_as_the_pool_it_succeeds() {
    let changes =
        Case::read("{pools: {web: {aks: {vmSize: Standard_D4s_v5}}}, seen: {web: {count: 7}}}")
            .changes();
    let ChangeKind::Create { body, .. } = &changes[0].kind else { unreachable!("{changes:?}") };
    assert_eq!(body["properties"]["count"], 7);
    assert_eq!(body["properties"]["tags"]["fleetwright.dev_pool"], "web");
    let windows = "win: {aks: {os: Windows, osSku: Windows2022, vmSize: Standard_D4s_v5}}";
    let network = "aks: {network: {dataplane: Azure, policy: null}}, cluster: {properties: {networkProfile: {networkDataplane: azure, networkPolicy: null}}}";
    let changes = Case::read(&format!(
        "{{pools: {{{windows}}}, {network}, seen: {{win: {{osType: Windows, osSKU: Windows2022}}}}}}"
    ))
    .changes();
    let name = changes[0].resource.to_string();
    assert!(name.starts_with("pool w") && name.len() == "pool ".len() + 6, "{name}");
}

/// After an upgrade that failed, AKS's document names the version that was asked for.
#[test]
fn a_new_pool_gets_the_version_that_the_control_plane_runs() {
    let asked = "spec: {version: '1.35'}, cluster: {properties: {kubernetesVersion: '1.35', currentKubernetesVersion: 1.34.2}}";
    for pools in ["{web: {aks: {vmSize: Standard_D4s_v5}}}", "{other: {}}"] {
        let changes = Case::read(&format!("{{{asked}, pools: {pools}}}")).changes();
        let mut made = changes.iter().filter_map(|change| match &change.kind {
            ChangeKind::Create { body, .. } => Some(&body["properties"]["orchestratorVersion"]),
            _ => None,
        });
        assert_eq!(made.next(), Some(&json!("1.34.2")), "{changes:?}");
    }
}

#[test]
fn two_pools_with_the_same_beginning_have_different_successors() {
    let changes = Case::read(
        "{pools: {webshop1: {aks: {vmSize: Standard_D4s_v5}}, webshop2: {aks: {vmSize: Standard_D4s_v5}}}, seen: {webshop1: {}, webshop2: {}}}",
    )
    .changes();
    let names: Vec<String> = changes
        .iter()
        .filter(|change| matches!(change.kind, ChangeKind::Create { .. }))
        .map(|change| change.resource.to_string())
        .collect();
    assert_eq!(names.len(), 2, "{changes:?}");
    assert_ne!(names[0], names[1]);
}

#[test]
fn the_order_of_a_patchs_keys_does_not_change_a_successors_name() {
    let name = |patch: &str| {
        let case =
            format!("{{pools: {{web: {{aks: {{payloadPatch: {{kubeletConfig: {patch}}}}}}}}}}}");
        assert!(yaml(&case).is_object());
        Case::read(&case).changes()[0].resource.to_string()
    };
    assert_eq!(
        name("{cpuManagerPolicy: static, podMaxPids: 100}"),
        name("{podMaxPids: 100, cpuManagerPolicy: static}")
    );
}
