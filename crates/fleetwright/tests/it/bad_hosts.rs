//! Bad lists of hosts: answered with their line, and no host is asked.

use crate::bad::Proxy;
use crate::fixture::User;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

/// What is wrong with a list of hosts: text of the example, what stands there instead, the field, and words of the message.
const BAD_HOSTS: [[&str; 4]; 20] = [
    ["    - {name: s3, host: 10.17.0.13}\n", "", "spec.k3s", "servers must be 1 or an odd number"],
    [
        "    endpoint: {host: k3s-17.store.example}",
        "    # none",
        "spec.k3s",
        "endpoint is needed above one server",
    ],
    [KEY, "AAAAC3Nz", "spec.k3s.ssh.hostKeys", "is no public key like ssh-ed25519"],
    ["etcd-expose-metrics:", "token:", "spec.k3s.config", "is ours to set"],
    ["version: v1.34.2+k3s1", "version: \"1.34\"", "spec", "version is a release of K3s with k3s"],
    ["version: v1.34.2+k3s1", "version: v1.34.2", "spec.version", "must be MAJOR.MINOR"],
    [
        "  k3s:\n",
        "  nodePools: [{name: web, size: {min: 1, max: 2}}]\n  k3s:\n",
        "spec",
        "nodePools are for clouds",
    ],
    [
        "host: 10.17.0.12}",
        "host: 10.17.0.11}",
        "spec.k3s.servers[s2].host",
        "is that of another host",
    ],
    ["name: till-1,", "name: s1,", "spec.k3s.agents[s1]", "stands there twice"],
    [
        "host: 10.17.0.13}",
        "host: 10.17.0.13, presence: Intermittent}",
        "spec.k3s.servers[s3].presence",
        "is for agents",
    ],
    [
        "store.example/zone: office",
        "node-role.kubernetes.io/office: x",
        "spec.k3s.agents[back-office].labels",
        "NodeRestriction",
    ],
    ["disable: [traefik]", "disable: [nginx]", "spec.k3s.disable", "is no component of K3s"],
    ["0 */6 * * *", "0 25 * * *", "spec.k3s.backup.schedule", "give five fields of cron"],
    [
        "host: 10.17.0.11}",
        "host: ops@10.17.0.11}",
        "spec.k3s.servers[s1].host",
        "without user, port or brackets",
    ],
    [
        "      mirrorUrl: https://artifacts.store.example/k3s\n",
        "",
        "spec.k3s.source",
        "mirrorUrl is needed with type Airgap",
    ],
    [
        "host: 10.17.0.20,",
        "host: 192.0.2.20,",
        "spec.k3s.agents[back-office].host",
        "outside the account's limits.hosts",
    ],
    ["    agents:\n", "    agent:\n", "agent", "did you mean agents?"],
    [
        "    endpoint:",
        "    datastore: {type: Sqlite}\n    endpoint:",
        "spec.k3s",
        "datastore Sqlite is for one server",
    ],
    [
        "connection: {type: Ssh}",
        "connection: {type: Agent}",
        "spec.connection",
        "reserved and not built yet",
    ],
    ["  k3s:\n", "  tags: {team: edge}\n  k3s:\n", "spec.tags", "hosts bear no tags"],
];

#[test]
fn a_list_of_hosts_that_cannot_be_a_cluster_is_refused_with_its_line_and_no_host_is_asked() {
    let (user, proxy) = (User::new(), Proxy::new());
    let folder = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        std::fs::read_to_string(path.join("../../docs/examples/hosts").join(name)).expect(name)
    };
    let account = user.file("account.yaml", &folder("10-account.yaml"));
    let good = folder("20-store-17.yaml");
    for [from, to, field, expected] in BAD_HOSTS {
        assert!(good.contains(from), "{from}");
        let bad = user.file("bad.yaml", &good.replacen(from, to, 1));
        let ran = proxy.plan(&user, &[&account, &bad]).expect(1);
        let told = ran.stderr();
        let told = told.lines().find(|line| line.contains(field) && line.contains(expected));
        let told = told.unwrap_or_else(|| panic!("{field}: {expected} not in\n{}", ran.stderr()));
        let line = told.strip_prefix(&format!("{bad}:")).and_then(|rest| rest.split(' ').next());
        assert!(line.is_some_and(|line| line.parse::<u32>().is_ok_and(|line| line > 1)), "{told}");
        assert_eq!(ran.stdout(), "", "{expected}");
    }
    let trusting = folder("10-account.yaml");
    let (head, rest) = trusting.split_once("    hostKeys:").expect("host keys");
    let (_, limits) = rest.split_once("  limits:").expect("limits");
    let nobody = user.file("account.yaml", &format!("{head}  limits:{limits}"));
    let kiosk = user.file("kiosk.yaml", &folder("21-kiosk.yaml"));
    let told = proxy.plan(&user, &[&nobody, &kiosk]).expect(1).stderr();
    assert!(
        told.contains("kiosk.yaml:") && told.contains("nothing is trusted on first use"),
        "{told}"
    );
    proxy.saw_nobody();
}

#[test]
fn the_example_of_hosts_is_a_good_one() {
    let (user, proxy) = (User::new(), Proxy::new());
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples/hosts");
    let folder = folder.to_str().expect("UTF-8");
    let text = user.run(&["render", "-f", folder]).expect(0).stdout();
    for expected in ["create: control plane\n", "create: server s1\n", "create: agent till-2\n"] {
        assert!(text.contains(expected), "{expected:?} not in\n{text}");
    }
    proxy.saw_nobody();
}
