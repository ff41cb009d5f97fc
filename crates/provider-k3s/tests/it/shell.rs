//! Deeds on a real shell: each does what it says, may be repeated, and leaves the host of another alone.

use std::time::Duration;

use fleetwright_provider_k3s::hosts::{
    Action, Answer, Arriving, Artifact, Blob, Change, Content, Digest, Ended, HostOp,
    HostWire as _, ManagedFile, Marker, MarkerChange, NodeName, Payload, Request, Role,
    ServiceState, unit_text,
};

use super::support::host::{Host, Shell, cannot_host};
use super::support::{TOKEN, goal, owner};

fn claim(was: Option<&str>, now: &str) -> HostOp {
    let marker = |uid: &str| Marker::Owned(owner(uid));
    HostOp::ChangeMarker(MarkerChange { was: was.map(marker), now: marker(now) })
}

fn write(file: ManagedFile, text: &str) -> HostOp {
    HostOp::WriteFile { file, content: Content::new(text.to_owned()) }
}

fn part(digest: &Digest, offset: u64, bytes: &'static [u8]) -> HostOp {
    let (artifact, bytes, whole) = (Artifact::Binary, Blob::new(bytes), 40);
    HostOp::PutPart { artifact, digest: digest.clone(), offset, bytes, whole }
}

fn request(script: &str) -> Request {
    Request {
        what: "try".to_owned(),
        script: script.to_owned(),
        payload: Payload::Nothing,
        timeout: Duration::from_secs(10),
    }
}

const CONFIG: &str = "/etc/rancher/k3s/config.yaml";

#[tokio::test]
async fn a_host_tells_what_it_is() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell =
        Shell { noise: "Welcome to store 17!\\nfw1 uid=7\\nno end of line", ..Shell::on(&host) };
    let facts = shell.look().await;
    assert!(facts.root, "what a login shell prints does not count");
    assert_eq!(facts.hostname, "store-17");
    assert_eq!(facts.init, "systemd");
    assert_eq!(facts.missing_tools, Vec::<String>::new());
    assert!(facts.memory_kib > 100_000 && facts.cpus > 0 && facts.epoch_s > 1_700_000_000);
    assert!(facts.kernel.default_route && facts.kernel.overlay && facts.kernel.cgroup_memory);
    let places: Vec<&str> = facts.space.iter().map(|space| space.path.as_str()).collect();
    assert_eq!(places, ["/usr/local/bin", "/var/lib", "/etc"]);
    assert!(facts.space.iter().all(|space| space.free_kib > 0));
    assert_eq!(facts.sysctls.len(), 4);
    assert!(facts.marker.is_none() && facts.binary.is_none() && facts.arriving.is_empty());
    assert!(facts.tcp.is_empty() && facts.udp.is_empty());
    for role in [Role::Server, Role::Agent] {
        assert_eq!(facts.services[&role].state, ServiceState::Absent);
    }
    let mut listener = host.command("python3");
    let line = "import socket,time; a=socket.socket(); a.bind(('', 6443)); a.listen(); \
                b=socket.socket(type=socket.SOCK_DGRAM); b.bind(('', 8472)); print(flush=True); time.sleep(99)";
    let mut listener =
        listener.args(["-c", line]).stdout(std::process::Stdio::piped()).spawn().expect("python3");
    let mut said = String::new();
    let stdout = listener.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).expect("bound");
    let facts = shell.look().await;
    assert!(facts.tcp.contains(&6443) && facts.udp.contains(&8472));
    listener.kill().expect("killed");
    listener.wait().expect("ended");
}

