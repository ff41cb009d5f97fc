//! kubectl against a running hub and its members: what a user does all day.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use base64::Engine as _;

use crate::fixture::{User, example, example_text, until};

/// A kubectl with one kubeconfig.
pub(crate) struct Kubectl<'a> {
    pub(crate) user: &'a User,
    pub(crate) kubeconfig: PathBuf,
}

/// The pinned one of `cargo xtask test`, or that of the machine.
fn program() -> PathBuf {
    let pinned = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.tools/python/bin/kubectl");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("kubectl"));
    let named = std::env::var_os("FLEETWRIGHT_KUBECTL").map(PathBuf::from);
    named
        .into_iter()
        .chain([pinned])
        .chain(on_path)
        .find(|candidate| candidate.is_file())
        .expect("no kubectl; `cargo xtask test` installs one")
}

impl Kubectl<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).stdin(Stdio::null());
        command.env("KUBECONFIG", &self.kubeconfig).env("HOME", self.user.path("kubectl-home"));
        command
    }

    /// The output of a command that succeeds.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        let ran = self.command(args).output().expect("kubectl runs");
        let told = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "kubectl {args:?}: {told}");
        String::from_utf8_lossy(&ran.stdout).into_owned()
    }
}

/// The second cluster of the example under another name.
fn third() -> String {
    let text = example_text("20-clusters.yaml");
    let (_, second) = text.split_once("---\n").expect("two documents");
    second.replace("retail-us", "third")
}

#[test]
fn kubectl_gets_watches_applies_waits_describes_and_deletes() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");
    let hub = Kubectl { user: &user, kubeconfig: user.data().join("kubeconfig") };

    let got = hub.ok(&["get", "fwc", "-A"]);
    let header: Vec<&str> = got.lines().next().expect("header").split_whitespace().collect();
    let expected = [
        "NAMESPACE",
        "NAME",
        "PROVIDER",
        "REGION",
        "VERSION",
        "READY",
        "SYNCED",
        "NODES",
        "POLICY",
        "DRIFT",
        "AGE",
    ];
    assert_eq!(header, expected);
    let rows: Vec<Vec<&str>> =
        got.lines().skip(1).map(|row| row.split_whitespace().take(9).collect()).collect();
    assert_eq!(
        rows,
        [
            ["payments", "payments-eu", "eks", "eu-west-1", "1.34", "True", "True", "4", "1/1"],
            ["retail", "retail-us", "eks", "us-east-1", "1.34", "True", "True", "3", "1/1"],
            ["retail", "retail-we", "aks", "westeurope", "1.34.2", "True", "True", "5", "1/1"],
            ["retail", "store-17", "k3s", "v1.34.2+k3s1", "True", "True", "5", "1/1", "NoDrift"],
        ]
    );

    let seen = user.path("watched");
    let file = std::fs::File::create(&seen).expect("created");
    let mut watching = hub
        .command(&["get", "fwc", "-n", "retail", "-w"])
        .stdout(file)
        .spawn()
        .expect("kubectl runs");
    hub.ok(&["apply", "-f", &user.file("third.yaml", &third())]);
    hub.ok(&["wait", "--for=condition=Ready", "fwc/third", "-n", "retail", "--timeout=60s"]);
    let lines = || std::fs::read_to_string(&seen).expect("readable");
    until("the watch shows the new cluster ready", || {
        lines().lines().any(|line| line.starts_with("third") && line.contains("True"))
    });
    watching.kill().expect("killed");
    watching.wait().expect("ended");
    let described = hub.ok(&["describe", "fwc", "-n", "retail", "third"]);
    assert!(described.contains("create control plane"), "{described}");

    // With `deletionPolicy: Delete` nothing happens before a person has confirmed it.
    let region = "us-east-1";
    hub.ok(&["delete", "fwc", "-n", "retail", "third", "--wait=false"]);
    let field = |path: &str| {
        hub.ok(&["get", "fwc", "-n", "retail", "third", "-o", &format!("jsonpath={path}")])
    };
    until("the deletion waits for its confirmation", || {
        field("{.status.conditions[?(@.type==\"Synced\")].reason}") == "AwaitingConfirmation"
    });
    let confirm = format!("fleetwright.dev/confirm-delete={}", field("{.metadata.uid}"));
    hub.ok(&["annotate", "fwc", "-n", "retail", "third", &confirm]);
    until("the object is gone", || {
        hub.ok(&["get", "fwc", "-n", "retail", "third", "--ignore-not-found"]).is_empty()
    });
    // `Retain`: the object goes and the cluster stays.
    hub.ok(&["delete", "fwc", "-n", "payments", "payments-eu", "--timeout=60s"]);
    assert_eq!(running.signal("TERM"), Some(0));
    let left = user.inventory();
    let names: Vec<&str> = left.iter().map(|one| one.region.as_str()).collect();
    assert_eq!(
        names,
        ["eu-west-1", region, "westeurope", ""],
        "retail-us, retail-we and store-17 live, third is gone, payments-eu was let go"
    );
    assert!(left[0].tags.contains_key("fleetwright.dev/released"), "{:?}", left[0].tags);
}

#[test]
fn what_is_changed_on_a_member_by_hand_is_put_back() {
    let user = User::new();
    let running = user.start(&["-f", &example()]);
    running.until_it_says("Leave this running");
    let hub = Kubectl { user: &user, kubeconfig: user.data().join("kubeconfig") };
    let secret = hub.ok(&[
        "get",
        "secret",
        "-n",
        "payments",
        "payments-eu-kubeconfig",
        "-o",
        "jsonpath={.data.kubeconfig}",
    ]);
    let kubeconfig = base64::engine::general_purpose::STANDARD.decode(secret).expect("base64");
    let kubeconfig = user.file("member", &String::from_utf8(kubeconfig).expect("UTF-8")).into();
    let member = Kubectl { user: &user, kubeconfig };

    assert_eq!(member.ok(&["get", "nodes", "-o", "name"]).lines().count(), 4);
    let policies =
        |namespace: &str| member.ok(&["get", "networkpolicy", "-n", namespace, "-o", "name"]);
    let both = "networkpolicy.networking.k8s.io/fleetwright-default-deny-egress\n\
                networkpolicy.networking.k8s.io/fleetwright-default-deny-ingress\n";
    assert_eq!(policies("default"), both);
    member.ok(&["delete", "networkpolicy", "-n", "default", "fleetwright-default-deny-egress"]);
    until("the NetworkPolicy comes back", || policies("default") == both);

    let shop = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n";
    member.ok(&["apply", "-f", &user.file("shop.yaml", shop)]);
    until("a new namespace gets its policies", || policies("shop") == both);
    let label = "jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}";
    assert_eq!(member.ok(&["get", "ns", "shop", "-o", label]), "restricted");
    member.ok(&[
        "label",
        "ns",
        "shop",
        "pod-security.kubernetes.io/enforce=privileged",
        "--overwrite",
    ]);
    until("the label comes back", || {
        member.ok(&["get", "ns", "shop", "-o", label]) == "restricted"
    });
}
