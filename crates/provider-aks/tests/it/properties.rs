//! What holds for every plan: after its steps there is nothing left to do, the same input gives the same bytes, nothing is
//! deleted that nobody asked to go, and what we write is as Azure's contract has it.

use fleetwright_plan::{CloudAction, MemberStep, Resource, Step};
use serde_json::{Value, json};

use crate::declare::EVERYTHING;
use crate::judge::{Judge, hold_creation};
use crate::world::{Case, World, yaml};

/// More rounds than any of these takes.
const ROUNDS: usize = 60;

/// Acts until the plan is empty, and gives the words of all steps.
#[track_caller]
fn settle(case: &mut Case) -> Vec<String> {
    let mut done = Vec::new();
    for _ in 0..ROUNDS {
        let plan = case.plan();
        assert!(plan.refused.is_empty(), "{plan}");
        if plan.steps.is_empty() {
            assert_eq!(plan.to_string(), "", "nothing is left over after {done:#?}");
            return done;
        }
        for step in &plan.steps {
            done.push(step.to_string());
            match step {
                Step::Cloud(step) => {
                    hold_creation(&step.resource, &step.action);
                    case.world.act(step);
                    hold_changed(&case.world, &step.resource, &step.action);
                }
                Step::Member(MemberStep::Drain { .. }) => case.drain_all(),
                other => panic!("{other}"),
            }
        }
    }
    panic!("no end after {done:#?}");
}

/// What an update makes of a body that we wrote from its birth on; what only Azure writes is left out.
fn hold_changed(world: &World, resource: &Resource, action: &CloudAction) {
    let (Some(judge), CloudAction::Update(_)) = (Judge::there(), action) else { return };
    let found = match resource {
        Resource::Cluster => world.cluster.clone(),
        Resource::Pool(name) => world.pools.get(name.as_str()).cloned(),
        Resource::Part(key) => world.parts.get(&key.name).cloned(),
    };
    let mut body = found.expect("what was changed");
    if body["eTag"].is_string() || body["properties"]["eTag"].is_string() {
        return;
    }
    for key in ["id", "name"] {
        body.as_object_mut().expect("a body").remove(key);
    }
    for key in [
        "fqdn",
        "currentKubernetesVersion",
        "currentOrchestratorVersion",
        "provisioningState",
        "nodeImageVersion",
    ] {
        if let Value::Object(properties) = &mut body["properties"] {
            properties.remove(key);
        }
    }
    judge.hold(resource, &body);
}

#[test]
fn what_is_made_from_nothing_needs_nothing_more() {
    for edits in ["", &EVERYTHING.replace("\nspec:", "\nspec: ")] {
        let mut case = Case::read(&format!("cluster: absent\n{edits}"));
        let done = settle(&mut case);
        assert!(done.iter().all(|step| step.starts_with("+ create")), "{done:#?}");
        assert_eq!(done.len(), if edits.is_empty() { 2 } else { 4 }, "{done:#?}");
    }
}

const NET: &str = "/subscriptions/SUB/resourceGroups/net/providers/Microsoft.Network/virtualNetworks/hub/subnets/nodes";
const ID: &str = "/subscriptions/SUB/resourceGroups/ids/providers/Microsoft.ManagedIdentity/userAssignedIdentities/cp";

/// Changes that go together with each other.
fn edits() -> Vec<Value> {
    [
        "{aks: {tier: Premium, support: LongTerm}}",
        "{spec: {version: '1.36'}}",
        "{spec: {tags: {a: b}}}",
        "{pools: {web: {size: {min: 6, max: 8, initial: null}}}}",
        "{pools: {web: {labels: {a: b}, taints: [{key: a, effect: NoSchedule}]}}}",
        "{pools: {web: {update: {drainTimeout: 20m}, aks: {maxSurge: 33%, nodeSoak: 5m}}}}",
        "{pools: {system: {size: {min: 3, max: 9}}}}",
        "{pools: {system: {aks: {vmSize: Standard_D16ds_v5}}}}",
        "{pools: {web: {aks: {maxPods: 30}}}}",
        "{pools: {core: {role: System}}, seen: {core: {mode: User}}}",
        "{pools: {batch: {capacity: Spot}}}",
        "{seen: {old: {}}}",
        "{aks: {autoUpgrade: {kubernetes: Patch, nodeOs: SecurityPatch}}}",
        "{aks: {autoscaler: {scan-interval: 20s, daemonset-eviction-for-empty-nodes: 'true'}}}",
        "{aks: {managedAddOns: [{name: azurepolicy, state: Enabled, config: {version: v2}}]}}",
        "{aks: {apiServer: {access: Public, authorizedCidrs: [203.0.113.0/24], runCommand: Disabled}}}",
        "{aks: {network: {outbound: ManagedNatGateway}}}",
        "{aks: {maintenanceConfigurations: [{name: default, windows: [{start: '02:00', duration: 4h}]}]}, parts: {aksManagedAutoUpgradeSchedule: {}}}",
        "{cluster: {properties: {networkProfile: {networkPluginMode: null, podCidr: null, podCidrs: null}}}}",
        "{cluster: {properties: {networkProfile: {networkDataplane: azure, networkPolicy: none}}}}",
        "{cluster: {properties: {provisioningState: Failed}}}",
        "{seen: {web: {provisioningState: Failed, nodeImageVersion: null}}}",
        "{pools: {web: {imageUpdates: InWindow}}, latest: AKSAzureLinux-V3gen2-202611.15.0}",
        "{spec: {adoption: Existing}, cluster: {tags: null}, seen: {system: {tags: null}, web: {tags: {a: b}}}}",
        &format!("{{aks: {{identity: {{type: UserAssigned, resourceId: {ID}}}}}}}"),
    ]
    .map(yaml)
    .into()
}

