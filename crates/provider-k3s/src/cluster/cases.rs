//! Plan cases: what is declared, how hosts are, and the plan that follows, from `cases/*.txt`.
//!
//! A case is a title after `#`, its declaration as JSON merged into the example's `spec` (RFC 7396), one line a host, a line `=>`,
//! and the plan as `fleetwright plan` prints it; digests are written `…`. The example has servers `s1` to `s3`, agents `a1` and
//! `a2`, and v1.34.2+k3s1.
//!
//! A host is `NAME HOW [WORD…]`. HOW: `up` (ours, as declared), `marked` (ours, nothing on it), `down` (ours, K3s stopped), `bare`,
//! `strange` (K3s without a marker), `other` (marked for somebody else), `earlier` (for a predecessor), `released`, `unseen`,
//! `away`, `given-up`, `forgotten` (a node, and neither declared nor noted). Words: `v=RELEASE` of what it runs, `file` (another configuration), `token` (of another cluster),
//! `unready`, `learner`, `no-node`, `cordoned`, `note=WHAT` (ours, `_` for a blank), `moving`, `crashing`, `old` (certificates), `small`
//! (too little memory), `sent` (binaries have arrived), `agent`/`server` for one that is not declared. `no-view` alone: no server answers.

use std::collections::BTreeMap;

use fleetwright_api_types::{Adoption, ManagedCluster, ProviderConfig};
use fleetwright_names::{HubId, ObjectKey, Owner, Uid};
use fleetwright_plan::{
    Address, DesiredCluster, Goal, Pace, PartKey, Phase, Rules, Seen, SeenCluster, SeenPart,
    Situation, Snapshot, lint, plan_cluster,
};
use fleetwright_provider::{Asked, merge_patch};
use serde_json::{Value, json};

use super::diff;
use crate::body::{ClusterBody, HostBody};
use crate::config;
use crate::hosts::{
    Arriving, Certificate, ClusterFacts, Datastore, Digest, Disruption, HostFacts, K3sVersion,
    ManagedFile, Marker, Member, Node, Role, SeenFile, Service, ServiceState, bare_facts,
    unit_text,
};
use crate::seen::{SeenControlPlane, SeenHost, lowest};
use crate::site::part_key;
use crate::wanted::{Inputs, Releases, SecretDigests, Sums};

const VERSIONS: [&str; 6] = [
    "v1.33.1+k3s1",
    "v1.34.1+k3s1",
    "v1.34.2+k3s1",
    "v1.35.4+k3s1",
    "v1.36.1+k3s1",
    "v1.36.2+k3s1",
];
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

fn owner(uid: &str) -> Owner {
    Owner {
        hub: HubId::new("ab12").expect("hub"),
        object: ObjectKey::parse("edge/store-17"),
        uid: Uid::new(uid).expect("uid"),
    }
}

fn account() -> ProviderConfig {
    let account = json!({"metadata": {"name": "stores"}, "spec": {"ssh": {
        "identity": {"secretRef": {"name": "key"}}, "hostKeys": {"authorities": [KEY]}
    }}});
    serde_json::from_value(account).expect("an account")
}

fn hosts(prefix: &str, numbers: &[usize]) -> Value {
    let host =
        |n: &usize| json!({"name": format!("{prefix}{n}"), "host": format!("{prefix}{n}.example")});
    numbers.iter().map(host).collect()
}

fn desire(patch: &Value) -> DesiredCluster {
    let mut spec = json!({
        "version": "v1.34.2+k3s1", "providerConfigRef": {"name": "stores"},
        "k3s": {
            "endpoint": {"host": "api.example"},
            "servers": hosts("s", &[1, 2, 3]), "agents": hosts("a", &[1, 2])
        }
    });
    merge_patch(&mut spec, patch);
    // Hosts by their numbers: `"servers": [1, 2, 4]`.
    for (list, prefix) in [("servers", "s"), ("agents", "a")] {
        let numbers: Option<Vec<usize>> = serde_json::from_value(spec["k3s"][list].clone()).ok();
        if let Some(numbers) = numbers {
            spec["k3s"][list] = hosts(prefix, &numbers);
        }
    }
    let cluster = json!({
        "apiVersion": "fleetwright.dev/v1alpha1", "kind": "ManagedCluster",
        "metadata": {"name": "store-17", "namespace": "edge", "uid": "7-a", "generation": 1},
        "spec": spec
    });
    let cluster: ManagedCluster = serde_json::from_value(cluster).expect("a cluster");
    let (account, owner) = (account(), owner("7-a"));
    config::desire(Asked { cluster: &cluster, account: &account, owner: &owner })
        .expect("no problems")
}

