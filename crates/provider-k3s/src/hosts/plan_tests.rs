//! Cases of planning: a host is worked on by [`Model`] until nothing is left to do, and what was done is written down.

use std::collections::BTreeSet;

use fleetwright_names::{HubId, ObjectKey, Uid};

use super::super::artifact::Packing;
use super::super::digest::Content;
use super::super::facts::tests::bare;
use super::super::facts::{Arriving, Datastore, SeenFile, Service, ServiceState};
use super::super::op::{Action, HostOp};
use super::super::stored::Fetched;
use super::super::unit::unit_text;
use super::*;

#[path = "plan_source_tests.rs"]
mod source;
#[path = "plan_whose_tests.rs"]
mod whose;

const NOW_S: i64 = 1_800_000_000;
const BYTES: &[u8] = b"the binary of k3s";

fn owner(uid: &str) -> Owner {
    Owner {
        hub: HubId::new("ab").expect("hub"),
        object: ObjectKey::parse("edge/store-17"),
        uid: Uid::new(uid).expect("uid"),
    }
}

fn release(bytes: &[u8]) -> Release {
    Release { arch: Arch::Amd64, digest: Digest::of(bytes) }
}

fn content(file: ManagedFile) -> &'static str {
    match file {
        ManagedFile::Token => "hunter2\n",
        ManagedFile::Config => "cluster-init: true\n",
        _ => "",
    }
}

fn version(text: &str) -> K3sVersion {
    K3sVersion::parse(text).expect("version")
}

fn wanted() -> Wanted {
    let files =
        [ManagedFile::Token, ManagedFile::Config].map(|file| (file, Digest::of(content(file))));
    Wanted {
        owner: owner("7"),
        adoption: Adoption::Never,
        role: Role::Server,
        version: version("v1.34.2+k3s1"),
        source: Source::Sent(Some(release(BYTES))),
        images: None,
        files: BTreeMap::from(files),
        sysctls: BTreeMap::new(),
        needs: Needs::of(Role::Server, true),
        disruption: Disruption::Upgrade,
    }
}

fn write(wanted: &mut Wanted, file: ManagedFile, text: &str) {
    wanted.files.insert(file, Digest::of(text));
}

fn seen(text: &str, mode: &str) -> SeenFile {
    SeenFile { digest: Digest::of(text), mode: mode.to_owned(), owner: "0:0".to_owned() }
}

/// A host that does what it is told, as far as facts tell. Its K3s is ready at the second look.
struct Model(HostFacts);

impl Model {
    fn apply(&mut self, step: &Step) {
        let facts = &mut self.0;
        match step {
            Step::Claim(change) => {
                assert_eq!(facts.marker, change.was);
                facts.marker = Some(change.now.clone());
            }
            // Two parts are enough to see them go.
            Step::Send { digest, arrived, .. } => {
                let arrived = if *arrived == 0 { Arriving::Part(10) } else { Arriving::Whole };
                facts.arriving = BTreeMap::from([(digest.clone(), arrived)]);
            }
            Step::Place { artifact: Artifact::Binary, digest } => {
                facts.binary = Some(digest.clone());
                facts.arriving.clear();
            }
            Step::Place { artifact, digest } => {
                facts.images = BTreeMap::from([(*artifact, digest.clone())]);
                facts.arriving.clear();
            }
            Step::RunInstallScript { role, version } => {
                facts.binary = Some(Digest::of(version.to_string()));
                facts.version = Some(version.to_string());
                facts.files.insert(ManagedFile::Unit(*role), seen("theirs", "644"));
                facts.units.insert(format!("{}.service", role.service()));
                self.service(*role).state = ServiceState::Stopped;
            }
            Step::Write { file, digest } => {
                let (mode, digest) = (file.mode().to_owned(), digest.clone());
                facts.files.insert(*file, SeenFile { digest, mode, owner: "0:0".to_owned() });
                if let ManagedFile::Unit(role) = file {
                    facts.units.insert(format!("{}.service", role.service()));
                    self.service(*role).state = ServiceState::Stopped;
                }
            }
            Step::Remove { file } => {
                facts.files.remove(file);
            }
            Step::ApplySysctls => {
                facts.sysctls.insert("vm.overcommit_memory".into(), "1".into());
            }
            Step::Service { role, action: Action::Enable } => self.service(*role).enabled = true,
            Step::Service { role, action: Action::Start | Action::Restart } => self.start(*role),
            other => panic!("no plan does {other}"),
        }
    }

