//! What the status says of hosts, from before anything is done there until nothing of ours is left.

use fleetwright_plan::{PartKind, SeenCluster};
use serde_json::json;

use super::*;

fn cluster(spec: Value, status: Value, meta: Value) -> ManagedCluster {
    let mut object = json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"namespace": "edge", "name": "store-17"},
        "spec": {"version": "v1.34.2+k3s1", "providerConfigRef": {"name": "edge"}, "k3s": spec},
        "status": status,
    });
    if let (Some(metadata), Value::Object(meta)) = (object["metadata"].as_object_mut(), meta) {
        metadata.extend(meta);
    }
    serde_json::from_value(object).expect("a cluster")
}

fn one_of_each() -> Value {
    json!({
        "servers": [{"name": "s1", "host": "10.0.0.11"}],
        "agents": [{"name": "till-1", "host": "10.0.0.21", "port": 2222}],
    })
}

fn key(role: &str, name: &str) -> PartKey {
    let kind =
        if role == SERVER { PartKind::new(SERVER) } else { PartKind::holding_together(AGENT) };
    PartKey { kind, name: name.into() }
}

fn seen(phase: Phase, body: Value, ours: bool) -> Seen<SeenPart> {
    let tags = if ours { BTreeMap::from([("ours".to_owned(), String::new())]) } else { [].into() };
    Seen::Present(SeenPart { tags, phase, trouble: String::new(), last_update: None, body })
}

fn unknown() -> Seen<SeenPart> {
    Seen::Unknown { since: jiff::Timestamp::UNIX_EPOCH, why: "no route to host".into() }
}

fn snapshot(parts: Vec<(PartKey, Seen<SeenPart>)>) -> Snapshot {
    let cluster = SeenCluster {
        external_id: "id".into(),
        tags: [].into(),
        phase: Phase::Active,
        trouble: String::new(),
        version: "v1.34.2+k3s1".into(),
        platform_version: None,
        endpoint: None,
        certificate_authority: None,
        oidc_issuer: None,
        last_update: None,
        blockers: None,
        body: Value::Null,
    };
    Snapshot { parts: parts.into_iter().collect(), ..Snapshot::of(Seen::Present(cluster)) }
}

fn is_ours(part: &SeenPart) -> bool {
    part.tags.contains_key("ours")
}

/// One line a host.
fn told(cluster: &ManagedCluster, snapshot: Option<&Snapshot>) -> Vec<String> {
    let line = |host: ObservedHost| {
        let port = host.port.map(|port| format!(":{port}")).unwrap_or_default();
        let version = host.version.unwrap_or_default();
        format!("{} {} {}{port} {} {version}", host.role, host.name, host.host, host.phase)
            .trim_end()
            .to_owned()
    };
    observed(cluster, is_ours, snapshot).into_iter().map(line).collect()
}

fn with_status(spec: Value, hosts: Value) -> ManagedCluster {
    cluster(spec, json!({"hosts": hosts}), json!({}))
}

#[test]
fn declared_hosts_are_noted_before_anything_is_seen_of_them() {
    let fresh = cluster(one_of_each(), json!({}), json!({}));
    let noted = ["server s1 10.0.0.11 Noted", "agent till-1 10.0.0.21:2222 Noted"];
    assert_eq!(told(&fresh, None), noted);
    assert_eq!(told(&fresh, Some(&snapshot(vec![]))), noted, "nobody looked there");
    let nothing = vec![(key(SERVER, "s1"), Seen::Absent), (key(AGENT, "till-1"), Seen::Absent)];
    assert_eq!(told(&fresh, Some(&snapshot(nothing))), noted);
}

#[test]
fn what_was_seen_is_told_and_what_was_not_keeps_its_version() {
    let before = json!([
        {"name": "s1", "role": "server", "host": "10.0.0.9", "phase": "Active", "version": "v1.33.5+k3s1"},
        {"name": "till-1", "role": "agent", "host": "10.0.0.21", "phase": "Active", "version": "v1.33.5+k3s1"},
    ]);
    let cluster = with_status(one_of_each(), before);
    let body = json!({"version": "v1.34.2+k3s1"});
    let parts = vec![
        (key(SERVER, "s1"), seen(Phase::Updating, body, true)),
        (key(AGENT, "till-1"), unknown()),
    ];
    assert_eq!(
        told(&cluster, Some(&snapshot(parts))),
        [
            "server s1 10.0.0.11 Updating v1.34.2+k3s1",
            "agent till-1 10.0.0.21:2222 Unknown v1.33.5+k3s1"
        ]
    );
    let away = vec![(key(AGENT, "till-1"), seen(Phase::Active, json!({"away": true}), true))];
    assert_eq!(
        told(&cluster, Some(&snapshot(away)))[1],
        "agent till-1 10.0.0.21:2222 Away v1.33.5+k3s1"
    );
}

#[test]
fn a_host_that_is_declared_no_longer_stays_until_it_is_seen_to_be_free() {
    let before = json!([
        {"name": "till-9", "role": "agent", "host": "10.0.0.29", "phase": "Active", "version": "v1.34.2+k3s1"},
    ]);
    let spec = json!({"servers": [{"name": "s1", "host": "10.0.0.11"}]});
    let cluster = with_status(spec, before);
    let of = |seen: Option<Seen<SeenPart>>| {
        let parts = seen.into_iter().map(|seen| (key(AGENT, "till-9"), seen)).collect();
        told(&cluster, Some(&snapshot(parts)))[1..].to_vec()
    };
    let here = |phase: &str| vec![format!("agent till-9 10.0.0.29 {phase} v1.34.2+k3s1")];
    assert_eq!(of(None), here("Active"), "nobody looked there");
    assert_eq!(of(Some(unknown())), here("Unknown"));
    let body = json!({"version": "v1.34.2+k3s1"});
    assert_eq!(of(Some(seen(Phase::Deleting, body.clone(), true))), here("Deleting"));
    assert_eq!(of(Some(Seen::Absent)), [""; 0]);
    assert_eq!(of(Some(seen(Phase::Active, body, false))), [""; 0], "somebody else's by now");
}