fn releases() -> Releases {
    let sums = |version: &str| Sums { binary: binary(version), images: None };
    VERSIONS.map(|version| (format!("{version}/amd64"), sums(version))).into()
}

fn binary(version: &str) -> Digest {
    Digest::of(format!("k3s {version}"))
}

fn token() -> Digest {
    Digest::of("K10ab::server:hunter2\n")
}

/// One host's line.
struct Line<'a> {
    name: &'a str,
    how: &'a str,
    words: Vec<&'a str>,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let name = words.next().expect("a name");
        Self { name, how: words.next().expect("how it is"), words: words.collect() }
    }

    fn has(&self, word: &str) -> bool {
        self.words.contains(&word)
    }

    fn value(&self, key: &str) -> Option<String> {
        let found = self.words.iter().find_map(|word| word.strip_prefix(key));
        found.map(|value| value.replace('_', " "))
    }

    fn role(&self) -> Role {
        if self.name.starts_with('a') || self.has("agent") { Role::Agent } else { Role::Server }
    }

    fn marker(&self) -> Option<Marker> {
        match self.how {
            "bare" | "strange" => None,
            "other" => {
                let object = ObjectKey::parse("edge/other");
                Some(Marker::Owned(Owner { object, ..owner("8-b") }))
            }
            "earlier" => Some(Marker::Owned(owner("6-f"))),
            "released" => Some(Marker::Released(Uid::new("7-a").expect("uid"))),
            _ => Some(Marker::Owned(owner("7-a"))),
        }
    }

    fn tags(&self) -> BTreeMap<String, String> {
        match self.marker() {
            Some(Marker::Owned(owner)) => owner.tags(),
            Some(_) => [("fleetwright.dev/released".to_owned(), "7-a".to_owned())].into(),
            None => BTreeMap::new(),
        }
    }

    /// The host as it tells of itself.
    fn facts(&self, desired: &DesiredCluster, founder: bool) -> HostFacts {
        let mut facts = bare_facts();
        facts.marker = self.marker();
        if self.has("small") {
            facts.memory_kib = 100_000;
        }
        if self.has("sent") {
            facts.arriving = VERSIONS.map(|version| (binary(version), Arriving::Whole)).into();
        }
        if matches!(self.how, "bare" | "marked") {
            return facts;
        }
        let version = self.value("v=").unwrap_or_else(|| "v1.34.2+k3s1".to_owned());
        let role = self.role();
        facts.version = Some(version.clone());
        facts.binary = Some(binary(&version));
        facts.data = match role {
            Role::Server => [Datastore::Etcd, Datastore::Server, Datastore::Agent].into(),
            Role::Agent => [Datastore::Agent].into(),
        };
        if role == Role::Server {
            let other = Digest::of("another");
            facts.server_token = Some(if self.has("token") { other } else { token() });
        }
        if self.has("was-server") {
            facts.data.insert(Datastore::Etcd);
        }
        facts.units = [format!("{}.service", role.service())].into();
        facts.settings = [("node-name".to_owned(), self.name.to_owned())].into();
        let state = match self.how {
            "down" => ServiceState::Stopped,
            _ if self.has("moving") => ServiceState::Moving,
            _ if self.has("crashing") => ServiceState::Crashing,
            _ => ServiceState::Running,
        };
        let service = Service { state, enabled: true, result: "exit-code".to_owned() };
        facts.services.insert(role, service);
        if self.has("old") {
            let not_after_s = facts.epoch_s + 30 * 24 * 3600;
            facts.certificates =
                vec![Certificate { file: "server/tls/client-admin.crt".to_owned(), not_after_s }];
        }
        self.lay_files(&mut facts, desired, founder);
        facts
    }

    fn lay_files(&self, facts: &mut HostFacts, desired: &DesiredCluster, founder: bool) {
        let role = self.role();
        let seen = |file: ManagedFile, digest: Digest| SeenFile {
            digest,
            mode: file.mode().to_owned(),
            owner: "0:0".to_owned(),
        };
        if role == Role::Agent || !founder {
            facts.files.insert(ManagedFile::Token, seen(ManagedFile::Token, token()));
        }
        let part = desired.parts.iter().find(|part| part.key.name == self.name);
        if let Some(part) = part {
            let host: HostBody = serde_json::from_value(part.body.clone()).expect("a host");
            let cluster: ClusterBody = serde_json::from_value(desired.body.clone()).expect("it");
            let (secrets, releases, token) = (SecretDigests::default(), releases(), token());
            let version = facts.version.clone().unwrap_or_default();
            let wanted = Inputs {
                owner: &desired.owner,
                cluster: &cluster,
                host: &host,
                facts,
                version: K3sVersion::parse(&version).expect("a version"),
                begins: false,
                secrets: &secrets,
                token: Some(&token),
                releases: &releases,
                disruption: Disruption::Held,
            }
            .wanted();
            for (file, digest) in wanted.files {
                facts.files.insert(file, seen(file, digest));
            }
        }
        let unit = ManagedFile::Unit(role);
        facts.files.insert(unit, seen(unit, Digest::of(unit_text(role))));
        if self.has("file") {
            let config = ManagedFile::Config;
            facts.files.insert(config, seen(config, Digest::of("another")));
        }
        let read = facts.files.iter().filter(|(file, _)| file.read_at_start(role));
        facts.loaded =
            read.map(|(file, seen)| (file.path().to_owned(), seen.digest.clone())).collect();
        let binary = facts.binary.clone().expect("a binary");
        facts.loaded.insert("/usr/local/bin/k3s".to_owned(), binary);
    }

    fn node(&self) -> Option<Node> {
        let has_none = matches!(self.how, "bare" | "marked" | "strange" | "other" | "released");
        if (has_none || self.has("no-node")) && !self.has("node") {
            return None;
        }
        let is_server = self.role() == Role::Server;
        let note = self.value("note=");
        Some(Node {
            name: self.name.to_owned(),
            uid: self.name.to_owned(),
            ready: !self.has("unready")
                && !matches!(self.how, "down" | "unseen" | "away" | "given-up"),
            unready_since_s: None,
            version: self.value("v=").unwrap_or_else(|| "v1.34.2+k3s1".to_owned()),
            unschedulable: note.is_some() || self.has("cordoned"),
            address: None,
            roles: if is_server { vec!["control-plane".to_owned()] } else { Vec::new() },
            etcd: match (is_server, self.has("learner")) {
                (false, _) => Member::None,
                (true, true) => Member::Learner,
                (true, false) => Member::Voter,
            },
            in_turn: note,
        })
    }
}