    fn service(&mut self, role: Role) -> &mut Service {
        self.0.services.get_mut(&role).expect("both are listed")
    }

    fn start(&mut self, role: Role) {
        self.service(role).state = ServiceState::Moving;
        let facts = &mut self.0;
        facts.data.extend([Datastore::Server, Datastore::Etcd]);
        facts.loaded = facts
            .files
            .iter()
            .filter(|(file, _)| file.read_at_start(role))
            .map(|(file, seen)| (file.path().to_owned(), seen.digest.clone()))
            .chain(facts.binary.clone().map(|digest| ("/usr/local/bin/k3s".to_owned(), digest)))
            .collect();
    }

    /// Works until nothing is left to do; what was done, and how it ended.
    fn work(&mut self, wanted: &Wanted) -> Vec<String> {
        let mut done = Vec::new();
        for _ in 0..40 {
            match next(wanted, &self.0, NOW_S) {
                Next::Do(step) => {
                    done.push(step.to_string());
                    self.apply(&step);
                }
                Next::Wait => {
                    done.push("wait".to_owned());
                    self.service(wanted.role).state = ServiceState::Running;
                }
                Next::Held(Held { cause, due }) => {
                    done.push(format!("{cause:?} is held: {}", due.join(", ")));
                    return done;
                }
                other => {
                    done.push(format!("{other:?}"));
                    return done;
                }
            }
        }
        panic!("it does not end: {done:#?}")
    }
}

fn installed() -> Model {
    let mut model = Model(bare());
    assert_eq!(model.work(&wanted()).last().map(String::as_str), Some("Done"));
    model.0.version = Some("v1.34.2+k3s1".into());
    model
}

/// What a person reads when nothing is done.
fn refused(wanted: &Wanted, facts: &HostFacts) -> Vec<String> {
    match next(wanted, facts, NOW_S) {
        Next::Refused(reasons) => reasons.iter().map(ToString::to_string).collect(),
        other => vec![format!("{other:?}")],
    }
}

const INSTALL: [&str; 10] = [
    "mark the host as that of edge/store-17",
    "send k3s",
    "send k3s from byte 10 on",
    "put k3s in place",
    "write /etc/rancher/k3s/token",
    "write /etc/rancher/k3s/config.yaml",
    "write /etc/systemd/system/k3s.service",
    "enable k3s.service",
    "start k3s.service",
    "wait",
];

#[test]
fn a_bare_host_is_installed_in_this_order() {
    let mut done = Model(bare()).work(&wanted());
    assert_eq!(done.pop().as_deref(), Some("Done"));
    assert_eq!(done, INSTALL);
}

#[test]
fn after_a_cut_at_any_step_the_rest_is_done() {
    for cut in 0..INSTALL.len() - 1 {
        let mut model = Model(bare());
        for _ in 0..cut {
            let Next::Do(step) = next(&wanted(), &model.0, NOW_S) else { panic!("one was left") };
            model.apply(&step);
        }
        let mut rest = model.work(&wanted());
        assert_eq!(rest.pop().as_deref(), Some("Done"));
        assert_eq!(rest, INSTALL[cut..]);
    }
}

#[test]
fn a_part_of_another_binary_is_begun_anew() {
    let mut model = Model(bare());
    model.0.marker = Some(Marker::Owned(owner("7")));
    model.0.arriving = BTreeMap::from([(Digest::of("old"), Arriving::Whole)]);
    assert_eq!(model.work(&wanted())[0], "send k3s");
}

