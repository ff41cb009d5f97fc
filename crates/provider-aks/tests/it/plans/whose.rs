//! Beginnings and ends: what is made, whose it is, what failed, what waits; and maintenance configurations.

use super::{AT, NONE};
use crate::world::check;

#[test]
fn a_cluster_is_made_with_its_system_pool_first() {
    check(
        "{cluster: absent, aks: {maintenanceConfigurations: [{name: default, windows: [{start: '02:00', duration: 4h}]}]}}",
        &[
            &format!("+ create control plane  {AT}"),
            &format!(
                ". later: + create maintenance configuration default  {AT} (waits: control plane)"
            ),
            &format!(". later: + create pool system  {AT} (waits: control plane)"),
            &format!(". later: + create pool web  {AT} (waits: control plane)"),
        ],
    );
}

#[test]
fn a_pool_that_is_missing_is_made() {
    check("{seen: {web: null}}", &[&format!("+ create pool web  {AT}")]);
    check("{pools: {batch: {}}}", &[&format!("+ create pool batch  {AT}")]);
}

#[test]
fn a_cluster_in_the_making_is_waited_for() {
    check(
        "{cluster: {properties: {provisioningState: Creating, fqdn: null}}, seen: {web: null}}",
        &[
            &format!(". later: + create pool web  {AT} (waits: control plane)"),
            ". waits for the control plane to be made, on aks",
        ],
    );
}

#[test]
fn maintenance_configurations_are_the_whole_truth_when_declared() {
    let weekly = "{maintenanceWindow: {schedule: {weekly: {intervalWeeks: 1, dayOfWeek: sunday}}, durationHours: 4, startTime: '02:00', startDate: '2026-01-01', utcOffset: null}}";
    let declared = "aks: {maintenanceConfigurations: [{name: aksManagedNodeOSUpgradeSchedule, windows: [{days: [Sun], start: '02:00', duration: 4h}]}]}";
    let part = "maintenance configuration aksManagedNodeOSUpgradeSchedule";
    check(&format!("{{{declared}}}"), &[&format!("+ create {part}  {AT}")]);
    check(&format!("{{{declared}, parts: {{aksManagedNodeOSUpgradeSchedule: {weekly}}}}}"), NONE);
    check(
        &format!(
            "{{{declared}, parts: {{aksManagedNodeOSUpgradeSchedule: {}}}}}",
            weekly.replace("4,", "8,")
        ),
        &[&format!(
            "~ update {part} schedule  spec.aks.maintenanceConfigurations[aksManagedNodeOSUpgradeSchedule].windows: declared Sunday 02:00 +00:00 for 4h, found sunday 02:00 +00:00 for 8h"
        )],
    );
    check(
        &format!(
            "{{{declared}, parts: {{aksManagedNodeOSUpgradeSchedule: {weekly}, default: {{timeInWeek: [{{day: Monday, hourSlots: [1]}}]}}}}}}"
        ),
        &[&format!("- delete maintenance configuration default  {AT}")],
    );
    check("{parts: {default: {timeInWeek: [{day: Monday, hourSlots: [1]}]}}}", NONE);
    check(
        "{aks: {maintenanceConfigurations: []}, parts: {default: {timeInWeek: [{day: Monday, hourSlots: [1]}]}}}",
        &[&format!("- delete maintenance configuration default  {AT}")],
    );
}

#[test]
fn the_default_window_is_compared_hour_by_hour() {
    let declared = "aks: {maintenanceConfigurations: [{name: default, windows: [{days: [Mon], start: '22:00', duration: 3h}]}]}";
    check(
        &format!(
            "{{{declared}, parts: {{default: {{timeInWeek: [{{day: tuesday, hourSlots: [0]}}, {{day: Monday, hourSlots: [23]}}, {{day: Monday, hourSlots: [22]}}], notAllowedTime: []}}}}}}"
        ),
        NONE,
    );
    check(
        &format!(
            "{{{declared}, parts: {{default: {{timeInWeek: [{{day: Monday, hourSlots: [1]}}]}}}}}}"
        ),
        &[
            "~ update maintenance configuration default schedule  spec.aks.maintenanceConfigurations[default].windows: declared Monday 22 23, Tuesday 0, found Monday 1",
        ],
    );
}

#[test]
fn adoption_claims_first() {
    let bare = "cluster: {tags: {fleetwright.dev_hub: null, fleetwright.dev_object: null, fleetwright.dev_uid: null}}, seen: {system: {tags: null}, web: {tags: null}, theirs: {tags: null}}";
    check(
        &format!("{{spec: {{adoption: Existing}}, {bare}}}"),
        &[
            &format!("~ claim control plane  {AT}"),
            &format!(". later: ~ claim pool system  {AT} (waits: update of control plane)"),
            &format!(". later: ~ claim pool web  {AT} (waits: update of control plane)"),
        ],
    );
    check(
        &format!("{{{bare}}}"),
        &[&format!(
            "! spec.aks.externalName: {AT} exists and was not made by Fleetwright; set adoption: Existing to adopt it, or choose another externalName"
        )],
    );
    check(
        "{spec: {adoption: Existing}, cluster: absent}",
        &[&format!("! spec.adoption: {AT} does not exist, and adoption Existing never creates it")],
    );
}

