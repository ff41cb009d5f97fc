//! A plan's steps as lines.

use fleetwright_api_types::{
    ANNOTATION_PAUSED, ConditionStatus, ConditionType, Governed, ManagedCluster,
};
use fleetwright_controllers::preview::Foreseen;
use fleetwright_plan::{
    Address, CloudAction, CloudStep, Difference, Held, KubernetesVersion, Resource, Step, Update,
    Upgrade,
};
use jiff::Timestamp;

use super::outcome::{Line, NOW, What, or_none, plain_field};
use crate::since::{between, rough};

/// What surrounds a step.
#[derive(Debug, Clone, Copy)]
struct Around<'a> {
    /// Whose plan it is.
    cluster: &'a ManagedCluster,
    /// What this look found in the way of the next version. `None`: not asked, or no answer.
    blockers: Option<&'a [String]>,
    /// The instant that waits are counted from.
    now: Timestamp,
}

/// Everything that is foreseen of a cluster, in order: what is done, what waits, what is left, what is refused.
pub(super) fn told(foreseen: &Foreseen, cluster: &ManagedCluster, now: Timestamp) -> Vec<Line> {
    let around = Around { cluster, blockers: foreseen.blockers.as_deref(), now };
    let mut lines: Vec<Line> =
        foreseen.problems.iter().map(|problem| refusal(&problem.to_string())).collect();
    if let Some(plan) = &foreseen.plan {
        let now = plan.steps.iter().filter_map(|step| line(step, around));
        let held = plan.held.iter().filter_map(|one| held(one, around));
        let writes = now.chain(held);
        lines.extend(writes.map(|line| if foreseen.paused { paused(line) } else { line }));
        lines.extend(plan.waiting.iter().map(|waiting| Line {
            until: waiting.until,
            when: format!("waits: {}{}", waiting.on, away(waiting.until, around.now)),
            ..bare(What::Wait, format!(". {}", waiting.what))
        }));
        lines.extend(plan.ignored.iter().map(left));
        lines.extend(plan.refused.iter().map(|problem| refusal(&problem.to_string())));
    }
    lines.extend(foreseen.failure.iter().map(|failure| refusal(&failure.to_string())));
    lines
}

fn bare(what: What, text: String) -> Line {
    Line {
        what,
        text,
        detail: String::new(),
        how: String::new(),
        when: String::new(),
        until: None,
        writes: usize::from(what.is_write()),
        differences: Vec::new(),
        blockers: Vec::new(),
    }
}

/// One line, whatever lines a cloud's words have.
fn refusal(text: &str) -> Line {
    let words: Vec<&str> = text.split_whitespace().collect();
    bare(What::Refusal, format!("! {}", words.join(" ")))
}

fn left(difference: &Difference) -> Line {
    let Difference { field, declared, found } = difference;
    Line {
        detail: format!("{}, declared {}", or_none(found), or_none(declared)),
        when: "left as it is".to_owned(),
        ..bare(What::Left, format!(". {}", plain_field(field)))
    }
}

fn held(Held { step, why, until }: &Held, around: Around<'_>) -> Option<Line> {
    let when = format!("waits: {why}{}", away(*until, around.now));
    Some(Line { when, until: *until, ..line(step, around)? })
}

/// The same line for a paused cluster: whatever else it waits for, nobody knows when.
fn paused(line: Line) -> Line {
    let besides = line.when.strip_prefix("waits: ").map(|why| format!("; {why}"));
    let when = format!("waits: annotation {ANNOTATION_PAUSED}{}", besides.unwrap_or_default());
    Line { when, until: None, ..line }
}

/// ` (33 h)`.
fn away(until: Option<Timestamp>, now: Timestamp) -> String {
    let until = until.filter(|until| *until > now);
    until.map(|until| format!(" ({})", rough(between(now, until)))).unwrap_or_default()
}

/// A step that is done now. The hub's own book-keeping (connection Secrets) is left out: it follows from the rest.
fn line(step: &Step, around: Around<'_>) -> Option<Line> {
    let (what, writes) = match step {
        Step::Cloud(cloud) => return Some(cloud_line(step, cloud, around)),
        Step::Member(_) => (What::MemberWrite, 1),
        Step::Hub(_) => return None,
    };
    let (text, detail) = parts(step);
    Some(Line { detail, writes, when: NOW.to_owned(), ..bare(what, text) })
}