#[test]
fn a_step_becomes_a_deed_with_what_was_planned_and_nothing_else() {
    let fetched = |bytes: &'static [u8]| Fetched::new(Arch::Amd64, Digest::of(bytes), bytes).ok();
    let files = BTreeMap::from([(ManagedFile::Config, Content::new("a: b\n".into()))]);
    let materials =
        Materials { binary: fetched(BYTES), files, part_bytes: Some(10), ..Materials::default() };
    let send =
        |arrived| Step::Send { artifact: Artifact::Binary, digest: Digest::of(BYTES), arrived };
    let deed = |step: &Step| match step.op(&materials) {
        Ok(op) => op.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(deed(&send(0)), "send bytes 0 to 10 of k3s");
    assert_eq!(deed(&send(10)), "send bytes 10 to 17 of k3s");
    assert_eq!(deed(&send(17)), "send bytes 17 to 17 of k3s", "which sets it aside");
    assert_eq!(deed(&send(99)), "send bytes 0 to 10 of k3s", "too long to be right");
    let other = Step::Send { artifact: Artifact::Binary, digest: Digest::of(""), arrived: 0 };
    assert_eq!(
        deed(&other),
        "cannot send k3s: what it is to hold has changed since it was planned; plan again"
    );
    let write = |file, text| Step::Write { file, digest: Digest::of(text) };
    assert_eq!(deed(&write(ManagedFile::Config, "a: b\n")), "write /etc/rancher/k3s/config.yaml");
    assert!(deed(&write(ManagedFile::Config, "a: c\n")).ends_with("plan again"));
    assert_eq!(
        deed(&write(ManagedFile::Token, "t")),
        "to write /etc/rancher/k3s/token, its content is needed and was not given"
    );
    let Ok(HostOp::WriteFile { content, .. }) =
        write(ManagedFile::Unit(Role::Agent), &unit_text(Role::Agent)).op(&Materials::default())
    else {
        panic!("units come by themselves")
    };
    assert_eq!(content.text().expose(), unit_text(Role::Agent));
}

#[test]
fn a_new_configuration_is_written_and_read_by_a_restart() {
    let mut model = installed();
    let mut changed = wanted();
    write(&mut changed, ManagedFile::Config, "cluster-init: true\ndebug: true\n");
    write(&mut changed, ManagedFile::Registries, "mirrors: {}\n");
    assert_eq!(
        model.work(&changed),
        [
            "write /etc/rancher/k3s/registries.yaml",
            "write /etc/rancher/k3s/config.yaml",
            "restart k3s.service",
            "wait",
            "Done"
        ]
    );
    assert_eq!(
        model.work(&wanted()),
        [
            "write /etc/rancher/k3s/config.yaml",
            "remove /etc/rancher/k3s/registries.yaml",
            "restart k3s.service",
            "wait",
            "Done"
        ]
    );
}

#[test]
fn drift_is_undone() {
    let config = |model: &mut Model, seen: SeenFile| {
        model.0.files.insert(ManagedFile::Config, seen);
        model.work(&wanted())
    };
    let mut model = installed();
    // Changed by hand, not yet read by K3s: no restart is due once it is undone.
    assert_eq!(
        config(&mut model, seen("debug: true\n", "600")),
        ["write /etc/rancher/k3s/config.yaml", "Done"]
    );
    assert_eq!(
        config(&mut model, seen("cluster-init: true\n", "644")),
        ["write /etc/rancher/k3s/config.yaml", "Done"]
    );
    model.service(Role::Server).state = ServiceState::Stopped;
    assert_eq!(model.work(&wanted()), ["start k3s.service", "wait", "Done"]);
    model.service(Role::Server).enabled = false;
    assert_eq!(model.work(&wanted()), ["enable k3s.service", "Done"]);
    // Somebody restarted it with other files and then put ours back.
    model.0.loaded.insert("/etc/rancher/k3s/config.yaml".into(), Digest::of("debug: true\n"));
    assert_eq!(model.work(&wanted()), ["restart k3s.service", "wait", "Done"]);
    model.0.files.remove(&ManagedFile::Token);
    assert_eq!(model.work(&wanted()), ["write /etc/rancher/k3s/token", "Done"]);
}

#[test]
fn an_upgrade_sends_the_binary_ahead_and_waits_for_its_turn() {
    let mut model = installed();
    let mut newer = wanted();
    newer.version = version("v1.35.0+k3s1");
    newer.source = Source::Sent(Some(release(b"newer")));
    newer.disruption = Disruption::Restart;
    assert_eq!(
        model.work(&newer),
        ["send k3s", "send k3s from byte 10 on", "Upgrade is held: put k3s in place"]
    );
    newer.disruption = Disruption::Upgrade;
    assert_eq!(model.work(&newer), ["put k3s in place", "restart k3s.service", "wait", "Done"]);
    // A restart that was cut off is held as well.
    model.0.loaded.insert("/usr/local/bin/k3s".into(), Digest::of(BYTES));
    newer.disruption = Disruption::Restart;
    assert_eq!(model.work(&newer), ["Upgrade is held: restart k3s.service"]);
    model.0.loaded.clear();
    newer.disruption = Disruption::Held;
    assert_eq!(model.work(&newer), ["Restart is held: restart k3s.service"]);
    // What does not run cannot be disturbed.
    model.service(Role::Server).state = ServiceState::Failed;
    assert_eq!(model.work(&newer), ["start k3s.service", "wait", "Done"]);
}

#[test]
fn files_are_read_by_a_restart_while_another_version_waits() {
    let mut model = installed();
    let mut newer = wanted();
    newer.source = Source::Sent(Some(release(b"newer")));
    write(&mut newer, ManagedFile::Config, "debug: true\n");
    newer.disruption = Disruption::Held;
    assert_eq!(
        model.work(&newer),
        [
            "send k3s",
            "send k3s from byte 10 on",
            "Upgrade is held: put k3s in place, write /etc/rancher/k3s/config.yaml"
        ]
    );
    newer.disruption = Disruption::Restart;
    assert_eq!(
        model.work(&newer),
        [
            "write /etc/rancher/k3s/config.yaml",
            "restart k3s.service",
            "wait",
            "Upgrade is held: put k3s in place"
        ]
    );
}

#[test]
fn what_does_not_disturb_is_done_at_any_time() {
    let mut model = installed();
    let mut more = wanted();
    more.disruption = Disruption::Held;
    let images = Artifact::Images(Packing::Zstd);
    more.images = Some((images, release(b"images")));
    write(&mut more, ManagedFile::Manifest, "kind: ServiceAccount\n");
    assert_eq!(
        model.work(&more),
        [
            "send the images",
            "send the images from byte 10 on",
            "put the images in place",
            "write /var/lib/rancher/k3s/server/manifests/fleetwright.yaml",
            "Done"
        ]
    );
    assert_eq!(
        model.work(&Wanted { images: None, ..more }),
        ["Done"],
        "images that were needed once do no harm"
    );
}

#[test]
fn versions_go_forward_one_minor_at_a_time() {
    let mut model = installed();
    let to = |text: &str| Wanted { version: version(text), ..wanted() };
    assert_eq!(
        refused(&to("v1.34.1+k3s1"), &model.0),
        ["it runs v1.34.2+k3s1; K3s cannot go back to v1.34.1+k3s1"]
    );
    assert_eq!(
        refused(&to("v1.36.0+k3s1"), &model.0),
        ["from v1.34.2+k3s1 to v1.36.0+k3s1 is more than one minor version; go one at a time"]
    );
    assert_eq!(refused(&to("v1.35.0+k3s1"), &model.0), ["Done"]);
    let away = Wanted { role: Role::Agent, ..to("v1.36.0+k3s1") };
    let mut till = model.0.clone();
    till.data = BTreeSet::from([Datastore::Agent]);
    till.units.clear();
    assert!(!refused(&away, &till)[0].contains("minor"), "an agent that was away follows at once");
    // A binary that never ran binds nobody.
    model.0.data.clear();
    assert_eq!(refused(&to("v1.30.0+k3s1"), &model.0), ["Done"]);
}

#[test]
fn every_problem_of_a_host_is_told_at_once() {
    let mut facts = bare();
    facts.root = false;
    facts.arch = None;
    facts.machine = "riscv64".into();
    facts.init = "openrc".into();
    facts.missing_tools = vec!["awk".into(), "dd".into()];
    facts.epoch_s = NOW_S - 61;
    facts.memory_kib = 512 * 1024;
    facts.kernel.cgroup_memory = false;
    facts.kernel.default_route = false;
    facts.tcp = BTreeSet::from([22, 6443]);
    facts.udp = BTreeSet::from([8472]);
    facts.space[1].free_kib = 1024;
    facts.data.clear();
    assert_eq!(
        refused(&wanted(), &facts),
        [
            "the user of this host is not root and cannot become it",
            "K3s is not built for riscv64; use amd64, arm64 or ARMv7",
            "its service manager is openrc; only systemd is supported",
            "it lacks awk, dd; install it",
            "its clock is 61 s off; let it synchronise its time",
            "it has 512 MiB of memory and needs 1708 MiB",
            "it lacks memory limits for containers (boot with cgroup_enable=memory cgroup_memory=1)",
            "it lacks a default route (one to a dummy interface will do)",
            "port 6443/tcp is taken by another program; stop that",
            "port 8472/udp is taken by another program; stop that",
            "1 MiB are free under /var/lib, 2048 MiB are needed",
        ]
    );
}

#[test]
fn its_own_ports_and_data_are_no_problem_of_a_running_k3s() {
    let mut model = installed();
    model.0.tcp = BTreeSet::from([22, 2379, 2380, 6443, 10250]);
    model.0.udp = BTreeSet::from([8472]);
    model.0.space[1].free_kib = 1024;
    assert_eq!(model.work(&wanted()), ["Done"]);
    // The kernel keeps the port of VXLAN when K3s stops.
    model.service(Role::Server).state = ServiceState::Stopped;
    model.0.tcp = BTreeSet::from([22]);
    assert_eq!(model.work(&wanted()), ["start k3s.service", "wait", "Done"]);
}

#[test]
fn a_binary_must_fit_the_host_and_its_disk() {
    let mut arm = wanted();
    arm.source = Source::Sent(Some(Release { arch: Arch::Arm64, ..release(BYTES) }));
    assert_eq!(
        refused(&arm, &bare()),
        ["the binary is for arm64, the host is amd64; give the release for amd64"]
    );
    let mut full = bare();
    full.space[0].free_kib = 0;
    assert_eq!(
        refused(&wanted(), &full),
        ["0 MiB are free under /usr/local/bin, 80 MiB are needed"]
    );
    let mut empty = wanted();
    empty.files.clear();
    assert_eq!(refused(&empty, &bare()), ["nothing is declared for /etc/rancher/k3s/config.yaml"]);
    let none = Wanted { source: Source::Sent(None), ..wanted() };
    assert_eq!(
        refused(&none, &bare()),
        [
            "the release of K3s v1.34.2+k3s1 for it could not be had; see the last error of fetching it"
        ]
    );
    assert_eq!(refused(&none, &installed().0), ["Done"], "the version runs");
}

#[test]
fn what_crashes_is_restarted_after_a_change_and_reported_otherwise() {
    let mut model = installed();
    let service = model.service(Role::Server);
    (service.state, service.result) = (ServiceState::Crashing, "exit-code".into());
    assert_eq!(
        refused(&wanted(), &model.0),
        ["K3s ends soon after each start (exit-code); see `journalctl -u k3s` on the host"]
    );
    let mut changed = wanted();
    write(&mut changed, ManagedFile::Config, "cluster-init: true\ndebug: true\n");
    changed.disruption = Disruption::Held;
    assert_eq!(
        model.work(&changed),
        ["write /etc/rancher/k3s/config.yaml", "restart k3s.service", "wait", "Done"]
    );
}

#[test]
fn kernel_settings_are_written_and_applied_before_k3s_needs_them() {
    let mut hardened = wanted();
    write(&mut hardened, ManagedFile::Sysctls, "vm.overcommit_memory=1\n");
    hardened.sysctls = BTreeMap::from([("vm.overcommit_memory".into(), "1".into())]);
    let done = Model(bare()).work(&hardened);
    assert_eq!(done[3..5], ["write /etc/sysctl.d/90-kubelet.conf", "apply kernel settings"]);
}
