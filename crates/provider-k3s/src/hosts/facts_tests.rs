//! Cases of looking: what hosts print, and what we understand.

use fleetwright_provider::Secret;
use proptest::prelude::*;

use super::super::report::{self, Said};
use super::*;

const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A bare Debian host with room for everything.
const BARE: &str = "
fw1 uid=0
fw1 machine=x86_64
fw1 hostname=store-17
fw1 epoch=1800000000
fw1 os=Debian GNU/Linux 12 (bookworm)
fw1 machine_id=0123456789abcdef0123456789abcdef
fw1 boot=11111111-2222-3333-4444-555555555555
fw1 memory_kib=4028000
fw1 cpus=4
fw1 init=systemd
fw1 space=20000000 /usr/local/bin
fw1 space=20000000 /var/lib
fw1 space=20000000 /etc
fw1 tcp=0016 
fw1 udp=0044 
fw1 kernel_has=cgroup-memory
fw1 kernel_has=overlay
fw1 kernel_has=br_netfilter
fw1 kernel_has=default-route
fw1 sysctl=vm/overcommit_memory=0
fw1 service=Id=k3s.service
fw1 service=LoadState=not-found
fw1 service=ActiveState=inactive
fw1 service=SubState=dead
fw1 service=UnitFileState=
fw1 service=Result=success
fw1 service=
fw1 service=Id=k3s-agent.service
fw1 service=LoadState=not-found
fw1 service=ActiveState=inactive
fw1 service=SubState=dead
fw1 service=UnitFileState=
fw1 service=Result=success
";

pub(crate) fn facts(more: &str) -> Result<HostFacts, String> {
    let text = format!("{BARE}{more}\nfw1 end=ok\n");
    let Said::Whole(report) = report::read(&Secret::new(text)) else { panic!("no end") };
    read(&report)
}

/// A host with nothing of K3s on it.
pub(crate) fn bare() -> HostFacts {
    facts("").expect("facts")
}

#[test]
fn a_bare_host_is_understood() {
    let facts = bare();
    assert!(facts.root);
    assert_eq!(facts.arch, Some(Arch::Amd64));
    assert_eq!(facts.os, "Debian GNU/Linux 12 (bookworm)");
    assert_eq!(facts.epoch_s, 1_800_000_000);
    assert_eq!(facts.tcp, BTreeSet::from([22]));
    assert_eq!(facts.udp, BTreeSet::from([68]));
    assert_eq!(facts.space[1], Space { path: "/var/lib".into(), free_kib: 20_000_000 });
    assert!(facts.kernel.cgroup_memory && facts.kernel.overlay && facts.kernel.default_route);
    assert!(!facts.kernel.selinux_enforcing);
    assert_eq!(facts.marker, None);
    assert_eq!(facts.services[&Role::Server].state, ServiceState::Absent);
    assert_eq!(facts.sysctls["vm.overcommit_memory"], "0");
}

#[test]
fn an_installation_is_understood() {
    let more = format!(
        "fw1 marker=fleetwright 1\nfw1 marker=hub ab\nfw1 marker=object edge/store-17\nfw1 marker=uid 7\n\
         fw1 file={EMPTY}  /usr/local/bin/k3s\nfw1 version=v1.34.2+k3s1\n\
         fw1 part=4096 /usr/local/bin/.k3s-{EMPTY}.part\n\
         fw1 file={EMPTY}  /etc/rancher/k3s/config.yaml\nfw1 mode=600 0:0 /etc/rancher/k3s/config.yaml\n\
         fw1 file={EMPTY}  /etc/passwd\nfw1 mode=644 0:0 /etc/passwd\n\
         fw1 loaded={EMPTY}  /usr/local/bin/k3s\n\
         fw1 file={EMPTY}  /var/lib/rancher/k3s/agent/images/fleetwright-airgap-images.tar.zst\n\
         fw1 setting=node-name Store-17.example\nfw1 setting=data-dir \nfw1 dropin=10-site.yaml\nfw1 flag=--data-dir\n\
         fw1 server_token={EMPTY}\n\
         fw1 data=etcd\nfw1 data=server\nfw1 unit=k3s.service"
    );
    let facts = facts(&more).expect("facts");
    let Some(Marker::Owned(owner)) = facts.marker.clone() else { panic!("it is marked") };
    assert_eq!(owner.object.to_string(), "edge/store-17");
    assert_eq!(facts.version.as_deref(), Some("v1.34.2+k3s1"));
    assert_eq!(facts.arriving, BTreeMap::from([(Digest::of(""), Arriving::Part(4096))]));
    let images = Artifact::Images(super::super::artifact::Packing::Zstd);
    assert_eq!(facts.images, BTreeMap::from([(images, Digest::of(""))]));
    assert_eq!(facts.node_name(), "store-17.example");
    assert_eq!(facts.settings.get("data-dir"), None);
    assert_eq!(facts.drop_ins, BTreeSet::from(["10-site.yaml".to_owned()]));
    assert_eq!(facts.flags, BTreeSet::from(["--data-dir".to_owned()]));
    assert_eq!(facts.server_token, Some(Digest::of("")));
    let body = serde_json::to_value(&facts).expect("as data");
    assert_eq!(body["files"]["/etc/rancher/k3s/config.yaml"]["digest"], EMPTY);
    assert_eq!(body["services"]["server"]["state"], "Absent");
    assert_eq!(serde_json::from_value::<HostFacts>(body).expect("back"), facts);
    let config = &facts.files[&ManagedFile::Config];
    assert_eq!((config.mode.as_str(), config.owner.as_str()), ("600", "0:0"));
    assert_eq!(facts.files.len(), 1, "only files of ours count");
    assert_eq!(facts.loaded["/usr/local/bin/k3s"], Digest::of(""));
    assert_eq!(facts.data, BTreeSet::from([Datastore::Etcd, Datastore::Server]));
}