fn cloud_line(step: &Step, cloud: &CloudStep, around: Around<'_>) -> Line {
    let (text, mut detail) = parts(step);
    // Where the control plane is, its pools and parts are.
    if detail == cloud.address.to_string() {
        detail =
            if cloud.resource == Resource::Cluster { short(&cloud.address) } else { String::new() };
    }
    let now = |line: Line| Line { when: NOW.to_owned(), ..line };
    match &cloud.action {
        CloudAction::Delete => now(Line { detail, ..bare(What::CloudDelete, text) }),
        CloudAction::Update(update) => now(update_line(&cloud.resource, update, text, around)),
        CloudAction::Create { .. } | CloudAction::Claim { .. } | CloudAction::Release => {
            now(Line { detail, ..bare(What::CloudWrite, text) })
        }
    }
}

/// `aks:westeurope/…/rg-retail/retail-we`: of a long name the last two parts. `render` shows all of it.
fn short(address: &Address) -> String {
    let Address { provider, region, external_name, .. } = address;
    match external_name.rsplitn(3, '/').collect::<Vec<_>>().as_slice() {
        [name, group, _] => format!("{provider}:{region}/…/{group}/{name}"),
        _ => address.to_string(),
    }
}

/// The first line of a step's own text, at its first gap.
fn parts(step: &Step) -> (String, String) {
    let text = step.to_string();
    let text = text.lines().next().unwrap_or_default();
    let (text, detail) = text.split_once("  ").unwrap_or((text, ""));
    // Why a pool is replaced stands in brackets.
    let bracket =
        text.split_once(" (").filter(|(_, rest)| detail.is_empty() && rest.ends_with(')'));
    let (text, detail) = match bracket {
        Some((text, rest)) => (text, rest.trim_end_matches(')')),
        None => (text, detail.trim()),
    };
    (text.to_owned(), detail.to_owned())
}

fn update_line(resource: &Resource, update: &Update, text: String, around: Around<'_>) -> Line {
    if let Some(upgrade) = update.upgrade {
        return upgrade_line(resource, upgrade, around);
    }
    let how = match update.governed {
        Some(Governed::Roll | Governed::Upgrade) => "nodes roll",
        Some(Governed::Replace) => "pool is replaced",
        None => "in place",
    };
    let differences = update.differences.clone();
    let line = Line { how: how.to_owned(), differences, ..bare(What::CloudWrite, text) };
    // The field of a cluster's version does not say which host is brought to it.
    match (resource, line.differences.as_slice()) {
        (Resource::Part(_), [one]) if one.field == "spec.version" => {
            let detail = format!("{} → {}", or_none(&one.found), or_none(&one.declared));
            let text = match update.what.as_str() {
                "version" | "release" => format!("~ {resource} version"),
                verb => format!("~ {verb} {resource}"),
            };
            Line { text, detail, ..line }
        }
        (Resource::Cluster, [one]) if one.field == "spec.version" => {
            let hosts = hosts_to_bring(around.cluster);
            let how = if hosts > 0 { IN_TURN.to_owned() } else { line.how.clone() };
            Line { how, writes: hosts.max(1), ..line }
        }
        _ => line,
    }
}

/// How hosts change.
const IN_TURN: &str = "hosts in turn";

/// Hosts of a K3s cluster that do not run the declared release yet. None of them follows in a call of its own that is told.
fn hosts_to_bring(cluster: &ManagedCluster) -> usize {
    let hosts = cluster.status.iter().flat_map(|status| &status.hosts);
    let behind = |version: &&String| **version != cluster.spec.version;
    hosts.filter_map(|host| host.version.as_ref()).filter(behind).count()
}

/// The whole walk: every minor of the control plane, and after each of them every pool.
fn upgrade_line(resource: &Resource, upgrade: Upgrade, around: Around<'_>) -> Line {
    let walk = walk(upgrade);
    let minors = walk.len().saturating_sub(1).max(1);
    let detail = walk.iter().map(ToString::to_string).collect::<Vec<_>>().join(" → ");
    let pools = around.cluster.spec.node_pools.len();
    let hosts = hosts_to_bring(around.cluster);
    let (text, how, writes) = match resource {
        Resource::Cluster if hosts > 0 => {
            ("~ version".to_owned(), IN_TURN.to_owned(), minors * hosts)
        }
        Resource::Cluster if pools == 0 => ("~ version".to_owned(), String::new(), minors),
        Resource::Cluster => ("~ version".to_owned(), rolls(minors), minors * (1 + pools)),
        other => (format!("~ {other} version"), rolls(minors), minors),
    };
    let blockers = match resource {
        Resource::Cluster => blockers(around),
        Resource::Pool(_) | Resource::Part(_) => Vec::new(),
    };
    Line { detail, how, writes, blockers, ..bare(What::CloudWrite, text) }
}