#[test]
fn every_change_comes_to_an_end() {
    let mut all = edits();
    all.extend(
        [
            "{pools: {web: {update: {maxUnavailable: 2}}}}",
            "{pools: {system: {role: User}, web: {role: System}}}",
            "{pools: {system: null, batch: {capacity: Spot}, core: {role: System, capacity: null}, web: null}}",
            &format!("{{pools: {{system: {{aks: {{vnetSubnetId: {NET}}}}}, web: {{aks: {{vnetSubnetId: {NET}}}}}}}}}"),
        ]
        .map(yaml),
    );
    for edit in all {
        let done = settle(&mut Case::of(&edit));
        assert!(!done.is_empty(), "{edit}");
        assert_eq!(settle(&mut Case::of(&edit)), done, "the same input, the same steps: {edit}");
    }
}

/// Both edits as one; what one of them removes stays removed.
fn join(one: &mut Value, other: &Value) {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            for (key, value) in other {
                join(one.entry(key.clone()).or_insert_with(|| json!({})), value);
            }
        }
        (one, other) => one.clone_from(other),
    }
}

#[test]
fn any_two_changes_come_to_an_end_together() {
    let edits = edits();
    for (number, one) in edits.iter().enumerate() {
        for other in &edits[number + 1..] {
            let mut both = one.clone();
            join(&mut both, other);
            let done = settle(&mut Case::of(&both));
            assert!(!done.is_empty(), "{both:#}");
        }
    }
}

#[test]
fn what_we_wrote_and_changed_is_as_azures_contract_has_it() {
    // Made from nothing, so that the whole body is ours, then changed by everything that can change.
    let mut case = Case::read("{cluster: absent}");
    settle(&mut case);
    let world = case.world;
    let mut changed = Case::read(
        "
spec: {version: '1.35', tags: {a: b}}
aks:
  tier: Premium
  support: LongTerm
  entra: {authorization: Azure, adminGroupIds: [11111111-1111-1111-1111-111111111111]}
  apiServer: {access: Public, authorizedCidrs: [203.0.113.0/24], runCommand: Disabled}
  network: {outbound: ManagedNatGateway}
  autoUpgrade: {kubernetes: Patch, nodeOs: SecurityPatch}
  autoscaler: {scan-interval: 20s, daemonset-eviction-for-empty-nodes: 'true'}
  managedAddOns: [{name: azurepolicy, state: Enabled}]
  maintenanceConfigurations: [{name: default, windows: [{start: '02:00', duration: 4h}]}]
pools:
  web: {size: {min: 4, max: 20, initial: null}, labels: {a: b}, taints: [{key: a, effect: NoSchedule}], update: {drainTimeout: 20m}, aks: {maxSurge: 33%, nodeSoak: 5m}}
",
    );
    changed.world = world;
    let done = settle(&mut changed);
    assert!(done.len() >= 14, "{done:#?}");
}

#[test]
fn nothing_is_deleted_that_nobody_asked_to_go() {
    // Whatever differs, what is declared under its name, and what is not ours, stays.
    for edits in [
        "{}",
        "{aks: {tier: Free}, pools: {web: {labels: {a: b}}}}",
        "{cluster: {tags: null}}",
        "{seen: {theirs: {tags: null}, other: {tags: {fleetwright.dev_uid: '0000'}}}}",
        "{parts: {default: {}, aksManagedAutoUpgradeSchedule: {}}}",
        "{pools: {web: {aks: {vmSize: Standard_D4s_v5}}}}",
        "{spec: {adoption: Existing}, pools: {system: null, web: null}, seen: {system: {tags: null}, web: {tags: null}}}",
    ] {
        let plan = Case::read(edits).plan();
        let deleted: Vec<String> = plan
            .steps
            .iter()
            .filter(|step| matches!(step, Step::Cloud(step) if step.action == CloudAction::Delete))
            .map(ToString::to_string)
            .collect();
        assert_eq!(deleted, [""; 0], "{edits}");
    }
}

#[test]
fn a_field_that_we_do_not_know_survives() {
    let mut case = Case::read("{aks: {tier: Free}, pools: {web: {labels: {a: b}}}}");
    settle(&mut case);
    let cluster = case.world.cluster.expect("a cluster");
    assert_eq!(cluster["properties"]["fromTomorrow"], json!({"kept": true}));
    assert_eq!(case.world.pools["web"]["properties"]["fromTomorrow"], 1);
    assert_eq!(case.world.pools["web"]["properties"]["nodeLabels"]["workload"], "web");
}