/// What an adoption leads to is told before it begins, also to who only watches.
#[test]
fn what_follows_a_claim_is_told_beforehand() {
    let bare = "cluster: {tags: {fleetwright.dev_hub: null, fleetwright.dev_object: null, fleetwright.dev_uid: null}}, seen: {system: {tags: null}, web: {tags: {fleetwright.dev_hub: null, fleetwright.dev_object: null, fleetwright.dev_uid: null, team: old}}}";
    check(
        &format!("{{spec: {{adoption: Existing}}, {bare}, pools: {{web: {{size: {{max: 20}}}}}}}}"),
        &[
            &format!("~ claim control plane  {AT}"),
            &format!(". later: ~ claim pool system  {AT} (waits: update of control plane)"),
            &format!(". later: ~ claim pool web  {AT} (waits: update of control plane)"),
            ". later: ~ update pool web scaling  spec.nodePools[web].size.max: declared 20, found 10 (waits: claim of control plane)",
            ". later: ~ update pool web tags  spec.tags[team]: declared retail, found old (waits: claim of control plane)",
        ],
    );
    check(
        &format!("{{spec: {{mode: Observe}}, {bare}, pools: {{web: {{size: {{max: 20}}}}}}}}"),
        &[
            ". left as it is: spec.nodePools[web].size.max: declared 20, found 10",
            ". left as it is: spec.tags[team]: declared retail, found old",
        ],
    );
}

#[test]
fn a_pool_of_the_same_name_is_claimed_or_told() {
    check(
        "{seen: {web: {tags: {fleetwright.dev_uid: null}}}}",
        &[
            "! spec.nodePools[web]: pool web exists and was not made by Fleetwright; set adoption: Existing to adopt it, or choose another name",
        ],
    );
    check(
        "{spec: {adoption: Existing}, seen: {web: {tags: {fleetwright.dev_uid: null}}}}",
        &[&format!("~ claim pool web  {AT}")],
    );
}

#[test]
fn a_predecessors_cluster_is_taken_over_whole() {
    let old = "cluster: {tags: {fleetwright.dev_uid: '0000'}}, seen: {system: {tags: {fleetwright.dev_uid: '0000'}}, web: {tags: {fleetwright.dev_uid: '0000'}}}";
    check(
        &format!("{{take-over: '0000', {old}}}"),
        &[
            &format!("~ claim control plane  {AT}"),
            &format!(". later: ~ claim pool system  {AT} (waits: update of control plane)"),
            &format!(". later: ~ claim pool web  {AT} (waits: update of control plane)"),
        ],
    );
    check(
        &format!("{{{old}}}"),
        &[&format!(
            "! spec.aks.externalName: {AT} belongs to an earlier retail/retail-we with uid 0000; take it over with the annotation fleetwright.dev/take-over: 0000, delete it, or choose another externalName"
        )],
    );
}

#[test]
fn what_failed_is_told_and_mended_where_azure_lets_it() {
    check(
        "{aks: {tier: Free}, cluster: {properties: {provisioningState: Failed, status: {provisioningError: {code: QuotaExceeded, message: No cores left}}}}}",
        &["~ update control plane tier  spec.aks.tier: declared Free, found Standard"],
    );
    check(
        "{cluster: {properties: {provisioningState: Failed, fqdn: null, status: {provisioningError: {code: QuotaExceeded, message: No cores left}}}}}",
        &[&format!(
            "! {AT} failed in the cloud: QuotaExceeded: No cores left; delete it there or delete this object, then declare it again"
        )],
    );
    check(
        "{pools: {web: {labels: {a: b}}}, seen: {web: {provisioningState: Failed}}}",
        &["~ update pool web config  spec.nodePools[web].labels[a]: declared b, found none"],
    );
}

#[test]
fn what_failed_is_tried_again_when_nothing_else_is_changed() {
    let window = "spec: {maintenance: {windows: [{days: [Tue], start: '02:00', duration: 4h}]}}";
    check(
        "{cluster: {properties: {provisioningState: Canceled}}}",
        &["~ roll control plane repair Canceled → Succeeded"],
    );
    check(
        &format!("{{cluster: {{properties: {{provisioningState: Failed}}}}, {window}}}"),
        &[". later: ~ roll control plane repair Failed → Succeeded (waits: window Tue 02:00)"],
    );
    check(
        &format!("{{seen: {{web: {{provisioningState: Failed}}}}, {window}}}"),
        &[". later: ~ roll pool web repair Failed → Succeeded (waits: window Tue 02:00)"],
    );
    check(
        &format!(
            "{{seen: {{web: {{provisioningState: Failed, nodeImageVersion: null}}}}, {window}}}"
        ),
        &["~ update pool web repair  spec.nodePools[web]: declared Succeeded, found Failed"],
    );
}

#[test]
fn what_is_stopped_is_left_alone() {
    let stopped = "cluster: {properties: {powerState: {code: Stopped}}}";
    check(&format!("{{{stopped}}}"), NONE);
    check(
        &format!("{{{stopped}, aks: {{tier: Free}}}}"),
        &[
            "! spec: declared other than it is, found stopped: AKS changes nothing of it until it is started: az aks start",
        ],
    );
}

#[test]
fn a_busy_cluster_is_waited_for() {
    check(
        "{cluster: {properties: {provisioningState: Upgrading}}, aks: {tier: Free}}",
        &[
            ". later: ~ update control plane tier  spec.aks.tier: declared Free, found Standard (waits: update of control plane)",
            ". waits for the control plane to change, on aks",
        ],
    );
    check(
        "{cluster: {properties: {provisioningState: Deleting}}}",
        &[". waits for the control plane to go, so that it can be made again, on aks"],
    );
}

#[test]
fn an_object_that_only_creates_tells_what_it_leaves() {
    check(
        "{spec: {mode: CreateOnly}, aks: {tier: Free}, seen: {web: null}}",
        &[
            &format!("+ create pool web  {AT}"),
            ". left as it is: spec.aks.tier: declared Free, found Standard",
        ],
    );
    check(
        "{spec: {mode: CreateOnly}, pools: {web: null}}",
        &[". left as it is: spec.nodePools[web]: declared absent, found present"],
    );
}