#[test]
fn states_of_services_are_told_apart() {
    let state = |load: &str, active: &str, sub: &str| {
        let (load, active, sub) = (
            format!("LoadState={load}"),
            format!("ActiveState={active}"),
            format!("SubState={sub}"),
        );
        service(&["Id=k3s.service", &load, &active, &sub]).expect("service").1.state
    };
    assert_eq!(state("not-found", "inactive", "dead"), ServiceState::Absent);
    assert_eq!(state("loaded", "inactive", "dead"), ServiceState::Stopped);
    assert_eq!(state("loaded", "activating", "start"), ServiceState::Moving);
    assert_eq!(state("loaded", "activating", "auto-restart"), ServiceState::Crashing);
    assert_eq!(state("loaded", "active", "running"), ServiceState::Running);
    assert_eq!(state("loaded", "failed", "failed"), ServiceState::Failed);
    // A unit whose file was removed while it runs.
    assert_eq!(state("not-found", "active", "running"), ServiceState::Running);
    assert!(
        service(&["UnitFileState=enabled", "Id=k3s-agent.service"]).expect("service").1.enabled
    );
    assert!(service(&["Id=other.service", "LoadState=loaded"]).is_none());
}

#[test]
fn a_look_that_lacks_what_we_decide_by_is_no_look() {
    for key in ["uid", "machine", "hostname", "epoch", "memory_kib", "cpus", "init"] {
        let lines: Vec<&str> =
            BARE.lines().filter(|line| !line.starts_with(&format!("fw1 {key}="))).collect();
        let text = format!("{}\nfw1 end=ok\n", lines.join("\n"));
        let Said::Whole(report) = report::read(&Secret::new(text)) else { panic!("no end") };
        assert_eq!(read(&report), Err(key.to_owned()));
    }
    let facts = facts("fw1 file=half  /usr/local/bin/k3s").expect("facts");
    assert_eq!(facts.binary, None, "a digest that is none is not there");
}

#[test]
fn machines_have_the_names_of_release_files() {
    assert_eq!(Arch::of("aarch64").map(Arch::word), Some("arm64"));
    assert_eq!(Arch::of("armv7l").map(Arch::word), Some("arm"));
    assert_eq!(Arch::of("armv6l"), None);
    assert_eq!(Arch::of("riscv64"), None);
}

proptest! {
    #[test]
    fn nothing_that_a_host_prints_breaks_the_reading(
        lines in proptest::collection::vec(("[a-z_]{1,12}", "[ -~]{0,60}"), 0..40),
        real in any::<bool>(),
    ) {
        let printed: String =
            lines.iter().map(|(key, value)| format!("fw1 {key}={value}\n")).collect();
        let start = if real { BARE } else { "" };
        let text = format!("{start}{printed}fw1 end=ok\n");
        if let Said::Whole(report) = report::read(&Secret::new(text)) {
            let facts = read(&report);
            prop_assert!(facts.is_ok() || !real);
        }
    }

    #[test]
    fn no_value_of_a_known_key_breaks_the_reading(key in 0..16_usize, value in "[ -~]{0,80}") {
        const KEYS: [&str; 16] = [
            "space", "tcp", "udp", "sysctl", "marker", "part", "file", "mode", "loaded", "data",
            "unit", "service", "cert", "snapshot", "setting", "server_token",
        ];
        let line = format!("fw1 {}={value}", KEYS[key]);
        prop_assert!(facts(&line).is_ok());
    }
}
