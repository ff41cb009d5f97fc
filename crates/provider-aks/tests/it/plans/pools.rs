//! Agent pools: sizes, settings, images, and successors for what cannot change.

use super::{AT, NONE};
use crate::world::{Case, check};

#[test]
fn pools_are_scaled_within_their_bounds() {
    check(
        "{pools: {web: {size: {min: 3, max: 20}}}}",
        &[
            "~ update pool web scaling  spec.nodePools[web].size.min: declared 3, found 2; spec.nodePools[web].size.max: declared 20, found 10",
        ],
    );
    check(
        "{pools: {web: {size: {min: 6, max: 10, initial: null}}}}",
        &["~ update pool web scaling  spec.nodePools[web].size.min: declared 6, found 2"],
    );
    check(
        "{pools: {web: {size: {min: 5, max: 5, initial: null}}}}",
        &["~ update pool web scaling  spec.nodePools[web].size: declared 5, found 2 to 10"],
    );
    check(
        "{pools: {system: {size: {min: 3, max: 6}}}}",
        &["~ update pool system scaling  spec.nodePools[system].size: declared 3 to 6, found 3"],
    );
    check(
        "{seen: {system: {count: 5}}}",
        &["~ update pool system scaling  spec.nodePools[system].size: declared 3, found 5"],
    );
    check(
        "{seen: {web: {count: 1}}}",
        &["~ update pool web scaling  spec.nodePools[web].size: declared 2 to 10, found 1"],
    );
}

#[test]
fn labels_taints_and_upgrades_change_in_place() {
    check(
        "{pools: {web: {labels: {workload: shop, tier: front}}}}",
        &[
            "~ update pool web config  spec.nodePools[web].labels[tier]: declared front, found none; and 1 more",
        ],
    );
    check(
        "{pools: {web: {taints: [{key: dedicated, value: web, effect: NoSchedule}]}}, seen: {web: {nodeTaints: ['old:NoExecute']}}}",
        &[
            "~ update pool web config  spec.nodePools[web].taints: declared dedicated=web:NoSchedule, found old:NoExecute",
        ],
    );
    check(
        "{pools: {web: {update: {drainTimeout: 20m}, aks: {maxSurge: 33%, nodeSoak: 5m}}}}",
        &[
            "~ update pool web config  spec.nodePools[web].update.drainTimeout: declared 20m, found none; and 2 more",
        ],
    );
    check(
        "{pools: {web: {update: {maxUnavailable: 1}}}}",
        &[
            "~ update pool web config  spec.nodePools[web].aks.maxSurge: declared 0, found 10%; and 1 more",
        ],
    );
}

#[test]
fn labels_and_taints_that_are_declared_no_longer_go() {
    check(
        "{seen: {web: {nodeLabels: {old: 'yes'}, nodeTaints: ['gpu=:NoSchedule', 'kubernetes.azure.com/x=y:NoSchedule']}}}",
        &[
            "~ update pool web config  spec.nodePools[web].labels[old]: declared none, found yes; and 1 more",
        ],
    );
    check(
        "{pools: {web: {labels: null}}}",
        &[
            "~ update pool web config  spec.nodePools[web].labels[workload]: declared none, found web",
        ],
    );
}

#[test]
fn an_adopted_cluster_keeps_what_is_not_declared_of_labels_and_taints() {
    let more = "seen: {web: {nodeLabels: {old: 'yes'}, nodeTaints: ['gpu:NoSchedule']}}";
    check(&format!("{{spec: {{adoption: Existing}}, {more}}}"), NONE);
    check(
        &format!(
            "{{spec: {{adoption: Existing}}, {more}, pools: {{web: {{labels: {{workload: shop}}}}}}}}"
        ),
        &[
            "~ update pool web config  spec.nodePools[web].labels[workload]: declared shop, found web",
        ],
    );
    // There the last taint goes by patch.
    check(
        &format!(
            "{{spec: {{adoption: Existing}}, {more}, pools: {{web: {{aks: {{payloadPatch: {{nodeTaints: []}}}}}}}}}}"
        ),
        &[
            "~ update pool web config  spec.nodePools[web].taints: declared none, found gpu:NoSchedule",
        ],
    );
}

#[test]
fn a_role_changes_in_place_but_never_the_last_system_pools() {
    check(
        "{pools: {web: {role: System}}}",
        &["~ update pool web config  spec.nodePools[web].role: declared System, found User"],
    );
    check(
        "{pools: {system: {role: User}, web: {role: System}}}",
        &["~ update pool web config  spec.nodePools[web].role: declared System, found User"],
    );
    check(
        "{pools: {system: {role: User}, web: {role: System}}, seen: {web: {mode: System}}}",
        &["~ update pool system config  spec.nodePools[system].role: declared User, found System"],
    );
}