/// What a look would have written.
fn snapshot(desired: &DesiredCluster, lines: &[&str]) -> Snapshot {
    let has_view = !lines.contains(&"no-view");
    let lines: Vec<Line<'_>> =
        lines.iter().filter(|line| **line != "no-view").map(|line| Line::read(line)).collect();
    let mut parts: BTreeMap<PartKey, Seen<SeenPart>> = BTreeMap::new();
    let mut fresh = BTreeMap::new();
    let mut servers: Vec<HostFacts> = Vec::new();
    let now = bare_facts().epoch_s;
    for line in lines.iter().filter(|line| line.how != "forgotten") {
        let key = part_key(line.role(), line.name);
        let lies = matches!(line.how, "unseen" | "away" | "given-up");
        let facts = (!lies).then(|| line.facts(desired, line.name == "s1"));
        let told = SeenHost {
            host: format!("{}.example", line.name),
            port: 22,
            version: facts.as_ref().and_then(|facts| facts.version.clone()),
            away: line.how == "away",
            abandoned: line.how == "given-up",
            seen_s: now,
            facts: facts.clone(),
        };
        if line.how == "bare" {
            fresh.insert(line.name.to_owned(), told);
            continue;
        }
        if line.how == "unseen" {
            let since = "2026-11-23T01:00:00Z".parse().expect("a time");
            parts.insert(key, Seen::Unknown { since, why: "no answer".to_owned() });
            continue;
        }
        let tags = line.tags();
        servers.extend(facts.filter(|_| line.role() == Role::Server));
        let part = SeenPart {
            tags,
            phase: Phase::Active,
            trouble: String::new(),
            last_update: None,
            body: told.json(),
        };
        parts.insert(key, Seen::Present(part));
    }
    let nodes: Vec<Node> = lines.iter().filter_map(Line::node).collect();
    let view = ClusterFacts {
        ready: true,
        nodes,
        authority: None,
        token: Some(token()),
        encryption: None,
    };
    let ready = view.nodes.iter().any(|node| node.ready && node.etcd != Member::None);
    let view = (has_view && ready).then_some(view);
    let first = lines.iter().find(|line| {
        line.role() == Role::Server && !matches!(line.how, "bare" | "unseen" | "away" | "given-up")
    });
    let Some(first) = first else { return Snapshot { parts, ..Snapshot::absent() } };
    let tags = first.tags();
    let low = lowest(view.as_ref(), servers.iter());
    let body = SeenControlPlane {
        token: servers.iter().any(|facts| facts.server_token.is_some()).then(token),
        cluster: view,
        releases: releases(),
        fresh,
        ..SeenControlPlane::default()
    };
    let cluster = SeenCluster {
        external_id: "k3s".to_owned(),
        tags,
        phase: Phase::Active,
        trouble: String::new(),
        version: low.map(|low| low.to_string()).unwrap_or_default(),
        platform_version: None,
        endpoint: None,
        certificate_authority: None,
        oidc_issuer: None,
        last_update: None,
        blockers: None,
        body: body.json(),
    };
    Snapshot { parts, ..Snapshot::of(Seen::Present(cluster)) }
}

