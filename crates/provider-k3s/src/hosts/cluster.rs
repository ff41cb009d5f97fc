//! What a cluster says of itself, asked on one of its servers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::digest::Digest;
use super::report::Report;

/// A cluster as one of its servers sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterFacts {
    /// Whether this server's API says that it is ready; else the nodes are unknown, and the list is empty.
    pub ready: bool,
    /// Every node, by name.
    pub nodes: Vec<Node>,
    /// The authority of the API's certificate, as PEM.
    pub authority: Option<String>,
    /// Digest of the line that others join with.
    pub token: Option<Digest>,
    /// Whether Secrets are encrypted in the datastore; `None`: it did not say.
    pub encryption: Option<Encryption>,
}

/// How Secrets lie in the datastore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encryption {
    /// Encrypted.
    pub on: bool,
    /// How far a change of keys is: `start`, `reencrypt_finished`, …
    pub stage: String,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name in the cluster.
    pub name: String,
    /// The uid of its object.
    pub uid: String,
    /// Whether its kubelet says that it can run pods.
    pub ready: bool,
    /// Since when it is not ready, in seconds since 1970.
    pub unready_since_s: Option<i64>,
    /// The version that its kubelet reports: `v1.34.2+k3s1`.
    pub version: String,
    /// No new pods come to it.
    pub unschedulable: bool,
    /// Its first address inside the cluster's network.
    pub address: Option<String>,
    /// `control-plane`, `etcd`; none on agents.
    pub roles: Vec<String>,
    /// What it is in embedded etcd.
    pub etcd: Member,
    /// Why we cordoned it; `None`: it was not us.
    pub in_turn: Option<String>,
}

/// What a node is in embedded etcd: its condition `EtcdIsVoter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Member {
    /// It counts for the quorum.
    Voter,
    /// It is still catching up.
    Learner,
    /// It is not a member.
    None,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    #[serde(default)]
    uid: String,
    ready: bool,
    #[serde(default)]
    unready_since: Option<String>,
    version: String,
    unschedulable: bool,
    #[serde(default)]
    address: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    etcd: Member,
    #[serde(default)]
    in_turn: Option<String>,
}

/// Reads the report of the script; `Err` names what is missing or malformed.
pub(super) fn read(report: &Report) -> Result<ClusterFacts, String> {
    let ready = match report.one("ready") {
        Some("yes") => true,
        Some("no") => false,
        _ => return Err("whether the API is ready".to_owned()),
    };
    let mut nodes: Vec<Node> = report.all("node").map(node).collect::<Result<_, _>>()?;
    nodes.sort_by(|one, two| one.name.cmp(&two.name));
    let authority = report.one("ca").map(|encoded| {
        let bytes = STANDARD.decode(encoded).map_err(|_why| "the authority as base64")?;
        String::from_utf8(bytes).map_err(|_why| "the authority as text")
    });
    let encryption = match report.one("encryption") {
        Some(word @ ("enabled" | "disabled")) => Some(Encryption {
            on: word == "enabled",
            stage: report.one("encryption_stage").unwrap_or_default().to_owned(),
        }),
        _ => None,
    };
    Ok(ClusterFacts {
        ready,
        nodes,
        authority: authority.transpose()?,
        token: report.one("token").and_then(|digest| Digest::parse(digest).ok()),
        encryption,
    })
}

fn node(text: &str) -> Result<Node, String> {
    let line: Line =
        serde_json::from_str(&as_json(text)).map_err(|why| format!("a node as JSON ({why})"))?;
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    let since = said(line.unready_since).and_then(|at| at.parse::<Timestamp>().ok());
    Ok(Node {
        name: line.name,
        uid: line.uid,
        ready: line.ready,
        unready_since_s: since.filter(|_| !line.ready).map(Timestamp::as_second),
        version: line.version,
        unschedulable: line.unschedulable,
        address: said(line.address),
        roles: line.roles,
        etcd: line.etcd,
        in_turn: said(line.in_turn),
    })
}

/// Go quotes text as JSON does, but for a few escapes of control characters, which somebody may have put into an annotation.
fn as_json(text: &str) -> String {
    let mut json = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        json.push(c);
        if c != '\\' {
            continue;
        }
        match rest.next() {
            Some('a' | 'v') => json.push_str("u0020"),
            Some('x') => json.push_str("u00"),
            Some('U') => {
                json.push_str("u003f");
                let _eight_digits = rest.by_ref().take(8).count();
            }
            Some(other) => json.push(other),
            None => {}
        }
    }
    json
}

#[cfg(test)]
mod tests {
    use fleetwright_provider::Secret;

    use super::super::report::{self, Said};
    use super::*;

    fn cluster(text: &str) -> Result<ClusterFacts, String> {
        let text = format!("fw1 begin=ok\n{text}fw1 end=ok\n");
        let Said::Whole(report) = report::read(&Secret::new(text)) else { panic!("no end") };
        read(&report)
    }

    #[test]
    fn a_cluster_is_understood() {
        let digest = Digest::of("K10ab::server:x\n");
        let text = format!(
            "fw1 ready=yes\n\
             fw1 node={{\"name\":\"s2\",\"uid\":\"u2\",\"version\":\"v1.34.2+k3s1\",\"ready\":false,\"unready_since\":\"2027-01-15T08:00:00Z\",\
             \"unschedulable\":true,\"address\":\"10.0.0.12\",\"etcd\":\"learner\",\"roles\":[\"control-plane\",\"etcd\"],\"in_turn\":\"upgrade\"}}\n\
             fw1 node={{\"name\":\"s1\",\"uid\":\"u1\",\"version\":\"v1.34.2+k3s1\",\"ready\":true,\"unready_since\":\"\",\"unschedulable\":false,\
             \"address\":\"\",\"etcd\":\"voter\",\"roles\":[],\"in_turn\":null}}\n\
             fw1 ca=UEVNCg==\nfw1 token={digest}\nfw1 encryption=enabled\nfw1 encryption_stage=start\n"
        );
        let facts = cluster(&text).expect("facts");
        assert!(facts.ready);
        let names: Vec<&str> = facts.nodes.iter().map(|node| node.name.as_str()).collect();
        assert_eq!(names, ["s1", "s2"]);
        let [one, two] = facts.nodes.as_slice() else { panic!("two") };
        assert_eq!(
            (one.etcd, one.in_turn.as_deref(), one.unready_since_s),
            (Member::Voter, None, None)
        );
        assert_eq!(two.unready_since_s, Some(1_800_000_000));
        assert_eq!(
            (two.address.as_deref(), two.in_turn.as_deref()),
            (Some("10.0.0.12"), Some("upgrade"))
        );
        assert_eq!(facts.authority.as_deref(), Some("PEM\n"));
        assert_eq!(facts.token, Some(digest));
        assert_eq!(facts.encryption, Some(Encryption { on: true, stage: "start".into() }));
    }

    #[test]
    fn a_server_that_is_not_ready_says_so_and_nothing_of_nodes() {
        let facts = cluster("fw1 ready=no\n").expect("facts");
        assert!(!facts.ready && facts.nodes.is_empty() && facts.encryption.is_none());
        assert_eq!(cluster("fw1 node=1\n"), Err("whether the API is ready".to_owned()));
        assert!(cluster("fw1 ready=yes\nfw1 node={}\n").is_err());
    }

    #[test]
    fn what_go_quotes_is_read_as_json() {
        assert_eq!(
            as_json(r#"{"a":"\"b\\ \x07\v\U0001f600c\n"}"#),
            r#"{"a":"\"b\\ \u0007\u0020\u003fc\n"}"#
        );
    }
}