#[tokio::test]
async fn files_are_written_whole_or_not_at_all() {
    if cannot_host() {
        return;
    }
    for kind in ["dash", "bash"] {
        let host = Host::with_shell(kind);
        let shell = Shell::on(&host);
        assert_eq!(shell.done(claim(None, "7-a")).await, Change::Changed);
        assert_eq!(shell.done(write(ManagedFile::Config, "debug: true\n")).await, Change::Changed);
        assert_eq!(host.sh(&format!("stat -c '%a %u:%g' {CONFIG}")), "600 0:0");
        assert_eq!(
            shell.done(write(ManagedFile::Config, "debug: true\n")).await,
            Change::Unchanged
        );
        host.sh(&format!("chmod 644 {CONFIG}"));
        assert_eq!(shell.done(write(ManagedFile::Config, "debug: true\n")).await, Change::Changed);
        assert_eq!(host.sh(&format!("stat -c %a {CONFIG}")), "600");
        // Every byte arrives, whatever the shell thinks of it.
        let odd = "'\"$(reboot)`\\\n\n  \t%s ü\n";
        assert_eq!(shell.done(write(ManagedFile::Registries, odd)).await, Change::Changed);
        let seen = shell.look().await.files;
        assert_eq!(seen[&ManagedFile::Registries].digest, Digest::of(odd));
        assert_eq!(shell.done(write(ManagedFile::Token, "")).await, Change::Changed);
        // A disk that fills up leaves the old file.
        host.sh("mount -t tmpfs -o size=8k tmpfs /etc/rancher/k3s && echo old >/etc/rancher/k3s/config.yaml");
        let said = shell.refused(write(ManagedFile::Config, &"long\n".repeat(9000))).await;
        assert_eq!(said, format!("cannot write {CONFIG}: write: {CONFIG}"));
        assert_eq!(
            host.sh("ls -A /etc/rancher/k3s; cat /etc/rancher/k3s/config.yaml"),
            "config.yaml\nold"
        );
        let gone = HostOp::RemoveFile { file: ManagedFile::Config };
        assert_eq!(shell.done(gone.clone()).await, Change::Changed);
        assert_eq!(shell.done(gone).await, Change::Unchanged);
    }
}

#[tokio::test]
async fn a_payload_that_was_cut_off_changes_nothing() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    shell.done(claim(None, "7-a")).await;
    shell.done(write(ManagedFile::Config, "old\n")).await;
    let op = write(ManagedFile::Config, "first\nsecond\n");
    let mut cut = fleetwright_provider_k3s::hosts::render(&op, &owner("7-a"));
    cut.payload = Payload::Blob(Blob::new("first\n"));
    let output = shell.exec(&cut).await.expect("output");
    assert_eq!(output.ended, Ended::Exit(3));
    assert!(
        output.stdout().expose().contains("fw1 error=cut /etc/rancher/k3s/config.yaml did not")
    );
    assert_eq!(
        host.sh("cat /etc/rancher/k3s/config.yaml; ls -A /etc/rancher/k3s"),
        "old\nconfig.yaml"
    );
}

#[tokio::test]
async fn a_script_that_was_cut_off_is_not_run() {
    if cannot_host() {
        return;
    }
    for kind in ["dash", "bash"] {
        let host = Host::with_shell(kind);
        // As sshd would hand it over when the line breaks after `rm -rf /tmp/` of `rm -rf /tmp/old`.
        let line = "mkdir /tmp/keep; printf '27\\nrm -rf /tmp/' | ";
        let boot = fleetwright_provider_k3s::hosts::boot_command("root");
        let output = host.command("/bin/sh").args(["-c", &format!("{line} ({boot})")]).output();
        assert!(!output.expect("sh").status.success());
        assert_eq!(host.sh("ls -d /tmp/keep"), "/tmp/keep");
        let whole = Shell::on(&host).exec(&request("echo whole; exit 7")).await.expect("output");
        assert_eq!((whole.ended.clone(), whole.stdout().expose()), (Ended::Exit(7), "whole\n"));
    }
}

