//! Two hosts and the cluster between them: joined, cordoned, drained, upgraded and left, by deeds on real shells.

use std::time::Duration;

use fleetwright_provider::Secret;
use fleetwright_provider_k3s::hosts::{
    Answer, Change, ClusterFacts, Digest, Drained, HostOp, ManagedFile, Member, Node, NodeName,
    Role, Stubborn,
};

use super::support::host::{Host, Shell, cannot_host};
use super::support::{Goal, goal};

/// A node at an address of its own on the network that both hosts share.
fn node(role: Role, name: &str, address: &str, more: &str) -> Goal {
    let mut goal = goal();
    goal.wanted.role = role;
    goal.wanted.files.clear();
    goal.wanted.needs.tcp.clear();
    goal.materials.part_bytes = None;
    let config = format!("node-name: {name}\nnode-ip: {address}\n{more}");
    goal.file(ManagedFile::Config, &config);
    goal
}

async fn cluster(server: &Shell<'_>) -> ClusterFacts {
    match server.try_op(&HostOp::ReadCluster, "7-a").await.expect("cluster") {
        Answer::Cluster(cluster) => *cluster,
        other => panic!("{other:?}"),
    }
}

async fn till(server: &Shell<'_>) -> Node {
    let nodes = cluster(server).await.nodes;
    nodes.into_iter().find(|node| node.name == "till-1").expect("the node")
}

async fn secret(server: &Shell<'_>, op: HostOp) -> Secret {
    match server.try_op(&op, "7-a").await.expect("token") {
        Answer::Token(token) => token,
        other => panic!("{other:?}"),
    }
}

async fn drained(server: &Shell<'_>, stubborn: Stubborn) -> Drained {
    let drain = HostOp::Drain { node: name(), wait: Duration::from_secs(1), stubborn };
    match server.try_op(&drain, "7-a").await.expect("drained") {
        Answer::Drained(drained) => drained,
        other => panic!("{other:?}"),
    }
}

fn name() -> NodeName {
    NodeName::new("till-1").expect("name")
}

/// What a look at the server tells of itself, and what the server tells of the cluster.
async fn tells_of_itself(server: &Shell<'_>, token: &Secret) {
    let line = Digest::of(format!("{}\n", token.expose()));
    let facts = server.look().await;
    assert_eq!(facts.server_token, Some(line.clone()));
    assert_eq!(facts.node_name(), "s1");
    let ends: Vec<(&str, i64)> =
        facts.certificates.iter().map(|one| (one.file.as_str(), one.not_after_s)).collect();
    assert_eq!(
        ends,
        [
            ("server/tls/client-ca.nochain.crt", 2_110_765_453),
            ("server/tls/server-ca.crt", 2_110_765_453),
            ("server/tls/server-ca.nochain.crt", 2_110_765_453),
            ("server/tls/serving-kube-apiserver.crt", 2_110_765_453),
            ("agent/client-kubelet.crt", 2_110_765_453)
        ]
    );
    let seen = cluster(server).await;
    assert!(seen.ready && seen.encryption.is_some_and(|it| it.on && it.stage == "start"));
    assert_eq!(seen.token, Some(line));
    assert!(seen.authority.is_some_and(|pem| pem.starts_with("-----BEGIN CERTIFICATE-----\n")));
    assert_eq!((seen.nodes[0].name.as_str(), seen.nodes[0].etcd), ("s1", Member::Voter));
}

#[tokio::test]
async fn a_node_joins_takes_its_turn_and_leaves() {
    if cannot_host() {
        return;
    }
    let (one, two) = {
        let one = Host::with_shell("dash");
        let two = Host::boot("bash", Some(&one), |_| {});
        (one, two)
    };
    let (server, agent) = (Shell::on(&one), Shell::on(&two));
    let before = two.tree();
    let mut founder =
        node(Role::Server, "s1", "127.0.0.11", "cluster-init: true\nsecrets-encryption: true\n");
    founder.file(ManagedFile::Manifest, "kind: ServiceAccount\n");
    server.settle(&founder).await;
    let token = secret(&server, HostOp::ReadToken).await;
    tells_of_itself(&server, &token).await;
    // An agent joins with the token in a file.
    let more = "server: https://127.0.0.11:6443\ntoken-file: /etc/rancher/k3s/token\n";
    let mut joiner = node(Role::Agent, "till-1", "127.0.0.12", more);
    joiner.file(ManagedFile::Token, &format!("{}\n", token.expose()));
    agent.settle(&joiner).await;
    let joined = till(&server).await;
    assert!(joined.ready && !joined.unschedulable && joined.in_turn.is_none());
    assert_eq!((joined.etcd, joined.version.as_str()), (Member::None, "v1.34.2+k3s1"));
    // Its turn: kept free of new pods, emptied as far as budgets allow, upgraded, and let back.
    let drain =
        HostOp::Drain { node: name(), wait: Duration::from_secs(1), stubborn: Stubborn::Kept };
    assert_eq!(
        server.refused(drain).await,
        "cannot drain node till-1: open: node till-1 is not cordoned"
    );
    let cordon = || HostOp::Cordon { node: name(), what: "version v1.35".to_owned() };
    assert_eq!(server.done(cordon()).await, Change::Changed);
    assert_eq!(server.done(cordon()).await, Change::Unchanged);
    assert_eq!(till(&server).await.in_turn.as_deref(), Some("version v1.35"));
    one.sh("echo shop/web >/run/standin/budget");
    let left = drained(&server, Stubborn::Kept).await;
    assert_eq!((left.done, left.left), (false, 1));
    assert!(left.blocked[0].contains("disruption budget"), "{left:?}");
    assert!(drained(&server, Stubborn::Deleted).await.done);
    one.sh("rm /run/standin/budget");
    let empty = Drained { done: true, left: 0, blocked: Vec::new() };
    assert_eq!(drained(&server, Stubborn::Kept).await, empty);
    joiner.version("v1.35.0+k3s1");
    let done = agent.settle(&joiner).await;
    assert_eq!(done[1..], ["put k3s in place", "restart k3s-agent.service"]);
    let newer = till(&server).await;
    assert_eq!((newer.version.as_str(), newer.unschedulable), ("v1.35.0+k3s1", true));
    assert_eq!(server.done(HostOp::Uncordon { node: name() }).await, Change::Changed);
    assert_eq!(server.done(HostOp::Uncordon { node: name() }).await, Change::Unchanged);
    assert!(!till(&server).await.unschedulable);
    // A token of our account.
    let mint = HostOp::MintToken { valid: Duration::from_secs(3600) };
    assert!(secret(&server, mint).await.expose().starts_with("eyJhbGciOiJSUzI1NiJ9.3600s."));
    // It goes: from the cluster, then from its host.
    two.sh("systemctl stop k3s-agent");
    assert!(!till(&server).await.ready);
    assert_eq!(server.done(HostOp::DeleteNode { node: name() }).await, Change::Changed);
    assert_eq!(server.done(HostOp::DeleteNode { node: name() }).await, Change::Unchanged);
    assert_eq!(cluster(&server).await.nodes.len(), 1);
    agent.done(HostOp::Uninstall).await;
    assert_eq!(two.changes(&before), Vec::<String>::new());
    one.sh("systemctl stop k3s");
    assert!(!cluster(&server).await.ready);
}