#[test]
fn newer_images_are_rolled_where_they_are_wanted() {
    let latest = "latest: AKSAzureLinux-V3gen2-202611.15.0";
    check(
        &format!("{{pools: {{web: {{imageUpdates: InWindow}}}}, {latest}}}"),
        &[
            "~ roll pool web image AKSAzureLinux-V3gen2-202611.01.0 → AKSAzureLinux-V3gen2-202611.15.0",
        ],
    );
    check(&format!("{{{latest}}}"), NONE);
    check(&format!("{{pools: {{web: {{imageUpdates: Never}}}}, {latest}}}"), NONE);
    check(
        "{pools: {web: {imageUpdates: InWindow}}, latest: AKSAzureLinux-V3gen2-202610.15.0}",
        NONE,
    );
}

#[test]
fn what_cannot_change_gets_a_successor() {
    for (pool, told) in [
        ("{aks: {vmSize: Standard_D4s_v5}}", "vmSize standard_d8ds_v5 → Standard_D4s_v5"),
        ("{aks: {zones: ['1']}}", "zones none → 1"),
        ("{capacity: Spot}", "capacity none → Spot"),
        ("{aks: {maxPods: 110}}", "maxPods 250 → 110"),
        ("{aks: {diskType: Managed}}", "diskType Ephemeral → Managed"),
        ("{aks: {diskSizeGib: 256}}", "diskSizeGib 150 → 256"),
        ("{aks: {osSku: Ubuntu2404}}", "osSku AzureLinux3 → Ubuntu2404"),
        ("{aks: {encryptionAtHost: Enabled}}", "encryptionAtHost Disabled → Enabled"),
        ("{aks: {fips: Enabled}}", "fips Disabled → Enabled"),
        ("{aks: {payloadPatch: {kubeletDiskType: OS}}}", "kubeletDiskType none → OS"),
    ] {
        let plan = Case::read(&format!("{{pools: {{web: {pool}}}}}")).plan().to_string();
        let lines: Vec<&str> = plan.lines().collect();
        assert_eq!(lines.len(), 2, "{plan}");
        let successor = lines[0]
            .strip_prefix("+ create pool ")
            .and_then(|rest| rest.strip_suffix(&format!(" in place of web ({told})")))
            .unwrap_or_else(|| panic!("{plan}"));
        assert!(successor.starts_with("web") && successor.len() == 9, "{successor}");
        assert!(lines[1].starts_with(". later: - delete pool web"), "{plan}");
        assert!(lines[1].ends_with(&format!("(waits: successor {successor})")), "{plan}");
    }
}

const SUCCESSOR: &str = "webe3a7e8";
const OTHER_SIZE: &str = "pools: {web: {aks: {vmSize: Standard_D4s_v5}}}";

#[test]
fn a_successor_takes_over_before_the_old_pool_goes() {
    let seen = |state: &str| {
        format!(
            "{SUCCESSOR}: {{provisioningState: {state}, vmSize: Standard_D4s_v5, tags: {{fleetwright.dev_pool: web}}}}"
        )
    };
    check(
        &format!("{{{OTHER_SIZE}}}"),
        &[
            &format!(
                "+ create pool {SUCCESSOR} in place of web (vmSize standard_d8ds_v5 → Standard_D4s_v5)"
            ),
            &format!(". later: - delete pool web  {AT} (waits: successor {SUCCESSOR})"),
        ],
    );
    check(
        &format!("{{{OTHER_SIZE}, seen: {{{}}}}}", seen("Creating")),
        &[
            &format!(". later: - delete pool web  {AT} (waits: successor {SUCCESSOR})"),
            &format!(". waits for pool {SUCCESSOR} to be made, on aks"),
        ],
    );
    check(&format!("{{{OTHER_SIZE}, seen: {{{}}}}}", seen("Succeeded")), &["~ drain pool web"]);
    check(
        &format!("{{{OTHER_SIZE}, seen: {{{}}}, drained: [web]}}", seen("Succeeded")),
        &[&format!("- delete pool web  {AT}")],
    );
    check(&format!("{{{OTHER_SIZE}, seen: {{{}, web: null}}}}", seen("Succeeded")), NONE);
}