#[tokio::test]
async fn a_binary_arrives_in_parts_and_is_placed_when_whole() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    shell.done(claim(None, "7-a")).await;
    let digest = Digest::of("#!/bin/sh\necho k3s version v1.34.2+k3s1\n");
    let (one, two): (&[u8], &[u8]) = (b"#!/bin/sh\n", b"echo k3s version v1.34.2+k3s1\n");
    let place = || HostOp::Place { artifact: Artifact::Binary, digest: digest.clone() };
    assert_eq!(shell.refused(place()).await, "cannot put k3s in place: gap: it has not arrived");
    assert_eq!(
        shell.refused(part(&digest, 10, two)).await,
        "cannot send bytes 10 to 40 of k3s: gap: 0 bytes are there, the part begins at 10"
    );
    shell.done(part(&Digest::of("another"), 0, b"remains of another")).await;
    shell.done(part(&digest, 0, one)).await;
    shell.done(part(&digest, 10, &two[..20])).await;
    // A part may come again: what lies behind it is cut off first.
    shell.done(part(&digest, 10, &two[..15])).await;
    let arriving = shell.look().await.arriving;
    assert_eq!(arriving, [(digest.clone(), Arriving::Part(25))].into());
    assert_eq!(host.sh("ls -A /usr/local/bin | grep -c part"), "1", "that of another is gone");
    shell.done(part(&digest, 0, b"#!/bin/no\n")).await;
    assert_eq!(
        shell.refused(part(&digest, 10, two)).await,
        "cannot send bytes 10 to 40 of k3s: digest: what arrived is not what was sent; it is removed"
    );
    shell.done(part(&digest, 0, one)).await;
    shell.done(part(&digest, 10, two)).await;
    assert_eq!(shell.look().await.arriving, [(digest.clone(), Arriving::Whole)].into());
    assert_eq!(shell.done(part(&digest, 0, one)).await, Change::Unchanged);
    assert_eq!(shell.done(place()).await, Change::Changed);
    assert_eq!(shell.done(place()).await, Change::Unchanged);
    let facts = shell.look().await;
    assert_eq!(facts.binary, Some(digest));
    assert_eq!(facts.version.as_deref(), Some("v1.34.2+k3s1"));
    assert!(facts.arriving.is_empty());
    assert_eq!(
        host.sh("stat -c %a /usr/local/bin/k3s; readlink /usr/local/bin/crictl"),
        "755\n/usr/local/bin/k3s"
    );
}

#[tokio::test]
async fn a_marker_is_changed_only_from_what_was_seen() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    assert_eq!(shell.done(claim(None, "7-a")).await, Change::Changed);
    assert_eq!(shell.done(claim(None, "7-a")).await, Change::Unchanged);
    let said = shell.refused(claim(None, "8-b")).await;
    assert!(said.ends_with("(fleetwright 1 hub ab12 object edge/store-17 uid 7-a)"), "{said}");
    assert!(shell.refused(claim(Some("6-c"), "8-b")).await.starts_with("did not mark"));
    assert_eq!(shell.done(claim(Some("7-a"), "8-b")).await, Change::Changed);
    assert_eq!(
        host.sh("cat /etc/fleetwright/owner; ls -A /etc/fleetwright"),
        "fleetwright 1\nhub ab12\nobject edge/store-17\nuid 8-b\nowner"
    );
    assert_eq!(shell.look().await.marker, Some(Marker::Owned(owner("8-b"))));
    let release = HostOp::ChangeMarker(MarkerChange {
        was: Some(Marker::Owned(owner("8-b"))),
        now: Marker::Released(owner("8-b").uid),
    });
    assert_eq!(shell.done(release).await, Change::Changed);
    assert_eq!(shell.look().await.marker, Some(Marker::Released(owner("8-b").uid)));
}