/// The plan's lines; digests are left out.
fn planned(patch: &Value, lines: &[&str]) -> Vec<String> {
    let desired = desire(patch);
    let snapshot = snapshot(&desired, lines);
    let changes = diff(&desired, &snapshot);
    assert_eq!(changes, diff(&desired, &snapshot), "the same look, the same changes");
    let adopts = patch["adoption"] == "Existing";
    let rules = Rules {
        adoption: if adopts { Adoption::Existing } else { Adoption::Never },
        cloud: fleetwright_plan::CloudRules { by_hand: true, ..Default::default() },
        ..Rules::default()
    };
    let address = Address { site: String::new(), ..desired.address.clone() };
    let situation = Situation {
        goal: Goal::Present,
        owner: &desired.owner,
        generation: 1,
        address: &address,
        snapshot: &snapshot,
        changes: &changes,
        tags: &desired.tags,
        pools: &BTreeMap::new(),
        rules: &rules,
        now: "2026-11-23T01:00:00Z".parse().expect("a time"),
        pace: Pace {
            busy: std::time::Duration::from_secs(5),
            idle: std::time::Duration::from_secs(60),
        },
    };
    let plan = plan_cluster(&situation);
    lint(&plan, &situation).expect("a sane plan");
    let text = plan.to_string().replace("  k3s:edge-store-17-3776b3", "");
    text.lines().map(without_digests).collect()
}

fn without_digests(line: &str) -> String {
    let mut parts = line.split("sha256 ");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push('…');
        out.push_str(part.get(12..).unwrap_or_default());
    }
    out
}

fn check(text: &str) {
    let mut wrong = String::new();
    for case in text.split("\n# ").skip(1) {
        let (head, expected) = case.split_once("\n=>").expect("an arrow");
        let mut lines = head.lines();
        let title = lines.next().expect("a title");
        let mut lines: Vec<&str> = lines.collect();
        let patch = match lines.first() {
            Some(first) if first.starts_with('{') => {
                let patch = serde_json::from_str(first).expect("JSON");
                lines.remove(0);
                patch
            }
            _ => json!({}),
        };
        let expected: Vec<&str> = expected.lines().filter(|line| !line.is_empty()).collect();
        let found = planned(&patch, &lines);
        if found != expected {
            let head = case.split_once("\n=>").map(|(head, _)| head).unwrap_or_default();
            wrong.push_str(&format!("# {head}\n=>\n{}\n\n", found.join("\n")));
            let _ = title;
        }
    }
    assert!(wrong.is_empty(), "these are otherwise now:\n\n{wrong}");
}

#[test]
fn beginnings_and_joins() {
    check(include_str!("cases/joins.txt"));
}

#[test]
fn data_that_is_kept() {
    check(include_str!("cases/kept.txt"));
}

#[test]
fn turns_of_servers_and_agents() {
    check(include_str!("cases/turns.txt"));
}

#[test]
fn hosts_that_leave_break_or_belong_to_others() {
    check(include_str!("cases/leaves.txt"));
}