#[test]
fn on_the_way_out_hosts_go_one_by_one_though_they_are_declared() {
    let before = json!([
        {"name": "s1", "role": "server", "host": "10.0.0.11", "phase": "Active"},
        {"name": "till-1", "role": "agent", "host": "10.0.0.21", "port": 2222, "phase": "Active"},
    ]);
    let meta = json!({"deletionTimestamp": "2026-01-01T00:00:00Z"});
    let cluster = cluster(one_of_each(), json!({"hosts": before}), meta);
    let parts = vec![(key(AGENT, "till-1"), Seen::Absent), (key(SERVER, "s1"), unknown())];
    assert_eq!(told(&cluster, Some(&snapshot(parts))), ["server s1 10.0.0.11 Unknown"]);
}

#[test]
fn a_host_in_another_role_is_told_as_it_is() {
    let before =
        json!([{"name": "till-1", "role": "server", "host": "10.0.0.21", "phase": "Active"}]);
    let cluster = with_status(one_of_each(), before);
    let parts = vec![
        (key(AGENT, "till-1"), Seen::Absent),
        (key(SERVER, "till-1"), seen(Phase::Active, json!({}), true)),
    ];
    assert_eq!(told(&cluster, Some(&snapshot(parts)))[1], "server till-1 10.0.0.21:2222 Active");
}

fn agents(parts: Vec<(&str, Seen<SeenPart>)>) -> String {
    let names: Vec<Value> =
        parts.iter().map(|(name, _)| json!({"name": name, "host": name})).collect();
    let spec = json!({"servers": [{"name": "s1", "host": "10.0.0.11"}], "agents": names});
    let cluster = cluster(spec, json!({}), json!({}));
    let parts = parts.into_iter().map(|(name, seen)| (key(AGENT, name), seen)).collect();
    let (is, reason, message) = ready(&cluster, &snapshot(parts), is_ours);
    format!("{is:?}/{reason}: {message}")
}

#[test]
fn the_worst_agent_decides_and_an_absent_guest_does_not_count() {
    let fine = || seen(Phase::Active, json!({"version": "v1.34.2+k3s1"}), true);
    let away = || seen(Phase::Active, json!({"away": true}), true);
    assert_eq!(agents(vec![]), "True/NoPools: no agent is declared; servers carry the work");
    assert_eq!(agents(vec![("a", fine()), ("b", fine())]), "True/Available: agents 2/2");
    assert_eq!(
        agents(vec![("a", fine()), ("b", away()), ("c", away())]),
        "True/HostsAway: agents 1/3; b is away"
    );
    assert_eq!(
        agents(vec![("a", fine()), ("b", Seen::Absent)]),
        "False/Creating: agents 1/2; b is not ready yet"
    );
    let mut sick = fine();
    if let Seen::Present(part) = &mut sick {
        part.trouble = "its node is NotReady".into();
    }
    assert_eq!(
        agents(vec![("a", away()), ("b", sick)]),
        "False/HostsNotReady: agents 0/2; b: its node is NotReady"
    );
    assert_eq!(agents(vec![("a", unknown())]), "Unknown/NotSeen: agents 0/1; a: no route to host");
    let behind = |version: &str| seen(Phase::Active, json!({"version": version}), true);
    assert_eq!(agents(vec![("a", behind("v1.33.9+k3s2"))]), "True/Available: agents 1/1");
    assert_eq!(
        agents(vec![("a", behind("v1.32.1+k3s1"))]),
        "False/VersionSkew: agents 0/1; a runs 1.32, the control plane 1.34"
    );
    let strange = seen(Phase::Active, json!({}), false);
    assert_eq!(agents(vec![("a", strange)]), "False/Creating: agents 0/1; a is not ready yet");
}

#[test]
fn a_host_that_was_given_up_is_told_for_as_long_as_it_is_given_up() {
    let spec = json!({"servers": [{"name": "s1", "host": "10.0.0.11"}]});
    let meta = json!({"annotations": {"fleetwright.dev/abandon-hosts": "till-9, s1 ,,never"}});
    let hosts = json!([
        {"name": "s1", "role": "server", "host": "10.0.0.11", "phase": "Active"},
        {"name": "till-9", "role": "agent", "host": "10.0.0.29", "phase": "Unknown"},
    ]);
    let line = "Host till-9 at 10.0.0.29, given up: what was installed there is still there";
    let begun = cluster(spec.clone(), json!({"hosts": hosts}), meta.clone());
    assert_eq!(abandoned(&begun), [line], "one that is declared is not given up");
    let later = cluster(spec.clone(), json!({"leftovers": [line, "Volume shop/db"]}), meta);
    assert_eq!(abandoned(&later), [line], "it has left the list of hosts");
    let over = cluster(spec, json!({"leftovers": [line]}), json!({}));
    assert_eq!(abandoned(&over), [""; 0]);
}