#[tokio::test]
async fn no_deed_touches_a_host_that_is_not_ours() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    let digest = Digest::of("k3s");
    let service = |action| HostOp::Service { role: Role::Server, action };
    let deeds = || {
        [
            part(&digest, 0, b"k3s"),
            HostOp::Place { artifact: Artifact::Binary, digest: digest.clone() },
            write(ManagedFile::Token, TOKEN),
            HostOp::RemoveFile { file: ManagedFile::Config },
            HostOp::ApplySysctls,
            service(Action::Enable),
            service(Action::Start),
            service(Action::Restart),
            service(Action::Stop),
            HostOp::ReadToken,
            HostOp::Uninstall,
            HostOp::ReadCluster,
            HostOp::DeleteNode { node: NodeName::new("s1").expect("name") },
            HostOp::MintToken { valid: Duration::from_secs(600) },
        ]
    };
    let before = host.tree();
    for op in deeds() {
        let said = shell.refused(op.clone()).await;
        assert_eq!(
            said,
            format!("did not {op}: the host is not ours (the host carries no marker)")
        );
    }
    assert_eq!(host.changes(&before), Vec::<String>::new());
    shell.try_op(&claim(None, "8-b"), "8-b").await.expect("theirs");
    let before = host.tree();
    for op in deeds() {
        let said = shell.refused(op.clone()).await;
        assert!(said.ends_with("uid 8-b)"), "{op}: {said}");
    }
    assert_eq!(host.changes(&before), Vec::<String>::new());
    assert_eq!(host.sh("ls -d /run/standin 2>/dev/null || echo nobody asked"), "nobody asked");
}

#[tokio::test]
async fn kernel_settings_are_in_force_at_once() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    shell.done(claim(None, "7-a")).await;
    // Of the network namespace, so that the machine under the test keeps its own.
    shell.done(write(ManagedFile::Sysctls, "net.ipv4.ip_forward=1\n")).await;
    shell.done(HostOp::ApplySysctls).await;
    assert_eq!(host.sh("cat /proc/sys/net/ipv4/ip_forward"), "1");
    shell.done(write(ManagedFile::Sysctls, "net.ipv4.no_such_thing=1\n")).await;
    let said = shell.refused(HostOp::ApplySysctls).await;
    assert!(said.starts_with("cannot apply kernel settings: sysctl: "), "{said}");
}

#[tokio::test]
async fn an_installed_k3s_gives_its_token_and_goes_without_a_trace() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    let before = host.tree();
    let mut goal = goal();
    goal.materials.part_bytes = Some(1 << 20);
    assert_eq!(shell.settle(&goal).await.len(), 9);
    assert_eq!(host.sh("cat /proc/$(cat /run/standin/k3s.pid)/comm"), "k3s");
    let token = shell.try_op(&HostOp::ReadToken, "7-a").await.expect("token");
    let Answer::Token(token) = token else { panic!("{token:?}") };
    assert_eq!(token.expose(), format!("K100123::server:{TOKEN}"));
    // Drift: somebody stops it, changes the unit, and removes a file.
    let broken = unit_text(Role::Server).replace("Restart=always", "Restart=no");
    host.sh("systemctl stop k3s; rm /etc/rancher/k3s/registries.yaml");
    std::fs::write(format!("/proc/{}/root/etc/systemd/system/k3s.service", host.pid()), broken)
        .expect("unit");
    assert_eq!(
        shell.settle(&goal).await,
        [
            "write /etc/rancher/k3s/registries.yaml",
            "write /etc/systemd/system/k3s.service",
            "start k3s.service"
        ]
    );
    // A disk of its own for the data, and a volume below it: the volume is let go, the disk stays.
    host.sh("mkdir -p /var/lib/kubelet/pods/1/vol && mount -t tmpfs tmpfs /var/lib/kubelet/pods/1/vol && touch /var/lib/kubelet/pods/1/vol/kept");
    assert_eq!(host.sh("ps -e -o args= | grep -c '^[s]leep 31415'"), "1");
    assert_eq!(shell.done(HostOp::Uninstall).await, Change::Changed);
    assert_eq!(host.changes(&before), Vec::<String>::new());
    assert_eq!(
        host.sh("ps -e -o args= | grep -c -e '[s]leep [23]' -e '[/]k3s server' || :"),
        "0",
        "nothing of it runs"
    );
    assert_eq!(host.sh("grep -c kubelet /proc/mounts || :"), "0");
}