#[test]
fn the_system_pool_stands_until_its_successor_does() {
    let wanted = "pools: {system: {aks: {vmSize: Standard_D8ds_v5}}}";
    let plan = Case::read(&format!("{{{wanted}}}")).plan().to_string();
    let successor = plan
        .strip_prefix("+ create pool ")
        .and_then(|rest| rest.split(' ').next())
        .expect("a successor")
        .to_owned();
    assert!(successor.starts_with("system") && successor.len() == 12, "{successor}");
    let seen = |state: &str| {
        format!(
            "seen: {{{successor}: {{provisioningState: {state}, mode: System, enableAutoScaling: false, count: 3, nodeLabels: null, availabilityZones: ['1', '2', '3'], tags: {{fleetwright.dev_pool: system}}}}}}"
        )
    };
    check(
        &format!("{{{wanted}, {}, drained: [system]}}", seen("Creating")),
        &[
            &format!(". later: - delete pool system  {AT} (waits: successor {successor})"),
            &format!(". waits for pool {successor} to be made, on aks"),
        ],
    );
    check(
        &format!("{{{wanted}, {}, drained: [system]}}", seen("Succeeded")),
        &[&format!("- delete pool system  {AT}")],
    );
}

#[test]
fn a_pool_that_is_no_longer_declared_goes() {
    check("{pools: {web: null}}", &[&format!("- delete pool web  {AT}")]);
    check(
        "{pools: {web: null}, seen: {web: {provisioningState: Scaling}}}",
        &[". waits for pool web to change, on aks"],
    );
    check("{seen: {theirs: {tags: {fleetwright.dev_uid: null}}}}", NONE);
}

#[test]
fn the_last_system_pool_waits_for_the_next() {
    let swap = "pools: {system: null, core: {role: System, size: {min: 3, max: 3, initial: null}}}";
    check(&format!("{{{swap}}}"), &[&format!("+ create pool core  {AT}")]);
    check(
        &format!(
            "{{{swap}, seen: {{core: {{provisioningState: Creating, mode: System, count: 3, enableAutoScaling: false}}}}}}"
        ),
        &[". waits for pool core to be made, on aks"],
    );
    check(
        &format!(
            "{{{swap}, seen: {{core: {{mode: System, count: 3, enableAutoScaling: false}}}}}}"
        ),
        &[&format!("- delete pool system  {AT}")],
    );
}

/// AKS keeps a pool that it could not make.
#[test]
fn the_last_system_pool_waits_for_one_that_is_well() {
    let swap = "pools: {system: null, core: {role: System, size: {min: 3, max: 3, initial: null}}}";
    let core = "mode: System, count: 3, enableAutoScaling: false, nodeImageVersion: null";
    let failed = "provisioningState: Failed, status: {provisioningError: {code: QuotaExceeded, message: No cores left}}";
    check(
        &format!("{{{swap}, seen: {{core: {{{core}, {failed}}}}}}}"),
        &["~ update pool core repair  spec.nodePools[core]: declared Succeeded, found Failed"],
    );
    check(
        &format!("{{{swap}, seen: {{core: {{{core}}}}}}}"),
        &[&format!("- delete pool system  {AT}")],
    );
}

#[test]
fn a_pool_under_a_new_name_is_well_before_the_old_one_goes() {
    let renamed = "pools: {web: null, shop: {}}";
    let shop = |state: &str| {
        format!("seen: {{shop: {{nodeImageVersion: null, provisioningState: {state}}}}}")
    };
    let later = format!(". later: - delete pool web  {AT} (waits: pool shop to be well)");
    check(
        &format!("{{{renamed}, {}}}", shop("Failed")),
        &[
            "~ update pool shop repair  spec.nodePools[shop]: declared Succeeded, found Failed",
            &later,
        ],
    );
    check(
        &format!("{{{renamed}, {}}}", shop("Updating")),
        &[&later, ". waits for pool shop to change, on aks"],
    );
    check(&format!("{{{renamed}, {}}}", shop("Succeeded")), &[&format!("- delete pool web  {AT}")]);
}

#[test]
fn a_successor_that_came_out_otherwise_is_told() {
    let told = |found: &str| {
        format!(
            "! spec.nodePools[web].aks.vmSize: declared Standard_D4s_v5, found {found}: pool {SUCCESSOR} was made for this and is otherwise, which AKS never changes: declare what is there, or delete that pool"
        )
    };
    let seen = |state: &str, web: &str| {
        format!(
            "{{{OTHER_SIZE}, seen: {{{web}{SUCCESSOR}: {{provisioningState: {state}, vmSize: Standard_D4as_v5, tags: {{fleetwright.dev_pool: web}}}}}}}}"
        )
    };
    check(&seen("Succeeded", ""), &[&told("Standard_D4as_v5")]);
    check(&seen("Succeeded", "web: null, "), &[&told("Standard_D4as_v5")]);
    check(&seen("Creating", ""), &[&format!(". waits for pool {SUCCESSOR} to be made, on aks")]);
}

#[test]
fn a_successors_name_that_is_somebody_elses_keeps_the_pool_where_it_is() {
    check(
        &format!(
            "{{{OTHER_SIZE}, seen: {{{SUCCESSOR}: {{tags: {{fleetwright.dev_uid: null}}, vmSize: Standard_D4s_v5}}}}}}"
        ),
        NONE,
    );
}