fn walk(Upgrade { from, to, target }: Upgrade) -> Vec<KubernetesVersion> {
    let mut walk = vec![from];
    let mut at = from;
    while let Some(next) = at.next_towards(target) {
        walk.push(next);
        at = next;
    }
    // A pool may catch up several minors in one call.
    if at != to && walk.len() == 1 { vec![from, to] } else { walk }
}

fn rolls(times: usize) -> String {
    match times {
        1 => "nodes roll once".to_owned(),
        2 => "nodes roll twice".to_owned(),
        more => format!("nodes roll {more} times"),
    }
}

/// What is in the way of the next version: by this look or, without its answer, by the last one of the hub.
fn blockers(around: Around<'_>) -> Vec<String> {
    if let Some(seen) = around.blockers {
        return seen.to_vec();
    }
    let listed = around.cluster.status.iter().flat_map(|status| &status.conditions);
    listed
        .filter(|one| one.type_ == ConditionType::UpgradeReady)
        .filter(|one| one.status == ConditionStatus::False)
        .map(|one| one.message.clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use fleetwright_names::{HubId, ObjectKey, Owner, PoolName, Uid};
    use fleetwright_plan::{MemberStep, PartKey, PartKind, Plan, Problem, Waiting};
    use serde_json::{Value, json};

    use super::*;
    use crate::preview::outcome::{Entry, Outcome};

    const NOW_IS: &str = "2026-11-22T17:00:00Z";

    fn cluster(pools: usize, blocker: &str) -> ManagedCluster {
        let pools: Vec<Value> = (0..pools)
            .map(|pool| json!({"name": format!("p{pool}"), "size": {"min": 1, "max": 2}}))
            .collect();
        let conditions = json!([{"type": "UpgradeReady", "status": "False", "reason": "PdbBlocks", "message": blocker,
            "lastTransitionTime": "2026-01-01T00:00:00Z"}]);
        let conditions = if blocker.is_empty() { json!([]) } else { conditions };
        serde_json::from_value(json!({
            "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
            "metadata": {"name": "one", "namespace": "shop"},
            "spec": {"version": "1.36", "providerConfigRef": {"name": "aws"}, "nodePools": pools},
            "status": {"conditions": conditions},
        }))
        .expect("a cluster")
    }

    fn step(resource: Resource, action: CloudAction) -> Step {
        let address = Address {
            provider: "eks",
            provider_config: "aws".to_owned(),
            region: "eu-west-1".to_owned(),
            external_name: "shop-one".to_owned(),
            site: String::new(),
        };
        let owner = Owner {
            hub: HubId::new("00000000-0000-0000-0000-000000000001").expect("a hub"),
            object: ObjectKey::namespaced("shop", "one"),
            uid: Uid::new("00000000-0000-0000-0000-000000000002").expect("a uid"),
        };
        Step::Cloud(CloudStep::new(address, resource, (owner, 1), action, ""))
    }

    fn pool(name: &str) -> Resource {
        Resource::Pool(PoolName::new(name).expect("a name"))
    }

    fn version(minor: u16) -> KubernetesVersion {
        KubernetesVersion { major: 1, minor }
    }

    fn update(what: &str, fields: &[[&str; 3]]) -> Update {
        let differences = fields.iter().map(|[field, declared, found]| Difference {
            field: (*field).to_owned(),
            declared: (*declared).to_owned(),
            found: (*found).to_owned(),
        });
        Update {
            what: what.to_owned(),
            differences: differences.collect(),
            body: Value::Null,
            governed: None,
            upgrade: None,
        }
    }

    fn upgrade(from: u16, target: u16) -> Update {
        let upgrade =
            Upgrade { from: version(from), to: version(from + 1), target: version(target) };
        Update {
            governed: Some(Governed::Upgrade),
            upgrade: Some(upgrade),
            ..update("version", &[["spec.version", "1.36", "1.34"]])
        }
    }

    #[track_caller]
    fn check(plan: Plan, cluster: &ManagedCluster, expected: &[&str]) {
        check_foreseen(&Foreseen { plan: Some(plan), ..Foreseen::default() }, cluster, expected);
    }

    #[track_caller]
    fn check_foreseen(foreseen: &Foreseen, cluster: &ManagedCluster, expected: &[&str]) {
        let entry = Entry {
            cluster: "shop/one".to_owned(),
            concerned: true,
            lines: told(foreseen, cluster, NOW_IS.parse().expect("a time")),
        };
        let text = Outcome::new(vec![entry], Vec::new()).text();
        let text: Vec<&str> = text.iter().map(|line| line.trim_start_matches("shop/one")).collect();
        let text: Vec<String> =
            text.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        assert_eq!(text, expected);
    }

    #[test]
    fn an_upgrade_is_told_with_its_whole_walk_and_the_wait_for_its_window() {
        let held = Held {
            step: step(Resource::Cluster, CloudAction::Update(upgrade(34, 36))),
            why: "window Tue 02:00".to_owned(),
            until: Some("2026-11-24T02:00:00Z".parse().expect("a time")),
        };
        let sizes = update("scaling", &[["spec.nodePools[p0].size.max", "16", "12"]]);
        let plan = Plan {
            steps: vec![step(pool("p0"), CloudAction::Update(sizes))],
            held: vec![held],
            ..Plan::default()
        };
        check(
            plan,
            &cluster(1, "PDB db/pg at 0 would stop the drain"),
            &[
                "~ nodePools[p0].size.max 12 → 16 in place now",
                "~ version 1.34 → 1.35 → 1.36 nodes roll twice waits: window Tue 02:00 (33 h) ! PDB db/pg at 0 would stop the drain",
                "1 of 1 cluster · 5 cloud writes (1 now, 4 wait) · 0 deletes · nothing else touched (-o markdown for a pull request)",
            ],
        );
    }

    #[test]
    fn what_this_look_finds_in_the_way_counts_before_what_the_hub_knew() {
        let steps = vec![step(Resource::Cluster, CloudAction::Update(upgrade(35, 36)))];
        let plan = Plan { steps, ..Plan::default() };
        let totals = "1 of 1 cluster · 1 cloud write (1 now, 0 wait) · 0 deletes · nothing else touched (-o markdown for a pull request)";
        let line = "~ version 1.35 → 1.36 now ! Deprecated APIs: used";
        let seen = |blockers: &[&str]| Foreseen {
            plan: Some(plan.clone()),
            blockers: Some(blockers.iter().map(ToString::to_string).collect()),
            ..Foreseen::default()
        };
        check_foreseen(&seen(&["Deprecated APIs: used"]), &cluster(0, "old news"), &[line, totals]);
        let line = "~ version 1.35 → 1.36 now";
        check_foreseen(&seen(&[]), &cluster(0, "old news"), &[line, totals]);
    }

    #[test]
    fn the_first_minor_of_a_walk_is_now_and_the_rest_waits() {
        let plan = Plan {
            steps: vec![step(Resource::Cluster, CloudAction::Update(upgrade(34, 36)))],
            ..Plan::default()
        };
        check(
            plan,
            &cluster(0, ""),
            &[
                "~ version 1.34 → 1.35 → 1.36 now",
                "1 of 1 cluster · 2 cloud writes (1 now, 1 wait) · 0 deletes · nothing else touched (-o markdown for a pull request)",
            ],
        );
    }

    #[test]
    fn hosts_are_told_one_by_one_and_their_turns_together() {
        let part = |role: &'static str, name: &str| {
            Resource::Part(PartKey { kind: PartKind::new(role), name: name.to_owned() })
        };
        let fields = [["spec.version", "v1.34.3+k3s1", "v1.34.2+k3s1"]];
        let act = |resource, what| step(resource, CloudAction::Update(update(what, &fields)));
        let held = Held {
            step: act(Resource::Cluster, "release"),
            why: "server s1 to be prepared".to_owned(),
            until: None,
        };
        let plan = Plan {
            steps: vec![act(part("server", "s1"), "prepare"), act(part("agent", "a1"), "release")],
            held: vec![held],
            ..Plan::default()
        };
        let mut cluster = cluster(0, "");
        cluster.spec.version = "v1.34.3+k3s1".to_owned();
        let host = |name: &str, version: &str| json!({"name": name, "role": "server", "host": name, "phase": "Active", "version": version});
        let hosts = json!([
            host("s1", "v1.34.2+k3s1"),
            host("s2", "v1.34.2+k3s1"),
            host("s3", "v1.34.3+k3s1")
        ]);
        cluster.status = serde_json::from_value(json!({"hosts": hosts})).expect("a status");
        check(
            plan,
            &cluster,
            &[
                "~ prepare server s1 v1.34.2+k3s1 → v1.34.3+k3s1 in place now",
                "~ agent a1 version v1.34.2+k3s1 → v1.34.3+k3s1 in place now",
                "~ version v1.34.2+k3s1 → v1.34.3+k3s1 hosts in turn waits: server s1 to be prepared",
                "1 of 1 cluster · 4 cloud writes (2 now, 2 wait) · 0 deletes · nothing else touched (-o markdown for a pull request)",
            ],
        );
    }

    #[test]
    fn nothing_of_a_paused_cluster_is_now() {
        let held = Held {
            step: step(pool("old"), CloudAction::Delete),
            why: "window Tue 02:00".to_owned(),
            until: Some("2026-11-24T02:00:00Z".parse().expect("a time")),
        };
        let sizes = update("scaling", &[["spec.nodePools[p0].size.max", "16", "12"]]);
        let plan = Plan {
            steps: vec![step(pool("p0"), CloudAction::Update(sizes))],
            held: vec![held],
            ..Plan::default()
        };
        let foreseen = Foreseen { plan: Some(plan), paused: true, ..Foreseen::default() };
        let cluster = cluster(1, "");
        let lines = told(&foreseen, &cluster, NOW_IS.parse().expect("a time"));
        assert!(lines.iter().all(|line| line.until.is_none()), "{lines:?}");
        check_foreseen(
            &foreseen,
            &cluster,
            &[
                "~ nodePools[p0].size.max 12 → 16 in place waits: annotation fleetwright.dev/paused",
                "- delete pool old waits: annotation fleetwright.dev/paused; window Tue 02:00 (33 h)",
                "1 of 1 cluster · 2 cloud writes (0 now, 2 wait) · 1 delete · nothing else touched (-o markdown for a pull request)",
            ],
        );
    }

    #[test]
    fn deletes_waits_refusals_and_what_is_left_have_their_signs() {
        let mut until = Waiting::new("the deletion to be confirmed", "a person");
        until.until = Some("2026-11-22T17:10:00Z".parse().expect("a time"));
        let selector = "a=b".to_owned();
        let name = PoolName::new("old").expect("a name");
        let plan = Plan {
            steps: vec![
                step(pool("old"), CloudAction::Delete),
                Step::Member(MemberStep::Drain {
                    pool: name,
                    selector,
                    onto: String::new(),
                    force: false,
                }),
                step(pool("p0"), CloudAction::Claim { tags: BTreeMap::new(), from: None }),
            ],
            waiting: vec![until],
            refused: vec![Problem::new("spec.version", "goes down")],
            ignored: update("x", &[["spec.eks.logging", "[Api]", ""]]).differences,
            ..Plan::default()
        };
        let foreseen = Foreseen { plan: Some(plan), ..Foreseen::default() };
        let cluster = cluster(1, "");
        let lines = told(&foreseen, &cluster, NOW_IS.parse().expect("a time"));
        let shown: Vec<(What, &str, &str)> =
            lines.iter().map(|line| (line.what, line.text.as_str(), line.when.as_str())).collect();
        assert_eq!(
            shown,
            [
                (What::CloudDelete, "- delete pool old", "now"),
                (What::MemberWrite, "~ drain pool old", "now"),
                (What::CloudWrite, "~ claim pool p0", "now"),
                (What::Wait, ". the deletion to be confirmed", "waits: a person (10 m)"),
                (What::Left, ". eks.logging", "left as it is"),
                (What::Refusal, "! spec.version: goes down", ""),
            ]
        );
        assert_eq!(lines[4].detail, "none, declared [Api]");
    }
}