#[tokio::test]
async fn uninstalling_leaves_a_disk_and_what_cannot_be_let_go() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    shell.done(claim(None, "7-a")).await;
    host.sh("mkdir -p /var/lib/rancher/k3s /var/lib/kubelet/vol; mount -t tmpfs tmpfs /var/lib/rancher/k3s; mkdir /var/lib/rancher/k3s/server");
    host.sh("mount -t tmpfs tmpfs /var/lib/kubelet/vol; touch /var/lib/kubelet/vol/precious");
    // Somebody works in the volume, so it cannot be unmounted.
    let mut inside = host
        .command("/bin/sh")
        .args(["-c", "cd /var/lib/kubelet/vol && echo && exec sleep 99"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("nsenter");
    let mut said = String::new();
    let stdout = inside.stdout.as_mut().expect("piped");
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut said).expect("inside");
    assert_eq!(
        shell.refused(HostOp::Uninstall).await,
        "cannot uninstall k3s: busy: volumes are still mounted below /var/lib/rancher/k3s or /var/lib/kubelet"
    );
    assert_eq!(host.sh("ls /var/lib/kubelet/vol"), "precious");
    assert!(shell.look().await.marker.is_some(), "it stays ours until nothing is left");
    inside.kill().expect("killed");
    host.sh("kill $(ps -e -o pid= -o args= | sed -n 's/^ *\\([0-9]*\\) sleep 99$/\\1/p')");
    inside.wait().expect("ended");
    assert_eq!(shell.done(HostOp::Uninstall).await, Change::Changed);
    assert_eq!(host.sh("ls -A /var/lib/rancher/k3s; grep -c rancher /proc/mounts"), "1");
    assert!(shell.look().await.marker.is_none());
}

#[tokio::test]
async fn uninstalling_follows_links_and_takes_what_is_k3s_s_alone() {
    if cannot_host() {
        return;
    }
    let host = Host::with_shell("dash");
    let shell = Shell::on(&host);
    shell.done(claim(None, "7-a")).await;
    host.sh("mkdir -p /var/lib/rancher /disk/k3s/server/tls /disk/k3s/data/x/bin /disk/kubelet/pods/1/vol; rm -rf /var/lib/kubelet");
    host.sh("ln -s /disk/k3s /var/lib/rancher/k3s; ln -s /disk/kubelet /var/lib/kubelet");
    host.sh("echo secret >/disk/k3s/server/token; echo mine >/disk/k3s/notes; cp /bin/sleep /disk/k3s/data/x/bin/shim");
    host.sh("mount -t tmpfs tmpfs /disk/kubelet/pods/1/vol; mkdir -p /etc/sysctl.d; echo vm.swappiness=1 >/etc/sysctl.d/90-kubelet.conf");
    host.sh("/var/lib/rancher/k3s/data/x/bin/shim 31416 >/dev/null 2>&1 & sleep 0.1");
    assert_eq!(host.sh("ps -e -o args= | grep -c '[s]him 31416'"), "1");
    assert_eq!(shell.done(HostOp::Uninstall).await, Change::Changed);
    assert_eq!(host.sh("ps -e -o args= | grep -c '[s]him 31416' || :"), "0");
    assert_eq!(host.sh("grep -c kubelet /proc/mounts || :"), "0");
    assert_eq!(
        host.sh("find /disk; ls -A /var/lib | grep -e rancher -e kubelet || :"),
        "/disk\n/disk/k3s\n/disk/k3s/notes"
    );
    assert_eq!(
        host.sh("cat /etc/sysctl.d/90-kubelet.conf"),
        "vm.swappiness=1",
        "somebody else's stays"
    );
    shell.done(claim(None, "7-a")).await;
    shell
        .done(write(ManagedFile::Sysctls, "# Written by Fleetwright; x\nvm.panic_on_oom=0\n"))
        .await;
    shell.done(HostOp::Uninstall).await;
    assert_eq!(host.sh("ls /etc/sysctl.d/90-kubelet.conf 2>/dev/null || echo gone"), "gone");
}
